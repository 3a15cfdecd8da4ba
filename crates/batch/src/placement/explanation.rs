//! Why a job waits: which task fits nowhere, what is missing at each worker, and whose end would free it.

use super::packer::Packer;
use super::strategy::Strategy;
use super::{Gang, Need, Place, Problem, Size, Solution, Waits, Worker, solve};
use crate::cores::Cores;
use crate::job::JobId;
use agent_core::domain::ids::NodeId;
use serde::Serialize;

/// What a job that is not placed now waits for.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Explanation {
    /// This one of its tasks fits nowhere.
    NoRoom {
        task: usize,
        size: Size,
        /// What is in the way at each worker; empty: there is no worker.
        workers: Vec<Obstacle>,
    },
    /// It might delay this one.
    Behind { job: JobId },
}

/// What is in the way of a task at a worker.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Obstacle {
    pub node: NodeId,
    pub kind: ObstacleKind,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObstacleKind {
    /// It is to run on another node.
    OtherNode,
    /// Its labels are others.
    Labels,
    /// It has no such runner.
    NoRunner,
    /// It does not have these at all.
    TooSmall { cores: usize, memory: u64 },
    /// It does not have these cores.
    NoSuchCores { cores: Cores },
    /// These are missing until some of these jobs end; with `cores`, just these are busy.
    Busy { missing: Size, cores: Cores, held_by: Vec<JobId> },
}

/// `None`: it is placed now, or not among those that wait.
pub fn explain(problem: &Problem, strategy: Strategy, job: JobId) -> Option<Explanation> {
    let solution = solve(problem, strategy);
    let (_, waits) = solution.waiting.iter().find(|(waiting, _)| *waiting == job)?;
    match *waits {
        Waits::Behind { job } => Some(Explanation::Behind { job }),
        Waits::NoRoom { task } => {
            let gang = problem.waiting.iter().find(|gang| gang.job == job)?;
            Some(no_room(problem, &solution, strategy, gang, task))
        }
    }
}

/// Which of a job's tasks fits on no worker even if all were idle; `None`: it fits whole.
pub fn too_large(workers: &[Worker], strategy: Strategy, gang: &Gang) -> Option<Explanation> {
    let idle: Vec<Worker> = workers.iter().map(Worker::idle).collect();
    let problem = Problem { workers: idle, waiting: vec![gang.clone()], ..Problem::default() };
    explain(&problem, strategy, gang.job)
}

fn no_room(problem: &Problem, solution: &Solution, strategy: Strategy, gang: &Gang, task: usize) -> Explanation {
    let mut free = Packer::new(&problem.workers, strategy.packing);
    let need_of = |job: JobId| problem.waiting.iter().find(|gang| gang.job == job);
    let mut holders: Vec<(JobId, usize, Cores)> =
        problem.running.iter().map(|task| (task.job, task.worker, task.cores.clone())).collect();
    for (gang, placed) in solution.placed.iter().filter_map(|(job, placed)| Some((need_of(*job)?, placed))) {
        for (at, need) in placed.iter().zip(&gang.tasks) {
            free.take(at.worker, &at.cores, need.size.memory);
            holders.push((gang.job, at.worker, at.cores.clone()));
        }
    }
    // Those of its own that were given a place before this one.
    for (index, need) in gang.tasks.iter().enumerate().filter(|(index, _)| *index != task) {
        let is_before = !strategy.packing.is_decreasing && index < task;
        let is_larger = strategy.packing.is_decreasing && need.size.cores >= gang.tasks[task].size.cores;
        if let Some(at) = (is_before || is_larger).then(|| free.place_task(need)).flatten() {
            holders.push((gang.job, at.worker, at.cores));
        }
    }
    let need = &gang.tasks[task];
    let obstacle = |(index, worker): (usize, &Worker)| {
        let held_by = || {
            let mut jobs: Vec<JobId> =
                holders.iter().filter(|(_, at, _)| *at == index).map(|(job, _, _)| *job).collect();
            jobs.sort_unstable();
            jobs.dedup();
            jobs
        };
        Obstacle { node: worker.node, kind: obstacle(need, worker, free.free(index), free.free_cores(index), held_by) }
    };
    let workers = problem.workers.iter().enumerate().map(obstacle).collect();
    Explanation::NoRoom { task, size: need.size, workers }
}

fn obstacle(
    need: &Need,
    worker: &Worker,
    free: Size,
    free_cores: &Cores,
    held_by: impl Fn() -> Vec<JobId>,
) -> ObstacleKind {
    let whole = worker.whole();
    let busy = |cores: Cores| ObstacleKind::Busy { missing: less(need.size, free), cores, held_by: held_by() };
    let too_small = || {
        let missing = less(need.size, whole);
        ObstacleKind::TooSmall { cores: missing.cores, memory: missing.memory }
    };
    match &need.place {
        Place::Node(node) | Place::Cores(node, _) if *node != worker.node => ObstacleKind::OtherNode,
        _ if !worker.runners.contains(&need.runner) => ObstacleKind::NoRunner,
        _ if need.labels.as_ref().is_some_and(|selector| !selector.matches(&worker.labels)) => ObstacleKind::Labels,
        Place::Cores(_, cores) if !cores.is_subset(&worker.cores) => {
            let mut missing = cores.clone();
            missing.remove(&worker.cores);
            ObstacleKind::NoSuchCores { cores: missing }
        }
        _ if !need.size.fits_into(whole) => too_small(),
        Place::Cores(_, cores) => {
            let mut taken = cores.clone();
            taken.remove(free_cores);
            busy(taken)
        }
        Place::Anywhere | Place::Node(_) => busy(Cores::default()),
    }
}

fn less(wanted: Size, there: Size) -> Size {
    Size { cores: wanted.cores.saturating_sub(there.cores), memory: wanted.memory.saturating_sub(there.memory) }
}
