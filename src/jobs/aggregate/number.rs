//! Numbers as JSON writes them: whole ones exactly, the others as doubles.

use std::cmp::Ordering;
use std::fmt;

/// A finite number. Whole numbers up to 38 digits are `Whole` however they are written (`5`, `5.0`), as long as a double could
/// tell them from their neighbours.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    /// Exact.
    Whole(i128),
    /// The nearest double.
    Real(f64),
    /// The nearest double of a whole number that has more digits than an i128.
    Rounded(f64),
}

/// Up to here a double tells every whole number from the next.
const LARGEST_CERTAIN: f64 = (1_u64 << 53) as f64;

/// The first power of two beyond an i128.
const BEYOND_I128: f64 = 2.0 * (1_u128 << 126) as f64;

impl Number {
    /// `json` is a valid JSON number; `None` when it is beyond what a double holds.
    pub(super) fn parse(json: &str) -> Option<Self> {
        if let Ok(whole) = json.parse::<i64>() {
            return Some(Self::Whole(whole.into()));
        }
        let is_whole = json.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
        if is_whole && let Ok(whole) = json.parse::<i128>() {
            return Some(Self::Whole(whole));
        }
        let value = json.parse::<f64>().ok().filter(|value| value.is_finite())?;
        Some(match () {
            () if is_whole => Self::Rounded(value),
            () if value.fract() == 0.0 && value.abs() <= LARGEST_CERTAIN => Self::Whole(value as i128),
            () => Self::Real(value),
        })
    }

    /// The nearest double.
    pub(super) fn value(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(value) | Self::Rounded(value) => value,
        }
    }

    /// By value, not by how near a double comes.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(&other),
            (Self::Whole(one), Self::Real(other) | Self::Rounded(other)) => compare(one, other),
            (Self::Real(one) | Self::Rounded(one), Self::Whole(other)) => compare(other, one).reverse(),
            (Self::Real(one) | Self::Rounded(one), Self::Real(other) | Self::Rounded(other)) => one.total_cmp(&other),
        }
    }
}

fn compare(whole: i128, real: f64) -> Ordering {
    if real >= BEYOND_I128 {
        return Ordering::Less;
    }
    if real < -BEYOND_I128 {
        return Ordering::Greater;
    }
    let fraction = 0.0.partial_cmp(&real.fract()).unwrap_or(Ordering::Equal);
    whole.cmp(&(real.trunc() as i128)).then(fraction)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Real(value) => Decimal(*value).fmt(f),
            Self::Rounded(value) => write!(f, "{} (rounded)", Decimal(*value)),
        }
    }
}

/// A double for people: with an exponent where it would have many zeros, and with the digits that tell it from its neighbours.
pub(super) struct Decimal(pub(super) f64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        if *value == 0.0 || !value.is_finite() || (1e-7..1e21).contains(&value.abs()) {
            value.fmt(f)
        } else {
            write!(f, "{value:e}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(json: &str) -> Number {
        Number::parse(json).unwrap()
    }

    #[test]
    fn whole_numbers_keep_their_value() {
        for json in ["0", "-1", "9007199254740993", "-18446744073709551617", "170141183460469231731687303715884105727"]
        {
            assert_eq!(number(json).to_string(), json);
            assert!(matches!(number(json), Number::Whole(_)));
        }
        assert_eq!(number("5.0"), Number::Whole(5));
        assert_eq!(number("-1.2e3"), Number::Whole(-1200));
        assert_eq!(number("-0.0"), Number::Whole(0));
    }

    #[test]
    fn what_an_i128_does_not_hold_is_said_to_be_rounded() {
        let beyond = "170141183460469231731687303715884105729";
        assert_eq!(number(beyond), Number::Rounded(BEYOND_I128));
        assert_eq!(number(beyond).to_string(), "1.7014118346046923e38 (rounded)");
        assert_eq!(number("1e40"), Number::Real(1e40));
        assert_eq!(Number::parse("-1e999"), None);
        assert_eq!(Number::parse(&"9".repeat(400)), None);
    }

    #[test]
    fn doubles_are_shown_without_rows_of_zeros() {
        let shown =
            [0.0, -2.5, 1e20, 1e-7, 1.5e308, -5e-324, 1e21, f64::INFINITY].map(|value| Decimal(value).to_string());
        assert_eq!(shown, ["0", "-2.5", "100000000000000000000", "0.0000001", "1.5e308", "-5e-324", "1e21", "inf"]);
    }

    #[test]
    fn numbers_are_compared_by_their_values() {
        let ordered = [
            "-1e300",
            "-170141183460469231731687303715884105728",
            "-9007199254740993",
            "-9007199254740992.0",
            "-3.5",
            "-3",
            "0",
            "0.5",
            "1",
            "9007199254740992",
            "9007199254740993",
            "9007199254740994.0",
            "170141183460469231731687303715884105727",
            "2e38",
        ];
        for (i, one) in ordered.iter().enumerate() {
            for (j, other) in ordered.iter().enumerate() {
                assert_eq!(number(one).compare(number(other)), i.cmp(&j), "{one} {other}");
            }
        }
    }
}
