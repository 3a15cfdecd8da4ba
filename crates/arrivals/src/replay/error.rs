//! What can be wrong with a recording.

use super::VALUES_MAX;
use super::csv::Broken;
use crate::duration::LONGEST_S;
use crate::invalid::legible;
use std::fmt;

/// Where a value stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Of a text; lines and columns without a name are numbered from 1.
    Cell { line: usize, column: String },
    /// Of a list, from 0.
    Index(usize),
}

/// Why a recording was refused; nothing of it is kept.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("there are no values; write a number of seconds on each line")]
    Empty,
    #[error("there are more than {VALUES_MAX} values; split the recording")]
    TooMany,
    #[error("there are {columns} columns; say which of them has the seconds, by its name or its number")]
    Several { columns: usize },
    #[error(
        "there is no column `{column}`; name one of those in the first line, {known}, or write a number from 1 to {columns}"
    )]
    NoColumn { column: String, known: String, columns: usize },
    #[error("line {line}: there are {columns} cells, none in column `{column}`; write one, or leave the line blank")]
    Short { line: usize, columns: usize, column: String },
    #[error("{place}: `{text}` is no number of seconds; write one like 0.25, at most {LONGEST_S}")]
    NoNumber { place: Place, text: String },
    #[error("{place}: {time} comes before {before}; sort the times, or read them as gaps")]
    Decreasing { place: Place, time: String, before: String },
    #[error("line {line}: a quote is never closed; close it, or double it where it belongs to the text")]
    Unclosed { line: usize },
    #[error("line {line}: `{text}` follows a quote that closes a cell; write a comma before it, or leave it out")]
    AfterQuote { line: usize, text: String },
}

impl ReplayError {
    pub(super) fn no_number(place: Place, written: &str) -> Self {
        Self::NoNumber { place, text: legible(written) }
    }

    pub(super) fn no_column(wanted: &str, first: &[std::borrow::Cow<'_, str>]) -> Self {
        // Of a table with more, the first show what kind of names it has.
        let known: Vec<String> = first.iter().take(20).map(|name| format!("`{}`", legible(name))).collect();
        Self::NoColumn { column: legible(wanted), known: known.join(", "), columns: first.len() }
    }
}

impl From<Broken<'_>> for ReplayError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unclosed { line } => Self::Unclosed { line },
            Broken::AfterQuote { line, text } => Self::AfterQuote { line, text: legible(text) },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Cell { line, column } => write!(f, "line {line}, column `{}`", legible(column)),
            Place::Index(index) => write!(f, "values[{index}]"),
        }
    }
}
