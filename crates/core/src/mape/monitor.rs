//! Monitoring: when the job runs, what its run shows, whether the goal holds, and whom a violation is blamed on.
//!
//! ```text
//!          Woken            Loaded          JobEnded                    Loaded
//! Pausing ------> Starting -------> Running --------> (goal holds?) no: Judging ------> Repairing
//!    ^                                  |                 | yes            | stale: Starting     | Repaired
//!    '---------- JobFailed -------------'-----------------'                                      | (acted: Starting,
//!    '-------------------------------------------------------------------------------------------'  else pause)
//! ```
//!
//! A job that fails for its store or link is judged as one whose every bound was missed; other failures move nothing.

use super::backoff::Backoff;
use super::planner::{Parameters, Policy, PreviousJob, Rng};
use super::unexpected::Unexpected;
use crate::domain::convergence::CONVERGED_JOBS;
use crate::domain::failure::{FailureKind, JobFailure};
use crate::domain::goal::Goal;
use crate::domain::ids::{AgentId, EventId, NodeId};
use crate::domain::job_gap::JobGap;
use crate::domain::measurement::{Measurement, Part};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::Replica;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::traffic::Traffic;
use rand_distr::{Distribution, Normal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The pauses before jobs, or windows of a service.
#[derive(Clone, PartialEq, Debug)]
pub struct Rhythm {
    pub gap: JobGap,
    pub gap_deviation: Duration,
}

/// How long it is until the next job, whenever it begins.
#[derive(Clone, PartialEq, Debug)]
pub struct Pause {
    gap: JobGap,
    /// By so many seconds it is longer, or shorter.
    deviates_s: f64,
    at_least: Duration,
}

impl Rhythm {
    fn pause(&self, at_least: Duration, rng: &mut Rng) -> Pause {
        // A deviation from a duration is never negative nor infinite, so there is always such a distribution.
        let normal = Normal::new(0.0, self.gap_deviation.as_secs_f64());
        let deviates_s = normal.map_or(0.0, |normal| normal.sample(rng));
        Pause { gap: self.gap.clone(), deviates_s, at_least }
    }
}

impl Pause {
    /// When it begins `now`: whole seconds where the gap is a mean, never negative.
    pub fn after(&self, now: Timestamp) -> Duration {
        let seconds = self.gap.after(now).as_secs_f64() + self.deviates_s;
        let seconds = match self.gap {
            JobGap::Mean(_) => seconds.round(),
            JobGap::Profile(_) => seconds,
        };
        Duration::from_secs_f64(seconds.max(0.0)).max(self.at_least)
    }
}

#[derive(Clone, Debug)]
pub enum Input {
    /// The first pause may begin.
    Started,
    /// A pause is over.
    Woken,
    /// The placement as it is now, of each data set that the job reads.
    Loaded(Vec<Snapshot>),
    /// The shared table cannot be reached.
    LoadFailed,
    /// The job ended.
    JobEnded(Box<Observation>),
    /// Nobody asked the service for anything while it was looked at: there is nothing to judge.
    NothingAsked,
    /// It failed. `part`: the position of the data set that it failed for, as far as anybody can tell; else of the first.
    JobFailed { at: Timestamp, failure: JobFailure, part: usize },
    /// The planner and executor are done with a violation.
    Repaired(Repair),
}

/// What a run of the job showed, in scenario time.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    pub at: Timestamp,
    pub response_time: Duration,
    pub execution_time: Duration,
    /// Records for each real second: rates are never scaled. Absent: the job did not measure how long it took.
    pub throughput: Option<f64>,
    pub network_latency: Duration,
    pub emulated_latency: Option<Duration>,
    /// Absent: the job does not read through this agent's own client.
    pub traffic: Option<Traffic>,
    /// Of each data set, where there are several; else empty.
    pub parts: Vec<PartObservation>,
    /// Of a service, whose times above are means of what its requests took.
    pub requests: Option<Requests>,
    /// As counted when the job had ended; absent: as it was when the job began.
    pub data_consistency: Option<f64>,
    /// What the job computed, for people.
    pub result: Option<String>,
}

/// What the requests to a service showed in a window.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Requests {
    /// What 95 and 99 of 100 answers did not take longer than.
    pub p95: Duration,
    pub p99: Duration,
    /// Of all requests, those that were not answered \[%\].
    pub error_percent: f64,
    /// At the window's end nobody asked any more: see [`fell_silent`](crate::domain::silence::fell_silent).
    pub are_over: bool,
}

impl Requests {
    pub fn metrics(&self) -> [(Metric, f64); 3] {
        [
            (Metric::ResponseTimeP95, self.p95.as_secs_f64()),
            (Metric::ResponseTimeP99, self.p99.as_secs_f64()),
            (Metric::ErrorRate, self.error_percent),
        ]
    }
}

/// What a run of the job showed of one of several data sets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PartObservation {
    pub records: u64,
    pub network_latency: Duration,
    /// Absent: the job does not tell its parts apart.
    pub times: Option<PartTimes>,
    pub traffic: Option<Traffic>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PartTimes {
    pub response_time: Duration,
    pub execution_time: Duration,
    /// As of a whole job.
    pub throughput: Option<f64>,
}

/// How the repair of a violation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repair {
    /// The placement is another one now: run again at once.
    Acted,
    /// The plan was void: somebody else was faster. Judge again at once.
    Lost,
    /// Nothing was done, on purpose or because it could not be.
    Nothing,
    /// This agent's surroundings are in the way: it was not begun, or given up, and no node is to blame.
    NotNow,
}

/// A run of the job.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Run {
    /// Of all runs of this life.
    number: u64,
    /// When it began.
    began: Timestamp,
    /// Where it runs, if not at home.
    away: Option<NodeId>,
}

