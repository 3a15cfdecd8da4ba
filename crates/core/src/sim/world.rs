//! The world in virtual time: what happens next, to whom, and what it changes.

use super::agent::{Agent, Job, Part, Transfer};
use super::checkers::{Checkers, Violated};
use super::clairvoyant::Oracle;
use super::events::Agenda;
use super::faults::{Broken, Damage, Faults};
use super::perform::transfer_failed;
use super::physics;
use super::setup::VALIDATED;
use super::shelf::Shelf;
use super::stores::Stores;
use super::table::{Table, ready};
use crate::clock::{Clock as _, VirtualClock};
use crate::config::scenario::{Change, Links, Moment, Scenario};
use crate::domain::event::Outcome;
use crate::domain::failure::{FailureKind, JobFailure};
use crate::domain::ids::{AgentId, DataSetName, NodeId};
use crate::domain::impact::Impacts;
use crate::domain::placement::Health;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::knowledge::{ClosingRule, Knowledge as _};
use crate::mape::control_loop::Input;
use crate::mape::notice::Notice;
use crate::mape::planner::upkeep;
use crate::mape::prediction::next_to_probe;
use crate::mape::{monitor, planner};
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What is to happen; agents by their position, with the life or the work that it was arranged in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    Starts {
        agent: usize,
    },
    Wakes {
        agent: usize,
        life: u32,
    },
    JobEnds {
        agent: usize,
        number: u64,
    },
    TransferEnds {
        agent: usize,
        number: u64,
    },
    Renews {
        agent: usize,
        number: u64,
    },
    Looks {
        agent: usize,
        life: u32,
    },
    Duties {
        agent: usize,
        life: u32,
    },
    /// Windows that are due, by the rules of the published system.
    Closes {
        agent: usize,
        life: u32,
    },
    Changes {
        change: usize,
    },
    Breaks {
        fault: usize,
    },
    /// A fault that waited for what this agent does.
    Hits {
        fault: usize,
        agent: usize,
    },
    Mends {
        fault: usize,
        broken: Broken,
    },
    /// Everything has had its time to heal.
    IsHealed,
    /// The owner of a data set.
    Writes {
        shelf: usize,
    },
    OracleIsAsked,
    OraclePlaces {
        number: u64,
    },
}

/// Of machines, with how often they were seen in each; and the ways that turns of policies that name them have taken.
pub type States = BTreeMap<&'static str, u64>;

/// Told what happens, for people.
pub type Tell<'a> = &'a mut dyn FnMut(Timestamp, &Told);

/// The same, of one that belongs to the simulation that it listens to.
pub type Listener<'a> = Box<dyn FnMut(Timestamp, &Told) + 'a>;

/// A line of the trace.
// One at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// What an agent says, as a real one does.
    Notice(Notice),
    /// What the scenario does.
    World(String),
    /// The table and the stores as they are, after something in them may have changed; the notice of an action comes just before.
    Placed(Snapshot),
}

pub(super) struct World<'a> {
    pub scenario: &'a Scenario,
    /// The same with the goals that agents have by now, when people have changed one.
    pub edited: Option<Box<Scenario>>,
    pub clock: Arc<VirtualClock>,
    pub table: Table,
    pub agenda: Agenda<Happening>,
    pub agents: Vec<Agent>,
    /// One for each data set.
    pub shelves: Vec<Shelf>,
    pub stores: Stores,
    pub damage: Damage<'a>,
    pub checkers: Checkers,
    pub faults: Faults<'a>,
    /// Something has a price or a budget.
    pub is_priced: bool,
    /// A job was measured in the last happening.
    pub measured: bool,
    /// Jobs so far that missed their goal or failed.
    pub missed: u64,
    /// Actions so far that were claimed.
    pub actions: u64,
    /// What people have broken and not mended yet.
    pub broken_by_hand: Vec<Broken>,
    /// Lives of agents that people have ended: what these had arranged is still there for a while.
    pub ended_by_hand: usize,
    /// What the agent whose turn it is has not been given yet.
    pub(super) inputs: VecDeque<Input>,
    /// Whether any agent looks at the table between jobs.
    has_watchers: bool,
    /// Decides instead of the agents, where it is the policy.
    pub oracle: Option<Oracle>,
    /// How often machines were in each of their states, and took each of their ways, where somebody wants to know.
    pub states: Option<States>,
    tell: Option<Listener<'a>>,
}

/// Links that are measured in one round.
const PROBED_LINKS: usize = 4;

