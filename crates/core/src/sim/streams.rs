//! Chance in virtual time: for each agent the streams that a real one has, and more for what the real world does by itself.

use crate::domain::ids::{AgentId, NodeId};
use crate::mape::chance::seed_of;
use crate::mape::planner::Rng;
use rand::SeedableRng as _;

/// What chance is needed for, besides what agents need it for themselves (`mape::chance`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// How long a job takes beyond what its latency explains.
    Jobs,
    /// Which transfers fail.
    Transfers,
    /// Which of its answers to others are lost.
    Replies,
    /// At which time within the period it looks at the table.
    Phase,
    /// What its probes of links measure.
    Probes,
    /// When requests to a service come.
    Traffic,
    /// Runs of the job at a node, before the simulation.
    Training(NodeId),
}

impl Purpose {
    /// The number of a stream of the cipher; 0 is the agent's own.
    fn stream(self) -> u64 {
        match self {
            Purpose::Jobs => 1,
            Purpose::Transfers => 2,
            Purpose::Training(node) => 3 + u64::from(node.0),
            Purpose::Phase => u64::MAX,
            Purpose::Replies => u64::MAX - 1,
            Purpose::Probes => u64::MAX - 2,
            Purpose::Traffic => u64::MAX - 3,
        }
    }
}

/// An agent's stream for a purpose: independent of every other one, whatever else there is in the scenario.
pub fn stream(seed: u64, agent: AgentId, purpose: Purpose) -> Rng {
    let mut rng = Rng::seed_from_u64(seed_of(seed, agent));
    rng.set_stream(purpose.stream());
    rng
}

/// The stream that faults of the scenario are drawn from: nobody's, so agent 0's, which does not exist.
pub fn of_fault(seed: u64, fault: usize) -> Rng {
    let mut rng = Rng::seed_from_u64(seed_of(seed, AgentId(0)));
    rng.set_stream(1 + fault as u64);
    rng
}
