//! Doing nothing, whatever happens: what any policy must be better than.

use super::{Decider, Intent, Parameters, Policy, Rng, Situation};
use crate::mape::monitor::Repair;
use std::sync::Arc;

pub struct Nothing;

impl Policy for Nothing {
    fn name(&self) -> &'static str {
        "none"
    }

    fn decider(&self, _: &Arc<Parameters>, _: &str) -> Box<dyn Decider> {
        Box::new(Self)
    }
}

impl Decider for Nothing {
    fn missed(&mut self, _: &Situation, _: &mut Rng) -> Vec<Intent> {
        vec![Intent::Over(Repair::Nothing)]
    }
}
