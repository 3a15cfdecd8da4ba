//! Where agents read.

use super::ids::{AgentId, DataSetName, NodeId};
use super::snapshot::Snapshot;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Where one agent reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Reads {
    /// The one data set that it reads.
    One(NodeId),
    /// Each of several.
    Several(BTreeMap<DataSetName, NodeId>),
}

impl Reads {
    /// Of all agents that read anything, in these snapshots, one of each data set.
    pub fn of_all(snapshots: &[Snapshot]) -> BTreeMap<AgentId, Self> {
        let mut all: BTreeMap<AgentId, BTreeMap<DataSetName, NodeId>> = BTreeMap::new();
        for snapshot in snapshots {
            let name = &snapshot.data_set.name;
            for agent in snapshot.agents.keys() {
                let node = snapshot.placement.reference(*agent).map(|replica| replica.node);
                node.into_iter().for_each(|node| _ = all.entry(*agent).or_default().insert(name.clone(), node));
            }
        }
        let reads = |nodes: BTreeMap<DataSetName, NodeId>| match nodes.values().next() {
            Some(only) if nodes.len() == 1 => Reads::One(*only),
            Some(_) | None => Reads::Several(nodes),
        };
        all.into_iter().map(|(agent, nodes)| (agent, reads(nodes))).collect()
    }
}

/// `node 3`; `node 1 (blood_tests), node 2 (patients)`.
impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reads::One(node) => write!(f, "node {node}"),
            Reads::Several(nodes) => {
                let each: Vec<String> = nodes.iter().map(|(name, node)| format!("node {node} ({name})")).collect();
                f.write_str(&each.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mape::scene;

    #[test]
    fn one_data_set_is_not_named_and_several_are() {
        let blood = scene::inhabited(scene::snapshot(&[1, 3], &[(1, 1), (2, 2)]), 3);
        let mut urine = scene::inhabited(scene::snapshot(&[2], &[(1, 1)]), 1);
        urine.data_set.name = "urine".into();
        let shown: Vec<String> =
            Reads::of_all(&[blood, urine]).iter().map(|(id, reads)| format!("{id}: {reads}")).collect();
        assert_eq!(shown, ["1: node 1 (blood), node 2 (urine)", "2: node 3"]);
    }
}
