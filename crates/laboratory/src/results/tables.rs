//! The tables of an experiment of policies, and which there are of each kind. What a column means, and how it is counted: docs/experiments.md.

use super::columns::{Column, Columns, Json, columns};
use super::load_tables::{AgentEvent, AgentMeasurement, HostInfo, LoadRun, MarkerRow, TelemetryRow, TraceRow};
use super::membership_tables::{NetworkNode, NetworkQuery, NetworkRound, NetworkRun};
use super::offloading_tables::OffloadingRun;
use std::collections::{BTreeMap, BTreeSet};

/// Which variant of each factor.
pub type Factors = BTreeMap<String, String>;

columns! {
    /// What the file is about; one row.
    pub struct Head {
        pub name: String,
        pub about: String,
        pub format: i64,
        /// The program and its version.
        pub written_by: String,
    }
}

columns! {
    /// What a run is of, and what it came to, of all its agents together.
    pub struct Run {
        /// In the grid's order.
        pub id: i64,
        pub scenario: String,
        pub policy: String,
        pub factors: Json<Factors>,
        pub seed: u64,
        pub hours: f64,
        /// By what it is known again.
        pub identity: String,
        pub agents: u64,
        pub jobs: u64,
        pub violated: u64,
        /// Jobs besides these that have no result, because what they read could not be reached.
        pub failed: u64,
        /// Expected share of violated jobs in the placement that is left, and in the best one there is (mean over the agents, 0 to
        /// 1), and whether it is the best one or an equal one. Absent where nobody reads anything.
        pub expected_share: Option<f64>,
        pub best_share: Option<f64>,
        pub on_best: Option<bool>,
        /// Actions that were claimed, whatever became of them.
        pub actions: u64,
        pub moves: u64,
        pub copies: u64,
        pub references_changed: u64,
        pub evicts: u64,
        /// Of these, those that were not carried out.
        pub actions_failed: u64,
        pub action_cost: f64,
        pub bytes_moved: u64,
        pub first_violation_s: Option<f64>,
        pub last_action_s: Option<f64>,
        pub replicas_mean: f64,
        pub replicas_end: u64,
        /// Of the placement; of very many only the first ones are kept.
        pub changes: u64,
        pub oscillations: u64,
        /// Jain's index of the agents' shares of satisfied jobs.
        pub fairness: f64,
        pub messages_per_agent_hour: f64,
        pub decisions: u64,
        /// Mean on the wall's clock \[us\]: the one figure that differs from one time to the next.
        pub decision_us: Option<f64>,
        pub converged: bool,
    }
}

columns! {
    /// What a run came to for one of its agents.
    pub struct AgentFigures {
        pub agent: u32,
        pub jobs: u64,
        pub violated: u64,
        pub failed: u64,
        pub actions: u64,
        /// Rows that it wrote into the shared table to decide: events (also of doing nothing) and answers to others'.
        pub messages: u64,
    }
}

columns! {
    /// How far a run had come.
    pub struct Sample {
        pub at_s: f64,
        /// Jobs that missed their goal, up to then, of all agents.
        pub violated: u64,
        pub jobs: u64,
        /// Jobs that failed, up to then.
        pub failed: u64,
        /// Replicas that could be read.
        pub replicas: u64,
    }
}

columns! {
    /// A placement that came about.
    pub struct Placed {
        /// Counts a run's placements: two agents may do the same at the same millisecond.
        pub sequence: u64,
        pub at_s: f64,
        /// When the bytes set out whose arrival it is; absent where they took no time, and where none travelled.
        pub began_s: Option<f64>,
        /// Who changed it; nobody at the start, and when somebody joins.
        pub agent: Option<u32>,
        /// By what: an action's label, [`Placed::START`] or [`Placed::JOIN`].
        pub action: String,
        /// Nodes that hold a replica.
        pub replicas: Json<BTreeSet<u32>>,
        /// The node that each agent reads.
        pub refs: Json<BTreeMap<u32, u32>>,
    }
}

