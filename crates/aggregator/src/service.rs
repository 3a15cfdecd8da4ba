//! An aggregator with its sockets, until it is dropped.

use crate::aggregator::{Aggregator, Policy};
use crate::http;
use crate::interface::Interface;
use crate::mdsmp::DATAGRAM_MAX_BYTES;
use crate::sockets::{self, SocketError};
use crate::udsmp::REQUEST_MAX_BYTES;
use crate::view::View;
use axum::Router;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

/// A socket that fails is tried again after this.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Where an aggregator listens, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// By which measurements come; `None`: the kernel's choice.
    pub interface: Option<String>,
    /// 0: any that is free.
    pub metrics_port: u16,
    /// Where readers ask; port 0: any that is free.
    pub server: SocketAddr,
    pub policy: Policy,
}

/// An aggregator that runs; dropping it ends it.
#[derive(Debug)]
pub struct AggregatorService {
    shared: Arc<Shared>,
    metrics_port: u16,
    server: SocketAddr,
    _tasks: [AbortOnDropHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    aggregator: Mutex<Aggregator>,
}

impl Shared {
    /// Never held over anything that waits.
    fn with<T>(&self, act: impl FnOnce(&mut Aggregator, Duration) -> T) -> T {
        let mut aggregator = self.aggregator.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut aggregator, self.began.elapsed())
    }

    fn view(&self) -> View {
        self.with(|aggregator, now| aggregator.view(now, SystemTime::now()))
    }
}

impl AggregatorService {
    /// Opens the sockets and begins; needs a runtime of tokio.
    pub fn start(settings: &Settings) -> Result<Self, SocketError> {
        let interface = settings.interface.as_deref().map(Interface::find).transpose()?;
        let metrics = sockets::receiver(interface.as_ref(), settings.metrics_port)?;
        let server = sockets::server(settings.server)?;
        let metrics = UdpSocket::from_std(metrics).map_err(SocketError::NoSocket)?;
        let server = UdpSocket::from_std(server).map_err(SocketError::NoSocket)?;
        let metrics_port = metrics.local_addr().map_err(SocketError::NoSocket)?.port();
        let server_address = server.local_addr().map_err(SocketError::NoSocket)?;
        let aggregator = Mutex::new(Aggregator::new(settings.policy));
        let shared = Arc::new(Shared { began: Instant::now(), aggregator });
        let taking = tokio::spawn(take_in(metrics, shared.clone()));
        let answering = tokio::spawn(answer(server, shared.clone()));
        let tasks = [taking, answering].map(AbortOnDropHandle::new);
        Ok(Self { shared, metrics_port, server: server_address, _tasks: tasks })
    }

    pub fn metrics_port(&self) -> u16 {
        self.metrics_port
    }

    /// Where readers ask.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// What is known now.
    pub fn view(&self) -> View {
        self.shared.view()
    }

    /// The view for HTTP, to be mounted in a server that bounds its connections.
    pub fn routes(&self) -> Router {
        let shared = self.shared.clone();
        http::routes(move || shared.view())
    }
}

async fn take_in(socket: UdpSocket, shared: Arc<Shared>) {
    // A byte more than may be: what is longer is cut there and seen to be too long.
    let mut buffer = [0; DATAGRAM_MAX_BYTES + 1];
    loop {
        let Some((length, from)) = received(socket.recv_from(&mut buffer).await).await else { continue };
        match shared.with(|aggregator, now| aggregator.take_in(&buffer[..length], now)) {
            Ok(measurement) => tracing::debug!(%from, %measurement, "taken in"),
            Err(refusal) => tracing::info!(%from, length, %refusal, "a datagram was refused"),
        }
    }
}

async fn answer(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; REQUEST_MAX_BYTES + 1];
    loop {
        let Some((length, from)) = received(socket.recv_from(&mut buffer).await).await else { continue };
        let datagrams = shared.with(|aggregator, now| aggregator.answer(&buffer[..length], now));
        tracing::debug!(%from, request = ?String::from_utf8_lossy(&buffer[..length]), datagrams = datagrams.len(), "asked");
        for datagram in datagrams {
            if let Err(error) = socket.send_to(datagram.as_bytes(), from).await {
                tracing::info!(%from, %error, "an answer could not be sent");
                break;
            }
        }
    }
}

/// An error is about an earlier datagram or passes: the next one may come.
async fn received(outcome: io::Result<(usize, SocketAddr)>) -> Option<(usize, SocketAddr)> {
    match outcome {
        Ok(received) => Some(received),
        Err(error) => {
            tracing::warn!(%error, "a datagram cannot be received");
            tokio::time::sleep(FAILURE_PAUSE).await;
            None
        }
    }
}
