//! What one run of the job showed, and what many came to.

use super::failure::JobFailure;
use super::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use super::metric::{Metric, Metrics};
use super::time::Timestamp;
use super::traffic::Traffic;
use serde::{Deserialize, Serialize};

/// One job of one agent, measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Measurement {
    pub agent: AgentId,
    /// Of several data sets the first, or the one that it failed for; or the one that it is [seen from](Self::seen_from).
    pub data_set: DataSetName,
    /// The replica that was read, and where it lay when the job started.
    pub replica: ReplicaId,
    pub node: NodeId,
    /// Where it ran, if not at home.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ran_at: Option<NodeId>,
    /// When the job ended.
    #[serde(rename = "at_scenario_ms")]
    pub at: Timestamp,
    pub metrics: Metrics,
    /// The link's latency as the emulator states it, beside the measured one \[ms\]; absent without an emulator.
    pub emulated_latency_ms: Option<f64>,
    /// For those who predict the next job; absent where nobody could count it, and not kept in the table.
    #[serde(skip)]
    pub traffic: Option<Traffic>,
    /// What each data set had to do with it, in the order in which they are read; empty where the application reads one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// What the job computed, for people; absent for what failed, and for jobs of earlier versions.
    pub result: Option<String>,
    /// Why there is no result: then nothing was measured either.
    pub failure: Option<JobFailure>,
    /// Unique for each run: a measurement recorded twice counts once (I-6).
    pub job: String,
}

/// One of several data sets that a job read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Part {
    pub data_set: DataSetName,
    pub replica: ReplicaId,
    pub node: NodeId,
    pub records: u64,
    /// Of this part alone: the latency of its link, how old what it read was, and times where the job tells its parts apart.
    pub metrics: Metrics,
    /// As the whole job's.
    #[serde(skip)]
    pub traffic: Option<Traffic>,
}

/// What a job came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobOutcome {
    /// It met its agent's goal.
    Met,
    /// It missed it.
    Missed,
    /// It has no result: nobody knows whether the goal would have held.
    Failed,
}

/// How jobs went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct JobTally {
    /// Jobs that were measured.
    pub jobs: u64,
    /// Of these, those that missed their goal.
    pub violated: u64,
    /// Jobs besides these that have no result.
    pub failed: u64,
}

impl JobTally {
    pub fn add(&mut self, outcome: JobOutcome) {
        match outcome {
            JobOutcome::Met => self.jobs += 1,
            JobOutcome::Missed => (self.jobs, self.violated) = (self.jobs + 1, self.violated + 1),
            JobOutcome::Failed => self.failed += 1,
        }
    }

    /// Of the measured jobs; `None` without any.
    pub fn violated_share(&self) -> Option<f64> {
        (self.jobs > 0).then(|| self.violated as f64 / self.jobs as f64)
    }
}

impl FromIterator<JobOutcome> for JobTally {
    fn from_iter<T: IntoIterator<Item = JobOutcome>>(outcomes: T) -> Self {
        let mut tally = Self::default();
        outcomes.into_iter().for_each(|outcome| tally.add(outcome));
        tally
    }
}

impl Measurement {
    /// The same job for who decides about one of its data sets: where that was read, and what the whole job showed. `None`: it
    /// did not read that.
    pub fn seen_from(&self, data_set: &DataSetName) -> Option<Self> {
        let part = self.parts.iter().find(|part| part.data_set == *data_set)?;
        let (data_set, replica, node, traffic) = (part.data_set.clone(), part.replica, part.node, part.traffic);
        Some(Self { data_set, replica, node, traffic, ..self.clone() })
    }

    /// The same job for each of its data sets.
    pub fn by_data_set(self) -> Vec<Self> {
        if self.parts.is_empty() {
            return vec![self];
        }
        self.parts.iter().filter_map(|part| self.seen_from(&part.data_set)).collect()
    }

    /// The part of the data set that it is seen from, where there are several.
    pub fn part(&self) -> Option<&Part> {
        self.parts.iter().find(|part| part.data_set == self.data_set)
    }

    /// What it came to, as recorded: `satisfied` says whether its agent's goal held, and nothing of a job that failed.
    pub fn outcome(&self, satisfied: bool) -> JobOutcome {
        match (&self.failure, satisfied) {
            (Some(_), _) => JobOutcome::Failed,
            (None, true) => JobOutcome::Met,
            (None, false) => JobOutcome::Missed,
        }
    }

    /// When the job began: at its end less its response time.
    pub fn began(&self) -> Timestamp {
        let took = self.metrics.get(Metric::ResponseTime).unwrap_or(0.0);
        // A time that makes no sense is cut off.
        Timestamp(self.at.0.saturating_sub((took * 1e3) as i64))
    }
}
