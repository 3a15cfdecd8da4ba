//! Replicas that the constraints demand and that are not there: made though nobody's goal asks for them.

use crate::domain::action::Action;
use crate::domain::ids::AgentId;
use crate::domain::placement::Node;
use crate::domain::snapshot::Snapshot;
use std::cmp::Reverse;
use std::time::Duration;

/// What this agent has to make; `None`: nothing is missing, it is for somebody else to make it, or it cannot be made now.
///
/// Of the nodes of `must` that lack theirs the first; else, while there are fewer than `min_replicas`, the most available node
/// that can take one. Its maker is the agent that lives there, or the first that lives at all. The bytes come from the replica
/// that is nearest to the node.
pub fn missing(snapshot: &Snapshot, me: AgentId, silence: Duration) -> Option<Action> {
    let (placement, constraints) = (&snapshot.placement, &snapshot.data_set.guard.constraints);
    if !constraints.wants_more(placement) {
        return None;
    }
    let free = || snapshot.nodes.values().filter(|node| snapshot.is_free(node));
    let demanded = free().find(|node| constraints.must.contains(&node.id));
    let wanted = || free().filter(|node| constraints.wants_at(placement, node.id));
    let best = |node: &&Node| ((node.availability.value() * 1e3) as i64, Reverse(node.id));
    let to = demanded.or_else(|| wanted().max_by_key(best))?.id;
    let lives = |agent| agent == me || snapshot.is_alive(agent, silence);
    if snapshot.keeper(to, lives) != Some(me) {
        return None;
    }
    let action = Action::Restore { from: snapshot.nearest(to)?.node, to };
    snapshot.forbids(me, action).is_none().then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::NodeId;
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
