//! What a set of replicas is worth to everybody: each agent's best response to it, less what it costs to get there.

use super::said::Changes;
use super::{LOSS_FACTOR, PER_COST};
use crate::domain::action::ActionType;
use crate::domain::ids::{AgentId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Every way to move dropped replicas to new nodes is looked at, up to so many pairs of them.
const MATCHED: usize = 9;

/// The nodes that hold a replica.
pub type ReplicaSet = BTreeSet<NodeId>;

/// How an agent's level would change.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Reading at a node while there are so many replicas (`None`: however many); what is not listed changes nothing.
    Said(Changes),
    /// It did not answer: nobody may take away what it reads.
    Silent,
}

/// An agent as the one who plans sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Reader {
    pub agent: AgentId,
    /// Where it reads in the placement that is planned already.
    pub reads: NodeId,
    pub answer: Answer,
    /// How much its forecasts count: for the node that it reads, and for others.
    pub count_weight: f64,
    pub place_weight: f64,
    /// The most that it can lose.
    pub budget: f64,
}

/// A set of replicas, the way to it, and what each agent does then.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    pub set: ReplicaSet,
    /// From a node that is dropped to one that is new. New nodes that no move leads to get copies; dropped ones that no move
    /// takes are evicted.
    pub moves: BTreeMap<NodeId, NodeId>,
    /// Where each agent reads.
    pub responses: BTreeMap<AgentId, NodeId>,
    /// The weighted sum of the agents' gains, net of costs.
    pub value: f64,
}

/// What all plans of one decision start from.
#[derive(Clone, Copy, Debug)]
pub struct Valuation<'a> {
    pub actor: AgentId,
    /// The planned set: the present one with the running actions applied.
    pub present: &'a ReplicaSet,
    /// All living agents, also the actor, with its exact gains and weights of 1.
    pub readers: &'a [Reader],
    /// What actions cost.
    pub costs: &'a BTreeMap<ActionType, f64>,
    /// What a further replica takes away from the sum of levels: [`PER_REPLICA`](super::PER_REPLICA), and what its refreshes cost.
    pub per_replica: f64,
}

impl Reader {
    /// How its level would change, as it says itself.
    pub fn forecast(&self, node: NodeId, replicas: usize, replicas_now: usize) -> f64 {
        let count = |replicas| u32::try_from(replicas).unwrap_or(u32::MAX);
        self.gain(node, count(replicas), count(replicas_now))
    }

    /// How its level would change.
    fn gain(&self, node: NodeId, replicas: u32, replicas_now: u32) -> f64 {
        match &self.answer {
            // The present state is no change by definition, whatever anybody says of it.
            _ if node == self.reads && replicas == replicas_now => 0.0,
            Answer::Said(gains) => gains.of((node, Some(replicas))),
            Answer::Silent if node == self.reads => 0.0,
            Answer::Silent => -1.0,
        }
    }

    pub(super) fn weighted(&self, node: NodeId, gain: f64) -> f64 {
        let weight = if node == self.reads { self.count_weight } else { self.place_weight };
        if gain >= 0.0 { weight * gain } else { LOSS_FACTOR * weight * gain.max(-self.budget) }
    }
}

impl<'a> Valuation<'a> {
    /// The best way to a set of replicas, which must not be empty: every dropped node is the source of a move or evicted,
    /// whatever is worth more.
    pub fn plan(&self, set: &ReplicaSet) -> Plan {
        let all: ReplicaSet = self.present.union(set).copied().collect();
        let prepared = self.prepared(&all);
        prepared.plan(&prepared.worth(set))
    }

    /// With everybody's gains at all nodes that any plan may use.
    pub fn prepared(&'a self, all: &ReplicaSet) -> Prepared<'a> {
        Prepared { valuation: self, gains: Gains::new(self, all) }
    }

    pub(super) fn cost(&self, kind: ActionType) -> f64 {
        PER_COST * self.costs.get(&kind).copied().unwrap_or(1.0)
    }

    /// The readers with their positions, the actor first: whoever makes a copy reads it, and where the actor does not want to,
    /// the first other one that does.
    fn actor_first(&self) -> impl Iterator<Item = (usize, &'a Reader)> {
        let actor = self.actor;
        let readers = || self.readers.iter().enumerate();
        readers().filter(move |(_, one)| one.agent == actor).chain(readers().filter(move |(_, one)| one.agent != actor))
    }
}

/// A valuation of many sets, of which each is looked at quickly.
pub struct Prepared<'a> {
    pub valuation: &'a Valuation<'a>,
    pub(super) gains: Gains,
}

