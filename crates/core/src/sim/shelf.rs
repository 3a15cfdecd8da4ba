//! One of the data sets in virtual time: what the world keeps of it besides its rows.

use crate::config::scenario::{Physics, Scenario, Writes};
use crate::config::settings::DataSetSettings;
use crate::domain::ids::DataSetName;
use crate::domain::snapshot::Snapshot;
use crate::knowledge::Pulse;

pub struct Shelf {
    pub name: DataSetName,
    /// Of jobs that read it and transfers that bring it.
    pub physics: Physics,
    /// What its owner does with it.
    pub writes: Option<Writes>,
    /// Agents look at their duties whether a replica is missing that the constraints demand, or is to be refreshed.
    pub needs_upkeep: bool,
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
        let data_sets = &scenario.network.data_sets;
        let shelf = |(name, settings): (&DataSetName, &DataSetSettings)| Self {
            name: name.clone(),
            writes: scenario.writes.get(name).copied(),
            needs_upkeep: !settings.constraints.is_none() || scenario.writes.contains_key(name),
            physics: scenario.physics_of(name),
            touched: true,
            pulse: Pulse::default(),
            shown: None,
        };
        data_sets.iter().map(shelf).collect()
    }
}
