//! Good sets, quickly: from several starts, one node more, one less or another one as long as that is better.

use super::problem::Problem;
use super::route::{Route, route};

/// Steps from one start; each is strictly better than the one before.
const STEPS: usize = 200;
/// Numbers of replicas of which each is a start.
const SIZES: usize = 8;
/// Of so many neighbours with equal shares the costs are compared.
const COMPARED: usize = 256;

/// The best set that is found, as the way to it. `stay`: the way to the nodes that hold a replica now.
pub fn search(problem: &Problem, stay: Route) -> Route {
    let alone = (0..problem.nodes.len()).filter(|node| problem.open[*node]);
    let total =
        |node: usize| (0..problem.agents.len()).map(|agent| u64::from(problem.share(agent, node, 1))).sum::<u64>();
    let best_alone = alone.min_by_key(|node| total(*node)).unwrap_or(problem.holders[0]);
    let mut best = climb(problem, stay, problem.holders.clone());
    // One replica, two, ...: each number that makes a difference to somebody, and as many as make anybody's share smaller.
    let stay: Vec<usize> = problem.stay().collect();
    let (mut grown, mut share) = (if stay.is_empty() { vec![best_alone] } else { stay }, u64::MAX);
    loop {
        let counts = grown.len() <= problem.shares.len().min(SIZES).max(problem.sizes.0);
        let more = Neighbours { problem, set: &grown }.with_one_more().into_iter().min();
        let more = more.filter(|(next, _)| counts || *next < share);
        if problem.allows(&grown) && (counts || more.is_none()) {
            best = better(best, climb(problem, route(problem, &grown), grown.clone()));
        }
        let Some((next, added)) = more.filter(|_| grown.len() < problem.sizes.1) else { return best };
        (grown, share) = (added.of(&grown), next);
    }
}

fn better(one: Route, other: Route) -> Route {
    if other.value < one.value { other } else { one }
}

fn climb(problem: &Problem, mut best: Route, mut set: Vec<usize>) -> Route {
    for _ in 0..STEPS {
        let neighbours = Neighbours { problem, set: &set };
        // Exchanges are many, and are looked at when nothing else is better.
        let found = best_of(problem, &set, &best, neighbours.with_one_more_or_less());
        let Some(next) = found.or_else(|| best_of(problem, &set, &best, neighbours.with_another())) else { break };
        (best, set) = next;
    }
    best
}

/// The best of these neighbours, if it is better than what is known.
fn best_of(
    problem: &Problem,
    set: &[usize],
    known: &Route,
    neighbours: Vec<(u64, Change)>,
) -> Option<(Route, Vec<usize>)> {
    let mut neighbours = neighbours;
    neighbours.retain(|(_, change)| change.is_allowed(problem, set));
    let least = neighbours.iter().map(|(share, _)| *share).min().filter(|share| *share <= known.value.share)?;
    let equal = neighbours.into_iter().filter(|(share, _)| *share == least).take(COMPARED);
    let equal = equal.map(|(_, change)| change.of(set)).map(|set| (route(problem, &set), set));
    equal.min_by_key(|(route, _)| route.value).filter(|(route, _)| route.value < known.value)
}

/// What makes a neighbour of a set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Change {
    dropped: Option<usize>,
    added: Option<usize>,
}

impl Change {
    fn is_allowed(self, problem: &Problem, set: &[usize]) -> bool {
        let size = set.len() + usize::from(self.added.is_some()) - usize::from(self.dropped.is_some());
        let (fewest, most) = problem.sizes;
        (fewest..=most).contains(&size) && self.dropped.is_none_or(|node| !problem.kept[node])
    }

    /// Ascending.
    fn of(self, set: &[usize]) -> Vec<usize> {
        let mut set: Vec<usize> =
            set.iter().copied().filter(|node| Some(*node) != self.dropped).chain(self.added).collect();
        set.sort_unstable();
        set
    }
}

/// The neighbours of a set, each with its share, which costs one look at each agent.
struct Neighbours<'a> {
    problem: &'a Problem,
    set: &'a [usize],
}

impl Neighbours<'_> {
    fn with_one_more_or_less(&self) -> Vec<(u64, Change)> {
        let mut all = self.with_one_more();
        if self.set.len() > 1 {
            let less = self.shares_without(self.set.len() - 1).into_iter();
            all.extend(less.map(|(node, least)| (sum(least), Change { dropped: Some(node), added: None })));
        }
        all
    }

    fn with_another(&self) -> Vec<(u64, Change)> {
        let mut all = Vec::new();
        for (node, least) in self.shares_without(self.set.len()) {
            let change = |added| Change { dropped: Some(node), added: Some(added) };
            all.extend(self.added(&least, self.set.len()).map(|(share, added)| (share, change(added))));
        }
        all
    }

    fn with_one_more(&self) -> Vec<(u64, Change)> {
        let replicas = self.set.len() + 1;
        let of = |agent| self.set.iter().map(|node| self.problem.share(agent, *node, replicas)).min();
        let least: Vec<u32> = (0..self.problem.agents.len()).map(|agent| of(agent).unwrap_or(u32::MAX)).collect();
        self.added(&least, replicas)
            .map(|(share, added)| (share, Change { dropped: None, added: Some(added) }))
            .collect()
    }

    /// For each node of the set the agents' smallest shares without it, while there are so many replicas.
    fn shares_without(&self, replicas: usize) -> Vec<(usize, Vec<u32>)> {
        let of = |agent: usize, without: usize| {
            let others = self.set.iter().filter(|node| **node != without);
            others.map(|node| self.problem.share(agent, *node, replicas)).min().unwrap_or(u32::MAX)
        };
        let agents = 0..self.problem.agents.len();
        self.set.iter().map(|node| (*node, agents.clone().map(|agent| of(agent, *node)).collect())).collect()
    }

    /// The share with each node that can be added.
    fn added(&self, least: &[u32], replicas: usize) -> impl Iterator<Item = (u64, usize)> {
        let (layer, nodes) = (self.problem.layer(replicas), self.problem.nodes.len());
        let can = |node: &usize| self.problem.open[*node] && !self.set.contains(node);
        (0..nodes).filter(can).map(move |node| {
            let of = |(agent, least): (usize, &u32)| u64::from(layer[agent * nodes + node].min(*least));
            (least.iter().enumerate().map(of).sum(), node)
        })
    }
}

fn sum(shares: Vec<u32>) -> u64 {
    shares.into_iter().map(u64::from).sum()
}
