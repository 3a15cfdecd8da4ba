use super::{CONVERGED, Table, blood, data_set, identity, link, lives, node, registration, rejected};
use crate::domain::environment::{Availability, Basis, Contact, Links, Measured, MeasuredLink, Quantity};
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, Life, NodeId, ReplicaId};
use crate::domain::placement::{DataSet, Health, Identity, Link, Node, NodeState, Override, Overrides, Registration};
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use crate::domain::versions::Versions;
use crate::knowledge::Registered;
use std::collections::BTreeMap;
use std::time::Duration;

pub async fn the_network_is_added_and_edits_stay(table: Table) {
    let table = table.three_agents().await;
    let mut edited = node(2, 50.0);
    edited.name = "other".to_owned();
    let mut fourth = node(4, 99.0);
    fourth.store_url = Some("http://127.0.0.1:4".to_owned());
    fourth.capacity_bytes = Some(500);
    table.knowledge.register_network(&[edited, fourth.clone()], &[link(1, 2, 5.0), link(1, 4, 6.0)]).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(2)].availability, Percent::new(80.0).unwrap().into());
    assert_eq!(snapshot.nodes[&NodeId(2)].name, "node-2");
    assert_eq!(snapshot.nodes[&NodeId(4)], fourth);
    assert_eq!(snapshot.links[(NodeId(1), NodeId(2))], link(1, 2, 1000.0));
    assert_eq!(snapshot.links[(NodeId(1), NodeId(4))], link(1, 4, 6.0));
    assert_eq!(snapshot.links.len(), 7);
}

