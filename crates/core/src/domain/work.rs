//! Where an application runs: at home, or at another node that its user allows and its agent can hand jobs to.
//!
//! The rule is here alone. The table keeps where an application was moved to; where its next job runs follows from that and from how
//! the nodes are: a place that leaves, that was stopped or that is not heard of any more has no work, and the application is at home
//! again without anybody's action.

use super::ids::{AgentId, NodeId};
use super::placement::{Node, NodeState, Peer, Registration};
use super::snapshot::Snapshot;
use super::time::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// Where a job runs, or would.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seat {
    pub node: NodeId,
    /// Where its agent lives.
    pub home: NodeId,
}

impl Seat {
    pub fn at_home(home: NodeId) -> Self {
        Self { node: home, home }
    }

    /// Of an agent whose work was moved: there, as long as its user lets it.
    pub fn of(home: NodeId, may_run_on: &BTreeSet<NodeId>, moved_to: Option<NodeId>) -> Self {
        Self { node: moved_to.filter(|node| may_run_on.contains(node)).unwrap_or(home), home }
    }

    /// The node, if it is not the agent's own.
    pub fn away(self) -> Option<NodeId> {
        Some(self.node).filter(|node| *node != self.home)
    }
}

impl Registration {
    /// Whether its jobs may run on a node; at home always.
    pub fn lets_run_on(&self, node: NodeId) -> bool {
        node == self.node || self.may_run_on.contains(&node)
    }
}

impl Peer {
    /// Where its jobs are to run, as the table keeps it.
    pub fn seat(&self) -> Seat {
        Seat::of(self.registration.node, &self.registration.may_run_on, self.runs_at)
    }
}

impl Node {
    /// Whether jobs can be handed to it: somebody who takes them is there, is heard of, and stays.
    pub fn takes_work(&self, now: Timestamp, silence: Duration) -> bool {
        self.state == NodeState::Running && self.heartbeat_at.is_some_and(|at| now.since(at) <= silence)
    }
}

impl Snapshot {
    /// Where an agent's next job runs; `None`: it does not read this data set.
    pub fn seat(&self, agent: AgentId, silence: Duration) -> Option<Seat> {
        let seat = self.agents.get(&agent)?.seat();
        let is_there = seat.away().is_none_or(|node| self.takes_work(node, silence));
        Some(if is_there { seat } else { Seat::at_home(seat.home) })
    }

    /// Where else it could run, by node.
    pub fn other_seats(&self, agent: AgentId, silence: Duration) -> impl Iterator<Item = Seat> + '_ {
        let present = self.seat(agent, silence);
        let allowed = self.agents.get(&agent).filter(|peer| !peer.registration.may_run_on.is_empty());
        let nodes = allowed.into_iter().flat_map(move |peer| {
            let lets = |node: &NodeId| peer.registration.lets_run_on(*node);
            self.nodes.keys().copied().filter(lets).map(|node| Seat { node, home: peer.registration.node })
        });
        nodes.filter(move |seat| {
            Some(*seat) != present && (seat.away().is_none() || self.takes_work(seat.node, silence))
        })
    }

    fn takes_work(&self, node: NodeId, silence: Duration) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.takes_work(self.at, silence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene;
    use std::sync::Arc;

    const SILENCE: Duration = Duration::from_secs(30);

    /// Agent 1, which may run on nodes 2 and 3 and was moved to node 2.
    fn check(edit: impl Fn(&mut Peer, &mut Node), runs_at: u32, elsewhere: &[u32]) {
        let mut snapshot = scene::working(scene::snapshot(&[3], &[(1, 1)]), 1, &[2, 3]);
        let now = snapshot.at;
        let (mut agents, mut nodes) = (snapshot.agents.clone(), snapshot.nodes.clone());
        let peer = Arc::make_mut(&mut agents).get_mut(&AgentId(1)).unwrap();
        let node = Arc::make_mut(&mut nodes).get_mut(&NodeId(2)).unwrap();
        (peer.runs_at, node.heartbeat_at) = (Some(NodeId(2)), Some(now));
        edit(peer, node);
        (snapshot.agents, snapshot.nodes) = (agents, nodes);
        let others: Vec<u32> = snapshot.other_seats(AgentId(1), SILENCE).map(|seat| seat.node.0).collect();
        let seat = snapshot.seat(AgentId(1), SILENCE).unwrap();
        assert_eq!((seat.node.0, others.as_slice()), (runs_at, elsewhere));
    }

    #[test]
    fn it_runs_where_it_was_moved_to_as_long_as_somebody_is_there() {
        check(|_, _| {}, 2, &[1, 3]);
        check(|peer, _| peer.runs_at = None, 1, &[2, 3]);
        check(|_, node| node.state = NodeState::Leaving, 1, &[3]);
        check(|_, node| node.state = NodeState::Stopped, 1, &[3]);
        check(|_, node| node.heartbeat_at = Some(Timestamp(scene::NOW.0 - 30_001)), 1, &[3]);
        check(|_, node| node.heartbeat_at = Some(Timestamp(scene::NOW.0 - 30_000)), 2, &[1, 3]);
        check(|_, node| node.heartbeat_at = None, 1, &[3]);
    }

    #[test]
    fn what_its_user_does_not_allow_any_more_sends_it_home() {
        check(|peer, _| peer.registration.may_run_on = [NodeId(3)].into(), 1, &[3]);
        check(|peer, _| peer.registration.may_run_on.clear(), 1, &[]);
    }
}
