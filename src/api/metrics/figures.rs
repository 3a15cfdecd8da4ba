//! What the network is like at a moment.

use crate::api::view::View;
use crate::app::switchboard::Switchboard;
use agent_core::domain::event::Outcome;
use agent_core::domain::placement::ReplicaState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct OfAgent {
    pub agent: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct Acted {
    pub agent: u32,
    pub action: &'static str,
    pub outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct Answered {
    pub route: String,
    pub method: String,
    pub status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Job {
    agent: u32,
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfNode {
    node: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfDataSet {
    data_set: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfReplica {
    data_set: String,
    node: u32,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct InState {
    data_set: String,
    state: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfLink {
    from: u32,
    to: u32,
}

/// Any number.
type Value = Gauge<f64, AtomicU64>;

/// One figure.
pub fn register_one(registry: &mut Registry, name: &'static str, help: &'static str, value: f64) {
    registry.register(name, help, ConstGauge::new(value));
}

/// The same figure of many.
fn register_each<L>(registry: &mut Registry, name: &str, help: &str, values: impl IntoIterator<Item = (L, f64)>)
where
    L: EncodeLabelSet + Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
{
    let family: Family<L, Value> = Family::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}

/// Seconds that planners took: most look at the table and leave it at that, a search in a large network takes its time.
const DECISION_BUCKETS: [f64; 10] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0];

pub type Decisions = Family<OfAgent, Histogram, fn() -> Histogram>;

pub fn decisions() -> Decisions {
    Family::new_with_constructor(|| Histogram::new(DECISION_BUCKETS))
}

/// Of the agents of this process; what they decided since the last look is added to `decisions`.
pub fn register_deciding(registry: &mut Registry, switchboard: &Switchboard, decisions: &Decisions) {
    let (asks, answers): (Family<OfAgent, Counter>, Family<OfAgent, Counter>) = Default::default();
    for (agent, controls) in switchboard.all() {
        let (of, deciding) = (OfAgent { agent: agent.0 }, controls.deciding());
        let durations = decisions.get_or_create(&of);
        deciding.take().iter().for_each(|took| durations.observe(took.as_secs_f64()));
        let (asked, answered) = deciding.posted();
        asks.get_or_create(&of).inc_by(asked);
        answers.get_or_create(&of).inc_by(answered);
    }
    let help = "What a planner took to look at the table, and to decide if it did; of this process's agents";
    registry.register("agent_decision_duration_seconds", help, decisions.clone());
    registry.register("agent_asks", "Questions that this process's agents asked their peers", asks);
    registry.register("agent_answers", "Answers that this process's agents gave their peers", answers);
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Standing {
    agent: u32,
    standing: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Dropped {
    agent: u32,
    why: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Direction {
    agent: u32,
    direction: &'static str,
}

/// Whom the nodes of this process's agents see, and what that takes; absent where they are no members.
pub fn register_members(registry: &mut Registry, switchboard: &Switchboard) {
    let members: Family<Standing, Value> = Family::default();
    let (messages, bytes): (Family<Direction, Counter>, Family<Direction, Counter>) = Default::default();
    let dropped: Family<Dropped, Counter> = Family::default();
    for (agent, view) in switchboard.members() {
        let agent = agent.0;
        for standing in agent_membership::Standing::ALL {
            let count = view.members.iter().filter(|seen| seen.standing == standing).count();
            members.get_or_create(&Standing { agent, standing: standing.name() }).set(count as f64);
        }
        let counted = view.counters;
        let both = [("sent", counted.sent, counted.sent_bytes), ("received", counted.received, counted.received_bytes)];
        for (direction, count, size) in both {
            messages.get_or_create(&Direction { agent, direction }).inc_by(count);
            bytes.get_or_create(&Direction { agent, direction }).inc_by(size);
        }
        let of = counted.dropped;
        let all = [
            ("malformed", of.malformed),
            ("other_network", of.other_network),
            ("other_version", of.other_version),
            ("stranger", of.stranger),
            ("forged", of.forged),
            ("other_key", of.other_key),
            ("too_old", of.too_old),
            ("no_room", of.no_room),
        ];
        all.into_iter().for_each(|(why, count)| _ = dropped.get_or_create(&Dropped { agent, why }).inc_by(count));
    }
    registry.register("agent_members", "Members of the network as an agent's node sees them", members);
    registry.register("agent_member_messages", "What an agent's node and its peers said to each other", messages);
    registry.register("agent_member_bytes", "Bytes of that, without those of UDP, TCP and IP", bytes);
    let help = "Messages and records that an agent's node did not believe, or had no room for";
    registry.register("agent_member_dropped", help, dropped);
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

pub fn register(registry: &mut Registry, view: &View) {
    of_agents(registry, view);
    of_nodes(registry, view);
    of_data_sets(registry, view);
}

fn of_agents(registry: &mut Registry, view: &View) {
    let agents = || view.agents.values();
    let of = |id: u32| OfAgent { agent: id };
    let met = agents().filter_map(|agent| Some((of(agent.id), flag(agent.goal_met?))));
    register_each(registry, "agent_goal_met", "Whether the last job met its agent's goal; absent when it failed", met);
    let alive = agents().map(|agent| (of(agent.id), flag(agent.alive)));
    register_each(registry, "agent_alive", "Whether an agent was heard of lately", alive);
    let failed = agents().map(|agent| (of(agent.id), agent.failed_in_a_row as f64));
    register_each(
        registry,
        "agent_jobs_failed_in_a_row",
        "Of the last jobs, how many failed one after the other",
        failed,
    );
    let unexpected = agents().map(|agent| (of(agent.id), f64::from(agent.unexpected_inputs)));
    let help = "Inputs that nobody waited for in an agent's present life; more than none is a fault of the program";
    register_each(registry, "agent_unexpected_inputs", help, unexpected);
    let jobs: Family<Job, Counter> = Family::default();
    for agent in agents() {
        let met = agent.jobs.saturating_sub(agent.violated_jobs);
        for (outcome, count) in [("met", met), ("missed", agent.violated_jobs), ("failed", agent.failed_jobs)] {
            jobs.get_or_create(&Job { agent: agent.id, outcome }).inc_by(count);
        }
    }
    registry.register("agent_jobs", "Jobs, by what they came to", jobs);
}

fn of_nodes(registry: &mut Registry, view: &View) {
    let nodes = || view.nodes.values();
    let of = |id: u32| OfNode { node: id };
    let stored = nodes().map(|node| (of(node.id), node.stored_bytes as f64));
    register_each(registry, "agent_node_stored_bytes", "What replicas take in a node's store", stored);
    let capacity = nodes().filter_map(|node| Some((of(node.id), node.capacity_bytes? as f64)));
    register_each(registry, "agent_node_capacity_bytes", "What a node's store holds; absent without a limit", capacity);
    let available = nodes().map(|node| (of(node.id), node.availability_percent / 100.0));
    register_each(registry, "agent_node_availability_ratio", "Of a node, as it is known", available);
    let silent = nodes().map(|node| (of(node.id), flag(node.silent_since.is_some())));
    register_each(registry, "agent_node_silent", "Whether a node's agent runs and has missed its heartbeats", silent);
    // Every snapshot knows the same links.
    let links = view.snapshots.first().into_iter().flat_map(|snapshot| snapshot.links_in_force());
    let latencies = links.map(|link| (OfLink { from: link.from.0, to: link.to.0 }, link.latency_ms / 1000.0));
    register_each(registry, "agent_link_latency_seconds", "Of a link, as it is known", latencies);
}

fn of_data_sets(registry: &mut Registry, view: &View) {
    let statuses = || view.statuses.iter();
    let of = |name: &str| OfDataSet { data_set: name.to_owned() };
    let converged = statuses().map(|status| (of(&status.data_set.0), flag(status.converged)));
    register_each(registry, "agent_data_set_converged", "Whether every reader's goal holds and nobody acts", converged);
    let paused = statuses().map(|status| (of(&status.data_set.0), flag(status.paused)));
    register_each(registry, "agent_data_set_paused", "Whether no action is begun", paused);
    let broken = statuses().map(|status| (of(&status.data_set.0), status.broken.len() as f64));
    register_each(registry, "agent_invariants_broken", "What must never be", broken);
    let replicas = statuses().flat_map(|status| {
        ReplicaState::ALL.into_iter().map(|state| {
            let labels = InState { data_set: status.data_set.to_string(), state: state.name() };
            (labels, status.replicas.iter().filter(|replica| replica.state == state).count() as f64)
        })
    });
    register_each(registry, "agent_replicas", "Replicas, by their state", replicas);
    let stale = statuses().flat_map(|status| {
        status.replicas.iter().map(|replica| {
            let labels = OfReplica { data_set: status.data_set.to_string(), node: replica.node.0 };
            (labels, replica.behind.map_or(0.0, |behind| behind.staleness_scenario_s))
        })
    });
    let help = "How long ago the first version was announced that a replica lacks; 0 for the newest";
    register_each(registry, "agent_replica_staleness_seconds", help, stale);
    let running = view.snapshots.iter().map(|snapshot| {
        let running = snapshot.open_events.iter().filter(|event| event.outcome == Outcome::Running);
        (of(&snapshot.data_set.name.0), running.count() as f64)
    });
    register_each(registry, "agent_actions_running", "Actions under way", running);
}
