//! What is spent and may be: prices and budgets, what an action, a read or a held replica costs, and whether a budget bears it.
//!
//! One piece of code answers for all, as with [`super::constraints`]: the candidates of every policy, the oracle, whoever acts by
//! hand, and the claim in the shared table, where two agents cannot slip past each other.

use super::action::{Action, ActionType};
use super::constraints::Forbidden;
use super::ids::{AgentId, DataSetName, Life, NodeId};
use super::money::{Amount, Budget, Currency, Period, StoragePrice, TransferPrice};
use super::time::Timestamp;
use super::units::show_duration;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What is held is billed for so long back at most: longer, nobody can have looked after it.
const BILLED_BACK: Duration = Duration::from_secs(366 * 86_400);

/// Whose money it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Payer {
    /// All of it.
    Network,
    /// What this one's actions and reads cost.
    Agent(AgentId),
}

impl Payer {
    /// As a table's column says it: no application has the number 0.
    pub fn number(self) -> u32 {
        match self {
            Payer::Network => AgentId::OPERATOR.0,
            Payer::Agent(agent) => agent.0,
        }
    }

    pub fn of_number(number: u32) -> Self {
        if number == AgentId::OPERATOR.0 { Payer::Network } else { Payer::Agent(AgentId(number)) }
    }

    fn pays_for(self, agent: AgentId) -> bool {
        match self {
            Payer::Network => true,
            Payer::Agent(payer) => payer == agent,
        }
    }
}

impl fmt::Display for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payer::Network => f.write_str("the network"),
            Payer::Agent(agent) => write!(f, "agent {agent}"),
        }
    }
}

/// One thing that is stated about money; `None`: no longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stated {
    Storage(NodeId, Option<StoragePrice>),
    Egress(NodeId, NodeId, Option<TransferPrice>),
    Budget(Payer, Option<Budget>),
}

/// Prices and budgets, all in one currency. The default costs nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tariff {
    /// Of what lies on a node.
    pub storage: BTreeMap<NodeId, StoragePrice>,
    /// Of what goes from one node to another.
    pub egress: BTreeMap<(NodeId, NodeId), TransferPrice>,
    pub budgets: BTreeMap<Payer, Budget>,
    /// Of a clock that began later than that of the periods: by how much \[ms\].
    began_ms: i64,
}

impl FromIterator<Stated> for Tariff {
    fn from_iter<I: IntoIterator<Item = Stated>>(all: I) -> Self {
        let mut tariff = Self::default();
        all.into_iter().for_each(|stated| tariff.set(stated));
        tariff
    }
}

impl Tariff {
    pub fn is_none(&self) -> bool {
        self.storage.is_empty() && self.egress.is_empty() && self.budgets.is_empty()
    }

    /// Whether what is held costs anything.
    pub fn prices_storage(&self) -> bool {
        !self.storage.is_empty()
    }

    /// `None`: nothing is stated.
    pub fn currency(&self) -> Option<Currency> {
        self.currencies().next()
    }

    /// One for each thing that is stated.
    pub fn currencies(&self) -> impl Iterator<Item = Currency> {
        let storage = self.storage.values().map(|price| price.currency);
        let egress = self.egress.values().map(|price| price.currency);
        let all = storage.chain(egress).chain(self.budgets.values().map(|budget| budget.currency));
        all.filter(|currency| *currency != Currency::NONE)
    }

    /// Each by itself.
    pub fn stated(&self) -> impl Iterator<Item = Stated> {
        let storage = self.storage.iter().map(|(node, price)| Stated::Storage(*node, Some(*price)));
        let egress = self.egress.iter().map(|((from, to), price)| Stated::Egress(*from, *to, Some(*price)));
        // What nobody can read stays as it is written.
        let readable = self.budgets.iter().filter(|(_, budget)| **budget != Budget::UNREADABLE);
        let budgets = readable.map(|(payer, budget)| Stated::Budget(*payer, Some(*budget)));
        storage.chain(egress).chain(budgets)
    }

