//! In this process's memory: the model that the other technologies are held to.

use super::{LISTED_MAX, Listing, LoadTable, Work};
use crate::register::experiment::{Experiment, ExperimentId, Files};
use crate::register::orders::OrderId;
use crate::register::{Register, Scope, Which};
use agent_core::clock::Clock;
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::Result;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct MemoryLoadTable {
    clock: Arc<dyn Clock>,
    rows: Mutex<Rows>,
}

/// All there is, also of experiments that are over.
#[derive(Default)]
struct Rows {
    register: Register,
    files: BTreeMap<ExperimentId, Files>,
    answers: BTreeMap<OrderId, String>,
}

impl MemoryLoadTable {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // What is kept is whole: a panic happens while a copy is changed.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn load(&self, now: Timestamp, scope: &Scope) -> Register {
        let all = &self.register;
        let mut loaded = Register::new(now, all.settings.clone());
        let is_meant = |it: &Experiment| {
            let is_asked_for = match &scope.experiments {
                Which::All => !it.state.is_over(),
                Which::These(these) => these.contains(&it.id),
            };
            is_asked_for || scope.key.as_ref() == Some(&it.key)
        };
        let experiments = all.experiments.iter().filter(|(_, it)| is_meant(it));
        loaded.experiments = experiments.map(|(id, it)| (*id, it.clone())).collect();
        let entries = all.entries.iter().filter(|(service, _)| scope.services.has(service));
        loaded.entries = entries.map(|(service, entry)| (service.clone(), entry.clone())).collect();
        let hosts = all.hosts.iter().filter(|(name, _)| scope.hosts.has(name));
        loaded.hosts = hosts.map(|(name, host)| (name.clone(), host.clone())).collect();
        let orders = all.orders.iter().filter(|(_, order)| scope.orders_of.has(&order.host));
        loaded.orders = orders.map(|(id, order)| (*id, order.clone())).collect();
        loaded
    }

    fn keep(&mut self, mut changed: Register) {
        let mut what = changed.take_changed();
        self.files.append(&mut what.files);
        self.answers.append(&mut what.answers);
        for name in what.hosts.iter().filter(|name| !changed.hosts.contains_key(*name)) {
            self.register.hosts.remove(name);
        }
        for id in what.orders.iter().filter(|id| !changed.orders.contains_key(id)) {
            self.register.orders.remove(id);
            self.answers.remove(id);
        }
        self.register.settings = changed.settings;
        self.register.experiments.append(&mut changed.experiments);
        self.register.entries.append(&mut changed.entries);
        self.register.hosts.append(&mut changed.hosts);
        self.register.orders.append(&mut changed.orders);
    }
}

#[async_trait]
impl LoadTable for MemoryLoadTable {
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> Result<()> {
        let mut rows = self.rows();
        let mut loaded = rows.load(self.clock.now(), &scope);
        work(&mut loaded).map_err(|refused| refused.during(operation))?;
        rows.keep(loaded);
        Ok(())
    }

    async fn look(&self, scope: Scope) -> Result<Register> {
        Ok(self.rows().load(self.clock.now(), &scope))
    }

    async fn experiments(&self, asked: &Listing) -> Result<Vec<Experiment>> {
        let rows = self.rows();
        let is_meant = |it: &&Experiment| asked.states.is_empty() || asked.states.contains(&it.state);
        let meant = rows.register.experiments.values().rev().filter(is_meant);
        Ok(meant.take(asked.limit.min(LISTED_MAX)).cloned().collect())
    }

    async fn files(&self, id: ExperimentId) -> Result<Files> {
        Ok(self.rows().files.get(&id).cloned().unwrap_or_default())
    }

    async fn answer(&self, id: OrderId) -> Result<Option<String>> {
        Ok(self.rows().answers.get(&id).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::Fixture;
    use super::*;
    use agent_core::clock::VirtualClock;

    async fn fresh(clock: Arc<VirtualClock>) -> std::result::Result<Fixture, String> {
        Ok(Fixture::new(Arc::new(MemoryLoadTable::new(clock.clone())), clock, ()))
    }

    crate::contract!(fresh);
}
