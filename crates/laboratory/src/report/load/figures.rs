//! What a run came to, as it said itself at its end.

use super::times::Times;
use crate::results::LoadRun;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Of a whole run. Lengths are in seconds, rates in requests per second.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Figures {
    #[serde(flatten)]
    pub counted: Counted,
    /// From the start until the last request was meant to start.
    pub planned_s: f64,
    /// From the start until the last request ended.
    pub lasted_s: f64,
    /// Requests meant to start, over `planned_s`; 0 when all were meant to start at once.
    pub rate_intended: f64,
    /// Answers below 400, over `lasted_s`.
    pub rate_achieved: f64,
    /// From when a request was meant to start; of answers and of what was given up. `None`: there are none.
    pub response_ms: Option<Times>,
    /// The same from when it was sent.
    pub service_ms: Option<Times>,
    pub services: Vec<ServiceFigures>,
}

/// Requests, by what they came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Counted {
    pub intended: u64,
    pub sent: u64,
    /// Answers, of any status.
    pub done: u64,
    /// Sent later after their time than they should; `None`: nobody counted them.
    pub late: Option<u64>,
    /// Never sent, because too many were in flight.
    pub dropped: u64,
    /// All that are not answers below 400, by how they ended.
    pub errors: BTreeMap<String, u64>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct ServiceFigures {
    pub service: String,
    #[serde(flatten)]
    pub counted: Counted,
    pub response_ms: Option<Times>,
    pub service_ms: Option<Times>,
    pub hosts: Vec<HostFigures>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct HostFigures {
    pub host: String,
    #[serde(flatten)]
    pub counted: Counted,
    pub response_ms: Option<Times>,
    pub service_ms: Option<Times>,
}

impl Figures {
    /// As they are stored with the run; `None` while there are none.
    ///
    /// # Errors
    /// Another version wrote them, and they lack something.
    pub fn told(run: &LoadRun) -> Option<Result<Self, serde_json::Error>> {
        run.figures.as_ref().map(|figures| Self::deserialize(&figures.0))
    }
}

impl Counted {
    /// Answers below 400.
    pub fn answered(&self) -> u64 {
        self.intended.saturating_sub(self.failed())
    }

    /// All others.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Whether requests were meant to start that did not, or not in time.
    pub fn falls_short(&self) -> bool {
        self.dropped > 0 || self.late.is_some_and(|late| late > 0)
    }

    pub fn merge(&mut self, other: &Self) {
        self.intended += other.intended;
        self.sent += other.sent;
        self.done += other.done;
        self.late = self.late.zip(other.late).map(|(late, more)| late + more);
        self.dropped += other.dropped;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::results::Json;
    use serde_json::{Value, json};

    /// Of four requests in two seconds: two answers, one of them late, one timed out and one dropped.
    pub fn told() -> Value {
        let times = json!({
            "count": 3, "mean": 40.0, "p50": 10.0, "p75": 100.0, "p90": 100.0, "p95": 100.0, "p99": 100.0,
            "p99_9": 100.0, "p99_99": 100.0, "max": 100.5, "clamped": 0,
        });
        let counted = json!({
            "intended": 4, "sent": 3, "done": 2, "late": 1, "dropped": 1, "errors": { "dropped": 1, "timed_out": 1 },
            "response_ms": times, "service_ms": times,
        });
        let with = |more: Value| {
            let parts = [counted.clone(), more].map(|part| part.as_object().unwrap().clone());
            Value::Object(parts.into_iter().flatten().collect())
        };
        let host = with(json!({ "host": "a:1" }));
        let service = with(json!({ "service": "shop", "hosts": [host], "ticks": [] }));
        with(json!({
            "planned_s": 2.0, "lasted_s": 2.5, "rate_intended": 2.0, "rate_achieved": 0.8, "traces_missed": 0,
            "services": [service],
        }))
    }

    fn run(figures: Value) -> LoadRun {
        LoadRun { figures: Some(Json(figures)), ..LoadRun::default() }
    }

    #[test]
    fn what_a_run_said_of_itself_is_read() {
        let figures = Figures::told(&run(told())).unwrap().unwrap();
        let errors = BTreeMap::from([("dropped".to_owned(), 1), ("timed_out".to_owned(), 1)]);
        let counted = Counted { intended: 4, sent: 3, done: 2, late: Some(1), dropped: 1, errors };
        assert_eq!((figures.counted.answered(), figures.counted.failed(), counted.falls_short()), (2, 2, true));
        assert_eq!((&figures.counted, &figures.services[0].hosts[0].counted), (&counted, &counted));
        assert_eq!(figures.services[0].hosts[0].response_ms.unwrap().max, 100.5);
        assert!(Figures::told(&LoadRun::default()).is_none());
    }

    #[test]
    fn figures_that_lack_something_are_refused() {
        let mut told = told();
        told.as_object_mut().unwrap().remove("lasted_s");
        let problem = Figures::told(&run(told)).unwrap().unwrap_err();
        assert_eq!(problem.to_string(), "missing field `lasted_s`");
    }

    #[test]
    fn late_ones_are_unknown_as_soon_as_some_are() {
        let counted = |late| Counted { late, intended: 1, ..Counted::default() };
        let mut sum = counted(Some(1));
        sum.merge(&counted(Some(2)));
        assert_eq!((sum.intended, sum.late), (2, Some(3)));
        sum.merge(&counted(None));
        assert_eq!((sum.late, sum.falls_short()), (None, false));
    }
}
