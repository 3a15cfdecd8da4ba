//! Scopes of a systemd manager: it makes the control group, where none is delegated.

use super::cgroup::{Controller, Group};
use crate::{Launch, RunnerError, cores_text};
use rustix::process::geteuid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

const ANSWERS_WITHIN: Duration = Duration::from_secs(15);

/// The keeper is in the scope, too; it has one thread.
const KEEPER_PIDS: u32 = 1;

/// A manager that makes scopes for this user.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Manager {
    whose: Whose,
    /// Where control groups are mounted.
    pub root: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Whose {
    System,
    User,
}

impl Whose {
    fn flag(self) -> &'static str {
        match self {
            Self::System => "--system",
            Self::User => "--user",
        }
    }
}

impl Manager {
    /// The one of the system for root, else the user's own; or why there is none.
    pub async fn find(root: Option<PathBuf>) -> Result<Self, String> {
        let root = root.ok_or("control groups of version 2 are not mounted")?;
        let whose = if geteuid().is_root() { Whose::System } else { Whose::User };
        let manager = Self { whose, root };
        let said = manager.run(&["is-system-running".to_owned()]).await?;
        match String::from_utf8_lossy(&said.stdout).trim() {
            "running" | "degraded" | "starting" => Ok(manager),
            said => Err(format!("the systemd manager ({}) says `{said}`", whose.flag())),
        }
    }

    /// The command line that runs another one in a scope.
    pub fn command_line(&self, launch: &Launch) -> Vec<OsString> {
        let mut words = vec!["systemd-run".to_owned(), self.whose.flag().to_owned()];
        words.extend(["--scope", "--quiet", "--collect"].map(str::to_owned));
        words.push(format!("--unit={}", unit(&launch.name)));
        let properties = properties(&launch.cores, launch.memory_bytes, launch.pids);
        words.extend(properties.into_iter().map(|property| format!("--property={property}")));
        words.push("--".to_owned());
        words.into_iter().map(OsString::from).collect()
    }

    pub async fn resize(&self, task: &str, cores: &[u32], memory_bytes: Option<u64>) -> Result<(), RunnerError> {
        let mut words = vec!["set-property".to_owned(), "--runtime".to_owned(), unit(task)];
        words.extend(properties(cores, memory_bytes, None));
        self.act(&words).await
    }

    /// The names of the tasks that have a scope and begin like this.
    pub async fn tasks(&self, prefix: &str) -> Result<Vec<String>, RunnerError> {
        let pattern = unit(&format!("{prefix}*"));
        let words = ["list-units", "--all", "--plain", "--no-legend", &pattern].map(str::to_owned);
        let listed = self.run(&words).await.map_err(surroundings)?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let units = listed.lines().filter_map(|line| line.split_ascii_whitespace().next());
        Ok(units.filter_map(|unit| unit.strip_suffix(".scope").map(str::to_owned)).collect())
    }

    pub async fn end(&self, task: &str) -> Result<(), RunnerError> {
        // Of one that has just ended by itself they fail: what counts is whether it is there.
        let killed = self.act(&["kill".to_owned(), "--signal=KILL".to_owned(), unit(task)]).await;
        let stopped = self.act(&["stop".to_owned(), unit(task)]).await;
        if self.tasks(task).await?.iter().any(|listed| listed == task) { killed.and(stopped) } else { Ok(()) }
    }

    /// Those that it can limit scopes by.
    pub fn controllers(&self) -> BTreeSet<Controller> {
        let own = match self.whose {
            Whose::System => self.root.clone(),
            Whose::User => {
                let user = geteuid().as_raw();
                self.root.join(format!("user.slice/user-{user}.slice/user@{user}.service"))
            }
        };
        Controller::listed(&std::fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default())
    }

    /// The group of a process that runs in a scope.
    pub fn group(&self, process: u32) -> Option<Group> {
        Group::of(&self.root, &std::fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?)
    }

    async fn act(&self, words: &[String]) -> Result<(), RunnerError> {
        let said = self.run(words).await.map_err(surroundings)?;
        if said.status.success() {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        Err(RunnerError::Surroundings { doing: format!("ask systemd to {}", words.join(" ")), reason })
    }

    async fn run(&self, words: &[String]) -> Result<Output, String> {
        let mut command = Command::new("systemctl");
        command.arg(self.whose.flag()).args(words).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(ANSWERS_WITHIN, command.output()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(format!("systemctl cannot be run: {error}")),
            Err(_) => Err(format!("systemctl does not answer within {ANSWERS_WITHIN:?}")),
        }
    }
}

/// What a scope counts beside the task itself.
pub(super) fn without_keeper(pids: u32) -> u32 {
    pids.saturating_sub(KEEPER_PIDS)
}

fn surroundings(reason: String) -> RunnerError {
    RunnerError::Surroundings { doing: "ask systemd".to_owned(), reason }
}

fn unit(task: &str) -> String {
    format!("{task}.scope")
}

fn properties(cores: &[u32], memory_bytes: Option<u64>, pids: Option<u32>) -> Vec<String> {
    let mut properties = Vec::new();
    if let Some(bytes) = memory_bytes {
        properties.extend([format!("MemoryMax={bytes}"), "MemorySwapMax=0".to_owned()]);
    }
    if let Some(pids) = pids {
        properties.push(format!("TasksMax={}", pids.saturating_add(KEEPER_PIDS)));
    }
    if !cores.is_empty() {
        properties.push(format!("AllowedCPUs={}", cores_text(cores)));
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_asked_for_with_its_limits() {
        let manager = Manager { whose: Whose::User, root: "/sys/fs/cgroup".into() };
        let launch =
            Launch { cores: vec![2, 0], memory_bytes: Some(4096), pids: Some(7), ..Launch::example("a1-j1-t0-a1") };
        let expected = "systemd-run --user --scope --quiet --collect --unit=a1-j1-t0-a1.scope --property=MemoryMax=4096 \
                        --property=MemorySwapMax=0 --property=TasksMax=8 --property=AllowedCPUs=0,2 --";
        assert_eq!(manager.command_line(&launch).join(" ".as_ref()).to_str(), Some(expected));
        let bare = manager.command_line(&Launch::example("x"));
        assert_eq!(bare.last().and_then(|word| word.to_str()), Some("--"));
        assert!(!bare.iter().any(|word| word.to_string_lossy().starts_with("--property")));
    }
}
