//! What reading through the S3 endpoint takes beside reading the store itself, in one process over loopback, without latency.
//!
//! `cargo bench --bench s3_endpoint -- [BYTES [ROUNDS [REQUESTS]]]`, by default the published data set. Both ways are taken in turns,
//! so that whatever else the machine does is done to both.

mod asked;

use agent::actors::{Reach, ReachError, Reached, World};
use agent::http_server::Listener;
use agent::jobs::S3Access;
use agent::jobs::aggregate::AggregateJob;
use agent::s3_endpoint::S3Endpoint;
use agent::storage::credentials::Credentials;
use agent::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use agent::storage::s3::{S3Settings, S3Store};
use agent::storage::{Content, ObjectStore};
use agent_core::clock::{SystemClock, TimeScale};
use agent_core::domain::ids::{AgentId, Life, NodeId};
use agent_core::domain::placement::{DataSet, Identity, Node, NodeState, Registration};
use agent_core::domain::units::Percent;
use agent_core::knowledge::Knowledge;
use agent_core::knowledge::memory::MemoryKnowledge;
use asked::{Asked, asked};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

const PUBLISHED_BYTES: u64 = 322_085_706;
const SMALL_BYTES: u64 = 4096;
const CLIENTS: u64 = 64;
const KEY: &str = "data.json";
/// Bytes, rounds, and small requests in one, when it is only to be seen that it works.
const MOMENT: [u64; 3] = [3_000_000, 1, 64];

/// The one store, reached directly: the link is no part of what is measured.
struct Near(Arc<S3Store>);

#[async_trait]
impl Reach for Near {
    async fn reach(&self, _: &Node, _: Duration) -> Result<Reached, ReachError> {
        Ok(Reached { store: self.0.clone(), access: S3Access::default(), emulated: None })
    }

    async fn probe(&self, _: &Reached) -> Result<Duration, String> {
        Ok(Duration::ZERO)
    }
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |index: usize, otherwise| numbers.get(index).copied().unwrap_or(otherwise);
    let [bytes, rounds, requests] = match asked("s3_endpoint") {
        Asked::Everything => [number(0, PUBLISHED_BYTES), number(1, 7), number(2, 2000)],
        Asked::AMoment => MOMENT,
        Asked::Nothing => return,
    };
    let (server, middle, client) = (runtime("server"), runtime("middle"), runtime("client"));
    let directory = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { durability: Durability::Kill, ..EmbeddedSettings::new(directory.path(), "data") };
    let embedded = EmbeddedStore::start(settings, server.handle()).unwrap();
    let direct = Arc::new(S3Store::new(S3Settings::new(embedded.endpoint(), "data", embedded.credentials().clone())));
    let own = S3Store::new(S3Settings::new(embedded.endpoint(), "data", embedded.credentials().clone()));
    let credentials = Credentials::new("AGENT", "secret");
    let world = client.block_on(world(&direct, Arc::new(own), bytes, middle.handle()));
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let endpoint = S3Endpoint::start(world, listener, &credentials, None).unwrap();
    let url = format!("http://{}", endpoint.address());
    let through = Arc::new(S3Store::new(S3Settings::new(url, "data_set", credentials)));

    let seconds = |store: &Arc<S3Store>| {
        let began = Instant::now();
        client.block_on(read(store, 0..bytes, bytes));
        began.elapsed().as_secs_f64()
    };
    let pairs: Vec<[f64; 2]> = (0..rounds).map(|_| [seconds(&direct), seconds(&through)]).collect();
    let [straight, served] = [0, 1].map(|way| bytes as f64 / median(pairs.iter().map(|pair| pair[way])) / 1e6);
    println!(
        "{bytes} bytes: direct {straight:.0} MB/s, through the endpoint {served:.0} MB/s, {:.2}",
        served / straight
    );

    let small = |store: &Arc<S3Store>| {
        let began = Instant::now();
        client.block_on(read(store, 0..SMALL_BYTES, bytes));
        began.elapsed().as_secs_f64() * 1e3
    };
    let pairs: Vec<[f64; 2]> = (0..requests).map(|_| [small(&direct), small(&through)]).collect();
    let [straight, served] = [0, 1].map(|way| median(pairs.iter().map(|pair| pair[way])));
    let more = served - straight;
    println!("{SMALL_BYTES} bytes: direct {straight:.3} ms, through the endpoint {served:.3} ms, {more:.3} ms more");

