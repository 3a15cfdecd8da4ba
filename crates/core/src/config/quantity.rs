//! One value of a file: read with its unit, and held to its range.

use super::problem::Invalid;
use crate::clock::TimeScale;
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
pub fn duration<T: AsRef<str> + ?Sized>(written: &T) -> Result<Duration, Invalid> {
    let duration = parse_duration(written.as_ref())?;
    match duration <= LONGEST {
        true => Ok(duration),
        false => Err(out_of_range(written.as_ref(), "a duration is at most 365 d")),
    }
}

/// Longer than `0 s`.
pub fn positive_duration<T: AsRef<str> + ?Sized>(written: &T) -> Result<Duration, Invalid> {
    match duration(written)? {
        Duration::ZERO => Err(out_of_range(written.as_ref(), "it has to be longer than 0 s")),
        positive => Ok(positive),
    }
}

/// At least one byte.
pub fn positive_size<T: AsRef<str> + ?Sized>(written: &T) -> Result<u64, Invalid> {
    match parse_bytes(written.as_ref())? {
        0 => Err(out_of_range(written.as_ref(), "it has to be at least 1 B")),
        bytes => Ok(bytes),
    }
}

/// Bytes in a second: `10 MB/s`.
pub fn bytes_per_second<T: AsRef<str> + ?Sized>(written: &T) -> Result<u64, Invalid> {
    let written = written.as_ref().trim();
    let size = written.strip_suffix("/s");
    let size = size.ok_or_else(|| Invalid::new(format!("`{written}` is no rate"), "write it like `\"10 MB/s\"`"))?;
    positive_size(size)
}

/// `0 %` to `100 %`. A number alone is one of percent.
pub fn percent<T: AsRef<str> + ?Sized>(written: &T) -> Result<Percent, Invalid> {
    Ok(parse_percent(written.as_ref())?)
}

/// Of a link, or its spread: as durations are written, and a number alone is one of milliseconds.
pub fn latency<T: AsRef<str> + ?Sized>(written: &T) -> Result<Duration, Invalid> {
    let text = written.as_ref().trim();
    match text.parse::<f64>() {
        Ok(_) => duration(&format!("{text} ms")),
        Err(_) => duration(text),
    }
}

/// Milliseconds of a latency, as tables and links keep it.
pub fn latency_ms<T: AsRef<str> + ?Sized>(written: &T) -> Result<f64, Invalid> {
    latency(written).map(|latency| latency.as_nanos() as f64 / 1e6)
}

/// Virtual time to simulate: so long that samples of a run's course lie apart, and at most a leap year.
pub fn hours(value: f64) -> Result<f64, Invalid> {
    const RANGE: RangeInclusive<f64> = 0.01..=8784.0;
    match RANGE.contains(&value) {
        true => Ok(value),
        false => {
            let help = format!("it lies between {} and {}", RANGE.start(), RANGE.end());
            Err(out_of_range(&value.to_string(), &help))
        }
    }
}

/// Seconds of the scenario in a second on the clock.
pub fn time_scale(value: i64) -> Result<TimeScale, Invalid> {
    u32::try_from(value).ok().and_then(TimeScale::new).ok_or_else(|| {
        Invalid::new(
            format!("{value} is out of range"),
            "seconds of the scenario in a second on the clock: a whole number between 1 and 1000",
        )
    })
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
pub fn rho<T: AsRef<str> + ?Sized>(metric: Metric, written: &T) -> Result<f64, Invalid> {
    match metric {
        Metric::ResponseTime
        | Metric::ExecutionTime
        | Metric::Staleness
        | Metric::ResponseTimeP95
        | Metric::ResponseTimeP99 => positive_duration(written).map(|long| long.as_secs_f64()),
        Metric::NetworkLatency => positive_duration(written).map(|long| long.as_secs_f64() * 1e3),
        Metric::Throughput => rate(written).and_then(positive),
        Metric::Availability | Metric::ErrorRate => percent(written).map(Percent::value).and_then(positive),
        Metric::DataConsistency => {
            Err(Invalid::new("data_consistency has no unit", "write it like `data_consistency = 0.5`"))
        }
    }
}

/// A difference of a metric as [`rho`] reads it, or for a ratio as a number: with what stands around it in a file.
pub fn written(metric: Metric, value: f64) -> String {
    match metric.unit() {
        "" => value.to_string(),
        unit => format!("\"{value} {unit}\""),
    }
}

fn rate<T: AsRef<str> + ?Sized>(written: &T) -> Result<f64, Invalid> {
    const EXAMPLE: &str = "3000 records/s";
    match split_quantity(written.as_ref(), EXAMPLE)? {
        (value, "records/s" | "requests/s") => Ok(value),
        (_, "") => Err(QuantityError::NoUnit(written.as_ref().trim().to_owned(), EXAMPLE).into()),
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
    fn shares_and_latencies_need_no_unit() {
        let share = |text: &str| percent(text).map(Percent::value);
        assert_eq!((share("75"), share("99.5 %")), (Ok(75.0), Ok(99.5)));
        assert_eq!((latency_ms("200"), latency_ms("1.5 s"), latency_ms("0")), (Ok(200.0), Ok(1500.0), Ok(0.0)));
        for text in ["", "-1", "nan", "inf", "1e300", "400 d", "5 apples"] {
            assert!(latency(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rho_is_kept_in_the_unit_of_its_metric() {
        let check = |metric, text: &str, value| assert_eq!(rho(metric, text), Ok(value));
        check(Metric::ResponseTime, "2 min", 120.0);
        check(Metric::NetworkLatency, "2 s", 2000.0);
        check(Metric::Throughput, "3_000 records/s", 3000.0);
        check(Metric::Availability, "25 %", 25.0);
        for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::DataConsistency) {
            assert_eq!(rho(metric, written(metric, 17.5).trim_matches('"')), Ok(17.5));
        }
        assert_eq!(written(Metric::DataConsistency, 0.5), "0.5");
    }
}
