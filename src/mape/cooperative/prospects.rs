//! How content an agent would be anywhere, and what it tells others of that: forecasts, and nodes that would suit it.

use super::jobs::{Conditions, Jobs};
use super::said::Said;
use super::{MARGIN, PER_COST, Planned, level};
use crate::domain::action::ActionType;
use crate::domain::ask::Reply;
use crate::domain::ids::{AgentId, NodeId};
use crate::domain::metric::{Metric, Metrics};
use crate::domain::placement::{self, Node};
use crate::domain::snapshot::Snapshot;
use crate::mape::planner::{Experience, Parameters, View};
use crate::mape::prediction::{self, Estimate, Wanted};
use std::collections::{BTreeMap, BTreeSet};

/// Whoever is content to this degree, also with one replica more, names no nodes.
const CONTENT: f64 = 0.9;
/// So many nodes an agent names in an answer.
const NAMED: usize = 2;
/// So many nodes an agent asks about.
const ASKED: usize = 6;
/// Forecasts are for so many replicas less, up to so many more, than there will be: no plan goes further at once.
pub const LESS: u32 = 3;
pub const MORE: u32 = 3;

/// One agent's levels, as things stand.
pub struct Prospects<'a> {
    parameters: &'a Parameters,
    experience: &'a Experience,
    snapshot: &'a Snapshot,
    jobs: &'a Jobs,
    /// Nodes that could not be read or written a moment ago.
    avoided: &'a BTreeSet<NodeId>,
    wanted: Wanted,
    /// The goal depends on how many replicas there are.
    pub counts_replicas: bool,
}

impl<'a> Prospects<'a> {
    pub fn new(view: &View<'a>, jobs: &'a Jobs, avoided: &'a BTreeSet<NodeId>) -> Self {
        let goal = &view.parameters.goal;
        let mentioned: Metrics =
            Metric::ALL.into_iter().filter(|one| goal.mentions(*one)).map(|one| (one, 1.0)).collect();
        Self {
            parameters: view.parameters,
            experience: view.experience,
            snapshot: view.snapshot,
            jobs,
            avoided,
            wanted: Wanted::of(&mentioned),
            counts_replicas: goal.mentions(Metric::DataConsistency),
        }
    }

    /// Reading at a node while there are so many replicas: 0 to 1.
    pub fn level(&self, node: NodeId, replicas: u32) -> f64 {
        let place = prediction::place_of(self.snapshot, self.parameters.home, node);
        let Some(place) = place.filter(|_| !self.avoided.contains(&node)) else { return 0.0 };
        let mut forecast = self.experience.predictor.forecast(&place, &self.wanted);
        let consistency = placement::consistency(replicas as usize, self.parameters.max_copies);
        forecast.set(Metric::DataConsistency, Estimate::certain(consistency));
        let conditions = Conditions {
            node,
            availability_percent: place.availability.value(),
            data_consistency: self.counts_replicas.then_some(consistency),
        };
        level(&self.parameters.goal, &forecast, self.jobs.outcomes(&conditions))
    }

    /// Whether a replica can be brought to a node that will have none.
    pub fn is_open(&self, node: &Node) -> bool {
        !self.avoided.contains(&node.id) && self.snapshot.is_free(node)
    }

    /// The same, by its number.
    pub fn is_open_at(&self, node: NodeId) -> bool {
        self.snapshot.nodes.get(&node).is_some_and(|node| self.is_open(node))
    }

    fn cost(&self, kind: ActionType) -> f64 {
        PER_COST * self.parameters.cost(kind)
    }

    /// The nodes worth asking about, where reading would raise the level by more than it costs to get there; and by how much
    /// the best of those that have no replica yet does, at least.
    pub fn worth_asking(&self, planned: &Planned, here: NodeId, now: f64) -> (BTreeSet<NodeId>, f64) {
        let replicas = planned.replicas();
        let mut worth: Vec<(NodeId, f64)> = Vec::new();
        let mut best_new: f64 = 0.0;
        for node in self.snapshot.nodes.values().filter(|node| !planned.set.contains(&node.id) && self.is_open(node)) {
            let moved = self.level(node.id, replicas);
            let copied = if self.counts_replicas { self.level(node.id, replicas + 1) } else { moved };
            let gain = (moved - self.cost(ActionType::Move)).max(copied - self.cost(ActionType::Copy)) - now;
            if gain >= MARGIN {
                worth.push((node.id, moved.max(copied)));
                best_new = best_new.max(moved.max(copied) - now);
            }
        }
        if self.counts_replicas {
            for &node in &planned.set {
                let fee = if node == here { 0.0 } else { self.cost(ActionType::ChangeReference) };
                let fewer = (1..=LESS.min(replicas.saturating_sub(1))).map(|less| {
                    let evicted = f64::from(less) * self.cost(ActionType::Evict);
                    (self.level(node, replicas - less), evicted)
                });
                let best = fewer.max_by(|a, b| (a.0 - a.1).total_cmp(&(b.0 - b.1)));
                if let Some((level, evicted)) = best
                    && level - now - evicted - fee >= MARGIN
                {
                    worth.push((node, level));
                }
            }
        }
        (self.first(worth, ASKED), best_new)
    }

    /// The best of these nodes by level to one digit; then the own one, the more available, the one with the lower number.
    fn first(&self, mut nodes: Vec<(NodeId, f64)>, count: usize) -> BTreeSet<NodeId> {
        let available = |node: &NodeId| self.snapshot.nodes.get(node).map_or(0.0, |node| node.availability.value());
        nodes.sort_by(|(a, level_a), (b, level_b)| {
            let digit = |level: f64| (level * 10.0).round();
            let is_elsewhere = |node: NodeId| node != self.parameters.home;
            digit(*level_b)
                .total_cmp(&digit(*level_a))
                .then(is_elsewhere(*a).cmp(&is_elsewhere(*b)))
                .then(available(b).total_cmp(&available(a)))
                .then(a.cmp(b))
        });
        nodes.into_iter().take(count).map(|(node, _)| node).collect()
    }

    /// What to say of these nodes to who has heard all that was said before.
    pub fn reply(&self, planned: &Planned, here: NodeId, nodes: BTreeSet<NodeId>, said: &mut Said) -> Reply {
        let replicas = planned.replicas();
        let level = self.level(here, replicas);
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
            true => (replicas.saturating_sub(LESS).max(1)..=replicas + MORE).map(Some).collect(),
            false => vec![None],
        };
        let change = |node: NodeId, count: Option<u32>| self.level(node, count.unwrap_or(replicas)) - now;
        nodes.iter().flat_map(|node| counts.iter().map(|count| ((*node, *count), change(*node, *count)))).collect()
    }

    /// Who is not content, or would not be with one replica more, names nodes that would suit it: nobody else can know them.
    fn named(&self, planned: &Planned, here: NodeId, level: f64, known: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let replicas = planned.replicas();
        let then = if self.counts_replicas { self.level(here, replicas + 1) } else { level };
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

/// Who of the readers of a data set is heard of, and so is asked.
pub fn living<'a>(view: &View<'a>, planned: &'a Planned) -> impl Iterator<Item = (AgentId, NodeId)> + 'a {
    let (snapshot, silence) = (view.snapshot, view.parameters.silence);
    let alive = planned.reads.iter().filter(move |(agent, _)| snapshot.is_alive(**agent, silence));
    alive.map(|(agent, node)| (*agent, *node))
}
