//! What a job would measure at a node where it was never run: predicted from what is known of the node without trying.
//!
//! | metric | follows from |
//! |---|---|
//! | network latency | what the table states where that is injected; else what jobs and probes measured on the link |
//! | response time, execution time | what jobs took over latency, and over how fast bytes came where that was counted ([`DurationModel`]), times the object's size |
//! | throughput | the object's size over the execution time; of a service the requests that are asked, less those that fail |
//! | tails and errors of a service's requests | what its windows showed over latency, and at the node (`requests.rs`) |
//! | availability | what the node declares |
//! | staleness | 0 where the owner writes; elsewhere how far jobs found replicas behind (`lags.rs`) |
//!
//! Data consistency belongs to actions, not to nodes. `docs/algorithm.md` has the formulas, `docs/adr/0010-*` what else was tried.

mod duration;
mod estimate;
mod features;
mod forecast;
mod lags;
mod line;
mod link;
mod outlook;
mod posterior;
mod rates;
mod requests;
mod rest;

pub use duration::{DurationModel, Point};
pub use estimate::Estimate;
pub use features::{Conditions, Features, Load};
pub use forecast::{Baseline, Forecast};
pub use line::Line;
pub use link::{LinkEstimate, next_to_probe};
pub use outlook::{Outlook, forecast, place_of};
pub use rest::{Hope, Rest, Share};

use crate::domain::ids::NodeId;
use crate::domain::measurement::{Measurement, Part};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::Link;
use crate::domain::time::Timestamp;
use crate::domain::traffic::Traffic;
use crate::domain::units::Percent;
use crate::domain::work::Seat;
use lags::Lags;
use rates::Rates;
use requests::Requests;
use std::collections::BTreeMap;

/// What makes a link's latency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Latency {
    /// An emulator: what the table states is what the next job sees, and nothing where it states nothing.
    #[default]
    Injected,
    /// The network itself: what was measured counts for more than what anybody stated.
    Real,
}

/// What is known of a node without reading there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Place {
    /// Where the job runs that would.
    pub seat: Seat,
    pub node: NodeId,
    pub availability: Percent,
    /// The link between them as the table states it.
    pub stated: Option<Link>,
    /// What is written is written elsewhere, and reaches it later.
    pub follows: bool,
}

/// Which lines are to be looked at; the rest costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub response: bool,
    /// Also for throughput.
    pub execution: bool,
    pub staleness: bool,
    /// What only the requests to a service show.
    pub requests: bool,
}

impl Wanted {
    /// All of them; of staleness only where it matters.
    pub fn all(rho: &Metrics) -> Self {
        Self { response: true, execution: true, staleness: rho.get(Metric::Staleness).is_some(), requests: true }
    }

    /// What these metrics need.
    pub fn of(metrics: &Metrics) -> Self {
        let is_wanted = |metric| metrics.get(metric).is_some();
        let execution = is_wanted(Metric::ExecutionTime) || is_wanted(Metric::Throughput);
        let requests = Metric::ALL.into_iter().any(|metric| metric.is_of_requests() && is_wanted(metric));
        Self {
            response: is_wanted(Metric::ResponseTime),
            execution,
            staleness: is_wanted(Metric::Staleness),
            requests: requests || is_wanted(Metric::Throughput),
        }
    }
}

/// One agent's predictions: what it measured at some nodes, made use of at all of them.
#[derive(Clone, Debug, Default)]
pub struct Predictor {
    latency: Latency,
    links: BTreeMap<NodeId, LinkEstimate>,
    /// Of one measurement on any link \[ms\].
    link_deviation_ms: f64,
    rates: Rates,
    lags: Lags,
    /// The traffic of the latest job for which it was counted: what the next one is to ask of its link.
    traffic: Option<Traffic>,
    response: DurationModel,
    execution: DurationModel,
    /// How many records the latest job read: the size of the object.
    records: f64,
    /// Of a service; absent for who runs jobs.
    requests: Option<Box<Requests>>,
    /// What the job's other data sets contribute to it; absent where there are none.
    rest: Option<Rest>,
    /// Where they would best be; absent where that is where they are.
    hope: Option<Hope>,
}

