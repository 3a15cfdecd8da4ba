//! The nodes' object stores, in our words. `s3` is the client technology, `embedded` a server, `transfer` moves bytes.

#[cfg(test)]
pub(crate) mod contract;
pub mod credentials;
pub mod embedded;
pub mod memory;
pub mod s3;
pub mod transfer;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::ops::Range;

/// Bytes as they come; an error ends the stream.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// What a store says about an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectInfo {
    pub key: String,
    pub bytes: u64,
}

/// Why a store did not do what it was asked; names the store's address and the object.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{address}: no object `{key}`")]
    NotFound { address: String, key: String },
    #[error("{address}: access to `{key}` was refused: {reason}; check the credentials of this store")]
    Denied { address: String, key: String, reason: String },
    /// Away, timed out, or failing on its side: the same call may succeed later.
    #[error("{address}: {operation} `{key}`: {reason}")]
    Unavailable { address: String, operation: &'static str, key: String, reason: String },
    /// It answered, but not with what it should: a truncated body, a wrong checksum.
    #[error("{address}: `{key}` is damaged: {reason}")]
    Damaged { address: String, key: String, reason: String },
    /// It is not, or no longer, the object that was asked for: somebody has replaced it.
    #[error("{address}: `{key}` is another object by now: {reason}")]
    Changed { address: String, key: String, reason: String },
    /// No room for the object.
    #[error("{address}: no room for `{key}`: {reason}")]
    Full { address: String, key: String, reason: String },
}

pub type Result<T> = std::result::Result<T, StorageError>;

/// A node's store as one agent reaches it (directly, or through its link to the node).
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Where it is reached, for messages.
    fn address(&self) -> &str;

    /// `None` when there is no such object.
    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>>;

    /// One request for one range of an object's bytes (end exclusive, within the object).
    async fn read_range(&self, key: &str, range: Range<u64>) -> Result<ByteStream>;

    /// Writes an object of exactly `bytes` bytes with bounded memory; nothing is visible under `key` before all of it arrived.
    async fn write(&self, key: &str, bytes: u64, body: ByteStream) -> Result<()>;

    /// Deleting what is not there is no error.
    async fn delete(&self, key: &str) -> Result<()>;

    /// The objects whose keys start with `prefix`.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>>;
}
