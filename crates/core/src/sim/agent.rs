//! One agent in virtual time: what its control loop is made of, what it works on, and what its jobs came to.

use super::physics;
use super::requests::{self, Way};
use super::streams::{self, Purpose};
use crate::config::overridden;
use crate::config::scenario::Service;
use crate::config::settings::{AgentSettings, NetworkSettings};
use crate::domain::books::Unbilled;
use crate::domain::convergence::RecentJobs;
use crate::domain::failure::JobFailure;
use crate::domain::ids::{AgentId, DataSetName, Life, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::job_gap::JobGap;
use crate::domain::placement::{Claim, Identity, Overrides, Registration, Replica};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::mape::chance::{Streams, seed_of};
use crate::mape::control_loop::{Adoption, ControlLoop, Stopwatch};
use crate::mape::learner::learned_about;
use crate::mape::monitor::Rhythm;
use crate::mape::planner::{self, ANSWERED_WITHIN, Experience, LOOK_EVERY, POLICIES, Parameters, Policy, Rng};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A job under way; ends in virtual time.
pub enum Job {
    /// On this node; of each data set one part after the other.
    Runs(NodeId, Vec<Part>),
    /// What the requests of a window come to; absent where none came.
    Serves(Served, Option<requests::Window>),
    /// It has not read anything, for what it was to read of this data set.
    IsLost(JobFailure, usize),
}

/// What a service answers from.
pub struct Served {
    pub replica: Arc<Replica>,
    pub way: Way,
}

/// What a job reads of one data set, and what that takes.
pub struct Part {
    pub replica: Arc<Replica>,
    pub records: u64,
    pub job: physics::Job,
}

/// Bytes under way, which a job does not wait for.
pub struct Transfer {
    pub claim: Claim,
    pub outcome: Result<(), String>,
}

/// What an agent is busy with, and how often it was: what was arranged for a former one means nothing any more.
pub struct Work<T> {
    pub under_way: Option<T>,
    pub number: u64,
}

impl<T> Default for Work<T> {
    fn default() -> Self {
        Self { under_way: None, number: 0 }
    }
}

impl<T> Work<T> {
    /// Its number.
    pub fn begin(&mut self, work: T) -> u64 {
        self.drop();
        self.under_way = Some(work);
        self.number
    }

    pub fn drop(&mut self) {
        self.under_way = None;
        self.number += 1;
    }
}

/// How the jobs went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Those that were measured.
    pub jobs: u64,
    pub violated: u64,
    /// Those besides that have no result.
    pub failed: u64,
    /// Rows written for deciding: actions, blame, questions, replies.
    pub messages: u64,
}

pub struct Agent {
    parameters: Arc<Parameters>,
    policy: Arc<dyn Policy>,
    /// The one that it has unless something else is asked.
    begins_by: Arc<dyn Policy>,
    /// What was asked of it last in place of the scenario's; followed where it makes sense.
    pub overrides: Overrides,
    rhythm: Rhythm,
    /// What its job reads, and the position of each among all.
    data_sets: Vec<DataSetName>,
    shelves: Vec<usize>,
    /// Besides its home.
    may_run_on: BTreeSet<NodeId>,
    /// What was trained before the simulation, of each.
    trained: Vec<Experience>,
    /// When requests come, to who serves.
    pub traffic: Option<requests::Traffic>,
    /// Whether any came in its last window.
    pub is_asked: bool,
    pub streams: Streams,
    pub jobs: Rng,
    pub transfers: Rng,
    pub replies: Rng,
    pub probes: Rng,
    /// The node whose link it measured last without a job.
    pub probed: NodeId,
    /// Absent while it does not run.
    pub control_loop: Option<ControlLoop>,
    /// How often it was started: what was arranged in a former life means nothing any more.
    life: u32,
    /// As the table knows the present one.
    named: Life,
    pub job: Work<Job>,
    pub transfer: Work<Transfer>,
    /// When it will be shown the table, if its policy asks for that.
    pub looks_at: Option<Timestamp>,
    /// All times at which a look is arranged, put off ones included.
    pub looks: BTreeSet<Timestamp>,
    /// Its own time within the period at which it looks.
    pub phase: Duration,
    pub tally: Tally,
    /// As the table knows them: a former life's count, too.
    pub recent: RecentJobs,
    pub was_converged: bool,
    /// How many of the last jobs failed, one after the other; when the last one ended, failed or not.
    pub failed_in_a_row: u32,
    pub last_job: Option<Timestamp>,
    pub stopwatch: Option<Stopwatch>,
    pub unbilled: Unbilled,
}

