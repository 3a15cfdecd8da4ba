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
