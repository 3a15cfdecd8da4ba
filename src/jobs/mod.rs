//! The user's job: something that reads a data set and takes time. `aggregate` computes in this process, `command` runs any
//! program, `spark` an application of Spark; a `service` is measured by what its users ask for.

/// One function of one field, computed in this process.
pub mod aggregate;
/// Any program.
pub mod command;
/// `avg(cholesterol)` and its relatives.
pub mod expression;
/// What users ask for.
pub mod service;
/// An application of Spark.
pub mod spark;

pub use self::service::{Answered, Requests};

use crate::storage::{ObjectStore, StorageError};
use agent_core::domain::failure::FailureKind;
use agent_core::domain::ids::NodeId;
use agent_core::domain::placement::Replica;
use agent_core::domain::snapshot::Snapshot;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the job reads: the referenced replica, through the agent's link.
#[derive(Clone)]
pub struct DataSource {
    pub store: Arc<dyn ObjectStore>,
    /// The same store for programs: endpoint through the link, bucket and credentials.
    pub access: S3Access,
    pub data_set: String,
    pub object_key: String,
    /// By what the catalogue knows the object, if it does.
    pub etag: Option<String>,
    /// Of the object; of a data set of many objects of its manifest, which `object_key` is the key of then.
    pub sha256: String,
    /// Of the object, or of all objects.
    pub bytes: u64,
    pub records: u64,
}

/// How any S3 client reaches a store. Its `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct S3Access {
    /// `http://host:port`
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    /// A PEM file with the authorities to trust instead of the machine's.
    pub ca: Option<PathBuf>,
    /// `host:port` of the link to a store behind HTTPS: its certificate is for the endpoint, so only who can connect to one
    /// place and ask for another gets through. Programs cannot.
    pub link: Option<String>,
}

impl S3Access {
    /// A text in which none of its secrets can be read.
    pub fn masked(&self, text: String) -> String {
        let secrets = [&self.secret_access_key].into_iter().chain(&self.session_token);
        secrets.filter(|secret| !secret.is_empty()).fold(text, |text, secret| text.replace(secret.as_str(), "***"))
    }
}

impl std::fmt::Debug for S3Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Access")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

/// What a program that no agent measures is asked to read in one request \[bytes\].
const REQUEST_BYTES: NonZeroU64 = NonZeroU64::new(8 << 20).expect("it is above 0");

/// Where data is, by variable, for a program that is told the same as a [`command`] job.
pub fn environment(sources: &[DataSource]) -> BTreeMap<String, String> {
    let variables = command::environment::of(sources, REQUEST_BYTES);
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A text in which none of the secrets of these stores can be read.
fn masked(sources: &[DataSource], text: String) -> String {
    sources.iter().fold(text, |text, source| source.access.masked(text))
}

/// What a job that succeeded tells. Times are real time on this machine, not yet the scenario's.
#[derive(Clone, PartialEq, Debug)]
pub struct JobReport {
    /// What the job computed, for people: `172.78294356659114`.
    pub result: String,
    pub records: u64,
    /// Records that could not be used: the field is missing or has another type.
    pub skipped_records: u64,
    /// Reading and computing; zero when it was not measured.
    pub execution_time: Duration,
    /// From the job's start to its result.
    pub response_time: Duration,
    /// Of each data set, where it read several and tells them apart; else empty.
    pub parts: Vec<PartReport>,
    /// Of a service, whose times above are the mean of what answers took; it may be that nobody asked.
    pub requests: Option<Answered>,
    /// What its user should know about how this was found out, if anything.
    pub remark: Option<String>,
}

/// What a job tells of one of several data sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartReport {
    pub records: u64,
    /// From the end of the part before to its own.
    pub time: Duration,
}

impl JobReport {
    /// Records for each real second of execution, or answers for each of a window; `None` when no time was measured.
    pub fn throughput(&self) -> Option<f64> {
        match &self.requests {
            Some(answered) => answered.per_s(),
            None => throughput(self.records, self.execution_time),
        }
    }
}

