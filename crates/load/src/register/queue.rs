//! Experiments come, are claimed, run and end, or are called off.

use super::experiment::{Claim as Held, Experiment, ExperimentId, Files, Holder, State};
use super::{Refused, Register, Request, Scope, Which};
use crate::steering::Selection;
use agent_core::domain::time::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// So many experiments are not over at once.
pub const QUEUED_MAX: usize = 1_000;
/// All files of an experiment together \[bytes\]: less than what any server takes in one statement.
pub const FILES_MAX: usize = 4 << 20;
/// An experiment of which so many holders were lost is not begun again: it may be what ends them.
pub const LOST_MAX: u32 = 3;

/// An experiment is to be run. Whether its files say one is checked before.
#[derive(Clone)]
pub struct Enqueue {
    /// The same key again is the same experiment.
    pub key: String,
    pub name: String,
    /// The name of that of its files that says it.
    pub file: String,
    pub files: Files,
    /// The load hosts that send it; `None`: whoever runs it does.
    pub on: Option<Selection>,
    pub by: String,
}

impl Request for Enqueue {
    const OPERATION: &'static str = "queue";
    type Answer = Experiment;

    fn scope(&self) -> Scope {
        Scope { experiments: Which::All, key: Some(self.key.clone()), ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<Experiment, Refused> {
        if let Some(known) = register.experiments.values().find(|experiment| experiment.key == self.key) {
            return Ok(known.clone());
        }
        let bytes: usize = self.files.values().map(String::len).sum();
        if bytes > FILES_MAX {
            let problem = format!("it has {bytes} bytes with its recordings, and at most {FILES_MAX} are kept");
            return Err(Refused(format!(
                "{problem}; shorten the recordings, or run it where they are: `agent load run`"
            )));
        }
        if register.experiments.values().filter(|experiment| !experiment.state.is_over()).count() >= QUEUED_MAX {
            let problem = format!("{QUEUED_MAX} experiments wait already");
            return Err(Refused(format!("{problem}; let `agent load daemon` run them, or cancel some")));
        }
        let id = ExperimentId(register.settings.last_experiment + 1);
        let experiment = Experiment {
            id,
            key: self.key.clone(),
            name: self.name.clone(),
            file: self.file.clone(),
            on: self.on.clone(),
            state: State::Queued,
            queued_by: self.by.clone(),
            queued_at: register.now,
            claim: None,
            cancelled_by: None,
            begun: 0,
            lost: 0,
            started_at: None,
            ended_at: None,
            summary: None,
            reason: None,
        };
        register.settings.last_experiment = id.0;
        register.changed.settings = true;
        register.changed.files.insert(id, self.files.clone());
        register.changed.experiments.insert(id);
        register.experiments.insert(id, experiment.clone());
        Ok(experiment)
    }
}

/// Whoever runs experiments wants the oldest one that nobody holds.
#[derive(Clone)]
pub struct Claim {
    pub holder: Holder,
    /// This one alone, if nobody holds it; `None`: whichever.
    pub only: Option<ExperimentId>,
    pub lease: Duration,
}

impl Request for Claim {
    const OPERATION: &'static str = "claim";
    /// Held from now on; `None`: there is none. Who holds one already is given that.
    type Answer = Option<Experiment>;

    fn scope(&self) -> Scope {
        Scope { experiments: Which::All, ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<Option<Experiment>, Refused> {
        let now = register.now;
        let is_its = |it: &&Experiment| it.is_held(now) && it.is_of(&self.holder);
        if let Some(held) = register.experiments.values().find(is_its) {
            return Ok(Some(held.clone()));
        }
        let is_meant = |it: &&Experiment| self.only.is_none_or(|only| it.id == only);
        let free = register.experiments.values().filter(is_meant).filter(|it| !it.state.is_over() && !it.is_held(now));
        for id in free.map(|it| it.id).collect::<Vec<_>>() {
            register.change(id, forget_lost);
            if register.experiments.get(&id).is_some_and(|it| it.state == State::Queued) {
                register.change(id, |it, now| it.begin(self.holder.clone(), now + self.lease, now));
                return Ok(register.experiments.get(&id).cloned());
            }
        }
        Ok(None)
    }
}

/// Whoever held it was not heard of any more: it waits again, unless it was called off, or has lost too many.
fn forget_lost(it: &mut Experiment, now: Timestamp) {
    if it.state != State::Running {
        return;
    }
    it.lost += 1;
    let holder = it.claim.as_ref().map(|claim| claim.holder.to_string()).unwrap_or_default();
    if let Some(by) = it.cancelled_by.clone() {
        it.end(
            State::Cancelled,
            Some(format!("cancelled by {by}; {holder}, who ran it, was not heard of any more")),
            now,
        );
    } else if it.lost >= LOST_MAX {
        let reason =
            format!("{} who ran it were not heard of any more, {holder} the last; it may be what ends them", it.lost);
        it.end(State::Failed, Some(reason), now);
    } else {
        it.state = State::Queued;
        it.reason = Some(format!("begun anew: {holder}, who ran it, was not heard of any more"));
    }
}

impl Experiment {
    fn begin(&mut self, holder: Holder, until: Timestamp, now: Timestamp) {
        self.state = State::Running;
        self.claim = Some(Held { holder, until });
        self.begun += 1;
        self.started_at = Some(now);
    }

    fn end(&mut self, state: State, reason: Option<String>, now: Timestamp) {
        self.state = state;
        self.ended_at = Some(now);
        self.reason = reason.or(self.reason.take());
    }
}

/// What whoever runs an experiment has to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    GoesOn,
    /// It is to end.
    Cancelled,
    /// It is not this holder's any more.
    Lost,
}

/// Of an experiment as it was looked at; `None`: it is not there.
pub fn standing(experiment: Option<&Experiment>, holder: &Holder) -> Standing {
    match experiment.filter(|it| it.state == State::Running && it.is_of(holder)) {
        None => Standing::Lost,
        Some(it) if it.cancelled_by.is_some() => Standing::Cancelled,
        Some(_) => Standing::GoesOn,
    }
}

/// Whoever runs it is there.
#[derive(Clone)]
pub struct Renew {
    pub id: ExperimentId,
    pub holder: Holder,
    pub lease: Duration,
}

impl Request for Renew {
    const OPERATION: &'static str = "renew";
    type Answer = Standing;

    fn scope(&self) -> Scope {
        Scope::of_experiment(self.id)
    }

    fn apply(&self, register: &mut Register) -> Result<Standing, Refused> {
        let standing = standing(register.experiments.get(&self.id), &self.holder);
        if standing != Standing::Lost {
            let claim = Held { holder: self.holder.clone(), until: register.now + self.lease };
            register.change(self.id, |it, _| it.claim = Some(claim));
        }
        Ok(standing)
    }
}

/// How an experiment that was run ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Ending {
    Finished {
        summary: Value,
    },
    /// Before its time, because it was called off.
    Stopped {
        summary: Value,
    },
    /// It could not be run.
    Failed {
        reason: String,
    },
}

/// Whoever runs it says how it ended.
#[derive(Clone)]
pub struct End {
    pub id: ExperimentId,
    pub holder: Holder,
    pub ending: Ending,
}

impl Request for End {
    const OPERATION: &'static str = "end";
    /// `false`: it was not this holder's any more, and stays as it is.
    type Answer = bool;

    fn scope(&self) -> Scope {
        Scope::of_experiment(self.id)
    }

    fn apply(&self, register: &mut Register) -> Result<bool, Refused> {
        let experiment = register.experiment(self.id)?;
        if !experiment.is_of(&self.holder) || experiment.state == State::Queued {
            return Ok(false);
        }
        if experiment.state == State::Running {
            register.change(self.id, |it, now| match self.ending.clone() {
                Ending::Finished { summary } => {
                    it.summary = Some(summary);
                    it.end(State::Finished, None, now);
                }
                Ending::Stopped { summary } => {
                    it.summary = Some(summary);
                    it.end(State::Cancelled, it.cancelled_by.as_ref().map(|by| format!("cancelled by {by}")), now);
                }
                Ending::Failed { reason } => it.end(State::Failed, Some(reason), now),
            });
        }
        Ok(true)
    }
}

/// Whoever runs it will not go on: another may.
#[derive(Clone)]
pub struct GiveBack {
    pub id: ExperimentId,
    pub holder: Holder,
}

impl Request for GiveBack {
    const OPERATION: &'static str = "give back";
    /// What it is now.
    type Answer = State;

    fn scope(&self) -> Scope {
        Scope::of_experiment(self.id)
    }

    fn apply(&self, register: &mut Register) -> Result<State, Refused> {
        let experiment = register.experiment(self.id)?;
        if experiment.state == State::Running && experiment.is_of(&self.holder) {
            register.change(self.id, |it, now| match it.cancelled_by.clone() {
                Some(by) => it.end(State::Cancelled, Some(format!("cancelled by {by}")), now),
                None => {
                    it.state = State::Queued;
                    it.claim = None;
                    it.reason = Some(format!("begun anew: {}, who ran it, was stopped", self.holder));
                }
            });
        }
        register.experiment(self.id).map(|it| it.state)
    }
}

/// It is not to be run any more, or not to its end.
#[derive(Clone)]
pub struct Cancel {
    pub id: ExperimentId,
    pub by: String,
}

impl Request for Cancel {
    const OPERATION: &'static str = "cancel";
    /// What it is now: over, unless somebody has to stop it first.
    type Answer = State;

    fn scope(&self) -> Scope {
        Scope::of_experiment(self.id)
    }

    fn apply(&self, register: &mut Register) -> Result<State, Refused> {
        let experiment = register.experiment(self.id)?;
        match experiment.state {
            State::Queued | State::Running => {
                let is_held = experiment.is_held(register.now);
                register.change(self.id, |it, now| {
                    let by = it.cancelled_by.get_or_insert_with(|| self.by.clone()).clone();
                    if !is_held {
                        it.end(State::Cancelled, Some(format!("cancelled by {by}")), now);
                    }
                });
            }
            // Once more is no error.
            State::Cancelled => {}
            State::Finished | State::Failed => {
                let problem = format!("experiment {} {} already", self.id, experiment.state.said());
                return Err(Refused(format!("{problem}; only what waits or runs can be cancelled")));
            }
        }
        register.experiment(self.id).map(|it| it.state)
    }
}
