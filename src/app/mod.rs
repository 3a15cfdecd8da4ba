//! Wiring: settings to technologies to actors, and what each command does. The only layer that names concrete technologies.

pub mod access;
pub mod applications;
pub mod calibrate;
pub mod change;
pub mod compare;
pub mod data;
pub mod data_directory;
pub mod data_set;
pub mod database;
pub mod demo;
pub mod experiment;
pub mod hosting;
pub mod live_agent;
pub mod nodes;
pub mod orphans;
pub mod reach;
pub mod real_runs;
pub mod report;
pub mod run;
pub mod serve;
pub mod simulate;
pub mod status;
pub mod stores;
pub mod summary;
pub mod surroundings;
pub mod training;
pub mod training_file;

use crate::clock::{Clock, FollowingClock};
use crate::config::settings::{KnowledgeSettings, NetworkSettings};
use crate::knowledge::Knowledge;
use crate::knowledge::sqlite::SqliteKnowledge;
use anyhow::bail;
use data_directory::DataDirectory;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A failure whose exit code is not 1.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Configuration or arguments: exit code 2.
    #[error("{0}")]
    Configuration(String),
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
) -> anyhow::Result<Arc<dyn Knowledge>> {
    match &network.knowledge {
        KnowledgeSettings::Sqlite(file) => Ok(Arc::new(SqliteKnowledge::open(&data.path().join(file), clock.clone())?)),
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

/// Opens the shared table of a network that runs or ran; it is not made when it is missing. Its address comes with it.
pub async fn existing_knowledge(
    network: &NetworkSettings,
    data: Option<&Path>,
    clock: &Arc<dyn Clock>,
    services: &Handle,
) -> anyhow::Result<(Arc<dyn Knowledge>, String)> {
    match &network.knowledge {
        KnowledgeSettings::Mysql(url) => Ok((database::open(url, clock, services).await?, url.to_string())),
        KnowledgeSettings::Sqlite(file) => {
            let data = DataDirectory::existing(data)?;
            let path = data.path().join(file);
            if !path.is_file() {
                bail!(
                    "{}: there is no such database; start `agent demo` or `agent run` first, or name its directory with --data",
                    path.display()
                );
            }
            Ok((knowledge(network, &data, clock, services).await?, data.path().display().to_string()))
        }
    }
}
