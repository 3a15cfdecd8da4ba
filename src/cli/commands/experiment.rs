//! `agent experiment`.

use crate::app::experiment::{
    ExperimentOptions, Mean, Outcome, Planned, Progress, Report, membership, offloading, run,
};
use crate::app::vocabulary::VOCABULARY;
use crate::cli::arguments::Experiment as Arguments;
use crate::cli::place::services;
use crate::cli::{display, print};
use agent_core::config::experiment::AnyExperiment;
use agent_core::config::{Vocabulary, experiment};
use agent_core::domain::units::show_duration;
use agent_core::sim::ALL_POLICIES;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Stopped before every run was made.
const INCOMPLETE: u8 = 3;

pub fn experiment(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let experiment = experiment::load_any(&arguments.file, &Vocabulary { policies: &ALL_POLICIES, ..VOCABULARY })?;
    let threads = arguments.threads.map_or_else(std::thread::available_parallelism, Ok)?;
    let options = ExperimentOptions {
        output: arguments.output.clone(),
        parquet: arguments.parquet.clone(),
        threads: threads.get(),
        again: arguments.again,
    };
    // After the first signal no run begins; a second one ends the process, and costs no run that is stored.
    let stopping =
        format!("# stopping when the runs under way have ended, at most {threads}; Ctrl-C again stops at once");
    let services = services()?;
    let stop = display::stop_flag(&services, stopping);
    let mut screen = Screen::new();
    let watch = |progress: Progress<'_>| screen.show(&progress);
    let outcome = match &experiment {
        AnyExperiment::Policies(experiment) => {
            let report = run(experiment, &options, &stop, watch)?;
            screen.finish();
            tell(arguments, &report, lines(&report))?;
            report.outcome
        }
        AnyExperiment::Membership(experiment) => {
            let report = membership::run(experiment, &options, services.handle(), &stop, watch)?;
            screen.finish();
            tell(arguments, &report, network_lines(&report))?;
            report.outcome
        }
        AnyExperiment::Offloading(experiment) => {
            let report = offloading::run(experiment, &options, &stop, watch)?;
            screen.finish();
            tell(arguments, &report, offloading_lines(&report))?;
            report.outcome
        }
    };
    Ok(match (outcome.failed.is_empty(), outcome.interrupted) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(INCOMPLETE),
        (true, false) => ExitCode::SUCCESS,
    })
}

fn tell(arguments: &Arguments, document: &impl Serialize, lines: Vec<String>) -> anyhow::Result<()> {
    if arguments.json { print::json(document) } else { print::lines(lines) }
}

/// A bar on a terminal, else lines now and then.
struct Screen {
    bar: Option<indicatif::ProgressBar>,
    told: Instant,
}

impl Screen {
    /// Between two lines.
    const EVERY: Duration = Duration::from_secs(10);

    fn new() -> Self {
        Self { bar: None, told: Instant::now() }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Planned { output, planned: counts } => {
                planned(output, *counts).iter().for_each(|line| self.line(line));
                self.bar = display::runs_bar(counts.missing as u64);
            }
            Progress::Made { made, of, left } => match &self.bar {
                Some(bar) => {
                    bar.set_position(*made as u64);
                    bar.set_message(format!("{} left", brief(*left)));
                }
                None if self.told.elapsed() >= Self::EVERY || made == of => {
                    self.told = Instant::now();
                    let left = if made == of { String::new() } else { format!(", {} left", brief(*left)) };
                    self.line(&format!("{made} of {of} runs made{left}"));
                }
                None => {}
            },
            Progress::Failed { why } => self.line(&format!("FAILED: {why}")),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("# {text}")),
            None => display::note(&format!("# {text}")),
        }
    }

    fn finish(&self) {
        self.bar.iter().for_each(indicatif::ProgressBar::finish_and_clear);
    }
}

/// In whole seconds, at least one.
fn brief(left: Duration) -> String {
    show_duration(Duration::from_secs((left.as_secs_f64().round() as u64).max(1)))
}

