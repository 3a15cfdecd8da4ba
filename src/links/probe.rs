//! The latency of a link as it is measured on it: the shortest of several small round trips. Queues and schedulers only ever
//! add to a round trip, so the shortest is nearest to the link's own.
//!
//! A round trip is an HTTP request for `HEAD /` and the first byte of its answer, whatever the answer says: every S3 store
//! answers something, without work. All trips use one connection, so that no handshake is counted.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A store answers `HEAD` with a few hundred bytes; whatever sends more than this is none.
const ANSWER_BYTES: usize = 64 << 10;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("{address}: cannot connect to measure the latency; is the link open and its store running?")]
    Connect { address: String, source: io::Error },
    #[error("{address}: no answer to a probe of the latency; does the store behind the link answer HTTP?")]
    Exchange { address: String, source: io::Error },
    #[error("{address}: not one probe of the latency came back within {timeout:?}")]
    Timeout { address: String, timeout: Duration },
    #[error("{address}: a probe needs at least one sample")]
    NoSamples { address: String },
    #[error("{address}: the probe was cancelled because the runtime shuts down")]
    Cancelled { address: String },
}

/// The shortest of `samples` round trips to `address` (`host:port`), which must all have ended within `timeout`; if only
/// some have, the shortest of these.
///
/// It blocks in a thread of its own: the kernel wakes it directly when the answer comes, and the runtime's other work does
/// not delay it.
pub async fn probe(address: &str, samples: u32, timeout: Duration) -> Result<Duration, ProbeError> {
    let probed = address.to_owned();
    tokio::task::spawn_blocking(move || measure(&probed, samples, timeout))
        .await
        .unwrap_or_else(|_| Err(ProbeError::Cancelled { address: address.to_owned() }))
}

fn measure(address: &str, samples: u32, timeout: Duration) -> Result<Duration, ProbeError> {
    let address = || address.to_owned();
    if samples == 0 {
        return Err(ProbeError::NoSamples { address: address() });
    }
    let unreachable = |source| ProbeError::Connect { address: address(), source };
    let end = End::find(address(), Instant::now() + timeout).map_err(unreachable)?;
    let mut connection: Option<Connection> = None;
    let mut shortest: Option<Duration> = None;
    let mut failures = 0;
    let mut done = 0;
    while done < samples {
        let outcome = match &mut connection {
            Some(open) => open.round_trip(end.deadline),
            none => match Connection::open(&end) {
                Ok(new) => none.insert(new).round_trip(end.deadline),
                Err(source) if is_timeout(&source) => break,
                Err(source) => return Err(unreachable(source)),
            },
        };
        match outcome {
            Ok((elapsed, reusable)) => {
                done += 1;
                shortest = Some(shortest.map_or(elapsed, |shortest| shortest.min(elapsed)));
                if !reusable {
                    connection = None;
                }
            }
            Err(source) if is_timeout(&source) => break,
            // A store may close a connection between two requests; a new one may not fail in turn.
            Err(source) => {
                failures += 1;
                connection = None;
                if failures > samples {
                    return Err(ProbeError::Exchange { address: address(), source });
                }
            }
        }
    }
    shortest.ok_or_else(|| ProbeError::Timeout { address: address(), timeout })
}

/// The other end of a link, and until when it is of interest.
struct End {
    address: String,
    /// What its name stands for.
    candidates: Vec<SocketAddr>,
    deadline: Instant,
}

impl End {
    fn find(address: String, deadline: Instant) -> io::Result<Self> {
        let candidates = address.to_socket_addrs()?.collect();
        Ok(Self { address, candidates, deadline })
    }

    /// To the first address that accepts. Those left share the time left: a name may stand for an address that does not
    /// answer.
    fn connect(&self) -> io::Result<TcpStream> {
        let mut failed: io::Error = io::ErrorKind::AddrNotAvailable.into();
        for (shares, candidate) in (1..=self.candidates.len() as u32).rev().zip(&self.candidates) {
            match TcpStream::connect_timeout(candidate, left(self.deadline)? / shares) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
}

impl Connection {
    fn open(end: &End) -> io::Result<Self> {
        let stream = end.connect()?;
        stream.set_nodelay(true)?;
        let request =
            format!("HEAD / HTTP/1.1\r\nHost: {}\r\nUser-Agent: agent-probe\r\n\r\n", end.address).into_bytes();
        Ok(Self { stream, request })
    }

    /// Time from the request to the first byte of the answer, and whether another request may follow.
    fn round_trip(&mut self, deadline: Instant) -> io::Result<(Duration, bool)> {
        self.stream.set_write_timeout(Some(left(deadline)?))?;
        self.stream.set_read_timeout(Some(left(deadline)?))?;
        let mut answer = [0; 4096];
        let start = Instant::now();
        self.stream.write_all(&self.request)?;
        let mut count = self.stream.read(&mut answer)?;
        let elapsed = start.elapsed();
        let mut head = Vec::new();
        loop {
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            head.extend_from_slice(&answer[..count]);
            if !head.starts_with(&b"HTTP/1."[..head.len().min(7)]) || head.len() > ANSWER_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1"));
            }
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                // Bytes behind the head of an answer to `HEAD` would be taken for the next answer.
                return Ok((elapsed, end + 4 == head.len() && stays_open(&head)));
            }
            self.stream.set_read_timeout(Some(left(deadline)?))?;
            count = self.stream.read(&mut answer)?;
        }
    }
}

fn stays_open(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.starts_with("http/1.1") && !head.contains("\r\nconnection: close")
}

/// Time left, or the error that reading would end with.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket's timeout is reported as `WouldBlock` on Linux.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
