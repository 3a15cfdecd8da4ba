//! What is spent: prices and budgets, bills, and claims that a budget does not bear.

use super::{START, Table, blood, data_set, identity, registration, rejected};
use crate::domain::action::Action;
use crate::domain::books::{Bill, Charge, ChargeKind, Payer, Read, Stated, Tariff};
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, EventId, NodeId};
use crate::domain::money::Amount;
use crate::domain::placement::DataSet;
use crate::domain::saga::Lost;
use crate::domain::time::Timestamp;
use crate::knowledge::Claimed;
use futures::future::join_all;

const GB: u64 = 1_000_000_000;
const DAY_S: u64 = 86_400;

fn storage(node: u32, price: &str) -> Stated {
    Stated::Storage(NodeId(node), Some(price.parse().unwrap()))
}

fn egress(from: u32, to: u32, price: &str) -> Stated {
    Stated::Egress(NodeId(from), NodeId(to), Some(price.parse().unwrap()))
}

fn budget(payer: Payer, budget: &str) -> Stated {
    Stated::Budget(payer, Some(budget.parse().unwrap()))
}

fn tariff(all: &[Stated]) -> Tariff {
    let mut tariff = Tariff::default();
    all.iter().for_each(|stated| tariff.set(*stated));
    tariff
}

/// A GB from node 3 costs 1 EUR to node 1 and 2 EUR to node 2; what lies on node 3 costs 3 EUR for each GB and day.
fn usual() -> Tariff {
    tariff(&[egress(3, 1, "1 EUR/GB"), egress(3, 2, "2 EUR/GB"), storage(3, "90 EUR/GB/month")])
}

impl Table {
    /// The three agents and nodes, with a data set of 1 GB.
    async fn priced(self, tariff: &Tariff) -> Self {
        let nodes = [(1, 97.0), (2, 80.0), (3, 85.0)].map(|(id, percent)| super::node(id, percent));
        let pairs = [(1, 2), (1, 3), (2, 3)];
        let links: Vec<_> =
            pairs.iter().flat_map(|(a, b)| [super::link(*a, *b, 9.0), super::link(*b, *a, 9.0)]).collect();
        self.knowledge.register_network(&nodes, &links).await.unwrap();
        self.knowledge.register_tariff(tariff).await.unwrap();
        self.add_data_set("blood").await;
        for agent in 1..=3 {
            self.register(&registration(agent)).await;
        }
        self
    }

    async fn add_data_set(&self, name: &str) {
        let added = DataSet { name: name.into(), object_key: format!("{name}.json"), bytes: GB, ..blood() };
        let key = added.object_key.clone();
        assert!(self.knowledge.register_data_set(&added, NodeId(3), &key, &Default::default()).await.unwrap());
    }

    /// What was charged in all: of which kind, to whom, from where, and how much.
    async fn charged(&self) -> Vec<(ChargeKind, u32, u32, String)> {
        let charges = self.knowledge.charges(Timestamp(0)).await.unwrap();
        let mut charges: Vec<_> = charges
            .into_iter()
            .map(|Charge { cause, amount, .. }| (cause.kind, cause.agent.0, cause.from.0, amount.to_string()))
            .collect();
        charges.sort();
        charges
    }

    async fn set(&self, stated: Stated) {
        self.knowledge.set_price(&stated).await.unwrap();
    }

    async fn bill(&self, agent: u32, key: &str, bytes: u64) {
        let read = Read { data_set: data_set(), from: NodeId(3), to: NodeId(agent), bytes };
        let reads = if bytes == 0 { Vec::new() } else { vec![read] };
        self.knowledge.bill(&Bill { key: key.to_owned(), agent: AgentId(agent), reads }).await.unwrap();
    }

    async fn not_borne(&self, agent: u32, label: &str) -> String {
        match self.try_claim(&self.plan(agent, label).await).await {
            Err(lost @ Lost::Forbidden(_)) => lost.to_string(),
            other => panic!("{label}: {other:?}"),
        }
    }

    async fn give_up_bytes(&self, event: EventId) {
        let left = self.knowledge.abort(event, Outcome::Aborted, "only tried").await.unwrap();
        self.knowledge.removed(left.unwrap().id).await.unwrap();
    }

    async fn tariff(&self) -> Option<Tariff> {
        self.snapshot().await.books.as_ref().map(|books| books.tariff.clone())
    }
}

