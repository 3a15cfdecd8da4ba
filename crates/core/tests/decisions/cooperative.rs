//! The policy `cooperative` in virtual time: what it promises, with few seeds, and in company of all that can go wrong. The
//! figures over many seeds are in docs/policies.md.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Goals, Scenario};
use agent_core::domain::action::Action;
use agent_core::domain::ids::AgentId;
use agent_core::mape::cooperative::MARGIN;
use agent_core::mape::planner::{Decision, POLICIES, Reason};
use agent_core::sim::{Options, Outcome, expand, run};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
const HOURS: u32 = 4;

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/scenarios/{name}.toml"));
    scenario::load(&file, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"))
}

fn simulate(scenario: &Scenario, seed: u64) -> Outcome {
    let lasts = Duration::from_secs(3600) * HOURS;
    let options = Options { policy: Some("cooperative".to_owned()), seed, lasts, until_converged: false };
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{}, seed {seed}: {error}", scenario.name))
}

fn violated(outcome: &Outcome, agent: u32) -> u64 {
    outcome.tallies[&AgentId(agent)].violated
}

fn all_violated(outcome: &Outcome) -> u64 {
    outcome.tallies.values().map(|tally| tally.violated).sum()
}

/// The mean over seeds, of what is counted in a run.
fn mean(name: &str, seeds: u64, count: impl Fn(&Outcome) -> u64) -> f64 {
    let scenario = scenario(name);
    (1..=seeds).map(|seed| count(&simulate(&scenario, seed))).sum::<u64>() as f64 / seeds as f64
}

fn at_most(name: &str, seeds: u64, most: f64) {
    let found = mean(name, seeds, all_violated);
    assert!(found <= most, "{name}: {found} violated jobs, at most {most}");
}

#[test]
fn it_acts_before_the_first_job_misses_its_goal() {
    at_most("published", 20, 0.5);
    at_most("drift", 20, 1.5);
    at_most("five_nodes", 5, 0.5);
    at_most("ten_nodes", 5, 0.5);
    at_most("conflict", 5, 0.5);
}

#[test]
fn transfers_that_take_time_cost_those_who_wait_for_them() {
    at_most("published_30s", 20, 3.0);
}

#[test]
fn who_cannot_be_content_keeps_still_and_lets_others_be() {
    let scenario = scenario("hopeless");
    for seed in 1..=20 {
        let outcome = simulate(&scenario, seed);
        for agent in [1, 3] {
            let jobs = outcome.tallies[&AgentId(agent)].jobs;
            assert!(violated(&outcome, agent) * 500 < jobs, "seed {seed}: agent {agent}");
        }
        let acted = outcome.events.iter().filter(|event| event.agent == AgentId(2)).count();
        assert!(acted <= HOURS as usize, "seed {seed}: agent 2 acted {acted} times");
    }
}

/// Others' violated jobs: at most 0.5 more than without the trouble.
#[test]
fn trouble_with_one_agent_is_no_trouble_for_the_others() {
    for base in ["published", "drift", "hopeless"] {
        for trouble in ["noise", "lost", "dies_asking"] {
            let hopeless = |outcome: &Outcome| if base == "hopeless" { violated(outcome, 2) } else { 0 };
            let found = mean(&format!("trouble/{base}_{trouble}"), 10, |one| all_violated(one) - hopeless(one));
            assert!(found <= 0.5, "{base}, {trouble}: {found}");
        }
        let slow = mean(&format!("{base}_30s"), 10, |one| violated(one, 1) + violated(one, 3));
        let dies = mean(&format!("trouble/{base}_dies_moving"), 10, |one| violated(one, 1) + violated(one, 3));
        assert!(dies <= slow + 0.5, "{base}: {dies} with an agent that dies, {slow} without");
        for liar in 1..=3 {
            for lie in ["worst", "cunning"] {
                let others = |outcome: &Outcome| {
                    let honest = (1..=3).filter(|agent| *agent != liar && (base != "hopeless" || *agent != 2));
                    honest.map(|agent| violated(outcome, agent)).sum()
                };
                let found = mean(&format!("trouble/{base}_{lie}_{liar}"), 5, others);
                assert!(found <= 0.5, "{base}: agent {liar} says {lie}: {found}");
            }
        }
    }
}

/// A small network from a seed, a part of which cannot be content at the same time.
fn network(nodes: u32, seed: u64, thrifty: f64) -> Scenario {
    let mut scenario = scenario("conflict_10");
    let generate = scenario.generate.as_mut().unwrap();
    (generate.nodes, generate.seed, generate.thrifty, generate.goals) = (nodes, seed, thrifty, Goals::Own);
    (generate.replicas, generate.trained) = (2, nodes);
    expand(scenario)
}

fn in_the_last_hour(outcome: &Outcome) -> usize {
    let acts = outcome.events.iter().filter(|event| event.action != Action::Nothing);
    acts.filter(|event| event.posted_at.0 > i64::from(HOURS - 1) * 3_600_000).count()
}

/// Now and then somebody tries late whether a veto is meant as it was said; nearly everywhere, nobody moves any more.
#[test]
fn where_nothing_changes_they_come_to_rest() {
    let network = |seed: u64| network(3 + (seed % 6) as u32, seed, 0.2 * (seed % 5) as f64);
    let restless = (1..=60).filter(|seed| in_the_last_hour(&simulate(&network(*seed), *seed)) > 0).count();
    assert!(restless <= 2, "somebody acted in the last hour in {restless} networks of 60");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn in_any_network_every_plan_is_worth_it_and_it_comes_to_rest(
        nodes in 3..9_u32, seed in 1..10_000_u64, thrifty in 0.0..1.0,
    ) {
        let scenario = network(nodes, seed, thrifty);
        let outcome = simulate(&scenario, seed);
        let actions: Vec<_> = outcome.events.iter().filter(|event| event.action != Action::Nothing).collect();
        for event in &actions {
            let decision: Decision = serde_json::from_str(&event.detail).unwrap();
            if let Reason::Planned { gain } | Reason::Better { gain } = decision.chosen.reason {
                prop_assert!(gain >= MARGIN, "{decision:?}");
            }
        }
        // However the vetoes of the unproven were tried: four for each agent, and in the last hour two.
        prop_assert!(actions.len() <= 4 * nodes as usize, "{} actions", actions.len());
        let late = in_the_last_hour(&outcome);
        prop_assert!(late <= 2 * nodes as usize, "{late} actions in the last hour");
    }
}
