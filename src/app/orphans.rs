//! What no row of the catalogue names: an agent was killed while it wrote, or after that and before it could be known.

use super::stores::{PROBES, is_probe};
use crate::knowledge::{Knowledge, KnowledgeError};
use crate::storage::s3::{S3Store, UnfinishedUpload};
use crate::storage::set::{self, SetAt};
use crate::storage::{ObjectInfo, ObjectStore, StorageError, pages};
use agent_core::domain::manifest::{Extent, SetKeys};
use agent_core::domain::placement::DataSet;
use agent_core::domain::saga::replica_prefixes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error("cannot look for orphan objects")]
    Storage(#[from] StorageError),
    #[error("cannot look for orphan objects")]
    Knowledge(#[from] KnowledgeError),
}

/// Deletes the orphans of a data set in a store that have lain there for longer than a lease; returns their keys.
///
/// Safe beside running transfers: a replica's row is written before its object, and the store is listed before the catalogue
/// is read, so that an object without a row has lost it. A table of several servers may show an older state than that; no state
/// that it shows is a lease old. And what is said of an object is asked again right before it is deleted.
pub async fn sweep(
    store: &Arc<dyn ObjectStore>,
    knowledge: &dyn Knowledge,
    data_set: &DataSet,
    lease: Duration,
) -> Result<Vec<String>, SweepError> {
    let is_set = matches!(Extent::of(&data_set.object_key), Extent::Set(_));
    let mut objects = Vec::new();
    for prefix in replica_prefixes(&data_set.object_key) {
        let mut pages = pages(store.as_ref(), &prefix);
        while let Some(mut page) = pages.next().await? {
            // What of a set lies there its manifest tells, and what that does not name is somebody else's.
            page.retain(|object| !is_set || SetKeys::by_manifest(&object.key).is_some());
            page.retain(|object| has_age(object, lease));
            objects.extend(page);
        }
    }
    match is_set {
        false => delete_orphans(store.as_ref(), objects, || named(knowledge, data_set)).await,
        true => discard_orphans(store, objects, || named(knowledge, data_set)).await,
    }
}

/// Deletes what was left in a store by examinations of it that were killed, once it is older than a lease; returns the keys.
pub async fn sweep_probes(store: &dyn ObjectStore, lease: Duration) -> Result<Vec<String>, SweepError> {
    let mut left = Vec::new();
    let mut pages = pages(store, PROBES);
    while let Some(page) = pages.next().await? {
        left.extend(page.into_iter().filter(|object| is_probe(&object.key) && has_age(object, lease)));
    }
    delete_orphans(store, left, async || Ok(Some(BTreeSet::new()))).await
}

/// The same for sets: a manifest that no row names is deleted with all that it names.
async fn discard_orphans<N>(
    store: &Arc<dyn ObjectStore>,
    manifests: Vec<ObjectInfo>,
    named: impl Fn() -> N,
) -> Result<Vec<String>, SweepError>
where
    N: Future<Output = Result<Option<BTreeSet<String>>, KnowledgeError>>,
{
    let mut orphans = Vec::new();
    for keys in manifests.iter().filter_map(|object| SetKeys::by_manifest(&object.key)) {
        let manifest = keys.manifest();
        let is_orphan = named().await?.is_some_and(|keys| !keys.contains(&manifest));
        if is_orphan && !orphans.contains(&manifest) {
            // What is left below it shows `agent fsck`.
            set::remove(&SetAt::new(store.clone(), keys)).await?;
            orphans.push(manifest);
        }
    }
    Ok(orphans)
}

/// `named` gives the keys that the catalogue names now; nothing when it does not know the data set.
async fn delete_orphans<N>(
    store: &dyn ObjectStore,
    mut objects: Vec<ObjectInfo>,
    named: impl Fn() -> N,
) -> Result<Vec<String>, SweepError>
where
    N: Future<Output = Result<Option<BTreeSet<String>>, KnowledgeError>>,
{
    let is_orphan = |keys: &Option<BTreeSet<String>>, key: &str| keys.as_ref().is_some_and(|keys| !keys.contains(key));
    let keys = named().await?;
    objects.retain(|object| is_orphan(&keys, &object.key));
    let mut orphans = Vec::new();
    for object in objects {
        if !is_orphan(&named().await?, &object.key) {
            continue;
        }
        match store.delete_if(&object.key, &object.content()).await {
            Ok(()) => orphans.push(object.key),
            // It was written a moment ago.
            Err(StorageError::Changed { .. }) => {}
            Err(error) => return Err(error.into()),
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
    let mut uploads = Vec::new();
    for prefix in replica_prefixes(&data_set.object_key) {
        uploads.extend(store.unfinished_uploads(&prefix).await?);
    }
    let Some(named) = named(knowledge, data_set).await? else { return Ok(Vec::new()) };
    let extents: Vec<Extent> = named.iter().map(|key| Extent::of(key)).collect();
    let has_no_row = |upload: &UnfinishedUpload| {
        let is_named = extents.iter().any(|extent| extent.covers(&upload.key));
        upload.begun.is_some_and(|at| is_old(at, age)) && !is_named
    };
    let mut given_up = Vec::new();
    for upload in uploads.into_iter().filter(has_no_row) {
        store.abort_upload(&upload).await?;
        given_up.push(upload.key);
    }
    Ok(given_up)
}

/// The keys of a data set's replicas, on whatever node.
async fn named(knowledge: &dyn Knowledge, data_set: &DataSet) -> Result<Option<BTreeSet<String>>, KnowledgeError> {
    let snapshot = knowledge.snapshot(&data_set.name).await?;
    Ok(snapshot.map(|snapshot| snapshot.placement.replicas.values().map(|row| row.object_key.clone()).collect()))
}

/// Not one of unknown age.
fn has_age(object: &ObjectInfo, age: Duration) -> bool {
    object.validators.modified_ms.and_then(since_epoch).is_some_and(|at| is_old(at, age))
}

fn since_epoch(milliseconds: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(milliseconds).ok()?))
}

/// Not when it is said to be in the future.
fn is_old(at: SystemTime, age: Duration) -> bool {
    at.elapsed().is_ok_and(|passed| passed > age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
    use crate::storage::memory::MemoryStore;
    use crate::storage::s3::S3Settings;
    use agent_core::clock::VirtualClock;
    use agent_core::domain::ids::NodeId;
    use agent_core::domain::placement::{Node, NodeState};
    use agent_core::domain::units::Percent;
    use agent_core::knowledge::memory::MemoryKnowledge;
    use bytes::Bytes;
    use futures::stream::{self, StreamExt as _};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A catalogue that names `k/first` on node 1.
    async fn catalogue() -> (MemoryKnowledge, DataSet) {
        let knowledge = MemoryKnowledge::new(Arc::new(VirtualClock::default()));
        let node = Node {
            id: NodeId(1),
            name: "cloud".to_owned(),
            store_url: None,
            availability: Percent::new(90.0).unwrap().into(),
            capacity_bytes: None,
            state: NodeState::Declared,
            heartbeat_at: None,
            labels: Default::default(),
            store: Default::default(),
            contact: Default::default(),
        };
        knowledge.register_network(&[node], &[]).await.unwrap();
        let data_set = DataSet {
            name: "d".into(),
            object_key: "k".to_owned(),
            bytes: 1,
            records: 1,
            sha256: "00".repeat(32),
            versions: Default::default(),
            guard: Default::default(),
        };
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

    /// A store with objects of one byte.
    async fn store_with(keys: &[&str]) -> MemoryStore {
        let store = MemoryStore::new("memory");
        for key in keys {
            store.write(key, 1, stream::iter([Ok(Bytes::from_static(b"x"))]).boxed()).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn an_orphan_is_deleted_once_it_is_older_than_a_lease() {
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings::new(directory.path(), "data");
        let settings = EmbeddedSettings { durability: Durability::Kill, ..settings };
        let server = EmbeddedStore::start(settings, &tokio::runtime::Handle::current()).unwrap();
        let store = S3Store::new(S3Settings::new(server.endpoint(), "data", server.credentials().clone()));
        for key in ["k/first", "k/lost", "k.training/agent-1"] {
            store.write(key, 1, stream::iter([Ok(Bytes::from_static(b"x"))]).boxed()).await.unwrap();
        }
        let (knowledge, data_set) = catalogue().await;
        let own: Arc<dyn ObjectStore> = Arc::new(store.clone());
        let swept = async |lease| sweep(&own, &knowledge, &data_set, lease).await.unwrap();
        assert_eq!(swept(Duration::from_secs(300)).await, Vec::<String>::new());
        assert_eq!(swept(Duration::ZERO).await, ["k/lost"]);
        assert_eq!(store.list("k").await.unwrap().len(), 2);
        server.shutdown().await;
    }

    #[tokio::test]
    async fn what_an_examination_left_that_was_killed_is_deleted_and_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings::new(directory.path(), "data");
        let settings = EmbeddedSettings { durability: Durability::Kill, ..settings };
        let server = EmbeddedStore::start(settings, &tokio::runtime::Handle::current()).unwrap();
        let store = S3Store::new(S3Settings::new(server.endpoint(), "data", server.credentials().clone()));
        for key in ["agent-probe/0123456789abcdef", "agent-probe/notes.txt", "agent-probe/0123456789abcdef0"] {
            store.write(key, 1, stream::iter([Ok(Bytes::from_static(b"x"))]).boxed()).await.unwrap();
        }
        assert_eq!(sweep_probes(&store, Duration::from_secs(300)).await.unwrap(), Vec::<String>::new());
        assert_eq!(sweep_probes(&store, Duration::ZERO).await.unwrap(), ["agent-probe/0123456789abcdef"]);
        assert_eq!(store.list("agent-probe/").await.unwrap().len(), 2);
        server.shutdown().await;
    }

    #[tokio::test]
    async fn an_object_of_unknown_age_stays() {
        let (knowledge, data_set) = catalogue().await;
        let store: Arc<dyn ObjectStore> = Arc::new(store_with(&["k/lost"]).await);
        assert_eq!(sweep(&store, &knowledge, &data_set, Duration::ZERO).await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_the_catalogue_names_or_somebody_wrote_by_the_second_look_stays() {
        let store = store_with(&["k/a", "k/b", "k/c"]).await;
        let objects = store.list("k/").await.unwrap();
        let looks = AtomicU32::new(0);
        // An old state first, in which neither is named.
        let named = async || {
            let keys: &[&str] = if looks.fetch_add(1, Ordering::SeqCst) == 0 { &[] } else { &["k/b"] };
            Ok(Some(keys.iter().map(ToString::to_string).collect()))
        };
        store.write("k/c", 1, stream::iter([Ok(Bytes::from_static(b"y"))]).boxed()).await.unwrap();
        assert_eq!(delete_orphans(&store, objects, named).await.unwrap(), ["k/a"]);
        let left: Vec<_> = store.list("k/").await.unwrap().into_iter().map(|object| object.key).collect();
        assert_eq!(left, ["k/b", "k/c"]);
        // A table that does not know the data set names nothing, and decides nothing.
        let objects = store.list("k/").await.unwrap();
        assert_eq!(delete_orphans(&store, objects, async || Ok(None)).await.unwrap(), Vec::<String>::new());
    }
}
