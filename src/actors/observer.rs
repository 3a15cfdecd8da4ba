//! Someone who sees every input of an agent's machines, and what they made of it: to give the same inputs to the same machines
//! elsewhere, and compare (`tests/actors/replay.rs`).

use super::Makeup;
use agent_core::domain::ids::Life;
use agent_core::mape::{executor, monitor, planner};

/// One input of one of an agent's machines, and the effects that came of it.
#[derive(Clone, Debug)]
// One at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
pub enum Step {
    Monitor(monitor::Input, Vec<monitor::Effect>),
    Planner(planner::Input, Vec<planner::Effect>),
    Executor(executor::Input, Vec<executor::Effect>),
}

pub trait Observer: Send + Sync {
    /// An agent's actors start.
    fn started(&self, makeup: &Makeup, life: &Life);
    /// In the order in which they happen. The life is that of the agent.
    fn stepped(&self, life: &Life, step: Step);
}
