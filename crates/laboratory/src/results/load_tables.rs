//! The tables of what load has come to. What a column means: docs/load.md.

use super::columns::{Columns, Json, columns};
use super::tables::Table;
use serde_json::Value;
use std::collections::BTreeMap;

columns! {
    /// A run of a load.
    pub struct LoadRun {
        pub id: i64,
        /// Its number in the table of a network; `None`: it was not queued there.
        pub experiment: Option<i64>,
        /// As its file calls it.
        pub name: String,
        pub seed: u64,
        /// [`LoadRun::RUNNING`] and so on; one that was killed stays at `running`.
        pub state: String,
        /// Microseconds since 1970, as all moments here.
        pub began_us: i64,
        pub ended_us: Option<i64>,
        /// What the file says, as it was read.
        pub specification: String,
        /// What it came to, as `agent load run --json` prints it.
        pub figures: Option<Json<Value>>,
        /// Requests of which there is no row, because writing was too slow for them.
        pub traces_missed: u64,
    }
}

impl LoadRun {
    pub const RUNNING: &str = "running";
    pub const FINISHED: &str = "finished";
    /// Stopped before its end.
    pub const CANCELLED: &str = "cancelled";
}

columns! {
    /// One request.
    pub struct TraceRow {
        /// Counts a run's requests as they ended.
        pub sequence: u64,
        pub client: u32,
        pub service: String,
        /// Absent when none was chosen.
        pub host: Option<String>,
        pub intended_us: i64,
        /// Absent when nothing was sent.
        pub sent_us: Option<i64>,
        pub done_us: i64,
        /// `answered`, `refused` and so on.
        pub outcome: String,
        /// Of an answer, and how many bytes its body had.
        pub status: Option<u32>,
        pub bytes: Option<u64>,
    }
}

columns! {
    /// A machine that sent requests of a run.
    pub struct HostInfo {
        /// As it is called among those that send load.
        pub host: String,
        /// As it calls itself.
        pub machine: Option<String>,
        /// Its kernel, with the version.
        pub system: Option<String>,
        /// The program and its version.
        pub agent: String,
        /// Those that the program may use.
        pub cores: Option<u64>,
        pub memory_bytes: Option<u64>,
        /// By what it may be chosen.
        pub labels: Json<BTreeMap<String, String>>,
    }
}

columns! {
    /// What such a machine did at a moment. What could not be known is absent, never 0.
    pub struct TelemetryRow {
        pub host: String,
        pub at_us: i64,
        /// Of all cores together, since the row before, in 0..=100.
        pub cpu_percent: Option<f64>,
        /// What programs hold.
        pub memory_used_bytes: Option<u64>,
        /// Without the loopback, since the row before.
        pub received_bytes_per_s: Option<f64>,
        pub sent_bytes_per_s: Option<f64>,
        /// Processes that run or wait, averaged over a minute.
        pub load: Option<f64>,
    }
}

columns! {
    /// Something that happened while a run went on.
    pub struct MarkerRow {
        /// Counts a run's markers in their order.
        pub sequence: u64,
        pub at_us: i64,
        /// [`MarkerRow::ROUTE`] and so on.
        pub kind: String,
        /// What it is about.
        pub name: String,
        pub value: Option<String>,
    }
}

impl MarkerRow {
    /// The record of a service changed, or is not followed.
    pub const ROUTE: &str = "route";
    /// Somebody marked the moment.
    pub const EVENT: &str = "event";
    /// Somebody began or ended what is measured.
    pub const EXPERIMENT: &str = "experiment";
    /// What somebody asked of the load hosts.
    pub const VERB: &str = "verb";
}

columns! {
    /// What an agent of the network decided meanwhile.
    pub struct AgentEvent {
        /// In the network's table.
        pub id: i64,
        pub at_us: i64,
        pub agent: u32,
        pub data_set: String,
        /// An action's label.
        pub action: String,
        /// `running`, `done` and so on, when the run ended.
        pub outcome: String,
        /// Since when it does not run any more.
        pub ended_us: Option<i64>,
    }
}

columns! {
    /// What an agent's job, or its window of requests, came to meanwhile.
    pub struct AgentMeasurement {
        /// In the network's table.
        pub id: i64,
        /// When it ended.
        pub at_us: i64,
        pub agent: u32,
        pub data_set: String,
        /// Which replica was read.
        pub node: u32,
        /// [`AgentMeasurement::MET`] and so on.
        pub outcome: String,
        /// What was measured, by the names of the metrics.
        pub metrics: Json<BTreeMap<String, f64>>,
    }
}

impl AgentMeasurement {
    pub const MET: &str = "met";
    pub const MISSED: &str = "missed";
    /// It has no result, and no metrics.
    pub const FAILED: &str = "failed";
}

/// A row that belongs to a run of a load.
pub trait OfLoad: Columns {
    #[doc(hidden)]
    const TABLE: Table;
}

macro_rules! of_load {
    ($($row:ty: $table:ident),+) => {
        $(impl OfLoad for $row { const TABLE: Table = Table::$table; })+
    };
}

of_load!(
    TraceRow: Traces,
    HostInfo: HostInfo,
    TelemetryRow: Telemetry,
    MarkerRow: Markers,
    AgentEvent: AgentEvents,
    AgentMeasurement: AgentMeasurements
);

/// What the requests of a run lie between. A run that goes on has more later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceExtent {
    /// How many are stored.
    pub requests: u64,
    /// When the first of them was meant to start.
    pub first_us: i64,
    /// When the last of them ended.
    pub last_us: i64,
}
