//! What the requests of a window come to: a queue before so many connections, and answers that take as long as the link and the store
//! make them.

use super::physics;
use crate::config::scenario::{Physics, Service};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::Link;
use crate::domain::silence::fell_silent;
use crate::mape::monitor;
use crate::mape::planner::Rng;
use agent_arrivals::{Arrival, Plan};
use rand_distr::{Distribution, LogNormal};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::time::Duration;

/// When the requests to one service come, as far as they have not yet.
#[derive(Clone)]
pub struct Traffic(Peekable<Plan>);

impl Traffic {
    pub fn new(service: &Service, seed: u64) -> Self {
        Self(Plan::of_profile(&service.traffic, service.within, seed).peekable())
    }

    /// Those that come from then on for so long, since the start of the scenario. Earlier ones came when nobody looked.
    pub fn within(&mut self, from: Duration, window: Duration) -> Vec<Duration> {
        while self.0.next_if(|Arrival { at, .. }| *at < from).is_some() {}
        let mut came = Vec::new();
        while let Some(Arrival { at, .. }) = self.0.next_if(|Arrival { at, .. }| *at < from + window) {
            came.push(at);
        }
        came
    }
}

/// A way from a service's agent to the replica that it reads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Way {
    pub link: Link,
    /// How many times as long the store takes.
    pub slow: f64,
    /// What a byte takes \[s\].
    pub seconds_per_byte: f64,
}

impl Way {
    pub fn new(physics: &Physics, link: Link, slow: f64) -> Self {
        let transfer = &physics.transfer;
        let bytes_per_s = transfer.store_rate(link.to).min(transfer.link_rate(link.from, link.to));
        Self { link, slow, seconds_per_byte: bytes_per_s.recip() }
    }
}

/// What the requests of a window came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Window {
    /// In each second of it.
    pub answered_per_s: f64,
    /// What answers took on average, and what 95 and 99 of 100 did not exceed; absent where nothing was answered.
    pub times: Option<Times>,
    /// Of all requests \[%\].
    pub error_percent: f64,
    /// All answers together.
    pub answered_bytes: u64,
    /// At its end nobody asked any more.
    pub fell_silent: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Times {
    pub mean: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

/// Requests that came at these times, in order, in a window that began then; `None` where none did.
pub fn window(
    service: &Service,
    way: &Way,
    came: &[Duration],
    (began, long): (Duration, Duration),
    rng: &mut Rng,
) -> Option<Window> {
    let mut free: BinaryHeap<Reverse<Duration>> = BinaryHeap::new();
    let mut took = Vec::with_capacity(came.len());
    for at in came {
        // Whoever has to wait is next when the first of those before it is done.
        let begins = match free.len() < service.connections {
            true => *at,
            false => free.pop().map_or(*at, |Reverse(free_at)| free_at.max(*at)),
        };
        let gives_up = *at + service.time_limit;
        let done = begins + answer(service, way, rng);
        free.push(Reverse(done.min(gives_up).max(begins)));
        if done <= gives_up {
            took.push(done - *at);
        }
    }
    took.sort_unstable();
    let rank = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let mean = || Some(took.iter().sum::<Duration>() / u32::try_from(took.len()).ok().filter(|count| *count > 0)?);
    let times = mean().zip(rank(95)).zip(rank(99)).map(|((mean, p95), p99)| Times { mean, p95, p99 });
    let silence = came.last().map_or(long, |last| (began + long).saturating_sub(*last));
    (!came.is_empty()).then(|| Window {
        fell_silent: fell_silent(came.len() as u64, silence, long),
        answered_per_s: took.len() as f64 / long.as_secs_f64(),
        times,
        error_percent: (came.len() - took.len()) as f64 / came.len() as f64 * 100.0,
        answered_bytes: service.answer_bytes.saturating_mul(took.len() as u64),
    })
}

/// What one answer takes, whose turn it is.
fn answer(service: &Service, way: &Way, rng: &mut Rng) -> Duration {
    let waits = physics::latency(way.link, rng).as_secs_f64() * service.round_trips;
    let bytes = service.answer_bytes as f64 * way.seconds_per_byte;
    let mean = (service.overhead.as_secs_f64() + bytes) * way.slow + waits;
    // The mean of a log-normal time is exp(mu + sigma^2 / 2).
    let spread = LogNormal::new(-service.spread * service.spread / 2.0, service.spread);
    let seconds = mean * spread.map_or(1.0, |spread| spread.sample(rng));
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4).min(Duration::from_secs(1 << 30))
}

impl Window {
    /// As the monitor measures it, seen from a node of this availability.
    pub fn metrics(&self, way: &Way) -> Metrics {
        let mut metrics = Metrics::default()
            .with(Metric::Throughput, self.answered_per_s)
            .with(Metric::ErrorRate, self.error_percent)
            .with(Metric::NetworkLatency, way.link.latency_ms);
        if let Some(Times { mean, p95, p99 }) = self.times {
            let requests =
                monitor::Requests { p95, p99, error_percent: self.error_percent, are_over: self.fell_silent };
            let mean = mean.as_secs_f64();
            let times = [(Metric::ResponseTime, mean), (Metric::ExecutionTime, mean)];
            times.into_iter().chain(requests.metrics()).for_each(|(metric, value)| metrics.set(metric, value));
        }
        metrics
    }
}

