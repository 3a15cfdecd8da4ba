//! Planning: which action, if any, and why. Policies are interchangeable behind one trait, a file each.

mod by_impacts;
mod by_score;
mod candidates;
mod cooperative;
mod decider;
mod decision;
mod experience;
mod external;
mod fixed;
mod foresight;
mod greedy;
mod keep_copy;
mod machine;
mod none;
mod q_learning;
mod random;
pub mod reference;
mod ucb;
pub mod upkeep;
mod vote;

pub use by_score::{ByScore, Scoring, best, decide};
pub use candidates::candidates;
pub use cooperative::Cooperative;
pub use decider::{ANSWERED_WITHIN, Decider, Intent, LOOK_EVERY, Message, View};
pub use decision::{
    Choice, Clairvoyance, Decision, Deliberation, LISTED, Opinion, Prospect, Reason, Scored, Verdict, has_transferred,
};
pub use experience::{Basis, Change, Experience, REMEMBERED_JOBS};
pub use external::External;
pub use fixed::Fixed;
pub use greedy::Greedy;
pub use keep_copy::KeepCopy;
pub use machine::{Effect, Input, Planner, Subject};
pub use none::Nothing;
pub use q_learning::QLearning;
pub use random::Random;
pub use reference::Reference;
pub use ucb::Ucb;
pub use vote::Vote;

use crate::domain::action::{Action, ActionType};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, EventId, NodeId, ReplicaId};
use crate::domain::impact::{self, Impacts, Rho};
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::{Plan, Replica};
use crate::domain::saga;
use crate::domain::score::{Appraisal, Pursue, Roles};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::work::Seat;
use crate::mape::prediction::{self, Baseline, Forecast, Outlook, Wanted};
use rand_chacha::ChaCha8Rng;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
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
    /// How long after its last sign of life an agent counts as alive.
    pub silence: Duration,
    /// How long answers of peers are waited for.
    pub patience: Duration,
}

impl Parameters {
    /// How old questions are shown: all that may still be open.
    pub fn remembered(&self) -> Duration {
        decider::REMEMBERED.max(4 * self.patience)
    }

    /// Where the next job runs: at home as long as the table knows nothing else.
    pub fn seat(&self, snapshot: &Snapshot) -> Seat {
        snapshot.seat(self.agent, self.silence).unwrap_or(Seat::at_home(self.home))
    }

    /// Where else it could run.
    pub fn other_seats<'s>(&self, snapshot: &'s Snapshot) -> impl Iterator<Item = Seat> + 's {
        snapshot.other_seats(self.agent, self.silence)
    }

    /// The cost of a kind of action; what no cost is stated for costs 1.
    pub fn cost(&self, kind: ActionType) -> f64 {
        self.costs.get(&kind).copied().unwrap_or(1.0)
    }

    /// The cost of an action; doing nothing takes nothing.
    pub fn outlay(&self, action: Action) -> f64 {
        match action {
            Action::Nothing => 0.0,
            Action::Move { .. }
            | Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Evict { .. }
            | Action::Restore { .. }
            | Action::MoveWork { .. } => self.cost(action.kind()),
        }
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
    /// Doing nothing changes no metric.
    nothing: Impacts,
    /// Reading the same from where the work could be moved to.
    moved: BTreeMap<NodeId, Impacts>,
    /// Dropping a replica that nobody reads changes data consistency and nothing else.
    evict: Impacts,
    /// By kind of action, for there are many candidates of each.
    outlays: [Outlay; ActionType::ALL.len()],
    /// By branch that is pursued and place in the outlook, where moving and copying to a node have the same value.
    values: [OnceCell<Vec<Result<f64, Metric>>>; Pursue::ALL.len()],
}

/// What any action of a kind takes.
#[derive(Clone, Copy, Debug)]
struct Outlay {
    cost: f64,
    /// Its impact on data consistency.
    consistency: f64,
}

