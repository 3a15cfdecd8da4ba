//! What a run says when it is over.

use super::outcome::Kind;
use super::recording::{CoarseRecord, Counts, Record, Recording, Spread};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Of a whole run. Lengths are in seconds, times in milliseconds, rates in requests per second.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figures {
    #[serde(flatten)]
    pub counted: Counted,
    /// From the start until the last request was meant to start.
    pub planned_s: f64,
    /// From the start until the last request ended.
    pub lasted_s: f64,
    /// Requests meant to start, over `planned_s`; 0 when all were meant to start at once.
    pub rate_intended: f64,
    /// Answers below 400, over `lasted_s`.
    pub rate_achieved: f64,
    /// From when a request was meant to start; of answers of any status and of what was given up, which took at least so
    /// long. `None`: there are none.
    pub response_ms: Option<Times>,
    /// The same from when it was sent: what the server took, and what nobody would have waited for alone.
    pub service_ms: Option<Times>,
    /// Traces that their receiver was too slow for.
    pub traces_missed: u64,
    pub services: Vec<ServiceFigures>,
}

/// Requests, by what they came to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Counted {
    pub intended: u64,
    pub sent: u64,
    /// Answers, of any status.
    pub done: u64,
    /// Sent later than the bound after their time; measured all the same.
    pub late: u64,
    /// Never sent, because too many were in flight.
    pub dropped: u64,
    /// All that are not answers below 400, by the name of their kind; kinds that did not happen are left out.
    pub errors: BTreeMap<&'static str, u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ServiceFigures {
    pub service: String,
    #[serde(flatten)]
    pub counted: Counted,
    pub response_ms: Option<Times>,
    pub service_ms: Option<Times>,
    /// By name.
    pub hosts: Vec<HostFigures>,
    /// In order; those in which nothing was meant to start are left out.
    pub ticks: Vec<TickFigures>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct HostFigures {
    pub host: String,
    #[serde(flatten)]
    pub counted: Counted,
    pub response_ms: Option<Times>,
    pub service_ms: Option<Times>,
}

/// Of requests that were meant to start in a tick, whenever they ended.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TickFigures {
    pub tick: u32,
    #[serde(flatten)]
    pub counted: Counted,
    /// Mean and largest are exact, percentiles are to one digit.
    pub response_ms: Option<Times>,
}

/// Milliseconds. A percentile is the smallest time that so many percent of all are not above; it is to three digits.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Times {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
    pub max: f64,
    /// Longer than an hour, and counted as an hour.
    pub clamped: u64,
}

impl Figures {
    /// `services` are the names in the recording's order.
    pub(super) fn of(recording: &Recording, services: &[Arc<str>], traces_missed: u64) -> Self {
        let mut all = Record::default();
        let mut figures = Vec::with_capacity(services.len());
        for (service, record) in services.iter().zip(&recording.services) {
            let mut together = Record::default();
            record.hosts.values().for_each(|host| together.merge(host));
            together.counts.merge(&record.hostless);
            let mut hosts: Vec<_> = record.hosts.iter().map(|(host, record)| HostFigures::of(host, record)).collect();
            hosts.sort_by(|a, b| a.host.cmp(&b.host));
            figures.push(ServiceFigures {
                service: service.to_string(),
                counted: Counted::of(&together.counts),
                response_ms: Times::of(&together.response),
                service_ms: Times::of(&together.service),
                hosts,
                ticks: record.ticks.iter().map(|(tick, record)| TickFigures::of(*tick, record)).collect(),
            });
            all.merge(&together);
        }
        Self {
            counted: Counted::of(&all.counts),
            planned_s: recording.last_intended.as_secs_f64(),
            lasted_s: recording.last_done.as_secs_f64(),
            rate_intended: rate(all.counts.intended, recording.last_intended),
            rate_achieved: rate(all.counts.of(Kind::Answered), recording.last_done),
            response_ms: Times::of(&all.response),
            service_ms: Times::of(&all.service),
            traces_missed,
            services: figures,
        }
    }

    /// What to say before everything else: the load was not what was intended. `None`: it was.
    pub fn shortfall(&self) -> Option<String> {
        let Counted { intended, late, dropped, .. } = self.counted;
        (late > 0 || dropped > 0).then(|| {
            format!(
                "of {intended} intended requests {dropped} were dropped and {late} were sent late: the load was less \
                 than intended\n  help: take more threads, clients or hosts, a larger bound of what is in flight, or a \
                 lower rate"
            )
        })
    }
}

impl Counted {
    pub(super) fn of(counts: &Counts) -> Self {
        let errors = Kind::ALL.into_iter().filter(|kind| kind.is_error() && counts.of(*kind) > 0);
        Self {
            intended: counts.intended,
            sent: counts.sent,
            done: [Kind::Answered, Kind::ClientError, Kind::ServerError].map(|kind| counts.of(kind)).iter().sum(),
            late: counts.late,
            dropped: counts.of(Kind::Dropped),
            errors: errors.map(|kind| (kind.name(), counts.of(kind))).collect(),
        }
    }
}

impl HostFigures {
    fn of(host: &str, record: &Record) -> Self {
        Self {
            host: host.to_string(),
            counted: Counted::of(&record.counts),
            response_ms: Times::of(&record.response),
            service_ms: Times::of(&record.service),
        }
    }
}

impl TickFigures {
    fn of(tick: u32, record: &CoarseRecord) -> Self {
        let (counted, response_ms) = coarse(record);
        Self { tick, counted, response_ms }
    }
}

