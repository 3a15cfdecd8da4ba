//! What keeps programs within their limits on this machine.

use super::cgroup::{self, Controller, Subtree};
use super::place::{NO_COUNT, NO_CPUSET, NO_MEMORY, NO_PIDS, Place};
use super::scope::Manager;
use crate::limits::cores_of;
use crate::{Abilities, Launch, Limit, Limits, Mechanism, RunnerError};
use std::ffi::OsString;
use std::path::Path;
use std::{fs, process};
use tokio::process::Command;

/// There where systemd is the machine's (or the container's) own.
const SYSTEMD_RUNS: &str = "/run/systemd/system";

/// The best that this machine has.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Confinement {
    Subtree(Subtree),
    Scope(Manager),
    Affinity,
}

impl Confinement {
    /// With the reasons why it is no better one.
    pub async fn find() -> (Self, Vec<String>) {
        let own = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let root = cgroup::root(&own("mountinfo"));
        let prepared = match &root {
            Some(root) => Subtree::prepare(root, &own("cgroup"), Path::new(SYSTEMD_RUNS).exists()),
            None => Err("control groups of version 2 are not mounted".to_owned()),
        };
        let no_subtree = match prepared {
            Ok(subtree) => return (Self::Subtree(subtree), Vec::new()),
            Err(reason) => format!("no control group: {reason}"),
        };
        match Manager::find(root).await {
            Ok(manager) => (Self::Scope(manager), vec![no_subtree]),
            Err(reason) => (Self::Affinity, vec![no_subtree, format!("no scope: {reason}")]),
        }
    }

    /// Those that tasks can have.
    pub fn cores(&self) -> Result<Vec<u32>, RunnerError> {
        let of_group = match self {
            Self::Subtree(subtree) => subtree.cores(),
            Self::Scope(_) => {
                fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|text| cores_of(&text))
            }
            Self::Affinity => None,
        };
        let own = || crate::keeper::allowed_cores(&fs::read_to_string("/proc/self/status").ok()?);
        of_group.or_else(own).ok_or_else(|| RunnerError::Surroundings {
            doing: "learn this machine's cores".to_owned(),
            reason: "/proc/self/status does not say".to_owned(),
        })
    }

    pub fn abilities(&self, remarks: Vec<String>) -> Result<Abilities, RunnerError> {
        let cores = self.cores()?;
        let memory_bytes = memory_bytes().ok_or_else(|| RunnerError::Surroundings {
            doing: "learn this machine's memory".to_owned(),
            reason: "/proc/meminfo does not say".to_owned(),
        })?;
        let controllers = match self {
            Self::Subtree(subtree) => Some(subtree.controllers().clone()),
            Self::Scope(manager) => Some(manager.controllers()),
            Self::Affinity => None,
        };
        let has = |controller| controllers.as_ref().is_none_or(|given| given.contains(&controller));
        let no_count = if controllers.is_some() { NO_PIDS } else { NO_COUNT };
        let limits = Limits {
            cores: held(cores.clone(), has(Controller::Cpuset), NO_CPUSET),
            memory_bytes: held(memory_bytes, has(Controller::Memory), NO_MEMORY),
            pids: held(u32::MAX, controllers.is_some() && has(Controller::Pids), no_count),
            by: self.mechanism(),
        };
        Ok(Abilities { cores, memory_bytes, limits, remarks })
    }

    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Subtree(_) => Mechanism::Cgroup,
            Self::Scope(_) => Mechanism::Scope,
            Self::Affinity => Mechanism::AffinityAndRlimit,
        }
    }

    /// The keeper's command line up to its arguments.
    pub fn command(&self, keeper: &Path, launch: &Launch) -> Command {
        match self {
            Self::Subtree(_) | Self::Affinity => Command::new(keeper),
            Self::Scope(manager) => {
                let mut words = manager.command_line(launch);
                words.push(of_this_process(keeper));
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
        }
    }

    /// Makes the place for a program.
    pub async fn enter(&self, launch: &Launch) -> Result<Place, RunnerError> {
        Ok(match self {
            Self::Subtree(subtree) => Place::Group { subtree: subtree.clone(), group: subtree.create(launch).await? },
            Self::Scope(manager) => Place::Scope { manager: manager.clone(), task: launch.name.clone(), group: None },
            Self::Affinity => Place::Affinity,
        })
    }

    /// Ends what is in such places.
    pub async fn sweep(&self, prefix: &str) -> Result<Vec<String>, RunnerError> {
        let mut ended = Vec::new();
        match self {
            Self::Subtree(subtree) => {
                for (name, group) in subtree.groups(prefix) {
                    group.end().await?;
                    ended.push(name);
                }
            }
            Self::Scope(manager) => {
                for name in manager.tasks(prefix).await? {
                    manager.end(&name).await?;
                    ended.push(name);
                }
            }
            Self::Affinity => {}
        }
        Ok(ended)
    }
}

fn held<T>(most: T, holds: bool, why_not: &str) -> Limit<T> {
    if holds { Limit::Holds(most) } else { Limit::Unlimited { reason: why_not.to_owned() } }
}

/// The machine's.
fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// For `systemd-run`, to which `/proc/self` is another process.
fn of_this_process(program: &Path) -> OsString {
    match program.strip_prefix("/proc/self") {
        Ok(rest) => Path::new("/proc").join(process::id().to_string()).join(rest).into(),
        Err(_) => program.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_runs_here_is_named_so_that_others_find_it() {
        let expected = format!("/proc/{}/exe", process::id());
        assert_eq!(of_this_process(Path::new("/proc/self/exe")), OsString::from(expected));
        assert_eq!(of_this_process(Path::new("/usr/bin/agent")), OsString::from("/usr/bin/agent"));
    }
}
