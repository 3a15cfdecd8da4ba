//! The tables as Parquet files, for programs that read columns: a file for each table, named as it, columns as there.

use super::columns::{Column, Kind};
use super::tables::Table;
use super::writer::{Database, DatabaseError};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use rusqlite::types::ValueRef;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are kept in memory, and that readers can skip together.
const ROWS: usize = 100_000;

/// Why a file could not be written; those before it are there.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{}: cannot be written: {source}; name another folder with --parquet", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: cannot be written: {source}", path.display())]
    Parquet { path: PathBuf, source: ParquetError },
}

/// Writes every table into a folder, making it when it is missing. A file of a former export is replaced when its successor is
/// complete.
pub fn export(database: &Database, folder: &Path) -> Result<Vec<PathBuf>, ExportError> {
    fs::create_dir_all(folder).map_err(|source| ExportError::File { path: folder.to_owned(), source })?;
    database.kind().tables().iter().map(|table| write(database, *table, folder)).collect()
}

fn write(database: &Database, table: Table, folder: &Path) -> Result<PathBuf, ExportError> {
    let path = folder.join(format!("{}.parquet", table.name()));
    // A device, FIFO or symbolic link is written through.
    let is_replaced = fs::symlink_metadata(&path).map_or(true, |there| there.is_file());
    let growing = if is_replaced { path.with_extension("parquet.new") } else { path.clone() };
    let broken = |source| ExportError::File { path: path.clone(), source };
    let failed = |source| ExportError::Parquet { path: path.clone(), source };
    let columns = table.columns();
    let schema = parse_message_type(&message(table.name(), &columns)).map_err(failed)?;
    let file = File::create(&growing).map_err(broken)?;
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).map_err(failed)?;
    let mut group = Group::new(&columns);
    database.rows(table, |row| {
        group.take(row);
        match group.rows {
            ROWS => group.flush(&mut writer).map_err(failed),
            _ => Ok(()),
        }
    })?;
    group.flush(&mut writer).map_err(failed)?;
    writer.close().map_err(failed)?;
    if is_replaced {
        fs::rename(&growing, &path).map_err(broken)?;
    }
    Ok(path)
}

/// The schema in the words of the format.
fn message(table: &str, columns: &[Column]) -> String {
    let field = |column: &Column| {
        let repetition = if column.optional { "optional" } else { "required" };
        let (kind, meaning) = match column.kind {
            Kind::Integer => ("int64", ""),
            Kind::Real => ("double", ""),
            Kind::Text => ("binary", " (UTF8)"),
        };
        format!("{repetition} {kind} {}{meaning};", column.name)
    };
    format!("message {table} {{ {} }}", columns.iter().map(field).collect::<Vec<_>>().join(" "))
}

/// Rows to be written together, by column.
struct Group {
    columns: Vec<Values>,
    rows: usize,
}

/// Of one column: those that are there, and for each row 1 or 0 when there may be none.
struct Values {
    of: OfKind,
    defined: Option<Vec<i16>>,
}

enum OfKind {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    Texts(Vec<ByteArray>),
}

impl Group {
    fn new(columns: &[Column]) -> Self {
        let values = |column: &Column| Values {
            of: match column.kind {
                Kind::Integer => OfKind::Integers(Vec::new()),
                Kind::Real => OfKind::Reals(Vec::new()),
                Kind::Text => OfKind::Texts(Vec::new()),
            },
            defined: column.optional.then(Vec::new),
        };
        Self { columns: columns.iter().map(values).collect(), rows: 0 }
    }

    fn take(&mut self, row: &[ValueRef<'_>]) {
        self.rows += 1;
        for (values, value) in self.columns.iter_mut().zip(row) {
            let is_there = match (&mut values.of, *value) {
                (OfKind::Integers(values), ValueRef::Integer(value)) => {
                    values.push(value);
                    true
                }
                (OfKind::Reals(values), ValueRef::Real(value)) => {
                    values.push(value);
                    true
                }
                (OfKind::Texts(values), ValueRef::Text(text)) => {
                    values.push(ByteArray::from(text));
                    true
                }
                // The tables are strict: what is of another kind is nothing.
                _ => false,
            };
            values.defined.iter_mut().for_each(|defined| defined.push(i16::from(is_there)));
        }
    }

    fn flush(&mut self, writer: &mut SerializedFileWriter<File>) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for values in &mut self.columns {
            let defined = values.defined.as_deref();
            match &mut values.of {
                OfKind::Integers(all) => column::<Int64Type>(&mut group, all, defined)?,
                OfKind::Reals(all) => column::<DoubleType>(&mut group, all, defined)?,
                OfKind::Texts(all) => column::<ByteArrayType>(&mut group, all, defined)?,
            }
            values.defined.iter_mut().for_each(Vec::clear);
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &mut Vec<T::T>,
    defined: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    column.typed::<T>().write_batch(values, defined, None)?;
    values.clear();
    column.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    fn column(name: &'static str, kind: Kind, optional: bool) -> Column {
        Column { name, kind, optional }
    }

    #[test]
    fn a_schema_names_columns_and_what_may_be_missing() {
        let columns =
            [column("id", Kind::Integer, false), column("mean", Kind::Real, true), column("policy", Kind::Text, false)];
        let expected = "message runs { required int64 id; optional double mean; required binary policy (UTF8); }";
        assert_eq!(message("runs", &columns), expected);
    }

    /// Read by the format's own library; `tests/program/experiment.rs` has another reader look at a whole experiment.
    #[test]
    fn what_was_written_is_read_again_in_several_groups() {
        let columns =
            [column("id", Kind::Integer, false), column("mean", Kind::Real, true), column("policy", Kind::Text, true)];
        let rows = [
            [ValueRef::Integer(1), ValueRef::Real(0.5), ValueRef::Null],
            [ValueRef::Integer(2), ValueRef::Null, ValueRef::Text("für alle".as_bytes())],
            [ValueRef::Integer(3), ValueRef::Real(2.5), ValueRef::Text(b"")],
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.parquet");
        let schema = Arc::new(parse_message_type(&message("runs", &columns)).unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
        let mut group = Group::new(&columns);
        rows[..2].iter().for_each(|row| group.take(row));
        group.flush(&mut writer).unwrap();
        group.take(&rows[2]);
        group.flush(&mut writer).unwrap();
        group.flush(&mut writer).unwrap();
        writer.close().unwrap();

        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let read: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        let expected = [
            r#"{id: 1, mean: 0.5, policy: null}"#,
            r#"{id: 2, mean: null, policy: "für alle"}"#,
            r#"{id: 3, mean: 2.5, policy: ""}"#,
        ];
        assert_eq!(read, expected);
    }
}
