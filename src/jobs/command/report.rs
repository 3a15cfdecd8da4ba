//! What a program says about itself: the last line of its output.

use super::output::LastLine;
use agent_core::domain::text::shortened;
use serde::{Deserialize, Deserializer, de};
use std::time::Duration;

/// The longest last line that is taken \[bytes\].
pub(super) const RESULT_BYTES: usize = 64 * 1024;

/// How much of a line that is wrong is shown \[characters\].
const EXCERPT: usize = 500;

const EXPECTED: &str = r#"{"records": 11075, "execution_time_s": 1.5, "result": "172.78"}"#;

#[derive(Debug)]
pub(in crate::jobs) struct Reported {
    pub result: String,
    pub records: u64,
    pub skipped_records: u64,
    /// Zero: it did not measure.
    pub execution_time: Duration,
}

impl Reported {
    /// Or what is wrong with the line.
    pub fn read(line: &LastLine) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(deserialize_with = "count")]
            records: u64,
            #[serde(default, deserialize_with = "count")]
            skipped_records: u64,
            execution_time_s: f64,
            result: serde_json::Value,
        }

        let must = format!("must end its output with a line like `{EXPECTED}`");
        if line.is_cut {
            return Err(format!("{must}: its last line is too long, at most {RESULT_BYTES} bytes are taken"));
        }
        let wrong = |reason: String| format!("{must}: {reason} in `{}`", shortened(&line.text, EXCERPT));
        let line: Line = serde_json::from_str(&line.text).map_err(|error| wrong(error.to_string()))?;
        let execution_time = Duration::try_from_secs_f64(line.execution_time_s)
            .map_err(|error| wrong(format!("execution_time_s: {error}")))?;
        if line.skipped_records > line.records {
            return Err(wrong("more records are skipped than were read".to_owned()));
        }
        let result = match line.result {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self { result, records: line.records, skipped_records: line.skipped_records, execution_time })
    }
}

/// A number of records: many languages write a whole number as `100.0` or `1e2`.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    /// Above it, not every whole number is a `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = serde_json::Number::deserialize(deserializer)?;
    let as_float = number.as_f64().filter(|value| value.fract() == 0.0 && (0.0..=EXACT).contains(value));
    match number.as_u64().or(as_float.map(|value| value as u64)) {
        Some(count) => Ok(count),
        None => Err(de::Error::custom(format!("{number} is no number of records"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Reported, String> {
        Reported::read(&LastLine { text: line.to_owned(), is_cut: false })
    }

    fn check(records: &str, skipped: &str, expected: Result<(u64, u64), &str>) {
        let line = format!(
            r#"{{"records": {records}, "skipped_records": {skipped}, "execution_time_s": 0.5, "result": null}}"#
        );
        match (read(&line), expected) {
            (Ok(reported), Ok(expected)) => assert_eq!((reported.records, reported.skipped_records), expected),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (reported, expected) => panic!("{line}: {reported:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn whole_numbers_count_however_they_are_written() {
        check("100", "0", Ok((100, 0)));
        check("100.0", "1e1", Ok((100, 10)));
        check("1e2", "0.0", Ok((100, 0)));
        check("18446744073709551615", "0", Ok((u64::MAX, 0)));
        check("100.5", "0", Err("100.5 is no number of records at line 1 column"));
        check("-1", "0", Err("-1 is no number of records"));
        check("1e300", "0", Err("1e+300 is no number of records"));
        check("\"100\"", "0", Err("invalid type: string"));
        check("100", "0.5", Err("0.5 is no number of records"));
        check("100", "101", Err("more records are skipped than were read"));
    }

    #[test]
    fn a_line_that_is_too_long_is_called_so_and_not_shown() {
        let why = Reported::read(&LastLine { text: "{".repeat(RESULT_BYTES), is_cut: true }).unwrap_err();
        assert!(why.ends_with("its last line is too long, at most 65536 bytes are taken"), "{why}");
        let why = read(&"x".repeat(RESULT_BYTES)).unwrap_err();
        assert!(why.len() < 2000, "{} bytes are shown", why.len());
    }
}
