//! What a network looks like now: nodes, replicas, references, agents, and what is not well, if anything.

use super::catalogue::Catalogue;
use super::costs::{self, Costs};
use crate::knowledge::Knowledge;
use agent_core::clock::{TimeScale, WallTime};
use agent_core::config::settings::DataSetSettings;
use agent_core::domain::books::Charge;
use agent_core::domain::constraints::Guard;
use agent_core::domain::convergence::RecentJobs;
use agent_core::domain::environment::MeasuredLink;
use agent_core::domain::event::Outcome;
use agent_core::domain::failure::JobFailure;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::invariants;
use agent_core::domain::measurement::{JobOutcome, JobTally, Measurement};
use agent_core::domain::placement::{Node, NodeState, Peer, ReplicaState};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use agent_core::sim;
use anyhow::bail;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A network: of one data set, or of several. Where there is one, it is told as such.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum NetworkStatus {
    One(Box<Status>),
    Several {
        /// All of them.
        converged: bool,
        data_sets: Vec<Status>,
    },
}

impl NetworkStatus {
    fn new(mut all: Vec<Status>) -> Self {
        match all.len() {
            1 => NetworkStatus::One(Box::new(all.remove(0))),
            _ => NetworkStatus::Several { converged: all.iter().all(|status| status.converged), data_sets: all },
        }
    }

    pub fn data_sets(&self) -> &[Status] {
        match self {
            NetworkStatus::One(status) => std::slice::from_ref(status),
            NetworkStatus::Several { data_sets, .. } => data_sets,
        }
    }

    pub fn converged(&self) -> bool {
        self.data_sets().iter().all(|status| status.converged)
    }

    pub fn is_healthy(&self) -> bool {
        self.data_sets().iter().all(Status::is_healthy)
    }

    pub fn agents(&self) -> impl Iterator<Item = &AgentStatus> {
        self.data_sets().iter().flat_map(|status| &status.agents)
    }
}

/// Of one data set, its readers, and the nodes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Status {
    pub data_set: DataSetName,
    /// The newest one, from 1.
    pub version: u64,
    #[serde(flatten)]
    pub guard: Guard,
    /// No action is begun now.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    pub nodes: Vec<NodeStatus>,
    pub replicas: Vec<ReplicaStatus>,
    pub agents: Vec<AgentStatus>,
    /// The last jobs of every agent that is alive (of all, when none is) met its goal, and nobody acted since the first of them began.
    pub converged: bool,
    /// What somebody should look at: who is silent, whose jobs fail, replicas that are not what the catalogue says.
    pub unhealthy: Vec<String>,
    /// Broken invariants; always empty unless somebody edited the table.
    pub broken: Vec<String>,
    /// What the network spends; absent where nothing has a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub costs: Option<Costs>,
}

impl Status {
    /// Nothing is broken or has to be looked at. A goal that is missed is no illness.
    pub fn is_healthy(&self) -> bool {
        self.unhealthy.is_empty() && self.broken.is_empty()
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NodeStatus {
    #[serde(flatten)]
    pub node: Node,
    pub stored_bytes: u64,
    /// Mean latency to the other nodes \[ms\].
    pub latency_ms: BTreeMap<NodeId, f64>,
    /// What the node measured of the links to others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub measured_links: Vec<MeasuredLink>,
    /// Its agent runs as far as the table knows, and has missed three heartbeats since then: it was killed, or is cut off.
    pub silent_since: Option<WallTime>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReplicaStatus {
    pub node: NodeId,
    pub state: ReplicaState,
    /// Why it is changed or damaged, or whatever else there is to say of it.
    pub remark: Option<String>,
    pub readers: Vec<AgentId>,
    /// Absent: it holds the newest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<Behind>,
}

/// What a replica holds that is to be refreshed.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Behind {
    pub version: u64,
    /// Since the first version was announced that it lacks.
    pub staleness_scenario_s: f64,
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
    #[serde(flatten)]
    pub tally: JobTally,
    /// How many of the last jobs failed, one after the other.
    pub failed_in_a_row: u64,
    /// Whether its last job met its goal; unknown when that failed, and before the first.
    pub goal_met: Option<bool>,
    /// When its last job ended that did not fail.
    pub last_success: Option<Success>,
    /// Its last job, whatever it came to.
    pub last: Option<Measurement>,
}

/// A job that was measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Success {
    pub at: WallTime,
    /// How long ago, in scenario time \[s\].
    pub ago_scenario_s: f64,
}

impl AgentStatus {
    /// What the last job failed of, if it did.
    pub fn failure(&self) -> Option<&JobFailure> {
        self.last.as_ref()?.failure.as_ref()
    }
}

/// The jobs of one agent, counted from the table.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JobCount {
    pub tally: JobTally,
    pub failed_in_a_row: u64,
    pub last: Option<(Measurement, JobOutcome)>,
    succeeded_at: Option<Timestamp>,
    recent: RecentJobs,
}

