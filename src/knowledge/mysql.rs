//! The shared table in a MySQL or MariaDB server, or in a cluster of them, for agents on any number of machines.
//!
//! Nothing is used that Galera, Vitess or TiDB lack. Every question is one statement (`select.rs`); whoever changes the replicas
//! of a data set raises its revision first, so that writers queue there and never wait for each other in a circle. All work
//! happens on the runtime that was handed in: connections belong to the runtime that opened them, and actors have their own.

mod accounts;
mod asks;
mod batch;
mod catalogue;
mod connect;
mod events;
mod failure;
mod load;
mod members;
mod nodes;
mod results;
mod saga;
mod schema;
mod select;
mod tables;

use super::quarantine::Quarantine;
use super::{
    Claimed, ClosedEvent, ClosingRule, Committed, Conversation, Counter, Feedback, Knowledge, Learned, NotedUpload,
    Pulse, Recorded, Registered, Result, Selection, Snapshot, Unfinished,
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
use connect::log_in;
pub use connect::{Host, MysqlSettings, Tls};
use failure::{Failure, Fate, Sent};
use futures::future::BoxFuture;
use members::{Away, LOOK_EVERY, Limits, Member, Members};
pub use results::ResultTables;
pub use schema::{Finding, Prepared, check, init, migrate};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tables::Tables;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// An operation that certainly was not carried out (a deadlock, a lock timeout, a lost transaction) is tried again until its time
/// is over. Pauses double from the first to the longest, each drawn from half to one and a half of that.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A server that is away is waited for only so long a part of that time: whoever asks has something else to do meanwhile.
const ABSENCE: u32 = 8;

/// The shared table of agents on any number of machines.
pub struct MysqlKnowledge {
    server: Arc<Server>,
    runtime: Handle,
}

/// From the server's time since the Unix epoch to the scenario's.
pub type Time = Arc<dyn Fn(Duration) -> Timestamp + Send + Sync>;

/// The server's clock, at the scale of `clock`, which follows it.
pub fn server_time(clock: Arc<dyn Clock>) -> Time {
    Arc::new(move |since_epoch| {
        let now = Timestamp(i64::try_from(clock.record(since_epoch).as_millis()).unwrap_or(i64::MAX));
        clock.follow(now);
        now
    })
}

struct Server {
    /// Without the password.
    address: String,
    members: Members,
    time: Time,
    /// How long an operation may take with all its tries.
    patience: Duration,
    quarantine: Arc<Mutex<Quarantine>>,
}

type Work<A, T> = for<'t> fn(&'t mut Tables, &'t A) -> BoxFuture<'t, std::result::Result<T, Failure>>;

impl MysqlKnowledge {
    /// Connects to a schema that `init` prepared. `runtime` carries the connections as long as it lives.
    pub async fn open(settings: &MysqlSettings, time: Time, runtime: Handle) -> Result<Self> {
        let server = Server {
            address: settings.to_string(),
            members: Members::new(settings),
            time,
            patience: settings.patience,
            quarantine: Arc::default(),
        };
        let opened = Self { server: Arc::new(server), runtime };
        opened.watch_members().await;
        let found = opened.run("open", (), |tables, ()| Box::pin(tables.inspect())).await?;
        found.require_current(&opened.server.address)?;
        Ok(opened)
    }

    /// Looks at every member of a cluster, now and from time to time as long as this lives.
    async fn watch_members(&self) {
        if !self.server.members.are_several() {
            return;
        }
        let server = Arc::clone(&self.server);
        // The connections belong to that runtime; that it ends is found out by whoever asks next.
        _ = self.runtime.spawn(async move { server.members.look_at_all().await }).await;
        let server = Arc::downgrade(&self.server);
        self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(server) = server.upgrade() else { return };
                server.members.look_at_all().await;
            }
        });
    }

    /// Sets counters of a data set, as if events had moved them. For experiments that start in the middle.
    pub async fn seed_counters(&self, data_set: &DataSetName, counters: &BTreeMap<Action, Counter>) -> Result<()> {
        let request = (data_set.clone(), counters.clone());
        self.run("seed counters", request, |tables, (name, counters)| Box::pin(tables.seed_counters(name, counters)))
            .await
    }

    /// Replaces the replicas and references of a registered data set. For experiments that start in the middle.
    pub async fn seed_placement(&self, data_set: &DataSetName, placement: &Placement) -> Result<()> {
        self.run("seed placement", (data_set.clone(), placement.clone()), |tables, (data_set, placement)| {
            Box::pin(tables.seed_placement(data_set, placement))
        })
        .await
    }

    /// Carries an operation to its end, also when the caller stops waiting for it.
    async fn run<A, T>(&self, operation: &'static str, arguments: A, work: Work<A, T>) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let server = Arc::clone(&self.server);
        let done = self.runtime.spawn(async move { server.persist(&arguments, work).await });
        let result = match done.await {
            Ok(result) => result,
            Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
            Err(_) => Err(Failure::ShuttingDown),
        };
        result.map_err(|failure| failure.during(operation, &self.server.address))
    }
}

