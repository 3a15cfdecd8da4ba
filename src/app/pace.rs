//! How fast a simulation goes on that people watch: at any speed, paused, or step by step.

use super::interactive::failed_job;
use agent_core::domain::time::Timestamp;
use agent_core::knowledge::Knowledge as _;
use agent_core::mape::notice::Notice;
use agent_core::sim::{Listener, Simulation, Told, Until};
use futures::FutureExt as _;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Seconds of virtual time in one on the wall, at first.
pub const AT_FIRST: f64 = 60.0;
/// The fastest that can be asked for.
pub const FASTEST: f64 = 100_000.0;

/// How often virtual time goes on, on the wall.
const TICK: Duration = Duration::from_millis(20);
/// So many steps may wait to be made.
const STEPS: usize = 100;

/// What one step goes on to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Until(Until),
    /// So much later.
    For(Duration),
}

/// How a simulation stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Standing {
    pub now: Timestamp,
    pub end: Timestamp,
    pub speed: f64,
    pub paused: bool,
}

impl Standing {
    pub fn has_ended(&self) -> bool {
        self.now >= self.end
    }
}

/// Shared by who watches and who simulates.
pub struct Pace {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    standing: Standing,
    steps: VecDeque<Step>,
    stopped: bool,
}

enum Next {
    Step(Step),
    /// Virtual time goes on at this speed.
    GoOn(f64),
    Wait,
    Stop,
}

impl Pace {
    pub fn new(end: Timestamp) -> Self {
        let standing = Standing { now: Timestamp::default(), end, speed: AT_FIRST, paused: false };
        Self { state: Mutex::new(State { standing, steps: VecDeque::new(), stopped: false }), changed: Condvar::new() }
    }

    pub fn standing(&self) -> Standing {
        self.state().standing
    }

    pub fn set(&self, speed: Option<f64>, paused: Option<bool>) {
        let mut state = self.state();
        state.standing.speed = speed.unwrap_or(state.standing.speed);
        state.standing.paused = paused.unwrap_or(state.standing.paused);
        self.changed.notify_all();
    }

    /// Pauses, and makes one step more. `false`: so many wait that this one is not taken.
    pub fn step(&self, step: Step) -> bool {
        let mut state = self.state();
        state.standing.paused = true;
        let room = state.steps.len() < STEPS;
        if room {
            state.steps.push_back(step);
        }
        self.changed.notify_all();
        room
    }

    /// Ends [`Self::drive`].
    pub fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    /// Lets the simulation go on until it is told to stop; what it comes to its end with stays to be seen.
    pub fn drive(&self, simulation: &mut Simulation) -> anyhow::Result<()> {
        let end = self.standing().end;
        let mut last = Instant::now();
        loop {
            let passed = last.elapsed();
            last = Instant::now();
            match self.next(simulation.now()) {
                Next::Stop => return Ok(()),
                Next::Wait => {}
                Next::GoOn(speed) => {
                    let to = simulation.now() + passed.mul_f64(speed);
                    simulation.run(to.min(end), |_| {})?;
                }
                Next::Step(Step::For(time)) => simulation.run((simulation.now() + time).min(end), |_| {})?,
                Next::Step(Step::Until(until)) => _ = simulation.run_until(until, end, |_| {})?,
            }
        }
    }

    fn next(&self, now: Timestamp) -> Next {
        let mut state = self.state();
        state.standing.now = now;
        if state.steps.is_empty() && !state.stopped {
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        match state.steps.pop_front() {
            _ if state.stopped => Next::Stop,
            Some(step) => Next::Step(step),
            None if state.standing.paused || state.standing.has_ended() => Next::Wait,
            None => Next::GoOn(state.standing.speed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes every job in the simulation's table, where people look for it.
pub fn noting_jobs<'a>(simulation: &Simulation) -> Listener<'a> {
    let table = simulation.table();
    let scenario = simulation.scenario();
    let data_sets: BTreeMap<_, _> =
        scenario.agents.iter().map(|(id, agent)| (*id, agent.data_sets[0].clone())).collect();
    Box::new(move |at, told: &Told| {
        let (measurement, satisfied) = match told {
            Told::Notice(Notice::Job { measurement, satisfied, .. }) => (measurement.clone(), *satisfied),
            Told::Notice(Notice::JobFailed { agent, node, failure }) => {
                (failed_job(*agent, data_sets.get(agent), *node, at, failure.clone()), false)
            }
            Told::Notice(_) | Told::World(_) | Told::Placed(_) => return,
        };
        // A table in memory answers at once; what it refuses is not shown.
        let noted = table.record(&measurement, satisfied).now_or_never();
        if let Some(Err(error)) = noted {
            tracing::warn!(%error, "a job is not shown");
        }
    })
}
