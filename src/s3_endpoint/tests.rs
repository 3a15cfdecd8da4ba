//! The endpoint on stores in memory that break when they are told to, read as applications read it.

use super::*;
use crate::actors::{Reach, ReachError, Reached, carry_out};
use crate::jobs::S3Access;
use crate::jobs::aggregate::AggregateJob;
use crate::storage::attributes::Attributes;
use crate::storage::contract::{body, pattern, put};
use crate::storage::memory::MemoryStore;
use crate::storage::s3::{Attempts, S3Settings, S3Store};
use crate::storage::set::{Meter, SetAt, make};
use crate::storage::{ByteStream, Content, ObjectInfo, ObjectStore, Page, PageToken, RangeBody, Result, StorageError};
use agent_core::clock::VirtualClock;
use agent_core::domain::action::Action;
use agent_core::domain::constraints::Constraints;
use agent_core::domain::ids::{AgentId, Life, NodeId};
use agent_core::domain::manifest::{Selection, SetKeys};
use agent_core::domain::placement::{DataSet, Identity, Link, Node, NodeState, Plan, Registration};
use agent_core::domain::saga::subject;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::domain::validators::Validators;
use agent_core::knowledge::ClosingRule;
use agent_core::knowledge::memory::MemoryKnowledge;
use agent_core::mape::executor::End;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use reading::{Object, Reading};
use reads::Measured;
use sha2::{Digest as _, Sha256};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::watch;

const KEY: &str = "blood.json";
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// A store that is away, also in the middle of an answer, when it is told to be.
#[derive(Clone)]
struct Breakable {
    store: MemoryStore,
    is_away: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
}

impl Breakable {
    fn new(node: NodeId) -> Self {
        Self { store: MemoryStore::new(format!("node {node}")), is_away: Arc::default(), reads: Arc::default() }
    }

    fn leave(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }
}

fn away(key: &str) -> StorageError {
    let (address, reason) = ("a store".to_owned(), "it was told to be away".to_owned());
    StorageError::Unavailable { address, operation: "reading", key: key.to_owned(), reason }
}

#[async_trait]
impl ObjectStore for Breakable {
    fn address(&self) -> &str {
        self.store.address()
    }

    async fn info(&self, key: &str) -> Result<Option<ObjectInfo>> {
        self.store.info(key).await
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        self.store.attributes(key).await
    }

    async fn read_range(&self, key: &str, range: Range<u64>, of: &Content) -> Result<RangeBody> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(away(key));
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        let RangeBody { etag, bytes } = self.store.read_range(key, range, of).await?;
        let (is_away, key) = (self.is_away.clone(), key.to_owned());
        let bytes = bytes.map(move |piece| if is_away.load(Ordering::SeqCst) { Err(away(&key)) } else { piece });
        Ok(RangeBody { etag, bytes: bytes.boxed() })
    }

    async fn write_with(&self, key: &str, bytes: u64, attributes: &Attributes, body: ByteStream) -> Result<()> {
        self.store.write_with(key, bytes, attributes, body).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.store.delete(key).await
    }

    async fn delete_if(&self, key: &str, content: &Content) -> Result<()> {
        self.store.delete_if(key, content).await
    }

    async fn list_page(&self, prefix: &str, after: Option<PageToken>) -> Result<Page> {
        self.store.list_page(prefix, after).await
    }
}

struct Stores(BTreeMap<NodeId, Breakable>);

#[async_trait]
impl Reach for Stores {
    async fn reach(&self, node: &Node, _: Duration) -> std::result::Result<Reached, ReachError> {
        let store = self.0.get(&node.id).ok_or(ReachError::NoStore(node.id))?.clone();
        Ok(Reached { store: Arc::new(store), access: S3Access::default(), emulated: None })
    }

    async fn probe(&self, _: &Reached) -> std::result::Result<Duration, String> {
        Ok(Duration::ZERO)
    }
}

/// Agent 1 on node 1 of three; its data set is on node 3.
struct Bench {
    world: Arc<World>,
    stores: Arc<Stores>,
}

impl Bench {
    async fn of_object(content: &[u8]) -> Self {
        let bench = Self::empty();
        put(bench.store(3), KEY, content).await;
        let data_set = data_set(KEY, content.len() as u64, &hex::encode(Sha256::digest(content)));
        let validators = bench.store(3).info(KEY).await.unwrap().unwrap().validators;
        bench.begin(&data_set, &validators).await;
        bench
    }

