//! One agent, started: its node's store, its links, its registration, what it left unfinished, its actors.

use super::applications::check_home;
use super::catalogue::Catalogue;
use super::data_directory::Lock;
use super::endpoint::Endpoint;
use super::members;
use super::orphans;
use super::stores::{self, LeftUploads};
use super::surroundings::Surroundings;
use super::switchboard::{Connection, Line};
use super::training_file::TrainingFile;
use super::worker;
use crate::actors::{Adopt, Agent, Notice, Over, Parts, Scrub, Watch, World, chain, go_on, recover};
use crate::jobs::command::left_behind;
use crate::knowledge::{ClosingRule, Recorded, Registered};
use crate::membership::{Attached, Membership};
use crate::s3_endpoint::S3Endpoint;
use crate::storage::ObjectStore;
use crate::storage::embedded::EmbeddedStore;
use crate::worker::Worker;
use agent_core::clock::Clock;
use agent_core::config::overridden;
use agent_core::config::settings::{AgentSettings, NetworkSettings, ScrubSettings};
use agent_core::domain::ids::{AgentId, DataSetName, Life};
use agent_core::domain::placement::{Claim, DataSet, Identity, Registration};
use agent_core::mape::chance::seed_of;
use agent_core::mape::control_loop::Adoption;
use agent_core::mape::learner::learned_about;
use agent_core::mape::planner::{self, Experience, POLICIES, Parameters, Policy, REMEMBERED_JOBS};
use agent_core::mape::prediction::Latency;
use agent_core::sim;
use anyhow::{Context as _, bail};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How long a stopping agent may take before it is left as it is: recovery undoes the rest.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// An agent that runs in this process.
pub struct LiveAgent {
    agent: Agent,
    world: Arc<World>,
    store: Option<EmbeddedStore>,
    /// Its node among the others.
    membership: Option<Membership>,
    /// Its node as a worker for tasks.
    worker: Option<Worker>,
    /// Where applications read.
    endpoint: Option<S3Endpoint>,
    /// Whoever decides for it reaches it.
    _connection: Connection,
    /// What a former life had begun and this one goes on with; a stop leaves it to the next one.
    resumed: Vec<AbortOnDropHandle<()>>,
    /// Looks for orphans from time to time.
    _sweeper: Option<AbortOnDropHandle<()>>,
    /// What is done once at the start and waits for stores.
    _looking: AbortOnDropHandle<()>,
    _lock: Lock,
}

impl LiveAgent {
    /// Starts everything in order; the actors run on the current arbiter. `experience` is what was trained.
    pub async fn start(
        surroundings: &Surroundings,
        id: AgentId,
        policy: Option<&str>,
        training: &TrainingFile,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let settings =
            surroundings.settings.agents.get(&id).with_context(|| format!("there is no agents/{id}.toml"))?;
        let lock = surroundings.data.lock_agent(id)?;
        Self::start_member(surroundings, settings, None, lock, policy, training, seed).await
    }

