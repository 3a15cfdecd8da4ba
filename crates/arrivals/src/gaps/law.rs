//! The distributions by their parameters, and which make sense.

use crate::duration::LONGEST_S;
use crate::invalid::{Invalid, within};
use serde::Serialize;
use std::ops::RangeInclusive;

/// How the time between two arrivals is distributed. What is not said otherwise is in seconds; a distance in time is at
/// most 365 d.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(tag = "distribution", rename_all = "snake_case")]
pub enum Law {
    /// Always `value`.
    Constant { value: f64 },
    /// Anything from `low` to `high` alike.
    Uniform { low: f64, high: f64 },
    /// From `low` to `high`, the likelier the nearer to `mode`, on straight lines.
    Triangular { low: f64, high: f64, mode: f64 },
    /// The bell around `mean`, of this standard deviation (at least 0).
    Normal { mean: f64, std_dev: f64 },
    /// That whose natural logarithm is normal with mean `mu` (from -30 to 18) and standard deviation `sigma` (from 0 to
    /// 10), neither of which has a unit; its own mean is `exp(mu + sigma^2 / 2)`.
    Lognormal { mu: f64, sigma: f64 },
    /// Memoryless: arrivals come independently of each other, one each `mean`.
    Exponential { mean: f64 },
    /// An angle around `mu` on the circle, in radians taken as seconds: from `mu - pi` to `mu + pi`. The
    /// greater the concentration `kappa` (from 0, where all angles are alike, to 1,000,000), the nearer to `mu`.
    VonMises { mu: f64, kappa: f64 },
    /// `shape` (from 0.01 to 1,000,000, no unit) times `scale` on average: for a whole `shape` the sum of so many
    /// exponential gaps of the mean `scale`.
    Gamma { shape: f64, scale: f64 },
    /// From 0 to 1 second, `alpha / (alpha + beta)` on average; both from 0.01 to 1,000,000, without a unit.
    Beta { alpha: f64, beta: f64 },
    /// At least `scale`, and longer than `x` in a share of `(scale / x)^shape`; `shape` from 0.01 to 1,000,000, no unit.
    Pareto { scale: f64, shape: f64 },
    /// Longer than `x` in a share of `exp(-(x / scale)^shape)`; `shape` from 0.01 to 1,000,000, no unit.
    Weibull { shape: f64, scale: f64 },
}

impl Law {
    /// As it is called in a file.
    pub fn name(&self) -> &'static str {
        match self {
            Law::Constant { .. } => "constant",
            Law::Uniform { .. } => "uniform",
            Law::Triangular { .. } => "triangular",
            Law::Normal { .. } => "normal",
            Law::Lognormal { .. } => "lognormal",
            Law::Exponential { .. } => "exponential",
            Law::VonMises { .. } => "von_mises",
            Law::Gamma { .. } => "gamma",
            Law::Beta { .. } => "beta",
            Law::Pareto { .. } => "pareto",
            Law::Weibull { .. } => "weibull",
        }
    }

    /// Whether each parameter, and all together, make sense. Outside of these ranges the methods that draw lose their
    /// accuracy, and some would search without end.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let number = |parameter: &str, value: f64, range: RangeInclusive<f64>, what: &str| {
            within(format!("{}: {parameter}", self.name()), value, range, what).map(drop)
        };
        let moment = |parameter, value| number(parameter, value, -LONGEST_S..=LONGEST_S, "seconds");
        let length = |parameter, value| number(parameter, value, 0.0..=LONGEST_S, "seconds");
        let scale = |parameter, value| number(parameter, value, 1e-9..=LONGEST_S, "seconds");
        let shape = |parameter, value| number(parameter, value, 0.01..=1e6, "a number");
        match *self {
            Law::Constant { value } => length("value", value),
            Law::Uniform { low, high } => {
                moment("low", low)?;
                number("high", high, low..=LONGEST_S, "seconds, not below `low`")
            }
            Law::Triangular { low, high, mode } => {
                moment("low", low)?;
                number("high", high, low..=LONGEST_S, "seconds, not below `low`")?;
                number("mode", mode, low..=high, "seconds, between `low` and `high`")
            }
            Law::Normal { mean, std_dev } => moment("mean", mean).and(length("std_dev", std_dev)),
            Law::Lognormal { mu, sigma } => {
                number("mu", mu, -30.0..=18.0, "a logarithm of seconds")?;
                number("sigma", sigma, 0.0..=10.0, "a number")
            }
            Law::Exponential { mean } => length("mean", mean),
            Law::VonMises { mu, kappa } => moment("mu", mu).and(number("kappa", kappa, 0.0..=1e6, "a number")),
            Law::Gamma { shape: of, scale: each } => shape("shape", of).and(scale("scale", each)),
            Law::Beta { alpha, beta } => shape("alpha", alpha).and(shape("beta", beta)),
            Law::Pareto { scale: least, shape: of } => scale("scale", least).and(shape("shape", of)),
            Law::Weibull { shape: of, scale: each } => shape("shape", of).and(scale("scale", each)),
        }
    }
}
