//! Who places what waits: every agent, with what it sees. Two that are quick at once do the same twice, and the table takes one.

use crate::placement::solve;
use crate::queue::Queue;
use crate::queue::place::Place;
use agent_core::domain::time::Timestamp;

/// What is to be done about a queue.
pub struct Placing {
    /// Absent: nothing can be placed.
    pub place: Option<Place>,
    /// Whether tasks are held by workers that are gone.
    pub reap: bool,
    /// When it may be otherwise, though nothing changes.
    pub next: Option<Timestamp>,
}

/// What follows from all jobs that are not over, and all workers.
pub fn placing(queue: &Queue) -> Placing {
    let problem = queue.problem();
    let solution = solve(&problem, queue.settings.strategy);
    let place = (!solution.placed.is_empty()).then(|| Place::of(solution, &problem));
    let next_loss = queue.next_loss();
    let reap = next_loss.is_some_and(|at| at <= queue.now);
    Placing { place, reap, next: [next_loss, queue.next_due()].into_iter().flatten().min() }
}
