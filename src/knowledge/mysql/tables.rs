//! All tables over one connection, and what is asked of each. The files beside this one say what can be done with them.

use super::Server;
use super::connect::Statements;
use super::failure::{Failure, Sent};
use super::members::Member;
use super::select::{Answer, Part, Question};
use crate::knowledge::requests::Which;
use crate::knowledge::{Counter, quarantine};
use agent_core::domain::action::Action;
use agent_core::domain::environment::MeasuredLinks;
use agent_core::domain::event::Event;
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, DataSetName, EventId, NodeId, ReplicaId};
use agent_core::domain::link_table::LinkTable;
use agent_core::domain::placement::{DataSet, Node, Peer, Placement, Replica};
use agent_core::domain::time::Timestamp;
use futures::FutureExt as _;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row, Statement, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub(super) type Result<T> = std::result::Result<T, Failure>;

macro_rules! replica_columns {
    ($id:literal $(, $more:literal)*) => {
        &[
            $id,
            "node",
            "object_key",
            "state",
            "generation",
            "lease_holder",
            "lease_until",
            "object_bytes",
            "etag",
            "modified_at_ms",
            "remark",
            "former"
            $(, $more)*
        ]
    };
}
pub(super) use replica_columns;

pub(super) const NODES: Part = Part {
    name: "nodes",
    table: quarantine::NODES,
    columns: &[
        "id",
        "name",
        "store_url",
        "availability_percent",
        "capacity_bytes",
        "state",
        "heartbeat_at",
        "store_deletes",
        "store_remarks",
        "labels",
        "measured_availability_percent",
        "gossip_address",
        "public_key",
    ],
    from: "from nodes",
};
pub(super) const REMOVED: Part =
    Part { name: "removed_nodes", table: quarantine::REMOVED, columns: &["id"], from: "from removed_nodes" };
pub(super) const LINKS: Part = Part {
    name: "links",
    table: quarantine::LINKS,
    columns: &["from_node", "to_node", "latency_ms", "jitter_ms"],
    from: "from links",
};
pub(super) const MEASURED_LINKS: Part = Part {
    name: "measured_links",
    table: quarantine::MEASURED_LINKS,
    columns: &["from_node", "to_node", "latency_ms", "loss_percent", "bytes_per_s", "at_ms"],
    from: "from measured_links",
};
pub(super) const AGENTS: Part = Part {
    name: "agents",
    table: quarantine::AGENTS,
    columns: &[
        "id",
        "node",
        "goal",
        "policy",
        "may_run_on",
        "runs_at",
        "heartbeat_at",
        "converged",
        "unexpected",
        "goal_override",
        "policy_override",
    ],
    from: "from agents",
};
pub(super) const DATA_SETS: Part = Part {
    name: "data_sets",
    table: quarantine::DATA_SETS,
    columns: &[
        "name",
        "object_key",
        "bytes",
        "records",
        "sha256",
        "version",
        "registered_at",
        "written_at",
        "written_bytes",
        "generation",
        "constraints",
        "paused_until",
    ],
    from: "from data_sets",
};
pub(super) const REPLICAS: Part = Part {
    name: "replicas",
    table: quarantine::REPLICAS,
    columns: replica_columns!(
        "id",
        "data_set",
        "exists (select 1 from nodes where nodes.id = replicas.node) as node_known"
    ),
    from: "from replicas",
};
pub(super) const READERS: Part =
    Part { name: "readers", table: quarantine::READERS, columns: &["agent", "data_set"], from: "from readers" };
pub(super) const REFERENCES: Part = Part {
    name: "reference_replicas",
    table: quarantine::REFERENCES,
    columns: &["agent", "data_set", "replica"],
    from: "from reference_replicas",
};
macro_rules! event_columns {
    ($detail:literal) => {
        &[
            "id",
            "agent",
            "data_set",
            "replica",
            "action",
            "explored",
            "posted_at_ms",
            "closes_at_ms",
            "state",
            "outcome",
            "ended_at_ms",
            "feedback_sum",
            $detail,
            "exists (select 1 from claims where claims.event = events.id) as claimed",
        ]
    };
}
pub(super) const EVENTS: Part =
    Part { name: "events", table: quarantine::EVENTS, columns: event_columns!("detail"), from: "from events" };
