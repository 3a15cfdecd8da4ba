//! `agent remove-data-set`: a data set that nobody reads any more is forgotten.

use crate::app::data_sets;
use crate::cli::arguments::RemoveDataSet;
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::domain::ids::{DataSetName, NodeId};
use agent_core::domain::placement::Replica;
use serde::Serialize;
use std::process::ExitCode;

/// What was done, for `--json`.
#[derive(Serialize)]
struct Removed<'a> {
    data_set: &'a DataSetName,
    /// Objects that are nobody's from now on.
    left: Vec<Left<'a>>,
}

#[derive(Serialize)]
struct Left<'a> {
    node: NodeId,
    object_key: &'a str,
}

impl Place {
    pub(super) fn remove_data_set(&self, arguments: &RemoveDataSet) -> anyhow::Result<ExitCode> {
        let name = DataSetName::from(arguments.name.as_str());
        self.changing(async |settings, knowledge| {
            let rows = data_sets::remove(knowledge, &settings.network, &name).await?;
            let left = |row: &Replica| format!("  node {}: {}", row.node, row.object_key);
            if arguments.json {
                let left = rows.iter().map(|row| Left { node: row.node, object_key: &row.object_key }).collect();
                return print::json(&Removed { data_set: &name, left });
            }
            let mut text = vec![format!("data set {name} is removed; its objects stay, and are nobody's from now on:")];
            text.extend(rows.iter().map(left));
            if settings.network.data_sets.contains_key(&name) {
                text.push(format!(
                    "remove `{name}` from network.toml, too: an agent that starts on its first node would bring it back"
                ));
            }
            print::lines(text)
        })
    }
}
