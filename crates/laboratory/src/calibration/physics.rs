//! What real runs say of everything in a scenario's physics, and what of it is doubtful.

use super::{Bias, Fit, Record, Sample};
use agent_core::config::scenario::{Line, Physics, Rules, Transfer};
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::ids::NodeId;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::Metric;
use agent_core::mape::planner::{Decision, has_transferred};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Of fewer transfers, or jobs right after an action, no mean is taken for known.
const LEAST_SEEN: usize = 5;

/// The physics of a network as its runs show it; in scenario time.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Calibration {
    pub runs: usize,
    pub response_time: Fit,
    pub execution_time: Fit,
    /// What moves and copies took that brought bytes, from their claim to their commit \[s\].
    pub transfer: Sample,
    /// Moves and copies that failed.
    pub failed_transfers: usize,
    /// What passes between an action's end and the begin of its agent's next job, which follows at once \[s\].
    pub poll: Sample,
    /// What probes measure beyond the latency that is injected \[ms\].
    pub probe_excess: Sample,
    pub links: Vec<LinkFit>,
    /// Whether latency is injected: then a link is what the table states.
    pub is_emulated: bool,
    /// What a job reads, of the scenario.
    pub records: u64,
    pub bytes: u64,
    /// By how much the data set was shrunk.
    pub scale: u64,
    /// How far each run's response times lie off the line.
    pub run_bias: Vec<Bias>,
    /// What is not known well, in sentences.
    pub doubts: Vec<String>,
}

/// A link of an agent, as its jobs saw it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct LinkFit {
    pub from: NodeId,
    pub to: NodeId,
    /// What the table states \[ms\]; where it states nothing, what the jobs saw, or those of other links.
    pub stated_ms: f64,
    pub stated_jitter_ms: f64,
    /// What the jobs saw \[ms\].
    pub seen: Sample,
}

/// Fits all of it. `assumed`: the slope of response and execution time where latencies do not tell. `None` without a job that
/// says what it took.
pub fn calibrate(records: &[Record], assumed: (f64, f64)) -> Option<Calibration> {
    let jobs = || records.iter().flat_map(|record| record.jobs.iter().map(|(job, _)| job));
    let points = |metric| jobs().filter_map(move |job| point(job, metric)).collect::<Vec<_>>();
    let response_time = Fit::of(&points(Metric::ResponseTime), assumed.0)?;
    let execution_time = Fit::of(&points(Metric::ExecutionTime), assumed.1)?;
    let events = || records.iter().flat_map(|record| &record.events);
    let failed = events().filter(|event| event.action.transfers() && event.outcome == Outcome::Failed).count();
    let run_bias = records.iter().map(|record| run_bias(record, &response_time)).collect();
    let (records_read, bytes, scale) = data_set(records);
    let mut calibration = Calibration {
        runs: records.len(),
        response_time,
        execution_time,
        transfer: Sample::of(events().filter_map(transfer_seconds)),
        failed_transfers: failed,
        poll: Sample::of(records.iter().flat_map(polls)),
        probe_excess: Sample::of(
            jobs().filter_map(|job| Some(job.metrics.get(Metric::NetworkLatency)? - job.emulated_latency_ms?)),
        ),
        links: links(records),
        is_emulated: jobs().any(|job| job.emulated_latency_ms.is_some()),
        records: records_read,
        bytes,
        scale,
        run_bias,
        doubts: Vec::new(),
    };
    calibration.doubts = calibration.doubts();
    Some(calibration)
}

/// The latency that a job saw \[s\]: the injected one where there is one, for that is what a scenario states.
fn latency(job: &Measurement) -> Option<f64> {
    let latency_ms = job.emulated_latency_ms.or(job.metrics.get(Metric::NetworkLatency))?;
    (latency_ms.is_finite() && latency_ms >= 0.0).then_some(latency_ms / 1e3)
}

fn point(job: &Measurement, metric: Metric) -> Option<(NodeId, f64, f64)> {
    let seconds = job.metrics.get(metric).filter(|seconds| seconds.is_finite())?;
    Some((job.node, latency(job)?, seconds))
}

