//! What all agents know together: the catalogue of replicas, the events with their feedback, the counters.
//!
//! One trait in our words; the files beside this one are the technologies. Every write carries an idempotency key or is
//! conditional on what was read (I-6). The clock is the table's own: events, leases and windows never mix two agents' clocks.

// What every technology promises, as tests.
#[doc(hidden)]
pub mod contract;
// What was said, as rows, and put together again.
pub mod conversation;
// The table in memory.
pub mod memory;
// What is read of a row that makes no sense.
pub mod quarantine;
// What tables of documents are asked for, and how.
pub mod requests;
// What all technologies decide alike on rows they have loaded.
pub mod rules;
// Which records are asked for.
pub mod selection;

use crate::domain::action::Action;
use crate::domain::ask::{Ask, Question, Reply};
use crate::domain::books::{Bill, Charge, Stated, Tariff};
use crate::domain::constraints::Constraints;
use crate::domain::environment::{Contact, Links, Measured, Saying};
use crate::domain::event::{Event, Outcome};
pub use crate::domain::feedback::{ClosedEvent, Feedback};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::labels::Labels;
use crate::domain::measurement::Measurement;
use crate::domain::placement::{
    Claim, Condition, DataSet, Health, Identity, Link, Node, Override, Plan, Registration, Replica, StoreTraits,
};
pub use crate::domain::saga::{Claimed, Committed};
pub use crate::domain::snapshot::{Counter, Snapshot};
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use crate::domain::validators::Validators;
use async_trait::async_trait;
pub use selection::{Order, Selection};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is known about a failed operation decides what may be done next.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// Nothing was changed; it may be tried again.
    #[error("{operation}: not carried out: {reason}")]
    NotExecuted { operation: &'static str, reason: String },
    /// The connection broke after a commit was sent: read back before doing anything.
    #[error("{operation}: may have been carried out: {reason}")]
    Uncertain { operation: &'static str, reason: String },
    /// The request makes no sense (an unknown node, a data set with another content); nothing was changed.
    #[error("{operation}: {reason}")]
    Rejected { operation: &'static str, reason: String },
    /// The database was written by a newer version.
    #[error(
        "{address}: schema version {found} is newer than {known}, the newest this binary knows; use the newer `agent`"
    )]
    Newer { address: String, found: i64, known: i64 },
    /// It cannot be opened.
    #[error("{address}: {reason}")]
    Unusable { address: String, reason: String },
}

pub type Result<T> = std::result::Result<T, KnowledgeError>;

impl KnowledgeError {
    /// What is known of a write that was asked for again and met this, when it had met `before`. That it is refused now says
    /// nothing about what was sent earlier: what may have been carried out stays so, until the table itself answers. A rejection
    /// is such an answer.
    pub fn after(self, before: Option<Self>) -> Self {
        match (before, self) {
            (_, rejected @ KnowledgeError::Rejected { .. }) => rejected,
            (Some(uncertain @ KnowledgeError::Uncertain { .. }), _) => uncertain,
            (_, this) => this,
        }
    }
}

/// What a dead or restarted agent left behind.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Unfinished {
    /// Claimed and neither committed nor aborted.
    pub claims: Vec<Claim>,
    /// Rows whose object is still to be deleted.
    pub removing: Vec<Replica>,
}

/// How windows close.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClosingRule {
    /// Aggregated feedback from which a counter rises.
    pub threshold: f64,
    /// How long after its window another agent's event waits for its own agent to close it.
    pub grace: Duration,
    /// How long after its last sign of life an application counts among those that can have been hurt.
    pub silence: Duration,
}

/// What became of a registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registered {
    Done,
    /// Another life of the agent was heard of within the silence: it may be running. Nothing was changed. Unless it is heard
    /// of again, the agent is free after `wait`.
    Taken {
        wait: Duration,
    },
}

