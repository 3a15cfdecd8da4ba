//! Bayesian linear regression: what so many measurements say of the coefficients of features, of the noise around them, and of
//! whether these are the right features at all.
//!
//! `y = x . w + noise`, with the conjugate prior: the noise is normal, its variance inverse-gamma, the coefficients normal given
//! it. Then the posterior is of the same kind, a measurement more or less changes it by one rank, and the evidence has a closed
//! form (Murphy, Machine Learning, 7.6.3).

use super::Estimate;
use nalgebra::{Cholesky, Const, SMatrix, SVector};

/// What is believed before anything is measured, for `N` features.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Prior<const N: usize> {
    pub means: [f64; N],
    /// Standard deviations of the coefficients around them.
    pub deviations: [f64; N],
    /// Standard deviation of measurements around what the right coefficients say.
    pub noise: f64,
    /// So many measurements weigh as much as what is said of the noise; more than 2.
    pub weight: f64,
}

impl<const N: usize> Prior<N> {
    /// Shape and scale of the variance of the noise, whose mean is then what is said of it.
    fn of_noise(&self) -> (f64, f64) {
        let shape = self.weight / 2.0;
        (shape, (shape - 1.0) * self.noise.powi(2))
    }
}

/// What is believed after some measurements.
#[derive(Clone, Debug)]
pub struct Posterior<const N: usize> {
    prior: Prior<N>,
    /// Of the coefficients' precision, in units of the noise.
    precision: Cholesky<f64, Const<N>>,
    means: SVector<f64, N>,
    /// Shape and scale of the inverse-gamma distribution of the noise's variance.
    shape: f64,
    scale: f64,
}

impl<const N: usize> Posterior<N> {
    /// Without a measurement; `None` where a deviation of the prior is no positive number.
    pub fn new(prior: Prior<N>) -> Option<Self> {
        let variances = SVector::from(prior.deviations).map(|deviation| (deviation / prior.noise).powi(2));
        let (shape, scale) = prior.of_noise();
        let precision = Cholesky::new(SMatrix::from_diagonal(&variances.map(f64::recip)))?;
        Some(Self { precision, means: prior.means.into(), shape, scale, prior })
    }

    /// One more measurement.
    pub fn add(&mut self, x: [f64; N], y: f64) {
        let x = SVector::from(x);
        let surprise = y - x.dot(&self.means);
        let from_means = 1.0 + self.leverage(&x);
        self.precision.rank_one_update(&x, 1.0);
        self.means += self.precision.solve(&x) * surprise;
        self.shape += 0.5;
        self.scale += 0.5 * surprise.powi(2) / from_means;
    }

    /// One that was added before counts no more.
    pub fn remove(&mut self, x: [f64; N], y: f64) {
        let x = SVector::from(x);
        let surprise = y - x.dot(&self.means);
        self.precision.rank_one_update(&x, -1.0);
        self.means -= self.precision.solve(&x) * surprise;
        self.shape -= 0.5;
        self.scale -= 0.5 * surprise.powi(2) * (1.0 + self.leverage(&x));
    }

    /// A coefficient, and how uncertain it is.
    pub fn coefficient(&self, index: usize) -> Estimate {
        let unit = SVector::from_fn(|row, _| f64::from(u8::from(row == index)));
        Estimate { mean: self.means[index], deviation: (self.leverage(&unit) * self.variance()).sqrt() }
    }

    /// How much less uncertain a coefficient is than before any measurement, in the same noise: 0 where nothing was learned of
    /// it, also where features always came in the same proportion; 1 where nothing is left to learn.
    pub fn learned(&self, index: usize) -> f64 {
        let unit = SVector::from_fn(|row, _| f64::from(u8::from(row == index)));
        1.0 - self.leverage(&unit).sqrt() * self.prior.noise / self.prior.deviations[index]
    }

    /// What one further measurement is expected to be, where the features are known to so much (Student's t distribution).
    pub fn at(&self, x: [Estimate; N]) -> Estimate {
        let mean = SVector::from(x.map(|feature| feature.mean));
        let of_feature = |i: usize| {
            let Estimate { mean, deviation } = self.coefficient(i);
            (mean.powi(2) + deviation.powi(2)) * x[i].deviation.powi(2)
        };
        let variance = self.variance() * (1.0 + self.leverage(&mean)) + (0..N).map(of_feature).sum::<f64>();
        Estimate { mean: mean.dot(&self.means), deviation: variance.sqrt() }
    }

