//! The latency of a link, as it shows itself: every job and every probe measures it once.

use super::Estimate;
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::NodeId;
use crate::domain::placement::Node;

/// A measurement further than this many standard deviations from the estimate shows another link than before.
const BREAK: f64 = 5.0;
/// How much of the way to a new measurement the estimate goes.
const RATE: f64 = 0.2;
/// No link is steadier than this \[ms\], nor than this share of its latency: schedulers and queues are in the way.
const LEAST_DEVIATION_MS: f64 = 1.0;
const LEAST_DEVIATION_SHARE: f64 = 0.02;

/// What is known of one link's latency \[ms\].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LinkEstimate {
    latency: Estimate,
}

impl LinkEstimate {
    /// After the first measurement, on links that vary by `deviation_ms`.
    pub fn new(measured_ms: f64, deviation_ms: f64) -> Self {
        let deviation = deviation_ms.max(LEAST_DEVIATION_MS).max(measured_ms * LEAST_DEVIATION_SHARE);
        Self { latency: Estimate { mean: measured_ms, deviation } }
    }

    pub fn latency(&self) -> Estimate {
        self.latency
    }

    /// One more measurement: the estimate follows it slowly, and at once when the link has become another one.
    pub fn measured(&mut self, measured_ms: f64) {
        let difference = measured_ms - self.latency.mean;
        if difference.abs() > BREAK * self.latency.deviation {
            *self = Self::new(measured_ms, 0.0);
        } else {
            self.latency.mean += RATE * difference;
        }
    }
}

/// The next `count` nodes whose links are to be probed, in turn: those behind `after`, then from the first one on. Not the own
/// node, for its jobs tell, and none without a store, for it answers nothing.
pub fn next_to_probe(nodes: &FlatMap<NodeId, Node>, home: NodeId, after: NodeId, count: usize) -> Vec<NodeId> {
    let (first, behind): (Vec<NodeId>, Vec<NodeId>) = nodes
        .values()
        .filter(|node| node.store_url.is_some() && node.id != home)
        .map(|node| node.id)
        .partition(|id| *id <= after);
    behind.into_iter().chain(first).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene;

    #[test]
    fn an_estimate_follows_slowly_what_is_within_its_noise() {
        let mut link = LinkEstimate::new(1000.0, 30.0);
        link.measured(1050.0);
        assert_eq!(link.latency(), Estimate { mean: 1010.0, deviation: 30.0 });
    }

    #[test]
    fn a_break_is_believed_at_once() {
        let mut link = LinkEstimate::new(1000.0, 30.0);
        link.measured(1200.0);
        assert_eq!(link.latency(), Estimate { mean: 1200.0, deviation: 24.0 });
    }

    #[test]
    fn no_link_is_taken_for_perfectly_steady() {
        assert_eq!(LinkEstimate::new(3.0, 0.0).latency().deviation, 1.0);
        assert_eq!(LinkEstimate::new(1000.0, 0.0).latency().deviation, 20.0);
    }

    #[test]
    fn links_are_probed_in_turn() {
        let mut nodes = FlatMap::clone(&scene::snapshot(&[], &[]).nodes);
        let check = |nodes: &FlatMap<NodeId, Node>, after: u32, count: usize, expected: &[u32]| {
            let found = next_to_probe(nodes, NodeId(2), NodeId(after), count);
            assert_eq!(found, expected.iter().copied().map(NodeId).collect::<Vec<_>>());
        };
        check(&nodes, 0, 1, &[1]);
        check(&nodes, 1, 1, &[3]);
        check(&nodes, 3, 1, &[1]);
        check(&nodes, 1, 9, &[3, 1]);
        nodes.get_mut(&NodeId(3)).unwrap().store_url = None;
        check(&nodes, 1, 9, &[1]);
    }
}
