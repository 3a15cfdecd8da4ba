//! Suspicions, true and false, and deaths.

use crate::{Extent, mean_and_p99};
use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings, Wire};
use agent_membership::{Counters, NodeId, Standing};
use std::time::Duration;

const SETTLED: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(100);

fn settings(nodes: u32, seed: u64, loss: f64) -> VirtualSettings {
    VirtualSettings { loss, wire: Wire::Shared, ..VirtualSettings::new(nodes, seed) }
}

fn sum(network: &VirtualNetwork, of: fn(&Counters) -> u64) -> u64 {
    network.members().map(|member| of(&member.counters())).sum()
}

pub fn failures(extent: &Extent) {
    for loss in [0.0, 0.05, 0.2] {
        let mut intervals = Vec::new();
        for seed in 0..extent.seeds {
            let mut network = VirtualNetwork::new(settings(extent.nodes, seed, loss));
            network.run_for(SETTLED);
            network.stop(NodeId(1));
            let began = network.rounds();
            let is_known = |network: &VirtualNetwork| {
                network.members().all(|member| member.standing(NodeId(1)) == Some(Standing::Dead))
            };
            assert!(network.run_until(LONG, is_known));
            intervals.push(network.rounds() - began);
        }
        let (mean, p99) = mean_and_p99(&mut intervals);
        println!(
            "a death, {} nodes, loss {loss:.2}, {} runs: known to all after mean {mean:.2} intervals, p99 {p99:.2}",
            extent.nodes, extent.seeds
        );
    }
    for loss in [0.0, 0.05, 0.2] {
        let mut network = VirtualNetwork::new(settings(extent.nodes, 1, loss));
        network.run_for(Duration::from_secs_f64(extent.hours * 3600.0));
        let hours = extent.hours * f64::from(extent.nodes);
        println!(
            "nobody dies, {} nodes for {} h, loss {loss:.2}: {:.2} own suspicions of each node and hour, {} \
             false deaths in {:.1} node-days",
            extent.nodes,
            extent.hours,
            sum(&network, |counters| counters.suspected) as f64 / hours,
            sum(&network, |counters| counters.deaths),
            hours / 24.0
        );
    }
}

pub fn bad_nodes(extent: &Extent) {
    for local_health in [true, false] {
        for (name, slowness, loss) in
            [("slow by 1.5 s", Duration::from_millis(1_500), 0.0), ("losing half", Duration::ZERO, 0.5)]
        {
            let mut settings = settings(extent.nodes, 1, 0.0);
            settings.member.local_health = local_health;
            let mut network = VirtualNetwork::new(settings);
            network.run_for(SETTLED);
            let bad: Vec<_> = (1..=extent.nodes / 60 + 1).map(NodeId).collect();
            for node in &bad {
                network.set_loss_of(*node, loss);
                network.set_slowness_of(*node, slowness);
            }
            network.take_events();
            network.run_for(Duration::from_secs_f64(extent.hours * 3600.0 / 6.0));
            let told = network.take_events();
            let of = |is_bad: bool, is: fn(&agent_membership::Event) -> Option<NodeId>| {
                told.iter().filter_map(|(_, _, event)| is(event)).filter(|node| bad.contains(node) == is_bad).count()
            };
            let suspected = |event: &agent_membership::Event| match event {
                agent_membership::Event::Suspected(node) => Some(*node),
                _ => None,
            };
            let died = |event: &agent_membership::Event| match event {
                agent_membership::Event::Died(node) => Some(*node),
                _ => None,
            };
            println!(
                "{} of {} nodes {name} for {:.2} h, local health {local_health}: times that somebody held a \
                 good node for suspect {} and dead {}; a bad one {} and {}",
                bad.len(),
                extent.nodes,
                extent.hours / 6.0,
                of(false, suspected),
                of(false, died),
                of(true, suspected),
                of(true, died)
            );
        }
    }
}
