//! What an agent has said of its prospects, as it keeps it itself and as each of its peers does: so that nothing is said twice.

use crate::domain::ask::Prospect;
use crate::domain::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Where an agent reads, and how many replicas there are.
pub type State = (NodeId, u32);

/// A change below this is not worth a row, nor is so small a difference to what was said.
const NOTABLE: f64 = 0.01;

/// Changes of a level. They lie in one piece of memory, in order: an agent remembers those of all others.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Changes {
    by_prospect: Vec<(Prospect, f64)>,
}

impl Changes {
    /// Of a prospect: for this number of replicas, else for the next smaller one, else for any. What is not there is no change.
    pub fn of(&self, prospect: Prospect) -> f64 {
        let up_to = self.by_prospect.partition_point(|(other, _)| *other <= prospect);
        let last = up_to.checked_sub(1).map(|place| self.by_prospect[place]);
        last.filter(|((node, _), _)| *node == prospect.0).map_or(0.0, |(_, change)| change)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Prospect, f64)> + '_ {
        self.by_prospect.iter().copied()
    }

    pub fn mention(&self, node: NodeId) -> bool {
        let before = self.by_prospect.partition_point(|((other, _), _)| *other < node);
        self.by_prospect.get(before).is_some_and(|((other, _), _)| *other == node)
    }

    fn insert(&mut self, prospect: Prospect, change: f64) {
        match self.by_prospect.binary_search_by_key(&prospect, |(other, _)| *other) {
            Ok(place) => self.by_prospect[place].1 = change,
            Err(place) => self.by_prospect.insert(place, (prospect, change)),
        }
    }
}

/// Of changes of one prospect the last one counts.
impl FromIterator<(Prospect, f64)> for Changes {
    fn from_iter<I: IntoIterator<Item = (Prospect, f64)>>(changes: I) -> Self {
        let sorted: BTreeMap<Prospect, f64> = changes.into_iter().collect();
        Self { by_prospect: sorted.into_iter().collect() }
    }
}

/// What an agent said, seen from the state that it was in when it spoke.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Said {
    from: Option<State>,
    /// The nodes that were spoken of, in order.
    nodes: Vec<NodeId>,
    changes: Changes,
}

impl Said {
    /// How many changes were said.
    pub fn count(&self) -> u32 {
        u32::try_from(self.changes.by_prospect.len()).unwrap_or(u32::MAX)
    }

    /// Whether a node was spoken of.
    pub fn mentions(&self, node: NodeId) -> bool {
        self.nodes.binary_search(&node).is_ok()
    }

    /// From now on seen from this state: what was said in another one means nothing.
    fn stand(&mut self, state: State) {
        if self.from != Some(state) {
            *self = Self { from: Some(state), ..Self::default() };
        }
    }

    /// Of these changes those that are worth saying; they count as said.
    pub fn news(&mut self, state: State, changes: BTreeMap<Prospect, f64>) -> BTreeMap<Prospect, f64> {
        self.stand(state);
        let mut news = BTreeMap::new();
        // In the order of replicas: what was said of fewer holds for more.
        for (prospect, change) in changes {
            if (change - self.changes.of(prospect)).abs() >= NOTABLE {
                self.changes.insert(prospect, change);
                news.insert(prospect, change);
            }
        }
        news
    }

    /// Takes in what a peer says in this state.
    pub fn hear(&mut self, state: State, nodes: &BTreeSet<NodeId>, changes: &BTreeMap<Prospect, f64>) {
        self.stand(state);
        for node in nodes {
            if let Err(place) = self.nodes.binary_search(node) {
                self.nodes.insert(place, *node);
            }
        }
        changes.iter().for_each(|(prospect, change)| self.changes.insert(*prospect, *change));
    }

    /// By how much the level changes from where the agent stood when it spoke; `None` for what it did not speak of.
    pub fn change(&self, (node, replicas): State) -> Option<f64> {
        if self.from == Some((node, replicas)) {
            return Some(0.0);
        }
        self.mentions(node).then(|| self.changes.of((node, Some(replicas))))
    }

    /// All that was said, seen from another state than it was said in.
    pub fn seen_from(&self, state: State) -> Option<impl Iterator<Item = (Prospect, f64)> + '_> {
        let here = self.change(state)?;
        Some(self.changes.iter().map(move |(prospect, change)| (prospect, change - here)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: State = (NodeId(3), 1);

    fn changes(of: &[(u32, f64)]) -> BTreeMap<Prospect, f64> {
        of.iter().map(|(node, change)| ((NodeId(*node), None), *change)).collect()
    }

    #[test]
    fn only_news_is_said() {
        let mut said = Said::default();
        assert_eq!(said.news(HERE, changes(&[(1, 0.5), (2, 0.001)])), changes(&[(1, 0.5)]));
        assert_eq!(said.news(HERE, changes(&[(1, 0.505), (2, -0.3)])), changes(&[(2, -0.3)]));
        assert_eq!(said.news(HERE, changes(&[(1, 0.0)])), changes(&[(1, 0.0)]), "it was something else before");
        assert_eq!(said.count(), 2);
        assert_eq!(said.news((NodeId(1), 2), changes(&[(2, -0.3)])), changes(&[(2, -0.3)]), "seen from elsewhere");
    }

    #[test]
    fn what_was_said_of_fewer_replicas_holds_for_more() {
        let steps = |of: &[(u32, f64)]| -> BTreeMap<Prospect, f64> {
            of.iter().map(|(replicas, change)| ((NodeId(1), Some(*replicas)), *change)).collect()
        };
        let mut said = Said::default();
        let all = steps(&[(1, 0.0), (2, 0.5), (3, 0.5), (4, -0.5)]);
        assert_eq!(said.news(HERE, all.clone()), steps(&[(2, 0.5), (4, -0.5)]));
        assert_eq!(said.news(HERE, all), BTreeMap::new());
        let later = steps(&[(1, 0.0), (2, 0.0), (3, 0.5), (4, 0.5)]);
        assert_eq!(said.news(HERE, later.clone()), steps(&[(2, 0.0), (3, 0.5), (4, 0.5)]));
        for (prospect, change) in later {
            assert_eq!(said.changes.of(prospect), change);
        }
    }

    #[test]
    fn what_was_not_spoken_of_is_not_known() {
        let mut said = Said::default();
        said.hear(HERE, &[NodeId(1), NodeId(2)].into(), &changes(&[(1, 0.5)]));
        let check = |state, expected| assert_eq!(said.change(state), expected);
        check((NodeId(1), 1), Some(0.5));
        check((NodeId(1), 2), Some(0.5));
        check((NodeId(2), 1), Some(0.0));
        check(HERE, Some(0.0));
        check((NodeId(4), 1), None);
        let seen_from = |state| said.seen_from(state).map(Iterator::collect);
        assert_eq!(seen_from((NodeId(1), 2)), Some(changes(&[(1, 0.0)])));
        assert_eq!(seen_from((NodeId(4), 1)), None);
    }
}