pub async fn prices_are_added_and_edits_stay(table: Table) {
    let table = table.priced(&usual()).await;
    assert_eq!(table.tariff().await, Some(usual()));
    let generation = table.snapshot().await.generation;
    table.set(egress(3, 1, "0.50 EUR/GB")).await;
    table.set(budget(Payer::Agent(AgentId(2)), "5 EUR/week")).await;
    table.set(budget(Payer::Network, "7 EUR/day")).await;
    table.knowledge.register_tariff(&usual()).await.unwrap();
    let mut expected = usual();
    expected.set(egress(3, 1, "0.50 EUR/GB"));
    expected.set(budget(Payer::Agent(AgentId(2)), "5 EUR/week"));
    expected.set(budget(Payer::Network, "7 EUR/day"));
    assert_eq!(table.tariff().await, Some(expected.clone()));
    assert!(table.snapshot().await.generation > generation, "whoever plans looks again");
    let lifted: Vec<Stated> = expected.stated().collect();
    for stated in lifted {
        table
            .set(match stated {
                Stated::Storage(node, _) => Stated::Storage(node, None),
                Stated::Egress(from, to, _) => Stated::Egress(from, to, None),
                Stated::Budget(payer, _) => Stated::Budget(payer, None),
            })
            .await;
    }
    assert_eq!(table.tariff().await, None);
}

pub async fn a_network_has_one_currency(table: Table) {
    let table = table.priced(&usual()).await;
    let said = "prices and budgets are in EUR, and this one is in USD: a network has one currency";
    assert_eq!(rejected(table.knowledge.set_price(&storage(1, "1 USD/GB/month")).await), said);
    let more = tariff(&[storage(1, "1 EUR/GB/month"), budget(Payer::Network, "5 USD/day")]);
    assert_eq!(rejected(table.knowledge.register_tariff(&more).await), said);
    assert_eq!(table.tariff().await, Some(usual()));
}

pub async fn what_has_no_price_is_not_billed(table: Table) {
    let table = table.three_agents().await;
    assert!(table.snapshot().await.books.is_none());
    table.bill(1, "a", GB).await;
    table.act(1, "C3_1").await;
    table.advance(DAY_S);
    table.bill(1, "b", 0).await;
    assert_eq!(table.charged().await, []);
}

pub async fn reads_are_billed_once_for_each_bill(table: Table) {
    let table = table.priced(&tariff(&[egress(3, 1, "1 EUR/GB"), egress(3, 2, "2 EUR/GB")])).await;
    for (agent, key) in [(1, "a"), (2, "a"), (1, "a"), (1, "b")] {
        table.bill(agent, key, GB / 2).await;
    }
    let read = |agent, amount: &str| (ChargeKind::Read, agent, 3, amount.to_owned());
    assert_eq!(table.charged().await, [read(1, "1.00"), read(2, "1.00")]);
    // At home nothing leaves.
    table.bill(3, "a", GB).await;
    assert_eq!(table.charged().await.len(), 2);
    let all = table.knowledge.charges(Timestamp(0)).await.unwrap();
    let of_one: Vec<_> = all.iter().map(|charge| (charge.cause.since, charge.cause.to.0, charge.bytes)).collect();
    assert_eq!(of_one, [(Timestamp(0), 1, GB), (Timestamp(0), 2, GB / 2)]);
    let tomorrow = Timestamp(DAY_S as i64 * 1000);
    assert_eq!(table.knowledge.charges(tomorrow).await.unwrap(), []);
}

pub async fn what_is_held_is_billed_once_however_many_bill_at_once(table: Table) {
    let table = table.priced(&usual()).await;
    for round in 1..=4 {
        table.advance(DAY_S / 4);
        let bills = (1..=3).map(|agent| table.bill(agent, "none", 0));
        join_all(bills).await;
        let total: Amount = table.knowledge.charges(Timestamp(0)).await.unwrap().iter().map(|it| it.amount).sum();
        assert_eq!(total, Amount(round * 750_000_000));
    }
    // Each day by itself.
    let days: Vec<_> = table.knowledge.charges(Timestamp(0)).await.unwrap().iter().map(|it| it.cause.since.0).collect();
    assert_eq!(days, [0, DAY_S as i64 * 1000]);
}

pub async fn what_is_held_is_billed_where_it_lay(table: Table) {
    let table = table.priced(&usual()).await;
    table.set(storage(1, "30 EUR/GB/month")).await;
    table.advance(DAY_S / 2);
    table.act(1, "M3_1").await;
    table.advance(DAY_S / 4);
    // At the former price up to now.
    table.set(storage(1, "300 EUR/GB/month")).await;
    table.advance(DAY_S / 100);
    table.bill(2, "none", 0).await;
    let held = |node, amount: &str| (ChargeKind::Held, 0, node, amount.to_owned());
    let charged = table.charged().await;
    let expected = [(ChargeKind::Move, 1, 3, "1.00".to_owned()), held(1, "0.35"), held(3, "1.50")];
    assert_eq!(charged, expected);
}

pub async fn an_action_is_billed_by_its_commit_and_once(table: Table) {
    let table = table.priced(&usual()).await;
    let given_up = table.claim(2, "C3_2").await;
    table.give_up_bytes(given_up.event).await;
    let claim = table.claim(1, "C3_1").await;
    assert_eq!(table.charged().await, []);
    table.commit(claim.event).await;
    table.commit(claim.event).await;
    // Its bytes are there already.
    table.act(2, "C3_1").await;
    table.act(2, "CR3").await;
    assert_eq!(table.charged().await, [(ChargeKind::Copy, 1, 3, "1.00".to_owned())]);
}

