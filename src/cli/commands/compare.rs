//! `agent compare`: real runs beside simulated ones.

use super::calibrate::read;
use crate::app::{compare, real_runs};
use crate::cli::calibrate_arguments::Compare;
use crate::cli::place::services;
use crate::cli::{display, print};
use agent_core::sim;
use agent_laboratory::calibration::{Compared, Comparison, Sample, Side};
use serde::Serialize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The document that `agent compare --json` prints.
#[derive(Serialize)]
struct Document<'a> {
    agrees: bool,
    policy: &'a str,
    scenario: &'a str,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

pub fn compare(arguments: &Compare) -> anyhow::Result<ExitCode> {
    let scenario = sim::expand(read(&arguments.scenario)?);
    let runtime = services()?;
    let records = runtime.block_on(real_runs::read_all(&arguments.runs, runtime.handle()))?;
    let simulated = compare::Simulated {
        scenario: &scenario,
        policy: arguments.policy.as_deref(),
        seeds: arguments.seeds.clone(),
        limit: arguments.limit,
    };
    let (policy, comparison) = compare::run(&records, &simulated, progress(arguments))?;
    let agrees = comparison.agrees();
    if arguments.json {
        print::json(&Document { agrees, policy: &policy, scenario: &scenario.name, comparison: &comparison })?;
    } else {
        print::lines(comparison_lines(&comparison, &policy, &scenario.name))?;
    }
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line on standard error every two seconds.
fn progress(arguments: &Compare) -> impl FnMut(u64) {
    const EVERY: Duration = Duration::from_secs(2);
    let all = arguments.seeds.end() - arguments.seeds.start() + 1;
    let mut told = Instant::now();
    move |done| {
        if told.elapsed() >= EVERY {
            told = Instant::now();
            display::note(&format!("# simulated {done} of {all} runs"));
        }
    }
}

fn comparison_lines(comparison: &Comparison, policy: &str, scenario: &str) -> Vec<String> {
    let Comparison { real, real_converged, simulated, simulated_converged, measures } = comparison;
    let mut text = vec![
        format!("policy {policy}, scenario {scenario}"),
        format!("converged: {real_converged} of {real} real runs, {simulated_converged} of {simulated} simulated runs"),
        String::new(),
        "                real: mean (95 %), median           simulated: mean (95 %), median     p".to_owned(),
    ];
    text.extend(measures.iter().map(|Compared { measure, real, simulated, test, agrees }| {
        let verdict = if *agrees { "agree" } else { "DIFFER" };
        let name = measure.name();
        format!("{name:<15} {:<35} {:<34} {:<6.3} {verdict}", side(real), side(simulated), test.p)
    }));
    text.push(String::new());
    text.push(verdict(comparison));
    text
}

fn side(side: &Side) -> String {
    let Side { sample: Sample { mean, median, .. }, interval: (low, high) } = side;
    format!("{mean:.2} ({low:.2} to {high:.2}), {median:.1}")
}

fn verdict(comparison: &Comparison) -> String {
    let differing = comparison.measures.iter().filter(|one| !one.agrees);
    let differing: Vec<String> = differing
        .map(|Compared { measure, real, simulated, .. }| {
            let (real, simulated) = (real.sample.mean, simulated.sample.mean);
            let how = if simulated > real { "more" } else { "fewer" };
            format!("{:.1} {how} {} are simulated than are real", (simulated - real).abs(), measure.name())
        })
        .collect();
    match differing.is_empty() {
        true => "The simulated runs go as the real ones: at 5 % no difference is found.".to_owned(),
        false => format!("The simulated runs differ from the real ones: {}.", differing.join("; ")),
    }
}
