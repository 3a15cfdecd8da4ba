//! What a store can do, found out with a small object of our own before anything is trusted to it.

use super::{S3Store, failure};
use crate::storage::{Content, ObjectStore as _, Result, StorageError};
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockEnabled};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

/// What the object holds.
const CONTENT: &[u8] = b"written and deleted to find out what this store can do\n";

/// One thing that was tried.
#[derive(Debug)]
pub struct Step {
    /// `bucket`, `put`, `get`, `list` or `delete`.
    pub name: &'static str,
    pub outcome: Result<()>,
}

/// What came of it.
#[derive(Debug)]
pub struct Examination {
    /// In the order in which they were tried; what comes after a failure and needs it is not there.
    pub steps: Vec<Step>,
    /// Whether what is brought there can be read and deleted again; absent: the store did not answer.
    pub deletes: Option<bool>,
    /// What people should know: it costs room, or bytes stay.
    pub remarks: Vec<&'static str>,
}

impl Examination {
    pub fn failure(&self) -> Option<&StorageError> {
        self.steps.iter().find_map(|step| step.outcome.as_ref().err())
    }

    fn note(&mut self, name: &'static str, outcome: Result<()>) -> bool {
        let is_well = outcome.is_ok();
        self.deletes = match &outcome {
            Ok(()) => self.deletes,
            // A store that is away has not said what it can do.
            Err(StorageError::Unavailable { .. }) => None,
            Err(_) => Some(false),
        };
        self.steps.push(Step { name, outcome });
        is_well
    }
}

impl S3Store {
    /// Writes an object under `key`, which is the caller's alone, reads, lists and deletes it, and asks what the bucket does
    /// with deleted objects. Nothing is left where deleting is possible.
    pub async fn examine(&self, key: &str) -> Examination {
        let mut found = Examination { steps: Vec::new(), deletes: Some(true), remarks: Vec::new() };
        let is_usable = found.note("bucket", self.has_bucket().await)
            && found.note("put", self.write(key, CONTENT.len() as u64, body()).await);
        if !is_usable {
            return found;
        }
        found.note("get", self.read_back(key).await);
        found.note("list", self.is_listed(key).await);
        found.note("delete", self.delete_for_good(key).await);
        if self.is_versioned().await {
            found.remarks.push(match self.delete_versions && self.abilities.deleting_versions.is_there() {
                true => "versioned, and versions are deleted",
                false => "versioned: what is deleted stays there and takes room (see delete_versions)",
            });
        }
        if self.has_object_lock().await {
            found.remarks.push("object lock: what is written may have to stay for years");
        }
        found
    }

    async fn has_bucket(&self) -> Result<()> {
        match self.bucket_exists().await? {
            true => Ok(()),
            false => Err(self.failed("looking for the bucket", &self.bucket).refusal(failure::no_bucket(&self.bucket))),
        }
    }

    async fn read_back(&self, key: &str) -> Result<()> {
        let all = Content { bytes: CONTENT.len() as u64, etag: None };
        let chunks: Vec<Bytes> = self.read_range(key, 0..all.bytes, &all).await?.bytes.try_collect().await?;
        match chunks.concat() == CONTENT {
            true => Ok(()),
            false => Err(self.damaged(key, "other bytes come back than were written".into())),
        }
    }

    async fn is_listed(&self, key: &str) -> Result<()> {
        match self.list(key).await?.iter().any(|object| object.key == key) {
            true => Ok(()),
            false => Err(self.damaged(key, "it is not listed although it was written".into())),
        }
    }

    /// A store may say that it has deleted what stays.
    async fn delete_for_good(&self, key: &str) -> Result<()> {
        self.delete(key).await?;
        match self.info(key).await? {
            None => Ok(()),
            Some(_) => {
                Err(self.failed("deleting", key).refusal("the store says that it is gone, and it is not".into()))
            }
        }
    }

    /// Where the store does not say, it is taken for one without.
    async fn is_versioned(&self) -> bool {
        let request = self.control.get_bucket_versioning().bucket(&self.bucket).send();
        match self.answered("asking for versions", &self.bucket, self.timeouts.response, request).await {
            Ok(Ok(answer)) => answer.status == Some(BucketVersioningStatus::Enabled),
            // So Moto 5.2 answers.
            Ok(Err(error)) => failure::element(&error, "Status").is_some_and(|status| status == "Enabled"),
            Err(_) => false,
        }
    }

    async fn has_object_lock(&self) -> bool {
        let request = self.control.get_object_lock_configuration().bucket(&self.bucket).send();
        let answer = self.answered("asking for locks", &self.bucket, self.timeouts.response, request).await;
        let configuration =
            answer.ok().and_then(|answer| answer.ok()).and_then(|answer| answer.object_lock_configuration);
        configuration.is_some_and(|lock| lock.object_lock_enabled == Some(ObjectLockEnabled::Enabled))
    }
}

fn body() -> crate::storage::ByteStream {
    stream::iter([Ok(Bytes::from_static(CONTENT))]).boxed()
}