    /// The same, whose node may be a member already.
    pub async fn start_member(
        surroundings: &Surroundings,
        settings: &AgentSettings,
        membership: Option<Membership>,
        lock: Lock,
        policy: Option<&str>,
        training: &TrainingFile,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let id = settings.id;
        surroundings.register_network().await?;
        check_home(&surroundings.knowledge.nodes().await?, id, settings.node)?;
        let endpoint = Endpoint::prepare(settings, &surroundings.data, &lock)?;
        let identity = new_life(surroundings, id, &lock);
        let world = Arc::new(surroundings.world(settings, identity)?);
        for process in left_behind::end(&world.identity.ended) {
            let what = format!("process {process}, which a job of a former life had left running, is ended");
            world.notify(Notice::Recovered { agent: id, what });
        }
        let policy = known_policy(policy.unwrap_or(&settings.policy))?;
        let registration = Registration {
            agent: id,
            node: settings.node,
            goal: settings.goal.to_string(),
            policy: policy.name().to_owned(),
            may_run_on: world.may_run_on.clone(),
        };
        // Before the store is started: a process that is refused must not have told others where its own store is. As long as
        // there is no data set, nobody can be registered.
        let known = data_sets(&world).await?;
        let may_be_taken = known.is_ok();
        if let Ok(known) = known {
            training.require_data_sets(&known)?;
            take(surroundings, &world, &registration).await?;
        }
        let store = surroundings.start_store(settings.node).await?;
        world.notify(Notice::Started {
            agent: id,
            node: settings.node,
            goal: registration.goal.clone(),
            policy: registration.policy.clone(),
            job: settings.job.to_string(),
            table: surroundings.table(),
        });
        // Another process that has only just started the node's store, and not said so yet, brings the data set, too.
        if surroundings.knowledge.nodes().await?.get(&settings.node).is_some_and(|node| node.store_url.is_some()) {
            surroundings.establish_data_sets(settings.node, id).await?;
        }
        let known = known_data_sets(&world).await?;
        training.require_data_sets(&known)?;
        if !may_be_taken {
            take(surroundings, &world, &registration).await?;
        }
        let watch = watch(surroundings.network());
        let left_half_done = recover(&world, watch).await?;
        let is_embedded = store.is_some();
        let sweeper = if is_embedded { keep_swept(surroundings, &world).await } else { None };
        let left = stores::left_uploads(surroundings, id, settings.node).await?;
        let looking = {
            let (surroundings, world) = (surroundings.clone(), world.clone());
            tokio::spawn(async move { look_at_stores(&surroundings, &world, is_embedded, left).await })
        };
        let network = surroundings.network();
        let parts = Parts {
            adopt: adopts(surroundings, settings, &policy),
            parameters: Arc::new(parameters(surroundings.clock.as_ref(), network, settings)),
            policy,
            experiences: experiences(surroundings, &world, training, &known).await?,
            rhythm: sim::rhythm(network, settings),
            watch,
            seed: seed_of(seed, id),
        };
        let endpoint = endpoint.map(|endpoint| endpoint.start(&world)).transpose()?;
        let membership = match membership {
            Some(membership) => Some(membership),
            None => members::begin(surroundings.into(), settings).await,
        };
        let worker = match &settings.worker {
            Some(offered) => Some(worker::begin(surroundings, &world, offered).await?),
            None => None,
        };
        let agent = Agent::start(&parts, &world);
        if let Some(membership) = &membership {
            membership.attach(Attached { world: world.clone(), ear: agent.ear(), heartbeat: watch.heartbeat });
        }
        let looking = AbortOnDropHandle::new(looking);
        let resumed = left_half_done.into_iter().map(|claim| go_on_with(&world, watch, claim)).collect();
        let member = membership.as_ref().map(Membership::watched);
        let reads = endpoint.as_ref().map(S3Endpoint::counters).unwrap_or_default();
        let line = Line { controls: agent.controls(&world), member, reads };
        let connection = surroundings.switchboard.connect(id, line);
        Ok(Self {
            agent,
            world,
            store,
            membership,
            worker,
            endpoint,
            _connection: connection,
            resumed,
            _sweeper: sweeper,
            _looking: looking,
            _lock: lock,
        })
    }

    /// Ends in order: no new job, the running action finished or released, signed off, the store closed.
    pub async fn stop(self) {
        if let Some(store) = self.stop_but_store().await {
            store.shutdown().await;
        }
    }