pub async fn a_budget_bears_what_is_left_of_it(table: Table) {
    let table = table.priced(&tariff(&[egress(3, 1, "1 EUR/GB"), egress(3, 2, "2 EUR/GB")])).await;
    table.set(budget(Payer::Network, "2.5 EUR/day")).await;
    table.set(budget(Payer::Agent(AgentId(2)), "1.99 EUR/day")).await;
    let left = "for 23 h 43 min more";
    let short = format!("budget: it costs 2.00 EUR, and 1.99 EUR of 1.99 EUR/day of agent 2 are left, {left}");
    assert_eq!(table.not_borne(2, "C3_2").await, short);
    assert_eq!(table.snapshot().await.forbids(AgentId(2), "C3_2".parse().unwrap()).unwrap().to_string(), short);
    table.act(1, "C3_1").await;
    let short = format!("budget: it costs 2.00 EUR, and 1.50 EUR of 2.50 EUR/day of the network are left, {left}");
    // What goes through agent 3, which lives there, costs as much.
    assert_eq!(table.not_borne(3, "C3_2").await, short);
    table.bill(1, "a", GB / 2).await;
    assert!(table.not_borne(3, "C3_2").await.contains("and 1.00 EUR of"));
    table.set(Stated::Budget(Payer::Network, None)).await;
    table.claim(3, "C3_2").await;
}

pub async fn what_is_under_way_counts_as_spent_until_it_is_given_up(table: Table) {
    let table = table.priced(&tariff(&[egress(3, 1, "1 EUR/GB"), egress(3, 2, "2 EUR/GB")])).await;
    table.set(budget(Payer::Network, "2 EUR/day")).await;
    let under_way = table.claim(1, "C3_1").await;
    assert!(table.not_borne(3, "C3_2").await.contains("and 1.00 EUR of 2.00 EUR/day of the network are left"));
    table.give_up_bytes(under_way.event).await;
    table.act(3, "C3_2").await;
}

pub async fn of_claims_at_once_a_budget_bears_no_more_than_it_can(table: Table) {
    let table = table.priced(&tariff(&[egress(3, 1, "1 EUR/GB"), egress(3, 2, "1 EUR/GB")])).await;
    table.set(budget(Payer::Network, "1.5 EUR/day")).await;
    table.add_data_set("urine").await;
    let mut plans = vec![table.plan(1, "C3_1").await, table.plan(2, "C3_2").await];
    let urine = table.knowledge.snapshot(&"urine".into()).await.unwrap().unwrap();
    let replica = urine.placement.present().next().unwrap().clone();
    for agent in [1, 2] {
        let action: Action = format!("C3_{agent}").parse().unwrap();
        let plan = table.plan(agent, "C3_1").await;
        let expected = [(replica.id, replica.generation)].into();
        let (data_set, reference) = (urine.data_set.name.clone(), replica.id);
        plans.push(crate::domain::placement::Plan { agent: AgentId(0), data_set, reference, action, expected, ..plan });
    }
    let claims = join_all(plans.iter().map(|plan| table.knowledge.claim(plan, super::LEASE, super::WINDOW))).await;
    let granted = claims.into_iter().filter(|claimed| matches!(claimed.as_ref().unwrap(), Claimed::Granted(_)));
    assert_eq!(granted.count(), 1);
}

pub async fn what_drops_a_replica_needs_no_budget(table: Table) {
    let table = table.priced(&usual()).await;
    table.act(1, "C3_1").await;
    table.set(budget(Payer::Network, "0 EUR/day")).await;
    table.set(budget(Payer::Agent(AgentId(1)), "0 EUR/day")).await;
    table.bill(1, "a", GB).await;
    assert!(table.not_borne(2, "C3_2").await.starts_with("budget: "));
    table.act(2, "CR1").await;
    table.act(1, "E3").await;
    assert_eq!(table.snapshot().await.placement.nodes(), [NodeId(1)].into());
}

pub async fn a_new_day_has_a_new_budget(table: Table) {
    let table = table.priced(&tariff(&[egress(3, 1, "1 EUR/GB"), egress(3, 2, "2 EUR/GB")])).await;
    table.set(budget(Payer::Network, "2 EUR/day")).await;
    table.act(1, "C3_1").await;
    assert!(START < Timestamp(DAY_S as i64 * 1000) && table.not_borne(2, "C3_2").await.contains("and 1.00 EUR of"));
    table.advance(DAY_S - 1000);
    let again = identity();
    assert!(table.knowledge.heartbeat(AgentId(2), &again.life, super::CONVERGED).await.unwrap());
    table.act(2, "C3_2").await;
}
