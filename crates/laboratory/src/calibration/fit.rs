//! A job's time by the latency that it saw: the line of predictions, and how well it fits.

use super::Sample;
use agent_core::domain::ids::NodeId;
use agent_core::mape::prediction::{Estimate, Line};
use serde::Serialize;
use std::collections::BTreeMap;

/// `base + per_second_of_latency x latency`, with a normal deviation, as a scenario's physics has it; in seconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Fit {
    /// With its standard error.
    pub base: Estimate,
    /// Seconds for each second of latency, with its standard error.
    pub per_second_of_latency: Estimate,
    /// Whether the latencies told the slope; otherwise it was taken from elsewhere.
    pub slope_is_measured: bool,
    /// Standard deviation of the jobs around the line.
    pub deviation: f64,
    /// Jobs.
    pub n: usize,
    /// Share of the variance that the line explains; absent where nothing varies.
    pub r2: Option<f64>,
    /// The residual farthest from 0.
    pub largest_residual: f64,
    /// How far each node's jobs lie off the line.
    pub bias: BTreeMap<NodeId, Bias>,
}

/// The residuals of one node's jobs \[s\].
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Bias {
    pub n: usize,
    pub mean: f64,
    /// Standard error of the mean.
    pub error: f64,
}

/// A job: where it read, through what latency, and what it took; in seconds.
pub type Point = (NodeId, f64, f64);

impl Fit {
    /// Least squares. `slope`: what is assumed where the latencies do not tell. `None` without a point.
    pub fn of(points: &[Point], slope: f64) -> Option<Self> {
        let on_line: Vec<(f64, f64)> = points.iter().map(|(_, latency, seconds)| (*latency, *seconds)).collect();
        let line = Line::fit(&on_line);
        let (base, per_second_of_latency) = match line {
            Some(line) => (line.intercept(), line.slope()),
            None => {
                let rest = Sample::of(on_line.iter().map(|(latency, seconds)| seconds - slope * latency));
                (Estimate { mean: rest.mean, deviation: rest.error() }, Estimate::certain(slope))
            }
        };
        let at = |latency: f64| base.mean + per_second_of_latency.mean * latency;
        let residual = |(node, latency, seconds): &Point| (*node, seconds - at(*latency));
        let residuals: Vec<(NodeId, f64)> = points.iter().map(residual).collect();
        let all = Sample::of(residuals.iter().map(|(_, residual)| *residual));
        let squares: f64 = residuals.iter().map(|(_, residual)| residual.powi(2)).sum();
        let seconds = Sample::of(on_line.iter().map(|(_, seconds)| *seconds));
        let total = seconds.deviation.powi(2) * (seconds.n.saturating_sub(1)) as f64;
        let mut bias: BTreeMap<NodeId, Vec<f64>> = BTreeMap::new();
        residuals.iter().for_each(|(node, residual)| bias.entry(*node).or_default().push(*residual));
        (all.n > 0).then(|| Self {
            base,
            per_second_of_latency,
            slope_is_measured: line.is_some(),
            deviation: line.map_or(all.deviation, |line| line.deviation()),
            n: all.n,
            r2: (total > 0.0).then(|| 1.0 - squares / total),
            largest_residual: if all.largest >= -all.least { all.largest } else { all.least },
            bias: bias.into_iter().map(|(node, residuals)| (node, Bias::of(residuals))).collect(),
        })
    }

    /// What a job is expected to take at a latency \[s\].
    pub fn at(&self, latency: f64) -> f64 {
        self.base.mean + self.per_second_of_latency.mean * latency
    }

    /// What a reader of the fit should doubt, each in a sentence about `what`.
    pub fn doubts(&self, what: &str) -> Vec<String> {
        let mut doubts = Vec::new();
        let Estimate { mean, deviation: error } = self.per_second_of_latency;
        if !self.slope_is_measured {
            doubts.push(format!(
                "{what}: the latencies do not vary, so how it grows with latency is not known; {mean} s for each second is \
                 assumed"
            ));
        } else if error > UNCERTAIN_SLOPE * mean.abs() {
            doubts.push(format!(
                "{what}: the latencies vary too little to know how it grows with them: {mean:.1} +- {error:.1} s for each second"
            ));
        }
        let off = self.bias.iter().filter(|(_, bias)| bias.is_clear() && bias.mean.abs() > BIASED * self.deviation);
        doubts.extend(off.map(|(node, Bias { n, mean, error })| {
            format!("{what}: the {n} jobs at node {node} lie {mean:+.2} +- {error:.2} s off the line: it is another kind of node")
        }));
        doubts
    }
}

/// A standard error of the slope from this share of it on is too large.
const UNCERTAIN_SLOPE: f64 = 0.2;
/// A node whose jobs lie this many of their standard errors off the line is off it for sure ...
const CLEAR: f64 = 3.0;
/// ... and worth telling from this share of the deviation of all jobs on.
const BIASED: f64 = 0.5;
/// Times are whole milliseconds \[s\].
const RESOLUTION: f64 = 1e-3;

