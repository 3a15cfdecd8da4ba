//! Deciding by score: the candidates in random order, the first with the highest score wins.

use super::decision::{self, Choice, Decision, Reason, Scored};
use super::{Decider, Intent, Parameters, Rng, Situation};
use crate::domain::action::Action;
use rand::RngExt as _;

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

/// Decides anew at every violation, and remembers nothing.
pub struct ByScore<S>(pub S);

impl<S: Scoring> Decider for ByScore<S> {
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
        vec![Intent::Act(decide(&self.0, situation, rng))]
    }
}

/// Chooses: the candidates in random order, one of them at random with probability `exploration`, else the first with the
/// highest global score.
pub fn decide(policy: &impl Scoring, situation: &Situation, rng: &mut Rng) -> Decision {
    let global = |action: Action| (action, policy.global(situation, action));
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
