//! What the emulator costs: small requests over many connections, one stream, and how exactly it delays; each directly, through
//! the emulator as `agent proxy` runs it, and through its peers, in turns, in the same run.
//!
//! ```text
//! cargo bench --bench links                    about 15 s
//! cargo bench --bench links -- PROGRAM...      with other servers of the same API, which take `--host` and `--port`;
//!                                              `toxiproxy-server` and `noxious-server` if they are found on the PATH
//! ```
//!
//! Client, proxy and server share the machine's cores, so only figures of the same run compare. The two ends of the stream copy
//! nothing, so that it is the proxy that limits it: the server sends pages of a file in memory, the client discards.

#[path = "../../../benches/asked/mod.rs"]
mod asked;

use agent_emulator::{Carriers, Emulator, Metrics};
use asked::{Asked, asked};
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use rustix::net::{RecvFlags, recv};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MESSAGE_BYTES: usize = 128;
/// Sent and received at once in a stream.
const STREAM_BYTES: usize = 256 << 10;
const LATENCY: Duration = Duration::from_millis(20);
/// Connections that measure the delay at the same time.
const DELAYED_CONNECTIONS: usize = 8;
/// Tells this program that it is to be the emulator.
const EMULATOR_ROLE: &str = "serve-emulator";
/// Looked for on the PATH when no program is named.
const PEERS: [&str; 2] = ["toxiproxy-server", "noxious-server"];

/// How much is measured.
struct Extent {
    rounds: usize,
    round: Duration,
    connections: usize,
    /// Of each connection that measures the delay, in a round.
    exchanges: usize,
}

const WHOLE: Extent = Extent { rounds: 3, round: Duration::from_secs(1), connections: 64, exchanges: 60 };
const MOMENT: Extent = Extent { rounds: 1, round: Duration::from_millis(50), connections: 4, exchanges: 2 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == EMULATOR_ROLE) {
        return serve_emulator();
    }
    let named: Vec<_> = arguments.iter().filter(|word| !word.starts_with('-')).map(PathBuf::from).collect();
    let (extent, programs) = match asked("links") {
        Asked::Everything if named.is_empty() => (WHOLE, PEERS.map(PathBuf::from).to_vec()),
        Asked::Everything => (WHOLE, named),
        Asked::AMoment => (MOMENT, Vec::new()),
        Asked::Nothing => return,
    };
    let servers = Servers::start();
    let mut peers = vec![Peer::direct(&servers), Peer::ours(&servers)];
    for program in &programs {
        match Peer::other(program, &servers) {
            Ok(peer) => peers.push(peer),
            Err(why) => println!("SKIPPED {}: {why}", program.display()),
        }
    }
    for _ in 0..extent.rounds {
        for peer in &mut peers {
            peer.measure(&extent);
        }
    }
    report(&mut peers, &extent);
}

fn report(peers: &mut [Peer], extent: &Extent) {
    println!(
        "{:<20} {:>22} {:>10} {:>22} {:>10} {:>12} {:>12}",
        "",
        format!("requests/s over {}", extent.connections),
        "CPU us",
        "MB/s on one",
        "CPU ns/B",
        "error p50 ms",
        "error p99 ms"
    );
    let direct = (median(&mut peers[0].requests), median(&mut peers[0].throughput));
    for peer in peers {
        let (requests, throughput) = (median(&mut peer.requests), median(&mut peer.throughput));
        assert!(requests > 0.0 && throughput > 0.0, "{}: nothing came through", peer.name);
        println!(
            "{:<20} {:>13.0} ({:>5.2}x) {:>10.2} {:>13.0} ({:>5.2}x) {:>10.3} {:>12.3} {:>12.3}",
            peer.name,
            requests,
            requests / direct.0,
            median(&mut peer.request_us),
            throughput,
            throughput / direct.1,
            median(&mut peer.byte_ns),
            quantile(&mut peer.errors, 0.5),
            quantile(&mut peer.errors, 0.99),
        );
    }
}

/// One way to the servers, and what was measured on it.
#[derive(Default)]
struct Peer {
    name: String,
    ways: Option<Ways>,
    process: Option<Process>,
    /// For each second.
    requests: Vec<f64>,
    /// Megabytes for each second.
    throughput: Vec<f64>,
    /// Processor time of the proxy, for each request and each byte; none without one.
    request_us: Vec<f64>,
    byte_ns: Vec<f64>,
    /// By how many milliseconds a round trip was longer than the latency.
    errors: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Ways {
    echo: SocketAddr,
    source: SocketAddr,
    delayed: SocketAddr,
}

struct Process(Child);

impl Process {
    /// Processor time of all its threads so far, in seconds.
    fn used(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("the process runs");
        let nanoseconds = threads.map(|thread| {
            let schedstat = std::fs::read_to_string(thread.expect("a thread").path().join("schedstat"));
            schedstat.expect("it runs").split(' ').next().and_then(|used| used.parse::<u64>().ok()).expect("a number")
        });
        nanoseconds.sum::<u64>() as f64 / 1e9
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).map(drop).unwrap_or_else(|error| eprintln!("{error}"));
    }
}

impl Peer {
    /// Without an emulator nobody delays: the client waits instead, to find what it and the server add.
    fn direct(servers: &Servers) -> Self {
        let ways = Ways { echo: servers.echo, source: servers.source, delayed: servers.echo };
        Self { name: "direct".to_owned(), ways: Some(ways), ..Self::default() }
    }