fn transfer_seconds(event: &Event) -> Option<f64> {
    let decision: Option<Decision> = serde_json::from_str(&event.detail).ok();
    let transferred = has_transferred(event, decision.as_ref());
    transferred.then_some(())?;
    Some(event.ended_at?.since(event.posted_at).as_secs_f64())
}

/// After each action of an agent: how long until its next job began.
fn polls(record: &Record) -> impl Iterator<Item = f64> {
    let done = record.events.iter().filter(|event| event.outcome == Outcome::Done);
    done.filter_map(|event| {
        let ended = event.ended_at?;
        let mut later = record.jobs.iter().map(|(job, _)| job).filter(|job| job.agent == event.agent && job.at > ended);
        let began = later.next()?.began();
        // Times are whole milliseconds: one that ended just before may seem to have ended after.
        Some(began.since(ended).as_secs_f64())
    })
}

fn links(records: &[Record]) -> Vec<LinkFit> {
    let mut seen: BTreeMap<(NodeId, NodeId), Vec<f64>> = BTreeMap::new();
    for record in records {
        for (job, _) in &record.jobs {
            if let (Some(home), Some(latency)) = (record.home(job.agent), latency(job)) {
                seen.entry((home, job.node)).or_default().push(latency * 1e3);
            }
        }
    }
    let Some(first) = records.first() else { return Vec::new() };
    let elsewhere = seen.iter().filter(|((from, to), _)| from != to);
    let elsewhere = Sample::of(elsewhere.flat_map(|(_, latencies)| latencies.iter().copied()));
    let (stated, nodes) = (&first.snapshot.links, &first.snapshot.nodes);
    let between = nodes.keys().flat_map(|from| nodes.keys().map(move |to| (*from, *to)));
    let ends: BTreeSet<(NodeId, NodeId)> = stated.iter().map(|link| (link.from, link.to)).chain(between).collect();
    let fit = |(from, to)| {
        let seen = Sample::of(seen.remove(&(from, to)).unwrap_or_default());
        let like = if seen.n > 0 { seen } else { elsewhere };
        let stated = stated.get(from, to);
        LinkFit {
            from,
            to,
            stated_ms: stated.map_or(like.mean, |link| link.latency_ms),
            stated_jitter_ms: stated.map_or(like.deviation, |link| link.jitter_ms),
            seen,
        }
    };
    ends.into_iter().filter(|(from, to)| from != to).map(fit).collect()
}

fn run_bias(record: &Record, fit: &Fit) -> Bias {
    let points = record.jobs.iter().filter_map(|(job, _)| point(job, Metric::ResponseTime));
    Bias::of(points.map(|(_, latency, seconds)| seconds - fit.at(latency)))
}

/// Records and bytes of the scenario, and the time scale: rates are not scaled, so a job's throughput and time tell how many
/// records it has read, but the data set itself was shrunk.
fn data_set(records: &[Record]) -> (u64, u64, u64) {
    let read = |(job, _): &(Measurement, bool)| {
        Some(job.metrics.get(Metric::Throughput)? * job.metrics.get(Metric::ExecutionTime)?)
    };
    let read = Sample::of(records.iter().flat_map(|record| &record.jobs).filter_map(read)).median.round();
    let Some(stored) = records.first().map(|record| &record.snapshot.data_set) else { return (0, 0, 1) };
    let scale = match stored.records {
        0 => 1,
        stored => (read / stored as f64).round().max(1.0) as u64,
    };
    (read as u64, stored.bytes.saturating_mul(scale), scale)
}