/// A start that fails because the table is away is tried again after this.
const START_AGAIN: Duration = Duration::from_secs(10);

impl<'a> World<'a> {
    pub fn new(
        scenario: &'a Scenario,
        clock: Arc<VirtualClock>,
        table: Table,
        agents: Vec<Agent>,
        stores: Stores,
        seed: u64,
    ) -> Self {
        Self {
            scenario,
            edited: None,
            clock,
            table,
            agenda: Agenda::default(),
            inputs: VecDeque::new(),
            has_watchers: agents.iter().any(Agent::looks),
            agents,
            shelves: Shelf::all(scenario),
            is_priced: false,
            stores,
            damage: Damage::default(),
            checkers: Checkers::default(),
            faults: Faults::new(&scenario.faults, seed),
            measured: false,
            missed: 0,
            actions: 0,
            broken_by_hand: Vec::new(),
            ended_by_hand: 0,
            oracle: None,
            states: None,
            tell: None,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Arranges what the scenario says: who starts at once, what changes, what breaks.
    pub fn arrange_all(&mut self) {
        let joining = self.scenario.joining();
        for (agent, slot) in self.agents.iter().enumerate() {
            if !joining.contains_key(&slot.home()) {
                self.agenda.arrange(self.now(), Happening::Starts { agent });
            }
        }
        for (change, at) in self.scenario.changes.iter().map(|change| change.at).enumerate() {
            self.agenda.arrange(self.now() + at, Happening::Changes { change });
        }
        for (fault, after) in self.faults.first() {
            self.agenda.arrange(self.now() + after, Happening::Breaks { fault });
        }
        self.arrange_writes();
        self.oracle_hears_of_change(|| "start".to_owned());
        if let Some(calm) = self.scenario.calm {
            self.agenda.arrange(self.now() + calm.healed_by, Happening::IsHealed);
        }
    }

    /// Lets the next thing happen, and all that follows at once, if it does by `end`; says when it was.
    pub fn next(&mut self, end: Timestamp) -> Result<Option<Timestamp>, Violated> {
        let Some((at, what)) = self.agenda.next_by(end) else { return Ok(None) };
        self.measured = false;
        self.clock.set(at);
        self.happen(what);
        self.settle()?;
        Ok(Some(at))
    }

    /// Whoever watches the table sees what has happened, and so do the checkers.
    pub fn settle(&mut self) -> Result<(), Violated> {
        if self.has_watchers {
            self.wake_watchers();
        }
        self.check(self.now())
    }

    /// Agents have other policies: some may look at the table, or ask who lives, that did not.
    pub fn policies_changed(&mut self) {
        self.has_watchers = self.agents.iter().any(Agent::looks);
        if self.agents.iter().any(Agent::asks_who_lives) {
            self.table.hear_within(self.scenario.network.rhythm.heartbeat);
        }
    }

    /// With the goals that agents have by now.
    pub fn present(&self) -> &Scenario {
        self.edited.as_deref().unwrap_or(self.scenario)
    }

    pub fn tell_to(&mut self, tell: Option<Listener<'a>>) {
        self.tell = tell;
    }

    /// The latest jobs of every agent that runs met its goal on the placements as they are, and nobody acts.
    pub fn has_converged(&self) -> bool {
        (0..self.shelves.len()).all(|shelf| self.truth_of(shelf).is_some_and(|truth| self.is_at_rest(shelf, &truth)))
    }

    /// The same of one data set, in its snapshot.
    fn is_at_rest(&self, shelf: usize, snapshot: &Snapshot) -> bool {
        let acting = snapshot.open_events.iter().any(|event| event.outcome == Outcome::Running);
        let mut running = self.agents.iter().filter(|agent| agent.reads_from(shelf) && agent.control_loop.is_some());
        !acting && running.all(|agent| agent.recent.are_content(snapshot.changed_at))
    }

    /// Of a data set, whether the table is away or not; signs of life left aside.
    pub fn truth_of(&self, shelf: usize) -> Option<Snapshot> {
        self.table.truth(&self.shelves[shelf].name)
    }

    /// Something about the data sets that an agent reads may have changed.
    pub fn touch(&mut self, agent: usize) {
        self.agents[agent].shelves().iter().for_each(|shelf| self.shelves[*shelf].touched = true);
    }

    /// Something about this data set.
    pub fn touch_data_set(&mut self, name: &DataSetName) {
        self.shelves.iter_mut().filter(|shelf| shelf.name == *name).for_each(|shelf| shelf.touched = true);
    }

    fn check(&mut self, now: Timestamp) -> Result<(), Violated> {
        let others = self.scenario.writes.len()
            + self.scenario.changes.len()
            + self.scenario.faults.len() * 2
            + usize::from(self.scenario.calm.is_some());
        let lives = self.agents.len() + self.ended_by_hand;
        self.checkers.time(now, self.agenda.len(), lives, others);
        for shelf in 0..self.shelves.len() {
            if std::mem::take(&mut self.shelves[shelf].touched)
                && let Some(snapshot) = self.truth_of(shelf)
            {
                self.checkers.placement(&snapshot, &self.stores);
                self.tell(|| Told::Placed(snapshot));
            }
        }
        self.checkers.verdict()
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Starts { agent } => self.start(agent),
            Happening::Wakes { agent, life } if self.lives(agent, life) => {
                self.step(agent, Input::Monitor(monitor::Input::Woken));
            }
            Happening::JobEnds { agent, number } if self.agents[agent].job.number == number => self.job_ends(agent),
            Happening::TransferEnds { agent, number } if self.transfers(agent, number) => self.transfer_ends(agent),
            Happening::Renews { agent, number } if self.transfers(agent, number) => self.renew(agent),
            Happening::Looks { agent, life } if self.lives(agent, life) => self.look(agent),
            Happening::Duties { agent, life } if self.lives(agent, life) => self.duties(agent),
            Happening::Closes { agent, life } if self.lives(agent, life) => {
                let closed = self.close_due(agent);
                self.trouble_of(agent, closed);
            }
            Happening::Wakes { .. }
            | Happening::JobEnds { .. }
            | Happening::TransferEnds { .. }
            | Happening::Renews { .. }
            | Happening::Looks { .. }
            | Happening::Duties { .. }
            | Happening::Closes { .. } => {}
            Happening::Changes { change } => self.change(&self.scenario.changes[change]),
            Happening::Breaks { fault } => self.breaks(fault),
            Happening::Hits { fault, agent } => {
                let lasts = self.scenario.faults[fault].lasts;
                self.break_for(fault, Broken::Agent(self.agents[agent].id()), lasts);
            }
            Happening::Mends { fault, broken } => self.mends(fault, broken),
            Happening::IsHealed => self.check_healed(),
            Happening::Writes { shelf } => self.writes(shelf),
            Happening::OracleIsAsked => self.oracle_is_asked(),
            Happening::OraclePlaces { number } => self.oracle_places(number),
        }
    }

    fn lives(&self, agent: usize, life: u32) -> bool {
        self.agents[agent].life() == life && self.agents[agent].control_loop.is_some()
    }

    fn transfers(&self, agent: usize, number: u64) -> bool {
        self.agents[agent].transfer.number == number
    }

    /// Gives an agent an input, and every answer that its effects have at once.
    pub fn step(&mut self, agent: usize, input: Input) {
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            let slot = &mut self.agents[agent];
            let Some(control_loop) = &mut slot.control_loop else { return };
            for effect in control_loop.handle(input, &mut slot.streams) {
                let answer = self.perform(agent, effect);
                self.inputs.extend(answer);
            }
            self.note_states(agent);
        }
        self.tell_convergence(agent);
    }

