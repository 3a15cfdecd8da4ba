//! `agent check`: what a configuration would run, whether it is trained, and what will hurt all the same.

use crate::app::access::{self, Access};
use crate::app::stores::{self, CheckedStore};
use crate::app::{Failure, warnings};
use crate::cli::arguments::Check;
use crate::cli::place::{Place, services};
use crate::cli::print;
use crate::data::blood_tests::BloodTests;
use agent_core::config::{self, Description};
use agent_core::domain::ids::AgentId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;

/// The document of `agent check`.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    description: Description,
    /// What is known of each agent's training.
    training: BTreeMap<AgentId, String>,
    /// What would go wrong all the same.
    warnings: Vec<String>,
    /// What the stores were seen to do, where they were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    stores: Option<Vec<CheckedStore>>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\ntraining", self.description)?;
        self.training.iter().try_for_each(|(agent, state)| writeln!(f, "  agent {agent}  {state}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "\nWARNING: {warning}"))
    }
}

impl Place {
    pub(super) fn check(&self, arguments: &Check) -> anyhow::Result<ExitCode> {
        let (settings, unwritten) = self.settings_and_defaults()?;
        let runtime = services()?;
        let well_formed = runtime.block_on(access::check_credentials(&settings.network));
        well_formed.map_err(|error| Failure::Configuration(error.to_string()))?;
        let description = config::describe(&settings, unwritten, |records| BloodTests::new(records).bytes());
        let directory = arguments.training.as_deref();
        let (mut known, mut training) = (BTreeMap::new(), BTreeMap::new());
        for &id in settings.agents.keys() {
            let found = self.training(&settings, directory, id, &self.train_again(directory, id));
            let state = match &found {
                Ok(Some(file)) => format!("trained at nodes {}", print::list(file.runs.keys(), ", ")),
                Ok(None) => self.untrained(directory, &[id]),
                Err(error) => format!("{error:#}"),
            };
            training.insert(id, state);
            known.extend(found.ok().flatten().map(|file| (id, file)));
        }
        let stores = arguments.online.then(|| {
            let access = Access::to_others(&settings.network);
            runtime.block_on(stores::check(&access, settings.network.nodes.values()))
        });
        let is_well = stores.iter().flatten().all(CheckedStore::is_well);
        let checked = Checked { description, training, warnings: warnings::beforehand(&settings, &known), stores };
        if arguments.json {
            print::json(&checked)?
        } else {
            print::text(&checked.to_string())?;
            checked.stores.as_deref().map_or(Ok(()), print::stores)?;
        }
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
