//! Writing an experiment's file. One process does so at a time; a run is there as a whole or not at all.

use super::columns::Columns;
use super::load_tables::{LoadRun, OfLoad};
use super::membership_tables::{NetworkResults, NetworkRun};
use super::offloading_tables::OffloadingRun;
use super::tables::{FileKind, Head, Results, Run, Table};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ToSql, Transaction, params, params_from_iter};
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Readers hold a writer up for no longer than a page takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with a file; nothing was changed in it, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{}: cannot be opened: {source}; name another file with --output", path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error("{}: another process is writing to it; wait for it, or name another file with --output", path.display())]
    Taken { path: PathBuf },
    #[error("{}: this is no file of an experiment; name another one with --output", path.display())]
    Foreign { path: PathBuf },
    #[error("{}: holds the experiment `{found}`; name another file with --output", path.display())]
    Other { path: PathBuf, found: String },
    #[error("{}: holds an experiment of another kind; name another file with --output", path.display())]
    OtherKind { path: PathBuf },
    #[error(
        "{}: its tables are of format {found}, and this program's of {expected}; name another file with --output",
        path.display()
    )]
    Format { path: PathBuf, found: i64, expected: i64 },
    /// What was written before stays; a run of which this was a part does not.
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// An open file that this process alone writes to.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    kind: FileKind,
    connection: Connection,
    // Released after the connection is closed: closing any handle of the file drops the connection's own locks.
    _lock: File,
}

impl Database {
    /// Opens the file of an experiment of policies, making it, and the folder that it is in, when they are missing.
    pub fn open(path: &Path, name: &str, about: &str, written_by: &str) -> Result<Self, DatabaseError> {
        Self::open_as(FileKind::Policies, path, name, about, written_by)
    }

