//! How a store is reached, and how patiently; in the SDK's words too.

use super::connection::Detour;
use super::trust::Trust;
use crate::storage::credentials::Credentials;
use agent_core::domain::store_url::{REGION, StoreUrl};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat as Format};
use aws_sdk_s3::types::ServerSideEncryption;
use std::time::{Duration, SystemTime};

/// Before the second attempt, at most; it doubles with each further one, and is drawn at random below that.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How long to wait, on the wall.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until a request was answered, retries included; a request that carries an object has its upload time on top.
    pub response: Duration,
    /// Between two pieces of a body.
    pub stall: Duration,
    /// An upload slower than this has failed.
    pub slowest_upload_bytes_per_second: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            response: Duration::from_secs(20),
            stall: Duration::from_secs(20),
            slowest_upload_bytes_per_second: 256 * 1024,
        }
    }
}

/// How often a request is sent before its failure counts: at least 1. Sent again is what broke on the way, and what the
/// store answered with 429 or with 500 and above (503 `SlowDown`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempts {
    /// Reads of ranges. Fewer: a job waits for them, and its next run is another attempt.
    pub read: u32,
    /// Everything else.
    pub control: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { read: 3, control: 5 }
    }
}

/// What a store is asked to encrypt objects with, where its bucket wants that to be said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Encryption {
    /// `AES256`: a key of the store's.
    Aes256,
    /// `aws:kms`: this key of a key service; absent: the bucket's own.
    Kms { key: Option<String> },
}

impl Encryption {
    pub(super) fn algorithm(&self) -> ServerSideEncryption {
        match self {
            Self::Aes256 => ServerSideEncryption::Aes256,
            Self::Kms { .. } => ServerSideEncryption::AwsKms,
        }
    }

    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Aes256 => None,
            Self::Kms { key } => key.as_deref(),
        }
    }
}

/// A store as one agent reaches it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3Settings {
    /// `http://HOST:PORT` or `https://HOST[:PORT]`: the store itself.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// Whether the bucket stands in the path of a request, or before the host.
    pub path_style: bool,
    pub credentials: Credentials,
    /// For `https://`.
    pub trust: Trust,
    /// `host:port` to connect to instead of the endpoint's own: the agent's end of a link to the store.
    pub link: Option<String>,
    pub encryption: Option<Encryption>,
    /// Whether what is deleted in a versioned bucket goes for good, not only behind a delete marker.
    pub delete_versions: bool,
    pub timeouts: Timeouts,
    pub attempts: Attempts,
}

impl S3Settings {
    /// Path style, region `us-east-1`, which stores without regions expect, the machine's certificates, no link, no
    /// encryption, no deletion of versions, and default time-outs and attempts.
    pub fn new(endpoint: impl Into<String>, bucket: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            endpoint: endpoint.into(),
            region: REGION.into(),
            bucket: bucket.into(),
            path_style: true,
            credentials,
            trust: Trust::System,
            link: None,
            encryption: None,
            delete_versions: false,
            timeouts: Timeouts::default(),
            attempts: Attempts::default(),
        }
    }

    /// The store at a URL.
    pub fn at(url: &StoreUrl, credentials: Credentials) -> Self {
        Self {
            region: url.region().into(),
            path_style: url.path_style(),
            ..Self::new(url.endpoint(), url.bucket(), credentials)
        }
    }
}

/// What is sent again beyond what the SDK knows: a store says with 429, too, that it has too much to do; and the answer to
/// HEAD has no body that could say that the signature's time is too far from the store's.
#[derive(Debug)]
struct SentAgain;

impl ClassifyRetry for SentAgain {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(response) = context.response() else { return RetryAction::NoActionIndicated };
        match response.status().as_u16() {
            429 => RetryAction::throttling_error(),
            // The SDK signs the next attempt by the store's clock.
            403 if response.body().bytes().is_none_or(<[u8]>::is_empty) && ahead(response).is_some() => {
                RetryAction::server_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests, and clocks that differ"
    }
}

/// Clocks that differ by more than this many seconds are worth a word; stores refuse signatures from a quarter of an hour on.
const CLOCKS_DIFFER: i64 = 4 * 60;

/// By how many seconds the store's clock is ahead of this machine's, if that is much: below zero, it is behind.
pub(super) fn ahead(response: &HttpResponse) -> Option<i64> {
    let date = DateTime::from_str(response.headers().get("date")?, Format::HttpDate).ok()?;
    let ahead = date.secs() - DateTime::from(SystemTime::now()).secs();
    (ahead.abs() > CLOCKS_DIFFER).then_some(ahead)
}

/// For a client that tries so often and sends checksums, or does not.
pub(super) fn sdk(
    settings: &S3Settings,
    connections: SharedHttpClient,
    attempts: u32,
    checksums: RequestChecksumCalculation,
) -> Builder {
    let Credentials { access_key_id, secret_access_key, session_token } = settings.credentials.clone();
    let credentials = SdkCredentials::new(access_key_id, secret_access_key, session_token, None, "settings");
    // What is spent on retries is counted here alone: a store that fails takes none from the others.
    let budget = RetryPartition::custom(format!("{}/{}", settings.endpoint, settings.bucket)).build();
    let mut builder = aws_sdk_s3::Config::builder();
    if let Some(detour) = Detour::of(settings) {
        builder = builder.interceptor(detour);
    }
    builder
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&settings.endpoint)
        .force_path_style(settings.path_style)
        .retry_partition(budget)
        .retry_classifier(SentAgain)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts.max(1)).with_initial_backoff(RETRY_PAUSE))
        .region(Region::new(settings.region.clone()))
        .credentials_provider(credentials)
        .http_client(connections)
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.timeouts.connect).build())
        // Time-outs of answers and bodies are kept here, where they can follow the size of what is sent.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(checksums)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
}
