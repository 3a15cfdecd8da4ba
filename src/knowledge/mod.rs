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
use std::sync::Arc;

/// The table that all agents share, as what it is asked for.
#[derive(Clone)]
pub struct SharedTable {
    /// Of data.
    pub knowledge: Arc<dyn Knowledge>,
    /// Of batch jobs.
    pub batch: Arc<dyn BatchTable>,
}

impl SharedTable {
    /// A technology, which keeps both.
    pub fn new<T: Knowledge + BatchTable + 'static>(technology: T) -> Self {
        let technology = Arc::new(technology);
        Self { knowledge: technology.clone(), batch: technology }
    }

    /// Of a network that runs no batch jobs: a simulated one.
    pub fn without_batch(knowledge: Arc<dyn Knowledge>, clock: Arc<dyn Clock>) -> Self {
        Self { knowledge, batch: Arc::new(MemoryBatchTable::new(clock)) }
    }
}
