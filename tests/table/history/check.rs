//! What must be true of a history: each data set behaves as if one call had been carried out after the other, each blame is kept
//! once, each window closes once, and counters have moved by exactly that.

use super::record::{Asking, History};
use super::reference::{DataSet, seconds};
use super::search::{Reference, Timed, explain};
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome, Window};
use agent_core::domain::ids::{AgentId, DataSetName, EventId};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::{ClosedEvent, Feedback};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub const WINDOW: Duration = Duration::from_secs(60);
pub const GRACE: Duration = Duration::from_secs(10);
pub const THRESHOLD: f64 = 0.3;
/// Sums of a few numbers between 0 and 1, in any order.
const TOLERANCE: f64 = 1e-9;

/// `Err`: the first thing that is not true, with the calls that show it.
pub fn check(history: &History, beginnings: &BTreeMap<DataSetName, DataSet>) -> Result<(), String> {
    for (name, calls) in &history.data_sets {
        explain(beginnings[name].clone(), calls).map_err(|why| format!("data set {name}: {why}"))?;
    }
    grants(history)?;
    feedback(history)?;
    let agents = beginnings.values().next().map_or(0, DataSet::agents);
    counters(history, agents)
}

/// One event for each key, and one key for each event.
fn grants(history: &History) -> Result<(), String> {
    for (number, key, event) in &history.grants {
        let kept = history.end.events.get(key).map(|event| event.id);
        if kept != Some(*event) {
            return Err(format!("call {number}: claim {key} was granted as event {event}, the table has {kept:?}"));
        }
    }
    let ids: BTreeSet<EventId> = history.end.events.values().map(|event| event.id).collect();
    if ids.len() < history.end.events.len() {
        return Err(format!("two claims have one event: {:?}", history.end.events));
    }
    Ok(())
}

fn feedback(history: &History) -> Result<(), String> {
    let mut said: BTreeMap<(EventId, AgentId), &Asking<Vec<Feedback>>> = BTreeMap::new();
    for call in &history.blames {
        for left in call.answer.iter().flatten() {
            if let Some(earlier) = said.insert((left.event, left.agent), call) {
                return Err(format!(
                    "feedback of agent {} on event {} was newly left twice:\n  {earlier}\n  {call}",
                    left.agent, left.event
                ));
            }
            if !history.end.feedback.contains(left) {
                return Err(format!("feedback is lost: {call} left {left:?}; the table does not have it"));
            }
        }
    }
    let mut kept = BTreeSet::new();
    for one in &history.end.feedback {
        if !kept.insert((one.event, one.agent)) {
            return Err(format!("agent {} has left feedback on event {} twice", one.agent, one.event));
        }
        let unknown =
            |call: &&Asking<Vec<Feedback>>| call.answer.is_none() && call.by == one.agent && call.at == one.left_at;
        if !said.contains_key(&(one.event, one.agent)) && history.blames.iter().find(unknown).is_none() {
            return Err(format!("nobody left this feedback: {one:?}"));
        }
    }
    for event in history.end.events.values() {
        of_event(event, &on(history, event.id))?;
    }
    Ok(())
}

fn on(history: &History, event: EventId) -> Vec<Feedback> {
    history.end.feedback.iter().filter(|one| one.event == event).copied().collect()
}

/// Blame falls from 1 to 0 over the window; its sum stands in the event.
fn of_event(event: &Event, feedback: &[Feedback]) -> Result<(), String> {
    for one in feedback {
        let share = (one.left_at.0 - event.posted_at.0) as f64 / WINDOW.as_millis() as f64;
        if (one.p - (1.0 - share)).abs() > TOLERANCE || !(0.0..=1.0).contains(&share) || one.agent == event.agent {
            return Err(format!("{one:?} is not what is left on {event:?} at {} s", seconds(one.left_at)));
        }
    }
    let sum: f64 = feedback.iter().map(|one| one.p).sum();
    if (sum - event.feedback_sum).abs() > TOLERANCE {
        return Err(format!(
            "event {} says that its feedback is {}, but it is {feedback:?}",
            event.id, event.feedback_sum
        ));
    }
    Ok(())
}

/// What a closing event does to its action's counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Move {
    Up,
    Down,
    Stays,
}

/// An action's counter: where it stands, and which events have closed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
struct Counter {
    value: u32,
    closed: BTreeSet<EventId>,
}

#[derive(Clone, Debug)]
enum Count {
    /// An event closed, and its caller was told that the counter went from here to there.
    Close { event: EventId, moves: Move, told: Option<(u32, u32)>, by: String },
    /// What stands in the table in the end.
    End { value: u32, closed: BTreeSet<EventId> },
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Close { event, moves, told, by } => {
                let told = told.map_or("no answer".to_owned(), |(before, after)| format!("{before} to {after}"));
                write!(f, "{by}, close event {event} ({moves:?}) -> {told}")
            }
            Count::End { value, closed } => write!(f, "in the end the table says {value} after closing {closed:?}"),
        }
    }
}

