//! What one core can send, and how exactly it keeps its times: this generator, `wrk` when it is installed, and a Python
//! generator when `aiohttp` can be had, against the same server that answers at once.
//!
//! `cargo bench -p agent-load --bench generator`: generators run on one core and the server on another. Beside other work
//! it measures that work; `chrt -f 1 cargo bench ...` keeps it out of the rates, though not out of the times. `cargo test`
//! runs this generator alone for a moment.

use agent_arrivals::Arrival;
use agent_load::generator::{Bounds, Client, Figures, Load, Numbers, Observer, Route, Target, Template, Traces, run};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// At once, when as many requests are sent as can be.
const CONNECTIONS: usize = 64;
/// At once, at a given rate: nothing is dropped for a moment's disturbance.
const IN_FLIGHT: usize = 1_000;
const SECONDS: u64 = 5;
const GENERATOR_CORE: &str = "0";
const SERVER_CORE: &str = "1";

/// What a generator said of one measurement.
#[derive(Clone, Copy, serde::Deserialize, serde::Serialize)]
struct Measured {
    /// Answered requests in each second.
    rate: f64,
    /// Sent minus intended; 0 from who does not say.
    late_p50_us: f64,
    late_p99_us: f64,
    dropped: u64,
    p99_ms: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => serve(),
        ["generate", address, rate, seconds, in_flight] => {
            let measured = generate(
                address.parse().expect("it is ours"),
                rate.parse().expect("it is ours"),
                seconds.parse().expect("it is ours"),
                in_flight.parse().expect("it is ours"),
            );
            println!("{}", serde_json::to_string(&measured).expect("numbers can be written"));
        }
        arguments if arguments.contains(&"--bench") => compare(),
        _ => smoke(),
    }
}

fn smoke() {
    let (listener, address) = listen();
    std::thread::spawn(move || answer_all(listener));
    let measured = generate(address, 1_000.0, 0.2, IN_FLIGHT);
    println!("{:.0} requests/s of 1000", measured.rate);
    assert!(measured.rate > 0.0, "requests are answered");
}

fn compare() {
    let server = Server::start();
    let address = server.address.to_string();
    let seconds = SECONDS.to_string();
    println!(
        "{:<34} {:>11} {:>9} {:>9} {:>9} {:>10} {:>12}",
        "", "requests/s", "dropped", "p99 ms", "CPU us", "late p50", "late p99 us"
    );
    // As many as it can: wrk and Python ask again when they are answered; an open loop does not, so it is given a quarter
    // more than wrk does, and drops what is too much.
    let wrk = measure("wrk, 64 connections", || wrk(&address));
    let offered = wrk.map_or(100_000.0, |wrk| 1.25 * wrk.rate);
    let ours = measure("agent, 64 in flight", || ours(&address, offered, &seconds, CONNECTIONS));
    let python = Python::prepare();
    let python = |arguments: &[&str]| python.as_ref().and_then(|python| python.run(&address, &seconds, arguments));
    measure("aiohttp, 64 connections", || python(&["0"]));
    for rate in [1_000.0, 20_000.0] {
        measure(&format!("agent, {rate}/s"), || self::ours(&address, rate, &seconds, IN_FLIGHT));
    }
    measure("aiohttp, 1000/s", || python(&["1000"]));
    if let Some((wrk, ours)) = wrk.zip(ours) {
        println!("agent sends {:.2} of what wrk does", ours.rate / wrk.rate);
    }
}

/// Prints a line. The time of a core that each request took is of the generator alone; one that waits awake uses it whole.
fn measure(name: &str, generator: impl FnOnce() -> Option<Measured>) -> Option<Measured> {
    let before = children_cpu();
    let Some(measured) = generator() else {
        println!("{name:<34} SKIPPED: it is not installed");
        return None;
    };
    let each = (children_cpu() - before) / (measured.rate * SECONDS as f64) * 1e6;
    let Measured { rate, late_p50_us, late_p99_us, dropped, p99_ms } = measured;
    println!("{name:<34} {rate:>11.0} {dropped:>9} {p99_ms:>9.3} {each:>9.1} {late_p50_us:>10.1} {late_p99_us:>12.1}");
    Some(measured)
}

/// Seconds that children which have ended were running (proc(5): fields 16 and 17 of `stat`, in hundredths).
fn children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = behind_name.split_whitespace().skip(13).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn ours(address: &str, rate: f64, seconds: &str, in_flight: usize) -> Option<Measured> {
    let this = std::env::current_exe().expect("a program that runs has a file");
    let (rate, in_flight) = (rate.to_string(), in_flight.to_string());
    let said = said(on(GENERATOR_CORE, this).args(["generate", address, &rate, seconds, &in_flight]))?;
    serde_json::from_str(&said).ok()
}

