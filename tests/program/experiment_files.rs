//! What lies in the files that experiments are kept in.

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// A value by each column's name.
pub type Row = Vec<(String, Value)>;

pub fn read(database: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// How many rows a table has; none while there is no file.
pub fn stored(database: &Path, table: &str) -> i64 {
    let sql = format!("select count(*) from {table}");
    let count = |connection: Connection| connection.query_row(&sql, [], |row| row.get(0));
    read(database).and_then(count).unwrap_or(0)
}

/// Every row of a table, in the order of its first columns.
pub fn rows(database: &Path, table: &str) -> Vec<Row> {
    let connection = read(database).unwrap();
    let mut statement = connection.prepare(&format!("select * from {table} order by 1, 2, 3")).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let row = |row: &rusqlite::Row<'_>| {
        names.iter().enumerate().map(|(at, name)| Ok((name.clone(), row.get(at)?))).collect::<rusqlite::Result<Row>>()
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}
