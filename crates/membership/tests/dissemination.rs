//! How fast and how cheaply everybody knows everything.

use agent_membership::measure::Recorder;
use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings};
use agent_membership::{Adapt, Input, NodeId, Own, Settings, Tuning};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// Rounds until every node knows every node.
fn rounds(settings: VirtualSettings) -> f64 {
    let mut network = VirtualNetwork::new(settings);
    assert!(network.run_until(LONG, VirtualNetwork::all_know_all));
    network.rounds()
}

fn mean_rounds(seeds: u64, settings: impl Fn(u64) -> VirtualSettings) -> f64 {
    (0..seeds).map(|seed| rounds(settings(seed))).sum::<f64>() / seeds as f64
}

#[test]
fn three_hundred_nodes_know_each_other_within_the_ideal() {
    let mean = mean_rounds(3, |seed| VirtualSettings::new(300, seed));
    assert!(mean <= 5.2, "{mean} rounds");
}

#[test]
fn a_fifth_of_all_datagrams_may_be_lost() {
    let mean = mean_rounds(3, |seed| VirtualSettings { loss: 0.2, ..VirtualSettings::new(300, seed) });
    assert!(mean <= 8.0, "{mean} rounds");
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let counters = |seed| {
        let mut network = VirtualNetwork::new(VirtualSettings { loss: 0.1, ..VirtualSettings::new(20, seed) });
        network.run_for(Duration::from_secs(30));
        network.members().map(|member| member.counters()).collect::<Vec<_>>()
    };
    assert_eq!(counters(1), counters(1));
    assert_ne!(counters(1), counters(2));
}

#[test]
fn who_knows_the_same_says_little() {
    let mut settings = VirtualSettings::new(300, 1);
    settings.member.reissue_intervals = 10_000;
    let mut network = VirtualNetwork::new(settings);
    network.run_for(Duration::from_secs(20));
    let sum = |network: &VirtualNetwork| {
        network
            .members()
            .map(|member| member.counters())
            .fold((0, 0), |(bytes, exchanges), counters| (bytes + counters.sent_bytes, exchanges + counters.exchanges))
    };
    let before = sum(&network);
    network.run_for(Duration::from_secs(20));
    let after = sum(&network);
    // Probes are counted among them.
    let bytes = (after.0 - before.0) as f64 / (after.1 - before.1) as f64;
    let full = network.member(NodeId(1)).expect("up").record_bytes() as f64;
    assert!(bytes < 0.02 * full, "{bytes} of {full}");
}

#[test]
fn a_restarted_node_is_known_anew_within_the_same_bound() {
    for loss in [0.0, 0.2] {
        let mut network = VirtualNetwork::new(VirtualSettings { loss, ..VirtualSettings::new(100, 7) });
        network.run_for(Duration::from_secs(15));
        network.start(NodeId(5));
        let is_known = |network: &VirtualNetwork| {
            let incarnation =
                |member: &agent_membership::Member| member.record(NodeId(5)).map(|record| record.record().incarnation);
            network.members().all(|member| incarnation(member) == Some(2))
        };
        assert!(network.run_until(Duration::from_secs(8), is_known), "with a loss of {loss}");
    }
}

#[test]
fn a_newcomer_with_one_seed_knows_all_and_is_known() {
    let mut network = VirtualNetwork::with_seeds(VirtualSettings::new(50, 3), &[NodeId(1)]);
    (1..=49).for_each(|node| network.start(NodeId(node)));
    network.run_for(Duration::from_secs(20));
    network.start(NodeId(50));
    network.run_for(Duration::from_millis(1_500));
    assert_eq!(network.member(NodeId(50)).expect("up").known(), 50);
    assert!(network.run_until(Duration::from_secs(6), VirtualNetwork::all_know_all));
}

#[test]
fn what_an_exchange_has_no_room_for_comes_with_the_next() {
    let mut settings = VirtualSettings::new(60, 4);
    settings.member.exchange_bytes = 2_000;
    let mut network = VirtualNetwork::new(settings);
    assert!(network.run_until(LONG, VirtualNetwork::all_know_all));
    // Nobody's news starve: all records are reissued, and none stays old.
    network.run_for(Duration::from_secs(60));
    let oldest = network.members().flat_map(|member| member.ages(network.now())).max();
    assert!(oldest < Some(Duration::from_secs(25)), "{oldest:?}");
}

#[test]
fn what_matters_is_told_at_once() {
    let mut network = VirtualNetwork::new(VirtualSettings::new(50, 5));
    network.run_for(Duration::from_secs(12));
    let own = Own { cpu_permille: 900, ..Own::default() };
    network.tell(NodeId(3), Input::Observed(Box::new(own)));
    let is_told = |network: &VirtualNetwork| {
        let cpu =
            |member: &agent_membership::Member| member.record(NodeId(3)).map(|record| record.record().own.cpu_permille);
        network.members().all(|member| cpu(member) == Some(900))
    };
    assert!(network.run_until(Duration::from_secs(6), is_told));
}

#[test]
fn the_fan_out_follows_the_age_of_what_is_known() {
    let fan_out_after = |target_age: Duration| {
        let mut settings = VirtualSettings::new(40, 6);
        let adapt = Some(Adapt { target_age, least: 1, most: 6 });
        settings.member = Settings { fan_out: 3, adapt, ..settings.member };
        let mut network = VirtualNetwork::new(settings);
        network.run_for(Duration::from_secs(60));
        network.members().map(agent_membership::Member::fan_out).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(fan_out_after(Duration::from_secs(1)).into_iter().collect::<Vec<_>>(), [6]);
    assert_eq!(fan_out_after(Duration::from_secs(60)).into_iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn interval_and_fan_out_can_be_tuned_while_it_runs() {
    let mut network = VirtualNetwork::new(VirtualSettings::new(20, 8));
    network.run_for(Duration::from_secs(10));
    let sent = |network: &VirtualNetwork| network.member(NodeId(1)).expect("up").counters().exchanges;
    let before = sent(&network);
    let tuning = Tuning { interval: Some(Duration::from_secs(5)), fan_out: Some(1), adapt: None };
    network.tell(NodeId(1), Input::Tune(tuning));
    network.run_for(Duration::from_secs(50));
    let exchanges = sent(&network) - before;
    assert!((9..=16).contains(&exchanges), "{exchanges}");
}

#[test]
fn every_round_of_every_node_can_be_recorded() {
    let mut network = VirtualNetwork::new(VirtualSettings::new(10, 9));
    let mut recorder = Recorder::default();
    network.record(12, &mut recorder);
    assert_eq!((recorder.nodes.len(), recorder.ages.len()), (120, 12));
    assert_eq!(recorder.nodes.iter().map(|round| round.new_entries).sum::<u64>(), 10 * 9);
    assert!(recorder.nodes[110..].iter().all(|round| round.known_entries == 10 && round.messages > 0));
    assert!(recorder.ages[11].largest < Duration::from_secs(13));
}
