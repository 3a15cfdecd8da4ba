//! What is done though nobody's goal asks for it: replicas that the constraints demand and that are not there are made, and those
//! that hold a former version are refreshed.

use super::Reason;
use crate::domain::action::Action;
use crate::domain::ids::AgentId;
use crate::domain::placement::{Node, Replica};
use crate::domain::snapshot::Snapshot;
use std::cmp::Reverse;
use std::time::Duration;

/// Whether there is anything to do, for whomever.
pub fn is_due(snapshot: &Snapshot) -> bool {
    let placement = &snapshot.placement;
    snapshot.data_set.guard.constraints.wants_more(placement) || placement.present().any(Replica::is_outdated)
}

/// What this agent has to do now, and why: what is outdated comes first, for it is read.
pub fn due(snapshot: &Snapshot, me: AgentId, silence: Duration) -> Option<(Action, Reason)> {
    let refresh = outdated(snapshot, me, silence).map(|action| (action, Reason::Outdated));
    refresh.or_else(|| missing(snapshot, me, silence).map(|action| (action, Reason::Demanded)))
}

/// The first replica that holds a former version, is not refreshed yet, and is this agent's to refresh: that of its own node, or of
/// one where no reader lives.
fn outdated(snapshot: &Snapshot, me: AgentId, silence: Duration) -> Option<Action> {
    let placement = &snapshot.placement;
    let is_mine = |row: &&Replica| {
        let is_under_way = placement.on(row.node).is_none_or(|there| there.id != row.id);
        row.is_outdated() && !is_under_way && snapshot.is_kept_by(me, row.node, silence)
    };
    let refreshed = |row: &Replica| {
        let (from, to) = (snapshot.nearest(row.node)?.node, row.node);
        // Both versions lie there for a while. Where there is no room for that, the former one goes, and whoever wants one brings it.
        let action = if snapshot.has_room(to) { Action::Restore { from, to } } else { Action::Evict { node: to } };
        snapshot.forbids(me, action).is_none().then_some(action)
    };
    placement.present().filter(is_mine).find_map(refreshed)
}

