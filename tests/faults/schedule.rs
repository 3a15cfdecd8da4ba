//! What goes wrong, and when: drawn from a seed before anything happens, so that the seed alone repeats it. Pure.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::time::Duration;

pub const AGENTS: [u32; 3] = [1, 2, 3];
/// The nodes whose stores are reached through a man in the middle. Node 1's store lives and dies with its agent.
pub const STORES: [u32; 2] = [2, 3];
/// The node whose store may run out of space.
pub const SMALL_DISK: u32 = 3;

/// Faults begin within so much of a round.
const BEGIN_WITHIN_MS: u64 = 7_000;
/// What is promised to be survived.
const LONG_ABSENCE: Duration = Duration::from_secs(30);

/// Five minutes of the scenario at the shipped scale.
const DARK: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// kill -9, started again at the end. `aimed`: meant for whoever transfers at that moment, if anybody does.
    Kill { agent: u32, aimed: bool },
    /// The table is killed, and started again at the end.
    TableGone,
    /// The same, and meanwhile an agent is killed and the way to a store becomes slow: nobody can be told.
    Dark { agent: u32, node: u32 },
    /// What passes between an agent and the table is cut.
    Cut { agent: u32, way: Way, how: Cut },
    /// A store's answers.
    Store { node: u32, mood: Mood },
    /// No space left for the objects of a node.
    DiskFull,
    /// An agent is killed and started with a clock an hour ahead or behind; and again with the right one at the end.
    Skew { agent: u32, ahead: bool },
    /// Another process with the id of an agent that runs.
    Twin { agent: u32 },
    /// An agent does nothing for longer than its lease, and goes on as if nothing had happened.
    Freeze { agent: u32 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    ToTable,
    FromTable,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Connections are reset so many milliseconds after their first data.
    Reset { after_ms: u64 },
    /// Nothing gets through, and nobody says so.
    Silence,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Honest,
    /// Nobody listens.
    Away,
    /// Whatever passes takes its time.
    Slow,
    /// Every request is answered with 500.
    Failing,
    /// Bodies end in the middle.
    Truncating,
    /// Bodies on their way from the store are changed.
    CorruptingReads,
    /// Bodies on their way to the store are changed.
    CorruptingWrites,
}

/// A fault from `at` to `at + lasts`, counted from the beginning of its round.
#[derive(Clone, PartialEq, Debug)]
pub struct Planned {
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
}

/// What happens to a fault at a moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Turn {
    Begins,
    Ends,
}

/// Draws a fault of one kind, and how long it lasts.
type Kind = fn(&mut ChaCha8Rng) -> (Fault, Duration);

/// Each kind with how long it lasts, in the order in which rounds take turns with them.
const KINDS: [Kind; 14] = [
    |rng| (Fault::TableGone, seconds(rng, 200, 2_000)),
    |rng| (store(rng, Mood::Truncating), seconds(rng, 1_500, 4_000)),
    |rng| (cut(rng, Cut::Silence), seconds(rng, 1_000, 8_000)),
    |rng| (store(rng, Mood::CorruptingReads), seconds(rng, 1_500, 4_000)),
    |rng| (reset(rng), seconds(rng, 1_000, 4_000)),
    |_| (Fault::DiskFull, Duration::from_secs(5)),
    |rng| (Fault::Freeze { agent: pick(rng, &AGENTS) }, seconds(rng, 1_500, 5_000)),
    |rng| (Fault::Skew { agent: pick(rng, &AGENTS), ahead: rng.random() }, seconds(rng, 3_000, 6_000)),
    |rng| (store(rng, Mood::Failing), seconds(rng, 1_500, 4_000)),
    |rng| (Fault::Twin { agent: pick(rng, &AGENTS) }, Duration::from_secs(2)),
    |rng| (store(rng, Mood::CorruptingWrites), seconds(rng, 1_500, 4_000)),
    |_| (Fault::TableGone, LONG_ABSENCE),
    |rng| (store(rng, Mood::Away), seconds(rng, 1_500, 4_000)),
    |rng| (Fault::Dark { agent: pick(rng, &AGENTS), node: pick(rng, &STORES) }, DARK),
];
/// Of these, besides the kills, in every round; so the first so many rounds show every kind.
const KINDS_IN_A_ROUND: usize = 2;
pub const ROUNDS_FOR_EVERY_KIND: usize = KINDS.len().div_ceil(KINDS_IN_A_ROUND);
const KILLS_IN_A_ROUND: std::ops::RangeInclusive<u32> = 4..=7;

