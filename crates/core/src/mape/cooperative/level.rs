//! How content an agent would be, reading at a node while there are so many replicas.

use crate::domain::goal::{Comparison, Goal, Threshold};
use crate::domain::metric::{Better, Metric};
use crate::mape::prediction::{Estimate, Forecast};

/// What the chance that the goal holds counts; the rest is how close the forecast comes, which orders what is hopeless.
const CHANCE_SHARE: f64 = 0.95;
/// A prediction weighs as much as this many outcomes, once they have refuted it.
const PRIOR_OUTCOMES: f64 = 4.0;

/// How jobs ended under the conditions that a forecast is for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Outcomes {
    /// Jobs that ran.
    pub ran: u32,
    /// Of these, how many missed the goal.
    pub violated: u32,
    /// Jobs besides these that could not run.
    pub failed: u32,
    /// What is left of the doubt that they raised: at most as many.
    pub doubt: f64,
}

/// 0 (hopeless) to 1 (the goal holds in every job).
pub fn level(goal: &Goal, forecast: &Forecast, outcomes: Outcomes) -> f64 {
    let chance = outcomes.corrected(chance(goal, forecast));
    CHANCE_SHARE * chance + (1.0 - CHANCE_SHARE) * closeness(goal, forecast)
}

/// The chance that a job meets the goal, with the bounds taken as independent of each other.
pub fn chance(goal: &Goal, forecast: &Forecast) -> f64 {
    match goal {
        Goal::Threshold(bound) => chance_of_bound(bound, forecast),
        Goal::All(parts) => parts.iter().map(|part| chance(part, forecast)).product(),
        Goal::Any(parts) => 1.0 - parts.iter().map(|part| 1.0 - chance(part, forecast)).product::<f64>(),
    }
}

impl Outcomes {
    /// The chance as it is, unless more jobs missed the goal than chance explains: then the model does not hold here.
    fn corrected(self, chance: f64) -> f64 {
        let (ran, violated, failed) = (f64::from(self.ran), f64::from(self.violated), f64::from(self.failed));
        let jobs = ran + failed;
        let explained = jobs * (1.0 - chance) + 1.0 + 2.0 * (jobs * chance * (1.0 - chance)).sqrt();
        match violated + failed > explained {
            true => (PRIOR_OUTCOMES * chance + ran - violated) / (PRIOR_OUTCOMES + ran + self.doubt),
            false => chance,
        }
    }
}

/// 0 for a metric that nothing is known of.
fn chance_of_bound(bound: &Threshold, forecast: &Forecast) -> f64 {
    let Some(below) = chance_below(bound, forecast) else { return 0.0 };
    match bound.comparison {
        Comparison::AtMost | Comparison::Below => below,
        Comparison::AtLeast | Comparison::Above => 1.0 - below,
    }
}

/// The chance of a value below the bound (at it, where the bound says so).
fn chance_below(bound: &Threshold, forecast: &Forecast) -> Option<f64> {
    let estimate = forecast.get(bound.metric)?;
    if bound.metric == Metric::Throughput {
        // Its own distribution is skewed; that of the execution time is not. Below so many records a second is above so long.
        let execution = forecast.get(Metric::ExecutionTime)?;
        let records = estimate.mean * execution.mean;
        return Some(1.0 - execution.chance_below(records / bound.value.max(f64::MIN_POSITIVE)));
    }
    if estimate.deviation > 0.0 {
        return Some(estimate.chance_below(bound.value));
    }
    let at_counts = matches!(bound.comparison, Comparison::AtMost | Comparison::Above);
    let is_below = if at_counts { estimate.mean <= bound.value } else { estimate.mean < bound.value };
    Some(f64::from(u8::from(is_below)))
}

/// How near the means come to the bounds, 0 to 1.
fn closeness(goal: &Goal, forecast: &Forecast) -> f64 {
    match goal {
        Goal::Threshold(bound) => closeness_to_bound(bound, forecast),
        Goal::All(parts) => parts.iter().map(|part| closeness(part, forecast)).sum::<f64>() / parts.len() as f64,
        Goal::Any(parts) => parts.iter().map(|part| closeness(part, forecast)).fold(0.0, f64::max),
    }
}