/// What a set is worth, and the way to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Worth {
    pub set: ReplicaSet,
    pub moves: BTreeMap<NodeId, NodeId>,
    /// Where the actor reads then.
    pub own: Option<NodeId>,
    /// A new replica that nobody would read: it is wanted for their number.
    pub unread: Option<NodeId>,
    pub value: f64,
}

impl Prepared<'_> {
    /// Of a set that is not empty.
    pub fn worth(&self, set: &ReplicaSet) -> Worth {
        let present = self.valuation.present;
        let dropped: Vec<NodeId> = present.difference(set).copied().collect();
        let added: Vec<NodeId> = set.difference(present).copied().collect();
        let columns = self.gains.columns(set);
        let mut best =
            Worth { set: set.clone(), moves: BTreeMap::new(), own: None, unread: None, value: f64::NEG_INFINITY };
        let mut look_at = |moves: &BTreeMap<NodeId, NodeId>| {
            let mut own = None;
            let (value, unread) = self.respond(set, &columns, moves, |agent, node| {
                if agent == self.valuation.actor {
                    own = Some(node);
                }
            });
            if value > best.value {
                (best.value, best.own, best.unread) = (value, own, unread);
                best.moves.clone_from(moves);
            }
        };
        if dropped.len() * added.len() <= MATCHED {
            each_matching(&dropped, &added, &mut BTreeMap::new(), &mut look_at);
        } else {
            look_at(&self.likely_moves(&columns, &dropped, &added));
        }
        best
    }

    /// Of many ways to move dropped replicas to new nodes the one that takes most of their readers where they want to go.
    fn likely_moves(
        &self,
        columns: &[(NodeId, usize)],
        dropped: &[NodeId],
        added: &[NodeId],
    ) -> BTreeMap<NodeId, NodeId> {
        let mut carried: BTreeMap<(NodeId, NodeId), u32> = BTreeMap::new();
        for (index, reader) in self.valuation.readers.iter().enumerate() {
            let row = self.gains.of(index);
            let best = columns.iter().copied().reduce(|a, b| if row[b.1] > row[a.1] { b } else { a });
            if let Some((best, _)) = best.filter(|_| dropped.contains(&reader.reads)) {
                *carried.entry((reader.reads, best)).or_default() += 1;
            }
        }
        let mut pairs: Vec<(u32, NodeId, NodeId)> = Vec::new();
        for from in dropped {
            pairs.extend(added.iter().map(|to| (carried.get(&(*from, *to)).copied().unwrap_or(0), *from, *to)));
        }
        pairs.sort_by_key(|(readers, from, to)| (std::cmp::Reverse(*readers), *from, *to));
        let mut moves: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for (_, from, to) in pairs {
            if !moves.contains_key(&from) && !moves.values().any(|taken| *taken == to) {
                moves.insert(from, to);
            }
        }
        moves
    }

    /// The same with everybody's best response.
    pub fn plan(&self, worth: &Worth) -> Plan {
        let Worth { set, moves, .. } = worth;
        let columns = self.gains.columns(set);
        let mut responses = BTreeMap::new();
        let (value, _) = self.respond(set, &columns, moves, |agent, node| _ = responses.insert(agent, node));
        Plan { set: set.clone(), moves: moves.clone(), responses, value }
    }

    /// What everybody staying and choosing among the present replicas is worth: what plans are compared with.
    pub fn base(&self) -> f64 {
        self.worth(self.valuation.present).value
    }

    /// Everybody reads where it is best for it; the weighted sum of what they gain, net of costs; and a new replica that nobody
    /// would read.
    fn respond(
        &self,
        set: &ReplicaSet,
        columns: &[(NodeId, usize)],
        moves: &BTreeMap<NodeId, NodeId>,
        mut respond: impl FnMut(AgentId, NodeId),
    ) -> (f64, Option<NodeId>) {
        let valuation = self.valuation;
        let present = valuation.present;
        let is_new = |node: &&NodeId| !present.contains(node) && !moves.values().any(|to| to == *node);
        let mut copies: BTreeSet<NodeId> = set.iter().filter(is_new).copied().collect();
        let evicts = present.iter().filter(|node| !set.contains(node) && !moves.contains_key(node)).count();
        let actions = moves.len() as f64 * valuation.cost(ActionType::Move)
            + copies.len() as f64 * valuation.cost(ActionType::Copy)
            + evicts as f64 * valuation.cost(ActionType::Evict);
        let mut value = -actions - valuation.per_replica * (set.len() as f64 - present.len() as f64);
        let change = valuation.cost(ActionType::ChangeReference);
        for (index, reader) in valuation.actor_first() {
            let is_actor = reader.agent == valuation.actor;
            let carried = moves.get(&reader.reads).copied().unwrap_or(reader.reads);
            let fee = |node| if node == carried { 0.0 } else { change };
            let row = self.gains.of(index);
            let mut best: Option<(NodeId, f64)> = None;
            for &(node, column) in columns {
                let is_free = is_actor && copies.contains(&node);
                let gain = row[column] - if is_free { 0.0 } else { fee(node) };
                // Whoever gains nothing by it stays where it is.
                let is_better = best.is_none_or(|(_, other)| gain > other || gain == other && node == carried);
                if is_better {
                    best = Some((node, gain));
                }
            }
            let Some((node, mut gain)) = best else { continue };
            if copies.remove(&node) && !is_actor {
                gain += fee(node);
            }
            value += reader.weighted(node, gain);
            respond(reader.agent, node);
        }
        // Somebody has to make what nobody reads, and to go back.
        value -= change * copies.len() as f64;
        (value, copies.first().copied())
    }
}

