//! `agent demo`: the whole network in one process, until it has converged.

use super::catalogue::Catalogue;
use super::data_directory::DataDirectory;
use super::hosting::Hosting;
use super::live::Users;
use super::live_agent::LiveAgent;
use super::run::why_over;
use super::status::{self, JobCounter, NetworkStatus, Timing};
use super::summary::{self, RunFacts, Summary};
use super::surroundings::{Surroundings, start_emulator};
use super::training_file::TrainingFile;
use super::{Beside, Failure, serve, warnings};
use crate::actors::Notice;
use crate::actors::remove_object;
use crate::http_server::HttpServer;
use crate::storage::embedded::{Durability, EmbeddedStore};
use agent_core::config::settings::Settings;
use agent_core::domain::ids::AgentId;
use agent_core::domain::placement::ReplicaState;
use agent_core::domain::time::Timestamp;
use agent_emulator::Emulator;
use anyhow::bail;
use futures::future::join_all;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

pub struct DemoOptions {
    pub seed: u64,
    /// Instead of each agent's own.
    pub policy: Option<String>,
    /// Scenario time after which a run that has not converged ends.
    pub limit: Duration,
    pub training: BTreeMap<AgentId, TrainingFile>,
    /// Whether buckets that are not there are made.
    pub create_bucket: bool,
    /// Whether it goes on when it has converged, until it is stopped.
    pub stay: bool,
    /// Whether its applications are services whose users come: then it goes on until the limit.
    pub live: bool,
    /// What is served beside it.
    pub beside: Vec<Beside>,
}

