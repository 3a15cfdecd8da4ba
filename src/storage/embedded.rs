//! A node's own S3 store: a server inside this process that keeps its objects in a directory.
//!
//! It has one user, whose credentials are given to it or generated, and no anonymous access. Objects appear and are replaced as a whole
//! or not at all, whenever the process is killed.

mod checksums;
mod described;
mod directory;
mod listing;
mod service;
pub mod staging;
mod uploads;

use self::directory::Directory;
use self::service::ObjectService;
use super::credentials::Credentials;
use super::credentials::kept::{Form, Kept, KeptError};
use crate::http_server::{Bounds, HttpServer, Listener};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

const BOUNDS: Bounds = Bounds {
    connections: 256,
    // Longer than clients keep idle connections, so that none is closed in the moment it is used again.
    head_within: Duration::from_secs(300),
    head_at_most: 400 << 10,
};

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
    #[error(transparent)]
    Credentials(#[from] KeptError),
    #[error("cannot listen on {listen}: {error}; stop who does or choose another address")]
    Listen { listen: SocketAddr, error: io::Error },
    #[error("`{bucket}` is no name for a bucket: 3 to 63 lower-case letters, digits, dots and hyphens")]
    Bucket { bucket: String },
}

/// A store that runs. Dropping it ends it at once; [`EmbeddedStore::shutdown`] lets requests end.
#[derive(Debug)]
pub struct EmbeddedStore {
    credentials: Credentials,
    server: HttpServer,
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
            Some(given) => keys(directory.root()).keep(given)?,
            None => keys(directory.root()).load_or_generate()?,
        };
        let failed = |error| EmbeddedError::Listen { listen, error };
        let listener = Listener::bind(listen).map_err(failed)?;
        let service = service(directory, &credentials)?;
        let server = listener.serve("embedded store", service, None, BOUNDS, runtime).map_err(failed)?;
        Ok(Self { credentials, server })
    }

    /// The credentials of the store in a directory, for others on this machine; `None` before it was started there.
    pub fn credentials_of(directory: &Path) -> Result<Option<Credentials>, EmbeddedError> {
        Ok(keys(directory).load()?)
    }

    /// `http://HOST:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Accepts nobody any more, lets running requests end for a moment, and gives the directory back.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

/// Its one user's. The directory's lock is held by who makes them.
fn keys(directory: &Path) -> Kept {
    Kept { path: directory.join("credentials.json"), form: Form::Json }
}

fn service(directory: Directory, credentials: &Credentials) -> Result<S3Service, EmbeddedError> {
    let auth = SimpleAuth::from_single(credentials.access_key_id.clone(), credentials.secret_access_key.as_str());
    let mut builder = S3ServiceBuilder::new(ObjectService::new(directory)?);
    // With somebody to ask about keys, requests without a signature are refused.
    builder.set_auth(auth);
    Ok(builder.build())
}

#[cfg(test)]
mod tests;
