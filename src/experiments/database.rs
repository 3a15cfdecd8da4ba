//! The file of an experiment's runs. One process writes to it at a time; a run is there as a whole or not at all.

use super::figures::{Placed, Run};
use super::grid::{Cell, Place};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Transaction, params};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

const TABLES: &str = include_str!("tables.sql");

/// Version of the tables. Older ones are not brought up to date: an experiment can be made again.
pub const FORMAT: i64 = 1;

/// In the file's header: the letters `agxp`.
pub const APPLICATION_ID: i64 = 0x6167_7870;

/// Readers hold a writer up for no longer than a page takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What is wrong with a file; nothing was changed in it, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{}: cannot be opened: {source}; name another file with --output", path.display())]
    Unusable { path: PathBuf, source: std::io::Error },
    #[error("{}: another `agent experiment` is writing to it; wait for it, or name another file with --output", path.display())]
    Taken { path: PathBuf },
    #[error("{}: this is no file of `agent experiment`; name another one with --output", path.display())]
    Foreign { path: PathBuf },
    #[error("{}: holds the experiment `{found}`; name another file with --output", path.display())]
    Other { path: PathBuf, found: String },
    #[error(
        "{}: its tables are of format {found}, and this program's of {FORMAT}; name another file with --output",
        path.display()
    )]
    Format { path: PathBuf, found: i64 },
    /// What was written before stays; a run of which this was a part does not.
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// A run that is there.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored {
    pub id: i64,
    pub place: Place,
    pub identity: String,
}

/// The violated jobs of the runs of one policy in one scenario.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Group {
    pub scenario: String,
    pub factors: String,
    pub policy: String,
}

/// A table's column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// May hold nothing.
    pub optional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Integer,
    Real,
    Text,
}

/// What a column of a row holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Value<'a> {
    Nothing,
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

/// The tables, in the order in which they are made.
pub const NAMES: [&str; 5] = ["experiment", "runs", "run_agents", "run_series", "run_placements"];

/// An open file that this process alone writes to.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    connection: Connection,
    // Released after the connection is closed: closing any handle of the file drops the connection's own locks.
    _lock: File,
}

impl Database {
    /// Opens the file of an experiment, making it, and the folder that it is in, when they are missing.
    pub fn open(path: &Path, name: &str, about: &str, written_by: &str) -> Result<Self, DatabaseError> {
        let lock = lock(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Absolute, because SQLite reads a meaning of its own into some other names.
        let file =
            std::path::absolute(path).map_err(|source| DatabaseError::Unusable { path: path.to_owned(), source })?;
        let failed = |source| DatabaseError::Sqlite { path: path.to_owned(), source };
        let mut connection = Connection::open_with_flags(file, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let is_new = is_new(&connection, path)?;
        // Readers may look at it while it is written, and what a `kill -9` interrupts is rolled back.
        connection.pragma_update(None, "journal_mode", "wal").map_err(failed)?;
        connection.pragma_update(None, "synchronous", "normal").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        if is_new {
            found(&mut connection, name, about, written_by).map_err(failed)?;
        } else {
            check(&connection, path, name)?;
            let again = params![about, written_by];
            connection.execute("update experiment set about = ?, written_by = ?", again).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), connection, _lock: lock })
    }

