//! The best set of all, by branch and bound: nodes are taken into the set or left out one by one, and what cannot become better
//! than the best that is known is not looked at.
//!
//! With some nodes taken and some left out, nobody's share is smaller than at its best node that is not left out. Where the sum
//! of these is as large as the smallest share known, each agent has to read such a node (it *suits*), and what is missing costs
//! at least so much: see [`Branch::cost`].

use super::problem::{Problem, Value};
use super::route::{Route, route};

/// Nodes, a bit for each.
type Set = u128;
/// With more nodes nothing is looked for.
const NODES: usize = Set::BITS as usize;
/// Branches that are looked at before the search is given up, for each agent fewer of them: what is left is bounded then.
const WORK: u64 = 6_000_000;

/// Improves on what is known. Also says with which numbers of replicas (as [`Problem::shares`] counts them) something better may
/// still be: with none, what is returned is the best.
pub fn search(problem: &Problem, known: Route) -> (Route, Vec<usize>) {
    let (nodes, layers) = (problem.nodes.len(), problem.shares.len());
    if nodes > NODES {
        return (known, (1..=layers).collect());
    }
    let set = |is: &dyn Fn(usize) -> bool| -> Set {
        (0..nodes).filter(|node| is(*node)).fold(0, |set, node| set | 1 << node)
    };
    let holders = set(&|node| problem.holders.contains(&node));
    let open = set(&|node| problem.open[node]);
    let stay = set(&|node| problem.kept[node]);
    let (mut found, mut left, mut unsettled) = (known, WORK / problem.agents.len() as u64, Vec::new());
    for replicas in 1..=layers {
        let most = if replicas == layers { open.count_ones() as usize } else { replicas };
        let sizes = (replicas.max(problem.sizes.0), most.min(problem.sizes.1));
        if sizes.0.max(stay.count_ones() as usize) > sizes.1 {
            continue;
        }
        let levels = (0..problem.agents.len()).map(|agent| levels(problem, agent, replicas, open)).collect();
        let mut search = Search { problem, holders, sizes, levels, found, are_cheapest: true, left };
        search.take(stay, 0);
        search.branch(stay, open);
        if !search.are_cheapest || search.left == 0 {
            unsettled.push(replicas);
        }
        (found, left) = (search.found, search.left);
    }
    (found, unsettled)
}

/// The different shares of an agent, the smallest first, each with the nodes where it has them.
fn levels(problem: &Problem, agent: usize, replicas: usize, open: Set) -> Vec<(u32, Set)> {
    let mut levels = std::collections::BTreeMap::new();
    for node in (0..problem.nodes.len()).filter(|node| open & 1 << node != 0) {
        *levels.entry(problem.share(agent, node, replicas)).or_default() |= 1 << node;
    }
    levels.into_iter().collect()
}

struct Search<'a> {
    problem: &'a Problem,
    holders: Set,
    /// The fewest and the most replicas for which these shares count.
    sizes: (usize, usize),
    levels: Vec<Vec<(u32, Set)>>,
    found: Route,
    /// The ways to all sets that were looked at are.
    are_cheapest: bool,
    left: u64,
}

/// What is known of an agent when some nodes are taken and some left out.
struct Hope {
    /// Its smallest share in what is not left out.
    share: u32,
    /// Where it has that.
    suits: Set,
}

impl Search<'_> {
    /// `taken` is in the set, what is not in `open` is not; what remains is to be decided on.
    fn branch(&mut self, taken: Set, open: Set) {
        let (fewest, most) = self.sizes;
        let (size, possible) = (taken.count_ones() as usize, open.count_ones() as usize);
        if self.left == 0 || size == most || possible < fewest {
            return;
        }
        self.left -= 1;
        let hopes: Vec<Hope> = self.levels.iter().map(|levels| hope(levels, open)).collect();
        let share = hopes.iter().map(|hope| u64::from(hope.share)).sum();
        let branch = Branch { problem: self.problem, holders: self.holders, taken, open, fewest, hopes: &hopes };
        // The cost is bounded only where every agent has to read what suits it.
        let cost = if share == self.found.value.share { branch.cost() } else { 0 };
        if (Value { share, cost, replicas: size.max(fewest) }) >= self.found.value {
            return;
        }
        let Some(next) = branch.next() else { return };
        self.take(taken | next, share);
        self.branch(taken | next, open);
        self.branch(taken, open & !next);
    }

    /// Looks at the set that is taken. `hope`: no set of this branch has a smaller share.
    fn take(&mut self, taken: Set, hope: u64) {
        if (taken.count_ones() as usize) < self.sizes.0 || hope > self.found.value.share {
            return;
        }
        let share: u64 = self.levels.iter().map(|levels| u64::from(self::hope(levels, taken).share)).sum();
        if share <= self.found.value.share {
            let set: Vec<usize> = (0..NODES).filter(|node| taken & 1 << node != 0).collect();
            let route = route(self.problem, &set);
            self.are_cheapest &= route.is_cheapest;
            if route.value < self.found.value {
                self.found = route;
            }
        }
    }
}