impl JobCount {
    fn add(&mut self, measurement: Measurement, satisfied: bool) {
        let outcome = measurement.outcome(satisfied);
        self.tally.add(outcome);
        self.recent.add(measurement.began(), outcome == JobOutcome::Met);
        match outcome {
            JobOutcome::Failed => self.failed_in_a_row += 1,
            JobOutcome::Met | JobOutcome::Missed => {
                self.failed_in_a_row = 0;
                self.succeeded_at = Some(measurement.at);
            }
        }
        self.last = Some((measurement, outcome));
    }
}

/// Counts the measurements of all agents, page by page. Keep it, and it goes on where it was.
#[derive(Default)]
pub struct JobCounter {
    seen: i64,
    pub counts: BTreeMap<AgentId, JobCount>,
}

impl JobCounter {
    /// One more, of an agent that has no table to count from.
    pub fn count(&mut self, measurement: Measurement, satisfied: bool) {
        self.counts.entry(measurement.agent).or_default().add(measurement, satisfied);
    }

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

/// Loads the status of every data set in the table; `configured` are those that it should hold.
pub async fn load(
    knowledge: &dyn Knowledge,
    configured: &BTreeMap<DataSetName, DataSetSettings>,
    timing: Timing,
    jobs: &mut JobCounter,
) -> anyhow::Result<NetworkStatus> {
    let status = load_some(knowledge, timing, jobs).await?;
    if status.data_sets().is_empty() {
        let names: Vec<String> = configured.keys().map(ToString::to_string).collect();
        bail!("data set {} is not in the catalogue yet", names.join(", "));
    }
    Ok(status)
}

/// The same; of no data set where there is none yet.
pub async fn load_some(
    knowledge: &dyn Knowledge,
    timing: Timing,
    jobs: &mut JobCounter,
) -> anyhow::Result<NetworkStatus> {
    let catalogue = Catalogue::load(knowledge).await?;
    Ok(NetworkStatus::new(of_catalogue(knowledge, &catalogue, timing, jobs).await?))
}

/// The status of every data set in a catalogue, in its order.
pub async fn of_catalogue(
    knowledge: &dyn Knowledge,
    catalogue: &Catalogue,
    timing: Timing,
    jobs: &mut JobCounter,
) -> crate::knowledge::Result<Vec<Status>> {
    jobs.update(knowledge).await?;
    let priced = catalogue.snapshots.iter().find_map(|snapshot| Some((snapshot.at, snapshot.books.as_ref()?)));
    let charges = match priced {
        Some((at, books)) => knowledge.charges(books.tariff.today(at)).await?,
        None => Vec::new(),
    };
    Ok(catalogue.snapshots.iter().map(|snapshot| status(snapshot, &charges, timing, jobs)).collect())
}

/// The status of a simulated network, in which everybody knows who runs.
pub fn of_simulation(outcome: &sim::Outcome, running: &BTreeSet<AgentId>, jobs: &JobCounter) -> NetworkStatus {
    // Virtual time has no wall: nobody is silent since some instant on it.
    let timing = Timing { silence: Duration::MAX, scale: TimeScale::REAL };
    let of_one = |snapshot| status(snapshot, &outcome.charges, timing, jobs);
    let mut all: Vec<Status> = outcome.snapshots.iter().map(of_one).collect();
    for status in &mut all {
        status.agents.iter_mut().for_each(|agent| agent.alive = running.contains(&agent.peer.registration.agent));
        status.converged = outcome.converged;
    }
    NetworkStatus::new(all)
}

fn status(snapshot: &Snapshot, charges: &[Charge], timing: Timing, jobs: &JobCounter) -> Status {
    let agents: Vec<AgentStatus> =
        snapshot.agents.values().map(|peer| agent_status(snapshot, peer, timing, jobs)).collect();
    let nodes: Vec<NodeStatus> = snapshot.nodes.values().map(|node| node_status(snapshot, node, timing)).collect();
    let replicas = replicas(snapshot);
    // When all have stopped, how things stood then.
    let nobody = agents.iter().all(|agent| !agent.alive);
    let concerned = || agents.iter().filter(|agent| agent.alive || nobody);
    let content = |agent: &AgentStatus| {
        let count = jobs.counts.get(&agent.peer.registration.agent);
        count.is_some_and(|count| count.recent.are_content(snapshot.changed_at))
    };
    let missing: Vec<AgentId> =
        concerned().filter(|agent| agent.goal_met == Some(false)).map(|agent| agent.peer.registration.agent).collect();
    let acting = snapshot.open_events.iter().any(|event| event.outcome == Outcome::Running);
    let guard = &snapshot.data_set.guard;
    let unhealthy = [
        nodes.iter().filter_map(silent_node).collect::<Vec<_>>(),
        replicas.iter().filter_map(unsound).collect(),
        unmet(snapshot),
        agents.iter().filter_map(silent_agent).collect(),
        concerned().filter_map(failing).collect(),
    ];
    Status {
        data_set: snapshot.data_set.name.clone(),
        version: snapshot.data_set.versions.version,
        guard: guard.clone(),
        paused: guard.is_paused(snapshot.at),
        converged: !acting && concerned().next().is_some() && concerned().all(content),
        unhealthy: unhealthy.concat(),
        broken: invariants::check(&snapshot.data_set.name, &snapshot.placement)
            .iter()
            .map(ToString::to_string)
            .collect(),
        costs: costs::costs(snapshot, charges, &missing),
        nodes,
        replicas,
        agents,
    }
}

fn agent_status(snapshot: &Snapshot, peer: &Peer, timing: Timing, jobs: &JobCounter) -> AgentStatus {
    let id = peer.registration.agent;
    let count = jobs.counts.get(&id).cloned().unwrap_or_default();
    let success =
        |at| Success { at: timing.scale.on_the_wall(at), ago_scenario_s: snapshot.at.since(at).as_secs_f64() };
    let (last, outcome) = count.last.unzip();
    AgentStatus {
        peer: peer.clone(),
        alive: snapshot.is_alive(id, timing.silence),
        silent_since: timing.silent_since(peer.heartbeat_at, snapshot.at),
        reads: snapshot.placement.reference(id).map(|replica| replica.node),
        tally: count.tally,
        failed_in_a_row: count.failed_in_a_row,
        goal_met: match outcome {
            Some(JobOutcome::Met) => Some(true),
            Some(JobOutcome::Missed) => Some(false),
            Some(JobOutcome::Failed) | None => None,
        },
        last_success: count.succeeded_at.map(success),
        last,
    }
}

fn unmet(snapshot: &Snapshot) -> Vec<String> {
    let unmet = snapshot.data_set.guard.constraints.unmet(&snapshot.nodes, &snapshot.placement);
    unmet.into_iter().map(|what| format!("data set {}: {what}", snapshot.data_set.name)).collect()
}

fn silent_agent(agent: &AgentStatus) -> Option<String> {
    Some(format!("agent {} is silent since {}", agent.peer.registration.agent, agent.silent_since?))
}

fn silent_node(node: &NodeStatus) -> Option<String> {
    Some(format!("node {} is silent since {}", node.node.id, node.silent_since?))
}

fn unsound(replica: &ReplicaStatus) -> Option<String> {
    let why = replica.remark.as_ref().map_or(String::new(), |remark| format!(": {remark}"));
    let ReplicaStatus { node, state, .. } = replica;
    state.is_unsound().then(|| format!("the replica on node {node} is {}{why}", state.name()))
}

fn failing(agent: &AgentStatus) -> Option<String> {
    let JobFailure { kind, why } = agent.failure()?;
    let jobs = match agent.failed_in_a_row {
        1 => "the last job".to_owned(),
        many => format!("the last {many} jobs"),
    };
    let success = match agent.last_success {
        None => "none has succeeded yet".to_owned(),
        Some(Success { ago_scenario_s, .. }) => {
            let ago = Duration::from_secs_f64(ago_scenario_s.round());
            format!("the last success is {} of the scenario ago", show_duration(ago))
        }
    };
    // What a program wrote has lines.
    let why = why.trim_end().replace('\n', " ");
    Some(format!("agent {}: {jobs} failed, {success}; {kind}: {why}", agent.peer.registration.agent))
}

fn node_status(snapshot: &Snapshot, node: &Node, timing: Timing) -> NodeStatus {
    let is_running = node.state == NodeState::Running;
    let heard_at = node.heartbeat_at.filter(|_| is_running);
    let others = snapshot.links_in_force().filter(|link| link.from == node.id);
    let measured = snapshot.measured.iter().filter(|link| link.from == node.id).copied();
    NodeStatus {
        node: node.clone(),
        stored_bytes: snapshot.stored_bytes.get(&node.id).copied().unwrap_or(0),
        latency_ms: others.map(|link| (link.to, link.latency_ms)).collect(),
        measured_links: measured.collect(),
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
            remark: replica.remark.clone(),
            readers: snapshot.placement.readers(replica.id).collect(),
            behind: replica.former.as_ref().map(|former| Behind {
                version: former.version,
                staleness_scenario_s: replica.staleness(snapshot.at).as_secs_f64(),
            }),
        })
        .collect();
    all.sort_by_key(|replica| replica.node);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::convergence::CONVERGED_JOBS;
    use agent_core::domain::failure::FailureKind;
    use agent_core::domain::ids::ReplicaId;
    use agent_core::domain::metric::{Metric, Metrics};
    use agent_core::mape::scene::{self, NOW};

