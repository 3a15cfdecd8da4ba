//! Where the replicas were and who read which, put together from what the table keeps: the events, and what jobs read.
//!
//! The table holds the present placement alone. Its past follows from the first decision, which says where replicas were then, and
//! from every action that was done since. Whom an action gave another replica is seen at their next job.

use super::{Act, Course, Job};
use crate::report::placement::{Change, End, History, Transfer};
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A placement over time, and whether it ends where the table says it is.
#[derive(Clone, PartialEq, Debug)]
pub struct Replay {
    pub history: History,
    /// What the events lead to, where the table has something else: somebody changed it without an event.
    pub expected: Option<BTreeSet<u32>>,
}

/// What is found in the table, in the order of time.
enum Found<'a> {
    Done(&'a Act),
    Read(&'a Job),
}

pub fn replay(course: &Course) -> Replay {
    let mut done: Vec<&Act> = course.acts.iter().filter(|act| act.is_done()).collect();
    done.sort_by_key(|act| (act.ended(), act.event.id));
    let mut found: Vec<(Timestamp, Found)> = done.iter().map(|act| (act.ended(), Found::Done(act))).collect();
    let tells = |job: &&Job| !done.iter().any(|act| job.began() <= act.ended() && act.ended() <= job.measurement.at);
    found.extend(course.jobs.iter().filter(tells).map(|job| (job.began(), Found::Read(job))));
    found.sort_by_key(|(at, _)| *at);

    let first =
        Change { replicas: first_replicas(course), references: first_readers(course, &done), ..Change::default() };
    let mut changes = vec![first.clone()];
    let mut now = first;
    for (at, found) in found {
        let next = match found {
            Found::Done(act) => acted(&now, act),
            Found::Read(job) => read(&now, job),
        };
        if next.action.is_empty() && next.references == now.references {
            continue;
        }
        now = Change { at_s: course.second(at), ..next };
        changes.push(now.clone());
    }
    let lasts_s = course.second(course.ended());
    let present: BTreeSet<u32> = course.snapshot.placement.nodes().into_iter().map(|node| node.0).collect();
    let expected = (now.replicas != present).then(|| now.replicas.clone());
    let end =
        Change { at_s: lasts_s, agent: None, action: String::new(), replicas: present, references: readers(course) };
    if (&end.replicas, &end.references) != (&now.replicas, &now.references) {
        changes.push(end);
    }
    Replay { history: History { lasts_s, changes, transfers: transfers(course) }, expected }
}

/// Also those that broke off, and those under way.
fn transfers(course: &Course) -> Vec<Transfer> {
    let transfer = |act: &Act| {
        let Event { agent, action, posted_at, ended_at, outcome, .. } = &act.event;
        let end = match outcome {
            Outcome::Done => End::Arrived,
            Outcome::Failed | Outcome::Aborted => End::BrokenOff,
            Outcome::Running => End::NotYet,
        };
        act.brings_bytes().then_some(())?;
        let began_s = course.second(*posted_at);
        let ended_s = course.second(ended_at.unwrap_or(course.ended()));
        Some(Transfer { agent: Some(agent.0), action: *action, began_s, ended_s, end })
    };
    let mut transfers: Vec<Transfer> = course.acts.iter().filter_map(transfer).collect();
    transfers.sort_by(|a, b| a.began_s.total_cmp(&b.began_s));
    transfers
}

/// As the first decision saw it; without one, as it is now.
fn first_replicas(course: &Course) -> BTreeSet<u32> {
    let first = course.acts.iter().min_by_key(|act| (act.event.posted_at, act.event.id));
    let seen = first.and_then(|act| act.explanation.as_ref()).map(|explanation| explanation.replica_nodes.clone());
    seen.unwrap_or_else(|| course.snapshot.placement.nodes()).into_iter().map(|node| node.0).collect()
}

/// What each agent's first job read, when nobody had acted yet.
fn first_readers(course: &Course, done: &[&Act]) -> BTreeMap<u32, u32> {
    let first = done.first().map(|act| act.ended());
    let mut readers = BTreeMap::new();
    for job in course.jobs.iter().filter(|job| first.is_none_or(|first| job.began() < first)) {
        readers.entry(job.measurement.agent.0).or_insert(job.measurement.node.0);
    }
    readers
}

/// As the table has it now.
fn readers(course: &Course) -> BTreeMap<u32, u32> {
    let placement = &course.snapshot.placement;
    let reads = |agent: &agent_core::domain::ids::AgentId| Some((agent.0, placement.reference(*agent)?.node.0));
    placement.references.keys().filter_map(reads).collect()
}

fn acted(now: &Change, act: &Act) -> Change {
    let agent = act.event.agent.0;
    let (mut replicas, mut references) = (now.replicas.clone(), now.references.clone());
    match act.event.action {
        Action::Nothing | Action::MoveWork { .. } => {}
        Action::Move { from, to } => {
            replicas.remove(&from.0);
            replicas.insert(to.0);
            references.values_mut().filter(|node| **node == from.0).for_each(|node| *node = to.0);
            references.insert(agent, to.0);
        }
        Action::Copy { to, .. } => {
            replicas.insert(to.0);
            references.insert(agent, to.0);
        }
        Action::ChangeReference { to } => _ = references.insert(agent, to.0),
        Action::Restore { to, .. } => _ = replicas.insert(to.0),
        Action::Evict { node } => {
            replicas.remove(&node.0);
            references.retain(|_, read| *read != node.0);
        }
    }
    Change { agent: Some(agent), action: act.event.action.to_string(), replicas, references, at_s: 0.0 }
}

fn read(now: &Change, job: &Job) -> Change {
    let mut references = now.references.clone();
    references.insert(job.measurement.agent.0, job.measurement.node.0);
    Change { references, replicas: now.replicas.clone(), ..Change::default() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{act, course, job, usual};
    use super::*;

    fn told(replay: &Replay) -> Vec<String> {
        let change = |change: &Change| {
            let readers: Vec<String> =
                change.references.iter().map(|(agent, node)| format!("{agent}>{node}")).collect();
            format!("{} {} {:?} {}", change.at_s, change.action, change.replicas, readers.join(" "))
        };
        replay.history.changes.iter().map(change).collect()
    }

    #[test]
    fn events_are_played_again_from_what_the_first_decision_saw() {
        let replay = replay(&usual());
        let expected = ["0  {3} 1>3 2>3", "22 M3_1 {1} 1>1 2>1", "52 C1_2 {1, 2} 1>1 2>2"];
        assert_eq!(told(&replay), expected);
        assert_eq!((replay.expected, replay.history.lasts_s), (None, 80.0));
    }

    #[test]
    fn whom_an_eviction_moved_is_seen_at_the_next_job() {
        let jobs = vec![job(1, 1, 10, true), job(2, 2, 11, false), job(1, 2, 60, true)];
        let replay = replay(&course(jobs, vec![act(1, 2, "E1", 20, &[1, 2])], [2, 2]));
        assert_eq!(told(&replay), ["0  {1, 2} 1>1 2>2", "22 E1 {2} 2>2", "50  {2} 1>2 2>2"]);
    }

    #[test]
    fn a_change_without_an_event_is_said() {
        let mut course = usual();
        course.acts.pop();
        let replay = replay(&course);
        assert_eq!(replay.expected, Some(BTreeSet::from([1])));
        assert_eq!(told(&replay).last().unwrap(), "80  {1, 2} 1>1 2>2");
    }

    #[test]
    fn without_events_the_placement_was_what_it_is() {
        let replay = replay(&course(vec![job(1, 1, 10, true)], Vec::new(), [1, 2]));
        assert_eq!(told(&replay), ["0  {1, 2} 1>1", "10  {1, 2} 1>1 2>2"]);
    }
}
