//! The links between nodes, found by their ends: a thousand nodes have a million of them, and every job asks for one.

use super::flat_map::FlatMap;
use super::ids::NodeId;
use super::placement::Link;
use std::ops::Index;

/// At most one link for each direction between two nodes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct LinkTable {
    /// By where they begin, then by where they end; no row is empty.
    rows: FlatMap<NodeId, FlatMap<NodeId, Link>>,
}

impl LinkTable {
    pub fn get(&self, from: NodeId, to: NodeId) -> Option<&Link> {
        self.rows.get(&from)?.get(&to)
    }

    pub fn get_mut(&mut self, from: NodeId, to: NodeId) -> Option<&mut Link> {
        self.rows.get_mut(&from)?.get_mut(&to)
    }

    /// Adds a link unless there is one between its ends.
    pub fn insert_missing(&mut self, link: Link) {
        self.row(link.from).get_or_insert_with(link.to, || link);
    }

    /// Those that begin at a node, in the order of the nodes that they lead to.
    pub fn from(&self, node: NodeId) -> impl Iterator<Item = &Link> {
        self.rows.get(&node).into_iter().flat_map(FlatMap::values)
    }

    /// In the order of the nodes where they begin, then of those that they lead to.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.rows.values().flat_map(FlatMap::values)
    }

    pub fn len(&self) -> usize {
        self.rows.values().map(FlatMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What one direction takes \[ms\], however much it varies; `None`: there is no such link.
    pub fn set_latency(&mut self, from: NodeId, to: NodeId, latency_ms: Option<f64>) {
        match latency_ms {
            Some(latency_ms) => {
                self.insert_missing(Link { from, to, latency_ms, jitter_ms: 0.0 });
                self.get_mut(from, to).into_iter().for_each(|link| link.latency_ms = latency_ms);
            }
            None => self.remove(from, to),
        }
    }

    /// No error when there is none.
    pub fn remove(&mut self, from: NodeId, to: NodeId) {
        self.rows.retain(|begins, row| {
            if *begins == from {
                row.remove(&to);
            }
            !row.is_empty()
        });
    }

    /// Drops all that begin or end at a node.
    pub fn remove_node(&mut self, node: NodeId) {
        self.rows.remove(&node);
        self.rows.retain(|_, row| {
            row.remove(&node);
            !row.is_empty()
        });
    }

    fn row(&mut self, from: NodeId) -> &mut FlatMap<NodeId, Link> {
        self.rows.get_or_insert_with(from, FlatMap::default)
    }
}

/// By where it begins and where it ends.
impl Index<(NodeId, NodeId)> for LinkTable {
    type Output = Link;

    fn index(&self, (from, to): (NodeId, NodeId)) -> &Link {
        self.get(from, to).expect("there is a link between these nodes")
    }
}

/// Of links between the same ends the last one counts.
impl FromIterator<Link> for LinkTable {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        let mut links: Vec<Link> = links.into_iter().collect();
        links.sort_by_key(|link| (link.from, link.to));
        let mut table = Self::default();
        for link in links {
            table.row(link.from).insert(link.to, link);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: u32, to: u32, latency_ms: f64) -> Link {
        Link { from: NodeId(from), to: NodeId(to), latency_ms, jitter_ms: 0.0 }
    }

    fn check(table: &LinkTable, expected: &[(u32, u32, f64)]) {
        let found: Vec<_> = table.iter().map(|link| (link.from.0, link.to.0, link.latency_ms)).collect();
        assert_eq!(found, expected);
        assert_eq!((table.len(), table.is_empty()), (expected.len(), expected.is_empty()));
        for &(from, to, latency_ms) in expected {
            assert_eq!(table[(NodeId(from), NodeId(to))], link(from, to, latency_ms));
        }
    }

    #[test]
    fn links_are_in_order_and_the_last_between_two_ends_counts() {
        let links = [link(3, 1, 5.0), link(1, 7, 6.0), link(1, 2, 7.0), link(3, 1, 8.0)];
        let table: LinkTable = links.into_iter().collect();
        check(&table, &[(1, 2, 7.0), (1, 7, 6.0), (3, 1, 8.0)]);
        assert_eq!(table.get(NodeId(2), NodeId(1)), None);
        assert_eq!(table.get(NodeId(1), NodeId(3)), None);
        let from = |node| table.from(NodeId(node)).map(|link| link.to.0).collect::<Vec<_>>();
        assert_eq!((from(1), from(2), from(3)), (vec![2, 7], vec![], vec![1]));
    }

    #[test]
    fn a_node_goes_with_its_links_and_leaves_no_trace() {
        let mut table: LinkTable = [link(1, 2, 5.0), link(2, 1, 5.0), link(2, 3, 6.0)].into_iter().collect();
        table.insert_missing(link(2, 3, 9.0));
        table.insert_missing(link(3, 1, 7.0));
        check(&table, &[(1, 2, 5.0), (2, 1, 5.0), (2, 3, 6.0), (3, 1, 7.0)]);
        table.get_mut(NodeId(2), NodeId(3)).unwrap().latency_ms = 8.0;
        table.remove(NodeId(1), NodeId(3));
        table.remove(NodeId(3), NodeId(1));
        check(&table, &[(1, 2, 5.0), (2, 1, 5.0), (2, 3, 8.0)]);
        table.remove_node(NodeId(1));
        check(&table, &[(2, 3, 8.0)]);
        assert_eq!(table, [link(2, 3, 8.0)].into_iter().collect());
    }
}
