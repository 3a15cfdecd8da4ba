//! `agent simulate` as a user runs it, and every scenario that is shipped.

use agent::app::simulate;
use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::ids::{AgentId, EventId, NodeId};
use agent_core::sim::{Options, Outcome, expand, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok(()) };

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/scenarios/{name}.toml"))
}

fn scenario(name: &str) -> Scenario {
    expand(scenario::load(&fixture(name), &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}")))
}

fn options(policy: &str, seed: u64, minutes: u64) -> Options {
    let lasts = Duration::from_secs(minutes * 60);
    Options { policy: Some(policy.to_owned()), seed, lasts, until_converged: false }
}

fn simulated(name: &str, policy: &str, seed: u64, minutes: u64) -> Outcome {
    let scenario = scenario(name);
    run(&scenario, &options(policy, seed, minutes), None, |_| {})
        .unwrap_or_else(|error| panic!("{name}, {policy}, seed {seed}: {error}"))
}

fn agent(arguments: &[&str]) -> Vec<u8> {
    let done = Command::new(env!("CARGO_BIN_EXE_agent")).args(arguments).output().expect("the program runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

#[test]
fn two_runs_of_a_seed_write_identical_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let once = |name: &str, seed: &str| {
        let trace = folder.path().join(name);
        let storm = fixture("storm");
        let arguments = ["simulate", "--scenario", text(&storm), "--hours", "2", "--seed", seed, "--json", "--trace"];
        let document = agent(&[arguments.as_slice(), &[text(&trace)]].concat());
        (document, fs::read(&trace).unwrap())
    };
    let first = once("first", "3");
    assert!(first == once("second", "3"), "the same seed, other bytes");
    assert!(first != once("third", "4"), "another seed, the same bytes");
}

#[test]
fn the_document_is_the_demos_and_counts_what_the_trace_tells() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, published) = (folder.path().join("trace"), fixture("published"));
    let arguments = [
        "simulate",
        "--scenario",
        text(&published),
        "--hours",
        "1",
        "--policy",
        "fixed",
        "--json",
        "--trace",
        text(&trace),
    ];
    let document: Value = serde_json::from_slice(&agent(&arguments)).unwrap();
    let log = fs::read_to_string(&trace).unwrap();
    for (index, id) in [1, 2, 3].into_iter().enumerate() {
        let lines = |what: &str| log.lines().filter(|line| line.contains(&format!("s  agent {id}  {what}"))).count();
        let counted = &document["agents"][index];
        assert_eq!((counted["id"].as_u64(), counted["jobs"].as_u64()), (Some(id), Some(lines("job ") as u64)));
        assert_eq!(counted["violated"].as_u64(), Some(lines("job       VIOLATED") as u64));
    }
    let actions = document["actions"].as_array().unwrap();
    assert_eq!(log.lines().filter(|line| line.contains("  action    ")).count(), actions.len());
    assert_eq!((document["converged"].as_bool(), document["real_seconds"].as_f64()), (Some(true), Some(0.0)));
    assert_eq!(document["replicas"], serde_json::json!([1, 2, 3]));

    let event = actions[0]["event"].to_string();
    let explained = String::from_utf8(agent(&["explain", &event, "--trace", text(&trace)])).unwrap();
    let chosen = actions[0]["action"].as_str().unwrap();
    assert!(explained.contains(&format!("chose {chosen}")) && explained.contains("candidate"), "{explained}");
}

#[test]
fn an_agent_more_disturbs_nobody_until_it_acts() {
    let jobs = |name: &str| {
        let mut scenario = scenario(name);
        // Nobody acts, so that only chance could differ.
        scenario.agents.values_mut().for_each(|agent| agent.goal = "response_time <= 1 h".parse().unwrap());
        let mut told = Vec::new();
        let mut tell = |at: agent_core::domain::time::Timestamp, what: &agent_core::sim::Told| {
            if let agent_core::sim::Told::Notice(notice) = what {
                told.push(format!("{at} {notice:?}"));
            }
        };
        run(&scenario, &options("fixed", 5, 180), Some(&mut tell), |_| {}).unwrap();
        told.retain(|line| line.contains("agent: AgentId(1)"));
        told
    };
    let alone = jobs("published");
    assert!(alone.len() > 100);
    assert_eq!(alone, jobs("node_added"));
}

