//! `agent add-agent`: an application that comes.

use crate::app::{Failure, applications};
use crate::cli::node_arguments::AddAgent;
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::config::NewAgent;
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
            let new = NewAgent { id, goal, node, policy, like };
            let drafted = applications::add(knowledge, settings, directory, &new).await?;
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
