//! The best placement, and how sure that is.

use super::problem::{Choice, Problem};
use super::route::{Route, route};
use super::work::{self, Seated};
use super::{exact, local};
use crate::domain::action::Action;
use crate::domain::ids::{AgentId, NodeId};
use std::collections::BTreeMap;

/// How a placement was found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Found {
    /// No placement is better.
    Exhaustive,
    /// Adding, dropping and swapping from several starts, and as much of the exhaustive search as was affordable. No placement
    /// has an expected share below `bound`.
    LocalSearch { bound: f64 },
}

impl Found {
    /// How both were found: of what cannot be had together only the worse of the two bounds is known.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Found::Exhaustive, found) | (found, Found::Exhaustive) => found,
            (Found::LocalSearch { bound }, Found::LocalSearch { bound: of_other }) => {
                Found::LocalSearch { bound: bound.min(of_other) }
            }
        }
    }
}

/// One action of the way to a placement, and who takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub agent: AgentId,
    pub action: Action,
}

/// The smallest expected share of violated jobs; of all placements that have it, the cheapest to reach; of these, the one with
/// the fewest replicas.
#[derive(Clone, PartialEq, Debug)]
pub struct Best {
    /// Mean over the agents, 0..=1.
    pub share: f64,
    /// Of all steps together.
    pub cost: f64,
    /// Ascending.
    pub replicas: Vec<NodeId>,
    pub reads: BTreeMap<AgentId, NodeId>,
    /// Whose work moves, and where to.
    pub choice: Choice,
    /// Work that moves first; copies then, then moves, changes of reference and evicts, so that each finds what it needs.
    pub steps: Vec<Step>,
    pub found: Found,
}

/// The best placement with jobs where they run.
pub struct Placed {
    pub route: Route,
    /// With so many replicas something better may still be.
    unsettled: Vec<usize>,
}

/// Searches. Deterministic: what is affordable is counted, not timed.
pub fn placed(problem: &Problem) -> Placed {
    let stay = route(problem, &problem.holders);
    let all: Vec<usize> = (1..=problem.shares.len()).collect();
    // Nothing has a smaller share, nothing has to be done, and having fewer replicas would cost something.
    let is_perfect = stay.value.share == bound(problem, &all) && stay.value.cost == 0 && problem.prices.evicted > 0;
    let (route, unsettled) =
        if is_perfect { (stay, Vec::new()) } else { exact::search(problem, local::search(problem, stay)) };
    Placed { route, unsettled }
}

/// The same, with jobs where they had best run.
pub fn best(problem: &Problem) -> Best {
    let seated = work::best(problem);
    let (value, found) = (seated.value(), found(problem, &seated));
    let Seated { choice, placed: Placed { route, .. }, .. } = seated;
    let node = |position: usize| problem.nodes[position];
    let evicted = |holder: &usize| route.evicts.contains(holder) || route.moves.iter().any(|(from, _)| from == holder);
    let kept = problem.holders.iter().copied().filter(|holder| !evicted(holder));
    let made = route.moves.iter().map(|(_, to)| *to).chain(route.copies.iter().map(|(to, _)| *to));
    let mut replicas: Vec<NodeId> = kept.chain(made).map(node).collect();
    replicas.sort_unstable();
    Best {
        share: problem.mean(value.share),
        cost: value.cost as f64 / 1e3,
        replicas,
        reads: problem.agents.iter().copied().zip(route.reads.iter().copied().map(node)).collect(),
        steps: work_moved(problem, &choice).chain(steps(problem, &route)).collect(),
        choice,
        found,
    }
}

fn found(problem: &Problem, Seated { problem: seated, placed, is_exhaustive, .. }: &Seated) -> Found {
    let share = placed.route.value.share;
    let all: Vec<usize> = (1..=problem.shares.len()).collect();
    match (is_exhaustive, placed.unsettled.as_slice()) {
        (true, []) => Found::Exhaustive,
        (true, unsettled) if problem.others.iter().all(Vec::is_empty) => {
            Found::LocalSearch { bound: problem.mean(bound(seated, unsettled).min(share)) }
        }
        // Another choice may not have been settled either.
        (true | false, _) => Found::LocalSearch { bound: problem.mean(bound(&problem.anywhere(), &all).min(share)) },
    }
}

fn work_moved<'p>(problem: &'p Problem, choice: &'p Choice) -> impl Iterator<Item = Step> + 'p {
    let moved = problem.agents.iter().zip(choice).zip(&problem.others);
    moved.filter_map(|((agent, seat), others)| {
        let to = others[(*seat)?].node;
        Some(Step { agent: *agent, action: Action::MoveWork { agent: *agent, to } })
    })
}

/// No placement with one of these numbers of replicas has a smaller share \[millionths, of all agents\]: everybody at its best
/// node. With one replica they have to agree on it.
pub fn bound(problem: &Problem, replicas: &[usize]) -> u64 {
    let open = || (0..problem.nodes.len()).filter(|node| problem.open[*node]);
    let agents = || 0..problem.agents.len();
    let alone = |node| agents().map(|agent| u64::from(problem.share(agent, node, 1))).sum();
    let apart = |replicas: usize| -> u64 {
        let best = |agent| open().map(|node| problem.share(agent, node, replicas)).min().unwrap_or(0);
        agents().map(|agent| u64::from(best(agent))).sum()
    };
    let bound = |replicas: &usize| match *replicas == 1 && problem.shares.len() > 1 {
        true => open().map(alone).min().unwrap_or(0),
        // Where the number makes no difference, one stands for any.
        false => apart(*replicas),
    };
    replicas.iter().map(bound).min().unwrap_or(0)
}

fn steps(problem: &Problem, route: &Route) -> Vec<Step> {
    let step = |agent: usize, action: Action| Step { agent: problem.agents[agent], action };
    let node = |position: usize| problem.nodes[position];
    let idle = route.copies.iter().filter(|(_, maker)| maker.is_none()).map(|(to, _)| *to);
    let made = route.copies.iter().filter_map(|(to, maker)| Some((*to, (*maker)?)));
    // Somebody who leaves anyway makes the copies that nobody reads; else somebody who comes back.
    let leaves = route.changes.first().copied().or_else(|| made.clone().next().map(|(_, maker)| maker));
    let idler = leaves.unwrap_or(0);
    let mut steps: Vec<Step> = Vec::new();
    let mut reads = problem.reads.clone();
    for (to, maker) in idle.map(|to| (to, idler)).chain(made.clone()) {
        let from = problem.source(reads[maker], to);
        steps.push(step(maker, Action::Copy { from: node(from), to: node(to) }));
        reads[maker] = to;
    }
    for (from, to) in &route.moves {
        let reader = reads.iter().position(|read| read == from).unwrap_or(0);
        steps.push(step(reader, Action::Move { from: node(*from), to: node(*to) }));
        reads.iter_mut().filter(|read| *read == from).for_each(|read| *read = *to);
    }
    for (agent, to) in route.reads.iter().copied().enumerate() {
        if reads[agent] != to {
            steps.push(step(agent, Action::ChangeReference { to: node(to) }));
        }
    }
    for holder in &route.evicts {
        let at_home = problem.homes.iter().position(|home| *home == Some(*holder)).unwrap_or(0);
        steps.push(step(at_home, Action::Evict { node: node(*holder) }));
    }
    steps
}
