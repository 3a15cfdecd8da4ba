//! `agent report`: what a database holds, as a page and as tables.

use super::{Failure, database, output, summary};
use crate::knowledge::sqlite::SqliteKnowledge;
use crate::knowledge::{Knowledge, SharedTable};
use agent_batch::figures::Times;
use agent_batch::table::{BatchTable, latest};
use agent_core::clock::Clock;
use agent_core::config::settings::DatabaseUrl;
use agent_core::domain::event::Event;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::time::Timestamp;
use agent_core::mape::planner::{Basis, Decision, Deliberation, Opinion, Reason, Scored, Verdict};
use agent_laboratory::report::curve::Curve;
use agent_laboratory::report::experiment::comparison::{Case, Comparison};
use agent_laboratory::report::experiment::tables as experiment_tables;
use agent_laboratory::report::experiment::wanted::Wanted;
use agent_laboratory::report::experiment::{self, Content, Experiment, Run, Shown};
use agent_laboratory::report::load::{self, Beside, Drawing, Drawn, LoadRun, Loads};
use agent_laboratory::report::membership::{self, Networks};
use agent_laboratory::report::network::batch::{Batch, BatchJob, BatchTimes, BatchWorker};
use agent_laboratory::report::network::tables as network_tables;
use agent_laboratory::report::network::{self, Act, Candidate, Course, Explanation, Job, Network};
use agent_laboratory::report::offloading::{self, Offloading};
use agent_laboratory::report::statistics::Bootstrap;
use agent_laboratory::report::table::Table;
use agent_laboratory::results::{Contents, ExperimentFile, FileKind, contents};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Measurements are read in pages of so many.
const PAGE: usize = 1000;

/// A page and its tables.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What it is about, in a line.
    pub about: String,
    pub html: String,
    pub tables: Vec<Table>,
}

/// Reads a file, whichever kind it is. `wanted`: runs of an experiment whose placement is to be shown.
pub async fn of_file(path: &Path, wanted: &[Wanted], clock: &Arc<dyn Clock>) -> anyhow::Result<Report> {
    match contents(path)? {
        Contents::Experiment(FileKind::Policies) => of_experiment(path, wanted),
        Contents::Experiment(FileKind::Membership) => of_networks(path, wanted),
        Contents::Experiment(FileKind::Offloading) => of_offloading(path, wanted),
        Contents::Experiment(FileKind::Load) => of_loads(path, wanted),
        Contents::Network => {
            let table = SharedTable::new(SqliteKnowledge::open_to_read(path, clock.clone())?);
            of_network(&table, path.display().to_string(), wanted).await
        }
    }
}

/// Reads the shared table in a server. `services` carries the connections.
pub async fn of_server(
    url: &DatabaseUrl,
    wanted: &[Wanted],
    clock: &Arc<dyn Clock>,
    services: &Handle,
) -> anyhow::Result<Report> {
    of_network(&database::open(url, clock, services).await?, url.to_string(), wanted).await
}