    async fn of_set(objects: &[(String, Vec<u8>)]) -> Self {
        let bench = Self::empty();
        for (key, content) in objects {
            put(bench.store(3), key, content).await;
        }
        let at = SetAt::new(Arc::new(bench.store(3).clone()), SetKeys::below("days/"));
        let manifest = make(&at, Selection::default(), 1, None, &Meter::silent()).await.unwrap();
        let validators = at.write_manifest(&manifest).await.unwrap();
        let data_set = data_set(&at.keys.manifest(), manifest.bytes(), &manifest.sha256().to_string());
        bench.begin(&data_set, &validators).await;
        bench
    }

    fn empty() -> Self {
        let clock = Arc::new(VirtualClock::at(Timestamp(1_000_000)));
        let stores = Arc::new(Stores(NODES.into_iter().map(|node| (node, Breakable::new(node))).collect()));
        let world = World {
            agent: AgentId(1),
            identity: Identity { life: Life("life".to_owned()), ended: Vec::new(), silence: Duration::from_secs(30) },
            over: watch::Sender::default(),
            unexpected: AtomicU32::default(),
            deciding: Default::default(),
            rates: Default::default(),
            home: NodeId(1),
            may_run_on: Default::default(),
            account: Default::default(),
            data_sets: vec!["blood_tests".into()],
            clock: clock.clone(),
            knowledge: Arc::new(MemoryKnowledge::new(clock)),
            reach: stores.clone(),
            job: Arc::new(AggregateJob::new("avg(cholesterol)".parse().unwrap(), NonZeroU64::MIN)),
            requests: None,
            services: Handle::current(),
            notify: Arc::new(|_| {}),
            observer: None,
        };
        Self { world: Arc::new(world), stores }
    }

    async fn begin(&self, data_set: &DataSet, validators: &Validators) {
        let node = |id: NodeId| Node {
            id,
            name: format!("node-{id}"),
            store_url: Some(format!("http://node-{id}/data")),
            availability: Percent::new(90.0).unwrap().into(),
            capacity_bytes: None,
            state: NodeState::Running,
            heartbeat_at: None,
            labels: Default::default(),
            store: Default::default(),
            contact: Default::default(),
        };
        let pairs = NODES.into_iter().flat_map(|from| NODES.map(|to| (from, to))).filter(|(from, to)| from != to);
        let links: Vec<Link> = pairs.map(|(from, to)| Link { from, to, latency_ms: 10.0, jitter_ms: 0.0 }).collect();
        let knowledge = &self.world.knowledge;
        knowledge.register_network(&NODES.map(node), &links).await.unwrap();
        knowledge.register_data_set(data_set, NodeId(3), &data_set.object_key, validators).await.unwrap();
        let (goal, policy) = ("availability >= 95 %".to_owned(), "none".to_owned());
        let registration =
            Registration { agent: AgentId(1), node: NodeId(1), goal, policy, may_run_on: Default::default() };
        let names = std::slice::from_ref(&data_set.name);
        knowledge.register_agent(&registration, names, &self.world.identity).await.unwrap();
    }

    fn store(&self, node: u32) -> &Breakable {
        &self.stores.0[&NodeId(node)]
    }

    async fn snapshot(&self) -> Snapshot {
        self.world.knowledge.snapshot(&self.world.data_sets[0]).await.unwrap().unwrap()
    }

    /// Carries an action of agent 1 out.
    async fn act(&self, label: &str) {
        let action: Action = label.parse().unwrap();
        let snapshot = self.snapshot().await;
        let concerned = subject(&snapshot.placement, action).expect("it begins somewhere");
        let plan = Plan {
            key: format!("key-{label}"),
            agent: AgentId(1),
            data_set: snapshot.data_set.name.clone(),
            reference: snapshot.placement.references[&AgentId(1)],
            action,
            explored: false,
            expected: [(concerned.id, concerned.generation)].into(),
            generation: None,
            detail: "{}".to_owned(),
        };
        let lease = Duration::from_secs(300);
        let watch = crate::actors::Watch {
            heartbeat: Duration::from_secs(10),
            lease,
            drain: Duration::ZERO,
            window: lease,
            closing: ClosingRule { threshold: 0.3, grace: lease, silence: lease },
            origins: None,
            scrub: None,
        };
        let end = carry_out(&self.world, watch, plan).await;
        assert!(matches!(end, End::Done), "{label}: {end:?}");
    }

