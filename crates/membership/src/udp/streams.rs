//! First contact over TCP: one question, and the answers until the stream ends. Everything is bounded, in time and in
//! bytes.

use crate::identity::NetworkId;
use crate::message::{Envelope, MAX_DATAGRAM_BYTES};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// Streams of one member that are open at once, either way.
const MAX_STREAMS: usize = 16;
/// From a connection until its end.
const WHOLE: Duration = Duration::from_secs(20);
/// From a connection to the question.
const QUESTION: Duration = Duration::from_secs(5);
/// What waits for the member's task.
const WAITING: usize = 64;
/// Frames of one answer: one for each member of the largest network.
const MAX_FRAMES: usize = 20_000;

/// What came by a stream.
pub(super) enum Stream {
    /// Somebody's question.
    Opened { number: u64, stream: TcpStream, envelope: Envelope },
    /// One answer to a question of ours.
    Answered { from: SocketAddr, envelope: Envelope },
}

/// All streams of a member.
pub(super) struct Streams {
    network: NetworkId,
    room: Arc<Semaphore>,
    came: mpsc::Receiver<Stream>,
    coming: mpsc::Sender<Stream>,
    number: u64,
}

impl Streams {
    pub fn new(network: NetworkId) -> Self {
        let (coming, came) = mpsc::channel(WAITING);
        Self { network, room: Arc::new(Semaphore::new(MAX_STREAMS)), came, coming, number: 0 }
    }

    pub fn network(&self) -> NetworkId {
        self.network
    }

    pub async fn next(&mut self) -> Option<Stream> {
        self.came.recv().await
    }

    /// Reads the question of a stream that somebody opened. Without room the stream just ends.
    pub fn accepted(&mut self, mut stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else { return };
        self.number += 1;
        let (network, coming, number) = (self.network, self.coming.clone(), self.number);
        tokio::spawn(async move {
            match timeout(QUESTION, read(&mut stream, network)).await {
                Ok(Ok(Some(envelope))) => {
                    // The member may have ended meanwhile.
                    coming.send(Stream::Opened { number, stream, envelope }).await.unwrap_or_default();
                }
                Ok(Ok(None)) | Err(_) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a stream's question was not read"),
            }
            drop(permit);
        });
    }

    /// Asks on a new stream. If that fails, datagrams get there.
    pub fn open(&self, to: SocketAddr, question: &Envelope) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else { return };
        let (network, coming) = (self.network, self.coming.clone());
        let question = frame(question, network);
        tokio::spawn(async move {
            match timeout(WHOLE, ask(to, &question, network, &coming)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, %to, "no stream"),
                Err(_) => tracing::debug!(%to, "a stream took too long"),
            }
            drop(permit);
        });
    }

    /// Answers, and ends the stream.
    pub fn answer(&self, mut stream: TcpStream, answers: &[Envelope]) {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else { return };
        let bytes: Vec<u8> = answers.iter().flat_map(|answer| frame(answer, self.network)).collect();
        tokio::spawn(async move {
            let written = async {
                stream.write_all(&bytes).await?;
                stream.shutdown().await
            };
            if !matches!(timeout(WHOLE, written).await, Ok(Ok(()))) {
                tracing::debug!("a stream's answer was not taken");
            }
            drop(permit);
        });
    }
}

async fn ask(to: SocketAddr, question: &[u8], network: NetworkId, coming: &mpsc::Sender<Stream>) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(question).await?;
    for _ in 0..MAX_FRAMES {
        let Some(envelope) = read(&mut stream, network).await? else { return Ok(()) };
        if coming.send(Stream::Answered { from: to, envelope }).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn frame(envelope: &Envelope, network: NetworkId) -> Vec<u8> {
    let bytes = envelope.encode(network);
    let length = u16::try_from(bytes.len()).unwrap_or(0);
    [&length.to_le_bytes(), bytes.as_slice()].concat()
}

/// The next message; none where the stream ends.
async fn read(stream: &mut TcpStream, network: NetworkId) -> io::Result<Option<Envelope>> {
    let length = match stream.read_u16_le().await {
        Ok(length) => usize::from(length),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > MAX_DATAGRAM_BYTES {
        return Err(io::Error::other(format!("a frame of {length} bytes; the longest has {MAX_DATAGRAM_BYTES}")));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Envelope::decode(network, &bytes).map(Some).map_err(io::Error::other)
}
