//! One agent's machines, joined as its actors join them: what a machine has for another one goes there at once, the rest is
//! left to the world.

use crate::domain::ids::AgentId;
use crate::mape::chance::Streams;
use crate::mape::executor::{self, Executor};
use crate::mape::learner::Lesson;
use crate::mape::monitor::{self, Monitor};
use crate::mape::planner::{self, Decision, Message, Planner};
use std::rc::Rc;
use std::time::Duration;

pub struct Driver {
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
    Executor(Box<executor::Input>),
    Planner(planner::Input),
}

/// What an agent wants done; large where it is rare, as in [`Input`].
#[derive(Clone, Debug)]
pub enum Effect {
    Monitor(monitor::Effect),
    Executor(Box<executor::Effect>),
    /// For people; its plan follows.
    Decided(Box<Decision>),
    Learn(Box<Lesson>),
    Say(Box<Message>),
    /// Show it the table after this at the latest.
    Look {
        after: Duration,
    },
}

impl Driver {
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

    /// The states of its machines, by their names.
    pub fn states(&self) -> [&'static str; 2] {
        [self.monitor.state(), self.executor.state()]
    }

    /// The effects, in the order in which they are to be performed.
    pub fn handle(&mut self, input: Input, streams: &mut Streams) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(2);
        match input {
            Input::Monitor(input) => self.monitoring(input, streams, &mut effects),
            Input::Executor(input) => self.executing(*input, streams, &mut effects),
            Input::Planner(input) => self.planning(input, streams, &mut effects),
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
                effect => effects.push(Effect::Monitor(effect)),
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
                planner::Effect::Decided(decision) => effects.push(Effect::Decided(Box::new(decision))),
                planner::Effect::Execute(plan) => self.executing(executor::Input::Execute(plan), streams, effects),
                planner::Effect::Repaired(repair) => {
                    self.monitoring(monitor::Input::Repaired(repair), streams, effects);
                }
                planner::Effect::Learn(lesson) => effects.push(Effect::Learn(Box::new(lesson))),
                planner::Effect::Say(message) => effects.push(Effect::Say(Box::new(message))),
                planner::Effect::Look { after } => effects.push(Effect::Look { after }),
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
                effect => effects.push(Effect::Executor(Box::new(effect))),
            }
        }
    }
}
