//! Data that its owner goes on writing: every replica follows, goals can ask for fresh data, and policies feel what following costs.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario, Writes};
use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::metric::Metric;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::{ALL_POLICIES, Options, Outcome, run};
use std::path::Path;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const OWNER: NodeId = NodeId(3);

/// As `fixtures/scenarios/written.toml` has it, but written so often and so much.
fn written(every: Duration, share: f64) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/written.toml");
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    let mut scenario = scenario::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}"));
    scenario.writes.values_mut().for_each(|writes| *writes = Writes { every, share });
    scenario
}

fn simulated(scenario: &Scenario, policy: &str, lasts: Duration) -> Outcome {
    let options = Options { policy: Some(policy.to_owned()), seed: 3, lasts, until_converged: false };
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{policy}: {error}"))
}

fn refreshes(outcome: &Outcome) -> usize {
    outcome.events.iter().filter(|event| event.action.kind() == ActionType::Restore).count()
}

fn violated(outcome: &Outcome, agent: u32) -> f64 {
    let tally = &outcome.tallies[&AgentId(agent)];
    tally.violated as f64 / tally.jobs.max(1) as f64
}

#[test]
fn whatever_the_policy_replicas_follow_and_the_origin_stays() {
    // The last write is ten minutes ago when the run ends.
    let scenario = written(Duration::from_secs(1200), 0.05);
    for policy in ALL_POLICIES {
        let outcome = simulated(&scenario, policy, HOUR - Duration::from_secs(600));
        let snapshot = outcome.snapshot();
        assert_eq!(snapshot.data_set.versions.version, 3, "{policy}");
        assert!(snapshot.placement.nodes().contains(&OWNER), "{policy}: {:?}", snapshot.placement.nodes());
        let behind: Vec<_> = snapshot.placement.present().filter(|row| row.is_outdated()).collect();
        assert!(behind.is_empty(), "{policy}: {behind:?}");
    }
}

#[test]
fn each_version_reaches_each_replica_once() {
    let outcome = simulated(&written(Duration::from_secs(600), 0.05), "cooperative", 2 * HOUR);
    // Eleven after the first, at two nodes beside the owner's.
    assert_eq!(outcome.snapshot().placement.nodes().len(), 3);
    assert_eq!(refreshes(&outcome), 22);
    let others = outcome.events.iter().filter(|event| event.action.kind() != ActionType::Restore);
    let placed: Vec<String> = others.map(|event| event.action.to_string()).collect();
    assert_eq!(placed.len(), 2, "what is written moves nobody: {placed:?}");
    for agent in [1, 2] {
        assert!(violated(&outcome, agent) < 0.05, "agent {agent}: {:?}", outcome.tallies);
    }
}

#[test]
fn who_wants_fresh_data_reads_where_it_is_written() {
    // A whole transfer of 40 s for each version.
    let mut scenario = written(Duration::from_secs(300), 1.0);
    let (reader, near) = (AgentId(1), NodeId(1));
    scenario.placed.insert("blood_tests".into(), [near, OWNER].into());
    for (goal, wants_fresh) in [("staleness <= 5 s", true), ("staleness <= 10 min", false)] {
        let mut scenario = scenario.clone();
        let settings = scenario.agents.get_mut(&reader).unwrap();
        (settings.goal, settings.goal_text) = (goal.parse().unwrap(), goal.to_owned());
        settings.rho.set(Metric::Staleness, 60.0);
        for policy in ["cooperative", "oracle"] {
            let outcome = simulated(&scenario, policy, 2 * HOUR);
            let reads = outcome.reads(reader);
            assert_eq!(reads == Some(OWNER), wants_fresh, "{policy}, {goal}: {reads:?}, {:?}", outcome.tallies);
            assert!(wants_fresh || violated(&outcome, reader.0) == 0.0, "{policy}: {:?}", outcome.tallies);
        }
    }
}

#[test]
fn what_is_written_all_the_time_is_copied_less() {
    let copies = |every: u64, share: f64| {
        let outcome = simulated(&written(Duration::from_secs(every), share), "cooperative", HOUR);
        let made = outcome.events.iter().filter(|event| matches!(event.action, Action::Copy { .. }));
        (made.count(), outcome.snapshot().placement.nodes().len())
    };
    assert_eq!(copies(600, 0.05).1, 3);
    // Each copy would be fetched anew every half a minute.
    assert_eq!(copies(30, 1.0).1, 1, "{:?}", copies(30, 1.0));
}
