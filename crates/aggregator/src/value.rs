//! A number with two decimals, exactly.

use serde::{Serialize, Serializer};
use std::fmt;

/// What an emitter measures, in 0.00..=999999999999.99: percent of the CPU, or megabytes (of 1,000,000 bytes).
///
/// It is kept in hundredths, so that what is read is written again to the digit, whatever the locale; what is no such number
/// (NaN, an infinity, less than 0) cannot be one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Value {
    hundredths: u64,
}

/// Digits before the point: a million terabytes in megabytes have as many.
const DIGITS_MAX: usize = 12;
const HUNDREDTHS_MAX: u64 = 99_999_999_999_999;
const BYTES_OF_A_HUNDREDTH: u64 = 10_000;

/// Why a text or a number is no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAValue {
    #[error("not digits, a point and two digits, such as 30.00")]
    Form,
    #[error("less than 0")]
    Negative,
    #[error("more than 999999999999.99")]
    TooLarge,
}

impl Value {
    /// Rounded to the nearest hundredth.
    pub fn of(number: f64) -> Result<Self, NotAValue> {
        match (number * 100.0).round() {
            hundredths if hundredths.is_nan() => Err(NotAValue::Form),
            hundredths if hundredths < 0.0 => Err(NotAValue::Negative),
            hundredths if hundredths > HUNDREDTHS_MAX as f64 => Err(NotAValue::TooLarge),
            hundredths => Ok(Self { hundredths: hundredths as u64 }),
        }
    }

    /// In megabytes, rounded to the nearest hundredth.
    pub fn megabytes(bytes: u64) -> Result<Self, NotAValue> {
        let hundredths =
            bytes / BYTES_OF_A_HUNDREDTH + u64::from(bytes % BYTES_OF_A_HUNDREDTH >= BYTES_OF_A_HUNDREDTH / 2);
        if hundredths > HUNDREDTHS_MAX { Err(NotAValue::TooLarge) } else { Ok(Self { hundredths }) }
    }

    /// Reads exactly what [`Value`]'s `Display` writes (and zeros before it).
    pub fn parse(text: &str) -> Result<Self, NotAValue> {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |positive| (true, positive));
        let (whole, decimals) = text.split_once('.').ok_or(NotAValue::Form)?;
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() != 2 {
            return Err(NotAValue::Form);
        }
        if is_negative {
            return Err(NotAValue::Negative);
        }
        if whole.len() > DIGITS_MAX {
            return Err(NotAValue::TooLarge);
        }
        let number = |digits: &str| digits.parse::<u64>().map_err(|_| NotAValue::Form);
        Ok(Self { hundredths: number(whole)? * 100 + number(decimals)? })
    }

    /// For where numbers are wanted; exact to the hundredth up to 10^13.
    pub fn number(self) -> f64 {
        self.hundredths as f64 / 100.0
    }

    /// What megabytes are in bytes.
    pub fn bytes_of_megabytes(self) -> u64 {
        self.hundredths * BYTES_OF_A_HUNDREDTH
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.hundredths / 100, self.hundredths % 100)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_the_digit() {
        let check = |text: &str, expected: Result<u64, NotAValue>| {
            assert_eq!(Value::parse(text).map(|value| value.hundredths), expected, "{text}");
        };
        check("30.00", Ok(3000));
        check("0.01", Ok(1));
        check("000.10", Ok(10));
        check("999999999999.99", Ok(HUNDREDTHS_MAX));
        check("1000000000000.00", Err(NotAValue::TooLarge));
        check("-0.01", Err(NotAValue::Negative));
        check("-1000000000000.00", Err(NotAValue::Negative));
        for text in
            ["", ".", "30", "30.", ".00", "30.0", "30.000", "30,00", "+30.00", " 30.00", "3e1", "1_0.00", "٣.00"]
        {
            check(text, Err(NotAValue::Form));
        }
        for text in ["NaN", "nan", "inf", "-inf", "Infinity", "-", "--1.00", "1.0.00", "0x10.00"] {
            check(text, Err(NotAValue::Form));
        }
    }

    #[test]
    fn numbers_are_written_with_two_decimals_and_a_point() {
        let check = |number: f64, expected: Result<&str, NotAValue>| {
            assert_eq!(Value::of(number).map(|value| value.to_string()), expected.map(str::to_owned), "{number}");
        };
        check(30.0, Ok("30.00"));
        check(0.005, Ok("0.01"));
        check(-0.001, Ok("0.00"));
        check(99.999, Ok("100.00"));
        check(10_000.0, Ok("10000.00"));
        check(f64::NAN, Err(NotAValue::Form));
        check(-1.0, Err(NotAValue::Negative));
        check(f64::NEG_INFINITY, Err(NotAValue::Negative));
        check(f64::INFINITY, Err(NotAValue::TooLarge));
        check(1e12, Err(NotAValue::TooLarge));
    }

    #[test]
    fn bytes_become_megabytes() {
        let check = |bytes: u64, expected: Result<&str, NotAValue>| {
            assert_eq!(Value::megabytes(bytes).map(|value| value.to_string()), expected.map(str::to_owned), "{bytes}");
        };
        check(0, Ok("0.00"));
        check(4_999, Ok("0.00"));
        check(5_000, Ok("0.01"));
        check(10_000_000_000, Ok("10000.00"));
        check(u64::MAX, Err(NotAValue::TooLarge));
        assert_eq!(Value::megabytes(123_450_000).map(Value::bytes_of_megabytes), Ok(123_450_000));
    }
}
