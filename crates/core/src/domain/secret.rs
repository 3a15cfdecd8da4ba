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

/// Why a text cannot be part of a request's headers. The text itself is never repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPresentable {
    #[error("is empty")]
    Empty,
    #[error("has a blank or a line end in it (character {0})")]
    Blank(usize),
    #[error("has a character in it that is no visible ASCII (character {0})")]
    Odd(usize),
}

/// What a client can show to a server: visible ASCII. Blanks and line ends at the end are left out: files of secrets often have
/// one there.
pub fn presentable(text: &str) -> Result<&str, NotPresentable> {
    let shown = text.trim_ascii_end();
    if shown.is_empty() {
        return Err(NotPresentable::Empty);
    }
    match shown.chars().enumerate().find(|(_, c)| !c.is_ascii_graphic()) {
        None => Ok(shown),
        Some((at, c)) if c.is_ascii_whitespace() => Err(NotPresentable::Blank(at + 1)),
        Some((at, _)) => Err(NotPresentable::Odd(at + 1)),
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
    fn what_a_server_can_be_shown_is_visible_ascii() {
        assert_eq!(presentable("AKIA/+=%"), Ok("AKIA/+=%"));
        assert_eq!(presentable("hush \r\n"), Ok("hush"));
        assert_eq!(presentable(" \n"), Err(NotPresentable::Empty));
        assert_eq!(presentable(" hush"), Err(NotPresentable::Blank(1)));
        assert_eq!(presentable("hu\nsh"), Err(NotPresentable::Blank(3)));
        for odd in ["hu\u{0}sh", "hu\u{7f}sh", "hu\u{fffd}sh", "hu\u{a0}sh"] {
            assert_eq!(presentable(odd), Err(NotPresentable::Odd(3)), "{odd:?}");
        }
    }

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
