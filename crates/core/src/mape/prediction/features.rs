//! What a job's duration consists of, where its traffic was counted: a model that explains what a line over latency cannot.
//!
//! | feature | for one record \[s\] | its coefficient, if all is as it seems |
//! |---|---|---|
//! | constant | 1 | what starting and computing take |
//! | waiting | requests that waited for each other * latency | 1 |
//! | transport | bytes / rate | 1 |
//!
//! All coefficients are learned, from a prior that says so. Whether transport is worth having is a matter of evidence: the same
//! jobs are explained without it, too.

use super::posterior::{Posterior, Prior};
use super::{Estimate, Point};

/// Where their coefficients stand.
const WAITING: usize = 1;
const TRANSPORT: usize = 2;
/// Coefficients of what was measured are 1, give or take this.
const MEASURED: f64 = 0.5;
/// Jobs lie around what is expected by about this share of what the first one took, as far as is known before many were run; and
/// so many of them weigh as much as this opinion.
const NOISE: f64 = 0.05;
const NOISE_WEIGHT: f64 = 3.0;
/// These two have to be known so much better than before any job: otherwise latencies or rates never differed, or always went
/// with each other, and they are opinions.
const TOLD_APART: f64 = 0.5;

/// What a job asks of its link, for one record of the object.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// Requests that wait for each other.
    pub requests: f64,
    /// Standing still for bytes \[s\].
    pub transport: Estimate,
}

/// Where and how a job is to run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conditions {
    pub latency_ms: Estimate,
    /// Absent where no traffic was counted.
    pub load: Option<Load>,
}

/// One kind of duration, explained with and without transport.
#[derive(Clone, Debug)]
pub struct Features {
    /// What the first job took for one record \[s\]: everything is a share of it, so that one prior fits any job.
    unit: f64,
    with: Posterior<3>,
    without: Posterior<2>,
}

impl Features {
    /// Before any job counts; `seconds`: how long a job takes for one record, about. `None` where it takes no time.
    pub fn new(seconds: f64) -> Option<Self> {
        // The constant may be next to nothing, or all of it.
        let with =
            Prior { means: [0.0, 1.0, 1.0], deviations: [1.0, MEASURED, MEASURED], noise: NOISE, weight: NOISE_WEIGHT };
        let without = Prior { means: [0.0, 1.0], deviations: [1.0, MEASURED], noise: NOISE, weight: NOISE_WEIGHT };
        let (with, without) = (Posterior::new(with)?, Posterior::new(without)?);
        (seconds > 0.0).then_some(Self { unit: seconds, with, without })
    }

    /// One more job; nothing changes by one whose traffic was not counted.
    pub fn add(&mut self, point: Point) {
        let Some(([constant, waiting, transport], seconds)) = self.job(point) else { return };
        self.with.add([constant, waiting, transport], seconds);
        self.without.add([constant, waiting], seconds);
    }

    /// A job that was added before counts no more.
    pub fn remove(&mut self, point: Point) {
        let Some(([constant, waiting, transport], seconds)) = self.job(point) else { return };
        self.with.remove([constant, waiting, transport], seconds);
        self.without.remove([constant, waiting], seconds);
    }

    /// By how much more probable transport makes the jobs that were seen: the logarithm of the ratio.
    pub fn evidence(&self) -> f64 {
        self.with.evidence() - self.without.evidence()
    }

    /// Whether a line over latency is not enough: rates differed, not just as latencies do, and durations with them.
    pub fn are_worth_it(&self) -> bool {
        self.evidence() > 0.0 && [WAITING, TRANSPORT].iter().all(|feature| self.with.learned(*feature) > TOLD_APART)
    }

    /// What a job is expected to take for one record \[s\]; `None` where nothing is known of its traffic.
    pub fn at(&self, conditions: &Conditions) -> Option<Estimate> {
        Some(self.with.at(self.shares(conditions)?).scaled(self.unit))
    }

    fn job(&self, point: Point) -> Option<([f64; 3], f64)> {
        Some((self.shares(&point.conditions())?.map(|share| share.mean), point.seconds / self.unit))
    }

    fn shares(&self, conditions: &Conditions) -> Option<[Estimate; 3]> {
        let Load { requests, transport } = conditions.load?;
        let waiting = conditions.latency_ms.scaled(requests * 1e-3);
        Some([Estimate::certain(1.0), waiting.scaled(1.0 / self.unit), transport.scaled(1.0 / self.unit)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of 4 requests in turn that computes for 2 s and stands still for so long, give or take 0.01 s.
    fn point(latency_ms: f64, transport: f64, noise: f64) -> Point {
        let load = Load { requests: 4.0, transport: Estimate::certain(transport) };
        let seconds = 2.0 + 4e-3 * latency_ms + transport + 0.01 * noise;
        Point { latency_ms, seconds, load: Some(load) }
    }

    /// Two jobs under each of these conditions: latency, transport.
    fn features(seen: &[(f64, f64)]) -> Features {
        let mut features = Features::new(2.0).unwrap();
        for (latency_ms, transport) in seen {
            features.add(point(*latency_ms, *transport, 1.0));
            features.add(point(*latency_ms, *transport, -1.0));
        }
        features
    }

    const DIFFERENT: [(f64, f64); 4] = [(0.0, 0.1), (500.0, 3.0), (1000.0, 0.5), (1500.0, 2.0)];

    #[test]
    fn what_a_job_stands_still_for_is_told_from_what_it_waits_for() {
        let features = features(&DIFFERENT);
        assert!(features.are_worth_it(), "{}", features.evidence());
        let found = features.at(&point(800.0, 5.0, 0.0).conditions()).unwrap();
        assert!((found.mean - 10.2).abs() < 0.05 && found.deviation < 0.2, "{found:?}");
    }

    #[test]
    fn rates_that_go_with_latencies_explain_nothing_more() {
        let features = features(&[(0.0, 0.0), (500.0, 1.0), (1000.0, 2.0), (1500.0, 3.0)]);
        assert!(!features.are_worth_it(), "{}", features.evidence());
    }

    #[test]
    fn at_a_single_latency_nothing_is_known_of_waiting() {
        let features = features(&[(500.0, 0.1), (500.0, 3.0), (500.0, 0.5), (500.0, 2.0)]);
        assert!(!features.are_worth_it(), "{}", features.evidence());
    }

    #[test]
    fn rates_that_never_differ_explain_nothing_more() {
        let features = features(&[(0.0, 0.5), (500.0, 0.5), (1000.0, 0.5), (1500.0, 0.5)]);
        assert!(!features.are_worth_it(), "{}", features.evidence());
    }

    #[test]
    fn what_makes_no_difference_is_not_believed() {
        let mut features = Features::new(2.0).unwrap();
        for (latency_ms, transport) in DIFFERENT {
            let Point { seconds, .. } = point(latency_ms, 0.0, 1.0);
            features.add(Point { seconds, ..point(latency_ms, transport, 0.0) });
        }
        assert!(features.evidence() < 0.0, "{}", features.evidence());
    }

    #[test]
    fn a_job_without_counted_traffic_changes_nothing() {
        let mut features = features(&DIFFERENT);
        let evidence = features.evidence();
        features.add(Point { load: None, ..point(0.0, 9.0, 0.0) });
        assert_eq!(features.evidence(), evidence);
        assert_eq!(features.at(&Conditions { latency_ms: Estimate::certain(1.0), load: None }), None);
    }

    #[test]
    fn jobs_that_take_no_time_have_no_features() {
        assert!(Features::new(0.0).is_none());
        assert!(Features::new(f64::NAN).is_none());
    }
}