    fn note_states(&mut self, agent: usize) {
        if let (Some(states), Some(driver)) = (&mut self.states, &mut self.agents[agent].control_loop) {
            let arms = driver.take_arms();
            driver.states().into_iter().chain(arms).for_each(|state| *states.entry(state).or_default() += 1);
        }
    }

    /// Says at once when the agent's state changes; its duties repeat it.
    fn tell_convergence(&mut self, agent: usize) {
        let slot = &mut self.agents[agent];
        let converged = slot.is_converged();
        if converged != slot.was_converged {
            slot.was_converged = converged;
            let (id, life) = (slot.id(), slot.named());
            let said = self.table.ask(|table| table.heartbeat(id, life, Health { converged, unexpected: 0 }));
            self.trouble_of(agent, said);
        }
    }

    pub fn start(&mut self, agent: usize) {
        let (id, home) = (self.agents[agent].id(), self.agents[agent].home());
        // What mends it starts it again.
        if !self.damage.lets_run(id, home) || self.agents[agent].control_loop.is_some() {
            return;
        }
        match self.prepare(agent) {
            Ok(learned) => {
                self.agents[agent].start(&learned);
                let life = self.agents[agent].life();
                self.agenda.arrange(self.now(), Happening::Duties { agent, life });
                self.step(agent, Input::Monitor(monitor::Input::Started));
                if self.agents[agent].looks() {
                    let next = self.next_look(agent);
                    self.look_at(agent, next);
                }
            }
            Err(why) => {
                // That life has not begun.
                self.agents[agent].take_life_back();
                self.trouble(agent, why);
                self.agenda.arrange(self.now() + START_AGAIN, Happening::Starts { agent });
            }
        }
    }