impl Predictor {
    /// Starts from the runs of the training, by node, and their traffic in the same order, where it was counted.
    pub fn new(
        latency: Latency,
        runs: &BTreeMap<NodeId, Vec<Metrics>>,
        traffic: &BTreeMap<NodeId, Vec<Traffic>>,
    ) -> Self {
        let all = || runs.iter().flat_map(|(node, runs)| runs.iter().map(move |run| (*node, run)));
        let counted = |node: NodeId, index: usize| traffic.get(&node)?.get(index).copied().filter(Traffic::makes_sense);
        let points = |metric| {
            let numbered = runs.iter().flat_map(|(node, runs)| runs.iter().enumerate().map(|it| (*node, it)));
            numbered.filter_map(move |(node, (index, run))| Some((node, point(run, counted(node, index), metric)?)))
        };
        let mut predictor = Self {
            latency,
            links: BTreeMap::new(),
            link_deviation_ms: pooled_deviation(runs),
            rates: Rates::default(),
            lags: Lags::default(),
            traffic: None,
            response: DurationModel::new(points(Metric::ResponseTime)),
            execution: DurationModel::new(points(Metric::ExecutionTime)),
            records: all().filter_map(|(_, run)| records(run)).next_back().unwrap_or(0.0),
            requests: Requests::trained(all()).map(Box::new),
            rest: None,
            hope: None,
        };
        for (node, run) in all() {
            predictor.link_measured(node, run);
        }
        for (node, counted) in traffic {
            counted
                .iter()
                .filter(|counted| counted.makes_sense())
                .for_each(|counted| predictor.counted(*node, *counted));
        }
        predictor
    }

    /// A job has ended.
    pub fn measured(&mut self, measurement: &Measurement) {
        match measurement.part() {
            Some(own) => self.measured_in_parts(measurement, own),
            None => {
                let (node, metrics) = (measurement.node, &measurement.metrics);
                let traffic = measurement.traffic.filter(Traffic::makes_sense);
                match measurement.ran_at {
                    None => self.read(node, metrics, traffic),
                    // What it saw of links, nobody at home would see.
                    Some(_) => self.lagged(node, metrics),
                }
                self.records = records(metrics).unwrap_or(self.records);
                self.took(node, metrics, traffic, measurement.at);
            }
        }
        tracing::debug!(
            response = self.response.evidence(),
            execution = self.execution.evidence(),
            "evidence that rates explain what latencies do not"
        );
    }

    /// A job over several data sets, of which this one is predicted. All of them are read by the same program: what was measured of
    /// each part says something of every other. Where the job does not tell its parts apart, it is one whose link has the latency
    /// that a record saw on average, for times are linear in that.
    fn measured_in_parts(&mut self, measurement: &Measurement, own: &Part) {
        let others = || measurement.parts.iter().filter(|part| part.data_set != own.data_set);
        for part in others().chain([own]) {
            self.read(part.node, &part.metrics, part.traffic.filter(Traffic::makes_sense));
        }
        if own.records > 0 {
            self.records = own.records as f64;
        }
        if measurement.parts.iter().all(|part| part.metrics.get(Metric::ExecutionTime).is_some()) {
            for part in &measurement.parts {
                self.took(part.node, &part.metrics, part.traffic.filter(Traffic::makes_sense), measurement.at);
            }
        } else if let Some(latency_ms) = mean_latency(&measurement.parts) {
            let metrics = measurement.metrics.with(Metric::NetworkLatency, latency_ms);
            self.took(own.node, &metrics, None, measurement.at);
        }
    }

    /// What was seen of a node on the way.
    fn read(&mut self, node: NodeId, metrics: &Metrics, traffic: Option<Traffic>) {
        self.lagged(node, metrics);
        self.link_measured(node, metrics);
        traffic.into_iter().for_each(|traffic| self.counted(node, traffic));
    }

    fn lagged(&mut self, node: NodeId, metrics: &Metrics) {
        metrics.get(Metric::Staleness).into_iter().for_each(|staleness| self.lags.measured(node, staleness));
    }