fn hope(levels: &[(u32, Set)], open: Set) -> Hope {
    let best = levels.iter().find(|(_, nodes)| nodes & open != 0);
    best.map_or(Hope { share: u32::MAX, suits: 0 }, |(share, nodes)| Hope { share: *share, suits: nodes & open })
}

struct Branch<'a> {
    problem: &'a Problem,
    holders: Set,
    taken: Set,
    open: Set,
    fewest: usize,
    hopes: &'a [Hope],
}

impl Branch<'_> {
    /// The node to be decided on next: one that suits an agent which nothing taken suits, of those with the fewest such nodes; the
    /// one that suits most of them. When all are served, holders first: keeping them is what can save something.
    fn next(&self) -> Option<Set> {
        let unserved = || self.hopes.iter().filter(|hope| hope.suits & self.taken == 0);
        let undecided = self.open & !self.taken;
        let Some(hardest) = unserved().min_by_key(|hope| hope.suits.count_ones()) else {
            let first = if undecided & self.holders != 0 { undecided & self.holders } else { undecided };
            return bits(first).next();
        };
        bits(hardest.suits).max_by_key(|node| unserved().filter(|hope| hope.suits & node != 0).count())
    }

    /// No set of this branch with the smallest share costs less \[thousandths\].
    ///
    /// Each agent that does not stay where it is pays a change of reference, unless it is carried or makes a copy. So with `m` nodes
    /// made, and every one of them copied by an agent that reads it: `m (copy - change) + changes + evicts`. A dropped
    /// holder may be moved instead of evicted, which saves more where it carries more readers than that one: for each holder at most
    /// what the best target gives.
    fn cost(&self) -> u64 {
        let prices = &self.problem.prices;
        let price = |price: u64| i64::try_from(price).unwrap_or(i64::MAX / 1_000_000);
        let (moved, copied, changed, evicted) =
            (price(prices.moved), price(prices.copied), price(prices.changed), price(prices.evicted));
        let dropped = self.holders & !self.open;
        let stays = |agent: usize| self.hopes[agent].suits & 1 << self.problem.reads[agent] != 0;
        let leaving = (0..self.hopes.len()).filter(|agent| !stays(*agent)).count();
        let (fewest, most) = self.made();
        let saved = |holder: Set| {
            let evict = if dropped & holder != 0 { evicted } else { 0 };
            copied + evict - moved + changed * (self.carried(holder) - 1)
        };
        let mut saved: Vec<i64> = bits(self.holders & !self.taken).map(saved).collect();
        saved.sort_unstable_by(|a, b| b.cmp(a));
        let saved = saved.into_iter().map(|saved| saved.max(0)).chain(std::iter::repeat(0));
        // One more than has to be is worth it where it costs less than the move to it saves.
        let made = (0..most).zip(saved).map(|(index, saved)| match index < fewest {
            true => copied - changed - saved,
            false => (copied - changed - saved).min(0),
        });
        let cost = leaving as i64 * changed + i64::from(dropped.count_ones()) * evicted + made.sum::<i64>();
        u64::try_from(cost).unwrap_or(0)
    }

    /// How many nodes become holders: at least and at most.
    fn made(&self) -> (u32, u32) {
        let candidates = self.open & !self.holders;
        let kept = self.open & self.holders;
        // Agents that no node suits that is taken or may be kept, no two of which the same node suits.
        let (mut apart, mut seen) = (0, 0);
        for hope in self.hopes.iter().filter(|hope| hope.suits & (self.taken | kept) == 0) {
            if hope.suits & seen == 0 {
                apart += 1;
                seen |= hope.suits;
            }
        }
        let fewest = (self.fewest as u32).saturating_sub(kept.count_ones());
        (fewest.max((self.taken & candidates).count_ones() + apart), candidates.count_ones())
    }

    /// How many readers of a holder a move takes where they shall be, at most: those who would have to leave, less those who
    /// could have stayed.
    fn carried(&self, holder: Set) -> i64 {
        let readers = || (0..self.hopes.len()).filter(|agent| 1 << self.problem.reads[*agent] == holder);
        let gained = |to: Set| {
            let of = |agent: usize| match (self.hopes[agent].suits & holder != 0, self.hopes[agent].suits & to != 0) {
                (false, true) => 1,
                (true, false) => -1,
                _ => 0,
            };
            readers().map(of).sum::<i64>()
        };
        bits(self.open & !self.holders).map(gained).max().unwrap_or(0)
    }
}

/// The nodes of a set, each by itself.
fn bits(mut set: Set) -> impl Iterator<Item = Set> {
    std::iter::from_fn(move || {
        let lowest = set & set.wrapping_neg();
        set &= !lowest;
        (lowest != 0).then_some(lowest)
    })
}
