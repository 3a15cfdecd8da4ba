//! Prices, budgets and what was spent, within one transaction. What costs how much is `domain::books`' to say.

use super::Tables;
use super::catalogue::sql_integer;
use super::connect::Failure;
use super::rows;
use agent_core::domain::books::{Bill, Books, Cause, Charge, Stated, Tariff};
use agent_core::domain::constraints::Forbidden;
use agent_core::domain::ids::AgentId;
use agent_core::domain::placement::{Claim, Plan};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::quarantine::{self, BILLING, CHARGES, EVENTS, Fields, PRICES, PriceRow, REPLICAS, SPENT};
use agent_core::knowledge::rules;
use rusqlite::params;

type Result<T> = std::result::Result<T, Failure>;

impl Tables<'_> {
    pub(super) fn register_tariff(&mut self, added: &Tariff) -> Result<()> {
        let tariff = rules::with_missing(&self.tariff()?, added)?;
        self.replace_tariff(&tariff)
    }

    pub(super) fn set_price(&mut self, stated: &Stated) -> Result<()> {
        let tariff = rules::with_stated(&self.tariff()?, stated)?;
        self.replace_tariff(&tariff)?;
        if let PriceRow { what, from_node, to_node, agent, written: None } = stated.into() {
            let sql = "delete from prices where what = ? and from_node = ? and to_node = ? and agent = ?";
            self.execute(sql, params![what, from_node, to_node, agent])?;
        }
        self.execute("update data_sets set generation = generation + 1", [])?;
        Ok(())
    }

    fn replace_tariff(&mut self, tariff: &Tariff) -> Result<()> {
        self.bill_held()?;
        for stated in tariff.stated() {
            let PriceRow { what, from_node, to_node, agent, written } = (&stated).into();
            let sql = "insert into prices (what, from_node, to_node, agent, written) values (?, ?, ?, ?, ?)
                on conflict (what, from_node, to_node, agent) do update set written = excluded.written
                where written <> excluded.written";
            self.execute(sql, params![what, from_node, to_node, agent, written])?;
        }
        let sql = match tariff.prices_storage() {
            true => {
                "insert into billing (agent, until_ms) values (?1, ?2)
                    on conflict (agent) do update set until_ms = coalesce(until_ms, excluded.until_ms)"
            }
            false => "update billing set until_ms = null where agent = ?1 and ?2 is not null",
        };
        self.execute(sql, params![AgentId::OPERATOR.0, self.now.0])?;
        Ok(())
    }

    pub(super) fn bill(&mut self, bill: &Bill) -> Result<()> {
        self.bill_held()?;
        let Some(books) = self.books()?.filter(|_| !bill.reads.is_empty()) else { return Ok(()) };
        let sql = "insert into billing (agent, bill) values (?, ?)
            on conflict (agent) do update set bill = excluded.bill where bill is null or bill <> excluded.bill";
        if self.execute(sql, params![bill.agent.0, bill.key])? > 0 {
            self.charge(&books, &books.read(bill, self.now))?;
        }
        Ok(())
    }

    /// To be called before anything else is held.
    pub(super) fn bill_held(&mut self) -> Result<()> {
        let Some(books) = self.books()?.filter(|books| books.held_until.is_some_and(|until| until < self.now)) else {
            return Ok(());
        };
        self.charge(&books, &books.settled(self.now))?;
        self.execute("update billing set until_ms = ? where agent = ?", params![self.now.0, AgentId::OPERATOR.0])?;
        Ok(())
    }

    /// What a claim sent that is committed now; to be called before the catalogue changes.
    pub(super) fn bill_action(&mut self, claim: &Claim, bytes: u64) -> Result<()> {
        self.bill_held()?;
        let Some(books) = self.books()?.filter(|_| claim.destination.is_some()) else { return Ok(()) };
        self.charge(&books, &books.acted(claim.agent, &claim.data_set, claim.action, bytes, self.now))
    }

    /// Why no budget bears a plan that sends so many bytes.
    pub(super) fn over_budget(&mut self, plan: &Plan, bytes: u64) -> Result<Option<Forbidden>> {
        Ok(self.books()?.and_then(|books| books.forbids(plan.agent, plan.action, bytes, self.now)))
    }

    fn charge(&self, books: &Books, charges: &[Charge]) -> Result<()> {
        let Some(currency) = books.tariff.currency() else { return Ok(()) };
        for Charge { cause, bytes, amount } in charges {
            let Cause { since, agent, data_set, kind, from, to } = cause;
            let sql =
                "insert into charges (since_ms, agent, data_set, kind, from_node, to_node, currency, bytes, amount)
                values (?, ?, ?, ?, ?, ?, ?, ?, ?)
                on conflict (since_ms, agent, data_set, kind, from_node, to_node, currency) do update set
                    bytes = min(bytes, 4000000000000000000) + min(excluded.bytes, 4000000000000000000),
                    amount = min(amount, 4000000000000000000) + min(excluded.amount, 4000000000000000000)";
            let (since, bytes) = (since.0, sql_integer(*bytes));
            let values =
                params![since, agent.0, data_set.0, kind.name(), from.0, to.0, currency.to_string(), bytes, amount.0];
            self.execute(sql, values)?;
        }
        Ok(())
    }

    fn tariff(&mut self) -> Result<Tariff> {
        let sql =
            "select what, from_node, to_node, agent, written from prices order by what, from_node, to_node, agent";
        let mut currency = None;
        let stated = |row: &mut Fields<'_>| quarantine::stated(row, &mut currency);
        Ok(rows::read(self.transaction, self.quarantine, PRICES, sql, [], stated)?.into_iter().collect())
    }

    /// What is written about money; `None`: nothing has a price.
    pub(super) fn books(&mut self) -> Result<Option<Books>> {
        let tariff = self.tariff()?;
        if tariff.is_none() {
            return Ok(None);
        }
        let sql = "select agent, until_ms from billing where agent = ?";
        let nobody = [AgentId::OPERATOR.0];
        let until = rows::read(self.transaction, self.quarantine, BILLING, sql, nobody, quarantine::billed_until)?;
        let sql = "select id, data_set, node, bytes from replicas join data_sets on data_sets.name = replicas.data_set
            where state in ('present', 'changed', 'damaged')";
        let held = rows::read(self.transaction, self.quarantine, REPLICAS, sql, [], quarantine::held)?;
        let sql = "select id, agent, action, bytes from events join data_sets on data_sets.name = events.data_set
            where outcome = 'running'
            and exists (select 1 from claims where claims.event = events.id and role = 'destination')";
        let running = rows::read(self.transaction, self.quarantine, EVENTS, sql, [], quarantine::running)?;
        // By units and parts: no sum of either is too large.
        let sql = "select since_ms, agent, sum(amount / 1000000000) as units, sum(amount % 1000000000) as parts
            from charges where since_ms >= ? and currency = ? group by since_ms, agent";
        let currency = tariff.currency().map(|currency| currency.to_string());
        let lately = params![tariff.earliest(self.now).0, currency];
        let spent = rows::read(self.transaction, self.quarantine, SPENT, sql, lately, quarantine::spent)?;
        let held_until = until.into_iter().flatten().next();
        Ok(Some(Books { held_until, held, running, spent, homes: self.homes()?, tariff }))
    }

    pub(super) fn charges(&mut self, since: Timestamp) -> Result<Vec<Charge>> {
        let sql = "select since_ms, agent, data_set, kind, from_node, to_node, bytes, amount from charges
            where since_ms >= ? order by since_ms, agent, data_set, kind, from_node, to_node";
        Ok(rows::read(self.transaction, self.quarantine, CHARGES, sql, [since.0], quarantine::charge)?)
    }
}
