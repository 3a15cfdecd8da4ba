//! `agent run`: one agent in this process, until it is told to stop.

use super::data_directory::DataDirectory;
use super::hosting::Hosting;
use super::live_agent::LiveAgent;
use super::surroundings::{Surroundings, start_emulator};
use super::training_file::TrainingFile;
use super::{Beside, Failure, clock, knowledge, serve, warnings};
use crate::actors::{Notice, Over};
use crate::http_server::HttpServer;
use agent_core::config::settings::Settings;
use agent_core::domain::ids::AgentId;
use agent_emulator::Emulator;
use anyhow::bail;
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::runtime::Handle;

pub struct RunOptions {
    pub id: AgentId,
    pub policy: Option<String>,
    pub seed: u64,
    pub training: TrainingFile,
    pub hosting: Hosting,
    /// What is served beside it.
    pub beside: Vec<Beside>,
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
    let notify = warnings::watching(settings.clone(), &BTreeMap::from([(id, options.training.clone())]), notify);
    let surroundings = surroundings(settings, data, address, services, options.hosting, notify).await?;
    let surroundings = Surroundings { connections: emulator.as_ref().map(Emulator::connections), ..surroundings };
    let served = serve(options.beside, &surroundings)?;
    let (data, table) = (surroundings.data.clone(), surroundings.table_file());
    let removed = data.removed(table.as_deref());
    tokio::pin!(stop, removed);
    let started = tokio::select! {
        started = LiveAgent::start(&surroundings, options.id, options.policy.as_deref(), &options.training, options.seed) => {
            Some(started?)
        }
        () = &mut stop => None,
        () = &mut removed => return Err(Failure::DirectoryRemoved(data.path().to_owned()).into()),
    };
    let mut ended = Ended::Told;
    if let Some(agent) = started {
        tokio::select! {
            () = stop => {}
            over = agent.until_over() => ended = Ended::Over(over),
            () = removed => ended = Ended::DirectoryRemoved,
        }
        match ended {
            // There is nothing left to sign off from, and what fails now has been said.
            Ended::DirectoryRemoved => {}
            Ended::Told | Ended::Over(_) => agent.stop().await,
        }
    }
    join_all(served.into_iter().map(HttpServer::shutdown)).await;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    match ended {
        Ended::Told => Ok(()),
        Ended::Over(over) => bail!(why_over(id, over)),
        Ended::DirectoryRemoved => Err(Failure::DirectoryRemoved(data.path().to_owned()).into()),
    }
}

/// For people: why an agent was stopped that nobody had told to.
pub(super) fn why_over(agent: AgentId, over: Over) -> String {
    match over {
        Over::Displaced => format!(
            "another process is agent {agent} now, or the agent was removed from the table; this one has stopped"
        ),
        Over::Deaf => format!(
            "agent {agent} has stopped: one of its parts does not listen any more, which is a fault in this program; \
             its next start undoes what it had begun"
        ),
    }
}

/// Why an agent ends.
enum Ended {
    Told,
    Over(Over),
    DirectoryRemoved,
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
    data.note_time_scale(settings.network.time_scale)?;
    let surroundings = Surroundings::new(settings, data, clock, knowledge, services, hosting, notify);
    Ok(Surroundings { emulator, ..surroundings })
}