/// Without what explains them.
pub(super) const EVENTS_ALONE: Part = Part { columns: event_columns!("'' as detail"), ..EVENTS };
pub(super) const CLAIMS: Part = Part {
    name: "claims",
    table: quarantine::CLAIMS,
    columns: &["event", "role", "replica", "node", "object_key", "state", "generation", "lease_holder", "lease_until"],
    from: "from claims",
};
pub(super) const COUNTERS: Part = Part {
    name: "counters",
    table: quarantine::COUNTERS,
    columns: &["data_set", "action", "value", "changed_at_ms"],
    from: "from counters",
};

/// Rows of one statement that puts them.
const AT_ONCE: usize = 200;

/// A rollback is a matter of moments; a connection that takes longer is given up.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(1);

/// A connection, and what is known about what it was asked.
pub(super) struct Tables {
    pub(super) connection: Conn,
    server: Arc<Server>,
    member: Arc<Member>,
    /// By the server's clock, at the last answer.
    pub(super) now: Timestamp,
    pub(super) sent: Sent,
    in_transaction: bool,
    /// By this connection.
    prepared: Statements,
}

// One statement each.
impl Tables {
    pub(super) fn new(connection: Conn, server: Arc<Server>, member: Arc<Member>) -> Self {
        let prepared = member.prepared.take(connection.id());
        Self { connection, server, member, now: Timestamp(0), sent: Sent::Revocable, in_transaction: false, prepared }
    }

    pub(super) async fn ask(&mut self, question: Question) -> Result<Answer> {
        let (sql, values) = question.into_sql();
        let statement = self.prepare(&sql).await?;
        let rows: Vec<Row> = self.connection.exec(statement, values).await.map_err(|error| self.failed(error))?;
        self.require_transaction()?;
        let answer = Answer::new(rows, self.server.quarantine.clone(), |since_epoch| (self.server.time)(since_epoch));
        self.now = answer.now;
        Ok(answer)
    }

    pub(super) async fn begin(&mut self) -> Result<()> {
        self.connection.query_drop("begin").await.map_err(|error| self.failed(error))?;
        self.in_transaction = true;
        self.require_transaction()
    }

    pub(super) async fn commit(&mut self) -> Result<()> {
        self.sent = Sent::Commit;
        self.connection.query_drop("commit").await.map_err(|error| self.failed(error))?;
        self.in_transaction = false;
        Ok(())
    }

    /// A statement within a transaction; how many rows it found.
    pub(super) async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64> {
        assert!(self.in_transaction, "`{sql}` would commit itself");
        let statement = self.prepare(sql).await?;
        self.connection.exec_drop(statement, values).await.map_err(|error| self.failed(error))?;
        self.require_transaction()?;
        Ok(self.connection.affected_rows())
    }

    /// Adds rows, or replaces those with the same key.
    pub(super) async fn put<const N: usize>(
        &mut self,
        table: &str,
        columns: [&str; N],
        rows: Vec<[Value; N]>,
    ) -> Result<()> {
        let replaced = columns.map(|column| format!("{column} = values({column})")).join(", ");
        for rows in rows.chunks(AT_ONCE) {
            let (names, places) = (columns.join(", "), places(rows.len(), N));
            let sql = format!("insert into {table} ({names}) values {places} on duplicate key update {replaced}");
            self.execute(&sql, rows.iter().flatten().cloned().collect()).await?;
        }
        Ok(())
    }

    /// A statement that is a transaction of its own; how many rows it found.
    pub(super) async fn execute_alone(&mut self, sql: &str, values: Vec<Value>) -> Result<u64> {
        assert!(!self.in_transaction, "`{sql}` would not commit itself");
        let statement = self.prepare(sql).await?;
        self.sent = Sent::Commit;
        self.connection.exec_drop(statement, values).await.map_err(|error| self.failed(error))?;
        // What follows asks something else.
        self.sent = Sent::Revocable;
        Ok(self.connection.affected_rows())
    }

