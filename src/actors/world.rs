//! What an agent's actors may touch: the traits, never a technology; and a run of the job in that world.

use super::billing::Account;
use super::deciding::Deciding;
use super::rates::Rates;
use super::{Notice, Observer};
use crate::jobs::{DataSource, FailedFor, Job, JobError, JobReport, Requests, S3Access, throughput};
use crate::knowledge::{Knowledge, Registered};
use crate::links::LinkError;
use crate::storage::ObjectStore;
use crate::storage::counted::{Counted, CountedLink};
use agent_core::clock::Clock;
use agent_core::domain::action::Action;
use agent_core::domain::failure::{FailureKind, JobFailure};
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::placement::{Health, Identity, Node, Registration, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::executor::Report;
use agent_core::mape::monitor::{self, Observation, PartObservation, PartTimes, Read};
use agent_core::mape::planner::Rng;
use agent_core::mape::unexpected::Unexpected;
use async_trait::async_trait;
use rand_distr::{Distribution, Normal};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A node's store at the end of this agent's link.
#[derive(Clone)]
pub struct Reached {
    pub store: Arc<dyn ObjectStore>,
    pub access: S3Access,
    /// What the emulator says it injects, in scenario time; absent on a real network.
    pub emulated: Option<Duration>,
}

/// Why a node cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("node {0} has no store yet; start its agent")]
    NoStore(NodeId),
    #[error("node {0} is not in the table")]
    Unknown(NodeId),
    #[error("node {node}: {reason}")]
    Unusable { node: NodeId, reason: String },
    #[error("the link to node {node}")]
    Link { node: NodeId, source: LinkError },
}

impl ReachError {
    /// What is in the way: an emulator that is away, or keys that are missing, are not the node's fault.
    pub fn kind(&self) -> FailureKind {
        match self {
            ReachError::NoStore(_)
            | ReachError::Unknown(_)
            | ReachError::Link { source: LinkError::SwitchedOff { .. }, .. } => FailureKind::Store,
            ReachError::Unusable { .. }
            | ReachError::Link { source: LinkError::Unavailable { .. } | LinkError::Refused { .. }, .. } => {
                FailureKind::Surroundings
            }
        }
    }
}

impl From<ReachError> for JobFailure {
    fn from(error: ReachError) -> Self {
        Self::new(error.kind(), chain(&error))
    }
}

impl From<JobError> for JobFailure {
    fn from(error: JobError) -> Self {
        Self::new(error.kind(), chain(&error))
    }
}

/// The ways from this agent to the nodes' stores.
#[async_trait]
pub trait Reach: Send + Sync {
    /// Opens the link to a node's store, with this latency (scenario time) where latency is injected.
    async fn reach(&self, node: &Node, latency: Duration) -> Result<Reached, ReachError>;

    /// The same for reads beside the job's: a link that has a latency keeps it, for the job measures what it drew.
    async fn reach_beside(&self, node: &Node, latency: Duration) -> Result<Reached, ReachError> {
        self.reach(node, latency).await
    }

    /// Whether there is a link to a node at present. `Ok(false)`: whoever offers links has none, or none any more, and would make
    /// one; `Err`: it is away. On a real network there is always one.
    async fn has_link(&self, _node: NodeId) -> Result<bool, ReachError> {
        Ok(true)
    }

    /// The latency of the link as measured on it: the smallest of several round trips, in scenario time.
    async fn probe(&self, reached: &Reached) -> Result<Duration, String>;
}

/// Why an agent must stop without having been told to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// The table gave it to another life, or knows it no more.
    Displaced,
    /// Its parts do not hear each other any more.
    Deaf,
}

