//! `limit_data`: the connection is closed when it has carried so much.

use super::super::queue::{Content, End, Item};
use super::{Memory, Queue, Step, pass};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// `bytes` is how much passes; what is below zero means zero.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitData {
    pub bytes: i64,
}

impl LimitData {
    /// Closes as soon as the last byte has passed; at zero, with the first data.
    pub fn step(&self, memory: &mut Memory, inbox: &mut Queue, now: Instant) -> Step {
        let left = self.bytes.max(0).unsigned_abs().saturating_sub(memory.passed);
        let has_data = matches!(inbox.front(), Some(Item { content: Content::Data(_), .. }));
        if left == 0 && (has_data || memory.passed > 0) {
            return Step::Pass(Item { at: now, content: Content::End(End::Close) });
        }
        if !has_data {
            return pass(inbox);
        }
        let Some(item) = inbox.pop_up_to(usize::try_from(left).unwrap_or(usize::MAX)) else { return Step::Idle };
        if let Content::Data(data) = &item.content {
            memory.passed += data.len() as u64;
        }
        Step::Pass(item)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use serde_json::json;

    #[test]
    fn the_connection_closes_behind_the_last_byte() {
        let mut bench = Bench::new("limit_data", json!({"bytes": 7}));
        assert_eq!(bench.arrives("hello").step(), "hello");
        assert_eq!(bench.step(), "idle");
        assert_eq!(bench.arrives("world").step(), "wo");
        assert_eq!(bench.step(), "end: Close");
    }

    #[test]
    fn zero_waits_for_data() {
        let mut bench = Bench::new("limit_data", json!({}));
        assert_eq!(bench.step(), "idle");
        assert_eq!(bench.arrives("a").step(), "end: Close");
    }

    #[test]
    fn what_passed_counts_when_the_limit_changes() {
        let mut bench = Bench::new("limit_data", json!({"bytes": 100}));
        assert_eq!(bench.arrives("hello").step(), "hello");
        bench.adjust(json!({"bytes": 6}));
        assert_eq!(bench.arrives("world").step(), "w");
        assert_eq!(bench.step(), "end: Close");
    }

    #[test]
    fn an_end_below_the_limit_passes() {
        assert_eq!(Bench::new("limit_data", json!({"bytes": 1})).ends().step(), "end: Finished");
    }
}