/// The faults of a round (0, 1, 2, ...), by when they begin.
pub fn round(seed: u64, number: usize) -> Vec<Planned> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Each round has a stream of its own: a schedule is the same however many of its rounds are played.
    rng.set_stream(number as u64);
    let mut planned = Vec::new();
    for turn in 0..KINDS_IN_A_ROUND {
        let at = seconds(&mut rng, 0, BEGIN_WITHIN_MS);
        let (fault, lasts) = KINDS[(number * KINDS_IN_A_ROUND + turn) % KINDS.len()](&mut rng);
        planned.push(Planned { at, lasts, fault });
    }
    for _ in 0..rng.random_range(KILLS_IN_A_ROUND) {
        let (at, lasts) = (seconds(&mut rng, 0, BEGIN_WITHIN_MS), seconds(&mut rng, 0, 1_200));
        let fault = Fault::Kill { agent: pick(&mut rng, &AGENTS), aimed: rng.random_range(0..4) > 0 };
        planned.push(Planned { at, lasts, fault });
    }
    planned.sort_by_key(|planned| planned.at);
    planned
}

/// Every beginning and end with the fault's index, in the order of time.
pub fn turns(faults: &[Planned]) -> Vec<(Duration, Turn, usize)> {
    let both = |(index, planned): (usize, &Planned)| {
        [(planned.at, Turn::Begins, index), (planned.at + planned.lasts, Turn::Ends, index)]
    };
    let mut turns: Vec<_> = faults.iter().enumerate().flat_map(both).collect();
    turns.sort_unstable();
    turns
}

fn seconds(rng: &mut ChaCha8Rng, from_ms: u64, to_ms: u64) -> Duration {
    Duration::from_millis(rng.random_range(from_ms..=to_ms))
}

fn pick(rng: &mut ChaCha8Rng, of: &[u32]) -> u32 {
    of[rng.random_range(0..of.len())]
}

fn store(rng: &mut ChaCha8Rng, mood: Mood) -> Fault {
    Fault::Store { node: pick(rng, &STORES), mood }
}

fn reset(rng: &mut ChaCha8Rng) -> Fault {
    let after_ms = rng.random_range(0..30);
    cut(rng, Cut::Reset { after_ms })
}

fn cut(rng: &mut ChaCha8Rng, how: Cut) -> Fault {
    let way = if rng.random() { Way::ToTable } else { Way::FromTable };
    Fault::Cut { agent: pick(rng, &AGENTS), way, how }
}

impl Fault {
    /// For counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Kill { .. } => "kill -9 of an agent",
            Fault::TableGone => "table killed",
            Fault::Dark { .. } => "table killed while a node dies and a link changes",
            Fault::Cut { how: Cut::Reset { .. }, .. } => "connections to the table reset",
            Fault::Cut { how: Cut::Silence, .. } => "connections to the table silent",
            Fault::Store { mood, .. } => match mood {
                Mood::Honest => "store honest",
                Mood::Away => "store away",
                Mood::Slow => "store slow",
                Mood::Failing => "store answers 500",
                Mood::Truncating => "bodies truncated",
                Mood::CorruptingReads => "bodies read corrupted",
                Mood::CorruptingWrites => "bodies written corrupted",
            },
            Fault::DiskFull => "disk full",
            Fault::Skew { .. } => "clock an hour off",
            Fault::Twin { .. } => "second process with one id",
            Fault::Freeze { .. } => "agent frozen",
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Turn::Begins => "begins",
            Turn::Ends => "ends  ",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self {
            Fault::Kill { aimed: true, .. } => write!(f, ": whoever transfers"),
            Fault::Kill { agent, .. } | Fault::Twin { agent } | Fault::Freeze { agent } => write!(f, ": agent {agent}"),
            Fault::Skew { agent, ahead } => write!(f, ": agent {agent}, {}", if *ahead { "ahead" } else { "behind" }),
            Fault::Cut { agent, way, how } => write!(f, ": agent {agent}, {way:?}, {how:?}"),
            Fault::Store { node, .. } => write!(f, ": node {node}"),
            Fault::Dark { agent, node } => write!(f, ": agent {agent}, node {node}"),
            Fault::TableGone | Fault::DiskFull => Ok(()),
        }
    }
}

#[test]
fn a_seed_repeats_its_schedule() {
    let rounds = |seed, numbers: std::ops::Range<usize>| numbers.map(|number| round(seed, number)).collect::<Vec<_>>();
    assert_eq!(rounds(7, 0..20), rounds(7, 0..20));
    assert_eq!(rounds(7, 5..6), rounds(7, 0..20)[5..6], "a round does not depend on those before it");
    assert_ne!(rounds(7, 0..20), rounds(8, 0..20));
}

#[test]
fn the_first_rounds_show_every_kind() {
    let kinds: std::collections::BTreeSet<&str> =
        (0..ROUNDS_FOR_EVERY_KIND).flat_map(|number| round(1, number)).map(|planned| planned.fault.kind()).collect();
    assert_eq!(kinds.len(), 14, "{kinds:?}");
}

#[test]
fn what_begins_ends() {
    let faults = round(1, 0);
    let turns = turns(&faults);
    assert!(turns.is_sorted_by_key(|(at, _, _)| *at));
    for index in 0..faults.len() {
        let of_it: Vec<Turn> = turns.iter().filter(|(_, _, of)| *of == index).map(|(_, turn, _)| *turn).collect();
        assert_eq!(of_it, [Turn::Begins, Turn::Ends]);
    }
}
