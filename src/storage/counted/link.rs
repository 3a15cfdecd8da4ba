//! A link for programs, which have an S3 client of their own: passes everything on, and counts requests by whose turn it is. In
//! HTTP/1.1 a client speaks when the answer before has come, so its first bytes after an answer are a request.

use super::counts::{Counts, Unanswered};
use bytes::BytesMut;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::io::poll_read_buf;

const BLOCK_BYTES: usize = 256 << 10;
/// How long to leave the listener alone when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Of an endpoint that names none.
const HTTP_PORT: u16 = 80;

/// A listener on this machine alone, and all that goes over it. Dropped, it closes everything.
pub struct CountedLink {
    endpoint: String,
    carrying: JoinHandle<()>,
}

impl CountedLink {
    /// To `http://host:port`, on the runtime of the caller.
    pub(super) async fn open(endpoint: &str, counts: Counts) -> io::Result<Self> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{endpoint} is no `http://host:port`"));
        let rest = endpoint.strip_prefix("http://").ok_or_else(invalid)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let upstream = if has_port { authority.to_owned() } else { format!("{authority}:{HTTP_PORT}") };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}{path}", listener.local_addr()?);
        Ok(Self { endpoint, carrying: tokio::spawn(accept(listener, upstream.into(), counts)) })
    }

    /// In place of the store's.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for CountedLink {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn accept(listener: TcpListener, upstream: Arc<str>, counts: Counts) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => _ = connections.spawn(connect(client, upstream.clone(), counts.clone())),
                Err(error) => {
                    tracing::warn!(%upstream, %error, "a program's connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Passes on what both say, until both have finished or one is gone; then the program's client says what is wrong.
async fn connect(mut client: TcpStream, upstream: Arc<str>, counts: Counts) {
    let carried = async {
        let mut server = TcpStream::connect(&*upstream).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (client_source, client_sink) = client.split();
        let (server_source, server_sink) = server.split();
        let turns = Turns { turn: Mutex::default(), counts };
        let asking = pass(client_source, server_sink, |_, _| turns.asks());
        let answering = pass(server_source, client_sink, |bytes, waited_since| turns.answers(bytes, waited_since));
        tokio::try_join!(asking, answering)
    };
    if let Err(error) = carried.await {
        tracing::debug!(%upstream, %error, "a program's connection broke");
    }
}

/// Passes bytes on until there are no more; says of each piece how long it is, and since when it was waited for, if it was.
async fn pass(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    seen: impl Fn(usize, Option<Instant>),
) -> io::Result<()> {
    let mut block = BytesMut::with_capacity(BLOCK_BYTES);
    loop {
        let mut waited_since = None;
        let bytes = poll_fn(|context| {
            let read = poll_read_buf(Pin::new(&mut source), context, &mut block);
            if read.is_pending() {
                waited_since.get_or_insert_with(Instant::now);
            }
            read
        });
        match bytes.await? {
            0 => return sink.shutdown().await,
            bytes => seen(bytes, waited_since),
        }
        sink.write_all_buf(&mut block).await?;
        block.reserve(BLOCK_BYTES);
    }
}

/// Who speaks on a connection.
struct Turns {
    turn: Mutex<Turn>,
    counts: Counts,
}

#[derive(Default)]
enum Turn {
    #[default]
    Nobodys,
    /// A request is under way, or its answer has not begun.
    Asking(#[expect(dead_code, reason = "its end counts")] Unanswered),
    Answering,
}

impl Turns {
    /// Bytes go to the store.
    fn asks(&self) {
        let mut turn = self.turn();
        if !matches!(*turn, Turn::Asking(_)) {
            *turn = Turn::Asking(self.counts.asked());
        }
    }

    /// Bytes come, waited for since then. Waiting for an answer to begin is no standing still.
    fn answers(&self, bytes: usize, waited_since: Option<Instant>) {
        let had_begun = matches!(std::mem::replace(&mut *self.turn(), Turn::Answering), Turn::Answering);
        waited_since.filter(|_| had_begun).into_iter().for_each(|since| self.counts.stood_still(since));
        self.counts.came(bytes);
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    fn turns() -> (Turns, Counts) {
        let counts = Counts::default();
        (Turns { turn: Mutex::default(), counts: counts.clone() }, counts)
    }

    #[test]
    fn requests_are_counted_by_whose_turn_it_is() {
        let (turns, counts) = turns();
        for pieces in [1, 3] {
            turns.asks();
            turns.asks();
            (0..pieces).for_each(|_| turns.answers(100, None));
        }
        let traffic = counts.traffic(1).unwrap();
        assert_eq!((traffic.requests, traffic.parallel, traffic.bytes), (2, 1, 400));
    }

    #[test]
    fn connections_that_wait_for_answers_together_are_parallel() {
        let (one, counts) = turns();
        let other = Turns { turn: Mutex::default(), counts: counts.clone() };
        one.asks();
        other.asks();
        one.answers(1, None);
        one.asks();
        other.answers(1, None);
        let traffic = counts.traffic(1).unwrap();
        assert_eq!((traffic.requests, traffic.parallel), (3, 2));
    }

    #[test]
    fn only_what_an_answer_that_had_begun_was_waited_for_is_standing_still() {
        let (turns, counts) = turns();
        let since = Instant::now();
        let stalled = || counts.traffic(1).unwrap().stalled_s;
        turns.asks();
        turns.answers(1, Some(since));
        assert_eq!(stalled(), 0.0, "that was the answer's latency");
        turns.asks();
        turns.answers(1, Some(since));
        assert_eq!(stalled(), 0.0, "that was the program's own time, and latency");
        turns.answers(1, Some(since));
        assert!(stalled() > 0.0);
    }

    /// A server that answers each line with three bytes, and a link to it.
    async fn linked() -> (CountedLink, Counts, JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}/path", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut connection, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut asked, mut answer) = connection.split();
                    let mut byte = [0];
                    while asked.read_exact(&mut byte).await.is_ok() {
                        answer.write_all(b"yes").await.unwrap();
                    }
                });
            }
        });
        let counts = Counts::default();
        (CountedLink::open(&endpoint, counts.clone()).await.unwrap(), counts, serving)
    }

    #[tokio::test]
    async fn all_is_passed_on_and_counted_until_the_link_is_dropped() {
        let (link, counts, _serving) = linked().await;
        let address = link.endpoint().strip_prefix("http://").unwrap().strip_suffix("/path").unwrap().to_owned();
        let mut client = TcpStream::connect(&address).await.unwrap();
        let mut answer = [0; 3];
        for _ in 0..4 {
            client.write_all(b"?").await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"yes");
        }
        let traffic = counts.traffic(2).unwrap();
        assert_eq!((traffic.requests, traffic.parallel, traffic.bytes, traffic.records), (4, 1, 12, 2));
        drop(link);
        assert_eq!(client.read(&mut answer).await.ok().filter(|bytes| *bytes > 0), None);
        // The port is free again as soon as the task has ended.
        while TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_closes_the_programs_connection() {
        let (link, counts, serving) = linked().await;
        serving.abort();
        _ = serving.await;
        let mut client = TcpStream::connect(&link.endpoint()["http://".len()..].replace("/path", "")).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.ok().filter(|bytes| *bytes > 0), None);
        assert_eq!(counts.traffic(1), None);
    }

    #[tokio::test]
    async fn only_plain_http_can_be_counted() {
        for endpoint in ["https://store:9000", "nonsense"] {
            let error = CountedLink::open(endpoint, Counts::default()).await.err().unwrap();
            assert_eq!(error.to_string(), format!("{endpoint} is no `http://host:port`"));
        }
    }
}
