//! What the agents of one process share: settings, table, emulator, threads; and what is made from it for one of them.

use super::access::Access;
use super::data_directory::DataDirectory;
use super::data_set;
use super::hand_over::MovableJob;
use super::hosting::{self, Hosting};
use super::nodes;
use super::reach::StoreReach;
use super::stores::{self, NotedUploads};
use super::switchboard::Switchboard;
use crate::actors::{Account, Notice, Observer, World};
use crate::jobs::Job;
use crate::jobs::aggregate::AggregateJob;
use crate::jobs::command::{CommandJob, THIS_PROGRAM};
use crate::jobs::service::{Requests, ServiceJob};
use crate::jobs::spark::{HistoryServer, Installation, Measures, SparkJob, Submission};
use crate::knowledge::{Knowledge, SharedTable};
use crate::links::Links;
use crate::links::toxiproxy::Toxiproxy;
use crate::storage::ObjectStore;
use crate::storage::embedded::{EmbeddedError, EmbeddedSettings, EmbeddedStore};
use crate::storage::s3::S3Store;
use crate::storage::set::Meter;
use agent_batch::table::BatchTable;
use agent_core::clock::{Clock, SystemClock};
use agent_core::config::environment;
use agent_core::config::settings::{
    AgentSettings, DataSetSettings, EmulatorSettings, HistorySettings, JobSettings, KnowledgeSettings, NetworkSettings,
    ProgramSettings, S3StoreSettings, Settings, SparkSettings, StoreSettings,
};
use agent_core::domain::ids::{AgentId, Life, NodeId};
use agent_core::domain::placement::{Identity, Node};
use agent_core::domain::store_url::BUCKET;
use agent_emulator::{Connections, Emulator, Metrics};
use agent_load::table::LoadTable;
use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Whether a job can run on another node: a program, which that node's worker starts.
pub(super) fn moves(job: &JobSettings) -> bool {
    match job {
        JobSettings::Command(_) => true,
        JobSettings::Aggregate { .. } | JobSettings::Spark(_) | JobSettings::Service(_) => false,
    }
}

/// What is shared by the agents of one process.
#[derive(Clone)]
pub struct Surroundings {
    pub settings: Arc<Settings>,
    pub data: DataDirectory,
    pub clock: Arc<dyn Clock>,
    pub knowledge: Arc<dyn Knowledge>,
    pub batch: Arc<dyn BatchTable>,
    pub load: Arc<dyn LoadTable>,
    /// Address of an emulator's API; absent when the links are the real network.
    pub emulator: Option<String>,
    /// Of the one that this process serves.
    pub connections: Option<Connections>,
    pub services: Handle,
    pub hosting: Hosting,
    pub notify: Arc<dyn Fn(Notice) + Send + Sync>,
    /// Of every agent's machines; nobody outside of tests.
    pub observer: Option<Arc<dyn Observer>>,
    /// The agents that run.
    pub switchboard: Switchboard,
}

impl Surroundings {
    /// Without an emulator, and with no agent running yet.
    pub fn new(
        settings: Arc<Settings>,
        data: DataDirectory,
        clock: Arc<dyn Clock>,
        table: SharedTable,
        services: Handle,
        hosting: Hosting,
        notify: Arc<dyn Fn(Notice) + Send + Sync>,
    ) -> Self {
        let SharedTable { knowledge, batch, load } = table;
        let (emulator, connections, observer, switchboard) = (None, None, None, Switchboard::default());
        Self {
            settings,
            data,
            clock,
            knowledge,
            batch,
            load,
            emulator,
            connections,
            services,
            hosting,
            notify,
            observer,
            switchboard,
        }
    }

    pub fn network(&self) -> &NetworkSettings {
        &self.settings.network
    }

    /// The file of the shared table in the data directory; `None`: it is in a server.
    pub fn table_file(&self) -> Option<PathBuf> {
        match &self.network().knowledge {
            KnowledgeSettings::Sqlite(file) => Some(file.clone()),
            KnowledgeSettings::Mysql(_) => None,
        }
    }

