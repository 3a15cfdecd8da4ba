//! Any store that speaks S3, through `aws-sdk-s3`: any endpoint, plain or behind TLS, directly or through a link; one
//! connection pool for each store.

mod body;
mod connection;
mod failure;
mod trust;

pub use self::trust::{Trust, TrustError};

use self::body::{Parts, checked};
use self::connection::Detour;
use super::credentials::Credentials;
use super::{ByteStream, ObjectInfo, ObjectStore, Result, StorageError};
use crate::domain::store_url::{REGION, StoreUrl};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, CreateBucketConfiguration,
};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::future::Future;
use std::ops::Range;
use std::time::Duration;

/// Objects up to this size are written in one request, larger ones in parts of at least this size.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// What S3 allows.
const PARTS_AT_MOST: u64 = 10_000;
/// Before the second attempt, at most; it doubles with each further one, and is drawn at random below that.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// More pages than this, of a thousand objects each, are a server that never ends its listing.
const PAGES_AT_MOST: usize = 10_000;

/// How long to wait, on the wall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until a request was answered, retries included; a request that carries an object has its upload time on top.
    pub response: Duration,
    /// Between two pieces of a body.
    pub stall: Duration,
    /// An upload slower than this has failed.
    pub slowest_upload_bytes_per_second: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            slowest_upload_bytes_per_second: 256 * 1024,
        }
    }
}

/// How often a request is sent before its failure counts: at least 1. Sent again is what broke on the way, and what the
/// store answered with 429 or with 500 and above (503 `SlowDown`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempts {
    /// Reads of ranges. Fewer: a job waits for them, and its next run is another attempt.
    pub read: u32,
    /// Everything else.
    pub control: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { read: 3, control: 5 }
    }
}

/// A store as one agent reaches it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3Settings {
    /// `http://HOST:PORT` or `https://HOST[:PORT]`: the store itself.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// Whether the bucket stands in the path of a request, or before the host.
    pub path_style: bool,
    pub credentials: Credentials,
    /// For `https://`.
    pub trust: Trust,
    /// `host:port` to connect to instead of the endpoint's own: the agent's end of a link to the store.
    pub link: Option<String>,
    pub timeouts: Timeouts,
    pub attempts: Attempts,
}

impl S3Settings {
    /// Path style, region `us-east-1`, which stores without regions expect, the machine's certificates, no link, and
    /// default time-outs and attempts.
    pub fn new(endpoint: impl Into<String>, bucket: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            endpoint: endpoint.into(),
            region: REGION.into(),
            bucket: bucket.into(),
            path_style: true,
            credentials,
            trust: Trust::System,
            link: None,
            timeouts: Timeouts::default(),
            attempts: Attempts::default(),
        }
    }

    /// The store at a URL.
    pub fn at(url: &StoreUrl, credentials: Credentials) -> Self {
        Self {
            region: url.region().into(),
            path_style: url.path_style(),
            ..Self::new(url.endpoint(), url.bucket(), credentials)
        }
    }
}

/// A bucket of a store that speaks S3. Clones share the connections.
#[derive(Clone, Debug)]
pub struct S3Store {
    /// `ENDPOINT/BUCKET`.
    address: String,
    region: String,
    bucket: String,
    timeouts: Timeouts,
    /// The two differ in how often they try; the connections are the same.
    reader: Client,
    control: Client,
}

impl S3Store {
    /// Connects to nothing yet.
    pub fn new(settings: S3Settings) -> Self {
        let connections = connection::pool(&settings);
        let client = |attempts: u32| {
            let retries = RetryConfig::standard().with_max_attempts(attempts.max(1)).with_initial_backoff(RETRY_PAUSE);
            Client::from_conf(sdk_settings(&settings, connections.clone()).retry_config(retries).build())
        };
        Self {
            address: format!("{}/{}", settings.endpoint.trim_end_matches('/'), settings.bucket),
            reader: client(settings.attempts.read),
            control: client(settings.attempts.control),
            region: settings.region,
            bucket: settings.bucket,
            timeouts: settings.timeouts,
        }
    }