/// What a job reads of one data set, and what a snapshot says of it.
#[derive(Debug)]
struct Reading {
    replica: Arc<Replica>,
    availability_percent: f64,
    data_consistency: f64,
    /// When the job began; absent: the goal does not speak of it.
    staleness: Option<Duration>,
}

/// What a job is to read of one data set.
#[derive(Clone, PartialEq, Debug)]
pub struct Read {
    pub replica: Arc<Replica>,
    pub snapshot: Snapshot,
}

/// A goal that does not hold, and all that is needed to plan for one data set.
#[derive(Clone, Debug)]
pub struct Violation {
    pub measurement: Arc<Measurement>,
    pub snapshot: Snapshot,
}

#[derive(Clone, Debug)]
pub enum Effect {
    Wake {
        pause: Pause,
    },
    Load,
    /// Run the job on a node, on these replicas, one of each data set.
    Run {
        at: NodeId,
        reads: Vec<Read>,
    },
    Record {
        measurement: Arc<Measurement>,
        satisfied: bool,
    },
    /// A job that measured nothing, with what failed. Nobody plans or learns by it.
    RecordFailure(Arc<Measurement>),
    /// This node's store, or the link to it, failed the job: it may go well elsewhere. No other failure is about a node.
    Failed {
        node: NodeId,
    },
    /// See whether the replica is what the catalogue says, and state it.
    Inspect(Read),
    LeaveFeedback(Vec<EventId>),
    /// For each data set.
    Plan(Vec<Violation>),
    /// Of some data set the agent reads nothing that is present: registered again, it is given a replica.
    Register,
    /// The service has no users now: nothing that is done to its data hurts it.
    NothingAsked,
    /// Nobody waited for the input.
    Unexpected(Unexpected),
}

#[derive(Debug)]
enum State {
    Pausing,
    Starting,
    Running(Run),
    Judging { measurement: Arc<Measurement>, began: Timestamp },
    Repairing,
}

/// The machine.
pub struct Monitor {
    parameters: Arc<Parameters>,
    policy: Arc<dyn Policy>,
    rhythm: Rhythm,
    /// Makes job keys unique across restarts.
    life: String,
    state: State,
    /// The job before the current one; forgotten when this agent acts: what hurts then may be its own doing.
    previous: Option<PreviousJob>,
    /// Since when the surroundings have been in the way.
    backoff: Backoff,
    jobs: u64,
    /// How many of the last jobs met the goal in a row, without anybody's action.
    content_jobs: usize,
    /// Of each data set.
    last_known: Option<Vec<Snapshot>>,
    /// What the last run was to read of each, by the snapshots last known.
    readings: Vec<Reading>,
    /// The replica that was last looked at because a job could not use it.
    doubted: Option<Arc<Replica>>,
}

impl Monitor {
    /// The names of all states.
    pub const STATES: [&str; 5] =
        ["monitor pausing", "monitor starting", "monitor running", "monitor judging", "monitor repairing"];

