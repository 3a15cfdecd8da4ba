//! Experiments of offloading: what the balancer makes of every threshold and share of failures.

use super::{ExperimentOptions, Mean, Outcome, Planned, Progress, WRITTEN_BY, Work, exported, output_file};
use agent_core::config::experiment::offloading::{OffloadingExperiment, Plane};
use agent_laboratory::experiments::in_parallel;
use agent_laboratory::experiments::offloading::{OffloadingCell, cells, plan};
use agent_laboratory::report::offloading::{findings, latency, passed_over, points, sentences, served};
use agent_laboratory::report::statistics::Bootstrap;
use agent_laboratory::results::{Database, DatabaseError, FileKind, OffloadingRun};
use agent_load::balancer::offloading;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};

/// The document that `agent experiment --json` prints.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub outcome: Outcome,
    /// All that is stored, without the seeds.
    pub points: Vec<Row>,
    /// Of each threshold.
    pub bears: Vec<Bears>,
    /// What was found, in words.
    pub found: Vec<String>,
}

/// Runs that differ in their seeds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    pub cpu_threshold: f64,
    /// Share of the servers.
    pub failures: f64,
    pub runs: usize,
    /// Share of the users.
    pub served: Option<Mean>,
    /// Of those who are served; none where nobody is.
    pub latency_ms: Option<Mean>,
    /// Servers, for each user.
    pub passed_over: Option<Mean>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Bears {
    pub cpu_threshold: f64,
    /// The largest share of failures up to which everybody is served in every run; none where not everybody ever is.
    pub failures: Option<f64>,
}

/// Makes and stores what is missing, until it is told to stop.
pub fn run(
    experiment: &OffloadingExperiment,
    options: &ExperimentOptions,
    stop: &AtomicBool,
    mut watch: impl FnMut(Progress<'_>),
) -> anyhow::Result<Report> {
    let output = output_file(options, &experiment.name)?;
    let kind = FileKind::Offloading;
    let mut database = Database::open_as(kind, &output, &experiment.name, &experiment.about, WRITTEN_BY)?;
    let cells = cells(experiment);
    let plan = plan(experiment, &cells, &database.offloading_runs()?, options.again);
    watch(Progress::Planned { output: &output, planned: Planned::of(&plan) });
    database.remove(&plan.outdated)?;

    // All take about as long.
    let mut work = Work::of(plan.missing.iter().map(|_| 1));
    in_parallel(
        options.threads,
        plan.missing.iter().copied(),
        || !stop.load(Ordering::Relaxed),
        |(id, cell)| make(&experiment.plane, id, cell),
        |run| {
            database.store_offloading(&run)?;
            watch(work.ended(1));
            Ok::<(), DatabaseError>(())
        },
    )?;

    let parquet = exported(&database, options)?;
    let outcome = work.outcome(&experiment.name, output, parquet, cells.len(), &plan);
    Ok(report(outcome, &database.offloading_runs()?))
}

fn make(plane: &Plane, id: i64, cell: &OffloadingCell) -> OffloadingRun {
    let offloading::Outcome { served_share, mean_latency_ms, violations } =
        offloading::outcome(plane, cell.failures, cell.cpu_threshold, cell.seed);
    OffloadingRun { served_share, mean_latency_ms, violations, ..cell.row(plane, id) }
}

fn report(outcome: Outcome, runs: &[OffloadingRun]) -> Report {
    let mut bootstrap = Bootstrap::default();
    let points = points(runs);
    let findings = findings(&points, &mut bootstrap);
    let rows = points.iter().map(|point| {
        let mut mean = |of: fn(&OffloadingRun) -> Option<f64>| point.mean(&mut bootstrap, of).map(Mean::from);
        Row {
            cpu_threshold: point.cpu_threshold,
            failures: point.failures,
            runs: point.runs.len(),
            served: mean(served),
            latency_ms: mean(latency),
            passed_over: mean(passed_over),
        }
    });
    let rows = rows.collect();
    let bears = findings.iter().map(|finding| Bears {
        cpu_threshold: finding.cpu_threshold,
        failures: finding.bears.map(|state| state.failures),
    });
    // In a terminal and in a document lines break where they may.
    let found = sentences(&findings).iter().map(|sentence| sentence.replace('\u{a0}', " ")).collect();
    Report { outcome, points: rows, bears: bears.collect(), found }
}