    fn ours(servers: &Servers) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("its own path"))
            .arg(EMULATOR_ROLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the emulator");
        let mut api = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut api).expect("the emulator's address");
        let api = api.trim().parse().expect("an address");
        Self::emulated("ours", api, servers, Process(process)).expect("the emulator answers")
    }

    fn other(program: &Path, servers: &Servers) -> io::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
        let process = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() && Instant::now() < deadline {
            thread::yield_now();
        }
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        Self::emulated(&name, address, servers, process)
    }

    fn emulated(name: &str, api: SocketAddr, servers: &Servers, process: Process) -> io::Result<Self> {
        let link = |name: &str, upstream: SocketAddr| {
            // Not port 0, which not every server tells from the port that it then has.
            let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let (listens, leads) = (listen.to_string(), upstream.to_string());
            post(api, "/proxies", &json!({"name": name, "listen": listens, "upstream": leads, "enabled": true}))?;
            Ok::<_, io::Error>(listen)
        };
        let echo = link("echo", servers.echo)?;
        let source = link("source", servers.source)?;
        let delayed = link("delayed", servers.echo)?;
        let milliseconds = LATENCY.as_millis() as u64;
        let latency = json!({
            "name": "late", "type": "latency", "stream": "downstream", "toxicity": 1.0,
            "attributes": {"latency": milliseconds, "jitter": 0},
        });
        post(api, "/proxies/delayed/toxics", &latency)?;
        let ways = Some(Ways { echo, source, delayed });
        Ok(Self { name: name.to_owned(), ways, process: Some(process), ..Self::default() })
    }

    fn measure(&mut self, extent: &Extent) {
        let Ways { echo, source, delayed } = self.ways.expect("every peer has ways");
        let used = || self.process.as_ref().map_or(f64::NAN, Process::used);
        let (before, requests) = (used(), requests_per_second(echo, extent));
        self.request_us.push((used() - before) * 1e6 / requests.counted as f64);
        self.requests.push(requests.per_second);
        let (before, bytes) = (used(), bytes_per_second(source, extent));
        self.byte_ns.push((used() - before) * 1e9 / bytes.counted as f64);
        self.throughput.push(bytes.per_second / 1e6);
        self.errors.extend(latency_errors_ms(delayed, self.process.is_none(), extent));
    }
}

/// Sends a request of the API; what is not a success is an error.
fn post(api: SocketAddr, path: &str, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let mut connection = TcpStream::connect(api)?;
    write!(
        connection,
        "POST {path} HTTP/1.1\r\nHost: {api}\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    match answer.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("{path} was answered with {answer}"))),
    }
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The emulator as `agent proxy` runs it, until the parent is gone.
fn serve_emulator() {
    current_thread().block_on(async {
        let carriers = Carriers::one_for_each_core().expect("threads");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let emulator = Emulator::start_on(carriers, anywhere, Metrics::Off).await.expect("start");
        println!("{}", emulator.address());
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
        let file = memfd_create("stream", MemfdFlags::CLOEXEC).expect("a file in memory");
        File::from(file.try_clone().expect("a file descriptor")).write_all(&vec![7; STREAM_BYTES]).expect("memory");
        thread::spawn(move || {
            for socket in source.incoming() {
                let socket = socket.expect("accept");
                let file = file.try_clone().expect("a file descriptor");
                thread::spawn(move || while sendfile(&socket, &file, Some(&mut 0), STREAM_BYTES).is_ok() {});
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

/// What was counted, from the first to the last, and the rate once it was steady.
struct Rate {
    counted: u64,
    per_second: f64,
}

/// Each connection sends its next message when the last one has come back.
fn requests_per_second(address: SocketAddr, extent: &Extent) -> Rate {
    current_thread().block_on(async {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..extent.connections {
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
        tokio::time::sleep(extent.round / 5).await;
        let (start, before) = (Instant::now(), count.load(Ordering::Relaxed));
        tokio::time::sleep(extent.round).await;
        let per_second = (count.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        clients.join_all().await;
        Rate { counted: count.load(Ordering::Relaxed), per_second }
    })
}

fn bytes_per_second(address: SocketAddr, extent: &Extent) -> Rate {
    let socket = TcpStream::connect(address).expect("connect");
    let mut block = vec![0; STREAM_BYTES];
    let mut read_for = |duration: Duration| {
        let (start, mut bytes) = (Instant::now(), 0);
        while start.elapsed() < duration {
            bytes += recv(&socket, &mut block[..], RecvFlags::TRUNC).expect("receive").1 as u64;
        }
        (bytes, bytes as f64 / start.elapsed().as_secs_f64())
    };
    let (before, _) = read_for(extent.round / 5);
    let (counted, per_second) = read_for(extent.round);
    Rate { counted: before + counted, per_second }
}

/// By how much each round trip is longer than the latency.
fn latency_errors_ms(address: SocketAddr, waits_itself: bool, extent: &Extent) -> Vec<f64> {
    let exchanges = extent.exchanges;
    let measure = move |index: usize| {
        let mut socket = TcpStream::connect(address).expect("connect");
        socket.set_nodelay(true).expect("nodelay");
        thread::sleep(LATENCY * u32::try_from(index).expect("few") / 8);
        let mut message = [1; MESSAGE_BYTES];
        let mut errors = Vec::with_capacity(exchanges);
        for _ in 0..exchanges {
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
