//! `reset_peer`: the first data is answered by a TCP reset.

use super::super::queue::{Content, End, Item};
use super::{Queue, Step, milliseconds, wait_until};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// `timeout`, in milliseconds, is how long after the first data (or the end) the reset comes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetPeer {
    pub timeout: i64,
}

impl ResetPeer {
    /// What arrived stays in the inbox: it goes on if the toxic is removed in time.
    pub fn step(&self, inbox: &mut Queue, now: Instant) -> Step {
        let Some(front) = inbox.front() else { return Step::Idle };
        wait_until(front.at, milliseconds(self.timeout), now)
            .unwrap_or(Step::Pass(Item { at: now, content: Content::End(End::Reset) }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms};
    use serde_json::json;

    #[test]
    fn the_reset_waits_for_data_and_then_for_its_time() {
        let mut bench = Bench::new("reset_peer", json!({"timeout": 30}));
        assert_eq!(bench.at(ms(1000)).step(), "idle");
        assert_eq!(bench.arrives("a").step(), "wait: 1030");
        assert_eq!(bench.at(ms(1030)).step(), "end: Reset");
    }

    #[test]
    fn no_timeout_is_at_once() {
        assert_eq!(Bench::new("reset_peer", json!({})).arrives("a").step(), "end: Reset");
    }
}
