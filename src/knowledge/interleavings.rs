//! Three agents that act, crash, come late and clean up after each other, in any order: no replica's object is ever lost.
//!
//! Beside the table runs a model of the stores, the independent witness: bytes exist only where a transfer put them and
//! nobody deleted them. The same turns on another technology come to the same tables.

use super::memory::MemoryKnowledge;
use super::sqlite::SqliteKnowledge;
use super::{Claimed, ClosingRule, Committed, Knowledge, Result, Snapshot};
use agent_core::clock::VirtualClock;
use agent_core::domain::action::Action;
use agent_core::domain::environment::Links;
use agent_core::domain::event::Outcome;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, Life, NodeId};
use agent_core::domain::invariants;
use agent_core::domain::placement::{Claim, DataSet, Identity, Link, Node, NodeState, Plan, Registration, Replica};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(210);
/// A node without an agent.
const COMES_AND_GOES: NodeId = NodeId(4);
const DRAIN: Duration = Duration::from_secs(20);
const RULE: ClosingRule = ClosingRule { threshold: 0.3, grace: Duration::ZERO, silence: Duration::from_secs(300) };

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Makes a plan on the placement as it is and keeps it for later.
    Plan(Action),
    /// Claims the kept plan, which may be old by now.
    Claim,
    /// The bytes of the running claim arrive.
    Transfer,
    Renew,
    Commit,
    Abort,
    /// Deletes the object of one row that is this agent's to clean up, and then the row.
    CleanUp,
    /// Forgets everything, and undoes what it finds unfinished.
    Restart,
    CloseDue,
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Agent(AgentId, Step),
    Pass {
        seconds: u64,
    },
    /// Somebody asks that the node without an agent be removed.
    Leave,
    /// It is deleted when it has drained, and comes back if it is gone.
    Remove,
    /// Somebody brings another data set to it.
    Register,
}

fn actions() -> impl Strategy<Value = Action> {
    let node = || (1u32..=4).prop_map(NodeId);
    prop_oneof![
        (node(), node()).prop_map(|(from, to)| Action::Move { from, to }),
        (node(), node()).prop_map(|(from, to)| Action::Copy { from, to }),
        node().prop_map(|to| Action::ChangeReference { to }),
        node().prop_map(|node| Action::Evict { node }),
    ]
}

fn turns() -> impl Strategy<Value = Turn> {
    let step = prop_oneof![
        4 => actions().prop_map(Step::Plan),
        4 => Just(Step::Claim),
        3 => Just(Step::Transfer),
        1 => Just(Step::Renew),
        4 => Just(Step::Commit),
        1 => Just(Step::Abort),
        2 => Just(Step::CleanUp),
        1 => Just(Step::Restart),
        1 => Just(Step::CloseDue),
    ];
    let agent = (1u32..=3).prop_map(AgentId);
    prop_oneof![
        120 => (agent, step).prop_map(|(agent, step)| Turn::Agent(agent, step)),
        10 => (1u64..=90).prop_map(|seconds| Turn::Pass { seconds }),
        10 => Just(Turn::Leave),
        10 => Just(Turn::Remove),
        // Seldom, for the node stays as long as it holds the only replica.
        2 => Just(Turn::Register),
    ]
}

/// What an agent remembers; a crash takes it.
#[derive(Default)]
struct Memory {
    plan: Option<Plan>,
    claim: Option<Claim>,
}

struct World {
    table: Box<dyn Knowledge>,
    /// Waits for the table's answers.
    runtime: tokio::runtime::Runtime,
    clock: Arc<VirtualClock>,
    agents: BTreeMap<AgentId, Memory>,
    /// What lies in the stores.
    objects: BTreeSet<(NodeId, String)>,
    plans: u32,
}

fn clock() -> Arc<VirtualClock> {
    Arc::new(VirtualClock::at(Timestamp(1_000_000)))
}

fn data_set() -> DataSetName {
    "blood".into()
}

fn described(name: DataSetName, object_key: &str) -> DataSet {
    DataSet {
        name,
        object_key: object_key.to_owned(),
        bytes: 100,
        records: 1,
        sha256: "0".repeat(64),
        versions: Default::default(),
        guard: Default::default(),
    }
}

fn another() -> DataSetName {
    "sugar".into()
}

fn node(id: NodeId) -> Node {
    Node {
        id,
        name: id.to_string(),
        store_url: None,
        availability: Percent::new(90.0).unwrap().into(),
        capacity_bytes: None,
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    }
}

