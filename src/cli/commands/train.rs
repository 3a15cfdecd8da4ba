//! `agent train`: what actions do, measured beforehand; also for a demo or a run that asks for it.

use crate::actors::Notice;
use crate::app;
use crate::app::data_directory::{DEFAULT_RUN, DataDirectory};
use crate::app::hosting::Hosting;
use crate::app::surroundings::start_emulator;
use crate::app::training::Trainer;
use crate::app::training_file::TrainingFile;
use crate::cli::arguments::Train;
use crate::cli::place::{Place, hosting, no_such_agent, services};
use crate::cli::{display, print, signals};
use crate::storage::embedded::Durability;
use agent_core::config::settings::Settings;
use agent_core::domain::ids::{AgentId, NodeId};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

impl Place {
    pub(super) fn train(&self, arguments: &Train) -> anyhow::Result<ExitCode> {
        let settings = Arc::new(self.settings()?);
        let ids: Vec<AgentId> = match arguments.id {
            Some(id) if !settings.agents.contains_key(&id) => {
                return Err(no_such_agent(id, &settings).into());
            }
            Some(id) => vec![id],
            None => settings.agents.keys().copied().collect(),
        };
        let directory = self.train_into(arguments, &ids)?;
        let data = DataDirectory::create(self.data.as_deref().unwrap_or(Path::new(DEFAULT_RUN)))?;
        let services = services()?;
        let options = TrainOptions {
            iterations: arguments.iterations,
            seed: arguments.seed,
            node: arguments.node,
            hosting: hosting(Durability::PowerLoss, arguments.create_bucket),
            ..TrainOptions::default()
        };
        // What a node's runs are to join, before anything is measured.
        let known = match arguments.node {
            Some(_) => self.trainings(&settings, directory, &ids)?,
            None => BTreeMap::new(),
        };
        let Trained { files, is_whole } = train(&services, settings.clone(), data, &ids, options)?;
        services.shutdown_timeout(Duration::from_secs(1));
        let finished = files.len();
        for file in files {
            let file = match known.get(&file.agent) {
                Some(known) => extend(known, file, &settings)?,
                None => file,
            };
            print::lines([file.write(directory)?.display().to_string()])?;
        }
        if is_whole {
            return Ok(ExitCode::SUCCESS);
        }
        let kept = ids.iter().map(|id| format!("agent {id}"));
        display::note(&match finished {
            0 => "stopped; nothing was written".to_owned(),
            _ => {
                format!("stopped; written is what was finished: {}", kept.take(finished).collect::<Vec<_>>().join(", "))
            }
        });
        Ok(ExitCode::from(signals::INTERRUPTED))
    }
}

/// A training with the runs at a node that was added.
fn extend(known: &TrainingFile, later: TrainingFile, settings: &Settings) -> anyhow::Result<TrainingFile> {
    let agent = settings.agents.get(&later.agent).with_context(|| format!("there is no {}.toml", later.agent))?;
    known.clone().extended(later, &agent.rho, settings.network.learning.max_copies)
}

pub(super) struct TrainOptions {
    /// Runs of the job at each node.
    pub(super) iterations: u32,
    pub(super) seed: u64,
    /// Only this one.
    pub(super) node: Option<NodeId>,
    pub(super) hosting: Hosting,
    pub(super) show: bool,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self { iterations: 5, seed: 1, node: None, hosting: hosting(Durability::PowerLoss, false), show: true }
    }
}

/// What a training came to.
pub(super) struct Trained {
    /// Of the agents whose runs were all made, in order.
    pub(super) files: Vec<TrainingFile>,
    /// Whether that is every agent: not after a signal.
    pub(super) is_whole: bool,
}

/// Trains and tells how far it has come; cleans up also after Ctrl-C.
pub(super) fn train(
    services: &Runtime,
    settings: Arc<Settings>,
    data: DataDirectory,
    ids: &[AgentId],
    options: TrainOptions,
) -> anyhow::Result<Trained> {
    let handle = services.handle().clone();
    services.block_on(async move {
        let (address, emulator) = start_emulator(&settings.network.emulator, &handle).await?;
        let quiet = Arc::new(|notice: Notice| tracing::debug!(%notice, "while training"));
        let surroundings = app::run::surroundings(settings, data, address, handle, options.hosting, quiet).await?;
        let trainer = Trainer::prepare(&surroundings, options.node, options.seed, options.iterations).await?;
        let total = ids.len() as u64 * trainer.runs();
        let mut screen = display::Training::new(total, options.show);
        let mut files = Vec::new();
        let work = async {
            for &id in ids {
                let done = files.len() as u64 * trainer.runs();
                files.push(trainer.train(id, done, total, |progress| screen.show(progress)).await?);
            }
            anyhow::Ok(())
        };
        let ended = tokio::select! {
            ended = work => ended,
            () = signals::stop() => Ok(()),
        };
        screen.finish();
        let cleaned = trainer.clean_up(ids).await;
        if let Some(emulator) = emulator {
            emulator.shutdown().await;
        }
        ended?;
        cleaned?;
        Ok(Trained { is_whole: files.len() == ids.len(), files })
    })
}