pub async fn a_network_that_makes_no_sense_is_rejected_whole(table: Table) {
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

pub async fn a_store_is_where_it_says_it_is(table: Table) {
    let table = table.three_agents().await;
    for url in ["http://127.0.0.1:4001", "http://127.0.0.1:4002"] {
        table.knowledge.register_store(NodeId(1), url).await.unwrap();
        let node = &table.snapshot().await.nodes[&NodeId(1)];
        assert_eq!((node.store_url.as_deref(), node.state), (Some(url), NodeState::Running));
    }
    let unknown = table.knowledge.register_store(NodeId(9), "http://127.0.0.1:4009").await;
    assert_eq!(rejected(unknown), "node 9 is not registered");
}

pub async fn a_data_set_is_registered_once(table: Table) {
    let table = table.three_agents().await;
    assert!(!table.knowledge.register_data_set(&blood(), NodeId(1), "elsewhere", &Default::default()).await.unwrap());
    let placement = table.snapshot().await.placement.clone();
    assert_eq!(placement.replicas.len(), 1);
    let first = &placement.replicas[&ReplicaId(1)];
    assert_eq!((first.node, first.object_key.as_str(), first.generation), (NodeId(3), "blood.json", 1));
    assert_eq!(first.lease, None);

    let known = format!(
        "data set `blood` is in the catalogue with other content (100 bytes, SHA-256 {}); give this one another name",
        blood().sha256
    );
    for other in [DataSet { bytes: 101, ..blood() }, DataSet { sha256: "ff".repeat(32), ..blood() }] {
        assert_eq!(
            rejected(table.knowledge.register_data_set(&other, NodeId(3), "k", &Default::default()).await),
            known
        );
    }
    let nowhere = DataSet { name: "b".into(), ..blood() };
    assert_eq!(
        rejected(table.knowledge.register_data_set(&nowhere, NodeId(9), "k", &Default::default()).await),
        "node 9 is not registered"
    );
    let unverifiable = DataSet { name: "b".into(), sha256: "14BA3E".to_owned(), ..blood() };
    assert_eq!(
        rejected(table.knowledge.register_data_set(&unverifiable, NodeId(3), "k", &Default::default()).await),
        "data set `b` comes without a SHA-256: 64 digits of lower-case hexadecimal"
    );
    let huge = DataSet { name: "b".into(), bytes: u64::MAX, ..blood() };
    assert_eq!(
        rejected(table.knowledge.register_data_set(&huge, NodeId(3), "k", &Default::default()).await),
        "the size in bytes is 18446744073709551615, more than a table can hold"
    );
    assert_eq!(table.knowledge.data_sets().await.unwrap(), [data_set()]);
}

pub async fn an_agent_is_given_the_replica_at_home_or_the_first(table: Table) {
    let table = table.three_agents().await;
    assert_eq!(table.reads(1).await, Some(NodeId(3)));
    table.act(1, "C3_1").await;
    table.act(3, "C3_2").await;
    // Agents 4 and 5 are new, on node 2 and on one without a replica; neither `removing` nor `copying` rows are given.
    table.knowledge.register_network(&[node(4, 90.0)], &[]).await.unwrap();
    for (agent, home, given) in [(4, 2, 2), (5, 4, 3)] {
        let registration = Registration { node: NodeId(home), ..registration(agent) };
        table.register(&registration).await;
        assert_eq!(table.reads(agent).await, Some(NodeId(given)));
    }
    let claim = table.claim(5, "C3_4").await;
    let at_home = Registration { node: NodeId(4), ..registration(6) };
    table.register(&at_home).await;
    assert_eq!(table.reads(6).await, Some(NodeId(3)));
    table.knowledge.abort(claim.event, Outcome::Failed, "").await.unwrap();
}

pub async fn an_agent_keeps_a_reference_that_is_present(table: Table) {
    let table = table.three_agents().await;
    table.act(1, "C3_2").await;
    let changed = Registration { goal: "throughput >= 1 records/s".to_owned(), ..registration(1) };
    table.advance(5);
    table.register(&changed).await;
    let snapshot = table.snapshot().await;
    let peer = &snapshot.agents[&AgentId(1)];
    assert_eq!(peer.registration, changed);
    assert_eq!((peer.heartbeat_at, peer.health.converged), (Some(table.now()), false));
    assert_eq!(table.reads(1).await, Some(NodeId(2)));
}

pub async fn agents_need_a_data_set_and_a_node(table: Table) {
    let table = table.three_agents().await;
    let unknown = table.knowledge.register_agent(&registration(1), &["urine".into()], &identity()).await;
    assert_eq!(rejected(unknown), "data set `urine` is not in the catalogue");
    let unknown = table.knowledge.register_agent(&registration(9), &[data_set()], &identity()).await;
    assert_eq!(rejected(unknown), "node 9 is not registered");
    assert_eq!(table.snapshot().await.agents.len(), 3);
}

pub async fn heartbeats_tell_who_is_alive(table: Table) {
    let table = table.three_agents().await;
    let heard = async || {
        let snapshot = table.snapshot().await;
        let peer = &snapshot.agents[&AgentId(1)];
        (peer.heartbeat_at, peer.health, snapshot.nodes[&NodeId(1)].heartbeat_at)
    };
    let at = |ms| Some(Timestamp(ms));
    let (new, troubled) = (Health::default(), Health { converged: false, unexpected: 3 });
    assert_eq!(heard().await, (at(1_000_000), new, at(1_000_000)));
    table.advance(10);
    let life = identity().life;
    assert!(table.knowledge.heartbeat(AgentId(1), &life, CONVERGED).await.unwrap());
    assert_eq!(heard().await, (at(1_010_000), CONVERGED, at(1_010_000)));
    assert_eq!(table.snapshot().await.nodes[&NodeId(1)].state, NodeState::Running);
    assert!(table.knowledge.sign_off(AgentId(1), &life).await.unwrap());
    assert!(table.knowledge.sign_off(AgentId(1), &life).await.unwrap());
    assert_eq!(heard().await, (None, CONVERGED, at(1_010_000)));
    assert_eq!(table.snapshot().await.nodes[&NodeId(1)].state, NodeState::Stopped);
    assert!(table.knowledge.heartbeat(AgentId(1), &life, troubled).await.unwrap());
    assert_eq!(heard().await, (at(1_010_000), troubled, at(1_010_000)));
    table.register(&registration(1)).await;
    assert_eq!(heard().await, (at(1_010_000), new, at(1_010_000)));
    assert!(!table.knowledge.heartbeat(AgentId(9), &life, CONVERGED).await.unwrap());
    assert!(!table.knowledge.sign_off(AgentId(9), &life).await.unwrap());
}

/// What the second process of an agent is told, `silence` after which the first one is no longer waited for.
async fn ask(table: &Table, identity: &Identity, silence: u64) -> Registered {
    let identity = Identity { silence: Duration::from_secs(silence), ..identity.clone() };
    table.knowledge.register_agent(&registration(1), &[data_set()], &identity).await.unwrap()
}

pub async fn an_agent_belongs_to_one_life(table: Table) {
    let table = table.three_agents().await;
    table.advance(10);
    let before = table.snapshot().await;
    let second = lives("second");
    let wait = Duration::from_millis(20_001);
    assert_eq!(ask(&table, &second, 30).await, Registered::Taken { wait });
    assert!(!table.knowledge.heartbeat(AgentId(1), &second.life, CONVERGED).await.unwrap());
    assert!(!table.knowledge.sign_off(AgentId(1), &second.life).await.unwrap());
    assert_eq!(table.snapshot().await, before);
    // The one that it belongs to registers again as it likes.
    assert_eq!(ask(&table, &identity(), 30).await, Registered::Done);
    assert_eq!(ask(&table, &second, 30).await, Registered::Taken { wait: Duration::from_millis(30_001) });
    // After a clean stop nobody waits.
    assert!(table.knowledge.sign_off(AgentId(1), &identity().life).await.unwrap());
    assert_eq!(ask(&table, &second, 30).await, Registered::Done);
    assert!(!table.knowledge.heartbeat(AgentId(1), &identity().life, Health::default()).await.unwrap());
}

pub async fn a_life_that_ended_is_succeeded_at_once(table: Table) {
    let table = table.three_agents().await;
    let ended = vec![Life("long ago".to_owned()), identity().life];
    let second = Identity { ended, ..lives("second") };
    assert_eq!(ask(&table, &second, 30).await, Registered::Done);
    // The killed one was only suspended, say: it has lost the agent, and changes nothing.
    let before = table.snapshot().await;
    table.advance(5);
    assert!(!table.knowledge.heartbeat(AgentId(1), &identity().life, CONVERGED).await.unwrap());
    assert!(!table.knowledge.sign_off(AgentId(1), &identity().life).await.unwrap());
    assert_eq!(table.snapshot().await.agents, before.agents);
    assert!(matches!(ask(&table, &identity(), 30).await, Registered::Taken { .. }));
}

pub async fn a_life_that_is_silent_is_succeeded(table: Table) {
    let table = table.three_agents().await;
    table.clock.set(Timestamp(1_030_000));
    assert_eq!(ask(&table, &lives("second"), 30).await, Registered::Taken { wait: Duration::from_millis(1) });
    table.clock.set(Timestamp(1_030_001));
    assert_eq!(ask(&table, &lives("second"), 30).await, Registered::Done);
    assert!(!table.knowledge.heartbeat(AgentId(1), &identity().life, CONVERGED).await.unwrap());
    assert!(table.knowledge.heartbeat(AgentId(1), &lives("second").life, CONVERGED).await.unwrap());
}

/// Links in both directions between node 4 and each of these.
pub fn links_of_4(others: &[u32]) -> Vec<Link> {
    others.iter().flat_map(|other| [link(4, *other, 500.0), link(*other, 4, 600.0)]).collect()
}

pub async fn nodes_are_added_with_their_links(table: Table) {
    let table = table.three_agents().await;
    let mut links = links_of_4(&[1, 2, 3, 5]);
    links.extend([1, 2, 3].iter().flat_map(|other| [link(5, *other, 50.0), link(*other, 5, 60.0)]));
    let added = [node(4, 99.0), node(5, 98.0)];
    table.knowledge.add_nodes(&added, &links, Links::Injected).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(4)], added[0]);
    assert_eq!(snapshot.nodes[&NodeId(5)], added[1]);
    assert_eq!(snapshot.links.len(), 6 + 14);
    assert_eq!(snapshot.links[(NodeId(4), NodeId(5))], link(4, 5, 500.0));
    assert_eq!(snapshot.links[(NodeId(2), NodeId(5))], link(2, 5, 60.0));
    let at_home = Registration { node: NodeId(4), ..registration(4) };
    table.register(&at_home).await;
    table.act(4, "C3_4").await;
    assert_eq!(table.reads(4).await, Some(NodeId(4)));
}

