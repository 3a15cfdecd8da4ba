use super::{Table, blood, data_set, link, node, registration, rejected};
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, NodeId, ReplicaId};
use crate::domain::placement::{DataSet, Registration};
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use std::collections::BTreeMap;

pub(crate) async fn the_network_is_added_and_edits_stay(table: Table) {
    let table = table.three_agents().await;
    let mut edited = node(2, 50.0);
    edited.name = "other".to_owned();
    let mut fourth = node(4, 99.0);
    fourth.store_url = Some("http://127.0.0.1:4".to_owned());
    fourth.capacity_bytes = Some(500);
    table.knowledge.register_network(&[edited, fourth.clone()], &[link(1, 2, 5.0), link(1, 4, 6.0)]).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(2)].availability, Percent::new(80.0).unwrap());
    assert_eq!(snapshot.nodes[&NodeId(2)].name, "node-2");
    assert_eq!(snapshot.nodes[&NodeId(4)], fourth);
    assert_eq!(snapshot.links[&(NodeId(1), NodeId(2))], link(1, 2, 1000.0));
    assert_eq!(snapshot.links[&(NodeId(1), NodeId(4))], link(1, 4, 6.0));
    assert_eq!(snapshot.links.len(), 7);
}

pub(crate) async fn a_network_that_makes_no_sense_is_rejected_whole(table: Table) {
    let table = table.three_agents().await;
    let before = table.snapshot().await;
    let mut huge = node(4, 99.0);
    huge.capacity_bytes = Some(u64::MAX);
    for (nodes, links, reason) in [
        (vec![node(4, 1.0)], vec![link(1, 9, 5.0)], "node 9 is not registered"),
        (vec![node(4, 1.0)], vec![link(1, 4, -5.0)], "a latency or jitter of -5 ms is negative"),
        (vec![node(4, 1.0)], vec![link(1, 4, f64::NAN)], "latency is NaN, which is not a finite number"),
        (vec![huge], vec![], "a capacity in bytes is 18446744073709551615, more than a table can hold"),
    ] {
        assert_eq!(rejected(table.knowledge.register_network(&nodes, &links).await), reason);
    }
    assert_eq!(table.snapshot().await, before);
}

pub(crate) async fn a_store_is_where_it_says_it_is(table: Table) {
    let table = table.three_agents().await;
    for url in ["http://127.0.0.1:4001", "http://127.0.0.1:4002"] {
        table.knowledge.register_store(NodeId(1), url).await.unwrap();
        assert_eq!(table.snapshot().await.nodes[&NodeId(1)].store_url.as_deref(), Some(url));
    }
    let unknown = table.knowledge.register_store(NodeId(9), "http://127.0.0.1:4009").await;
    assert_eq!(rejected(unknown), "node 9 is not registered");
}

pub(crate) async fn a_data_set_is_registered_once(table: Table) {
    let table = table.three_agents().await;
    assert!(!table.knowledge.register_data_set(&blood(), NodeId(1), "elsewhere").await.unwrap());
    let placement = table.snapshot().await.placement;
    assert_eq!(placement.replicas.len(), 1);
    let first = &placement.replicas[&ReplicaId(1)];
    assert_eq!((first.node, first.object_key.as_str(), first.generation), (NodeId(3), "blood.json", 1));
    assert_eq!(first.lease, None);

    let known = format!(
        "data set `blood` is in the catalogue with other content (100 bytes, SHA-256 {}); give this one another name",
        blood().sha256
    );
    for other in [DataSet { bytes: 101, ..blood() }, DataSet { sha256: "ff".repeat(32), ..blood() }] {
        assert_eq!(rejected(table.knowledge.register_data_set(&other, NodeId(3), "k").await), known);
    }
    let nowhere = DataSet { name: "b".into(), ..blood() };
    assert_eq!(rejected(table.knowledge.register_data_set(&nowhere, NodeId(9), "k").await), "node 9 is not registered");
    let unverifiable = DataSet { name: "b".into(), sha256: "14BA3E".to_owned(), ..blood() };
    assert_eq!(
        rejected(table.knowledge.register_data_set(&unverifiable, NodeId(3), "k").await),
        "data set `b` comes without a SHA-256: 64 digits of lower-case hexadecimal"
    );
    let huge = DataSet { name: "b".into(), bytes: u64::MAX, ..blood() };
    assert_eq!(
        rejected(table.knowledge.register_data_set(&huge, NodeId(3), "k").await),
        "the size in bytes is 18446744073709551615, more than a table can hold"
    );
    assert_eq!(table.knowledge.data_sets().await.unwrap(), [data_set()]);
}

pub(crate) async fn an_agent_is_given_the_replica_at_home_or_the_first(table: Table) {
    let table = table.three_agents().await;
    assert_eq!(table.reads(1).await, Some(NodeId(3)));
    table.act(1, "C3_1").await;
    table.act(3, "C3_2").await;
    // Agents 4 and 5 are new, on node 2 and on one without a replica; neither `removing` nor `copying` rows are given.
    table.knowledge.register_network(&[node(4, 90.0)], &[]).await.unwrap();
    for (agent, home, given) in [(4, 2, 2), (5, 4, 3)] {
        let registration = Registration { node: NodeId(home), ..registration(agent) };
        table.knowledge.register_agent(&registration, &data_set()).await.unwrap();
        assert_eq!(table.reads(agent).await, Some(NodeId(given)));
    }
    let claim = table.claim(5, "C3_4").await;
    let at_home = Registration { node: NodeId(4), ..registration(6) };
    table.knowledge.register_agent(&at_home, &data_set()).await.unwrap();
    assert_eq!(table.reads(6).await, Some(NodeId(3)));
    table.knowledge.abort(claim.event, Outcome::Failed, "").await.unwrap();
}