    /// The owner writes another version on node 3, and it is announced.
    async fn write(&self, content: &[u8]) {
        put(self.store(3), KEY, content).await;
        let snapshot = self.snapshot().await;
        let origin = snapshot.placement.origin(KEY).expect("it is there");
        let next = DataSet {
            bytes: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
            ..snapshot.data_set.clone()
        };
        let validators = self.store(3).info(KEY).await.unwrap().unwrap().validators;
        let knowledge = &self.world.knowledge;
        assert!(knowledge.accept(&next, next.bytes, origin.id, origin.generation, &validators).await.unwrap());
    }

    fn serve(&self) -> (S3Endpoint, S3Store) {
        self.serve_staging(None)
    }

    /// Applications also write.
    fn serve_staging(&self, staging: Option<&Path>) -> (S3Endpoint, S3Store) {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let credentials = Credentials::new("AGENT", "secret");
        let endpoint = S3Endpoint::start(self.world.clone(), listener, &credentials, staging).unwrap();
        let client = client(&endpoint, "blood_tests");
        (endpoint, client)
    }

    /// An answer that is not sent anywhere.
    async fn reading(&self, content: &[u8]) -> (Reading, Arc<Reads>) {
        let (world, reads) = (self.world.clone(), Arc::new(Reads::default()));
        let shared = Arc::new(Shared {
            ways: Ways::new(world.clone()),
            catalogue: Catalogue::new(world.clone()),
            world: world.clone(),
        });
        let view = shared.catalogue.view(&world.data_sets[0]).await.unwrap();
        let object = Object {
            data_set: world.data_sets[0].clone(),
            version: view.version.sha256.clone(),
            below: None,
            bytes: view.version.bytes,
            sha256: view.version.sha256.clone(),
        };
        let measured = Measured::since(Instant::now(), reads.clone());
        let mut reading = Reading::new(shared, view, object, 0..content.len() as u64, measured);
        reading.begin().await.unwrap();
        (reading, reads)
    }
}

fn data_set(object_key: &str, bytes: u64, sha256: &str) -> DataSet {
    DataSet {
        name: "blood_tests".into(),
        object_key: object_key.to_owned(),
        bytes,
        records: 0,
        sha256: sha256.to_owned(),
        versions: Default::default(),
        guard: Default::default(),
    }
}

fn client(endpoint: &S3Endpoint, bucket: &str) -> S3Store {
    let url = format!("http://{}", endpoint.address());
    S3Store::new(S3Settings::new(url, bucket, Credentials::new("AGENT", "secret")))
}

async fn read(store: &dyn ObjectStore, key: &str, range: Range<u64>, bytes: u64) -> Result<Vec<u8>> {
    let body = store.read_range(key, range, &Content { bytes, etag: None }).await?.bytes;
    Ok(body.try_collect::<Vec<bytes::Bytes>>().await?.concat())
}

async fn rest(reading: &mut Reading) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = reading.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

#[tokio::test]
async fn a_data_set_is_read_like_any_bucket() {
    let content = pattern(300_000);
    let bench = Bench::of_object(&content).await;
    let (endpoint, store) = bench.serve();
    assert!(read(&store, KEY, 0..300_000, 300_000).await.unwrap() == content);
    assert!(read(&store, KEY, 100_000..100_007, 300_000).await.unwrap() == content[100_000..100_007]);
    let found = store.info(KEY).await.unwrap().unwrap();
    let etag = hex::encode(Sha256::digest(&content));
    assert_eq!((found.bytes, found.validators.etag.as_deref()), (300_000, Some(etag.as_str())));
    assert_eq!(store.list("").await.unwrap(), [found]);
    assert_eq!(store.info("other.json").await.unwrap(), None);
    assert!(store.bucket_exists().await.unwrap() && client(&endpoint, "blood-tests").bucket_exists().await.unwrap());
    assert!(!client(&endpoint, "urine-tests").bucket_exists().await.unwrap());
    let other = Content { bytes: 300_000, etag: Some("another".to_owned()) };
    let changed = store.read_range(KEY, 0..1, &other).await.err().expect("it is another content");
    assert!(matches!(changed, StorageError::Changed { .. }), "{changed}");
    let counted = endpoint.reads()[&bench.world.data_sets[0]];
    assert_eq!((counted.requests, counted.bytes, counted.errors), (2, 300_007, 0));
    endpoint.shutdown().await;
}

