//! How fast bytes came from each node, in this life of an agent: for those who show what its links are like.

use agent_core::domain::ids::NodeId;
use agent_core::domain::traffic::Traffic;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How much of the way to a new observation the known rate goes.
const RATE: f64 = 0.3;

/// By node, in bytes for each second of the scenario.
#[derive(Debug, Default)]
pub struct Rates(Mutex<BTreeMap<NodeId, f64>>);

impl Rates {
    /// Bytes came from a node; nothing is learned where none had to be waited for.
    pub fn note(&self, node: NodeId, traffic: &Traffic) {
        // Those that were asked for side by side shared the time.
        let seen = traffic.bytes as f64 * traffic.parallel as f64 / traffic.stalled_s;
        if !traffic.makes_sense() || !seen.is_finite() {
            return;
        }
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = *rates.entry(node).or_insert(seen);
        rates.insert(node, known + RATE * (seen - known));
    }

    pub fn all(&self) -> BTreeMap<NodeId, f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_what_is_seen() {
        let rates = Rates::default();
        let traffic = Traffic { requests: 36, parallel: 8, bytes: 1_000, stalled_s: 2.0, records: 10 };
        rates.note(NodeId(2), &traffic);
        rates.note(NodeId(2), &Traffic { stalled_s: 4.0, ..traffic });
        rates.note(NodeId(3), &Traffic { stalled_s: 0.0, ..traffic });
        assert_eq!(rates.all(), BTreeMap::from([(NodeId(2), 4000.0 + 0.3 * (2000.0 - 4000.0))]));
    }
}
