//! Training: runs an agent's job at every node, N times, and derives what each action does.

use super::surroundings::Surroundings;
use super::training_file::{TrainingFile, derive_impacts, joined};
use crate::actors::{World, run_job};
use crate::storage::ObjectStore;
use crate::storage::embedded::EmbeddedStore;
use crate::storage::set::{self, Meter, SetAt};
use crate::storage::transfer::{Expected, transfer, transfer_set};
use agent_core::config::settings::AgentSettings;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use agent_core::domain::manifest::Extent;
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::{DataSet, Identity, Node, NodeState, Replica, ReplicaState};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::traffic::Traffic;
use agent_core::domain::validators::Validators;
use agent_core::mape::monitor::{self, Read};
use agent_core::mape::planner::Rng;
use anyhow::{Context as _, bail};
use rand::SeedableRng as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far training has come, told before each run of the job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    pub agent: AgentId,
    pub node: NodeId,
    /// Runs that are done, of all.
    pub done: u64,
    pub total: u64,
}

/// How often the data set is looked for while agents move it about.
const COPY_ATTEMPTS: u32 = 3;

/// Trains agents one after the other, with the stores of all nodes running. Dropping the future leaves temporary objects
/// behind: use [`Trainer::clean_up`], also after Ctrl-C.
pub struct Trainer<'a> {
    surroundings: &'a Surroundings,
    /// Of each data set.
    snapshots: BTreeMap<DataSetName, Snapshot>,
    nodes: Vec<NodeId>,
    stores: Vec<EmbeddedStore>,
    seed: u64,
    iterations: u32,
}

impl<'a> Trainer<'a> {
    /// Starts the embedded stores that no other process runs, and knows the data set. Without `only` the job is measured at
    /// every node that stays, but for those that were added and have neither a store nor an application yet: one that is
    /// started for this would look as if it stayed.
    pub async fn prepare(
        surroundings: &'a Surroundings,
        only: Option<NodeId>,
        seed: u64,
        iterations: u32,
    ) -> anyhow::Result<Self> {
        surroundings.register_network().await?;
        let known = surroundings.knowledge.nodes().await?;
        let homes: Vec<NodeId> = surroundings.settings.agents.values().map(|agent| agent.node).collect();
        let is_served = |node: &Node| {
            let listed = surroundings.network().nodes.contains_key(&node.id) || homes.contains(&node.id);
            node.store_url.is_some() || listed
        };
        let wanted = |node: &Node| only.map_or_else(|| is_served(node), |only| only == node.id);
        let staying = known.values().filter(|node| node.state != NodeState::Leaving);
        let nodes: Vec<NodeId> = staying.filter(|node| wanted(node)).map(|node| node.id).collect();
        if nodes.is_empty() {
            bail!("the network has no node {}", only.map_or(String::new(), |only| only.to_string()));
        }
        // Wherever the data may come from, and where it is measured.
        let used = known.values().filter(|node| is_served(node) || nodes.contains(&node.id));
        let used: Vec<NodeId> = used.map(|node| node.id).collect();
        let stores = surroundings.start_stores(&used).await?;
        let mut snapshots = BTreeMap::new();
        for settings in surroundings.network().data_sets.values() {
            surroundings.establish_data_sets(settings.first_node, AgentId::OPERATOR).await?;
            snapshots.insert(settings.name.clone(), snapshot(surroundings, &settings.name).await?);
        }
        Ok(Self { surroundings, snapshots, nodes, stores, seed, iterations })
    }

    /// Runs of the job for each agent.
    pub fn runs(&self) -> u64 {
        self.nodes.len() as u64 * u64::from(self.iterations)
    }

