//! What tells one content of an object from another without reading it: the validators of RFC 9110, section 8.8.

use serde::{Deserialize, Serialize};

/// As a store states them, with the length; each absent where it says nothing or was never asked.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Validators {
    /// The object's length.
    pub bytes: Option<u64>,
    /// As sent, with its quotes left out.
    pub etag: Option<String>,
    /// The time of the last change by the store's own clock, milliseconds since the Unix epoch. Most stores tell seconds.
    pub modified_ms: Option<i64>,
}

impl Validators {
    /// How what is found now differs from these, for people; `None` as far as both speak and say the same.
    pub fn difference(&self, found: &Self) -> Option<String> {
        if let (Some(known), Some(found)) = (self.bytes, found.bytes)
            && known != found
        {
            return Some(format!("it has {found} bytes, no longer {known}"));
        }
        if let (Some(known), Some(found)) = (&self.etag, &found.etag)
            && known != found
        {
            return Some(format!("its ETag is {found}, no longer {known}"));
        }
        // Some answers tell milliseconds and some do not, of one object in one store.
        let second = |at: i64| at.div_euclid(1000);
        match (self.modified_ms, found.modified_ms) {
            (Some(known), Some(found)) if second(known) != second(found) => Some(format!(
                "it was changed at {} s since the Unix epoch, no longer at {}",
                second(found),
                second(known)
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validators(etag: &str, modified_ms: i64) -> Validators {
        let etag = (!etag.is_empty()).then(|| etag.to_owned());
        Validators { bytes: None, etag, modified_ms: (modified_ms > 0).then_some(modified_ms) }
    }

    #[test]
    fn only_what_both_say_can_differ() {
        let check = |known: Validators, found: Validators, expected: Option<&str>| {
            assert_eq!(known.difference(&found).as_deref(), expected, "{known:?} {found:?}");
        };
        check(validators("a", 1000), validators("a", 1999), None);
        check(validators("a", 0), validators("", 5000), None);
        check(validators("a", 1000), validators("b", 1000), Some("its ETag is b, no longer a"));
        let of = |bytes| Validators { bytes, ..validators("a", 0) };
        check(of(Some(1)), of(None), None);
        check(of(Some(1)), of(Some(2)), Some("it has 2 bytes, no longer 1"));
        let changed = "it was changed at 2 s since the Unix epoch, no longer at 1";
        check(validators("a", 1000), validators("a", 2000), Some(changed));
    }
}
