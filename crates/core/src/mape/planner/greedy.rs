//! The best own predicted effect per cost, and nothing else: no counters, no exploration, no regard for others. Source: the
//! published system's score (`docs/algorithm.md`, section 5) without what others' answers do to it; a best-response dynamic,
//! as of selfish caching (Chun et al., *Selfish caching in distributed systems*, PODC 2004).

use super::by_impacts::{ByImpacts, global, scored};
use super::candidates::candidates;
use super::{ByScore, Decider, Expected, Fixed, Parameters, Policy, Scored, Scoring, Situation};
use crate::domain::action::Action;
use crate::domain::score::Pursue;
use std::sync::Arc;

pub struct Greedy;

impl Policy for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn decider(&self, _: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(ByScore::new(Self))
    }
}

impl Scoring for Greedy {
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

    fn exploration(&self, _: &Parameters) -> f64 {
        0.0
    }
}

/// What `fixed` expects of it, whatever anybody said of it before.
impl ByImpacts for Greedy {
    const PURSUE: Pursue = Fixed::PURSUE;

    fn expected<'a>(situation: &'a Situation, action: Action) -> Option<Expected<'a>> {
        Fixed::expected(situation, action)
    }

    fn counter(_: &Situation, _: Action) -> u32 {
        0
    }

    fn global(internal: f64, counter: u32, penalty: f64) -> f64 {
        <Fixed as ByImpacts>::global(internal, counter, penalty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::snapshot::Counter;
    use crate::mape::planner::decide;
    use crate::mape::scene::{self, NOW};

    fn check(vectors: &[(&str, f64)], counters: &[&str], expected: &str) {
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        let counter = Counter { value: 50, changed_at: NOW };
        snapshot.counters = counters.iter().map(|label| (label.parse().unwrap(), counter)).collect();
        let parameters = Parameters { exploration: 1.0, ..scene::parameters("response_time <= 35 s") };
        let (experience, measured) = (scene::experience(vectors), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let decision = decide(&Greedy, &situation, &mut scene::rng());
        assert_eq!(decision.chosen.action, expected.parse().unwrap(), "{:?}", decision.scored);
    }

    #[test]
    fn the_best_effect_per_cost_wins_whoever_suffers() {
        check(&[("M3_1", 0.9), ("C3_1", 0.9)], &[], "M3_1");
        check(&[("M3_1", 0.9), ("C3_1", 0.9)], &["M3_1"], "M3_1");
        check(&[("M3_1", 0.9), ("M3_2", 0.8), ("C3_1", 0.9)], &[], "M3_1");
        check(&[("M3_1", 0.2), ("C3_1", 0.9)], &[], "C3_1");
    }

    #[test]
    fn what_promises_nothing_is_left() {
        check(&[("M3_1", -0.1), ("C3_1", -0.1)], &[], "NA");
    }
}
