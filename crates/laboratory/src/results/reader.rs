//! Reading an experiment's file; while it is written, too.

use super::columns::Columns;
use super::load_tables::{LoadRun, OfLoad, TraceExtent, TraceRow};
use super::membership_tables::{NetworkQuery, NetworkRound, NetworkRun};
use super::offloading_tables::OffloadingRun;
use super::tables::{FileKind, Head, Placed, Run, Sample, Table};
use rusqlite::{Connection, ErrorCode, OpenFlags, Params, Row};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the header of a network's file: the letters `agnt`.
const NETWORK: i64 = 0x6167_6e74;

/// Somebody may be writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Of policies, of membership, of offloading, or of load.
    Experiment(FileKind),
    /// The shared table of a network.
    Network,
}

/// Why a file cannot be read. Nothing is ever changed in it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{}: there is no such file", .0.display())]
    Missing(PathBuf),
    #[error("{}: is a directory; name the database in it, like {}", .0.display(), .0.join("network.db").display())]
    Directory(PathBuf),
    #[error(
        "{}: is neither a file of `agent experiment` or `agent load` nor the shared table of a network (network.db in the data directory)",
        .0.display()
    )]
    Foreign(PathBuf),
    #[error("{}: its tables are of format {found}, and this program reads {expected}; use the `agent` that wrote it", path.display())]
    Format { path: PathBuf, found: i64, expected: i64 },
    #[error("{}: run {run}: {problem}; was it edited by hand?", path.display())]
    Row { path: PathBuf, run: i64, problem: String },
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

type Result<T> = std::result::Result<T, ReadError>;

/// The file of an experiment, open for reading.
#[derive(Debug)]
pub struct ExperimentFile {
    path: PathBuf,
    connection: Connection,
}

/// Looks what a file holds.
pub fn contents(path: &Path) -> Result<Contents> {
    if path.is_dir() {
        return Err(ReadError::Directory(path.to_owned()));
    }
    if !path.exists() {
        return Err(ReadError::Missing(path.to_owned()));
    }
    let connection = open(path)?;
    application(&connection, path)
}

fn application(connection: &Connection, path: &Path) -> Result<Contents> {
    match connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0)) {
        Ok(NETWORK) => Ok(Contents::Network),
        Ok(id) => match FileKind::ALL.into_iter().find(|kind| kind.application_id() == id) {
            Some(kind) => Ok(Contents::Experiment(kind)),
            None => Err(ReadError::Foreign(path.to_owned())),
        },
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::NotADatabase => {
            Err(ReadError::Foreign(path.to_owned()))
        }
        Err(source) => Err(ReadError::Sqlite { path: path.to_owned(), source }),
    }
}

fn open(path: &Path) -> Result<Connection> {
    let failed = |source| ReadError::Sqlite { path: path.to_owned(), source };
    // Absolute, because SQLite reads a meaning of its own into some other names.
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    Ok(connection)
}