    /// Every run that is there.
    pub fn stored(&self) -> Result<Vec<Stored>, DatabaseError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare("select id, scenario, policy, factors, seed, identity from runs order by id")?;
            let rows = statement.query_map([], |row| {
                let place =
                    Place { scenario: row.get(1)?, policy: row.get(2)?, factors: row.get(3)?, seed: row.get(4)? };
                Ok(Stored { id: row.get(0)?, place, identity: row.get(5)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    /// Removes runs with all that belongs to them.
    pub fn remove(&mut self, ids: &[i64]) -> Result<(), DatabaseError> {
        let remove = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare("delete from runs where id = ?")?;
                ids.iter().try_for_each(|id| statement.execute([id]).map(|_| ()))?;
            }
            transaction.commit()
        };
        remove(&mut self.connection).map_err(|source| self.failed(source))
    }

    /// Stores a run under a number that is free.
    pub fn store(&mut self, id: i64, cell: &Cell, hours: f64, run: &Run) -> Result<(), DatabaseError> {
        let store = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            insert(&transaction, id, cell, hours, run)?;
            transaction.commit()
        };
        store(&mut self.connection).map_err(|source| self.failed(source))
    }

    /// Violated jobs of each run, by scenario, factors and policy, in the order of seeds.
    pub fn violated(&self) -> Result<BTreeMap<Group, Vec<f64>>, DatabaseError> {
        let read = || {
            let mut statement =
                self.connection.prepare("select scenario, factors, policy, violated from runs order by seed")?;
            let mut rows = statement.query([])?;
            let mut groups: BTreeMap<Group, Vec<f64>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let group = Group { scenario: row.get(0)?, factors: row.get(1)?, policy: row.get(2)? };
                groups.entry(group).or_default().push(row.get::<_, i64>(3)? as f64);
            }
            Ok(groups)
        };
        read().map_err(|source| self.failed(source))
    }

