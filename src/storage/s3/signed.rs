//! Reading an object with a request that was signed before: whoever sends it needs no credentials.

use crate::storage::credentials::Credentials;
use agent_core::domain::store_url::REGION;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::presigning::PresigningConfig;
use std::time::Duration;

/// What the request names as its host: a signature is for one, and the same request may be sent to many.
pub const SIGNED_HOST: &str = "localhost";
/// No server takes signatures that are valid for longer.
const VALID_FOR: Duration = Duration::from_secs(7 * 86_400);

/// The request could not be signed.
#[derive(Debug, thiserror::Error)]
#[error("{bucket}/{key}: the request cannot be signed: {}", DisplayErrorContext(.source))]
pub struct SigningError {
    bucket: String,
    key: String,
    source: Box<SdkError<GetObjectError>>,
}

/// Path and query of a GET of an object, path-style, to be sent with [`SIGNED_HOST`] as its host, for a week from now on.
pub async fn signed_path(credentials: &Credentials, bucket: &str, key: &str) -> Result<String, SigningError> {
    let Credentials { access_key_id, secret_access_key, session_token } = credentials.clone();
    let credentials = SdkCredentials::new(access_key_id, secret_access_key, session_token, None, "settings");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{SIGNED_HOST}"))
        .force_path_style(true)
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .build();
    let valid = PresigningConfig::expires_in(VALID_FOR).expect("a week is allowed");
    let request = Client::from_conf(config).get_object().bucket(bucket).key(key).presigned(valid).await;
    let request = request.map_err(|source| {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        SigningError { bucket, key, source: Box::new(source) }
    })?;
    let uri = request.uri();
    Ok(uri.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| rest[at..].to_owned())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_is_signed_for_a_week_and_shows_no_secret() {
        let path = signed_path(&Credentials::new("KEY", "secret"), "blood_tests", "a b/{c}.json").await.unwrap();
        assert!(path.starts_with("/blood_tests/a%20b/%7Bc%7D.json?"), "{path}");
        for part in ["X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Expires=604800", "X-Amz-Signature="] {
            assert!(path.contains(part), "{path}");
        }
        assert!(!path.contains("secret"), "{path}");
    }
}
