//! The time between two arrivals.
//!
//! ```toml
//! gaps = { distribution = "gamma", shape = 2.0, scale = 0.5 }
//! gaps = { distribution = "replay", values = [0.1, 0.25, 0.1] }
//! gaps = { distribution = "replay", kind = "times", values = [0, 0.1, 0.35] }
//! ```

mod law;
mod sampler;
mod von_mises;
mod written;

pub use law::Law;

use crate::RATE_MAX;
use crate::invalid::Invalid;
use crate::replay::Replay;
use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sampler::Sampler;
use serde::{Deserialize, Serialize};
use written::Written;

/// Where gaps come from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written", untagged)]
pub enum Gaps {
    /// Drawn one after another, without end.
    Drawn(Distribution),
    /// As they were recorded, once.
    Replay(Replay),
}

/// A distribution whose parameters make sense.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(into = "Law")]
pub struct Distribution {
    law: Law,
    sampler: Sampler,
}

impl Distribution {
    /// # Errors
    /// A parameter is outside of its range (see [`Law`]), or more than [`RATE_MAX`] would come in a second: gaps of
    /// nothing but 0 would never let time go on.
    pub fn new(law: Law) -> Result<Self, Invalid> {
        let sampler = Sampler::of(&law)?;
        // What negative draws come to, as they count as 0, no closed form says; so many draws show the degenerate ones.
        const DRAWS: u32 = 1_000;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let sum: f64 = (0..DRAWS).map(|_| sampler.seconds(&mut rng)).sum();
        if sum < f64::from(DRAWS) / RATE_MAX {
            let help = format!(
                "choose longer gaps, so that at most {RATE_MAX} come in a second; for a pause write a rate of 0"
            );
            return Err(Invalid::new(law.name(), "nearly all gaps are 0", help));
        }
        Ok(Self { law, sampler })
    }

    /// With its parameters.
    pub fn law(&self) -> Law {
        self.law
    }

    /// Draws a gap in seconds: finite, and 0 where a negative number was drawn.
    pub fn seconds(&self, rng: &mut impl Rng) -> f64 {
        self.sampler.seconds(rng)
    }
}

impl From<Distribution> for Law {
    fn from(distribution: Distribution) -> Self {
        distribution.law
    }
}

