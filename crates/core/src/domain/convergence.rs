//! When a network has come to rest: wherever it runs, and whoever asks.

use super::time::Timestamp;

/// How many jobs in a row must meet the goal, without an action, for an agent to be content.
pub const CONVERGED_JOBS: usize = 3;

/// The latest jobs of one agent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RecentJobs {
    /// When each began, and whether it met the goal; newest last.
    jobs: [Option<(Timestamp, bool)>; CONVERGED_JOBS],
}

impl RecentJobs {
    pub fn add(&mut self, began: Timestamp, satisfied: bool) {
        self.jobs.rotate_left(1);
        self.jobs[CONVERGED_JOBS - 1] = Some((began, satisfied));
    }

    /// The last jobs met the goal, and none of them began before the placement was last changed.
    pub fn are_content(&self, changed_at: Option<Timestamp>) -> bool {
        let counts = |(began, satisfied): &(Timestamp, bool)| *satisfied && changed_at.is_none_or(|at| *began >= at);
        self.jobs.iter().all(|job| job.as_ref().is_some_and(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(jobs: &[(i64, bool)], changed_at: Option<i64>, expected: bool) {
        let mut recent = RecentJobs::default();
        jobs.iter().for_each(|(began, satisfied)| recent.add(Timestamp(*began), *satisfied));
        assert_eq!(recent.are_content(changed_at.map(Timestamp)), expected, "{jobs:?}, changed at {changed_at:?}");
    }

    #[test]
    fn three_content_jobs_on_the_present_placement_are_needed() {
        check(&[(1, true), (2, true)], None, false);
        check(&[(1, true), (2, true), (3, true)], None, true);
        check(&[(1, true), (2, false), (3, true)], None, false);
        check(&[(1, false), (2, true), (3, true), (4, true)], None, true);
        check(&[(1, true), (2, true), (3, true)], Some(1), true);
        check(&[(1, true), (2, true), (3, true)], Some(2), false);
        check(&[(1, true), (2, true), (3, true), (4, true)], Some(2), true);
    }
}
