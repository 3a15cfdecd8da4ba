//! What reading, writing and transferring cost: the client on the embedded store, over loopback, in one process.
//!
//! `cargo bench --bench storage -- [BYTES [RANGE_BYTES [ROUNDS]]]`, by default the published data set in ranges of 9 MB.
//! The two ends have a runtime each, so that the CPU time of their threads can be told apart.

mod asked;

use agent::storage::embedded::{EmbeddedSettings, EmbeddedStore};
use agent::storage::s3::{S3Settings, S3Store};
use agent::storage::transfer::{Expected, transfer};
use agent::storage::{ByteStream, Content, ObjectStore};
use asked::{Asked, asked};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

const PUBLISHED_BYTES: u64 = 322_085_706;
const RANGE_BYTES: u64 = 9_000_000;
const CHUNK_BYTES: u64 = 1_000_000;
/// Bytes, those of a range, and rounds, when it is only to be seen that it works.
const MOMENT: [u64; 3] = [3_000_000, 1_000_000, 1];

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |index: usize, otherwise| numbers.get(index).copied().unwrap_or(otherwise);
    let [bytes, range_bytes, rounds] = match asked("storage") {
        Asked::Everything => [number(0, PUBLISHED_BYTES), number(1, RANGE_BYTES), number(2, 5)],
        Asked::AMoment => MOMENT,
        Asked::Nothing => return,
    };

    let (server, client) = (runtime("server"), runtime("client"));
    let (near, far) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |directory: &tempfile::TempDir| {
        let embedded = EmbeddedStore::start(EmbeddedSettings::new(directory.path(), "data"), server.handle()).unwrap();
        let store = S3Store::new(S3Settings::new(embedded.endpoint(), "data", embedded.credentials().clone()));
        (embedded, store)
    };
    let (near_server, near_store) = start(&near);
    let (far_server, far_store) = start(&far);

    println!("{bytes} bytes in ranges of {range_bytes}");
    println!("{:<10} {:>8} {:>10} {:>12} {:>12}", "", "seconds", "MB/s", "server CPU s", "client CPU s");
    measure("loopback", bytes, || loopback(bytes));
    measure("write", bytes, || client.block_on(near_store.write("a", bytes, content(bytes))).unwrap());
    for _ in 0..rounds {
        measure("read", bytes, || client.block_on(read(&near_store, bytes, range_bytes)));
    }
    let expected = Expected { bytes, sha256: client.block_on(sha256(content(bytes))) };
    measure("transfer", bytes, || {
        let verified = client.block_on(transfer(&near_store, "a", None, &far_store, "a", &expected, |_| ())).unwrap();
        assert_eq!(verified.bytes(), bytes);
    });
    println!("resident at most: {} MB", resident_at_most_kb() / 1000);
    client.block_on(async {
        near_server.shutdown().await;
        far_server.shutdown().await;
    });
}

fn runtime(name: &'static str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

/// Runs it on a client thread, so that what it does there itself counts.
fn measure(name: &str, bytes: u64, work: impl FnOnce()) {
    let (server, client) = (cpu("server"), cpu("client") + cpu("storage-"));
    let started = Instant::now();
    work();
    let elapsed = started.elapsed();
    let (server, client) = (cpu("server") - server, cpu("client") + cpu("storage-") - client);
    let seconds = elapsed.as_secs_f64();
    println!(
        "{name:<10} {seconds:>8.3} {:>10.0} {:>12.3} {:>12.3}",
        bytes as f64 / seconds / 1e6,
        server.as_secs_f64(),
        client.as_secs_f64()
    );
}

/// What the threads of that name have used, to the nanosecond.
fn cpu(name: &str) -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let of_name = threads.filter(|thread| std::fs::read_to_string(thread.join("comm")).unwrap().starts_with(name));
    let used = of_name.map(|thread| {
        let schedstat = std::fs::read_to_string(thread.join("schedstat")).unwrap();
        Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
    });
    used.sum()
}

fn resident_at_most_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn content(bytes: u64) -> ByteStream {
    let block: Bytes = (0..CHUNK_BYTES).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let starts = (0..bytes).step_by(CHUNK_BYTES as usize);
    stream::iter(starts.map(move |start| Ok(block.slice(..(bytes - start).min(CHUNK_BYTES) as usize)))).boxed()
}

async fn read(store: &S3Store, bytes: u64, range_bytes: u64) {
    let mut received = 0;
    let content = Content { bytes, etag: None };
    for start in (0..bytes).step_by(range_bytes as usize) {
        let mut body = store.read_range("a", start..bytes.min(start + range_bytes), &content).await.unwrap().bytes;
        while let Some(chunk) = body.next().await {
            received += chunk.unwrap().len() as u64;
        }
    }
    assert_eq!(received, bytes);
}

async fn sha256(mut body: ByteStream) -> String {
    let mut sha256 = Sha256::new();
    while let Some(chunk) = body.next().await {
        sha256.update(chunk.unwrap());
    }
    hex::encode(sha256.finalize())
}

/// What the kernel alone takes: from memory through a socket into memory.
fn loopback(bytes: u64) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sending = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let block = vec![7; 256 * 1024];
        let mut left = bytes;
        while left > 0 {
            let piece = left.min(block.len() as u64) as usize;
            stream.write_all(&block[..piece]).unwrap();
            left -= piece as u64;
        }
    });
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut block = vec![0; 256 * 1024];
    while stream.read(&mut block).unwrap() > 0 {}
    sending.join().unwrap();
}
