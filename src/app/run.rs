//! `agent run`: one agent in this process, until it is told to stop.

use super::data_directory::DataDirectory;
use super::hosting::Hosting;
use super::live_agent::LiveAgent;
use super::members::{self, Process};
use super::surroundings::{Surroundings, start_emulator};
use super::training_file::TrainingFile;
use super::{Beside, Failure, clock, knowledge, serve, warnings};
use crate::actors::{Notice, Over};
use crate::http_server::HttpServer;
use crate::knowledge::{KnowledgeError, SharedTable};
use agent_core::clock::Clock;
use agent_core::config::settings::{NetworkSettings, Settings};
use agent_core::domain::ids::AgentId;
use agent_emulator::Emulator;
use anyhow::{Context as _, bail};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// While the table is away it is looked for this often.
const TABLE_AGAIN_AFTER: Duration = Duration::from_secs(2);

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
    tokio::pin!(stop);
    let clock = clock(&settings.network);
    let agent = settings.agents.get(&id).with_context(|| format!("there is no agents/{id}.toml"))?;
    let (agent, lock) = (agent.clone(), data.lock_agent(id)?);
    let process =
        Process { network: &settings.network, data: &data, clock: &clock, services: &services, notify: &notify };
    let joins = !settings.network.membership.join.is_empty();
    let membership = if joins { members::begin(process, &agent).await } else { None };
    let told = |what: String| notify(Notice::Trouble { agent: id, what });
    let told = membership.is_some().then_some(&told as &dyn Fn(String));
    let opened = tokio::select! {
        opened = open_table(&settings.network, &data, &clock, &services, told) => Some(opened?),
        () = &mut stop => None,
    };
    let Some(table) = opened else { return Ok(()) };
    data.note_time_scale(settings.network.time_scale)?;
    let surroundings = Surroundings::new(settings, data, clock, table, services, options.hosting, notify);
    let connections = emulator.as_ref().map(Emulator::connections);
    let surroundings = Surroundings { emulator: address, connections, ..surroundings };
    let served = serve(options.beside, &surroundings)?;
    let (data, table) = (surroundings.data.clone(), surroundings.table_file());
    let removed = data.removed(table.as_deref());
    tokio::pin!(removed);
    let (policy, training) = (options.policy.as_deref(), &options.training);
    let started = tokio::select! {
        started = LiveAgent::start_member(&surroundings, &agent, membership, lock, policy, training, options.seed) => {
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

/// Opens the shared table. An agent that is a member already waits for a server that is away, which is told once.
async fn open_table(
    network: &NetworkSettings,
    data: &DataDirectory,
    clock: &Arc<dyn Clock>,
    services: &Handle,
    told: Option<&dyn Fn(String)>,
) -> anyhow::Result<SharedTable> {
    let mut is_told = false;
    loop {
        let error = match knowledge(network, data, clock, services).await {
            Ok(table) => return Ok(table),
            Err(error) => error,
        };
        let is_away = matches!(error.downcast_ref(), Some(KnowledgeError::NotExecuted { .. }));
        let Some(told) = told.filter(|_| is_away) else { return Err(error) };
        if !std::mem::replace(&mut is_told, true) {
            told(format!(
                "{error:#}; its node is a member of the network, and the agent begins when the table is there"
            ));
        }
        tokio::time::sleep(TABLE_AGAIN_AFTER).await;
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
    let table = knowledge(&settings.network, &data, &clock, &services).await?;
    data.note_time_scale(settings.network.time_scale)?;
    let surroundings = Surroundings::new(settings, data, clock, table, services, hosting, notify);
    Ok(Surroundings { emulator, ..surroundings })
}
