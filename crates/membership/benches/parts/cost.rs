//! Real sockets: rounds, and what an idle member costs; and a million hostile datagrams.

use crate::Extent;
use agent_membership::udp::{Pace, Running, Start, start};
use agent_membership::{
    Envelope, Identity, Input, Member, Message, NetworkId, NodeId, Own, Rng, Settings, SharedRecords,
};
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn network() -> NetworkId {
    NetworkId::named("bench")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Members of one process; everybody knows everybody's address, nobody anybody's record.
fn started(nodes: u32, shared: Option<&Arc<SharedRecords>>) -> Vec<Running> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("more files");
    let members: Vec<_> = (1..=nodes).map(|node| started_one(node, shared)).collect();
    let seeds: Arc<[SocketAddr]> = members.iter().map(|member| member.address).collect();
    members.iter().for_each(|member| assert!(member.tell(Input::Seeds(Arc::clone(&seeds)))));
    members
}

fn started_one(node: u32, shared: Option<&Arc<SharedRecords>>) -> Running {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings::new(network(), anywhere);
    settings.shared_records = shared.cloned();
    let own = Own {
        name: format!("node-{node}"),
        store_url: Some(format!("http://10.0.0.{node}:9000/data")),
        cores: 8,
        memory_total: 32 << 30,
        memory_free: 20 << 30,
        disk_free: 500 << 30,
        ..Own::default()
    };
    let identity = Identity::from_seed(NodeId(node), 1, 1);
    let (pace, seed) = (Pace::from_now(1.0), u64::from(node));
    start(Start { settings, identity, own, listen: anywhere, seeds: Vec::new(), pace, saved: None, seed })
        .expect("a port")
}

pub fn sockets(extent: &Extent) {
    let (runs, mut sum, mut worst) = (extent.seeds.div_ceil(10), 0.0, 0.0_f64);
    for _ in 0..runs {
        let rounds = runtime().block_on(async {
            let members = started(extent.nodes, Some(&Arc::default()));
            let began = Instant::now();
            for member in &members {
                let mut view = member.view();
                let all = usize::try_from(extent.nodes).expect("few");
                view.wait_for(|view| view.members.len() == all).await.expect("it runs");
            }
            began.elapsed().as_secs_f64()
        });
        sum += rounds;
        worst = worst.max(rounds);
    }
    println!(
        "full knowledge, {} real sockets in one process, {runs} runs: mean {:.2} rounds, largest {worst:.2} (as \
         the views show it, which change once an interval)",
        extent.nodes,
        sum / runs as f64
    );
}

/// Processor time of this process so far, in seconds, and its memory now, in bytes.
fn used() -> (f64, f64) {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let statm = std::fs::read_to_string("/proc/self/statm").expect("proc");
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    (usage.tv_sec as f64 + usage.tv_nsec as f64 / 1e9, pages * 4096.0)
}

/// All members' cost divided by their number: each verifies for itself.
pub fn idle(extent: &Extent) {
    runtime().block_on(async {
        let (_, empty) = used();
        let members = started(extent.nodes, None);
        for member in &members {
            let all = usize::try_from(extent.nodes).expect("few");
            member.view().wait_for(|view| view.members.len() == all).await.expect("it runs");
        }
        let (before, _) = used();
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(extent.idle_s)).await;
        let (after, memory) = used();
        println!(
            "idle, {} members in one process, interval 1 s, {} s: {:.3} % of a core and {:.2} MB for each, the \
             system's part included",
            extent.nodes,
            extent.idle_s,
            100.0 * (after - before) / began.elapsed().as_secs_f64() / f64::from(extent.nodes),
            (memory - empty) / f64::from(extent.nodes) / 1e6
        );
    });
}

pub fn hostile(extent: &Extent) {
    let mut rng = Rng::seed_from_u64(1);
    let now = agent_membership::virtual_network::BEGINNING;
    let address = |node: u32| agent_membership::virtual_network::address(NodeId(node));
    let member = |node: u32, rng: &mut Rng| {
        let settings = Settings::new(network(), address(node));
        Member::new(settings, Identity::from_seed(NodeId(node), 1, 1), Own::default(), now, rng)
    };
    let (mut target, other) = (member(1, &mut rng), member(2, &mut rng));
    let record = Arc::clone(other.record(NodeId(2)).expect("its own"));
    let carried = agent_membership::Carried { age_ms: 0, record };
    let messages = [
        Message::Syn { exchange: 1, cookie: 0, hashes: vec![1, 2, 3, 4], rumours: Vec::new() },
        Message::Want { exchange: 1, nodes: (1..10).map(NodeId).collect() },
        Message::Records { exchange: 1, records: vec![carried.clone(), carried.clone()] },
        Message::Relay { nonce: 1, target: NodeId(2) },
        Message::Ask { nonce: 1, node: NodeId(2), within_ms: Some(1), padding: vec![0; 1_200] },
        Message::Answer { nonce: 1, held: Some(carried) },
        Message::List { nonce: 1, after: None, padding: vec![0; 1_300] },
        Message::Ping { nonce: 1, target: NodeId(1), rumours: Vec::new() },
    ];
    let encoded = |message| Envelope { sender: Some(NodeId(2)), message }.encode(network());
    let samples: Vec<_> = messages.into_iter().map(encoded).collect();
    let (began, (_, empty)) = (Instant::now(), used());
    for number in 0..extent.datagrams {
        let mut bytes = samples[rng.random_range(0..samples.len())].clone();
        if rng.random_bool(0.2) {
            bytes = (0..rng.random_range(0..2_000)).map(|_| rng.random()).collect();
        } else {
            for _ in 0..rng.random_range(1..5) {
                let place = rng.random_range(0..bytes.len());
                bytes[place] = rng.random();
            }
        }
        let from = if rng.random_bool(0.5) { address(2) } else { address(rng.random_range(3..60_000)) };
        let at = now + Duration::from_micros(u64::from(number) * 50);
        target.handle(Input::Datagram { from, bytes }, at, &mut rng);
        target.handle(Input::Tick, at, &mut rng);
    }
    let ping = samples[samples.len() - 1].clone();
    let effects =
        target.handle(Input::Datagram { from: address(9), bytes: ping }, now + Duration::from_secs(3_600), &mut rng);
    assert!(!effects.is_empty(), "the next good datagram is answered");
    println!(
        "hostile, {} random and altered datagrams: 0 panics, {:.1} us each, {} members known, memory grew by \
         {:.1} MB, the next good one is answered",
        extent.datagrams,
        began.elapsed().as_secs_f64() * 1e6 / f64::from(extent.datagrams),
        target.known(),
        (used().1 - empty) / 1e6
    );
}
