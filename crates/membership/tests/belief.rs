//! What may be believed: keys, signatures, numbers, and the past.

use agent_membership::virtual_network::{BEGINNING, VirtualNetwork, VirtualSettings, address};
use agent_membership::{Carried, Envelope, Event, Identity, Input, Message, NetworkId, NodeId, Settings, Signed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const STRANGER: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);

fn network(nodes: u32) -> VirtualNetwork {
    let mut network = VirtualNetwork::new(VirtualSettings::new(nodes, 1));
    network.run_for(Duration::from_secs(12));
    network.take_events();
    network
}

fn network_id() -> NetworkId {
    VirtualSettings::new(1, 1).member.network
}

/// Somebody sends a record to node 1.
fn send(network: &mut VirtualNetwork, age_ms: u64, record: Arc<Signed>) {
    let message = Message::Records { exchange: 0, records: vec![Carried { age_ms, record }] };
    let envelope = Envelope { sender: Some(NodeId(2)), message };
    let bytes = envelope.encode(network_id());
    network.send(STRANGER.into(), address(NodeId(1)), bytes);
    network.run_for(Duration::from_millis(10));
}

fn record_of(network: &VirtualNetwork, node: u32) -> Arc<Signed> {
    Arc::clone(network.member(NodeId(1)).expect("up").record(NodeId(node)).expect("known"))
}

/// Node 3's record as somebody else would write it.
fn forged(network: &VirtualNetwork, identity: &Identity) -> Arc<Signed> {
    let mut record = record_of(network, 3).record().clone();
    record.version += 1_000;
    record.own.name = "mine now".to_owned();
    record.key = identity.public_key();
    Arc::new(Signed::issue(identity, network_id(), record))
}

#[test]
fn an_altered_record_is_dropped_and_counted() {
    let mut network = network(5);
    let before = record_of(&network, 3);
    let mut record = before.record().clone();
    record.version += 1_000;
    // Signed by somebody else, with node 3's key in it.
    let other = Identity::from_seed(NodeId(3), 1, 999);
    send(&mut network, 0, Arc::new(Signed::issue(&other, network_id(), record)));
    assert!(record_of(&network, 3).record().version < 1_000);
    assert_eq!(network.member(NodeId(1)).expect("up").counters().dropped.forged, 1);
}

#[test]
fn another_key_is_refused_and_told_once() {
    let mut network = network(5);
    let record = forged(&network, &Identity::from_seed(NodeId(3), 1, 999));
    send(&mut network, 0, Arc::clone(&record));
    send(&mut network, 0, record);
    assert!(record_of(&network, 3).record().version < 1_000);
    assert_eq!(network.member(NodeId(1)).expect("up").counters().dropped.other_key, 2);
    let told = network.take_events().into_iter().filter(|(_, _, event)| matches!(event, Event::KeyRefused { .. }));
    assert_eq!(told.count(), 1);
}

#[test]
fn of_two_nodes_with_one_number_the_second_is_refused_by_all_and_hears_of_it() {
    let mut network = VirtualNetwork::with_seeds(VirtualSettings::new(21, 1), &[NodeId(1), NodeId(2)]);
    (1..=20).for_each(|node| network.start(NodeId(node)));
    network.run_for(Duration::from_secs(15));
    network.take_events();
    network.start_as(NodeId(21), Identity::from_seed(NodeId(3), 9, 999));
    network.run_for(Duration::from_secs(60));
    let first = Identity::from_seed(NodeId(3), 1, 1).public_key();
    let all = (1..=20).map(|node| network.member(NodeId(node)).expect("up"));
    assert!(all.map(|member| member.record(NodeId(3)).expect("known").record().key).all(|key| key == first));
    let events = network.take_events();
    let told = |wanted: Event| events.iter().any(|(_, _, event)| *event == wanted);
    assert!(told(Event::KeyRefused { node: NodeId(3), address: address(NodeId(21)) }));
    assert!(told(Event::NumberTaken { address: address(NodeId(3)) }), "{events:?}");
}

