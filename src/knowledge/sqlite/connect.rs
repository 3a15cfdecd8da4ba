//! Opening the file, its schema, and what SQLite's errors mean for the caller.

use crate::knowledge::KnowledgeError;
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::requests::Refused;
use agent_core::knowledge::rules::Rejection;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::Path;
use std::time::Duration;

/// In the file's header: the letters `agnt`. By it a file of another program is known, and left alone.
const APPLICATION_ID: i64 = 0x6167_6e74;

/// Migration N lies at N - 1. Files that were released never change; a new one is added.
const MIGRATIONS: [&str; 17] = [
    include_str!("001_tables.sql"),
    include_str!("002_nodes_come_and_go.sql"),
    include_str!("003_asks.sql"),
    include_str!("004_sound_replicas.sql"),
    include_str!("005_unexpected_inputs.sql"),
    include_str!("006_several_data_sets.sql"),
    include_str!("007_constraints.sql"),
    include_str!("008_versions.sql"),
    include_str!("009_prices.sql"),
    include_str!("010_job_parts.sql"),
    include_str!("011_membership.sql"),
    include_str!("012_batch.sql"),
    include_str!("013_work.sql"),
    include_str!("014_requests.sql"),
    include_str!("015_load.sql"),
    include_str!("016_load_hosts.sql"),
    include_str!("017_overrides.sql"),
];

/// The version that these make.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// How long a writer waits for the writers of other processes; their transactions take well under a millisecond.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Switching a new file to WAL does not wait for other processes by itself.
const WAL_ATTEMPTS: u32 = 50;
const WAL_PAUSE: Duration = Duration::from_millis(100);

/// Distinct statements of this technology are fewer.
const CACHED_STATEMENTS: usize = 140;

/// Why an operation did not end well, before it is said with the operation's name and the file's path.
#[derive(Debug)]
pub(super) enum Failure {
    Rejected(Rejection),
    /// Before the commit was asked for: the transaction was rolled back.
    Before(rusqlite::Error),
    Committing(rusqlite::Error),
    /// The file, which is only looked at, had to be opened again.
    Opening(KnowledgeError),
    /// The file, which is only looked at, changed each time while it was read.
    Unsteady,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Before(error)
    }
}

impl From<Refused> for Failure {
    fn from(Refused(why): Refused) -> Self {
        Failure::Rejected(Rejection::Refused(why))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Failure::Rejected(rejection)
    }
}

impl Failure {
    pub(super) fn during(self, operation: &'static str, path: &Path) -> KnowledgeError {
        match self {
            Failure::Rejected(rejection) => rejection.during(operation),
            Failure::Opening(error) => error,
            Failure::Unsteady => {
                let reason = format!("{}: it changes while it is read; try again", path.display());
                KnowledgeError::NotExecuted { operation, reason }
            }
            Failure::Before(error) if is_unusable(&error) => unusable(path, &error),
            Failure::Before(error) => not_executed(operation, path, &error),
            Failure::Committing(error) => match code(&error) {
                // The log may or may not have reached the disk. Of everything else SQLite says that nothing was changed.
                Some(ErrorCode::SystemIoFailure) => {
                    KnowledgeError::Uncertain { operation, reason: describe(path, &error) }
                }
                _ => not_executed(operation, path, &error),
            },
        }
    }
}

/// Opens the file, creating it when it is missing, and brings its schema up to date.
pub(super) fn open(path: &Path, now: Timestamp) -> Result<Connection, KnowledgeError> {
    let refuse = |reason: String| KnowledgeError::Unusable { address: path.display().to_string(), reason };
    // Absolute, because SQLite reads a meaning of its own into some other names (``, `:memory:`, `file:...`).
    let file = std::path::absolute(path).map_err(|error| refuse(format!("{error}; name a file")))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(|error| unusable(path, &error))?;
    prepare(&mut connection, path, now)?;
    Ok(connection)
}

/// Checks the file, and makes it ready for use.
pub(super) fn prepare(connection: &mut Connection, path: &Path, now: Timestamp) -> Result<(), KnowledgeError> {
    let unusable = |error| unusable(path, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unusable)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Before anything is written: a foreign or newer file stays as it is. One transaction, for another process may be
    // creating the schema right now, and half of what it writes would look like a file of another program.
    let reading = connection.transaction().map_err(unusable)?;
    check_schema(&reading, path)?;
    drop(reading);
    if connection.is_readonly("main").map_err(unusable)? {
        let reason = "the file is read-only; let this user write to it and to its folder".to_owned();
        return Err(KnowledgeError::Unusable { address: path.display().to_string(), reason });
    }
    use_wal(connection).map_err(unusable)?;
    connection.pragma_update(None, "synchronous", "normal").map_err(unusable)?;
    migrate(connection, path, now)
}

fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 1..WAL_ATTEMPTS {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if code(&error) == Some(ErrorCode::DatabaseBusy) => std::thread::sleep(WAL_PAUSE),
            other => return other,
        }
    }
    connection.pragma_update(None, "journal_mode", "wal")
}