    /// How long it took to read there.
    fn took(&mut self, node: NodeId, metrics: &Metrics, traffic: Option<Traffic>, at: Timestamp) {
        if let Some(point) = point(metrics, traffic, Metric::ResponseTime) {
            self.response.measured(node, point, at);
        }
        if let Some(point) = point(metrics, traffic, Metric::ExecutionTime) {
            self.execution.measured(node, point, at);
        }
        if requests::are_shown_by(metrics) {
            self.requests.get_or_insert_default().measured(node, metrics, at);
        }
    }

    /// A service has no users now.
    pub fn nothing_asked(&mut self) {
        self.requests.get_or_insert_default().sleep();
    }

    /// It has, though nothing could be measured: nobody was answered.
    pub fn asked_in_vain(&mut self) {
        self.requests.iter_mut().for_each(|requests| requests.wake());
    }

    /// Whether nobody asks the service for anything, so that it does not matter where its data is.
    pub fn is_asleep(&self) -> bool {
        self.requests.as_ref().is_some_and(|requests| requests.is_asleep())
    }

    /// How many records its data set has, where what was trained is about more than that.
    pub fn set_records(&mut self, records: u64) {
        if records > 0 {
            self.records = records as f64;
        }
    }

    /// What the job's other data sets contribute to it from now on.
    pub fn set_rest(&mut self, rest: Option<Rest>) {
        self.rest = rest;
    }

    pub fn rest(&self) -> Option<&Rest> {
        self.rest.as_ref()
    }

    /// Where these would best be read.
    pub fn set_hope(&mut self, hope: Option<Hope>) {
        self.hope = hope;
    }

    pub fn hope(&self) -> Option<&Hope> {
        self.hope.as_ref()
    }

    /// How consistent all that a job reads is, were this data set so consistent.
    pub fn consistency(&self, own: f64) -> f64 {
        self.rest.as_ref().map_or(own, |rest| rest.consistency(own))
    }

    /// A link was measured without a job.
    pub fn probed(&mut self, node: NodeId, latency_ms: f64) {
        if let Some(link) = self.links.get_mut(&node) {
            link.measured(latency_ms);
        } else {
            self.links.insert(node, LinkEstimate::new(latency_ms, self.link_deviation_ms));
        }
    }

    /// Bytes were read without a job: one took so long \[s\].
    pub fn rate_probed(&mut self, node: NodeId, seconds_per_byte: f64) {
        if seconds_per_byte.is_finite() && seconds_per_byte >= 0.0 {
            self.rates.probed(node, seconds_per_byte);
        }
    }

    /// Whether probes tell anything that the table does not.
    pub fn needs_probes(&self) -> bool {
        self.latency == Latency::Real
    }

    /// What a job that reads its data set at a node is expected to measure of these metrics; nothing is said of one that nothing is
    /// known of.
    pub fn forecast(&self, place: &Place, wanted: &Wanted) -> Forecast {
        self.forecast_at(place, self.latency(place), wanted, None)
    }

    /// The same, were the latency of its link \[ms\] another one; with `now`, what a node showed long before then counts no more.
    pub fn forecast_at(
        &self,
        place: &Place,
        latency: Option<Estimate>,
        wanted: &Wanted,
        now: Option<Timestamp>,
    ) -> Forecast {
        self.forecast_beside(self.rest.as_ref(), place, latency, wanted, now)
    }

    /// The same with another rest of the job than the one that is known: as the other data sets might be read; without any, what this
    /// one alone contributes.
    pub fn forecast_beside(
        &self,
        rest: Option<&Rest>,
        place: &Place,
        latency: Option<Estimate>,
        wanted: &Wanted,
        now: Option<Timestamp>,
    ) -> Forecast {
        let part = self.forecast_of_part(place, latency, wanted, now);
        rest.map_or(part, |rest| rest.with(place.node, &part))
    }

