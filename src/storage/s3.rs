//! Any store that speaks S3, through `aws-sdk-s3`: any endpoint, plain or behind TLS, directly or through a link; one
//! connection pool for each store.

mod abilities;
mod body;
mod bucket;
mod connection;
mod deletion;
mod described;
mod examination;
mod failure;
mod multipart;
mod settings;
mod signed;
mod trust;

pub use self::examination::{Examination, Step};
pub use self::multipart::{UnfinishedUpload, UploadLog};
pub use self::settings::{Attempts, Encryption, S3Settings, Timeouts};
pub use self::signed::{SIGNED_HOST, SignedGet, SigningError, signed_get, signed_path};
pub use self::trust::{Trust, TrustError};

use self::abilities::Abilities;
use self::body::{Parts, checked};
use super::attributes::Attributes;
use super::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result, StorageError};
use agent_core::domain::validators::Validators;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Objects up to this size are written in one request, larger ones in parts of at least this size.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// What S3 allows.
const PARTS_AT_MOST: u64 = 10_000;

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
    encryption: Option<Encryption>,
    delete_versions: bool,
    abilities: Arc<Abilities>,
    /// Where it notes its uploads, if anywhere.
    log: Option<Arc<dyn UploadLog>>,
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
            encryption: settings.encryption,
            delete_versions: settings.delete_versions,
            abilities: Arc::default(),
            log: None,
            region: settings.region,
            bucket: settings.bucket,
            timeouts: settings.timeouts,
        }
    }

    /// The same store, whose uploads are noted here from now on.
    #[must_use]
    pub fn with_log(self, log: Arc<dyn UploadLog>) -> Self {
        Self { log: Some(log), ..self }
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

    async fn put(&self, key: &str, attributes: &Attributes, content: Bytes) -> Result<()> {
        let limit = self.upload_limit(content.len() as u64);
        let put = |client: Client, checksum, tagging| {
            let request = client.put_object().bucket(&self.bucket).key(key).set_checksum_algorithm(checksum);
            let request = described::put(request, attributes, self.encryption.as_ref()).set_tagging(tagging);
            // The server checks the checksum, and a transfer reads everything back; signing the payload as well would
            // only hash it once more.
            let request = request.body(content.clone().into()).customize().disable_payload_signing();
            self.answered("writing", key, limit, request.send())
        };
        let answer = self.with_tags(attributes, put).await?;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused_write("writing", key, error).await),
        }
    }

    /// Sends a request with the object's tags, and once more without if the store refuses it with them.
    async fn with_tags<T, E, F>(
        &self,
        attributes: &Attributes,
        send: impl Fn(Client, Option<ChecksumAlgorithm>, Option<String>) -> F,
    ) -> Result<std::result::Result<T, SdkError<E>>>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Result<std::result::Result<T, SdkError<E>>>>,
    {
        let tagging = attributes.tagging().filter(|_| self.abilities.tags.is_there());
        let mut refused = None;
        if tagging.is_some() {
            match self.with_checksum(|client, checksum| send(client, checksum, tagging.clone())).await? {
                Err(error) if matches!(status(&error), Some(400 | 403 | 501)) => refused = Some(said(&error)),
                answer => return Ok(answer),
            }
        }
        let answer = self.with_checksum(|client, checksum| send(client, checksum, None)).await?;
        if let Some(why) = refused.filter(|_| answer.is_ok()) {
            self.abilities.tags.is_missing(&self.address, &why);
        }
        Ok(answer)
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
        let mut refused = None;
        if self.abilities.checksums.is_there() {
            match send(self.control.clone(), Some(ChecksumAlgorithm::Crc32)).await? {
                Err(error) if failure::may_refuse_checksums(&error) => refused = Some(said(&error)),
                answer => return Ok(answer),
            }
        }
        let answer = send(self.plain.clone(), None).await?;
        if let Some(why) = refused.filter(|_| answer.is_ok()) {
            self.abilities.checksums.is_missing(&self.address, &why);
        }
        Ok(answer)
    }

    fn unavailable(&self, operation: &'static str, key: &str, reason: String) -> StorageError {
        StorageError::Unavailable { address: self.address.clone(), operation, key: key.into(), reason }
    }

    /// What the store says of an object; `None` when there is none.
    async fn head(&self, key: &str) -> Result<Option<HeadObjectOutput>> {
        let request = self.control.head_object().bucket(&self.bucket).key(key).send();
        match self.answered("looking at", key, self.timeouts.response, request).await? {
            Ok(head) => Ok(Some(head)),
            // The answer to HEAD has no body that could say whether the object or the whole bucket is missing.
            Err(error) if status(&error) == Some(404) => match self.bucket_exists().await? {
                true => Ok(None),
                false => Err(self.unavailable("looking at", key, failure::no_bucket(&self.bucket))),
            },
            Err(error) => Err(self.failure("looking at", key, error)),
        }
    }

    fn info_of(&self, key: &str, head: &HeadObjectOutput) -> Result<ObjectInfo> {
        let bytes = head.content_length.and_then(|bytes| u64::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(|| self.damaged(key, "the store does not say how long it is".into()))?;
        let validators = validators(bytes, head.e_tag.as_deref(), head.last_modified);
        Ok(ObjectInfo { key: key.into(), bytes, validators })
    }

    /// Why a write was refused: one that is, where everything else is allowed, mostly is for a policy that wants encryption.
    async fn refused_write<E>(&self, operation: &'static str, key: &str, error: SdkError<E>) -> StorageError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let may_be_policy = self.encryption.is_none() && error.code() == Some("AccessDenied");
        let failure = self.failure(operation, key, error);
        match failure {
            StorageError::Denied { address, key, reason }
                if may_be_policy && self.bucket_exists().await.unwrap_or(false) =>
            {
                let hint = "listing is allowed: the right to write is missing, or the bucket takes only objects that are to \
                            be encrypted (`encryption = \"AES256\"` or \"aws:kms\" in its [node.store])";
                StorageError::Denied { address, key, reason: format!("{reason}; {hint}") }
            }
            other => other,
        }
    }

    fn damaged(&self, key: &str, reason: String) -> StorageError {
        StorageError::Damaged { address: self.address.clone(), key: key.into(), reason }
    }

    fn changed(&self, key: &str, reason: String) -> StorageError {
        StorageError::Changed { address: self.address.clone(), key: key.into(), reason }
    }

    fn failure<E>(&self, operation: &'static str, key: &str, error: SdkError<E>) -> StorageError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.failed(operation, key).because(error)
    }

    fn failed<'a>(&'a self, operation: &'static str, key: &'a str) -> failure::Failed<'a> {
        failure::Failed { address: &self.address, bucket: &self.bucket, region: &self.region, operation, key }
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    fn address(&self) -> &str {
        &self.address
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let Some(head) = self.head(key).await? else { return Ok(None) };
        self.info_of(key, &head).map(Some)
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.described(key).await
    }

    /// Exactly one request, unless the range is empty: HTTP cannot ask for nothing.
    async fn read_range(&self, key: &str, range: Range<u64>, of: &Content) -> Result<RangeBody> {
        let Some(last) = range.end.checked_sub(1).filter(|&last| last >= range.start) else {
            return Ok(RangeBody { etag: of.etag.clone(), bytes: stream::empty().boxed() });
        };
        let request = self.reader.get_object().bucket(&self.bucket).key(key);
        let request = request.range(format!("bytes={}-{last}", range.start)).set_if_match(condition(of)).send();
        let answer = self.answered("reading", key, self.timeouts.response, request).await?;
        let answer = answer.map_err(|error| self.failure("reading", key, error))?;
        if let Some(reason) = other_than_asked(&answer, &range) {
            return Err(self.damaged(key, reason));
        }
        let etag = answer.e_tag.as_deref().and_then(etag);
        // Not every store knows conditional reads.
        let whole = whole_length(&answer).unwrap_or(of.bytes);
        if let Some(reason) = of.difference(whole, etag.as_deref()) {
            return Err(self.changed(key, reason));
        }
        let bytes = checked(answer.body, range.end - range.start, &self.address, key, self.timeouts.stall);
        Ok(RangeBody { etag, bytes })
    }

    async fn write_with(&self, key: &str, bytes: u64, attributes: &Attributes, mut body: ByteStream) -> Result<()> {
        let part_bytes = PART_BYTES.max(bytes.div_ceil(PARTS_AT_MOST));
        let mut parts = Parts::new(&mut body, bytes, part_bytes, &self.address, key);
        if bytes > part_bytes {
            return self.put_parts(key, bytes, attributes, parts).await;
        }
        let content = parts.next().await?.unwrap_or_default();
        parts.end().await?;
        self.put(key, attributes, content).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.delete_own(key).await
    }

    async fn delete_if(&self, key: &str, content: &Content) -> Result<()> {
        self.delete_one_content(key, content).await
    }

    async fn list_page(&self, prefix: &str, after: Option<PageToken>) -> Result<Page> {
        let request = self.control.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let request = request.set_continuation_token(after.map(|PageToken(token)| token)).send();
        let page = self.answered("listing", prefix, self.timeouts.response, request).await?;
        let page = page.map_err(|error| self.failure("listing", prefix, error))?;
        let objects = page.contents.unwrap_or_default().into_iter().map(|object| {
            let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok());
            let (Some(key), Some(bytes)) = (object.key, bytes) else {
                return Err(self.damaged(prefix, "an object is listed without its key or its length".into()));
            };
            let validators = validators(bytes, object.e_tag.as_deref(), object.last_modified);
            Ok(ObjectInfo { key, bytes, validators })
        });
        Ok(Page { objects: objects.collect::<Result<_>>()?, next: page.next_continuation_token.map(PageToken) })
    }
}

