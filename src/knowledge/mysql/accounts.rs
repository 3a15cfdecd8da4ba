//! Prices, budgets and what was spent. What costs how much is `domain::books`' to say.
//!
//! Whether anything has a price is part of the questions that are asked anyway: where nothing has, nothing more is.

use super::catalogue::sql_integer;
use super::select::{Answer, Part, Question};
use super::tables::{AGENTS, Result, Tables, places, text};
use crate::knowledge::quarantine;
use agent_core::domain::books::{Bill, Books, Cause, Charge, Stated, Tariff};
use agent_core::domain::constraints::Forbidden;
use agent_core::domain::ids::AgentId;
use agent_core::domain::placement::{Claim, Plan};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::quarantine::PriceRow;
use agent_core::knowledge::rules;
use mysql_async::Value;

const PRICES: Part = Part {
    name: "prices",
    table: quarantine::PRICES,
    columns: &["what", "from_node", "to_node", "agent", "written"],
    from: "from prices",
};
const BILLING: Part = Part {
    name: "billing",
    table: quarantine::BILLING,
    columns: &["agent", "until_ms"],
    from: "from billing where agent = 0",
};
const HELD: Part = Part {
    name: "held",
    table: quarantine::REPLICAS,
    columns: &["id", "data_set", "node", "bytes"],
    from: "from replicas join data_sets on data_sets.name = replicas.data_set
        where state in ('present', 'changed', 'damaged')",
};
/// Actions under way that send bytes.
const SENDING: Part = Part {
    name: "sending",
    table: quarantine::EVENTS,
    columns: &["id", "agent", "action", "bytes"],
    from: "from events join data_sets on data_sets.name = events.data_set where outcome = 'running'
        and exists (select 1 from claims where claims.event = events.id and role = 'destination')",
};
/// By units and parts: no sum of either is too large.
const SPENT: Part = Part {
    name: "spent",
    table: quarantine::SPENT,
    columns: &[
        "since_ms",
        "agent",
        "cast(sum(amount div 1000000000) as signed) as units",
        "cast(sum(amount mod 1000000000) as signed) as parts",
    ],
    from: "from charges",
};
const CHARGES: Part = Part {
    name: "charges",
    table: quarantine::CHARGES,
    columns: &["since_ms", "agent", "data_set", "kind", "from_node", "to_node", "bytes", "amount"],
    from: "from charges",
};

impl Tables {
    pub(super) async fn register_tariff(&mut self, added: &Tariff) -> Result<()> {
        self.begin().await?;
        self.lock_accounts().await?;
        let tariff = rules::with_missing(&self.tariff().await?, added)?;
        self.replace_tariff(&tariff).await?;
        self.commit().await
    }

    pub(super) async fn set_price(&mut self, stated: &Stated) -> Result<()> {
        self.begin().await?;
        // Before the accounts, as everybody does.
        self.execute("update data_sets set generation = generation + 1", Vec::new()).await?;
        self.lock_accounts().await?;
        let tariff = rules::with_stated(&self.tariff().await?, stated)?;
        self.replace_tariff(&tariff).await?;
        if let PriceRow { what, from_node, to_node, agent, written: None } = stated.into() {
            let sql = "delete from prices where what = ? and from_node = ? and to_node = ? and agent = ?";
            self.execute(sql, vec![what.into(), from_node.into(), to_node.into(), agent.into()]).await?;
        }
        self.commit().await
    }

    /// With the accounts locked.
    async fn replace_tariff(&mut self, tariff: &Tariff) -> Result<()> {
        self.bill_held_within().await?;
        let row = |stated: Stated| -> [Value; 5] {
            let PriceRow { what, from_node, to_node, agent, written } = (&stated).into();
            [what.into(), from_node.into(), to_node.into(), agent.into(), written.into()]
        };
        let rows: Vec<[Value; 5]> = tariff.stated().map(row).collect();
        if !rows.is_empty() {
            let sql = format!(
                "insert into prices (what, from_node, to_node, agent, written) values {}
                on duplicate key update written = values(written)",
                places(rows.len(), 5)
            );
            self.execute(&sql, rows.into_iter().flatten().collect()).await?;
        }
        let sql = match tariff.prices_storage() {
            true => "update billing set until_ms = coalesce(until_ms, ?) where agent = 0",
            false => "update billing set until_ms = null where agent = 0 and ? is not null",
        };
        self.execute(sql, vec![self.now.0.into()]).await?;
        Ok(())
    }

    pub(super) async fn bill(&mut self, bill: &Bill) -> Result<()> {
        if self.tariff().await?.is_none() {
            return Ok(());
        }
        self.begin().await?;
        self.lock_accounts().await?;
        self.bill_held_within().await?;
        if let Some(books) = self.books().await?.filter(|_| !bill.reads.is_empty()) {
            let sql = "insert ignore into billing (agent) values (?)";
            self.execute(sql, vec![bill.agent.0.into()]).await?;
            let sql = "update billing set bill = ? where agent = ? and (bill is null or bill <> ?)";
            let key = || text(&bill.key);
            if self.execute(sql, vec![key(), bill.agent.0.into(), key()]).await? > 0 {
                self.charge(&books, &books.read(bill, self.now)).await?;
            }
        }
        self.commit().await
    }

