//! Replicas whose objects are not what the catalogue says, what becomes of them, and what is known of stores.

use super::{Table, blood, data_set, rejected};
use crate::domain::constraints::Forbidden;
use crate::domain::ids::{AgentId, NodeId, ReplicaId};
use crate::domain::placement::{Condition, DataSet, Plan, Replica, ReplicaState, StoreTraits};
use crate::domain::saga::Lost;
use crate::domain::validators::Validators;
use crate::domain::versions::{Former, Versions};
use crate::knowledge::{Claimed, Committed};
use std::time::Duration;

fn validators(etag: &str) -> Validators {
    Validators { bytes: Some(100), etag: Some(etag.to_owned()), modified_ms: Some(1_700_000_000_123) }
}

fn damaged() -> Condition {
    Condition::Damaged("it has 7 bytes, expected 100".to_owned())
}

async fn row(table: &Table, id: i64) -> Replica {
    table.replica(id).await.unwrap_or_else(|| panic!("there is no replica {id}"))
}

/// What a look at a replica, as it is now, showed.
async fn found(table: &Table, id: i64, condition: &Condition) -> bool {
    let generation = row(table, id).await.generation;
    table.knowledge.found(ReplicaId(id), generation, condition).await.unwrap()
}

/// Claims and commits, with these validators at the destination; the row that is left behind.
async fn act(table: &Table, plan: &Plan, arrived: &Validators) -> Option<Replica> {
    let claim = table.try_claim(plan).await.unwrap();
    match table.knowledge.commit(claim.event, arrived, Duration::ZERO).await.unwrap() {
        Committed::Done { leftover } => leftover,
        Committed::Refused(refused) => panic!("{refused}"),
    }
}

pub async fn what_arrived_is_known_by_its_validators(table: Table) {
    let table = table.three_agents().await;
    assert!(found(&table, 1, &Condition::Intact(validators("first"))).await);
    assert!(!found(&table, 1, &Condition::Intact(validators("first"))).await, "that is known");
    act(&table, &table.plan(1, "C3_1").await, &validators("copied")).await;
    assert_eq!(row(&table, 2).await.validators, validators("copied"));
    let left = act(&table, &table.plan(2, "M3_2").await, &validators("moved")).await.unwrap();
    assert_eq!(row(&table, 1).await.validators, validators("moved"));
    assert_eq!(
        row(&table, left.id.0).await.validators,
        validators("first"),
        "what is to be deleted is this and no other"
    );
}

pub async fn what_is_not_what_it_was_is_read_no_more(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_1").await;
    let changed = Condition::Changed("its ETag is b, no longer a".to_owned());
    assert!(found(&table, 1, &changed).await);
    let seen = row(&table, 1).await;
    assert_eq!((seen.state, seen.remark.as_deref()), (ReplicaState::Changed, Some("its ETag is b, no longer a")));
    for agent in 1..=3 {
        assert_eq!(table.reads(agent).await, Some(NodeId(1)), "agent {agent} reads what is intact");
    }
    assert!(!found(&table, 1, &changed).await, "it is told once");
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.placement.nodes(), [NodeId(1)].into());
    assert!(!snapshot.is_free(&snapshot.nodes[&NodeId(3)]), "nothing is brought beside it");
    let lost = table.try_claim(&Plan { expected: [].into(), ..table.plan(1, "C1_3").await }).await.unwrap_err();
    assert_eq!(lost, Lost::Occupied(NodeId(3)));
}

pub async fn without_an_intact_one_readers_stay(table: Table) {
    let table = table.three_agents().await;
    assert!(found(&table, 1, &damaged()).await);
    assert_eq!(table.snapshot().await.placement.references[&AgentId(2)], ReplicaId(1));
    assert!(found(&table, 1, &Condition::Intact(validators("again"))).await, "somebody has put it back");
    let seen = row(&table, 1).await;
    assert_eq!((seen.state, seen.remark, seen.validators), (ReplicaState::Present, None, validators("again")));
}

pub async fn an_old_look_says_nothing(table: Table) {
    let table = table.three_agents().await;
    let before = row(&table, 1).await;
    table.act(1, "M3_1").await;
    assert!(!table.knowledge.found(before.id, before.generation, &damaged()).await.unwrap());
    assert!(!table.knowledge.found(ReplicaId(99), 1, &damaged()).await.unwrap());
    assert_eq!(row(&table, 1).await.state, ReplicaState::Present);
}

