//! Looking at a file without writing: neither to it nor to its folder, and without a right to.

use super::connect::{self, SCHEMA_VERSION};
use crate::knowledge::KnowledgeError;
use agent_core::domain::time::Timestamp;
use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The condition of a file.
///
/// As long as an agent has it open, or after one was killed, its latest transactions are in a log beside it: then SQLite's
/// locks put readers and writers in order. Where there is no log, nobody has it open. Then it is read as it lies, without a
/// lock and without the files that locks need; whoever does so looks afterwards whether it still lies the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FileState {
    Logged(Inode),
    Still(Inode, Stamp),
    /// Read from a copy that may be old by now.
    Copied,
}

/// Device and number: another file under the same name has others.
type Inode = (u64, u64);
/// Length, and seconds and nanoseconds of the last change.
type Stamp = (u64, i64, i64);

impl FileState {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        let inode = (file.dev(), file.ino());
        let has = |end: &str| fs::metadata(beside(path, end)).map_or(None, |file: Metadata| Some(file.len()));
        let logged = has("-wal").is_some_and(|bytes| bytes > 0 || has("-shm").is_some());
        let rolling_back = has("-journal").is_some_and(|bytes| bytes > 0);
        Ok(match logged || rolling_back {
            true => FileState::Logged(inode),
            false => FileState::Still(inode, (file.len(), file.mtime(), file.mtime_nsec())),
        })
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Opens a file that is there. One of an older version is read from a copy in memory that is brought up to date.
pub(super) fn open(path: &Path, now: Timestamp, patience: Duration) -> Result<(Connection, FileState), KnowledgeError> {
    let refuse = |reason: &str| KnowledgeError::Unusable { address: path.display().to_string(), reason: reason.into() };
    let cannot = |error: io::Error| refuse(&format!("cannot be read: {error}"));
    let condition = FileState::of(path).map_err(cannot)?;
    if matches!(condition, FileState::Still(_, (0, ..))) {
        return Err(refuse("the file is empty: no network has used it yet; name another one"));
    }
    // Who may not read it at all is told so, instead of what SQLite makes of it.
    fs::File::open(path).map_err(cannot)?;
    let failed = |error| connect::unusable(path, &error);
    let way = if matches!(condition, FileState::Still(..)) { "immutable=1" } else { "mode=ro" };
    let file = std::path::absolute(path).map_err(cannot)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(format!("{}?{way}", uri(&file)), flags).map_err(failed)?;
    connection.busy_timeout(patience).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    match connect::check_schema(&connection, path)? {
        0 => Err(refuse("it holds no tables: no network has used it yet; name another one")),
        version if version < SCHEMA_VERSION => Ok((copied(&connection, path, now)?, as_copy(condition))),
        _ => Ok((connection, condition)),
    }
}

/// What a copy rests on: of a file that nobody has open it stays true as long as the file does.
fn as_copy(condition: FileState) -> FileState {
    if matches!(condition, FileState::Still(..)) { condition } else { FileState::Copied }
}

fn copied(file: &Connection, path: &Path, now: Timestamp) -> Result<Connection, KnowledgeError> {
    const PAGES: i32 = 1000;
    let failed = |error| connect::unusable(path, &error);
    let mut copy = Connection::open_in_memory().map_err(failed)?;
    let backup = Backup::new(file, &mut copy).map_err(failed)?;
    backup.run_to_completion(PAGES, Duration::ZERO, None).map_err(failed)?;
    drop(backup);
    connect::migrate(&mut copy, path, now)?;
    Ok(copy)
}

/// `file:///a/b.db`, with whatever a URI gives a meaning written as `%` and two digits.
fn uri(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let written = path.as_os_str().as_bytes().iter().map(|&byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02x}"),
    });
    format!("file://{}", written.collect::<String>())
}
