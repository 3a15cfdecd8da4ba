//! What was measured lately, and who may know it: without sockets, and with the time as an argument.
//!
//! A time is what has passed since the aggregator began; it never goes back.

use crate::host_name::HostName;
use crate::mdsmp::{Measurement, Metric, Refusal};
use crate::udsmp::{self, Dialect, ERROR, LIST_MAX_DATAGRAMS, Request};
use crate::value::Value;
use crate::view::{Counts, EmitterView, Measured, View};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

/// Emitters that an aggregator remembers: about 25 MB, if each sends all metrics under the longest of names. Whoever comes then
/// is refused until somebody has been silent for long enough; those that are known go on.
pub const EMITTERS_MAX: usize = 10_000;
/// Values of a metric of an emitter that are kept, and the most that `GET_EMITTER` answers.
pub const HISTORY_MAX: usize = 10;
/// By default a metric that was silent for so long is forgotten.
pub const EXPIRE_AFTER: Duration = Duration::from_secs(60);
/// Datagrams behind the first of a list, for all readers together. A request's sender can be forged: who floods an aggregator
/// with them gets one datagram for each of his, and no more than 1 MB/s beyond that sent to his victim.
pub const EXTRA_DATAGRAMS_PER_S: usize = 1000;

/// The silent are looked for so often at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Over which [`EXTRA_DATAGRAMS_PER_S`] counts.
const ALLOWANCE_WINDOW: Duration = Duration::from_secs(1);

/// What can be chosen of an aggregator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    pub dialect: Dialect,
    /// A metric that was silent for so long is forgotten (within a second), and an emitter with its last metric.
    pub expire_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { dialect: Dialect::Specified, expire_after: EXPIRE_AFTER }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Arrival {
    /// Among all that arrived: of the same moment, too, the later is the newer.
    number: u64,
    at: Duration,
    value: Value,
}

/// Never empty; the oldest first.
type Series = VecDeque<Arrival>;
type Emitter = BTreeMap<Metric, Series>;

/// The machine: takes in datagrams of MDSMP, answers those of UDSMP.
#[derive(Debug)]
pub struct Aggregator {
    policy: Policy,
    emitters: BTreeMap<HostName, Emitter>,
    counts: Counts,
    next_sweep: Duration,
    allowance: Allowance,
}

