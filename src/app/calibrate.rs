//! `agent calibrate`: a scenario whose physics is that of real runs.

use super::from_table::writes;
use agent_core::config::scenario::{Line, Links, Physics, Rules, Scenario, Transfer, write, write_over};
use agent_core::config::settings::{
    AgentSettings, DataSetSettings, NetworkSettings, NodeSettings, Settings, StoreSettings,
};
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::impact::Impacts;
use agent_core::domain::placement::{Link, Node, Peer};
use agent_laboratory::calibration::{Calibration, LinkFit, Record};
use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Links seen by fewer jobs keep the latency that the table states.
const LEAST_SEEN: usize = 5;

/// How long a job tries to read what cannot be reached: runs in which nothing broke do not tell.
const JOB_FAILURE: Duration = Duration::from_secs(5);

/// Fits the physics of a scenario to runs; `base` states what they cannot tell.
pub fn calibrate(records: &[Record], base: Option<&Scenario>) -> anyhow::Result<Calibration> {
    let slopes = base.map_or((0.0, 0.0), |base| (base.physics.response_time.slope, base.physics.execution_time.slope));
    let fitted = agent_laboratory::calibration::calibrate(records, slopes);
    fitted.context("no job of these runs says what it took and through what latency")
}

/// What is assumed where neither runs nor another scenario tell: nothing takes any time.
pub(super) fn assumed() -> Physics {
    let line = Line { base: Duration::ZERO, slope: 0.0, deviation: Duration::ZERO };
    Physics {
        response_time: line,
        execution_time: line,
        bytes: 1,
        poll: Duration::ZERO,
        rules: Rules::Agents,
        job_failure: JOB_FAILURE,
        transfer: Transfer::Takes(Duration::ZERO),
        transfer_failures: 0.0,
        replies_lost: 0.0,
        links: Links::Injected,
    }
}

/// The calibrated physics for another scenario. `path`: how the new file names that one's.
pub fn over(calibration: &Calibration, name: &str, base: &Scenario, path: &str) -> String {
    let about = format!("{} With the physics that {} showed.", base.about, runs(calibration));
    write_over(&remark(calibration), path, name, &about, &calibration.physics(&base.physics))
}

/// A scenario of the runs' own network. What a table does not hold (rhythm, feedback, learning, weights) is the configuration's;
/// `impacts` is what its agents were trained to expect.
pub fn scenario(
    calibration: &Calibration,
    name: &str,
    record: &Record,
    settings: &Settings,
    impacts: &BTreeMap<AgentId, BTreeMap<Action, Impacts>>,
) -> anyhow::Result<String> {
    let peers = record.snapshot.agents.values();
    let data_set = &record.snapshot.data_set;
    let agents = peers.map(|peer| Ok((peer.registration.agent, agent(peer, &data_set.name, settings)?)));
    let agents: BTreeMap<AgentId, AgentSettings> = agents.collect::<anyhow::Result<_>>()?;
    if let Some(service) = agents.values().find(|agent| serves(agent)) {
        bail!("agent {} serves requests; a physics of jobs cannot be fitted to them", service.id);
    }
    let configured = settings.network.data_sets.get(&data_set.name);
    let configured = configured.or_else(|| settings.network.data_sets.values().next());
    let configured = configured.context("the configuration has no data set")?;
    let first_node = first_node(record).unwrap_or(configured.first_node);
    let settings_of_it = DataSetSettings {
        name: data_set.name.clone(),
        object_key: configured.object_key.clone(),
        selection: None,
        generate_records: Some(calibration.records),
        first_node,
        constraints: data_set.guard.constraints.clone(),
    };
    let network = NetworkSettings {
        data_sets: BTreeMap::from([(data_set.name.clone(), settings_of_it)]),
        nodes: record.snapshot.nodes.values().map(|row| (row.id, node(row, calibration.scale))).collect(),
        links: calibration.links.iter().map(|seen| link(seen, calibration.is_emulated)).collect(),
        ..settings.network.clone()
    };
    let about = format!("The network of {}, as they showed it.", runs(calibration));
    let physics = calibration.physics(&assumed());
    let scenario = Scenario {
        name: name.to_owned(),
        about,
        sizes: BTreeMap::new(),
        writes: writes(data_set).map(|writes| (data_set.name.clone(), writes)).into_iter().collect(),
        placed: BTreeMap::from([(data_set.name.clone(), BTreeSet::from([first_node]))]),
        network,
        agents,
        impacts: impacts.clone(),
        physics,
        services: BTreeMap::new(),
        changes: Vec::new(),
        faults: Vec::new(),
        dishonest: BTreeMap::new(),
        calm: None,
        generate: None,
    };
    Ok(write(&remark(calibration), &scenario))
}

