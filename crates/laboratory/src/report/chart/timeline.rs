//! Where the replicas were and who read which: a row for each node, a bar while it holds a replica, a line for each reader.

use super::lanes::{LANE, lanes};
use super::time_axis::{TimeAxis, moment};
use super::{LINE, Path, picture, spread_out};
use crate::report::number::{At, Unit};
use crate::report::palette;
use crate::report::placement::{Change, End, History, Transfer};
use maud::{Markup, html};
use std::collections::BTreeMap;

pub use super::lanes::Lane;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 82.0;
/// Room for the names of actions above the rows, one above the other.
const LEVELS: usize = 2;
const TOP: f64 = 8.0 + LEVELS as f64 * LINE;
/// Of more agents the readers are counted, not drawn.
const DRAWN_AGENTS: usize = 8;
/// Of more nodes those are shown whose replicas changed most.
const SHOWN_NODES: usize = 24;
/// More changes than that are not drawn.
const SHOWN_CHANGES: usize = 3000;
/// Of more changes the ways of the bytes are not drawn: they would hide everything.
const DRAWN_WAYS: usize = 80;
/// Between the lines of readers.
const READER: f64 = 6.0;

/// Rows of nodes, and how places are found in them.
struct Rows {
    /// From the top: the node of each row.
    nodes: Vec<u32>,
    /// The agents that have a line; none when there are too many.
    agents: Vec<u32>,
    top: f64,
    height: f64,
}

impl Rows {
    fn of(history: &History, top: f64) -> Self {
        let agents: Vec<u32> = history.agents().into_iter().collect();
        let agents = if agents.len() > DRAWN_AGENTS { Vec::new() } else { agents };
        let height = if agents.is_empty() { 24.0 } else { 14.0 + agents.len() as f64 * READER };
        Self { nodes: shown_nodes(history), agents, top, height }
    }

    fn row(&self, node: u32) -> Option<f64> {
        let index = self.nodes.binary_search(&node).ok()?;
        Some(self.top + index as f64 * self.height)
    }

    fn middle(&self, node: u32) -> Option<f64> {
        Some(self.row(node)? + self.height / 2.0)
    }

    /// The height of an agent's line while it reads a node.
    fn reader(&self, index: usize, node: u32) -> Option<f64> {
        Some(self.row(node)? + 7.0 + (index as f64 + 0.5) * READER)
    }

    fn bottom(&self) -> f64 {
        self.top + self.nodes.len() as f64 * self.height
    }

    /// The class of an agent's marks.
    fn class(&self, agent: Option<u32>) -> &'static str {
        agent.and_then(|agent| self.agents.iter().position(|one| *one == agent)).map_or("nobody", palette::agent)
    }
}

fn shown_nodes(history: &History) -> Vec<u32> {
    let mut nodes: Vec<u32> = history.nodes().into_iter().collect();
    if nodes.len() > SHOWN_NODES {
        let times: BTreeMap<u32, usize> = nodes.iter().map(|node| (*node, history.held(*node).len())).collect();
        nodes.sort_by_key(|node| (std::cmp::Reverse(times[node]), *node));
        nodes.truncate(SHOWN_NODES);
        nodes.sort_unstable();
    }
    nodes
}

/// How to read the picture.
pub fn how_to_read(history: &History) -> String {
    let readers = match history.agents().len() > DRAWN_AGENTS {
        true => "in it, how many agents read there",
        false => "a line: where an agent reads",
    };
    let mut ways = String::new();
    if !history.transfers.is_empty() {
        ways.push_str("; a dashed frame: bytes on their way there");
    }
    if (1..=DRAWN_WAYS).contains(&history.transfers.len()) {
        ways.push_str(", with an arrow from where they come");
    }
    if history.transfers.iter().any(|transfer| transfer.end == End::BrokenOff) {
        ways.push_str(", red where they never arrived");
    }
    let legend = "Above stands who did what: M moves, C copies, CR reads another replica, E drops one.";
    format!("A bar: the node holds a replica; {readers}{ways}. {legend} {}", left_out(history).unwrap_or_default())
}

