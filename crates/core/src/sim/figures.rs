//! What a run came to in a few numbers, to be held beside another one's.

use super::setup::Outcome;
use crate::config::scenario::Scenario;
use crate::domain::action::Action;
use crate::domain::event::{self, Event};
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::reads::Reads;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::planner::{Decision, has_transferred};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug)]
pub struct Figures {
    pub at: Timestamp,
    pub converged: bool,
    /// Jobs that were measured, those of them that missed their goals, and those besides that have no result.
    pub jobs: u64,
    pub violated: u64,
    pub failed: u64,
    /// Chosen, whatever became of them.
    pub actions: u64,
    /// Of these, those that were carried out.
    pub done: u64,
    /// Of the actions, as their agents state it.
    pub cost: f64,
    pub bytes_moved: u64,
    /// Nodes with a present replica, of each data set.
    pub replicas: BTreeMap<DataSetName, Vec<NodeId>>,
    /// Where each agent reads.
    pub references: BTreeMap<AgentId, Reads>,
}

impl Figures {
    pub fn new(scenario: &Scenario, outcome: &Outcome) -> Self {
        let actions: Vec<&Event> = outcome.events.iter().filter(|event| event.action != Action::Nothing).collect();
        let travelled = actions.iter().filter(|event| {
            let decision: Option<Decision> = serde_json::from_str(&event.detail).ok();
            has_transferred(event, decision.as_ref())
        });
        let tallies = || outcome.tallies.values();
        let holders = |snapshot: &Snapshot| {
            (snapshot.data_set.name.clone(), snapshot.placement.nodes().into_iter().collect::<Vec<_>>())
        };
        Self {
            at: outcome.at(),
            converged: outcome.converged,
            jobs: tallies().map(|tally| tally.jobs).sum(),
            violated: tallies().map(|tally| tally.violated).sum(),
            failed: tallies().map(|tally| tally.failed).sum(),
            actions: actions.len() as u64,
            done: actions.iter().filter(|event| event.outcome == event::Outcome::Done).count() as u64,
            cost: actions.iter().map(|event| scenario.cost(event.agent, event.action)).sum(),
            bytes_moved: travelled.map(|event| scenario.bytes(&event.data_set)).fold(0, u64::saturating_add),
            replicas: outcome.snapshots.iter().map(holders).collect(),
            references: Reads::of_all(&outcome.snapshots),
        }
    }
}
