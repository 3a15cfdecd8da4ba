//! Making the manifest of what lies below a prefix: listed page by page, and each object read once.

use super::{Meter, SetAt, Work, each};
use crate::storage::{Content, ObjectInfo, StorageError, pages};
use agent_core::domain::manifest::{
    BadPattern, Digest, Entry, KEY_MAX, Manifest, NoSet, OBJECTS_MAX, Patterns, Selection, check_key,
};
use agent_core::domain::saga::object_key_for;
use futures::stream::StreamExt as _;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// How often an object that is written while it is read is looked at again.
const LOOKS: u32 = 3;
/// As long as the key of a plan may be: the keys of replicas are so much longer.
const PLAN_MAX: usize = 64;

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("pattern {0}")]
    Pattern(#[from] BadPattern),
    #[error("{address}: {reason}")]
    NoSet { address: String, reason: NoSet },
    #[error(
        "{address}: the object `{}` {reason}: no data set can have it; give it another key, or leave it out with `exclude`",
        key.escape_debug()
    )]
    Key { address: String, key: String, reason: &'static str },
    #[error("{address}: there is no object below `{prefix}`{}", if *.left_out { " that `include` and `exclude` leave" } else { "" })]
    Empty { address: String, prefix: String, left_out: bool },
}

/// The manifest of what lies below the set's prefix now, as far as it is selected. It is not written. What has the ETag that it has
/// in the one `before` is not read again.
pub async fn make(
    at: &SetAt,
    selection: Selection,
    version: u64,
    before: Option<Arc<Manifest>>,
    meter: &Meter,
) -> Result<Arc<Manifest>, NotMade> {
    let address = at.store.address().to_owned();
    let objects = listed(at, &selection.patterns()?).await?;
    let number = objects.len();
    let (from, meter) = (at.clone(), meter.clone());
    let hashing = move |index: usize| {
        let (at, object, meter) = (from.clone(), objects[index].clone(), meter.clone());
        let known = before.as_ref().and_then(|before| unchanged(&at, before, &object));
        let bytes = if known.is_some() { 0 } else { object.bytes };
        let work = async move {
            match known {
                Some(known) => Ok(Some(known)),
                None => hashed(&at, object, &meter).await,
            }
        };
        Work { bytes, work }
    };
    let objects: Vec<Option<Entry>> = each(number, hashing).await?;
    let manifest = Manifest::new(version, selection, objects.into_iter().flatten().collect());
    manifest.map(Arc::new).map_err(|reason| NotMade::NoSet { address, reason })
}

/// Whether what lies below the prefix now is what a manifest names, as far as its selection goes, by what a listing tells.
pub async fn lies_there(at: &SetAt, manifest: &Manifest) -> Result<bool, NotMade> {
    let found = listed(at, &manifest.selection().patterns()?).await?;
    let is_named = |object: &ObjectInfo| {
        let named = at.keys.below_prefix(&object.key).and_then(|below| manifest.get(below));
        named.is_some_and(|named| {
            let (known, now) = (named.etag.as_deref(), object.validators.etag.as_deref());
            named.bytes == object.bytes && known.zip(now).is_none_or(|(known, now)| known == now)
        })
    };
    Ok(found.len() == manifest.objects().len() && found.iter().all(is_named))
}

/// What a manifest says of an object that is still the one that it names.
fn unchanged(at: &SetAt, manifest: &Manifest, object: &ObjectInfo) -> Option<Entry> {
    let named = manifest.get(at.keys.below_prefix(&object.key)?)?;
    let is_same = named.bytes == object.bytes && named.etag.is_some();
    (is_same && named.etag.as_deref() == object.validators.etag.as_deref()).then(|| named.clone())
}

async fn listed(at: &SetAt, patterns: &Patterns) -> Result<Vec<ObjectInfo>, NotMade> {
    let (prefix, address) = (at.keys.prefix(), at.store.address().to_owned());
    let longest = KEY_MAX.saturating_sub(object_key_for(&at.keys.manifest(), "").len() + PLAN_MAX);
    let (mut objects, mut left_out) = (Vec::new(), false);
    let mut pages = pages(at.store.as_ref(), &prefix);
    while let Some(page) = pages.next().await? {
        for object in page {
            let Some(below) = at.keys.below_prefix(&object.key) else { continue };
            // What consoles make where people see a folder.
            let is_folder = object.bytes == 0 && (below.is_empty() || below.ends_with('/'));
            if is_folder || !patterns.take(below) {
                left_out |= !is_folder;
                continue;
            }
            let too_long = "is too long for the keys of its copies";
            let checked = if below.len() > longest { Err(too_long) } else { check_key(below) };
            if let Err(reason) = checked {
                return Err(NotMade::Key { address, key: object.key, reason });
            }
            if objects.len() == OBJECTS_MAX {
                return Err(NotMade::NoSet { address, reason: NoSet::TooMany });
            }
            objects.push(object);
        }
    }
    match objects.is_empty() {
        true => Err(NotMade::Empty { address, prefix, left_out }),
        false => Ok(objects),
    }
}

/// What an object has in it now; `None` when it was deleted since it was listed.
async fn hashed(at: &SetAt, mut object: ObjectInfo, meter: &Meter) -> Result<Option<Entry>, StorageError> {
    for looks in 1.. {
        match read(at, &object, meter).await {
            Ok(entry) => return Ok(Some(entry)),
            Err(StorageError::Changed { .. } | StorageError::NotFound { .. }) if looks < LOOKS => {}
            Err(error) => return Err(error),
        }
        match at.store.info(&object.key).await? {
            Some(now) => object = now,
            None => return Ok(None),
        }
    }
    Ok(None)
}

async fn read(at: &SetAt, object: &ObjectInfo, meter: &Meter) -> Result<Entry, StorageError> {
    let mut sha256 = Sha256::new();
    let mut etag = object.validators.etag.clone();
    if object.bytes > 0 {
        let of = Content { bytes: object.bytes, etag: etag.clone() };
        let mut body = at.store.read_range(&object.key, 0..object.bytes, &of).await?;
        etag = etag.or(body.etag.take());
        while let Some(piece) = body.bytes.next().await {
            let piece = piece?;
            meter.bytes(piece.len() as u64);
            sha256.update(&piece);
        }
    }
    meter.object();
    Ok(Entry {
        key: at.keys.below_prefix(&object.key).unwrap_or_default().into(),
        bytes: object.bytes,
        sha256: Digest(sha256.finalize().into()),
        etag: etag.map(Into::into),
    })
}
