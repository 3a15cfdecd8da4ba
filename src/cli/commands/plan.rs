//! `agent plan`: what the agents would do from here.

use crate::app::from_table;
use crate::app::plan::{self, Step};
use crate::app::vocabulary::VOCABULARY;
use crate::cli::constraint_arguments::Plan;
use crate::cli::place::{Place, services};
use crate::cli::{display, print, signals};
use agent_core::config::scenario;
use std::process::ExitCode;

/// Exit code of a plan that would change something.
const CHANGES: u8 = 6;

impl Place {
    pub(super) fn plan(&self, arguments: &Plan) -> anyhow::Result<ExitCode> {
        let Plan { scenario, policy, ahead, seed, apply, json } = arguments;
        let settings = self.settings()?;
        let base = scenario.as_deref().map(|file| scenario::load(file, &VOCABULARY)).transpose()?;
        let runtime = services()?;
        let from = runtime.block_on(async {
            let existing = from_table::open(None, &settings, self.data.as_deref(), runtime.handle()).await?;
            display::note(&format!("# {}", existing.place));
            from_table::read(&existing, &settings, base.as_ref()).await
        })?;
        drop(runtime);
        let plan = plan::make(&from, policy.as_deref(), *seed, *ahead, Vec::new())?;
        if *json {
            print::json(&plan)?
        } else {
            print::plan(&plan)?
        }
        if plan.steps.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if !apply {
            return Ok(ExitCode::from(CHANGES));
        }
        let tell = |step: &Step| display::note(&format!("# done: {} of agent {}", step.action, step.agent));
        let done = self.with_stores(true, async |surroundings| plan::apply(surroundings, &plan, tell).await)?;
        Ok(if done.is_some() { ExitCode::SUCCESS } else { ExitCode::from(signals::INTERRUPTED) })
    }
}
