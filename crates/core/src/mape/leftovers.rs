//! Objects that are still to be deleted: whose turn it is, how long a store that refuses is left alone, and what people hear of it.

use crate::domain::ids::NodeId;
use crate::domain::placement::Replica;
use crate::domain::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// However often a store has refused, it is asked again after this (scenario time).
const PAUSE_AT_MOST: Duration = Duration::from_secs(3600);

/// What of the network's settings it depends on, scenario time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Turn {
    /// Where this agent lives: it deletes there at once, elsewhere only what the agent there has left for a lease.
    pub home: NodeId,
    pub lease: Duration,
    /// After the first refusal; it doubles with each further one.
    pub pause: Duration,
}

/// What stores said when they were last asked to delete.
#[derive(Default, Debug)]
pub struct Leftovers {
    refusals: BTreeMap<NodeId, Refusal>,
}

#[derive(Debug)]
struct Refusal {
    times: u32,
    again_at: Timestamp,
    why: String,
}

impl Leftovers {
    /// What is to be deleted now, by store. Where something was refused, another object is the first each time: one that has to
    /// stay is in no other's way.
    pub fn due(&self, removing: Vec<Replica>, turn: Turn, now: Timestamp) -> BTreeMap<NodeId, Vec<Replica>> {
        let mut due: BTreeMap<NodeId, Vec<Replica>> = BTreeMap::new();
        for replica in removing {
            let is_overdue = replica.lease.is_none_or(|lease| lease.until + turn.lease < now);
            let is_left_alone = self.refusals.get(&replica.node).is_some_and(|refusal| refusal.again_at > now);
            if (replica.node == turn.home || is_overdue) && !is_left_alone {
                due.entry(replica.node).or_default().push(replica);
            }
        }
        for (node, replicas) in &mut due {
            let times = self.refusals.get(node).map_or(0, |refusal| refusal.times as usize);
            let first = times % replicas.len();
            replicas.rotate_left(first);
        }
        due
    }

    /// A store has left so many objects where they are; what to tell, if it is news. `why` names none of them.
    pub fn refused(&mut self, node: NodeId, left: usize, why: String, turn: Turn, now: Timestamp) -> Option<String> {
        let before = self.refusals.get(&node);
        let is_news = before.is_none_or(|before| before.why != why);
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let factor = 2_u32.saturating_pow(times - 1);
        let again_at = now + turn.pause.saturating_mul(factor).min(PAUSE_AT_MOST);
        let objects = if left == 1 { "object is" } else { "objects are" };
        let news = is_news.then(|| {
            format!("{left} {objects} not deleted from node {node} yet: {why}; it is tried again with growing pauses")
        });
        self.refusals.insert(node, Refusal { times, again_at, why });
        news
    }

    /// All that was due in a store is deleted; what to tell, if it had refused.
    pub fn deleted(&mut self, node: NodeId) -> Option<String> {
        self.refusals.remove(&node).map(|_| format!("what was left on node {node} is deleted by now"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AgentId, ReplicaId};
    use crate::domain::placement::{Lease, ReplicaState};
    use crate::domain::validators::Validators;

    const TURN: Turn = Turn { home: NodeId(1), lease: Duration::from_secs(300), pause: Duration::from_secs(10) };

    fn left(id: i64, node: u32, lease_until: Option<u64>) -> Replica {
        Replica {
            id: ReplicaId(id),
            data_set: "d".into(),
            node: NodeId(node),
            object_key: format!("k/{id}"),
            state: ReplicaState::Removing,
            generation: 1,
            lease: lease_until.map(|until| Lease { holder: AgentId(2), until: at(until) }),
            validators: Validators::default(),
            remark: None,
            former: None,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::default() + Duration::from_secs(seconds)
    }

    fn due(leftovers: &Leftovers, removing: &[Replica], now: u64) -> Vec<i64> {
        let due = leftovers.due(removing.to_vec(), TURN, at(now));
        due.into_values().flatten().map(|replica| replica.id.0).collect()
    }

    #[test]
    fn at_home_it_is_deleted_at_once_elsewhere_when_it_is_overdue() {
        let removing = [left(1, 1, Some(100)), left(2, 2, Some(100)), left(3, 2, None)];
        let leftovers = Leftovers::default();
        assert_eq!(due(&leftovers, &removing, 101), [1, 3]);
        assert_eq!(due(&leftovers, &removing, 400), [1, 3], "the agent there has all of the lease");
        assert_eq!(due(&leftovers, &removing, 401), [1, 2, 3]);
    }

    #[test]
    fn a_store_that_refuses_is_asked_ever_more_seldom_and_told_of_when_it_is_news() {
        let removing = [left(1, 1, None), left(2, 1, None), left(3, 2, None)];
        let mut leftovers = Leftovers::default();
        let news = leftovers.refused(NodeId(1), 2, "403".to_owned(), TURN, at(0));
        let first = "2 objects are not deleted from node 1 yet: 403; it is tried again with growing pauses";
        assert_eq!(news.as_deref(), Some(first));
        assert_eq!(due(&leftovers, &removing, 9), [3], "other stores are");
        assert_eq!(due(&leftovers, &removing, 10), [2, 1, 3], "another object is the first");
        for (now, pause) in [(10, 20), (30, 40), (70, 80)] {
            assert_eq!(leftovers.refused(NodeId(1), 2, "403".to_owned(), TURN, at(now)), None);
            assert_eq!(due(&leftovers, &removing, now + pause - 1), [3]);
            assert_eq!(due(&leftovers, &removing, now + pause).len(), 3);
        }
        for now in 0..100 {
            leftovers.refused(NodeId(1), 2, "403".to_owned(), TURN, at(1000 + now));
        }
        assert_eq!(due(&leftovers, &removing, 1099 + 3599), [3]);
        assert_eq!(due(&leftovers, &removing, 1099 + 3600).len(), 3, "never less than once an hour");
        assert!(leftovers.refused(NodeId(1), 1, "away".to_owned(), TURN, at(5000)).is_some(), "that is news");
        assert!(leftovers.deleted(NodeId(1)).is_some());
        assert_eq!(leftovers.deleted(NodeId(1)), None);
    }
}
