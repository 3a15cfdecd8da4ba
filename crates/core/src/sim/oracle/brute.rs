//! The oracle against the slowest search there is: every set of nodes, every way to read it, every combination of moves, every
//! choice of who makes the copies.

use super::problem::{OtherSeat, Prices, Problem, Value};
use super::route::route;
use super::{exact, search};
use crate::domain::ids::{AgentId, NodeId};
use proptest::prelude::*;

/// Every list of one item of each of these.
fn combinations<T: Clone>(choices: &[Vec<T>]) -> Vec<Vec<T>> {
    let grow = |lists: Vec<Vec<T>>, choices: &Vec<T>| {
        let with = |list: &Vec<T>, item: &T| list.iter().cloned().chain([item.clone()]).collect();
        lists.iter().flat_map(|list| choices.iter().map(move |item| with(list, item))).collect()
    };
    choices.iter().fold(vec![Vec::new()], grow)
}

/// The best of all choices of where jobs run.
fn best(problem: &Problem) -> Value {
    let seats = |others: &Vec<OtherSeat>| std::iter::once(None).chain((0..others.len()).map(Some)).collect::<Vec<_>>();
    let choices = combinations(&problem.others.iter().map(seats).collect::<Vec<_>>());
    let of = |choice: Vec<Option<usize>>| {
        let Value { share, cost, replicas } = best_of_seats(&problem.seated(&choice));
        Value { share, cost: cost + problem.prices.worked * choice.iter().flatten().count() as u64, replicas }
    };
    choices.into_iter().map(of).min().expect("they can stay")
}

fn best_of_seats(problem: &Problem) -> Value {
    let nodes = problem.nodes.len();
    let sets = (1..1_usize << nodes).map(|bits| (0..nodes).filter(|node| bits & 1 << node != 0).collect::<Vec<_>>());
    let allowed = sets.filter(|set| set.iter().all(|node| problem.open[*node]) && problem.allows(set));
    allowed.map(|set| best_of_set(problem, &set)).min().expect("the present set is allowed")
}

fn best_of_set(problem: &Problem, set: &[usize]) -> Value {
    let agents = problem.agents.len();
    let total = |reads: &Vec<usize>| -> u64 {
        (0..agents).map(|agent| u64::from(problem.share(agent, reads[agent], set.len()))).sum()
    };
    let all = combinations(&vec![set.to_vec(); agents]);
    let share = all.iter().map(total).min().expect("a set is not empty");
    let cost = all.iter().filter(|reads| total(reads) == share).map(|reads| cheapest(problem, set, reads)).min();
    Value { share, cost: cost.expect("one of them has the smallest"), replicas: set.len() }
}

fn cheapest(problem: &Problem, set: &[usize], reads: &[usize]) -> u64 {
    let dropped: Vec<usize> = problem.holders.iter().copied().filter(|holder| !set.contains(holder)).collect();
    let made: Vec<usize> = set.iter().copied().filter(|node| !problem.holders.contains(node)).collect();
    let goes = |holder: &usize| {
        let row = problem.holders.iter().position(|one| one == holder).unwrap();
        let there = made.iter().copied().filter(move |to| problem.ways[row][*to]).map(Some);
        there.chain([None]).collect::<Vec<_>>()
    };
    let moves = combinations(&dropped.iter().map(goes).collect::<Vec<_>>());
    let is_possible = |moves: &&Vec<Option<usize>>| {
        let mut targets: Vec<usize> = moves.iter().flatten().copied().collect();
        targets.sort_unstable();
        targets.windows(2).all(|two| two[0] != two[1])
    };
    let costs = moves.iter().filter(is_possible).map(|moves| {
        let lies = |from: usize| match dropped.iter().position(|one| *one == from) {
            Some(index) => moves[index],
            None => Some(from),
        };
        let leaves: Vec<usize> =
            (0..reads.len()).filter(|agent| lies(problem.reads[*agent]) != Some(reads[*agent])).collect();
        let copied: Vec<usize> = made.iter().copied().filter(|node| !moves.contains(&Some(*node))).collect();
        let makers = |node: &usize| {
            leaves.iter().copied().filter(|agent| reads[*agent] == *node).map(Some).chain([None]).collect::<Vec<_>>()
        };
        let moved = moves.iter().flatten().count() as u64;
        let of = |makers: Vec<Option<usize>>| {
            let free = makers.iter().flatten().count();
            let comes_back = u64::from(free < makers.len() && leaves.is_empty());
            let prices = &problem.prices;
            moved * prices.moved
                + (moves.len() as u64 - moved) * prices.evicted
                + copied.len() as u64 * prices.copied
                + ((leaves.len() - free) as u64 + comes_back) * prices.changed
        };
        combinations(&copied.iter().map(makers).collect::<Vec<_>>()).into_iter().map(of).min().unwrap_or(0)
    });
    costs.min().expect("nothing has to be moved")
}

