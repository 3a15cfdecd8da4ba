//! The set of replicas that is worth most, and the step towards it that is the actor's own.

use super::MARGIN;
use super::prospects::MORE;
use super::valuation::{Plan, Prepared, ReplicaSet, Valuation, Worth};
use crate::domain::action::Action;
use crate::domain::constraints::Constraints;
use crate::domain::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many nodes every set is looked at.
const EXHAUSTIVE_NODES: usize = 6;
const EXHAUSTIVE_NEW: usize = 4;
/// Beyond, sets are changed by one node at a time, at most so often and so far (I-7).
const LOCAL_STEPS: usize = 6;
const LOCAL_NEW: usize = 5;
/// With more readers than these, only the most promising of all changes are looked at closely.
const CROWD: usize = 64;
const PROMISING: usize = 6;
/// Among so many replicas, every way to drop several is looked at, and the best ones are starts.
const THINNED_NODES: usize = 8;
const THINNED_STARTS: usize = 3;
const THINNED: usize = 3;
/// Sets are grown from nothing up to so many nodes.
const GROWN: usize = 3;

/// A plan that is worth carrying out.
#[derive(Clone, PartialEq, Debug)]
pub struct Accepted {
    pub plan: Plan,
    /// How much more it is worth than the present set, all told: at least the margin.
    pub gain: f64,
    /// The actor's own step; `None`: the plan serves others, who named its nodes and will take it up.
    pub step: Option<Action>,
}

/// The best plan over the present nodes and those asked about, if it is worth it. `own`: nodes that would suit the actor;
/// `returns`: what going back costs to a set of replicas that was left lately. No set is planned that the constraints forbid.
pub fn plan(
    valuation: &Valuation,
    asked: &BTreeSet<NodeId>,
    own: &BTreeSet<NodeId>,
    returns: &BTreeMap<ReplicaSet, f64>,
    constraints: &Constraints,
) -> Option<Accepted> {
    let all: ReplicaSet = valuation.present.union(asked).copied().collect();
    let prepared = valuation.prepared(&all);
    let search = Search { valuation, base: prepared.base(), prepared: &prepared, returns, constraints };
    let best = match all.len() <= EXHAUSTIVE_NODES {
        true => search.exhaustive(&all),
        false => search.local(&all, own),
    };
    let Found { worth, gain, step } = best.filter(|best| best.gain >= MARGIN)?;
    Some(Accepted { plan: prepared.plan(&worth), gain, step })
}

/// What the actor itself does of a plan.
fn own_step(valuation: &Valuation, plan: &Worth) -> Option<Action> {
    let reads = valuation.readers.iter().find(|reader| reader.agent == valuation.actor)?.reads;
    let best = plan.own?;
    if !valuation.present.contains(&best) {
        let moved = plan.moves.iter().find(|(_, to)| **to == best);
        return Some(match moved {
            Some((&from, &to)) => Action::Move { from, to },
            None => Action::Copy { from: reads, to: best },
        });
    }
    if best != reads {
        return Some(Action::ChangeReference { to: best });
    }
    let evicted = valuation.present.iter().find(|node| !plan.set.contains(node) && !plan.moves.contains_key(node));
    let evicted = evicted.map(|node| Action::Evict { node: *node });
    // What nobody would read, nobody else will make.
    evicted.or_else(|| plan.unread.map(|to| Action::Copy { from: reads, to }))
}

/// A set that was looked at.
struct Found {
    worth: Worth,
    gain: f64,
    step: Option<Action>,
}

struct Search<'a> {
    valuation: &'a Valuation<'a>,
    prepared: &'a Prepared<'a>,
    base: f64,
    returns: &'a BTreeMap<ReplicaSet, f64>,
    constraints: &'a Constraints,
}

