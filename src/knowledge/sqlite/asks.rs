//! What agents say to each other, and what is new, within one transaction.

use super::Tables;
use super::connect::Failure;
use super::rows;
use crate::knowledge::conversation::{Rows, to_column, to_list};
use crate::knowledge::{Conversation, Pulse};
use agent_core::domain::ask::{Question, Reply};
use agent_core::domain::ids::{AgentId, AskId, DataSetName, NodeId};
use agent_core::knowledge::quarantine::{self, ASK_NODES, ASKS, DATA_SETS, FORECASTS, NAMED_NODES, REPLIES};
use agent_core::knowledge::rules::{self, Rejection};
use rusqlite::{OptionalExtension as _, params};
use std::time::Duration;

type Result<T> = std::result::Result<T, Failure>;

/// Rows of a table that belong to the latest questions about a data set.
macro_rules! of_latest {
    ($select:literal) => {
        concat!($select, " where ask in (select id from asks where data_set = ? and posted_at_ms >= ?)")
    };
}

/// Deletes rows that belong to the oldest questions about a data set.
macro_rules! delete_oldest {
    ($table:literal, $ask:literal) => {
        concat!(
            "delete from ",
            $table,
            " where ",
            $ask,
            " in (select id from asks where data_set = ? and posted_at_ms < ? order by posted_at_ms, id limit ?)"
        )
    };
}

// Writing.
impl Tables<'_> {
    pub(super) fn ask(&mut self, question: &Question) -> Result<AskId> {
        rules::check_question(question)?;
        let Question { key, agent, data_set, generation, nodes, action, afresh, level } = question;
        let mut known = self.transaction.prepare_cached("select id from asks where idempotency_key = ?")?;
        if let Some(id) = known.query_row([key], |row| row.get(0)).optional()? {
            return Ok(AskId(id));
        }
        let sql = "update data_sets set said = said + 1 where name = ?";
        self.change_one(sql, [&data_set.0], Rejection::UnknownDataSet(data_set.clone()))?;
        self.forget(data_set)?;
        let action = action.map(|action| action.to_string());
        let sql = "insert into asks
            (idempotency_key, data_set, agent, generation, action, afresh, level, posted_at_ms, closed)
            values (?, ?, ?, ?, ?, ?, ?, ?, 0)";
        self.execute(sql, params![key, data_set.0, agent.0, generation, action, afresh, level, self.now.0])?;
        let id = self.transaction.last_insert_rowid();
        for node in nodes {
            self.execute("insert into ask_nodes (ask, node) values (?, ?)", params![id, node.0])?;
        }
        Ok(AskId(id))
    }

    /// Some of what was asked long ago.
    fn forget(&self, data_set: &DataSetName) -> Result<()> {
        // Questions last: by them the others are found.
        for sql in [
            delete_oldest!("forecasts", "ask"),
            delete_oldest!("named_nodes", "ask"),
            delete_oldest!("replies", "ask"),
            delete_oldest!("ask_nodes", "ask"),
            delete_oldest!("asks", "id"),
        ] {
            let before = rules::forgotten_before(self.now);
            self.execute(sql, params![data_set.0, before.0, rules::FORGOTTEN_AT_ONCE])?;
        }
        Ok(())
    }

    pub(super) fn reply(&mut self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool> {
        rules::check_reply(reply)?;
        if !self.speak(ask)? {
            return Ok(false);
        }
        let sql = "insert into replies (ask, agent, level, said, nodes) values (?, ?, ?, ?, ?)
            on conflict (ask, agent) do update
            set level = excluded.level, said = excluded.said, nodes = excluded.nodes";
        self.execute(sql, params![ask.0, agent.0, reply.level, reply.said, to_list(&reply.nodes)])?;
        for node in &reply.named {
            let sql = "insert or ignore into named_nodes (ask, agent, node) values (?, ?, ?)";
            self.execute(sql, params![ask.0, agent.0, node.0])?;
        }
        for ((node, replicas), change) in &reply.forecasts {
            let sql = "insert into forecasts (ask, agent, node, replicas, level_change) values (?, ?, ?, ?, ?)
                on conflict (ask, agent, node, replicas) do update set level_change = excluded.level_change";
            self.execute(sql, params![ask.0, agent.0, node.0, to_column(*replicas), change])?;
        }
        Ok(true)
    }

    pub(super) fn close_ask(&mut self, ask: AskId) -> Result<()> {
        if self.speak(ask)? {
            self.execute("update asks set closed = 1 where id = ?", [ask.0])?;
        }
        Ok(())
    }

    /// Something is said about a question; `false`: it is closed, or there is none.
    fn speak(&self, ask: AskId) -> Result<bool> {
        let sql = "update data_sets set said = said + 1
            where name = (select data_set from asks where id = ? and closed = 0)";
        Ok(self.execute(sql, [ask.0])? > 0)
    }
}