    /// Creates the bucket if it is not there.
    pub async fn ensure_bucket(&self) -> Result<()> {
        if self.bucket_exists().await? {
            return Ok(());
        }
        // us-east-1 is the one region that must not be named.
        let location = (self.region != "us-east-1").then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let request =
            self.control.create_bucket().bucket(&self.bucket).set_create_bucket_configuration(location).send();
        match self.answered("creating the bucket", &self.bucket, self.timeouts.response, request).await? {
            Ok(_) => Ok(()),
            // Somebody else was faster; that it is ours shows with the first object.
            Err(error) if matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => Ok(()),
            Err(error) => Err(self.failure("creating the bucket", &self.bucket, error)),
        }
    }

    async fn bucket_exists(&self) -> Result<bool> {
        let request = self.control.head_bucket().bucket(&self.bucket).send();
        match self.answered("looking for the bucket", &self.bucket, self.timeouts.response, request).await? {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(self.failure("looking for the bucket", &self.bucket, error)),
        }
    }

    /// Waits for the answer to a request, but not for ever.
    async fn answered<T>(
        &self,
        operation: &'static str,
        key: &str,
        limit: Duration,
        request: impl Future<Output = T>,
    ) -> Result<T> {
        let answer = tokio::time::timeout(limit, request).await;
        answer.map_err(|_| self.unavailable(operation, key, format!("no answer within {limit:?}")))
    }

    fn upload_limit(&self, bytes: u64) -> Duration {
        let slowest = u64::from(self.timeouts.slowest_upload_bytes_per_second.max(1));
        self.timeouts.response + Duration::from_secs(bytes / slowest)
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<()> {
        let limit = self.upload_limit(content.len() as u64);
        let request = self.control.put_object().bucket(&self.bucket).key(key);
        // The server checks the checksum, and a transfer reads everything back; signing the payload as well would
        // only hash it once more.
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32).body(content.into());
        let request = request.customize().disable_payload_signing().send();
        let answer = self.answered("writing", key, limit, request).await?;
        answer.map(drop).map_err(|error| self.failure("writing", key, error))
    }

    async fn put_parts(&self, key: &str, bytes: u64, mut parts: Parts<'_>) -> Result<()> {
        let request = self.control.create_multipart_upload().bucket(&self.bucket).key(key);
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32).send();
        let created = self.answered("starting to write", key, self.timeouts.response, request).await?;
        let created = created.map_err(|error| self.failure("starting to write", key, error))?;
        let id = created.upload_id.ok_or_else(|| self.damaged(key, "the store named no upload".into()))?;
        let upload = Upload { store: self, key, id, open: true };
        match self.fill(&upload, bytes, &mut parts).await {
            Ok(()) => {
                upload.completed();
                Ok(())
            }
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Sends a part while the next one is read: two parts are in memory at most.
    async fn fill(&self, upload: &Upload<'_>, bytes: u64, parts: &mut Parts<'_>) -> Result<()> {
        let mut sent = Vec::new();
        let mut part = parts.next().await?;
        while let Some(content) = part.take() {
            let number = sent.len() + 1;
            let (completed, next) = futures::try_join!(self.put_part(upload, number, content), parts.next())?;
            sent.push(completed);
            part = next;
        }
        let sent = CompletedMultipartUpload::builder().set_parts(Some(sent)).build();
        let request = self.control.complete_multipart_upload().bucket(&self.bucket).key(upload.key);
        let request = request.upload_id(&upload.id).multipart_upload(sent).send();
        // The store may copy all parts together before it answers.
        match self.answered("finishing to write", upload.key, self.upload_limit(bytes), request).await? {
            Ok(_) => Ok(()),
            // Moto 5.2 names the answer's root element wrongly. The object itself is the better witness.
            Err(error) if failure::makes_no_sense(&error) && self.has(upload.key, bytes).await? => Ok(()),
            Err(error) => Err(self.failure("finishing to write", upload.key, error)),
        }
    }

    async fn has(&self, key: &str, bytes: u64) -> Result<bool> {
        Ok(self.info(key).await?.is_some_and(|found| found.bytes == bytes))
    }

    async fn put_part(&self, upload: &Upload<'_>, number: usize, content: Bytes) -> Result<CompletedPart> {
        let key = upload.key;
        let number = i32::try_from(number).map_err(|_| self.damaged(key, format!("it has {number} parts")))?;
        let limit = self.upload_limit(content.len() as u64);
        let request = self.control.upload_part().bucket(&self.bucket).key(key).upload_id(&upload.id);
        let request = request.part_number(number).checksum_algorithm(ChecksumAlgorithm::Crc32).body(content.into());
        let request = request.customize().disable_payload_signing().send();
        let answer = self.answered("writing a part of", key, limit, request).await?;
        let part = answer.map_err(|error| self.failure("writing a part of", key, error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .set_checksum_crc32(part.checksum_crc32)
            .build())
    }

    async fn abort(&self, key: &str, upload_id: &str) -> Result<()> {
        let request = self.control.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id).send();
        match self.answered("giving up writing", key, self.timeouts.response, request).await? {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(self.failure("giving up writing", key, error)),
        }
    }

    /// Parts of an upload whose writer was killed lie in the store unseen, until somebody deletes the key.
    async fn abort_left_uploads(&self, key: &str) -> Result<()> {
        let request = self.control.list_multipart_uploads().bucket(&self.bucket).prefix(key).send();
        let uploads = match self.answered("looking for parts of", key, self.timeouts.response, request).await? {
            Ok(answer) => answer.uploads.unwrap_or_default(),
            // A store that cannot list them is no reason to keep the object.
            Err(error) if status(&error) == Some(501) => return Ok(()),
            Err(error) => return Err(self.failure("looking for parts of", key, error)),
        };
        for upload in uploads.iter().filter(|upload| upload.key() == Some(key)) {
            self.abort(key, upload.upload_id().unwrap_or_default()).await?;
        }
        Ok(())
    }

    fn unavailable(&self, operation: &'static str, key: &str, reason: String) -> StorageError {
        StorageError::Unavailable { address: self.address.clone(), operation, key: key.into(), reason }
    }

    fn damaged(&self, key: &str, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.clone(), key: key.into(), reason }
    }

