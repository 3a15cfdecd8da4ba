//! The toxics: their attributes, as the API names them, and what each does to the items of a pipe.
//!
//! A toxic is data (its attributes) and a pure step: given what waits and the time, what may leave now, or when to look
//! again. So all of them are tested without a socket or a clock.

mod bandwidth;
mod latency;
mod limit_data;
mod noop;
mod reset_peer;
mod slicer;
mod slow_close;
mod timeout;

use super::members::Members;
use super::queue::{End, Item, Queue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::{Duration, Instant};

pub use bandwidth::Bandwidth;
pub use latency::Latency;
pub use limit_data::LimitData;
pub use noop::Noop;
pub use reset_peer::ResetPeer;
pub use slicer::Slicer;
pub use slow_close::SlowClose;
pub use timeout::Timeout;

/// Which way the data goes that a toxic acts on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    Downstream,
}

impl Stream {
    /// As the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    /// By its name in the API, in any case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Upstream, Self::Downstream].into_iter().find(|stream| stream.name().eq_ignore_ascii_case(name))
    }
}

/// How a client writes times: toxiproxy's clients know whole milliseconds only, and could not read others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbers {
    Whole,
    /// With fractions, where an attribute is a time that a fraction of a millisecond matters to.
    Fractions,
}

/// One toxic of a proxy.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Toxic {
    /// Tells a toxic from one that was removed and created again by the same name.
    #[serde(skip)]
    pub id: u64,
    pub name: String,
    pub stream: Stream,
    /// The share of the connections that suffer from it: 1 is all of them.
    #[serde(serialize_with = "share")]
    pub toxicity: f32,
    #[serde(flatten)]
    pub kind: Kind,
}

impl Toxic {
    /// As a client that writes such numbers sees it.
    #[must_use]
    pub fn seen(mut self, numbers: Numbers) -> Self {
        if let (Kind::Latency(latency), Numbers::Whole) = (&mut self.kind, numbers) {
            latency.round();
        }
        self
    }
}

/// A toxic's type and attributes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub enum Kind {
    Latency(Latency),
    Bandwidth(Bandwidth),
    SlowClose(SlowClose),
    Timeout(Timeout),
    ResetPeer(ResetPeer),
    Slicer(Slicer),
    LimitData(LimitData),
    Noop(Noop),
}

/// What a toxic says when it is asked for the next item.
#[derive(PartialEq, Eq, Debug)]
pub enum Step {
    /// This leaves now.
    Pass(Item),
    /// Nothing before this moment, unless something arrives.
    Wait(Instant),
    /// Nothing before something arrives.
    Idle,
}

/// What a toxic remembers of one pipe.
#[derive(Clone, Copy, Default, Debug)]
pub struct Memory {
    /// When the item in front may leave, once that is decided.
    due: Option<Instant>,
    /// When something last happened; each toxic says what.
    last: Option<Instant>,
    /// Bytes that went through.
    passed: u64,
}

impl Memory {
    /// What is left of it when the attributes change: decisions are taken anew, what went through stays.
    pub fn reconsider(&mut self) {
        *self = Self { passed: self.passed, ..Self::default() };
    }
}

/// What an item costs in latency-free toxics: as much as one read brings, so that their sender feels them at once.
const SHORT_QUEUE_BYTES: usize = 64 << 10;

