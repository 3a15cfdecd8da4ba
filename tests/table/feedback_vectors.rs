//! Recorded timelines of events, violations and closing windows, replayed through the shared table.
//!
//! The recorded system changed table rows and nothing else, so its timelines take actions wherever the data lies. Here every
//! action goes through its whole saga; before each, the placement is put into a state in which that action can be claimed.
//! The recorded data sets 1, 2, ... are replicas: one for each, and one that only makes changes of reference possible.

use crate::servers::{open, settings};
use agent::knowledge::mysql::{self, MysqlKnowledge};
use agent::knowledge::sqlite::SqliteKnowledge;
use agent::knowledge::{Claimed, ClosingRule, Committed, Counter, Knowledge};
use agent_core::clock::{Clock, VirtualClock};
use agent_core::domain::action::Action;
use agent_core::domain::event::Window;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, Life, NodeId, ReplicaId};
use agent_core::domain::placement::{
    DataSet, Identity, Node, NodeState, Placement, Plan, Registration, Replica, ReplicaState,
};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::knowledge::memory::MemoryKnowledge;
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const TOLERANCE: f64 = 1e-9;
const LEASE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Recorded {
    window_s: u64,
    controllers: u32,
    threshold: f64,
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    initial_counters: BTreeMap<String, u32>,
    steps: Vec<Step>,
    events: Vec<Expected>,
    final_counters: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
struct Step {
    at_s: i64,
    #[serde(flatten)]
    op: Op,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Op {
    Action { controller: u32, data_set: i64, action: String, event: i64 },
    Violation { controller: u32, data_set: i64 },
    WindowCloses { event: i64 },
}

#[derive(Deserialize)]
struct Expected {
    event: i64,
    feedback: BTreeMap<u32, f64>,
    sum: f64,
    open: bool,
}

/// A table whose counters and placement can be set.
#[async_trait]
trait Seeded: Knowledge {
    async fn counters_are(&self, counters: BTreeMap<Action, Counter>);
    async fn placement_is(&self, placement: Placement);
}

#[async_trait]
impl Seeded for MemoryKnowledge {
    async fn counters_are(&self, counters: BTreeMap<Action, Counter>) {
        self.seed_counters(&data_set(), &counters).unwrap();
    }

    async fn placement_is(&self, placement: Placement) {
        self.seed_placement(&data_set(), &placement).unwrap();
    }
}

#[async_trait]
impl Seeded for SqliteKnowledge {
    async fn counters_are(&self, counters: BTreeMap<Action, Counter>) {
        self.seed_counters(&data_set(), &counters).await.unwrap();
    }

    async fn placement_is(&self, placement: Placement) {
        self.seed_placement(&data_set(), &placement).await.unwrap();
    }
}

#[async_trait]
impl Seeded for MysqlKnowledge {
    async fn counters_are(&self, counters: BTreeMap<Action, Counter>) {
        self.seed_counters(&data_set(), &counters).await.unwrap();
    }

    async fn placement_is(&self, placement: Placement) {
        self.seed_placement(&data_set(), &placement).await.unwrap();
    }
}

fn recorded() -> Recorded {
    let folder = std::env::var_os("AGENT_REFERENCE_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/reference")), PathBuf::from);
    let text = std::fs::read_to_string(folder.join("feedback.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Of the recorded controllers none ever fell silent.
const SILENCE: Duration = Duration::from_secs(86_400);

fn identity() -> Identity {
    Identity { life: Life("life".to_owned()), ended: Vec::new(), silence: SILENCE }
}

fn data_set() -> DataSetName {
    "recorded".into()
}

/// `M12` as recorded is `M1_2`: there, nodes have one digit.
fn action(label: &str) -> Action {
    let split = label.len() - 1;
    match label.as_bytes()[0] {
        b'M' | b'C' if !label.starts_with("CR") => format!("{}_{}", &label[..split], &label[split..]).parse().unwrap(),
        _ => label.parse().unwrap(),
    }
}

fn node(id: u32) -> Node {
    Node {
        id: NodeId(id),
        name: id.to_string(),
        store_url: None,
        availability: Percent::new(100.0).unwrap().into(),
        capacity_bytes: None,
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    }
}

fn replica(id: i64, node: NodeId) -> Replica {
    let (id, object_key) = (ReplicaId(id), format!("object-{id}"));
    Replica {
        id,
        data_set: data_set(),
        node,
        object_key,
        state: ReplicaState::Present,
        generation: 1,
        lease: None,
        validators: Default::default(),
        remark: None,
        former: None,
    }
}

/// Where `action` on `referenced` can be claimed by `agent`: what it takes from is there, what it makes is not.
fn placement_for(agent: AgentId, action: Action, referenced: i64, nodes: u32) -> Placement {
    const BYSTANDER: i64 = 1000;
    let elsewhere = |taken: &[NodeId]| (1..=nodes).map(NodeId).find(|node| !taken.contains(node)).unwrap();
    let replicas = match action {
        Action::Move { from, .. } | Action::Copy { from, .. } => vec![replica(referenced, from)],
        Action::ChangeReference { to } => vec![replica(referenced, elsewhere(&[to])), replica(BYSTANDER, to)],
        Action::Restore { .. } | Action::MoveWork { .. } => unreachable!("nothing was mended, and no work moved"),
        Action::Evict { node } => vec![replica(referenced, node), replica(BYSTANDER, elsewhere(&[node]))],
        Action::Nothing => vec![replica(referenced, NodeId(1))],
    };
    Placement {
        replicas: replicas.into_iter().map(|replica| (replica.id, replica)).collect(),
        references: BTreeMap::from([(agent, ReplicaId(referenced))]),
    }
}

struct Replay<'a> {
    table: &'a dyn Seeded,
    clock: &'a VirtualClock,
    recorded: &'a Recorded,
    /// The table's event and its agent for each recorded one.
    events: BTreeMap<i64, (EventId, AgentId)>,
}

impl Replay<'_> {
    fn window(&self) -> Duration {
        Duration::from_secs(self.recorded.window_s)
    }

    async fn prepare(&self, counters: &BTreeMap<String, u32>) {
        let nodes: Vec<_> = (1..=self.recorded.controllers).map(node).collect();
        self.table.register_network(&nodes, &[]).await.unwrap();
        let described = DataSet {
            name: data_set(),
            object_key: "object".to_owned(),
            bytes: 1,
            records: 1,
            sha256: "0".repeat(64),
            versions: Default::default(),
            guard: Default::default(),
        };
        self.table.register_data_set(&described, NodeId(1), "object", &Default::default()).await.unwrap();
        for id in 1..=self.recorded.controllers {
            let (agent, node) = (AgentId(id), NodeId(id));
            let registration = Registration {
                agent,
                node,
                goal: String::new(),
                policy: String::new(),
                may_run_on: Default::default(),
            };
            self.table.register_agent(&registration, &[data_set()], &identity()).await.unwrap();
        }
        let changed_at = self.clock.now();
        let counter = |(label, value): (&String, &u32)| (action(label), Counter { value: *value, changed_at });
        self.table.counters_are(counters.iter().map(counter).collect()).await;
    }

    async fn step(&mut self, step: &Step) {
        self.clock.set(Timestamp(step.at_s * 1000));
        match &step.op {
            Op::Action { controller, data_set: referenced, action: label, event } => {
                let agent = AgentId(*controller);
                let id = self.act(agent, action(label), *referenced, format!("event-{event}")).await;
                self.events.insert(*event, (id, agent));
            }
            Op::Violation { controller, data_set: referenced } => {
                let snapshot = self.table.snapshot(&data_set()).await.unwrap().unwrap();
                let about = snapshot.open_events.iter().filter(|event| event.replica == ReplicaId(*referenced));
                let about: Vec<_> = about.map(|event| event.id).collect();
                self.table.leave_feedback(AgentId(*controller), &about, self.window()).await.unwrap();
            }
            Op::WindowCloses { event } => {
                let (id, agent) = self.events[event];
                let (threshold, silence) = (self.recorded.threshold, SILENCE);
                let rule = ClosingRule { threshold, grace: Duration::ZERO, silence };
                self.table.close_due(agent, rule).await.unwrap();
                assert_eq!(self.table.event(id).await.unwrap().unwrap().window, Window::Closed);
            }
        }
    }

    async fn act(&self, agent: AgentId, action: Action, referenced: i64, key: String) -> EventId {
        let placement = placement_for(agent, action, referenced, self.recorded.controllers);
        self.table.placement_is(placement).await;
        let (reference, detail) = (ReplicaId(referenced), String::new());
        let (data_set, expected) = (data_set(), BTreeMap::new());
        let plan =
            Plan { key, agent, data_set, reference, action, explored: false, expected, generation: None, detail };
        if action == Action::Nothing {
            return self.table.record_nothing(&plan).await.unwrap();
        }
        let claim = match self.table.claim(&plan, LEASE, self.window()).await.unwrap() {
            Claimed::Granted(claim) => claim,
            Claimed::Lost(lost) => panic!("{action}: {lost}"),
        };
        match self.table.commit(claim.event, &Default::default(), Duration::ZERO).await.unwrap() {
            Committed::Done { leftover: Some(leftover) } => self.table.removed(leftover.id).await.unwrap(),
            Committed::Done { leftover: None } => {}
            Committed::Refused(refused) => panic!("{action}: {refused}"),
        }
        claim.event
    }

    async fn compare(&self, scenario: &Scenario) {
        assert_eq!(self.events.len(), scenario.events.len());
        for expected in &scenario.events {
            let (id, _) = self.events[&expected.event];
            let event = self.table.event(id).await.unwrap().unwrap();
            assert_eq!(event.window == Window::Open, expected.open, "event {}", expected.event);
            assert!((event.feedback_sum - expected.sum).abs() <= TOLERANCE, "event {}", expected.event);
            let feedback = self.table.feedback(id).await.unwrap();
            let from: Vec<_> = feedback.iter().map(|feedback| feedback.agent.0).collect();
            assert_eq!(from.len(), expected.feedback.len(), "event {}: {from:?}", expected.event);
            for left in feedback {
                let p = expected.feedback[&left.agent.0];
                assert!((left.p - p).abs() <= TOLERANCE, "event {}: {} is not {p}", expected.event, left.p);
            }
        }
        let counters = self.table.counters(&data_set()).await.unwrap();
        for (label, expected) in &scenario.final_counters {
            let value = counters.get(&action(label)).map_or(0, |counter| counter.value);
            assert_eq!(value, *expected, "counter of {label}");
        }
    }
}

async fn replay(table: &dyn Seeded, clock: &VirtualClock, recorded: &Recorded, scenario: &Scenario) {
    let mut replay = Replay { table, clock, recorded, events: BTreeMap::new() };
    replay.prepare(&scenario.initial_counters).await;
    for step in &scenario.steps {
        replay.step(step).await;
    }
    replay.compare(scenario).await;
}

#[tokio::test]
async fn recorded_timelines_come_out_in_memory() {
    let recorded = recorded();
    for scenario in &recorded.scenarios {
        let clock = Arc::new(VirtualClock::default());
        replay(&MemoryKnowledge::new(clock.clone()), &clock, &recorded, scenario).await;
    }
}

#[tokio::test]
async fn recorded_timelines_come_out_in_sqlite() {
    let recorded = recorded();
    for scenario in &recorded.scenarios {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(VirtualClock::default());
        let table = SqliteKnowledge::open(&folder.path().join("knowledge.db"), clock.clone()).unwrap();
        replay(&table, &clock, &recorded, scenario).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_timelines_come_out_in_mariadb() {
    let server = match crate::mariadb::shared() {
        Ok(server) => server,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let recorded = recorded();
    for scenario in &recorded.scenarios {
        let clock = Arc::new(VirtualClock::default());
        let settings = settings(&[server.port()], &server.schema());
        mysql::init(&settings).await.unwrap();
        let table = open(&settings, &clock).await.unwrap();
        replay(&table, &clock, &recorded, scenario).await;
    }
}
