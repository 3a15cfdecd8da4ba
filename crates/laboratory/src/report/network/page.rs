//! The whole page.

use super::replay::{Replay, replay};
use super::{Course, Job, Network, tables};
use crate::report::chart::distribution::{Sample, distribution};
use crate::report::chart::timeline::{self, Lane};
use crate::report::chart::{figure, jobs};
use crate::report::number::{Unit, count};
use crate::report::page::{Choice, Page};
use crate::report::palette;
use crate::report::table::Table;
use agent_core::domain::action::ActionType;
use agent_core::domain::ids::AgentId;
use agent_core::domain::invariants;
use agent_core::domain::measurement::{JobOutcome, JobTally};
use agent_core::domain::placement::Replica;
use agent_core::domain::text::{LINE_MAX, NAME_MAX, legible};
use maud::{Markup, html};

/// Of more agents those are drawn of which most jobs violated the goal or failed.
const DRAWN_AGENTS: usize = 12;
/// Of more pairs of an agent and a node those with most jobs.
const DRAWN_PLACES: usize = 24;
/// Longer tables show their last rows; the CSV file has all.
const ROWS: usize = 200;

/// The page as HTML, complete.
pub fn page(network: &Network) -> String {
    let name = |course: &Course| legible(&course.snapshot.data_set.name.0, NAME_MAX).into_owned();
    let choice = |(index, course)| Choice { id: id(index), name: name(course), hint: String::new() };
    let title = network.data_sets.iter().map(name).collect::<Vec<_>>().join(", ");
    let page = Page {
        title: format!("{title}: network"),
        header: header(network, &title),
        what: "Data sets",
        choices: network.data_sets.iter().enumerate().map(choice).collect(),
        summary: html! { section #summary {
            h2 { "Summary" }
            @for course in &network.data_sets { (summary(course, &name(course))) }
        } },
        sections: html! { @for (index, course) in network.data_sets.iter().enumerate() { (section(index, course, &name(course))) } },
    };
    page.html()
}

fn id(index: usize) -> String {
    format!("case-{}", index + 1)
}

fn header(network: &Network, title: &str) -> Markup {
    let tallies: Vec<JobTally> = network.data_sets.iter().map(Course::tally).collect();
    let jobs = tallies.iter().map(|tally| tally.jobs as usize).sum();
    let failed = tallies.iter().map(|tally| tally.failed as usize).sum();
    let agents: usize = network.data_sets.iter().map(|course| course.snapshot.agents.len()).sum();
    let acts: usize =
        network.data_sets.iter().map(|course| course.acts.iter().filter(|act| act.is_done()).count()).sum();
    let nodes = network.data_sets.first().map_or(0, |course| course.snapshot.nodes.len());
    let facts = [(nodes, "nodes"), (agents, "agents"), (jobs, "jobs"), (failed, "more failed"), (acts, "actions done")];
    html! {
        header {
            p.kind { "Network" }
            h1 { @if title.is_empty() { "An empty table" } @else { (title) } }
            p.about { "The shared table " code { (network.address) } }
            ul.facts { @for (number, what) in facts { li { b { (count(number as u64)) } " " (what) } } }
        }
    }
}

fn summary(course: &Course, name: &str) -> Markup {
    let tally = course.tally();
    let share = tally.violated_share().unwrap_or_default();
    let lasted = Unit::Seconds.show(course.second(course.ended()));
    let whose_last = |outcome| {
        let agents = course.snapshot.agents.keys();
        let those = agents.filter(|agent| course.jobs_of(**agent).next_back().map(Job::outcome) == Some(outcome));
        those.map(ToString::to_string).collect::<Vec<_>>()
    };
    let (discontent, failing) = (whose_last(JobOutcome::Missed), whose_last(JobOutcome::Failed));
    let unsound: Vec<&Replica> =
        course.snapshot.placement.replicas.values().filter(|replica| replica.state.is_unsound()).collect();
    let broken = invariants::check(&course.snapshot.data_set.name, &course.snapshot.placement);
    html! {
        p.lead {
            b { (name) } ": in " (lasted) " of the scenario " (count(course.snapshot.agents.len() as u64)) " agents ran "
            (count(tally.jobs)) " jobs, of which " (count(tally.violated)) " (" (Unit::Share.show(share)) ") violated "
            "their goals" @if tally.failed > 0 { "; " (count(tally.failed)) " more failed" } ". " (actions(course))
        }
        p.lead {
            "Replicas lie on " (tables::present(course)) ". "
            @if course.jobs.is_empty() { "No job has run yet." }
            @else if discontent.is_empty() && failing.is_empty() { "Every agent\u{2019}s last job met its goal." }
            @else if !discontent.is_empty() { "The last job violated the goal of agent " (discontent.join(", ")) "." }
        }
        @if !failing.is_empty() { p.warning {
            "The last job failed of agent " (failing.join(", ")) ": nobody knows whether the goal would have been met."
        } }
        @for replica in unsound { p.warning {
            "The replica on node " (replica.node) " is " (replica.state.name())
            @if let Some(remark) = &replica.remark { ": " (legible(remark, LINE_MAX)) } "."
        } }
        @for broken in &broken { p.warning { "Broken: " (broken.to_string()) "." } }
    }
}