    const TIMING: Timing = Timing { silence: Duration::from_secs(90), scale: TimeScale::REAL };

    /// A job of agent 1 that ended so many seconds ago.
    fn job(ago_s: i64, failure: Option<JobFailure>) -> Measurement {
        let measured = Metrics::default().with(Metric::ResponseTime, 10.0);
        Measurement {
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(1),
            at: Timestamp(NOW.0 - ago_s * 1000),
            metrics: if failure.is_some() { Metrics::default() } else { measured },
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            result: failure.is_none().then(|| "172.8".to_owned()),
            failure,
            job: String::new(),
        }
    }

    /// Of agent 1, which reads node 1 and was content; then so many of its jobs failed.
    fn after(failed: usize, snapshot: &Snapshot) -> Status {
        let mut counter = JobCounter::default();
        let count = counter.counts.entry(AgentId(1)).or_default();
        (0..CONVERGED_JOBS).for_each(|_| count.add(job(125, None), true));
        let failure = JobFailure::new(FailureKind::Program, "no module\nnamed pandas\n");
        (0..failed).for_each(|_| count.add(job(5, Some(failure.clone())), false));
        status(snapshot, &[], TIMING, &counter)
    }

    fn here() -> Snapshot {
        scene::inhabited(scene::snapshot(&[1], &[(1, 1)]), 1)
    }

