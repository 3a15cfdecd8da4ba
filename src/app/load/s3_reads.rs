//! Objects that a load reads by S3, as an application would from its agent's endpoint: their requests are signed before anything is sent,
//! so that signing takes no time of any of them.

use crate::app::Failure;
use crate::storage::credentials::{Credentials, Variables, profile};
use crate::storage::s3;
use agent_load::generator::Template;
use agent_load::specification::{Reads, Request, S3Object, Specification};
use std::sync::Arc;

/// What each client of a load sends.
///
/// # Errors
/// An object is to be read, and there are no credentials.
pub async fn templates(specification: &Specification) -> anyhow::Result<Vec<Arc<Template>>> {
    let mut known = None;
    let mut templates = Vec::with_capacity(specification.clients.len());
    for Request { reads, headers, template, .. } in specification.clients.iter().map(|client| &client.request) {
        let template = match reads {
            // Of a replica, what is sent depends on where it goes.
            None | Some(Reads::Replica(_)) => template.clone(),
            Some(Reads::Object(object)) => {
                let credentials = match known.take() {
                    Some(credentials) => credentials,
                    None => credentials().await?,
                };
                let signed = signed(object, headers, &credentials).await?;
                known = Some(credentials);
                signed
            }
        };
        templates.push(Arc::new(template));
    }
    Ok(templates)
}

async fn signed(
    S3Object { bucket, key }: &S3Object,
    headers: &[(String, String)],
    credentials: &Credentials,
) -> anyhow::Result<Template> {
    let path = s3::signed_path(credentials, bucket, key).await?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(Template::new("GET", &path, headers.chain([("Host", s3::SIGNED_HOST)]), "")?)
}

/// As S3 clients find them.
async fn credentials() -> anyhow::Result<Credentials> {
    if let Some(found) = Credentials::from_variables(Variables::AWS, |name| std::env::var(name).ok())? {
        return Ok(found);
    }
    let none = || {
        Failure::Configuration(
            "an object is read by S3, and there are no credentials\n  help: name the file that the agent wrote: \
             `export AWS_SHARED_CREDENTIALS_FILE=agent-data/run/agent-1.s3-credentials`; docs/endpoint.md"
                .to_owned(),
        )
    };
    Ok(profile::of_environment().await?.ok_or_else(none)?)
}