/// What an action is expected to do, and on what grounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Expected<'a> {
    Known(&'a Impacts),
    /// What a job would measure where its work would be.
    Moved(&'a Impacts),
    /// What reading at this place in the outlook, where the agent never read, and an action of this kind do.
    Predicted {
        place: usize,
        kind: ActionType,
    },
}

impl Expected<'_> {
    pub fn basis(&self) -> Basis {
        match self {
            Expected::Known(_) => Basis::Known,
            Expected::Moved(_) | Expected::Predicted { .. } => Basis::Predicted,
        }
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
        let seat = parameters.seat(snapshot);
        let outlook = Outlook::new(&experience.predictor, snapshot, seat, reference.node, &rho);
        let moved = work_moved(parameters, experience, reference, snapshot, &rho);
        let roles = Roles::new(&parameters.goal, measured);
        let outlays = ActionType::ALL
            .map(|kind| Outlay { cost: parameters.cost(kind), consistency: parameters.consistency_impact(kind) });
        let nothing: Impacts = parameters.goal.thresholds().into_iter().map(|bound| (bound.metric, 0.0)).collect();
        let evict = nothing.with(Metric::DataConsistency, parameters.consistency_impact(ActionType::Evict));
        let (tried, values) = (experience.tried(), Default::default());
        Self {
            parameters,
            experience,
            measured,
            reference,
            snapshot,
            tried,
            outlook,
            roles,
            nothing,
            moved,
            evict,
            outlays,
            values,
        }
    }

    /// Of an action that leads to a node: as it was learned or trained under its own label, else as predicted.
    #[inline]
    pub fn expected(&self, action: Action) -> Option<Expected<'_>> {
        self.known_or_predicted(action.kind(), action.to_node()?, || self.experience.of(action))
    }

    /// Of reading another replica: as a move there, else as predicted.
    pub fn expected_of_going(&self, to: NodeId) -> Option<Expected<'_>> {
        let from = self.reference.node;
        self.known_or_predicted(ActionType::ChangeReference, to, || self.experience.of_going(from, to))
    }

    /// Of running jobs elsewhere, which read what they read now.
    pub fn expected_of_moving_work(&self, to: NodeId) -> Option<Expected<'_>> {
        let (from, reads) = (self.seat().node, self.reference.node);
        let learned = self.experience.learned.get(&Change::Working { from, to, reads }).map(Expected::Known);
        learned.or_else(|| self.moved.get(&to).map(Expected::Moved))
    }

    /// Where the jobs run now.
    pub fn seat(&self) -> Seat {
        self.parameters.seat(self.snapshot)
    }

    /// What is expected to be measured at a node.
    pub fn forecast(&self, node: NodeId) -> Option<Forecast> {
        self.forecast_from(self.seat(), node)
    }

    /// The same from a certain seat.
    pub fn forecast_from(&self, seat: Seat, node: NodeId) -> Option<Forecast> {
        prediction::forecast(&self.experience.predictor, self.snapshot, seat, node, &self.parameters.rho)
    }

    fn known_or_predicted<'s>(
        &'s self,
        kind: ActionType,
        to: NodeId,
        known: impl FnOnce() -> Option<&'s Impacts>,
    ) -> Option<Expected<'s>> {
        let known = if self.tried.contains(&to) { known() } else { None };
        known.map(Expected::Known).or_else(|| Some(Expected::Predicted { place: self.outlook.place(to)?, kind }))
    }

    pub fn impacts(&self, expected: &Expected) -> Impacts {
        match *expected {
            Expected::Known(impacts) | Expected::Moved(impacts) => *impacts,
            Expected::Predicted { place, kind } => {
                self.outlook.impacts()[place].with(Metric::DataConsistency, self.outlay(kind).consistency)
            }
        }
    }

    /// What it does to the goal. `Err` names a metric of the goal for which no impact is known.
    fn appraise(&self, expected: &Expected, pursue: Pursue) -> Result<Appraisal, Metric> {
        self.roles.appraise(&self.impacts(expected), pursue)
    }

    /// The same in one number, found once for all actions that lead to a node, unless the goal sets them apart.
    #[inline]
    fn value(&self, expected: &Expected, pursue: Pursue) -> Result<f64, Metric> {
        match *expected {
            Expected::Predicted { place, .. } if !self.roles.mention(Metric::DataConsistency) => {
                self.values(pursue)[place]
            }
            Expected::Known(_) | Expected::Moved(_) | Expected::Predicted { .. } => {
                self.appraise(expected, pursue).map(|appraisal| appraisal.value)
            }
        }
    }

    fn values(&self, pursue: Pursue) -> &[Result<f64, Metric>] {
        let value = |impacts| self.roles.appraise(impacts, pursue).map(|appraisal| appraisal.value);
        self.values[pursue as usize].get_or_init(|| self.outlook.impacts().iter().map(value).collect())
    }

    fn outlay(&self, kind: ActionType) -> Outlay {
        self.outlays[kind as usize]
    }
}

