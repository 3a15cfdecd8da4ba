//! A simulation that begins where a real network is: its table is read, never written.

use super::catalogue::Catalogue;
use super::data_directory::DATABASE;
use super::simulate::Simulated;
use super::{Existing, Failure, Purpose, calibrate, existing_knowledge, real_runs};
use crate::knowledge::Knowledge;
use agent_core::config::scenario::{Links, Scenario, Service, Writes};
use agent_core::config::settings::{
    AgentSettings, DataSetSettings, EmulatorSettings, KnowledgeSettings, NetworkSettings, Settings,
};
use agent_core::config::{self, Invalid};
use agent_core::domain::books::Tariff;
use agent_core::domain::event::Outcome;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::placement::{DataSet, Link, Node, NodeState, Placement, Replica, ReplicaState};
use agent_core::domain::snapshot::{Counter, Snapshot};
use agent_core::domain::time::Timestamp;
use agent_core::sim::{DataSetState, NetworkState};
use agent_laboratory::calibration::Calibration;
use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

/// What was read, and what whoever relies on it should know.
pub struct FromTable {
    pub simulated: Simulated,
    pub remarks: Vec<String>,
}

/// Opens the table named: `mysql://...`, a directory, or an SQLite file; without a name the one that `agent status` shows.
pub async fn open(
    named: Option<&str>,
    settings: &Settings,
    data: Option<&Path>,
    services: &Handle,
) -> anyhow::Result<Existing> {
    let mut network = settings.network.clone();
    let mut data: Option<PathBuf> = data.map(Path::to_owned);
    match named {
        None => {}
        Some(url) if url.contains("://") => {
            network.knowledge = config::knowledge(url).map_err(|Invalid { problem, help }| {
                Failure::Configuration(format!("--from-table: {problem}\n  help: {help}"))
            })?;
        }
        Some(path) => {
            let path = Path::new(path);
            let (directory, file) = match (path.is_dir(), path.parent(), path.file_name()) {
                (false, Some(directory), Some(file)) => (directory, Path::new(file)),
                _ => (path, Path::new(DATABASE)),
            };
            network.knowledge = KnowledgeSettings::Sqlite(file.to_owned());
            data = Some(if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() });
        }
    }
    existing_knowledge(&network, data.as_deref(), Purpose::Look, services).await
}

/// Reads the state of a network. What its table does not say is what `base` states; without one the configuration's, with a
/// physics that is fitted to the jobs in the table.
pub async fn read(existing: &Existing, settings: &Settings, base: Option<&Scenario>) -> anyhow::Result<FromTable> {
    let knowledge = existing.knowledge.as_ref();
    let stated = match base {
        Some(base) => Settings { network: base.network.clone(), agents: base.agents.clone() },
        None => settings.clone(),
    };
    let catalogue = Catalogue::load(knowledge).await?;
    // Of nodes and links each tells the same.
    let Some(snapshot) = catalogue.snapshots.first() else {
        bail!("its table holds no data set yet; did the network begin?")
    };
    let fitted = match base {
        Some(_) => None,
        None => Some(fit(knowledge).await?),
    };
    let scale = fitted.as_ref().map_or(u64::from(existing.scale.factor()), |fitted| fitted.scale);
    let mut remarks = vec![physics_remark(base, fitted.as_ref())];
    remarks.extend(fitted.iter().flat_map(|fitted| fitted.doubts.iter().map(|doubt| format!("DOUBTFUL: {doubt}"))));
    let nodes = nodes(snapshot, &mut remarks);
    let services = base.map(|base| base.services.clone()).unwrap_or_default();
    let agents = agents(&catalogue, &stated, &services, &nodes, &mut remarks)?;
    let mut state = state(knowledge, &catalogue, &stated.network, &nodes, &agents, &mut remarks).await?;
    let mut data_sets = BTreeMap::new();
    for snapshot in &catalogue.snapshots {
        if snapshot.data_set.guard.is_paused(snapshot.at) {
            let name = &snapshot.data_set.name;
            remarks.push(format!("data set {name} is paused: as if it were not"));
        }
        let settings = data_set(&snapshot.data_set, snapshot.at, &state, scale)?;
        data_sets.insert(settings.name.clone(), settings);
    }
    let tariff = tariff(knowledge, snapshot, &mut state, scale).await?;
    let network = network(&catalogue, &stated.network, &nodes, data_sets, scale);
    let impacts = base.map(|base| base.impacts.clone()).unwrap_or_default();
    let scenario = Scenario {
        name: existing.place.clone(),
        about: format!("The network of {}, as its table showed it.", existing.place),
        physics: physics(snapshot, base, fitted.as_ref(), &settings.network.emulator, scale),
        services: services.into_iter().filter(|(agent, _)| agents.contains_key(agent)).collect(),
        sizes: sizes(&catalogue, scale),
        writes: catalogue
            .snapshots
            .iter()
            .filter_map(|it| Some((it.data_set.name.clone(), writes(&it.data_set)?)))
            .collect(),
        network: NetworkSettings { links: links(snapshot, &nodes, base, fitted.as_ref()), tariff, ..network },
        impacts: impacts.into_iter().filter(|(agent, _)| agents.contains_key(agent)).collect(),
        placed: state.data_sets.iter().map(|(name, of_it)| (name.clone(), of_it.placement.nodes())).collect(),
        agents,
        changes: Vec::new(),
        faults: Vec::new(),
        dishonest: BTreeMap::new(),
        generate: None,
        calm: None,
    };
    Ok(FromTable { simulated: Simulated { scenario, state: Some(state) }, remarks })
}

