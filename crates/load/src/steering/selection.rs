//! Which load hosts a verb is for.

use agent_core::config::Invalid;
use agent_core::domain::labels::{self, Labels};
use regex_lite::Regex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest pattern \[bytes\]: its program stays small.
const LONGEST: usize = 1_000;

/// A regular expression that the whole name of a host has to match. Two are equal when they are written alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    written: String,
    whole: Regex,
}

impl Pattern {
    /// Matches the host of this name alone, whatever characters are in it.
    ///
    /// # Errors
    /// The name is longer than a pattern may be.
    pub fn exactly(name: &str) -> Result<Self, Invalid> {
        regex_lite::escape(name).parse()
    }

    /// Any host.
    pub fn any() -> Self {
        ".*".parse().expect("it is a regular expression, and short")
    }

    pub fn matches(&self, name: &str) -> bool {
        self.whole.is_match(name)
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl FromStr for Pattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const HELP: &str = "PATTERN is a regular expression that the whole name of a host matches, like `pico[0-9]`";
        let wrong = |why: String| Invalid::new(format!("`{}` is no pattern: {why}", text.escape_debug()), HELP);
        if text.is_empty() || text.len() > LONGEST {
            return Err(wrong(format!("it has {} bytes, and 1 to {LONGEST} are allowed", text.len())));
        }
        // Alone first: `a)|(b` is one only between the brackets that anchor it.
        Regex::new(text).map_err(|error| wrong(error.to_string()))?;
        let whole = Regex::new(&format!("^(?:{text})$")).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { written: text.to_owned(), whole })
    }
}

impl TryFrom<String> for Pattern {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.written
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

/// Hosts by name and labels.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Selection {
    pub pattern: Pattern,
    /// Each of them has to be the host's; a host that lacks one is not meant.
    pub labels: Labels,
}

impl Selection {
    /// Every host.
    pub fn any() -> Self {
        Self::named(Pattern::any())
    }

    /// By name alone.
    pub fn named(pattern: Pattern) -> Self {
        Self { pattern, labels: BTreeMap::new() }
    }

    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        self.pattern.matches(name) && self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// A label as it is written: `zone=A`.
///
/// # Errors
/// It is none.
pub fn label(text: &str) -> Result<(String, String), Invalid> {
    let wrong = |why: String| {
        Invalid::new(format!("`{}` is no label: {why}", text.escape_debug()), "write it like `--label zone=A`")
    };
    let (key, value) = text.split_once('=').ok_or_else(|| wrong("it has no `=`".to_owned()))?;
    let word = |text| labels::word(text).map_err(|error| wrong(error.to_string()));
    Ok((word(key)?, word(value)?))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_for_the_whole_name() {
        let check = |pattern: &str, name: &str, is_meant| {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(name), is_meant, "{pattern} {name}");
        };
        check("pico[0-9]", "pico7", true);
        check("pico[0-9]", "pico77", false);
        check("pico[0-9]", "my-pico7", false);
        check("a|ab", "ab", true);
        check("a|b", "ab", false);
        check("(?i)PICO", "pico", true);
        check("(?m)^a$", "a\nb", false);
        check("a.b", "a\nb", false);
        assert!(Pattern::any().matches("") && Pattern::any().matches("a.b"));
        let exactly = Pattern::exactly("h.1+").unwrap();
        assert!(exactly.matches("h.1+") && !exactly.matches("hx11"));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (wrong, why) in [("", "it has 0 bytes"), ("[", ""), ("a)|(b", ""), ("*", ""), ("a{1000000}", "")] {
            let error = wrong.parse::<Pattern>().unwrap_err();
            assert!(error.problem.starts_with(&format!("`{wrong}` is no pattern: {why}")), "{error}");
        }
        assert!("a".repeat(LONGEST + 1).parse::<Pattern>().is_err());
    }

    #[test]
    fn a_host_that_lacks_a_label_is_not_meant() {
        let mut selection = Selection::named(Pattern::any());
        selection.labels.insert("zone".to_owned(), "A".to_owned());
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert!(selection.matches("h", &labels(&[("zone", "A"), ("tier", "edge")])));
        assert!(!selection.matches("h", &labels(&[("zone", "B")])));
        assert!(!selection.matches("h", &labels(&[("tier", "edge")])));
        assert!(!selection.matches("h", &labels(&[])));
    }

    #[test]
    fn labels_are_read_and_refused() {
        assert_eq!(label("zone=A"), Ok(("zone".to_owned(), "A".to_owned())));
        for wrong in ["zone", "=A", "zone=", "zo ne=A", ""] {
            assert_eq!(label(wrong).unwrap_err().help, "write it like `--label zone=A`", "{wrong}");
        }
    }
}