    fn forecast_of_part(
        &self,
        place: &Place,
        latency: Option<Estimate>,
        wanted: &Wanted,
        now: Option<Timestamp>,
    ) -> Forecast {
        let mut forecast = Forecast::default();
        forecast.set(Metric::Availability, Estimate::certain(place.availability.value()));
        if wanted.staleness {
            let lag = if place.follows { self.lags.at(place.node) } else { 0.0 };
            forecast.set(Metric::Staleness, Estimate::certain(lag));
        }
        let Some(latency) = latency else { return forecast };
        forecast.set(Metric::NetworkLatency, latency);
        let is_home = place.seat.away().is_none();
        let load = if is_home { self.load(place.node) } else { None };
        let conditions = Conditions { latency_ms: latency, load };
        if wanted.response
            && let Some(seconds) = self.response.at(place.node, &conditions, now)
        {
            forecast.set(Metric::ResponseTime, seconds.scaled(self.records));
        }
        if wanted.execution
            && let Some(seconds) = self.execution.at(place.node, &conditions, now)
        {
            let execution = seconds.scaled(self.records);
            forecast.set(Metric::ExecutionTime, execution);
            if self.requests.is_none() {
                forecast.set(Metric::Throughput, throughput(self.records, execution));
            }
        }
        if let Some(requests) = self.requests.as_ref().filter(|_| wanted.requests) {
            requests.forecast(place.node, &conditions, now, &mut forecast);
        }
        forecast
    }

    /// Of the link to a place \[ms\].
    pub fn latency(&self, place: &Place) -> Option<Estimate> {
        let stated = place.stated.map(|link| Estimate { mean: link.latency_ms, deviation: link.jitter_ms });
        match self.latency {
            Latency::Injected => Some(stated.unwrap_or(Estimate::certain(0.0))),
            // Links are measured at home.
            Latency::Real if place.seat.away().is_some() => stated,
            Latency::Real => self.links.get(&place.node).map(LinkEstimate::latency).or(stated),
        }
    }

    /// What the next job would ask of the link to a node; `None` where no traffic was counted.
    fn load(&self, node: NodeId) -> Option<Load> {
        let (traffic, slowness) = (self.traffic?, self.rates.at(node)?);
        let transport = slowness.scaled(traffic.bytes_per_record());
        Some(Load { requests: traffic.chain() / self.records, transport })
    }

    fn counted(&mut self, node: NodeId, traffic: Traffic) {
        self.rates.read(node, traffic.slowness());
        self.traffic = Some(traffic);
    }

    fn link_measured(&mut self, node: NodeId, metrics: &Metrics) {
        if let Some(latency_ms) = metrics.get(Metric::NetworkLatency).filter(|latency| latency.is_finite()) {
            self.probed(node, latency_ms);
        }
    }
}

/// How many records a run read, from what it measured: its data set may have been another one than today's. Requests to a service
/// are each for one thing, however many come.
fn records(metrics: &Metrics) -> Option<f64> {
    if requests::are_shown_by(metrics) {
        return Some(1.0);
    }
    let records = metrics.get(Metric::Throughput)? * metrics.get(Metric::ExecutionTime)?;
    (records.is_finite() && records > 0.0).then_some(records)
}

/// A run as `metric` of it is predicted; `None` for one that makes no sense (anybody may edit the table).
fn point(metrics: &Metrics, traffic: Option<Traffic>, metric: Metric) -> Option<Point> {
    let (seconds, latency_ms) = (metrics.get(metric)?, metrics.get(Metric::NetworkLatency)?);
    let makes_sense = |value: f64| value.is_finite() && value >= 0.0;
    let records = records(metrics)?;
    let load = |traffic: Traffic| Load {
        requests: traffic.chain() / records,
        transport: Estimate::certain(traffic.slowness() * traffic.bytes_per_record()),
    };
    let point = Point { latency_ms, seconds: seconds / records, load: traffic.map(load) };
    (makes_sense(latency_ms) && makes_sense(point.seconds)).then_some(point)
}

/// Of the links to all parts, each as often as it has records \[ms\].
fn mean_latency(parts: &[Part]) -> Option<f64> {
    let records: u64 = parts.iter().map(|part| part.records).sum();
    let of = |part: &Part| Some(part.metrics.get(Metric::NetworkLatency)? * part.records as f64);
    let sum: f64 = parts.iter().map(of).sum::<Option<f64>>()?;
    (records > 0).then(|| sum / records as f64)
}

