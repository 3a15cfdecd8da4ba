//! From arguments to what `app` does, and its result to the screen.

use super::arguments::{
    Arguments, Check, Command, Data, Db, Demo, Events, Explain, Json, Keep, Log, Proxy, Run, Set, Train,
};
use super::{calibrate, display, experiment, print, signals, simulate};
use crate::actors::Notice;
use crate::app::access::{self, Access};
use crate::app::data_directory::{DEFAULT_DEMO, DEFAULT_RUN, DataDirectory};
use crate::app::demo::DemoOptions;
use crate::app::hosting::Hosting;
use crate::app::run::RunOptions;
use crate::app::stores::CheckedStore;
use crate::app::surroundings::start_emulator;
use crate::app::training::Trainer;
use crate::app::training_file::TrainingFile;
use crate::app::{self, Failure, change, database, status, stores, summary};
use crate::clock::TimeScale;
use crate::config::settings::{KnowledgeSettings, Settings};
use crate::config::{self, Invalid, Vocabulary, environment};
use crate::data::blood_tests::BloodTests;
use crate::domain::event::Event;
use crate::domain::feedback::Feedback;
use crate::domain::ids::{AgentId, EventId, NodeId};
use crate::jobs::command::keeper;
use crate::jobs::expression::Expression;
use crate::knowledge::Knowledge;
use crate::links::emulator::{Emulator, Metrics};
use crate::mape::planner::{Decision, POLICIES};
use crate::storage::embedded::Durability;
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::io::Write as _;
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
        Command::Simulate(arguments) => simulate::simulate(&arguments),
        Command::Experiment(arguments) => experiment::experiment(&arguments),
        Command::Calibrate(arguments) => place.calibrate(&arguments),
        Command::Compare(arguments) => calibrate::compare(&arguments),
        Command::Run(run) => place.run(run),
        Command::Train(train) => place.train(&train),
        Command::Status(Json { json }) => place.status(json),
        Command::Events(events) => place.events(&events),
        Command::Explain(Explain { event, trace: Some(trace), json }) => simulate::explain(&trace, event, json),
        Command::Explain(explain) => place.explain(&explain),
        Command::Report(arguments) => place.report(&arguments),
        Command::Set(set) => place.set(set),
        Command::AddNode(arguments) => place.add_node(&arguments),
        Command::RemoveNode(arguments) => place.remove_node(&arguments),
        Command::AddAgent(arguments) => place.add_agent(arguments),
        Command::Store(arguments) => place.store(&arguments),
        Command::Check(check) => place.check(&check),
        Command::Data(Data::Generate { records, output }) => generate(records, &output),
        Command::Data(Data::Accept(arguments)) => place.accept(&arguments),
        Command::Data(Data::Restore(arguments)) => place.restore(&arguments),
        Command::Fsck(arguments) => place.fsck(&arguments),
        Command::Act(arguments) => place.act(&arguments),
        Command::Db(db) => place.db(&db),
        Command::Proxy(proxy) => serve_proxy(&proxy),
        Command::Keep(Keep { program, arguments }) => {
            keeper::keep(&program, &arguments)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Which network a command is about.
pub(super) struct Place {
    config: Option<PathBuf>,
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

    /// The folder of the configuration; `None`: the built-in one.
    pub(super) fn configuration(&self) -> Option<&Path> {
        let here = Path::new("agents");
        self.config.as_deref().or_else(|| here.join("network.toml").is_file().then_some(here))
    }

    /// The training of an agent: its file, else the built-in one when the configuration is the built-in one.
    pub(super) fn training(
        &self,
        settings: &Settings,
        directory: Option<&Path>,
        id: AgentId,
    ) -> anyhow::Result<Option<TrainingFile>> {
        let directory = directory.unwrap_or(Path::new("training"));
        if let Some(file) = TrainingFile::read(directory, id)? {
            return Ok(Some(file));
        }
        let defaults = config::load(None, &VOCABULARY)?;
        let is_default =
            settings.agents.get(&id) == defaults.agents.get(&id) && settings.network.links == defaults.network.links;
        if is_default { TrainingFile::embedded(id) } else { Ok(None) }
    }

    /// The training of each of these agents; an error when one has none.
    fn trainings(
        &self,
        settings: &Settings,
        directory: &Path,
        ids: &[AgentId],
    ) -> anyhow::Result<BTreeMap<AgentId, TrainingFile>> {
        let mut all = BTreeMap::new();
        for &id in ids {
            let known = self.training(settings, Some(directory), id)?;
            all.insert(id, known.with_context(|| untrained_message(&[id]))?);
        }
        Ok(all)
    }

    fn demo(&self, demo: &Demo) -> anyhow::Result<ExitCode> {
        let mut settings = self.settings()?;
        if let Some(scale) = demo.scale {
            let known = TimeScale::new(scale);
            settings.network.time_scale = known
                .ok_or_else(|| Failure::Configuration(format!("--scale {scale}: a scale lies between 1 and 1000")))?;
        }
        let (data, _lock) = DataDirectory::for_demo(self.data.as_deref().unwrap_or(Path::new(DEFAULT_DEMO)))?;
        let services = services()?;
        let ids: Vec<AgentId> = settings.agents.keys().copied().collect();
        let settings = Arc::new(settings);
        let mut training = BTreeMap::new();
        for &id in &ids {
            let file = if demo.train { None } else { self.training(&settings, demo.training.as_deref(), id)? };
            training.extend(file.map(|file| (id, file)));
        }
        let untrained: Vec<AgentId> = ids.into_iter().filter(|id| !training.contains_key(id)).collect();
        if !demo.train && !untrained.is_empty() {
            bail!(untrained_message(&untrained));
        }
        if demo.train {
            let options = TrainOptions {
                seed: demo.seed,
                hosting: hosting(Durability::Kill, demo.create_bucket),
                show: !demo.json,
                ..TrainOptions::default()
            };
            let Trained { files, is_whole } = train(&services, settings.clone(), data.clone(), &untrained, options)?;
            if !is_whole {
                display::note("stopped before the agents were trained");
                return Ok(ExitCode::from(signals::INTERRUPTED));
            }
            training = files.into_iter().map(|file| (file.agent, file)).collect();
        }
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

    fn run(&self, run: Run) -> anyhow::Result<ExitCode> {
        let settings = Arc::new(self.settings()?);
        if !settings.agents.contains_key(&run.id) {
            return Err(no_such_agent(run.id, &settings).into());
        }
        let data = DataDirectory::create(self.data.as_deref().unwrap_or(Path::new(DEFAULT_RUN)))?;
        let services = services()?;
        let own = hosting(Durability::PowerLoss, run.create_bucket);
        let training = match self.training(&settings, run.training.as_deref(), run.id)? {
            Some(file) => file,
            None if run.train => {
                let options = TrainOptions { hosting: own.clone(), ..TrainOptions::default() };
                let Trained { mut files, .. } = train(&services, settings.clone(), data.clone(), &[run.id], options)?;
                let Some(file) = files.pop() else {
                    display::note("stopped before the agent was trained");
                    return Ok(ExitCode::from(signals::INTERRUPTED));
                };
                file.write(run.training.as_deref().unwrap_or(Path::new("training")))?;
                file
            }
            None => bail!(untrained_message(&[run.id])),
        };
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
            Some(_) => self.trainings(&settings, &arguments.training, &ids)?,
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
            print::lines([file.write(&arguments.training)?.display().to_string()])?;
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

    fn status(&self, json: bool) -> anyhow::Result<ExitCode> {
        self.with_knowledge(async |settings, knowledge| {
            let mut jobs = status::JobCounter::default();
            let network = &settings.network;
            let status = status::load(knowledge, &network.data_set.name, network.silence(), &mut jobs).await?;
            if json { print::json(&status) } else { print::status(&status) }
        })
    }

    fn events(&self, arguments: &Events) -> anyhow::Result<ExitCode> {
        self.with_knowledge(async |settings, knowledge| {
            let events = summary::all_events(knowledge).await?;
            if !arguments.follow {
                return if arguments.json { print::json(&events) } else { print::events(&events) };
            }
            let pause = crate::clock::Clock::apply(
                &crate::clock::SystemClock::new(settings.network.time_scale),
                Duration::from_secs(5),
            );
            follow(knowledge, events, arguments.json, pause.max(Duration::from_millis(100))).await
        })
    }

    fn explain(&self, arguments: &Explain) -> anyhow::Result<ExitCode> {
        let id = arguments.event;
        self.with_knowledge(async |_, knowledge| {
            let event = knowledge.event(id).await?;
            let event = event.with_context(|| format!("there is no event {id}; `agent events` lists them"))?;
            let feedback = knowledge.feedback(id).await?;
            explained(&event, &feedback, arguments.json)
        })
    }

    fn set(&self, set: Set) -> anyhow::Result<ExitCode> {
        self.with_knowledge(async |_, knowledge| {
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

    fn check(&self, check: &Check) -> anyhow::Result<ExitCode> {
        let settings = self.settings()?;
        let runtime = services()?;
        let well_formed = runtime.block_on(access::check_credentials(&settings.network));
        well_formed.map_err(|error| Failure::Configuration(error.to_string()))?;
        let description = config::describe(&settings, |records| BloodTests::new(records).bytes());
        let stores = check.online.then(|| {
            let access = Access::to_others(&settings.network);
            runtime.block_on(stores::check(&access, settings.network.nodes.values()))
        });
        match (&stores, check.json) {
            (None, true) => print::json(&description)?,
            (Some(stores), true) => {
                let mut document = serde_json::to_value(&description)?;
                document["stores"] = serde_json::to_value(stores)?;
                print::json(&document)?
            }
            (_, false) => print::text(&description.to_string())?,
        }
        if let (Some(stores), false) = (&stores, check.json) {
            print::stores(stores)?
        }
        let is_well = stores.iter().flatten().all(CheckedStore::is_well);
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

    /// Opens the table of a network that runs or ran, and says which on standard error.
    pub(super) fn with_knowledge(
        &self,
        work: impl AsyncFnOnce(&Settings, &dyn Knowledge) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let settings = self.settings()?;
        let runtime = services()?;
        let clock = app::clock(&settings.network);
        let opened = app::existing_knowledge(&settings.network, self.data.as_deref(), &clock, runtime.handle());
        let (knowledge, place) = runtime.block_on(opened)?;
        if self.data.is_none() {
            display::note(&format!("# {place}"));
        }
        runtime.block_on(work(&settings, knowledge.as_ref()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// An event with the decision that it came from.
pub(super) fn explained(event: &Event, feedback: &[Feedback], json: bool) -> anyhow::Result<()> {
    let decision: Decision = serde_json::from_str(&event.detail)
        .with_context(|| format!("event {} holds no decision that this version can read", event.id))?;
    if json { print::json(&(event, &decision, feedback)) } else { print::explain(event, &decision, feedback) }
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

fn untrained_message(ids: &[AgentId]) -> String {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!(
        "agent {} has not been trained: there is no training/agent-{}.json for this configuration; run `agent train --id {}` \
         first, or add --train",
        names.join(", "),
        ids[0],
        ids[0]
    )
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

async fn follow(knowledge: &dyn Knowledge, first: Vec<Event>, json: bool, pause: Duration) -> anyhow::Result<()> {
    let mut shown: BTreeMap<EventId, Event> = BTreeMap::new();
    let mut events = first;
    let stop = signals::stop();
    tokio::pin!(stop);
    loop {
        for event in events {
            // Also when it changes: an outcome, feedback, the end of its window.
            if shown.get(&event.id) != Some(&event) {
                if json {
                    print::json_line(&event)?
                } else {
                    print::lines([print::event_line(&event)])?
                }
                std::io::stdout().flush()?;
                shown.insert(event.id, event);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut stop => return Ok(()),
        }
        events = summary::all_events(knowledge).await?;
    }
}

fn generate(records: u64, output: &Path) -> anyhow::Result<ExitCode> {
    let failed = || format!("{}: cannot be written", output.display());
    let file = std::fs::File::create(output).with_context(failed)?;
    let generated =
        BloodTests::new(records).generate(std::io::BufWriter::with_capacity(1 << 20, file)).with_context(failed)?;
    let (bytes, sha256) = (generated.bytes, generated.sha256);
    print::lines([format!("{}: {records} records, {bytes} bytes, SHA-256 {sha256}", output.display())])?;
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
