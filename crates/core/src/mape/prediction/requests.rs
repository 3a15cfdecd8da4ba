//! What the requests to a service would come to at a node.
//!
//! A window of requests is predicted by the request, whatever their number: the mean by the models of a job's times, what 95 and 99
//! of 100 do not exceed by models of their own, for tails grow with a link as means do, only faster. How many fail is what was seen of
//! the node; how many are answered is how many were asked, less those.

use super::{Conditions, DurationModel, Estimate, Forecast, point};
use crate::domain::ids::NodeId;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::time::Timestamp;
use std::collections::BTreeMap;

/// What is left of a node's error rate with each further window without errors: one bad minute is forgotten in time.
const KEPT: f64 = 0.7;

/// One service, at every node.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    p95: DurationModel,
    p99: DurationModel,
    /// Of each node where any were measured \[%\].
    errors: BTreeMap<NodeId, f64>,
    /// In each second of the latest window, answered or not.
    asked_per_s: Option<f64>,
    /// Nobody asked in the latest window.
    is_asleep: bool,
}

impl Requests {
    /// A window that is believed: of the training.
    pub fn trained<'a>(windows: impl Iterator<Item = (NodeId, &'a Metrics)> + Clone) -> Option<Self> {
        let points = |metric| windows.clone().filter_map(move |(node, it)| Some((node, point(it, None, metric)?)));
        let tail = |metric| DurationModel::new(points(metric));
        let (p95, p99) = (tail(Metric::ResponseTimeP95), tail(Metric::ResponseTimeP99));
        let mut requests = Self { p95, p99, ..Self::default() };
        windows.filter(|(_, window)| are_shown_by(window)).for_each(|(node, window)| requests.counted(node, window));
        requests.asked_per_s.is_some().then_some(requests)
    }

    /// A window has ended.
    pub fn measured(&mut self, node: NodeId, window: &Metrics, at: Timestamp) {
        let tails = [(&mut self.p95, Metric::ResponseTimeP95), (&mut self.p99, Metric::ResponseTimeP99)];
        for (model, metric) in tails {
            point(window, None, metric).into_iter().for_each(|point| model.measured(node, point, at));
        }
        self.counted(node, window);
        self.wake();
    }

    pub fn wake(&mut self) {
        self.is_asleep = false;
    }

    pub fn sleep(&mut self) {
        self.is_asleep = true;
    }

    pub fn is_asleep(&self) -> bool {
        self.is_asleep
    }

    fn counted(&mut self, node: NodeId, window: &Metrics) {
        let known = |metric| window.get(metric).filter(|value| value.is_finite() && *value >= 0.0);
        let Some(errors) = known(Metric::ErrorRate).filter(|errors| *errors <= 100.0) else { return };
        let seen = self.errors.entry(node).or_default();
        *seen = errors.max(*seen * KEPT);
        // Of a window without any answer nobody knows how many were asked.
        if let Some(answered) = known(Metric::Throughput).filter(|answered| *answered > 0.0) {
            self.asked_per_s = Some(answered / (1.0 - errors / 100.0).max(f64::EPSILON));
        }
    }

    /// Adds what is expected at a node; of one where none were measured, no errors.
    pub fn forecast(&self, node: NodeId, conditions: &Conditions, now: Option<Timestamp>, forecast: &mut Forecast) {
        for (model, metric) in [(&self.p95, Metric::ResponseTimeP95), (&self.p99, Metric::ResponseTimeP99)] {
            model.at(node, conditions, now).into_iter().for_each(|tail| forecast.set(metric, tail));
        }
        let errors = self.errors.get(&node).copied().unwrap_or(0.0);
        forecast.set(Metric::ErrorRate, Estimate::certain(errors));
        if let Some(asked) = self.asked_per_s {
            forecast.set(Metric::Throughput, Estimate::certain(asked * (1.0 - errors / 100.0)));
        }
    }
}