/// What things cost there, and what was spent lately. Data that is shown larger than it is costs as much as it does.
async fn tariff(
    knowledge: &dyn Knowledge,
    snapshot: &Snapshot,
    state: &mut NetworkState,
    scale: u64,
) -> crate::knowledge::Result<Tariff> {
    let Some(books) = &snapshot.books else { return Ok(Tariff::default()) };
    let charges = knowledge.charges(books.tariff.earliest(snapshot.at)).await?;
    state.charges = charges;
    for charge in &mut state.charges {
        charge.cause.since = Timestamp(charge.cause.since.0 - snapshot.at.0);
    }
    Ok(books.tariff.clone().seen_from(snapshot.at, scale))
}

/// As it would be configured, to begin where it is at this moment.
fn data_set(data_set: &DataSet, at: Timestamp, state: &NetworkState, scale: u64) -> anyhow::Result<DataSetSettings> {
    let name = &data_set.name;
    let present = state.data_sets.get(name).and_then(|of_it| of_it.placement.present().next());
    let first_node = present.map(|replica| replica.node);
    Ok(DataSetSettings {
        name: name.clone(),
        object_key: data_set.object_key.clone(),
        selection: None,
        generate_records: Some(data_set.records.saturating_mul(scale)),
        constraints: data_set.guard.constraints.clone().seen_from(at),
        first_node: first_node
            .with_context(|| format!("no replica of data set {name} is present: there is nothing to begin with"))?,
    })
}

/// As it was written until now.
pub(super) fn writes(data_set: &DataSet) -> Option<Writes> {
    let (every, written) = data_set.versions.rhythm()?;
    let share = (written as f64 / data_set.bytes.max(1) as f64).min(1.0);
    (share > 0.0).then_some(Writes { every, share })
}

/// Of the data sets that are not as large as the first one, which the physics is about.
fn sizes(catalogue: &Catalogue, scale: u64) -> BTreeMap<DataSetName, u64> {
    let others = catalogue.snapshots.iter().skip(1).map(|snapshot| &snapshot.data_set);
    others.map(|data_set| (data_set.name.clone(), data_set.bytes.saturating_mul(scale))).collect()
}

async fn fit(knowledge: &dyn Knowledge) -> anyhow::Result<Calibration> {
    const OTHERWISE: &str =
        "no physics can be fitted to the jobs of this table; name a scenario to take it from with --scenario";
    let record = real_runs::read(knowledge).await.context(OTHERWISE)?;
    calibrate::calibrate(&[record], None).context(OTHERWISE)
}

