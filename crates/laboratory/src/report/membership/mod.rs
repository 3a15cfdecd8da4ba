//! A page about networks that come to know each other: how soon, at what cost, and whether anybody can be asked when many have
//! stopped.

mod figures;
mod page;
pub mod tables;
mod yardstick;

pub use page::{Content, page};

use crate::report::statistics::{Bootstrap, Estimate};
use crate::results::Head;
pub use crate::results::{NetworkRound, NetworkRun};

/// What was run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Networks {
    pub head: Head,
    pub runs: Vec<NetworkRun>,
}

/// All runs in which as much was lost, on the same kind of network.
#[derive(Clone, PartialEq, Debug)]
pub struct Case<'a> {
    /// Share of the datagrams, 0 to 1.
    pub loss: f64,
    /// On real sockets.
    pub real: bool,
    /// In the order of nodes, fan-out, interval, failures, then of seeds.
    pub runs: Vec<&'a NetworkRun>,
}

/// What a run is of, but for its seed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub nodes: u32,
    pub fan_out: u32,
    pub interval_s: f64,
    pub failures: f64,
}

impl Point {
    pub fn of(run: &NetworkRun) -> Self {
        Self { nodes: run.nodes, fan_out: run.fan_out, interval_s: run.interval_s, failures: run.failures }
    }
}

/// By loss, real networks behind virtual ones.
pub fn cases(networks: &Networks) -> Vec<Case<'_>> {
    let mut runs: Vec<&NetworkRun> = networks.runs.iter().collect();
    runs.sort_by(|a, b| {
        let (real, size, seed) =
            (a.real.cmp(&b.real), (a.nodes, a.fan_out).cmp(&(b.nodes, b.fan_out)), a.seed.cmp(&b.seed));
        let rest = a.interval_s.total_cmp(&b.interval_s).then(a.failures.total_cmp(&b.failures));
        real.then(a.loss.total_cmp(&b.loss)).then(size).then(rest).then(seed)
    });
    let same = |one: &&NetworkRun, next: &&NetworkRun| one.real == next.real && one.loss == next.loss;
    let case = |runs: &[&'_ NetworkRun]| runs.first().map(|first| (first.loss, first.real));
    runs.chunk_by(same)
        .filter_map(|runs| case(runs).map(|(loss, real)| Case { loss, real, runs: runs.to_vec() }))
        .collect()
}

impl<'a> Case<'a> {
    pub fn name(&self) -> String {
        let what = if self.real { "Real sockets" } else { "Virtual time" };
        match self.loss > 0.0 {
            true => format!("{what}, {} of datagrams lost", crate::report::number::Unit::Share.show(self.loss)),
            false => format!("{what}, nothing lost"),
        }
    }

    /// Points with their runs, in order.
    pub fn points(&self) -> Vec<(Point, Vec<&'a NetworkRun>)> {
        let same = |one: &&NetworkRun, next: &&NetworkRun| Point::of(one) == Point::of(next);
        self.runs.chunk_by(same).filter_map(|runs| Some((Point::of(runs.first()?), runs.to_vec()))).collect()
    }

