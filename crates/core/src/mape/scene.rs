//! The three-node environment in a test's hands: a snapshot to start from, and parameters of agent 1.

use super::planner::{Experience, Parameters, Rng};
use super::prediction::{Latency, Predictor};
use crate::domain::action::{Action, ActionType};
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, EventId, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::link_table::LinkTable;
use crate::domain::measurement::Measurement;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::{
    DataSet, Health, Link, Node, NodeState, Peer, Placement, Registration, Replica, ReplicaState,
};
use crate::domain::snapshot::{Content, Snapshot};
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use rand::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub const NOW: Timestamp = Timestamp(10_000_000);

pub fn rng() -> Rng {
    Rng::seed_from_u64(7)
}

pub fn replica(id: i64, node: u32) -> Replica {
    Replica {
        id: ReplicaId(id),
        data_set: "blood".into(),
        node: NodeId(node),
        object_key: format!("blood/{id}"),
        state: ReplicaState::Present,
        generation: 1,
        lease: None,
        validators: Default::default(),
        remark: None,
        former: None,
    }
}

/// Replicas on these nodes (ids 1, 2, ...); agent N reads the replica with the given id.
pub fn snapshot(nodes: &[u32], reads: &[(u32, i64)]) -> Snapshot {
    let node = |(id, percent): (u32, f64)| Node {
        id: NodeId(id),
        name: format!("node {id}"),
        store_url: Some(format!("http://node-{id}")),
        availability: Percent::new(percent).unwrap().into(),
        capacity_bytes: None,
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    let nodes_known = [(1, 97.0), (2, 80.0), (3, 85.0)].map(|one| (NodeId(one.0), node(one)));
    let replicas = (1..).zip(nodes).map(|(id, node)| (ReplicaId(id), replica(id, *node)));
    let content = Content {
        data_set: DataSet {
            name: "blood".into(),
            object_key: "blood".into(),
            bytes: 10,
            records: 2,
            sha256: String::new(),
            versions: Default::default(),
            guard: Default::default(),
        },
        nodes: Arc::new(nodes_known.into()),
        links: Arc::default(),
        placement: Placement {
            replicas: replicas.collect(),
            references: reads.iter().map(|(agent, replica)| (AgentId(*agent), ReplicaId(*replica))).collect(),
        },
        agents: Arc::default(),
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
    Snapshot::new(NOW, content)
}

/// Links of 1000 ms between nodes 1 and 2, 1500 ms between 1 and 3, 1200 ms between 2 and 3.
pub fn links() -> LinkTable {
    let between = [(1, 2, 1000.0), (1, 3, 1500.0), (2, 3, 1200.0)];
    let both =
        between.into_iter().flat_map(|(one, other, latency_ms)| [(one, other, latency_ms), (other, one, latency_ms)]);
    let link = |(from, to, latency_ms)| Link { from: NodeId(from), to: NodeId(to), latency_ms, jitter_ms: 0.0 };
    both.map(link).collect()
}

/// Who expects a job to take 1 s, and 0.04 s more for each millisecond of latency; nothing is trained.
pub fn predictor() -> Predictor {
    let run = |latency_ms: f64| {
        let seconds = 1.0 + 0.04 * latency_ms;
        let times = [Metric::ResponseTime, Metric::ExecutionTime].map(|metric| (metric, seconds));
        let others = [(Metric::Throughput, 1e5 / seconds), (Metric::NetworkLatency, latency_ms)];
        times.into_iter().chain(others).collect::<Metrics>()
    };
    let runs = [(1, 3.0), (2, 1000.0), (3, 1500.0)].map(|(node, latency_ms)| (NodeId(node), vec![run(latency_ms); 2]));
    Predictor::new(Latency::Injected, &runs.into(), &BTreeMap::new())
}

/// The same snapshot with links, and agents 1, 2, ... alive on the nodes of their numbers.
pub fn inhabited(mut snapshot: Snapshot, agents: u32) -> Snapshot {
    let peer = |id: u32| Peer {
        registration: Registration {
            agent: AgentId(id),
            node: NodeId(id),
            goal: "response_time <= 35 s".to_owned(),
            policy: "fixed".to_owned(),
            may_run_on: BTreeSet::new(),
        },
        runs_at: None,
        overrides: Default::default(),
        heartbeat_at: Some(snapshot.at),
        health: Health::default(),
    };
    let peers: FlatMap<AgentId, Peer> = (1..=agents).map(|id| (AgentId(id), peer(id))).collect();
    (snapshot.links, snapshot.agents) = (links().into(), peers.into());
    snapshot
}

/// The same network, in which agent 1 may run on these nodes, too, and somebody is heard of on each.
pub fn working(snapshot: Snapshot, agents: u32, may_run_on: &[u32]) -> Snapshot {
    let mut snapshot = inhabited(snapshot, agents);
    if let Some(peer) = Arc::make_mut(&mut snapshot.agents).get_mut(&AgentId(1)) {
        peer.registration.may_run_on = may_run_on.iter().copied().map(NodeId).collect();
    }
    let heard_of = (NodeState::Running, Some(snapshot.at));
    let nodes = Arc::make_mut(&mut snapshot.nodes).values_mut();
    nodes.for_each(|node| (node.state, node.heartbeat_at) = heard_of);
    snapshot
}

/// A job at a node that took so long.
pub fn measurement(node: u32, response_time_s: f64) -> Measurement {
    Measurement {
        agent: AgentId(1),
        data_set: "blood".into(),
        replica: ReplicaId(1),
        node: NodeId(node),
        at: NOW,
        metrics: slow().with(Metric::ResponseTime, response_time_s),
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        job: "job".to_owned(),
        failure: None,
        result: None,
    }
}

/// A committed action of agent 2 on replica 1 that ended at `ended_at`.
pub fn event(id: i64, action: &str, ended_at: Timestamp) -> Event {
    Event {
        id: EventId(id),
        agent: AgentId(2),
        data_set: "blood".into(),
        replica: ReplicaId(1),
        action: action.parse().unwrap(),
        explored: false,
        posted_at: Timestamp(ended_at.0 - 5_000),
        closes_at: ended_at + Duration::from_secs(205),
        window: Window::Open,
        outcome: Outcome::Done,
        ended_at: Some(ended_at),
        feedback_sum: 0.0,
        detail: String::new(),
    }
}

pub fn parameters(goal: &str) -> Parameters {
    let rho = [40.0, 15.0, 30_000.0, 2000.0, 25.0, 0.5];
    let costs = [(ActionType::Move, 1.5), (ActionType::Copy, 1.8), (ActionType::Evict, 0.5)];
    Parameters {
        agent: AgentId(1),
        home: NodeId(1),
        goal: goal.parse().unwrap(),
        rho: Metric::ALL.into_iter().zip(rho).collect(),
        costs: costs.into(),
        exploration: 0.0,
        penalty: 0.33,
        max_copies: 2,
        learning_rate: 0.5,
        window: Duration::from_secs(210),
        silence: Duration::from_secs(30),
        patience: super::planner::ANSWERED_WITHIN,
    }
}

/// Every move and copy is expected to have these impacts on response time and consistency.
pub fn experience(vectors: &[(&str, f64)]) -> Experience {
    let trained = vectors.iter().map(|(label, impact)| {
        let vector = Impacts::default().with(Metric::ResponseTime, *impact).with(Metric::DataConsistency, 0.0);
        (label.parse::<Action>().unwrap(), vector)
    });
    Experience { trained: Arc::new(trained.collect()), ..Experience::default() }
}

pub fn slow() -> Metrics {
    Metrics::default().with(Metric::ResponseTime, 60.0).with(Metric::DataConsistency, 1.0)
}