pub async fn what_is_added_is_new_and_linked_with_all(table: Table) {
    let table = table.three_agents().await;
    let before = table.snapshot().await;
    let complete = || links_of_4(&[1, 2, 3]);
    let with = |more: Link| [complete(), vec![more]].concat();
    let without_last = || complete()[..5].to_vec();
    let mut namesake = node(4, 9.0);
    namesake.name = "node-2".to_owned();
    for (nodes, links, reason) in [
        (vec![node(2, 9.0)], vec![], "there is a node 2 already, `node-2`"),
        (vec![node(4, 9.0), node(4, 8.0)], complete(), "there is a node 4 already, `node-4`"),
        (vec![namesake], complete(), "node 2 is called `node-2` already"),
        (vec![node(4, 9.0)], with(link(1, 2, 5.0)), "there is a link from node 1 to node 2 already"),
        (vec![node(4, 9.0)], with(link(4, 1, 5.0)), "there is a link from node 4 to node 1 already"),
        (vec![node(4, 9.0)], with(link(4, 9, 5.0)), "node 9 is not registered"),
        (
            vec![node(4, 9.0)],
            without_last(),
            "a link from node 3 to node 4 is missing; state the latency to and from every other node",
        ),
        (
            vec![node(4, 9.0), node(5, 9.0)],
            complete(),
            "a link from node 4 to node 5 is missing; state the latency to and from every other node",
        ),
        (vec![node(4, 9.0)], with(link(4, 4, -5.0)), "a latency or jitter of -5 ms is negative"),
        (vec![node(4, 9.0)], with(link(4, 4, f64::NAN)), "latency is NaN, which is not a finite number"),
    ] {
        assert_eq!(rejected(table.knowledge.add_nodes(&nodes, &links, Links::Injected).await), reason);
    }
    assert_eq!(table.snapshot().await, before);
    table.knowledge.add_nodes(&[node(4, 9.0)], &complete(), Links::Injected).await.unwrap();
    let again = table.knowledge.add_nodes(&[node(4, 9.0)], &complete(), Links::Injected).await;
    assert_eq!(rejected(again), "there is a node 4 already, `node-4`");
}

