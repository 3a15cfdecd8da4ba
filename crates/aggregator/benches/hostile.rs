//! A million random and damaged datagrams at the machines of aggregator and reader, each, and a million over real sockets at
//! an aggregator: what one costs, and whether memory grows. In the second half it must not: every bound has been reached by
//! then.
//!
//! ```text
//! cargo bench -p agent-aggregator --bench hostile
//! ```
//!
//! A panic, growth or a good datagram without its answer ends it with an error.

#[path = "../../../benches/asked/mod.rs"]
mod asked;
#[path = "../tests/hostile_datagrams/mod.rs"]
mod hostile_datagrams;

use agent_aggregator::udsmp::Request;
use agent_aggregator::{Aggregator, AggregatorService, Collector, Policy, Progress, Reader, Settings};
use asked::{Asked, asked};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Of a machine's time between two datagrams: ten thousand a second, so that emitters also expire.
const BETWEEN: Duration = Duration::from_micros(100);
/// What memory may grow by in the second half \[kB\]: an allocator's habits, nothing that goes on.
const GROWTH_MAX_KB: u64 = 4096;
/// To be heard behind what waits: each takes a second at most.
const ATTEMPTS: usize = 10;

fn main() {
    let datagrams = match asked("hostile") {
        Asked::Everything => 1_000_000,
        Asked::AMoment => 20_000,
        Asked::Nothing => return,
    };
    let mut aggregator = Aggregator::new(Policy::default());
    let mut now = Duration::ZERO;
    measure("take_in", datagrams, |datagram| {
        now += BETWEEN;
        let _counted = aggregator.take_in(datagram, now);
    });
    measure("answer", datagrams, |datagram| {
        now += BETWEEN;
        aggregator.answer(datagram, now);
    });
    aggregator.take_in(b"cpu{value=30.00, host=next}", now).expect("a good one");
    assert_eq!(aggregator.answer(b"GET_EMITTER next", now), ["[cpu: 30.00]"]);
    let mut collector = Collector::default();
    measure("collect", datagrams, |datagram| {
        if collector.take(datagram) != Progress::More {
            collector = Collector::default();
        }
    });
    let Progress::Done(answer) = Collector::default().take(b"[Node_1]") else { panic!("a good one") };
    assert_eq!(answer.entries, ["Node_1"]);
    over_sockets(datagrams);
}

/// Half to the metrics' port, half to the server's, as fast as they can be sent: what the kernel drops was sent too.
fn over_sockets(datagrams: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let interface = Some("lo".to_owned());
    let settings = Settings { interface, metrics_port: 0, server: any, policy: Policy::default() };
    let service = match AggregatorService::start(&settings) {
        Ok(service) => service,
        Err(error) => return println!("SKIPPED: {error}"),
    };
    let socket = UdpSocket::bind(any).expect("a free port");
    let metrics = SocketAddr::from(([127, 0, 0, 1], service.metrics_port()));
    let mut towards = [metrics, service.server()].into_iter().cycle();
    measure("sockets", datagrams, |datagram| {
        socket.send_to(datagram, towards.next().expect("it has no end")).expect("sent");
    });
    let counts = service.view().counts;
    let refused: u64 = counts.refused.values().sum();
    let received = counts.accepted + refused + counts.answered + counts.misunderstood;
    println!("         {received} of them received, the others dropped by the kernel");
    assert!(received > 0, "nothing was received");
    let reader = Reader::new(service.server());
    // Its turn comes when those that wait before it are through.
    let answered = (0..ATTEMPTS).any(|_| {
        socket.send_to(b"cpu{value=30.00, host=Node_1}", metrics).expect("sent");
        let answer = reader.ask(&Request::Emitter("Node_1"));
        answer.is_ok_and(|answer| answer.entries.last().is_some_and(|last| last == "cpu: 30.00"))
    });
    assert!(answered, "the next good one is not answered");
}

fn measure(name: &str, datagrams: u32, mut act: impl FnMut(&[u8])) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut spent = Duration::ZERO;
    let mut at_half_kb = 0;
    for number in 0..datagrams {
        if number == datagrams / 2 {
            at_half_kb = resident_kb();
        }
        let datagram = hostile_datagrams::next(&mut rng);
        let start = Instant::now();
        act(&datagram);
        spent += start.elapsed();
    }
    let at_end_kb = resident_kb();
    let each_ns = spent.as_nanos() / u128::from(datagrams);
    println!(
        "{name:8} {datagrams} datagrams, {each_ns} ns each, {at_half_kb} kB resident half-way, {at_end_kb} kB at the end"
    );
    assert!(at_end_kb <= at_half_kb + GROWTH_MAX_KB, "{name}: memory grows");
}

/// 0 where it cannot be known.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
