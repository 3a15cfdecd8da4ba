//! What a job really comes to: the chance that it misses its goal, from the physics that the world draws it by.
//!
//! The world draws a latency in whole milliseconds, then two times around lines of it, each with a deviation of its own, in whole
//! milliseconds too; throughput is the records over the second of them. So the metrics of a goal depend on each other through the
//! latency, and throughput on the execution time. Between the bounds of a goal nothing changes: they cut latencies and times into
//! *cells*, in each of which the goal holds or does not. The chance is the sum over all latencies, one by one, and over the cells
//! of the two times, which are independent once the latency is known. Nothing is drawn.

use super::normal;
use crate::config::scenario::{Line, Physics};
use crate::domain::goal::{Goal, Threshold};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::Link;
use std::time::Duration;

/// So many deviations away latencies end: a millionth of a millionth is left out.
const FAR: f64 = 7.0;
/// Latencies that spread over more milliseconds are taken several at a time.
const LATENCIES: i64 = 4096;
/// As much may lie elsewhere where everything is taken to lie in one cell: a thousandth of what shares are counted in.
const NEGLIGIBLE: f64 = 1e-9;

/// What an agent wants of its job, and the cells that this cuts latencies and times into.
pub struct Odds<'a> {
    goal: &'a Goal,
    physics: &'a Physics,
    records: u64,
    latencies: Cells,
    responses: Cells,
    executions: Cells,
}

/// The time in which a replica lags behind is looked at in so many parts.
const STALE_PARTS: u32 = 16;

/// Where the job reads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    pub link: Link,
    /// How many times as long reading takes.
    pub slow: f64,
    pub availability_percent: f64,
    pub data_consistency: f64,
    /// How far what lies there falls behind its owner, and in what share of the time it does; absent: never.
    pub lag: Option<(Duration, f64)>,
    /// Absent: the job reads nothing else.
    pub beside: Option<Beside>,
}

/// What a job reads besides, of other data sets where they are taken to lie; their latencies are what they are on average.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Beside {
    /// Mean \[ms\] and variance of all of them together.
    pub response: (f64, f64),
    pub execution: (f64, f64),
    /// Of the slowest link.
    pub latency_ms: f64,
}

impl Beside {
    /// One more of them, read over a link.
    pub fn add(&mut self, physics: &Physics, link: Link, slow: f64) {
        let latency = link.latency_ms.round() as i64;
        let add = |(mean, variance): (f64, f64), line: Line| {
            let time = time(line, latency, slow);
            let swing = line.slope * link.jitter_ms * slow;
            (mean + time.mean, variance + time.deviation * time.deviation + swing * swing)
        };
        self.response = add(self.response, physics.response_time);
        self.execution = add(self.execution, physics.execution_time);
        self.latency_ms = self.latency_ms.max(link.latency_ms);
    }
}

/// Whether the goal holds in each cell: by latency, response time, execution time.
type Held = Vec<Vec<Vec<bool>>>;

impl<'a> Odds<'a> {
    pub fn new(goal: &'a Goal, physics: &'a Physics, records: u64) -> Self {
        let cells = |metrics: &[Metric]| {
            let bounds = goal.thresholds().into_iter().filter(|bound| metrics.contains(&bound.metric));
            Cells::new(bounds.map(|bound| last_before(bound, records)))
        };
        let latencies = cells(&[Metric::NetworkLatency]);
        let responses = cells(&[Metric::ResponseTime]);
        let executions = cells(&[Metric::ExecutionTime, Metric::Throughput]);
        Self { goal, physics, records, latencies, responses, executions }
    }

    /// The chance that a job misses the goal, 0..=1.
    pub fn violated(&self, place: &Place) -> f64 {
        let fresh = self.violated_when(place, 0.0);
        let Some((longest, share)) = place.lag.filter(|_| self.goal.mentions(Metric::Staleness)) else { return fresh };
        // Jobs come at any time while it lags behind.
        let stale = |part: u32| (f64::from(part) + 0.5) / f64::from(STALE_PARTS) * longest.as_secs_f64();
        let late: f64 = (0..STALE_PARTS).map(|part| self.violated_when(place, stale(part))).sum();
        share * late / f64::from(STALE_PARTS) + (1.0 - share) * fresh
    }

    /// The same of one that reads what is so stale \[s\].
    fn violated_when(&self, place: &Place, staleness: f64) -> f64 {
        let held = self.held(place, staleness);
        let mut all = held.iter().flatten().flatten();
        let first = all.next().copied().unwrap_or(false);
        if all.all(|holds| *holds == first) {
            return if first { 0.0 } else { 1.0 };
        }
        match self.only(place) {
            Some((latency, response, execution)) => f64::from(u8::from(!held[latency][response][execution])),
            None => (1.0 - self.satisfied(place, &held)).clamp(0.0, 1.0),
        }
    }

