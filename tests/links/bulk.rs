//! Data in bulk: that it arrives whole when no toxic acts, and what becomes of it when one appears while it flows.

use crate::support::{Api, PATIENCE, patiently};
use agent_emulator::{Carriers, Metrics};
use serde_json::json;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

const MIB: usize = 1 << 20;
/// Toxics take hold of open connections within this time.
const HOLD: Duration = Duration::from_millis(10);
/// What has not moved for so long, is not only waiting for a processor.
const QUIET: Duration = Duration::from_millis(500);

/// `0, 1, ... 250, 0, 1, ...`, which begins anew with every block.
fn block() -> Vec<u8> {
    (0..251 * 1024_usize).map(|index| (index % 251) as u8).collect()
}

/// A server that sends `blocks` blocks and the end.
fn numbered(blocks: usize) -> SocketAddr {
    serve(move |mut socket| {
        let block = block();
        (0..blocks).try_for_each(|_| socket.write_all(&block))
    })
}

/// A server that sends 1 until it is told, then 64 MiB of 2 and the end.
fn marking(told: Arc<AtomicBool>) -> SocketAddr {
    serve(move |mut socket| {
        while !told.load(Ordering::SeqCst) {
            socket.write_all(&[1; MIB / 8])?;
        }
        (0..64).try_for_each(|_| socket.write_all(&[2; MIB]))
    })
}

/// Serves one connection, in a thread of its own, until the client is gone.
fn serve(content: impl FnOnce(TcpStream) -> std::io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || content(listener.accept().unwrap().0).unwrap_or_default());
    address
}

/// Connects and reads a MiB, by which time data comes in bulk.
async fn flowing(link: SocketAddr) -> TcpStream {
    let connected = spawn_blocking(move || {
        let mut socket = TcpStream::connect(link).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.read_exact(&mut vec![0; MIB]).unwrap();
        socket
    });
    patiently(connected).await.unwrap()
}

