//! The metrics, their units and directions, and a value for each.

use super::time::LONGEST;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::{fmt, str::FromStr};

/// A quality of service that goals speak of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Metric {
    /// From the job's start to its result \[s\].
    ResponseTime,
    /// The part of it spent on reading and computing \[s\].
    ExecutionTime,
    /// Records read for each second of execution \[records/s\]; of a service requests answered in each second of a window
    /// \[requests/s\].
    Throughput,
    /// Of the link to the node that is read \[ms\].
    NetworkLatency,
    /// Declared availability of the node that is read \[%\].
    Availability,
    /// 1 with one replica, less with each further one \[0..1\].
    DataConsistency,
    /// Of what is read: how old the first version is that it lacks, 0 for the newest \[s\]. Measured where a goal speaks of it.
    Staleness,
    /// Of the requests to a service in a window, what 95 of 100 did not exceed \[s\]. Their mean is the response time.
    ResponseTimeP95,
    /// What 99 of 100 did not exceed \[s\].
    ResponseTimeP99,
    /// Requests to a service in a window that were not answered, or not to the end \[%\].
    ErrorRate,
}

/// Which way a metric gets better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    Lower,
    Higher,
}

impl Metric {
    pub const ALL: [Metric; 10] = [
        Metric::ResponseTime,
        Metric::ExecutionTime,
        Metric::Throughput,
        Metric::NetworkLatency,
        Metric::Availability,
        Metric::DataConsistency,
        Metric::Staleness,
        Metric::ResponseTimeP95,
        Metric::ResponseTimeP99,
        Metric::ErrorRate,
    ];

    /// As goals and tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::ResponseTime => "response_time",
            Metric::ExecutionTime => "execution_time",
            Metric::Throughput => "throughput",
            Metric::NetworkLatency => "network_latency",
            Metric::Availability => "availability",
            Metric::DataConsistency => "data_consistency",
            Metric::Staleness => "staleness",
            Metric::ResponseTimeP95 => "response_time_p95",
            Metric::ResponseTimeP99 => "response_time_p99",
            Metric::ErrorRate => "error_rate",
        }
    }

    /// The unit that values are kept in; empty for a ratio.
    pub fn unit(self) -> &'static str {
        match self {
            Metric::ResponseTime
            | Metric::ExecutionTime
            | Metric::Staleness
            | Metric::ResponseTimeP95
            | Metric::ResponseTimeP99 => "s",
            Metric::Throughput => "records/s",
            Metric::NetworkLatency => "ms",
            Metric::Availability | Metric::ErrorRate => "%",
            Metric::DataConsistency => "",
        }
    }

    /// What can be measured, wherever it is read from.
    pub fn measurable(self) -> RangeInclusive<f64> {
        match self {
            Metric::ResponseTime
            | Metric::ExecutionTime
            | Metric::Staleness
            | Metric::ResponseTimeP95
            | Metric::ResponseTimeP99 => 0.0..=LONGEST.as_secs_f64(),
            Metric::Throughput => 0.0..=f64::MAX,
            Metric::NetworkLatency => 0.0..=LONGEST.as_secs_f64() * 1e3,
            Metric::Availability | Metric::ErrorRate => 0.0..=100.0,
            Metric::DataConsistency => 0.0..=1.0,
        }
    }

    pub fn better(self) -> Better {
        match self {
            Metric::ResponseTime
            | Metric::ExecutionTime
            | Metric::NetworkLatency
            | Metric::Staleness
            | Metric::ResponseTimeP95
            | Metric::ResponseTimeP99
            | Metric::ErrorRate => Better::Lower,
            Metric::Throughput | Metric::Availability | Metric::DataConsistency => Better::Higher,
        }
    }

    /// Whether only the requests to a service show it.
    pub fn is_of_requests(self) -> bool {
        matches!(self, Metric::ResponseTimeP95 | Metric::ResponseTimeP99 | Metric::ErrorRate)
    }

    /// Whether it is looked at only where a goal speaks of it.
    pub fn is_on_demand(self) -> bool {
        self == Metric::Staleness || self.is_of_requests()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn bit(self) -> u64 {
        1 << self.index()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no metric.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown metric `{0}`")]
pub struct UnknownMetric(pub String);

impl FromStr for Metric {
    type Err = UnknownMetric;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Metric::ALL.into_iter().find(|metric| metric.name() == text).ok_or_else(|| UnknownMetric(text.to_owned()))
    }
}

/// A value for some of the metrics, in the metric's own unit. What was not measured is absent, never zero.
#[derive(Clone, Copy, PartialEq, Default)]
pub struct Metrics {
    /// A bit for each metric that has a value; as wide as a value, so that copies are of whole words.
    known: u64,
    /// 0 where there is none, so that equal metrics are equal in every bit. (As many `Option`s would take almost twice the room,
    /// and a decision copies thousands of these.)
    values: [f64; 10],
}

impl Metrics {
    #[inline]
    pub fn get(&self, metric: Metric) -> Option<f64> {
        (self.known & metric.bit() != 0).then(|| self.values[metric.index()])
    }

    #[inline]
    pub fn set(&mut self, metric: Metric, value: f64) {
        self.known |= metric.bit();
        self.values[metric.index()] = value;
    }

    /// With `metric` set to `value`.
    #[must_use]
    pub fn with(mut self, metric: Metric, value: f64) -> Self {
        self.set(metric, value);
        self
    }

    /// Whether there is a value for each metric that `others` have one for.
    pub fn know_all_of(&self, others: &Metrics) -> bool {
        self.known & others.known == others.known
    }

    /// The values there are, in the order of [`Metric::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        Metric::ALL.into_iter().filter_map(|metric| Some((metric, self.get(metric)?)))
    }
}

impl FromIterator<(Metric, f64)> for Metrics {
    fn from_iter<I: IntoIterator<Item = (Metric, f64)>>(values: I) -> Self {
        values.into_iter().fold(Self::default(), |all, (metric, value)| all.with(metric, value))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(metric, value)| (metric.name(), value))).finish()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(metric, value)| (metric.name(), value)))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<String, f64>::deserialize(deserializer)?
            .into_iter()
            .map(|(name, value)| Ok((name.parse().map_err(D::Error::custom)?, value)))
            .collect()
    }
}
