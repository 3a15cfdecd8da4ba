//! Experiments of membership: how soon, and at what cost, the nodes of a network know each other, and whether anybody can be
//! asked about any of them after many have stopped.

use super::fragment::{History as WrittenHistory, Membership, Queries as WrittenQueries};
use super::values::varied;
use crate::config::fragment::Quantity;
use crate::config::problem::{Invalid, Problems};
use crate::config::quantity;
use crate::domain::units::Percent;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The largest grid \[runs\].
const MAX_RUNS: usize = 100_000;
/// Of a network in virtual time: what a member keeps at most.
const NODES: RangeInclusive<i64> = 2..=20_000;
/// Of a network on real sockets: each node takes two sockets and a task of this process.
const MAX_REAL_NODES: u32 = 1_000;
/// Peers that are asked in an interval.
const FAN_OUT: RangeInclusive<i64> = 1..=16;
/// Of an interval, and of a deadline.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Where more is lost, nothing can be expected to arrive.
const MAX_LOSS_PERCENT: f64 = 90.0;
/// Somebody has to be left who can be asked.
const MAX_FAILURES_PERCENT: f64 = 99.0;
const ROUNDS: RangeInclusive<i64> = 1..=1_000;
const DEFAULT_ROUNDS: i64 = 20;
/// Rows of each node in each round are many: 300 nodes and 20 rounds are 6,000.
const DETAIL: RangeInclusive<i64> = 0..=1_000;
const DEFAULT_DETAIL: i64 = 300;
const DEFAULT_EXCHANGE_BYTES: u64 = 128 << 10;
const DEFAULT_HISTORY_BYTES: u64 = 16_000_000;
const QUERIES: RangeInclusive<i64> = 0..=10_000;
const DEFAULT_QUERIES: i64 = 20;
const QUORUM: RangeInclusive<i64> = 1..=100;
const DEFAULT_QUORUM: i64 = 3;
/// A record is issued again every 10 intervals, and a few more pass until everybody has it.
const DEFAULT_WITHIN_INTERVALS: i64 = 15;
const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);

/// A full grid: every number of nodes with every fan-out, interval, loss, share of failures and seed.
#[derive(Clone, PartialEq, Debug)]
pub struct MembershipExperiment {
    /// Also the name of its database's file.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// Of each network, at least 2; each once, like everything that is varied.
    pub nodes: Vec<u32>,
    /// Peers that each node asks in an interval.
    pub fan_outs: Vec<u32>,
    /// Between two rounds.
    pub intervals: Vec<Duration>,
    /// Of all datagrams.
    pub losses: Vec<Percent>,
    /// Share of the nodes that is stopped before anybody is asked.
    pub failures: Vec<Percent>,
    /// A run for each, everywhere.
    pub seeds: Vec<u64>,
    /// How many are recorded of each run.
    pub rounds: u32,
    /// On sockets of this machine, in real time; otherwise in virtual time.
    pub real: bool,
    /// Of records, in each direction of an exchange.
    pub exchange_bytes: u64,
    /// Of networks with more nodes, and of other seeds than the first, only sums over the nodes are kept.
    pub detail_nodes: u32,
    /// How what was heard is kept.
    pub history: Option<History>,
    /// What is asked at the end.
    pub queries: Queries,
}

/// A node keeps every record that it hears, until it pushes them to the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct History {
    /// In rounds.
    pub push_every: u32,
    /// What a node keeps at most; beyond it the oldest is dropped.
    pub at_most_bytes: u64,
}

/// Quorum reads about nodes that run, after the failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queries {
    /// One after the other.
    pub count: u32,
    /// How many have to agree.
    pub quorum: u32,
    /// Older records are of no use \[intervals\].
    pub within_intervals: u32,
    /// Of each.
    pub deadline: Duration,
}

