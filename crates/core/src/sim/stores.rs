//! What lies in the virtual stores: the witness that no table can fool.

use crate::domain::ids::NodeId;
use crate::domain::placement::Replica;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Stores {
    /// Object keys with their sizes.
    objects: BTreeMap<NodeId, BTreeMap<String, u64>>,
    capacities: BTreeMap<NodeId, u64>,
}

impl Stores {
    pub fn limit(&mut self, node: NodeId, capacity_bytes: u64) {
        self.capacities.insert(node, capacity_bytes);
    }

    /// `Err`: there is no room, and nothing was written.
    pub fn write(&mut self, node: NodeId, key: &str, bytes: u64) -> Result<(), String> {
        let free = self.capacities.get(&node).map(|capacity| capacity.saturating_sub(self.used(node)));
        if free.is_some_and(|free| free < bytes) {
            return Err(format!("the store of node {node} is full"));
        }
        self.objects.entry(node).or_default().insert(key.to_owned(), bytes);
        Ok(())
    }

    pub fn delete(&mut self, node: NodeId, key: &str) {
        if let Some(objects) = self.objects.get_mut(&node) {
            objects.remove(key);
        }
    }

    pub fn holds(&self, replica: &Replica) -> bool {
        self.objects.get(&replica.node).is_some_and(|objects| objects.contains_key(&replica.object_key))
    }

    pub fn keys(&self, node: NodeId) -> Vec<String> {
        self.objects.get(&node).map(|objects| objects.keys().cloned().collect()).unwrap_or_default()
    }

    pub fn used(&self, node: NodeId) -> u64 {
        self.objects.get(&node).map_or(0, |objects| objects.values().sum())
    }

    /// Stores that hold more than they can.
    pub fn overfull(&self) -> Option<NodeId> {
        self.capacities.iter().find(|(node, capacity)| self.used(**node) > **capacity).map(|(node, _)| *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_takes_nothing_more() {
        let mut stores = Stores::default();
        stores.limit(NodeId(1), 100);
        assert_eq!(stores.write(NodeId(1), "a", 60), Ok(()));
        assert_eq!(stores.write(NodeId(1), "b", 60), Err("the store of node 1 is full".to_owned()));
        stores.delete(NodeId(1), "a");
        assert_eq!(stores.write(NodeId(1), "b", 60), Ok(()));
        assert_eq!(
            (stores.keys(NodeId(1)), stores.used(NodeId(1)), stores.overfull()),
            (vec!["b".to_owned()], 60, None)
        );
    }
}