    /// The statement as the server knows it. In a cluster another member's write may end a transaction at any time, and the next
    /// command is told so; but a `PREPARE` can be told and say nothing, after which every statement would commit itself. So what
    /// is prepared within a transaction is followed by a look whether there still is one.
    async fn prepare(&mut self, sql: &str) -> Result<Statement> {
        let statement = self.connection.prep(sql).await.map_err(|error| self.failed(error))?;
        if self.prepared.note(sql) && self.in_transaction {
            self.connection.query_drop("do 0").await.map_err(|error| self.failed(error))?;
            self.require_transaction()?;
        }
        Ok(statement)
    }

    /// Within a transaction the server says with every answer that there is one; where it does not, nothing holds any more that
    /// was locked or read.
    fn require_transaction(&self) -> Result<()> {
        let status = self.connection.last_ok_packet().map(|packet| packet.status_flags());
        let is_open = status.is_some_and(|status| status.contains(StatusFlags::SERVER_STATUS_IN_TRANS));
        if self.in_transaction && !is_open { Err(Failure::TransactionEnded) } else { Ok(()) }
    }

    /// Of one row that must be as it was when it was read.
    pub(super) async fn execute_unless_overtaken(&mut self, sql: &str, values: Vec<Value>) -> Result<()> {
        match self.execute(sql, values).await? {
            0 => Err(Failure::Overtaken),
            _ => Ok(()),
        }
    }

    pub(super) fn last_id(&self) -> i64 {
        self.connection.last_insert_id().and_then(|id| i64::try_from(id).ok()).unwrap_or_default()
    }

    fn failed(&self, error: mysql_async::Error) -> Failure {
        Failure::Database(error, self.sent)
    }

    /// Gives the connection back to the pool, or closes it where nobody knows in what state it is.
    pub(super) async fn give_back(mut self, is_sound: bool) {
        let is_sound = match is_sound && self.in_transaction {
            true => matches!(timeout(ROLLBACK_LIMIT, self.connection.query_drop("rollback")).await, Ok(Ok(()))),
            false => is_sound,
        };
        if is_sound {
            self.member.prepared.put_back(self.connection.id(), self.prepared);
        } else {
            // One step and no waiting: it says goodbye if it can, and the pool forgets it.
            let _ = self.connection.disconnect().now_or_never();
        }
    }
}

/// What several operations ask.
impl Question {
    pub(super) fn and_data_set(self, name: &DataSetName) -> Self {
        self.and(&DATA_SETS, "where name = ?", [text(&name.0)])
    }

    /// Replicas and references of a data set.
    pub(super) fn and_placement(self, name: &DataSetName) -> Self {
        let (replicas, references) = ([text(&name.0)], [text(&name.0)]);
        self.and(&REPLICAS, "where data_set = ?", replicas).and(&REFERENCES, "where data_set = ?", references)
    }

    /// As they are declared, and as they were measured.
    pub(super) fn and_links(self) -> Self {
        self.and(&LINKS, "", []).and(&MEASURED_LINKS, "", [])
    }

    /// An event, what it was granted, and the placement of its data set.
    pub(super) fn and_event(self, id: EventId) -> Self {
        const OF_EVENT: &str = "where data_set = (select data_set from events where id = ?)";
        self.and(&EVENTS, "where id = ?", [id.0.into()])
            .and(&CLAIMS, "where event = ?", [id.0.into()])
            .and(&REPLICAS, OF_EVENT, [id.0.into()])
            .and(&REFERENCES, OF_EVENT, [id.0.into()])
    }
}

/// What several operations read.
impl Answer {
    /// And the generation of its planned placement.
    pub(super) fn data_set(&self) -> Option<(DataSet, i64)> {
        self.read(&DATA_SETS, quarantine::catalogued).pop()
    }

    pub(super) fn nodes(&self) -> FlatMap<NodeId, Node> {
        self.read(&NODES, quarantine::node).into_iter().collect()
    }

    pub(super) fn removed_nodes(&self) -> BTreeSet<NodeId> {
        self.read(&REMOVED, quarantine::removed).into_iter().collect()
    }

    pub(super) fn links(&self, nodes: &FlatMap<NodeId, Node>) -> LinkTable {
        self.read(&LINKS, |row| quarantine::link(row, nodes)).into_iter().collect()
    }

