//! Control groups (v2): the subtree that is delegated to the agent, and a group of its own for each task in it.

use crate::limits::{cores_of, cores_text};
use crate::{Launch, RunnerError};
use rustix::fs::getxattr;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, process};

/// Where the agent itself goes: no process may sit in a group whose subgroups are limited.
const OWN_LEAF: &str = "agent";

/// How long what is killed may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// What is to be done where no group can be used.
const REMEDY: &str = "run the agent as a service with Delegate=cpu cpuset memory pids";

/// A group of ours in which every task gets one.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Subtree {
    path: PathBuf,
    /// Those that tasks' groups have.
    controllers: BTreeSet<Controller>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Controller {
    Cpuset,
    Memory,
    Pids,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Cpuset, Self::Memory, Self::Pids];

    fn name(self) -> &'static str {
        match self {
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }

    /// Those in a `cgroup.controllers`.
    pub fn listed(text: &str) -> BTreeSet<Self> {
        let is_listed = |controller: &Self| text.split_ascii_whitespace().any(|word| word == controller.name());
        Self::ALL.into_iter().filter(is_listed).collect()
    }
}

impl Subtree {
    /// Makes the group in which this process is the parent of tasks' groups. `root` is where the hierarchy is mounted, `own`
    /// what `/proc/self/cgroup` says, `is_systemds` whether systemd rules there: then it is not root's to take. Or why it cannot be.
    pub fn prepare(root: &Path, own: &str, is_systemds: bool) -> Result<Self, String> {
        let own = path_of(root, own).ok_or("this process is in no control group of version 2")?;
        // Made ready before, by another runner of this process or by systemd.
        let path = match own.parent() {
            Some(parent) if own.file_name().is_some_and(|name| name == OWN_LEAF) => parent.to_owned(),
            _ => own,
        };
        let read = |file: &str| {
            let file = path.join(file);
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
        };
        let controllers = Controller::listed(&read("cgroup.controllers")?);
        if !controllers.contains(&Controller::Memory) {
            return Err(format!("{} is not given the controller of memory: {REMEDY}", path.display()));
        }
        if is_systemds && !is_given_away(&path) {
            return Err(format!("{} is systemd's own: {REMEDY}", path.display()));
        }
        let inside = read("cgroup.procs")?;
        if let Some(other) = inside.lines().find(|line| *line != process::id().to_string()) {
            return Err(format!("process {other} is in {}, too: {REMEDY}", path.display()));
        }
        let subtree = Self { path, controllers };
        subtree
            .enable(!inside.is_empty())
            .map_err(|error| format!("{} is not delegated to this user: {error}: {REMEDY}", subtree.path.display()))?;
        Ok(subtree)
    }

    /// Moves this process out of the way, and gives the controllers on.
    fn enable(&self, is_inside: bool) -> io::Result<()> {
        if is_inside {
            let leaf = self.path.join(OWN_LEAF);
            make_directory(&leaf)?;
            fs::write(leaf.join("cgroup.procs"), process::id().to_string())?;
        }
        let enabled: Vec<String> =
            self.controllers.iter().map(|controller| format!("+{}", controller.name())).collect();
        fs::write(self.path.join("cgroup.subtree_control"), enabled.join(" "))
    }

    pub fn controllers(&self) -> &BTreeSet<Controller> {
        &self.controllers
    }

    pub fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    /// The cores that tasks can have.
    pub fn cores(&self) -> Option<Vec<u32>> {
        cores_of(&fs::read_to_string(self.path.join("cpuset.cpus.effective")).ok()?)
    }

    /// A group of its own, with its limits, and nobody in it. Or nothing.
    pub async fn create(&self, launch: &Launch) -> Result<Group, RunnerError> {
        let path = self.path.join(&launch.name);
        let doing = || format!("make the control group {}", path.display());
        fs::create_dir(&path).map_err(|error| RunnerError::system(doing(), &error))?;
        let group = Group { path: path.clone() };
        match self.limit(&group, launch) {
            Ok(()) => Ok(group),
            Err(error) => {
                group.end().await?;
                Err(RunnerError::system(doing(), &error))
            }
        }
    }

    fn limit(&self, group: &Group, launch: &Launch) -> io::Result<()> {
        if let Some(bytes) = launch.memory_bytes.filter(|_| self.has(Controller::Memory)) {
            group.write("memory.max", &bytes.to_string())?;
            // There is no such file on a system without swap.
            if group.path.join("memory.swap.max").exists() {
                group.write("memory.swap.max", "0")?;
            }
        }
        if let Some(pids) = launch.pids.filter(|_| self.has(Controller::Pids)) {
            group.write("pids.max", &pids.to_string())?;
        }
        if !launch.cores.is_empty() && self.has(Controller::Cpuset) {
            group.write("cpuset.cpus", &cores_text(&launch.cores))?;
        }
        Ok(())
    }

