//! A chosen action in the shared table, for everybody to see and to answer.

use super::action::{Action, Labelled};
use super::ids::{AgentId, DataSetName, EventId, ReplicaId};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Whether an event still collects feedback.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    Open,
    Closed,
}

/// How far the action of an event came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Claimed, not yet committed.
    Running,
    /// Committed: the catalogue names the new placement.
    Done,
    /// It could not be carried out; nothing changed.
    Failed,
    /// Its agent died or gave up; nothing changed.
    Aborted,
}

impl Window {
    pub fn name(self) -> &'static str {
        match self {
            Window::Open => "open",
            Window::Closed => "closed",
        }
    }
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Running => "running",
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Aborted => "aborted",
        }
    }
}

/// One row of `events`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub agent: AgentId,
    pub data_set: DataSetName,
    /// The replica that the agent referenced *before* the action.
    pub replica: ReplicaId,
    pub action: Action,
    /// Chosen at random instead of by score.
    pub explored: bool,
    pub posted_at: Timestamp,
    pub closes_at: Timestamp,
    pub window: Window,
    pub outcome: Outcome,
    /// Since when it is no longer running.
    pub ended_at: Option<Timestamp>,
    pub feedback_sum: f64,
    /// The decision's report as JSON (see `mape::planner::Decision`), and after a failure what went wrong.
    pub detail: String,
}

impl Event {
    /// Its action as people read it; `several`: there are several data sets.
    pub fn labelled(&self, several: bool) -> Labelled {
        Labelled { data_set: several.then(|| self.data_set.clone()), action: self.action }
    }
}