    fn held(&self, place: &Place, staleness: f64) -> Held {
        let holds = |latency: i64, response: i64, execution: i64| {
            let measured = |metrics: Metrics, metric: Metric, milliseconds: i64| {
                metrics.with(metric, measured(metric, milliseconds, self.records))
            };
            let metrics = Metrics::default()
                .with(Metric::Availability, place.availability_percent)
                .with(Metric::DataConsistency, place.data_consistency)
                .with(Metric::Staleness, staleness);
            let slowest = place.beside.map_or(0, |beside| beside.latency_ms.round() as i64);
            let metrics = measured(metrics, Metric::NetworkLatency, latency.max(slowest));
            let metrics = measured(metrics, Metric::ResponseTime, response);
            let metrics = measured(metrics, Metric::ExecutionTime, execution);
            self.goal.holds(&measured(metrics, Metric::Throughput, execution))
        };
        let row = |latency, response| self.executions.values().map(|time| holds(latency, response, time)).collect();
        let table = |latency| self.responses.values().map(|time| row(latency, time)).collect();
        self.latencies.values().map(table).collect()
    }

    /// The cells where everything lies, if it does. Times grow with the latency: what lies in one cell at the first and at the
    /// last one lies there between them.
    fn only(&self, place: &Place) -> Option<(usize, usize, usize)> {
        let (first, last) = latencies(place.link);
        let at = |latency: i64| {
            let response = self.responses.only(self.response(latency, place))?;
            let execution = self.executions.only(self.execution(latency, place))?;
            Some((self.latencies.of(latency), response, execution))
        };
        at(first).filter(|cells| at(last) == Some(*cells))
    }

    fn response(&self, latency: i64, place: &Place) -> Time {
        let own = time(self.physics.response_time, latency, place.slow);
        place.beside.map_or(own, |beside| own.and(beside.response))
    }

    fn execution(&self, latency: i64, place: &Place) -> Time {
        let own = time(self.physics.execution_time, latency, place.slow);
        place.beside.map_or(own, |beside| own.and(beside.execution))
    }

    fn satisfied(&self, place: &Place, held: &Held) -> f64 {
        let (first, last) = latencies(place.link);
        let stride = (last - first) / LATENCIES + 1;
        let spread = Time { mean: place.link.latency_ms, deviation: place.link.jitter_ms, least: 0 };
        let mut satisfied = 0.0;
        for (cell, (mut at, to)) in self.latencies.ranges(first, last) {
            let mut before = spread.up_to(at - 1);
            while at <= to {
                let until = (at + stride - 1).min(to);
                let up_to = spread.up_to(until);
                let middle = at + (until - at) / 2;
                let responses = self.responses.shares(self.response(middle, place));
                let executions = self.executions.shares(self.execution(middle, place));
                let met = |row: &Vec<bool>| -> f64 {
                    row.iter().zip(executions.iter()).filter(|(holds, _)| **holds).map(|(_, share)| share).sum()
                };
                let all: f64 = held[cell].iter().zip(responses.iter()).map(|(row, share)| share * met(row)).sum();
                satisfied += (up_to - before) * all;
                (at, before) = (until + 1, up_to);
            }
        }
        satisfied
    }
}

/// What the monitor measures of a latency or time in whole milliseconds.
fn measured(metric: Metric, milliseconds: i64, records: u64) -> f64 {
    let seconds = Duration::from_millis(milliseconds.max(0).unsigned_abs()).as_secs_f64();
    match metric {
        Metric::NetworkLatency => seconds * 1e3,
        Metric::Throughput => records as f64 / seconds,
        Metric::ResponseTime
        | Metric::ExecutionTime
        | Metric::Availability
        | Metric::DataConsistency
        | Metric::Staleness
        | Metric::ResponseTimeP95
        | Metric::ResponseTimeP99
        | Metric::ErrorRate => seconds,
    }
}

/// The last millisecond before a bound changes from held to not held, or the other way.
fn last_before(bound: Threshold, records: u64) -> i64 {
    let milliseconds = match bound.metric {
        Metric::NetworkLatency => bound.value,
        Metric::Throughput => records as f64 / bound.value * 1e3,
        Metric::ResponseTime
        | Metric::ExecutionTime
        | Metric::Availability
        | Metric::DataConsistency
        | Metric::Staleness
        | Metric::ResponseTimeP95
        | Metric::ResponseTimeP99
        | Metric::ErrorRate => bound.value * 1e3,
    };
    // The nearest millisecond is on either side of the bound, or at it.
    let nearest = milliseconds.round() as i64;
    let holds = |milliseconds: i64| {
        bound.holds(&Metrics::default().with(bound.metric, measured(bound.metric, milliseconds, records)))
    };
    let before = nearest.saturating_sub(1);
    if holds(before) == holds(nearest) { nearest } else { before }
}

