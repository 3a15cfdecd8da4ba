//! `agent experiment`: what is not stored yet of an experiment is made and stored. Of policies here; of membership in `membership`,
//! on real sockets in `real_network`; of offloading in `offloading`.

pub mod membership;
pub mod offloading;
mod real_network;

use super::{Failure, output};
use agent_core::config::experiment::Experiment;
use agent_laboratory::experiments::resume::{Plan, plan};
use agent_laboratory::experiments::{Cell, cells, perform};
use agent_laboratory::report::statistics::{Bootstrap, Estimate};
use agent_laboratory::results::{Database, DatabaseError, Factors, Json, Run, export};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// How an experiment is carried out.
#[derive(Clone, PartialEq, Debug)]
pub struct ExperimentOptions {
    /// The database; NAME.db here, when it is not named.
    pub output: Option<PathBuf>,
    /// A folder for the same as Parquet files.
    pub parquet: Option<PathBuf>,
    pub threads: usize,
    /// What is stored is made again.
    pub again: bool,
}

/// How many runs there are of each sort before anything is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Are stored, and stay.
    pub kept: usize,
    pub missing: usize,
    /// Are stored, and go.
    pub outdated: usize,
    /// Are stored and not asked for, and stay.
    pub others: usize,
}

impl Planned {
    fn of<C>(plan: &Plan<'_, C>) -> Self {
        let Plan { kept, outdated, others, missing } = plan;
        Self { kept: *kept, missing: missing.len(), outdated: outdated.len(), others: *others }
    }
}

/// What people are told while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Before anything is made.
    Planned {
        output: &'a Path,
        planned: Planned,
    },
    Made {
        made: usize,
        of: usize,
        left: Duration,
    },
    /// An invariant was broken; the other runs go on.
    Failed {
        why: &'a str,
    },
}

/// How an experiment was carried out, of whichever kind it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Outcome {
    pub experiment: String,
    pub output: PathBuf,
    pub parquet: Vec<PathBuf>,
    /// Of the grid.
    pub runs: usize,
    /// Of these, those that were there before.
    pub kept: usize,
    pub made: usize,
    /// Runs that were there and went, for what they were of has changed.
    pub outdated: usize,
    /// Runs that are stored beside the grid's.
    pub others: usize,
    /// Runs that broke an invariant or could not be made, and why; they are not stored.
    pub failed: Vec<String>,
    /// It was stopped before all runs were made.
    pub interrupted: bool,
    pub real_seconds: f64,
}

/// A mean, and where it lies with 95 % confidence; a single run is its own.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Mean {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl From<Estimate> for Mean {
    fn from(estimate: Estimate) -> Self {
        Self { mean: estimate.mean, low: estimate.low(), high: estimate.high() }
    }
}

/// The document that `agent experiment --json` prints.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Violated jobs in a run, by scenario, factors and policy, of all that is stored.
    pub violated: Vec<Violated>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Violated {
    pub scenario: String,
    pub factors: String,
    pub policy: String,
    pub runs: usize,
    pub mean: f64,
    /// Where the mean lies with 95 % confidence; a single run is its own.
    pub low: f64,
    pub high: f64,
}

