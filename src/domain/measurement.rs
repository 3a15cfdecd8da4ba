//! What one run of the job showed.

use super::failure::JobFailure;
use super::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use super::metric::{Metric, Metrics};
use super::time::Timestamp;
use serde::Serialize;

/// One job of one agent, measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Measurement {
    pub agent: AgentId,
    pub data_set: DataSetName,
    /// The replica that was read, and where it lay when the job started.
    pub replica: ReplicaId,
    pub node: NodeId,
    /// When the job ended.
    #[serde(rename = "at_scenario_ms")]
    pub at: Timestamp,
    pub metrics: Metrics,
    /// The link's latency as the emulator states it, beside the measured one \[ms\]; absent without an emulator.
    pub emulated_latency_ms: Option<f64>,
    /// What the job computed, for people; absent for what failed, and for jobs of earlier versions.
    pub result: Option<String>,
    /// Why there is no result: then nothing was measured either.
    pub failure: Option<JobFailure>,
    /// Unique for each run: a measurement recorded twice counts once (I-6).
    pub job: String,
}

impl Measurement {
    /// When the job began: at its end less its response time.
    pub fn began(&self) -> Timestamp {
        let took = self.metrics.get(Metric::ResponseTime).unwrap_or(0.0);
        // A time that makes no sense is cut off.
        Timestamp(self.at.0.saturating_sub((took * 1e3) as i64))
    }
}
