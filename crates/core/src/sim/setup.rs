//! From a scenario to a world, and from its end to what it came to.

use super::agent::{Agent, Tally};
use super::checkers::Violated;
use super::clairvoyant::{ORACLES, Oracle};
use super::edit::EditError;
use super::generate::trained_at;
use super::oracle::Standing;
use super::physics;
use super::requests::{self, Way};
use super::simulation::{Simulation, Start};
use super::state::NetworkState;
use super::stores::Stores;
use super::streams::{self, Purpose};
use super::table::{Table, ready};
use super::world::{Listener, Tell, Told, World};
use crate::clock::VirtualClock;
use crate::config::scenario::{Links, Scenario};
use crate::config::settings::{AgentSettings, DataSetSettings};
use crate::domain::books::Charge;
use crate::domain::constraints::Guard;
use crate::domain::event::Event;
use crate::domain::feedback::Feedback;
use crate::domain::ids::{AgentId, DataSetName, EventId, NodeId, ReplicaId};
use crate::domain::impact::derive_impacts;
use crate::domain::metric::Metrics;
use crate::domain::placement::{DataSet, Link, Node, NodeState, Placement, Replica, ReplicaState, StoreTraits};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::validators::Validators;
use crate::knowledge::Knowledge as _;
use crate::knowledge::memory::MemoryKnowledge;
use crate::mape::control_loop::Stopwatch;
use crate::mape::planner::{self, Experience, Policy};
use crate::mape::prediction::Latency;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What a run is made of, besides its scenario.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// Instead of each agent's own.
    pub policy: Option<String>,
    pub seed: u64,
    pub lasts: Duration,
    /// Ends as soon as the network has converged, as a demo does.
    pub until_converged: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Of each data set, in the order of their names; at least one.
    pub snapshots: Vec<Snapshot>,
    /// Every agent that ran was content at the end, and nobody was acting.
    pub converged: bool,
    /// Oldest first.
    pub events: Vec<Event>,
    pub feedback: BTreeMap<EventId, Vec<Feedback>>,
    pub tallies: BTreeMap<AgentId, Tally>,
    /// What was spent; nothing where nothing has a price.
    pub charges: Vec<Charge>,
}

impl Outcome {
    /// How good the placement is that is left, beside the best one; `None` where nobody reads anything. Takes as long as the
    /// oracle's search.
    #[must_use]
    pub fn standing(&self, scenario: &Scenario) -> Option<Standing> {
        Standing::new(scenario, &self.snapshots)
    }

    /// Of the first data set: of the only one, where there is one.
    pub fn snapshot(&self) -> &Snapshot {
        // Made by `World::outcome` alone, from what was registered at the start.
        self.snapshots.first().expect("there is a data set")
    }

    /// When it ended.
    pub fn at(&self) -> Timestamp {
        self.snapshot().at
    }

    /// The node that an agent reads.
    pub fn reads(&self, agent: AgentId) -> Option<NodeId> {
        let reads = |snapshot: &Snapshot| snapshot.placement.reference(agent).map(|replica| replica.node);
        self.snapshots.iter().find_map(reads)
    }

    /// Of a data set.
    pub fn snapshot_of(&self, data_set: &DataSetName) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.data_set.name == *data_set)
    }
}

/// The names of the policies that a simulation can have: the agents' own, and those of which only a simulator is capable.
pub const ALL_POLICIES: [&str; planner::POLICIES.len() + ORACLES.len()] = {
    let mut all = [""; planner::POLICIES.len() + ORACLES.len()];
    let (agents, _) = all.split_at_mut(planner::POLICIES.len());
    agents.copy_from_slice(&planner::POLICIES);
    let (_, oracles) = all.split_at_mut(planner::POLICIES.len());
    oracles.copy_from_slice(&ORACLES);
    all
};

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("there is no policy `{0}`; policies are {known}", known = ALL_POLICIES.join(", "))]
    UnknownPolicy(String),
    #[error(transparent)]
    Violated(#[from] Violated),
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// Simulates. `tell` hears of everything that happens, `watch` now and then how far it has come.
pub fn run<'a>(
    scenario: &'a Scenario,
    options: &Options,
    tell: Option<Tell<'a>>,
    watch: impl FnMut(Timestamp),
) -> Result<Outcome, SimulationError> {
    run_timed(scenario, options, tell, None, watch)
}

