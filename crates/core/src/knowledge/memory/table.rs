//! The tables as maps. Each method is one transaction: it checks first and changes afterwards.

use super::accounts::Accounts;
use crate::domain::action::{Action, ActionType};
use crate::domain::ask::{Ask, Question, Reply};
use crate::domain::books::{Bill, Books, Charge, Held, Running, Stated, Tariff};
use crate::domain::constraints::Constraints;
use crate::domain::environment::{
    Basis, Contact, Former, Links, Measured, MeasuredLink, MeasuredLinks, Quantity, Saying,
};
use crate::domain::event::{Event, Outcome, Window};
use crate::domain::flat_map::FlatMap;
use crate::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::labels::Labels;
use crate::domain::link_table::LinkTable;
use crate::domain::measurement::Measurement;
use crate::domain::placement::{
    Claim, Condition, DataSet, Health, Identity, Link, Node, NodeState, Override, Peer, Placement, Plan, Registration,
    Replica, StoreTraits,
};
use crate::domain::saga::{self, Change, Lost, Refused};
use crate::domain::snapshot::Content;
use crate::domain::time::Timestamp;
use crate::domain::units::Percent;
use crate::domain::validators::Validators;
use crate::domain::versions::Versions;
use crate::knowledge::rules::{self, Rejection};
use crate::knowledge::{
    Claimed, ClosedEvent, ClosingRule, Committed, Conversation, Counter, Feedback, Learned, NotedUpload, Pulse,
    Recorded, Registered, Selection, Snapshot, Unfinished,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

type Result<T> = std::result::Result<T, Rejection>;

#[derive(Default)]
pub(super) struct Table {
    nodes: Arc<FlatMap<NodeId, Node>>,
    /// Those that were, and must not come back with a configuration that still lists them.
    removed: BTreeSet<NodeId>,
    links: Arc<LinkTable>,
    measured: Arc<MeasuredLinks>,
    /// What these were, and the nodes.
    former: Former,
    agents: Arc<FlatMap<AgentId, Peer>>,
    /// Signs of life that are not in `agents` and `nodes` yet: see [`Table::settle`].
    beats: BTreeMap<AgentId, Beat>,
    /// Since when the oldest of them waits.
    beats_since: Option<Timestamp>,
    /// What snapshots share until something changes.
    shown: BTreeMap<DataSetName, Arc<Content>>,
    /// Whose each agent is.
    lives: FlatMap<AgentId, Life>,
    data_sets: BTreeMap<DataSetName, Shelf>,
    replicas_made: i64,
    /// Event N lies at N - 1.
    events: Vec<Posted>,
    keys: BTreeMap<String, EventId>,
    /// Events whose window is open, by when it closes.
    open: BTreeSet<(Timestamp, EventId)>,
    running: BTreeSet<EventId>,
    asks: BTreeMap<AskId, Posed>,
    asks_made: i64,
    ask_keys: BTreeMap<String, AskId>,
    /// How often an availability or a latency was set.
    conditions_set: u32,
    /// Measurement N lies at N - 1.
    measurements: Vec<Recorded>,
    jobs: BTreeSet<String>,
    impacts: BTreeMap<AgentId, BTreeMap<String, Learned>>,
    /// Who began an upload, and when, by node, key and upload.
    uploads: BTreeMap<(NodeId, String, String), (AgentId, Timestamp)>,
    accounts: Accounts,
}

/// A sign of life.
#[derive(Clone, Copy)]
struct Beat {
    at: Timestamp,
    health: Health,
}

/// A data set with all that is about it alone.
struct Shelf {
    data_set: DataSet,
    placement: Placement,
    readers: BTreeSet<AgentId>,
    counters: BTreeMap<Action, Counter>,
    open: BTreeSet<EventId>,
    copies_made: BTreeMap<ReplicaId, u32>,
    changed_at: Option<Timestamp>,
    generation: i64,
    said: i64,
}

impl Shelf {
    /// Whether it was one.
    fn forget_reader(&mut self, agent: AgentId) -> bool {
        let referenced = self.placement.references.remove(&agent).is_some();
        self.readers.remove(&agent) || referenced
    }
}

/// A question, and what it is about.
struct Posed {
    key: String,
    data_set: DataSetName,
    ask: Arc<Ask>,
}

/// An event with all that is about it alone.
struct Posted {
    event: Arc<Event>,
    /// In the order left.
    feedback: Vec<Feedback>,
    /// As granted; absent for a decision to do nothing.
    claim: Option<Claim>,
    /// What its commit returned.
    leftover: Option<Replica>,
}

// What snapshots share.
impl Table {
    /// Writes the signs of life that wait into the rows. They come often and are looked at seldom, and each would unshare the
    /// rows of all agents from the snapshots that there are.
    pub(super) fn settle(&mut self) {
        self.beats_since = None;
        if self.beats.is_empty() {
            return;
        }
        self.shown.clear();
        let (agents, nodes) = (Arc::make_mut(&mut self.agents), Arc::make_mut(&mut self.nodes));
        for (agent, Beat { at, health }) in std::mem::take(&mut self.beats) {
            let Some(peer) = agents.get_mut(&agent) else { continue };
            peer.heartbeat_at = Some(at);
            peer.health = health;
            if let Some(node) = nodes.get_mut(&peer.registration.node) {
                node.heartbeat_at = Some(at);
                becomes(node, NodeState::Running);
            }
        }
    }

    /// How long the oldest sign of life waits.
    pub(super) fn unsettled(&self, now: Timestamp) -> Option<Duration> {
        self.beats_since.map(|since| now.since(since))
    }

    /// To be called before anything changes that a snapshot shows.
    pub(super) fn changes(&mut self) {
        self.shown.clear();
    }
}

// Registration, and what people set.
impl Table {
    pub(super) fn seed_counters(&mut self, data_set: &DataSetName, counters: &BTreeMap<Action, Counter>) -> Result<()> {
        shelf(&mut self.data_sets, data_set)?.counters.extend(counters);
        Ok(())
    }

    pub(super) fn seed_placement(&mut self, data_set: &DataSetName, placement: &Placement) -> Result<()> {
        let shelf = shelf(&mut self.data_sets, data_set)?;
        shelf.placement = placement.clone();
        shelf.generation += 1;
        shelf.readers.extend(placement.references.keys());
        let highest = placement.replicas.keys().next_back().map_or(0, |id| id.0);
        self.replicas_made = self.replicas_made.max(highest);
        Ok(())
    }

    pub(super) fn seed_copies_made(
        &mut self,
        data_set: &DataSetName,
        copies_made: &BTreeMap<ReplicaId, u32>,
    ) -> Result<()> {
        shelf(&mut self.data_sets, data_set)?.copies_made.clone_from(copies_made);
        Ok(())
    }

    pub(super) fn nodes(&self) -> FlatMap<NodeId, Node> {
        (*self.nodes).clone()
    }

    pub(super) fn register_network(&mut self, nodes: &[Node], links: &[Link]) -> Result<()> {
        let (nodes, links) = rules::still_wanted(nodes, links, &self.removed);
        rules::check_network(&self.nodes.keys().copied().collect(), &nodes, &links)?;
        self.insert(nodes, &links);
        Ok(())
    }

    pub(super) fn add_nodes(&mut self, nodes: &[Node], links: &[Link], are: Links) -> Result<()> {
        rules::check_addition(&self.nodes, &self.links, (nodes, links), are)?;
        self.insert(nodes.to_vec(), links);
        nodes.iter().for_each(|node| _ = self.removed.remove(&node.id));
        Ok(())
    }

    /// What is missing.
    fn insert(&mut self, nodes: Vec<Node>, links: &[Link]) {
        for node in nodes {
            Arc::make_mut(&mut self.nodes).get_or_insert_with(node.id, || node);
        }
        let all = Arc::make_mut(&mut self.links);
        links.iter().for_each(|link| all.insert_missing(*link));
    }

    /// What is declared or measured is about to become `value`.
    fn becomes_said(&mut self, quantity: Quantity, basis: Basis, value: Option<f64>, now: Timestamp) {
        let was = match (quantity, basis) {
            (Quantity::Availability(node), basis) => {
                let Some(Node { availability, .. }) = self.nodes.get(&node) else { return };
                let was = if basis == Basis::Measured { availability.measured } else { availability.declared };
                was.map(Percent::value)
            }
            (Quantity::Latency(from, to), Basis::Measured) => self.measured.get(from, to).map(|link| link.latency_ms),
            (Quantity::Latency(from, to), Basis::Declared | Basis::Assumed) => {
                self.links.get(from, to).map(|link| link.latency_ms)
            }
        };
        if let Some(former) = Saying::former(quantity, basis, was, value) {
            self.former.note(former, now);
        }
    }

    pub(super) fn former_environment(&self, at: Timestamp) -> Vec<Saying> {
        self.former.at(at)
    }

    pub(super) fn leave_node(
        &mut self,
        node: NodeId,
        silence: Duration,
        drain: Duration,
        now: Timestamp,
    ) -> Result<Vec<Replica>> {
        if self.node(node)?.state == NodeState::Leaving {
            return Ok(self.held(node));
        }
        let running: Vec<Claim> = self.running.iter().filter_map(|event| self.find(*event)?.claim.clone()).collect();
        rules::check_leave(node, &self.agents, &running, silence, now)?;
        let (links, seats) = (self.links_in_force(), self.seats());
        let leave = |(name, shelf): (&DataSetName, &Shelf)| {
            let changes = rules::leave(
                (name, &shelf.data_set.guard),
                &shelf.placement,
                &links,
                &seats,
                node,
                (now, now + drain),
            )?;
            Ok((name.clone(), changes))
        };
        let all = self.data_sets.iter().map(leave).collect::<Result<Vec<_>>>()?;
        self.bill_held(now);
        for (data_set, changes) in all {
            self.apply(&data_set, &changes)?;
            shelf(&mut self.data_sets, &data_set)?.generation += 1;
        }
        self.node(node)?.state = NodeState::Leaving;
        self.send_home(node);
        Ok(self.held(node))
    }

    pub(super) fn remove_node(&mut self, node: NodeId) -> Result<Vec<Replica>> {
        let Some(row) = self.nodes.get(&node) else { return Ok(Vec::new()) };
        if row.state != NodeState::Leaving {
            return Err(Rejection::NotLeaving(node));
        }
        let held = self.held(node);
        if held.is_empty() {
            Arc::make_mut(&mut self.nodes).remove(&node);
            self.removed.insert(node);
            Arc::make_mut(&mut self.links).remove_node(node);
            Arc::make_mut(&mut self.measured).remove_node(node);
            self.forget_agents_on(node);
        }
        Ok(held)
    }

    fn forget_agents_on(&mut self, node: NodeId) {
        let gone: Vec<AgentId> = self
            .agents
            .values()
            .map(|peer| &peer.registration)
            .filter(|at| at.node == node)
            .map(|at| at.agent)
            .collect();
        for agent in gone {
            Arc::make_mut(&mut self.agents).remove(&agent);
            self.lives.remove(&agent);
            self.data_sets.values_mut().for_each(|shelf| _ = shelf.forget_reader(agent));
        }
    }

    /// The rows on a node, whatever their state.
    fn held(&self, node: NodeId) -> Vec<Replica> {
        let rows = self.data_sets.values().flat_map(|shelf| shelf.placement.replicas.values());
        let mut held: Vec<_> = rows.filter(|row| row.node == node).cloned().collect();
        held.sort_by_key(|row| row.id);
        held
    }

    /// Whatever ran there does not any more.
    fn send_home(&mut self, left: NodeId) {
        let guests: Vec<AgentId> = self
            .agents
            .values()
            .filter(|peer| peer.runs_at == Some(left))
            .map(|peer| peer.registration.agent)
            .collect();
        for agent in guests {
            Arc::make_mut(&mut self.agents).get_mut(&agent).into_iter().for_each(|peer| peer.runs_at = None);
        }
    }

    /// Where all jobs run.
    fn seats(&self) -> BTreeMap<AgentId, NodeId> {
        self.agents.iter().map(|(id, peer)| (*id, peer.seat().node)).collect()
    }

    fn homes(&self) -> BTreeMap<AgentId, NodeId> {
        self.agents.iter().map(|(id, peer)| (*id, peer.registration.node)).collect()
    }

    pub(super) fn register_store(&mut self, node: NodeId, store_url: &str) -> Result<()> {
        let node = self.node(node)?;
        node.store_url = Some(store_url.to_owned());
        becomes(node, NodeState::Running);
        Ok(())
    }

    pub(super) fn describe_store(&mut self, node: NodeId, traits: &StoreTraits) -> Result<()> {
        let remarks = traits.remarks.as_deref().map(rules::kept_line);
        self.node(node)?.store = StoreTraits { deletes: traits.deletes, remarks };
        Ok(())
    }

    pub(super) fn note_upload(&mut self, node: NodeId, key: &str, upload_id: &str, agent: AgentId, now: Timestamp) {
        let known = (node, key.to_owned(), upload_id.to_owned());
        self.uploads.entry(known).or_insert((agent, now));
    }

    pub(super) fn forget_upload(&mut self, node: NodeId, key: &str, upload_id: &str) {
        self.uploads.remove(&(node, key.to_owned(), upload_id.to_owned()));
    }

    pub(super) fn uploads(&self, node: NodeId) -> Vec<NotedUpload> {
        let of_node = self.uploads.iter().filter(|((on, ..), _)| *on == node);
        let mut noted: Vec<NotedUpload> = of_node
            .map(|((_, object_key, upload_id), (agent, begun_at))| NotedUpload {
                object_key: object_key.clone(),
                upload_id: upload_id.clone(),
                agent: *agent,
                begun_at: *begun_at,
            })
            .collect();
        noted.sort_by_key(|upload| upload.begun_at);
        noted
    }

    /// The data set that a replica is of.
    fn data_set_of(&self, replica: ReplicaId) -> Option<DataSetName> {
        let holds = |(_, shelf): &(&DataSetName, &Shelf)| shelf.placement.replicas.contains_key(&replica);
        self.data_sets.iter().find(holds).map(|(name, _)| name.clone())
    }

    pub(super) fn found(
        &mut self,
        replica: ReplicaId,
        generation: i64,
        condition: &Condition,
        now: Timestamp,
    ) -> Result<bool> {
        let Some(name) = self.data_set_of(replica) else { return Ok(false) };
        self.bill_held(now);
        let (links, seats) = (self.links_in_force(), self.seats());
        let shelf = shelf(&mut self.data_sets, &name)?;
        let changes = saga::found(&shelf.placement, &links, &seats, replica, generation, condition);
        if changes.is_empty() {
            return Ok(false);
        }
        shelf.generation += 1;
        self.apply(&name, &changes)?;
        Ok(true)
    }

    pub(super) fn accept(
        &mut self,
        data_set: &DataSet,
        written_bytes: u64,
        replica: ReplicaId,
        generation: i64,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<bool> {
        rules::check_sizes(data_set)?;
        self.bill_held(now);
        let shelf = shelf(&mut self.data_sets, &data_set.name)?;
        let changes = saga::accept(&shelf.placement, replica, generation, validators, &shelf.data_set, now);
        if changes.is_empty() {
            return Ok(false);
        }
        let DataSet { bytes, records, sha256, .. } = data_set.clone();
        let versions = shelf.data_set.versions.followed(written_bytes, now);
        shelf.data_set = DataSet { bytes, records, sha256, versions, ..shelf.data_set.clone() };
        shelf.generation += 1;
        self.apply(&data_set.name, &changes)?;
        Ok(true)
    }

    pub(super) fn register_data_set(
        &mut self,
        data_set: &DataSet,
        node: NodeId,
        object_key: &str,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<bool> {
        if let Some(shelf) = self.data_sets.get(&data_set.name) {
            return rules::check_same_content(&shelf.data_set, data_set).map(|()| false);
        }
        rules::check_sizes(data_set)?;
        rules::check_first_node(data_set, self.node(node)?)?;
        self.bill_held(now);
        let first = saga::first_replica(node, object_key, validators);
        let mut placement = Placement::default();
        saga::apply(&mut placement, &data_set.name, &[first], next_replica(&mut self.replicas_made));
        let shelf = Shelf {
            data_set: DataSet { versions: Versions::registered(now), ..data_set.clone() },
            placement,
            readers: BTreeSet::new(),
            counters: BTreeMap::new(),
            open: BTreeSet::new(),
            copies_made: BTreeMap::new(),
            changed_at: None,
            generation: 0,
            said: 0,
        };
        self.data_sets.insert(data_set.name.clone(), shelf);
        Ok(true)
    }

    pub(super) fn remove_data_set(
        &mut self,
        name: &DataSetName,
        silence: Duration,
        now: Timestamp,
    ) -> Result<Vec<Replica>> {
        let Some(shelf) = self.data_sets.get(name) else { return Ok(Vec::new()) };
        let running: Vec<Claim> = self.running.iter().filter_map(|event| self.find(*event)?.claim.clone()).collect();
        rules::check_removal(name, &self.peers(shelf), &running, silence, now)?;
        self.bill_held(now);
        let gone = self.data_sets.remove(name).into_iter().flat_map(|shelf| shelf.placement.replicas.into_values());
        let of_it = |posed: &Posed| posed.data_set == *name;
        self.ask_keys.retain(|_, ask| !self.asks.get(ask).is_some_and(of_it));
        self.asks.retain(|_, posed| !of_it(posed));
        Ok(gone.collect())
    }

    pub(super) fn register_agent(
        &mut self,
        registration: &Registration,
        data_sets: &[DataSetName],
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Registered> {
        let agent = registration.agent;
        for data_set in data_sets {
            shelf(&mut self.data_sets, data_set)?;
        }
        let node = Arc::make_mut(&mut self.nodes)
            .get_mut(&registration.node)
            .ok_or(Rejection::UnknownNode(registration.node))?;
        rules::check_stays(node)?;
        let heartbeat_at = self.agents.get(&agent).and_then(|peer| peer.heartbeat_at);
        if let Some(wait) = rules::taken(self.lives.get(&agent), heartbeat_at, identity, now) {
            return Ok(Registered::Taken { wait });
        }
        node.heartbeat_at = Some(now);
        for (name, shelf) in &mut self.data_sets {
            if !data_sets.contains(name) {
                shelf.generation += i64::from(shelf.forget_reader(agent));
                continue;
            }
            shelf.readers.insert(agent);
            if !rules::reads_present(&shelf.placement, agent)
                && let Some(replica) = rules::first_reference(&shelf.placement, registration.node)
            {
                shelf.placement.references.insert(agent, replica);
                shelf.generation += 1;
            }
        }
        let known = self.agents.get(&agent).map(|peer| (peer.runs_at, peer.overrides.clone()));
        let (runs_at, overrides) = known.unwrap_or_default();
        let registration = registration.clone();
        let peer = Peer { registration, runs_at, overrides, heartbeat_at: Some(now), health: Health::default() };
        Arc::make_mut(&mut self.agents).insert(agent, peer);
        self.lives.insert(agent, identity.life.clone());
        Ok(Registered::Done)
    }

    pub(super) fn set_override(&mut self, agent: AgentId, stated: Override) -> Result<()> {
        let peer = Arc::make_mut(&mut self.agents).get_mut(&agent).ok_or(Rejection::UnknownAgent(agent))?;
        peer.overrides.set(stated);
        Ok(())
    }

    pub(super) fn heartbeat(&mut self, agent: AgentId, life: &Life, health: Health, now: Timestamp) -> bool {
        let known = self.agents.contains_key(&agent) && self.lives.get(&agent) == Some(life);
        if known {
            self.beats.insert(agent, Beat { at: now, health });
            self.beats_since.get_or_insert(now);
        }
        known
    }

    pub(super) fn sign_off(&mut self, agent: AgentId, life: &Life) -> bool {
        let agents = Arc::make_mut(&mut self.agents);
        let Some(peer) = agents.get_mut(&agent).filter(|_| self.lives.get(&agent) == Some(life)) else {
            return false;
        };
        peer.heartbeat_at = None;
        if let Some(node) = Arc::make_mut(&mut self.nodes).get_mut(&peer.registration.node) {
            becomes(node, NodeState::Stopped);
        }
        true
    }

    pub(super) fn set_availability(&mut self, node: NodeId, declared: Option<Percent>, now: Timestamp) -> Result<()> {
        self.becomes_said(Quantity::Availability(node), Basis::Declared, declared.map(Percent::value), now);
        self.node(node)?.availability.declared = declared;
        self.conditions_set += 1;
        Ok(())
    }

    pub(super) fn introduce(&mut self, node: NodeId, contact: &Contact) -> Result<()> {
        rules::check_contact(contact)?;
        let row = self.node(node)?;
        rules::check_key(node, row.contact.public_key.as_deref(), contact)?;
        let Contact { address, public_key } = contact.clone();
        let known = std::mem::take(&mut row.contact);
        row.contact = Contact { address: address.or(known.address), public_key: public_key.or(known.public_key) };
        Ok(())
    }

    pub(super) fn forget_key(&mut self, node: NodeId) -> Result<()> {
        self.node(node)?.contact.public_key = None;
        Ok(())
    }

    pub(super) fn measured(&mut self, from: NodeId, measured: &Measured, now: Timestamp) -> Result<()> {
        rules::check_measured(measured)?;
        let before = (self.availabilities(), self.measured.clone());
        for (id, percent) in &measured.availability {
            self.becomes_said(Quantity::Availability(*id), Basis::Measured, Some(percent.value()), now);
            if let Ok(node) = self.node(*id) {
                node.availability.measured = Some(*percent);
            }
        }
        let is_known = |node: &NodeId| self.nodes.contains_key(node);
        let links = measured.links.iter().filter(|link| is_known(&from) && is_known(&link.to));
        let links: Vec<MeasuredLink> = links.map(|link| MeasuredLink { from, at: now, ..*link }).collect();
        for link in links {
            self.becomes_said(Quantity::Latency(from, link.to), Basis::Measured, Some(link.latency_ms), now);
            Arc::make_mut(&mut self.measured).insert(link);
        }
        // Of a link that is declared nothing else is in force.
        let counts = |links: &MeasuredLinks| -> Vec<(NodeId, f64)> {
            let own = links.iter().filter(|link| link.from == from && self.links.get(from, link.to).is_none());
            own.map(|link| (link.to, link.latency_ms)).collect()
        };
        if before.0 != self.availabilities() || counts(&before.1) != counts(&self.measured) {
            self.conditions_set += 1;
        }
        Ok(())
    }

    fn availabilities(&self) -> Vec<f64> {
        self.nodes.values().map(|node| node.availability.value()).collect()
    }

    /// Those that are declared, else measured.
    fn links_in_force(&self) -> Arc<LinkTable> {
        match self.measured.is_empty() {
            true => self.links.clone(),
            false => Arc::new(self.measured.beside(&self.links)),
        }
    }

    pub(super) fn set_labels(&mut self, node: NodeId, labels: &Labels) -> Result<()> {
        self.node(node)?.labels.clone_from(labels);
        self.data_sets.values_mut().for_each(|shelf| shelf.generation += 1);
        Ok(())
    }

    pub(super) fn set_constraints(&mut self, name: &DataSetName, constraints: &Constraints) -> Result<()> {
        let shelf = shelf(&mut self.data_sets, name)?;
        shelf.data_set.guard.constraints.clone_from(constraints);
        shelf.generation += 1;
        Ok(())
    }

    pub(super) fn pause(&mut self, name: &DataSetName, until: Option<Timestamp>) -> Result<()> {
        let shelf = shelf(&mut self.data_sets, name)?;
        shelf.data_set.guard.paused_until = until;
        shelf.generation += 1;
        Ok(())
    }

    pub(super) fn set_latency(
        &mut self,
        from: NodeId,
        to: NodeId,
        declared_ms: Option<f64>,
        now: Timestamp,
    ) -> Result<()> {
        rules::check_ends((from, to), |node| self.nodes.contains_key(node))?;
        declared_ms.map_or(Ok(()), rules::check_latency)?;
        self.becomes_said(Quantity::Latency(from, to), Basis::Declared, declared_ms, now);
        Arc::make_mut(&mut self.links).set_latency(from, to, declared_ms);
        self.conditions_set += 1;
        Ok(())
    }

    fn node(&mut self, id: NodeId) -> Result<&mut Node> {
        Arc::make_mut(&mut self.nodes).get_mut(&id).ok_or(Rejection::UnknownNode(id))
    }
}

// What is spent.
impl Table {
    pub(super) fn register_tariff(&mut self, tariff: &Tariff, now: Timestamp) -> Result<()> {
        let tariff = rules::with_missing(&self.accounts.tariff, tariff)?;
        self.replace_tariff(tariff, now);
        Ok(())
    }

    pub(super) fn set_price(&mut self, stated: &Stated, now: Timestamp) -> Result<()> {
        let tariff = rules::with_stated(&self.accounts.tariff, stated)?;
        self.replace_tariff(tariff, now);
        self.data_sets.values_mut().for_each(|shelf| shelf.generation += 1);
        Ok(())
    }

    pub(super) fn seed_charges(&mut self, charges: &[Charge]) {
        self.accounts.add(charges.to_vec());
    }

    fn replace_tariff(&mut self, tariff: Tariff, now: Timestamp) {
        self.bill_held(now);
        self.accounts.replace_tariff(tariff, now);
    }

    pub(super) fn bill(&mut self, bill: &Bill, now: Timestamp) {
        self.bill_held(now);
        if let Some(books) = self.books(now)
            && self.accounts.is_new(bill)
        {
            self.accounts.add(books.read(bill, now));
        }
    }

    fn bill_held(&mut self, now: Timestamp) {
        if let Some(books) = self.books(now) {
            self.accounts.add(books.settled(now));
            self.accounts.held_until = self.accounts.held_until.map(|until| until.max(now));
        }
    }

    fn bill_action(&mut self, claim: &Claim, bytes: u64, now: Timestamp) {
        if let Some(books) = self.books(now).filter(|_| claim.destination.is_some()) {
            self.accounts.add(books.acted(claim.agent, &claim.data_set, claim.action, bytes, now));
        }
    }

    pub(super) fn charges(&self, since: Timestamp) -> Vec<Charge> {
        self.accounts.since(since)
    }
}

// The saga of an action.
impl Table {
    pub(super) fn record_nothing(&mut self, plan: &Plan, now: Timestamp) -> Result<EventId> {
        if plan.action != Action::Nothing {
            return Err(Rejection::NotNothing(plan.action));
        }
        if let Some(known) = self.keys.get(&plan.key) {
            return rules::check_same_request(&self.posted(*known)?.event, plan).map(|()| *known);
        }
        shelf(&mut self.data_sets, &plan.data_set)?;
        let event = rules::posted(self.next_event(), plan, now, None);
        Ok(self.post(&plan.key, event, None))
    }

    pub(super) fn claim(&mut self, plan: &Plan, lease: Duration, window: Duration, now: Timestamp) -> Result<Claimed> {
        if let Some(known) = self.keys.get(&plan.key) {
            let known = self.posted(*known)?;
            rules::check_same_request(&known.event, plan)?;
            if let Some(claim) = &known.claim {
                return Ok(Claimed::Granted(claim.clone()));
            }
        }
        let id = self.next_event();
        if let Action::MoveWork { agent, to } = plan.action {
            let whose = self.agents.get(&agent).map(|peer| &peer.registration);
            if let Some(lost) = rules::no_seat(plan, whose, self.nodes.get(&to))? {
                return Ok(Claimed::Lost(lost));
            }
        }
        let stored = plan.action.to_node().map_or(0, |to| self.stored_on(to));
        let shelf = shelf(&mut self.data_sets, &plan.data_set)?;
        if let Some(to) = plan.action.to_node() {
            let node = self.nodes.get(&to).ok_or(Rejection::UnknownNode(to))?;
            if let Some(lost) = rules::no_destination(node, plan.action) {
                return Ok(Claimed::Lost(lost));
            }
        }
        if plan.generation.is_some_and(|generation| generation != shelf.generation) {
            return Ok(Claimed::Lost(Lost::Overtaken));
        }
        let destination = plan.action.to_node().and_then(|to| self.nodes.get(&to));
        let changes = match saga::claim(&shelf.placement, plan, &shelf.data_set, destination, now, now + lease) {
            Ok(changes) => changes,
            Err(lost) => return Ok(Claimed::Lost(lost)),
        };
        if let Some(node) = destination.filter(|node| rules::takes_room(node, &shelf.placement, &changes))
            && let Some(lost) = rules::no_room(node, stored, shelf.data_set.bytes)
        {
            return Ok(Claimed::Lost(lost));
        }
        let is_brought = shelf.placement.is_brought_by(plan.action);
        let bytes = shelf.placement.bytes_brought(plan.action, &shelf.data_set);
        if let Some(books) = self.books(now).filter(|_| is_brought)
            && let Some(over) = books.forbids(plan.agent, plan.action, bytes, now)
        {
            return Ok(Claimed::Lost(over.into()));
        }
        let shelf = self::shelf(&mut self.data_sets, &plan.data_set)?;
        saga::apply(&mut shelf.placement, &plan.data_set, &changes, next_replica(&mut self.replicas_made));
        shelf.generation += 1;
        let claim = rules::granted(id, plan, &shelf.placement);
        self.post(&plan.key, rules::posted(id, plan, now, Some(window)), Some(claim.clone()));
        Ok(Claimed::Granted(claim))
    }

    pub(super) fn renew(&mut self, event: EventId, until: Timestamp) -> Result<bool> {
        let posted = self.posted(event)?;
        let Some(claim) = posted.claim.clone().filter(|_| posted.event.outcome == Outcome::Running) else {
            return Ok(false);
        };
        let placement = &shelf(&mut self.data_sets, &claim.data_set)?.placement;
        let Some(changes) = rules::renewal(placement, &claim, until) else {
            return Ok(false);
        };
        self.apply(&claim.data_set, &changes)?;
        Ok(true)
    }

    pub(super) fn commit(
        &mut self,
        event: EventId,
        arrived: &Validators,
        now: Timestamp,
        drain: Duration,
    ) -> Result<Committed> {
        let posted = self.posted(event)?;
        let Some(claim) = posted.claim.clone() else {
            return Ok(Committed::Done { leftover: None });
        };
        match posted.event.outcome {
            Outcome::Running => {}
            Outcome::Done => return Ok(Committed::Done { leftover: posted.leftover.clone() }),
            Outcome::Failed | Outcome::Aborted => {
                return Ok(Committed::Refused(Refused::LeaseLost(claim.source.id)));
            }
        }
        // Only the readers of what is dropped need another replica, near to where they run.
        let seats = if claim.action.kind() == ActionType::Evict { self.seats() } else { BTreeMap::new() };
        let links = self.links_in_force();
        let Shelf { placement, data_set, .. } = shelf(&mut self.data_sets, &claim.data_set)?;
        let constraints = &data_set.guard.constraints;
        let changes = match saga::commit(placement, &links, &seats, constraints, &claim, arrived, now + drain) {
            Ok(changes) => changes,
            Err(refused) => return Ok(Committed::Refused(refused)),
        };
        let bytes = placement.bytes_brought(claim.action, data_set);
        self.bill_held(now);
        self.bill_action(&claim, bytes, now);
        let leftover = rules::left_behind(&changes, self.apply(&claim.data_set, &changes)?);
        if claim.action.kind() != ActionType::Restore {
            let changed_at = &mut shelf(&mut self.data_sets, &claim.data_set)?.changed_at;
            *changed_at = (*changed_at).max(Some(now));
        }
        let posted = self.posted_mut(event)?;
        let row = Arc::make_mut(&mut posted.event);
        (row.outcome, row.ended_at) = (Outcome::Done, Some(now));
        posted.leftover.clone_from(&leftover);
        self.running.remove(&event);
        Ok(Committed::Done { leftover })
    }

    pub(super) fn abort(
        &mut self,
        event: EventId,
        outcome: Outcome,
        why: &str,
        now: Timestamp,
    ) -> Result<Option<Replica>> {
        let posted = self.posted(event)?;
        let Some(claim) = posted.claim.clone().filter(|_| posted.event.outcome != Outcome::Done) else {
            return Ok(None);
        };
        if posted.event.outcome == Outcome::Running {
            let changes = saga::abort(&shelf(&mut self.data_sets, &claim.data_set)?.placement, &claim);
            self.apply(&claim.data_set, &changes)?;
            shelf(&mut self.data_sets, &claim.data_set)?.generation += 1;
            self.running.remove(&event);
            let row = Arc::make_mut(&mut self.posted_mut(event)?.event);
            (row.outcome, row.ended_at) = (outcome, Some(now));
            row.detail = rules::with_failure(&row.detail, why);
            let copied = row.replica;
            if claim.action.kind() == ActionType::Copy
                && let Some(copies) = shelf(&mut self.data_sets, &claim.data_set)?.copies_made.get_mut(&copied)
            {
                *copies -= 1;
            }
        }
        Ok(rules::undone(&shelf(&mut self.data_sets, &claim.data_set)?.placement, &claim))
    }

    pub(super) fn removed(&mut self, replica: ReplicaId) -> Result<()> {
        for shelf in self.data_sets.values_mut() {
            if let Some(row) = shelf.placement.replicas.get(&replica) {
                rules::check_removing(row)?;
                shelf.placement.replicas.remove(&replica);
            }
        }
        Ok(())
    }

    pub(super) fn unfinished(&self, own: Option<AgentId>, now: Timestamp) -> Unfinished {
        let claims = self.running.iter().filter_map(|event| {
            let claim = self.find(*event)?.claim.as_ref()?;
            let placement = &self.data_sets.get(&claim.data_set)?.placement;
            rules::is_unfinished(claim, placement, own, now).then(|| claim.clone())
        });
        let rows = self.data_sets.values().flat_map(|shelf| shelf.placement.replicas.values());
        let mut removing: Vec<_> = rows.filter(|row| rules::is_to_remove(row, now)).cloned().collect();
        removing.sort_by_key(|row| row.id);
        Unfinished { claims: claims.collect(), removing }
    }

    fn post(&mut self, key: &str, event: Event, claim: Option<Claim>) -> EventId {
        let id = event.id;
        if let Some(shelf) = self.data_sets.get_mut(&event.data_set) {
            if event.window == Window::Open {
                shelf.open.insert(id);
                self.open.insert((event.closes_at, id));
            }
            if event.action.kind() == ActionType::Copy {
                *shelf.copies_made.entry(event.replica).or_default() += 1;
            }
        }
        if event.outcome == Outcome::Running {
            self.running.insert(id);
        }
        self.keys.insert(key.to_owned(), id);
        self.events.push(Posted { event: Arc::new(event), feedback: Vec::new(), claim, leftover: None });
        id
    }

    fn apply(&mut self, data_set: &DataSetName, changes: &[Change]) -> Result<&Placement> {
        let shelf = shelf(&mut self.data_sets, data_set)?;
        saga::apply(&mut shelf.placement, data_set, changes, next_replica(&mut self.replicas_made));
        for change in changes {
            if let Change::Seat { agent, node } = change {
                let peer = Arc::make_mut(&mut self.agents).get_mut(agent);
                peer.into_iter().for_each(|peer| peer.runs_at = Some(*node));
            }
        }
        Ok(&shelf.placement)
    }
}

// What agents say to each other.
impl Table {
    pub(super) fn ask(&mut self, question: &Question, now: Timestamp) -> Result<AskId> {
        rules::check_question(question)?;
        if let Some(known) = self.ask_keys.get(&question.key) {
            return Ok(*known);
        }
        shelf(&mut self.data_sets, &question.data_set)?.said += 1;
        self.forget_asks(now);
        self.asks_made += 1;
        let id = AskId(self.asks_made);
        let ask = Arc::new(rules::asked(id, question, now));
        self.asks.insert(id, Posed { key: question.key.clone(), data_set: question.data_set.clone(), ask });
        self.ask_keys.insert(question.key.clone(), id);
        Ok(id)
    }

    fn forget_asks(&mut self, now: Timestamp) {
        let is_old = |posed: &Posed| posed.ask.posted_at < rules::forgotten_before(now);
        while let Some(oldest) = self.asks.first_entry().filter(|oldest| is_old(oldest.get())) {
            self.ask_keys.remove(&oldest.remove().key);
        }
    }

    pub(super) fn reply(&mut self, ask: AskId, agent: AgentId, reply: &Reply) -> Result<bool> {
        rules::check_reply(reply)?;
        let Some(posed) = self.open_ask(ask) else { return Ok(false) };
        Arc::make_mut(&mut posed.ask).replies.entry(agent).or_default().join(reply);
        let data_set = posed.data_set.clone();
        shelf(&mut self.data_sets, &data_set)?.said += 1;
        Ok(true)
    }

    pub(super) fn close_ask(&mut self, ask: AskId) {
        let Some(posed) = self.open_ask(ask) else { return };
        Arc::make_mut(&mut posed.ask).closed = true;
        let data_set = posed.data_set.clone();
        if let Some(shelf) = self.data_sets.get_mut(&data_set) {
            shelf.said += 1;
        }
    }

    pub(super) fn conversation(&self, data_set: &DataSetName, now: Timestamp, within: Duration) -> Conversation {
        let earliest = rules::earliest(now, within);
        let latest = self.asks.values().rev().take_while(|posed| posed.ask.posted_at >= earliest);
        let about_it = latest.filter(|posed| posed.data_set == *data_set);
        let mut asks: Conversation = about_it.map(|posed| posed.ask.clone()).collect();
        asks.reverse();
        asks
    }

    pub(super) fn pulse(&self, data_set: &DataSetName) -> Option<Pulse> {
        let shelf = self.data_sets.get(data_set)?;
        Some(Pulse {
            generation: shelf.generation,
            changed_at: shelf.changed_at,
            conditions: f64::from(self.conditions_set),
            said: shelf.said,
        })
    }

    fn open_ask(&mut self, ask: AskId) -> Option<&mut Posed> {
        self.asks.get_mut(&ask).filter(|posed| !posed.ask.closed)
    }
}

// Events, their feedback, and what is learned.
impl Table {
    pub(super) fn leave_feedback(
        &mut self,
        agent: AgentId,
        events: &[EventId],
        window: Duration,
        now: Timestamp,
    ) -> Vec<Feedback> {
        let mut left = Vec::new();
        for &event in events {
            let Ok(posted) = self.posted_mut(event) else { continue };
            let Some(p) = rules::answer(&posted.event, agent, now, window) else { continue };
            if posted.feedback.iter().any(|earlier| earlier.agent == agent) {
                continue;
            }
            let feedback = Feedback { event, agent, p, left_at: now };
            posted.feedback.push(feedback);
            Arc::make_mut(&mut posted.event).feedback_sum += p;
            left.push(feedback);
        }
        left
    }

    pub(super) fn close_due(&mut self, agent: AgentId, rule: ClosingRule, now: Timestamp) -> Vec<ClosedEvent> {
        let past = self.open.range(..=(now, EventId(i64::MAX)));
        let is_due = |id: EventId| self.find(id).is_some_and(|posted| rules::is_due(&posted.event, agent, rule, now));
        let due: Vec<_> = past.copied().filter(|(_, id)| is_due(*id)).collect();
        // Everybody asks all the time; mostly nothing is due, and snapshots stay shared.
        if due.is_empty() {
            return Vec::new();
        }
        self.settle();
        self.changes();
        let mut closed = Vec::with_capacity(due.len());
        for (closes_at, id) in due {
            self.open.remove(&(closes_at, id));
            let Ok(posted) = self.posted_mut(id) else { continue };
            Arc::make_mut(&mut posted.event).window = Window::Closed;
            let event = posted.event.clone();
            let feedback = self.feedback(id);
            let (heartbeats, known) = match self.data_sets.get(&event.data_set) {
                Some(shelf) => (self.heartbeats(shelf), shelf.counters.get(&event.action).copied()),
                None => (Vec::new(), None),
            };
            let others = rules::others(&event, heartbeats.into_iter(), feedback.iter(), rule, now);
            let change = rules::closed(&event, others, known, rule);
            let Some(shelf) = self.data_sets.get_mut(&event.data_set) else {
                closed.push(rules::closed_of_nobody(change));
                continue;
            };
            shelf.open.remove(&id);
            if change.counter_after != change.counter_before {
                shelf.counters.insert(event.action, Counter { value: change.counter_after, changed_at: now });
            }
            closed.push(change);
        }
        closed
    }

    pub(super) fn record(&mut self, measurement: &Measurement, satisfied: bool) -> Result<()> {
        rules::check_measurement(measurement)?;
        if self.jobs.insert(measurement.job.clone()) {
            let id = number(self.measurements.len()) + 1;
            let mut measurement = measurement.clone();
            measurement.result = measurement.result.as_deref().map(rules::kept_line);
            measurement.failure.iter_mut().for_each(|failure| failure.why = rules::kept_line(&failure.why));
            self.measurements.push(Recorded { id, measurement, satisfied });
        }
        Ok(())
    }

    pub(super) fn learn(&mut self, agent: AgentId, label: &str, impacts: &Impacts) -> Result<()> {
        rules::check_impacts(label, impacts)?;
        let labels = self.impacts.entry(agent).or_default();
        let samples = labels.get(label).map_or(0, |known| known.samples).saturating_add(1);
        labels.insert(label.to_owned(), Learned { impacts: *impacts, samples });
        Ok(())
    }
}

// Reading.
impl Table {
    pub(super) fn snapshot(&mut self, data_set: &DataSetName, now: Timestamp) -> Option<Snapshot> {
        if let Some(shown) = self.shown.get(data_set) {
            return Some(Snapshot::new(now, shown.clone()));
        }
        let content = Arc::new(self.content(self.data_sets.get(data_set)?, now));
        self.shown.insert(data_set.clone(), content.clone());
        Some(Snapshot::new(now, content))
    }

    fn content(&self, shelf: &Shelf, now: Timestamp) -> Content {
        Content {
            data_set: shelf.data_set.clone(),
            nodes: self.nodes.clone(),
            links: self.links.clone(),
            measured: self.measured.clone(),
            placement: shelf.placement.clone(),
            agents: self.peers(shelf),
            open_events: shelf.open.iter().filter_map(|id| self.find(*id)).map(|posted| posted.event.clone()).collect(),
            counters: shelf.counters.clone(),
            copies_made: shelf.copies_made.iter().filter(|(_, copies)| **copies > 0).map(|(k, v)| (*k, *v)).collect(),
            changed_at: shelf.changed_at,
            generation: shelf.generation,
            stored_bytes: self.stored_bytes(),
            books: self.books(now).map(Arc::new),
            derived: Default::default(),
        }
    }

    /// The agents that read what lies on a shelf; where all do, the map that all share.
    fn peers(&self, shelf: &Shelf) -> Arc<FlatMap<AgentId, Peer>> {
        let reads = |agent: &AgentId| shelf.readers.contains(agent);
        match self.agents.keys().all(reads) {
            true => self.agents.clone(),
            false => {
                Arc::new(self.agents.iter().filter(|(id, _)| reads(id)).map(|(id, peer)| (*id, peer.clone())).collect())
            }
        }
    }

    /// When they were last heard of.
    fn heartbeats(&self, shelf: &Shelf) -> Vec<(AgentId, Option<Timestamp>)> {
        let peers = shelf.readers.iter().filter_map(|agent| self.agents.get(agent));
        peers.map(|peer| (peer.registration.agent, peer.heartbeat_at)).collect()
    }

    /// What is written about money; `None`: nothing has a price.
    fn books(&self, now: Timestamp) -> Option<Books> {
        let Accounts { tariff, held_until, charges, .. } = &self.accounts;
        if tariff.is_none() {
            return None;
        }
        let held = self.data_sets.values().flat_map(|shelf| {
            let rows = shelf.placement.replicas.values().filter(|row| row.state.is_held());
            let (data_set, bytes) = (&shelf.data_set.name, shelf.data_set.bytes);
            rows.map(move |row| Held { data_set: data_set.clone(), node: row.node, bytes })
        });
        let running = self.running.iter().filter_map(|event| {
            let claim = self.find(*event)?.claim.as_ref().filter(|claim| claim.destination.is_some())?;
            let bytes = self.data_sets.get(&claim.data_set)?.data_set.bytes;
            Some(Running { agent: claim.agent, action: claim.action, bytes })
        });
        let earliest = tariff.earliest(now);
        let lately = charges.iter().filter(|(cause, _)| cause.since >= earliest);
        Some(Books {
            tariff: tariff.clone(),
            held_until: *held_until,
            held: held.collect(),
            running: running.collect(),
            spent: lately.map(|(cause, charged)| charged.spent(cause)).collect(),
            homes: self.homes(),
        })
    }

    fn stored_on(&self, node: NodeId) -> u64 {
        let on_node = |shelf: &Shelf| shelf.placement.replicas.values().filter(|row| row.node == node).count() as u64;
        let stored = self.data_sets.values().map(|shelf| shelf.data_set.bytes.saturating_mul(on_node(shelf)));
        stored.fold(0, u64::saturating_add)
    }

    fn stored_bytes(&self) -> BTreeMap<NodeId, u64> {
        let mut stored = BTreeMap::new();
        for shelf in self.data_sets.values() {
            for replica in shelf.placement.replicas.values() {
                let bytes: &mut u64 = stored.entry(replica.node).or_default();
                *bytes = bytes.saturating_add(shelf.data_set.bytes);
            }
        }
        stored
    }

    pub(super) fn data_sets(&self) -> Vec<DataSetName> {
        self.data_sets.keys().cloned().collect()
    }

    pub(super) fn impacts(&self, agent: AgentId) -> BTreeMap<String, Learned> {
        self.impacts.get(&agent).cloned().unwrap_or_default()
    }

    pub(super) fn events(&self, after: EventId, limit: usize) -> Vec<Event> {
        rows_after(&self.events, after.0).iter().take(limit).map(|posted| Event::clone(&posted.event)).collect()
    }

    pub(super) fn select_events(&self, asked: &Selection) -> Vec<Event> {
        fn key(posted: &Posted) -> (i64, AgentId, &DataSetName, Timestamp) {
            let Event { id, agent, data_set, posted_at, .. } = &*posted.event;
            (id.0, *agent, data_set, *posted_at)
        }
        let told = |posted: &Posted| match asked.explained {
            true => Event::clone(&posted.event),
            false => Event { detail: String::new(), ..Event::clone(&posted.event) },
        };
        asked.of(&self.events, key).into_iter().map(told).collect()
    }

    pub(super) fn event(&self, id: EventId) -> Option<Event> {
        self.find(id).map(|posted| Event::clone(&posted.event))
    }

    pub(super) fn event_by_key(&self, key: &str) -> Option<Event> {
        self.event(*self.keys.get(key)?)
    }

    pub(super) fn feedback(&self, event: EventId) -> Vec<Feedback> {
        self.find(event).map(|posted| posted.feedback.clone()).unwrap_or_default()
    }

    pub(super) fn counters(&self, data_set: &DataSetName) -> BTreeMap<Action, Counter> {
        self.data_sets.get(data_set).map(|shelf| shelf.counters.clone()).unwrap_or_default()
    }

    pub(super) fn measurements(&self, after: i64, limit: usize) -> Vec<Recorded> {
        rows_after(&self.measurements, after).iter().take(limit).cloned().collect()
    }

    pub(super) fn select_measurements(&self, asked: &Selection) -> Vec<Recorded> {
        fn key(row: &Recorded) -> (i64, AgentId, &DataSetName, Timestamp) {
            let Measurement { agent, data_set, at, .. } = &row.measurement;
            (row.id, *agent, data_set, *at)
        }
        asked.of(&self.measurements, key).into_iter().cloned().collect()
    }

    pub(super) fn latest_measurements(&self, agent: AgentId, data_set: &DataSetName, limit: usize) -> Vec<Recorded> {
        let is_asked = |Recorded { measurement, .. }: &&Recorded| {
            (measurement.agent, &measurement.data_set) == (agent, data_set) && measurement.failure.is_none()
        };
        let mut latest: Vec<_> = self.measurements.iter().rev().filter(is_asked).take(limit).cloned().collect();
        latest.reverse();
        latest
    }

    fn next_event(&self) -> EventId {
        EventId(number(self.events.len()) + 1)
    }

    fn find(&self, id: EventId) -> Option<&Posted> {
        self.events.get(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }

    fn posted(&self, id: EventId) -> Result<&Posted> {
        self.find(id).ok_or(Rejection::UnknownEvent(id))
    }

    fn posted_mut(&mut self, id: EventId) -> Result<&mut Posted> {
        let index = id.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.events.get_mut(index)).ok_or(Rejection::UnknownEvent(id))
    }
}

/// A node that leaves does so whatever is heard of it.
fn becomes(node: &mut Node, state: NodeState) {
    if node.state != NodeState::Leaving {
        node.state = state;
    }
}

/// A function of the one field, so that the others stay free to be borrowed.
fn shelf<'a>(shelves: &'a mut BTreeMap<DataSetName, Shelf>, name: &DataSetName) -> Result<&'a mut Shelf> {
    shelves.get_mut(name).ok_or_else(|| Rejection::UnknownDataSet(name.clone()))
}

fn next_replica(made: &mut i64) -> impl FnMut() -> ReplicaId {
    move || {
        *made += 1;
        ReplicaId(*made)
    }
}

/// Rows with an id above `after`; row N lies at N - 1.
fn rows_after<T>(rows: &[T], after: i64) -> &[T] {
    let skipped = usize::try_from(after.max(0)).unwrap_or(usize::MAX);
    rows.get(skipped..).unwrap_or_default()
}

/// A length as a row's number: memory ends before i64 does.
fn number(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
