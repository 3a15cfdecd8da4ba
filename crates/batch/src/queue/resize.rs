//! Other limits for a task that runs.

use super::{Queue, Refused, Request, Scope};
use crate::cores::Cores;
use crate::job::{self, State, TaskId, Wanted};
use crate::placement::Size;

/// Tasks are to have these sizes from now on, where they are: all of them, or none.
pub struct Resize {
    pub tasks: Vec<TaskId>,
    /// Absent: as many as it has.
    pub cores: Option<usize>,
    pub memory: Option<u64>,
}

impl Request for Resize {
    const OPERATION: &'static str = "resize";
    type Answer = ();

    fn scope(&self) -> Scope {
        Scope::of_tasks(&self.tasks)
    }

    fn apply(&self, queue: &mut Queue) -> Result<(), Refused> {
        for id in &self.tasks {
            queue.resize(*id, self.cores, self.memory)?;
        }
        Ok(())
    }
}

impl Queue {
    fn resize(&mut self, id: TaskId, cores: Option<usize>, memory: Option<u64>) -> Result<(), Refused> {
        self.job(id.job)?;
        let task = self.tasks.get(&id).ok_or_else(|| Refused(format!("there is no task {id}")))?;
        let size = Size { cores: cores.unwrap_or(task.size.cores), memory: memory.unwrap_or(task.size.memory) };
        let seat = match (task.state, &task.wanted, &task.seat) {
            // It is placed with its new size.
            (State::Queued, _, _) => {
                self.change_task(id, |task| task.size = size);
                self.note(id, describe(size));
                return Ok(());
            }
            (State::Running, Wanted::Run, Some(seat)) => seat.clone(),
            (State::Running, _, _) => {
                return Err(Refused(format!("task {id} is being changed already; try again when that is done")));
            }
            (State::Placed, _, _) => {
                return Err(Refused(format!("task {id} is just being started; try again when it runs")));
            }
            (State::Done | State::Failed | State::Cancelled, _, _) => {
                return Err(Refused(format!("task {id} is over ({})", task.state)));
            }
        };
        let worker = self.workers.get(&seat.node);
        let worker = worker.ok_or_else(|| Refused(format!("task {id}: its worker, node {}, is gone", seat.node)))?;
        let (free_cores, free_memory) = self.free(worker);
        let to_cores: Cores = match size.cores.checked_sub(seat.cores.len()) {
            None => seat.cores.first(size.cores),
            Some(more) if more <= free_cores.len() => {
                let mut cores = free_cores.first(more);
                cores.join(&seat.cores);
                cores
            }
            Some(more) => {
                return Err(Refused(format!(
                    "task {id} needs {more} more cores, and node {} has {} free",
                    seat.node,
                    free_cores.len()
                )));
            }
        };
        let more = size.memory.saturating_sub(task.size.memory);
        if more > free_memory {
            return Err(Refused(format!(
                "task {id} needs {more} more bytes of memory, and node {} has {free_memory} free",
                seat.node
            )));
        }
        let resize =
            job::Resize { from: task.size, from_cores: seat.cores.clone(), to: size, to_cores: to_cores.clone() };
        self.change_task(id, |task| {
            task.size = Size { cores: task.size.cores.max(size.cores), memory: task.size.memory.max(size.memory) };
            if let Some(seat) = &mut task.seat {
                seat.cores.join(&to_cores);
            }
            task.wanted = Wanted::Resize(resize);
        });
        self.note(id, describe(size));
        Ok(())
    }
}

fn describe(size: Size) -> String {
    format!("it is to have {} cores and {} bytes of memory", size.cores, size.memory)
}
