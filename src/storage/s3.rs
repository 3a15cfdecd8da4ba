//! Any store that speaks S3, through `aws-sdk-s3`: any endpoint, plain or behind TLS, directly or through a link; one
//! connection pool for each store.

mod body;
mod connection;
mod failure;
mod multipart;
mod settings;
mod trust;

pub use self::multipart::UnfinishedUpload;
pub use self::settings::{Attempts, S3Settings, Timeouts};
pub use self::trust::{Trust, TrustError};

use self::body::{Parts, checked};
use super::{ByteStream, ObjectInfo, ObjectStore, Result, StorageError};
use crate::domain::store_url::REGION;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{BucketLocationConstraint, ChecksumAlgorithm, CreateBucketConfiguration};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Objects up to this size are written in one request, larger ones in parts of at least this size.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// What S3 allows.
const PARTS_AT_MOST: u64 = 10_000;
/// More pages than this, of a thousand objects each, are a server that never ends its listing.
const PAGES_AT_MOST: usize = 10_000;

/// A bucket of a store that speaks S3. Clones share the connections.
#[derive(Clone, Debug)]
pub struct S3Store {
    /// `ENDPOINT/BUCKET`.
    address: String,
    region: String,
    bucket: String,
    timeouts: Timeouts,
    /// The three differ in how often they try and in whether they send checksums; the connections are the same.
    reader: Client,
    control: Client,
    plain: Client,
    /// Until the store has refused a checksum and taken the same without.
    takes_checksums: Arc<AtomicBool>,
}

impl S3Store {
    /// Connects to nothing yet.
    pub fn new(settings: S3Settings) -> Self {
        use RequestChecksumCalculation::{WhenRequired, WhenSupported};
        let connections = connection::pool(&settings);
        let client = |attempts, checksums| {
            Client::from_conf(settings::sdk(&settings, connections.clone(), attempts, checksums).build())
        };
        let Attempts { read, control } = settings.attempts;
        Self {
            address: format!("{}/{}", settings.endpoint.trim_end_matches('/'), settings.bucket),
            reader: client(read, WhenSupported),
            // `WhenRequired` would leave out even the checksums that are asked for.
            control: client(control, WhenSupported),
            plain: client(control, WhenRequired),
            takes_checksums: Arc::new(AtomicBool::new(true)),
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
        let location = (self.region != REGION).then(|| {
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

    pub async fn bucket_exists(&self) -> Result<bool> {
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
        let put = |client: Client, checksum| {
            let request = client.put_object().bucket(&self.bucket).key(key).set_checksum_algorithm(checksum);
            // The server checks the checksum, and a transfer reads everything back; signing the payload as well would
            // only hash it once more.
            let request = request.body(content.clone().into()).customize().disable_payload_signing();
            self.answered("writing", key, limit, request.send())
        };
        let answer = self.with_checksum(put).await?;
        answer.map(drop).map_err(|error| self.failure("writing", key, error))
    }

    /// Sends a request with a checksum, and once more without it if the store does not know what that is. When that helped,
    /// the store is not asked again.
    async fn with_checksum<T, E, F>(
        &self,
        send: impl Fn(Client, Option<ChecksumAlgorithm>) -> F,
    ) -> Result<std::result::Result<T, SdkError<E>>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<std::result::Result<T, SdkError<E>>>>,
    {
        if self.takes_checksums.load(Ordering::Relaxed) {
            match send(self.control.clone(), Some(ChecksumAlgorithm::Crc32)).await? {
                Err(error) if failure::may_refuse_checksums(&error) => {}
                answer => return Ok(answer),
            }
        }
        let answer = send(self.plain.clone(), None).await?;
        if answer.is_ok() && self.takes_checksums.swap(false, Ordering::Relaxed) {
            tracing::info!(store = self.address, "the store takes no checksums; what is written is only read back");
        }
        Ok(answer)
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
