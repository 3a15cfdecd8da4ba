//! `agent simulate`: a scenario in virtual time, and what it came to.

use super::data_directory::DataDirectory;
use super::hosting::Hosting;
use super::output;
use super::summary::{self, RunFacts, Summary};
use super::surroundings::Surroundings;
use crate::knowledge::SharedTable;
use crate::storage::embedded::Durability;
use agent_core::config::scenario::Scenario;
use agent_core::config::settings::Settings;
use agent_core::domain::ids::EventId;
use agent_core::domain::measurement::JobTally;
use agent_core::domain::time::Timestamp;
use agent_core::sim::{self, NetworkState, Options, Outcome, Simulation, Start, Tally, Trace, Traced};
use anyhow::Context as _;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a simulation begins with: a scenario, its network made, and what is there already.
#[derive(Clone, PartialEq, Debug)]
pub struct Simulated {
    pub scenario: Scenario,
    pub state: Option<NetworkState>,
}

/// Simulates, and writes a trace if one is asked for. `watch` hears now and then how far it has come.
pub fn run(
    simulated: &Simulated,
    options: &Options,
    trace: Option<&Path>,
    watch: impl FnMut(Timestamp),
) -> anyhow::Result<Summary> {
    let Options { policy, seed, lasts, until_converged } = options;
    let start = Start { policy: policy.as_deref(), seed: *seed, state: simulated.state.as_ref() };
    let simulation = Simulation::new(&simulated.scenario, start)?;
    let outcome = match trace {
        None => simulation.finish(*lasts, *until_converged, watch)?,
        Some(path) => traced(simulation, options, path, watch)?,
    };
    Ok(summarise(&simulated.scenario, policy.as_deref(), *seed, &outcome))
}

fn traced<'a>(
    mut simulation: Simulation<'a>,
    options: &Options,
    path: &Path,
    watch: impl FnMut(Timestamp),
) -> anyhow::Result<Outcome> {
    let failed = || format!("{}: cannot be written", path.display());
    let trace = Rc::new(RefCell::new(Trace::new(BufWriter::new(output::create(path, "--trace")?))));
    let written = trace.clone();
    simulation.listen(Some(Box::new(move |at, told| written.borrow_mut().line(at, told))));
    let outcome = simulation.finish(options.lasts, options.until_converged, watch)?;
    trace.borrow_mut().finish(&outcome).with_context(failed)?;
    Ok(outcome)
}

/// A simulation's table, as what serves a network looks at it; there are no stores.
pub fn surroundings(
    scenario: &Scenario,
    simulation: &Simulation,
    data: DataDirectory,
    services: &Handle,
) -> Surroundings {
    let settings = Settings { network: scenario.network.clone(), agents: scenario.agents.clone() };
    let hosting = Hosting { durability: Durability::Kill, create_bucket: false, advertise: None };
    let (clock, table) = (simulation.clock(), Arc::new(simulation.table()));
    let table = SharedTable::of_data_alone(table, clock.clone());
    Surroundings::new(Arc::new(settings), data, clock, table, services.clone(), hosting, Arc::new(|_| {}))
}

/// The document of the demo, with nothing in it that differs from run to run.
pub fn summarise(scenario: &Scenario, policy: Option<&str>, seed: u64, outcome: &Outcome) -> Summary {
    let policies: BTreeSet<&str> = match policy {
        Some(policy) => BTreeSet::from([policy]),
        None => scenario.agents.values().map(|agent| agent.policy.as_str()).collect(),
    };
    let policy = policies.into_iter().collect::<Vec<_>>().join(", ");
    let facts = RunFacts {
        converged: outcome.converged,
        seed,
        policy: &policy,
        scenario_seconds: outcome.at().since(Timestamp::default()).as_secs_f64(),
        real_seconds: 0.0,
    };
    let jobs = outcome.tallies.iter().map(|(agent, tally)| {
        let Tally { jobs, violated, failed, .. } = *tally;
        (*agent, JobTally { jobs, violated, failed })
    });
    summary::compose(&outcome.snapshots, &outcome.events, &jobs.collect(), facts)
}

/// An event of a trace.
pub fn explained(trace: &Path, id: EventId) -> anyhow::Result<Traced> {
    let failed = || format!("{}: is no trace that can be read", trace.display());
    let file = File::open(trace).with_context(failed)?;
    let found = sim::find(BufReader::new(file), id).with_context(failed)?;
    found.with_context(|| format!("{}: there is no event {id}; its last lines list them", trace.display()))
}