    /// The name of the state that it is in.
    pub fn state(&self) -> &'static str {
        let [pausing, starting, running, judging, repairing] = Self::STATES;
        match self.state {
            State::Pausing => pausing,
            State::Starting => starting,
            State::Running(_) => running,
            State::Judging { .. } => judging,
            State::Repairing => repairing,
        }
    }

    /// `life` is unique for each start of an agent.
    pub fn new(parameters: Arc<Parameters>, policy: Arc<dyn Policy>, rhythm: Rhythm, life: String) -> Self {
        Self {
            parameters,
            policy,
            rhythm,
            life,
            state: State::Pausing,
            previous: None,
            backoff: Backoff::default(),
            jobs: 0,
            content_jobs: 0,
            last_known: None,
            readings: Vec::new(),
            doubted: None,
        }
    }

    /// The next job is about to begin, once the table was loaded.
    pub fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting)
    }

    /// Judges the jobs that are to come by this; those before say nothing about it.
    pub fn adopt(&mut self, parameters: &Arc<Parameters>, policy: &Arc<dyn Policy>) {
        (self.parameters, self.policy) = (parameters.clone(), policy.clone());
        (self.previous, self.last_known) = (None, None);
        self.content_jobs = 0;
    }

    pub fn agent(&self) -> AgentId {
        self.parameters.agent
    }

    pub fn goal(&self) -> &Goal {
        &self.parameters.goal
    }

    /// The last jobs met the goal and nobody acted meanwhile.
    pub fn is_converged(&self) -> bool {
        self.content_jobs >= CONVERGED_JOBS
    }

    pub fn handle(&mut self, input: Input, rng: &mut Rng) -> Vec<Effect> {
        match (input, std::mem::replace(&mut self.state, State::Pausing)) {
            (Input::Started, State::Pausing) => self.pause(rng),
            (Input::Woken, State::Pausing) => self.start(),
            (Input::Loaded(snapshots), State::Starting) => self.run(snapshots, rng),
            // The user's job goes on on the last known placement while the shared table is away.
            (Input::LoadFailed, State::Starting) => match self.last_known.clone() {
                Some(snapshots) => self.run(snapshots, rng),
                None => self.pause(rng),
            },
            (Input::JobEnded(observation), State::Running(run)) => self.observe(run, &observation, rng),
            (Input::NothingAsked, State::Running(_)) => {
                let mut effects = self.pause(rng);
                effects.push(Effect::NothingAsked);
                effects
            }
            (Input::JobFailed { at, failure, part }, State::Running(run)) => self.fail(run, at, failure, part, rng),
            (Input::Loaded(snapshots), State::Judging { measurement, began }) => {
                self.judge(&measurement, began, snapshots, rng)
            }
            // Without the table nobody could answer an action, so there is none.
            (Input::LoadFailed, State::Judging { .. }) => self.pause(rng),
            (Input::Repaired(repair), State::Repairing) => self.repaired(repair, rng),
            // The monitor waits for one answer at a time, and there is no other while it waits: none comes late.
            (
                input @ (Input::Started
                | Input::Woken
                | Input::Loaded(_)
                | Input::LoadFailed
                | Input::JobEnded(_)
                | Input::NothingAsked
                | Input::JobFailed { .. }
                | Input::Repaired(_)),
                state,
            ) => {
                let unexpected = Unexpected::new("monitor", &input, &state);
                self.state = state;
                vec![Effect::Unexpected(unexpected)]
            }
        }
    }

    fn pause(&mut self, rng: &mut Rng) -> Vec<Effect> {
        self.state = State::Pausing;
        vec![Effect::Wake { pause: self.rhythm.pause(Duration::ZERO, rng) }]
    }

    /// A pause that is longer each time in a row.
    fn back_off(&mut self, rng: &mut Rng) -> Vec<Effect> {
        self.state = State::Pausing;
        let at_least = self.backoff.failed(rng);
        vec![Effect::Wake { pause: self.rhythm.pause(at_least, rng) }]
    }

    fn start(&mut self) -> Vec<Effect> {
        self.state = State::Starting;
        vec![Effect::Load]
    }

    fn run(&mut self, snapshots: Vec<Snapshot>, rng: &mut Rng) -> Vec<Effect> {
        if !self.know(&snapshots) {
            self.readings = snapshots.iter().map_while(|snapshot| self.reading(snapshot)).collect();
        }
        if self.readings.len() < snapshots.len() || snapshots.is_empty() {
            self.readings.clear();
            let mut effects = self.pause(rng);
            effects.push(Effect::Register);
            return effects;
        }
        self.jobs += 1;
        let mentions_staleness = self.goal().mentions(Metric::Staleness);
        let mut reads = Vec::with_capacity(snapshots.len());
        for (reading, snapshot) in self.readings.iter_mut().zip(&snapshots) {
            reading.staleness = mentions_staleness.then(|| reading.replica.staleness(snapshot.at));
            reads.push(Read { replica: reading.replica.clone(), snapshot: snapshot.clone() });
        }
        let began = snapshots.iter().map(|snapshot| snapshot.at).min().unwrap_or_default();
        let seat = self.parameters.seat(&snapshots[0]);
        self.state = State::Running(Run { number: self.jobs, began, away: seat.away() });
        self.last_known = Some(snapshots);
        vec![Effect::Run { at: seat.node, reads }]
    }

    /// Compares the table with what it was when the last job began: whether nothing has to be looked up again.
    fn know(&mut self, snapshots: &[Snapshot]) -> bool {
        let Some(known) = &self.last_known else { return false };
        // Whoever acted: jobs on another placement say nothing about this one.
        if known.iter().zip(snapshots).any(|(known, now)| known.changed_at != now.changed_at) {
            self.content_jobs = 0;
        }
        known.iter().zip(snapshots).all(|(known, now)| known.has_content_of(now))
            && self.readings.len() == snapshots.len()
    }

    /// What a job reads of a data set; `None`: nothing that is present.
    fn reading(&self, snapshot: &Snapshot) -> Option<Reading> {
        let replica = snapshot.placement.reference(self.agent())?;
        Some(Reading {
            availability_percent: availability(snapshot, replica.node),
            data_consistency: self.policy.consistency(snapshot, replica.id, self.parameters.max_copies),
            staleness: None,
            replica: Arc::new(replica.clone()),
        })
    }

    fn observe(&mut self, run: Run, observation: &Observation, rng: &mut Rng) -> Vec<Effect> {
        self.backoff.succeeded();
        let measurement = Arc::new(self.measurement(run, observation));
        // What nobody measured says nothing for or against a place.
        let Some(satisfied) = self.parameters.goal.judge(&measurement.metrics) else { return self.pause(rng) };
        self.content_jobs = if satisfied { self.content_jobs + 1 } else { 0 };
        let mut effects = Vec::with_capacity(3);
        effects.push(Effect::Record { measurement: measurement.clone(), satisfied });
        if observation.requests.is_some_and(|requests| requests.are_over) {
            // Who sleeps has no need, and peers are to hear so at once.
            self.previous = Some(PreviousJob { began: run.began, satisfied });
            effects.extend(self.pause(rng));
            effects.push(Effect::NothingAsked);
        } else if satisfied {
            self.previous = Some(PreviousJob { began: run.began, satisfied });
            effects.extend(self.pause(rng));
        } else {
            self.state = State::Judging { measurement, began: run.began };
            effects.push(Effect::Load);
        }
        effects
    }

    /// Whatever failed is recorded, and nobody is content with it. A store or link that failed is held against its node, and judged
    /// as worse than a job that took too long: it showed nothing, so no bound holds.
    fn fail(&mut self, run: Run, at: Timestamp, failure: JobFailure, part: usize, rng: &mut Rng) -> Vec<Effect> {
        self.content_jobs = 0;
        let kind = failure.kind;
        let part = part.min(self.readings.len().saturating_sub(1));
        let nothing = self.measurement_of(run, at, Metrics::default(), part);
        let failed = Arc::new(Measurement { failure: Some(failure), ..nothing });
        let mut effects = vec![Effect::RecordFailure(failed.clone())];
        match kind {
            FailureKind::Store => {
                let node = failed.node;
                self.state = State::Judging { measurement: failed, began: run.began };
                effects.extend([Effect::Failed { node }, Effect::Load]);
            }
            FailureKind::Data | FailureKind::ChangedData => {
                effects.extend(self.doubt(part));
                effects.extend(self.pause(rng));
            }
            FailureKind::Program => effects.extend(self.pause(rng)),
            FailureKind::Surroundings => effects.extend(self.back_off(rng)),
        }
        effects
    }

    /// What a job cannot use may be damaged: the replica is looked at, once as long as nothing new is known of it.
    fn doubt(&mut self, part: usize) -> Option<Effect> {
        let replica = self.readings.get(part)?.replica.clone();
        let snapshot = self.last_known.as_ref()?.get(part)?.clone();
        let is_new = self.doubted.as_ref().is_none_or(|doubted| *doubted != replica);
        self.doubted = Some(replica.clone());
        is_new.then_some(Effect::Inspect(Read { replica, snapshot }))
    }

    fn measurement(&self, run: Run, observation: &Observation) -> Measurement {
        let throughput = observation.throughput.map(|throughput| (Metric::Throughput, throughput));
        let staleness = self.readings.iter().filter_map(|reading| reading.staleness).max();
        let staleness = staleness.map(|staleness| (Metric::Staleness, staleness.as_secs_f64()));
        let consistency = self.readings.iter().map(|reading| reading.data_consistency).fold(1.0, f64::min);
        let metrics = Metrics::from_iter(throughput.into_iter().chain(staleness))
            .with(Metric::ResponseTime, observation.response_time.as_secs_f64())
            .with(Metric::ExecutionTime, observation.execution_time.as_secs_f64())
            .with(Metric::NetworkLatency, observation.network_latency.as_secs_f64() * 1e3)
            .with(Metric::Availability, self.availability())
            .with(Metric::DataConsistency, observation.data_consistency.unwrap_or(consistency));
        let metrics = metrics.iter().chain(observation.requests.iter().flat_map(Requests::metrics)).collect();
        Measurement {
            emulated_latency_ms: observation.emulated_latency.map(|latency| latency.as_secs_f64() * 1e3),
            traffic: observation.traffic,
            parts: self.parts(&observation.parts),
            result: observation.result.clone(),
            ..self.measurement_of(run, observation.at, metrics, 0)
        }
    }

    /// That all that is read is there; a node that several parts are read from is there for all of them \[%\].
    fn availability(&self) -> f64 {
        if let [only] = self.readings.as_slice() {
            return only.availability_percent;
        }
        let of_nodes: BTreeMap<NodeId, f64> =
            self.readings.iter().map(|reading| (reading.replica.node, reading.availability_percent)).collect();
        of_nodes.into_values().fold(100.0, |all, node| all * node / 100.0)
    }

    fn parts(&self, observed: &[PartObservation]) -> Vec<Part> {
        let part = |(reading, observed): (&Reading, &PartObservation)| {
            let staleness = reading.staleness.map(|staleness| (Metric::Staleness, staleness.as_secs_f64()));
            let mut metrics = Metrics::from_iter(staleness)
                .with(Metric::NetworkLatency, observed.network_latency.as_secs_f64() * 1e3);
            if let Some(PartTimes { response_time, execution_time, throughput }) = observed.times {
                metrics.set(Metric::ResponseTime, response_time.as_secs_f64());
                metrics.set(Metric::ExecutionTime, execution_time.as_secs_f64());
                throughput.into_iter().for_each(|throughput| metrics.set(Metric::Throughput, throughput));
            }
            let Replica { id, node, data_set, .. } = &*reading.replica;
            let (data_set, replica, node) = (data_set.clone(), *id, *node);
            Part { data_set, replica, node, records: observed.records, metrics, traffic: observed.traffic }
        };
        self.readings.iter().zip(observed).map(part).collect()
    }

    /// As who reads this part sees it.
    fn measurement_of(&self, run: Run, at: Timestamp, metrics: Metrics, part: usize) -> Measurement {
        let replica = &self.readings[part].replica;
        Measurement {
            agent: self.agent(),
            data_set: replica.data_set.clone(),
            replica: replica.id,
            node: replica.node,
            at,
            metrics,
            ran_at: run.away,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            result: None,
            failure: None,
            job: format!("{}-{}", self.life, run.number),
        }
    }

    /// Leaves feedback; then plans, unless a replica has changed place since the job started: that measurement says nothing
    /// about where the agent reads now.
    fn judge(
        &mut self,
        measurement: &Arc<Measurement>,
        began: Timestamp,
        snapshots: Vec<Snapshot>,
        rng: &mut Rng,
    ) -> Vec<Effect> {
        let violations = self.violations(measurement, snapshots);
        let mut blamed = Vec::new();
        for Violation { measurement, snapshot } in &violations {
            blamed.extend(self.policy.blame(&self.parameters, self.previous, measurement, snapshot));
        }
        self.previous = Some(PreviousJob { began, satisfied: false });
        let mut effects = Vec::new();
        if !blamed.is_empty() {
            effects.push(Effect::LeaveFeedback(blamed));
        }
        let reads_at = |snapshot: &Snapshot| snapshot.placement.reference(self.agent()).map(|replica| replica.node);
        let stands =
            |(reading, violation): (&Reading, &Violation)| reads_at(&violation.snapshot) == Some(reading.replica.node);
        if self.readings.iter().zip(&violations).all(stands) {
            self.state = State::Repairing;
            effects.push(Effect::Plan(violations));
        } else if self.policy.pauses_when_stale() {
            effects.extend(self.pause(rng));
        } else {
            effects.extend(self.start());
        }
        effects
    }

    /// The same job for each of its data sets.
    fn violations(&self, measurement: &Arc<Measurement>, snapshots: Vec<Snapshot>) -> Vec<Violation> {
        let seen_from = |part: usize| match measurement.seen_from(&self.readings[part].replica.data_set) {
            Some(seen) => Arc::new(seen),
            // One alone, or a job that has no parts because it failed.
            None if self.readings.len() == 1 => measurement.clone(),
            None => {
                let Replica { id, node, data_set, .. } = &*self.readings[part].replica;
                let (data_set, replica, node) = (data_set.clone(), *id, *node);
                Arc::new(Measurement { data_set, replica, node, ..Measurement::clone(measurement) })
            }
        };
        let of = |(part, snapshot)| Violation { measurement: seen_from(part), snapshot };
        snapshots.into_iter().take(self.readings.len()).enumerate().map(of).collect()
    }

    fn repaired(&mut self, repair: Repair, rng: &mut Rng) -> Vec<Effect> {
        match repair {
            Repair::Acted => {
                self.previous = None;
                self.start()
            }
            Repair::Lost => self.start(),
            Repair::Nothing => self.pause(rng),
            Repair::NotNow => self.back_off(rng),
        }
    }
}

