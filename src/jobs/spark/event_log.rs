//! Spark's event log: a line of JSON for each event, in one file or in a folder of several, plain or compressed with zstd.

use super::measurement::{Application, JobEnd, SparkJobRun, StageRun};
use super::submission::MARK;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The longest event that is read \[bytes\]: a plan that Spark describes may have megabytes.
const EVENT_BYTES: u64 = 64 * 1024 * 1024;

/// What a folder's name begins with that holds one application's log in parts.
const FOLDER: &str = "eventlog_v2_";

/// An event log that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    #[error("{path}: the event log cannot be read: {source}")]
    Unreadable { path: String, source: io::Error },
    #[error("{path}: line {line} of the event log is no event: {reason}")]
    NoEvent { path: String, line: usize, reason: String },
    #[error(
        "{path}: no event log in this directory is of this run; does the application set spark.eventLog.* or spark.agent.run itself?"
    )]
    Missing { path: String },
}

/// The application that carries this mark, by the logs in a directory that were written to at this time or later. Blocks.
pub fn find(directory: &Path, mark: &str, since: SystemTime) -> Result<Application, EventLogError> {
    let mut trouble = None;
    let entries = fs::read_dir(directory).map_err(|error| unreadable(directory, error))?;
    for log in entries.flatten().map(|entry| entry.path()) {
        // What cannot be looked at may be this run's.
        let is_old = fs::metadata(&log).and_then(|log| log.modified()).is_ok_and(|written| written < since);
        match if is_old { Ok(None) } else { read(&log, mark) } {
            Ok(Some(application)) => return Ok(application),
            Ok(None) => {}
            // It may be somebody else's.
            Err(error) => trouble = Some(error),
        }
    }
    Err(trouble.unwrap_or_else(|| EventLogError::Missing { path: directory.display().to_string() }))
}

/// `None`: it is of another run.
fn read(log: &Path, mark: &str) -> Result<Option<Application>, EventLogError> {
    let mut reading = Reading::new(mark);
    for part in parts(log)? {
        let events = open(&part).map_err(|error| unreadable(&part, error))?;
        if reading.take_all(events, &part)? == Whose::Other {
            return Ok(None);
        }
    }
    Ok(reading.whose.is_some().then(|| reading.application()))
}

/// The files of a log in the order in which they were written.
fn parts(log: &Path) -> Result<Vec<PathBuf>, EventLogError> {
    if !log.is_dir() {
        return Ok(vec![log.to_owned()]);
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name(log).starts_with(FOLDER) {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(log).map_err(|error| unreadable(log, error))?;
    let numbered = |path: PathBuf| {
        // `events_12_local-1795885090894.zstd`
        let number = name(&path).strip_prefix("events_")?.split('_').next()?.parse::<u64>().ok()?;
        Some((number, path))
    };
    let parts: BTreeMap<u64, PathBuf> = entries.flatten().filter_map(|entry| numbered(entry.path())).collect();
    Ok(parts.into_values().collect())
}

/// A codec that is not known is read as it is, and is no event then.
fn open(part: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(part)?;
    // Of one that is being written, `.inprogress` follows.
    let name = part.to_string_lossy();
    Ok(match name.trim_end_matches(".inprogress").ends_with(".zstd") {
        true => Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?)),
        false => Box::new(BufReader::new(file)),
    })
}

fn unreadable(path: &Path, source: io::Error) -> EventLogError {
    EventLogError::Unreadable { path: path.display().to_string(), source }
}

/// What a log has told so far.
struct Reading<'a> {
    mark: &'a str,
    /// Known once the properties were read.
    whose: Option<Whose>,
    id: String,
    jobs: BTreeMap<u64, SparkJobRun>,
    stages: Vec<StageRun>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    Ours,
    Other,
}

impl<'a> Reading<'a> {
    fn new(mark: &'a str) -> Self {
        Self { mark, whose: None, id: String::new(), jobs: BTreeMap::new(), stages: Vec::new() }
    }

    fn application(self) -> Application {
        Application { id: self.id, jobs: self.jobs.into_values().collect(), stages: self.stages }
    }

