//! An agent that dies before or after any step of an action's saga, and what becomes of it: the same agent starts again, or
//! another one finds its claim when the lease has run out, or deleting fails the first time.
//!
//! The executor's machine decides, the steps are really taken on both kinds of table and on stores in memory.

use agent::actors::{Reach, ReachError, Reached, Watch, World, beat, recover};
use agent::jobs::{DataSource, FailedFor, Job, JobError, JobReport, S3Access};
use agent::knowledge::sqlite::SqliteKnowledge;
use agent::knowledge::{ClosingRule, Knowledge};
use agent::storage::memory::{Fault, Faulty, MemoryStore};
use agent::storage::transfer::{Expected, transfer};
use agent::storage::{Content, ObjectStore};
use agent_core::clock::VirtualClock;
use agent_core::domain::action::Action;
use agent_core::domain::event::{Event, Outcome, Window};
use agent_core::domain::failure::{FailureKind, JobFailure};
use agent_core::domain::ids::{self, AgentId, DataSetName, EventId, NodeId};
use agent_core::domain::invariants;
use agent_core::domain::placement::{
    Claim, DataSet, Identity, Link, Node, NodeState, Plan, Registration, ReplicaState, StoreTraits,
};
use agent_core::domain::saga::{self, Claimed};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::domain::validators::Validators;
use agent_core::knowledge::memory::MemoryKnowledge;
use agent_core::mape::executor::{Effect, End, Executor, Input};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

const CONTENT: &[u8] = b"[\r\n{\"cholesterol\": 172.8}\r\n]";
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const AGENTS: [AgentId; 3] = [AgentId(1), AgentId(2), AgentId(3)];
const WATCH: Watch = Watch {
    heartbeat: Duration::from_secs(10),
    lease: Duration::from_secs(300),
    drain: Duration::from_secs(60),
    window: Duration::from_secs(210),
    closing: ClosingRule { threshold: 0.3, grace: Duration::from_secs(60), silence: Duration::from_secs(30) },
    origins: None,
    scrub: None,
};

/// What is done, in which situation, and what it makes of it.
struct Scenario {
    /// Done before, each to its end.
    before: &'static [(u32, &'static str)],
    agent: u32,
    action: &'static str,
    /// What is sent is not what the catalogue promises: the transfer fails.
    source_is_damaged: bool,
    /// The nodes with a replica, and the nodes that agents 1, 2 and 3 read, once it is done.
    nodes: &'static [u32],
    read: [u32; 3],
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { before: &[], agent: 1, action: "M3_1", source_is_damaged: false, nodes: &[1], read: [1, 1, 1] },
    Scenario { before: &[], agent: 1, action: "C3_1", source_is_damaged: false, nodes: &[1, 3], read: [1, 3, 3] },
    Scenario {
        before: &[(2, "C3_2")],
        agent: 1,
        action: "CR2",
        source_is_damaged: false,
        nodes: &[2, 3],
        read: [2, 2, 3],
    },
    // Agents 1 and 3 read it: they are given what remains.
    Scenario { before: &[(2, "C3_2")], agent: 2, action: "E3", source_is_damaged: false, nodes: &[2], read: [2, 2, 2] },
    // Onto a node that holds the data: nothing travels.
    Scenario {
        before: &[(2, "C3_2")],
        agent: 1,
        action: "M3_2",
        source_is_damaged: false,
        nodes: &[2],
        read: [2, 2, 2],
    },
    Scenario { before: &[], agent: 1, action: "M3_1", source_is_damaged: true, nodes: &[1], read: [1, 1, 1] },
    Scenario { before: &[], agent: 1, action: "C3_1", source_is_damaged: true, nodes: &[1, 3], read: [1, 3, 3] },
];

/// How the dead agent's work is found.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Recovery {
    /// The agent starts again at once.
    Restart,
    /// It stays away; another agent finds it when the lease has run out.
    Others,
    /// The agent starts again, and no store deletes anything until later.
    NothingIsDeleted,
}

/// How long an agent lives: it dies at the point after so many.
struct Life {
    points_left: u32,
}

