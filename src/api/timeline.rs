//! How the jobs of a network went over time, counted once: for a line that shows years as well as minutes.

use crate::knowledge::Knowledge;
use agent_core::domain::time::Timestamp;
use std::collections::BTreeMap;

/// With more buckets than this, each becomes twice as wide.
const BUCKETS: usize = 2000;
/// How wide they are at first \[ms of the scenario\].
const WIDTH_MS: i64 = 1000;

/// What jobs came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Came {
    pub met: u64,
    /// Their goal, or failed.
    pub missed: u64,
}

#[derive(Debug)]
pub struct Timeline {
    seen: i64,
    width_ms: i64,
    /// By the number of widths since the epoch.
    buckets: BTreeMap<i64, Came>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { seen: 0, width_ms: WIDTH_MS, buckets: BTreeMap::new() }
    }
}

impl Timeline {
    /// Counts what was measured since it was last asked.
    pub async fn update(&mut self, knowledge: &dyn Knowledge) -> crate::knowledge::Result<()> {
        const PAGE: usize = 1000;
        loop {
            let page = knowledge.measurements(self.seen, PAGE).await?;
            for recorded in &page {
                self.seen = recorded.id;
                self.count(recorded.measurement.at, recorded.satisfied && recorded.measurement.failure.is_none());
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    fn count(&mut self, at: Timestamp, met: bool) {
        let bucket = self.buckets.entry(at.0.div_euclid(self.width_ms)).or_default();
        if met {
            bucket.met += 1
        } else {
            bucket.missed += 1
        }
        while self.buckets.len() > BUCKETS {
            self.width_ms = self.width_ms.saturating_mul(2);
            for (number, came) in std::mem::take(&mut self.buckets) {
                let wider = self.buckets.entry(number.div_euclid(2)).or_default();
                (wider.met, wider.missed) = (wider.met + came.met, wider.missed + came.missed);
            }
        }
    }

    /// From the first job to `now`, in so many parts; `None` before the first job.
    pub fn parts(&self, now: Timestamp, parts: usize) -> Option<(Timestamp, Timestamp, Vec<Came>)> {
        let first = self.buckets.keys().next()?.saturating_mul(self.width_ms);
        let last = self.buckets.keys().last()?.saturating_add(1).saturating_mul(self.width_ms);
        let end = now.0.max(last).max(first + 1);
        let mut counted = vec![Came::default(); parts];
        for (number, came) in &self.buckets {
            let share = (number.saturating_mul(self.width_ms) - first) as f64 / (end - first) as f64;
            let at = ((share * parts as f64) as usize).min(parts.saturating_sub(1));
            if let Some(part) = counted.get_mut(at) {
                (part.met, part.missed) = (part.met + came.met, part.missed + came.missed);
            }
        }
        Some((Timestamp(first), Timestamp(end), counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_counted_once_however_long_it_takes() {
        let mut timeline = Timeline::default();
        let jobs = 10_000;
        for job in 0..jobs {
            timeline.count(Timestamp(job * 60_000), job % 10 != 0);
        }
        assert!(timeline.buckets.len() <= BUCKETS);
        let (from, to, parts) = timeline.parts(Timestamp(0), 100).unwrap();
        assert_eq!(from, Timestamp(0));
        assert!(to >= Timestamp((jobs - 1) * 60_000));
        let sum = |of: fn(&Came) -> u64| parts.iter().map(of).sum::<u64>();
        assert_eq!((sum(|came| came.met), sum(|came| came.missed)), (9000, 1000));
        assert!(parts.iter().all(|came| came.met > came.missed && came.missed > 0), "{parts:?}");
        assert!(Timeline::default().parts(Timestamp(0), 100).is_none());
    }
}
