//! Nodes that come and go while the agents run: `agent add-node`, `agent remove-node`.

use super::catalogue::Catalogue;
use super::surroundings::Surroundings;
use crate::actors::remove_object;
use crate::knowledge::Knowledge;
use agent_core::config::Addition;
use agent_core::config::settings::{NodeSettings, StoreSettings};
use agent_core::domain::books::Tariff;
use agent_core::domain::environment::Availability;
use agent_core::domain::flat_map::FlatMap;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::labels::Labels;
use agent_core::domain::link_table::LinkTable;
use agent_core::domain::placement::{Link, Node, NodeState, Replica, StoreTraits};
use agent_core::domain::store_url::StoreUrl;
use agent_core::domain::units::Percent;
use agent_core::mape::planner::Rng;
use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What a drawn node's availability lies in \[%\].
const AVAILABILITY: RangeInclusive<u32> = 70..=99;
/// What its latencies lie in when no link is known that they could be like \[ms\].
const LATENCY: (f64, f64) = (200.0, 2000.0);
/// Drawn latencies are multiples of this \[ms\].
const LATENCY_STEP: f64 = 10.0;
/// How often a draining node is looked at, on the wall.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// An object that cannot be deleted is tried so often.
const DELETIONS: u32 = 3;

/// The network that is added to.
pub struct Present {
    pub nodes: FlatMap<NodeId, Node>,
    /// Empty as long as the catalogue is.
    pub links: LinkTable,
}

/// Nodes with their links in both directions.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Newcomers {
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    /// What these cost.
    #[serde(skip)]
    pub tariff: Tariff,
}

/// One node as somebody described it.
#[derive(Clone, PartialEq, Debug)]
pub struct Described {
    /// Absent: the next one.
    pub id: Option<NodeId>,
    /// Absent: `node-N`.
    pub name: Option<String>,
    pub availability: Availability,
    /// To and from each other node.
    pub latency_ms: BTreeMap<NodeId, f64>,
    pub jitter_ms: f64,
    pub capacity_bytes: Option<u64>,
    pub labels: Labels,
    /// Absent: one that is still to be started.
    pub store: Option<StoreUrl>,
}

impl Present {
    pub async fn load(knowledge: &dyn Knowledge) -> crate::knowledge::Result<Self> {
        match Catalogue::load(knowledge).await?.snapshots.first() {
            Some(snapshot) => {
                Ok(Self { nodes: FlatMap::clone(&snapshot.nodes), links: LinkTable::clone(&snapshot.links) })
            }
            None => Ok(Self { nodes: knowledge.nodes().await?, links: LinkTable::default() }),
        }
    }

    /// The first number that no node has or had before the highest.
    pub fn next_id(&self) -> NodeId {
        self.nodes.keys().next_back().map_or(NodeId(1), |last| NodeId(last.0.saturating_add(1)))
    }

    fn staying(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.nodes.values().filter(|node| node.state != NodeState::Leaving).map(|node| node.id)
    }

    /// What a drawn latency lies in: around what is known.
    fn latencies(&self) -> (f64, f64) {
        let known = || self.links.iter().map(|link| link.latency_ms);
        match (known().min_by(f64::total_cmp), known().max_by(f64::total_cmp)) {
            (Some(lowest), Some(highest)) if highest > 0.0 => (lowest * 0.5, highest * 1.2),
            _ => LATENCY,
        }
    }

    fn jitter(&self) -> f64 {
        let mut known: Vec<f64> = self.links.iter().map(|link| link.jitter_ms).collect();
        known.sort_by(f64::total_cmp);
        known.get(known.len() / 2).copied().unwrap_or(0.0)
    }
}

/// The node that somebody described.
pub fn described(present: &Present, node: &Described) -> Newcomers {
    let id = node.id.unwrap_or_else(|| present.next_id());
    let row = Node {
        name: node.name.clone().unwrap_or_else(|| name_of(id)),
        store_url: node.store.as_ref().map(ToString::to_string),
        capacity_bytes: node.capacity_bytes,
        labels: node.labels.clone(),
        ..bare(id, node.availability)
    };
    let links = node.latency_ms.iter().flat_map(|(other, latency)| both_ways(id, *other, *latency, node.jitter_ms));
    Newcomers { nodes: vec![row], links: links.collect(), ..Newcomers::default() }
}

/// The nodes of a file.
pub fn listed(addition: &Addition) -> Newcomers {
    let nodes = addition.nodes.values().map(row).collect();
    Newcomers { nodes, links: addition.links.clone(), tariff: addition.tariff.clone() }
}

/// So many nodes, drawn so that they could be part of the network; the same seed on the same network draws the same.
pub fn drawn(present: &Present, first: Option<NodeId>, count: u32, seed: u64) -> Newcomers {
    let mut rng = Rng::seed_from_u64(seed);
    let first = first.unwrap_or_else(|| present.next_id()).0;
    let ((lowest, highest), jitter) = (present.latencies(), present.jitter());
    let mut others: Vec<NodeId> = present.staying().collect();
    let mut drawn = Newcomers::default();
    for id in (first..).take(count as usize).map(NodeId) {
        let percent = Percent::new(f64::from(rng.random_range(AVAILABILITY)));
        // Cannot fail: the range lies within 0..=100.
        drawn.nodes.push(bare(id, percent.expect("a percentage")));
        for other in &others {
            let latency: f64 = rng.random_range(lowest..=highest);
            let latency = (latency / LATENCY_STEP).round().max(1.0) * LATENCY_STEP;
            drawn.links.extend(both_ways(id, *other, latency, jitter));
        }
        others.push(id);
    }
    drawn
}

fn name_of(id: NodeId) -> String {
    format!("node-{id}")
}