/// What tells whether anything that matters to a decision has changed: compared as a whole with the one before.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Pulse {
    /// The planned placement's (see [`Content::generation`](crate::domain::snapshot::Content)).
    pub generation: i64,
    /// When an action last came to its end.
    pub changed_at: Option<Timestamp>,
    /// Another number whenever an availability in force has changed, or the latency of a link from one's home.
    pub conditions: f64,
    /// Questions, replies and ends of questions so far.
    pub said: i64,
}

/// Questions with their replies, oldest first.
pub type Conversation = Vec<Arc<Ask>>;

/// A measurement as recorded.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Recorded {
    pub id: i64,
    #[serde(flatten)]
    pub measurement: Measurement,
    pub satisfied: bool,
}

/// What was learned online about one change, by the label that it is learned under.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Learned {
    pub impacts: Impacts,
    pub samples: u32,
}

/// An upload in parts that was begun and, as far as is known, neither finished nor given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotedUpload {
    pub object_key: String,
    pub upload_id: String,
    /// Who began it, and when.
    pub agent: AgentId,
    pub begun_at: Timestamp,
}

/// The shared table.
#[async_trait]
pub trait Knowledge: Send + Sync {
    /// Adds the nodes and links that are missing. What exists stays as people edited it, and a node that was removed stays
    /// away, with its links. Rejected as a whole when a link leads to an unknown node or its latency is negative.
    async fn register_network(&self, nodes: &[Node], links: &[Link]) -> Result<()>;

    /// Adds nodes with their links; where those are injected, in both directions to and from every node that is not leaving, and
    /// between each other. Rejected as a whole when an id or a name is in use, a link exists, is missing or leads to an unknown
    /// node, or its latency is negative or no finite number. A node that was removed earlier may come back.
    async fn add_nodes(&self, nodes: &[Node], links: &[Link], are: Links) -> Result<()>;

    /// First step of removing a node: it is `leaving` from now on, its replicas are dropped as an eviction would (readers are
    /// given another one, the object drains). Returns the rows that it still holds; the same when it is leaving already.
    ///
    /// Rejected when it is unknown, holds the only present replica of a data set, an application on it was heard of within
    /// `silence`, or a running claim concerns a replica on it. To a leaving node no claim is granted, and nobody registers on
    /// it.
    async fn leave_node(&self, node: NodeId, silence: Duration, drain: Duration) -> Result<Vec<Replica>>;

    /// Last step: when a leaving node holds no row any more, it is deleted, with its links and the applications that were
    /// registered on it. Returns the rows that it still holds: none, it is gone. No error when it is gone already; rejected
    /// when it is not leaving.
    async fn remove_node(&self, node: NodeId) -> Result<Vec<Replica>>;

    /// States where a node's store listens now.
    async fn register_store(&self, node: NodeId, store_url: &str) -> Result<()>;

    /// States what was found out about a node's store. Rejected when there is no such node.
    async fn describe_store(&self, node: NodeId, traits: &StoreTraits) -> Result<()>;

    /// Remembers an upload in parts that was begun in a node's store, until it is forgotten.
    async fn note_upload(&self, node: NodeId, object_key: &str, upload_id: &str, agent: AgentId) -> Result<()>;

    /// It is finished or given up. No error when it is not known.
    async fn forget_upload(&self, node: NodeId, object_key: &str, upload_id: &str) -> Result<()>;

    /// The uploads that are remembered of a node, oldest first.
    async fn uploads(&self, node: NodeId) -> Result<Vec<NotedUpload>>;

    /// Puts a data set into the catalogue with its first replica, already verified, whose object has these validators. `false`:
    /// it was there already, with the same bytes and SHA-256; with others: rejected.
    async fn register_data_set(
        &self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
    ) -> Result<bool>;

    /// Forgets a data set with its replicas, readers, counters and questions; events and measurements stay. No object is
    /// touched: returns the rows that there were, whose objects are nobody's from now on. No error, and no row, when it is gone
    /// already.
    ///
    /// Rejected when an application that reads it was heard of within `silence`, or an action on it is under way.
    async fn remove_data_set(&self, data_set: &DataSetName, silence: Duration) -> Result<Vec<Replica>>;

