//! Who lives, who is dead, and who says so.

use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings};
use agent_membership::{Event, Input, Member, NodeId, Settings, Standing};
use std::time::Duration;

fn settled(settings: VirtualSettings) -> VirtualNetwork {
    let mut network = VirtualNetwork::new(settings);
    network.run_for(Duration::from_secs(15));
    network.take_events();
    network
}

fn all_see(node: u32, standing: Standing) -> impl Fn(&VirtualNetwork) -> bool {
    move |network| network.members().all(|member| member.standing(NodeId(node)) == Some(standing))
}

fn sum(network: &VirtualNetwork, of: impl Fn(&Member) -> u64) -> u64 {
    network.members().map(of).sum()
}

#[test]
fn a_death_is_known_to_all_within_twelve_intervals() {
    for (seed, loss) in [(1, 0.0), (2, 0.2)] {
        let mut network = settled(VirtualSettings { loss, ..VirtualSettings::new(300, seed) });
        network.stop(NodeId(7));
        assert!(network.run_until(Duration::from_secs(12), all_see(7, Standing::Dead)), "seed {seed}");
    }
}

#[test]
fn a_pair_finds_that_one_is_dead() {
    let mut network = settled(VirtualSettings::new(2, 1));
    network.stop(NodeId(2));
    assert!(network.run_until(Duration::from_secs(12), all_see(2, Standing::Dead)));
}

#[test]
fn nobody_dies_of_lost_datagrams() {
    let mut network = settled(VirtualSettings { loss: 0.2, ..VirtualSettings::new(50, 1) });
    network.run_for(Duration::from_secs(600));
    assert_eq!(sum(&network, |member| member.counters().deaths), 0);
}

#[test]
fn who_leaves_is_not_taken_for_dead() {
    let mut network = settled(VirtualSettings::new(50, 1));
    network.tell(NodeId(9), Input::Leave);
    network.run_for(Duration::from_secs(1));
    network.stop(NodeId(9));
    assert!(network.run_until(Duration::from_secs(8), all_see(9, Standing::Left)));
    network.run_for(Duration::from_secs(30));
    assert_eq!(sum(&network, |member| member.counters().deaths), 0);
    network.start(NodeId(9));
    assert!(network.run_until(Duration::from_secs(8), all_see(9, Standing::Alive)));
}

#[test]
fn a_healed_partition_is_one_network_again() {
    let mut network = settled(VirtualSettings::new(40, 1));
    (1..=20).for_each(|node| network.put_in_group(NodeId(node), 1));
    let sees_half = |network: &VirtualNetwork| {
        let dead =
            |member: &Member| (1..=40).filter(|node| member.standing(NodeId(*node)) == Some(Standing::Dead)).count();
        network.members().all(|member| dead(member) == 20)
    };
    assert!(network.run_until(Duration::from_secs(60), sees_half));
    (1..=20).for_each(|node| network.put_in_group(NodeId(node), 0));
    let sees_all = |network: &VirtualNetwork| (1..=40).all(|node| all_see(node, Standing::Alive)(network));
    assert!(network.run_until(Duration::from_secs(40), sees_all));
}

#[test]
fn a_suspicion_is_refuted() {
    let mut network = settled(VirtualSettings::new(30, 1));
    // For three intervals node 4 hears nobody, and then again.
    network.set_loss_of(NodeId(4), 1.0);
    network.run_for(Duration::from_secs(3));
    network.set_loss_of(NodeId(4), 0.0);
    network.run_for(Duration::from_secs(20));
    let events = network.take_events();
    let told = |wanted: Event| events.iter().any(|(_, _, event)| *event == wanted);
    assert!(told(Event::Suspected(NodeId(4))) && told(Event::Refuted(NodeId(4))));
    assert!(!told(Event::Died(NodeId(4))));
    assert!(all_see(4, Standing::Alive)(&network));
}

#[test]
fn one_way_between_two_nodes_is_not_needed() {
    // Node 1 is bad: it loses half of what it sends and receives. Nobody else suffers.
    let mut network = settled(VirtualSettings::new(50, 1));
    network.set_loss_of(NodeId(1), 0.5);
    network.run_for(Duration::from_secs(300));
    let others = network.members().filter(|member| member.node() != NodeId(1));
    let wrong = others.map(|member| member.counters().deaths).sum::<u64>();
    assert_eq!(wrong, 0);
}

#[test]
fn the_dead_are_forgotten_and_stay_so() {
    let mut settings = VirtualSettings::new(20, 1);
    settings.member = Settings { forget_after: Duration::from_secs(60), ..settings.member };
    let mut network = settled(settings);
    network.stop(NodeId(3));
    network.run_for(Duration::from_secs(120));
    assert!(network.members().all(|member| member.standing(NodeId(3)).is_none()));
    network.take_events();
    network.run_for(Duration::from_secs(60));
    assert!(!network.take_events().iter().any(|(_, _, event)| *event == Event::Joined(NodeId(3))));
    network.start(NodeId(3));
    assert!(network.run_until(Duration::from_secs(8), all_see(3, Standing::Alive)));
}

#[test]
fn clocks_hours_apart_are_told_and_hinder_nobody() {
    let mut network = VirtualNetwork::with_seeds(VirtualSettings::new(20, 1), &[NodeId(1), NodeId(2), NodeId(3)]);
    let two_hours_us = 2 * 3600 * 1_000_000;
    network.set_clock_of(NodeId(5), -two_hours_us);
    network.set_clock_of(NodeId(6), two_hours_us);
    (1..=20).for_each(|node| network.start(NodeId(node)));
    assert!(network.run_until(Duration::from_secs(12), VirtualNetwork::all_know_all));
    network.run_for(Duration::from_secs(120));
    let events = network.take_events();
    let off = |node: u32| {
        events.iter().find_map(|(_, who, event)| match event {
            Event::ClockOff { node: off, ahead_us } if *off == NodeId(node) && ![5, 6].contains(&who.0) => {
                Some(*ahead_us)
            }
            _ => None,
        })
    };
    assert!((off(5).expect("told") + two_hours_us).abs() < 10_000);
    assert!((off(6).expect("told") - two_hours_us).abs() < 10_000);
    assert!((1..=20).all(|node| all_see(node, Standing::Alive)(&network)));
    assert_eq!(sum(&network, |member| member.counters().deaths), 0);
}

#[test]
fn who_is_slow_is_not_dead() {
    // What node 1 receives waits for longer than an interval.
    let mut network = settled(VirtualSettings::new(30, 1));
    network.set_slowness_of(NodeId(1), Duration::from_millis(1_500));
    network.run_for(Duration::from_secs(60));
    assert_eq!(sum(&network, |member| member.counters().deaths), 0);
    // Once its round trips are known, nobody suspects it any more, and it nobody.
    let suspected = sum(&network, |member| member.counters().suspected);
    network.run_for(Duration::from_secs(60));
    let again = sum(&network, |member| member.counters().suspected) - suspected;
    assert!(again <= 10, "{again} of {suspected}");
}
