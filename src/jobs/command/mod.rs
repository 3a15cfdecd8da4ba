//! A job that is any program: Spark, DuckDB, a script.
//!
//! The program finds the data through its environment: the variables that every S3 client reads, and `AGENT_*` for what
//! they have no name for. On success it exits with 0, and the last line of its standard output is
//! `{"records": 11075, "execution_time_s": 1.5, "result": "172.78"}` (and `"skipped_records"`, if it counts them).
//!
//! A keeper (`agent_runner::keeper`) watches over the program and all that it starts; `left_behind` finds what outlived even
//! that.

mod direct;
pub(super) mod environment;
pub mod left_behind;
pub(super) mod output;
pub(super) mod report;

use self::left_behind::AGENT_LIFE;
use self::output::{LastLine, Output};
use self::report::Reported;
use super::{DataSource, FailedFor, Job, JobError, JobReport, masked};
use agent_core::domain::ids::Life;
use agent_runner::keeper::{Kept, NotStarted, Order};
use async_trait::async_trait;
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// How long the end of the output may take to arrive when the program and all that it started are gone: only a process that
/// could not be killed holds it open for longer.
const LAST_OUTPUT_WITHIN: Duration = Duration::from_secs(1);

/// Runs a program. It and everything it started end with the program, at the time limit, when the job is dropped, and when
/// the agent ends in whatever way.
#[derive(Clone, PartialEq, Debug)]
pub struct CommandJob {
    /// A path, or a name to be found on the `PATH`.
    pub program: String,
    pub args: Vec<String>,
    /// For the whole run, in real time.
    pub time_limit: Duration,
    /// How much the program is asked to read in one request.
    pub request_bytes: NonZeroU64,
    /// Whether its traffic is counted on the way; absent: if the way begins on this machine.
    pub count_traffic: Option<bool>,
    /// Whose job it is: what it starts bears this mark.
    pub life: Life,
    /// The `agent` program, whose command `keep` watches over the job's: [`THIS_PROGRAM`], but for tests.
    pub keeper: PathBuf,
}

/// The file that runs here, even when another has taken its place or it was deleted.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

#[async_trait]
impl Job for CommandJob {
    fn describe(&self) -> String {
        [&self.program].into_iter().chain(&self.args).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    async fn run_over(&self, sources: &[DataSource]) -> Result<JobReport, FailedFor> {
        let ended = self.perform(sources).await?;
        let reported =
            Reported::read(&ended.last_line).map_err(|reason| self.failure(reason, &ended.output, sources))?;
        Ok(self.report(reported, ended.response_time, sources)?)
    }

    fn is_counted_on_the_way(&self, endpoint: &str) -> bool {
        endpoint.starts_with("http://") && self.count_traffic.unwrap_or_else(|| direct::is_here(endpoint))
    }
}

/// A program that ended well.
pub(super) struct Ended {
    pub last_line: LastLine,
    /// The end of its output, for people.
    pub output: String,
    /// From its start to its end.
    pub response_time: Duration,
}

/// How the run of a program ended.
enum Followed {
    Ended(ExitStatus, Duration),
    NotStarted {
        reason: String,
        is_full: bool,
    },
    TimeIsOver,
    /// The keeper was killed.
    Lost,
}

impl CommandJob {
    /// Runs the program until it ends well, or fails.
    pub(super) async fn perform(&self, sources: &[DataSource]) -> Result<Ended, JobError> {
        let surroundings =
            |reason: String| JobError::Surroundings { program: self.program.clone(), reason: masked(sources, reason) };
        if let Some(source) = sources.iter().find(|source| source.access.link.is_some()) {
            return Err(surroundings(format!(
                "cannot read {}: through an emulated link programs reach plain http alone; give the store an http endpoint, \
                 or set `emulator = \"none\"`",
                source.access.endpoint
            )));
        }
        let output = Mutex::new(Output::default());
        let followed = self.follow(sources, &output).await;
        let fail = |reason: String| self.failure(reason, &Output::shown(&output), sources);
        match followed.map_err(|error| surroundings(format!("cannot be followed: {error}")))? {
            Followed::Ended(status, response_time) if status.success() => {
                Ok(Ended { last_line: Output::last_line(&output), output: Output::shown(&output), response_time })
            }
            Followed::Ended(status, _) => Err(fail(format!("failed: {status}"))),
            Followed::NotStarted { reason, is_full: true } => Err(surroundings(format!("cannot be started: {reason}"))),
            Followed::NotStarted { reason, is_full: false } => {
                Err(fail(format!("cannot be started: {reason}; is it installed?")))
            }
            Followed::TimeIsOver => Err(fail(format!("was stopped after its time limit of {:?}", self.time_limit))),
            Followed::Lost => {
                // Of one life, one job runs at a time.
                left_behind::end(std::slice::from_ref(&self.life));
                Err(surroundings("was ended, and the process that watched over it, too".to_owned()))
            }
        }
    }

