//! Which colour a policy or an agent has: always the same one.
//!
//! Thirteen colours cannot be told apart by everybody, so no figure relies on them: every row and line has its name beside it,
//! and lines that rest on the same hue differ in their dashes. `page.css` says what the classes look like, by light and dark.

/// As they are listed: what does nothing first, ours before those that know the future.
const POLICIES: [(&str, usize); 13] = [
    ("none", 11),
    ("random", 10),
    ("greedy", 5),
    ("reference", 4),
    ("fixed", 3),
    ("ucb", 6),
    ("q-learning", 7),
    ("vote", 8),
    ("keep-copy", 9),
    ("cooperative", 0),
    ("oracle", 1),
    ("oracle-late", 2),
    ("oracle-ahead", 12),
];

/// For what is not known by name: those whose lines are not dashed.
const OTHERS: [usize; 9] = [3, 0, 5, 6, 4, 8, 7, 9, 1];

const CLASSES: [&str; 13] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11", "k12"];

/// The class of a policy's marks.
pub fn policy(name: &str) -> &'static str {
    let known = POLICIES.iter().find(|(known, _)| *known == name).map(|(_, colour)| *colour);
    // By its letters, so that it has the same colour in every scenario.
    let letters = name.bytes().map(usize::from).sum::<usize>();
    CLASSES[known.unwrap_or(OTHERS[letters % OTHERS.len()])]
}

/// The class of an agent's marks, by its number among the agents shown.
pub fn agent(index: usize) -> &'static str {
    CLASSES[OTHERS[index % OTHERS.len()]]
}

/// Where a policy is listed; those that are not known come last.
pub fn rank(name: &str) -> usize {
    POLICIES.iter().position(|(known, _)| *known == name).unwrap_or(POLICIES.len())
}

/// Whether a policy knows the future: a yardstick, not a rival.
pub fn is_yardstick(name: &str) -> bool {
    matches!(name, "oracle" | "oracle-late" | "oracle-ahead")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_known_policy_has_a_colour_of_its_own() {
        let colours: BTreeSet<&str> = POLICIES.iter().map(|(name, _)| policy(name)).collect();
        assert_eq!(colours.len(), POLICIES.len());
    }

    #[test]
    fn another_policy_keeps_its_colour() {
        assert_eq!(policy("mine"), policy("mine"));
        assert_eq!(rank("mine"), 13);
    }
}
