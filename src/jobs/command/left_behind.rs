//! Processes of former lives. A keeper ends all that a job started, but who kills an agent and its keepers at once, or the
//! whole machine's memory being full, may leave some: they are known by the life in their environment.

use agent_core::domain::ids::Life;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;

/// The variable that says which life of an agent a process belongs to; what has it inherited it from a job's program.
pub const AGENT_LIFE: &str = "AGENT_LIFE";

/// Kills whatever jobs of these lives, which have ended, left running; the numbers of the processes.
pub fn end(lives: &[Life]) -> Vec<u32> {
    let marks: Vec<String> = lives.iter().map(|life| format!("{AGENT_LIFE}={life}")).collect();
    // Without this list of processes there is none that could be found.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    if marks.is_empty() { Vec::new() } else { numbers.filter(|number| end_if_marked(*number, &marks)).collect() }
}

fn end_if_marked(process: u32, marks: &[String]) -> bool {
    let Some(id) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return false };
    // Taken before its environment is read: what is killed is what was looked at, even if the number is given anew.
    let Ok(handle) = pidfd_open(id, PidfdFlags::empty()) else { return false };
    // Of other users' processes it cannot be read.
    let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    let is_marked = variables.any(|variable| marks.iter().any(|mark| mark.as_bytes() == variable));
    is_marked && pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn only_what_carries_an_ended_life_is_ended() {
        let ended_life = format!("a1-{}-left-behind", std::process::id());
        let sleeper = |life: &str| {
            let mut command = Command::new("sleep");
            command.arg("1000").env(AGENT_LIFE, life).stdin(Stdio::null()).spawn().unwrap()
        };
        let (mut left, mut other) = (sleeper(&ended_life), sleeper(&format!("{ended_life}-2")));
        assert_eq!(end(&[]), [0; 0]);
        assert_eq!(end(&[Life(ended_life)]), [left.id()]);
        assert_eq!(left.wait().unwrap().to_string(), "signal: 9 (SIGKILL)");
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
