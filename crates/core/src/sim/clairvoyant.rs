//! The policies `oracle`, `oracle-late` and `oracle-ahead`: the world itself places the replicas, as the oracle says, in the agents'
//! names.
//!
//! They are policies of the simulator only: what the oracle knows no agent can know. Agents under them decide nothing.

use super::faults::Damage;
use super::oracle::{self, Best, Found, Problem, Solved, Step};
use super::physics;
use super::world::{Happening, Told, World, describe as describe_change};
use crate::config::scenario::Change;
use crate::domain::action::Action;
use crate::domain::event::Outcome;
use crate::domain::ids::{AgentId, EventId, NodeId};
use crate::domain::metric::Metrics;
use crate::domain::placement::{Claim, Plan};
use crate::domain::saga;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;
use crate::domain::validators::Validators;
use crate::knowledge::{Claimed, Committed, Knowledge as _};
use crate::mape::notice::Notice;
use crate::mape::planner::{Choice, Clairvoyance, Decision, Prospect, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The names of these policies.
pub const ORACLES: [&str; 3] = ["oracle", "oracle-late", "oracle-ahead"];

/// Of more changes than these since it was last asked, the latest are remembered: `oracle-late` may wait for long.
const REMEMBERED_CHANGES: usize = 10;

/// When the oracle is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// At the start, and as soon as anything has changed.
    AtOnce,
    /// When a goal is missed for the first time after that.
    WhenMissed,
    /// As [`Asked::AtOnce`], and about the scenario's next change as soon as nothing is to be done about what is.
    Ahead,
}

impl Asked {
    fn hears(self, when: Asked) -> bool {
        match self {
            Asked::AtOnce | Asked::Ahead => when == Asked::AtOnce,
            Asked::WhenMissed => when == Asked::WhenMissed,
        }
    }
}

/// What it is about to do.
pub struct Oracle {
    asked: Asked,
    /// What has changed since it was last asked; it is due when anything has.
    changes: Vec<String>,
    /// That it is asked is arranged.
    is_arranged: bool,
    /// Placements whose bytes are on their way, by the position of their data set.
    awaited: BTreeMap<usize, Awaited>,
    /// Numbers what is awaited and the keys of plans.
    made: u64,
}

struct Awaited {
    number: u64,
    /// It is for what a change will have made of the network.
    is_ahead: bool,
    asked_at: Timestamp,
    changes: Vec<String>,
    /// As it was when it was asked.
    problem: Problem,
    best: Best,
}

impl Awaited {
    /// What its step with this index rests on.
    fn grounds(&self, index: usize) -> Clairvoyance {
        let Self { problem, best, .. } = self;
        let Step { agent: actor, action } = best.steps[index];
        let reads_it = |agent: AgentId, reads: NodeId| match action.work_node() {
            Some(_) => agent == actor,
            None => Some(reads) == action.to_node() && (action.transfers() || agent == actor),
        };
        let seated = problem.seated(&best.choice);
        let prospect = |agent: AgentId, reads: NodeId| Prospect {
            before: problem.share_before(agent),
            after: seated.share_of(agent, reads, best.replicas.len()),
        };
        let readers = best.reads.iter().filter(|(agent, reads)| reads_it(**agent, **reads));
        Clairvoyance {
            asked_at: self.asked_at,
            changes: self.changes.clone(),
            plan: best.replicas.iter().copied().collect(),
            cost: best.cost,
            share: Prospect { before: problem.mean_before(), after: best.share },
            bound: match best.found {
                Found::Exhaustive => None,
                Found::LocalSearch { bound } => Some(bound),
            },
            readers: readers.map(|(agent, reads)| (*agent, prospect(*agent, *reads))).collect(),
        }
    }
}

impl Oracle {
    /// The one of that name.
    pub fn of(policy: &str) -> Option<Self> {
        let asked = match ORACLES.iter().position(|name| *name == policy)? {
            0 => Asked::AtOnce,
            1 => Asked::WhenMissed,
            _ => Asked::Ahead,
        };
        Some(Self { asked, changes: Vec::new(), is_arranged: false, awaited: BTreeMap::new(), made: 0 })
    }