impl Kind {
    /// The type of that name with default attributes, not yet checked.
    pub fn named(type_name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::json!({ "type": type_name, "attributes": {} })).ok()
    }

    /// The same type with the given attributes replaced, all others kept. The error names the attribute.
    pub fn with(&self, given: &Members, numbers: Numbers) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let Some(attributes) = whole["attributes"].as_object_mut() {
            for (name, value) in attributes {
                let number = match (self, numbers) {
                    (Self::Latency(_), Numbers::Fractions) => given.number(name)?.map(Value::from),
                    _ => given.whole_number(name)?.map(Value::from),
                };
                *value = number.unwrap_or_else(|| value.take());
            }
        }
        let changed: Self = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        changed.check().map(|()| changed)
    }

    /// Refuses attributes that mean nothing.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Latency(toxic) => toxic.check(),
            Self::Bandwidth(toxic) => toxic.check(),
            Self::Slicer(toxic) => toxic.check(),
            Self::SlowClose(_) | Self::Timeout(_) | Self::ResetPeer(_) | Self::LimitData(_) | Self::Noop(_) => Ok(()),
        }
    }

    /// The next item that this toxic lets go.
    pub fn step(&self, memory: &mut Memory, inbox: &mut Queue, now: Instant) -> Step {
        match self {
            Self::Latency(toxic) => toxic.step(memory, inbox, now),
            Self::Bandwidth(toxic) => toxic.step(memory, inbox, now),
            Self::SlowClose(toxic) => toxic.step(inbox, now),
            Self::Timeout(toxic) => toxic.step(memory, inbox, now),
            Self::ResetPeer(toxic) => toxic.step(inbox, now),
            Self::Slicer(toxic) => toxic.step(memory, inbox, now),
            Self::LimitData(toxic) => toxic.step(memory, inbox, now),
            Self::Noop(_) => Noop::step(inbox),
        }
    }

    /// How many bytes may wait for this toxic. Only latency holds data back without its sender being slowed down.
    pub fn capacity(&self) -> usize {
        match self {
            Self::Latency(_) => latency::IN_FLIGHT_BYTES,
            Self::Bandwidth(_)
            | Self::SlowClose(_)
            | Self::Timeout(_)
            | Self::ResetPeer(_)
            | Self::Slicer(_)
            | Self::LimitData(_)
            | Self::Noop(_) => SHORT_QUEUE_BYTES,
        }
    }

    /// Whether it changes nothing as it is set, so that data need not pass it.
    pub fn is_harmless(&self) -> bool {
        match self {
            Self::Latency(toxic) => toxic.latency <= 0.0 && toxic.jitter <= 0.0,
            Self::Noop(_) => true,
            Self::Bandwidth(_)
            | Self::SlowClose(_)
            | Self::Timeout(_)
            | Self::ResetPeer(_)
            | Self::Slicer(_)
            | Self::LimitData(_) => false,
        }
    }

    /// What becomes of a connection when this toxic is taken away: after a timeout toxic, which swallowed a part of the
    /// stream, it cannot go on.
    pub fn when_removed(&self) -> Option<End> {
        match self {
            Self::Timeout(_) => Some(End::Close),
            Self::Latency(_)
            | Self::Bandwidth(_)
            | Self::SlowClose(_)
            | Self::ResetPeer(_)
            | Self::Slicer(_)
            | Self::LimitData(_)
            | Self::Noop(_) => None,
        }
    }
}

/// The item in front, as it is.
pub fn pass(inbox: &mut Queue) -> Step {
    inbox.pop().map_or(Step::Idle, Step::Pass)
}

/// Milliseconds as the API gives them; what is below zero means zero, as in the original.
fn milliseconds(count: i64) -> Duration {
    Duration::from_millis(count.max(0).unsigned_abs())
}

/// `at + wait`, or never, when that is beyond what the clock can express.
fn wait_until(at: Instant, wait: Duration, now: Instant) -> Option<Step> {
    match at.checked_add(wait) {
        Some(due) if due <= now => None,
        Some(due) => Some(Step::Wait(due)),
        None => Some(Step::Idle),
    }
}

/// A number as JSON writes whole ones: `1`, not `1.0`, which clients with integer fields would refuse.
fn number<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    /// Up to here every whole `f64` is exact, and converts to `i64` without loss.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

