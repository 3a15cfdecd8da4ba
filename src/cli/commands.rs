//! From arguments to what `app` does, and its result to the screen.

use super::arguments::{Arguments, Command, Data, Db, Demo, Keep, Log, Proxy, Run, Set, Train};
use super::training::TRAINING;
use super::{calibrate, display, experiment, manual, print, signals};
use crate::actors::Notice;
use crate::app::data_directory::{DATABASE, DEFAULT_DEMO, DEFAULT_RUN, DataDirectory};
use crate::app::demo::DemoOptions;
use crate::app::hosting::Hosting;
use crate::app::invocation::Invocation;
use crate::app::run::RunOptions;
use crate::app::surroundings::start_emulator;
use crate::app::training::Trainer;
use crate::app::training_file::TrainingFile;
use crate::app::{self, Existing, Failure, Purpose, change, database, warnings};
use crate::data::blood_tests::BloodTests;
use crate::jobs::command::keeper;
use crate::jobs::expression::Expression;
use crate::knowledge::Knowledge;
use crate::storage::embedded::Durability;
use agent_core::config::settings::{KnowledgeSettings, Settings};
use agent_core::config::{self, Invalid, Vocabulary, environment};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::text::{MESSAGE_MAX, legible};
use agent_core::mape::planner::POLICIES;
use agent_emulator::{Emulator, Metrics};
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// What a configuration may name.
pub(super) const VOCABULARY: Vocabulary = Vocabulary {
    policies: &POLICIES,
    expression: |text| match text.parse::<Expression>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Invalid::new(error.to_string(), error.help)),
    },
};

/// Not converged within the limit.
const NOT_CONVERGED: u8 = 3;