pub async fn what_drains_is_taken_back_when_nothing_else_is_intact(table: Table) {
    let table = table.three_agents().await;
    let left = act(&table, &table.plan(1, "M3_1").await, &validators("moved")).await.unwrap();
    assert!(!found(&table, left.id.0, &Condition::Intact(validators("first"))).await, "it is not needed");
    assert!(found(&table, 1, &damaged()).await);
    assert!(found(&table, left.id.0, &Condition::Intact(validators("first"))).await);
    assert_eq!(row(&table, left.id.0).await.state, ReplicaState::Present);
    assert_eq!(table.reads(2).await, Some(NodeId(3)));
}

pub async fn a_damaged_replica_is_made_anew(table: Table) {
    let table = table.three_agents().await;
    act(&table, &table.plan(1, "C3_1").await, &validators("copied")).await;
    let nothing = table.try_claim(&table.plan(1, "R3_1").await).await.unwrap_err();
    assert_eq!(nothing, Lost::NothingToMend(NodeId(1)));
    assert!(found(&table, 2, &damaged()).await);
    assert_eq!(table.reads(1).await, Some(NodeId(3)));
    let left = act(&table, &table.plan(1, "R3_1").await, &validators("anew")).await.unwrap();
    assert_eq!((left.id, left.state), (ReplicaId(2), ReplicaState::Removing));
    let placement = table.snapshot().await.placement.clone();
    assert_eq!(placement.nodes(), [NodeId(1), NodeId(3)].into());
    assert_eq!(placement.on(NodeId(1)).unwrap().validators, validators("anew"));
    assert_eq!(table.reads(1).await, Some(NodeId(3)), "a place is its policy's to choose");
    let again = table.try_claim(&table.plan(1, "R3_1").await).await.unwrap_err();
    assert_eq!(again, Lost::NothingToMend(NodeId(1)));
}

pub async fn a_person_accepts_what_was_changed(table: Table) {
    let table = table.three_agents().await;
    act(&table, &table.plan(1, "C3_1").await, &validators("copied")).await;
    let new = DataSet { bytes: 200, records: 0, sha256: "ab".repeat(32), ..blood() };
    let accept = async |generation| {
        table.knowledge.accept(&new, 120, ReplicaId(1), generation, &validators("new")).await.unwrap()
    };
    assert!(found(&table, 1, &Condition::Changed("it has 200 bytes".to_owned())).await);
    let before = row(&table, 1).await.generation;
    assert!(!accept(before - 1).await, "it was changed again since");
    // Under way with the former content.
    let claim = table.try_claim(&table.plan(2, "C1_2").await).await.unwrap();
    table.advance(60);
    assert!(accept(before).await);
    let snapshot = table.snapshot().await;
    assert_eq!((snapshot.data_set.bytes, snapshot.data_set.sha256.as_str()), (200, new.sha256.as_str()));
    let Versions { version, registered_at, written_at, written_bytes } = snapshot.data_set.versions;
    assert_eq!((version, written_at, written_bytes), (2, Some(snapshot.at), 120));
    assert!(registered_at < written_at, "{registered_at:?}");
    let former = Former {
        version: 1,
        bytes: 100,
        records: blood().records,
        sha256: blood().sha256,
        written_bytes: 0,
        since: snapshot.at,
    };
    let outdated = row(&table, 2).await;
    assert_eq!((outdated.state, outdated.former), (ReplicaState::Present, Some(former)));
    assert_eq!(outdated.validators.bytes, Some(100), "what is to be deleted has the former length");
    assert_eq!(table.reads(1).await, Some(NodeId(1)), "it is read until it is refreshed");
    let committed = table.knowledge.commit(claim.event, &validators("former"), Duration::ZERO).await.unwrap();
    assert!(matches!(committed, Committed::Refused(_)), "{committed:?}");
    let unknown = DataSet { name: "other".into(), ..new.clone() };
    let error = rejected(table.knowledge.accept(&unknown, 0, ReplicaId(1), 1, &validators("new")).await);
    assert!(error.ends_with("data set `other` is not in the catalogue"), "{error}");
}

