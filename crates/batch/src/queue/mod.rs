//! What all agents know of batch jobs, and every change that can be made to it: rules on rows that have been loaded.
//!
//! A technology of the table loads what a [`Request`] is about, lets it change that, and keeps what was changed, all in one
//! transaction. So two agents that want the same thing at once want it one after the other, and what is decided is decided here,
//! alike for all technologies. What is free of a worker is never kept: it is what its tasks do not occupy, so nothing can be
//! given back twice.

// A checkpoint, and going elsewhere with it.
pub mod checkpoint;
// Giving tasks their workers.
pub mod place;
// What a worker says of a task.
pub mod report;
// Other limits for a task that runs.
pub mod resize;
// A job comes, or is called off.
pub mod submit;
// Workers come, stay and go.
pub mod worker;

// What becomes of a job when one of its tasks has ended.
mod outcome;

#[cfg(test)]
mod tests;

use crate::cores::Cores;
use crate::job::{Change, Ending, Job, JobId, Seat, State, Task, TaskId, TaskSpecification, Worker};
use crate::placement::strategy::Strategy;
use crate::placement::{self, Gang, Need, Place, Problem, Running};
use agent_core::domain::ids::NodeId;
use agent_core::domain::time::Timestamp;
pub use agent_core::knowledge::requests::{Refused, Which};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What holds for all jobs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub strategy: Strategy,
    /// The number of the job that came last.
    pub last_job: i64,
    /// Goes up with every change that anybody might have to act on.
    pub revision: i64,
}

/// What of a worker was in use at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Utilisation {
    pub node: NodeId,
    pub at: Timestamp,
    pub cores: Cores,
    /// Those that tasks occupy.
    pub busy: Cores,
    pub memory: u64,
    /// What tasks occupy of it.
    pub reserved: u64,
}

/// The rows that a request is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    pub jobs: Which<JobId>,
    /// These workers, and every job that occupies one of them.
    pub nodes: Which<NodeId>,
    /// The job that was submitted with this key.
    pub key: Option<String>,
}

impl Scope {
    /// Everything that is to be placed, or might be in the way.
    pub fn all() -> Self {
        Self { jobs: Which::All, nodes: Which::All, key: None }
    }

    /// The jobs of these tasks, and all workers.
    fn of_tasks(tasks: &[TaskId]) -> Self {
        let jobs = tasks.iter().map(|task| task.job).collect();
        Self { jobs: Which::These(jobs), ..Self::all() }
    }
}

/// Jobs with all their tasks, and workers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Queue {
    pub now: Timestamp,
    pub settings: Settings,
    pub workers: BTreeMap<NodeId, Worker>,
    pub jobs: BTreeMap<JobId, Job>,
    pub tasks: BTreeMap<TaskId, Task>,
    /// By which key a job of these was submitted.
    pub keys: BTreeMap<String, JobId>,
    changed: Changed,
}

/// What a technology has to keep.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Changed {
    pub workers: BTreeSet<NodeId>,
    pub jobs: BTreeSet<JobId>,
    pub tasks: BTreeSet<TaskId>,
    pub history: Vec<Change>,
    pub utilisation: Vec<Utilisation>,
    /// Whether anybody might have to act on it.
    pub is_news: bool,
}

/// Something that is asked of the table.
pub trait Request: Send + Sync + 'static {
    /// As errors name it.
    const OPERATION: &'static str;
    type Answer: Send + 'static;

    fn scope(&self) -> Scope;

    /// Asked again it does the same: a transaction may be repeated, also when its outcome is not known.
    fn apply(&self, queue: &mut Queue) -> Result<Self::Answer, Refused>;
}

impl Queue {
    /// As it was loaded.
    pub fn new(now: Timestamp, settings: Settings) -> Self {
        Self { now, settings, ..Self::default() }
    }

    pub fn add_job(&mut self, job: Job, key: String) {
        self.keys.insert(key, job.id);
        self.jobs.insert(job.id, job);
    }

