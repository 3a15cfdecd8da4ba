//! A job that is any program: Spark, DuckDB, a script.
//!
//! The program finds the data through its environment: the variables that every S3 client reads, and `AGENT_*` for what
//! they have no name for. On success it exits with 0, and the last line of its standard output is
//! `{"records": 11075, "execution_time_s": 1.5, "result": "172.78"}` (and `"skipped_records"`, if it counts them).

use super::{DataSource, Job, JobError, JobReport, S3Access};
use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::num::NonZeroU64;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// What a failed program is shown with; the rest of its output is dropped as it comes.
const SHOWN_LINES: usize = 20;
const SHOWN_BYTES: usize = 8 * 1024;

const EXPECTED: &str = r#"{"records": 11075, "execution_time_s": 1.5, "result": "172.78"}"#;

/// Variables of the agent that a program must not see.
const NOT_INHERITED: [&str; 8] = [
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AGENT_KNOWLEDGE",
    "AGENT_DATABASE_PASSWORD",
    "AGENT_STORE_ACCESS_KEY_ID",
    "AGENT_STORE_SECRET_ACCESS_KEY",
];

/// Runs a program in a process group of its own, which ends with the program, at the time limit, or when the job is
/// dropped.
#[derive(Clone, PartialEq, Debug)]
pub struct CommandJob {
    /// A path, or a name to be found on the `PATH`.
    pub program: String,
    pub args: Vec<String>,
    /// For the whole run, in real time.
    pub time_limit: Duration,
    /// Variables besides those that describe the data.
    pub env: BTreeMap<String, String>,
    /// How much the program is asked to read in one request.
    pub request_bytes: NonZeroU64,
}

