//! `noop`: nothing happens.

use super::{Queue, Step, pass};
use serde::{Deserialize, Serialize};

/// It has no attributes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Noop {}

impl Noop {
    pub fn step(inbox: &mut Queue) -> Step {
        pass(inbox)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use serde_json::json;

    #[test]
    fn everything_passes_at_once() {
        let mut bench = Bench::new("noop", json!({"latency": 5}));
        bench.arrives("a").ends();
        assert_eq!((bench.step(), bench.step(), bench.step()), ("a".into(), "end: Finished".into(), "idle".into()));
    }
}
