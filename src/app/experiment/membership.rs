//! Experiments of membership: networks in virtual time on all cores, or on real sockets one after the other.

use super::{
    ExperimentOptions, Mean, Outcome, Planned, Progress, WRITTEN_BY, Work, exported, output_file, real_network,
};
use agent_core::config::experiment::membership::MembershipExperiment;
use agent_laboratory::experiments::in_parallel;
use agent_laboratory::experiments::membership::{NetworkCell, cells, plan, results, simulate};
use agent_laboratory::report::membership::{Networks, Point, bytes, cases, mean, messages, success};
use agent_laboratory::report::statistics::Bootstrap;
use agent_laboratory::results::{Database, DatabaseError, FileKind, Head, NetworkResults, NetworkRun};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// What all nodes know of all takes gigabytes in a network of more.
const LARGE_NODES: u32 = 4_000;

/// The document that `agent experiment --json` prints.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub outcome: Outcome,
    /// All that is stored, without the seeds.
    pub networks: Vec<Row>,
}

/// Runs that differ in their seeds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    pub real: bool,
    pub nodes: u32,
    pub fan_out: u32,
    pub interval_s: f64,
    /// Share of the datagrams.
    pub loss: f64,
    /// Share of the nodes that was stopped before the questions.
    pub failures: f64,
    pub runs: usize,
    /// Until every node knew every node, of the runs in which that came about.
    pub rounds: Option<Mean>,
    pub messages_per_node_round: f64,
    pub bytes_per_node_round: f64,
    /// Share of the questions; none where none was asked.
    pub answered: Option<f64>,
}

/// Makes and stores what is missing, until it is told to stop. Real networks live on the runtime of `services`.
pub fn run(
    experiment: &MembershipExperiment,
    options: &ExperimentOptions,
    services: &Handle,
    stop: &AtomicBool,
    mut watch: impl FnMut(Progress<'_>),
) -> anyhow::Result<Report> {
    let output = output_file(options, &experiment.name)?;
    let kind = FileKind::Membership;
    let mut database = Database::open_as(kind, &output, &experiment.name, &experiment.about, WRITTEN_BY)?;
    let cells = cells(experiment);
    let plan = plan(experiment, &cells, &database.networks()?, options.again);
    watch(Progress::Planned { output: &output, planned: Planned::of(&plan) });
    database.remove(&plan.outdated)?;

    let effort = |cell: &NetworkCell| effort(experiment, cell);
    let mut work = Work::of(plan.missing.iter().map(|(_, cell)| effort(cell)));
    // Real networks beside each other would take each other's time, and large ones the machine's memory.
    let is_large = experiment.nodes.iter().any(|nodes| *nodes > LARGE_NODES);
    let threads = if experiment.real || is_large { 1 } else { options.threads };
    in_parallel(
        threads,
        plan.missing.iter().copied(),
        || !stop.load(Ordering::Relaxed),
        |(id, cell)| (cell, make(experiment, id, cell, services)),
        |(cell, made)| {
            match made {
                Ok(results) => database.store_network(&results)?,
                Err(error) => {
                    let why = format!("{}: {error:#}", cell.name());
                    watch(Progress::Failed { why: &why });
                    work.failed.push(why);
                }
            }
            watch(work.ended(effort(cell)));
            Ok::<(), DatabaseError>(())
        },
    )?;

    let parquet = exported(&database, options)?;
    let outcome = work.outcome(&experiment.name, output, parquet, cells.len(), &plan);
    Ok(Report { outcome, networks: rows(&Networks { head: Head::default(), runs: database.networks()? }) })
}

/// What a run takes, beside others: in virtual time it grows with what all nodes know of all, in real time it is what passes.
fn effort(experiment: &MembershipExperiment, cell: &NetworkCell) -> u64 {
    match experiment.real {
        false => u64::from(cell.nodes).pow(2),
        true => (cell.interval * experiment.rounds).as_secs().max(1),
    }
}

fn make(
    experiment: &MembershipExperiment,
    id: i64,
    cell: &NetworkCell,
    services: &Handle,
) -> anyhow::Result<NetworkResults> {
    match experiment.real {
        false => Ok(simulate(experiment, id, cell)),
        true => {
            let observed = services.block_on(real_network::observe(experiment, cell))?;
            Ok(results(experiment, id, cell, &observed))
        }
    }
}

fn rows(networks: &Networks) -> Vec<Row> {
    let mut bootstrap = Bootstrap::default();
    let mut rows = Vec::new();
    for case in cases(networks) {
        for (Point { nodes, fan_out, interval_s, failures }, runs) in case.points() {
            let mut of = |of: fn(&NetworkRun) -> Option<f64>| mean(&mut bootstrap, &runs, of);
            rows.push(Row {
                real: case.real,
                nodes,
                fan_out,
                interval_s,
                loss: case.loss,
                failures,
                runs: runs.len(),
                rounds: of(|run| run.converged_round).map(Mean::from),
                messages_per_node_round: of(messages).map_or(0.0, |messages| messages.mean),
                bytes_per_node_round: of(bytes).map_or(0.0, |bytes| bytes.mean),
                answered: of(success).map(|share| share.mean),
            });
        }
    }
    rows
}