fn physics_remark(base: Option<&Scenario>, fitted: Option<&Calibration>) -> String {
    match (base, fitted) {
        (Some(base), _) => {
            let ignored = if base.changes.is_empty() && base.faults.is_empty() {
                ""
            } else {
                "; its changes and faults are left out"
            };
            format!("physics, rhythm, feedback, learning and weights are those of scenario {}{ignored}", base.name)
        }
        (None, Some(fit)) => format!(
            "physics as fitted to {} jobs and {} transfers of this table; rhythm, feedback, learning and weights are the configuration's",
            fit.response_time.n, fit.transfer.n
        ),
        (None, None) => String::new(),
    }
}

/// Nodes that data can be read from and brought to.
fn nodes<'a>(snapshot: &'a Snapshot, remarks: &mut Vec<String>) -> BTreeMap<NodeId, &'a Node> {
    let mut kept = BTreeMap::new();
    for node in snapshot.nodes.values() {
        match (node.state, &node.store_url) {
            (NodeState::Leaving, _) => remarks.push(format!("node {} is leaving: left out", node.id)),
            (_, None) => remarks.push(format!("node {} has no store yet: left out", node.id)),
            (_, Some(_)) => _ = kept.insert(node.id, node),
        }
    }
    kept
}

fn agents(
    catalogue: &Catalogue,
    stated: &Settings,
    services: &BTreeMap<AgentId, Service>,
    nodes: &BTreeMap<NodeId, &Node>,
    remarks: &mut Vec<String>,
) -> anyhow::Result<BTreeMap<AgentId, AgentSettings>> {
    let mut agents: BTreeMap<AgentId, AgentSettings> = BTreeMap::new();
    let each = catalogue.snapshots.iter().flat_map(|it| it.agents.values().map(move |peer| (&it.data_set.name, peer)));
    for (data_set, peer) in each {
        let (agent, node) = (peer.registration.agent, peer.registration.node);
        // It reads several.
        if let Some(known) = agents.get_mut(&agent) {
            known.data_sets.push(data_set.clone());
            continue;
        }
        if !nodes.contains_key(&node) {
            remarks.push(format!("agent {agent} lives on node {node}: left out"));
            continue;
        }
        if !stated.agents.contains_key(&agent) {
            remarks.push(format!("agent {agent} is not configured here: its weights are those of the first agent"));
        }
        let settings = calibrate::agent(peer, data_set, stated)?;
        if calibrate::serves(&settings) && !services.contains_key(&agent) {
            remarks.push(format!(
                "agent {agent} serves requests, which are in no table: left out; a --scenario may state them"
            ));
            continue;
        }
        agents.insert(agent, settings);
    }
    if agents.is_empty() {
        bail!("no agent of this table can be simulated: nobody would read anything");
    }
    Ok(agents)
}

async fn state(
    knowledge: &dyn Knowledge,
    catalogue: &Catalogue,
    network: &NetworkSettings,
    nodes: &BTreeMap<NodeId, &Node>,
    agents: &BTreeMap<AgentId, AgentSettings>,
    remarks: &mut Vec<String>,
) -> anyhow::Result<NetworkState> {
    let mut learned = BTreeMap::new();
    for agent in agents.keys() {
        let labels = knowledge.impacts(*agent).await?;
        learned.insert(*agent, labels.into_iter().map(|(label, learned)| (label, learned.impacts)).collect());
    }
    let open_events = || catalogue.snapshots.iter().flat_map(|snapshot| &snapshot.open_events);
    let running = open_events().filter(|event| event.outcome == Outcome::Running).count();
    if running > 0 {
        remarks.push(format!("actions under way: {running}; left out"));
    }
    let open = open_events().count() - running;
    if open > 0 {
        remarks.push(format!("events that still collect feedback: {open}; left out"));
    }
    // When all have stopped, it is asked how it would go on.
    let alive = |agent: &AgentId| catalogue.is_alive(*agent, network.silence());
    let nobody = !agents.keys().any(alive);
    let stopped: BTreeSet<AgentId> = agents.keys().copied().filter(|agent| !nobody && !alive(agent)).collect();
    remarks.extend(stopped.iter().map(|agent| format!("agent {agent} does not run: as if by `down agent {agent}`")));
    if nobody {
        remarks.push("no agent runs now: all are started".to_owned());
    }
    let at_start = |counter: &Counter| Counter { value: counter.value, changed_at: Timestamp::default() };
    let mut of_data_set = |snapshot: &Snapshot| DataSetState {
        placement: placement(snapshot, nodes, agents, remarks),
        copies_made: snapshot.copies_made.clone(),
        counters: snapshot.counters.iter().map(|(action, counter)| (*action, at_start(counter))).collect(),
    };
    let data_sets = catalogue.snapshots.iter().map(|it| (it.data_set.name.clone(), of_data_set(it))).collect();
    Ok(NetworkState {
        data_sets,
        stores: nodes.iter().map(|(id, node)| (*id, node.store.clone())).collect(),
        learned,
        stopped,
        charges: Vec::new(),
    })
}