    fn name(&self) -> &'static str {
        match self.asked {
            Asked::AtOnce => ORACLES[0],
            Asked::WhenMissed => ORACLES[1],
            Asked::Ahead => ORACLES[2],
        }
    }

    fn hears(&mut self, change: String) {
        if self.changes.len() == REMEMBERED_CHANGES {
            self.changes.remove(0);
        }
        self.changes.push(change);
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }
}

impl World<'_> {
    /// The start, a change, or a fault's begin or end.
    pub fn oracle_hears_of_change(&mut self, what: impl FnOnce() -> String) {
        let now = self.now();
        let Some(oracle) = &mut self.oracle else { return };
        oracle.hears(what());
        let broken = |awaited: &Awaited| awaited.best.steps.iter().any(|step| is_cut_off(&self.damage, step.action));
        let before = oracle.awaited.len();
        oracle.awaited.retain(|_, awaited| !broken(awaited));
        if oracle.awaited.len() < before {
            self.tell(|| Told::World("oracle: its transfers broke off".to_owned()));
        }
        self.ask_oracle(now, Asked::AtOnce);
    }

    /// A job of an agent missed these bounds of its goal.
    pub fn oracle_hears_of_violation(&mut self, agent: AgentId, missed: &[String]) {
        if self.ask_oracle(self.now(), Asked::WhenMissed)
            && let Some(oracle) = &mut self.oracle
        {
            oracle.hears(format!("a job of agent {agent} missed {}", missed.join(", ")));
        }
    }

    /// Asked after everything else that happens at this time. Whether that was not arranged before.
    fn ask_oracle(&mut self, at: Timestamp, asked: Asked) -> bool {
        let Some(oracle) = &mut self.oracle else { return false };
        let is_news = !oracle.changes.is_empty()
            && oracle.asked.hears(asked)
            && !std::mem::replace(&mut oracle.is_arranged, true);
        if is_news {
            self.agenda.arrange(at, Happening::OracleIsAsked);
        }
        is_news
    }

    /// Finds the best placement, and applies it when the bytes that it needs have been brought.
    pub fn oracle_is_asked(&mut self) {
        let is_away = self.damage.database_is_away();
        let Some(oracle) = &mut self.oracle else { return };
        oracle.is_arranged = false;
        // Nobody can change a catalogue that is away. It is asked again when that has changed.
        if is_away {
            return;
        }
        let changes = std::mem::take(&mut oracle.changes);
        for (shelf, solved) in self.solve(|snapshot| snapshot) {
            // What is brought for later goes on, where nothing has to be done now.
            let is_ahead = |oracle: &Oracle| oracle.awaited.get(&shelf).is_some_and(|awaited| awaited.is_ahead);
            if !(solved.best.steps.is_empty() && self.oracle.as_ref().is_some_and(is_ahead)) {
                self.place_best(shelf, &changes, solved, None);
            }
        }
        self.oracle_looks_ahead();
    }

    /// The best placements, by the positions of their data sets, in the network as something makes of it what it is.
    fn solve(&self, becomes: impl Fn(Snapshot) -> Snapshot) -> Vec<(usize, Solved)> {
        let known = (0..self.shelves.len()).filter_map(|shelf| Some((shelf, becomes(self.truth_of(shelf)?))));
        let (shelves, snapshots): (Vec<usize>, Vec<Snapshot>) = known.unzip();
        let damage = &self.damage;
        let solved = oracle::solve(self.present(), &snapshots, damage, &|alone, snapshot, reserved, elsewhere| {
            Problem::now(alone, snapshot, damage, reserved, elsewhere)
        });
        shelves.into_iter().zip(solved).filter_map(|(shelf, solved)| Some((shelf, solved?))).collect()
    }

    /// Has what lies where it should brought to where it should lie after the scenario's next change, which is when it will.
    fn oracle_looks_ahead(&mut self) {
        let is_asked = self.oracle.as_ref().is_some_and(|oracle| oracle.asked == Asked::Ahead);
        let to_come = self.scenario.changes.iter().map(|change| change.at).filter(|at| *at > self.passed());
        let Some(next) = to_come.min().filter(|_| is_asked) else { return };
        let then: Vec<&Change> = self.scenario.changes.iter().filter(|change| change.at == next).collect();
        let at = Timestamp::default() + next;
        let changes: Vec<String> = then.iter().map(|change| format!("ahead: {}", describe_change(change))).collect();
        for (shelf, solved) in self.solve(|snapshot| changed(snapshot, &then, at)) {
            let is_busy = |oracle: &Oracle| oracle.awaited.get(&shelf).is_some_and(|awaited| !awaited.is_ahead);
            if !self.oracle.as_ref().is_some_and(is_busy) {
                self.place_best(shelf, &changes, solved, Some(at));
            }
        }
    }

    /// `ahead`: not before then.
    fn place_best(&mut self, shelf: usize, changes: &[String], solved: Solved, ahead: Option<Timestamp>) {
        let asked_at = self.now();
        let Solved { problem, best } = solved;
        let Some(oracle) = &mut self.oracle else { return };
        // What is on its way already goes on.
        if oracle.awaited.get(&shelf).is_some_and(|awaited| awaited.best.steps == best.steps) {
            return;
        }
        oracle.awaited.remove(&shelf);
        if best.steps.is_empty() {
            return;
        }
        let number = oracle.next();
        let takes = best.steps.iter().map(|step| self.time_of(shelf, *step)).max().unwrap_or_default();
        let at = ahead.map_or(asked_at + takes, |at| at.max(asked_at + takes));
        self.tell(|| Told::World(describe(&best, at.since(asked_at))));
        if let Some(oracle) = &mut self.oracle {
            let (is_ahead, changes) = (ahead.is_some(), changes.to_vec());
            oracle.awaited.insert(shelf, Awaited { number, is_ahead, asked_at, changes, problem, best });
        }
        match at == asked_at {
            true => self.oracle_places(number),
            false => self.agenda.arrange(at, Happening::OraclePlaces { number }),
        }
    }

    /// The bytes are there: all steps become true at once.
    pub fn oracle_places(&mut self, number: u64) {
        let Some(oracle) = &mut self.oracle else { return };
        let numbered = oracle.awaited.iter().find(|(_, awaited)| awaited.number == number).map(|(shelf, _)| *shelf);
        let Some((shelf, awaited)) = numbered.and_then(|shelf| oracle.awaited.remove_entry(&shelf)) else { return };
        if self.damage.database_is_away() {
            // Asked again when that has changed.
            return;
        }
        for (index, step) in awaited.best.steps.iter().copied().enumerate() {
            match self.take_step(shelf, &awaited, index) {
                Ok(event) => {
                    let how = "done, by the oracle".to_owned();
                    self.notify(|| Notice::Acted { agent: step.agent, action: step.action, event: Some(event), how });
                    // Each step by itself: whoever listens counts what it changed as this agent's.
                    self.tell_placement(shelf);
                }
                Err(why) => {
                    let what = format!("oracle: {} cannot be done: {why}", step.action);
                    return self.tell(|| Told::World(what));
                }
            }
        }
        if awaited.asked_at < self.now() {
            self.oracle_looks_ahead();
        }
    }

    /// How long its bytes are on their way, through the links of the agent in whose name it is done.
    fn time_of(&self, shelf: usize, step: Step) -> Duration {
        let (Action::Move { from, to } | Action::Copy { from, to }) = step.action else { return Duration::ZERO };
        let home = self.scenario.agents.get(&step.agent).map_or(to, |agent| agent.node);
        let slow = |node: NodeId| (node, self.damage.slowness(node));
        physics::transfer_time(&self.shelves[shelf].physics, home, slow(from), slow(to))
    }

    /// As an agent would: claimed, brought, committed.
    fn take_step(&mut self, shelf: usize, awaited: &Awaited, index: usize) -> Result<EventId, String> {
        self.shelves[shelf].touched = true;
        let rhythm = &self.scenario.network.rhythm;
        let window = self.scenario.network.feedback.window;
        let plan = self.plan(shelf, awaited, index).ok_or("it was made for another placement")?;
        let claim = match self.table.ask(|table| table.claim(&plan, rhythm.lease, window))? {
            Claimed::Granted(claim) => claim,
            Claimed::Lost(lost) => return Err(lost.to_string()),
        };
        self.actions += 1;
        self.checkers.acted(self.now(), self.damage.database_is_away());
        let done = self.bring(&claim).and_then(|()| {
            let arrived = Validators::default();
            match self.table.ask(|table| table.commit(claim.event, &arrived, rhythm.drain))? {
                Committed::Done { .. } => Ok(claim.event),
                Committed::Refused(refused) => Err(refused.to_string()),
            }
        });
        if let Err(why) = &done
            && let Some(row) = self.table.ask(|table| table.abort(claim.event, Outcome::Failed, why))?
        {
            self.stores.delete(row.node, &row.object_key);
            self.table.ask(|table| table.removed(row.id))?;
        }
        done
    }

    fn bring(&mut self, claim: &Claim) -> Result<(), String> {
        let Some(row) = &claim.destination else { return Ok(()) };
        self.stores.write(row.node, &row.object_key, self.scenario.bytes(&claim.data_set))
    }

    fn plan(&mut self, shelf: usize, awaited: &Awaited, index: usize) -> Option<Plan> {
        let snapshot: Snapshot = self.truth_of(shelf)?;
        let Step { agent, action } = awaited.best.steps[index];
        let subject = saga::subject(&snapshot.placement, action)?;
        let reference = snapshot.placement.reference(agent)?;
        let goal = self.present().agents.get(&agent)?.goal.clone();
        let oracle = self.oracle.as_mut()?;
        let decision = Decision {
            policy: oracle.name().to_owned(),
            agent,
            goal: goal.to_string(),
            violated: Vec::new(),
            measured: Metrics::default(),
            reference_node: reference.node,
            replica_nodes: snapshot.placement.nodes().into_iter().collect(),
            chosen: Choice { action, reason: Reason::Foreknown { step: index + 1, steps: awaited.best.steps.len() } },
            scored: Vec::new(),
            left_out: 0,
            forecasts: BTreeMap::new(),
            work_forecasts: BTreeMap::new(),
            deliberation: None,
            clairvoyance: Some(awaited.grounds(index)),
            price: snapshot.quote(agent, action).map(|quote| quote.to_string()),
        };
        Some(Plan {
            key: format!("oracle-{}", oracle.next()),
            agent,
            data_set: snapshot.data_set.name.clone(),
            reference: reference.id,
            action,
            explored: false,
            expected: [(subject.id, subject.generation)].into(),
            generation: None,
            detail: decision.to_json(),
        })
    }
}

