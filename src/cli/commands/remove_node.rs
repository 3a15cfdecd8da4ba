//! `agent remove-node`: a node leaves with all that it holds.

use crate::actors::Notice;
use crate::app;
use crate::app::nodes::Objects;
use crate::cli::node_arguments::RemoveNode;
use crate::cli::place::{Place, services};
use crate::cli::{display, print, signals};
use agent_core::domain::placement::Replica;
use std::process::ExitCode;
use std::sync::Arc;

impl Place {
    pub(super) fn remove_node(&self, arguments: &RemoveNode) -> anyhow::Result<ExitCode> {
        let node = arguments.node;
        let objects = if arguments.lost { Objects::Lost } else { Objects::Delete };
        let services = services()?;
        let quiet = Arc::new(|notice: Notice| tracing::debug!(%notice, "while removing"));
        let surroundings = self.existing_surroundings(&services, quiet)?;
        let tell = |held: &[Replica]| print::draining(node, held);
        let removed = services.block_on(async {
            tokio::select! {
                removed = app::nodes::remove(&surroundings, node, objects, tell) => removed.map(|()| true),
                () = signals::stop() => Ok(false),
            }
        })?;
        match removed {
            true => print::lines([format!("node {node} is removed")])?,
            false => {
                let again = self.invocation().command(&format!("remove-node {node}"));
                display::note(&format!("stopped; node {node} is leaving: `{again}` goes on"));
                return Ok(ExitCode::from(signals::INTERRUPTED));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
