//! The shared table in one SQLite file, for agents on one machine: any number of processes may share it.
//!
//! Writes are `begin immediate` transactions, so they happen one after the other across all processes; readers never wait
//! (WAL). All work happens on tokio's threads for blocking work, never on the caller's.

mod accounts;
mod asks;
mod batch;
mod catalogue;
mod connect;
mod events;
mod load;
mod look;
mod nodes;
mod rows;
mod saga;

use super::quarantine::Quarantine;
use super::{
    Claimed, ClosedEvent, ClosingRule, Committed, Conversation, Counter, Feedback, Knowledge, KnowledgeError, Learned,
    NotedUpload, Pulse, Recorded, Registered, Result, Selection, Snapshot, Unfinished,
};
use agent_core::clock::Clock;
use agent_core::domain::action::Action;
use agent_core::domain::ask::{Question, Reply};
use agent_core::domain::books::{Bill, Charge, Stated, Tariff};
use agent_core::domain::constraints::Constraints;
use agent_core::domain::environment::{Contact, Links, Measured, Saying};
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId, ReplicaId};
use agent_core::domain::impact::Impacts;
use agent_core::domain::labels::Labels;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::placement::{
    Condition, DataSet, Health, Identity, Link, Node, Override, Placement, Plan, Registration, Replica, StoreTraits,
};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::domain::validators::Validators;
use async_trait::async_trait;
use connect::Failure;
use look::FileState;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The shared table of agents on one machine.
pub struct SqliteKnowledge {
    file: Arc<File>,
}

struct File {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Whoever comes waits for it in the order of coming, and takes no thread before: fifty readers would be fifty threads that wake
    /// each other, and an agent would wait for as long as chance has it. A panic rolls its transaction back, so what it leaves is sound.
    session: Arc<Mutex<Session>>,
}

struct Session {
    connection: Connection,
    quarantine: Quarantine,
    /// Of a file that is only looked at: its condition when it was opened.
    condition: Option<FileState>,
}

/// A file that changes while it is looked at is looked at again, so often (I-7).
const LOOKS: u32 = 10;

/// All tables within one transaction; the files in `sqlite/` say what it can do.
struct Tables<'a> {
    transaction: &'a Transaction<'a>,
    now: Timestamp,
    quarantine: &'a mut Quarantine,
}

impl SqliteKnowledge {
    /// Opens the file at `path`, creating it when it is missing. Waits (at most some seconds) for other processes that are
    /// creating it at the same moment.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let connection = connect::open(path, clock.now())?;
        Ok(Self::over(path, clock, connection, None))
    }

    /// Opens the file at `path` for reading alone: nothing is written, not even beside it, and nothing is made. Every write
    /// fails.
    pub fn open_to_read(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let (connection, condition) = look::open(path, clock.now(), connect::BUSY_TIMEOUT)?;
        Ok(Self::over(path, clock, connection, Some(condition)))
    }

    fn over(path: &Path, clock: Arc<dyn Clock>, connection: Connection, condition: Option<FileState>) -> Self {
        let session = Mutex::new(Session { connection, quarantine: Quarantine::default(), condition });
        Self { file: Arc::new(File { path: path.to_owned(), clock, session: Arc::new(session) }) }
    }

    /// Sets counters of a data set, as if events had moved them. For experiments that start in the middle.
    pub async fn seed_counters(&self, data_set: &DataSetName, counters: &BTreeMap<Action, Counter>) -> Result<()> {
        let (data_set, counters) = (data_set.clone(), counters.clone());
        self.write("seed counters", move |tables| tables.seed_counters(&data_set, &counters)).await
    }

    /// Replaces the replicas and references of a registered data set. For experiments that start in the middle.
    pub async fn seed_placement(&self, data_set: &DataSetName, placement: &Placement) -> Result<()> {
        let (data_set, placement) = (data_set.clone(), placement.clone());
        self.write("seed placement", move |tables| tables.seed_placement(&data_set, &placement)).await
    }

    /// One consistent look at all tables.
    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl Fn(&mut Tables<'_>) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.blocking(operation, move |file, session| file.look(session, work)).await
    }

    /// All of the work or, when it fails, nothing.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Tables<'_>) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.blocking(operation, move |file, session| {
            session.transact(file.clock.as_ref(), TransactionBehavior::Immediate, work)
        })
        .await
    }

    /// Runs on a thread that may wait for the disk.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&File, &mut Session) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let file = Arc::clone(&self.file);
        let mut session = Arc::clone(&file.session).lock_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            work(&file, &mut session).map_err(|failure| failure.during(operation, &file.path))
        });
        match done.await {
            Ok(result) => result,
            Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
            Err(_) => {
                let reason = format!("{}: this process is shutting down", self.file.path.display());
                Err(KnowledgeError::NotExecuted { operation, reason })
            }
        }
    }
}

