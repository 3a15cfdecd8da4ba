//! What the emulator costs: small requests over many connections, one stream, and how exactly it delays; each directly, through
//! the embedded emulator in a process of its own, and through a toxiproxy if there is one, in turns, in the same run.
//!
//! ```text
//! cargo bench --bench links                                           about 25 s
//! TOXIPROXY_URL=http://127.0.0.1:8474 cargo bench --bench links       with a running peer; otherwise `toxiproxy-server`
//!                                                                     is started if it is found on the PATH
//! ```
//!
//! Client, proxy and server share the machine's cores, so only figures of the same run compare.

use agent::links::Links;
use agent::links::toxiproxy::Toxiproxy;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_emulator::{Emulator, Metrics};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONNECTIONS: usize = 64;
const MESSAGE_BYTES: usize = 128;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(1000);
const LATENCY: Duration = Duration::from_millis(20);
/// Connections that measure the delay at the same time, each this often in a round.
const DELAYED_CONNECTIONS: usize = 8;
const DELAYED_EXCHANGES: usize = 60;
/// Tells this program that it is to be the emulator.
const EMULATOR_ROLE: &str = "serve-emulator";

fn main() {
    if std::env::args().any(|argument| argument == EMULATOR_ROLE) {
        return serve_emulator();
    }
    let servers = Servers::start();
    let mut peers = vec![Peer::direct(&servers), Peer::ours(&servers)];
    peers.extend(Peer::toxiproxy(&servers));
    for _ in 0..ROUNDS {
        for peer in &mut peers {
            peer.requests.push(requests_per_second(peer.echo));
            peer.throughput.push(bytes_per_second(peer.source) / 1e6);
            peer.errors.extend(latency_errors_ms(peer.delayed, peer.waits_itself));
        }
    }
    report(&mut peers);
}

fn report(peers: &mut [Peer]) {
    println!(
        "{:<12} {:>22} {:>22} {:>14} {:>14}",
        "", "requests/s over 64", "MB/s on one", "error p50 ms", "error p99 ms"
    );
    let direct = (median(&mut peers[0].requests), median(&mut peers[0].throughput));
    for peer in peers {
        let (requests, throughput) = (median(&mut peer.requests), median(&mut peer.throughput));
        println!(
            "{:<12} {:>13.0} ({:>5.2}x) {:>13.0} ({:>5.2}x) {:>14.3} {:>14.3}",
            peer.name,
            requests,
            requests / direct.0,
            throughput,
            throughput / direct.1,
            quantile(&mut peer.errors, 0.5),
            quantile(&mut peer.errors, 0.99),
        );
    }
}

/// One way to the servers.
struct Peer {
    name: &'static str,
    echo: SocketAddr,
    source: SocketAddr,
    delayed: SocketAddr,
    /// Without an emulator nobody delays: the client waits instead, to find what it and the server add.
    waits_itself: bool,
    requests: Vec<f64>,
    throughput: Vec<f64>,
    errors: Vec<f64>,
    _process: Option<Process>,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_else(|error| eprintln!("{error}"));
    }
}

impl Peer {
    fn direct(servers: &Servers) -> Self {
        let (requests, throughput, errors) = (Vec::new(), Vec::new(), Vec::new());
        let (echo, source, delayed) = (servers.echo, servers.source, servers.echo);
        Self { name: "direct", echo, source, delayed, waits_itself: true, requests, throughput, errors, _process: None }
    }

    fn ours(servers: &Servers) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("its own path"))
            .arg(EMULATOR_ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the emulator");
        let mut url = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut url).expect("the emulator's URL");
        Self::emulated("ours", url.trim(), servers, Some(Process(process)))
    }

    fn toxiproxy(servers: &Servers) -> Option<Self> {
        if let Ok(url) = std::env::var("TOXIPROXY_URL") {
            return Some(Self::emulated("toxiproxy", &url, servers, None));
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let started = Command::new("toxiproxy-server")
            .args(["-host", "127.0.0.1", "-port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            println!("SKIPPED toxiproxy: TOXIPROXY_URL is not set and toxiproxy-server is not on the PATH");
            return None;
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        Some(Self::emulated("toxiproxy", &format!("http://127.0.0.1:{port}"), servers, Some(Process(process))))
    }

    fn emulated(name: &'static str, url: &str, servers: &Servers, process: Option<Process>) -> Self {
        let links = Toxiproxy::new(url).expect("a URL");
        let (echo, source, delayed) = current_thread().block_on(async {
            let open = async |node, upstream: SocketAddr| -> SocketAddr {
                let link = links.open(AgentId(1), NodeId(node), &upstream.to_string()).await.expect("open a link");
                link.parse().expect("an emulator on this machine listens at an IP address")
            };
            let echo = open(1, servers.echo).await;
            let source = open(2, servers.source).await;
            let delayed = open(3, servers.echo).await;
            links.set_latency(AgentId(1), NodeId(3), LATENCY).await.expect("set the latency");
            (echo, source, delayed)
        });
        let (requests, throughput, errors) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, echo, source, delayed, waits_itself: false, requests, throughput, errors, _process: process }
    }
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The emulator as `agent proxy` runs it, until the parent is gone.
fn serve_emulator() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let emulator = Emulator::start(SocketAddr::from(([127, 0, 0, 1], 0)), Metrics::Off).await.expect("start");
        println!("{}", emulator.url());
        let mut rest = Vec::new();
        tokio::task::spawn_blocking(move || std::io::stdin().read_to_end(&mut rest))
            .await
            .expect("join")
            .expect("stdin");
        emulator.shutdown().await;
    });
}

