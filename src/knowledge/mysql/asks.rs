//! What agents say to each other, and what is new.
//!
//! Whoever says something about a data set raises its `said` first, at the row where writers of its replicas queue too.

use super::catalogue::{CHANGES, LATEST_CHANGES};
use super::select::{Part, Question};
use super::tables::{Result, Tables, places, text};
use crate::domain::ask::{self, Reply};
use crate::domain::ids::{AgentId, AskId, DataSetName, NodeId};
use crate::domain::time::Timestamp;
use crate::knowledge::conversation::{Rows, to_column, to_list};
use crate::knowledge::rules::{self, Rejection};
use crate::knowledge::{Conversation, Pulse, quarantine};
use mysql_async::Value;
use std::time::Duration;

const ASKS: Part = Part {
    name: "asks",
    table: quarantine::ASKS,
    columns: &["id", "agent", "generation", "action", "afresh", "level", "posted_at_ms", "closed"],
    from: "from asks",
};
/// The number of a question, whatever else its row says.
const KNOWN: Part = Part { name: "known", ..ASKS };
/// Long ago, perhaps.
const OLDEST: Part = Part { name: "oldest", ..ASKS };
const ASK_NODES: Part =
    Part { name: "ask_nodes", table: quarantine::ASK_NODES, columns: &["ask", "node"], from: "from ask_nodes" };
const REPLIES: Part = Part {
    name: "replies",
    table: quarantine::REPLIES,
    columns: &["ask", "agent", "level", "said", "nodes"],
    from: "from replies",
};
const NAMED_NODES: Part = Part {
    name: "named_nodes",
    table: quarantine::NAMED_NODES,
    columns: &["ask", "agent", "node"],
    from: "from named_nodes",
};
const FORECASTS: Part = Part {
    name: "forecasts",
    table: quarantine::FORECASTS,
    columns: &["ask", "agent", "node", "replicas", "level_change"],
    from: "from forecasts",
};

/// Conditions are a sum with weights that no whole numbers balance, so that two changes at a time do not hide each other. Numbers
/// that nobody reads as they stand are no part of it: they would drown the others.
const PULSE: Part = Part {
    name: "pulse",
    table: quarantine::DATA_SETS,
    columns: &[
        "name",
        "generation",
        "said",
        "(select coalesce(sum(availability_percent / (id + 0.618)), 0) from nodes
            where availability_percent between 0 and 100)
        + (select coalesce(sum(latency_ms / (to_node + 0.414)), 0) from links
            where from_node = ? and latency_ms between 0 and 31536000000) as conditions",
    ],
    from: "from data_sets",
};

// Writing.
impl Tables {
    pub(super) async fn post_ask(&mut self, asked: &ask::Question) -> Result<AskId> {
        rules::check_question(asked)?;
        let ask::Question { key, agent, data_set, generation, nodes, action, afresh, level } = asked;
        self.begin().await?;
        let is_known = self.execute("update data_sets set said = said + 1 where name = ?", vec![text(&data_set.0)]);
        let is_known = is_known.await? > 0;
        let question = Question::new().and(&KNOWN, "where idempotency_key = ?", [text(key)]);
        let oldest = "where data_set = ? order by posted_at_ms, id limit ?";
        let question = question.and(&OLDEST, oldest, [text(&data_set.0), rules::FORGOTTEN_AT_ONCE.into()]);
        let answer = self.ask(question).await?;
        if let Some(id) = answer.numbers(&KNOWN, "id").next() {
            return Ok(AskId(id));
        }
        if !is_known {
            return Err(Rejection::UnknownDataSet(data_set.clone()).into());
        }
        let sql = "insert into asks
            (idempotency_key, data_set, agent, generation, action, afresh, level, posted_at_ms, closed)
            values (?, ?, ?, ?, ?, ?, ?, ?, 0)";
        let action = action.map(|action| action.to_string());
        let values = vec![
            text(key),
            text(&data_set.0),
            agent.0.into(),
            (*generation).into(),
            action.into(),
            (*afresh).into(),
            (*level).into(),
            answer.now.0.into(),
        ];
        self.execute(sql, values).await?;
        let id = self.last_id();
        let sql = format!("insert into ask_nodes (ask, node) values {}", places(nodes.len(), 2));
        self.execute(&sql, nodes.iter().flat_map(|node| [id.into(), node.0.into()]).collect()).await?;
        let before = rules::forgotten_before(answer.now);
        let old = answer.read(&OLDEST, |row| Ok((row.integer("id")?, row.time("posted_at_ms")?)));
        self.forget(old.iter().filter(|(_, posted_at)| *posted_at < before).map(|(id, _)| (*id).into()).collect())
            .await?;
        self.commit().await?;
        Ok(AskId(id))
    }

