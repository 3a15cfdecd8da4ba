//! The placement as it will be when all that is under way has ended: a remedy that has begun needs no second one.

use super::action::Action;
use super::event::Outcome;
use super::ids::{AgentId, NodeId};
use super::snapshot::Content;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    pub generation: i64,
    /// Where replicas will be.
    pub set: BTreeSet<NodeId>,
    /// Replicas that can be read, and will be.
    pub ready: BTreeSet<NodeId>,
    /// Of these, those that nobody will read.
    pub idle: BTreeSet<NodeId>,
    /// Where everybody will read.
    pub reads: BTreeMap<AgentId, NodeId>,
}

impl Planned {
    /// The present placement with the running actions applied, in the order in which they began.
    pub fn of(content: &Content) -> Self {
        let placement = &content.placement;
        let mut set = placement.nodes();
        let mut ready = set.clone();
        let read = |agent: &AgentId| placement.reference(*agent).map(|replica| (*agent, replica.node));
        let mut reads: BTreeMap<AgentId, NodeId> = placement.references.keys().filter_map(read).collect();
        for event in content.open_events.iter().filter(|event| event.outcome == Outcome::Running) {
            let (gone, new) = (event.action.from_node(), event.action.to_node());
            match event.action {
                Action::Move { from, to } => {
                    reads.values_mut().filter(|node| **node == from).for_each(|node| *node = to);
                }
                Action::Copy { to, .. } | Action::ChangeReference { to } => _ = reads.insert(event.agent, to),
                Action::Evict { node } => reads.retain(|_, read| *read != node),
                Action::Restore { .. } | Action::MoveWork { .. } | Action::Nothing => {}
            }
            let stays = matches!(event.action, Action::Copy { .. } | Action::Restore { .. });
            if let Some(gone) = gone.filter(|_| !stays) {
                set.remove(&gone);
                ready.remove(&gone);
            }
            set.extend(new);
        }
        let mut idle = ready.clone();
        reads.values().for_each(|read| _ = idle.remove(read));
        Self { generation: content.generation, set, ready, idle, reads }
    }

    /// How many replicas there will be.
    pub fn replicas(&self) -> u32 {
        u32::try_from(self.set.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene::{self, NOW};

    fn running(id: i64, agent: u32, action: &str) -> crate::domain::event::Event {
        let event = scene::event(id, action, NOW);
        crate::domain::event::Event { agent: AgentId(agent), outcome: Outcome::Running, ended_at: None, ..event }
    }

    /// Replicas on nodes 2 and 3; agents 1 and 2 read at 3, agent 3 at 2.
    fn check(actions: &[(u32, &str)], set: &[u32], ready: &[u32], reads: &[(u32, u32)]) {
        let mut snapshot = scene::snapshot(&[3, 2], &[(1, 1), (2, 1), (3, 2)]);
        snapshot.open_events =
            (1..).zip(actions).map(|(id, (agent, action))| running(id, *agent, action).into()).collect();
        // One that has ended is in the placement already.
        snapshot.open_events.push(scene::event(9, "M3_1", NOW).into());
        let planned = Planned::of(&snapshot);
        let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
        assert_eq!((planned.set, planned.ready), (nodes(set), nodes(ready)), "{actions:?}");
        assert_eq!(planned.reads, reads.iter().map(|(agent, node)| (AgentId(*agent), NodeId(*node))).collect());
    }

    #[test]
    fn what_has_begun_counts_as_done() {
        check(&[], &[2, 3], &[2, 3], &[(1, 3), (2, 3), (3, 2)]);
        check(&[(1, "M3_1")], &[1, 2], &[2], &[(1, 1), (2, 1), (3, 2)]);
        check(&[(1, "C3_1")], &[1, 2, 3], &[2, 3], &[(1, 1), (2, 3), (3, 2)]);
        check(&[(1, "CR2")], &[2, 3], &[2, 3], &[(1, 2), (2, 3), (3, 2)]);
        check(&[(1, "E2")], &[3], &[3], &[(1, 3), (2, 3)]);
        check(&[(1, "C3_1"), (2, "M3_4")], &[1, 2, 4], &[2], &[(1, 1), (2, 4), (3, 2)]);
    }

    #[test]
    fn what_nobody_reads_is_idle() {
        let planned = Planned::of(&scene::snapshot(&[3, 2], &[(1, 1)]));
        assert_eq!(planned.idle, [NodeId(2)].into());
    }
}
