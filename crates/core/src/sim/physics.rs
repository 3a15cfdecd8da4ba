//! What jobs and transfers take.

use super::streams::{self, Purpose};
use crate::config::scenario::{Line, Physics, Transfer};
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::Link;
use crate::mape::planner::Rng;
use rand::RngExt as _;
use rand_distr::{Distribution, Normal};
use std::time::Duration;

/// What a run of the job takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Job {
    pub latency: Duration,
    pub response_time: Duration,
    pub execution_time: Duration,
    pub throughput: f64,
}

/// Runs of the job at each node in simulated training, as `agent train` does them.
pub const TRAINING_RUNS: usize = 5;

/// A link's latency for one job, in whole milliseconds.
pub fn latency(link: Link, rng: &mut Rng) -> Duration {
    milliseconds(normal(link.latency_ms, link.jitter_ms, rng).round().max(0.0))
}

/// A run at a latency. `slow`: how many times as long reading takes.
pub fn job(physics: &Physics, latency: Duration, records: u64, slow: f64, rng: &mut Rng) -> Job {
    let response_time = time(physics.response_time, latency, slow, rng);
    let execution_time = time(physics.execution_time, latency, slow, rng);
    let throughput = records as f64 / execution_time.as_secs_f64();
    Job { latency, response_time, execution_time, throughput }
}

/// In whole milliseconds, at least one.
fn time(line: Line, latency: Duration, slow: f64, rng: &mut Rng) -> Duration {
    let mean = line.base.as_secs_f64() + line.slope * latency.as_secs_f64();
    let seconds = normal(mean * slow, line.deviation.as_secs_f64(), rng);
    milliseconds((seconds * 1e3).round().max(1.0))
}

fn normal(mean: f64, deviation: f64, rng: &mut Rng) -> f64 {
    Normal::new(mean, deviation).map_or(mean, |normal| normal.sample(rng))
}

fn milliseconds(whole: f64) -> Duration {
    // In range: times of a scenario are at most a year.
    Duration::from_millis(whole as u64)
}

/// How long the bytes of a transfer are on their way from one store to another, through the links of the agent that moves them.
pub fn transfer_time(physics: &Physics, home: NodeId, from: (NodeId, f64), to: (NodeId, f64)) -> Duration {
    let transfer = &physics.transfer;
    if let Transfer::Takes(duration) = transfer {
        return duration.mul_f64(from.1.max(to.1));
    }
    let rate = |(node, slow): (NodeId, f64)| (transfer.store_rate(node) / slow).min(transfer.link_rate(home, node));
    milliseconds((physics.bytes as f64 / rate(from).min(rate(to)) * 1e3).ceil())
}

/// Whether a transfer fails half way.
pub fn fails(physics: &Physics, rng: &mut Rng) -> bool {
    // Not drawn where nothing fails, but the stream is nobody else's.
    physics.transfer_failures > 0.0 && rng.random::<f64>() < physics.transfer_failures
}

/// What training would measure at a node.
pub fn train(
    physics: &Physics,
    seed: u64,
    agent: AgentId,
    link: Link,
    records: u64,
    availability: f64,
) -> Vec<Metrics> {
    let mut rng = streams::stream(seed, agent, Purpose::Training(link.to));
    let mut run = || {
        let latency = latency(link, &mut rng);
        let job = job(physics, latency, records, 1.0, &mut rng);
        Metrics::default()
            .with(Metric::ResponseTime, job.response_time.as_secs_f64())
            .with(Metric::ExecutionTime, job.execution_time.as_secs_f64())
            .with(Metric::Throughput, job.throughput)
            .with(Metric::NetworkLatency, job.latency.as_secs_f64() * 1e3)
            .with(Metric::Availability, availability)
    };
    (0..TRAINING_RUNS).map(|_| run()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use std::collections::BTreeMap;

    fn physics(transfer: Transfer) -> Physics {
        use crate::config::scenario::{Links, Rules};
        let line = Line { base: Duration::ZERO, slope: 0.0, deviation: Duration::ZERO };
        Physics {
            response_time: line,
            execution_time: line,
            bytes: 1_000,
            poll: Duration::ZERO,
            rules: Rules::Agents,
            job_failure: Duration::ZERO,
            transfer,
            transfer_failures: 0.0,
            replies_lost: 0.0,
            links: Links::Injected,
        }
    }

    /// How long 1000 bytes take from node 1 to node 2, whose store is twice as slow as it was, for an agent at this node.
    fn takes(transfer: Transfer, home: u32) -> Duration {
        transfer_time(&physics(transfer), NodeId(home), (NodeId(1), 1.0), (NodeId(2), 2.0))
    }

    #[test]
    fn a_transfer_takes_as_long_as_its_slowest_part() {
        let rates = |link: u64, store: u64, of_links: &[(u32, u32, u64)], of_stores: &[(u32, u64)]| Transfer::Rates {
            link,
            store,
            of_links: of_links.iter().map(|(from, to, rate)| ((NodeId(*from), NodeId(*to)), *rate)).collect(),
            of_stores: of_stores.iter().map(|(node, rate)| (NodeId(*node), *rate)).collect::<BTreeMap<_, _>>(),
        };
        let seconds = Duration::from_secs;
        assert_eq!(takes(Transfer::Takes(seconds(3)), 1), seconds(6));
        assert_eq!(takes(rates(1_000, 1_000, &[], &[]), 3), seconds(2), "the slow store");
        assert_eq!(takes(rates(100, 1_000, &[], &[]), 3), seconds(10), "links to both");
        // Nothing lies between an agent and the store of its own node.
        assert_eq!(takes(rates(1_000, 1_000, &[(1, 1, 1)], &[(2, 4_000)]), 1), seconds(1));
        assert_eq!(takes(rates(1_000, 1_000, &[(1, 2, 250)], &[]), 1), seconds(4));
    }

    #[test]
    fn a_job_takes_a_millisecond_at_least() {
        let job = job(&physics(Transfer::Takes(Duration::ZERO)), Duration::ZERO, 10, 1.0, &mut Rng::seed_from_u64(1));
        let least = Duration::from_millis(1);
        assert_eq!((job.response_time, job.execution_time, job.throughput), (least, least, 10_000.0));
    }

    #[test]
    fn transfers_fail_as_often_as_the_scenario_says() {
        let failing = |share| Physics { transfer_failures: share, ..physics(Transfer::Takes(Duration::ZERO)) };
        let mut rng = Rng::seed_from_u64(1);
        assert!(fails(&failing(1.0), &mut rng));
        assert!(!fails(&failing(0.0), &mut rng));
    }
}