/// What the proxy has received and sent downstream.
async fn carried(api: &Api) -> [u64; 2] {
    let text = reqwest::get(api.emulator.url() + "/metrics").await.unwrap().text().await.unwrap();
    ["received", "sent"].map(|what| {
        let name = format!("toxiproxy_proxy_{what}_bytes_total{{direction=\"downstream\"");
        let line = text.lines().find(|line| line.starts_with(&name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    })
}

/// Waits until nothing has moved for a while, with something between the sockets; what was received and sent by then.
async fn backed_up(api: &Api) -> [u64; 2] {
    let (mut before, mut since) = ([0, 0], Instant::now());
    loop {
        let now = carried(api).await;
        if now != before {
            (before, since) = (now, Instant::now());
        } else if now[0] > now[1] && since.elapsed() >= QUIET {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

/// On the runtime of the test, and on threads of its own.
async fn counting() -> [Api; 2] {
    let threads = Carriers::one_for_each_core().unwrap();
    [Api::started("127.0.0.1:0", Metrics::On).await, Api::carried_by(threads, "127.0.0.1:0", Metrics::On).await]
}

#[tokio::test]
async fn a_stream_arrives_whole_with_its_end_and_is_counted() {
    for api in counting().await {
        let link = api.link_to(numbered(256)).await;
        let received = spawn_blocking(move || {
            let (mut socket, block) = (TcpStream::connect(link).unwrap(), block());
            let mut received = vec![0; block.len()];
            for _ in 0..256 {
                socket.read_exact(&mut received).unwrap();
                assert!(received == block);
            }
            socket.read(&mut received).unwrap()
        });
        assert_eq!(patiently(received).await.unwrap(), 0, "the end");
        assert_eq!(carried(&api).await, [256 * 251 * 1024; 2]);
    }
}

#[tokio::test]
async fn what_is_under_way_is_taken_back_for_a_toxic_and_goes_on_without_it() {
    for api in counting().await {
        let link = api.link_to(numbered(256)).await;
        let mut socket = flowing(link).await;
        let [received, sent] = patiently(backed_up(&api)).await;
        api.toxic("bandwidth", "downstream", json!({"rate": 0})).await;
        // All that the sockets hold: with it gone, whatever is not held by the toxic would follow.
        let mut arrived = vec![0; sent as usize];
        let read = spawn_blocking(move || {
            socket.read_exact(&mut arrived[MIB..]).unwrap();
            socket.set_nonblocking(true).unwrap();
            let more = socket.read(&mut [0]).map_err(|error| error.kind());
            socket.set_nonblocking(false).unwrap();
            (socket, arrived, more)
        });
        let (mut socket, arrived, more) = patiently(read).await.unwrap();
        assert_eq!((more, carried(&api).await[1]), (Err(ErrorKind::WouldBlock), sent));
        api.remove("bandwidth_downstream").await;
        let rest = spawn_blocking(move || {
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).map(|_| rest)
        });
        let rest = patiently(rest).await.unwrap().unwrap();
        assert_eq!(arrived.len() + rest.len(), 256 * 251 * 1024);
        let mut after_the_first = arrived[MIB..].iter().chain(&rest).zip(MIB..);
        assert!(after_the_first.all(|(byte, at)| usize::from(*byte) == at % 251), "of {received} bytes taken in");
    }
}

#[tokio::test]
async fn what_is_sent_after_a_toxic_was_set_suffers_it() {
    for api in counting().await {
        let told = Arc::new(AtomicBool::new(false));
        let link = api.link_to(marking(Arc::clone(&told))).await;
        let mut socket = flowing(link).await;
        let reading = spawn_blocking(move || {
            let mut block = vec![0; MIB];
            loop {
                match socket.read(&mut block).unwrap() {
                    0 => return,
                    count => {
                        assert!(block[..count].iter().all(|byte| *byte == 1), "it was sent after the toxic was set")
                    }
                }
            }
        });
        api.toxic("timeout", "downstream", json!({})).await;
        told.store(true, Ordering::SeqCst);
        patiently(reading).await.unwrap();
    }
}

/// How long after the answer to its making a toxic that lets nothing through lets something through.
async fn time_to_hold(api: &Api) -> Duration {
    let link = api.link_to(marking(Arc::default())).await;
    let mut socket = flowing(link).await;
    let reading = spawn_blocking(move || {
        let (mut block, mut last) = (vec![0; MIB], Instant::now());
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        while socket.read(&mut block).is_ok_and(|count| count > 0) {
            last = Instant::now();
        }
        last
    });
    api.toxic("bandwidth", "downstream", json!({"rate": 0})).await;
    let answered = Instant::now();
    let last = patiently(reading).await.unwrap();
    assert_eq!(api.send_text("DELETE", "/proxies/link", None).await.0, 204);
    last.saturating_duration_since(answered)
}

#[tokio::test]
async fn a_toxic_takes_hold_of_an_open_connection_within_ten_milliseconds() {
    for api in counting().await {
        let mut shortest = Duration::MAX;
        // A loaded machine only adds.
        for _ in 0..5 {
            shortest = shortest.min(time_to_hold(&api).await);
        }
        assert!(shortest < HOLD, "{shortest:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_backed_up_is_closed_with_its_proxy() {
    for api in counting().await {
        let link = api.link_to(marking(Arc::default())).await;
        let mut socket = flowing(link).await;
        patiently(backed_up(&api)).await;
        assert_eq!(patiently(api.send("POST", "/proxies/link", json!({"enabled": false}))).await.0, 200);
        let [_, sent] = carried(&api).await;
        let rest = spawn_blocking(move || {
            let mut rest = Vec::new();
            // With data that nobody will read any more, the end may be a reset.
            socket.read_to_end(&mut rest).map(|_| rest.len()).map_err(|error| error.kind())
        });
        match patiently(rest).await.unwrap() {
            Ok(rest) => assert_eq!((MIB + rest) as u64, sent),
            Err(end) => assert_eq!(end, ErrorKind::ConnectionReset),
        }
        api.emulator.shutdown().await;
    }
}