/// Where the one replica was at first: what was moved or copied first came from there; else it is what the first job read.
fn first_node(record: &Record) -> Option<NodeId> {
    let brought =
        record.events.iter().find(|event| event.action.transfers()).and_then(|event| event.action.from_node());
    brought.or_else(|| record.jobs.first().map(|(job, _)| job.node))
}

fn runs(calibration: &Calibration) -> String {
    let plural = if calibration.runs == 1 { "" } else { "s" };
    format!("{} real run{plural}", calibration.runs)
}

fn remark(calibration: &Calibration) -> String {
    let Calibration { response_time, transfer, doubts, .. } = calibration;
    let fit = format!(
        "Written by `agent calibrate` from {} with {} jobs and {} transfers. Jobs lie {:.2} s from the line of the response time.",
        runs(calibration),
        response_time.n,
        transfer.n,
        response_time.deviation
    );
    doubts.iter().fold(fit, |text, doubt| format!("{text}\nDoubtful: {doubt}"))
}

/// Capacities are not shrunk by the time scale, as the data is: the scenario holds as many data sets as the run.
pub(super) fn node(row: &Node, scale: u64) -> NodeSettings {
    NodeSettings {
        id: row.id,
        name: row.name.clone(),
        availability: row.availability,
        capacity_bytes: row.capacity_bytes.map(|bytes| bytes.saturating_mul(scale)),
        labels: row.labels.clone(),
        store: StoreSettings::default(),
    }
}

/// Where latency is injected, the table states what jobs see; elsewhere they know better than whoever stated it.
pub(super) fn link(fit: &LinkFit, is_emulated: bool) -> Link {
    let (from, to) = (fit.from, fit.to);
    match is_emulated || fit.seen.n < LEAST_SEEN {
        true => Link { from, to, latency_ms: fit.stated_ms, jitter_ms: fit.stated_jitter_ms },
        false => Link { from, to, latency_ms: tenths(fit.seen.mean), jitter_ms: tenths(fit.seen.deviation) },
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// As registered, with the weights of its configuration, or of the first agent's where it has none.
pub(super) fn agent(peer: &Peer, data_set: &DataSetName, settings: &Settings) -> anyhow::Result<AgentSettings> {
    let registered = &peer.registration;
    let own = settings.agents.get(&registered.agent).or_else(|| settings.agents.values().next());
    let own = own.context("the configuration has no agent")?.clone();
    let goal = registered.goal.parse().with_context(|| format!("the goal of agent {}", registered.agent))?;
    Ok(AgentSettings {
        id: registered.agent,
        node: registered.node,
        data_sets: vec![data_set.clone()],
        goal,
        goal_text: registered.goal.clone(),
        policy: registered.policy.clone(),
        ..own
    })
}

/// Whether its users make requests, by its configuration or by what its goal asks for.
pub(super) fn serves(agent: &AgentSettings) -> bool {
    agent.job.is_service() || agent.goal.speaks_of_requests()
}

/// Registered agents that the configuration does not know: their weights are guessed.
pub fn strangers(record: &Record, settings: &Settings) -> Vec<AgentId> {
    record.snapshot.agents.keys().copied().filter(|agent| !settings.agents.contains_key(agent)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_core::domain::ids::NodeId;
    use agent_laboratory::calibration::Sample;

    #[test]
    fn a_link_is_as_stated_where_latency_is_injected_and_else_as_seen() {
        let seen = |n| Sample { n, mean: 23.456, deviation: 1.234, ..Sample::default() };
        let fit = |n| LinkFit { from: NodeId(1), to: NodeId(2), stated_ms: 20.0, stated_jitter_ms: 0.0, seen: seen(n) };
        let check = |n, is_emulated, latency_ms: f64, jitter_ms: f64| {
            let found = link(&fit(n), is_emulated);
            assert_eq!((found.latency_ms, found.jitter_ms), (latency_ms, jitter_ms), "{n} jobs, {is_emulated}");
        };
        check(100, true, 20.0, 0.0);
        check(100, false, 23.5, 1.2);
        check(4, false, 20.0, 0.0);
    }
}