// Reading.
impl Tables<'_> {
    pub(super) fn conversation(&mut self, data_set: &DataSetName, within: Duration) -> Result<Conversation> {
        let (transaction, quarantine) = (self.transaction, &mut *self.quarantine);
        let latest = (&data_set.0, rules::earliest(self.now, within).0);
        let sql = "select id, agent, generation, action, afresh, level, posted_at_ms, closed from asks
            where data_set = ? and posted_at_ms >= ?";
        let asks = rows::read(transaction, quarantine, ASKS, sql, latest, quarantine::ask)?;
        if asks.is_empty() {
            return Ok(Conversation::new());
        }
        let sql = of_latest!("select ask, node from ask_nodes");
        let ask_nodes = rows::read(transaction, quarantine, ASK_NODES, sql, latest, quarantine::ask_node)?;
        let sql = of_latest!("select ask, agent, level, said, nodes from replies");
        let replies = rows::read(transaction, quarantine, REPLIES, sql, latest, quarantine::reply)?;
        let sql = of_latest!("select ask, agent, node from named_nodes");
        let named_nodes = rows::read(transaction, quarantine, NAMED_NODES, sql, latest, quarantine::named_node)?;
        let sql = of_latest!("select ask, agent, node, replicas, level_change from forecasts");
        let forecasts = rows::read(transaction, quarantine, FORECASTS, sql, latest, quarantine::forecast)?;
        Ok(Rows { asks, ask_nodes, replies, named_nodes, forecasts }.into_conversation())
    }

    /// Conditions are a sum with weights that no whole numbers balance, so that two changes at a time do not hide each other.
    /// Numbers that nobody reads as they stand are no part of it: they would drown the others.
    pub(super) fn pulse(&mut self, data_set: &DataSetName, home: NodeId) -> Result<Option<Pulse>> {
        let sql = "select name, generation, said,
            (select coalesce(sum(available / (id + 0.618)), 0) from
                (select id, coalesce(availability_percent, measured_availability_percent, 100) as available from nodes)
                where available between 0 and 100)
            + (select coalesce(sum(latency_ms / (to_node + 0.414)), 0) from links
                where from_node = ?1 and latency_ms between 0 and 31536000000)
            + (select coalesce(sum(latency_ms / (to_node + 0.414)), 0) from measured_links as seen
                where from_node = ?1 and latency_ms between 0 and 31536000000 and not exists
                    (select 1 from links where links.from_node = ?1 and links.to_node = seen.to_node)) as conditions
            from data_sets where name = ?2";
        let values = params![home.0, data_set.0];
        let found = rows::read(self.transaction, self.quarantine, DATA_SETS, sql, values, quarantine::pulse)?;
        match found.into_iter().next() {
            Some(pulse) => Ok(Some(Pulse { changed_at: self.changed_at(data_set)?, ..pulse })),
            None => Ok(None),
        }
    }
}