    /// To be called before anything else is held, where `answer` says that something has a price.
    pub(super) async fn bill_held(&mut self, answer: &Answer) -> Result<()> {
        if answer.tariff().is_none() {
            return Ok(());
        }
        self.lock_accounts().await?;
        self.bill_held_within().await
    }

    /// With the accounts locked.
    async fn bill_held_within(&mut self) -> Result<()> {
        let books = self.books().await?;
        let now = self.now;
        let Some(books) = books.filter(|books| books.held_until.is_some_and(|until| until < now)) else {
            return Ok(());
        };
        self.charge(&books, &books.settled(now)).await?;
        self.execute("update billing set until_ms = ? where agent = 0", vec![now.0.into()]).await?;
        Ok(())
    }

    /// What a claim sent that is committed now; to be called before the catalogue changes.
    pub(super) async fn bill_action(&mut self, answer: &Answer, claim: &Claim, bytes: u64) -> Result<()> {
        self.bill_held(answer).await?;
        if answer.tariff().is_none() || claim.destination.is_none() {
            return Ok(());
        }
        let Some(books) = self.books().await? else { return Ok(()) };
        self.charge(&books, &books.acted(claim.agent, &claim.data_set, claim.action, bytes, self.now)).await
    }

    /// Why no budget bears a plan that sends so many bytes. Whoever spends at the same time waits, and finds this claim.
    pub(super) async fn over_budget(&mut self, answer: &Answer, plan: &Plan, bytes: u64) -> Result<Option<Forbidden>> {
        if answer.tariff().budgets.is_empty() {
            return Ok(None);
        }
        self.lock_accounts().await?;
        Ok(self.books().await?.and_then(|books| books.forbids(plan.agent, plan.action, bytes, self.now)))
    }

    async fn lock_accounts(&mut self) -> Result<()> {
        let sql = "insert into billing (agent, revision) values (0, 1) on duplicate key update revision = revision + 1";
        self.execute(sql, Vec::new()).await?;
        Ok(())
    }

    async fn charge(&mut self, books: &Books, charges: &[Charge]) -> Result<()> {
        let Some(currency) = books.tariff.currency().filter(|_| !charges.is_empty()) else { return Ok(()) };
        let row = |Charge { cause, bytes, amount }: &Charge| -> [Value; 9] {
            let Cause { since, agent, data_set, kind, from, to } = cause;
            [
                since.0.into(),
                agent.0.into(),
                text(&data_set.0),
                kind.name().into(),
                from.0.into(),
                to.0.into(),
                currency.to_string().into(),
                sql_integer(*bytes),
                amount.0.into(),
            ]
        };
        let sql = format!(
            "insert into charges (since_ms, agent, data_set, kind, from_node, to_node, currency, bytes, amount) values {}
            on duplicate key update
                bytes = least(bytes, 4000000000000000000) + least(values(bytes), 4000000000000000000),
                amount = least(amount, 4000000000000000000) + least(values(amount), 4000000000000000000)",
            places(charges.len(), 9)
        );
        self.execute(&sql, charges.iter().flat_map(row).collect()).await?;
        Ok(())
    }

    async fn tariff(&mut self) -> Result<Tariff> {
        Ok(self.ask(Question::new().and_prices()).await?.tariff())
    }

    /// What is written about money; `None`: nothing has a price.
    pub(super) async fn books(&mut self) -> Result<Option<Books>> {
        let tariff = self.tariff().await?;
        if tariff.is_none() {
            return Ok(None);
        }
        let currency = tariff.currency().map(|currency| currency.to_string());
        let earliest = tariff.earliest(self.now).0;
        let lately = "where since_ms >= ? and currency = ? group by since_ms, agent";
        let question = Question::new().and(&BILLING, "", []).and(&HELD, "", []).and(&SENDING, "", []);
        let question = question.and(&SPENT, lately, [earliest.into(), currency.into()]).and(&AGENTS, "", []);
        let answer = self.ask(question).await?;
        Ok(Some(Books {
            tariff,
            held_until: answer.read(&BILLING, quarantine::billed_until).into_iter().flatten().next(),
            held: answer.read(&HELD, quarantine::held),
            running: answer.read(&SENDING, quarantine::running),
            spent: answer.read(&SPENT, quarantine::spent),
            homes: answer.homes(),
        }))
    }

    pub(super) async fn charges(&mut self, since: Timestamp) -> Result<Vec<Charge>> {
        let question = Question::new().and(&CHARGES, "where since_ms >= ?", [since.0.into()]);
        let mut charges = self.ask(question).await?.read(&CHARGES, quarantine::charge);
        charges.sort_by(|a, b| a.cause.cmp(&b.cause));
        Ok(charges)
    }
}

impl Question {
    pub(super) fn and_prices(self) -> Self {
        self.and(&PRICES, "order by what, from_node, to_node, agent", [])
    }
}

impl Answer {
    /// Empty where nothing has a price.
    pub(super) fn tariff(&self) -> Tariff {
        let mut currency = None;
        self.read(&PRICES, |row| quarantine::stated(row, &mut currency)).into_iter().collect()
    }
}

/// Nobody holds a replica: what lies somewhere is on the account of this number.
const _: () = assert!(AgentId::OPERATOR.0 == 0, "statements here name it");