    /// The address of the shared table, as people find it.
    pub fn table(&self) -> String {
        match self.table_file() {
            Some(file) => self.data.path().join(file).display().to_string(),
            None => self.network().knowledge.to_string(),
        }
    }

    /// Writes what the settings say of nodes and links into the table, where it is missing.
    pub async fn register_network(&self) -> anyhow::Result<()> {
        let nodes: Vec<Node> = self.network().nodes.values().map(nodes::row).collect();
        self.knowledge.register_network(&nodes, &self.network().links).await?;
        let tariff = self.network().tariff_with(&self.settings.agents);
        if !tariff.is_none() {
            self.knowledge.register_tariff(&tariff).await?;
        }
        Ok(())
    }

    /// Starts the store of a node and states where it listens. `None`: it is somebody else's server, or another process
    /// runs it already.
    pub async fn start_store(&self, node: NodeId) -> anyhow::Result<Option<EmbeddedStore>> {
        match self.network().nodes.get(&node) {
            Some(settings) => self.start_store_with(node, &settings.store).await,
            None if self.is_served_elsewhere(node).await? => Ok(None),
            None => self.start_store_with(node, &StoreSettings::default()).await,
        }
    }

    /// Whether a node that only the table knows has a store which this data directory does not hold.
    async fn is_served_elsewhere(&self, node: NodeId) -> anyhow::Result<bool> {
        let nodes = self.knowledge.nodes().await?;
        let row = nodes.get(&node).with_context(|| format!("there is no node {node}"))?;
        Ok(row.store_url.is_some() && !self.data.store(node).is_dir())
    }

    /// The same as these settings say.
    pub async fn start_store_with(
        &self,
        node: NodeId,
        settings: &StoreSettings,
    ) -> anyhow::Result<Option<EmbeddedStore>> {
        match settings {
            StoreSettings::S3(S3StoreSettings { url, .. }) => {
                let client = S3Store::new(self.access().settings(node, &url.to_string()).await?);
                let provided = hosting::provide_bucket(&client, url.bucket(), self.hosting.create_bucket).await;
                let answers = provided.with_context(|| format!("the store of node {node}"))?;
                self.knowledge.register_store(node, &url.to_string()).await?;
                if answers {
                    stores::examine(self.knowledge.as_ref(), node, &client).await?;
                }
                Ok(None)
            }
            StoreSettings::Embedded { listen, advertise } => {
                let embedded = EmbeddedSettings {
                    listen: *listen,
                    durability: self.hosting.durability,
                    credentials: self.access().given()?,
                    ..EmbeddedSettings::new(self.data.store(node), BUCKET)
                };
                let store = match EmbeddedStore::start(embedded, &self.services) {
                    Ok(store) => store,
                    Err(EmbeddedError::InUse { .. }) => return Ok(None),
                    Err(error) => return Err(error).with_context(|| format!("the store of node {node}")),
                };
                let advertise = advertise.as_ref().or(self.hosting.advertise.as_ref());
                let url = hosting::url_of(&store, advertise.map(String::as_str));
                let url = url.with_context(|| format!("the store of node {node}"))?;
                self.knowledge.register_store(node, &url.to_string()).await?;
                Ok(Some(store))
            }
        }
    }

    /// The same for several nodes at a time: one that is silent keeps nobody else waiting.
    pub async fn start_stores(&self, nodes: &[NodeId]) -> anyhow::Result<Vec<EmbeddedStore>> {
        let started = futures::future::join_all(nodes.iter().map(|node| self.start_store(*node))).await;
        let mut stores = Vec::new();
        for started in started {
            stores.extend(started?);
        }
        Ok(stores)
    }

    /// What is needed to use the stores.
    fn access(&self) -> Access {
        Access::new(self.network(), self.data.clone())
    }

    /// The links of one agent, if latency is injected.
    fn links(&self, agent: &AgentSettings) -> anyhow::Result<Option<Arc<dyn Links>>> {
        let client = self.emulator.as_deref().map(Toxiproxy::new).transpose()?;
        Ok(client.map(|client| Arc::new(client.listening_on(agent.listen)) as Arc<dyn Links>))
    }