    /// Trains one agent. `progress` is called before each run.
    pub async fn train(
        &self,
        agent: AgentId,
        done: u64,
        total: u64,
        mut progress: impl FnMut(Progress),
    ) -> anyhow::Result<TrainingFile> {
        let settings = self.surroundings.settings.agents.get(&agent);
        let settings = settings.with_context(|| format!("there is no agents/{agent}.toml"))?;
        let snapshots = self.read_by(settings)?;
        let world = Arc::new(self.surroundings.world(settings, nobody())?);
        let mut rng = Rng::seed_from_u64(self.seed.wrapping_add(u64::from(agent.0)));
        let mut runs: BTreeMap<NodeId, Vec<Metrics>> = BTreeMap::new();
        let mut traffic: BTreeMap<NodeId, Vec<Traffic>> = BTreeMap::new();
        let mut at = done;
        for &node in &self.nodes {
            let store: Arc<dyn ObjectStore> = Arc::new(self.surroundings.direct_store(node).await?);
            let mut reads = Vec::new();
            for snapshot in &snapshots {
                let replica = Arc::new(temporary(&snapshot.data_set, agent, node));
                self.put(&snapshot.data_set.name, &store, &replica.object_key).await?;
                reads.push(Read { replica, snapshot: Snapshot::clone(snapshot) });
            }
            for _ in 0..self.iterations {
                progress(Progress { agent, node, done: at, total });
                let (run, counted) = self.measure(&world, &reads, &mut rng).await?;
                runs.entry(node).or_default().push(run);
                counted.into_iter().for_each(|counted| traffic.entry(node).or_default().push(counted));
                at += 1;
            }
            for read in &reads {
                discard(&store, &read.replica.object_key).await?;
            }
        }
        let max_copies = self.surroundings.network().learning.max_copies;
        let data_sets = || snapshots.iter().map(|snapshot| &snapshot.data_set);
        // What a job over several shows depends on where all of them are: that is predicted.
        let impacts = match snapshots.len() {
            1 => derive_impacts(&runs, &settings.rho, max_copies),
            _ => BTreeMap::new(),
        };
        Ok(TrainingFile {
            format: TrainingFile::FORMAT,
            agent,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            trained_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            time_scale: self.surroundings.network().time_scale.factor(),
            seed: self.seed,
            iterations: self.iterations,
            data_set: joined(data_sets().map(|data_set| &data_set.name)),
            records: data_sets().map(|data_set| data_set.records).sum(),
            sha256: joined(data_sets().map(|data_set| &data_set.sha256)),
            job: world.job.describe(),
            home: settings.node,
            nodes: runs.keys().map(|node| (*node, name_of(snapshots[0], *node))).collect(),
            remedy: String::new(),
            impacts,
            runs,
            traffic,
        })
    }

    /// Removes the temporary objects of these agents and closes the stores.
    pub async fn clean_up(self, agents: &[AgentId]) -> anyhow::Result<()> {
        for &node in &self.nodes {
            let store: Arc<dyn ObjectStore> = Arc::new(self.surroundings.direct_store(node).await?);
            for (agent, settings) in &self.surroundings.settings.agents {
                if !agents.contains(agent) {
                    continue;
                }
                for snapshot in self.read_by(settings)? {
                    discard(&store, &temporary(&snapshot.data_set, *agent, node).object_key).await?;
                }
            }
        }
        for store in self.stores {
            store.shutdown().await;
        }
        Ok(())
    }

    /// The data sets that an agent's job reads, as the table states them; at least one.
    fn read_by(&self, agent: &AgentSettings) -> anyhow::Result<Vec<&Snapshot>> {
        let snapshot = |name| self.snapshots.get(name).with_context(|| format!("there is no data set {name}"));
        agent.data_sets.iter().map(snapshot).collect()
    }

    /// Puts the data set under a key, from wherever a replica is. Beside running agents it may be moved away meanwhile: then
    /// it is looked for again.
    async fn put(&self, name: &DataSetName, store: &Arc<dyn ObjectStore>, key: &str) -> anyhow::Result<()> {
        for _ in 1..COPY_ATTEMPTS {
            match self.put_from_where_it_is(name, store, key).await {
                Err(error) => tracing::debug!(%error, "the data set is looked for again"),
                Ok(()) => return Ok(()),
            }
        }
        self.put_from_where_it_is(name, store, key).await
    }

