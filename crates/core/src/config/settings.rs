//! Settings as meant: typed and validated, in scenario time. Only [`super::load`] makes them from files.

use crate::clock::TimeScale;
use crate::domain::action::ActionType;
use crate::domain::books::{Payer, Stated, Tariff};
use crate::domain::constraints::Constraints;
use crate::domain::environment::{Availability, Links};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Rho;
use crate::domain::job_gap::JobGap;
use crate::domain::labels::Labels;
use crate::domain::manifest::Selection;
use crate::domain::money::Budget;
use crate::domain::placement::Link;
use crate::domain::records_path::RecordsPath;
use crate::domain::secret::Secret;
use crate::domain::store_url::StoreUrl;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration: the shared network and its applications.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    pub network: NetworkSettings,
    /// By id; at least one.
    pub agents: BTreeMap<AgentId, AgentSettings>,
}

/// What all agents share: `agents/network.toml`.
#[derive(Clone, PartialEq, Debug)]
pub struct NetworkSettings {
    pub knowledge: KnowledgeSettings,
    pub time_scale: TimeScale,
    pub emulator: EmulatorSettings,
    /// At least one.
    pub data_sets: BTreeMap<DataSetName, DataSetSettings>,
    pub nodes: BTreeMap<NodeId, NodeSettings>,
    /// Each direction. With an emulator all, for every two nodes both (validated); without one those that are stated, and the others
    /// are measured.
    pub links: Vec<Link>,
    /// Prices, and the network's own budget.
    pub tariff: Tariff,
    pub feedback: FeedbackSettings,
    pub learning: LearningSettings,
    pub rhythm: RhythmSettings,
    pub membership: MembershipSettings,
}

impl KnowledgeSettings {
    /// Whether it is in a server on another machine, as far as its address tells: then agents are on several.
    pub fn is_elsewhere(&self) -> bool {
        const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
        match self {
            KnowledgeSettings::Sqlite(_) => false,
            KnowledgeSettings::Mysql(url) => url.hosts.iter().any(|host| !HERE.contains(&host.name.as_str())),
        }
    }
}

impl NetworkSettings {
    /// Whether latency is injected, or what links are like is to be measured.
    pub fn links_are(&self) -> Links {
        match self.emulator {
            EmulatorSettings::None => Links::Measured,
            EmulatorSettings::Embedded | EmulatorSettings::Toxiproxy(_) => Links::Injected,
        }
    }

    /// Prices and all budgets.
    pub fn tariff_with(&self, agents: &BTreeMap<AgentId, AgentSettings>) -> Tariff {
        let own = agents.values().map(|agent| Stated::Budget(Payer::Agent(agent.id), agent.budget));
        let mut tariff = self.tariff.clone();
        tariff.add_missing(&own.collect());
        tariff
    }

    /// The data sets that begin on a node.
    pub fn beginning_on(&self, node: NodeId) -> impl Iterator<Item = &DataSetSettings> {
        self.data_sets.values().filter(move |data_set| data_set.first_node == node)
    }

    /// The nodes that data sets begin on.
    pub fn first_nodes(&self) -> BTreeSet<NodeId> {
        self.data_sets.values().map(|data_set| data_set.first_node).collect()
    }

