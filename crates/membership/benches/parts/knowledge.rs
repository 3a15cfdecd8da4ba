//! Rounds until everybody knows everybody, and bytes once they do.

use crate::{Extent, mean_and_p99};
use agent_membership::NodeId;
use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings, Wire};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(100);

pub fn full(extent: &Extent) {
    println!("full knowledge, {} nodes, {} seeds", extent.nodes, extent.seeds);
    for (fan_out, loss) in [(2, 0.0), (3, 0.0), (4, 0.0), (3, 0.2)] {
        let mut rounds: Vec<_> = (0..extent.seeds)
            .map(|seed| {
                let mut settings = VirtualSettings { loss, ..VirtualSettings::new(extent.nodes, seed) };
                settings.member.fan_out = fan_out;
                let mut network = VirtualNetwork::new(settings);
                assert!(network.run_until(LONG, VirtualNetwork::all_know_all));
                network.rounds()
            })
            .collect();
        let (mean, p99) = mean_and_p99(&mut rounds);
        println!("  fan-out {fan_out}, loss {loss:.2}: mean {mean:.2} rounds, largest {p99:.2}");
    }
}

pub fn large(extent: &Extent) {
    let mut settings = VirtualSettings::new(extent.large, 1);
    settings.wire = Wire::Shared;
    settings.member.availability_window = None;
    settings.member.exchange_bytes = 8 << 20;
    let began = Instant::now();
    let mut network = VirtualNetwork::new(settings);
    assert!(network.run_until(LONG, VirtualNetwork::all_know_all));
    println!(
        "full knowledge, {} nodes, fan-out 3: {:.2} rounds ({:.0?} to simulate)",
        extent.large,
        network.rounds(),
        began.elapsed()
    );
}

pub fn exchange(extent: &Extent) {
    for reissue_intervals in [10_000, 10] {
        let mut settings = VirtualSettings::new(extent.nodes, 1);
        settings.member.reissue_intervals = reissue_intervals;
        let mut network = VirtualNetwork::new(settings);
        network.run_for(Duration::from_secs(30));
        let sum = |network: &VirtualNetwork| {
            let counters = network.members().map(|member| member.counters());
            counters.fold((0, 0), |sum, now| (sum.0 + now.sent_bytes, sum.1 + now.exchanges))
        };
        let before = sum(&network);
        network.run_for(Duration::from_secs(30));
        let after = sum(&network);
        let bytes = (after.0 - before.0) as f64 / (after.1 - before.1) as f64;
        let state = network.member(NodeId(1)).expect("up").record_bytes() as f64;
        println!(
            "exchange, {} nodes, reissued each {reissue_intervals} intervals: {bytes:.0} bytes, both ways with \
             probes, {:.2} % of a state of {state:.0}",
            extent.nodes,
            100.0 * bytes / state
        );
    }
}

pub fn restart(extent: &Extent) {
    for loss in [0.0, 0.2] {
        let mut network = VirtualNetwork::new(VirtualSettings { loss, ..VirtualSettings::new(extent.nodes, 3) });
        network.run_for(Duration::from_secs(15));
        let mut rounds = Vec::new();
        for run in 0..extent.seeds {
            let node = NodeId(1 + u32::try_from(run).expect("few") % extent.nodes);
            let was = network.member(node).and_then(|member| member.record(node)).expect("up").record().incarnation;
            network.start(node);
            let (began, is_known) = (network.rounds(), |network: &VirtualNetwork| {
                network
                    .members()
                    .all(|member| member.record(node).is_some_and(|record| record.record().incarnation == was + 1))
            });
            assert!(network.run_until(LONG, is_known));
            rounds.push(network.rounds() - began);
        }
        let (mean, p99) = mean_and_p99(&mut rounds);
        println!(
            "restart, {} nodes, loss {loss:.2}: everywhere after mean {mean:.2} rounds, largest {p99:.2}",
            extent.nodes
        );
    }
}
