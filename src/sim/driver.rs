//! One agent's machines, joined as its actors join them: what a machine has for another one goes there at once, the rest is
//! left to the world.

use crate::domain::ids::AgentId;
use crate::mape::chance::Streams;
use crate::mape::executor::{self, Executor};
use crate::mape::learner::Lesson;
use crate::mape::monitor::{self, Monitor, Repair, Violation};
use crate::mape::planner::{Decision, Planner};

pub struct Driver {
    monitor: Monitor,
    planner: Planner,
    executor: Executor,
}

/// What happens to an agent.
#[derive(Clone, Debug)]
// One at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
pub enum Input {
    Monitor(monitor::Input),
    Executor(executor::Input),
}

/// What an agent wants done.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Effect {
    Monitor(monitor::Effect),
    Executor(executor::Effect),
    /// For people; its plan follows.
    Decided(Decision),
    Learn(Lesson),
}

impl Driver {
    pub fn new(monitor: Monitor, planner: Planner) -> Self {
        Self { monitor, planner, executor: Executor::default() }
    }

    pub fn agent(&self) -> AgentId {
        self.monitor.agent()
    }

    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The effects, in the order in which they are to be performed.
    pub fn handle(&mut self, input: Input, streams: &mut Streams) -> Vec<Effect> {
        let mut effects = Vec::with_capacity(2);
        match input {
            Input::Monitor(input) => self.monitoring(input, streams, &mut effects),
            Input::Executor(input) => self.executing(input, streams, &mut effects),
        }
        effects
    }

    fn monitoring(&mut self, input: monitor::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        for effect in self.monitor.handle(input, &mut streams.monitor) {
            match effect {
                monitor::Effect::Plan(violation) => self.planning(&violation, streams, effects),
                monitor::Effect::Record { measurement, satisfied } => {
                    effects.extend(self.planner.measured(&measurement).map(Effect::Learn));
                    effects.push(Effect::Monitor(monitor::Effect::Record { measurement, satisfied }));
                }
                effect => effects.push(Effect::Monitor(effect)),
            }
        }
    }

    fn planning(&mut self, violation: &Violation, streams: &mut Streams, effects: &mut Vec<Effect>) {
        match self.planner.violated(violation, &mut streams.planner) {
            Some(judged) => {
                effects.push(Effect::Decided(judged.decision));
                self.executing(executor::Input::Execute(judged.plan), streams, effects);
            }
            None => self.monitoring(monitor::Input::Repaired(Repair::Lost), streams, effects),
        }
    }

    fn executing(&mut self, input: executor::Input, streams: &mut Streams, effects: &mut Vec<Effect>) {
        for effect in self.executor.handle(input) {
            match effect {
                executor::Effect::Finished(repair) => {
                    self.planner.ended(repair);
                    self.monitoring(monitor::Input::Repaired(repair), streams, effects);
                }
                effect => effects.push(Effect::Executor(effect)),
            }
        }
    }
}