    /// The same for an experiment of whichever kind.
    pub fn open_as(
        kind: FileKind,
        path: &Path,
        name: &str,
        about: &str,
        written_by: &str,
    ) -> Result<Self, DatabaseError> {
        let lock = lock(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Absolute, because SQLite reads a meaning of its own into some other names.
        let file =
            std::path::absolute(path).map_err(|source| DatabaseError::Unusable { path: path.to_owned(), source })?;
        let failed = |source| DatabaseError::Sqlite { path: path.to_owned(), source };
        let mut connection = Connection::open_with_flags(file, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let is_new = is_new(&connection, kind, path)?;
        // Readers may look at it while it is written, and what a `kill -9` interrupts is rolled back.
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "normal").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        if is_new {
            found(&mut connection, kind, name, about, written_by).map_err(failed)?;
        } else {
            check(&connection, kind, path, name)?;
            let again = params![about, written_by];
            connection.execute("update experiment set about = ?, written_by = ?", again).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), kind, connection, _lock: lock })
    }

    /// Every run that is there, in the order of their numbers.
    pub fn runs(&self) -> Result<Vec<Run>, DatabaseError> {
        super::reader::runs(&self.connection).map_err(|source| self.failed(source))
    }

    /// The same of a file about membership.
    pub fn networks(&self) -> Result<Vec<NetworkRun>, DatabaseError> {
        super::reader::networks(&self.connection).map_err(|source| self.failed(source))
    }

    /// The same of a file about offloading.
    pub fn offloading_runs(&self) -> Result<Vec<OffloadingRun>, DatabaseError> {
        super::reader::offloading_runs(&self.connection).map_err(|source| self.failed(source))
    }

    /// What the experiment is of.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Removes runs with all that belongs to them.
    pub fn remove(&mut self, ids: &[i64]) -> Result<(), DatabaseError> {
        let deletion = format!("delete from {} where id = ?", self.kind.runs().name());
        let remove = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare(&deletion)?;
                ids.iter().try_for_each(|id| statement.execute([id]).map(|_| ()))?;
            }
            transaction.commit()
        };
        remove(&mut self.connection).map_err(|source| self.failed(source))
    }

    /// Stores a run under its number, which is free.
    pub fn store(&mut self, results: &Results) -> Result<(), DatabaseError> {
        self.insert(|transaction| insert(transaction, results))
    }

    /// The same into a file about membership.
    pub fn store_network(&mut self, results: &NetworkResults) -> Result<(), DatabaseError> {
        self.insert(|transaction| insert_network(transaction, results))
    }

    /// The same into a file about offloading.
    pub fn store_offloading(&mut self, run: &OffloadingRun) -> Result<(), DatabaseError> {
        self.insert(|transaction| add(transaction, Table::OffloadingRuns, None, run))
    }

    /// Begins a run of a load under the next free number, which is returned; `run.id` is not looked at.
    pub fn begin_load(&mut self, run: &LoadRun) -> Result<i64, DatabaseError> {
        let next = "select coalesce(max(id), 0) + 1 from load_runs";
        let id = self.connection.query_row(next, [], |row| row.get(0)).map_err(|source| self.failed(source))?;
        self.insert(|transaction| add(transaction, Table::LoadRuns, None, &LoadRun { id, ..run.clone() }))?;
        Ok(id)
    }

    /// Stores what belongs to a run of a load, all of it or none.
    pub fn store_of_load<Row: OfLoad>(&mut self, run: i64, rows: &[Row]) -> Result<(), DatabaseError> {
        self.insert(|transaction| rows.iter().try_for_each(|row| add(transaction, Row::TABLE, Some(run), row)))
    }

    /// Says what a run of a load came to.
    pub fn end_load(&mut self, run: &LoadRun) -> Result<(), DatabaseError> {
        let LoadRun { id, state, ended_us, figures, traces_missed, .. } = run;
        let sql = "update load_runs set state = ?, ended_us = ?, figures = ?, traces_missed = ? where id = ?";
        self.insert(|transaction| {
            transaction.execute(sql, params![state, ended_us, figures, traces_missed, id]).map(|_| ())
        })
    }

    fn insert(&mut self, insert: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<(), DatabaseError> {
        let store = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            insert(&transaction)?;
            transaction.commit()
        };
        store(&mut self.connection).map_err(|source| self.failed(source))
    }

    /// Hears every row of a table, each with its values in the order of the columns, until one is refused.
    pub fn rows<E: From<DatabaseError>>(
        &self,
        table: Table,
        mut hear: impl FnMut(&[ValueRef<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| DatabaseError::Sqlite { path: self.path.clone(), source };
        let columns = table.columns().len();
        let text = format!("{} {}", table.selection(), table.order());
        let mut statement = self.connection.prepare(&text).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let values: rusqlite::Result<Vec<ValueRef<'_>>> = (0..columns).map(|at| row.get_ref(at)).collect();
            hear(&values.map_err(failed)?)?;
        }
        Ok(())
    }

    /// The same as JSON: null, numbers and texts.
    pub fn json_rows(&self, table: Table, mut hear: impl FnMut(Vec<Value>)) -> Result<(), DatabaseError> {
        self.rows(table, |row| {
            hear(row.iter().copied().map(json).collect());
            Ok(())
        })
    }

    fn failed(&self, source: rusqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite { path: self.path.clone(), source }
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => real.into(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into(),
    }
}

/// Held until the file is closed; the kernel releases it even after a `kill -9`.
fn lock(path: &Path) -> Result<File, DatabaseError> {
    let unusable = |source| DatabaseError::Unusable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(unusable)?;
    }
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::Taken { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

/// Whether there is nothing in the file yet; an error when something else is in it.
fn is_new(connection: &Connection, kind: FileKind, path: &Path) -> Result<bool, DatabaseError> {
    let read = || {
        let owner: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("select count(*) from sqlite_master", [], |row| row.get(0))?;
        Ok((owner, tables))
    };
    match read() {
        Ok((0, 0)) => Ok(true),
        Ok((owner, tables)) if owner == kind.application_id() => Ok(tables == 0),
        Ok((owner, _)) if FileKind::ALL.into_iter().any(|other| other.application_id() == owner) => {
            Err(DatabaseError::OtherKind { path: path.to_owned() })
        }
        Ok(_) => Err(DatabaseError::Foreign { path: path.to_owned() }),
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == rusqlite::ErrorCode::NotADatabase => {
            Err(DatabaseError::Foreign { path: path.to_owned() })
        }
        Err(source) => Err(DatabaseError::Sqlite { path: path.to_owned(), source }),
    }
}

fn found(
    connection: &mut Connection,
    kind: FileKind,
    name: &str,
    about: &str,
    written_by: &str,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", kind.application_id())?;
    kind.tables().iter().try_for_each(|table| transaction.execute_batch(&table.declaration()))?;
    let [name, about, written_by] = [name, about, written_by].map(str::to_owned);
    add(&transaction, Table::Experiment, None, &Head { name, about, format: kind.format(), written_by })?;
    transaction.commit()
}

fn check(connection: &Connection, kind: FileKind, path: &Path, name: &str) -> Result<(), DatabaseError> {
    let path = path.to_owned();
    let head = super::reader::head(connection);
    let head = head.map_err(|source| DatabaseError::Sqlite { path: path.clone(), source })?;
    let expected = kind.format();
    match (head.format == expected, head.name == name) {
        (true, true) => Ok(()),
        (false, _) => Err(DatabaseError::Format { path, found: head.format, expected }),
        (true, false) => Err(DatabaseError::Other { path, found: head.name }),
    }
}

fn insert(transaction: &Transaction<'_>, results: &Results) -> rusqlite::Result<()> {
    let Results { run, agents, series, placements } = results;
    let id = Some(run.id);
    add(transaction, Table::Runs, None, run)?;
    agents.iter().try_for_each(|row| add(transaction, Table::RunAgents, id, row))?;
    series.iter().try_for_each(|row| add(transaction, Table::RunSeries, id, row))?;
    placements.iter().try_for_each(|row| add(transaction, Table::RunPlacements, id, row))
}

fn insert_network(transaction: &Transaction<'_>, results: &NetworkResults) -> rusqlite::Result<()> {
    let NetworkResults { run, rounds, nodes, queries } = results;
    let id = Some(run.id);
    add(transaction, Table::Networks, None, run)?;
    rounds.iter().try_for_each(|row| add(transaction, Table::NetworkRounds, id, row))?;
    nodes.iter().try_for_each(|row| add(transaction, Table::NetworkNodes, id, row))?;
    queries.iter().try_for_each(|row| add(transaction, Table::NetworkQueries, id, row))
}

/// A row, of a run where the table has those.
fn add(transaction: &Transaction<'_>, table: Table, run: Option<i64>, row: &impl Columns) -> rusqlite::Result<()> {
    let values = run.iter().map(|run| run as &dyn ToSql).chain(row.values());
    transaction.prepare_cached(&table.insertion())?.execute(params_from_iter(values)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Column, Json, Kind};
    use super::super::load_tables::{TelemetryRow, TraceExtent, TraceRow};
    use super::super::membership_tables::{NetworkNode, NetworkQuery, NetworkRound};
    use super::super::reader::ExperimentFile;
    use super::super::tables::{AgentFigures, Placed, Sample};
    use super::*;

    fn results(id: i64, seed: u64, edition: &str) -> Results {
        let placed = |sequence, at_s, agent: Option<u32>, action: &str| Placed {
            sequence,
            at_s,
            began_s: agent.map(|_| 1.5),
            agent,
            action: action.to_owned(),
            replicas: Json([1, 3].into()),
            refs: Json([(2, 3)].into()),
        };
        Results {
            run: Run {
                id,
                scenario: "published".to_owned(),
                policy: "fixed".to_owned(),
                seed,
                identity: format!("{edition} {seed}"),
                violated: 3,
                expected_share: Some(0.25),
                converged: true,
                ..Run::default()
            },
            agents: vec![AgentFigures { agent: 2, jobs: 9, violated: 3, failed: 1, actions: 1, messages: 2 }],
            series: vec![Sample { at_s: 30.0, violated: 3, jobs: 9, failed: 1, replicas: 2 }],
            placements: vec![placed(0, 0.0, None, Placed::START), placed(1, 2.5, Some(2), "M1_3")],
        }
    }

    fn open(path: &Path) -> Result<Database, DatabaseError> {
        Database::open(path, "smoke", "Small.", "agent 0")
    }

    /// Without the path.
    fn refused(path: &Path) -> String {
        let error = open(path).expect_err("the file cannot be used");
        error.to_string().replace(&format!("{}: ", path.display()), "")
    }

    fn count(database: &Database, table: Table) -> usize {
        let mut rows = 0;
        database
            .rows(table, |_| {
                rows += 1;
                Ok::<(), DatabaseError>(())
            })
            .unwrap();
        rows
    }

    fn counts(database: &Database) -> Vec<usize> {
        database.kind().tables().iter().map(|table| count(database, *table)).collect()
    }

    #[test]
    fn a_run_is_there_as_a_whole_after_the_file_was_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smoke.db");
        let mut database = open(&path).unwrap();
        database.store(&results(2, 2, "a")).unwrap();
        database.store(&results(1, 1, "a")).unwrap();
        drop(database);
        let database = open(&path).unwrap();
        assert_eq!(database.runs().unwrap(), [results(1, 1, "a").run, results(2, 2, "a").run]);
        assert_eq!(counts(&database), [1, 2, 2, 2, 4]);
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smoke.db");
        let mut database = open(&path).unwrap();
        let written = results(1, 7, "a");
        database.store(&written).unwrap();
        // While it is open for writing.
        let file = ExperimentFile::open(&path).unwrap();
        let head = Head {
            name: "smoke".to_owned(),
            about: "Small.".to_owned(),
            format: FileKind::Policies.format(),
            written_by: "agent 0".to_owned(),
        };
        assert_eq!((file.head().unwrap(), file.runs().unwrap()), (head, vec![written.run]));
        assert_eq!((file.series(1).unwrap(), file.placements(1).unwrap()), (written.series, written.placements));
        assert_eq!((file.series(2).unwrap(), file.placements(2).unwrap()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn nodes_and_readers_are_json() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(&folder.path().join("smoke.db")).unwrap();
        database.store(&results(1, 1, "a")).unwrap();
        let mut told = Vec::new();
        let hear = |row: &[ValueRef<'_>]| {
            let texts = row.iter().filter_map(|value| value.as_str().ok().map(str::to_owned));
            told.push(texts.collect::<Vec<_>>().join(" "));
            Ok::<(), DatabaseError>(())
        };
        database.rows(Table::RunPlacements, hear).unwrap();
        assert_eq!(told, [r#"start [1,3] {"2":3}"#, r#"M1_3 [1,3] {"2":3}"#]);
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(&folder.path().join("smoke.db")).unwrap();
        (1..=3).zip(1..).for_each(|(id, seed)| database.store(&results(id, seed, "a")).unwrap());
        database.remove(&[1, 3]).unwrap();
        assert_eq!(counts(&database), [1, 1, 1, 1, 2]);
        database.store(&results(1, 1, "b")).unwrap();
        assert_eq!(database.runs().unwrap().len(), 2);
    }

    /// A run that cannot be stored as a whole is not there at all.
    #[test]
    fn there_is_one_run_of_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(&folder.path().join("smoke.db")).unwrap();
        database.store(&results(1, 1, "a")).unwrap();
        let twice = database.store(&results(2, 1, "b")).unwrap_err();
        assert!(twice.to_string().contains("UNIQUE"), "{twice}");
        let mut broken = results(2, 2, "a");
        broken.series.push(broken.series[0].clone());
        let broken = database.store(&broken).unwrap_err();
        assert!(broken.to_string().contains("run_series"), "{broken}");
        assert_eq!(counts(&database), [1, 1, 1, 1, 2]);
    }

    #[test]
    fn files_of_others_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        std::fs::write(
            &path,
            "no database at all, but a text that is long enough to be taken for a header of one, almost",
        )
        .unwrap();
        assert_eq!(refused(&path), "this is no file of an experiment; name another one with --output");
        let path = folder.path().join("foreign.db");
        Connection::open(&path).unwrap().execute_batch("create table mine (a integer)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(refused(&path), "this is no file of an experiment; name another one with --output");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let path = folder.path().join("drift.db");
        drop(Database::open(&path, "drift", "", "agent 0").unwrap());
        assert_eq!(refused(&path), "holds the experiment `drift`; name another file with --output");
        Connection::open(&path).unwrap().execute("update experiment set format = 9", []).unwrap();
        assert!(refused(&path).starts_with("its tables are of format 9, and this program's of 3; "));
        let nowhere = refused(&path.join("below.db"));
        assert!(nowhere.starts_with("cannot be opened: "), "{nowhere}");
        drop(Database::open(&folder.path().join("new/folder/drift.db"), "drift", "", "agent 0").unwrap());
    }

    #[test]
    fn a_network_is_stored_read_and_removed_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("networks.db");
        let mut database = Database::open_as(FileKind::Membership, &path, "networks", "Small.", "agent 0").unwrap();
        let round = |round| NetworkRound { round, new_entries: 6, age_mean_s: Some(0.5), ..NetworkRound::default() };
        let node = |round, node| NetworkNode { round, node, messages: 2, ..NetworkNode::default() };
        let query = |query| NetworkQuery { query, outcome: NetworkQuery::RIGHT.to_owned(), ..NetworkQuery::default() };
        let results = |id, seed| NetworkResults {
            run: NetworkRun { id, seed, nodes: 3, identity: format!("a {seed}"), ..NetworkRun::default() },
            rounds: vec![round(1), round(2)],
            nodes: vec![node(1, 1), node(1, 2), node(2, 1)],
            queries: vec![query(1)],
        };
        database.store_network(&results(1, 1)).unwrap();
        database.store_network(&results(2, 2)).unwrap();
        let file = ExperimentFile::open(&path).unwrap();
        assert_eq!(file.networks().unwrap(), [results(1, 1).run, results(2, 2).run]);
        assert_eq!(file.network_rounds(2).unwrap(), results(2, 2).rounds);
        assert_eq!(file.network_queries(2).unwrap(), results(2, 2).queries);
        assert_eq!(counts(&database), [1, 2, 4, 6, 2]);
        database.remove(&[1]).unwrap();
        assert_eq!(counts(&database), [1, 1, 2, 3, 1]);
        drop(database);
        assert_eq!(refused(&path), "holds an experiment of another kind; name another file with --output");
    }

    #[test]
    fn a_run_of_offloading_is_stored_read_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offloading.db");
        let mut database = Database::open_as(FileKind::Offloading, &path, "offloading", "Small.", "agent 0").unwrap();
        let run = |id, seed, mean_latency_ms| OffloadingRun {
            id,
            seed,
            users: 40,
            cpu_threshold: 0.4,
            identity: format!("a {seed}"),
            mean_latency_ms,
            violations: 7,
            ..OffloadingRun::default()
        };
        let runs = [run(1, 1, Some(0.5)), run(2, 2, None)];
        runs.iter().for_each(|run| database.store_offloading(run).unwrap());
        assert_eq!(database.offloading_runs().unwrap(), runs);
        assert_eq!(ExperimentFile::open(&path).unwrap().offloading_runs().unwrap(), runs);
        let twice = database.store_offloading(&OffloadingRun { id: 3, ..runs[0].clone() }).unwrap_err();
        assert!(twice.to_string().contains("UNIQUE"), "{twice}");
        database.remove(&[1]).unwrap();
        assert_eq!(database.offloading_runs().unwrap(), runs[1..]);
    }

    #[test]
    fn a_load_is_there_as_soon_as_it_begins_and_so_are_its_requests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("load.db");
        let mut database = Database::open_as(FileKind::Load, &path, "load", "Requests.", "agent 0").unwrap();
        let run = LoadRun { name: "evening".to_owned(), state: LoadRun::RUNNING.to_owned(), ..LoadRun::default() };
        assert_eq!([&run, &run].map(|run| database.begin_load(run).unwrap()), [1, 2]);
        let trace = |sequence, status: Option<u32>| TraceRow {
            sequence,
            service: "shop".to_owned(),
            intended_us: 5,
            done_us: 7 + i64::from(status.is_none()),
            status,
            ..TraceRow::default()
        };
        let traces = [trace(0, Some(200)), trace(1, None)];
        database.store_of_load(2, &traces).unwrap();
        assert!(database.store_of_load(2, &[trace(2, None), trace(1, None)]).is_err(), "one is there already");
        let file = ExperimentFile::open(&path).unwrap();
        assert_eq!(file.load_runs().unwrap()[1], LoadRun { id: 2, ..run.clone() });
        assert_eq!(file.of_load::<TraceRow>(2).unwrap(), traces, "all of what is stored at once, or none");
        let mut told = Vec::new();
        file.for_each_trace(2, |trace| told.push(trace)).unwrap();
        assert_eq!(told, traces);
        let extent = TraceExtent { requests: 2, first_us: 5, last_us: 8 };
        assert_eq!((file.trace_extent(2).unwrap(), file.trace_extent(1).unwrap()), (Some(extent), None));
        let ended = LoadRun {
            id: 2,
            state: LoadRun::FINISHED.to_owned(),
            ended_us: Some(9),
            figures: Some(Json(serde_json::json!({"intended": 2}))),
            ..run
        };
        database.end_load(&ended).unwrap();
        assert_eq!(file.load_runs().unwrap()[1], ended);
        let telemetry = |host: &str, at_us| TelemetryRow { host: host.to_owned(), at_us, ..TelemetryRow::default() };
        let [b, late, a] = [telemetry("b", 5), telemetry("a", 9), telemetry("a", 5)];
        database.store_of_load(2, &[b.clone(), late.clone(), a.clone()]).unwrap();
        assert_eq!(file.of_load::<TelemetryRow>(2).unwrap(), [a, late, b], "by host and time");
        database.remove(&[2]).unwrap();
        assert_eq!(file.of_load::<TraceRow>(2).unwrap(), []);
        assert_eq!(file.of_load::<TelemetryRow>(2).unwrap(), []);
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smoke.db");
        let first = open(&path).unwrap();
        let told = refused(&path);
        assert_eq!(told, "another process is writing to it; wait for it, or name another file with --output");
        drop(first);
        assert!(open(&path).is_ok());
    }

    #[test]
    fn every_column_is_documented() {
        const EXPERIMENTS: (&str, &str) = ("docs/experiments.md", include_str!("../../../../docs/experiments.md"));
        const LOAD: (&str, &str) = ("docs/load.md", include_str!("../../../../docs/load.md"));
        for (kind, table) in
            FileKind::ALL.into_iter().flat_map(|kind| kind.tables().iter().map(move |table| (kind, table)))
        {
            let (place, document) = match (kind, table) {
                (_, Table::Experiment) => EXPERIMENTS,
                (FileKind::Load, _) => LOAD,
                (FileKind::Policies | FileKind::Membership | FileKind::Offloading, _) => EXPERIMENTS,
            };
            let name = table.name();
            assert!(document.contains(&format!("\n`{name}`, ")), "{name} is not in {place}");
            for column in table.columns().into_iter().filter(|column| column.name != "run") {
                let column = format!("`{}`", column.name);
                assert!(document.contains(&column), "{column} of {name} is not in {place}");
            }
        }
    }

    #[test]
    fn columns_are_known_by_name_and_kind() {
        let column = |name, kind, optional| Column { name, kind, optional };
        let expected = [
            column("run", Kind::Integer, false),
            column("sequence", Kind::Integer, false),
            column("at_s", Kind::Real, false),
            column("began_s", Kind::Real, true),
            column("agent", Kind::Integer, true),
            column("action", Kind::Text, false),
            column("replicas", Kind::Text, false),
            column("refs", Kind::Text, false),
        ];
        assert_eq!(Table::RunPlacements.columns(), expected);
        assert_eq!(Table::Runs.columns()[0], column("id", Kind::Integer, false));
    }
}
