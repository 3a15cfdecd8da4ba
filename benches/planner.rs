//! What a decision costs in a large network: `fixed` on 1,000 nodes of which the agent has tried three, so that nearly all of
//! its 2,000 candidates rest on predictions.
//!
//! `cargo bench --bench planner -- [NODES [ROUNDS]]`

mod asked;

use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, NodeId, ReplicaId};
use agent_core::domain::link_table::LinkTable;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::{DataSet, Link, Node, NodeState, Placement, Replica, ReplicaState};
use agent_core::domain::snapshot::{Content, Snapshot};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::mape::planner::{Experience, Fixed, Parameters, Rng, Situation, decide, plan};
use agent_core::mape::prediction::{Latency, Predictor};
use asked::{Asked, asked};
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORDS: f64 = 553_729.0;

fn main() {
    let numbers: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let nodes = numbers.first().copied().unwrap_or(1000);
    let rounds = match asked("planner") {
        Asked::Everything => numbers.get(1).copied().unwrap_or(2000),
        Asked::AMoment => 2,
        Asked::Nothing => return,
    };

    let mut rng = Rng::seed_from_u64(1);
    let (snapshot, parameters) = (snapshot(nodes, &mut rng), parameters());
    let mut experience = experience(&mut rng);
    let measured = run(1500.0, 0.0).with(Metric::DataConsistency, 1.0);
    let reference = snapshot.placement.present().next().unwrap();
    let situation = || Situation::new(&parameters, &experience, &measured, reference, &snapshot);
    let decision = decide(&Fixed, &situation(), &mut rng);
    println!("{nodes} nodes, {} candidates, {} of them listed", decision.candidates(), decision.scored.len());
    assert!(decision.candidates() > nodes as usize, "a move and a copy to every node should be weighed");

    measure("predict for all nodes", rounds, situation);
    measure("predict and decide", rounds, || decide(&Fixed, &situation(), &mut rng));
    let prepared = situation();
    measure("plan, with its report as JSON", rounds, || {
        plan(prepared.parameters, prepared.snapshot, prepared.reference, &decision, "key".to_owned())
    });
    let job = measurement(3, run(1500.0, 0.1));
    measure("take in a measurement", rounds, || experience.predictor.measured(&job));
}

/// Prints the fastest round, which nothing else on the machine disturbed, the median, and the 90th percentile.
fn measure<T>(what: &str, rounds: u32, mut work: impl FnMut() -> T) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
    println!("{what:<32} fastest {:6.1} us, median {:6.1} us, 90 % within {:7.1} us", at(0), at(50), at(90));
}

/// A network whose links from node 1 take up to 2 s.
fn snapshot(nodes: u32, rng: &mut Rng) -> Snapshot {
    let node = |id: u32, percent: f64| Node {
        id: NodeId(id),
        name: format!("node {id}"),
        store_url: Some(format!("http://node-{id}")),
        availability: Percent::new(percent).unwrap().into(),
        capacity_bytes: Some(1 << 40),
        state: NodeState::Running,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    let link = |to: u32, latency_ms: f64| Link { from: NodeId(1), to: NodeId(to), latency_ms, jitter_ms: 7.0 };
    let replica = Replica {
        id: ReplicaId(1),
        data_set: "blood".into(),
        node: NodeId(3),
        object_key: "blood".to_owned(),
        state: ReplicaState::Present,
        generation: 1,
        lease: None,
        validators: Default::default(),
        remark: None,
        former: None,
    };
    let content = Content {
        data_set: DataSet {
            name: "blood".into(),
            object_key: "blood".to_owned(),
            bytes: 1,
            records: 1,
            sha256: String::new(),
            versions: Default::default(),
            guard: Default::default(),
        },
        nodes: (1..=nodes)
            .map(|id| (NodeId(id), node(id, rng.random_range(70.0..100.0))))
            .collect::<FlatMap<_, _>>()
            .into(),
        links: (2..=nodes).map(|to| link(to, rng.random_range(1.0..2000.0))).collect::<LinkTable>().into(),
        placement: Placement {
            replicas: [(replica.id, replica)].into(),
            references: [(AgentId(1), ReplicaId(1))].into(),
        },
        agents: FlatMap::default().into(),
        open_events: Vec::new(),
        counters: BTreeMap::new(),
        copies_made: BTreeMap::new(),
        changed_at: None,
        generation: 0,
        measured: Default::default(),
        stored_bytes: BTreeMap::new(),
        books: None,
        derived: Default::default(),
    };
    Snapshot::new(Timestamp(0), content)
}

fn parameters() -> Parameters {
    let rho = [40.0, 15.0, 30_000.0, 2000.0, 25.0, 0.5];
    let costs = [(ActionType::Move, 1.5), (ActionType::Copy, 1.8), (ActionType::Evict, 0.5)];
    Parameters {
        agent: AgentId(1),
        home: NodeId(1),
        goal: "response_time <= 35 s and availability >= 95 %".parse().unwrap(),
        rho: Metric::ALL.into_iter().zip(rho).collect(),
        costs: costs.into(),
        exploration: 0.1,
        penalty: 0.33,
        max_copies: 2,
        learning_rate: 0.5,
        window: Duration::from_secs(210),
        silence: Duration::from_secs(30),
        patience: Duration::from_secs(2),
    }
}

/// Five runs at each of three nodes, and their vectors.
fn experience(rng: &mut Rng) -> Experience {
    let latencies = [(1, 3.0), (2, 1000.0), (3, 1500.0)];
    let mut runs_at = |latency: f64| (0..5).map(|_| run(latency, rng.random_range(-0.3..0.3))).collect::<Vec<_>>();
    let runs: BTreeMap<NodeId, Vec<Metrics>> = latencies.map(|(node, latency)| (NodeId(node), runs_at(latency))).into();
    let pairs = [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)].map(|(from, to)| (NodeId(from), NodeId(to)));
    let vector = Metric::ALL.into_iter().map(|metric| (metric, 0.5)).collect();
    let actions = pairs.into_iter().flat_map(|(from, to)| [Action::Move { from, to }, Action::Copy { from, to }]);
    Experience {
        trained: Arc::new(actions.map(|action| (action, vector)).collect()),
        predictor: Predictor::new(Latency::Injected, &runs, &BTreeMap::new()),
        ..Experience::default()
    }
}

fn run(latency_ms: f64, noise_s: f64) -> Metrics {
    let seconds = 1.5 + 0.036 * latency_ms + noise_s;
    Metrics::default()
        .with(Metric::ResponseTime, seconds)
        .with(Metric::ExecutionTime, seconds)
        .with(Metric::Throughput, RECORDS / seconds)
        .with(Metric::NetworkLatency, latency_ms)
        .with(Metric::Availability, 85.0)
}

fn measurement(node: u32, metrics: Metrics) -> Measurement {
    Measurement {
        agent: AgentId(1),
        data_set: "blood".into(),
        replica: ReplicaId(1),
        node: NodeId(node),
        at: Timestamp(0),
        metrics,
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        result: None,
        failure: None,
        job: "job".to_owned(),
    }
}
