//! Where there are many readers, looking closely at every change of a set takes long: all changes are valued in one pass over the
//! readers first, and only those that promise most are looked at closely.

use super::valuation::{Prepared, Reader, ReplicaSet};
use crate::domain::action::ActionType;
use crate::domain::ids::NodeId;

/// A node with the place of its gain in a reader's row.
type Column = (NodeId, usize);

/// What everybody's best responses are worth, for a set with one node more, one less, or one exchanged.
struct Changed {
    /// By the place of the node that is dropped; of the one that is added; of both, dropped first.
    dropped: Vec<f64>,
    added: Vec<f64>,
    swapped: Vec<f64>,
}

impl Prepared<'_> {
    /// The sets that promise most of those that differ from a set by one node: with the costs of actions, but without regard to
    /// who carries whom.
    pub fn promising(&self, all: &ReplicaSet, set: &ReplicaSet, count: usize) -> Vec<ReplicaSet> {
        let inside: Vec<NodeId> = set.iter().copied().collect();
        let outside: Vec<NodeId> = all.difference(set).copied().collect();
        let changed = self.changed(&inside, &outside);
        let with = |dropped: Option<NodeId>, new: Option<NodeId>| -> ReplicaSet {
            inside.iter().copied().filter(|node| Some(*node) != dropped).chain(new).collect()
        };
        let mut found: Vec<(f64, ReplicaSet)> = Vec::new();
        let mut offer = |worth: f64, set: ReplicaSet| {
            if !set.is_empty() {
                found.push((worth - self.outlay(&set), set));
            }
        };
        for (at, new) in outside.iter().enumerate() {
            offer(changed.added[at], with(None, Some(*new)));
            for (place, gone) in inside.iter().enumerate() {
                offer(changed.swapped[place * outside.len() + at], with(Some(*gone), Some(*new)));
            }
        }
        for (place, gone) in inside.iter().enumerate() {
            offer(changed.dropped[place], with(Some(*gone), None));
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found.into_iter().take(count).map(|(_, set)| set).collect()
    }

    /// Who reads what is dropped goes to the next best; everybody else goes nowhere but to what is added.
    fn changed(&self, inside: &[NodeId], outside: &[NodeId]) -> Changed {
        let columns = |nodes: &[NodeId], replicas| self.gains.columns_of(nodes, replicas);
        let same = inside.len();
        let (in_less, in_same, in_more) = (columns(inside, same - 1), columns(inside, same), columns(inside, same + 1));
        let (out_same, out_more) = (columns(outside, same), columns(outside, same + 1));
        let width = outside.len();
        let mut changed =
            Changed { dropped: vec![0.0; same], added: vec![0.0; width], swapped: vec![0.0; same * width] };
        let (mut stays_less, mut stays_same) = (0.0, vec![0.0; width]);
        for (index, reader) in self.valuation.readers.iter().enumerate() {
            let row = self.gains.of(index);
            let [best, second] = best_two(row, &in_less);
            let stays = worth(reader, row, best, None);
            stays_less += stays;
            if let Some((place, _)) = best {
                changed.dropped[place] += worth(reader, row, second, None) - stays;
            }
            let [best, second] = best_two(row, &in_same);
            for (at, new) in out_same.iter().enumerate() {
                let stays = worth(reader, row, best, Some(*new));
                stays_same[at] += stays;
                if let Some((place, _)) = best {
                    changed.swapped[place * width + at] += worth(reader, row, second, Some(*new)) - stays;
                }
            }
            let [best, _] = best_two(row, &in_more);
            for (at, new) in out_more.iter().enumerate() {
                changed.added[at] += worth(reader, row, best, Some(*new));
            }
        }
        changed.dropped.iter_mut().for_each(|dropped| *dropped += stays_less);
        changed.swapped.iter_mut().enumerate().for_each(|(at, swapped)| *swapped += stays_same[at % width]);
        changed
    }

    /// What it costs at least to get to a set.
    fn outlay(&self, set: &ReplicaSet) -> f64 {
        let (valuation, present) = (self.valuation, self.valuation.present);
        let (new, gone) = (set.difference(present).count(), present.difference(set).count());
        let moved = new.min(gone) as f64;
        moved * valuation.cost(ActionType::Move)
            + (new as f64 - moved) * valuation.cost(ActionType::Copy)
            + (gone as f64 - moved) * valuation.cost(ActionType::Evict)
            + valuation.per_replica * (set.len() as f64 - present.len() as f64)
    }
}

/// Reading the better of what is there and what is new; nothing at all is the worst there is.
fn worth(reader: &Reader, row: &[f64], there: Option<(usize, Column)>, new: Option<Column>) -> f64 {
    let there = there.map(|(_, column)| column);
    let best = match (there, new) {
        (Some(there), Some(new)) if row[new.1] > row[there.1] => Some(new),
        (there, new) => there.or(new),
    };
    best.map_or(-1.0, |(node, column)| reader.weighted(node, row[column]))
}

/// The columns of the greatest and of the next gain in a row, each with its place among these.
fn best_two(row: &[f64], columns: &[Column]) -> [Option<(usize, Column)>; 2] {
    let [mut best, mut second] = [None::<(usize, Column)>; 2];
    for (place, column) in columns.iter().enumerate() {
        let beats = |other: Option<(usize, Column)>| other.is_none_or(|(_, other)| row[column.1] > row[other.1]);
        if beats(best) {
            (best, second) = (Some((place, *column)), best);
        } else if beats(second) {
            second = Some((place, *column));
        }
    }
    [best, second]
}