pub(super) fn validate(written: &Membership, problems: &mut Problems) -> Option<MembershipExperiment> {
    let name = problems.check("name", quantity::name(&written.name));
    let nodes = varied("nodes", &written.nodes, |nodes| quantity::whole(*nodes, NODES), problems);
    let fan_outs = varied("fan_out", &written.fan_out, |fan_out| quantity::whole(*fan_out, FAN_OUT), problems);
    let intervals = varied("interval", &written.interval, interval, problems);
    let share = |share: &Quantity, most, why| below(share, most, why);
    let none = [Quantity("0 %".to_owned())];
    let losses = varied(
        "loss",
        written.loss.as_deref().unwrap_or(&none),
        |loss| share(loss, MAX_LOSS_PERCENT, "a network that loses more hears nothing"),
        problems,
    );
    let failures = varied(
        "failures",
        written.failures.as_deref().unwrap_or(&none),
        |failures| share(failures, MAX_FAILURES_PERCENT, "somebody has to be left who can be asked"),
        problems,
    );
    let seeds = problems.check("seeds", super::seeds(&written.seeds));
    let rounds = problems.check("rounds", quantity::whole(written.rounds.unwrap_or(DEFAULT_ROUNDS), ROUNDS));
    let exchange = written.exchange.as_ref().map_or(Ok(DEFAULT_EXCHANGE_BYTES), quantity::positive_size);
    let exchange_bytes = problems.check("exchange", exchange);
    let detail = problems.check("detail", quantity::whole(written.detail.unwrap_or(DEFAULT_DETAIL), DETAIL));
    let history = written.history.as_ref().map(|written| history(written, problems));
    let queries = queries(&written.queries, problems);
    let experiment = MembershipExperiment {
        name: name?,
        about: written.about.clone(),
        nodes: nodes?,
        fan_outs: fan_outs?,
        intervals: intervals?,
        losses: losses?,
        failures: failures?,
        seeds: seeds?,
        rounds: rounds?,
        real: written.real,
        exchange_bytes: exchange_bytes?,
        detail_nodes: detail?,
        history: match history {
            Some(history) => Some(history?),
            None => None,
        },
        queries: queries?,
    };
    together(&experiment, problems);
    Some(experiment)
}

/// What only becomes wrong beside another key.
fn together(experiment: &MembershipExperiment, problems: &mut Problems) {
    let MembershipExperiment { nodes, fan_outs, intervals, losses, failures, seeds, queries, .. } = experiment;
    let sizes = [nodes.len(), fan_outs.len(), intervals.len(), losses.len(), failures.len(), seeds.len()];
    let runs = sizes.into_iter().fold(1, usize::saturating_mul);
    if runs > MAX_RUNS {
        let help = format!("at most {MAX_RUNS}: fewer seeds or values, or several experiments");
        problems.add("", Invalid::new(format!("comes to {runs} runs"), help));
    }
    if experiment.real {
        if let Some(many) = nodes.iter().find(|nodes| **nodes > MAX_REAL_NODES) {
            let help = format!(
                "at most {MAX_REAL_NODES} nodes on real sockets in one process; more in virtual time, without `real`"
            );
            problems.add("nodes", Invalid::new(format!("{many} are too many for real sockets"), help));
        }
        if losses.iter().any(|loss| loss.value() > 0.0) {
            let help =
                "leave `loss` out: real sockets lose what the machine loses; vary it in virtual time, without `real`";
            problems.add("loss", Invalid::new("cannot be set for real sockets", help));
        }
    }
    if let Some(few) = nodes.iter().find(|nodes| **nodes < queries.quorum) {
        let help = format!("a quorum of at most {few}, or no network of so few nodes");
        problems.add("queries.quorum", Invalid::new(format!("{} of {few} nodes cannot agree", queries.quorum), help));
    }
}

fn interval(written: &Quantity) -> Result<Duration, Invalid> {
    within(written, SHORTEST..=LONGEST_INTERVAL, "it lies between 100 ms and 1 h")
}