/// A snapshot as it will be when these changes have come.
fn changed(mut snapshot: Snapshot, changes: &[&Change], at: Timestamp) -> Snapshot {
    snapshot.at = at;
    for change in changes {
        let links = Arc::make_mut(&mut snapshot.links);
        change.links.iter().for_each(|link| links.set_latency(link.from, link.to, Some(link.latency_ms)));
        let nodes = Arc::make_mut(&mut snapshot.nodes);
        for (node, availability) in &change.availability {
            nodes.get_mut(node).into_iter().for_each(|node| node.availability.declared = Some(*availability));
        }
    }
    snapshot
}

/// Whether bytes cannot go where an action needs them.
fn is_cut_off(damage: &Damage, action: Action) -> bool {
    match action {
        Action::Move { from, to } | Action::Copy { from, to } | Action::Restore { from, to } => {
            [from, to].iter().any(|store| damage.between(to, *store).is_some())
        }
        Action::ChangeReference { .. } | Action::Evict { .. } | Action::MoveWork { .. } | Action::Nothing => false,
    }
}

fn describe(best: &Best, takes: Duration) -> String {
    let actions: Vec<String> =
        best.steps.iter().map(|Step { agent, action }| format!("{action} (agent {agent})")).collect();
    let share = best.share * 100.0;
    format!(
        "oracle: {} in {} s, at a cost of {}: {share:.4} % of the jobs miss their goals then",
        actions.join(" "),
        takes.as_secs_f64(),
        best.cost
    )
}