/// Counts, and times to one digit.
pub(super) fn coarse(record: &CoarseRecord) -> (Counted, Option<Times>) {
    let times = &record.response;
    let at = |quantile| (times.value_at_quantile(quantile) as f64 / 1e3).min(milliseconds(record.max));
    let response_ms = (!times.is_empty()).then(|| Times {
        mean: milliseconds(record.sum) / times.len() as f64,
        max: milliseconds(record.max),
        clamped: 0,
        ..Times::by(times.len(), at)
    });
    (Counted::of(&record.counts), response_ms)
}

impl Times {
    fn of(spread: &Spread) -> Option<Self> {
        let times = &spread.histogram;
        // A time of an hour in nanoseconds is exact in a float.
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e6;
        (!times.is_empty()).then(|| Self {
            mean: times.mean() / 1e6,
            clamped: spread.clamped,
            ..Self::by(times.len(), at)
        })
    }

    /// `at` gives the time at a quantile.
    fn by(count: u64, at: impl Fn(f64) -> f64) -> Self {
        Self {
            count,
            mean: 0.0,
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: at(1.0),
            clamped: 0,
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn rate(count: u64, length: Duration) -> f64 {
    // Counts of requests are far below 2^53.
    if length.is_zero() { 0.0 } else { count as f64 / length.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::super::recording::Ended;
    use super::*;

    /// Requests at each of 0 ms, 1 ms, ... that were answered so many milliseconds after they were meant to start.
    fn figures(response_ms: impl IntoIterator<Item = u64>) -> Figures {
        let host = "a:1".into();
        let mut recording = Recording::new(1);
        for (at, took) in (0..).zip(response_ms) {
            let intended = Duration::from_millis(at);
            recording.add(&Ended {
                service: 0,
                host: Some(&host),
                tick: u32::try_from(at / 1_000).unwrap(),
                intended,
                sent: Some(intended),
                done: intended + Duration::from_millis(took),
                outcome: Outcome::Answered { status: 200, bytes: 0 },
                is_late: false,
            });
        }
        Figures::of(&recording, &["s".into()], 0)
    }

    fn assert_near(actual: f64, expected: f64, fraction: f64) {
        assert!((actual - expected).abs() <= expected * fraction, "{actual} is not nearly {expected}");
    }

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let figures = figures(1..=10_000);
        let times = figures.response_ms.unwrap();
        for (actual, expected) in [
            (times.p50, 5_000.0),
            (times.p75, 7_500.0),
            (times.p90, 9_000.0),
            (times.p95, 9_500.0),
            (times.p99, 9_900.0),
            (times.p99_9, 9_990.0),
            (times.p99_99, 9_999.0),
            (times.max, 10_000.0),
            (times.mean, 5_000.5),
        ] {
            assert_near(actual, expected, 0.001);
        }
        assert_near(figures.rate_intended, 1_000.0, 0.001);
        assert_near(figures.planned_s, 9.999, 1e-9);
        assert_near(figures.lasted_s, 19.999, 1e-9);
    }

    /// 500 requests a second for 2 s, of a server that stands still from 1.0 s to 1.2 s and answers within 0.1 ms
    /// otherwise: 100 of 1000 wait, evenly between nothing and 200 ms, and so 1 % wait longer than 180 ms.
    #[test]
    fn a_server_that_stood_still_is_seen_by_those_who_came_meanwhile() {
        let host = "a:1".into();
        let mut recording = Recording::new(1);
        for number in 0..1_000 {
            let intended = Duration::from_millis(2 * number);
            let is_standing = (1_000..1_200).contains(&intended.as_millis());
            let begun = if is_standing { Duration::from_millis(1_200) } else { intended };
            recording.add(&Ended {
                service: 0,
                host: Some(&host),
                tick: 0,
                intended,
                sent: Some(intended),
                done: begun + Duration::from_micros(100),
                outcome: Outcome::Answered { status: 200, bytes: 0 },
                is_late: false,
            });
        }
        let times = Figures::of(&recording, &["s".into()], 0).response_ms.unwrap();
        assert_near(times.p99, 180.0, 0.05);
        assert_near(times.max, 200.1, 0.001);
        assert_near(times.p90, 0.1, 0.001);
    }

    #[test]
    fn a_tick_has_an_exact_mean_and_largest_and_percentiles_to_one_digit() {
        let figures = figures((1..=2_000).map(|took| took % 1_000 + 1));
        let ticks = &figures.services[0].ticks;
        assert_eq!(
            ticks.iter().map(|tick| (tick.tick, tick.counted.intended)).collect::<Vec<_>>(),
            [(0, 1_000), (1, 1_000)]
        );
        let times = ticks[1].response_ms.unwrap();
        assert_near(times.mean, 500.5, 1e-9);
        assert_near(times.max, 1_000.0, 1e-9);
        assert_near(times.p50, 500.0, 0.1);
        assert_near(times.p99, 990.0, 0.1);
        assert!(times.p99_99 <= times.max);
    }

    #[test]
    fn a_run_without_requests_has_no_times_and_fell_short_of_nothing() {
        let figures = figures([]);
        assert_eq!((figures.response_ms, figures.rate_intended, figures.rate_achieved), (None, 0.0, 0.0));
        assert_eq!(figures.shortfall(), None);
    }

    #[test]
    fn what_was_dropped_or_late_is_said_first() {
        let mut figures = figures([1]);
        figures.counted = Counted { dropped: 2, late: 1, intended: 10, ..figures.counted };
        assert!(
            figures.shortfall().unwrap().starts_with("of 10 intended requests 2 were dropped and 1 were sent late")
        );
    }

    #[test]
    fn figures_are_written_flat() {
        let written = serde_json::to_value(figures([1, 1])).unwrap();
        assert_eq!(written["done"], 2);
        assert_eq!(written["services"][0]["hosts"][0]["host"], "a:1");
        assert_eq!(written["services"][0]["ticks"][0]["intended"], 2);
        assert_eq!(written["response_ms"]["count"], 2);
    }
}