impl Aggregator {
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            emitters: BTreeMap::new(),
            counts: Counts::default(),
            next_sweep: Duration::ZERO,
            allowance: Allowance { since: Duration::ZERO, left: EXTRA_DATAGRAMS_PER_S },
        }
    }

    /// A datagram at the metrics' port. What is refused is counted and changes nothing else.
    pub fn take_in(&mut self, datagram: &[u8], now: Duration) -> Result<Measurement, Refusal> {
        self.sweep(now);
        let taken = Measurement::parse(datagram).and_then(|measurement| self.remember(measurement, now));
        match taken {
            Ok(_) => self.counts.accepted += 1,
            Err(refusal) => *self.counts.refused.entry(refusal).or_default() += 1,
        }
        taken
    }

    /// A datagram at the server's port: what is sent back to whom it came from, in this order.
    ///
    /// Nothing is sent to what is itself the reply `ERROR 1`: two aggregators that somebody makes talk to each other would
    /// never end.
    pub fn answer(&mut self, datagram: &[u8], now: Duration) -> Vec<String> {
        self.sweep(now);
        let Some(request) = Request::parse(datagram, self.policy.dialect) else {
            self.counts.misunderstood += 1;
            let is_reply = datagram.trim_ascii_end() == ERROR.as_bytes();
            return if is_reply { Vec::new() } else { vec![ERROR.to_owned()] };
        };
        self.counts.answered += 1;
        match request {
            Request::Emitters => {
                let datagrams_max = LIST_MAX_DATAGRAMS.min(1 + self.allowance.left(now));
                let datagrams = udsmp::list(self.emitters.keys().map(HostName::as_str), datagrams_max);
                self.allowance.left -= datagrams.len() - 1;
                datagrams
            }
            Request::Emitter(host) => udsmp::list(self.newest(host).iter().map(String::as_str), 1),
        }
    }

    /// All that is known at `now`, which is `wall` for people.
    pub fn view(&mut self, now: Duration, wall: SystemTime) -> View {
        self.sweep(now);
        let emitters = self.emitters.iter().map(|(host, emitter)| EmitterView {
            host: host.clone(),
            metrics: emitter.iter().map(|(metric, series)| (*metric, measured(series, now, wall))).collect(),
        });
        View { emitters: emitters.collect(), counts: self.counts.clone() }
    }

    fn remember(&mut self, measurement: Measurement, now: Duration) -> Result<Measurement, Refusal> {
        let Measurement { metric, value, ref host } = measurement;
        if self.emitters.len() >= EMITTERS_MAX && !self.emitters.contains_key(host) {
            return Err(Refusal::Full);
        }
        let series = self.emitters.entry(host.clone()).or_default().entry(metric).or_default();
        if series.len() >= HISTORY_MAX {
            series.pop_front();
        }
        series.push_back(Arrival { number: self.counts.accepted, at: now, value });
        Ok(measurement)
    }

    /// The newest values of all metrics together, as they came: the newest last. Of nobody there are none.
    fn newest(&self, host: &str) -> Vec<String> {
        let emitter = self.emitters.get(host).into_iter().flatten();
        let mut all: Vec<(u64, Metric, Value)> = emitter
            .flat_map(|(metric, series)| series.iter().map(|arrival| (arrival.number, *metric, arrival.value)))
            .collect();
        all.sort_unstable();
        let newest = &all[all.len().saturating_sub(HISTORY_MAX)..];
        newest.iter().map(|(_, metric, value)| udsmp::show_value(*metric, *value, self.policy.dialect)).collect()
    }

    fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        let Self { emitters, policy, counts, .. } = self;
        let is_heard =
            |series: &Series| series.back().is_some_and(|newest| now.saturating_sub(newest.at) < policy.expire_after);
        emitters.retain(|_, emitter| {
            emitter.retain(|_, series| is_heard(series));
            counts.expired += u64::from(emitter.is_empty());
            !emitter.is_empty()
        });
    }
}

fn measured(series: &Series, now: Duration, wall: SystemTime) -> Vec<Measured> {
    let newest_first = series.iter().rev();
    newest_first.map(|arrival| Measured::new(arrival.value, now.saturating_sub(arrival.at), wall)).collect()
}

/// What is left of the extra datagrams of this window.
#[derive(Debug)]
struct Allowance {
    since: Duration,
    left: usize,
}

