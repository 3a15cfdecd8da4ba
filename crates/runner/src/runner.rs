//! What can be done with a task, whatever runs it.

use crate::{Ended, Launch, Limits, Mechanism, Port, RunnerError, Usage};
use async_trait::async_trait;
use rustix::process::Signal;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RunnerKind {
    Process,
    Docker,
}

/// Starts tasks on this machine.
#[async_trait]
pub trait Runner: Send + Sync {
    fn kind(&self) -> RunnerKind;

    /// What this runner can do here; an error, when it can start nothing at all.
    async fn examine(&self) -> Result<Abilities, RunnerError>;

    /// Starts a task. After an error nothing of it is there; whoever drops this before its end may leave what a sweep ends.
    async fn start(&self, launch: &Launch) -> Result<Box<dyn Running>, RunnerError>;

    /// Ends and removes all tasks whose name begins with this, whoever started them: what an earlier life left. Their names, sorted.
    async fn sweep(&self, prefix: &str) -> Result<Vec<String>, RunnerError>;
}

/// A task that was started. Dropping it ends the task, too, without anybody waiting for it.
#[async_trait]
pub trait Running: Send {
    /// As read back from the kernel or the engine, never as asked for.
    fn limits(&self) -> &Limits;

    /// With the host's ports that were chosen, where none was asked for.
    fn ports(&self) -> &[Port];

    /// Waits until the task has ended and nothing of it is left. Can be dropped and called again.
    async fn ended(&mut self) -> Ended;

    /// Changes limits; an empty list and `None` leave theirs. Refused, and nothing is changed, where less memory is asked
    /// for than is in use.
    async fn resize(&mut self, cores: &[u32], memory_bytes: Option<u64>) -> Result<Limits, RunnerError>;

    /// To the program itself, not to what it started.
    async fn signal(&mut self, signal: Signal) -> Result<(), RunnerError>;

    /// `None` when it cannot be told, or no more.
    async fn usage(&mut self) -> Option<Usage>;

    /// SIGTERM to the program, and after `grace` SIGKILL to all that it started. Nothing of it is left afterwards.
    async fn stop(self: Box<Self>, grace: Duration) -> Ended;
}

/// What a runner can do on this machine.
#[derive(Clone, PartialEq, Debug)]
pub struct Abilities {
    /// Ids of the cores that there are for tasks.
    pub cores: Vec<u32>,
    /// What there is for tasks \[bytes\].
    pub memory_bytes: u64,
    /// What a task that asks for all of it would get.
    pub limits: Limits,
    /// Why no better mechanism is used, a line for each that was tried.
    pub remarks: Vec<String>,
}

impl Abilities {
    pub fn mechanism(&self) -> Mechanism {
        self.limits.by
    }
}

impl Display for RunnerKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "process",
            Self::Docker => "docker",
        })
    }
}
