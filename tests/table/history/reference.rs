//! The claim protocol for one data set, told once more: by nodes and what they hold, one call after the other.
//!
//! Written from `docs/database.md` and the documentation of `Knowledge`, not from the code that it is to judge: there are no rows, changes
//! and leases of holders here, and nothing is shared with `domain::saga` but the names of nodes, agents and actions.
//!
//! * A node holds at most one replica, which is on its way or has arrived.
//! * A claim *holds* what it will change: the replica that it moves, drops or begins to read, and the one that it brings. Who
//!   copies holds what he brings and nothing else. What is held can be taken by another claim only after its time; until then
//!   it stays its own, however late it is.
//! * A plan is void when a replica that it was made on is another one by now, or has been copied since.

use super::search::Reference;
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub const LEASE: Duration = Duration::from_secs(20);

/// The number of a claim's idempotency key; 0 is what was there in the beginning.
pub type Key = u32;

/// A replica, as its node holds it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Held {
    /// The claim that brought the object.
    pub object: Key,
    pub has_arrived: bool,
    /// How often something has happened to it.
    pub version: i64,
    /// Which agent's claim holds it, and how long nobody else can.
    pub held: Option<(AgentId, Timestamp)>,
}

/// What somebody who looks sees.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct View {
    pub nodes: BTreeMap<NodeId, Held>,
    /// Objects that are to be deleted.
    pub leftovers: BTreeSet<(NodeId, Key)>,
    pub readers: BTreeMap<AgentId, NodeId>,
}

/// What an agent means to do, and the replicas that it saw when it decided so: the object and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    pub key: Key,
    pub agent: AgentId,
    pub action: Action,
    pub seen: BTreeMap<NodeId, (Key, i64)>,
}

/// What a claim was granted: to bring bytes to this node, if to any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    pub brings_to: Option<NodeId>,
}

/// A question and its answer; `None`: the answer is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    Look { saw: View },
    Claim { plan: Plan, answer: Option<Result<Granted, String>> },
    Renew { key: Key, answer: Option<bool> },
    Commit { key: Key, answer: Option<Result<Option<(NodeId, Key)>, String>> },
    Abort { key: Key, answer: Option<Option<(NodeId, Key)>> },
    Removed { node: NodeId, object: Key, answer: Option<()> },
}

