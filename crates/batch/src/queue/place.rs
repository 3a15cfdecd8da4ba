//! Giving tasks their workers. Every agent may; whoever comes second finds that it is done.

use super::{Queue, Refused, Request, Scope, Which, as_place};
use crate::cores::Cores;
use crate::job::{JobId, Seat, State, Wanted};
use crate::placement::{self, Placed, Problem, Solution};
use agent_core::domain::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Places for the tasks of a job that wait, in the job's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    pub job: JobId,
    pub seats: Vec<(NodeId, Cores)>,
}

/// Jobs are to be placed like this: each of them whole, or not at all.
pub struct Place {
    pub placements: Vec<Placement>,
}

impl Place {
    /// What a solution says about a problem.
    pub fn of(solution: Solution, problem: &Problem) -> Self {
        let seats =
            |placed: Vec<Placed>| placed.into_iter().map(|at| (problem.workers[at.worker].node, at.cores)).collect();
        let placements = solution.placed.into_iter().map(|(job, placed)| Placement { job, seats: seats(placed) });
        Self { placements: placements.collect() }
    }
}

impl Request for Place {
    const OPERATION: &'static str = "place";
    /// Those that were placed; the others have changed meanwhile, or somebody was quicker.
    type Answer = Vec<JobId>;

    fn scope(&self) -> Scope {
        let jobs = self.placements.iter().map(|placement| placement.job).collect();
        let nodes: BTreeSet<NodeId> =
            self.placements.iter().flat_map(|placement| &placement.seats).map(|(node, _)| *node).collect();
        Scope { jobs: Which::These(jobs), nodes: Which::These(nodes), key: None }
    }

    fn apply(&self, queue: &mut Queue) -> Result<Vec<JobId>, Refused> {
        Ok(self.placements.iter().filter(|placement| queue.place(placement)).map(|placement| placement.job).collect())
    }
}

impl Queue {
    /// `false`: it cannot be (any more), and nothing was changed.
    fn place(&mut self, wanted: &Placement) -> bool {
        let Some(gang) = self.jobs.get(&wanted.job).and_then(|job| self.gang(job)) else { return false };
        let waiting: Vec<_> = self.waiting(wanted.job).map(|task| task.id).collect();
        if wanted.seats.len() != waiting.len() {
            return false;
        }
        // The free of each worker as this job fills it.
        let mut places: BTreeMap<NodeId, placement::Worker> = BTreeMap::new();
        for ((node, cores), need) in wanted.seats.iter().zip(&gang.tasks) {
            let worker = self.workers.get(node).filter(|worker| worker.takes_tasks(self.now));
            let Some(worker) = worker else { return false };
            let place = places.entry(*node).or_insert_with(|| as_place(worker, self.free(worker)));
            let is_meant = match &need.place {
                placement::Place::Cores(_, meant) => meant == cores,
                placement::Place::Anywhere | placement::Place::Node(_) => true,
            };
            let fits = cores.len() == need.size.cores
                && cores.is_subset(&place.free_cores)
                && need.size.memory <= place.free_memory;
            if !(place.admits(need) && is_meant && fits) {
                return false;
            }
            place.free_cores.remove(cores);
            place.free_memory -= need.size.memory;
        }
        for (id, (node, cores)) in waiting.into_iter().zip(&wanted.seats) {
            let Some(life) = self.workers.get(node).map(|worker| worker.life.clone()) else { continue };
            self.change_task(id, |task| {
                task.attempt += 1;
                task.seat = Some(Seat { node: *node, life, cores: cores.clone() });
                task.wanted = Wanted::Run;
                (task.started_at, task.ended_at, task.ending, task.not_before) = (None, None, None, None);
            });
            self.enter(id, State::Placed, format!("on node {node}, cores {cores}"));
        }
        self.settle(wanted.job);
        true
    }
}
