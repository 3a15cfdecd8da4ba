//! What no row of the catalogue names: an agent was killed while it wrote, or after that and before it could be known.

use crate::domain::placement::DataSet;
use crate::knowledge::{self, Knowledge};
use crate::storage::s3::S3Store;
use crate::storage::{self, ObjectStore};
use std::time::{Duration, SystemTime};

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("cannot look for orphan objects")]
    Storage(#[from] storage::StorageError),
    #[error("cannot look for orphan objects")]
    Knowledge(#[from] knowledge::KnowledgeError),
}

/// Deletes the orphans of a data set in a store; returns their keys.
///
/// Safe beside running transfers: a replica's row is written before its object, and the store is listed before the catalogue
/// is read, so that an object without a row has lost it.
pub async fn sweep(
    store: &dyn ObjectStore,
    knowledge: &dyn Knowledge,
    data_set: &DataSet,
) -> Result<Vec<String>, SweepError> {
    let objects = store.list(&format!("{}/", data_set.object_key)).await?;
    let Some(snapshot) = knowledge.snapshot(&data_set.name).await? else { return Ok(Vec::new()) };
    let named = |key: &str| snapshot.placement.replicas.values().any(|replica| replica.object_key == key);
    let mut orphans = Vec::new();
    for object in objects {
        if !named(&object.key) {
            store.delete(&object.key).await?;
            orphans.push(object.key);
        }
    }
    Ok(orphans)
}

/// Gives up the uploads that were begun longer than `age` ago for replicas of a data set that no row names; returns their
/// keys. Others' uploads have rows, for these come first; their age only guards those of other networks in the bucket.
pub async fn give_up_uploads(
    store: &S3Store,
    knowledge: &dyn Knowledge,
    data_set: &DataSet,
    age: Duration,
) -> Result<Vec<String>, SweepError> {
    let uploads = store.unfinished_uploads(&format!("{}/", data_set.object_key)).await?;
    let Some(snapshot) = knowledge.snapshot(&data_set.name).await? else { return Ok(Vec::new()) };
    let named = |key: &str| snapshot.placement.replicas.values().any(|replica| replica.object_key == key);
    let is_old = |begun: SystemTime| begun.elapsed().is_ok_and(|passed| passed > age);
    let mut given_up = Vec::new();
    for upload in uploads.into_iter().filter(|upload| upload.begun.is_some_and(is_old) && !named(&upload.key)) {
        store.abort_upload(&upload).await?;
        given_up.push(upload.key);
    }
    Ok(given_up)
}
