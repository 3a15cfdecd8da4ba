//! Every request of a run, and what else went on, into a file, beside the run: whatever the disk does, no request waits for it.

use super::deeds::Moment;
use super::telemetry::{Machine, Sampled};
use super::{Network, in_mysql};
use crate::app::Failure;
use crate::app::experiment::WRITTEN_BY;
use agent_core::config::settings::DatabaseUrl;
use agent_laboratory::results::{
    Database, DatabaseError, FileKind, HostInfo, Json, LoadRun, MarkerRow, TelemetryRow, TraceRow, export,
};
use agent_load::balancer::Host;
use agent_load::generator::{Figures, Outcome, Switch, Trace, Traces};
use agent_load::register::experiment::ExperimentId;
use agent_load::routes::News;
use agent_load::specification::Specification;
use anyhow::{Context as _, anyhow};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::SystemTime;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Requests that wait to be written: two seconds of the highest rate that a core reaches.
const WAITING_AT_MOST: usize = 200_000;
/// Requests that are written together, at most: those that came while the last ones were written.
const TOGETHER: usize = 20_000;

/// Where a run is kept, and with what.
#[derive(Clone)]
pub struct Keeping {
    pub output: PathBuf,
    /// Where its tables are written as Parquet.
    pub parquet: Option<PathBuf>,
    /// A schema that they are copied to.
    pub mysql: Option<DatabaseUrl>,
    /// As which the run is known in the table of a network.
    pub experiment: Option<ExperimentId>,
    /// Whose agents' deeds are kept, too.
    pub network: Option<Network>,
    /// Whether requests are kept now; everything else is.
    pub requests: Switch,
}

impl Keeping {
    /// In a file, with what the agents of a network do meanwhile.
    pub fn of_network(output: PathBuf, network: Option<Network>) -> Self {
        Self { output, parquet: None, mysql: None, experiment: None, network, requests: Switch::default() }
    }
}

/// What is kept of a run from its beginning on.
pub struct About<'a> {
    pub name: &'a str,
    pub seed: u64,
    /// What was asked for, as it was written.
    pub text: &'a str,
}

impl<'a> From<&'a Specification> for About<'a> {
    fn from(specification: &'a Specification) -> Self {
        Self { name: &specification.name, seed: specification.seed, text: &specification.text }
    }
}

pub struct Recorder {
    keeping: Keeping,
    traces: Traces,
    notes: Notes,
    run: LoadRun,
    /// When agents' deeds begin to belong to the run.
    since: Option<Moment>,
    writer: JoinHandle<Result<Database, DatabaseError>>,
}

/// Takes what else goes on, at any time and from anywhere.
#[derive(Clone)]
pub struct Notes {
    sender: mpsc::UnboundedSender<Note>,
    began: Instant,
    began_us: i64,
}

enum Note {
    Host(HostInfo),
    Telemetry(TelemetryRow),
    /// Its number is still to come.
    Marker(MarkerRow),
}

impl Notes {
    /// A machine sends requests.
    pub fn host(&self, machine: &Machine) {
        let machine = machine.clone();
        self.take(Note::Host(HostInfo {
            host: machine.name,
            machine: Some(machine.machine),
            system: machine.system,
            agent: machine.agent,
            cores: machine.cores,
            memory_bytes: machine.memory_bytes,
            labels: Json(machine.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()),
        }));
    }

    pub fn sampled(&self, host: &Machine, sampled: Sampled) {
        self.take(Note::Telemetry(TelemetryRow {
            host: host.name.clone(),
            at_us: self.began_us.saturating_add(i64::try_from(sampled.after.as_micros()).unwrap_or(i64::MAX)),
            cpu_percent: sampled.cpu_percent,
            memory_used_bytes: sampled.memory_used_bytes,
            received_bytes_per_s: sampled.received_bytes_per_s,
            sent_bytes_per_s: sampled.sent_bytes_per_s,
            load: sampled.load,
        }));
    }

    /// It happens now.
    pub fn marked(&self, kind: &str, name: impl Into<String>, value: Option<String>) {
        let after = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let at_us = self.began_us.saturating_add(after);
        self.take(Note::Marker(MarkerRow { sequence: 0, at_us, kind: kind.to_owned(), name: name.into(), value }));
    }

    /// The table routes services otherwise, or is away.
    pub fn rerouted(&self, news: &News) {
        let (name, value) = match news {
            News::Changed { service, hosts, revision } => {
                let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
                (service.as_str(), format!("{}, revision {revision}", hosts.join(", ")))
            }
            News::Unset { service, revision } => (service.as_str(), format!("nowhere, revision {revision}")),
            News::NotAllowed { service, address, revision } => {
                (service.as_str(), format!("as before: {address} of revision {revision} is not allowed"))
            }
            News::Unusable { service, why } => (service.as_str(), format!("as before: {why}")),
            News::Away { why } => ("table", format!("away: {why}")),
            News::Back => ("table", "there again".to_owned()),
        };
        self.marked(MarkerRow::ROUTE, name, Some(value));
    }

    fn take(&self, note: Note) {
        // Once the disk is full nobody takes any more: the end of the run says so.
        let (Ok(()) | Err(_)) = self.sender.send(note);
    }
}

fn open(output: &Path) -> Result<Database, DatabaseError> {
    Database::open_as(FileKind::Load, output, "load", "Requests at their intended times.", WRITTEN_BY)
}

