//! What is kept of each request: counts and times, by service, host and tick. One for each thread, merged at the end.

use super::outcome::{Kind, Outcome};
use hdrhistogram::{Counter, Histogram};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Times above count as this one, and are counted.
pub const LONGEST: Duration = Duration::from_secs(3_600);
/// Significant digits of times by host: in nanoseconds up to an hour that is a quarter of a megabyte for each histogram.
const DIGITS: u8 = 3;
/// A run may have a hundred thousand ticks, a session ten thousand clients: one digit, in microseconds, is a kilobyte.
const COARSE_DIGITS: u8 = 1;

/// A request that is over. Moments are since the run's start.
#[derive(Debug)]
pub struct Ended<'a> {
    pub service: usize,
    /// `None`: none was chosen.
    pub host: Option<&'a Arc<str>>,
    pub tick: u32,
    pub intended: Duration,
    /// `None`: nothing was sent.
    pub sent: Option<Duration>,
    pub done: Duration,
    pub outcome: Outcome,
    pub is_late: bool,
}

/// How many requests came to what.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub intended: u64,
    pub sent: u64,
    pub late: u64,
    kinds: [u64; Kind::ALL.len()],
}

impl Counts {
    /// `kinds`: in the order of [`Kind::ALL`].
    pub fn by_kind(intended: u64, sent: u64, late: u64, kinds: [u64; Kind::ALL.len()]) -> Self {
        Self { intended, sent, late, kinds }
    }

    pub fn of(&self, kind: Kind) -> u64 {
        self.kinds[kind as usize]
    }

    fn count(&mut self, ended: &Ended<'_>) {
        self.intended += 1;
        self.sent += u64::from(ended.sent.is_some());
        self.late += u64::from(ended.is_late);
        self.kinds[ended.outcome.kind() as usize] += 1;
    }

    pub fn merge(&mut self, other: &Counts) {
        self.intended += other.intended;
        self.sent += other.sent;
        self.late += other.late;
        for (count, more) in self.kinds.iter_mut().zip(other.kinds) {
            *count += more;
        }
    }
}

/// Times of one kind, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Spread {
    pub histogram: Histogram<u64>,
    /// How many were longer than [`LONGEST`].
    pub clamped: u64,
}

impl Default for Spread {
    fn default() -> Self {
        let longest = nanoseconds(LONGEST);
        let histogram = Histogram::new_with_bounds(1, longest, DIGITS).expect("the bounds are constant and in order");
        Self { histogram, clamped: 0 }
    }
}

impl Spread {
    fn record(&mut self, time: Duration) {
        self.clamped += u64::from(time > LONGEST);
        self.histogram.saturating_record(nanoseconds(time.min(LONGEST)));
    }

    pub fn merge(&mut self, other: &Spread) {
        add(&mut self.histogram, &other.histogram);
        self.clamped += other.clamped;
    }
}

/// Of one host, or of many together.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub counts: Counts,
    /// From when a request was meant to start.
    pub response: Spread,
    /// From when it was sent.
    pub service: Spread,
}

impl Record {
    fn add(&mut self, ended: &Ended<'_>) {
        self.counts.count(ended);
        if !ended.outcome.has_response_time() {
            return;
        }
        self.response.record(ended.done.saturating_sub(ended.intended));
        if let Some(sent) = ended.sent {
            self.service.record(ended.done.saturating_sub(sent));
        }
    }

    pub fn merge(&mut self, other: &Record) {
        self.counts.merge(&other.counts);
        self.response.merge(&other.response);
        self.service.merge(&other.service);
    }
}

/// Of one tick, or of one client: the response times to one digit, in microseconds, besides their exact sum and largest.
#[derive(Clone, Debug)]
pub struct CoarseRecord {
    pub counts: Counts,
    pub response: Histogram<u32>,
    pub sum: Duration,
    pub max: Duration,
}

impl Default for CoarseRecord {
    fn default() -> Self {
        // It grows with what it is given: most need little.
        let response = Histogram::new(COARSE_DIGITS).expect("the number of digits is allowed");
        Self { counts: Counts::default(), response, sum: Duration::ZERO, max: Duration::ZERO }
    }
}

impl CoarseRecord {
    pub fn add(&mut self, ended: &Ended<'_>) {
        self.counts.count(ended);
        if !ended.outcome.has_response_time() {
            return;
        }
        let time = ended.done.saturating_sub(ended.intended).min(LONGEST);
        self.response.record(nanoseconds(time) / 1_000).expect("it grows, and an hour is far below its limit");
        self.sum += time;
        self.max = self.max.max(time);
    }

    fn merge(&mut self, other: &CoarseRecord) {
        self.counts.merge(&other.counts);
        add(&mut self.response, &other.response);
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }
}

#[derive(Clone, Debug, Default)]
pub struct ServiceRecord {
    pub hosts: HashMap<Arc<str>, Record>,
    /// Requests for which no host was chosen.
    pub hostless: Counts,
    pub ticks: BTreeMap<u32, CoarseRecord>,
}

impl ServiceRecord {
    fn merge(&mut self, other: ServiceRecord) {
        for (host, record) in other.hosts {
            self.hosts.entry(host).or_default().merge(&record);
        }
        self.hostless.merge(&other.hostless);
        for (tick, record) in other.ticks {
            self.ticks.entry(tick).or_default().merge(&record);
        }
    }
}

/// All that is kept of a run's requests.
#[derive(Clone, Debug)]
pub struct Recording {
    pub services: Vec<ServiceRecord>,
    /// When the last request was meant to start.
    pub last_intended: Duration,
    /// When the last one ended.
    pub last_done: Duration,
}