fn availability(snapshot: &Snapshot, node: NodeId) -> f64 {
    // A replica's node is always known; were its row deleted by hand, nobody could count on it.
    snapshot.nodes.get(&node).map_or(0.0, |node| node.availability.value())
}

#[cfg(test)]
mod tests {
    use super::super::planner::{Fixed, Reference};
    use super::super::scene::{self, NOW};
    use super::*;
    use crate::domain::ids::ReplicaId;
    use crate::domain::job_gap::Recurring;

    struct Bench {
        monitor: Monitor,
        rng: Rng,
    }

    impl Bench {
        fn new(goal: &str) -> Self {
            Self::of(goal, Arc::new(Fixed))
        }

        fn of(goal: &str, policy: Arc<dyn Policy>) -> Self {
            let rhythm = Rhythm { gap: JobGap::Mean(Duration::from_secs(15)), gap_deviation: Duration::ZERO };
            let parameters = Arc::new(scene::parameters(goal));
            let monitor = Monitor::new(parameters, policy, rhythm, "life".to_owned());
            Self { monitor, rng: scene::rng() }
        }

        fn give(&mut self, input: Input) -> String {
            let effects = self.monitor.handle(input, &mut self.rng);
            effects.iter().map(name).collect::<Vec<_>>().join(" ")
        }

