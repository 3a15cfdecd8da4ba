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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::domain::ids::NodeId;
    use crate::domain::placement::{Node, NodeState};
    use crate::domain::units::Percent;
    use crate::knowledge::memory::MemoryKnowledge;
    use crate::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
    use crate::storage::s3::S3Settings;
    use bytes::Bytes;
    use futures::stream::{self, StreamExt as _};
    use std::sync::Arc;

    /// A catalogue that names `k/first` on node 1.
    async fn catalogue() -> (MemoryKnowledge, DataSet) {
        let knowledge = MemoryKnowledge::new(Arc::new(VirtualClock::default()));
        let node = Node {
            id: NodeId(1),
            name: "cloud".to_owned(),
            store_url: None,
            availability: Percent::new(90.0).unwrap(),
            capacity_bytes: None,
            state: NodeState::Declared,
            heartbeat_at: None,
            store: Default::default(),
        };
        knowledge.register_network(&[node], &[]).await.unwrap();
        let data_set =
            DataSet { name: "d".into(), object_key: "k".to_owned(), bytes: 1, records: 1, sha256: "00".repeat(32) };
        knowledge.register_data_set(&data_set, NodeId(1), "k/first", &Default::default()).await.unwrap();
        (knowledge, data_set)
    }

    #[tokio::test]
    async fn uploads_that_no_row_names_are_given_up_once_they_are_old() {
        const PART: usize = 9 << 20;
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings::new(directory.path(), "data");
        let settings = EmbeddedSettings { durability: Durability::Kill, ..settings };
        let server = EmbeddedStore::start(settings, &tokio::runtime::Handle::current()).unwrap();
        let store = S3Store::new(S3Settings::new(server.endpoint(), "data", server.credentials().clone()));
        // Writers that have sent a part and then hang.
        let mut hanging = tokio::task::JoinSet::new();
        for key in ["k/first", "k/lost", "k.training/agent-1"] {
            let store = store.clone();
            let body = stream::iter([Ok(Bytes::from(vec![7; PART]))]).chain(stream::pending()).boxed();
            hanging.spawn(async move { store.write(key, 3 * PART as u64, body).await });
        }
        while store.unfinished_uploads("k").await.unwrap().len() < 3 {
            tokio::task::yield_now().await;
        }

        let (knowledge, data_set) = catalogue().await;
        let lease = Duration::from_secs(300);
        assert_eq!(give_up_uploads(&store, &knowledge, &data_set, lease).await.unwrap(), Vec::<String>::new());
        assert_eq!(give_up_uploads(&store, &knowledge, &data_set, Duration::ZERO).await.unwrap(), ["k/lost"]);
        assert_eq!(store.unfinished_uploads("k").await.unwrap().len(), 2);
        drop(hanging);
        server.shutdown().await;
    }
}