/// Whether these are of a window of requests, and not of one job.
pub fn are_shown_by(metrics: &Metrics) -> bool {
    metrics.get(Metric::ErrorRate).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placement::Link;
    use crate::domain::units::Percent;
    use crate::domain::work::Seat;
    use crate::mape::prediction::{Latency, Place, Predictor, Wanted};

    /// Of requests that take 20 ms and twice the latency, the slowest of them three times as long; so many in a second.
    fn window(latency_ms: f64, noise: f64, per_s: f64, errors: f64) -> Metrics {
        let mean = 0.02 + 2e-3 * latency_ms + noise;
        Metrics::default()
            .with(Metric::ResponseTime, mean)
            .with(Metric::ExecutionTime, mean)
            .with(Metric::ResponseTimeP95, 2.0 * mean)
            .with(Metric::ResponseTimeP99, 3.0 * mean)
            .with(Metric::NetworkLatency, latency_ms)
            .with(Metric::Throughput, per_s * (1.0 - errors / 100.0))
            .with(Metric::ErrorRate, errors)
    }

    fn trained() -> Predictor {
        let runs = [(1, 10.0), (2, 300.0)].map(|(node, latency_ms)| {
            (NodeId(node), [-1e-4, 0.0, 1e-4].map(|noise| window(latency_ms, noise, 5.0, 0.0)).to_vec())
        });
        Predictor::new(Latency::Injected, &runs.into(), &BTreeMap::new())
    }

    fn forecast(predictor: &Predictor, node: u32, latency_ms: f64) -> Forecast {
        let home = NodeId(1);
        let stated = Some(Link { from: home, to: NodeId(node), latency_ms, jitter_ms: 0.0 });
        let availability = Percent::new(99.0).unwrap();
        let place = Place { seat: Seat::at_home(home), node: NodeId(node), availability, stated, follows: false };
        predictor.forecast(&place, &Wanted::all(&Metrics::default()))
    }

    fn close(found: Option<Estimate>, expected: f64) {
        let found = found.unwrap().mean;
        assert!((found - expected).abs() < 0.02 * expected.max(0.1), "{found} instead of {expected}");
    }

    #[test]
    fn tails_grow_with_the_link_as_means_do_whatever_the_number_of_requests() {
        let mut predictor = trained();
        for per_s in [1.0, 50.0, 400.0] {
            let scene = window(10.0, 0.0, per_s, 0.0);
            predictor.took(NodeId(1), &scene, None, Timestamp(1_000));
            let there = forecast(&predictor, 3, 150.0);
            close(there.get(Metric::ResponseTime), 0.32);
            close(there.get(Metric::ResponseTimeP95), 0.64);
            close(there.get(Metric::ResponseTimeP99), 0.96);
            close(there.get(Metric::Throughput), per_s);
        }
    }

    #[test]
    fn errors_are_the_nodes_and_are_forgotten_in_time() {
        let mut predictor = trained();
        predictor.took(NodeId(1), &window(10.0, 0.0, 100.0, 40.0), None, Timestamp(1_000));
        let here = forecast(&predictor, 1, 10.0);
        assert_eq!(here.get(Metric::ErrorRate).unwrap().mean, 40.0);
        close(here.get(Metric::Throughput), 60.0);
        let there = forecast(&predictor, 2, 300.0);
        assert_eq!(there.get(Metric::ErrorRate).unwrap().mean, 0.0);
        close(there.get(Metric::Throughput), 100.0);
        (0..20).for_each(|_| predictor.took(NodeId(1), &window(10.0, 0.0, 100.0, 0.0), None, Timestamp(2_000)));
        assert!(forecast(&predictor, 1, 10.0).get(Metric::ErrorRate).unwrap().mean < 0.1);
    }

    #[test]
    fn users_sleep_until_they_are_answered_or_are_not() {
        let mut predictor = trained();
        assert!(!predictor.is_asleep());
        predictor.nothing_asked();
        assert!(predictor.is_asleep());
        predictor.took(NodeId(1), &window(10.0, 0.0, 5.0, 0.0), None, Timestamp(1_000));
        assert!(!predictor.is_asleep());
        predictor.nothing_asked();
        predictor.asked_in_vain();
        assert!(!predictor.is_asleep());
    }

    #[test]
    fn a_job_has_no_requests() {
        let run = window(10.0, 0.0, 5.0, 0.0).iter().filter(|(metric, _)| !metric.is_of_requests()).collect();
        assert!(Requests::trained([(NodeId(1), &run)].into_iter()).is_none());
    }
}
