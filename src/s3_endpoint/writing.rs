//! Writing through the endpoint: an object arrives whole here, is handed on to the origin of its data set, and is announced.

use super::objects::{Named, named};
use super::reading::Shared;
use super::version::{View, source};
use super::writes::{Left, Writes};
use crate::actors::{Announced, announce, chain, is_written};
use crate::storage::staging::{Staged, Staging};
use crate::storage::{ObjectStore, StorageError};
use agent_core::domain::ids::DataSetName;
use agent_core::domain::placement::Replica;
use agent_core::domain::snapshot::Snapshot;
use futures::StreamExt as _;
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, OwnedMutexGuard};

/// How often is looked whether something is to be announced, while there is anything.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub struct Writing {
    shared: Arc<Shared>,
    staging: Staging,
    writes: BTreeMap<DataSetName, Mutex<Writes>>,
    turns: Turns,
    written: Notify,
}

/// Where an object is written.
pub struct Origin {
    store: Arc<dyn ObjectStore>,
    /// As it was asked for, and as it lies there.
    key: String,
    data_set: DataSetName,
    /// It is the one object that the data set is.
    is_all: bool,
}

/// A write under way, whatever becomes of it.
struct UnderWay<'w> {
    writes: &'w Mutex<Writes>,
    left: Option<(String, Left)>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        locked(self.writes).end(Instant::now(), self.left.take());
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Writing {
    pub fn new(shared: Arc<Shared>, staging: Staging) -> Self {
        let writes = shared.world.data_sets.iter().map(|name| (name.clone(), Mutex::default())).collect();
        Self { shared, staging, writes, turns: Turns::default(), written: Notify::new() }
    }

    /// What was left here of an object, where the version that readers are given does not have it.
    pub fn left(&self, data_set: &DataSetName, key: &str, view: &View) -> Option<Left> {
        locked(self.writes.get(data_set)?).get(key, view.version.number).cloned()
    }

    pub async fn put(
        &self,
        data_set: &DataSetName,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let origin = self.origin(data_set, &request.input.key).await?;
        let _turn = self.turns.take(&origin).await;
        let (answer, staged) = self.staging.put(request).await?;
        let e_tag = Some(ETag::Strong(self.hand_on(&origin, &staged).await?));
        Ok(answer.map_output(|output| PutObjectOutput { e_tag, ..output }))
    }

    pub async fn begin(
        &self,
        data_set: &DataSetName,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.origin(data_set, &request.input.key).await?;
        self.staging.begin(request).await
    }

    pub async fn part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.staging.part(request).await
    }

    pub async fn complete(
        &self,
        data_set: &DataSetName,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let origin = self.origin(data_set, &request.input.key).await?;
        let _turn = self.turns.take(&origin).await;
        let (answer, staged) = self.staging.complete(request).await?;
        let e_tag = Some(ETag::Strong(self.hand_on(&origin, &staged).await?));
        Ok(answer.map_output(|output| CompleteMultipartUploadOutput { e_tag, ..output }))
    }

    pub async fn abort(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.staging.abort(request).await
    }

    pub async fn delete(&self, data_set: &DataSetName, key: &str) -> S3Result<()> {
        let origin = self.origin(data_set, key).await?;
        if origin.is_all {
            return Err(s3_error!(AccessDenied, "`{}` is all of data set {}: `agent remove-data-set`", key, data_set));
        }
        let _turn = self.turns.take(&origin).await;
        let mut under_way = self.under_way(data_set)?;
        origin.store.delete(key).await.map_err(refused)?;
        under_way.left = Some((key.to_owned(), Left::Deleted));
        drop(under_way);
        self.written.notify_one();
        Ok(())
    }

    /// Announces what was written, for ever.
    pub async fn announce(&self) {
        loop {
            if !self.writes.values().any(|writes| locked(writes).is_awaited()) {
                self.written.notified().await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            for (data_set, writes) in &self.writes {
                if let Some(view) = self.shared.catalogue.view(data_set).await {
                    locked(writes).read(view.version.number);
                }
                let Some(number) = locked(writes).due(Instant::now()) else { continue };
                match self.announce_one(data_set).await {
                    Ok(version) => locked(writes).announced(number, version),
                    Err(why) => {
                        tracing::debug!(%data_set, why, "what was written is announced a little later");
                        locked(writes).put_off(Instant::now());
                    }
                }
            }
        }
    }

    /// The version that what lies at the origin is.
    async fn announce_one(&self, data_set: &DataSetName) -> Result<u64, String> {
        let world = &self.shared.world;
        let snapshot = world.knowledge.snapshot(data_set).await.map_err(|error| chain(&error))?;
        let snapshot = snapshot.ok_or("it is not in the catalogue")?;
        let origin = written_at(&snapshot).ok_or("nobody writes it any more")?;
        match announce(world, &snapshot, origin, None).await? {
            Announced::Version { .. } => Ok(snapshot.data_set.versions.version + 1),
            // The agent there was faster.
            Announced::Nothing => Ok(snapshot.data_set.versions.version),
            Announced::NotYet(why) => Err(why),
        }
    }

    /// Where an object of this key is written, if it may be.
    pub async fn origin(&self, data_set: &DataSetName, key: &str) -> S3Result<Origin> {
        let mut view = self.view(data_set).await?;
        if written_at(&view.snapshot).is_none() {
            // Somebody may have allowed it a moment ago.
            view = self.shared.catalogue.look(data_set, Some(&view)).await.unwrap_or(view);
        }
        let set = &view.snapshot.data_set;
        let Some(named) = named(set, key) else {
            return Err(s3_error!(
                AccessDenied,
                "`{}` is no key of data set {}, which is `{}`",
                key,
                data_set,
                set.object_key
            ));
        };
        let Some(replica) = written_at(&view.snapshot) else {
            let why = "its owner does not go on writing (`origin = \"fixed\"`), or it was generated";
            return Err(s3_error!(AccessDenied, "data set {} is not written: {}", data_set, why));
        };
        let store = self.shared.ways.to(&view, replica.node).await.map_err(|error| away(&chain(&error)))?;
        if let Named::Below(below) = named {
            let source = source(&view.snapshot, replica);
            let manifest = self.shared.catalogue.manifest(data_set, &source, store.clone()).await.map_err(refused)?;
            // Made from what was valid.
            if manifest.selection().patterns().is_ok_and(|patterns| !patterns.take(below)) {
                return Err(s3_error!(
                    AccessDenied,
                    "`{}` does not belong to data set {}: it is excluded",
                    key,
                    data_set
                ));
            }
        }
        Ok(Origin { store, key: key.to_owned(), data_set: data_set.clone(), is_all: named == Named::Only })
    }

    async fn view(&self, data_set: &DataSetName) -> S3Result<Arc<View>> {
        let view = self.shared.catalogue.view(data_set).await;
        view.ok_or_else(|| s3_error!(NoSuchBucket, "data set {} is not in the catalogue", data_set))
    }

    fn under_way(&self, data_set: &DataSetName) -> S3Result<UnderWay<'_>> {
        let writes = self.writes.get(data_set).ok_or_else(|| s3_error!(NoSuchBucket))?;
        locked(writes).begin();
        Ok(UnderWay { writes, left: None })
    }

    /// To the origin; its SHA-256.
    async fn hand_on(&self, origin: &Origin, staged: &Staged) -> S3Result<String> {
        let Origin { store, key, data_set, is_all: _ } = origin;
        let mut under_way = self.under_way(data_set)?;
        let sum = Arc::new(Mutex::new(Sha256::new()));
        let summed = sum.clone();
        let body = staged.body().map_err(|error| s3_error!(InternalError, "what arrived cannot be read: {}", error))?;
        let body = body.inspect(move |piece| piece.iter().for_each(|bytes| locked(&summed).update(bytes))).boxed();
        store.write_with(key, staged.bytes, &staged.attributes, body).await.map_err(refused)?;
        let sha256 = hex::encode(locked(&sum).clone().finalize());
        let info = store.info(key).await.map_err(refused)?;
        let etag = info.filter(|info| info.bytes == staged.bytes).and_then(|info| info.validators.etag);
        let left = Left::Object { bytes: staged.bytes, sha256: sha256.clone(), etag, at: SystemTime::now() };
        under_way.left = Some((key.clone(), left));
        drop(under_way);
        self.written.notify_one();
        Ok(sha256)
    }
}