    pub fn set(&mut self, stated: Stated) {
        match stated {
            Stated::Storage(node, price) => put(&mut self.storage, node, price),
            Stated::Egress(from, to, price) => put(&mut self.egress, (from, to), price),
            Stated::Budget(payer, budget) => put(&mut self.budgets, payer, budget),
        }
    }

    /// Adds what is not stated yet.
    pub fn add_missing(&mut self, other: &Self) {
        other.storage.iter().for_each(|(node, price)| _ = self.storage.entry(*node).or_insert(*price));
        other.egress.iter().for_each(|(way, price)| _ = self.egress.entry(*way).or_insert(*price));
        other.budgets.iter().for_each(|(payer, budget)| _ = self.budgets.entry(*payer).or_insert(*budget));
    }

    /// The same for a clock that begins at this moment, and for data that is so many times as large: budgets go as far.
    #[must_use]
    pub fn seen_from(mut self, start: Timestamp, times_larger: u64) -> Self {
        let times = i64::try_from(times_larger.max(1)).unwrap_or(i64::MAX);
        self.storage.values_mut().for_each(|price| price.per_gb.0 /= times);
        self.egress.values_mut().for_each(|price| price.per_gb.0 /= times);
        self.began_ms = self.began_ms.saturating_add(start.0);
        self
    }

    fn begin(&self, period: Period, at: Timestamp) -> Timestamp {
        self.back(period.begin(self.there(at)))
    }

    fn end(&self, period: Period, at: Timestamp) -> Timestamp {
        self.back(period.end(self.there(at)))
    }

    fn there(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.began_ms))
    }

    fn back(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_sub(self.began_ms))
    }

    /// What charges are added up for: the day, or the hour where a budget is for that.
    fn bucket(&self) -> Period {
        match self.budgets.values().any(|budget| budget.period == Period::Hour) {
            true => Period::Hour,
            false => Period::Day,
        }
    }

    /// Charges from then on may belong to a period that runs at this moment.
    pub fn earliest(&self, now: Timestamp) -> Timestamp {
        let begins = self.budgets.values().map(|budget| self.begin(budget.period, now));
        begins.chain([self.begin(Period::Day, now)]).min().unwrap_or(now)
    }

    /// When the day began.
    pub fn today(&self, now: Timestamp) -> Timestamp {
        self.begin(Period::Day, now)
    }

    /// When a budget is whole again; `None`: there is none.
    pub fn renews_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.budgets.values().map(|budget| self.end(budget.period, now)).min()
    }

    /// Of bytes that go from one node to another directly.
    fn way(&self, from: NodeId, to: NodeId, bytes: u64) -> Amount {
        self.egress.get(&(from, to)).map_or(Amount::NOTHING, |price| price.of(bytes))
    }

    fn holding(&self, node: NodeId, bytes: u64, base: Timestamp, time: (Timestamp, Timestamp)) -> Amount {
        self.storage.get(&node).map_or(Amount::NOTHING, |price| price.of(bytes, base, time))
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => _ = map.insert(key, value),
        None => _ = map.remove(&key),
    }
}

/// What is billed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeKind {
    Move,
    Copy,
    Restore,
    Read,
    /// A replica that lies somewhere.
    Held,
}

impl ChargeKind {
    pub const ALL: [ChargeKind; 5] =
        [ChargeKind::Move, ChargeKind::Copy, ChargeKind::Restore, ChargeKind::Read, ChargeKind::Held];

    pub fn name(self) -> &'static str {
        match self {
            ChargeKind::Move => "move",
            ChargeKind::Copy => "copy",
            ChargeKind::Restore => "restore",
            ChargeKind::Read => "read",
            ChargeKind::Held => "held",
        }
    }

    /// Of what an action sends; `None`: nothing travels.
    fn of(action: Action) -> Option<Self> {
        match action.kind() {
            ActionType::Move => Some(ChargeKind::Move),
            ActionType::Copy => Some(ChargeKind::Copy),
            ActionType::Restore => Some(ChargeKind::Restore),
            ActionType::Nothing | ActionType::ChangeReference | ActionType::Evict | ActionType::MoveWork => None,
        }
    }
}

