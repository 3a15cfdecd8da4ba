//! Recorded arrivals: gaps or times, from a list or a column of a table.

mod csv;
mod error;

pub use error::{Place, ReplayError};

use crate::duration::LONGEST_S;
use csv::{Record, Records};
use serde::{Deserialize, Serialize, Serializer};
use std::sync::Arc;

/// More values than this are refused: they would fill the memory.
pub const VALUES_MAX: usize = 10_000_000;

/// What the recorded numbers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Seconds since the arrival before; the first, since the start. Negative ones count as 0.
    #[default]
    Gaps,
    /// Seconds since the start, none before the one above it.
    Times,
}

/// Recorded arrivals, each of which comes once.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "distribution", rename = "replay")]
pub struct Replay {
    kind: Kind,
    /// In seconds: finite, not negative, at most 365 d.
    #[serde(serialize_with = "listed")]
    values: Arc<[f64]>,
}

impl Replay {
    /// # Errors
    /// There are no values or more than [`VALUES_MAX`], one is no number of seconds up to 365 d, or times decrease.
    pub fn new(kind: Kind, values: Vec<f64>) -> Result<Self, ReplayError> {
        let mut gathered = Gathered::new(kind);
        for (index, value) in values.into_iter().enumerate() {
            gathered.add(value, &value.to_string(), || Place::Index(index))?;
        }
        gathered.finish()
    }

    /// Reads gaps from lines of one number each, or from a column of comma-separated values. Blank lines are skipped.
    ///
    /// `column` is a name in the first line, or a number from 1. It may be left out where there is only one. A first line
    /// is a header if it has the column's name, or if there is no number in the column but something that begins with a
    /// letter.
    ///
    /// # Errors
    /// Those of [`Self::new`]; there is no such column, or several and none was named; quotes are broken.
    pub fn read(text: &str, column: Option<&str>) -> Result<Self, ReplayError> {
        Self::read_as(Kind::Gaps, text, column)
    }

    /// [`Self::read`] for gaps or times.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn read_as(kind: Kind, text: &str, column: Option<&str>) -> Result<Self, ReplayError> {
        let mut records = Records::of(text);
        let first = records.next().ok_or(ReplayError::Empty)??;
        let column = Column::find(&first, column)?;
        let mut gathered = Gathered::new(kind);
        let body = std::iter::once(Ok(first)).skip(usize::from(column.has_header)).chain(records);
        for record in body {
            let record = record?;
            let cell = record.cells.get(column.index).ok_or_else(|| ReplayError::Short {
                line: record.line,
                columns: record.cells.len(),
                column: column.name.clone(),
            })?;
            // What is no number is refused there, as no number is.
            let value = cell.parse().unwrap_or(f64::NAN);
            gathered.add(value, cell, || Place::Cell { line: record.line, column: column.name.clone() })?;
        }
        gathered.finish()
    }

    /// What the values are.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// In seconds: finite, not negative, at most 365 d; times do not decrease.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

/// Which cell of each record has the number.
struct Column {
    index: usize,
    /// As messages call it: its name, or its number from 1.
    name: String,
    has_header: bool,
}

impl Column {
    fn find(first: &Record, wanted: Option<&str>) -> Result<Self, ReplayError> {
        let columns = first.cells.len();
        let is_name = |index: usize| {
            let cell = &first.cells[index];
            cell.starts_with(|letter: char| letter.is_alphabetic()) && cell.parse::<f64>().is_err()
        };
        let numbered = |index: usize| match is_name(index) {
            true => Self { index, name: first.cells[index].to_string(), has_header: true },
            false => Self { index, name: (index + 1).to_string(), has_header: false },
        };
        let Some(wanted) = wanted else {
            return match columns {
                1 => Ok(numbered(0)),
                columns => Err(ReplayError::Several { columns }),
            };
        };
        if let Some(index) = first.cells.iter().position(|cell| cell == wanted) {
            // A column that is called like a number of the data is the number of a column.
            if wanted.parse::<f64>().is_err() {
                return Ok(Self { index, name: wanted.to_owned(), has_header: true });
            }
        }
        match wanted.parse::<usize>() {
            Ok(number) if (1..=columns).contains(&number) => Ok(numbered(number - 1)),
            Ok(_) | Err(_) => Err(ReplayError::no_column(wanted, &first.cells)),
        }
    }
}

/// Values that were found to be good.
struct Gathered {
    kind: Kind,
    values: Vec<f64>,
}

impl Gathered {
    fn new(kind: Kind) -> Self {
        Self { kind, values: Vec::new() }
    }

    fn add(&mut self, value: f64, written: &str, place: impl FnOnce() -> Place) -> Result<(), ReplayError> {
        if !value.is_finite() || value > LONGEST_S {
            return Err(ReplayError::no_number(place(), written));
        }
        if self.values.len() == VALUES_MAX {
            return Err(ReplayError::TooMany);
        }
        let value = match self.kind {
            Kind::Gaps => value.max(0.0),
            Kind::Times => {
                let before = self.values.last().copied().unwrap_or(0.0);
                if value < before {
                    return Err(ReplayError::Decreasing {
                        place: place(),
                        time: value.to_string(),
                        before: before.to_string(),
                    });
                }
                value
            }
        };
        self.values.push(value);
        Ok(())
    }