/// What was done, in words.
fn actions(course: &Course) -> String {
    let done = course.acts.iter().filter(|act| act.is_done());
    let kinds = [
        (ActionType::Move, "move", "moves"),
        (ActionType::Copy, "copy", "copies"),
        (ActionType::ChangeReference, "change of reference", "changes of reference"),
        (ActionType::Evict, "eviction", "evictions"),
        (ActionType::MoveWork, "move of work", "moves of work"),
    ];
    let of = |kind| done.clone().filter(|act| act.event.action.kind() == kind).count();
    let counted = kinds.iter().map(|(kind, one, many)| (of(*kind), one, many)).filter(|(done, _, _)| *done > 0);
    let parts: Vec<String> =
        counted.map(|(done, one, many)| format!("{done} {}", if done == 1 { one } else { many })).collect();
    let moved = course.acts.iter().filter(|act| act.moved_bytes()).count() as f64;
    let bytes = Unit::Bytes.show(moved * course.snapshot.data_set.bytes as f64);
    match parts.is_empty() {
        true => "Nobody acted.".to_owned(),
        false => format!("They made {}; {bytes} were moved.", parts.join(", ")),
    }
}

fn section(index: usize, course: &Course, name: &str) -> Markup {
    let drawn = drawn_agents(course);
    html! {
        section.case id=(id(index)) {
            h2 { (name) }
            (tables::figures(course).html())
            (tables::agents(course).html())
            (course_of_things(course, name, &drawn))
            h3 { "Jobs" }
            div.figures {
                @for agent in &drawn { (jobs_of(course, *agent)) }
                (places(course, name))
            }
            (tables::measured(course).html())
            h3 { "Events" }
            (latest(tables::events(course)))
            @if course.acts.iter().filter_map(|act| act.explanation.as_ref()).any(|one| !one.candidates.is_empty()) {
                details { summary { "What was weighed at each event" } (latest(tables::candidates(course))) }
            }
            @if !course.charges.is_empty() { h3 { "Costs" } (tables::charges(course).html()) }
            @if !course.snapshot.counters.is_empty() { h3 { "Counters" } (tables::counters(course).html()) }
            h3 { "Nodes" }
            (tables::nodes(course).html())
        }
    }
}

/// The last rows of a long table, and that there are more.
fn latest(mut table: Table) -> Markup {
    let all = table.rows.len();
    if all > ROWS {
        table.rows.drain(..all - ROWS);
        table.caption =
            format!("{}: the latest {ROWS} of {}; all are in the CSV file", table.caption, count(all as u64));
    }
    table.html()
}

/// Those that are drawn one by one.
fn drawn_agents(course: &Course) -> Vec<AgentId> {
    let mut agents: Vec<AgentId> = course.snapshot.agents.keys().copied().collect();
    if agents.len() > DRAWN_AGENTS {
        let violated = |agent: &AgentId| course.jobs_of(*agent).filter(|job| job.outcome() != JobOutcome::Met).count();
        agents.sort_by_cached_key(|agent| (std::cmp::Reverse(violated(agent)), *agent));
        agents.truncate(DRAWN_AGENTS);
        agents.sort_unstable();
    }
    agents
}

fn course_of_things(course: &Course, name: &str, drawn: &[AgentId]) -> Markup {
    let Replay { history, expected } = replay(course);
    let lane = |agent: &AgentId| {
        let jobs = course.jobs_of(*agent).map(|job| (course.second(job.measurement.at), job.outcome())).collect();
        Lane { name: format!("agent {agent}"), jobs }
    };
    let lanes: Vec<Lane> = drawn.iter().map(lane).collect();
    let title = format!("What happened to {name}");
    let note = html! {
        "Above, the jobs of each agent: short marks met their goal, tall ones violated it. "
        @if course.jobs.iter().any(Job::has_failed) {
            "Crosses failed; the band lasts until one succeeded again. Behind, how many violated the goal, of how many, and how many \
             more failed. "
        }
        "Below, the placement. "
        (timeline::how_to_read(&history))
        @if drawn.len() < course.snapshot.agents.len() { " Of the agents those are shown of which most jobs violated the goal or failed." }
    };
    html! {
        div.timeline { (figure(&title, &note, &html! {
            div.scroll role="region" aria-label=(title) tabindex="0" { (timeline::timeline(&title, &history, &lanes)) }
        })) }
        @if let Some(expected) = expected { p.warning {
            "The events lead to replicas on " (timeline::nodes(expected)) ", but they lie on " (tables::present(course))
            ": a node was removed, or somebody changed the table without an event."
        } }
    }
}

