//! How well impacts of pairs never tried are predicted: one node of the three-node environment is left out of the training, and
//! what is predicted of it is compared with what was trained.

use agent::app::training_file::{TrainingFile, derive_impacts};
use agent_core::config::{self, Vocabulary, settings::Settings};
use agent_core::domain::action::Action;
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, NodeId, ReplicaId};
use agent_core::domain::impact::Impacts;
use agent_core::domain::link_table::LinkTable;
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::{DataSet, Node, NodeState, Placement, Replica, ReplicaState};
use agent_core::domain::snapshot::{Content, Snapshot};
use agent_core::domain::time::Timestamp;
use agent_core::mape::planner::{Basis, Experience, POLICIES, Parameters, Situation};
use agent_core::mape::prediction::{Latency, Predictor};
use std::collections::BTreeMap;
use std::time::Duration;

const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

const EVERY_METRIC: &str = "response_time <= 1 s and execution_time <= 1 s and throughput >= 1 records/s and \
                            network_latency <= 1 ms and availability >= 1 % and data_consistency >= 1";

/// An impact larger than this has to have the right sign.
const MATTERS: f64 = 0.2;
const MEAN_ERROR: f64 = 0.15;

fn built_in() -> Settings {
    config::load(None, &Vocabulary { policies: &POLICIES, expression: |_| Ok(()) }).unwrap()
}

/// The built-in settings, as a table states them; the agent reads at `reads`.
fn snapshot(settings: &Settings, reads: NodeId) -> Snapshot {
    let node = |id: &NodeId| {
        let node = &settings.network.nodes[id];
        let row = Node {
            id: *id,
            name: node.name.clone(),
            store_url: None,
            availability: node.availability,
            capacity_bytes: None,
            state: NodeState::Running,
            heartbeat_at: None,
            labels: Default::default(),
            store: Default::default(),
            contact: Default::default(),
        };
        (*id, row)
    };
    let replica = Replica {
        id: ReplicaId(1),
        data_set: "blood_tests".into(),
        node: reads,
        object_key: String::new(),
        state: ReplicaState::Present,
        generation: 1,
        lease: None,
        validators: Default::default(),
        remark: None,
        former: None,
    };
    let content = Content {
        data_set: DataSet {
            name: "blood_tests".into(),
            object_key: String::new(),
            bytes: 1,
            records: 1,
            sha256: String::new(),
            versions: Default::default(),
            guard: Default::default(),
        },
        nodes: NODES.iter().map(node).collect::<FlatMap<_, _>>().into(),
        links: settings.network.links.iter().copied().collect::<LinkTable>().into(),
        placement: Placement { replicas: [(replica.id, replica)].into(), references: BTreeMap::new() },
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

fn parameters(settings: &Settings, agent: AgentId) -> Parameters {
    let own = &settings.agents[&agent];
    Parameters {
        agent,
        home: own.node,
        // What no goal mentions is not predicted.
        goal: EVERY_METRIC.parse().unwrap(),
        rho: own.rho,
        costs: own.costs.clone(),
        exploration: 0.0,
        penalty: 0.33,
        max_copies: settings.network.learning.max_copies,
        learning_rate: 0.5,
        window: Duration::from_secs(210),
        silence: Duration::from_secs(30),
        patience: Duration::from_secs(2),
    }
}

/// What the agent expects of going from `from` to `to`, when `runs` is all that it was trained on.
fn expected(
    settings: &Settings,
    agent: AgentId,
    runs: &BTreeMap<NodeId, Vec<Metrics>>,
    action: Action,
) -> (Impacts, Basis) {
    let parameters = parameters(settings, agent);
    let experience = Experience {
        trained: derive_impacts(runs, &parameters.rho, parameters.max_copies).into(),
        predictor: Predictor::new(Latency::Injected, runs, &BTreeMap::new()),
        ..Experience::default()
    };
    let snapshot = snapshot(settings, action.from_node().unwrap());
    let reference = snapshot.placement.present().next().unwrap();
    let measured = Metrics::default();
    let situation = Situation::new(&parameters, &experience, &measured, reference, &snapshot);
    let expected = situation.expected(action).unwrap();
    (situation.impacts(&expected), expected.basis())
}

fn actions() -> impl Iterator<Item = Action> {
    let pairs = NODES.iter().flat_map(|from| NODES.iter().map(move |to| (*from, *to))).filter(|(from, to)| from != to);
    pairs.flat_map(|(from, to)| [Action::Move { from, to }, Action::Copy { from, to }])
}

#[test]
fn impacts_of_a_node_that_was_never_tried_are_predicted() {
    let settings = built_in();
    let mut errors = Vec::new();
    for agent in [1, 2, 3].map(AgentId) {
        let trained = TrainingFile::embedded(agent).unwrap().unwrap();
        for left_out in NODES {
            let mut runs = trained.runs.clone();
            runs.remove(&left_out);
            for action in actions() {
                let concerned = [action.from_node(), action.to_node()].contains(&Some(left_out));
                let (impacts, basis) = expected(&settings, agent, &runs, action);
                let case = format!("agent {agent}, {action}, trained without node {left_out}");
                assert_eq!(basis, if concerned { Basis::Predicted } else { Basis::Known }, "{case}");
                for (metric, truth) in trained.impacts[&action].iter().filter(|_| concerned) {
                    let found = impacts.get(metric).unwrap_or_else(|| panic!("{case}: {metric} is not predicted"));
                    assert!(truth.abs() <= MATTERS || truth * found > 0.0, "{case}: {metric}: {found} is {truth}");
                    errors.push((metric, (found - truth).abs()));
                }
            }
        }
    }
    // Nothing is written while an agent is trained, and it is no service.
    for metric in Metric::ALL.into_iter().filter(|metric| !metric.is_on_demand()) {
        let of: Vec<f64> = errors.iter().filter(|(of, _)| *of == metric).map(|(_, error)| *error).collect();
        let (mean, worst) = (of.iter().sum::<f64>() / of.len() as f64, of.iter().copied().fold(0.0, f64::max));
        println!("{metric:<18} {} predictions: mean absolute error {mean:.4}, worst {worst:.4}", of.len());
        assert!(mean < MEAN_ERROR, "{metric}: {mean}");
    }
}