/// Writes the page and its tables.
pub fn write(report: &Report, page: &Path, csv: Option<&Path>) -> anyhow::Result<()> {
    output::write(page, report.html.as_bytes(), "--output")?;
    let Some(folder) = csv else { return Ok(()) };
    let failed = || format!("{}: cannot be written; name another folder with --csv", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    let table =
        |table: &Table| output::write(&folder.join(format!("{}.csv", table.name)), table.csv().as_bytes(), "--csv");
    report.tables.iter().try_for_each(table)
}

fn of_experiment(path: &Path, wanted: &[Wanted]) -> anyhow::Result<Report> {
    let file = ExperimentFile::open(path)?;
    let experiment = Experiment { head: file.head()?, runs: file.runs()? };
    let comparison = Comparison::of(&experiment);
    let shown = shown(&file, &experiment, &comparison, wanted)?;
    let curves = comparison.cases.iter().map(|case| curves(&file, case)).collect::<anyhow::Result<Vec<_>>>()?;
    let content = Content { experiment: &experiment, comparison: &comparison, curves: &curves, shown: &shown };
    Ok(Report {
        about: format!("experiment {}, {} runs", experiment.head.name, experiment.runs.len()),
        html: experiment::page(&content),
        tables: vec![
            experiment_tables::verdicts(&comparison),
            experiment_tables::policies(&comparison),
            experiment_tables::runs(&experiment),
            experiment_tables::curves(&comparison, &curves),
            experiment_tables::placements(&shown),
        ],
    })
}

fn of_networks(path: &Path, wanted: &[Wanted]) -> anyhow::Result<Report> {
    if let Some(one) = wanted.first() {
        let problem = format!("--run {one}: an experiment of membership has no placements; leave --run out");
        return Err(Failure::Configuration(problem).into());
    }
    let file = ExperimentFile::open(path)?;
    let networks = Networks { head: file.head()?, runs: file.networks()? };
    let cases = membership::cases(&networks);
    let rounds = |case: &membership::Case| {
        case.drawn().into_iter().map(|run| Ok(file.network_rounds(run.id)?)).collect::<anyhow::Result<Vec<_>>>()
    };
    let rounds = cases.iter().map(rounds).collect::<anyhow::Result<Vec<_>>>()?;
    let mut bootstrap = Bootstrap::default();
    Ok(Report {
        about: format!("experiment {}, {} runs", networks.head.name, networks.runs.len()),
        html: membership::page(&membership::Content { networks: &networks, cases: &cases, rounds: &rounds }),
        tables: vec![
            membership::tables::summary(&cases, &mut bootstrap),
            membership::tables::points(&cases, "Means of runs".to_owned(), &mut bootstrap),
            membership::tables::networks(&networks),
            membership::tables::rounds(&cases, &rounds),
        ],
    })
}

fn of_offloading(path: &Path, wanted: &[Wanted]) -> anyhow::Result<Report> {
    if let Some(one) = wanted.first() {
        let problem = format!("--run {one}: an experiment of offloading has no placements; leave --run out");
        return Err(Failure::Configuration(problem).into());
    }
    let file = ExperimentFile::open(path)?;
    let offloading = Offloading { head: file.head()?, runs: file.offloading_runs()? };
    let points = offloading::points(&offloading.runs);
    let mut bootstrap = Bootstrap::default();
    Ok(Report {
        about: format!("experiment {}, {} runs", offloading.head.name, offloading.runs.len()),
        html: offloading::page(&offloading),
        tables: vec![
            offloading::tables::summary(&offloading::findings(&points, &mut bootstrap)),
            offloading::tables::points(&points, &mut bootstrap),
            offloading::tables::runs(&offloading),
        ],
    })
}

fn of_loads(path: &Path, wanted: &[Wanted]) -> anyhow::Result<Report> {
    if let Some(one) = wanted.first() {
        let problem = format!("--run {one}: load has no placements; leave --run out");
        return Err(Failure::Configuration(problem).into());
    }
    let file = ExperimentFile::open(path)?;
    let loads = Loads { head: file.head()?, runs: file.load_runs()? };
    let drawn = loads.drawn().map(|run| drawn(&file, run)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Report {
        about: format!("load {}, {} runs", loads.head.name, loads.runs.len()),
        html: load::page(&load::Content { loads: &loads, drawn: &drawn }),
        tables: vec![
            load::tables::runs(&loads, &drawn),
            load::tables::percentiles(&drawn),
            load::tables::course(&drawn),
            load::tables::hosts(&drawn),
            load::tables::telemetry(&drawn),
            load::tables::happened(&drawn),
        ],
    })
}

/// Its requests are read one after the other: there may be millions of them.
fn drawn<'a>(file: &ExperimentFile, run: &'a LoadRun) -> anyhow::Result<Drawn<'a>> {
    let beside = Beside {
        hosts: file.of_load(run.id)?,
        telemetry: file.of_load(run.id)?,
        markers: file.of_load(run.id)?,
        events: file.of_load(run.id)?,
        measurements: file.of_load(run.id)?,
    };
    let mut drawing = Drawing::new(run, file.trace_extent(run.id)?, beside);
    file.for_each_trace(run.id, |trace| drawing.hear(trace))?;
    Ok(drawing.drawn())
}

