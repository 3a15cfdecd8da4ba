//! One value of a file: read with its unit, and held to its range.

use super::fragment::Quantity;
use super::problem::Invalid;
use crate::domain::metric::Metric;
use crate::domain::store_url::is_endpoint;
use crate::domain::text::without_userinfo;
use crate::domain::time::LONGEST;
use crate::domain::units::{Percent, QuantityError, parse_bytes, parse_duration, parse_percent, split_quantity};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Splits an error into what is wrong and what to do.
impl From<QuantityError> for Invalid {
    fn from(error: QuantityError) -> Self {
        match error {
            QuantityError::NoNumber(text, example) => {
                Invalid::new(format!("`{text}` has no number in front"), format!("write it like `{example}`"))
            }
            QuantityError::NoUnit(text, example) => {
                Invalid::new(format!("`{text}` has no unit"), format!("write it like `{example}`"))
            }
            QuantityError::WrongUnit { unit, what, known } => {
                Invalid::new(format!("`{unit}` is not a unit of {what}"), format!("units are {known}"))
            }
            QuantityError::OutOfRange(text, range) => Invalid::new(format!("{text} is out of range"), range),
        }
    }
}

fn out_of_range(text: &str, range: &str) -> Invalid {
    Invalid::new(format!("{} is out of range", text.trim()), range)
}

/// `0 s` or longer, up to a year.
pub fn duration(written: &Quantity) -> Result<Duration, Invalid> {
    let duration = parse_duration(&written.0)?;
    match duration <= LONGEST {
        true => Ok(duration),
        false => Err(out_of_range(&written.0, "a duration is at most 365 d")),
    }
}

/// Longer than `0 s`.
pub fn positive_duration(written: &Quantity) -> Result<Duration, Invalid> {
    match duration(written)? {
        Duration::ZERO => Err(out_of_range(&written.0, "it has to be longer than 0 s")),
        positive => Ok(positive),
    }
}

/// At least one byte.
pub fn positive_size(written: &Quantity) -> Result<u64, Invalid> {
    match parse_bytes(&written.0)? {
        0 => Err(out_of_range(&written.0, "it has to be at least 1 B")),
        bytes => Ok(bytes),
    }
}

/// `0 %` to `100 %`; here the unit is not optional.
pub fn percent(written: &Quantity) -> Result<Percent, Invalid> {
    const EXAMPLE: &str = "95 %";
    match split_quantity(&written.0, EXAMPLE)? {
        (_, "") => Err(QuantityError::NoUnit(written.0.trim().to_owned(), EXAMPLE).into()),
        _ => Ok(parse_percent(&written.0)?),
    }
}

/// A ratio from 0 to 1.
pub fn ratio(value: f64) -> Result<f64, Invalid> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(value),
        false => Err(out_of_range(&value.to_string(), "it lies between 0 and 1")),
    }
}

/// A finite number above 0.
pub fn positive(value: f64) -> Result<f64, Invalid> {
    match value > 0.0 && value.is_finite() {
        true => Ok(value),
        false => Err(out_of_range(&value.to_string(), "it has to be greater than 0")),
    }
}

/// A whole number in `range`.
pub fn whole<T: TryFrom<i64>>(value: i64, range: RangeInclusive<i64>) -> Result<T, Invalid> {
    let message = || Invalid::new(format!("{value} is out of range"), between(&range));
    if !range.contains(&value) {
        return Err(message());
    }
    T::try_from(value).map_err(|_| message())
}

fn between(range: &RangeInclusive<i64>) -> String {
    match *range.end() {
        i64::MAX => format!("it is a whole number, at least {}", range.start()),
        end => format!("it is a whole number between {} and {end}", range.start()),
    }
}