    let rate = |store: &Arc<S3Store>| {
        let began = Instant::now();
        let each = requests.div_ceil(CLIENTS);
        let one = |client: u64| {
            let store = store.clone();
            async move {
                for at in 0..each {
                    let start = (client * 7919 + at * 104_729) % (bytes - SMALL_BYTES);
                    read(&store, start..start + SMALL_BYTES, bytes).await;
                }
            }
        };
        client.block_on(futures::future::join_all((0..CLIENTS).map(|number| client.spawn(one(number)))));
        (each * CLIENTS) as f64 / began.elapsed().as_secs_f64()
    };
    let pairs: Vec<[f64; 2]> = (0..rounds).map(|_| [rate(&direct), rate(&through)]).collect();
    let [straight, served] = [0, 1].map(|way| median(pairs.iter().map(|pair| pair[way])));
    println!(
        "{CLIENTS} clients: direct {straight:.0} requests/s, through the endpoint {served:.0}, {:.2}",
        served / straight
    );
    let counted = endpoint.reads().into_values().next().unwrap();
    assert_eq!((counted.errors, counted.resumed), (0, 0));
    assert!(counted.bytes >= rounds * bytes);
    client.block_on(async {
        endpoint.shutdown().await;
        embedded.shutdown().await;
    });
}

fn runtime(name: &'static str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn read(store: &S3Store, range: std::ops::Range<u64>, bytes: u64) {
    let wanted = range.end - range.start;
    let mut body = store.read_range(KEY, range, &Content { bytes, etag: None }).await.unwrap().bytes;
    let mut received = 0;
    while let Some(chunk) = body.next().await {
        received += chunk.unwrap().len() as u64;
    }
    assert_eq!(received, wanted);
}

/// Agent 1 on node 1, where its data set lies.
async fn world(store: &S3Store, own: Arc<S3Store>, bytes: u64, services: &Handle) -> Arc<World> {
    let chunk = Bytes::from(vec![7; 1_000_000]);
    let mut sha256 = Sha256::new();
    let pieces: Vec<Bytes> = (0..bytes)
        .step_by(chunk.len())
        .map(|start| chunk.slice(..usize::try_from(bytes - start).unwrap().min(chunk.len())))
        .collect();
    pieces.iter().for_each(|piece| sha256.update(piece));
    store.write(KEY, bytes, stream::iter(pieces.into_iter().map(Ok)).boxed()).await.unwrap();
    let data_set = DataSet {
        name: "data_set".into(),
        object_key: KEY.to_owned(),
        bytes,
        records: 0,
        sha256: hex::encode(sha256.finalize()),
        versions: Default::default(),
        guard: Default::default(),
    };
    let node = Node {
        id: NodeId(1),
        name: "node".to_owned(),
        store_url: Some("http://127.0.0.1/data".to_owned()),
        availability: Percent::new(99.0).unwrap().into(),
        capacity_bytes: None,
        state: NodeState::Running,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    let clock = Arc::new(SystemClock::new(TimeScale::REAL));
    let knowledge = MemoryKnowledge::new(clock.clone());
    let identity = Identity { life: Life("life".to_owned()), ended: Vec::new(), silence: Duration::from_secs(30) };
    let registration = Registration {
        agent: AgentId(1),
        node: NodeId(1),
        goal: "availability >= 1 %".to_owned(),
        policy: "none".to_owned(),
        may_run_on: Default::default(),
    };
    let validators = store.info(KEY).await.unwrap().unwrap().validators;
    knowledge.register_network(&[node], &[]).await.unwrap();
    knowledge.register_data_set(&data_set, NodeId(1), KEY, &validators).await.unwrap();
    knowledge.register_agent(&registration, std::slice::from_ref(&data_set.name), &identity).await.unwrap();
    Arc::new(World {
        agent: AgentId(1),
        identity,
        over: watch::Sender::default(),
        unexpected: AtomicU32::default(),
        deciding: Default::default(),
        rates: Default::default(),
        home: NodeId(1),
        may_run_on: Default::default(),
        account: Default::default(),
        data_sets: vec![data_set.name],
        clock,
        knowledge: Arc::new(knowledge),
        reach: Arc::new(Near(own)),
        job: Arc::new(AggregateJob::new("count(nothing)".parse().unwrap(), NonZeroU64::MIN)),
        requests: None,
        services: services.clone(),
        notify: Arc::new(|_| {}),
        observer: None,
    })
}
