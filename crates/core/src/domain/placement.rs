//! Where the replicas of one data set are, who reads which, and what an action makes of it.

use super::action::Action;
use super::constraints::Guard;
use super::environment::{Availability, Contact};
use super::ids::{AgentId, DataSetName, EventId, Life, NodeId, ReplicaId};
use super::labels::Labels;
use super::time::Timestamp;
use super::validators::Validators;
use super::versions::{Former, Versions};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is known of a node beside its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Nobody has started its store or an agent on it yet.
    #[default]
    Declared,
    Running,
    /// The last that was heard of was a clean stop.
    Stopped,
    /// It is being removed: its replicas drain, and nothing is brought there any more.
    Leaving,
}

impl NodeState {
    pub const ALL: [NodeState; 4] = [NodeState::Declared, NodeState::Running, NodeState::Stopped, NodeState::Leaving];

    pub fn name(self) -> &'static str {
        match self {
            NodeState::Declared => "declared",
            NodeState::Running => "running",
            NodeState::Stopped => "stopped",
            NodeState::Leaving => "leaving",
        }
    }
}

/// What was found out about a node's store by trying.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct StoreTraits {
    /// Whether what is written there can be deleted again; absent: nobody has tried.
    pub deletes: Option<bool>,
    /// For people: what it does that costs them something.
    pub remarks: Option<String>,
}

/// A node as the shared table knows it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    /// Endpoint of its store; absent until the node's agent has started it.
    pub store_url: Option<String>,
    #[serde(flatten)]
    pub availability: Availability,
    /// Absent: unlimited.
    pub capacity_bytes: Option<u64>,
    pub state: NodeState,
    /// When the node's agent was last heard of; absent: never.
    #[serde(rename = "heartbeat_at_scenario_ms")]
    pub heartbeat_at: Option<Timestamp>,
    /// What people call it by, so that constraints can mean it.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    pub store: StoreTraits,
    #[serde(flatten)]
    pub contact: Contact,
}

/// The way from one node to another, as stated in the shared table.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Link {
    pub from: NodeId,
    pub to: NodeId,
    pub latency_ms: f64,
    /// Standard deviation of the latency from job to job \[ms\].
    pub jitter_ms: f64,
}

/// What the applications read.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DataSet {
    pub name: DataSetName,
    pub object_key: String,
    pub bytes: u64,
    pub records: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// That this content is the newest of.
    pub versions: Versions,
    #[serde(flatten)]
    pub guard: Guard,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Its bytes are on the way; nobody may reference it.
    Copying,
    /// Its bytes were verified.
    Present,
    /// Dropped from the catalogue; its object is still to be deleted.
    Removing,
    /// The user's own object is another one by now. No action touches it until a person decides.
    Changed,
    /// Its object is gone, or not what was written: to be made anew from an intact replica.
    Damaged,
}

impl ReplicaState {
    pub const ALL: [ReplicaState; 5] = [
        ReplicaState::Copying,
        ReplicaState::Present,
        ReplicaState::Removing,
        ReplicaState::Changed,
        ReplicaState::Damaged,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ReplicaState::Copying => "copying",
            ReplicaState::Present => "present",
            ReplicaState::Removing => "removing",
            ReplicaState::Changed => "changed",
            ReplicaState::Damaged => "damaged",
        }
    }

    /// Whether the catalogue holds something there, sound or not: not before it has arrived, nor when it is on its way out. So long it is
    /// looked after, and paid for.
    pub fn is_held(self) -> bool {
        match self {
            ReplicaState::Present | ReplicaState::Changed | ReplicaState::Damaged => true,
            ReplicaState::Copying | ReplicaState::Removing => false,
        }
    }

    /// Whether the catalogue names it and its object is of no version.
    pub fn is_unsound(self) -> bool {
        match self {
            ReplicaState::Changed | ReplicaState::Damaged => true,
            ReplicaState::Copying | ReplicaState::Present | ReplicaState::Removing => false,
        }
    }
}