    /// The same, but its node's store goes on.
    pub async fn stop_but_store(mut self) -> Option<EmbeddedStore> {
        self.resumed.clear();
        let (endpoint, membership) = (self.endpoint.take(), self.membership.take());
        let worker = self.worker.take();
        let served = async {
            if let Some(worker) = worker {
                worker.leave().await;
            }
            if let Some(membership) = membership {
                membership.leave().await;
            }
            if let Some(endpoint) = endpoint {
                endpoint.shutdown().await;
            }
        };
        let (stopped, ()) = tokio::join!(tokio::time::timeout(STOP_WITHIN, self.agent.stop()), served);
        if stopped.is_err() {
            tracing::warn!(agent = %self.world.agent, "an action did not end in time; the next start undoes it");
        }
        if let Err(error) = self.world.bill().await {
            tracing::warn!(agent = %self.world.agent, error = chain(&error), "what was read last is not billed");
        }
        match self.world.knowledge.sign_off(self.world.agent, &self.world.identity.life).await {
            Ok(true) => self.world.notify(Notice::Stopped { agent: self.world.agent }),
            Ok(false) => tracing::warn!(agent = %self.world.agent, "not signed off: another process is this agent now"),
            Err(error) => tracing::warn!(agent = %self.world.agent, error = chain(&error), "not signed off"),
        }
        self.store
    }

    pub fn id(&self) -> AgentId {
        self.world.agent
    }

    /// Where applications read its data sets; `None`: nowhere.
    pub fn endpoint(&self) -> Option<&S3Endpoint> {
        self.endpoint.as_ref()
    }

    /// Completes when the agent has to be stopped without having been told to.
    pub async fn until_over(&self) -> Over {
        self.world.until_over().await
    }

    /// Why it has to be stopped, if it has to.
    pub fn over(&self) -> Option<(AgentId, Over)> {
        Some((self.world.agent, (*self.world.over.borrow())?))
    }
}

/// Beside the agent's loop, which sees the placement as it is meanwhile.
fn go_on_with(world: &Arc<World>, watch: Watch, claim: Claim) -> AbortOnDropHandle<()> {
    let world = world.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        // How it ends, people are told.
        go_on(&world, watch, claim).await;
    }))
}

/// What was trained, what was learned in former lives, and predictions from every job that was measured.
async fn experiences(
    surroundings: &Surroundings,
    world: &World,
    training: &TrainingFile,
    data_sets: &[DataSet],
) -> anyhow::Result<Vec<(DataSetName, Experience)>> {
    let latency = if surroundings.emulator.is_some() { Latency::Injected } else { Latency::Real };
    let trained = Experience::new(training.impacts.clone(), latency, &training.runs, &training.traffic);
    let learned = world.knowledge.impacts(world.agent).await?;
    // Each job is kept once, under the first of its data sets.
    let jobs = match world.data_sets.first() {
        Some(first) => world.knowledge.latest_measurements(world.agent, first, REMEMBERED_JOBS).await?,
        None => Vec::new(),
    };
    let one_of_several = data_sets.len() > 1;
    let experience = |data_set: &DataSet| {
        let mut experience = trained.clone();
        if one_of_several {
            experience.predictor.set_records(data_set.records);
        }
        let learned = learned.iter().map(|(label, learned)| (label, learned.impacts));
        let learned = learned_about(learned, &data_set.name, one_of_several);
        let seen = |recorded: &Recorded| match one_of_several {
            true => recorded.measurement.seen_from(&data_set.name),
            false => Some(recorded.measurement.clone()),
        };
        experience.recall(learned, jobs.iter().filter_map(seen));
        (data_set.name.clone(), experience)
    };
    Ok(data_sets.iter().map(experience).collect())
}

/// What the agent pursues when something else is asked of it; `policy` is what it begins by.
fn adopts(surroundings: &Surroundings, settings: &AgentSettings, policy: &Arc<dyn Policy>) -> Adopt {
    let (surroundings, settings, policy) = (surroundings.clone(), settings.clone(), policy.clone());
    Arc::new(move |asked| {
        let settings = overridden(&settings, asked, &POLICIES).map_err(|invalid| invalid.to_string())?;
        let named = asked.policy.as_deref().and_then(planner::policy).map(Arc::from);
        let parameters = parameters(surroundings.clock.as_ref(), surroundings.network(), &settings);
        Ok(Adoption { parameters: Arc::new(parameters), policy: named.unwrap_or_else(|| policy.clone()) })
    })
}

