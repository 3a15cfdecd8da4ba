//! Processes of former lives. A keeper ends all that a job started, but who kills an agent and its keepers at once, or the
//! whole machine's memory being full, may leave some: they are known by the life in their environment.

use agent_core::domain::ids::Life;
use agent_runner::marked::{self, Marked};

/// The variable that says which life of an agent a process belongs to; what has it inherited it from a job's program.
pub const AGENT_LIFE: &str = "AGENT_LIFE";

/// Kills whatever jobs of these lives, which have ended, left running; the numbers of the processes.
pub fn end(lives: &[Life]) -> Vec<u32> {
    if lives.is_empty() {
        return Vec::new();
    }
    let left = marked::find(AGENT_LIFE).into_iter().filter(|found| lives.iter().any(|life| life.0 == found.value));
    left.filter(Marked::kill).map(|killed| killed.process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn only_what_carries_an_ended_life_is_ended() {
        let ended_life = format!("a1-{}-left-behind", std::process::id());
        let running = |life: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo running; read line"]).env(AGENT_LIFE, life);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            // The system shows a program's environment only some time after it said that the program was started.
            let mut said = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
            assert_eq!(said, "running\n");
            child
        };
        let (mut left, mut other) = (running(&ended_life), running(&format!("{ended_life}-2")));
        assert_eq!(end(&[]), [0; 0]);
        assert_eq!(end(&[Life(ended_life)]), [left.id()]);
        assert_eq!(left.wait().unwrap().to_string(), "signal: 9 (SIGKILL)");
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