/// The same for a share, in the 32 bits that it has: 0.1 is not written with what 64 bits would add to it.
fn share<S: serde::Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    match value.fract() == 0.0 {
        true => number(&f64::from(*value), serializer),
        false => serializer.serialize_f32(*value),
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::super::members;
    use super::super::queue::{Content, End, Item, Queue};
    use super::{Kind, Memory, Numbers, Step};
    use serde_json::Value;
    use std::time::{Duration, Instant};

    pub fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// One toxic with its queue and a clock that stands still until it is moved.
    pub struct Bench {
        pub kind: Kind,
        pub start: Instant,
        pub now: Instant,
        pub inbox: Queue,
        pub memory: Memory,
    }

    impl Bench {
        pub fn new(type_name: &str, attributes: Value) -> Self {
            let kind = with(&Kind::named(type_name).unwrap(), &attributes).unwrap();
            let start = Instant::now();
            let inbox = Queue::new(kind.capacity());
            Self { kind, start, now: start, inbox, memory: Memory::default() }
        }

        pub fn at(&mut self, since_start: Duration) -> &mut Self {
            self.now = self.start + since_start;
            self
        }

        pub fn arrives(&mut self, text: &'static str) -> &mut Self {
            self.inbox.push(Item { at: self.now, content: Content::Data(text.as_bytes().into()) });
            self
        }

        pub fn ends(&mut self) -> &mut Self {
            self.inbox.push(Item { at: self.now, content: Content::End(End::Finished) });
            self
        }

        /// What the next step says: text that passes, `end: ...`, `wait: <milliseconds since the start>` or `idle`.
        pub fn step(&mut self) -> String {
            match self.kind.step(&mut self.memory, &mut self.inbox, self.now) {
                Step::Pass(Item { content: Content::Data(data), .. }) => String::from_utf8(data.to_vec()).unwrap(),
                Step::Pass(Item { content: Content::End(end), .. }) => format!("end: {end:?}"),
                Step::Wait(due) => format!("wait: {}", (due - self.start).as_secs_f64() * 1000.0),
                Step::Idle => "idle".to_owned(),
            }
        }

        pub fn adjust(&mut self, attributes: Value) {
            self.kind = with(&self.kind, &attributes).unwrap();
            self.memory.reconsider();
        }
    }

    /// With attributes as our own client may write them.
    pub fn with(kind: &Kind, attributes: &Value) -> Result<Kind, String> {
        let text = attributes.to_string();
        kind.with(&members::read(text.as_bytes()).unwrap(), Numbers::Fractions)
    }

    /// Why these attributes are refused.
    pub fn refusal(type_name: &str, attributes: Value) -> String {
        with(&Kind::named(type_name).unwrap(), &attributes).unwrap_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(type_name: &str, attributes: Value) -> Value {
        serde_json::to_value(testing::with(&Kind::named(type_name).unwrap(), &attributes).unwrap()).unwrap()
    }

    #[test]
    fn attributes_that_are_not_given_have_defaults() {
        for (type_name, given, expected) in [
            ("latency", json!({}), json!({"latency": 0, "jitter": 0})),
            ("latency", json!({"latency": 2.5, "other": 1}), json!({"latency": 2.5, "jitter": 0})),
            ("bandwidth", json!({"rate": null}), json!({"rate": 0})),
            ("slow_close", json!({"delay": 5}), json!({"delay": 5})),
            ("timeout", json!({}), json!({"timeout": 0})),
            ("reset_peer", json!({}), json!({"timeout": 0})),
            ("slicer", json!({}), json!({"average_size": 0, "size_variation": 0, "delay": 0})),
            ("slicer", json!({"average_size": 9}), json!({"average_size": 9, "size_variation": 0, "delay": 0})),
            ("noop", json!({"latency": 2}), json!({})),
            ("limit_data", json!({"bytes": 7}), json!({"bytes": 7})),
        ] {
            assert_eq!(with(type_name, given), json!({"type": type_name, "attributes": expected}));
        }
        assert_eq!(Kind::named("Latency"), None);
    }

    #[test]
    fn a_refusal_names_the_attribute() {
        assert_eq!(
            testing::refusal("bandwidth", json!({"rate": "fast"})),
            "rate: \"fast\" is not a whole number of 64 bits"
        );
        assert_eq!(
            testing::refusal("limit_data", json!({"bytes": 1.5})),
            "bytes: 1.5 is not a whole number of 64 bits"
        );
    }

    #[test]
    fn fractions_are_for_who_asks_for_them() {
        let slow = Kind::named("latency").unwrap();
        let given: Members = super::super::members::read(br#"{"Latency": 12.5, "jitter": 1e0}"#).unwrap();
        let exact = slow.with(&given, Numbers::Fractions).unwrap();
        assert_eq!(slow.with(&given, Numbers::Whole).unwrap_err(), "jitter: 1e0 is not a whole number of 64 bits");
        let toxic = |kind| Toxic { id: 1, name: "slow".into(), stream: Stream::Downstream, toxicity: 0.1, kind };
        for (numbers, attributes) in [
            (Numbers::Fractions, r#""attributes":{"latency":12.5,"jitter":1}"#),
            (Numbers::Whole, r#""attributes":{"latency":13,"jitter":1}"#),
        ] {
            let seen = serde_json::to_string(&toxic(exact.clone()).seen(numbers)).unwrap();
            assert!(seen.contains(attributes) && seen.contains(r#""toxicity":0.1,"#), "{seen}");
        }
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        let toxic = Toxic {
            id: 1,
            name: "slow".into(),
            stream: Stream::Downstream,
            toxicity: 1.0,
            kind: Kind::named("latency").unwrap(),
        };
        assert_eq!(
            serde_json::to_string(&toxic).unwrap(),
            r#"{"name":"slow","stream":"downstream","toxicity":1,"type":"latency","attributes":{"latency":0,"jitter":0}}"#
        );
    }
}
