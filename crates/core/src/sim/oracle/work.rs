//! Where applications run, besides where their data lies: each choice of seats for all of them is a problem by itself, with the shares
//! that jobs have there, and moving work costs what it costs whatever is done with the data.
//!
//! All choices are looked at where there are few; those that cannot be better are left out by what everybody at its best node would
//! come to. Where there are many, one application after the other goes where that is better, from where they are and from where each
//! would be best.

use super::problem::{Choice, Problem, Value};
use super::search::{Placed, bound, placed};

/// Up to so many choices are all looked at (I-7).
const CHOICES: usize = 256;
/// How often all applications are gone through where there are more; mostly the second time changes nothing.
const ROUNDS: usize = 4;

/// A choice of seats, and the best placement for it.
pub struct Seated {
    pub choice: Choice,
    /// With these seats.
    pub problem: Problem,
    pub placed: Placed,
    /// Every choice was looked at.
    pub is_exhaustive: bool,
}

impl Seated {
    fn new(problem: &Problem, choice: Choice) -> Self {
        let seated = problem.seated(&choice);
        let placed = placed(&seated);
        Self { choice, problem: seated, placed, is_exhaustive: true }
    }

    /// With what moving the work there costs.
    pub fn value(&self) -> Value {
        let Value { share, cost, replicas } = self.placed.route.value;
        Value { share, cost: cost + self.problem.prices.worked * moved(&self.choice), replicas }
    }
}

/// How many applications move.
fn moved(choice: &Choice) -> u64 {
    choice.iter().flatten().count() as u64
}

/// The best choice of seats; of equal ones the first that was looked at.
pub fn best(problem: &Problem) -> Seated {
    let stay: Choice = vec![None; problem.agents.len()];
    let as_it_is = Seated::new(problem, stay);
    let choices = problem.others.iter().map(|others| others.len() + 1).try_fold(1_usize, usize::checked_mul);
    match choices {
        Some(1) => as_it_is,
        Some(few) if few <= CHOICES => exhaustive(problem, as_it_is),
        Some(_) | None => climbed(problem, as_it_is),
    }
}

fn exhaustive(problem: &Problem, as_it_is: Seated) -> Seated {
    let grow = |choices: Vec<Choice>, seats: usize| {
        let with = |choice: &Choice, seat| choice.iter().copied().chain([seat]).collect();
        let seats = || std::iter::once(None).chain((0..seats).map(Some));
        choices.iter().flat_map(|choice| seats().map(move |seat| with(choice, seat))).collect()
    };
    let mut choices = problem.others.iter().map(Vec::len).fold(vec![Vec::new()], grow);
    // Those that move least first: what follows has to have a smaller share.
    choices.sort_by_key(moved);
    choices.into_iter().skip(1).fold(as_it_is, |best, choice| {
        let layers: Vec<usize> = (1..=problem.shares.len()).collect();
        let (share, cost) = (bound(&problem.seated(&choice), &layers), problem.prices.worked * moved(&choice));
        if (Value { share, cost, replicas: 0 }) >= best.value() {
            return best;
        }
        better(best, Seated::new(problem, choice))
    })
}

fn climbed(problem: &Problem, as_it_is: Seated) -> Seated {
    let anywhere = placed(&problem.anywhere());
    let (reads, replicas) = (&anywhere.route.reads, anywhere.route.value.replicas);
    let choice = (0..problem.agents.len()).map(|agent| {
        let share = |seat: Option<usize>| problem.share_from(agent, seat, reads[agent], replicas);
        let seats = std::iter::once(None).chain((0..problem.others[agent].len()).map(Some));
        seats.min_by_key(|seat| share(*seat)).flatten()
    });
    let there = Seated::new(problem, choice.collect());
    let best = better(risen(problem, as_it_is), risen(problem, there));
    Seated { is_exhaustive: false, ..best }
}

/// As where there are many choices, and with all of them.
#[cfg(test)]
pub fn both_ways(problem: &Problem) -> (Value, Value) {
    let stay = || Seated::new(problem, vec![None; problem.agents.len()]);
    (climbed(problem, stay()).value(), exhaustive(problem, stay()).value())
}

/// Each in turn goes where that is better, as long as it is.
fn risen(problem: &Problem, mut best: Seated) -> Seated {
    for _ in 0..ROUNDS {
        let before = best.value();
        for (agent, others) in problem.others.iter().enumerate() {
            for seat in std::iter::once(None).chain((0..others.len()).map(Some)) {
                let mut choice = best.choice.clone();
                if std::mem::replace(&mut choice[agent], seat) != seat {
                    best = better(best, Seated::new(problem, choice));
                }
            }
        }
        if best.value() == before {
            break;
        }
    }
    best
}

fn better(one: Seated, other: Seated) -> Seated {
    if other.value() < one.value() { other } else { one }
}
