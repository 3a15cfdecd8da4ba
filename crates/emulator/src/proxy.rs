//! One proxy: a listener, its connections, and the toxics they suffer.

use super::carriers::Carriers;
use super::pipe::{Broken, Pipe, Toxics};
use super::toxics::{Stream, Toxic};
use super::traffic::Traffic;
use rustix::net::sockopt::set_tcp_congestion;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long to leave the listener alone when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub struct Proxy {
    /// As asked for; once started, with the port that was chosen.
    pub listen: String,
    /// Resolved anew for each connection.
    pub upstream: String,
    toxics: watch::Sender<Vec<Arc<Toxic>>>,
    /// What it has carried between these addresses, if anybody wants to know.
    pub traffic: Option<Arc<Traffic>>,
    carriers: Arc<Carriers>,
    running: Option<Running>,
}

struct Running {
    /// Dropped, it tells the listener to stop.
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that does not run yet.
    pub fn new(listen: String, upstream: String, traffic: Option<Arc<Traffic>>, carriers: Arc<Carriers>) -> Self {
        Self { listen, upstream, toxics: watch::Sender::default(), traffic, carriers, running: None }
    }

    pub fn is_enabled(&self) -> bool {
        self.running.is_some()
    }

    /// Listens, unless it does already. The error is in toxiproxy's words.
    pub async fn start(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        let failed = |error| format!("listen tcp {}: bind: {}", self.listen, in_words(&error));
        let addresses = resolve(&self.listen).await.map_err(|why| format!("listen tcp: {why}"))?;
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
        self.listen = listener.local_addr().map_err(failed)?.to_string();
        let (stop, stopped) = oneshot::channel();
        let way =
            Way { upstream: self.upstream.clone(), toxics: self.toxics.subscribe(), traffic: self.traffic.clone() };
        let accepting = tokio::spawn(accept(listener, way, Arc::clone(&self.carriers), stopped));
        self.running = Some(Running { stop, accepting });
        Ok(())
    }

    /// Closes the listener and all connections; returns when they are closed.
    pub async fn stop(&mut self) {
        if let Some(Running { stop, accepting }) = self.running.take() {
            drop(stop);
            if let Err(failed) = accepting.await {
                tracing::error!(listen = self.listen, error = %failed, "the proxy's listener had failed");
            }
        }
    }

    /// Those on the way upstream first, each direction in the order of creation.
    pub fn toxics(&self) -> Vec<Toxic> {
        let mut toxics: Vec<_> = self.toxics.borrow().iter().map(|toxic| Toxic::clone(toxic)).collect();
        toxics.sort_by_key(|toxic| toxic.stream);
        toxics
    }

    pub fn toxic(&self, name: &str) -> Option<Toxic> {
        self.toxics.borrow().iter().find(|toxic| toxic.name == name).map(|toxic| Toxic::clone(toxic))
    }

    /// Adds a toxic, or puts it in the place of the one with the same id.
    pub fn put_toxic(&self, toxic: &Toxic) {
        let toxic = Arc::new(toxic.clone());
        self.toxics.send_modify(|toxics| match toxics.iter_mut().find(|present| present.id == toxic.id) {
            Some(present) => *present = toxic,
            None => toxics.push(toxic),
        });
    }

    /// Whether there was one of that name.
    pub fn remove_toxic(&self, name: &str) -> bool {
        self.toxics.send_if_modified(|toxics| {
            let before = toxics.len();
            toxics.retain(|toxic| toxic.name != name);
            toxics.len() < before
        })
    }

    pub fn remove_all_toxics(&self) {
        self.toxics.send_modify(Vec::clear);
    }
}