/// A curve for each contender. The runs of one at a time are in memory.
fn curves(file: &ExperimentFile, case: &Case) -> anyhow::Result<Vec<Curve>> {
    let curve = |runs: &[&Run]| {
        let samples = runs.iter().map(|run| Ok(experiment::violated(&file.series(run.id)?)));
        let samples = samples.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Curve::of(&samples))
    };
    case.contenders.iter().map(|contender| curve(&contender.runs)).collect()
}

/// The runs that somebody wants to see; of the other scenarios a typical one of the policy that won.
fn shown<'a>(
    file: &ExperimentFile,
    experiment: &'a Experiment,
    comparison: &Comparison<'a>,
    wanted: &[Wanted],
) -> anyhow::Result<Vec<Shown<'a>>> {
    let mut runs: Vec<(&Run, bool)> = Vec::new();
    for one in wanted {
        let found = one.find(experiment);
        if found.is_empty() {
            let problem = format!("--run {one}: there is no such run; runs.csv of --csv lists them");
            return Err(Failure::Configuration(problem).into());
        }
        runs.extend(found.into_iter().map(|run| (run, true)));
    }
    for case in &comparison.cases {
        let is_shown = runs.iter().any(|(run, _)| run.scenario == case.scenario && run.factors.0 == *case.factors);
        let contender = case.winner().or(case.contenders.first());
        if let Some(run) = contender.and_then(|contender| contender.typical()).filter(|_| !is_shown) {
            runs.push((run, false));
        }
    }
    let shown = |(run, is_wanted): (&'a Run, bool)| {
        Ok(Shown { run, history: experiment::history(run, file.placements(run.id)?), is_wanted })
    };
    let all: anyhow::Result<Vec<Shown>> = runs.into_iter().map(shown).collect();
    Ok(all?.into_iter().filter(|shown| !shown.history.changes.is_empty()).collect())
}

async fn of_network(table: &SharedTable, address: String, wanted: &[Wanted]) -> anyhow::Result<Report> {
    if let Some(one) = wanted.first() {
        let problem = format!("--run {one}: {address} is a network\u{2019}s table, not an experiment; leave --run out");
        return Err(Failure::Configuration(problem).into());
    }
    let network = network(table.knowledge.as_ref(), address).await?;
    let network = Network { batch: batch_jobs(table.batch.as_ref()).await?, ..network };
    let jobs: usize = network.data_sets.iter().map(|course| course.jobs.len()).sum();
    Ok(Report {
        about: format!("network {}, {jobs} jobs", network.address),
        html: network::page(&network),
        tables: network_tables::all(&network),
    })
}

/// All batch jobs, from the first submission on.
async fn batch_jobs(table: &dyn BatchTable) -> anyhow::Result<Batch> {
    let mut jobs = latest(table, &[], usize::MAX).await?;
    jobs.reverse();
    let Some(began) = jobs.first().map(|(job, _)| job.submitted_at) else { return Ok(Batch::default()) };
    let second = |at: Timestamp| at.since(began).as_secs_f64();
    let job = |(job, _): &(agent_batch::job::Job, Vec<agent_batch::job::Task>)| BatchJob {
        id: job.id.0,
        name: job.specification.name.clone(),
        state: job.state.name(),
        submitted_s: second(job.submitted_at),
        times: Times::of(job).map(|times| BatchTimes {
            waiting_s: times.waiting.as_secs_f64(),
            execution_s: times.execution.as_secs_f64(),
            total_s: times.total.as_secs_f64(),
        }),
    };
    let mut workers: BTreeMap<u32, BatchWorker> = BTreeMap::new();
    for sample in table.utilisation(began).await? {
        let new = || BatchWorker { node: sample.node.0, cores: Vec::new(), samples: Vec::new() };
        let worker = workers.entry(sample.node.0).or_insert_with(new);
        worker.cores = sample.cores.to_vec();
        worker.samples.push((second(sample.at), sample.busy.to_vec()));
    }
    Ok(Batch { jobs: jobs.iter().map(job).collect(), workers: workers.into_values().collect() })
}