/// Windows that a training sees at each node.
const TRAINED: usize = 5;
/// Requests of each, one after the other.
const REQUESTS: u32 = 20;

/// What a training would measure at a node: the agent itself asks, one request after the other.
pub fn train(service: &Service, way: &Way, availability: f64, rng: &mut Rng) -> Vec<Metrics> {
    let alone = Service { connections: REQUESTS as usize, ..service.clone() };
    // So far apart that none waits for another; how many come says nothing of the node.
    let came: Vec<Duration> = (0..REQUESTS).map(|number| Duration::from_secs(1) * number).collect();
    let long = Duration::from_secs(u64::from(REQUESTS));
    let seen = (0..TRAINED).filter_map(|_| window(&alone, way, &came, (Duration::ZERO, long), rng));
    seen.map(|window| window.metrics(way).with(Metric::Availability, availability)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::NodeId;
    use agent_arrivals::{Profile, Within};
    use rand::SeedableRng as _;

    fn service(connections: usize) -> Service {
        Service {
            answer_bytes: 1_000_000,
            round_trips: 2.0,
            overhead: Duration::from_millis(10),
            spread: 0.0,
            connections,
            time_limit: Duration::from_secs(10),
            traffic: Profile::of_ticks(Duration::from_secs(60), vec![2.0, 0.0, 5.0]).unwrap(),
            within: Within::Constant,
        }
    }

    /// A link of so many milliseconds, and 10 MB/s.
    fn way(latency_ms: f64) -> Way {
        let link = Link { from: NodeId(1), to: NodeId(2), latency_ms, jitter_ms: 0.0 };
        Way { link, slow: 1.0, seconds_per_byte: 1e-7 }
    }

    fn at(connections: usize, latency_ms: f64, came: &[u64]) -> Option<Window> {
        let came: Vec<Duration> = came.iter().map(|at| Duration::from_millis(*at)).collect();
        let mut rng = Rng::seed_from_u64(1);
        window(&service(connections), &way(latency_ms), &came, (Duration::ZERO, Duration::from_secs(60)), &mut rng)
    }

    #[test]
    fn an_answer_takes_round_trips_bytes_and_overhead() {
        let Window { times, error_percent, answered_per_s, answered_bytes, fell_silent: _ } =
            at(4, 100.0, &[0, 1000, 2000]).unwrap();
        let Times { mean, p95, p99 } = times.unwrap();
        let expected = Duration::from_millis(2 * 100 + 100 + 10);
        assert_eq!([mean, p95, p99].map(|time| time.as_millis()), [expected.as_millis(); 3]);
        assert_eq!((error_percent, answered_per_s, answered_bytes), (0.0, 0.05, 3_000_000));
        assert_eq!(at(4, 100.0, &[]), None, "nobody asked");
    }

    #[test]
    fn whoever_finds_no_connection_waits_for_one_and_gives_up_in_the_end() {
        // One at a time, 310 ms each: the second waits for the first, the third for both.
        let queued = at(1, 100.0, &[0, 0, 0]).unwrap().times.unwrap();
        assert_eq!((queued.mean.as_millis(), queued.p99.as_millis()), (620, 930));
        // 4 s each: of five, two are done within 10 s, and the third gives up in the middle of its answer.
        let slow = at(1, 1945.0, &[0; 5]).unwrap();
        assert_eq!(slow.error_percent, 60.0);
        assert_eq!(slow.times.unwrap().p99.as_millis(), 8_000);
    }

    #[test]
    fn windows_follow_each_other_and_what_came_between_is_gone() {
        let mut traffic = Traffic::new(&service(1), 1);
        let seconds = Duration::from_secs;
        assert_eq!(traffic.within(seconds(0), seconds(2)), [0, 500, 1000, 1500].map(Duration::from_millis));
        assert_eq!(traffic.within(seconds(10), seconds(1)).first(), Some(&seconds(10)));
        assert!(traffic.within(seconds(60), seconds(60)).is_empty());
        assert_eq!(traffic.within(seconds(120), seconds(10)).len(), 50);
        assert!(traffic.within(seconds(180), seconds(60)).is_empty());
    }

    #[test]
    fn times_have_the_mean_that_link_and_store_say() {
        let spread = Service { spread: 0.8, connections: 1000, ..service(1) };
        let came: Vec<Duration> = (0..20_000).map(|at| Duration::from_secs(at * 10)).collect();
        let seen =
            window(&spread, &way(100.0), &came, (Duration::ZERO, Duration::from_secs(60)), &mut Rng::seed_from_u64(1))
                .unwrap();
        let Times { mean, p95, p99 } = seen.times.unwrap();
        assert!((mean.as_secs_f64() - 0.31).abs() < 0.01, "{mean:?}");
        // exp(mu + 1.645 sigma), exp(mu + 2.326 sigma)
        assert!((p95.as_secs_f64() / 0.31 - 2.707).abs() < 0.1, "{p95:?}");
        assert!((p99.as_secs_f64() / 0.31 - 4.67).abs() < 0.25, "{p99:?}");
    }
}