/// What the settings state, with time for answers on the wall: however short a second of the scenario is, processes and the
/// table need theirs.
fn parameters(clock: &dyn Clock, network: &NetworkSettings, settings: &AgentSettings) -> Parameters {
    const ANSWERED_WITHIN: Duration = Duration::from_millis(250);
    let stated = sim::parameters(network, settings);
    Parameters { patience: stated.patience.max(clock.record(ANSWERED_WITHIN)), ..stated }
}

pub(super) fn watch(network: &NetworkSettings) -> Watch {
    Watch {
        heartbeat: network.rhythm.heartbeat,
        lease: network.rhythm.lease,
        drain: network.rhythm.drain,
        window: network.feedback.window,
        closing: ClosingRule {
            threshold: network.feedback.threshold,
            grace: network.feedback.grace,
            silence: network.silence(),
        },
        origins: network.rhythm.watch,
        scrub: network.rhythm.scrub.map(|ScrubSettings { every, bytes_per_s }| Scrub { every, bytes_per_s }),
    }
}

/// A life that nobody had before, and those of this agent that ended in this data directory.
fn new_life(surroundings: &Surroundings, id: AgentId, lock: &Lock) -> Identity {
    let life = Life(format!("a{id}-{:x}-{:08x}", surroundings.clock.now().0, rand::random::<u32>()));
    let ended = surroundings.data.ended_lives(id, lock);
    Identity { life, ended, silence: surroundings.network().silence() }
}

/// Makes this process the agent. One that ran here before has ended, and is succeeded at once; one that ran elsewhere is
/// waited for until its last sign of life is too old, and left alone when it gives another.
async fn take(surroundings: &Surroundings, world: &World, registration: &Registration) -> anyhow::Result<()> {
    let Identity { life, ended, .. } = &world.identity;
    // Before the table knows of it: whenever this process is killed, the next one can say that it ended.
    surroundings.data.note_lives(world.agent, &[ended.as_slice(), std::slice::from_ref(life)].concat())?;
    if let Registered::Taken { wait } = world.register(registration).await? {
        let wait = world.clock.apply(wait);
        world.trouble(format!(
            "another process was this agent until a moment ago; waiting {:.1} s to see whether it still is",
            wait.as_secs_f64()
        ));
        tokio::time::sleep(wait).await;
        if let Registered::Taken { .. } = world.register(registration).await? {
            bail!("agent {} runs in another process, with another data directory; stop that one first", world.agent);
        }
    }
    surroundings.data.note_lives(world.agent, std::slice::from_ref(life))
}

fn known_policy(name: &str) -> anyhow::Result<Arc<dyn Policy>> {
    match planner::policy(name) {
        Some(policy) => Ok(Arc::from(policy)),
        None => bail!("there is no policy `{name}`; policies are {}", planner::POLICIES.join(", ")),
    }
}

/// What its job reads, as the catalogue has it; or the first of it that is not there.
async fn data_sets(world: &World) -> anyhow::Result<Result<Vec<DataSet>, DataSetName>> {
    let snapshots = world.load().await?;
    Ok(snapshots.map(|snapshots| snapshots.into_iter().map(|snapshot| snapshot.data_set.clone()).collect()))
}

