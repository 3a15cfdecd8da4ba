//! What `agent train` learned: a file for each agent, with its provenance.

use super::{Failure, output};
use crate::jobs::expression::Expression;
use agent_core::clock::TimeScale;
use agent_core::config::settings::{AgentSettings, JobSettings, Settings};
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
pub use agent_core::domain::impact::derive_impacts;
use agent_core::domain::impact::{Impacts, Rho};
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::DataSet;
use agent_core::domain::traffic::Traffic;
use agent_core::domain::versions::Versions;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format's version; another one is refused.
const FORMAT: u32 = 2;

/// `training/agent-N.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingFile {
    pub format: u32,
    pub agent: AgentId,
    /// The version of `agent` that wrote it.
    pub version: String,
    /// Seconds since the Unix epoch.
    pub trained_at: u64,
    pub time_scale: u32,
    pub seed: u64,
    pub iterations: u32,
    /// Of several data sets the names of all, and their checksums, each with a comma between; the records of all.
    pub data_set: String,
    pub records: u64,
    pub sha256: String,
    pub job: String,
    /// Where the agent lived.
    pub home: NodeId,
    /// The nodes at which it was measured, by name.
    pub nodes: BTreeMap<NodeId, String>,
    /// What was measured, by node, run by run.
    pub runs: BTreeMap<NodeId, Vec<Metrics>>,
    /// Of the same runs, where the job reads through the agent's own client.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traffic: BTreeMap<NodeId, Vec<Traffic>>,
    /// What follows from it, for every ordered pair of nodes; nothing for a job over several data sets: what it shows depends on where
    /// all of them are.
    pub impacts: BTreeMap<Action, Impacts>,
    /// What to do when it does not fit, for messages; no part of the file.
    #[serde(skip)]
    pub remedy: String,
}

/// What training rests on, and has to be the same where it is used.
#[derive(Clone, PartialEq, Debug)]
pub struct Circumstances {
    pub time_scale: TimeScale,
    pub data_sets: Vec<DataSetName>,
    pub job: String,
    pub home: NodeId,
    /// By name; nodes that were added since are no matter.
    pub nodes: BTreeMap<NodeId, String>,
}

impl Circumstances {
    /// Of an agent of this configuration.
    pub fn of(settings: &Settings, agent: &AgentSettings) -> Self {
        let network = &settings.network;
        Self {
            time_scale: network.time_scale,
            data_sets: agent.data_sets.clone(),
            job: description(&agent.job),
            home: agent.node,
            nodes: network.nodes.values().map(|node| (node.id, node.name.clone())).collect(),
        }
    }
}

/// Between what is said of several data sets.
const SEPARATOR: &str = ", ";

/// What is said of several data sets.
pub fn joined(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(SEPARATOR)
}

/// A job as training names it: two ways of writing the same one are no difference.
fn description(job: &JobSettings) -> String {
    match job {
        JobSettings::Aggregate { expression, .. } => {
            expression.parse().map_or_else(|_| expression.clone(), |known: Expression| known.to_string())
        }
        JobSettings::Command(_) | JobSettings::Spark(_) | JobSettings::Service(_) => job.to_string(),
    }
}

impl TrainingFile {
    pub const FORMAT: u32 = FORMAT;

    /// This training with the runs of a later one at nodes that were added since: what was measured and derived stays, and
    /// the pairs with the new nodes join it.
    pub fn extended(mut self, later: Self, rho: &Rho, max_copies: u32) -> anyhow::Result<Self> {
        let same = |of: &Self| (of.sha256.clone(), of.time_scale, of.job.clone(), of.home);
        if same(&self) != same(&later) {
            let (agent, remedy) = (self.agent, &self.remedy);
            bail!("agent {agent} was trained with another data set, time scale, job or node of its own; {remedy}");
        }
        let added: Vec<NodeId> = later.runs.keys().copied().collect();
        self.runs.extend(later.runs);
        self.traffic.extend(later.traffic);
        self.nodes.extend(later.nodes);
        let is_new = |action: &Action| {
            [action.from_node(), action.to_node()].into_iter().flatten().any(|node| added.contains(&node))
        };
        let derived = derive_impacts(&self.runs, rho, max_copies);
        self.impacts.extend(derived.into_iter().filter(|(action, _)| is_new(action)));
        (self.trained_at, self.version) = (later.trained_at, later.version);
        Ok(self)
    }

