//! A job comes, is called off; the strategy for all of them is chosen.

use super::{Queue, Refused, Request, Scope, Which};
use crate::job::{Change, Job, JobId, Specification, State, Task, TaskId};
use crate::placement::explanation::{Explanation, too_large};
use crate::placement::strategy::Strategy;

/// A job is to run.
pub struct Submit {
    /// The same key again is the same job.
    pub key: String,
    pub specification: Specification,
    /// Also when no worker that is there now could ever take one of its tasks.
    pub waits: bool,
}

/// What became of a submission.
#[derive(Clone, PartialEq, Debug)]
pub enum Submitted {
    Queued(JobId),
    /// Nothing was queued: as the workers are, it would wait for ever.
    TooLarge(Explanation),
}

impl Request for Submit {
    const OPERATION: &'static str = "submit";
    type Answer = Submitted;

    fn scope(&self) -> Scope {
        // Where it waits for any worker, nothing about those that are there matters.
        let nodes = if self.waits { Which::default() } else { Which::All };
        Scope { nodes, key: Some(self.key.clone()), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<Submitted, Refused> {
        if let Some(job) = queue.keys.get(&self.key) {
            return Ok(Submitted::Queued(*job));
        }
        let now = queue.now;
        if self.specification.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Refused("its deadline is over already; state a later one, or none".to_owned()));
        }
        let id = JobId(queue.settings.last_job + 1);
        let job = Job {
            id,
            specification: self.specification.clone(),
            state: State::Queued,
            verdict: None,
            submitted_at: now,
            started_at: None,
            ended_at: None,
        };
        queue.settings.last_job = id.0;
        for (index, task) in self.specification.tasks.iter().enumerate() {
            let id = TaskId { job: id, index };
            queue.tasks.insert(id, Task::new(id, task.size));
            queue.changed.tasks.insert(id);
        }
        queue.add_job(job.clone(), self.key.clone());
        let gang = queue.gang(&job).filter(|_| !self.waits);
        let hopeless = gang.and_then(|gang| too_large(&queue.places(), queue.settings.strategy, &gang));
        if let Some(explanation) = hopeless {
            queue.forget(id);
            return Ok(Submitted::TooLarge(explanation));
        }
        queue.changed.jobs.insert(id);
        queue.changed.is_news = true;
        queue.changed.history.push(Change {
            job: id,
            task: None,
            at: now,
            state: State::Queued,
            reason: String::new(),
        });
        Ok(Submitted::Queued(id))
    }
}

impl Queue {
    /// As if it had never been submitted.
    fn forget(&mut self, job: JobId) {
        self.settings.last_job -= 1;
        self.jobs.remove(&job);
        self.keys.retain(|_, known| *known != job);
        self.tasks.retain(|id, _| id.job != job);
        self.changed.tasks.retain(|id| id.job != job);
    }
}

/// A job is not to run any more.
pub struct Cancel {
    pub job: JobId,
    pub reason: String,
}

impl Request for Cancel {
    const OPERATION: &'static str = "cancel";
    /// What the job is now: over, unless some of its tasks have to be stopped first.
    type Answer = State;

    fn scope(&self) -> Scope {
        Scope { jobs: Which::only(self.job), ..Scope::default() }
    }

    fn apply(&self, queue: &mut Queue) -> Result<State, Refused> {
        let job = queue.job(self.job)?;
        if !job.state.is_over() && job.verdict.is_none() {
            queue.call_off(self.job, State::Cancelled, self.reason.clone());
            queue.settle(self.job);
        }
        queue.job(self.job).map(|job| job.state)
    }
}

/// The next placement is made by another strategy; nothing that is queued or runs is touched.
pub struct Use {
    pub strategy: Strategy,
}

impl Request for Use {
    const OPERATION: &'static str = "use";
    /// The one before.
    type Answer = Strategy;

    fn scope(&self) -> Scope {
        Scope::default()
    }

    fn apply(&self, queue: &mut Queue) -> Result<Strategy, Refused> {
        let before = std::mem::replace(&mut queue.settings.strategy, self.strategy);
        queue.changed.is_news |= before != self.strategy;
        Ok(before)
    }
}
