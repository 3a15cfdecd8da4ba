//! What `agent train` learned: a file for each agent, with its provenance.

use crate::domain::action::Action;
use crate::domain::ids::{AgentId, NodeId};
pub use crate::domain::impact::derive_impacts;
use crate::domain::impact::Impacts;
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
