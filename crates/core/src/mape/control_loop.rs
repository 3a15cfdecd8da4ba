//! One agent's control loop: monitor, planner and executor joined. What one of them has for another goes there at once; the
//! rest is left to whoever runs the loop, actors in the real world and a simulator in virtual time. Both only carry effects out
//! and bring answers back, so the same inputs in the same order lead to the same decisions, wherever they come from.
//!
//! ```text
//!             Plan, Record, Failed            Execute
//!   monitor ----------------------> planner ----------> executor
//!      ^            Repaired         |  ^     Finished      |
//!      '-----------------------------'  '-------------------'
//! ```

use super::chance::Streams;
use super::executor::{self, Executor};
use super::monitor::{self, Monitor};
use super::planner::{self, Planner};
use super::unexpected::Unexpected;
use crate::domain::ids::AgentId;
use std::rc::Rc;

pub struct ControlLoop {
    monitor: Monitor,
    planner: Planner,
    executor: Executor,
    stopwatch: Option<Stopwatch>,
}

/// Hears when the planner begins to work and when it has ended, so that somebody who has a clock can measure it: here is none (I-2).
pub type Stopwatch = Rc<dyn Fn(Planning)>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planning {
    Begins,
    Ends,
}

/// What happens to an agent. What comes with actions is large and rare, what comes with jobs is small: so it is moved quickly.
#[derive(Clone, Debug)]
pub enum Input {
    Monitor(monitor::Input),
    Planner(planner::Input),
    Executor(Box<executor::Input>),
}

/// What an agent wants done, by the part that wants it; large where it is rare, as in [`Input`]. What the parts tell each other
/// is not among it.
#[derive(Clone, Debug)]
pub enum Effect {
    Monitor(monitor::Effect),
    Planner(Box<planner::Effect>),
    Executor(Box<executor::Effect>),
    /// An answer came that no part waited for, and none that may come late: a fault in this program. It was dropped.
    Unexpected(Unexpected),
}

impl ControlLoop {
    pub fn new(monitor: Monitor, planner: Planner) -> Self {
        Self { monitor, planner, executor: Executor::default(), stopwatch: None }
    }

    #[must_use]
    pub fn timed(mut self, stopwatch: Option<Stopwatch>) -> Self {
        self.stopwatch = stopwatch;
        self
    }

    pub fn agent(&self) -> AgentId {
        self.monitor.agent()
    }

    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The states of its machines, by their names.
    pub fn states(&self) -> [&'static str; 3] {
        [self.monitor.state(), self.planner.state(), self.executor.state()]
    }

    /// The ways that its policy's turns have taken since this was asked last, of policies that name them.
    pub fn take_arms(&mut self) -> Vec<&'static str> {
        self.planner.take_arms()
    }

    /// The effects, in the order in which they are to be performed.
    pub fn handle(&mut self, input: Input, streams: &mut Streams) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(2);
        match input {
            Input::Monitor(input) => self.monitoring(input, streams, &mut effects),
            Input::Planner(input) => self.planning(input, streams, &mut effects),
            Input::Executor(input) => self.executing(*input, streams, &mut effects),
        }
        effects
    }

    fn monitoring(&mut self, input: monitor::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        for effect in self.monitor.handle(input, &mut streams.monitor) {
            match effect {
                monitor::Effect::Plan(violation) => {
                    self.planning(planner::Input::Violated(violation), streams, effects);
                }
                monitor::Effect::Record { measurement, satisfied } => {
                    let measured = planner::Input::Measured { measurement: measurement.clone(), satisfied };
                    self.planning(measured, streams, effects);
                    effects.push(Effect::Monitor(monitor::Effect::Record { measurement, satisfied }));
                }
                monitor::Effect::Failed { node } => {
                    self.planning(planner::Input::JobFailed { node }, streams, effects);
                }
                monitor::Effect::Unexpected(what) => effects.push(Effect::Unexpected(what)),
                effect @ (monitor::Effect::Wake { .. }
                | monitor::Effect::Load
                | monitor::Effect::Run { .. }
                | monitor::Effect::RecordFailure(_)
                | monitor::Effect::Inspect { .. }
                | monitor::Effect::LeaveFeedback(_)
                | monitor::Effect::Register) => effects.push(Effect::Monitor(effect)),
            }
        }
    }

    fn planning(&mut self, input: planner::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        let decides = matches!(input, planner::Input::Violated(_) | planner::Input::Looked { .. });
        if decides {
            self.tell(Planning::Begins);
        }
        let wanted = self.planner.handle(input, &mut streams.planner);
        if decides {
            self.tell(Planning::Ends);
        }
        for effect in wanted {
            match effect {
                planner::Effect::Execute(plan) => self.executing(executor::Input::Execute(plan), streams, effects),
                planner::Effect::Repaired(repair) => {
                    self.monitoring(monitor::Input::Repaired(repair), streams, effects);
                }
                effect @ (planner::Effect::Decided(_)
                | planner::Effect::Say(_)
                | planner::Effect::Look { .. }
                | planner::Effect::Learn(_)) => effects.push(Effect::Planner(Box::new(effect))),
            }
        }
    }

    fn tell(&self, planning: Planning) {
        self.stopwatch.iter().for_each(|stopwatch| stopwatch(planning));
    }

    fn executing(&mut self, input: executor::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        for effect in self.executor.handle(input) {
            match effect {
                executor::Effect::Finished(repair) => {
                    self.planning(planner::Input::Ended(repair), streams, effects);
                }
                executor::Effect::Unexpected(what) => effects.push(Effect::Unexpected(what)),
                effect @ (executor::Effect::CheckLinks(_)
                | executor::Effect::Claim(_)
                | executor::Effect::Note(_)
                | executor::Effect::Transfer(_)
                | executor::Effect::Commit { .. }
                | executor::Effect::Abort { .. }
                | executor::Effect::Report(_)) => effects.push(Effect::Executor(Box::new(effect))),
            }
        }
    }
}
