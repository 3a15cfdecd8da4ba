//! What a program is told about its data: the variables that every S3 client reads, and `AGENT_*` for what they have no name for.

use super::direct;
use crate::jobs::DataSource;
use agent_core::domain::manifest::Extent;
use std::num::NonZeroU64;

/// Variables of the agent that a program must not see: what its own environment says about other stores must not mix with
/// these credentials, the shared table is not the job's, and a program that expects one object must not take a manifest for it.
pub(super) const NOT_INHERITED: [&str; 12] = [
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
    "AGENT_DATA_SETS",
];

/// Where the data is and how it is read, by variable: of several data sets the first by variables of its own, as if it were the
/// only one, and all of them as JSON.
pub(in crate::jobs) fn of(sources: &[DataSource], request_bytes: NonZeroU64) -> Vec<(&'static str, String)> {
    let mut variables = sources.first().map(|first| of_one(first, request_bytes)).unwrap_or_default();
    let endpoints = sources.iter().map(|source| source.access.endpoint.as_str());
    variables.extend(direct::no_proxy(endpoints).into_iter().flatten());
    if sources.len() > 1 {
        let all: Vec<serde_json::Value> = sources.iter().map(described).collect();
        variables.push(("AGENT_DATA_SETS", serde_json::Value::Array(all).to_string()));
    }
    variables
}

/// One of several: each may lie in another store, behind another link.
fn described(source: &DataSource) -> serde_json::Value {
    let access = &source.access;
    let mut described = serde_json::json!({
        "data_set": source.data_set,
        "endpoint": access.endpoint,
        "region": access.region,
        "bucket": access.bucket,
        "access_key_id": access.access_key_id,
        "secret_access_key": access.secret_access_key,
        "session_token": access.session_token,
        "ca": access.ca,
        "bytes": source.bytes,
        "records": source.records,
    });
    for (name, _, key) in keys(source) {
        described[name] = key.into();
    }
    described
}

/// The key of the one object, or what all objects have in common and what names them: as JSON and as variables call it.
fn keys(source: &DataSource) -> Vec<(&'static str, &'static str, String)> {
    match Extent::of(&source.object_key) {
        Extent::Object(key) => vec![("key", "AGENT_KEY", key)],
        Extent::Set(keys) => {
            vec![("prefix", "AGENT_PREFIX", keys.prefix()), ("manifest", "AGENT_MANIFEST", keys.manifest())]
        }
    }
}

fn of_one(source: &DataSource, request_bytes: NonZeroU64) -> Vec<(&'static str, String)> {
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
    variables.extend(keys(source).into_iter().map(|(_, variable, key)| (variable, key)));
    variables.extend(access.session_token.iter().map(|token| ("AWS_SESSION_TOKEN", token.clone())));
    variables.extend(access.ca.iter().map(|ca| ("AWS_CA_BUNDLE", ca.display().to_string())));
    variables
}