    fn finish(self) -> Result<Replay, ReplayError> {
        match self.values.is_empty() {
            true => Err(ReplayError::Empty),
            false => Ok(Replay { kind: self.kind, values: self.values.into() }),
        }
    }
}

fn listed<S: Serializer>(values: &Arc<[f64]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, column: Option<&str>, expected: &[f64]) {
        let replay = Replay::read(text, column).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(replay.values(), expected, "{text:?}");
    }

    fn refused(text: &str, column: Option<&str>, message: &str) {
        assert_eq!(Replay::read(text, column).unwrap_err().to_string(), message, "{text:?}");
    }

    #[test]
    fn lists_are_read_with_or_without_a_header() {
        check("0.1\n0.25\n\n3\n", None, &[0.1, 0.25, 3.0]);
        check("gap (s)\r\n1e-3\r\n", None, &[0.001]);
        check("-0.5\n1", None, &[0.0, 1.0]);
    }

    #[test]
    fn tables_are_read_by_the_name_or_the_number_of_a_column() {
        let table = "who,gap\n\"Smith, Ann\",0.5\n\"line\nbreak\",1.5\n";
        check(table, Some("gap"), &[0.5, 1.5]);
        check(table, Some("2"), &[0.5, 1.5]);
        check("a,0.5\nb,1.5\n", Some("2"), &[0.5, 1.5]);
        check("2,1\n7,8\n", Some("2"), &[1.0, 8.0]);
    }

    #[test]
    fn rubbish_is_named_with_its_line_and_column() {
        let mut text = "0.1\n".repeat(69_999);
        text.push_str("1\u{1b}[2J");
        refused(
            &text,
            None,
            "line 70000, column `1`: `1\\u{1b}[2J` is no number of seconds; write one like 0.25, at most 31536000",
        );
        let number = "is no number of seconds; write one like 0.25, at most 31536000";
        refused("gap\n1\n\nNaN", None, &format!("line 4, column `gap`: `NaN` {number}"));
        refused("who,gap\na,x\n", Some("gap"), &format!("line 2, column `gap`: `x` {number}"));
        refused("who,gap\na,\n", Some("gap"), &format!("line 2, column `gap`: `` {number}"));
        for number in ["inf", "-inf", "4e7"] {
            assert!(matches!(Replay::read(number, None), Err(ReplayError::NoNumber { .. })), "{number}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_table_is_named() {
        let none = "there are no values; write a number of seconds on each line";
        refused("", None, none);
        refused("gap\n\n", None, none);
        refused("1,2\n", None, "there are 2 columns; say which of them has the seconds, by its name or its number");
        let help = "name one of those in the first line, `who`, `gap`, or write a number from 1 to 2";
        refused("who,gap\n", Some("gaps"), &format!("there is no column `gaps`; {help}"));
        refused("who,gap\n", Some("3"), &format!("there is no column `3`; {help}"));
        refused(
            "who,gap\na\n",
            Some("gap"),
            "line 2: there are 1 cells, none in column `gap`; write one, or leave the line blank",
        );
        let help = "close it, or double it where it belongs to the text";
        refused("1\n\"2\n", None, &format!("line 2: a quote is never closed; {help}"));
        refused(
            "\"1\" 2\n",
            None,
            "line 1: `2` follows a quote that closes a cell; write a comma before it, or leave it out",
        );
    }

    #[test]
    fn times_do_not_decrease() {
        let times = |text: &str| Replay::read_as(Kind::Times, text, None);
        assert_eq!(times("0\n1\n1\n2.5").unwrap().values(), [0.0, 1.0, 1.0, 2.5]);
        let message = "line 3, column `1`: 0.5 comes before 1; sort the times, or read them as gaps";
        assert_eq!(times("0\n1\n0.5").unwrap_err().to_string(), message);
        let message = "line 1, column `1`: -1 comes before 0; sort the times, or read them as gaps";
        assert_eq!(times("-1").unwrap_err().to_string(), message);
    }

    #[test]
    fn a_list_without_a_text_is_held_to_the_same() {
        assert_eq!(Replay::new(Kind::Gaps, vec![]), Err(ReplayError::Empty));
        let message = "values[1]: `inf` is no number of seconds; write one like 0.25, at most 31536000";
        assert_eq!(Replay::new(Kind::Gaps, vec![1.0, f64::INFINITY]).unwrap_err().to_string(), message);
        let message = "values[1]: 1 comes before 2; sort the times, or read them as gaps";
        assert_eq!(Replay::new(Kind::Times, vec![2.0, 1.0]).unwrap_err().to_string(), message);
    }

    #[test]
    fn more_values_than_memory_has_room_for_are_refused() {
        let mut gathered = Gathered { kind: Kind::Gaps, values: vec![0.0; VALUES_MAX - 1] };
        assert_eq!(gathered.add(1.0, "1", || Place::Index(0)), Ok(()));
        assert_eq!(gathered.add(1.0, "1", || Place::Index(0)), Err(ReplayError::TooMany));
    }
}