/// Where it died.
#[derive(Clone, Copy, Debug)]
struct Died(&'static str);

impl Life {
    fn long() -> Self {
        Self { points_left: u32::MAX }
    }

    fn point(&mut self, place: &'static str) -> Result<(), Died> {
        self.points_left = self.points_left.checked_sub(1).ok_or(Died(place))?;
        Ok(())
    }
}

fn identity() -> Identity {
    Identity { life: ids::Life("life".to_owned()), ended: Vec::new(), silence: WATCH.closing.silence }
}

type Store = Faulty<MemoryStore>;

struct Stores(BTreeMap<NodeId, Arc<Store>>);

#[async_trait]
impl Reach for Stores {
    async fn reach(&self, node: &Node, _: Duration) -> Result<Reached, ReachError> {
        let store = self.0.get(&node.id).ok_or(ReachError::NoStore(node.id))?.clone();
        let nowhere = || String::new();
        let access = S3Access {
            endpoint: nowhere(),
            region: nowhere(),
            bucket: nowhere(),
            access_key_id: nowhere(),
            secret_access_key: nowhere(),
            ..Default::default()
        };
        Ok(Reached { store, access, emulated: None })
    }

    async fn probe(&self, _: &Reached) -> Result<Duration, String> {
        Ok(Duration::ZERO)
    }
}

struct NoJob;

#[async_trait]
impl Job for NoJob {
    fn describe(&self) -> String {
        "nothing".to_owned()
    }

    async fn run_over(&self, _: &[DataSource]) -> Result<JobReport, FailedFor> {
        let (program, reason) = ("none".to_owned(), "there is no job in this test".to_owned());
        Err(JobError::Command { program, reason, output: String::new() }.into())
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Technology {
    Memory,
    Sqlite,
}

/// Three nodes with a store and an agent each, and the data set on node 3.
struct Network {
    clock: Arc<VirtualClock>,
    knowledge: Arc<dyn Knowledge>,
    stores: Arc<Stores>,
    folder: tempfile::TempDir,
    technology: Technology,
    plans: u32,
}

impl Network {
    async fn new(technology: Technology) -> Self {
        let clock = Arc::new(VirtualClock::at(Timestamp(1_000_000)));
        let folder = tempfile::tempdir().unwrap();
        let knowledge: Arc<dyn Knowledge> = match technology {
            Technology::Memory => Arc::new(MemoryKnowledge::new(clock.clone())),
            Technology::Sqlite => Arc::new(SqliteKnowledge::open(&folder.path().join("k.db"), clock.clone()).unwrap()),
        };
        let store = |node: NodeId| Arc::new(Faulty::new(MemoryStore::new(format!("node {node}")), []));
        let stores = Arc::new(Stores(NODES.into_iter().map(|node| (node, store(node))).collect()));
        let network = Self { clock, knowledge, stores, folder, technology, plans: 0 };
        network.fill().await;
        network
    }

    async fn fill(&self) {
        let node = |id: NodeId| Node {
            id,
            name: format!("node-{id}"),
            store_url: None,
            availability: Percent::new(90.0).unwrap().into(),
            capacity_bytes: None,
            state: NodeState::Declared,
            heartbeat_at: None,
            labels: Default::default(),
            store: StoreTraits::default(),
            contact: Default::default(),
        };
        let pairs = NODES.into_iter().flat_map(|from| NODES.map(|to| (from, to))).filter(|(from, to)| from != to);
        let links: Vec<Link> = pairs.map(|(from, to)| Link { from, to, latency_ms: 1000.0, jitter_ms: 0.0 }).collect();
        self.knowledge.register_network(&NODES.map(node), &links).await.unwrap();
        write(self.store(NodeId(3)), "blood.json/first", CONTENT).await;
        let first = self.store(NodeId(3)).info("blood.json/first").await.unwrap().unwrap();
        let data_set = DataSet {
            name: data_set(),
            object_key: "blood.json".to_owned(),
            bytes: CONTENT.len() as u64,
            records: 1,
            sha256: hex::encode(Sha256::digest(CONTENT)),
            versions: Default::default(),
            guard: Default::default(),
        };
        assert!(
            self.knowledge
                .register_data_set(&data_set, NodeId(3), "blood.json/first", &first.validators)
                .await
                .unwrap()
        );
        for agent in AGENTS {
            let (goal, policy) = ("availability >= 95 %".to_owned(), "fixed".to_owned());
            let registration = Registration { agent, node: agent.home(), goal, policy, may_run_on: Default::default() };
            self.knowledge
                .register_agent(&registration, std::slice::from_ref(&data_set.name), &identity())
                .await
                .unwrap();
        }
    }

    fn store(&self, node: NodeId) -> &Store {
        &self.stores.0[&node]
    }

    fn set_faults(&self, faults: &[Fault]) {
        self.stores.0.values().for_each(|store| store.set(faults.iter().copied()));
    }

    async fn snapshot(&self) -> Snapshot {
        self.knowledge.snapshot(&data_set()).await.unwrap().unwrap()
    }

    /// A process that starts has a connection of its own.
    fn reconnect(&mut self) {
        if self.technology == Technology::Sqlite {
            let file = self.folder.path().join("k.db");
            self.knowledge = Arc::new(SqliteKnowledge::open(&file, self.clock.clone()).unwrap());
        }
    }

    fn world(&self, agent: AgentId) -> World {
        World {
            agent,
            identity: identity(),
            over: watch::Sender::default(),
            unexpected: AtomicU32::default(),
            deciding: Default::default(),
            rates: Default::default(),
            home: agent.home(),
            may_run_on: Default::default(),
            account: Default::default(),
            data_sets: vec![data_set()],
            clock: self.clock.clone(),
            knowledge: self.knowledge.clone(),
            reach: self.stores.clone(),
            job: Arc::new(NoJob),
            requests: None,
            services: Handle::current(),
            notify: Arc::new(|_| {}),
            observer: None,
        }
    }

    async fn plan(&mut self, agent: AgentId, label: &str) -> Plan {
        self.plans += 1;
        let placement = self.snapshot().await.placement.clone();
        let action: Action = label.parse().unwrap();
        let subject = saga::subject(&placement, action).unwrap();
        Plan {
            key: format!("plan-{}", self.plans),
            agent,
            data_set: data_set(),
            reference: placement.references[&agent],
            action,
            explored: false,
            expected: [(subject.id, subject.generation)].into(),
            generation: None,
            detail: "{}".to_owned(),
        }
    }

    /// Acts as the executor's machine says, to the end or to death.
    async fn act(&mut self, agent: AgentId, label: &str, life: &mut Life) -> Result<End, Died> {
        let plan = self.plan(agent, label).await;
        let mut machine = Executor::default();
        let mut effects = VecDeque::from(machine.handle(Input::Execute(plan)));
        let mut end = None;
        while let Some(effect) = effects.pop_front() {
            let input = match effect {
                Effect::CheckLinks(_) => Input::LinksThere,
                Effect::Claim(plan) => self.claim(&plan, life).await?,
                Effect::Transfer(claim) => self.transfer(&claim, life).await?,
                Effect::Commit { event, arrived } => self.commit(event, &arrived, life).await?,
                Effect::Abort { claim, outcome, why } => self.abort(&claim, outcome, &why, life).await?,
                Effect::Note(plan) => panic!("{plan:?} does something"),
                Effect::Report(report) => {
                    end = Some(report.end);
                    continue;
                }
                Effect::Finished(_) => continue,
                Effect::Unexpected(what) => panic!("{what}"),
            };
            effects.extend(machine.handle(input));
        }
        assert!(machine.is_idle());
        Ok(end.expect("an action that ended is reported"))
    }

    async fn claim(&self, plan: &Plan, life: &mut Life) -> Result<Input, Died> {
        life.point("before the claim")?;
        let claimed = self.knowledge.claim(plan, WATCH.lease, WATCH.window).await.unwrap();
        assert!(matches!(claimed, Claimed::Granted(_)), "{claimed:?}");
        life.point("after the claim")?;
        Ok(Input::Claimed(claimed))
    }

    async fn transfer(&self, claim: &Claim, life: &mut Life) -> Result<Input, Died> {
        let destination = claim.destination.as_ref().expect("what travels has a destination");
        let (from, to) = (self.store(claim.source.node), self.store(destination.node));
        life.point("before the transfer")?;
        // Some stores show an object before all of it has arrived.
        if life.points_left == 0 {
            write(to, &destination.object_key, &CONTENT[..7]).await;
        }
        life.point("in the middle of the transfer")?;
        let expected = Expected { bytes: CONTENT.len() as u64, sha256: hex::encode(Sha256::digest(CONTENT)) };
        let sent = transfer(from, &claim.source.object_key, None, to, &destination.object_key, &expected, |_| {}).await;
        life.point("after the transfer")?;
        Ok(match sent {
            Ok(verified) => Input::Transferred(verified.validators().clone()),
            Err(error) => Input::TransferFailed(JobFailure::new(FailureKind::Store, error.to_string())),
        })
    }

    async fn commit(&self, event: EventId, arrived: &Validators, life: &mut Life) -> Result<Input, Died> {
        life.point("before the commit")?;
        let committed = self.knowledge.commit(event, arrived, WATCH.drain).await.unwrap();
        life.point("after the commit")?;
        Ok(Input::Committed(committed))
    }

    async fn abort(&self, claim: &Claim, outcome: Outcome, why: &str, life: &mut Life) -> Result<Input, Died> {
        life.point("before giving up")?;
        let leftover = self.knowledge.abort(claim.event, outcome, why).await.unwrap();
        life.point("after giving up")?;
        let destination = claim.destination.as_ref().expect("what was given up had a destination");
        self.store(destination.node).delete(&destination.object_key).await.unwrap();
        life.point("after deleting what had arrived")?;
        let leftover = leftover.expect("the destination's row");
        self.knowledge.removed(leftover.id).await.unwrap();
        life.point("after removing its row")?;
        Ok(Input::Aborted)
    }

    /// A round of every agent's duties, but a dead one's.
    async fn round(&self, dead: Option<AgentId>) {
        for agent in AGENTS.into_iter().filter(|agent| Some(*agent) != dead) {
            beat(&self.world(agent), WATCH, false).await.unwrap();
        }
    }

    /// Rounds for longer than any lease, drain, window or grace lasts.
    async fn settle(&self, dead: Option<AgentId>) {
        for _ in 0..40 {
            self.clock.advance(Duration::from_secs(30));
            self.round(dead).await;
        }
    }

    /// What holds at any moment.
    async fn check_invariants(&self, context: &str) {
        let snapshot = self.snapshot().await;
        assert_eq!(invariants::check(&data_set(), &snapshot.placement), [], "{context}");
        for replica in snapshot.placement.present() {
            let found = read(self.store(replica.node).inner(), &replica.object_key).await;
            assert_eq!(found.as_deref(), Some(CONTENT), "{context}: replica {} on node {}", replica.id, replica.node);
        }
        let references: BTreeSet<AgentId> = snapshot.placement.references.keys().copied().collect();
        assert_eq!(references, AGENTS.into(), "{context}");
    }

    /// Every object has a row of a present replica, and every row an object.
    async fn check_nothing_is_left_behind(&self, context: &str) {
        let placement = self.snapshot().await.placement.clone();
        let states: BTreeSet<&str> = placement.replicas.values().map(|replica| replica.state.name()).collect();
        assert_eq!(states, [ReplicaState::Present.name()].into(), "{context}: {:?}", placement.replicas);
        assert!(placement.replicas.values().all(|replica| replica.lease.is_none()), "{context}: {placement:?}");
        for node in NODES {
            let objects = self.store(node).list("").await.unwrap().into_iter().map(|object| object.key);
            let rows = placement.present().filter(|replica| replica.node == node);
            let rows: Vec<&str> = rows.map(|replica| replica.object_key.as_str()).collect();
            assert_eq!(objects.collect::<Vec<_>>(), rows, "{context}: node {node}");
        }
    }

    async fn events(&self) -> Vec<Event> {
        self.knowledge.events(EventId(0), 100).await.unwrap()
    }

    /// The nodes with a replica, and those that the agents read.
    async fn placement(&self) -> (Vec<u32>, Vec<u32>) {
        let placement = self.snapshot().await.placement.clone();
        let nodes = placement.nodes().into_iter().map(|node| node.0).collect();
        (nodes, AGENTS.map(|agent| placement.reference(agent).unwrap().node.0).into())
    }
}

fn data_set() -> DataSetName {
    "blood".into()
}

async fn write(store: &Store, key: &str, content: &'static [u8]) {
    let body = stream::iter([Ok(Bytes::from_static(content))]).boxed();
    store.inner().write(key, content.len() as u64, body).await.unwrap();
}

async fn read(store: &MemoryStore, key: &str) -> Option<Vec<u8>> {
    let bytes = store.info(key).await.unwrap()?.bytes;
    let body: Vec<_> =
        store.read_range(key, 0..bytes, &Content { bytes, etag: None }).await.unwrap().bytes.collect().await;
    Some(body.into_iter().flat_map(|piece| piece.unwrap()).collect())
}

/// Lets the agent die at one point, recovers, and checks. Where it died; `None` when it lived to the end.
async fn die_once(scenario: &Scenario, point: u32, recovery: Recovery, technology: Technology) -> Option<&'static str> {
    let mut network = Network::new(technology).await;
    for (agent, label) in scenario.before {
        let end = network.act(AgentId(*agent), label, &mut Life::long()).await.unwrap();
        assert_eq!(end, End::Done);
    }
    network.settle(None).await;
    network.check_nothing_is_left_behind("before").await;
    let (before, history) = (network.placement().await, network.events().await.len());

    let victim = AgentId(scenario.agent);
    if scenario.source_is_damaged {
        network.set_faults(&[Fault::CorruptReads]);
    }
    let ended = network.act(victim, scenario.action, &mut Life { points_left: point }).await;
    network.set_faults(&[]);
    let died = ended.as_ref().err().map(|died| died.0);
    let context = format!(
        "{technology:?}, {} of agent {victim}, damaged: {}, died {}, {recovery:?}",
        scenario.action,
        scenario.source_is_damaged,
        died.unwrap_or("never")
    );
    network.check_invariants(&context).await;
    let event = network.events().await.get(history).map(|event| event.id);
    // The others say at once that it hurt them.
    for agent in AGENTS.into_iter().filter(|agent| *agent != victim) {
        network.knowledge.leave_feedback(agent, event.as_slice(), WATCH.window).await.unwrap();
    }

    network.reconnect();
    recover_as(recovery, &network, victim, &context).await;
    check_recovered(scenario, &network, event, &before, &context).await;
    died
}

async fn recover_as(recovery: Recovery, network: &Network, victim: AgentId, context: &str) {
    match recovery {
        Recovery::Restart => {
            recover(&network.world(victim), WATCH).await.unwrap();
            network.check_invariants(context).await;
            let running = network.events().await.into_iter().find(|event| event.outcome == Outcome::Running);
            assert_eq!(running, None, "{context}");
            network.settle(None).await;
        }
        Recovery::Others => {
            network.round(Some(victim)).await;
            network.check_invariants(context).await;
            network.settle(Some(victim)).await;
        }
        Recovery::NothingIsDeleted => {
            network.set_faults(&[Fault::RefuseDeletes]);
            recover(&network.world(victim), WATCH).await.unwrap();
            network.settle(None).await;
            network.check_invariants(context).await;
            network.set_faults(&[]);
            network.round(None).await;
        }
    }
}

async fn check_recovered(
    scenario: &Scenario,
    network: &Network,
    event: Option<EventId>,
    before: &(Vec<u32>, Vec<u32>),
    context: &str,
) {
    network.check_invariants(context).await;
    network.check_nothing_is_left_behind(context).await;
    let event = match event {
        Some(event) => network.knowledge.event(event).await.unwrap(),
        None => None,
    };
    let outcome = event.as_ref().map(|event| event.outcome);
    let counter = network.snapshot().await.counter(scenario.action.parse().unwrap());
    let done = (scenario.nodes.to_vec(), scenario.read.to_vec());
    match outcome {
        Some(Outcome::Done) => assert_eq!((network.placement().await, counter), (done, 1), "{context}"),
        Some(Outcome::Failed | Outcome::Aborted) | None => {
            assert_eq!((&network.placement().await, counter), (before, 0), "{context}");
        }
        Some(Outcome::Running) => panic!("{context}: still running"),
    }
    assert!(event.is_none_or(|event| event.window == Window::Closed), "{context}");
    // Closed windows stay closed, however often somebody looks.
    network.settle(None).await;
    assert_eq!(network.snapshot().await.counter(scenario.action.parse().unwrap()), counter, "{context}");
}

/// The points at which an action's agent can die, in order: each was tried.
async fn die_everywhere(scenario: &Scenario, recovery: Recovery, technology: Technology) -> Vec<&'static str> {
    let mut points = Vec::new();
    while let Some(died) = die_once(scenario, points.len().try_into().unwrap(), recovery, technology).await {
        points.push(died);
    }
    points
}

async fn check(technology: Technology) {
    let travels = ["before the transfer", "in the middle of the transfer", "after the transfer"];
    let claim = ["before the claim", "after the claim"];
    let commit = ["before the commit", "after the commit"];
    let abort = ["before giving up", "after giving up", "after deleting what had arrived", "after removing its row"];
    for recovery in [Recovery::Restart, Recovery::Others, Recovery::NothingIsDeleted] {
        for scenario in &SCENARIOS {
            let expected = match (scenario.action, scenario.source_is_damaged) {
                ("M3_1" | "C3_1", false) => [&claim[..], &travels, &commit].concat(),
                (_, false) => [claim, commit].concat(),
                (_, true) => [&claim[..], &travels, &abort].concat(),
            };
            assert_eq!(die_everywhere(scenario, recovery, technology).await, expected);
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_or_left_behind_in_memory() {
    check(Technology::Memory).await;
}

#[tokio::test]
async fn nothing_is_lost_or_left_behind_on_sqlite() {
    check(Technology::Sqlite).await;
}
