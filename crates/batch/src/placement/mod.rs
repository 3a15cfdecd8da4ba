//! Where tasks go: a problem in, a solution out, and for each job that has to wait the reason. No I/O, no clock, no chance.
//!
//! What holds of every strategy's solution, whatever the problem: no worker is given more than it has free, no core twice; a job
//! is placed whole or not at all, and one that waits consumes nothing; the same problem has the same solution.

// Which jobs may go before one that waits.
mod backfill;
// Why a job waits, in detail.
pub mod explanation;
// What is free, kept as tasks are placed.
mod packer;
// Which worker a task is given.
mod packing;
// What is chosen by name.
pub mod strategy;

#[cfg(test)]
mod tests;

use crate::cores::Cores;
use crate::job::{JobId, RunnerKind};
use agent_core::domain::ids::NodeId;
use agent_core::domain::labels::{Labels, Selector};
use agent_core::domain::time::Timestamp;
use packer::Packer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use strategy::{Order, Overtaking, Strategy};

/// Everything that a placement depends on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Problem {
    pub now: Timestamp,
    /// A worker's index here is what ties are decided by.
    pub workers: Vec<Worker>,
    pub running: Vec<Running>,
    /// In the order of their arrival.
    pub waiting: Vec<Gang>,
}

/// A node that takes tasks, and what is free of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Worker {
    pub node: NodeId,
    /// All that it has.
    pub cores: Cores,
    pub memory: u64,
    pub free_cores: Cores,
    pub free_memory: u64,
    pub labels: Labels,
    pub runners: BTreeSet<RunnerKind>,
}

/// What a task occupies until it ends.
#[derive(Clone, PartialEq, Debug)]
pub struct Running {
    pub job: JobId,
    /// Index of its worker.
    pub worker: usize,
    pub cores: Cores,
    pub memory: u64,
    /// When its time limit is over; absent: it has none.
    pub ends: Option<Timestamp>,
}

/// The tasks of one job that wait: they are placed together.
#[derive(Clone, PartialEq, Debug)]
pub struct Gang {
    pub job: JobId,
    pub priority: i32,
    pub deadline: Option<Timestamp>,
    /// How long it takes at most; absent: nobody knows.
    pub limit: Option<Duration>,
    pub tasks: Vec<Need>,
}

/// What a task needs of a worker.
#[derive(Clone, PartialEq, Debug)]
pub struct Need {
    pub size: Size,
    pub place: Place,
    pub labels: Option<Selector>,
    pub runner: RunnerKind,
}

/// How many cores, and bytes of memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Size {
    pub cores: usize,
    pub memory: u64,
}

/// Where a task may go.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    #[default]
    Anywhere,
    Node(NodeId),
    /// It waits while one of these is busy.
    Cores(NodeId, Cores),
}

/// A task's worker, and which of its cores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Index of the worker.
    pub worker: usize,
    pub cores: Cores,
}

/// What a strategy says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Solution {
    /// In the order in which they were placed; for each task of the job, in the job's order.
    pub placed: Vec<(JobId, Vec<Placed>)>,
    pub waiting: Vec<(JobId, Waits)>,
}

/// Why a job was not placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waits {
    /// This one of its tasks fits on no worker with what is free now.
    NoRoom { task: usize },
    /// It might delay this one, which is before it.
    Behind { job: JobId },
}

impl Size {
    pub fn fits_into(self, other: Self) -> bool {
        self.cores <= other.cores && self.memory <= other.memory
    }
}

impl Worker {
    pub(crate) fn whole(&self) -> Size {
        Size { cores: self.cores.len(), memory: self.memory }
    }

    /// The same one without work.
    pub(crate) fn idle(&self) -> Self {
        Self { free_cores: self.cores.clone(), free_memory: self.memory, ..self.clone() }
    }

    /// Whether a task may run there at all, however much is free.
    pub(crate) fn admits(&self, need: &Need) -> bool {
        let is_meant = match &need.place {
            Place::Anywhere => true,
            Place::Node(node) | Place::Cores(node, _) => *node == self.node,
        };
        is_meant
            && self.runners.contains(&need.runner)
            && need.labels.as_ref().is_none_or(|selector| selector.matches(&self.labels))
    }
}

/// Places what can be placed, job by job.
pub fn solve(problem: &Problem, strategy: Strategy) -> Solution {
    let mut free = Packer::new(&problem.workers, strategy.packing);
    let mut solution = Solution::default();
    let mut guard: Option<backfill::Reservation<'_>> = None;
    for gang in in_order(&problem.waiting, strategy.order) {
        let waits = match (&mut guard, strategy.overtaking) {
            (Some(first), Overtaking::InOrder) => Err(Waits::Behind { job: first.job }),
            (Some(first), Overtaking::Backfill) => first.admit(gang, problem.now, &mut free),
            (_, Overtaking::Greedy) | (None, _) => free.place(gang).map_err(|task| Waits::NoRoom { task }),
        };
        match waits {
            Ok(placed) => solution.placed.push((gang.job, placed)),
            Err(waits) => {
                if guard.is_none() && strategy.overtaking != Overtaking::Greedy {
                    guard = backfill::Reservation::of(gang, problem, &free, &solution);
                }
                solution.waiting.push((gang.job, waits));
            }
        }
    }
    solution
}

/// Whose turn it is: by the order's own key, and by arrival among equals.
fn in_order(waiting: &[Gang], order: Order) -> Vec<&Gang> {
    let mut gangs: Vec<&Gang> = waiting.iter().collect();
    match order {
        Order::Arrival => {}
        Order::Priority => gangs.sort_by_key(|gang| std::cmp::Reverse(gang.priority)),
        Order::Deadline => gangs.sort_by_key(|gang| gang.deadline.unwrap_or(Timestamp(i64::MAX))),
    }
    gangs
}
