//! `agent compare`: real runs against simulated ones of a scenario.

use agent_core::config::scenario::Scenario;
use agent_core::domain::ids::AgentId;
use agent_core::domain::time::Timestamp;
use agent_core::mape::notice::Notice;
use agent_core::sim::{self, Options, Told};
use agent_laboratory::calibration::{Comparison, Course, LEAST_RUNS, Record, course};
use anyhow::{Context as _, bail};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What real runs are compared with.
pub struct Simulated<'a> {
    pub scenario: &'a Scenario,
    /// Instead of the one that the real agents ran.
    pub policy: Option<&'a str>,
    pub seeds: RangeInclusive<u64>,
    /// Scenario time after which a run that has not converged ends.
    pub limit: Duration,
}

/// Compares. `watch` hears how many runs have been simulated.
pub fn run(real: &[Record], simulated: &Simulated, mut watch: impl FnMut(u64)) -> anyhow::Result<(String, Comparison)> {
    let policy = policy(real, simulated.policy)?;
    require_agents(real, simulated.scenario)?;
    let real: Vec<Course> = real.iter().filter_map(course).collect();
    let seeds = simulated.seeds.clone();
    let mut courses = Vec::new();
    for (done, seed) in (1..).zip(seeds) {
        let options = Options { policy: Some(policy.clone()), seed, lasts: simulated.limit, until_converged: true };
        courses.extend(course(&record(simulated.scenario, &options)?));
        watch(done);
    }
    let counts = (real.len(), courses.len());
    let comparison = Comparison::of(&real, &courses);
    let comparison = comparison.with_context(|| {
        format!(
            "{} real and {} simulated runs are too few to compare; at least {LEAST_RUNS} of each are",
            counts.0, counts.1
        )
    })?;
    Ok((policy, comparison))
}

/// What all of them ran.
fn policy(real: &[Record], named: Option<&str>) -> anyhow::Result<String> {
    let registered = real.iter().flat_map(|record| record.snapshot.agents.values());
    let ran: BTreeSet<&str> = registered.map(|peer| peer.registration.policy.as_str()).collect();
    let policies = || ran.iter().copied().collect::<Vec<_>>().join(", ");
    match (ran.first(), named) {
        (_, Some(named)) if ran.iter().any(|policy| *policy != named) => {
            bail!("--policy {named}: the agents of these runs ran {}", policies())
        }
        (_, Some(named)) => Ok(named.to_owned()),
        (Some(first), None) if ran.len() == 1 => Ok((*first).to_owned()),
        (_, None) => bail!("the agents of these runs ran {}; compare the runs of one policy at a time", policies()),
    }
}

fn require_agents(real: &[Record], scenario: &Scenario) -> anyhow::Result<()> {
    let expected: Vec<AgentId> = scenario.agents.keys().copied().collect();
    let differs = |record: &&Record| !record.snapshot.agents.keys().eq(&expected);
    let Some(record) = real.iter().find(differs) else { return Ok(()) };
    let list = |ids: Vec<AgentId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let found = list(record.snapshot.agents.keys().copied().collect());
    bail!(
        "scenario {} has the agents {}, and a real run {found}; they are not of one network",
        scenario.name,
        list(expected)
    )
}

/// A simulated run as a real one's table would tell it.
fn record(scenario: &Scenario, options: &Options) -> anyhow::Result<Record> {
    let mut jobs = Vec::new();
    let mut tell = |_: Timestamp, told: &Told| {
        if let Told::Notice(Notice::Job { measurement, satisfied, .. }) = told {
            jobs.push((measurement.clone(), *satisfied));
        }
    };
    let outcome = sim::run(scenario, options, Some(&mut tell), |_| {})?;
    Ok(Record { snapshot: outcome.snapshot().clone(), jobs, events: outcome.events })
}