    /// What a real agent does before its actors start; what it had learned, by label.
    fn prepare(&mut self, agent: usize) -> Result<BTreeMap<String, Impacts>, String> {
        let id = self.agents[agent].id();
        self.agents[agent].begin_life();
        self.register(agent)?;
        let begun = self.table.ask(|table| table.unfinished(id, true))?;
        self.recover(agent, &begun.claims)?;
        self.sweep(agent)?;
        let learned = self.table.ask(|table| table.impacts(id))?;
        Ok(learned.into_iter().map(|(label, learned)| (label, learned.impacts)).collect())
    }

    /// Deletes the objects of the own store that no row names.
    fn sweep(&mut self, agent: usize) -> Result<(), String> {
        let home = self.agents[agent].home();
        let mut named = BTreeSet::new();
        for shelf in &self.shelves {
            let snapshot = self.table.load(&shelf.name)?;
            named.extend(snapshot.placement.replicas.values().map(|replica| replica.object_key.clone()));
        }
        for orphan in self.stores.keys(home).iter().filter(|key| !named.contains(*key)) {
            self.stores.delete(home, orphan);
        }
        Ok(())
    }

    /// The periodic duties: a sign of life, windows that are due, what somebody left unfinished.
    fn duties(&mut self, agent: usize) {
        let rhythm = &self.scenario.network.rhythm;
        let done = self.beat(agent);
        self.trouble_of(agent, done);
        self.probe_links(agent);
        self.keep_up(agent);
        let slot = &mut self.agents[agent];
        let jitter = slot.streams.watchdog.random_range(0.9..1.1);
        let life = slot.life();
        self.agenda.arrange(self.now() + rhythm.heartbeat.mul_f64(jitter), Happening::Duties { agent, life });
    }

    fn beat(&mut self, agent: usize) -> Result<(), String> {
        let slot = &self.agents[agent];
        let (id, life, converged) = (slot.id(), slot.named(), slot.was_converged);
        self.table.ask(|table| table.heartbeat(id, life, Health { converged, unexpected: 0 }))?;
        self.bill(agent)?;
        self.close_due(agent)?;
        let mut left = self.table.ask(|table| table.unfinished(id, false))?;
        if !left.claims.is_empty() {
            self.recover(agent, &left.claims)?;
            // There may be more to remove now.
            left = self.table.ask(|table| table.unfinished(id, false))?;
        }
        self.remove_drained(agent, &left.removing);
        Ok(())
    }

    /// What it has read, and what is held, where anything has a price.
    fn bill(&mut self, agent: usize) -> Result<(), String> {
        if !self.is_priced {
            return Ok(());
        }
        let slot = &mut self.agents[agent];
        let (id, life) = (slot.id(), slot.named().clone());
        let bill = slot.unbilled.bill(id, &life);
        self.table.ask(|table| table.bill(&bill))?;
        self.agents[agent].unbilled.billed(&bill.key);
        Ok(())
    }

    /// Lets the agent see whether the constraints demand a replica that is not there, or one is to be refreshed.
    fn keep_up(&mut self, agent: usize) {
        for part in 0..self.agents[agent].shelves().len() {
            let shelf = self.agents[agent].shelves()[part];
            if !self.shelves[shelf].needs_upkeep {
                continue;
            }
            if let Some(snapshot) = self.load_from(shelf).ok().filter(upkeep::is_due) {
                self.step(agent, Input::Planner(planner::Input::Checked { snapshot }));
            }
        }
    }

