//! Quantities as people write them: `35 s`, `200 ms`, `9 MB`, `95 %`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A share in 0..=100.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(f64);

impl Percent {
    pub const FULL: Percent = Percent(100.0);

    /// `None` outside 0..=100 (and for NaN).
    pub fn new(value: f64) -> Option<Self> {
        (0.0..=100.0).contains(&value).then_some(Self(value))
    }

    pub fn value(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// A quantity that cannot be read; says what would have been right.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QuantityError {
    #[error("`{0}` has no number in front; write it like `{1}`")]
    NoNumber(String, &'static str),
    #[error("`{0}` has no unit; write it like `{1}`")]
    NoUnit(String, &'static str),
    #[error("`{unit}` is not a unit of {what}; known are {known}")]
    WrongUnit { unit: String, what: &'static str, known: &'static str },
    #[error("{0} is out of range: {1}")]
    OutOfRange(String, &'static str),
}

/// Splits `35 s` into 35 and `s`.
pub fn split_quantity<'a>(text: &'a str, example: &'static str) -> Result<(f64, &'a str), QuantityError> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_'))).unwrap_or(text.len());
    let number = text[..digits].replace('_', "");
    let value = number.parse().map_err(|_| QuantityError::NoNumber(text.to_owned(), example))?;
    Ok((value, text[digits..].trim()))
}

/// A duration with its unit: `200 ms`, `35 s`, `3.5 min`, `1 h`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    const EXAMPLE: &str = "35 s";
    let (value, unit) = split_quantity(text, EXAMPLE)?;
    let seconds = match unit {
        "" => return Err(QuantityError::NoUnit(text.trim().to_owned(), EXAMPLE)),
        "us" => value / 1e6,
        "ms" => value / 1e3,
        "s" => value,
        "min" | "m" => value * 60.0,
        "h" => value * 3600.0,
        "d" => value * 86_400.0,
        other => {
            return Err(QuantityError::WrongUnit {
                unit: other.to_owned(),
                what: "time",
                known: "us, ms, s, min, h, d",
            });
        }
    };
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| QuantityError::OutOfRange(text.trim().to_owned(), "a duration is not negative and not infinite"))
}

/// A number of bytes with its unit, decimal (`9 MB`) or binary (`8 MiB`).
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    const EXAMPLE: &str = "9 MB";
    let (value, unit) = split_quantity(text, EXAMPLE)?;
    let factor = match unit {
        "" => return Err(QuantityError::NoUnit(text.trim().to_owned(), EXAMPLE)),
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        other => {
            let known = "B, kB, MB, GB, TB, KiB, MiB, GiB";
            return Err(QuantityError::WrongUnit { unit: other.to_owned(), what: "size", known });
        }
    };
    let bytes = value * factor;
    if !(0.0..=9e15).contains(&bytes) {
        return Err(QuantityError::OutOfRange(text.trim().to_owned(), "a size lies between 0 B and 9000 TB"));
    }
    // In range by the check above; a fraction of a byte is dropped.
    Ok(bytes as u64)
}

/// A share with its unit: `95 %`.
pub fn parse_percent(text: &str) -> Result<Percent, QuantityError> {
    let (value, unit) = split_quantity(text, "95 %")?;
    if !matches!(unit, "%" | "") {
        return Err(QuantityError::WrongUnit { unit: unit.to_owned(), what: "a share", known: "%" });
    }
    Percent::new(value)
        .ok_or_else(|| QuantityError::OutOfRange(text.trim().to_owned(), "a share lies between 0 % and 100 %"))
}

impl FromStr for Percent {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_percent(text)
    }
}

/// A number of bytes for people: `6.4 MB`.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A duration for people: `850 ms`, `12.3 s`, `7 min 12 s`, `1 h 5 min`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    match whole {
        0 => format!("{:.0} ms", seconds * 1e3),
        1..=59 => format!("{seconds:.1} s"),
        60..=3599 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_with_their_units() {
        assert_eq!(parse_duration("35 s"), Ok(Duration::from_secs(35)));
        assert_eq!(parse_duration("3.5min"), Ok(Duration::from_secs(210)));
        assert_eq!(parse_duration("0 ms"), Ok(Duration::ZERO));
        assert_eq!(parse_bytes("9 MB"), Ok(9_000_000));
        assert_eq!(parse_bytes("8 MiB"), Ok(8_388_608));
        assert_eq!(parse_percent("95 %"), Ok(Percent(95.0)));
    }

    #[test]
    fn what_is_wrong_with_a_quantity_is_named() {
        let check = |error: QuantityError, message: &str| assert_eq!(error.to_string(), message);
        check(parse_duration("35").unwrap_err(), "`35` has no unit; write it like `35 s`");
        check(parse_duration("soon").unwrap_err(), "`soon` has no number in front; write it like `35 s`");
        check(parse_duration("3 %").unwrap_err(), "`%` is not a unit of time; known are us, ms, s, min, h, d");
        check(parse_duration("-1 s").unwrap_err(), "-1 s is out of range: a duration is not negative and not infinite");
        check(parse_percent("120 %").unwrap_err(), "120 % is out of range: a share lies between 0 % and 100 %");
    }

    #[test]
    fn quantities_are_shown_short() {
        assert_eq!(show_bytes(999), "999 B");
        assert_eq!(show_bytes(6_441_964), "6.4 MB");
        assert_eq!(show_duration(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(show_duration(Duration::from_secs(432)), "7 min 12 s");
    }
}
