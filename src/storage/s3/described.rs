//! What an object is besides its bytes, as requests and answers have it.

use super::{Encryption, S3Store};
use crate::storage::attributes::Attributes;
use crate::storage::{Result, StorageError};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use std::collections::BTreeMap;

/// The headers of a write, but for the tags: they may have to be left out.
macro_rules! described {
    ($request:expr, $attributes:expr, $encryption:expr) => {
        $request
            .set_content_type($attributes.content_type.clone())
            .set_content_encoding($attributes.content_encoding.clone())
            .set_content_language($attributes.content_language.clone())
            .set_content_disposition($attributes.content_disposition.clone())
            .set_cache_control($attributes.cache_control.clone())
            .set_metadata(
                Some($attributes.metadata.clone().into_iter().collect()).filter(|_| !$attributes.metadata.is_empty()),
            )
            .set_server_side_encryption($encryption.map(Encryption::algorithm))
            .set_ssekms_key_id($encryption.and_then(Encryption::key).map(str::to_owned))
    };
}

pub(super) fn put(
    request: PutObjectFluentBuilder,
    attributes: &Attributes,
    encryption: Option<&Encryption>,
) -> PutObjectFluentBuilder {
    described!(request, attributes, encryption)
}

pub(super) fn create(
    request: CreateMultipartUploadFluentBuilder,
    attributes: &Attributes,
    encryption: Option<&Encryption>,
) -> CreateMultipartUploadFluentBuilder {
    described!(request, attributes, encryption)
}

impl S3Store {
    pub(super) async fn described(&self, key: &str) -> Result<Attributes> {
        let head = self.head(key).await?;
        let head = head.ok_or_else(|| StorageError::NotFound { address: self.address.clone(), key: key.into() })?;
        Ok(Attributes {
            content_type: head.content_type,
            content_encoding: head.content_encoding,
            content_language: head.content_language,
            content_disposition: head.content_disposition,
            cache_control: head.cache_control,
            metadata: head.metadata.unwrap_or_default().into_iter().collect(),
            tags: self.tags(key).await?,
        })
    }

    /// None where the store has no tags, or does not show them to us: an object is worth more than its tags.
    async fn tags(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let request = self.control.get_object_tagging().bucket(&self.bucket).key(key).customize();
        // Some servers that have none break over the question: it is put once.
        let once = aws_sdk_s3::Config::builder().retry_config(RetryConfig::disabled());
        let request = request.config_override(once).send();
        match self.answered("looking at the tags of", key, self.timeouts.response, request).await? {
            Ok(answer) => Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            Err(error) => {
                tracing::debug!(store = self.address, key, code = error.code(), "no tags are known");
                Ok(BTreeMap::new())
            }
        }
    }
}