impl Placed {
    pub const START: &str = "start";
    pub const JOIN: &str = "join";
}

/// All that is stored of a run.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Results {
    pub run: Run,
    pub agents: Vec<AgentFigures>,
    /// At equal distances of time; the last one is the end.
    pub series: Vec<Sample>,
    /// In order of time; only the first ones of very many.
    pub placements: Vec<Placed>,
}

/// What an experiment is of. Files of one kind hold none of another's tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    Policies,
    Membership,
    Offloading,
    Load,
}

impl FileKind {
    pub const ALL: [Self; 4] = [Self::Policies, Self::Membership, Self::Offloading, Self::Load];

    /// In the file's header: the letters `agxp`, `agxm`, `agxo` and `agxl`.
    pub fn application_id(self) -> i64 {
        match self {
            Self::Policies => 0x6167_7870,
            Self::Membership => 0x6167_786d,
            Self::Offloading => 0x6167_786f,
            Self::Load => 0x6167_786c,
        }
    }

    /// Version of the tables. Older ones are not brought up to date: an experiment can be made again.
    pub fn format(self) -> i64 {
        match self {
            Self::Policies => 3,
            Self::Load => 2,
            Self::Membership | Self::Offloading => 1,
        }
    }

    /// In the order in which they are made.
    pub fn tables(self) -> &'static [Table] {
        match self {
            Self::Policies => {
                &[Table::Experiment, Table::Runs, Table::RunAgents, Table::RunSeries, Table::RunPlacements]
            }
            Self::Membership => {
                &[Table::Experiment, Table::Networks, Table::NetworkRounds, Table::NetworkNodes, Table::NetworkQueries]
            }
            Self::Offloading => &[Table::Experiment, Table::OffloadingRuns],
            Self::Load => &[
                Table::Experiment,
                Table::LoadRuns,
                Table::Traces,
                Table::HostInfo,
                Table::Telemetry,
                Table::Markers,
                Table::AgentEvents,
                Table::AgentMeasurements,
            ],
        }
    }

    /// The one with a row for each run.
    pub fn runs(self) -> Table {
        match self {
            Self::Policies => Table::Runs,
            Self::Membership => Table::Networks,
            Self::Offloading => Table::OffloadingRuns,
            Self::Load => Table::LoadRuns,
        }
    }
}

/// A table of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    Experiment,
    Runs,
    RunAgents,
    RunSeries,
    RunPlacements,
    Networks,
    NetworkRounds,
    NetworkNodes,
    NetworkQueries,
    OffloadingRuns,
    LoadRuns,
    Traces,
    HostInfo,
    Telemetry,
    Markers,
    AgentEvents,
    AgentMeasurements,
}

/// The run that a row of the other tables belongs to.
const RUN: Column = Column::of::<i64>("run");