pub(crate) async fn an_agent_keeps_a_reference_that_is_present(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_2").await;
    let changed = Registration { goal: "throughput >= 1 records/s".to_owned(), ..registration(1) };
    table.advance(5);
    table.knowledge.register_agent(&changed, &data_set()).await.unwrap();
    let snapshot = table.snapshot().await;
    let peer = &snapshot.agents[&AgentId(1)];
    assert_eq!(peer.registration, changed);
    assert_eq!((peer.heartbeat_at, peer.converged), (Some(table.now()), false));
    assert_eq!(table.reads(1).await, Some(NodeId(2)));
}

pub(crate) async fn agents_need_a_data_set_and_a_node(table: Table) {
    let table = table.three_agents().await;
    let unknown = table.knowledge.register_agent(&registration(1), &"urine".into()).await;
    assert_eq!(rejected(unknown), "data set `urine` is not in the catalogue");
    let unknown = table.knowledge.register_agent(&registration(9), &data_set()).await;
    assert_eq!(rejected(unknown), "node 9 is not registered");
    assert_eq!(table.snapshot().await.agents.len(), 3);
}

pub(crate) async fn heartbeats_tell_who_is_alive(table: Table) {
    let table = table.three_agents().await;
    let heard = async || {
        let snapshot = table.snapshot().await;
        let peer = &snapshot.agents[&AgentId(1)];
        (peer.heartbeat_at, peer.converged, snapshot.nodes[&NodeId(1)].heartbeat_at)
    };
    let at = |ms| Some(Timestamp(ms));
    assert_eq!(heard().await, (at(1_000_000), false, at(1_000_000)));
    table.advance(10);
    table.knowledge.heartbeat(AgentId(1), true).await.unwrap();
    assert_eq!(heard().await, (at(1_010_000), true, at(1_010_000)));
    table.knowledge.sign_off(AgentId(1)).await.unwrap();
    table.knowledge.sign_off(AgentId(1)).await.unwrap();
    assert_eq!(heard().await, (None, true, at(1_010_000)));
    table.knowledge.heartbeat(AgentId(1), false).await.unwrap();
    assert_eq!(heard().await, (at(1_010_000), false, at(1_010_000)));
    assert_eq!(rejected(table.knowledge.heartbeat(AgentId(9), true).await), "agent 9 is not registered");
    assert_eq!(rejected(table.knowledge.sign_off(AgentId(9)).await), "agent 9 is not registered");
}

pub(crate) async fn only_known_data_sets_have_a_snapshot(table: Table) {
    assert_eq!(table.knowledge.data_sets().await.unwrap(), []);
    assert_eq!(table.knowledge.snapshot(&data_set()).await.unwrap(), None);
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(1), "another.json").await.unwrap();
    assert_eq!(table.knowledge.data_sets().await.unwrap(), ["another".into(), data_set()]);
    table.advance(7);
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.at, table.now());
    assert_eq!(snapshot.data_set, blood());
    assert_eq!(snapshot.nodes.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(snapshot.placement.replicas.len(), 1);
    assert_eq!(snapshot.agents[&AgentId(2)].registration, registration(2));
    assert!(snapshot.open_events.is_empty() && snapshot.counters.is_empty() && snapshot.copies_made.is_empty());
}

pub(crate) async fn availability_and_latency_can_be_set(table: Table) {
    let table = table.three_agents().await;
    table.knowledge.set_availability(NodeId(2), Percent::new(75.0).unwrap()).await.unwrap();
    table.knowledge.set_latency(NodeId(1), NodeId(2), 200.0).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(2)].availability.value(), 75.0);
    assert_eq!(snapshot.links[&(NodeId(1), NodeId(2))], link(1, 2, 200.0));
    assert_eq!(snapshot.links[&(NodeId(2), NodeId(1))], link(2, 1, 1000.0));
    let full = Percent::new(100.0).unwrap();
    assert_eq!(rejected(table.knowledge.set_availability(NodeId(9), full).await), "node 9 is not registered");
    let unknown = table.knowledge.set_latency(NodeId(1), NodeId(9), 5.0).await;
    assert_eq!(rejected(unknown), "there is no link from node 1 to node 9");
    let negative = table.knowledge.set_latency(NodeId(1), NodeId(2), -1.0).await;
    assert_eq!(rejected(negative), "a latency or jitter of -1 ms is negative");
}

pub(crate) async fn stored_bytes_count_every_replica_of_every_data_set(table: Table) {
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), bytes: 7, ..blood() };
    table.knowledge.register_data_set(&another, NodeId(3), "another.json").await.unwrap();
    let stored = async || table.snapshot().await.stored_bytes;
    assert_eq!(stored().await, BTreeMap::from([(NodeId(3), 107)]));
    // The bytes to come count from the claim on, and those left behind until they are deleted.
    let claim = table.claim(1, "M3_1").await;
    assert_eq!(stored().await, BTreeMap::from([(NodeId(1), 100), (NodeId(3), 107)]));
    let leftover = table.commit(claim.event).await.unwrap();
    assert_eq!(stored().await, BTreeMap::from([(NodeId(1), 100), (NodeId(3), 107)]));
    table.knowledge.removed(leftover.id).await.unwrap();
    assert_eq!(stored().await, BTreeMap::from([(NodeId(1), 100), (NodeId(3), 7)]));
}
