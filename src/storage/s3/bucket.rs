//! The bucket: whether it is there, and whether what answers is an S3 server at all.

use super::S3Store;
use crate::storage::Result;
use agent_core::domain::store_url::REGION;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

impl S3Store {
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

    /// Asked for with a listing, not with HEAD: only an answer with a body says why it is a refusal, and whose it is.
    pub async fn bucket_exists(&self) -> Result<bool> {
        const LOOKING: &str = "looking for the bucket";
        let request = self.control.list_objects_v2().bucket(&self.bucket).max_keys(1).send();
        match self.answered(LOOKING, &self.bucket, self.timeouts.response, request).await? {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("NoSuchBucket") => Ok(false),
            Err(error) => match nothing_that_s3_says(&error) {
                Some(status) => Err(self.failed(LOOKING, &self.bucket).no_store(&status)),
                None => Err(self.failure(LOOKING, &self.bucket, error)),
            },
        }
    }
}

/// A refusal without the code that S3 servers give in XML.
fn nothing_that_s3_says<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<String> {
    let response = error.raw_response().filter(|_| error.code().is_none())?;
    let status = response.status().as_u16();
    // A gateway before the store answers so for itself, too.
    let is_refusal = (400..500).contains(&status) || status == 501;
    is_refusal.then(|| match response.headers().get("content-type") {
        Some(kind) => format!("{status} with {}", kind.escape_debug().take(80).collect::<String>()),
        None => status.to_string(),
    })
}