    /// The logarithm of how probable all measurements were before they came, less what is the same for any features.
    pub fn evidence(&self) -> f64 {
        let (shape, scale) = self.prior.of_noise();
        let narrowed: f64 = (0..N)
            .map(|i| (self.prior.noise / self.prior.deviations[i]).ln() - self.precision.l_dirty()[(i, i)].ln())
            .sum();
        narrowed + shape * scale.ln() - self.shape * self.scale.ln()
    }

    /// The expected variance of the noise.
    fn variance(&self) -> f64 {
        self.scale / (self.shape - 1.0)
    }

    /// The variance of `x . w` in units of the noise's.
    fn leverage(&self, x: &SVector<f64, N>) -> f64 {
        x.dot(&self.precision.solve(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{Matrix3, Vector3};
    use std::f64::consts::PI;

    const PRIOR: Prior<3> = Prior { means: [0.0, 1.0, 1.0], deviations: [5.0, 0.5, 2.0], noise: 0.3, weight: 3.0 };

    /// What may come of `1 + 2 a + 3 b`.
    const JOBS: [([f64; 3], f64); 5] = [
        ([1.0, 0.0, 0.5], 2.6),
        ([1.0, 1.0, 2.0], 8.9),
        ([1.0, 2.0, 0.1], 5.4),
        ([1.0, 3.0, 1.0], 9.8),
        ([1.0, 0.5, 3.0], 11.1),
    ];

    fn after<const N: usize>(prior: Prior<N>, jobs: &[([f64; N], f64)]) -> Posterior<N> {
        let mut posterior = Posterior::new(prior).unwrap();
        jobs.iter().for_each(|(x, y)| posterior.add(*x, *y));
        posterior
    }

    fn is_near(found: f64, expected: f64, within: f64) {
        assert!((found - expected).abs() <= within * expected.abs().max(1.0), "{found} instead of {expected}");
    }

    #[test]
    fn one_after_the_other_is_as_all_at_once() {
        let found = after(PRIOR, &JOBS);
        let variance = PRIOR.noise.powi(2);
        let before = Matrix3::from_diagonal(&Vector3::from(PRIOR.deviations).map(|one| variance / one.powi(2)));
        let prior_means = Vector3::from(PRIOR.means);
        let squares: Matrix3<f64> = JOBS.iter().map(|(x, _)| Vector3::from(*x) * Vector3::from(*x).transpose()).sum();
        let precision = before + squares;
        let products: Vector3<f64> = JOBS.iter().map(|(x, y)| Vector3::from(*x) * *y).sum();
        let means = precision.try_inverse().unwrap() * (before * prior_means + products);
        let sum = JOBS.iter().map(|(_, y)| y * y).sum::<f64>() + prior_means.dot(&(before * prior_means));
        let scale = 0.5 * variance + 0.5 * (sum - means.dot(&(precision * means)));
        let noise = scale / (1.5 + 2.5 - 1.0);
        for i in 0..3 {
            let deviation = (precision.try_inverse().unwrap()[(i, i)] * noise).sqrt();
            is_near(found.coefficient(i).mean, means[i], 1e-9);
            is_near(found.coefficient(i).deviation, deviation, 1e-9);
        }
        let evidence = 0.5 * (before.determinant() / precision.determinant()).ln() + 1.5 * (0.5 * variance).ln();
        is_near(found.evidence(), evidence - 4.0 * scale.ln(), 1e-9);
    }

    #[test]
    fn what_is_removed_was_never_there() {
        let mut found = after(PRIOR, &JOBS);
        JOBS[..2].iter().for_each(|(x, y)| found.remove(*x, *y));
        let expected = after(PRIOR, &JOBS[2..]);
        let x = [1.0, 0.7, 0.2].map(Estimate::certain);
        is_near(found.at(x).mean, expected.at(x).mean, 1e-9);
        is_near(found.at(x).deviation, expected.at(x).deviation, 1e-9);
        is_near(found.evidence(), expected.evidence(), 1e-9);
    }

    #[test]
    fn the_evidence_is_the_product_of_what_was_expected_of_each_measurement() {
        let mut posterior = Posterior::new(PRIOR).unwrap();
        let mut product = 0.0;
        for (count, (x, y)) in JOBS.iter().enumerate() {
            let shape = 1.5 + count as f64 / 2.0;
            let Estimate { mean, deviation } = posterior.at(x.map(Estimate::certain));
            // Student's t with 2 shape degrees of freedom, without what is the same for any features.
            let spread = deviation.powi(2) * (shape - 1.0);
            product -= 0.5 * spread.ln() + (shape + 0.5) * (1.0 + (y - mean).powi(2) / (2.0 * spread)).ln();
            posterior.add(*x, *y);
        }
        is_near(posterior.evidence() - Posterior::new(PRIOR).unwrap().evidence(), product, 1e-9);
    }

    /// Over every coefficient and every variance, as fine as it takes.
    #[test]
    fn with_one_feature_all_of_it_is_what_summing_up_gives() {
        let prior = Prior { means: [1.0], deviations: [0.8], noise: 0.5, weight: 3.0 };
        let jobs = [([1.0], 1.9), ([2.0], 4.4), ([0.5], 0.6)];
        let posterior = after(prior, &jobs);
        let normal = |value: f64, mean: f64, variance: f64| {
            (-(value - mean).powi(2) / (2.0 * variance)).exp() / (2.0 * PI * variance).sqrt()
        };
        let (shape, scale): (f64, f64) = (1.5, 0.125);
        let (steps, mut sums) = (800, [0.0; 3]);
        for i in 0..steps {
            // Variances from 1e-4 to 1e4, evenly by their logarithm.
            let log = 1e-4_f64.ln() + (f64::from(i) + 0.5) / f64::from(steps) * 1e8_f64.ln();
            let variance = log.exp();
            // Gamma(1.5) = sqrt(pi) / 2.
            let of_noise =
                scale.powf(shape) / (PI.sqrt() / 2.0) * variance.powf(-shape - 1.0) * (-scale / variance).exp();
            let breadth = variance.sqrt() * 12.0;
            let middle = posterior.coefficient(0).mean;
            for j in 0..steps {
                let w = middle + ((f64::from(j) + 0.5) / f64::from(steps) - 0.5) * 2.0 * breadth;
                let of_w = normal(w, 1.0, variance * (0.8_f64 / 0.5).powi(2));
                let of_jobs: f64 = jobs.iter().map(|(x, y)| normal(*y, x[0] * w, variance)).product();
                let part =
                    of_noise * of_w * of_jobs * (2.0 * breadth) * variance * 1e8_f64.ln() / f64::from(steps).powi(2);
                sums = [sums[0] + part, sums[1] + part * w, sums[2] + part * w * w];
            }
        }
        let mean = sums[1] / sums[0];
        is_near(posterior.coefficient(0).mean, mean, 1e-4);
        is_near(posterior.coefficient(0).deviation, (sums[2] / sums[0] - mean.powi(2)).sqrt(), 1e-3);
        // What the evidence leaves out: Gamma(3) / Gamma(1.5) / (2 pi)^1.5.
        let left_out = 2.0_f64.ln() - (PI.sqrt() / 2.0).ln() - 1.5 * (2.0 * PI).ln();
        is_near(posterior.evidence() + left_out, sums[0].ln(), 1e-4);
    }

    #[test]
    fn exact_measurements_give_the_coefficients() {
        let exact = JOBS.map(|(x, _)| (x, x[0] + 2.0 * x[1] + 3.0 * x[2]));
        let wide = Prior { deviations: [1e3; 3], noise: 1e-3, ..PRIOR };
        let found = after(wide, &exact);
        for (i, expected) in [1.0, 2.0, 3.0].into_iter().enumerate() {
            is_near(found.coefficient(i).mean, expected, 1e-6);
            assert!(found.learned(i) > 0.99, "{}", found.learned(i));
        }
    }

    #[test]
    fn features_that_always_come_together_are_not_told_apart() {
        let together = JOBS.map(|(x, _)| ([x[0], x[1], 0.1 * x[1]], x[0] + 2.0 * x[1]));
        let wide = Prior { means: [0.0; 3], deviations: [10.0; 3], noise: 0.1, weight: 3.0 };
        let found = after(wide, &together);
        assert!(found.learned(0) > 0.9, "{}", found.learned(0));
        assert!(found.learned(2) < 0.1, "{}", found.learned(2));
        let fewer = Prior { means: [0.0; 2], deviations: [10.0; 2], noise: 0.1, weight: 3.0 };
        let without = after(fewer, &together.map(|(x, y)| ([x[0], x[1]], y)));
        assert!(without.evidence() > found.evidence(), "{} {}", without.evidence(), found.evidence());
    }

    #[test]
    fn an_uncertain_feature_makes_what_is_expected_uncertain() {
        let found = after(PRIOR, &JOBS);
        let at = |deviation: f64| {
            let x = [Estimate::certain(1.0), Estimate { mean: 1.0, deviation }, Estimate::certain(1.0)];
            found.at(x).deviation.powi(2)
        };
        let Estimate { mean, deviation } = found.coefficient(1);
        is_near(at(0.5) - at(0.0), 0.25 * (mean.powi(2) + deviation.powi(2)), 1e-9);
    }
}
