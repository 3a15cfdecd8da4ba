use super::{DRAIN, LEASE, Table, WINDOW, data_set, rejected};
use crate::domain::action::Action;
use crate::domain::event::{Outcome, Window};
use crate::domain::ids::{AgentId, EventId, NodeId, ReplicaId};
use crate::domain::placement::{Claim, Lease, Plan, Replica, ReplicaState};
use crate::domain::saga::{Lost, Refused};
use crate::domain::time::Timestamp;
use crate::knowledge::{Claimed, Committed};
use futures::future::join_all;
use std::collections::BTreeMap;

/// A replica of the data set as a test expects it.
fn row(id: i64, node: u32, object_key: &str, state: ReplicaState, generation: i64, lease: Option<Lease>) -> Replica {
    let (id, node, object_key) = (ReplicaId(id), NodeId(node), object_key.to_owned());
    Replica {
        id,
        data_set: data_set(),
        node,
        object_key,
        state,
        generation,
        lease,
        validators: Default::default(),
        remark: None,
        former: None,
    }
}

fn lease(holder: u32, until_ms: i64) -> Option<Lease> {
    Some(Lease { holder: AgentId(holder), until: Timestamp(until_ms) })
}

pub async fn a_claim_takes_the_lease_and_makes_the_destination(table: Table) {
    let table = table.three_agents().await;
    let plan = Plan { explored: true, detail: r#"{"chosen":"M3_1"}"#.to_owned(), ..table.plan(1, "M3_1").await };
    let claim = table.try_claim(&plan).await.unwrap();
    let held = lease(1, 1_060_000);
    let expected = Claim {
        event: claim.event,
        agent: AgentId(1),
        data_set: data_set(),
        action: Action::Move { from: NodeId(3), to: NodeId(1) },
        source: row(1, 3, "blood.json", ReplicaState::Present, 1, held),
        destination: Some(row(2, 1, "blood.json.replicas/key-0/blood.json", ReplicaState::Copying, 1, held)),
    };
    assert_eq!(claim, expected);
    assert_eq!(table.replica(1).await, Some(expected.source));
    assert_eq!(table.replica(2).await, expected.destination);

    let event = table.event(claim.event).await;
    assert_eq!((event.agent, event.replica, event.action), (AgentId(1), ReplicaId(1), plan.action));
    assert_eq!((event.posted_at, event.closes_at), (Timestamp(1_000_000), Timestamp(1_210_000)));
    assert_eq!((event.window, event.outcome, event.feedback_sum), (Window::Open, Outcome::Running, 0.0));
    assert_eq!((event.explored, event.detail.as_str()), (true, r#"{"chosen":"M3_1"}"#));
    assert_eq!(table.snapshot().await.open_events, [event.into()]);
}

pub async fn the_same_key_is_granted_the_same(table: Table) {
    let table = table.three_agents().await;
    let plan = table.plan(1, "M3_1").await;
    let first = table.try_claim(&plan).await.unwrap();
    table.advance(5);
    assert_eq!(table.try_claim(&plan).await.unwrap(), first);
    table.commit(first.event).await;
    assert_eq!(table.try_claim(&plan).await.unwrap(), first);
    assert_eq!(table.knowledge.events(EventId(0), 10).await.unwrap().len(), 1);
    assert_eq!(table.snapshot().await.placement.replicas.len(), 2);
}

pub async fn a_key_belongs_to_one_request(table: Table) {
    let table = table.three_agents().await;
    let plan = table.plan(1, "M3_1").await;
    table.try_claim(&plan).await.unwrap();
    let stolen = Plan { agent: AgentId(2), ..plan.clone() };
    let reason = "idempotency key `key-0` belongs to event 1 of agent 1 (`M3_1`) already";
    assert_eq!(rejected(table.knowledge.claim(&stolen, LEASE, WINDOW).await), reason);
    let nothing = Plan { action: Action::Nothing, ..plan };
    assert_eq!(rejected(table.knowledge.record_nothing(&nothing).await), reason);
}

pub async fn claims_are_lost_in_every_way(table: Table) {
    let table = table.three_agents().await;
    let good = table.plan(1, "M3_1").await;
    let check = async |plan: Plan, lost: Lost| assert_eq!(table.try_claim(&plan).await, Err(lost));
    let on = |expected: [(i64, i64); 1]| expected.map(|(id, generation)| (ReplicaId(id), generation)).into();
    check(Plan { expected: on([(9, 1)]), ..good.clone() }, Lost::Gone(ReplicaId(9))).await;
    check(Plan { expected: on([(1, 7)]), ..good.clone() }, Lost::Changed(ReplicaId(1))).await;
    check(Plan { reference: ReplicaId(9), ..good.clone() }, Lost::ReferenceChanged).await;
    check(Plan { agent: AgentId(9), ..good.clone() }, Lost::ReferenceChanged).await;
    check(Plan { action: Action::Nothing, ..good.clone() }, Lost::NothingToClaim(Action::Nothing)).await;
    let from_elsewhere = Action::Move { from: NodeId(2), to: NodeId(1) };
    check(Plan { action: from_elsewhere, ..good.clone() }, Lost::NothingToClaim(from_elsewhere)).await;
    let to_itself = Action::Copy { from: NodeId(3), to: NodeId(3) };
    check(table.plan(1, "C3_3").await, Lost::NothingToClaim(to_itself)).await;
    check(table.plan(1, "E3").await, Lost::LastReplica(ReplicaId(1))).await;
    assert_eq!(table.knowledge.events(EventId(0), 10).await.unwrap(), []);
    assert_eq!(table.replica(1).await.unwrap().lease, None);

    let copy = table.claim(2, "C3_2").await;
    table.commit(copy.event).await;
    check(good, Lost::Changed(ReplicaId(1))).await;
    table.claim(2, "C2_1").await;
    check(table.plan(1, "C3_1").await, Lost::Occupied(NodeId(1))).await;
    let change = table.claim(3, "CR2").await;
    check(table.plan(1, "CR2").await, Lost::Held { replica: ReplicaId(2), holder: change.agent }).await;
}

pub async fn what_a_node_holds_already_is_joined_and_not_sent_again(table: Table) {
    let table = table.three_agents().await;
    table.act(2, "C3_2").await;
    let copy = table.claim(1, "C3_2").await;
    assert_eq!(copy.destination, None);
    assert_eq!(table.commit(copy.event).await, None);
    assert_eq!(table.snapshot().await.placement.references[&AgentId(1)], ReplicaId(2));
    let joined = table.claim(3, "M3_2").await;
    assert_eq!(joined.destination, None);
    assert_eq!(table.commit(joined.event).await.map(|row| row.id), Some(ReplicaId(1)));
    let placement = table.snapshot().await.placement.clone();
    assert_eq!(placement.references[&AgentId(3)], ReplicaId(2));
    assert_eq!(placement.nodes(), [NodeId(2)].into());
}

pub async fn claims_that_make_no_sense_are_rejected(table: Table) {
    let table = table.three_agents().await;
    let elsewhere = Plan { data_set: "urine".into(), ..table.plan(1, "M3_1").await };
    let unknown = table.knowledge.claim(&elsewhere, LEASE, WINDOW).await;
    assert_eq!(rejected(unknown), "data set `urine` is not in the catalogue");
    let nowhere = table.plan(1, "M3_9").await;
    assert_eq!(rejected(table.knowledge.claim(&nowhere, LEASE, WINDOW).await), "node 9 is not registered");
    assert_eq!(rejected(table.knowledge.commit(EventId(9), &Default::default(), DRAIN).await), "there is no event 9");
    assert_eq!(rejected(table.knowledge.renew(EventId(9), LEASE).await), "there is no event 9");
    assert_eq!(rejected(table.knowledge.abort(EventId(9), Outcome::Failed, "").await), "there is no event 9");
}

pub async fn a_lease_holds_until_its_last_millisecond(table: Table) {
    let table = table.three_agents().await;
    table.claim(1, "M3_1").await;
    let other = table.plan(2, "M3_2").await;
    table.clock.set(Timestamp(1_060_000));
    assert_eq!(table.try_claim(&other).await, Err(Lost::Held { replica: ReplicaId(1), holder: AgentId(1) }));
    table.clock.set(Timestamp(1_060_001));
    let claim = table.try_claim(&other).await.unwrap();
    assert_eq!(claim.source.lease, lease(2, 1_120_001));
}

pub async fn of_many_claims_at_once_one_is_granted(table: Table) {
    const AT_ONCE: u32 = 24;
    let table = table.three_agents().await;
    let mut plans = Vec::new();
    for n in 0..AT_ONCE {
        plans.push(table.plan(1 + n % 3, if n % 2 == 0 { "M3_1" } else { "M3_2" }).await);
    }
    let mut granted = Vec::new();
    for claim in join_all(plans.iter().map(|plan| table.try_claim(plan))).await {
        match claim {
            Ok(claim) => granted.push(claim),
            Err(lost) => assert!(matches!(lost, Lost::Held { replica: ReplicaId(1), .. }), "{lost}"),
        }
    }
    assert_eq!(granted.len(), 1);
    assert_eq!(table.knowledge.events(EventId(0), 100).await.unwrap().len(), 1);
    assert_eq!(table.snapshot().await.placement.replicas.len(), 2);
}

pub async fn copies_share_their_source_with_each_other_and_a_move(table: Table) {
    let table = table.three_agents().await;
    let first = table.claim(1, "C3_1").await;
    assert_eq!(table.replica(1).await.unwrap().lease, None);
    let moved = table.claim(2, "M3_2").await;
    assert!(table.knowledge.renew(first.event, LEASE).await.unwrap());
    table.commit(first.event).await;
    assert_eq!(table.replica(1).await.unwrap().lease, lease(2, 1_060_000), "the move goes on");
    table.commit(moved.event).await;
    assert_eq!(table.snapshot().await.placement.nodes(), [NodeId(1), NodeId(2)].into());
    assert_eq!(table.reads(3).await, Some(NodeId(2)));
    // Its source may go while the bytes are on their way: what arrived was verified.
    let late = table.claim(3, "C2_3").await;
    let evicted = table.claim(2, "E2").await;
    table.commit(evicted.event).await;
    table.commit(late.event).await;
    assert_eq!(table.reads(3).await, Some(NodeId(3)));
}

pub async fn a_lease_can_be_renewed_until_it_is_taken(table: Table) {
    let table = table.three_agents().await;
    let claim = table.claim(1, "M3_1").await;
    table.advance(50);
    assert!(table.knowledge.renew(claim.event, LEASE).await.unwrap());
    for id in [1, 2] {
        assert_eq!(table.replica(id).await.unwrap().lease, lease(1, 1_110_000));
    }
    // It ran out and nobody took it: as good as held.
    table.advance(100);
    assert!(table.knowledge.renew(claim.event, LEASE).await.unwrap());
    assert_eq!(table.replica(1).await.unwrap().lease, lease(1, 1_210_000));
    table.advance(61);
    table.claim(2, "M3_2").await;
    assert!(!table.knowledge.renew(claim.event, LEASE).await.unwrap());
    assert_eq!(table.replica(2).await.unwrap().lease, lease(1, 1_210_000));

    let done = table.plan(3, "NA").await;
    let done = table.knowledge.record_nothing(&done).await.unwrap();
    assert!(!table.knowledge.renew(done, LEASE).await.unwrap());
}

pub async fn a_move_takes_its_readers_along(table: Table) {
    let table = table.three_agents().await;
    let claim = table.claim(1, "M3_1").await;
    let leftover = table.commit(claim.event).await.unwrap();
    assert_eq!(leftover, row(3, 3, "blood.json", ReplicaState::Removing, 1, lease(1, 1_000_000)));
    let placement = table.snapshot().await.placement.clone();
    let moved = row(1, 1, "blood.json.replicas/key-0/blood.json", ReplicaState::Present, 2, None);
    assert_eq!(placement.replicas, BTreeMap::from([(ReplicaId(1), moved), (ReplicaId(3), leftover)]));
    assert_eq!(placement.readers(ReplicaId(1)).map(|agent| agent.0).collect::<Vec<_>>(), [1, 2, 3]);
    let event = table.event(claim.event).await;
    assert_eq!((event.outcome, event.window), (Outcome::Done, Window::Open));
    table.knowledge.removed(ReplicaId(3)).await.unwrap();
    assert_eq!(table.snapshot().await.placement.replicas.len(), 1);
}

pub async fn a_copy_is_read_by_its_maker_alone(table: Table) {
    let table = table.three_agents().await;
    let claim = table.claim(2, "C3_2").await;
    assert_eq!(table.commit(claim.event).await, None);
    let placement = table.snapshot().await.placement.clone();
    let original = row(1, 3, "blood.json", ReplicaState::Present, 2, None);
    let copy = row(2, 2, "blood.json.replicas/key-0/blood.json", ReplicaState::Present, 2, None);
    assert_eq!(placement.replicas, BTreeMap::from([(ReplicaId(1), original), (ReplicaId(2), copy)]));
    assert_eq!(placement.readers(ReplicaId(2)).collect::<Vec<_>>(), [AgentId(2)]);
}

pub async fn a_change_of_reference_concerns_its_agent_alone(table: Table) {
    let table = table.three_agents().await;
    table.act(2, "C3_2").await;
    let claim = table.claim(3, "CR2").await;
    assert_eq!((claim.source.id, claim.destination), (ReplicaId(2), None));
    assert_eq!(table.replica(2).await.unwrap().lease, lease(3, 1_060_000));
    assert_eq!(table.event(claim.event).await.replica, ReplicaId(1));
    assert_eq!(table.commit(claim.event).await, None);
    let placement = table.snapshot().await.placement.clone();
    assert_eq!(placement.readers(ReplicaId(1)).collect::<Vec<_>>(), [AgentId(1)]);
    assert_eq!(placement.readers(ReplicaId(2)).collect::<Vec<_>>(), [AgentId(2), AgentId(3)]);
    assert_eq!(placement.replicas[&ReplicaId(2)].lease, None);
}

pub async fn an_eviction_gives_its_readers_the_nearest_replica(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_1").await;
    table.act(2, "C3_2").await;
    let claim = table.claim(3, "E3").await;
    let leftover = table.commit(claim.event).await.unwrap();
    assert_eq!((leftover.id, leftover.node, leftover.state), (ReplicaId(1), NodeId(3), ReplicaState::Removing));
    // Node 2 is 1200 ms from agent 3, node 1 is 1500 ms.
    assert_eq!(table.reads(3).await, Some(NodeId(2)));
    assert_eq!(table.reads(1).await, Some(NodeId(1)));
    table.knowledge.removed(leftover.id).await.unwrap();
    assert_eq!(table.replica(1).await, None);
}

pub async fn the_last_replica_is_never_evicted(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_1").await;
    let (first, second) = (table.claim(1, "E1").await, table.claim(3, "E3").await);
    table.commit(first.event).await;
    let refused = table.knowledge.commit(second.event, &Default::default(), DRAIN).await.unwrap();
    assert_eq!(refused, Committed::Refused(Refused::LastReplica(ReplicaId(1))));
    assert_eq!(table.event(second.event).await.outcome, Outcome::Running);
    assert_eq!(table.knowledge.abort(second.event, Outcome::Failed, "last").await.unwrap(), None);
    let last = table.replica(1).await.unwrap();
    assert_eq!((last.state, last.lease), (ReplicaState::Present, None));
    assert_eq!(table.reads(1).await, Some(NodeId(3)));
}

pub async fn a_commit_can_be_repeated(table: Table) {
    let table = table.three_agents().await;
    for (agent, label) in [(1, "M3_1"), (2, "C1_2"), (3, "CR2"), (1, "E1")] {
        let event = table.claim(agent, label).await.event;
        let first = table.knowledge.commit(event, &Default::default(), DRAIN).await.unwrap();
        let after = table.snapshot().await;
        assert_eq!(table.knowledge.commit(event, &Default::default(), DRAIN).await.unwrap(), first);
        assert_eq!(table.snapshot().await, after);
        if let Committed::Done { leftover: Some(leftover) } = &first {
            table.knowledge.removed(leftover.id).await.unwrap();
            assert_eq!(table.knowledge.commit(event, &Default::default(), DRAIN).await.unwrap(), first);
        }
    }
}

pub async fn a_commit_needs_its_leases(table: Table) {
    let table = table.three_agents().await;
    let late = table.claim(1, "M3_1").await;
    table.advance(61);
    let faster = table.claim(2, "M3_2").await;
    let lost = Committed::Refused(Refused::LeaseLost(ReplicaId(1)));
    assert_eq!(table.knowledge.commit(late.event, &Default::default(), DRAIN).await.unwrap(), lost);
    table.commit(faster.event).await;
    assert_eq!(table.knowledge.commit(late.event, &Default::default(), DRAIN).await.unwrap(), lost);
    assert_eq!(table.reads(1).await, Some(NodeId(2)));

    let given_up = table.claim(3, "CR2").await;
    table.knowledge.abort(given_up.event, Outcome::Aborted, "given up").await.unwrap();
    let lost = Committed::Refused(Refused::LeaseLost(given_up.source.id));
    assert_eq!(table.knowledge.commit(given_up.event, &Default::default(), DRAIN).await.unwrap(), lost);
    // Late, but nobody was faster.
    let late = table.claim(3, "CR2").await;
    table.advance(61);
    table.commit(late.event).await;
    assert_eq!(table.reads(3).await, Some(NodeId(2)));
}

pub async fn nothing_is_recorded_as_an_event(table: Table) {
    let table = table.three_agents().await;
    let plan = table.plan(1, "NA").await;
    let id = table.knowledge.record_nothing(&plan).await.unwrap();
    table.advance(5);
    assert_eq!(table.knowledge.record_nothing(&plan).await.unwrap(), id);
    let event = table.event(id).await;
    assert_eq!((event.action, event.replica, event.agent), (Action::Nothing, ReplicaId(1), AgentId(1)));
    assert_eq!((event.window, event.outcome), (Window::Closed, Outcome::Done));
    assert_eq!((event.posted_at, event.closes_at), (Timestamp(1_000_000), Timestamp(1_000_000)));
    assert_eq!(table.snapshot().await.open_events, []);
    assert_eq!(
        table.knowledge.commit(id, &Default::default(), DRAIN).await.unwrap(),
        Committed::Done { leftover: None }
    );
    let lost = Claimed::Lost(Lost::NothingToClaim(Action::Nothing));
    assert_eq!(table.knowledge.claim(&plan, LEASE, WINDOW).await.unwrap(), lost);
    let something = table.plan(1, "M3_1").await;
    let refused = table.knowledge.record_nothing(&something).await;
    assert_eq!(rejected(refused), "`M3_1` is not the decision to do nothing");
    let elsewhere = Plan { data_set: "urine".into(), ..table.plan(1, "NA").await };
    let refused = table.knowledge.record_nothing(&elsewhere).await;
    assert_eq!(rejected(refused), "data set `urine` is not in the catalogue");
}

pub async fn copies_made_counts_what_was_not_given_up(table: Table) {
    let table = table.three_agents().await;
    let copies = async || table.snapshot().await.copies_made.clone();
    let running = table.claim(1, "C3_1").await;
    assert_eq!(copies().await, BTreeMap::from([(ReplicaId(1), 1)]));
    table.knowledge.abort(running.event, Outcome::Aborted, "").await.unwrap();
    assert_eq!(copies().await, BTreeMap::new());
    table.act(2, "C3_2").await;
    table.knowledge.removed(ReplicaId(2)).await.unwrap();
    table.act(1, "C3_1").await;
    assert_eq!(copies().await, BTreeMap::from([(ReplicaId(1), 2)]));
    // Ever made: evicting one takes nothing back.
    table.act(2, "E2").await;
    assert_eq!(copies().await, BTreeMap::from([(ReplicaId(1), 2)]));
}
