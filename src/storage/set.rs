//! A data set of many objects in a store: the manifest that names them, and the work that is done on all of them.
//!
//! `making` lists a prefix and makes its manifest, `inspection` holds what lies there against it, `removal` deletes what it names,
//! `in_flight` bounds how much of that is done at once; `transfer` brings a set from store to store.

mod in_flight;
mod inspection;
mod making;
mod removal;

pub use self::in_flight::{Amount, Meter};
pub(in crate::storage) use self::in_flight::{Work, each};
pub use self::inspection::{Seen, inspect, strangers};
pub use self::making::{NotMade, lies_there, make};
pub use self::removal::{Left, discard, remove};

use super::attributes::Attributes;
use super::{ObjectInfo, ObjectStore, Result, StorageError};
use agent_core::domain::manifest::{Digest, Manifest, Reader, SetKeys};
use agent_core::domain::validators::Validators;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use std::sync::Arc;

/// What a manifest is to programs that come upon it.
const CONTENT_TYPE: &str = "application/x-ndjson";
/// Longer ones are none (I-7): a million objects with long keys.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;

/// A set in a store, or the place of one. Clones are the same.
#[derive(Clone)]
pub struct SetAt {
    pub store: Arc<dyn ObjectStore>,
    pub keys: SetKeys,
}

/// A manifest that was read and fits together, and its object's validators.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    pub manifest: Arc<Manifest>,
    pub validators: Validators,
}

impl SetAt {
    pub fn new(store: Arc<dyn ObjectStore>, keys: SetKeys) -> Self {
        Self { store, keys }
    }

    /// Its manifest; `None` when there is none, [`StorageError::Damaged`] when what is there is none.
    pub async fn manifest(&self) -> Result<Option<Held>> {
        self.read(&self.keys.manifest()).await
    }

    /// The manifest that the table names by its SHA-256; another one, or none, is refused.
    pub async fn manifest_of(&self, sha256: &str) -> Result<Held> {
        let key = self.keys.manifest();
        let held = self.read(&key).await?;
        let held = held.ok_or_else(|| StorageError::NotFound { address: self.address(), key: key.clone() })?;
        match difference(&held.manifest, sha256) {
            None => Ok(held),
            Some(reason) => Err(self.damaged(&key, reason)),
        }
    }

    /// What is still on its way here, if anything is.
    pub(in crate::storage) async fn unfinished(&self) -> Result<Option<Held>> {
        self.read(&self.keys.unfinished()).await
    }

    /// Writes its manifest, and reads it back.
    pub async fn write_manifest(&self, manifest: &Arc<Manifest>) -> Result<Validators> {
        let key = self.keys.manifest();
        self.write(&key, manifest).await?;
        let found = self.read(&key).await?;
        match found.filter(|found| found.manifest == *manifest) {
            Some(found) => Ok(found.validators),
            None => Err(self.damaged(&key, "it is not the manifest that was written a moment ago".to_owned())),
        }
    }

    pub(in crate::storage) async fn write_unfinished(&self, manifest: &Arc<Manifest>) -> Result<()> {
        self.write(&self.keys.unfinished(), manifest).await
    }

    async fn read(&self, key: &str) -> Result<Option<Held>> {
        let Some(found) = self.store.info(key).await? else { return Ok(None) };
        if found.bytes == 0 || found.bytes > MANIFEST_BYTES_MAX {
            return Err(self.damaged(key, format!("a manifest has no {} bytes", found.bytes)));
        }
        let mut text = self.store.read_range(key, 0..found.bytes, &found.content()).await?.bytes;
        let mut reader = Reader::default();
        while let Some(piece) = text.next().await {
            reader.push(&piece?).map_err(|bad| self.damaged(key, bad.to_string()))?;
        }
        let manifest = reader.finish().map_err(|bad| self.damaged(key, bad.to_string()))?;
        Ok(Some(Held { manifest: Arc::new(manifest), validators: found.validators }))
    }

    async fn write(&self, key: &str, manifest: &Arc<Manifest>) -> Result<()> {
        let pieces = |manifest: Arc<Manifest>| (0..).map_while(move |index| manifest.piece(index));
        let bytes = pieces(manifest.clone()).map(|piece| piece.len() as u64).sum();
        let text = stream::iter(pieces(manifest.clone()).map(|piece| Ok(Bytes::from(piece)))).boxed();
        let attributes = Attributes { content_type: Some(CONTENT_TYPE.to_owned()), ..Attributes::default() };
        self.store.write_with(key, bytes, &attributes, text).await
    }

    fn address(&self) -> String {
        self.store.address().to_owned()
    }

    fn damaged(&self, key: &str, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address(), key: key.to_owned(), reason }
    }
}

/// What of a listed page a manifest names, with its place there.
pub(in crate::storage) fn named<'a>(
    page: Vec<ObjectInfo>,
    at: &'a SetAt,
    manifest: &'a Manifest,
) -> impl Iterator<Item = (usize, ObjectInfo)> + use<'a> {
    page.into_iter().filter_map(|object| {
        let below = at.keys.below_prefix(&object.key)?;
        let index = manifest.objects().binary_search_by(|named| named.key.as_ref().cmp(below)).ok()?;
        Some((index, object))
    })
}

/// How a manifest is another one than the table names, for people.
fn difference(manifest: &Manifest, sha256: &str) -> Option<String> {
    let found = manifest.sha256();
    let is_it = Digest::parse(&sha256.to_ascii_lowercase()) == Some(found);
    (!is_it).then(|| format!("it is the manifest {found}, expected {sha256}"))
}

#[cfg(test)]
mod tests;
