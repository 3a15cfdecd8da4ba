//! A server of toxiproxy's HTTP API: TCP proxies whose traffic suffers configurable toxics.
//!
//! ```text
//! api      routes, status codes        registry  the proxies by name        proxy  one listener and its connections
//! wire     the bodies of the API       toxics/   one file for each toxic    pipe   one direction of one connection
//! queue    bytes in flight, bounded    chain     toxics one after another   timer  wakes within microseconds
//! members  JSON as the original reads  traffic   what was carried, counted  kernel_pipe  what no toxic touches, uncopied
//! carriers  the threads that carry
//! ```
//!
//! Requests change the registry; a proxy publishes its toxics; each pipe adopts what was published before it hands on what
//! it reads. So a change acts on open connections, and on everything that is sent after the API has answered.
//!
//! Where it departs from toxiproxy 2, on purpose, is written down in `docs/emulator.md`.

mod api;
mod carriers;
mod chain;
mod kernel_pipe;
mod members;
mod pipe;
mod proxy;
mod queue;
mod registry;
mod timer;
mod toxics;
mod traffic;
mod wire;

pub use carriers::{Carriers, Connections};
use registry::Registry;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The header by which a client of our own asks for fractions of a millisecond, in what it sends and is shown: at a time scale
/// of 50 half a millisecond is 25 ms of the scenario. Nobody else is shown what it could not read.
pub const FRACTIONS_HEADER: &str = "x-agent-fractions";

/// How long a shutdown waits for requests under way.
const GRACE: Duration = Duration::from_secs(1);

/// The API could not be served there.
#[derive(Debug, thiserror::Error)]
#[error("{address}: cannot listen for the emulator's API; is the port in use?")]
pub struct StartError {
    pub address: SocketAddr,
    #[source]
    pub source: io::Error,
}

/// Whether what the proxies carry is counted, and shown under `/metrics`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Metrics {
    #[default]
    Off,
    On,
}

/// A running emulator. Dropping it closes everything too, but does not wait for it.
pub struct Emulator {
    address: SocketAddr,
    registry: Arc<Registry>,
    /// Dropped, it tells the API's server to stop.
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Emulator {
    /// Serves the API at `listen` (port 0: a free one) on the current tokio runtime, which also carries all connections.
    pub async fn start(listen: SocketAddr, metrics: Metrics) -> Result<Self, StartError> {
        Self::start_on(Carriers::here(), listen, metrics).await
    }

    /// The same, with `carriers` carrying the connections.
    pub async fn start_on(carriers: Carriers, listen: SocketAddr, metrics: Metrics) -> Result<Self, StartError> {
        let failed = |source| StartError { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let registry = Arc::new(Registry::new(carriers, metrics == Metrics::On));
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(api::serve(listener, Arc::clone(&registry), stopped));
        tracing::info!(%address, "emulator started");
        Ok(Self { address, registry, stop, serving })
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API's base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections its proxies carry.
    pub fn connections(&self) -> Connections {
        self.registry.connections()
    }

    /// Closes the API, all listeners and all connections; returns when they are closed.
    pub async fn shutdown(self) {
        let Self { address, registry, stop, mut serving } = self;
        drop(stop);
        if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
            serving.abort();
        }
        registry.clear().await;
        tracing::info!(%address, "emulator stopped");
    }
}