/// The first and the last that can come \[ms\].
fn latencies(link: Link) -> (i64, i64) {
    let at = |deviations: f64| (link.latency_ms + deviations * link.jitter_ms).round().max(0.0) as i64;
    (at(-FAR), at(FAR))
}

fn time(line: Line, latency: i64, slow: f64) -> Time {
    let mean = (line.base.as_secs_f64() * 1e3 + line.slope * latency as f64) * slow;
    Time { mean, deviation: line.deviation.as_secs_f64() * 1e3, least: 1 }
}

/// Normally distributed \[ms\], then rounded to whole milliseconds, at least `least`.
#[derive(Clone, Copy)]
struct Time {
    mean: f64,
    deviation: f64,
    least: i64,
}

impl Time {
    /// One after the other.
    fn and(self, (mean, variance): (f64, f64)) -> Self {
        let deviation = (self.deviation * self.deviation + variance).sqrt();
        Self { mean: self.mean + mean, deviation, ..self }
    }

    fn up_to(self, milliseconds: i64) -> f64 {
        if milliseconds < self.least {
            return 0.0;
        }
        match self.deviation > 0.0 {
            true => normal::below((milliseconds as f64 + 0.5 - self.mean) / self.deviation),
            false => f64::from(u8::from(self.mean.round() <= milliseconds as f64)),
        }
    }
}

/// Whole milliseconds, cut where bounds lie.
struct Cells {
    /// The last millisecond of each cell but the last one, ascending.
    ends: Vec<i64>,
}

impl Cells {
    fn new(ends: impl Iterator<Item = i64>) -> Self {
        let mut ends: Vec<i64> = ends.collect();
        ends.sort_unstable();
        ends.dedup();
        Self { ends }
    }

    fn of(&self, milliseconds: i64) -> usize {
        self.ends.partition_point(|end| *end < milliseconds)
    }

    /// A value in each cell.
    fn values(&self) -> impl Iterator<Item = i64> {
        let last = self.ends.last().map_or(1, |end| end.saturating_add(1));
        self.ends.iter().copied().chain([last])
    }

    /// The cells that lie between two values, with what of them lies there.
    fn ranges(&self, first: i64, last: i64) -> impl Iterator<Item = (usize, (i64, i64))> {
        (self.of(first)..=self.of(last)).map(move |cell| {
            let begin = if cell == 0 { first } else { first.max(self.ends[cell - 1].saturating_add(1)) };
            (cell, (begin, self.ends.get(cell).map_or(last, |end| last.min(*end))))
        })
    }

    /// What of a time lies in each cell.
    fn shares(&self, time: Time) -> Vec<f64> {
        let up_to = self.ends.iter().map(|end| time.up_to(*end)).chain([1.0]);
        up_to.scan(0.0, |before, up_to| Some(up_to - std::mem::replace(before, up_to))).collect()
    }