/// Each reader's gain at each node, for each number of replicas that makes a difference to anybody.
pub(super) struct Gains {
    nodes: Vec<NodeId>,
    /// Numbers of replicas from which on something is another than with fewer.
    counts: Vec<u32>,
    /// By reader, node and number of replicas.
    values: Vec<f64>,
}

impl Gains {
    fn new(valuation: &Valuation, all: &ReplicaSet) -> Self {
        let now = count(valuation.present);
        let nodes: Vec<NodeId> = all.iter().copied().collect();
        let mut counts: BTreeSet<u32> = [1, now, now + 1].into();
        for reader in valuation.readers {
            if let Answer::Said(gains) = &reader.answer {
                counts.extend(gains.iter().filter_map(|((_, count), _)| count));
            }
        }
        let counts: Vec<u32> = counts.into_iter().collect();
        let mut values = Vec::with_capacity(valuation.readers.len() * nodes.len() * counts.len());
        for reader in valuation.readers {
            for node in &nodes {
                match &reader.answer {
                    // Of most nodes most say nothing.
                    Answer::Said(gains) if !gains.mention(*node) => values.extend(counts.iter().map(|_| 0.0)),
                    Answer::Said(_) | Answer::Silent => {
                        values.extend(counts.iter().map(|count| reader.gain(*node, *count, now)));
                    }
                }
            }
        }
        Self { nodes, counts, values }
    }

    /// Where the gains at the nodes of a set are in a reader's row.
    fn columns(&self, set: &ReplicaSet) -> Vec<(NodeId, usize)> {
        self.columns_of(set, set.len())
    }

    /// The same of any nodes, with so many replicas.
    pub(super) fn columns_of<'n>(
        &self,
        nodes: impl IntoIterator<Item = &'n NodeId>,
        replicas: usize,
    ) -> Vec<(NodeId, usize)> {
        let offset = self.counts.partition_point(|from| *from as usize <= replicas).saturating_sub(1);
        let place = |node: &NodeId| Some((*node, self.nodes.binary_search(node).ok()? * self.counts.len() + offset));
        nodes.into_iter().filter_map(place).collect()
    }

    pub(super) fn of(&self, reader: usize) -> &[f64] {
        let width = self.nodes.len() * self.counts.len();
        &self.values[reader * width..(reader + 1) * width]
    }
}

fn count(set: &ReplicaSet) -> u32 {
    u32::try_from(set.len()).unwrap_or(u32::MAX)
}

