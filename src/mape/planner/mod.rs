//! Planning: which action, if any, and why. Policies are interchangeable behind one trait, a file each.

mod decision;
mod experience;
mod fixed;
mod machine;
pub mod reference;

pub use decision::{Choice, Decision, Reason, Scored, Verdict};
pub use experience::Experience;
pub use fixed::Fixed;
pub use machine::{Judged, Planner};
pub use reference::Reference;

use crate::domain::action::{Action, ActionType};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, EventId, NodeId, ReplicaId};
use crate::domain::impact::Rho;
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metrics;
use crate::domain::placement::{Plan, Replica};
use crate::domain::saga;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// The one source of chance: seeded, and handed to whoever may use it (I-2).
pub type Rng = ChaCha8Rng;

/// What an agent's user asked for, and the constants of deciding.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameters {
    pub agent: AgentId,
    pub home: NodeId,
    pub goal: Goal,
    pub rho: Rho,
    pub costs: BTreeMap<ActionType, f64>,
    /// Chance of a random action, 0..=1.
    pub exploration: f64,
    /// Weight of a counter's point.
    pub penalty: f64,
    /// Copies after which data consistency is 0.
    pub max_copies: u32,
    pub learning_rate: f64,
    /// How long events collect feedback.
    pub window: Duration,
}

impl Parameters {
    /// The cost of a kind of action; what no cost is stated for costs 1.
    pub fn cost(&self, kind: ActionType) -> f64 {
        self.costs.get(&kind).copied().unwrap_or(1.0)
    }
}

/// What a decision is made on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub parameters: &'a Parameters,
    pub experience: &'a Experience,
    /// The measurement that violates the goal.
    pub measured: &'a Metrics,
    /// The replica that the agent reads.
    pub reference: &'a Replica,
    pub snapshot: &'a Snapshot,
}

/// The job before the violating one, to tell whose fault the violation is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PreviousJob {
    /// When it began: on which placement it ran.
    pub began: Timestamp,
    pub satisfied: bool,
}

/// A way to choose actions.
pub trait Policy: Send + Sync {
    fn name(&self) -> &'static str;

    /// How consistent the data of a replica is, as this policy counts it (0..=1).
    fn consistency(&self, snapshot: &Snapshot, replica: ReplicaId, max_copies: u32) -> f64;

    /// The open events of others that a violation of this agent's goal is blamed on. `previous`: the job before, if the agent
    /// has not acted since.
    fn blame(
        &self,
        parameters: &Parameters,
        previous: Option<PreviousJob>,
        measurement: &Measurement,
        snapshot: &Snapshot,
    ) -> Vec<EventId>;

    /// Every action that could be taken, in a fixed order.
    fn candidates(&self, situation: &Situation) -> Vec<Action>;

    /// What a candidate promises, in its parts.
    fn score(&self, situation: &Situation, action: Action) -> Scored;

    /// The label that an action's observed effect is learned under.
    fn learned_label(&self, action: Action, reference_node: NodeId) -> String;
}

/// The names of the policies, the default first.
pub const POLICIES: [&str; 2] = ["fixed", "reference"];

/// The policy of that name.
pub fn policy(name: &str) -> Option<Box<dyn Policy>> {
    match name {
        "fixed" => Some(Box::new(Fixed)),
        "reference" => Some(Box::new(Reference)),
        _ => None,
    }
}

/// Chooses: the candidates in random order, one of them at random with probability `exploration`, else the first with the
/// highest global score.
pub fn decide(policy: &dyn Policy, situation: &Situation, rng: &mut Rng) -> Decision {
    let mut candidates = policy.candidates(situation);
    shuffle(&mut candidates, rng);
    let explored = rng.random::<f64>() > 1.0 - situation.parameters.exploration;
    let scored: Vec<Scored> = candidates.into_iter().map(|action| policy.score(situation, action)).collect();
    let choice = match explored {
        true => explore(&scored, rng),
        false => best(&scored),
    };
    Decision::new(policy.name(), situation, scored, choice)
}

/// The first feasible candidate with the strictly highest global score. Scores below -2 never win, as published.
pub fn best(scored: &[Scored]) -> Choice {
    let mut best = Choice { action: Action::Nothing, reason: Reason::NothingFeasible };
    let mut highest = -2.0;
    for candidate in scored {
        if let Verdict::Feasible { global, .. } = candidate.verdict
            && global > highest
        {
            highest = global;
            best = Choice { action: candidate.action, reason: Reason::HighestScore { global } };
        }
    }
    best
}

fn explore(scored: &[Scored], rng: &mut Rng) -> Choice {
    let feasible: Vec<Action> = scored
        .iter()
        .filter(|candidate| matches!(candidate.verdict, Verdict::Feasible { .. }))
        .map(|candidate| candidate.action)
        .collect();
    match feasible.len() {
        0 => Choice { action: Action::Nothing, reason: Reason::NothingFeasible },
        n => Choice { action: feasible[rng.random_range(0..n)], reason: Reason::Explored },
    }
}

/// Fisher-Yates, so that the order depends on the random source alone.
fn shuffle(actions: &mut [Action], rng: &mut Rng) {
    for i in (1..actions.len()).rev() {
        actions.swap(i, rng.random_range(0..=i));
    }
}

/// The plan that carries a decision out: complete, and void as soon as the placement has changed (I-5).
pub fn plan(situation: &Situation, decision: &Decision, key: String) -> Plan {
    let placement = &situation.snapshot.placement;
    let subject = saga::subject(placement, decision.chosen.action);
    Plan {
        key,
        agent: situation.parameters.agent,
        data_set: situation.snapshot.data_set.name.clone(),
        reference: situation.reference.id,
        action: decision.chosen.action,
        explored: decision.chosen.reason == Reason::Explored,
        expected: subject.map(|replica| (replica.id, replica.generation)).into_iter().collect(),
        detail: decision.to_json(),
    }
}
