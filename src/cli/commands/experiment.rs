//! `agent experiment`.

use crate::app::experiment::{ExperimentOptions, Progress, Report, run};
use crate::app::vocabulary::VOCABULARY;
use crate::cli::arguments::Experiment as Arguments;
use crate::cli::place::services;
use crate::cli::{display, print};
use agent_core::config::{Vocabulary, experiment};
use agent_core::domain::units::show_duration;
use agent_core::sim::ALL_POLICIES;
use agent_laboratory::experiments::resume::Plan;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Stopped before every run was made.
const INCOMPLETE: u8 = 3;

pub fn experiment(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let experiment = experiment::load(&arguments.file, &Vocabulary { policies: &ALL_POLICIES, ..VOCABULARY })?;
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
    let report = run(&experiment, &options, &stop, |progress| screen.show(&progress))?;
    screen.finish();
    if arguments.json {
        print::json(&report)?
    } else {
        print::lines(lines(&report))?
    }
    Ok(match (report.failed.is_empty(), report.interrupted) {
        (false, _) => ExitCode::FAILURE,
        (true, true) => ExitCode::from(INCOMPLETE),
        (true, false) => ExitCode::SUCCESS,
    })
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
            Progress::Planned { output, plan } => {
                planned(output, plan).iter().for_each(|line| self.line(line));
                self.bar = display::runs_bar(plan.missing.len() as u64);
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

fn planned(output: &Path, plan: &Plan<'_>) -> Vec<String> {
    let (kept, missing) = (plan.kept, plan.missing.len());
    let mut lines =
        vec![format!("{}: {} runs, {kept} are stored, {missing} are to be made", output.display(), kept + missing)];
    if !plan.outdated.is_empty() {
        let outdated = plan.outdated.len();
        lines.push(format!(
            "{outdated} stored runs are outdated (their scenario or hours changed, or all are made again) and go"
        ));
    }
    if plan.others > 0 {
        lines.push(format!("{} stored runs are not of this grid any more; they stay", plan.others));
    }
    lines
}

fn lines(report: &Report) -> Vec<String> {
    let Report { experiment, runs, kept, made, .. } = report;
    let state = if report.interrupted { "STOPPED" } else { "done" };
    let took = format!("{:.1} s", report.real_seconds);
    let mut lines = vec![format!(
        "{experiment}: {state}; {} of {runs} runs in {} ({made} made in {took})",
        kept + made,
        report.output.display()
    )];
    lines.extend(report.parquet.iter().map(|file| format!("written {}", file.display())));
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
    lines.extend(report.failed.iter().map(|why| format!("FAILED: {why}")));
    lines
}