/// What is present, with whoever reads it.
fn placement(
    snapshot: &Snapshot,
    nodes: &BTreeMap<NodeId, &Node>,
    agents: &BTreeMap<AgentId, AgentSettings>,
    remarks: &mut Vec<String>,
) -> Placement {
    let mut placement = Placement::default();
    for replica in snapshot.placement.replicas.values() {
        match (replica.state, nodes.contains_key(&replica.node)) {
            (ReplicaState::Present, true) => {
                placement.replicas.insert(replica.id, Replica { lease: None, ..replica.clone() });
            }
            (state, _) => remarks.push(format!("the replica on node {} ({}): left out", replica.node, state.name())),
        }
    }
    let read = snapshot.placement.references.iter();
    placement.references = read
        .filter(|(agent, replica)| agents.contains_key(agent) && placement.replicas.contains_key(replica))
        .map(|(agent, replica)| (*agent, *replica))
        .collect();
    placement
}

fn network(
    catalogue: &Catalogue,
    stated: &NetworkSettings,
    nodes: &BTreeMap<NodeId, &Node>,
    data_sets: BTreeMap<DataSetName, DataSetSettings>,
    scale: u64,
) -> NetworkSettings {
    // What lies there has room.
    let held = |node: NodeId| {
        let holding = catalogue.snapshots.iter().filter(|snapshot| snapshot.placement.on(node).is_some());
        holding.map(|snapshot| snapshot.data_set.bytes.saturating_mul(scale)).fold(0, u64::saturating_add)
    };
    let nodes = nodes.values().map(|row| {
        let mut node = calibrate::node(row, scale);
        node.capacity_bytes = node.capacity_bytes.map(|capacity| capacity.max(held(row.id)));
        (row.id, node)
    });
    NetworkSettings { data_sets, nodes: nodes.collect(), ..stated.clone() }
}

/// As the table states them, or the base what the table does not; as jobs saw them where nobody injects latency.
fn links(
    snapshot: &Snapshot,
    nodes: &BTreeMap<NodeId, &Node>,
    base: Option<&Scenario>,
    fitted: Option<&Calibration>,
) -> Vec<Link> {
    let seen =
        fitted.into_iter().flat_map(|fitted| fitted.links.iter().map(|seen| calibrate::link(seen, fitted.is_emulated)));
    let based = base.into_iter().flat_map(|base| base.network.links.iter().copied());
    // The last one that says something of a link is right.
    let all = based.chain(snapshot.links_in_force()).chain(seen);
    let all = all.filter(|link| nodes.contains_key(&link.from) && nodes.contains_key(&link.to));
    let by_ends: BTreeMap<(NodeId, NodeId), Link> = all.map(|link| ((link.from, link.to), link)).collect();
    by_ends.into_values().collect()
}

fn physics(
    snapshot: &Snapshot,
    base: Option<&Scenario>,
    fitted: Option<&Calibration>,
    emulator: &EmulatorSettings,
    scale: u64,
) -> agent_core::config::scenario::Physics {
    let mut physics = match (base, fitted) {
        (Some(base), _) => base.physics.clone(),
        (None, Some(fitted)) => {
            let links = match emulator {
                EmulatorSettings::None => Links::Measured,
                EmulatorSettings::Embedded | EmulatorSettings::Toxiproxy(_) => Links::Injected,
            };
            agent_core::config::scenario::Physics { links, ..fitted.physics(&calibrate::assumed()) }
        }
        (None, None) => calibrate::assumed(),
    };
    physics.bytes = snapshot.data_set.bytes.saturating_mul(scale);
    physics
}
