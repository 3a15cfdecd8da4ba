use super::*;
use crate::domain::ids::EventId;
use crate::mape::scene::{self, NOW, replica};
use std::time::Duration;

const ME: AgentId = AgentId(1);
const OTHER: AgentId = AgentId(2);
const LATER: Timestamp = Timestamp(NOW.0 + 60_000);

/// Held by this agent.
fn held(replica: Replica, by: AgentId) -> Replica {
    Replica { lease: Some(Lease { holder: by, until: NOW }), ..replica }
}

fn in_state(replica: Replica, state: ReplicaState) -> Replica {
    Replica { state, ..replica }
}

fn placement(replicas: &[Replica], reads: &[(AgentId, i64)]) -> Placement {
    Placement {
        replicas: replicas.iter().map(|row| (row.id, row.clone())).collect(),
        references: reads.iter().map(|(agent, replica)| (*agent, ReplicaId(*replica))).collect(),
    }
}

fn claimed(action: &str, source: &Replica, destination: Option<&Replica>) -> Claim {
    let action = action.parse().unwrap();
    let (source, destination) = (source.clone(), destination.cloned());
    Claim { event: EventId(1), agent: ME, data_set: "blood".into(), action, source, destination }
}

fn planned(action: &str, reference: ReplicaId) -> Plan {
    Plan {
        key: "key".to_owned(),
        agent: ME,
        data_set: "blood".into(),
        reference,
        action: action.parse().unwrap(),
        explored: false,
        expected: BTreeMap::new(),
        generation: None,
        detail: String::new(),
    }
}

fn commit_of(placement: &Placement, claim: &Claim) -> Result<Vec<Change>, Refused> {
    commit_within(&Constraints::default(), placement, claim)
}

fn commit_within(constraints: &Constraints, placement: &Placement, claim: &Claim) -> Result<Vec<Change>, Refused> {
    let (homes, drained_at) = (BTreeMap::new(), NOW + Duration::from_secs(60));
    commit(placement, &scene::links(), &homes, constraints, claim, &Validators::default(), drained_at)
}