impl Allowance {
    fn left(&mut self, now: Duration) -> usize {
        if now.saturating_sub(self.since) >= ALLOWANCE_WINDOW {
            *self = Self { since: now, left: EXTRA_DATAGRAMS_PER_S };
        }
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udsmp::{LIST_MAX_BYTES, MORE, Reply};

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn aggregator(datagrams: &[&str]) -> Aggregator {
        speaking(Dialect::Specified, datagrams)
    }

    fn speaking(dialect: Dialect, datagrams: &[&str]) -> Aggregator {
        let mut aggregator = Aggregator::new(Policy { dialect, ..Policy::default() });
        for datagram in datagrams {
            aggregator.take_in(datagram.as_bytes(), at(0)).expect("a measurement");
        }
        aggregator
    }

    /// Each line of the specification of UDSMP, byte by byte.
    #[test]
    fn requests_are_answered_as_specified() {
        let mut known = aggregator(&[
            "cpu{value=30.00, host=Node_1}",
            "ram{value=10000.00, host=Node_1}",
            "cpu{value=1.50, host=Node_2}",
            "dsk{value=7.00, host=a, b=c}}",
        ]);
        let mut check = |request: &str, expected: &str| assert_eq!(known.answer(request.as_bytes(), at(1)), [expected]);
        check("GET_EMITTERS", "[Node_1, Node_2, a, b=c}]");
        check("GET_EMITTERS ", "[Node_1, Node_2, a, b=c}]");
        check("GET_EMITTER Node_1", "[cpu: 30.00, ram: 10000.00]");
        check("GET_EMITTER Node_1 \r\n", "[cpu: 30.00, ram: 10000.00]");
        check("GET_EMITTER Node_2", "[cpu: 1.50]");
        check("GET_EMITTER a, b=c}", "[dsk: 7.00]");
        check("GET_EMITTER Node_3", "[]");
        check("GET_EMITTER node_1", "[]");
        for request in ["", "GET_EMITTER", "GET_EMITTER ", "get_emitters", "GET_EMITTERS x", "HELLO", "[Node_1]"] {
            check(request, "ERROR 1");
        }
        assert_eq!(known.answer(&[0xff; 65_507], at(1)), ["ERROR 1"]);
        assert_eq!(aggregator(&[]).answer(b"GET_EMITTERS", at(0)), ["[]"]);
    }

    #[test]
    fn requests_are_answered_as_implemented_elsewhere() {
        let datagrams = ["cpu{value=30.00, host=Node_1}", "ram{value=10000.25, host=Node_1}"];
        let mut known = speaking(Dialect::Compatible, &datagrams);
        let mut check = |request: &str, expected: &str| assert_eq!(known.answer(request.as_bytes(), at(1)), [expected]);
        check("get_emitters", "[Node_1]");
        check("Get_Emitter Node_1", "[CPU: 30.0, RAM: 10000.25]");
        check("get_emitter", "ERROR 1");
    }

    #[test]
    fn two_aggregators_do_not_talk_for_ever() {
        let mut aggregator = aggregator(&[]);
        assert_eq!(aggregator.answer(b"ERROR 1", at(0)), [""; 0]);
        assert_eq!(aggregator.answer(b"ERROR 1\n", at(0)), [""; 0]);
        assert_eq!(aggregator.answer(b"ERROR 2", at(0)), ["ERROR 1"]);
    }

    #[test]
    fn the_ten_newest_of_all_metrics_are_answered_as_they_came() {
        let mut known = aggregator(&["dsk{value=5.00, host=a}"]);
        for value in 0..30 {
            let metric = if value % 3 == 0 { "ram" } else { "cpu" };
            known
                .take_in(format!("{metric}{{value={value}.00, host=a}}").as_bytes(), at(value))
                .expect("a measurement");
        }
        let newest = "[cpu: 20.00, ram: 21.00, cpu: 22.00, cpu: 23.00, ram: 24.00, cpu: 25.00, cpu: 26.00, ram: 27.00, \
                      cpu: 28.00, cpu: 29.00]";
        assert_eq!(known.answer(b"GET_EMITTER a", at(30)), [newest]);
        let view = known.view(at(30), SystemTime::UNIX_EPOCH + at(1000));
        let values = |metric| {
            let of_metric = view.emitters[0].metrics[&metric].iter();
            of_metric.map(|measured| measured.value.number()).collect::<Vec<_>>()
        };
        assert_eq!(values(Metric::Ram), [27.0, 24.0, 21.0, 18.0, 15.0, 12.0, 9.0, 6.0, 3.0, 0.0]);
        assert_eq!(values(Metric::Cpu).len(), HISTORY_MAX);
        assert_eq!(values(Metric::Dsk), [5.0]);
        assert_eq!(view.emitters[0].metrics[&Metric::Ram][0].age, at(3));
        assert_eq!(view.emitters[0].metrics[&Metric::Ram][0].at_unix_ms, 997_000);
    }

    #[test]
    fn the_silent_are_forgotten_metric_by_metric() {
        let mut known = aggregator(&["cpu{value=1.00, host=a}", "ram{value=2.00, host=a}", "cpu{value=3.00, host=b}"]);
        known.take_in(b"cpu{value=4.00, host=a}", at(40)).expect("a measurement");
        assert_eq!(known.answer(b"GET_EMITTERS", at(59)), ["[a, b]"]);
        assert_eq!(known.answer(b"GET_EMITTERS", at(60)), ["[a]"]);
        assert_eq!(known.answer(b"GET_EMITTER a", at(60)), ["[cpu: 1.00, cpu: 4.00]"]);
        assert_eq!(known.answer(b"GET_EMITTERS", at(100)), ["[]"]);
        assert_eq!(known.view(at(100), SystemTime::UNIX_EPOCH).counts.expired, 2);
    }

    #[test]
    fn a_thousand_emitters_are_listed() {
        let mut known = aggregator(&[]);
        let names: Vec<String> = (0..1000).map(|number| format!("Node_{number:04}")).collect();
        for name in &names {
            known.take_in(format!("cpu{{value=1.00, host={name}}}").as_bytes(), at(0)).expect("a measurement");
        }
        let datagrams = known.answer(b"GET_EMITTERS", at(1));
        assert_eq!(datagrams.len(), 11);
        let mut listed = Vec::new();
        for datagram in &datagrams {
            assert!(datagram.len() <= LIST_MAX_BYTES);
            let Some(Reply::List { entries, .. }) = Reply::parse(datagram.as_bytes()) else { panic!("{datagram}") };
            listed.extend(entries);
        }
        assert_eq!(listed, names);
    }

    #[test]
    fn a_flood_of_requests_gets_one_datagram_each() {
        let mut known = aggregator(&[]);
        for number in 0..EMITTERS_MAX {
            known.take_in(format!("cpu{{value=1.00, host=Node_{number}}}").as_bytes(), at(0)).expect("a measurement");
        }
        let sent: Vec<usize> = (0..1000).map(|_| known.answer(b"GET_EMITTERS", at(1)).len()).collect();
        assert_eq!((sent[0], sent[999]), (LIST_MAX_DATAGRAMS, 1));
        assert_eq!(sent.iter().sum::<usize>(), 1000 + EXTRA_DATAGRAMS_PER_S);
        let cut = known.answer(b"GET_EMITTERS", at(1));
        assert!(cut[0].ends_with(&format!(", {MORE}]")), "{cut:?}");
        assert_eq!(known.answer(b"GET_EMITTERS", at(2)).len(), LIST_MAX_DATAGRAMS);
    }

    #[test]
    fn whoever_comes_when_it_is_full_is_refused_and_the_known_go_on() {
        let mut known = aggregator(&[]);
        for number in 0..EMITTERS_MAX {
            known.take_in(format!("cpu{{value=1.00, host={number}}}").as_bytes(), at(0)).expect("a measurement");
        }
        assert_eq!(known.take_in(b"cpu{value=1.00, host=late}", at(1)), Err(Refusal::Full));
        assert!(known.take_in(b"ram{value=1.00, host=17}", at(1)).is_ok());
        assert!(known.take_in(b"cpu{value=1.00, host=late}", at(60)).is_ok());
        assert_eq!(known.answer(b"GET_EMITTERS", at(60)), ["[17, late]"]);
    }

    #[test]
    fn what_is_refused_is_counted_by_its_kind() {
        let mut known = aggregator(&["cpu{value=1.00, host=a}"]);
        for value in ["NaN", "NaN", "-1.00", "1000000000000.00"] {
            let datagram = format!("cpu{{value={value}, host=a}}");
            known.take_in(datagram.as_bytes(), at(0)).expect_err("no measurement");
        }
        known.answer(b"what?", at(0));
        known.answer(b"GET_EMITTERS", at(0));
        let counts = known.view(at(0), SystemTime::UNIX_EPOCH).counts;
        let refused = [(Refusal::Value, 2), (Refusal::Negative, 1), (Refusal::TooLarge, 1)];
        assert_eq!(counts.refused, BTreeMap::from(refused));
        assert_eq!((counts.accepted, counts.answered, counts.misunderstood), (1, 1, 1));
    }
}
