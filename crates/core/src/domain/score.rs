//! How much an action promises: its internal score for one goal, and the global score that others' answers leave of it.
//!
//! # The rule for any goal
//!
//! The published system scores three forms of goals by hand. They are cases of one rule. Each bound of a violated goal is
//! either *pursued* (the action should mend it) or *protected* (the action should not harm it):
//!
//! * a violated bound is pursued, a bound that holds is protected;
//! * in `all`, each part is treated by itself;
//! * in a violated `any`, one branch is pursued ([`Pursue`] says which) and each other branch is protected;
//! * a protected group counts as one: `all` by the part that is hurt most, `any` by the branch that is hurt least.
//!
//! With P the mean of the pursued impacts and Q the most negative of the protected ones (0 when none is negative):
//! `f = w1 * P + w2 * Q`, where w1 = w2 = 1, but 0.7 and 0.3 as soon as a protected impact is negative, or a pursued one of an
//! `all` is. Where nothing is protected, `f = P`.

use super::goal::Goal;
use super::impact::Impacts;
use super::metric::{Metric, Metrics};
use super::truncate;
use serde::{Deserialize, Serialize};

/// Which branch of a violated `any` an action is judged by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pursue {
    /// The one that was written last, as published.
    LastBranch,
    /// The one that the action improves most; the last one when it improves none.
    MostImproved,
}

impl Pursue {
    pub const ALL: [Pursue; 2] = [Pursue::LastBranch, Pursue::MostImproved];
}

const WEIGHT_PURSUED: f64 = 0.7;
const WEIGHT_PROTECTED: f64 = 0.3;

/// An action's effect on a violated goal, in its parts.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Appraisal {
    /// Mean impact on the bounds to be mended.
    pub pursued: f64,
    /// The most negative impact on what must not be harmed; 0 when nothing is.
    pub protected: f64,
    /// `f`: both, weighted.
    pub value: f64,
}

/// What the bounds of a violated goal are to any action: found once, for a decision may have thousands of candidates.
#[derive(Clone, Debug)]
pub struct Roles<'g> {
    goal: &'g Goal,
    /// Every metric of the goal, with no meaning in its value.
    mentioned: Metrics,
    roles: Vec<Role<'g>>,
}

#[derive(Clone, Debug)]
enum Role<'g> {
    Pursued {
        metric: Metric,
        inside_all: bool,
    },
    Protected(&'g Goal),
    /// A violated `any`: which branch is pursued depends on the action. All of them are violated.
    Choice(Vec<Branch<'g>>),
}

#[derive(Clone, Debug)]
struct Branch<'g> {
    goal: &'g Goal,
    /// If this branch is the one that is pursued.
    roles: Vec<Role<'g>>,
}

impl<'g> Roles<'g> {
    pub fn new(goal: &'g Goal, measured: &Metrics) -> Self {
        let mentioned = goal.thresholds().into_iter().map(|bound| (bound.metric, 0.0)).collect();
        Self { goal, mentioned, roles: roles(goal, measured, false) }
    }

    /// Whether anything that the metric does matters.
    pub fn mention(&self, metric: Metric) -> bool {
        self.mentioned.get(metric).is_some()
    }

    /// Appraises an action. `Err` names a metric of the goal for which no impact is known.
    pub fn appraise(&self, impacts: &Impacts, pursue: Pursue) -> Result<Appraisal, Metric> {
        if !impacts.know_all_of(&self.mentioned)
            && let Some(unknown) = self.goal.find(&|bound| impacts.get(bound.metric).is_none())
        {
            return Err(unknown.metric);
        }
        let mut tally = Tally { impacts, pursue, pursued: (0, 0.0), protected: (0, 0.0), harmed: false };
        tally.take(&self.roles);
        Ok(tally.appraisal())
    }
}

fn roles<'g>(goal: &'g Goal, measured: &Metrics, inside_all: bool) -> Vec<Role<'g>> {
    if goal.holds(measured) {
        return vec![Role::Protected(goal)];
    }
    match goal {
        Goal::Threshold(bound) => vec![Role::Pursued { metric: bound.metric, inside_all }],
        Goal::All(parts) => parts.iter().flat_map(|part| roles(part, measured, true)).collect(),
        Goal::Any(parts) => {
            let branch = |part: &'g Goal| Branch { goal: part, roles: roles(part, measured, false) };
            vec![Role::Choice(parts.iter().map(branch).collect())]
        }
    }
}

