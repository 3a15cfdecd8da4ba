//! The client of toxiproxy's API against the embedded server, against a real one if there is one, and against nonsense; and
//! the probe through a link.

mod links_support;

use agent::domain::ids::{AgentId, NodeId};
use agent::links::probe::{ProbeError, probe};
use agent::links::toxiproxy::Toxiproxy;
use agent::links::{LinkError, Links};
use links_support::{Api, connect, echo, exchange, read_to_end};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const AGENT: AgentId = AgentId(3);
const NODE: NodeId = NodeId(2);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// What every emulator must do for its agents.
async fn contract(links: &dyn Links) {
    let (first, second) = (echo().await, echo().await);
    links.close(AGENT, NODE).await.unwrap();
    let listen = links.open(AGENT, NODE, first).await.unwrap();
    assert_eq!(links.open(AGENT, NODE, first).await.unwrap(), listen, "opening again changes nothing");
    assert_eq!(links.latency(AGENT, NODE).await.unwrap(), Duration::ZERO);
    assert_eq!(exchange(&mut connect(listen).await, "hello").await, "hello");

    let mut socket = connect(listen).await;
    for latency in [ms(30), ms(12), Duration::ZERO] {
        links.set_latency(AGENT, NODE, latency).await.unwrap();
        assert_eq!(links.latency(AGENT, NODE).await.unwrap(), latency);
        let start = std::time::Instant::now();
        exchange(&mut socket, "hello").await;
        assert!(start.elapsed() >= latency);
    }
    let moved = links.open(AGENT, NODE, second).await.unwrap();
    assert_eq!(exchange(&mut connect(moved).await, "hello").await, "hello");
    links.close(AGENT, NODE).await.unwrap();
    links.close(AGENT, NODE).await.unwrap();
    for outcome in [links.set_latency(AGENT, NODE, ms(1)).await, links.latency(AGENT, NODE).await.map(|_| ())] {
        assert!(matches!(outcome, Err(LinkError::Refused { status: 404, .. })), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_embedded_emulator_keeps_the_contract() {
    let api = Api::start().await;
    contract(&Toxiproxy::new(&api.emulator.url()).unwrap()).await;
}

#[tokio::test]
async fn a_real_toxiproxy_keeps_the_contract() {
    let Ok(url) = std::env::var("TOXIPROXY_URL") else {
        println!("SKIPPED: TOXIPROXY_URL does not name a running toxiproxy (such as http://127.0.0.1:8474)");
        return;
    };
    contract(&Toxiproxy::new(&url).unwrap()).await;
}

#[tokio::test]
async fn opening_repairs_a_link_that_was_changed_by_others() {
    let api = Api::start().await;
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    let upstream = echo().await;
    let listen = links.open(AGENT, NODE, upstream).await.unwrap();
    api.send("POST", "/proxies/agent3-node2", json!({"enabled": false})).await;
    assert_eq!(links.open(AGENT, NODE, upstream).await.unwrap(), listen);
    assert_eq!(exchange(&mut connect(listen).await, "hello").await, "hello");
}

#[tokio::test]
async fn two_agents_may_open_a_link_at_once() {
    let api = Api::start().await;
    let (one, other) = (Toxiproxy::new(&api.emulator.url()).unwrap(), Toxiproxy::new(&api.emulator.url()).unwrap());
    let upstream = echo().await;
    for node in (1..20).map(NodeId) {
        let (first, second) = tokio::join!(one.open(AGENT, node, upstream), other.open(AGENT, node, upstream));
        assert_eq!(first.unwrap(), second.unwrap());
    }
}

#[tokio::test]
async fn fractions_of_a_millisecond_are_kept() {
    let api = Api::start().await;
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    links.open(AGENT, NODE, echo().await).await.unwrap();
    links.set_latency(AGENT, NODE, Duration::from_micros(20_140)).await.unwrap();
    assert_eq!(links.latency(AGENT, NODE).await.unwrap(), Duration::from_micros(20_140));
    let toxic = api.get("/proxies/agent3-node2/toxics/latency_downstream").await.1;
    assert_eq!(toxic["attributes"], json!({"latency": 20.14, "jitter": 0}));
}

/// A server that answers every request with the same text.
async fn always(answer: &'static str) -> String {
    answering(move |_| answer).await
}

async fn answering(answer: impl Fn(&str) -> &'static str + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let count = socket.read(&mut request).await.unwrap();
                let text = answer(&String::from_utf8_lossy(&request[..count]));
                socket.write_all(text.as_bytes()).await.unwrap();
                socket.shutdown().await.unwrap_or_default();
            });
        }
    });
    url
}

