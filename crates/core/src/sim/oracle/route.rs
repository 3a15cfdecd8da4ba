//! The cheapest way from the present placement to a set of nodes that shall hold a replica each.
//!
//! What lies where it shall lie stays. A node that shall hold none any more is the source of a move, or evicted; a node that
//! shall hold one gets it by a move or a copy. A move carries the readers of its source; a copy is read by the agent that makes
//! it; every other agent that has to read elsewhere pays a change of reference. Each reads where its share is smallest; where
//! several nodes are equal, where it costs least. (Ways round about, such as moving a replica that shall stay away and back for
//! its readers' sake, are not looked for.)

use super::problem::{Problem, Value};

/// Steps of the search for the best moves to one set. More of them exist only where many replicas lie elsewhere.
const STEPS: u32 = 20_000;

/// What is done, and what it costs. Nodes and agents by their position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    pub value: Value,
    /// The node that each agent reads then.
    pub reads: Vec<usize>,
    /// From and to.
    pub moves: Vec<(usize, usize)>,
    /// Each with the agent that makes and reads it, if one does.
    pub copies: Vec<(usize, Option<usize>)>,
    /// Agents that pay for reading elsewhere.
    pub changes: Vec<usize>,
    pub evicts: Vec<usize>,
    /// Every combination of moves was looked at, or could not be cheaper.
    pub is_cheapest: bool,
}

/// The way to a set: at least one node, each open.
pub fn route(problem: &Problem, set: &[usize]) -> Route {
    let mut search = Search::new(problem, set);
    let mut taken = vec![None; search.made.len()];
    search.choose(0, &mut taken, 0, search.staying.len());
    search.found(set)
}

