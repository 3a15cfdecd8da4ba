//! What is broken now. Faults may overlap: what two of them broke is whole again when both are over.

use super::streams;
use crate::config::scenario::{Fault, FaultKind, Moment, When};
use crate::domain::ids::{AgentId, NodeId};
use crate::mape::planner::Rng;
use rand::RngExt as _;
use rand_distr::{Distribution, Exp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What a fault has broken.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Broken {
    Node(NodeId),
    Agent(AgentId),
    Store(NodeId),
    Slow(NodeId, f64),
    /// The partition of the fault with this number in the scenario.
    Partition(usize),
    Database,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Node(node) => write!(f, "node {node} down"),
            Broken::Agent(agent) => write!(f, "agent {agent} down"),
            Broken::Store(node) => write!(f, "store of node {node} down"),
            Broken::Slow(node, factor) => write!(f, "store of node {node} slower by {factor}"),
            Broken::Partition(_) => f.write_str("partition"),
            Broken::Database => f.write_str("database away"),
        }
    }
}

/// The faults of a scenario, each with its stream of chance.
pub struct Faults<'a> {
    faults: Vec<(&'a Fault, Rng)>,
    /// Those that waited for a moment that has come.
    struck: BTreeSet<usize>,
}

impl<'a> Faults<'a> {
    pub fn new(faults: &'a [Fault], seed: u64) -> Self {
        let with_stream = |(i, fault)| (fault, streams::of_fault(seed, i));
        Self { faults: faults.iter().enumerate().map(with_stream).collect(), struck: BTreeSet::new() }
    }

    /// How long from now until each strikes first that strikes by itself.
    pub fn first(&mut self) -> Vec<(usize, Duration)> {
        let after = |(index, (fault, rng)): (usize, &mut (&Fault, Rng))| match fault.when {
            When::At(at) | When::Regularly(at, _) => Some((index, at)),
            When::Every(mean) => Some((index, exponential(mean, rng))),
            When::Upon(_) => None,
        };
        self.faults.iter_mut().enumerate().filter_map(after).collect()
    }

    /// The faults that wait for an agent to come so far; each strikes once.
    pub fn upon(&mut self, moment: Moment, agent: AgentId) -> Vec<usize> {
        let waits = |index: &usize| {
            let fault = self.faults[*index].0;
            let of_agent =
                matches!(fault.kind, FaultKind::AgentDown(named) if named.is_none_or(|named| named == agent));
            fault.when == When::Upon(moment) && of_agent && !self.struck.contains(index)
        };
        let struck: Vec<usize> = (0..self.faults.len()).filter(waits).collect();
        self.struck.extend(&struck);
        struck
    }

    /// What it breaks, and for how long.
    pub fn strike(&mut self, index: usize, nodes: &[NodeId], agents: &[AgentId]) -> (Broken, Duration) {
        let (fault, rng) = &mut self.faults[index];
        let mut node = |named: &Option<NodeId>| named.unwrap_or_else(|| nodes[rng.random_range(0..nodes.len())]);
        let broken = match &fault.kind {
            FaultKind::NodeDown(named) => Broken::Node(node(named)),
            FaultKind::StoreDown(named) => Broken::Store(node(named)),
            FaultKind::StoreSlow(named, factor) => Broken::Slow(node(named), *factor),
            FaultKind::AgentDown(named) => {
                Broken::Agent(named.unwrap_or_else(|| agents[rng.random_range(0..agents.len())]))
            }
            FaultKind::Partition(_) => Broken::Partition(index),
            FaultKind::DatabaseAway => Broken::Database,
        };
        (broken, fault.lasts)
    }

    /// How long after its end it strikes again, if it does.
    pub fn again(&mut self, index: usize) -> Option<Duration> {
        let (fault, rng) = &mut self.faults[index];
        match fault.when {
            When::At(_) | When::Upon(_) => None,
            When::Regularly(_, every) => Some(every.saturating_sub(fault.lasts)),
            When::Every(mean) => Some(exponential(mean, rng)),
        }
    }