    /// One agent's ways to the stores.
    fn reach(&self, agent: &AgentSettings) -> anyhow::Result<StoreReach> {
        let (links, clock, network) = (self.links(agent)?, self.clock.clone(), self.network());
        let reach = StoreReach::new(agent.id, links, clock, network, self.access());
        Ok(reach.noting_uploads(self.knowledge.clone()))
    }

    /// The world of one agent.
    pub fn world(&self, settings: &AgentSettings, identity: Identity) -> anyhow::Result<World> {
        let requests = settings.job.is_service().then(Arc::default);
        Ok(World {
            agent: settings.id,
            job: self.job(settings, &identity.life, requests.as_ref())?,
            requests,
            identity,
            over: watch::Sender::default(),
            unexpected: AtomicU32::default(),
            deciding: Default::default(),
            rates: Default::default(),
            home: settings.node,
            may_run_on: if moves(&settings.job) { settings.may_run_on.clone() } else { Default::default() },
            account: Account::default(),
            data_sets: settings.data_sets.clone(),
            clock: self.clock.clone(),
            knowledge: self.knowledge.clone(),
            reach: Arc::new(self.reach(settings)?),
            services: self.services.clone(),
            notify: self.notify.clone(),
            observer: self.observer.clone(),
        })
    }

    /// The job that an agent's settings describe, for one life of it.
    fn job(
        &self,
        agent: &AgentSettings,
        life: &Life,
        requests: Option<&Arc<Requests>>,
    ) -> anyhow::Result<Arc<dyn Job>> {
        Ok(match &agent.job {
            JobSettings::Aggregate { expression, path, request_bytes } => {
                let job = AggregateJob::new(expression.parse()?, self.at_scale(*request_bytes));
                match path {
                    Some(path) => Arc::new(job.within(path.clone())),
                    None => Arc::new(job),
                }
            }
            JobSettings::Command(program) if agent.may_run_on.is_empty() => Arc::new(self.command(program, life)),
            JobSettings::Command(program) => Arc::new(MovableJob {
                job: self.command(program, life),
                agent: agent.id,
                table: self.batch.clone(),
                clock: self.clock.clone(),
                services: self.services.clone(),
            }),
            JobSettings::Spark(spark) => {
                let submission = Submission {
                    application: spark.application.clone(),
                    arguments: spark.submit.arguments.clone(),
                    main_class: spark.main_class.clone(),
                    master: spark.master.clone(),
                    conf: spark.conf.clone(),
                };
                let submit = self.command(&spark.submit, life);
                let scratch = self.data.spark(agent.id);
                Arc::new(SparkJob::new(submission, submit, installation(), measures(spark)?, scratch))
            }
            JobSettings::Service(service) => Arc::new(ServiceJob {
                description: agent.job.to_string(),
                requests: requests.cloned().unwrap_or_default(),
                window: self.clock.apply(service.window),
                request_bytes: self.at_scale(service.request_bytes),
            }),
        })
    }

    fn command(&self, settings: &ProgramSettings, life: &Life) -> CommandJob {
        CommandJob {
            program: settings.program.clone(),
            args: settings.arguments.clone(),
            time_limit: SystemClock::new(self.network().time_scale).apply(settings.time_limit),
            request_bytes: self.at_scale(settings.request_bytes),
            count_traffic: settings.count_traffic,
            life: life.clone(),
            keeper: THIS_PROGRAM.into(),
        }
    }

    fn at_scale(&self, bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(self.network().time_scale.shrink(bytes)).unwrap_or(NonZeroU64::MIN)
    }

