//! `agent simulate`, and explaining what it traced.

use super::explain::explained;
use super::interactive;
use crate::app;
use crate::app::from_table::{self, FromTable};
use crate::app::interactive::Session;
use crate::app::simulate::Simulated;
use crate::app::vocabulary::VOCABULARY;
use crate::cli::arguments::Simulate;
use crate::cli::place::{Place, services};
use crate::cli::{display, print};
use agent_core::config::scenario;
use agent_core::domain::ids::EventId;
use agent_core::domain::time::Timestamp;
use agent_core::sim::{self, Options};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

impl Place {
    pub(super) fn simulate(&self, arguments: &Simulate) -> anyhow::Result<ExitCode> {
        let simulated = self.simulated(arguments)?;
        let lasts = Duration::from_secs_f64(arguments.hours * 3600.0);
        if arguments.interactive {
            let session = Session::new(&simulated, arguments.policy.as_deref(), arguments.seed)?;
            return interactive::run(session, lasts);
        }
        let options = Options {
            policy: arguments.policy.clone(),
            seed: arguments.seed,
            lasts,
            until_converged: arguments.until_converged,
        };
        let summary = app::simulate::run(&simulated, &options, arguments.trace.as_deref(), progress(lasts))?;
        let beside = print::beside(arguments.trace.as_deref());
        if arguments.json {
            beside.json(&summary)?
        } else {
            beside.lines(print::summary_lines(&summary))?
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is to be simulated: a scenario, or a real network as its table shows it.
    fn simulated(&self, arguments: &Simulate) -> anyhow::Result<Simulated> {
        let scenario = arguments.scenario.as_deref().map(|file| scenario::load(file, &VOCABULARY)).transpose()?;
        let scenario = scenario.map(sim::expand);
        let table = match (scenario, &arguments.from_table) {
            (Some(scenario), None) => return Ok(Simulated { scenario, state: None }),
            (scenario, table) => (scenario, table.clone().flatten()),
        };
        let (scenario, table) = table;
        let (settings, runtime) = (self.settings()?, services()?);
        let FromTable { simulated, remarks } = runtime.block_on(async {
            let existing =
                from_table::open(table.as_deref(), &settings, self.data.as_deref(), runtime.handle()).await?;
            display::note(&format!("# {}, which is only read", existing.place));
            from_table::read(&existing, &settings, scenario.as_ref()).await
        })?;
        remarks.iter().for_each(|remark| display::note(&format!("# {remark}")));
        Ok(simulated)
    }
}

/// A line on standard error every two seconds.
pub(super) fn progress(lasts: Duration) -> impl FnMut(Timestamp) {
    const EVERY: Duration = Duration::from_secs(2);
    let (began, mut told) = (Instant::now(), Instant::now());
    move |at| {
        if told.elapsed() < EVERY {
            return;
        }
        told = Instant::now();
        let share = at.since(Timestamp::default()).as_secs_f64() / lasts.as_secs_f64().max(1e-9);
        let left = began.elapsed().as_secs_f64() * (1.0 / share.max(1e-9) - 1.0);
        let (simulated, of) = (at.0 as f64 / 3.6e6, lasts.as_secs_f64() / 3600.0);
        display::note(&format!("# simulated {simulated:.1} h of {of:.0} h, {left:.0} s left"));
    }
}

pub fn explain(trace: &Path, event: EventId, json: bool) -> anyhow::Result<ExitCode> {
    let traced = app::simulate::explained(trace, event)?;
    explained(&traced.event, &traced.feedback, None, json)?;
    Ok(ExitCode::SUCCESS)
}
