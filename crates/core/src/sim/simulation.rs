//! A simulation to think with: step by step or until something has happened, changed by hand, and branched.

use super::agent::Agent;
use super::checkers::Violated;
use super::edit::{Edit, EditError};
use super::faults::Broken;
use super::setup::{self, Outcome, SimulationError};
use super::state::NetworkState;
use super::table::Table;
use super::world::{Listener, States, World};
use crate::clock::Clock;
use crate::config::scenario::Scenario;
use crate::domain::action::Labelled;
use crate::domain::adaptation::Adaptation;
use crate::domain::ids::AgentId;
use crate::domain::impact::Impacts;
use crate::domain::time::Timestamp;
use crate::knowledge::memory::MemoryKnowledge;
use crate::mape::control_loop::Stopwatch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a simulation begins with, besides its scenario.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// Instead of each agent's own.
    pub policy: Option<&'a str>,
    /// The source of all chance.
    pub seed: u64,
    /// What is there already; without it the scenario says where the data lies.
    pub state: Option<&'a NetworkState>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// A job has shown that all agents are content, and nobody acts.
    Converged,
    /// A job of this agent, or of any, missed its goal or failed.
    Missed(Option<AgentId>),
    /// An action was begun.
    Acted,
    /// A job of this agent, or of any, has ended, whatever it came to.
    Job(Option<AgentId>),
    /// Nothing is under way of what agents were ordered to do.
    Adapted,
}

/// A network in virtual time that goes on as far as it is asked to.
///
/// ```
/// # use agent_core::config::{Vocabulary, scenario};
/// # use agent_core::domain::ids::NodeId;
/// # use agent_core::domain::time::Timestamp;
/// # use agent_core::domain::units::Percent;
/// # use agent_core::sim::{Edit, Figures, Simulation, Start, Until};
/// # use std::path::Path;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/scenarios/published.toml");
/// # let vocabulary = Vocabulary { policies: &agent_core::mape::planner::POLICIES, expression: |_| Ok(()) };
/// let scenario = scenario::load(&file, &vocabulary)?;
/// let mut trunk = Simulation::new(&scenario, Start { seed: 7, ..Start::default() })?;
/// let an_hour = Timestamp(3_600_000);
/// assert!(trunk.run_until(Until::Converged, an_hour, |_| {})?);
///
/// // What if node 3 were up half of the time from now on?
/// let mut branch = trunk.branch()?;
/// branch.edit(Edit::Availability { node: NodeId(3), availability: Percent::new(50.0).unwrap() })?;
/// trunk.run(an_hour, |_| {})?;
/// branch.run(an_hour, |_| {})?;
/// let [without, with] = [&trunk, &branch].map(|it| Figures::new(it.scenario(), &it.outcome()));
/// assert!(with.actions >= without.actions);
/// # Ok(())
/// # }
/// ```
pub struct Simulation<'a> {
    start: Start<'a>,
    world: World<'a>,
    /// Happenings so far.
    happened: u64,
    edits: Vec<Edited>,
}

/// An edit, and when it was made: that many happenings after the start, at this time.
#[derive(Clone, Debug)]
struct Edited {
    happened: u64,
    at: Timestamp,
    edit: Edit,
}

fn adaptation(agent: &Agent) -> Option<&Adaptation> {
    agent.control_loop.as_ref()?.adaptation()
}

/// The end of time, for what has no other end.
const NEVER: Timestamp = Timestamp(i64::MAX);

impl<'a> Simulation<'a> {
    /// At its very start. Rejected when there is no such policy.
    pub fn new(scenario: &'a Scenario, start: Start<'a>) -> Result<Self, SimulationError> {
        Self::timed(scenario, start, None)
    }

    /// With a stopwatch around every planner's work. Branches have none.
    pub fn timed(
        scenario: &'a Scenario,
        start: Start<'a>,
        stopwatch: Option<Stopwatch>,
    ) -> Result<Self, SimulationError> {
        let world = setup::world(scenario, start, stopwatch)?;
        Ok(Self { start, world, happened: 0, edits: Vec::new() })
    }

