//! Batch jobs and their tasks: what they are, and what becomes of them.

use crate::cores::Cores;
use crate::placement::{Place, Size};
use agent_core::domain::ids::{DataSetName, Life, NodeId};
use agent_core::domain::labels::Selector;
use agent_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// A batch job; given by the shared table, in the order of submission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for JobId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One task of a job: its place in the job's list, from 0. Written `12.0`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TaskId {
    pub job: JobId,
    pub index: usize,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.job, self.index))
    }
}

/// What starts a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerKind {
    #[default]
    Process,
    Docker,
}

impl RunnerKind {
    pub const ALL: [RunnerKind; 2] = [RunnerKind::Process, RunnerKind::Docker];

    pub fn name(self) -> &'static str {
        match self {
            RunnerKind::Process => "process",
            RunnerKind::Docker => "docker",
        }
    }
}

impl fmt::Display for RunnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A job as meant by whoever submits it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Specification {
    pub name: String,
    #[serde(default)]
    pub priority: i32,
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// When a task fails, the others go on.
    #[serde(default)]
    pub keep_going: bool,
    /// At least one.
    pub tasks: Vec<TaskSpecification>,
}

/// A task as meant. Durations are of the scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TaskSpecification {
    pub name: String,
    pub runner: RunnerKind,
    /// The program and its arguments; of a container it may be empty.
    pub command: Vec<String>,
    #[serde(default)]
    pub container: Option<Container>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    pub size: Size,
    #[serde(default)]
    pub place: Place,
    #[serde(default)]
    pub labels: Option<Selector>,
    /// What it reads: it is told where.
    #[serde(default)]
    pub data_sets: Vec<String>,
    /// Of its only data set this replica, instead of the nearest: an application's job reads what its agent refers to.
    #[serde(default)]
    pub replica: Option<i64>,
    #[serde(default)]
    pub time_limit_ms: Option<u64>,
    #[serde(default)]
    pub restart: Restart,
    #[serde(default)]
    pub checkpoint: Option<Checkpoint>,
    /// Between being asked to end and being killed.
    pub grace_ms: u64,
}

/// What a container has beside its command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Container {
    pub image: String,
    /// `HOST:CONTAINER`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// `SOURCE:TARGET` or `SOURCE:TARGET:ro`.
    #[serde(default)]
    pub volumes: Vec<String>,
    #[serde(default)]
    pub network: Option<String>,
}

/// How often a task that failed or was lost is tried again, and how long it waits before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Restart {
    /// Tries in all, at least one.
    pub tries: u32,
    /// Before the second try; twice as long before each further one, up to [`LONGEST_PAUSE`].
    pub pause_ms: u64,
}

/// Nothing waits longer between two tries.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

impl Restart {
    pub const NEVER: Restart = Restart { tries: 1, pause_ms: 0 };

    /// How long to wait after this many tries; `None`: there are no more.
    pub fn after(self, tries: u32) -> Option<Duration> {
        let doubled = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(self.pause_ms.saturating_mul(doubled));
        (tries < self.tries).then_some(pause.min(LONGEST_PAUSE))
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self { tries: 3, pause_ms: 1_000 }
    }
}

/// How a task writes down what it has come to, so that it can go on elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What asks for it: `SIGUSR1`.
    pub signal: String,
    /// The directory that it writes, relative to its own.
    pub path: String,
    /// It has to be written by then.
    pub within_ms: u64,
}

/// What becomes of a job or a task. In this order, but for what goes back to be queued.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for a place.
    #[default]
    Queued,
    /// It has one, and its worker has not said yet that it runs.
    Placed,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    pub const ALL: [State; 6] =
        [State::Queued, State::Placed, State::Running, State::Done, State::Failed, State::Cancelled];

    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Placed => "placed",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    pub fn is_over(self) -> bool {
        match self {
            State::Queued | State::Placed | State::Running => false,
            State::Done | State::Failed | State::Cancelled => true,
        }
    }

    /// Whether a task in it occupies a worker.
    pub fn occupies(self) -> bool {
        matches!(self, State::Placed | State::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|state| state.name() == text);
        known.ok_or_else(|| format!("`{text}` is no state; states are {}", Self::ALL.map(State::name).join(", ")))
    }
}

/// A job as it stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub specification: Specification,
    pub state: State,
    /// What it will come to when its last task has ended; absent as long as it is open.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    pub submitted_at: Timestamp,
    /// When its last task began; absent before.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

/// Why a job ends before all its tasks are done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub state: State,
    pub reason: String,
}

/// A task as it stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    pub state: State,
    /// How often it was placed. Whoever speaks of a task names the attempt: what is about another one is late.
    pub attempt: u32,
    /// Tries that ended badly, for [`Restart`].
    #[serde(default)]
    pub tries: u32,
    /// Its present size; a resize changes it.
    pub size: Size,
    /// It is not placed before.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// It is placed there and nowhere else, as a migration wants it.
    #[serde(default)]
    pub bound_for: Option<NodeId>,
    /// Where it is; absent while it waits, kept when it is over.
    #[serde(default)]
    pub seat: Option<Seat>,
    #[serde(default)]
    pub wanted: Wanted,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// How its last attempt ended.
    #[serde(default)]
    pub ending: Option<Ending>,
    /// The last of what it said.
    #[serde(default)]
    pub output: String,
    /// What the machine really holds it to.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// What it has written down, if anything.
    #[serde(default)]
    pub saved: Option<Saved>,
}

