//! What a worker says of a task that it holds.

use super::{Queue, Refused, Request, Scope, Which};
use crate::job::{Ending, Limits, Saved, State, TaskId, Then, Wanted};
use agent_core::domain::ids::{Life, NodeId};

/// So much of what a task said is kept \[bytes\].
pub const OUTPUT_KEPT: usize = 4_096;

/// A worker's word about one attempt of a task.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub node: NodeId,
    pub life: Life,
    pub task: TaskId,
    pub attempt: u32,
    pub what: What,
}

#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// It runs, held to this.
    Started { limits: Limits },
    /// It has ended, and nothing of it is left; these were its last words.
    Ended { ending: Ending, output: String },
    /// It is held to its new size from now on; or why it cannot be.
    Resized(Result<Limits, String>),
    /// It has written down what it had come to; or why not.
    Saved(Result<Saved, String>),
}

impl Request for Report {
    const OPERATION: &'static str = "report";
    /// `false`: the task is not this worker's (any more); whatever of it is there has to end.
    type Answer = bool;

    fn scope(&self) -> Scope {
        Scope { jobs: Which::only(self.task.job), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<bool, Refused> {
        if !queue.is_held(self.task, self.attempt, self.node, &self.life) {
            return Ok(queue.was_told(self));
        }
        match &self.what {
            What::Started { limits } => queue.started(self.task, limits),
            What::Ended { ending, output } => {
                let kept = last(output, OUTPUT_KEPT).to_owned();
                queue.change_task(self.task, |task| task.output = kept);
                queue.end(self.task, ending.clone());
            }
            What::Resized(resized) => queue.resized(self.task, resized),
            What::Saved(saved) => queue.saved(self.task, saved),
        }
        Ok(true)
    }
}

impl Queue {
    /// Whether this is the report that ended it, said again.
    fn was_told(&self, report: &Report) -> bool {
        let What::Ended { ending, .. } = &report.what else { return false };
        self.tasks
            .get(&report.task)
            .is_some_and(|task| task.attempt == report.attempt && task.ending.as_ref() == Some(ending))
    }

    fn started(&mut self, id: TaskId, limits: &Limits) {
        if self.tasks.get(&id).is_none_or(|task| task.state != State::Placed) {
            return;
        }
        let now = self.now;
        self.change_task(id, |task| {
            task.started_at = Some(now);
            task.limits = Some(limits.clone());
            task.bound_for = None;
        });
        self.enter(id, State::Running, format!("limited by {}", limits.by));
        self.settle(id.job);
    }

    fn resized(&mut self, id: TaskId, resized: &Result<Limits, String>) {
        let Some(Wanted::Resize(resize)) = self.tasks.get(&id).map(|task| task.wanted.clone()) else { return };
        let (size, cores, reason) = match resized {
            Ok(limits) => {
                self.change_task(id, |task| task.limits = Some(limits.clone()));
                (resize.to, resize.to_cores, "resized".to_owned())
            }
            Err(reason) => (resize.from, resize.from_cores, format!("not resized: {reason}")),
        };
        self.change_task(id, |task| {
            task.size = size;
            task.wanted = Wanted::Run;
            if let Some(seat) = &mut task.seat {
                seat.cores = cores;
            }
        });
        self.note(id, reason);
    }

    fn saved(&mut self, id: TaskId, saved: &Result<Saved, String>) {
        let Some(Wanted::Checkpoint { then }) = self.tasks.get(&id).map(|task| task.wanted.clone()) else { return };
        let reason = match (saved, then) {
            (Ok(saved), Then::GoOn) => format!("its state is written down, {} bytes", saved.bytes),
            (Ok(saved), Then::Migrate(_)) => format!("its state is written down, {} bytes; it ends here", saved.bytes),
            (Err(reason), Then::GoOn) => format!("no checkpoint: {reason}"),
            (Err(reason), Then::Migrate(_)) => format!("it stays: no checkpoint: {reason}"),
        };
        self.change_task(id, |task| {
            if let Ok(saved) = saved {
                task.saved = Some(saved.clone());
            }
            match (saved, then) {
                // Its worker ends it, and says so.
                (Ok(_), Then::Migrate(to)) => task.bound_for = to,
                (Ok(_), Then::GoOn) | (Err(_), _) => task.wanted = Wanted::Run,
            }
        });
        self.note(id, reason);
    }
}

/// The last bytes of a text, from a whole character on.
pub fn last(text: &str, bytes: usize) -> &str {
    let from = text.len().saturating_sub(bytes);
    let whole = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[whole..]
}
