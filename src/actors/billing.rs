//! What an agent's jobs read is counted here, and billed with its signs of life: few rows, and no statement more for a job.

use super::world::World;
use agent_core::domain::books::{Read, Unbilled};
use agent_core::domain::ids::NodeId;
use agent_core::domain::snapshot::Snapshot;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Since the last bill.
#[derive(Default)]
pub struct Account {
    unbilled: Mutex<Unbilled>,
    /// What is held costs something as far as is known, and is billed by whoever lives.
    holds: AtomicBool,
}

impl Account {
    fn unbilled(&self) -> MutexGuard<'_, Unbilled> {
        self.unbilled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// A job, or who reads beside it, has read so many bytes from a node.
    pub fn has_read(&self, snapshot: &Snapshot, from: NodeId, bytes: u64) {
        let tariff = snapshot.books.as_ref().map(|books| &books.tariff);
        let holds = tariff.is_some_and(|tariff| tariff.prices_storage());
        self.account.holds.store(holds, Ordering::Relaxed);
        if tariff.is_some() {
            let data_set = snapshot.data_set.name.clone();
            self.account.unbilled().add(Read { data_set, from, to: self.home, bytes });
        }
    }

    /// Bills what was read and what is held, where that costs anything. A bill that was not taken is sent again with the next.
    pub async fn bill(&self) -> crate::knowledge::Result<()> {
        let holds = self.account.holds.load(Ordering::Relaxed);
        let bill = {
            let mut unbilled = self.account.unbilled();
            if unbilled.is_none() && !holds {
                return Ok(());
            }
            unbilled.bill(self.agent, &self.identity.life)
        };
        self.knowledge.bill(&bill).await?;
        self.account.unbilled().billed(&bill.key);
        Ok(())
    }
}
