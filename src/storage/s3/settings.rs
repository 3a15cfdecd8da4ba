//! How a store is reached, and how patiently; in the SDK's words too.

use super::connection::Detour;
use super::trust::Trust;
use crate::domain::store_url::{REGION, StoreUrl};
use crate::storage::credentials::Credentials;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
};
use std::time::Duration;

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
    pub timeouts: Timeouts,
    pub attempts: Attempts,
}

impl S3Settings {
    /// Path style, region `us-east-1`, which stores without regions expect, the machine's certificates, no link, and
    /// default time-outs and attempts.
    pub fn new(endpoint: impl Into<String>, bucket: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            endpoint: endpoint.into(),
            region: REGION.into(),
            bucket: bucket.into(),
            path_style: true,
            credentials,
            trust: Trust::System,
            link: None,
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

/// A store says with 429, too, that it has too much to do.
#[derive(Debug)]
struct TooManyRequests;

impl ClassifyRetry for TooManyRequests {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().map(|response| response.status().as_u16()) {
            Some(429) => RetryAction::throttling_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "too many requests"
    }
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
        .retry_classifier(TooManyRequests)
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
