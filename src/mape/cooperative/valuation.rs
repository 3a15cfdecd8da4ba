//! What a set of replicas is worth to everybody: each agent's best response to it, less what it costs to get there.

use super::{LOSS_FACTOR, PER_COST, PER_REPLICA};
use crate::domain::action::ActionType;
use crate::domain::ids::{AgentId, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// The nodes that hold a replica.
pub type ReplicaSet = BTreeSet<NodeId>;

/// How an agent's level would change.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Reading at a node while there are so many replicas (`None`: however many); what is not listed changes nothing.
    Said(BTreeMap<(NodeId, Option<u32>), f64>),
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
}

impl Reader {
    /// How its level would change.
    fn gain(&self, node: NodeId, replicas: u32, replicas_now: u32) -> f64 {
        match &self.answer {
            // The present state is no change by definition, whatever anybody says of it.
            _ if node == self.reads && replicas == replicas_now => 0.0,
            Answer::Said(gains) => {
                let said = gains.get(&(node, Some(replicas))).or_else(|| gains.get(&(node, None)));
                said.copied().unwrap_or(0.0)
            }
            Answer::Silent if node == self.reads => 0.0,
            Answer::Silent => -1.0,
        }
    }

    fn weighted(&self, node: NodeId, gain: f64) -> f64 {
        let weight = if node == self.reads { self.count_weight } else { self.place_weight };
        if gain >= 0.0 { weight * gain } else { LOSS_FACTOR * weight * gain.max(-self.budget) }
    }
}

impl Valuation<'_> {
    /// The best way to a set of replicas, which must not be empty: every dropped node is the source of a move or evicted,
    /// whatever is worth more.
    pub fn plan(&self, set: &ReplicaSet) -> Plan {
        let dropped: Vec<NodeId> = self.present.difference(set).copied().collect();
        let added: Vec<NodeId> = set.difference(self.present).copied().collect();
        let gains = self.gains(set);
        let mut best: Option<Plan> = None;
        each_matching(&dropped, &added, &mut BTreeMap::new(), &mut |moves| {
            let plan = self.plan_with(set, &gains, moves);
            if best.as_ref().is_none_or(|best| plan.value > best.value) {
                best = Some(plan);
            }
        });
        // There is always the matching without any move.
        best.unwrap_or_else(|| self.plan_with(set, &gains, &BTreeMap::new()))
    }

    /// What everybody staying and choosing among the present replicas is worth: what plans are compared with.
    pub fn base(&self) -> f64 {
        self.plan(self.present).value
    }

    fn cost(&self, kind: ActionType) -> f64 {
        PER_COST * self.costs.get(&kind).copied().unwrap_or(1.0)
    }

    /// Each reader's gain at each node of the set.
    fn gains(&self, set: &ReplicaSet) -> Vec<Vec<(NodeId, f64)>> {
        let (replicas, now) = (count(set), count(self.present));
        let of = |reader: &Reader| set.iter().map(|node| (*node, reader.gain(*node, replicas, now))).collect();
        self.readers.iter().map(of).collect()
    }

    fn plan_with(&self, set: &ReplicaSet, gains: &[Vec<(NodeId, f64)>], moves: &BTreeMap<NodeId, NodeId>) -> Plan {
        let mut copies: BTreeSet<NodeId> = set
            .iter()
            .filter(|node| !self.present.contains(node) && !moves.values().any(|to| to == *node))
            .copied()
            .collect();
        let evicts = self.present.iter().filter(|node| !set.contains(node) && !moves.contains_key(node)).count();
        let actions = moves.len() as f64 * self.cost(ActionType::Move)
            + copies.len() as f64 * self.cost(ActionType::Copy)
            + evicts as f64 * self.cost(ActionType::Evict);
        let mut value = -actions - PER_REPLICA * (set.len() as f64 - self.present.len() as f64);
        let mut responses = BTreeMap::new();
        // Whoever makes a copy reads it: the actor, and where it does not want to, the first other one that does.
        let is_actor = |reader: &Reader| reader.agent == self.actor;
        let actor_first = |(reader, _): &(&Reader, _)| !is_actor(reader);
        let mut readers: Vec<_> = self.readers.iter().zip(gains).collect();
        readers.sort_by_key(actor_first);
        for (reader, gains) in readers {
            let carried = moves.get(&reader.reads).copied().unwrap_or(reader.reads);
            let fee = |node| if node == carried { 0.0 } else { self.cost(ActionType::ChangeReference) };
            let fee_at_best = |node| if is_actor(reader) && copies.contains(&node) { 0.0 } else { fee(node) };
            let gained = |(node, gain): &(NodeId, f64)| (*node, gain - fee_at_best(*node));
            // Whoever gains nothing by it stays where it is.
            let (stays, goes): (Vec<_>, Vec<_>) = gains.iter().map(gained).partition(|(node, _)| *node == carried);
            let better = |best: (NodeId, f64), next: (NodeId, f64)| if next.1 > best.1 { next } else { best };
            let Some((node, mut gain)) = stays.into_iter().chain(goes).reduce(better) else { continue };
            if copies.remove(&node) && !is_actor(reader) {
                gain += fee(node);
            }
            value += reader.weighted(node, gain);
            responses.insert(reader.agent, node);
        }
        Plan { set: set.clone(), moves: moves.clone(), responses, value }
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
        Valuation { actor: AgentId(1), present: &present, readers, costs: &costs }.plan(&target)
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
        let readers = [reader(1, 3, &[(1, 0.5)]), Reader { answer: Answer::Said(said.into()), ..reader(2, 3, &[]) }];
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