/// The same, with a stopwatch around every planner's work.
pub fn run_timed<'a>(
    scenario: &'a Scenario,
    options: &Options,
    tell: Option<Tell<'a>>,
    stopwatch: Option<Stopwatch>,
    watch: impl FnMut(Timestamp),
) -> Result<Outcome, SimulationError> {
    let start = Start { policy: options.policy.as_deref(), seed: options.seed, state: None };
    let mut simulation = Simulation::timed(scenario, start, stopwatch)?;
    simulation.listen(tell.map(|tell| Box::new(move |at, told: &Told| tell(at, told)) as Listener<'a>));
    simulation.finish(options.lasts, options.until_converged, watch)
}

/// The world at its start, before anything has happened.
pub(super) fn world<'a>(
    scenario: &'a Scenario,
    start: Start<'_>,
    stopwatch: Option<Stopwatch>,
) -> Result<World<'a>, SimulationError> {
    let Start { policy: named, seed, state } = start;
    let clock = Arc::new(VirtualClock::default());
    let knowledge = MemoryKnowledge::new(clock.clone());
    let mut agents = Vec::with_capacity(scenario.agents.len());
    let mut links: BTreeMap<NodeId, Vec<&Link>> = BTreeMap::new();
    scenario.network.links.iter().for_each(|link| links.entry(link.from).or_default().push(link));
    for settings in scenario.agents.values() {
        let policy = policy(named.unwrap_or(&settings.policy))?;
        let from_home = links.get(&settings.node).map_or(&[][..], Vec::as_slice);
        let each = settings.data_sets.iter();
        let trained = each.clone().map(|data_set| trained(scenario, settings, data_set, from_home, seed)).collect();
        let position = |name| scenario.network.data_sets.keys().position(|other| other == name).expect(VALIDATED);
        let (shelves, service) = (each.map(position).collect(), scenario.services.get(&settings.id));
        let mut agent = Agent::new(&scenario.network, settings, shelves, policy, trained, service, seed);
        agent.stopwatch.clone_from(&stopwatch);
        agents.push(agent);
    }
    drop(links);
    let unheard = match agents.iter().any(Agent::asks_who_lives) {
        true => scenario.network.rhythm.heartbeat,
        false => Duration::MAX,
    };
    let table = Table::new(knowledge, unheard);
    let mut world = World::new(scenario, clock, table, agents, Stores::default(), seed);
    world.oracle = named.and_then(Oracle::of);
    world.found(state);
    world.arrange_all();
    Ok(world)
}

fn policy(name: &str) -> Result<Arc<dyn Policy>, SimulationError> {
    if ORACLES.contains(&name) {
        return Ok(Arc::new(planner::Nothing));
    }
    planner::policy(name).map(Arc::from).ok_or_else(|| SimulationError::UnknownPolicy(name.to_owned()))
}

/// What an agent was trained to expect of one data set: as the scenario says, else by runs at each node.
fn trained(
    scenario: &Scenario,
    settings: &AgentSettings,
    data_set: &DataSetName,
    from_home: &[&Link],
    seed: u64,
) -> Experience {
    let (physics, records) = (scenario.physics_of(data_set), records(scenario, data_set));
    let links: BTreeMap<NodeId, Link> = from_home.iter().map(|link| (link.to, **link)).collect();
    let runs = trained_at(scenario, settings, &links).into_iter().map(|node| {
        let itself = Link { from: settings.node, to: node, latency_ms: 0.0, jitter_ms: 0.0 };
        let link = links.get(&node).copied().unwrap_or(itself);
        let availability = scenario.network.nodes.get(&node).map_or(0.0, |node| node.availability.value());
        let runs = match scenario.services.get(&settings.id) {
            Some(service) => {
                let mut rng = streams::stream(seed, settings.id, Purpose::Training(node));
                requests::train(service, &Way::new(&physics, link, 1.0), availability, &mut rng)
            }
            None => physics::train(&physics, seed, settings.id, link, records, availability),
        };
        (node, runs)
    });
    let runs: BTreeMap<NodeId, Vec<Metrics>> = runs.collect();
    let given = scenario.impacts.get(&settings.id).cloned();
    // What the whole job would show depends on where the others are: that is predicted.
    let is_all = settings.data_sets.len() == 1;
    let derived = || match is_all {
        true => derive_impacts(&runs, &settings.rho, scenario.network.learning.max_copies),
        false => BTreeMap::new(),
    };
    let latency = match scenario.physics.links {
        Links::Injected => Latency::Injected,
        Links::Measured => Latency::Real,
    };
    Experience::new(given.unwrap_or_else(derived), latency, &runs, &BTreeMap::new())
}

fn records(scenario: &Scenario, data_set: &DataSetName) -> u64 {
    let settings = scenario.network.data_sets.get(data_set);
    settings.and_then(|settings| settings.generate_records).unwrap_or(0)
}

/// Why what a scenario says cannot be refused.
pub(super) const VALIDATED: &str = "the scenario was validated";

