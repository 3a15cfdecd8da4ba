//! Which jobs may go before the first one that waits: those that cannot delay it.
//!
//! The first one is expected to start when enough of what runs has ended, by the time limits; what has none ends last, nobody knows
//! when. Whoever goes before it either has ended by then, or leaves it room all the same. (Reserving for the first job alone:
//! Lifka, *The ANL/IBM SP scheduling system*, 1995, known as EASY.)

use super::packer::Packer;
use super::{Gang, Placed, Problem, Running, Solution, Waits};
use crate::job::JobId;
use agent_core::domain::time::Timestamp;

/// What the first job that waits is promised.
pub(super) struct Reservation<'a> {
    pub job: JobId,
    gang: &'a Gang,
    /// When it starts at the latest; absent: nobody knows.
    at: Option<Timestamp>,
    /// What is free then, with what was let before it and has not ended taken off.
    then: Packer<'a>,
}

impl<'a> Reservation<'a> {
    /// `None`: it would not fit if everything had ended, so that nobody can be in its way.
    pub fn of(gang: &'a Gang, problem: &'a Problem, free: &Packer<'a>, solution: &Solution) -> Option<Self> {
        let mut then = free.copy();
        let mut running: Vec<Running> = problem.running.clone();
        running.extend(started(problem, solution));
        running.sort_by_key(|task| task.ends.unwrap_or(Timestamp(i64::MAX)));
        for (index, task) in running.iter().enumerate() {
            then.give(task.worker, &task.cores, task.memory);
            let is_last_of_its_time = running.get(index + 1).is_none_or(|next| next.ends != task.ends);
            if !is_last_of_its_time {
                continue;
            }
            if let Ok(placed) = then.place(gang) {
                then.undo(gang, &placed);
                return Some(Self { job: gang.job, gang, at: task.ends, then });
            }
        }
        None
    }

    /// Places a job that comes later, if that cannot delay the first one.
    pub fn admit(&mut self, gang: &Gang, now: Timestamp, free: &mut Packer<'_>) -> Result<Vec<Placed>, Waits> {
        let placed = free.place(gang).map_err(|task| Waits::NoRoom { task })?;
        let has_ended = matches!((gang.limit, self.at), (Some(limit), Some(at)) if now + limit <= at);
        if has_ended || self.leaves_room(gang, &placed) {
            return Ok(placed);
        }
        free.undo(gang, &placed);
        Err(Waits::Behind { job: self.job })
    }

    /// Whether the first job fits beside it; if so, it is counted from now on.
    fn leaves_room(&mut self, gang: &Gang, placed: &[Placed]) -> bool {
        for (at, need) in placed.iter().zip(&gang.tasks) {
            self.then.take(at.worker, &at.cores, need.size.memory);
        }
        match self.then.place(self.gang) {
            Ok(first) => {
                self.then.undo(self.gang, &first);
                true
            }
            Err(_) => {
                self.then.undo(gang, placed);
                false
            }
        }
    }
}

/// What this solution has placed already, as running.
fn started<'a>(problem: &'a Problem, solution: &'a Solution) -> impl Iterator<Item = Running> + 'a {
    let gangs: std::collections::BTreeMap<JobId, &Gang> = problem.waiting.iter().map(|gang| (gang.job, gang)).collect();
    solution.placed.iter().filter_map(move |(job, placed)| Some((*gangs.get(job)?, placed))).flat_map(
        move |(gang, placed)| {
            placed.iter().zip(&gang.tasks).map(move |(at, need)| Running {
                job: gang.job,
                worker: at.worker,
                cores: at.cores.clone(),
                memory: need.size.memory,
                ends: gang.limit.map(|limit| problem.now + limit),
            })
        },
    )
}
