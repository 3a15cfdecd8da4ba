//! MDSMP, from node to aggregator: one measurement in a datagram, `cpu{value=30.00, host=Node_1}`.

use crate::host_name::HostName;
use crate::value::{NotAValue, Value};
use serde::Serialize;
use std::fmt;
use std::net::Ipv4Addr;

/// Where measurements are sent to, in the group of their metric.
pub const PORT: u16 = 9378;
/// A datagram that is longer is no measurement: the longest has 288 bytes.
pub const DATAGRAM_MAX_BYTES: usize = 1024;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// \[%\] of all cores together.
    Cpu,
    /// Memory in use \[MB\].
    Ram,
    /// Disk in use \[MB\].
    Dsk,
}

impl Metric {
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Ram, Self::Dsk];

    /// As it is written on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Ram => "ram",
            Self::Dsk => "dsk",
        }
    }

    /// The multicast group of those that are interested.
    pub fn group(self) -> Ipv4Addr {
        match self {
            Self::Cpu => Ipv4Addr::new(230, 0, 0, 1),
            Self::Ram => Ipv4Addr::new(230, 0, 0, 2),
            Self::Dsk => Ipv4Addr::new(230, 0, 0, 3),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.word() == word)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a node says of itself. Its `Display` is the datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measurement {
    pub metric: Metric,
    pub value: Value,
    pub host: HostName,
}

/// Why a datagram was not taken in; nothing was changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    #[error("longer than {DATAGRAM_MAX_BYTES} bytes")]
    TooLong,
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not of the form METRIC{{value=VALUE, host=HOST}}")]
    Form,
    #[error("a metric other than cpu, ram and dsk")]
    Metric,
    #[error("a value that is not digits, a point and two digits")]
    Value,
    #[error("a value below 0")]
    Negative,
    #[error("a value above 999999999999.99")]
    TooLarge,
    #[error("a host name that cannot be asked for")]
    Host,
    /// Well formed, of a host that is not known yet.
    #[error("more emitters than an aggregator remembers")]
    Full,
}

impl Refusal {
    pub const ALL: [Self; 9] = [
        Self::TooLong,
        Self::NotUtf8,
        Self::Form,
        Self::Metric,
        Self::Value,
        Self::Negative,
        Self::TooLarge,
        Self::Host,
        Self::Full,
    ];

    /// As counters name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
            Self::Form => "form",
            Self::Metric => "metric",
            Self::Value => "value",
            Self::Negative => "negative",
            Self::TooLarge => "too_large",
            Self::Host => "host",
            Self::Full => "full",
        }
    }
}

impl From<NotAValue> for Refusal {
    fn from(why: NotAValue) -> Self {
        match why {
            NotAValue::Form => Self::Value,
            NotAValue::Negative => Self::Negative,
            NotAValue::TooLarge => Self::TooLarge,
        }
    }
}

impl Measurement {
    /// Reads a datagram to the byte, but for white space behind it. The host is everything from `host=` to the last `}`.
    pub fn parse(datagram: &[u8]) -> Result<Self, Refusal> {
        if datagram.len() > DATAGRAM_MAX_BYTES {
            return Err(Refusal::TooLong);
        }
        let text = std::str::from_utf8(datagram).map_err(|_| Refusal::NotUtf8)?;
        let inside = text.trim_end().strip_suffix('}').ok_or(Refusal::Form)?;
        let (metric, inside) = inside.split_once("{value=").ok_or(Refusal::Form)?;
        let (value, host) = inside.split_once(", host=").ok_or(Refusal::Form)?;
        Ok(Self {
            metric: Metric::parse(metric).ok_or(Refusal::Metric)?,
            value: Value::parse(value)?,
            host: HostName::new(host).map_err(|_| Refusal::Host)?,
        })
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, value, host } = self;
        write!(f, "{metric}{{value={value}, host={host}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(datagram: impl AsRef<[u8]>) -> Result<(Metric, String, String), Refusal> {
        let Measurement { metric, value, host } = Measurement::parse(datagram.as_ref())?;
        Ok((metric, value.to_string(), host.to_string()))
    }

    #[test]
    fn a_measurement_is_written_to_the_byte() {
        let check = |metric, number, host, expected: &str| {
            let measurement = Measurement {
                metric,
                value: Value::of(number).expect("a value"),
                host: HostName::new(host).expect("a name"),
            };
            assert_eq!(measurement.to_string().as_bytes(), expected.as_bytes());
        };
        check(Metric::Cpu, 30.0, "Node_1", "cpu{value=30.00, host=Node_1}");
        check(Metric::Ram, 10_000.0, "Node_1", "ram{value=10000.00, host=Node_1}");
        check(Metric::Dsk, 1_234_567.891, "a}b", "dsk{value=1234567.89, host=a}b}");
    }

