//! Networks made from a seed: nodes are points of a square, latency grows with distance, and goals are drawn around a placement
//! that meets a stated share of them.

use crate::config::scenario::{Generate, Goals, Physics, Scenario};
use crate::config::settings::{AgentSettings, NetworkSettings, NodeSettings, StoreSettings};
use crate::domain::goal::{Comparison, Goal, Threshold};
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::labels::Labels;
use crate::domain::metric::Metric;
use crate::domain::placement::Link;
use crate::domain::units::Percent;
use crate::mape::planner::Rng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};

/// How far beyond what the planted placement gives a goal that can be met lies: a share of the latency, and milliseconds.
const MARGIN: f64 = 1.15;
const MARGIN_MS: f64 = 20.0;
/// Standard deviations of a job's time that such a goal allows for: so many that in a day of a thousand agents no job misses it by
/// chance.
const NOISE: f64 = 6.0;

/// The scenario with its network, if it is one to be made from a seed; others stay as they are.
pub fn expand(mut scenario: Scenario) -> Scenario {
    let Some(generate) = scenario.generate.clone() else { return scenario };
    let mut rng = Rng::seed_from_u64(generate.seed);
    let points: Vec<(f64, f64)> = (0..generate.nodes).map(|_| (rng.random(), rng.random())).collect();
    let latency = |a: usize, b: usize| latency_ms(&generate, points[a], points[b]);
    let availabilities: Vec<Percent> = (0..generate.nodes).map(|_| availability(&generate, &mut rng)).collect();
    let names: Vec<DataSetName> = scenario.network.data_sets.keys().cloned().collect();
    let planted: Vec<Vec<usize>> = names.iter().map(|_| planted(&generate, &mut rng, latency)).collect();
    nodes(&mut scenario.network, &generate, &availabilities, latency);
    for (name, planted) in names.iter().zip(&planted) {
        let placed = planted.iter().take(generate.placed as usize).map(|node| id(*node)).collect();
        scenario.placed.insert(name.clone(), placed);
        let settings = scenario.network.data_sets.get_mut(name);
        settings.into_iter().for_each(|settings| settings.first_node = id(planted[0]));
    }
    scenario.agents.clear();
    for home in 0..points.len() {
        // In turn, so that each has as many readers.
        let (data_set, planted) = (&names[home % names.len()], &planted[home % names.len()]);
        let read = match generate.goals {
            Goals::Shared => planted.iter().copied().min_by(|a, b| latency(home, *a).total_cmp(&latency(home, *b))),
            Goals::Own => Some(own_wish(points.len(), |node| latency(home, node), home, &mut rng)),
        };
        let read = read.unwrap_or(home);
        let served = Served {
            latency_ms: if read == home { 0.0 } else { latency(home, read) },
            availability: availabilities[read],
            consistency: consistency(&generate, scenario.network.learning.max_copies),
        };
        let goal = goal(&generate, &scenario, data_set, &served, &mut rng);
        let agent = AgentId(id(home).0);
        let (node, goal_text) = (id(home), goal.to_string());
        let data_sets = vec![data_set.clone()];
        let settings = AgentSettings { id: agent, node, data_sets, goal, goal_text, ..generate.template.clone() };
        scenario.agents.insert(agent, settings);
    }
    scenario
}

/// One of the nearest third of all nodes, the own one included.
fn own_wish(nodes: usize, latency: impl Fn(usize) -> f64, home: usize, rng: &mut Rng) -> usize {
    let mut nearest: Vec<usize> = (0..nodes).collect();
    let distance = |node: &usize| if *node == home { 0.0 } else { latency(*node) };
    nearest.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then(a.cmp(b)));
    nearest[rng.random_range(0..nodes.div_ceil(3))]
}

/// Node 1 is the first.
fn id(index: usize) -> NodeId {
    NodeId(u32::try_from(index).map_or(u32::MAX, |index| index + 1))
}

/// In whole milliseconds.
fn latency_ms(generate: &Generate, a: (f64, f64), b: (f64, f64)) -> f64 {
    let distance = (a.0 - b.0).hypot(a.1 - b.1) / f64::sqrt(2.0);
    (generate.nearest_ms + distance * (generate.farthest_ms - generate.nearest_ms)).round()
}

/// In tenths of a percent.
fn availability(generate: &Generate, rng: &mut Rng) -> Percent {
    let (low, high) = generate.availability;
    let drawn = low.value() + rng.random::<f64>() * (high.value() - low.value());
    Percent::new((drawn * 10.0).round() / 10.0).unwrap_or(high)
}

