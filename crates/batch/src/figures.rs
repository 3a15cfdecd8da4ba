//! What waiting and running came to.

use crate::job::{Job, State};
use serde::{Serialize, Serializer};
use std::time::Duration;

/// Of one job. Durations are of the scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Times {
    /// From its submission until all its tasks ran.
    #[serde(rename = "waiting_s", serialize_with = "seconds")]
    pub waiting: Duration,
    /// From then until the last of them had ended.
    #[serde(rename = "execution_s", serialize_with = "seconds")]
    pub execution: Duration,
    #[serde(rename = "total_s", serialize_with = "seconds")]
    pub total: Duration,
}

impl Times {
    /// `None`: it never ran, or runs still.
    pub fn of(job: &Job) -> Option<Self> {
        let (started, ended) = (job.started_at?, job.ended_at?);
        Some(Self {
            waiting: started.since(job.submitted_at),
            execution: ended.since(started),
            total: ended.since(job.submitted_at),
        })
    }
}

/// The percentiles that are told of each kind of time.
pub const PERCENTILES: [u32; 4] = [50, 90, 95, 100];

/// Of many jobs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Figures {
    pub jobs: usize,
    pub done: usize,
    pub failed: usize,
    pub cancelled: usize,
    /// At [`PERCENTILES`], of those that ran; empty when none did.
    #[serde(rename = "waiting_s", serialize_with = "all_seconds")]
    pub waiting: Vec<Duration>,
    #[serde(rename = "execution_s", serialize_with = "all_seconds")]
    pub execution: Vec<Duration>,
    #[serde(rename = "total_s", serialize_with = "all_seconds")]
    pub total: Vec<Duration>,
}

impl Figures {
    pub fn of<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Self {
        let jobs: Vec<&Job> = jobs.into_iter().collect();
        let count = |state: State| jobs.iter().filter(|job| job.state == state).count();
        let times: Vec<Times> = jobs.iter().filter_map(|job| Times::of(job)).collect();
        let at = |time: fn(&Times) -> Duration| {
            let mut all: Vec<Duration> = times.iter().map(time).collect();
            all.sort_unstable();
            PERCENTILES.iter().filter_map(|percent| percentile(&all, *percent)).collect()
        };
        Self {
            jobs: jobs.len(),
            done: count(State::Done),
            failed: count(State::Failed),
            cancelled: count(State::Cancelled),
            waiting: at(|times| times.waiting),
            execution: at(|times| times.execution),
            total: at(|times| times.total),
        }
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_secs_f64().serialize(serializer)
}

fn all_seconds<S: Serializer>(times: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(times.iter().map(Duration::as_secs_f64))
}

/// The smallest value that so many percent of all are not above (the nearest rank); `sorted` is.
pub fn percentile(sorted: &[Duration], percent: u32) -> Option<Duration> {
    let rank = (sorted.len() * percent as usize).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let all: Vec<Duration> = (1..=20).map(Duration::from_secs).collect();
        let at: Vec<u64> = PERCENTILES.iter().map(|percent| percentile(&all, *percent).unwrap().as_secs()).collect();
        assert_eq!(at, [10, 18, 19, 20]);
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&all[..1], 1), Some(Duration::from_secs(1)));
    }
}