fn identity() -> Identity {
    Identity { life: Life("life".to_owned()), ended: Vec::new(), silence: RULE.silence }
}

fn object(replica: &Replica) -> (NodeId, String) {
    (replica.node, replica.object_key.clone())
}

impl World {
    fn new(table: Box<dyn Knowledge>, clock: Arc<VirtualClock>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let agents = (1..=3).map(|id| (AgentId(id), Memory::default())).collect();
        let objects = BTreeSet::from([(NodeId(3), "object".to_owned())]);
        let world = Self { table, runtime, clock, agents, objects, plans: 0 };
        world.register();
        world
    }

    fn in_memory() -> Self {
        let clock = clock();
        Self::new(Box::new(MemoryKnowledge::new(clock.clone())), clock)
    }

    fn register(&self) {
        let nodes: Vec<_> = (1..=4).map(|id| node(NodeId(id))).collect();
        let link = |from, to| Link { from: NodeId(from), to: NodeId(to), latency_ms: 1000.0, jitter_ms: 0.0 };
        self.ask(self.table.register_network(&nodes, &[link(1, 2), link(2, 1), link(1, 3), link(3, 1)]));
        let first = described(data_set(), "object");
        self.ask(self.table.register_data_set(&first, NodeId(3), "object", &Default::default()));
        for id in 1..=3 {
            let (agent, node) = (AgentId(id), NodeId(id));
            let registration = Registration {
                agent,
                node,
                goal: String::new(),
                policy: String::new(),
                may_run_on: Default::default(),
            };
            self.ask(self.table.register_agent(&registration, &[data_set()], &identity()));
        }
    }

    fn ask<T>(&self, question: impl Future<Output = Result<T>>) -> T {
        self.runtime.block_on(question).expect("the request makes sense")
    }

