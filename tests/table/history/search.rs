//! Whether calls that overlapped can have happened one after the other.
//!
//! The search of J. M. Wing and C. Gong, "Testing and verifying concurrent objects" (Journal of Parallel and Distributed
//! Computing 17, 1993): take any call that nobody's answer precedes, perform it on the reference, go on with the rest, and come
//! back when nothing fits. What was tried already is remembered, as in G. Lowe, "Testing for linearizability" (Concurrency and
//! Computation 29, 2017): the same calls done with the same result need no second look.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};

/// More than any history of these tests needs by far; who comes here has found nothing out (I-7).
const LOOKS_MAX: usize = 400_000;
/// So many of the calls before the place where nothing fits are told.
const TOLD: usize = 12;

/// Something that performs one call after the other.
pub trait Reference: Clone + Ord {
    type Call: Display + Debug;

    /// What it is after a call that was answered like this; why it would not be answered so.
    fn after(&self, call: &Self::Call) -> Result<Self, String>;
}

/// A call with the time of its invocation and of its answer, in ticks of the recorder.
#[derive(Clone, Debug)]
pub struct Timed<C> {
    pub call: C,
    pub invoked: u64,
    /// `None`: the answer never came. It took place at any time after its invocation, or never.
    pub answered: Option<u64>,
}

/// Which calls were done.
type Done = Vec<bool>;

struct Step<R> {
    state: R,
    done: Done,
    order: Vec<usize>,
}

/// `Err`: no order of the calls explains their answers, with the longest beginning of one that does.
pub fn explain<R: Reference>(start: R, calls: &[Timed<R::Call>]) -> Result<(), String> {
    let mut tried = BTreeSet::new();
    let mut stack = vec![Step { state: start, done: vec![false; calls.len()], order: Vec::new() }];
    let mut longest: Option<Step<R>> = None;
    while let Some(step) = stack.pop() {
        if (0..calls.len()).all(|n| step.done[n] || calls[n].answered.is_none()) {
            return Ok(());
        }
        if !tried.insert((step.done.clone(), step.state.clone())) {
            continue;
        }
        if tried.len() > LOOKS_MAX {
            return Err(format!("nothing found out about {} calls within {LOOKS_MAX} looks", calls.len()));
        }
        // What is pushed last is looked at first: calls with answers before those without, in the order of their answers.
        for next in next(calls, &step.done).into_iter().rev() {
            let Ok(state) = step.state.after(&calls[next].call) else { continue };
            if calls[next].answered.is_none() && state == step.state {
                continue;
            }
            let mut done = step.done.clone();
            done[next] = true;
            stack.push(Step { state, done, order: [&step.order[..], &[next]].concat() });
        }
        if longest.as_ref().is_none_or(|longest| answered(calls, &step) > answered(calls, longest)) {
            longest = Some(step);
        }
    }
    Err(longest.map_or_else(String::new, |longest| refusal(calls, &longest)))
}

fn answered<R: Reference>(calls: &[Timed<R::Call>], step: &Step<R>) -> usize {
    step.order.iter().filter(|n| calls[**n].answered.is_some()).count()
}

/// The calls that can be next: begun before any answer to one that is not done yet.
fn next<C>(calls: &[Timed<C>], done: &Done) -> Vec<usize> {
    let waiting = || (0..calls.len()).filter(|n| !done[*n]);
    let first_answer = waiting().filter_map(|n| calls[n].answered).min().unwrap_or(u64::MAX);
    let mut next: Vec<usize> = waiting().filter(|n| calls[*n].invoked < first_answer).collect();
    next.sort_by_key(|n| calls[*n].answered.unwrap_or(u64::MAX));
    next
}

fn refusal<R: Reference>(calls: &[Timed<R::Call>], step: &Step<R>) -> String {
    let mut lines = vec!["no order of the calls explains their answers. After".to_owned()];
    let skipped = step.order.len().saturating_sub(TOLD);
    if skipped > 0 {
        lines.push(format!("  ({skipped} calls)"));
    }
    lines.extend(step.order[skipped..].iter().map(|n| format!("  {}", calls[*n].call)));
    lines.push("none of these can be next:".to_owned());
    for next in next(calls, &step.done) {
        let call = &calls[next];
        match step.state.after(&call.call) {
            Err(why) => lines.push(format!("  {}: {why}", call.call)),
            Ok(_) => lines.push(format!("  {}: then the rest does not fit", call.call)),
        }
    }
    lines.join("\n")
}