    /// The cell that has all of a time.
    fn only(&self, time: Time) -> Option<usize> {
        let cell = self.of(time.mean.round().max(1.0) as i64);
        let before = if cell == 0 { 0.0 } else { time.up_to(self.ends[cell - 1]) };
        let after = self.ends.get(cell).map_or(1.0, |end| time.up_to(*end));
        (after - before >= 1.0 - NEGLIGIBLE).then_some(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scenario::{Links, Rules, Transfer};
    use crate::domain::ids::NodeId;
    use crate::mape::planner::Rng;
    use crate::sim::physics;
    use rand::SeedableRng as _;

    const RECORDS: u64 = 553_729;

    fn physics() -> Physics {
        let line = |base: u64, slope: f64| Line {
            base: Duration::from_secs(base),
            slope,
            deviation: Duration::from_millis(500),
        };
        Physics {
            response_time: line(10, 29.4),
            execution_time: line(4, 22.0),
            bytes: 1,
            poll: Duration::ZERO,
            rules: Rules::Agents,
            job_failure: Duration::ZERO,
            transfer: Transfer::Takes(Duration::ZERO),
            transfer_failures: 0.0,
            replies_lost: 0.0,
            links: Links::Injected,
        }
    }

    fn link(latency_ms: f64, jitter_ms: f64) -> Link {
        Link { from: NodeId(1), to: NodeId(2), latency_ms, jitter_ms }
    }

    fn violated(goal: &str, link: Link, slow: f64) -> f64 {
        let (goal, physics): (Goal, _) = (goal.parse().unwrap(), physics());
        let place = Place { link, slow, availability_percent: 80.0, data_consistency: 0.5, lag: None, beside: None };
        Odds::new(&goal, &physics, RECORDS).violated(&place)
    }

    /// The share of so many jobs, drawn as the world draws them, that miss the goal.
    fn drawn(goal: &str, link: Link, slow: f64, jobs: u32) -> f64 {
        let (goal, physics): (Goal, _) = (goal.parse().unwrap(), physics());
        let mut rng = Rng::seed_from_u64(1);
        let mut misses = || {
            let latency = physics::latency(link, &mut rng);
            let job = physics::job(&physics, latency, RECORDS, slow, &mut rng);
            let metrics = Metrics::default()
                .with(Metric::ResponseTime, job.response_time.as_secs_f64())
                .with(Metric::ExecutionTime, job.execution_time.as_secs_f64())
                .with(Metric::Throughput, job.throughput)
                .with(Metric::NetworkLatency, job.latency.as_secs_f64() * 1e3)
                .with(Metric::Availability, 80.0)
                .with(Metric::DataConsistency, 0.5);
            u32::from(!goal.holds(&metrics))
        };
        f64::from((0..jobs).map(|_| misses()).sum::<u32>()) / f64::from(jobs)
    }

    /// Within four standard errors of what is drawn.
    fn check(goal: &str, link: Link, slow: f64) {
        const JOBS: u32 = 40_000;
        let (expected, found) = (drawn(goal, link, slow, JOBS), violated(goal, link, slow));
        let error = (found * (1.0 - found) / f64::from(JOBS)).sqrt();
        assert!((found - expected).abs() <= 4.0 * error + 1e-9, "{goal}, {link:?}: {found}, {expected} of the drawn");
        assert!(found > 0.01 && found < 0.99, "{goal}, {link:?}: {found} says little");
    }

    #[test]
    fn it_is_what_the_world_draws() {
        let near = link(850.0, 7.0);
        check("response_time <= 35 s", near, 1.0);
        check("throughput >= 24415 records/s", near, 1.0);
        check("network_latency <= 848 ms", near, 1.0);
        check("network_latency < 848 ms or response_time < 34.6 s", near, 1.0);
        // Of one time, so either both hold or neither.
        check("execution_time <= 22.7 s and throughput >= 24393 records/s", near, 1.0);
        // Both grow with the latency, which spreads far.
        check("response_time <= 35 s and execution_time <= 22.7 s", link(850.0, 120.0), 1.0);
        check(
            "response_time <= 35 s or (execution_time >= 22.7 s and network_latency > 700 ms)",
            link(850.0, 120.0),
            1.0,
        );
        check("response_time <= 80 s and availability >= 80 %", link(500.0, 30.0), 3.2);
        // Latencies below 0 are 0.
        check("network_latency <= 0 ms", link(3.0, 10.0), 1.0);
        // More latencies than are looked at one by one.
        check("response_time <= 35 s and network_latency >= 20 ms", link(850.0, 700.0), 1.0);
    }

    #[test]
    fn what_is_certain_is_certain() {
        let home = link(0.0, 0.0);
        for (goal, link, expected) in [
            ("response_time <= 35 s", home, 0.0),
            ("response_time <= 5 s", home, 1.0),
            ("network_latency <= 0 ms", home, 0.0),
            ("network_latency < 1000 ms", link(1000.0, 0.0), 1.0),
            ("network_latency <= 1000 ms", link(1000.0, 0.0), 0.0),
            ("availability >= 80 %", home, 0.0),
            ("availability > 80 %", home, 1.0),
            ("data_consistency >= 0.7 or network_latency <= 1300 ms", link(1200.0, 7.0), 0.0),
            ("data_consistency >= 0.7 or network_latency <= 1300 ms", link(1500.0, 7.0), 1.0),
            ("throughput > 0 records/s", home, 0.0),
        ] {
            assert_eq!(violated(goal, link, 1.0), expected, "{goal}, {link:?}");
        }
    }

    #[test]
    fn a_time_at_the_bound_meets_it() {
        // Times are around 34.99 s and rounded to whole milliseconds.
        let share = |goal| violated(goal, link(850.0, 0.0), 1.0);
        let above = |seconds: f64| 1.0 - normal::below((seconds - 34.99) / 0.5);
        assert!((share("response_time <= 35 s") - above(35.0005)).abs() < 1e-12);
        assert!((share("response_time < 35 s") - above(34.9995)).abs() < 1e-12);
    }
}