    pub fn path(directory: &Path, agent: AgentId) -> PathBuf {
        directory.join(format!("agent-{agent}.json"))
    }

    /// Reads a file; `None` when there is none. `remedy` is what to do about a damaged one.
    pub fn read(directory: &Path, agent: AgentId, remedy: &str) -> anyhow::Result<Option<Self>> {
        let path = Self::path(directory, agent);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, agent, remedy).with_context(|| path.display().to_string()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        }
    }

    fn parse(text: &str, agent: AgentId, remedy: &str) -> anyhow::Result<Self> {
        // First of all its format: another one has other fields.
        let format: Format = serde_json::from_str(text).with_context(|| format!("not a training file; {remedy}"))?;
        if format.format != FORMAT {
            bail!("its format is {}, this version reads {FORMAT}; {remedy}", format.format);
        }
        let file: Self = serde_json::from_str(text).with_context(|| format!("not a training file; {remedy}"))?;
        if file.agent != agent {
            bail!("it was trained for agent {}; {remedy}", file.agent);
        }
        if let Some(problem) = file.problem() {
            bail!("{problem}; {remedy}");
        }
        Ok(Self { remedy: remedy.to_owned(), ..file })
    }

    /// A value that nothing can have measured, as in the rows of the shared table.
    fn problem(&self) -> Option<String> {
        let values = self
            .runs
            .iter()
            .flat_map(|(node, runs)| runs.iter().flat_map(move |run| run.iter().map(move |it| (node, it))));
        let measured = |(node, (metric, value)): (&NodeId, (Metric, f64))| {
            let is_sane = metric.measurable().contains(&value);
            (!is_sane).then(|| format!("the {metric} of a run at node {node}, {value}, is out of range"))
        };
        let is_sane = |impacts: &Impacts| impacts.iter().all(|(_, value)| (-1.0..=1.0).contains(&value));
        let derived = |(action, impacts): (&Action, &Impacts)| {
            (!is_sane(impacts)).then(|| format!("an impact of {action} lies outside -1..1"))
        };
        let unknown = || {
            let node = self.runs.keys().find(|node| !self.nodes.contains_key(node))?;
            Some(format!("it has runs at node {node}, which is not among its nodes"))
        };
        values.into_iter().find_map(measured).or_else(|| self.impacts.iter().find_map(derived)).or_else(unknown)
    }

    /// Refuses training of other circumstances, and says what to do. `place` is where it came from.
    pub fn require(&self, here: &Circumstances, place: &str) -> Result<(), Failure> {
        let renamed = || {
            let other = self.nodes.iter().find(|(id, name)| here.nodes.get(id).is_some_and(|known| known != *name))?;
            Some(format!("node {} was {}, and is {}", other.0, other.1, here.nodes[other.0]))
        };
        let scale = here.time_scale.factor();
        let difference = match () {
            () if self.data_set != joined(&here.data_sets) => {
                let reads = joined(&here.data_sets);
                Some(format!("it was trained on data set {}, and reads {reads}", self.data_set))
            }
            () if self.job != here.job => {
                Some(format!("it was trained with the job `{}`, and runs `{}`", self.job, here.job))
            }
            () if self.time_scale != scale => {
                Some(format!("it was trained at time_scale = {}, and runs at {scale}", self.time_scale))
            }
            () if self.home != here.home => {
                Some(format!("it was trained on node {}, and lives on node {}", self.home, here.home))
            }
            () => renamed(),
        };
        self.refuse(difference, place)
    }

    /// The same once the data set is known. What its owner has written since is no other data set: times are learned for each record,
    /// and the first jobs tell the rest.
    pub fn require_data_sets(&self, here: &[DataSet]) -> Result<(), Failure> {
        let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
        let differs = |(here, was): (&DataSet, &str)| {
            let is_of_one_version = here.versions.version == Versions::default().version;
            (is_of_one_version && was != here.sha256).then(|| {
                let (was, is) = (short(was), short(&here.sha256));
                format!("it was trained on other content of {} (SHA-256 {was}..., and it reads {is}...)", here.name)
            })
        };
        let difference = here.iter().zip(self.sha256.split(SEPARATOR).chain(std::iter::repeat(""))).find_map(differs);
        self.refuse(difference, "")
    }

    fn refuse(&self, difference: Option<String>, place: &str) -> Result<(), Failure> {
        let (agent, remedy) = (self.agent, &self.remedy);
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        match difference {
            Some(difference) => Err(Failure::Configuration(format!(
                "{place}the training of agent {agent} does not fit: {difference}; {remedy}"
            ))),
            None => Ok(()),
        }
    }

    /// The one that ships for an agent of the three-node environment.
    pub fn embedded(agent: AgentId) -> anyhow::Result<Option<Self>> {
        let parse = |text| Self::parse(text, agent, "report it").context("the built-in training file");
        shipped(agent).map(parse).transpose()
    }

    /// Whether the file of an agent in this folder is the one that ships.
    pub fn is_shipped(directory: &Path, agent: AgentId) -> bool {
        let found = std::fs::read_to_string(Self::path(directory, agent));
        found.is_ok_and(|found| shipped(agent) == Some(found.as_str()))
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        let path = Self::path(directory, self.agent);
        let failed = || format!("{}: cannot be made; choose another directory with --training", directory.display());
        std::fs::create_dir_all(directory).with_context(failed)?;
        let text = serde_json::to_string_pretty(self)? + "\n";
        output::write(&path, text.as_bytes(), "--training")?;
        Ok(path)
    }
}

