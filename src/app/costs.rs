//! What a network has spent, how its budgets stand, and which goals they do not bear.

use agent_core::domain::action::Action;
use agent_core::domain::books::{Books, Charge, ChargeKind, Payer, Standing};
use agent_core::domain::constraints::Forbidden;
use agent_core::domain::ids::AgentId;
use agent_core::domain::money::{Amount, Budget};
use agent_core::domain::placement::NodeState;
use agent_core::domain::snapshot::Snapshot;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Costs {
    pub currency: String,
    /// Since the day began, by kind.
    pub today: BTreeMap<ChargeKind, Amount>,
    pub spent_today: Amount,
    pub budgets: Vec<BudgetStatus>,
    /// Goals that are missed, and what would help costs more than is left.
    pub beyond: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct BudgetStatus {
    /// Absent: the network's.
    pub agent: Option<AgentId>,
    pub budget: Budget,
    pub spent: Amount,
    /// What is under way and what is held will cost until the period ends.
    pub bound: Amount,
    pub left: Amount,
    pub renewed_in_scenario_s: f64,
}

/// `missing`: the agents whose goals are missed. `None`: nothing has a price.
pub fn costs(snapshot: &Snapshot, charges: &[Charge], missing: &[AgentId]) -> Option<Costs> {
    let books = snapshot.books.as_ref()?;
    let since = books.tariff.today(snapshot.at);
    let mut today: BTreeMap<ChargeKind, Amount> = BTreeMap::new();
    for charge in charges.iter().filter(|charge| charge.cause.since >= since) {
        let sum = today.entry(charge.cause.kind).or_default();
        *sum = *sum + charge.amount;
    }
    let standings =
        books.tariff.budgets.keys().filter_map(|payer| Some((*payer, books.standing(*payer, snapshot.at)?)));
    Some(Costs {
        currency: books.tariff.currency().map_or_else(String::new, |currency| currency.to_string()),
        spent_today: today.values().copied().sum(),
        today,
        budgets: standings.map(|(payer, standing)| status(payer, standing, snapshot)).collect(),
        beyond: missing.iter().filter_map(|agent| beyond(snapshot, books, *agent)).collect(),
    })
}

fn status(payer: Payer, standing: Standing, snapshot: &Snapshot) -> BudgetStatus {
    let agent = match payer {
        Payer::Network => None,
        Payer::Agent(agent) => Some(agent),
    };
    let Standing { budget, spent, bound, ends_at } = standing;
    let renewed_in_scenario_s = ends_at.since(snapshot.at).as_secs_f64();
    BudgetStatus { agent, budget, spent, bound, left: standing.left(), renewed_in_scenario_s }
}

/// What is said of an agent that could be brought a replica if only a budget bore it.
fn beyond(snapshot: &Snapshot, books: &Books, agent: AgentId) -> Option<String> {
    let from = snapshot.placement.reference(agent)?.node;
    let mut cheapest: Option<(Amount, String)> = None;
    for node in snapshot.nodes.values() {
        let (to, action) = (node.id, Action::Copy { from, to: node.id });
        let guard = &snapshot.data_set.guard;
        let is_possible = node.state != NodeState::Leaving
            && snapshot.placement.on(to).is_none()
            && snapshot.has_room_on(node)
            && guard.forbids(Some(node), &snapshot.placement, action, snapshot.at).is_none();
        if !is_possible {
            continue;
        }
        match books.forbids(agent, action, snapshot.data_set.bytes, snapshot.at) {
            Some(Forbidden::OverBudget(over)) => {
                let told = (over.cost, format!("{action}: {over}"));
                cheapest = Some(cheapest.map_or(told.clone(), |known| known.min(told)));
            }
            // Something else may help.
            Some(_) | None => return None,
        }
    }
    let (_, why) = cheapest?;
    Some(format!("agent {agent} misses its goal, and no budget bears what might help, at least {why}"))
}
