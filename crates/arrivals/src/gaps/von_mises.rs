//! Angles around a direction: the normal distribution of the circle.

use rand::{Rng, RngExt as _};
use rand_distr::{Distribution, Open01};

/// Draws an angle by rejection from the wrapped Cauchy distribution (Best and Fisher, Efficient simulation of the von
/// Mises distribution, Applied Statistics 28, 1979, 152-157).
///
/// The paper's `rho = (tau - sqrt(2 tau)) / (2 kappa)` and `r = (1 + rho^2) / (2 rho)` lose all digits where `kappa` is
/// near 0. Here the same is written without a difference or a division by `rho`: `rho = 2 kappa / (tau + sqrt(2 tau))`,
/// and what has `r` in it is multiplied by `2 rho`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct VonMises {
    mu: f64,
    kappa: f64,
    /// How much the wrapped Cauchy distribution is concentrated, from 0 until before 1.
    rho: f64,
    /// The paper's `kappa r`.
    kappa_r: f64,
}

impl VonMises {
    pub fn new(mu: f64, kappa: f64) -> Self {
        let tau = 1.0 + (1.0 + 4.0 * kappa * kappa).sqrt();
        let sum = tau + (2.0 * tau).sqrt();
        let rho = 2.0 * kappa / sum;
        Self { mu, kappa, rho, kappa_r: (1.0 + rho * rho) * sum / 4.0 }
    }
}

impl Distribution<f64> for VonMises {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let (twice, square) = (2.0 * self.rho, 1.0 + self.rho * self.rho);
        loop {
            // The cosine of a uniform angle, and of one from the envelope.
            let z = (std::f64::consts::PI * rng.sample::<f64, _>(Open01)).cos();
            let cosine = (twice + square * z) / (square + twice * z);
            let c = self.kappa_r - self.kappa * cosine;
            let u: f64 = rng.sample(Open01);
            if c * (2.0 - c) > u || (c / u).ln() + 1.0 >= c {
                // Rounding may have taken it beyond 1.
                let angle = cosine.clamp(-1.0, 1.0).acos();
                return self.mu + if rng.random() { angle } else { -angle };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use std::f64::consts::PI;

    /// The share of angles below each of these, summed from the density `exp(kappa cos x)` by the trapezoid rule.
    struct Below {
        shares: Vec<f64>,
    }

    impl Below {
        const STEPS: usize = 1_000_000;

        fn of(kappa: f64) -> Self {
            let density = |step: usize| (kappa * ((Self::angle(step)).cos() - 1.0)).exp();
            let mut shares = vec![0.0];
            for step in 0..Self::STEPS {
                shares.push(shares[step] + density(step) + density(step + 1));
            }
            let whole = shares[Self::STEPS];
            Self { shares: shares.into_iter().map(|sum| sum / whole).collect() }
        }

        fn angle(step: usize) -> f64 {
            -PI + 2.0 * PI * step as f64 / Self::STEPS as f64
        }

        fn share(&self, angle: f64) -> f64 {
            self.shares[((angle + PI) / (2.0 * PI) * Self::STEPS as f64).round() as usize]
        }
    }

    #[test]
    fn angles_are_distributed_as_they_should_be() {
        for kappa in [0.0, 1e-9, 0.5, 4.0, 1_000.0] {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
            let drawn: Vec<f64> = (0..100_000).map(|_| VonMises::new(0.0, kappa).sample(&mut rng)).collect();
            assert!(drawn.iter().all(|angle| (-PI..=PI).contains(angle)));
            let below = Below::of(kappa);
            let distance = crate::gaps::testing::farthest(drawn, |angle| below.share(angle));
            assert!(distance < crate::gaps::testing::AT_1_PERCENT, "{kappa}: {distance}");
        }
    }

    #[test]
    fn the_most_concentrated_stay_near_the_middle() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let drawn: Vec<f64> = (0..10_000).map(|_| VonMises::new(3.0, 1e6).sample(&mut rng) - 3.0).collect();
        // Nearly normal, of the deviation 1 / sqrt(kappa) = 0.001.
        let deviation = (drawn.iter().map(|angle| angle * angle).sum::<f64>() / 10_000.0).sqrt();
        assert!((deviation - 0.001).abs() < 3e-5, "{deviation}");
    }
}