    /// What is to be kept of what was done; from then on nothing is.
    pub fn take_changed(&mut self) -> Changed {
        if self.changed.is_news {
            self.settings.revision += 1;
        }
        std::mem::take(&mut self.changed)
    }

    pub fn tasks_of(&self, job: JobId) -> impl Iterator<Item = &Task> {
        self.tasks.range(TaskId { job, index: 0 }..=TaskId { job, index: usize::MAX }).map(|(_, task)| task)
    }

    fn ids_of(&self, job: JobId) -> Vec<TaskId> {
        self.tasks_of(job).map(|task| task.id).collect()
    }

    /// Those that occupy a worker, with which.
    fn occupying(&self) -> impl Iterator<Item = (&Task, &Seat)> {
        self.tasks.values().filter(|task| task.state.occupies()).filter_map(|task| Some((task, task.seat.as_ref()?)))
    }

    /// Those that occupy this worker.
    pub fn tasks_at(&self, node: NodeId) -> impl Iterator<Item = &Task> {
        self.occupying().filter(move |(_, seat)| seat.node == node).map(|(task, _)| task)
    }

    /// [`tasks_at`](Self::tasks_at) each worker that any occupies, of all of them at once.
    pub fn occupants(&self) -> BTreeMap<NodeId, Vec<&Task>> {
        let mut occupants: BTreeMap<NodeId, Vec<&Task>> = BTreeMap::new();
        for (task, seat) in self.occupying() {
            occupants.entry(seat.node).or_default().push(task);
        }
        occupants
    }

    /// What a task is to be.
    pub fn specification(&self, task: TaskId) -> Option<&TaskSpecification> {
        self.jobs.get(&task.job)?.specification.tasks.get(task.index)
    }

    /// The cores and the memory of a worker that no task occupies.
    pub fn free(&self, worker: &Worker) -> (Cores, u64) {
        worker.free_beside(self.tasks_at(worker.node))
    }

    /// What there is to be placed now, and where.
    pub fn problem(&self) -> Problem {
        let workers = self.places();
        let index: BTreeMap<NodeId, usize> =
            workers.iter().enumerate().map(|(index, worker)| (worker.node, index)).collect();
        let running = self.occupying().filter_map(|(task, seat)| {
            let limit = self.specification(task.id)?.time_limit_ms.map(Duration::from_millis);
            Some(Running {
                job: task.id.job,
                worker: *index.get(&seat.node)?,
                cores: seat.cores.clone(),
                memory: task.size.memory,
                ends: limit.map(|limit| task.started_at.unwrap_or(self.now) + limit),
            })
        });
        let running = running.collect();
        let waiting = self.jobs.values().filter_map(|job| self.gang(job)).collect();
        Problem { now: self.now, workers, running, waiting }
    }

    /// The workers that take tasks.
    fn places(&self) -> Vec<placement::Worker> {
        let occupants = self.occupants();
        let place = |worker: &Worker| {
            let tasks = occupants.get(&worker.node).into_iter().flatten().copied();
            as_place(worker, worker.free_beside(tasks))
        };
        self.workers.values().filter(|worker| worker.takes_tasks(self.now)).map(place).collect()
    }

    /// A job's tasks that are to be placed together now; `None`: there are none.
    fn gang(&self, job: &Job) -> Option<Gang> {
        let waiting: Vec<&Task> = self.waiting(job.id).collect();
        let is_due = |task: &&Task| task.not_before.is_none_or(|at| at <= self.now);
        if job.verdict.is_some() || waiting.is_empty() || !waiting.iter().all(is_due) {
            return None;
        }
        let limits = waiting.iter().map(|task| self.specification(task.id)?.time_limit_ms);
        // As long as its longest; unknown when one's is.
        let limit = limits.collect::<Option<Vec<u64>>>().and_then(|limits| limits.into_iter().max());
        let specification = &job.specification;
        Some(Gang {
            job: job.id,
            priority: specification.priority,
            deadline: specification.deadline,
            limit: limit.map(Duration::from_millis),
            tasks: waiting.iter().filter_map(|task| Some(self.need(task, self.specification(task.id)?))).collect(),
        })
    }

