//! What is free of all workers while tasks are placed; a job that does not fit whole is taken back whole.

use super::packing::{BestFit, FirstFit, Packing};
use super::strategy::{Fit, Packing as Chosen};
use super::{Gang, Need, Place, Placed, Size, Worker};
use crate::cores::Cores;
use agent_core::domain::ids::NodeId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub(super) struct Packer<'a> {
    workers: &'a [Worker],
    by_node: BTreeMap<NodeId, usize>,
    free: Vec<(Cores, u64)>,
    index: Box<dyn Packing>,
    chosen: Chosen,
}

impl<'a> Packer<'a> {
    pub fn new(workers: &'a [Worker], chosen: Chosen) -> Self {
        Self::with(
            workers,
            workers.iter().map(|worker| (worker.free_cores.clone(), worker.free_memory)).collect(),
            chosen,
        )
    }

    /// Another one with the same free.
    pub fn copy(&self) -> Self {
        Self::with(self.workers, self.free.clone(), self.chosen)
    }

    fn with(workers: &'a [Worker], free: Vec<(Cores, u64)>, chosen: Chosen) -> Self {
        let sizes = free.iter().map(|(cores, memory)| Size { cores: cores.len(), memory: *memory });
        let index: Box<dyn Packing> = match chosen.fit {
            Fit::Best => Box::new(BestFit::new(sizes)),
            Fit::First => Box::new(FirstFit::new(sizes)),
        };
        let by_node = workers.iter().enumerate().map(|(index, worker)| (worker.node, index)).collect();
        Self { workers, by_node, free, index, chosen }
    }

    pub fn free(&self, worker: usize) -> Size {
        let (cores, memory) = &self.free[worker];
        Size { cores: cores.len(), memory: *memory }
    }

    pub fn free_cores(&self, worker: usize) -> &Cores {
        &self.free[worker].0
    }

    /// All tasks of a job, answered in their own order; or which of them found no place, with nothing taken.
    pub fn place(&mut self, gang: &Gang) -> Result<Vec<Placed>, usize> {
        let mut order: Vec<usize> = (0..gang.tasks.len()).collect();
        if self.chosen.is_decreasing {
            order.sort_by_key(|task| Reverse(gang.tasks[*task].size.cores));
        }
        let mut placed: Vec<Option<Placed>> = vec![None; gang.tasks.len()];
        for task in order {
            match self.place_task(&gang.tasks[task]) {
                Some(at) => placed[task] = Some(at),
                None => {
                    self.give_back(gang, placed.iter().enumerate().filter_map(|(task, at)| Some((task, at.as_ref()?))));
                    return Err(task);
                }
            }
        }
        Ok(placed.into_iter().flatten().collect())
    }

    /// One task alone.
    pub fn place_task(&mut self, need: &Need) -> Option<Placed> {
        let placed = self.find(need)?;
        self.take(placed.worker, &placed.cores, need.size.memory);
        Some(placed)
    }

    fn find(&self, need: &Need) -> Option<Placed> {
        let admits = |worker: usize| self.workers[worker].admits(need);
        let first = |worker: usize| Placed { worker, cores: self.free[worker].0.first(need.size.cores) };
        let fits = |worker: &usize| admits(*worker) && need.size.fits_into(self.free(*worker));
        match &need.place {
            Place::Anywhere => self.index.find(need.size, &admits).map(first),
            Place::Node(node) => self.by_node.get(node).copied().filter(fits).map(first),
            Place::Cores(node, cores) => {
                let worker = self.by_node.get(node).copied().filter(fits)?;
                cores.is_subset(&self.free[worker].0).then(|| Placed { worker, cores: cores.clone() })
            }
        }
    }

    /// Takes a whole job back that was placed like this.
    pub fn undo(&mut self, gang: &Gang, placed: &[Placed]) {
        self.give_back(gang, placed.iter().enumerate());
    }

    fn give_back<'p>(&mut self, gang: &Gang, placed: impl Iterator<Item = (usize, &'p Placed)>) {
        for (task, at) in placed {
            self.give(at.worker, &at.cores, gang.tasks[task].size.memory);
        }
    }

    pub fn take(&mut self, worker: usize, cores: &Cores, memory: u64) {
        self.change(worker, |(free, left)| {
            free.remove(cores);
            *left -= memory;
        });
    }

    pub fn give(&mut self, worker: usize, cores: &Cores, memory: u64) {
        self.change(worker, |(free, left)| {
            free.join(cores);
            *left += memory;
        });
    }

    fn change(&mut self, worker: usize, change: impl FnOnce(&mut (Cores, u64))) {
        let before = self.free(worker);
        change(&mut self.free[worker]);
        self.index.replace(worker, before, self.free(worker));
    }
}
