//! What an aggregator knows, for those that do not speak UDSMP.

use crate::host_name::HostName;
use crate::mdsmp::{Metric, Refusal};
use crate::value::Value;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// All that an aggregator knows at a moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct View {
    /// By name.
    pub emitters: Vec<EmitterView>,
    pub counts: Counts,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct EmitterView {
    pub host: HostName,
    /// Of each metric that it sends at least one value and at most [`HISTORY_MAX`](crate::HISTORY_MAX), the newest first.
    pub metrics: BTreeMap<Metric, Vec<Measured>>,
}

/// A value and when it arrived. An emitter's clock is not asked.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Measured {
    pub value: Value,
    /// Milliseconds since 1970, by the aggregator's clock.
    pub at_unix_ms: u64,
    #[serde(skip)]
    pub age: Duration,
}

/// Since the aggregator began.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    /// Measurements that were taken in.
    pub accepted: u64,
    /// Datagrams that were none, by kind.
    pub refused: BTreeMap<Refusal, u64>,
    /// Requests of readers.
    pub answered: u64,
    /// Datagrams at the server's port that were none.
    pub misunderstood: u64,
    /// Emitters that were forgotten because they were silent.
    pub expired: u64,
}

impl Measured {
    /// What arrived `age` before `wall`.
    pub(crate) fn new(value: Value, age: Duration, wall: SystemTime) -> Self {
        let since_1970 = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_unix_ms = u64::try_from(since_1970.saturating_sub(age).as_millis()).unwrap_or(u64::MAX);
        Self { value, at_unix_ms, age }
    }
}

impl View {
    pub fn emitter(&self, host: &str) -> Option<&EmitterView> {
        self.emitters.iter().find(|emitter| emitter.host.as_str() == host)
    }

    /// With the newest value of each metric only: 10,000 emitters' histories are a page of 15 MB.
    #[must_use]
    pub fn newest(mut self) -> Self {
        for series in self.emitters.iter_mut().flat_map(|emitter| emitter.metrics.values_mut()) {
            series.truncate(1);
        }
        self
    }
}

impl EmitterView {
    /// The newest value of each metric as a label: `mdsmp.cpu` is `30.00`.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let newest = self.metrics.iter().filter_map(|(metric, series)| Some((metric, series.first()?.value)));
        newest.map(|(metric, value)| (format!("mdsmp.{metric}"), value.to_string())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregator::{Aggregator, Policy};
    use serde_json::json;

    fn view() -> View {
        let mut aggregator = Aggregator::new(Policy::default());
        for (second, datagram) in [
            (0, "cpu{value=30.00, host=Node_1}"),
            (2, "cpu{value=31.50, host=Node_1}"),
            (3, "ram{value=10000.00, host=Node_1}"),
            (3, "ram{value=1, host=Node_1}"),
        ] {
            let _counted = aggregator.take_in(datagram.as_bytes(), Duration::from_secs(second));
        }
        aggregator.view(Duration::from_secs(4), SystemTime::UNIX_EPOCH + Duration::from_secs(100))
    }

    #[test]
    fn json_has_values_with_their_time_and_counts() {
        let counts =
            json!({ "accepted": 3, "refused": { "value": 1 }, "answered": 0, "misunderstood": 0, "expired": 0 });
        let ram = json!([{ "value": 10000.0, "at_unix_ms": 99_000 }]);
        let cpu = json!([{ "value": 31.5, "at_unix_ms": 98_000 }, { "value": 30.0, "at_unix_ms": 96_000 }]);
        let expected =
            json!({ "emitters": [{ "host": "Node_1", "metrics": { "cpu": cpu, "ram": ram } }], "counts": counts });
        assert_eq!(serde_json::to_value(view()).expect("JSON"), expected);
        let newest = view().newest();
        assert_eq!(newest.emitters[0].metrics[&Metric::Cpu].len(), 1);
        assert_eq!(newest.emitters[0].metrics[&Metric::Cpu][0].value.number(), 31.5);
    }

    #[test]
    fn labels_are_the_newest_values() {
        let labels = view().emitter("Node_1").expect("known").labels();
        let expected = [("mdsmp.cpu", "31.50"), ("mdsmp.ram", "10000.00")];
        assert_eq!(labels, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(view().emitter("Node_2"), None);
    }
}
