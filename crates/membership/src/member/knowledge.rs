//! The records that a member holds, in an order that lets two members find out cheaply where they differ.
//!
//! A node's *position* is its number, spread over all of `u32`. Positions are divided into 256 ranges; of each the
//! member keeps one hash over (node, incarnation, version), which changes with a record in constant time. Fewer,
//! wider ranges are sums of neighbours.

use crate::identity::NodeId;
use crate::message::{Carried, Entry, Segment, Standing};
use crate::record::Signed;
use crate::time::Time;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Finest division of positions, as a power of two.
const FINEST: u32 = 8;
/// As few nodes as these fall into a range, where the division is not too fine for a datagram.
const NODES_IN_RANGE: usize = 4;

/// Spreads numbers over all positions: multiplying by an odd number loses none.
pub(crate) fn position(node: NodeId) -> u32 {
    node.0.wrapping_mul(0x9E37_79B1)
}

/// Constants of splitmix64's finaliser.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

fn entry_hash(entry: Entry) -> u64 {
    let node = mixed(u64::from(entry.node.0).wrapping_add(0x9E37_79B9_7F4A_7C15));
    mixed(mixed(node ^ entry.incarnation).wrapping_add(entry.version))
}

/// A record that is held.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub record: Arc<Signed>,
    /// When it was issued, as far as is known from how long it was on its way.
    pub issued: Time,
    pub standing: Standing,
}

impl Held {
    pub fn entry(&self) -> Entry {
        let record = self.record.record();
        Entry { node: record.node, incarnation: record.incarnation, version: record.version }
    }

    pub fn carried(&self, now: Time) -> Carried {
        let age_ms = u64::try_from(now.since(self.issued).as_millis()).unwrap_or(u64::MAX);
        Carried { age_ms, record: Arc::clone(&self.record) }
    }
}

/// Where two members differ, seen from one of them.
#[derive(Default, Debug)]
pub(crate) struct Difference {
    /// What the other has newer.
    pub wanted: Vec<Entry>,
    /// What the other lacks.
    pub lacked: Vec<NodeId>,
}

#[derive(Debug)]
pub(crate) struct Knowledge {
    held: BTreeMap<u32, Held>,
    sums: Box<[u64; 1 << FINEST]>,
    /// All nodes but this one, in the order of probing.
    others: Vec<NodeId>,
    alive: usize,
}

impl Knowledge {
    pub fn new() -> Self {
        Self { held: BTreeMap::new(), sums: Box::new([0; 1 << FINEST]), others: Vec::new(), alive: 0 }
    }

