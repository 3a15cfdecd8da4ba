//! Questions while nine tenths are stopped.

use crate::{Extent, mean_and_p99};
use agent_membership::virtual_network::{VirtualNetwork, VirtualSettings, address};
use agent_membership::{Answered, NetworkId, NodeId, Query, QueryEffect, QueryFailed, QuerySettings, Rng};
use rand::{RngExt as _, SeedableRng as _};
use std::net::SocketAddr;
use std::time::Duration;

const NODES: u32 = 50;

pub fn query(extent: &Extent) {
    let (mut took, mut messages, mut failed) = (Vec::new(), 0, 0);
    let mut rng = Rng::seed_from_u64(1);
    for run in 0..extent.queries {
        let mut network = VirtualNetwork::new(VirtualSettings::new(NODES, u64::from(run)));
        network.run_for(Duration::from_secs(12));
        // Five others live on; in every tenth run only two, which is no quorum.
        let alive = if run % 10 == 9 { 2 } else { 5 };
        let first = rng.random_range(1..=NODES);
        let is_up = |node: u32| (node + NODES - first) % NODES < alive;
        (1..=NODES).filter(|node| !is_up(*node)).for_each(|node| network.stop(NodeId(node)));
        let began = network.now();
        match ask(&mut network, NodeId(first), &mut rng) {
            Ok(answered) => {
                assert!(alive >= 3 && answered.record.record().node == NodeId(first));
                took.push(answered.took.as_secs_f64());
                messages += answered.sent + answered.received;
            }
            Err(why) => {
                assert!(alive < 3 && why.fresh < 3, "{why}");
                assert!(network.now().since(began) <= Duration::from_millis(2_002));
                failed += 1;
            }
        }
    }
    let (mean, p99) = mean_and_p99(&mut took);
    println!(
        "query, {NODES} nodes of which 5 (or 2) are up, {} runs: {} right, {failed} honest failures for want of \
         a quorum; mean {:.0} ms, p99 {:.0} ms, {:.1} messages for each answer",
        extent.queries,
        took.len(),
        mean * 1e3,
        p99 * 1e3,
        messages as f64 / took.len() as f64
    );
}

fn ask(network: &mut VirtualNetwork, node: NodeId, rng: &mut Rng) -> Result<Answered, QueryFailed> {
    let asker: SocketAddr = ([192, 0, 2, 1], 5000).into();
    let (within, deadline) = (Duration::from_secs(2), Duration::from_secs(2));
    let settings = QuerySettings { network: NetworkId::named("virtual"), node, quorum: 3, within, deadline, key: None };
    let all = (1..=NODES).map(|node| address(NodeId(node))).collect();
    let mut query = Query::new(settings, all, Vec::new(), network.now(), rng);
    loop {
        let mut effects = query.tick(network.now());
        for (_, _, envelope) in network.take_outside() {
            let from = address(envelope.sender.expect("a member"));
            effects.extend(query.answer(from, envelope, network.now()));
        }
        for effect in effects {
            match effect {
                QueryEffect::Send { to, envelope } => network.send(asker, to, envelope.encode(settings.network)),
                QueryEffect::Done(result) => return *result,
            }
        }
        network.run_for(Duration::from_millis(1));
    }
}