impl Origin {
    pub fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }
}

/// Where the owner of a data set goes on writing.
fn written_at(snapshot: &Snapshot) -> Option<&Replica> {
    let origin = snapshot.placement.origin(&snapshot.data_set.object_key);
    origin.filter(|replica| is_written(snapshot, replica))
}

fn refused(error: StorageError) -> S3Error {
    match &error {
        StorageError::Denied { .. } | StorageError::Refused { .. } => {
            s3_error!(AccessDenied, "at its origin: {}", error)
        }
        StorageError::NotFound { .. }
        | StorageError::Unavailable { .. }
        | StorageError::Damaged { .. }
        | StorageError::Changed { .. }
        | StorageError::Full { .. } => away(&error.to_string()),
    }
}

fn away(why: &str) -> S3Error {
    s3_error!(ServiceUnavailable, "its origin does not take it now, try again: {}", why)
}

/// Of two that write one object, one comes after the other: the last one's is what stays.
#[derive(Default)]
struct Turns(Mutex<BTreeMap<(DataSetName, String), Weak<Turn>>>);

type Turn = tokio::sync::Mutex<()>;

impl Turns {
    async fn take(&self, origin: &Origin) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = locked(&self.0);
            all.retain(|_, turn| turn.strong_count() > 0);
            let of = all.entry((origin.data_set.clone(), origin.key.clone())).or_default();
            of.upgrade().unwrap_or_else(|| {
                let turn = Arc::default();
                *of = Arc::downgrade(&turn);
                turn
            })
        };
        turn.lock_owned().await
    }
}
