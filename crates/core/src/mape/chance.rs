//! Chance in streams: one for each agent and purpose, so that what the network does to a run does not depend on what was
//! decided, and an agent more or less changes nothing for the others.

use super::planner::Rng;
use crate::domain::ids::AgentId;
use rand::{RngExt as _, SeedableRng as _};

/// An agent's share of a run's seed.
pub fn seed_of(seed: u64, agent: AgentId) -> u64 {
    seed.wrapping_mul(1_000_003).wrapping_add(u64::from(agent.0))
}

/// The streams of one agent.
#[derive(Clone, Debug)]
pub struct Streams {
    /// The monitor's pauses.
    pub monitor: Rng,
    /// The latencies of its links.
    pub links: Rng,
    /// What is explored, and which of equals is taken.
    pub planner: Rng,
    /// The jitter of its periodic duties.
    pub watchdog: Rng,
}

impl Streams {
    /// `seed` is the agent's own: see [`seed_of`].
    pub fn new(seed: u64) -> Self {
        let mut seeds = Rng::seed_from_u64(seed);
        let mut stream = || Rng::seed_from_u64(seeds.random());
        // The order is part of what a seed means.
        let (monitor, links, planner, watchdog) = (stream(), stream(), stream(), stream());
        Self { monitor, links, planner, watchdog }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_and_purposes_have_streams_of_their_own() {
        let first = |seed, agent| Streams::new(seed_of(seed, AgentId(agent)));
        let draw = |mut stream: Rng| stream.random::<u64>();
        let (one, two, other_seed) = (first(1, 1), first(1, 2), first(2, 1));
        let mut drawn = [one.monitor, one.links, one.planner, one.watchdog, two.planner, other_seed.planner].map(draw);
        drawn.sort_unstable();
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(draw(first(1, 1).planner), draw(first(1, 1).planner));
    }
}
