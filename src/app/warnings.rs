//! What will hurt, said before it does: as far as a configuration shows it, and else as soon as jobs do. Each once.

use super::training_file::TrainingFile;
use crate::actors::Notice;
use crate::storage::s3::Timeouts;
use agent_core::clock::{Clock as _, SystemClock};
use agent_core::config::settings::{EmulatorSettings, NetworkSettings, Settings};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::Metric;
use agent_core::domain::units::show_duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A job that takes so many times as long at home as it did in training has no time of its own machine.
const SLOWED_DOWN: f64 = 10.0;
/// So many of them in a row: one alone may have met a backup.
const SLOW_JOBS: u32 = 3;

/// A job that is longer than `drain` by no more than this share is hit only by a move in its first moments.
const DRAIN_MARGIN: f64 = 1.1;

/// What settings and training show.
pub fn beforehand(settings: &Settings, training: &BTreeMap<AgentId, TrainingFile>) -> Vec<String> {
    let network = &settings.network;
    let drains = training.iter().filter_map(|(agent, file)| short_drain(network, *agent, file));
    slow_links(network).into_iter().chain(deaf_members(network)).chain(drains).collect()
}

/// Agents on several machines whose nodes listen on loopback do not hear each other.
fn deaf_members(network: &NetworkSettings) -> Option<String> {
    let listen = network.membership.listen.filter(|listen| listen.ip().is_loopback())?;
    network.knowledge.is_elsewhere().then(|| {
        format!(
            "nodes listen for each other on {listen}, where other machines do not reach them: nothing is measured of nodes and \
             links between machines; set `listen = \"0.0.0.0:7946\"` in `[membership]` of network.toml, or `listen = \"off\"`"
        )
    })
}

/// A job longer than what a move leaves behind stays readable.
fn short_drain(network: &NetworkSettings, agent: AgentId, training: &TrainingFile) -> Option<String> {
    let runs = training.runs.iter().flat_map(|(node, runs)| runs.iter().map(move |run| (node, run)));
    let times = runs.filter_map(|(node, run)| Some((*node, run.get(Metric::ResponseTime)?)));
    let (node, longest) = times.max_by(|a, b| a.1.total_cmp(&b.1))?;
    outlasts_drain(network, agent, node, longest)
}

fn outlasts_drain(network: &NetworkSettings, agent: AgentId, node: NodeId, seconds: f64) -> Option<String> {
    let drain = network.rhythm.drain;
    (seconds > drain.as_secs_f64() * DRAIN_MARGIN).then(|| {
        format!(
            "a job of agent {agent} takes {} at node {node}, and what a move leaves behind is deleted after `drain`, {}: jobs \
             that read it then fail; make `drain` in network.toml longer than any job",
            seconds_shown(seconds),
            show_duration(drain)
        )
    })
}

/// Links on which no request is answered in time.
fn slow_links(network: &NetworkSettings) -> Option<String> {
    if network.emulator == EmulatorSettings::None {
        return None;
    }
    let (clock, patience) = (SystemClock::new(network.time_scale), Timeouts::default().response);
    let latency =
        |milliseconds: f64| clock.apply(Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or(Duration::MAX));
    let slow = network.links.iter().filter(|link| latency(link.latency_ms) >= patience);
    let slow: Vec<String> = slow.map(|link| format!("{} to {}", link.from, link.to)).collect();
    (!slow.is_empty()).then(|| {
        format!(
            "on the links {} an answer takes longer on the clock than a request waits for it ({}): every job through them \
             fails; lower their latency, or raise `time_scale`",
            slow.join(", "),
            show_duration(patience)
        )
    })
}