/// What this agent has to make; `None`: nothing is missing, it is for somebody else to make it, or it cannot be made now.
///
/// Of the nodes of `must` that lack theirs the first; else, while there are fewer than `min_replicas`, the most available node
/// that can take one. Its maker is the agent that lives there, or the first that lives at all. The bytes come from the replica
/// that is nearest to the node; where there may be no further replica, that which fewest read and which may go comes itself.
fn missing(snapshot: &Snapshot, me: AgentId, silence: Duration) -> Option<Action> {
    let (placement, constraints) = (&snapshot.placement, &snapshot.data_set.guard.constraints);
    if !constraints.wants_more(placement) {
        return None;
    }
    let free = || snapshot.nodes.values().filter(|node| snapshot.is_free(node));
    let demanded = free().find(|node| constraints.must.contains(&node.id));
    let wanted = || free().filter(|node| constraints.wants_at(placement, node.id));
    let best = |node: &&Node| ((node.availability.value() * 1e3) as i64, Reverse(node.id));
    let to = demanded.or_else(|| wanted().max_by_key(best))?.id;
    if !snapshot.is_kept_by(me, to, silence) {
        return None;
    }
    let may = |action: &Action| snapshot.forbids(me, *action).is_none();
    if constraints.fills(placement).is_none() {
        return Some(Action::Restore { from: snapshot.nearest(to)?.node, to }).filter(may);
    }
    let coming = placement.current().map(|row| (row, Action::Move { from: row.node, to })).filter(|(_, it)| may(it));
    coming.min_by_key(|(row, _)| (placement.readers(row.id).count(), row.node)).map(|(_, action)| action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{NodeId, ReplicaId};
    use crate::domain::placement::ReplicaState;
    use crate::domain::versions::Former;
    use crate::mape::scene;
    use std::sync::Arc;

    const SILENCE: Duration = Duration::from_secs(60);

    /// What each of agents 1, 2 and 3 has to make.
    fn missing_by(nodes: &[u32], constraints: &str, change: impl Fn(&mut Snapshot)) -> [String; 3] {
        let mut snapshot = scene::inhabited(scene::snapshot(nodes, &[(1, 1), (2, 1), (3, 1)]), 3);
        snapshot.data_set.guard.constraints = serde_json::from_str(constraints).unwrap();
        change(&mut snapshot);
        [1, 2, 3].map(|agent| missing(&snapshot, AgentId(agent), SILENCE).map(|it| it.to_string()).unwrap_or_default())
    }

    #[test]
    fn a_demanded_node_gets_its_replica_from_the_agent_there() {
        assert_eq!(missing_by(&[3], r#"{"must":[2]}"#, |_| {}), ["", "R3_2", ""]);
        assert_eq!(missing_by(&[2, 3], r#"{"must":[2]}"#, |_| {}), ["", "", ""]);
        assert_eq!(missing_by(&[3], "{}", |_| {}), ["", "", ""]);
    }

    #[test]
    fn too_few_become_more_at_the_most_available_node() {
        assert_eq!(missing_by(&[3], r#"{"min_replicas":2}"#, |_| {}), ["R3_1", "", ""]);
        assert_eq!(missing_by(&[1, 3], r#"{"min_replicas":3}"#, |_| {}), ["", "R1_2", ""], "node 1 is nearer");
    }

    #[test]
    fn where_there_may_be_no_more_the_one_that_fewest_read_comes_itself() {
        let full = r#"{"must":[2],"max_replicas":2}"#;
        assert_eq!(missing_by(&[3, 1], full, |_| {}), ["", "M1_2", ""]);
        let read = |snapshot: &mut Snapshot| {
            snapshot.placement.references.values_mut().for_each(|reads| *reads = ReplicaId(2));
        };
        assert_eq!(missing_by(&[3, 1], full, read), ["", "M3_2", ""]);
        assert_eq!(missing_by(&[3, 1], r#"{"must":[1,2],"max_replicas":2}"#, |_| {}), ["", "M3_2", ""]);
        assert_eq!(missing_by(&[3, 1], r#"{"must":[2],"min_replicas":2,"max_replicas":2}"#, |_| {}), ["", "M1_2", ""]);
        assert_eq!(missing_by(&[3], r#"{"must":[2],"max_replicas":1}"#, |_| {}), ["", "M3_2", ""], "the only one");
        assert_eq!(missing_by(&[3], r#"{"must":[2],"max_replicas":1,"origin":3}"#, |_| {}), ["", "", ""]);
    }

    #[test]
    fn what_is_outdated_is_refreshed_by_whoever_lives_there() {
        let outdated = |snapshot: &mut Snapshot| {
            let former = Former {
                version: 1,
                bytes: 1,
                records: 0,
                sha256: "0".repeat(64),
                written_bytes: 0,
                since: snapshot.at,
            };
            let row = snapshot.placement.replicas.values_mut().find(|row| row.node == NodeId(2)).unwrap();
            row.former = Some(former);
        };
        let due = |snapshot: &Snapshot| {
            [1, 2, 3].map(|agent| due(snapshot, AgentId(agent), SILENCE).map(|(action, _)| action.to_string()))
        };
        let mut snapshot = scene::inhabited(scene::snapshot(&[2, 3], &[(1, 1), (2, 1), (3, 1)]), 3);
        assert!(!is_due(&snapshot));
        outdated(&mut snapshot);
        assert!(is_due(&snapshot));
        assert_eq!(due(&snapshot), [None, Some("R3_2".to_owned()), None]);
        let mut full = snapshot.clone();
        Arc::make_mut(&mut full.nodes).get_mut(&NodeId(2)).unwrap().capacity_bytes = Some(1);
        assert_eq!(due(&full), [None, Some("E2".to_owned()), None], "there is no room for two versions");
        Arc::make_mut(&mut snapshot.agents).get_mut(&AgentId(2)).unwrap().heartbeat_at = None;
        let [first, _, third] = due(&snapshot);
        assert_eq!((first, third), (Some("R3_2".to_owned()), None), "nobody lives there");
        let coming = Replica { state: ReplicaState::Copying, ..scene::replica(9, 2) };
        snapshot.placement.replicas.insert(coming.id, coming);
        assert_eq!(due(&snapshot), [None, None, None], "it is on its way");
    }

    #[test]
    fn somebody_else_makes_it_where_nobody_lives() {
        let dead = |snapshot: &mut Snapshot| {
            let agents = Arc::make_mut(&mut snapshot.agents);
            agents.get_mut(&AgentId(2)).unwrap().heartbeat_at = None;
        };
        let by = missing_by(&[3], r#"{"must":[2]}"#, dead);
        assert_eq!((by[0].as_str(), by[2].as_str()), ("R3_2", ""));
    }

    #[test]
    fn what_cannot_be_made_is_left() {
        let full = |snapshot: &mut Snapshot| {
            Arc::make_mut(&mut snapshot.nodes).get_mut(&NodeId(2)).unwrap().capacity_bytes = Some(1);
        };
        assert_eq!(missing_by(&[3], r#"{"must":[2]}"#, full), ["", "", ""]);
        let paused = |snapshot: &mut Snapshot| {
            snapshot.data_set.guard.paused_until = Some(crate::domain::constraints::Guard::FOR_EVER);
        };
        assert_eq!(missing_by(&[3], r#"{"must":[2]}"#, paused), ["", "", ""]);
    }
}
