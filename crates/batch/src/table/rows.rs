//! The queue as rows of an SQL database, alike for all of them: columns are what is looked for, and a document says everything.

use super::Listing;
use crate::job::{Change, Job, JobId, State, Task, TaskId, Worker};
use crate::queue::{Settings, Utilisation};
use agent_core::domain::ids::NodeId;
use agent_core::knowledge::quarantine::{Field, Fields, Table};
use agent_core::knowledge::requests::read_document;
use std::collections::BTreeMap;

pub const SETTINGS: Table = Table { name: "batch_settings", key: &["id"] };
pub const WORKERS: Table = Table { name: "batch_workers", key: &["node"] };
pub const JOBS: Table = Table { name: "batch_jobs", key: &["id"] };
pub const TASKS: Table = Table { name: "batch_tasks", key: &["job", "task"] };
pub const CHANGES: Table = Table { name: "batch_changes", key: &["id"] };
pub const UTILISATION: Table = Table { name: "batch_utilisation", key: &["node", "at_ms"] };

/// Jobs in these states are not over, as a list in SQL.
pub const LIVE: &str = "('queued', 'placed', 'running')";
/// Tasks in these states occupy a worker.
pub const OCCUPYING: &str = "('placed', 'running')";

/// Why something happened is cut after this much \[bytes\].
pub const REASON_MAX: usize = 1_000;

/// A reason as it is kept.
pub fn reason(text: &str) -> &str {
    let whole = (0..=REASON_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..whole]
}

pub fn settings(row: &mut Fields<'_>) -> Field<Settings> {
    Ok(Settings { revision: row.countable("revision")?, ..read_document(row)? })
}

pub fn worker(row: &mut Fields<'_>) -> Field<Worker> {
    Ok(Worker { node: NodeId(row.id("node")?), ..read_document(row)? })
}

/// And the key that it was submitted with.
pub fn job(row: &mut Fields<'_>) -> Field<(Job, String)> {
    let job = Job { id: JobId(row.countable("id")?), state: state(row)?, ..read_document(row)? };
    Ok((job, row.exact("request_key", REASON_MAX)?))
}

pub fn task(row: &mut Fields<'_>) -> Field<Task> {
    let job = JobId(row.countable("job")?);
    let index = usize::try_from(row.amount("task")?).unwrap_or(usize::MAX);
    Ok(Task { id: TaskId { job, index }, state: state(row)?, ..read_document(row)? })
}

pub fn change(row: &mut Fields<'_>) -> Field<Change> {
    Ok(Change {
        job: JobId(row.countable("job")?),
        task: row.maybe_amount("task")?.and_then(|task| usize::try_from(task).ok()),
        at: row.time("at_ms")?,
        state: state(row)?,
        reason: row.text("reason", REASON_MAX)?,
    })
}

pub fn utilisation(row: &mut Fields<'_>) -> Field<Utilisation> {
    read_document(row)
}

fn state(row: &mut Fields<'_>) -> Field<State> {
    row.parsed("state")
}

impl Listing {
    /// A condition on jobs. Nothing in it was written by a person.
    pub fn condition(&self) -> String {
        let states: Vec<String> = self.states.iter().map(|state| format!("'{}'", state.name())).collect();
        let states = if states.is_empty() { "true".to_owned() } else { format!("state in ({})", states.join(", ")) };
        format!("{states} and id < {}", self.before.map_or(i64::MAX, |before| before.0))
    }
}

/// Each job with its tasks, in their order.
pub fn with_tasks(jobs: Vec<(Job, String)>, tasks: Vec<Task>) -> Vec<(Job, Vec<Task>)> {
    let mut of_jobs: BTreeMap<JobId, Vec<Task>> = BTreeMap::new();
    for task in tasks {
        of_jobs.entry(task.id.job).or_default().push(task);
    }
    let with_tasks = |(job, _): (Job, String)| {
        let mut tasks = of_jobs.remove(&job.id).unwrap_or_default();
        tasks.sort_unstable_by_key(|task| task.id);
        (job, tasks)
    };
    jobs.into_iter().map(with_tasks).collect()
}