fn closeness_to_bound(bound: &Threshold, forecast: &Forecast) -> f64 {
    let Some(Estimate { mean, .. }) = forecast.get(bound.metric) else { return 0.0 };
    let ratio = match bound.metric.better() {
        Better::Lower => bound.value / mean.max(f64::MIN_POSITIVE),
        Better::Higher => mean / bound.value.max(f64::MIN_POSITIVE),
    };
    ratio.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(values: &[(Metric, f64, f64)]) -> Forecast {
        let mut forecast = Forecast::default();
        for &(metric, mean, deviation) in values {
            forecast.set(metric, Estimate { mean, deviation });
        }
        forecast
    }

    fn check(goal: &str, values: &[(Metric, f64, f64)], expected: f64) {
        let found = chance(&goal.parse().unwrap(), &forecast(values));
        assert!((found - expected).abs() < 1e-6, "{goal}: {found} instead of {expected}");
    }

    #[test]
    fn what_is_declared_holds_or_does_not() {
        let declared = [(Metric::Availability, 95.0, 0.0), (Metric::DataConsistency, 0.5, 0.0)];
        check("availability >= 95 %", &declared, 1.0);
        check("availability > 95 %", &declared, 0.0);
        check("availability <= 95 %", &declared, 1.0);
        check("availability < 95 %", &declared, 0.0);
        check("data_consistency >= 0.7", &declared, 0.0);
    }

    #[test]
    fn what_is_measured_holds_with_a_chance() {
        let times = [(Metric::ResponseTime, 34.0, 1.0), (Metric::NetworkLatency, 1300.0, 10.0)];
        check("response_time <= 35 s", &times, 0.841_344_75);
        check("response_time >= 35 s", &times, 0.158_655_25);
        check("response_time <= 35 s and network_latency <= 1300 ms", &times, 0.420_672_37);
        check("response_time <= 35 s or network_latency <= 1300 ms", &times, 0.920_672_37);
        check("execution_time <= 35 s", &times, 0.0);
    }

    #[test]
    fn throughput_is_judged_by_the_execution_time() {
        // 100 records: at least 10 a second is at most 10 s.
        let fast = [(Metric::Throughput, 100.0 / 9.0, 5.0), (Metric::ExecutionTime, 9.0, 1.0)];
        check("throughput >= 10 records/s", &fast, 0.841_344_75);
        check("throughput <= 10 records/s", &fast, 0.158_655_25);
    }

    #[test]
    fn a_model_that_outcomes_refute_is_not_believed() {
        let check = |chance: f64, ran, violated, expected: f64| {
            let found = Outcomes { ran, violated, ..Outcomes::default() }.corrected(chance);
            assert!((found - expected).abs() < 1e-12, "{chance}, {violated} of {ran}: {found}");
        };
        check(1.0, 0, 0, 1.0);
        check(1.0, 10, 1, 1.0);
        check(1.0, 10, 2, 12.0 / 14.0);
        check(0.5, 10, 9, 0.5);
        check(0.5, 10, 10, 2.0 / 14.0);
        let failed = |failed, doubt| Outcomes { ran: 6, violated: 0, failed, doubt }.corrected(1.0);
        assert_eq!((failed(1, 1.0), failed(4, 4.0), failed(4, 0.5)), (1.0, 10.0 / 14.0, 10.0 / 10.5));
    }

    #[test]
    fn hopeless_choices_are_ordered_by_how_close_they_come() {
        let goal = "response_time <= 10 s".parse().unwrap();
        let level = |mean| level(&goal, &forecast(&[(Metric::ResponseTime, mean, 0.1)]), Outcomes::default());
        assert!((level(20.0) - 0.025).abs() < 1e-9);
        assert!(level(40.0) < level(20.0) && level(20.0) < level(5.0) && level(5.0) <= 1.0);
    }
}