/// Who asked, at which time of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub number: usize,
    pub by: AgentId,
    pub at: Timestamp,
    pub asked: Asked,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Running,
    Done { leftover: Option<(NodeId, Key)> },
    GivenUp,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Claim {
    agent: AgentId,
    action: Action,
    /// The replica that it is about, whoever moves it.
    source: Key,
    brings_to: Option<NodeId>,
    stage: Stage,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Replica {
    /// The claim that made it; a move brings another object, and it stays the same replica.
    name: Key,
    object: Key,
    has_arrived: bool,
    version: i64,
    held: Option<(Key, Timestamp)>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DataSet {
    nodes: BTreeMap<NodeId, Replica>,
    leftovers: BTreeSet<(NodeId, Key)>,
    readers: BTreeMap<AgentId, Key>,
    claims: BTreeMap<Key, Claim>,
}

/// The node that an action is about: where it takes from, what it begins to read, or drops.
pub fn source(action: Action) -> NodeId {
    match action {
        Action::Move { from, .. } | Action::Copy { from, .. } | Action::Restore { from, .. } => from,
        Action::ChangeReference { to } => to,
        Action::Evict { node } => node,
        Action::MoveWork { .. } => panic!("these agents live where they run"),
        Action::Nothing => panic!("nobody claims to do nothing"),
    }
}

impl DataSet {
    /// One replica, which everybody reads.
    pub fn new(node: NodeId, readers: impl IntoIterator<Item = AgentId>) -> Self {
        let first = Replica { name: 0, object: 0, has_arrived: true, version: 1, held: None };
        Self {
            nodes: BTreeMap::from([(node, first)]),
            leftovers: BTreeSet::new(),
            readers: readers.into_iter().map(|agent| (agent, 0)).collect(),
            claims: BTreeMap::new(),
        }
    }

    /// How many read it.
    pub fn agents(&self) -> usize {
        self.readers.len()
    }

    fn view(&self) -> View {
        let held = |replica: &Replica| Held {
            object: replica.object,
            has_arrived: replica.has_arrived,
            version: replica.version,
            held: replica.held.map(|(key, until)| (self.claims[&key].agent, until)),
        };
        let node_of = |name: &Key| self.nodes.iter().find(|(_, replica)| replica.name == *name).map(|(node, _)| *node);
        View {
            nodes: self.nodes.iter().map(|(node, replica)| (*node, held(replica))).collect(),
            leftovers: self.leftovers.clone(),
            readers: self.readers.iter().filter_map(|(agent, name)| Some((*agent, node_of(name)?))).collect(),
        }
    }

    fn arrived(&self, node: NodeId) -> Option<&Replica> {
        self.nodes.get(&node).filter(|replica| replica.has_arrived)
    }

    fn arrived_count(&self) -> usize {
        self.nodes.values().filter(|replica| replica.has_arrived).count()
    }

    fn named(&mut self, name: Key) -> Option<(NodeId, &mut Replica)> {
        self.nodes.iter_mut().find(|(_, replica)| replica.name == name).map(|(node, replica)| (*node, replica))
    }

    fn claim(&mut self, plan: &Plan, now: Timestamp) -> Result<Granted, String> {
        if let Some(known) = self.claims.get(&plan.key) {
            return Ok(Granted { brings_to: known.brings_to });
        }
        for (node, seen) in &plan.seen {
            let now = self.arrived(*node).map(|replica| (replica.object, replica.version));
            if now != Some(*seen) {
                return Err(format!("what node {node} holds is not what the plan was made on"));
            }
        }
        let from = source(plan.action);
        let Some(about) = self.arrived(from) else { return Err(format!("node {from} holds nothing")) };
        let (name, held) = (about.name, about.held);
        let to = if plan.action.transfers() { plan.action.to_node() } else { None };
        let brings_to = to.filter(|to| !self.nodes.contains_key(to));
        if let Some(to) = to.filter(|to| self.nodes.contains_key(to) && self.arrived(*to).is_none()) {
            return Err(format!("a replica is on its way to node {to}"));
        }
        if matches!(plan.action, Action::Evict { .. }) && self.arrived_count() < 2 {
            return Err("it is the last replica".to_owned());
        }
        let holds_source = !(matches!(plan.action, Action::Copy { .. }) && brings_to.is_some());
        if let Some((holder, until)) = held.filter(|(_, until)| holds_source && *until >= now) {
            let agent = self.claims[&holder].agent;
            return Err(format!(
                "claim {holder} of agent {agent} holds what node {from} has until {} s",
                seconds(until)
            ));
        }
        let hold = Some((plan.key, now + LEASE));
        if let Some((_, source)) = self.named(name).filter(|_| holds_source) {
            source.held = hold;
        }
        if let Some(to) = brings_to {
            let (name, object) = (plan.key, plan.key);
            self.nodes.insert(to, Replica { name, object, has_arrived: false, version: 1, held: hold });
        }
        let Plan { key, agent, action, .. } = *plan;
        self.claims.insert(key, Claim { agent, action, source: name, brings_to, stage: Stage::Running });
        Ok(Granted { brings_to })
    }

    /// Whether a claim still holds all that it took: the replica that it brings, and unless it copies, the one it is about.
    fn holds(&self, key: Key, claim: &Claim) -> bool {
        let is_held = |replica: &Replica| replica.held.is_some_and(|(holder, _)| holder == key);
        let brought = claim.brings_to.is_none_or(|to| self.nodes.get(&to).is_some_and(is_held));
        let is_copy = matches!(claim.action, Action::Copy { .. }) && claim.brings_to.is_some();
        let source = self.nodes.values().find(|replica| replica.name == claim.source);
        brought && (is_copy || source.is_some_and(is_held))
    }

    fn renew(&mut self, key: Key, now: Timestamp) -> bool {
        let Some(claim) = self.claims.get(&key).cloned() else { return false };
        if claim.stage != Stage::Running || !self.holds(key, &claim) {
            return false;
        }
        for (holder, until) in self.nodes.values_mut().filter_map(|replica| replica.held.as_mut()) {
            if *holder == key {
                *until = now + LEASE;
            }
        }
        true
    }

    fn commit(&mut self, key: Key, homes: impl Fn(AgentId) -> NodeId) -> Result<Option<(NodeId, Key)>, String> {
        let Some(claim) = self.claims.get(&key).cloned() else { return Err("there is no such claim".to_owned()) };
        match claim.stage {
            Stage::Done { leftover } => return Ok(leftover),
            Stage::GivenUp => return Err("it was given up".to_owned()),
            Stage::Running if !self.holds(key, &claim) => return Err("somebody else took what it held".to_owned()),
            Stage::Running => {}
        }
        let leftover = self.carry_out(key, &claim, homes)?;
        self.release(key);
        self.claims.insert(key, Claim { stage: Stage::Done { leftover }, ..claim });
        Ok(leftover)
    }

    fn carry_out(
        &mut self,
        key: Key,
        claim: &Claim,
        homes: impl Fn(AgentId) -> NodeId,
    ) -> Result<Option<(NodeId, Key)>, String> {
        let joined = claim.action.to_node().and_then(|to| self.arrived(to)).map(|replica| replica.name);
        let there = || joined.ok_or("what was to be joined is gone");
        match (claim.action, claim.brings_to) {
            (Action::Copy { .. }, Some(to)) => {
                let brought = self.nodes.get_mut(&to).expect("it is held");
                (brought.has_arrived, brought.version) = (true, brought.version + 1);
                if let Some((_, source)) = self.named(claim.source).filter(|(_, replica)| replica.has_arrived) {
                    source.version += 1;
                }
                self.readers.insert(claim.agent, key);
                Ok(None)
            }
            (Action::Move { from, .. }, Some(to)) => {
                let moved = self.nodes.remove(&from).expect("it is held");
                let leftover = self.leave(from, moved.object);
                self.nodes.insert(to, Replica { object: key, version: moved.version + 1, ..moved });
                Ok(leftover)
            }
            (Action::Move { from, .. }, None) => {
                let there = there()?;
                self.readers.values_mut().filter(|name| **name == claim.source).for_each(|name| *name = there);
                Ok(self.drop_from(from))
            }
            (Action::Copy { .. } | Action::ChangeReference { .. }, _) => {
                let name = if claim.action.transfers() { there()? } else { claim.source };
                self.readers.insert(claim.agent, name);
                Ok(None)
            }
            (Action::Evict { node }, _) if self.arrived_count() >= 2 => {
                let readers = self.readers.clone().into_iter().filter(|(_, name)| *name == claim.source);
                for (agent, _) in readers {
                    self.readers.insert(agent, self.nearest(homes(agent), node));
                }
                Ok(self.drop_from(node))
            }
            (Action::Evict { .. }, _) => Err("it is the last replica".to_owned()),
            (Action::Restore { .. } | Action::MoveWork { .. } | Action::Nothing, _) => {
                panic!("these agents neither mend nor idle, and their work stays")
            }
        }
    }

    fn drop_from(&mut self, node: NodeId) -> Option<(NodeId, Key)> {
        let dropped = self.nodes.remove(&node).expect("it is held");
        self.leave(node, dropped.object)
    }

    fn leave(&mut self, node: NodeId, object: Key) -> Option<(NodeId, Key)> {
        self.leftovers.insert((node, object));
        Some((node, object))
    }

    /// The closest other replica to somebody's home: nodes with neighbouring numbers are neighbours.
    fn nearest(&self, home: NodeId, dropped: NodeId) -> Key {
        let others = self.nodes.iter().filter(|(node, replica)| replica.has_arrived && **node != dropped);
        let nearest = others.min_by_key(|(node, _)| (node.0.abs_diff(home.0), node.0));
        nearest.expect("it is not the last replica").1.name
    }

    fn release(&mut self, key: Key) {
        for replica in self.nodes.values_mut().filter(|replica| replica.held.is_some_and(|(holder, _)| holder == key)) {
            replica.held = None;
        }
    }

    fn abort(&mut self, key: Key) -> Option<(NodeId, Key)> {
        let claim = self.claims.get(&key).cloned()?;
        if claim.stage == Stage::Running {
            if let Some(to) = claim.brings_to {
                self.nodes.remove(&to);
                self.leave(to, key);
            }
            self.release(key);
            self.claims.insert(key, Claim { stage: Stage::GivenUp, ..claim });
        }
        let brought = claim.brings_to.map(|to| (to, key)).filter(|_| !matches!(claim.stage, Stage::Done { .. }));
        brought.filter(|brought| self.leftovers.contains(brought))
    }
}

impl Reference for DataSet {
    type Call = Call;

    fn after(&self, call: &Call) -> Result<Self, String> {
        let mut next = self.clone();
        let fits = match &call.asked {
            Asked::Look { saw } => {
                let view = self.view();
                return if view == *saw { Ok(next) } else { Err(format!("there was to see: {view}")) };
            }
            Asked::Claim { plan, answer } => {
                let own = next.claim(plan, call.at);
                // Why a claim is lost may be told in other words.
                let fits = answer.as_ref().is_none_or(|answer| answer.as_ref().ok() == own.as_ref().ok());
                fits.then_some(())
                    .ok_or_else(|| own.map_or_else(|why| format!("lost: {why}"), |_| "granted".to_owned()))
            }
            Asked::Renew { key, answer } => fitting(*answer, next.renew(*key, call.at)),
            Asked::Commit { key, answer } => {
                // Agents live on the nodes of their numbers.
                let own = next.commit(*key, |agent| NodeId(agent.0));
                let fits = answer.as_ref().is_none_or(|answer| answer.as_ref().ok() == own.as_ref().ok());
                fits.then_some(()).ok_or_else(|| {
                    own.map_or_else(|why| format!("refused: {why}"), |left| format!("done, {left:?} is left"))
                })
            }
            Asked::Abort { key, answer } => fitting(*answer, next.abort(*key)),
            Asked::Removed { node, object, .. } => {
                next.leftovers.remove(&(*node, *object));
                Ok(())
            }
        };
        fits.map(|()| next).map_err(|own| format!("the reference says {own}"))
    }
}

fn fitting<T: PartialEq + fmt::Debug>(answer: Option<T>, own: T) -> Result<(), String> {
    if answer.is_none_or(|answer| answer == own) { Ok(()) } else { Err(format!("{own:?}")) }
}

pub fn seconds(time: Timestamp) -> i64 {
    time.0 / 1000
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, replica) in &self.nodes {
            let way = if replica.has_arrived { "" } else { " on its way" };
            write!(f, "node {node} object {}{way} version {}", replica.object, replica.version)?;
            match replica.held {
                Some((agent, until)) => write!(f, " held by agent {agent} until {} s, ", seconds(until))?,
                None => f.write_str(", ")?,
            }
        }
        let readers: Vec<_> = self.readers.iter().map(|(agent, node)| format!("{agent}<-{node}")).collect();
        let leftovers: Vec<_> = self.leftovers.iter().map(|(node, object)| format!("{object} on {node}")).collect();
        write!(f, "read {}, left [{}]", readers.join(" "), leftovers.join(", "))
    }
}