    fn failure<E>(&self, operation: &'static str, key: &str, error: SdkError<E>) -> StorageError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        failure::Failed { address: &self.address, bucket: &self.bucket, operation, key }.because(error)
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    fn address(&self) -> &str {
        &self.address
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let request = self.control.head_object().bucket(&self.bucket).key(key).send();
        match self.answered("looking at", key, self.timeouts.response, request).await? {
            Ok(head) => {
                let bytes = head.content_length.and_then(|bytes| u64::try_from(bytes).ok());
                let bytes = bytes.ok_or_else(|| self.damaged(key, "the store does not say how long it is".into()))?;
                Ok(Some(ObjectInfo { key: key.into(), bytes }))
            }
            // The answer to HEAD has no body that could say whether the object or the whole bucket is missing.
            Err(error) if status(&error) == Some(404) => match self.bucket_exists().await? {
                true => Ok(None),
                false => Err(self.unavailable("looking at", key, failure::no_bucket(&self.bucket))),
            },
            Err(error) => Err(self.failure("looking at", key, error)),
        }
    }

    /// Exactly one request, unless the range is empty: HTTP cannot ask for nothing.
    async fn read_range(&self, key: &str, range: Range<u64>) -> Result<ByteStream> {
        let Some(last) = range.end.checked_sub(1).filter(|&last| last >= range.start) else {
            return Ok(stream::empty().boxed());
        };
        let request = self.reader.get_object().bucket(&self.bucket).key(key);
        let request = request.range(format!("bytes={}-{last}", range.start)).send();
        let answer = self.answered("reading", key, self.timeouts.response, request).await?;
        let answer = answer.map_err(|error| self.failure("reading", key, error))?;
        if let Some(reason) = other_than_asked(&answer, &range) {
            return Err(self.damaged(key, reason));
        }
        Ok(checked(answer.body, range.end - range.start, &self.address, key, self.timeouts.stall))
    }

    async fn write(&self, key: &str, bytes: u64, mut body: ByteStream) -> Result<()> {
        let part_bytes = PART_BYTES.max(bytes.div_ceil(PARTS_AT_MOST));
        let mut parts = Parts::new(&mut body, bytes, part_bytes, &self.address, key);
        if bytes > part_bytes {
            return self.put_parts(key, bytes, parts).await;
        }
        let content = parts.next().await?.unwrap_or_default();
        parts.end().await?;
        self.put(key, content).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.abort_left_uploads(key).await?;
        let request = self.control.delete_object().bucket(&self.bucket).key(key).send();
        match self.answered("deleting", key, self.timeouts.response, request).await? {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(()),
            Err(error) => Err(self.failure("deleting", key, error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let mut found = Vec::new();
        let mut page_token = None;
        for _ in 0..PAGES_AT_MOST {
            let request = self.control.list_objects_v2().bucket(&self.bucket).prefix(prefix);
            let request = request.set_continuation_token(page_token).send();
            let page = self.answered("listing", prefix, self.timeouts.response, request).await?;
            let page = page.map_err(|error| self.failure("listing", prefix, error))?;
            for object in page.contents.unwrap_or_default() {
                let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok());
                let (Some(key), Some(bytes)) = (object.key, bytes) else {
                    return Err(self.damaged(prefix, "an object is listed without its key or its length".into()));
                };
                found.push(ObjectInfo { key, bytes });
            }
            page_token = page.next_continuation_token;
            if page_token.is_none() {
                return Ok(found);
            }
        }
        Err(self.damaged(prefix, format!("the listing did not end within {PAGES_AT_MOST} pages")))
    }
}

/// A multipart upload that leaves no parts behind when its writer fails or is dropped.
struct Upload<'a> {
    store: &'a S3Store,
    key: &'a str,
    id: String,
    open: bool,
}

impl Upload<'_> {
    fn completed(mut self) {
        self.open = false;
    }

    async fn abort(mut self) {
        let aborted = self.store.abort(self.key, &self.id).await;
        self.open = false;
        if let Err(error) = aborted {
            // The write's own failure is what the caller hears of; deleting the key tries this again.
            tracing::warn!(%error, "parts of an upload were left behind");
        }
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (store, key, id) = (self.store.clone(), self.key.to_owned(), self.id.clone());
        runtime.spawn(async move {
            if let Err(error) = store.abort(&key, &id).await {
                tracing::warn!(%error, "parts of an upload were left behind");
            }
        });
    }
}

/// A store says with 429, too, that it has too much to do.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().map(|response| response.status().as_u16()) {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
}

