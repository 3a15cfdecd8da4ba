//! The client of toxiproxy's API against the embedded server, against a real one if there is one, and against nonsense; and
//! the probe through a link.

use crate::support::{Api, connect, echo, exchange, read_to_end};
use agent::links::probe::{ProbeError, probe};
use agent::links::toxiproxy::Toxiproxy;
use agent::links::{LinkError, Links};
use agent_core::domain::ids::{AgentId, NodeId};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const AGENT: AgentId = AgentId(3);
const NODE: NodeId = NodeId(2);

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A server that echoes, at a name that the emulator has to resolve.
async fn named_echo() -> String {
    format!("localhost:{}", echo().await.port())
}

/// What every emulator must do for its agents.
async fn contract(links: &dyn Links) {
    let (first, second) = (named_echo().await, echo().await.to_string());
    links.close(AGENT, NODE).await.unwrap();
    assert!(!links.has(AGENT, NODE).await.unwrap());
    let listen = links.open(AGENT, NODE, &first).await.unwrap();
    assert!(links.has(AGENT, NODE).await.unwrap());
    assert_eq!(links.open(AGENT, NODE, &first).await.unwrap(), listen, "opening again changes nothing");
    assert_eq!(links.latency(AGENT, NODE).await.unwrap(), Duration::ZERO);
    assert_eq!(exchange(&mut connect(&listen).await, "hello").await, "hello");

    let mut socket = connect(&listen).await;
    for latency in [ms(30), ms(12), Duration::ZERO] {
        links.set_latency(AGENT, NODE, latency).await.unwrap();
        assert_eq!(links.latency(AGENT, NODE).await.unwrap(), latency);
        let start = std::time::Instant::now();
        exchange(&mut socket, "hello").await;
        assert!(start.elapsed() >= latency);
    }
    let moved = links.open(AGENT, NODE, &second).await.unwrap();
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
async fn opening_brings_back_what_a_restarted_emulator_forgot() {
    let api = Api::start().await;
    let (address, upstream) = (api.emulator.address(), named_echo().await);
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    links.open(AGENT, NODE, &upstream).await.unwrap();
    api.emulator.shutdown().await;
    for outcome in [links.open(AGENT, NODE, &upstream).await.map(|_| ()), links.has(AGENT, NODE).await.map(|_| ())] {
        assert!(matches!(outcome, Err(LinkError::Unavailable { .. })), "{outcome:?}");
    }

    let _restarted = Api::listening_on(&address.to_string()).await;
    assert!(!links.has(AGENT, NODE).await.unwrap());
    let listen = links.open(AGENT, NODE, &upstream).await.unwrap();
    links.set_latency(AGENT, NODE, ms(2)).await.unwrap();
    assert_eq!(exchange(&mut connect(&listen).await, "hello").await, "hello");
}

#[tokio::test]
async fn a_name_that_nobody_has_yet_is_resolved_when_somebody_connects() {
    let api = Api::start().await;
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    let listen = links.open(AGENT, NODE, "nobody.invalid:80").await.unwrap();
    assert_eq!(read_to_end(&mut connect(&listen).await).await.0, "");
}

#[tokio::test]
async fn a_link_that_was_switched_off_stays_off() {
    let api = Api::start().await;
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    let upstream = echo().await.to_string();
    let listen = links.open(AGENT, NODE, &upstream).await.unwrap();
    api.send("POST", "/proxies/agent3-node2", json!({"enabled": false})).await;
    let error = links.open(AGENT, NODE, &upstream).await.unwrap_err();
    assert!(matches!(&error, LinkError::SwitchedOff { link, .. } if link == "agent3-node2"), "{error}");
    assert_eq!(api.get("/proxies/agent3-node2").await.1["enabled"], false);

    api.send("POST", "/proxies/agent3-node2", json!({"enabled": true})).await;
    assert_eq!(links.open(AGENT, NODE, &upstream).await.unwrap(), listen);
    assert_eq!(exchange(&mut connect(&listen).await, "hello").await, "hello");
}

#[tokio::test]
async fn what_others_set_stays_but_for_where_a_link_leads() {
    let api = Api::start().await;
    let upstream = echo().await.to_string();
    let by_hand = json!({"name": "agent3-node2", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"});
    let listen = api.send("POST", "/proxies", by_hand).await.1["listen"].clone();
    let stranger = json!({"name": "agent3", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"});
    let stranger = api.send("POST", "/proxies", stranger).await.1;
    let toxic = json!({"type": "slicer", "name": "mine", "attributes": {"average_size": 3}});
    api.send("POST", "/proxies/agent3-node2/toxics", toxic).await;

    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    assert_eq!(links.open(AGENT, NODE, &upstream).await.unwrap(), listen);
    links.set_latency(AGENT, NODE, ms(3)).await.unwrap();
    let proxy = api.get("/proxies/agent3-node2").await.1;
    assert_eq!((&proxy["upstream"], &proxy["listen"]), (&json!(upstream), &listen));
    let names: Vec<&Value> = proxy["toxics"].as_array().unwrap().iter().map(|toxic| &toxic["name"]).collect();
    assert_eq!(names, ["mine", "latency_downstream"]);
    assert_eq!(api.get("/proxies/agent3").await.1, stranger);
}

/// An address of this machine that is not loopback's; nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

#[tokio::test]
async fn links_of_an_emulator_elsewhere_are_reached_there() {
    let Some(own) = own_address() else {
        println!("SKIPPED: this machine has no address but loopback's");
        return;
    };
    let api = Api::listening_on("0.0.0.0:0").await;
    let links = Toxiproxy::new(&format!("http://{own}:{}", api.emulator.address().port())).unwrap();
    let upstream = named_echo().await;
    // By hand, where only the emulator's own machine gets to.
    let unreachable = json!({"name": "agent3-node2", "listen": "127.0.0.1:0", "upstream": upstream});
    api.send("POST", "/proxies", unreachable).await;
    for node in [NODE, NodeId(1)] {
        let address: SocketAddr = links.open(AGENT, node, &upstream).await.unwrap().parse().unwrap();
        assert_eq!(address.ip(), own);
        let listen = api.get(&format!("/proxies/agent3-node{node}")).await.1["listen"].clone();
        assert_eq!(listen, format!("0.0.0.0:{}", address.port()));
        assert_eq!(exchange(&mut connect(address).await, "hello").await, "hello");
    }
    let stated = Toxiproxy::new(&api.emulator.url()).unwrap().listening_on(own);
    let address: SocketAddr = stated.open(AGENT, NodeId(4), &upstream).await.unwrap().parse().unwrap();
    assert_eq!(address.ip(), own, "what the agent states is where it listens");
    assert_eq!(api.get("/proxies/agent3-node4").await.1["listen"], address.to_string());
}

#[tokio::test]
async fn two_agents_may_open_a_link_at_once() {
    let api = Api::start().await;
    let (one, other) = (Toxiproxy::new(&api.emulator.url()).unwrap(), Toxiproxy::new(&api.emulator.url()).unwrap());
    let upstream = echo().await.to_string();
    for node in (1..20).map(NodeId) {
        let (first, second) = tokio::join!(one.open(AGENT, node, &upstream), other.open(AGENT, node, &upstream));
        assert_eq!(first.unwrap(), second.unwrap());
    }
}

#[tokio::test]
async fn fractions_of_a_millisecond_are_kept() {
    let api = Api::start().await;
    let links = Toxiproxy::new(&api.emulator.url()).unwrap();
    links.open(AGENT, NODE, &echo().await.to_string()).await.unwrap();
    links.set_latency(AGENT, NODE, Duration::from_micros(20_140)).await.unwrap();
    assert_eq!(links.latency(AGENT, NODE).await.unwrap(), Duration::from_micros(20_140));
    // Others could not read them: whoever lists toxics sees whole ones.
    let whole = json!({"latency": 20, "jitter": 0});
    let toxics = "/proxies/agent3-node2/toxics";
    for shown in [
        api.get(&format!("{toxics}/latency_downstream")).await.1,
        api.get(toxics).await.1[0].clone(),
        api.get("/proxies/agent3-node2").await.1["toxics"][0].clone(),
        api.get("/proxies").await.1["agent3-node2"]["toxics"][0].clone(),
        api.send("POST", &format!("{toxics}/latency_downstream"), json!({"toxicity": 1})).await.1,
    ] {
        assert_eq!(shown["attributes"], whole);
    }
    assert_eq!(links.latency(AGENT, NODE).await.unwrap(), Duration::from_micros(20_140), "and it stays what it is");
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
        let error = links.open(AGENT, NODE, "127.0.0.1:9").await.unwrap_err().to_string();
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
async fn http(answer: &'static str, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
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
    let listen = links.open(AGENT, NODE, &http(FORBIDDEN, usize::MAX).await).await.unwrap();
    for latency in [Duration::from_micros(12_500), ms(4)] {
        links.set_latency(AGENT, NODE, latency).await.unwrap();
        let measured = probe(&listen, 5, crate::support::PATIENCE).await.unwrap();
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
        probe(&address, 3, crate::support::PATIENCE).await.unwrap();
    }
}

#[tokio::test]
async fn a_probe_that_cannot_be_says_why() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    assert!(matches!(probe(&gone, 3, crate::support::PATIENCE).await, Err(ProbeError::Connect { .. })));
    assert!(matches!(probe("nobody.invalid:80", 3, crate::support::PATIENCE).await, Err(ProbeError::Connect { .. })));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    assert!(matches!(probe(&address, 3, ms(50)).await, Err(ProbeError::Timeout { .. })));
    assert!(matches!(probe(&address, 0, ms(50)).await, Err(ProbeError::NoSamples { .. })));
    let ssh = http("SSH-2.0-nobody\r\n", usize::MAX).await;
    assert!(matches!(probe(&ssh, 3, crate::support::PATIENCE).await, Err(ProbeError::Exchange { .. })));
    assert_eq!(read_to_end(&mut connect(http("", 0).await).await).await.0, "");
}