/// `f / cost`, cut to two decimals.
pub fn internal(value: f64, cost: f64) -> f64 {
    truncate(value / cost, 2)
}

/// The published global score: each point of the action's counter takes a share of `penalty` away. Negative from the point
/// where `penalty * counter` exceeds 1, which turns the order around (flaw 1).
pub fn global_published(internal: f64, counter: u32, penalty: f64) -> f64 {
    internal * (1.0 - penalty * f64::from(counter))
}

/// Weakens without ever turning the sign: a promise shrinks, a threat grows.
pub fn global_damped(internal: f64, counter: u32, penalty: f64) -> f64 {
    // Most have none.
    if counter == 0 {
        return internal;
    }
    let damping = 1.0 + penalty * f64::from(counter);
    if internal > 0.0 { internal / damping } else { internal * damping }
}

/// One action's impacts, added up by role; without a list, which would have to be allocated for each action.
struct Tally<'a> {
    impacts: &'a Impacts,
    pursue: Pursue,
    /// How many, and their sum.
    pursued: (u32, f64),
    /// How many, and the most negative, 0 when none is.
    protected: (u32, f64),
    harmed: bool,
}

impl Tally<'_> {
    fn take(&mut self, roles: &[Role]) {
        for role in roles {
            match role {
                Role::Pursued { metric, inside_all } => {
                    let value = self.impact(*metric);
                    self.harmed |= *inside_all && value < 0.0;
                    self.pursued = (self.pursued.0 + 1, self.pursued.1 + value);
                }
                Role::Protected(goal) => self.protect(goal),
                Role::Choice(branches) => {
                    let chosen = self.branch(branches);
                    for (i, branch) in branches.iter().enumerate() {
                        if i == chosen { self.take(&branch.roles) } else { self.protect(branch.goal) }
                    }
                }
            }
        }
    }

    fn branch(&self, branches: &[Branch]) -> usize {
        let last = branches.len() - 1;
        match self.pursue {
            Pursue::LastBranch => last,
            Pursue::MostImproved => {
                let gains = branches.iter().map(|branch| self.protected_value(branch.goal)).enumerate();
                let best = gains.filter(|(_, gain)| *gain > 0.0).max_by(|a, b| a.1.total_cmp(&b.1));
                best.map_or(last, |(branch, _)| branch)
            }
        }
    }

    fn protect(&mut self, goal: &Goal) {
        let value = self.protected_value(goal);
        self.harmed |= value < 0.0;
        self.protected = (self.protected.0 + 1, self.protected.1.min(value));
    }

    fn protected_value(&self, goal: &Goal) -> f64 {
        match goal {
            Goal::Threshold(bound) => self.impact(bound.metric),
            Goal::All(parts) => parts.iter().map(|part| self.protected_value(part)).fold(f64::INFINITY, f64::min),
            Goal::Any(parts) => parts.iter().map(|part| self.protected_value(part)).fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// Known for every metric of the goal: [`Roles::appraise`] has checked it.
    fn impact(&self, metric: Metric) -> f64 {
        self.impacts.get(metric).unwrap_or(0.0)
    }

    fn appraisal(&self) -> Appraisal {
        let pursued = match self.pursued {
            (0, _) => 0.0,
            (n, sum) => sum / f64::from(n),
        };
        let (count, protected) = self.protected;
        let value = match (count == 0, self.harmed) {
            (true, _) => pursued,
            (false, false) => pursued + protected,
            (false, true) => WEIGHT_PURSUED * pursued + WEIGHT_PROTECTED * protected,
        };
        Appraisal { pursued, protected, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(goal: &str, measured: &[(Metric, f64)], impacts: &[(Metric, f64)], value: f64) {
        let goal: Goal = goal.parse().unwrap();
        let (measured, impacts) = (measured.iter().copied().collect(), impacts.iter().copied().collect());
        let appraisal = Roles::new(&goal, &measured).appraise(&impacts, Pursue::LastBranch);
        let found = appraisal.unwrap().value;
        assert!((found - value).abs() < 1e-12, "{goal}: {found} instead of {value}");
    }

    #[test]
    fn three_bounds_pursue_the_violated_and_protect_the_rest() {
        use Metric::*;
        let goal = "response_time <= 35 s and throughput >= 100 records/s and availability >= 95 %";
        let measured = [(ResponseTime, 40.0), (Throughput, 50.0), (Availability, 97.0)];
        check(goal, &measured, &[(ResponseTime, 0.8), (Throughput, 0.4), (Availability, 0.2)], 0.6);
        let hurt = 0.7 * 0.6 - 0.3 * 0.5;
        check(goal, &measured, &[(ResponseTime, 0.8), (Throughput, 0.4), (Availability, -0.5)], hurt);
    }

    #[test]
    fn a_single_bound_is_its_impact() {
        check("response_time <= 35 s", &[(Metric::ResponseTime, 40.0)], &[(Metric::ResponseTime, -0.4)], -0.4);
    }

    #[test]
    fn an_evict_can_mend_consistency_when_the_best_branch_is_pursued() {
        let goal: Goal = "data_consistency >= 0.7 or network_latency <= 1300 ms".parse().unwrap();
        let measured = Metrics::default().with(Metric::DataConsistency, 0.5).with(Metric::NetworkLatency, 1500.0);
        let evict = Impacts::default().with(Metric::DataConsistency, 0.6).with(Metric::NetworkLatency, 0.0);
        let roles = Roles::new(&goal, &measured);
        assert_eq!(roles.appraise(&evict, Pursue::MostImproved).unwrap().value, 0.6);
        assert_eq!(roles.appraise(&evict, Pursue::LastBranch).unwrap().value, 0.0);
    }

    #[test]
    fn an_impact_that_nobody_knows_is_named() {
        let goal: Goal = "availability >= 95 %".parse().unwrap();
        assert_eq!(
            Roles::new(&goal, &Metrics::default()).appraise(&Impacts::default(), Pursue::LastBranch),
            Err(Metric::Availability)
        );
    }

    #[test]
    fn damping_keeps_the_sign_for_ever() {
        assert!(global_published(-0.49, 4, 0.33) > 0.0);
        assert!(global_damped(-0.49, 4, 0.33) < 0.0);
        assert!(global_damped(0.49, 1000, 0.33) > 0.0);
    }

    #[test]
    fn the_worst_of_what_is_protected_counts_wherever_it_is_written() {
        use Metric::*;
        let goal = "response_time <= 35 s and throughput >= 10 records/s and availability >= 95 %";
        let measured = [(ResponseTime, 40.0), (Throughput, 50.0), (Availability, 97.0)];
        let value = 0.7 * 0.8 - 0.3 * 0.5;
        check(goal, &measured, &[(ResponseTime, 0.8), (Throughput, -0.5), (Availability, -0.25)], value);
        check(goal, &measured, &[(ResponseTime, 0.8), (Throughput, -0.25), (Availability, -0.5)], value);
    }

    #[test]
    fn a_pursued_branch_that_gets_worse_is_weighted_only_within_an_all() {
        use Metric::*;
        let goal = "data_consistency >= 0.7 or network_latency <= 1300 ms";
        let measured = [(DataConsistency, 0.5), (NetworkLatency, 1500.0)];
        check(goal, &measured, &[(DataConsistency, 0.2), (NetworkLatency, -0.4)], -0.4);
        let goal = "response_time <= 35 s and execution_time <= 5 s";
        let measured = [(ResponseTime, 40.0), (ExecutionTime, 9.0)];
        check(goal, &measured, &[(ResponseTime, 0.8), (ExecutionTime, -0.4)], 0.2);
    }

    #[test]
    fn where_no_branch_improves_the_last_one_is_pursued() {
        use Metric::*;
        let goal: Goal = "data_consistency >= 0.7 or network_latency <= 1300 ms".parse().unwrap();
        let measured = Metrics::default().with(DataConsistency, 0.5).with(NetworkLatency, 1500.0);
        let impacts = Impacts::default().with(DataConsistency, 0.0).with(NetworkLatency, -0.5);
        let appraisal = Roles::new(&goal, &measured).appraise(&impacts, Pursue::MostImproved).unwrap();
        assert_eq!(appraisal, Appraisal { pursued: -0.5, protected: 0.0, value: -0.5 });
    }
}
