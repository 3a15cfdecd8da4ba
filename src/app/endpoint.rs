//! The S3 endpoint of one agent, made ready: what can be refused is refused before the agent is anything to others.

use super::data_directory::{DataDirectory, Lock};
use crate::actors::{Notice, World};
use crate::http_server::Listener;
use crate::s3_endpoint::S3Endpoint;
use crate::storage::credentials::Credentials;
use crate::storage::credentials::kept::{Form, Kept};
use agent_core::config::settings::{AgentSettings, EndpointSettings};
use anyhow::{Context as _, anyhow};
use std::path::PathBuf;
use std::sync::Arc;

/// One that listens and does not answer yet: who connects waits.
pub struct Endpoint {
    listener: Listener,
    credentials: Credentials,
    /// The file that they are in.
    path: PathBuf,
    /// Where what applications write arrives; absent: they only read.
    staging: Option<PathBuf>,
}

impl Endpoint {
    /// `None`: the agent has none. The agent's lock is held by who makes its credentials.
    pub fn prepare(settings: &AgentSettings, data: &DataDirectory, _lock: &Lock) -> anyhow::Result<Option<Self>> {
        let Some(EndpointSettings { listen, writes }) = settings.s3 else { return Ok(None) };
        let id = settings.id;
        let listener = Listener::bind(listen).map_err(|error| {
            anyhow!(
                "the S3 endpoint of agent {id}: cannot listen on {listen}: {error}; stop who does, or write another \
                 address into `[s3]` of {id}.toml"
            )
        })?;
        let kept = Kept { path: data.s3_credentials(id), form: Form::Profile };
        let credentials = kept.load_or_generate()?;
        let staging = writes.then(|| data.staging(id));
        Ok(Some(Self { listener, credentials, path: kept.path, staging }))
    }

    pub fn start(self, world: &Arc<World>) -> anyhow::Result<S3Endpoint> {
        let staging = self.staging.as_deref();
        let endpoint = S3Endpoint::start(world.clone(), self.listener, &self.credentials, staging)
            .context("the S3 endpoint does not start")?;
        world.notify(Notice::Serves {
            agent: world.agent,
            endpoint: format!("http://{}", endpoint.address()),
            buckets: world.data_sets.clone(),
            credentials: self.path.display().to_string(),
        });
        Ok(endpoint)
    }
}
