//! All that a run recorded, as it travels from the machine that sent the requests to the one that says what they took: figures
//! of parts cannot be put together, their histograms can.

use super::figures::{Counted, Figures};
use super::outcome::Kind;
use super::recording::{CoarseRecord, Counts, Record, Recording, ServiceRecord, Spread, nanoseconds};
use hdrhistogram::{Counter, Histogram};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Of one run, or of the parts of one that several machines sent.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// In the order of the recording.
    pub(super) services: Vec<Arc<str>>,
    pub(super) recording: Recording,
    pub(super) traces_missed: u64,
}

impl Recorded {
    /// Nothing.
    pub fn none() -> Self {
        Self { services: Vec::new(), recording: Recording::new(0), traces_missed: 0 }
    }

    pub fn figures(&self) -> Figures {
        Figures::of(&self.recording, &self.services, self.traces_missed)
    }

    /// The requests alone: figures of their times take longer.
    pub fn counted(&self) -> Counted {
        let mut all = Counts::default();
        for service in &self.recording.services {
            service.hosts.values().for_each(|host| all.merge(&host.counts));
            all.merge(&service.hostless);
        }
        Counted::of(&all)
    }

    /// Adds what another machine recorded, whose run began at the same moment.
    pub fn merge(&mut self, other: Self) {
        // As if it had recorded the services in this one's order.
        let mut theirs = Recording { services: Vec::new(), ..other.recording };
        for (service, record) in other.services.into_iter().zip(other.recording.services) {
            let known = self.services.iter().position(|it| *it == service);
            let place = known.unwrap_or_else(|| {
                self.services.push(service);
                self.services.len() - 1
            });
            theirs.reach(place + 1);
            theirs.services[place] = record;
        }
        self.recording.reach(self.services.len());
        self.recording.merge(theirs);
        self.traces_missed += other.traces_missed;
    }
}

/// As it is written. Lengths are in nanoseconds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    services: Vec<WrittenService>,
    last_intended_ns: u64,
    last_done_ns: u64,
    traces_missed: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenService {
    service: String,
    hosts: BTreeMap<String, WrittenRecord>,
    hostless: WrittenCounts,
    ticks: BTreeMap<u32, WrittenTick>,
}

#[derive(Serialize, Deserialize)]
struct WrittenRecord {
    counts: WrittenCounts,
    response: WrittenSpread,
    service: WrittenSpread,
}

#[derive(Serialize, Deserialize)]
struct WrittenTick {
    counts: WrittenCounts,
    response: WrittenHistogram,
    sum_ns: u64,
    max_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenSpread {
    histogram: WrittenHistogram,
    clamped: u64,
}

/// Values, and how often each of them was recorded.
type WrittenHistogram = Vec<(u64, u64)>;

#[derive(Serialize, Deserialize)]
struct WrittenCounts {
    intended: u64,
    sent: u64,
    late: u64,
    /// By the name of their kind; kinds that did not happen are left out.
    kinds: BTreeMap<String, u64>,
}

impl Serialize for Recorded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let services = self.services.iter().zip(&self.recording.services);
        Written {
            services: services.map(|(service, record)| written_service(service, record)).collect(),
            last_intended_ns: nanoseconds(self.recording.last_intended),
            last_done_ns: nanoseconds(self.recording.last_done),
            traces_missed: self.traces_missed,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recorded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let services = written.services.iter().map(|it| it.service.as_str().into()).collect();
        let records: Option<_> = written.services.into_iter().map(read_service).collect();
        let records = records.ok_or_else(|| D::Error::custom("a time is longer than any that is recorded"))?;
        let recording = Recording {
            services: records,
            last_intended: Duration::from_nanos(written.last_intended_ns),
            last_done: Duration::from_nanos(written.last_done_ns),
        };
        Ok(Self { services, recording, traces_missed: written.traces_missed })
    }
}

fn written_service(service: &str, record: &ServiceRecord) -> WrittenService {
    let written = |record: &Record| WrittenRecord {
        counts: written_counts(&record.counts),
        response: written_spread(&record.response),
        service: written_spread(&record.service),
    };
    let tick = |record: &CoarseRecord| WrittenTick {
        counts: written_counts(&record.counts),
        response: written_histogram(&record.response),
        sum_ns: nanoseconds(record.sum),
        max_ns: nanoseconds(record.max),
    };
    WrittenService {
        service: service.to_owned(),
        hosts: record.hosts.iter().map(|(host, record)| (host.to_string(), written(record))).collect(),
        hostless: written_counts(&record.hostless),
        ticks: record.ticks.iter().map(|(at, record)| (*at, tick(record))).collect(),
    }
}

