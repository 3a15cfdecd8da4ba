//! `agent simulate`, and explaining what it traced.

use super::explain::explained;
use crate::app;
use crate::cli::arguments::Simulate;
use crate::cli::place::VOCABULARY;
use crate::cli::{display, print};
use agent_core::config::scenario;
use agent_core::domain::ids::EventId;
use agent_core::domain::time::Timestamp;
use agent_core::sim::Options;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub fn simulate(arguments: &Simulate) -> anyhow::Result<ExitCode> {
    let scenario = scenario::load(&arguments.scenario, &VOCABULARY)?;
    let lasts = Duration::from_secs_f64(arguments.hours * 3600.0);
    let options = Options {
        policy: arguments.policy.clone(),
        seed: arguments.seed,
        lasts,
        until_converged: arguments.until_converged,
    };
    let summary = app::simulate::run(scenario, &options, arguments.trace.as_deref(), progress(lasts))?;
    let beside = print::beside(arguments.trace.as_deref());
    if arguments.json {
        beside.json(&summary)?
    } else {
        beside.lines(print::summary_lines(&summary))?
    }
    Ok(ExitCode::SUCCESS)
}

/// A line on standard error every two seconds.
fn progress(lasts: Duration) -> impl FnMut(Timestamp) {
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