struct Search<'a> {
    problem: &'a Problem,
    layer: &'a [u32],
    /// Each agent's smallest share in the set.
    least: Vec<u32>,
    /// Holders (by their position among them) that shall be none any more.
    dropped: Vec<usize>,
    /// Nodes that shall become holders.
    made: Vec<usize>,
    /// The readers of each dropped one.
    carried: Vec<Vec<usize>>,
    /// Agents that read what stays, and have to leave it.
    staying: Vec<usize>,
    /// The cost of the best combination so far: for each made node which dropped one is moved there.
    best: (u64, Vec<Option<usize>>),
    left: u32,
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem, set: &[usize]) -> Self {
        let (layer, nodes) = (problem.layer(set.len()), problem.nodes.len());
        let share = |agent: usize, node: usize| layer[agent * nodes + node];
        let least = |agent| set.iter().map(|node| share(agent, *node)).min().unwrap_or(0);
        let least: Vec<u32> = (0..problem.agents.len()).map(least).collect();
        let mut wanted = vec![false; nodes];
        set.iter().for_each(|node| wanted[*node] = true);
        let dropped: Vec<usize> =
            (0..problem.holders.len()).filter(|holder| !wanted[problem.holders[*holder]]).collect();
        let mut carried = vec![Vec::new(); dropped.len()];
        let mut staying = Vec::new();
        for (agent, read) in problem.reads.iter().copied().enumerate() {
            if !wanted[read] {
                let from = dropped.iter().position(|holder| problem.holders[*holder] == read);
                from.into_iter().for_each(|from| carried[from].push(agent));
            } else if share(agent, read) != least[agent] {
                staying.push(agent);
            }
        }
        let made: Vec<usize> = set.iter().copied().filter(|node| !problem.holders.contains(node)).collect();
        let best = (u64::MAX, Vec::new());
        Self { problem, layer, least, dropped, made, carried, staying, best, left: STEPS }
    }

    fn suits(&self, agent: usize, node: usize) -> bool {
        self.layer[agent * self.problem.nodes.len() + node] == self.least[agent]
    }

    /// Whether a dropped replica is moved, and where to, from this one on. `unserved`: how many agents neither are where they
    /// shall be nor were carried there.
    fn choose(&mut self, index: usize, taken: &mut Vec<Option<usize>>, cost: u64, unserved: usize) {
        let free = taken.iter().filter(|from| from.is_none()).count();
        if self.left == 0 || cost + self.at_least(self.dropped.len() - index, free, unserved) >= self.best.0 {
            return;
        }
        self.left -= 1;
        if index == self.dropped.len() {
            let cost = cost + self.rest(taken);
            if cost < self.best.0 {
                self.best = (cost, taken.clone());
            }
            return;
        }
        let readers = self.carried[index].len();
        let ways = &self.problem.ways[self.dropped[index]];
        let served =
            |to: &usize| self.carried[index].iter().filter(|agent| self.suits(**agent, self.made[*to])).count();
        let targets = (0..taken.len()).filter(|to| taken[*to].is_none() && ways[self.made[*to]]);
        let mut targets: Vec<(usize, usize)> = targets.map(|to| (readers - served(&to), to)).collect();
        targets.sort_unstable();
        for (left_over, to) in targets {
            taken[to] = Some(index);
            self.choose(index + 1, taken, cost + self.problem.prices.moved, unserved + left_over);
            taken[to] = None;
        }
        self.choose(index + 1, taken, cost + self.problem.prices.evicted, unserved + readers);
    }

    /// No way costs less, with so many dropped ones to be decided on and so many made nodes to be filled.
    fn at_least(&self, dropped: usize, free: usize, unserved: usize) -> u64 {
        let prices = &self.problem.prices;
        let with = |moves: usize| {
            let (moves, evicts, copies) = (moves as u64, (dropped - moves) as u64, (free - moves) as u64);
            moves * prices.moved + evicts * prices.evicted + copies * prices.copied
        };
        with(0).min(with(dropped.min(free))) + unserved.saturating_sub(free) as u64 * prices.changed
    }

    /// What copies and changes of reference cost.
    fn rest(&self, taken: &[Option<usize>]) -> u64 {
        let (unserved, makers) = (self.unserved(taken), self.makers(taken));
        let copies = taken.iter().filter(|from| from.is_none()).count();
        let made = makers.iter().flatten().count();
        let prices = &self.problem.prices;
        let changes = match (unserved.is_empty(), made) {
            // Whoever makes a copy reads it. Here that suits nobody, so somebody has to come back.
            (true, 0) => usize::from(copies > 0),
            (true, _) => 0,
            (false, made) => unserved.len() - made,
        };
        copies as u64 * prices.copied + changes as u64 * prices.changed
    }

    /// The agents that are neither where they shall be nor carried there.
    fn unserved(&self, taken: &[Option<usize>]) -> Vec<usize> {
        let to = |from: usize| taken.iter().position(|taken| *taken == Some(from)).map(|to| self.made[to]);
        let left = |(from, readers): (usize, &Vec<usize>)| {
            let to = to(from);
            let serves = move |agent: &usize| to.is_some_and(|to| self.suits(*agent, to));
            readers.iter().copied().filter(move |agent| !serves(agent)).collect::<Vec<usize>>()
        };
        self.staying.iter().copied().chain(self.carried.iter().enumerate().flat_map(left)).collect()
    }

    /// For each made node the agent that makes a copy there and reads it: as many as possible of those who have to leave anyway.
    /// Where nobody has to, one whom it suits as well as what it reads.
    fn makers(&self, taken: &[Option<usize>]) -> Vec<Option<usize>> {
        let unserved = self.unserved(taken);
        if unserved.is_empty() {
            let maker = |node: usize| (0..self.least.len()).find(|agent| self.suits(*agent, self.made[node]));
            let free = (0..taken.len()).filter(|node| taken[*node].is_none());
            let one = free.filter_map(|node| Some((node, maker(node)?))).next();
            return (0..taken.len())
                .map(|node| one.filter(|(made, _)| *made == node).map(|(_, maker)| maker))
                .collect();
        }
        let mut makes: Vec<Option<usize>> = vec![None; unserved.len()];
        for node in (0..taken.len()).filter(|node| taken[*node].is_none()) {
            self.find_maker(node, &unserved, &mut makes, &mut vec![false; unserved.len()]);
        }
        let maker = |node: usize| makes.iter().position(|made| *made == Some(node)).map(|agent| unserved[agent]);
        (0..taken.len()).map(maker).collect()
    }

    /// An augmenting path: whoever makes another copy already lets go of it if somebody else can make that one.
    fn find_maker(&self, node: usize, unserved: &[usize], makes: &mut [Option<usize>], asked: &mut [bool]) -> bool {
        for agent in 0..unserved.len() {
            if asked[agent] || !self.suits(unserved[agent], self.made[node]) {
                continue;
            }
            asked[agent] = true;
            if makes[agent].is_none_or(|other| self.find_maker(other, unserved, makes, asked)) {
                makes[agent] = Some(node);
                return true;
            }
        }
        false
    }

    fn found(self, set: &[usize]) -> Route {
        let (cost, taken) = &self.best;
        let (holders, made) = (&self.problem.holders, &self.made);
        let holder = |dropped: usize| holders[self.dropped[dropped]];
        let moved = taken.iter().zip(made).filter_map(|(from, to)| Some((holder((*from)?), *to)));
        let moves: Vec<(usize, usize)> = moved.collect();
        let makers = self.makers(taken);
        let copied = taken.iter().zip(made.iter().zip(&makers)).filter(|(from, _)| from.is_none());
        let copies: Vec<(usize, Option<usize>)> = copied.map(|(_, (to, maker))| (*to, *maker)).collect();
        let makes = |agent: usize| copies.iter().find(|(_, maker)| *maker == Some(agent)).map(|(to, _)| *to);
        let unserved = self.unserved(taken);
        let goes = |agent: usize| match (makes(agent), unserved.contains(&agent)) {
            (Some(to), _) => Some(to),
            (None, true) => set.iter().copied().find(|node| self.suits(agent, *node)),
            (None, false) => moves.iter().find(|(from, _)| *from == self.problem.reads[agent]).map(|(_, to)| *to),
        };
        Route {
            value: Value {
                share: self.least.iter().map(|share| u64::from(*share)).sum(),
                cost: *cost,
                replicas: set.len(),
            },
            reads: self.problem.reads.iter().enumerate().map(|(agent, read)| goes(agent).unwrap_or(*read)).collect(),
            changes: unserved.iter().copied().filter(|agent| makes(*agent).is_none()).collect(),
            evicts: (0..self.dropped.len()).filter(|from| !taken.contains(&Some(*from))).map(holder).collect(),
            moves,
            copies,
            is_cheapest: self.left > 0,
        }
    }
}
