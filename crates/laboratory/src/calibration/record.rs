//! A run, as its tables tell it.

use agent_core::domain::event::Event;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::Measurement;
use agent_core::domain::snapshot::Snapshot;

/// All that is known of one run of a network.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// The table at its end.
    pub snapshot: Snapshot,
    /// Every job and whether it met its agent's goal, oldest first.
    pub jobs: Vec<(Measurement, bool)>,
    /// Oldest first.
    pub events: Vec<Event>,
}

impl Record {
    /// The node that an agent lives on; absent when it is registered no more.
    pub fn home(&self, agent: AgentId) -> Option<NodeId> {
        self.snapshot.agents.get(&agent).map(|peer| peer.registration.node)
    }
}

/// Two agents on nodes 1 and 2 that read node 3, in a test's hands.
#[cfg(test)]
pub mod scene {
    use super::*;
    use agent_core::domain::event::{Outcome, Window};
    use agent_core::domain::ids::{EventId, ReplicaId};
    use agent_core::domain::metric::{Metric, Metrics};
    use agent_core::domain::placement::{Health, Link, Peer, Registration};
    use agent_core::domain::time::Timestamp;
    use agent_core::mape::scene::snapshot;
    use std::sync::Arc;

    pub fn record() -> Record {
        let mut snapshot = snapshot(&[3], &[(1, 1), (2, 1)]);
        let peer = |id: u32| {
            let registration = Registration {
                agent: AgentId(id),
                node: NodeId(id),
                goal: "response_time <= 35 s".to_owned(),
                policy: "fixed".to_owned(),
                may_run_on: Default::default(),
            };
            (
                AgentId(id),
                Peer {
                    registration,
                    runs_at: None,
                    overrides: Default::default(),
                    heartbeat_at: None,
                    health: Health::default(),
                },
            )
        };
        snapshot.agents = Arc::new([peer(1), peer(2)].into());
        let link = |(from, to, latency_ms): (u32, u32, f64)| Link {
            from: NodeId(from),
            to: NodeId(to),
            latency_ms,
            jitter_ms: 7.0,
        };
        let latencies = [(1, 2, 1000.0), (1, 3, 1500.0), (2, 3, 1200.0)];
        let both = latencies.into_iter().flat_map(|(a, b, ms)| [(a, b, ms), (b, a, ms)]);
        snapshot.links = Arc::new(both.map(link).collect());
        Record { snapshot, jobs: Vec::new(), events: Vec::new() }
    }

    /// A job that ended at a second, of 553,729 records, without latency.
    pub fn job(agent: u32, node: u32, at_seconds: i64, response_seconds: f64) -> Measurement {
        let metrics = Metrics::default()
            .with(Metric::ResponseTime, response_seconds)
            .with(Metric::ExecutionTime, response_seconds)
            .with(Metric::Throughput, 553_729.0 / response_seconds)
            .with(Metric::NetworkLatency, 3.0);
        Measurement {
            agent: AgentId(agent),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(node),
            at: Timestamp(at_seconds * 1000),
            metrics,
            ran_at: None,
            emulated_latency_ms: Some(0.0),
            traffic: None,
            parts: Vec::new(),
            job: format!("{agent}-{at_seconds}"),
            failure: None,
            result: None,
        }
    }

    /// An action of agent 1 that was done, or still runs.
    pub fn event(label: &str, posted_seconds: i64, ended_seconds: Option<i64>) -> Event {
        Event {
            id: EventId(1),
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            action: label.parse().unwrap(),
            explored: false,
            posted_at: Timestamp(posted_seconds * 1000),
            closes_at: Timestamp((posted_seconds + 210) * 1000),
            window: Window::Open,
            outcome: ended_seconds.map_or(Outcome::Running, |_| Outcome::Done),
            ended_at: ended_seconds.map(|seconds| Timestamp(seconds * 1000)),
            feedback_sum: 0.0,
            detail: String::new(),
        }
    }
}
