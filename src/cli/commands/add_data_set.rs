//! `agent add-data-set`: a data set that comes while agents run.

use crate::app::data_sets::{self, Named};
use crate::cli::arguments::AddDataSet;
use crate::cli::place::Place;
use crate::cli::{print, signals};
use agent_core::domain::manifest::Extent;
use std::process::ExitCode;

impl Place {
    pub(super) fn add_data_set(&self, arguments: &AddDataSet) -> anyhow::Result<ExitCode> {
        let AddDataSet { name, object_key, prefix, first_node, json } = arguments;
        let (object_key, prefix) = (object_key.clone(), prefix.clone());
        let named = Named { name: name.clone(), object_key, prefix, first_node: *first_node };
        let network = self.settings()?.network;
        let settings = data_sets::settings(&network, &named)?;
        let added = self.with_stores(*json, async |surroundings| data_sets::add(surroundings, &settings).await)?;
        let Some(added) = added else { return Ok(ExitCode::from(signals::INTERRUPTED)) };
        if *json {
            print::json(&added)?;
            return Ok(ExitCode::SUCCESS);
        }
        print::data_sets(std::slice::from_ref(&added))?;
        if !network.data_sets.contains_key(&settings.name) {
            print::lines([
                String::new(),
                "so that agents can be told to read it, add to network.toml (and write `[[data_set]]` where it says `[data_set]`):"
                    .to_owned(),
                String::new(),
                "[[data_set]]".to_owned(),
                format!("name = \"{}\"", settings.name),
                match Extent::of(&settings.object_key) {
                    Extent::Object(key) => format!("object_key = \"{key}\""),
                    Extent::Set(keys) => format!("prefix = \"{}\"", keys.prefix()),
                },
                format!("first_node = {}", settings.first_node),
            ])?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
