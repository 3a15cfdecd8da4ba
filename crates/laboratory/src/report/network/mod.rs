//! A page about a real network: what its agents measured, what they did about it and why, and where the data went.

pub mod batch;
mod figures;
mod page;
mod replay;
pub mod tables;

pub use page::page;
pub use replay::{Replay, replay};

use agent_core::domain::action::Action;
use agent_core::domain::books::Charge;
use agent_core::domain::event::{Event, Outcome};
use agent_core::domain::feedback::Feedback;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::{JobOutcome, JobTally, Measurement};
use agent_core::domain::metric::Metric;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::time::Timestamp;
use std::collections::BTreeSet;

/// All that a shared table holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Network {
    /// Where the table is; without a password.
    pub address: String,
    pub data_sets: Vec<Course>,
    pub batch: batch::Batch,
}

/// What happened to one data set.
#[derive(Clone, PartialEq, Debug)]
pub struct Course {
    /// As it is now.
    pub snapshot: Snapshot,
    /// In the order of time.
    pub jobs: Vec<Job>,
    /// In the order of their numbers.
    pub acts: Vec<Act>,
    /// What was spent on it; nothing where nothing has a price.
    pub charges: Vec<Charge>,
}

/// A job that was measured, or failed.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    pub measurement: Measurement,
    /// Its agent's goal held.
    pub satisfied: bool,
}

/// An event, why it was chosen, and what others said to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Act {
    pub event: Event,
    /// `None`: its report cannot be read.
    pub explanation: Option<Explanation>,
    pub feedback: Vec<Feedback>,
}

/// What a decision's report says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Explanation {
    pub policy: String,
    /// The bounds that did not hold.
    pub violated: Vec<String>,
    /// The reason in one line.
    pub because: String,
    /// Where the agent read, and where there were replicas.
    pub reference_node: Option<NodeId>,
    pub replica_nodes: BTreeSet<NodeId>,
    /// What else could have been done, best first.
    pub candidates: Vec<Candidate>,
    /// Candidates that are not listed.
    pub left_out: usize,
    /// What went wrong.
    pub failure: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    pub action: Action,
    /// `None`: it was not feasible.
    pub score: Option<f64>,
    /// How the score came about, or what was in the way.
    pub why: String,
}

impl Job {
    fn outcome(&self) -> JobOutcome {
        self.measurement.outcome(self.satisfied)
    }

    fn has_failed(&self) -> bool {
        self.outcome() == JobOutcome::Failed
    }

    fn response_s(&self) -> f64 {
        self.measurement.metrics.get(Metric::ResponseTime).unwrap_or(0.0)
    }

    /// When it began.
    fn began(&self) -> Timestamp {
        Timestamp(self.measurement.at.0.saturating_sub((self.response_s() * 1e3) as i64))
    }
}

impl Act {
    fn is_done(&self) -> bool {
        self.event.outcome == Outcome::Done && self.event.action != Action::Nothing
    }

    fn ended(&self) -> Timestamp {
        self.event.ended_at.unwrap_or(self.event.posted_at)
    }

    /// Whether bytes have travelled.
    fn moved_bytes(&self) -> bool {
        self.is_done() && self.brings_bytes()
    }

    /// Whether bytes have to travel for it, however it ends: onto a node that held a replica already, none do.
    fn brings_bytes(&self) -> bool {
        let held = self.explanation.as_ref().map(|explanation| &explanation.replica_nodes);
        let to = self.event.action.to_node();
        let was_there = to.is_some_and(|to| held.is_some_and(|held| held.contains(&to)));
        self.event.action.transfers() && !was_there
    }
}

impl Course {
    /// When the first thing happened that is known.
    pub fn began(&self) -> Timestamp {
        let jobs = self.jobs.iter().map(Job::began);
        let first = jobs.chain(self.acts.iter().map(|act| act.event.posted_at)).min();
        first.unwrap_or(self.snapshot.at)
    }

    /// When the last thing happened.
    pub fn ended(&self) -> Timestamp {
        let jobs = self.jobs.iter().map(|job| job.measurement.at);
        let last = jobs.chain(self.acts.iter().map(|act| act.ended().max(act.event.posted_at))).max();
        last.unwrap_or(self.snapshot.at)
    }

    /// How all of its jobs went.
    fn tally(&self) -> JobTally {
        self.jobs.iter().map(Job::outcome).collect()
    }