/// What a charge is for: all of one are added up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Cause {
    /// The beginning of the day (or hour).
    #[serde(rename = "since_scenario_ms")]
    pub since: Timestamp,
    /// Whoever did it; nobody holds a replica.
    pub agent: AgentId,
    pub data_set: DataSetName,
    pub kind: ChargeKind,
    pub from: NodeId,
    pub to: NodeId,
}

/// Money that was spent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Charge {
    #[serde(flatten)]
    pub cause: Cause,
    /// That have travelled.
    pub bytes: u64,
    pub amount: Amount,
}

/// Bytes that jobs have read from one node, and where they went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    pub data_set: DataSetName,
    pub from: NodeId,
    pub to: NodeId,
    pub bytes: u64,
}

/// What an agent has read and nobody has billed yet. The same key again bills nothing more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bill {
    pub key: String,
    pub agent: AgentId,
    pub reads: Vec<Read>,
}

/// What an agent's jobs have read since its last bill. A bill that nobody answered is sent again as it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unbilled {
    reads: BTreeMap<(DataSetName, NodeId, NodeId), u64>,
    /// How many were made in this life.
    made: u64,
    sent: Option<Bill>,
}

impl Unbilled {
    pub fn add(&mut self, Read { data_set, from, to, bytes }: Read) {
        if from != to {
            let sum = self.reads.entry((data_set, from, to)).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }

    /// The one to be sent now.
    pub fn bill(&mut self, agent: AgentId, life: &Life) -> Bill {
        let (made, reads) = (&mut self.made, &mut self.reads);
        let bill = self.sent.get_or_insert_with(|| {
            *made += 1;
            let reads = std::mem::take(reads).into_iter();
            let reads = reads.map(|((data_set, from, to), bytes)| Read { data_set, from, to, bytes });
            Bill { key: format!("{life}-{made}"), agent, reads: reads.collect() }
        });
        bill.clone()
    }

    /// The table has the bill with this key.
    pub fn billed(&mut self, key: &str) {
        self.sent.take_if(|sent| sent.key == key);
    }

    /// Whether there is nothing to be billed.
    pub fn is_none(&self) -> bool {
        self.reads.is_empty() && self.sent.is_none()
    }
}

/// A replica that costs as long as it lies where it lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    pub data_set: DataSetName,
    pub node: NodeId,
    pub bytes: u64,
}

/// An action under way that sends bytes: what it will cost is spent already.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Running {
    pub agent: AgentId,
    pub action: Action,
    pub bytes: u64,
}

/// What an agent was charged for in a day (or hour).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spent {
    pub since: Timestamp,
    pub agent: AgentId,
    pub amount: Amount,
}

/// What an action costs until a period ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Price {
    /// For what travels.
    pub transfer: Amount,
    /// For what lies on another node than it did, or on one more; below nothing where that is cheaper.
    pub storage: Amount,
}

/// The same as people are told it: for what travels, and for what lies somewhere in each month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Quote {
    pub transfer: Amount,
    pub storage_per_month: Amount,
    #[serde(serialize_with = "as_text")]
    pub currency: Currency,
}

fn as_text<S: serde::Serializer>(currency: &Currency, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(currency)
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transfer, storage_per_month, currency } = self;
        write!(f, "{transfer} {currency}")?;
        match storage_per_month {
            &Amount::NOTHING => Ok(()),
            less if *less < Amount::NOTHING => {
                write!(f, ", and {} {currency}/month less for storage", Amount::NOTHING - *less)
            }
            more => write!(f, ", and {more} {currency}/month for storage"),
        }
    }
}

/// Why a budget does not bear an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OverBudget {
    pub payer: Payer,
    pub budget: Budget,
    /// What it would cost.
    pub cost: Amount,
    pub left: Amount,
    /// Until the next period.
    pub wait: Duration,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payer, budget, cost, left, wait } = self;
        let currency = budget.currency;
        let wait = show_duration(*wait);
        write!(f, "it costs {cost} {currency}, and {left} {currency} of {budget} of {payer} are left, for {wait} more")
    }
}

