//! Draws from a [`Law`].

use super::law::Law;
use super::von_mises::VonMises;
use crate::invalid::Invalid;
use rand::Rng;
use rand_distr::{Beta, Distribution as _, Exp1, Gamma, LogNormal, Normal, Pareto, Triangular, Uniform, Weibull};
use std::fmt::Display;

/// A law with what its method of drawing computes once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Sampler {
    Constant(f64),
    Uniform(Uniform<f64>),
    Triangular(Triangular<f64>),
    Normal(Normal<f64>),
    Lognormal(LogNormal<f64>),
    Exponential { mean: f64 },
    VonMises(VonMises),
    Gamma(Gamma<f64>),
    Beta(Beta<f64>),
    Pareto(Pareto<f64>),
    Weibull(Weibull<f64>),
}

impl Sampler {
    pub fn of(law: &Law) -> Result<Self, Invalid> {
        law.check()?;
        Ok(match *law {
            Law::Constant { value } => Self::Constant(value),
            Law::Uniform { low, high } => Self::Uniform(made(law, Uniform::new_inclusive(low, high))?),
            Law::Triangular { low, high, mode } => Self::Triangular(made(law, Triangular::new(low, high, mode))?),
            Law::Normal { mean, std_dev } => Self::Normal(made(law, Normal::new(mean, std_dev))?),
            Law::Lognormal { mu, sigma } => Self::Lognormal(made(law, LogNormal::new(mu, sigma))?),
            Law::Exponential { mean } => Self::Exponential { mean },
            Law::VonMises { mu, kappa } => Self::VonMises(VonMises::new(mu, kappa)),
            Law::Gamma { shape, scale } => Self::Gamma(made(law, Gamma::new(shape, scale))?),
            Law::Beta { alpha, beta } => Self::Beta(made(law, Beta::new(alpha, beta))?),
            Law::Pareto { scale, shape } => Self::Pareto(made(law, Pareto::new(scale, shape))?),
            Law::Weibull { shape, scale } => Self::Weibull(made(law, Weibull::new(scale, shape))?),
        })
    }

    /// In seconds; what is drawn below 0, or is not finite, counts as 0.
    pub fn seconds(&self, rng: &mut impl Rng) -> f64 {
        let drawn = match self {
            Self::Constant(value) => *value,
            Self::Uniform(uniform) => uniform.sample(rng),
            Self::Triangular(triangular) => triangular.sample(rng),
            Self::Normal(normal) => normal.sample(rng),
            Self::Lognormal(lognormal) => lognormal.sample(rng),
            Self::Exponential { mean } => {
                let unit: f64 = Exp1.sample(rng);
                mean * unit
            }
            Self::VonMises(von_mises) => von_mises.sample(rng),
            Self::Gamma(gamma) => gamma.sample(rng),
            Self::Beta(beta) => beta.sample(rng),
            Self::Pareto(pareto) => pareto.sample(rng),
            Self::Weibull(weibull) => weibull.sample(rng),
        };
        if drawn.is_finite() { drawn.max(0.0) } else { 0.0 }
    }
}

/// What the library refuses lies outside the ranges that were checked; should it ever refuse more, its own words say why.
fn made<T, E: Display>(law: &Law, made: Result<T, E>) -> Result<T, Invalid> {
    made.map_err(|error| Invalid::new(law.name(), error.to_string(), "choose other parameters"))
}