#[test]
fn what_is_stated_while_an_action_is_under_way_is_held_at_its_commit() {
    let (source, arriving) = (held(replica(1, 3), ME), in_state(held(replica(2, 1), ME), ReplicaState::Copying));
    let moved = claimed("M3_1", &source, Some(&arriving));
    let now = placement(&[source.clone(), arriving], &[(ME, 1)]);
    let must: Constraints = serde_json::from_str(r#"{"must":[3]}"#).unwrap();
    assert_eq!(commit_within(&must, &now, &moved), Err(Refused::Forbidden(Forbidden::Must(source.node))));
    // Two that drop one each of three, where two have to stay.
    let two: Constraints = serde_json::from_str(r#"{"min_replicas":2}"#).unwrap();
    let evicted = claimed("E3", &source, None);
    let now = placement(&[source, replica(4, 2)], &[]);
    assert_eq!(commit_within(&two, &now, &evicted), Err(Refused::Forbidden(Forbidden::TooFew(2))));
}

fn points(changes: &[Change]) -> Vec<(u32, i64)> {
    let of = |change: &Change| match change {
        Change::Point { agent, replica } => Some((agent.0, replica.0)),
        Change::Insert { .. }
        | Change::Lease { .. }
        | Change::Relocate { .. }
        | Change::See { .. }
        | Change::Outdate { .. }
        | Change::Become { .. }
        | Change::Seat { .. }
        | Change::Delete { .. } => None,
    };
    changes.iter().filter_map(of).collect()
}

#[test]
fn an_answer_that_comes_too_late_moves_nothing_that_its_own_agent_has_moved_since() {
    let (then, arriving) = (held(replica(1, 3), ME), in_state(held(replica(2, 1), ME), ReplicaState::Copying));
    let elsewhere = held(replica(1, 2), ME);
    let late = claimed("M3_1", &then, Some(&arriving));
    let now = placement(&[elsewhere, arriving], &[(ME, 1)]);
    assert_eq!(commit_of(&now, &late), Err(Refused::LeaseLost(ReplicaId(1))));
}

#[test]
fn whoever_reads_what_is_moved_is_told_that_its_reference_has_changed() {
    let (source, arriving) = (held(replica(1, 3), ME), in_state(held(replica(2, 1), ME), ReplicaState::Copying));
    let now = placement(&[source.clone(), arriving.clone()], &[(ME, 1), (OTHER, 1)]);
    let changes = commit_of(&now, &claimed("M3_1", &source, Some(&arriving))).unwrap();
    assert_eq!(points(&changes), [(1, 1), (2, 1)]);
}

#[test]
fn who_read_what_was_damaged_reads_what_replaces_it() {
    let damaged = in_state(replica(1, 3), ReplicaState::Damaged);
    let (intact, made) = (replica(2, 1), in_state(held(replica(3, 3), ME), ReplicaState::Copying));
    let now = placement(&[damaged, intact.clone(), made.clone()], &[(ME, 2), (OTHER, 1)]);
    let changes = commit_of(&now, &claimed("R1_3", &intact, Some(&made))).unwrap();
    assert_eq!(points(&changes), [(2, 3)]);
}

#[test]
fn what_drains_is_the_last_good_copy_only_where_none_is_coming_to_its_node() {
    let draining = in_state(replica(1, 3), ReplicaState::Removing);
    let look = |now: &Placement| {
        let intact = Condition::Intact(Validators::default());
        found(now, &scene::links(), &BTreeMap::new(), ReplicaId(1), 1, &intact)
    };
    assert!(!look(&placement(std::slice::from_ref(&draining), &[])).is_empty());
    let coming = in_state(replica(2, 3), ReplicaState::Copying);
    assert_eq!(look(&placement(&[draining, coming], &[])), []);
}

/// What becomes of these replicas when replica 1 is the newest version from now on.
fn accepted(replicas: &[Replica], references: &[(AgentId, i64)]) -> Placement {
    let mut now = placement(replicas, references);
    let known = scene::snapshot(&[3], &[]).data_set.clone();
    let changes = accept(&now, ReplicaId(1), 1, &Validators::default(), &known, NOW);
    apply(&mut now, &"blood".into(), &changes, || unreachable!("nothing is inserted"));
    now
}

#[test]
fn whole_replicas_of_the_former_version_are_read_until_they_are_refreshed() {
    let damaged = in_state(replica(3, 2), ReplicaState::Damaged);
    let now = accepted(&[replica(1, 3), replica(2, 1), damaged], &[(ME, 2), (OTHER, 3)]);
    let bytes = scene::snapshot(&[3], &[]).data_set.bytes;
    let outdated = &now.replicas[&ReplicaId(2)];
    assert_eq!(outdated.former.as_ref().map(|former| (former.bytes, former.since)), Some((bytes, NOW)));
    assert_eq!(outdated.validators.bytes, Some(bytes), "what is to be deleted has the former length");
    assert_eq!(now.replicas[&ReplicaId(3)].state, ReplicaState::Damaged);
    assert_eq!(now.references, [(ME, ReplicaId(2)), (OTHER, ReplicaId(1))].into());
    assert_eq!((now.nodes().len(), now.current().count()), (2, 1));
    // What it lacks first counts: it is as old as that.
    let later = accept(&now, ReplicaId(1), 2, &Validators::default(), &scene::snapshot(&[3], &[]).data_set, LATER);
    let since = later.iter().find_map(|change| match change {
        Change::Outdate { former, .. } => Some(former.since),
        _ => None,
    });
    assert_eq!(since, Some(NOW));
}

#[test]
fn the_only_replica_of_the_newest_version_is_the_last_one() {
    let now = accepted(&[replica(1, 3), replica(2, 1)], &[(ME, 2)]);
    let claim = |label: &str| {
        let subject = subject(&now, label.parse().unwrap()).unwrap();
        let plan = Plan { expected: [(subject.id, subject.generation)].into(), ..planned(label, ReplicaId(2)) };
        super::claim(&now, &plan, &scene::snapshot(&[3], &[]).data_set, None, NOW, LATER)
    };
    assert_eq!(claim("E3"), Err(Lost::LastReplica(ReplicaId(1))));
    assert!(claim("E1").is_ok());
    assert_eq!(claim("C1_2"), Err(Forbidden::Outdated(NodeId(1)).into()), "the former version spreads no further");
    assert!(claim("R3_1").is_ok());
    let refreshed = claimed("R3_1", &now.replicas[&ReplicaId(1)], None);
    let arrived = in_state(held(replica(3, 1), ME), ReplicaState::Copying);
    let mut now = now.clone();
    now.replicas.insert(arrived.id, arrived.clone());
    let changes = commit_of(&now, &Claim { destination: Some(arrived), ..refreshed }).unwrap();
    assert_eq!(points(&changes), [(1, 3)]);
}

#[test]
fn undoing_removes_only_what_has_not_arrived() {
    let source = replica(1, 3);
    let undo = |destination: ReplicaState| {
        let row = in_state(held(replica(2, 1), ME), destination);
        abort(&placement(&[source.clone(), row.clone()], &[]), &claimed("C3_1", &source, Some(&row)))
    };
    let removing = Change::Become { replica: ReplicaId(2), state: ReplicaState::Removing, lease: None };
    let expected = [removing];
    assert_eq!(undo(ReplicaState::Copying), expected);
    let overtaken = in_state(replica(2, 1), ReplicaState::Copying);
    let now = placement(&[source.clone(), overtaken.clone()], &[]);
    assert_eq!(abort(&now, &claimed("C3_1", &source, Some(&overtaken))), expected, "a newer version took its lease");
    assert_eq!(undo(ReplicaState::Present), []);
}

#[test]
fn of_replicas_that_are_as_near_the_lower_node_is_read() {
    // Nodes 4 and 5 have no link to the reader's home: whatever was made first.
    let dropped = held(replica(1, 3), ME);
    let now = placement(&[dropped.clone(), replica(2, 5), replica(3, 4)], &[(AgentId(9), 1)]);
    let changes = commit_of(&now, &claimed("E3", &dropped, None)).unwrap();
    assert_eq!(points(&changes), [(9, 3)]);
}

#[test]
fn who_lives_where_a_replica_is_reads_that_one() {
    let dropped = held(replica(1, 3), ME);
    // Node 2 is its own, so there is no link to it; node 1 is 1000 ms away.
    let now = placement(&[dropped.clone(), replica(2, 1), replica(3, 2)], &[(OTHER, 1)]);
    let changes = commit_of(&now, &claimed("E3", &dropped, None)).unwrap();
    assert_eq!(points(&changes), [(2, 3)]);
}
