//! Why a task was not started, or not changed. Nothing of it is there after a failed start, and nothing is changed after a failed change.

use std::io;

#[derive(thiserror::Error, Debug)]
pub enum RunnerError {
    /// What is asked for makes no sense, or is for another runner.
    #[error("task {task}: {reason}")]
    Launch { task: String, reason: String },
    #[error("command `{command}` is not found {searched}: install it here, or give its path")]
    CommandNotFound { command: String, searched: String },
    #[error("command `{command}` cannot be executed: {reason}")]
    NotExecutable { command: String, reason: String },
    #[error(
        "image `{image}` is not on this machine, and by the policy `{policy}` it is not pulled: pull it, or change the policy"
    )]
    ImageNotPresent { image: String, policy: &'static str },
    #[error("image `{image}` cannot be pulled: {reason}")]
    PullFailed { image: String, reason: String },
    #[error("no container engine answers at {socket}: {reason}; start it, or set DOCKER_HOST=unix:///path/to/its.sock")]
    EngineAway { socket: String, reason: String },
    /// The engine answered, and refused.
    #[error("the container engine refuses to {doing}: {reason}")]
    Engine { doing: String, reason: String },
    /// The task itself may be well: it may be tried again when others have ended.
    #[error("this machine is full: cannot {doing}: {reason}; try again when other tasks have ended")]
    MachineFull { doing: String, reason: String },
    #[error("cores {missing} are not on this machine, or not for tasks: those are {present}")]
    NoSuchCores { missing: String, present: String },
    #[error("core {core} is listed twice")]
    CoreListedTwice { core: u32 },
    /// A limit that cannot hold, or below what is in use.
    #[error("the limit of {limit} cannot hold: {reason}")]
    CannotHold { limit: &'static str, reason: String },
    #[error("task {task} has ended already")]
    Ended { task: String },
    /// Something around the task that should work, and does not.
    #[error("cannot {doing}: {reason}")]
    Surroundings { doing: String, reason: String },
}

impl RunnerError {
    /// What the system answered to something that should work on a machine with room.
    pub(crate) fn system(doing: impl Into<String>, error: &io::Error) -> Self {
        let (doing, reason) = (doing.into(), error.to_string());
        if is_full(error) { Self::MachineFull { doing, reason } } else { Self::Surroundings { doing, reason } }
    }

    /// Less memory than is in use.
    pub(crate) fn below_use(asked: u64, in_use: u64) -> Self {
        Self::CannotHold { limit: "memory", reason: format!("{in_use} bytes are in use, {asked} are asked for") }
    }
}

/// Whether the machine has no room for it: processes, memory, open files.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let full = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOSPC];
    full.into_iter().any(|full| error.raw_os_error() == Some(full.raw_os_error()))
}