    /// Runs with the fewest failures: those with more are the same up to the queries.
    pub fn undisturbed(&self) -> Vec<&'a NetworkRun> {
        let least = self.runs.iter().map(|run| run.failures).fold(f64::INFINITY, f64::min);
        self.runs.iter().copied().filter(|run| run.failures == least).collect()
    }

    /// Of a list of runs those at the shortest interval: in rounds, those at longer ones are almost the same.
    pub fn shortest(&self, mut runs: Vec<&'a NetworkRun>) -> Vec<&'a NetworkRun> {
        let shortest = self.runs.iter().map(|run| run.interval_s).fold(f64::INFINITY, f64::min);
        runs.retain(|run| run.interval_s == shortest);
        runs
    }

    /// The runs whose rounds are drawn: undisturbed ones of the largest network at the shortest interval.
    pub fn drawn(&self) -> Vec<&'a NetworkRun> {
        let largest = self.largest();
        let mut runs = self.shortest(self.undisturbed());
        runs.retain(|run| run.nodes == largest);
        runs
    }

    /// Number of nodes.
    pub fn largest(&self) -> u32 {
        self.runs.iter().map(|run| run.nodes).max().unwrap_or(0)
    }

    /// Each value once, ascending.
    pub fn distinct(&self, of: impl Fn(&NetworkRun) -> u32) -> Vec<u32> {
        self.runs.iter().map(|run| of(run)).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

/// The mean of a quantity of runs that have it.
pub fn mean(
    bootstrap: &mut Bootstrap,
    runs: &[&NetworkRun],
    of: impl Fn(&NetworkRun) -> Option<f64>,
) -> Option<Estimate> {
    bootstrap.mean(&runs.iter().filter_map(|run| of(run)).collect::<Vec<_>>())
}

/// For each node and round.
pub fn messages(run: &NetworkRun) -> Option<f64> {
    for_each_node_and_round(run, run.messages)
}

/// For each node and round.
pub fn bytes(run: &NetworkRun) -> Option<f64> {
    for_each_node_and_round(run, run.bytes)
}

fn for_each_node_and_round(run: &NetworkRun, sum: u64) -> Option<f64> {
    let of = f64::from(run.nodes) * f64::from(run.rounds);
    (of > 0.0).then(|| sum as f64 / of)
}

/// Share of the questions that were answered.
pub fn success(run: &NetworkRun) -> Option<f64> {
    (run.queries > 0).then(|| f64::from(run.answered) / f64::from(run.queries))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Runs of every one of these, three seeds each.
    pub fn networks(nodes: &[u32], fan_outs: &[u32], failures: &[f64], losses: &[f64]) -> Networks {
        let mut runs = Vec::new();
        for seed in 1..=3_u64 {
            for loss in losses {
                for nodes in nodes {
                    for fan_out in fan_outs {
                        runs.extend(failures.iter().map(|failures| run(*nodes, *fan_out, *failures, *loss, seed)));
                    }
                }
            }
        }
        (1..).zip(&mut runs).for_each(|(id, run)| run.id = id);
        Networks { head: Head { name: "lab".to_owned(), ..Head::default() }, runs }
    }

    fn run(nodes: u32, fan_out: u32, failures: f64, loss: f64, seed: u64) -> NetworkRun {
        let converged = f64::from(nodes).log2() / f64::from(fan_out) + seed as f64 / 10.0;
        NetworkRun {
            nodes,
            fan_out,
            interval_s: 1.0,
            loss,
            failures,
            seed,
            rounds: 10,
            converged_round: Some(converged),
            messages: u64::from(nodes * fan_out) * 40,
            bytes: u64::from(nodes * fan_out) * 4_000,
            exchange_bytes: Some(500.0),
            quiet_exchange_bytes: Some(100.0),
            state_bytes: f64::from(nodes) * 200.0,
            queries: 20,
            answered: if failures > 0.5 { 18 } else { 20 },
            query_ms: Some(4.0),
            query_messages: Some(10.0),
            ..NetworkRun::default()
        }
    }

    #[test]
    fn runs_are_grouped_by_loss_and_then_by_what_they_are_of() {
        let all = networks(&[300, 50], &[3, 2], &[0.9, 0.0], &[0.2, 0.0]);
        let cases = cases(&all);
        let names: Vec<String> = cases.iter().map(|case| case.name().replace('\u{a0}', " ")).collect();
        assert_eq!(names, ["Virtual time, nothing lost", "Virtual time, 20 % of datagrams lost"]);
        let points = cases[0].points();
        assert_eq!((points.len(), points[0].1.len()), (8, 3));
        assert_eq!(points[0].0, Point { nodes: 50, fan_out: 2, interval_s: 1.0, failures: 0.0 });
        assert_eq!((cases[0].undisturbed().len(), cases[0].drawn().len(), cases[0].largest()), (12, 6, 300));
        assert_eq!(cases[0].distinct(|run| run.fan_out), [2, 3]);
    }

    #[test]
    fn figures_are_for_each_node_and_round() {
        let all = networks(&[50], &[2], &[0.9], &[0.0]);
        let run = &all.runs[0];
        assert_eq!((messages(run), bytes(run), success(run)), (Some(8.0), Some(800.0), Some(0.9)));
        assert_eq!((messages(&NetworkRun::default()), success(&NetworkRun::default())), (None, None));
    }
}
