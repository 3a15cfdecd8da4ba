//! Real runs against simulated ones, measure by measure.

use super::{Course, RankSum, Sample, rank_sum};
use agent_core::mape::planner::Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

/// Samples that come from one distribution are taken for different ones this often.
pub const ALPHA: f64 = 0.05;

/// With fewer runs on a side hardly anything would be found to differ: the test says nothing then.
pub const LEAST_RUNS: usize = 8;

/// What runs are compared by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    ViolatedJobs,
    Actions,
    /// Scenario seconds from the first job's begin to convergence.
    Seconds,
}

impl Measure {
    pub const ALL: [Measure; 3] = [Measure::ViolatedJobs, Measure::Actions, Measure::Seconds];

    pub fn name(self) -> &'static str {
        match self {
            Measure::ViolatedJobs => "violated jobs",
            Measure::Actions => "actions",
            Measure::Seconds => "seconds",
        }
    }

    fn of(self, course: &Course) -> f64 {
        match self {
            Measure::ViolatedJobs => course.violated as f64,
            Measure::Actions => course.actions as f64,
            Measure::Seconds => course.seconds,
        }
    }
}

/// One measure on both sides.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Compared {
    pub measure: Measure,
    pub real: Side,
    pub simulated: Side,
    pub test: RankSum,
    /// The test finds no difference.
    pub agrees: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Side {
    #[serde(flatten)]
    pub sample: Sample,
    /// 95 % confidence interval of the mean.
    pub interval: (f64, f64),
}

/// All measures, and how many runs on each side converged within their limit.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    pub real: usize,
    pub real_converged: usize,
    pub simulated: usize,
    pub simulated_converged: usize,
    pub measures: Vec<Compared>,
}

impl Comparison {
    /// A run that did not converge counts up to its end. `None` with fewer than [`LEAST_RUNS`] on a side.
    pub fn of(real: &[Course], simulated: &[Course]) -> Option<Self> {
        let enough = real.len() >= LEAST_RUNS && simulated.len() >= LEAST_RUNS;
        let converged = |courses: &[Course]| courses.iter().filter(|course| course.converged).count();
        enough.then(|| Self {
            real: real.len(),
            real_converged: converged(real),
            simulated: simulated.len(),
            simulated_converged: converged(simulated),
            measures: Measure::ALL.into_iter().map(|measure| compared(measure, real, simulated)).collect(),
        })
    }

    pub fn agrees(&self) -> bool {
        self.measures.iter().all(|compared| compared.agrees)
    }
}

fn compared(measure: Measure, real: &[Course], simulated: &[Course]) -> Compared {
    let values = |courses: &[Course]| courses.iter().map(|course| measure.of(course)).collect::<Vec<f64>>();
    let (real, simulated) = (values(real), values(simulated));
    let test = rank_sum(&real, &simulated);
    Compared { measure, real: Side::of(&real), simulated: Side::of(&simulated), test, agrees: test.p >= ALPHA }
}

impl Side {
    fn of(values: &[f64]) -> Self {
        Self { sample: Sample::of(values.iter().copied()), interval: interval(values) }
    }
}

/// The middle 95 % of the means of samples drawn from the sample (bootstrap); always the same for the same values.
fn interval(values: &[f64]) -> (f64, f64) {
    const DRAWN: usize = 2000;
    let mut rng = Rng::seed_from_u64(0);
    let n = values.len().max(1);
    let mut mean = || (0..values.len()).map(|_| values[rng.random_range(0..n)]).sum::<f64>() / n as f64;
    let mut means: Vec<f64> = (0..DRAWN).map(|_| mean()).collect();
    means.sort_by(f64::total_cmp);
    (means[DRAWN / 40], means[DRAWN - 1 - DRAWN / 40])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courses(violated: impl IntoIterator<Item = u64>) -> Vec<Course> {
        let course = |violated| Course { converged: true, jobs: 50, violated, actions: 4, seconds: 300.0 };
        violated.into_iter().map(course).collect()
    }

    #[test]
    fn what_differs_is_found_and_named() {
        let (few, many) = (courses((0..40).map(|n| n % 5)), courses((0..40).map(|n| 6 + n % 5)));
        assert!(Comparison::of(&few, &few).unwrap().agrees());
        let differing = Comparison::of(&few, &many).unwrap();
        let found: Vec<_> = differing.measures.iter().map(|one| (one.measure.name(), one.agrees)).collect();
        assert_eq!(found, [("violated jobs", false), ("actions", true), ("seconds", true)]);
        assert!(!differing.agrees());
        let side = differing.measures[0].real;
        assert_eq!((side.sample.mean, side.sample.median), (2.0, 2.0));
        // The standard error of the mean is 0.226.
        let (low, high) = side.interval;
        assert!((1.45..1.65).contains(&low) && (2.35..2.55).contains(&high), "{side:?}");
    }

    #[test]
    fn a_handful_of_runs_says_nothing() {
        assert_eq!(Comparison::of(&courses(0..7), &courses(0..100)), None);
    }
}
