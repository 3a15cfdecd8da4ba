//! How content an agent would be anywhere, and what it tells others of that: forecasts, and nodes that would suit it.

use super::course::{Seen, State};
use super::jobs::{Conditions, Jobs};
use super::prices::prices;
use super::said::Said;
use super::{MARGIN, PER_COST, PER_REPLICA, Planned, level};
use crate::domain::action::{Action, ActionType};
use crate::domain::ask::Reply;
use crate::domain::ids::NodeId;
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::{self, Node};
use crate::domain::snapshot::Snapshot;
use crate::domain::work::Seat;
use crate::mape::planner::{Experience, Parameters, View};
use crate::mape::prediction::{Estimate, Hope, Rest, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Whoever is content to this degree, also with one replica more, names no nodes.
const CONTENT: f64 = 0.9;
/// So many nodes an agent names in an answer.
const NAMED: usize = 2;
/// So many nodes an agent asks about.
const ASKED: usize = 6;
/// No plan makes more replicas at once.
pub const MORE: u32 = 3;
/// What is believed of a node that moves is to this part what is now; the rest is what it was on average, or is to become.
const NOW: f64 = 0.5;
/// Of so many homes, where there are more, it is looked how far a node is from them (I-7).
const HOMES: usize = 32;

/// What the refreshes of a replica cost in this time counts against making it.
const REFRESHED_FOR: Duration = Duration::from_secs(3600);

/// Nodes that failed a moment ago.
#[derive(Clone, Default, Debug)]
pub struct Avoided {
    pub unreadable: BTreeSet<NodeId>,
    /// Transfers to them failed again and again.
    pub unwritable: BTreeSet<NodeId>,
}

/// One agent's levels, as things stand.
pub struct Prospects<'a> {
    parameters: &'a Parameters,
    experience: &'a Experience,
    snapshot: &'a Snapshot,
    jobs: &'a Jobs,
    courses: &'a Seen,
    avoided: &'a Avoided,
    /// Where this agent's jobs run.
    pub seat: Seat,
    /// Where else they could.
    other_seats: Vec<Seat>,
    wanted: Wanted,
    prices: BTreeMap<ActionType, f64>,
    /// Bytes may travel now.
    travels: bool,
    /// Where this agent reads, or will, how content it is there, and how it would be if its other data sets were where they would
    /// best be; absent where there are none, or nothing is to be hoped for.
    hope: Option<Hoped>,
    /// The goal depends on how many replicas there are.
    pub counts_replicas: bool,
}

/// What hope starts from.
struct Hoped {
    here: NodeId,
    /// As things are.
    level: f64,
    /// If it comes true.
    then: f64,
    /// What that costs.
    cost: f64,
}

impl<'a> Prospects<'a> {
    pub fn new(view: &View<'a>, jobs: &'a Jobs, courses: &'a Seen, avoided: &'a Avoided) -> Self {
        let goal = &view.parameters.goal;
        let mentioned: Metrics =
            Metric::ALL.into_iter().filter(|one| goal.mentions(*one)).map(|one| (one, 1.0)).collect();
        Self {
            parameters: view.parameters,
            experience: view.experience,
            snapshot: view.snapshot,
            jobs,
            courses,
            avoided,
            seat: view.parameters.seat(view.snapshot),
            other_seats: view.parameters.other_seats(view.snapshot).collect(),
            wanted: Wanted::of(&mentioned),
            prices: prices(view.parameters),
            travels: view.snapshot.data_set.guard.lets_travel(view.snapshot.at),
            hope: None,
            counts_replicas: goal.mentions(Metric::DataConsistency),
        }
    }

    /// The same for an agent that reads several data sets, and this one here: what it hopes for of the others counts.
    #[must_use]
    pub fn hoping(mut self, here: NodeId, replicas: u32) -> Self {
        let predictor = &self.experience.predictor;
        let Some(Hope { rest, moves }) = predictor.hope() else { return self };
        let Some(state) = State::of(predictor, self.snapshot, self.seat, here) else { return self };
        let then = self.level_beside(Some(rest), &state, replicas);
        let cost = f64::from(*moves) * (self.cost(ActionType::Copy) + MARGIN);
        self.hope = Some(Hoped { here, level: self.level(here, replicas), then, cost });
        self
    }

