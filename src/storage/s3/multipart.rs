//! Large objects in parts; and what is left of uploads that nobody finished.

use super::body::Parts;
use super::{S3Store, described, failure, status};
use crate::storage::attributes::Attributes;
use crate::storage::{ObjectStore, Result, StorageError};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MultipartUpload};
use bytes::Bytes;
use std::time::SystemTime;

/// More pages than this, of a thousand uploads each, are a server that never ends its listing.
const PAGES_AT_MOST: usize = 100;

/// An upload that was begun and is neither finished nor given up, as far as the store knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnfinishedUpload {
    pub key: String,
    /// By the store's clock; absent when it does not say.
    pub begun: Option<SystemTime>,
    id: String,
}

/// Where a client notes its uploads: not every store lists them, and one whose writer was killed is given up by its id. A note
/// that could not be made keeps nobody from writing.
#[async_trait]
pub trait UploadLog: Send + Sync + std::fmt::Debug {
    /// Before the first part is sent.
    async fn begun(&self, key: &str, upload_id: &str);

    /// It is finished or given up.
    async fn ended(&self, key: &str, upload_id: &str);
}

impl S3Store {
    pub(super) async fn put_parts(
        &self,
        key: &str,
        bytes: u64,
        attributes: &Attributes,
        mut parts: Parts<'_>,
    ) -> Result<()> {
        let create = |client: Client, checksum, tagging| {
            let request = client.create_multipart_upload().bucket(&self.bucket).key(key);
            let request = described::create(request, attributes, self.encryption.as_ref()).set_tagging(tagging);
            let request = request.set_checksum_algorithm(checksum).send();
            self.answered("starting to write", key, self.timeouts.response, request)
        };
        let created = self.with_tags(attributes, create).await?;
        let id = match created {
            Ok(created) => created.upload_id,
            // So rclone 1.75 answers.
            Err(error) => match failure::element(&error, "UploadId") {
                None => return Err(self.refused_write("starting to write", key, error).await),
                named => named,
            },
        };
        let id = id.ok_or_else(|| self.damaged(key, "the store named no upload".into()))?;
        let upload = Upload { store: self, key, id, open: true };
        if let Some(log) = &self.log {
            log.begun(key, &upload.id).await;
        }
        match self.fill(&upload, bytes, &mut parts).await {
            Ok(()) => {
                upload.completed().await;
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
            // The object itself is the better witness: Moto 5.2 names the answer's root element wrongly, and when an
            // answer is lost, the next attempt hears that there is no such upload any more.
            Err(error) if is_doubtful(&error) && self.has(upload.key, bytes).await? => Ok(()),
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
        let put = |client: Client, checksum| {
            let request = client.upload_part().bucket(&self.bucket).key(key).upload_id(&upload.id);
            let request = request.part_number(number).set_checksum_algorithm(checksum).body(content.clone().into());
            let request = request.customize().disable_payload_signing().send();
            self.answered("writing a part of", key, limit, request)
        };
        let part = self.with_checksum(put).await?.map_err(|error| self.failure("writing a part of", key, error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .set_checksum_crc32(part.checksum_crc32)
            .build())
    }

    /// Gives up an upload that was noted: its parts go. One that has ended meanwhile is no error.
    pub async fn give_up(&self, key: &str, upload_id: &str) -> Result<()> {
        let request = self.control.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id).send();
        match self.answered("giving up writing", key, self.timeouts.response, request).await? {
            Ok(_) => {}
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(self.failure("giving up writing", key, error)),
        }
        if let Some(log) = &self.log {
            log.ended(key, upload_id).await;
        }
        Ok(())
    }

    /// Parts of an upload whose writer was killed lie in the store unseen, until somebody deletes the key. What cannot be
    /// found or given up keeps nobody from deleting the object.
    pub(super) async fn abort_left_uploads(&self, key: &str) {
        let given_up = async {
            for upload in self.unfinished_uploads(key).await?.iter().filter(|upload| upload.key == key) {
                self.abort_upload(upload).await?;
            }
            Result::Ok(())
        };
        if let Err(error) = given_up.await {
            tracing::debug!(%error, "unfinished uploads may be left");
        }
    }

    /// The uploads under keys that start with `prefix`; none where the store, in whatever way, refuses to list them.
    pub async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        const LOOKING: &str = "looking for parts of";
        let (mut found, mut next) = (Vec::new(), (None, None));
        if !self.abilities.listing_uploads.is_there() {
            return Ok(found);
        }
        for _ in 0..PAGES_AT_MOST {
            let request = self.control.list_multipart_uploads().bucket(&self.bucket).prefix(prefix);
            let request = request.set_key_marker(next.0).set_upload_id_marker(next.1).send();
            let page = match self.answered(LOOKING, prefix, self.timeouts.response, request).await? {
                Ok(page) => page,
                // So rclone's server says that there are none.
                Err(error) if error.code() == Some("NoSuchUpload") => return Ok(found),
                Err(error) => match self.failure(LOOKING, prefix, error) {
                    error @ StorageError::Unavailable { .. } => return Err(error),
                    refusal => {
                        self.abilities.listing_uploads.is_missing(&self.address, &refusal.to_string());
                        return Ok(Vec::new());
                    }
                },
            };
            found.extend(page.uploads.unwrap_or_default().into_iter().filter_map(UnfinishedUpload::listed));
            next = (page.next_key_marker, page.next_upload_id_marker);
            if page.is_truncated != Some(true) || next.0.is_none() {
                return Ok(found);
            }
        }
        Err(self.damaged(prefix, format!("the listing of uploads did not end within {PAGES_AT_MOST} pages")))
    }

    /// Gives an upload up: its parts go. One that has ended meanwhile is no error.
    pub async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        self.give_up(&upload.key, &upload.id).await
    }
}

impl UnfinishedUpload {
    fn listed(upload: MultipartUpload) -> Option<Self> {
        let begun = upload.initiated.and_then(|begun| SystemTime::try_from(begun).ok());
        Some(Self { key: upload.key?, begun, id: upload.upload_id? })
    }
}

fn is_doubtful<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    failure::makes_no_sense(error) || error.code() == Some("NoSuchUpload")
}

/// A multipart upload that leaves no parts behind when its writer fails or is dropped.
struct Upload<'a> {
    store: &'a S3Store,
    key: &'a str,
    id: String,
    open: bool,
}

impl Upload<'_> {
    async fn completed(mut self) {
        self.open = false;
        if let Some(log) = &self.store.log {
            log.ended(self.key, &self.id).await;
        }
    }

    async fn abort(mut self) {
        let aborted = self.store.give_up(self.key, &self.id).await;
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
            if let Err(error) = store.give_up(&key, &id).await {
                tracing::warn!(%error, "parts of an upload were left behind");
            }
        });
    }
}