impl Server {
    /// Again and again, as long as it certainly was not carried out and is likely to succeed soon; at the next member of a
    /// cluster at once, where one is away.
    async fn persist<A, T>(self: &Arc<Self>, arguments: &A, work: Work<A, T>) -> std::result::Result<T, Failure> {
        let began = Instant::now();
        let deadline = began + self.patience;
        let (mut pause, mut before, mut away) = (FIRST_PAUSE, None, Away::default());
        loop {
            let Some((at, member)) = self.members.next(&away.members) else {
                unreachable!("a round ends when all are")
            };
            let failure = match self.attempt(at, member, deadline, arguments, work).await {
                Err(failure) if self.members.are_several() && failure.is_of_this_server() => {
                    away.note(at, &member.host, &failure);
                    if self.members.next(&away.members).is_some() && Instant::now() < deadline {
                        continue;
                    }
                    std::mem::take(&mut away).into_failure()
                }
                Err(failure) if failure.fate() == Fate::TryAgain => failure,
                // Its time was over in the middle of another try: what made it necessary says more.
                Err(silent @ Failure::Silent(_, Sent::Revocable)) => return Err(before.unwrap_or(silent)),
                other => {
                    let is_lost = other.as_ref().is_err_and(|failure| failure.fate() == Fate::Uncertain);
                    if is_lost {
                        self.members.ask_after(at, "it did not say what became of a commit");
                    } else if !away.reasons.is_empty() {
                        self.members.ask(at, &away.reasons.join("; "));
                    }
                    return other;
                }
            };
            let until = if failure.is_absence() { began + self.patience / ABSENCE } else { deadline };
            let wait = pause.mul_f64(rand::random_range(0.5..1.5));
            if failure.is_unusable() || Instant::now() + wait >= until {
                return Err(failure);
            }
            tracing::debug!(reason = failure.reason(), "another try");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            before = Some(failure);
        }
    }

    async fn attempt<A, T>(
        self: &Arc<Self>,
        at: usize,
        member: &Arc<Member>,
        deadline: Instant,
        arguments: &A,
        work: Work<A, T>,
    ) -> std::result::Result<T, Failure> {
        let Limits { to_connect, to_answer } = self.members.limits();
        let connected = timeout_at(deadline.min(Instant::now() + to_connect), log_in(|| member.pool.get_conn())).await;
        let connection = match connected {
            Ok(connection) => connection.map_err(|error| Failure::Database(error, Sent::Revocable))?,
            Err(_) => return Err(Failure::Silent(to_connect, Sent::Revocable)),
        };
        self.members.require_fit(at)?;
        let mut tables = Tables::new(connection, Arc::clone(self), Arc::clone(member));
        let limit = deadline.min(Instant::now() + to_answer);
        let result = match timeout_at(limit, work(&mut tables, arguments)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Silent(to_answer, tables.sent)),
        };
        tables.give_back(result.as_ref().err().is_none_or(Failure::leaves_connection)).await;
        result
    }
}

#[async_trait]
impl Knowledge for MysqlKnowledge {
    async fn register_network(&self, nodes: &[Node], links: &[Link]) -> Result<()> {
        self.run("register network", (nodes.to_vec(), links.to_vec()), |tables, (nodes, links)| {
            Box::pin(tables.register_network(nodes, links))
        })
        .await
    }

    async fn add_nodes(&self, nodes: &[Node], links: &[Link], are: Links) -> Result<()> {
        self.run("add nodes", (nodes.to_vec(), links.to_vec(), are), |tables, (nodes, links, are)| {
            Box::pin(tables.add_nodes(nodes, links, *are))
        })
        .await
    }

    async fn leave_node(&self, node: NodeId, silence: Duration, drain: Duration) -> Result<Vec<Replica>> {
        self.run("leave node", (node, silence, drain), |tables, (node, silence, drain)| {
            Box::pin(tables.leave_node(*node, *silence, *drain))
        })
        .await
    }

