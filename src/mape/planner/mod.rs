//! Planning: which action, if any, and why. Policies are interchangeable behind one trait, a file each.

mod decision;
mod experience;
mod fixed;
mod machine;
pub mod reference;

pub use decision::{Choice, Decision, LISTED, Reason, Scored, Verdict};
pub use experience::{Basis, Change, Experience, REMEMBERED_JOBS};
pub use fixed::Fixed;
pub use machine::{Judged, Planner};
pub use reference::Reference;

use crate::domain::action::{Action, ActionType};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, EventId, NodeId, ReplicaId};
use crate::domain::impact::{self, Impacts, Rho};
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::{Plan, Replica};
use crate::domain::saga;
use crate::domain::score::Roles;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::prediction::{self, Forecast, Outlook};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
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

    /// What an action of this kind does to data consistency.
    pub fn consistency_impact(&self, kind: ActionType) -> f64 {
        let rho = self.rho.get(Metric::DataConsistency);
        rho.map_or(0.0, |rho| impact::consistency_impact(kind, self.max_copies, rho))
    }
}

/// What a decision is made on.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    pub parameters: &'a Parameters,
    pub experience: &'a Experience,
    /// The measurement that violates the goal.
    pub measured: &'a Metrics,
    /// The replica that the agent reads.
    pub reference: &'a Replica,
    pub snapshot: &'a Snapshot,
    /// Where a known change leads: most of a large network's nodes were never tried, and this is quick to ask.
    tried: BTreeSet<NodeId>,
    outlook: Outlook,
    roles: Roles<'a>,
}

/// What an action is expected to do, and on what grounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Expected {
    pub impacts: Impacts,
    pub basis: Basis,
}

impl Expected {
    fn known(impacts: Impacts) -> Self {
        Self { impacts, basis: Basis::Known }
    }
}

impl<'a> Situation<'a> {
    /// Predicts once for all nodes, what the goal mentions.
    pub fn new(
        parameters: &'a Parameters,
        experience: &'a Experience,
        measured: &'a Metrics,
        reference: &'a Replica,
        snapshot: &'a Snapshot,
    ) -> Self {
        let rho = parameters.rho.iter().filter(|(metric, _)| parameters.goal.mentions(*metric)).collect();
        let outlook = Outlook::new(&experience.predictor, snapshot, parameters.home, reference.node, &rho);
        let roles = Roles::new(&parameters.goal, measured);
        Self { parameters, experience, measured, reference, snapshot, tried: experience.tried(), outlook, roles }
    }

    /// Of an action that leads to a node: as it was learned or trained under its own label, else as predicted.
    pub fn expected(&self, action: Action) -> Option<Expected> {
        self.known_or_predicted(action.kind(), action.to_node()?, || self.experience.of(action))
    }

    /// Of reading another replica: as a move there, else as predicted.
    pub fn expected_of_going(&self, to: NodeId) -> Option<Expected> {
        let from = self.reference.node;
        self.known_or_predicted(ActionType::ChangeReference, to, || self.experience.of_going(from, to))
    }

    /// What is expected to be measured at a node.
    pub fn forecast(&self, node: NodeId) -> Option<Forecast> {
        prediction::forecast(&self.experience.predictor, self.snapshot, self.parameters.home, node)
    }

    fn known_or_predicted(
        &self,
        kind: ActionType,
        to: NodeId,
        known: impl FnOnce() -> Option<Impacts>,
    ) -> Option<Expected> {
        let known = if self.tried.contains(&to) { known() } else { None };
        known.map(Expected::known).or_else(|| {
            let impacts = self.outlook.of(to)?.with(Metric::DataConsistency, self.parameters.consistency_impact(kind));
            Some(Expected { impacts, basis: Basis::Predicted })
        })
    }
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

    /// What an action's observed effect is learned about.
    fn learned_as(&self, action: Action, reference_node: NodeId) -> Change;
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
    // Of thousands only the few that are listed are kept with all their parts.
    let score = |action: Action| (action, policy.score(situation, action).global());
    let mut candidates: Vec<(Action, f64)> = policy.candidates(situation).into_iter().map(score).collect();
    shuffle(&mut candidates, rng);
    let explored = rng.random::<f64>() > 1.0 - situation.parameters.exploration;
    let choice = match explored {
        true => explore(&candidates, rng),
        false => best(&candidates),
    };
    let listed = decision::listed(&candidates, choice.action);
    let scored: Vec<Scored> = listed.into_iter().map(|action| policy.score(situation, action)).collect();
    Decision::new(policy.name(), situation, scored, candidates.len(), choice)
}

/// The first of the candidates (with their global scores) whose score is strictly the highest. Scores below -2 never win, as
/// published.
pub fn best(candidates: &[(Action, f64)]) -> Choice {
    let mut best = Choice { action: Action::Nothing, reason: Reason::NothingFeasible };
    let mut highest = -2.0;
    for &(action, global) in candidates {
        if global > highest {
            highest = global;
            best = Choice { action, reason: Reason::HighestScore { global } };
        }
    }
    best
}

fn explore(candidates: &[(Action, f64)], rng: &mut Rng) -> Choice {
    let feasible: Vec<Action> =
        candidates.iter().filter(|(_, global)| *global > Scored::INFEASIBLE).map(|(action, _)| *action).collect();
    match feasible.len() {
        0 => Choice { action: Action::Nothing, reason: Reason::NothingFeasible },
        n => Choice { action: feasible[rng.random_range(0..n)], reason: Reason::Explored },
    }
}

/// Fisher-Yates, so that the order depends on the random source alone.
fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.random_range(0..=i));
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