    /// The tasks' groups whose names begin with this.
    pub fn groups(&self, prefix: &str) -> Vec<(String, Group)> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
        named
            .filter(|(name, path)| name != OWN_LEAF && name.starts_with(prefix) && path.is_dir())
            .map(|(name, path)| (name, Group { path }))
            .collect()
    }
}

/// A task's group.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    path: PathBuf,
}

impl Group {
    /// The one that a process is in, by its `/proc/*/cgroup`.
    pub fn of(root: &Path, cgroup: &str) -> Option<Self> {
        Some(Self { path: path_of(root, cgroup)? })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn cores(&self) -> Option<Vec<u32>> {
        cores_of(&self.read("cpuset.cpus.effective")?)
    }

    /// `None`: there is no limit.
    pub fn memory_limit(&self) -> Option<u64> {
        self.number("memory.max")
    }

    /// `None`: there is no limit.
    pub fn pids_limit(&self) -> Option<u32> {
        self.number("pids.max")
    }

    pub fn memory_bytes(&self) -> Option<u64> {
        self.number("memory.current")
    }

    pub fn processor_time(&self) -> Option<Duration> {
        self.counted("cpu.stat", "usage_usec").map(Duration::from_micros)
    }

    /// Whether the kernel has killed any of it for want of memory.
    pub fn is_out_of_memory(&self) -> bool {
        self.counted("memory.events", "oom_kill").is_some_and(|killed| killed > 0)
    }

    pub fn pin(&self, cores: &[u32]) -> io::Result<()> {
        self.write("cpuset.cpus", &cores_text(cores))
    }

    /// Whether it can be, with what is in use. It is never killed for it: until it is known to fit, the new limit slows it down
    /// and makes it give back what it can.
    pub fn limit_memory(&self, bytes: u64) -> io::Result<Result<(), u64>> {
        self.write("memory.high", &bytes.to_string())?;
        let in_use = self.memory_bytes().unwrap_or(u64::MAX);
        let limited =
            if in_use < bytes { self.write("memory.max", &bytes.to_string()).map(Ok) } else { Ok(Err(in_use)) };
        self.write("memory.high", "max")?;
        limited
    }

    /// Kills all that is in it, and removes it.
    pub async fn end(&self) -> Result<(), RunnerError> {
        let removed = async {
            loop {
                match self.remove() {
                    Ok(()) => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                    Err(error) => return Err(error),
                }
                self.write("cgroup.kill", "1")?;
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        let removed = tokio::time::timeout(GONE_WITHIN, removed).await;
        removed
            .unwrap_or_else(|_| Err(io::Error::other("what is in it cannot be killed")))
            .map_err(|error| RunnerError::system(format!("remove the control group {}", self.path.display()), &error))
    }

    /// With the groups that the task has made in it, from the inside.
    fn remove(&self) -> io::Result<()> {
        let inner = fs::read_dir(&self.path)?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
        for path in inner {
            Self { path }.remove()?;
        }
        fs::remove_dir(&self.path)
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    /// `None` for `max`, and for what is not there.
    fn number<T: std::str::FromStr>(&self, file: &str) -> Option<T> {
        self.read(file)?.trim().parse().ok()
    }

    fn counted(&self, file: &str, name: &str) -> Option<u64> {
        let text = self.read(file)?;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find_map(|(field, value)| (field == name).then(|| value.parse().ok())?)
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.path.join(file), text)
    }
}

/// Whether systemd has marked a group as delegated; older ones do it where only root can read it.
fn is_given_away(group: &Path) -> bool {
    let marks = ["user.delegate", "trusted.delegate"];
    let is_marked = |mark: &str| {
        let mut value = [0; 1];
        getxattr(group, mark, &mut value).is_ok() && value == *b"1"
    };
    marks.into_iter().any(is_marked)
}

/// Where the hierarchy of version 2 is mounted, by `/proc/self/mountinfo`.
pub(super) fn root(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let path = mount.split(' ').nth(4)?;
        filesystem.starts_with("cgroup2 ").then(|| PathBuf::from(path))
    })
}

/// The group of version 2 in a `/proc/*/cgroup`.
fn path_of(root: &Path, cgroup: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(if path.is_empty() { root.to_owned() } else { root.join(path) })
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests;
