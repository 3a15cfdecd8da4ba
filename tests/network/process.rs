//! Processes that never outlive their test.

use super::secrets::Secrets;
use super::{PATIENCE, comes_true};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A running `agent`. Its output goes to files, so that it never waits for a reader. Killed when dropped.
pub struct Running {
    child: Child,
    name: String,
    out: PathBuf,
    err: PathBuf,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// `None`: killed by a signal.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Running {
    /// Starts `agent` with these arguments in `directory`; what it prints goes to files there that begin with `name`.
    pub fn start(directory: &Path, name: &str, arguments: &[&str]) -> Self {
        Self::start_with(&[], directory, name, arguments)
    }

    /// The same with these environment variables; those that stores read are not inherited.
    pub fn start_with(environment: &[(&str, &str)], directory: &Path, name: &str, arguments: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let (out, err) =
            (directory.join(format!("{name}.{number}.out")), directory.join(format!("{name}.{number}.err")));
        let file = |path: &Path| File::create(path).expect("a file for output");
        let child = Command::new(env!("CARGO_BIN_EXE_agent"))
            .args(arguments)
            .current_dir(directory)
            .env_remove("AGENT_LOG")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env_remove("AWS_SESSION_TOKEN")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .spawn()
            .expect("the binary starts");
        Self { child, name: name.to_owned(), out, err }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn output(&self) -> String {
        fs::read_to_string(&self.out).expect("its output")
    }

    pub fn errors(&self) -> String {
        fs::read_to_string(&self.err).expect("its errors")
    }

    /// Whatever is found of these secrets in what it printed, and in the arguments that everybody on the machine can see.
    pub fn seen(&self, secrets: &Secrets) -> Vec<String> {
        let arguments = fs::read(format!("/proc/{}/cmdline", self.id())).unwrap_or_default();
        let name = &self.name;
        let mut seen = secrets.seen_in(&format!("{name}: arguments"), &arguments);
        seen.extend(secrets.seen_in(&format!("{name}: standard output"), self.output().as_bytes()));
        seen.extend(secrets.seen_in(&format!("{name}: standard error"), self.errors().as_bytes()));
        seen
    }

    /// `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("an id is a number above 0");
        kill_process(id, signal).expect("a running child takes signals");
    }

    /// Its exit code; panics when it has not ended within the limit.
    pub fn ends_within(&mut self, limit: Duration) -> Option<i32> {
        let mut status = None;
        let ended = comes_true(limit, || {
            status = self.ended();
            status.is_some()
        });
        assert!(ended, "{} has not ended within {limit:?}\n{}\n{}", self.name, self.output(), self.errors());
        status.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Runs a command to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Finished {
    run_within(PATIENCE, directory, arguments)
}

pub fn run_within(limit: Duration, directory: &Path, arguments: &[&str]) -> Finished {
    run_with(&[], limit, directory, arguments)
}

/// The same with these environment variables.
pub fn run_with(environment: &[(&str, &str)], limit: Duration, directory: &Path, arguments: &[&str]) -> Finished {
    let mut running = Running::start_with(environment, directory, "command", arguments);
    let code = running.ends_within(limit);
    Finished { code, out: running.output(), err: running.errors() }
}

/// Runs a command that must succeed; its standard output.
pub fn succeed(directory: &Path, arguments: &[&str]) -> String {
    let finished = run(directory, arguments);
    assert_eq!(finished.code, Some(0), "agent {}: {finished:?}", arguments.join(" "));
    finished.out
}

/// The one JSON document that a command prints.
pub fn json(directory: &Path, arguments: &[&str]) -> serde_json::Value {
    let out = succeed(directory, arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("agent {}: {error}\n{out}", arguments.join(" ")))
}
