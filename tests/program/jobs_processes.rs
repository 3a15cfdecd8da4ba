//! Programs of jobs, and agents that end in every way: nothing that a program started outlives its agent.

use crate::network::edits::CALM;
use crate::network::process::{Running, run_with};
use crate::network::{PATIENCE, Place, text, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What is promised from a signal to the end.
const IN_ORDER: Duration = Duration::from_secs(5);

/// Its first run starts a daemon in a session of its own and goes on for ever; all of it holds a lock. Later runs succeed.
const PROGRAM: &str = r#"#!/bin/sh
if mkdir begun 2>/dev/null; then
    exec 9>held; flock 9
    setsid sh -c 'sleep 1000; sleep 1000' & echo $! > daemon
    echo $PPID > keeper.new; mv keeper.new keeper
    sleep 1000
fi
echo '{"records": 1, "execution_time_s": 0.01, "result": "done"}'
"#;

/// Agent 3, whose job is the program, while the program's first run goes on.
struct Stage {
    place: Place,
    config: String,
}

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        let (file, aggregate, command) = place.job("3.toml", PROGRAM);
        let edits = [&[(file, aggregate, command.as_str())], &CALM[..]].concat();
        let config = text(&place.configuration("agents", &edits)).to_owned();
        Self { place, config }
    }

    fn start(&self) -> Running {
        let (data, training) = (self.place.data(), self.place.training());
        let arguments = ["run", "--id", "3", "--config", &self.config, "--data", text(&data), "--training"];
        Running::start(self.place.path(), "agent-3", &[&arguments[..], &[text(&training)]].concat())
    }

    fn busy(&self) -> Running {
        let mut agent = self.start();
        wait_until("the program runs", PATIENCE, || {
            assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
            self.place.path().join("keeper").exists()
        });
        agent
    }

    /// The process whose number the program wrote into this file.
    fn process(&self, file: &str) -> Pid {
        let number = fs::read_to_string(self.place.path().join(file)).unwrap();
        Pid::from_raw(number.trim().parse().unwrap()).unwrap()
    }

    /// Whether nothing of the program is left.
    fn is_over(&self) -> bool {
        File::open(self.place.path().join("held")).unwrap().try_lock().is_ok()
    }
}

#[test]
fn a_killed_agent_leaves_nothing_running() {
    let stage = Stage::new();
    let mut agent = stage.busy();
    assert!(!stage.is_over());
    agent.kill();
    wait_until("the program and its daemon are gone", PATIENCE, || stage.is_over());
}

#[test]
fn a_closed_terminal_ends_the_agent_in_order_and_its_program_with_it() {
    let stage = Stage::new();
    let mut agent = stage.busy();
    agent.signal(Signal::HUP);
    assert_eq!(agent.ends_within(IN_ORDER), Some(0), "{}\n{}", agent.output(), agent.errors());
    wait_until("the program and its daemon are gone", PATIENCE, || stage.is_over());
}

#[test]
fn what_outlives_agent_and_keeper_is_ended_at_the_next_start() {
    let stage = Stage::new();
    let mut agent = stage.busy();
    // Stopped, it cannot clean up between the two kills.
    kill_process(stage.process("keeper"), Signal::STOP).unwrap();
    agent.kill();
    kill_process(stage.process("keeper"), Signal::KILL).unwrap();
    let daemon = stage.process("daemon");
    let mut next = stage.start();
    let told = format!("recovery  process {daemon}, which a job of a former life had left running, is ended");
    wait_until("the next start tells of it", PATIENCE, || next.output().contains(&told));
    wait_until("nothing is left", PATIENCE, || stage.is_over());
    wait_until("jobs go on", PATIENCE, || {
        assert_eq!(next.ended(), None, "{}\n{}", next.output(), next.errors());
        next.output().contains("job       ok")
    });
}

#[test]
fn a_proxy_in_the_environment_diverts_nobody() {
    let stage = Stage::new();
    // The program's first run is the one that never ends.
    fs::create_dir(stage.place.path().join("begun")).unwrap();
    let nowhere = "http://127.0.0.1:1";
    let proxies = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environment = [&proxies.map(|name| (name, nowhere))[..], &[("NO_PROXY", ""), ("no_proxy", "")]].concat();
    let (data, training) = (stage.place.data(), stage.place.path().join("trained"));
    for agent in ["1", "3"] {
        let arguments = ["train", "--iterations", "1", "--id", agent, "--config", &stage.config, "--data", text(&data)];
        let arguments = [&arguments[..], &["--training", text(&training)]].concat();
        let ended = run_with(&environment, PATIENCE, stage.place.path(), &arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn a_hangup_that_is_to_be_ignored_is() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" HUP; exec "$0" proxy --listen 127.0.0.1:0"#, env!("CARGO_BIN_EXE_agent")]);
    let mut proxy = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let mask = |name: &str| {
        let status = fs::read_to_string(format!("/proc/{}/status", proxy.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        u64::from_str_radix(mask.unwrap().trim(), 16).unwrap()
    };
    let is_in = |mask: u64, signal: Signal| mask & (1 << (signal.as_raw() - 1)) != 0;
    wait_until("it handles signals", PATIENCE, || is_in(mask("SigCgt:"), Signal::TERM));
    assert!(is_in(mask("SigIgn:"), Signal::HUP), "SIGHUP is handled all the same");
    proxy.kill().unwrap();
    proxy.wait().unwrap();
}
