//! Applications with their goals, and the jobs that were measured.

use super::instant;
use crate::app::status::AgentStatus;
use crate::knowledge::Recorded;
use agent_core::clock::TimeScale;
use agent_core::domain::ids::{DataSetName, NodeId};
use agent_core::domain::measurement;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Agent {
    pub id: u32,
    /// Where it lives.
    pub node: u32,
    /// Where its jobs were moved to; absent: they are at home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_at: Option<u32>,
    /// As of its last job.
    pub goal: String,
    /// As of its last job.
    pub policy: String,
    /// What is asked for in place of its configuration; absent: nothing. In force once `goal` says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal_override: Option<String>,
    /// The same of `policy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_override: Option<String>,
    /// Whether it was heard of lately.
    pub alive: bool,
    #[schema(format = DateTime)]
    pub silent_since: Option<String>,
    /// What it reads, and where.
    pub reads: Vec<Reads>,
    /// Of its last job; null when that failed, and before the first.
    pub goal_met: Option<bool>,
    pub jobs: u64,
    pub violated_jobs: u64,
    pub failed_jobs: u64,
    pub failed_in_a_row: u64,
    /// Inputs that nobody waited for; more than none is a fault of this program.
    pub unexpected_inputs: u32,
    pub last_job: Option<Measurement>,
}

/// A reference.
#[derive(Serialize, ToSchema)]
pub struct Reads {
    pub data_set: String,
    /// Null: nothing present is referenced.
    pub node: Option<u32>,
}

impl Agent {
    /// From what its status is for each data set that it reads.
    pub fn new(status: &AgentStatus, reads: &[(DataSetName, Option<NodeId>)], scale: TimeScale) -> Self {
        let registration = &status.peer.registration;
        let last = |last: &measurement::Measurement| Measurement::new(None, last, status.goal_met, scale);
        let reads = reads
            .iter()
            .map(|(data_set, node)| Reads { data_set: data_set.to_string(), node: node.map(|node| node.0) });
        Self {
            id: registration.agent.0,
            node: registration.node.0,
            runs_at: status.peer.seat().away().map(|node| node.0),
            goal: registration.goal.clone(),
            policy: registration.policy.clone(),
            goal_override: status.peer.overrides.goal.clone(),
            policy_override: status.peer.overrides.policy.clone(),
            alive: status.alive,
            silent_since: status.silent_since.map(|at| at.to_string()),
            reads: reads.collect(),
            goal_met: status.goal_met,
            jobs: status.tally.jobs,
            violated_jobs: status.tally.violated,
            failed_jobs: status.tally.failed,
            failed_in_a_row: status.failed_in_a_row,
            unexpected_inputs: status.peer.health.unexpected,
            last_job: status.last.as_ref().map(last),
        }
    }
}

/// One job.
#[derive(Serialize, ToSchema)]
pub struct Measurement {
    /// In the table; absent for a job that is shown with its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    pub agent: u32,
    /// Of several data sets the first, or the one that it failed for.
    pub data_set: String,
    /// That was read.
    pub node: u32,
    /// When it ended.
    #[schema(format = DateTime)]
    pub at: String,
    /// By name, in the units of goals: times in seconds, `network_latency` in ms, `throughput` in records/s, `availability` in %,
    /// `data_consistency` from 0 to 1.
    pub metrics: BTreeMap<String, f64>,
    /// Null: it failed.
    pub goal_met: Option<bool>,
    pub result: Option<String>,
    pub failure: Option<String>,
}

impl Measurement {
    fn new(id: Option<i64>, job: &measurement::Measurement, goal_met: Option<bool>, scale: TimeScale) -> Self {
        Self {
            id,
            agent: job.agent.0,
            data_set: job.data_set.to_string(),
            node: job.node.0,
            at: instant(scale, job.at),
            metrics: job.metrics.iter().map(|(metric, value)| (metric.name().to_owned(), value)).collect(),
            goal_met,
            result: job.result.clone(),
            failure: job.failure.as_ref().map(|failure| format!("{}: {}", failure.kind, failure.why)),
        }
    }

    pub fn recorded(row: &Recorded, scale: TimeScale) -> Self {
        let goal_met = row.measurement.failure.is_none().then_some(row.satisfied);
        Self::new(Some(row.id), &row.measurement, goal_met, scale)
    }
}
