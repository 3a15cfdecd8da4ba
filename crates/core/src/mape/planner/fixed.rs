//! The published algorithm with six of its flaws mended, and evict as an action.
//!
//! | flaw | published | here |
//! |---|---|---|
//! | 1 sign inversion | `internal * (1 - 0.33 c)` turns negative at c = 4 | a promise is divided by `1 + 0.33 c`, a threat multiplied: the sign stays |
//! | 2 no recovery | a counter falls only when its action is executed | what a counter weighs falls by one for each window in which nobody moved it |
//! | 3 blind blame | every open event on the replica is blamed | only a committed action that changed what this agent reads (or its consistency) after its last job had begun, if that job met the goal |
//! | 5 forgetful | what a change of reference did is never read | kept for each pair of nodes, and read before the move's vector |
//! | 7 occupied targets | moves and copies onto a node with a replica are candidates | they are not; neither are nodes that leave, without a store or without room |
//! | 9 lock-out | every useful action may become negative, and nothing happens for ever | follows from 1 and 2: a useful action stays above doing nothing |
//! | evict | nothing removes a copy | a replica that nobody reads can be dropped, which raises consistency |

use super::by_impacts::{ByImpacts, global, scored};
use super::candidates::candidates;
use super::{ByScore, Change, Decider, Expected, Parameters, Policy, PreviousJob, Scored, Scoring, Situation};
use crate::domain::action::{Action, ActionType};
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::ids::{EventId, ReplicaId};
use crate::domain::measurement::Measurement;
use crate::domain::metric::Metric;
use crate::domain::score::{self, Pursue};
use crate::domain::snapshot::Snapshot;
use std::sync::Arc;

pub struct Fixed;

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn decider(&self, _: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(ByScore::new(Self))
    }

    fn blame(
        &self,
        parameters: &Parameters,
        previous: Option<PreviousJob>,
        measurement: &Measurement,
        snapshot: &Snapshot,
    ) -> Vec<EventId> {
        // Whose goal was missed before has nobody to blame for it.
        let Some(previous) = previous.filter(|job| job.satisfied) else { return Vec::new() };
        let consistency_is_violated =
            parameters.goal.violated(&measurement.metrics).iter().any(|bound| bound.metric == Metric::DataConsistency);
        snapshot
            .open_events
            .iter()
            .filter(|event| event.window == Window::Open && event.agent != parameters.agent)
            .filter(|event| event.outcome == Outcome::Done && event.ended_at.is_some_and(|at| at >= previous.began))
            .filter(|event| changed_what_is_read(event, measurement.replica, consistency_is_violated))
            .map(|event| event.id)
            .collect()
    }
}

impl Scoring for Fixed {
    fn name(&self) -> &'static str {
        Policy::name(self)
    }

    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        candidates(situation.snapshot, situation.parameters, situation.reference)
    }

    fn score(&self, situation: &Situation, action: Action) -> Scored {
        scored::<Self>(situation, action)
    }

    fn global(&self, situation: &Situation, action: Action) -> f64 {
        global::<Self>(situation, action)
    }
}

impl ByImpacts for Fixed {
    const PURSUE: Pursue = Pursue::MostImproved;

    fn expected<'a>(situation: &'a Situation, action: Action) -> Option<Expected<'a>> {
        match action {
            Action::Nothing => Some(Expected::Known(&situation.nothing)),
            Action::ChangeReference { to } => {
                let change = Change::Going { from: situation.reference.node, to };
                let learned = situation.experience.learned.get(&change).map(Expected::Known);
                learned.or_else(|| situation.expected_of_going(to))
            }
            Action::Move { .. } | Action::Copy { .. } => situation.expected(action),
            Action::Evict { .. } => Some(Expected::Known(&situation.evict)),
            Action::MoveWork { to, .. } => situation.expected_of_moving_work(to),
            Action::Restore { .. } => None,
        }
    }

    /// A counter loses a point for each whole window in which no event moved it.
    fn counter(situation: &Situation, action: Action) -> u32 {
        let Some(counter) = situation.snapshot.counters.get(&action) else { return 0 };
        let window = situation.parameters.window.as_millis().max(1);
        let silent = situation.snapshot.at.since(counter.changed_at).as_millis() / window;
        counter.value.saturating_sub(u32::try_from(silent).unwrap_or(u32::MAX))
    }

    fn global(internal: f64, counter: u32, penalty: f64) -> f64 {
        score::global_damped(internal, counter, penalty)
    }
}

