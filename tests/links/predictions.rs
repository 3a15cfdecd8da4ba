//! What jobs take over links of different latency and rate, as predicted for a link that no job was run over: real jobs that read an
//! embedded store through the emulator. `aggregate` reads one object in requests one after the other, and many objects eight at
//! once; DuckDB reads by itself, and is counted on the way. What the line over latency says is told beside it.

use crate::support::{Api, patiently};
use agent::data::blood_tests::BloodTests;
use agent::jobs::aggregate::AggregateJob;
use agent::jobs::command::CommandJob;
use agent::jobs::{DataSource, Job, S3Access};
use agent::links::probe::probe;
use agent::storage::counted::Counted;
use agent::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use agent::storage::s3::{S3Settings, S3Store};
use agent::storage::set::{Meter, SetAt, make};
use agent::storage::{Content, ObjectStore};
use agent_core::domain::ids::{Life, NodeId};
use agent_core::domain::impact::{Rho, impact};
use agent_core::domain::manifest::{Selection, SetKeys};
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::Link;
use agent_core::domain::traffic::Traffic;
use agent_core::domain::units::Percent;
use agent_core::domain::work::Seat;
use agent_core::mape::prediction::{Latency, Place, Predictor, Wanted};
use futures::StreamExt as _;
use futures::stream;
use serde_json::json;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Latency \[ms\], and the rate of each connection \[kB/s\].
const LINKS: [(u64, u64); 5] = [(2, 100_000), (40, 1_000), (90, 4_000), (120, 600), (20, 2_000)];
const RUNS: usize = 3;
const BUCKET: &str = "data";
const OBJECT: &str = "blood_tests.json";
/// About 580 kB, and 16 objects of 70 kB.
const RECORDS: u64 = 1_000;
const OBJECTS: u64 = 16;
const OBJECT_RECORDS: u64 = 125;
const METRICS: [(Metric, f64); 3] =
    [(Metric::ResponseTime, 2.0), (Metric::ExecutionTime, 2.0), (Metric::Throughput, 4_000.0)];

/// A store behind a link that is made as slow as any of `LINKS`.
struct Stage {
    api: Api,
    link: String,
    store: Arc<dyn ObjectStore>,
    server: EmbeddedStore,
    _directory: tempfile::TempDir,
}

/// What each run of a job showed, by link.
type Shown = Vec<Vec<(Metrics, Traffic)>>;