/// One agent's world.
pub struct World {
    pub agent: AgentId,
    /// What the table knows this start of the agent by; its life is part of every key that it writes.
    pub identity: Identity,
    /// Why the agent must stop, as soon as it must.
    pub over: watch::Sender<Option<Over>>,
    /// Inputs of this life that nobody waited for.
    pub unexpected: AtomicU32,
    /// What deciding takes.
    pub deciding: Deciding,
    pub home: NodeId,
    /// The nodes that it can hand its jobs to.
    pub may_run_on: BTreeSet<NodeId>,
    /// How fast bytes come from each node.
    pub rates: Rates,
    pub account: Account,
    /// What its job reads, in this order; nothing for who runs none.
    pub data_sets: Vec<DataSetName>,
    pub clock: Arc<dyn Clock>,
    pub knowledge: Arc<dyn Knowledge>,
    pub reach: Arc<dyn Reach>,
    pub job: Arc<dyn Job>,
    /// What is asked of it, where it is a service.
    pub requests: Option<Arc<Requests>>,
    /// Where work runs that takes longer than a handler may.
    pub services: tokio::runtime::Handle,
    /// Tells people what happens.
    pub notify: Arc<dyn Fn(Notice) + Send + Sync>,
    /// Sees what the machines are told and what they want; nobody does outside of tests.
    pub observer: Option<Arc<dyn Observer>>,
}

impl World {
    pub fn notify(&self, notice: Notice) {
        (self.notify)(notice.shortened());
    }

    /// The agent has to be stopped by whoever started it; the first reason stays.
    pub fn must_end(&self, why: Over) {
        self.over.send_modify(|over| _ = over.get_or_insert(why));
    }

