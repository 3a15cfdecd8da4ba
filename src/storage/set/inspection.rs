//! Whether what lies below a prefix is what its manifest says.

use super::{Held, SetAt, Work, difference, each, named};
use crate::storage::transfer::{Expected, verify};
use crate::storage::{Result, StorageError, pages};
use agent_core::domain::manifest::Entry;
use agent_core::domain::validators::Validators;

/// What a look at a set showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// All of it is there; the validators are its manifest's.
    Intact(Validators),
    /// Some of it is not what it was: why, for people.
    Differs(String),
    /// Nothing of it is left that could be judged.
    Gone(String),
}

/// An object of the manifest, as it is found.
enum Found {
    Same,
    /// It has to be read.
    Unknown,
    Other(String),
    Missing,
}

/// Holds a set against the manifest that the table names. What a listing shows to be another one is read, with `read` everything:
/// bytes rot under the same ETag, too. An error: it cannot be known now.
pub async fn inspect(at: &SetAt, sha256: &str, read: bool) -> Result<Seen> {
    let held = match at.manifest().await {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(Seen::Gone("its manifest is gone".to_owned())),
        Err(StorageError::Damaged { reason, .. } | StorageError::Changed { reason, .. }) => {
            return Ok(Seen::Differs(format!("its manifest is damaged: {reason}")));
        }
        Err(error) => return Err(error),
    };
    if let Some(reason) = difference(&held.manifest, sha256) {
        return Ok(Seen::Differs(format!("its manifest is another one: {reason}")));
    }
    let mut found = listed(at, &held, read).await?;
    let unknown: Vec<usize> = (0..found.len()).filter(|at| matches!(found[*at], Found::Unknown)).collect();
    let (store, manifest, indices) = (at.clone(), held.manifest.clone(), unknown.clone());
    let comparing = move |nth: usize| {
        let (at, object) = (store.clone(), manifest.objects()[indices[nth]].clone());
        Work { bytes: 0, work: async move { compared(&at, &object).await } }
    };
    for (index, compared) in unknown.iter().zip(each(unknown.len(), comparing).await?) {
        found[*index] = compared;
    }
    Ok(verdict(&held, &found))
}

async fn listed(at: &SetAt, held: &Held, read: bool) -> Result<Vec<Found>> {
    let objects = held.manifest.objects();
    let mut found: Vec<Found> = objects.iter().map(|_| Found::Missing).collect();
    let prefix = at.keys.prefix();
    let mut pages = pages(at.store.as_ref(), &prefix);
    while let Some(page) = pages.next().await? {
        for (index, object) in named(page, at, &held.manifest) {
            let named = &objects[index];
            found[index] = match (&named.etag, &object.validators.etag) {
                _ if named.bytes != object.bytes => {
                    Found::Other(format!("it has {} bytes, no longer {}", object.bytes, named.bytes))
                }
                (Some(named), Some(now)) if !read && **named == **now => Found::Same,
                _ => Found::Unknown,
            };
        }
    }
    Ok(found)
}

async fn compared(at: &SetAt, object: &Entry) -> Result<Found> {
    let expected = Expected { bytes: object.bytes, sha256: object.sha256.to_string() };
    match verify(at.store.as_ref(), &at.keys.object(&object.key), &expected).await {
        Ok(_) => Ok(Found::Same),
        Err(StorageError::NotFound { .. }) => Ok(Found::Missing),
        Err(StorageError::Damaged { reason, .. } | StorageError::Changed { reason, .. }) => Ok(Found::Other(reason)),
        Err(error) => Err(error),
    }
}

fn verdict(held: &Held, found: &[Found]) -> Seen {
    let named = || held.manifest.objects().iter().zip(found);
    let mut missing = named().filter(|(_, found)| matches!(found, Found::Missing)).map(|(object, _)| &object.key);
    let mut others = named().filter_map(|(object, found)| match found {
        Found::Other(why) => Some((&object.key, why)),
        Found::Same | Found::Unknown | Found::Missing => None,
    });
    let (of, mut said) = (found.len(), Vec::new());
    if let Some((key, why)) = others.next() {
        said.push(format!("{} of {of} objects are other ones (`{key}`: {why})", 1 + others.count()));
    }
    if let Some(key) = missing.next() {
        let gone = 1 + missing.count();
        said.push(format!("{gone} of {of} objects are gone (`{key}`)"));
        if gone == of {
            return Seen::Gone(said.join(", "));
        }
    }
    match said.is_empty() {
        true => Seen::Intact(held.validators.clone()),
        false => Seen::Differs(said.join(", ")),
    }
}

/// How many objects below the prefix the manifest does not name, and one of their keys.
pub async fn strangers(at: &SetAt, held: &Held) -> Result<Option<(u64, String)>> {
    let mut found: Option<(u64, String)> = None;
    let prefix = at.keys.prefix();
    let mut pages = pages(at.store.as_ref(), &prefix);
    while let Some(page) = pages.next().await? {
        for object in page {
            let below = at.keys.below_prefix(&object.key).unwrap_or_default();
            if held.manifest.get(below).is_none() {
                found.get_or_insert((0, object.key)).0 += 1;
            }
        }
    }
    Ok(found)
}
