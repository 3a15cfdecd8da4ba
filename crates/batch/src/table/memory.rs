//! The queue in this process's memory: the model that the other technologies are held to.

use super::{BatchTable, Listing, UTILISATION_KEPT, Work};
use crate::job::{Change, Job, JobId, Task};
use crate::queue::{Queue, Scope, Utilisation, Which};
use agent_core::clock::Clock;
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::Result;
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct MemoryBatchTable {
    clock: Arc<dyn Clock>,
    rows: Mutex<Rows>,
}

/// All there is, also of jobs that are over.
#[derive(Default)]
struct Rows {
    queue: Queue,
    history: Vec<Change>,
    utilisation: Vec<Utilisation>,
}

impl MemoryBatchTable {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // What is kept is whole: a panic happens while a copy is changed.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn load(&self, now: Timestamp, scope: &Scope) -> Queue {
        let all = &self.queue;
        let mut loaded = Queue::new(now, all.settings.clone());
        let workers = all.workers.iter().filter(|(node, _)| scope.nodes.has(node));
        loaded.workers = workers.map(|(node, it)| (*node, it.clone())).collect();
        let is_at_one = |task: &Task| task.seat.as_ref().is_some_and(|seat| scope.nodes.has(&seat.node));
        let occupies = |task: &Task| task.state.occupies() && is_at_one(task);
        let mut ids: BTreeSet<JobId> =
            all.tasks.values().filter(|task| occupies(task)).map(|task| task.id.job).collect();
        match &scope.jobs {
            Which::All => ids.extend(all.jobs.values().filter(|job| !job.state.is_over()).map(|job| job.id)),
            Which::These(jobs) => ids.extend(jobs),
        }
        ids.extend(scope.key.as_ref().and_then(|key| all.keys.get(key)));
        for (key, job) in all.keys.iter().filter(|(_, job)| ids.contains(job)) {
            if let Some(job) = all.jobs.get(job) {
                loaded.add_job(job.clone(), key.clone());
            }
        }
        loaded.tasks =
            all.tasks.iter().filter(|(id, _)| ids.contains(&id.job)).map(|(id, it)| (*id, it.clone())).collect();
        loaded
    }

    fn keep(&mut self, mut changed: Queue) {
        let now = changed.now;
        let news = changed.take_changed();
        self.queue.settings = changed.settings;
        self.queue.workers.append(&mut changed.workers);
        self.queue.jobs.append(&mut changed.jobs);
        self.queue.keys.append(&mut changed.keys);
        self.queue.tasks.append(&mut changed.tasks);
        self.history.extend(news.history);
        self.utilisation.extend(news.utilisation);
        self.utilisation.retain(|sample| now.since(sample.at) <= UTILISATION_KEPT);
    }
}

#[async_trait]
impl BatchTable for MemoryBatchTable {
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> Result<()> {
        let mut rows = self.rows();
        let mut loaded = rows.load(self.clock.now(), &scope);
        work(&mut loaded).map_err(|refused| refused.during(operation))?;
        rows.keep(loaded);
        Ok(())
    }

    async fn look(&self, scope: Scope) -> Result<Queue> {
        Ok(self.rows().load(self.clock.now(), &scope))
    }

    async fn revision(&self) -> Result<i64> {
        Ok(self.rows().queue.settings.revision)
    }

    async fn jobs(&self, asked: &Listing) -> Result<Vec<(Job, Vec<Task>)>> {
        let rows = self.rows();
        let is_meant = |job: &&Job| {
            asked.before.is_none_or(|before| job.id < before)
                && (asked.states.is_empty() || asked.states.contains(&job.state))
        };
        let jobs = rows.queue.jobs.values().rev().filter(is_meant).take(asked.limit);
        Ok(jobs.map(|job| (job.clone(), rows.queue.tasks_of(job.id).cloned().collect())).collect())
    }

    async fn history(&self, job: JobId) -> Result<Vec<Change>> {
        Ok(self.rows().history.iter().filter(|change| change.job == job).cloned().collect())
    }

    async fn utilisation(&self, since: Timestamp) -> Result<Vec<Utilisation>> {
        Ok(self.rows().utilisation.iter().filter(|sample| sample.at >= since).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::Fixture;
    use super::*;
    use agent_core::clock::VirtualClock;

    async fn fresh(clock: Arc<VirtualClock>) -> std::result::Result<Fixture, String> {
        Ok(Fixture::new(Arc::new(MemoryBatchTable::new(clock.clone())), clock, ()))
    }

    crate::contract!(fresh);
}