fn planned(output: &Path, planned: Planned) -> Vec<String> {
    let Planned { kept, missing, outdated, others } = planned;
    let mut lines =
        vec![format!("{}: {} runs, {kept} are stored, {missing} are to be made", output.display(), kept + missing)];
    if outdated > 0 {
        lines.push(format!(
            "{outdated} stored runs are outdated (what they are of has changed, or all are made again) and go"
        ));
    }
    if others > 0 {
        lines.push(format!("{others} stored runs are not of this grid any more; they stay"));
    }
    lines
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = head(&report.outcome);
    lines.extend([
        String::new(),
        format!(
            "{:<16} {:<28} {:<14} {:>5}  violated jobs, mean and 95 % interval",
            "scenario", "factors", "policy", "runs"
        ),
    ]);
    lines.extend(report.violated.iter().map(|row| {
        let factors = if row.factors == "{}" { "" } else { &row.factors };
        let mean = format!("{:.2}  ({:.2} to {:.2})", row.mean, row.low, row.high);
        format!("{:<16} {factors:<28} {:<14} {:>5}  {mean}", row.scenario, row.policy, row.runs)
    }));
    lines.extend(report.outcome.failed.iter().map(|why| format!("FAILED: {why}")));
    lines
}

/// What all kinds say first.
fn head(outcome: &Outcome) -> Vec<String> {
    let Outcome { experiment, runs, kept, made, interrupted, real_seconds, output, parquet, .. } = outcome;
    let state = if *interrupted { "STOPPED" } else { "done" };
    let mut lines = vec![format!(
        "{experiment}: {state}; {} of {runs} runs in {} ({made} made in {real_seconds:.1} s)",
        kept + made,
        output.display()
    )];
    lines.extend(parquet.iter().map(|file| format!("written {}", file.display())));
    lines
}

fn network_lines(report: &membership::Report) -> Vec<String> {
    let mut lines = head(&report.outcome);
    lines.extend([
        String::new(),
        format!(
            "{:>6} {:>7} {:>8} {:>5} {:>7} {:>5}  {:<24} {:>8} {:>10} {:>8}",
            "nodes",
            "fan-out",
            "interval",
            "lost",
            "stopped",
            "runs",
            "rounds until all know all",
            "messages",
            "bytes",
            "answered"
        ),
    ]);
    let share = |share: f64| format!("{:.0} %", share * 100.0);
    lines.extend(report.networks.iter().map(|row| {
        let rounds = row.rounds.map_or_else(
            || "not reached".to_owned(),
            |rounds| format!("{:.2}  ({:.2} to {:.2})", rounds.mean, rounds.low, rounds.high),
        );
        format!(
            "{:>6} {:>7} {:>8} {:>5} {:>7} {:>5}  {rounds:<25} {:>8.1} {:>10.0} {:>8}",
            row.nodes,
            row.fan_out,
            format!("{} s", row.interval_s),
            share(row.loss),
            share(row.failures),
            row.runs,
            row.messages_per_node_round,
            row.bytes_per_node_round,
            row.answered.map_or_else(|| "-".to_owned(), share)
        )
    }));
    if !report.networks.is_empty() {
        lines.push("messages and bytes: what a node sends in a round".to_owned());
    }
    lines.extend(report.outcome.failed.iter().map(|why| format!("FAILED: {why}")));
    lines
}

fn offloading_lines(report: &offloading::Report) -> Vec<String> {
    let mut lines = head(&report.outcome);
    lines.extend([
        String::new(),
        format!(
            "{:>9} {:>7} {:>5} {:>8}  {:<28} passed over for each user",
            "threshold", "failed", "runs", "served", "latency (ms)"
        ),
    ]);
    let share = |share: f64| format!("{:.0} %", share * 100.0);
    let mean = |mean: Option<Mean>| {
        mean.map_or_else(|| "-".to_owned(), |Mean { mean, low, high }| format!("{mean:.2}  ({low:.2} to {high:.2})"))
    };
    lines.extend(report.points.iter().map(|row| {
        format!(
            "{:>9} {:>7} {:>5} {:>8}  {:<28} {}",
            share(row.cpu_threshold),
            share(row.failures),
            row.runs,
            row.served.map_or_else(|| "-".to_owned(), |served| share(served.mean)),
            mean(row.latency_ms),
            mean(row.passed_over)
        )
    }));
    if !report.found.is_empty() {
        lines.push(String::new());
        lines.extend(report.found.iter().cloned());
    }
    lines
}
