//! Which training files a command uses, whether they fit, and what to do where they do not.

use super::arguments::{Demo, Train};
use super::display;
use super::place::Place;
use crate::app::Failure;
use crate::app::invocation::Invocation;
use crate::app::training_file::{Circumstances, TrainingFile};
use crate::app::vocabulary::VOCABULARY;
use agent_core::config;
use agent_core::config::settings::{NetworkSettings, Settings};
use agent_core::domain::ids::AgentId;
use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// Where training files lie unless `--training` says otherwise.
pub(super) const TRAINING: &str = "training";

impl Place {
    /// The training of an agent, which fits: from this folder when one is named; else the built-in one where the agent is, and
    /// lives among the nodes of, the built-in environment; else from `training`.
    pub(super) fn training(
        &self,
        settings: &Settings,
        directory: Option<&Path>,
        id: AgentId,
        remedy: &str,
    ) -> anyhow::Result<Option<TrainingFile>> {
        let (known, place) = match directory {
            None if is_built_in(settings, id)? => (TrainingFile::embedded(id)?, "built in".to_owned()),
            directory => {
                let directory = directory.unwrap_or(Path::new(TRAINING));
                let path = TrainingFile::path(directory, id);
                (TrainingFile::read(directory, id, remedy)?, path.display().to_string())
            }
        };
        let (Some(known), Some(agent)) = (known, settings.agents.get(&id)) else { return Ok(None) };
        let known = TrainingFile { remedy: remedy.to_owned(), ..known };
        known.require(&Circumstances::of(settings, agent), &place)?;
        Ok(Some(known))
    }

    /// The command that trains an agent where the one that is run would look.
    fn train_command(&self, directory: Option<&Path>, id: AgentId) -> String {
        // What ships for the built-in environment stays.
        let own = TrainingFile::is_shipped(Path::new(TRAINING), id).then(|| Path::new("my-training"));
        let training = directory.or(own).map(Path::to_owned);
        Invocation { training, ..self.invocation() }.training_command(&format!("train --id {id}"))
    }

    /// What to do about training that is of no use to `run`.
    pub(super) fn train_again(&self, directory: Option<&Path>, id: AgentId) -> String {
        let named = match directory.is_none() && TrainingFile::is_shipped(Path::new(TRAINING), id) {
            true => ", and name the same --training here",
            false => "",
        };
        format!("make it anew with `{}`{named}", self.train_command(directory, id))
    }

    pub(super) fn untrained(&self, directory: Option<&Path>, ids: &[AgentId]) -> String {
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let file = TrainingFile::path(directory.unwrap_or(Path::new(TRAINING)), ids[0]);
        format!(
            "agent {} has not been trained: there is no {} for this configuration; run `{}` first, or add --train",
            names.join(", "),
            file.display(),
            self.train_command(directory, ids[0])
        )
    }

    /// The training of each of these agents; an error when one has none.
    pub(super) fn trainings(
        &self,
        settings: &Settings,
        directory: &Path,
        ids: &[AgentId],
    ) -> anyhow::Result<BTreeMap<AgentId, TrainingFile>> {
        let mut all = BTreeMap::new();
        for &id in ids {
            let known = self.training(settings, Some(directory), id, &self.train_again(Some(directory), id))?;
            all.insert(id, known.with_context(|| self.untrained(Some(directory), &[id]))?);
        }
        Ok(all)
    }

    /// The training of a demo's agents. An agent that somebody added to the folder `agents` and has not trained takes no part,
    /// unless that folder was named.
    pub(super) fn demo_trainings(
        &self,
        demo: &Demo,
        settings: &mut Settings,
    ) -> anyhow::Result<BTreeMap<AgentId, TrainingFile>> {
        let directory = demo.training.as_deref();
        let mut known = BTreeMap::new();
        for &id in settings.agents.keys() {
            let file = self.training(settings, directory, id, "add --train, which measures it here first")?;
            known.extend(file.map(|file| (id, file)));
        }
        let untrained: Vec<AgentId> = settings.agents.keys().filter(|id| !known.contains_key(id)).copied().collect();
        if untrained.is_empty() {
            return Ok(known);
        }
        if self.config.is_some() || known.is_empty() {
            bail!(self.untrained(directory, &untrained));
        }
        for id in untrained {
            display::note(&format!("# agent {id} takes no part: {}", self.untrained(directory, &[id])));
            settings.agents.remove(&id);
        }
        Ok(known)
    }

    /// Where `train` writes: not over the files that ship, unless their folder is named.
    pub(super) fn train_into<'a>(&self, arguments: &'a Train, ids: &[AgentId]) -> Result<&'a Path, Failure> {
        let Some(named) = &arguments.training else {
            let directory = Path::new(TRAINING);
            return match ids.iter().find(|id| TrainingFile::is_shipped(directory, **id)) {
                None => Ok(directory),
                Some(id) => Err(Failure::Configuration(format!(
                    "{}: this file ships with the program; name a folder of your own with --training (`{}`), or replace it with \
                     --training {TRAINING}",
                    TrainingFile::path(directory, *id).display(),
                    self.train_command(None, *id)
                ))),
            };
        };
        Ok(named)
    }
}

/// Whether an agent is as it is in the built-in environment, and so is what its training rests on.
fn is_built_in(settings: &Settings, id: AgentId) -> anyhow::Result<bool> {
    let built_in = config::load(None, &VOCABULARY)?;
    let has_links = built_in.network.links.iter().all(|link| settings.network.links.contains(link));
    let rests_on = |network: &NetworkSettings| (network.time_scale, network.data_sets.clone());
    let is_alike = rests_on(&settings.network) == rests_on(&built_in.network) && has_links;
    let agent = settings.agents.get(&id);
    Ok(agent.is_some() && agent == built_in.agents.get(&id) && is_alike)
}
