//! `bandwidth`: a line that carries so much and no more.

use super::super::queue::Content;
use super::{Memory, Queue, Step, pass};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The line hands data over in pieces of this duration: smooth, without a wake-up for every packet.
const PIECE_MS: i64 = 10;
/// How late a piece may be picked up without the line having been idle: wake-ups that come late do not lower the rate, and
/// a receiver that stopped reading is not flooded when it goes on.
const FORGIVEN: Duration = Duration::from_millis(20);

/// `rate` is in kilobytes (1000 bytes) per second; at 0 nothing goes through.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bandwidth {
    pub rate: i64,
}

impl Bandwidth {
    pub fn check(&self) -> Result<(), String> {
        if self.rate < 0 {
            return Err(format!("rate: {} KB/s is below 0", self.rate));
        }
        Ok(())
    }

    /// `memory.due` is when the front piece has gone through, `memory.last` when the one before it had.
    pub fn step(&self, memory: &mut Memory, inbox: &mut Queue, now: Instant) -> Step {
        let Some(front) = inbox.front() else { return Step::Idle };
        let Content::Data(data) = &front.content else { return pass(inbox) };
        let Ok(bytes_per_ms @ 1..) = u64::try_from(self.rate) else { return Step::Idle };
        let limit = usize::try_from(bytes_per_ms.saturating_mul(PIECE_MS.unsigned_abs())).unwrap_or(usize::MAX);
        let piece_bytes = data.len().min(limit);
        let due = *memory.due.get_or_insert_with(|| {
            let begins = memory.last.unwrap_or(front.at).max(front.at).max(now.checked_sub(FORGIVEN).unwrap_or(now));
            // At most 10 ms or one nanosecond per byte: far within 64 bits for any piece that fits in memory.
            begins + Duration::from_nanos(piece_bytes as u64 * 1_000_000 / bytes_per_ms)
        });
        if due > now {
            return Step::Wait(due);
        }
        (memory.due, memory.last) = (None, Some(due));
        inbox.pop_up_to(limit).map_or(Step::Idle, |mut item| {
            item.at = due;
            Step::Pass(item)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms, refusal};
    use serde_json::json;

    #[test]
    fn data_takes_its_time_in_pieces_of_ten_milliseconds() {
        let mut bench = Bench::new("bandwidth", json!({"rate": 1}));
        bench.arrives("0123456789abcd").ends();
        assert_eq!(bench.step(), "wait: 10");
        assert_eq!(bench.at(ms(10)).step(), "0123456789");
        assert_eq!(bench.step(), "wait: 14");
        assert_eq!(bench.at(ms(14)).step(), "abcd");
        assert_eq!(bench.step(), "end: Finished");
    }

    #[test]
    fn a_late_wake_up_does_not_lower_the_rate() {
        let mut bench = Bench::new("bandwidth", json!({"rate": 1}));
        bench.arrives("0123456789abcdefghij").step();
        assert_eq!(bench.at(ms(17)).step(), "0123456789");
        assert_eq!(bench.step(), "wait: 20");
    }

    #[test]
    fn a_line_that_was_blocked_does_not_catch_up() {
        let mut bench = Bench::new("bandwidth", json!({"rate": 1}));
        bench.arrives("0123456789abcdefghij").step();
        assert_eq!(bench.at(ms(1000)).step(), "0123456789");
        assert_eq!(bench.step(), "abcdefghij");
        assert_eq!(bench.arrives("0123456789").step(), "wait: 1010");
    }

    #[test]
    fn at_rate_zero_nothing_passes_until_the_rate_changes() {
        let mut bench = Bench::new("bandwidth", json!({"rate": 0}));
        assert_eq!(bench.arrives("a").at(ms(1000)).step(), "idle");
        bench.adjust(json!({"rate": 1}));
        assert_eq!(bench.at(ms(1001)).step(), "a");
    }

    #[test]
    fn a_negative_rate_is_refused() {
        assert_eq!(refusal("bandwidth", json!({"rate": -1})), "rate: -1 KB/s is below 0");
    }
}
