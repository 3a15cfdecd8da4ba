//! The part of a load that one of several hosts sends.

use crate::generator::Numbers;
use agent_arrivals::Arrival;
use serde::{Deserialize, Serialize};

/// Each host sends every n-th request of each source, all of them together exactly those that one host would send: at the same
/// times, with the same numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    /// From 0, below `of`.
    pub index: u32,
    /// How many hosts there are, at least one.
    pub of: u32,
}

impl Share {
    /// Of the only host.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// What this host sends of a source. Sources begin with one host after another, so that many that send little are everybody's.
    pub fn part(self, source: u32, plan: impl Iterator<Item = Arrival>) -> impl Iterator<Item = Arrival> {
        plan.skip(self.first(source) as usize).step_by(self.of.max(1) as usize)
    }

    /// What those requests are numbered by.
    pub fn numbers(self, source: u32) -> Numbers {
        Numbers { first: u64::from(self.first(source)) + 1, step: self.of.max(1).into() }
    }

    /// So many of what all may have in flight; at least one.
    pub fn in_flight(self, all: usize) -> usize {
        let (of, index) = (self.of.max(1) as usize, self.index as usize);
        (all / of + usize::from(index < all % of)).max(1)
    }

    fn first(self, source: u32) -> u32 {
        let of = self.of.max(1);
        (self.index % of + of - source % of) % of
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn plan(requests: u32) -> impl Iterator<Item = Arrival> {
        (0..requests).map(|number| Arrival { at: Duration::from_millis(number.into()), tick: number / 10 })
    }

    #[test]
    fn all_hosts_together_send_what_one_would() {
        for (of, requests) in [(1, 7), (3, 20), (4, 2), (5, 0)] {
            for source in 1..6 {
                let mut sent = BTreeMap::new();
                for share in (0..of).map(|index| Share { index, of }) {
                    let Numbers { first, step } = share.numbers(source);
                    let numbers = (0..).map(|nth| first + nth * step);
                    sent.extend(numbers.zip(share.part(source, plan(requests))));
                }
                let whole: BTreeMap<u64, Arrival> = (1..).zip(plan(requests)).collect();
                assert_eq!(sent, whole, "{requests} of source {source} by {of}");
            }
        }
    }

    #[test]
    fn shares_are_even_and_many_small_sources_are_everybodys() {
        let share = |index| Share { index, of: 3 };
        let sends = |index, source, requests| share(index).part(source, plan(requests)).count();
        assert_eq!([0, 1, 2].map(|index| sends(index, 3, 2)), [1, 1, 0]);
        assert_eq!([0, 1, 2].map(|index| (1..=30).map(|source| sends(index, source, 1)).sum::<usize>()), [10, 10, 10]);
        assert_eq!([0, 1, 2].map(|index| share(index).in_flight(4)), [2, 1, 1]);
        assert_eq!(share(2).in_flight(1), 1, "somebody who may send nothing would drop everything");
    }
}