impl Reference for Counter {
    type Call = Count;

    fn after(&self, call: &Count) -> Result<Self, String> {
        match call {
            Count::Close { event, moves, told, .. } => {
                let mut next = self.clone();
                if !next.closed.insert(*event) {
                    return Err("it has closed already".to_owned());
                }
                next.value = match moves {
                    Move::Up => self.value + 1,
                    Move::Down => self.value.saturating_sub(1),
                    Move::Stays => self.value,
                };
                let own = (self.value, next.value);
                if told.is_some_and(|told| told != own) {
                    Err(format!("from {} to {}", own.0, own.1))
                } else {
                    Ok(next)
                }
            }
            Count::End { value, closed } if *value != self.value || *closed != self.closed => {
                Err(format!("the reference has {} after closing {:?}", self.value, self.closed))
            }
            Count::End { .. } => Ok(self.clone()),
        }
    }
}

fn counters(history: &History, agents: usize) -> Result<(), String> {
    let counted = |event: &Event| (event.data_set.clone(), event.action);
    let mut of_action: BTreeMap<(DataSetName, Action), Vec<Timed<Count>>> = BTreeMap::new();
    let by_id: BTreeMap<EventId, &Event> = history.end.events.values().map(|event| (event.id, event)).collect();
    let told: BTreeSet<EventId> =
        history.closings.iter().flat_map(|call| call.answer.iter().flatten()).map(|closed| closed.event).collect();
    for call in &history.closings {
        match &call.answer {
            Some(closed) => {
                for closed in closed {
                    let event =
                        by_id.get(&closed.event).ok_or_else(|| format!("{call} closed an unknown {closed:?}"))?;
                    closing(history, call, event, closed)?;
                    let told = Some((closed.counter_before, closed.counter_after));
                    of_action.entry(counted(event)).or_default().push(count(history, call, event, told, agents));
                }
            }
            // It may have closed whatever was due and nobody else says to have closed.
            None => {
                let due = by_id.values().filter(|event| !told.contains(&event.id) && is_due(event, call.by, call.at));
                for event in due {
                    of_action.entry(counted(event)).or_default().push(count(history, call, event, None, agents));
                }
            }
        }
    }
    for action in by_id.values().map(|event| counted(event)) {
        let calls = of_action.entry(action.clone()).or_default();
        let is_end = |timed: &Timed<Count>| matches!(timed.call, Count::End { .. });
        if calls.iter().any(is_end) {
            continue;
        }
        let closed = by_id.values().filter(|event| counted(event) == action && event.window == Window::Closed);
        let closed = closed.map(|event| event.id).collect();
        let value = history.end.counters.get(&action).copied().unwrap_or(0);
        calls.push(Timed { call: Count::End { value, closed }, invoked: u64::MAX - 1, answered: Some(u64::MAX) });
    }
    for ((_, action), calls) in of_action {
        explain(Counter::default(), &calls).map_err(|why| format!("the counter of {action}: {why}"))?;
    }
    Ok(())
}

fn count(
    history: &History,
    call: &Asking<Vec<ClosedEvent>>,
    event: &Event,
    told: Option<(u32, u32)>,
    agents: usize,
) -> Timed<Count> {
    let sum: f64 = on(history, event.id).iter().map(|one| one.p).sum();
    let moves = match event.outcome {
        Outcome::Done if sum / (agents - 1) as f64 >= THRESHOLD => Move::Up,
        Outcome::Done => Move::Down,
        Outcome::Running | Outcome::Failed | Outcome::Aborted => Move::Stays,
    };
    let (event, by) = (event.id, call.to_string());
    Timed { call: Count::Close { event, moves, told, by }, invoked: call.invoked, answered: call.answered }
}

/// An agent closes its own when the window is over, and others' when those have had their time to.
fn is_due(event: &Event, by: AgentId, at: Timestamp) -> bool {
    let patience = if event.agent == by { WINDOW } else { WINDOW + GRACE };
    event.posted_at + patience <= at
}

/// All feedback was in the sum when it closed, and the time had come.
fn closing(
    history: &History,
    call: &Asking<Vec<ClosedEvent>>,
    event: &Event,
    closed: &ClosedEvent,
) -> Result<(), String> {
    if !is_due(event, call.by, call.at) {
        return Err(format!("{call} closed event {} of {} s too early", event.id, seconds(event.posted_at)));
    }
    let sum: f64 = on(history, event.id).iter().map(|one| one.p).sum();
    if (sum - closed.feedback_sum).abs() > TOLERANCE {
        return Err(format!(
            "feedback is lost: {call} closed event {} with {} of feedback, the table has {sum}",
            event.id, closed.feedback_sum
        ));
    }
    Ok(())
}