/// The answer in words.
fn told<T>(answer: Option<T>, words: impl FnOnce(T) -> String) -> String {
    answer.map_or_else(|| "no answer".to_owned(), words)
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} of agent {} at {} s, ", self.number, self.by, seconds(self.at))?;
        match &self.asked {
            Asked::Look { saw } => write!(f, "look -> {saw}"),
            Asked::Claim { plan, answer } => {
                let answer = told(answer.as_ref(), |answer| match answer {
                    Ok(_) => "granted".to_owned(),
                    Err(why) => format!("lost: {why}"),
                });
                write!(f, "claim {} of {} -> {answer}", plan.key, plan.action)
            }
            Asked::Renew { key, answer } => {
                let words = |held| if held { "held" } else { "not held" }.to_owned();
                write!(f, "renew {key} -> {}", told(*answer, words))
            }
            Asked::Commit { key, answer } => {
                let answer = told(answer.as_ref(), |answer| match answer {
                    Ok(left) => format!("done, {left:?} is left"),
                    Err(why) => format!("refused: {why}"),
                });
                write!(f, "commit {key} -> {answer}")
            }
            Asked::Abort { key, answer } => {
                write!(f, "abort {key} -> {}", told(*answer, |left| format!("{left:?} is left")))
            }
            Asked::Removed { node, object, answer } => {
                write!(f, "removed object {object} of node {node} -> {}", told(*answer, |()| "done".to_owned()))
            }
        }
    }
}
