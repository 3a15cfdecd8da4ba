//! What an agent can do at all: the candidates of every policy but `reference`, which has those of the published system.

use super::Parameters;
use crate::domain::action::Action;
use crate::domain::ids::NodeId;
use crate::domain::placement::Replica;
use crate::domain::snapshot::Snapshot;

/// Nothing; the moves and copies of the replica that is read, `reference`, to every free node; a change to each other replica;
/// the eviction of each that nobody reads; the moves of the agent's own work; without what is forbidden to it now. In a fixed order.
pub fn candidates(snapshot: &Snapshot, parameters: &Parameters, reference: &Replica) -> Vec<Action> {
    let from = reference.node;
    let free: Vec<NodeId> = snapshot.nodes.values().filter(|node| snapshot.is_free(node)).map(|node| node.id).collect();
    let moves = free.iter().map(|to| Action::Move { from, to: *to });
    let copies = free.iter().map(|to| Action::Copy { from, to: *to });
    let others = || snapshot.placement.present().filter(move |replica| replica.node != from);
    let changes = others().map(|replica| Action::ChangeReference { to: replica.node });
    let unread = others().filter(|replica| snapshot.placement.readers(replica.id).next().is_none());
    let evicts = unread.map(|replica| Action::Evict { node: replica.node });
    let mut candidates = Vec::with_capacity(1 + 2 * (free.len() + snapshot.placement.replicas.len()));
    candidates.push(Action::Nothing);
    candidates.extend(moves);
    candidates.extend(copies);
    candidates.extend(changes.chain(evicts));
    let agent = parameters.agent;
    candidates.extend(parameters.other_seats(snapshot).map(|seat| Action::MoveWork { agent, to: seat.node }));
    candidates.retain(|action| snapshot.forbids(agent, *action).is_none());
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AgentId;
    use crate::domain::placement::NodeState;
    use crate::mape::scene;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn check<const N: usize>(snapshot: &Snapshot, expected: [&str; N]) {
        let parameters = scene::parameters("response_time <= 35 s");
        let reference = snapshot.placement.reference(parameters.agent).unwrap();
        let found: BTreeSet<String> =
            candidates(snapshot, &parameters, reference).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected.map(str::to_owned).into());
    }

    #[test]
    fn nodes_that_hold_a_replica_or_have_no_room_or_no_store_or_leave_are_no_targets() {
        let mut snapshot = scene::snapshot(&[3, 2], &[(1, 1), (2, 2)]);
        check(&snapshot, ["NA", "M3_1", "C3_1", "CR2"]);
        Arc::make_mut(&mut snapshot.nodes).get_mut(&NodeId(1)).unwrap().capacity_bytes = Some(9);
        check(&snapshot, ["NA", "CR2"]);
        let node = Arc::make_mut(&mut snapshot.nodes).get_mut(&NodeId(1)).unwrap();
        (node.capacity_bytes, node.store_url) = (None, None);
        check(&snapshot, ["NA", "CR2"]);
        let node = Arc::make_mut(&mut snapshot.nodes).get_mut(&NodeId(1)).unwrap();
        (node.store_url, node.state) = (Some("http://node-1".to_owned()), NodeState::Leaving);
        check(&snapshot, ["NA", "CR2"]);
    }

    #[test]
    fn what_is_forbidden_is_no_candidate() {
        let mut snapshot = scene::snapshot(&[3, 2], &[(1, 1)]);
        let mut constrain = |written: &str| {
            snapshot.data_set.guard.constraints = serde_json::from_str(written).unwrap();
            snapshot.clone()
        };
        check(&constrain("{}"), ["NA", "M3_1", "C3_1", "CR2", "E2"]);
        check(&constrain(r#"{"must":[3],"max_replicas":2}"#), ["NA", "CR2", "E2"]);
        check(&constrain(r#"{"min_replicas":2}"#), ["NA", "M3_1", "C3_1", "CR2"]);
        check(&constrain(r#"{"must_not":{"labels":"region!=eu"}}"#), ["NA", "CR2", "E2"]);
        snapshot.data_set.guard.paused_until = Some(crate::domain::constraints::Guard::FOR_EVER);
        check(&snapshot, ["NA"]);
    }

    #[test]
    fn work_goes_where_its_user_lets_it_and_somebody_is_there() {
        let working = |may_run_on: &[u32]| scene::working(scene::snapshot(&[3], &[(1, 1)]), 1, may_run_on);
        let data = ["NA", "M3_1", "C3_1", "M3_2", "C3_2"];
        check(&working(&[]), data);
        check(&working(&[1, 2, 3]), ["NA", "M3_1", "C3_1", "M3_2", "C3_2", "T1_2", "T1_3"]);
        let mut gone = working(&[2, 3]);
        Arc::make_mut(&mut gone.nodes).get_mut(&NodeId(3)).unwrap().state = NodeState::Stopped;
        check(&gone, ["NA", "M3_1", "C3_1", "M3_2", "C3_2", "T1_2"]);
        Arc::make_mut(&mut gone.agents).get_mut(&AgentId(1)).unwrap().runs_at = Some(NodeId(2));
        check(&gone, ["NA", "M3_1", "C3_1", "M3_2", "C3_2", "T1_1"]);
    }

    #[test]
    fn only_what_nobody_reads_can_be_evicted() {
        check(&scene::snapshot(&[1, 2, 3], &[(1, 1), (2, 2)]), ["NA", "CR2", "CR3", "E3"]);
    }
}