/// Waits for the data sets: each comes from its first node's agent, which may still have to start.
async fn known_data_sets(world: &World) -> anyhow::Result<Vec<DataSet>> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let mut told = None;
    loop {
        match data_sets(world).await? {
            Ok(known) => return Ok(known),
            Err(missing) if told.as_ref() != Some(&missing) => {
                world.trouble(format!("waiting for data set {missing}: its first node's agent has to bring it"));
                told = Some(missing);
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks for orphans in the agent's own store at its start and once in a lease from then on: none is deleted before it is as
/// old. A store that cannot be listed now is looked at again then.
async fn keep_swept(surroundings: &Surroundings, world: &Arc<World>) -> Option<AbortOnDropHandle<()>> {
    let store = match surroundings.direct_store(world.home).await {
        Ok(store) => store,
        Err(error) => {
            world.trouble(format!("{error:#}"));
            return None;
        }
    };
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let (world, lease) = (world.clone(), surroundings.clock.apply(surroundings.network().rhythm.lease));
    let services = world.services.clone();
    Some(AbortOnDropHandle::new(services.spawn(async move {
        loop {
            sweep_orphans(&store, &world, lease).await;
            tokio::time::sleep(lease).await;
        }
    })))
}

async fn sweep_orphans(store: &Arc<dyn ObjectStore>, world: &World, lease: Duration) {
    let swept = async {
        let mut orphans = orphans::sweep_probes(store.as_ref(), lease).await?;
        for snapshot in Catalogue::load(world.knowledge.as_ref()).await?.snapshots {
            orphans.extend(orphans::sweep(store, world.knowledge.as_ref(), &snapshot.data_set, lease).await?);
        }
        anyhow::Ok(orphans)
    };
    match swept.await {
        Ok(keys) => keys.into_iter().for_each(|key| {
            let what = format!("the orphan object `{key}` is removed");
            world.notify(Notice::Recovered { agent: world.agent, what });
        }),
        Err(error) => world.trouble(format!("{error:#}")),
    }
}

/// What is left of former lives in the stores, and what those at nodes without an agent can: beside the agent's work, for a store
/// may be silent.
async fn look_at_stores(surroundings: &Surroundings, world: &World, is_embedded: bool, left: LeftUploads) {
    let noted = async {
        stores::give_up(surroundings, world.agent, left).await.iter().for_each(|key| given_up(world, key));
        if !is_embedded {
            give_up_uploads(surroundings, world).await;
            remove_probes(surroundings, world).await;
        }
    };
    let (examined, ()) = tokio::join!(stores::examine_unmanned(surroundings), noted);
    if let Err(error) = examined {
        world.trouble(format!("{error:#}"));
    }
}

fn given_up(world: &World, key: &str) {
    let what = format!("the unfinished upload of `{key}` is given up");
    world.notify(Notice::Recovered { agent: world.agent, what });
}

/// What is left in a store of somebody else's: uploads that were never finished. Its objects are not all ours to judge.
async fn give_up_uploads(surroundings: &Surroundings, world: &World) {
    let found = async {
        let (knowledge, age) = (world.knowledge.as_ref(), surroundings.network().rhythm.lease);
        let store = surroundings.direct_store(world.home).await?;
        let mut given_up = Vec::new();
        for snapshot in Catalogue::load(knowledge).await?.snapshots {
            let age = surroundings.clock.apply(age);
            given_up.extend(orphans::give_up_uploads(&store, knowledge, &snapshot.data_set, age).await?);
        }
        anyhow::Ok(given_up)
    };
    match found.await {
        Ok(keys) => keys.iter().for_each(|key| given_up(world, key)),
        Err(error) => world.trouble(format!("{error:#}")),
    }
}

/// What examinations that were killed left in somebody else's store. Where nothing may be listed or deleted, it stays.
async fn remove_probes(surroundings: &Surroundings, world: &World) {
    let age = surroundings.clock.apply(surroundings.network().rhythm.lease);
    let Ok(store) = surroundings.direct_store(world.home).await else { return };
    match orphans::sweep_probes(&store, age).await {
        Ok(keys) => keys.into_iter().for_each(|key| {
            let what = format!("`{key}`, which a look at the store had left there, is removed");
            world.notify(Notice::Recovered { agent: world.agent, what });
        }),
        Err(error) => tracing::debug!(error = %error, "what looks at the store have left there is not known"),
    }
}