/// By the node that the work would be moved to.
fn work_moved(
    parameters: &Parameters,
    experience: &Experience,
    reference: &Replica,
    snapshot: &Snapshot,
    rho: &Rho,
) -> BTreeMap<NodeId, Impacts> {
    let wanted = Wanted::of(rho);
    let forecast = |seat: Seat| {
        let place = prediction::place_of(snapshot, seat, reference.node)?;
        Some(experience.predictor.forecast(&place, &wanted))
    };
    let consistency = parameters.consistency_impact(ActionType::MoveWork);
    let there = parameters.other_seats(snapshot).filter_map(|seat| {
        let here = Baseline::new(&forecast(parameters.seat(snapshot))?, rho);
        Some((seat.node, here.impacts(&forecast(seat)?).with(Metric::DataConsistency, consistency)))
    });
    there.collect()
}

/// The job before the violating one, to tell whose fault the violation is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PreviousJob {
    /// When it began: on which placement it ran.
    pub began: Timestamp,
    pub satisfied: bool,
}

/// A way to choose actions: what every agent that follows it has in common. Its agents' decisions, and what they remember,
/// are the [`Decider`]'s.
pub trait Policy: Send + Sync {
    fn name(&self) -> &'static str;

    /// A new agent's machine. `life` is unique for each start of an agent.
    fn decider(&self, parameters: &Arc<Parameters>, life: &str) -> Box<dyn Decider>;

    /// Whether its agents look at the table also between jobs. Only these ask who of the others lives.
    fn looks(&self) -> bool {
        false
    }

    /// Whether the next job waits for its usual pause, rather than running at once, when a measurement is stale as it is judged:
    /// the replica has changed place since the job began.
    fn pauses_when_stale(&self) -> bool {
        false
    }

    /// How consistent the data of a replica is, as this policy counts it (0..=1): by the replicas that exist now.
    fn consistency(&self, snapshot: &Snapshot, _replica: ReplicaId, max_copies: u32) -> f64 {
        snapshot.placement.consistency(max_copies)
    }

    /// The open events of others that a violation of this agent's goal is blamed on. `previous`: the job before, if the agent
    /// has not acted since.
    fn blame(
        &self,
        _parameters: &Parameters,
        _previous: Option<PreviousJob>,
        _measurement: &Measurement,
        _snapshot: &Snapshot,
    ) -> Vec<EventId> {
        Vec::new()
    }

    /// What an action's observed effect is learned about; `ran_at`: where jobs ran before it.
    fn learned_as(&self, action: Action, reference_node: NodeId, ran_at: NodeId) -> Change {
        match action {
            Action::ChangeReference { to } => Change::Going { from: reference_node, to },
            Action::MoveWork { to, .. } => Change::Working { from: ran_at, to, reads: reference_node },
            Action::Nothing
            | Action::Move { .. }
            | Action::Copy { .. }
            | Action::Evict { .. }
            | Action::Restore { .. } => Change::Action(action),
        }
    }
}

/// The names of the policies, the default first.
pub const POLICIES: [&str; 11] = [
    "cooperative",
    "fixed",
    "reference",
    "greedy",
    "ucb",
    "q-learning",
    "vote",
    "keep-copy",
    "random",
    "none",
    "external",
];

/// The policy of that name.
pub fn policy(name: &str) -> Option<Box<dyn Policy>> {
    match name {
        "fixed" => Some(Box::new(Fixed)),
        "reference" => Some(Box::new(Reference)),
        "greedy" => Some(Box::new(Greedy)),
        "ucb" => Some(Box::new(Ucb)),
        "q-learning" => Some(Box::new(QLearning)),
        "vote" => Some(Box::new(Vote)),
        "keep-copy" => Some(Box::new(KeepCopy)),
        "random" => Some(Box::new(Random)),
        "cooperative" => Some(Box::new(Cooperative)),
        "none" => Some(Box::new(Nothing)),
        "external" => Some(Box::new(External)),
        _ => None,
    }
}

/// The plan that carries a decision out: complete, and void as soon as the placement has changed (I-5).
pub fn plan(
    parameters: &Parameters,
    snapshot: &Snapshot,
    reference: &Replica,
    decision: &Decision,
    key: String,
) -> Plan {
    let subject = saga::subject(&snapshot.placement, decision.chosen.action);
    Plan {
        key,
        agent: parameters.agent,
        data_set: snapshot.data_set.name.clone(),
        reference: reference.id,
        action: decision.chosen.action,
        explored: decision.chosen.reason == Reason::Explored,
        expected: subject.map(|replica| (replica.id, replica.generation)).into_iter().collect(),
        generation: decision.deliberation.as_ref().map(|deliberation| deliberation.generation),
        detail: decision.to_json(),
    }
}