    async fn remove_node(&self, node: NodeId) -> Result<Vec<Replica>> {
        self.run("remove node", node, |tables, node| Box::pin(tables.remove_node(*node))).await
    }

    async fn register_store(&self, node: NodeId, store_url: &str) -> Result<()> {
        self.run("register store", (node, store_url.to_owned()), |tables, (node, store_url)| {
            Box::pin(tables.register_store(*node, store_url))
        })
        .await
    }

    async fn describe_store(&self, node: NodeId, traits: &StoreTraits) -> Result<()> {
        let arguments = (node, traits.clone());
        self.run("describe store", arguments, |tables, (node, traits)| Box::pin(tables.describe_store(*node, traits)))
            .await
    }

    async fn note_upload(&self, node: NodeId, object_key: &str, upload_id: &str, agent: AgentId) -> Result<()> {
        let arguments = (node, object_key.to_owned(), upload_id.to_owned(), agent);
        self.run("note upload", arguments, |tables, (node, key, id, agent)| {
            Box::pin(tables.note_upload(*node, key, id, *agent))
        })
        .await
    }

    async fn forget_upload(&self, node: NodeId, object_key: &str, upload_id: &str) -> Result<()> {
        let arguments = (node, object_key.to_owned(), upload_id.to_owned());
        self.run("forget upload", arguments, |tables, (node, key, id)| Box::pin(tables.forget_upload(*node, key, id)))
            .await
    }

    async fn uploads(&self, node: NodeId) -> Result<Vec<NotedUpload>> {
        self.run("uploads", node, |tables, node| Box::pin(tables.uploads(*node))).await
    }

    async fn register_data_set(
        &self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
    ) -> Result<bool> {
        let arguments = (data_set.clone(), node, object_key.to_owned(), validators.clone());
        self.run("register data set", arguments, |tables, (data_set, node, object_key, validators)| {
            Box::pin(tables.register_data_set(data_set, *node, object_key, validators))
        })
        .await
    }

    async fn remove_data_set(&self, data_set: &DataSetName, silence: Duration) -> Result<Vec<Replica>> {
        let request = (data_set.clone(), silence);
        self.run("remove data set", request, |tables, (name, silence)| Box::pin(tables.remove_data_set(name, *silence)))
            .await
    }

    async fn found(&self, replica: ReplicaId, generation: i64, condition: &Condition) -> Result<bool> {
        self.run("found", (replica, generation, condition.clone()), |tables, (replica, generation, condition)| {
            Box::pin(tables.found(*replica, *generation, condition))
        })
        .await
    }

    async fn accept(
        &self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
    ) -> Result<bool> {
        let arguments = (data_set.clone(), written_bytes, replica, generation, validators.clone());
        self.run("accept", arguments, |tables, (data_set, written_bytes, replica, generation, validators)| {
            Box::pin(tables.accept(data_set, *written_bytes, *replica, *generation, validators))
        })
        .await
    }

    async fn register_agent(
        &self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
    ) -> Result<Registered> {
        let arguments = (registration.clone(), data_sets.to_vec(), identity.clone());
        self.run("register agent", arguments, |tables, (registration, data_sets, identity)| {
            Box::pin(tables.register_agent(registration, data_sets, identity))
        })
        .await
    }

    async fn set_override(&self, agent: AgentId, stated: &Override) -> Result<()> {
        self.run("set override", (agent, stated.clone()), |tables, (agent, stated)| {
            Box::pin(tables.set_override(*agent, stated))
        })
        .await
    }

    async fn heartbeat(&self, agent: AgentId, life: &Life, health: Health) -> Result<bool> {
        self.run("heartbeat", (agent, life.clone(), health), |tables, (agent, life, health)| {
            Box::pin(tables.heartbeat(*agent, life, *health))
        })
        .await
    }

    async fn sign_off(&self, agent: AgentId, life: &Life) -> Result<bool> {
        self.run("sign off", (agent, life.clone()), |tables, (agent, life)| Box::pin(tables.sign_off(*agent, life)))
            .await
    }

    async fn snapshot(&self, data_set: &DataSetName) -> Result<Option<Snapshot>> {
        self.run("snapshot", data_set.clone(), |tables, data_set| Box::pin(tables.snapshot(data_set))).await
    }

    async fn nodes(&self) -> Result<FlatMap<NodeId, Node>> {
        self.run("nodes", (), |tables, ()| Box::pin(tables.nodes())).await
    }

    async fn data_sets(&self) -> Result<Vec<DataSetName>> {
        self.run("data sets", (), |tables, ()| Box::pin(tables.data_sets())).await
    }