#[async_trait]
impl Job for CommandJob {
    fn describe(&self) -> String {
        [&self.program].into_iter().chain(&self.args).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    async fn run(&self, source: &DataSource) -> Result<JobReport, JobError> {
        let started = Instant::now();
        let output = Mutex::new(Output::default());
        let fail = |reason: String| self.failure(reason, &lock(&output), source);
        if source.access.link.is_some() {
            return Err(fail(format!(
                "cannot read {}: through an emulated link programs reach plain http alone; give the store an http endpoint, \
                 or set `emulator = \"none\"`",
                source.access.endpoint
            )));
        }
        let child = self.command(source).spawn();
        let child = child.map_err(|error| fail(format!("cannot be started: {error}; is it installed?")))?;
        let status = match tokio::time::timeout(self.time_limit, follow(child, &output)).await {
            Ok(status) => status.map_err(|error| fail(format!("cannot be followed: {error}")))?,
            Err(_) => return Err(fail(format!("was stopped after its time limit of {:?}", self.time_limit))),
        };
        let response_time = started.elapsed();
        if !status.success() {
            return Err(fail(format!("failed: {status}")));
        }
        let last_line = lock(&output).last_line.clone();
        let reported = Reported::read(&last_line).map_err(fail)?;
        Ok(JobReport {
            result: reported.result,
            records: reported.records,
            skipped_records: reported.skipped_records,
            execution_time: reported.execution_time,
            response_time,
        })
    }
}

impl CommandJob {
    fn command(&self, source: &DataSource) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(&self.env);
        // What the agent's own environment says about other stores must not mix with these credentials, and the shared
        // table is not the job's.
        for inherited in NOT_INHERITED {
            command.env_remove(inherited);
        }
        let access = &source.access;
        command.envs(access.session_token.iter().map(|token| ("AWS_SESSION_TOKEN", token)));
        command.envs(access.ca.iter().map(|ca| ("AWS_CA_BUNDLE", ca)));
        command
            .env("AWS_ENDPOINT_URL", &access.endpoint)
            .env("AWS_ENDPOINT_URL_S3", &access.endpoint)
            .env("AWS_ACCESS_KEY_ID", &access.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &access.secret_access_key)
            .env("AWS_REGION", &access.region)
            .env("AWS_DEFAULT_REGION", &access.region)
            .env("AGENT_BUCKET", &access.bucket)
            .env("AGENT_KEY", &source.object_key)
            .env("AGENT_DATA_SET", &source.data_set)
            .env("AGENT_BYTES", source.bytes.to_string())
            .env("AGENT_RECORDS", source.records.to_string())
            .env("AGENT_REQUEST_BYTES", self.request_bytes.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    fn failure(&self, reason: String, output: &Output, source: &DataSource) -> JobError {
        let S3Access { secret_access_key, session_token, .. } = &source.access;
        let secrets = [secret_access_key].into_iter().chain(session_token).filter(|secret| !secret.is_empty());
        let show = |text: String| secrets.clone().fold(text, |text, secret| text.replace(secret.as_str(), "***"));
        JobError::Command { program: self.program.clone(), reason: show(reason), output: show(output.to_string()) }
    }
}

/// What the program says about itself.
struct Reported {
    result: String,
    records: u64,
    skipped_records: u64,
    execution_time: Duration,
}

impl Reported {
    /// Or what is wrong with the line.
    fn read(line: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Line {
            records: u64,
            #[serde(default)]
            skipped_records: u64,
            execution_time_s: f64,
            result: serde_json::Value,
        }

        let wrong = |reason: String| format!("must end its output with a line like `{EXPECTED}`: {reason} in `{line}`");
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let execution_time = Duration::try_from_secs_f64(line.execution_time_s)
            .map_err(|error| wrong(format!("execution_time_s: {error}")))?;
        let result = match line.result {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self { result, records: line.records, skipped_records: line.skipped_records, execution_time })
    }
}

/// Collects the program's output until it ended.
async fn follow(mut child: Child, output: &Mutex<Output>) -> io::Result<ExitStatus> {
    let group = ProcessGroup::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let status = child.wait().await;
        // What the program left running would keep its output open.
        drop(group);
        status
    };
    let to_stdout = collect(stdout, |line| lock(output).add_stdout(line));
    let to_stderr = collect(stderr, |line| lock(output).add(line));
    let (status, ..) = futures::try_join!(ended, to_stdout, to_stderr)?;
    Ok(status)
}

/// Gives each line, cut to what is shown at most.
async fn collect(from: Option<impl AsyncRead + Unpin>, mut give: impl FnMut(String)) -> io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut give = |line: Vec<u8>| give(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
    let mut buffer = vec![0; SHOWN_BYTES];
    let mut line = Vec::new();
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        for part in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(&part[..part.len().min(SHOWN_BYTES - line.len())]);
            if part.ends_with(b"\n") {
                give(std::mem::take(&mut line));
            }
        }
    }
    if !line.is_empty() {
        give(line);
    }
    Ok(())
}

/// The end of what a program printed.
#[derive(Default)]
struct Output {
    /// Of both outputs, in the order in which they came.
    lines: VecDeque<String>,
    bytes: usize,
    /// The last line of the standard output that is not empty.
    last_line: String,
}

impl Output {
    fn add_stdout(&mut self, line: String) {
        if !line.trim().is_empty() {
            self.last_line.clone_from(&line);
        }
        self.add(line);
    }

    fn add(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > SHOWN_LINES || self.bytes > SHOWN_BYTES {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.lines.is_empty() {
            return f.write_str("(it printed nothing)");
        }
        for (i, line) in self.lines.iter().enumerate() {
            write!(f, "{}{line}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// Whole lines stand in it at any time, so a panic elsewhere leaves it usable.
fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills a program and everything it started when it goes out of scope.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Of a child that leads a group.
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        match kill_process_group(leader, Signal::KILL) {
            // Nobody is left of the group: the usual case after a program ended by itself.
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(group = leader.as_raw_nonzero(), %error, "cannot kill a job's processes"),
        }
    }
}