    #[test]
    fn who_is_content_is_well() {
        let status = after(0, &here());
        assert!(status.is_healthy() && status.converged, "{status:#?}");
        let agent = &status.agents[0];
        assert_eq!((agent.goal_met, agent.failed_in_a_row, agent.tally.failed), (Some(true), 0, 0));
    }

    #[test]
    fn once_jobs_fail_nobody_knows_whether_the_goal_is_met() {
        let status = after(2, &here());
        let agent = &status.agents[0];
        assert_eq!((agent.goal_met, agent.failed_in_a_row), (None, 2));
        assert_eq!(agent.tally, JobTally { jobs: 3, violated: 0, failed: 2 });
        assert_eq!(agent.last_success.map(|success| success.ago_scenario_s), Some(125.0));
        assert!(!status.converged);
        let expected = "agent 1: the last 2 jobs failed, the last success is 2 min 5 s of the scenario ago; program: no module named \
                        pandas";
        assert_eq!(status.unhealthy, [expected]);
    }

    #[test]
    fn what_the_constraints_demand_and_nobody_has_made_is_shown() {
        let mut snapshot = here();
        snapshot.data_set.guard.constraints.min_replicas = Some(2);
        assert_eq!(
            after(0, &snapshot).unhealthy,
            ["data set blood: there are 1 replicas of at least 2 (min_replicas)"]
        );
    }

    #[test]
    fn replicas_that_are_not_what_the_catalogue_says_are_shown_with_the_remark() {
        let mut snapshot = here();
        let replica = snapshot.placement.replicas.get_mut(&ReplicaId(1)).unwrap();
        (replica.state, replica.remark) = (ReplicaState::Damaged, Some("3 bytes of 10".to_owned()));
        let status = after(0, &snapshot);
        assert_eq!(status.replicas[0].remark.as_deref(), Some("3 bytes of 10"));
        assert_eq!(status.unhealthy, ["the replica on node 1 is damaged: 3 bytes of 10"]);
        assert!(!status.is_healthy());
    }
}