    fn snapshot(&self) -> Snapshot {
        self.ask(self.table.snapshot(&data_set())).expect("the data set is registered")
    }

    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Pass { seconds } => self.clock.advance(Duration::from_secs(seconds)),
            // Refused as long as it is needed.
            Turn::Leave => _ = self.runtime.block_on(self.table.leave_node(COMES_AND_GOES, RULE.silence, DRAIN)),
            Turn::Remove => self.remove(),
            // Refused where it leaves, or is gone.
            Turn::Register => {
                let another = described(another(), "other");
                _ = self.runtime.block_on(self.table.register_data_set(
                    &another,
                    COMES_AND_GOES,
                    "other",
                    &Default::default(),
                ));
            }
            Turn::Agent(agent, step) => self.step(agent, step),
        }
    }

    fn step(&mut self, agent: AgentId, step: Step) {
        let claim = self.agents[&agent].claim.clone();
        match (step, claim) {
            (Step::Plan(action), _) => self.plan(agent, action),
            (Step::Claim, None) => self.claim(agent),
            (Step::Transfer, Some(claim)) => self.objects.extend(claim.destination.as_ref().map(object)),
            (Step::Renew, Some(claim)) => {
                self.ask(self.table.renew(claim.event, LEASE));
            }
            (Step::Commit, Some(claim)) => self.commit(agent, &claim),
            (Step::Abort, Some(claim)) => self.give_up(agent, claim.event),
            (Step::CleanUp, None) => self.clean_up(agent),
            (Step::Restart, _) => self.restart(agent),
            (Step::CloseDue, _) => {
                self.ask(self.table.close_due(agent, RULE));
            }
            (Step::Claim | Step::CleanUp, Some(_)) => {}
            (Step::Transfer | Step::Renew | Step::Commit | Step::Abort, None) => {}
        }
    }

    fn remove(&self) {
        // Refused when it stays.
        let removed = self.runtime.block_on(self.table.remove_node(COMES_AND_GOES));
        if removed.is_ok_and(|held| held.is_empty()) {
            let link = |from, to| Link { from, to, latency_ms: 500.0, jitter_ms: 0.0 };
            let links: Vec<_> =
                (1..=3).map(NodeId).flat_map(|n| [link(n, COMES_AND_GOES), link(COMES_AND_GOES, n)]).collect();
            self.ask(self.table.add_nodes(&[node(COMES_AND_GOES)], &links, Links::Injected));
        }
    }

    fn memory(&mut self, agent: AgentId) -> &mut Memory {
        self.agents.entry(agent).or_default()
    }

    fn plan(&mut self, agent: AgentId, action: Action) {
        let placement = self.snapshot().placement.clone();
        self.plans += 1;
        self.memory(agent).plan = Some(Plan {
            key: format!("plan-{}", self.plans),
            agent,
            data_set: data_set(),
            reference: placement.references[&agent],
            action,
            explored: false,
            expected: placement.replicas.values().map(|replica| (replica.id, replica.generation)).collect(),
            generation: None,
            detail: String::new(),
        });
    }

    fn claim(&mut self, agent: AgentId) {
        let Some(plan) = self.memory(agent).plan.take() else { return };
        match self.ask(self.table.claim(&plan, LEASE, WINDOW)) {
            Claimed::Granted(claim) => {
                assert_eq!(self.ask(self.table.claim(&plan, LEASE, WINDOW)), Claimed::Granted(claim.clone()));
                self.memory(agent).claim = Some(claim);
            }
            Claimed::Lost(_) => {}
        }
    }

    /// As an executor does: only after the bytes were verified.
    fn commit(&mut self, agent: AgentId, claim: &Claim) {
        if claim.destination.as_ref().is_some_and(|row| !self.objects.contains(&object(row))) {
            return self.give_up(agent, claim.event);
        }
        match self.ask(self.table.commit(claim.event, &Default::default(), DRAIN)) {
            committed @ Committed::Done { .. } => {
                assert_eq!(self.ask(self.table.commit(claim.event, &Default::default(), DRAIN)), committed);
                self.memory(agent).claim = None;
            }
            Committed::Refused(_) => self.give_up(agent, claim.event),
        }
    }

    fn give_up(&mut self, agent: AgentId, event: EventId) {
        self.ask(self.table.abort(event, Outcome::Aborted, "given up"));
        self.memory(agent).claim = None;
    }

    fn clean_up(&mut self, agent: AgentId) {
        let Some(row) = self.ask(self.table.unfinished(agent, true)).removing.into_iter().next() else { return };
        self.objects.remove(&object(&row));
        self.ask(self.table.removed(row.id));
    }

    fn restart(&mut self, agent: AgentId) {
        *self.memory(agent) = Memory::default();
        for claim in self.ask(self.table.unfinished(agent, true)).claims {
            self.ask(self.table.abort(claim.event, Outcome::Aborted, "found after a restart"));
        }
    }

    fn check(&self) {
        let placement = self.snapshot().placement.clone();
        assert_eq!(invariants::check(&data_set(), &placement), []);
        assert_eq!(placement.references.len(), 3);
        let leaving = self.snapshot().nodes[&COMES_AND_GOES].state == NodeState::Leaving;
        assert!(!leaving || placement.on(COMES_AND_GOES).is_none(), "something comes to a leaving node");
        let another = self.ask(self.table.snapshot(&another()));
        assert!(!leaving || another.is_none(), "a data set has its only replica on a leaving node");
        for replica in placement.present() {
            assert!(self.objects.contains(&object(replica)), "the object of replica {} is lost", replica.id);
        }
    }

    /// Every agent stops in the middle of what it does; the survivors clean up.
    fn settle(&mut self) {
        self.clock.advance(LEASE + WINDOW + Duration::from_secs(1));
        for agent in [AgentId(1), AgentId(2), AgentId(3)] {
            self.restart(agent);
        }
        while !self.ask(self.table.unfinished(AgentId(1), true)).removing.is_empty() {
            self.clean_up(AgentId(1));
        }
        self.ask(self.table.close_due(AgentId(1), RULE));
        let snapshot = self.snapshot();
        assert_eq!(snapshot.open_events, []);
        let present = snapshot.placement.present().count();
        assert_eq!(snapshot.placement.replicas.len(), present, "a row was left behind");
        assert!(snapshot.placement.replicas.values().all(|replica| replica.lease.is_none()), "a lease was left behind");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn no_interleaving_of_three_agents_loses_data(turns in prop::collection::vec(turns(), 1..120)) {
        let mut world = World::in_memory();
        for turn in turns {
            world.turn(turn);
            world.check();
        }
        world.settle();
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30) })]

    #[test]
    fn memory_and_sqlite_come_to_the_same(turns in prop::collection::vec(turns(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let clock = clock();
        let sqlite = SqliteKnowledge::open(&folder.path().join("knowledge.db"), clock.clone()).unwrap();
        let (mut memory, mut sqlite) = (World::in_memory(), World::new(Box::new(sqlite), clock));
        for turn in turns {
            memory.turn(turn);
            sqlite.turn(turn);
            prop_assert_eq!(memory.snapshot(), sqlite.snapshot());
        }
        let events = |world: &World| world.ask(world.table.events(EventId(0), usize::MAX));
        prop_assert_eq!(events(&memory), events(&sqlite));
    }
}