    /// The sets that a partition keeps apart.
    fn sets(&self, index: usize) -> &'a [BTreeSet<NodeId>] {
        let FaultKind::Partition(sets) = &self.faults[index].0.kind else { return &[] };
        sets
    }
}

/// At least a millisecond, so that nothing strikes twice at the same time.
fn exponential(mean: Duration, rng: &mut Rng) -> Duration {
    let seconds = Exp::new(1.0 / mean.as_secs_f64()).map_or(mean.as_secs_f64(), |exp| exp.sample(rng));
    Duration::from_millis((seconds * 1e3) as u64 + 1)
}

/// All that is broken at the moment.
#[derive(Default)]
pub struct Damage<'a> {
    nodes: BTreeMap<NodeId, u32>,
    agents: BTreeMap<AgentId, u32>,
    stores: BTreeMap<NodeId, u32>,
    slow: BTreeMap<NodeId, Vec<f64>>,
    partitions: BTreeMap<usize, &'a [BTreeSet<NodeId>]>,
    database: u32,
}

impl<'a> Damage<'a> {
    pub fn begin(&mut self, broken: Broken, faults: &Faults<'a>) {
        match broken {
            Broken::Node(node) => *self.nodes.entry(node).or_default() += 1,
            Broken::Agent(agent) => *self.agents.entry(agent).or_default() += 1,
            Broken::Store(node) => *self.stores.entry(node).or_default() += 1,
            Broken::Slow(node, factor) => self.slow.entry(node).or_default().push(factor),
            Broken::Partition(index) => _ = self.partitions.insert(index, faults.sets(index)),
            Broken::Database => self.database += 1,
        }
    }

    pub fn end(&mut self, broken: Broken) {
        match broken {
            Broken::Node(node) => less(&mut self.nodes, node),
            Broken::Agent(agent) => less(&mut self.agents, agent),
            Broken::Store(node) => less(&mut self.stores, node),
            Broken::Slow(node, factor) => {
                let factors = self.slow.entry(node).or_default();
                if let Some(at) = factors.iter().position(|one| *one == factor) {
                    factors.remove(at);
                }
            }
            Broken::Partition(index) => _ = self.partitions.remove(&index),
            Broken::Database => self.database -= 1,
        }
    }

    pub fn database_is_away(&self) -> bool {
        self.database > 0
    }

    /// Whether an agent that lives at `home` can run.
    pub fn lets_run(&self, agent: AgentId, home: NodeId) -> bool {
        !self.agents.contains_key(&agent) && !self.nodes.contains_key(&home)
    }

    /// Why a job of an agent that lives at `home` cannot be on another node; `None` when it can.
    pub fn no_work_on(&self, home: NodeId, node: NodeId) -> Option<String> {
        if home == node {
            return None;
        }
        if self.nodes.contains_key(&node) {
            return Some(format!("node {node} is down"));
        }
        self.are_apart(home, node).then(|| format!("a partition hides node {node}"))
    }

    /// Why a store cannot be reached from a node; `None` when it can.
    pub fn between(&self, home: NodeId, store: NodeId) -> Option<String> {
        if self.nodes.contains_key(&store) {
            return Some(format!("node {store} is down"));
        }
        if self.stores.contains_key(&store) {
            return Some(format!("the store of node {store} is down"));
        }
        self.are_apart(home, store).then(|| format!("a partition hides node {store}"))
    }

    fn are_apart(&self, one: NodeId, other: NodeId) -> bool {
        let apart = |sets: &&[BTreeSet<NodeId>]| {
            let set_of = |node| sets.iter().position(|set| set.contains(&node));
            set_of(one).zip(set_of(other)).is_some_and(|(a, b)| a != b)
        };
        self.partitions.values().any(apart)
    }

