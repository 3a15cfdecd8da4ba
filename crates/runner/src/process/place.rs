//! Where one program runs: its control group, its scope, or nowhere in particular.

use super::cgroup::{Controller, Group, Subtree};
use super::scope::{Manager, without_keeper};
use crate::keeper::{Kept, NotStarted, Order, Started, address_space, allowed_cores, cpu_set};
use crate::limits::Asked;
use crate::process_table::{Process, tree};
use crate::{Launch, Limit, Limits, Mechanism, RunnerError, Usage};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use rustix::thread::sched_setaffinity;
use std::{fs, io};
use tokio::net::unix::pipe;
use tokio::process::Command;

pub(super) const NO_COUNT: &str = "without a control group nobody counts processes";
pub(super) const NO_CPUSET: &str =
    "the controller cpuset is not delegated: the affinity is set, which a program may change";
pub(super) const NO_MEMORY: &str = "the controller memory is not delegated";
pub(super) const NO_PIDS: &str = "the controller pids is not delegated";

/// How often the processes of a task are looked through: one that started meanwhile has the old limits.
const LOOKS: u32 = 10;

#[derive(Clone, Debug)]
pub(super) enum Place {
    Group {
        subtree: Subtree,
        group: Group,
    },
    Scope {
        manager: Manager,
        task: String,
        /// Known when the keeper is in it.
        group: Option<Group>,
    },
    Affinity,
}

impl Place {
    /// Starts a keeper, and it the program, which prints into the pipe.
    pub async fn start(&mut self, mut command: Command, launch: &Launch) -> Result<(Kept, pipe::Receiver), NotStarted> {
        let printed = pipe_of(&mut command).map_err(NotStarted::Keeper)?;
        let kept = Kept::start(command, self.order(launch)).await?;
        if let Self::Scope { manager, group, .. } = self {
            *group = kept.keeper().and_then(|keeper| manager.group(keeper));
        }
        Ok((kept, printed))
    }

    fn order(&self, launch: &Launch) -> Order {
        let (cgroup, address_space_bytes) = match self {
            Self::Group { group, .. } => (Some(group.path().to_owned()), None),
            Self::Scope { .. } => (None, None),
            Self::Affinity => (None, launch.memory_bytes),
        };
        let (command, directory) = (launch.command.clone(), Some(launch.directory.clone()));
        let cores = if self.has_cpuset() { Vec::new() } else { launch.cores.clone() };
        Order { command, directory, cgroup, cores, address_space_bytes }
    }

    /// Whether its group pins it; otherwise its affinity does.
    fn has_cpuset(&self) -> bool {
        match self {
            Self::Group { subtree, .. } => subtree.has(Controller::Cpuset),
            Self::Scope { manager, .. } => manager.controllers().contains(&Controller::Cpuset),
            Self::Affinity => false,
        }
    }

    /// What the kernel says.
    pub fn limits(&self, asked: &Asked, started: &Started) -> Limits {
        let has_cpuset = self.has_cpuset();
        let of_group = |group: Option<&Group>, pids: Option<u32>, by| Limits {
            cores: Limit::judged_cores(&asked.cores, group.filter(|_| has_cpuset).and_then(Group::cores), NO_CPUSET),
            memory_bytes: Limit::judged(asked.memory_bytes, group.and_then(Group::memory_limit), NO_MEMORY),
            pids: Limit::judged(asked.pids, pids, NO_PIDS),
            by,
        };
        match self {
            Self::Group { group, .. } => of_group(Some(group), group.pids_limit(), Mechanism::Cgroup),
            Self::Scope { group, .. } => {
                let pids = group.as_ref().and_then(Group::pids_limit).map(without_keeper);
                of_group(group.as_ref(), pids, Mechanism::Scope)
            }
            Self::Affinity => Limits {
                cores: Limit::judged_cores(&asked.cores, started.cores.clone(), "/proc does not say so"),
                memory_bytes: Limit::judged(asked.memory_bytes, started.address_space_bytes, "/proc does not say so"),
                pids: Limit::judged(asked.pids, None, NO_COUNT),
                by: Mechanism::AffinityAndRlimit,
            },
        }
    }

    fn group(&self) -> Option<&Group> {
        match self {
            Self::Group { group, .. } => Some(group),
            Self::Scope { group, .. } => group.as_ref(),
            Self::Affinity => None,
        }
    }

    pub fn is_out_of_memory(&self) -> bool {
        self.group().is_some_and(Group::is_out_of_memory)
    }