impl Agent {
    pub fn new(
        network: &NetworkSettings,
        settings: &AgentSettings,
        shelves: Vec<usize>,
        policy: Arc<dyn Policy>,
        trained: Vec<Experience>,
        service: Option<&Service>,
        seed: u64,
    ) -> Self {
        let id = settings.id;
        let traffic = |service| requests::Traffic::new(service, streams::stream(seed, id, Purpose::Traffic).random());
        Self {
            parameters: Arc::new(parameters(network, settings)),
            begins_by: policy.clone(),
            policy,
            overrides: Overrides::default(),
            rhythm: rhythm(network, settings),
            data_sets: settings.data_sets.clone(),
            shelves,
            may_run_on: settings.may_run_on.clone(),
            trained,
            traffic: service.map(traffic),
            is_asked: false,
            streams: Streams::new(seed_of(seed, id)),
            jobs: streams::stream(seed, id, Purpose::Jobs),
            transfers: streams::stream(seed, id, Purpose::Transfers),
            replies: streams::stream(seed, id, Purpose::Replies),
            probes: streams::stream(seed, id, Purpose::Probes),
            probed: NodeId(0),
            control_loop: None,
            life: 0,
            named: name_of(id, 0),
            job: Work::default(),
            transfer: Work::default(),
            looks_at: None,
            looks: BTreeSet::new(),
            phase: LOOK_EVERY.mul_f64(streams::stream(seed, id, Purpose::Phase).random()),
            tally: Tally::default(),
            recent: RecentJobs::default(),
            failed_in_a_row: 0,
            last_job: None,
            was_converged: false,
            stopwatch: None,
            unbilled: Unbilled::default(),
        }
    }

    pub fn id(&self) -> AgentId {
        self.parameters.agent
    }

    pub fn home(&self) -> NodeId {
        self.parameters.home
    }

    /// What its job reads, in this order.
    pub fn data_sets(&self) -> &[DataSetName] {
        &self.data_sets
    }

    /// The positions of these among all.
    pub fn shelves(&self) -> &[usize] {
        &self.shelves
    }

    pub fn reads_from(&self, shelf: usize) -> bool {
        self.shelves.contains(&shelf)
    }

    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// How consistent the data of a replica is, as the agent's policy counts it.
    pub fn consistency(&self, snapshot: &Snapshot, replica: ReplicaId) -> f64 {
        self.policy.consistency(snapshot, replica, self.parameters.max_copies)
    }

    /// What it pursues from now on, as it is asked to. An error says why that makes no sense.
    pub fn adopt(&mut self, network: &NetworkSettings, settings: &AgentSettings) -> Result<Adoption, String> {
        let settings = overridden(settings, &self.overrides, &POLICIES).map_err(|invalid| invalid.to_string())?;
        let named = self.overrides.policy.as_deref().and_then(planner::policy).map(Arc::from);
        self.policy = named.unwrap_or_else(|| self.begins_by.clone());
        self.parameters = Arc::new(parameters(network, &settings));
        Ok(Adoption { parameters: self.parameters.clone(), policy: self.policy.clone() })
    }

    /// What it pursues from its start on, and by which policy if that is another one.
    pub fn begin_with(&mut self, network: &NetworkSettings, settings: &AgentSettings, policy: Option<&str>) {
        self.parameters = Arc::new(parameters(network, settings));
        if let Some(policy) = policy.and_then(planner::policy) {
            self.begins_by = Arc::from(policy);
            self.policy = self.begins_by.clone();
        }
    }