pub fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { config, data, log, command } = arguments;
    let place = Place { config, data, log };
    match command {
        Command::Demo(demo) => place.demo(&demo),
        Command::Simulate(arguments) => place.simulate(&arguments),
        Command::Experiment(arguments) => experiment::experiment(&arguments),
        Command::Calibrate(arguments) => place.calibrate(&arguments),
        Command::Compare(arguments) => calibrate::compare(&arguments),
        Command::Run(run) => place.run(run),
        Command::Train(train) => place.train(&train),
        Command::Status(arguments) => place.status(&arguments),
        Command::Events(arguments) => place.events(&arguments),
        Command::Explain(arguments) => place.explain(&arguments),
        Command::Report(arguments) => place.report(&arguments),
        Command::Set(set) => place.set(set),
        Command::AddNode(arguments) => place.add_node(&arguments),
        Command::RemoveNode(arguments) => place.remove_node(&arguments),
        Command::AddAgent(arguments) => place.add_agent(arguments),
        Command::Store(arguments) => place.store(&arguments),
        Command::Check(arguments) => place.check(&arguments),
        Command::Data(Data::Generate { records, output }) => generate(records, &output),
        Command::Data(Data::Accept(arguments)) => place.accept(&arguments),
        Command::Data(Data::Restore(arguments)) => place.restore(&arguments),
        Command::Fsck(arguments) => place.fsck(&arguments),
        Command::Act(arguments) => place.act(&arguments),
        Command::Db(db) => place.db(&db),
        Command::Proxy(proxy) => serve_proxy(&proxy),
        Command::Completion(arguments) => manual::completion(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
        Command::Keep(Keep { program, arguments }) => {
            keeper::keep(&program, &arguments)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Which network a command is about.
pub(super) struct Place {
    pub(super) config: Option<PathBuf>,
    pub(super) data: Option<PathBuf>,
    pub(super) log: Log,
}

impl Place {
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = config::load(self.configuration(), &VOCABULARY)?;
        if let Ok(written) = std::env::var(environment::AGENT_KNOWLEDGE) {
            settings.network.knowledge = knowledge(environment::AGENT_KNOWLEDGE, &written)?;
        }
        Ok(settings)
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

    fn demo(&self, demo: &Demo) -> anyhow::Result<ExitCode> {
        let mut settings = self.settings()?;
        if let Some(scale) = demo.scale {
            settings.network.time_scale = scale;
        }
        let known = if demo.train { BTreeMap::new() } else { self.demo_trainings(demo, &mut settings)? };
        let (data, _lock) = DataDirectory::for_demo(self.data.as_deref().unwrap_or(Path::new(DEFAULT_DEMO)))?;
        let services = services()?;
        let settings = Arc::new(settings);
        let training = match demo.train {
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
        let options = DemoOptions {
            seed: demo.seed,
            policy: demo.policy.clone(),
            limit: demo.limit,
            training,
            create_bucket: demo.create_bucket,
        };
        let screen = Arc::new(display::Screen::new(&settings, self.log, demo.json));
        let (notices, status) = (screen.clone(), screen.clone());
        let summary = actix::System::new().block_on(app::demo::run(
            settings,
            data,
            &options,
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
        Ok(if summary.converged { ExitCode::SUCCESS } else { ExitCode::from(NOT_CONVERGED) })
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
            ..TrainOptions::default()
        };
        let mut apart = settings.clone();
        apart.network.knowledge = KnowledgeSettings::Sqlite(PathBuf::from(DATABASE));
        let ids: Vec<AgentId> = settings.agents.keys().copied().collect();
        let place = DataDirectory::create(&data.path().join(TRAINING))?;
        let Trained { files, is_whole } = train(services, Arc::new(apart), place, &ids, options)?;
        Ok(is_whole.then_some(files))
    }

    fn run(&self, run: Run) -> anyhow::Result<ExitCode> {
        let settings = Arc::new(self.settings()?);
        if !settings.agents.contains_key(&run.id) {
            return Err(no_such_agent(run.id, &settings).into());
        }
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
        let options = RunOptions {
            id: run.id,
            policy: run.policy,
            seed: run.seed.unwrap_or(u64::from(now)),
            training,
            hosting: advertising(own),
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

    fn train(&self, arguments: &Train) -> anyhow::Result<ExitCode> {
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

    fn set(&self, set: Set) -> anyhow::Result<ExitCode> {
        self.changing(async |_, knowledge| {
            let (changed, json) = match set {
                Set::Availability { node, percent, json } => {
                    (change::availability(knowledge, node, percent).await?, json)
                }
                Set::Latency { from, to, latency, one_way, json } => {
                    (change::latency(knowledge, (from, to), latency, !one_way).await?, json)
                }
            };
            if json { print::json(&changed) } else { print::changed(&changed) }
        })
    }

    fn db(&self, db: &Db) -> anyhow::Result<ExitCode> {
        let network = self.settings()?.network;
        let (Db::Init(arguments) | Db::Migrate(arguments) | Db::Check(arguments)) = db;
        let table = match &arguments.url {
            Some(url) => knowledge("URL", url)?,
            None => network.knowledge.clone(),
        };
        let runtime = services()?;
        let prepared = match db {
            Db::Init(_) => runtime.block_on(database::init(&table))?,
            Db::Migrate(_) => runtime.block_on(database::migrate(&table))?,
            Db::Check(_) => {
                let report = runtime.block_on(database::check(&table, &app::clock(&network), runtime.handle()))?;
                if arguments.json {
                    print::json(&report)?
                } else {
                    print::database(&report)?
                }
                return Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        };
        if arguments.json {
            print::json(&prepared)?
        } else {
            print::prepared(&table, &prepared)?
        }
        Ok(ExitCode::SUCCESS)
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
        let settings = self.settings()?;
        let runtime = services()?;
        let opened = app::existing_knowledge(&settings.network, self.data.as_deref(), purpose, runtime.handle());
        let existing = runtime.block_on(opened)?;
        if self.data.is_none() {
            display::note(&format!("# {}", existing.place));
        }
        runtime.block_on(work(&settings, &existing))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A table's address that did not come from a file.
pub(super) fn knowledge(place: &str, written: &str) -> Result<KnowledgeSettings, Failure> {
    config::knowledge(written)
        .map_err(|Invalid { problem, help }| Failure::Configuration(format!("{place}: {problem}\n  help: {help}")))
}

fn no_such_agent(id: AgentId, settings: &Settings) -> Failure {
    let known: Vec<String> = settings.agents.keys().map(ToString::to_string).collect();
    Failure::Configuration(format!("--id {id}: there is no {id}.toml; agents are {}", known.join(", ")))
}

/// A training with the runs at a node that was added.
fn extend(known: &TrainingFile, later: TrainingFile, settings: &Settings) -> anyhow::Result<TrainingFile> {
    let agent = settings.agents.get(&later.agent).with_context(|| format!("there is no {}.toml", later.agent))?;
    known.clone().extended(later, &agent.rho, settings.network.learning.max_copies)
}

/// What is known to go wrong before anything is started.
fn warn(warnings: &[String]) {
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

struct TrainOptions {
    /// Runs of the job at each node.
    iterations: u32,
    seed: u64,
    /// Only this one.
    node: Option<NodeId>,
    hosting: Hosting,
    show: bool,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self { iterations: 5, seed: 1, node: None, hosting: hosting(Durability::PowerLoss, false), show: true }
    }
}

/// What a training came to.
struct Trained {
    /// Of the agents whose runs were all made, in order.
    files: Vec<TrainingFile>,
    /// Whether that is every agent: not after a signal.
    is_whole: bool,
}

/// Trains and tells how far it has come; cleans up also after Ctrl-C.
fn train(
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

fn generate(records: u64, output: &Path) -> anyhow::Result<ExitCode> {
    let file = app::output::create(output, "--output")?;
    let generated = BloodTests::new(records)
        .generate(std::io::BufWriter::with_capacity(1 << 20, file))
        .with_context(|| format!("{}: cannot be written", output.display()))?;
    let (bytes, sha256) = (generated.bytes, generated.sha256);
    print::beside(Some(output))
        .lines([format!("{}: {records} records, {bytes} bytes, SHA-256 {sha256}", output.display())])?;
    Ok(ExitCode::SUCCESS)
}

fn serve_proxy(proxy: &Proxy) -> anyhow::Result<ExitCode> {
    services()?.block_on(async {
        let metrics = if proxy.metrics { Metrics::On } else { Metrics::Off };
        let emulator = Emulator::start(proxy.listen, metrics).await?;
        print::lines([format!("toxiproxy's API on http://{}; Ctrl-C ends it", emulator.address())])?;
        signals::stop().await;
        emulator.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}
