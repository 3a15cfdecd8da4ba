//! The S3 operations on the directory. Everything that touches bytes is here, listings are beside it; buckets are `s3s-fs`'s.
//!
//! Its own reading, writing and listing are not used: it reads in pieces of 4 KiB, shows an object before its checksum was
//! compared, compares none for parts, leaves a file of metadata behind for each object that was deleted, and reads the whole bucket
//! for each page of a listing. Here an object is one file, and what it is besides its bytes is another one, where there is anything
//! to say (`described`).

use super::EmbeddedError;
use super::checksums::Checksums;
use super::described::{described_by, tag_set};
use super::directory::Directory;
use super::listing::list;
use super::uploads::Uploads;
use crate::storage::attributes::Attributes;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use rustix::buffer::spare_capacity;
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// What is read from the disk, and handed to the socket, at a time. Measured: with a quarter of it, waking threads costs
/// half as much again as copying the bytes.
const READ_BYTES: u64 = 1024 * 1024;
/// How many such pieces are read ahead while one is sent.
const READ_AHEAD: usize = 2;
/// A client that sends nothing for so long is gone.
const UPLOAD_STALL: Duration = Duration::from_secs(60);

pub(super) struct ObjectService {
    directory: Arc<Directory>,
    uploads: Uploads,
    /// Buckets.
    files: FileSystem,
}

impl ObjectService {
    pub fn new(directory: Directory) -> Result<Self, EmbeddedError> {
        let path = directory.objects();
        let files = FileSystem::new(&path).map_err(|error| EmbeddedError::Directory {
            path,
            doing: "opening it",
            error: io::Error::other(format!("{error:?}")),
        })?;
        let directory = Arc::new(directory);
        Ok(Self { uploads: Uploads::new(directory.clone()), directory, files })
    }

    pub fn directory(&self) -> Arc<Directory> {
        self.directory.clone()
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let path = self.directory.object(bucket, key);
        path.ok_or_else(|| s3_error!(InvalidArgument, "`{}` cannot be a key here: it is no path of a file", key))
    }

    fn open(&self, bucket: &str, key: &str) -> S3Result<(File, Metadata)> {
        let path = self.object(bucket, key)?;
        let opened = File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        match opened {
            Ok((file, metadata)) if metadata.is_file() => Ok((file, metadata)),
            Ok(_) => Err(self.no_object(bucket)),
            Err(error) if is_absent(&error) => Err(self.no_object(bucket)),
            Err(error) => Err(failed("reading", &path, error)),
        }
    }

    fn no_object(&self, bucket: &str) -> S3Error {
        let code = match self.directory.bucket(bucket).is_dir() {
            true => S3ErrorCode::NoSuchKey,
            false => S3ErrorCode::NoSuchBucket,
        };
        code.into()
    }

    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        self.directory.bucket(bucket).is_dir().then_some(()).ok_or_else(|| S3ErrorCode::NoSuchBucket.into())
    }

    /// Takes a body into a file of its own that is not yet an object.
    async fn receive(&self, body: Option<StreamingBlob>, bytes: Option<i64>, sums: Checksums) -> S3Result<Arrival> {
        let mut body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let path = self.directory.arrival();
        let file = tokio::fs::File::create_new(&path).await.map_err(|error| failed("writing", &path, error))?;
        let mut arrival = Arrival { path, bytes: 0, sums: Checksum::default() };
        arrival.sums = self.fill(&mut arrival, file, &mut body, sums).await?;
        if bytes.is_some_and(|announced| u64::try_from(announced).ok() != Some(arrival.bytes)) {
            return Err(s3_error!(IncompleteBody, "{} bytes came, {:?} were announced", arrival.bytes, bytes));
        }
        Ok(arrival)
    }

    async fn fill(
        &self,
        arrival: &mut Arrival,
        mut file: tokio::fs::File,
        body: &mut StreamingBlob,
        mut sums: Checksums,
    ) -> S3Result<Checksum> {
        let written = |error| failed("writing", &arrival.path, error);
        loop {
            let chunk = tokio::time::timeout(UPLOAD_STALL, body.next()).await;
            let chunk = chunk.map_err(|_| s3_error!(RequestTimeout, "no byte for {:?}", UPLOAD_STALL))?;
            let Some(chunk) = chunk else { break };
            let chunk = chunk.map_err(|error| s3_error!(IncompleteBody, "the body broke: {}", error))?;
            sums.update(&chunk);
            arrival.bytes += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(written)?;
        }
        file.flush().await.map_err(written)?;
        sums.check()
    }

    async fn commit(&self, arrival: Arrival, named: Named, attributes: Attributes) -> S3Result<Metadata> {
        let directory = self.directory.clone();
        let committing = move || {
            let Named { bucket, key, object } = named;
            let committed = directory
                .describe(&bucket, &key, &attributes)
                .and_then(|()| directory.commit(&arrival.path, &object))
                .and_then(|()| fs::metadata(&object));
            committed.map_err(|error| failed("writing", &object, error))
        };
        blocking(committing).await
    }

    /// Only of what is there.
    fn attributes(&self, bucket: &str, key: &str) -> Attributes {
        self.directory.attributes_of(bucket, key)
    }
}

