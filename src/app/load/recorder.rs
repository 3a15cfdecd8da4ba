//! Every request of a run, into a file, beside the run: whatever the disk does, no request waits for it.

use crate::app::experiment::WRITTEN_BY;
use agent_laboratory::results::{Database, DatabaseError, FileKind, Json, LoadRun, TraceRow, export};
use agent_load::generator::{Figures, Outcome, Trace, Traces};
use agent_load::specification::Specification;
use anyhow::{Context as _, anyhow};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Requests that wait to be written: two seconds of the highest rate that a core reaches.
const WAITING_AT_MOST: usize = 200_000;
/// Requests that are written together, at most: those that came while the last ones were written.
const TOGETHER: usize = 20_000;

pub struct Recorder {
    traces: Traces,
    run: LoadRun,
    writer: JoinHandle<Result<Database, DatabaseError>>,
}

impl Recorder {
    /// The run is in the file from then on.
    pub fn begin(output: &Path, specification: &Specification) -> anyhow::Result<Self> {
        let about = "Requests at their intended times.";
        let mut database = Database::open_as(FileKind::Load, output, "load", about, WRITTEN_BY)?;
        let mut run = LoadRun {
            name: specification.name.clone(),
            seed: specification.seed,
            state: LoadRun::RUNNING.to_owned(),
            began_us: microseconds(SystemTime::now()),
            specification: specification.text.clone(),
            ..LoadRun::default()
        };
        run.id = database.begin_load(&run)?;
        let (traces, received) = Traces::bounded(WAITING_AT_MOST);
        let id = run.id;
        let writer = std::thread::Builder::new().name("load record".to_owned());
        let writer = writer.spawn(move || write(database, id, received)).context("a thread cannot be started")?;
        Ok(Self { traces, run, writer })
    }

    pub fn traces(&self) -> Traces {
        self.traces.clone()
    }

    /// Waits until all is written, and writes its tables into the folder.
    ///
    /// # Errors
    /// Some of it is not; what was written before stays.
    pub fn end(self, figures: &Figures, is_stopped: bool, parquet: Option<&Path>) -> anyhow::Result<()> {
        let Self { traces, run, writer } = self;
        let traces_missed = traces.missed();
        // With the last sender the writer ends.
        drop(traces);
        let mut database = writer.join().map_err(|_| anyhow!("the writer of requests has failed"))??;
        let state = if is_stopped { LoadRun::CANCELLED } else { LoadRun::FINISHED };
        database.end_load(&LoadRun {
            state: state.to_owned(),
            ended_us: Some(microseconds(SystemTime::now())),
            figures: Some(Json(serde_json::to_value(figures)?)),
            traces_missed,
            ..run
        })?;
        if let Some(folder) = parquet {
            export(&database, folder)?;
        }
        Ok(())
    }
}

fn write(mut database: Database, run: i64, mut received: mpsc::Receiver<Trace>) -> Result<Database, DatabaseError> {
    let (mut sequence, mut traces, mut rows) = (0.., Vec::new(), Vec::new());
    while received.blocking_recv_many(&mut traces, TOGETHER) > 0 {
        rows.extend(sequence.by_ref().zip(traces.drain(..)).map(|(sequence, trace)| row(sequence, trace)));
        database.store_traces(run, &rows)?;
        rows.clear();
    }
    Ok(database)
}

fn row(sequence: u64, trace: Trace) -> TraceRow {
    let answer = match trace.outcome {
        Outcome::Answered { status, bytes } => Some((status, bytes)),
        Outcome::Refused
        | Outcome::TimedOut
        | Outcome::Closed
        | Outcome::Garbage
        | Outcome::Unreachable
        | Outcome::Dropped
        | Outcome::Unfinished => None,
    };
    TraceRow {
        sequence,
        client: trace.client,
        service: trace.service.to_string(),
        host: trace.host.map(|host| host.to_string()),
        intended_us: microseconds(trace.intended),
        sent_us: trace.sent.map(microseconds),
        done_us: microseconds(trace.done),
        outcome: trace.outcome.kind().name().to_owned(),
        status: answer.map(|(status, _)| u32::from(status)),
        bytes: answer.map(|(_, bytes)| bytes),
    }
}

/// Since 1970; a clock before that is taken for then.
fn microseconds(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
