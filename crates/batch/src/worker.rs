//! What a worker does with the tasks that it holds: a state machine without I/O. Who drives it starts and stops programs, sends
//! reports in the order in which they are given, and brings back what became of them.
//!
//! A worker that cannot say for too long that it is there ends its tasks itself, before the others take them for lost: nothing
//! runs twice at a time.

use crate::cores::Cores;
use crate::job::{Attempt, Ending, Limits, Saved, State, Then, Wanted};
use crate::placement::Size;
use crate::queue::report::What;
use crate::queue::worker::Assignment;
use agent_core::domain::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The table says what this worker holds, and that it counts as there until then by this machine's clock.
    Held {
        assignments: Vec<Assignment>,
        until: Timestamp,
    },
    /// The table says that this node is another life's.
    Disowned,
    /// A start has come to this: limits, or why not and whether that is final.
    Started {
        attempt: Attempt,
        result: Result<Limits, (String, bool)>,
    },
    /// Nothing of it is left.
    Ended {
        attempt: Attempt,
        ending: Ending,
        output: String,
    },
    Resized {
        attempt: Attempt,
        result: Result<Limits, String>,
    },
    Saved {
        attempt: Attempt,
        result: Result<Saved, String>,
    },
    /// What was reported of it is about somebody else's task by now.
    Late {
        attempt: Attempt,
    },
    /// Time has passed.
    Tick,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    Start(Box<Assignment>),
    /// Ask it to end, and kill it after this long; then say that it has ended.
    Stop {
        attempt: Attempt,
        grace: Duration,
    },
    Resize {
        attempt: Attempt,
        size: Size,
        cores: Cores,
    },
    Checkpoint {
        attempt: Attempt,
    },
    Report {
        attempt: Attempt,
        what: What,
    },
}

/// Before others take this worker's tasks for lost, they are ended: this long, for programs take time to end.
pub const MARGIN: u32 = 3;

/// The tasks that are here.
#[derive(Clone, PartialEq, Debug)]
pub struct Worker {
    held: BTreeMap<Attempt, Held>,
    /// Until when the table counts on it, and for how long in all.
    until: Option<Timestamp>,
    lease: Duration,
}

#[derive(Clone, PartialEq, Debug)]
struct Held {
    assignment: Assignment,
    phase: Phase,
    /// What was asked of it last, so that it is asked once.
    asked: Wanted,
    started_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Debug)]
enum Phase {
    Starting,
    Running,
    /// It is being ended; what is said about that, if anybody is to hear of it.
    Ending(Option<Ending>),
    /// It has ended, and the table may not know yet.
    Over,
}

impl Worker {
    /// One that holds nothing, and is to say that it is there once in less than `lease`.
    pub fn new(lease: Duration) -> Self {
        Self { held: BTreeMap::new(), until: None, lease }
    }

    /// Whether anything of a task is here.
    pub fn is_idle(&self) -> bool {
        self.held.values().all(|held| held.phase == Phase::Over)
    }

