//! How well impacts of a node that was never tried are predicted where jobs are more than requests in turn: with what jobs showed of
//! their traffic, and by the line over latency alone.

use agent_core::domain::ids::NodeId;
use agent_core::domain::impact::{Rho, impact};
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::Link;
use agent_core::domain::traffic::Traffic;
use agent_core::domain::units::Percent;
use agent_core::domain::work::Seat;
use agent_core::mape::planner::Rng;
use agent_core::mape::prediction::{Forecast, Latency, Place, Predictor, Wanted};
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;

/// Links: latency \[ms\], and bytes in a second for each connection.
const LINKS: [(f64, f64); 6] = [(3.0, 1e7), (200.0, 1e6), (400.0, 4e6), (800.0, 5e5), (1200.0, 8e6), (1500.0, 2e6)];
/// As fast as anything is read.
const UNLIMITED: f64 = 1e9;
const RECORDS: u64 = 10_000;
const BYTES: u64 = 6_400_000;
const JOBS: usize = 5;
const METRICS: [Metric; 3] = [Metric::ResponseTime, Metric::ExecutionTime, Metric::Throughput];

/// A program that asks for so many ranges, so many of them at once.
#[derive(Clone, Copy)]
struct Reader {
    requests: u64,
    parallel: u64,
    /// Whether links are as fast as they say, or no link limits anything.
    is_limited: bool,
}

/// How far predicted impacts are off.
#[derive(Default)]
struct Errors {
    sum: f64,
    worst: f64,
    count: u32,
}

impl Errors {
    fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

impl Reader {
    fn rate(self, node: usize) -> f64 {
        if self.is_limited { LINKS[node].1 } else { UNLIMITED }
    }

    /// What a job shows at a latency: requests go in rounds, each of which takes the latency and the bytes of one request, for
    /// every connection has a rate of its own. Reading and computing takes 2 s; everything varies by some percent.
    fn job(self, node: usize, vary: &mut impl FnMut(f64) -> f64) -> (Metrics, Traffic) {
        let rounds = self.requests.div_ceil(self.parallel) as f64;
        let latency_ms = vary(LINKS[node].0);
        let stalled_s = vary(rounds * (BYTES / self.requests) as f64 / self.rate(node));
        let execution_s = vary(2.0) + rounds * latency_ms * 1e-3 + stalled_s;
        let metrics = Metrics::default()
            .with(Metric::ResponseTime, execution_s + vary(0.3))
            .with(Metric::ExecutionTime, execution_s)
            .with(Metric::Throughput, RECORDS as f64 / execution_s)
            .with(Metric::NetworkLatency, latency_ms);
        let Self { requests, parallel, .. } = self;
        (metrics, Traffic { requests, parallel, bytes: BYTES, stalled_s, records: RECORDS })
    }

