//! `agent keep`: the process between an agent and a job's program, which outlives both and leaves nothing behind.
//!
//! It is told that the job is over by the end of its standard input, a socket that the kernel closes however the agent ends.
//! It is the subreaper of all that the program starts: whoever loses its parent becomes a child of the keeper, in whatever
//! session or group it is, so killing children until there are none reaches every one, and nobody else.

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use rustix::process::{getpid, getppid, kill_process, set_child_subreaper, set_parent_process_death_signal, wait};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, io};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::signal::unix::{self, SignalKind};

/// How long what is killed may take to be gone: a process that waits for a disk cannot die before the disk answers. It was
/// told to all the same.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// What the keeper says to the agent, in a line of JSON.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    NotStarted {
        reason: String,
        /// Whether the machine has no room for it: the program itself may be well.
        is_refused: bool,
    },
    /// The program has ended with this status, as the system encodes it.
    Ended(i32),
}

/// Runs a program until it ends, or the agent or the job does; then ends all that it started.
pub fn keep(program: &OsStr, arguments: &[OsString]) -> io::Result<()> {
    // For those who list processes; where it cannot be written, they see another name.
    let _unnamed = fs::write("/proc/self/comm", "job-keeper");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut keeper = Keeper::new()?;
        let told = match start(program, arguments) {
            Ok(program) => keeper.follow(program).await?.map(|status| Told::Ended(status.as_raw())),
            Err(error) => Some(Told::not_started(&error)),
        };
        if let Some(told) = told {
            keeper.tell(&told).await;
        }
        keeper.end_all().await
    })
}

impl Told {
    fn not_started(error: &io::Error) -> Self {
        use rustix::io::Errno;
        let is_refused = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE]
            .into_iter()
            .any(|refused| error.raw_os_error() == Some(refused.raw_os_error()));
        Told::NotStarted { reason: error.to_string(), is_refused }
    }
}

struct Keeper {
    agent: UnixStream,
    children: unix::Signal,
    /// Signals that are for the agent to act on: a terminal or a service manager sends them to all at once.
    _deaf_to: Vec<unix::Signal>,
}

impl Keeper {
    fn new() -> io::Result<Self> {
        let socket = std::os::unix::net::UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        socket.set_nonblocking(true)?;
        set_child_subreaper(Some(getpid()))?;
        let deaf_to = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
        Ok(Self {
            agent: UnixStream::from_std(socket)?,
            children: unix::signal(SignalKind::child())?,
            // Caught and not ignored: the program would inherit that.
            _deaf_to: deaf_to.into_iter().map(unix::signal).collect::<io::Result<_>>()?,
        })
    }

    /// The program's status when it has ended; `None` when the job is over before.
    async fn follow(&mut self, program: Pid) -> io::Result<Option<WaitStatus>> {
        loop {
            while let Some((child, status)) = ended_child()? {
                if child == program {
                    return Ok(Some(status));
                }
            }
            tokio::select! {
                _ = self.children.recv() => {}
                () = is_over(&mut self.agent) => return Ok(None),
            }
        }
    }

    async fn tell(&mut self, told: &Told) {
        let line = serde_json::to_string(told).unwrap_or_default();
        // An agent that is gone needs no answer.
        let _gone = self.agent.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// Kills every child, and those that become children by it, until there are none.
    async fn end_all(&mut self) -> io::Result<()> {
        let end = async {
            loop {
                match ended_child() {
                    Ok(Some(_)) => continue,
                    Ok(None) => {}
                    Err(error) if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) => {
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
                for child in children()? {
                    // Its number is its own until it is waited for. One with more rights than the agent cannot be killed.
                    let _refused = kill_process(child, Signal::KILL);
                }
                self.children.recv().await;
            }
        };
        tokio::time::timeout(GONE_WITHIN, end).await.unwrap_or(Ok(()))
    }
}

/// Starts the program in a group of its own, and so that it is killed with the keeper.
fn start(program: &OsStr, arguments: &[OsString]) -> io::Result<Pid> {
    let keeper = getpid();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    // SAFETY: between fork and exec it makes two system calls, which allocate nothing and take no lock.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            match getppid() {
                Some(parent) if parent == keeper => Ok(()),
                // It was too late for the signal.
                _ => Err(rustix::io::Errno::SRCH.into()),
            }
        });
    }
    let child = command.spawn()?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| io::Error::other("the program has no process number"))
}

/// A child that has ended, taken off the list; an error when there are no children at all.
fn ended_child() -> io::Result<Option<(Pid, WaitStatus)>> {
    Ok(wait(WaitOptions::NOHANG)?)
}

/// Completes when the agent has closed its end.
async fn is_over(agent: &mut UnixStream) {
    let mut byte = [0];
    while matches!(agent.read(&mut byte).await, Ok(1)) {}
}

/// All children of this process.
fn children() -> io::Result<Vec<Pid>> {
    let keeper = getpid();
    let processes = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |process: &i32| {
        // One that is gone meanwhile has no such file.
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        parent(&stat) == Some(keeper)
    };
    Ok(processes.filter(is_child).filter_map(Pid::from_raw).collect())
}

/// The parent in a line of `/proc/*/stat`: behind the name, which may hold anything, and the state.
fn parent(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent("4711 (sh) S 4700 4711 4711 0 -1"), Pid::from_raw(4700));
        assert_eq!(parent("4711 (a ) R 1 (b)) S 4700 4711"), Pid::from_raw(4700));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn a_full_machine_is_no_fault_of_the_program() {
        let told = |errno: rustix::io::Errno| Told::not_started(&io::Error::from(errno));
        assert!(matches!(told(rustix::io::Errno::AGAIN), Told::NotStarted { is_refused: true, .. }));
        assert!(matches!(told(rustix::io::Errno::NOENT), Told::NotStarted { is_refused: false, .. }));
    }
}