impl Recording {
    pub fn new(services: usize) -> Self {
        let services = vec![ServiceRecord::default(); services];
        Self { services, last_intended: Duration::ZERO, last_done: Duration::ZERO }
    }

    /// Makes room for so many services.
    pub fn reach(&mut self, services: usize) {
        self.services.resize_with(services.max(self.services.len()), ServiceRecord::default);
    }

    pub fn add(&mut self, ended: &Ended<'_>) {
        self.last_intended = self.last_intended.max(ended.intended);
        self.last_done = self.last_done.max(ended.done);
        let service = &mut self.services[ended.service];
        match ended.host {
            // Looked up first: an entry would need a host of its own each time.
            Some(host) => match service.hosts.get_mut(host) {
                Some(record) => record.add(ended),
                None => service.hosts.entry(Arc::clone(host)).or_default().add(ended),
            },
            None => service.hostless.count(ended),
        }
        service.ticks.entry(ended.tick).or_default().add(ended);
    }

    /// Adds what another thread recorded of the same services, or of the first of them.
    pub fn merge(&mut self, other: Recording) {
        for (service, more) in self.services.iter_mut().zip(other.services) {
            service.merge(more);
        }
        self.last_intended = self.last_intended.max(other.last_intended);
        self.last_done = self.last_done.max(other.last_done);
    }
}

fn add<T: Counter>(histogram: &mut Histogram<T>, other: &Histogram<T>) {
    histogram.add(other).expect("both have the same bounds, or grow");
}

pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERED: Outcome = Outcome::Answered { status: 200, bytes: 1 };

    fn ended(host: Option<&Arc<str>>, tick: u32, ms: [u64; 3], outcome: Outcome) -> Ended<'_> {
        let [intended, sent, done] = ms.map(Duration::from_millis);
        Ended { service: 0, host, tick, intended, sent: Some(sent), done, outcome, is_late: sent > intended }
    }

    fn ms(spread: &Spread, quantile: f64) -> f64 {
        (spread.histogram.value_at_quantile(quantile) as f64 / 1e6).round()
    }

    #[test]
    fn response_counts_from_the_intended_time_and_service_from_the_sending() {
        let host = "a:1".into();
        let mut recording = Recording::new(1);
        recording.add(&ended(Some(&host), 0, [100, 150, 170], ANSWERED));
        let record = &recording.services[0].hosts["a:1"];
        assert_eq!((ms(&record.response, 1.0), ms(&record.service, 1.0)), (70.0, 20.0));
        assert_eq!((record.counts.late, recording.last_done.as_millis()), (1, 170));
    }

    #[test]
    fn a_refusal_is_counted_but_its_time_is_no_answers() {
        let host = "a:1".into();
        let mut recording = Recording::new(1);
        for outcome in [Outcome::Refused, Outcome::Closed, Outcome::Garbage, Outcome::TimedOut, ANSWERED] {
            recording.add(&ended(Some(&host), 0, [0, 0, 10], outcome));
        }
        let record = &recording.services[0].hosts["a:1"];
        assert_eq!((record.counts.intended, record.counts.of(Kind::Refused)), (5, 1));
        assert_eq!(record.response.histogram.len(), 2, "what was given up took at least as long");
    }

    #[test]
    fn what_is_longer_than_the_longest_is_counted_as_the_longest() {
        let mut spread = Spread::default();
        spread.record(LONGEST);
        spread.record(LONGEST * 5);
        assert_eq!((spread.histogram.len(), spread.clamped), (2, 1));
        assert!(spread.histogram.equivalent(spread.histogram.max(), nanoseconds(LONGEST)));
    }

    #[test]
    fn merged_threads_are_as_if_one_had_recorded_everything() {
        let (a, b): (Arc<str>, Arc<str>) = ("a:1".into(), "b:1".into());
        let mut whole = Recording::new(1);
        let mut threads = [Recording::new(1), Recording::new(1)];
        for (index, thread) in (0..200).zip([0, 1].into_iter().cycle()) {
            let host = [None, Some(&a), Some(&b)][index as usize % 3];
            let outcome = if index % 7 == 0 { Outcome::Closed } else { ANSWERED };
            let ended = ended(host, index as u32 / 50, [index, index + index % 2, 3 * index], outcome);
            whole.add(&ended);
            threads[thread].add(&ended);
        }
        let [mut merged, other] = threads;
        merged.merge(other);
        let (merged_service, whole_service) = (&merged.services[0], &whole.services[0]);
        assert_eq!(merged.last_done, whole.last_done);
        assert_eq!(merged_service.hostless, whole_service.hostless);
        for host in [&a, &b] {
            let (merged, whole) = (&merged_service.hosts[host], &whole_service.hosts[host]);
            assert_eq!(merged.counts, whole.counts);
            assert_eq!(merged.response.histogram, whole.response.histogram);
            assert_eq!(merged.service.histogram, whole.service.histogram);
        }
        for (tick, whole) in &whole_service.ticks {
            let merged = &merged_service.ticks[tick];
            assert_eq!((&merged.counts, merged.sum, merged.max), (&whole.counts, whole.sum, whole.max));
            assert_eq!(merged.response, whole.response);
        }
        assert_eq!(whole_service.ticks.len(), 4);
    }

    #[test]
    fn histograms_are_small() {
        let spread = Spread::default();
        assert!(spread.histogram.distinct_values() * size_of::<u64>() < 300_000);
        let mut tick = CoarseRecord::default();
        tick.response.record(10_000_000).unwrap();
        assert!(tick.response.distinct_values() * size_of::<u32>() < 2_000, "a time of ten seconds");
    }
}