/// The addresses that `listen` may mean, best first: `host:port`, `:port` for every interface, or nothing for a free port
/// on loopback. The error is in toxiproxy's words.
pub async fn resolve(listen: &str) -> Result<Vec<SocketAddr>, String> {
    if listen.is_empty() {
        return Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]);
    }
    let (host, port) = listen.rsplit_once(':').ok_or_else(|| format!("address {listen}: missing port in address"))?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(format!("address {listen}: too many colons in address"));
    }
    let port: u16 = port.parse().map_err(|_| format!("address {port}: invalid port"))?;
    if host.is_empty() {
        return Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()]);
    }
    let unknown = |_| format!("lookup {host}: no such host");
    let mut addresses: Vec<_> = tokio::net::lookup_host(listen).await.map_err(unknown)?.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// The system's own words without its number: `address already in use`.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error ").next().unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// What a connection needs to know of its proxy.
#[derive(Clone)]
struct Way {
    upstream: String,
    toxics: Toxics,
    traffic: Option<Arc<Traffic>>,
}

/// Accepts until it is stopped; then closes the listener first and the connections after it.
async fn accept(listener: TcpListener, way: Way, carriers: Arc<Carriers>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let (way, open) = (way.clone(), carriers.open.open());
                    let carried = async move {
                        connect(client.into_std(), way).await;
                        drop(open);
                    };
                    connections.spawn_on(carried, carriers.next());
                }
                Err(error) => {
                    tracing::warn!(upstream = way.upstream, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

/// Connects to the upstream for `client` and carries their bytes until both have finished or one direction breaks. Both
/// sockets belong to the runtime that this runs on.
async fn connect(client: io::Result<std::net::TcpStream>, Way { upstream, toxics, traffic }: Way) {
    let (mut client, mut server) = match (client.and_then(TcpStream::from_std), TcpStream::connect(&upstream).await) {
        (Ok(client), Ok(server)) => (client, server),
        (Err(error), _) | (_, Err(error)) => {
            return tracing::warn!(%upstream, %error, "cannot connect; the client's connection is closed");
        }
    };
    for socket in [&client, &server] {
        if let Err(error) = add_nothing(socket) {
            return tracing::debug!(%upstream, %error, "the connection was closed at once");
        }
    }
    let outcome = {
        let (client_source, client_sink) = client.split();
        let (server_source, server_sink) = server.split();
        let there = Pipe::new(client_source, server_sink, Stream::Upstream, toxics.clone(), traffic.clone());
        let back = Pipe::new(server_source, client_sink, Stream::Downstream, toxics.clone(), traffic);
        carry(there, back, toxics).await
    };
    match outcome {
        Ok(()) | Err(Broken::Closed) => {}
        Err(Broken::Failed(error)) => tracing::debug!(%upstream, %error, "connection broken"),
        Err(Broken::Reset) => {
            for socket in [&client, &server] {
                // Closing a socket that does not linger resets the connection; one that is gone needs no reset.
                socket.set_zero_linger().unwrap_or_else(|error| tracing::debug!(%upstream, %error, "cannot reset"));
            }
        }
    }
}

/// Lets a socket delay nothing on its own: no waiting for more to send, and on loopback, where there is no network to be
/// careful of, no pacing. (Where BBR is the host's default, its pacing costs half of a stream's rate.)
fn add_nothing(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    if socket.peer_addr()?.ip().is_loopback()
        && let Err(error) = set_tcp_congestion(socket, "reno")
    {
        tracing::debug!(%error, "the host's congestion control stays");
    }
    Ok(())
}

/// Both directions in one task, until both have finished or one is broken.
async fn carry(mut there: Pipe<'_>, mut back: Pipe<'_>, mut changes: Toxics) -> Result<(), Broken> {
    loop {
        let both = poll_fn(|cx| match (there.poll(cx)?, back.poll(cx)?) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            (Poll::Pending, _) | (_, Poll::Pending) => Poll::Pending,
        });
        tokio::select! {
            biased;
            // Only wakes: the pipes look at what is new themselves.
            changed = changes.changed() => changed.map_err(|_proxy_is_gone| Broken::Closed)?,
            over = both => return over,
        }
    }
}