    /// Runs the program to its end, however it comes, and waits until all that it started is gone.
    async fn follow(&self, sources: &[DataSource], output: &Mutex<Output>) -> io::Result<Followed> {
        let started = Instant::now();
        let mut kept = match Kept::start(self.command(sources), self.order()).await {
            Ok(kept) => kept,
            Err(NotStarted::Keeper(error)) => return Err(error),
            Err(NotStarted::Program(failure)) => {
                return Ok(Followed::NotStarted { reason: failure.reason, is_full: failure.is_full });
            }
        };
        let (Some(stdout), Some(stderr)) = kept.outputs() else { return Err(io::Error::other("it has no output")) };
        let mut output = pin!(Output::collect(output, stdout, stderr));
        let mut is_read = false;
        let run = async move {
            let followed = match tokio::time::timeout(self.time_limit, kept.ended()).await {
                Err(_) => Followed::TimeIsOver,
                Ok(ended) => ended?.map_or(Followed::Lost, |status| Followed::Ended(status, started.elapsed())),
            };
            kept.end().await?;
            io::Result::Ok(followed)
        };
        let mut run = pin!(run);
        let followed = loop {
            tokio::select! {
                followed = &mut run => break followed?,
                read = &mut output, if !is_read => {
                    read?;
                    is_read = true;
                }
            }
        };
        if !is_read {
            tokio::time::timeout(LAST_OUTPUT_WITHIN, output).await.unwrap_or(Ok(()))?;
        }
        Ok(followed)
    }

    fn order(&self) -> Order {
        let command = [&self.program].into_iter().chain(&self.args).cloned().collect();
        Order { command, ..Order::default() }
    }

    /// The keeper's, whose environment the program inherits.
    fn command(&self, sources: &[DataSource]) -> Command {
        let mut command = Command::new(&self.keeper);
        command.arg0("agent").arg("keep").stdout(Stdio::piped()).stderr(Stdio::piped());
        for inherited in environment::NOT_INHERITED {
            command.env_remove(inherited);
        }
        command.env(AGENT_LIFE, &self.life.0).envs(environment::of(sources, self.request_bytes));
        command
    }

    /// What a run elsewhere printed, of which this is the end.
    pub fn read(&self, output: &str, response_time: Duration) -> Result<JobReport, JobError> {
        let text = output.lines().next_back().unwrap_or_default().to_owned();
        let reported = Reported::read(&LastLine { text, is_cut: false });
        let reported = reported.map_err(|reason| self.failure(reason, output, &[]))?;
        self.report(reported, response_time, &[])
    }

    pub(super) fn report(
        &self,
        reported: Reported,
        response_time: Duration,
        sources: &[DataSource],
    ) -> Result<JobReport, JobError> {
        let Reported { result, records, skipped_records, execution_time } = reported;
        if skipped_records == records && records > 0 {
            let reason = format!("`{}` could use none of its {records} records", self.describe());
            let keys: Vec<&str> = sources.iter().map(|source| source.object_key.as_str()).collect();
            return Err(JobError::Unusable { object: keys.join("`, `"), reason });
        }
        // It is shown, and stands in the shared table.
        let result = masked(sources, result);
        // It does not tell its parts apart.
        let parts = Vec::new();
        Ok(JobReport {
            result,
            records,
            skipped_records,
            execution_time,
            response_time,
            parts,
            requests: None,
            remark: None,
        })
    }

    pub(super) fn failure(&self, reason: String, output: &str, sources: &[DataSource]) -> JobError {
        let (reason, output) = (masked(sources, reason), masked(sources, output.to_owned()));
        JobError::Command { program: self.program.clone(), reason, output }
    }
}
