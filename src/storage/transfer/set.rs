//! Bringing a set from store to store, object by object, so that whoever is killed meanwhile can go on.
//!
//! What is to arrive is written down at the destination first (the *unfinished* manifest), then come the objects, then the manifest:
//! where it lies, everything arrived and was read back. So what a transfer left behind can be told from everybody else's objects,
//! and what of it is right need not travel again.

use super::{Expected, Side, TransferError, Verified, transfer, verify};
use crate::storage::set::{Held, Meter, SetAt, Work, each, named};
use crate::storage::{Result, StorageError, pages};
use agent_core::domain::manifest::{Digest, Entry, Manifest};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often an object whose store is away for a moment is tried again, after pauses that double.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

type Etag = Option<Box<str>>;

/// Copies the set whose manifest has this SHA-256, and reads everything back; `meter` counts what has arrived.
///
/// What one of the `former` sets holds, other versions in the destination's store, is taken from there: only what differs
/// travels. It is read and compared like everything else, and comes from the source where it is not what it should be.
///
/// The destination's keys belong to the caller alone. When it fails, what has arrived stays, to be gone on with or to be discarded.
pub async fn transfer_set(
    source: &SetAt,
    destination: &SetAt,
    sha256: &str,
    former: &[SetAt],
    meter: &Meter,
) -> std::result::Result<Verified, TransferError> {
    let at_source = |error| TransferError { side: Side::Source, error, left_behind: None };
    let at_destination = |error| TransferError { side: Side::Destination, error, left_behind: None };
    let Held { manifest, .. } = source.manifest_of(sha256).await.map_err(at_source)?;
    let there = begin(destination, &manifest).await.map_err(at_destination)?;
    let nearer = Nearer::of(former).await;
    let route = Arc::new(Route { source: source.clone(), destination: destination.clone(), nearer });
    let (named, meter) = (manifest.clone(), meter.clone());
    let bringing = move |index: usize| {
        let (route, meter) = (route.clone(), meter.clone());
        let (object, there) = (named.objects()[index].clone(), there[index].clone());
        Work { bytes: object.bytes, work: async move { route.bring(&object, there, &meter).await } }
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
        for (index, object) in named(page, destination, manifest) {
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

/// Contents that lie in the destination's store already, as parts of other versions.
struct Nearer(BTreeMap<Digest, (SetAt, Entry)>);

impl Nearer {
    /// Of the sets whose manifests can be read.
    async fn of(former: &[SetAt]) -> Self {
        let mut contents = BTreeMap::new();
        for set in former {
            let held = set.manifest().await;
            let held = held.inspect_err(|error| tracing::debug!(%error, "nothing of a former version is taken"));
            for object in held.ok().flatten().iter().flat_map(|held| held.manifest.objects()) {
                contents.entry(object.sha256).or_insert_with(|| (set.clone(), object.clone()));
            }
        }
        Self(contents)
    }

    fn holder(&self, object: &Entry) -> Option<(&SetAt, &Entry)> {
        let (set, held) = self.0.get(&object.sha256)?;
        (held.bytes == object.bytes).then_some((set, held))
    }
}

/// Where objects come from, and where to.
struct Route {
    source: SetAt,
    destination: SetAt,
    nearer: Nearer,
}

impl Route {
    /// Has one object arrive; its ETag there.
    async fn bring(&self, object: &Entry, there: There, meter: &Meter) -> std::result::Result<Etag, TransferError> {
        let etag = match there {
            There::Verified(etag) => etag,
            There::Unknown => {
                let key = self.destination.keys.object(&object.key);
                match verify(self.destination.store.as_ref(), &key, &expected(object)).await {
                    Ok(verified) => etag_of(verified),
                    Err(_) => self.copy(object).await?,
                }
            }
            There::Nothing => self.copy(object).await?,
        };
        meter.bytes(object.bytes);
        meter.object();
        Ok(etag)
    }

    async fn copy(&self, object: &Entry) -> std::result::Result<Etag, TransferError> {
        let to = (&self.destination, object.key.as_ref());
        if let Some((set, held)) = self.nearer.holder(object) {
            match copy(set, held, to).await {
                Ok(etag) => return Ok(etag),
                Err(failed) if failed.side == Side::Destination => return Err(failed),
                Err(failed) => tracing::debug!(key = %held.key, error = %failed, "it comes from the source instead"),
            }
        }
        copy(&self.source, object, to).await
    }
}

/// An object as it lies in one set, to the key below another one's prefix.
async fn copy(
    source: &SetAt,
    object: &Entry,
    (destination, below): (&SetAt, &str),
) -> std::result::Result<Etag, TransferError> {
    let (from, to) = (source.keys.object(&object.key), destination.keys.object(below));
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