/// Longer ones are nothing that a store could mean.
const ETAG_MAX: usize = 256;

/// An ETag without its quotes; a weak one does not tell contents apart.
fn etag(sent: &str) -> Option<String> {
    let plain = sent.strip_prefix('"').and_then(|sent| sent.strip_suffix('"')).unwrap_or(sent);
    (!plain.is_empty() && plain.len() <= ETAG_MAX && !plain.starts_with("W/")).then(|| plain.to_owned())
}

fn validators(bytes: u64, e_tag: Option<&str>, modified: Option<DateTime>) -> Validators {
    Validators {
        bytes: Some(bytes),
        etag: e_tag.and_then(etag),
        modified_ms: modified.and_then(|at| at.to_millis().ok()),
    }
}

/// As the header of a conditional request has it.
fn condition(content: &Content) -> Option<String> {
    content.etag.as_ref().map(|etag| format!("\"{etag}\""))
}

/// The length of the whole object that a range is of; absent when the store does not say.
fn whole_length(answer: &GetObjectOutput) -> Option<u64> {
    match &answer.content_range {
        Some(sent) => sent.rsplit_once('/')?.1.parse().ok(),
        None => answer.content_length.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

/// A refusal in a word, for people.
fn said<E: ProvideErrorMetadata>(error: &SdkError<E>) -> String {
    let status = status(error).map(|status| status.to_string());
    status.into_iter().chain(error.code().map(str::to_owned)).collect::<Vec<_>>().join(" ")
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
