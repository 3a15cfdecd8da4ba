//! Which hosts new clients are placed on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// How many of `clients` each host gets: one after another, each goes to the host that has the least, the first of equals.
/// `hosts` are names and how many clients they have already. A host that gets none is left out; without hosts nobody gets any.
pub fn pack(clients: u32, hosts: &[(&str, u64)]) -> BTreeMap<String, u32> {
    let mut least_first: BinaryHeap<Reverse<(u64, usize)>> =
        hosts.iter().enumerate().map(|(index, (_, load))| Reverse((*load, index))).collect();
    let mut placed = BTreeMap::new();
    for _ in 0..clients {
        let Some(Reverse((load, index))) = least_first.pop() else { break };
        *placed.entry(hosts[index].0.to_owned()).or_insert(0) += 1;
        least_first.push(Reverse((load.saturating_add(1), index)));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(loads: &[u64]) -> Vec<(&'static str, u64)> {
        ["a", "b", "c", "d", "e", "f"].into_iter().zip(loads.iter().copied()).collect()
    }

    #[test]
    fn clients_go_to_the_least_loaded_and_ties_to_the_first() {
        let check = |clients, loads: &[u64], expected: &[(&str, u32)]| {
            let expected = expected.iter().map(|(host, count)| ((*host).to_owned(), *count)).collect();
            assert_eq!(pack(clients, &named(loads)), expected);
        };
        check(1, &[1, 2, 3], &[("a", 1)]);
        check(5, &[5, 2, 1], &[("b", 2), ("c", 3)]);
        check(1, &[2, 1, 1], &[("b", 1)]);
        check(0, &[2, 1], &[]);
        check(3, &[], &[]);
    }

    proptest! {
        /// There is no better placement: nobody who was placed would find less elsewhere, nor as little further in front.
        #[test]
        fn nobody_would_rather_be_elsewhere(clients in 0..60u32, loads in prop::collection::vec(0..20u64, 1..6)) {
            let hosts = named(&loads);
            let placed = pack(clients, &hosts);
            prop_assert_eq!(placed.values().sum::<u32>(), clients);
            let load = |(name, load): &(&str, u64)| load + u64::from(placed.get(*name).copied().unwrap_or(0));
            for (index, host) in hosts.iter().enumerate().filter(|(_, (name, _))| placed.contains_key(*name)) {
                let last_found = load(host) - 1;
                for (other_index, other) in hosts.iter().enumerate() {
                    prop_assert!(load(other) >= last_found + u64::from(other_index < index), "{:?} {:?}", hosts, placed);
                }
            }
        }
    }
}