/// What stands of a budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub budget: Budget,
    /// In the period that runs.
    pub spent: Amount,
    /// What is under way, and what is held until the period ends, will cost so much more.
    pub bound: Amount,
    pub ends_at: Timestamp,
}

impl Standing {
    pub fn left(&self) -> Amount {
        (self.budget.amount - self.spent - self.bound).or_nothing()
    }
}

/// All that is written about money, at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Books {
    pub tariff: Tariff,
    /// Up to when what is held has been billed; absent: from now on.
    pub held_until: Option<Timestamp>,
    pub held: Vec<Held>,
    pub running: Vec<Running>,
    /// In the periods that run.
    pub spent: Vec<Spent>,
    /// Where agents live that are registered.
    pub homes: BTreeMap<AgentId, NodeId>,
}

impl Books {
    /// How a budget stands; `None`: there is none.
    pub fn standing(&self, payer: Payer, now: Timestamp) -> Option<Standing> {
        let budget = *self.tariff.budgets.get(&payer)?;
        let (begin, ends_at) = (self.tariff.begin(budget.period, now), self.tariff.end(budget.period, now));
        let spent = self.spent.iter().filter(|spent| payer.pays_for(spent.agent) && spent.since >= begin);
        let spent = spent.map(|spent| spent.amount).sum();
        let running = self.running.iter().filter(|running| payer.pays_for(running.agent));
        let cost = |running: &Running| {
            self.borne_by(payer, self.price(running.agent, running.action, running.bytes, (now, ends_at))).or_nothing()
        };
        let held_from = self.held_until.unwrap_or(now).max(begin);
        let held = match payer {
            Payer::Network => self.held_for((held_from, ends_at)),
            Payer::Agent(_) => Amount::NOTHING,
        };
        Some(Standing { budget, spent, bound: running.map(cost).sum::<Amount>() + held, ends_at })
    }

    fn held_for(&self, (from, until): (Timestamp, Timestamp)) -> Amount {
        self.held.iter().map(|held| self.tariff.holding(held.node, held.bytes, from, (from, until))).sum()
    }

    /// What an action costs that sends so many bytes. They go through the agent that does it, wherever it lives.
    pub fn price(&self, agent: AgentId, action: Action, bytes: u64, (now, until): (Timestamp, Timestamp)) -> Price {
        let holding = |node| self.tariff.holding(node, bytes, now, (now, until));
        match action {
            Action::Move { from, to } => {
                let storage = holding(to) - holding(from);
                Price { transfer: self.sent(agent, from, to, bytes), storage }
            }
            Action::Copy { from, to } | Action::Restore { from, to } => {
                Price { transfer: self.sent(agent, from, to, bytes), storage: holding(to) }
            }
            Action::Evict { node } => Price { transfer: Amount::NOTHING, storage: Amount::NOTHING - holding(node) },
            Action::ChangeReference { .. } | Action::MoveWork { .. } | Action::Nothing => Price::default(),
        }
    }

    /// What an action costs, for people; `None`: nothing has a price.
    pub fn quote(&self, agent: AgentId, action: Action, bytes: u64) -> Option<Quote> {
        let month = (Timestamp(0), Period::Month.end(Timestamp(0)));
        let Price { transfer, storage } = self.price(agent, action, bytes, month);
        Some(Quote { transfer, storage_per_month: storage, currency: self.tariff.currency()? })
    }

    fn sent(&self, agent: AgentId, from: NodeId, to: NodeId, bytes: u64) -> Amount {
        match self.homes.get(&agent) {
            Some(home) if ![from, to].contains(home) => {
                self.tariff.way(from, *home, bytes) + self.tariff.way(*home, to, bytes)
            }
            Some(_) | None => self.tariff.way(from, to, bytes),
        }
    }

    /// What lies somewhere is the network's, whoever made it.
    fn borne_by(&self, payer: Payer, price: Price) -> Amount {
        match payer {
            Payer::Network => price.transfer + price.storage,
            Payer::Agent(_) => price.transfer,
        }
    }