    /// The columns of a table, in order.
    pub fn columns(&self, table: &str) -> Result<Vec<Column>, DatabaseError> {
        let read = || {
            let mut statement =
                self.connection.prepare("select name, type, \"notnull\", pk from pragma_table_info(?)")?;
            let rows = statement.query_map([table], |row| {
                let kind = match row.get::<_, String>(1)?.to_lowercase().as_str() {
                    "integer" => Kind::Integer,
                    "real" => Kind::Real,
                    _ => Kind::Text,
                };
                let optional = row.get::<_, i64>(2)? == 0 && row.get::<_, i64>(3)? == 0;
                Ok(Column { name: row.get(0)?, kind, optional })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|source| self.failed(source))
    }

    /// Hears every row of a table, each with its values in the order of the columns, until one is refused.
    pub fn rows<E: From<DatabaseError>>(
        &self,
        table: &str,
        mut hear: impl FnMut(&[Value<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| DatabaseError::Sqlite { path: self.path.clone(), source };
        let columns = self.columns(table)?.len();
        let order = if table == "experiment" { "name" } else { "1, 2" };
        let text = format!("select * from {table} order by {order}");
        let mut statement = self.connection.prepare(&text).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let values: rusqlite::Result<Vec<Value<'_>>> = (0..columns).map(|at| Ok(value(row.get_ref(at)?))).collect();
            hear(&values.map_err(failed)?)?;
        }
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite { path: self.path.clone(), source }
    }
}

fn value(read: ValueRef<'_>) -> Value<'_> {
    match read {
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or(Value::Nothing, Value::Text),
        // The tables are strict: none of their columns holds one.
        ValueRef::Null | ValueRef::Blob(_) => Value::Nothing,
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
fn is_new(connection: &Connection, path: &Path) -> Result<bool, DatabaseError> {
    let read = || {
        let owner: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("select count(*) from sqlite_master", [], |row| row.get(0))?;
        Ok((owner, tables))
    };
    match read() {
        Ok((0, 0)) => Ok(true),
        Ok((APPLICATION_ID, tables)) => Ok(tables == 0),
        Ok(_) => Err(DatabaseError::Foreign { path: path.to_owned() }),
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == rusqlite::ErrorCode::NotADatabase => {
            Err(DatabaseError::Foreign { path: path.to_owned() })
        }
        Err(source) => Err(DatabaseError::Sqlite { path: path.to_owned(), source }),
    }
}

fn found(connection: &mut Connection, name: &str, about: &str, written_by: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute("insert into experiment values (?, ?, ?, ?)", params![name, about, FORMAT, written_by])?;
    transaction.commit()
}

fn check(connection: &Connection, path: &Path, name: &str) -> Result<(), DatabaseError> {
    let path = path.to_owned();
    let row = connection.query_row("select format, name from experiment", [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (format, found): (i64, String) = row.map_err(|source| DatabaseError::Sqlite { path: path.clone(), source })?;
    match (format == FORMAT, found == name) {
        (true, true) => Ok(()),
        (false, _) => Err(DatabaseError::Format { path, found: format }),
        (true, false) => Err(DatabaseError::Other { path, found }),
    }
}

fn insert(transaction: &Transaction<'_>, id: i64, cell: &Cell, hours: f64, run: &Run) -> rusqlite::Result<()> {
    let (place, figures) = (&cell.place, &run.figures);
    transaction.prepare_cached(
        "insert into runs (id, scenario, policy, factors, seed, hours, identity, agents, jobs, violated, failed, expected_share,
             best_share, on_best, actions, moves,
             copies, references_changed, evicts, actions_failed, action_cost, bytes_moved, first_violation_s, last_action_s,
             replicas_mean, replicas_end, changes, oscillations, fairness, messages_per_agent_hour, decisions, decision_us,
             converged)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        place.scenario,
        place.policy,
        place.factors,
        place.seed,
        hours,
        cell.identity,
        figures.agents,
        figures.jobs,
        figures.violated,
        figures.failed,
        figures.expected_share,
        figures.best_share,
        figures.on_best,
        figures.actions,
        figures.moves,
        figures.copies,
        figures.references_changed,
        figures.evicts,
        figures.actions_failed,
        figures.action_cost,
        figures.bytes_moved,
        figures.first_violation_s,
        figures.last_action_s,
        figures.replicas_mean,
        figures.replicas_end,
        figures.changes,
        figures.oscillations,
        figures.fairness,
        figures.messages_per_agent_hour,
        figures.decisions,
        figures.decision_us,
        figures.converged,
    ])?;
    let mut agents = transaction.prepare_cached("insert into run_agents values (?, ?, ?, ?, ?, ?)")?;
    for (agent, figures) in &run.agents {
        let row = params![id, agent.0, figures.jobs, figures.violated, figures.actions, figures.messages];
        agents.execute(row)?;
    }
    let mut series = transaction.prepare_cached("insert into run_series values (?, ?, ?, ?, ?)")?;
    for sample in &run.series {
        series.execute(params![id, sample.at_s, sample.violated, sample.jobs, sample.replicas])?;
    }
    let mut placements = transaction.prepare_cached("insert into run_placements values (?, ?, ?, ?, ?, ?, ?)")?;
    for (sequence, placed) in (0_i64..).zip(&run.placements) {
        let (agent, action) = by(placed);
        let [replicas, references] = json(placed);
        placements.execute(params![id, sequence, placed.at_s, agent, action, replicas, references])?;
    }
    Ok(())
}

/// What happened: an action's label, `start`, or `join` of agents that come later.
fn by(placed: &Placed) -> (Option<u32>, String) {
    match placed.by {
        Some((agent, action)) => (Some(agent.0), action.to_string()),
        None if placed.at_s == 0.0 => (None, "start".to_owned()),
        None => (None, "join".to_owned()),
    }
}

/// `[1,3]` and `{"1":3,"2":1}`.
fn json(placed: &Placed) -> [String; 2] {
    let list = |items: Vec<String>| items.join(",");
    let replicas = placed.layout.replicas.iter().map(ToString::to_string).collect();
    let references = placed.layout.references.iter().map(|(agent, node)| format!("\"{agent}\":{node}")).collect();
    [format!("[{}]", list(replicas)), format!("{{{}}}", list(references))]
}

#[cfg(test)]
mod tests {
    use super::super::figures::{AgentFigures, Figures, Sample};
    use super::super::observer::Layout;
    use super::*;
    use crate::domain::ids::{AgentId, NodeId};

    fn run(violated: u64) -> Run {
        let figures = Figures {
            agents: 1,
            jobs: 9,
            violated,
            failed: 0,
            actions: 1,
            moves: 1,
            copies: 0,
            references_changed: 0,
            evicts: 0,
            actions_failed: 0,
            expected_share: Some(0.25),
            best_share: None,
            on_best: Some(false),
            action_cost: 1.5,
            bytes_moved: 10,
            first_violation_s: Some(2.5),
            last_action_s: None,
            replicas_mean: 1.25,
            replicas_end: 1,
            changes: 1,
            oscillations: 0,
            fairness: 1.0,
            messages_per_agent_hour: 0.25,
            decisions: 1,
            decision_us: None,
            converged: true,
        };
        let layout = Layout { replicas: [NodeId(1), NodeId(3)].into(), references: [(AgentId(2), NodeId(3))].into() };
        let moved = Some((AgentId(2), "M1_3".parse().unwrap()));
        let placed = |at_s, by| Placed { at_s, by, layout: layout.clone() };
        Run {
            figures,
            agents: [(AgentId(2), AgentFigures { jobs: 9, violated, actions: 1, messages: 2 })].into(),
            series: vec![Sample { at_s: 30.0, violated, jobs: 9, replicas: 2 }],
            placements: vec![placed(0.0, None), placed(2.5, moved), placed(2.5, moved), placed(3.0, None)],
        }
    }

    fn cell(policy: &str, seed: u64, edition: &str) -> Cell {
        let place =
            Place { scenario: "published".to_owned(), policy: policy.to_owned(), factors: "{}".to_owned(), seed };
        Cell { identity: format!("{edition} {policy} {seed}"), place, subject: 0 }
    }

    fn open(path: &Path) -> Result<Database, DatabaseError> {
        Database::open(path, "smoke", "Small.", "agent 0")
    }

    /// Without the path.
    fn refused(path: &Path) -> String {
        let error = open(path).expect_err("the file cannot be used");
        error.to_string().replace(&format!("{}: ", path.display()), "")
    }

    fn count(database: &Database, table: &str) -> usize {
        let mut rows = 0;
        database
            .rows(table, |_| {
                rows += 1;
                Ok::<(), DatabaseError>(())
            })
            .unwrap();
        rows
    }

    #[test]
    fn a_run_is_there_as_a_whole_after_the_file_was_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smoke.db");
        let mut database = open(&path).unwrap();
        database.store(1, &cell("fixed", 1, "a"), 4.0, &run(3)).unwrap();
        database.store(2, &cell("fixed", 2, "a"), 4.0, &run(5)).unwrap();
        drop(database);
        let database = open(&path).unwrap();
        let stored = database.stored().unwrap();
        assert_eq!(stored.iter().map(|run| run.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((&stored[1].place, stored[1].identity.as_str()), (&cell("fixed", 2, "a").place, "a fixed 2"));
        assert_eq!(NAMES.map(|table| count(&database, table)), [1, 2, 2, 2, 8]);
        let group = Group { scenario: "published".to_owned(), factors: "{}".to_owned(), policy: "fixed".to_owned() };
        assert_eq!(database.violated().unwrap(), BTreeMap::from([(group, vec![3.0, 5.0])]));
    }

    #[test]
    fn placements_say_who_changed_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(&folder.path().join("smoke.db")).unwrap();
        database.store(1, &cell("fixed", 1, "a"), 4.0, &run(3)).unwrap();
        let mut told = Vec::new();
        database
            .rows("run_placements", |row| {
                told.push(row[1..].iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" "));
                Ok::<(), DatabaseError>(())
            })
            .unwrap();
        let line =
            |head: &str, action: &str| format!("{head} Text({action:?}) Text(\"[1,3]\") Text({:?})", "{\"2\":3}");
        let expected = [
            line("Integer(0) Real(0.0) Nothing", "start"),
            line("Integer(1) Real(2.5) Integer(2)", "M1_3"),
            line("Integer(2) Real(2.5) Integer(2)", "M1_3"),
            line("Integer(3) Real(3.0) Nothing", "join"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(&folder.path().join("smoke.db")).unwrap();
        for seed in 1..=3 {
            database.store(seed.try_into().unwrap(), &cell("fixed", seed, "a"), 4.0, &run(3)).unwrap();
        }
        database.remove(&[1, 3]).unwrap();
        assert_eq!(NAMES.map(|table| count(&database, table)), [1, 1, 1, 1, 4]);
        database.store(1, &cell("fixed", 1, "b"), 4.0, &run(3)).unwrap();
        assert_eq!(database.stored().unwrap().len(), 2);
    }

    /// A run that cannot be stored as a whole is not there at all.
    #[test]
    fn there_is_one_run_of_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(&folder.path().join("smoke.db")).unwrap();
        database.store(1, &cell("fixed", 1, "a"), 4.0, &run(3)).unwrap();
        let twice = database.store(2, &cell("fixed", 1, "b"), 4.0, &run(3)).unwrap_err();
        assert!(twice.to_string().contains("UNIQUE"), "{twice}");
        let mut broken = run(3);
        broken.series.push(broken.series[0]);
        let broken = database.store(2, &cell("fixed", 2, "a"), 4.0, &broken).unwrap_err();
        assert!(broken.to_string().contains("run_series"), "{broken}");
        assert_eq!(NAMES.map(|table| count(&database, table)), [1, 1, 1, 1, 4]);
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
        assert_eq!(refused(&path), "this is no file of `agent experiment`; name another one with --output");
        let path = folder.path().join("foreign.db");
        Connection::open(&path).unwrap().execute_batch("create table mine (a integer)").unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(refused(&path), "this is no file of `agent experiment`; name another one with --output");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let path = folder.path().join("drift.db");
        drop(Database::open(&path, "drift", "", "agent 0").unwrap());
        assert_eq!(refused(&path), "holds the experiment `drift`; name another file with --output");
        Connection::open(&path).unwrap().execute("update experiment set format = 9", []).unwrap();
        assert!(refused(&path).starts_with("its tables are of format 9, and this program's of 1; "));
        let nowhere = refused(&path.join("below.db"));
        assert!(nowhere.starts_with("cannot be opened: "), "{nowhere}");
        drop(Database::open(&folder.path().join("new/folder/drift.db"), "drift", "", "agent 0").unwrap());
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smoke.db");
        let first = open(&path).unwrap();
        let told = refused(&path);
        assert_eq!(
            told,
            "another `agent experiment` is writing to it; wait for it, or name another file with --output"
        );
        drop(first);
        assert!(open(&path).is_ok());
    }

    #[test]
    fn every_column_is_documented() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder.path().join("smoke.db")).unwrap();
        let document = include_str!("../../docs/experiments.md");
        for table in NAMES {
            assert!(document.contains(&format!("\n`{table}`, ")), "{table} is not in docs/experiments.md");
            for column in database.columns(table).unwrap().into_iter().filter(|column| column.name != "run") {
                let name = format!("`{}`", column.name);
                assert!(document.contains(&name), "{name} of {table} is not in docs/experiments.md");
            }
        }
    }

    #[test]
    fn columns_are_known_by_name_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder.path().join("smoke.db")).unwrap();
        let column = |name: &str, kind, optional| Column { name: name.to_owned(), kind, optional };
        let expected = [
            column("run", Kind::Integer, false),
            column("sequence", Kind::Integer, false),
            column("at_s", Kind::Real, false),
            column("agent", Kind::Integer, true),
            column("action", Kind::Text, false),
            column("replicas", Kind::Text, false),
            column("refs", Kind::Text, false),
        ];
        assert_eq!(database.columns("run_placements").unwrap(), expected);
        assert_eq!(database.columns("runs").unwrap()[0], column("id", Kind::Integer, false));
    }
}