impl Table {
    pub fn name(self) -> &'static str {
        match self {
            Self::Experiment => "experiment",
            Self::Runs => "runs",
            Self::RunAgents => "run_agents",
            Self::RunSeries => "run_series",
            Self::RunPlacements => "run_placements",
            Self::Networks => "networks",
            Self::NetworkRounds => "network_rounds",
            Self::NetworkNodes => "network_nodes",
            Self::NetworkQueries => "network_queries",
            Self::OffloadingRuns => "offloading_runs",
            Self::LoadRuns => "load_runs",
            Self::Traces => "traces",
            Self::HostInfo => "host_info",
            Self::Telemetry => "telemetry",
            Self::Markers => "markers",
            Self::AgentEvents => "agent_events",
            Self::AgentMeasurements => "agent_measurements",
        }
    }

    /// In order.
    pub fn columns(self) -> Vec<Column> {
        let of_run = |columns: &[Column]| [&[RUN], columns].concat();
        match self {
            Self::Experiment => Head::COLUMNS.to_vec(),
            Self::Runs => Run::COLUMNS.to_vec(),
            Self::RunAgents => of_run(AgentFigures::COLUMNS),
            Self::RunSeries => of_run(Sample::COLUMNS),
            Self::RunPlacements => of_run(Placed::COLUMNS),
            Self::Networks => NetworkRun::COLUMNS.to_vec(),
            Self::NetworkRounds => of_run(NetworkRound::COLUMNS),
            Self::NetworkNodes => of_run(NetworkNode::COLUMNS),
            Self::NetworkQueries => of_run(NetworkQuery::COLUMNS),
            Self::OffloadingRuns => OffloadingRun::COLUMNS.to_vec(),
            Self::LoadRuns => LoadRun::COLUMNS.to_vec(),
            Self::Traces => of_run(TraceRow::COLUMNS),
            Self::HostInfo => of_run(HostInfo::COLUMNS),
            Self::Telemetry => of_run(TelemetryRow::COLUMNS),
            Self::Markers => of_run(MarkerRow::COLUMNS),
            Self::AgentEvents => of_run(AgentEvent::COLUMNS),
            Self::AgentMeasurements => of_run(AgentMeasurement::COLUMNS),
        }
    }

    /// How many of the first columns tell its rows apart.
    pub fn key(self) -> usize {
        match self {
            Self::Experiment | Self::Runs | Self::Networks | Self::OffloadingRuns | Self::LoadRuns => 1,
            Self::RunAgents
            | Self::RunSeries
            | Self::RunPlacements
            | Self::NetworkRounds
            | Self::NetworkQueries
            | Self::Traces
            | Self::HostInfo
            | Self::Markers
            | Self::AgentEvents
            | Self::AgentMeasurements => 2,
            Self::NetworkNodes | Self::Telemetry => 3,
        }
    }

    /// As it is made.
    pub fn declaration(self) -> String {
        let columns: Vec<String> = self.columns().iter().map(Column::declaration).collect();
        let (name, columns) = (self.name(), columns.join(", "));
        match self {
            Self::Experiment => format!("create table {name} ({columns}) strict"),
            Self::Runs => format!(
                "create table {name} ({columns}, primary key (id), unique (identity),
                     unique (scenario, policy, factors, seed)) strict"
            ),
            Self::Networks => format!(
                "create table {name} ({columns}, primary key (id), unique (identity),
                     unique (nodes, fan_out, interval_s, loss, failures, real, seed)) strict"
            ),
            Self::OffloadingRuns => format!(
                "create table {name} ({columns}, primary key (id), unique (identity),
                     unique (cpu_threshold, failures, seed)) strict"
            ),
            Self::LoadRuns => format!("create table {name} ({columns}, primary key (id)) strict"),
            Self::RunAgents | Self::RunSeries | Self::RunPlacements => self.of_run(FileKind::Policies, &columns),
            Self::NetworkRounds | Self::NetworkNodes | Self::NetworkQueries => {
                self.of_run(FileKind::Membership, &columns)
            }
            Self::Traces
            | Self::HostInfo
            | Self::Telemetry
            | Self::Markers
            | Self::AgentEvents
            | Self::AgentMeasurements => self.of_run(FileKind::Load, &columns),
        }
    }

    /// One whose rows belong to runs.
    fn of_run(self, kind: FileKind, columns: &str) -> String {
        let key: Vec<&str> = self.columns().iter().take(self.key()).map(|column| column.name).collect();
        format!(
            "create table {} ({columns}, primary key ({}),
                     foreign key (run) references {} (id) on delete cascade) strict, without rowid",
            self.name(),
            key.join(", "),
            kind.runs().name()
        )
    }

    /// Puts a row into it.
    pub fn insertion(self) -> String {
        let values = vec!["?"; self.columns().len()].join(", ");
        format!("insert into {} ({}) values ({values})", self.name(), self.names())
    }

    /// Reads rows of it, the columns in order.
    pub fn selection(self) -> String {
        format!("select {} from {}", self.names(), self.name())
    }

    /// How its rows are ordered.
    pub fn order(self) -> String {
        let columns: Vec<String> = (1..=self.key()).map(|column| column.to_string()).collect();
        format!("order by {}", columns.join(", "))
    }

    fn names(self) -> String {
        self.columns().iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }
}
