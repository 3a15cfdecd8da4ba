//! A network that is there already when its simulation begins: what the table of a real one tells.

use super::faults::Broken;
use super::setup::VALIDATED;
use super::table::ready;
use super::world::World;
use crate::domain::action::Action;
use crate::domain::ids::{AgentId, DataSetName, NodeId, ReplicaId};
use crate::domain::impact::Impacts;
use crate::domain::placement::{Placement, StoreTraits};
use crate::domain::snapshot::Counter;
use crate::knowledge::Knowledge as _;
use std::collections::{BTreeMap, BTreeSet};

/// Beside the scenario, which says what nodes, links and agents there are.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NetworkState {
    /// Replicas that are present, without leases, each on a node of the scenario; and who reads which.
    pub placement: Placement,
    /// Copies ever made of a replica.
    pub copies_made: BTreeMap<ReplicaId, u32>,
    /// How others' answers to actions add up. Times are the simulation's.
    pub counters: BTreeMap<Action, Counter>,
    /// What was found out about stores.
    pub stores: BTreeMap<NodeId, StoreTraits>,
    /// What agents learned online, by label.
    pub learned: BTreeMap<AgentId, BTreeMap<String, Impacts>>,
    /// Agents that do not run: as if broken by hand.
    pub stopped: BTreeSet<AgentId>,
}

impl World<'_> {
    /// Takes over what there is; the data set is registered.
    pub fn take_over(&mut self, data_set: &DataSetName, state: &NetworkState) {
        for replica in state.placement.replicas.values() {
            let written = self.stores.write(replica.node, &replica.object_key, self.scenario.physics.bytes);
            written.expect("a store has room for what lies there");
        }
        let knowledge = &self.table.knowledge;
        knowledge.seed_placement(data_set, &state.placement).expect(VALIDATED);
        knowledge.seed_copies_made(data_set, &state.copies_made).expect(VALIDATED);
        knowledge.seed_counters(&state.counters);
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