impl Search<'_> {
    fn look_at(&self, set: &ReplicaSet) -> Found {
        let worth = self.prepared.worth(set);
        let step = own_step(self.valuation, &worth);
        let returns = self.of_return(set).max(self.of_return(&after(self.valuation.present, step)));
        let gain = match self.constraints.allow(self.valuation.present, set) {
            true => worth.value - self.base - returns,
            false => f64::NEG_INFINITY,
        };
        Found { worth, gain, step }
    }

    /// The present set is where everybody is: it is not returned to.
    fn of_return(&self, set: &ReplicaSet) -> f64 {
        if set == self.valuation.present { 0.0 } else { self.returns.get(set).copied().unwrap_or(0.0) }
    }

    fn exhaustive(&self, all: &ReplicaSet) -> Option<Found> {
        let nodes: Vec<NodeId> = all.iter().copied().collect();
        let subset = |bits: u32| -> ReplicaSet {
            nodes.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, node)| *node).collect()
        };
        let sets = (1..1_u32 << nodes.len()).map(subset);
        let small = sets.filter(|set| set.difference(self.valuation.present).count() <= EXHAUSTIVE_NEW);
        small.map(|set| self.look_at(&set)).reduce(better)
    }

    /// From the present set, and from each first step that the actor could take for itself: what hurts others is then repaired
    /// rather than undone.
    fn local(&self, all: &ReplicaSet, own: &BTreeSet<NodeId>) -> Option<Found> {
        let present = self.valuation.present;
        let reads =
            self.valuation.readers.iter().find(|reader| reader.agent == self.valuation.actor).map(|actor| actor.reads);
        let mut starts = vec![(present.clone(), None)];
        for &node in own.iter().filter(|node| !present.contains(node)) {
            let copied: ReplicaSet = present.iter().copied().chain([node]).collect();
            let moved = copied.iter().copied().filter(|other| Some(*other) != reads).collect();
            starts.extend([(copied, Some(node)), (moved, Some(node))]);
        }
        starts.extend(self.thinned().into_iter().map(|set| (set, None)));
        starts.extend(self.grown(all).into_iter().map(|set| (set, None)));
        starts.extend(self.more(all).into_iter().map(|set| (set, None)));
        starts.into_iter().map(|(start, forced)| self.climb(all, &start, forced)).reduce(better)
    }

    /// The best ways to drop several replicas at once: dropping them one by one, each drop may be a loss but the last.
    fn thinned(&self) -> Vec<ReplicaSet> {
        let present: Vec<NodeId> = self.valuation.present.iter().copied().collect();
        if present.len() > THINNED_NODES {
            return Vec::new();
        }
        let dropped = (1..1_u32 << present.len()).filter(|bits| (2..=THINNED).contains(&(bits.count_ones() as usize)));
        let kept = |bits: u32| -> ReplicaSet {
            present.iter().enumerate().filter(|(i, _)| bits & (1 << i) == 0).map(|(_, node)| *node).collect()
        };
        let sets = dropped.map(kept).filter(|set| !set.is_empty());
        let mut looked_at: Vec<Found> = sets.map(|set| self.look_at(&set)).collect();
        looked_at.sort_by(|a, b| b.gain.total_cmp(&a.gain).then_with(|| a.worth.set.cmp(&b.worth.set)));
        looked_at.into_iter().take(THINNED_STARTS).map(|one| one.worth.set).collect()
    }

    /// The best single node, and what comes of it by adding the best next one: far from the present set, where fewer replicas,
    /// elsewhere, serve everybody.
    fn grown(&self, all: &ReplicaSet) -> Vec<ReplicaSet> {
        let mut grown: Vec<ReplicaSet> = Vec::new();
        for _ in 0..GROWN {
            let from = grown.last().cloned().unwrap_or_default();
            let with = |node: &NodeId| from.iter().copied().chain([*node]).collect::<ReplicaSet>();
            let next = all.difference(&from).map(|node| self.look_at(&with(node))).reduce(better);
            let Some(next) = next else { break };
            grown.push(next.worth.set);
        }
        grown
    }

    /// Several new replicas at once: where their number matters, each by itself may be worth nothing.
    fn more(&self, all: &ReplicaSet) -> Vec<ReplicaSet> {
        let present = self.valuation.present;
        let new: Vec<NodeId> = all.difference(present).copied().collect();
        let with = |more: usize| present.iter().copied().chain(new.iter().copied().take(more)).collect();
        (2..=new.len().min(MORE as usize)).map(with).collect()
    }

    fn climb(&self, all: &ReplicaSet, start: &ReplicaSet, forced: Option<NodeId>) -> Found {
        let mut best = self.look_at(start);
        for _ in 0..LOCAL_STEPS {
            let around = match self.valuation.readers.len() > CROWD {
                true => self.prepared.promising(all, &best.worth.set, PROMISING),
                false => neighbours(all, &best.worth.set),
            };
            let around = around.into_iter();
            let allowed = around.filter(|set| self.is_near(set) && forced.is_none_or(|node| set.contains(&node)));
            let Some(next) = allowed.map(|set| self.look_at(&set)).reduce(better) else { break };
            if next.gain <= best.gain {
                break;
            }
            best = next;
        }
        best
    }

    fn is_near(&self, set: &ReplicaSet) -> bool {
        let present = self.valuation.present;
        !set.is_empty() && set.difference(present).count() <= LOCAL_NEW
    }
}

