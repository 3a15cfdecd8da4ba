//! Rows in tables that people edit with any client: what makes no sense is put right (clamped, cut, taken as absent) or its row
//! left out, and each is reported once. A bad row never fails a whole answer.
//!
//! A technology shows each row as [`Cells`]; what its columns may hold is in `tables`, one function for each table, so that all
//! technologies see the same in the same row. docs/security.md lists what becomes of what.

mod tables;
#[cfg(test)]
mod tests;

pub use tables::*;

use crate::domain::text::{NAME_MAX, legible, shortened};
use crate::domain::time::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// More rows than this are read by no answer (I-7).
pub const ROWS_MAX: usize = 100_000;
/// The longest text that is read: a decision's report \[bytes\].
pub const DETAIL_MAX: usize = 1 << 20;
/// Identities, generations and sizes beyond this could not be counted on: the next number may not exist.
const COUNTABLE: i64 = 1 << 53;
/// Clocks may be set back by so much before what they wrote lies in the future.
const TOLERANCE: Duration = Duration::from_secs(3600);

/// How many reports are remembered so as not to be repeated (I-7).
const REPORTS_MAX: usize = 1000;
/// The longest part of a row that a report repeats \[characters\].
const EXCERPT_MAX: usize = 80;

/// One value of a row, as the technology has it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    /// Of any bytes.
    Text(&'a [u8]),
    /// Of a type that no column has; its name.
    Other(&'static str),
}

/// A row, column by column. An error says why there is no such cell.
pub trait Cells {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String>;
}

/// A table's name, and the columns that tell its rows apart: every `select` from it has them.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    pub key: &'static [&'static str],
}

/// What was reported, and the moment that rows are held against.
#[derive(Debug, Default)]
pub struct Quarantine {
    now: Timestamp,
    reported: BTreeSet<Report>,
}

/// Said once: for a row, a column and what is wrong there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Report {
    pub table: &'static str,
    pub row: String,
    pub column: &'static str,
    pub what: String,
}

impl Quarantine {
    /// What is read from now on is read at this moment of the table's clock.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// What a row says, or `None` when it is left out.
    pub fn read<T>(
        &mut self,
        table: Table,
        row: &dyn Cells,
        read: impl FnOnce(&mut Fields<'_>) -> Field<T>,
    ) -> Option<T> {
        let mut fields = Fields { row, table, quarantine: self };
        match read(&mut fields) {
            Ok(value) => Some(value),
            Err(LeftOut { column, why }) => {
                fields.report(column, format!("{why}; the row is left out"));
                None
            }
        }
    }

    /// Says that a table has more rows than anybody reads.
    pub fn too_many(&mut self, table: Table) {
        let what = format!("there are more than {ROWS_MAX} rows; the others are left out");
        self.report(Report { table: table.name, row: String::new(), column: "", what });
    }

    fn report(&mut self, report: Report) {
        if self.reported.len() == REPORTS_MAX || !self.reported.insert(report.clone()) {
            return;
        }
        let Report { table, row, column, what } = report;
        tracing::warn!(table, row, column, "{what}");
        if self.reported.len() == REPORTS_MAX {
            tracing::warn!("no further rows that make no sense are reported");
        }
    }

    #[doc(hidden)]
    pub fn reported(&self) -> impl Iterator<Item = &Report> {
        self.reported.iter()
    }
}

/// Why a row is left out.
#[derive(Debug)]
pub struct LeftOut {
    column: &'static str,
    why: String,
}

pub type Field<T> = Result<T, LeftOut>;

/// One row, read column by column.
pub struct Fields<'a> {
    row: &'a dyn Cells,
    table: Table,
    quarantine: &'a mut Quarantine,
}

impl<'a> Fields<'a> {
    pub fn now(&self) -> Timestamp {
        self.quarantine.now
    }

    pub fn leave_out<T>(&self, column: &'static str, why: impl Display) -> Field<T> {
        Err(LeftOut { column, why: why.to_string() })
    }

    fn value(&self, column: &'static str) -> Field<Cell<'a>> {
        self.row.cell(column).or_else(|error| self.leave_out(column, error))
    }

    /// A whole number.
    pub fn integer(&mut self, column: &'static str) -> Field<i64> {
        match self.maybe_integer(column)? {
            Some(value) => Ok(value),
            None => self.leave_out(column, "there is no value"),
        }
    }

    pub fn maybe_integer(&mut self, column: &'static str) -> Field<Option<i64>> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Integer(value) => Ok(Some(value)),
            other @ (Cell::Real(_) | Cell::Text(_) | Cell::Other(_)) => {
                self.leave_out(column, format_args!("a whole number is expected, not {}", other.kind()))
            }
        }
    }

