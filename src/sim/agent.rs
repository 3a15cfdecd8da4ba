//! One agent in virtual time: what its driver is made of, what it works on, and what its jobs came to.

use super::driver::Driver;
use super::physics;
use super::streams::{self, Purpose};
use crate::config::settings::{AgentSettings, NetworkSettings};
use crate::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::placement::{Claim, Identity, Registration};
use crate::domain::snapshot::Snapshot;
use crate::mape::chance::{Streams, seed_of};
use crate::mape::monitor::{Monitor, Rhythm, Run};
use crate::mape::planner::{Change, Experience, Parameters, Planner, Policy, Rng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What an agent is busy with; ends in virtual time.
pub enum Work {
    Job {
        run: Run,
        job: physics::Job,
    },
    /// The job has not read anything.
    LostJob {
        node: NodeId,
        why: String,
    },
    Transfer {
        claim: Claim,
        outcome: Result<(), String>,
    },
}

/// How the jobs went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub jobs: u64,
    pub violated: u64,
    pub failed: u64,
}

pub struct Agent {
    parameters: Arc<Parameters>,
    policy: Arc<dyn Policy>,
    rhythm: Rhythm,
    data_set: DataSetName,
    /// What was trained before the simulation.
    trained: Experience,
    pub streams: Streams,
    pub jobs: Rng,
    pub transfers: Rng,
    /// Absent while it does not run.
    pub driver: Option<Driver>,
    /// How often it was started: what was arranged in a former life means nothing any more.
    pub life: u32,
    pub work: Option<Work>,
    /// Counts its works: what was arranged for a former one means nothing any more.
    pub works: u64,
    pub tally: Tally,
    pub was_converged: bool,
}

impl Agent {
    pub fn new(
        network: &NetworkSettings,
        settings: &AgentSettings,
        policy: Arc<dyn Policy>,
        trained: Experience,
        seed: u64,
    ) -> Self {
        let id = settings.id;
        Self {
            parameters: Arc::new(parameters(network, settings)),
            policy,
            rhythm: Rhythm { gap: network.rhythm.job_gap, gap_deviation: network.rhythm.job_gap_deviation },
            data_set: network.data_set.name.clone(),
            trained,
            streams: Streams::new(seed_of(seed, id)),
            jobs: streams::stream(seed, id, Purpose::Jobs),
            transfers: streams::stream(seed, id, Purpose::Transfers),
            driver: None,
            life: 0,
            work: None,
            works: 0,
            tally: Tally::default(),
            was_converged: false,
        }
    }

    pub fn id(&self) -> AgentId {
        self.parameters.agent
    }

    pub fn home(&self) -> NodeId {
        self.parameters.home
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// How consistent the data of a replica is, as the agent's policy counts it.
    pub fn consistency(&self, snapshot: &Snapshot, replica: ReplicaId) -> f64 {
        self.policy.consistency(snapshot, replica, self.parameters.max_copies)
    }

    pub fn registration(&self) -> Registration {
        Registration {
            agent: self.id(),
            node: self.home(),
            goal: self.parameters.goal.to_string(),
            policy: self.policy.name().to_owned(),
        }
    }

    pub fn life(&self) -> Life {
        self.named(self.life)
    }

    fn named(&self, life: u32) -> Life {
        Life(format!("a{}-{life}", self.id()))
    }

    /// How it asks to be the agent: its last life has ended, as the lock of its data directory would show.
    pub fn identity(&self, silence: Duration) -> Identity {
        let ended = (1..self.life).next_back().map(|life| self.named(life));
        Identity { life: self.life(), ended: ended.into_iter().collect(), silence }
    }

    /// Begins a new life with what it had learned before.
    pub fn start(&mut self, learned: BTreeMap<Change, Impacts>) {
        let life = self.life().0;
        let (parameters, policy) = (self.parameters.clone(), self.policy.clone());
        let experience = Experience { learned, ..self.trained.clone() };
        let monitor =
            Monitor::new(parameters.clone(), self.data_set.clone(), policy.clone(), self.rhythm, life.clone());
        self.driver = Some(Driver::new(monitor, Planner::new(parameters, policy, experience, life)));
        self.was_converged = false;
    }

    /// As by `kill -9`: nothing is finished, nothing is said.
    pub fn crash(&mut self) {
        self.driver = None;
        self.drop_work();
    }

    pub fn drop_work(&mut self) {
        self.work = None;
        self.works += 1;
    }

    pub fn is_converged(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| driver.monitor().is_converged())
    }
}

/// The parameters of deciding that an agent's settings state.
fn parameters(network: &NetworkSettings, settings: &AgentSettings) -> Parameters {
    Parameters {
        agent: settings.id,
        home: settings.node,
        goal: settings.goal.clone(),
        rho: settings.rho,
        costs: settings.costs.clone(),
        exploration: network.learning.exploration,
        penalty: network.learning.penalty,
        max_copies: network.learning.max_copies,
        learning_rate: network.learning.learning_rate,
        window: network.feedback.window,
    }
}