    pub(super) fn measured_links(&self, nodes: &FlatMap<NodeId, Node>) -> MeasuredLinks {
        self.read(&MEASURED_LINKS, |row| quarantine::measured_link(row, nodes)).into_iter().collect()
    }

    /// Those that are declared, else measured.
    pub(super) fn links_in_force(&self, nodes: &FlatMap<NodeId, Node>) -> LinkTable {
        self.measured_links(nodes).beside(&self.links(nodes))
    }

    /// Where each agent's jobs run.
    pub(super) fn seats(&self) -> BTreeMap<AgentId, NodeId> {
        self.read(&AGENTS, quarantine::seat).into_iter().collect()
    }

    /// Where each registered agent lives.
    pub(super) fn homes(&self) -> BTreeMap<AgentId, NodeId> {
        self.read(&AGENTS, quarantine::home).into_iter().collect()
    }

    /// Of one data set, whatever others there are in the answer.
    pub(super) fn placement(&self, name: &DataSetName) -> Placement {
        let mut replicas = self.replicas();
        replicas.retain(|_, replica| replica.data_set == *name);
        let references = self.read(&REFERENCES, |row| match quarantine::data_set_name(row, "data_set")? == *name {
            true => quarantine::reference(row, &replicas).map(Some),
            false => Ok(None),
        });
        Placement { references: references.into_iter().flatten().collect(), replicas }
    }

    /// Of all data sets, on nodes that there are.
    pub(super) fn replicas(&self) -> BTreeMap<ReplicaId, Replica> {
        self.read(&REPLICAS, quarantine::replica).into_iter().map(|replica| (replica.id, replica)).collect()
    }

    /// The same on any node, in order.
    pub(super) fn replicas_anywhere(&self) -> Vec<Replica> {
        let mut replicas = self.read(&REPLICAS, quarantine::any_replica);
        replicas.sort_by_key(|replica| replica.id);
        replicas
    }

    pub(super) fn agents(&self, nodes: &FlatMap<NodeId, Node>) -> FlatMap<AgentId, Peer> {
        self.read(&AGENTS, |row| quarantine::peer(row, nodes)).into_iter().collect()
    }

    /// Who reads a data set, whatever others there are in the answer.
    pub(super) fn readers(&self, name: &DataSetName) -> BTreeSet<AgentId> {
        let readers = self.read(&READERS, quarantine::reader);
        readers.into_iter().filter(|(_, read)| read == name).map(|(agent, _)| agent).collect()
    }

    /// Of one data set, whatever others there are in the answer.
    pub(super) fn counters(&self, name: &DataSetName) -> BTreeMap<Action, Counter> {
        let counters = self.read(&COUNTERS, |row| match quarantine::data_set_name(row, "data_set")? == *name {
            true => quarantine::counter(row).map(Some),
            false => Ok(None),
        });
        counters.into_iter().flatten().collect()
    }

    /// Oldest first.
    pub(super) fn events(&self) -> Vec<Event> {
        in_order(self.read(&EVENTS, quarantine::event))
    }

    pub(super) fn event(&self) -> Option<Event> {
        self.events().pop()
    }
}

/// The order of a `union all` is nobody's promise.
pub(super) fn in_order(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|event| event.id);
    events
}

pub(super) fn text(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

/// `None`: all.
pub(super) fn values<T>(which: &Which<T>, value: impl Fn(&T) -> Value) -> Option<Vec<Value>> {
    match which {
        Which::All => None,
        Which::These(these) => Some(these.iter().map(value).collect()),
    }
}

/// A condition on those that are meant; `all` where no values are named.
pub(super) fn is_meant(column: &str, values: &Option<Vec<Value>>, all: &str) -> String {
    values.as_ref().map_or_else(|| all.to_owned(), |values| is_one_of(column, values))
}

/// A condition.
pub(super) fn is_one_of(column: &str, values: &[Value]) -> String {
    match values.len() {
        0 => "false".to_owned(),
        count => format!("{column} in {}", places(1, count)),
    }
}

/// `(?, ?), (?, ?)`: this many rows of so many values.
pub(super) fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}
