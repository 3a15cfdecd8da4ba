//! What `agent train` learned: a file for each agent, with its provenance.

use crate::domain::action::Action;
use crate::domain::ids::{AgentId, NodeId};
pub use crate::domain::impact::derive_impacts;
use crate::domain::impact::{Impacts, Rho};
use crate::domain::metric::Metrics;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format's version; another one is refused.
const FORMAT: u32 = 1;

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
    pub data_set: String,
    pub records: u64,
    pub sha256: String,
    pub job: String,
    /// What was measured, by node, run by run.
    pub runs: BTreeMap<NodeId, Vec<Metrics>>,
    /// What follows from it, for every ordered pair of nodes.
    pub impacts: BTreeMap<Action, Impacts>,
}

impl TrainingFile {
    pub const FORMAT: u32 = FORMAT;

    /// This training with the runs of a later one at nodes that were added since: what was measured and derived stays, and
    /// the pairs with the new nodes join it.
    pub fn extended(mut self, later: Self, rho: &Rho, max_copies: u32) -> anyhow::Result<Self> {
        let same = |of: &Self| (of.sha256.clone(), of.time_scale, of.job.clone());
        if same(&self) != same(&later) {
            let agent = self.agent;
            bail!(
                "agent {agent} was trained with another data set, time scale or job; train it anew with `agent train --id \
                 {agent}`"
            );
        }
        let added: Vec<NodeId> = later.runs.keys().copied().collect();
        self.runs.extend(later.runs);
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

    /// Reads a file; `None` when there is none. A damaged one is an error that says what to do.
    pub fn read(directory: &Path, agent: AgentId) -> anyhow::Result<Option<Self>> {
        let path = Self::path(directory, agent);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, agent).with_context(|| path.display().to_string()).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        }
    }

    fn parse(text: &str, agent: AgentId) -> anyhow::Result<Self> {
        let again = format!("make it anew with `agent train --id {agent}`");
        let file: Self = serde_json::from_str(text).with_context(|| format!("not a training file; {again}"))?;
        if file.format != FORMAT {
            bail!("its format is {}, this version reads {FORMAT}; {again}", file.format);
        }
        if file.agent != agent {
            bail!("it was trained for agent {}; {again}", file.agent);
        }
        let sane = |impacts: &Impacts| impacts.iter().all(|(_, value)| (-1.0..=1.0).contains(&value));
        if let Some((action, _)) = file.impacts.iter().find(|(_, impacts)| !sane(impacts)) {
            bail!("an impact of {action} lies outside -1..1; {again}");
        }
        Ok(file)
    }

    /// The one that ships for an agent of the three-node environment.
    pub fn embedded(agent: AgentId) -> anyhow::Result<Option<Self>> {
        let text = match agent {
            AgentId(1) => include_str!("../../training/agent-1.json"),
            AgentId(2) => include_str!("../../training/agent-2.json"),
            AgentId(3) => include_str!("../../training/agent-3.json"),
            AgentId(_) => return Ok(None),
        };
        Self::parse(text, agent).context("the built-in training file").map(Some)
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        let path = Self::path(directory, self.agent);
        let failed = || format!("{}: cannot be written; choose another directory with --training", path.display());
        std::fs::create_dir_all(directory).with_context(failed)?;
        let new = path.with_extension("json.new");
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&new, text).with_context(failed)?;
        std::fs::rename(&new, &path).with_context(failed)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::metric::Metric;

    fn trained(nodes: &[(u32, f64)]) -> TrainingFile {
        let run = |seconds: f64| Metrics::default().with(Metric::ResponseTime, seconds);
        let runs =
            nodes.iter().map(|(node, seconds)| (NodeId(*node), vec![run(*seconds), run(seconds + 1.0)])).collect();
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
            impacts: derive_impacts(&runs, &rho(), 2),
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
        assert!(refused.contains("train it anew with `agent train --id 1`"), "{refused}");
    }
}
