//! How a run went on: what happened in each of many equal parts of it.

use super::outcomes;
use super::records::between;
use super::times::Times;
use crate::results::{TraceExtent, TraceRow};
use std::collections::BTreeMap;

/// As many parts as a picture shows apart.
const PARTS: u64 = 120;
/// In the mean there are at least so many requests in a part: of fewer the 95th percentile is the largest time, and a rate is
/// mostly chance.
const REQUESTS: u64 = 20;

/// From when the first request was meant to start until the last one ended.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Course {
    /// How long each part is.
    pub part_s: f64,
    pub parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Part {
    /// Requests that were meant to start in it.
    pub intended: u64,
    /// Answers below 400 that came in it.
    pub answered: u64,
    /// Requests that ended in it otherwise, by how.
    pub errors: BTreeMap<String, u64>,
    /// Of those that were meant to start in it, whenever they ended. `None`: there are none.
    pub response_ms: Option<Times>,
}

impl Course {
    /// When a part begins \[seconds since the first request was meant to start\].
    pub fn begins_s(&self, part: usize) -> f64 {
        part as f64 * self.part_s
    }

    /// The moment that a part is drawn at.
    pub fn middle_s(&self, part: usize) -> f64 {
        self.begins_s(part) + self.part_s / 2.0
    }

    /// How often something happened in a second of a part.
    pub fn rate(&self, count: u64) -> f64 {
        count as f64 / self.part_s
    }

    /// In which ways requests ended that were not answered below 400.
    pub fn kinds(&self) -> Vec<&str> {
        outcomes::in_order(self.parts.iter().flat_map(|part| part.errors.keys().map(String::as_str)))
    }
}

/// Makes a course from traces, in whatever order.
#[derive(Debug)]
pub struct CourseInMaking {
    extent: TraceExtent,
    parts: Vec<Part>,
    /// Of each part, in microseconds.
    times_us: Vec<Vec<u64>>,
}

impl CourseInMaking {
    pub fn new(extent: TraceExtent) -> Self {
        // 120 at most.
        let parts = (extent.requests / REQUESTS).clamp(1, PARTS) as usize;
        Self { extent, parts: vec![Part::default(); parts], times_us: vec![Vec::new(); parts] }
    }

    pub fn hear(&mut self, trace: &TraceRow) {
        if let Some(part) = self.part(trace.intended_us) {
            self.parts[part].intended += 1;
            if outcomes::has_response_time(&trace.outcome) {
                self.times_us[part].push(between(trace.intended_us, trace.done_us));
            }
        }
        let Some(part) = self.part(trace.done_us) else { return };
        match trace.outcome == outcomes::ANSWERED {
            true => self.parts[part].answered += 1,
            false => *self.parts[part].errors.entry(trace.outcome.clone()).or_default() += 1,
        }
    }

    pub fn course(self) -> Course {
        let part_s = self.length_us() as f64 / self.parts.len() as f64 / 1e6;
        let timed = |(part, times): (Part, Vec<u64>)| Part { response_ms: Times::of(times), ..part };
        Course { part_s, parts: self.parts.into_iter().zip(self.times_us).map(timed).collect() }
    }

    /// At least a microsecond, so that there is a rate.
    fn length_us(&self) -> u64 {
        between(self.extent.first_us, self.extent.last_us).max(1)
    }

    /// `None` of a moment beyond the run's ends.
    fn part(&self, at_us: i64) -> Option<usize> {
        let is_within = (self.extent.first_us..=self.extent.last_us).contains(&at_us);
        let offset = u128::from(between(self.extent.first_us, at_us));
        // At most the number of parts; the last moment belongs to the last one.
        let part = (offset * self.parts.len() as u128 / u128::from(self.length_us())) as usize;
        is_within.then(|| part.min(self.parts.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::trace;
    use super::*;

    fn course(requests: u64, (first_ms, last_ms): (i64, i64), traces: &[TraceRow]) -> Course {
        let extent = TraceExtent { requests, first_us: first_ms * 1_000, last_us: last_ms * 1_000 };
        let mut course = CourseInMaking::new(extent);
        traces.iter().for_each(|trace| course.hear(trace));
        course.course()
    }

    #[test]
    fn there_are_many_parts_of_many_requests_and_at_least_one() {
        let parts = |requests| course(requests, (0, 1_000), &[]).parts.len();
        assert_eq!([1, 19, 39, 40, 2_399, 2_400, 1_000_000].map(parts), [1, 1, 1, 2, 119, 120, 120]);
        assert_eq!(course(1, (5, 5), &[trace(5, 0, "dropped")]).parts[0].intended, 1);
    }

    #[test]
    fn requests_count_where_they_were_meant_and_what_became_of_them_where_they_ended() {
        // Four parts of half a second.
        let traces = [
            trace(1_000, 100, "answered"),
            trace(1_200, 900, "answered"),
            trace(1_499, 20, "timed_out"),
            trace(1_500, 1, "refused"),
            trace(2_900, 100, "client_error"),
        ];
        let course = course(80, (1_000, 3_000), &traces);
        let counts: Vec<(u64, u64)> = course.parts.iter().map(|part| (part.intended, part.answered)).collect();
        assert_eq!(counts, [(3, 1), (1, 0), (0, 1), (1, 0)]);
        let errors =
            |part: &Part| part.errors.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>();
        let errors: Vec<String> = course.parts.iter().map(|part| errors(part).join(", ")).collect();
        assert_eq!(errors, ["", "refused 1, timed_out 1", "", "client_error 1"]);
        let times = |part: &Part| part.response_ms.map(|times| (times.p50, times.p95, times.p99));
        let times: Vec<_> = course.parts.iter().map(times).collect();
        assert_eq!(times, [Some((100.0, 900.0, 900.0)), None, None, Some((100.0, 100.0, 100.0))]);
        assert_eq!(course.kinds(), ["client_error", "refused", "timed_out"]);
        assert_eq!((course.rate(course.parts[0].intended), course.begins_s(2), course.middle_s(1)), (6.0, 1.0, 0.75));
    }

    #[test]
    fn what_lies_beyond_the_ends_is_left_out() {
        let course = course(40, (1_000, 2_000), &[trace(900, 200, "answered"), trace(1_900, 200, "answered")]);
        let counts: Vec<(u64, u64)> = course.parts.iter().map(|part| (part.intended, part.answered)).collect();
        assert_eq!(counts, [(0, 1), (1, 0)]);
    }
}
