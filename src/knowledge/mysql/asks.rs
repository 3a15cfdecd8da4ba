//! What agents say to each other, and what is new.
//!
//! Whoever says something writes all of it, and raises the data set's `said` last: at that row everybody queues who writes
//! anything about the data set, and so nobody stands there for longer than a commit takes. Nothing is missed for it. What was
//! said and the raised number are committed together, so whoever sees the number sees the rows. And each raises what the one
//! before has committed, for the row is locked from then on: numbers are in the order of commits, and what could not be seen yet
//! when a number was read will be announced by a higher one.
//!
//! Nobody waits in a circle either, for whoever has that row wants nothing more of these tables.

use super::catalogue::{CHANGES, LATEST_CHANGES};
use super::select::{Part, Question};
use super::tables::{Result, Tables, places, text};
use crate::knowledge::conversation::{Rows, to_column, to_list};
use crate::knowledge::{Conversation, Pulse, quarantine};
use agent_core::domain::ask::{self, Reply};
use agent_core::domain::ids::{AgentId, AskId, DataSetName, NodeId};
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::rules::{self, Rejection};
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
        "(select coalesce(sum(coalesce(availability_percent, measured_availability_percent, 100) / (id + 0.618)), 0) from nodes
            where coalesce(availability_percent, measured_availability_percent, 100) between 0 and 100)
        + (select coalesce(sum(latency_ms / (to_node + 0.414)), 0) from links
            where from_node = ? and latency_ms between 0 and 31536000000)
        + (select coalesce(sum(latency_ms / (to_node + 0.414)), 0) from measured_links as seen
            where from_node = ? and latency_ms between 0 and 31536000000 and not exists (select 1 from links
                where links.from_node = seen.from_node and links.to_node = seen.to_node)) as conditions",
    ],
    from: "from data_sets",
};

/// Something is said about a question, which may be its end; finds nothing where it is closed already, or there is none. Locks the
/// question first, as one that it writes to, so that of a reply and the end of its question the later one sees the earlier.
const SPEAK: &str = "update asks join data_sets on data_sets.name = asks.data_set
    set data_sets.said = data_sets.said + 1, asks.closed = ?
    where asks.id = ? and asks.closed = 0";

// Writing.
impl Tables {
    pub(super) async fn post_ask(&mut self, asked: &ask::Question) -> Result<AskId> {
        rules::check_question(asked)?;
        let ask::Question { key, agent, data_set, generation, nodes, action, afresh, level } = asked;
        let question = Question::new().and(&KNOWN, "where idempotency_key = ?", [text(key)]);
        let oldest = "where data_set = ? order by posted_at_ms, id limit ?";
        let question = question.and(&OLDEST, oldest, [text(&data_set.0), rules::FORGOTTEN_AT_ONCE.into()]);
        let answer = self.ask(question).await?;
        if let Some(id) = answer.numbers(&KNOWN, "id").next() {
            return Ok(AskId(id));
        }
        let before = rules::forgotten_before(answer.now);
        let old = answer.read(&OLDEST, |row| Ok((row.integer("id")?, row.time("posted_at_ms")?)));
        self.begin().await?;
        // First, for others may be at the same old questions, and whoever waits for them should hold nothing.
        self.forget(old.iter().filter(|(_, posted_at)| *posted_at < before).map(|(id, _)| (*id).into()).collect())
            .await?;
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
        let sql = "update data_sets set said = said + 1 where name = ?";
        if self.execute(sql, vec![text(&data_set.0)]).await? == 0 {
            return Err(Rejection::UnknownDataSet(data_set.clone()).into());
        }
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
        let this = || [ask.0.into(), agent.0.into()];
        let sql = "insert into replies (ask, agent, level, said, nodes) values (?, ?, ?, ?, ?)
            on duplicate key update level = values(level), said = values(said), nodes = values(nodes)";
        let [ask_id, agent_id] = this();
        let nodes = text(&to_list(&reply.nodes));
        self.execute(sql, vec![ask_id, agent_id, reply.level.into(), reply.said.into(), nodes]).await?;
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
        // Only now is it known whether it comes too late; then nothing of it stays.
        if self.execute(SPEAK, vec![false.into(), ask.0.into()]).await? == 0 {
            return Ok(false);
        }
        self.commit().await?;
        Ok(true)
    }

    pub(super) async fn close_ask(&mut self, ask: AskId) -> Result<()> {
        self.execute_alone(SPEAK, vec![true.into(), ask.0.into()]).await?;
        Ok(())
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
        let question = Question::new().and(&PULSE, "where name = ?", [home.0.into(), home.0.into(), text(&data_set.0)]);
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