impl Stage {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings::new(directory.path(), BUCKET);
        let settings = EmbeddedSettings { durability: Durability::Kill, ..settings };
        let server = EmbeddedStore::start(settings, &Handle::current()).unwrap();
        let api = Api::start().await;
        let link = api.link_to(server.address()).await.to_string();
        api.toxic("latency", "downstream", json!({ "latency": 0 })).await;
        api.toxic("bandwidth", "downstream", json!({ "rate": LINKS[0].1 })).await;
        let settings = S3Settings::new(server.endpoint(), BUCKET, server.credentials().clone());
        let store = Arc::new(S3Store::new(S3Settings { link: Some(link.clone()), ..settings }));
        Self { api, link, store, server, _directory: directory }
    }

    async fn write(&self, key: &str, records: u64) -> u64 {
        let mut content = Vec::new();
        BloodTests::new(records).generate(&mut content).unwrap();
        let bytes = content.len() as u64;
        self.store.write(key, bytes, stream::iter([Ok(content.into())]).boxed()).await.unwrap();
        bytes
    }

    async fn become_like(&self, (latency_ms, rate): (u64, u64)) {
        self.api.adjust("latency_downstream", json!({ "latency": latency_ms })).await;
        self.api.adjust("bandwidth_downstream", json!({ "rate": rate })).await;
    }

    /// One object.
    async fn object(&self) -> DataSource {
        let bytes = self.write(OBJECT, RECORDS).await;
        self.source(OBJECT.to_owned(), String::new(), bytes)
    }

    /// Many objects.
    async fn set(&self) -> DataSource {
        for index in 0..OBJECTS {
            self.write(&format!("set/{index}.json"), OBJECT_RECORDS).await;
        }
        let at = SetAt::new(self.store.clone(), SetKeys::below("set/"));
        let manifest = make(&at, Selection::default(), 1, None, &Meter::silent()).await.unwrap();
        at.write_manifest(&manifest).await.unwrap();
        self.source(at.keys.manifest(), manifest.sha256().to_string(), manifest.bytes())
    }

    fn source(&self, object_key: String, sha256: String, bytes: u64) -> DataSource {
        let credentials = self.server.credentials();
        let access = S3Access {
            endpoint: format!("http://{}", self.link),
            region: "us-east-1".to_owned(),
            bucket: BUCKET.to_owned(),
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.clone(),
            ..S3Access::default()
        };
        DataSource {
            store: self.store.clone(),
            access,
            data_set: "blood_tests".to_owned(),
            object_key,
            etag: None,
            sha256,
            bytes,
            records: 0,
        }
    }

    /// Runs over every link.
    async fn run(&self, source: &DataSource, job: &dyn Job) -> Shown {
        let mut shown = Vec::new();
        for link in LINKS {
            self.become_like(link).await;
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                let latency = probe(&self.link, 3, Duration::from_secs(20)).await.unwrap();
                let counted = Arc::new(Counted::new(self.store.clone()));
                let mut source = DataSource { store: counted.clone(), ..source.clone() };
                let on_the_way = match job.is_counted_on_the_way(&source.access.endpoint) {
                    true => Some(counted.link(&source.access.endpoint).await.unwrap()),
                    false => None,
                };
                on_the_way.iter().for_each(|link| link.endpoint().clone_into(&mut source.access.endpoint));
                let report = job.run(&source).await.unwrap();
                let metrics = Metrics::default()
                    .with(Metric::ResponseTime, report.response_time.as_secs_f64())
                    .with(Metric::ExecutionTime, report.execution_time.as_secs_f64())
                    .with(Metric::Throughput, report.throughput().unwrap())
                    .with(Metric::NetworkLatency, latency.as_secs_f64() * 1e3);
                runs.push((metrics, counted.traffic(report.records).unwrap()));
            }
            shown.push(runs);
        }
        shown
    }

    /// What a byte takes over each link, read in one piece \[s\].
    async fn rates(&self) -> Vec<f64> {
        let mut rates = Vec::new();
        for link in LINKS {
            self.become_like(link).await;
            let counted = Counted::new(self.store.clone());
            let bytes = self.store.info(OBJECT).await.unwrap().unwrap().bytes;
            let body = counted.read_range(OBJECT, 0..bytes, &Content { bytes, etag: None }).await.unwrap().bytes;
            assert!(body.all(async |piece| piece.is_ok()).await);
            rates.push(counted.traffic(1).unwrap().slowness());
        }
        rates
    }
}

fn node(index: usize) -> NodeId {
    NodeId(index as u32 + 1)
}

/// Trained by all runs but those over one link.
fn predictor(shown: &Shown, rates: &[f64], left_out: usize, is_counted: bool) -> Predictor {
    let others = || shown.iter().enumerate().filter(|(index, _)| *index != left_out);
    let runs = others().map(|(index, runs)| (node(index), runs.iter().map(|(metrics, _)| *metrics).collect()));
    let traffic = others().map(|(index, runs)| (node(index), runs.iter().map(|(_, traffic)| *traffic).collect()));
    let traffic = if is_counted { traffic.collect() } else { BTreeMap::new() };
    let mut predictor = Predictor::new(Latency::Injected, &runs.collect(), &traffic);
    rates.iter().enumerate().for_each(|(index, seconds)| predictor.rate_probed(node(index), *seconds));
    predictor
}

fn mean(runs: &[(Metrics, Traffic)], metric: Metric) -> f64 {
    runs.iter().map(|(metrics, _)| metrics.get(metric).unwrap()).sum::<f64>() / runs.len() as f64
}