#[test]
fn every_scenario_runs_with_every_policy_and_breaks_no_invariant() {
    let small = ["published", "drift", "hopeless", "conflict", "too_small", "crash", "partition", "node_added"];
    let more = ["published_300s", "hopeless_30s", "five_nodes", "ten_nodes", "conflict_10"];
    for name in small.into_iter().chain(more) {
        for policy in ["fixed", "reference", "oracle", "oracle-late"] {
            let outcome = simulated(name, policy, 1, 60);
            assert!(outcome.tallies.values().any(|tally| tally.jobs > 0), "{name}");
        }
    }
}

#[test]
fn storms_lose_nothing() {
    for seed in 1..=10 {
        for policy in ["fixed", "oracle", "oracle-late"] {
            let outcome = simulated("storm", policy, seed, 180);
            assert!(
                outcome.tallies.values().any(|tally| tally.failed > 0),
                "seed {seed}: a storm in which nothing failed"
            );
        }
    }
}

#[test]
fn two_replicas_end_a_conflict() {
    let outcome = simulated("conflict", "fixed", 1, 60);
    let nodes: Vec<NodeId> = outcome.snapshot().placement.nodes().into_iter().collect();
    assert_eq!((nodes, outcome.converged), (vec![NodeId(1), NodeId(2)], true));
}

#[test]
fn a_node_that_joins_late_is_served() {
    let outcome = simulated("node_added", "fixed", 1, 240);
    let tally = outcome.tallies[&AgentId(4)];
    assert!(outcome.converged && tally.jobs > 100 && tally.violated < 10, "{tally:?}");
    assert!(outcome.snapshot().nodes.contains_key(&NodeId(4)));
}

#[test]
fn a_store_that_is_too_small_holds_nothing() {
    let outcome = simulated("too_small", "reference", 1, 120);
    assert!(!outcome.snapshot().placement.nodes().contains(&NodeId(2)));
    // `reference` wants to bring it there again and again, and no claim is granted.
    let mut brought = outcome.events.iter().filter(|event| event.action.transfers());
    assert!(brought.all(|event| event.action.to_node() != Some(NodeId(2))));
}

#[test]
fn generated_networks_are_the_same_for_every_run_and_meet_their_share() {
    let (one, other) = (scenario("nodes_100"), scenario("nodes_100"));
    assert_eq!(one, other);
    assert_eq!((one.network.nodes.len(), one.network.links.len(), one.agents.len()), (100, 9900, 100));
    let hopeless = one.agents.values().filter(|agent| agent.goal.to_string() == "response_time <= 5 s").count();
    assert!((1..=12).contains(&hopeless), "{hopeless} of 100, at 5 % each");
}

#[test]
fn the_planted_replicas_meet_every_goal_that_can_be_met() {
    let mut planted =
        scenario::load(&fixture("nodes_300"), &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"));
    planted.generate.as_mut().map(|generate| generate.placed = generate.replicas).expect("it is generated");
    let planted = expand(planted);
    let outcome = run(&planted, &options("fixed", 1, 6), None, |_| {}).unwrap();
    let (jobs, violated) =
        outcome.tallies.values().fold((0, 0), |(jobs, violated), tally| (jobs + tally.jobs, violated + tally.violated));
    assert!(jobs > 1000 && violated == 0, "{violated} of {jobs} jobs");
}

#[test]
fn what_is_not_in_a_trace_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    fs::write(&trace, "nothing\n").unwrap();
    let error = simulate::explained(&trace, EventId(7)).unwrap_err().to_string();
    assert_eq!(error, format!("{}: there is no event 7; its last lines list them", trace.display()));
}