    pub fn get(&self, node: NodeId) -> Option<&Held> {
        self.held.get(&position(node))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Members believed alive, this one included.
    pub fn alive(&self) -> usize {
        self.alive
    }

    /// All nodes but the own one, in no order that means anything.
    pub fn others(&self) -> &[NodeId] {
        &self.others
    }

    pub fn shuffle(&mut self, rng: &mut crate::Rng) {
        for index in (1..self.others.len()).rev() {
            self.others.swap(index, rng.random_range(0..=index));
        }
    }

    /// Takes in a record; a new node is put at a random place of the order of probing.
    pub fn put(&mut self, held: Held, is_own: bool, rng: &mut crate::Rng) {
        let entry = held.entry();
        self.alive += usize::from(held.standing == Standing::Alive);
        let position = position(entry.node);
        let sum = &mut self.sums[(position >> (32 - FINEST)) as usize];
        *sum ^= entry_hash(entry);
        match self.held.insert(position, held) {
            Some(before) => {
                *sum ^= entry_hash(before.entry());
                self.alive -= usize::from(before.standing == Standing::Alive);
            }
            None if is_own => {}
            None => {
                let place = rng.random_range(0..=self.others.len());
                self.others.push(entry.node);
                let last = self.others.len() - 1;
                self.others.swap(place, last);
            }
        }
    }

    pub fn remove(&mut self, node: NodeId) -> Option<Held> {
        let held = self.held.remove(&position(node))?;
        self.sums[(position(node) >> (32 - FINEST)) as usize] ^= entry_hash(held.entry());
        self.alive -= usize::from(held.standing == Standing::Alive);
        self.others.retain(|other| *other != node);
        Some(held)
    }

    pub fn set_standing(&mut self, node: NodeId, standing: Standing) {
        if let Some(held) = self.held.get_mut(&position(node)) {
            self.alive -= usize::from(held.standing == Standing::Alive);
            self.alive += usize::from(standing == Standing::Alive);
            held.standing = standing;
        }
    }

    /// Hashes for the first message of an exchange.
    pub fn hashes(&self) -> Vec<u32> {
        let ranges = (self.held.len() / NODES_IN_RANGE).next_power_of_two().min(1 << FINEST);
        self.hashes_of(ranges)
    }

    fn hashes_of(&self, ranges: usize) -> Vec<u32> {
        let sums = self.sums.chunks((1 << FINEST) / ranges);
        sums.map(|sums| sums.iter().fold(0, |all, sum| all ^ sum) as u32).collect()
    }

    /// All that is known where `theirs` differs, beginning at a random place, for at most `limit` entries; none if
    /// the hashes are no division of positions.
    pub fn segments(&self, theirs: &[u32], limit: usize, rng: &mut crate::Rng) -> Option<Vec<Segment>> {
        let ranges = theirs.len();
        if !ranges.is_power_of_two() || ranges > 1 << FINEST {
            return None;
        }
        let ours = self.hashes_of(ranges);
        let start = rng.random_range(0..ranges);
        let mut left = limit;
        let mut segments = Vec::new();
        for range in (start..ranges).chain(0..start).filter(|range| ours[*range] != theirs[*range]) {
            let (first, last) = bounds(range, ranges);
            let entries: Vec<_> = self.held.range(first..=last).map(|(_, held)| held.entry()).collect();
            left = left.saturating_sub(entries.len() + 1);
            segments.push(Segment { first, last, entries });
            if left == 0 {
                break;
            }
        }
        Some(segments)
    }

    /// Where the sender of a segment and this member differ. Nothing of a segment that is out of order.
    pub fn compare(&self, segment: &Segment) -> Difference {
        let mut difference = Difference::default();
        let positions = segment.entries.iter().map(|entry| position(entry.node));
        let is_inside = positions.clone().all(|place| (segment.first..=segment.last).contains(&place));
        if segment.first > segment.last || !is_inside || !positions.is_sorted_by(|one, next| one < next) {
            return difference;
        }
        let mut theirs = segment.entries.iter().peekable();
        for (place, held) in self.held.range(segment.first..=segment.last) {
            while let Some(entry) = theirs.next_if(|entry| position(entry.node) < *place) {
                difference.wanted.push(*entry);
            }
            let ours = held.entry();
            match theirs.next_if(|entry| entry.node == ours.node) {
                None => difference.lacked.push(ours.node),
                Some(entry) => {
                    let (they, we) = ((entry.incarnation, entry.version), (ours.incarnation, ours.version));
                    if they > we {
                        difference.wanted.push(*entry);
                    } else if they < we {
                        difference.lacked.push(ours.node);
                    }
                }
            }
        }
        difference.wanted.extend(theirs.copied());
        difference
    }
}

/// First and last position of a range, of a power of two of them.
fn bounds(range: usize, ranges: usize) -> (u32, u32) {
    let width = (1_u64 << 32) / ranges as u64;
    let first = range as u64 * width;
    (first as u32, (first + width - 1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Identity, NetworkId};
    use crate::record::{Own, Record};
    use rand::SeedableRng as _;

    fn held(node: u32, version: u64) -> Held {
        let identity = Identity::from_seed(NodeId(node), 1, 0);
        let record = Record {
            node: identity.node,
            incarnation: 1,
            version,
            refutation: 0,
            at: Time::default(),
            address: ([127, 0, 0, 1], 1).into(),
            key: identity.public_key(),
            own: Own::default(),
        };
        let record = Arc::new(Signed::issue(&identity, NetworkId([0; 8]), record));
        Held { record, issued: Time::default(), standing: Standing::Alive }
    }

    fn knowing(nodes: &[(u32, u64)]) -> Knowledge {
        let mut rng = crate::Rng::seed_from_u64(1);
        let mut knowledge = Knowledge::new();
        for (node, version) in nodes {
            knowledge.put(held(*node, *version), false, &mut rng);
        }
        knowledge
    }

    /// What `one` asks of `other`, and what it has to give.
    fn check(one: &[(u32, u64)], other: &[(u32, u64)], wanted: &[u32], lacked: &[u32]) {
        let (one, other) = (knowing(one), knowing(other));
        let mut rng = crate::Rng::seed_from_u64(2);
        let segments = other.segments(&one.hashes(), usize::MAX, &mut rng).expect("a division");
        let mut found = (Vec::new(), Vec::new());
        for difference in segments.iter().map(|segment| one.compare(segment)) {
            found.0.extend(difference.wanted.iter().map(|entry| entry.node.0));
            found.1.extend(difference.lacked.iter().map(|node| node.0));
        }
        found.0.sort_unstable();
        found.1.sort_unstable();
        assert_eq!(found, (wanted.to_vec(), lacked.to_vec()));
    }

    #[test]
    fn both_sides_of_a_difference_are_found() {
        let all: Vec<_> = (1..=50).map(|node| (node, 1)).collect();
        check(&all, &all, &[], &[]);
        check(&[], &[(1, 1)], &[1], &[]);
        check(&[(1, 1)], &[], &[], &[1]);
        let mut other = all.clone();
        other[9].1 = 2;
        other.remove(19);
        other.push((77, 1));
        check(&all, &other, &[10, 77], &[20]);
    }

    #[test]
    fn a_hash_follows_every_change_and_comes_back() {
        let mut knowledge = knowing(&[(1, 1), (2, 1)]);
        let before = knowledge.hashes();
        let mut rng = crate::Rng::seed_from_u64(1);
        knowledge.put(held(2, 2), false, &mut rng);
        assert_ne!(knowledge.hashes(), before);
        knowledge.put(held(3, 1), false, &mut rng);
        knowledge.remove(NodeId(3));
        knowledge.put(held(2, 1), false, &mut rng);
        assert_eq!(knowledge.hashes(), before);
        assert_eq!((knowledge.alive(), knowledge.others().len()), (2, 2));
    }

    #[test]
    fn hashes_that_divide_nothing_are_not_answered() {
        let knowledge = knowing(&[(1, 1)]);
        let mut rng = crate::Rng::seed_from_u64(1);
        for length in [0, 3, 512] {
            assert_eq!(knowledge.segments(&vec![1; length], 100, &mut rng), None, "{length}");
        }
    }

    #[test]
    fn a_segment_out_of_order_means_nothing() {
        let knowledge = knowing(&[(1, 1), (2, 1)]);
        let entry = |node| Entry { node: NodeId(node), incarnation: 1, version: 1 };
        let segment = Segment { first: 0, last: u32::MAX, entries: vec![entry(3), entry(3)] };
        assert!(knowledge.compare(&segment).lacked.is_empty());
    }
}
