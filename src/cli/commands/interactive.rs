//! `agent simulate --interactive`: a prompt, and what its commands print.

use super::explain::explained;
use super::interactive_commands::{Command, Line, Set, Shown, Waiting, broken, waiting};
use super::simulate::progress;
use crate::app::interactive::{Detail, Session};
use crate::app::{Failure, change::Changed};
use crate::cli::print;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::{show_bytes, show_duration};
use agent_core::sim::{Broken, Edit, Figures};
use anyhow::{Context as _, anyhow, bail};
use clap::Parser as _;
use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

/// Longer lines are refused \[bytes\].
const LINE_MAX: u64 = 10_000;

/// Reads commands until there are no more. At a terminal an error is told, and the next command asked for; elsewhere the first
/// error ends the session, for what follows was meant for another state.
pub fn run(mut session: Session, patience: Duration) -> anyhow::Result<ExitCode> {
    let is_terminal = std::io::stdin().is_terminal();
    let mut input = std::io::stdin().lock();
    if is_terminal {
        print::lines(["`help` lists the commands; `quit`, or the end of the input, ends".to_owned()])?;
    }
    for number in 1.. {
        if is_terminal {
            print!("{}", prompt(&session));
            std::io::stdout().flush()?;
        }
        let mut line = String::new();
        if std::io::Read::take(&mut input, LINE_MAX).read_line(&mut line).context("a command cannot be read")? == 0 {
            break;
        }
        let line = line.trim();
        if !is_terminal && !line.is_empty() {
            // So that what follows can be read without the script.
            print::lines([format!("{}{line}", prompt(&session))])?;
        }
        match obey(&mut session, line, patience) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) if is_terminal => print::lines(format!("error: {error:#}").lines().map(str::to_owned))?,
            Err(error) => return Err(Failure::Configuration(format!("line {number}: {error:#}")).into()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `main, 12 min> `
fn prompt(session: &Session) -> String {
    format!("{}, {}> ", session.current(), at(session.now()))
}

fn at(now: Timestamp) -> String {
    show_duration(now.since(Timestamp::default()))
}

/// Does what one line says. What stands behind a `#` is for people.
fn obey(session: &mut Session, line: &str, patience: Duration) -> anyhow::Result<ControlFlow<()>> {
    let words = shlex::split(line).context("a quotation mark has no other end")?;
    if words.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let parsed = Line::try_parse_from(words);
    let command = match parsed {
        Ok(Line { command }) => command,
        Err(help) if !help.use_stderr() => {
            print::text(&help.to_string())?;
            return Ok(ControlFlow::Continue(()));
        }
        Err(error) => bail!("{}", error.to_string().trim_start_matches("error: ").trim_end()),
    };
    match command {
        Command::Step { n } => step(session, n)?,
        Command::Run { how } => go_on(session, waiting(&how).map_err(|why| anyhow!(why))?, patience)?,
        Command::Show { what: None } => print::status(&session.status())?,
        Command::Show { what: Some(Shown::Agent { agent }) } => show_agent(session, agent)?,
        Command::Summary => print::summary(&session.summary())?,
        Command::Events { limit } => events(session, limit)?,
        Command::Explain { event } => {
            let outcome = session.simulation().outcome();
            let found = outcome.events.iter().find(|one| one.id == event);
            let found = found.with_context(|| format!("there is no event {event}; `events` lists them"))?;
            let feedback = outcome.feedback.get(&event).map_or(&[][..], Vec::as_slice);
            explained(found, feedback, None, None, false)?;
        }
        Command::Set(set) => self::set(session, set)?,
        Command::Down { what } => edit(session, Edit::Break(broken(&what).map_err(|why| anyhow!(why))?))?,
        Command::Up { what } => edit(session, Edit::Mend(broken(&what).map_err(|why| anyhow!(why))?))?,
        Command::Slow { node, factor } => slow(session, node, factor)?,
        Command::Join { node } => edit(session, Edit::Join { node })?,
        Command::Branch { name } => session.branch(&name)?,
        Command::Switch { name } => session.switch(&name)?,
        Command::Drop { name } => session.drop(&name)?,
        Command::Branches => branches(session)?,
        Command::Compare { name, other } => {
            let (one, two) = match other {
                Some(other) => (name, other),
                None => (session.current().to_owned(), name),
            };
            print::lines(comparison([(&one, &session.figures(&one)?), (&two, &session.figures(&two)?)]))?;
        }
        Command::Quit => return Ok(ControlFlow::Break(())),
    }
    Ok(ControlFlow::Continue(()))
}

/// What happens, word for word.
fn step(session: &mut Session, n: u64) -> anyhow::Result<()> {
    session.tell(Detail::Everything);
    let stepped = (0..n).try_for_each(|_| session.simulation().step().map(|_| ()));
    tell(session)?;
    Ok(stepped?)
}

/// What is decided and done while time passes; of jobs only what they come to.
fn go_on(session: &mut Session, Waiting { until, within }: Waiting, patience: Duration) -> anyhow::Result<()> {
    session.tell(Detail::Actions);
    let lasts = within.unwrap_or(patience);
    let end = session.now() + lasts;
    let reached = match until {
        None => session.simulation().run(end, progress(lasts)).map(|()| true),
        Some(until) => session.simulation().run_until(until, end, progress(lasts)),
    };
    tell(session)?;
    match reached? {
        true => Ok(()),
        false => print::lines([format!("not within {}", show_duration(lasts))]),
    }
}

/// Prints what was told, and listens to no more.
fn tell(session: &mut Session) -> anyhow::Result<()> {
    session.tell(Detail::Nothing);
    let (dropped, lines) = session.told();
    let dropped =
        (dropped > 0).then(|| format!("({dropped} earlier lines are left out; `events` has all that was done)"));
    print::lines(dropped.into_iter().chain(lines))
}

fn show_agent(session: &Session, agent: AgentId) -> anyhow::Result<()> {
    let status = session.status();
    let known = status.agents().find(|one| one.peer.registration.agent == agent);
    let known = known.with_context(|| format!("agent {agent} is not registered; `show` lists those that are"))?;
    let registration = &known.peer.registration;
    print::lines([
        print::agent_line(known),
        format!("  lives on node {}, policy {}", registration.node, registration.policy),
        format!("  goal {}", registration.goal),
    ])
}

fn events(session: &mut Session, limit: Option<usize>) -> anyhow::Result<()> {
    let several = session.simulation().scenario().network.data_sets.len() > 1;
    let events = session.simulation().outcome().events;
    let from = limit.map_or(0, |limit| events.len().saturating_sub(limit));
    print::lines(events[from..].iter().map(|event| print::simulated_event_line(event, several)))
}

fn set(session: &mut Session, set: Set) -> anyhow::Result<()> {
    match set {
        Set::Availability { node, percent } => {
            session.simulation().edit(Edit::Availability { node, availability: percent })?;
            print::changed(&Changed::Availability { node, percent: Some(percent.value()) })
        }
        Set::Latency { from, to, latency: latency_ms, one_way } => {
            session.simulation().edit(Edit::Latency { from, to, latency_ms })?;
            if !one_way {
                session.simulation().edit(Edit::Latency { from: to, to: from, latency_ms })?;
            }
            print::changed(&Changed::Latency { from, to, latency_ms: Some(latency_ms), both_directions: !one_way })
        }
        Set::Goal { agent, goal } => edit(session, Edit::Goal { agent, goal }),
        Set::Policy { agent, policy } => edit(session, Edit::Policy { agent, policy }),
    }
}

fn slow(session: &mut Session, node: NodeId, factor: f64) -> anyhow::Result<()> {
    let is_of_node = |broken: &&Broken| matches!(broken, Broken::Slow(slow, _) if *slow == node);
    let before = session.simulation().broken_by_hand().iter().find(is_of_node).copied();
    if let Some(before) = before {
        edit(session, Edit::Mend(before))?;
    }
    match factor {
        1.0 => Ok(()),
        factor => edit(session, Edit::Break(Broken::Slow(node, factor))),
    }
}

fn edit(session: &mut Session, edit: Edit) -> anyhow::Result<()> {
    session.tell(Detail::Actions);
    let edited = session.simulation().edit(edit);
    tell(session)?;
    Ok(edited?)
}

fn branches(session: &Session) -> anyhow::Result<()> {
    let line = |(name, now): (&str, Timestamp)| {
        let mark = if name == session.current() { "*" } else { " " };
        format!("{mark} {name:<16} {}", at(now))
    };
    print::lines(session.branches().map(line))
}

/// Two branches beside each other.
fn comparison(sides: [(&str, &Figures); 2]) -> Vec<String> {
    let [(one, _), (two, _)] = sides;
    let row = |what: &str, value: &dyn Fn(&Figures) -> String| {
        let [left, right] = sides.map(|(_, figures)| value(figures));
        format!("{what:<22} {left:<20} {right}")
    };
    let nodes = |nodes: &[NodeId]| match nodes {
        [] => "none".to_owned(),
        nodes => print::list(nodes, ", "),
    };
    let data_sets: BTreeSet<&DataSetName> = sides.iter().flat_map(|(_, figures)| figures.replicas.keys()).collect();
    let mut text = vec![
        format!("{:<22} {one:<20} {two}", ""),
        row("at", &|it| at(it.at)),
        row("converged", &|it| if it.converged { "yes" } else { "no" }.to_owned()),
        row("jobs", &|it| it.jobs.to_string()),
        row("jobs violated", &|it| it.violated.to_string()),
        row("jobs failed", &|it| it.failed.to_string()),
        row("actions", &|it| it.actions.to_string()),
        row("actions done", &|it| it.done.to_string()),
        row("cost of the actions", &|it| format!("{:.2}", it.cost)),
        row("bytes moved", &|it| show_bytes(it.bytes_moved)),
    ];
    let replicas = data_sets.iter().map(|name| {
        let what = match data_sets.len() {
            1 => "replicas on nodes".to_owned(),
            _ => format!("{name} on nodes"),
        };
        row(&what, &|it| nodes(it.replicas.get(*name).map(Vec::as_slice).unwrap_or_default()))
    });
    text.extend(replicas);
    let [read_one, read_two] = sides.map(|(_, figures)| &figures.references);
    let agents: BTreeSet<AgentId> = read_one.keys().chain(read_two.keys()).copied().collect();
    let differ = agents.into_iter().filter(|agent| read_one.get(agent) != read_two.get(agent));
    text.extend(differ.map(|agent| {
        row(&format!("agent {agent} reads"), &|it| {
            it.references.get(&agent).map_or("nothing".to_owned(), ToString::to_string)
        })
    }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::reads::Reads;
    use std::collections::BTreeMap;

    fn figures(violated: u64, replicas: &[u32], reads: u32) -> Figures {
        Figures {
            at: Timestamp(60_000),
            converged: violated == 0,
            jobs: 10,
            violated,
            failed: 0,
            actions: 2,
            done: 1,
            cost: 1.5,
            bytes_moved: 1000,
            replicas: BTreeMap::from([("blood".into(), replicas.iter().copied().map(NodeId).collect())]),
            references: [(1, 1), (2, reads)].map(|(agent, node)| (AgentId(agent), Reads::One(NodeId(node)))).into(),
        }
    }

    #[test]
    fn branches_are_compared_row_by_row_and_only_readers_that_differ() {
        let (one, two) = (figures(3, &[1], 1), figures(0, &[1, 2], 2));
        let text = comparison([("main", &one), ("more", &two)]);
        assert_eq!(text[0], format!("{:<22} {:<20} more", "", "main"));
        assert_eq!(text[4], format!("{:<22} {:<20} 0", "jobs violated", "3"));
        assert_eq!(text[10], format!("{:<22} {:<20} 1, 2", "replicas on nodes", "1"));
        assert_eq!(text[11..], [format!("{:<22} {:<20} node 2", "agent 2 reads", "node 1")]);
    }
}
