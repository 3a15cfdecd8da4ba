//! What `/proc` says of processes.

use rustix::process::Pid;
use std::collections::BTreeSet;
use std::time::Duration;
use std::{fs, io};

pub(crate) struct Process {
    pub id: Pid,
    pub parent: Option<Pid>,
    /// Its own, and of its children that it has waited for.
    pub processor_time: Duration,
    pub address_space_bytes: u64,
    pub resident_bytes: u64,
}

/// All that could be read: who is gone meanwhile is left out.
pub(crate) fn processes() -> io::Result<Vec<Process>> {
    let ids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let units = Units::of_this_system();
    Ok(ids
        .filter_map(Pid::from_raw)
        .filter_map(|id| read(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?, &units))
        .collect())
}

/// A process and all that descend from it.
pub(crate) fn tree(of: Pid) -> io::Result<Vec<Process>> {
    let mut left = processes()?;
    let mut members = BTreeSet::from([of.as_raw_nonzero()]);
    let mut tree = Vec::new();
    loop {
        let is_member = |process: &mut Process| {
            let ids = [Some(process.id), process.parent];
            ids.into_iter().flatten().any(|id| members.contains(&id.as_raw_nonzero()))
        };
        let found: Vec<Process> = left.extract_if(.., is_member).collect();
        if found.is_empty() {
            return Ok(tree);
        }
        members.extend(found.iter().map(|process| process.id.as_raw_nonzero()));
        tree.extend(found);
    }
}

struct Units {
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Units {
    fn of_this_system() -> Self {
        let page_bytes = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        Self { ticks_per_second: rustix::param::clock_ticks_per_second().max(1), page_bytes }
    }
}

/// A line of `/proc/*/stat`; the name in it may hold anything.
fn read(id: Pid, stat: &str, units: &Units) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state is the third of all fields, as the manual counts.
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks: u64 = (14..=17).filter_map(number).sum();
    Some(Process {
        id,
        parent: fields.get(1)?.parse().ok().and_then(Pid::from_raw),
        processor_time: Duration::from_millis(ticks * 1000 / units.ticks_per_second),
        address_space_bytes: number(23)?,
        resident_bytes: number(24)? * units.page_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "4700 4711 4711 0 -1 4194560 9 0 0 0 100 50 40 10 20 0 1 0 77 1048576 3 18446744073709551615";

    #[test]
    fn fields_are_found_behind_any_name() {
        let units = Units { ticks_per_second: 100, page_bytes: 4096 };
        for name in ["sh", "a ) R 1 (b)"] {
            let id = Pid::from_raw(4711).unwrap();
            let process = read(id, &format!("4711 ({name}) S {REST}"), &units).unwrap();
            assert_eq!(process.parent, Pid::from_raw(4700));
            assert_eq!(process.processor_time, Duration::from_secs(2));
            assert_eq!((process.address_space_bytes, process.resident_bytes), (1_048_576, 12_288));
        }
        assert!(read(Pid::from_raw(1).unwrap(), "", &units).is_none());
    }

    #[test]
    fn a_tree_holds_descendants_alone() {
        let mut child = std::process::Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
        let id = Pid::from_child(&child);
        let descendants = || tree(id).unwrap().into_iter().filter(|process| process.id != id).collect::<Vec<_>>();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        let found = loop {
            let found = descendants();
            if !found.is_empty() {
                break found;
            }
            assert!(std::time::Instant::now() < deadline, "the shell started nothing");
            std::thread::yield_now();
        };
        for process in found.iter().map(|process| process.id).chain([id]) {
            rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].parent, Some(id));
    }
}