/// Whether an action can have hurt the reader of `replica`: it moved it away from the reader, or changed how many
/// replicas there are when that is what hurts.
fn changed_what_is_read(event: &Event, replica: ReplicaId, consistency_is_violated: bool) -> bool {
    match event.action.kind() {
        ActionType::Move => event.replica == replica,
        ActionType::Copy => consistency_is_violated,
        // An evict drops only what nobody reads; a change of reference, and work that moves, concern their own agent.
        ActionType::Evict
        | ActionType::ChangeReference
        | ActionType::MoveWork
        | ActionType::Restore
        | ActionType::Nothing => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Choice, Reason, Verdict, best, decide};
    use super::*;
    use crate::domain::ids::NodeId;
    use crate::domain::snapshot::Counter;
    use crate::mape::planner::Experience;
    use crate::mape::scene::{self, NOW};
    use std::time::Duration;

    const GOAL: &str = "response_time <= 35 s";

    fn choose(snapshot: &Snapshot, vectors: &[(&str, f64)], goal: &str) -> Choice {
        let (parameters, experience) = (scene::parameters(goal), scene::experience(vectors));
        let measured = scene::slow();
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, snapshot);
        let candidates = Fixed.candidates(&situation).into_iter();
        best(&candidates.map(|action| (action, Fixed.score(&situation, action).global())).collect::<Vec<_>>())
    }

    #[test]
    fn a_counter_never_turns_a_threat_into_a_promise() {
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        let counter = Counter { value: 50, changed_at: NOW };
        snapshot.counters = [("M3_1".parse().unwrap(), counter), ("C3_1".parse().unwrap(), counter)].into();
        let nothing = Choice { action: Action::Nothing, reason: Reason::HighestScore { global: 0.0 } };
        assert_eq!(choose(&snapshot, &[("M3_1", -0.5), ("C3_1", -0.5)], GOAL), nothing);
    }

    #[test]
    fn a_useful_action_is_never_locked_out() {
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        snapshot.counters = [("C3_1".parse().unwrap(), Counter { value: 50, changed_at: NOW })].into();
        let chosen = choose(&snapshot, &[("C3_1", 0.9), ("M3_1", -0.9)], GOAL).action;
        assert_eq!(chosen, "C3_1".parse().unwrap());
    }

    #[test]
    fn after_one_complaint_the_copy_is_worth_more_than_the_move() {
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        let vectors = [("M3_1", 0.9), ("C3_1", 0.9)];
        assert_eq!(choose(&snapshot, &vectors, GOAL).action, "M3_1".parse().unwrap());
        snapshot.counters = [("M3_1".parse().unwrap(), Counter { value: 1, changed_at: NOW })].into();
        assert_eq!(choose(&snapshot, &vectors, GOAL).action, "C3_1".parse().unwrap());
        // A window later nobody has complained again: the complaint weighs nothing any more.
        snapshot.at = NOW + Duration::from_secs(210);
        assert_eq!(choose(&snapshot, &vectors, GOAL).action, "M3_1".parse().unwrap());
    }

    #[test]
    fn an_idle_replica_is_evicted_for_consistency() {
        let snapshot = scene::snapshot(&[1, 2], &[(1, 1)]);
        let chosen = choose(&snapshot, &[("M1_2", 0.0)], "data_consistency > 1").action;
        assert_eq!(chosen, "E2".parse().unwrap());
    }

    #[test]
    fn what_is_not_known_is_not_feasible_and_says_so() {
        let snapshot = scene::snapshot(&[3], &[(1, 1)]);
        let (parameters, experience) = (scene::parameters(GOAL), Experience::default());
        let measured = scene::slow();
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let decision = decide(&Fixed, &situation, &mut scene::rng());
        assert_eq!(decision.chosen.action, Action::Nothing);
        let infeasible = decision.scored.iter().filter(|one| matches!(one.verdict, Verdict::Infeasible { .. })).count();
        assert_eq!(infeasible, 4, "two moves and two copies");
    }

    #[test]
    fn only_what_changed_the_readers_data_is_blamed() {
        let check = |action: &str, ended_after: i64, satisfied: bool, expected: usize| {
            let mut snapshot = scene::snapshot(&[2], &[(1, 1)]);
            let ended = crate::domain::time::Timestamp(NOW.0 + ended_after);
            snapshot.open_events = vec![scene::event(1, action, ended).into()];
            let measurement = Measurement {
                agent: crate::domain::ids::AgentId(1),
                data_set: "blood".into(),
                replica: ReplicaId(1),
                node: NodeId(2),
                at: ended,
                metrics: scene::slow(),
                ran_at: None,
                emulated_latency_ms: None,
                traffic: None,
                parts: Vec::new(),
                job: "job".to_owned(),
                failure: None,
                result: None,
            };
            let previous = Some(PreviousJob { began: NOW, satisfied });
            let blamed = Fixed.blame(&scene::parameters(GOAL), previous, &measurement, &snapshot);
            assert_eq!(blamed.len(), expected, "{action}");
        };
        check("M1_2", 1000, true, 1);
        check("M1_2", -1000, true, 0);
        check("M1_2", 1000, false, 0);
        check("CR2", 1000, true, 0);
        check("C1_2", 1000, true, 0);
    }
}
