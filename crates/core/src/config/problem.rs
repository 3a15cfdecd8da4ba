//! What is wrong with a configuration: which file, where in it, what, and what to do.

use super::fragment;
use serde::Serialize;
use std::fmt;

/// One thing to mend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// As the user may open it: `agents/1.toml`.
    pub file: String,
    /// The key (`job.request_size`), the item (`node 2: availability`) or the position (`line 3, column 1`); empty when it is
    /// the file as a whole.
    pub place: String,
    pub problem: String,
    pub help: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}\n  help: {}", self.problem, self.help)
    }
}

/// A configuration that cannot be used; nothing was started. Meant to be printed after `error: `: each further problem brings
/// its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// In the order of the files, the network's first; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().enumerate().try_for_each(|(i, problem)| match i {
            0 => write!(f, "{problem}"),
            _ => write!(f, "\nerror: {problem}"),
        })
    }
}

impl std::error::Error for ConfigError {}

/// A value that is not what it should be, wherever it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invalid {
    pub problem: String,
    pub help: String,
}

impl Invalid {
    pub fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.help)
    }
}

impl std::error::Error for Invalid {}

/// A key that is not written, and what that means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unwritten {
    /// As the user may open it: `agents/1.toml`.
    pub file: String,
    /// Or the item: `node 2`; empty at the top of the file.
    pub table: String,
    pub key: String,
    /// As it would be written.
    pub value: String,
}

/// Gathers what is wrong, so that the user sees all of it at once; and what is not written.
#[derive(Default, Debug)]
pub struct Problems {
    file: String,
    /// Put in front of every place; empty for a file as a whole.
    item: String,
    found: Vec<Problem>,
    unwritten: Vec<Unwritten>,
}

impl Problems {
    /// What is noted from now on is wrong with `file`.
    pub fn enter(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    pub fn add(&mut self, place: impl Into<String>, invalid: Invalid) {
        let Invalid { problem, help } = invalid;
        let place = match (self.item.as_str(), place.into()) {
            ("", place) => place,
            (item, place) => format!("{item}: {place}"),
        };
        self.found.push(Problem { file: self.file.clone(), place, problem, help });
    }

    /// Gathers problems of an item of the same file; hand them to [`Self::absorb`].
    pub fn within(&self, item: String) -> Self {
        Self { file: self.file.clone(), item, ..Self::default() }
    }

    pub fn absorb(&mut self, own: Self) {
        self.found.extend(own.found);
        self.unwritten.extend(own.unwritten);
    }

    /// Notes that a key is not written; `value` is as it would be.
    pub fn left_out(&mut self, table: &str, key: &str, value: String) {
        let (file, table, key) = (self.file.clone(), table.to_owned(), key.to_owned());
        self.unwritten.push(Unwritten { file, table, key, value });
    }

    /// A text, or its default, which is noted.
    pub fn text<'a, T: AsRef<str> + ?Sized>(
        &mut self,
        (table, key): (&str, &str),
        written: Option<&'a T>,
        default: &'a str,
    ) -> &'a str {
        written.map(AsRef::as_ref).unwrap_or_else(|| {
            self.left_out(table, key, format!("\"{default}\""));
            default
        })
    }

    /// A number, or its default, which is noted.
    pub fn number<T: fmt::Display>(&mut self, (table, key): (&str, &str), written: Option<T>, default: T) -> T {
        written.unwrap_or_else(|| {
            self.left_out(table, key, default.to_string());
            default
        })
    }

    /// What was noted to be left out, in the order of the files.
    pub fn unwritten(&mut self) -> Vec<Unwritten> {
        std::mem::take(&mut self.unwritten)
    }

    /// The value, or `None` after noting why there is none.
    pub fn check<T>(&mut self, place: impl Into<String>, value: Result<T, Invalid>) -> Option<T> {
        value.map_err(|invalid| self.add(place, invalid)).ok()
    }

    /// [`Self::check`] for a key that others require: its absence is a problem too.
    pub fn require<W, T>(
        &mut self,
        place: &str,
        written: Option<W>,
        read: impl FnOnce(W) -> Result<T, Invalid>,
    ) -> Option<T> {
        let key = place.rsplit(['.', ' ']).next().unwrap_or(place);
        let value = written.ok_or_else(|| Invalid::new("is missing", fragment::how_to_write(key))).and_then(read);
        self.check(place, value)
    }

    /// The value, if all is well. It is missing only after its problem was noted.
    pub fn settle<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(ConfigError { problems: self.found }),
        }
    }
}
