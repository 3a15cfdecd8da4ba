//! A job that is an application of Spark: a command whose program is `spark-submit`, with what Spark needs to know of the data
//! filled in, measured by Spark itself.
//!
//! `submission` says what `spark-submit` is told; what it did is read from the `history` server where there is one, from the
//! `event_log` otherwise; `measurement` makes the times of it. Every run carries a mark of its own, so that nobody else's
//! application is taken for it.

mod event_log;
mod history;
mod measurement;
mod submission;

pub use self::history::HistoryServer;
pub use self::submission::{Installation, Submission};

use self::event_log::EventLogError;
use self::history::HistoryError;
use self::measurement::{Application, Measured, measure};
use self::submission::EventLog;
use super::command::output::LastLine;
use super::command::report::Reported;
use super::command::{CommandJob, Ended, environment};
use super::{DataSource, FailedFor, Job, JobError, JobReport, masked};
use agent_core::domain::text::shortened;
use async_trait::async_trait;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How much is shown of why a Spark job failed, and of a last line that is no report \[characters\].
const SHOWN: usize = 1000;

/// How much earlier than the clock a file system may say that something was written.
const FILE_CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// Submits an application, waits for its end, and asks Spark what it took. The program ends in every case in which a command
/// does.
#[derive(Debug)]
pub struct SparkJob {
    pub submission: Submission,
    /// `spark-submit`, its time limit and all that a command has; its arguments follow from `submission`.
    pub submit: CommandJob,
    pub installation: Installation,
    pub measures: Measures,
    /// A directory of this agent's alone: it holds a run's properties and event log as long as the run takes.
    pub scratch: PathBuf,
    /// How many runs there were, for their marks.
    runs: AtomicU64,
}

/// Who says what an application took.
#[derive(Clone, Debug)]
pub enum Measures {
    /// An event log that is written for the agent alone.
    OwnEventLog,
    /// The user's History Server, which reads logs from the directory named, or where the user's Spark writes them.
    History { server: HistoryServer, event_log_dir: Option<String> },
}