impl Bias {
    pub(super) fn of(residuals: impl IntoIterator<Item = f64>) -> Self {
        let sample = Sample::of(residuals);
        Self { n: sample.n, mean: sample.mean, error: sample.error() }
    }

    pub(super) fn is_clear(&self) -> bool {
        self.n > 1 && self.mean.abs() > CLEAR * self.error && self.mean.abs() > RESOLUTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::mape::planner::Rng;
    use rand::SeedableRng as _;
    use rand_distr::{Distribution as _, Normal};

    const NEAR: NodeId = NodeId(1);
    const FAR: NodeId = NodeId(2);
    const ODD: NodeId = NodeId(3);

    #[test]
    fn a_line_is_fitted_and_judged() {
        let points = [(NEAR, 0.0, 1.0), (NEAR, 1.0, 3.0), (FAR, 2.0, 3.0), (FAR, 3.0, 1.0)];
        let fit = Fit::of(&points, 9.0).unwrap();
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}, not {expected}: {fit:?}");
        close(fit.base.mean, 2.0);
        close(fit.per_second_of_latency.mean, 0.0);
        close(fit.deviation, 2.0_f64.sqrt());
        close(fit.r2.unwrap(), 0.0);
        close(fit.largest_residual.abs(), 1.0);
        close(fit.bias[&NEAR].mean, 0.0);
        close(fit.bias[&NEAR].error, 1.0);
        assert_eq!((fit.n, fit.slope_is_measured), (4, true));
    }

    /// Jobs of `29.4 s` for each second of latency and `10 s` besides, `0.5 s` give or take.
    fn drawn(rng: &mut Rng, latencies: &[(NodeId, f64)], each: usize) -> Vec<Point> {
        let noise = Normal::new(0.0, 0.5).unwrap();
        let mut at = |(node, latency): (NodeId, f64)| (node, latency, 10.0 + 29.4 * latency + noise.sample(rng));
        latencies.iter().flat_map(|place| vec![*place; each]).map(&mut at).collect()
    }

    #[test]
    fn what_is_known_is_recovered_within_its_standard_errors() {
        let mut rng = Rng::seed_from_u64(5);
        let (mut base, mut slope, mut deviations) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..200 {
            let fit = Fit::of(&drawn(&mut rng, &[(NEAR, 0.0), (FAR, 1.0), (ODD, 1.5)], 10), 0.0).unwrap();
            base.push((fit.base.mean - 10.0) / fit.base.deviation);
            slope.push((fit.per_second_of_latency.mean - 29.4) / fit.per_second_of_latency.deviation);
            deviations.push(fit.deviation.powi(2));
        }
        let deviation = Sample::of(deviations).mean.sqrt();
        assert!((deviation - 0.5).abs() < 0.02, "{deviation}");
        // In units of their standard errors, what was found varies around what is true with a deviation of about 1.
        for found in [base, slope] {
            let sample = Sample::of(found);
            assert!(sample.mean.abs() < 0.25 && (0.85..1.2).contains(&sample.deviation), "{sample:?}");
        }
    }

    fn doubt(points: &[Point], expected: &[&str]) {
        let doubts = Fit::of(points, 30.0).unwrap().doubts("response time");
        assert_eq!(doubts.len(), expected.len(), "{doubts:?}");
        doubts.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found}"));
    }

    #[test]
    fn what_is_doubtful_is_said() {
        let mut rng = Rng::seed_from_u64(1);
        doubt(&drawn(&mut rng, &[(NEAR, 0.0), (FAR, 1.0)], 20), &[]);
        doubt(&[(NEAR, 0.5, 20.0), (NEAR, 0.5, 21.0), (NEAR, 0.5, 22.0)], &["do not vary"]);
        doubt(&drawn(&mut rng, &[(NEAR, 0.5), (FAR, 0.51)], 4), &["vary too little"]);
        let mut points = drawn(&mut rng, &[(NEAR, 0.0), (FAR, 1.0), (ODD, 0.5)], 20);
        points.iter_mut().filter(|(node, ..)| *node == ODD).for_each(|(_, _, seconds)| *seconds += 5.0);
        doubt(&points, &["at node 1", "at node 2", "at node 3 lie +3"]);
    }

    #[test]
    fn without_a_slope_of_its_own_the_base_follows_from_the_assumed_one() {
        let fit = Fit::of(&[(NEAR, 0.5, 20.0), (NEAR, 0.5, 22.0)], 30.0).unwrap();
        assert_eq!((fit.base.mean, fit.per_second_of_latency.mean, fit.deviation), (6.0, 30.0, 2.0_f64.sqrt()));
        assert_eq!(Fit::of(&[], 30.0), None);
    }
}
