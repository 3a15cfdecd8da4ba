//! The rows of a query, for `knowledge::rows` to read.

use crate::knowledge::rows::{Cell, Cells, read_row};
pub(super) use crate::knowledge::rows::{Fields, Keyed, LeftOut, Warned};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row};

type Field<T> = Result<T, LeftOut>;

/// Reads all rows that make sense.
pub(super) fn read<T>(
    connection: &Connection,
    warned: &mut Warned,
    table: Keyed,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&mut Fields<'_>) -> Field<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.extend(read_row(row, table, warned, &mut read));
    }
    Ok(all)
}

impl Cells for Row<'_> {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String> {
        self.get_ref(column).map(cell).map_err(|error| error.to_string())
    }

    fn key(&self, index: usize) -> Cell<'_> {
        self.get_ref(index).map_or(Cell::Null, cell)
    }
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(bytes) => Cell::Text(bytes),
        ValueRef::Blob(_) => Cell::Other("bytes"),
    }
}