/// Exclusive right to change a replica, for a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Lease {
    pub holder: AgentId,
    pub until: Timestamp,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Replica {
    pub id: ReplicaId,
    pub data_set: DataSetName,
    pub node: NodeId,
    pub object_key: String,
    pub state: ReplicaState,
    /// Rises with every change; a claim made on an older one fails (I-5).
    pub generation: i64,
    pub lease: Option<Lease>,
    /// Of its object, as it was last seen to be right.
    pub validators: Validators,
    /// For people: what is wrong with it.
    pub remark: Option<String>,
    /// The version that it holds, where that is not the newest: whole, and read until it is refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
}

impl Replica {
    /// Whether it is to be made anew, or a person has to decide: its object is not what the catalogue says of the newest version.
    pub fn is_unsound(&self) -> bool {
        self.state.is_unsound() || self.is_outdated()
    }

    /// Whether it holds a former version.
    pub fn is_outdated(&self) -> bool {
        self.former.is_some()
    }

    /// How old the first version is that it lacks; 0 when it holds the newest.
    pub fn staleness(&self, now: Timestamp) -> Duration {
        self.former.as_ref().map_or(Duration::ZERO, |former| now.since(former.since))
    }

    /// The data set as this replica holds it.
    pub fn content<'a>(&'a self, newest: &'a DataSet) -> HeldVersion<'a> {
        match &self.former {
            Some(former) => HeldVersion { bytes: former.bytes, records: former.records, sha256: &former.sha256 },
            None => HeldVersion { bytes: newest.bytes, records: newest.records, sha256: &newest.sha256 },
        }
    }
}

/// What a replica's object is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldVersion<'a> {
    pub bytes: u64,
    pub records: u64,
    /// Lower-case hexadecimal.
    pub sha256: &'a str,
}

/// What a look at a replica's object showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It is what the catalogue says, and these are its validators now.
    Intact(Validators),
    /// It is not; why, for people.
    Changed(String),
    Damaged(String),
}

/// The replicas of one data set and its readers.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
pub struct Placement {
    pub replicas: BTreeMap<ReplicaId, Replica>,
    pub references: BTreeMap<AgentId, ReplicaId>,
}

impl Placement {
    /// Replicas that can be read, of whichever version.
    pub fn present(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(|replica| replica.state == ReplicaState::Present)
    }

    /// Those that hold the newest version: what others can be made from.
    pub fn current(&self) -> impl Iterator<Item = &Replica> {
        self.present().filter(|replica| !replica.is_outdated())
    }

    /// The nodes that hold a present replica.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.present().map(|replica| replica.node).collect()
    }

    /// The replica that a node holds, or is about to hold; one that is being removed does not count.
    pub fn on(&self, node: NodeId) -> Option<&Replica> {
        let there =
            || self.replicas.values().filter(move |row| row.node == node && row.state != ReplicaState::Removing);
        // One that is made anew lies beside what it replaces.
        there().find(|row| !row.is_unsound()).or_else(|| there().next())
    }

    /// A node's replica that is not what the catalogue says.
    pub fn unsound_on(&self, node: NodeId) -> Option<&Replica> {
        self.replicas.values().find(|row| row.node == node && row.is_unsound())
    }

    /// Where the owner writes: the replica under the owner's own key, wherever that lies; `None` where agents moved it away.
    pub fn origin(&self, own_key: &str) -> Option<&Replica> {
        self.replicas.values().find(|row| row.object_key == own_key && row.state.is_held())
    }

    /// Whether an action sends bytes: what its destination holds already need not come.
    pub fn is_brought_by(&self, action: Action) -> bool {
        let is_there = |node| self.present().any(|row| row.node == node);
        match action {
            Action::Move { to, .. } | Action::Copy { to, .. } => !is_there(to),
            Action::Restore { .. } => true,
            Action::ChangeReference { .. } | Action::Evict { .. } | Action::MoveWork { .. } | Action::Nothing => false,
        }
    }

    /// How many bytes an action sends, if it sends any: to refresh a replica, what was written since its version.
    pub fn bytes_brought(&self, action: Action, newest: &DataSet) -> u64 {
        let refreshed = match action {
            Action::Restore { to, .. } => self.unsound_on(to).and_then(|row| row.former.as_ref()),
            Action::Move { .. }
            | Action::Copy { .. }
            | Action::ChangeReference { .. }
            | Action::Evict { .. }
            | Action::MoveWork { .. }
            | Action::Nothing => None,
        };
        let written = |former: &Former| newest.versions.written_bytes.saturating_sub(former.written_bytes);
        refreshed.map_or(newest.bytes, |former| written(former).min(newest.bytes))
    }

    /// The replica that an agent reads.
    pub fn reference(&self, agent: AgentId) -> Option<&Replica> {
        self.replicas.get(self.references.get(&agent)?)
    }

    /// Who reads a replica.
    pub fn readers(&self, replica: ReplicaId) -> impl Iterator<Item = AgentId> + '_ {
        self.references.iter().filter(move |(_, read)| **read == replica).map(|(agent, _)| *agent)
    }

    /// How consistent the data is with the replicas that exist now.
    pub fn consistency(&self, max_copies: u32) -> f64 {
        consistency(self.present().count(), max_copies)
    }
}