    /// How long without a heartbeat an agent counts as alive: three of them missed.
    pub fn silence(&self) -> Duration {
        self.rhythm.heartbeat * 3
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KnowledgeSettings {
    /// Relative to the data directory unless absolute.
    Sqlite(PathBuf),
    /// Of MySQL or MariaDB.
    Mysql(DatabaseUrl),
}

/// A schema on a server, or on all servers of a cluster. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// At least one; whoever is away is followed by the next.
    pub hosts: Vec<DatabaseHost>,
    pub user: String,
    /// Absent: the environment has it, or none is needed.
    pub password: Option<String>,
    pub schema: String,
    pub tls: DatabaseTls,
}

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseHost {
    /// Or its address.
    pub name: String,
    pub port: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DatabaseTls {
    Off,
    /// With the server's certificate checked: against the authorities in a PEM file, or the ones that browsers know.
    On {
        authority: Option<PathBuf>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EmulatorSettings {
    /// One in each agent's process, listening on loopback.
    Embedded,
    /// Any server that speaks toxiproxy's API, `http://host:port`.
    Toxiproxy(String),
    /// The links are the real network.
    None,
}

#[derive(Clone, PartialEq, Debug)]
pub struct DataSetSettings {
    pub name: DataSetName,
    /// What the table names it by: of a prefix the key of its manifest ([`Extent`](crate::domain::manifest::Extent)).
    pub object_key: String,
    /// What of a prefix belongs to it; absent: it is one object.
    pub selection: Option<Selection>,
    /// Records of the scenario to generate when the first node's store lacks the object; absent: somebody else puts it there.
    pub generate_records: Option<u64>,
    pub first_node: NodeId,
    pub constraints: Constraints,
}

#[derive(Clone, PartialEq, Debug)]
pub struct NodeSettings {
    pub id: NodeId,
    pub name: String,
    /// Not declared on a real network where nothing is said: it is measured.
    pub availability: Availability,
    /// Absent: unlimited.
    pub capacity_bytes: Option<u64>,
    pub labels: Labels,
    pub store: StoreSettings,
}

/// The S3 store of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreSettings {
    /// Started by the node's agent.
    Embedded {
        /// Default: loopback, a free port.
        listen: SocketAddr,
        /// `http://HOST:PORT` under which others reach it; absent: where it listens.
        advertise: Option<String>,
    },
    /// Somebody else's server.
    S3(S3StoreSettings),
}

impl Default for StoreSettings {
    /// Embedded, on loopback, at a free port.
    fn default() -> Self {
        StoreSettings::Embedded { listen: SocketAddr::from(([127, 0, 0, 1], 0)), advertise: None }
    }
}

/// A server that speaks S3, and how this node's configuration says to reach it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3StoreSettings {
    pub url: StoreUrl,
    pub credentials: CredentialsSettings,
    /// A PEM file with the authorities to trust instead of the machine's.
    pub ca: Option<PathBuf>,
    /// What it is asked to encrypt objects with.
    pub encryption: Option<EncryptionSettings>,
    /// Whether what is deleted in a versioned bucket goes for good.
    pub delete_versions: bool,
}

/// `x-amz-server-side-encryption`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EncryptionSettings {
    Aes256,
    /// With this key, or the bucket's own.
    Kms {
        key: Option<String>,
    },
}

/// Where the credentials of a store come from.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum CredentialsSettings {
    /// `AWS_ACCESS_KEY_ID` and its relatives, or the profile that the environment names.
    #[default]
    Environment,
    /// This profile of the shared credentials and configuration files.
    Profile(String),
    /// These.
    Keys { access_key_id: String, secret_access_key: Secret, session_token: Option<Secret> },
}

/// How others' answers are gathered.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FeedbackSettings {
    /// How long an event collects feedback.
    pub window: Duration,
    /// Aggregated feedback (0..=1) from which an action's counter rises.
    pub threshold: f64,
    /// How long others wait for a dead agent to close its own event.
    pub grace: Duration,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LearningSettings {
    /// Weight of the newest observation, 0..=1.
    pub learning_rate: f64,
    /// Chance of a random action, 0..=1.
    pub exploration: f64,
    /// By how much each point of an action's counter weakens its score, 0..=1.
    pub penalty: f64,
    /// Copies after which data consistency is 0; at least 1.
    pub max_copies: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub struct RhythmSettings {
    /// The pause before a job, and its standard deviation.
    pub job_gap: JobGap,
    pub job_gap_deviation: Duration,
    /// How often an agent says that it is alive; three of them missed and it counts as dead.
    pub heartbeat: Duration,
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// How long what a move or evict leaves behind stays readable, for the jobs that read it when it happened.
    pub drain: Duration,
    /// Round trips for a measurement of the link; at least 1.
    pub probes: u32,
    /// How often the agent at an origin looks for what the owner has written there; absent: never.
    pub watch: Option<Duration>,
    /// Reading of all that lies on one's own node; absent: never.
    pub scrub: Option<ScrubSettings>,
}

/// How nodes find each other and say how they are.
#[derive(Clone, PartialEq, Debug)]
pub struct MembershipSettings {
    /// What is said to another one of the same address is not heard.
    pub network: String,
    /// Absent: they do not.
    pub listen: Option<SocketAddr>,
    /// The address that others are told; absent: the one that it listens on, or by which this machine reaches its peers.
    pub advertise: Option<String>,
    /// How often a node talks to some others.
    pub interval: Duration,
    /// To how many.
    pub fan_out: u32,
    /// Whether that rises and falls with the age of what is known.
    pub adapt: bool,
    /// Addresses, `HOST:PORT`, of peers that are asked first, beside those that the shared table knows.
    pub join: Vec<String>,
    /// Over which availability is measured.
    pub window: Duration,
    /// Whether each agent also tells an aggregator of its machine's processors, memory and disk.
    pub mdsmp: bool,
    /// Of an aggregator of such machines, `HOST:PORT`, whose latest values each agent passes on as labels; absent: of none.
    pub aggregator: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScrubSettings {
    pub every: Duration,
    pub bytes_per_s: u64,
}

/// One application: `agents/N.toml`.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentSettings {
    pub id: AgentId,
    pub node: NodeId,
    /// The nodes that its jobs may be handed to, besides; only where it reads one data set.
    pub may_run_on: BTreeSet<NodeId>,
    /// The data sets that its job reads, in this order: at least one of the network's, none twice.
    pub data_sets: Vec<DataSetName>,
    pub goal: Goal,
    /// As its user wrote it.
    pub goal_text: String,
    /// A name that [`crate::mape::planner`] knows; validated.
    pub policy: String,
    pub job: JobSettings,
    pub rho: Rho,
    /// Complete: every kind has a cost above 0; `nothing` costs 1.
    pub costs: BTreeMap<ActionType, f64>,
    /// What its actions and reads may cost.
    pub budget: Option<Budget>,
    /// Where the agent's links listen: loopback unless told otherwise.
    pub listen: IpAddr,
    /// Where applications read its data sets by S3; absent: nowhere.
    pub s3: Option<EndpointSettings>,
    /// What of its machine there is for tasks of batch jobs; absent: it takes none.
    pub worker: Option<WorkerSettings>,
}

/// The S3 endpoint for applications.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndpointSettings {
    /// Port 0: any that is free.
    pub listen: SocketAddr,
    /// Whether applications also write, what may be written.
    pub writes: bool,
}

