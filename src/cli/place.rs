//! Which network a command is about, and what commands on one need.

use super::arguments::Log;
use super::{display, signals};
use crate::actors::Notice;
use crate::app::hosting::Hosting;
use crate::app::invocation::Invocation;
use crate::app::surroundings::Surroundings;
use crate::app::vocabulary::VOCABULARY;
use crate::app::{self, Existing, Failure, Purpose};
use crate::knowledge::{Knowledge, SharedTable};
use crate::storage::embedded::Durability;
use agent_core::config::settings::{KnowledgeSettings, Settings};
use agent_core::config::{self, Invalid, Unwritten, environment};
use agent_core::domain::ids::AgentId;
use agent_core::domain::text::{MESSAGE_MAX, legible};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Exit code of a look at a network that is not well.
pub(super) const UNHEALTHY: u8 = 4;

/// Which network a command is about.
pub(super) struct Place {
    pub(super) config: Option<PathBuf>,
    pub(super) data: Option<PathBuf>,
    pub(super) log: Log,
}

impl Place {
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        self.settings_and_defaults().map(|(settings, _)| settings)
    }

    /// The same with what is not written in the configuration.
    pub(super) fn settings_and_defaults(&self) -> anyhow::Result<(Settings, Vec<Unwritten>)> {
        let (mut settings, mut unwritten) = config::load_all(self.configuration(), &VOCABULARY)?;
        if let Ok(written) = std::env::var(environment::AGENT_KNOWLEDGE) {
            settings.network.knowledge = knowledge(environment::AGENT_KNOWLEDGE, &written)?;
            unwritten.retain(|left_out| left_out.key != "knowledge");
        }
        Ok((settings, unwritten))
    }

    /// What commands are about this network.
    pub(super) fn invocation(&self) -> Invocation {
        Invocation { config: self.config.clone(), data: self.data.clone(), training: None }
    }

    /// The folder of the configuration; `None`: the built-in one.
    pub(super) fn configuration(&self) -> Option<&Path> {
        let here = Path::new("agents");
        self.config.as_deref().or_else(|| here.join("network.toml").is_file().then_some(here))
    }

    /// Changes something in the table of a network that runs or ran.
    pub(super) fn changing(
        &self,
        work: impl AsyncFnOnce(&Settings, &dyn Knowledge) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        self.with_knowledge(Purpose::Change, async |settings, existing| {
            work(settings, existing.knowledge.as_ref()).await
        })
    }

    /// Opens the table of a network that runs or ran, and says which on standard error.
    pub(super) fn with_knowledge(
        &self,
        purpose: Purpose,
        work: impl AsyncFnOnce(&Settings, &Existing) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let runtime = services()?;
        let (settings, existing) = self.open(purpose, &runtime)?;
        runtime.block_on(work(&settings, &existing))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The same, for whoever has a runtime of its own.
    pub(super) fn open(&self, purpose: Purpose, runtime: &Runtime) -> anyhow::Result<(Settings, Existing)> {
        let settings = self.settings()?;
        let opened = app::existing_knowledge(&settings.network, self.data.as_deref(), purpose, runtime.handle());
        let existing = runtime.block_on(opened)?;
        if self.data.is_none() {
            display::note(&format!("# {}", existing.place));
        }
        Ok((settings, existing))
    }

    /// What a command needs that touches the stores of a network that runs or ran.
    pub(super) fn existing_surroundings(
        &self,
        services: &Runtime,
        notify: Arc<dyn Fn(Notice) + Send + Sync>,
    ) -> anyhow::Result<Surroundings> {
        let settings = Arc::new(self.settings()?);
        let data = app::existing_directory(&settings.network, self.data.as_deref())?;
        if self.data.is_none() {
            display::note(&format!("# {}", data.path().display()));
        }
        let purpose = Purpose::Change;
        let opened = app::existing_knowledge(&settings.network, Some(data.path()), purpose, services.handle());
        let Existing { knowledge, batch, load, clock, .. } = services.block_on(opened)?;
        let (services, hosting) = (services.handle().clone(), hosting(Durability::PowerLoss, false));
        let table = SharedTable { knowledge, batch, load };
        Ok(Surroundings::new(settings, data, clock, table, services, hosting, notify))
    }

    /// Work on the stores of a network that runs or ran, told in lines as it happens unless one document is wanted. `None`: it was
    /// stopped; what was begun is undone when its lease has run out.
    pub(super) fn with_stores<T>(
        &self,
        quiet: bool,
        work: impl AsyncFnOnce(&Surroundings) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let (services, log) = (services()?, self.log);
        let tell = Arc::new(move |notice: Notice| match quiet {
            true => tracing::info!(%notice, "told"),
            false => display::line(log, &notice),
        });
        let surroundings = self.existing_surroundings(&services, tell)?;
        services.block_on(async {
            tokio::select! {
                done = work(&surroundings) => done.map(Some),
                () = signals::stop() => {
                    display::note("stopped");
                    Ok(None)
                }
            }
        })
    }
}

/// A table's address that did not come from a file.
pub(super) fn knowledge(place: &str, written: &str) -> Result<KnowledgeSettings, Failure> {
    config::knowledge(written)
        .map_err(|Invalid { problem, help }| Failure::Configuration(format!("{place}: {problem}\n  help: {help}")))
}

pub(super) fn no_such_agent(id: AgentId, settings: &Settings) -> Failure {
    let known: Vec<String> = settings.agents.keys().map(ToString::to_string).collect();
    Failure::Configuration(format!("--id {id}: there is no {id}.toml; agents are {}", known.join(", ")))
}

/// What is known to go wrong before anything is started.
pub(super) fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| display::note(&format!("# WARNING: {}", legible(warning, MESSAGE_MAX))));
}

/// The stores of a process in which several may run: none is the one that an address could be advertised for.
pub(super) fn hosting(durability: Durability, create_bucket: bool) -> Hosting {
    Hosting { durability, create_bucket, advertise: None }
}

/// The same where it is the store of one node that others are to reach.
pub(super) fn advertising(hosting: Hosting) -> Hosting {
    let advertise = std::env::var(environment::AGENT_STORE_ADVERTISE).ok().filter(|text| !text.is_empty());
    Hosting { advertise, ..hosting }
}

/// Threads for servers, transfers and jobs.
pub(super) fn services() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the threads cannot be started")
}
