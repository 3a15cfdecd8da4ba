//! Durations as people write them: `10 s`, `500 ms`, `1 h`, or a number of seconds.

use crate::invalid::{Invalid, legible};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::time::Duration;

/// The longest duration that is read: 365 d.
pub const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// [`LONGEST`] in seconds.
pub(crate) const LONGEST_S: f64 = 365.0 * 86_400.0;

/// Units and how many nanoseconds they have, the longest first.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads `10 s`; without a unit it is seconds.
///
/// # Errors
/// It is no number, the unit is unknown, or it is negative or longer than [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, Invalid> {
    let refuse = |problem: &str, help: &str| Invalid::new("duration", format!("`{}` {problem}", legible(text)), help);
    let written = text.trim();
    let number = written.trim_end_matches(char::is_alphabetic);
    let seconds: f64 = number.trim_end().parse().map_err(|_| refuse("has no number", "write it like `10 s`"))?;
    let nanos_each = match &written[number.len()..] {
        "" => Some(1e9),
        // Exact: the longest unit has fewer than 2^53 nanoseconds.
        unit => UNITS.iter().find(|(known, _)| *known == unit).map(|(_, nanos)| *nanos as f64),
    };
    let nanos_each = nanos_each.ok_or_else(|| refuse("has no unit of time", "units are d, h, min, s, ms, us, ns"))?;
    Duration::try_from_secs_f64(seconds * (nanos_each / 1e9))
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| refuse("is out of range", "it is 0 s or longer, at most 365 d"))
}

/// In the longest unit of which it is a whole number: `90 s`, `1 h`. [`parse`] reads it back.
pub fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fits = |(_, nanos_each): &&(&str, u64)| nanos > 0 && nanos.is_multiple_of(u128::from(*nanos_each));
    match UNITS.iter().find(fits) {
        Some((unit, nanos_each)) => format!("{} {unit}", nanos / u128::from(*nanos_each)),
        None => "0 s".to_owned(),
    }
}

/// A duration in a file: text as [`parse`] reads it, or a number of seconds; written as [`show`] does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Written(pub Duration);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show(self.0))
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyDuration)
    }
}

struct AnyDuration;

impl de::Visitor<'_> for AnyDuration {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration like \"10 s\", or a number of seconds")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
        parse(text).map(Written).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Written, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Written, E> {
        self.visit_str(&seconds.to_string())
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Written, E> {
        self.visit_str(&seconds.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_units() {
        let check = |text: &str, nanos| assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        check("10 s", 10_000_000_000);
        check(" 1.5min ", 90_000_000_000);
        check("500 ms", 500_000_000);
        check("1e3 us", 1_000_000);
        check("7 ns", 7);
        check("0.1", 100_000_000);
        check("365 d", 365 * 86_400_000_000_000);
        check("0", 0);
    }

    #[test]
    fn what_is_wrong_with_a_duration_is_named() {
        let check = |text: &str, message: &str| assert_eq!(parse(text).unwrap_err().to_string(), message);
        check("", "duration: `` has no number; write it like `10 s`");
        check("3 weeks", "duration: `3 weeks` has no unit of time; units are d, h, min, s, ms, us, ns");
        for text in ["-1 s", "366 d", "1e300 s"] {
            check(text, &format!("duration: `{text}` is out of range; it is 0 s or longer, at most 365 d"));
        }
        for text in ["soon", "nan", "inf", "1 2 s", "s"] {
            check(text, &format!("duration: `{text}` has no number; write it like `10 s`"));
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        let check = |nanos, text: &str| {
            let duration = Duration::from_nanos(nanos);
            assert_eq!((show(duration).as_str(), parse(text)), (text, Ok(duration)));
        };
        check(0, "0 s");
        check(90_000_000_000, "90 s");
        check(3_600_000_000_000, "1 h");
        check(1_500_000, "1500 us");
        check(1_234_567_891, "1234567891 ns");
    }

    #[test]
    fn a_file_has_text_or_numbers() {
        #[derive(Deserialize)]
        struct File {
            all: Vec<Written>,
        }
        let file: File = toml::from_str("all = [\"10 s\", 10, 1e1]").unwrap();
        assert_eq!(file.all, [Written(Duration::from_secs(10)); 3]);
        for wrong in ["[true]", "[-1]", "[nan]", "[\"\"]"] {
            assert!(toml::from_str::<File>(&format!("all = {wrong}")).is_err(), "{wrong}");
        }
    }
}