    /// The jobs of one agent.
    fn jobs_of(&self, agent: AgentId) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.iter().filter(move |job| job.measurement.agent == agent)
    }

    /// Seconds from the beginning.
    pub fn second(&self, at: Timestamp) -> f64 {
        at.since(self.began()).as_secs_f64()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use agent_core::domain::event::Window;
    use agent_core::domain::failure::{FailureKind, JobFailure};
    use agent_core::domain::flat_map::FlatMap;
    use agent_core::domain::ids::{EventId, ReplicaId};
    use agent_core::domain::link_table::LinkTable;
    use agent_core::domain::metric::Metrics;
    use agent_core::domain::placement::{
        DataSet, Health, Node, NodeState, Peer, Placement, Registration, Replica, ReplicaState,
    };
    use agent_core::domain::snapshot::{Content, Counter};
    use agent_core::domain::units::Percent;
    use std::collections::BTreeMap;

    /// A job of 10 s that ends at a second.
    pub fn job(agent: u32, node: u32, at_s: i64, satisfied: bool) -> Job {
        let measurement = Measurement {
            agent: AgentId(agent),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(node),
            at: Timestamp(at_s * 1000),
            metrics: Metrics::default().with(Metric::ResponseTime, 10.0).with(Metric::Availability, 85.0),
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            job: format!("{agent} {at_s}"),
            failure: None,
            result: None,
        };
        Job { measurement, satisfied }
    }

    /// A job that fails at a second because of its program.
    pub fn failed(agent: u32, node: u32, at_s: i64) -> Job {
        let failure = Some(JobFailure::new(FailureKind::Program, "no module <pandas>"));
        let Job { measurement, .. } = job(agent, node, at_s, false);
        Job { measurement: Measurement { metrics: Metrics::default(), failure, ..measurement }, satisfied: false }
    }

    /// An event that is posted at a second and done two later, chosen when there were replicas on these nodes.
    pub fn act(id: i64, agent: u32, action: &str, at_s: i64, replicas: &[u32]) -> Act {
        let event = Event {
            id: EventId(id),
            agent: AgentId(agent),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            action: action.parse().unwrap(),
            explored: false,
            posted_at: Timestamp(at_s * 1000),
            closes_at: Timestamp((at_s + 210) * 1000),
            window: Window::Closed,
            outcome: Outcome::Done,
            ended_at: Some(Timestamp((at_s + 2) * 1000)),
            feedback_sum: 0.5,
            detail: String::new(),
        };
        let explanation = Explanation {
            policy: "fixed".to_owned(),
            violated: vec!["response_time <= 35 s".to_owned()],
            because: "scores highest".to_owned(),
            reference_node: replicas.first().copied().map(NodeId),
            replica_nodes: replicas.iter().copied().map(NodeId).collect(),
            candidates: vec![Candidate { action: event.action, score: Some(0.3), why: "+0.3".to_owned() }],
            ..Explanation::default()
        };
        let feedback =
            vec![Feedback { event: EventId(id), agent: AgentId(9), p: 0.5, left_at: Timestamp(at_s * 1000) }];
        Act { event, explanation: Some(explanation), feedback }
    }

    /// Of agents 1 and 2, which read these nodes at the end; every one of them holds a replica.
    pub fn course(jobs: Vec<Job>, acts: Vec<Act>, reads: [u32; 2]) -> Course {
        let node = |id: u32| Node {
            id: NodeId(id),
            name: format!("node <{id}>"),
            store_url: None,
            availability: Percent::new(97.0).unwrap().into(),
            capacity_bytes: None,
            state: NodeState::Running,
            heartbeat_at: None,
            labels: Default::default(),
            store: Default::default(),
            contact: Default::default(),
        };
        let replica = |id: u32| Replica {
            id: ReplicaId(i64::from(id)),
            data_set: "blood".into(),
            node: NodeId(id),
            object_key: "blood.json".to_owned(),
            state: ReplicaState::Present,
            generation: 1,
            lease: None,
            validators: Default::default(),
            remark: None,
            former: None,
        };
        let peer = |agent: u32| Peer {
            runs_at: None,
            overrides: Default::default(),
            registration: Registration {
                agent: AgentId(agent),
                node: NodeId(agent),
                goal: "response_time <= 35 s".to_owned(),
                policy: "fixed".to_owned(),
                may_run_on: Default::default(),
            },
            heartbeat_at: None,
            health: Health { converged: true, unexpected: 0 },
        };
        let data_set = DataSet {
            name: "blood".into(),
            object_key: "blood.json".to_owned(),
            bytes: 6_000_000,
            records: 100,
            sha256: String::new(),
            versions: Default::default(),
            guard: Default::default(),
        };
        let content = Content {
            data_set,
            nodes: FlatMap::from([1, 2, 3].map(|id| (NodeId(id), node(id)))).into(),
            links: LinkTable::default().into(),
            placement: Placement {
                replicas: reads.iter().map(|id| (ReplicaId(i64::from(*id)), replica(*id))).collect(),
                references: (1..).zip(reads).map(|(agent, id)| (AgentId(agent), ReplicaId(i64::from(id)))).collect(),
            },
            agents: FlatMap::from([1, 2].map(|agent| (AgentId(agent), peer(agent)))).into(),
            open_events: Vec::new(),
            counters: BTreeMap::from([("M3_1".parse().unwrap(), Counter { value: 2, changed_at: Timestamp(90_000) })]),
            copies_made: BTreeMap::new(),
            changed_at: None,
            generation: 0,
            measured: Default::default(),
            stored_bytes: BTreeMap::new(),
            books: None,
            derived: Default::default(),
        };
        Course { snapshot: Snapshot::new(Timestamp(1_000_000), content), jobs, acts, charges: Vec::new() }
    }

    /// Agent 1 moves the data from node 3 to node 1, agent 2 copies it to node 2.
    pub fn usual() -> Course {
        let jobs = vec![
            job(1, 3, 10, false),
            job(2, 3, 12, false),
            job(1, 1, 40, true),
            job(2, 1, 45, false),
            job(2, 2, 70, true),
            job(1, 1, 80, true),
        ];
        course(jobs, vec![act(1, 1, "M3_1", 20, &[3]), act(2, 2, "C1_2", 50, &[1])], [1, 2])
    }

    #[test]
    fn times_count_from_the_first_thing_that_happened() {
        let course = usual();
        assert_eq!((course.began(), course.ended()), (Timestamp(0), Timestamp(80_000)));
        assert_eq!(course.second(Timestamp(22_000)), 22.0);
    }
}