/// Records for each second; `None` when no time was measured.
pub fn throughput(records: u64, time: Duration) -> Option<f64> {
    let seconds = time.as_secs_f64();
    (seconds > 0.0).then(|| records as f64 / seconds)
}

/// A failed job. The agent shows it and goes on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("cannot read the data")]
    Storage(#[from] StorageError),
    #[error("`{object}` is not valid JSON at byte {offset}: {reason}")]
    Malformed { object: String, offset: u64, reason: String },
    /// Well-formed, but nothing in it that the job is about.
    #[error("`{object}`: {reason}")]
    Unusable { object: String, reason: String },
    /// The program is at fault: not found, its exit code, its time limit, its last line.
    #[error("`{program}` {reason}\n{output}")]
    Command { program: String, reason: String, output: String },
    /// A service was asked, and nobody had an answer.
    #[error("none of the {requests} requests that ended in a window was answered")]
    Unanswered { requests: u64 },
    /// A program that may be well could not run here.
    #[error("`{program}` {reason}")]
    Surroundings { program: String, reason: String },
}

impl JobError {
    /// What failed: whether it may go well elsewhere.
    pub fn kind(&self) -> FailureKind {
        match self {
            JobError::Storage(error) => match error {
                StorageError::NotFound { .. } | StorageError::Damaged { .. } | StorageError::Changed { .. } => {
                    FailureKind::ChangedData
                }
                StorageError::Denied { .. } | StorageError::Refused { .. } => FailureKind::Surroundings,
                StorageError::Unavailable { .. } | StorageError::Full { .. } => FailureKind::Store,
            },
            JobError::Malformed { .. } | JobError::Unusable { .. } => FailureKind::Data,
            JobError::Unanswered { .. } => FailureKind::Store,
            JobError::Command { .. } => FailureKind::Program,
            JobError::Surroundings { .. } => FailureKind::Surroundings,
        }
    }
}

/// A failed job, and which of several data sets it failed for, as far as it can tell: else the first.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct FailedFor {
    pub part: usize,
    #[source]
    pub error: JobError,
}

impl From<JobError> for FailedFor {
    fn from(error: JobError) -> Self {
        Self { part: 0, error }
    }
}

/// Something that reads data sets. Dropping a returned future stops it and leaves nothing behind.
#[async_trait]
pub trait Job: Send + Sync {
    /// For people: `avg(cholesterol)`.
    fn describe(&self) -> String;

    /// Over several data sets, at least one.
    async fn run_over(&self, sources: &[DataSource]) -> Result<JobReport, FailedFor>;

    /// On another node, reading this replica. Only of jobs that move it is asked. Its response time is from when it is handed over
    /// until its end is heard of.
    async fn run_on(&self, node: NodeId, _snapshot: &Snapshot, _replica: &Replica) -> Result<JobReport, JobError> {
        let reason = format!("is to run on node {node}, and there is no way to hand it over");
        Err(JobError::Surroundings { program: self.describe(), reason })
    }

    /// Whether something is to stand between it and this endpoint that counts what it reads. Of a program, whose client is its own,
    /// nothing else does; and whatever reads for it has to run on this machine.
    fn is_counted_on_the_way(&self, _endpoint: &str) -> bool {
        false
    }

    /// Over one.
    async fn run(&self, source: &DataSource) -> Result<JobReport, JobError> {
        self.run_over(std::slice::from_ref(source)).await.map_err(|failed| failed.error)
    }
}

#[cfg(test)]
mod doubles {
    use super::*;
    use crate::storage::memory::MemoryStore;

    /// Of which nothing can be read.
    pub fn source() -> DataSource {
        DataSource {
            store: Arc::new(MemoryStore::new("http://in-memory")),
            access: S3Access {
                endpoint: "http://in-memory".to_owned(),
                region: "us-east-1".to_owned(),
                bucket: "data".to_owned(),
                access_key_id: "id".to_owned(),
                secret_access_key: "secret".to_owned(),
                session_token: Some("token".to_owned()),
                ..Default::default()
            },
            data_set: "blood_tests".to_owned(),
            object_key: "blood_tests.json".to_owned(),
            etag: None,
            sha256: String::new(),
            bytes: 4,
            records: 1,
        }
    }
}
