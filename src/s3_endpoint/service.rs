//! The S3 operations. What is asked about objects is answered from the catalogue, their bytes come from replicas; what is written goes to
//! their origin.

use super::conditions::{Conditions, Verdict};
use super::delivery::{GivenUp, PAUSES_MS};
use super::listing::{Asked, PAGE, page};
use super::objects::{Named, Objects, named, of_bucket};
use super::reading::{Object, Reading, Shared};
use super::reads::{Measured, Reads};
use super::version::View;
use super::writes::Left;
use super::writing::Writing;
use crate::storage::{Content, StorageError};
use agent_core::domain::ids::DataSetName;
use agent_core::domain::manifest::{Extent, Manifest};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::*;
use s3s::validation::NameValidation;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

/// What objects are whose owner has not said it: what S3 says then.
const CONTENT_TYPE: &str = "binary/octet-stream";
/// How often the version may change before the first byte of an answer is there (I-7).
const VERSIONS_AT_MOST: usize = 5;

pub struct Service {
    pub shared: Arc<Shared>,
    pub reads: BTreeMap<DataSetName, Arc<Reads>>,
    /// Absent: nobody writes here.
    pub writing: Option<Arc<Writing>>,
}

/// An object at a moment, as it is told about.
struct Found {
    view: Arc<View>,
    object: Object,
    etag: ETag,
    modified: Timestamp,
}

impl Service {
    fn data_set(&self, bucket: &str) -> S3Result<&DataSetName> {
        let known = &self.shared.world.data_sets;
        of_bucket(bucket, known).ok_or_else(|| {
            let names = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            s3_error!(NoSuchBucket, "`{}` is no data set that is read here; those are {}", bucket, names)
        })
    }

    async fn view(&self, data_set: &DataSetName) -> S3Result<Arc<View>> {
        let view = self.shared.catalogue.view(data_set).await;
        view.ok_or_else(|| s3_error!(NoSuchBucket, "data set {} is not in the catalogue", data_set))
    }

