//! Several data sets side by side: what is about one is no concern of another's readers, and room is shared by all.

use super::{DRAIN, LEASE, RULE, SILENCE, Table, WINDOW, blood, data_set, identity, node, registration, rejected};
use crate::domain::ask::Question;
use crate::domain::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use crate::domain::placement::{DataSet, Plan};
use crate::domain::saga::Lost;
use crate::knowledge::{Claimed, Registered, Snapshot};
use std::collections::BTreeMap;
use std::time::Duration;

fn images() -> DataSetName {
    "images".into()
}

/// The images, with a replica (id 2) on node 2 that agents 4 and 5, of nodes 1 and 2, read.
async fn two_data_sets(table: Table) -> Table {
    let table = table.three_agents().await;
    let images = DataSet { name: images(), object_key: "images.json".to_owned(), bytes: 60, ..blood() };
    assert!(table.knowledge.register_data_set(&images, NodeId(2), "images.json", &Default::default()).await.unwrap());
    for (agent, home) in [(4, 1), (5, 2)] {
        table.reads_images(agent, home).await;
    }
    table
}

impl Table {
    async fn reads_images(&self, agent: u32, home: u32) {
        let registration = super::Registration { node: NodeId(home), ..registration(agent) };
        let registered = self.knowledge.register_agent(&registration, &[images()], &identity()).await.unwrap();
        assert_eq!(registered, Registered::Done);
    }

    async fn images(&self) -> Snapshot {
        self.knowledge.snapshot(&images()).await.unwrap().unwrap()
    }

    async fn plan_for_images(&self, agent: u32, label: &str) -> Plan {
        let placement = self.images().await.placement.clone();
        let action = label.parse().unwrap();
        let subject = crate::domain::saga::subject(&placement, action);
        let expected = subject.map(|replica| (replica.id, replica.generation)).into_iter().collect();
        let reference = placement.references[&AgentId(agent)];
        let key = format!("images-{agent}-{label}-{}", self.now());
        Plan { key, data_set: images(), reference, action, expected, ..self.plan(1, "NA").await }
    }

    async fn try_claim_images(&self, agent: u32, label: &str) -> Result<super::Claim, Lost> {
        let plan = Plan { agent: AgentId(agent), ..self.plan_for_images(agent, label).await };
        self.try_claim(&plan).await
    }
}

fn readers(snapshot: &Snapshot) -> Vec<u32> {
    snapshot.agents.keys().map(|agent| agent.0).collect()
}

pub async fn applications_that_read_something_else_are_no_peers(table: Table) {
    let table = two_data_sets(table).await;
    assert_eq!(readers(&table.snapshot().await), [1, 2, 3]);
    assert_eq!(readers(&table.images().await), [4, 5]);
    assert_eq!(table.images().await.placement.reference(AgentId(4)).map(|row| row.id), Some(ReplicaId(2)));
}

pub async fn an_agent_that_reads_something_else_from_now_on_reads_that_alone(table: Table) {
    let table = two_data_sets(table).await;
    let before = table.snapshot().await.generation;
    table.reads_images(3, 3).await;
    assert_eq!((readers(&table.snapshot().await), readers(&table.images().await)), (vec![1, 2], vec![3, 4, 5]));
    assert_eq!(table.snapshot().await.placement.reference(AgentId(3)), None);
    assert!(table.snapshot().await.generation > before, "its planned placement has a reader less");
    // The same again changes nothing.
    let (blood, images) = (table.snapshot().await, table.images().await);
    table.reads_images(3, 3).await;
    assert_eq!(
        (table.snapshot().await.generation, table.images().await.generation),
        (blood.generation, images.generation)
    );
}

