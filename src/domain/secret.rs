//! Text that nobody may see: not in logs, messages or reports.

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Shown as `***`, and never written by a serializer: there is none for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whom it is meant.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Anything but text is refused without being repeated: it may be a secret whose quotes were forgotten.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Other(IgnoredAny),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text)),
            Written::Other(_) => Err(D::Error::custom("a secret is text in quotes")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_it() {
        let secret = Secret::new("hush");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hush");
    }

    #[test]
    fn a_secret_without_quotes_is_not_repeated() {
        assert_eq!(serde_json::from_str::<Secret>("\"hush\"").unwrap(), Secret::new("hush"));
        let refused = serde_json::from_str::<Secret>("4711").unwrap_err().to_string();
        assert_eq!(refused, "a secret is text in quotes");
    }
}