/// Every way to move some of the dropped replicas to new nodes, each to another one.
fn each_matching(
    dropped: &[NodeId],
    added: &[NodeId],
    moves: &mut BTreeMap<NodeId, NodeId>,
    visit: &mut impl FnMut(&BTreeMap<NodeId, NodeId>),
) {
    let Some((from, others)) = dropped.split_first() else { return visit(moves) };
    each_matching(others, added, moves, visit);
    for to in added {
        if !moves.values().any(|taken| taken == to) {
            moves.insert(*from, *to);
            each_matching(others, added, moves, visit);
            moves.remove(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PER_REPLICA;
    use super::*;

    const COSTS: [(ActionType, f64); 3] = [(ActionType::Move, 1.5), (ActionType::Copy, 1.8), (ActionType::Evict, 0.5)];

    fn set<const N: usize>(nodes: [u32; N]) -> ReplicaSet {
        nodes.map(NodeId).into()
    }

    /// Agent N gains so much at each node, however many replicas there are.
    fn reader(agent: u32, reads: u32, gains: &[(u32, f64)]) -> Reader {
        let gains = gains.iter().map(|(node, gain)| ((NodeId(*node), None), *gain)).collect();
        Reader {
            agent: AgentId(agent),
            reads: NodeId(reads),
            answer: Answer::Said(gains),
            count_weight: 1.0,
            place_weight: 1.0,
            budget: 1.0,
        }
    }

    fn plan(present: ReplicaSet, readers: &[Reader], target: ReplicaSet) -> Plan {
        let costs = COSTS.into();
        Valuation { actor: AgentId(1), present: &present, readers, costs: &costs, per_replica: PER_REPLICA }
            .plan(&target)
    }

    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn a_move_carries_its_readers() {
        let readers = [reader(1, 3, &[(1, 0.5)]), reader(2, 3, &[(1, -0.25)])];
        let plan = plan(set([3]), &readers, set([1]));
        assert_eq!(plan.moves, [(NodeId(3), NodeId(1))].into());
        check(plan.value, 0.5 - 1.1 * 0.25 - 0.015);
    }

    #[test]
    fn a_copy_is_read_by_whoever_makes_it_and_others_pay_to_change() {
        let readers = [reader(1, 3, &[(1, 0.5)]), reader(2, 3, &[(1, 0.5)]), reader(4, 3, &[(1, -0.5)])];
        let plan = plan(set([3]), &readers, set([1, 3]));
        assert_eq!(plan.moves, BTreeMap::new());
        let reads = |agent| plan.responses[&AgentId(agent)].0;
        assert_eq!((reads(1), reads(2), reads(4)), (1, 1, 3));
        check(plan.value, 0.5 + (0.5 - 0.01) + 0.0 - 0.018 - 0.012);
    }

    #[test]
    fn a_copy_for_somebody_else_costs_that_reader_no_change() {
        let readers = [reader(1, 3, &[]), reader(2, 3, &[(1, 0.5)])];
        check(plan(set([3]), &readers, set([1, 3])).value, 0.5 - 0.018 - 0.012);
    }

    #[test]
    fn the_number_of_replicas_matters_to_who_says_so() {
        let said = [((NodeId(3), Some(2)), -0.5), ((NodeId(3), Some(1)), 0.9), ((NodeId(1), None), -0.9)];
        let readers = [
            reader(1, 3, &[(1, 0.5)]),
            Reader { answer: Answer::Said(said.into_iter().collect()), ..reader(2, 3, &[]) },
        ];
        check(plan(set([3]), &readers, set([1, 3])).value, 0.5 - 1.1 * 0.5 - 0.018 - 0.012);
        // What is said of the present state counts for nothing.
        check(plan(set([3]), &readers, set([3])).value, 0.0);
    }

    #[test]
    fn nobody_takes_away_what_a_silent_agent_reads() {
        let readers = [reader(1, 3, &[(1, 0.8)]), Reader { answer: Answer::Silent, ..reader(2, 3, &[]) }];
        assert!(plan(set([3]), &readers, set([1])).value < 0.0);
        check(plan(set([3]), &readers, set([1, 3])).value, 0.8 - 0.018 - 0.012);
    }

    #[test]
    fn losses_are_limited_by_the_budget_and_weakened_by_distrust() {
        let poor = Reader { budget: 0.25, ..reader(2, 3, &[(1, -1.0)]) };
        check(plan(set([3]), &[poor], set([1])).value, -1.1 * 0.25 - 0.015);
        let liar = Reader { place_weight: 0.5, ..reader(2, 3, &[(1, -1.0)]) };
        check(plan(set([3]), &[liar], set([1])).value, -1.1 * 0.5 - 0.015);
    }

    #[test]
    fn a_dropped_replica_that_is_moved_costs_less_than_a_copy_and_an_evict() {
        let readers = [reader(1, 3, &[(1, 0.5), (2, 0.5)])];
        let plan = plan(set([2, 3]), &readers, set([1, 2]));
        assert_eq!(plan.moves, [(NodeId(3), NodeId(1))].into());
    }
}
