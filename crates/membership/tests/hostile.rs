//! Whatever anybody sends: no panic, nothing that grows without bound, and the next good datagram is answered.

use agent_membership::Rng;
use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings, address};
use agent_membership::{Envelope, Message, NodeId, Rumour};
use rand::{RngExt as _, SeedableRng as _};
use std::net::SocketAddr;
use std::time::Duration;

fn settled() -> (VirtualNetwork, VirtualSettings) {
    let settings = VirtualSettings::new(10, 1);
    let mut network = VirtualNetwork::new(settings.clone());
    network.run_for(Duration::from_secs(12));
    (network, settings)
}

fn stranger(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

fn ping(network: &mut VirtualNetwork, settings: &VirtualSettings, nonce: u64) -> bool {
    let message = Message::Ping { nonce, target: NodeId(1), rumours: Vec::new() };
    network.take_outside();
    let bytes = Envelope { sender: None, message }.encode(settings.member.network);
    network.send(stranger(1), address(NodeId(1)), bytes);
    network.run_for(Duration::from_millis(10));
    network
        .take_outside()
        .iter()
        .any(|(_, _, answer)| matches!(answer.message, Message::Ack { nonce: n, .. } if n == nonce))
}

/// Random bytes, and real messages with some bytes changed.
fn hostile(rng: &mut Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    if rng.random_bool(0.2) {
        let length = rng.random_range(0..2_000);
        return (0..length).map(|_| rng.random()).collect();
    }
    let mut bytes = samples[rng.random_range(0..samples.len())].clone();
    for _ in 0..rng.random_range(1..6) {
        let place = rng.random_range(0..bytes.len());
        match rng.random_range(0..4) {
            0 => bytes[place] = rng.random(),
            1 => bytes.truncate(place.max(1)),
            2 => bytes.insert(place, rng.random()),
            _ => bytes[place] ^= 1 << rng.random_range(0..8),
        }
    }
    bytes
}

/// Real messages: what members send to a node that is none of the network's.
fn samples(settings: &VirtualSettings, network: &VirtualNetwork) -> Vec<Vec<u8>> {
    let rumour =
        Rumour { about: NodeId(2), incarnation: 1, refutation: 0, accuser: NodeId(3), age_ms: 9, is_dead: true };
    let record = network.member(NodeId(1)).and_then(|member| member.record(NodeId(2))).expect("known").clone();
    let carried = agent_membership::Carried { age_ms: 1, record };
    let messages = [
        Message::Syn { exchange: 1, cookie: 0, hashes: vec![1, 2, 3, 4], rumours: vec![rumour] },
        Message::Digest { exchange: 1, segments: Vec::new(), rumours: vec![rumour; 3] },
        Message::Want { exchange: 1, nodes: (1..10).map(NodeId).collect() },
        Message::Records { exchange: 1, records: vec![carried.clone(), carried.clone()] },
        Message::Ping { nonce: 1, target: NodeId(1), rumours: vec![rumour] },
        Message::Relay { nonce: 1, target: NodeId(2) },
        Message::Ask { nonce: 1, node: NodeId(2), within_ms: Some(1), padding: vec![0; 1_200] },
        Message::Answer { nonce: 1, held: Some(carried) },
        Message::List { nonce: 1, after: None, padding: vec![0; 1_300] },
    ];
    let sender = Some(NodeId(2));
    messages.into_iter().map(|message| Envelope { sender, message }.encode(settings.member.network)).collect()
}

#[test]
fn random_and_altered_datagrams_do_no_harm() {
    let (mut network, settings) = settled();
    let samples = samples(&settings, &network);
    let mut rng = Rng::seed_from_u64(1);
    for number in 0..20_000 {
        // Also in the name of a member's address.
        let from = if rng.random_bool(0.5) { address(NodeId(2)) } else { stranger(rng.random_range(1..9_999)) };
        let bytes = hostile(&mut rng, &samples);
        network.send(from, address(NodeId(1)), bytes);
        if number % 100 == 0 {
            network.run_for(Duration::from_millis(20));
        }
    }
    assert!(ping(&mut network, &settings, 77));
    network.run_for(Duration::from_secs(60));
    let member = network.member(NodeId(1)).expect("up");
    assert_eq!(member.known(), 10);
    assert!((1..=10).all(|node| member.standing(NodeId(node)) == Some(agent_membership::Standing::Alive)));
}

#[test]
fn other_networks_and_versions_are_counted_apart() {
    let (mut network, settings) = settled();
    let message = Message::Ping { nonce: 1, target: NodeId(1), rumours: Vec::new() };
    let envelope = Envelope { sender: None, message };
    let mut later = envelope.encode(settings.member.network);
    later[2] = 9;
    let elsewhere = envelope.encode(agent_membership::NetworkId::named("another"));
    for bytes in [later, elsewhere, vec![7; 64 << 10], Vec::new()] {
        network.send(stranger(1), address(NodeId(1)), bytes);
    }
    network.run_for(Duration::from_millis(10));
    let dropped = network.member(NodeId(1)).expect("up").counters().dropped;
    assert_eq!((dropped.other_version, dropped.other_network, dropped.malformed), (1, 1, 2));
}

#[test]
fn a_stranger_gets_no_more_bytes_than_it_sends() {
    let (mut network, settings) = settled();
    network.take_outside();
    let short = |message| Envelope { sender: Some(NodeId(2)), message }.encode(settings.member.network);
    let questions = [
        short(Message::Syn { exchange: 1, cookie: 0, hashes: vec![1], rumours: Vec::new() }),
        short(Message::Want { exchange: 1, nodes: (1..10).map(NodeId).collect() }),
        short(Message::Ask { nonce: 1, node: NodeId(2), within_ms: None, padding: Vec::new() }),
        short(Message::List { nonce: 1, after: None, padding: Vec::new() }),
        short(Message::Ping { nonce: 1, target: NodeId(1), rumours: Vec::new() }),
        short(Message::Relay { nonce: 1, target: NodeId(2) }),
    ];
    for question in questions {
        let asked = question.len();
        network.send(stranger(1), address(NodeId(1)), question);
        network.run_for(Duration::from_millis(600));
        let answered: usize = network.take_outside().iter().map(|(_, _, answer)| answer.encoded_len()).sum();
        assert!(answered <= asked + 16, "{answered} bytes for {asked}");
    }
}

#[test]
fn deaths_that_strangers_or_members_tell_kill_nobody() {
    let (mut network, settings) = settled();
    for accuser in 2..=9 {
        let rumour = Rumour {
            about: NodeId(10),
            incarnation: 1,
            refutation: 0,
            accuser: NodeId(accuser),
            age_ms: u32::MAX,
            is_dead: true,
        };
        let message = Message::Ping { nonce: 1, target: NodeId(1), rumours: vec![rumour] };
        let bytes = Envelope { sender: Some(NodeId(accuser)), message }.encode(settings.member.network);
        network.send(address(NodeId(accuser)), address(NodeId(1)), bytes.clone());
        network.send(stranger(1), address(NodeId(1)), bytes);
    }
    network.run_for(Duration::from_secs(20));
    assert_eq!(network.members().map(|member| member.counters().deaths).sum::<u64>(), 0);
}
