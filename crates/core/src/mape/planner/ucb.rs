//! A bandit: what an action was worth to this agent so far, and a bonus for what was seldom tried.
//!
//! Source: UCB1 (Auer, Cesa-Bianchi, Fischer, *Finite-time analysis of the multiarmed bandit problem*, Machine Learning 47, 2002):
//! play the arm with the highest `mean reward + sqrt(2 ln n / n_j)`, where arm j was played n_j times of n.
//!
//! * An **arm** is an action at the node that the agent reads: each such node is a bandit of its own.
//! * A **play's reward**, 0 to 1, is the share of the next [`JOBS`] jobs that met the goal, those that it did not live to see
//!   counted as missed, less [`PRICE`] times the action's cost. So a move that is taken back soon is worth less than a copy.
//! * The **first play** of each arm, which UCB1 begins with, is the agent's own prediction of how content it would be: playing every
//!   move and copy once would cost a missed job for each.

use super::candidates::candidates;
use super::foresight::Foresight;
use super::{Decider, Intent, Parameters, Policy, Rng, Scored, Scoring, Situation, Verdict, decide};
use crate::domain::action::Action;
use crate::domain::ids::NodeId;
use crate::domain::measurement::Measurement;
use crate::mape::monitor::Repair;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Jobs that a play is judged by.
pub const JOBS: u32 = 10;
/// What a cost of 1 takes away from a reward.
pub const PRICE: f64 = 0.05;
/// Arms that are remembered (I-7); of others only the prediction is known.
const ARMS_MAX: usize = 10_000;

pub struct Ucb;

impl Policy for Ucb {
    fn name(&self) -> &'static str {
        "ucb"
    }

    fn decider(&self, _: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(Bandit::default())
    }
}

/// An action at the node that is read.
type Arm = (NodeId, Action);

/// What an agent remembers.
#[derive(Debug, Default)]
struct Bandit {
    arms: BTreeMap<Arm, Plays>,
    play: Option<Play>,
    /// n: all plays at the node that is read, with the predicted ones.
    played: f64,
}

/// Of one arm, without the predicted one.
#[derive(Clone, Copy, Debug, Default)]
struct Plays {
    number: u32,
    /// Of their rewards.
    sum: f64,
}

/// The last action, until its reward is known.
#[derive(Clone, Copy, Debug)]
struct Play {
    arm: Arm,
    cost: f64,
    /// It was done, and jobs run on what it made.
    is_done: bool,
    /// Jobs that met the goal since.
    satisfied: u32,
}

impl Decider for Bandit {
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
        self.played = self.plays_at(situation.reference.node) + self.candidates(situation).len() as f64;
        let decision = decide(self, situation, rng);
        let action = decision.chosen.action;
        let (arm, cost) = ((situation.reference.node, action), PRICE * situation.parameters.outlay(action));
        self.play = Some(Play { arm, cost, is_done: false, satisfied: 0 });
        vec![Intent::Act(decision)]
    }

    fn measured(&mut self, _: &Measurement, satisfied: bool) {
        let Some(play) = self.play.as_mut().filter(|play| play.is_done) else { return };
        play.satisfied += u32::from(satisfied);
        if !satisfied || play.satisfied == JOBS {
            self.settle();
        }
    }

    /// As if it had ended and missed the goal.
    fn failed(&mut self, _: NodeId) {
        if self.play.is_some_and(|play| play.is_done) {
            self.settle();
        }
    }

    fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
        let nothing_was_chosen = |play: &Play| play.arm.1 == Action::Nothing;
        self.play = self.play.take().filter(|play| repair == Repair::Acted || nothing_was_chosen(play));
        self.play.iter_mut().for_each(|play| play.is_done = true);
        vec![Intent::Over(repair)]
    }
}

impl Bandit {
    fn settle(&mut self) {
        let Some(play) = self.play.take() else { return };
        if self.arms.len() >= ARMS_MAX && !self.arms.contains_key(&play.arm) {
            return;
        }
        let plays = self.arms.entry(play.arm).or_default();
        plays.number += 1;
        plays.sum += (f64::from(play.satisfied) / f64::from(JOBS) - play.cost).clamp(0.0, 1.0);
    }

