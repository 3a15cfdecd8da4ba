//! One agent, started: its node's store, its links, its registration, what it left unfinished, its actors.

use super::applications::check_home;
use super::data_directory::Lock;
use super::orphans;
use super::surroundings::Surroundings;
use super::training_file::TrainingFile;
use crate::actors::{Agent, Makeup, Notice, Watch, World, chain, recover};
use crate::clock::Clock;
use crate::config::settings::{AgentSettings, NetworkSettings};
use crate::domain::ids::{AgentId, Life};
use crate::domain::placement::{DataSet, Identity, Registration};
use crate::knowledge::{ClosingRule, Registered};
use crate::mape::chance::seed_of;
use crate::mape::monitor::Rhythm;
use crate::mape::planner::{self, Experience, Parameters, Policy, REMEMBERED_JOBS};
use crate::mape::prediction::Latency;
use crate::sim;
use crate::storage::embedded::EmbeddedStore;
use anyhow::{Context as _, bail};
use std::sync::Arc;
use std::time::Duration;

/// How long a stopping agent may take before it is left as it is: recovery undoes the rest.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// An agent that runs in this process.
pub struct LiveAgent {
    agent: Agent,
    world: Arc<World>,
    store: Option<EmbeddedStore>,
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
        surroundings.register_network().await?;
        check_home(&surroundings.knowledge.nodes().await?, id, settings.node)?;
        let identity = new_life(surroundings, id, &lock);
        let world = Arc::new(surroundings.world(settings, identity)?);
        let policy = known_policy(policy.unwrap_or(&settings.policy))?;
        let registration = Registration {
            agent: id,
            node: settings.node,
            goal: settings.goal.to_string(),
            policy: policy.name().to_owned(),
        };
        // Before the store is started: a process that is refused must not have told others where its own store is. As long as
        // there is no data set, nobody can be registered.
        let known = data_set(&world).await?;
        let may_be_taken = known.is_some();
        if let Some(known) = known {
            training.require_data_set(&known)?;
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
            surroundings.establish_data_set(settings.node).await?;
        }
        training.require_data_set(&known_data_set(&world).await?)?;
        if !may_be_taken {
            take(surroundings, &world, &registration).await?;
        }
        recover(&world).await?;
        match store {
            Some(_) => sweep_orphans(surroundings, &world).await,
            None => give_up_uploads(surroundings, &world).await,
        }
        let network = surroundings.network();
        let makeup = Makeup {
            parameters: Arc::new(parameters(surroundings.clock.as_ref(), network, settings)),
            policy,
            experience: experience(surroundings, &world, training).await?,
            rhythm: Rhythm { gap: network.rhythm.job_gap, gap_deviation: network.rhythm.job_gap_deviation },
            watch: watch(network),
            seed: seed_of(seed, id),
        };
        let agent = Agent::start(&makeup, &world);
        Ok(Self { agent, world, store, _lock: lock })
    }

    /// Ends in order: no new job, the running action finished or released, signed off, the store closed.
    pub async fn stop(self) {
        if let Some(store) = self.stop_but_store().await {
            store.shutdown().await;
        }
    }

    /// The same, but its node's store goes on.
    pub async fn stop_but_store(self) -> Option<EmbeddedStore> {
        if tokio::time::timeout(STOP_WITHIN, self.agent.stop()).await.is_err() {
            tracing::warn!(agent = %self.world.agent, "an action did not end in time; the next start undoes it");
        }
        match self.world.knowledge.sign_off(self.world.agent, &self.world.identity.life).await {
            Ok(true) => self.world.notify(Notice::Stopped { agent: self.world.agent }),
            Ok(false) => tracing::warn!(agent = %self.world.agent, "not signed off: another process is this agent now"),
            Err(error) => tracing::warn!(agent = %self.world.agent, error = chain(&error), "not signed off"),
        }
        self.store
    }

    /// Completes when the table has given the agent to another process: this one must stop.
    pub async fn displaced(&self) {
        self.world.displaced.notified().await;
    }
}

/// What was trained, what was learned in former lives, and predictions from every job that was measured.
async fn experience(surroundings: &Surroundings, world: &World, training: &TrainingFile) -> anyhow::Result<Experience> {
    let latency = if surroundings.emulator.is_some() { Latency::Injected } else { Latency::Real };
    let mut experience = Experience::new(training.impacts.clone(), latency, &training.runs);
    let learned = world.knowledge.impacts(world.agent).await?;
    let jobs = world.knowledge.latest_measurements(world.agent, &world.data_set, REMEMBERED_JOBS).await?;
    experience.recall(
        learned.into_iter().map(|(label, learned)| (label, learned.impacts)),
        jobs.into_iter().map(|recorded| recorded.measurement),
    );
    Ok(experience)
}

/// What the settings state, with time for answers on the wall: however short a second of the scenario is, processes and the
/// table need theirs.
fn parameters(clock: &dyn Clock, network: &NetworkSettings, settings: &AgentSettings) -> Parameters {
    const ANSWERED_WITHIN: Duration = Duration::from_millis(250);
    let stated = sim::parameters(network, settings);
    Parameters { patience: stated.patience.max(clock.record(ANSWERED_WITHIN)), ..stated }
}

fn watch(network: &NetworkSettings) -> Watch {
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

/// As the catalogue has it.
async fn data_set(world: &World) -> anyhow::Result<Option<DataSet>> {
    Ok(world.knowledge.snapshot(&world.data_set).await?.map(|snapshot| snapshot.data_set.clone()))
}

/// Waits for the data set: it comes from its first node's agent, which may still have to start.
async fn known_data_set(world: &World) -> anyhow::Result<DataSet> {
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let mut told = false;
    loop {
        if let Some(known) = data_set(world).await? {
            return Ok(known);
        }
        if !told {
            world.trouble(format!("waiting for data set {}: its first node's agent has to bring it", world.data_set));
            told = true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A store that cannot be listed now is swept at the next start; the agent runs all the same.
async fn sweep_orphans(surroundings: &Surroundings, world: &World) {
    let swept = async {
        let Some(snapshot) = world.knowledge.snapshot(&world.data_set).await? else { return anyhow::Ok(Vec::new()) };
        let store = surroundings.direct_store(world.home).await?;
        Ok(orphans::sweep(&store, world.knowledge.as_ref(), &snapshot.data_set).await?)
    };
    match swept.await {
        Ok(keys) => keys.into_iter().for_each(|key| {
            let what = format!("the orphan object `{key}` is removed");
            world.notify(Notice::Recovered { agent: world.agent, what });
        }),
        Err(error) => world.trouble(format!("{error:#}")),
    }
}

/// What is left in a store of somebody else's: uploads that were never finished. Its objects are not all ours to judge.
async fn give_up_uploads(surroundings: &Surroundings, world: &World) {
    let given_up = async {
        let Some(snapshot) = world.knowledge.snapshot(&world.data_set).await? else { return anyhow::Ok(Vec::new()) };
        let store = surroundings.direct_store(world.home).await?;
        let age = surroundings.clock.apply(surroundings.network().rhythm.lease);
        Ok(orphans::give_up_uploads(&store, world.knowledge.as_ref(), &snapshot.data_set, age).await?)
    };
    match given_up.await {
        Ok(keys) => keys.into_iter().for_each(|key| {
            let what = format!("the unfinished upload of `{key}` is given up");
            world.notify(Notice::Recovered { agent: world.agent, what });
        }),
        Err(error) => world.trouble(format!("{error:#}")),
    }
}