    fn truth(self, node: usize) -> Metrics {
        self.job(node, &mut |mean| mean).0
    }
}

fn node(index: usize) -> NodeId {
    NodeId(index as u32 + 1)
}

/// After training at every node but one.
fn trained(reader: Reader, left_out: usize, is_counted: bool, vary: &mut impl FnMut(f64) -> f64) -> Predictor {
    let (mut runs, mut traffic) = (BTreeMap::new(), BTreeMap::new());
    for index in (0..LINKS.len()).filter(|index| *index != left_out) {
        let jobs = (0..JOBS).map(|_| reader.job(index, vary));
        let (metrics, counted): (Vec<Metrics>, Vec<Traffic>) = jobs.unzip();
        runs.insert(node(index), metrics);
        traffic.insert(node(index), counted);
    }
    traffic.retain(|_, _| is_counted);
    Predictor::new(Latency::Injected, &runs, &traffic)
}

/// The rates of all links, read over one connection.
fn probe(predictor: &mut Predictor, reader: Reader, vary: &mut impl FnMut(f64) -> f64) {
    (0..LINKS.len()).for_each(|index| predictor.rate_probed(node(index), vary(1.0 / reader.rate(index))));
}

/// By some percent.
fn variation() -> impl FnMut(f64) -> f64 {
    let mut rng = Rng::seed_from_u64(1);
    move |mean| mean * rng.random_range(0.97..1.03)
}

fn expected(predictor: &Predictor, index: usize) -> Forecast {
    let stated = Link { from: node(0), to: node(index), latency_ms: LINKS[index].0, jitter_ms: 0.0 };
    let place = Place {
        seat: Seat::at_home(NodeId(1)),
        node: node(index),
        availability: Percent::new(90.0).unwrap(),
        stated: Some(stated),
        follows: false,
    };
    predictor.forecast(&place, &Wanted { response: true, execution: true, staleness: false, requests: false })
}

/// Of all pairs with a node that was left out, both ways.
fn errors(reader: Reader, is_counted: bool) -> Errors {
    let rho: Rho = METRICS.into_iter().zip([20.0, 20.0, 2_000.0]).collect();
    let mut vary = variation();
    let mut errors = Errors::default();
    for left_out in 0..LINKS.len() {
        let mut predictor = trained(reader, left_out, is_counted, &mut vary);
        probe(&mut predictor, reader, &mut vary);
        for other in (0..LINKS.len()).filter(|other| *other != left_out) {
            for (from, to) in [(left_out, other), (other, left_out)] {
                let (before, after) = (expected(&predictor, from), expected(&predictor, to));
                let (true_before, true_after) = (reader.truth(from), reader.truth(to));
                for (metric, rho) in rho.iter() {
                    let of = |before: &Metrics, after: &Metrics| {
                        impact(metric, before.get(metric).unwrap(), after.get(metric).unwrap(), rho)
                    };
                    let error = (of(&before.means, &after.means) - of(&true_before, &true_after)).abs();
                    errors.sum += error;
                    errors.worst = errors.worst.max(error);
                    errors.count += 1;
                }
            }
        }
    }
    errors
}

/// Mean errors of the line, and with what was counted.
fn compare(name: &str, reader: Reader) -> (f64, f64) {
    let all = [("line", false), ("features", true)].map(|(model, is_counted)| {
        let errors = errors(reader, is_counted);
        println!(
            "{name:<28} {model:<9} {} impacts: mean absolute error {:.4}, worst {:.3}",
            errors.count,
            errors.mean(),
            errors.worst
        );
        errors.mean()
    });
    (all[0], all[1])
}

#[test]
fn a_reader_of_one_request_after_the_other_is_predicted_as_before() {
    let (line, features) = compare("in turn, no limit", Reader { requests: 36, parallel: 1, is_limited: false });
    assert!(line < 0.05 && features <= line + 0.001, "{line} {features}");
}

#[test]
fn readers_of_links_that_differ_in_rate_are_predicted_much_better() {
    let check = |name: &str, requests: u64, parallel: u64| {
        let (line, features) = compare(name, Reader { requests, parallel, is_limited: true });
        assert!(features < 0.1 && features < line / 2.0, "{name}: {line} {features}");
    };
    check("in turn, limited by rate", 4, 1);
    check("eight at once, limited", 36, 8);
}

#[test]
fn a_parallel_reader_without_limits_is_predicted_as_before() {
    let (line, features) = compare("eight at once, no limit", Reader { requests: 36, parallel: 8, is_limited: false });
    assert!(line < 0.05 && features <= line + 0.001, "{line} {features}");
}

#[test]
fn a_rate_that_nobody_has_measured_makes_a_prediction_uncertain() {
    let (reader, mut vary) = (Reader { requests: 4, parallel: 1, is_limited: true }, variation());
    for left_out in 0..LINKS.len() {
        let mut predictor = trained(reader, left_out, true, &mut vary);
        let deviation =
            |predictor: &Predictor| expected(predictor, left_out).get(Metric::ResponseTime).unwrap().deviation;
        let unknown = deviation(&predictor);
        probe(&mut predictor, reader, &mut vary);
        let known = deviation(&predictor);
        // Rates differ by 20 times: bytes take between 0.6 and 13 s.
        assert!(unknown > 1.0 && known < unknown, "link {left_out}: {unknown} s, and {known} s");
    }
}