/// What a node offers to tasks of batch jobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerSettings {
    /// Their ids; absent: all that the agent may use.
    pub cores: Option<Vec<u32>>,
    /// Absent: what the machine has, but for a part that is kept back.
    pub memory_bytes: Option<u64>,
    /// Which kinds of tasks it starts: at least one.
    pub runners: Vec<TaskKind>,
    /// When a container's image is fetched.
    pub pull: Pull,
    /// Which part of the machine, where nothing is stated.
    pub share: Share,
}

/// One of several equal parts of a machine, for agents of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// From 0.
    pub index: usize,
    pub of: usize,
}

impl WorkerSettings {
    /// Programs, on a part of what there is.
    pub fn of_machine(share: Share) -> Self {
        Self { cores: None, memory_bytes: None, runners: vec![TaskKind::Process], pull: Pull::Missing, share }
    }
}

impl Share {
    pub const WHOLE: Share = Share { index: 0, of: 1 };
}

/// What a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskKind {
    Process,
    Docker,
}

/// When the image of a container is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    Never,
    Missing,
    Always,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobSettings {
    /// Computed in this process.
    Aggregate {
        /// `avg(cholesterol)`; checked by `jobs::expression`.
        expression: String,
        /// To the array of records, where the object is not itself one.
        path: Option<RecordsPath>,
        /// Bytes of the scenario asked for in one request.
        request_bytes: u64,
    },
    /// Any program.
    Command(ProgramSettings),
    /// An application of Spark.
    Spark(SparkSettings),
    /// What its users ask for through the agent's S3 endpoint.
    Service(ServiceSettings),
}

impl AgentSettings {
    /// Whether its job reads a data set.
    pub fn reads(&self, data_set: &DataSetName) -> bool {
        self.data_sets.contains(data_set)
    }
}

impl JobSettings {
    /// Bytes of the scenario asked for in one request.
    pub fn request_bytes(&self) -> u64 {
        match self {
            JobSettings::Aggregate { request_bytes, .. } => *request_bytes,
            JobSettings::Command(program) => program.request_bytes,
            JobSettings::Spark(spark) => spark.submit.request_bytes,
            JobSettings::Service(service) => service.request_bytes,
        }
    }

    pub fn is_service(&self) -> bool {
        self.window().is_some()
    }

    /// The requests of so long a time are one measurement; `None`: it is no service.
    pub fn window(&self) -> Option<Duration> {
        match self {
            JobSettings::Service(service) => Some(service.window),
            JobSettings::Aggregate { .. } | JobSettings::Command(_) | JobSettings::Spark(_) => None,
        }
    }
}

/// An application that others make requests to, again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceSettings {
    /// The requests of so long a time are one measurement.
    pub window: Duration,
    /// Bytes that a request of the training asks for: as many as a user's, about.
    pub request_bytes: u64,
}

/// A program that a job starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramSettings {
    pub program: String,
    pub arguments: Vec<String>,
    pub time_limit: Duration,
    pub request_bytes: u64,
    /// Whether what it reads is counted on the way; absent: if the way begins on this machine.
    pub count_traffic: Option<bool>,
}

/// An application, and who says what it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SparkSettings {
    /// `spark-submit`; the arguments are the application's.
    pub submit: ProgramSettings,
    /// A Python file or a JAR.
    pub application: String,
    /// Of a JAR whose manifest names none.
    pub main_class: Option<String>,
    pub master: String,
    /// Spark properties, by name.
    pub conf: BTreeMap<String, String>,
    /// Absent: an event log that is written for the agent alone.
    pub history: Option<HistorySettings>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistorySettings {
    /// `http://host:port`
    pub server: String,
    /// How long it may take to list an application that has ended: on the clock, which is the server's, too.
    pub wait: Duration,
    /// Where it reads event logs from; absent where Spark is configured to write them there.
    pub event_log_dir: Option<String>,
}