/// Its deviation is the one towards less: upwards there is no limit where the execution time may be next to nothing.
fn throughput(records: f64, execution: Estimate) -> Estimate {
    let mean = records / execution.mean;
    Estimate { mean, deviation: mean - records / (execution.mean + execution.deviation) }
}

/// How much the latency of one link varies from job to job \[ms\], over all links; 0 when nothing is known.
fn pooled_deviation(runs: &BTreeMap<NodeId, Vec<Metrics>>) -> f64 {
    let (mut squares, mut degrees) = (0.0, 0usize);
    for runs in runs.values() {
        let latencies: Vec<f64> = runs.iter().filter_map(|run| run.get(Metric::NetworkLatency)).collect();
        let mean = latencies.iter().sum::<f64>() / latencies.len().max(1) as f64;
        squares += latencies.iter().map(|latency| (latency - mean).powi(2)).sum::<f64>();
        degrees += latencies.len().saturating_sub(1);
    }
    (squares / degrees.max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AgentId, ReplicaId};

    const NEAR: NodeId = NodeId(1);
    const FAR: NodeId = NodeId(2);
    const NEW: NodeId = NodeId(3);
    const ALL: Wanted = Wanted { response: true, execution: true, staleness: false, requests: false };

    /// A job over so many records: 10 us for each, and 36 times the latency for every 360,000 of them.
    fn run(latency_ms: f64, records: f64) -> Metrics {
        let seconds = records * (1e-5 + 1e-4 * latency_ms * 1e-3);
        Metrics::default()
            .with(Metric::ResponseTime, seconds + records * 1e-6)
            .with(Metric::ExecutionTime, seconds)
            .with(Metric::Throughput, records / seconds)
            .with(Metric::NetworkLatency, latency_ms)
    }

    fn trained(latency: Latency, records: f64) -> Predictor {
        let runs = |latency_ms| vec![run(latency_ms, records), run(latency_ms, records)];
        Predictor::new(latency, &[(NEAR, runs(10.0)), (FAR, runs(1000.0))].into(), &BTreeMap::new())
    }

    fn place(node: NodeId, stated_ms: Option<f64>) -> Place {
        let link = |latency_ms| Link { from: NEAR, to: node, latency_ms, jitter_ms: 0.0 };
        let (seat, availability) = (Seat::at_home(NodeId(1)), Percent::new(92.0).unwrap());
        Place { seat, node, availability, stated: stated_ms.map(link), follows: false }
    }

    fn measurement(node: NodeId, metrics: Metrics) -> Measurement {
        Measurement {
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node,
            at: Timestamp(0),
            metrics,
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            job: "job".to_owned(),
            failure: None,
            result: None,
        }
    }

    fn expect(predictor: &Predictor, place: Place, metric: Metric, expected: f64) {
        let found = predictor.forecast(&place, &ALL).get(metric).unwrap().mean;
        assert!((found - expected).abs() < 1e-6 * expected.max(1.0), "{metric}: {found} instead of {expected}");
    }

    #[test]
    fn every_metric_of_a_node_never_tried_follows_from_its_link_and_declaration() {
        let predictor = trained(Latency::Injected, 360_000.0);
        for (metric, value) in run(500.0, 360_000.0).with(Metric::Availability, 92.0).iter() {
            expect(&predictor, place(NEW, Some(500.0)), metric, value);
        }
    }

    #[test]
    fn what_was_trained_on_a_small_object_is_used_for_a_large_one() {
        let mut predictor = trained(Latency::Injected, 1_000.0);
        predictor.measured(&measurement(NEAR, run(10.0, 360_000.0)));
        let large = run(500.0, 360_000.0);
        for metric in [Metric::ResponseTime, Metric::ExecutionTime, Metric::Throughput] {
            expect(&predictor, place(NEW, Some(500.0)), metric, large.get(metric).unwrap());
        }
    }

    #[test]
    fn without_jobs_only_link_and_availability_are_known() {
        let forecast = Predictor::default().forecast(&place(NEW, Some(500.0)), &ALL);
        let known: Vec<Metric> = forecast.means.iter().map(|(metric, _)| metric).collect();
        assert_eq!(known, [Metric::NetworkLatency, Metric::Availability]);
    }

    #[test]
    fn an_emulator_makes_what_the_table_states_and_a_real_network_what_is_measured() {
        let check = |latency, stated_ms, before: Option<f64>, after: Option<f64>| {
            let mut predictor = trained(latency, 1_000.0);
            let found = |predictor: &Predictor| predictor.latency(&place(NEW, stated_ms)).map(|latency| latency.mean);
            assert_eq!(found(&predictor), before);
            predictor.probed(NEW, 300.0);
            assert_eq!(found(&predictor), after);
        };
        check(Latency::Injected, Some(500.0), Some(500.0), Some(500.0));
        check(Latency::Injected, None, Some(0.0), Some(0.0));
        check(Latency::Real, Some(500.0), Some(500.0), Some(300.0));
        check(Latency::Real, None, None, Some(300.0));
    }

    #[test]
    fn rows_that_make_no_sense_change_nothing() {
        let mut predictor = trained(Latency::Injected, 360_000.0);
        let nonsense = [
            Metrics::default(),
            run(500.0, 360_000.0).with(Metric::Throughput, 0.0),
            run(500.0, 360_000.0).with(Metric::ExecutionTime, -1.0),
            run(500.0, 360_000.0).with(Metric::Throughput, f64::INFINITY),
        ];
        let before = predictor.forecast(&place(NEW, Some(500.0)), &ALL);
        for metrics in nonsense {
            predictor.measured(&measurement(NEW, metrics));
        }
        assert_eq!(predictor.forecast(&place(NEW, Some(500.0)), &ALL), before);
    }

    /// A job over two data sets of so many records, at these latencies; the first is predicted.
    fn joint(parts: [(NodeId, f64, f64); 2], tells_apart: bool) -> Measurement {
        let part = |(index, (node, latency_ms, records)): (usize, (NodeId, f64, f64))| {
            let link = Metrics::default().with(Metric::NetworkLatency, latency_ms);
            Part {
                data_set: ["blood", "urine"][index].into(),
                replica: ReplicaId(1),
                node,
                records: records as u64,
                metrics: if tells_apart { run(latency_ms, records) } else { link },
                traffic: None,
            }
        };
        let sum = |metric| {
            parts.iter().map(|(_, latency_ms, records)| run(*latency_ms, *records).get(metric).unwrap()).sum::<f64>()
        };
        let (execution, records) = (sum(Metric::ExecutionTime), parts[0].2 + parts[1].2);
        let metrics = Metrics::default()
            .with(Metric::ResponseTime, sum(Metric::ResponseTime))
            .with(Metric::ExecutionTime, execution)
            .with(Metric::Throughput, records / execution)
            .with(Metric::NetworkLatency, parts[0].1.max(parts[1].1));
        Measurement { parts: parts.into_iter().enumerate().map(part).collect(), ..measurement(parts[0].0, metrics) }
    }

    #[test]
    fn of_a_job_over_several_data_sets_each_part_is_learned() {
        for tells_apart in [true, false] {
            let mut predictor = Predictor::default();
            let (one, other) = (1000.0, 3000.0);
            // Each of them lay here and there.
            for _ in 0..3 {
                for (node, latency_ms) in [(NEAR, 10.0), (FAR, 1000.0)] {
                    predictor.measured(&joint([(node, latency_ms, one), (NEAR, 10.0, other)], tells_apart));
                }
            }
            for metric in [Metric::ResponseTime, Metric::ExecutionTime] {
                expect(&predictor, place(NEW, Some(500.0)), metric, run(500.0, one).get(metric).unwrap());
            }
            let rest = Rest::of([Share {
                node: FAR,
                forecast: predictor_of(other).forecast(&place(FAR, Some(1000.0)), &ALL),
                consistency: 1.0,
            }]);
            predictor.set_rest(rest);
            let whole = run(500.0, one).get(Metric::ResponseTime).unwrap()
                + run(1000.0, other).get(Metric::ResponseTime).unwrap();
            expect(&predictor, place(NEW, Some(500.0)), Metric::ResponseTime, whole);
        }
    }

    fn predictor_of(records: f64) -> Predictor {
        trained(Latency::Injected, records)
    }
}