async fn network(knowledge: &dyn Knowledge, address: String) -> anyhow::Result<Network> {
    let mut data_sets = Vec::new();
    for name in knowledge.data_sets().await? {
        let Some(snapshot) = knowledge.snapshot(&name).await? else { continue };
        data_sets.push(Course { snapshot, jobs: Vec::new(), acts: Vec::new(), charges: Vec::new() });
    }
    let course_of =
        |data_sets: &[Course], name| data_sets.iter().position(|course| course.snapshot.data_set.name == name);
    let mut seen = 0;
    loop {
        let page = knowledge.measurements(seen, PAGE).await?;
        let is_last = page.len() < PAGE;
        for recorded in page {
            seen = recorded.id;
            // In the course of each data set that it read.
            for measurement in recorded.measurement.by_data_set() {
                if let Some(course) = course_of(&data_sets, measurement.data_set.clone()) {
                    data_sets[course].jobs.push(Job { measurement, satisfied: recorded.satisfied });
                }
            }
        }
        if is_last {
            break;
        }
    }
    for event in summary::all_events(knowledge).await? {
        // Most events are answered by nobody.
        let feedback = if event.feedback_sum > 0.0 { knowledge.feedback(event.id).await? } else { Vec::new() };
        if let Some(course) = course_of(&data_sets, event.data_set.clone()) {
            let explanation = explanation(&event);
            data_sets[course].acts.push(Act { event, explanation, feedback });
        }
    }
    for charge in knowledge.charges(Timestamp(i64::MIN)).await? {
        if let Some(course) = course_of(&data_sets, charge.cause.data_set.clone()) {
            data_sets[course].charges.push(charge);
        }
    }
    data_sets.iter_mut().for_each(|course| course.jobs.sort_by_key(|job| job.measurement.at));
    Ok(Network { address, data_sets, batch: Batch::default() })
}

/// What an event's report says; `None` when this version cannot read it.
fn explanation(event: &Event) -> Option<Explanation> {
    let decision: Decision = serde_json::from_str(&event.detail).ok()?;
    let report: serde_json::Value = serde_json::from_str(&event.detail).ok()?;
    let mut scored: Vec<&Scored> = decision.scored.iter().collect();
    scored.sort_by(|a, b| b.global().total_cmp(&a.global()));
    let deliberated = decision.deliberation.as_ref().map(|deliberation| deliberated(&decision, deliberation));
    Some(Explanation {
        candidates: deliberated.into_iter().chain(scored.into_iter().map(candidate)).collect(),
        because: decision.because(),
        failure: report.get("failure").and_then(|failure| failure.as_str()).map(str::to_owned),
        reference_node: Some(decision.reference_node),
        replica_nodes: decision.replica_nodes.iter().copied().collect::<std::collections::BTreeSet<NodeId>>(),
        left_out: decision.left_out,
        policy: decision.policy,
        violated: decision.violated,
    })
}

/// What peers said of the plan that an action is a part of.
fn deliberated(decision: &Decision, deliberation: &Deliberation) -> Candidate {
    let said = |(agent, Opinion { forecast, weight }): (&AgentId, &Opinion)| match forecast {
        Some(forecast) => format!("agent {agent} forecasts {forecast:+.2} for itself, which counts {weight:.2}"),
        None => format!("agent {agent} has not answered"),
    };
    let peers: Vec<String> = deliberation.peers.iter().map(said).collect();
    let score = match decision.chosen.reason {
        Reason::Planned { gain } | Reason::Better { gain } => Some(gain),
        _ => None,
    };
    Candidate { action: decision.chosen.action, score, why: peers.join("; ") }
}

fn candidate(scored: &Scored) -> Candidate {
    let (score, why) = match &scored.verdict {
        Verdict::Infeasible { why } => (None, why.clone()),
        Verdict::Feasible { basis, cost, internal, counter, global, .. } => {
            let predicted = if *basis == Basis::Predicted { ", predicted" } else { "" };
            let why = format!("{internal:+.2} for its own goal at cost {cost}{predicted}, counter {counter}");
            (Some(*global), why)
        }
        Verdict::Valued { value, trials: 0, score } => (Some(*score), format!("expected to be worth {value:.2}")),
        Verdict::Valued { value, trials, score } => {
            (Some(*score), format!("worth {value:.2} so far, tried {trials} times"))
        }
    };
    Candidate { action: scored.action, score, why }
}