impl World<'_> {
    /// Registers the network that is there at the start, and puts each data set on its first node.
    fn found(&mut self, state: Option<&NetworkState>) {
        let joining = self.scenario.joining();
        let there: Vec<NodeId> =
            self.scenario.network.nodes.keys().copied().filter(|node| !joining.contains_key(node)).collect();
        self.register_nodes(&there);
        let tariff = self.scenario.network.tariff_with(&self.scenario.agents);
        self.is_priced = !tariff.is_none();
        if self.is_priced {
            ready(self.table.knowledge.register_tariff(&tariff)).expect(VALIDATED);
        }
        for settings in self.scenario.network.data_sets.values() {
            self.found_data_set(settings, state);
        }
        if let Some(state) = state {
            self.take_over(state);
        }
    }

    fn found_data_set(&mut self, settings: &DataSetSettings, state: Option<&NetworkState>) {
        let (first, key) = (settings.first_node, format!("{}/first", settings.object_key));
        let data_set = DataSet {
            name: settings.name.clone(),
            object_key: settings.object_key.clone(),
            bytes: self.scenario.bytes(&settings.name),
            records: settings.generate_records.unwrap_or(0),
            // Of no bytes that exist.
            sha256: "0".repeat(64),
            versions: Default::default(),
            guard: Guard { constraints: settings.constraints.clone(), paused_until: None },
        };
        let registered = ready(self.table.knowledge.register_data_set(&data_set, first, &key, &Validators::default()));
        registered.expect(VALIDATED);
        if state.is_some() {
            return;
        }
        let written = self.stores.write(first, &key, data_set.bytes);
        written.expect("an empty store has room, or the scenario cannot begin");
        let placed = self.scenario.placed_of(&settings.name);
        if placed.len() > 1 {
            self.place(&data_set, &placed);
        }
    }

    /// Replicas on all the nodes that hold one at the start, each agent reading the nearest.
    fn place(&mut self, data_set: &DataSet, placed: &BTreeSet<NodeId>) {
        let mut placement = Placement::default();
        // That of the only replica by now.
        let registered = self.table.truth(&data_set.name);
        let first = registered.and_then(|truth| truth.placement.replicas.keys().next().copied()).expect(VALIDATED);
        for (id, node) in (first.0..).map(ReplicaId).zip(placed.iter().copied()) {
            let object_key = format!("{}/first", data_set.object_key);
            let (name, state) = (data_set.name.clone(), ReplicaState::Present);
            let written = self.stores.write(node, &object_key, data_set.bytes);
            written.expect("an empty store has room, or the scenario cannot begin");
            let replica = Replica {
                id,
                data_set: name,
                node,
                object_key,
                state,
                generation: 1,
                lease: None,
                validators: Validators::default(),
                remark: None,
                former: None,
            };
            placement.replicas.insert(id, replica);
        }
        let of_interest = self.scenario.network.links.iter().filter(|link| placed.contains(&link.to));
        let latencies: BTreeMap<(NodeId, NodeId), f64> =
            of_interest.map(|link| ((link.from, link.to), link.latency_ms)).collect();
        for agent in self.scenario.agents.values().filter(|agent| agent.reads(&data_set.name)) {
            let latency = |node| latencies.get(&(agent.node, node)).copied().unwrap_or(0.0);
            let nearest = placement.present().min_by(|a, b| latency(a.node).total_cmp(&latency(b.node)));
            let nearest = nearest.map(|replica| (agent.id, replica.id));
            placement.references.extend(nearest);
        }
        let seeded = self.table.knowledge.seed_placement(&data_set.name, &placement);
        seeded.expect(VALIDATED);
    }

    /// Registers nodes, and their links with those that are registered.
    pub fn register_nodes(&mut self, joining: &[NodeId]) {
        let network = &self.scenario.network;
        let nodes: Vec<Node> = joining
            .iter()
            .filter_map(|id| network.nodes.get(id))
            .map(|settings| Node {
                id: settings.id,
                name: settings.name.clone(),
                store_url: Some(format!("http://node-{}:80/virtual", settings.id)),
                availability: settings.availability,
                capacity_bytes: settings.capacity_bytes,
                state: NodeState::Running,
                heartbeat_at: None,
                labels: settings.labels.clone(),
                store: StoreTraits::default(),
                contact: Default::default(),
            })
            .collect();
        let known = ready(self.table.knowledge.nodes()).unwrap_or_default();
        let there: BTreeSet<NodeId> = known.keys().chain(joining).copied().collect();
        let links: Vec<Link> = network
            .links
            .iter()
            .filter(|link| there.contains(&link.from) && there.contains(&link.to))
            .copied()
            .collect();
        // First the nodes: links between nodes that are registered are checked faster.
        ready(self.table.knowledge.register_network(&nodes, &[])).expect(VALIDATED);
        ready(self.table.knowledge.register_network(&[], &links)).expect(VALIDATED);
        for node in &nodes {
            node.capacity_bytes.into_iter().for_each(|capacity| self.stores.limit(node.id, capacity));
        }
        self.shelves.iter_mut().for_each(|shelf| shelf.touched = true);
    }

    /// What it has come to, whether the table is away or not.
    pub fn outcome(&self, look: impl Fn(&Table, &DataSetName) -> Option<Snapshot>) -> Outcome {
        let looked = self.shelves.iter().filter_map(|shelf| look(&self.table, &shelf.name));
        let knowledge = &self.table.knowledge;
        let events = ready(knowledge.events(EventId(0), usize::MAX)).unwrap_or_default();
        let answered = events.iter().filter(|event| event.feedback_sum > 0.0);
        let feedback = answered.map(|event| (event.id, ready(knowledge.feedback(event.id)).unwrap_or_default()));
        Outcome {
            snapshots: looked.collect(),
            converged: self.has_converged(),
            feedback: feedback.collect(),
            events,
            tallies: self.agents.iter().map(|agent| (agent.id(), agent.tally)).collect(),
            charges: ready(knowledge.charges(Timestamp(i64::MIN))).unwrap_or_default(),
        }
    }
}