    /// Those of a job that wait for a place, in the job's order.
    pub fn waiting(&self, job: JobId) -> impl Iterator<Item = &Task> {
        self.tasks_of(job).filter(|task| task.state == State::Queued)
    }

    /// When a task that waits may be placed at the earliest, of those that may not yet.
    pub fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.tasks.values().filter(|task| task.state == State::Queued);
        waiting.filter_map(|task| task.not_before).filter(|at| *at > self.now).min()
    }

    /// When the first worker that occupied tasks are at is no longer counted on.
    pub fn next_loss(&self) -> Option<Timestamp> {
        self.occupying().filter_map(|(_, seat)| Some(self.workers.get(&seat.node)?.alive_until)).min()
    }

    fn job(&self, job: JobId) -> Result<&Job, Refused> {
        self.jobs
            .get(&job)
            .ok_or_else(|| Refused(format!("there is no batch job {job}; `agent batch list` shows them")))
    }

    fn change_job(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.get_mut(&id) {
            change(job);
            self.changed.jobs.insert(id);
            self.changed.is_news = true;
        }
    }

    fn change_task(&mut self, id: TaskId, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tasks.get_mut(&id) {
            change(task);
            self.changed.tasks.insert(id);
            self.changed.is_news = true;
        }
    }

    fn change_worker(&mut self, node: NodeId, change: impl FnOnce(&mut Worker)) {
        if let Some(worker) = self.workers.get_mut(&node) {
            change(worker);
            self.changed.workers.insert(node);
        }
    }

    /// A task's new state, with the reason.
    fn enter(&mut self, id: TaskId, state: State, reason: impl Into<String>) {
        let now = self.now;
        self.change_task(id, |task| task.state = state);
        let (job, task) = (id.job, Some(id.index));
        self.changed.history.push(Change { job, task, at: now, state, reason: reason.into() });
    }

    /// What is told of a task beside its states.
    fn note(&mut self, id: TaskId, reason: impl Into<String>) {
        if let Some(state) = self.tasks.get(&id).map(|task| task.state) {
            self.enter(id, state, reason);
        }
    }

    /// Whether a task is held by this life of this worker, in this attempt.
    fn is_held(&self, id: TaskId, attempt: u32, node: NodeId, life: &agent_core::domain::ids::Life) -> bool {
        self.tasks.get(&id).is_some_and(|task| {
            let is_its = task.seat.as_ref().is_some_and(|seat| seat.node == node && seat.life == *life);
            is_its && task.attempt == attempt && task.state.occupies()
        })
    }

    /// Every task at a worker is gone with it.
    fn lose_all_at(&mut self, node: NodeId, reason: &str) {
        let there: Vec<TaskId> = self.tasks_at(node).map(|task| task.id).collect();
        for task in there {
            self.end(task, Ending::Lost { reason: reason.to_owned() });
        }
    }

    fn need(&self, task: &Task, specification: &TaskSpecification) -> Need {
        let takes_tasks = |node: &NodeId| self.workers.get(node).is_some_and(|worker| worker.takes_tasks(self.now));
        let place = match (task.bound_for.filter(takes_tasks), &specification.place) {
            // Which cores it was to have was said of another node.
            (Some(node), _) => Place::Node(node),
            (None, place) => place.clone(),
        };
        Need { size: task.size, place, labels: specification.labels.clone(), runner: specification.runner }
    }
}

/// A worker as a placement sees it.
fn as_place(worker: &Worker, (free_cores, free_memory): (Cores, u64)) -> placement::Worker {
    placement::Worker {
        node: worker.node,
        cores: worker.cores.clone(),
        memory: worker.memory,
        free_cores,
        free_memory,
        labels: worker.labels.clone(),
        runners: worker.runners.clone(),
    }
}