    /// Completes when the agent has to be stopped.
    pub async fn until_over(&self) -> Over {
        let mut over = self.over.subscribe();
        // The sender lives as long as `self`.
        match over.wait_for(Option::is_some).await.map(|over| *over) {
            Ok(Some(why)) => why,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// An input came that nobody waited for: a fault in this program, counted for `agent status`.
    pub(super) fn unexpected(&self, what: &Unexpected) {
        self.unexpected.fetch_add(1, Ordering::Relaxed);
        tracing::error!(agent = %self.agent, "{what}; please report it");
        self.trouble(format!("{what}: a fault in this program; please report it"));
    }

    /// Registers the agent for this life.
    pub async fn register(&self, registration: &Registration) -> crate::knowledge::Result<Registered> {
        self.knowledge.register_agent(registration, &self.data_sets, &self.identity).await
    }

    /// All that the table knows of each data set that the job reads. `Err`: this one is not in the catalogue.
    pub async fn load(&self) -> crate::knowledge::Result<Result<Vec<Snapshot>, DataSetName>> {
        let mut snapshots = Vec::with_capacity(self.data_sets.len());
        for data_set in &self.data_sets {
            match self.knowledge.snapshot(data_set).await? {
                Some(snapshot) => snapshots.push(snapshot),
                None => return Ok(Err(data_set.clone())),
            }
        }
        Ok(Ok(snapshots))
    }

    /// States that the agent is alive, as long as it belongs to this life.
    pub async fn beat(&self, converged: bool) -> crate::knowledge::Result<()> {
        let health = Health { converged, unexpected: self.unexpected.load(Ordering::Relaxed) };
        if !self.knowledge.heartbeat(self.agent, &self.identity.life, health).await? {
            self.must_end(Over::Displaced);
            return Ok(());
        }
        self.bill().await
    }

    /// Tells people how an action ended.
    pub(super) fn notify_end(&self, report: Report) {
        let Some(how) = report.end.told() else { return };
        self.notify(Notice::Acted { agent: self.agent, action: report.action, event: report.event, how });
    }

    pub fn trouble(&self, what: String) {
        self.notify(Notice::Trouble { agent: self.agent, what });
    }

    /// Opens the way to a node at its link's mean latency.
    pub async fn reach(&self, snapshot: &Snapshot, node: NodeId) -> Result<Reached, ReachError> {
        let latency_ms = snapshot.link(self.home, node).map_or(0.0, |link| link.latency_ms);
        self.reach_at(snapshot, node, milliseconds(latency_ms)).await
    }

    /// The way to a replica for somebody who reads it beside the job, and what it is told.
    pub async fn source(&self, snapshot: &Snapshot, replica: &Replica) -> Result<(Reached, DataSource), ReachError> {
        let reached = self.reach_beside_job(snapshot, replica.node).await?;
        let source = source(snapshot, replica, &reached, reached.store.clone());
        Ok((reached, source))
    }

    /// The same beside the job, which does not notice.
    pub async fn reach_beside_job(&self, snapshot: &Snapshot, node: NodeId) -> Result<Reached, ReachError> {
        let latency_ms = snapshot.link(self.home, node).map_or(0.0, |link| link.latency_ms);
        let row = snapshot.nodes.get(&node).ok_or(ReachError::Unknown(node))?;
        self.reach.reach_beside(row, milliseconds(latency_ms)).await
    }

    async fn reach_at(&self, snapshot: &Snapshot, node: NodeId, latency: Duration) -> Result<Reached, ReachError> {
        let row = snapshot.nodes.get(&node).ok_or(ReachError::Unknown(node))?;
        self.reach.reach(row, latency).await
    }

    /// Whether the links that an action is about can be had; an error when whoever offers them is away.
    pub async fn check_links(&self, action: Action) -> Result<(), ReachError> {
        for node in [action.from_node(), action.to_node()].into_iter().flatten() {
            self.reach.has_link(node).await?;
        }
        Ok(())
    }

    /// What failed at the other end of a link is no fault of the node when the link itself is gone.
    pub async fn unless_link_is_gone(&self, node: NodeId, failure: JobFailure) -> JobFailure {
        match failure.kind {
            FailureKind::Store | FailureKind::ChangedData | FailureKind::Program => {}
            FailureKind::Data | FailureKind::Surroundings => return failure,
        }
        let gone = match self.reach.has_link(node).await {
            Ok(true) => return failure,
            Ok(false) => format!("the link to node {node} is gone; was the emulator restarted?"),
            Err(error) => chain(&error),
        };
        JobFailure::new(FailureKind::Surroundings, format!("{gone} ({})", failure.why))
    }

    /// What people should know of a job that went well.
    fn remark(&self, report: &JobReport) {
        if report.skipped_records > 0 {
            self.trouble(format!("{} of {} records have no usable value", report.skipped_records, report.records));
        }
        report.remark.iter().for_each(|remark| self.trouble(remark.clone()));
        if report.throughput().is_none() {
            self.trouble("the job reports an execution time of 0: its throughput is not known".to_owned());
        }
    }

    /// The latency of a link for one job: normal around what the table states.
    pub fn draw_latency(&self, snapshot: &Snapshot, node: NodeId, rng: &mut Rng) -> Duration {
        let Some(link) = snapshot.link(self.home, node) else { return Duration::ZERO };
        let drawn = Normal::new(link.latency_ms, link.jitter_ms).map_or(link.latency_ms, |normal| normal.sample(rng));
        milliseconds(drawn.max(0.0))
    }
}

/// A run of the job that failed, and for what it read of which data set, as far as it is known.
pub struct FailedRun {
    pub failure: JobFailure,
    pub part: usize,
}

/// One data set at the end of its link, for one run.
struct Opened {
    node: NodeId,
    reached: Reached,
    counted: Arc<Counted>,
}

/// Runs the job once, on a node, and measures the links while it runs. `latencies`: of the link to each replica. `None`: it is a
/// service, and nobody asked for anything.
pub async fn run_job(
    world: &Arc<World>,
    at: NodeId,
    reads: &[Read],
    latencies: &[Duration],
) -> Result<Option<Observation>, FailedRun> {
    if at != world.home {
        return run_elsewhere(world, at, reads).await.map(Some);
    }
    let (mut opened, mut sources) = (Vec::new(), Vec::new());
    for (part, (read, latency)) in reads.iter().zip(latencies).enumerate() {
        let (open, source) =
            open(world, read, *latency).await.map_err(|error| FailedRun { failure: error.into(), part })?;
        opened.push(open);
        sources.push(source);
    }
    let work = {
        let (world, links) = (world.clone(), opened.iter().map(|open| open.reached.clone()).collect::<Vec<_>>());
        let stores: Vec<Arc<Counted>> = opened.iter().map(|open| open.counted.clone()).collect();
        async move {
            // They carry what the job reads for as long as they are there.
            let _counting = count_on_the_way(world.job.as_ref(), &stores, &mut sources).await;
            let probes = futures::future::join_all(links.iter().map(|reached| world.reach.probe(reached)));
            tokio::join!(world.job.run_over(&sources), probes)
        }
    };
    let ended_early = |why| FailedRun { failure: JobFailure::new(FailureKind::Surroundings, why), part: 0 };
    let (report, probed) = on_services(world, work).await.map_err(ended_early)?;
    let probed = probed.into_iter().enumerate().map(|(part, latency)| {
        latency.map_err(|why| FailedRun { failure: JobFailure::new(FailureKind::Store, why), part })
    });
    let latencies: Result<Vec<Duration>, FailedRun> = probed.collect();
    let measured = match (report, latencies) {
        (Ok(report), Ok(latencies)) => Ok((report, latencies)),
        (Ok(_), Err(unreached)) => Err(unreached),
        (Err(failed), latencies) => Err(failed_run(failed, reads.len(), latencies.err())),
    };
    let (report, latencies) = match measured {
        Ok(measured) => measured,
        Err(FailedRun { failure, part }) => {
            let failure = world.unless_link_is_gone(opened[part].node, failure).await;
            return Err(FailedRun { failure, part });
        }
    };
    if report.requests.is_some_and(|answered| answered.answered == 0) {
        return Ok(None);
    }
    world.remark(&report);
    let parts = parts(world, reads, &opened, &report, &latencies);
    // What is counted of a training's requests says nothing of one of them.
    let alone = parts.first().filter(|_| reads.len() == 1 && report.requests.is_none());
    let traffic = alone.and_then(|alone| alone.traffic);
    // Who answers requests bills them.
    let billed = reads.iter().zip(&opened).enumerate().filter(|_| report.requests.is_none());
    for (at, (read, open)) in billed {
        let counted = parts.get(at).and_then(|part| part.traffic);
        counted.iter().for_each(|traffic| world.rates.note(open.node, traffic));
        let bytes = counted.map_or(read.snapshot.data_set.bytes, |traffic| traffic.bytes);
        world.has_read(&read.snapshot, open.node, bytes);
    }
    let requests = report.requests.map(|answered| monitor::Requests {
        p95: world.clock.record(answered.p95),
        p99: world.clock.record(answered.p99),
        error_percent: answered.error_percent(),
        are_over: answered.fell_silent,
    });
    Ok(Some(Observation {
        at: world.clock.now(),
        response_time: world.clock.record(report.response_time),
        execution_time: world.clock.record(report.execution_time),
        throughput: report.throughput(),
        network_latency: latencies.into_iter().max().unwrap_or_default(),
        emulated_latency: opened.iter().filter_map(|open| open.reached.emulated).max(),
        traffic,
        parts: if reads.len() > 1 { parts } else { Vec::new() },
        requests,
        data_consistency: None,
        result: Some(report.result),
    }))
}

/// The same on another node. Its worker reads there, so what is known of the link is what all know.
async fn run_elsewhere(world: &Arc<World>, at: NodeId, reads: &[Read]) -> Result<Observation, FailedRun> {
    let failed = |failure: JobFailure| FailedRun { failure, part: 0 };
    let Some(Read { replica, snapshot }) = reads.first().cloned() else {
        return Err(failed(JobFailure::new(FailureKind::Surroundings, "it reads nothing".to_owned())));
    };
    let work = {
        let (world, replica, snapshot) = (world.clone(), replica.clone(), snapshot.clone());
        async move { world.job.run_on(at, &snapshot, &replica).await }
    };
    let ran = on_services(world, work).await.map_err(|why| failed(JobFailure::new(FailureKind::Surroundings, why)))?;
    let report = ran.map_err(|error| failed(error.into()))?;
    world.remark(&report);
    world.has_read(&snapshot, replica.node, snapshot.data_set.bytes);
    Ok(Observation {
        at: world.clock.now(),
        response_time: world.clock.record(report.response_time),
        execution_time: world.clock.record(report.execution_time),
        throughput: report.throughput(),
        network_latency: milliseconds(snapshot.link(at, replica.node).map_or(0.0, |link| link.latency_ms)),
        emulated_latency: None,
        traffic: None,
        parts: Vec::new(),
        requests: None,
        data_consistency: None,
        result: Some(report.result),
    })
}

/// Puts a link that counts in front of each store whose traffic nothing else counts.
async fn count_on_the_way(job: &dyn Job, stores: &[Arc<Counted>], sources: &mut [DataSource]) -> Vec<CountedLink> {
    let mut links = Vec::new();
    for (store, source) in stores.iter().zip(sources) {
        let endpoint = &mut source.access.endpoint;
        if !job.is_counted_on_the_way(endpoint) {
            continue;
        }
        match store.link(endpoint).await {
            Ok(link) => {
                link.endpoint().clone_into(endpoint);
                links.push(link);
            }
            Err(error) => tracing::warn!(endpoint, %error, "the job's traffic is not counted"),
        }
    }
    links
}

/// Opens the way to what is read of one data set.
async fn open(world: &World, read: &Read, latency: Duration) -> Result<(Opened, DataSource), ReachError> {
    let Read { replica, snapshot } = read;
    let reached = world.reach_at(snapshot, replica.node, latency).await?;
    let counted = Arc::new(Counted::new(reached.store.clone()));
    let source = source(snapshot, replica, &reached, counted.clone());
    Ok((Opened { node: replica.node, reached, counted }, source))
}

/// A replica as a job is told of it.
fn source(snapshot: &Snapshot, replica: &Replica, reached: &Reached, store: Arc<dyn ObjectStore>) -> DataSource {
    let known = snapshot.placement.replicas.get(&replica.id).unwrap_or(replica);
    let content = known.content(&snapshot.data_set);
    DataSource {
        store,
        access: reached.access.clone(),
        data_set: snapshot.data_set.name.to_string(),
        object_key: replica.object_key.clone(),
        etag: known.validators.etag.clone(),
        sha256: content.sha256.to_owned(),
        bytes: content.bytes,
        records: content.records,
    }
}

/// Of several data sets the job may not know which it failed for: a link that does not answer tells.
fn failed_run(failed: FailedFor, parts: usize, unreached: Option<FailedRun>) -> FailedRun {
    let failure = JobFailure::from(failed.error);
    let part = match unreached.filter(|_| parts > 1 && failure.kind == FailureKind::Store) {
        Some(unreached) => unreached.part,
        None => failed.part,
    };
    FailedRun { failure, part }
}

/// What the job showed of each data set.
fn parts(
    world: &World,
    reads: &[Read],
    opened: &[Opened],
    report: &JobReport,
    latencies: &[Duration],
) -> Vec<PartObservation> {
    let part = |(at, (read, open)): (usize, (&Read, &Opened))| {
        let told = report.parts.get(at);
        let known = if reads.len() == 1 { report.records } else { read.snapshot.data_set.records };
        let records = told.map_or(known, |told| told.records);
        let times = told.map(|told| {
            let time = world.clock.record(told.time);
            PartTimes { response_time: time, execution_time: time, throughput: throughput(told.records, told.time) }
        });
        PartObservation { records, network_latency: latencies[at], times, traffic: open.counted.traffic(records) }
    };
    reads.iter().zip(opened).enumerate().map(part).collect()
}

/// Runs work on the services' threads; dropping the future stops it.
pub async fn on_services<T: Send + 'static>(
    world: &World,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let task = AbortOnDrop(world.services.spawn(work));
    task.await.map_err(|error| format!("the work ended early: {error}"))
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A duration of so many milliseconds; nothing below zero, nothing infinite.
pub fn milliseconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value / 1e3).unwrap_or_default()
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
