//! A network at a glance, its data sets and their replicas.

use super::instant;
use crate::app::status::{ReplicaStatus, Status};
use agent_core::clock::TimeScale;
use agent_core::domain::snapshot::Snapshot;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Network {
    /// Of this program.
    pub program_version: String,
    /// Where the shared table is.
    pub table: String,
    #[schema(format = DateTime)]
    pub now: String,
    /// Seconds of the scenario in a second on the clock.
    pub time_scale: u32,
    /// The last jobs of every agent that is alive met its goal, and nobody acted since.
    pub converged: bool,
    /// Nothing is broken or has to be looked at.
    pub healthy: bool,
    /// What somebody should look at.
    pub unhealthy: Vec<String>,
    /// Broken invariants.
    pub broken: Vec<String>,
    pub nodes: usize,
    pub agents: usize,
    pub goals_met: usize,
    pub goals_missed: usize,
    pub data_sets: Vec<String>,
    /// What is spent; null where nothing has a price.
    pub costs: Option<Value>,
}

#[derive(Serialize, ToSchema)]
pub struct DataSet {
    pub name: String,
    /// The newest version, from 1.
    pub version: u64,
    pub object_key: String,
    pub bytes: u64,
    pub records: u64,
    pub sha256: String,
    /// Changes with every action that is planned or done.
    pub generation: i64,
    pub converged: bool,
    /// No action is begun now.
    pub paused: bool,
    /// Absent: not paused, or until it is resumed.
    #[schema(format = DateTime)]
    pub paused_until: Option<String>,
    /// What nobody may do with it, in the words of the configuration.
    pub constraints: Value,
    /// Nodes with a present replica.
    pub nodes: Vec<u32>,
}

impl DataSet {
    pub fn new(snapshot: &Snapshot, status: &Status, scale: TimeScale) -> Self {
        let set = &snapshot.data_set;
        let far = |at: &agent_core::domain::time::Timestamp| *at >= agent_core::domain::constraints::Guard::FOR_EVER;
        let until = set.guard.paused_until.filter(|at| status.paused && !far(at));
        Self {
            name: set.name.to_string(),
            version: set.versions.version,
            object_key: set.object_key.clone(),
            bytes: set.bytes,
            records: set.records,
            sha256: set.sha256.clone(),
            generation: snapshot.generation,
            converged: status.converged,
            paused: status.paused,
            paused_until: until.map(|at| instant(scale, at)),
            constraints: serde_json::to_value(&set.guard.constraints).unwrap_or_default(),
            nodes: snapshot.placement.nodes().into_iter().map(|node| node.0).collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Replica {
    pub data_set: String,
    pub node: u32,
    /// `copying`, `present`, `removing`, `changed` or `damaged`.
    pub state: String,
    pub remark: Option<String>,
    /// The agents that read it.
    pub readers: Vec<u32>,
    /// The version that it holds.
    pub version: u64,
    /// Since the first version was announced that it lacks, in scenario time; 0 for the newest.
    pub staleness_s: f64,
}

impl Replica {
    pub fn new(status: &Status, replica: &ReplicaStatus) -> Self {
        Self {
            data_set: status.data_set.to_string(),
            node: replica.node.0,
            state: replica.state.name().to_owned(),
            remark: replica.remark.clone(),
            readers: replica.readers.iter().map(|agent| agent.0).collect(),
            version: replica.behind.map_or(status.version, |behind| behind.version),
            staleness_s: replica.behind.map_or(0.0, |behind| behind.staleness_scenario_s),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct Policy {
    pub name: String,
    /// How many of the registered agents follow it.
    pub agents: usize,
}
