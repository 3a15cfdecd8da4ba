//! Objects that no row of the catalogue names: an agent was killed after it had written and before it could be known.

use crate::domain::placement::DataSet;
use crate::knowledge::{self, Knowledge};
use crate::storage::{self, ObjectStore};

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
