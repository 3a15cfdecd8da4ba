//! The stores that this process answers for: an embedded one is started, somebody else's has to have its bucket.

use crate::storage::StorageError;
use crate::storage::embedded::{Durability, EmbeddedStore};
use crate::storage::s3::S3Store;
use agent_core::domain::store_url::{BUCKET, REGION, StoreUrl};
use anyhow::{Context as _, bail};

/// How the stores of this process' nodes are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosting {
    /// What the embedded stores promise of an object that they have accepted.
    pub durability: Durability,
    /// Whether a bucket that is not there is made (`--create-bucket`), or an error.
    pub create_bucket: bool,
    /// `http://HOST:PORT` of the one embedded store that is started, unless its settings have one.
    pub advertise: Option<String>,
}

/// A store has its bucket, now or already. `false`: it does not answer, and is left to whoever uses it: it may be back by then.
pub async fn provide_bucket(store: &S3Store, bucket: &str, create: bool) -> anyhow::Result<bool> {
    let found = if create { store.ensure_bucket().await.map(|()| true) } else { store.bucket_exists().await };
    match found {
        Ok(true) => Ok(true),
        Ok(false) => bail!(
            "{}: the bucket `{bucket}` does not exist; create it, correct its name, or start with --create-bucket",
            crate::storage::ObjectStore::address(store)
        ),
        Err(error @ StorageError::Unavailable { .. }) => {
            tracing::warn!(%error, "the bucket was not looked for");
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Under which URL others reach an embedded store.
pub fn url_of(store: &EmbeddedStore, advertise: Option<&str>) -> anyhow::Result<StoreUrl> {
    let endpoint = match advertise {
        Some(advertise) if advertise.starts_with("http://") => advertise.trim_end_matches('/').to_owned(),
        // It is not repeated: it may hold a user and a password.
        Some(_) => {
            bail!("what is to be advertised is no address of an embedded store: write it like `http://agent1:9000`")
        }
        None if store.address().ip().is_unspecified() => bail!(
            "it listens on {}, which is no address that others can reach: set `advertise = \"http://HOST:PORT\"` in its \
             [node.store], or AGENT_STORE_ADVERTISE",
            store.address()
        ),
        None => store.endpoint(),
    };
    StoreUrl::new(&endpoint, BUCKET, REGION).context("its address cannot be advertised")
}
