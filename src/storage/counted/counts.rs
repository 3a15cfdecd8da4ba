//! What is asked and what comes, added up over any number of requests, whoever sees them go by.

use agent_core::domain::traffic::Traffic;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all that see a part of the traffic.
#[derive(Clone, Default)]
pub(super) struct Counts(Arc<Mutex<Numbers>>);

#[derive(Default)]
struct Numbers {
    requests: u64,
    /// Of these, whose answers have not begun; and the most that these ever were.
    unanswered: u64,
    parallel: u64,
    bytes: u64,
    stalled: Stalled,
}

impl Counts {
    /// So far, of a job that read so many records; `None` where nothing was read.
    pub fn traffic(&self, records: u64) -> Option<Traffic> {
        let Numbers { requests, parallel, bytes, ref stalled, .. } = *self.numbers();
        let traffic = Traffic { requests, parallel, bytes, stalled_s: stalled.total().as_secs_f64(), records };
        traffic.makes_sense().then_some(traffic)
    }

    /// A request is asked; until what is returned is dropped it has no answer.
    pub fn asked(&self) -> Unanswered {
        let mut numbers = self.numbers();
        numbers.requests += 1;
        numbers.unanswered += 1;
        numbers.parallel = numbers.parallel.max(numbers.unanswered);
        Unanswered(self.clone())
    }

    /// Bytes of an answer.
    pub fn came(&self, bytes: usize) {
        self.numbers().bytes += bytes as u64;
    }

    /// Somebody stood still for bytes of an answer from then until now.
    pub fn stood_still(&self, since: Instant) {
        let mut numbers = self.numbers();
        // Looked at under the lock: intervals end in the order in which they are added.
        numbers.stalled.add(since, Instant::now());
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer has not begun.
pub(super) struct Unanswered(Counts);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.numbers().unanswered -= 1;
    }
}

/// Time that passed while somebody stood still, once however many did.
#[derive(Default)]
struct Stalled {
    /// Apart from each other, in their order: a later one may still reach back over them.
    recent: VecDeque<(Instant, Instant)>,
    /// Of those before, and where they end: what reaches back further counts from there.
    before: Duration,
    until: Option<Instant>,
}

impl Stalled {
    /// So many intervals are kept, whatever a job reads.
    const RECENT: usize = 1_000;

    /// Ends no earlier than those that were added before.
    fn add(&mut self, since: Instant, until: Instant) {
        let mut since = self.until.map_or(since, |counted| since.max(counted));
        while let Some((began, _)) = self.recent.pop_back_if(|(_, ended)| *ended >= since) {
            since = since.min(began);
        }
        self.recent.push_back((since, until.max(since)));
        if self.recent.len() > Self::RECENT
            && let Some((began, ended)) = self.recent.pop_front()
        {
            self.before += ended - began;
            self.until = Some(ended);
        }
    }

    fn total(&self) -> Duration {
        self.before + self.recent.iter().map(|(began, ended)| *ended - *began).sum::<Duration>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_at_the_same_time_is_parallel() {
        let counts = Counts::default();
        let (first, second) = (counts.asked(), counts.asked());
        drop(first);
        let third = counts.asked();
        drop((second, third));
        counts.came(10);
        let traffic = counts.traffic(5).unwrap();
        assert_eq!((traffic.requests, traffic.parallel, traffic.bytes, traffic.records), (3, 2, 10, 5));
        assert_eq!(counts.numbers().unanswered, 0);
        assert_eq!(counts.traffic(0), None);
    }

    /// What intervals come to, in seconds since the first moment.
    fn stalled(intervals: impl IntoIterator<Item = (u64, u64)>) -> u64 {
        let first = Instant::now();
        let mut stalled = Stalled::default();
        let at = |seconds| first + Duration::from_secs(seconds);
        intervals.into_iter().for_each(|(since, until)| stalled.add(at(since), at(until)));
        assert!(stalled.recent.len() <= Stalled::RECENT);
        stalled.total().as_secs()
    }

    #[test]
    fn time_counts_once_however_many_stood_still() {
        assert_eq!(stalled([]), 0);
        assert_eq!(stalled([(0, 2), (5, 6)]), 3);
        assert_eq!(stalled([(0, 4), (2, 6)]), 6);
        assert_eq!(stalled([(2, 3), (4, 5), (7, 8), (0, 10), (9, 11)]), 11);
        assert_eq!(stalled([(0, 4), (1, 4), (4, 4), (4, 5)]), 5);
    }

    #[test]
    fn what_was_long_ago_is_added_up() {
        let far_apart = |count: u64| (0..count).map(|index| (2 * index, 2 * index + 1));
        assert_eq!(stalled(far_apart(10_000)), 10_000);
        // One that lasted all the time covers what is kept; what is no longer kept is not counted twice.
        let all = stalled(far_apart(10_000).chain([(0, 20_000)]));
        assert_eq!(all, 9_000 + (20_000 - 17_999));
    }
}