    /// Measures the links to the nodes whose turn it is, where nobody states them.
    fn probe_links(&mut self, agent: usize) {
        let measured = self.scenario.physics.links == Links::Measured;
        // Nodes and links are the same in all.
        let shelf = self.agents[agent].shelves().first().copied().filter(|_| measured && self.agents[agent].looks());
        let Some(truth) = shelf.and_then(|shelf| self.truth_of(shelf)) else { return };
        let (home, after) = (self.agents[agent].home(), self.agents[agent].probed);
        for node in next_to_probe(&truth.nodes, home, after, PROBED_LINKS) {
            self.agents[agent].probed = node;
            let link = truth.link(home, node).filter(|_| self.damage.between(home, node).is_none());
            let Some(link) = link else { continue };
            let rng = &mut self.agents[agent].probes;
            let latency_ms = physics::latency(link, rng).as_secs_f64() * 1e3;
            self.step(agent, Input::Planner(planner::Input::Probed { node, latency_ms }));
        }
    }

    /// What an agent sees of the table, of each data set that it reads.
    pub fn load(&mut self, agent: usize) -> Result<Vec<Snapshot>, String> {
        let parts = self.agents[agent].shelves().len();
        let mut snapshots = Vec::with_capacity(parts);
        for part in 0..parts {
            snapshots.push(self.load_from(self.agents[agent].shelves()[part])?);
        }
        Ok(snapshots)
    }

    /// The same of one data set: no links, where they are measured.
    fn load_from(&mut self, shelf: usize) -> Result<Snapshot, String> {
        let shelf = &mut self.shelves[shelf];
        let truth = self.table.load(&shelf.name)?;
        if self.scenario.physics.links == Links::Injected {
            return Ok(truth);
        }
        if let Some((known, shown)) = &shelf.shown
            && known.has_content_of(&truth)
        {
            let mut shown = shown.clone();
            shown.at = truth.at;
            return Ok(shown);
        }
        let mut shown = truth.clone();
        shown.links = Arc::default();
        shelf.shown = Some((truth, shown.clone()));
        Ok(shown)
    }

    fn close_due(&mut self, agent: usize) -> Result<(), String> {
        let id = self.agents[agent].id();
        let feedback = self.scenario.network.feedback;
        let rule = ClosingRule {
            threshold: feedback.threshold,
            grace: feedback.grace,
            silence: self.scenario.network.silence(),
        };
        for closed in self.table.ask(|table| table.close_due(id, rule))? {
            self.checkers.closed(self.now(), &closed);
            self.notify(|| Notice::Closed { closed });
        }
        Ok(())
    }

    fn change(&mut self, change: &'a Change) {
        let knowledge = &self.table.knowledge;
        for link in &change.links {
            ready(knowledge.set_latency(link.from, link.to, Some(link.latency_ms))).expect(VALIDATED);
        }
        for (node, availability) in &change.availability {
            ready(knowledge.set_availability(*node, Some(*availability))).expect(VALIDATED);
        }
        self.tell(|| Told::World(describe(change)));
        for node in &change.join {
            self.join(*node);
        }
        self.oracle_hears_of_change(|| describe(change));
    }

    pub fn join(&mut self, node: NodeId) {
        self.register_nodes(&[node]);
        let agents = self.agents.iter().enumerate().filter(|(_, slot)| slot.home() == node);
        let starting: Vec<usize> = agents.map(|(agent, _)| agent).collect();
        for agent in starting {
            self.start(agent);
        }
    }

    fn breaks(&mut self, fault: usize) {
        let nodes: Vec<NodeId> = self.scenario.network.nodes.keys().copied().collect();
        let agents: Vec<AgentId> = self.scenario.agents.keys().copied().collect();
        let (broken, lasts) = self.faults.strike(fault, &nodes, &agents);
        self.break_for(fault, broken, lasts);
    }

    /// An agent has come so far that a fault was waiting for.
    pub fn has_come_to(&mut self, moment: Moment, agent: usize) {
        let id = self.agents[agent].id();
        for fault in self.faults.upon(moment, id) {
            // At its own time, when this step of the agent is over.
            self.agenda.arrange(self.now(), Happening::Hits { fault, agent });
        }
    }

    fn break_for(&mut self, fault: usize, broken: Broken, lasts: Duration) {
        let lasts = match self.scenario.calm {
            Some(_) if self.is_calm() => return,
            Some(calm) => lasts.min(calm.from - self.passed()),
            None => lasts,
        };
        self.tell(|| Told::World(format!("{broken} for {} s", lasts.as_secs_f64())));
        self.begin_damage(broken);
        self.agenda.arrange(self.now() + lasts, Happening::Mends { fault, broken });
        self.oracle_hears_of_change(|| broken.to_string());
    }