#[tokio::test]
async fn a_server_of_whole_milliseconds_gets_rounded_ones() {
    let url = answering(|request| {
        if request.contains("20.14") {
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 46\r\n\r\n{\"error\":\"bad request body: 20.14\",\"status\":400}"
        } else {
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
        }
    })
    .await;
    let links = Toxiproxy::new(&url).unwrap();
    links.set_latency(AGENT, NODE, Duration::from_micros(20_140)).await.unwrap();
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors_with_the_address() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>", "200: the answer is not toxiproxy's: <html>"),
        ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", "200: the answer is not toxiproxy's: it is empty"),
        ("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nnginx", "404: the answer is not toxiproxy's: nginx"),
        ("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n{\"error\":\"go away\",\"status\":403}", "403: go away"),
        (
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"listen\":\"here\",\"upstream\":\"127.0.0.1:9\",\"enabled\":true}",
            "200: it says to listen on \"here\", not an address",
        ),
    ] {
        let url = always(answer).await;
        let links = Toxiproxy::new(&url).unwrap();
        let error = links.open(AGENT, NODE, "127.0.0.1:9".parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.starts_with(&url) && error.contains("agent3-node2") && error.ends_with(expected), "{error}");
    }
    let url = always("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"listen\":\"127.0.0.1:1\",\"upstream\":\"127.0.0.1:9\",\"enabled\":true,\"toxics\":[{\"name\":\"latency_downstream\",\"attributes\":{\"latency\":-3}}]}").await;
    let error = Toxiproxy::new(&url).unwrap().latency(AGENT, NODE).await.unwrap_err().to_string();
    assert!(error.contains("read the latency of agent3-node2"), "{error}");
}

#[tokio::test]
async fn an_emulator_that_is_away_is_unavailable() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let links = Toxiproxy::new(&format!("http://{gone}/")).unwrap();
    let error = links.set_latency(AGENT, NODE, ms(1)).await.unwrap_err();
    assert!(matches!(error, LinkError::Unavailable { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("http://{gone}: POST /proxies/agent3-node2/")), "{error}");
}

/// An HTTP server that answers each request on a connection, the first `requests` of them.
async fn http(answer: &'static str, requests: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                for _ in 0..requests {
                    if socket.read(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                    socket.write_all(answer.as_bytes()).await.unwrap_or_default();
                }
            });
        }
    });
    address
}

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_probe_measures_the_links_latency() {
    let api = Api::start().await;
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    let listen = links.open(AGENT, NODE, http(FORBIDDEN, usize::MAX).await).await.unwrap();
    for latency in [Duration::from_micros(12_500), ms(4)] {
        links.set_latency(AGENT, NODE, latency).await.unwrap();
        let measured = probe(listen, 5, links_support::PATIENCE).await.unwrap();
        assert!(measured >= latency, "{measured:?} for {latency:?}");
        assert!(measured < ms(5000), "{measured:?} for {latency:?}");
    }
}

#[tokio::test]
async fn a_probe_gets_along_with_servers_that_close() {
    for (answer, requests) in [
        (FORBIDDEN, 1),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", usize::MAX),
        ("HTTP/1.0 200 OK\r\n\r\n", usize::MAX),
        ("HTTP/1.1 405 No\r\ncontent-length: 3\r\n\r\nno!", usize::MAX),
    ] {
        let address = http(answer, requests).await;
        probe(address, 3, links_support::PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_probe_that_cannot_be_says_why() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(probe(gone, 3, links_support::PATIENCE).await, Err(ProbeError::Connect { .. })));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    assert!(matches!(probe(address, 3, ms(50)).await, Err(ProbeError::Timeout { .. })));
    assert!(matches!(probe(address, 0, ms(50)).await, Err(ProbeError::NoSamples { .. })));
    let ssh = http("SSH-2.0-nobody\r\n", usize::MAX).await;
    assert!(matches!(probe(ssh, 3, links_support::PATIENCE).await, Err(ProbeError::Exchange { .. })));
    assert_eq!(read_to_end(&mut connect(http("", 0).await).await).await.0, "");
}
