//! What a network looks like now: nodes, replicas, references, agents, and the promises that are broken, if any.

use crate::clock::{TimeScale, WallTime};
use crate::domain::convergence::RecentJobs;
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::invariants;
use crate::domain::measurement::Measurement;
use crate::domain::placement::{Node, NodeState, Peer, ReplicaState};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::knowledge::Knowledge;
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Status {
    pub data_set: DataSetName,
    pub nodes: Vec<NodeStatus>,
    pub replicas: Vec<ReplicaStatus>,
    pub agents: Vec<AgentStatus>,
    /// The last jobs of every agent that is alive (of all, when none is) met its goal, and nobody acted since the first of them began.
    pub converged: bool,
    /// Broken invariants; always empty unless somebody edited the table.
    pub broken: Vec<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NodeStatus {
    #[serde(flatten)]
    pub node: Node,
    pub stored_bytes: u64,
    /// Mean latency to the other nodes \[ms\].
    pub latency_ms: BTreeMap<NodeId, f64>,
    /// Its agent runs as far as the table knows, and has missed three heartbeats since then: it was killed, or is cut off.
    pub silent_since: Option<WallTime>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReplicaStatus {
    pub node: NodeId,
    pub state: ReplicaState,
    pub readers: Vec<AgentId>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AgentStatus {
    #[serde(flatten)]
    pub peer: Peer,
    pub alive: bool,
    /// It did not sign off, and has missed three heartbeats since then.
    pub silent_since: Option<WallTime>,
    /// The node that it reads.
    pub reads: Option<NodeId>,
    pub jobs: u64,
    pub violated: u64,
    /// Whether its last job met its goal.
    pub goal_met: Option<bool>,
    pub last: Option<Measurement>,
}

/// The jobs of one agent, counted from the table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JobCount {
    pub jobs: u64,
    pub violated: u64,
    pub last: Option<(Measurement, bool)>,
    recent: RecentJobs,
}

impl JobCount {
    fn add(&mut self, measurement: Measurement, satisfied: bool) {
        self.jobs += 1;
        self.violated += u64::from(!satisfied);
        self.recent.add(measurement.began(), satisfied);
        self.last = Some((measurement, satisfied));
    }
}

/// Counts the measurements of all agents, page by page. Keep it, and it goes on where it was.
#[derive(Default)]
pub struct JobCounter {
    seen: i64,
    pub counts: BTreeMap<AgentId, JobCount>,
}

impl JobCounter {
    pub async fn update(&mut self, knowledge: &dyn Knowledge) -> crate::knowledge::Result<()> {
        const PAGE: usize = 1000;
        loop {
            let page = knowledge.measurements(self.seen, PAGE).await?;
            let full = page.len() == PAGE;
            for recorded in page {
                self.seen = recorded.id;
                self.counts
                    .entry(recorded.measurement.agent)
                    .or_default()
                    .add(recorded.measurement, recorded.satisfied);
            }
            if !full {
                return Ok(());
            }
        }
    }
}

/// How the times in a table are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// How long without a heartbeat an agent counts as alive.
    pub silence: Duration,
    /// At which its agents run.
    pub scale: TimeScale,
}

impl Timing {
    /// Since when somebody is silent who was last heard of then.
    fn silent_since(self, heard_at: Option<Timestamp>, now: Timestamp) -> Option<WallTime> {
        let heard_at = heard_at.filter(|heard_at| now.since(*heard_at) > self.silence)?;
        Some(self.scale.on_the_wall(heard_at))
    }
}

/// Loads the status of a data set.
pub async fn load(
    knowledge: &dyn Knowledge,
    data_set: &DataSetName,
    timing: Timing,
    jobs: &mut JobCounter,
) -> anyhow::Result<Status> {
    jobs.update(knowledge).await?;
    let snapshot = knowledge.snapshot(data_set).await?;
    let snapshot = snapshot.with_context(|| format!("data set {data_set} is not in the catalogue yet"))?;
    Ok(status(&snapshot, timing, jobs))
}

fn status(snapshot: &Snapshot, timing: Timing, jobs: &JobCounter) -> Status {
    let agents: Vec<AgentStatus> = snapshot
        .agents
        .iter()
        .map(|(id, peer)| {
            let count = jobs.counts.get(id).cloned().unwrap_or_default();
            AgentStatus {
                peer: peer.clone(),
                alive: snapshot.is_alive(*id, timing.silence),
                silent_since: timing.silent_since(peer.heartbeat_at, snapshot.at),
                reads: snapshot.placement.reference(*id).map(|replica| replica.node),
                jobs: count.jobs,
                violated: count.violated,
                goal_met: count.last.as_ref().map(|(_, satisfied)| *satisfied),
                last: count.last.map(|(measurement, _)| measurement),
            }
        })
        .collect();
    // When all have stopped, how things stood then.
    let nobody = agents.iter().all(|agent| !agent.alive);
    let mut concerned =
        agents.iter().filter(|agent| agent.alive || nobody).map(|agent| agent.peer.registration.agent).peekable();
    let content = |id| jobs.counts.get(&id).is_some_and(|count| count.recent.are_content(snapshot.changed_at));
    let acting = snapshot.open_events.iter().any(|event| event.outcome == Outcome::Running);
    Status {
        data_set: snapshot.data_set.name.clone(),
        nodes: snapshot.nodes.values().map(|node| node_status(snapshot, node, timing)).collect(),
        replicas: replicas(snapshot),
        converged: !acting && concerned.peek().is_some() && concerned.all(content),
        broken: invariants::check(&snapshot.data_set.name, &snapshot.placement)
            .iter()
            .map(ToString::to_string)
            .collect(),
        agents,
    }
}

fn node_status(snapshot: &Snapshot, node: &Node, timing: Timing) -> NodeStatus {
    let is_running = node.state == NodeState::Running;
    let heard_at = node.heartbeat_at.filter(|_| is_running);
    let others = snapshot.links.iter().filter(|link| link.from == node.id);
    NodeStatus {
        node: node.clone(),
        stored_bytes: snapshot.stored_bytes.get(&node.id).copied().unwrap_or(0),
        latency_ms: others.map(|link| (link.to, link.latency_ms)).collect(),
        silent_since: timing.silent_since(heard_at, snapshot.at),
    }
}

fn replicas(snapshot: &Snapshot) -> Vec<ReplicaStatus> {
    let mut all: Vec<ReplicaStatus> = snapshot
        .placement
        .replicas
        .values()
        .map(|replica| ReplicaStatus {
            node: replica.node,
            state: replica.state,
            readers: snapshot.placement.readers(replica.id).collect(),
        })
        .collect();
    all.sort_by_key(|replica| replica.node);
    all
}
