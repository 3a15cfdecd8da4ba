//! `agent act`: an action carried out by hand.

use crate::app::data;
use crate::cli::arguments::Act;
use crate::cli::place::Place;
use crate::cli::signals;
use std::process::ExitCode;

impl Place {
    pub(super) fn act(&self, arguments: &Act) -> anyhow::Result<ExitCode> {
        let Act { action, agent } = arguments;
        let done = self.with_stores(false, async |surroundings| data::act(surroundings, *agent, action).await)?;
        Ok(if done.is_some() { ExitCode::SUCCESS } else { ExitCode::from(signals::INTERRUPTED) })
    }
}