    /// States what a look at a replica's object showed (`domain::saga::found`). `false`: it changes nothing; the replica is
    /// another one by now, or known to be so already.
    async fn found(&self, replica: ReplicaId, generation: i64, condition: &Condition) -> Result<bool>;

    /// Takes what lies in a replica for the data set's next version (`domain::saga::accept`): its bytes, records and SHA-256
    /// become those of `data_set`; `written_bytes` of it are new. `false`: nothing was changed, for the replica cannot be read, or
    /// is not of this generation any more. Rejected when the data set is unknown or its sizes make no sense.
    async fn accept(
        &self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
    ) -> Result<bool>;

    /// Registers or updates an application that reads these data sets from now on, and no others, and gives it a reference to
    /// each of which it has none that is present: to the replica on its own node, else to the one of the lowest id. Counts as a
    /// heartbeat. The agent belongs to this life from now on, unless
    /// another one (that is not among those that ended) was heard of within the silence. Rejected when a data set or the node
    /// is unknown, or the node leaves.
    async fn register_agent(
        &self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
    ) -> Result<Registered>;

    /// Asks something of an agent in place of its configuration, which it follows from its next job on. Rejected when there is no such
    /// agent.
    async fn set_override(&self, agent: AgentId, stated: &Override) -> Result<()>;

    /// States that an agent (and its node) is alive. `false`: the agent belongs to another life by now, or is not registered
    /// any more; nothing was changed, and this life must stop.
    async fn heartbeat(&self, agent: AgentId, life: &Life, health: Health) -> Result<bool>;

    /// A clean stop: the agent is not waited for any more, and free for the next life at once. `false` as with `heartbeat`.
    async fn sign_off(&self, agent: AgentId, life: &Life) -> Result<bool>;

    /// All about one data set, in one transaction; `None` when it is not in the catalogue.
    async fn snapshot(&self, data_set: &DataSetName) -> Result<Option<Snapshot>>;

    /// Every node.
    async fn nodes(&self) -> Result<FlatMap<NodeId, Node>>;

    /// Names of the data sets in the catalogue.
    async fn data_sets(&self) -> Result<Vec<DataSetName>>;

    /// Keeps a measurement, or a failure; once for each `measurement.job`. Rejected when a value is not a finite number.
    async fn record(&self, measurement: &Measurement, satisfied: bool) -> Result<()>;

    /// Leaves blame on the open ones of these events of others, once for each (event, agent), weighted by the table's clock
    /// (`domain::feedback::blame`, within 0..=1). Past its `closes_at` an event takes none, even before somebody closed it.
    /// Returns what was newly left; sums are in the order in which blame was left.
    async fn leave_feedback(&self, agent: AgentId, events: &[EventId], window: Duration) -> Result<Vec<Feedback>>;

    /// Records a decision to do nothing: an event closed at once, outcome done, which moves no counter. The same key again
    /// returns the same event.
    async fn record_nothing(&self, plan: &Plan) -> Result<EventId>;

    /// Saga step 1. The same key again returns what it was granted the first time, whatever became of it since. Lost, among
    /// other reasons, when the destination leaves or has no room for the data set (what is on the way to it counts as there), when
    /// a budget does not bear it (what is on the way counts as spent),
    /// or the plan names a generation and it is another one by now. Rejected when
    /// the data set or the destination's node is unknown, or the key is another request's.
    async fn claim(&self, plan: &Plan, lease: Duration, window: Duration) -> Result<Claimed>;

    /// Prolongs a running claim's leases, also after they ran out as long as nobody took them. `false`: they are lost, stop.
    async fn renew(&self, event: EventId, lease: Duration) -> Result<bool>;

    /// Saga step 3, with the validators of what arrived at the destination. Committing what is committed already returns the
    /// same; what was aborted is refused.
    async fn commit(&self, event: EventId, arrived: &Validators, drain: Duration) -> Result<Committed>;

