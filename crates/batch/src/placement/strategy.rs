//! What a placement is made by, as people name it: `best-fit-decreasing`, `priority+first-fit`, `deadline+in-order`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Three choices that do not depend on each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Strategy {
    pub order: Order,
    pub packing: Packing,
    pub overtaking: Overtaking,
}

/// Whose turn it is; among equals, whoever came first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    #[default]
    Arrival,
    /// The higher one first.
    Priority,
    /// The earliest deadline first, and jobs without one last.
    Deadline,
}

/// Which worker a task is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packing {
    pub fit: Fit,
    /// A job's tasks with the most cores are placed first.
    pub is_decreasing: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// The worker that has the fewest cores left over.
    Best,
    /// The first that has enough.
    First,
}

/// What becomes of those behind a job that has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Overtaking {
    /// Whoever fits goes: nothing stays free that somebody could use, and a large job may wait for ever.
    Greedy,
    /// Nobody goes before it.
    InOrder,
    /// Those that cannot delay it go.
    #[default]
    Backfill,
}

impl Default for Packing {
    fn default() -> Self {
        Self { fit: Fit::Best, is_decreasing: true }
    }
}

/// Every word, what it chooses, and what that means.
const WORDS: [(&str, Choice, &str); 10] = [
    ("arrival", Choice::Order(Order::Arrival), "who came first goes first"),
    ("priority", Choice::Order(Order::Priority), "the higher priority first"),
    ("deadline", Choice::Order(Order::Deadline), "the earliest deadline first"),
    ("best-fit", packing(Fit::Best, false), "the worker with the fewest cores left over"),
    ("first-fit", packing(Fit::First, false), "the first worker with enough"),
    ("best-fit-decreasing", packing(Fit::Best, true), "the same, a job's largest tasks first"),
    ("first-fit-decreasing", packing(Fit::First, true), "the same, a job's largest tasks first"),
    ("backfill", Choice::Overtaking(Overtaking::Backfill), "who cannot delay the first that waits may go before it"),
    ("in-order", Choice::Overtaking(Overtaking::InOrder), "nobody goes before one that waits"),
    ("greedy", Choice::Overtaking(Overtaking::Greedy), "whoever fits goes"),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    Order(Order),
    Packing(Packing),
    Overtaking(Overtaking),
}

const fn packing(fit: Fit, is_decreasing: bool) -> Choice {
    Choice::Packing(Packing { fit, is_decreasing })
}

/// A text names no strategy.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnknownStrategy {
    #[error("`{0}` is no part of a strategy; parts are {names}, joined with `+`: `priority+best-fit`", names = names())]
    Word(String),
    #[error("`{0}` and `{1}` exclude each other; leave one of them out")]
    Both(&'static str, &'static str),
}

fn names() -> String {
    WORDS.map(|(word, _, _)| word).join(", ")
}

impl Strategy {
    /// Every part that a strategy can be made of, with what it means.
    pub fn parts() -> impl Iterator<Item = (&'static str, &'static str)> {
        WORDS.into_iter().map(|(word, _, meaning)| (word, meaning))
    }

    fn choices(self) -> [Choice; 3] {
        [Choice::Order(self.order), Choice::Packing(self.packing), Choice::Overtaking(self.overtaking)]
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let mut strategy = Self::default();
        let (mut order, mut packing, mut overtaking) = (None, None, None);
        for part in text.split('+').map(str::trim) {
            let known = WORDS.iter().find(|(word, _, _)| *word == part);
            let (word, choice, _) = known.ok_or_else(|| UnknownStrategy::Word(part.escape_debug().to_string()))?;
            let said = match choice {
                Choice::Order(chosen) => {
                    strategy.order = *chosen;
                    order.replace(*word)
                }
                Choice::Packing(chosen) => {
                    strategy.packing = *chosen;
                    packing.replace(*word)
                }
                Choice::Overtaking(chosen) => {
                    strategy.overtaking = *chosen;
                    overtaking.replace(*word)
                }
            };
            if let Some(before) = said {
                return Err(UnknownStrategy::Both(before, word));
            }
        }
        Ok(strategy)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |choice: Choice| WORDS.iter().find(|(_, known, _)| *known == choice).map(|(word, _, _)| *word);
        f.pad(&self.choices().into_iter().filter_map(word).collect::<Vec<_>>().join("+"))
    }
}

impl TryFrom<String> for Strategy {
    type Error = UnknownStrategy;

    fn try_from(text: String) -> Result<Self, UnknownStrategy> {
        text.parse()
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> Self {
        strategy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_named_by_their_parts() {
        let check = |text: &str, written: &str| {
            let strategy: Strategy = text.parse().unwrap();
            assert_eq!(strategy.to_string(), written, "{text}");
            assert_eq!(written.parse(), Ok(strategy));
        };
        check("best-fit", "arrival+best-fit+backfill");
        check("greedy + priority", "priority+best-fit-decreasing+greedy");
        check("deadline+first-fit+in-order", "deadline+first-fit+in-order");
        assert_eq!("best".parse::<Strategy>(), Err(UnknownStrategy::Word("best".to_owned())));
        assert_eq!("".parse::<Strategy>(), Err(UnknownStrategy::Word(String::new())));
        assert_eq!("best-fit+first-fit".parse::<Strategy>(), Err(UnknownStrategy::Both("best-fit", "first-fit")));
    }
}
