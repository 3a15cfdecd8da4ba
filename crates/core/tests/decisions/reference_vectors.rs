//! The recorded cases of the published system: impacts, online learning, offline training and the selection of actions.
//!
//! Reads `fixtures/reference/`, or the folder named by `AGENT_REFERENCE_DIR` (same file names and shapes, any number of cases).
//! `feedback.json` is replayed through the shared table in `feedback_vectors.rs`.

use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::goal::Goal;
use agent_core::domain::ids::{AgentId, NodeId, ReplicaId};
use agent_core::domain::impact::{self, Impacts};
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::{DataSet, Node, NodeState, Placement, Replica, ReplicaState};
use agent_core::domain::snapshot::{Content, Counter, Snapshot};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::mape::planner::{Experience, Parameters, Reference, Scoring as _, Situation, Verdict, best};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const TOLERANCE: f64 = 1e-9;
const AGENTS: [u32; 3] = [1, 2, 3];

fn read(file: &str) -> Value {
    let directory = std::env::var_os("AGENT_REFERENCE_DIR")
        .map_or_else(|| PathBuf::from("../../fixtures/reference"), PathBuf::from);
    let path = directory.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn id(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap_or_else(|| panic!("not an id: {value}"))).unwrap()
}

fn close(found: f64, recorded: f64) -> bool {
    (found - recorded).abs() <= TOLERANCE
}

/// The recorded vectors list impacts in this order.
fn vector(values: &Value) -> Impacts {
    Metric::ALL.into_iter().zip(list(values)).map(|(metric, value)| (metric, number(value))).collect()
}

/// Recorded names carry their unit: `response_time_s`.
fn metrics(values: &Value) -> Metrics {
    let named = |(name, value): (&String, &Value)| {
        let metric = Metric::ALL.into_iter().find(|metric| name.starts_with(metric.name()));
        (metric.unwrap_or_else(|| panic!("not a metric: {name}")), number(value))
    };
    values.as_object().unwrap().iter().map(named).collect()
}

/// `M12` as recorded is `M1_2`.
fn action(label: &str) -> Action {
    let node = |digit: &str| NodeId(digit.parse().unwrap());
    match (label, label.len()) {
        ("NA", _) => Action::Nothing,
        (_, 3) if label.starts_with("CR") => Action::ChangeReference { to: node(&label[2..]) },
        (_, 3) if label.starts_with('M') => Action::Move { from: node(&label[1..2]), to: node(&label[2..]) },
        (_, 3) if label.starts_with('C') => Action::Copy { from: node(&label[1..2]), to: node(&label[2..]) },
        _ => panic!("not an action: {label}"),
    }
}

fn assert_vector(found: &Impacts, recorded: &Value, case: &str) {
    let recorded = vector(recorded);
    assert_eq!(found.iter().count(), recorded.iter().count(), "{case}: {found:?} instead of {recorded:?}");
    for (metric, value) in recorded.iter() {
        let found = found.get(metric).unwrap_or_else(|| panic!("{case}: no {metric}"));
        assert!(close(found, value), "{case}: {metric} is {found}, recorded {value}");
    }
}

#[test]
fn impacts_of_differences() {
    for agent in AGENTS {
        let cases = read(&format!("agent_{agent}.json"));
        for case in list(&cases["impact_function"]) {
            let found = impact::impact_of_difference(number(&case["delta"]), number(&case["rho"]));
            assert!(close(found, number(&case["impact"])), "agent {agent}: {case}: {found}");
        }
    }
}

#[test]
fn online_learning() {
    for agent in AGENTS {
        let recorded = &read(&format!("agent_{agent}.json"))["online_update"];
        let rho = metrics(&recorded["rho"]);
        let rate = number(&recorded["learning_rate"]);
        for (i, case) in list(&recorded["cases"]).iter().enumerate() {
            let kind = match text(&case["action"]) {
                "copy" => ActionType::Copy,
                "move" => ActionType::Move,
                "change reference copy" => ActionType::ChangeReference,
                other => panic!("unknown kind of action {other}"),
            };
            let consistency = impact::consistency_impact(kind, 2, rho.get(Metric::DataConsistency).unwrap());
            let (before, after) = (vector(&case["before"]), vector(&case["after"]));
            let found = impact::learn(&vector(&case["impacts"]), &before, &after, &rho, rate, consistency);
            assert_vector(&found, &case["updated"], &format!("agent {agent}, case {i}"));
        }
    }
}

#[test]
fn offline_training() {
    let recorded = read("offline_training.json");
    let rho = metrics(&recorded["rho"]);
    for (i, case) in list(&recorded["cases"]).iter().enumerate() {
        let runs = |place: &str, availability: &str| -> Vec<Metrics> {
            let availability = number(&case[availability]);
            list(&case[place]).iter().map(|run| metrics(run).with(Metric::Availability, availability)).collect()
        };
        let source = runs("at_source", "source_availability_percent");
        let destination = runs("at_destination", "destination_availability_percent");
        assert_vector(&impact::train(&source, &destination, &rho), &case["impacts"], &format!("case {i}"));
    }
}