fn wrk(address: &str) -> Option<Measured> {
    let (connections, seconds) = (format!("-c{CONNECTIONS}"), format!("-d{SECONDS}s"));
    let url = format!("http://{address}/");
    let said = said(on(GENERATOR_CORE, "wrk".into()).args(["-t1", &connections, &seconds, "--latency", &url]))?;
    let of = |begin: &str| said.lines().find_map(|line| line.trim().strip_prefix(begin)).map(str::trim);
    let p99 = of("99%")?;
    let p99_ms = match p99.strip_suffix("us") {
        Some(us) => us.parse::<f64>().ok()? / 1e3,
        None => p99.strip_suffix("ms")?.parse().ok()?,
    };
    let rate = of("Requests/sec:")?.parse().ok()?;
    Some(Measured { rate, late_p50_us: 0.0, late_p99_us: 0.0, dropped: 0, p99_ms })
}

/// A Python with `aiohttp`, in a place of its own.
struct Python(PathBuf);

impl Python {
    fn prepare() -> Option<Self> {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("generator-bench-python");
        let python = place.join("bin/python");
        let has = |python: &PathBuf| said(Command::new(python).args(["-c", "import aiohttp"])).is_some();
        if !has(&python) {
            said(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
            said(Command::new(&python).args(["-m", "pip", "install", "-q", "aiohttp"]))?;
        }
        Some(Self(python))
    }

    /// `rate` 0: as many as it can.
    fn run(&self, address: &str, seconds: &str, rate: &[&str]) -> Option<Measured> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/aiohttp_load.py");
        let connections = CONNECTIONS.to_string();
        let mut command = on(GENERATOR_CORE, self.0.clone());
        let said = said(command.args([script, address, seconds, &connections]).args(rate))?;
        serde_json::from_str(&said).ok()
    }
}

fn on(core: &str, program: PathBuf) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

/// What a command printed; `None`: it is not there, or failed.
fn said(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

struct Always(Target);

impl Route for Always {
    fn choose(&self) -> Option<Target> {
        Some(self.0.clone())
    }

    fn ended(&self, _: &Target, _: Duration) {}
}

/// One client at a constant rate; how late each was sent is known from its trace.
fn generate(address: SocketAddr, rate: f64, seconds: f64, in_flight: usize) -> Measured {
    let requests = (rate * seconds).floor();
    let plan = (0..).map(f64::from).take_while(move |n| *n < requests);
    let plan = plan.map(move |n| Arrival { at: Duration::from_secs_f64(n / rate), tick: 0 });
    let load = Load {
        clients: Vec::from([Client {
            id: 0,
            service: "bench".into(),
            plan: Box::new(plan),
            template: Arc::new(Template::new("GET", "/", [], "").expect("it is a request")),
            route: Arc::new(Always(Target { host: address.to_string().into(), index: 0 })),
            bounds: Bounds { in_flight, ..Bounds::default() },
            numbers: Numbers::default(),
            seed: 1,
        }]),
        grace: Duration::from_secs(1),
        threads: 1,
    };
    // Traces of what nobody could keep up with would measure their receiver.
    let (traces, mut receiver) = Traces::bounded(40_000);
    let observer = Observer { traces: (rate <= 20_000.0).then_some(traces), ..Observer::default() };
    let collector = std::thread::spawn(move || {
        let mut late = Vec::new();
        while let Some(trace) = receiver.blocking_recv() {
            let sent = trace.sent.and_then(|sent| sent.duration_since(trace.intended).ok());
            late.extend(sent.map(|late| late.as_secs_f64() * 1e6));
        }
        late.sort_unstable_by(f64::total_cmp);
        late
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("this is no much used system");
    let figures: Figures =
        runtime.block_on(run(load, observer, std::future::pending())).expect("a thread can be started");
    let late = collector.join().expect("it does not panic");
    let at = |percent: usize| late.get(late.len() * percent / 100).copied().unwrap_or_default();
    Measured {
        rate: figures.rate_achieved,
        late_p50_us: at(50),
        late_p99_us: at(99),
        dropped: figures.counted.dropped,
        p99_ms: figures.response_ms.map_or(0.0, |times| times.p99),
    }
}

/// The server as a process of its own, until it is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let this = std::env::current_exe().expect("a program that runs has a file");
        let mut process = on(SERVER_CORE, this)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset is installed");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("the server says where it is");
        Self { process, address: line.trim().parse().expect("it is an address") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends with this, and with it the server.
        drop(self.process.stdin.take());
        let (Ok(_) | Err(_)) = self.process.wait();
    }
}

fn serve() {
    let (listener, address) = listen();
    println!("{address}");
    std::io::stdout().flush().expect("somebody reads this");
    std::thread::spawn(move || answer_all(listener));
    let (Ok(_) | Err(_)) = std::io::stdin().read(&mut [0]);
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Answers each request as soon as its head is there, and reads nothing of it.
fn answer_all(listener: TcpListener) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("there is memory");
    runtime.block_on(async {
        listener.set_nonblocking(true).expect("it is a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("it is a socket");
        while let Ok((mut connection, _)) = listener.accept().await {
            connection.set_nodelay(true).expect("it is a socket");
            tokio::spawn(async move {
                let mut buffer = [0; 2048];
                let mut filled = 0;
                while let Ok(read @ 1..) = connection.read(&mut buffer[filled..]).await {
                    filled += read;
                    if buffer[..filled].ends_with(b"\r\n\r\n") {
                        filled = 0;
                        let answer =
                            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
                        if connection.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
}
