//! The agent's end of a keeper.

use super::Messages;
use super::messages::{Asked, Failure, Order, Started, Told};
use rustix::process::Signal;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::process::{Child, Command};

/// How long a keeper may take to end: longer than it waits for what it killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// How long a keeper may take to start a program, on a machine that is very busy.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

const ENDED_AT_ONCE: &str = "it has ended at once";

/// A program that runs, with all that it starts; dropping it ends them.
pub struct Kept {
    keeper: Child,
    told: Messages,
    to_keeper: OwnedWriteHalf,
    started: Started,
}

/// Why nothing runs.
#[derive(Debug)]
pub enum NotStarted {
    /// The keeper could not be started, or has ended before it started the program.
    Keeper(io::Error),
    Program(Failure),
}

impl Kept {
    /// Starts a keeper, and it the program; `command` is the whole of the keeper's command line, its environment is the
    /// program's, and where it writes, the program does.
    pub async fn start(command: Command, order: Order) -> Result<Self, NotStarted> {
        let (socket, keeper) = spawn(command).map_err(NotStarted::Keeper)?;
        let (from_keeper, mut to_keeper) = socket.into_split();
        let mut told = Messages::of(from_keeper);
        let answer = async {
            say(&mut to_keeper, &Asked::Start(order)).await?;
            told.next().await
        };
        let answer = tokio::time::timeout(STARTS_WITHIN, answer).await;
        let failed = match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Some(Told::Started(started))) => return Ok(Self { keeper, told, to_keeper, started }),
            Ok(Some(Told::NotStarted(failure))) => NotStarted::Program(failure),
            Ok(Some(Told::Ended(_)) | None) => NotStarted::Keeper(io::Error::other(ENDED_AT_ONCE)),
            Err(error) if is_gone(&error) => NotStarted::Keeper(io::Error::other(ENDED_AT_ONCE)),
            Err(error) => NotStarted::Keeper(error),
        };
        match end(keeper, told, to_keeper).await {
            Ok(_) => Err(failed),
            Err(error) => Err(NotStarted::Keeper(error)),
        }
    }

    pub fn started(&self) -> &Started {
        &self.started
    }

    /// The keeper's own number; `None`: it has ended.
    pub fn keeper(&self) -> Option<u32> {
        self.keeper.id()
    }

    /// The keeper's outputs, where they are pipes.
    pub fn outputs(&mut self) -> (Option<tokio::process::ChildStdout>, Option<tokio::process::ChildStderr>) {
        (self.keeper.stdout.take(), self.keeper.stderr.take())
    }

    /// Waits until the program has ended; `None`: the keeper was killed before. Can be dropped and called again.
    pub async fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        loop {
            match self.told.next().await {
                Ok(Some(Told::Ended(status))) => return Ok(Some(ExitStatus::from_raw(status))),
                Ok(Some(Told::Started(_) | Told::NotStarted(_))) => {}
                Ok(None) => return Ok(None),
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// To the program itself.
    pub async fn signal(&mut self, signal: Signal) -> io::Result<()> {
        say(&mut self.to_keeper, &Asked::Signal(signal.as_raw())).await
    }

    /// Ends the program and all that it started, and waits until they are gone; how the program ended, if it did by this.
    pub async fn end(self) -> io::Result<Option<ExitStatus>> {
        end(self.keeper, self.told, self.to_keeper).await
    }
}

async fn say(to_keeper: &mut OwnedWriteHalf, asked: &Asked) -> io::Result<()> {
    let line = serde_json::to_string(asked)?;
    to_keeper.write_all(format!("{line}\n").as_bytes()).await
}

async fn end(mut keeper: Child, mut told: Messages, to_keeper: OwnedWriteHalf) -> io::Result<Option<ExitStatus>> {
    // It reads the end of its input; what it says is heard still.
    drop(to_keeper);
    let end = async {
        let mut status = None;
        while let Ok(Some(told)) = told.next::<Told>().await {
            if let Told::Ended(ended) = told {
                status = Some(ExitStatus::from_raw(ended));
            }
        }
        keeper.wait().await.map(|_| status)
    };
    match tokio::time::timeout(ENDS_WITHIN, end).await {
        Ok(ended) => ended,
        // Somebody holds it; the program dies with it.
        Err(_) => keeper.kill().await.map(|()| None),
    }
}

/// Whether the keeper has ended, perhaps with something left to read.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// With the command goes what it holds of the keeper's end: who held it still would not see the keeper's.
fn spawn(mut command: Command) -> io::Result<(UnixStream, Child)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
    // Not of the agent's group: a terminal's Ctrl-C is the agent's to act on.
    Ok((ours, command.process_group(0).spawn()?))
}
