//! Gaps as people write them: the name of a distribution and its parameters, each by its name.

use super::law::Law;
use super::{Distribution, Gaps};
use crate::invalid::{Invalid, legible, nearest};
use crate::replay::{Kind, Replay, ReplayError};
use serde::Deserialize;
use std::collections::BTreeMap;

const NAMES: [&str; 12] = [
    "constant",
    "uniform",
    "triangular",
    "normal",
    "lognormal",
    "exponential",
    "von_mises",
    "gamma",
    "beta",
    "pareto",
    "weibull",
    "replay",
];

/// The fields of [`Gaps`].
#[derive(Deserialize)]
pub(super) struct Written {
    distribution: String,
    /// Of `replay` alone, as are the values.
    kind: Option<Kind>,
    values: Option<Vec<f64>>,
    #[serde(flatten)]
    parameters: BTreeMap<String, f64>,
}

/// Why gaps were refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Parameter(#[from] Invalid),
    #[error("replay: {0}")]
    Replay(#[from] ReplayError),
}

impl TryFrom<Written> for Gaps {
    type Error = Refused;

    fn try_from(written: Written) -> Result<Self, Refused> {
        let Written { distribution, kind, values, parameters } = written;
        let mut parameters = Parameters { of: legible(&distribution), left: parameters, taken: Vec::new() };
        if distribution == "replay" {
            parameters.taken = vec!["kind", "values"];
            parameters.nothing_left()?;
            let values = values.ok_or_else(|| parameters.missing("values", "a list of seconds"))?;
            let replay = Replay::new(kind.unwrap_or_default(), values);
            return Ok(Gaps::Replay(replay?));
        }
        let law = law(&distribution, &mut parameters)?;
        if let Some((field, _)) = [("kind", kind.is_some()), ("values", values.is_some())].iter().find(|(_, is)| *is) {
            return Err(parameters.surplus(field).into());
        }
        parameters.nothing_left()?;
        Ok(Gaps::Drawn(Distribution::new(law)?))
    }
}

fn law(name: &str, parameters: &mut Parameters) -> Result<Law, Invalid> {
    let mut take = |parameter| parameters.take(parameter);
    Ok(match name {
        "constant" => Law::Constant { value: take("value")? },
        "uniform" => Law::Uniform { low: take("low")?, high: take("high")? },
        "triangular" => Law::Triangular { low: take("low")?, high: take("high")?, mode: take("mode")? },
        "normal" => Law::Normal { mean: take("mean")?, std_dev: take("std_dev")? },
        "lognormal" => Law::Lognormal { mu: take("mu")?, sigma: take("sigma")? },
        "exponential" => Law::Exponential { mean: take("mean")? },
        "von_mises" => Law::VonMises { mu: take("mu")?, kappa: take("kappa")? },
        "gamma" => Law::Gamma { shape: take("shape")?, scale: take("scale")? },
        "beta" => Law::Beta { alpha: take("alpha")?, beta: take("beta")? },
        "pareto" => Law::Pareto { scale: take("scale")?, shape: take("shape")? },
        "weibull" => Law::Weibull { shape: take("shape")?, scale: take("scale")? },
        unknown => {
            let meant = nearest(unknown, &NAMES).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
            let problem = format!("`{}` is unknown", legible(unknown));
            return Err(Invalid::new("distribution", problem, format!("{meant}there are {}", NAMES.join(", "))));
        }
    })
}

/// The parameters that were written, of which each is taken once.
struct Parameters {
    of: String,
    left: BTreeMap<String, f64>,
    taken: Vec<&'static str>,
}

impl Parameters {
    fn take(&mut self, parameter: &'static str) -> Result<f64, Invalid> {
        self.taken.push(parameter);
        self.left.remove(parameter).ok_or_else(|| self.missing(parameter, "a number"))
    }

    fn missing(&self, parameter: &str, what: &str) -> Invalid {
        Invalid::new(&self.of, format!("`{parameter}` is missing"), format!("write {what}: `{parameter} = ...`"))
    }

    fn surplus(&self, parameter: &str) -> Invalid {
        let problem = format!("there is no `{}`", legible(parameter));
        Invalid::new(&self.of, problem, format!("it has {}", self.taken.join(", ")))
    }

    fn nothing_left(&self) -> Result<(), Invalid> {
        self.left.keys().next().map_or(Ok(()), |parameter| Err(self.surplus(parameter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, message: &str) {
        assert_eq!(toml::from_str::<Gaps>(text).unwrap_err().message(), message, "{text}");
    }

    #[test]
    fn an_unknown_distribution_is_refused_with_those_that_there_are() {
        let all = "there are constant, uniform, triangular, normal, lognormal, exponential, von_mises, gamma, beta, \
                   pareto, weibull, replay";
        check("distribution = \"gama\"", &format!("distribution: `gama` is unknown; did you mean `gamma`? {all}"));
        check("distribution = \"a\\u001bb\"", &format!("distribution: `a\\u{{1b}}b` is unknown; {all}"));
        check("mean = 1", "missing field `distribution`");
    }

    #[test]
    fn each_parameter_is_written_once_and_no_other() {
        check("distribution = \"gamma\"\nshape = 2", "gamma: `scale` is missing; write a number: `scale = ...`");
        let message = "gamma: there is no `mean`; it has shape, scale";
        check("distribution = \"gamma\"\nshape = 2\nscale = 1\nmean = 2", message);
        check("distribution = \"constant\"\nvalue = 2\nvalues = [1]", "constant: there is no `values`; it has value");
        check("distribution = \"replay\"", "replay: `values` is missing; write a list of seconds: `values = ...`");
        check("distribution = \"replay\"\nmean = 1", "replay: there is no `mean`; it has kind, values");
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused_with_what_is_allowed() {
        let message = "gamma: shape: -2 is out of range; a number, from 0.01 to 1000000";
        check("distribution = \"gamma\"\nshape = -2\nscale = 1", message);
        let message = "uniform: high: 1 is out of range; seconds, not below `low`, from 2 to 31536000";
        check("distribution = \"uniform\"\nlow = 2\nhigh = 1", message);
        let message = "triangular: mode: 5 is out of range; seconds, between `low` and `high`, from 1 to 3";
        check("distribution = \"triangular\"\nlow = 1\nhigh = 3\nmode = 5", message);
        let message = "normal: std_dev: NaN is out of range; seconds, from 0 to 31536000";
        check("distribution = \"normal\"\nmean = 2\nstd_dev = nan", message);
        let message = "von_mises: kappa: inf is out of range; a number, from 0 to 1000000";
        check("distribution = \"von_mises\"\nmu = 2\nkappa = inf", message);
        let message = "replay: values[1]: `NaN` is no number of seconds; write one like 0.25, at most 31536000";
        check("distribution = \"replay\"\nvalues = [1, nan]", message);
    }
}