    /// Reads until the end, or until it is clear that this run did not write it.
    fn take_all(&mut self, mut events: impl BufRead, part: &Path) -> Result<Whose, EventLogError> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            match events.by_ref().take(EVENT_BYTES).read_until(b'\n', &mut line) {
                Ok(_) => {}
                // Compressed and not finished: what was flushed was read.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(unreadable(part, error)),
            }
            // The last line of a log that was cut is no event.
            if line.last() != Some(&b'\n') && (line.len() as u64) < EVENT_BYTES {
                break;
            }
            self.take(&line).map_err(|error| EventLogError::NoEvent {
                path: part.display().to_string(),
                line: number,
                reason: error.to_string(),
            })?;
            if self.whose == Some(Whose::Other) {
                return Ok(Whose::Other);
            }
        }
        Ok(Whose::Ours)
    }

    fn take(&mut self, line: &[u8]) -> serde_json::Result<()> {
        let Named { event } = serde_json::from_slice(line)?;
        match event.as_ref() {
            "SparkListenerEnvironmentUpdate" => {
                let Environment { properties } = serde_json::from_slice(line)?;
                let is_ours = properties.get(MARK).is_some_and(|mark| mark == self.mark);
                self.whose = Some(if is_ours { Whose::Ours } else { Whose::Other });
            }
            "SparkListenerApplicationStart" => self.id = serde_json::from_slice::<ApplicationStart>(line)?.id,
            "SparkListenerJobStart" => {
                let JobStart { id, submitted_ms, stages } = serde_json::from_slice(line)?;
                self.jobs.insert(id, SparkJobRun { id, submitted_ms, end: JobEnd::Missing, stages });
            }
            "SparkListenerJobEnd" => {
                let ended: JobEnded = serde_json::from_slice(line)?;
                if let Some(job) = self.jobs.get_mut(&ended.id) {
                    job.end = ended.end();
                }
            }
            "SparkListenerStageCompleted" => {
                self.stages.push(serde_json::from_slice::<StageCompleted>(line)?.info.into());
            }
            _ => {}
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "Event", borrow)]
    event: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Environment {
    #[serde(rename = "Spark Properties")]
    properties: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct ApplicationStart {
    /// Old versions leave it out.
    #[serde(rename = "App ID", default)]
    id: String,
}

#[derive(Deserialize)]
struct JobStart {
    #[serde(rename = "Job ID")]
    id: u64,
    #[serde(rename = "Submission Time")]
    submitted_ms: u64,
    #[serde(rename = "Stage IDs")]
    stages: Vec<u64>,
}

#[derive(Deserialize)]
struct JobEnded {
    #[serde(rename = "Job ID")]
    id: u64,
    #[serde(rename = "Completion Time")]
    at_ms: u64,
    #[serde(rename = "Job Result")]
    result: JobResult,
}

#[derive(Deserialize)]
struct JobResult {
    #[serde(rename = "Result")]
    result: String,
    #[serde(rename = "Exception")]
    exception: Option<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "Message")]
    message: Option<String>,
    /// Long, and of no use here.
    #[serde(rename = "Stack Trace", default)]
    _stack: IgnoredAny,
}

impl JobEnded {
    fn end(self) -> JobEnd {
        match self.result.result.as_str() {
            "JobSucceeded" => JobEnd::Succeeded { at_ms: self.at_ms },
            _ => JobEnd::Failed(self.result.exception.and_then(|exception| exception.message)),
        }
    }
}

#[derive(Deserialize)]
struct StageCompleted {
    #[serde(rename = "Stage Info")]
    info: StageInfo,
}

#[derive(Deserialize)]
struct StageInfo {
    #[serde(rename = "Stage ID")]
    id: u64,
    #[serde(rename = "Submission Time")]
    submitted_ms: Option<u64>,
    #[serde(rename = "Completion Time")]
    completed_ms: Option<u64>,
    #[serde(rename = "Failure Reason")]
    failure: Option<String>,
    #[serde(rename = "Accumulables", default)]
    accumulables: Vec<Accumulable>,
}

/// Of any type: only those of Spark's own counters are numbers for sure.
#[derive(Deserialize)]
struct Accumulable {
    #[serde(rename = "Name")]
    name: Option<String>,
    #[serde(rename = "Value")]
    value: Option<serde_json::Value>,
}