/// The nodes of a placement that serves everybody: the first one is drawn, each further one is the farthest from those before.
fn planted(generate: &Generate, rng: &mut Rng, latency: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let nodes = generate.nodes as usize;
    let mut planted = vec![rng.random_range(0..nodes)];
    while planted.len() < generate.replicas as usize {
        let distance = |node: &usize| planted.iter().map(|other| latency(*node, *other)).fold(f64::INFINITY, f64::min);
        let free = (0..nodes).filter(|node| !planted.contains(node));
        let Some(farthest) = free.max_by(|a, b| distance(a).total_cmp(&distance(b)).then(b.cmp(a))) else { break };
        planted.push(farthest);
    }
    planted
}

fn nodes(
    network: &mut NetworkSettings,
    generate: &Generate,
    availabilities: &[Percent],
    latency: impl Fn(usize, usize) -> f64,
) {
    network.nodes.clear();
    network.links.clear();
    for (from, availability) in availabilities.iter().enumerate() {
        let settings = NodeSettings {
            id: id(from),
            name: format!("node-{}", id(from)),
            availability: (*availability).into(),
            capacity_bytes: generate.capacity_bytes,
            labels: Labels::new(),
            store: StoreSettings::default(),
        };
        network.nodes.insert(settings.id, settings);
        for to in (0..availabilities.len()).filter(|to| *to != from) {
            let link =
                Link { from: id(from), to: id(to), latency_ms: latency(from, to), jitter_ms: generate.jitter_ms };
            network.links.push(link);
        }
    }
}

/// What the planted placement leaves.
fn consistency(generate: &Generate, max_copies: u32) -> f64 {
    (1.0 - f64::from(generate.replicas - 1) / f64::from(max_copies)).max(0.0)
}

/// What an agent gets from the planted placement.
struct Served {
    latency_ms: f64,
    availability: Percent,
    consistency: f64,
}

/// One of several kinds, met by the planted placement with a margin; or by no placement at all.
fn goal(generate: &Generate, scenario: &Scenario, data_set: &DataSetName, served: &Served, rng: &mut Rng) -> Goal {
    let physics = &scenario.physics_of(data_set);
    let (satisfiable, thrifty) = (rng.random::<f64>() < generate.satisfiable, rng.random::<f64>() < generate.thrifty);
    let kind = rng.random_range(0..4);
    let settings = scenario.network.data_sets.get(data_set);
    let records = settings.and_then(|settings| settings.generate_records).unwrap_or(0) as f64;
    let latency_ms = (served.latency_ms * MARGIN + MARGIN_MS).ceil();
    if !satisfiable {
        // Even a local job takes longer.
        return bound(
            Metric::ResponseTime,
            Comparison::AtMost,
            (physics.response_time.base.as_secs_f64() * 0.5).floor(),
        );
    }
    let quality = match kind {
        0 => bound(Metric::ResponseTime, Comparison::AtMost, longest(physics, latency_ms).ceil()),
        1 => bound(Metric::NetworkLatency, Comparison::AtMost, latency_ms + generate.jitter_ms * NOISE),
        2 => bound(Metric::Throughput, Comparison::AtLeast, (records / slowest(physics, latency_ms)).floor()),
        _ => Goal::All(vec![
            bound(Metric::ResponseTime, Comparison::AtMost, longest(physics, latency_ms).ceil()),
            bound(Metric::Availability, Comparison::AtLeast, served.availability.value().floor()),
        ]),
    };
    match thrifty {
        true => Goal::All(vec![bound(Metric::DataConsistency, Comparison::AtLeast, served.consistency), quality]),
        false => quality,
    }
}

fn bound(metric: Metric, comparison: Comparison, value: f64) -> Goal {
    Goal::Threshold(Threshold { metric, comparison, value })
}

fn longest(physics: &Physics, latency_ms: f64) -> f64 {
    seconds(&physics.response_time, latency_ms)
}

fn slowest(physics: &Physics, latency_ms: f64) -> f64 {
    seconds(&physics.execution_time, latency_ms)
}

fn seconds(line: &crate::config::scenario::Line, latency_ms: f64) -> f64 {
    line.base.as_secs_f64() + line.slope * latency_ms / 1e3 + NOISE * line.deviation.as_secs_f64()
}

/// The nodes that an agent was trained at: its home, those nearest to it, and the one that it reads at the start. Of the others it
/// has predictions.
pub fn trained_at(scenario: &Scenario, settings: &AgentSettings, links: &BTreeMap<NodeId, Link>) -> Vec<NodeId> {
    let Some(generate) = &scenario.generate else { return scenario.network.nodes.keys().copied().collect() };
    let mut nearest: Vec<(f64, NodeId)> = links.values().map(|link| (link.latency_ms, link.to)).collect();
    nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let placed: BTreeSet<NodeId> = settings.data_sets.iter().flat_map(|name| scenario.placed_of(name)).collect();
    let read = nearest.iter().find(|(_, node)| placed.contains(node)).map(|(_, node)| *node);
    let nearest = nearest.iter().take(generate.trained as usize).map(|(_, node)| *node);
    let mut nodes: Vec<NodeId> = nearest.chain(read).chain([settings.node]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}
