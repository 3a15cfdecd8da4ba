//! Numbers as people read them: three digits that count, in a unit that suits.

use maud::Render;
use std::fmt::Write as _;

/// What a value is measured in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Jobs, actions, replicas, messages: a number of things, or a mean of such numbers.
    Things,
    /// 0 to 1, shown in percent.
    Share,
    /// 0 to 100.
    Percent,
    Seconds,
    Milliseconds,
    Microseconds,
    Bytes,
}

impl Unit {
    /// What a column of plain numbers says after its name; empty where there is nothing to say.
    pub fn suffix(self) -> &'static str {
        match self {
            Unit::Things | Unit::Share => "",
            Unit::Percent => "_percent",
            Unit::Seconds => "_s",
            Unit::Milliseconds => "_ms",
            Unit::Microseconds => "_us",
            Unit::Bytes => "_bytes",
        }
    }

    /// The unit in which a value (and others like it) reads well, and how many of ours make one.
    pub fn scaled(self, value: f64) -> (f64, &'static str) {
        const BYTES: [(f64, &str); 5] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")];
        const TIME: [(f64, &str); 3] = [(3600.0, "h"), (60.0, "min"), (1.0, "s")];
        const SHORT_TIME: [(f64, &str); 3] = [(1e6, "s"), (1e3, "ms"), (1.0, "us")];
        // Times are left in the smaller unit somewhat longer: 90 s, not 1.5 min.
        let (steps, from): (&[(f64, &str)], f64) = match self {
            Unit::Things => (&[(1.0, "")], 1.0),
            Unit::Share => (&[(0.01, "%")], 1.0),
            Unit::Percent => (&[(1.0, "%")], 1.0),
            Unit::Seconds => (&TIME, 2.0),
            Unit::Milliseconds => (&[(1e3, "s"), (1.0, "ms")], 10.0),
            Unit::Microseconds => (&SHORT_TIME, 1.0),
            Unit::Bytes => (&BYTES, 1.0),
        };
        let suits = |(size, _): &&(f64, &'static str)| value.abs() >= size * from;
        steps.iter().find(suits).or(steps.last()).copied().unwrap_or((1.0, ""))
    }

    /// `0.42`, `553`, `7.3 min`, `45.1 MB`, `12 %`.
    pub fn show(self, value: f64) -> String {
        let (size, name) = self.scaled(value);
        joined(&digits(value / size), name)
    }
}

/// A number and its unit.
pub fn joined(number: &str, unit: &str) -> String {
    if unit.is_empty() { number.to_owned() } else { format!("{number}\u{a0}{unit}") }
}

/// Three digits that count, and thousands apart: `0.42`, `12.3`, `553`, `44,000`; a minus as long as a plus.
pub fn digits(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        _ if size < 0.0005 => "0".to_owned(),
        _ if size < 0.1 => trimmed(format!("{size:.3}")),
        _ if size < 9.995 => trimmed(format!("{size:.2}")),
        _ if size < 99.95 => trimmed(format!("{size:.1}")),
        _ => thousands(&format!("{size:.0}")),
    };
    if value < 0.0 && text != "0" { format!("\u{2212}{text}") } else { text }
}

/// A number of things, all of its digits: `44,000`.
pub fn count(number: u64) -> String {
    thousands(&number.to_string())
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A coordinate of a figure: one decimal is finer than what can be seen.
#[derive(Clone, Copy)]
pub struct At(pub f64);

impl Render for At {
    fn render_to(&self, buffer: &mut String) {
        push(buffer, self.0);
    }
}

/// Writes a coordinate.
pub fn push(buffer: &mut String, value: f64) {
    let tenths = (value * 10.0).round();
    // Writing to a string does not fail.
    _ = match tenths % 10.0 == 0.0 {
        // Never `-0`.
        true => write!(buffer, "{}", tenths / 10.0 + 0.0),
        false => write!(buffer, "{:.1}", tenths / 10.0),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let check = |value: f64, text: &str| assert_eq!(digits(value), text);
        check(0.0, "0");
        check(0.00049, "0");
        check(0.0123, "0.012");
        check(0.4236, "0.42");
        check(9.18, "9.18");
        check(2.0, "2");
        check(12.345, "12.3");
        check(99.96, "100");
        check(553.6, "554");
        check(44_000.4, "44,000");
        check(-1_234_567.0, "\u{2212}1,234,567");
        check(-0.0001, "0");
    }

    #[test]
    fn a_unit_suits_its_value() {
        let check = |unit: Unit, value: f64, text: &str| assert_eq!(unit.show(value).replace('\u{a0}', " "), text);
        check(Unit::Things, 0.42, "0.42");
        check(Unit::Share, 0.125, "12.5 %");
        check(Unit::Percent, 85.0, "85 %");
        check(Unit::Milliseconds, 1228.0, "1,228 ms");
        check(Unit::Seconds, 90.0, "90 s");
        check(Unit::Seconds, 437.0, "7.28 min");
        check(Unit::Seconds, 14_400.0, "4 h");
        check(Unit::Microseconds, 45.31, "45.3 us");
        check(Unit::Microseconds, 1_500.0, "1.5 ms");
        check(Unit::Bytes, 45_100_000.0, "45.1 MB");
        check(Unit::Bytes, 0.0, "0 B");
    }

    #[test]
    fn coordinates_are_short() {
        let check = |value: f64, text: &str| assert_eq!(At(value).render().0, text);
        check(12.0, "12");
        check(12.34, "12.3");
        check(-0.04, "0");
        check(-7.26, "-7.3");
    }
}
