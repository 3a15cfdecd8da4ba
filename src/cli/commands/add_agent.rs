//! `agent add-agent`: an application that comes.

use crate::app::{Failure, applications};
use crate::cli::node_arguments::AddAgent;
use crate::cli::place::{Place, VOCABULARY};
use crate::cli::print;
use agent_core::config::{self, Draft, NewAgent};
use anyhow::Context as _;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;

impl Place {
    pub(super) fn add_agent(&self, arguments: AddAgent) -> anyhow::Result<ExitCode> {
        let directory = self.configuration().ok_or_else(|| {
            let why = "the built-in configuration cannot be added to; name a directory of your own with --config";
            Failure::Configuration(why.to_owned())
        })?;
        let here = self.invocation();
        self.changing(async |settings, knowledge| {
            let AddAgent { id, goal, node, like, policy } = arguments;
            let first = settings.agents.keys().next().copied();
            // There is a first one: a configuration without agents is refused.
            let like = like.or(first).unwrap_or(id);
            let drafted = config::draft(directory, &NewAgent { id, goal, node, policy, like }, &VOCABULARY)?;
            applications::check_addition(knowledge, &drafted.settings).await?;
            write_new(&drafted)?;
            let registered = applications::register(knowledge, &settings.network, &drafted.settings).await;
            if registered.is_err() {
                std::fs::remove_file(&drafted.path).with_context(|| drafted.path.display().to_string())?;
            }
            registered?;
            print::lines([
                format!("{}: agent {id} on node {}", drafted.path.display(), drafted.settings.node),
                format!(
                    "next: `{}`, then `{}`",
                    here.command(&format!("train --id {id}")),
                    here.command(&format!("run --id {id}"))
                ),
            ])
        })
    }
}

/// Writes a file that must not be there yet.
fn write_new(drafted: &Draft) -> anyhow::Result<()> {
    let failed = || format!("{}: cannot be written", drafted.path.display());
    let mut file = File::options().write(true).create_new(true).open(&drafted.path).with_context(failed)?;
    file.write_all(drafted.text.as_bytes()).with_context(failed)
}
