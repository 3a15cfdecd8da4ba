//! The nodes' object stores, in our words. `s3` is the client technology, `embedded` a server, `transfer` moves bytes.

/// What an object is besides its bytes.
pub mod attributes;
#[cfg(test)]
pub(crate) mod contract;
/// What a job reads, counted.
pub mod counted;
pub mod credentials;
pub mod embedded;
pub mod memory;
/// Reading no faster than one may.
pub mod paced;
pub mod s3;
// What a data set of many objects is in a store.
pub mod set;
pub mod transfer;

pub use embedded::staging;

use self::attributes::Attributes;
use agent_core::domain::validators::Validators;
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
    pub validators: Validators,
}

impl ObjectInfo {
    /// The content that lies there now.
    pub fn content(&self) -> Content {
        Content { bytes: self.bytes, etag: self.validators.etag.clone() }
    }
}

/// Which content of an object is meant: a store belongs to others too, and under a key may lie another one by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// The whole object's length.
    pub bytes: u64,
    /// Absent: not known, or the store has none.
    pub etag: Option<String>,
}

impl Content {
    /// How what a store shows differs from what is meant, for people.
    pub fn difference(&self, bytes: u64, etag: Option<&str>) -> Option<String> {
        if bytes != self.bytes {
            return Some(format!("it has {bytes} bytes, expected {}", self.bytes));
        }
        match (&self.etag, etag) {
            (Some(meant), Some(found)) if meant != found => Some(format!("its ETag is {found}, expected {meant}")),
            _ => None,
        }
    }
}

/// A range of an object as it comes.
pub struct RangeBody {
    /// Of the object that the range is of, if the store tells.
    pub etag: Option<String>,
    pub bytes: ByteStream,
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
    /// It says no, and will say so again until somebody changes something: the region, the endpoint, a right.
    #[error("{address}: {operation} `{key}`: {reason}")]
    Refused { address: String, operation: &'static str, key: String, reason: String },
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

    /// What the object is besides its bytes; tags are left out where the store keeps none, or does not show them.
    async fn attributes(&self, key: &str) -> Result<Attributes>;

    /// One request for one range of an object's bytes (end exclusive, within the object). [`StorageError::Changed`] when
    /// another content lies there than the one that is meant, also where the store knows no conditional reads.
    async fn read_range(&self, key: &str, range: Range<u64>, of: &Content) -> Result<RangeBody>;

    /// Writes an object of exactly `bytes` bytes with bounded memory; nothing is visible under `key` before all of it arrived.
    async fn write(&self, key: &str, bytes: u64, body: ByteStream) -> Result<()> {
        self.write_with(key, bytes, &Attributes::default(), body).await
    }

    /// The same, with what it is besides its bytes. A store that keeps no tags gets none.
    async fn write_with(&self, key: &str, bytes: u64, attributes: &Attributes, body: ByteStream) -> Result<()>;

    /// Deletes whatever lies under the key: for keys that are the caller's alone. Deleting what is not there is no error.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Deletes this content and no other: it is looked at immediately before, and where the store knows conditional deletions,
    /// nothing can come between. [`StorageError::Changed`] when something else lies there, which stays. No error when nothing
    /// does.
    async fn delete_if(&self, key: &str, content: &Content) -> Result<()>;

    /// Some of the objects whose keys start with `prefix`, each once, in an order of the store's own: the first ones, or those that
    /// follow a page before. A page has a thousand at most, and may have none.
    async fn list_page(&self, prefix: &str, after: Option<PageToken>) -> Result<Page>;

    /// All of them, where they are known to be few: they are all in memory.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let mut found = Vec::new();
        let mut pages = pages(self, prefix);
        while let Some(page) = pages.next().await? {
            found.extend(page);
        }
        Ok(found)
    }
}

/// Where a listing goes on: a store's own word for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageToken(pub String);

/// A part of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    pub objects: Vec<ObjectInfo>,
    /// Absent: this is the last one.
    pub next: Option<PageToken>,
}

/// More pages than this are a server that never ends its listing (I-7).
const PAGES_MAX: usize = 10_000;

/// A listing, page by page.
pub fn pages<'s, S: ObjectStore + ?Sized>(store: &'s S, prefix: &'s str) -> Pages<'s, S> {
    Pages { store, prefix, next: Next::First, pages: 0 }
}

pub struct Pages<'s, S: ?Sized> {
    store: &'s S,
    prefix: &'s str,
    next: Next,
    pages: usize,
}

enum Next {
    First,
    After(PageToken),
    End,
}

impl<S: ObjectStore + ?Sized> Pages<'_, S> {
    /// The next page; `None` behind the last one.
    pub async fn next(&mut self) -> Result<Option<Vec<ObjectInfo>>> {
        let after = match std::mem::replace(&mut self.next, Next::End) {
            Next::First => None,
            Next::After(token) => Some(token),
            Next::End => return Ok(None),
        };
        if self.pages == PAGES_MAX {
            return Err(StorageError::Damaged {
                address: self.store.address().into(),
                key: self.prefix.into(),
                reason: format!("the listing did not end within {PAGES_MAX} pages"),
            });
        }
        self.pages += 1;
        let page = self.store.list_page(self.prefix, after).await?;
        self.next = page.next.map_or(Next::End, Next::After);
        Ok(Some(page.objects))
    }
}
