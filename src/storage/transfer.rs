//! Moving bytes from one store to another, and knowing afterwards that they are the right ones: an object here, a set of them in
//! `set`.

mod set;

pub use self::set::transfer_set;

use super::{ByteStream, Content, ObjectInfo, ObjectStore, Result, StorageError};
use agent_core::domain::validators::Validators;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What an object must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    pub bytes: u64,
    /// In hexadecimal, either case.
    pub sha256: String,
}

/// Proof that an object was read back and is what was expected. Only this module makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Verified {
    expected: Expected,
    validators: Validators,
}

impl Verified {
    pub fn bytes(&self) -> u64 {
        self.expected.bytes
    }

    pub fn sha256(&self) -> &str {
        &self.expected.sha256
    }

    /// Of the content that was read.
    pub fn validators(&self) -> &Validators {
        &self.validators
    }
}

/// The end at which a transfer failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Source,
    Destination,
}

/// Why a transfer failed. The source is untouched; nothing lies at the destination unless `left_behind` says so.
#[derive(Debug)]
pub struct TransferError {
    pub side: Side,
    pub error: StorageError,
    /// Why what lies under the destination's key, unverified, could not be deleted.
    pub left_behind: Option<StorageError>,
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Source => "source",
            Side::Destination => "destination",
        };
        write!(f, "{side}: {}", self.error)?;
        match &self.left_behind {
            Some(error) => write!(f, "; what was written could not be deleted: {error}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TransferError {}

/// Copies an object with constant memory and with its attributes, then reads the copy back. `progress` hears how many bytes
/// have been read from the source, which must have the ETag that it is known by, where it is known.
///
/// The destination's key belongs to the caller alone: whatever lies there is replaced, and deleted when the transfer
/// fails. Dropping the future leaves at most an object under that key.
pub async fn transfer(
    source: &dyn ObjectStore,
    source_key: &str,
    source_etag: Option<&str>,
    destination: &dyn ObjectStore,
    destination_key: &str,
    expected: &Expected,
    progress: impl Fn(u64) + Send + Sync + 'static,
) -> std::result::Result<Verified, TransferError> {
    if (source.address(), source_key) == (destination.address(), destination_key) {
        // Deleting the destination on failure would delete the source.
        let error = Tally::of(destination, destination_key, expected).damaged("it is the source itself".into());
        return Err(TransferError { side: Side::Destination, error, left_behind: None });
    }
    let of = Content { bytes: expected.bytes, etag: source_etag.map(str::to_owned) };
    let copied = copy(source, source_key, &of, destination, destination_key, expected, progress).await;
    let verified = match copied {
        Ok(()) => verify(destination, destination_key, expected).await.map_err(|error| (Side::Destination, error)),
        Err(failure) => Err(failure),
    };
    match verified {
        Ok(verified) => Ok(verified),
        Err((side, error)) => {
            let left_behind = destination.delete(destination_key).await.err();
            Err(TransferError { side, error, left_behind })
        }
    }
}

/// Reads an object and compares it with what it must be; anything else is [`StorageError::Damaged`].
pub async fn verify(store: &dyn ObjectStore, key: &str, expected: &Expected) -> Result<Verified> {
    let tally = Tally::of(store, key, expected);
    let found = look(store, key).await?;
    if found.bytes != expected.bytes {
        return Err(tally.damaged(format!("it has {} bytes, expected {}", found.bytes, expected.bytes)));
    }
    let mut body = store.read_range(key, 0..expected.bytes, &found.content()).await?.bytes;
    while let Some(chunk) = body.next().await {
        tally.add(&chunk?);
    }
    tally.check()?;
    Ok(Verified { expected: expected.clone(), validators: found.validators })
}

/// The SHA-256 of an object that was found, read as a whole; lower-case hexadecimal.
pub async fn checksum(store: &dyn ObjectStore, found: &ObjectInfo) -> Result<String> {
    let mut sum = Sha256::new();
    if found.bytes > 0 {
        let mut body = store.read_range(&found.key, 0..found.bytes, &found.content()).await?.bytes;
        while let Some(piece) = body.next().await {
            sum.update(&piece?);
        }
    }
    Ok(hex::encode(sum.finalize()))
}

/// What lies under a key; nothing is [`StorageError::NotFound`].
async fn look(store: &dyn ObjectStore, key: &str) -> Result<ObjectInfo> {
    let found = store.info(key).await?;
    found.ok_or_else(|| StorageError::NotFound { address: store.address().into(), key: key.into() })
}

async fn copy(
    source: &dyn ObjectStore,
    source_key: &str,
    of: &Content,
    destination: &dyn ObjectStore,
    destination_key: &str,
    expected: &Expected,
    progress: impl Fn(u64) + Send + Sync + 'static,
) -> std::result::Result<(), (Side, StorageError)> {
    let at_source = |error| (Side::Source, error);
    let attributes = source.attributes(source_key).await.map_err(at_source)?;
    let body = source.read_range(source_key, 0..expected.bytes, of).await.map_err(at_source)?.bytes;
    let tally = Arc::new(Tally::of(source, source_key, expected));
    let body = counted(body, tally.clone(), progress);
    let written = destination.write_with(destination_key, expected.bytes, &attributes, body).await;
    if let Some(error) = tally.take_failure() {
        return Err((Side::Source, error));
    }
    written.map_err(|error| (Side::Destination, error))?;
    // A store may take as many bytes as it was promised and never hear the verdict.
    tally.check().map_err(|error| (Side::Source, error))
}

/// Passes a body on while it is counted. Its last word is whether it was the right one, so that a store does not finish
/// writing what must not be there.
fn counted(body: ByteStream, tally: Arc<Tally>, progress: impl Fn(u64) + Send + Sync + 'static) -> ByteStream {
    let counting = tally.clone();
    let chunks = body.map(move |chunk| match chunk {
        Ok(chunk) => {
            progress(counting.add(&chunk));
            Ok(chunk)
        }
        Err(error) => Err(counting.fail(error)),
    });
    let verdict = stream::once(async move { tally.check().map_err(|error| tally.fail(error)) });
    let verdict = verdict.filter_map(|verdict| async move { verdict.err().map(Err::<Bytes, _>) });
    chunks.chain(verdict).boxed()
}

/// Length and SHA-256 of what passed so far.
struct Tally {
    address: String,
    key: String,
    expected: Expected,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    bytes: u64,
    sha256: Sha256,
    /// Why the source's body ended, if it did so with an error.
    failure: Option<StorageError>,
}

impl Tally {
    fn of(store: &dyn ObjectStore, key: &str, expected: &Expected) -> Self {
        let address = store.address().to_owned();
        Self { address, key: key.into(), expected: expected.clone(), seen: Mutex::default() }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // A panic while hashing leaves a hash that does not match: never one that wrongly does.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes seen so far.
    fn add(&self, chunk: &[u8]) -> u64 {
        let mut seen = self.seen();
        seen.sha256.update(chunk);
        seen.bytes += chunk.len() as u64;
        seen.bytes
    }

    fn check(&self) -> Result<()> {
        let seen = self.seen();
        if seen.bytes != self.expected.bytes {
            return Err(self.damaged(format!("{} of {} bytes came", seen.bytes, self.expected.bytes)));
        }
        let sha256 = hex::encode(seen.sha256.clone().finalize());
        if !sha256.eq_ignore_ascii_case(&self.expected.sha256) {
            return Err(self.damaged(format!("its SHA-256 is {sha256}, expected {}", self.expected.sha256)));
        }
        Ok(())
    }

    /// Keeps the source's failure for the report; what is returned in its place only ends the write.
    fn fail(&self, error: StorageError) -> StorageError {
        let reason = error.to_string();
        self.seen().failure.get_or_insert(error);
        self.damaged(reason)
    }

    fn take_failure(&self) -> Option<StorageError> {
        self.seen().failure.take()
    }

    fn damaged(&self, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.clone(), key: self.key.clone(), reason }
    }
}

#[cfg(test)]
mod tests;
