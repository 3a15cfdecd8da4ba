//! The commands about objects: `fsck`, `data accept`, `data restore`, and `act`.

use super::arguments::{Act, Fsck, OnNode};
use super::commands::{Place, services};
use super::{display, print, signals};
use crate::actors::{Depth, Notice};
use crate::app::data::{self, Checked};
use crate::app::surroundings::Surroundings;
use agent_core::domain::ids::DataSetName;
use agent_core::domain::text::{LINE_MAX, legible};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;

/// Something is not as it should be.
const UNHEALTHY: u8 = 4;

/// What was done, for `--json`.
#[derive(Serialize)]
struct Restored<'a> {
    data_set: &'a DataSetName,
    node: u32,
    restored: bool,
}

impl Place {
    pub(super) fn fsck(&self, arguments: &Fsck) -> anyhow::Result<ExitCode> {
        let depth = if arguments.read { Depth::Read } else { Depth::Look };
        let found = self.with_stores(arguments.json, async |surroundings| {
            let tell = |checked: &Checked| {
                if !arguments.json {
                    // What cannot be shown any more was not wanted either.
                    print::lines([line(checked)]).unwrap_or_default();
                }
            };
            data::check(surroundings, depth, !arguments.dry_run, tell).await
        })?;
        let Some(found) = found else { return Ok(ExitCode::from(signals::INTERRUPTED)) };
        if arguments.json {
            print::json(&found)?;
        } else if found.is_empty() {
            print::lines(["there is no data set in the catalogue yet".to_owned()])?;
        }
        let is_trouble = found.iter().any(|checked| checked.verdict.is_trouble());
        Ok(if is_trouble { ExitCode::from(UNHEALTHY) } else { ExitCode::SUCCESS })
    }

    pub(super) fn accept(&self, arguments: &OnNode) -> anyhow::Result<ExitCode> {
        let name = DataSetName::from(arguments.name.as_str());
        let accepted = self.with_stores(arguments.json, async |surroundings| {
            data::accept(surroundings, &name, arguments.node).await
        })?;
        let Some(accepted) = accepted else { return Ok(ExitCode::from(signals::INTERRUPTED)) };
        if arguments.json {
            print::json(&accepted)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = vec![format!(
            "data set {name} is what lies on node {} now: {} bytes, SHA-256 {}",
            accepted.node, accepted.bytes, accepted.sha256
        )];
        text.extend(accepted.outdated.iter().map(|node| {
            format!("node {node} holds the former content: the agent there makes it anew, or `agent data restore {name} --node {node}`")
        }));
        print::lines(text)?;
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn restore(&self, arguments: &OnNode) -> anyhow::Result<ExitCode> {
        let (name, node) = (DataSetName::from(arguments.name.as_str()), arguments.node);
        let done =
            self.with_stores(arguments.json, async |surroundings| data::restore(surroundings, &name, node).await)?;
        if done.is_none() {
            return Ok(ExitCode::from(signals::INTERRUPTED));
        }
        match arguments.json {
            true => print::json(&Restored { data_set: &name, node: node.0, restored: true })?,
            false => print::lines([format!("the replica of data set {name} on node {node} is restored")])?,
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn act(&self, arguments: &Act) -> anyhow::Result<ExitCode> {
        let Act { action, agent } = *arguments;
        let done = self.with_stores(false, async |surroundings| data::act(surroundings, agent, action).await)?;
        Ok(if done.is_some() { ExitCode::SUCCESS } else { ExitCode::from(signals::INTERRUPTED) })
    }

    /// Work on the stores of a network that runs or ran, told in lines as it happens unless one document is wanted. `None`: it was
    /// stopped; what was begun is undone when its lease has run out.
    fn with_stores<T>(
        &self,
        quiet: bool,
        work: impl AsyncFnOnce(&Surroundings) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        let (services, log) = (services()?, self.log);
        let tell = Arc::new(move |notice: Notice| match quiet {
            true => tracing::info!(%notice, "told"),
            false => display::line(log, &notice),
        });
        let surroundings = self.existing_surroundings(&services, tell)?;
        services.block_on(async {
            tokio::select! {
                done = work(&surroundings) => done.map(Some),
                () = signals::stop() => {
                    display::note("stopped");
                    Ok(None)
                }
            }
        })
    }
}

fn line(checked: &Checked) -> String {
    let Checked { data_set, node, object_key, verdict, why } = checked;
    let why = why.as_deref().map_or(String::new(), |why| format!(": {why}"));
    let text = format!("{:<8} data set {data_set}  node {node}  {object_key}{why}", verdict.name());
    legible(&text, LINE_MAX).into_owned()
}