    /// Why no budget bears that this agent's action sends so many bytes; `None`: each does, or it costs nothing.
    pub fn forbids(&self, agent: AgentId, action: Action, bytes: u64, now: Timestamp) -> Option<Forbidden> {
        let over = |payer: Payer| {
            let standing = self.standing(payer, now)?;
            let cost = self.borne_by(payer, self.price(agent, action, bytes, (now, standing.ends_at)));
            let wait = standing.ends_at.since(now);
            let left = standing.left();
            let over = OverBudget { payer, budget: standing.budget, cost, left, wait };
            (cost > Amount::NOTHING && cost > left).then_some(over)
        };
        [Payer::Network, Payer::Agent(agent)].into_iter().find_map(over).map(Forbidden::OverBudget)
    }

    /// What is held has cost this since it was billed last. To be written before anything else is held.
    pub fn settled(&self, now: Timestamp) -> Vec<Charge> {
        let Some(held_until) = self.held_until else { return Vec::new() };
        let mut charges = Vec::new();
        let mut from = held_until.max(Timestamp(now.0.saturating_sub(BILLED_BACK.as_millis() as i64)));
        while from < now {
            let bucket = self.tariff.bucket();
            let (since, until) = (self.tariff.begin(bucket, from), self.tariff.end(bucket, from).min(now));
            for Held { data_set, node, bytes } in &self.held {
                let amount = self.tariff.holding(*node, *bytes, since, (from, until));
                let (agent, data_set) = (AgentId::OPERATOR, data_set.clone());
                let cause = Cause { since, agent, data_set, kind: ChargeKind::Held, from: *node, to: *node };
                charges.push(Charge { cause, bytes: 0, amount });
            }
            from = until;
        }
        costing(charges)
    }

    /// What an action costs that sent so many bytes and ends now.
    pub fn acted(
        &self,
        agent: AgentId,
        data_set: &DataSetName,
        action: Action,
        bytes: u64,
        now: Timestamp,
    ) -> Vec<Charge> {
        let (Some(kind), Some(from), Some(to)) = (ChargeKind::of(action), action.from_node(), action.to_node()) else {
            return Vec::new();
        };
        let since = self.tariff.begin(self.tariff.bucket(), now);
        let cause = Cause { since, agent, data_set: data_set.clone(), kind, from, to };
        costing(vec![Charge { cause, bytes, amount: self.sent(agent, from, to, bytes) }])
    }

    /// What an agent's reads cost.
    pub fn read(&self, bill: &Bill, now: Timestamp) -> Vec<Charge> {
        let since = self.tariff.begin(self.tariff.bucket(), now);
        let charge = |read: &Read| {
            let Read { data_set, from, to, bytes } = read;
            let (agent, data_set, kind) = (bill.agent, data_set.clone(), ChargeKind::Read);
            let cause = Cause { since, agent, data_set, kind, from: *from, to: *to };
            Charge { cause, bytes: *bytes, amount: self.tariff.way(*from, *to, *bytes) }
        };
        costing(bill.reads.iter().map(charge).collect())
    }
}

