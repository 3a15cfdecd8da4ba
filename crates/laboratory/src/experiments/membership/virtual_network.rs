//! A run in virtual time.

use super::setting::{Setting, ages_are_taken, asked};
use super::{NetworkCell, Observed, results};
use crate::results::{NetworkQuery, NetworkResults};
use agent_core::config::experiment::membership::MembershipExperiment;
use agent_membership::measure::NodeNow;
use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings, Wire, address};
use agent_membership::{Answered, NodeId, Query, QueryEffect, QueryFailed, QuerySettings, Rng};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Whether all know all is looked at so often in a round.
const LOOKS_IN_A_ROUND: u32 = 20;
/// Whoever asks looks at its clock and at what has come so often.
const ASKER_WAITS: Duration = Duration::from_millis(1);
/// Outside of the network: 192.0.2.0/24 is for examples.
const ASKER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 7946);

/// Makes a run, which is stored under `id`.
pub fn simulate(experiment: &MembershipExperiment, id: i64, cell: &NetworkCell) -> NetworkResults {
    let mut settings = VirtualSettings::new(cell.nodes, cell.seed);
    settings.loss = cell.loss.value() / 100.0;
    settings.wire = Wire::Shared;
    Setting::apply(experiment, cell, &mut settings.member);
    let id_of_network = settings.member.network;
    let mut network = VirtualNetwork::new(settings);
    let mut observed = Observed::default();
    for _ in 0..experiment.rounds {
        pass_a_round(&mut network, cell, &mut observed);
    }
    observed.false_deaths = network.members().map(|member| member.counters().false_deaths).sum();

    let Setting { stopped, asked_about, mut rng } = Setting::of(experiment, cell);
    stopped.iter().for_each(|node| network.stop(NodeId(*node)));
    observed.stopped = stopped.len() as u32;
    for (query, about) in (1..).zip(asked_about) {
        let question = Setting::question(experiment, cell, id_of_network, about);
        observed.queries.push(put(&mut network, cell, query, question, &mut rng));
    }
    results(experiment, id, cell, &observed)
}

fn pass_a_round(network: &mut VirtualNetwork, cell: &NetworkCell, observed: &mut Observed) {
    let step = cell.interval / LOOKS_IN_A_ROUND;
    for look in 0..LOOKS_IN_A_ROUND {
        // The last step makes up for what the division left over.
        let is_last = look + 1 == LOOKS_IN_A_ROUND;
        network.run_for(if is_last { cell.interval - step * look } else { step });
        if observed.converged_round.is_none() && network.all_know_all() {
            observed.converged_round = Some(network.rounds());
        }
    }
    let now = network.now();
    observed.recorder.round(network.members().map(|member| NodeNow {
        node: member.node(),
        counters: member.counters(),
        known: member.known(),
        stored_bytes: member.record_bytes(),
        ages: if ages_are_taken(member.node().0, cell.nodes) { member.ages(now) } else { Vec::new() },
    }));
    // What was told is of no interest here, and would pile up.
    network.take_events();
    observed.exchanges.push(network.members().map(|member| member.counters().exchanges).sum());
}

fn put(
    network: &mut VirtualNetwork,
    cell: &NetworkCell,
    query: u32,
    question: QuerySettings,
    rng: &mut Rng,
) -> NetworkQuery {
    let key = Setting::identity(cell, question.node.0).public_key();
    let result = ask(network, cell.nodes, question, rng);
    network.take_events();
    asked(query, &question, key, &result)
}

/// Asks from outside of the network. Ends at the question's deadline at the latest.
fn ask(
    network: &mut VirtualNetwork,
    nodes: u32,
    question: QuerySettings,
    rng: &mut Rng,
) -> Result<Answered, QueryFailed> {
    let all = (1..=nodes).map(|node| address(NodeId(node))).collect();
    let mut query = Query::new(question, all, Vec::new(), network.now(), rng);
    let mut effects = query.tick(network.now());
    loop {
        for effect in effects.drain(..) {
            match effect {
                QueryEffect::Send { to, envelope } => network.send(ASKER, to, envelope.encode(question.network)),
                QueryEffect::Done(result) => return *result,
            }
        }
        network.run_for(ASKER_WAITS);
        for (_, _, envelope) in network.take_outside() {
            if let Some(node) = envelope.sender {
                effects.extend(query.answer(address(node), envelope, network.now()));
            }
        }
        effects.extend(query.tick(network.now()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::cells;
    use super::super::grid::tests::small;
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_results_and_another_seed_others() {
        let experiment = small();
        let cells = cells(&experiment);
        let made = |place: usize| simulate(&experiment, 1, &cells[place]);
        assert_eq!(made(4), made(4));
        // Serialised as they are stored, to the byte.
        assert_eq!(format!("{:?}", made(4)), format!("{:?}", made(4)));
        assert_ne!(made(4).rounds, made(12).rounds);
    }

    #[test]
    fn a_small_network_comes_to_know_itself_and_can_be_asked() {
        let experiment = small();
        // Five nodes of the first seed, half of them stopped: with all nodes.
        let cell = &cells(&experiment)[1];
        let made = simulate(&experiment, 7, cell);
        let run = &made.run;
        assert!(run.converged_round.is_some_and(|round| round > 0.0 && round < 5.0), "{run:?}");
        assert_eq!((run.id, run.nodes, run.stopped, run.queries), (7, 5, 3, 3));
        assert_eq!((run.answered, run.wrong), (3, 0), "{:?}", made.queries);
        assert_eq!((made.rounds.len(), made.nodes.len(), made.queries.len()), (12, 60, 3));
        let last = made.rounds.last().unwrap();
        assert_eq!((last.round, last.at_s, last.known_entries, last.known_least), (12, 12.0, 25, 5));
        assert_eq!(made.rounds.iter().map(|round| round.new_entries).sum::<u64>(), 5 * 4);
        assert_eq!(made.rounds.iter().map(|round| round.bytes).sum::<u64>(), run.bytes);
    }

    #[test]
    fn two_that_are_left_of_five_are_no_quorum_of_three() {
        let mut experiment = small();
        experiment.queries.quorum = 3;
        let made = simulate(&experiment, 1, &cells(&experiment)[1]);
        assert_eq!((made.run.queries, made.run.answered, made.run.wrong), (3, 0, 0));
        assert!(made.queries.iter().all(|query| query.outcome == NetworkQuery::FAILED && query.took_ms == 2000.0));
    }
}