/// Few different shares, so that there are ties; some with a number of replicas that counts.
fn problems(nodes: usize, agents: usize) -> impl Strategy<Value = Problem> {
    let bools = move |count: usize| proptest::collection::vec(any::<bool>(), count);
    let shares =
        proptest::collection::vec(prop::sample::select(vec![0_u32, 0, 250_000, 600_000, 1_000_000]), nodes * agents);
    let price = || prop::sample::select(vec![0_u64, 500, 1000, 1500, 1800, 2600]);
    let holders = prop::sample::subsequence((0..nodes).collect::<Vec<_>>(), 1..=nodes.min(3));
    (
        holders,
        proptest::collection::vec(shares, 1..=3),
        proptest::collection::vec(any::<prop::sample::Index>(), agents),
        bools(nodes),
        bools(3 * nodes),
        (price(), price(), price(), price()),
        (bools(nodes), any::<bool>(), 0..3_usize, 0..3_usize),
    )
        .prop_map(move |(holders, shares, reads, room, ways, prices, (stay, stays, fewest, more))| {
            let way = |row: usize, to: usize| holders[row] == to || ways[row * nodes + to] || ways[to];
            let ways: Vec<Vec<bool>> =
                (0..holders.len()).map(|row| (0..nodes).map(|to| way(row, to)).collect()).collect();
            let (moved, copied, changed, evicted) = prices;
            Problem {
                nodes: (1..).map(NodeId).take(nodes).collect(),
                agents: (1..).map(AgentId).take(agents).collect(),
                homes: (0..agents).map(|agent| (agent < nodes).then_some(agent)).collect(),
                reads: reads.into_iter().map(|read| *read.get(&holders)).collect(),
                open: (0..nodes)
                    .map(|to| holders.contains(&to) || room[to] && ways.iter().any(|row| row[to]))
                    .collect(),
                kept: (0..nodes).map(|node| stays && stay[node] && holders.contains(&node)).collect(),
                sizes: (fewest.clamp(1, holders.len()), holders.len() + if more == 2 { nodes } else { more }),
                holders,
                ways,
                others: vec![Vec::new(); agents],
                shares,
                prices: Prices { moved, copied, changed, evicted, worked: 1200 },
            }
        })
}

fn check(problem: &Problem) -> Result<(), TestCaseError> {
    let expected = best(problem);
    // From the present placement, so that nothing is left to the local search.
    let (found, unsettled) = exact::search(problem, route(problem, &problem.holders));
    prop_assert!(unsettled.is_empty());
    prop_assert_eq!(found.value, best_of_seats(problem));
    let best = search::best(problem);
    prop_assert_eq!((best.replicas.len(), best.found), (expected.replicas, search::Found::Exhaustive));
    // The steps lead there, at that cost.
    let (placement, cost) = followed(problem, &best.steps);
    let reads: Vec<NodeId> = best.reads.values().copied().collect();
    prop_assert_eq!(placement, (best.replicas, reads));
    prop_assert_eq!(cost, expected.cost);
    Ok(())
}

