//! `slow_close`: the end of the stream comes late.

use super::super::queue::Content;
use super::{Queue, Step, milliseconds, pass, wait_until};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// `delay` is in milliseconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlowClose {
    pub delay: i64,
}

impl SlowClose {
    pub fn step(&self, inbox: &mut Queue, now: Instant) -> Step {
        match inbox.front() {
            Some(front) if matches!(front.content, Content::End(_)) => {
                wait_until(front.at, milliseconds(self.delay), now).unwrap_or_else(|| pass(inbox))
            }
            _ => pass(inbox),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, ms};
    use serde_json::json;

    #[test]
    fn data_passes_and_the_end_waits() {
        let mut bench = Bench::new("slow_close", json!({"delay": 50}));
        bench.arrives("a").ends();
        assert_eq!(bench.step(), "a");
        assert_eq!(bench.step(), "wait: 50");
        assert_eq!(bench.at(ms(50)).step(), "end: Finished");
    }
}
