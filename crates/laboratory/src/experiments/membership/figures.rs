//! What a run came to, from what was seen of it.

use super::NetworkCell;
use super::history::Kept;
use crate::results::{NetworkNode, NetworkQuery, NetworkResults, NetworkRound, NetworkRun};
use agent_core::config::experiment::membership::MembershipExperiment;
use agent_membership::NodeId;
use agent_membership::measure::{NodeRound, Recorder};
use std::collections::BTreeMap;
use std::time::Duration;

/// What was seen of a run, of a virtual network or of a real one.
#[derive(Clone, Default, Debug)]
pub struct Observed {
    /// When every node knew every node \[intervals since the start\].
    pub converged_round: Option<f64>,
    /// Of every node in every round, and the ages.
    pub recorder: Recorder,
    /// Begun by all nodes up to the end of each round.
    pub exchanges: Vec<u64>,
    /// Of all nodes, before any was stopped.
    pub false_deaths: u64,
    /// Nodes, before the queries.
    pub stopped: u32,
    /// What was asked.
    pub queries: Vec<NetworkQuery>,
}

/// All that is stored of a run.
pub fn results(experiment: &MembershipExperiment, id: i64, cell: &NetworkCell, observed: &Observed) -> NetworkResults {
    let mut kept: BTreeMap<NodeId, Kept> = BTreeMap::new();
    let mut rounds = Vec::new();
    let mut nodes = Vec::new();
    for of_round in observed.recorder.nodes.chunk_by(|one, next| one.round == next.round) {
        let mut round = empty(experiment, cell, observed, of_round);
        for node in of_round {
            let kept = kept.entry(node.node).or_default();
            kept.round(node.round, heard(node), experiment.history);
            add(&mut round, node, kept);
            if cell.is_detailed {
                nodes.push(row(experiment, node, kept));
            }
        }
        rounds.push(round);
    }
    let run = run(experiment, id, cell, observed, &rounds);
    NetworkResults { run, rounds, nodes, queries: observed.queries.clone() }
}

/// Bytes of the records that a node heard in a round: all are about as long as the mean of those that it holds.
fn heard(node: &NodeRound) -> u64 {
    (node.new_entries + node.fresh_entries) * node.stored_bytes / node.known_entries.max(1)
}

/// A round without what its nodes add.
fn empty(
    experiment: &MembershipExperiment,
    cell: &NetworkCell,
    observed: &Observed,
    of_round: &[NodeRound],
) -> NetworkRound {
    let round = of_round.first().map_or(0, |node| node.round);
    let ages = observed.recorder.ages.iter().find(|ages| ages.round == round);
    let seconds = |age: Duration| age.as_secs_f64();
    let pushes = experiment.history.map(|_| 0);
    NetworkRound {
        round,
        at_s: (cell.interval * round).as_secs_f64(),
        known_least: of_round.iter().map(|node| node.known_entries).min().unwrap_or(0),
        age_mean_s: ages.map(|ages| seconds(ages.mean)),
        age_p95_s: ages.map(|ages| seconds(ages.p95)),
        age_max_s: ages.map(|ages| seconds(ages.largest)),
        kept_bytes: pushes,
        pushed_bytes: pushes,
        dropped_bytes: pushes,
        ..NetworkRound::default()
    }
}

fn add(round: &mut NetworkRound, node: &NodeRound, kept: &Kept) {
    round.new_entries += node.new_entries;
    round.fresh_entries += node.fresh_entries;
    round.messages += node.messages;
    round.bytes += node.bytes;
    round.known_entries += node.known_entries;
    round.state_bytes += node.stored_bytes;
    round.heard_bytes += kept.heard;
    let sums = [&mut round.kept_bytes, &mut round.pushed_bytes, &mut round.dropped_bytes];
    for (sum, more) in sums.into_iter().zip([kept.kept, kept.pushed, kept.dropped]) {
        sum.iter_mut().for_each(|sum| *sum += more);
    }
}

fn row(experiment: &MembershipExperiment, node: &NodeRound, kept: &Kept) -> NetworkNode {
    NetworkNode {
        round: node.round,
        node: node.node.0,
        new_entries: node.new_entries,
        fresh_entries: node.fresh_entries,
        messages: node.messages,
        bytes: node.bytes,
        known_entries: node.known_entries,
        state_bytes: node.stored_bytes,
        heard_bytes: kept.heard,
        kept_bytes: experiment.history.map(|_| kept.kept),
    }
}

