//! Reading what `agent experiment` wrote; while it is written, too.

use super::experiment::{Experiment, Factors, Run};
use super::placement::{Change, History};
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In the header of an experiment's file: the letters `agxp`.
const EXPERIMENT: i64 = 0x6167_7870;
/// In the header of a network's file: the letters `agnt`.
const NETWORK: i64 = 0x6167_6e74;
/// The version of the tables that can be read.
const FORMAT: i64 = 1;

/// Somebody may be writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    Experiment,
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
        "{}: is neither a file of `agent experiment` nor the shared table of a network (network.db in the data directory)",
        .0.display()
    )]
    Foreign(PathBuf),
    #[error("{}: its tables are of format {found}, and this program reads {FORMAT}; use the `agent` that wrote it", path.display())]
    Format { path: PathBuf, found: i64 },
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
    match connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0)) {
        Ok(EXPERIMENT) => Ok(Contents::Experiment),
        Ok(NETWORK) => Ok(Contents::Network),
        Ok(_) => Err(ReadError::Foreign(path.to_owned())),
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
        let file = Self { path: path.to_owned(), connection: open(path)? };
        let found = file.connection.query_row("select format from experiment", [], |row| row.get(0));
        match found.map_err(|source| file.failed(source))? {
            FORMAT => Ok(file),
            found => Err(ReadError::Format { path: file.path, found }),
        }
    }

    /// What was run, and what each run came to.
    pub fn experiment(&self) -> Result<Experiment> {
        let head = self.connection.query_row("select name, about, written_by from experiment", [], |row| {
            Ok(Experiment { name: row.get(0)?, about: row.get(1)?, written_by: row.get(2)?, runs: Vec::new() })
        });
        let mut experiment = head.map_err(|source| self.failed(source))?;
        let rows =
            self.rows("select * from runs order by id", [], |row| Ok((run(row)?, row.get::<_, String>("factors")?)))?;
        for (mut run, factors) in rows {
            run.factors = self.json(run.id, "factors", &factors)?;
            experiment.runs.push(run);
        }
        Ok(experiment)
    }

    /// Violated jobs of a run up to each sample: second, jobs. Begins with none at the start; empty when nothing was sampled.
    pub fn violated(&self, run: i64) -> Result<Vec<(f64, f64)>> {
        let mut samples =
            self.rows("select at_s, violated from run_series where run = ? order by at_s", [run], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if samples.first().is_some_and(|first| first.0 > 0.0) {
            samples.insert(0, (0.0, 0.0));
        }
        Ok(samples)
    }

    /// The placement of a run over time; without changes when none was kept.
    pub fn history(&self, run: &Run) -> Result<History> {
        let text =
            "select at_s, agent, action, replicas, refs from run_placements where run = ? order by at_s, sequence";
        let rows = self.rows(text, [run.id], |row| {
            let texts: (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, row.get(1)?, texts))
        })?;
        let change = |(at_s, agent, (action, replicas, references)): (f64, Option<u32>, (String, String, String))| {
            Ok(Change {
                at_s,
                agent,
                action: if action == "start" { String::new() } else { action },
                replicas: self.json(run.id, "replicas", &replicas)?,
                references: self.json(run.id, "refs", &references)?,
            })
        };
        let changes = rows.into_iter().map(change).collect::<Result<_>>()?;
        Ok(History { lasts_s: run.hours * 3600.0, changes })
    }

    fn rows<T>(
        &self,
        text: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let all = || {
            let mut statement = self.connection.prepare_cached(text)?;
            statement.query_map(parameters, read)?.collect::<rusqlite::Result<Vec<T>>>()
        };
        all().map_err(|source| self.failed(source))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, run: i64, column: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).map_err(|error| ReadError::Row {
            path: self.path.clone(),
            run,
            problem: format!("column `{column}` is not what it should be: {error}"),
        })
    }

    fn failed(&self, source: rusqlite::Error) -> ReadError {
        ReadError::Sqlite { path: self.path.clone(), source }
    }
}

/// A row of `runs`, but for its factors.
fn run(row: &Row) -> rusqlite::Result<Run> {
    Ok(Run {
        id: row.get("id")?,
        scenario: row.get("scenario")?,
        policy: row.get("policy")?,
        factors: Factors::new(),
        seed: row.get("seed")?,
        hours: row.get("hours")?,
        agents: row.get("agents")?,
        jobs: row.get("jobs")?,
        violated: row.get("violated")?,
        failed: row.get("failed")?,
        expected_share: row.get("expected_share")?,
        best_share: row.get("best_share")?,
        on_best: row.get("on_best")?,
        actions: row.get("actions")?,
        moves: row.get("moves")?,
        copies: row.get("copies")?,
        references_changed: row.get("references_changed")?,
        evicts: row.get("evicts")?,
        action_cost: row.get("action_cost")?,
        bytes_moved: row.get("bytes_moved")?,
        first_violation_s: row.get("first_violation_s")?,
        last_action_s: row.get("last_action_s")?,
        replicas_mean: row.get("replicas_mean")?,
        replicas_end: row.get("replicas_end")?,
        changes: row.get("changes")?,
        oscillations: row.get("oscillations")?,
        fairness: row.get("fairness")?,
        messages_per_agent_hour: row.get("messages_per_agent_hour")?,
        decisions: row.get("decisions")?,
        decision_us: row.get("decision_us")?,
        converged: row.get("converged")?,
    })
}
