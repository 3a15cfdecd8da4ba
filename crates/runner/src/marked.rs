//! Processes by a mark in their environment, which everything inherits that a program starts. So those are found that outlived
//! whoever watched over them; not those that changed their environment, or another user's.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A process with the mark.
pub struct Marked {
    pub process: u32,
    pub value: String,
    /// Taken before its environment was read: what is killed is what was looked at, even if the number is given anew.
    handle: OwnedFd,
}

/// All processes with this variable, but for this one.
pub fn find(variable: &str) -> Vec<Marked> {
    // Without this list of processes there is none that could be found.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    ids.filter(|id| *id != getpid()).filter_map(|id| read(id, variable)).collect()
}

fn read(id: Pid, variable: &str) -> Option<Marked> {
    let handle = pidfd_open(id, PidfdFlags::empty()).ok()?;
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|entry| entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"="))?;
    let process = u32::try_from(id.as_raw_nonzero().get()).ok()?;
    Some(Marked { process, value: String::from_utf8_lossy(value).into_owned(), handle })
}

impl Marked {
    /// Whether it could be told to.
    pub fn kill(&self) -> bool {
        pidfd_send_signal(&self.handle, Signal::KILL).is_ok()
    }

    /// Whether it has ended within this time.
    pub async fn is_gone(self, within: Duration) -> bool {
        let Ok(within) = Timespec::try_from(within) else { return false };
        // A handle becomes readable at the end.
        let wait = move || poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&within));
        matches!(tokio::task::spawn_blocking(wait).await, Ok(Ok(1)))
    }
}