/// What the owner writes is no damage: whoever reads there goes on reading there, and so do the readers of the others.
pub async fn what_the_owner_has_written_reaches_every_replica(table: Table) {
    let table = table.three_agents().await;
    act(&table, &table.plan(1, "C3_1").await, &validators("copied")).await;
    let new = DataSet { bytes: 200, sha256: "ab".repeat(32), ..blood() };
    let origin = row(&table, 1).await;
    assert!(table.knowledge.accept(&new, 120, origin.id, origin.generation, &validators("new")).await.unwrap());
    assert_eq!((table.reads(1).await, table.reads(2).await), (Some(NodeId(1)), Some(NodeId(3))));
    let lost = async |agent, label| table.try_claim(&table.plan(agent, label).await).await.unwrap_err();
    assert_eq!(lost(2, "E3").await, Lost::LastReplica(origin.id), "no other holds the newest version");
    assert_eq!(lost(1, "C1_2").await, Lost::Forbidden(Forbidden::Outdated(NodeId(1))));
    // What was damaged is of no version.
    assert!(found(&table, 2, &damaged()).await);
    assert_eq!((row(&table, 2).await.former, table.reads(1).await), (None, Some(NodeId(3))));
    act(&table, &table.plan(1, "R3_1").await, &validators("mended")).await;
    act(&table, &table.plan(1, "CR1").await, &Validators::default()).await;
    let again = DataSet { sha256: "cd".repeat(32), ..new };
    let origin = row(&table, 1).await;
    assert!(table.knowledge.accept(&again, 1, origin.id, origin.generation, &validators("newer")).await.unwrap());
    let changed_at = table.snapshot().await.changed_at;
    table.advance(60);
    let left = act(&table, &table.plan(1, "R3_1").await, &validators("refreshed")).await.unwrap();
    assert_eq!((left.state, left.former), (ReplicaState::Removing, None));
    let snapshot = table.snapshot().await;
    let refreshed = snapshot.placement.reference(AgentId(1)).unwrap();
    assert_eq!((refreshed.node, refreshed.former.as_ref()), (NodeId(1), None));
    assert_eq!(snapshot.changed_at, changed_at, "everybody reads where it read before");
    assert_eq!(lost(1, "R3_1").await, Lost::NothingToMend(NodeId(1)));
}

pub async fn a_store_that_cannot_delete_is_no_destination(table: Table) {
    let table = table.three_agents().await;
    let traits = StoreTraits { deletes: Some(false), remarks: Some("versioned".to_owned()) };
    table.knowledge.describe_store(NodeId(1), &traits).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(1)].store, traits);
    assert!(!snapshot.is_free(&snapshot.nodes[&NodeId(1)]));
    for label in ["M3_1", "C3_1"] {
        let lost = table.try_claim(&table.plan(1, label).await).await.unwrap_err();
        assert_eq!(lost, Lost::CannotDelete(NodeId(1)), "{label}");
    }
    let error = rejected(table.knowledge.describe_store(NodeId(9), &traits).await);
    assert!(error.ends_with("node 9 is not registered"), "{error}");
    table.knowledge.describe_store(NodeId(1), &StoreTraits::default()).await.unwrap();
    let claimed = table.knowledge.claim(&table.plan(1, "M3_1").await, super::LEASE, super::WINDOW).await.unwrap();
    assert!(matches!(claimed, Claimed::Granted(_)), "{claimed:?}");
}

pub async fn uploads_are_remembered_until_they_are_forgotten(table: Table) {
    let table = table.three_agents().await;
    let noted = async |node| -> Vec<(String, String, u32)> {
        let uploads = table.knowledge.uploads(NodeId(node)).await.unwrap();
        uploads.into_iter().map(|upload| (upload.object_key, upload.upload_id, upload.agent.0)).collect()
    };
    let upload = |key: &str, id: &str, agent| (key.to_owned(), id.to_owned(), agent);
    table.knowledge.note_upload(NodeId(1), "a", "first", AgentId(1)).await.unwrap();
    table.advance(1);
    table.knowledge.note_upload(NodeId(1), "a", "second", AgentId(2)).await.unwrap();
    table.knowledge.note_upload(NodeId(1), "a", "first", AgentId(1)).await.unwrap();
    table.knowledge.note_upload(NodeId(2), "a", "other", AgentId(2)).await.unwrap();
    assert_eq!(noted(1).await, [upload("a", "first", 1), upload("a", "second", 2)]);
    table.knowledge.forget_upload(NodeId(1), "a", "first").await.unwrap();
    table.knowledge.forget_upload(NodeId(1), "a", "first").await.unwrap();
    assert_eq!(noted(1).await, [upload("a", "second", 2)]);
    assert_eq!(noted(3).await, []);
    assert_eq!(table.snapshot().await.data_set.name, data_set());
}
