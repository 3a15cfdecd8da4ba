//! `agent check`: what a configuration would run, whether it is trained, and what will hurt all the same.

use super::arguments::Check;
use super::commands::Place;
use super::print;
use crate::app::warnings;
use crate::config::{self, Description};
use crate::data::blood_tests::BloodTests;
use crate::domain::ids::AgentId;
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
        let settings = self.settings()?;
        let description = config::describe(&settings, |records| BloodTests::new(records).bytes());
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
        let checked = Checked { description, training, warnings: warnings::beforehand(&settings, &known) };
        if arguments.json {
            print::json(&checked)?
        } else {
            print::text(&checked.to_string())?
        }
        Ok(ExitCode::SUCCESS)
    }
}