    #[test]
    fn the_longest_has_the_length_that_is_documented() {
        let longest = format!("cpu{{value=999999999999.99, host={}}}", "n".repeat(crate::HOST_MAX_BYTES));
        assert!(parsed(&longest).is_ok());
        assert_eq!(longest.len(), 288);
    }

    #[test]
    fn the_groups_are_those_of_the_specification() {
        let groups = Metric::ALL.map(|metric| format!("{metric} {}", metric.group()));
        assert_eq!(groups, ["cpu 230.0.0.1", "ram 230.0.0.2", "dsk 230.0.0.3"]);
        assert_eq!(PORT, 9378);
    }

    #[test]
    fn a_host_is_everything_up_to_the_last_brace() {
        let check = |datagram: &str, host: &str| {
            assert_eq!(parsed(datagram), Ok((Metric::Cpu, "30.00".to_owned(), host.to_owned())), "{datagram}");
        };
        check("cpu{value=30.00, host=Node_1}", "Node_1");
        check("cpu{value=30.00, host=Node_1} \r\n", "Node_1");
        check("cpu{value=30.00, host=a, b}", "a, b");
        check("cpu{value=30.00, host=a=b}", "a=b");
        check("cpu{value=30.00, host=a}b}", "a}b");
        check("cpu{value=30.00, host=}}", "}");
        check("cpu{value=30.00, host=x, host=y}", "x, host=y");
        check("cpu{value=30.00, host=ram{value=1.00, host=z}}", "ram{value=1.00, host=z}");
    }

    #[test]
    fn what_is_no_measurement_is_refused_by_its_kind() {
        let check = |datagram: &[u8], expected| assert_eq!(parsed(datagram), Err(expected), "{datagram:?}");
        let mut longest = b"cpu{value=30.00, host=Node_1}".to_vec();
        longest.resize(DATAGRAM_MAX_BYTES, b' ');
        assert!(parsed(&longest).is_ok());
        longest.push(b' ');
        check(&longest, Refusal::TooLong);
        check(&[b'x'; 65_507], Refusal::TooLong);
        check(b"cpu{value=30.00, host=\xff}", Refusal::NotUtf8);
        for datagram in ["", "}", "cpu", "cpu{}", "cpu{value=30.00}", "cpu{host=a, value=30.00}"] {
            check(datagram.as_bytes(), Refusal::Form);
        }
        for datagram in ["cpu{value=30.00, host=a", "cpu{value=30.00,host=a}", "cpu {value=30.00, host=a} b"] {
            check(datagram.as_bytes(), Refusal::Form);
        }
        for word in ["CPU", "Cpu", "gpu", "", " cpu", "cpu "] {
            check(format!("{word}{{value=30.00, host=a}}").as_bytes(), Refusal::Metric);
        }
        for value in ["NaN", "inf", "-inf", "", "30", "30.0", "30,00", "1e3", " 30.00"] {
            check(format!("cpu{{value={value}, host=a}}").as_bytes(), Refusal::Value);
        }
        check(b"cpu{value=-30.00, host=a}", Refusal::Negative);
        check(b"cpu{value=1000000000000.00, host=a}", Refusal::TooLarge);
        for host in ["", "...", "a\u{7}", " a", "a "] {
            check(format!("cpu{{value=30.00, host={host}}}").as_bytes(), Refusal::Host);
        }
    }

    #[test]
    fn every_refusal_has_the_word_that_its_counter_has() {
        for refusal in Refusal::ALL {
            assert_eq!(serde_json::to_value(refusal).expect("JSON"), refusal.word());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            metric in prop::sample::select(&Metric::ALL[..]),
            hundredths in 0..=99_999_999_999_999_u64,
            host in "[a-zA-Z0-9_ ,={}\\[\\].:é\u{4e2d}-]{1,60}",
        ) {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            prop_assume!(host.trim() == host && host != "...");
            let measurement = Measurement {
                metric,
                value: Value::parse(&text).expect("a value"),
                host: HostName::new(&host).expect("a name"),
            };
            prop_assert_eq!(Measurement::parse(measurement.to_string().as_bytes()), Ok(measurement));
        }
    }
}