/// What the picture leaves out, as a sentence; `None`: nothing.
fn left_out(history: &History) -> Option<String> {
    let nodes = history.nodes().len().saturating_sub(SHOWN_NODES);
    let changes = history.changes.len().saturating_sub(SHOWN_CHANGES);
    let parts = [(nodes, "nodes on which less changed"), (changes, "later changes")];
    let parts: Vec<String> =
        parts.iter().filter(|part| part.0 > 0).map(|(number, what)| format!("{number} {what}")).collect();
    (!parts.is_empty()).then(|| format!("Not shown: {}.", parts.join(" and ")))
}

/// `jobs`: lanes above the nodes, where jobs are known one by one.
pub fn timeline(label: &str, history: &History, jobs: &[Lane]) -> Markup {
    let changes = &history.changes[..history.changes.len().min(SHOWN_CHANGES)];
    let right = WIDTH - RIGHT;
    let mut moments: Vec<f64> = changes.iter().map(|change| change.at_s).collect();
    moments.extend(history.transfers.iter().flat_map(|transfer| [transfer.began_s, transfer.ended_s]));
    moments.extend(jobs.iter().flat_map(|lane| lane.jobs.iter().map(|job| job.0)));
    moments.sort_by(f64::total_cmp);
    let axis = TimeAxis::new(history.lasts_s, &moments, LEFT, right);
    let jobs_height = if jobs.is_empty() { 0.0 } else { jobs.len() as f64 * LANE + 10.0 };
    let rows = Rows::of(history, TOP + jobs_height);
    let content = html! {
        @for (index, node) in rows.nodes.iter().enumerate() {
            @let y = rows.top + index as f64 * rows.height;
            rect.row.odd[index % 2 == 1] x=(At(LEFT)) y=(At(y)) width=(At(right - LEFT)) height=(At(rows.height)) {}
            text.name.side x=(At(LEFT - 8.0)) y=(At(y + rows.height / 2.0 + 4.0)) { "node " (node) }
        }
        (bars(history, &rows, &axis))
        (transfers(history, &rows, &axis))
        (actions(changes, &rows, &axis, if jobs.is_empty() { rows.top } else { TOP }))
        (lanes(jobs, &axis, TOP, LEFT, right))
        @if rows.agents.is_empty() { (reader_counts(history, &rows, &axis)) } @else { (readers(history, &rows, &axis)) }
        @for cut in axis.cuts() {
            rect.cut x=(At(cut.left + 4.0)) y=(At(TOP)) width=(At(cut.right - cut.left - 8.0)) height=(At(rows.bottom() - TOP)) {}
            text.where x=(At((cut.left + cut.right) / 2.0)) y=(At(rows.bottom() + LINE + 3.0)) { "\u{2026} " (Unit::Seconds.show(cut.lasts_s)) " \u{2026}" }
        }
        @for (x, text) in axis.ticks(90.0) {
            line.grid x1=(At(x)) x2=(At(x)) y1=(At(rows.bottom())) y2=(At(rows.bottom() + 4.0)) {}
            text.tick x=(At(x)) y=(At(rows.bottom() + LINE + 3.0)) { (text) }
        }
    };
    picture(WIDTH, rows.bottom() + LINE + 8.0, &format!("{label}. {}", heard(history)), &content)
}

fn bars(history: &History, rows: &Rows, axis: &TimeAxis) -> Markup {
    html! {
        @for node in &rows.nodes {
            @for (from, until) in history.held(*node) {
                @if let Some(y) = rows.row(*node) {
                    rect.held x=(At(axis.at(from))) y=(At(y + 3.0)) width=(At((axis.at(until) - axis.at(from)).max(0.8)))
                        height=(At(rows.height - 6.0)) rx="3" {
                        title { "a replica on node " (node) " from " (moment(from)) " to " (moment(until)) }
                    }
                }
            }
        }
    }
}