fn jobs_of(course: &Course, agent: AgentId) -> Markup {
    let job = |job: &Job| jobs::Job {
        at_s: course.second(job.measurement.at),
        response_s: job.response_s(),
        node: job.measurement.node.0,
        outcome: job.outcome(),
    };
    let own: Vec<jobs::Job> = course.jobs_of(agent).map(job).collect();
    let goal = course.snapshot.agents.get(&agent).map(|peer| legible(&peer.registration.goal, 200));
    let note = html! {
        "Response time of each job; a cross violated the goal " @if let Some(goal) = goal { code { (goal) } } "."
        @if own.iter().any(|job| job.outcome == JobOutcome::Failed) { " Crosses on the axis failed." }
    };
    let lasts_s = course.second(course.ended());
    html! { @if !own.is_empty() {
        (figure(&format!("Agent {agent}"), &note, &jobs::jobs(&format!("Jobs of agent {agent}"), &own, lasts_s)))
    } }
}

fn places(course: &Course, name: &str) -> Markup {
    let mut places: Vec<((AgentId, agent_core::domain::ids::NodeId), Vec<&Job>)> =
        tables::by_place(course).into_iter().collect();
    places.iter_mut().for_each(|(_, jobs)| jobs.retain(|job| !job.has_failed()));
    places.retain(|(_, jobs)| !jobs.is_empty());
    if places.len() > DRAWN_PLACES {
        places.sort_by_key(|(_, jobs)| std::cmp::Reverse(jobs.len()));
        places.truncate(DRAWN_PLACES);
        places.sort_by_key(|(place, _)| *place);
    }
    let names: Vec<String> = places.iter().map(|((agent, node), _)| format!("{agent} at node {node}")).collect();
    let agents = drawn_agents(course);
    let samples: Vec<Sample> = places
        .iter()
        .zip(&names)
        .map(|(((agent, _), jobs), name)| Sample {
            name,
            class: palette::agent(agents.iter().position(|one| one == agent).unwrap_or(0)),
            values: jobs.iter().map(|job| job.response_s()).collect(),
        })
        .collect();
    html! { @if !samples.is_empty() {
        (figure(
            "Each agent at each node",
            &html! { "Response time: a point for each job; below, the median, the middle half, and 5 % to 95 %." },
            &distribution(&format!("Response times in {name}"), &samples, Unit::Seconds),
        ))
    } }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{course, failed, usual};
    use super::*;
    use agent_core::domain::placement::ReplicaState;

    fn written(course: Course) -> String {
        page(&Network { address: "data/network.db".to_owned(), data_sets: vec![course] })
    }

    #[test]
    fn the_page_says_what_happened() {
        let html = written(usual());
        for text in [
            "<b>blood</b>: in 80\u{a0}s of the scenario 2 agents ran 6 jobs, of which 3 (50\u{a0}%) violated their goals. They made \
             1 move, 1 copy; 12\u{a0}MB were moved.",
            "Replicas lie on nodes 1, 2. Every agent\u{2019}s last job met its goal.",
            "<code>data/network.db</code>",
            "node &lt;1&gt;",
        ] {
            assert!(html.contains(text), "{text}\n{html}");
        }
        assert!(!html.contains("class=\"warning\""), "{html}");
    }

    #[test]
    fn what_failed_or_is_unsound_is_said_and_no_goal_is_met_by_it() {
        let mut network = usual();
        network.jobs.extend([failed(2, 2, 90), failed(2, 2, 95)]);
        let replica = network.snapshot.placement.replicas.get_mut(&agent_core::domain::ids::ReplicaId(1)).unwrap();
        (replica.state, replica.remark) = (ReplicaState::Damaged, Some("read back <other> bytes".to_owned()));
        let html = written(network);
        for text in [
            "2 agents ran 6 jobs, of which 3 (50\u{a0}%) violated their goals; 2 more failed.",
            "The last job failed of agent 2: nobody knows whether the goal would have been met.",
            "The replica on node 1 is damaged: read back &lt;other&gt; bytes.",
            "<b>2</b> more failed",
            "Crosses failed; the band lasts until one succeeded again.",
            "Crosses on the axis failed.",
        ] {
            assert!(html.contains(text), "{text}\n{html}");
        }
        assert!(!html.contains("last job met its goal"), "{html}");
    }

    #[test]
    fn a_network_that_has_just_begun_has_a_page_too() {
        let html = written(course(Vec::new(), Vec::new(), [1, 2]));
        assert!(html.contains("No job has run yet.") && html.contains("Nobody acted."), "{html}");
    }

    #[test]
    fn what_is_broken_or_came_about_without_an_event_is_said() {
        let mut broken = usual();
        broken.acts.pop();
        assert!(written(broken.clone()).contains("The events lead to replicas on node 1, but they lie on nodes 1, 2"));
        broken.snapshot.placement.replicas.clear();
        assert!(written(broken).contains("Broken: data set blood has no present replica."));
    }
}
