//! Reading an object with a request that was signed before: whoever sends it needs no credentials.

use super::settings::S3Settings;
use crate::storage::credentials::Credentials;
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

/// A GET of an object that is signed for a week, to be sent as it is to the host that it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedGet {
    pub host: String,
    /// With the query.
    pub path: String,
}

/// Of an object in the store's bucket, by its own name for itself.
pub async fn signed_get(store: &S3Settings, key: &str) -> Result<SignedGet, SigningError> {
    let Credentials { access_key_id, secret_access_key, session_token } = store.credentials.clone();
    let credentials = SdkCredentials::new(access_key_id, secret_access_key, session_token, None, "settings");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&store.endpoint)
        .force_path_style(store.path_style)
        .region(Region::new(store.region.clone()))
        .credentials_provider(credentials)
        .build();
    let valid = PresigningConfig::expires_in(VALID_FOR).expect("a week is allowed");
    let request = Client::from_conf(config).get_object().bucket(&store.bucket).key(key).presigned(valid).await;
    let request = request.map_err(|source| {
        let (bucket, key) = (store.bucket.clone(), key.to_owned());
        SigningError { bucket, key, source: Box::new(source) }
    })?;
    let without_scheme = request.uri().split_once("://").map_or(request.uri(), |(_, rest)| rest);
    let (host, path) = without_scheme.split_at(without_scheme.find('/').unwrap_or(without_scheme.len()));
    Ok(SignedGet { host: host.to_owned(), path: path.to_owned() })
}

/// Path and query of such a request, path-style, to be sent with [`SIGNED_HOST`] as its host wherever it goes.
pub async fn signed_path(credentials: &Credentials, bucket: &str, key: &str) -> Result<String, SigningError> {
    let endpoint = format!("http://{SIGNED_HOST}");
    Ok(signed_get(&S3Settings::new(endpoint, bucket, credentials.clone()), key).await?.path)
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

    #[tokio::test]
    async fn a_request_names_the_store_as_it_names_itself() {
        let credentials = Credentials::new("KEY", "secret");
        let plain = S3Settings::new("http://127.0.0.1:9000", "data", credentials.clone());
        let get = signed_get(&plain, "a.json").await.unwrap();
        assert_eq!((get.host.as_str(), get.path.split('?').next()), ("127.0.0.1:9000", Some("/data/a.json")));
        assert!(get.path.contains("us-east-1"), "{}", get.path);
        let settings = S3Settings { path_style: false, region: "eu-central-1".to_owned(), ..plain };
        let settings = S3Settings { endpoint: "http://s3.example.org".to_owned(), ..settings };
        let get = signed_get(&settings, "a.json").await.unwrap();
        assert_eq!((get.host.as_str(), get.path.split('?').next()), ("data.s3.example.org", Some("/a.json")));
        assert!(get.path.contains("eu-central-1"), "{}", get.path);
    }
}