/// One attempt of a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Attempt {
    pub task: TaskId,
    pub number: u32,
}

impl Task {
    /// As it is submitted.
    pub fn new(id: TaskId, size: Size) -> Self {
        Self {
            id,
            state: State::Queued,
            attempt: 0,
            tries: 0,
            size,
            not_before: None,
            bound_for: None,
            seat: None,
            wanted: Wanted::Run,
            started_at: None,
            ended_at: None,
            ending: None,
            output: String::new(),
            limits: None,
            saved: None,
        }
    }
}

/// A place on a worker, and for whom: the worker's life that it was given to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    pub node: NodeId,
    #[serde(with = "life")]
    pub life: Life,
    pub cores: Cores,
}

/// What a task's worker is to do with it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Run,
    Stop {
        reason: String,
    },
    /// Its limits are to become others.
    Resize(Resize),
    /// It is to write down what it has come to; then it goes on, or is queued for another place.
    Checkpoint {
        then: Then,
    },
}

/// From what to what. Until its worker has said that it is done, the larger of both is occupied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Resize {
    pub from: Size,
    pub from_cores: Cores,
    pub to: Size,
    pub to_cores: Cores,
}

/// What follows a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    GoOn,
    /// Elsewhere: at this node, or wherever there is room.
    Migrate(Option<NodeId>),
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With this exit code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    OutOfMemory,
    TimeLimit,
    /// It never ran; `is_final`: nor would it at another try.
    NotStarted {
        reason: String,
        is_final: bool,
    },
    /// Its worker ended it because that was wanted.
    Stopped {
        reason: String,
    },
    /// Nobody knows: its worker is gone.
    Lost {
        reason: String,
    },
    /// It wrote down what it had come to, and goes on elsewhere.
    Migrated,
}

impl Ending {
    pub fn is_success(&self) -> bool {
        matches!(self, Ending::Exited(0))
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exit code {code}"),
            Ending::Killed(signal) => write!(f, "killed by signal {signal}"),
            Ending::OutOfMemory => f.write_str("out of memory"),
            Ending::TimeLimit => f.write_str("its time limit was over"),
            Ending::NotStarted { reason, .. } => write!(f, "not started: {reason}"),
            Ending::Stopped { reason } => write!(f, "stopped: {reason}"),
            Ending::Lost { reason } => write!(f, "lost: {reason}"),
            Ending::Migrated => f.write_str("goes on elsewhere"),
        }
    }
}

/// What holds of a task's limits on its machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// What enforces them: `cgroup`, `affinity and rlimit`, `docker`.
    pub by: String,
    pub cores: Limit,
    pub memory: Limit,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// As the machine says it.
    Holds(String),
    Unlimited {
        reason: String,
    },
}

/// A state that a task wrote down, as an object of a node's store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Saved {
    pub node: NodeId,
    pub object_key: String,
    pub sha256: String,
    pub bytes: u64,
    pub at: Timestamp,
}

/// A node that takes tasks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Worker {
    pub node: NodeId,
    #[serde(with = "life")]
    pub life: Life,
    pub cores: Cores,
    pub memory: u64,
    pub runners: BTreeSet<RunnerKind>,
    #[serde(default)]
    pub labels: agent_core::domain::labels::Labels,
    /// It takes no new tasks; those that it has go on.
    #[serde(default)]
    pub is_draining: bool,
    /// It counts as there until then, unless it says again that it is.
    pub alive_until: Timestamp,
}

impl Worker {
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.alive_until
    }

    pub fn takes_tasks(&self, now: Timestamp) -> bool {
        self.is_alive(now) && !self.is_draining
    }

    /// Its cores and memory beside those that these tasks occupy, which are all that are there.
    pub fn free_beside<'a>(&self, tasks: impl IntoIterator<Item = &'a Task>) -> (Cores, u64) {
        let (mut cores, mut memory) = (self.cores.clone(), self.memory);
        for task in tasks {
            if let Some(seat) = &task.seat {
                cores.remove(&seat.cores);
            }
            memory = memory.saturating_sub(task.size.memory);
        }
        (cores, memory)
    }
}

/// A change of a job or of one of its tasks, as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    pub job: JobId,
    /// Absent: of the job itself.
    #[serde(default)]
    pub task: Option<usize>,
    pub at: Timestamp,
    pub state: State,
    pub reason: String,
}

impl TaskSpecification {
    pub fn data_set_names(&self) -> impl Iterator<Item = DataSetName> + '_ {
        self.data_sets.iter().map(|name| name.as_str().into())
    }
}

mod life {
    use agent_core::domain::ids::Life;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(life: &Life, serializer: S) -> Result<S::Ok, S::Error> {
        life.0.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Life, D::Error> {
        String::deserialize(deserializer).map(Life)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_there_are_no_more_tries() {
        let restart = Restart { tries: 4, pause_ms: 100 };
        let pauses: Vec<_> = (1..5).map(|tries| restart.after(tries).map(|pause| pause.as_millis())).collect();
        assert_eq!(pauses, [Some(100), Some(200), Some(400), None]);
        assert_eq!(Restart { tries: u32::MAX, pause_ms: 1 }.after(200), Some(LONGEST_PAUSE));
        assert_eq!(Restart::NEVER.after(1), None);
    }
}
