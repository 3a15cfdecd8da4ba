//! Every policy in random small networks in which things break: no invariant is broken, runs end and can be repeated, and each
//! policy does only what it is there for.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::action::ActionType;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::{Options, Outcome, expand, run};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
const LASTS: Duration = Duration::from_secs(40 * 60);

/// A network to be written as a scenario.
#[derive(Clone, Debug)]
struct Network {
    /// Availability \[%\], whether there is room for the data, and the goal of the agent there.
    nodes: Vec<(u32, bool, String)>,
    /// Between each two nodes, in order \[ms\].
    latencies: Vec<u32>,
    transfer_s: u32,
    transfer_failures_percent: u32,
    /// Kind, how often \[min\], how long \[s\].
    faults: Vec<(&'static str, u32, u32)>,
}

const NODES_MAX: usize = 6;

fn goal() -> impl Strategy<Value = String> {
    let quality = prop_oneof![
        (4u32..70).prop_map(|seconds| format!("response_time <= {seconds} s")),
        (0u32..1600).prop_map(|latency| format!("network_latency <= {latency} ms")),
        (10_000u32..140_000).prop_map(|rate| format!("throughput >= {rate} records/s")),
    ];
    let thrift = prop_oneof![
        Just(String::new()),
        Just(" and data_consistency >= 0.5".to_owned()),
        Just(" or data_consistency > 0.9".to_owned()),
        (70u32..99).prop_map(|percent| format!(" and availability >= {percent} %")),
    ];
    (quality, thrift).prop_map(|(quality, thrift)| quality + &thrift)
}

fn fault() -> impl Strategy<Value = (&'static str, u32, u32)> {
    let kind = prop_oneof![
        Just("node_down"),
        Just("agent_down"),
        Just("store_down"),
        Just("database_away"),
        Just("store_slow")
    ];
    (kind, 5u32..30, 5u32..200)
}

fn network() -> impl Strategy<Value = Network> {
    let nodes = prop::collection::vec((70u32..100, prop::bool::weighted(0.9), goal()), 2..=NODES_MAX);
    let latencies = prop::collection::vec(5u32..1600, NODES_MAX * NODES_MAX);
    let faults = prop::collection::vec(fault(), 0..4);
    (nodes, latencies, 0u32..90, 0u32..20, faults).prop_map(
        |(nodes, latencies, transfer_s, transfer_failures_percent, faults)| Network {
            nodes,
            latencies,
            transfer_s,
            transfer_failures_percent,
            faults,
        },
    )
}

impl Network {
    fn scenario(&self) -> Scenario {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("random.toml");
        std::fs::write(&file, self.toml()).unwrap();
        expand(scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}\n{}", self.toml())))
    }