    pub fn registration(&self) -> Registration {
        Registration {
            agent: self.id(),
            node: self.home(),
            goal: self.parameters.goal.to_string(),
            policy: self.policy.name().to_owned(),
            may_run_on: self.may_run_on.clone(),
        }
    }

    /// The name of its policy.
    pub fn policy(&self) -> &'static str {
        self.policy.name()
    }

    pub fn life(&self) -> u32 {
        self.life
    }

    pub fn begin_life(&mut self) {
        self.set_life(self.life + 1);
    }

    /// As if the present life had not begun.
    pub fn take_life_back(&mut self) {
        self.set_life(self.life - 1);
    }

    fn set_life(&mut self, life: u32) {
        (self.life, self.named) = (life, name_of(self.id(), life));
    }

    /// The present life, as the table knows it.
    pub fn named(&self) -> &Life {
        &self.named
    }

    /// How it asks to be the agent: its last life has ended, as the lock of its data directory would show.
    pub fn identity(&self, silence: Duration) -> Identity {
        let ended = (1..self.life).next_back().map(|life| name_of(self.id(), life));
        Identity { life: self.named.clone(), ended: ended.into_iter().collect(), silence }
    }

    /// Begins a new life with what it had learned before, by label.
    pub fn start(&mut self, learned: &BTreeMap<String, Impacts>) {
        let one_of_several = self.data_sets.len() > 1;
        let experience = |(data_set, trained): (&DataSetName, &Experience)| {
            let mut experience = trained.clone();
            let learned = learned.iter().map(|(label, impacts)| (label, *impacts));
            experience.recall(learned_about(learned, data_set, one_of_several), []);
            (data_set.clone(), experience)
        };
        let experiences = self.data_sets.iter().zip(&self.trained).map(experience).collect();
        let life = self.named.to_string();
        let control_loop = ControlLoop::new(&self.parameters, &self.policy, self.rhythm.clone(), &life, experiences);
        self.control_loop = Some(control_loop.timed(self.stopwatch.clone()));
        self.was_converged = false;
    }

    /// As by `kill -9`: nothing is finished, nothing is said.
    pub fn crash(&mut self) {
        self.control_loop = None;
        self.looks_at = None;
        self.looks.clear();
        self.job.drop();
        self.transfer.drop();
        self.unbilled = Unbilled::default();
    }

    /// Who looks at the table between jobs does, and whose jobs may run where somebody else lives.
    pub fn asks_who_lives(&self) -> bool {
        self.looks() || !self.may_run_on.is_empty()
    }

    /// Whether its policy looks at the table between jobs.
    pub fn looks(&self) -> bool {
        self.policy.looks()
    }

    pub fn is_converged(&self) -> bool {
        self.control_loop.as_ref().is_some_and(|control_loop| control_loop.monitor().is_converged())
    }
}

fn name_of(agent: AgentId, life: u32) -> Life {
    Life(format!("a{agent}-{life}"))
}

/// Between two windows of a service: nothing, but that nobody should spin while the table is away.
const BETWEEN_WINDOWS: Duration = Duration::from_secs(1);

/// The pauses between what an agent measures.
pub fn rhythm(network: &NetworkSettings, settings: &AgentSettings) -> Rhythm {
    match settings.job.is_service() {
        true => Rhythm { gap: JobGap::Mean(BETWEEN_WINDOWS), gap_deviation: Duration::ZERO },
        false => Rhythm { gap: network.rhythm.job_gap.clone(), gap_deviation: network.rhythm.job_gap_deviation },
    }
}

/// The parameters of deciding that an agent's settings state.
pub fn parameters(network: &NetworkSettings, settings: &AgentSettings) -> Parameters {
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
        silence: network.silence(),
        patience: ANSWERED_WITHIN,
    }
}
