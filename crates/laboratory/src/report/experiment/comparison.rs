//! Policies against each other, scenario by scenario.
//!
//! Runs are compared within a case: a scenario with one variant of each factor. Seeds pair them, for chance is the same for all
//! policies of a seed.

use super::measures::MEASURES;
use super::{Experiment, Factors, Run};
use crate::report::palette;
use crate::report::statistics::{Bootstrap, Estimate};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// All cases, in the order of their names.
#[derive(Clone, PartialEq, Debug)]
pub struct Comparison<'a> {
    pub cases: Vec<Case<'a>>,
    /// All policies, as they are listed.
    pub policies: Vec<&'a str>,
}

/// A scenario with one variant of each factor.
#[derive(Clone, PartialEq, Debug)]
pub struct Case<'a> {
    pub scenario: &'a str,
    pub factors: &'a Factors,
    /// How long the longest of its runs is.
    pub hours: f64,
    /// How many seeds any policy was run with.
    pub seeds: usize,
    /// Best first.
    pub contenders: Vec<Contender<'a>>,
    pub baseline: Baseline<'a>,
    /// `None`: nobody but yardsticks was run.
    pub verdict: Option<Verdict>,
}

/// A policy in a case.
#[derive(Clone, PartialEq, Debug)]
pub struct Contender<'a> {
    pub policy: &'a str,
    /// It knows the future.
    pub is_yardstick: bool,
    /// By seed.
    pub runs: Vec<&'a Run>,
    pub violated: Estimate,
    /// Violated jobs more than the baseline's with the same seed; `None`: no seed in common.
    pub regret: Option<Estimate>,
    /// As [`MEASURES`] lists them.
    pub measures: Vec<Option<Estimate>>,
}

/// What regret is counted against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Baseline<'a> {
    Oracle,
    /// There was no oracle: the policy with the fewest violated jobs.
    Best(&'a str),
}

/// Who won. Numbers are places in the case's contenders.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    pub winner: usize,
    pub next: Option<usize>,
    /// Violated jobs that the next has more than the winner with the same seed.
    pub difference: Option<Estimate>,
    /// Rivals whose interval is not apart from the winner's.
    pub level: Vec<usize>,
}

impl Verdict {
    /// Every rival's interval lies above the winner's.
    pub fn is_apart(&self) -> bool {
        self.next.is_some() && self.level.is_empty()
    }
}

impl Baseline<'_> {
    pub fn name(&self) -> &str {
        match self {
            Baseline::Oracle => "oracle",
            Baseline::Best(policy) => policy,
        }
    }
}

impl<'a> Comparison<'a> {
    pub fn of(experiment: &'a Experiment) -> Self {
        let mut cases: BTreeMap<(Natural<'a>, &'a Factors), BTreeMap<&'a str, Vec<&'a Run>>> = BTreeMap::new();
        for run in &experiment.runs {
            let case = cases.entry((Natural(&run.scenario), &run.factors.0)).or_default();
            case.entry(&run.policy).or_default().push(run);
        }
        let mut bootstrap = Bootstrap::default();
        let mut policies: Vec<&str> =
            cases.values().flat_map(|case| case.keys().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        policies.sort_by_key(|policy| (palette::rank(policy), *policy));
        let mut compared = Vec::with_capacity(cases.len());
        for ((scenario, factors), runs) in cases {
            compared.push(Case::of(scenario.0, factors, runs, &mut bootstrap));
        }
        Self { cases: compared, policies }
    }

    /// The case that a run belongs to.
    pub fn case_of(&self, run: &Run) -> Option<&Case<'a>> {
        self.cases.iter().find(|case| case.scenario == run.scenario && *case.factors == run.factors.0)
    }
}

impl<'a> Case<'a> {
    fn of(
        scenario: &'a str,
        factors: &'a Factors,
        runs: BTreeMap<&'a str, Vec<&'a Run>>,
        bootstrap: &mut Bootstrap,
    ) -> Self {
        let seeds: BTreeSet<u64> = runs.values().flatten().map(|run| run.seed).collect();
        let hours = runs.values().flatten().map(|run| run.hours).fold(0.0, f64::max);
        let mut contenders: Vec<Contender> =
            runs.into_iter().filter_map(|(policy, runs)| Contender::of(policy, runs, bootstrap)).collect();
        contenders.sort_by(Contender::order);
        let oracle = contenders.iter().find(|contender| contender.policy == "oracle");
        let best = oracle.or(contenders.first());
        let baseline = match (oracle, best) {
            (None, Some(best)) => Baseline::Best(best.policy),
            _ => Baseline::Oracle,
        };
        let best = best.map(Contender::by_seed).unwrap_or_default();
        for contender in &mut contenders {
            contender.regret = bootstrap.mean(&contender.more_than(&best));
        }
        let verdict = verdict(&contenders, bootstrap);
        Self { scenario, factors, hours, seeds: seeds.len(), contenders, baseline, verdict }
    }

