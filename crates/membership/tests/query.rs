//! Asking: the right answer, or an honest failure with what was seen.

use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings, address};
use agent_membership::{
    Answered, Carried, Envelope, Identity, Message, NodeId, Query, QueryEffect, QueryFailed, QuerySettings, Rng, Signed,
};
use rand::{RngExt as _, SeedableRng as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const ASKER: ([u8; 4], u16) = ([192, 0, 2, 9], 5000);

fn settings(node: u32) -> QuerySettings {
    QuerySettings {
        network: VirtualSettings::new(1, 1).member.network,
        node: NodeId(node),
        quorum: 3,
        within: Duration::from_secs(2),
        deadline: Duration::from_secs(2),
        key: None,
    }
}

/// Asks from outside of the network; `lie` may change what holders answer.
fn ask(
    network: &mut VirtualNetwork,
    settings: QuerySettings,
    rng: &mut Rng,
    mut lie: impl FnMut(SocketAddr, Message) -> Message,
) -> Result<Answered, QueryFailed> {
    let all = (1..=50).map(|node| address(NodeId(node))).collect();
    let mut query = Query::new(settings, all, Vec::new(), network.now(), rng);
    let mut effects = query.tick(network.now());
    loop {
        for effect in std::mem::take(&mut effects) {
            match effect {
                QueryEffect::Send { to, envelope } => network.send(ASKER.into(), to, envelope.encode(settings.network)),
                QueryEffect::Done(result) => return *result,
            }
        }
        network.run_for(Duration::from_millis(1));
        for (_, to, envelope) in network.take_outside() {
            assert_eq!(to, ASKER.into());
            let from = address(envelope.sender.expect("a member"));
            let message = lie(from, envelope.message);
            effects.extend(query.answer(from, Envelope { sender: envelope.sender, message }, network.now()));
        }
        effects.extend(query.tick(network.now()));
    }
}

fn network(seed: u64) -> VirtualNetwork {
    let mut network = VirtualNetwork::new(VirtualSettings::new(50, seed));
    network.run_for(Duration::from_secs(12));
    network
}

fn honest(_: SocketAddr, message: Message) -> Message {
    message
}

#[test]
fn nine_tenths_may_be_stopped() {
    let mut network = network(1);
    let mut rng = Rng::seed_from_u64(1);
    (1..=45).for_each(|node| network.stop(NodeId(node)));
    for round in 0..100 {
        let alive = rng.random_range(46..=50);
        let answered = ask(&mut network, settings(alive), &mut rng, honest).expect("five hold it");
        assert_eq!(answered.record.record().node, NodeId(alive), "{round}");
        assert!(answered.agreed.len() >= 3 && answered.age <= Duration::from_secs(2));
        assert!(answered.took < Duration::from_secs(1), "{:?}", answered.took);
        let gone = rng.random_range(1..=45);
        let failed = ask(&mut network, settings(gone), &mut rng, honest).expect_err("it has been gone for too long");
        // Right after it went, its record is fresh enough still; then nobody says so.
        assert_eq!((failed.fresh, failed.seen.len()), (0, 5), "{failed}");
        network.run_for(Duration::from_millis(200));
    }
}

#[test]
fn without_a_quorum_there_is_no_answer_but_what_was_seen() {
    let mut network = network(2);
    (1..=48).for_each(|node| network.stop(NodeId(node)));
    let failed = ask(&mut network, settings(50), &mut Rng::seed_from_u64(1), honest).expect_err("two of three");
    assert_eq!((failed.fresh, failed.seen.len(), failed.asked), (2, 2, 50));
    assert_eq!(
        failed.to_string(),
        "2 of 3 hold a record of node 50 that is fresh enough; 50 were asked, 2 answered, 0 records were refused"
    );
}

#[test]
fn forged_and_replayed_answers_never_win() {
    let mut network = network(3);
    let mut rng = Rng::seed_from_u64(1);
    let old = Arc::clone(network.member(NodeId(1)).expect("up").record(NodeId(7)).expect("known"));
    network.stop(NodeId(7));
    network.run_for(Duration::from_secs(30));
    let forger = Identity::from_seed(NodeId(7), 1, 999);
    let mut forged = old.record().clone();
    (forged.at, forged.version) = (network.now(), 99_999);
    let with_its_key = Arc::new(Signed::issue(&forger, settings(7).network, forged.clone()));
    forged.key = forger.public_key();
    let with_another = Arc::new(Signed::issue(&forger, settings(7).network, forged));
    let key = Some(old.record().key);
    for record in [old, with_its_key, with_another] {
        let lie = |_, message| match message {
            Message::Answer { nonce, .. } => {
                Message::Answer { nonce, held: Some(Carried { age_ms: 0, record: Arc::clone(&record) }) }
            }
            other => other,
        };
        let asked = QuerySettings { key, ..settings(7) };
        let failed = ask(&mut network, asked, &mut rng, lie).expect_err("nobody holds a fresh record");
        assert_eq!(failed.fresh, 0);
    }
}

#[test]
fn answers_that_nobody_asked_for_are_nothing() {
    let network = network(4);
    let mut rng = Rng::seed_from_u64(1);
    let now = network.now();
    let mut query = Query::new(settings(7), vec![address(NodeId(1))], Vec::new(), now, &mut rng);
    assert_eq!(query.tick(now).len(), 1);
    let record = Arc::clone(network.member(NodeId(1)).expect("up").record(NodeId(7)).expect("known"));
    let message = Message::Answer { nonce: 1, held: Some(Carried { age_ms: 0, record }) };
    let envelope = Envelope { sender: Some(NodeId(1)), message };
    assert!(query.answer(address(NodeId(1)), envelope, now).is_empty());
}
