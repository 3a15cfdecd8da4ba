use super::registration::links_of_4;
use super::{CONVERGED, DRAIN, LEASE, SILENCE, Table, blood, data_set, identity, link, node, registration, rejected};
use crate::domain::environment::Links;
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, NodeId, ReplicaId};
use crate::domain::placement::{DataSet, Lease, NodeState, Registration, Replica, ReplicaState};
use crate::domain::saga::Lost;
use std::time::Duration;

const FOUR: NodeId = NodeId(4);

impl Table {
    /// Three agents, and a fourth node without one.
    async fn four_nodes(self) -> Self {
        let table = self.three_agents().await;
        table.knowledge.add_nodes(&[node(4, 99.0)], &links_of_4(&[1, 2, 3]), Links::Injected).await.unwrap();
        table
    }

    async fn leave(&self) -> super::super::Result<Vec<Replica>> {
        self.knowledge.leave_node(FOUR, SILENCE, DRAIN).await
    }

    async fn state(&self) -> Option<NodeState> {
        self.snapshot().await.nodes.get(&FOUR).map(|node| node.state)
    }
}

pub async fn a_node_leaves_with_all_that_it_holds(table: Table) {
    let table = table.four_nodes().await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(1), "another.json", &Default::default()).await.unwrap();
    table.act(1, "C3_4").await;
    let before = table.replica(3).await.unwrap();
    let drain = Duration::from_secs(20);
    let held = table.knowledge.leave_node(FOUR, SILENCE, drain).await.unwrap();
    let lease = Some(Lease { holder: AgentId::OPERATOR, until: table.now() + drain });
    let expected = Replica { state: ReplicaState::Removing, generation: before.generation + 1, lease, ..before };
    assert_eq!(held, std::slice::from_ref(&expected));
    assert_eq!(table.replica(3).await, Some(expected));
    assert_eq!(table.state().await, Some(NodeState::Leaving));
    // Again, also when it drains: the same.
    table.advance(5);
    let after = table.snapshot().await;
    assert_eq!(table.knowledge.leave_node(FOUR, SILENCE, drain).await.unwrap(), held);
    assert_eq!(table.snapshot().await, after);
    assert_eq!(table.knowledge.unfinished(AgentId(1), true).await.unwrap().removing, []);
    table.advance(15);
    assert_eq!(table.knowledge.unfinished(AgentId(1), true).await.unwrap().removing, held);
}

pub async fn readers_of_a_leaving_node_are_given_the_nearest_replica(table: Table) {
    let table = table.four_nodes().await;
    table.act(1, "C3_4").await;
    table.act(2, "C3_2").await;
    table.act(3, "CR4").await;
    for agent in [1, 3] {
        assert_eq!(table.reads(agent).await, Some(FOUR));
    }
    table.leave().await.unwrap();
    // From node 1 it is 1000 ms to node 2 and 1500 ms to node 3; agent 3 has a replica at home.
    assert_eq!((table.reads(1).await, table.reads(2).await), (Some(NodeId(2)), Some(NodeId(2))));
    assert_eq!(table.reads(3).await, Some(NodeId(3)));
}

pub async fn a_node_stays_as_long_as_it_is_needed(table: Table) {
    let table = table.four_nodes().await;
    assert_eq!(rejected(table.knowledge.leave_node(NodeId(9), SILENCE, DRAIN).await), "node 9 is not registered");
    assert_eq!(rejected(table.knowledge.remove_node(FOUR).await), "node 4 is not leaving");

    let fourth = Registration { node: FOUR, ..registration(7) };
    table.register(&fourth).await;
    assert_eq!(rejected(table.leave().await), "agent 7 runs on node 4; stop it first");
    assert!(table.knowledge.sign_off(AgentId(7), &identity().life).await.unwrap());

    let claim = table.claim(1, "C3_4").await;
    let under_way =
        format!("event {} (`C3_4` of agent 1) is under way on node 4; try again when it has ended", claim.event);
    assert_eq!(rejected(table.leave().await), under_way);
    // Its lease ran out: as long as nobody gave it up, it may still commit.
    table.advance(LEASE.as_secs() + 1);
    assert_eq!(rejected(table.leave().await), under_way);
    table.commit(claim.event).await;
    let reading = table.claim(2, "CR4").await;
    assert!(rejected(table.leave().await).contains("(`CR4` of agent 2) is under way on node 4"));
    table.knowledge.abort(reading.event, Outcome::Aborted, "").await.unwrap();

    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, FOUR, "another.json", &Default::default()).await.unwrap();
    let before = table.snapshot().await;
    let last = "node 4 holds the only replica of data set `another`; copy or move it to another node first";
    assert_eq!(rejected(table.leave().await), last);
    // Nothing of it happened, not even to the data set that could go.
    assert_eq!(table.snapshot().await, before);
}