/// The greater gain; ties by fewer replicas, then by lower ids, so that everybody decides them the same way.
fn better(a: Found, b: Found) -> Found {
    let by_gain = b.gain.total_cmp(&a.gain);
    let (set_a, set_b) = (&a.worth.set, &b.worth.set);
    let order = by_gain.then(set_a.len().cmp(&set_b.len())).then_with(|| set_a.cmp(set_b));
    if order.is_le() { a } else { b }
}

/// One node more, one less, or one exchanged for another.
fn neighbours(all: &ReplicaSet, set: &ReplicaSet) -> Vec<ReplicaSet> {
    let without = |node: &NodeId| set.iter().copied().filter(|other| other != node).collect::<ReplicaSet>();
    let with = |set: &ReplicaSet, node: &NodeId| set.iter().copied().chain([*node]).collect::<ReplicaSet>();
    let others: Vec<&NodeId> = all.difference(set).collect();
    let added = others.iter().map(|node| with(set, node));
    let dropped: Vec<ReplicaSet> = set.iter().map(without).collect();
    let swapped = dropped.iter().flat_map(|set| others.iter().map(|node| with(set, node)));
    added.chain(swapped).chain(dropped.iter().cloned()).collect()
}

/// The present set after the actor's own step.
fn after(present: &ReplicaSet, step: Option<Action>) -> ReplicaSet {
    let (gone, new) = match step {
        Some(Action::Move { from, to }) => (Some(from), Some(to)),
        Some(Action::Copy { to, .. }) => (None, Some(to)),
        Some(Action::Evict { node }) => (Some(node), None),
        Some(Action::ChangeReference { .. } | Action::Restore { .. } | Action::MoveWork { .. } | Action::Nothing)
        | None => (None, None),
    };
    present.iter().copied().filter(|node| Some(*node) != gone).chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::super::said::Changes;
    use super::super::valuation::{Answer, Reader};
    use super::super::{LOSS_FACTOR, PER_COST, PER_REPLICA, PER_RETURN};
    use super::*;
    use crate::domain::action::ActionType;
    use crate::domain::ids::AgentId;
    use proptest::prelude::*;

    const COSTS: [(ActionType, f64); 3] = [(ActionType::Move, 1.5), (ActionType::Copy, 1.8), (ActionType::Evict, 0.5)];
    const ACTOR: AgentId = AgentId(1);

    fn set(nodes: &[u32]) -> ReplicaSet {
        nodes.iter().copied().map(NodeId).collect()
    }

    fn reader(agent: u32, reads: u32, gains: &[(u32, f64)]) -> Reader {
        Reader {
            agent: AgentId(agent),
            reads: NodeId(reads),
            answer: Answer::Said(gains.iter().map(|(node, gain)| ((NodeId(*node), None), *gain)).collect()),
            count_weight: 1.0,
            place_weight: 1.0,
            budget: 1.0,
        }
    }

    fn decide(present: &[u32], readers: &[Reader], asked: &[u32], left: &[(&[u32], u32)]) -> Option<Accepted> {
        let (present, costs) = (set(present), COSTS.into());
        let valuation = Valuation { actor: ACTOR, present: &present, readers, costs: &costs, per_replica: PER_REPLICA };
        let left = left.iter().map(|(nodes, times)| (set(nodes), PER_RETURN * f64::from(*times).powi(2))).collect();
        plan(&valuation, &set(asked), &set(asked), &left, &Constraints::default())
    }

    /// Agent 1 wants the data at node 1, agent 2 to keep it at node 3, agent 4 has its own wish.
    fn rivals() -> [Reader; 2] {
        [reader(1, 3, &[(1, 0.9)]), reader(2, 3, &[(1, -0.9), (2, -0.9)])]
    }

    #[test]
    fn what_would_hurt_another_becomes_a_copy() {
        let accepted = decide(&[3], &rivals(), &[1, 2], &[]).unwrap();
        assert_eq!(accepted.plan.set, set(&[1, 3]));
        assert_eq!(accepted.step, Some("C3_1".parse().unwrap()));
    }

    #[test]
    fn what_hurts_nobody_is_a_move() {
        let accepted = decide(&[3], &rivals()[..1], &[1, 2], &[]).unwrap();
        assert_eq!((accepted.plan.set, accepted.step), (set(&[1]), Some("M3_1".parse().unwrap())));
    }

    #[test]
    fn what_is_no_gain_to_speak_of_is_refused() {
        assert_eq!(decide(&[3], &[reader(1, 3, &[(1, 0.015)])], &[1], &[]), None);
        assert!(decide(&[3], &[reader(1, 3, &[(1, 0.021)])], &[1], &[]).is_some());
    }

    #[test]
    fn an_even_trade_is_refused() {
        let both_have_one_place =
            |gain| Answer::Said([((NodeId(1), Some(1)), gain), ((NodeId(3), Some(2)), -1.0)].into_iter().collect());
        let readers = [
            Reader { answer: both_have_one_place(0.9), ..reader(1, 3, &[]) },
            Reader { answer: both_have_one_place(-0.9), ..reader(2, 3, &[]) },
        ];
        assert_eq!(decide(&[3], &readers, &[1], &[]), None);
    }

    #[test]
    fn ties_go_to_the_lower_node() {
        let accepted = decide(&[3], &[reader(1, 3, &[(1, 0.5), (2, 0.5)])], &[1, 2], &[]).unwrap();
        assert_eq!(accepted.step, Some("M3_1".parse().unwrap()));
    }

    #[test]
    fn a_set_that_was_left_often_is_not_returned_to() {
        let one = [reader(1, 3, &[(1, 0.9), (2, 0.5)])];
        let step = |left: &[(&[u32], u32)]| decide(&[3], &one, &[1, 2], left).unwrap().step.unwrap().to_string();
        assert_eq!(step(&[(&[1], 1)]), "C3_1", "rather with one replica more");
        assert_eq!(step(&[(&[1], 1), (&[1, 3], 1)]), "M3_1", "0.25 less, and still the best");
        assert_eq!(step(&[(&[1], 2), (&[1, 3], 2)]), "M3_2");
    }

    #[test]
    fn the_rest_of_a_plan_is_left_to_those_whom_it_serves() {
        let readers = [reader(1, 3, &[]), reader(2, 3, &[(2, 0.9)]), reader(4, 3, &[(2, -0.9)])];
        let accepted = decide(&[3], &readers, &[2], &[]).unwrap();
        assert_eq!((accepted.plan.set, accepted.step), (set(&[2, 3]), None));
    }

    #[test]
    fn what_constraints_forbid_is_not_planned() {
        let constrained = |present: &[u32], readers: &[Reader], written: &str| {
            let (present, costs) = (set(present), COSTS.into());
            let valuation =
                Valuation { actor: ACTOR, present: &present, readers, costs: &costs, per_replica: PER_REPLICA };
            let constraints = serde_json::from_str(written).unwrap();
            let accepted = plan(&valuation, &set(&[1, 2]), &set(&[1, 2]), &BTreeMap::new(), &constraints);
            accepted.map(|accepted| accepted.plan.set)
        };
        assert_eq!(
            constrained(&[3], &rivals()[..1], r#"{"must":[3]}"#),
            Some(set(&[1, 3])),
            "a copy in place of the move"
        );
        assert_eq!(constrained(&[3], &rivals(), r#"{"max_replicas":1}"#), None, "neither may be hurt");
        assert_eq!(constrained(&[2, 3], &[reader(1, 3, &[])], r#"{"min_replicas":2}"#), None);
    }

    #[test]
    fn what_nobody_needs_is_evicted() {
        let accepted = decide(&[2, 3], &[reader(1, 3, &[])], &[], &[]).unwrap();
        assert_eq!((accepted.plan.set, accepted.step), (set(&[3]), Some("E2".parse().unwrap())));
    }

    #[test]
    fn in_a_large_network_a_step_that_hurts_is_repaired() {
        // Whoever asks is served by a move to node 1; agent 2 then needs node 2, agent 4 node 4.
        let readers = [
            reader(1, 9, &[(1, 0.9)]),
            reader(2, 9, &[(1, -0.9), (2, 0.0), (4, -0.9)]),
            reader(4, 9, &[(1, -0.9), (2, -0.9), (4, 0.0)]),
        ];
        let accepted = decide(&[9], &readers, &[1, 2, 3, 4, 5, 6, 7], &[]).unwrap();
        let hurt = readers.iter().filter(|reader| accepted.plan.responses[&reader.agent] == NodeId(1)).count();
        assert_eq!(hurt, 1, "{accepted:?}");
    }

    /// A network as random answers describe it.
    #[derive(Clone, Debug)]
    struct Case {
        present: ReplicaSet,
        asked: ReplicaSet,
        readers: Vec<Reader>,
    }

    fn case(nodes: u32, most_readers: usize, proven: bool) -> impl Strategy<Value = Case> {
        let weight = move || if proven { Just(1.0).boxed() } else { (0.0..=1.0f64).boxed() };
        let said = proptest::collection::btree_map(
            ((1..=nodes).prop_map(NodeId), proptest::option::of(1..4u32)),
            -0.9..0.9f64,
            0..12,
        );
        let answer =
            prop_oneof![5 => said.prop_map(|said| Answer::Said(said.into_iter().collect())), 1 => Just(Answer::Silent)];
        let one = (any::<prop::sample::Index>(), answer, weight(), weight(), weight());
        let some_nodes = move |least| proptest::collection::btree_set((1..=nodes).prop_map(NodeId), least..4);
        let readers = proptest::collection::vec(one, 1..=most_readers);
        (some_nodes(1), some_nodes(0), readers).prop_map(move |(present, asked, readers)| {
            let reads: Vec<NodeId> = present.iter().copied().collect();
            let reader = |(agent, (place, answer, count_weight, place_weight, budget)): (
                u32,
                (prop::sample::Index, _, f64, f64, f64),
            )| {
                let own = AgentId(agent) == ACTOR;
                let exact = |weight: f64| if own { 1.0 } else { weight };
                Reader {
                    agent: AgentId(agent),
                    reads: reads[place.index(reads.len())],
                    answer: if own && answer == Answer::Silent { Answer::Said(Changes::default()) } else { answer },
                    count_weight: exact(count_weight),
                    place_weight: exact(place_weight),
                    budget: exact(budget),
                }
            };
            let all = (1..=nodes).map(NodeId).collect();
            let asked = if nodes > 6 { all } else { asked };
            Case { readers: (1..).zip(readers).map(reader).collect(), present, asked }
        })
    }

    /// How an agent's level changes, read off the specification once more.
    fn p(reader: &Reader, node: NodeId, replicas: usize, present: usize) -> f64 {
        if node == reader.reads && replicas == present {
            return 0.0;
        }
        match &reader.answer {
            Answer::Silent => f64::from(u8::from(node == reader.reads)) - 1.0,
            Answer::Said(said) => {
                // What is said of fewer replicas holds for more.
                let up_to = |r: Option<u32>| r.is_none_or(|r| r as usize <= replicas);
                let of_node = said.iter().filter(|((at, r), _)| *at == node && up_to(*r));
                of_node.max_by_key(|((_, r), _)| *r).map_or(0.0, |(_, gain)| gain)
            }
        }
    }

    /// The value of a set with these moves, and the plain sum of what the agents gain.
    fn account(case: &Case, set: &ReplicaSet, moves: &BTreeMap<NodeId, NodeId>) -> (f64, f64) {
        let new: Vec<_> = set.iter().filter(|node| !case.present.contains(node)).collect();
        let mut unread: Vec<_> = new.into_iter().filter(|node| !moves.values().any(|to| to == *node)).collect();
        let gone = case.present.iter().filter(|node| !set.contains(node)).count();
        let costs = 1.5 * moves.len() as f64 + 1.8 * unread.len() as f64 + 0.5 * (gone - moves.len()) as f64;
        let mut weighted = -PER_COST * costs - PER_REPLICA * (set.len() as f64 - case.present.len() as f64);
        let mut plain = weighted;
        // The actor is agent 1, and comes first.
        for reader in &case.readers {
            let carried = moves.get(&reader.reads).unwrap_or(&reader.reads);
            let mut best = (f64::NEG_INFINITY, 0.0, NodeId(0));
            let stays_first =
                set.iter().filter(|node| *node == carried).chain(set.iter().filter(|node| *node != carried));
            for node in stays_first {
                let raw = p(reader, *node, set.len(), case.present.len());
                let fee = if node == carried { 0.0 } else { PER_COST };
                let free = unread.contains(&node);
                let judged = if free && reader.agent == ACTOR { raw } else { raw - fee };
                if judged > best.0 {
                    best = (judged, if free { raw } else { raw - fee }, *node);
                }
            }
            let (_, net, node) = best;
            unread.retain(|copy| **copy != node);
            let weight = if node == reader.reads { reader.count_weight } else { reader.place_weight };
            weighted += if net >= 0.0 { weight * net } else { LOSS_FACTOR * weight * net.max(-reader.budget) };
            plain += net;
        }
        let back = PER_COST * unread.len() as f64;
        (weighted - back, plain - back)
    }

    /// The best value of a set over all its ways, each written as a number in base (new nodes + 1).
    fn oracle(case: &Case, set: &ReplicaSet) -> f64 {
        let gone: Vec<NodeId> = case.present.difference(set).copied().collect();
        let new: Vec<NodeId> = set.difference(&case.present).copied().collect();
        let ways = (new.len() + 1).pow(u32::try_from(gone.len()).unwrap());
        let way = |mut number: usize| {
            let mut moves = BTreeMap::new();
            for from in &gone {
                let digit = number % (new.len() + 1);
                number /= new.len() + 1;
                if let Some(to) = digit.checked_sub(1).map(|index| new[index]) {
                    moves.insert(*from, to);
                }
            }
            moves
        };
        let is_one_to_one =
            |moves: &BTreeMap<NodeId, NodeId>| moves.values().collect::<BTreeSet<_>>().len() == moves.len();
        let values = (0..ways).map(way).filter(is_one_to_one).map(|moves| account(case, set, &moves).0);
        values.fold(f64::NEG_INFINITY, f64::max)
    }

    fn with_valuation<T>(case: &Case, work: impl FnOnce(&Valuation) -> T) -> T {
        let costs = COSTS.into();
        work(&Valuation {
            actor: ACTOR,
            present: &case.present,
            readers: &case.readers,
            costs: &costs,
            per_replica: PER_REPLICA,
        })
    }

    fn search(case: &Case) -> Option<Accepted> {
        with_valuation(case, |valuation| {
            plan(valuation, &case.asked, &case.asked, &BTreeMap::new(), &Constraints::default())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn in_a_small_network_no_set_is_better_than_the_plan(case in case(6, 4, false)) {
            let base = oracle(&case, &case.present);
            let nodes: Vec<NodeId> = case.present.union(&case.asked).copied().collect();
            let sets = (1..1_u32 << nodes.len()).map(|bits| -> ReplicaSet {
                (0..nodes.len()).filter(|i| bits >> i & 1 == 1).map(|i| nodes[i]).collect()
            });
            let allowed = sets.filter(|set| set.difference(&case.present).count() <= EXHAUSTIVE_NEW);
            let best = allowed.map(|set| oracle(&case, &set) - base).fold(f64::NEG_INFINITY, f64::max);
            match search(&case) {
                Some(accepted) => prop_assert!((accepted.gain - best).abs() < 1e-9, "{accepted:?}, best {best}"),
                None => prop_assert!(best < MARGIN + 1e-9, "{best} was refused"),
            }
        }

        #[test]
        fn no_plan_is_accepted_that_is_worth_less_than_the_margin(case in case(9, 5, false)) {
            if let Some(accepted) = search(&case) {
                let (value, _) = account(&case, &accepted.plan.set, &accepted.plan.moves);
                let gain = value - oracle(&case, &case.present);
                prop_assert!((gain - accepted.gain).abs() < 1e-9, "{accepted:?} is worth {gain}");
                prop_assert!(gain >= MARGIN - 1e-9);
                prop_assert!(!accepted.plan.set.is_empty());
                prop_assert!(accepted.plan.set.difference(&case.present).count() <= LOCAL_NEW);
            }
        }

        #[test]
        fn with_agents_that_are_believed_the_plain_sum_rises_too(case in case(6, 4, true)) {
            if let Some(accepted) = search(&case) {
                let (_, plain) = account(&case, &accepted.plan.set, &accepted.plan.moves);
                prop_assert!(plain - oracle(&case, &case.present) >= MARGIN - 1e-9, "{accepted:?}: {plain}");
            }
        }

        #[test]
        fn the_own_step_leads_towards_the_plan(case in case(6, 4, false)) {
            if let Some(Accepted { plan, step: Some(step), .. }) = search(&case) {
                let next = after(&case.present, Some(step));
                prop_assert!(!next.is_empty());
                let missing = |set: &ReplicaSet| set.symmetric_difference(&plan.set).count();
                let changes_the_set = step.kind() != ActionType::ChangeReference;
                prop_assert!(!changes_the_set || missing(&next) < missing(&case.present), "{step} is no step to {plan:?}");
            }
        }

        #[test]
        fn with_exact_forecasts_every_plan_is_a_rise_and_there_is_an_end(
            levels in proptest::collection::vec(proptest::collection::vec(0.0..1.0f64, NODES * NODES), 1..5),
        ) {
            let mut world = World { levels, present: set(&[1]), reads: BTreeMap::new() };
            let mut executed = 0;
            while let Some(plan) = world.next_plan() {
                let before = world.potential();
                (world.present, world.reads) = (plan.set, plan.responses);
                prop_assert!(world.potential() - before >= MARGIN - 1e-9);
                executed += 1;
                prop_assert!(executed < 50, "it does not end");
            }
        }
    }

    const NODES: usize = 5;

    /// Agents whose levels follow from a table: agent, node, number of replicas.
    struct World {
        levels: Vec<Vec<f64>>,
        present: ReplicaSet,
        /// Who is missing reads the first replica.
        reads: BTreeMap<AgentId, NodeId>,
    }

    impl World {
        fn agents(&self) -> impl Iterator<Item = (AgentId, &Vec<f64>)> {
            (1..).map(AgentId).zip(&self.levels)
        }

        fn reads(&self, agent: AgentId) -> NodeId {
            self.reads.get(&agent).copied().unwrap_or(NodeId(1))
        }

        fn level(levels: &[f64], node: usize, replicas: usize) -> f64 {
            levels[(node - 1) * NODES + replicas - 1]
        }

        fn now(&self, agent: AgentId, levels: &[f64]) -> f64 {
            Self::level(levels, self.reads(agent).0 as usize, self.present.len())
        }

        fn potential(&self) -> f64 {
            let sum: f64 = self.agents().map(|(agent, levels)| self.now(agent, levels)).sum();
            sum - PER_REPLICA * self.present.len() as f64
        }

        fn readers(&self) -> Vec<Reader> {
            let reader = |(agent, levels): (AgentId, &Vec<f64>)| {
                let states = (1..=NODES).flat_map(|node| (1..=NODES).map(move |replicas| (node, replicas)));
                let gain = |(node, replicas)| Self::level(levels, node, replicas) - self.now(agent, levels);
                let key = |(node, replicas)| (NodeId(node as u32), Some(replicas as u32));
                let said = states.map(|state| (key(state), gain(state))).collect();
                Reader { agent, answer: Answer::Said(said), ..reader(0, self.reads(agent).0, &[]) }
            };
            self.agents().map(reader).collect()
        }

        /// The plan of the first agent that has one.
        fn next_plan(&self) -> Option<Plan> {
            let (readers, costs) = (self.readers(), COSTS.into());
            let all: ReplicaSet = (1..=NODES as u32).map(NodeId).collect();
            self.agents().find_map(|(actor, _)| {
                let valuation = Valuation {
                    actor,
                    present: &self.present,
                    readers: &readers,
                    costs: &costs,
                    per_replica: PER_REPLICA,
                };
                plan(&valuation, &all, &all, &BTreeMap::new(), &Constraints::default()).map(|accepted| accepted.plan)
            })
        }
    }
}