fn sdk_settings(settings: &S3Settings, connections: SharedHttpClient) -> Builder {
    let Credentials { access_key_id, secret_access_key, session_token } = settings.credentials.clone();
    let credentials = SdkCredentials::new(access_key_id, secret_access_key, session_token, None, "settings");
    // What is spent on retries is counted for each store: one that fails takes none from the others.
    let budget = RetryPartition::custom(format!("{}/{}", settings.endpoint, settings.bucket)).build();
    let mut builder = aws_sdk_s3::Config::builder();
    if let Some(detour) = Detour::of(settings) {
        builder = builder.interceptor(detour);
    }
    builder
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&settings.endpoint)
        .force_path_style(settings.path_style)
        .retry_partition(budget)
        .retry_classifier(TooManyRequests)
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .http_client(connections)
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.timeouts.connect).build())
        // Time-outs of answers and bodies are kept here, where they can follow the size of what is sent.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // `WhenRequired` would leave out even the checksums that are asked for.
        .request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// What is wrong with the answer's head, if anything.
fn other_than_asked(answer: &GetObjectOutput, range: &Range<u64>) -> Option<String> {
    let (first, last) = (range.start, range.end - 1);
    let asked = format!("bytes {first}-{last} were asked for");
    match &answer.content_range {
        Some(sent) if sent.split('/').next() != Some(&format!("bytes {first}-{last}")) => {
            Some(format!("{asked}, the store sends `{sent}`"))
        }
        // A store that ignores ranges sends everything, which is right only if everything was asked for.
        None if first > 0 => Some(format!("{asked}, the store sends the whole object")),
        Some(_) | None => match answer.content_length {
            Some(bytes) if u64::try_from(bytes).ok() != Some(range.end - range.start) => {
                Some(format!("{asked}, the store sends {bytes} bytes"))
            }
            Some(_) | None => None,
        },
    }
}

#[cfg(test)]
mod tests;
