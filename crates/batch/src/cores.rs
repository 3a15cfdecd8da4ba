//! A set of a machine's cores, by their ids: `0-3,6`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// No machine has a core with a higher id: more is a mistake.
pub const HIGHEST: u32 = 8191;

/// Cores, each once, in the order of their ids. Written like the kernel's lists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cores(BTreeSet<u32>);

impl Cores {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, core: u32) -> bool {
        self.0.contains(&core)
    }

    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    pub fn to_vec(&self) -> Vec<u32> {
        self.iter().collect()
    }

    pub fn is_subset(&self, of: &Self) -> bool {
        self.0.is_subset(&of.0)
    }

    pub fn is_disjoint(&self, from: &Self) -> bool {
        self.0.is_disjoint(&from.0)
    }

    /// Adds those of another set.
    pub fn join(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Takes those of another set away.
    pub fn remove(&mut self, other: &Self) {
        self.0.retain(|core| !other.contains(*core));
    }

    /// The first so many; all, where there are fewer.
    pub fn first(&self, count: usize) -> Self {
        self.iter().take(count).collect()
    }
}

impl FromIterator<u32> for Cores {
    fn from_iter<I: IntoIterator<Item = u32>>(cores: I) -> Self {
        Self(cores.into_iter().collect())
    }
}

/// Why a text or list names no set of cores.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CoresError {
    #[error("`{0}` is no list of cores; write it like `0-3,6`, with ids up to {HIGHEST}")]
    NotAList(String),
    #[error("core {0} is listed twice; name each core once")]
    Twice(u32),
}

impl Cores {
    /// The cores of a list that names each once.
    pub fn listed(ids: impl IntoIterator<Item = u32>) -> Result<Self, CoresError> {
        let mut cores = BTreeSet::new();
        for id in ids {
            if id > HIGHEST {
                return Err(CoresError::NotAList(id.to_string()));
            }
            if !cores.insert(id) {
                return Err(CoresError::Twice(id));
            }
        }
        Ok(Self(cores))
    }
}

impl FromStr for Cores {
    type Err = CoresError;

    fn from_str(text: &str) -> Result<Self, CoresError> {
        let wrong = || CoresError::NotAList(text.escape_debug().to_string());
        let id = |text: &str| text.trim().parse::<u32>().ok().filter(|id| *id <= HIGHEST).ok_or_else(wrong);
        let mut ids = Vec::new();
        for part in text.split(',').filter(|_| !text.trim().is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (id(first)?, id(last)?);
            if first > last {
                return Err(wrong());
            }
            ids.extend(first..=last);
        }
        Self::listed(ids)
    }
}

impl TryFrom<String> for Cores {
    type Error = CoresError;

    fn try_from(text: String) -> Result<Self, CoresError> {
        text.parse()
    }
}

impl From<Cores> for String {
    fn from(cores: Cores) -> Self {
        cores.to_string()
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for core in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == core => *last = core,
                _ => runs.push((core, core)),
            }
        }
        let run = |(first, last): (u32, u32)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        f.pad(&runs.into_iter().map(run).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        let check = |text: &str, expected: &[u32], written: &str| {
            let cores: Cores = text.parse().unwrap();
            assert_eq!(cores.to_vec(), expected, "{text}");
            assert_eq!(cores.to_string(), written);
        };
        check("0-3,6", &[0, 1, 2, 3, 6], "0-3,6");
        check(" 2, 1 ", &[1, 2], "1-2");
        check("", &[], "");
        assert_eq!("1,0-2".parse::<Cores>(), Err(CoresError::Twice(1)));
        for wrong in ["a", "3-1", "1-", "-1", "8192", "1;2", "1,,2"] {
            assert_eq!(wrong.parse::<Cores>(), Err(CoresError::NotAList(wrong.to_owned())), "{wrong}");
        }
    }
}
