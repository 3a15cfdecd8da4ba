//! The shared table in this process's memory: for the simulator, and the model that the other technologies are held to.
//!
//! One mutex around a plain struct (`table::Table`); no operation waits for anything, so every future is ready at once.

mod accounts;
mod table;

use super::rules;
use super::{
    Claimed, ClosedEvent, ClosingRule, Committed, Conversation, Counter, Feedback, Knowledge, Learned, NotedUpload,
    Pulse, Recorded, Registered, Result, Selection, Snapshot, Unfinished,
};
use crate::clock::Clock;
use crate::domain::action::Action;
use crate::domain::ask::{Question, Reply};
use crate::domain::books::{Bill, Charge, Stated, Tariff};
use crate::domain::constraints::Constraints;
use crate::domain::environment::{Contact, Links, Measured, Saying};
use crate::domain::event::{Event, Outcome};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::labels::Labels;
use crate::domain::measurement::Measurement;
use crate::domain::placement::{
    Condition, DataSet, Health, Identity, Link, Node, Override, Placement, Plan, Registration, Replica, StoreTraits,
};
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use crate::domain::validators::Validators;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use table::Table;

/// The shared table of agents that live in one process.
pub struct MemoryKnowledge {
    clock: Arc<dyn Clock>,
    table: Arc<Mutex<Table>>,
    /// Whether reading takes in the signs of life that wait.
    settles: bool,
}

