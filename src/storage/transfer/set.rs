//! Bringing a set from store to store, object by object, so that whoever is killed meanwhile can go on.
//!
//! What is to arrive is written down at the destination first (the *unfinished* manifest), then come the objects, then the manifest:
//! where it lies, everything arrived and was read back. So what a transfer left behind can be told from everybody else's objects,
//! and what of it is right need not travel again.

use super::{Expected, Side, TransferError, Verified, transfer, verify};
use crate::storage::set::{Held, Meter, SetAt, Work, each};
use crate::storage::{Result, StorageError, pages};
use agent_core::domain::manifest::{Entry, Manifest};
use std::sync::Arc;
use std::time::Duration;

/// How often an object whose store is away for a moment is tried again, after pauses that double.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

type Etag = Option<Box<str>>;

/// Copies the set whose manifest has this SHA-256, and reads everything back; `meter` counts what has arrived.
///
/// The destination's keys belong to the caller alone. When it fails, what has arrived stays, to be gone on with or to be discarded.
pub async fn transfer_set(
    source: &SetAt,
    destination: &SetAt,
    sha256: &str,
    meter: &Meter,
) -> std::result::Result<Verified, TransferError> {
    let at_source = |error| TransferError { side: Side::Source, error, left_behind: None };
    let at_destination = |error| TransferError { side: Side::Destination, error, left_behind: None };
    let Held { manifest, .. } = source.manifest_of(sha256).await.map_err(at_source)?;
    let there = begin(destination, &manifest).await.map_err(at_destination)?;
    let (from, into, named, meter) = (source.clone(), destination.clone(), manifest.clone(), meter.clone());
    let bringing = move |index: usize| {
        let (source, destination, meter) = (from.clone(), into.clone(), meter.clone());
        let (object, there) = (named.objects()[index].clone(), there[index].clone());
        Work { bytes: object.bytes, work: async move { bring(&source, &destination, &object, there, &meter).await } }
    };
    let etags: Vec<Etag> = each(manifest.objects().len(), bringing).await?;
    let arrived = Arc::new(manifest.with_etags(etags));
    let finished = async {
        let validators = destination.write_manifest(&arrived).await?;
        destination.store.delete(&destination.keys.unfinished()).await?;
        Ok(validators)
    };
    let validators = finished.await.map_err(at_destination)?;
    let expected = Expected { bytes: manifest.bytes(), sha256: sha256.to_owned() };
    Ok(Verified { expected, validators })
}

/// What of an object lies at the destination already.
#[derive(Clone)]
enum There {
    Nothing,
    /// Something as long as it: it has to be read.
    Unknown,
    /// It was read back before the manifest was written.
    Verified(Etag),
}

/// Writes down what is to arrive, and looks at what has arrived.
async fn begin(destination: &SetAt, manifest: &Arc<Manifest>) -> Result<Vec<There>> {
    let is_it = |held: &Held| held.manifest.sha256() == manifest.sha256();
    let finished = sound(destination.manifest().await)?.filter(is_it);
    if finished.is_none() && !sound(destination.unfinished().await)?.is_some_and(|begun| is_it(&begun)) {
        destination.write_unfinished(manifest).await?;
    }
    let objects = manifest.objects();
    let mut there: Vec<There> = objects.iter().map(|_| There::Nothing).collect();
    let prefix = destination.keys.prefix();
    let mut pages = pages(destination.store.as_ref(), &prefix);
    while let Some(page) = pages.next().await? {
        for object in page {
            let below = destination.keys.below_prefix(&object.key).unwrap_or_default();
            let Ok(index) = objects.binary_search_by(|named| named.key.as_ref().cmp(below)) else { continue };
            if object.bytes != objects[index].bytes {
                continue;
            }
            let known = finished.as_ref().and_then(|held| held.manifest.objects()[index].etag.clone());
            let is_known = known.is_some() && known.as_deref() == object.validators.etag.as_deref();
            there[index] = if is_known { There::Verified(known) } else { There::Unknown };
        }
    }
    Ok(there)
}

/// What is no manifest is written anew.
fn sound(held: Result<Option<Held>>) -> Result<Option<Held>> {
    match held {
        Err(StorageError::Damaged { .. }) => Ok(None),
        held => held,
    }
}

/// Has one object arrive; its ETag there.
async fn bring(
    source: &SetAt,
    destination: &SetAt,
    object: &Entry,
    there: There,
    meter: &Meter,
) -> std::result::Result<Etag, TransferError> {
    let etag = match there {
        There::Verified(etag) => etag,
        There::Unknown => {
            match verify(destination.store.as_ref(), &destination.keys.object(&object.key), &expected(object)).await {
                Ok(verified) => etag_of(verified),
                Err(_) => copy(source, destination, object).await?,
            }
        }
        There::Nothing => copy(source, destination, object).await?,
    };
    meter.bytes(object.bytes);
    meter.object();
    Ok(etag)
}

async fn copy(source: &SetAt, destination: &SetAt, object: &Entry) -> std::result::Result<Etag, TransferError> {
    let (from, to) = (source.keys.object(&object.key), destination.keys.object(&object.key));
    let mut pause = FIRST_PAUSE;
    for tries in 1.. {
        let (store, into) = (source.store.as_ref(), destination.store.as_ref());
        match transfer(store, &from, object.etag.as_deref(), into, &to, &expected(object), |_| {}).await {
            Ok(verified) => return Ok(etag_of(verified)),
            Err(failed) if tries < TRIES && matches!(failed.error, StorageError::Unavailable { .. }) => {
                tracing::debug!(key = to, error = %failed, tries, "it is tried again");
            }
            Err(failed) => return Err(failed),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    unreachable!("the last try ends it")
}

fn expected(object: &Entry) -> Expected {
    Expected { bytes: object.bytes, sha256: object.sha256.to_string() }
}

fn etag_of(verified: Verified) -> Etag {
    verified.validators.etag.map(Into::into)
}