    /// Ends a claim that was not committed: leases released, destination marked for removal (returned, also when asked again
    /// while it is to be removed), `outcome` (failed or aborted) set, and `why` joined to the event's detail as `failure`. An
    /// event that is not running stays as it is.
    async fn abort(&self, event: EventId, outcome: Outcome, why: &str) -> Result<Option<Replica>>;

    /// Saga step 4: the object of a `removing` row is deleted, and so is its row now. No error when the row is gone; rejected
    /// when it is in another state.
    async fn removed(&self, replica: ReplicaId) -> Result<()>;

    /// What anybody left whose lease ran out (or was given back); with `own_too` also what `agent` itself holds, which is right
    /// only when nothing of its present life runs yet.
    async fn unfinished(&self, agent: AgentId, own_too: bool) -> Result<Unfinished>;

    /// Closes the windows that are due: the agent's own, and others' after the grace period. Each exactly once, oldest first.
    ///
    /// An action that was done moves its counter: the feedback's mean over all other applications that read the data set and
    /// live (heard of within the rule's silence) or left feedback on the event, against the threshold. A failed or aborted one closes without moving it, for it hurt nobody; a running one
    /// stays open until its end is known.
    async fn close_due(&self, agent: AgentId, rule: ClosingRule) -> Result<Vec<ClosedEvent>>;

    /// What has changed lately, cheaply: to be asked twice a second. `None` when the data set is not in the catalogue.
    async fn pulse(&self, data_set: &DataSetName, home: NodeId) -> Result<Option<Pulse>>;

    /// Posts a question; the same key again returns the same. Rejected when the data set is unknown, when it is about no node or
    /// more than [`NODES_MAX`](crate::domain::ask::NODES_MAX), or its level is not within 0 and 1.
    async fn ask(&self, question: &Question) -> Result<AskId>;