fn seconds_shown(seconds: f64) -> String {
    show_duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Passes every notice on, and after it what it shows to hurt.
pub fn watching(
    settings: Arc<Settings>,
    training: &BTreeMap<AgentId, TrainingFile>,
    notify: Arc<dyn Fn(Notice) + Send + Sync>,
) -> Arc<dyn Fn(Notice) + Send + Sync> {
    let watch = Mutex::new(Watch::new(settings, training));
    Arc::new(move |notice| {
        // A panic ends the process.
        let warnings = watch.lock().unwrap_or_else(PoisonError::into_inner).hear(&notice);
        let agent = notice.agent();
        notify(notice);
        warnings.into_iter().for_each(|what| notify(Notice::Trouble { agent, what }));
    })
}

/// What jobs have shown so far.
struct Watch {
    settings: Arc<Settings>,
    /// Mean execution time at home in training \[s\].
    at_home: BTreeMap<AgentId, f64>,
    slow: BTreeMap<AgentId, u32>,
    /// Whose jobs were known, or said, to outlast the drain.
    outlasting: BTreeSet<AgentId>,
    /// Said once for the machine, whoever shows it.
    is_slow: bool,
}

impl Watch {
    fn new(settings: Arc<Settings>, training: &BTreeMap<AgentId, TrainingFile>) -> Self {
        let known =
            training.iter().filter_map(|(agent, file)| short_drain(&settings.network, *agent, file).map(|_| *agent));
        let outlasting = known.collect();
        let mean = |file: &TrainingFile| {
            let runs = file.runs.get(&file.home)?;
            let times: Vec<f64> = runs.iter().filter_map(|run| run.get(Metric::ExecutionTime)).collect();
            (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
        };
        let at_home = training.iter().filter_map(|(agent, file)| Some((*agent, mean(file)?))).collect();
        Self { settings, at_home, slow: BTreeMap::new(), outlasting, is_slow: false }
    }

    fn hear(&mut self, notice: &Notice) -> Vec<String> {
        let Notice::Job { measurement, .. } = notice else { return Vec::new() };
        [self.outlasts_drain(measurement), self.machine_is_slow(measurement)].into_iter().flatten().collect()
    }

    fn outlasts_drain(&mut self, job: &Measurement) -> Option<String> {
        let took = job.metrics.get(Metric::ResponseTime)?;
        let warning = outlasts_drain(&self.settings.network, job.agent, job.node, took)?;
        self.outlasting.insert(job.agent).then_some(warning)
    }

    fn machine_is_slow(&mut self, job: &Measurement) -> Option<String> {
        let home = self.settings.agents.get(&job.agent)?.node;
        let (took, trained) = (job.metrics.get(Metric::ExecutionTime)?, self.at_home.get(&job.agent).copied()?);
        let in_a_row = self.slow.entry(job.agent).or_default();
        if job.node != home || took < trained * SLOWED_DOWN {
            *in_a_row = 0;
            return None;
        }
        *in_a_row += 1;
        if self.is_slow || *in_a_row < SLOW_JOBS {
            return None;
        }
        self.is_slow = true;
        let scale = self.settings.network.time_scale.factor();
        let remedy = match scale {
            1 => "see what else runs here".to_owned(),
            scale => format!("see what else runs here, or lower `time_scale`, which is {scale}"),
        };
        Some(format!(
            "jobs of agent {} take {} at home, and took {} in training: this machine is too busy; {remedy}",
            job.agent,
            seconds_shown(took),
            seconds_shown(trained)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::config::{self, Vocabulary};
    use agent_core::domain::ids::ReplicaId;
    use agent_core::domain::metric::Metrics;
    use agent_core::domain::time::Timestamp;
    use agent_core::mape::planner::POLICIES;

    fn built_in() -> (Settings, BTreeMap<AgentId, TrainingFile>) {
        let vocabulary = Vocabulary { policies: &POLICIES, expression: |_| Ok(()) };
        let settings = config::load(None, &vocabulary).unwrap_or_else(|error| panic!("error: {error}"));
        let file = TrainingFile::embedded(AgentId(1)).unwrap().unwrap();
        (settings, BTreeMap::from([(AgentId(1), file)]))
    }

    fn job(node: u32, seconds: f64) -> Notice {
        let metrics = Metrics::default().with(Metric::ResponseTime, seconds).with(Metric::ExecutionTime, seconds);
        let measurement = Measurement {
            agent: AgentId(1),
            data_set: "blood_tests".into(),
            replica: ReplicaId(1),
            node: NodeId(node),
            at: Timestamp(0),
            metrics,
            ran_at: None,
            emulated_latency_ms: None,
            traffic: None,
            parts: Vec::new(),
            result: None,
            failure: None,
            job: "1".to_owned(),
        };
        Notice::Job { measurement, satisfied: true, violated: Vec::new() }
    }

    #[test]
    fn members_on_loopback_are_deaf_to_other_machines() {
        let (mut settings, training) = built_in();
        let mut told = |table: &str, listen: &str| {
            settings.network.knowledge = config::knowledge(table).unwrap();
            settings.network.membership.listen = Some(listen.parse().unwrap());
            beforehand(&settings, &training).join("; ")
        };
        assert_eq!(told("mysql://agent@127.0.0.1/agent", "127.0.0.1:0"), "");
        assert_eq!(told("mysql://agent@db.example.org/agent", "0.0.0.0:7946"), "");
        let deaf = told("mysql://agent@db.example.org/agent", "127.0.0.1:0");
        assert!(
            deaf.starts_with("nodes listen for each other on 127.0.0.1:0, where other machines do not reach them"),
            "{deaf}"
        );
    }

    #[test]
    fn the_built_in_environment_gives_no_reason_to_warn() {
        let (settings, training) = built_in();
        assert_eq!(beforehand(&settings, &training), Vec::<String>::new());
    }

    #[test]
    fn a_short_drain_and_a_slow_link_are_known_beforehand() {
        let (mut settings, training) = built_in();
        settings.network.rhythm.drain = Duration::from_secs(10);
        settings.network.links[0].latency_ms = 1_000_000.0;
        let warnings = beforehand(&settings, &training);
        assert!(warnings[0].starts_with("on the links 1 to 2 an answer takes longer"), "{warnings:?}");
        assert!(warnings[1].contains("`drain`, 10.0 s"), "{warnings:?}");
        // Jobs do not say again what was said before.
        let mut watch = Watch::new(Arc::new(settings), &training);
        assert_eq!(watch.hear(&job(3, 55.0)), Vec::<String>::new());
    }

    #[test]
    fn what_only_jobs_show_is_said_once() {
        let (settings, training) = built_in();
        let mut watch = Watch::new(Arc::new(settings), &training);
        let said: Vec<usize> =
            [40.0, 40.0, 2.0, 40.0, 40.0, 40.0, 40.0].map(|took| watch.hear(&job(1, took)).len()).into();
        assert_eq!(said, [0, 0, 0, 0, 0, 1, 0]);
        let said: Vec<usize> = [70.0, 70.0].map(|took| watch.hear(&job(3, took)).len()).into();
        assert_eq!(said, [1, 0]);
    }
}