/// What costs nothing is no charge.
fn costing(mut charges: Vec<Charge>) -> Vec<Charge> {
    charges.retain(|charge| charge.amount > Amount::NOTHING);
    charges
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;
    const DAY_MS: i64 = 86_400_000;
    const NOON: Timestamp = Timestamp(DAY_MS / 2);

    fn action(label: &str) -> Action {
        label.parse().unwrap()
    }

    /// Node 1 is cheap and far away, node 2 dear; agents 1 to 3 live on the nodes of their numbers.
    fn books(network: Option<&str>, of_agent_1: Option<&str>) -> Books {
        let mut tariff = Tariff::default();
        tariff.set(Stated::Storage(NodeId(1), Some("0.30 EUR/GB/month".parse().unwrap())));
        tariff.set(Stated::Storage(NodeId(2), Some("3 EUR/GB/month".parse().unwrap())));
        for (from, to, price) in [(3, 1, "0.10 EUR/GB"), (3, 2, "0.20 EUR/GB"), (2, 1, "1 EUR/GB")] {
            tariff.set(Stated::Egress(NodeId(from), NodeId(to), Some(price.parse().unwrap())));
        }
        let budget = |text: &str| text.parse().unwrap();
        tariff.set(Stated::Budget(Payer::Network, network.map(budget)));
        tariff.set(Stated::Budget(Payer::Agent(AgentId(1)), of_agent_1.map(budget)));
        let homes = [1, 2, 3].map(|id| (AgentId(id), NodeId(id))).into();
        Books { tariff, held_until: Some(NOON), homes, ..Books::default() }
    }

    fn forbidden(books: &Books, agent: u32, label: &str) -> String {
        let why = books.forbids(AgentId(agent), action(label), GB, NOON);
        why.map_or_else(String::new, |why| why.to_string())
    }

    #[test]
    fn an_action_costs_what_travels_and_what_lies_there_until_the_period_ends() {
        let books = books(None, None);
        let price = |agent, label| {
            let Price { transfer, storage } = books.price(AgentId(agent), action(label), GB, (NOON, Timestamp(DAY_MS)));
            (transfer.to_string(), storage.to_string())
        };
        let check = |agent, label, transfer: &str, storage: &str| {
            assert_eq!(price(agent, label), (transfer.to_owned(), storage.to_owned()), "{label} of agent {agent}");
        };
        check(1, "C3_1", "0.10", "0.005");
        check(1, "M2_1", "1.00", "-0.045");
        check(3, "C3_2", "0.20", "0.05");
        // From node 3 to agent 2 and on to node 1.
        check(2, "R3_1", "1.20", "0.005");
        // Nobody knows where a person is.
        check(0, "C3_1", "0.10", "0.005");
        check(1, "E2", "0.00", "-0.05");
        check(1, "CR2", "0.00", "0.00");
    }

    #[test]
    fn a_budget_bears_what_is_left_of_it() {
        assert_eq!(forbidden(&books(None, None), 1, "C3_1"), "");
        assert_eq!(forbidden(&books(Some("0.105 EUR/day"), None), 1, "C3_1"), "");
        let short = books(Some("0.104 EUR/day"), None);
        let why =
            "budget: it costs 0.105 EUR, and 0.104 EUR of 0.104 EUR/day of the network are left, for 12 h 0 min more";
        assert_eq!(forbidden(&short, 1, "C3_1"), why);
        // What is held is the network's; what travels, the agent's as well.
        let own = books(None, Some("0.10 EUR/week"));
        assert_eq!((forbidden(&own, 1, "C3_1"), forbidden(&own, 2, "R3_1")), (String::new(), String::new()));
        assert!(forbidden(&own, 1, "C2_1").contains("0.10 EUR of 0.10 EUR/week of agent 1"));
    }

    #[test]
    fn what_costs_nothing_more_is_never_forbidden() {
        let mut broke = books(Some("0 EUR/day"), Some("0 EUR/day"));
        broke.spent.push(Spent { since: Timestamp(0), agent: AgentId(1), amount: Amount(7) });
        for label in ["E2", "CR2", "NA"] {
            assert_eq!(forbidden(&broke, 1, label), "", "{label}");
        }
        assert_ne!(forbidden(&broke, 1, "C3_1"), "");
    }

    #[test]
    fn what_was_spent_is_under_way_and_will_be_held_is_left_no_more() {
        let mut books = books(Some("1 EUR/day"), Some("0.5 EUR/day"));
        let cent = 10_000_000;
        let spent = |since, agent, cents: i64| Spent {
            since: Timestamp(since),
            agent: AgentId(agent),
            amount: Amount(cents * cent),
        };
        // Of yesterday nothing counts.
        books.spent = vec![spent(-DAY_MS, 1, 90), spent(0, 1, 3), spent(0, 2, 4)];
        books.running = vec![Running { agent: AgentId(1), action: action("C3_1"), bytes: GB }];
        books.held = vec![Held { data_set: "blood".into(), node: NodeId(2), bytes: 2 * GB }];
        let standing = |payer| {
            let Standing { spent, bound, .. } = books.standing(payer, NOON).unwrap();
            (spent.to_string(), bound.to_string())
        };
        assert_eq!(standing(Payer::Network), ("0.07".to_owned(), "0.205".to_owned()));
        assert_eq!(standing(Payer::Agent(AgentId(1))), ("0.03".to_owned(), "0.10".to_owned()));
        assert_eq!(books.standing(Payer::Agent(AgentId(2)), NOON), None);
        let tomorrow = books.standing(Payer::Agent(AgentId(1)), Timestamp(DAY_MS)).unwrap();
        assert_eq!(tomorrow.spent, Amount::NOTHING);
    }

    #[test]
    fn what_is_held_is_billed_day_by_day_up_to_now() {
        let mut books = books(None, None);
        books.held = vec![
            Held { data_set: "blood".into(), node: NodeId(2), bytes: GB },
            Held { data_set: "blood".into(), node: NodeId(3), bytes: GB },
        ];
        let charges = books.settled(Timestamp(DAY_MS + DAY_MS / 4));
        let found: Vec<_> =
            charges.iter().map(|it| (it.cause.since.0, it.cause.from.0, it.amount.to_string())).collect();
        assert_eq!(found, [(0, 2, "0.05".to_owned()), (DAY_MS, 2, "0.025".to_owned())]);
        assert_eq!(books.settled(NOON), []);
        books.held_until = None;
        assert_eq!(books.settled(Timestamp(DAY_MS)), []);
    }

    #[test]
    fn reads_and_actions_are_charged_where_that_has_a_price() {
        let books = books(Some("1 EUR/hour"), None);
        let read = |from| Read { data_set: "blood".into(), from: NodeId(from), to: NodeId(1), bytes: GB };
        let bill = Bill { key: "k".to_owned(), agent: AgentId(1), reads: vec![read(1), read(2), read(3)] };
        let now = Timestamp(NOON.0 + 5);
        let charges = books.read(&bill, now);
        let found: Vec<_> = charges.iter().map(|it| (it.cause.since, it.cause.from.0, it.amount.to_string())).collect();
        assert_eq!(found, [(NOON, 2, "1.00".to_owned()), (NOON, 3, "0.10".to_owned())]);
        let acted = |label| books.acted(AgentId(2), &"blood".into(), action(label), GB, now);
        assert_eq!(acted("R3_1").iter().map(|it| it.amount.to_string()).collect::<Vec<_>>(), ["1.20"]);
        assert_eq!((acted("M1_3"), acted("E2"), acted("CR2")), (vec![], vec![], vec![]));
    }

    #[test]
    fn a_bill_is_sent_as_it_was_until_the_table_has_it() {
        let mut unbilled = Unbilled::default();
        let read = |from, bytes| Read { data_set: "blood".into(), from: NodeId(from), to: NodeId(1), bytes };
        let life = Life("a1-1".to_owned());
        [read(1, 5), read(3, 6), read(3, 7)].into_iter().for_each(|read| unbilled.add(read));
        let first = unbilled.bill(AgentId(1), &life);
        assert_eq!(first, Bill { key: "a1-1-1".to_owned(), agent: AgentId(1), reads: vec![read(3, 13)] });
        unbilled.add(read(2, 1));
        assert_eq!(unbilled.bill(AgentId(1), &life), first);
        unbilled.billed("a1-1-1");
        let second = unbilled.bill(AgentId(1), &life);
        assert_eq!((second.key.as_str(), second.reads), ("a1-1-2", vec![read(2, 1)]));
        assert!(!unbilled.is_none());
        unbilled.billed("a1-1-2");
        assert!(unbilled.is_none());
    }

    #[test]
    fn a_clock_that_begins_later_has_the_same_periods() {
        let tariff = books(Some("1 EUR/day"), None).tariff.seen_from(NOON, 50);
        assert_eq!(tariff.renews_at(Timestamp(0)), Some(Timestamp(DAY_MS / 2)));
        assert_eq!(tariff.earliest(Timestamp(0)), Timestamp(-DAY_MS / 2));
        assert_eq!(tariff.way(NodeId(3), NodeId(1), 50 * GB).to_string(), "0.10");
    }
}