impl Session {
    fn transact<T>(
        &mut self,
        clock: &dyn Clock,
        behavior: TransactionBehavior,
        work: impl FnOnce(&mut Tables<'_>) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Failure> {
        let transaction = Transaction::new(&mut self.connection, behavior)?;
        // Read under the write lock: the order of times is the order of transactions.
        let now = clock.now();
        self.quarantine.at(now);
        let result = work(&mut Tables { transaction: &transaction, now, quarantine: &mut self.quarantine })?;
        transaction.commit().map_err(Failure::Committing)?;
        Ok(result)
    }

    /// Lets go of the file: the last writer that closes it takes its log away, unless somebody has it open.
    fn rest(&mut self) -> rusqlite::Result<()> {
        (self.connection, self.condition) = (Connection::open_in_memory()?, Some(FileState::Copied));
        Ok(())
    }
}

impl File {
    /// One transaction that only reads.
    fn look<T>(
        &self,
        session: &mut Session,
        work: impl Fn(&mut Tables<'_>) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Failure> {
        if session.condition.is_none() {
            return session.transact(self.clock.as_ref(), TransactionBehavior::Deferred, work);
        }
        let condition = || FileState::of(&self.path).ok();
        for _ in 0..LOOKS {
            if session.condition != condition() {
                let opened = look::open(&self.path, self.clock.now(), connect::BUSY_TIMEOUT);
                let (connection, condition) = opened.map_err(Failure::Opening)?;
                (session.connection, session.condition) = (connection, Some(condition));
            }
            let seen = session.transact(self.clock.as_ref(), TransactionBehavior::Deferred, &work);
            if matches!(session.condition, Some(FileState::Logged(_))) {
                session.rest()?;
                return seen;
            }
            // Without a lock, what was read while it changed is worth nothing: neither a result nor an error.
            if session.condition == Some(FileState::Copied) || session.condition == condition() {
                return seen;
            }
        }
        Err(Failure::Unsteady)
    }

    /// Waits until everything committed so far is on the disk; `false` when somebody else is in the way for too long.
    fn reach_the_disk(&self, session: &mut Session) -> std::result::Result<bool, Failure> {
        let busy: i64 = session.connection.query_row("pragma wal_checkpoint(full)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }
}

#[async_trait]
impl Knowledge for SqliteKnowledge {
    async fn register_network(&self, nodes: &[Node], links: &[Link]) -> Result<()> {
        let (nodes, links) = (nodes.to_vec(), links.to_vec());
        self.write("register network", move |tables| tables.register_network(&nodes, &links)).await
    }

    async fn add_nodes(&self, nodes: &[Node], links: &[Link], are: Links) -> Result<()> {
        let (nodes, links) = (nodes.to_vec(), links.to_vec());
        self.write("add nodes", move |tables| tables.add_nodes(&nodes, &links, are)).await
    }

    async fn leave_node(&self, node: NodeId, silence: Duration, drain: Duration) -> Result<Vec<Replica>> {
        self.write("leave node", move |tables| tables.leave_node(node, silence, drain)).await
    }

    async fn remove_node(&self, node: NodeId) -> Result<Vec<Replica>> {
        self.write("remove node", move |tables| tables.remove_node(node)).await
    }

    async fn register_store(&self, node: NodeId, store_url: &str) -> Result<()> {
        let store_url = store_url.to_owned();
        self.write("register store", move |tables| tables.register_store(node, &store_url)).await
    }

    async fn describe_store(&self, node: NodeId, traits: &StoreTraits) -> Result<()> {
        let traits = traits.clone();
        self.write("describe store", move |tables| tables.describe_store(node, &traits)).await
    }

    async fn note_upload(&self, node: NodeId, object_key: &str, upload_id: &str, agent: AgentId) -> Result<()> {
        let (key, id) = (object_key.to_owned(), upload_id.to_owned());
        self.write("note upload", move |tables| tables.note_upload(node, &key, &id, agent)).await
    }

    async fn forget_upload(&self, node: NodeId, object_key: &str, upload_id: &str) -> Result<()> {
        let (key, id) = (object_key.to_owned(), upload_id.to_owned());
        self.write("forget upload", move |tables| tables.forget_upload(node, &key, &id)).await
    }

    async fn uploads(&self, node: NodeId) -> Result<Vec<NotedUpload>> {
        self.read("uploads", move |tables| tables.uploads(node)).await
    }

    async fn register_data_set(
        &self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
    ) -> Result<bool> {
        let (data_set, key, validators) = (data_set.clone(), object_key.to_owned(), validators.clone());
        let register = move |tables: &mut Tables<'_>| tables.register_data_set(&data_set, node, &key, &validators);
        self.write("register data set", register).await
    }

    async fn remove_data_set(&self, data_set: &DataSetName, silence: Duration) -> Result<Vec<Replica>> {
        let data_set = data_set.clone();
        self.write("remove data set", move |tables| tables.remove_data_set(&data_set, silence)).await
    }

    async fn found(&self, replica: ReplicaId, generation: i64, condition: &Condition) -> Result<bool> {
        let condition = condition.clone();
        self.write("found", move |tables| tables.found(replica, generation, &condition)).await
    }

    async fn accept(
        &self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
    ) -> Result<bool> {
        let (data_set, validators) = (data_set.clone(), validators.clone());
        self.write("accept", move |tables| tables.accept(&data_set, written_bytes, replica, generation, &validators))
            .await
    }

    async fn register_agent(
        &self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
    ) -> Result<Registered> {
        let (registration, data_sets, identity) = (registration.clone(), data_sets.to_vec(), identity.clone());
        self.write("register agent", move |tables| tables.register_agent(&registration, &data_sets, &identity)).await
    }

    async fn set_override(&self, agent: AgentId, stated: &Override) -> Result<()> {
        let stated = stated.clone();
        self.write("set override", move |tables| tables.set_override(agent, &stated)).await
    }

    async fn heartbeat(&self, agent: AgentId, life: &Life, health: Health) -> Result<bool> {
        let life = life.clone();
        self.write("heartbeat", move |tables| tables.heartbeat(agent, &life, health)).await
    }

    async fn sign_off(&self, agent: AgentId, life: &Life) -> Result<bool> {
        let life = life.clone();
        self.write("sign off", move |tables| tables.sign_off(agent, &life)).await
    }

    async fn snapshot(&self, data_set: &DataSetName) -> Result<Option<Snapshot>> {
        let data_set = data_set.clone();
        self.read("snapshot", move |tables| tables.snapshot(&data_set)).await
    }

    async fn nodes(&self) -> Result<FlatMap<NodeId, Node>> {
        self.read("nodes", |tables| tables.nodes()).await
    }

    async fn data_sets(&self) -> Result<Vec<DataSetName>> {
        self.read("data sets", |tables| tables.data_sets()).await
    }

    async fn record(&self, measurement: &Measurement, satisfied: bool) -> Result<()> {
        let measurement = measurement.clone();
        self.write("record", move |tables| tables.record(&measurement, satisfied)).await
    }

    async fn leave_feedback(&self, agent: AgentId, events: &[EventId], window: Duration) -> Result<Vec<Feedback>> {
        let events = events.to_vec();
        self.write("leave feedback", move |tables| tables.leave_feedback(agent, &events, window)).await
    }

    async fn record_nothing(&self, plan: &Plan) -> Result<EventId> {
        let plan = plan.clone();
        self.write("record nothing", move |tables| tables.record_nothing(&plan)).await
    }

    async fn claim(&self, plan: &Plan, lease: Duration, window: Duration) -> Result<Claimed> {
        let plan = plan.clone();
        self.write("claim", move |tables| tables.claim(&plan, lease, window)).await
    }

    async fn renew(&self, event: EventId, lease: Duration) -> Result<bool> {
        self.write("renew", move |tables| tables.renew(event, lease)).await
    }

    async fn commit(&self, event: EventId, arrived: &Validators, drain: Duration) -> Result<Committed> {
        let arrived = arrived.clone();
        self.write("commit", move |tables| tables.commit(event, &arrived, drain)).await
    }

    async fn abort(&self, event: EventId, outcome: Outcome, why: &str) -> Result<Option<Replica>> {
        let why = why.to_owned();
        self.write("abort", move |tables| tables.abort(event, outcome, &why)).await
    }

    async fn removed(&self, replica: ReplicaId) -> Result<()> {
        self.write("removed", move |tables| tables.removed(replica)).await
    }

    async fn unfinished(&self, agent: AgentId, own_too: bool) -> Result<Unfinished> {
        let mut unfinished = self.read("unfinished", move |tables| tables.unfinished(own_too.then_some(agent))).await?;
        // A deletion cannot be taken back: the commit that allows it has to survive a power cut first.
        if !unfinished.removing.is_empty() && !self.blocking("unfinished", File::reach_the_disk).await? {
            unfinished.removing.clear();
        }
        Ok(unfinished)
    }

    async fn close_due(&self, agent: AgentId, rule: ClosingRule) -> Result<Vec<ClosedEvent>> {
        self.write("close due", move |tables| tables.close_due(agent, rule)).await
    }

    async fn pulse(&self, data_set: &DataSetName, home: NodeId) -> Result<Option<Pulse>> {
        let data_set = data_set.clone();
        self.read("pulse", move |tables| tables.pulse(&data_set, home)).await
    }

    async fn ask(&self, question: &Question) -> Result<AskId> {
        let question = question.clone();
        self.write("ask", move |tables| tables.ask(&question)).await
    }

    async fn reply(&self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool> {
        let reply = reply.clone();
        self.write("reply", move |tables| tables.reply(ask, agent, &reply)).await
    }

    async fn close_ask(&self, ask: AskId) -> Result<()> {
        self.write("close ask", move |tables| tables.close_ask(ask)).await
    }

    async fn conversation(&self, data_set: &DataSetName, within: Duration) -> Result<Conversation> {
        let data_set = data_set.clone();
        self.read("conversation", move |tables| tables.conversation(&data_set, within)).await
    }

    async fn impacts(&self, agent: AgentId) -> Result<BTreeMap<String, Learned>> {
        self.read("impacts", move |tables| tables.impacts(agent)).await
    }

    async fn learn(&self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()> {
        let (label, impacts) = (label.to_owned(), *impacts);
        self.write("learn", move |tables| tables.learn(agent, &label, &impacts)).await
    }

    async fn events(&self, after: EventId, limit: usize) -> Result<Vec<Event>> {
        self.read("events", move |tables| tables.events(after, limit)).await
    }

    async fn select_events(&self, asked: &Selection) -> Result<Vec<Event>> {
        let asked = asked.clone();
        self.read("select events", move |tables| tables.select_events(&asked)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>> {
        self.read("event", move |tables| tables.event(id)).await
    }

    async fn event_by_key(&self, key: &str) -> Result<Option<Event>> {
        let key = key.to_owned();
        self.read("event by key", move |tables| tables.event_by_key(&key)).await
    }

    async fn feedback(&self, event: EventId) -> Result<Vec<Feedback>> {
        self.read("feedback", move |tables| tables.feedback(event)).await
    }

    async fn counters(&self, data_set: &DataSetName) -> Result<BTreeMap<Action, Counter>> {
        let data_set = data_set.clone();
        self.read("counters", move |tables| tables.counters(&data_set)).await
    }

    async fn measurements(&self, after: i64, limit: usize) -> Result<Vec<Recorded>> {
        self.read("measurements", move |tables| tables.measurements(after, limit)).await
    }

    async fn select_measurements(&self, asked: &Selection) -> Result<Vec<Recorded>> {
        let asked = asked.clone();
        self.read("select measurements", move |tables| tables.select_measurements(&asked)).await
    }

    async fn latest_measurements(&self, agent: AgentId, data_set: &DataSetName, limit: usize) -> Result<Vec<Recorded>> {
        let data_set = data_set.clone();
        self.read("latest_measurements", move |tables| tables.latest_measurements(agent, &data_set, limit)).await
    }

    async fn set_availability(&self, node: NodeId, declared: Option<Percent>) -> Result<()> {
        self.write("set availability", move |tables| tables.set_availability(node, declared)).await
    }

    async fn introduce(&self, node: NodeId, contact: &Contact) -> Result<()> {
        let contact = contact.clone();
        self.write("introduce", move |tables| tables.introduce(node, &contact)).await
    }

    async fn forget_key(&self, node: NodeId) -> Result<()> {
        self.write("forget key", move |tables| tables.forget_key(node)).await
    }

    async fn measured(&self, from: NodeId, measured: &Measured) -> Result<()> {
        let measured = measured.clone();
        self.write("measured", move |tables| tables.measured(from, &measured)).await
    }

    async fn set_labels(&self, node: NodeId, labels: &Labels) -> Result<()> {
        let labels = labels.clone();
        self.write("set labels", move |tables| tables.set_labels(node, &labels)).await
    }

    async fn set_constraints(&self, data_set: &DataSetName, constraints: &Constraints) -> Result<()> {
        let (data_set, constraints) = (data_set.clone(), constraints.clone());
        self.write("set constraints", move |tables| tables.set_constraints(&data_set, &constraints)).await
    }

    async fn pause(&self, data_set: &DataSetName, until: Option<Timestamp>) -> Result<()> {
        let data_set = data_set.clone();
        self.write("pause", move |tables| tables.pause(&data_set, until)).await
    }

    async fn register_tariff(&self, tariff: &Tariff) -> Result<()> {
        let tariff = tariff.clone();
        self.write("register prices", move |tables| tables.register_tariff(&tariff)).await
    }

    async fn set_price(&self, stated: &Stated) -> Result<()> {
        let stated = *stated;
        self.write("set price", move |tables| tables.set_price(&stated)).await
    }

    async fn bill(&self, bill: &Bill) -> Result<()> {
        let bill = bill.clone();
        self.write("bill", move |tables| tables.bill(&bill)).await
    }

    async fn charges(&self, since: Timestamp) -> Result<Vec<Charge>> {
        self.read("charges", move |tables| tables.charges(since)).await
    }

    async fn set_latency(&self, from: NodeId, to: NodeId, declared_ms: Option<f64>) -> Result<()> {
        self.write("set latency", move |tables| tables.set_latency(from, to, declared_ms)).await
    }

    async fn former_environment(&self, at: Timestamp) -> Result<Vec<Saying>> {
        self.read("former environment", move |tables| tables.former_environment(at)).await
    }
}

#[cfg(test)]
mod tests;
