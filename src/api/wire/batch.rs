//! Batch jobs and workers.

use crate::app::batch::{JobView, Why, WorkerView};
use agent_batch::job::{Change, Task, TaskId, Then};
use agent_core::clock::TimeScale;
use agent_core::domain::ids::NodeId;
use agent_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A job and its tasks. Times are RFC 3339, durations of the scenario.
#[derive(Serialize, ToSchema)]
pub struct BatchJob {
    pub id: i64,
    pub name: String,
    /// `queued`, `placed`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// The same, with what is being done to it.
    pub shown: String,
    /// What it will come to, or why it came to that.
    pub reason: Option<String>,
    pub priority: i32,
    pub deadline: Option<String>,
    pub keep_going: bool,
    pub submitted_at: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub waiting_s: Option<f64>,
    pub execution_s: Option<f64>,
    pub total_s: Option<f64>,
    pub tasks: Vec<BatchTask>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchTask {
    /// Its place in the job, from 0.
    pub task: usize,
    pub name: String,
    pub state: String,
    /// How often it was placed.
    pub attempt: u32,
    pub cores: usize,
    pub memory_bytes: u64,
    pub node: Option<u32>,
    /// `0-1`: which cores it has there.
    pub core_ids: Option<String>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// How its last attempt ended.
    pub ending: Option<String>,
    /// The last of what it said.
    pub output: String,
    /// What enforces its limits, and what holds of each.
    pub limits: Option<Value>,
}

impl BatchJob {
    pub fn new(view: &JobView, scale: TimeScale) -> Self {
        let JobView { job, tasks, times } = view;
        let at = |at: Timestamp| super::instant(scale, at);
        let specification = &job.specification;
        let task = |task: &Task| {
            let name = specification.tasks.get(task.id.index).map(|it| it.name.clone()).unwrap_or_default();
            BatchTask {
                task: task.id.index,
                name,
                state: task.state.to_string(),
                attempt: task.attempt,
                cores: task.size.cores,
                memory_bytes: task.size.memory,
                node: task.seat.as_ref().map(|seat| seat.node.0),
                core_ids: task.seat.as_ref().map(|seat| seat.cores.to_string()),
                started_at: task.started_at.map(at),
                ended_at: task.ended_at.map(at),
                ending: task.ending.as_ref().map(ToString::to_string),
                output: task.output.clone(),
                limits: task.limits.as_ref().map(|limits| serde_json::to_value(limits).unwrap_or_default()),
            }
        };
        Self {
            id: job.id.0,
            name: specification.name.clone(),
            state: job.state.to_string(),
            shown: view.state(),
            reason: job.verdict.as_ref().map(|verdict| verdict.reason.clone()),
            priority: specification.priority,
            deadline: specification.deadline.map(at),
            keep_going: specification.keep_going,
            submitted_at: at(job.submitted_at),
            started_at: job.started_at.map(at),
            ended_at: job.ended_at.map(at),
            waiting_s: times.map(|times| times.waiting.as_secs_f64()),
            execution_s: times.map(|times| times.execution.as_secs_f64()),
            total_s: times.map(|times| times.total.as_secs_f64()),
            tasks: tasks.iter().map(task).collect(),
        }
    }
}

/// What is to run, as in a job's file (docs/batch.md).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSubmission {
    #[schema(value_type = Object)]
    pub job: Value,
    /// Also when no worker that is there could ever take it.
    #[serde(default)]
    pub wait: bool,
    /// Submitted again with the same key, it is the same job.
    #[schema(min_length = 1, max_length = 255)]
    pub key: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct BatchChange {
    /// Absent: the job itself.
    pub task: Option<usize>,
    pub at: String,
    pub state: String,
    pub reason: String,
}

impl BatchChange {
    pub fn new(change: &Change, scale: TimeScale) -> Self {
        Self {
            task: change.task,
            at: super::instant(scale, change.at),
            state: change.state.to_string(),
            reason: change.reason.clone(),
        }
    }
}

/// What a job waits for.
#[derive(Serialize, ToSchema)]
pub struct BatchWhy {
    pub job: i64,
    pub state: String,
    /// In words.
    pub says: String,
    /// What is in the way, worker by worker; absent: it does not wait for room.
    pub explanation: Option<Value>,
}

impl From<Why> for BatchWhy {
    fn from(why: Why) -> Self {
        let Why { job, state, explanation, not_before: _, says } = why;
        let explanation = explanation.map(|explanation| serde_json::to_value(explanation).unwrap_or_default());
        Self { job: job.0, state: state.to_string(), says, explanation }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchCancel {
    #[serde(default)]
    pub reason: Option<String>,
}

/// Tasks, all or none of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchResize {
    /// `12`: every task of job 12; `12.0`: its first.
    #[schema(min_items = 1)]
    pub targets: Vec<String>,
    #[schema(minimum = 1, maximum = 8191)]
    pub cores: Option<usize>,
    #[schema(minimum = 1)]
    pub memory_bytes: Option<u64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchCheckpoint {
    #[schema(min_items = 1)]
    pub targets: Vec<String>,
    /// They go on elsewhere.
    #[serde(default)]
    pub migrate: bool,
    /// There; absent: wherever there is room.
    pub to: Option<u32>,
}

impl BatchCheckpoint {
    pub fn then(&self) -> Then {
        if self.migrate { Then::Migrate(self.to.map(NodeId)) } else { Then::GoOn }
    }
}

#[derive(Serialize, ToSchema)]
pub struct BatchTasks {
    /// `12.0`.
    pub tasks: Vec<String>,
}

impl From<Vec<TaskId>> for BatchTasks {
    fn from(tasks: Vec<TaskId>) -> Self {
        Self { tasks: tasks.iter().map(ToString::to_string).collect() }
    }
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchStrategy {
    /// `arrival+best-fit-decreasing+backfill`.
    pub strategy: String,
}

#[derive(Serialize, ToSchema)]
pub struct Worker {
    pub node: u32,
    /// `active`, `draining` or `away`.
    pub standing: String,
    pub cores: String,
    pub cores_free: usize,
    pub memory_bytes: u64,
    pub memory_free_bytes: u64,
    pub tasks: usize,
    pub runners: Vec<String>,
    pub labels: BTreeMap<String, String>,
}

impl From<&WorkerView> for Worker {
    fn from(view: &WorkerView) -> Self {
        let WorkerView { worker, standing, free_cores, free_memory, tasks } = view;
        Self {
            node: worker.node.0,
            standing: (*standing).to_owned(),
            cores: worker.cores.to_string(),
            cores_free: *free_cores,
            memory_bytes: worker.memory,
            memory_free_bytes: *free_memory,
            tasks: *tasks,
            runners: worker.runners.iter().map(ToString::to_string).collect(),
            labels: worker.labels.clone(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerChange {
    /// It takes no new tasks; those that it has go on.
    pub draining: bool,
}