    /// Reading at a node while there are so many replicas, where the jobs run that suits best, net of what it costs to move them there:
    /// what a change of the data adds to what the agent could do by moving its work.
    pub fn level(&self, node: NodeId, replicas: u32) -> f64 {
        let elsewhere = self.other_seats.iter().map(|seat| self.level_moved(*seat, node, replicas));
        elsewhere.fold(self.standing(node, replicas), f64::max)
    }

    /// The same where the jobs run now: 0 to 1.
    pub fn standing(&self, node: NodeId, replicas: u32) -> f64 {
        self.level_from(self.seat, node, replicas)
    }

    /// The same with the work moved to another seat, net of what that costs.
    fn level_moved(&self, seat: Seat, node: NodeId, replicas: u32) -> f64 {
        self.level_from(seat, node, replicas) - self.cost(ActionType::MoveWork)
    }

    /// Where else this agent's jobs could run, and how content it would be there reading what it reads now, net of what that costs.
    pub fn work(&self, here: NodeId, replicas: u32) -> impl Iterator<Item = (NodeId, f64)> + '_ {
        self.other_seats.iter().map(move |seat| (seat.node, self.level_moved(*seat, here, replicas)))
    }

    fn level_from(&self, seat: Seat, node: NodeId, replicas: u32) -> f64 {
        // Whoever has no users gives way to those who have; when they wake, their first bad minute brings it back.
        if self.experience.predictor.is_asleep() {
            return 1.0;
        }
        let state = State::of(&self.experience.predictor, self.snapshot, seat, node);
        let Some(state) = state.filter(|_| !self.avoided.unreadable.contains(&node)) else { return 0.0 };
        let as_things_are = self.level_as_things_are(&state, replicas);
        match (&self.hope, self.experience.predictor.hope()) {
            // What this data set adds to what the others do, not what they do.
            (Some(hoped), Some(Hope { rest, .. })) if hoped.here != node => {
                let gain = self.level_beside(Some(rest), &state, replicas) - hoped.then - hoped.cost;
                as_things_are.max(hoped.level + gain)
            }
            _ => as_things_are,
        }
    }

    fn level_as_things_are(&self, state: &State, replicas: u32) -> f64 {
        let node = state.place.node;
        let now = self.level_in(state, replicas);
        let course = self.courses.get(&state.place.seat.node).and_then(|courses| courses.of(node));
        let beliefs = course.map(|course| course.beliefs(self.snapshot.at)).unwrap_or_default();
        if beliefs.is_empty() {
            return now;
        }
        let lasting: f64 = beliefs.iter().map(|(weight, state)| weight * self.level_in(state, replicas)).sum();
        NOW * now + (1.0 - NOW) * lasting
    }

    /// The same as it is now, whatever it was before.
    pub fn level_now(&self, seat: Seat, node: NodeId, replicas: u32) -> f64 {
        let state = State::of(&self.experience.predictor, self.snapshot, seat, node);
        state.map_or(0.0, |state| self.level_in(&state, replicas))
    }

    /// The same, were the node in this state.
    pub fn level_in(&self, state: &State, replicas: u32) -> f64 {
        self.level_beside(self.experience.predictor.rest(), state, replicas)
    }

    fn level_beside(&self, rest: Option<&Rest>, state: &State, replicas: u32) -> f64 {
        let place = &state.place;
        let (predictor, now) = (&self.experience.predictor, Some(self.snapshot.at));
        let mut forecast = predictor.forecast_beside(rest, place, state.latency, &self.wanted, now);
        let own = placement::consistency(replicas as usize, self.parameters.max_copies);
        let consistency = rest.map_or(own, |rest| rest.consistency(own));
        forecast.set(Metric::DataConsistency, Estimate::certain(consistency));
        let conditions = Conditions {
            ran_at: place.seat.away(),
            node: place.node,
            availability_percent: place.availability.value(),
            data_consistency: self.counts_replicas.then_some(consistency),
        };
        level(&self.parameters.goal, &forecast, self.jobs.outcomes(&conditions, self.snapshot.at))
    }

    /// For each number of replicas from 1 on that makes a difference.
    fn levels(&self, node: NodeId) -> Vec<f64> {
        let most = if self.counts_replicas { self.most() } else { 1 };
        (1..=most).map(|replicas| self.level(node, replicas)).collect()
    }

    /// More replicas than this change no level any more.
    fn most(&self) -> u32 {
        self.parameters.max_copies.saturating_add(1)
    }

    /// Whether nothing that an agent has seen says that a node cannot be read now.
    pub fn is_readable(&self, node: &NodeId) -> bool {
        !self.avoided.unreadable.contains(node)
    }

    /// Whether a replica can be brought to a node that will have none.
    pub fn is_open(&self, node: &Node) -> bool {
        self.travels
            && !self.avoided.unwritable.contains(&node.id)
            && self.snapshot.is_free(node)
            && self.bears(node.id)
    }

    /// Whether this agent's budgets bear that it brings one from any node.
    fn bears(&self, to: NodeId) -> bool {
        let over = |from| self.snapshot.over_budget(self.parameters.agent, Action::Copy { from, to });
        self.snapshot.books.is_none() || self.snapshot.placement.present().any(|row| over(row.node).is_none())
    }

    /// The same, by its number.
    pub fn is_open_at(&self, node: NodeId) -> bool {
        self.snapshot.nodes.get(&node).is_some_and(|node| self.is_open(node))
    }

    pub fn prices(&self) -> &BTreeMap<ActionType, f64> {
        &self.prices
    }

    /// What one more replica takes away from the sum of levels: to hold it, and to refresh it for an hour as often as its owner
    /// wrote until now. Who fetches as many bytes as a copy has pays for a copy.
    pub fn per_replica(&self) -> f64 {
        let data_set = &self.snapshot.data_set;
        let fetched = data_set.versions.expected_bytes(REFRESHED_FOR, self.snapshot.at);
        PER_REPLICA + self.cost(ActionType::Copy) * fetched / data_set.bytes.max(1) as f64
    }

    /// What an action takes away from the sum of levels.
    pub fn cost(&self, kind: ActionType) -> f64 {
        PER_COST * self.prices.get(&kind).copied().unwrap_or(0.0)
    }

    /// The nodes worth asking about, where a replica (or one less) would raise the level by more than it costs to get there, with
    /// whatever number of replicas suits best; and by how much the best of those that have none yet does, at least.
    pub fn worth_asking(&self, planned: &Planned, here: NodeId, now: f64) -> (BTreeSet<NodeId>, f64) {
        let replicas = planned.replicas();
        let counts = || 1..=if self.counts_replicas { (replicas + MORE).max(1) } else { 1 };
        let with = |levels: &[f64], count: u32| levels[(count as usize).min(levels.len()) - 1];
        let at_home = self.levels(here);
        // The way to so many replicas, one of them new.
        let way = |count: u32| match count.checked_sub(replicas).filter(|_| self.counts_replicas) {
            Some(0) => self.cost(ActionType::Move),
            Some(more) => f64::from(more) * self.cost(ActionType::Copy),
            None => {
                let fewer = if self.counts_replicas { f64::from(replicas - count) } else { 0.0 };
                self.cost(ActionType::Move).min(self.cost(ActionType::Copy)) + fewer * self.cost(ActionType::Evict)
            }
        };
        // Whoever makes a copy for the sake of the number goes back to where it reads well.
        let back = self.cost(ActionType::ChangeReference);
        let number = counts().filter(|count| *count > replicas).map(|count| (with(&at_home, count), way(count) + back));
        let number = number.reduce(better).filter(|_| self.counts_replicas);
        let mut worth: Vec<(NodeId, f64)> = Vec::new();
        let mut best_new: f64 = 0.0;
        for node in self.snapshot.nodes.values().filter(|node| !planned.set.contains(&node.id) && self.is_open(node)) {
            let levels = self.levels(node.id);
            let there = counts().map(|count| (with(&levels, count), way(count)));
            let Some((level, cost)) = there.chain(number).reduce(better) else { continue };
            if level - cost - now >= MARGIN {
                worth.push((node.id, level));
                best_new = best_new.max(level - now);
            }
        }
        if self.counts_replicas {
            for &node in &planned.set {
                let fee = if node == here { 0.0 } else { self.cost(ActionType::ChangeReference) };
                let levels = self.levels(node);
                let fewer = counts().filter(|count| *count < replicas);
                let fewer = fewer.map(|count| {
                    (with(&levels, count), f64::from(replicas - count) * self.cost(ActionType::Evict) + fee)
                });
                if let Some((level, cost)) = fewer.reduce(better)
                    && level - cost - now >= MARGIN
                {
                    worth.push((node, level));
                }
            }
        }
        (self.first(worth, ASKED), best_new)
    }

    /// The best of these nodes by level to one digit; then the own one, the nearest to everybody, the more available, the one
    /// with the lower number.
    fn first(&self, nodes: Vec<(NodeId, f64)>, count: usize) -> BTreeSet<NodeId> {
        let homes = self.homes();
        let key = |(node, level): (NodeId, f64)| {
            let available = self.snapshot.nodes.get(&node).map_or(0.0, |node| node.availability.value());
            let is_elsewhere = node != self.seat.node;
            ((level * 10.0).round(), is_elsewhere, self.distance(&homes, node), available, node)
        };
        let mut keyed: Vec<_> = nodes.into_iter().map(key).collect();
        keyed.sort_by(|a, b| {
            let by_level = b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            by_level.then(a.2.total_cmp(&b.2)).then(b.3.total_cmp(&a.3)).then(a.4.cmp(&b.4))
        });
        keyed.into_iter().take(count).map(|key| key.4).collect()
    }

    /// Where all jobs run, or some of many.
    fn homes(&self) -> Vec<NodeId> {
        let agents = &self.snapshot.agents;
        let step = agents.len().div_ceil(HOMES).max(1);
        agents.values().step_by(step).map(|peer| peer.seat().node).collect()
    }

    /// How far a node is from everybody, as far as the table knows it \[ms\]: what serves all is near all.
    fn distance(&self, homes: &[NodeId], node: NodeId) -> f64 {
        let others = homes.iter().filter(|home| **home != node);
        let known = others.filter_map(|home| self.snapshot.link(*home, node)).map(|link| link.latency_ms);
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), latency| (sum + latency, count + 1.0));
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// What to say of these nodes to who has heard all that was said before.
    pub fn reply(&self, planned: &Planned, here: NodeId, nodes: BTreeSet<NodeId>, said: &mut Said) -> Reply {
        let replicas = planned.replicas();
        let level = self.standing(here, replicas);
        let forecasts = said.news((here, replicas), self.changes(planned, here, &nodes));
        let named = self.named(planned, here, level, &nodes);
        Reply { level, nodes, forecasts, said: said.count(), named }
    }

    /// How the level would change at each of these nodes, for each number of replicas that matters.
    pub fn changes(
        &self,
        planned: &Planned,
        here: NodeId,
        nodes: &BTreeSet<NodeId>,
    ) -> BTreeMap<(NodeId, Option<u32>), f64> {
        let replicas = planned.replicas();
        let now = self.level(here, replicas);
        let counts: Vec<Option<u32>> = match self.counts_replicas {
            true => (1..=self.most()).map(Some).collect(),
            false => vec![None],
        };
        let change = |node: NodeId, count: Option<u32>| self.level(node, count.unwrap_or(replicas)) - now;
        nodes.iter().flat_map(|node| counts.iter().map(|count| ((*node, *count), change(*node, *count)))).collect()
    }

    /// Who is not content, or would not be with one replica more, names nodes that would suit it: nobody else can know them.
    fn named(&self, planned: &Planned, here: NodeId, level: f64, known: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let replicas = planned.replicas();
        let then = if self.counts_replicas { self.standing(here, replicas + 1) } else { level };
        if level.min(then) >= CONTENT {
            return BTreeSet::new();
        }
        let others = self.snapshot.nodes.values().filter(|node| !planned.set.contains(&node.id) && self.is_open(node));
        let suits = others.filter_map(|node| {
            let there = self.level(node.id, replicas + 1);
            (there - level.min(then) >= self.cost(ActionType::Copy) + MARGIN).then_some((node.id, there))
        });
        let best = self.first(suits.collect(), NAMED);
        best.difference(known).copied().collect()
    }
}

/// The level and the way to it that are worth more.
fn better(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    if b.0 - b.1 > a.0 - a.1 { b } else { a }
}