fn bare(id: NodeId, availability: impl Into<Availability>) -> Node {
    Node {
        id,
        name: name_of(id),
        store_url: None,
        availability: availability.into(),
        capacity_bytes: None,
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: StoreTraits::default(),
        contact: Default::default(),
    }
}

fn both_ways(a: NodeId, b: NodeId, latency_ms: f64, jitter_ms: f64) -> [Link; 2] {
    [(a, b), (b, a)].map(|(from, to)| Link { from, to, latency_ms, jitter_ms })
}

/// A node's row as its settings describe it.
pub fn row(settings: &NodeSettings) -> Node {
    Node {
        name: settings.name.clone(),
        // Somebody else's server is there without an agent; an embedded one tells its address when it is started.
        store_url: match &settings.store {
            StoreSettings::S3(store) => Some(store.url.to_string()),
            StoreSettings::Embedded { .. } => None,
        },
        capacity_bytes: settings.capacity_bytes,
        labels: settings.labels.clone(),
        ..bare(settings.id, settings.availability)
    }
}

/// What is to become of the objects of a node that leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Objects {
    Delete,
    /// Its store is gone for good.
    Lost,
}

/// Removes a node: it leaves, what it holds drains, its objects are deleted, its rows go. `progress` is told what it still
/// holds whenever that changes. Dropping the future leaves the node leaving; calling this again goes on.
pub async fn remove(
    surroundings: &Surroundings,
    node: NodeId,
    objects: Objects,
    mut progress: impl FnMut(&[Replica]),
) -> anyhow::Result<()> {
    let (knowledge, network) = (surroundings.knowledge.as_ref(), surroundings.network());
    let mut shown = Vec::new();
    let mut held = knowledge.leave_node(node, network.silence(), network.rhythm.drain).await?;
    let mut failures = 0;
    loop {
        if shown != held {
            progress(&held);
            shown = held;
        }
        if let Err(error) = delete_drained(surroundings, node, objects).await {
            failures += 1;
            if failures == DELETIONS {
                return Err(error).with_context(|| {
                    format!(
                        "node {node} is leaving, but its objects cannot be deleted: start its store (`agent store --node \
                         {node}`) and run this again, or add --lost if it is gone for good"
                    )
                });
            }
        }
        held = knowledge.remove_node(node).await?;
        if held.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Deletes what nobody may read any more on a node. Its agent, or anybody's, may be doing the same.
async fn delete_drained(surroundings: &Surroundings, node: NodeId, objects: Objects) -> anyhow::Result<()> {
    let knowledge = surroundings.knowledge.as_ref();
    let drained = knowledge.unfinished(AgentId::OPERATOR, false).await?.removing;
    let world = surroundings.operators_world()?;
    for row in drained.into_iter().filter(|row| row.node == node) {
        match objects {
            Objects::Delete => remove_object(&world, &row).await.map_err(anyhow::Error::msg)?,
            Objects::Lost => knowledge.removed(row.id).await?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(leaving: &[u32]) -> Present {
        let node = |id| {
            let state = if leaving.contains(&id) { NodeState::Leaving } else { NodeState::Running };
            (NodeId(id), Node { state, ..bare(NodeId(id), Percent::new(90.0).unwrap()) })
        };
        let links = both_ways(NodeId(1), NodeId(2), 1000.0, 7.0);
        Present { nodes: [1, 2, 3].map(node).into(), links: links.into_iter().collect() }
    }

    #[test]
    fn drawn_nodes_are_linked_with_all_that_stay_and_with_each_other() {
        let drawn = drawn(&present(&[3]), None, 2, 7);
        assert_eq!(
            drawn.nodes.iter().map(|node| (node.id.0, node.name.as_str())).collect::<Vec<_>>(),
            [(4, "node-4"), (5, "node-5")]
        );
        let ways: Vec<_> = drawn.links.iter().map(|link| (link.from.0, link.to.0)).collect();
        assert_eq!(ways, [(4, 1), (1, 4), (4, 2), (2, 4), (5, 1), (1, 5), (5, 2), (2, 5), (5, 4), (4, 5)]);
        for link in &drawn.links {
            assert!((500.0..=1200.0).contains(&link.latency_ms) && link.latency_ms % 10.0 == 0.0, "{link:?}");
            assert_eq!(link.jitter_ms, 7.0);
        }
        let shares: Vec<f64> = drawn.nodes.iter().map(|node| node.availability.value()).collect();
        assert!(shares.iter().all(|share| (70.0..=99.0).contains(share)), "{shares:?}");
    }

    #[test]
    fn the_seed_decides_what_is_drawn() {
        assert_eq!(drawn(&present(&[]), None, 3, 7), drawn(&present(&[]), None, 3, 7));
        assert_ne!(drawn(&present(&[]), None, 3, 7), drawn(&present(&[]), None, 3, 8));
        let alone = Present { nodes: FlatMap::default(), links: LinkTable::default() };
        assert_eq!(drawn(&alone, Some(NodeId(9)), 1, 7).nodes[0].id, NodeId(9));
        assert_eq!(alone.next_id(), NodeId(1));
    }

    #[test]
    fn a_described_node_has_a_number_and_a_name() {
        let node = Described {
            id: None,
            name: None,
            availability: Percent::new(80.0).unwrap().into(),
            latency_ms: BTreeMap::from([(NodeId(1), 2000.0)]),
            jitter_ms: 3.0,
            capacity_bytes: Some(5),
            labels: Labels::new(),
            store: None,
        };
        let Newcomers { nodes, links, .. } = described(&present(&[]), &node);
        assert_eq!((nodes[0].id, nodes[0].name.as_str(), nodes[0].capacity_bytes), (NodeId(4), "node-4", Some(5)));
        assert_eq!(links, both_ways(NodeId(4), NodeId(1), 2000.0, 3.0));
    }
}
