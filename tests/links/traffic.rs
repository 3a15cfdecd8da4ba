//! What each toxic does to real connections, and that changes act on open ones.

use crate::support::{Api, connect, echo, exchange, patiently, read_exactly, read_to_end};
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Ten thousand bytes there and back, and the end behind them.
async fn ten_thousand_bytes(link: SocketAddr) {
    let text = "0123456789".repeat(1000);
    let (mut source, mut sink) = connect(link).await.into_split();
    let sent = text.clone();
    let sender = tokio::spawn(async move {
        sink.write_all(sent.as_bytes()).await.unwrap();
        sink.shutdown().await.unwrap();
    });
    let mut answer = Vec::new();
    patiently(source.read_to_end(&mut answer)).await.unwrap();
    sender.await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), text);
}

#[tokio::test]
async fn without_toxics_everything_arrives() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    ten_thousand_bytes(link).await;
}

#[tokio::test]
async fn ten_thousand_bytes_arrive_through_every_toxic() {
    for (type_name, attributes) in [
        ("latency", json!({"latency": 5, "jitter": 5})),
        ("bandwidth", json!({"rate": 1000})),
        ("slow_close", json!({"delay": 20})),
        ("slicer", json!({"average_size": 64, "size_variation": 32, "delay": 10})),
        ("limit_data", json!({"bytes": 10_001})),
    ] {
        for stream in ["upstream", "downstream"] {
            let api = Api::start().await;
            let link = api.link_to(echo().await).await;
            api.toxic(type_name, stream, attributes.clone()).await;
            ten_thousand_bytes(link).await;
        }
    }
}

#[tokio::test]
async fn ten_thousand_bytes_arrive_through_all_toxics_at_once() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    for stream in ["upstream", "downstream"] {
        api.toxic("slicer", stream, json!({"average_size": 100, "size_variation": 100})).await;
        api.toxic("latency", stream, json!({"latency": 3, "jitter": 2})).await;
        api.toxic("bandwidth", stream, json!({"rate": 2000})).await;
        api.toxic("slow_close", stream, json!({"delay": 10})).await;
        api.toxic("limit_data", stream, json!({"bytes": 10_001})).await;
    }
    ten_thousand_bytes(link).await;
}

/// The shortest of a few exchanges: a loaded machine only adds.
async fn shortest_exchange(socket: &mut TcpStream) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        exchange(socket, "hello").await;
        shortest = shortest.min(start.elapsed());
    }
    shortest
}

#[tokio::test]
async fn latency_delays_each_direction_and_changes_on_an_open_connection() {
    for stream in ["upstream", "downstream"] {
        let api = Api::start().await;
        let link = api.link_to(echo().await).await;
        let mut socket = connect(link).await;
        exchange(&mut socket, "no toxic yet").await;
        api.toxic("latency", stream, json!({"latency": 40})).await;
        assert!(shortest_exchange(&mut socket).await >= ms(40));
        let toxic = format!("latency_{stream}");
        api.adjust(&toxic, json!({"latency": 11})).await;
        assert!(shortest_exchange(&mut socket).await >= ms(11));
        // Held for longer than the test may take, then released by the removal, not by time.
        api.adjust(&toxic, json!({"latency": 3_600_000})).await;
        socket.write_all(b"hello").await.unwrap();
        api.remove(&toxic).await;
        assert_eq!(read_exactly(&mut socket, 5).await, "hello");
    }
}

#[tokio::test]
async fn latency_does_not_slow_a_stream_down() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("latency", "downstream", json!({"latency": 3_600_000})).await;
    let mut socket = connect(link).await;
    // Far more than what sockets buffer: it must be in flight, with room for more, while nothing arrives.
    patiently(socket.write_all(&vec![7; 24 << 20])).await.unwrap();
    api.remove("latency_downstream").await;
    let mut answer = vec![0; 24 << 20];
    patiently(socket.read_exact(&mut answer)).await.unwrap();
    assert!(answer.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn what_is_in_flight_is_bounded() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("bandwidth", "upstream", json!({"rate": 0})).await;
    let mut socket = connect(link).await;
    let block = vec![0; 1 << 20];
    let mut taken = 0;
    // What is not taken within a second is taken by nobody: nothing moves on the other side.
    while let Ok(written) = tokio::time::timeout(ms(1000), socket.write_all(&block)).await {
        written.unwrap();
        taken += block.len();
        assert!(taken < 64 << 20, "backpressure never came");
    }
}

#[tokio::test]
async fn bandwidth_limits_the_rate_and_zero_blocks() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("bandwidth", "downstream", json!({"rate": 100})).await;
    let mut socket = connect(link).await;
    let start = Instant::now();
    exchange(&mut socket, &"x".repeat(10_000)).await;
    assert!(start.elapsed() >= ms(95), "{:?}", start.elapsed());

    api.adjust("bandwidth_downstream", json!({"rate": 0})).await;
    socket.write_all(b"blocked").await.unwrap();
    let mut answer = [0; 7];
    assert!(tokio::time::timeout(ms(100), socket.read(&mut answer)).await.is_err());
    api.adjust("bandwidth_downstream", json!({"rate": 1000})).await;
    assert_eq!(read_exactly(&mut socket, 7).await, "blocked");
}

#[tokio::test]
async fn slow_close_delays_the_end_only() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("slow_close", "downstream", json!({"delay": 80})).await;
    let mut socket = connect(link).await;
    exchange(&mut socket, "hello").await;
    let start = Instant::now();
    socket.shutdown().await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, (String::new(), None));
    assert!(start.elapsed() >= ms(80));
}