fn within(written: &Quantity, range: RangeInclusive<Duration>, help: &str) -> Result<Duration, Invalid> {
    let value = quantity::duration(written)?;
    match range.contains(&value) {
        true => Ok(value),
        false => Err(Invalid::new(format!("{} is out of range", written.0.trim()), help)),
    }
}

fn below(written: &Quantity, most: f64, why: &str) -> Result<Percent, Invalid> {
    let percent = quantity::percent(written)?;
    match percent.value() <= most {
        true => Ok(percent),
        false => Err(Invalid::new(format!("{percent} is out of range"), format!("at most {most} %: {why}"))),
    }
}

fn history(written: &WrittenHistory, problems: &mut Problems) -> Option<History> {
    let push_every = problems.check("history.push_every", quantity::whole(written.push_every, ROUNDS));
    let at_most = written.at_most.as_ref().map_or(Ok(DEFAULT_HISTORY_BYTES), quantity::positive_size);
    let at_most_bytes = problems.check("history.at_most", at_most);
    Some(History { push_every: push_every?, at_most_bytes: at_most_bytes? })
}

fn queries(written: &WrittenQueries, problems: &mut Problems) -> Option<Queries> {
    let count = problems.check("queries.count", quantity::whole(written.count.unwrap_or(DEFAULT_QUERIES), QUERIES));
    let quorum = problems.check("queries.quorum", quantity::whole(written.quorum.unwrap_or(DEFAULT_QUORUM), QUORUM));
    let within_intervals = written.within.unwrap_or(DEFAULT_WITHIN_INTERVALS);
    let within_intervals = problems.check("queries.within", quantity::whole(within_intervals, ROUNDS));
    let deadline = written.deadline.as_ref().map_or(Ok(DEFAULT_DEADLINE), |written| {
        within(written, SHORTEST..=LONGEST_DEADLINE, "it lies between 100 ms and 60 s")
    });
    let deadline = problems.check("queries.deadline", deadline);
    Some(Queries { count: count?, quorum: quorum?, within_intervals: within_intervals?, deadline: deadline? })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read_any, told};
    use super::super::{AnyExperiment, fragment};
    use super::*;
    use crate::config::fragment as files;

    const WRITTEN: &str = "kind = \"membership\"\nname = \"small\"\nabout = \"Small.\"\nnodes = [10, 20]\nfan_out = [2, 3]\n\
                           interval = [\"1 s\"]\nseeds = \"1..2\"\n";

    /// The file with one text in it changed for another; every problem that it then has.
    fn check(from: &str, to: &str, expected: &[&str]) {
        assert!(WRITTEN.contains(from), "{from}");
        told(&WRITTEN.replace(from, to), expected);
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let Ok(AnyExperiment::Membership(experiment)) = read_any(WRITTEN) else { panic!("it is one") };
        let zero = vec![Percent::new(0.0).unwrap()];
        assert_eq!((experiment.losses, experiment.failures), (zero.clone(), zero));
        assert_eq!((experiment.nodes, experiment.fan_outs, experiment.seeds), (vec![10, 20], vec![2, 3], vec![1, 2]));
        assert_eq!((experiment.rounds, experiment.detail_nodes, experiment.real), (20, 300, false));
        assert_eq!((experiment.history, experiment.exchange_bytes), (None, 131_072));
        let queries = Queries { count: 20, quorum: 3, within_intervals: 15, deadline: Duration::from_secs(2) };
        assert_eq!(experiment.queries, queries);
    }

    #[test]
    fn every_value_is_held_to_its_range() {
        check(
            "fan_out = [2, 3]",
            "fan_out = [0, 17]",
            &[
                "experiment.toml: fan_out: value 1: 0 is out of range\n  help: it is a whole number between 1 and 16",
                "fan_out: value 2: 17 is out of range",
            ],
        );
        check("nodes = [10, 20]", "nodes = [1, 20001]", &["nodes: value 1: 1 is", "nodes: value 2: 20001 is"]);
        check("nodes = [10, 20]", "nodes = []", &["nodes: there is no value"]);
        check("nodes = [10, 20]", "nodes = [10, 10]", &["nodes: value 2: is there twice"]);
        check(
            "\"1 s\"",
            "\"1 ms\", \"2 h\", \"1\"",
            &[
                "interval: value 1: 1 ms is out of range\n  help: it lies between 100 ms and 1 h",
                "interval: value 2: 2 h is out of range",
                "interval: value 3: `1` has no unit",
            ],
        );
        let more = |line: &str| format!("{line}\nnodes = [10, 20]");
        check(
            "nodes = [10, 20]",
            &more("loss = [\"100 %\"]"),
            &["loss: value 1: 100 % is out of range\n  help: at most 90 %: a network that loses more hears nothing"],
        );
        check("nodes = [10, 20]", &more("failures = [\"100 %\"]"), &["failures: value 1: 100 % is out of range"]);
        check(
            "nodes = [10, 20]",
            &more("rounds = 0\ndetail = -1\nexchange = \"0 B\""),
            &["rounds: 0 is out of range", "detail: -1 is out of range", "exchange: 0 B is out of range"],
        );
        check(
            "nodes = [10, 20]",
            &more("history = { push_every = 0, at_most = \"0 B\" }"),
            &["history.push_every: 0 is", "history.at_most: 0 B is"],
        );
        check(
            "nodes = [10, 20]",
            &more("queries = { quorum = 0, within = 0, deadline = \"1 h\", count = -1 }"),
            &["queries.count: -1 is", "queries.quorum: 0 is", "queries.within: 0 is", "queries.deadline: 1 h is"],
        );
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        check(
            "nodes = [10, 20]",
            "real = true\nloss = [\"5 %\"]\nnodes = [1001]",
            &["nodes: 1001 are too many for real sockets", "loss: cannot be set for real sockets"],
        );
        check("nodes = [10, 20]", "nodes = [2]", &["queries.quorum: 3 of 2 nodes cannot agree"]);
        check("seeds = \"1..2\"", "seeds = \"1..100000\"", &["experiment.toml: comes to 400000 runs"]);
    }

    #[test]
    fn a_kind_that_does_not_exist_and_keys_of_another_are_refused() {
        check("\"membership\"", "\"members\"", &["experiment.toml: kind: there is no kind `members` of experiments"]);
        check("seeds =", "hours = 1\nseeds =", &["line 7, column 1: unknown key `hours`"]);
        check(
            "nodes = [10, 20]",
            "nodes = 10",
            &[
                "line 4, column 9: found integer `10` instead of a list\n  help: write it like `nodes = [50, 300]`; docs/experiments.md explains it",
            ],
        );
    }

    #[test]
    fn every_key_is_documented() {
        let document = include_str!("../../../../../docs/experiments.md");
        let (_, document) = document.split_once("\n## Membership\n").expect("a section of its own");
        let keys = |invalid: Invalid| invalid.help.strip_prefix("keys here are ").unwrap().to_owned();
        const UNKNOWN: &str = "no_key_is_called_like_this = 1";
        let guide = &fragment::MEMBERSHIP_GUIDE;
        let all = [
            keys(files::parse_by::<fragment::Membership>(UNKNOWN, guide).unwrap_err().1),
            keys(files::parse_by::<fragment::History>(UNKNOWN, guide).unwrap_err().1),
            keys(files::parse_by::<fragment::Queries>(UNKNOWN, guide).unwrap_err().1),
        ];
        for key in all.iter().flat_map(|keys| keys.split(", ")) {
            assert!(document.contains(&format!("\n| `{key}` |")), "`{key}` has no row in docs/experiments.md");
            assert!(guide.examples.iter().any(|(known, _)| *known == key), "`{key}` has no example");
        }
    }
}