/// The nodes that hold a replica after all steps, and where each agent reads; and what the steps cost.
fn followed(problem: &Problem, steps: &[search::Step]) -> ((Vec<NodeId>, Vec<NodeId>), u64) {
    use crate::domain::action::Action;
    let node = |position: &usize| problem.nodes[*position];
    let mut holders: Vec<NodeId> = problem.holders.iter().map(node).collect();
    let mut reads: Vec<NodeId> = problem.reads.iter().map(node).collect();
    let mut cost = 0;
    for step in steps {
        let agent = problem.agents.iter().position(|agent| *agent == step.agent).unwrap();
        match step.action {
            Action::Copy { from, to } => {
                assert!(holders.contains(&from) && !holders.contains(&to), "{step:?}");
                holders.push(to);
                reads[agent] = to;
                cost += problem.prices.copied;
            }
            Action::Move { from, to } => {
                assert!(holders.contains(&from) && !holders.contains(&to), "{step:?}");
                holders.retain(|holder| *holder != from);
                holders.push(to);
                reads.iter_mut().filter(|read| **read == from).for_each(|read| *read = to);
                cost += problem.prices.moved;
            }
            Action::ChangeReference { to } => {
                assert!(holders.contains(&to), "{step:?}");
                reads[agent] = to;
                cost += problem.prices.changed;
            }
            Action::Restore { .. } => unreachable!("no oracle mends"),
            Action::Evict { node } => {
                assert!(holders.contains(&node) && !reads.contains(&node), "{step:?}");
                holders.retain(|holder| *holder != node);
                cost += problem.prices.evicted;
            }
            Action::MoveWork { .. } => cost += problem.prices.worked,
            Action::Nothing => unreachable!("{step:?}"),
        }
    }
    holders.sort_unstable();
    ((holders, reads), cost)
}

/// The same with some other seats for each agent.
fn mobile(nodes: usize, agents: usize) -> impl Strategy<Value = Problem> {
    let share = || prop::sample::select(vec![0_u32, 250_000, 1_000_000]);
    let price = prop::sample::select(vec![0_u64, 500, 1200, 2000]);
    problems(nodes, agents).prop_flat_map(move |problem| {
        let layer = proptest::collection::vec(share(), nodes);
        let seat = proptest::collection::vec(layer, problem.shares.len());
        let seats = proptest::collection::vec(proptest::collection::vec(seat, 0..=2), agents);
        (Just(problem), seats, price.clone()).prop_map(|(problem, seats, worked)| {
            let numbered = |seats: Vec<Vec<Vec<u32>>>| {
                (11..).zip(seats).map(|(node, shares)| OtherSeat { node: NodeId(node), shares }).collect()
            };
            let prices = Prices { worked, ..problem.prices };
            Problem { others: seats.into_iter().map(numbered).collect(), prices, ..problem }
        })
    })
}

proptest! {
    #[test]
    fn no_placement_and_no_choice_of_seats_is_better(problem in (1_usize..=4, 1_usize..=3).prop_flat_map(|(n, a)| mobile(n, a))) {
        check(&problem)?;
    }

    #[test]
    fn many_choices_are_climbed_to_no_worse_than_staying(problem in (2_usize..=3, 1_usize..=4).prop_flat_map(|(n, a)| mobile(n, a))) {
        let (climbed, best) = super::work::both_ways(&problem);
        prop_assert!(climbed >= best && climbed <= best_of_seats(&problem), "{:?}, {:?}", climbed, best);
    }

    #[test]
    fn no_placement_is_better_with_few_nodes(problem in (1_usize..=4, 1_usize..=4).prop_flat_map(|(n, a)| problems(n, a))) {
        check(&problem)?;
    }

    #[test]
    fn no_placement_is_better_with_more_nodes(problem in (4_usize..=6, 1_usize..=3).prop_flat_map(|(n, a)| problems(n, a))) {
        check(&problem)?;
    }
}
