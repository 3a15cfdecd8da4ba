//! The agent's end of a [`keeper`](super::keeper).

use super::keeper::Told;
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How long a keeper may take to end: longer than it waits for what it killed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A program that runs, with all that it starts; dropping it ends them.
pub(super) struct Kept {
    keeper: Child,
    socket: BufReader<UnixStream>,
}

impl Kept {
    /// Starts a keeper; `command` is the whole of its command line and environment.
    pub fn start(mut command: Command) -> io::Result<(Self, ChildStdout, ChildStderr)> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let socket = BufReader::new(UnixStream::from_std(ours)?);
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Not of the agent's group: a terminal's Ctrl-C is the agent's to act on.
        let mut keeper = command.process_group(0).spawn()?;
        let missing = || io::Error::other("it has no output");
        let (stdout, stderr) = (keeper.stdout.take().ok_or_else(missing)?, keeper.stderr.take().ok_or_else(missing)?);
        Ok((Self { keeper, socket }, stdout, stderr))
    }

    /// Waits until the program has ended; `None`: the keeper was killed before.
    pub async fn told(&mut self) -> io::Result<Option<Told>> {
        let mut line = String::new();
        self.socket.read_line(&mut line).await?;
        Ok(serde_json::from_str(&line).ok())
    }

    /// Ends the program and all that it started, and waits until they are gone.
    pub async fn end(self) -> io::Result<()> {
        let Self { mut keeper, socket } = self;
        drop(socket);
        match tokio::time::timeout(ENDS_WITHIN, keeper.wait()).await {
            Ok(ended) => ended.map(|_| ()),
            // Somebody holds it; the program dies with it.
            Err(_) => keeper.kill().await,
        }
    }
}