pub async fn answers_are_about_one_data_set(table: Table) {
    let table = two_data_sets(table).await;
    let claim = table.claim(1, "M3_1").await;
    let of_images = table.try_claim_images(4, "M2_3").await.unwrap();
    for event in [claim.event, of_images.event] {
        table.commit(event).await;
    }
    for agent in [2, 3] {
        table.knowledge.leave_feedback(AgentId(agent), &[claim.event], WINDOW).await.unwrap();
    }
    table.advance(300);
    for agent in [1, 4] {
        table.knowledge.close_due(AgentId(agent), RULE).await.unwrap();
    }
    assert_eq!(table.counters().await, BTreeMap::from([("M3_1".to_owned(), 1)]));
    assert_eq!(table.knowledge.counters(&images()).await.unwrap(), BTreeMap::new());
    let (blood, images) = (table.snapshot().await, table.images().await);
    assert_eq!((blood.counter(claim.action), images.counter(claim.action)), (1, 0));
}

pub async fn who_reads_something_else_is_no_part_of_the_mean(table: Table) {
    let table = two_data_sets(table).await;
    // One of the one other reader, not of four others: the whole blame counts.
    let claim = table.try_claim_images(4, "M2_1").await.unwrap();
    table.commit(claim.event).await;
    table.knowledge.leave_feedback(AgentId(5), &[claim.event], WINDOW).await.unwrap();
    table.advance(300);
    let closed = table.knowledge.close_due(AgentId(4), RULE).await.unwrap();
    assert_eq!(closed.iter().map(|one| (one.counter_before, one.counter_after)).collect::<Vec<_>>(), [(0, 1)]);
}

pub async fn an_agent_may_read_several(table: Table) {
    let table = two_data_sets(table).await;
    let both = [data_set(), images()];
    for _ in 0..2 {
        table.knowledge.register_agent(&registration(3), &both, &identity()).await.unwrap();
        assert_eq!((readers(&table.snapshot().await), readers(&table.images().await)), (vec![1, 2, 3], vec![3, 4, 5]));
    }
    let read = |snapshot: &Snapshot| snapshot.placement.reference(AgentId(3)).map(|row| row.node);
    assert_eq!((read(&table.snapshot().await), read(&table.images().await)), (Some(NodeId(3)), Some(NodeId(2))));
    let unknown = ["urine".into(), images()];
    let refused = table.knowledge.register_agent(&registration(1), &unknown, &identity()).await;
    assert_eq!(rejected(refused), "data set `urine` is not in the catalogue");
    assert_eq!((readers(&table.snapshot().await), readers(&table.images().await)), (vec![1, 2, 3], vec![3, 4, 5]));
}

/// Both data sets, and node 4 with room for the larger one and a little more.
async fn a_small_node(table: Table) -> Table {
    let table = two_data_sets(table).await;
    let mut small = node(4, 90.0);
    small.capacity_bytes = Some(120);
    table.knowledge.register_network(&[small], &[]).await.unwrap();
    table
}

pub async fn a_claim_reserves_the_room_that_it_takes(table: Table) {
    let table = a_small_node(table).await;
    let first = table.claim(1, "C3_4").await;
    let second = table.try_claim_images(4, "C2_4").await;
    assert_eq!(second.unwrap_err(), Lost::NoRoom(NodeId(4)), "what is on the way counts as there");
    table.commit(first.event).await;
    table.advance(1);
    assert_eq!(table.try_claim_images(4, "M2_4").await.unwrap_err(), Lost::NoRoom(NodeId(4)));
    // What is there already takes no more room.
    table.act(2, "CR4").await;
    let evicted = table.claim(1, "E4").await;
    let leftover = table.commit(evicted.event).await.unwrap();
    table.advance(1);
    assert_eq!(
        table.try_claim_images(4, "C2_4").await.unwrap_err(),
        Lost::NoRoom(NodeId(4)),
        "its object is still there"
    );
    table.knowledge.removed(leftover.id).await.unwrap();
    table.advance(1);
    assert!(table.try_claim_images(4, "C2_4").await.is_ok());
}

