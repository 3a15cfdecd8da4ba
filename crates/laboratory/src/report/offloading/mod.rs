//! A page about users whom servers take until they are busy: how many failures a threshold bears, and at what latency.

mod figures;
mod finding;
mod page;
pub mod tables;

pub use finding::{Finding, findings, sentences};
pub use page::page;

use crate::report::statistics::{Bootstrap, Estimate};
use crate::results::Head;
pub use crate::results::OffloadingRun;

/// What was run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Offloading {
    pub head: Head,
    pub runs: Vec<OffloadingRun>,
}

/// Runs that differ in their seeds alone.
#[derive(Clone, PartialEq, Debug)]
pub struct Point<'a> {
    /// Share of a server's CPU, 0 to 1.
    pub cpu_threshold: f64,
    /// Share of the servers, 0 to 1.
    pub failures: f64,
    /// In the order of their seeds; at least one.
    pub runs: Vec<&'a OffloadingRun>,
}

/// In the order of thresholds, then of failures.
pub fn points(runs: &[OffloadingRun]) -> Vec<Point<'_>> {
    let mut runs: Vec<&OffloadingRun> = runs.iter().collect();
    runs.sort_by(|a, b| {
        let place = a.cpu_threshold.total_cmp(&b.cpu_threshold).then(a.failures.total_cmp(&b.failures));
        place.then(a.seed.cmp(&b.seed))
    });
    let same = |one: &&OffloadingRun, next: &&OffloadingRun| {
        (one.cpu_threshold, one.failures) == (next.cpu_threshold, next.failures)
    };
    let point = |runs: &[&'_ OffloadingRun]| runs.first().map(|first| (first.cpu_threshold, first.failures));
    runs.chunk_by(same)
        .filter_map(|runs| {
            point(runs).map(|(cpu_threshold, failures)| Point { cpu_threshold, failures, runs: runs.to_vec() })
        })
        .collect()
}

/// The points of each threshold.
fn by_threshold<'a, 'b>(points: &'b [Point<'a>]) -> impl Iterator<Item = &'b [Point<'a>]> {
    points.chunk_by(|one, next| one.cpu_threshold == next.cpu_threshold)
}

impl Point<'_> {
    /// Everybody, in every run.
    pub fn serves_all(&self) -> bool {
        self.runs.iter().all(|run| run.served_share >= 1.0)
    }

    /// Of a quantity, of the runs that have it.
    pub fn values(&self, of: impl Fn(&OffloadingRun) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().filter_map(|run| of(run)).collect()
    }

    /// The mean of a quantity.
    pub fn mean(&self, bootstrap: &mut Bootstrap, of: impl Fn(&OffloadingRun) -> Option<f64>) -> Option<Estimate> {
        bootstrap.mean(&self.values(of))
    }
}

/// Share of the users.
pub fn served(run: &OffloadingRun) -> Option<f64> {
    Some(run.served_share)
}

/// Of those who were served \[ms\].
pub fn latency(run: &OffloadingRun) -> Option<f64> {
    run.mean_latency_ms
}

/// Servers, for each user.
pub fn passed_over(run: &OffloadingRun) -> Option<f64> {
    (run.users > 0).then(|| run.violations as f64 / f64::from(run.users))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Three seeds of each: of 10 servers with room for 10 users each, as many take 50 users as have not failed. The lower the
    /// threshold and the more fail, the farther away.
    pub fn runs(cpu_thresholds: &[f64], failures: &[f64]) -> Vec<OffloadingRun> {
        let mut runs = Vec::new();
        for seed in 1..=3_u32 {
            for cpu_threshold in cpu_thresholds {
                runs.extend(failures.iter().map(|failures| run(*cpu_threshold, *failures, seed)));
            }
        }
        (1..).zip(&mut runs).for_each(|(id, run)| run.id = id);
        runs
    }

    fn run(cpu_threshold: f64, failures: f64, seed: u32) -> OffloadingRun {
        let room = 100.0 * cpu_threshold * (1.0 - failures);
        let spread = f64::from(seed) / 10.0;
        OffloadingRun {
            users: 50,
            servers: 10,
            side_km: 20.0,
            ms_per_km: 0.5,
            users_per_server: 10,
            cpu_threshold,
            failures,
            seed: u64::from(seed),
            served_share: (room / 50.0).min(1.0),
            mean_latency_ms: (room > 0.0).then_some(2.0 - cpu_threshold + failures + spread),
            violations: (100.0 * (1.0 - cpu_threshold + failures)).round() as u64,
            ..OffloadingRun::default()
        }
    }

    #[test]
    fn runs_are_grouped_by_what_they_are_of() {
        let runs = runs(&[1.0, 0.5], &[0.25, 0.0]);
        let points = points(&runs);
        let places: Vec<(f64, f64)> = points.iter().map(|point| (point.cpu_threshold, point.failures)).collect();
        assert_eq!(places, [(0.5, 0.0), (0.5, 0.25), (1.0, 0.0), (1.0, 0.25)]);
        let seeds: Vec<u64> = points[0].runs.iter().map(|run| run.seed).collect();
        assert_eq!(seeds, [1, 2, 3]);
        assert_eq!(points.iter().map(Point::serves_all).collect::<Vec<_>>(), [true, false, true, true]);
        assert_eq!(points[1].values(passed_over), [1.5; 3]);
        assert_eq!(by_threshold(&points).map(<[_]>::len).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn a_quantity_that_there_is_not_is_left_out() {
        let runs = runs(&[0.5], &[1.0]);
        let points = points(&runs);
        assert_eq!((points[0].values(served), points[0].values(latency)), (vec![0.0; 3], Vec::new()));
        assert_eq!(passed_over(&OffloadingRun::default()), None);
    }
}
