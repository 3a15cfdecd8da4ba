//! A map from numbered things that lies in one piece of memory: ids are mostly given without gaps, so a row's place follows
//! from its number, and finding it takes one look where a tree takes several.

use super::ids::{AgentId, NodeId};
use std::collections::BTreeMap;
use std::ops::Index;

/// What a key's place follows from.
pub trait Numbered: Copy + Ord {
    fn number(self) -> u32;
}

impl Numbered for NodeId {
    fn number(self) -> u32 {
        self.0
    }
}

impl Numbered for AgentId {
    fn number(self) -> u32 {
        self.0
    }
}

/// Reads like a [`BTreeMap`]. Rows that come in another order than their keys' cost more: it is made once and read often.
#[derive(Clone, PartialEq, Debug)]
pub struct FlatMap<K, V> {
    /// By ascending key.
    rows: Vec<(K, V)>,
}

impl<K, V> Default for FlatMap<K, V> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<K: Numbered, V> FlatMap<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(*key).ok().map(|place| &self.rows[place].1)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(*key).ok().map(|place| &mut self.rows[place].1)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.find(*key).is_ok()
    }

    /// What was there before, if anything.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(key) {
            Ok(place) => Some(std::mem::replace(&mut self.rows[place].1, value)),
            Err(place) => {
                self.rows.insert(place, (key, value));
                None
            }
        }
    }

    pub fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let place = self.find(key).unwrap_or_else(|place| {
            self.rows.insert(place, (key, value()));
            place
        });
        &mut self.rows[place].1
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.find(*key).ok().map(|place| self.rows.remove(place).1)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.rows.retain_mut(|(key, value)| keep(key, value));
    }

    /// Where a key is, or where it belongs. Ids are given from 1 on, and a node's links leave out the node itself: one of two
    /// places is nearly always right.
    fn find(&self, key: K) -> Result<usize, usize> {
        let number = key.number() as usize;
        let is_at = |place: &usize| self.rows.get(*place).is_some_and(|(there, _)| *there == key);
        let found = [number.wrapping_sub(1), number.wrapping_sub(2)].into_iter().find(is_at);
        found.map_or_else(|| self.rows.binary_search_by_key(&key, |(key, _)| *key), Ok)
    }
}

impl<K, V> FlatMap<K, V> {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator {
        self.rows.iter().map(|(key, value)| (key, value))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.rows.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.rows.iter().map(|(_, value)| value)
    }

    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.rows.iter_mut().map(|(_, value)| value)
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<K: Numbered, V> Index<&K> for FlatMap<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("there is a row of this key")
    }
}

impl<K: Numbered, V> From<BTreeMap<K, V>> for FlatMap<K, V> {
    fn from(sorted: BTreeMap<K, V>) -> Self {
        Self { rows: sorted.into_iter().collect() }
    }
}

/// Of rows of one key the last one counts, as in any map.
impl<K: Numbered, V> FromIterator<(K, V)> for FlatMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Self {
        rows.into_iter().collect::<BTreeMap<K, V>>().into()
    }
}

impl<K: Numbered, V, const N: usize> From<[(K, V); N]> for FlatMap<K, V> {
    fn from(rows: [(K, V); N]) -> Self {
        rows.into_iter().collect()
    }
}

impl<K, V> IntoIterator for FlatMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does the same to a tree, and compares all that can be read.
    fn check(keys: &[u32], removed: &[u32]) {
        let (mut flat, mut tree) = (FlatMap::default(), BTreeMap::new());
        for (value, key) in keys.iter().enumerate() {
            assert_eq!(flat.insert(NodeId(*key), value), tree.insert(NodeId(*key), value));
        }
        for key in removed {
            assert_eq!(flat.remove(&NodeId(*key)), tree.remove(&NodeId(*key)));
        }
        assert!(flat.iter().eq(tree.iter()), "{flat:?}");
        assert_eq!((flat.len(), flat.is_empty()), (tree.len(), tree.is_empty()));
        for key in (0..20).chain([u32::MAX]).map(NodeId) {
            assert_eq!((flat.get(&key), flat.contains_key(&key)), (tree.get(&key), tree.contains_key(&key)));
        }
        assert_eq!(tree.into_iter().collect::<FlatMap<_, _>>(), flat);
    }

    #[test]
    fn it_reads_like_a_tree_whatever_the_order_and_the_gaps() {
        check(&[], &[1]);
        check(&[1, 2, 3, 4], &[]);
        check(&[1, 2, 3, 4], &[1, 3]);
        check(&[4, 3, 2, 1, 3], &[9]);
        check(&[0, u32::MAX, 7], &[0]);
        check(&[5, 6, 9, 10, 7], &[6]);
    }

    #[test]
    fn what_is_missing_is_made_once() {
        let mut flat = FlatMap::from([(NodeId(1), "one")]);
        assert_eq!(*flat.get_or_insert_with(NodeId(1), || "another"), "one");
        assert_eq!(*flat.get_or_insert_with(NodeId(3), || "three"), "three");
        flat.retain(|node, _| node.0 > 1);
        assert_eq!(flat, FlatMap::from([(NodeId(3), "three")]));
        assert_eq!(flat[&NodeId(3)], "three");
    }
}