    fn toml(&self) -> String {
        let mut text = HEAD.to_owned();
        let Self { transfer_s, transfer_failures_percent, .. } = self;
        writeln!(text, "transfer = \"{transfer_s} s\"\ntransfer_failures = \"{transfer_failures_percent} %\"").unwrap();
        for (id, (availability, has_room, goal)) in (1..).zip(&self.nodes) {
            writeln!(text, "[[node]]\nid = {id}\nname = \"node-{id}\"\navailability = \"{availability} %\"").unwrap();
            // The first one holds the data at the start.
            if !has_room && id > 1 {
                writeln!(text, "capacity = \"300 MB\"").unwrap();
            }
            writeln!(text, "[[agent]]\nid = {id}\ngoal = \"{goal}\"").unwrap();
            for other in 1..id {
                let latency = self.latencies[(id - 1) * NODES_MAX + other - 1];
                writeln!(text, "[[link]]\nbetween = [{other}, {id}]\nlatency = \"{latency} ms\"\njitter = \"5 ms\"")
                    .unwrap();
            }
        }
        for (kind, every, lasts) in &self.faults {
            let factor = if *kind == "store_slow" { "factor = 4.0\n" } else { "" };
            writeln!(text, "[[fault]]\nkind = \"{kind}\"\nevery = \"{every} min\"\nlasts = \"{lasts} s\"\n{factor}")
                .unwrap();
        }
        text
    }
}

const HEAD: &str = r#"
name = "random"
about = "Drawn by a test."

[data_set]
name = "blood_tests"
object_key = "blood_tests.json"
generate_records = 553_729
first_node = 1

[feedback]
window = "210 s"
threshold = 0.3
grace = "60 s"

[learning]
learning_rate = 0.5
exploration = 0.1
penalty = 0.33
max_copies = 2

[rhythm]
job_gap = "15 s"
job_gap_deviation = "2 s"
heartbeat = "10 s"
lease = "150 s"
drain = "120 s"
probes = 5

[rho]
response_time = "40 s"
execution_time = "15 s"
throughput = "30000 records/s"
network_latency = "2000 ms"
availability = "25 %"
data_consistency = 0.5

[cost]
move = 1.5
copy = 1.8
change_reference = 1.0
evict = 0.5

[physics]
response_time = { base = "10 s", per_second_of_latency = 29.4, deviation = "500 ms" }
execution_time = { base = "4 s", per_second_of_latency = 22.0, deviation = "500 ms" }
bytes = "322 MB"
poll = "1 s"
"#;

fn simulated(scenario: &Scenario, policy: &str, seed: u64) -> Outcome {
    let options = Options { policy: Some(policy.to_owned()), seed, lasts: LASTS, until_converged: false };
    // An invariant that is broken ends it, with its number.
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{policy}, seed {seed}: {error}"))
}

fn kinds(outcome: &Outcome) -> BTreeSet<ActionType> {
    outcome.events.iter().map(|event| event.action.kind()).collect()
}

fn rows(outcome: &Outcome) -> u64 {
    outcome.tallies.values().map(|tally| tally.messages).sum()
}

/// A case simulates every policy: fewer of them, unless somebody asks.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 12 };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_policy_keeps_the_invariants_in_any_network(network in network(), seed in 0u64..1000) {
        let scenario = network.scenario();
        for policy in POLICIES {
            let outcome = simulated(&scenario, policy, seed);
            let jobs: u64 = outcome.tallies.values().map(|tally| tally.jobs + tally.failed).sum();
            prop_assert!(jobs > 0, "{policy}: nobody has done anything");
            let kinds = kinds(&outcome);
            let done_by = |allowed: &[ActionType]| kinds.iter().all(|kind| allowed.contains(kind));
            match policy {
                "none" => prop_assert!(kinds.is_empty() && rows(&outcome) == 0, "none: {kinds:?}"),
                "keep-copy" => {
                    let serving = [ActionType::Nothing, ActionType::Copy, ActionType::ChangeReference, ActionType::Evict];
                    prop_assert!(done_by(&serving), "keep-copy: {kinds:?}");
                }
                "reference" => {
                    let published =
                        [ActionType::Nothing, ActionType::Move, ActionType::Copy, ActionType::ChangeReference];
                    prop_assert!(done_by(&published), "reference: {kinds:?}");
                }
                "greedy" | "ucb" | "vote" | "cooperative" => {
                    prop_assert!(outcome.events.iter().all(|event| !event.explored), "{policy} explores");
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_run_can_be_repeated_with_any_policy(network in network(), seed in 0u64..1000, policy in 0..POLICIES.len()) {
        let scenario = network.scenario();
        let (one, other) = (simulated(&scenario, POLICIES[policy], seed), simulated(&scenario, POLICIES[policy], seed));
        prop_assert_eq!(one.tallies, other.tallies);
        prop_assert_eq!(one.events, other.events);
    }
}

#[test]
fn every_policy_is_known_by_its_name() {
    for name in POLICIES {
        assert_eq!(agent_core::mape::planner::policy(name).map(|policy| policy.name()), Some(name));
    }
    assert!(agent_core::mape::planner::policy("no such policy").is_none());
}