    pub fn winner(&self) -> Option<&Contender<'a>> {
        self.contenders.get(self.verdict.as_ref()?.winner)
    }

    pub fn contender(&self, policy: &str) -> Option<&Contender<'a>> {
        self.contenders.iter().find(|contender| contender.policy == policy)
    }
}

impl<'a> Contender<'a> {
    fn of(policy: &'a str, mut runs: Vec<&'a Run>, bootstrap: &mut Bootstrap) -> Option<Self> {
        runs.sort_by_key(|run| (run.seed, run.id));
        let violated: Vec<f64> = runs.iter().map(|run| run.violated as f64).collect();
        let mut estimate = |of: fn(&Run) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(|run| of(run)).collect();
            bootstrap.mean(&values)
        };
        let measures = MEASURES.iter().map(|measure| estimate(measure.of)).collect();
        let violated = bootstrap.mean(&violated)?;
        let is_yardstick = palette::is_yardstick(policy);
        Some(Self { policy, is_yardstick, runs, violated, regret: None, measures })
    }

    /// Fewer violated jobs first; of as many, what cost less, and then as policies are listed.
    fn order(&self, other: &Self) -> Ordering {
        let cost = |contender: &Self| {
            let costs: f64 = contender.runs.iter().map(|run| run.action_cost).sum();
            costs / contender.runs.len().max(1) as f64
        };
        let by_violated = self.violated.mean.total_cmp(&other.violated.mean);
        let by_cost = || cost(self).total_cmp(&cost(other));
        let by_name = || palette::rank(self.policy).cmp(&palette::rank(other.policy));
        by_violated.then_with(by_cost).then_with(by_name).then_with(|| self.policy.cmp(other.policy))
    }

    fn by_seed(&self) -> BTreeMap<u64, u64> {
        self.runs.iter().map(|run| (run.seed, run.violated)).collect()
    }

    /// Violated jobs more than others with the same seed.
    fn more_than(&self, others: &BTreeMap<u64, u64>) -> Vec<f64> {
        self.runs.iter().filter_map(|run| Some(run.violated as f64 - *others.get(&run.seed)? as f64)).collect()
    }

    /// The run in the middle when they are ordered by violated jobs.
    pub fn typical(&self) -> Option<&'a Run> {
        let mut runs = self.runs.clone();
        runs.sort_by_key(|run| (run.violated, run.actions, run.seed, run.id));
        runs.get(runs.len() / 2).copied()
    }
}

fn verdict(contenders: &[Contender], bootstrap: &mut Bootstrap) -> Option<Verdict> {
    let mut rivals = (0..contenders.len()).filter(|index| !contenders[*index].is_yardstick);
    let winner = rivals.next()?;
    let others: Vec<usize> = rivals.collect();
    let next = others.first().copied();
    let seeds = contenders[winner].by_seed();
    let difference = next.and_then(|next| bootstrap.mean(&contenders[next].more_than(&seeds)));
    let high = contenders[winner].violated.high();
    let level = others.into_iter().filter(|index| contenders[*index].violated.low() <= high).collect();
    Some(Verdict { winner, next, difference, level })
}

/// Text in which numbers count as numbers: `nodes_30` comes before `nodes_100`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Natural<'a>(&'a str);

impl Natural<'_> {
    fn key(&self) -> Vec<(&str, usize, &str)> {
        let mut parts = Vec::new();
        let mut rest = self.0;
        while !rest.is_empty() {
            let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let digits = rest[text..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - text);
            let number = rest[text..text + digits].trim_start_matches('0');
            parts.push((&rest[..text], number.len(), number));
            rest = &rest[text + digits..];
        }
        parts
    }
}

impl Ord for Natural<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key()).then_with(|| self.0.cmp(other.0))
    }
}