fn snapshot(case: &Value) -> Snapshot {
    let data_set = DataSet {
        name: "d".into(),
        object_key: "d".into(),
        bytes: 1,
        records: 1,
        sha256: String::new(),
        versions: Default::default(),
        guard: Default::default(),
    };
    let replica = |(i, copy): (usize, &Value)| {
        let id = ReplicaId(i64::try_from(i).unwrap() + 1);
        let row = Replica {
            id,
            data_set: data_set.name.clone(),
            node: NodeId(self::id(&copy["node"])),
            object_key: "d".into(),
            state: ReplicaState::Present,
            generation: 1,
            lease: None,
            validators: Default::default(),
            remark: None,
            former: None,
        };
        (id, row)
    };
    let node = |id: u32| {
        let availability = Percent::new(50.0).unwrap();
        let node = Node {
            id: NodeId(id),
            name: String::new(),
            store_url: None,
            availability: availability.into(),
            capacity_bytes: None,
            state: NodeState::Declared,
            heartbeat_at: None,
            labels: Default::default(),
            store: Default::default(),
            contact: Default::default(),
        };
        (node.id, node)
    };
    let counters = case["counters"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(label, value)| (action(label), Counter { value: id(value), changed_at: Timestamp(0) }));
    let content = Content {
        nodes: Arc::new([1, 2, 3].map(node).into()),
        links: Arc::default(),
        placement: Placement {
            replicas: list(&case["copies"]).iter().enumerate().map(replica).collect(),
            references: BTreeMap::new(),
        },
        agents: Arc::default(),
        open_events: Vec::new(),
        counters: counters.collect(),
        copies_made: BTreeMap::new(),
        changed_at: None,
        generation: 0,
        measured: Default::default(),
        stored_bytes: BTreeMap::new(),
        books: None,
        derived: Default::default(),
        data_set,
    };
    Snapshot::new(Timestamp(0), content)
}

fn parameters(agent: u32, recorded: &Value) -> Parameters {
    let costs = ActionType::ALL.into_iter().map(|kind| {
        let name = if kind == ActionType::Nothing { "none" } else { kind.name() };
        (kind, recorded["costs"].get(name).map_or(1.0, number))
    });
    Parameters {
        agent: AgentId(agent),
        home: NodeId(agent),
        goal: text(&recorded["goal"]).parse::<Goal>().unwrap(),
        rho: Metrics::default(),
        costs: costs.collect(),
        exploration: 0.1,
        penalty: number(&recorded["penalty"]),
        max_copies: 2,
        learning_rate: 0.5,
        window: Duration::from_secs(210),
        silence: Duration::from_secs(30),
        patience: Duration::from_secs(2),
    }
}

#[test]
fn selection_of_actions() {
    for agent in AGENTS {
        let recorded = &read(&format!("agent_{agent}.json"))["selection"];
        let parameters = parameters(agent, recorded);
        for (i, case) in list(&recorded["cases"]).iter().enumerate() {
            check_selection(&format!("agent {agent}, case {i}"), &parameters, case);
        }
    }
}

fn check_selection(name: &str, parameters: &Parameters, case: &Value) {
    let measured = metrics(&case["measured"]);
    let violated = !parameters.goal.holds(&measured);
    assert_eq!(violated, case["violated"].as_bool().unwrap(), "{name}: violated");
    if !violated {
        return;
    }
    let snapshot = snapshot(case);
    let reference_node = NodeId(id(&case["reference_node"]));
    let reference = snapshot.placement.present().find(|replica| replica.node == reference_node).unwrap();
    let vectors = case["impacts"].as_object().unwrap().iter();
    let trained: BTreeMap<_, _> = vectors.map(|(label, values)| (action(label), vector(values))).collect();
    let experience = Experience { trained: trained.into(), ..Experience::default() };
    let situation = Situation::new(parameters, &experience, &measured, reference, &snapshot);

    let recorded = list(&case["scores"]);
    let order: Vec<Action> = recorded.iter().map(|score| action(text(&score["action"]))).collect();
    let candidates: BTreeSet<Action> = Reference.candidates(&situation).into_iter().collect();
    assert_eq!(candidates, order.iter().copied().collect(), "{name}: candidates");

    let scored: Vec<_> = order.iter().map(|action| Reference.score(&situation, *action)).collect();
    for (found, recorded) in scored.iter().zip(recorded) {
        let Verdict::Feasible { internal, global, .. } = found.verdict else { panic!("{name}: {found:?}") };
        assert!(close(internal, number(&recorded["internal"])), "{name}: {found:?}, recorded {recorded}");
        assert!(close(global, number(&recorded["global_"])), "{name}: {found:?}, recorded {recorded}");
    }
    let globals: Vec<_> = scored.iter().map(|one| (one.action, one.global())).collect();
    assert_eq!(best(&globals).action, action(text(&case["selected"])), "{name}: selected");
}
