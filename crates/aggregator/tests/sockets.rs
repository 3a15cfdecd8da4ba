//! Both protocols over real sockets of this machine: multicast by `lo`, an independent reader, HTTP.

use agent_aggregator::mdsmp::Metric;
use agent_aggregator::udsmp::Request;
use agent_aggregator::{AggregatorService, Emission, Emitter, HostName, Policy, Reader, Settings};
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinSet, spawn_blocking};

/// A machine that is busy with other things needs its time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at whether it has happened.
const LOOK: Duration = Duration::from_millis(10);

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// An aggregator on free ports; `None` where `lo` cannot multicast.
fn aggregator() -> Option<AggregatorService> {
    let settings =
        Settings { interface: Some("lo".to_owned()), metrics_port: 0, server: loopback(0), policy: Policy::default() };
    match AggregatorService::start(&settings) {
        Ok(service) => Some(service),
        Err(error) => {
            println!("SKIPPED: {error}");
            None
        }
    }
}

/// Looks until `there` finds something.
async fn eventually<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match there() {
                Some(found) => return found,
                None => tokio::time::sleep(LOOK).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Sends to the metrics' port of an aggregator, whatever the way, one behind the other.
async fn send(to: u16, datagrams: impl IntoIterator<Item = Vec<u8>>) {
    let socket = UdpSocket::bind(loopback(0)).await.expect("a free port");
    for datagram in datagrams {
        socket.send_to(&datagram, loopback(to)).await.expect("sent");
        tokio::task::yield_now().await;
    }
}

async fn ask(service: &AggregatorService, request: Request<'static>) -> Vec<String> {
    let reader = Reader::new(service.server());
    let answer = spawn_blocking(move || reader.ask(&request)).await.expect("no panic").expect("an answer");
    assert!(answer.complete);
    answer.entries
}

#[tokio::test(flavor = "multi_thread")]
async fn emitters_on_one_machine_are_heard_by_several_aggregators() {
    let Some(service) = aggregator() else { return };
    let second = Settings {
        interface: Some("lo".to_owned()),
        metrics_port: service.metrics_port(),
        server: loopback(0),
        policy: Policy::default(),
    };
    let second = AggregatorService::start(&second).expect("the port is shared");
    let mut emitters = JoinSet::new();
    for number in 1..=5 {
        let emission = Emission {
            metrics: Metric::ALL.into(),
            host: HostName::new(&format!("Node_{number}")).expect("a name"),
            disk: "/".into(),
            interface: Some("lo".to_owned()),
            port: service.metrics_port(),
            ttl: 1,
            delay: Duration::ZERO,
            frequency: Duration::from_millis(250),
        };
        emitters.spawn(Emitter::open(emission).expect("`lo` can multicast").run());
    }
    for service in [&service, &second] {
        // CPU, memory and disk of each.
        let is_complete = || {
            let view = service.view();
            (view.emitters.iter().filter(|emitter| emitter.metrics.len() == 3).count() == 5).then_some(())
        };
        eventually("five emitters with three metrics", is_complete).await;
        assert_eq!(ask(service, Request::Emitters).await, ["Node_1", "Node_2", "Node_3", "Node_4", "Node_5"]);
        let values = ask(service, Request::Emitter("Node_3")).await;
        let is_value = |metric: &str| values.iter().any(|value| value.starts_with(&format!("{metric}: ")));
        assert!(is_value("cpu") && is_value("ram") && is_value("dsk"), "{values:?}");
    }
}

/// The reader that shares no code with ours; `None` where there is no Python.
async fn independent_reader(port: u16, request: &'static str) -> Option<Output> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/udsmp_reader.py");
    let run = move || Command::new("python3").arg(script).arg(port.to_string()).arg(request).output();
    match spawn_blocking(run).await.expect("no panic") {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: python3: {error}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_reader_lists_a_thousand_emitters() {
    let Some(service) = aggregator() else { return };
    let names: Vec<String> = (0..1000).map(|number| format!("Node_{number:04}")).collect();
    let to = service.metrics_port();
    for some in names.chunks(100) {
        send(to, some.iter().map(|name| format!("cpu{{value=30.00, host={name}}}").into_bytes())).await;
        let last = some.last().expect("a hundred").as_str();
        eventually("a hundred emitters more", || service.view().emitter(last).map(|_| ())).await;
    }
    assert_eq!(ask(&service, Request::Emitters).await, names);
    let port = service.server().port();
    let Some(output) = independent_reader(port, "GET_EMITTERS ").await else { return };
    let lines = String::from_utf8(output.stdout).expect("text");
    assert!(lines.lines().eq(&names), "{lines}\n{}", String::from_utf8_lossy(&output.stderr));
    let Some(output) = independent_reader(port, "GET_EMITTER Node_0007").await else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "cpu: 30.00\n");
    let Some(output) = independent_reader(port, "GET_EMITTER").await else { return };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "ERROR 1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_measurement_ends_nothing() {
    let Some(service) = aggregator() else { return };
    let to = service.metrics_port();
    let bad = [vec![], vec![0xff; 65_507], b"cpu{value=NaN, host=a}".to_vec(), b"cpu{value=1.00, host=good}".to_vec()];
    send(to, bad).await;
    eventually("the good one", || service.view().emitter("good").map(|_| ())).await;
    let counts = service.view().counts;
    assert_eq!((counts.accepted, counts.refused.values().sum::<u64>()), (1, 3));
    // A burst of requests while a list is read; each of this reader's is still answered.
    let burst = UdpSocket::bind(loopback(0)).await.expect("a free port");
    for _ in 0..200 {
        burst.send_to(b"GET_EMITTERS", service.server()).await.expect("sent");
    }
    assert_eq!(ask(&service, Request::Emitters).await, ["good"]);
    assert_eq!(ask(&service, Request::Emitter("good")).await, ["cpu: 1.00"]);
}

/// The head and the body that a request gets.
async fn http(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    let mut connection = TcpStream::connect(address).await.expect("connected");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().expect("a status").to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn http_shows_what_udsmp_cannot() {
    let Some(service) = aggregator() else { return };
    send(service.metrics_port(), [b"cpu{value=30.00, host=a, b/c}".to_vec()]).await;
    eventually("the emitter", || service.view().emitter("a, b/c").map(|_| ())).await;
    let listener = TcpListener::bind(loopback(0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(axum::serve(listener, service.routes()).into_future());
    let (status, body) = http(address, "GET", "/emitters").await;
    let all: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status.as_str(), &all["emitters"][0]["host"]), ("HTTP/1.1 200 OK", &"a, b/c".into()));
    let (status, body) = http(address, "GET", "/emitters/a,%20b%2Fc").await;
    let one: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status.as_str(), &one["metrics"]["cpu"][0]["value"]), ("HTTP/1.1 200 OK", &30.0.into()));
    let (_, page) = http(address, "GET", "/metrics").await;
    assert!(page.contains("mdsmp_cpu_percent{host=\"a, b/c\"} 30.0\n"), "{page}");
    assert_eq!(http(address, "GET", "/emitters/nobody").await.0, "HTTP/1.1 404 Not Found");
    assert_eq!(http(address, "GET", "/nothing").await.0, "HTTP/1.1 404 Not Found");
    assert_eq!(http(address, "POST", "/emitters").await.0, "HTTP/1.1 405 Method Not Allowed");
    assert!(http(address, "GET", "/").await.1.contains("/metrics"));
    server.abort();
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_named_with_those_that_are() {
    let settings = Settings {
        interface: Some("nothing0".to_owned()),
        metrics_port: 0,
        server: loopback(0),
        policy: Policy::default(),
    };
    let error = AggregatorService::start(&settings).expect_err("no such interface").to_string();
    assert!(error.starts_with("there is no network interface `nothing0` on this machine; name one of "), "{error}");
}
