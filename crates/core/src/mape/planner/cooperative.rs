//! Agents that ask each other before they act. Its parts are in `mape::cooperative`; the protocol there decides.

use super::{Decider, Parameters, Policy};
use crate::mape::cooperative::protocol::{NAME, Protocol};
use std::sync::Arc;

/// Source: our own; `docs/policies.md` says how it works.
pub struct Cooperative;

impl Policy for Cooperative {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decider(&self, parameters: &Arc<Parameters>, life: &str) -> Box<dyn Decider> {
        Box::new(Protocol::new(life, &parameters.goal))
    }

    fn looks(&self) -> bool {
        true
    }
}