/// A server that sends every message back, and one that sends without end, each in a thread of its own.
struct Servers {
    echo: SocketAddr,
    source: SocketAddr,
}

impl Servers {
    fn start() -> Self {
        let echo = TcpListener::bind("127.0.0.1:0").expect("bind");
        let source = TcpListener::bind("127.0.0.1:0").expect("bind");
        let addresses = Self { echo: echo.local_addr().expect("bound"), source: source.local_addr().expect("bound") };
        thread::spawn(move || current_thread().block_on(serve_echo(echo)));
        thread::spawn(move || {
            for socket in source.incoming() {
                let mut socket = socket.expect("accept");
                thread::spawn(move || {
                    let block = vec![7; 256 << 10];
                    while socket.write_all(&block).is_ok() {}
                });
            }
        });
        addresses
    }
}

async fn serve_echo(listener: TcpListener) {
    listener.set_nonblocking(true).expect("non-blocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
    loop {
        let (mut socket, _) = listener.accept().await.expect("accept");
        socket.set_nodelay(true).expect("nodelay");
        tokio::spawn(async move {
            let mut message = [0; MESSAGE_BYTES];
            while socket.read_exact(&mut message).await.is_ok() && socket.write_all(&message).await.is_ok() {}
        });
    }
}

/// Each connection sends its next message when the last one has come back.
fn requests_per_second(address: SocketAddr) -> f64 {
    current_thread().block_on(async {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut socket = tokio::net::TcpStream::connect(address).await.expect("connect");
            socket.set_nodelay(true).expect("nodelay");
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            clients.spawn(async move {
                let mut message = [1; MESSAGE_BYTES];
                while !stop.load(Ordering::Relaxed) {
                    socket.write_all(&message).await.expect("send");
                    socket.read_exact(&mut message).await.expect("receive");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        tokio::time::sleep(ROUND / 5).await;
        let (start, before) = (Instant::now(), count.load(Ordering::Relaxed));
        tokio::time::sleep(ROUND).await;
        let rate = (count.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        clients.join_all().await;
        rate
    })
}

fn bytes_per_second(address: SocketAddr) -> f64 {
    let mut socket = TcpStream::connect(address).expect("connect");
    let mut block = vec![0; 256 << 10];
    let mut read_for = |duration: Duration| {
        let (start, mut bytes) = (Instant::now(), 0);
        while start.elapsed() < duration {
            bytes += socket.read(&mut block).expect("receive");
        }
        bytes as f64 / start.elapsed().as_secs_f64()
    };
    read_for(ROUND / 5);
    read_for(ROUND)
}

/// By how much each round trip is longer than the latency.
fn latency_errors_ms(address: SocketAddr, waits_itself: bool) -> Vec<f64> {
    let measure = move |index: usize| {
        let mut socket = TcpStream::connect(address).expect("connect");
        socket.set_nodelay(true).expect("nodelay");
        thread::sleep(LATENCY * u32::try_from(index).expect("few") / 8);
        let mut message = [1; MESSAGE_BYTES];
        let mut errors = Vec::with_capacity(DELAYED_EXCHANGES);
        for _ in 0..DELAYED_EXCHANGES {
            if waits_itself {
                thread::sleep(LATENCY);
            }
            let start = Instant::now();
            socket.write_all(&message).expect("send");
            socket.read_exact(&mut message).expect("receive");
            let elapsed = start.elapsed();
            let expected = if waits_itself { Duration::ZERO } else { LATENCY };
            errors.push((elapsed.as_secs_f64() - expected.as_secs_f64()) * 1000.0);
        }
        errors
    };
    let threads: Vec<_> = (0..DELAYED_CONNECTIONS).map(|index| thread::spawn(move || measure(index))).collect();
    threads.into_iter().flat_map(|thread| thread.join().expect("measure")).collect()
}

fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