/// The mean absolute error of the impacts of all pairs with a link that was left out, both ways.
fn error(shown: &Shown, rates: &[f64], is_counted: bool) -> f64 {
    let rho: Rho = METRICS.into_iter().collect();
    let mut errors = Vec::new();
    for left_out in 0..LINKS.len() {
        let predictor = predictor(shown, rates, left_out, is_counted);
        let expected = |index: usize| {
            let latency_ms = mean(&shown[index], Metric::NetworkLatency);
            let stated = Some(Link { from: node(0), to: node(index), latency_ms, jitter_ms: 0.0 });
            let (seat, availability) = (Seat::at_home(NodeId(1)), Percent::new(90.0).unwrap());
            let place = Place { seat, node: node(index), availability, stated, follows: false };
            predictor
                .forecast(&place, &Wanted { response: true, execution: true, staleness: false, requests: false })
                .means
        };
        for other in (0..LINKS.len()).filter(|other| *other != left_out) {
            for (from, to) in [(left_out, other), (other, left_out)] {
                for (metric, rho) in rho.iter() {
                    let before = expected(from).get(metric).unwrap();
                    let found = impact(metric, before, expected(to).get(metric).unwrap(), rho);
                    let truth = impact(metric, mean(&shown[from], metric), mean(&shown[to], metric), rho);
                    errors.push((found - truth).abs());
                }
            }
        }
    }
    errors.iter().sum::<f64>() / errors.len() as f64
}

fn check(name: &str, shown: &Shown, rates: &[f64]) {
    for (index, (latency_ms, rate)) in LINKS.into_iter().enumerate() {
        let seconds = mean(&shown[index], Metric::ExecutionTime);
        println!("{name}: {latency_ms} ms, {rate} kB/s: {seconds:.3} s, {:?}", shown[index][0].1);
    }
    let [line, features] = [false, true].map(|is_counted| error(shown, rates, is_counted));
    println!("{name}: mean absolute error of impacts: line {line:.4}, features {features:.4}");
    assert!(features < 0.1 && features < line, "{name}: line {line}, features {features}");
}

fn requests_of(bytes: u64) -> NonZeroU64 {
    NonZeroU64::new(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_over_links_that_differ_in_rate_are_predicted_better_than_by_a_line() {
    let stage = Stage::start().await;
    let (object, set) = (stage.object().await, stage.set().await);
    let rates = patiently(stage.rates()).await;
    let average = |request_bytes| AggregateJob::new("avg(cholesterol)".parse().unwrap(), requests_of(request_bytes));
    let in_turn = patiently(stage.run(&object, &average(object.bytes.div_ceil(4)))).await;
    let at_once = patiently(stage.run(&set, &average(1 << 20))).await;
    check("one object in 4 requests, in turn", &in_turn, &rates);
    check("16 objects, eight at once", &at_once, &rates);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_counted_on_the_way_and_predicted_better_than_by_a_line() {
    let has_it = Command::new("python3").args(["-c", "import duckdb, fsspec, boto3"]).stderr(Stdio::null()).status();
    if !has_it.is_ok_and(|status| status.success()) {
        println!("SKIPPED: duckdb, fsspec or boto3 is not installed (pip install duckdb fsspec boto3)");
        return;
    }
    let stage = Stage::start().await;
    let object = stage.object().await;
    let rates = patiently(stage.rates()).await;
    let job = CommandJob {
        program: "python3".to_owned(),
        args: vec![concat!(env!("CARGO_MANIFEST_DIR"), "/examples/duckdb_job.py").to_owned()],
        time_limit: Duration::from_secs(60),
        request_bytes: requests_of(object.bytes.div_ceil(4)),
        count_traffic: None,
        life: Life(format!("a1-{}-predictions", std::process::id())),
        keeper: env!("CARGO_BIN_EXE_agent").into(),
    };
    let shown = patiently(stage.run(&object, &job)).await;
    for (_, traffic) in shown.iter().flatten() {
        assert!(traffic.requests >= 4 && traffic.bytes >= object.bytes, "{traffic:?}");
    }
    check("DuckDB, one object", &shown, &rates);
}
