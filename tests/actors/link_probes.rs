//! On a real network nobody states latencies: the watchdog measures the links to nodes that nobody has read yet, in turn.

use agent::actors::{Reach, ReachError, Reached, World, probe_links};
use agent::jobs::{DataSource, FailedFor, Job, JobReport, S3Access};
use agent::knowledge::Knowledge as _;
use agent::storage::memory::MemoryStore;
use agent_core::clock::VirtualClock;
use agent_core::domain::ids::{AgentId, Life, NodeId};
use agent_core::domain::placement::{Identity, Node, NodeState};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::knowledge::memory::MemoryKnowledge;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The link to node N takes N ms; node 5 cannot be reached, node 6 does not answer.
struct Links;

#[async_trait]
impl Reach for Links {
    async fn reach(&self, node: &Node, _: Duration) -> Result<Reached, ReachError> {
        if node.id == NodeId(5) {
            return Err(ReachError::Unusable { node: node.id, reason: "no credentials".to_owned() });
        }
        let access = S3Access { endpoint: node.id.to_string(), ..S3Access::default() };
        Ok(Reached { store: Arc::new(MemoryStore::new("nowhere")), access, emulated: None })
    }

    async fn probe(&self, reached: &Reached) -> Result<Duration, String> {
        match reached.access.endpoint.as_str() {
            "6" => Err("no answer".to_owned()),
            node => Ok(Duration::from_millis(node.parse().unwrap())),
        }
    }
}

struct NoJob;

#[async_trait]
impl Job for NoJob {
    fn describe(&self) -> String {
        "nothing".to_owned()
    }

    async fn run_over(&self, _: &[DataSource]) -> Result<JobReport, FailedFor> {
        unreachable!("no job is run here")
    }
}

#[tokio::test]
async fn links_are_measured_in_turn_and_what_does_not_answer_is_passed_over() {
    let clock = Arc::new(VirtualClock::at(Timestamp(0)));
    let knowledge = Arc::new(MemoryKnowledge::new(clock.clone()));
    let node = |id| Node {
        id: NodeId(id),
        name: format!("node {id}"),
        store_url: None,
        availability: Percent::new(90.0).unwrap().into(),
        capacity_bytes: None,
        state: NodeState::Running,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    knowledge.register_network(&[1, 2, 3, 4, 5, 6, 7].map(node), &[]).await.unwrap();
    for id in [1, 2, 4, 5, 6, 7] {
        knowledge.register_store(NodeId(id), &format!("http://node-{id}")).await.unwrap();
    }
    let world = World {
        agent: AgentId(1),
        identity: Identity { life: Life("life".to_owned()), ended: Vec::new(), silence: Duration::ZERO },
        over: watch::Sender::default(),
        unexpected: AtomicU32::default(),
        deciding: Default::default(),
        rates: Default::default(),
        home: NodeId(1),
        may_run_on: Default::default(),
        account: Default::default(),
        data_sets: vec!["blood".into()],
        clock,
        knowledge,
        reach: Arc::new(Links),
        job: Arc::new(NoJob),
        requests: None,
        services: Handle::current(),
        notify: Arc::new(|_| {}),
        observer: None,
    };
    let check = async |after: u32, expected: &[(u32, Option<u64>)]| {
        let probed = probe_links(&world, NodeId(after)).await;
        let found: Vec<_> = probed
            .into_iter()
            .map(|(node, latency)| (node.0, latency.map(|latency| latency.as_millis() as u64)))
            .collect();
        assert_eq!(found, expected);
    };
    check(0, &[(2, Some(2)), (4, Some(4)), (5, None), (6, None)]).await;
    check(6, &[(7, Some(7)), (2, Some(2)), (4, Some(4)), (5, None)]).await;
}