    /// Without the predicted ones.
    fn plays_at(&self, node: NodeId) -> f64 {
        let at_node = self.arms.iter().filter(|((reads, _), _)| *reads == node);
        at_node.map(|(_, plays)| f64::from(plays.number)).sum()
    }
}

impl Scoring for Bandit {
    fn name(&self) -> &'static str {
        Ucb.name()
    }

    fn candidates(&self, situation: &Situation) -> Vec<Action> {
        candidates(situation.snapshot, situation.parameters, situation.reference)
    }

    fn score(&self, situation: &Situation, action: Action) -> Scored {
        let node = situation.reference.node;
        let plays = self.arms.get(&(node, action)).copied().unwrap_or_default();
        let predicted =
            Foresight::of(situation).level_after(action, node) - PRICE * situation.parameters.outlay(action);
        let number = f64::from(plays.number) + 1.0;
        let value = (predicted.clamp(0.0, 1.0) + plays.sum) / number;
        let score = value + (2.0 * self.played.ln() / number).sqrt();
        Scored { action, verdict: Verdict::Valued { value, trials: plays.number, score } }
    }

    fn exploration(&self, _: &Parameters) -> f64 {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::planner::Experience;
    use crate::mape::scene;

    const ARM: (u32, &str) = (3, "M3_1");

    /// Agent 1 misses its goal reading at node 3, which only node 1 could meet.
    fn miss(bandit: &mut Bandit) -> String {
        let snapshot = scene::inhabited(scene::snapshot(&[3], &[(1, 1)]), 1);
        let experience = Experience { predictor: scene::predictor(), ..Experience::default() };
        let (parameters, measured) = (scene::parameters("response_time <= 35 s"), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        bandit.measured(&scene::measurement(3, 60.0), false);
        let intents = bandit.missed(&situation, &mut scene::rng());
        let [Intent::Act(decision)] = intents.as_slice() else { panic!("{intents:?}") };
        decision.chosen.action.to_string()
    }

    fn end(bandit: &mut Bandit, repair: Repair) {
        assert_eq!(bandit.ended(repair, &mut scene::rng()), [Intent::Over(repair)]);
    }

    fn plays(bandit: &Bandit, (node, action): (u32, &str)) -> (u32, f64) {
        let plays = bandit.arms.get(&(NodeId(node), action.parse().unwrap()));
        plays.map_or((0, 0.0), |plays| (plays.number, (plays.sum * 1e6).round() / 1e6))
    }

    #[test]
    fn what_is_predicted_to_be_best_is_played_first_and_what_did_not_last_gives_way() {
        let mut bandit = Bandit::default();
        assert_eq!(miss(&mut bandit), "M3_1");
        end(&mut bandit, Repair::Acted);
        for _ in 0..3 {
            bandit.measured(&scene::measurement(1, 2.0), true);
        }
        assert_eq!(miss(&mut bandit), "C3_1");
        // 3 of 10 jobs, less the price of a move: 0.05 * 1.5.
        assert_eq!(plays(&bandit, ARM), (1, 0.225));
    }

    #[test]
    fn a_play_is_over_after_so_many_jobs() {
        let mut bandit = Bandit::default();
        miss(&mut bandit);
        end(&mut bandit, Repair::Acted);
        for _ in 0..JOBS + 5 {
            bandit.measured(&scene::measurement(1, 2.0), true);
        }
        assert_eq!(plays(&bandit, ARM), (1, 0.925));
    }

    #[test]
    fn a_job_that_failed_ends_a_play_too() {
        let mut bandit = Bandit::default();
        miss(&mut bandit);
        bandit.failed(NodeId(3));
        assert_eq!(plays(&bandit, ARM), (0, 0.0), "the move was not done yet");
        end(&mut bandit, Repair::Acted);
        bandit.failed(NodeId(1));
        assert_eq!(plays(&bandit, ARM), (1, 0.0));
    }

    #[test]
    fn what_was_not_done_was_not_played() {
        let mut bandit = Bandit::default();
        miss(&mut bandit);
        end(&mut bandit, Repair::Lost);
        assert_eq!(miss(&mut bandit), "M3_1");
        assert_eq!(plays(&bandit, ARM), (0, 0.0));
    }
}
