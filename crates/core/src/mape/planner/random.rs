//! Any feasible action, drawn anew whenever the goal is missed. Source: none is needed; this is what a policy that knows
//! something must be better than.

use super::candidates::candidates;
use super::{Choice, Decider, Decision, Intent, Parameters, Policy, Reason, Rng, Situation};
use crate::domain::action::Action;
use rand::RngExt as _;
use std::sync::Arc;

pub struct Random;

impl Policy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn decider(&self, _: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(Self)
    }
}

impl Decider for Random {
    fn missed(&mut self, situation: &Situation, rng: &mut Rng) -> Vec<Intent> {
        let mut actions = candidates(situation.snapshot, situation.parameters, situation.reference);
        actions.retain(|action| *action != Action::Nothing);
        let choice = match actions.len() {
            0 => Choice { action: Action::Nothing, reason: Reason::NothingFeasible },
            n => Choice { action: actions[rng.random_range(0..n)], reason: Reason::Explored },
        };
        vec![Intent::Act(Decision::new(self.name(), situation, Vec::new(), actions.len(), choice))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::planner::Experience;
    use crate::mape::scene;
    use std::collections::BTreeSet;

    /// What is ever chosen by agent 1.
    fn chosen(nodes: &[u32]) -> BTreeSet<String> {
        let (snapshot, parameters) = (scene::snapshot(nodes, &[(1, 1)]), scene::parameters("response_time <= 35 s"));
        let (experience, measured, mut rng) = (Experience::default(), scene::slow(), scene::rng());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let mut draw = || match Random.missed(&situation, &mut rng).as_slice() {
            [Intent::Act(decision)] => decision.chosen.action.to_string(),
            other => panic!("{other:?}"),
        };
        (0..100).map(|_| draw()).collect()
    }

    #[test]
    fn everything_that_can_be_done_is_done_sometimes() {
        assert_eq!(chosen(&[3, 2]), ["M3_1", "C3_1", "CR2", "E2"].map(str::to_owned).into());
    }

    #[test]
    fn nothing_is_done_only_where_nothing_can_be_done() {
        let mut snapshot = scene::snapshot(&[3], &[(1, 1)]);
        Arc::make_mut(&mut snapshot.nodes).retain(|node, _| node.0 == 3);
        let (parameters, experience, measured) =
            (scene::parameters("response_time <= 35 s"), Experience::default(), scene::slow());
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
        let intents = Random.missed(&situation, &mut scene::rng());
        let [Intent::Act(decision)] = intents.as_slice() else { panic!("{intents:?}") };
        assert_eq!(decision.chosen, Choice { action: Action::Nothing, reason: Reason::NothingFeasible });
    }
}