/// How consistent the data is with so many replicas: `1 - (replicas - 1)/max_copies`, floored at 0.
pub fn consistency(replicas: usize, max_copies: u32) -> f64 {
    let copies = replicas.saturating_sub(1);
    (1.0 - copies as f64 / f64::from(max_copies)).max(0.0)
}

/// How a process asks to be an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    pub life: Life,
    /// Lives of the same agent that are known to have ended, whatever the table heard of them last.
    pub ended: Vec<Life>,
    /// How long after its last sign of life another one keeps the agent to itself.
    pub silence: Duration,
}

/// An agent as the shared table knows it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Registration {
    pub agent: AgentId,
    pub node: NodeId,
    /// As written by its user.
    pub goal: String,
    pub policy: String,
    /// The nodes that its jobs can be handed to, besides its own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub may_run_on: BTreeSet<NodeId>,
}

/// A registered agent and whether it is alive.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Peer {
    #[serde(flatten)]
    pub registration: Registration,
    /// Where its jobs were moved to; absent: they are at home. Where they do run is [`work`](super::work)'s to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_at: Option<NodeId>,
    /// What it is asked to pursue instead; in force once its registration says so, too.
    #[serde(skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
    /// When it was last heard of; absent after a clean stop.
    #[serde(rename = "heartbeat_at_scenario_ms")]
    pub heartbeat_at: Option<Timestamp>,
    #[serde(flatten)]
    pub health: Health,
}

/// What is asked of an agent in place of its configuration, until it is taken back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Overrides {
    /// As goals are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// By its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Overrides {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn set(&mut self, one: Override) {
        match one {
            Override::Goal(goal) => self.goal = goal,
            Override::Policy(policy) => self.policy = policy,
        }
    }
}

/// One of them; `None`: as its configuration says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Override {
    Goal(Option<String>),
    Policy(Option<String>),
}

/// What an agent says of itself with each sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Health {
    /// Its last jobs met its goal and nobody acted meanwhile.
    pub converged: bool,
    /// Inputs of this life that nobody waited for: faults in this program.
    #[serde(rename = "unexpected_inputs")]
    pub unexpected: u32,
}

/// An action and all that its claim depends on: complete and immutable (I-5).
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Plan {
    /// The event's idempotency key (I-6).
    pub key: String,
    pub agent: AgentId,
    pub data_set: DataSetName,
    /// The replica that the agent references when it plans.
    pub reference: ReplicaId,
    pub action: Action,
    pub explored: bool,
    /// What the plan was made on: the replicas concerned, with the generation seen.
    pub expected: BTreeMap<ReplicaId, i64>,
    /// Of the planned placement that it was made on, if it concerns more than these replicas: void as soon as anybody has
    /// begun or given up an action.
    pub generation: Option<i64>,
    /// The decision's report, JSON.
    pub detail: String,
}

/// An action that was claimed: what the executor works on, and what recovery finds of a dead agent.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Claim {
    pub event: EventId,
    pub agent: AgentId,
    pub data_set: DataSetName,
    pub action: Action,
    /// The replica that bytes come from, or that is evicted; for a change of reference the one to be read, and for work that moves the
    /// one that it reads.
    pub source: Replica,
    /// The row made for the bytes to come (move, copy).
    pub destination: Option<Replica>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_replica_takes_consistency_away_until_there_is_none() {
        let of = |replicas| consistency(replicas, 2);
        assert_eq!([0, 1, 2, 3, 4, 9].map(of), [1.0, 1.0, 0.5, 0.0, 0.0, 0.0]);
    }
}
