//! One of the data sets in virtual time: what the world keeps of it besides its rows.

use crate::config::scenario::{Physics, Scenario};
use crate::domain::ids::DataSetName;
use crate::domain::snapshot::Snapshot;
use crate::knowledge::Pulse;

pub struct Shelf {
    pub name: DataSetName,
    /// Of jobs that read it and transfers that bring it.
    pub physics: Physics,
    /// Something about it may have changed in the table or a store since the checkers last looked.
    pub touched: bool,
    /// What its readers that look between jobs were last woken for.
    pub pulse: Pulse,
    /// The table as it is, and what agents see of it that measure their links.
    pub shown: Option<(Snapshot, Snapshot)>,
}

impl Shelf {
    /// One for each data set, in the order of their names.
    pub fn all(scenario: &Scenario) -> Vec<Self> {
        let shelf = |name: &DataSetName| Self {
            name: name.clone(),
            physics: scenario.physics_of(name),
            touched: true,
            pulse: Pulse::default(),
            shown: None,
        };
        scenario.network.data_sets.keys().map(shelf).collect()
    }
}