impl From<StageInfo> for StageRun {
    fn from(info: StageInfo) -> Self {
        let counted = |name: &str| {
            let own = info.accumulables.iter().find(|counter| counter.name.as_deref() == Some(name));
            own.and_then(|counter| counter.value.as_ref()?.as_u64()).unwrap_or_default()
        };
        StageRun {
            id: info.id,
            ran_ms: info.submitted_ms.zip(info.completed_ms),
            input_records: counted("internal.metrics.input.recordsRead"),
            input_bytes: counted("internal.metrics.input.bytesRead"),
            failure: info.failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::measurement::{Unmeasured, measure};
    use super::*;
    use std::time::Duration;

    /// Of two actions over 100 lines, the second of which skips a stage; and of one whose task divides by zero.
    const RECORDED: &str = include_str!("../../../fixtures/spark/event_log.jsonl");
    const FAILED: &str = include_str!("../../../fixtures/spark/failed_event_log.jsonl");
    const MARK_OF_RECORDED: &str = "run-1";

    fn place() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn ours(directory: &Path) -> Result<Application, EventLogError> {
        find(directory, MARK_OF_RECORDED, SystemTime::UNIX_EPOCH)
    }

    /// The application of one log with this text.
    fn of(text: &str) -> Result<Application, EventLogError> {
        let place = place();
        fs::write(place.path().join("local-1"), text).unwrap();
        ours(place.path())
    }

    #[test]
    fn a_log_tells_what_its_application_took() {
        let application = of(RECORDED).unwrap();
        assert_eq!((application.id.as_str(), application.jobs.len()), ("local-1795885147932", 2));
        let measured = measure(&application).unwrap();
        assert_eq!(measured.response_time, Duration::from_millis(6_764));
        assert_eq!(measured.execution_time, Duration::from_millis(6_703));
        assert_eq!((measured.input_records, measured.input_bytes), (100, 438));
    }

    #[test]
    fn a_failed_job_is_one_though_the_application_ended_with_0() {
        assert!(FAILED.contains(r#""ExitCode": 0"#));
        let Unmeasured::Failed { job: 0, reason } = measure(&of(FAILED).unwrap()).unwrap_err() else { panic!() };
        assert!(reason.starts_with("[PYTHON_EXCEPTION] ") && reason.contains("ZeroDivisionError: division by zero"));
        assert!(!reason.contains("worker.py"), "{reason}");
    }

    #[test]
    fn parts_are_read_in_their_order_compressed_or_not() {
        let place = place();
        let folder = place.path().join("eventlog_v2_local-1");
        fs::create_dir(&folder).unwrap();
        let lines: Vec<&str> = RECORDED.split_inclusive('\n').collect();
        // In the order of their names, the tenth would come before the ninth.
        let (first, second) = lines.split_at(lines.len() / 2);
        let packed = zstd::encode_all(first.concat().as_bytes(), 0).unwrap();
        fs::write(folder.join("events_9_local-1.zstd"), packed).unwrap();
        fs::write(folder.join("events_10_local-1"), second.concat()).unwrap();
        fs::write(folder.join("appstatus_local-1"), "").unwrap();
        assert_eq!(ours(place.path()).unwrap(), of(RECORDED).unwrap());
    }

    #[test]
    fn somebody_elses_log_is_never_taken() {
        let place = place();
        fs::write(place.path().join("local-1"), RECORDED.replace("run-1", "run-2")).unwrap();
        fs::write(place.path().join("local-2"), RECORDED.replace(MARK, "spark.own.run")).unwrap();
        fs::create_dir(place.path().join("something else")).unwrap();
        let missing = ours(place.path()).unwrap_err().to_string();
        assert!(missing.contains("no event log in this directory is of this run"), "{missing}");
        fs::write(place.path().join("local-3"), RECORDED).unwrap();
        assert_eq!(ours(place.path()).unwrap().id, "local-1795885147932");
        let later = SystemTime::now() + Duration::from_secs(60);
        find(place.path(), MARK_OF_RECORDED, later).unwrap_err();
    }

    #[test]
    fn what_was_cut_off_leaves_a_job_without_an_end() {
        let end = RECORDED.find("SparkListenerJobEnd").unwrap();
        let cut = of(&RECORDED[..end]).unwrap();
        assert_eq!(measure(&cut), Err(Unmeasured::Unfinished { job: 0 }));

        let place = place();
        let mut packed = zstd::encode_all(RECORDED.as_bytes(), 0).unwrap();
        packed.truncate(packed.len() / 2);
        fs::write(place.path().join("local-1.zstd.inprogress"), packed).unwrap();
        // Of so short a log, no block is whole.
        assert!(matches!(ours(place.path()), Err(EventLogError::Missing { .. })));
    }

    #[test]
    fn what_is_no_event_is_named() {
        let why = of("{\"Event\": \"SparkListenerLogStart\"}\nnonsense\n").unwrap_err().to_string();
        assert!(why.contains("local-1: line 2 of the event log is no event: expected ident"), "{why}");
        let gone = find(Path::new("/no/such/directory"), "run-1", SystemTime::UNIX_EPOCH).unwrap_err().to_string();
        assert!(gone.starts_with("/no/such/directory: the event log cannot be read: No such file"), "{gone}");
    }
}