    /// `keeper` is above all that the task has started.
    pub fn usage(&self, keeper: Pid) -> Option<Usage> {
        if let Some(group) = self.group() {
            return Some(Usage { memory_bytes: group.memory_bytes()?, processor_time: group.processor_time()? });
        }
        let processes = tree(keeper).ok()?;
        let own = processes.iter().filter(|process| process.id != keeper);
        // The keeper's time holds that of those who have ended.
        let processor_time = processes.iter().map(|process| process.processor_time).sum();
        Some(Usage { memory_bytes: own.map(|process| process.resident_bytes).sum(), processor_time })
    }

    pub async fn resize(&self, keeper: Pid, cores: &[u32], memory_bytes: Option<u64>) -> Result<(), RunnerError> {
        let failed = |error: io::Error| RunnerError::system("change the limits of a task", &error);
        match self {
            Self::Group { group, .. } => {
                if let Some(bytes) = memory_bytes {
                    let limited = group.limit_memory(bytes).map_err(failed)?;
                    limited.map_err(|in_use| RunnerError::below_use(bytes, in_use))?;
                }
                if cores.is_empty() {
                    Ok(())
                } else if self.has_cpuset() {
                    group.pin(cores).map_err(failed)
                } else {
                    for_each(keeper, |process| pin(process, cores)).map_err(failed)
                }
            }
            Self::Scope { manager, task, group } => {
                let in_use = group.as_ref().and_then(Group::memory_bytes);
                if let (Some(bytes), Some(in_use)) = (memory_bytes, in_use)
                    && in_use >= bytes
                {
                    return Err(RunnerError::below_use(bytes, in_use));
                }
                manager.resize(task, cores, memory_bytes).await
            }
            Self::Affinity => {
                if let Some(bytes) = memory_bytes {
                    let processes = tree(keeper).map_err(failed)?.into_iter().filter(|process| process.id != keeper);
                    let in_use = processes.map(|process| process.address_space_bytes).max().unwrap_or_default();
                    if in_use > bytes {
                        return Err(RunnerError::below_use(bytes, in_use));
                    }
                }
                for_each(keeper, |process| {
                    pin(process, cores)?;
                    memory_bytes.map_or(Ok(()), |bytes| limit_address_space(process.id, bytes))
                })
                .map_err(failed)
            }
        }
    }

    /// When nothing runs in it any more, or what does is to be killed.
    pub async fn leave(&self) -> Result<(), RunnerError> {
        match self {
            Self::Group { group, .. } => group.end().await,
            // It goes with its last process.
            Self::Scope { .. } | Self::Affinity => Ok(()),
        }
    }
}

/// What `/proc` says of a program now.
pub(super) fn look(started: &Started) -> Started {
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", started.process)).unwrap_or_default();
    Started {
        process: started.process,
        cores: allowed_cores(&read("status")),
        address_space_bytes: address_space(&read("limits")),
    }
}

fn pipe_of(command: &mut Command) -> io::Result<pipe::Receiver> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    pipe::Receiver::from_owned_fd(reader.into())
}

/// Does it to every process below a keeper, and to those that were started meanwhile.
fn for_each(keeper: Pid, act: impl Fn(&Process) -> io::Result<()>) -> io::Result<()> {
    let mut done: Vec<Pid> = vec![keeper];
    for _ in 0..LOOKS {
        let new: Vec<Process> = tree(keeper)?.into_iter().filter(|process| !done.contains(&process.id)).collect();
        if new.is_empty() {
            break;
        }
        for process in new {
            match act(&process) {
                // It has ended.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                acted => acted?,
            }
            done.push(process.id);
        }
    }
    Ok(())
}

/// Every thread has an affinity of its own.
fn pin(process: &Process, cores: &[u32]) -> io::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let set = cpu_set(cores)?;
    let threads = fs::read_dir(format!("/proc/{}/task", process.id)).into_iter().flatten().flatten();
    let ids = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok()).filter_map(Pid::from_raw);
    for thread in ids {
        match sched_setaffinity(Some(thread), &set) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The higher limit stays.
fn limit_address_space(process: Pid, bytes: u64) -> io::Result<()> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"));
    let maximum = line.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
    let current = Some(maximum.map_or(bytes, |maximum: u64| maximum.min(bytes)));
    prlimit(Some(process), Resource::As, Rlimit { current, maximum })?;
    Ok(())
}
