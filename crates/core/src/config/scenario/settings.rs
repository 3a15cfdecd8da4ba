//! A scenario as meant: typed and validated.

use crate::config::settings::{AgentSettings, NetworkSettings};
use crate::domain::action::Action;
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::placement::Link;
use crate::domain::units::Percent;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A network in virtual time: its configuration, what jobs and transfers take in it, and what happens to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario {
    pub name: String,
    pub about: String,
    pub network: NetworkSettings,
    pub agents: BTreeMap<AgentId, AgentSettings>,
    /// Trained impacts of the agents that bring theirs; the others are trained by the physics.
    pub impacts: BTreeMap<AgentId, BTreeMap<Action, Impacts>>,
    pub physics: Physics,
    /// What the agents whose job is a service are asked for.
    pub services: BTreeMap<AgentId, Service>,
    /// Of the data sets that are not as large as the physics says \[bytes\].
    pub sizes: BTreeMap<DataSetName, u64>,
    /// Of the data sets that their owners go on writing.
    pub writes: BTreeMap<DataSetName, Writes>,
    /// Where each data set's replicas lie at the start. Where there are several, every agent reads the nearest.
    pub placed: BTreeMap<DataSetName, BTreeSet<NodeId>>,
    /// In order of time.
    pub changes: Vec<Change>,
    pub faults: Vec<Fault>,
    /// Agents that do not tell their peers what they expect.
    pub dishonest: BTreeMap<AgentId, Lie>,
    /// That its troubles end, and what must hold then.
    pub calm: Option<Calm>,
    /// How nodes, links and agents are made, when the file lists none. `network` and `agents` are its templates then.
    pub generate: Option<Generate>,
}

impl Scenario {
    /// What an action costs, as the acting agent states it.
    pub fn cost(&self, agent: AgentId, action: Action) -> f64 {
        let costs = self.agents.get(&agent).map(|agent| &agent.costs);
        costs.and_then(|costs| costs.get(&action.kind())).copied().unwrap_or(1.0)
    }

    /// The size of a data set \[bytes\].
    pub fn bytes(&self, data_set: &DataSetName) -> u64 {
        self.sizes.get(data_set).copied().unwrap_or(self.physics.bytes)
    }

    /// What jobs and transfers of a data set take: a job that reads twice the bytes takes twice as long.
    pub fn physics_of(&self, data_set: &DataSetName) -> Physics {
        let bytes = self.bytes(data_set);
        let times = bytes as f64 / self.physics.bytes as f64;
        let longer = |line: Line| Line {
            base: line.base.mul_f64(times),
            slope: line.slope * times,
            deviation: line.deviation.mul_f64(times),
        };
        let Physics { response_time, execution_time, .. } = self.physics;
        let (response_time, execution_time) = (longer(response_time), longer(execution_time));
        match bytes == self.physics.bytes {
            true => self.physics.clone(),
            false => Physics { response_time, execution_time, bytes, ..self.physics.clone() },
        }
    }

    /// The nodes that hold a data set at the start.
    pub fn placed_of(&self, data_set: &DataSetName) -> BTreeSet<NodeId> {
        self.placed.get(data_set).cloned().unwrap_or_default()
    }

    /// As if there were no other data set: with its readers and its physics alone.
    pub fn of(&self, data_set: &DataSetName) -> Cow<'_, Scenario> {
        if self.network.data_sets.len() == 1 {
            return Cow::Borrowed(self);
        }
        let mut alone = self.clone();
        alone.network.data_sets.retain(|name, _| name == data_set);
        alone.agents.retain(|_, agent| agent.reads(data_set));
        alone.services.retain(|agent, _| alone.agents.contains_key(agent));
        alone.placed.retain(|name, _| name == data_set);
        alone.physics = self.physics_of(data_set);
        alone.sizes.clear();
        alone.writes.retain(|name, _| name == data_set);
        Cow::Owned(alone)
    }

    /// The nodes that join later, and when.
    pub fn joining(&self) -> BTreeMap<NodeId, Duration> {
        let joins = self.changes.iter().flat_map(|change| change.join.iter().map(|node| (*node, change.at)));
        joins.collect()
    }
}

/// A new version of a data set now and then.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Writes {
    pub every: Duration,
    /// Of its bytes, 0 to 1: they are other ones than in the version before.
    pub share: f64,
}

/// An end of all troubles: from then on nothing breaks, changes or is lost, and what is broken is whole again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Calm {
    /// From the start of the scenario.
    pub from: Duration,
    /// When everything must have healed (from the start, too): the simulator looks then.
    pub healed_by: Duration,
}

/// What jobs and transfers take.
#[derive(Clone, PartialEq, Debug)]
pub struct Physics {
    pub response_time: Line,
    pub execution_time: Line,
    /// Size of a data set that states none \[bytes\].
    pub bytes: u64,
    /// How long after a job's end its agent sees it.
    pub poll: Duration,
    pub rules: Rules,
    /// How long a job tries to read what cannot be reached.
    pub job_failure: Duration,
    pub transfer: Transfer,
    /// Share of the transfers that fail half way, 0..=1.
    pub transfer_failures: f64,
    /// Share of what agents answer each other that never arrives, 0..=1.
    pub replies_lost: f64,
    pub links: Links,
}

pub use super::service::Service;
pub use crate::domain::environment::Links;

/// Who is imitated in what machines leave open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rules {
    /// Agents as this program runs them.
    Agents,
    /// The published system: data consistency is counted when a job has ended, not when it begins, and windows close to the
    /// second, not at the next round of duties.
    Published,
}