/// A file that load was kept in.
pub fn reopen(file: &Path) -> anyhow::Result<Database> {
    if !file.is_file() {
        let help = "name one that `agent load run --output` made";
        return Err(Failure::Configuration(format!("{}: there is no such file\n  help: {help}", file.display())).into());
    }
    Ok(open(file)?)
}

impl Recorder {
    /// The run is in the file from then on. `begins`: when it does.
    pub async fn begin(keeping: Keeping, about: About<'_>, begins: Instant) -> anyhow::Result<Self> {
        let Keeping { output, mysql, experiment, network, .. } = &keeping;
        if let Some(mysql) = mysql {
            // What cannot be copied is better known now than at the end.
            in_mysql::prepare(mysql).await?;
        }
        let mut database = open(output)?;
        let now = Instant::now();
        let ahead = i64::try_from(begins.saturating_duration_since(now).as_micros()).unwrap_or(i64::MAX);
        let began_us = microseconds(SystemTime::now()).saturating_add(ahead);
        let since = match network {
            Some(network) => Some(network.moment(|| microseconds(SystemTime::now())).await?),
            None => None,
        };
        let mut run = LoadRun {
            experiment: experiment.map(|id| id.0),
            name: about.name.to_owned(),
            seed: about.seed,
            state: LoadRun::RUNNING.to_owned(),
            began_us,
            specification: about.text.to_owned(),
            ..LoadRun::default()
        };
        run.id = database.begin_load(&run)?;
        let (traces, received) = Traces::bounded(WAITING_AT_MOST);
        let traces = traces.switched_by(keeping.requests.clone());
        let (sender, notes) = mpsc::unbounded_channel();
        let id = run.id;
        let runtime = runtime::Builder::new_current_thread().build().context("a runtime cannot be made")?;
        let writer = std::thread::Builder::new().name("load record".to_owned());
        let writer = writer
            .spawn(move || runtime.block_on(write(database, id, received, notes)))
            .context("a thread cannot be started")?;
        let notes = Notes { sender, began: begins, began_us };
        Ok(Self { keeping, traces, notes, run, since, writer })
    }

    pub fn traces(&self) -> Traces {
        self.traces.clone()
    }

    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Waits until all is written, and writes its tables into the folder.
    ///
    /// # Errors
    /// Some of it is not; what was written before stays.
    pub async fn end(self, figures: &Figures, is_stopped: bool) -> anyhow::Result<()> {
        let Self { keeping, traces, notes, run, since, writer } = self;
        let traces_missed = traces.missed();
        // With the last sender of requests the writer ends.
        drop((traces, notes));
        let mut database = writer.join().map_err(|_| anyhow!("the writer of requests has failed"))??;
        let state = if is_stopped { LoadRun::CANCELLED } else { LoadRun::FINISHED };
        database.end_load(&LoadRun {
            state: state.to_owned(),
            ended_us: Some(microseconds(SystemTime::now())),
            figures: Some(Json(serde_json::to_value(figures)?)),
            traces_missed,
            ..run
        })?;
        let deeds = match keeping.network.as_ref().zip(since) {
            Some((network, since)) => store_deeds(&mut database, run.id, network, since).await,
            None => Ok(()),
        };
        // The tables are written with what there is.
        if let Some(folder) = &keeping.parquet {
            export(&database, folder)?;
        }
        if let Some(mysql) = &keeping.mysql {
            in_mysql::copy(database, mysql).await?;
        }
        deeds.context("what the agents of the network did meanwhile")
    }
}

async fn store_deeds(database: &mut Database, run: i64, network: &Network, since: Moment) -> anyhow::Result<()> {
    let mut after = i64::MIN;
    loop {
        let page = network.events(since, after).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        database.store_of_load(run, &page)?;
    }
    let mut after = i64::MIN;
    loop {
        let page = network.measurements(since, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        database.store_of_load(run, &page)?;
    }
}

async fn write(
    mut database: Database,
    run: i64,
    mut received: mpsc::Receiver<Trace>,
    mut notes: mpsc::UnboundedReceiver<Note>,
) -> Result<Database, DatabaseError> {
    let (mut sequence, mut traces, mut rows, mut markers) = (0.., Vec::new(), Vec::new(), 0..);
    loop {
        tokio::select! {
            received = received.recv_many(&mut traces, TOGETHER) => {
                if received == 0 {
                    break;
                }
                rows.extend(sequence.by_ref().zip(traces.drain(..)).map(|(sequence, trace)| row(sequence, trace)));
                database.store_of_load(run, &rows)?;
                rows.clear();
            }
            Some(note) = notes.recv() => store_note(&mut database, run, note, &mut markers)?,
        }
    }
    while let Ok(note) = notes.try_recv() {
        store_note(&mut database, run, note, &mut markers)?;
    }
    Ok(database)
}

fn store_note(
    database: &mut Database,
    run: i64,
    note: Note,
    numbers: &mut impl Iterator<Item = u64>,
) -> Result<(), DatabaseError> {
    match note {
        Note::Host(host) => database.store_of_load(run, &[host]),
        Note::Telemetry(row) => database.store_of_load(run, &[row]),
        Note::Marker(marker) => {
            let numbered = numbers.next().map(|sequence| MarkerRow { sequence, ..marker });
            numbered.map_or(Ok(()), |marker| database.store_of_load(run, &[marker]))
        }
    }
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
