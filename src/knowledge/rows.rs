//! From rows to domain types, in a table that people edit: what makes no sense is clamped, or its row left out, with one
//! warning for each column and row; it never fails a whole answer.

use crate::domain::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use crate::domain::placement::{Lease, Replica, ReplicaState};
use crate::domain::time::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Longer texts are cut; the longest that an agent writes is a decision's report.
const TEXT_MAX_BYTES: usize = 1 << 20;

/// How many warnings are remembered so as not to be repeated.
const WARNINGS_MAX: usize = 1000;

/// What was warned of already.
#[derive(Default)]
pub(super) struct Warned(BTreeSet<(&'static str, String, &'static str)>);

impl Warned {
    /// Table, row and column of each.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0.iter().map(|(table, row, column)| (*table, row.as_str(), *column))
    }

    fn warn(&mut self, table: &'static str, row: String, column: &'static str, what: &str) {
        if self.0.len() == WARNINGS_MAX || !self.0.insert((table, row.clone(), column)) {
            return;
        }
        tracing::warn!(table, row, column, "{what}");
        if self.0.len() == WARNINGS_MAX {
            tracing::warn!("no further rows that make no sense are reported");
        }
    }
}

/// A table's name and how many columns, the first of every `select` from it, identify a row.
#[derive(Clone, Copy)]
pub(super) struct Keyed(pub &'static str, pub usize);

/// Why a row is left out.
pub(super) struct LeftOut {
    column: &'static str,
    why: String,
}

pub(super) type Field<T> = Result<T, LeftOut>;

/// A value as a database gave it.
pub(super) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
    /// What no column of ours holds, by the name of its type.
    Other(&'static str),
}

impl Cell<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Cell::Null => "null",
            Cell::Integer(_) => "a whole number",
            Cell::Real(_) => "a number",
            Cell::Text(_) => "text",
            Cell::Other(kind) => kind,
        }
    }
}

/// A row of any database.
pub(super) trait Cells {
    fn cell(&self, column: &str) -> Result<Cell<'_>, String>;

    /// A column that identifies the row, counted from 0.
    fn key(&self, index: usize) -> Cell<'_>;
}

/// One row, read column by column.
pub(super) struct Fields<'a> {
    row: &'a dyn Cells,
    table: Keyed,
    warned: &'a mut Warned,
}

