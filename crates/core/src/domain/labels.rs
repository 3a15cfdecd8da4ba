//! What people call nodes by: `region = "eu"`; and how they mean some of them: `region!=eu, tier=edge`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A node's labels, by their names.
pub type Labels = BTreeMap<String, String>;

/// Longer names and values are mistakes \[bytes\].
const LONGEST: usize = 63;
/// So many labels a node has at most, and so many requirements a selector.
pub const MOST: usize = 16;

/// Which labels are meant: all of these requirements hold. At least one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector(Vec<Requirement>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Requirement {
    name: String,
    value: String,
    is_equal: bool,
}

impl Selector {
    /// Whether labels are meant. A label that is missing is not equal to anything: what nobody has labelled is not `region=eu`,
    /// so it is `region!=eu`.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|one| (labels.get(&one.name) == Some(&one.value)) == one.is_equal)
    }
}

/// Why a text is no label, or means none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LabelError {
    #[error("`{0}` is no name or value of a label; use 1 to {LONGEST} letters, digits, `.`, `_`, `-` and `/`")]
    NotAWord(String),
    #[error("`{0}` means no label; write it like `region=eu` or `region!=eu`, several with commas between")]
    NotARequirement(String),
    #[error("there are more than {MOST}; leave some out")]
    TooMany,
}

/// A name or value that can be used.
pub fn word(text: &str) -> Result<String, LabelError> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    match (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_fine) {
        true => Ok(text.to_owned()),
        false => Err(LabelError::NotAWord(text.escape_debug().to_string())),
    }
}

impl FromStr for Selector {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let requirement = |text: &str| {
            let text = text.trim();
            let (name, value, is_equal) = match (text.split_once("!="), text.split_once('=')) {
                (Some((name, value)), _) => (name, value, false),
                (None, Some((name, value))) => (name, value, true),
                (None, None) => return Err(LabelError::NotARequirement(text.escape_debug().to_string())),
            };
            Ok(Requirement { name: word(name.trim())?, value: word(value.trim())?, is_equal })
        };
        match text.split(',').map(requirement).collect::<Result<Vec<_>, _>>()? {
            requirements if requirements.len() > MOST => Err(LabelError::TooMany),
            requirements => Ok(Self(requirements)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requirement = |one: &Requirement| {
            let relation = if one.is_equal { "=" } else { "!=" };
            format!("{}{relation}{}", one.name, one.value)
        };
        f.write_str(&self.0.iter().map(requirement).collect::<Vec<_>>().join(","))
    }
}

impl TryFrom<String> for Selector {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_labelled_is_unequal_to_everything() {
        let matches = |selector: &str, labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            selector.parse::<Selector>().unwrap().matches(&labels)
        };
        assert!(matches("region!=eu", &[("region", "us")]));
        assert!(matches("region != eu", &[]));
        assert!(!matches("region!=eu", &[("region", "eu")]));
        assert!(matches("region=eu, tier!=edge", &[("region", "eu"), ("tier", "core")]));
        assert!(!matches("region=eu,tier!=edge", &[("region", "eu"), ("tier", "edge")]));
        assert!(!matches("region=eu", &[]));
    }

    #[test]
    fn what_means_nothing_is_told() {
        let refused = |text: &str| text.parse::<Selector>().unwrap_err().to_string();
        assert!(refused("region").contains("means no label"), "{}", refused("region"));
        assert!(refused("").contains("means no label"));
        assert!(refused("region=").contains("is no name or value"));
        assert!(refused("a=b=c").contains("`b=c` is no name or value"));
        assert!(refused("a=b,").contains("means no label"));
        assert!(refused(&vec!["a=b"; 17].join(",")).contains("more than 16"));
        assert_eq!("a = b , c!=d".parse::<Selector>().unwrap().to_string(), "a=b,c!=d");
    }
}