impl PartialOrd for Natural<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::results::Head;

    /// Runs of one scenario: a policy, and its violated jobs with seeds 1, 2, 3, ...
    pub fn experiment(scenario: &str, policies: &[(&str, &[u64])]) -> Experiment {
        let mut runs = Vec::new();
        for (policy, violated) in policies {
            for (seed, violated) in (1..).zip(violated.iter()) {
                let id = runs.len() as i64 + 1;
                let (scenario, policy) = (scenario.to_owned(), (*policy).to_owned());
                let run =
                    Run { id, scenario, policy, seed, violated: *violated, jobs: 1000, hours: 4.0, ..Run::default() };
                runs.push(run);
            }
        }
        Experiment { head: Head { name: "lab".to_owned(), ..Head::default() }, runs }
    }

    fn names<'a>(case: &Case<'a>) -> Vec<&'a str> {
        case.contenders.iter().map(|contender| contender.policy).collect()
    }

    #[test]
    fn regret_is_counted_seed_by_seed_against_the_oracle() {
        let runs = experiment("published", &[("fixed", &[12, 8, 5]), ("oracle", &[2, 1]), ("oracle-late", &[3, 3, 3])]);
        let comparison = Comparison::of(&runs);
        let case = &comparison.cases[0];
        assert_eq!(
            (case.baseline, case.seeds, names(case)),
            (Baseline::Oracle, 3, vec!["oracle", "oracle-late", "fixed"])
        );
        let regret = case.contender("fixed").unwrap().regret.unwrap();
        assert_eq!((regret.values, regret.mean), (2, 8.5), "the third seed has no oracle");
        assert_eq!(case.contender("oracle").unwrap().regret.unwrap().mean, 0.0);
    }

    #[test]
    fn without_an_oracle_the_best_policy_is_the_baseline() {
        let runs = experiment("published", &[("fixed", &[12, 8]), ("cooperative", &[1, 2])]);
        let comparison = Comparison::of(&runs);
        let case = &comparison.cases[0];
        assert_eq!(case.baseline, Baseline::Best("cooperative"));
        assert_eq!(case.contender("fixed").unwrap().regret.unwrap().mean, 8.5);
    }

    #[test]
    fn a_yardstick_does_not_win_and_level_rivals_are_named() {
        let policies: [(&str, &[u64]); 4] = [
            ("oracle", &[0, 0, 0, 0]),
            ("cooperative", &[1, 2, 1, 2]),
            ("ucb", &[1, 3, 2, 1]),
            ("random", &[40, 50, 45, 41]),
        ];
        let runs = experiment("published", &policies);
        let comparison = Comparison::of(&runs);
        let case = &comparison.cases[0];
        let verdict = case.verdict.as_ref().unwrap();
        assert_eq!(case.winner().unwrap().policy, "cooperative");
        assert_eq!((verdict.next, verdict.level.as_slice(), verdict.is_apart()), (Some(2), [2].as_slice(), false));
        assert_eq!(verdict.difference.unwrap().mean, 0.25);
        let without = experiment("published", &[policies[1], policies[3]]);
        assert!(Comparison::of(&without).cases[0].verdict.as_ref().unwrap().is_apart());
        let alone = experiment("published", &[policies[0]]);
        assert_eq!(Comparison::of(&alone).cases[0].verdict, None);
    }

    #[test]
    fn as_few_violations_at_less_cost_win() {
        let mut runs = experiment("published", &[("greedy", &[1, 2]), ("vote", &[2, 1])]);
        runs.runs.iter_mut().for_each(|run| run.action_cost = if run.policy == "vote" { 1.0 } else { 3.0 });
        assert_eq!(Comparison::of(&runs).cases[0].winner().unwrap().policy, "vote");
    }

    #[test]
    fn scenarios_and_factors_are_kept_apart_and_in_order() {
        let mut all = experiment("nodes_100", &[("fixed", &[1])]);
        all.runs.extend(experiment("nodes_30", &[("fixed", &[1]), ("none", &[4])]).runs);
        let noisy = Factors::from([("noise".to_owned(), "x3".to_owned())]);
        all.runs.extend(experiment("nodes_30", &[("fixed", &[2])]).runs.into_iter().map(|mut run| {
            run.factors.0 = noisy.clone();
            run
        }));
        let comparison = Comparison::of(&all);
        let cases: Vec<(&str, usize)> =
            comparison.cases.iter().map(|case| (case.scenario, case.factors.len())).collect();
        assert_eq!(cases, [("nodes_30", 0), ("nodes_30", 1), ("nodes_100", 0)]);
        assert_eq!(comparison.policies, ["none", "fixed"]);
    }

    #[test]
    fn the_typical_run_is_the_one_in_the_middle() {
        let runs = experiment("published", &[("fixed", &[12, 8, 50, 9, 11])]);
        assert_eq!(Comparison::of(&runs).cases[0].contenders[0].typical().unwrap().violated, 11);
    }
}