/// A line from each action down to the nodes that it concerns, and its name where there is room.
fn actions(changes: &[Change], rows: &Rows, axis: &TimeAxis, bottom: f64) -> Markup {
    let acts: Vec<&Change> = changes.iter().filter(|change| !change.action.is_empty()).collect();
    html! {
        @for (change, name) in acts.iter().zip(names(&acts, axis)) {
            @let x = axis.at(change.at_s);
            @let top = name.as_ref().map_or(TOP - 5.0, |name| name.y - 8.0);
            g class=(rows.class(change.agent)) {
                title { (moment(change.at_s)) ", " (by_whom(change)) ": " (change.action) }
                line.lead x1=(At(x)) x2=(At(x)) y1=(At(top)) y2=(At(bottom)) {}
                @if let Some(name) = name { text.action x=(At(x + 3.0)) y=(At(name.y)) { (name.text) } }
            }
        }
    }
}

struct Name {
    text: String,
    y: f64,
}

/// What each action is called in the picture, on the first level that has room; `None`: on no level.
fn names(acts: &[&Change], axis: &TimeAxis) -> Vec<Option<Name>> {
    let mut ends = [f64::NEG_INFINITY; LEVELS];
    let name = |change: &&Change| {
        let text = change.agent.map_or_else(|| change.action.clone(), |agent| format!("{agent}: {}", change.action));
        let x = axis.at(change.at_s);
        let end = x + text.chars().count() as f64 * 6.2 + 6.0;
        // From the top, where no name below is crossed by the line that leads down.
        let level = (0..LEVELS).find(|level| ends[*level..].iter().all(|taken| x > *taken)).filter(|_| end < WIDTH)?;
        ends[level] = end;
        Some(Name { text, y: LINE * (level + 1) as f64 })
    };
    acts.iter().map(name).collect()
}

/// Bytes on their way: a frame where they are to lie, for as long as they take, and an arrow from where they come.
fn transfers(history: &History, rows: &Rows, axis: &TimeAxis) -> Markup {
    let all = &history.transfers[..history.transfers.len().min(SHOWN_CHANGES)];
    html! {
        @for transfer in all {
            @if let Some((from, to)) = ends(transfer, rows) {
                @let (begins, ends) = (axis.at(transfer.began_s), axis.at(transfer.ended_s));
                g.broken[transfer.end == End::BrokenOff] {
                    title { (told(transfer)) }
                    rect.coming x=(At(begins)) y=(At(to - rows.height / 2.0 + 3.0)) width=(At(ends - begins))
                        height=(At(rows.height - 6.0)) rx="3" {}
                    @if all.len() <= DRAWN_WAYS { (way(transfer.end, (begins, from), (ends, to))) }
                }
            }
        }
    }
}

/// The middles of the rows that bytes come from and go to.
fn ends(transfer: &Transfer, rows: &Rows) -> Option<(f64, f64)> {
    Some((rows.middle(transfer.action.from_node()?.0)?, rows.middle(transfer.action.to_node()?.0)?))
}

fn told(transfer: &Transfer) -> String {
    let Transfer { agent, action, began_s, ended_s, end } = transfer;
    let agent = agent.map_or(String::new(), |agent| format!(" of agent {agent}"));
    let (began, ended) = (moment(*began_s), moment(*ended_s));
    match end {
        End::Arrived => format!("bytes for {action}{agent} on their way from {began} to {ended}"),
        End::BrokenOff => format!("bytes for {action}{agent} on their way from {began} until it broke off at {ended}"),
        End::NotYet => format!("bytes for {action}{agent} on their way since {began}"),
    }
}

