//! A node's own S3 store: a server inside this process that keeps its objects in a directory.
//!
//! It has one user, whose credentials are given to it or generated, and no anonymous access. Objects appear and are replaced as a whole
//! or not at all, whenever the process is killed.

mod checksums;
mod described;
mod directory;
mod keys;
mod listing;
mod service;
mod uploads;

use self::directory::Directory;
use self::service::ObjectService;
use super::credentials::Credentials;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Who comes when so many are served waits in the listener's queue.
const CONNECTIONS_AT_MOST: usize = 256;
/// Longer than clients keep idle connections, so that none is closed in the moment it is used again.
const IDLE_CONNECTION: Duration = Duration::from_secs(300);
/// How long requests may take to end when the store is shut down.
const SHUTDOWN: Duration = Duration::from_secs(3);
/// When the process has no file descriptors left, accepting fails until somebody closes one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the store keeps its objects and where it listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmbeddedSettings {
    /// Created if it is not there, for this user alone. One store at a time uses it.
    pub directory: PathBuf,
    pub listen: SocketAddr,
    /// Created if it is not there.
    pub bucket: String,
    pub durability: Durability,
    /// Those of its one user, kept for later starts; absent: those that were kept, or new ones.
    pub credentials: Option<Credentials>,
}

/// What an object that was written survives. Either way it is whole or not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The end of this process, however sudden: what a laboratory needs. Writing waits for no disk.
    Kill,
    /// The end of the machine, too: every write waits until the disk has it, behind whatever else the disk has to do.
    PowerLoss,
}

impl EmbeddedSettings {
    /// Listens on loopback, on any free port; objects survive a power loss.
    pub fn new(directory: impl Into<PathBuf>, bucket: impl Into<String>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (directory, bucket) = (directory.into(), bucket.into());
        Self { directory, listen, bucket, durability: Durability::PowerLoss, credentials: None }
    }
}

/// Why a store did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error("{path}: {doing}: {error}; the embedded store needs a directory it can write to", path = path.display())]
    Directory { path: PathBuf, doing: &'static str, error: io::Error },
    #[error("{path}: another process keeps its objects there; stop it or choose another directory", path = path.display())]
    InUse { path: PathBuf },
    #[error("{path}: others may read the store's credentials (mode {mode:o}); run `chmod 600 {path}`", path = path.display())]
    OpenCredentials { path: PathBuf, mode: u32 },
    #[error("{path}: these are no credentials: {reason}; delete the file and new ones are made", path = path.display())]
    UnreadableCredentials { path: PathBuf, reason: String },
    #[error("cannot listen on {listen}: {error}; stop who does or choose another address")]
    Listen { listen: SocketAddr, error: io::Error },
    #[error("`{bucket}` is no name for a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket { bucket: String },
}

/// A store that runs. Dropping it ends it at once; [`EmbeddedStore::shutdown`] lets requests end.
#[derive(Debug)]
pub struct EmbeddedStore {
    address: SocketAddr,
    credentials: Credentials,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl EmbeddedStore {
    /// Takes the directory and listens; requests are served on `runtime`. Leftovers of a life that was cut short are
    /// removed. Blocks for as long as that takes.
    pub fn start(settings: EmbeddedSettings, runtime: &Handle) -> Result<Self, EmbeddedError> {
        let EmbeddedSettings { directory, listen, bucket, durability, credentials } = settings;
        if !s3s::path::check_bucket_name(&bucket) {
            return Err(EmbeddedError::Bucket { bucket });
        }
        let directory = Directory::open(&directory, &bucket, durability)?;
        let credentials = match credentials {
            Some(given) => keys::keep(directory.root(), given)?,
            None => keys::load_or_generate(directory.root())?,
        };
        let failed = |error| EmbeddedError::Listen { listen, error };
        let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let service = service(directory, &credentials)?;
        let _context = runtime.enter();
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let accepting = runtime.spawn(accept(listener, service, stopped));
        tracing::info!(%address, "embedded store is listening");
        Ok(Self { address, credentials, stop, accepting })
    }

    /// The credentials of the store in a directory, for others on this machine; `None` before it was started there.
    pub fn credentials_of(directory: &Path) -> Result<Option<Credentials>, EmbeddedError> {
        keys::read(directory)
    }

    /// `http://HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Accepts nobody any more, lets running requests end for a moment, and gives the directory back.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.accepting).await {
            tracing::error!(%error, "embedded store ended badly");
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // Its connections go with it: they are its tasks.
        self.accepting.abort();
    }
}

fn service(directory: Directory, credentials: &Credentials) -> Result<S3Service, EmbeddedError> {
    let auth = SimpleAuth::from_single(credentials.access_key_id.clone(), credentials.secret_access_key.as_str());
    let mut builder = S3ServiceBuilder::new(ObjectService::new(directory)?);
    // With somebody to ask about keys, requests without a signature are refused.
    builder.set_auth(auth);
    Ok(builder.build())
}

async fn accept(listener: TcpListener, service: S3Service, mut stopped: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_AT_MOST));
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
                tracing::warn!(%error, "embedded store cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (service, stopped) = (service.clone(), stopped.clone());
        connections.spawn(async move {
            serve(stream, service, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN, ended).await.is_err() {
        tracing::warn!(requests = connections.len(), "embedded store ends before its requests do");
        connections.shutdown().await;
    }
}

async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
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

async fn serve(stream: TcpStream, service: S3Service, mut stopped: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_CONNECTION)
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
        tracing::debug!(%error, "a connection to the embedded store broke");
    }
}

#[cfg(test)]
mod tests;
