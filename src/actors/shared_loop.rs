//! The agent's control loop as its actors share it: all of them run on one thread, and give it one input at a time.

use super::controls::Consulted;
use super::world::World;
use super::{Parts, Step};
use actix::prelude::*;
use agent_core::domain::snapshot::Snapshot;
use agent_core::mape::chance::Streams;
use agent_core::mape::control_loop::{ControlLoop, Effect, Input, Planning, Stopwatch};
use agent_core::mape::planner::Rng;
use agent_core::mape::{executor, monitor, planner};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// Do these, in this order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Perform<E>(pub Vec<E>);

/// Who performs the effects of which part.
pub struct Performers {
    pub monitor: Recipient<Perform<monitor::Effect>>,
    pub planner: Recipient<Perform<planner::Effect>>,
    pub executor: Recipient<Perform<executor::Effect>>,
}

/// What an input leads to, by who performs it.
#[derive(Default)]
pub struct Wanted {
    pub monitor: Vec<monitor::Effect>,
    pub planner: Vec<planner::Effect>,
    pub executor: Vec<executor::Effect>,
}

pub struct SharedLoop {
    control_loop: RefCell<ControlLoop>,
    streams: RefCell<Streams>,
    performers: Performers,
    world: Arc<World>,
}

/// Tells what planning takes.
fn stopwatch(world: &Arc<World>) -> Stopwatch {
    let (world, began) = (world.clone(), Cell::new(None));
    Rc::new(move |planning| match planning {
        Planning::Begins => began.set(Some(Instant::now())),
        Planning::Ends => began.take().into_iter().for_each(|began: Instant| world.deciding.took(began.elapsed())),
    })
}

impl SharedLoop {
    pub fn new(parts: &Parts, streams: Streams, performers: Performers, world: Arc<World>) -> Self {
        let Parts { parameters, policy, experiences, rhythm, .. } = parts;
        let life = world.identity.life.to_string();
        let control_loop = ControlLoop::new(parameters, policy, rhythm.clone(), &life, experiences.clone());
        let control_loop = control_loop.timed(Some(stopwatch(&world)));
        Self { control_loop: RefCell::new(control_loop), streams: RefCell::new(streams), performers, world }
    }

    /// Gives the loop an input. The effects that the caller performs are returned, those of others are sent to them.
    pub fn handle<E>(&self, input: Input, own: impl FnOnce(&mut Wanted) -> &mut Vec<E>) -> Vec<E> {
        let mut wanted = self.wanted(input);
        let performed = std::mem::take(own(&mut wanted));
        self.send(wanted);
        performed
    }

    /// Gives the loop an input from somebody who performs nothing.
    pub fn give(&self, input: Input) {
        let wanted = self.wanted(input);
        self.send(wanted);
    }

    fn send(&self, wanted: Wanted) {
        self.deliver(&self.performers.monitor, wanted.monitor);
        self.deliver(&self.performers.planner, wanted.planner);
        self.deliver(&self.performers.executor, wanted.executor);
    }

    fn wanted(&self, input: Input) -> Wanted {
        let seen = self.world.observer.as_ref().map(|observer| (observer, input.clone()));
        let effects = self.control_loop.borrow_mut().handle(input, &mut self.streams.borrow_mut());
        if let Some((observer, input)) = seen {
            observer.stepped(&self.world.identity.life, Step { input, effects: effects.clone() });
        }
        let mut wanted = Wanted::default();
        for effect in effects {
            match effect {
                Effect::Monitor(effect) => wanted.monitor.push(effect),
                Effect::Planner(effect) => wanted.planner.push(*effect),
                Effect::Executor(effect) => wanted.executor.push(*effect),
                Effect::Unexpected(what) => self.world.unexpected(&what),
            }
        }
        wanted
    }

    /// At most one message for each input. An agent whose parts cannot hear each other must not look alive.
    fn deliver<E: Send + 'static>(&self, to: &Recipient<Perform<E>>, effects: Vec<E>) {
        if effects.is_empty() {
            return;
        }
        if let Err(error) = to.try_send(Perform(effects)) {
            tracing::error!(%error, agent = %self.world.agent, "a part of this agent does not listen any more");
            self.world.must_end(super::Over::Deaf);
        }
    }

    pub fn consult(&self, snapshots: &[Snapshot]) -> Consulted {
        let control_loop = self.control_loop.borrow();
        Consulted { options: control_loop.options(snapshots), adaptation: control_loop.adaptation().cloned() }
    }

    pub fn is_converged(&self) -> bool {
        self.control_loop.borrow().monitor().is_converged()
    }

    /// No action is under way.
    pub fn is_idle(&self) -> bool {
        self.control_loop.borrow().executor().is_idle()
    }

    /// It can be given something else to pursue.
    pub fn is_at_rest(&self) -> bool {
        self.control_loop.borrow().is_at_rest()
    }

    /// Its policy looks at the table between jobs.
    pub fn looks(&self) -> bool {
        self.control_loop.borrow().looks()
    }

    pub fn is_transferring(&self) -> bool {
        self.control_loop.borrow().executor().is_transferring()
    }

    /// Draws from the stream of the links' latencies, which does not depend on what is decided.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.streams.borrow_mut().links)
    }
}