    /// When a version came to be, on the wall and in whole seconds.
    fn modified(&self, view: &View) -> Timestamp {
        let since_epoch = Duration::from_millis(u64::try_from(view.version.since.0).unwrap_or_default());
        let seconds = self.shared.world.clock.apply(since_epoch).as_secs();
        (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into()
    }

    async fn find(&self, bucket: &str, key: &str) -> S3Result<Found> {
        let data_set = self.data_set(bucket)?;
        let mut view = self.view(data_set).await?;
        let missing = || s3_error!(NoSuchKey, "data set {} has no object `{}`", data_set, key);
        let (below, bytes, sha256) = match named(&view.snapshot.data_set, key).ok_or_else(missing)? {
            Named::Only => (None, view.version.bytes, view.version.sha256.clone()),
            Named::Below(below) => {
                let manifest;
                (view, manifest) = self.manifest(data_set, view).await?;
                let entry = manifest.get(below).ok_or_else(missing)?;
                (Some(below.to_owned()), entry.bytes, entry.sha256.to_string())
            }
        };
        let etag = ETag::Strong(sha256.clone());
        let object = Object { data_set: data_set.clone(), version: view.version.sha256.clone(), below, bytes, sha256 };
        Ok(Found { modified: self.modified(&view), view, object, etag })
    }

    /// Of the version that readers are given; looked for as patiently as bytes are.
    async fn manifest(&self, data_set: &DataSetName, mut view: Arc<View>) -> S3Result<(Arc<View>, Arc<Manifest>)> {
        let Shared { catalogue, ways, .. } = self.shared.as_ref();
        let mut why = "it has no replica at present".to_owned();
        let mut pauses = PAUSES_MS.iter();
        loop {
            for source in ways.best_first(view.holders(&view.version.sha256)) {
                let store = match ways.to(&view, source.node).await {
                    Ok(store) => store,
                    Err(error) => {
                        why = error.to_string();
                        continue;
                    }
                };
                match catalogue.manifest(data_set, &source, store).await {
                    Ok(manifest) => return Ok((view, manifest)),
                    Err(error) => why = error.to_string(),
                }
                ways.forget(source.node);
            }
            let Some(pause) = pauses.next() else { return Err(unreadable(data_set, &why)) };
            tokio::time::sleep(Duration::from_millis(*pause)).await;
            view = catalogue.look(data_set, Some(&view)).await.unwrap_or(view);
        }
    }

    /// What was written here of an object, where the version that is read does not have it yet.
    async fn left(&self, bucket: &str, key: &str) -> S3Result<Option<Left>> {
        let Some(writing) = &self.writing else { return Ok(None) };
        let data_set = self.data_set(bucket)?;
        Ok(writing.left(data_set, key, self.view(data_set).await?.as_ref()))
    }

    fn writing(&self) -> S3Result<&Writing> {
        self.writing.as_deref().ok_or_else(|| s3_error!(AccessDenied))
    }

    /// An object as it was left at its origin; `None`: something else lies there by now.
    async fn own(&self, request: &S3Request<GetObjectInput>, left: Left) -> S3Result<Option<GetObjectOutput>> {
        let (began, input) = (Instant::now(), &request.input);
        let Left::Object { bytes, sha256, etag: lies, at } = left else { return Err(s3_error!(NoSuchKey)) };
        let (etag, modified) = (ETag::Strong(sha256.clone()), Timestamp::from(at));
        check(&etag, &modified, conditions(input))?;
        let part = Part::of(range_of(request, &sha256), bytes)?;
        let data_set = self.data_set(&input.bucket)?;
        let origin = self.writing()?.origin(data_set, &input.key).await?;
        let content = Content { bytes, etag: lies };
        let body = match origin.store().read_range(&input.key, part.range.clone(), &content).await {
            Ok(body) => body.bytes,
            Err(StorageError::Changed { .. } | StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(unreadable(data_set, &error.to_string())),
        };
        let mut measured = Measured::since(began, self.reads.get(data_set).cloned().unwrap_or_default());
        measured.answered();
        let body = body.map(move |piece| {
            piece.iter().for_each(|bytes| measured.sent(bytes.len() as u64));
            piece.map_err(io::Error::other)
        });
        Ok(Some(part.answer(etag, modified, body)))
    }

    /// An answer whose first bytes are on their way.
    async fn begin(&self, request: &S3Request<GetObjectInput>) -> S3Result<(Found, Part, Reading)> {
        let (began, input) = (Instant::now(), &request.input);
        for _ in 0..VERSIONS_AT_MOST {
            let found = self.find(&input.bucket, &input.key).await?;
            check(&found.etag, &found.modified, conditions(input))?;
            let part = Part::of(range_of(request, &found.object.sha256), found.object.bytes)?;
            let reads = self.reads.get(&found.object.data_set).cloned().unwrap_or_default();
            let measured = Measured::since(began, reads);
            let (view, object) = (found.view.clone(), found.object.clone());
            let mut reading = Reading::new(self.shared.clone(), view, object, part.range.clone(), measured);
            match reading.begin().await {
                Ok(()) => return Ok((found, part, reading)),
                Err(GivenUp::Superseded) => reading.dismiss(),
                Err(GivenUp::Unreadable) => {
                    let error = unreadable(&found.object.data_set, reading.why());
                    reading.fail();
                    return Err(error);
                }
            }
        }
        Err(s3_error!(SlowDown, "its owner writes `{}` faster than it can be read", input.key))
    }
}

fn conditions(input: &GetObjectInput) -> Conditions<'_> {
    Conditions {
        if_match: input.if_match.as_ref(),
        if_none_match: input.if_none_match.as_ref(),
        if_modified_since: input.if_modified_since.as_ref(),
        if_unmodified_since: input.if_unmodified_since.as_ref(),
    }
}

fn check(etag: &ETag, modified: &Timestamp, conditions: Conditions<'_>) -> S3Result<()> {
    match conditions.verdict(etag, modified) {
        Verdict::Answer => Ok(()),
        Verdict::NotModified => Err(s3_error!(NotModified)),
        Verdict::Failed => Err(s3_error!(PreconditionFailed)),
    }
}

/// What of an object is sent.
struct Part {
    range: std::ops::Range<u64>,
    /// For the head of the answer; absent where it is the whole.
    content_range: Option<String>,
}

impl Part {
    fn of(asked: Option<Range>, bytes: u64) -> S3Result<Self> {
        let Some(asked) = asked else { return Ok(Self { range: 0..bytes, content_range: None }) };
        let range = asked.check(bytes)?;
        let content_range = format!("bytes {}-{}/{bytes}", range.start, range.end.saturating_sub(1));
        Ok(Self { range, content_range: Some(content_range) })
    }

