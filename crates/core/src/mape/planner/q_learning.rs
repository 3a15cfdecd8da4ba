//! Q-learning with a table: what an action is worth in a state, learned from one job to the next.
//!
//! Source: Watkins, *Learning from delayed rewards*, 1989; Watkins and Dayan, *Q-learning*, Machine Learning 8, 1992:
//! `Q(s, a) += α (r + γ max Q(s', ·) - Q(s, a))`, here with every r times `1 - γ`, so that Q is a discounted share of
//! satisfied jobs, net of costs.
//!
//! * A **state** is the node that the agent reads, the bounds that its last job missed, and the nodes that hold a replica.
//! * The **actions** are all that can be done. A job that met the goal is followed by doing nothing.
//! * A **step** is a job; its reward is 1 when it met the goal, else 0, less [`PRICE`] times the cost of the action before it.
//! * **Chosen** is the action of the highest Q, with probability [`EPSILON`] any.
//! * What was never tried begins with the agent's own prediction of how content it would be: from zeros, a table learns nothing
//!   useful in the hundreds of jobs of a few hours.

use super::candidates::candidates;
use super::foresight::Foresight;
use super::{Decider, Intent, Parameters, Policy, Rng, Scored, Scoring, Situation, Verdict, View, decide};
use crate::domain::action::Action;
use crate::domain::ids::NodeId;
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::mape::monitor::Repair;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// α: how far a value goes towards what was seen.
pub const RATE: f64 = 0.5;
/// γ: what the next job counts, compared with this one.
pub const DISCOUNT: f64 = 0.8;
/// ε.
pub const EPSILON: f64 = 0.02;
/// What a cost of 1 takes away from a reward.
pub const PRICE: f64 = 0.2;
/// Values that are remembered (I-7); what is not keeps its prediction.
const VALUES_MAX: usize = 100_000;

pub struct QLearning;

impl Policy for QLearning {
    fn name(&self) -> &'static str {
        "q-learning"
    }

    fn decider(&self, parameters: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(Table {
            parameters: parameters.clone(),
            values: BTreeMap::new(),
            replicas: BTreeSet::new(),
            step: None,
        })
    }

    /// To know the state also after a job that met the goal.
    fn looks(&self) -> bool {
        true
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct State {
    reads: NodeId,
    missed: BTreeSet<Metric>,
    replicas: BTreeSet<NodeId>,
}

/// What an agent remembers.
#[derive(Debug)]
struct Table {
    parameters: Arc<Parameters>,
    values: BTreeMap<(State, Action), Value>,
    /// As last seen.
    replicas: BTreeSet<NodeId>,
    /// What the next job shows the worth of.
    step: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Value {
    q: f64,
    trials: u32,
}

#[derive(Clone, Debug)]
struct Step {
    state: State,
    action: Action,
    /// Of the state's action before anything was learned about it.
    predicted: f64,
}

impl Decider for Table {
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
        self.replicas = situation.snapshot.placement.nodes();
        let state = self.state(situation.reference.node, situation.measured);
        let of = |action: &Action| self.q(&state, *action, predicted(situation, *action)).q;
        let best = self.candidates(situation).iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        self.learn(0.0, best);
        let decision = decide(self, situation, rng);
        let action = decision.chosen.action;
        self.step = Some(Step { state, action, predicted: predicted(situation, action) });
        vec![Intent::Act(decision)]
    }

    fn measured(&mut self, measurement: &Measurement, satisfied: bool) {
        // What follows a job that missed the goal is learned when it is judged.
        if !satisfied {
            return;
        }
        let state = self.state(measurement.node, &measurement.metrics);
        let (action, predicted) = (Action::Nothing, 1.0);
        self.learn(1.0, self.q(&state, action, predicted).q);
        self.step = Some(Step { state, action, predicted });
    }

    fn looked(&mut self, view: &View, _: &mut Rng) -> Vec<Intent> {
        self.replicas = view.snapshot.placement.nodes();
        Vec::new()
    }

    /// What was not done teaches nothing.
    fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
        self.step = self.step.take().filter(|step| repair == Repair::Acted || step.action == Action::Nothing);
        vec![Intent::Over(repair)]
    }
}

impl Table {
    fn state(&self, reads: NodeId, measured: &Metrics) -> State {
        let missed = self.parameters.goal.violated(measured).iter().map(|bound| bound.metric).collect();
        State { reads, missed, replicas: self.replicas.clone() }
    }

    fn q(&self, state: &State, action: Action, predicted: f64) -> Value {
        self.values.get(&(state.clone(), action)).copied().unwrap_or(Value { q: predicted, trials: 0 })
    }

