//! All that the shared table knows about one data set at one moment.

use super::action::Action;
use super::books::{Books, Quote};
use super::constraints::Forbidden;
use super::environment::MeasuredLinks;
use super::event::Event;
use super::flat_map::FlatMap;
use super::ids::{AgentId, NodeId, ReplicaId};
use super::link_table::LinkTable;
use super::placement::{DataSet, Link, Node, NodeState, Peer, Placement, Replica};
use super::planned::Planned;
use super::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, ops};

/// How others' answers to an action add up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Counter {
    pub value: u32,
    /// When an event last moved it.
    pub changed_at: Timestamp,
}

/// Read in one transaction. Reads like its [`Content`], which snapshots of one moment and the next share as long as nothing has
/// changed: a copy costs nothing.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    pub at: Timestamp,
    content: Arc<Content>,
}

/// What a snapshot holds. The large parts, which seldom change, are shared by themselves.
#[derive(Clone, PartialEq, Debug)]
pub struct Content {
    pub data_set: DataSet,
    pub nodes: Arc<FlatMap<NodeId, Node>>,
    /// Those that people declare.
    pub links: Arc<LinkTable>,
    /// What members measured of these and of others.
    pub measured: Arc<MeasuredLinks>,
    pub placement: Placement,
    /// Those that read it.
    pub agents: Arc<FlatMap<AgentId, Peer>>,
    /// Events about this data set whose window is open, oldest first. Each says at length why it was decided: they are shared, too.
    pub open_events: Vec<Arc<Event>>,
    /// Of the actions on it.
    pub counters: BTreeMap<Action, Counter>,
    /// Copy events ever made on a replica (not failed or aborted): the published system's data consistency counts these.
    pub copies_made: BTreeMap<ReplicaId, u32>,
    /// When an action last changed the placement; absent before the first.
    pub changed_at: Option<Timestamp>,
    /// Of the planned placement (the present one with the running actions applied): goes up with everything that begins or
    /// gives up an action, or changes the placement otherwise; not when an action that runs comes to its end.
    pub generation: i64,
    /// Bytes of all data sets' replicas on a node, whatever their state.
    pub stored_bytes: BTreeMap<NodeId, u64>,
    /// Absent where nothing has a price.
    pub books: Option<Arc<Books>>,
    pub derived: Derived,
}

/// What follows from a content, found out once for all who share it. It is no part of it: contents that are equal are equal.
#[derive(Default)]
pub struct Derived {
    planned: OnceLock<Arc<Planned>>,
}

/// A copy is made to be changed.
impl Clone for Derived {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Derived {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived")
    }
}

impl ops::Deref for Snapshot {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.content
    }
}

impl ops::DerefMut for Snapshot {
    /// Changes this snapshot alone.
    fn deref_mut(&mut self) -> &mut Content {
        let content = Arc::make_mut(&mut self.content);
        content.derived = Derived::default();
        content
    }
}

impl Snapshot {
    pub fn new(at: Timestamp, content: impl Into<Arc<Content>>) -> Self {
        Self { at, content: content.into() }
    }