    /// Joins what an agent answers with what it answered before: forecasts and names are added, the rest is replaced. `false`: the question is closed, or not known (any more:
    /// whoever asks about a data set may forget what was asked about it more than a day ago). Rejected when a forecast is not
    /// within -1 and 1, or the level not within 0 and 1.
    async fn reply(&self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool>;

    /// Ends a question: it collects replies no more. No error when it has ended already.
    async fn close_ask(&self, ask: AskId) -> Result<()>;

    /// The questions about a data set that were posted within this time.
    async fn conversation(&self, data_set: &DataSetName, within: Duration) -> Result<Conversation>;

    /// What an agent learned online, by label.
    async fn impacts(&self, agent: AgentId) -> Result<BTreeMap<String, Learned>>;

    /// Replaces what an agent learned under a label; `samples` goes up by one. Rejected when there is nothing to learn or a
    /// value is not a finite number.
    async fn learn(&self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()>;

    /// Events with an id above `after`, oldest first.
    async fn events(&self, after: EventId, limit: usize) -> Result<Vec<Event>>;

    /// The events that are asked for.
    async fn select_events(&self, asked: &Selection) -> Result<Vec<Event>>;

    async fn event(&self, id: EventId) -> Result<Option<Event>>;

    /// The event with this idempotency key: what became of a write whose answer was lost.
    async fn event_by_key(&self, key: &str) -> Result<Option<Event>>;

    /// In the order in which it was left.
    async fn feedback(&self, event: EventId) -> Result<Vec<Feedback>>;

    /// Of the actions on one data set.
    async fn counters(&self, data_set: &DataSetName) -> Result<BTreeMap<Action, Counter>>;

    /// Measurements with an id above `after`, oldest first.
    async fn measurements(&self, after: i64, limit: usize) -> Result<Vec<Recorded>>;

    /// The measurements that are asked for.
    async fn select_measurements(&self, asked: &Selection) -> Result<Vec<Recorded>>;

    /// The latest jobs of one agent on a data set that were measured, not those that failed; oldest first.
    async fn latest_measurements(&self, agent: AgentId, data_set: &DataSetName, limit: usize) -> Result<Vec<Recorded>>;

    /// Declares how available a node is, whatever is measured; `None`: it is what is measured. Rejected when there is no such node.
    async fn set_availability(&self, node: NodeId, declared: Option<Percent>) -> Result<()>;

    /// States where a node listens for its peers, and, once and for all, by which key it is known; what is absent stays. Rejected
    /// when there is no such node, or it is known by another key.
    async fn introduce(&self, node: NodeId, contact: &Contact) -> Result<()>;

    /// From now on a node may be known by another key. Rejected when there is no such node.
    async fn forget_key(&self, node: NodeId) -> Result<()>;

    /// Replaces what was measured of the links from a node, and of the availability of others, as far as it is said. What is about
    /// nodes that are not registered (any more) is left out. Rejected when it makes no sense.
    async fn measured(&self, from: NodeId, measured: &Measured) -> Result<()>;

    /// Replaces what a node is called by. Rejected when there is no such node.
    async fn set_labels(&self, node: NodeId, labels: &Labels) -> Result<()>;

    /// Replaces what constrains the actions on a data set; what has begun goes on, and is held against them again at its commit.
    /// Rejected when the data set is unknown.
    async fn set_constraints(&self, data_set: &DataSetName, constraints: &Constraints) -> Result<()>;

    /// Until then no action on a data set begins; `None`: any may again. Rejected when the data set is unknown.
    async fn pause(&self, data_set: &DataSetName, until: Option<Timestamp>) -> Result<()>;

    /// Adds the prices and budgets that are missing; what is stated already stays as people edited it. What is held is billed from
    /// the first price of storage on. Rejected as a whole when that would make two currencies.
    async fn register_tariff(&self, tariff: &Tariff) -> Result<()>;

    /// Replaces a price or a budget, or lifts it. What was held until now is billed at the former price. Rejected when that would
    /// make two currencies.
    async fn set_price(&self, stated: &Stated) -> Result<()>;

    /// Bills what an agent has read, once for each key, and everything that is held, up to now. Actions are billed by their
    /// commits. Nothing where nothing has a price.
    async fn bill(&self, bill: &Bill) -> Result<()>;

    /// What was charged for days (or hours) that began at that moment or later, added up by cause.
    async fn charges(&self, since: Timestamp) -> Result<Vec<Charge>>;

    /// Declares what one direction of a link takes, whatever is measured; `None`: it is what is measured. Rejected when there is
    /// no such node or the latency is negative.
    async fn set_latency(&self, from: NodeId, to: NodeId, declared_ms: Option<f64>) -> Result<()>;

    /// What was declared and measured of nodes and links at a moment, where that has been changed since; all else was as it is. Also of
    /// nodes that are gone.
    async fn former_environment(&self, at: Timestamp) -> Result<Vec<Saying>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_carried_out_stays_so_until_the_table_answers() {
        let operation = "claim";
        let error = |kind: &str| match kind {
            "refused" => KnowledgeError::NotExecuted { operation, reason: "connection refused".to_owned() },
            "uncertain" => KnowledgeError::Uncertain { operation, reason: "connection lost".to_owned() },
            "rejected" => KnowledgeError::Rejected { operation, reason: "node 7 is not registered".to_owned() },
            _ => KnowledgeError::Unusable { address: "mysql://h/s".to_owned(), reason: "Access denied".to_owned() },
        };
        let check = |before: Option<&str>, now: &str, expected: &str| {
            assert_eq!(
                error(now).after(before.map(error)).to_string(),
                error(expected).to_string(),
                "{before:?}, {now}"
            );
        };
        for kind in ["refused", "uncertain", "rejected", "unusable"] {
            check(None, kind, kind);
            check(Some("refused"), kind, kind);
        }
        check(Some("uncertain"), "refused", "uncertain");
        check(Some("uncertain"), "unusable", "uncertain");
        check(Some("uncertain"), "rejected", "rejected");
    }
}
