//! How an emitter calls itself.

use crate::udsmp::MORE;
use serde::Serialize;
use std::borrow::Borrow;
use std::fmt;

/// The longest name \[bytes\]: as long as a name of DNS.
pub const HOST_MAX_BYTES: usize = 255;

/// A name that can be sent, listed and asked for: any text of 1 to 255 bytes without control characters, without white space
/// at its ends (a reader's request may end in it), and not `...` (the mark of a list that goes on).
///
/// `, `, `=` and `}` may be in it. Then it can be asked for like any other; only in a list it looks like two names, for the
/// protocol has no way to write it. HTTP shows it as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct HostName(String);

/// Why a text is no host name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAHostName {
    #[error("a host name is empty; name the machine, such as Node_1")]
    Empty,
    #[error("a host name is longer than {HOST_MAX_BYTES} bytes; choose a shorter one")]
    TooLong,
    #[error("a host name contains a control character; leave it away")]
    Control,
    #[error("a host name begins or ends with white space; leave it away")]
    WhiteSpace,
    #[error("`{MORE}` is what marks a list that goes on; choose another host name")]
    Mark,
}

impl HostName {
    pub fn new(text: &str) -> Result<Self, NotAHostName> {
        match text {
            "" => Err(NotAHostName::Empty),
            MORE => Err(NotAHostName::Mark),
            text if text.len() > HOST_MAX_BYTES => Err(NotAHostName::TooLong),
            text if text.chars().any(char::is_control) => Err(NotAHostName::Control),
            text if text.trim() != text => Err(NotAHostName::WhiteSpace),
            text => Ok(Self(text.to_owned())),
        }
    }

    /// What this machine calls itself, if it can be sent.
    pub fn of_this_machine() -> Option<Self> {
        Self::new(&agent_sampler::host_name()?).ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for HostName {
    type Err = NotAHostName;

    fn from_str(text: &str) -> Result<Self, NotAHostName> {
        Self::new(text)
    }
}

/// So that what is asked for is found without a copy.
impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_any_text_that_can_be_asked_for() {
        let check = |text: &str, expected: Result<(), NotAHostName>| {
            assert_eq!(HostName::new(text).map(|name| assert_eq!(name.as_str(), text)), expected, "{text:?}");
        };
        for text in ["Node_1", "a, b", "a=b", "a}b", "}", "host=x}", "été", "two words", "....", "[a]"] {
            check(text, Ok(()));
        }
        check(&"n".repeat(255), Ok(()));
        check(&"n".repeat(256), Err(NotAHostName::TooLong));
        check("", Err(NotAHostName::Empty));
        check("...", Err(NotAHostName::Mark));
        check("a ", Err(NotAHostName::WhiteSpace));
        check("\u{a0}a", Err(NotAHostName::WhiteSpace));
        check("a\nb", Err(NotAHostName::Control));
        check("\u{1b}[2J", Err(NotAHostName::Control));
    }
}
