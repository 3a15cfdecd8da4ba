//! A number that is not known for sure.

use serde::{Deserialize, Serialize};

/// A mean, and the standard deviation of what may come instead; both in the unit of what is estimated.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Estimate {
    pub mean: f64,
    pub deviation: f64,
}

impl Estimate {
    /// What is known for sure.
    pub fn certain(mean: f64) -> Self {
        Self { mean, deviation: 0.0 }
    }

    /// In another unit.
    pub fn scaled(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, deviation: self.deviation * factor.abs() }
    }

    /// The chance, 0..=1, that what comes lies below `value` (at it, where it is known for sure), by the normal distribution.
    pub fn chance_below(self, value: f64) -> f64 {
        match self.deviation > 0.0 {
            true => standard_normal_below((value - self.mean) / self.deviation),
            false => f64::from(u8::from(self.mean <= value)),
        }
    }
}

/// The standard normal distribution, right to 1e-7 (Abramowitz and Stegun, 26.2.17).
fn standard_normal_below(z: f64) -> f64 {
    const TERMS: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let above = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if z > 0.0 { 1.0 - above } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_the_tables() {
        let check = |z: f64, below: f64| {
            let found = Estimate { mean: 10.0, deviation: 2.0 }.chance_below(10.0 + 2.0 * z);
            assert!((found - below).abs() < 1e-7, "{z}: {found} instead of {below}");
        };
        for (z, below) in
            [(0.0, 0.5), (1.0, 0.841_344_75), (-1.0, 0.158_655_25), (1.96, 0.975_002_1), (-4.0, 0.000_031_67)]
        {
            check(z, below);
        }
        assert_eq!(Estimate::certain(10.0).chance_below(10.0), 1.0);
        assert_eq!(Estimate::certain(10.0).chance_below(9.0), 0.0);
    }
}
