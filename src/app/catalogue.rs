//! All data sets that the shared table knows: most of what is asked of a network is asked of each of them.

use crate::knowledge::{Knowledge, Result};
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::placement::Peer;
use agent_core::domain::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::time::Duration;

/// One snapshot for each data set, in the order of their names. Each is of its own moment.
pub struct Catalogue {
    pub snapshots: Vec<Snapshot>,
}

impl Catalogue {
    pub async fn load(knowledge: &dyn Knowledge) -> Result<Self> {
        let mut snapshots = Vec::new();
        for name in knowledge.data_sets().await? {
            // One whose row makes no sense is reported and left out.
            snapshots.extend(knowledge.snapshot(&name).await?);
        }
        Ok(Self { snapshots })
    }

    /// Every registered application that reads any of them.
    pub fn peers(&self) -> BTreeMap<AgentId, &Peer> {
        self.snapshots.iter().flat_map(|snapshot| snapshot.agents.iter().map(|(agent, peer)| (*agent, peer))).collect()
    }

    /// What an application reads.
    pub fn read_by(&self, agent: AgentId) -> impl Iterator<Item = &Snapshot> {
        self.snapshots.iter().filter(move |snapshot| snapshot.agents.contains_key(&agent))
    }

    /// Whether an agent was heard of within `silence`.
    pub fn is_alive(&self, agent: AgentId, silence: Duration) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.is_alive(agent, silence))
    }

    /// Whether an application is registered on a node.
    pub fn has_agent_on(&self, node: NodeId) -> bool {
        self.peers().values().any(|peer| peer.registration.node == node)
    }

    pub fn names(&self) -> impl Iterator<Item = &DataSetName> {
        self.snapshots.iter().map(|snapshot| &snapshot.data_set.name)
    }
}
