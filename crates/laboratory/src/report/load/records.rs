//! What a run came to that did not say so itself: counted from its traces.

use super::figures::{Counted, Figures, HostFigures, ServiceFigures};
use super::outcomes;
use super::times::Times;
use crate::results::{TraceExtent, TraceRow};
use std::collections::BTreeMap;

/// By service and host; without a host those requests for which none was chosen.
#[derive(Debug)]
pub struct Records {
    extent: TraceExtent,
    last_intended_us: i64,
    services: BTreeMap<String, BTreeMap<Option<String>, Record>>,
}

/// Times are in microseconds.
#[derive(Clone, Debug, Default)]
struct Record {
    counted: Counted,
    response_us: Vec<u64>,
    service_us: Vec<u64>,
}

impl Records {
    pub fn new(extent: TraceExtent) -> Self {
        Self { extent, last_intended_us: extent.first_us, services: BTreeMap::new() }
    }

    pub fn hear(&mut self, trace: TraceRow) {
        self.last_intended_us = self.last_intended_us.max(trace.intended_us);
        let TraceRow { service, host, intended_us, sent_us, done_us, outcome, .. } = trace;
        let record = self.services.entry(service).or_default().entry(host).or_default();
        record.counted.intended += 1;
        record.counted.sent += u64::from(sent_us.is_some());
        record.counted.done += u64::from(outcomes::is_answer(&outcome));
        record.counted.dropped += u64::from(outcome == outcomes::DROPPED);
        if outcomes::has_response_time(&outcome) {
            record.response_us.push(between(intended_us, done_us));
            record.service_us.extend(sent_us.map(|sent_us| between(sent_us, done_us)));
        }
        if outcome != outcomes::ANSWERED {
            *record.counted.errors.entry(outcome).or_default() += 1;
        }
    }

    /// The start is taken for the moment at which the first request was meant to start: nothing says when it was.
    pub fn figures(self) -> Figures {
        let mut all = Record::default();
        let mut services = Vec::with_capacity(self.services.len());
        for (service, records) in self.services {
            let mut together = Record::default();
            records.values().for_each(|record| together.merge(record));
            all.merge(&together);
            let host = |(host, record): (Option<String>, Record)| {
                let (counted, response_ms, service_ms) = record.figures();
                Some(HostFigures { host: host?, counted, response_ms, service_ms })
            };
            let hosts = records.into_iter().filter_map(host).collect();
            let (counted, response_ms, service_ms) = together.figures();
            services.push(ServiceFigures { service, counted, response_ms, service_ms, hosts });
        }
        let seconds = |until_us| between(self.extent.first_us, until_us) as f64 / 1e6;
        let (planned_s, lasted_s) = (seconds(self.last_intended_us), seconds(self.extent.last_us));
        let rate = |count: u64, length: f64| if length > 0.0 { count as f64 / length } else { 0.0 };
        let (counted, response_ms, service_ms) = all.figures();
        Figures {
            planned_s,
            lasted_s,
            rate_intended: rate(counted.intended, planned_s),
            rate_achieved: rate(counted.answered(), lasted_s),
            counted,
            response_ms,
            service_ms,
            services,
        }
    }
}

impl Record {
    fn merge(&mut self, other: &Self) {
        self.counted.merge(&other.counted);
        self.response_us.extend(&other.response_us);
        self.service_us.extend(&other.service_us);
    }

    fn figures(self) -> (Counted, Option<Times>, Option<Times>) {
        (self.counted, Times::of(self.response_us), Times::of(self.service_us))
    }
}

/// Nothing where the later moment is the earlier one, which only a file that was edited says.
pub(super) fn between(earlier_us: i64, later_us: i64) -> u64 {
    u64::try_from(i128::from(later_us) - i128::from(earlier_us)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::trace;
    use super::*;

    #[test]
    fn requests_are_counted_by_service_and_host() {
        let mut records = Records::new(TraceExtent { requests: 5, first_us: 1_000_000, last_us: 3_500_000 });
        let on = |service: &str, host: &str, trace: TraceRow| TraceRow {
            service: service.to_owned(),
            host: Some(host.to_owned()),
            ..trace
        };
        records.hear(on("shop", "b:1", trace(1_000, 10, "answered")));
        records.hear(on("shop", "a:1", trace(1_500, 2_000, "timed_out")));
        records.hear(on("shop", "a:1", trace(3_000, 1, "refused")));
        records.hear(on("blog", "a:1", trace(2_000, 30, "server_error")));
        records.hear(TraceRow { host: None, sent_us: None, ..trace(2_500, 0, "dropped") });
        let figures = records.figures();
        assert_eq!((figures.planned_s, figures.lasted_s), (2.0, 2.5));
        assert_eq!((figures.rate_intended, figures.rate_achieved), (2.5, 0.4));
        let Counted { intended, sent, done, late, dropped, errors } = &figures.counted;
        assert_eq!((*intended, *sent, *done, *late, *dropped), (5, 4, 2, None, 1));
        let errors: Vec<(&str, u64)> = errors.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(errors, [("dropped", 1), ("refused", 1), ("server_error", 1), ("timed_out", 1)]);
        let names: Vec<(&str, Vec<&str>)> = figures
            .services
            .iter()
            .map(|service| (service.service.as_str(), service.hosts.iter().map(|host| host.host.as_str()).collect()))
            .collect();
        assert_eq!(names, [("blog", vec!["a:1"]), ("shop", vec!["a:1", "b:1"])]);
        // A refusal is no answer, however fast it was; what was sent 1 ms after its time took 1 ms less from then on.
        let shop = &figures.services[1];
        let times = |times: Option<Times>| times.map(|times| (times.count, times.p50, times.max));
        assert_eq!(times(shop.response_ms), Some((2, 10.0, 2_000.0)));
        assert_eq!(times(shop.service_ms), Some((2, 9.0, 1_999.0)));
        assert_eq!(times(shop.hosts[0].response_ms), Some((1, 2_000.0, 2_000.0)));
        assert_eq!((shop.counted.intended, shop.hosts[0].counted.intended), (4, 2));
    }
}