    async fn put_from_where_it_is(
        &self,
        name: &DataSetName,
        store: &Arc<dyn ObjectStore>,
        key: &str,
    ) -> anyhow::Result<()> {
        let snapshot = snapshot(self.surroundings, name).await?;
        let DataSet { bytes, sha256, .. } = &snapshot.data_set;
        let Some(replica) = snapshot.placement.present().next() else { bail!("data set {name} has no replica") };
        let expected = Expected { bytes: *bytes, sha256: sha256.clone() };
        let source: Arc<dyn ObjectStore> = Arc::new(self.surroundings.direct_store(replica.node).await?);
        let _verified = match (Extent::of(&replica.object_key), Extent::of(key)) {
            (Extent::Set(from), Extent::Set(into)) => {
                let (from, into) = (SetAt::new(source, from), SetAt::new(store.clone(), into));
                transfer_set(&from, &into, sha256, &[], &Meter::silent()).await?
            }
            (Extent::Object(_), _) | (_, Extent::Object(_)) => {
                let (from, into) = (source.as_ref(), store.as_ref());
                transfer(from, &replica.object_key, None, into, key, &expected, |_| {}).await?
            }
        };
        Ok(())
    }

    async fn measure(
        &self,
        world: &Arc<World>,
        reads: &[Read],
        rng: &mut Rng,
    ) -> anyhow::Result<(Metrics, Option<Traffic>)> {
        let latency = |read: &Read| world.draw_latency(&read.snapshot, read.replica.node, rng);
        let latencies: Vec<Duration> = reads.iter().map(latency).collect();
        let observed = run_job(world, world.home, reads, &latencies).await;
        let observed = observed.map_err(|failed| anyhow::Error::msg(failed.failure.why))?;
        let observed = observed.context("the job measured nothing")?;
        // All of them lie on one node.
        let node = reads.first().and_then(|Read { replica, snapshot }| snapshot.nodes.get(&replica.node));
        let availability = node.map_or(0.0, |node| node.availability.value());
        let metrics = Metrics::from_iter(observed.throughput.map(|throughput| (Metric::Throughput, throughput)))
            .with(Metric::ResponseTime, observed.response_time.as_secs_f64())
            .with(Metric::ExecutionTime, observed.execution_time.as_secs_f64())
            .with(Metric::NetworkLatency, observed.network_latency.as_secs_f64() * 1e3)
            .with(Metric::Availability, availability);
        let requests = observed.requests.iter().flat_map(monitor::Requests::metrics);
        Ok((metrics.iter().chain(requests).collect(), observed.traffic))
    }
}

fn name_of(snapshot: &Snapshot, node: NodeId) -> String {
    snapshot.nodes.get(&node).map_or_else(|| node.to_string(), |node| node.name.clone())
}

/// The data set under a key of its own: no row names it, so nobody else reads or moves it.
fn temporary(data_set: &DataSet, agent: AgentId, node: NodeId) -> Replica {
    Replica {
        id: ReplicaId(0),
        data_set: data_set.name.clone(),
        node,
        object_key: temporary_key(&data_set.object_key, agent),
        state: ReplicaState::Present,
        generation: 0,
        lease: None,
        validators: Validators::default(),
        remark: None,
        former: None,
    }
}

/// Deletes what was put under a key of a training's own.
async fn discard(store: &Arc<dyn ObjectStore>, key: &str) -> anyhow::Result<()> {
    match Extent::of(key) {
        Extent::Object(_) => store.delete(key).await?,
        Extent::Set(keys) => {
            set::discard(&SetAt::new(store.clone(), keys)).await?;
        }
    }
    Ok(())
}

/// Named as the original is, for programs tell by its ending what an object is.
fn temporary_key(original: &str, agent: AgentId) -> String {
    let name = original.rsplit('/').find(|part| !part.is_empty()).unwrap_or(original);
    format!("{original}.training/agent-{agent}/{name}")
}

/// Nothing of a training is known to the table, and no other training has the same life.
fn nobody() -> Identity {
    Identity {
        life: Life(format!("training-{:016x}", rand::random::<u64>())),
        ended: Vec::new(),
        silence: Duration::ZERO,
    }
}

/// The network and a data set as the table states them.
async fn snapshot(surroundings: &Surroundings, name: &DataSetName) -> anyhow::Result<Snapshot> {
    let snapshot = surroundings.knowledge.snapshot(name).await?;
    snapshot.with_context(|| format!("data set {name} is not in the catalogue"))
}
