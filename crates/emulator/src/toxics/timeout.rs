//! `timeout`: nothing gets through, and after a while the connection is closed.

use super::super::queue::{Content, End, Item};
use super::{Memory, Queue, Step, milliseconds, pass, wait_until};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// `timeout` is in milliseconds, counted from the last data that was swallowed; at 0 the connection stays open.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeout {
    pub timeout: i64,
}

impl Timeout {
    /// `memory.last` is when the time began to run.
    pub fn step(&self, memory: &mut Memory, inbox: &mut Queue, now: Instant) -> Step {
        while let Some(front) = inbox.front() {
            match front.content {
                Content::Data(_) => {
                    inbox.pop();
                    memory.last = Some(now);
                }
                Content::End(_) => return pass(inbox),
            }
        }
        let since = *memory.last.get_or_insert(now);
        if self.timeout <= 0 {
            return Step::Idle;
        }
        wait_until(since, milliseconds(self.timeout), now)
            .unwrap_or(Step::Pass(Item { at: now, content: Content::End(End::Close) }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms};
    use serde_json::json;

    #[test]
    fn time_begins_again_with_each_chunk() {
        let mut bench = Bench::new("timeout", json!({"timeout": 100}));
        assert_eq!(bench.step(), "wait: 100");
        assert_eq!(bench.at(ms(60)).arrives("a").step(), "wait: 160");
        assert_eq!(bench.at(ms(160)).step(), "end: Close");
    }

    #[test]
    fn at_zero_data_is_swallowed_and_the_connection_stays() {
        let mut bench = Bench::new("timeout", json!({}));
        assert_eq!(bench.arrives("a").at(ms(3_600_000)).step(), "idle");
        assert_eq!(bench.inbox.front(), None);
    }

    #[test]
    fn the_senders_end_passes() {
        assert_eq!(Bench::new("timeout", json!({"timeout": 100})).arrives("a").ends().step(), "end: Finished");
    }
}