        fn load(&mut self, snapshot: &Snapshot) -> String {
            self.give(Input::Loaded(vec![snapshot.clone()]))
        }

        /// A whole job on a placement, up to its measurement.
        fn job(&mut self, snapshot: &Snapshot, seconds: u64) -> String {
            assert_eq!(self.give(Input::Woken), "load");
            assert!(self.load(snapshot).starts_with("run"));
            self.end(seconds)
        }

        fn fail(&mut self, kind: FailureKind) -> String {
            self.give(Input::JobFailed { at: NOW, failure: JobFailure::new(kind, "broken"), part: 0 })
        }

        fn end(&mut self, seconds: u64) -> String {
            self.give(Input::JobEnded(Box::new(observation(seconds))))
        }
    }

    fn observation(seconds: u64) -> Observation {
        let response_time = Duration::from_secs(seconds);
        Observation {
            at: NOW + response_time,
            response_time,
            execution_time: response_time,
            throughput: Some(1.0),
            network_latency: Duration::from_millis(20),
            emulated_latency: None,
            traffic: None,
            parts: Vec::new(),
            requests: None,
            data_consistency: None,
            result: None,
        }
    }

    fn name(effect: &Effect) -> String {
        match effect {
            Effect::Wake { pause } => format!("wake({} s)", pause.after(NOW).as_secs()),
            Effect::Load => "load".to_owned(),
            Effect::Run { reads, .. } => {
                let nodes: Vec<String> = reads.iter().map(|read| read.replica.node.to_string()).collect();
                format!("run(node {})", nodes.join(" and "))
            }
            Effect::Record { satisfied, .. } => format!("record({satisfied})"),
            Effect::RecordFailure(failed) => format!("record({})", failed.failure.as_ref().unwrap().kind),
            Effect::Failed { node } => format!("failed(node {node})"),
            Effect::LeaveFeedback(events) => format!("feedback({})", events.len()),
            Effect::Plan(_) => "plan".to_owned(),
            Effect::Inspect(read) => format!("inspect(node {})", read.replica.node),
            Effect::Register => "register".to_owned(),
            Effect::NothingAsked => "nothing asked".to_owned(),
            Effect::Unexpected(what) => format!("unexpected({what})"),
        }
    }

    const GOAL: &str = "response_time <= 35 s";

    #[test]
    fn a_job_follows_each_pause_and_a_pause_each_content_job() {
        let mut bench = Bench::new(GOAL);
        let here = scene::snapshot(&[1], &[(1, 1)]);
        assert_eq!(bench.give(Input::Started), "wake(15 s)");
        assert_eq!(bench.give(Input::Woken), "load");
        assert_eq!(bench.load(&here), "run(node 1)");
        assert_eq!(bench.end(10), "record(true) wake(15 s)");
    }

