//! A network that is there already when its simulation begins: what the table of a real one tells.

use super::faults::Broken;
use super::setup::VALIDATED;
use super::table::ready;
use super::world::World;
use crate::domain::action::Action;
use crate::domain::books::Charge;
use crate::domain::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::placement::{Placement, StoreTraits};
use crate::domain::snapshot::Counter;
use crate::knowledge::Knowledge as _;
use std::collections::{BTreeMap, BTreeSet};

/// Beside the scenario, which says what nodes, links and agents there are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NetworkState {
    /// Of each data set of the scenario.
    pub data_sets: BTreeMap<DataSetName, DataSetState>,
    /// What was found out about stores.
    pub stores: BTreeMap<NodeId, StoreTraits>,
    /// What agents learned online, by label.
    pub learned: BTreeMap<AgentId, BTreeMap<String, Impacts>>,
    /// Agents that do not run: as if broken by hand.
    pub stopped: BTreeSet<AgentId>,
    /// What was spent in the periods that run. Times are the simulation's.
    pub charges: Vec<Charge>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct DataSetState {
    /// Replicas that are present, without leases, each on a node of the scenario; and who reads which.
    pub placement: Placement,
    /// Copies ever made of a replica.
    pub copies_made: BTreeMap<ReplicaId, u32>,
    /// How others' answers to actions add up. Times are the simulation's.
    pub counters: BTreeMap<Action, Counter>,
}

impl World<'_> {
    /// Takes over what there is; the data sets are registered.
    pub fn take_over(&mut self, state: &NetworkState) {
        let knowledge = &self.table.knowledge;
        for (name, DataSetState { placement, copies_made, counters }) in &state.data_sets {
            for replica in placement.replicas.values() {
                let written = self.stores.write(replica.node, &replica.object_key, self.scenario.bytes(name));
                written.expect("a store has room for what lies there");
            }
            knowledge.seed_placement(name, placement).expect(VALIDATED);
            knowledge.seed_copies_made(name, copies_made).expect(VALIDATED);
            knowledge.seed_counters(name, counters).expect(VALIDATED);
        }
        knowledge.seed_charges(&state.charges);
        for (node, traits) in &state.stores {
            ready(knowledge.describe_store(*node, traits)).expect(VALIDATED);
        }
        for (agent, learned) in &state.learned {
            for (label, impacts) in learned {
                ready(knowledge.learn(*agent, label, impacts)).expect(VALIDATED);
            }
        }
        for agent in &state.stopped {
            self.broken_by_hand.push(Broken::Agent(*agent));
            self.begin_damage(Broken::Agent(*agent));
        }
    }
}
