//! A server on this machine that answers, or fails in each of the ways that servers fail.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the server does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Habit {
    /// These bytes at once.
    Answers(&'static str),
    /// As `Answers(OK)`, but nothing from the one moment after its start until the other.
    Pauses { from: Duration, until: Duration },
    /// These bytes, and then the end of the connection.
    Closes(&'static str),
    /// Nothing, ever.
    Hangs,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicUsize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// Listens until it is dropped, on a thread of its own.
pub struct Server {
    pub address: SocketAddr,
    counters: Arc<Counters>,
    /// Its end stops the thread.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    pub fn start(habit: Habit) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::<Counters>::default();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let counted = Arc::clone(&counters);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = serve(TcpListener::from_std(listener).unwrap(), habit, counted) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, counters, _stop: stop }
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.counters.accepted.load(Ordering::SeqCst)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.counters.requests.load(Ordering::SeqCst)
    }

    /// How long they were together.
    pub fn bytes(&self) -> usize {
        self.counters.bytes.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, habit: Habit, counters: Arc<Counters>) {
    let start = Instant::now();
    loop {
        let (connection, _) = listener.accept().await.unwrap();
        counters.accepted.fetch_add(1, Ordering::SeqCst);
        let counters = Arc::clone(&counters);
        tokio::spawn(async move {
            // A client that goes away ends its connection, and nothing else.
            let (Ok(()) | Err(_)) = speak(connection, habit, start, &counters).await;
        });
    }
}

/// Requests here come one at a time and end with an empty line: that of their head, or one that their body ends with.
async fn speak(mut connection: TcpStream, habit: Habit, start: Instant, counters: &Counters) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut request = Vec::new();
    loop {
        if connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        counters.requests.fetch_add(1, Ordering::SeqCst);
        counters.bytes.fetch_add(request.len(), Ordering::SeqCst);
        request.clear();
        match habit {
            Habit::Answers(answer) => connection.write_all(answer.as_bytes()).await?,
            Habit::Pauses { from, until } => {
                if (from..until).contains(&start.elapsed()) {
                    tokio::time::sleep_until((start + until).into()).await;
                }
                connection.write_all(OK.as_bytes()).await?;
            }
            Habit::Closes(bytes) => return connection.write_all(bytes.as_bytes()).await,
            Habit::Hangs => std::future::pending().await,
        }
    }
}