    async fn record(&self, measurement: &Measurement, satisfied: bool) -> Result<()> {
        self.run("record", (measurement.clone(), satisfied), |tables, (measurement, satisfied)| {
            Box::pin(tables.record(measurement, *satisfied))
        })
        .await
    }

    async fn leave_feedback(&self, agent: AgentId, events: &[EventId], window: Duration) -> Result<Vec<Feedback>> {
        self.run("leave feedback", (agent, events.to_vec(), window), |tables, (agent, events, window)| {
            Box::pin(tables.leave_feedback(*agent, events, *window))
        })
        .await
    }

    async fn record_nothing(&self, plan: &Plan) -> Result<EventId> {
        self.run("record nothing", plan.clone(), |tables, plan| Box::pin(tables.record_nothing(plan))).await
    }

    async fn claim(&self, plan: &Plan, lease: Duration, window: Duration) -> Result<Claimed> {
        self.run("claim", (plan.clone(), lease, window), |tables, (plan, lease, window)| {
            Box::pin(tables.claim(plan, *lease, *window))
        })
        .await
    }

    async fn renew(&self, event: EventId, lease: Duration) -> Result<bool> {
        self.run("renew", (event, lease), |tables, (event, lease)| Box::pin(tables.renew(*event, *lease))).await
    }

    async fn commit(&self, event: EventId, arrived: &Validators, drain: Duration) -> Result<Committed> {
        self.run("commit", (event, arrived.clone(), drain), |tables, (event, arrived, drain)| {
            Box::pin(tables.commit_claim(*event, arrived, *drain))
        })
        .await
    }

    async fn abort(&self, event: EventId, outcome: Outcome, why: &str) -> Result<Option<Replica>> {
        self.run("abort", (event, outcome, why.to_owned()), |tables, (event, outcome, why)| {
            Box::pin(tables.abort(*event, *outcome, why))
        })
        .await
    }

    async fn removed(&self, replica: ReplicaId) -> Result<()> {
        self.run("removed", replica, |tables, replica| Box::pin(tables.removed(*replica))).await
    }

    async fn unfinished(&self, agent: AgentId, own_too: bool) -> Result<Unfinished> {
        let own = own_too.then_some(agent);
        self.run("unfinished", own, |tables, own| Box::pin(tables.unfinished(*own))).await
    }

    async fn close_due(&self, agent: AgentId, rule: ClosingRule) -> Result<Vec<ClosedEvent>> {
        self.run("close due", (agent, rule), |tables, (agent, rule)| Box::pin(tables.close_due(*agent, *rule))).await
    }

    async fn pulse(&self, data_set: &DataSetName, home: NodeId) -> Result<Option<Pulse>> {
        self.run("pulse", (data_set.clone(), home), |tables, (data_set, home)| Box::pin(tables.pulse(data_set, *home)))
            .await
    }

    async fn ask(&self, question: &Question) -> Result<AskId> {
        self.run("ask", question.clone(), |tables, question| Box::pin(tables.post_ask(question))).await
    }

