//! Batch jobs, as people and programs ask for them: what is submitted, what became of it, and why it waits.

use super::Failure;
use super::data_directory::task_folders;
use crate::knowledge::{Knowledge, SharedTable};
use crate::worker::{output, place};
use agent_batch::figures::Times;
use agent_batch::job::{Attempt, Change, Job, JobId, State, Task, TaskId, Then, Wanted, Worker};
use agent_batch::placement::explanation::{Explanation, ObstacleKind, explain};
use agent_batch::placement::strategy::Strategy;
use agent_batch::queue::checkpoint::Checkpoint;
use agent_batch::queue::resize::Resize;
use agent_batch::queue::submit::{Cancel, Submit, Submitted, Use};
use agent_batch::queue::worker::Drain;
use agent_batch::queue::{Queue, Scope};
use agent_batch::specification::{Written, parse, validate};
use agent_batch::table::{BatchTable, carry_out, find, latest};
use agent_core::clock::Clock;
use agent_core::domain::ids::NodeId;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_bytes;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

/// A job, or one of its tasks: `12`, `12.0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    pub job: JobId,
    pub task: Option<usize>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (job, task) = text.split_once('.').map_or((text, None), |(job, task)| (job, Some(task)));
        let wrong = || format!("`{text}` is no job or task; write `12` for a job, `12.0` for its first task");
        let job = job.parse().map_err(|_| wrong())?;
        Ok(Self { job, task: task.map(|task| task.parse().map_err(|_| wrong())).transpose()? })
    }
}

/// A job's file.
pub fn read(file: &Path) -> anyhow::Result<Written> {
    let named = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::Configuration(format!("{named}: {error}\n  help: docs/batch.md shows a job's file"))
    })?;
    Ok(parse(&named, &text)?)
}

/// Queues a job, and places it where there is room. `file`: what its problems are said to be in.
pub async fn submit(
    table: &SharedTable,
    clock: &dyn Clock,
    file: &str,
    written: &Written,
    key: &str,
    waits: bool,
) -> anyhow::Result<JobId> {
    let specification = validate(file, written, clock.now())?;
    require_data_sets(table.knowledge.as_ref(), written).await?;
    let submitted = carry_out(table.batch.as_ref(), Submit { key: key.to_owned(), specification, waits }).await?;
    match submitted {
        Submitted::Queued(job) => {
            place(table.batch.as_ref()).await?;
            Ok(job)
        }
        Submitted::TooLarge(explanation) => bail!(Failure::Configuration(format!(
            "{file}: no worker that is there can ever take it: {}\n  help: make it smaller, or let it wait for such a worker (--wait)",
            describe(&explanation)
        ))),
    }
}

/// A key that nobody had before.
pub fn new_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

async fn require_data_sets(knowledge: &dyn Knowledge, written: &Written) -> anyhow::Result<()> {
    let named: BTreeSet<&String> = written.task.iter().flat_map(|task| &task.data_sets).collect();
    if named.is_empty() {
        return Ok(());
    }
    let known = knowledge.data_sets().await?;
    if let Some(missing) = named.into_iter().find(|name| !known.iter().any(|known| *known.0 == ***name)) {
        let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        bail!(Failure::Configuration(format!(
            "data_sets: there is no data set `{missing}`\n  help: there are {known}"
        )));
    }
    Ok(())
}

/// A job with its tasks.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct JobView {
    #[serde(flatten)]
    pub job: Job,
    pub tasks: Vec<Task>,
    /// Absent until it is over.
    pub times: Option<Times>,
}

impl JobView {
    pub fn new((job, tasks): (Job, Vec<Task>)) -> Self {
        let times = Times::of(&job);
        Self { job, tasks, times }
    }

    /// What is shown as its state: beside `running` what is done to its tasks.
    pub fn state(&self) -> String {
        let doing = self.tasks.iter().filter(|task| task.state.occupies()).find_map(|task| match &task.wanted {
            Wanted::Run => None,
            Wanted::Stop { .. } => Some("stopping"),
            Wanted::Resize(_) => Some("resizing"),
            Wanted::Checkpoint { then: Then::GoOn } => Some("checkpointing"),
            Wanted::Checkpoint { then: Then::Migrate(_) } => Some("migrating"),
        });
        match doing {
            Some(doing) => format!("{}, {doing}", self.job.state),
            None => self.job.state.to_string(),
        }
    }
}

