//! Work that moves, in virtual time: whether data comes to it or it goes to the data, who chooses what, and what becomes of it when
//! its host is gone. The figures over many seeds are in docs/policies.md.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::action::{Action, ActionType};
use agent_core::domain::event::Event;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::mape::planner::{Basis, Decision, POLICIES, Verdict};
use agent_core::sim::{Options, Outcome, expand, run};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/scenarios/{name}.toml"));
    expand(scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}")))
}

fn simulate(scenario: &Scenario, policy: &str, seed: u64) -> Outcome {
    let lasts = Duration::from_secs(4 * 3600);
    let options = Options { policy: Some(policy.to_owned()), seed, lasts, until_converged: false };
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{}, {policy}, {seed}: {error}", scenario.name))
}

fn violated(outcome: &Outcome) -> u64 {
    outcome.tallies.values().map(|tally| tally.violated).sum()
}

/// What was done, by label, without the nodes that data went to: ties are decided by the numbers of nodes.
fn done(outcome: &Outcome) -> Vec<String> {
    let label = |event: &Event| match event.action {
        Action::Move { from, .. } => Some(format!("M{from}")),
        Action::Nothing => None,
        action => Some(action.to_string()),
    };
    let mut done: Vec<String> = outcome.events.iter().filter_map(label).collect();
    done.sort();
    done
}

#[test]
fn the_oracle_moves_what_is_cheaper_to_move() {
    let check = |name: &str, expected: &[&str]| {
        let scenario = scenario(name);
        for policy in ["oracle", "oracle-late"] {
            let outcome = simulate(&scenario, policy, 1);
            assert_eq!(done(&outcome), expected, "{name}, {policy}");
            assert!(violated(&outcome) <= 4, "{name}, {policy}: {}", violated(&outcome));
            let standing = outcome.standing(&scenario).unwrap();
            assert!(standing.is_best, "{name}, {policy}: {standing:?}");
        }
    };
    check("work/big_data", &["T1_3", "T2_3"]);
    check("work/small_data", &["M5"]);
}

#[test]
fn where_both_are_right_both_are_done() {
    let scenario = scenario("work/both");
    let done = done(&simulate(&scenario, "oracle", 1));
    assert!(matches!(done.as_slice(), [moved, worked] if moved == "M4" && worked.starts_with("T3_")), "{done:?}");
}

#[test]
fn agents_that_plan_together_do_no_worse_than_one_that_knows_it_all_from_the_first_violation() {
    for name in ["work/big_data", "work/small_data", "work/both"] {
        let scenario = scenario(name);
        for seed in 1..=5 {
            let [own, bar] = ["cooperative", "oracle-late"].map(|policy| violated(&simulate(&scenario, policy, seed)));
            assert!(own <= bar, "{name}, seed {seed}: {own} violated jobs, {bar} with the oracle");
        }
    }
}

#[test]
fn agents_that_plan_together_do_what_is_right() {
    let kinds = |name: &str| -> BTreeSet<ActionType> {
        let outcome = simulate(&scenario(name), "cooperative", 1);
        outcome.events.iter().map(|event| event.action.kind()).filter(|kind| *kind != ActionType::Nothing).collect()
    };
    assert_eq!(kinds("work/big_data"), [ActionType::MoveWork].into());
    assert_eq!(kinds("work/small_data"), [ActionType::Move].into());
}

/// Everybody may run wherever somebody lives.
fn freed(name: &str) -> Scenario {
    let mut scenario = scenario(name);
    let manned: BTreeSet<NodeId> = scenario.agents.values().map(|agent| agent.node).collect();
    scenario.agents.values_mut().for_each(|agent| agent.may_run_on.clone_from(&manned));
    scenario
}

#[test]
fn who_may_move_its_work_violates_no_more_jobs() {
    for name in ["published", "drift", "hopeless", "conflict", "five_nodes", "ten_nodes"] {
        let mean = |scenario: &Scenario| (1..=3).map(|seed| violated(&simulate(scenario, "cooperative", seed))).sum();
        let (bound, free): (u64, u64) = (mean(&scenario(name)), mean(&freed(name)));
        assert!(free <= bound, "{name}: {free} violated jobs in all, {bound} without");
    }
}

#[test]
fn what_ran_on_a_node_that_dies_is_at_home_until_it_is_back() {
    let scenario = scenario("work/host_dies");
    for seed in 1..=3 {
        let outcome = simulate(&scenario, "cooperative", seed);
        assert_eq!(done(&outcome), ["T1_2"], "seed {seed}");
        let own = outcome.tallies[&AgentId(1)];
        // Until it is noticed, its jobs fail; until it is back, they take too long. Before and after they do not.
        assert!((1..=6).contains(&own.failed), "seed {seed}: {own:?}");
        assert!((5..=20).contains(&own.violated), "seed {seed}: {own:?}");
    }
}

#[test]
fn a_decision_shows_both_kinds_side_by_side() {
    let outcome = simulate(&scenario("work/small_data"), "greedy", 1);
    let event = outcome.events.iter().find(|event| event.agent == AgentId(1) && !event.detail.is_empty());
    let decision: Decision = serde_json::from_str(&event.expect("it acted").detail).unwrap();
    let verdict = |label: &str| {
        let action: Action = label.parse().unwrap();
        decision.scored.iter().find(|scored| scored.action == action).map(|scored| scored.verdict.clone())
    };
    assert!(matches!(verdict("M5_1"), Some(Verdict::Feasible { .. })));
    let Some(Verdict::Feasible { basis, cost, .. }) = verdict("T1_5") else { panic!("{decision:?}") };
    assert_eq!((basis, cost), (Basis::Predicted, 1.2));
    assert!(decision.work_forecasts.contains_key(&NodeId(5)));
}

#[test]
fn the_published_policy_never_moves_work() {
    let outcome = simulate(&freed("published"), "reference", 1);
    assert!(outcome.events.iter().all(|event| event.action.work_node().is_none()));
    assert_eq!(violated(&outcome), violated(&simulate(&scenario("published"), "reference", 1)));
}