#[tokio::test]
async fn nobody_writes_here_and_nobody_reads_without_a_signature() {
    let bench = Bench::of_object(b"[]").await;
    let (endpoint, store) = bench.serve();
    let refused = store.write("new", 1, body(b"1", 1)).await.unwrap_err();
    assert!(matches!(refused, StorageError::Denied { .. }), "{refused}");
    assert!(refused.to_string().contains("they are written at their origin"), "{refused}");
    let refused = store.delete(KEY).await.unwrap_err();
    assert!(matches!(refused, StorageError::Denied { .. }), "{refused}");
    let url = format!("http://{}", endpoint.address());
    let stranger = S3Store::new(S3Settings::new(url, "blood_tests", Credentials::new("AGENT", "guessed")));
    let refused = stranger.info(KEY).await.unwrap_err();
    assert!(matches!(refused, StorageError::Denied { .. }), "{refused}");
    endpoint.shutdown().await;
}

#[tokio::test]
async fn the_objects_of_a_set_have_their_owners_keys() {
    let objects: Vec<_> = (0..1_100).map(|day| (format!("days/{day:04}.json"), vec![day as u8; 10])).collect();
    let bench = Bench::of_set(&objects).await;
    bench.act("M3_1").await;
    let (endpoint, store) = bench.serve();
    let listed: Vec<String> = store.list("days/").await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(listed, objects.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
    assert_eq!(read(&store, "days/0007.json", 0..10, 10).await.unwrap(), [7; 10]);
    assert_eq!(store.info("days/7.json").await.unwrap(), None);
    assert_eq!(store.info("days.manifest.ndjson").await.unwrap(), None, "it is nobody's but the agents'");
    endpoint.shutdown().await;
}

#[tokio::test]
async fn new_requests_go_to_the_new_reference() {
    let content = pattern(1000);
    let bench = Bench::of_object(&content).await;
    let (endpoint, store) = bench.serve();
    let etag = store.info(KEY).await.unwrap().unwrap().validators;
    assert!(read(&store, KEY, 0..1000, 1000).await.unwrap() == content);
    bench.act("M3_1").await;
    // It has drained: whatever the endpoint knew of it, every request is answered.
    bench.store(3).delete(KEY).await.unwrap();
    let before = bench.store(1).reads.load(Ordering::SeqCst);
    for _ in 0..20 {
        assert!(read(&store, KEY, 0..1000, 1000).await.unwrap() == content);
    }
    assert_eq!(bench.store(1).reads.load(Ordering::SeqCst), before + 20);
    assert_eq!(store.info(KEY).await.unwrap().unwrap().validators, etag, "it is the same version");
    endpoint.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_continued_from_another_replica() {
    let content = pattern(1_000_000);
    let bench = Bench::of_object(&content).await;
    bench.act("C3_1").await;
    let (mut reading, reads) = bench.reading(&content).await;
    let mut all = reading.next().await.unwrap().unwrap().to_vec();
    assert!(all.len() < content.len());
    bench.store(1).leave();
    all.extend(rest(&mut reading).await.unwrap());
    assert!(all == content);
    drop(reading);
    let counted = reads.so_far();
    assert_eq!((counted.requests, counted.resumed, counted.errors, counted.bytes), (1, 1, 0, 1_000_000));
}

#[tokio::test]
async fn versions_are_never_mixed() {
    let content = pattern(1_000_000);
    let bench = Bench::of_object(&content).await;
    bench.act("C3_1").await;
    let (mut reading, reads) = bench.reading(&content).await;
    let first = reading.next().await.unwrap().unwrap();
    assert!(first == content[..first.len()]);
    // Nobody holds the former version any more: the other replica is made anew, or away.
    bench.write(&vec![7; 1_000_000]).await;
    bench.store(1).leave();
    bench.act("CR3").await;
    bench.act("E1").await;
    let broken = rest(&mut reading).await.unwrap_err();
    assert!(broken.to_string().contains("another version"), "{broken}");
    drop(reading);
    assert_eq!(reads.so_far().errors, 1);
}

#[tokio::test]
async fn who_has_read_nothing_yet_is_given_the_next_version() {
    let content = pattern(1000);
    let bench = Bench::of_object(&content).await;
    let (endpoint, store) = bench.serve();
    assert!(read(&store, KEY, 0..1000, 1000).await.unwrap() == content);
    let next = vec![7; 2000];
    bench.write(&next).await;
    assert!(read(&store, KEY, 0..2000, 2000).await.unwrap() == next);
    endpoint.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_read_at_all_is_said_so() {
    let bench = Bench::of_object(b"[1]").await;
    let (endpoint, _) = bench.serve();
    bench.store(3).leave();
    let url = format!("http://{}", endpoint.address());
    let attempts = Attempts { read: 1, control: 1 };
    let settings = S3Settings { attempts, ..S3Settings::new(url, "blood_tests", Credentials::new("AGENT", "secret")) };
    let refused = read(&S3Store::new(settings), KEY, 0..3, 3).await.unwrap_err();
    assert!(matches!(refused, StorageError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("it was told to be away"), "{refused}");
    let counted = endpoint.reads()[&bench.world.data_sets[0]];
    assert!((counted.requests, counted.errors) == (1, 1), "{counted:?}");
    endpoint.shutdown().await;
}

/// Days of a set whose owner goes on writing on node 3, and an endpoint of agent 1 on node 1 that takes what is written.
struct Written {
    bench: Bench,
    place: tempfile::TempDir,
    endpoint: S3Endpoint,
    client: S3Store,
}

impl Written {
    async fn new() -> Self {
        let objects = [("days/1.json".to_owned(), b"[1]".to_vec()), ("days/2.json".to_owned(), b"[2]".to_vec())];
        let bench = Bench::of_set(&objects).await;
        let fixed = Constraints { origin: Some(NodeId(3)), ..Constraints::default() };
        bench.world.knowledge.set_constraints(&bench.world.data_sets[0], &fixed).await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let (endpoint, client) = bench.serve_staging(Some(&place.path().join("arriving")));
        Self { bench, place, endpoint, client }
    }

    /// Until the table has a version of this number, with so many bytes.
    async fn announced(&self, version: u64) -> u64 {
        loop {
            let data_set = self.bench.snapshot().await.data_set.clone();
            if data_set.versions.version >= version {
                return data_set.bytes;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn listed(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.client.list("days/").await.unwrap().into_iter().map(|it| it.key).collect();
        keys.sort();
        keys
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_lies_at_the_origin_and_is_the_next_version() {
    let written = Written::new().await;
    let (bench, client) = (&written.bench, &written.client);
    // One in one request, and one in parts.
    let large = pattern(20_000_000);
    put(client, "days/3.json", b"[3]").await;
    put(client, "days/large", &large).await;
    client.delete("days/1.json").await.unwrap();
    // Whoever has written reads it back, before anybody was told.
    let info = client.info("days/large").await.unwrap().expect("it is there");
    assert_eq!((info.bytes, info.validators.etag), (20_000_000, Some(hex::encode(Sha256::digest(&large)))));
    assert_eq!(client.info("days/1.json").await.unwrap(), None);
    assert_eq!(bench.store(3).info("days/large").await.unwrap().map(|it| it.bytes), Some(20_000_000));
    let content = Content { bytes: 20_000_000, etag: None };
    let read = client.read_range("days/large", 5..10, &content).await.unwrap().bytes;
    let read: Vec<Bytes> = read.try_collect().await.unwrap();
    assert_eq!(read.concat(), large[5..10]);

    assert_eq!(written.announced(2).await, 20_000_006);
    while written.listed().await != ["days/2.json", "days/3.json", "days/large"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.info("days/large").await.unwrap().map(|it| it.bytes), Some(20_000_000));
    assert!(written.endpoint.reads().into_values().all(|counted| counted.errors == 0));
    // Nothing is left of what arrived.
    let left = std::fs::read_dir(written.place.path().join("arriving/objects/staged")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_belongs_to_data_that_its_owner_writes_is_taken() {
    let written = Written::new().await;
    let refused = async |key: &str| {
        let body = futures::stream::iter([Ok(Bytes::from_static(b"x"))]).boxed();
        written.client.write(key, 1, body).await.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let elsewhere = refused("nights/1.json").await;
    assert!(elsewhere.contains("is no key of data set blood_tests"), "{elsewhere}");
    let nobody = Constraints::default();
    written.bench.world.knowledge.set_constraints(&written.bench.world.data_sets[0], &nobody).await.unwrap();
    let mut told = refused("days/4.json").await;
    while !told.contains("does not go on writing") {
        told = refused("days/4.json").await;
    }
    // Where nobody is to write, nobody does.
    let (_endpoint, reader) = written.bench.serve();
    let body = futures::stream::iter([Ok(Bytes::from_static(b"x"))]).boxed();
    let told = reader.write("days/4.json", 1, body).await.unwrap_err().to_string();
    assert!(told.contains("data sets are only read here"), "{told}");
}