#[async_trait::async_trait]
impl S3 for ObjectService {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        refuse_other_versions(input.version_id.as_deref(), input.part_number)?;
        let (file, metadata) = self.open(&input.bucket, &input.key)?;
        let e_tag = e_tag(&metadata);
        check_conditions(&e_tag, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let attributes = self.attributes(&input.bucket, &input.key);
        let whole = metadata.len();
        let range = match input.range {
            Some(range) => range.check(whole)?,
            None => 0..whole,
        };
        let content_range =
            input.range.map(|_| format!("bytes {}-{}/{whole}", range.start, range.end.saturating_sub(1)));
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(range.end - range.start).ok(),
            content_range,
            body: Some(StreamingBlob::wrap(pieces(file, range))),
            accept_ranges: Some("bytes".into()),
            last_modified: metadata.modified().ok().map(Timestamp::from),
            e_tag: Some(e_tag),
            content_type: attributes.content_type,
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            content_disposition: attributes.content_disposition,
            cache_control: attributes.cache_control,
            metadata: Some(attributes.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        let input = request.input;
        refuse_other_versions(input.version_id.as_deref(), None)?;
        self.open(&input.bucket, &input.key)?;
        let tag_set = tag_set(self.attributes(&input.bucket, &input.key));
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        refuse_other_versions(input.version_id.as_deref(), input.part_number)?;
        let (_, metadata) = self.open(&input.bucket, &input.key)?;
        let attributes = self.attributes(&input.bucket, &input.key);
        let e_tag = e_tag(&metadata);
        check_conditions(&e_tag, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(metadata.len()).ok(),
            accept_ranges: Some("bytes".into()),
            last_modified: metadata.modified().ok().map(Timestamp::from),
            e_tag: Some(e_tag),
            content_type: attributes.content_type,
            content_encoding: attributes.content_encoding,
            content_language: attributes.content_language,
            content_disposition: attributes.content_disposition,
            cache_control: attributes.cache_control,
            metadata: Some(attributes.metadata.into_iter().collect()),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = request.input;
        refuse_conditions(input.if_match.is_some() || input.if_none_match.is_some())?;
        let object = self.object(&input.bucket, &input.key)?;
        self.check_bucket(&input.bucket)?;
        let attributes = described_by!(input);
        let announced = Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            checksum_crc64nvme: input.checksum_crc64nvme,
            ..Default::default()
        };
        let sums = Checksums::new(announced, input.content_md5, &request.headers, request.trailing_headers);
        let mut arrival = self.receive(input.body, input.content_length, sums).await?;
        let sums = std::mem::take(&mut arrival.sums);
        let named = Named { bucket: input.bucket, key: input.key, object };
        let metadata = self.commit(arrival, named, attributes).await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(e_tag(&metadata)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            ..Default::default()
        }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        refuse_other_versions(input.version_id.as_deref(), None)?;
        let object = self.object(&input.bucket, &input.key)?;
        self.check_bucket(&input.bucket)?;
        if let Some(condition) = &input.if_match {
            match self.open(&input.bucket, &input.key) {
                Ok((_, metadata)) => check_conditions(&e_tag(&metadata), Some(condition), None)?,
                Err(error) if *error.code() == S3ErrorCode::NoSuchKey => {}
                Err(error) => return Err(error),
            }
        }
        let removed = tokio::fs::remove_file(&object).await;
        self.directory
            .forget_attributes(&input.bucket, &input.key)
            .map_err(|error| failed("deleting what is said of", &object, error))?;
        match removed {
            // What is a folder of other keys is no object either.
            Err(error) if !is_absent(&error) && error.kind() != io::ErrorKind::IsADirectory => {
                Err(failed("deleting", &object, error))
            }
            Ok(()) | Err(_) => Ok(S3Response::new(DeleteObjectOutput::default())),
        }
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut input = request.input;
        let attributes = described_by!(input);
        let CreateMultipartUploadInput { bucket, key, .. } = input;
        self.object(&bucket, &key)?;
        self.check_bucket(&bucket)?;
        let id = self.uploads.begin(&bucket, &key, attributes)?;
        let output = CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let part = self.uploads.part(&input.upload_id, &input.bucket, &input.key, input.part_number)?;
        let announced = Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            checksum_crc64nvme: input.checksum_crc64nvme,
            ..Default::default()
        };
        let sums = Checksums::new(announced, input.content_md5, &request.headers, request.trailing_headers);
        let mut arrival = self.receive(input.body, input.content_length, sums).await?;
        let sums = std::mem::take(&mut arrival.sums);
        let renamed = fs::rename(&arrival.path, &part).and_then(|()| fs::metadata(&part));
        let metadata = renamed.map_err(|error| failed("writing", &part, error))?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(e_tag(&metadata)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        refuse_conditions(input.if_match.is_some() || input.if_none_match.is_some())?;
        let object = self.object(&input.bucket, &input.key)?;
        let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let parts = self.uploads.parts(&input.upload_id, &input.bucket, &input.key, &listed)?;
        let arrival = Arrival { path: self.directory.arrival(), bytes: 0, sums: Checksum::default() };
        let joining = move || {
            let joined = join(&parts, &arrival.path);
            joined.map_err(|error| failed("writing", &arrival.path, error))?;
            Ok(arrival)
        };
        let arrival = blocking(joining).await?;
        let attributes = self.uploads.attributes(&input.upload_id);
        let named = Named { bucket: input.bucket.clone(), key: input.key.clone(), object };
        let metadata = self.commit(arrival, named, attributes).await?;
        self.uploads.end(&input.upload_id)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(e_tag(&metadata)),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
        self.uploads.check(&upload_id, &bucket, &key)?;
        self.uploads.end(&upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let ListMultipartUploadsInput { bucket, prefix, .. } = request.input;
        let uploads = self.uploads.list(&bucket, prefix.as_deref().unwrap_or_default());
        let output = ListMultipartUploadsOutput {
            bucket: Some(bucket),
            prefix,
            uploads: Some(uploads),
            is_truncated: Some(false),
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(request).await
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.files.head_bucket(request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.files.get_bucket_location(request).await
    }

    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        self.files.list_buckets(request).await
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

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let directory = self.directory.clone();
        blocking(move || list(&directory, request.input)).await.map(S3Response::new)
    }
}

/// An object by its names: in a bucket, and on the disk.
struct Named {
    bucket: String,
    key: String,
    object: PathBuf,
}

/// A file that is not yet an object; deleted unless it becomes one.
struct Arrival {
    path: PathBuf,
    bytes: u64,
    sums: Checksum,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            // After a commit its name is another.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "an unfinished file was left behind");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// Reads a range ahead of the socket, in order, with bounded memory.
pub(super) fn pieces(
    file: File,
    range: std::ops::Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
    let file = Arc::new(file);
    let starts = std::iter::successors(Some(range.start), |start| start.checked_add(READ_BYTES));
    let end = range.end;
    stream::iter(starts.take_while(move |&start| start < end))
        .map(move |start| {
            let file = file.clone();
            let reading = move || read(&file, start, READ_BYTES.min(end - start));
            async move { tokio::task::spawn_blocking(reading).await.map_err(io::Error::other)? }
        })
        .buffered(READ_AHEAD)
}

fn read(file: &File, start: u64, bytes: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(bytes).map_err(io::Error::other)?;
    let mut piece = Vec::with_capacity(wanted);
    while piece.len() < wanted {
        let at = start + piece.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut piece), at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    piece.truncate(wanted);
    Ok(piece.into())
}

/// The kernel copies; the bytes do not come up here.
fn join(parts: &[PathBuf], whole: &Path) -> io::Result<()> {
    let mut whole = File::create_new(whole)?;
    for part in parts {
        io::copy(&mut File::open(part)?, &mut whole)?;
    }
    Ok(())
}

/// Changes with every write, and costs no hashing. It has the form of a multipart upload's, which no client takes for
/// an MD5.
pub(super) fn e_tag(metadata: &Metadata) -> ETag {
    let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    ETag::Strong(format!("{:x}{modified_ns:x}{:x}-1", metadata.ino(), metadata.len()))
}

fn check_conditions(found: &ETag, wanted: Option<&ETagCondition>, unwanted: Option<&ETagCondition>) -> S3Result<()> {
    let matches = |condition: &ETagCondition| {
        condition.is_any() || condition.as_etag().is_some_and(|e_tag| e_tag.weak_cmp(found))
    };
    if wanted.is_some_and(|condition| !matches(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if unwanted.is_some_and(matches) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

fn refuse_conditions(given: bool) -> S3Result<()> {
    match given {
        true => Err(s3_error!(NotImplemented, "conditional writes are not implemented")),
        false => Ok(()),
    }
}

fn refuse_other_versions(version: Option<&str>, part: Option<i32>) -> S3Result<()> {
    match version.is_some_and(|version| version != "null") || part.is_some() {
        true => Err(s3_error!(NotImplemented, "versions and single parts of objects are not kept")),
        false => Ok(()),
    }
}

/// A file in the place of a folder means, too, that there is no such object.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What the disk refused, as S3 says it.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> S3Error {
    let message = format!("{doing} {}: {error}", path.display());
    tracing::warn!(path = %path.display(), %error, doing, "embedded store");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            let mut full = S3Error::with_message(S3ErrorCode::Custom("InsufficientStorage".into()), message);
            full.set_status_code(hyper::StatusCode::INSUFFICIENT_STORAGE);
            full
        }
        io::ErrorKind::IsADirectory
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::DirectoryNotEmpty => {
            let message = format!("{message}; one key is a folder of the other");
            S3Error::with_message(S3ErrorCode::InvalidArgument, message)
        }
        io::ErrorKind::InvalidFilename => S3Error::with_message(S3ErrorCode::KeyTooLongError, message),
        _ => S3Error::with_message(S3ErrorCode::InternalError, message),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> S3Result<T> + Send + 'static) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(S3Error::internal_error)?
}
