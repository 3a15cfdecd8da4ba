//! The technologies of the shared table, and what they have in common. The trait, the table in memory and the rules that all
//! share are in the core: [`agent_core::knowledge`].

#[cfg(test)]
mod interleavings;
pub mod mysql;
pub mod sqlite;

pub use agent_core::knowledge::*;

use agent_batch::table::BatchTable;
use agent_batch::table::memory::MemoryBatchTable;
use agent_core::clock::Clock;
use agent_load::table::LoadTable;
use agent_load::table::memory::MemoryLoadTable;
use std::sync::Arc;

/// The table that all agents share, as what it is asked for.
#[derive(Clone)]
pub struct SharedTable {
    /// Of data.
    pub knowledge: Arc<dyn Knowledge>,
    /// Of batch jobs.
    pub batch: Arc<dyn BatchTable>,
    /// Of experiments, and of where load goes.
    pub load: Arc<dyn LoadTable>,
}

impl SharedTable {
    /// A technology, which keeps all of it.
    pub fn new<T: Knowledge + BatchTable + LoadTable + 'static>(technology: T) -> Self {
        let technology = Arc::new(technology);
        Self { knowledge: technology.clone(), batch: technology.clone(), load: technology }
    }

    /// Of a network that runs no batch jobs and makes no load: a simulated one.
    pub fn of_data_alone(knowledge: Arc<dyn Knowledge>, clock: Arc<dyn Clock>) -> Self {
        let (batch, load) = (MemoryBatchTable::new(clock.clone()), MemoryLoadTable::new(clock));
        Self { knowledge, batch: Arc::new(batch), load: Arc::new(load) }
    }
}
