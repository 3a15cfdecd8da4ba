//! Which of the objects below a prefix belong to the set.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

/// More patterns, or longer ones, are a mistake (I-7).
const PATTERNS_MAX: usize = 100;
const PATTERN_MAX: usize = 1000;

/// Patterns as they are written: `*` and `?` stay within a part of a key, `**` goes through any number of them.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Selection {
    /// None: everything.
    pub include: Vec<String>,
    /// What of that does not belong to it.
    pub exclude: Vec<String>,
}

/// A pattern that means nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{}`: {reason}", pattern.escape_debug())]
pub struct BadPattern {
    pub pattern: String,
    pub reason: String,
}

/// A selection, ready to be asked.
#[derive(Clone, Debug)]
pub struct Patterns {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    pub fn patterns(&self) -> Result<Patterns, BadPattern> {
        let include = (!self.include.is_empty()).then(|| compiled(&self.include)).transpose()?;
        Ok(Patterns { include, exclude: compiled(&self.exclude)? })
    }
}

impl Patterns {
    /// Whether the object with this key, below the prefix, belongs to the set.
    pub fn take(&self, key: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(key)) && !self.exclude.is_match(key)
    }
}

fn compiled(patterns: &[String]) -> Result<GlobSet, BadPattern> {
    let bad = |pattern: &str, reason: String| BadPattern { pattern: pattern.to_owned(), reason };
    if let Some(one_more) = patterns.get(PATTERNS_MAX) {
        return Err(bad(one_more, format!("there are more than {PATTERNS_MAX} patterns")));
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.is_empty() || pattern.len() > PATTERN_MAX {
            return Err(bad(pattern, format!("a pattern has 1 to {PATTERN_MAX} bytes")));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| bad(pattern, error.kind().to_string()))?);
    }
    set.build().map_err(|error| bad(error.glob().unwrap_or_default(), error.kind().to_string()))
}