impl ExperimentFile {
    /// Opens a file that [`contents`] said is an experiment's.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = open(path)?;
        let kind = match application(&connection, path)? {
            Contents::Experiment(kind) => kind,
            Contents::Network => return Err(ReadError::Foreign(path.to_owned())),
        };
        let file = Self { path: path.to_owned(), connection };
        match (file.head()?.format, kind.format()) {
            (found, expected) if found == expected => Ok(file),
            (found, expected) => Err(ReadError::Format { path: file.path, found, expected }),
        }
    }

    pub fn head(&self) -> Result<Head> {
        head(&self.connection).map_err(|source| self.failed(source))
    }

    /// What each run came to, in the order of their numbers.
    pub fn runs(&self) -> Result<Vec<Run>> {
        self.rows(Table::Runs, RUNS, [])
    }

    /// The course of a run, in the order of time.
    pub fn series(&self, run: i64) -> Result<Vec<Sample>> {
        self.rows(Table::RunSeries, OF_RUN, [run])
    }

    /// The placements of a run, in the order of time; none when none was kept.
    pub fn placements(&self, run: i64) -> Result<Vec<Placed>> {
        self.rows(Table::RunPlacements, OF_RUN, [run])
    }

    /// What each run of a network came to, in the order of their numbers.
    pub fn networks(&self) -> Result<Vec<NetworkRun>> {
        self.rows(Table::Networks, RUNS, [])
    }

    /// The rounds of a network's run, in order.
    pub fn network_rounds(&self, run: i64) -> Result<Vec<NetworkRound>> {
        self.rows(Table::NetworkRounds, OF_RUN, [run])
    }

    /// What was asked at the end of a network's run, in order.
    pub fn network_queries(&self, run: i64) -> Result<Vec<NetworkQuery>> {
        self.rows(Table::NetworkQueries, OF_RUN, [run])
    }

    /// What each run of offloading came to, in the order of their numbers.
    pub fn offloading_runs(&self) -> Result<Vec<OffloadingRun>> {
        self.rows(Table::OffloadingRuns, RUNS, [])
    }

    /// What each run of a load came to, in the order of their numbers.
    pub fn load_runs(&self) -> Result<Vec<LoadRun>> {
        self.rows(Table::LoadRuns, RUNS, [])
    }

    /// What belongs to a run of a load, in order.
    pub fn of_load<Row: OfLoad>(&self, run: i64) -> Result<Vec<Row>> {
        self.rows(Row::TABLE, &format!("where run = ? {}", Row::TABLE.order()), [run])
    }

    /// What the requests of a load's run lie between; `None`: there are none.
    pub fn trace_extent(&self, run: i64) -> Result<Option<TraceExtent>> {
        let sql = "select count(*), min(intended_us), max(done_us) from traces where run = ?";
        let read = |row: &Row| {
            // Without requests there is neither a first nor a last one.
            let (first, last) = (row.get::<_, Option<i64>>(1)?, row.get::<_, Option<i64>>(2)?);
            let requests = row.get(0)?;
            Ok(first.zip(last).map(|(first_us, last_us)| TraceExtent { requests, first_us, last_us }))
        };
        self.connection.query_row(sql, [run], read).map_err(|source| self.failed(source))
    }

    /// Tells the requests of a load's run one after the other, as they ended: a run may have more than fit into memory.
    pub fn for_each_trace(&self, run: i64, mut hear: impl FnMut(TraceRow)) -> Result<()> {
        let failed = |source| self.failed(source);
        let selection = format!("{} {OF_RUN}", Table::Traces.selection());
        let mut statement = self.connection.prepare_cached(&selection).map_err(failed)?;
        let mut rows = statement.query([run]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            hear(TraceRow::read(row).map_err(|source| self.refused(row, source))?);
        }
        Ok(())
    }

    fn rows<T: Columns>(&self, table: Table, which: &str, parameters: impl Params) -> Result<Vec<T>> {
        let read = |row: &Row| Ok(T::read(row).map_err(|source| self.refused(row, source)));
        let all = rows(&self.connection, table, which, parameters, read);
        all.map_err(|source| self.failed(source))?.into_iter().collect()
    }

    /// A row that was read, but makes no sense.
    fn refused(&self, row: &Row, source: rusqlite::Error) -> ReadError {
        let told = match &source {
            rusqlite::Error::FromSqlConversionFailure(at, _, problem) => {
                // The number of the run comes first in every table.
                let place = row.get(0).and_then(|run| Ok((run, row.as_ref().column_name(*at)?)));
                place.ok().map(|(run, column)| (run, format!("column `{column}` is not what it should be: {problem}")))
            }
            _ => None,
        };
        match told {
            Some((run, problem)) => ReadError::Row { path: self.path.clone(), run, problem },
            None => self.failed(source),
        }
    }

    fn failed(&self, source: rusqlite::Error) -> ReadError {
        ReadError::Sqlite { path: self.path.clone(), source }
    }
}

/// All runs, and the rows of one in another table.
const RUNS: &str = "order by id";
const OF_RUN: &str = "where run = ? order by 2";

pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    connection.query_row(&Table::Experiment.selection(), [], Head::read)
}

pub(super) fn runs(connection: &Connection) -> rusqlite::Result<Vec<Run>> {
    rows(connection, Table::Runs, RUNS, [], Run::read)
}

pub(super) fn networks(connection: &Connection) -> rusqlite::Result<Vec<NetworkRun>> {
    rows(connection, Table::Networks, RUNS, [], NetworkRun::read)
}

pub(super) fn offloading_runs(connection: &Connection) -> rusqlite::Result<Vec<OffloadingRun>> {
    rows(connection, Table::OffloadingRuns, RUNS, [], OffloadingRun::read)
}

fn rows<T>(
    connection: &Connection,
    table: Table,
    which: &str,
    parameters: impl Params,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(&format!("{} {which}", table.selection()))?;
    statement.query_map(parameters, read)?.collect()
}
