//! The one heap of what is to happen, by time and, at the same time, by the order in which it was arranged.

use crate::domain::time::Timestamp;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Ordered by `(at, sequence)`; what happens then has no say.
struct Arranged<T> {
    at: Timestamp,
    sequence: u64,
    what: T,
}

impl<T> Arranged<T> {
    fn key(&self) -> (Timestamp, u64) {
        (self.at, self.sequence)
    }
}

impl<T> PartialEq for Arranged<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Arranged<T> {}

impl<T> PartialOrd for Arranged<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Arranged<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

pub struct Agenda<T> {
    heap: BinaryHeap<Reverse<Arranged<T>>>,
    sequence: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<T> Agenda<T> {
    pub fn arrange(&mut self, at: Timestamp, what: T) {
        self.sequence += 1;
        self.heap.push(Reverse(Arranged { at, sequence: self.sequence, what }));
    }

    /// The next thing, if it happens by `end`.
    pub fn next_by(&mut self, end: Timestamp) -> Option<(Timestamp, T)> {
        let is_due = self.heap.peek().is_some_and(|Reverse(next)| next.at <= end);
        let Reverse(next) = if is_due { self.heap.pop()? } else { return None };
        Some((next.at, next.what))
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_happens_first_and_equals_in_the_order_arranged() {
        let mut agenda = Agenda::default();
        for (at, what) in [(5, "c"), (1, "a"), (5, "d"), (3, "b"), (9, "late")] {
            agenda.arrange(Timestamp(at), what);
        }
        let happened: Vec<_> = std::iter::from_fn(|| agenda.next_by(Timestamp(5))).map(|(_, what)| what).collect();
        assert_eq!(happened, ["a", "b", "c", "d"]);
        assert_eq!(agenda.len(), 1);
    }
}
