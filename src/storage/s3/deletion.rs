//! Deleting: one content and no other, and in a versioned bucket for good, if that is wanted.

use super::{S3Store, condition, status};
use crate::storage::{Content, Result, StorageError};
use aws_sdk_s3::error::ProvideErrorMetadata;

/// Versions of one key that are deleted at a time: a page of a listing (I-7). What is above stays for the next time.
const VERSIONS_AT_MOST: i32 = 1000;

impl S3Store {
    /// Whatever lies under a key of the caller's own, all its versions, and what was never finished under it.
    pub(super) async fn delete_own(&self, key: &str) -> Result<()> {
        self.abort_left_uploads(key).await;
        if self.delete_versions && self.abilities.deleting_versions.is_there() {
            for version in self.versions(key).await? {
                self.delete_version(key, &version).await?;
            }
        }
        // Where a version could not be deleted, this at least hides it.
        self.delete_object(key, None).await
    }

    pub(super) async fn delete_one_content(&self, key: &str, content: &Content) -> Result<()> {
        let Some(head) = self.head(key).await? else { return Ok(()) };
        let found = self.info_of(key, &head)?;
        if let Some(reason) = content.difference(found.bytes, found.validators.etag.as_deref()) {
            return Err(self.changed(key, reason));
        }
        if let Some(version) = head.version_id.filter(|version| self.delete_versions && version != "null")
            // With an older one behind it, that would become the object again.
            && self.versions(key).await? == [version.as_str()]
            && self.delete_version(key, &version).await?
        {
            return Ok(());
        }
        // What was just looked at, also where the caller knows no ETag.
        let known = &self.abilities.conditional_deletions;
        let refused = match condition(&found.content()).filter(|_| known.is_there()) {
            Some(condition) => match self.delete_object(key, Some(condition)).await {
                Err(error @ (StorageError::Refused { .. } | StorageError::Denied { .. })) => Some(error.to_string()),
                // It may have gone meanwhile, which is all that is wanted.
                Err(StorageError::Changed { .. }) if self.head(key).await?.is_none() => return Ok(()),
                answer => return answer,
            },
            None => None,
        };
        self.delete_object(key, None).await?;
        if let Some(why) = refused {
            known.is_missing(&self.address, &why);
        }
        Ok(())
    }

    /// Deletes the object, under this condition if there is one.
    async fn delete_object(&self, key: &str, condition: Option<String>) -> Result<()> {
        let request = self.control.delete_object().bucket(&self.bucket).key(key).set_if_match(condition).send();
        match self.answered("deleting", key, self.timeouts.response, request).await? {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(()),
            Err(error) => Err(self.failure("deleting", key, error)),
        }
    }

    /// The ids of a key's versions and delete markers; none where the store does not list them.
    pub(super) async fn versions(&self, key: &str) -> Result<Vec<String>> {
        let request = self.control.list_object_versions().bucket(&self.bucket).prefix(key);
        let request = request.max_keys(VERSIONS_AT_MOST).send();
        match self.answered("listing the versions of", key, self.timeouts.response, request).await? {
            Ok(page) => {
                let versions = page.versions.unwrap_or_default().into_iter();
                let versions = versions.map(|version| (version.key, version.version_id));
                let markers = page.delete_markers.unwrap_or_default().into_iter();
                let markers = markers.map(|marker| (marker.key, marker.version_id));
                // Longer keys have the prefix, too.
                let own = versions.chain(markers).filter(|(of, _)| of.as_deref() == Some(key));
                Ok(own.filter_map(|(_, version)| version).collect())
            }
            Err(error) => {
                let error = self.failure("listing the versions of", key, error);
                self.versions_stay(error)?;
                Ok(Vec::new())
            }
        }
    }

    /// Whether the version is gone; `false` where the store does not delete versions.
    async fn delete_version(&self, key: &str, version: &str) -> Result<bool> {
        let request = self.control.delete_object().bucket(&self.bucket).key(key).version_id(version).send();
        match self.answered("deleting a version of", key, self.timeouts.response, request).await? {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(true),
            Err(error) => {
                self.versions_stay(self.failure("deleting a version of", key, error))?;
                Ok(false)
            }
        }
    }

    /// A store that says no keeps its versions, and the object can still be hidden; one that is away has said nothing.
    fn versions_stay(&self, error: StorageError) -> Result<()> {
        match error {
            StorageError::Unavailable { .. } => Err(error),
            refusal => {
                self.abilities.deleting_versions.is_missing(&self.address, &refusal.to_string());
                Ok(())
            }
        }
    }
}