#[tokio::test]
async fn timeout_swallows_data_and_closes() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("timeout", "downstream", json!({"timeout": 60})).await;
    let start = Instant::now();
    let mut socket = connect(link).await;
    socket.write_all(b"hello").await.unwrap();
    assert_eq!(read_to_end(&mut socket).await, (String::new(), None));
    assert!(start.elapsed() >= ms(60));
}

#[tokio::test]
async fn timeout_zero_stays_open_until_the_toxic_is_removed() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("timeout", "upstream", json!({})).await;
    let mut socket = connect(link).await;
    socket.write_all(b"hello").await.unwrap();
    assert!(tokio::time::timeout(ms(100), socket.read_u8()).await.is_err());
    api.remove("timeout_upstream").await;
    assert_eq!(read_to_end(&mut socket).await.0, "");
    let mut next = connect(link).await;
    assert_eq!(exchange(&mut next, "hello").await, "hello");
}

#[tokio::test]
async fn reset_peer_waits_for_data_and_resets() {
    for stream in ["upstream", "downstream"] {
        let api = Api::start().await;
        let link = api.link_to(echo().await).await;
        api.toxic("reset_peer", stream, json!({"timeout": 30})).await;
        let mut socket = connect(link).await;
        assert!(tokio::time::timeout(ms(100), socket.read_u8()).await.is_err(), "no data, no reset");
        socket.write_all(b"hello").await.unwrap();
        assert_eq!(read_to_end(&mut socket).await, (String::new(), Some(ErrorKind::ConnectionReset)));
    }
}

#[tokio::test]
async fn slicer_sends_small_pieces() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("slicer", "downstream", json!({"average_size": 10, "size_variation": 2, "delay": 1000})).await;
    let mut socket = connect(link).await;
    let start = Instant::now();
    exchange(&mut socket, &"0123456789".repeat(10)).await;
    // At most 12 bytes each: 9 pieces, 8 pauses of a millisecond between them.
    assert!(start.elapsed() >= ms(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn limit_data_closes_behind_its_limit() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    api.toxic("limit_data", "downstream", json!({"bytes": 7})).await;
    let mut socket = connect(link).await;
    socket.write_all(b"hello world").await.unwrap();
    assert_eq!(read_to_end(&mut socket).await.0, "hello w");
}

#[tokio::test]
async fn a_disabled_proxy_closes_and_refuses_and_can_return() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    let mut socket = connect(link).await;
    exchange(&mut socket, "hello").await;
    api.send("POST", "/proxies/link", json!({"enabled": false})).await;
    assert_eq!(read_to_end(&mut socket).await.0, "");
    assert_eq!(TcpStream::connect(link).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    api.send("POST", "/proxies/link", json!({"enabled": true})).await;
    assert_eq!(exchange(&mut connect(link).await, "hello").await, "hello");
}

#[tokio::test]
async fn connections_survive_an_update_that_changes_nothing() {
    let api = Api::start().await;
    let upstream = echo().await;
    let link = api.link_to(upstream).await;
    let mut socket = connect(link).await;
    exchange(&mut socket, "hello").await;
    let same =
        json!({"listen": format!("localhost:{}", link.port()), "upstream": upstream.to_string(), "enabled": true});
    for body in [json!({}), same] {
        assert_eq!(api.send("POST", "/proxies/link", body).await.0, 200);
        assert_eq!(exchange(&mut socket, "still here").await, "still here");
    }
    let other = echo().await;
    api.send("PATCH", "/proxies/link", json!({"upstream": other.to_string()})).await;
    assert_eq!(read_to_end(&mut socket).await.0, "");
    assert_eq!(exchange(&mut connect(link).await, "elsewhere").await, "elsewhere");
}

#[tokio::test]
async fn a_client_is_closed_when_the_server_is_away() {
    let api = Api::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let link = api.link_to(gone).await;
    assert_eq!(read_to_end(&mut connect(link).await).await.0, "");
}

#[tokio::test]
async fn deleting_a_proxy_closes_it() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    let mut socket = connect(link).await;
    exchange(&mut socket, "hello").await;
    assert_eq!(api.send_text("DELETE", "/proxies/link", None).await, (204, Value::Null));
    assert_eq!(read_to_end(&mut socket).await.0, "");
    assert!(TcpStream::connect(link).await.is_err());
}

#[tokio::test]
async fn toxics_come_and_go_while_data_flows_and_nothing_is_lost() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    let (mut source, mut sink) = connect(link).await.into_split();
    let total: usize = 8 << 20;
    let sender = tokio::spawn(async move {
        for block in 0..total / 8192 {
            let bytes: Vec<u8> = (block * 8192..(block + 1) * 8192).map(|index| (index % 251) as u8).collect();
            sink.write_all(&bytes).await.unwrap();
        }
        sink.shutdown().await.unwrap();
    });
    let receiver = tokio::spawn(async move {
        let mut answer = Vec::new();
        patiently(source.read_to_end(&mut answer)).await.unwrap();
        answer
    });
    for round in 0..10 {
        for stream in ["upstream", "downstream"] {
            api.toxic("latency", stream, json!({"latency": 5, "jitter": round})).await;
            api.toxic("slicer", stream, json!({"average_size": 3000, "size_variation": 1000})).await;
            api.toxic("bandwidth", stream, json!({"rate": 100_000})).await;
            api.adjust(&format!("bandwidth_{stream}"), json!({"rate": 50_000})).await;
            for type_name in ["latency", "slicer", "bandwidth"] {
                api.remove(&format!("{type_name}_{stream}")).await;
            }
        }
    }
    sender.await.unwrap();
    let answer = receiver.await.unwrap();
    assert_eq!(answer.len(), total);
    assert!(answer.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index % 251));
}
