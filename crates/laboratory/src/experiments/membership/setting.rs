//! What a run begins with, and what is asked at its end: the same of virtual networks and of real ones.

use super::NetworkCell;
use crate::results::NetworkQuery;
use agent_core::config::experiment::membership::MembershipExperiment;
use agent_membership::{Answered, Identity, NetworkId, NodeId, PublicKey, QueryFailed, QuerySettings, Rng, Settings};
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeSet;

/// Ages of what is known are taken of so many nodes: of 10,000 nodes all of them would be 100,000,000.
const MAX_AGES_OF: u32 = 100;
/// Chance of whom is stopped and asked about, apart from the network's own.
const CHOICE: u64 = 0x6c61_7374;

/// Everything about the end of a run that chance decides.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// Nodes that are stopped when all rounds are over.
    pub stopped: BTreeSet<u32>,
    /// Nodes that are asked about then; they run.
    pub asked_about: Vec<u32>,
    /// For the chance of asking.
    pub rng: Rng,
}

impl Setting {
    /// The same again for the same cell.
    pub fn of(experiment: &MembershipExperiment, cell: &NetworkCell) -> Self {
        let mut rng = Rng::seed_from_u64(cell.seed ^ CHOICE);
        let wanted = (f64::from(cell.nodes) * cell.failures.value() / 100.0).round() as u32;
        // Somebody is left, however few there are.
        let wanted = wanted.min(cell.nodes - 1) as usize;
        let mut stopped = BTreeSet::new();
        while stopped.len() < wanted {
            stopped.insert(rng.random_range(1..=cell.nodes));
        }
        let left: Vec<u32> = (1..=cell.nodes).filter(|node| !stopped.contains(node)).collect();
        let asked_about = (0..experiment.queries.count).map(|_| left[rng.random_range(0..left.len())]).collect();
        Self { stopped, asked_about, rng }
    }

    /// How members behave.
    pub fn apply(experiment: &MembershipExperiment, cell: &NetworkCell, settings: &mut Settings) {
        settings.interval = cell.interval;
        settings.fan_out = cell.fan_out;
        settings.exchange_bytes = usize::try_from(experiment.exchange_bytes).unwrap_or(usize::MAX);
        // Nobody looks at it, and it takes memory for each pair of nodes.
        settings.availability_window = None;
    }

    /// Who a node is.
    pub fn identity(cell: &NetworkCell, node: u32) -> Identity {
        Identity::from_seed(NodeId(node), 1, cell.seed)
    }

    /// What is asked about a node.
    pub fn question(
        experiment: &MembershipExperiment,
        cell: &NetworkCell,
        network: NetworkId,
        node: u32,
    ) -> QuerySettings {
        QuerySettings {
            network,
            node: NodeId(node),
            quorum: experiment.queries.quorum as usize,
            within: cell.interval * experiment.queries.within_intervals,
            deadline: experiment.queries.deadline,
            key: None,
        }
    }
}

/// Whether the ages of what a node knows are taken: of all in a small network, of evenly many in a large one.
pub fn ages_are_taken(node: u32, nodes: u32) -> bool {
    node.is_multiple_of(nodes.div_ceil(MAX_AGES_OF))
}

/// What came of a question. `key` is the key of the node that was asked about.
pub fn asked(
    query: u32,
    settings: &QuerySettings,
    key: PublicKey,
    result: &Result<Answered, QueryFailed>,
) -> NetworkQuery {
    let about = settings.node.0;
    let milliseconds = |long: std::time::Duration| long.as_secs_f64() * 1e3;
    match result {
        Ok(answered) => {
            let record = answered.record.record();
            let is_right = record.node == settings.node && record.key == key;
            NetworkQuery {
                query,
                about,
                outcome: if is_right { NetworkQuery::RIGHT } else { NetworkQuery::WRONG }.to_owned(),
                took_ms: milliseconds(answered.took),
                sent: answered.sent,
                received: answered.received,
                agreed: answered.agreed.len() as u32,
                age_s: Some(answered.age.as_secs_f64()),
            }
        }
        Err(failed) => NetworkQuery {
            query,
            about,
            outcome: NetworkQuery::FAILED.to_owned(),
            took_ms: milliseconds(settings.deadline),
            sent: failed.sent,
            received: failed.received,
            agreed: failed.fresh as u32,
            age_s: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::cells;
    use super::super::grid::tests::small;
    use super::*;

    #[test]
    fn those_that_are_asked_about_run() {
        let experiment = small();
        let cell = &cells(&experiment)[5];
        let setting = Setting::of(&experiment, cell);
        assert_eq!((cell.nodes, cell.failures.value(), setting.stopped.len()), (10, 50.0, 5));
        assert_eq!(setting.asked_about.len(), 3);
        assert!(setting.asked_about.iter().all(|node| !setting.stopped.contains(node)));
        assert_eq!(setting, Setting::of(&experiment, cell));
    }

    #[test]
    fn ages_are_taken_of_a_hundred_nodes_at_most() {
        let taken = |nodes| (1..=nodes).filter(|node| ages_are_taken(*node, nodes)).count();
        assert_eq!([taken(2), taken(100), taken(300), taken(10_000)], [2, 100, 100, 100]);
    }
}