    #[test]
    fn a_window_without_requests_is_nothing_to_judge_and_one_with_them_is_judged_by_its_tails() {
        let mut bench = Bench::new("response_time_p95 <= 1 s and error_rate <= 1 %");
        let here = scene::snapshot(&[1], &[(1, 1)]);
        bench.give(Input::Started);
        let mut window = |requests: Option<(u64, f64)>, are_over: bool| {
            bench.give(Input::Woken);
            bench.load(&here);
            let requests = requests.map(|(p95_ms, error_percent)| Requests {
                p95: Duration::from_millis(p95_ms),
                p99: Duration::from_secs(9),
                error_percent,
                are_over,
            });
            match requests {
                Some(_) => bench.give(Input::JobEnded(Box::new(Observation { requests, ..observation(10) }))),
                None => bench.give(Input::NothingAsked),
            }
        };
        assert_eq!(window(None, false), "wake(15 s) nothing asked");
        assert_eq!(window(Some((900, 0.5)), false), "record(true) wake(15 s)");
        assert_eq!(window(Some((1100, 0.5)), true), "record(false) wake(15 s) nothing asked");
        assert_eq!(window(Some((1100, 0.5)), false), "record(false) load");
    }

    #[test]
    fn what_a_job_cannot_use_is_looked_at_once() {
        let mut bench = Bench::new(GOAL);
        let mut here = scene::snapshot(&[1], &[(1, 1)]);
        bench.give(Input::Started);
        let mut fail = |here: &Snapshot, kind| {
            bench.give(Input::Woken);
            bench.load(here);
            bench.fail(kind)
        };
        assert!(fail(&here, FailureKind::ChangedData).contains("inspect(node 1)"));
        assert!(!fail(&here, FailureKind::Data).contains("inspect"), "nothing new is known of it");
        assert!(!fail(&here, FailureKind::Program).contains("inspect"));
        here.placement.replicas.get_mut(&ReplicaId(1)).unwrap().validators.etag = Some("another".to_owned());
        assert!(fail(&here, FailureKind::Data).contains("inspect(node 1)"));
    }

    #[test]
    fn a_violation_is_planned_for_on_the_placement_as_it_is_then() {
        let mut bench = Bench::new(GOAL);
        let here = scene::snapshot(&[3], &[(1, 1)]);
        bench.give(Input::Started);
        assert_eq!(bench.job(&here, 50), "record(false) load");
        assert_eq!(bench.load(&here), "plan");
        assert_eq!(bench.give(Input::Repaired(Repair::Acted)), "load", "after a repair the job runs at once");
    }