pub async fn to_a_leaving_node_nothing_comes(table: Table) {
    let table = table.four_nodes().await;
    let (copy, change) = (table.plan(1, "C3_4").await, table.plan(2, "CR4").await);
    let running = table.claim(3, "C3_4").await;
    table.commit(running.event).await;
    let evict = table.plan(1, "E4").await;
    table.leave().await.unwrap();
    assert_eq!(table.try_claim(&copy).await, Err(Lost::Leaving(FOUR)));
    assert_eq!(table.try_claim(&change).await, Err(Lost::Leaving(FOUR)));
    assert_eq!(table.try_claim(&evict).await, Err(Lost::Changed(ReplicaId(2))));
    let fourth = Registration { node: FOUR, ..registration(7) };
    let refused = table.knowledge.register_agent(&fourth, &[data_set()], &identity()).await;
    assert_eq!(rejected(refused), "node 4 is leaving");
    let another = DataSet { name: "another".into(), ..blood() };
    assert_eq!(
        rejected(table.knowledge.register_data_set(&another, FOUR, "k", &Default::default()).await),
        "node 4 is leaving"
    );
    // Its store may still be started, for what drains there has to be deleted.
    table.knowledge.register_store(FOUR, "http://127.0.0.1:4").await.unwrap();
    assert_eq!(table.state().await, Some(NodeState::Leaving));
}

pub async fn a_node_is_removed_when_nothing_is_left(table: Table) {
    let table = table.four_nodes().await;
    let fourth = Registration { node: FOUR, ..registration(7) };
    table.register(&fourth).await;
    assert!(table.knowledge.sign_off(AgentId(7), &identity().life).await.unwrap());
    table.act(1, "C3_4").await;
    let held = table.leave().await.unwrap();
    assert_eq!(table.knowledge.remove_node(FOUR).await.unwrap(), held);
    assert_eq!(table.state().await, Some(NodeState::Leaving));
    table.knowledge.removed(held[0].id).await.unwrap();
    assert_eq!(table.knowledge.remove_node(FOUR).await.unwrap(), []);
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes.len(), 3);
    assert_eq!(snapshot.links.len(), 6);
    assert_eq!(snapshot.agents.len(), 3);
    assert!(!snapshot.placement.references.contains_key(&AgentId(7)));
    // Again, as after a lost answer.
    assert_eq!(table.knowledge.remove_node(FOUR).await.unwrap(), []);
    assert_eq!(rejected(table.leave().await), "node 4 is not registered");
    assert!(!table.knowledge.heartbeat(AgentId(7), &identity().life, CONVERGED).await.unwrap());
}

pub async fn a_removed_node_comes_back_only_when_it_is_added(table: Table) {
    let table = table.four_nodes().await;
    table.leave().await.unwrap();
    table.knowledge.remove_node(FOUR).await.unwrap();
    // As an agent does that starts with a configuration which still lists it.
    let links = [links_of_4(&[1]), vec![link(1, 5, 6.0)]].concat();
    table.knowledge.register_network(&[node(4, 50.0), node(5, 50.0)], &links).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!(snapshot.links.len(), 7);
    table.knowledge.add_nodes(&[node(4, 70.0)], &links_of_4(&[1, 2, 3, 5]), Links::Injected).await.unwrap();
    assert_eq!(table.snapshot().await.nodes[&FOUR], node(4, 70.0));
    table.knowledge.register_network(&[node(4, 50.0)], &[]).await.unwrap();
    assert_eq!(table.snapshot().await.nodes[&FOUR], node(4, 70.0));
}