impl MemoryKnowledge {
    /// An empty table whose time is `clock`'s.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, table: Arc::default(), settles: true }
    }

    /// The same table for somebody who looks on. With `settles` false reading leaves no trace, and signs of life may be a little
    /// older than they are.
    #[must_use]
    pub fn for_observer(&self, settles: bool) -> Self {
        Self { clock: self.clock.clone(), table: self.table.clone(), settles }
    }

    /// Sets counters of a registered data set, as if events had moved them. For experiments that start in the middle.
    pub fn seed_counters(&self, data_set: &DataSetName, counters: &BTreeMap<Action, Counter>) -> Result<()> {
        self.changing().seed_counters(data_set, counters).map_err(|why| why.during("seed counters"))
    }

    /// Replaces the replicas and references of a registered data set. For experiments that start in the middle.
    pub fn seed_placement(&self, data_set: &DataSetName, placement: &Placement) -> Result<()> {
        self.changing().seed_placement(data_set, placement).map_err(|why| why.during("seed placement"))
    }

    /// Sets how often the replicas of a registered data set were copied. For experiments that start in the middle.
    pub fn seed_copies_made(&self, data_set: &DataSetName, copies_made: &BTreeMap<ReplicaId, u32>) -> Result<()> {
        self.changing().seed_copies_made(data_set, copies_made).map_err(|why| why.during("seed copies"))
    }

    /// Adds what was spent before. For experiments that start in the middle.
    pub fn seed_charges(&self, charges: &[Charge]) {
        self.changing().seed_charges(charges);
    }

    /// All about a data set; others' last signs of life may be missing in it, none older than `unheard`. As long as nothing
    /// else changes, that costs next to nothing: for simulations of many agents.
    pub fn recent_snapshot(&self, data_set: &DataSetName, unheard: Duration) -> Option<Snapshot> {
        let (mut table, now) = (self.table(), self.clock.now());
        if table.unsettled(now).is_some_and(|waits| waits > unheard) {
            table.settle();
        }
        table.snapshot(data_set, now)
    }

    /// For what also looks at signs of life.
    fn changing_settled(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table();
        table.settle();
        table.changes();
        table
    }

    /// For what reads signs of life.
    fn settled(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table();
        if self.settles {
            table.settle();
        }
        table
    }

    /// For what changes something that snapshots show.
    fn changing(&self) -> MutexGuard<'_, Table> {
        let mut table = self.table();
        table.changes();
        table
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every operation checks before it changes anything, so a panic elsewhere leaves no half-done change behind.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Knowledge for MemoryKnowledge {
    async fn register_network(&self, nodes: &[Node], links: &[Link]) -> Result<()> {
        self.changing().register_network(nodes, links).map_err(|why| why.during("register network"))
    }

    async fn add_nodes(&self, nodes: &[Node], links: &[Link], are: Links) -> Result<()> {
        self.changing().add_nodes(nodes, links, are).map_err(|why| why.during("add nodes"))
    }

    async fn leave_node(&self, node: NodeId, silence: Duration, drain: Duration) -> Result<Vec<Replica>> {
        self.changing_settled()
            .leave_node(node, silence, drain, self.clock.now())
            .map_err(|why| why.during("leave node"))
    }

    async fn remove_node(&self, node: NodeId) -> Result<Vec<Replica>> {
        self.changing_settled().remove_node(node).map_err(|why| why.during("remove node"))
    }

    async fn register_store(&self, node: NodeId, store_url: &str) -> Result<()> {
        self.changing().register_store(node, store_url).map_err(|why| why.during("register store"))
    }

    async fn describe_store(&self, node: NodeId, traits: &StoreTraits) -> Result<()> {
        self.changing().describe_store(node, traits).map_err(|why| why.during("describe store"))
    }

    async fn note_upload(&self, node: NodeId, object_key: &str, upload_id: &str, agent: AgentId) -> Result<()> {
        self.table().note_upload(node, object_key, upload_id, agent, self.clock.now());
        Ok(())
    }

    async fn forget_upload(&self, node: NodeId, object_key: &str, upload_id: &str) -> Result<()> {
        self.table().forget_upload(node, object_key, upload_id);
        Ok(())
    }

    async fn uploads(&self, node: NodeId) -> Result<Vec<NotedUpload>> {
        Ok(self.table().uploads(node))
    }

    async fn register_data_set(
        &self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
    ) -> Result<bool> {
        let registered = self.changing().register_data_set(data_set, node, object_key, validators, self.clock.now());
        registered.map_err(|why| why.during("register data set"))
    }

    async fn remove_data_set(&self, data_set: &DataSetName, silence: Duration) -> Result<Vec<Replica>> {
        let removed = self.changing_settled().remove_data_set(data_set, silence, self.clock.now());
        removed.map_err(|why| why.during("remove data set"))
    }

    async fn found(&self, replica: ReplicaId, generation: i64, condition: &Condition) -> Result<bool> {
        let now = self.clock.now();
        self.changing().found(replica, generation, condition, now).map_err(|why| why.during("found"))
    }

    async fn accept(
        &self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
    ) -> Result<bool> {
        let now = self.clock.now();
        let accepted = self.changing().accept(data_set, written_bytes, replica, generation, validators, now);
        accepted.map_err(|why| why.during("accept"))
    }

    async fn register_agent(
        &self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
    ) -> Result<Registered> {
        let registered = self.changing_settled().register_agent(registration, data_sets, identity, self.clock.now());
        registered.map_err(|why| why.during("register agent"))
    }

    async fn set_override(&self, agent: AgentId, stated: &Override) -> Result<()> {
        self.changing_settled().set_override(agent, stated.clone()).map_err(|why| why.during("set override"))
    }

    async fn heartbeat(&self, agent: AgentId, life: &Life, health: Health) -> Result<bool> {
        Ok(self.table().heartbeat(agent, life, health, self.clock.now()))
    }

    async fn sign_off(&self, agent: AgentId, life: &Life) -> Result<bool> {
        Ok(self.changing_settled().sign_off(agent, life))
    }

    async fn snapshot(&self, data_set: &DataSetName) -> Result<Option<Snapshot>> {
        Ok(self.settled().snapshot(data_set, self.clock.now()))
    }

    async fn nodes(&self) -> Result<FlatMap<NodeId, Node>> {
        Ok(self.settled().nodes())
    }

    async fn data_sets(&self) -> Result<Vec<DataSetName>> {
        Ok(self.table().data_sets())
    }

    async fn record(&self, measurement: &Measurement, satisfied: bool) -> Result<()> {
        self.table().record(measurement, satisfied).map_err(|why| why.during("record"))
    }

    async fn leave_feedback(&self, agent: AgentId, events: &[EventId], window: Duration) -> Result<Vec<Feedback>> {
        Ok(self.changing().leave_feedback(agent, events, window, self.clock.now()))
    }

    async fn record_nothing(&self, plan: &Plan) -> Result<EventId> {
        self.table().record_nothing(plan, self.clock.now()).map_err(|why| why.during("record nothing"))
    }

    async fn claim(&self, plan: &Plan, lease: Duration, window: Duration) -> Result<Claimed> {
        self.changing().claim(plan, lease, window, self.clock.now()).map_err(|why| why.during("claim"))
    }

    async fn renew(&self, event: EventId, lease: Duration) -> Result<bool> {
        self.changing().renew(event, self.clock.now() + lease).map_err(|why| why.during("renew"))
    }

    async fn commit(&self, event: EventId, arrived: &Validators, drain: Duration) -> Result<Committed> {
        self.changing().commit(event, arrived, self.clock.now(), drain).map_err(|why| why.during("commit"))
    }

    async fn abort(&self, event: EventId, outcome: Outcome, why: &str) -> Result<Option<Replica>> {
        let aborted =
            rules::check_end(outcome).and_then(|()| self.changing().abort(event, outcome, why, self.clock.now()));
        aborted.map_err(|why| why.during("abort"))
    }

    async fn removed(&self, replica: ReplicaId) -> Result<()> {
        self.changing().removed(replica).map_err(|why| why.during("removed"))
    }

    async fn unfinished(&self, agent: AgentId, own_too: bool) -> Result<Unfinished> {
        Ok(self.table().unfinished(own_too.then_some(agent), self.clock.now()))
    }

    async fn close_due(&self, agent: AgentId, rule: ClosingRule) -> Result<Vec<ClosedEvent>> {
        Ok(self.table().close_due(agent, rule, self.clock.now()))
    }

    async fn pulse(&self, data_set: &DataSetName, _: NodeId) -> Result<Option<Pulse>> {
        Ok(self.table().pulse(data_set))
    }

    async fn ask(&self, question: &Question) -> Result<AskId> {
        self.table().ask(question, self.clock.now()).map_err(|why| why.during("ask"))
    }

    async fn reply(&self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool> {
        self.table().reply(ask, agent, reply).map_err(|why| why.during("reply"))
    }

    async fn close_ask(&self, ask: AskId) -> Result<()> {
        self.table().close_ask(ask);
        Ok(())
    }

    async fn conversation(&self, data_set: &DataSetName, within: Duration) -> Result<Conversation> {
        Ok(self.table().conversation(data_set, self.clock.now(), within))
    }

    async fn impacts(&self, agent: AgentId) -> Result<BTreeMap<String, Learned>> {
        Ok(self.table().impacts(agent))
    }

    async fn learn(&self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()> {
        self.table().learn(agent, label, impacts).map_err(|why| why.during("learn"))
    }

    async fn events(&self, after: EventId, limit: usize) -> Result<Vec<Event>> {
        Ok(self.table().events(after, limit))
    }

    async fn select_events(&self, asked: &Selection) -> Result<Vec<Event>> {
        Ok(self.table().select_events(asked))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>> {
        Ok(self.table().event(id))
    }

    async fn event_by_key(&self, key: &str) -> Result<Option<Event>> {
        Ok(self.table().event_by_key(key))
    }

    async fn feedback(&self, event: EventId) -> Result<Vec<Feedback>> {
        Ok(self.table().feedback(event))
    }

    async fn counters(&self, data_set: &DataSetName) -> Result<BTreeMap<Action, Counter>> {
        Ok(self.table().counters(data_set))
    }

    async fn measurements(&self, after: i64, limit: usize) -> Result<Vec<Recorded>> {
        Ok(self.table().measurements(after, limit))
    }

    async fn select_measurements(&self, asked: &Selection) -> Result<Vec<Recorded>> {
        Ok(self.table().select_measurements(asked))
    }

    async fn latest_measurements(&self, agent: AgentId, data_set: &DataSetName, limit: usize) -> Result<Vec<Recorded>> {
        Ok(self.table().latest_measurements(agent, data_set, limit))
    }

    async fn set_availability(&self, node: NodeId, declared: Option<Percent>) -> Result<()> {
        let now = self.clock.now();
        self.changing().set_availability(node, declared, now).map_err(|why| why.during("set availability"))
    }

    async fn introduce(&self, node: NodeId, contact: &Contact) -> Result<()> {
        self.changing().introduce(node, contact).map_err(|why| why.during("introduce"))
    }

    async fn forget_key(&self, node: NodeId) -> Result<()> {
        self.changing().forget_key(node).map_err(|why| why.during("forget key"))
    }

    async fn measured(&self, from: NodeId, measured: &Measured) -> Result<()> {
        let now = self.clock.now();
        self.changing().measured(from, measured, now).map_err(|why| why.during("measured"))
    }

    async fn set_labels(&self, node: NodeId, labels: &Labels) -> Result<()> {
        self.changing().set_labels(node, labels).map_err(|why| why.during("set labels"))
    }

    async fn set_constraints(&self, data_set: &DataSetName, constraints: &Constraints) -> Result<()> {
        self.changing().set_constraints(data_set, constraints).map_err(|why| why.during("set constraints"))
    }

    async fn pause(&self, data_set: &DataSetName, until: Option<Timestamp>) -> Result<()> {
        self.changing().pause(data_set, until).map_err(|why| why.during("pause"))
    }

    async fn register_tariff(&self, tariff: &Tariff) -> Result<()> {
        self.changing().register_tariff(tariff, self.clock.now()).map_err(|why| why.during("register prices"))
    }

    async fn set_price(&self, stated: &Stated) -> Result<()> {
        self.changing().set_price(stated, self.clock.now()).map_err(|why| why.during("set price"))
    }

    async fn bill(&self, bill: &Bill) -> Result<()> {
        self.changing().bill(bill, self.clock.now());
        Ok(())
    }

    async fn charges(&self, since: Timestamp) -> Result<Vec<Charge>> {
        Ok(self.table().charges(since))
    }

    async fn set_latency(&self, from: NodeId, to: NodeId, declared_ms: Option<f64>) -> Result<()> {
        let now = self.clock.now();
        self.changing().set_latency(from, to, declared_ms, now).map_err(|why| why.during("set latency"))
    }

    async fn former_environment(&self, at: Timestamp) -> Result<Vec<Saying>> {
        Ok(self.table().former_environment(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClock;
    use crate::contract;
    use crate::knowledge::contract::Table;

    async fn memory(clock: Arc<VirtualClock>) -> std::result::Result<Table, String> {
        Ok(Table::new(MemoryKnowledge::new(clock.clone()), clock, ()))
    }

    contract!(memory);
}
