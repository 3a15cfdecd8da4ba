//! Someone who sees every input of an agent's control loop, and what came of it: to give the same inputs to the same loop
//! elsewhere, and compare (`tests/actors/replay.rs`).

use super::Parts;
use agent_core::domain::ids::Life;
use agent_core::mape::control_loop::{Effect, Input};

/// An input, and the effects that came of it.
#[derive(Clone, Debug)]
pub struct Step {
    pub input: Input,
    pub effects: Vec<Effect>,
}

pub trait Observer: Send + Sync {
    /// An agent's actors start.
    fn started(&self, parts: &Parts, life: &Life);
    /// In the order in which they happen. The life is that of the agent.
    fn stepped(&self, life: &Life, step: Step);
}