    /// From now on this hears of all that happens, instead of who did before.
    pub fn listen(&mut self, listener: Option<Listener<'a>>) {
        self.world.tell_to(listener);
    }

    /// Counts from now on in which states machines are and which ways they take, for [`Self::states`].
    pub fn count_states(&mut self) {
        self.world.states = Some(States::new());
    }

    /// How often machines were in each of their states, and took each of their ways, since somebody wanted to know.
    pub fn states(&self) -> States {
        self.world.states.clone().unwrap_or_default()
    }

    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Virtual time, for others that live in it.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.world.clock.clone()
    }

    /// The shared table, for somebody who looks on while the simulation goes on: that leaves no trace. What is changed through it,
    /// agents see as they see any change; branches do not know of it. Jobs are not in it: they are told to whoever
    /// [listens](Self::listen).
    pub fn table(&self) -> MemoryKnowledge {
        self.world.table.for_observer()
    }

    /// With the goals that agents have by now.
    pub fn scenario(&self) -> &Scenario {
        self.world.present()
    }

    /// The changes by hand so far, oldest first.
    pub fn edits(&self) -> impl Iterator<Item = (Timestamp, &Edit)> {
        self.edits.iter().map(|edited| (edited.at, &edited.edit))
    }

    /// The agents that run now.
    pub fn running(&self) -> impl Iterator<Item = AgentId> {
        self.world.agents.iter().filter(|agent| agent.control_loop.is_some()).map(Agent::id)
    }

    /// What edits broke and none has mended.
    pub fn broken_by_hand(&self) -> &[Broken] {
        &self.world.broken_by_hand
    }

    /// Lets the next thing happen and says when it was; `None` when nothing can happen any more.
    pub fn step(&mut self) -> Result<Option<Timestamp>, SimulationError> {
        self.next(NEVER).map_err(SimulationError::from)
    }

    /// Lets everything happen up to `end`, which it is then. `watch` is called now and then, for progress.
    pub fn run(&mut self, end: Timestamp, watch: impl FnMut(Timestamp)) -> Result<(), SimulationError> {
        self.go_on(end, watch, |_| false).map(|_| ())
    }

    /// Lets everything happen until what is waited for is so, and says whether it was by `end`.
    pub fn run_until(
        &mut self,
        until: Until,
        end: Timestamp,
        watch: impl FnMut(Timestamp),
    ) -> Result<bool, SimulationError> {
        match until {
            Until::Converged => self.go_on(end, watch, |world| {
                // Only a job can show it.
                world.measured && world.has_converged()
            }),
            Until::Missed(None) => {
                let before = self.world.missed;
                self.go_on(end, watch, |world| world.missed > before)
            }
            Until::Missed(Some(agent)) => {
                let slot = self.position(agent)?;
                let missed = move |world: &World| world.agents[slot].tally.violated + world.agents[slot].tally.failed;
                let before = missed(&self.world);
                self.go_on(end, watch, |world| missed(world) > before)
            }
            Until::Acted => {
                let before = self.world.actions;
                self.go_on(end, watch, |world| world.actions > before)
            }
            Until::Job(agent) => {
                let slots = match agent {
                    Some(agent) => self.position(agent)?..self.position(agent)? + 1,
                    None => 0..self.world.agents.len(),
                };
                let ended = move |world: &World| -> u64 {
                    world.agents[slots.clone()].iter().map(|slot| slot.tally.jobs + slot.tally.failed).sum()
                };
                let before = ended(&self.world);
                self.go_on(end, watch, |world| ended(world) > before)
            }
            Until::Adapted => {
                let is_over = |world: &World| world.agents.iter().filter_map(adaptation).all(|it| it.status.is_over());
                if is_over(&self.world) { Ok(true) } else { self.go_on(end, watch, is_over) }
            }
        }
    }

    fn position(&self, agent: AgentId) -> Result<usize, EditError> {
        self.world.position(agent)
    }

    /// The latest that an agent was ordered to do; `None` when it does not run, or was ordered nothing since it began to.
    pub fn adaptation(&self, agent: AgentId) -> Option<&Adaptation> {
        adaptation(&self.world.agents[self.position(agent).ok()?])
    }

    /// What an agent can be ordered to do now, and what it expects of that where it knows something; nothing while it does not run.
    pub fn options(&mut self, agent: AgentId) -> Result<BTreeMap<Labelled, Option<Impacts>>, EditError> {
        let slot = self.position(agent)?;
        let snapshots = self.world.load(slot).map_err(EditError::Refused)?;
        let running = self.world.agents[slot].control_loop.as_ref();
        Ok(running.map(|it| it.options(&snapshots)).unwrap_or_default())
    }

    fn go_on(
        &mut self,
        end: Timestamp,
        mut watch: impl FnMut(Timestamp),
        is_reached: impl Fn(&World) -> bool,
    ) -> Result<bool, SimulationError> {
        const WATCH_EVERY: u64 = 1 << 14;
        while let Some(at) = self.next(end)? {
            if self.happened.is_multiple_of(WATCH_EVERY) {
                watch(at);
            }
            if is_reached(&self.world) {
                return Ok(true);
            }
        }
        self.world.clock.set(end.max(self.now()));
        Ok(false)
    }

    fn next(&mut self, end: Timestamp) -> Result<Option<Timestamp>, Violated> {
        let at = self.world.next(end)?;
        self.happened += u64::from(at.is_some());
        Ok(at)
    }

    /// Lets it last so long, or until it has converged if that comes first, and says what it came to.
    pub fn finish(
        mut self,
        lasts: Duration,
        until_converged: bool,
        watch: impl FnMut(Timestamp),
    ) -> Result<Outcome, SimulationError> {
        let end = self.now() + lasts;
        match until_converged {
            true => _ = self.run_until(Until::Converged, end, watch)?,
            false => self.run(end, watch)?,
        }
        Ok(self.world.outcome(Table::settled))
    }

    /// Changes something now. Refused as a whole when it makes no sense.
    pub fn edit(&mut self, edit: Edit) -> Result<(), EditError> {
        self.world.edit(&edit)?;
        self.edits.push(Edited { happened: self.happened, at: self.now(), edit });
        Ok(())
    }

    /// An independent simulation that is where this one is, and goes on from there as this one would: with the same chance.
    /// Nobody listens to it yet.
    ///
    /// It is not copied but run again from the start, with the same edits at the same places. What follows from the scenario and
    /// the seed alone (I-3) comes out the same to the byte, and no machine, policy or table has to know how to be copied, nor
    /// can forget a part that both would share then. It takes as long as this one took so far.
    pub fn branch(&self) -> Result<Self, SimulationError> {
        self.branch_heard(|| None)
    }

    /// The same; `listener` hears of all that has happened before, too.
    pub fn branch_heard(&self, listener: impl FnOnce() -> Option<Listener<'a>>) -> Result<Self, SimulationError> {
        let mut branch = Self::new(self.world.scenario, self.start)?;
        branch.listen(listener());
        for Edited { happened, at, edit } in &self.edits {
            branch.replay(*happened, *at)?;
            branch.edit(edit.clone())?;
        }
        branch.replay(self.happened, self.now())?;
        Ok(branch)
    }

    /// On to where another one was with as many happenings.
    fn replay(&mut self, happened: u64, at: Timestamp) -> Result<(), SimulationError> {
        while self.happened < happened && self.step()?.is_some() {}
        self.world.clock.set(at);
        Ok(())
    }

    /// How it stands. Looking changes nothing; others' signs of life in it may be a little older than they are.
    pub fn outcome(&self) -> Outcome {
        self.world.outcome(Table::seen)
    }
}