    async fn forget(&mut self, asks: Vec<Value>) -> Result<()> {
        if asks.is_empty() {
            return Ok(());
        }
        let these = places(1, asks.len());
        for rows in [
            "forecasts where ask",
            "named_nodes where ask",
            "replies where ask",
            "ask_nodes where ask",
            "asks where id",
        ] {
            self.execute(&format!("delete from {rows} in {these}"), asks.clone()).await?;
        }
        Ok(())
    }

    pub(super) async fn reply(&mut self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool> {
        rules::check_reply(reply)?;
        self.begin().await?;
        if !self.speak(ask).await? {
            return Ok(false);
        }
        let this = || [ask.0.into(), agent.0.into()];
        // Not of one that was closed while this one waited for its turn.
        let sql = "insert into replies (ask, agent, level, said, nodes)
            select id, ?, ?, ?, ? from asks where id = ? and closed = 0
            on duplicate key update level = values(level), said = values(said), nodes = values(nodes)";
        let nodes = text(&to_list(&reply.nodes));
        let values = vec![agent.0.into(), reply.level.into(), reply.said.into(), nodes, ask.0.into()];
        if self.execute(sql, values).await? == 0 {
            return Ok(false);
        }
        if !reply.named.is_empty() {
            let rows = places(reply.named.len(), 3);
            let sql = format!("insert ignore into named_nodes (ask, agent, node) values {rows}");
            let values = reply.named.iter().flat_map(|node| {
                let [ask, agent] = this();
                [ask, agent, node.0.into()]
            });
            self.execute(&sql, values.collect()).await?;
        }
        if !reply.forecasts.is_empty() {
            let rows = places(reply.forecasts.len(), 5);
            let sql = format!(
                "insert into forecasts (ask, agent, node, replicas, level_change) values {rows}
                on duplicate key update level_change = values(level_change)"
            );
            let values = reply.forecasts.iter().flat_map(|((node, replicas), change)| {
                let [ask, agent] = this();
                [ask, agent, node.0.into(), to_column(*replicas).into(), (*change).into()]
            });
            self.execute(&sql, values.collect()).await?;
        }
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn close_ask(&mut self, ask: AskId) -> Result<()> {
        self.begin().await?;
        let sql = "update asks set closed = 1 where id = ? and closed = 0";
        if self.speak(ask).await? && self.execute(sql, vec![ask.0.into()]).await? > 0 {
            self.commit().await?;
        }
        Ok(())
    }

    /// Something is said about a question; `false`: it is closed, or there is none.
    async fn speak(&mut self, ask: AskId) -> Result<bool> {
        let sql = "update data_sets set said = said + 1
            where name = (select data_set from asks where id = ? and closed = 0)";
        Ok(self.execute(sql, vec![ask.0.into()]).await? > 0)
    }
}

// Reading.
impl Tables {
    /// Two questions, because only an answer says what time it is.
    pub(super) async fn conversation(&mut self, data_set: &DataSetName, within: Duration) -> Result<Conversation> {
        let now = self.ask(Question::new()).await?.now;
        let latest = || [text(&data_set.0), rules::earliest(now, within).0.into()];
        let mut question = Question::new().and(&ASKS, "where data_set = ? and posted_at_ms >= ?", latest());
        for part in [&ASK_NODES, &REPLIES, &NAMED_NODES, &FORECASTS] {
            let of_latest = "where ask in (select id from asks where data_set = ? and posted_at_ms >= ?)";
            question = question.and(part, of_latest, latest());
        }
        let answer = self.ask(question).await?;
        let rows = Rows {
            asks: answer.read(&ASKS, quarantine::ask),
            ask_nodes: answer.read(&ASK_NODES, quarantine::ask_node),
            replies: answer.read(&REPLIES, quarantine::reply),
            named_nodes: answer.read(&NAMED_NODES, quarantine::named_node),
            forecasts: answer.read(&FORECASTS, quarantine::forecast),
        };
        Ok(rows.into_conversation())
    }

    pub(super) async fn pulse(&mut self, data_set: &DataSetName, home: NodeId) -> Result<Option<Pulse>> {
        let question = Question::new().and(&PULSE, "where name = ?", [home.0.into(), text(&data_set.0)]);
        let last = "and data_set = ? order by ended_at_ms desc limit 1";
        let answer = self.ask(question.and(&CHANGES, last, [text(&data_set.0)])).await?;
        let Some(pulse) = answer.read(&PULSE, quarantine::pulse).pop() else {
            return Ok(None);
        };
        let last = answer.numbers(&CHANGES, "ended_at_ms").map(Timestamp).max();
        let changed_at = match last.filter(|at| *at > answer.now) {
            // Only somebody with an SQL client, or another time scale, can have brought that about.
            Some(_) => {
                let question = Question::new().and(&CHANGES, LATEST_CHANGES, [text(&data_set.0)]);
                self.ask(question).await?.changed_at()
            }
            None => last,
        };
        Ok(Some(Pulse { changed_at, ..pulse }))
    }
}
