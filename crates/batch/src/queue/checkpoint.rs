//! A checkpoint of tasks that run, and going elsewhere with it: a whole group at once, or none.

use super::{Queue, Refused, Request, Scope};
use crate::job::{State, TaskId, Then, Wanted};
use crate::placement::explanation::too_large;
use crate::placement::{Gang, Need, Place};

/// Tasks are to write down what they have come to.
pub struct Checkpoint {
    pub tasks: Vec<TaskId>,
    pub then: Then,
}

impl Request for Checkpoint {
    const OPERATION: &'static str = "checkpoint";
    type Answer = ();

    fn scope(&self) -> Scope {
        Scope::of_tasks(&self.tasks)
    }

    fn apply(&self, queue: &mut Queue) -> Result<(), Refused> {
        for id in &self.tasks {
            queue.require_checkpoint(*id, self.then)?;
        }
        for id in &self.tasks {
            let wanted = Wanted::Checkpoint { then: self.then };
            queue.change_task(*id, |task| task.wanted = wanted);
            let reason = match self.then {
                Then::GoOn => "checkpointing".to_owned(),
                Then::Migrate(None) => "migrating".to_owned(),
                Then::Migrate(Some(node)) => format!("migrating to node {node}"),
            };
            queue.note(*id, reason);
        }
        Ok(())
    }
}

impl Queue {
    fn require_checkpoint(&self, id: TaskId, then: Then) -> Result<(), Refused> {
        self.job(id.job)?;
        let (task, specification) =
            self.tasks.get(&id).zip(self.specification(id)).ok_or_else(|| Refused(format!("there is no task {id}")))?;
        if specification.checkpoint.is_none() {
            return Err(Refused(format!(
                "task {id} has no `checkpoint`; say in its job how it writes down what it has come to"
            )));
        }
        if task.state != State::Running || task.wanted != Wanted::Run {
            return Err(Refused(format!("task {id} is {}, and only what runs undisturbed can be asked", task.state)));
        }
        let Then::Migrate(Some(node)) = then else { return Ok(()) };
        let need = Need { place: Place::Node(node), ..self.need(task, specification) };
        let gang = Gang { job: id.job, priority: 0, deadline: None, limit: None, tasks: vec![need] };
        match too_large(&self.places(), self.settings.strategy, &gang) {
            None => Ok(()),
            Some(_) => Err(Refused(format!("task {id} cannot run on node {node}, even if that were idle"))),
        }
    }
}