impl Calibration {
    fn doubts(&self) -> Vec<String> {
        let mut doubts = self.response_time.doubts("response time");
        doubts.extend(self.execution_time.doubts("execution time"));
        for (what, fit) in [("response time", &self.response_time), ("execution time", &self.execution_time)] {
            if fit.base.mean < 0.0 {
                doubts.push(format!("{what}: the line lies at {:.1} s without latency; 0 s is written", fit.base.mean));
            }
        }
        if self.transfer.n < LEAST_SEEN {
            let n = self.transfer.n;
            doubts.push(format!("transfers: {n} were seen, too few to know what one takes (at least {LEAST_SEEN})"));
        }
        if self.poll.n < LEAST_SEEN {
            let n = self.poll.n;
            doubts.push(format!("poll: {n} jobs follow an action at once, too few to know what passes between"));
        }
        doubts.extend(self.links.iter().filter(|link| self.is_emulated && link.was_changed()).map(|link| {
            let LinkFit { from, to, stated_ms, seen, .. } = link;
            format!(
                "link {from}-{to}: jobs saw {:.0} ms, the table states {stated_ms} ms: it was changed while they ran",
                seen.mean
            )
        }));
        let apart = (1..).zip(&self.run_bias).filter(|(_, bias)| bias.is_clear() && bias.mean.abs() > self.deviation());
        doubts.extend(apart.map(|(run, bias)| {
            format!(
                "run {run}: its jobs took {:+.1} s, compared with all: was the machine busy with something else?",
                bias.mean
            )
        }));
        doubts
    }

    fn deviation(&self) -> f64 {
        self.response_time.deviation
    }

    /// As a scenario has it. `assumed`: what the runs cannot tell, or did not.
    pub fn physics(&self, assumed: &Physics) -> Physics {
        let line = |fit: &Fit| Line {
            base: milliseconds(fit.base.mean),
            slope: (fit.per_second_of_latency.mean.max(0.0) * 1e3).round() / 1e3,
            deviation: milliseconds(fit.deviation),
        };
        let tried = self.transfer.n + self.failed_transfers;
        Physics {
            response_time: line(&self.response_time),
            execution_time: line(&self.execution_time),
            bytes: self.bytes,
            poll: if self.poll.n > 0 { milliseconds(self.poll.mean) } else { assumed.poll },
            rules: Rules::Agents,
            transfer: self.transfer_as(&assumed.transfer),
            transfer_failures: (self.failed_transfers as f64 / tried.max(1) as f64 * 1e3).round() / 1e3,
            ..assumed.clone()
        }
    }

    /// All transfers are of one size, so that a time and a rate say the same: it is said in the way that is asked for.
    fn transfer_as(&self, assumed: &Transfer) -> Transfer {
        let seconds = self.transfer.mean;
        match assumed {
            assumed if self.transfer.n == 0 => assumed.clone(),
            Transfer::Takes(_) => Transfer::Takes(milliseconds(seconds)),
            Transfer::Rates { .. } => {
                let rate = (self.bytes as f64 / seconds.max(1e-3)).round().max(1.0) as u64;
                Transfer::Rates { link: rate, store: rate, of_links: BTreeMap::new(), of_stores: BTreeMap::new() }
            }
        }
    }
}

impl LinkFit {
    /// What its jobs saw is not what the table states now: by more than chance and rounding make of it.
    fn was_changed(&self) -> bool {
        const CHANCE: f64 = 4.0;
        const ROUNDING_MS: f64 = 1.0;
        let error = self.stated_jitter_ms / (self.seen.n.max(1) as f64).sqrt();
        self.seen.n > 0 && (self.seen.mean - self.stated_ms).abs() > CHANCE * error + ROUNDING_MS
    }
}