/// The only field that every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

fn shipped(agent: AgentId) -> Option<&'static str> {
    match agent {
        AgentId(1) => Some(include_str!("../../training/agent-1.json")),
        AgentId(2) => Some(include_str!("../../training/agent-2.json")),
        AgentId(3) => Some(include_str!("../../training/agent-3.json")),
        AgentId(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(nodes: &[(u32, f64)]) -> TrainingFile {
        let run = |seconds: f64| Metrics::default().with(Metric::ResponseTime, seconds);
        let runs =
            nodes.iter().map(|(node, seconds)| (NodeId(*node), vec![run(*seconds), run(seconds + 1.0)])).collect();
        let counted = Traffic { requests: 4, parallel: 1, bytes: 100, stalled_s: 0.5, records: 10 };
        TrainingFile {
            format: FORMAT,
            agent: AgentId(1),
            version: "1".to_owned(),
            trained_at: 1,
            time_scale: 50,
            seed: 1,
            iterations: 2,
            data_set: "blood".to_owned(),
            records: 10,
            sha256: "14ba3e".to_owned(),
            job: "avg(x)".to_owned(),
            home: NodeId(1),
            nodes: nodes.iter().map(|(node, _)| (NodeId(*node), format!("node-{node}"))).collect(),
            remedy: "train again".to_owned(),
            impacts: derive_impacts(&runs, &rho(), 2),
            traffic: runs.keys().map(|node| (*node, vec![counted; 2])).collect(),
            runs,
        }
    }

    fn rho() -> Rho {
        Rho::default().with(Metric::ResponseTime, 40.0).with(Metric::DataConsistency, 0.5)
    }

    #[test]
    fn an_added_node_joins_what_was_trained() {
        let mut old = trained(&[(1, 10.0), (2, 20.0)]);
        let kept = Impacts::default().with(Metric::ResponseTime, 0.123);
        old.impacts.insert("M1_2".parse().unwrap(), kept);
        let later = TrainingFile { trained_at: 2, ..trained(&[(4, 30.0)]) };
        let both = old.clone().extended(later, &rho(), 2).unwrap();
        assert_eq!(both.runs.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 2, 4]);
        assert!(both.traffic.keys().eq(both.runs.keys()));
        assert_eq!(both.impacts.len(), 12);
        assert_eq!(both.impacts[&"M1_2".parse().unwrap()], kept);
        assert_eq!(both.impacts[&"C2_1".parse().unwrap()], old.impacts[&"C2_1".parse().unwrap()]);
        let expected = trained(&[(1, 10.0), (2, 20.0), (4, 30.0)]).impacts;
        for label in ["M1_4", "C4_2"] {
            assert_eq!(both.impacts[&label.parse().unwrap()], expected[&label.parse().unwrap()]);
        }
        assert_eq!(both.trained_at, 2);
    }

    #[test]
    fn a_training_of_something_else_is_not_joined() {
        let later = TrainingFile { sha256: "ffff".to_owned(), ..trained(&[(4, 30.0)]) };
        let refused = trained(&[(1, 10.0)]).extended(later, &rho(), 2).unwrap_err().to_string();
        assert!(refused.ends_with("; train again"), "{refused}");
    }
}
