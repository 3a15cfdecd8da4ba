//! `agent run`: one agent in this process, until it is told to stop.

use super::data_directory::DataDirectory;
use super::hosting::Hosting;
use super::live_agent::LiveAgent;
use super::surroundings::{Surroundings, start_emulator};
use super::training_file::TrainingFile;
use super::{clock, knowledge};
use crate::actors::Notice;
use crate::config::settings::Settings;
use crate::domain::ids::AgentId;
use anyhow::bail;
use std::sync::Arc;
use tokio::runtime::Handle;

pub struct RunOptions {
    pub id: AgentId,
    pub policy: Option<String>,
    pub seed: u64,
    pub training: TrainingFile,
    pub hosting: Hosting,
}

/// Runs the agent until `stop` completes; then ends it in order.
pub async fn run(
    settings: Arc<Settings>,
    data: DataDirectory,
    options: RunOptions,
    services: Handle,
    notify: Arc<dyn Fn(Notice) + Send + Sync>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let id = options.id;
    let (address, emulator) = start_emulator(&settings.network.emulator, &services).await?;
    let surroundings = surroundings(settings, data, address, services, options.hosting, notify).await?;
    tokio::pin!(stop);
    let started = tokio::select! {
        started = LiveAgent::start(&surroundings, options.id, options.policy.as_deref(), &options.training, options.seed) => {
            Some(started?)
        }
        () = &mut stop => None,
    };
    let mut displaced = false;
    if let Some(agent) = started {
        tokio::select! {
            () = stop => {}
            () = agent.displaced() => displaced = true,
        }
        agent.stop().await;
    }
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    if displaced {
        bail!("another process is agent {id} now, or the agent was removed from the table; this one has stopped");
    }
    Ok(())
}

/// What agents of one process share.
pub async fn surroundings(
    settings: Arc<Settings>,
    data: DataDirectory,
    emulator: Option<String>,
    services: Handle,
    hosting: Hosting,
    notify: Arc<dyn Fn(Notice) + Send + Sync>,
) -> anyhow::Result<Surroundings> {
    let clock = clock(&settings.network);
    let knowledge = knowledge(&settings.network, &data, &clock, &services).await?;
    Ok(Surroundings { settings, data, clock, knowledge, emulator, services, hosting, notify, observer: None })
}