/// From where and when bytes set out to where and when they arrived; half of it where they did not.
fn way(end: End, (x, from): (f64, f64), (until, to): (f64, f64)) -> Markup {
    let arrives = end == End::Arrived;
    let y = if arrives { to } else { (from + to) / 2.0 };
    let mut line = Path::default();
    line.start(x, from);
    line.line(until, y);
    let (along, down) = (until - x, y - from);
    let length = along.hypot(down).max(f64::EPSILON);
    let (along, down) = (along / length, down / length);
    // Both sides of the head, behind its tip.
    for side in [-3.5, 3.5].into_iter().filter(|_| arrives) {
        line.start(until - 5.0 * along - side * down, y - 5.0 * down + side * along);
        line.line(until, y);
    }
    if end == End::BrokenOff {
        for side in [-3.5, 3.5] {
            line.start(until - 3.5, y - side);
            line.line(until + 3.5, y + side);
        }
    }
    html! {
        path.way d=(line.end()) {}
        circle.source cx=(At(x)) cy=(At(from)) r="2.5" {}
    }
}

/// A line for each agent, in the row of the node that it reads; its name at the end.
fn readers(history: &History, rows: &Rows, axis: &TimeAxis) -> Markup {
    let last = history.changes.last();
    let height = |index: usize, agent: &u32| {
        last.and_then(|change| rows.reader(index, *change.references.get(agent)?)).unwrap_or(rows.bottom())
    };
    let wanted: Vec<f64> = rows.agents.iter().enumerate().map(|(index, agent)| height(index, agent)).collect();
    let places = spread_out(&wanted, 12.0, rows.top + 4.0, rows.bottom().max(rows.top + wanted.len() as f64 * 12.0));
    let right = WIDTH - RIGHT;
    html! {
        @for (index, agent) in rows.agents.iter().enumerate() {
            g class=(palette::agent(index)) {
                path.reader d=(reading(history, rows, axis, (index, *agent))) {}
                path.leader d={ "M" (At(right + 1.0)) " " (At(wanted[index])) "L" (At(right + 10.0)) " " (At(places[index])) } {}
                text.end x=(At(right + 13.0)) y=(At(places[index] + 4.0)) { "agent " (agent) }
            }
        }
    }
}

fn reading(history: &History, rows: &Rows, axis: &TimeAxis, (index, agent): (usize, u32)) -> String {
    let mut path = Path::default();
    let mut is_drawn = false;
    for (change, until) in history.spans() {
        let y = change.references.get(&agent).and_then(|node| rows.reader(index, *node));
        let Some(y) = y else {
            is_drawn = false;
            continue;
        };
        let x = axis.at(change.at_s);
        if is_drawn {
            path.step(x, y)
        } else {
            path.start(x, y)
        }
        path.line(axis.at(until), y);
        is_drawn = true;
    }
    path.end()
}

/// How many read a replica, where that can be written into its bar.
fn reader_counts(history: &History, rows: &Rows, axis: &TimeAxis) -> Markup {
    html! {
        @for node in &rows.nodes {
            @for (from, until, readers) in counts(history, *node) {
                @let width = axis.at(until) - axis.at(from);
                @if let Some(y) = rows.middle(*node).filter(|_| width > 74.0) {
                    text.count x=(At(axis.at(from) + 6.0)) y=(At(y + 4.0)) { (readers) @if readers == 1 { " reader" } @else { " readers" } }
                }
            }
        }
    }
}

/// From, until, how many read the node; while it holds a replica.
fn counts(history: &History, node: u32) -> Vec<(f64, f64, usize)> {
    let mut counts: Vec<(f64, f64, usize)> = Vec::new();
    for (change, until) in history.spans().filter(|(change, _)| change.replicas.contains(&node)) {
        let readers = change.readers(node).count();
        match counts.last_mut().filter(|last| last.2 == readers && last.1 >= change.at_s) {
            Some(last) => last.1 = until,
            None => counts.push((change.at_s, until, readers)),
        }
    }
    counts
}

/// Who changed it.
pub fn by_whom(change: &Change) -> String {
    change.agent.map_or_else(|| "nobody".to_owned(), |agent| format!("agent {agent}"))
}