fn read_service(written: WrittenService) -> Option<ServiceRecord> {
    let mut hosts = HashMap::new();
    for (host, written) in written.hosts {
        let counts = read_counts(&written.counts);
        let (response, service) = (read_spread(&written.response)?, read_spread(&written.service)?);
        hosts.insert(host.into(), Record { counts, response, service });
    }
    let mut ticks = BTreeMap::new();
    for (at, written) in written.ticks {
        let mut tick = CoarseRecord {
            counts: read_counts(&written.counts),
            sum: Duration::from_nanos(written.sum_ns),
            max: Duration::from_nanos(written.max_ns),
            ..CoarseRecord::default()
        };
        read_histogram(&mut tick.response, &written.response)?;
        ticks.insert(at, tick);
    }
    Some(ServiceRecord { hosts, hostless: read_counts(&written.hostless), ticks })
}

fn written_counts(counts: &Counts) -> WrittenCounts {
    let happened = Kind::ALL.into_iter().filter(|kind| counts.of(*kind) > 0);
    WrittenCounts {
        intended: counts.intended,
        sent: counts.sent,
        late: counts.late,
        kinds: happened.map(|kind| (kind.name().to_owned(), counts.of(kind))).collect(),
    }
}

fn read_counts(written: &WrittenCounts) -> Counts {
    let of = |kind: Kind| written.kinds.get(kind.name()).copied().unwrap_or(0);
    Counts::by_kind(written.intended, written.sent, written.late, Kind::ALL.map(of))
}

fn written_spread(spread: &Spread) -> WrittenSpread {
    WrittenSpread { histogram: written_histogram(&spread.histogram), clamped: spread.clamped }
}

fn read_spread(written: &WrittenSpread) -> Option<Spread> {
    let mut spread = Spread { clamped: written.clamped, ..Spread::default() };
    read_histogram(&mut spread.histogram, &written.histogram)?;
    Some(spread)
}

fn written_histogram<T: Counter>(histogram: &Histogram<T>) -> WrittenHistogram {
    histogram.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value().as_u64())).collect()
}

/// `None`: it does not hold such values.
fn read_histogram<T: Counter>(histogram: &mut Histogram<T>, written: &WrittenHistogram) -> Option<()> {
    for (value, count) in written {
        histogram.record_n(*value, T::from_u64(*count)?).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::super::recording::Ended;
    use super::*;

    /// Of two services; `turn` differs from machine to machine.
    fn recorded(names: [&str; 2], turn: u64) -> Recorded {
        let host: Arc<str> = "a:1".into();
        let mut recording = Recording::new(2);
        for number in 0..500 {
            let intended = Duration::from_millis(number * 2 + turn);
            let outcome = match number % 7 {
                0 => Outcome::Refused,
                1 => Outcome::TimedOut,
                _ => Outcome::Answered { status: 200, bytes: 1 },
            };
            recording.add(&Ended {
                service: number as usize % 2,
                host: (number % 11 > 0).then_some(&host),
                tick: number as u32 / 100,
                intended,
                sent: Some(intended),
                done: intended + Duration::from_micros(number * number + turn),
                outcome,
                is_late: number % 13 == 0,
            });
        }
        Recorded { services: names.map(Into::into).to_vec(), recording, traces_missed: turn }
    }

    #[test]
    fn what_travelled_says_the_same() {
        let sent = recorded(["shop", "bank"], 1);
        let text = serde_json::to_string(&sent).unwrap();
        let read: Recorded = serde_json::from_str(&text).unwrap();
        assert_eq!(read.figures(), sent.figures());
        assert!(text.len() < 40_000, "{}", text.len());
    }

    #[test]
    fn parts_are_put_together_by_the_names_of_services() {
        let (first, second) = (recorded(["shop", "bank"], 1), recorded(["bank", "café"], 2));
        let mut all = Recorded::none();
        all.merge(first.clone());
        assert_eq!(all.figures(), first.figures());
        all.merge(second.clone());
        let figures = all.figures();
        let intended = |figures: &Figures, service: &str| {
            figures.services.iter().find(|it| it.service == service).map_or(0, |it| it.counted.intended)
        };
        assert_eq!(figures.counted.intended, 1_000);
        assert_eq!(all.counted(), figures.counted);
        for service in ["shop", "bank", "café"] {
            let parts = [&first, &second].map(|part| intended(&part.figures(), service));
            assert_eq!(intended(&figures, service), parts.iter().sum::<u64>(), "{service}");
        }
        assert_eq!((figures.traces_missed, figures.response_ms.unwrap().clamped), (3, 0));
    }

    #[test]
    fn what_makes_no_sense_is_no_recording() {
        let text = serde_json::to_string(&recorded(["shop", "bank"], 1)).unwrap();
        let too_long = text.replacen("\"histogram\":[[", "\"histogram\":[[99000000000000000,1],[", 1);
        assert_ne!(too_long, text);
        for wrong in [too_long.as_str(), "{}", "[]", "null"] {
            assert!(serde_json::from_str::<Recorded>(wrong).is_err(), "{wrong:.60}");
        }
    }
}
