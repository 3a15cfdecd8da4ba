//! The published algorithm, exactly, flaws included: a baseline that others can be compared with.

use super::{ByScore, Change, Decider, Expected, Parameters, Policy, PreviousJob, Scored, Scoring, Situation, Verdict};
use crate::domain::action::Action;
use crate::domain::event::Window;
use crate::domain::ids::{EventId, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
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
        Box::new(ByScore(Self))
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
    fn learned_as(&self, action: Action, _: NodeId) -> Change {
        Change::Action(action)
    }
}

impl Scoring for Reference {
    fn name(&self) -> &'static str {
        Policy::name(self)
    }

    /// Nothing, every move and copy from the reference's node (also onto a node that holds a replica), and a change to each
    /// replica on another node.
    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        let from = situation.reference.node;
        let elsewhere = || situation.snapshot.destinations().map(|node| node.id).filter(move |node| *node != from);
        let moves = elsewhere().map(|to| Action::Move { from, to });
        let copies = elsewhere().map(|to| Action::Copy { from, to });
        let replicas = situation.snapshot.placement.nodes().into_iter().filter(|node| *node != from);
        let changes = replicas.map(|to| Action::ChangeReference { to });
        std::iter::once(Action::Nothing).chain(moves).chain(copies).chain(changes).collect()
    }

    fn score(&self, situation: &Situation, action: Action) -> Scored {
        let counter = situation.snapshot.counter(action);
        scored(situation, action, impacts(situation, action), Pursue::LastBranch, counter, score::global_published)
    }
}

/// A change of reference is expected to do what the move there would. The published system trained every pair of nodes; where
/// it has no vector, it says nothing, and the agent's prediction stands in: else a node added later were out of its reach.
fn impacts(situation: &Situation, action: Action) -> Option<Expected> {
    match action {
        Action::Nothing => Some(Expected::known(nothing(situation))),
        Action::ChangeReference { to } => situation.expected_of_going(to),
        Action::Move { .. } | Action::Copy { .. } | Action::Evict { .. } => situation.expected(action),
    }
}

/// Doing nothing changes no metric.
pub(super) fn nothing(situation: &Situation) -> Impacts {
    situation.parameters.goal.thresholds().into_iter().map(|bound| (bound.metric, 0.0)).collect()
}

/// Appraises a candidate and weakens its score by the counter.
pub(super) fn scored(
    situation: &Situation,
    action: Action,
    expected: Option<Expected>,
    pursue: Pursue,
    counter: u32,
    global: fn(f64, u32, f64) -> f64,
) -> Scored {
    let parameters = situation.parameters;
    let infeasible = |why: String| Scored { action, verdict: Verdict::Infeasible { why } };
    let Some(Expected { impacts, basis }) = expected else {
        return infeasible(
            "no impacts are known: it was neither trained nor learned, and its node is unknown".to_owned(),
        );
    };
    let appraisal = match situation.roles.appraise(&impacts, pursue) {
        Ok(appraisal) => appraisal,
        Err(metric) => return infeasible(format!("its impact on {metric} is not known")),
    };
    let cost = parameters.cost(action.kind());
    let internal = score::internal(appraisal.value, cost);
    let global = global(internal, counter, parameters.penalty);
    Scored { action, verdict: Verdict::Feasible { impacts, basis, appraisal, cost, internal, counter, global } }
}