#[test]
fn what_the_table_says_of_keys_wins() {
    let mut network = network(5);
    let other = Identity::from_seed(NodeId(3), 1, 999);
    let keys = Arc::new(BTreeMap::from([(NodeId(3), other.public_key())]));
    let record = forged(&network, &other);
    network.tell(NodeId(1), Input::Keys(keys));
    assert!(network.member(NodeId(1)).expect("up").record(NodeId(3)).is_none());
    send(&mut network, 0, record);
    assert_eq!(record_of(&network, 3).record().own.name, "mine now");
}

#[test]
fn without_a_told_key_nobody_joins_where_keys_must_be_told() {
    let mut settings = VirtualSettings::new(3, 1);
    settings.member = Settings { admit_unknown_keys: false, ..settings.member };
    let mut network = VirtualNetwork::new(settings);
    let keys: BTreeMap<_, _> =
        [1, 2].map(|node| (NodeId(node), Identity::from_seed(NodeId(node), 1, 1).public_key())).into();
    let keys = Arc::new(keys);
    (1..=3).for_each(|node| network.tell(NodeId(node), Input::Keys(Arc::clone(&keys))));
    network.run_for(Duration::from_secs(20));
    let member = network.member(NodeId(1)).expect("up");
    assert!(member.record(NodeId(2)).is_some() && member.record(NodeId(3)).is_none());
}

#[test]
fn what_is_older_never_wins() {
    let mut network = network(5);
    let old = record_of(&network, 3);
    network.start(NodeId(3));
    network.run_for(Duration::from_secs(10));
    send(&mut network, 0, old);
    assert_eq!(record_of(&network, 3).record().incarnation, 2);
    assert_eq!(network.member(NodeId(1)).expect("up").counters().dropped.older, 1);
}

#[test]
fn a_replay_to_a_newcomer_is_not_fresh() {
    let mut network = VirtualNetwork::with_seeds(VirtualSettings::new(2, 1), &[]);
    network.start(NodeId(1));
    let identity = Identity::from_seed(NodeId(2), 1, 1);
    network.start_as(NodeId(2), identity);
    let old = Arc::clone(network.member(NodeId(2)).expect("up").record(NodeId(2)).expect("its own"));
    network.stop(NodeId(2));
    network.run_for(Duration::from_secs(1_000));
    send(&mut network, 0, old);
    assert_eq!(record_of(&network, 2).record().at, BEGINNING);
    // Its age is not what the replayer says, but what the signed time says.
    let now = network.now();
    let view = network.view(NodeId(1)).expect("up");
    assert_eq!(view.of(NodeId(2)).expect("known").age, now.since(BEGINNING));
}

#[test]
fn a_removed_node_stays_away_until_it_starts_again() {
    let mut network = network(5);
    (1..=5).filter(|node| *node != 3).for_each(|node| network.tell(NodeId(node), Input::Removed(NodeId(3))));
    network.run_for(Duration::from_secs(30));
    assert!(network.member(NodeId(1)).expect("up").record(NodeId(3)).is_none());
    network.start(NodeId(3));
    network.run_for(Duration::from_secs(10));
    assert_eq!(record_of(&network, 3).record().incarnation, 2);
}

#[test]
fn a_lost_incarnation_is_found_again() {
    let mut network = network(5);
    for _ in 0..3 {
        network.start(NodeId(3));
        network.run_for(Duration::from_secs(3));
    }
    network.stop(NodeId(3));
    network.take_events();
    network.start_as(NodeId(3), Identity::from_seed(NodeId(3), 1, 1));
    network.run_for(Duration::from_secs(10));
    assert!(
        network
            .take_events()
            .iter()
            .any(|(_, who, event)| { (*who, *event) == (NodeId(3), Event::IncarnationRaised(5)) })
    );
    assert_eq!(record_of(&network, 3).record().incarnation, 5);
}