/// How often the display is renewed and convergence looked for, on the wall.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Runs the network until it has converged, the limit has passed, or `stop` completes (then `None`).
pub async fn run(
    settings: Arc<Settings>,
    data: DataDirectory,
    mut options: DemoOptions,
    services: Handle,
    notify: Arc<dyn Fn(Notice) + Send + Sync>,
    mut show: impl FnMut(&NetworkStatus, Duration),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Option<Summary>> {
    let (address, emulator) = start_emulator(&settings.network.emulator, &services).await?;
    let hosting = Hosting { durability: Durability::Kill, create_bucket: options.create_bucket, advertise: None };
    let notify = warnings::watching(settings.clone(), &options.training, notify);
    let surroundings = super::run::surroundings(settings, data, address, services, hosting, notify).await?;
    let surroundings = Surroundings { connections: emulator.as_ref().map(Emulator::connections), ..surroundings };
    require_empty(&surroundings).await?;
    let served = serve(std::mem::take(&mut options.beside), &surroundings)?;
    let options = &options;
    let (began, began_scenario) = (Instant::now(), surroundings.clock.now());
    let (mut running, converged) = (Running::default(), Cell::new(false));
    let (directory, table) = (surroundings.data.clone(), surroundings.table_file());
    let ended = tokio::select! {
        ended = converge(&surroundings, options, began_scenario, &mut running, &converged, &mut show) => Some(ended),
        // Who let it stay sees what it came to.
        () = stop => (options.stay && converged.get()).then_some(Ok(true)),
        // Nothing there can be ended in order any more.
        () = directory.removed(table.as_deref()) => {
            return Err(Failure::DirectoryRemoved(directory.path().to_owned()).into());
        }
    };
    let (real, scenario) = (began.elapsed(), surroundings.clock.now().since(began_scenario));
    let Running { agents, mut stores } = running;
    stores.extend(join_all(agents.into_iter().map(LiveAgent::stop_but_store)).await.into_iter().flatten());
    join_all(served.into_iter().map(HttpServer::shutdown)).await;
    let cleaned = remove_leftovers(&surroundings).await;
    join_all(stores.into_iter().map(EmbeddedStore::shutdown)).await;
    if let Some(emulator) = emulator {
        emulator.shutdown().await;
    }
    let Some(converged) = ended.transpose()? else { return Ok(None) };
    cleaned?;
    let policies: Vec<String> = match &options.policy {
        Some(policy) => vec![policy.clone()],
        None => {
            let mut names: Vec<String> =
                surroundings.settings.agents.values().map(|agent| agent.policy.clone()).collect();
            names.dedup();
            names
        }
    };
    let facts = RunFacts {
        converged,
        seed: options.seed,
        policy: &policies.join(", "),
        scenario_seconds: scenario.as_secs_f64(),
        real_seconds: real.as_secs_f64(),
    };
    summary::load(surroundings.knowledge.as_ref(), facts).await.map(Some)
}

/// A directory was emptied; a table in a server may be somebody's.
async fn require_empty(surroundings: &Surroundings) -> anyhow::Result<()> {
    if surroundings.knowledge.nodes().await?.is_empty() {
        return Ok(());
    }
    let address = &surroundings.network().knowledge;
    bail!(
        "{address}: this table holds a network already; for a demo name a schema of its own, and make its tables with `agent db init`"
    )
}

/// What has been started so far, to be ended in order whatever happens.
#[derive(Default)]
struct Running {
    agents: Vec<LiveAgent>,
    /// Of nodes without an agent.
    stores: Vec<EmbeddedStore>,
}

/// Starts the agents, those of data sets' first nodes before the others, and watches. `true`: converged; `false`: not when the limit had
/// passed.
async fn converge(
    surroundings: &Surroundings,
    options: &DemoOptions,
    began: Timestamp,
    running: &mut Running,
    converged: &Cell<bool>,
    show: &mut impl FnMut(&NetworkStatus, Duration),
) -> anyhow::Result<bool> {
    let network = surroundings.network();
    let first_nodes = network.first_nodes();
    let brings_data = |id: &AgentId| first_nodes.contains(&surroundings.settings.agents[id].node);
    let (first, others): (Vec<AgentId>, Vec<AgentId>) =
        surroundings.settings.agents.keys().copied().partition(brings_data);
    // Nodes without an agent of their own have a store all the same.
    surroundings.register_network().await?;
    let homes: Vec<_> = surroundings.settings.agents.values().map(|agent| agent.node).collect();
    let unmanned: Vec<_> = network.nodes.keys().copied().filter(|node| !homes.contains(node)).collect();
    running.stores.extend(surroundings.start_stores(&unmanned).await?);
    surroundings.establish_on_unmanned_nodes(&homes).await?;
    let start =
        |id| LiveAgent::start(surroundings, id, options.policy.as_deref(), &options.training[&id], options.seed);
    // Together: each may read what another one brings.
    let mut failed = None;
    for started in join_all(first.into_iter().map(start)).await {
        match started {
            Ok(agent) => running.agents.push(agent),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    for id in others {
        running.agents.push(start(id).await?);
    }
    let _users = options.live.then(|| Users::wake(surroundings, &running.agents, options.seed)).transpose()?;
    let mut jobs = JobCounter::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let knowledge = surroundings.knowledge.as_ref();
        let timing = Timing { silence: network.silence(), scale: network.time_scale };
        let status = status::load(knowledge, &network.data_sets, timing, &mut jobs).await?;
        let passed = surroundings.clock.now().since(began);
        show(&status, passed);
        if let Some((agent, over)) = running.agents.iter().find_map(LiveAgent::over) {
            bail!(why_over(agent, over));
        }
        converged.set(status.converged() && status.agents().all(|agent| agent.alive));
        if options.stay {
            continue;
        }
        if converged.get() && !options.live {
            return Ok(true);
        }
        if passed >= options.limit {
            return Ok(converged.get());
        }
    }
}

/// Deletes what moves left behind: the agents have stopped, so nobody reads it any more.
async fn remove_leftovers(surroundings: &Surroundings) -> anyhow::Result<()> {
    let world = surroundings.operators_world()?;
    for snapshot in Catalogue::load(surroundings.knowledge.as_ref()).await?.snapshots {
        for replica in snapshot.placement.replicas.values().filter(|row| row.state == ReplicaState::Removing) {
            remove_object(&world, replica).await.map_err(anyhow::Error::msg)?;
        }
    }
    Ok(())
}
