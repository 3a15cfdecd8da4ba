//! How a keeper starts its program: confined before its first instruction.

use super::messages::{Order, Started};
use crate::limits::cores_of;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::process::{getpid, getppid, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Starts it in a group of its own, and so that it is killed with the keeper.
pub(super) fn start(order: &Order) -> io::Result<(Pid, Started)> {
    let (program, arguments) = order.command.split_first().ok_or_else(|| io::Error::other("it has no command"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0);
    if let Some(directory) = &order.directory {
        command.current_dir(directory);
    }
    let confinement = Confinement::of(order)?;
    let keeper = getpid();
    // SAFETY: between fork and exec it makes system calls, which allocate nothing and take no lock.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            match getppid() {
                Some(parent) if parent == keeper => confinement.enter(),
                // It was too late for the signal.
                _ => Err(rustix::io::Errno::SRCH.into()),
            }
        });
    }
    let child = Pid::from_child(&command.spawn()?);
    Ok((child, started(child)))
}

/// All that must be made ready before the fork.
struct Confinement {
    cgroup: Option<File>,
    cores: Option<CpuSet>,
    address_space: Option<Rlimit>,
}

impl Confinement {
    fn of(order: &Order) -> io::Result<Self> {
        let open = |cgroup| OpenOptions::new().write(true).open(cgroup);
        let cgroup = order.cgroup.as_ref().map(|cgroup| open(cgroup.join("cgroup.procs"))).transpose()?;
        let cores = (!order.cores.is_empty()).then(|| cpu_set(&order.cores)).transpose()?;
        // The higher limit stays, so that whoever has no more rights than the program can give it more later.
        let address_space = order.address_space_bytes.map(|bytes| {
            let maximum = getrlimit(Resource::As).maximum;
            Rlimit { current: Some(maximum.map_or(bytes, |maximum| maximum.min(bytes))), maximum }
        });
        Ok(Self { cgroup, cores, address_space })
    }

    fn enter(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.cgroup {
            // 0 is who writes it.
            rustix::io::write(cgroup, b"0")?;
        }
        if let Some(cores) = &self.cores {
            sched_setaffinity(None, cores)?;
        }
        if let Some(limit) = self.address_space {
            setrlimit(Resource::As, limit)?;
        }
        Ok(())
    }
}

/// An error for an id that no set can hold.
pub(crate) fn cpu_set(cores: &[u32]) -> io::Result<CpuSet> {
    let mut set = CpuSet::new();
    for core in cores {
        match usize::try_from(*core) {
            Ok(core) if core < CpuSet::MAX_CPU => set.set(core),
            _ => return Err(io::Error::other(format!("core {core} is none that the system knows"))),
        }
    }
    Ok(set)
}

/// It stays in `/proc` until it is waited for, even if it has ended already.
fn started(program: Pid) -> Started {
    let read = |file: &str| fs::read_to_string(format!("/proc/{program}/{file}")).unwrap_or_default();
    Started {
        process: program.as_raw_nonzero().get(),
        cores: allowed_cores(&read("status")),
        address_space_bytes: address_space(&read("limits")),
    }
}

/// In `/proc/*/status`.
pub(crate) fn allowed_cores(status: &str) -> Option<Vec<u32>> {
    cores_of(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

/// The lower limit in `/proc/*/limits`; `None`: there is none.
pub(crate) fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(allowed_cores("Cpus_allowed:\t5\nCpus_allowed_list:\t0,2\n"), Some(vec![0, 2]));
        assert_eq!(allowed_cores(""), None);
        let limits = "Max cpu time              unlimited            unlimited            seconds\n\
                      Max address space         1048576              unlimited            bytes";
        assert_eq!(address_space(limits), Some(1_048_576));
        assert_eq!(address_space("Max address space         unlimited            unlimited            bytes"), None);
    }
}