    /// How many times as long the store of a node takes.
    pub fn slowness(&self, node: NodeId) -> f64 {
        self.slow.get(&node).map_or(1.0, |factors| factors.iter().product())
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    match counts.get_mut(&key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => _ = counts.remove(&key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_faults_broke_is_whole_when_both_are_over() {
        let (faults, mut damage) = (Faults::new(&[], 1), Damage::default());
        let node = NodeId(2);
        damage.begin(Broken::Node(node), &faults);
        damage.begin(Broken::Node(node), &faults);
        damage.end(Broken::Node(node));
        assert_eq!(damage.between(NodeId(1), node), Some("node 2 is down".to_owned()));
        assert!(!damage.lets_run(AgentId(2), node));
        damage.end(Broken::Node(node));
        assert_eq!(damage.between(NodeId(1), node), None);
    }

    #[test]
    fn a_partition_separates_its_sets_and_nobody_else() {
        let set = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
        let kind = FaultKind::Partition(vec![set(&[1]), set(&[2, 3])]);
        let all = [Fault { kind, when: When::At(Duration::ZERO), lasts: Duration::from_secs(1) }];
        let mut faults = Faults::new(&all, 1);
        let (broken, lasts) = faults.strike(0, &[], &[]);
        let mut damage = Damage::default();
        damage.begin(broken, &faults);
        assert_eq!(damage.between(NodeId(1), NodeId(3)), Some("a partition hides node 3".to_owned()));
        assert_eq!(damage.between(NodeId(2), NodeId(3)), None);
        assert_eq!(damage.between(NodeId(1), NodeId(4)), None, "node 4 is in no set");
        damage.end(broken);
        assert_eq!((damage.between(NodeId(1), NodeId(3)), lasts), (None, Duration::from_secs(1)));
    }

    #[test]
    fn slowness_multiplies() {
        let (faults, mut damage) = (Faults::new(&[], 1), Damage::default());
        damage.begin(Broken::Slow(NodeId(1), 2.0), &faults);
        damage.begin(Broken::Slow(NodeId(1), 5.0), &faults);
        assert_eq!(damage.slowness(NodeId(1)), 10.0);
        damage.end(Broken::Slow(NodeId(1), 2.0));
        assert_eq!((damage.slowness(NodeId(1)), damage.slowness(NodeId(2))), (5.0, 1.0));
    }

    #[test]
    fn what_waits_for_a_moment_strikes_its_agent_once() {
        let fault = |named: Option<u32>| Fault {
            kind: FaultKind::AgentDown(named.map(AgentId)),
            when: When::Upon(Moment::Transfer),
            lasts: Duration::from_secs(1),
        };
        let all = [fault(Some(2)), fault(None)];
        let mut faults = Faults::new(&all, 1);
        assert_eq!(faults.upon(Moment::Question, AgentId(2)), [0; 0]);
        assert_eq!(faults.upon(Moment::Transfer, AgentId(1)), [1]);
        assert_eq!(faults.upon(Moment::Transfer, AgentId(2)), [0]);
        assert_eq!(faults.upon(Moment::Transfer, AgentId(2)), [0; 0], "each strikes once");
    }

    #[test]
    fn a_regular_fault_strikes_in_its_period_however_long_it_lasts() {
        let seconds = Duration::from_secs;
        let fault = |when, lasts| Fault { kind: FaultKind::DatabaseAway, when, lasts: seconds(lasts) };
        let regularly = When::Regularly(seconds(5), seconds(60));
        let all = [fault(regularly, 20), fault(regularly, 90), fault(When::At(seconds(7)), 20)];
        let mut faults = Faults::new(&all, 1);
        assert_eq!(faults.first(), [(0, seconds(5)), (1, seconds(5)), (2, seconds(7))]);
        let again: Vec<_> = (0..3).map(|index| faults.again(index)).collect();
        assert_eq!(again, [Some(seconds(40)), Some(Duration::ZERO), None]);
    }
}
