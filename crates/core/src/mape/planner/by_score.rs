//! Deciding by score: the candidates in random order, the first with the highest score wins.

use super::decision::{self, Choice, Decision, Reason, Scored};
use super::{Decider, Intent, Parameters, Rng, Situation};
use crate::domain::action::Action;
use crate::domain::time::Timestamp;
use crate::mape::monitor::Repair;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// A policy that chooses among candidates, each judged by itself.
pub trait Scoring: Send + Sync {
    /// As in reports.
    fn name(&self) -> &'static str;

    /// Every action that could be taken, in a fixed order.
    fn candidates(&self, situation: &Situation) -> Vec<Action>;

    /// What a candidate promises, in its parts.
    fn score(&self, situation: &Situation, action: Action) -> Scored;

    /// What decides about it, for those who can say so with less work: of thousands only the few that are listed are asked for
    /// all their parts.
    fn global(&self, situation: &Situation, action: Action) -> f64 {
        self.score(situation, action).global()
    }

    /// Chance of a random action, 0..=1.
    fn exploration(&self, parameters: &Parameters) -> f64 {
        parameters.exploration
    }
}

/// What each failure of an action in a row takes away from its score, as a share: after three, doing nothing is better. One is
/// forgotten for each feedback window that passes, so that what is refused for good is tried once in a window.
const PER_FAILURE: f64 = 0.34;

/// Decides anew at every violation, and remembers only what could not be done.
pub struct ByScore<S> {
    policy: S,
    acting: Option<(Action, Timestamp)>,
    /// How often each action failed, and when last.
    failed: BTreeMap<Action, (u32, Timestamp)>,
}

impl<S> ByScore<S> {
    pub fn new(policy: S) -> Self {
        Self { policy, acting: None, failed: BTreeMap::new() }
    }

    /// How often an action failed that has not been forgotten.
    fn failures(&self, action: Action, window: Duration, now: Timestamp) -> u32 {
        let Some((times, last)) = self.failed.get(&action) else { return 0 };
        let passed = now.since(*last).as_millis() / window.as_millis().max(1);
        times.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }
}

impl<S: Scoring> Decider for ByScore<S> {
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
        let (window, now) = (situation.parameters.window, situation.snapshot.at);
        let failed = |action| f64::from(self.failures(action, window, now));
        let decision = decide_among(&self.policy, situation, rng, |action, global: f64| {
            global - global.abs() * PER_FAILURE * failed(action)
        });
        self.acting = Some((decision.chosen.action, now));
        vec![Intent::Act(decision)]
    }

    fn promises(&self, situation: &Situation) -> f64 {
        let candidates = self.policy.candidates(situation).into_iter().filter(|action| *action != Action::Nothing);
        candidates.map(|action| self.policy.global(situation, action)).fold(f64::NEG_INFINITY, f64::max)
    }

    fn ended(&mut self, repair: Repair, _: &mut Rng) -> Vec<Intent> {
        match (repair, self.acting.take()) {
            (Repair::Acted, Some((action, _))) => _ = self.failed.remove(&action),
            (Repair::Nothing, Some((action, at))) if action != Action::Nothing => {
                let (times, last) = self.failed.entry(action).or_insert((0, at));
                (*times, *last) = (*times + 1, at);
            }
            (Repair::Acted | Repair::Lost | Repair::Nothing | Repair::NotNow, _) => {}
        }
        vec![Intent::Over(repair)]
    }
}

/// Chooses: the candidates in random order, one of them at random with probability `exploration`, else the first with the
/// highest global score.
pub fn decide(policy: &impl Scoring, situation: &Situation, rng: &mut Rng) -> Decision {
    decide_among(policy, situation, rng, |_, global| global)
}

/// The same with scores as `weighed` has them.
fn decide_among(
    policy: &impl Scoring,
    situation: &Situation,
    rng: &mut Rng,
    weighed: impl Fn(Action, f64) -> f64,
) -> Decision {
    let global = |action: Action| (action, weighed(action, policy.global(situation, action)));
    let mut candidates: Vec<(Action, f64)> = policy.candidates(situation).into_iter().map(global).collect();
    shuffle(&mut candidates, rng);
    let explored = rng.random::<f64>() > 1.0 - policy.exploration(situation.parameters);
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

#[cfg(test)]
mod tests {
    use super::super::{Fixed, Scoring};
    use super::*;
    use crate::mape::scene;

    /// What is chosen `seconds` after the start, and ends so.
    fn choose(decider: &mut ByScore<impl Scoring>, seconds: u64, repair: Repair) -> String {
        let parameters = Parameters { exploration: 0.0, ..scene::parameters("response_time <= 35 s") };
        let experience = scene::experience(&[("M3_1", 0.9), ("C3_1", 0.3)]);
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        snapshot.at = scene::NOW + Duration::from_secs(seconds);
        let (measured, reference) = (scene::slow(), snapshot.placement.reference(parameters.agent).unwrap());
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let intents = decider.missed(&situation, &mut scene::rng());
        let [Intent::Act(decision)] = intents.as_slice() else { panic!("{intents:?}") };
        decider.ended(repair, &mut scene::rng());
        decision.chosen.action.to_string()
    }

    #[test]
    fn what_fails_becomes_worth_less_with_each_failure_until_it_is_forgotten() {
        let mut decider = ByScore::new(Fixed);
        let tried: Vec<String> = (0..9).map(|job| choose(&mut decider, 15 * job, Repair::Nothing)).collect();
        let times = |action: &str| tried.iter().filter(|one| *one == action).count();
        assert!(times("M3_1") <= 3 && times("C3_1") <= 3 && times("NA") >= 3, "{tried:?}");
        assert_eq!(tried.last().map(String::as_str), Some("NA"));
        assert_eq!(choose(&mut decider, 900, Repair::Acted), "M3_1");
        assert_eq!(choose(&mut decider, 901, Repair::Acted), "M3_1", "what was done has no past");
    }
}