fn run(
    experiment: &MembershipExperiment,
    id: i64,
    cell: &NetworkCell,
    observed: &Observed,
    rounds: &[NetworkRound],
) -> NetworkRun {
    // Rounds up to and with the one in which it converged.
    let converging = observed.converged_round.map(|round| (round.ceil() as usize).min(rounds.len()));
    let sum = |rounds: &[NetworkRound], of: fn(&NetworkRound) -> u64| rounds.iter().map(of).sum::<u64>();
    let [messages, bytes]: [fn(&NetworkRound) -> u64; 2] = [|round| round.messages, |round| round.bytes];
    let exchanges_up_to = |round: usize| round.checked_sub(1).and_then(|at| observed.exchanges.get(at)).copied();
    let exchanges = exchanges_up_to(rounds.len()).unwrap_or(0);
    let quiet = converging.and_then(|round| {
        let exchanges = exchanges - exchanges_up_to(round)?;
        share(sum(&rounds[round..], bytes) as f64, exchanges)
    });
    let last = rounds.last();
    let of_a_node = |sum: u64| sum as f64 / f64::from(cell.nodes);
    let at_end = |of: fn(&NetworkRound) -> Option<u64>| last.and_then(of).map(of_a_node);
    let outcomes = |outcome: &str| observed.queries.iter().filter(|query| query.outcome == outcome).count() as u32;
    let queries = observed.queries.len() as u64;
    NetworkRun {
        id,
        nodes: cell.nodes,
        fan_out: cell.fan_out,
        interval_s: cell.interval.as_secs_f64(),
        loss: cell.loss.value() / 100.0,
        failures: cell.failures.value() / 100.0,
        real: experiment.real,
        seed: cell.seed,
        identity: cell.identity.clone(),
        rounds: rounds.len() as u32,
        converged_round: observed.converged_round,
        converged_s: observed.converged_round.map(|round| round * cell.interval.as_secs_f64()),
        messages: sum(rounds, messages),
        bytes: sum(rounds, bytes),
        converged_messages: converging.map(|round| sum(&rounds[..round], messages)),
        converged_bytes: converging.map(|round| sum(&rounds[..round], bytes)),
        exchanges,
        exchange_bytes: share(sum(rounds, bytes) as f64, exchanges),
        quiet_exchange_bytes: quiet,
        state_bytes: last.map_or(0.0, |last| of_a_node(last.state_bytes)),
        age_mean_s: last.and_then(|last| last.age_mean_s),
        age_p95_s: last.and_then(|last| last.age_p95_s),
        age_max_s: last.and_then(|last| last.age_max_s),
        heard_bytes: last.map_or(0.0, |last| of_a_node(last.heard_bytes)),
        kept_bytes: at_end(|round| round.kept_bytes),
        pushed_bytes: at_end(|round| round.pushed_bytes),
        dropped_bytes: at_end(|round| round.dropped_bytes),
        false_deaths: observed.false_deaths,
        stopped: observed.stopped,
        queries: queries as u32,
        answered: outcomes(NetworkQuery::RIGHT),
        wrong: outcomes(NetworkQuery::WRONG),
        query_ms: share(observed.queries.iter().map(|query| query.took_ms).sum(), queries),
        query_messages: share(observed.queries.iter().map(|query| (query.sent + query.received) as f64).sum(), queries),
    }
}

/// None of nothing.
fn share(sum: f64, of: u64) -> Option<f64> {
    (of > 0).then(|| sum / of as f64)
}

#[cfg(test)]
mod tests {
    use super::super::grid::cells;
    use super::super::grid::tests::small;
    use super::*;
    use agent_membership::measure::RoundAges;

    /// Two of five nodes in three rounds, 10 messages of 100 bytes in each; everybody hears two records of 150 bytes.
    fn observed() -> Observed {
        let mut observed = Observed { converged_round: Some(1.25), exchanges: vec![4, 8, 10], ..Observed::default() };
        for round in 1..=3 {
            let node = |node| NodeRound {
                round,
                node: NodeId(node),
                new_entries: u64::from(round == 1),
                fresh_entries: if round == 1 { 1 } else { 2 },
                messages: 10,
                bytes: 1_000,
                known_entries: 2,
                stored_bytes: 300,
            };
            observed.recorder.nodes.extend([node(1), node(2)]);
            let age = Duration::from_millis(u64::from(round) * 500);
            observed.recorder.ages.push(RoundAges { round, mean: age, p95: age * 2, largest: age * 3 });
        }
        observed
    }

    #[test]
    fn sums_are_taken_over_nodes_and_over_rounds_until_it_converged() {
        let experiment = small();
        let cell = NetworkCell { nodes: 2, ..cells(&experiment)[0].clone() };
        let NetworkResults { run, rounds, nodes, .. } = results(&experiment, 3, &cell, &observed());
        assert_eq!((run.messages, run.bytes, run.exchanges, run.rounds), (60, 6_000, 10, 3));
        assert_eq!((run.converged_messages, run.converged_bytes), (Some(40), Some(4_000)));
        assert_eq!((run.exchange_bytes, run.quiet_exchange_bytes), (Some(600.0), Some(1_000.0)));
        assert_eq!((run.state_bytes, run.heard_bytes, run.age_p95_s), (300.0, 900.0, Some(3.0)));
        assert_eq!((run.converged_s, run.query_ms), (Some(1.25), None));
        let heard: Vec<u64> = rounds.iter().map(|round| round.heard_bytes).collect();
        assert_eq!(heard, [600, 1_200, 1_800]);
        assert_eq!((nodes.len(), nodes[5].heard_bytes, nodes[5].kept_bytes), (6, 900, Some(900)));
    }

    #[test]
    fn what_did_not_happen_has_no_figure() {
        let mut experiment = small();
        experiment.history = None;
        let cell = NetworkCell { is_detailed: false, ..cells(&experiment)[0].clone() };
        let observed = Observed { converged_round: None, ..observed() };
        let NetworkResults { run, rounds, nodes, .. } = results(&experiment, 3, &cell, &observed);
        assert_eq!((run.converged_bytes, run.quiet_exchange_bytes, run.kept_bytes), (None, None, None));
        assert_eq!((rounds[0].kept_bytes, nodes.len()), (None, 0));
    }
}
