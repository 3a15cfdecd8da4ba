//! How far replicas fall behind their owner before they are refreshed, as jobs have measured it.

use crate::domain::ids::NodeId;
use std::collections::BTreeMap;

/// What is left of the longest one with each further job: a link that has become fast is trusted again in time.
const KEPT: f64 = 0.95;

/// The longest staleness that was measured at each node, and is not long ago \[s\].
#[derive(Clone, Debug, Default)]
pub struct Lags(BTreeMap<NodeId, f64>);

impl Lags {
    /// Most jobs come when the replica has caught up; what counts is how far it falls behind until then.
    pub fn measured(&mut self, node: NodeId, staleness: f64) {
        if staleness.is_finite() && staleness >= 0.0 {
            let longest = self.0.entry(node).or_default();
            *longest = staleness.max(*longest * KEPT);
        }
    }

    /// At a node that was never read as long as at the others; 0 where nothing was measured.
    pub fn at(&self, node: NodeId) -> f64 {
        let longest = || self.0.values().copied().fold(0.0, f64::max);
        self.0.get(&node).copied().unwrap_or_else(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_lag_counts_and_is_forgotten_in_time() {
        let (near, far, new) = (NodeId(1), NodeId(2), NodeId(3));
        let mut lags = Lags::default();
        assert_eq!(lags.at(near), 0.0);
        lags.measured(far, 100.0);
        lags.measured(near, 20.0);
        assert_eq!((lags.at(near), lags.at(far), lags.at(new)), (20.0, 100.0, 100.0));
        lags.measured(far, 0.0);
        assert_eq!(lags.at(far), 95.0);
        (0..100).for_each(|_| lags.measured(far, 0.0));
        assert!(lags.at(far) < 1.0);
        lags.measured(far, f64::NAN);
        assert!(lags.at(far) < 1.0);
    }
}
