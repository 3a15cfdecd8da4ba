//! To and fro: who brings back what was left a moment ago undoes somebody's work, its own or another's.

use super::ids::{AgentId, NodeId};
use super::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// An action that brings back what was left less than this ago oscillates.
pub const OSCILLATES_WITHIN: Duration = Duration::from_secs(210);

/// Where the replicas are, and the node that each agent reads.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Layout {
    pub replicas: BTreeSet<NodeId>,
    pub references: BTreeMap<AgentId, NodeId>,
}

/// Layouts that were left in the last [`OSCILLATES_WITHIN`], and when.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct RecentLayouts {
    left: VecDeque<(Timestamp, Layout)>,
}

impl RecentLayouts {
    /// Whether an agent's action (`None`: nobody's) has brought back the replicas of a layout left lately, with this agent reading
    /// the same node. Called for each change, in the order of time.
    pub fn returns(&mut self, at: Timestamp, by: Option<AgentId>, before: Layout, now: &Layout) -> bool {
        while self.left.front().is_some_and(|(left, _)| at.since(*left) >= OSCILLATES_WITHIN) {
            self.left.pop_front();
        }
        let is_back = |agent: AgentId| {
            let reads = |layout: &Layout| layout.references.get(&agent).copied();
            self.left.iter().any(|(_, left)| left.replicas == now.replicas && reads(left) == reads(now))
        };
        let returns = by.is_some_and(is_back);
        self.left.push_back((at, before));
        returns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One replica on the first node; agents 1, 2, ... read at the others.
    fn layout(node: u32, reads: &[u32]) -> Layout {
        Layout {
            replicas: [NodeId(node)].into(),
            references: (1..).zip(reads).map(|(agent, node)| (AgentId(agent), NodeId(*node))).collect(),
        }
    }

    /// A layout is left at 0 s; whether an agent brings another one back so much later.
    fn returns(left: &Layout, now: &Layout, by: Option<u32>, seconds: u64) -> bool {
        let mut recent = RecentLayouts::default();
        let start = Timestamp(1_000);
        assert!(!recent.returns(start, Some(AgentId(1)), left.clone(), &layout(9, &[9])), "nothing was left before");
        recent.returns(start + Duration::from_secs(seconds), by.map(AgentId), layout(9, &[9]), now)
    }

    #[test]
    fn what_was_left_less_than_the_window_ago_oscillates() {
        let left = layout(1, &[1]);
        assert!(returns(&left, &left, Some(1), 209));
        assert!(!returns(&left, &left, Some(1), 210));
        assert!(!returns(&left, &left, None, 10), "nobody did it");
        assert!(!returns(&left, &layout(2, &[1]), Some(1), 10), "the replicas lie elsewhere");
    }

    #[test]
    fn only_what_the_acting_agent_reads_counts() {
        let left = layout(1, &[1, 2]);
        assert!(returns(&left, &layout(1, &[1, 3]), Some(1), 10));
        assert!(!returns(&left, &layout(1, &[1, 3]), Some(2), 10));
    }
}
