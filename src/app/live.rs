//! `agent demo --live`: every application of the network is a service, and its users, who wake on one node after the other, read through
//! its agent's endpoint. The data follows them.

use super::live_agent::LiveAgent;
use super::surroundings::Surroundings;
use crate::storage::credentials::kept::{Form, Kept};
use crate::storage::s3::{Attempts, S3Settings, S3Store};
use crate::storage::{Content, ObjectStore as _, StorageError};
use agent_arrivals::{Arrival, Plan, Profile, Within};
use agent_core::clock::Clock;
use agent_core::config::settings::{EndpointSettings, JobSettings, ServiceSettings, Settings};
use agent_core::domain::goal::Goal;
use agent_core::domain::ids::AgentId;
use agent_core::domain::manifest::Extent;
use agent_core::domain::metric::Metric;
use agent_core::mape::chance::seed_of;
use anyhow::Context as _;
use futures::TryStreamExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// What every service is asked to keep.
const GOAL: &str = "response_time_p95 <= 800 ms and error_rate <= 1 %";
const WINDOW: Duration = Duration::from_secs(30);
/// Differences that count as large.
const RHO: [(Metric, f64); 2] = [(Metric::ResponseTimeP95, 0.8), (Metric::ErrorRate, 5.0)];
/// Bytes of the scenario that a user reads at once.
const ANSWER: u64 = 64 << 10;
/// How long users are awake on a node, before those on the next one wake.
const VISIT: Duration = Duration::from_secs(30 * 60);
/// Requests in a second of the scenario where users are awake.
const RATE: f64 = 2.0;
/// Requests of one service under way; whoever comes then gives up.
const AT_ONCE: usize = 64;
/// Of what is read: with one for each node, nothing would have to follow anybody.
const REPLICAS: u32 = 1;
/// So often it is somebody's turn: for three weeks of the scenario.
const VISITS: usize = 1000;

/// The same network with services for applications. What they read has one replica, which is to follow.
pub fn of_services(settings: &mut Settings) -> anyhow::Result<()> {
    let goal: Goal = GOAL.parse()?;
    for agent in settings.agents.values_mut() {
        agent.goal = goal.clone();
        GOAL.clone_into(&mut agent.goal_text);
        agent.job = JobSettings::Service(ServiceSettings { window: WINDOW, request_bytes: ANSWER });
        agent.data_sets.truncate(1);
        agent.may_run_on.clear();
        _ = agent.s3.get_or_insert(EndpointSettings { listen: ([127, 0, 0, 1], 0).into(), writes: false });
        RHO.into_iter().for_each(|(metric, rho)| agent.rho.set(metric, rho));
    }
    for data_set in settings.network.data_sets.values_mut() {
        data_set.constraints.max_replicas.get_or_insert(REPLICAS);
    }
    Ok(())
}

/// The users of all services. Dropping it sends them home.
pub struct Users {
    _come: Vec<AbortOnDropHandle<()>>,
}

impl Users {
    /// From now on.
    pub fn wake(surroundings: &Surroundings, agents: &[LiveAgent], seed: u64) -> anyhow::Result<Self> {
        let settings = &surroundings.settings;
        let places: BTreeMap<AgentId, usize> = settings.agents.keys().copied().zip(0..).collect();
        let users = agents.iter().map(|agent| {
            let (id, endpoint) = (agent.id(), agent.endpoint().context("a service has an endpoint")?);
            let data_set = &settings.network.data_sets[&settings.agents[&id].data_sets[0]];
            let kept = Kept { path: surroundings.data.s3_credentials(id), form: Form::Profile };
            let credentials = kept.load()?.context("an endpoint has credentials")?;
            let address = format!("http://{}", endpoint.address());
            let once = Attempts { read: 1, control: 1 };
            let reader = Reader {
                store: S3Store::new(S3Settings {
                    attempts: once,
                    ..S3Settings::new(address, &*data_set.name.0, credentials)
                }),
                key: Extent::of(&data_set.object_key).name().to_owned(),
                bytes: settings.network.time_scale.shrink(ANSWER).max(1),
            };
            let plan = Plan::of_profile(&traffic(places[&id], places.len())?, Within::Exponential, seed_of(seed, id));
            let coming = come(plan, surroundings.clock.clone(), Arc::new(reader));
            Ok(AbortOnDropHandle::new(surroundings.services.spawn(coming)))
        });
        Ok(Self { _come: users.collect::<anyhow::Result<_>>()? })
    }
}

/// Requests to the service in this place of so many, whose turn comes again and again for as long as a demo can be.
fn traffic(place: usize, services: usize) -> anyhow::Result<Profile> {
    let visits = (0..VISITS).map(|visit| if visit % services == place { RATE } else { 0.0 });
    Ok(Profile::of_ticks(VISIT, visits.collect())?)
}

/// What one service's users read.
struct Reader {
    store: S3Store,
    key: String,
    bytes: u64,
}

impl Reader {
    /// A random part of the object, which may have changed: its users do not mind.
    async fn read(&self) -> Result<(), StorageError> {
        let Some(object) = self.store.info(&self.key).await? else { return Ok(()) };
        let bytes = self.bytes.min(object.bytes);
        let from = rand::random_range(0..=object.bytes - bytes);
        let content = Content { bytes: object.bytes, etag: None };
        let mut answer = self.store.read_range(&self.key, from..from + bytes, &content).await?.bytes;
        while answer.try_next().await?.is_some() {}
        Ok(())
    }
}

/// Each when it is meant to, whether those before it were answered or not: users do not wait for each other.
async fn come(plan: Plan, clock: Arc<dyn Clock>, reader: Arc<Reader>) {
    let (began, places) = (Instant::now(), Arc::new(Semaphore::new(AT_ONCE)));
    let mut reading = JoinSet::new();
    for Arrival { at, .. } in plan {
        sleep_until(began + clock.apply(at)).await;
        while reading.try_join_next().is_some() {}
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let reader = reader.clone();
        reading.spawn(async move {
            if let Err(error) = reader.read().await {
                tracing::debug!(%error, "a user was not answered");
            }
            drop(place);
        });
    }
}
