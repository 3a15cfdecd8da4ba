//! What is recorded of a network over its rounds, the same of virtual networks and of real ones.

use crate::identity::NodeId;
use crate::member::Counters;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// One node in one round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct NodeRound {
    /// From 1.
    pub round: u32,
    /// Who.
    pub node: NodeId,
    /// Nodes that it had not known.
    pub new_entries: u64,
    /// Records newer than what it held.
    pub fresh_entries: u64,
    /// Messages sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Nodes known at the end.
    pub known_entries: u64,
    /// Bytes of the records held at the end.
    pub stored_bytes: u64,
}

/// Ages of what all nodes know of all others at the end of a round.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct RoundAges {
    /// From 1.
    pub round: u32,
    /// Of all.
    pub mean: Duration,
    /// 95 of 100 are younger.
    pub p95: Duration,
    /// The oldest.
    pub largest: Duration,
}

/// What is recorded of a network over its rounds.
#[derive(Clone, Default, Debug)]
pub struct Recorder {
    before: BTreeMap<NodeId, Counters>,
    round: u32,
    /// In the order of rounds, then of nodes.
    pub nodes: Vec<NodeRound>,
    /// In the order of rounds.
    pub ages: Vec<RoundAges>,
}

/// A node at the end of a round.
#[derive(Clone, Debug)]
pub struct NodeNow {
    /// Who.
    pub node: NodeId,
    /// As it counted.
    pub counters: Counters,
    /// Nodes known.
    pub known: usize,
    /// Bytes of the records held.
    pub stored_bytes: usize,
    /// Of all records but its own.
    pub ages: Vec<Duration>,
}

impl Recorder {
    /// A round is over, in which these nodes were there.
    pub fn round(&mut self, nodes: impl IntoIterator<Item = NodeNow>) {
        self.round += 1;
        let mut ages = Vec::new();
        for now in nodes {
            let before = self.before.insert(now.node, now.counters).unwrap_or_default();
            // Whoever started again counts from nothing.
            let before = if now.counters.rounds < before.rounds { Counters::default() } else { before };
            self.nodes.push(NodeRound {
                round: self.round,
                node: now.node,
                new_entries: now.counters.new_entries - before.new_entries,
                fresh_entries: now.counters.fresh_entries - before.fresh_entries,
                messages: now.counters.sent - before.sent,
                bytes: now.counters.sent_bytes - before.sent_bytes,
                known_entries: now.known as u64,
                stored_bytes: now.stored_bytes as u64,
            });
            ages.extend(now.ages);
        }
        self.ages.extend(summary(self.round, ages));
    }
}

fn summary(round: u32, mut ages: Vec<Duration>) -> Option<RoundAges> {
    ages.sort_unstable();
    let largest = *ages.last()?;
    let count = u32::try_from(ages.len()).ok()?;
    let mean = ages.iter().sum::<Duration>() / count;
    Some(RoundAges { round, mean, p95: ages[(ages.len() - 1) * 95 / 100], largest })
}
