//! `agent fsck`: every replica's object, looked at.

use crate::actors::Depth;
use crate::app::data::{self, Checked};
use crate::cli::arguments::Fsck;
use crate::cli::place::{Place, UNHEALTHY};
use crate::cli::{print, signals};
use agent_core::domain::text::{LINE_MAX, legible};
use std::process::ExitCode;

impl Place {
    pub(super) fn fsck(&self, arguments: &Fsck) -> anyhow::Result<ExitCode> {
        let depth = if arguments.read { Depth::Read } else { Depth::Look };
        let found = self.with_stores(arguments.json, async |surroundings| {
            data::check(surroundings, depth, !arguments.dry_run, told(arguments.json)).await
        })?;
        ended(found, arguments.json)
    }
}

/// Shows each object as it was looked at, unless one document is wanted.
pub(super) fn told(json: bool) -> impl FnMut(&Checked) {
    move |checked| {
        if !json {
            // What cannot be shown any more was not wanted either.
            print::lines([line(checked)]).unwrap_or_default();
        }
    }
}

/// What a look at all of them came to; `None`: it was stopped.
pub(super) fn ended(found: Option<Vec<Checked>>, json: bool) -> anyhow::Result<ExitCode> {
    let Some(found) = found else { return Ok(ExitCode::from(signals::INTERRUPTED)) };
    if json {
        print::json(&found)?;
    } else if found.is_empty() {
        print::lines(["there is no data set in the catalogue yet".to_owned()])?;
    }
    let is_trouble = found.iter().any(|checked| checked.verdict.is_trouble());
    Ok(if is_trouble { ExitCode::from(UNHEALTHY) } else { ExitCode::SUCCESS })
}

fn line(checked: &Checked) -> String {
    let Checked { data_set, node, object_key, verdict, why } = checked;
    let why = why.as_deref().map_or(String::new(), |why| format!(": {why}"));
    let text = format!("{:<8} data set {data_set}  node {node}  {object_key}{why}", verdict.name());
    legible(&text, LINE_MAX).into_owned()
}