/// In whole milliseconds, not below 0.
fn milliseconds(seconds: f64) -> Duration {
    Duration::from_millis((seconds.max(0.0) * 1e3).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::record::scene;
    use super::*;
    use agent_core::config::scenario::Links;
    use std::collections::BTreeMap as Map;

    fn assumed(transfer: Transfer) -> Physics {
        let line = Line { base: Duration::ZERO, slope: 0.0, deviation: Duration::ZERO };
        Physics {
            response_time: line,
            execution_time: line,
            bytes: 1,
            poll: Duration::from_secs(9),
            rules: Rules::Published,
            job_failure: Duration::from_secs(5),
            transfer,
            transfer_failures: 0.0,
            replies_lost: 0.0,
            links: Links::Injected,
        }
    }

    /// Jobs of agent 1 at home and far away, which take 1 s and 37 s for each second of latency.
    fn record() -> Record {
        let mut record = scene::record();
        let job = |(n, node, latency_ms): (i64, u32, f64)| {
            let seconds = 1.0 + 37.0 * latency_ms / 1e3;
            let mut job = scene::job(1, node, 100 * n, seconds);
            job.emulated_latency_ms = Some(latency_ms);
            job.metrics.set(Metric::NetworkLatency, latency_ms + 8.0);
            (job, true)
        };
        let all = [(1, 1, 0.0), (2, 3, 1490.0), (3, 3, 1510.0), (4, 2, 1000.0), (5, 1, 0.0)];
        record.jobs = all.into_iter().map(job).collect();
        record.snapshot.data_set.records = 11_075;
        record.snapshot.data_set.bytes = 6_441_964;
        record
    }

    #[test]
    fn everything_is_in_scenario_time_and_size() {
        let mut record = record();
        // The next job begins at 199 - 37 * 1.49 = 143.87 s.
        record.events = vec![scene::event("M3_1", 140, Some(143)), scene::event("NA", 300, None)];
        let found = calibrate(&[record], (0.0, 0.0)).unwrap();
        assert_eq!((found.records, found.bytes), (553_729, 322_098_200));
        assert_eq!((found.transfer.n, found.transfer.mean, found.poll.n), (1, 3.0, 1));
        assert!((found.poll.mean - 0.87).abs() < 1e-9 && (found.probe_excess.mean - 8.0).abs() < 1e-9, "{found:?}");
        let physics = found.physics(&assumed(Transfer::Takes(Duration::ZERO)));
        let line = Line { base: Duration::from_secs(1), slope: 37.0, deviation: Duration::ZERO };
        assert_eq!((physics.response_time, physics.execution_time), (line, line));
        assert_eq!(physics.transfer, Transfer::Takes(Duration::from_secs(3)));
        assert_eq!((physics.poll, physics.rules), (Duration::from_millis(870), Rules::Agents));
    }

    #[test]
    fn a_transfer_is_said_as_the_scenario_says_it() {
        let mut record = record();
        record.events = vec![scene::event("C3_1", 140, Some(150))];
        let found = calibrate(&[record], (0.0, 0.0)).unwrap();
        let rates = |rate| Transfer::Rates { link: rate, store: rate, of_links: Map::new(), of_stores: Map::new() };
        assert_eq!(found.physics(&assumed(rates(5))).transfer, rates(32_209_820));
        let unseen = calibrate(&[self::record()], (0.0, 0.0)).unwrap().physics(&assumed(rates(5)));
        assert_eq!((unseen.transfer, unseen.poll), (rates(5), Duration::from_secs(9)));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let check = |record: Record, expected: &[&str]| {
            let doubts = calibrate(&[record], (0.0, 0.0)).unwrap().doubts;
            assert_eq!(doubts.len(), expected.len(), "{doubts:#?}");
            doubts.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found}"));
        };
        check(record(), &["transfers: 0 were seen", "poll: 0 jobs"]);
        let mut changed = record();
        changed.jobs[3].0.emulated_latency_ms = Some(200.0);
        changed.jobs[3].0.metrics.set(Metric::ResponseTime, 8.4);
        changed.jobs[3].0.metrics.set(Metric::ExecutionTime, 8.4);
        check(changed, &["transfers", "poll", "link 1-2: jobs saw 200 ms, the table states 1000 ms"]);
        assert_eq!(calibrate(&[scene::record()], (0.0, 0.0)), None);
    }

    #[test]
    fn a_run_on_a_busy_machine_is_named() {
        let busy = |record: &Record| {
            let mut record = record.clone();
            record.jobs.iter_mut().for_each(|(job, _)| {
                let seconds = job.metrics.get(Metric::ResponseTime).unwrap();
                job.metrics.set(Metric::ResponseTime, seconds + 3.0);
            });
            record
        };
        let quiet = record();
        let all = [quiet.clone(), quiet.clone(), busy(&quiet), quiet];
        let doubts = calibrate(&all, (0.0, 0.0)).unwrap().doubts;
        assert!(doubts.iter().any(|doubt| doubt.starts_with("run 3: its jobs took +2.3 s")), "{doubts:#?}");
    }
}
