//! Wiring: settings to technologies to actors, and what each command does. The only layer that names concrete technologies.

pub mod access;
pub mod applications;
pub mod batch;
pub mod calibrate;
pub mod catalogue;
pub mod change;
pub mod compare;
pub mod costs;
pub mod data;
pub mod data_directory;
pub mod data_set;
pub mod data_sets;
pub mod database;
pub mod demo;
pub mod endpoint;
pub mod environment;
pub mod experiment;
pub mod explore;
pub mod from_table;
mod hand_over;
pub mod hosting;
pub mod init;
pub mod interactive;
pub mod invocation;
pub mod live;
pub mod live_agent;
pub mod load;
pub mod members;
pub mod nodes;
mod open_files;
pub mod orphans;
pub mod output;
pub mod pace;
pub mod plan;
pub mod reach;
pub mod real_runs;
pub mod report;
pub mod run;
pub mod shell;
pub mod simulate;
pub mod status;
pub mod stores;
pub mod summary;
pub mod surroundings;
pub mod switchboard;
pub mod training;
pub mod training_file;
pub mod unmanned_store;
pub mod vocabulary;
pub mod warnings;
pub mod why_not;
mod worker;

use crate::http_server::HttpServer;
use crate::knowledge::sqlite::SqliteKnowledge;
use crate::knowledge::{Knowledge, SharedTable};
use agent_batch::table::BatchTable;
use agent_core::clock::{Clock, FollowingClock, TimeScale};
use agent_core::config::settings::{KnowledgeSettings, NetworkSettings};
use agent_load::table::LoadTable;
use anyhow::bail;
use data_directory::DataDirectory;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use surroundings::Surroundings;
use tokio::runtime::Handle;

/// What is served beside the agents of a process, from when their table is open until they have stopped.
pub type Beside = Box<dyn FnOnce(Surroundings) -> anyhow::Result<HttpServer> + Send>;

/// Begins to serve all of it.
fn serve(beside: Vec<Beside>, surroundings: &Surroundings) -> anyhow::Result<Vec<HttpServer>> {
    beside.into_iter().map(|beside| beside(surroundings.clone())).collect()
}

/// A failure whose exit code is not 1.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Configuration or arguments: exit code 2.
    #[error("{0}")]
    Configuration(String),
    /// What an agent runs on was deleted under it: exit code 5.
    #[error(
        "{}: the data directory was removed while this process used it; it has stopped, and what was there is lost to it",
        .0.display()
    )]
    DirectoryRemoved(PathBuf),
}

/// The clock of a network: the shared table's, where that has one.
pub fn clock(network: &NetworkSettings) -> Arc<dyn Clock> {
    Arc::new(FollowingClock::new(network.time_scale))
}

/// Opens the shared table of a network. `services` carries the connections to a server.
pub async fn knowledge(
    network: &NetworkSettings,
    data: &DataDirectory,
    clock: &Arc<dyn Clock>,
    services: &Handle,
) -> anyhow::Result<SharedTable> {
    match &network.knowledge {
        KnowledgeSettings::Sqlite(file) => {
            Ok(SharedTable::new(SqliteKnowledge::open(&data.path().join(file), clock.clone())?))
        }
        KnowledgeSettings::Mysql(url) => database::open(url, clock, services).await,
    }
}

/// Where the stores of a network that runs or ran keep their data on this machine. With the table in a server nothing there
/// tells which network ran last.
pub fn existing_directory(network: &NetworkSettings, named: Option<&Path>) -> anyhow::Result<DataDirectory> {
    match (&network.knowledge, named) {
        (KnowledgeSettings::Mysql(_), None) => DataDirectory::create(Path::new(data_directory::DEFAULT_RUN)),
        (KnowledgeSettings::Mysql(_) | KnowledgeSettings::Sqlite(_), named) => DataDirectory::existing(named),
    }
}

/// What a command does with the shared table of a network that runs or ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Nothing is written, migrated or made, and no right to is needed.
    Look,
    Change,
}

/// The shared table of a network that runs or ran.
pub struct Existing {
    pub knowledge: Arc<dyn Knowledge>,
    pub batch: Arc<dyn BatchTable>,
    pub load: Arc<dyn LoadTable>,
    pub clock: Arc<dyn Clock>,
    /// At which its agents run: the configuration's, unless its directory says otherwise.
    pub scale: TimeScale,
    /// The table's address, or the directory that it lies in.
    pub place: String,
}

/// Opens the shared table of a network that runs or ran; it is not made when it is missing.
pub async fn existing_knowledge(
    network: &NetworkSettings,
    data: Option<&Path>,
    purpose: Purpose,
    services: &Handle,
) -> anyhow::Result<Existing> {
    match &network.knowledge {
        KnowledgeSettings::Mysql(url) => {
            let (scale, clock) = (network.time_scale, clock(network));
            let SharedTable { knowledge, batch, load } = database::open(url, &clock, services).await?;
            Ok(Existing { knowledge, batch, load, clock, scale, place: url.to_string() })
        }
        KnowledgeSettings::Sqlite(file) => {
            let data = DataDirectory::existing(data)?;
            let path = data.path().join(file);
            if !path.is_file() {
                bail!(
                    "{}: there is no such database; start `agent demo` or `agent run` first, or name its directory with --data",
                    path.display()
                );
            }
            let scale = data.time_scale().unwrap_or(network.time_scale);
            let clock: Arc<dyn Clock> = Arc::new(FollowingClock::new(scale));
            let knowledge = match purpose {
                Purpose::Look => SqliteKnowledge::open_to_read(&path, clock.clone())?,
                Purpose::Change => SqliteKnowledge::open(&path, clock.clone())?,
            };
            let SharedTable { knowledge, batch, load } = SharedTable::new(knowledge);
            Ok(Existing { knowledge, batch, load, clock, scale, place: data.path().display().to_string() })
        }
    }
}
