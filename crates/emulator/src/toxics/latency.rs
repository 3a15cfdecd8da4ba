//! `latency`: everything arrives later, in order; the sender is not slowed down.

use super::{Memory, Queue, Step, number};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How much may be in flight on one pipe. The original holds 1024 chunks of at most 32 KiB: the same when its chunks are
/// full, never less. A link of 1 Gb/s keeps its rate up to a delay of 0.27 s; beyond, throughput is this much per delay.
pub const IN_FLIGHT_BYTES: usize = 32 << 20;

/// A thousand years would still fit the clock; the original's arithmetic overflows soon after.
const MAX_MS: f64 = 1e12;

/// Each item is delayed by `latency` plus or minus up to `jitter`, uniformly, both in milliseconds, with fractions.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    #[serde(serialize_with = "number")]
    pub latency: f64,
    #[serde(serialize_with = "number")]
    pub jitter: f64,
}

impl Latency {
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("latency", self.latency), ("jitter", self.jitter)] {
            if value.abs() > MAX_MS {
                return Err(format!("{name}: more than {MAX_MS} ms"));
            }
        }
        Ok(())
    }

    /// To whole milliseconds, for who can read no others.
    pub fn round(&mut self) {
        (self.latency, self.jitter) = (self.latency.round(), self.jitter.round());
    }

    /// `memory.due` is the front item's. The moment it was due, not the moment it left, is what the next toxic counts
    /// from: delays add up, errors do not.
    pub fn step(&self, memory: &mut Memory, inbox: &mut Queue, now: Instant) -> Step {
        let Some(front) = inbox.front() else { return Step::Idle };
        let due = *memory.due.get_or_insert_with(|| front.at + self.delay());
        if due > now {
            return Step::Wait(due);
        }
        memory.due = None;
        inbox.pop().map_or(Step::Idle, |mut item| {
            item.at = due;
            Step::Pass(item)
        })
    }

    fn delay(&self) -> Duration {
        let jitter = if self.jitter > 0.0 { rand::random_range(-self.jitter..=self.jitter) } else { 0.0 };
        Duration::from_secs_f64((self.latency + jitter).max(0.0) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms, refusal};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn every_item_and_the_end_are_late_by_the_same() {
        let mut bench = Bench::new("latency", json!({"latency": 20}));
        bench.arrives("a").at(ms(5)).arrives("b").ends();
        assert_eq!(bench.step(), "wait: 20");
        assert_eq!(bench.at(ms(20)).step(), "a");
        assert_eq!(bench.step(), "wait: 25");
        assert_eq!(bench.at(ms(40)).step(), "b");
        assert_eq!(bench.step(), "end: Finished");
        assert_eq!(bench.step(), "idle");
    }

    #[test]
    fn fractions_count() {
        let mut bench = Bench::new("latency", json!({"latency": 0.25}));
        assert_eq!(bench.arrives("a").step(), "wait: 0.25");
        assert_eq!(bench.at(Duration::from_micros(250)).step(), "a");
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_keeps_the_order() {
        for _ in 0..200 {
            let mut bench = Bench::new("latency", json!({"latency": 10, "jitter": 4}));
            let waits: f64 = bench.arrives("a").step().trim_start_matches("wait: ").parse().unwrap();
            assert!((6.0..=14.0).contains(&waits), "{waits}");
            assert_eq!(bench.arrives("b").at(ms(14)).step(), "a");
            assert_eq!(bench.at(ms(28)).step(), "b");
        }
    }

    #[test]
    fn a_change_acts_on_what_is_in_flight() {
        let mut bench = Bench::new("latency", json!({"latency": 1000}));
        assert_eq!(bench.arrives("a").at(ms(10)).step(), "wait: 1000");
        bench.adjust(json!({"latency": 30}));
        assert_eq!(bench.step(), "wait: 30");
    }

    #[test]
    fn below_zero_is_no_delay_and_too_much_is_refused() {
        assert_eq!(Bench::new("latency", json!({"latency": -5})).arrives("a").step(), "a");
        assert_eq!(refusal("latency", json!({"jitter": i64::MAX})), "jitter: more than 1000000000000 ms");
    }
}
