//! Budgets hold for every policy, and for the oracle: what a network spends on actions stays within them, whoever decides.

use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Scenario};
use agent_core::domain::books::{Charge, ChargeKind, Payer, Stated};
use agent_core::domain::event::Outcome as Ended;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::money::Amount;
use agent_core::mape::planner::POLICIES;
use agent_core::sim::{ALL_POLICIES, Options, Outcome, run};
use std::path::Path;
use std::time::Duration;

const HOURS: u64 = 3;

/// Three nodes, a transfer between any two of which costs a euro for each GB.
fn scenario(network: Option<&str>, of_agents: Option<&str>) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/published.toml");
    let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
    let mut scenario = scenario::load(&file, &vocabulary).unwrap_or_else(|error| panic!("error: {error}"));
    scenario.physics.bytes = 1_000_000_000;
    for link in &scenario.network.links {
        scenario.network.tariff.set(Stated::Egress(link.from, link.to, "1 EUR/GB".parse().ok()));
    }
    let budget = network.map(|budget| budget.parse().unwrap());
    scenario.network.tariff.set(Stated::Budget(Payer::Network, budget));
    for agent in scenario.agents.values_mut() {
        agent.budget = of_agents.map(|budget| budget.parse().unwrap());
    }
    scenario
}

fn simulated(scenario: &Scenario, policy: &str) -> Outcome {
    let lasts = Duration::from_secs(HOURS * 3600);
    let options = Options { policy: Some(policy.to_owned()), seed: 7, lasts, until_converged: false };
    run(scenario, &options, None, |_| {}).unwrap_or_else(|error| panic!("{policy}: {error}"))
}

/// What was spent on actions in each hour (or day), in whole euros, by whom.
fn spent(outcome: &Outcome, whose: Option<AgentId>) -> Vec<i64> {
    let is_action = |charge: &&Charge| !matches!(charge.cause.kind, ChargeKind::Read | ChargeKind::Held);
    let mut hours = std::collections::BTreeMap::new();
    for charge in outcome.charges.iter().filter(is_action) {
        if whose.is_none_or(|agent| agent == charge.cause.agent) {
            *hours.entry(charge.cause.since).or_insert(0) += charge.amount.0 / 1_000_000_000;
        }
    }
    hours.into_values().collect()
}

fn sent(outcome: &Outcome) -> usize {
    let done = outcome.events.iter().filter(|event| event.outcome == Ended::Done);
    done.filter(|event| event.action.transfers()).count()
}

#[test]
fn without_money_nothing_is_sent_whoever_decides() {
    let scenario = scenario(Some("0 EUR/month"), None);
    for policy in ALL_POLICIES {
        let outcome = simulated(&scenario, policy);
        assert_eq!((sent(&outcome), spent(&outcome, None)), (0, vec![]), "{policy}");
        assert_eq!(outcome.snapshot().placement.nodes(), [NodeId(3)].into(), "{policy}");
    }
}

#[test]
fn what_is_spent_stays_within_the_budgets() {
    // Reads count as well, and are soon more than that.
    let scenario = scenario(Some("20 EUR/hour"), Some("9 EUR/hour"));
    for policy in ALL_POLICIES {
        let outcome = simulated(&scenario, policy);
        let all = spent(&outcome, None);
        assert!(all.iter().all(|euros| *euros <= 20), "{policy}: {all:?}");
        for agent in [1, 2, 3].map(AgentId) {
            let own = spent(&outcome, Some(agent));
            assert!(own.iter().all(|euros| *euros <= 9), "{policy}: agent {agent} has spent {own:?}");
        }
    }
}

#[test]
fn with_enough_money_agents_do_what_they_would_do_without_prices() {
    let rich = scenario(Some("1000000 EUR/month"), None);
    let mut free = rich.clone();
    free.network.tariff = Default::default();
    for policy in ["cooperative", "fixed", "oracle"] {
        let [rich, free] = [&rich, &free].map(|scenario| simulated(scenario, policy));
        let course = |outcome: &Outcome| -> Vec<_> {
            outcome.events.iter().map(|event| (event.agent, event.action, event.posted_at)).collect()
        };
        assert_eq!(course(&rich), course(&free), "{policy}");
        let euros: i64 = spent(&rich, None).iter().sum();
        assert!(sent(&rich) > 0 && euros >= 1, "{policy}: {euros} for {} transfers", sent(&rich));
        assert!(free.charges.is_empty());
        let read: Amount = rich.charges.iter().filter(|it| it.cause.kind == ChargeKind::Read).map(|it| it.amount).sum();
        assert!(read > Amount::NOTHING, "{policy}");
    }
}