    /// When [`Input::Tick`] has something to do at the latest.
    pub fn next(&self) -> Option<Timestamp> {
        let limits = self.held.values().filter_map(Held::time_is_over);
        limits.chain(self.fence()).min()
    }

    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        match input {
            Input::Held { assignments, until } => {
                self.until = Some(until);
                self.compare(assignments)
            }
            Input::Disowned => self.end_all(None),
            Input::Started { attempt, result } => self.started(attempt, result, now),
            Input::Ended { attempt, ending, output } => self.ended(attempt, ending, output),
            Input::Resized { attempt, result } => self.report(attempt, What::Resized(result)),
            Input::Saved { attempt, result } => self.saved(attempt, result),
            Input::Late { attempt } => self.end(attempt, None).into_iter().collect(),
            Input::Tick => self.tick(now),
        }
    }

    /// What the table says against what is here.
    fn compare(&mut self, assignments: Vec<Assignment>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let named: Vec<Attempt> = assignments.iter().map(Assignment::attempt).collect();
        self.held.retain(|attempt, held| held.phase != Phase::Over || named.contains(attempt));
        let strangers: Vec<Attempt> = self.held.keys().filter(|attempt| !named.contains(attempt)).copied().collect();
        effects.extend(strangers.into_iter().filter_map(|attempt| self.end(attempt, None)));
        for assignment in assignments {
            let attempt = assignment.attempt();
            if let Some(held) = self.held.get_mut(&attempt) {
                held.assignment.task.wanted = assignment.task.wanted;
            } else if self.held.keys().any(|held| held.task == attempt.task) {
                // An earlier attempt has to be gone first.
                continue;
            } else if assignment.task.state == State::Placed {
                effects.push(Effect::Start(Box::new(assignment.clone())));
                self.held.insert(attempt, Held::new(assignment, Phase::Starting));
            } else {
                let ending = Ending::Lost { reason: "its worker knows nothing of it".to_owned() };
                self.held.insert(attempt, Held::new(assignment, Phase::Over));
                effects.extend(self.report(attempt, What::Ended { ending, output: String::new() }));
            }
            effects.extend(self.obey(attempt));
        }
        effects
    }

    /// Does what is wanted of a task that runs, once.
    fn obey(&mut self, attempt: Attempt) -> Option<Effect> {
        let held = self.held.get_mut(&attempt).filter(|held| held.phase == Phase::Running)?;
        let wanted = held.assignment.task.wanted.clone();
        if wanted == held.asked {
            return None;
        }
        held.asked = wanted.clone();
        match wanted {
            Wanted::Run => None,
            Wanted::Stop { reason } => self.end(attempt, Some(Ending::Stopped { reason })),
            Wanted::Resize(resize) => Some(Effect::Resize { attempt, size: resize.to, cores: resize.to_cores }),
            Wanted::Checkpoint { .. } => Some(Effect::Checkpoint { attempt }),
        }
    }

    fn started(&mut self, attempt: Attempt, result: Result<Limits, (String, bool)>, now: Timestamp) -> Vec<Effect> {
        let Some(held) = self.held.get_mut(&attempt) else { return Vec::new() };
        match (result, held.phase.clone()) {
            (Ok(limits), Phase::Starting) => {
                held.phase = Phase::Running;
                held.started_at = Some(now);
                let mut effects = self.report(attempt, What::Started { limits });
                effects.extend(self.obey(attempt));
                effects
            }
            // It was to end before it had begun.
            (Ok(_), Phase::Ending(_)) => vec![Effect::Stop { attempt, grace: self.grace(attempt) }],
            (Ok(_), Phase::Running | Phase::Over) => Vec::new(),
            (Err((reason, is_final)), _) => self.ended(attempt, Ending::NotStarted { reason, is_final }, String::new()),
        }
    }

    fn ended(&mut self, attempt: Attempt, natural: Ending, output: String) -> Vec<Effect> {
        let Some(held) = self.held.get_mut(&attempt) else { return Vec::new() };
        match std::mem::replace(&mut held.phase, Phase::Over) {
            Phase::Starting | Phase::Running => self.report(attempt, What::Ended { ending: natural, output }),
            // Done is done, whatever was wanted of it at the same moment.
            Phase::Ending(Some(_)) if natural.is_success() => {
                self.report(attempt, What::Ended { ending: natural, output })
            }
            Phase::Ending(Some(ending)) => self.report(attempt, What::Ended { ending, output }),
            Phase::Ending(None) | Phase::Over => {
                self.held.remove(&attempt);
                Vec::new()
            }
        }
    }

    fn saved(&mut self, attempt: Attempt, result: Result<Saved, String>) -> Vec<Effect> {
        let Some(held) = self.held.get(&attempt) else { return Vec::new() };
        let moves_on = match &held.asked {
            Wanted::Checkpoint { then: Then::Migrate(_) } => result.is_ok(),
            Wanted::Checkpoint { then: Then::GoOn } | Wanted::Run | Wanted::Stop { .. } | Wanted::Resize(_) => false,
        };
        let mut effects = self.report(attempt, What::Saved(result));
        effects.extend(moves_on.then(|| self.end(attempt, Some(Ending::Migrated))).flatten());
        effects
    }

    fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        if self.fence().is_some_and(|fence| fence <= now) {
            self.until = None;
            let reason = "its worker could not reach the shared table".to_owned();
            return self.end_all(Some(Ending::Lost { reason }));
        }
        let over = |held: &Held| held.time_is_over().is_some_and(|at| at <= now);
        let over: Vec<Attempt> = self.held.iter().filter(|(_, held)| over(held)).map(|(attempt, _)| *attempt).collect();
        over.into_iter().filter_map(|attempt| self.end(attempt, Some(Ending::TimeLimit))).collect()
    }

    /// When tasks have to be ended because nobody counts on this worker much longer.
    fn fence(&self) -> Option<Timestamp> {
        let margin = i64::try_from((self.lease / MARGIN).as_millis()).unwrap_or(i64::MAX);
        self.until.filter(|_| !self.is_idle()).map(|until| Timestamp(until.0 - margin))
    }

    fn end_all(&mut self, ending: Option<Ending>) -> Vec<Effect> {
        let all: Vec<Attempt> = self.held.keys().copied().collect();
        all.into_iter().filter_map(|attempt| self.end(attempt, ending.clone())).collect()
    }

    /// Ends one; `None`: nobody is to hear of it.
    fn end(&mut self, attempt: Attempt, ending: Option<Ending>) -> Option<Effect> {
        let grace = self.grace(attempt);
        let held = self.held.get_mut(&attempt)?;
        match &held.phase {
            Phase::Running => {
                held.phase = Phase::Ending(ending);
                Some(Effect::Stop { attempt, grace })
            }
            // What has not begun is stopped as soon as it has started.
            Phase::Starting | Phase::Ending(_) => {
                held.phase = Phase::Ending(ending);
                None
            }
            Phase::Over => {
                self.held.remove(&attempt);
                None
            }
        }
    }

    fn grace(&self, attempt: Attempt) -> Duration {
        self.held
            .get(&attempt)
            .map_or(Duration::ZERO, |held| Duration::from_millis(held.assignment.specification.grace_ms))
    }

    fn report(&self, attempt: Attempt, what: What) -> Vec<Effect> {
        match self.held.contains_key(&attempt) {
            true => vec![Effect::Report { attempt, what }],
            false => Vec::new(),
        }
    }
}

impl Held {
    fn new(assignment: Assignment, phase: Phase) -> Self {
        Self { assignment, phase, asked: Wanted::Run, started_at: None }
    }

    fn time_is_over(&self) -> Option<Timestamp> {
        let limit = self.assignment.specification.time_limit_ms.map(Duration::from_millis)?;
        (self.phase == Phase::Running).then_some(self.started_at? + limit)
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
