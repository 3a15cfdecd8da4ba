//! The published algorithm, exactly, flaws included: a baseline that others can be compared with.

use super::by_impacts::{ByImpacts, global, scored};
use super::{ByScore, Change, Decider, Expected, Parameters, Policy, PreviousJob, Scored, Scoring, Situation};
use crate::domain::action::Action;
use crate::domain::event::Window;
use crate::domain::ids::{EventId, NodeId, ReplicaId};
use crate::domain::measurement::Measurement;
use crate::domain::score::{self, Pursue};
use crate::domain::snapshot::Snapshot;
use std::sync::Arc;

/// Source: the published three-agent system; `docs/algorithm.md` has every formula.
pub struct Reference;

impl Policy for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn decider(&self, _: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(ByScore::new(Self))
    }

    /// The published system drops the measurement and goes on with its loop.
    fn pauses_when_stale(&self) -> bool {
        true
    }

    /// Counts the copies ever made of the replica; nothing brings consistency back.
    fn consistency(&self, snapshot: &Snapshot, replica: ReplicaId, max_copies: u32) -> f64 {
        let copies = snapshot.copies_made.get(&replica).copied().unwrap_or(0);
        (1.0 - f64::from(copies) / f64::from(max_copies)).max(0.0)
    }

    /// Everybody with an open event on the replica, whatever the action did.
    fn blame(
        &self,
        parameters: &Parameters,
        _: Option<PreviousJob>,
        measurement: &Measurement,
        snapshot: &Snapshot,
    ) -> Vec<EventId> {
        let reference = snapshot.placement.references.get(&parameters.agent).copied().unwrap_or(measurement.replica);
        snapshot
            .open_events
            .iter()
            .filter(|event| event.window == Window::Open && event.agent != parameters.agent)
            .filter(|event| event.replica == reference)
            .map(|event| event.id)
            .collect()
    }

    /// What is learned about a change of reference is stored and never read again (flaw 5).
    fn learned_as(&self, action: Action, _: NodeId, _: NodeId) -> Change {
        Change::Action(action)
    }
}

impl Scoring for Reference {
    fn name(&self) -> &'static str {
        Policy::name(self)
    }

    /// Nothing, every move and copy from the reference's node (also onto a node that holds a replica), and a change to each
    /// replica on another node; without what is forbidden now.
    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        let from = situation.reference.node;
        let elsewhere = || situation.snapshot.destinations().map(|node| node.id).filter(move |node| *node != from);
        let moves = elsewhere().map(|to| Action::Move { from, to });
        let copies = elsewhere().map(|to| Action::Copy { from, to });
        let replicas = situation.snapshot.placement.nodes().into_iter().filter(|node| *node != from);
        let changes = replicas.map(|to| Action::ChangeReference { to });
        let all = std::iter::once(Action::Nothing).chain(moves).chain(copies).chain(changes);
        let agent = situation.parameters.agent;
        all.filter(|action| situation.snapshot.forbids(agent, *action).is_none()).collect()
    }

    fn score(&self, situation: &Situation, action: Action) -> Scored {
        scored::<Self>(situation, action)
    }

    fn global(&self, situation: &Situation, action: Action) -> f64 {
        global::<Self>(situation, action)
    }
}

impl ByImpacts for Reference {
    const PURSUE: Pursue = Pursue::LastBranch;

    /// A change of reference is expected to do what the move there would. The published system trained every pair of nodes; where
    /// it has no vector, it says nothing, and the agent's prediction stands in: else a node added later were out of its reach.
    fn expected<'a>(situation: &'a Situation, action: Action) -> Option<Expected<'a>> {
        match action {
            Action::Nothing => Some(Expected::Known(&situation.nothing)),
            Action::ChangeReference { to } => situation.expected_of_going(to),
            Action::Move { .. } | Action::Copy { .. } | Action::Evict { .. } => situation.expected(action),
            // The published system knows neither.
            Action::Restore { .. } | Action::MoveWork { .. } => None,
        }
    }

    fn counter(situation: &Situation, action: Action) -> u32 {
        situation.snapshot.counter(action)
    }

    fn global(internal: f64, counter: u32, penalty: f64) -> f64 {
        score::global_published(internal, counter, penalty)
    }
}
