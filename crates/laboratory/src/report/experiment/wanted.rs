//! Which runs somebody wants to see.

use super::{Experiment, Run, show_factors};
use std::fmt;
use std::str::FromStr;

/// A run by its number, or by what it is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    Id(i64),
    /// With every variant of the factors.
    Named {
        scenario: String,
        policy: String,
        seed: u64,
    },
}

/// The text names no run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` names no run; write its number, or SCENARIO/POLICY/SEED like published/cooperative/7")]
pub struct NoRun(String);

impl FromStr for Wanted {
    type Err = NoRun;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoRun(text.to_owned());
        if let Ok(id) = text.parse() {
            return Ok(Wanted::Id(id));
        }
        // From the right: a scenario may be named like a file.
        let (rest, seed) = text.rsplit_once('/').ok_or_else(wrong)?;
        let (scenario, policy) = rest.rsplit_once('/').ok_or_else(wrong)?;
        let seed = seed.parse().map_err(|_| wrong())?;
        Ok(Wanted::Named { scenario: scenario.to_owned(), policy: policy.to_owned(), seed })
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Id(id) => id.fmt(f),
            Wanted::Named { scenario, policy, seed } => write!(f, "{scenario}/{policy}/{seed}"),
        }
    }
}

impl Wanted {
    fn is(&self, run: &Run) -> bool {
        match self {
            Wanted::Id(id) => run.id == *id,
            Wanted::Named { scenario, policy, seed } => {
                run.scenario == *scenario && run.policy == *policy && run.seed == *seed
            }
        }
    }

    /// The runs that are meant; empty when there are none.
    pub fn find<'a>(&self, experiment: &'a Experiment) -> Vec<&'a Run> {
        experiment.runs.iter().filter(|run| self.is(run)).collect()
    }
}

/// A run's name for people: `cooperative, seed 7` and its factors.
pub fn name(run: &Run) -> String {
    let factors = show_factors(&run.factors.0);
    let factors = if factors.is_empty() { factors } else { format!(", {factors}") };
    format!("{} in {}{factors}, seed {}", run.policy, run.scenario, run.seed)
}

#[cfg(test)]
mod tests {
    use super::super::comparison::tests::experiment;
    use super::*;

    #[test]
    fn a_run_is_named_by_number_or_by_what_it_is_of() {
        let named = |scenario: &str, policy: &str, seed| Wanted::Named {
            scenario: scenario.to_owned(),
            policy: policy.to_owned(),
            seed,
        };
        let check = |text: &str, wanted: Wanted| {
            assert_eq!(text.parse::<Wanted>(), Ok(wanted.clone()));
            assert_eq!(wanted.to_string(), text);
        };
        check("42", Wanted::Id(42));
        check("published/q-learning/7", named("published", "q-learning", 7));
        check("my/own/fixed/0", named("my/own", "fixed", 0));
        for wrong in ["", "published", "published/7", "published/fixed/x"] {
            assert_eq!(wrong.parse::<Wanted>(), Err(NoRun(wrong.to_owned())));
        }
    }

    #[test]
    fn what_is_wanted_is_found() {
        let runs = experiment("published", &[("fixed", &[1, 2]), ("none", &[3])]);
        let ids =
            |text: &str| -> Vec<i64> { text.parse::<Wanted>().unwrap().find(&runs).iter().map(|run| run.id).collect() };
        assert_eq!(ids("2"), [2]);
        assert_eq!(ids("published/none/1"), [3]);
        assert!(ids("published/none/2").is_empty());
    }
}