    #[test]
    fn a_measurement_of_a_place_left_behind_is_stale() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.job(&scene::snapshot(&[3], &[(1, 1)]), 50);
        assert_eq!(bench.load(&scene::snapshot(&[2], &[(1, 1)])), "load", "it runs again, and nothing is planned");
    }

    #[test]
    fn the_published_loop_pauses_after_a_stale_measurement() {
        let mut bench = Bench::of(GOAL, Arc::new(Reference));
        bench.give(Input::Started);
        bench.job(&scene::snapshot(&[3], &[(1, 1)]), 50);
        assert_eq!(bench.load(&scene::snapshot(&[2], &[(1, 1)])), "wake(15 s)");
    }

    #[test]
    fn whoever_moved_the_data_from_a_content_reader_is_blamed() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        let mut here = scene::snapshot(&[1], &[(1, 1)]);
        bench.job(&here, 10);
        here = scene::snapshot(&[2], &[(1, 1)]);
        here.open_events = vec![scene::event(1, "M1_2", NOW + Duration::from_secs(12)).into()];
        bench.job(&here, 50);
        assert_eq!(bench.load(&here), "feedback(1) plan");
    }

    #[test]
    fn after_an_action_of_its_own_nobody_else_is_to_blame() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        let mut here = scene::snapshot(&[1], &[(1, 1)]);
        bench.job(&here, 10);
        bench.job(&here, 50);
        bench.load(&here);
        bench.monitor.previous = Some(PreviousJob { began: here.at, satisfied: true });
        assert_eq!(bench.give(Input::Repaired(Repair::Acted)), "load");
        here = scene::snapshot(&[2], &[(1, 1)]);
        here.open_events = vec![scene::event(1, "M1_2", NOW + Duration::from_secs(12)).into()];
        bench.load(&here);
        bench.end(50);
        assert_eq!(bench.load(&here), "plan");
    }

    #[test]
    fn who_was_overtaken_runs_again_at_once() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        let here = scene::snapshot(&[3], &[(1, 1)]);
        bench.job(&here, 50);
        bench.load(&here);
        assert_eq!(bench.give(Input::Repaired(Repair::Lost)), "load");
    }

    #[test]
    fn who_was_not_content_before_blames_nobody() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        let mut here = scene::snapshot(&[2], &[(1, 1)]);
        here.open_events = vec![scene::event(1, "M1_2", NOW + Duration::from_secs(12)).into()];
        bench.job(&here, 50);
        assert_eq!(bench.load(&here), "plan");
    }

    #[test]
    fn three_content_jobs_on_one_placement_converge() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        let mut here = scene::snapshot(&[1], &[(1, 1)]);
        for expected in [false, false, true] {
            bench.job(&here, 10);
            assert_eq!(bench.monitor.is_converged(), expected);
        }
        here.changed_at = Some(NOW);
        bench.job(&here, 10);
        assert!(!bench.monitor.is_converged(), "somebody acted");
    }

    #[test]
    fn without_the_table_jobs_go_on_and_nothing_is_planned() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.job(&scene::snapshot(&[3], &[(1, 1)]), 10);
        bench.give(Input::Woken);
        assert_eq!(bench.give(Input::LoadFailed), "run(node 3)");
        assert_eq!(bench.end(50), "record(false) load");
        assert_eq!(bench.give(Input::LoadFailed), "wake(15 s)");
    }

    #[test]
    fn a_store_that_failed_is_planned_for_and_what_nobody_waits_for_changes_nothing() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.give(Input::Woken);
        let here = scene::snapshot(&[3], &[(1, 1)]);
        bench.load(&here);
        assert_eq!(bench.fail(FailureKind::Store), "record(store or link) failed(node 3) load");
        assert_eq!(bench.load(&here), "plan");
        assert_eq!(bench.give(Input::Repaired(Repair::Nothing)), "wake(15 s)");
        assert_eq!(bench.end(10), "unexpected(the monitor was told JobEnded while it was Pausing)");
        assert_eq!(
            bench.give(Input::Repaired(Repair::Acted)),
            "unexpected(the monitor was told Repaired while it was Pausing)"
        );
        assert_eq!(bench.give(Input::Woken), "load");
    }

    #[test]
    fn a_job_that_did_not_measure_what_the_goal_asks_for_is_not_judged() {
        for (throughput, expected) in [(Some(1.0), "record(false) load"), (None, "wake(15 s)")] {
            let mut bench = Bench::new("throughput >= 10 records/s");
            bench.give(Input::Started);
            bench.give(Input::Woken);
            bench.load(&scene::snapshot(&[3], &[(1, 1)]));
            let ended = Observation { throughput, ..observation(10) };
            assert_eq!(bench.give(Input::JobEnded(Box::new(ended))), expected);
        }
    }

    #[test]
    fn only_a_store_or_link_that_failed_is_held_against_its_node() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        for kind in FailureKind::ALL.into_iter().filter(|kind| *kind != FailureKind::Store) {
            bench.give(Input::Woken);
            bench.load(&scene::snapshot(&[3], &[(1, 1)]));
            let followed = bench.fail(kind);
            assert!(!followed.contains("failed(node 3)"), "{kind}: {followed}");
            assert!(followed.contains("wake("), "{kind}: jobs go on: {followed}");
        }
    }

    #[test]
    fn what_failed_is_recorded_as_a_job_that_measured_nothing() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.give(Input::Woken);
        bench.load(&scene::snapshot(&[3], &[(1, 1)]));
        let failure = JobFailure::new(FailureKind::Program, "no such module");
        let effects =
            bench.monitor.handle(Input::JobFailed { at: NOW, failure: failure.clone(), part: 0 }, &mut bench.rng);
        let recorded = effects.iter().find_map(|effect| match effect {
            Effect::RecordFailure(failed) => Some(Measurement::clone(failed)),
            _ => None,
        });
        let expected = Measurement {
            agent: AgentId(1),
            data_set: "blood".into(),
            replica: ReplicaId(1),
            node: NodeId(3),
            at: NOW,
            metrics: Metrics::default(),
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            result: None,
            failure: Some(failure),
            job: "life-1".to_owned(),
        };
        assert_eq!(recorded, Some(expected));
    }

    #[test]
    fn whose_job_failed_is_content_no_more_until_as_many_jobs_met_the_goal_again() {
        let here = scene::snapshot(&[1], &[(1, 1)]);
        for kind in FailureKind::ALL {
            let mut bench = Bench::new(GOAL);
            bench.give(Input::Started);
            for _ in 0..CONVERGED_JOBS {
                bench.job(&here, 10);
            }
            assert!(bench.monitor.is_converged());
            bench.give(Input::Woken);
            bench.load(&here);
            bench.fail(kind);
            if kind == FailureKind::Store {
                bench.load(&here);
                bench.give(Input::Repaired(Repair::Nothing));
            }
            assert!(!bench.monitor.is_converged(), "{kind}");
            bench.job(&here, 10);
            assert!(!bench.monitor.is_converged(), "{kind}");
        }
    }

    #[test]
    fn while_its_surroundings_are_in_the_way_it_tries_less_and_less_often() {
        let mut bench = Bench::new(GOAL);
        let here = scene::snapshot(&[3], &[(1, 1)]);
        let seconds = |effect: &str| -> u64 {
            let wake = effect.rsplit_once("wake(").and_then(|(_, rest)| rest.strip_suffix(" s)"));
            wake.unwrap_or_else(|| panic!("{effect} ends with no pause")).parse().unwrap()
        };
        bench.give(Input::Started);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            bench.give(Input::Woken);
            bench.load(&here);
            pauses.push(seconds(&bench.fail(FailureKind::Surroundings)));
        }
        assert!(pauses.is_sorted() && pauses[3] > 2 * pauses[0], "{pauses:?}");
        // What could not be begun is one more of them; a job that ends well is the end of the row.
        bench.job(&here, 50);
        bench.load(&here);
        let first = seconds(&bench.give(Input::Repaired(Repair::NotNow)));
        assert!(first <= pauses[0], "{first} s after a job, {} s before", pauses[0]);
    }

    #[test]
    fn an_agent_that_reads_nothing_registers_again() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.give(Input::Woken);
        assert_eq!(bench.load(&scene::snapshot(&[3], &[])), "wake(15 s) register");
    }

    #[test]
    fn a_job_that_misses_begins_the_row_of_content_jobs_anew() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        let here = scene::snapshot(&[3], &[(1, 1)]);
        bench.job(&here, 10);
        bench.job(&here, 50);
        bench.load(&here);
        bench.give(Input::Repaired(Repair::Nothing));
        for expected in [false, false, true] {
            bench.job(&here, 10);
            assert_eq!(bench.monitor.is_converged(), expected);
        }
    }

    /// What is left when a job at node 2 misses the goal, to where the data was moved at 12 s from a job that met it; `between`
    /// is what came in the meantime.
    fn blames_after(between: impl FnOnce(&mut Bench)) -> String {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.job(&scene::snapshot(&[1], &[(1, 1)]), 10);
        between(&mut bench);
        let mut here = scene::snapshot(&[2], &[(1, 1)]);
        here.open_events = vec![scene::event(1, "M1_2", NOW + Duration::from_secs(12)).into()];
        bench.job(&here, 50);
        bench.load(&here)
    }

    #[test]
    fn who_missed_the_goal_in_between_blames_nobody() {
        assert_eq!(blames_after(|_| ()), "feedback(1) plan");
        let missed = blames_after(|bench| {
            let here = scene::snapshot(&[1], &[(1, 1)]);
            bench.job(&here, 50);
            bench.load(&here);
            bench.give(Input::Repaired(Repair::Nothing));
        });
        assert_eq!(missed, "plan");
    }

    /// Blood on one node, urine on the other.
    fn both(blood: u32, urine: u32) -> Vec<Snapshot> {
        let mut second = scene::snapshot(&[urine], &[(1, 1)]);
        second.data_set.name = "urine".into();
        second.placement.replicas.values_mut().for_each(|row| row.data_set = "urine".into());
        vec![scene::snapshot(&[blood], &[(1, 1)]), second]
    }

    /// Begins a job over both.
    fn begun(snapshots: &[Snapshot]) -> Bench {
        let mut bench = Bench::new("response_time <= 35 s and availability >= 0 %");
        bench.give(Input::Started);
        bench.give(Input::Woken);
        bench.give(Input::Loaded(snapshots.to_vec()));
        bench
    }

    #[test]
    fn a_job_over_several_data_sets_reads_each_and_is_there_when_all_are() {
        let part = |records, seconds| PartObservation {
            records,
            network_latency: Duration::from_millis(seconds),
            times: None,
            traffic: None,
        };
        let available = |snapshots: &[Snapshot]| {
            let mut bench = begun(snapshots);
            let ended = Observation { parts: vec![part(2, 20), part(3, 40)], ..observation(10) };
            let effects = bench.monitor.handle(Input::JobEnded(Box::new(ended)), &mut bench.rng);
            let Some(Effect::Record { measurement, .. }) = effects.first() else { panic!("{effects:?}") };
            let read: Vec<_> = measurement.parts.iter().map(|part| (part.data_set.to_string(), part.node.0)).collect();
            let urine = measurement.seen_from(&"urine".into()).unwrap();
            assert_eq!((urine.node.0, urine.metrics), (read[1].1, measurement.metrics));
            (read, measurement.metrics.get(Metric::Availability).unwrap())
        };
        let read = |blood, urine| vec![("blood".to_owned(), blood), ("urine".to_owned(), urine)];
        let (apart, together) = (available(&both(1, 3)), available(&both(3, 3)));
        assert_eq!((apart.0, together.0), (read(1, 3), read(3, 3)));
        assert!(
            (apart.1 - 0.97 * 85.0).abs() < 1e-9 && (together.1 - 85.0).abs() < 1e-9,
            "{apart:?} {together:?}",
            apart = apart.1,
            together = together.1
        );
    }

    #[test]
    fn what_a_job_failed_for_is_held_against_the_node_where_that_was_read() {
        let snapshots = both(1, 3);
        let mut bench = begun(&snapshots);
        let failure = JobFailure::new(FailureKind::Store, "broken");
        let followed = bench.give(Input::JobFailed { at: NOW, failure, part: 1 });
        assert_eq!(followed, "record(store or link) failed(node 3) load");
        assert_eq!(bench.give(Input::Loaded(snapshots)), "plan");
    }

    #[test]
    fn a_measurement_is_stale_when_any_part_has_moved() {
        let mut bench = begun(&both(1, 3));
        bench.end(50);
        assert_eq!(bench.give(Input::Loaded(both(1, 2))), "load");
        let mut bench = begun(&both(1, 3));
        bench.end(50);
        assert_eq!(bench.give(Input::Loaded(both(1, 3))), "plan");
    }

    #[test]
    fn who_reads_nothing_of_one_data_set_registers_again() {
        let mut bench = Bench::new(GOAL);
        bench.give(Input::Started);
        bench.give(Input::Woken);
        let mut snapshots = both(1, 3);
        snapshots[1].placement.references.clear();
        assert_eq!(bench.give(Input::Loaded(snapshots)), "wake(15 s) register");
    }

    #[test]
    fn pauses_are_whole_seconds_and_a_longer_one_is_never_cut() {
        let mut rng = scene::rng();
        let rhythm = Rhythm { gap: JobGap::Mean(Duration::from_secs(2)), gap_deviation: Duration::from_secs(2) };
        let pauses: Vec<Duration> = (0..100).map(|_| rhythm.pause(Duration::ZERO, &mut rng).after(NOW)).collect();
        assert!(pauses.iter().all(|pause| pause.subsec_nanos() == 0), "{pauses:?}");
        assert!(
            pauses.contains(&Duration::ZERO) && pauses.iter().any(|pause| *pause > rhythm.gap.mean()),
            "{pauses:?}"
        );
        let day = toml::from_str("ticks = [0.5, 0.1]\ninterval = \"60 s\"").unwrap();
        let gap = JobGap::from(Recurring::new(day).unwrap());
        let rhythm = Rhythm { gap, gap_deviation: Duration::ZERO };
        let at = |second: i64| rhythm.pause(Duration::from_secs(3), &mut scene::rng()).after(Timestamp(second * 1000));
        assert_eq!([0, 60].map(at), [3, 10].map(Duration::from_secs), "by the time of the day");
        let mut bench = Bench::new(GOAL);
        bench.monitor.rhythm.gap = JobGap::Mean(Duration::from_secs(1000));
        bench.give(Input::Started);
        bench.give(Input::Woken);
        bench.load(&scene::snapshot(&[3], &[(1, 1)]));
        assert_eq!(bench.fail(FailureKind::Surroundings), "record(surroundings) wake(1000 s)");
    }
}