/// Reads a row; `None`, after a warning, when it makes no sense.
pub(super) fn read_row<T>(
    row: &dyn Cells,
    table: Keyed,
    warned: &mut Warned,
    read: impl FnOnce(&mut Fields<'_>) -> Field<T>,
) -> Option<T> {
    let mut fields = Fields { row, table, warned };
    let read = read(&mut fields);
    read.map_err(|LeftOut { column, why }| fields.warn(column, &format!("{why}; the row is left out"))).ok()
}

impl Fields<'_> {
    pub(super) fn leave_out<T>(&self, column: &'static str, why: impl Display) -> Field<T> {
        Err(LeftOut { column, why: why.to_string() })
    }

    pub(super) fn integer(&mut self, column: &'static str) -> Field<i64> {
        match self.maybe_integer(column)? {
            Some(value) => Ok(value),
            None => self.leave_out(column, "there is no value"),
        }
    }

    pub(super) fn maybe_integer(&mut self, column: &'static str) -> Field<Option<i64>> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Integer(value) => Ok(Some(value)),
            other => self.leave_out(column, format_args!("a whole number is expected, not {}", other.kind())),
        }
    }

    /// A number of an id.
    pub(super) fn id(&mut self, column: &'static str) -> Field<u32> {
        let value = self.integer(column)?;
        u32::try_from(value).or_else(|_| self.leave_out(column, format_args!("{value} is no id")))
    }

    /// A count or size; 0 where it is negative.
    pub(super) fn amount(&mut self, column: &'static str) -> Field<u64> {
        let value = self.integer(column)?;
        Ok(u64::try_from(value).unwrap_or_else(|_| {
            self.warn(column, &format!("{value} is negative; 0 is used"));
            0
        }))
    }

    pub(super) fn maybe_amount(&mut self, column: &'static str) -> Field<Option<u64>> {
        match self.maybe_integer(column)? {
            Some(_) => self.amount(column).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn flag(&mut self, column: &'static str) -> Field<bool> {
        Ok(self.integer(column)? != 0)
    }

    pub(super) fn time(&mut self, column: &'static str) -> Field<Timestamp> {
        self.integer(column).map(Timestamp)
    }

    pub(super) fn maybe_time(&mut self, column: &'static str) -> Field<Option<Timestamp>> {
        Ok(self.maybe_integer(column)?.map(Timestamp))
    }

    pub(super) fn real(&mut self, column: &'static str) -> Field<f64> {
        match self.maybe_real(column)? {
            Some(value) => Ok(value),
            None => self.leave_out(column, "there is no value"),
        }
    }

    pub(super) fn maybe_real(&mut self, column: &'static str) -> Field<Option<f64>> {
        match self.value(column)? {
            Cell::Null => Ok(None),
            Cell::Real(value) => Ok(Some(value)),
            other => self.leave_out(column, format_args!("a number is expected, not {}", other.kind())),
        }
    }

    /// The nearest value within `range`.
    pub(super) fn real_within(&mut self, column: &'static str, range: RangeInclusive<f64>) -> Field<f64> {
        let value = self.real(column)?;
        if range.contains(&value) {
            return Ok(value);
        }
        let nearest = value.clamp(*range.start(), *range.end());
        self.warn(column, &format!("{value} is out of range; {nearest} is used"));
        Ok(nearest)
    }

    pub(super) fn text(&mut self, column: &'static str) -> Field<String> {
        match self.maybe_text(column)? {
            Some(value) => Ok(value),
            None => self.leave_out(column, "there is no value"),
        }
    }

    pub(super) fn maybe_text(&mut self, column: &'static str) -> Field<Option<String>> {
        let bytes = match self.value(column)? {
            Cell::Null => return Ok(None),
            Cell::Text(bytes) => bytes,
            other => return self.leave_out(column, format_args!("text is expected, not {}", other.kind())),
        };
        if bytes.len() > TEXT_MAX_BYTES {
            let cut = String::from_utf8_lossy(&bytes[..TEXT_MAX_BYTES]).into_owned();
            self.warn(column, &format!("its {} bytes are cut to {TEXT_MAX_BYTES}", bytes.len()));
            return Ok(Some(cut));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => {
                let legible = String::from_utf8_lossy(bytes).into_owned();
                self.warn(column, "it is not UTF-8; the bytes in question are replaced");
                Ok(Some(legible))
            }
        }
    }

    /// A label that must be one that is known.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&mut self, column: &'static str) -> Field<T> {
        self.text(column)?.parse().or_else(|why| self.leave_out(column, why))
    }

    /// A name out of a fixed list.
    pub(super) fn one_of<T: Copy, const N: usize>(
        &mut self,
        column: &'static str,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Field<T> {
        let text = self.text(column)?;
        match all.into_iter().find(|value| name(*value) == text) {
            Some(value) => Ok(value),
            None => {
                let shown: String = text.chars().take(40).collect();
                self.leave_out(column, format_args!("`{shown}` is none of {}", all.map(name).join(", ")))
            }
        }
    }

    /// The same, and `otherwise` where it is none of them.
    pub(super) fn one_of_or<T: Copy, const N: usize>(
        &mut self,
        otherwise: T,
        column: &'static str,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Field<T> {
        Ok(self.one_of(column, all, &name).unwrap_or_else(|LeftOut { why, .. }| {
            self.warn(column, &format!("{why}; `{}` is used", name(otherwise)));
            otherwise
        }))
    }

    /// A row of `replicas` or `claims`. A lease without holder or end is none.
    pub(super) fn replica(&mut self, id: &'static str, data_set: DataSetName) -> Field<Replica> {
        let lease = match (self.maybe_integer("lease_holder")?, self.maybe_time("lease_until")?) {
            (Some(_), Some(until)) => Some(Lease { holder: AgentId(self.id("lease_holder")?), until }),
            (None, _) | (_, None) => None,
        };
        let states = [ReplicaState::Copying, ReplicaState::Present, ReplicaState::Removing];
        Ok(Replica {
            id: ReplicaId(self.integer(id)?),
            data_set,
            node: NodeId(self.id("node")?),
            object_key: self.text("object_key")?,
            state: self.one_of("state", states, ReplicaState::name)?,
            generation: self.integer("generation")?,
            lease,
        })
    }

    fn value(&self, column: &'static str) -> Field<Cell<'_>> {
        self.row.cell(column).or_else(|why| self.leave_out(column, why))
    }

    fn warn(&mut self, column: &'static str, what: &str) {
        let Keyed(table, columns) = self.table;
        let key = |index: usize| match self.row.key(index) {
            Cell::Integer(value) => value.to_string(),
            Cell::Text(text) => String::from_utf8_lossy(text).chars().take(80).collect(),
            Cell::Null | Cell::Real(_) | Cell::Other(_) => "?".to_owned(),
        };
        let row = (0..columns).map(key).collect::<Vec<_>>().join(" ");
        self.warned.warn(table, row, column, what);
    }
}