    /// The number of a node or agent.
    pub fn id(&mut self, column: &'static str) -> Field<u32> {
        let value = self.integer(column)?;
        u32::try_from(value).or_else(|_| self.leave_out(column, format_args!("{value} is no id")))
    }

    /// A number that the table gave, or that rises: after it there is another one.
    pub fn countable(&mut self, column: &'static str) -> Field<i64> {
        match self.integer(column)? {
            value @ 0..COUNTABLE => Ok(value),
            value => self.leave_out(column, format_args!("{value} is out of range")),
        }
    }

    /// A count; 0 where it is negative.
    pub fn amount(&mut self, column: &'static str) -> Field<u64> {
        let value = self.integer(column)?;
        Ok(u64::try_from(value).unwrap_or_else(|_| {
            self.report(column, format!("{value} is negative; 0 is used"));
            0
        }))
    }

    pub fn maybe_amount(&mut self, column: &'static str) -> Field<Option<u64>> {
        match self.maybe_integer(column)? {
            Some(_) => self.amount(column).map(Some),
            None => Ok(None),
        }
    }

    pub fn flag(&mut self, column: &'static str) -> Field<bool> {
        Ok(self.integer(column)? != 0)
    }

    pub fn maybe_flag(&mut self, column: &'static str) -> Field<Option<bool>> {
        Ok(self.maybe_integer(column)?.map(|value| value != 0))
    }

    pub fn time(&mut self, column: &'static str) -> Field<Timestamp> {
        self.integer(column).map(Timestamp)
    }

    pub fn maybe_time(&mut self, column: &'static str) -> Field<Option<Timestamp>> {
        Ok(self.maybe_integer(column)?.map(Timestamp))
    }

    /// When something happened; absent where that is still to come.
    pub fn maybe_past(&mut self, column: &'static str) -> Field<Option<Timestamp>> {
        let at = self.maybe_time(column)?;
        if at.is_some_and(|at| at > self.now() + TOLERANCE) {
            self.report(column, "it lies in the future and is taken as absent; was the time scale changed?".to_owned());
            return Ok(None);
        }
        Ok(at)
    }

