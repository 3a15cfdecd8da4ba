//! `agent pause` and `agent resume`: all actions held, and let go again.

use crate::app::change;
use crate::cli::constraint_arguments::{Pause, Resume};
use crate::cli::place::Place;
use crate::cli::print;
use agent_core::domain::ids::DataSetName;
use std::process::ExitCode;

impl Place {
    pub(super) fn pause(&self, arguments: &Pause) -> anyhow::Result<ExitCode> {
        let Pause { data_set, lasts, json } = arguments;
        self.changing(async |_, knowledge| {
            let paused = change::pause(knowledge, named(data_set).as_ref(), *lasts).await?;
            if *json { print::json(&paused) } else { print::changed(&paused) }
        })
    }

    pub(super) fn resume(&self, arguments: &Resume) -> anyhow::Result<ExitCode> {
        let Resume { data_set, json } = arguments;
        self.changing(async |_, knowledge| {
            let resumed = change::resume(knowledge, named(data_set).as_ref()).await?;
            if *json { print::json(&resumed) } else { print::changed(&resumed) }
        })
    }
}

fn named(data_set: &Option<String>) -> Option<DataSetName> {
    data_set.as_deref().map(DataSetName::from)
}