/// Makes and stores what is missing, until it is told to stop.
pub fn run(
    experiment: &Experiment,
    options: &ExperimentOptions,
    stop: &AtomicBool,
    mut watch: impl FnMut(Progress<'_>),
) -> anyhow::Result<Report> {
    let output = output_file(options, &experiment.name)?;
    let mut database = Database::open(&output, &experiment.name, &experiment.about, WRITTEN_BY)?;
    let cells = cells(experiment);
    let plan = plan(experiment, &cells, &database.runs()?, options.again);
    watch(Progress::Planned { output: &output, planned: Planned::of(&plan) });
    database.remove(&plan.outdated)?;

    let effort = |cell: &Cell| agents(experiment, cell);
    let mut work = Work::of(plan.missing.iter().map(|(_, cell)| effort(cell)));
    let wanted: Vec<(i64, &Cell)> = plan.missing.clone();
    perform(experiment, &wanted, options.threads, stop, |cell, results| {
        match results {
            Ok(results) => database.store(&results)?,
            Err(error) => {
                let place = &cell.place;
                let why = format!(
                    "{} with {}, {}, seed {}: {error}",
                    place.scenario,
                    place.policy,
                    Json(&place.factors),
                    place.seed
                );
                watch(Progress::Failed { why: &why });
                work.failed.push(why);
            }
        }
        watch(work.ended(effort(cell)));
        Ok::<(), DatabaseError>(())
    })?;

    let parquet = exported(&database, options)?;
    let outcome = work.outcome(&experiment.name, output, parquet, cells.len(), &plan);
    Ok(Report { outcome, violated: violated(&database.runs()?) })
}

/// Says who wrote a file.
pub(super) const WRITTEN_BY: &str = concat!("agent ", env!("CARGO_PKG_VERSION"));

fn output_file(options: &ExperimentOptions, name: &str) -> anyhow::Result<PathBuf> {
    let output = options.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.db")));
    if !output::is_file(&output) {
        let problem = format!(
            "--output {}: an experiment's file is a database, to which every run is added; name a file",
            output.display()
        );
        return Err(Failure::Configuration(problem).into());
    }
    Ok(output)
}

fn exported(database: &Database, options: &ExperimentOptions) -> anyhow::Result<Vec<PathBuf>> {
    match &options.parquet {
        Some(folder) => Ok(export(database, folder)?),
        None => Ok(Vec::new()),
    }
}

/// Scenario, factors and policy.
type Group<'a> = (&'a str, &'a Factors, &'a str);

fn violated(runs: &[Run]) -> Vec<Violated> {
    let mut groups: BTreeMap<Group<'_>, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        groups.entry((&run.scenario, &run.factors.0, &run.policy)).or_default().push(run);
    }
    let mut bootstrap = Bootstrap::default();
    let violated = |((scenario, factors, policy), mut runs): (Group<'_>, Vec<&Run>)| {
        // The interval is drawn from them in this order, whichever was stored first.
        runs.sort_by_key(|run| run.seed);
        let values: Vec<f64> = runs.iter().map(|run| run.violated as f64).collect();
        let estimate = bootstrap.mean(&values)?;
        Some(Violated {
            scenario: scenario.to_owned(),
            factors: Json(factors).to_string(),
            policy: policy.to_owned(),
            runs: estimate.values,
            mean: estimate.mean,
            low: estimate.low(),
            high: estimate.high(),
        })
    };
    groups.into_iter().filter_map(violated).collect()
}

/// How much is done, as runs of different sizes count: a network of a thousand takes longer than one of three.
struct Work {
    began: Instant,
    missing: usize,
    ended: usize,
    failed: Vec<String>,
    done: u64,
    all: u64,
}

impl Work {
    /// `efforts`: of each run that is missing.
    fn of(efforts: impl ExactSizeIterator<Item = u64>) -> Self {
        let (began, missing) = (Instant::now(), efforts.len());
        Self { began, missing, ended: 0, failed: Vec::new(), done: 0, all: efforts.sum() }
    }

    /// One more run, whether it was made or failed.
    fn ended(&mut self, effort: u64) -> Progress<'static> {
        self.ended += 1;
        self.done += effort;
        let share = self.all.saturating_sub(self.done) as f64 / self.done.max(1) as f64;
        Progress::Made { made: self.ended, of: self.missing, left: self.began.elapsed().mul_f64(share) }
    }

    /// `runs`: of the grid.
    fn outcome<C>(
        self,
        experiment: &str,
        output: PathBuf,
        parquet: Vec<PathBuf>,
        runs: usize,
        plan: &Plan<'_, C>,
    ) -> Outcome {
        Outcome {
            experiment: experiment.to_owned(),
            output,
            parquet,
            runs,
            kept: plan.kept,
            made: self.ended - self.failed.len(),
            outdated: plan.outdated.len(),
            others: plan.others,
            interrupted: self.ended < self.missing,
            failed: self.failed,
            real_seconds: self.began.elapsed().as_secs_f64(),
        }
    }
}

fn agents(experiment: &Experiment, cell: &Cell) -> u64 {
    let scenario = &experiment.subjects[cell.subject].scenario;
    scenario.generate.as_ref().map_or(scenario.agents.len() as u64, |generate| u64::from(generate.nodes))
}