    /// Ends the step under way: with the reward of the job that followed it, and what the state then is worth.
    fn learn(&mut self, reward: f64, then: f64) {
        let Some(Step { state, action, predicted }) = self.step.take() else { return };
        let Value { q, trials } = self.q(&state, action, predicted);
        let earned = reward - PRICE * self.parameters.outlay(action);
        let q = q + RATE * ((1.0 - DISCOUNT) * earned + DISCOUNT * then - q);
        let key = (state, action);
        if self.values.len() < VALUES_MAX || self.values.contains_key(&key) {
            self.values.insert(key, Value { q, trials: trials + 1 });
        }
    }
}

impl Scoring for Table {
    fn name(&self) -> &'static str {
        QLearning.name()
    }

    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        candidates(situation.snapshot, situation.parameters, situation.reference)
    }

    fn score(&self, situation: &Situation, action: Action) -> Scored {
        let state = self.state(situation.reference.node, situation.measured);
        let Value { q, trials } = self.q(&state, action, predicted(situation, action));
        Scored { action, verdict: Verdict::Valued { value: q, trials, score: q } }
    }

    fn exploration(&self, _: &Parameters) -> f64 {
        EPSILON
    }
}

/// As if every job after it were as content.
fn predicted(situation: &Situation, action: Action) -> f64 {
    let level = Foresight::of(situation).level_after(action, situation.reference.node);
    level - (1.0 - DISCOUNT) * PRICE * situation.parameters.outlay(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::planner::Experience;
    use crate::mape::scene;

    const GOAL: &str = "response_time <= 35 s";

    fn table() -> Table {
        let parameters = Arc::new(scene::parameters(GOAL));
        Table { parameters, values: BTreeMap::new(), replicas: [NodeId(3)].into(), step: None }
    }

    /// Agent 1 misses its goal reading at node 3 beside replicas on these nodes. Only node 1 could meet it.
    fn miss(table: &mut Table, others: &[u32]) -> Action {
        let nodes: Vec<u32> = [3].iter().chain(others).copied().collect();
        let snapshot = scene::inhabited(scene::snapshot(&nodes, &[(1, 1)]), 1);
        let experience = Experience { predictor: scene::predictor(), ..Experience::default() };
        let (parameters, measured) = (scene::parameters(GOAL), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        table.measured(&scene::measurement(3, 60.0), false);
        let intents = table.missed(&situation, &mut scene::rng());
        let [Intent::Act(decision)] = intents.as_slice() else { panic!("{intents:?}") };
        table.ended(Repair::Acted, &mut scene::rng());
        decision.chosen.action
    }

    fn value(table: &Table, missed: &[Metric], replicas: &[u32], action: &str) -> Option<f64> {
        let reads = NodeId(if missed.is_empty() { 1 } else { 3 });
        let replicas = replicas.iter().copied().map(NodeId).collect();
        let state = State { reads, missed: missed.iter().copied().collect(), replicas };
        table.values.get(&(state, action.parse().unwrap())).map(|value| (value.q * 1e4).round() / 1e4)
    }

    #[test]
    fn a_value_goes_towards_the_reward_and_what_follows() {
        let mut table = table();
        assert_eq!(miss(&mut table, &[]), "M3_1".parse().unwrap());
        table.measured(&scene::measurement(1, 2.0), true);
        // Predicted 1 - 0.2 * 0.2 * 1.5 = 0.94; seen 0.2 * (1 - 0.3) + 0.8 * 1.
        let seen: f64 = 0.94 + 0.5 * (0.2 * (1.0 - 0.2 * 1.5) + 0.8 - 0.94);
        assert_eq!(value(&table, &[Metric::ResponseTime], &[3], "M3_1"), Some((seen * 1e4).round() / 1e4));
        // Content, and content again: nothing new.
        table.measured(&scene::measurement(1, 2.0), true);
        assert_eq!(value(&table, &[], &[3], "NA"), Some(1.0));
    }

    #[test]
    fn what_leads_to_missed_goals_is_worth_less_and_gives_way() {
        let mut table = table();
        assert_eq!(miss(&mut table, &[]), "M3_1".parse().unwrap());
        assert_eq!(miss(&mut table, &[]), "C3_1".parse().unwrap());
    }

    #[test]
    fn another_replica_set_is_another_state() {
        let mut table = table();
        miss(&mut table, &[]);
        miss(&mut table, &[]);
        assert!(value(&table, &[Metric::ResponseTime], &[3], "M3_1").is_some());
        assert_eq!(miss(&mut table, &[2]), "M3_1".parse().unwrap(), "not tried beside a replica on node 2");
    }

    #[test]
    fn what_was_not_done_teaches_nothing() {
        let mut table = table();
        miss(&mut table, &[]);
        table.ended(Repair::Lost, &mut scene::rng());
        table.measured(&scene::measurement(1, 2.0), true);
        assert_eq!(table.values, BTreeMap::new());
    }
}
