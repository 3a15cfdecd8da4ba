//! What was published of a gossip monitor (arXiv 2405.07806), and what no push-pull can do better.

/// Nodes of the published sweep's largest network.
pub(super) const NODES: u32 = 300;
/// Every exchange there carries all that a node knows.
pub(super) const EXCHANGE_BYTES: f64 = 122_000.0;
/// The smallest network of the published sweep, and its rounds; the fan-out is not stated.
pub(super) const SMALLEST: (u32, f64) = (50, 7.0);

/// Rounds until every one of 300 nodes knew every other, with a fan-out.
pub(super) fn published(nodes: u32, fan_out: u32) -> Option<f64> {
    match (nodes, fan_out) {
        (NODES, 2) => Some(29.5),
        (NODES, 3) => Some(21.0),
        (NODES, 4) => Some(19.0),
        _ => None,
    }
}

/// The same of synchronous push-pull in which every exchange takes no time and carries everything.
pub(super) fn ideal(nodes: u32, fan_out: u32) -> Option<f64> {
    match (nodes, fan_out) {
        (NODES, 2) => Some(6.0),
        (NODES, 3) => Some(5.0),
        (NODES, 4) => Some(4.1),
        _ => None,
    }
}