    pub fn begin_damage(&mut self, broken: Broken) {
        self.damage.begin(broken, &self.faults);
        self.table.set_away(self.damage.database_is_away());
        for agent in 0..self.agents.len() {
            let slot = &mut self.agents[agent];
            if !self.damage.lets_run(slot.id(), slot.home()) {
                slot.crash();
            } else if slot.control_loop.is_some() {
                self.interrupt(agent);
            }
        }
    }

    fn mends(&mut self, fault: usize, broken: Broken) {
        self.tell(|| Told::World(format!("{broken}: over")));
        self.end_damage(broken);
        if let Some(after) = self.faults.again(fault) {
            self.agenda.arrange(self.now() + after, Happening::Breaks { fault });
        }
        self.oracle_hears_of_change(|| format!("{broken}: over"));
    }

    pub fn end_damage(&mut self, broken: Broken) {
        self.damage.end(broken);
        self.table.set_away(self.damage.database_is_away());
        if matches!(broken, Broken::Node(_) | Broken::Agent(_)) {
            let joining = self.scenario.joining();
            let passed = self.passed();
            for agent in 0..self.agents.len() {
                let joins = joining.get(&self.agents[agent].home()).copied().unwrap_or_default();
                if self.agents[agent].control_loop.is_none() && joins <= passed {
                    self.start(agent);
                }
            }
        }
    }

    /// Fails the work of an agent that can no longer reach what it reads or writes.
    fn interrupt(&mut self, agent: usize) {
        let home = self.agents[agent].home();
        let lost = |node| self.damage.between(home, node);
        let job = match &self.agents[agent].job.under_way {
            Some(Job::Runs(runs_at, parts)) => {
                let hidden = |node| self.damage.between(*runs_at, node).map(|why| (FailureKind::Store, why));
                let adrift = self.damage.no_work_on(home, *runs_at).map(|why| (FailureKind::Surroundings, why));
                let cut_off = |part: &Part| adrift.clone().or_else(|| hidden(part.replica.node));
                parts.iter().enumerate().find_map(|(at, part)| Some((cut_off(part)?, at)))
            }
            Some(Job::Serves(served, _)) => lost(served.replica.node).map(|why| ((FailureKind::Store, why), 0)),
            Some(Job::IsLost(..)) | None => None,
        };
        let transfer = self.agents[agent].transfer.under_way.as_ref().and_then(|Transfer { claim, .. }| {
            let destination = claim.destination.as_ref().and_then(|row| lost(row.node));
            lost(claim.source.node).or(destination)
        });
        if let Some(((kind, why), part)) = job {
            self.fail_job(agent, JobFailure::new(kind, why), part);
        }
        if let Some(why) = transfer {
            self.agents[agent].transfer.drop();
            self.step(agent, Input::Executor(Box::new(transfer_failed(why))));
        }
    }

    /// Since the start of the scenario.
    pub fn passed(&self) -> Duration {
        self.now().since(Timestamp::default())
    }

    /// Whether all troubles are over.
    pub fn is_calm(&self) -> bool {
        self.scenario.calm.is_some_and(|calm| calm.from <= self.passed())
    }

    /// Whether anybody is told what happens.
    pub fn is_heard(&self) -> bool {
        self.tell.is_some()
    }

    pub fn tell(&mut self, what: impl FnOnce() -> Told) {
        let now = self.now();
        if let Some(tell) = &mut self.tell {
            tell(now, &what());
        }
    }

    /// The placement of a data set as it is, to whoever listens.
    pub fn tell_placement(&mut self, shelf: usize) {
        if self.tell.is_some()
            && let Some(snapshot) = self.truth_of(shelf)
        {
            self.tell(|| Told::Placed(snapshot));
        }
    }

    pub fn notify(&mut self, notice: impl FnOnce() -> Notice) {
        self.tell(|| Told::Notice(notice()));
    }

    pub fn trouble(&mut self, agent: usize, what: String) {
        let agent = self.agents[agent].id();
        self.notify(|| Notice::Trouble { agent, what });
    }

    pub fn trouble_of<T>(&mut self, agent: usize, result: Result<T, String>) {
        if let Err(what) = result {
            self.trouble(agent, what);
        }
    }
}

pub fn describe(change: &Change) -> String {
    let links = change.links.iter().map(|link| format!("link {}-{}: {} ms", link.from, link.to, link.latency_ms));
    let nodes = change.availability.iter().map(|(node, percent)| format!("node {node}: available {percent}"));
    let joins = change.join.iter().map(|node| format!("node {node} joins"));
    links.chain(nodes).chain(joins).collect::<Vec<_>>().join(", ")
}
