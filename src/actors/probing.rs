//! What links are like that nobody states: their latencies by small round trips, their rates by a little of what lies behind them.

use super::world::{World, chain};
use crate::storage::counted::Counted;
use crate::storage::{Content, ObjectStore as _, StorageError};
use agent_core::domain::ids::NodeId;
use agent_core::domain::manifest::Extent;
use agent_core::domain::placement::{Node, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::prediction::next_to_probe;
use futures::stream::StreamExt as _;
use std::time::Duration;

/// Links whose latency is measured in one round, at the same time (I-7).
const PROBED_LINKS: usize = 4;
/// Of an object that lies behind a link, so much is read to learn how fast bytes come from there.
const PROBED_BYTES: u64 = 1 << 20;
/// Reading it may take so long, real time; what has come until then tells as much.
const RATE_WITHIN: Duration = Duration::from_secs(20);

/// Measures the links to the nodes whose turn it is; nothing where there was no answer.
pub async fn probe_links(world: &World, after: NodeId) -> Vec<(NodeId, Option<Duration>)> {
    let nodes = match world.knowledge.nodes().await {
        Ok(nodes) => nodes,
        Err(error) => {
            tracing::debug!(agent = %world.agent, error = chain(&error), "no links are probed");
            return Vec::new();
        }
    };
    let turn = next_to_probe(&nodes, world.home, after, PROBED_LINKS);
    let probes = turn.iter().map(|id| async { (*id, probe_link(world, &nodes[id]).await) });
    futures::future::join_all(probes).await
}

async fn probe_link(world: &World, node: &Node) -> Option<Duration> {
    let measured = match world.reach.reach(node, Duration::ZERO).await {
        Ok(reached) => world.reach.probe(&reached).await,
        Err(error) => Err(chain(&error)),
    };
    measured
        .inspect_err(|why| tracing::debug!(agent = %world.agent, node = %node.id, why, "its link was not measured"))
        .ok()
}

/// What a byte takes from each of these nodes that has a data set of the job in one object \[s\]: a little of it is read, one node
/// after the other, for they may share a line. Nothing of those that have none, or fail.
pub async fn probe_rates(world: &World, nodes: Vec<NodeId>) -> Vec<(NodeId, f64)> {
    let mut rates = Vec::new();
    // Whoever has no table has nothing to read, and the next round is the retry.
    let Ok(Ok(snapshots)) = world.load().await else { return rates };
    for node in nodes {
        let found = snapshots
            .iter()
            .find_map(|snapshot| Some((snapshot, snapshot.placement.present().find(|replica| replica.node == node)?)));
        let Some((snapshot, replica)) = found else { continue };
        match probe_rate(world, snapshot, replica).await {
            Ok(seconds_per_byte) => rates.extend(seconds_per_byte.map(|seconds| (node, seconds))),
            Err(why) => tracing::debug!(agent = %world.agent, %node, why, "its rate was not measured"),
        }
    }
    rates
}

async fn probe_rate(world: &World, snapshot: &Snapshot, replica: &Replica) -> Result<Option<f64>, String> {
    let Extent::Object(key) = Extent::of(&replica.object_key) else { return Ok(None) };
    let reached = world.reach(snapshot, replica.node).await.map_err(|error| chain(&error))?;
    let counted = Counted::new(reached.store);
    let content = Content { bytes: snapshot.data_set.bytes, etag: replica.validators.etag.clone() };
    let range = 0..PROBED_BYTES.min(content.bytes);
    if range.is_empty() {
        return Ok(None);
    }
    let reading = async {
        let mut body = counted.read_range(&key, range, &content).await?.bytes;
        while let Some(piece) = body.next().await {
            piece?;
        }
        Ok::<_, StorageError>(())
    };
    if let Ok(read) = tokio::time::timeout(RATE_WITHIN, reading).await {
        read.map_err(|error| chain(&error))?;
    }
    // Like a job that reads one record.
    Ok(counted.traffic(1).map(|traffic| traffic.slowness()))
}

#[cfg(test)]
mod tests {
    use super::super::{Reach, ReachError, Reached};
    use super::*;
    use crate::jobs::{DataSource, FailedFor, Job, JobReport, S3Access};
    use crate::storage::memory::MemoryStore;
    use agent_core::domain::ids::AgentId;
    use agent_core::knowledge::contract::{Table, clock, data_set, identity};
    use agent_core::knowledge::memory::MemoryKnowledge;
    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::stream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use tokio::runtime::Handle;
    use tokio::sync::watch;

    /// Every node's store.
    struct Everywhere(MemoryStore);

    #[async_trait]
    impl Reach for Everywhere {
        async fn reach(&self, _: &Node, _: Duration) -> Result<Reached, ReachError> {
            Ok(Reached { store: Arc::new(self.0.clone()), access: S3Access::default(), emulated: None })
        }

        async fn probe(&self, _: &Reached) -> Result<Duration, String> {
            unreachable!("rates are probed by reading")
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
    async fn rates_are_probed_where_the_data_lies() {
        let clock = clock();
        let table = Table::new(MemoryKnowledge::new(clock.clone()), clock, ()).three_agents().await;
        let store = MemoryStore::new("memory");
        let world = World {
            agent: AgentId(1),
            identity: identity(),
            over: watch::Sender::default(),
            unexpected: AtomicU32::default(),
            deciding: Default::default(),
            rates: Default::default(),
            home: NodeId(1),
            may_run_on: Default::default(),
            account: Default::default(),
            data_sets: vec![data_set()],
            clock: table.clock.clone(),
            knowledge: table.knowledge.clone(),
            reach: Arc::new(Everywhere(store.clone())),
            job: Arc::new(NoJob),
            requests: None,
            services: Handle::current(),
            notify: Arc::new(|_| {}),
            observer: None,
        };
        let nodes = || [1, 2, 3].map(NodeId).to_vec();
        assert_eq!(probe_rates(&world, nodes()).await, [], "its object is gone");
        let bytes = table.snapshot().await.data_set.bytes;
        let body = stream::iter([Ok(Bytes::from(vec![b' '; bytes as usize]))]).boxed();
        store.write("blood.json", bytes, body).await.unwrap();
        // Only node 3 has it, and from memory nothing has to be waited for.
        assert_eq!(probe_rates(&world, nodes()).await, [(NodeId(3), 0.0)]);
    }
}
