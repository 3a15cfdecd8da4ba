//! A keeper: the process between an agent and a program, which outlives both and leaves nothing behind.
//!
//! It is told that the task is over by the end of its standard input, a socket that the kernel closes however the agent ends.
//! It is the subreaper of all that the program starts: whoever loses its parent becomes a child of the keeper, in whatever
//! session or group it is, so killing children until there are none reaches every one, and nobody else.

mod kept;
mod messages;
mod program;

pub use kept::{Kept, NotStarted};
pub use messages::{Failure, Order, Started};
pub(crate) use program::{address_space, allowed_cores, cpu_set};

use crate::process_table::processes;
use messages::{Asked, Told};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use rustix::process::{getpid, kill_process, set_child_subreaper, wait};
use serde::de::DeserializeOwned;
use std::os::fd::AsFd as _;
use std::time::Duration;
use std::{fs, io};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{self, SignalKind};

/// How long what is killed may take to be gone: a process that waits for a disk cannot die before the disk answers. It was
/// told to all the same.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Runs the program that it is told to, until that ends, or the agent or the task does; then ends all that it started.
pub fn keep() -> io::Result<()> {
    // For those who list processes; where it cannot be written, they see another name.
    let _unnamed = fs::write("/proc/self/comm", "job-keeper");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut keeper = Keeper::new()?;
        let Some(Asked::Start(order)) = keeper.agent.asked().await else { return Ok(()) };
        match program::start(&order) {
            Ok((program, started)) => {
                keeper.tell(&Told::Started(started)).await;
                keeper.follow(program).await?;
                keeper.end_all(program).await
            }
            Err(error) => {
                keeper.tell(&Told::NotStarted(error.into())).await;
                Ok(())
            }
        }
    })
}

struct Keeper {
    agent: Messages,
    to_agent: OwnedWriteHalf,
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
        let (from_agent, to_agent) = UnixStream::from_std(socket)?.into_split();
        Ok(Self {
            agent: Messages::of(from_agent),
            to_agent,
            children: unix::signal(SignalKind::child())?,
            // Caught and not ignored: the program would inherit that.
            _deaf_to: deaf_to.into_iter().map(unix::signal).collect::<io::Result<_>>()?,
        })
    }

    /// Returns when the program has ended, or the task is over.
    async fn follow(&mut self, program: Pid) -> io::Result<()> {
        loop {
            while let Some((child, status)) = ended_child()? {
                if child == program {
                    self.tell(&Told::Ended(status.as_raw())).await;
                    return Ok(());
                }
            }
            tokio::select! {
                _ = self.children.recv() => {}
                asked = self.agent.asked() => match asked {
                    // It has not been waited for, so its number is its own.
                    Some(Asked::Signal(signal)) => signal_process(program, signal),
                    // It runs already.
                    Some(Asked::Start(_)) => {}
                    None => return Ok(()),
                }
            }
        }
    }

    async fn tell(&mut self, told: &Told) {
        let line = serde_json::to_string(told).unwrap_or_default();
        // An agent that is gone needs no answer.
        let _gone = self.to_agent.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// Kills every child, and those that become children by it, until there are none.
    async fn end_all(&mut self, program: Pid) -> io::Result<()> {
        let end = async {
            loop {
                match ended_child() {
                    Ok(Some((child, status))) if child == program => {
                        self.tell(&Told::Ended(status.as_raw())).await;
                        continue;
                    }
                    Ok(Some(_)) => continue,
                    Ok(None) => {}
                    Err(error) if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) => {
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
                for child in processes()?.into_iter().filter(|process| process.parent == Some(getpid())) {
                    // Its number is its own until it is waited for. One with more rights than the agent cannot be killed.
                    let _refused = kill_process(child.id, Signal::KILL);
                }
                self.children.recv().await;
            }
        };
        tokio::time::timeout(GONE_WITHIN, end).await.unwrap_or(Ok(()))
    }
}

/// A number that is no signal is sent to nobody.
fn signal_process(process: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // Refused by one with more rights than the agent.
        let _refused = kill_process(process, signal);
    }
}

/// A child that has ended, taken off the list; an error when there are no children at all.
fn ended_child() -> io::Result<Option<(Pid, WaitStatus)>> {
    Ok(wait(WaitOptions::NOHANG)?)
}

/// What the other one says.
struct Messages(Lines<BufReader<OwnedReadHalf>>);

impl Messages {
    fn of(from: OwnedReadHalf) -> Self {
        Self(BufReader::new(from).lines())
    }

    /// The next thing that the agent asks for; `None`: it is gone. Can be dropped and called again.
    async fn asked(&mut self) -> Option<Asked> {
        self.next().await.ok().flatten()
    }

    /// Can be dropped and called again.
    async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        match self.0.next_line().await? {
            Some(line) => Ok(Some(serde_json::from_str(&line)?)),
            None => Ok(None),
        }
    }
}
