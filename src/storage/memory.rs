//! A store in memory: for tests and the simulator. And one that fails as real ones do.

use super::attributes::Attributes;
use super::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result, StorageError};
use agent_core::domain::validators::Validators;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The size of the pieces a read yields, so that readers meet more than one piece.
const CHUNK_BYTES: usize = 64 * 1024;
/// Objects in a page of a listing, as S3 has it.
const PAGE: usize = 1000;

/// Objects in a map. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    address: String,
    objects: Arc<Mutex<BTreeMap<String, Object>>>,
    /// How often anything was written: each content's ETag.
    writes: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    attributes: Attributes,
    etag: String,
}

impl Object {
    fn info(&self, key: &str) -> ObjectInfo {
        let bytes = self.bytes.len() as u64;
        let validators = Validators { bytes: Some(bytes), etag: Some(self.etag.clone()), modified_ms: None };
        ObjectInfo { key: key.into(), bytes, validators }
    }
}

impl MemoryStore {
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), objects: Arc::default(), writes: Arc::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        // Each critical section is one call on the map, so a panic elsewhere cannot have left it half changed.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object, if its content is the one that is meant.
    fn object(&self, key: &str, of: &Content) -> Result<Object> {
        let object = self.objects().get(key).cloned();
        let object = object.ok_or_else(|| StorageError::NotFound { address: self.address.clone(), key: key.into() })?;
        match of.difference(object.bytes.len() as u64, Some(&object.etag)) {
            Some(reason) => Err(StorageError::Changed { address: self.address.clone(), key: key.into(), reason }),
            None => Ok(object),
        }
    }

    fn damaged(&self, key: &str, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.clone(), key: key.into(), reason }
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    fn address(&self) -> &str {
        &self.address
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        Ok(self.objects().get(key).map(|object| object.info(key)))
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        let attributes = self.objects().get(key).map(|object| object.attributes.clone());
        attributes.ok_or_else(|| StorageError::NotFound { address: self.address.clone(), key: key.into() })
    }

    async fn read_range(&self, key: &str, range: Range<u64>, of: &Content) -> Result<RangeBody> {
        let Object { bytes: object, etag, .. } = self.object(key, of)?;
        let inside = |end: u64| usize::try_from(end).ok().filter(|&end| end <= object.len());
        let (Some(start), Some(end)) = (inside(range.start), inside(range.end)) else {
            let reason = format!("bytes {}..{} of {} were asked for", range.start, range.end, object.len());
            return Err(self.damaged(key, reason));
        };
        let body = object.slice(start..end.max(start));
        let pieces: Vec<_> = (0..body.len())
            .step_by(CHUNK_BYTES)
            .map(|at| Ok(body.slice(at..body.len().min(at + CHUNK_BYTES))))
            .collect();
        Ok(RangeBody { etag: Some(etag), bytes: stream::iter(pieces).boxed() })
    }

    async fn write_with(&self, key: &str, bytes: u64, attributes: &Attributes, mut body: ByteStream) -> Result<()> {
        let mut object = Vec::new();
        while let Some(chunk) = body.next().await {
            object.extend_from_slice(&chunk?);
        }
        if object.len() as u64 != bytes {
            return Err(self.damaged(key, format!("its body has {} of {bytes} bytes", object.len())));
        }
        let etag = self.writes.fetch_add(1, Ordering::Relaxed).to_string();
        let object = Object { bytes: object.into(), attributes: attributes.clone(), etag };
        self.objects().insert(key.into(), object);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.objects().remove(key);
        Ok(())
    }

    async fn delete_if(&self, key: &str, content: &Content) -> Result<()> {
        match self.object(key, content) {
            Ok(_) => self.delete(key).await,
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn list_page(&self, prefix: &str, after: Option<PageToken>) -> Result<Page> {
        let start = after.map_or(Bound::Included(prefix.to_owned()), |PageToken(last)| Bound::Excluded(last));
        let objects = self.objects();
        let matching = objects.range((start, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        let mut found: Vec<ObjectInfo> = matching.take(PAGE + 1).map(|(key, object)| object.info(key)).collect();
        let is_last = found.len() <= PAGE;
        found.truncate(PAGE);
        let next = found.last().filter(|_| !is_last).map(|object| PageToken(object.key.clone()));
        Ok(Page { objects: found, next })
    }
}

/// How a [`Faulty`] store misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Reads end after so many bytes.
    TruncateReads(u64),
    /// The first byte of every read is flipped.
    CorruptReads,
    /// Reads fail after so many bytes.
    BreakReads(u64),
    /// Reads never yield a byte.
    HangReads,
    /// What is written lies there with its first byte flipped.
    CorruptWrites,
    /// Writes are refused for lack of room once the body was taken.
    FillOnWrites,
    /// Deleting fails.
    RefuseDeletes,
}

/// A store with faults that can be switched on and off: a test double.
pub struct Faulty<S> {
    store: S,
    faults: Mutex<Vec<Fault>>,
}

impl<S: ObjectStore> Faulty<S> {
    pub fn new(store: S, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { store, faults: Mutex::new(faults.into_iter().collect()) }
    }

    /// From now on exactly these.
    pub fn set(&self, faults: impl IntoIterator<Item = Fault>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults.into_iter().collect();
    }

    pub fn inner(&self) -> &S {
        &self.store
    }

    fn faults(&self) -> Vec<Fault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unavailable(&self, operation: &'static str, key: &str, reason: &str) -> StorageError {
        let address = self.store.address().to_owned();
        StorageError::Unavailable { address, operation, key: key.into(), reason: reason.into() }
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Faulty<S> {
    fn address(&self) -> &str {
        self.store.address()
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        self.store.info(key).await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.store.attributes(key).await
    }

    async fn read_range(&self, key: &str, range: Range<u64>, of: &Content) -> Result<RangeBody> {
        let RangeBody { etag, bytes: mut body } = self.store.read_range(key, range, of).await?;
        for fault in self.faults() {
            body = match fault {
                Fault::TruncateReads(bytes) => truncated(body, bytes),
                Fault::BreakReads(bytes) => {
                    let broken = self.unavailable("reading", key, "the connection broke");
                    truncated(body, bytes).chain(stream::iter([Err(broken)])).boxed()
                }
                Fault::CorruptReads => corrupted(body),
                Fault::HangReads => stream::pending().boxed(),
                Fault::CorruptWrites | Fault::FillOnWrites | Fault::RefuseDeletes => body,
            };
        }
        Ok(RangeBody { etag, bytes: body })
    }

    async fn write_with(&self, key: &str, bytes: u64, attributes: &Attributes, mut body: ByteStream) -> Result<()> {
        for fault in self.faults() {
            match fault {
                Fault::CorruptWrites => body = corrupted(body),
                Fault::FillOnWrites => {
                    while let Some(chunk) = body.next().await {
                        chunk?;
                    }
                    let reason = "the disk is full".into();
                    return Err(StorageError::Full { address: self.address().into(), key: key.into(), reason });
                }
                Fault::TruncateReads(_)
                | Fault::CorruptReads
                | Fault::BreakReads(_)
                | Fault::HangReads
                | Fault::RefuseDeletes => {}
            }
        }
        self.store.write_with(key, bytes, attributes, body).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if self.faults().contains(&Fault::RefuseDeletes) {
            return Err(self.unavailable("deleting", key, "the store is away"));
        }
        self.store.delete(key).await
    }

    async fn delete_if(&self, key: &str, content: &Content) -> Result<()> {
        if self.faults().contains(&Fault::RefuseDeletes) {
            return Err(self.unavailable("deleting", key, "the store is away"));
        }
        self.store.delete_if(key, content).await
    }

    async fn list_page(&self, prefix: &str, after: Option<PageToken>) -> Result<Page> {
        self.store.list_page(prefix, after).await
    }
}

fn truncated(body: ByteStream, bytes: u64) -> ByteStream {
    let cut = |left: &mut u64, chunk: Result<Bytes>| {
        let keep = |chunk: Bytes| {
            let kept = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
            *left -= kept as u64;
            chunk.slice(..kept)
        };
        let piece = chunk.map(keep);
        futures::future::ready(Some(piece))
    };
    body.scan(bytes, cut).filter(|piece| futures::future::ready(!matches!(piece, Ok(kept) if kept.is_empty()))).boxed()
}

fn corrupted(body: ByteStream) -> ByteStream {
    let flip = |(index, chunk): (usize, Result<Bytes>)| {
        let chunk = chunk?;
        if index > 0 {
            return Ok(chunk);
        }
        let mut copy = chunk.to_vec();
        if let Some(first) = copy.first_mut() {
            *first ^= 1;
        }
        Ok(copy.into())
    };
    body.enumerate().map(flip).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract;

    #[tokio::test]
    async fn keeps_the_contract() {
        contract::check(&MemoryStore::new("memory")).await;
    }

    #[tokio::test]
    async fn faults_show_as_they_say() {
        let store = Faulty::new(MemoryStore::new("memory"), []);
        contract::put(&store, "a", b"abcdef").await;
        let read = async || contract::read(&store, "a", 0..6).await.map_err(|error| error.to_string());
        assert_eq!(read().await, Ok(b"abcdef".to_vec()));
        store.set([Fault::TruncateReads(2)]);
        assert_eq!(read().await, Ok(b"ab".to_vec()));
        store.set([Fault::CorruptReads]);
        assert_eq!(read().await, Ok(b"`bcdef".to_vec()));
        store.set([Fault::BreakReads(3)]);
        assert_eq!(read().await, Err("memory: reading `a`: the connection broke".into()));
        store.set([Fault::CorruptWrites]);
        contract::put(&store, "a", b"abcdef").await;
        store.set([]);
        assert_eq!(read().await, Ok(b"`bcdef".to_vec()));
    }
}
