use super::{LEASE, Table, rejected};
use crate::domain::event::{Outcome, Window};
use crate::domain::ids::{AgentId, ReplicaId};
use crate::domain::placement::ReplicaState;
use crate::knowledge::Committed;
use crate::knowledge::Unfinished;
use std::time::Duration;

pub async fn an_abort_gives_everything_back(table: Table) {
    let table = table.three_agents().await;
    let claim = table.claim(1, "C3_1").await;
    let left = table.knowledge.abort(claim.event, Outcome::Failed, "store away").await.unwrap().unwrap();
    assert_eq!((left.id, left.state, left.lease), (ReplicaId(2), ReplicaState::Removing, None));
    assert_eq!(left.object_key, "blood.json.replicas/key-0/blood.json");
    assert_eq!(table.replica(1).await.unwrap().lease, None);
    let event = table.event(claim.event).await;
    assert_eq!((event.outcome, event.window), (Outcome::Failed, Window::Open));
    assert_eq!(event.detail, r#"{"failure":"store away"}"#);

    // Again, as after a lost answer: the same row to remove, as long as it is there; the first outcome stays.
    let again = table.knowledge.abort(claim.event, Outcome::Aborted, "again").await.unwrap();
    assert_eq!(again, Some(left));
    assert_eq!(table.event(claim.event).await, event);
    table.knowledge.removed(ReplicaId(2)).await.unwrap();
    assert_eq!(table.knowledge.abort(claim.event, Outcome::Aborted, "").await.unwrap(), None);
    table.act(1, "C3_1").await;
}

pub async fn an_abort_without_a_transfer_leaves_nothing(table: Table) {
    let table = table.three_agents().await;
    table.act(2, "C3_2").await;
    for (agent, label) in [(1, "CR2"), (1, "E3")] {
        let before = table.snapshot().await.placement.clone();
        let claim = table.claim(agent, label).await;
        assert_eq!(table.knowledge.abort(claim.event, Outcome::Aborted, "").await.unwrap(), None);
        assert_eq!(table.snapshot().await.placement, before);
        assert_eq!(table.event(claim.event).await.outcome, Outcome::Aborted);
    }
}

pub async fn what_was_committed_cannot_be_aborted(table: Table) {
    let table = table.three_agents().await;
    let claim = table.claim(1, "M3_1").await;
    for outcome in [Outcome::Done, Outcome::Running] {
        let refused = table.knowledge.abort(claim.event, outcome, "").await;
        let reason = format!("an action ends as failed or aborted here, not as {}", outcome.name());
        assert_eq!(rejected(refused), reason);
    }
    table.commit(claim.event).await;
    let after = table.snapshot().await;
    assert_eq!(table.knowledge.abort(claim.event, Outcome::Aborted, "late").await.unwrap(), None);
    assert_eq!(table.snapshot().await, after);
    let nothing = table.plan(1, "NA").await;
    let nothing = table.knowledge.record_nothing(&nothing).await.unwrap();
    assert_eq!(table.knowledge.abort(nothing, Outcome::Aborted, "").await.unwrap(), None);
    assert_eq!(table.event(nothing).await.outcome, Outcome::Done);
}

pub async fn an_abort_of_a_lost_claim_touches_nobody_elses(table: Table) {
    let table = table.three_agents().await;
    let late = table.claim(1, "C3_1").await;
    table.advance(61);
    let faster = table.claim(2, "C3_2").await;
    let left = table.knowledge.abort(late.event, Outcome::Aborted, "").await.unwrap().unwrap();
    assert_eq!(Some(left.id), late.destination.map(|row| row.id));
    assert_eq!(table.replica(1).await, Some(faster.source));
    table.commit(faster.event).await;
}

pub async fn only_rows_that_are_removing_are_removed(table: Table) {
    let table = table.three_agents().await;
    table.claim(1, "M3_1").await;
    let before = table.snapshot().await;
    let refused = table.knowledge.removed(ReplicaId(1)).await;
    assert_eq!(rejected(refused), "replica 1 is present, not removing");
    let refused = table.knowledge.removed(ReplicaId(2)).await;
    assert_eq!(rejected(refused), "replica 2 is copying, not removing");
    assert_eq!(table.snapshot().await, before);
    table.knowledge.removed(ReplicaId(9)).await.unwrap();
    let leftover = table.commit(before.open_events[0].id).await.unwrap();
    table.knowledge.removed(leftover.id).await.unwrap();
    table.knowledge.removed(leftover.id).await.unwrap();
    assert_eq!(table.replica(leftover.id.0).await, None);
}

pub async fn its_own_claims_are_unfinished_at_once_and_others_after_their_lease(table: Table) {
    let table = table.three_agents().await;
    let own = async |agent| table.knowledge.unfinished(AgentId(agent), true).await.unwrap();
    let of = async |agent| table.knowledge.unfinished(AgentId(agent), false).await.unwrap();
    assert_eq!(of(1).await, Unfinished::default());
    let claim = table.claim(1, "M3_1").await;
    let found = Unfinished { claims: vec![claim.clone()], removing: vec![] };
    assert_eq!(own(1).await, found);
    assert_eq!(of(1).await, Unfinished::default());
    assert_eq!(own(2).await, Unfinished::default());
    table.advance(30);
    table.knowledge.renew(claim.event, LEASE).await.unwrap();
    table.advance(60);
    assert_eq!(of(2).await, Unfinished::default());
    table.advance(1);
    assert_eq!(of(2).await, found);
    // Somebody else's lease on the source does not hide it.
    table.knowledge.abort(table.claim(3, "C3_2").await.event, Outcome::Failed, "").await.unwrap();
    assert_eq!(of(2).await.claims, std::slice::from_ref(&claim));
    table.knowledge.abort(claim.event, Outcome::Aborted, "its agent is gone").await.unwrap();
    assert_eq!(of(2).await.claims, []);
    assert_eq!(of(1).await.claims, []);
}

pub async fn objects_are_removed_when_they_are_drained(table: Table) {
    let table = table.three_agents().await;
    let of = async |agent| table.knowledge.unfinished(AgentId(agent), true).await.unwrap().removing;
    let claim = table.claim(1, "M3_1").await;
    let drain = Duration::from_secs(20);
    let Committed::Done { leftover: Some(leftover) } =
        table.knowledge.commit(claim.event, &Default::default(), drain).await.unwrap()
    else {
        panic!("a move leaves its source behind");
    };
    table.advance(19);
    assert_eq!(of(1).await, []);
    table.advance(1);
    assert_eq!(of(1).await, std::slice::from_ref(&leftover));
    assert_eq!(of(2).await, std::slice::from_ref(&leftover));
    table.knowledge.removed(leftover.id).await.unwrap();
    assert_eq!(of(2).await, []);
    // What an abort leaves has no lease: anybody removes it.
    let claim = table.claim(2, "C1_2").await;
    let left = table.knowledge.abort(claim.event, Outcome::Failed, "").await.unwrap().unwrap();
    assert_eq!(of(3).await, [left]);
}
