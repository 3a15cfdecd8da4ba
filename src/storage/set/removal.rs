//! Deleting a set: what its manifest names, as it was written, and the manifest last, so that whoever is killed meanwhile can go on.

use super::{Held, SetAt, Work, each};
use crate::storage::transfer::{Expected, verify};
use crate::storage::{Content, Result, StorageError, pages};
use agent_core::domain::manifest::Entry;

/// What was left where it is, for it is somebody else's.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Left {
    /// Objects below the prefix.
    pub objects: u64,
    /// Of one of them.
    pub key: String,
    /// For people.
    pub why: String,
}

/// Deletes a replica: each object of its manifest, if it still is what was written. What is not, and what no manifest names, is left
/// alone.
pub async fn remove(at: &SetAt) -> Result<Option<Left>> {
    match at.manifest().await {
        Ok(Some(held)) => {
            delete(at, &held, |at, object| async move { delete_written(&at, &object).await }).await?;
            forget(at).await
        }
        // What was never finished is nobody's but ours.
        Ok(None) => discard(at).await,
        Err(StorageError::Damaged { reason, .. }) => remaining(at, &damaged(&reason)).await,
        Err(error) => Err(error),
    }
}

/// Deletes what arrived of a transfer that was given up: the keys are the caller's alone.
pub async fn discard(at: &SetAt) -> Result<Option<Left>> {
    let begun = match at.unfinished().await {
        Ok(None) | Err(StorageError::Damaged { .. }) => at.manifest().await,
        begun => begun,
    };
    match begun {
        Ok(Some(begun)) => {
            let own = |at: SetAt, object: Entry| async move { at.store.delete(&at.keys.object(&object.key)).await };
            delete(at, &begun, own).await?;
            forget(at).await
        }
        Ok(None) => forget(at).await,
        Err(StorageError::Damaged { reason, .. }) => remaining(at, &damaged(&reason)).await,
        Err(error) => Err(error),
    }
}

fn damaged(reason: &str) -> String {
    format!("its manifest is damaged: {reason}")
}

async fn delete<F>(at: &SetAt, held: &Held, one: impl Fn(SetAt, Entry) -> F + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (at, manifest) = (at.clone(), held.manifest.clone());
    let objects = manifest.objects().len();
    let deleting = move |index: usize| Work { bytes: 0, work: one(at.clone(), manifest.objects()[index].clone()) };
    each(objects, deleting).await.map(|_| ())
}

async fn delete_written(at: &SetAt, object: &Entry) -> Result<()> {
    let key = at.keys.object(&object.key);
    let mut content = Content { bytes: object.bytes, etag: object.etag.as_deref().map(str::to_owned) };
    if content.etag.is_none() {
        let expected = Expected { bytes: object.bytes, sha256: object.sha256.to_string() };
        match verify(at.store.as_ref(), &key, &expected).await {
            Ok(verified) => content.etag = verified.validators().etag.clone(),
            Err(StorageError::NotFound { .. } | StorageError::Damaged { .. } | StorageError::Changed { .. }) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    match at.store.delete_if(&key, &content).await {
        // It is somebody else's by now, and is told of with what remains.
        Err(StorageError::Changed { .. }) => Ok(()),
        deleted => deleted,
    }
}

/// The manifests go last; what is left of the prefix is told.
async fn forget(at: &SetAt) -> Result<Option<Left>> {
    let left = remaining(at, "no manifest names them, or they were changed").await?;
    at.store.delete(&at.keys.unfinished()).await?;
    at.store.delete(&at.keys.manifest()).await?;
    Ok(left)
}

async fn remaining(at: &SetAt, why: &str) -> Result<Option<Left>> {
    let mut left: Option<Left> = None;
    let prefix = at.keys.prefix();
    let mut pages = pages(at.store.as_ref(), &prefix);
    while let Some(page) = pages.next().await? {
        for object in page {
            left.get_or_insert_with(|| Left { objects: 0, key: object.key, why: why.to_owned() }).objects += 1;
        }
    }
    Ok(left)
}