    /// Whether both share one content: then nothing has changed from one to the other.
    pub fn has_content_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.content, &other.content)
    }

    /// The placement as it will be.
    pub fn planned(&self) -> &Arc<Planned> {
        self.derived.planned.get_or_init(|| Arc::new(Planned::of(self)))
    }

    /// An action's counter, 0 when nobody ever answered.
    pub fn counter(&self, action: Action) -> u32 {
        self.counters.get(&action).map_or(0, |counter| counter.value)
    }

    /// The link between two nodes as it is declared, else as it was measured; none costs nothing when they are the same.
    pub fn link(&self, from: NodeId, to: NodeId) -> Option<Link> {
        let measured = || self.measured.get(from, to).map(Link::from);
        let itself = (from == to).then_some(Link { from, to, latency_ms: 0.0, jitter_ms: 0.0 });
        self.links.get(from, to).copied().or_else(measured).or(itself)
    }

    /// All that are known: those that are declared, then those beside them that were measured.
    pub fn links_in_force(&self) -> impl Iterator<Item = Link> + '_ {
        let beside = self.measured.iter().filter(|link| self.links.get(link.from, link.to).is_none());
        self.links.iter().copied().chain(beside.map(Link::from))
    }

    /// The nodes that data can be brought to: all but those that are leaving.
    pub fn destinations(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.state != NodeState::Leaving)
    }

    /// Whether a replica can be brought to a node: it stays, has a store, holds none and is about to get none, has room, and no
    /// constraint bars it.
    pub fn is_free(&self, node: &Node) -> bool {
        node.state != NodeState::Leaving
            && node.store_url.is_some()
            // Whatever is brought there would stay for ever.
            && node.store.deletes != Some(false)
            && self.data_set.guard.constraints.bars(node).is_none()
            && self.placement.on(node.id).is_none()
            && self.has_room_on(node)
            && self.affords_one_on(node.id)
    }

    /// Whether a node has room for one more replica of the data set.
    pub fn has_room(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_none_or(|node| self.has_room_on(node))
    }

    /// The same, of a node in hand.
    pub fn has_room_on(&self, node: &Node) -> bool {
        let stored = || self.stored_bytes.get(&node.id).copied().unwrap_or(0);
        node.capacity_bytes.is_none_or(|capacity| stored().saturating_add(self.data_set.bytes) <= capacity)
    }

    /// Whether the network's budget bears that a replica is brought to a node from any that is present.
    pub fn affords_one_on(&self, to: NodeId) -> bool {
        let Some(books) = &self.books else { return true };
        let bears =
            |from| books.forbids(AgentId::OPERATOR, Action::Copy { from, to }, self.data_set.bytes, self.at).is_none();
        self.placement.present().any(|row| bears(row.node))
    }

    /// Why an agent may not begin an action now; `None`: it may.
    pub fn forbids(&self, agent: AgentId, action: Action) -> Option<Forbidden> {
        let destination = action.to_node().and_then(|to| self.nodes.get(&to));
        let forbidden = self.data_set.guard.forbids(destination, &self.placement, action, self.at);
        forbidden.or_else(|| self.over_budget(agent, action))
    }

    /// What an agent's action costs, for people; `None`: nothing has a price, or nothing is brought or dropped.
    pub fn quote(&self, agent: AgentId, action: Action) -> Option<Quote> {
        let costs = self.placement.is_brought_by(action) || matches!(action, Action::Evict { .. });
        self.books.as_ref().filter(|_| costs)?.quote(
            agent,
            action,
            self.placement.bytes_brought(action, &self.data_set),
        )
    }

    /// Why no budget bears an agent's action now; `None`: each does, or it costs nothing more.
    pub fn over_budget(&self, agent: AgentId, action: Action) -> Option<Forbidden> {
        let books = self.books.as_ref().filter(|_| self.placement.is_brought_by(action))?;
        books.forbids(agent, action, self.placement.bytes_brought(action, &self.data_set), self.at)
    }

    /// When something may begin that may not now, because time alone holds it; `None`: nothing waits for that.
    pub fn opens_at(&self) -> Option<Timestamp> {
        let renewed = self.books.as_ref().and_then(|books| books.tariff.renews_at(self.at));
        self.data_set.guard.opens_at(self.at).into_iter().chain(renewed).min()
    }

    /// Who looks after what lies on a node: of all `living`, the agent there, else the first.
    pub fn keeper(&self, node: NodeId, living: impl Fn(AgentId) -> bool) -> Option<AgentId> {
        let living = || self.agents.iter().filter(|(agent, _)| living(**agent));
        let at_home = living().find(|(_, peer)| peer.registration.node == node);
        at_home.or_else(|| living().next()).map(|(agent, _)| *agent)
    }

    /// Whether that is this agent, which lives; of the others those do that were heard of within `silence`.
    pub fn is_kept_by(&self, agent: AgentId, node: NodeId, silence: Duration) -> bool {
        self.keeper(node, |other| other == agent || self.is_alive(other, silence)) == Some(agent)
    }

    /// The replica of the newest version that a node reaches over the link with the lowest latency.
    pub fn nearest(&self, node: NodeId) -> Option<&Replica> {
        let latency = |from: NodeId| self.link(node, from).map_or(f64::INFINITY, |link| link.latency_ms);
        self.placement.current().min_by(|a, b| latency(a.node).total_cmp(&latency(b.node)))
    }

    /// The node where the owner writes, as far as anybody knows: that of `origin = "fixed"`, or of the replica under the owner's own
    /// key, or of the first one.
    pub fn origin(&self) -> Option<NodeId> {
        let stated = self.data_set.guard.constraints.origin;
        let own = || self.placement.origin(&self.data_set.object_key).map(|row| row.node);
        stated.or_else(own).or_else(|| self.placement.current().next().map(|row| row.node))
    }

    /// The same, where anything was written since the data set was registered.
    pub fn written_origin(&self) -> Option<NodeId> {
        self.data_set.versions.written_at.and_then(|_| self.origin())
    }

    /// Whether an agent was heard of within `silence`.
    pub fn is_alive(&self, agent: AgentId, silence: Duration) -> bool {
        let heard = self.agents.get(&agent).and_then(|peer| peer.heartbeat_at);
        heard.is_some_and(|at| self.at.since(at) <= silence)
    }
}