    async fn reply(&self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool> {
        self.run("reply", (ask, agent, reply.clone()), |tables, (ask, agent, reply)| {
            Box::pin(tables.reply(*ask, *agent, reply))
        })
        .await
    }

    async fn close_ask(&self, ask: AskId) -> Result<()> {
        self.run("close ask", ask, |tables, ask| Box::pin(tables.close_ask(*ask))).await
    }

    async fn conversation(&self, data_set: &DataSetName, within: Duration) -> Result<Conversation> {
        self.run("conversation", (data_set.clone(), within), |tables, (data_set, within)| {
            Box::pin(tables.conversation(data_set, *within))
        })
        .await
    }

    async fn impacts(&self, agent: AgentId) -> Result<BTreeMap<String, Learned>> {
        self.run("impacts", agent, |tables, agent| Box::pin(tables.impacts(*agent))).await
    }

    async fn learn(&self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()> {
        self.run("learn", (agent, label.to_owned(), *impacts), |tables, (agent, label, impacts)| {
            Box::pin(tables.learn(*agent, label, impacts))
        })
        .await
    }

    async fn events(&self, after: EventId, limit: usize) -> Result<Vec<Event>> {
        self.run("events", (after, limit), |tables, (after, limit)| Box::pin(tables.events(*after, *limit))).await
    }

    async fn select_events(&self, asked: &Selection) -> Result<Vec<Event>> {
        self.run("select events", asked.clone(), |tables, asked| Box::pin(tables.select_events(asked))).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>> {
        self.run("event", id, |tables, id| Box::pin(tables.event(*id))).await
    }

    async fn event_by_key(&self, key: &str) -> Result<Option<Event>> {
        self.run("event by key", key.to_owned(), |tables, key| Box::pin(tables.event_by_key(key))).await
    }

    async fn feedback(&self, event: EventId) -> Result<Vec<Feedback>> {
        self.run("feedback", event, |tables, event| Box::pin(tables.feedback(*event))).await
    }

    async fn counters(&self, data_set: &DataSetName) -> Result<BTreeMap<Action, Counter>> {
        self.run("counters", data_set.clone(), |tables, name| Box::pin(tables.counters(name))).await
    }

    async fn measurements(&self, after: i64, limit: usize) -> Result<Vec<Recorded>> {
        self.run("measurements", (after, limit), |tables, (after, limit)| Box::pin(tables.measurements(*after, *limit)))
            .await
    }

    async fn select_measurements(&self, asked: &Selection) -> Result<Vec<Recorded>> {
        self.run("select measurements", asked.clone(), |tables, asked| Box::pin(tables.select_measurements(asked)))
            .await
    }

    async fn latest_measurements(&self, agent: AgentId, data_set: &DataSetName, limit: usize) -> Result<Vec<Recorded>> {
        let arguments = (agent, data_set.clone(), limit);
        self.run("latest measurements", arguments, |tables, (agent, data_set, limit)| {
            Box::pin(tables.latest_measurements(*agent, data_set, *limit))
        })
        .await
    }

    async fn set_availability(&self, node: NodeId, declared: Option<Percent>) -> Result<()> {
        self.run("set availability", (node, declared), |tables, (node, declared)| {
            Box::pin(tables.set_availability(*node, *declared))
        })
        .await
    }

    async fn introduce(&self, node: NodeId, contact: &Contact) -> Result<()> {
        self.run("introduce", (node, contact.clone()), |tables, (node, contact)| {
            Box::pin(tables.introduce(*node, contact))
        })
        .await
    }

    async fn forget_key(&self, node: NodeId) -> Result<()> {
        self.run("forget key", node, |tables, node| Box::pin(tables.forget_key(*node))).await
    }

    async fn measured(&self, from: NodeId, measured: &Measured) -> Result<()> {
        self.run("measured", (from, measured.clone()), |tables, (from, measured)| {
            Box::pin(tables.measured(*from, measured))
        })
        .await
    }

    async fn set_labels(&self, node: NodeId, labels: &Labels) -> Result<()> {
        self.run("set labels", (node, labels.clone()), |tables, (node, labels)| {
            Box::pin(tables.set_labels(*node, labels))
        })
        .await
    }

    async fn set_constraints(&self, data_set: &DataSetName, constraints: &Constraints) -> Result<()> {
        self.run("set constraints", (data_set.clone(), constraints.clone()), |tables, (data_set, constraints)| {
            Box::pin(tables.set_constraints(data_set, constraints))
        })
        .await
    }

    async fn pause(&self, data_set: &DataSetName, until: Option<Timestamp>) -> Result<()> {
        self.run("pause", (data_set.clone(), until), |tables, (data_set, until)| {
            Box::pin(tables.pause(data_set, *until))
        })
        .await
    }

    async fn register_tariff(&self, tariff: &Tariff) -> Result<()> {
        self.run("register prices", tariff.clone(), |tables, tariff| Box::pin(tables.register_tariff(tariff))).await
    }

    async fn set_price(&self, stated: &Stated) -> Result<()> {
        self.run("set price", *stated, |tables, stated| Box::pin(tables.set_price(stated))).await
    }

    async fn bill(&self, bill: &Bill) -> Result<()> {
        self.run("bill", bill.clone(), |tables, bill| Box::pin(tables.bill(bill))).await
    }

    async fn charges(&self, since: Timestamp) -> Result<Vec<Charge>> {
        self.run("charges", since, |tables, since| Box::pin(tables.charges(*since))).await
    }

    async fn set_latency(&self, from: NodeId, to: NodeId, declared_ms: Option<f64>) -> Result<()> {
        self.run("set latency", (from, to, declared_ms), |tables, (from, to, declared_ms)| {
            Box::pin(tables.set_latency(*from, *to, *declared_ms))
        })
        .await
    }

    async fn former_environment(&self, at: Timestamp) -> Result<Vec<Saying>> {
        self.run("former environment", at, |tables, at| Box::pin(tables.former_environment(*at))).await
    }
}

#[cfg(test)]
mod tests;
