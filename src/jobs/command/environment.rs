//! What a program is told about its data: the variables that every S3 client reads, and `AGENT_*` for what they have no name for.

use super::direct;
use crate::jobs::DataSource;
use agent_core::domain::manifest::Extent;
use std::num::NonZeroU64;

/// Variables of the agent that a program must not see: what its own environment says about other stores must not mix with
/// these credentials, the shared table is not the job's, and a program that expects one object must not take a manifest for it.
pub(super) const NOT_INHERITED: [&str; 11] = [
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AGENT_KNOWLEDGE",
    "AGENT_DATABASE_PASSWORD",
    "AGENT_STORE_ACCESS_KEY_ID",
    "AGENT_STORE_SECRET_ACCESS_KEY",
    "AGENT_KEY",
    "AGENT_PREFIX",
    "AGENT_MANIFEST",
];

/// Where the data is and how it is read, by variable.
pub(in crate::jobs) fn of(source: &DataSource, request_bytes: NonZeroU64) -> Vec<(&'static str, String)> {
    let access = &source.access;
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", access.endpoint.clone()),
        ("AWS_ENDPOINT_URL_S3", access.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", access.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", access.secret_access_key.clone()),
        ("AWS_REGION", access.region.clone()),
        ("AWS_DEFAULT_REGION", access.region.clone()),
        ("AGENT_BUCKET", access.bucket.clone()),
        ("AGENT_DATA_SET", source.data_set.clone()),
        ("AGENT_BYTES", source.bytes.to_string()),
        ("AGENT_RECORDS", source.records.to_string()),
        ("AGENT_REQUEST_BYTES", request_bytes.to_string()),
    ];
    match Extent::of(&source.object_key) {
        Extent::Object(key) => variables.push(("AGENT_KEY", key)),
        Extent::Set(keys) => {
            variables.extend([("AGENT_PREFIX", keys.prefix()), ("AGENT_MANIFEST", keys.manifest())]);
        }
    }
    variables.extend(access.session_token.iter().map(|token| ("AWS_SESSION_TOKEN", token.clone())));
    variables.extend(access.ca.iter().map(|ca| ("AWS_CA_BUNDLE", ca.display().to_string())));
    variables.extend(direct::no_proxy(&access.endpoint).into_iter().flatten());
    variables
}
