//! `agent run`: one agent in this process.

use super::train::{TrainOptions, Trained, train};
use crate::actors::Notice;
use crate::app::data_directory::{DEFAULT_RUN, DataDirectory};
use crate::app::run::RunOptions;
use crate::app::{self, warnings};
use crate::cli::arguments::Run;
use crate::cli::place::{Place, advertising, hosting, no_such_agent, services, warn};
use crate::cli::training::TRAINING;
use crate::cli::{display, external, signals};
use crate::storage::embedded::Durability;
use agent_core::config::settings::{Share, WorkerSettings};
use anyhow::bail;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Place {
    pub(super) fn run(&self, run: Run) -> anyhow::Result<ExitCode> {
        let mut settings = self.settings()?;
        match settings.agents.get_mut(&run.id) {
            Some(agent) if run.worker => _ = agent.worker.get_or_insert(WorkerSettings::of_machine(Share::WHOLE)),
            Some(_) => {}
            None => return Err(no_such_agent(run.id, &settings).into()),
        }
        let settings = Arc::new(settings);
        let data = DataDirectory::create(self.data.as_deref().unwrap_or(Path::new(DEFAULT_RUN)))?;
        let services = services()?;
        let own = hosting(Durability::PowerLoss, run.create_bucket);
        let directory = run.training.as_deref();
        let training = match self.training(&settings, directory, run.id, &self.train_again(directory, run.id))? {
            Some(file) => file,
            None if run.train => {
                let options = TrainOptions { hosting: own.clone(), ..TrainOptions::default() };
                let Trained { mut files, .. } = train(&services, settings.clone(), data.clone(), &[run.id], options)?;
                let Some(file) = files.pop() else {
                    display::note("stopped before the agent was trained");
                    return Ok(ExitCode::from(signals::INTERRUPTED));
                };
                file.write(directory.unwrap_or(Path::new(TRAINING)))?;
                file
            }
            None => bail!(self.untrained(directory, &[run.id])),
        };
        warn(&warnings::beforehand(&settings, &BTreeMap::from([(run.id, training.clone())])));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let own_settings = BTreeMap::from([(run.id, settings.agents[&run.id].clone())]);
        let policy = match run.upisas {
            Some(_) => external::policy(run.policy.as_deref(), &own_settings)?,
            None => run.policy,
        };
        let api = run.listen.map(|listen| {
            let tell = |url: &str| display::note(&format!("# the page and the API: {url}"));
            self.api(vec![run.id], run.api.options(listen), tell)
        });
        let options = RunOptions {
            id: run.id,
            policy,
            seed: run.seed.unwrap_or(u64::from(now)),
            training,
            hosting: advertising(own),
            beside: api.into_iter().chain(run.upisas.map(external::beside)).collect(),
        };
        let log = self.log;
        let notify = Arc::new(move |notice: Notice| display::line(log, &notice));
        let outcome = actix::System::new().block_on(app::run::run(
            settings,
            data,
            options,
            services.handle().clone(),
            notify,
            display::stop(),
        ));
        services.shutdown_timeout(Duration::from_secs(1));
        outcome.map(|()| ExitCode::SUCCESS)
    }
}