pub async fn list(table: &dyn BatchTable, states: &[State], limit: usize) -> anyhow::Result<Vec<JobView>> {
    Ok(latest(table, states, limit).await?.into_iter().map(JobView::new).collect())
}

pub async fn job(table: &dyn BatchTable, id: JobId) -> anyhow::Result<JobView> {
    let found = find(table, id).await?;
    let found = found.with_context(|| format!("there is no batch job {id}; `agent batch list` shows them"))?;
    Ok(JobView::new(found))
}

/// A job with all that happened to it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct JobHistory {
    #[serde(flatten)]
    pub view: JobView,
    pub history: Vec<Change>,
}

pub async fn show(table: &dyn BatchTable, id: JobId) -> anyhow::Result<JobHistory> {
    Ok(JobHistory { view: job(table, id).await?, history: table.history(id).await? })
}

/// Why a job is where it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Why {
    pub job: JobId,
    pub state: State,
    /// What it waits for; absent where it does not wait, or is just being placed.
    pub explanation: Option<Explanation>,
    /// It waits until then before its next try.
    pub not_before: Option<Timestamp>,
    pub says: String,
}

pub async fn why(table: &dyn BatchTable, view: &JobView) -> anyhow::Result<Why> {
    let (id, queue) = (view.job.id, all(table).await?);
    let explanation = explain(&queue.problem(), queue.settings.strategy, id);
    let not_before = queue.waiting(id).filter_map(|task| task.not_before).filter(|at| *at > queue.now).max();
    let state = view.job.state;
    let says = match (&explanation, not_before, &view.job.verdict) {
        (_, _, Some(verdict)) => format!("it is {}: {}", verdict.state, verdict.reason),
        (Some(explanation), _, None) => describe(explanation),
        (None, Some(at), None) => {
            let pause = agent_core::domain::units::show_duration(at.since(queue.now));
            format!("a task of it failed, and is tried again in {pause}")
        }
        (None, None, None) if state == State::Queued => "there is room for it: it is placed at any moment".to_owned(),
        (None, None, None) => format!("it does not wait: it is {state}"),
    };
    Ok(Why { job: id, state, explanation, not_before, says })
}

/// In words.
pub fn describe(explanation: &Explanation) -> String {
    match explanation {
        Explanation::Behind { job } => format!("it might delay job {job}, which is before it"),
        Explanation::NoRoom { workers, .. } if workers.is_empty() => {
            "no worker takes tasks; start an agent whose N.toml has a `[worker]`, or resume one that drains".to_owned()
        }
        Explanation::NoRoom { task, size, workers } => {
            let need = format!("{} cores and {}", size.cores, show_bytes(size.memory));
            let each =
                workers.iter().map(|obstacle| format!("\n  node {}: {}", obstacle.node, in_the_way(&obstacle.kind)));
            format!("task {task} needs {need}, which no worker has now:{}", each.collect::<String>())
        }
    }
}

fn in_the_way(kind: &ObstacleKind) -> String {
    let missing = |cores: usize, memory: u64| match (cores, memory) {
        (0, memory) => show_bytes(memory),
        (cores, 0) => format!("{cores} cores"),
        (cores, memory) => format!("{cores} cores and {}", show_bytes(memory)),
    };
    match kind {
        ObstacleKind::OtherNode => "the task is to run on another node".to_owned(),
        ObstacleKind::Labels => "its labels are others".to_owned(),
        ObstacleKind::NoRunner => "it has no such runner".to_owned(),
        ObstacleKind::TooSmall { cores, memory } => format!("it is too small by {}", missing(*cores, *memory)),
        ObstacleKind::NoSuchCores { cores } => format!("it has no cores {cores}"),
        ObstacleKind::Busy { missing: size, cores, held_by } => {
            let what = match cores.is_empty() {
                true => format!("{} more would have to be free", missing(size.cores, size.memory)),
                false => format!("cores {cores} are busy"),
            };
            let jobs: Vec<String> = held_by.iter().map(ToString::to_string).collect();
            match jobs.as_slice() {
                [] => what,
                jobs => format!("{what}; jobs {} hold them", jobs.join(", ")),
            }
        }
    }
}

pub async fn cancel(table: &dyn BatchTable, job: JobId, reason: &str) -> anyhow::Result<State> {
    let cancelled = carry_out(table, Cancel { job, reason: reason.to_owned() }).await?;
    place(table).await?;
    Ok(cancelled)
}