/// A difference of `metric` that counts as large, in the metric's own unit: above 0.
pub fn rho(metric: Metric, written: &Quantity) -> Result<f64, Invalid> {
    match metric {
        Metric::ResponseTime | Metric::ExecutionTime => positive_duration(written).map(|long| long.as_secs_f64()),
        Metric::NetworkLatency => positive_duration(written).map(|long| long.as_secs_f64() * 1e3),
        Metric::Throughput => rate(written).and_then(positive),
        Metric::Availability => percent(written).map(Percent::value).and_then(positive),
        Metric::DataConsistency => {
            Err(Invalid::new("data_consistency has no unit", "write it like `data_consistency = 0.5`"))
        }
    }
}

fn rate(written: &Quantity) -> Result<f64, Invalid> {
    const EXAMPLE: &str = "3000 records/s";
    match split_quantity(&written.0, EXAMPLE)? {
        (value, "records/s") => Ok(value),
        (_, "") => Err(QuantityError::NoUnit(written.0.trim().to_owned(), EXAMPLE).into()),
        (_, unit) => {
            Err(QuantityError::WrongUnit { unit: unit.to_owned(), what: "throughput", known: "records/s" }.into())
        }
    }
}

/// `http://host:port` or `https://host`, without a path; a slash at the end is dropped. `example` is shown in the help.
pub fn url(text: &str, example: &str) -> Result<String, Invalid> {
    let trimmed = text.trim_end_matches('/');
    match is_endpoint(trimmed) {
        true => Ok(trimmed.to_owned()),
        false => Err(Invalid::new(
            format!("`{}` is not an address", without_userinfo(text)),
            format!("write it like `{example}`: a scheme, a host and a port, no path"),
        )),
    }
}

/// Text with something in it.
pub fn filled(text: &str) -> Result<String, Invalid> {
    match text.trim().is_empty() {
        true => Err(Invalid::new("is empty", "write what it stands for between the quotes")),
        false => Ok(text.to_owned()),
    }
}

/// A name of a node or data set: also part of file names and object keys, hence letters, digits, `_`, `-` and `.`.
pub fn name(text: &str) -> Result<String, Invalid> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    match !text.is_empty() && !text.starts_with('.') && text.chars().all(allowed) && text.len() <= 64 {
        true => Ok(text.to_owned()),
        false => Err(Invalid::new(
            format!("`{}` is not a name", text.escape_debug()),
            "a name has 1 to 64 letters, digits, `_`, `-` and `.`, and does not begin with `.`",
        )),
    }
}

/// The key of an object: relative, without `..`, so that it is also a path below a store's directory.
pub fn object_key(text: &str) -> Result<String, Invalid> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(char::is_control);
    match text.split('/').all(is_plain) && text.len() <= 1000 {
        true => Ok(text.to_owned()),
        false => Err(Invalid::new(
            format!("`{}` is not an object's key", text.escape_debug()),
            "write it like `tests/blood_tests.json`: no empty part, `.` or `..`, at most 1000 bytes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_schemes_hosts_and_ports() {
        for good in ["http://127.0.0.1:8474", "http://toxiproxy:8474", "https://s3.example.org", "http://[::1]:80"] {
            assert_eq!(url(good, ""), Ok(good.to_owned()));
        }
        assert_eq!(url("http://a:1/", ""), Ok("http://a:1".to_owned()));
        let bad =
            ["", "http://", "a:1", "ftp://a", "http://a/b", "http://a:0", "http://a:99999", "http://a b", "http://:1"];
        for bad in bad.into_iter().chain(["http://a:+1", "http://[::1", "http://u:p@host:1", "http://a:", "http://::1"])
        {
            assert!(url(bad, "http://HOST:1").is_err(), "{bad}");
        }
    }

    #[test]
    fn rho_is_kept_in_the_unit_of_its_metric() {
        let check = |metric, text: &str, value| assert_eq!(rho(metric, &Quantity(text.to_owned())), Ok(value));
        check(Metric::ResponseTime, "2 min", 120.0);
        check(Metric::NetworkLatency, "2 s", 2000.0);
        check(Metric::Throughput, "3_000 records/s", 3000.0);
        check(Metric::Availability, "25 %", 25.0);
    }
}