    /// A finite number; absent too where it is not one.
    pub fn maybe_real(&mut self, column: &'static str) -> Field<Option<f64>> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Real(value) => Ok(Some(value)),
            // Exact as far as anybody's measurements go.
            Cell::Integer(value) => Ok(Some(value as f64)),
            other @ (Cell::Text(_) | Cell::Other(_)) => {
                self.leave_out(column, format_args!("a number is expected, not {}", other.kind()))
            }
        }
    }

    /// The nearest value within `range`; a row without a number is left out.
    pub fn real_within(&mut self, column: &'static str, range: RangeInclusive<f64>) -> Field<f64> {
        let value = match self.maybe_real(column)? {
            Some(value) if !value.is_nan() => value,
            _ => return self.leave_out(column, "there is no number"),
        };
        if range.contains(&value) {
            return Ok(value);
        }
        let nearest = value.clamp(*range.start(), *range.end());
        self.report(column, format!("{value:e} is out of range; {nearest} is used"));
        Ok(nearest)
    }

    /// A number that stands for what somebody said: the nearest one would be nobody's word.
    pub fn real_only_within(&mut self, column: &'static str, range: RangeInclusive<f64>) -> Field<f64> {
        match self.maybe_real(column)? {
            Some(value) if range.contains(&value) => Ok(value),
            Some(value) => self.leave_out(column, format_args!("{value:e} is out of range")),
            None => self.leave_out(column, "there is no number"),
        }
    }

    /// A measured value; absent where it cannot have been measured.
    pub fn measured(&mut self, column: &'static str, range: RangeInclusive<f64>) -> Field<Option<f64>> {
        let value = self.maybe_real(column)?;
        let possible = value.filter(|value| range.contains(value));
        if let (Some(value), None) = (value, possible) {
            self.report(column, format!("{value:e} cannot be measured; it is taken as absent"));
        }
        Ok(possible)
    }

    /// Text for people; what is longer is cut.
    pub fn text(&mut self, column: &'static str, most_bytes: usize) -> Field<String> {
        let bytes = self.bytes(column)?;
        let kept = &bytes[..bytes.len().min(most_bytes)];
        // Looked at first, for that takes a fraction of the time of replacing.
        let text = std::str::from_utf8(kept);
        if kept.len() < bytes.len() {
            self.report(column, format!("its {} bytes are cut to {most_bytes}", bytes.len()));
        } else if text.is_err() {
            self.report(column, "it is not UTF-8; the bytes in question are replaced".to_owned());
        }
        Ok(text.map_or_else(|_| String::from_utf8_lossy(kept).into_owned(), str::to_owned))
    }

    /// A name, for people.
    pub fn name(&mut self, column: &'static str) -> Field<String> {
        self.text(column, NAME_MAX)
    }

    /// Text that stands for something: cut, it would stand for something else.
    pub fn exact(&mut self, column: &'static str, most_bytes: usize) -> Field<String> {
        match self.bytes(column)? {
            bytes if bytes.len() > most_bytes => {
                self.leave_out(column, format_args!("{} bytes are more than {most_bytes}", bytes.len()))
            }
            bytes => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => self.leave_out(column, "it is not UTF-8"),
            },
        }
    }

    /// The same where nothing may stand; absent also where what stands makes no sense.
    pub fn maybe_exact(&mut self, column: &'static str, most_bytes: usize) -> Field<Option<String>> {
        if self.is_null(column)? {
            return Ok(None);
        }
        Ok(self
            .exact(column, most_bytes)
            .map_err(|left| self.report(column, format!("{}; it is taken as absent", left.why)))
            .ok())
    }

    pub fn is_null(&self, column: &'static str) -> Field<bool> {
        Ok(self.value(column)? == Cell::Null)
    }

    fn bytes(&mut self, column: &'static str) -> Field<&'a [u8]> {
        match self.value(column)? {
            Cell::Text(bytes) => Ok(bytes),
            Cell::Null => self.leave_out(column, "there is no value"),
            other @ (Cell::Integer(_) | Cell::Real(_) | Cell::Other(_)) => {
                self.leave_out(column, format_args!("text is expected, not {}", other.kind()))
            }
        }
    }

    /// A label that must be one that is known.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Field<T> {
        self.exact(column, NAME_MAX)?.parse().or_else(|why| self.leave_out(column, why))
    }

    /// A name out of a fixed list.
    pub fn one_of<T: Copy, const N: usize>(
        &mut self,
        column: &'static str,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Field<T> {
        let text = self.exact(column, NAME_MAX)?;
        match all.into_iter().find(|value| name(*value) == text) {
            Some(value) => Ok(value),
            None => self.leave_out(column, format_args!("`{text}` is none of {}", all.map(name).join(", "))),
        }
    }

    /// A name out of a fixed list, and `otherwise` where it is none of them.
    pub fn one_of_or<T: Copy, const N: usize>(
        &mut self,
        otherwise: T,
        column: &'static str,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Field<T> {
        Ok(self.one_of(column, all, &name).unwrap_or_else(|LeftOut { why, .. }| {
            self.report(column, format!("{why}; `{}` is used", name(otherwise)));
            otherwise
        }))
    }

    pub fn report(&mut self, column: &'static str, what: String) {
        let row = self.table.key.iter().map(|column| self.shown(column)).collect::<Vec<_>>().join(" ");
        let what = legible(&what, 4 * EXCERPT_MAX).into_owned();
        self.quarantine.report(Report { table: self.table.name, row, column, what });
    }

    fn shown(&self, column: &str) -> String {
        match self.row.cell(column) {
            Ok(Cell::Integer(value)) => value.to_string(),
            Ok(Cell::Text(bytes)) => {
                let start = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * EXCERPT_MAX)]).into_owned();
                legible(&shortened(&start, EXCERPT_MAX), 4 * EXCERPT_MAX).into_owned()
            }
            _ => "?".to_owned(),
        }
    }
}

impl Cell<'_> {
    fn kind(self) -> &'static str {
        match self {
            Cell::Null => "nothing",
            Cell::Integer(_) => "a whole number",
            Cell::Real(_) => "a number",
            Cell::Text(_) => "text",
            Cell::Other(kind) => kind,
        }
    }
}
