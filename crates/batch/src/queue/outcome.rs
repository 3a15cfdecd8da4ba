//! What becomes of a task that has ended, of the others of its job, and of the job.

use super::Queue;
use crate::job::{Change, Ending, JobId, Restart, State, TaskId, Verdict, Wanted};

impl Queue {
    /// An attempt of a task has ended like this. What it occupied is free.
    pub(super) fn end(&mut self, id: TaskId, ending: Ending) {
        let now = self.now;
        let is_open = self.jobs.get(&id.job).is_some_and(|job| job.verdict.is_none());
        let restart = self.specification(id).map_or(Restart::NEVER, |task| task.restart);
        self.change_task(id, |task| {
            task.ended_at = Some(now);
            task.ending = Some(ending.clone());
        });
        let why = ending.to_string();
        match ending {
            Ending::Exited(0) => self.enter(id, State::Done, why),
            Ending::Stopped { .. } => self.enter(id, State::Cancelled, why),
            Ending::Migrated if is_open => self.queue_again(id, None, why),
            Ending::NotStarted { is_final: true, .. } => self.fail(id, why),
            Ending::Migrated
            | Ending::Exited(_)
            | Ending::Killed(_)
            | Ending::OutOfMemory
            | Ending::TimeLimit
            | Ending::NotStarted { is_final: false, .. }
            | Ending::Lost { .. } => {
                self.change_task(id, |task| task.tries += 1);
                let tries = self.tasks.get(&id).map_or(0, |task| task.tries);
                match restart.after(tries).filter(|_| is_open) {
                    Some(pause) => {
                        let why = format!("{why}; try {} of {}", tries + 1, restart.tries);
                        self.queue_again(id, Some(now + pause), why);
                    }
                    None if is_open => self.fail(id, why),
                    None => self.enter(id, State::Cancelled, why),
                }
            }
        }
        self.settle(id.job);
    }

    fn queue_again(&mut self, id: TaskId, not_before: Option<agent_core::domain::time::Timestamp>, why: String) {
        self.change_task(id, |task| {
            task.seat = None;
            task.limits = None;
            task.wanted = Wanted::Run;
            task.not_before = not_before;
        });
        self.enter(id, State::Queued, why);
    }

    /// There are no more tries for this one.
    fn fail(&mut self, id: TaskId, why: String) {
        let name = self.specification(id).map_or_else(String::new, |task| task.name.clone());
        let keeps_going = self.jobs.get(&id.job).is_some_and(|job| job.specification.keep_going);
        self.enter(id, State::Failed, why.clone());
        if !keeps_going {
            self.call_off(id.job, State::Failed, format!("task {id} `{name}`: {why}"));
        }
    }

    /// The job will come to this: what waits is cancelled, what runs is stopped.
    pub(super) fn call_off(&mut self, job: JobId, state: State, reason: String) {
        let verdict = Verdict { state, reason: reason.clone() };
        self.change_job(job, |job| job.verdict = Some(verdict));
        for id in self.ids_of(job) {
            match self.tasks.get(&id).map(|task| task.state) {
                Some(State::Queued) => self.enter(id, State::Cancelled, reason.clone()),
                Some(State::Placed | State::Running) => {
                    let reason = reason.clone();
                    self.change_task(id, |task| task.wanted = Wanted::Stop { reason });
                }
                Some(State::Done | State::Failed | State::Cancelled) | None => {}
            }
        }
    }

    /// A job's state is what its tasks make it.
    pub(super) fn settle(&mut self, id: JobId) {
        let now = self.now;
        let Some(job) = self.jobs.get(&id) else { return };
        let states: Vec<State> = self.tasks_of(id).map(|task| task.state).collect();
        let any = |state: State| states.contains(&state);
        let is_over = states.iter().all(|state| state.is_over());
        let (state, reason) = match &job.verdict {
            Some(verdict) if is_over => (verdict.state, verdict.reason.clone()),
            None if is_over && any(State::Failed) => (State::Failed, "some of its tasks failed".to_owned()),
            None if is_over && any(State::Cancelled) => (State::Cancelled, "some of its tasks were".to_owned()),
            None if is_over => (State::Done, "all of its tasks are".to_owned()),
            _ if any(State::Running) => (State::Running, String::new()),
            _ if any(State::Placed) => (State::Placed, String::new()),
            // Some are done, and some wait for another try.
            _ => (State::Queued, String::new()),
        };
        let has_begun = !any(State::Queued) && !any(State::Placed) && job.started_at.is_none();
        if job.state == state && !has_begun {
            return;
        }
        let is_new = job.state != state;
        self.change_job(id, |job| {
            job.state = state;
            job.started_at = job.started_at.or(has_begun.then_some(now));
            job.ended_at = is_over.then_some(now);
        });
        if is_new {
            self.changed.history.push(Change { job: id, task: None, at: now, state, reason });
        }
    }
}
