//! A network on real sockets in this process, and what is seen of it.

use crate::app::open_files;
use crate::membership::asking::ask;
use agent_core::config::experiment::membership::MembershipExperiment;
use agent_laboratory::experiments::membership::{NetworkCell, Observed, Setting, ages_are_taken, asked};
use agent_membership::measure::NodeNow;
use agent_membership::udp::{Pace, Running, Start, Told, start};
use agent_membership::{Event, Input, NetworkId, NodeId, Own, Query, Settings, SharedRecords, Time, View};
use anyhow::{Context as _, bail, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Any port of this machine that is free.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Each member has a socket for datagrams and one for streams, and some streams are open at once.
const FILES_FOR_A_NODE: u64 = 4;
/// What else the process has open.
const OTHER_FILES: u64 = 256;

/// Runs a network for all rounds, and asks about some of its nodes.
pub(super) async fn observe(experiment: &MembershipExperiment, cell: &NetworkCell) -> anyhow::Result<Observed> {
    allow_files(cell.nodes)?;
    let network = NetworkId::named("laboratory");
    let pace = Pace::from_now(1.0);
    let mut members = started(experiment, cell, network, &pace)?;
    let addresses: Arc<[SocketAddr]> = members.iter().map(|member| member.address).collect();
    let mut arrivals = JoinSet::new();
    for member in &mut members {
        if let Some(events) = member.events() {
            arrivals.spawn(knows_all(events, cell.nodes - 1, pace.clone()));
        }
    }
    let began = pace.now();
    for member in &members {
        if !member.tell(Input::Seeds(Arc::clone(&addresses))) {
            bail!("node {} took no seeds: its task has ended", member.node);
        }
    }
    let mut observed = Observed::default();
    for round in 1..=experiment.rounds {
        sleep((began + cell.interval * round).since(pace.now())).await;
        see(&members, cell, &mut observed);
    }
    observed.converged_round =
        converged(&mut arrivals, cell).map(|at| at.since(began).as_secs_f64() / cell.interval.as_secs_f64());
    ask_all(experiment, cell, (network, &pace), members, &mut observed).await?;
    Ok(observed)
}

/// Raises the limit of open files, if that allows as many as are needed.
fn allow_files(nodes: u32) -> anyhow::Result<()> {
    let needed = u64::from(nodes) * FILES_FOR_A_NODE + OTHER_FILES;
    ensure!(
        open_files::allow_all()?.is_none_or(|allowed| allowed >= needed),
        "{nodes} nodes need {needed} open files, and this process may have fewer; raise `ulimit -Hn`, or take fewer nodes"
    );
    Ok(())
}

/// All members, who do not know of each other yet.
fn started(
    experiment: &MembershipExperiment,
    cell: &NetworkCell,
    network: NetworkId,
    pace: &Pace,
) -> anyhow::Result<Vec<Running>> {
    let mut settings = Settings::new(network, ANYWHERE);
    Setting::apply(experiment, cell, &mut settings);
    // Of one process: each record is verified once, as each node of a real network does for itself.
    settings.shared_records = Some(Arc::new(SharedRecords::default()));
    let member = |node: u32| {
        start(Start {
            settings: settings.clone(),
            identity: Setting::identity(cell, node),
            own: Own { name: format!("node-{node}"), ..Own::default() },
            listen: ANYWHERE,
            seeds: Vec::new(),
            pace: pace.clone(),
            saved: None,
            seed: (cell.seed << 32) | u64::from(node),
        })
    };
    (1..=cell.nodes).map(|node| member(node).with_context(|| format!("node {node} did not start"))).collect()
}

/// When a member knew all others.
async fn knows_all(mut events: tokio::sync::mpsc::Receiver<Told>, others: u32, pace: Pace) -> Option<Time> {
    let mut joined = 0;
    while joined < others {
        if let Told::Event(Event::Joined(_)) = events.recv().await? {
            joined += 1;
        }
    }
    Some(pace.now())
}

/// When the last one knew all others; none if somebody does not yet.
fn converged(arrivals: &mut JoinSet<Option<Time>>, cell: &NetworkCell) -> Option<Time> {
    let mut last = Time::default();
    for _ in 0..cell.nodes {
        last = last.max(arrivals.try_join_next()?.ok()??);
    }
    Some(last)
}

/// What members show at the end of a round: each as it was at most an interval ago.
fn see(members: &[Running], cell: &NetworkCell, observed: &mut Observed) {
    let views: Vec<(NodeId, Arc<View>)> =
        members.iter().map(|member| (member.node, Arc::clone(&member.view().borrow()))).collect();
    observed.recorder.round(views.iter().map(|(node, view)| NodeNow {
        node: *node,
        counters: view.counters,
        known: view.members.len(),
        stored_bytes: view.members.iter().map(|seen| seen.record.wire().len()).sum(),
        ages: ages(*node, view, cell.nodes),
    }));
    observed.exchanges.push(views.iter().map(|(_, view)| view.counters.exchanges).sum());
    observed.false_deaths = views.iter().map(|(_, view)| view.counters.false_deaths).sum();
}

fn ages(of: NodeId, view: &View, nodes: u32) -> Vec<Duration> {
    if !ages_are_taken(of.0, nodes) {
        return Vec::new();
    }
    view.members.iter().filter(|seen| seen.record.record().node != of).map(|seen| seen.age).collect()
}

/// Stops those that are to fail, and asks the others about each other.
async fn ask_all(
    experiment: &MembershipExperiment,
    cell: &NetworkCell,
    (network, pace): (NetworkId, &Pace),
    members: Vec<Running>,
    observed: &mut Observed,
) -> anyhow::Result<()> {
    let Setting { stopped, asked_about, mut rng } = Setting::of(experiment, cell);
    let addresses: Vec<SocketAddr> = members.iter().map(|member| member.address).collect();
    let mut left = Vec::new();
    for member in members {
        match stopped.contains(&member.node.0) {
            true => member.stop().await,
            false => left.push(member),
        }
    }
    observed.stopped = stopped.len() as u32;
    let socket = UdpSocket::bind(ANYWHERE).await.context("no socket to ask with")?;
    for (number, about) in (1..).zip(asked_about) {
        let question = Setting::question(experiment, cell, network, about);
        let key = Setting::identity(cell, about).public_key();
        let query = Query::new(question, addresses.clone(), Vec::new(), pace.now(), &mut rng);
        let result = ask(&socket, network, query, pace).await;
        observed.queries.push(asked(number, &question, key, &result));
    }
    for member in left {
        member.stop().await;
    }
    Ok(())
}
