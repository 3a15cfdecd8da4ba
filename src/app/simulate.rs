//! `agent simulate`: a scenario in virtual time, and what it came to.

use super::output;
use super::summary::{self, RunFacts, Summary};
use agent_core::config::scenario::Scenario;
use agent_core::domain::ids::EventId;
use agent_core::domain::measurement::JobTally;
use agent_core::domain::time::Timestamp;
use agent_core::sim::{self, Options, Outcome, Tally, Told, Trace, Traced};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

/// Simulates, and writes a trace if one is asked for. `watch` hears now and then how far it has come.
pub fn run(
    scenario: Scenario,
    options: &Options,
    trace: Option<&Path>,
    watch: impl FnMut(Timestamp),
) -> anyhow::Result<Summary> {
    let scenario = sim::expand(scenario);
    let outcome = match trace {
        None => sim::run(&scenario, options, None, watch)?,
        Some(path) => traced(&scenario, options, path, watch)?,
    };
    Ok(summarise(&scenario, options, &outcome))
}

fn traced(
    scenario: &Scenario,
    options: &Options,
    path: &Path,
    watch: impl FnMut(Timestamp),
) -> anyhow::Result<Outcome> {
    let failed = || format!("{}: cannot be written", path.display());
    let mut trace = Trace::new(BufWriter::new(output::create(path, "--trace")?));
    let mut tell = |at: Timestamp, told: &Told| trace.line(at, told);
    let outcome = sim::run(scenario, options, Some(&mut tell), watch)?;
    trace.finish(&outcome).with_context(failed)?;
    Ok(outcome)
}

/// The document of the demo, with nothing in it that differs from run to run.
fn summarise(scenario: &Scenario, options: &Options, outcome: &Outcome) -> Summary {
    let policies: BTreeSet<&str> = match &options.policy {
        Some(policy) => BTreeSet::from([policy.as_str()]),
        None => scenario.agents.values().map(|agent| agent.policy.as_str()).collect(),
    };
    let policy = policies.into_iter().collect::<Vec<_>>().join(", ");
    let facts = RunFacts {
        converged: outcome.converged,
        seed: options.seed,
        policy: &policy,
        scenario_seconds: outcome.snapshot.at.since(Timestamp::default()).as_secs_f64(),
        real_seconds: 0.0,
    };
    let jobs = outcome.tallies.iter().map(|(agent, tally)| {
        let Tally { jobs, violated, failed, .. } = *tally;
        (*agent, JobTally { jobs, violated, failed })
    });
    summary::compose(&outcome.snapshot, &outcome.events, &jobs.collect(), facts)
}

/// An event of a trace.
pub fn explained(trace: &Path, id: EventId) -> anyhow::Result<Traced> {
    let failed = || format!("{}: is no trace that can be read", trace.display());
    let file = File::open(trace).with_context(failed)?;
    let found = sim::find(BufReader::new(file), id).with_context(failed)?;
    found.with_context(|| format!("{}: there is no event {id}; its last lines list them", trace.display()))
}