impl From<Replay> for Gaps {
    fn from(replay: Replay) -> Self {
        Self::Replay(replay)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    /// More than this apart, 100,000 draws are of another distribution, with an error in one of a hundred cases
    /// (Kolmogorov: 1.628 / sqrt(n)).
    pub const AT_1_PERCENT: f64 = 0.00515;

    /// The statistic of Kolmogorov and Smirnov: how far the shares of draws are from what is expected, at most.
    pub fn farthest(mut drawn: Vec<f64>, below: impl Fn(f64) -> f64) -> f64 {
        drawn.sort_by(f64::total_cmp);
        let count = drawn.len() as f64;
        let distance = |(rank, value): (usize, &f64)| {
            let expected = below(*value);
            (expected - rank as f64 / count).abs().max((expected - (rank as f64 + 1.0) / count).abs())
        };
        drawn.iter().enumerate().map(distance).fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{E, PI};
    use testing::{AT_1_PERCENT, farthest};

    const DRAWS: usize = 100_000;

    fn distribution(text: &str) -> Distribution {
        match toml::from_str(text) {
            Ok(Gaps::Drawn(distribution)) => distribution,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn draws(text: &str) -> Vec<f64> {
        let (distribution, mut rng) = (distribution(text), ChaCha8Rng::seed_from_u64(1));
        (0..DRAWS).map(|_| distribution.seconds(&mut rng)).collect()
    }

    #[test]
    fn each_distribution_has_its_mean() {
        let check = |text: &str, mean: f64, deviation: f64| {
            let found = draws(text).iter().sum::<f64>() / DRAWS as f64;
            let error = deviation / (DRAWS as f64).sqrt();
            assert!((found - mean).abs() <= 4.0 * error + 1e-9, "{text}: {found}, not {mean} within {error}");
        };
        check("distribution = \"constant\"\nvalue = 0.25", 0.25, 0.0);
        check("distribution = \"uniform\"\nlow = 1\nhigh = 3", 2.0, (4.0_f64 / 12.0).sqrt());
        check("distribution = \"triangular\"\nlow = 0\nhigh = 6\nmode = 3", 3.0, 1.5_f64.sqrt());
        check("distribution = \"normal\"\nmean = 20\nstd_dev = 2", 20.0, 2.0);
        let of_log = |mu: f64, square: f64| (E.powf(mu + square / 2.0), (E.powf(square) - 1.0).sqrt());
        let (mean, relative) = of_log(-1.0, 0.25);
        check("distribution = \"lognormal\"\nmu = -1\nsigma = 0.5", mean, mean * relative);
        check("distribution = \"exponential\"\nmean = 0.5", 0.5, 0.5);
        check(&format!("distribution = \"von_mises\"\nmu = {PI}\nkappa = 4"), PI, 0.54);
        check("distribution = \"gamma\"\nshape = 2\nscale = 0.5", 1.0, 0.5_f64.sqrt());
        check("distribution = \"beta\"\nalpha = 2\nbeta = 6", 0.25, (12.0_f64 / (64.0 * 9.0)).sqrt());
        check("distribution = \"pareto\"\nscale = 1\nshape = 3", 1.5, 0.75_f64.sqrt());
        check("distribution = \"weibull\"\nshape = 2\nscale = 1", PI.sqrt() / 2.0, (1.0 - PI / 4.0).sqrt());
    }

    #[test]
    fn shapes_agree_with_their_cumulative_distributions() {
        let check = |text: &str, below: fn(f64) -> f64| {
            let distance = farthest(draws(text), below);
            assert!(distance < AT_1_PERCENT, "{text}: {distance}");
        };
        check("distribution = \"exponential\"\nmean = 0.5", |x| 1.0 - (-x / 0.5).exp());
        check("distribution = \"uniform\"\nlow = 1\nhigh = 3", |x| (x - 1.0) / 2.0);
        check("distribution = \"triangular\"\nlow = 0\nhigh = 2\nmode = 0", |x| 1.0 - (1.0 - x / 2.0).powi(2));
        check("distribution = \"gamma\"\nshape = 2\nscale = 0.5", |x| 1.0 - (-2.0 * x).exp() * (1.0 + 2.0 * x));
        check("distribution = \"beta\"\nalpha = 2\nbeta = 1", |x| x * x);
        check("distribution = \"pareto\"\nscale = 2\nshape = 3", |x| 1.0 - (2.0 / x).powi(3));
        check("distribution = \"weibull\"\nshape = 2\nscale = 3", |x| 1.0 - (-(x / 3.0).powi(2)).exp());
    }

    #[test]
    fn draws_of_another_distribution_are_told_apart() {
        let drawn = draws("distribution = \"exponential\"\nmean = 0.51");
        assert!(farthest(drawn, |x| 1.0 - (-x / 0.5).exp()) > AT_1_PERCENT);
    }

    #[test]
    fn negative_draws_count_as_0() {
        let drawn = draws("distribution = \"normal\"\nmean = 0\nstd_dev = 1");
        let zeros = drawn.iter().filter(|gap| **gap == 0.0).count();
        assert!(drawn.iter().all(|gap| *gap >= 0.0));
        assert!(zeros.abs_diff(DRAWS / 2) < 700, "{zeros}");
    }

    #[test]
    fn draws_that_are_not_finite_count_as_0() {
        // A share of 0.0008 is above the greatest number there is: 1e308 is to be reached with (1 / x)^0.01.
        let drawn = draws("distribution = \"pareto\"\nscale = 1\nshape = 0.01");
        assert!(drawn.iter().all(|gap| gap.is_finite()));
        assert!(drawn.iter().filter(|gap| **gap == 0.0).count() > 20);
    }

    #[test]
    fn gaps_of_nothing_but_0_are_refused() {
        let refusal = |text: &str| toml::from_str::<Gaps>(text).unwrap_err().message().to_owned();
        for text in [
            "distribution = \"constant\"\nvalue = 0",
            "distribution = \"uniform\"\nlow = -2\nhigh = -1",
            "distribution = \"normal\"\nmean = -100\nstd_dev = 1",
            "distribution = \"von_mises\"\nmu = -4\nkappa = 1",
            "distribution = \"exponential\"\nmean = 1e-9",
        ] {
            assert!(refusal(text).contains("nearly all gaps are 0; choose longer gaps"), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn extreme_parameters_are_drawn_from_in_time() {
        for text in [
            "distribution = \"beta\"\nalpha = 1e6\nbeta = 1e6",
            "distribution = \"beta\"\nalpha = 0.01\nbeta = 0.01",
            "distribution = \"beta\"\nalpha = 1e6\nbeta = 0.01",
            "distribution = \"gamma\"\nshape = 0.01\nscale = 1",
            "distribution = \"gamma\"\nshape = 1e6\nscale = 31536000",
            "distribution = \"weibull\"\nshape = 0.01\nscale = 1e-9",
            "distribution = \"lognormal\"\nmu = 18\nsigma = 10",
            "distribution = \"von_mises\"\nmu = 0\nkappa = 1e6",
            "distribution = \"triangular\"\nlow = 1\nhigh = 1\nmode = 1",
            "distribution = \"uniform\"\nlow = 1\nhigh = 1",
        ] {
            assert!(draws(text).iter().all(|gap| gap.is_finite() && *gap >= 0.0), "{text}");
        }
    }

    #[test]
    fn what_was_read_is_written_in_the_same_form() {
        for text in [
            "distribution = \"constant\"\nvalue = 0.5\n",
            "distribution = \"uniform\"\nlow = 0.0\nhigh = 2.0\n",
            "distribution = \"triangular\"\nlow = 0.0\nhigh = 2.0\nmode = 0.5\n",
            "distribution = \"normal\"\nmean = 1.0\nstd_dev = 0.25\n",
            "distribution = \"lognormal\"\nmu = -1.0\nsigma = 0.5\n",
            "distribution = \"exponential\"\nmean = 0.5\n",
            "distribution = \"von_mises\"\nmu = 3.0\nkappa = 4.0\n",
            "distribution = \"gamma\"\nshape = 2.0\nscale = 0.5\n",
            "distribution = \"beta\"\nalpha = 2.0\nbeta = 6.0\n",
            "distribution = \"pareto\"\nscale = 1.0\nshape = 3.0\n",
            "distribution = \"weibull\"\nshape = 2.0\nscale = 1.0\n",
            "distribution = \"replay\"\nkind = \"gaps\"\nvalues = [0.5, 0.25]\n",
            "distribution = \"replay\"\nkind = \"times\"\nvalues = [0.5, 0.75]\n",
        ] {
            let gaps: Gaps = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(toml::to_string(&gaps).unwrap(), text);
        }
    }
}