/// A time that grows with latency: `base + slope x latency`, normally distributed around it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    pub base: Duration,
    /// Seconds for each second of latency.
    pub slope: f64,
    pub deviation: Duration,
}

/// How long the bytes of a move or copy are on their way.
#[derive(Clone, PartialEq, Debug)]
pub enum Transfer {
    /// Always this long.
    Takes(Duration),
    /// The slowest of the two stores and the two links decides, in bytes/s.
    Rates { link: u64, store: u64, of_links: BTreeMap<(NodeId, NodeId), u64>, of_stores: BTreeMap<NodeId, u64> },
}

impl Transfer {
    /// What a node's store reads or writes \[bytes/s\]: no end of it where transfers take what they take.
    pub fn store_rate(&self, node: NodeId) -> f64 {
        match self {
            Transfer::Takes(_) => f64::INFINITY,
            Transfer::Rates { store, of_stores, .. } => *of_stores.get(&node).unwrap_or(store) as f64,
        }
    }

    /// What passes between an agent at home and the store of a node \[bytes/s\]. Nothing lies before the store of its own node.
    pub fn link_rate(&self, home: NodeId, node: NodeId) -> f64 {
        match self {
            Transfer::Rates { link, of_links, .. } if home != node => {
                *of_links.get(&(home, node)).unwrap_or(link) as f64
            }
            Transfer::Takes(_) | Transfer::Rates { .. } => f64::INFINITY,
        }
    }
}

/// What happens to the network by plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// From the start.
    pub at: Duration,
    /// Each direction.
    pub links: Vec<Link>,
    pub availability: Vec<(NodeId, Percent)>,
    pub join: Vec<NodeId>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Fault {
    pub kind: FaultKind,
    pub when: When,
    pub lasts: Duration,
}

/// What breaks. Where no node or agent is named, one is drawn each time.
#[derive(Clone, PartialEq, Debug)]
pub enum FaultKind {
    /// Its store and the agents on it.
    NodeDown(Option<NodeId>),
    AgentDown(Option<AgentId>),
    StoreDown(Option<NodeId>),
    /// Reading and writing take so many times as long.
    StoreSlow(Option<NodeId>, f64),
    /// Nothing passes between nodes of different sets. The shared table can be reached by all.
    Partition(Vec<BTreeSet<NodeId>>),
    DatabaseAway,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum When {
    /// Once, from the start.
    At(Duration),
    /// The first time, and from one's begin to the next.
    Regularly(Duration, Duration),
    /// Again and again, with this mean time between one's end and the next (exponential).
    Every(Duration),
    /// Once, when an agent has first come so far: the one that the fault names, or any.
    Upon(Moment),
}

impl FaultKind {
    /// As scenarios write it.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::NodeDown(_) => "node_down",
            FaultKind::AgentDown(_) => "agent_down",
            FaultKind::StoreDown(_) => "store_down",
            FaultKind::StoreSlow(..) => "store_slow",
            FaultKind::Partition(_) => "partition",
            FaultKind::DatabaseAway => "database_away",
        }
    }
}

impl When {
    /// How it comes, for people and figures.
    pub fn name(self) -> &'static str {
        match self {
            When::At(_) => "once",
            When::Regularly(..) => "regularly",
            When::Every(_) => "again and again",
            When::Upon(moment) => moment.name(),
        }
    }
}

impl Moment {
    /// As scenarios write it.
    pub fn name(self) -> &'static str {
        match self {
            Moment::Question => "question",
            Moment::Transfer => "transfer",
        }
    }
}

impl Lie {
    /// As scenarios write it.
    pub fn name(self) -> &'static str {
        match self {
            Lie::Worst => "worst",
            Lie::Cunning => "cunning",
        }
    }
}

/// Where an agent is hit hardest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// It has asked its peers and waits for answers.
    Question,
    /// It moves bytes.
    Transfer,
}

/// What a dishonest agent tells its peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lie {
    /// Everything would make it lose all.
    Worst,
    /// Any change would make it lose all, and as it is it can stay.
    Cunning,
}

/// What goals of a generated network are drawn around.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Goals {
    /// One placement that serves all of them.
    #[default]
    Shared,
    /// For each agent a node of its own choice, among the nearest third: what suits one need not suit another.
    Own,
}

/// A random geometric network: nodes are points of a square, latency grows with distance.
#[derive(Clone, PartialEq, Debug)]
pub struct Generate {
    pub nodes: u32,
    /// Of the network alone, so that runs of other seeds meet the same network.
    pub seed: u64,
    /// Latency between nodes at the same point.
    pub nearest_ms: f64,
    /// Latency across the square's diagonal.
    pub farthest_ms: f64,
    pub jitter_ms: f64,
    /// Availabilities are drawn evenly between these.
    pub availability: (Percent, Percent),
    pub capacity_bytes: Option<u64>,
    /// How many replicas serve every goal that can be met.
    pub replicas: u32,
    /// How many of these lie there at the start.
    pub placed: u32,
    /// Share of the agents whose goal can be met, 0..=1.
    pub satisfiable: f64,
    /// Share of the agents that ask for no more than that many replicas, 0..=1.
    pub thrifty: f64,
    /// At how many nodes, the nearest, each agent was trained; and at its own and the one that it reads at the start.
    pub trained: u32,
    pub goals: Goals,
    /// What generated agents have in common.
    pub template: AgentSettings,
}
