//! `agent explore`.

use crate::app::explore::{ExploreOptions, Progress, Report, run};
use crate::cli::place::services;
use crate::cli::{display, print};
use agent_core::domain::units::show_duration;
use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent explore --minutes 10
  agent explore --seed 7 --worlds 1000 --json
  agent explore --seed 7 --first 123 --worlds 1

World N of a seed is always the same. Each failure is written as a scenario, made as small as it still fails, with the command
that shows it again. Ctrl-C ends it with what was found so far.

Exit code 0: nothing failed; 1: something did, or cannot be written.")]
pub struct Explore {
    /// No world begins after so many minutes [default: 10, without --worlds]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub minutes: Option<u64>,
    /// The source of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many worlds at most
    #[arg(long)]
    pub worlds: Option<u64>,
    /// The number of the first world
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Worlds at the same time [default: one on each core]
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// The folder for scenarios that fail
    #[arg(long, value_name = "DIR", default_value = "found")]
    pub output: PathBuf,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

const DEFAULT_MINUTES: u64 = 10;

pub fn explore(arguments: &Explore) -> anyhow::Result<ExitCode> {
    let minutes = match (arguments.minutes, arguments.worlds) {
        (None, None) => Some(DEFAULT_MINUTES),
        (minutes, _) => minutes,
    };
    let last = arguments.worlds.map_or(u64::MAX, |worlds| arguments.first.saturating_add(worlds));
    let options = ExploreOptions {
        seed: arguments.seed,
        worlds: arguments.first..last,
        lasts: minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        threads: arguments.threads.map_or_else(std::thread::available_parallelism, Ok)?.get(),
        output: arguments.output.clone(),
    };
    let stopping = "# stopping when the worlds under way have ended; Ctrl-C again stops at once".to_owned();
    let services = services()?;
    let stop = display::stop_flag(&services, stopping);
    let mut told = Instant::now();
    let report = run(&options, &stop, |progress| show(&progress, &mut told))?;
    if arguments.json {
        print::json(&report)?
    } else {
        print::lines(lines(&report))?
    }
    Ok(if report.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// On standard error: failures at once, how far it has come now and then.
fn show(progress: &Progress<'_>, told: &mut Instant) {
    const EVERY: Duration = Duration::from_secs(10);
    match progress {
        Progress::Found(found) => {
            display::note(&format!("# FAILED: world {}: {}; {}", found.world, found.failure.what, found.file.display()))
        }
        Progress::Ran { worlds, failures, elapsed } if told.elapsed() >= EVERY => {
            *told = Instant::now();
            let rate = *worlds as f64 / elapsed.as_secs_f64().max(1e-9);
            let passed = show_duration(Duration::from_secs(elapsed.as_secs()));
            display::note(&format!("# {worlds} worlds in {passed} ({rate:.1} in a second), {failures} failed"));
        }
        Progress::Ran { .. } => {}
    }
}

fn lines(report: &Report) -> Vec<String> {
    let Report { seed, worlds, real_seconds, found, coverage, missing } = report;
    let mut lines =
        vec![format!("{worlds} worlds of seed {seed} in {real_seconds:.1} s, {} failed", found.len()), String::new()];
    for (group, items) in &coverage.seen {
        let items: Vec<String> = items.iter().map(|(item, times)| format!("{item} {times}")).collect();
        lines.push(format!("{group:<18} {}", items.join(", ")));
    }
    if !missing.is_empty() {
        lines.push(format!("{:<18} {}", "never seen", missing.join(", ")));
    }
    for found in found {
        let file = found.file.display();
        lines.push(format!("FAILED: world {}: {}", found.world, found.failure.what));
        lines.push(format!("        agent simulate --scenario {file} --seed {}", found.seed));
    }
    lines
}