/// Nodes as people list them.
pub fn nodes(nodes: impl IntoIterator<Item = u32>) -> String {
    let all: Vec<String> = nodes.into_iter().map(|node| node.to_string()).collect();
    match all.as_slice() {
        [] => "no node".to_owned(),
        [one] => format!("node {one}"),
        many => format!("nodes {}", many.join(", ")),
    }
}

fn heard(history: &History) -> String {
    let (Some(first), Some(last)) = (history.changes.first(), history.changes.last()) else {
        return "nothing is known".to_owned();
    };
    let changes = history.changes.len() - 1;
    format!(
        "Replicas on {} at first, {changes} changes, on {} at the end",
        nodes(first.replicas.iter().copied()),
        nodes(last.replicas.iter().copied())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::placement::tests::history;

    #[test]
    fn bars_lines_and_actions_tell_what_happened() {
        let svg = timeline("A run", &history(), &[]).into_string();
        assert!(svg.contains("Replicas on node 3 at first, 2 changes, on nodes 1, 3 at the end"), "{svg}");
        assert_eq!(svg.matches("class=\"held\"").count(), 3);
        assert_eq!(svg.matches("class=\"reader\"").count(), 3);
        assert_eq!(svg.matches("class=\"way\"").count(), 2);
        assert!(
            svg.contains("<title>bytes for C1_3 of agent 1 on their way from 90\u{a0}s to 2\u{a0}min</title>"),
            "{svg}"
        );
        assert!(svg.contains(">2: M3_1</text>") && svg.contains(">1: C1_3</text>"), "{svg}");
        assert!(svg.contains("<title>63\u{a0}s, agent 2: M3_1</title>"), "{svg}");
        assert_eq!(left_out(&history()), None);
    }

    #[test]
    fn a_way_leads_from_when_bytes_set_out_to_when_they_arrived() {
        let drawn = |end| way(end, (100.0, 10.0), (130.0, 50.0)).into_string();
        assert!(drawn(End::Arrived).contains("d=\"M100 10l30 40M"), "{}", drawn(End::Arrived));
        assert!(drawn(End::NotYet).contains("d=\"M100 10l30 20\""), "{}", drawn(End::NotYet));
        assert!(drawn(End::BrokenOff).contains("d=\"M100 10l30 20M126.5 33.5l7-7M"), "{}", drawn(End::BrokenOff));
    }

    #[test]
    fn what_broke_off_stands_out() {
        let mut history = history();
        assert!(!how_to_read(&history).contains("red"));
        history.transfers[0].end = End::BrokenOff;
        let svg = timeline("A run", &history, &[]).into_string();
        assert!(svg.contains("<g class=\"broken\"><title>bytes for M3_1 of agent 2"), "{svg}");
        assert!(how_to_read(&history).contains("red where they never arrived"));
    }

    #[test]
    fn of_many_agents_readers_are_counted() {
        let mut history = history();
        for change in &mut history.changes {
            change.references = (1..=30).map(|agent| (agent, *change.replicas.first().unwrap())).collect();
        }
        let svg = timeline("A run", &history, &[]).into_string();
        assert!(svg.contains(">30 readers</text>"), "{svg}");
        assert!(!svg.contains("class=\"reader\""), "{svg}");
    }

    #[test]
    fn of_many_nodes_those_are_shown_on_which_most_changed() {
        let mut history = history();
        history.changes[1].replicas.extend(100..200);
        assert_eq!(shown_nodes(&history).len(), SHOWN_NODES);
        assert_eq!(shown_nodes(&history)[..2], [1, 3]);
        assert_eq!(left_out(&history).unwrap(), "Not shown: 78 nodes on which less changed.");
    }

    #[test]
    fn jobs_lie_above_the_nodes() {
        let lane = Lane {
            name: "agent 1".to_owned(),
            jobs: vec![(10.0, agent_core::domain::measurement::JobOutcome::Missed)],
        };
        let svg = timeline("A run", &history(), &[lane]).into_string();
        assert!(svg.contains(">1 of 1</text>") && svg.contains("class=\"violated\""), "{svg}");
    }
}