pub async fn only_known_data_sets_have_a_snapshot(table: Table) {
    assert_eq!(table.knowledge.data_sets().await.unwrap(), []);
    assert_eq!(table.knowledge.snapshot(&data_set()).await.unwrap(), None);
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), ..blood() };
    table.knowledge.register_data_set(&another, NodeId(1), "another.json", &Default::default()).await.unwrap();
    assert_eq!(table.knowledge.data_sets().await.unwrap(), ["another".into(), data_set()]);
    table.advance(7);
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.at, table.now());
    let registered_at = snapshot.data_set.versions.registered_at;
    assert!(registered_at < Some(snapshot.at) && registered_at.is_some(), "{registered_at:?}");
    let versions = Versions { registered_at, ..Versions::default() };
    assert_eq!(snapshot.data_set, DataSet { versions, ..blood() });
    assert_eq!(snapshot.nodes.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(snapshot.placement.replicas.len(), 1);
    assert_eq!(snapshot.agents[&AgentId(2)].registration, registration(2));
    assert!(snapshot.open_events.is_empty() && snapshot.counters.is_empty() && snapshot.copies_made.is_empty());
}

pub async fn availability_and_latency_can_be_set(table: Table) {
    let table = table.three_agents().await;
    table.knowledge.set_availability(NodeId(2), Percent::new(75.0)).await.unwrap();
    table.knowledge.set_latency(NodeId(1), NodeId(2), Some(200.0)).await.unwrap();
    let snapshot = table.snapshot().await;
    assert_eq!(snapshot.nodes[&NodeId(2)].availability.value(), 75.0);
    assert_eq!(snapshot.links[(NodeId(1), NodeId(2))], link(1, 2, 200.0));
    assert_eq!(snapshot.links[(NodeId(2), NodeId(1))], link(2, 1, 1000.0));
    let full = Some(Percent::FULL);
    assert_eq!(rejected(table.knowledge.set_availability(NodeId(9), full).await), "node 9 is not registered");
    let unknown = table.knowledge.set_latency(NodeId(1), NodeId(9), Some(5.0)).await;
    assert_eq!(rejected(unknown), "there is no link from node 1 to node 9");
    let negative = table.knowledge.set_latency(NodeId(1), NodeId(2), Some(-1.0)).await;
    assert_eq!(rejected(negative), "a latency or jitter of -1 ms is negative");
}

