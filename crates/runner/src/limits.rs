//! What a task may use, and what holds of it.

use crate::Launch;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// What holds of the limits that were asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// Ids, sorted.
    pub cores: Limit<Vec<u32>>,
    pub memory_bytes: Limit<u64>,
    /// How many processes and threads.
    pub pids: Limit<u32>,
    pub by: Mechanism,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub cores: Vec<u32>,
    pub memory_bytes: Option<u64>,
    pub pids: Option<u32>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Limit<T> {
    NotAsked,
    Holds(T),
    /// It was asked for, and does not hold.
    Unlimited {
        reason: String,
    },
}

/// What keeps a task within its limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mechanism {
    /// A control group (v2) of the task's own, in a subtree that is delegated to the agent.
    Cgroup,
    /// A scope of a systemd manager: a control group that systemd made.
    Scope,
    /// For well-meaning programs: a process may leave its cores, and *each* process may have so much address space.
    AffinityAndRlimit,
    /// The control group that an engine made.
    Docker,
}

/// What a task uses.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Usage {
    /// Now.
    pub memory_bytes: u64,
    /// By all its processes since its start.
    pub processor_time: Duration,
}

impl Asked {
    pub fn of(launch: &Launch) -> Self {
        Self { cores: launch.cores.clone(), memory_bytes: launch.memory_bytes, pids: launch.pids }
    }

    /// An empty list and `None` leave what was asked for before.
    pub fn change(&mut self, cores: &[u32], memory_bytes: Option<u64>) {
        if !cores.is_empty() {
            self.cores = cores.to_vec();
        }
        self.memory_bytes = memory_bytes.or(self.memory_bytes);
    }
}

impl<T: PartialOrd + Display> Limit<T> {
    /// What the system says, judged by what was asked for: it may round, to whole pages, but not up.
    pub(crate) fn judged(asked: Option<T>, found: Option<T>, why_not: &str) -> Self {
        match (asked, found) {
            (None, _) => Self::NotAsked,
            (Some(asked), Some(found)) if found <= asked => Self::Holds(found),
            (Some(asked), Some(found)) => {
                Self::Unlimited { reason: format!("{asked} was asked for, and the system says {found}") }
            }
            (Some(_), None) => Self::Unlimited { reason: why_not.to_owned() },
        }
    }
}

impl Limit<Vec<u32>> {
    pub(crate) fn judged_cores(asked: &[u32], found: Option<Vec<u32>>, why_not: &str) -> Self {
        match found {
            _ if asked.is_empty() => Self::NotAsked,
            Some(found) if cores_text(&found) == cores_text(asked) => Self::Holds(found),
            Some(found) => {
                let (asked, found) = (cores_text(asked), cores_text(&found));
                Self::Unlimited { reason: format!("{asked} was asked for, and the system says {found}") }
            }
            None => Self::Unlimited { reason: why_not.to_owned() },
        }
    }
}

impl Display for Mechanism {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup => "cgroup",
            Self::Scope => "systemd scope",
            Self::AffinityAndRlimit => "affinity and rlimit",
            Self::Docker => "docker",
        })
    }
}

/// As the kernel and engines write lists of cores: sorted, each by itself.
pub fn cores_text(cores: &[u32]) -> String {
    let mut cores = cores.to_vec();
    cores.sort_unstable();
    cores.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// Reads `0-2,7`; `None` when it is no such list.
pub(crate) fn cores_of(text: &str) -> Option<Vec<u32>> {
    let mut cores = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // No machine has more; a list that says so is not one.
        if last.checked_sub(first)? >= MAX_CORES {
            return None;
        }
        cores.extend(first..=last);
    }
    Some(cores)
}

/// More than the kernel can be built for.
const MAX_CORES: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read_and_written() {
        let check = |text: &str, expected: Option<&[u32]>| assert_eq!(cores_of(text).as_deref(), expected, "{text}");
        check("0-2,7\n", Some(&[0, 1, 2, 7]));
        check("\n", Some(&[]));
        check("3", Some(&[3]));
        check("3-1", None);
        check("0-4294967295", None);
        check("a", None);
        assert_eq!(cores_text(&[7, 0, 1]), "0,1,7");
    }

    #[test]
    fn what_the_system_says_decides() {
        let judged = |asked, found| Limit::judged(asked, found, "it is not delegated");
        assert_eq!(judged(None, Some(7)), Limit::NotAsked);
        assert_eq!(judged(Some(7), Some(7)), Limit::Holds(7));
        assert_eq!(judged(Some(4097), Some(4096)), Limit::Holds(4096));
        assert_eq!(judged(Some(7), None), Limit::Unlimited { reason: "it is not delegated".into() });
        let reason = "7 was asked for, and the system says 9".to_owned();
        assert_eq!(judged(Some(7), Some(9)), Limit::Unlimited { reason });
        let cores = |found: &[u32]| Limit::judged_cores(&[1, 0], Some(found.to_vec()), "");
        assert_eq!(cores(&[0, 1]), Limit::Holds(vec![0, 1]));
        let reason = "0,1 was asked for, and the system says 0,1,2".to_owned();
        assert_eq!(cores(&[0, 1, 2]), Limit::Unlimited { reason });
    }
}
