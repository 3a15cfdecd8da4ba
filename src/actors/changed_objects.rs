//! Objects that somebody replaces, damages or deletes, seen by an agent's duties: on stores and a table in memory.

use super::inspection::{Depth, judge};
use super::mending::mend;
use super::origin;
use super::removal::remove;
use super::saga::carry_out;
use super::watchdog::Watch;
use super::world::{Reach, ReachError, Reached, World};
use super::{Notice, chain};
use crate::jobs::S3Access;
use crate::jobs::aggregate::AggregateJob;
use crate::knowledge::{ClosingRule, Knowledge};
use crate::storage::ObjectStore;
use crate::storage::contract::{put, read};
use crate::storage::memory::MemoryStore;
use crate::storage::set::{Meter, SetAt, make};
use agent_core::clock::VirtualClock;
use agent_core::domain::action::Action;
use agent_core::domain::constraints::{Constraints, Guard};
use agent_core::domain::ids::{AgentId, Life, NodeId, ReplicaId};
use agent_core::domain::manifest::{Selection, SetKeys};
use agent_core::domain::placement::{
    Condition, DataSet, Identity, Link, Node, NodeState, Plan, Registration, Replica, ReplicaState,
};
use agent_core::domain::saga::{object_key_for, subject};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::domain::validators::Validators;
use agent_core::knowledge::memory::MemoryKnowledge;
use agent_core::mape::executor::End;
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

const CONTENT: &[u8] = b"[{\"cholesterol\": 172.8}]";
/// As long as that.
const OTHER: &[u8] = b"[{\"cholesterol\": 999.9}]";
const OWN_KEY: &str = "blood.json";
pub(super) const SILENCE: Duration = Duration::from_secs(30);
pub(super) const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
pub(super) const WATCH: Watch = Watch {
    heartbeat: Duration::from_secs(10),
    lease: Duration::from_secs(300),
    drain: Duration::ZERO,
    window: Duration::from_secs(210),
    closing: ClosingRule { threshold: 0.3, grace: Duration::from_secs(60), silence: Duration::from_secs(30) },
    origins: None,
    scrub: None,
};

struct Stores(BTreeMap<NodeId, MemoryStore>);

#[async_trait]
impl Reach for Stores {
    async fn reach(&self, node: &Node, _: Duration) -> Result<Reached, ReachError> {
        let store = self.0.get(&node.id).ok_or(ReachError::NoStore(node.id))?.clone();
        Ok(Reached { store: Arc::new(store), access: S3Access::default(), emulated: None })
    }

    async fn probe(&self, _: &Reached) -> Result<Duration, String> {
        Ok(Duration::ZERO)
    }
}

/// Agent 1 on node 1 of three, and its user's own object on node 3.
pub(super) struct Bench {
    clock: Arc<VirtualClock>,
    pub(super) world: Arc<World>,
    stores: Arc<Stores>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    async fn new() -> Self {
        let bench = Self::empty().await;
        bench.fill().await;
        bench
    }

    /// The same network with a set of these objects below a prefix, whose owner goes on writing at a node.
    pub(super) async fn of_set(prefix: &str, objects: &[(String, Vec<u8>)], origin: NodeId) -> Self {
        let bench = Self::empty().await;
        let store = bench.store(origin.0).clone();
        for (key, content) in objects {
            put(&store, key, content).await;
        }
        let at = SetAt::new(Arc::new(store), SetKeys::below(prefix));
        let manifest = make(&at, Selection::default(), 1, None, &Meter::silent()).await.unwrap();
        let validators = at.write_manifest(&manifest).await.unwrap();
        let constraints = Constraints { origin: Some(origin), ..Constraints::default() };
        let data_set = DataSet {
            name: "blood".into(),
            object_key: at.keys.manifest(),
            bytes: manifest.bytes(),
            records: 0,
            sha256: manifest.sha256().to_string(),
            versions: Default::default(),
            guard: Guard { constraints, paused_until: None },
        };
        bench.begin(&data_set, origin, &validators).await;
        bench
    }

