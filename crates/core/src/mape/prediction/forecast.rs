//! What a job is expected to measure at a node.

use super::Estimate;
use crate::domain::impact::{self, Impacts, Rho};
use crate::domain::metric::{Metric, Metrics};
use serde::{Deserialize, Serialize};

/// An estimate for each metric that something is known of, in the metric's own unit.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Forecast {
    pub means: Metrics,
    /// Standard deviations.
    pub deviations: Metrics,
}

impl Forecast {
    pub fn get(&self, metric: Metric) -> Option<Estimate> {
        Some(Estimate { mean: self.means.get(metric)?, deviation: self.deviations.get(metric)? })
    }

    /// States what is expected of a metric, unless that is no number.
    pub fn set(&mut self, metric: Metric, estimate: Estimate) {
        if estimate.mean.is_finite() && estimate.deviation.is_finite() {
            self.means.set(metric, estimate.mean);
            self.deviations.set(metric, estimate.deviation);
        }
    }
}

/// A forecast that many others are held against, metric by metric: the estimate, and its scale.
#[derive(Clone, PartialEq, Debug)]
pub struct Baseline(Vec<(Metric, Estimate, f64)>);

impl Baseline {
    /// Of the metrics that are known and in `rho`.
    pub fn new(here: &Forecast, rho: &Rho) -> Self {
        Self(rho.iter().filter_map(|(metric, rho)| Some((metric, here.get(metric)?, rho))).collect())
    }

    /// The impacts of reading at `there` instead, for the metrics known at both. Absent where the estimates leave open both
    /// whether the difference is large and which way it goes: nobody should act on that.
    pub fn impacts(&self, there: &Forecast) -> Impacts {
        let mut impacts = Impacts::default();
        for (metric, before, rho) in &self.0 {
            let Some(after) = there.get(*metric) else { continue };
            let variance = before.deviation * before.deviation + after.deviation * after.deviation;
            let difference = after.mean - before.mean;
            if variance <= rho * rho || variance <= difference * difference {
                impacts.set(*metric, impact::impact(*metric, before.mean, after.mean, *rho));
            }
        }
        impacts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(mean: f64, deviation: f64) -> Forecast {
        let mut forecast = Forecast::default();
        forecast.set(Metric::ResponseTime, Estimate { mean, deviation });
        forecast
    }

    fn check(before: Forecast, after: Forecast, expected: Option<f64>) {
        let rho = Metrics::default().with(Metric::ResponseTime, 40.0).with(Metric::Availability, 25.0);
        assert_eq!(Baseline::new(&before, &rho).impacts(&after).get(Metric::ResponseTime), expected);
    }

    #[test]
    fn impacts_follow_from_both_forecasts() {
        // atan(20 * pi/2 / 40) = 0.6657
        check(forecast(20.0, 1.0), forecast(40.0, 1.0), Some(-0.665));
        check(forecast(40.0, 1.0), forecast(20.0, 1.0), Some(0.665));
        check(forecast(40.0, 1.0), Forecast::default(), None);
    }

    #[test]
    fn a_difference_of_unknown_size_and_sign_is_no_impact() {
        check(forecast(20.0, 1.0), forecast(40.0, 50.0), None);
        check(forecast(20.0, 1.0), forecast(400.0, 50.0), Some(-1.0));
        // Nothing large either way: it is known that there is hardly an impact.
        check(forecast(20.0, 5.0), forecast(21.0, 5.0), Some(-0.039));
    }

    #[test]
    fn what_is_no_number_is_not_expected() {
        assert_eq!(forecast(f64::INFINITY, 0.0), Forecast::default());
        assert_eq!(forecast(1.0, f64::NAN), Forecast::default());
    }
}
