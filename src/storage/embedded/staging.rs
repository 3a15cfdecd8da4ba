//! Where objects arrive by S3 before they are handed on to another store: what an embedded store does with bodies, parts and checksums,
//! without being anybody's store.

use super::directory::Directory;
use super::service::{ObjectService, pieces};
use super::{Durability, EmbeddedError};
use crate::storage::attributes::Attributes;
use crate::storage::{ByteStream, StorageError};
use futures::StreamExt as _;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Of all that arrives.
const BUCKET: &str = "staged";

pub struct Staging {
    service: ObjectService,
    directory: Arc<Directory>,
}

/// An object that has arrived whole, as it was sent. It is gone when it is dropped.
#[derive(Debug)]
pub struct Staged {
    pub attributes: Attributes,
    pub bytes: u64,
    path: PathBuf,
}

impl Staging {
    /// In a folder that is nobody else's: what is in it goes.
    pub fn open(path: &Path) -> Result<Self, EmbeddedError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let (path, doing) = (path.to_owned(), "emptying it");
                return Err(EmbeddedError::Directory { path, doing, error });
            }
            Ok(()) | Err(_) => {}
        }
        let service = ObjectService::new(Directory::open(path, BUCKET, Durability::Kill)?)?;
        Ok(Self { directory: service.directory(), service })
    }

    /// Nothing else may arrive under this key before what this returns is dropped; likewise with [`Self::complete`].
    pub async fn put(&self, mut request: S3Request<PutObjectInput>) -> S3Result<(S3Response<PutObjectOutput>, Staged)> {
        redirect(&mut request.input.bucket, &mut request.input.key);
        let key = request.input.key.clone();
        let answer = self.service.put_object(request).await?;
        Ok((answer, self.staged(&key)?))
    }

    pub async fn begin(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let (bucket, key) = redirect(&mut request.input.bucket, &mut request.input.key);
        let answer = self.service.create_multipart_upload(request).await?;
        let told = |output| CreateMultipartUploadOutput { bucket: Some(bucket), key: Some(key), ..output };
        Ok(answer.map_output(told))
    }

    pub async fn part(&self, mut request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        redirect(&mut request.input.bucket, &mut request.input.key);
        self.service.upload_part(request).await
    }

    pub async fn complete(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<(S3Response<CompleteMultipartUploadOutput>, Staged)> {
        let (bucket, key) = redirect(&mut request.input.bucket, &mut request.input.key);
        let staged = request.input.key.clone();
        let answer = self.service.complete_multipart_upload(request).await?;
        let told = |output| CompleteMultipartUploadOutput { bucket: Some(bucket), key: Some(key), ..output };
        Ok((answer.map_output(told), self.staged(&staged)?))
    }

    pub async fn abort(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        redirect(&mut request.input.bucket, &mut request.input.key);
        self.service.abort_multipart_upload(request).await
    }

    fn staged(&self, key: &str) -> S3Result<Staged> {
        let path = self.directory.object(BUCKET, key).ok_or_else(|| s3_error!(InternalError))?;
        let attributes = self.directory.attributes_of(BUCKET, key);
        let described = self.directory.forget_attributes(BUCKET, key);
        let bytes = described.and_then(|()| fs::metadata(&path)).map(|metadata| metadata.len());
        // Made first, so that the file goes also when something is wrong with it.
        let mut staged = Staged { attributes, bytes: 0, path };
        staged.bytes = bytes.map_err(|error| s3_error!(InternalError, "what arrived cannot be read: {}", error))?;
        Ok(staged)
    }
}

/// To where it is staged; what was asked for. Keys of others are paths of files as little as they like.
fn redirect(bucket: &mut String, key: &mut String) -> (String, String) {
    let staged = hex::encode(Sha256::digest(format!("{bucket}\n{key}")));
    (std::mem::replace(bucket, BUCKET.to_owned()), std::mem::replace(key, staged))
}

impl Staged {
    /// Its bytes, from the first to the last.
    pub fn body(&self) -> io::Result<ByteStream> {
        let (address, key) = ("what has arrived".to_owned(), self.path.display().to_string());
        let damaged = move |error: io::Error| StorageError::Damaged {
            address: address.clone(),
            key: key.clone(),
            reason: error.to_string(),
        };
        Ok(pieces(File::open(&self.path)?, 0..self.bytes).map(move |piece| piece.map_err(&damaged)).boxed())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.path);
    }
}
