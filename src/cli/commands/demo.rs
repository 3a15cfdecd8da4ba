//! `agent demo`: the network in one process.

use super::train::{TrainOptions, Trained, train};
use crate::actors::Notice;
use crate::app::data_directory::{DATABASE, DEFAULT_DEMO, DataDirectory};
use crate::app::demo::DemoOptions;
use crate::app::training_file::TrainingFile;
use crate::app::{self, warnings};
use crate::cli::api_arguments::anywhere;
use crate::cli::arguments::Demo;
use crate::cli::place::{Place, hosting, services, warn};
use crate::cli::training::TRAINING;
use crate::cli::{display, external, print, signals};
use crate::storage::embedded::Durability;
use agent_core::config::settings::{KnowledgeSettings, Settings, Share, WorkerSettings};
use agent_core::domain::ids::AgentId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Runs at each node before services are used: each has many requests.
const LIVE_ITERATIONS: u32 = 2;
/// Not converged within the limit.
const NOT_CONVERGED: u8 = 3;

impl Place {
    pub(super) fn demo(&self, demo: &Demo) -> anyhow::Result<ExitCode> {
        let mut settings = self.settings()?;
        if let Some(scale) = demo.scale {
            settings.network.time_scale = scale;
        }
        if demo.workers {
            let of = settings.agents.len();
            for (index, agent) in settings.agents.values_mut().enumerate() {
                _ = agent.worker.get_or_insert(WorkerSettings::of_machine(Share { index, of }));
            }
        }
        if demo.live {
            app::live::of_services(&mut settings)?;
        }
        let is_trained = demo.train || demo.live;
        let known = if is_trained { BTreeMap::new() } else { self.demo_trainings(demo, &mut settings)? };
        let (data, _lock) = DataDirectory::for_demo(self.data.as_deref().unwrap_or(Path::new(DEFAULT_DEMO)))?;
        let services = services()?;
        let settings = Arc::new(settings);
        let training = match is_trained {
            false => known,
            true => {
                let Some(files) = self.train_for_demo(demo, &services, &settings, &data)? else {
                    display::note("stopped before the agents were trained");
                    return Ok(ExitCode::from(signals::INTERRUPTED));
                };
                files.into_iter().map(|file| (file.agent, file)).collect()
            }
        };
        warn(&warnings::beforehand(&settings, &training));
        let policy = match demo.upisas {
            Some(_) => external::policy(demo.policy.as_deref(), &settings.agents)?,
            None => demo.policy.clone(),
        };
        let silent = demo.json;
        let tell = move |url: &str| {
            if !silent {
                display::note(&format!("# the page and the API: {url}"));
            }
        };
        let agents = settings.agents.keys().copied().collect();
        let options_of_api = demo.api.options(demo.listen.unwrap_or_else(anywhere));
        let api = (!demo.no_api).then(|| self.api(agents, options_of_api, tell));
        let options = DemoOptions {
            seed: demo.seed,
            policy,
            limit: demo.limit,
            training,
            create_bucket: demo.create_bucket,
            // Whoever decides from outside says when it is enough.
            stay: demo.stay || demo.upisas.is_some(),
            live: demo.live,
            beside: api.into_iter().chain(demo.upisas.map(external::beside)).collect(),
        };
        let screen = Arc::new(display::Screen::new(&settings, self.log, demo.json));
        let (notices, status) = (screen.clone(), screen.clone());
        let summary = actix::System::new().block_on(app::demo::run(
            settings,
            data,
            options,
            services.handle().clone(),
            Arc::new(move |notice: Notice| notices.notice(&notice)),
            |now, passed| status.status(now, passed),
            display::stop(),
        ));
        screen.finish();
        services.shutdown_timeout(Duration::from_secs(1));
        let Some(summary) = summary? else {
            if display::is_unread() {
                return Ok(ExitCode::SUCCESS);
            }
            display::note("stopped before the network had converged");
            return Ok(ExitCode::from(signals::INTERRUPTED));
        };
        if demo.json {
            print::json(&summary)?
        } else {
            print::summary(&summary)?
        }
        Ok(if summary.converged || demo.live { ExitCode::SUCCESS } else { ExitCode::from(NOT_CONVERGED) })
    }

    /// In a place of its own: the demo's table is still to be empty.
    fn train_for_demo(
        &self,
        demo: &Demo,
        services: &Runtime,
        settings: &Settings,
        data: &DataDirectory,
    ) -> anyhow::Result<Option<Vec<TrainingFile>>> {
        let options = TrainOptions {
            seed: demo.seed,
            hosting: hosting(Durability::Kill, demo.create_bucket),
            show: !demo.json,
            iterations: if demo.live { LIVE_ITERATIONS } else { TrainOptions::default().iterations },
            ..TrainOptions::default()
        };
        let mut apart = settings.clone();
        apart.network.knowledge = KnowledgeSettings::Sqlite(PathBuf::from(DATABASE));
        let ids: Vec<AgentId> = settings.agents.keys().copied().collect();
        let place = DataDirectory::create(&data.path().join(TRAINING))?;
        let Trained { files, is_whole } = train(services, Arc::new(apart), place, &ids, options)?;
        Ok(is_whole.then_some(files))
    }
}