pub async fn what_is_asked_of_an_application_stays_until_it_is_taken_back(table: Table) {
    let table = table.three_agents().await;
    let set = async |stated| table.knowledge.set_override(AgentId(2), &stated).await.unwrap();
    let asked = async || table.snapshot().await.agents[&AgentId(2)].overrides.clone();
    assert!(asked().await.is_empty());
    let goal = "response_time <= 5 s".to_owned();
    set(Override::Goal(Some(goal.clone()))).await;
    set(Override::Policy(Some("fixed".to_owned()))).await;
    // A start of its agent changes nothing about it.
    table.knowledge.register_agent(&registration(2), &[data_set()], &identity()).await.unwrap();
    assert_eq!(asked().await, Overrides { goal: Some(goal), policy: Some("fixed".to_owned()) });
    assert_eq!(table.snapshot().await.agents[&AgentId(2)].registration, registration(2));
    set(Override::Goal(None)).await;
    assert_eq!(asked().await, Overrides { goal: None, policy: Some("fixed".to_owned()) });
    let nobody = table.knowledge.set_override(AgentId(9), &Override::Goal(None)).await;
    assert_eq!(rejected(nobody), "agent 9 is not registered");
}

pub async fn what_nodes_and_links_were_is_kept(table: Table) {
    let table = table.three_agents().await;
    let then = async |at| {
        let mut said = table.knowledge.former_environment(at).await.unwrap();
        said.sort_by_key(|said| (said.quantity, said.basis));
        said.into_iter().map(|said| (said.quantity, said.basis, said.value)).collect::<Vec<_>>()
    };
    let (node, way) = (Quantity::Availability(NodeId(2)), Quantity::Latency(NodeId(1), NodeId(2)));
    let (before, declared) = (table.now(), Basis::Declared);
    assert_eq!(then(before).await, []);
    table.advance(10);
    table.knowledge.set_availability(NodeId(2), Percent::new(75.0)).await.unwrap();
    table.knowledge.set_availability(NodeId(2), Percent::new(75.0)).await.unwrap();
    let after_one = table.now();
    table.advance(10);
    table.knowledge.set_availability(NodeId(2), None).await.unwrap();
    table.knowledge.set_latency(NodeId(1), NodeId(2), Some(200.0)).await.unwrap();
    table.knowledge.set_latency(NodeId(1), NodeId(2), None).await.unwrap();
    let seen = vec![(NodeId(2), Percent::new(60.0).unwrap()), (NodeId(9), Percent::FULL)];
    let all = Measured { links: vec![measured(2, 7.0), measured(9, 7.0)], availability: seen };
    table.knowledge.measured(NodeId(1), &all).await.unwrap();
    let measured = |quantity| (quantity, Basis::Measured, None);
    let way_was = (way, declared, Some(1000.0));
    assert_eq!(
        then(before).await,
        [(node, declared, Some(80.0)), measured(node), way_was, measured(way)],
        "it is what it was before it was changed first"
    );
    assert_eq!(then(after_one).await, [(node, declared, Some(75.0)), measured(node), way_was, measured(way)]);
    assert_eq!(then(table.now()).await, [], "what is said now stands elsewhere");
}

/// From node 1, measured so.
fn measured(to: u32, latency_ms: f64) -> MeasuredLink {
    let (from, to) = (NodeId(1), NodeId(to));
    MeasuredLink { from, to, latency_ms, loss_percent: 0.5, bytes_per_s: Some(1e6), at: Timestamp(0) }
}