    async fn empty() -> Self {
        let clock = Arc::new(VirtualClock::at(Timestamp(1_000_000)));
        let knowledge: Arc<dyn Knowledge> = Arc::new(MemoryKnowledge::new(clock.clone()));
        let store = |node: NodeId| (node, MemoryStore::new(format!("node {node}")));
        let stores = Arc::new(Stores(NODES.into_iter().map(store).collect()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = told.clone();
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
            data_sets: vec!["blood".into()],
            clock: clock.clone(),
            knowledge,
            reach: stores.clone(),
            job: Arc::new(AggregateJob::new("avg(cholesterol)".parse().unwrap(), NonZeroU64::MIN)),
            requests: None,
            services: Handle::current(),
            notify: Arc::new(move |notice: Notice| hears.lock().unwrap().push(notice.to_string())),
            observer: None,
        };
        Self { clock, world: Arc::new(world), stores, told }
    }

    /// The network, a data set whose first replica lies under its own key, and its reader.
    async fn begin(&self, data_set: &DataSet, first: NodeId, validators: &Validators) {
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
        self.world.knowledge.register_network(&NODES.map(node), &links).await.unwrap();
        self.world.knowledge.register_data_set(data_set, first, &data_set.object_key, validators).await.unwrap();
        let registration = Registration {
            agent: AgentId(1),
            node: NodeId(1),
            goal: "availability >= 95 %".to_owned(),
            policy: "none".to_owned(),
            may_run_on: Default::default(),
        };
        let names = std::slice::from_ref(&data_set.name);
        self.world.knowledge.register_agent(&registration, names, &self.world.identity).await.unwrap();
    }

    async fn fill(&self) {
        put(self.store(3), OWN_KEY, CONTENT).await;
        let first = self.store(3).info(OWN_KEY).await.unwrap().unwrap();
        let data_set = DataSet {
            name: "blood".into(),
            object_key: OWN_KEY.to_owned(),
            bytes: CONTENT.len() as u64,
            records: 1,
            sha256: hex::encode(Sha256::digest(CONTENT)),
            versions: Default::default(),
            guard: Default::default(),
        };
        self.begin(&data_set, NodeId(3), &first.validators).await;
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// How many lines were told so far.
    pub(super) fn lines(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    /// How many of those after the first ones have these words.
    pub(super) fn told_since(&self, lines: usize, words: &str) -> usize {
        self.told.lock().unwrap().iter().skip(lines).filter(|line| line.contains(words)).count()
    }

    pub(super) fn store(&self, node: u32) -> &MemoryStore {
        &self.stores.0[&NodeId(node)]
    }

    pub(super) async fn snapshot(&self) -> Snapshot {
        self.world.knowledge.snapshot(&self.world.data_sets[0]).await.unwrap().unwrap()
    }

    /// Carries an action of agent 1 out.
    pub(super) async fn act(&self, label: &str) -> End {
        let action: Action = label.parse().unwrap();
        let snapshot = self.snapshot().await;
        let concerned = subject(&snapshot.placement, action).expect("it begins somewhere");
        let plan = Plan {
            key: format!("key-{label}"),
            agent: AgentId(1),
            data_set: "blood".into(),
            reference: snapshot.placement.references[&AgentId(1)],
            action,
            explored: false,
            expected: [(concerned.id, concerned.generation)].into(),
            generation: None,
            detail: "{}".to_owned(),
        };
        carry_out(&self.world, WATCH, plan).await
    }

    async fn removing(&self) -> Vec<Replica> {
        let placement = self.snapshot().await.placement.clone();
        placement.replicas.into_values().filter(|row| row.state == ReplicaState::Removing).collect()
    }

    /// Deletes what has drained, as the watchdog does.
    pub(super) async fn clean_up(&self) {
        for row in self.removing().await {
            remove(&self.world, &row).await.unwrap();
        }
    }

    async fn on(&self, node: u32) -> Option<Replica> {
        self.snapshot().await.placement.on(NodeId(node)).cloned()
    }

    async fn state_on(&self, node: u32) -> Option<ReplicaState> {
        self.on(node).await.map(|row| row.state)
    }

    async fn look(&self, node: u32) -> Condition {
        let snapshot = self.snapshot().await;
        let row = snapshot.placement.on(NodeId(node)).expect("a replica");
        judge(&self.world, &snapshot, row, Depth::Look).await.unwrap()
    }

    async fn reads(&self) -> u32 {
        self.snapshot().await.placement.reference(AgentId(1)).unwrap().node.0
    }

    /// How many lines with these words were told.
    fn told(&self, words: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }

    async fn content(&self, node: u32, key: &str) -> Option<Vec<u8>> {
        let found = self.store(node).info(key).await.unwrap()?;
        Some(read(self.store(node), key, 0..found.bytes).await.unwrap())
    }
}

#[tokio::test]
async fn what_the_owner_replaced_is_neither_copied_nor_deleted() {
    for other in [OTHER, &[CONTENT, b", and more"].concat()] {
        let bench = Bench::new().await;
        bench.act("C3_2").await;
        put(bench.store(3), OWN_KEY, other).await;
        let End::Failed(why) = bench.act("C3_1").await else {
            panic!("the copy took what the catalogue does not know")
        };
        assert!(why.contains("is another object by now"), "{why}");
        assert_eq!(bench.state_on(3).await, Some(ReplicaState::Changed));
        assert_eq!(bench.reads().await, 2, "its readers read the intact one");
        assert_eq!(bench.told("agent data accept blood --node 3"), 1);
        assert_eq!(bench.look(3).await, bench.look(3).await);
        assert_eq!(bench.told("agent data accept blood --node 3"), 1, "it is told once");
        bench.clean_up().await;
        assert_eq!(bench.content(3, OWN_KEY).await.as_deref(), Some(other));
    }
}

#[tokio::test]
async fn new_content_under_a_key_that_drains_is_left_alone() {
    let bench = Bench::new().await;
    assert_eq!(bench.act("M3_1").await, End::Done);
    put(bench.store(3), OWN_KEY, OTHER).await;
    bench.clean_up().await;
    assert_eq!(bench.content(3, OWN_KEY).await.as_deref(), Some(OTHER));
    assert_eq!(bench.removing().await, [], "the row is closed");
    assert_eq!(bench.told("is left alone"), 1);
}

#[tokio::test]
async fn the_last_good_copy_is_taken_back() {
    let bench = Bench::new().await;
    assert_eq!(bench.act("M3_1").await, End::Done);
    let moved = bench.on(1).await.unwrap().object_key;
    assert_eq!(moved, object_key_for(OWN_KEY, "key-M3_1"));
    put(bench.store(1), &moved, OTHER).await;
    bench.clean_up().await;
    assert_eq!(bench.content(3, OWN_KEY).await.as_deref(), Some(CONTENT));
    assert_eq!(
        (bench.state_on(1).await, bench.state_on(3).await),
        (Some(ReplicaState::Damaged), Some(ReplicaState::Present))
    );
    assert_eq!(bench.reads().await, 3);
    // And what is damaged is made anew from it.
    assert_eq!(mend(&bench.world, WATCH).await, Some(End::Done));
    assert_eq!(bench.state_on(1).await, Some(ReplicaState::Present));
    let anew = bench.on(1).await.unwrap().object_key;
    assert_eq!(bench.content(1, &anew).await.as_deref(), Some(CONTENT));
    bench.clean_up().await;
    assert_eq!(mend(&bench.world, WATCH).await, None, "there is nothing more to mend");
}

#[tokio::test]
async fn what_only_seemed_to_be_wrong_is_read_again() {
    let bench = Bench::new().await;
    let row = bench.on(3).await.unwrap();
    let seemed = Condition::Changed("its SHA-256 is another".to_owned());
    assert!(bench.world.knowledge.found(row.id, row.generation, &seemed).await.unwrap());
    let at_home = World { home: NodeId(3), ..clone_of(&bench.world) };
    assert_eq!(mend(&Arc::new(at_home), WATCH).await, Some(End::Done));
    assert_eq!(bench.state_on(3).await, Some(ReplicaState::Present));
    // What was written since is a person's to judge.
    put(bench.store(3), OWN_KEY, OTHER).await;
    bench.look(3).await;
    let at_home = World { home: NodeId(3), ..clone_of(&bench.world) };
    assert_eq!(mend(&Arc::new(at_home), WATCH).await, None);
    assert_eq!(bench.state_on(3).await, Some(ReplicaState::Changed));
}

#[tokio::test]
async fn what_an_owner_writes_is_announced_and_the_former_version_is_read_until_it_is_refreshed() {
    let bench = Bench::new().await;
    let constraints = Constraints { origin: Some(NodeId(3)), ..Constraints::default() };
    bench.world.knowledge.set_constraints(&bench.world.data_sets[0], &constraints).await.unwrap();
    assert_eq!(bench.act("C3_1").await, End::Done);
    let origin = World { home: NodeId(3), ..clone_of(&bench.world) };
    let mut found = origin::Found::new();
    let version = async || bench.snapshot().await.data_set.versions.version;
    put(bench.store(3), OWN_KEY, OTHER).await;
    // Who comes upon it in the middle of the writing states nothing.
    let snapshot = bench.snapshot().await;
    let row = snapshot.placement.on(NodeId(3)).unwrap();
    let why = judge(&bench.world, &snapshot, row, Depth::Look).await.unwrap_err();
    assert!(why.starts_with("its owner writes there"), "{why}");
    for (content, expected) in [(None, 1), (Some(CONTENT), 1), (Some(OTHER), 1), (None, 2), (None, 2)] {
        if let Some(content) = content {
            put(bench.store(3), OWN_KEY, content).await;
        }
        origin::watch(&origin, SILENCE, &mut found).await.unwrap();
        assert_eq!(version().await, expected, "what was found twice in a row is announced");
    }
    assert_eq!(bench.told("version 2 of data set blood at node 3"), 1);
    let outdated = bench.on(1).await.unwrap();
    assert_eq!((outdated.state, outdated.is_outdated(), bench.reads().await), (ReplicaState::Present, true, 1));
    assert!(matches!(bench.look(1).await, Condition::Intact(_)), "the former version is whole");
    assert_eq!(mend(&bench.world, WATCH).await, None, "it is not damaged");

    assert_eq!(bench.act("R3_1").await, End::Done);
    let refreshed = bench.on(1).await.unwrap();
    assert_eq!((refreshed.is_outdated(), bench.reads().await), (false, 1));
    assert_eq!(bench.content(1, &refreshed.object_key).await.as_deref(), Some(OTHER));
    assert_eq!(bench.content(1, &outdated.object_key).await.as_deref(), Some(CONTENT), "jobs may still read it");
    bench.clean_up().await;
    assert_eq!(bench.content(1, &outdated.object_key).await, None);
}

#[tokio::test]
async fn a_replica_that_somebody_deleted_is_made_anew() {
    let bench = Bench::new().await;
    assert_eq!(bench.act("C3_1").await, End::Done);
    let key = bench.on(1).await.unwrap().object_key;
    bench.store(1).delete(&key).await.unwrap();
    assert_eq!(bench.look(1).await, Condition::Damaged("its object is gone".to_owned()));
    assert_eq!(bench.reads().await, 3);
    assert_eq!(mend(&bench.world, WATCH).await, Some(End::Done));
    assert_eq!(bench.state_on(1).await, Some(ReplicaState::Present));
    bench.clean_up().await;
    assert_eq!(bench.removing().await, []);
}

#[tokio::test]
async fn without_a_known_intact_replica_nothing_is_deleted() {
    let bench = Bench::new().await;
    assert_eq!(bench.act("M3_1").await, End::Done);
    let row = bench.removing().await.remove(0);
    let snapshot = bench.snapshot().await;
    let unreachable = Arc::new(Stores([(NodeId(3), bench.store(3).clone())].into()));
    let world = World { reach: unreachable, ..clone_of(&bench.world) };
    let why = remove(&world, &row).await.unwrap_err();
    assert!(why.starts_with("whether an intact replica stays is not known: node 1 has no store yet"), "{why}");
    assert_eq!(bench.content(3, OWN_KEY).await.as_deref(), Some(CONTENT));
    assert_eq!(snapshot.placement.replicas.get(&ReplicaId(1)).map(|row| row.node), Some(NodeId(1)));
}

pub(super) fn clone_of(world: &World) -> World {
    World {
        agent: world.agent,
        identity: world.identity.clone(),
        over: watch::Sender::default(),
        unexpected: AtomicU32::default(),
        deciding: Default::default(),
        rates: Default::default(),
        home: world.home,
        may_run_on: world.may_run_on.clone(),
        account: Default::default(),
        data_sets: world.data_sets.clone(),
        clock: world.clock.clone(),
        knowledge: world.knowledge.clone(),
        reach: world.reach.clone(),
        job: world.job.clone(),
        requests: world.requests.clone(),
        services: world.services.clone(),
        notify: world.notify.clone(),
        observer: None,
    }
}

#[tokio::test]
async fn what_an_object_is_travels_with_it() {
    let bench = Bench::new().await;
    let plain = bench.store(3).attributes(OWN_KEY).await.unwrap();
    assert_eq!(bench.act("C3_1").await, End::Done);
    let copy = bench.on(1).await.unwrap();
    assert!(copy.object_key.ends_with("/blood.json") && !copy.object_key.starts_with("blood.json/"), "{copy:?}");
    assert_eq!(bench.store(1).attributes(&copy.object_key).await.unwrap(), plain);
    let error = bench.store(1).attributes("elsewhere").await.unwrap_err();
    assert!(chain(&error).contains("no object"));
}