/// The tasks that are meant: of a whole job those that run.
pub async fn tasks(table: &dyn BatchTable, targets: &[Target]) -> anyhow::Result<Vec<TaskId>> {
    let mut meant = Vec::new();
    for target in targets {
        let view = job(table, target.job).await?;
        match target.task {
            Some(index) => meant.push(TaskId { job: target.job, index }),
            None => meant.extend(view.tasks.iter().filter(|task| !task.state.is_over()).map(|task| task.id)),
        }
    }
    if meant.is_empty() {
        bail!("no task of these runs or waits; `agent batch show JOB` tells what became of them");
    }
    Ok(meant)
}

pub async fn resize(
    table: &dyn BatchTable,
    targets: &[Target],
    cores: Option<usize>,
    memory: Option<u64>,
) -> anyhow::Result<Vec<TaskId>> {
    let tasks = tasks(table, targets).await?;
    carry_out(table, Resize { tasks: tasks.clone(), cores, memory }).await?;
    Ok(tasks)
}

pub async fn checkpoint(table: &dyn BatchTable, targets: &[Target], then: Then) -> anyhow::Result<Vec<TaskId>> {
    let tasks = tasks(table, targets).await?;
    carry_out(table, Checkpoint { tasks: tasks.clone(), then }).await?;
    Ok(tasks)
}

/// What was used before.
pub async fn use_strategy(table: &dyn BatchTable, strategy: Strategy) -> anyhow::Result<Strategy> {
    let before = carry_out(table, Use { strategy }).await?;
    place(table).await?;
    Ok(before)
}

/// How many tasks it still holds.
pub async fn drain(table: &dyn BatchTable, node: NodeId, is_draining: bool) -> anyhow::Result<usize> {
    let held = carry_out(table, Drain { node, is_draining }).await?;
    if !is_draining {
        place(table).await?;
    }
    Ok(held)
}

/// A worker with what is free of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct WorkerView {
    #[serde(flatten)]
    pub worker: Worker,
    /// `active`, `draining`, `away`.
    pub standing: &'static str,
    pub free_cores: usize,
    pub free_memory: u64,
    pub tasks: usize,
}

pub async fn workers(table: &dyn BatchTable) -> anyhow::Result<Vec<WorkerView>> {
    let queue = all(table).await?;
    let occupants = queue.occupants();
    let view = |worker: &Worker| {
        let tasks = occupants.get(&worker.node).map_or(&[][..], Vec::as_slice);
        let (free_cores, free_memory) = worker.free_beside(tasks.iter().copied());
        let standing = match (worker.is_alive(queue.now), worker.is_draining) {
            (false, _) => "away",
            (true, true) => "draining",
            (true, false) => "active",
        };
        let (worker, tasks) = (worker.clone(), tasks.len());
        WorkerView { worker, standing, free_cores: free_cores.len(), free_memory, tasks }
    };
    Ok(queue.workers.values().map(view).collect())
}

pub async fn all(table: &dyn BatchTable) -> anyhow::Result<Queue> {
    Ok(table.look(Scope::all()).await?)
}

/// All that a task said, where its worker keeps it in this data directory; else the last of it, as everybody knows it.
pub fn said(data: &Path, task: &Task) -> String {
    let attempt = Attempt { task: task.id, number: task.attempt };
    let kept = task_folders(data).into_iter().find_map(|folder| std::fs::read(output(&folder, attempt)).ok());
    kept.map_or_else(|| task.output.clone(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::data_directory::DataDirectory;
    use agent_batch::job::Seat;
    use agent_batch::placement::Size;
    use agent_core::domain::ids::{AgentId, Life};

    #[test]
    fn all_that_a_task_said_is_found_whichever_agent_its_node_has() {
        let place = tempfile::tempdir().unwrap();
        let folder = DataDirectory::create(place.path()).unwrap().tasks(AgentId(5));
        let id = TaskId { job: JobId(12), index: 1 };
        let seat = Seat { node: NodeId(2), life: Life("1-1".to_owned()), cores: Default::default() };
        let new = Task::new(id, Size { cores: 1, memory: 1 });
        let task = Task { attempt: 3, seat: Some(seat), output: "the last".to_owned(), ..new };
        assert_eq!(said(place.path(), &task), "the last");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(output(&folder, Attempt { task: id, number: 3 }), "all of it, and the last").unwrap();
        assert_eq!(said(place.path(), &task), "all of it, and the last");
        assert_eq!(said(place.path(), &Task { attempt: 4, ..task }), "the last");
    }
}