pub(super) fn migrate(connection: &mut Connection, path: &Path, now: Timestamp) -> Result<(), KnowledgeError> {
    let unusable = |error| unusable(path, &error);
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(unusable)?;
    // Again, now that no other process can be migrating it.
    let applied = check_schema(&transaction, path)?;
    let run = || {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.execute_batch(
            "create table if not exists schema_version
                (version integer primary key, applied_at_ms integer not null) strict",
        )?;
        for (version, migration) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > applied) {
            transaction.execute_batch(migration)?;
            transaction.execute("insert into schema_version values (?, ?)", params![version, now.0])?;
        }
        Ok(())
    };
    run().map_err(unusable)?;
    transaction.commit().map_err(unusable)
}

/// The schema's version, 0 in an empty file; an error when the file is another program's or a newer version's.
pub(super) fn check_schema(connection: &Connection, path: &Path) -> Result<i64, KnowledgeError> {
    let address = || path.display().to_string();
    let read = || {
        let owner: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("select count(*) from sqlite_master", [], |row| row.get(0))?;
        let version = match tables {
            0 => None,
            _ if owner != APPLICATION_ID => None,
            _ => connection
                .query_row("select max(version) from schema_version", [], |row| row.get::<_, Option<i64>>(0))
                .optional()?
                .flatten(),
        };
        Ok((owner, tables, version))
    };
    let (owner, tables, version) = read().map_err(|error| unusable(path, &error))?;
    if owner != APPLICATION_ID && (tables > 0 || owner != 0) {
        let reason = "this is an SQLite file of another program; name another file".to_owned();
        return Err(KnowledgeError::Unusable { address: address(), reason });
    }
    match version {
        Some(found) if found > SCHEMA_VERSION => {
            Err(KnowledgeError::Newer { address: address(), found, known: SCHEMA_VERSION })
        }
        Some(found) => Ok(found),
        None => Ok(0),
    }
}

fn code(error: &rusqlite::Error) -> Option<ErrorCode> {
    match error {
        rusqlite::Error::SqliteFailure(cause, _) => Some(cause.code),
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        // The others are about values, and are found before SQLite changes anything.
        _ => None,
    }
}

/// Errors after which this file is of no use until a person acts.
fn is_unusable(error: &rusqlite::Error) -> bool {
    matches!(
        code(error),
        Some(
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::CannotOpen | ErrorCode::PermissionDenied
        )
    )
}

pub(super) fn unusable(path: &Path, error: &rusqlite::Error) -> KnowledgeError {
    let advice = advice(error);
    KnowledgeError::Unusable { address: path.display().to_string(), reason: format!("{error}{advice}") }
}

fn not_executed(operation: &'static str, path: &Path, error: &rusqlite::Error) -> KnowledgeError {
    KnowledgeError::NotExecuted { operation, reason: describe(path, error) }
}

fn describe(path: &Path, error: &rusqlite::Error) -> String {
    format!("{}: {error}{}", path.display(), advice(error))
}

/// What to do about it; empty where only the error itself can tell.
fn advice(error: &rusqlite::Error) -> &'static str {
    let Some(code) = code(error) else { return "" };
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "; another program holds it: end its transaction, or wait"
        }
        ErrorCode::ReadOnly => "; let this user write to it and to its folder",
        ErrorCode::DiskFull => "; make room on its disk",
        ErrorCode::SystemIoFailure => "; look at its disk",
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            "; its folder must exist and this user must be allowed to write there"
        }
        ErrorCode::DatabaseCorrupt => "; it is damaged: restore it (`sqlite3 FILE .recover`), or name another file",
        ErrorCode::NotADatabase => "; it is no SQLite file, or damaged: name another file",
        ErrorCode::FileLockingProtocolFailed | ErrorCode::NoLargeFileSupport => "; keep it on a local disk",
        ErrorCode::OutOfMemory => "; this process has no memory left",
        ErrorCode::TooBig => "; one of the values is too long",
        ErrorCode::SchemaChanged | ErrorCode::Unknown => "; was its schema changed by hand?",
        ErrorCode::InternalMalfunction
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::NotFound
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ApiMisuse
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ParameterOutOfRange => "",
        // The list is open to additions of SQLite.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn only_a_commit_with_a_disk_error_is_uncertain() {
        let error = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let check = |failure: Failure, expected: &str| {
            let error = failure.during("claim", Path::new("k.db"));
            let kind = match &error {
                KnowledgeError::NotExecuted { .. } => "not executed",
                KnowledgeError::Uncertain { .. } => "uncertain",
                KnowledgeError::Rejected { .. } => "rejected",
                KnowledgeError::Newer { .. } => "newer",
                KnowledgeError::Unusable { .. } => "unusable",
            };
            assert_eq!(kind, expected, "{error}");
            assert!(matches!(error, KnowledgeError::Rejected { .. }) || error.to_string().contains("k.db"), "{error}");
        };
        check(Failure::Committing(error(ffi::SQLITE_IOERR_FSYNC)), "uncertain");
        check(Failure::Before(error(ffi::SQLITE_IOERR_WRITE)), "not executed");
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_FULL, ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_READONLY] {
            check(Failure::Before(error(code)), "not executed");
            check(Failure::Committing(error(code)), "not executed");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_CANTOPEN, ffi::SQLITE_PERM] {
            check(Failure::Before(error(code)), "unusable");
        }
        check(Failure::Before(rusqlite::Error::QueryReturnedNoRows), "not executed");
        check(Failure::Rejected(Rejection::UnknownEvent(agent_core::domain::ids::EventId(1))), "rejected");
    }
}