    /// The world of somebody who runs no job, reads nothing and reaches stores directly.
    pub fn world_of(&self, agent: AgentId, home: NodeId, life: Life) -> anyhow::Result<World> {
        let (clock, network) = (self.clock.clone(), self.network());
        let reach = StoreReach::new(agent, None, clock.clone(), network, self.access());
        let silence = network.silence();
        let no_job = AggregateJob::new("count(nothing)".parse()?, NonZeroU64::MIN);
        Ok(World {
            agent,
            job: Arc::new(no_job),
            requests: None,
            identity: Identity { life, ended: Vec::new(), silence },
            over: watch::Sender::default(),
            unexpected: AtomicU32::default(),
            deciding: Default::default(),
            rates: Default::default(),
            home,
            may_run_on: Default::default(),
            account: Account::default(),
            data_sets: Vec::new(),
            clock,
            knowledge: self.knowledge.clone(),
            reach: Arc::new(reach),
            services: self.services.clone(),
            notify: self.notify.clone(),
            observer: None,
        })
    }

    /// Puts the data sets that begin on a node there, when their catalogue rows are missing and the node's store can be
    /// written from here.
    pub async fn establish_data_sets(&self, node: NodeId, agent: AgentId) -> anyhow::Result<()> {
        for settings in self.network().beginning_on(node) {
            self.establish_data_set(settings, agent).await?;
        }
        Ok(())
    }

    /// The same for every first node that has no agent.
    pub async fn establish_on_unmanned_nodes(&self, homes: &[NodeId]) -> anyhow::Result<()> {
        for first in self.network().first_nodes().into_iter().filter(|first| !homes.contains(first)) {
            self.establish_data_sets(first, AgentId::OPERATOR).await?;
        }
        Ok(())
    }

    /// Puts a data set on its first node, in the name of this agent.
    pub async fn establish_data_set(&self, settings: &DataSetSettings, agent: AgentId) -> anyhow::Result<()> {
        let store: Arc<dyn ObjectStore> = Arc::new(self.direct_store(settings.first_node).await?);
        let (notify, name) = (self.notify.clone(), settings.name.clone());
        let meter = Meter::new(move |amount| {
            notify(Notice::UnderWay { agent, what: format!("{amount} of data set {name} are read") });
        });
        data_set::establish(settings, self.network().time_scale, &store, &self.knowledge, &meter).await
    }

    /// A node's own store, not through any link.
    pub async fn direct_store(&self, node: NodeId) -> anyhow::Result<S3Store> {
        self.noting_store(node, AgentId::OPERATOR).await
    }

    /// The same, as this agent uses it.
    pub async fn noting_store(&self, node: NodeId, agent: AgentId) -> anyhow::Result<S3Store> {
        let nodes = self.knowledge.nodes().await?;
        let url = nodes.get(&node).and_then(|row| row.store_url.clone());
        let url = url.with_context(|| format!("node {node} has no store yet; start its agent"))?;
        let log = NotedUploads { knowledge: self.knowledge.clone(), node, agent };
        Ok(S3Store::new(self.access().settings(node, &url).await?).with_log(Arc::new(log)))
    }
}

/// Starts the emulator that the settings ask for; its API's address, and the server when it is ours.
pub async fn start_emulator(
    settings: &EmulatorSettings,
    services: &Handle,
) -> anyhow::Result<(Option<String>, Option<Emulator>)> {
    match settings {
        EmulatorSettings::None => Ok((None, None)),
        EmulatorSettings::Toxiproxy(url) => Ok((Some(url.clone()), None)),
        EmulatorSettings::Embedded => {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            // On the services' threads: an actor's handler must not delay a link.
            let emulator = services.spawn(Emulator::start(anywhere, Metrics::Off)).await??;
            Ok((Some(format!("http://{}", emulator.address())), Some(emulator)))
        }
    }
}

/// This machine's Spark.
fn installation() -> Installation {
    let folder = |name| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    Installation {
        path: std::env::var_os("PATH").unwrap_or_default(),
        home: folder(environment::SPARK_HOME),
        conf_dir: folder(environment::SPARK_CONF_DIR),
    }
}

/// Who says what a Spark application took.
fn measures(spark: &SparkSettings) -> anyhow::Result<Measures> {
    Ok(match &spark.history {
        None => Measures::OwnEventLog,
        Some(HistorySettings { server, wait, event_log_dir }) => Measures::History {
            server: HistoryServer::new(server, *wait).map_err(anyhow::Error::msg)?,
            event_log_dir: event_log_dir.clone(),
        },
    })
}