pub async fn what_is_measured_counts_where_nothing_is_declared(table: Table) {
    let table = table.three_agents().await;
    let node = |id: u32| Node { availability: Availability::default(), ..super::node(id, 0.0) };
    table.knowledge.register_network(&[node(4)], &[]).await.unwrap();
    let available = async |id| table.snapshot().await.nodes[&NodeId(id)].availability.to_string();
    assert_eq!(available(4).await, "100 % assumed");
    let seen = |id, percent| (NodeId(id), Percent::new(percent).unwrap());
    let links = vec![measured(2, 7.0), measured(4, 9.0), measured(9, 1.0)];
    let all = Measured { links, availability: vec![seen(2, 60.0), seen(4, 70.5), seen(9, 1.0)] };
    table.knowledge.measured(NodeId(1), &all).await.unwrap();
    assert_eq!((available(2).await, available(4).await), ("80 %".to_owned(), "70.5 % measured".to_owned()));
    table.advance(5);
    table
        .knowledge
        .measured(NodeId(1), &Measured { links: vec![measured(4, 8.0)], ..Default::default() })
        .await
        .unwrap();
    let snapshot = table.snapshot().await;
    let found: Vec<_> = snapshot.measured.iter().map(|link| (link.to.0, link.latency_ms, link.bytes_per_s)).collect();
    assert_eq!(found, [(2, 7.0, Some(1e6)), (4, 8.0, Some(1e6))]);
    assert_eq!(snapshot.measured.get(NodeId(1), NodeId(4)).map(|link| link.at), Some(table.now()));
    let in_force = |to| snapshot.link(NodeId(1), NodeId(to)).map(|link| link.latency_ms);
    assert_eq!([in_force(2), in_force(4)], [Some(1000.0), Some(8.0)]);
    table.knowledge.set_availability(NodeId(2), None).await.unwrap();
    table.knowledge.set_latency(NodeId(1), NodeId(2), None).await.unwrap();
    table.knowledge.set_latency(NodeId(1), NodeId(4), Some(5.0)).await.unwrap();
    assert_eq!(available(2).await, "60 % measured");
    let snapshot = table.snapshot().await;
    let in_force = |to| snapshot.link(NodeId(1), NodeId(to)).map(|link| link.latency_ms);
    assert_eq!([in_force(2), in_force(4)], [Some(7.0), Some(5.0)]);
    let negative = Measured { links: vec![measured(2, -1.0)], ..Measured::default() };
    let negative = table.knowledge.measured(NodeId(1), &negative).await;
    assert_eq!(rejected(negative), "a latency or jitter of -1 ms is negative");
}

pub async fn a_node_is_known_by_one_key(table: Table) {
    let table = table.three_agents().await;
    let contact = |address: Option<&str>, key: Option<&str>| Contact {
        address: address.map(str::to_owned),
        public_key: key.map(|key| key.repeat(32)),
    };
    let known = async || table.snapshot().await.nodes[&NodeId(2)].contact.clone();
    assert_eq!(known().await, Contact::default());
    let introduce = async |who: &Contact| table.knowledge.introduce(NodeId(2), who).await;
    introduce(&contact(Some("10.0.0.2:7946"), None)).await.unwrap();
    introduce(&contact(None, Some("0a"))).await.unwrap();
    introduce(&contact(Some("10.0.0.3:7946"), Some("0a"))).await.unwrap();
    assert_eq!(known().await, contact(Some("10.0.0.3:7946"), Some("0a")));
    let other = rejected(introduce(&contact(Some("10.0.0.4:7946"), Some("0b"))).await);
    assert!(other.starts_with("node 2 is known by another key: two machines call themselves node 2"), "{other}");
    assert_eq!(known().await, contact(Some("10.0.0.3:7946"), Some("0a")));
    table.knowledge.forget_key(NodeId(2)).await.unwrap();
    introduce(&contact(None, Some("0b"))).await.unwrap();
    assert_eq!(known().await, contact(Some("10.0.0.3:7946"), Some("0b")));
    let unknown = rejected(table.knowledge.introduce(NodeId(9), &contact(None, Some("0a"))).await);
    assert_eq!(unknown, "node 9 is not registered");
    let no_key = rejected(introduce(&contact(None, Some("0A"))).await);
    assert_eq!(no_key, "a public key has 64 digits of lower-case hexadecimal");
}

pub async fn stored_bytes_count_every_replica_of_every_data_set(table: Table) {
    let table = table.three_agents().await;
    let another = DataSet { name: "another".into(), bytes: 7, ..blood() };
    table.knowledge.register_data_set(&another, NodeId(3), "another.json", &Default::default()).await.unwrap();
    let stored = async || table.snapshot().await.stored_bytes.clone();
    assert_eq!(stored().await, BTreeMap::from([(NodeId(3), 107)]));
    // The bytes to come count from the claim on, and those left behind until they are deleted.
    let claim = table.claim(1, "M3_1").await;
    assert_eq!(stored().await, BTreeMap::from([(NodeId(1), 100), (NodeId(3), 107)]));
    let leftover = table.commit(claim.event).await.unwrap();
    assert_eq!(stored().await, BTreeMap::from([(NodeId(1), 100), (NodeId(3), 107)]));
    table.knowledge.removed(leftover.id).await.unwrap();
    assert_eq!(stored().await, BTreeMap::from([(NodeId(1), 100), (NodeId(3), 7)]));
}
