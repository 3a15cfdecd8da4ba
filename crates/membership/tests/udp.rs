//! A member on real sockets.

use agent_membership::udp::{Pace, Running, Start, StartError, Told, start};
use agent_membership::{
    Identity, Listing, NetworkId, NodeId, Own, Query, QueryEffect, QuerySettings, Rng, Settings, Standing,
};
use rand::SeedableRng as _;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn prepared(node: u32, seeds: Vec<String>) -> Start {
    let mut settings = Settings::new(NetworkId::named("udp"), anywhere());
    settings.interval = Duration::from_millis(500);
    Start {
        settings,
        identity: Identity::from_seed(NodeId(node), 1, 5),
        own: Own { name: format!("node-{node}"), ..Own::default() },
        listen: anywhere(),
        seeds,
        pace: Pace::from_now(10.0),
        saved: None,
        seed: u64::from(node),
    }
}

async fn sees(member: &Running, what: impl Fn(&agent_membership::View) -> bool) {
    let mut view = member.view();
    timeout(PATIENCE, view.wait_for(|view| what(view))).await.expect("in time").expect("it runs");
}

async fn five() -> Vec<Running> {
    let first = start(prepared(1, Vec::new())).expect("a free port");
    let seed = first.address.to_string();
    let mut members = vec![first];
    members.extend((2..=5).map(|node| start(prepared(node, vec![seed.clone()])).expect("a free port")));
    for member in &members {
        sees(member, |view| view.members.len() == 5).await;
    }
    members
}

#[tokio::test]
async fn five_find_each_other_and_notice_who_goes_and_how() {
    let mut members = five().await;
    members.pop().expect("five").leave(Duration::from_millis(20)).await;
    members.pop().expect("four").stop().await;
    for member in &members {
        sees(member, |view| {
            let standing = |node| view.of(NodeId(node)).map(|seen| seen.standing);
            (standing(4), standing(5)) == (Some(Standing::Dead), Some(Standing::Left))
        })
        .await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_so() {
    let first = start(prepared(1, Vec::new())).expect("a free port");
    let second = start(Start { listen: first.address, ..prepared(2, Vec::new()) });
    assert!(matches!(&second, Err(StartError::InUse { address }) if *address == first.address), "{second:?}");
    let elsewhere = start(Start { listen: ([192, 0, 2, 1], 1).into(), ..prepared(2, Vec::new()) });
    assert!(matches!(elsewhere, Err(StartError::Listen { .. })));
}

#[tokio::test]
async fn a_seed_that_does_not_resolve_is_told_and_no_end() {
    let mut member = start(prepared(1, vec!["nobody.invalid:1".to_owned()])).expect("a free port");
    let told = timeout(PATIENCE, member.events().expect("first").recv()).await.expect("in time");
    assert!(matches!(&told, Some(Told::Unresolved { seed, .. }) if seed == "nobody.invalid:1"), "{told:?}");
    assert!(member.tell(agent_membership::Input::Tick));
}

#[tokio::test]
async fn somebody_who_is_no_member_asks_and_lists() {
    let members = five().await;
    let socket = UdpSocket::bind(anywhere()).await.expect("a free port");
    let pace = Pace::from_now(10.0);
    let mut rng = Rng::seed_from_u64(1);
    let addresses: Vec<_> = members.iter().map(|member| member.address).collect();
    let (within, deadline) = (Duration::from_secs(60), Duration::from_secs(50));
    let network = NetworkId::named("udp");
    let settings = QuerySettings { network, node: NodeId(3), quorum: 3, within, deadline, key: None };
    let mut query = Query::new(settings, addresses.clone(), Vec::new(), pace.now(), &mut rng);
    let mut buffer = [0; 2_000];
    let answered = loop {
        for effect in query.tick(pace.now()) {
            match effect {
                QueryEffect::Send { to, envelope } => {
                    socket.send_to(&envelope.encode(network), to).await.expect("sent");
                }
                QueryEffect::Done(result) => panic!("{result:?}"),
            }
        }
        let Ok(Ok((bytes, from))) = timeout(Duration::from_millis(5), socket.recv_from(&mut buffer)).await else {
            continue;
        };
        if let Some(QueryEffect::Done(result)) = query.datagram(from, &buffer[..bytes], pace.now()).pop() {
            break result.expect("an answer");
        }
    };
    assert_eq!(answered.record.record().own.name, "node-3");
    let mut listing = Listing::new(network, addresses, deadline, pace.now(), &mut rng);
    let mut question = listing.tick(pace.now());
    while !listing.is_over(pace.now()) {
        if let Some((to, envelope)) = question.take() {
            socket.send_to(&envelope.encode(network), to).await.expect("sent");
        }
        question = match timeout(Duration::from_millis(5), socket.recv_from(&mut buffer)).await {
            Ok(received) => {
                let (bytes, from) = received.expect("received");
                listing.datagram(from, &buffer[..bytes], pace.now())
            }
            Err(_) => listing.tick(pace.now()),
        };
    }
    assert!(listing.is_whole);
    let names: Vec<_> = listing.members().iter().map(|listed| listed.name.as_str()).collect();
    assert_eq!(names, ["node-1", "node-2", "node-3", "node-4", "node-5"]);
}
