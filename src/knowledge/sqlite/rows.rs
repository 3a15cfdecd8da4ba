//! SQLite's rows as `quarantine` reads them.

use agent_core::knowledge::quarantine::{Cell, Cells, Field, Fields, Quarantine, ROWS_MAX, Table};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row};

struct SqliteRow<'a> {
    row: &'a Row<'a>,
    /// The names of its columns, asked for once: SQLite counts their letters each time.
    columns: &'a [String],
}

impl Cells for SqliteRow<'_> {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String> {
        let at = self.columns.iter().position(|name| name == column);
        let at = at.ok_or_else(|| format!("there is no column `{column}`"))?;
        Ok(match self.row.get_ref(at).map_err(|error| error.to_string())? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Integer(value),
            ValueRef::Real(value) => Cell::Real(value),
            ValueRef::Text(bytes) => Cell::Text(bytes),
            ValueRef::Blob(_) => Cell::Other("bytes"),
        })
    }
}

/// Reads all rows that make sense.
pub(super) fn read<T>(
    connection: &Connection,
    quarantine: &mut Quarantine,
    table: Table,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&mut Fields<'_>) -> Field<T>,
) -> rusqlite::Result<Vec<T>> {
    read_at_most(ROWS_MAX, connection, quarantine, table, sql, params, read)
}

/// Reads the first rows that make sense. Those that do not are no part of the limit: a page that is not full is the last one.
pub(super) fn read_at_most<T>(
    limit: usize,
    connection: &Connection,
    quarantine: &mut Quarantine,
    table: Table,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&mut Fields<'_>) -> Field<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        if all.len() == limit {
            if limit == ROWS_MAX {
                quarantine.too_many(table);
            }
            break;
        }
        all.extend(quarantine.read(table, &SqliteRow { row, columns: &columns }, &mut read));
    }
    Ok(all)
}