impl SparkJob {
    pub fn new(
        submission: Submission,
        submit: CommandJob,
        installation: Installation,
        measures: Measures,
        scratch: PathBuf,
    ) -> Self {
        Self { submission, submit, installation, measures, scratch, runs: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Job for SparkJob {
    fn describe(&self) -> String {
        let Submission { application, arguments, master, .. } = &self.submission;
        let words = [&self.submit.program, "--master", master, application];
        words.into_iter().chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    async fn run_over(&self, sources: &[DataSource]) -> Result<JobReport, FailedFor> {
        let run = self.prepare(sources).map_err(|error| {
            self.surroundings(format!("has no place for its properties in {}: {error}", self.scratch.display()))
        })?;
        let submit = CommandJob { program: run.program.clone(), args: run.arguments.clone(), ..self.submit.clone() };
        let ended = submit.perform(sources).await?;
        let (application, remark) = self.application(&run, &ended, sources).await?;
        let measured = measure(&application)
            .map_err(|why| submit.failure(shortened(&why.to_string(), SHOWN).into_owned(), &ended.output, sources))?;
        tracing::debug!(application = application.id, ?measured, "Spark measured");
        let reported = reported(&ended.last_line, &measured, sources)
            .map_err(|reason| submit.failure(reason, &ended.output, sources))?;
        let report = submit.report(reported, measured.response_time, sources)?;
        Ok(JobReport { remark, ..report })
    }

    fn is_counted_on_the_way(&self, endpoint: &str) -> bool {
        self.submit.is_counted_on_the_way(endpoint)
    }
}

impl SparkJob {
    /// What the application did, and what is remarkable about how that was found out.
    ///
    /// A run that Spark does not tell of is not measured by the clock instead: the start of a JVM would count then, and a
    /// change of the measure would look like one of the place.
    async fn application(
        &self,
        run: &Run,
        ended: &Ended,
        sources: &[DataSource],
    ) -> Result<(Application, Option<String>), JobError> {
        match &self.measures {
            Measures::OwnEventLog => match run.read_log(run.directory.log(), SystemTime::UNIX_EPOCH).await {
                Ok(application) => Ok((application, None)),
                Err(EventLogError::Missing { .. }) => {
                    let reason =
                        "left no event log: it makes no SparkContext, or sets spark.eventLog.* itself".to_owned();
                    Err(self.submit.failure(reason, &ended.output, sources))
                }
                Err(error) => Err(self.surroundings(error.to_string())),
            },
            Measures::History { server, event_log_dir } => {
                let untold = match server.find(&run.mark, run.began).await {
                    Ok(application) => return Ok((application, None)),
                    Err(error) => error,
                };
                let local = event_log_dir.as_deref().and_then(submission::local_directory);
                match local {
                    None => Err(self.unmeasured(&untold, None, ended, sources)),
                    Some(directory) => match run.read_log(directory, run.began - FILE_CLOCKS_DIFFER).await {
                        Ok(application) => Ok((application, Some(format!("{untold}; the event log itself was read")))),
                        Err(error) => Err(self.unmeasured(&untold, Some(&error), ended, sources)),
                    },
                }
            }
        }
    }

    /// The application may be well: only what it took is not known. What it computed is told.
    fn unmeasured(
        &self,
        untold: &HistoryError,
        log: Option<&EventLogError>,
        ended: &Ended,
        sources: &[DataSource],
    ) -> JobError {
        let log = log.map(|error| format!("; {error}")).unwrap_or_default();
        let result = masked(sources, shortened(&ended.last_line.text, SHOWN).into_owned());
        self.surroundings(format!(
            "ended well, but what it took is not known: {untold}{log}; its last line was `{result}`"
        ))
    }

    fn surroundings(&self, reason: String) -> JobError {
        JobError::Surroundings { program: self.submit.program.clone(), reason }
    }

    /// Writes what `spark-submit` needs to find.
    fn prepare(&self, sources: &[DataSource]) -> io::Result<Run> {
        let directory = RunDirectory::create(&self.scratch)?;
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{number}", self.submit.life);
        let log = match &self.measures {
            Measures::OwnEventLog => EventLog::Own(directory.log()),
            Measures::History { event_log_dir: Some(shared), .. } => EventLog::Shared(shared.clone()),
            Measures::History { event_log_dir: None, .. } => EventLog::AsConfigured,
        };
        let program = self.installation.program(&self.submit.program);
        let defaults = match self.installation.defaults_file(&program) {
            Some(file) => fs::read_to_string(&file)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?,
            None => String::new(),
        };
        let environment = environment::of(sources, self.submit.request_bytes);
        let properties = directory.properties();
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&properties)?;
        file.write_all(self.submission.properties(&defaults, sources, &environment, &log, &mark).as_bytes())?;
        Ok(Run {
            program: program.display().to_string(),
            arguments: self.submission.arguments(&properties),
            mark,
            began: SystemTime::now(),
            directory,
        })
    }
}

/// One run of the application.
struct Run {
    program: String,
    arguments: Vec<String>,
    /// What its application carries, and nobody else's.
    mark: String,
    began: SystemTime,
    directory: RunDirectory,
}

impl Run {
    async fn read_log(&self, directory: PathBuf, since: SystemTime) -> Result<Application, EventLogError> {
        let (mark, path) = (self.mark.clone(), directory.display().to_string());
        let read = tokio::task::spawn_blocking(move || event_log::find(&directory, &mark, since)).await;
        read.unwrap_or_else(|error| Err(EventLogError::Unreadable { path, source: io::Error::other(error) }))
    }
}

/// A directory that only this user can look into, gone with the run. What a killed agent left is gone with the next one.
struct RunDirectory(PathBuf);

impl RunDirectory {
    fn create(path: &Path) -> io::Result<Self> {
        // Spark's own working directory may be another one.
        let path = std::path::absolute(path)?;
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let directory = Self(path);
        fs::create_dir(directory.log())?;
        Ok(directory)
    }

    fn properties(&self) -> PathBuf {
        self.0.join("run.properties")
    }

    fn log(&self) -> PathBuf {
        self.0.join("event-log")
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // The secrets first, for the program may be about to end. What is left is gone with the next run.
        let _left = fs::remove_file(self.properties());
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// What the application says of itself, with the time that Spark has measured. A last line that is no report is the result as
/// it stands; the records are those of the catalogue then, or where it knows none, those that Spark has counted.
fn reported(last_line: &LastLine, measured: &Measured, sources: &[DataSource]) -> Result<Reported, String> {
    let value: Option<serde_json::Value> = serde_json::from_str(&last_line.text).ok();
    let is_report = value.is_some_and(|value| value.get("records").is_some());
    let reported = match is_report {
        true => Reported::read(last_line)?,
        false => Reported {
            result: shortened(last_line.text.trim(), SHOWN).into_owned(),
            records: match sources.iter().map(|source| source.records).min() {
                Some(0) | None => measured.input_records,
                Some(_) => sources.iter().map(|source| source.records).sum(),
            },
            skipped_records: 0,
            execution_time: Duration::ZERO,
        },
    };
    Ok(Reported { execution_time: measured.execution_time, ..reported })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(input_records: u64) -> Measured {
        let second = Duration::from_secs(1);
        Measured { response_time: 2 * second, execution_time: second, input_records, input_bytes: 0 }
    }

    fn read(line: &str, counted: u64, known: u64) -> Result<Reported, String> {
        let source = DataSource { records: known, ..crate::jobs::doubles::source() };
        reported(&LastLine { text: line.to_owned(), is_cut: false }, &measured(counted), &[source])
    }

    #[test]
    fn records_are_the_applications_own_the_catalogues_or_sparks() {
        let check = |line: &str, counted, known, expected: (&str, u64, u64)| {
            let Reported { result, records, skipped_records, execution_time } = read(line, counted, known).unwrap();
            assert_eq!((result.as_str(), records, skipped_records), expected, "{line}");
            assert_eq!(execution_time, Duration::from_secs(1));
        };
        let report = r#"{"records": 7, "skipped_records": 2, "execution_time_s": 0, "result": "42"}"#;
        check(report, 1, 11_075, ("42", 7, 2));
        check("172.78", 1, 11_075, ("172.78", 11_075, 0));
        check("172.78", 100, 0, ("172.78", 100, 0));
        check(r#"{"average": 172.78}"#, 100, 0, (r#"{"average": 172.78}"#, 100, 0));
        check("", 0, 0, ("", 0, 0));
    }

    #[test]
    fn a_report_that_is_wrong_is_no_result() {
        let why = read(r#"{"records": "many", "execution_time_s": 0, "result": "42"}"#, 1, 1).unwrap_err();
        assert!(why.contains("invalid type: string"), "{why}");
    }

    #[test]
    fn what_a_run_writes_is_for_this_user_and_gone_with_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let scratch = place.path().join("spark").join("agent-1");
        fs::create_dir_all(scratch.join("event-log")).unwrap();
        fs::write(scratch.join("run.properties"), "of an agent that was killed").unwrap();
        let directory = RunDirectory::create(&scratch).unwrap();
        assert!(!directory.properties().exists());
        assert_eq!(fs::metadata(&scratch).unwrap().permissions().mode() & 0o777, 0o700);
        drop(directory);
        assert!(!scratch.exists());
    }
}