pub async fn of_claims_at_once_on_one_node_no_more_than_fit_are_granted(table: Table) {
    let table = a_small_node(table).await;
    let of_images = Plan { agent: AgentId(4), ..table.plan_for_images(4, "C2_4").await };
    let plans = [table.plan(1, "C3_4").await, of_images];
    let (one, other) = futures::join!(
        table.knowledge.claim(&plans[0], LEASE, WINDOW),
        table.knowledge.claim(&plans[1], LEASE, WINDOW)
    );
    let granted = [one, other].into_iter().filter(|claimed| matches!(claimed, Ok(Claimed::Granted(_)))).count();
    assert_eq!(granted, 1);
}

pub async fn a_data_set_that_nobody_reads_is_forgotten_and_its_objects_stay(table: Table) {
    let table = two_data_sets(table).await;
    let question = Question {
        key: "q".to_owned(),
        agent: AgentId(4),
        data_set: images(),
        generation: 0,
        nodes: [NodeId(1)].into(),
        action: None,
        afresh: false,
        level: 0.5,
    };
    table.knowledge.ask(&question).await.unwrap();
    for agent in [4, 5] {
        table.knowledge.sign_off(AgentId(agent), &identity().life).await.unwrap();
    }
    let gone = table.knowledge.remove_data_set(&images(), SILENCE).await.unwrap();
    assert_eq!(
        gone.iter().map(|row| (row.node, row.object_key.as_str())).collect::<Vec<_>>(),
        [(NodeId(2), "images.json")]
    );
    assert_eq!(table.knowledge.snapshot(&images()).await.unwrap(), None);
    assert_eq!(table.knowledge.data_sets().await.unwrap(), [data_set()]);
    assert_eq!(table.knowledge.conversation(&images(), SILENCE).await.unwrap(), []);
    assert_eq!(table.snapshot().await.stored_bytes, BTreeMap::from([(NodeId(3), 100)]));
    assert_eq!(table.knowledge.remove_data_set(&images(), SILENCE).await.unwrap(), [], "once more");
}

pub async fn a_data_set_stays_as_long_as_it_is_needed(table: Table) {
    let table = two_data_sets(table).await;
    let refused = table.knowledge.remove_data_set(&images(), SILENCE).await;
    assert_eq!(rejected(refused), "agent 4 reads data set `images`; stop it first");
    let claim = table.try_claim_images(4, "M2_1").await.unwrap();
    let silent = Duration::ZERO;
    table.advance(1);
    let refused = rejected(table.knowledge.remove_data_set(&images(), silent).await);
    assert!(refused.contains("(`M2_1` of agent 4) is under way on node 2"), "{refused}");
    table.knowledge.commit(claim.event, &Default::default(), DRAIN).await.unwrap();
    table.knowledge.remove_data_set(&images(), silent).await.unwrap();
    assert_eq!(table.knowledge.snapshot(&images()).await.unwrap(), None);
}

pub async fn a_data_set_that_comes_again_begins_afresh(table: Table) {
    let table = two_data_sets(table).await;
    let claim = table.try_claim_images(4, "M2_1").await.unwrap();
    table.commit(claim.event).await;
    table.knowledge.leave_feedback(AgentId(5), &[claim.event], WINDOW).await.unwrap();
    table.knowledge.remove_data_set(&images(), Duration::ZERO).await.unwrap_err();
    table.advance(300);
    table.knowledge.remove_data_set(&images(), Duration::ZERO).await.unwrap();
    // Its window ends all the same, and moves nothing that is there no more.
    let closed = table.knowledge.close_due(AgentId(4), RULE).await.unwrap();
    assert_eq!(closed.iter().map(|one| (one.counter_before, one.counter_after)).collect::<Vec<_>>(), [(0, 0)]);
    let images = DataSet { name: images(), object_key: "images.json".to_owned(), bytes: 61, ..blood() };
    assert!(table.knowledge.register_data_set(&images, NodeId(1), "again", &Default::default()).await.unwrap());
    let again = table.images().await;
    assert_eq!((again.counters.len(), again.agents.len(), again.placement.references.len()), (0, 0, 0));
}