    fn answer(
        self,
        etag: ETag,
        modified: Timestamp,
        body: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> GetObjectOutput {
        GetObjectOutput {
            content_length: i64::try_from(self.range.end - self.range.start).ok(),
            content_range: self.content_range,
            body: Some(StreamingBlob::wrap(Exclusive(Mutex::new(Box::pin(body))))),
            accept_ranges: Some("bytes".into()),
            last_modified: Some(modified),
            e_tag: Some(etag),
            content_type: Some(CONTENT_TYPE.to_owned()),
            ..Default::default()
        }
    }
}

/// Of another version (`If-Range`) a range is of no use: all of this one is sent.
fn range_of(request: &S3Request<GetObjectInput>, sha256: &str) -> Option<Range> {
    let expected = request.headers.get("if-range").map(|value| value.as_bytes());
    let is_asked = expected.is_none_or(|expected| expected == format!("\"{sha256}\"").as_bytes());
    request.input.range.filter(|_| is_asked)
}

fn unreadable(data_set: &DataSetName, why: &str) -> s3s::S3Error {
    tracing::warn!(%data_set, why, "nothing of the data set can be read for applications");
    s3_error!(ServiceUnavailable, "data set {} cannot be read now, try again: {}", data_set, why)
}

/// There is one version of an object, in one piece.
fn refuse_other_versions(version: Option<&str>, part: Option<i32>) -> S3Result<()> {
    match version.is_some_and(|version| version != "null") || part.is_some_and(|part| part != 1) {
        true => Err(s3_error!(NotImplemented, "former versions and single parts of objects are not served")),
        false => Ok(()),
    }
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        refuse_other_versions(request.input.version_id.as_deref(), request.input.part_number)?;
        if let Some(left) = self.left(&request.input.bucket, &request.input.key).await?
            && let Some(output) = self.own(&request, left).await?
        {
            return Ok(S3Response::new(output));
        }
        let (found, part, reading) = self.begin(&request).await?;
        let bytes = futures::stream::try_unfold(reading, |mut reading| async move {
            Ok::<_, io::Error>(reading.next().await?.map(|bytes| (bytes, reading)))
        });
        Ok(S3Response::new(part.answer(found.etag, found.modified, bytes)))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        refuse_other_versions(input.version_id.as_deref(), input.part_number)?;
        let (bytes, etag, modified) = match self.left(&input.bucket, &input.key).await? {
            Some(Left::Object { bytes, sha256, at, .. }) => (bytes, ETag::Strong(sha256), at.into()),
            Some(Left::Deleted) => return Err(s3_error!(NoSuchKey)),
            None => {
                let found = self.find(&input.bucket, &input.key).await?;
                (found.object.bytes, found.etag, found.modified)
            }
        };
        let conditions = Conditions {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
            if_modified_since: input.if_modified_since.as_ref(),
            if_unmodified_since: input.if_unmodified_since.as_ref(),
        };
        check(&etag, &modified, conditions)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(bytes).ok(),
            accept_ranges: Some("bytes".into()),
            last_modified: Some(modified),
            e_tag: Some(etag),
            content_type: Some(CONTENT_TYPE.to_owned()),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let data_set = self.data_set(&input.bucket)?;
        let wanted = match input.max_keys {
            None => PAGE,
            Some(wanted) => usize::try_from(wanted)
                .map_err(|_| s3_error!(InvalidArgument, "{} is no number of keys to be listed", wanted))?
                .min(PAGE),
        };
        let mut view = self.view(data_set).await?;
        let manifest;
        let objects = match Extent::of(&view.snapshot.data_set.object_key) {
            Extent::Object(_) => Objects::one(&view.snapshot.data_set, view.version.bytes, &view.version.sha256),
            Extent::Set(_) => {
                (view, manifest) = self.manifest(data_set, view).await?;
                Objects::many(&view.snapshot.data_set, &manifest)
            }
        };
        let objects = objects.ok_or_else(|| unreadable(data_set, "the table says nothing of its content"))?;
        // Where it goes on is the last key that was shown.
        let after = [&input.continuation_token, &input.start_after].into_iter().flatten().max();
        let asked = Asked {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: after.map(String::as_str),
            at_most: wanted,
        };
        let shown = page(&objects, asked);
        let modified = self.modified(&view);
        let contents = shown.objects.into_iter().map(|(key, entry)| s3s::dto::Object {
            key: Some(key),
            size: i64::try_from(entry.bytes).ok(),
            e_tag: Some(ETag::Strong(entry.sha256.to_string())),
            last_modified: Some(modified.clone()),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Default::default()
        });
        let contents: Vec<_> = contents.collect();
        let prefixes = shown.prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) });
        let common_prefixes: Vec<_> = prefixes.collect();
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
            max_keys: i32::try_from(wanted).ok(),
            is_truncated: Some(shown.next.is_some()),
            next_continuation_token: shown.next,
            contents: (!contents.is_empty()).then_some(contents),
            common_prefixes: (!common_prefixes.is_empty()).then_some(common_prefixes),
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            ..Default::default()
        }))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let listed = self.list_objects_v2(request.map_input(Into::into)).await?;
        Ok(listed.map_output(|listed| ListObjectsOutput {
            name: listed.name,
            prefix: listed.prefix,
            delimiter: listed.delimiter,
            marker: listed.start_after,
            max_keys: listed.max_keys,
            is_truncated: listed.is_truncated,
            next_marker: listed.next_continuation_token,
            contents: listed.contents,
            common_prefixes: listed.common_prefixes,
            ..Default::default()
        }))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.data_set(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.data_set(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let data_set = self.data_set(&request.input.bucket)?;
        self.writing()?.put(data_set, request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let data_set = self.data_set(&request.input.bucket)?;
        self.writing()?.begin(data_set, request).await
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.writing()?.part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let data_set = self.data_set(&request.input.bucket)?;
        self.writing()?.complete(data_set, request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.writing()?.abort(request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        refuse_other_versions(input.version_id.as_deref(), None)?;
        if input.if_match.is_some() {
            return Err(s3_error!(NotImplemented, "deletions on condition are not known here"));
        }
        self.writing()?.delete(self.data_set(&input.bucket)?, &input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        let (data_set, writing) = (self.data_set(&bucket)?, self.writing()?);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for ObjectIdentifier { key, .. } in delete.objects {
            match writing.delete(data_set, &key).await {
                Ok(()) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
                Err(error) => errors.push(s3s::dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    key: Some(key),
                    version_id: None,
                }),
            }
        }
        let told = if delete.quiet == Some(true) { None } else { Some(deleted) };
        let errors = (!errors.is_empty()).then_some(errors);
        Ok(S3Response::new(DeleteObjectsOutput { deleted: told, errors, ..Default::default() }))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let mut buckets = Vec::new();
        for data_set in &self.shared.world.data_sets {
            let view = self.shared.catalogue.view(data_set).await;
            let creation_date = view.map(|view| self.modified(&view));
            buckets.push(Bucket { name: Some(data_set.to_string()), creation_date, ..Default::default() });
        }
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..Default::default() }))
    }
}

/// Who has signed may read, and write where that is allowed.
pub struct Rights {
    pub writes: bool,
}

#[async_trait::async_trait]
impl S3Access for Rights {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "a signature is needed"));
        }
        match self.writes || context.method().is_safe() {
            true => Ok(()),
            false => Err(s3_error!(
                AccessDenied,
                "{} is refused: data sets are only read here; they are written at their origin, or here with \
                 `writes = true` in `[s3]`",
                context.s3_op().name()
            )),
        }
    }
}

/// Data sets may have names that S3 would not give to a bucket.
pub struct AnyName;

impl NameValidation for AnyName {
    fn validate_bucket_name(&self, name: &str) -> bool {
        !name.is_empty()
    }
}

/// A stream that others may hold, too, but only its owner polls: the lock is never taken.
struct Exclusive<S>(Mutex<S>);

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Stream for Exclusive<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.get_mut() {
            Ok(stream) => Pin::new(stream).poll_next(context),
            Err(_) => Poll::Ready(Some(Err(io::Error::other("whoever sent it has panicked")))),
        }
    }
}
