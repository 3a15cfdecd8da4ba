//! What the shared table says, as several routes and the page need it.

use super::Api;
use super::problem::Problem;
use crate::app::catalogue::Catalogue;
use crate::app::status::{self, Status, Timing};
use crate::knowledge::Knowledge;
use agent_core::clock::WallTime;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::snapshot::Snapshot;
use std::collections::BTreeMap;

use super::wire;

/// The network at a moment; each data set of its own.
pub struct View {
    pub snapshots: Vec<Snapshot>,
    /// In the same order.
    pub statuses: Vec<Status>,
    pub nodes: BTreeMap<u32, wire::Node>,
    pub agents: BTreeMap<u32, wire::Agent>,
}

impl Api {
    pub(super) fn knowledge(&self) -> &dyn Knowledge {
        self.surroundings.knowledge.as_ref()
    }

    /// On the wall, by the clock that the network follows.
    pub(super) fn now(&self) -> WallTime {
        self.scale.on_the_wall(self.surroundings.clock.now())
    }

    pub(super) async fn view(&self) -> Result<View, Problem> {
        let network = self.surroundings.network();
        let timing = Timing { silence: network.silence(), scale: self.scale };
        let catalogue = Catalogue::load(self.knowledge()).await?;
        let statuses = {
            let mut jobs = self.jobs.lock().await;
            status::of_catalogue(self.knowledge(), &catalogue, timing, &mut jobs).await?
        };
        let mut nodes = BTreeMap::new();
        for status in &statuses {
            nodes.extend(status.nodes.iter().map(|node| (node.node.id.0, wire::Node::new(node))));
        }
        if statuses.is_empty() {
            let known = self.knowledge().nodes().await?;
            nodes.extend(known.values().map(|node| (node.id.0, wire::Node::of(node, 0))));
        }
        let agents = self.agents(&statuses);
        Ok(View { snapshots: catalogue.snapshots, statuses, nodes, agents })
    }

    fn agents(&self, statuses: &[Status]) -> BTreeMap<u32, wire::Agent> {
        let mut reads: BTreeMap<AgentId, Vec<(DataSetName, Option<NodeId>)>> = BTreeMap::new();
        for status in statuses {
            for agent in &status.agents {
                reads.entry(agent.peer.registration.agent).or_default().push((status.data_set.clone(), agent.reads));
            }
        }
        let all = statuses.iter().flat_map(|status| &status.agents);
        let agent = |status: &status::AgentStatus| {
            let id = status.peer.registration.agent;
            (id.0, wire::Agent::new(status, &reads[&id], self.scale))
        };
        all.map(agent).collect()
    }
}

impl View {
    pub fn data_set(&self, name: &str) -> Result<(&Snapshot, &Status), Problem> {
        let mut both = self.snapshots.iter().zip(&self.statuses);
        both.find(|(_, status)| &*status.data_set.0 == name)
            .ok_or_else(|| Problem::unknown("data set", name, self.statuses.iter().map(|status| &status.data_set)))
    }

    pub fn require_node(&self, id: u32) -> Result<&wire::Node, Problem> {
        self.nodes.get(&id).ok_or_else(|| Problem::unknown("node", id, self.nodes.keys()))
    }

    pub fn require_agent(&self, id: u32) -> Result<&wire::Agent, Problem> {
        self.agents.get(&id).ok_or_else(|| Problem::unknown("agent", id, self.agents.keys()))
    }
}
