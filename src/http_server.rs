//! Serving HTTP/1.1: connections within bounds, behind TLS where a certificate is given, and an end in order.
//!
//! What is served is anybody's service: of the embedded store, of the API, of the endpoint for applications.

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// How long requests may take to end when a server is shut down.
const SHUTDOWN: Duration = Duration::from_secs(3);
/// When the process has no file descriptors left, accepting fails until somebody closes one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A client that does not get through the handshake of TLS by then is sent away.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What its clients may take of a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Who comes when so many are served waits in the listener's queue.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and a connection lie idle before it.
    pub head_within: Duration,
    /// A head that is larger is refused \[bytes\]; at least 8 kB.
    pub head_at_most: usize,
}

type BoxError = Box<dyn Error + Send + Sync>;

/// A server that runs. Dropping it ends it at once; [`HttpServer::shutdown`] lets requests end.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    /// What serves it in the background, and ends with it.
    companions: Vec<AbortOnDropHandle<()>>,
}

/// Somewhere to listen, before there is anything to serve: who serves may want to know its own address.
#[derive(Debug)]
pub struct Listener {
    listener: std::net::TcpListener,
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Port 0: any that is free.
    pub fn bind(listen: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, stop: watch::Sender::new(false) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Becomes `true` when the server is told to stop: answers without an end have to end then.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Serves on `runtime`; `name` is how diagnostics call it.
    pub fn serve<S, B>(
        self,
        name: &'static str,
        service: S,
        tls: Option<TlsAcceptor>,
        bounds: Bounds,
        runtime: &Handle,
    ) -> io::Result<HttpServer>
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let Self { listener, address, stop } = self;
        let _context = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        let accepting = runtime.spawn(accept(name, listener, service, tls, bounds, stop.subscribe()));
        tracing::info!(server = name, %address, "listening");
        Ok(HttpServer { address, stop, accepting, companions: Vec::new() })
    }
}

impl HttpServer {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, with something that is to go on as long as it does.
    #[must_use]
    pub fn keeping(mut self, companion: AbortOnDropHandle<()>) -> Self {
        self.companions.push(companion);
        self
    }

    /// Accepts nobody any more, lets running requests end for a moment, and ends the others.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.accepting).await {
            tracing::error!(%error, "a server ended badly");
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        // Its connections go with it: they are its tasks.
        self.accepting.abort();
    }
}

async fn accept<S, B>(
    name: &'static str,
    listener: TcpListener,
    service: S,
    tls: Option<TlsAcceptor>,
    bounds: Bounds,
    mut stopped: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let room = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stopped.changed() => break,
            accepted = accept_one(&listener, &room) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(server = name, %error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (service, tls, stopped) = (service.clone(), tls.clone(), stopped.clone());
        connections.spawn(async move {
            match tls {
                None => serve_connection(name, stream, service, bounds, stopped).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve_connection(name, stream, service, bounds, stopped).await,
                    Ok(Err(error)) => tracing::debug!(server = name, %error, "a handshake failed"),
                    Err(_) => tracing::debug!(server = name, "a handshake took too long"),
                },
            }
            drop(place);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN, ended).await.is_err() {
        tracing::warn!(server = name, requests = connections.len(), "the server ends before its requests do");
        connections.shutdown().await;
    }
}

async fn accept_one(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // An answer's head and body are two small writes; neither may wait for the other's acknowledgement.
    stream.set_nodelay(true)?;
    // On loopback there is no network to be careful of: where BBR is the host's default, its pacing stretches answers.
    if stream.peer_addr()?.ip().is_loopback()
        && let Err(error) = rustix::net::sockopt::set_tcp_congestion(&stream, "reno")
    {
        tracing::debug!(%error, "the host's congestion control stays");
    }
    Ok((stream, place))
}

async fn serve_connection<I, S, B>(
    name: &'static str,
    stream: I,
    service: S,
    bounds: Bounds,
    mut stopped: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_within)
        .max_buf_size(bounds.head_at_most)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(server = name, %error, "a connection broke");
    }
}
