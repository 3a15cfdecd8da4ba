//! Histories of the shared table: many agents at once, connections that break, and a checker that believes nobody.
//!
//! Agents act on a table at random and record each call with its answer (`agents.rs`, `record.rs`). Afterwards the history is
//! checked: is there, for each data set, an order of the calls in which a simple reference of the claim protocol
//! (`reference.rs`) would have given the same answers (`search.rs`)? Is all feedback kept once, and has each counter moved by what
//! closed (`check.rs`)? A call whose answer is unknown may have taken place or not. `wrong.rs` shows that the checker sees what
//! is wrong.

mod agents;
mod check;
mod record;
mod reference;
mod search;
mod wire;
mod wrong;

use agent::knowledge::mysql::{self, MysqlSettings};
use agent::knowledge::sqlite::SqliteKnowledge;
use agent_core::clock::VirtualClock;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::placement::{DataSet, Link, Registration};
use agent_core::knowledge::contract::{blood, clock, identity, node, registration};
use agent_core::knowledge::memory::MemoryKnowledge;
use agent_core::knowledge::{ClosingRule, Knowledge};
use agents::{Agent, Memory};
use check::{GRACE, THRESHOLD, WINDOW, check};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use record::{End, History, Recorder};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::Wire;

use crate::galera::{self, Cluster};
use crate::servers::{self, PATIENCE, settings};
use rustix::process::Signal;

const AGENTS: u32 = 4;
/// Between the rounds nothing is under way, and time passes. So every call has one time, and a history stays easy to explain.
const ROUNDS: usize = 60;
const STEPS: usize = 3;
const LONGEST_PAUSE_S: u64 = 8;
/// Of calls to a table in this process.
const LOSS: f64 = 0.1;
/// Longer than bad luck lasts.
const OPENINGS: u32 = 20;
const RULE: ClosingRule = ClosingRule { threshold: THRESHOLD, grace: GRACE, silence: Duration::from_secs(86_400) };

/// The data sets, and where they lie in the beginning.
fn data_sets() -> [(DataSet, NodeId); 2] {
    let named = |name: &str| DataSet { name: name.into(), object_key: format!("{name}.json"), ..blood() };
    [(named("blood"), NodeId(3)), (named("sugar"), NodeId(1))]
}

fn beginnings() -> BTreeMap<DataSetName, reference::DataSet> {
    let agents = || (1..=AGENTS).map(AgentId);
    data_sets().map(|(data_set, node)| (data_set.name, reference::DataSet::new(node, agents()))).into()
}

async fn prepare(table: &dyn Knowledge) {
    let nodes: Vec<_> = (1..=AGENTS).map(|id| node(id, 90.0)).collect();
    // The further their numbers are apart, the further are nodes.
    let latency = |from: u32, to: u32| f64::from(from.abs_diff(to) * 100);
    let pairs = (1..=AGENTS).flat_map(|from| (1..=AGENTS).filter(move |to| *to != from).map(move |to| (from, to)));
    let links: Vec<_> = pairs
        .map(|(from, to)| Link { from: NodeId(from), to: NodeId(to), latency_ms: latency(from, to), jitter_ms: 0.0 })
        .collect();
    table.register_network(&nodes, &links).await.unwrap();
    for (data_set, node) in data_sets() {
        table.register_data_set(&data_set, node, &data_set.object_key, &Default::default()).await.unwrap();
    }
    let both = data_sets().map(|(data_set, _)| data_set.name);
    for agent in 1..=AGENTS {
        let registration: Registration = registration(agent);
        table.register_agent(&registration, &both, &identity()).await.unwrap();
    }
}

/// Has agents act on a table, each through its own handle; `direct` is one that nothing happens to.
async fn record(
    direct: Arc<dyn Knowledge>,
    handles: Vec<Arc<dyn Knowledge>>,
    clock: Arc<VirtualClock>,
    loss: f64,
    seed: u64,
    mut before_round: impl FnMut(usize),
) -> History {
    prepare(&*direct).await;
    let recorder = Arc::new(Recorder::new(clock.clone()));
    let mut agents: Vec<Agent> = (1..)
        .zip(handles)
        .map(|(id, table)| Agent {
            id: AgentId(id),
            table,
            recorder: recorder.clone(),
            chance: ChaCha8Rng::seed_from_u64(seed + u64::from(id)),
            loss,
            data_sets: data_sets().map(|(data_set, _)| data_set.name).to_vec(),
            nodes: AGENTS,
            rule: RULE,
            memory: Memory::default(),
        })
        .collect();
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    for round in 0..ROUNDS {
        before_round(round);
        let turns = agents.into_iter().map(|mut agent| {
            tokio::spawn(async move {
                agent.turn(STEPS).await;
                agent
            })
        });
        agents = futures::future::try_join_all(turns).await.expect("no agent panics");
        clock.advance(Duration::from_secs(chance.random_range(0..=LONGEST_PAUSE_S)));
    }
    for agent in &mut agents {
        agent.table = direct.clone();
        agent.finish().await;
    }
    clock.advance(WINDOW + GRACE);
    for agent in &mut agents {
        agent.finish().await;
        agent.close().await;
        agent.look_at_all().await;
    }
    let mut history = recorder.history().clone();
    history.end = end(&*direct, &history).await;
    history
}

async fn end(table: &dyn Knowledge, history: &History) -> End {
    let mut end = End::default();
    for key in history.keys() {
        if let Some(event) = table.event_by_key(&key.to_string()).await.unwrap() {
            end.feedback.extend(table.feedback(event.id).await.unwrap());
            end.events.insert(key, event);
        }
    }
    for (data_set, _) in data_sets() {
        let counters = table.counters(&data_set.name).await.unwrap();
        let counters = counters.into_iter().map(|(action, counter)| ((data_set.name.clone(), action), counter.value));
        end.counters.extend(counters);
    }
    end
}

/// A history that shows nothing proves nothing.
fn must_hold(name: &str, history: &History) {
    let calls = history.next_number() - 1;
    let lost = history.unanswered();
    let moved = history.closings.iter().flat_map(|call| call.answer.iter().flatten());
    let moved = moved.filter(|closed| closed.counter_before != closed.counter_after).count();
    println!(
        "{name}: {calls} calls, {lost} without an answer, {} claims granted, {} blames, {moved} moves of counters",
        history.end.events.len(),
        history.end.feedback.len()
    );
    assert!(lost > 5 && moved > 0, "{name}: too little was lost");
    must_be_explained(name, history);
}

fn must_be_explained(name: &str, history: &History) {
    assert!(history.end.events.len() > 50, "{name}: too little has happened");
    if let Err(why) = check(history, &beginnings()) {
        panic!("{name}: {why}");
    }
}

fn seed() -> u64 {
    let given =
        std::env::var("AGENT_HISTORY_SEED").ok().map(|text| text.parse().expect("AGENT_HISTORY_SEED is a number"));
    given.unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_memory_can_be_explained() {
    let clock = clock();
    let table: Arc<dyn Knowledge> = Arc::new(MemoryKnowledge::new(clock.clone()));
    let handles = vec![table.clone(); AGENTS as usize];
    must_hold("memory", &record(table, handles, clock, LOSS, seed(), |_| {}).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_sqlite_can_be_explained() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let open = || -> Arc<dyn Knowledge> {
        Arc::new(SqliteKnowledge::open(&folder.path().join("network.db"), clock.clone()).unwrap())
    };
    let handles = (0..AGENTS).map(|_| open()).collect();
    must_hold("sqlite", &record(open(), handles, clock.clone(), LOSS, seed(), |_| {}).await);
}

/// The wire may break at once.
async fn open_mysql(settings: &MysqlSettings, clock: &Arc<VirtualClock>) -> Arc<dyn Knowledge> {
    for _ in 0..OPENINGS {
        if let Ok(table) = servers::open(settings, clock).await {
            return Arc::new(table);
        }
    }
    panic!("{settings} cannot be opened in {OPENINGS} tries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_mariadb_can_be_explained_though_connections_break() {
    let server = match crate::mariadb::shared() {
        Ok(server) => server,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let (clock, schema) = (clock(), server.schema());
    let settings = |port: u16| settings(&[port], &schema);
    mysql::init(&settings(server.port())).await.unwrap();
    let open = async |port: u16| open_mysql(&settings(port), &clock).await;
    let mut wires = Vec::new();
    let mut handles = Vec::new();
    for agent in 0..u64::from(AGENTS) {
        let wire = Wire::to(server.port(), seed() + agent).await;
        handles.push(open(wire.port).await);
        wires.push(wire);
    }
    let history = record(open(server.port()).await, handles, clock.clone(), 0.0, seed(), |_| {}).await;
    let cut: u64 = wires.iter().map(Wire::cut).sum();
    println!("mariadb: {cut} connections were cut");
    must_hold("mariadb", &history);
}

/// Each agent has a server of its own, and the others for when its wire breaks; theirs break as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_a_cluster_can_be_explained_though_connections_break() {
    let cluster = match galera::shared() {
        Ok(cluster) => cluster,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let (clock, schema) = (clock(), cluster.servers[0].schema());
    mysql::init(&settings(&cluster.ports(), &schema)).await.unwrap();
    let mut wires = Vec::new();
    let mut handles = Vec::new();
    for agent in 0..AGENTS as usize {
        let mut ports = cluster.ports_from(agent);
        for port in &mut ports {
            let wire = Wire::to(*port, seed() + wires.len() as u64).await;
            *port = wire.port;
            wires.push(wire);
        }
        handles.push(open_mysql(&settings(&ports, &schema), &clock).await);
    }
    let direct = open_mysql(&settings(&cluster.ports(), &schema), &clock).await;
    let history = record(direct, handles, clock.clone(), 0.0, seed(), |_| {}).await;
    let cut: u64 = wires.iter().map(Wire::cut).sum();
    println!("galera: {cut} connections were cut");
    must_hold("galera", &history);
}

/// What happens to a server of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blow {
    /// It is ended at once, and started again later.
    Kill,
    /// It stands still for a while; the others wait for it, and go on without it.
    Stop,
}

/// When a blow falls, and when it is made good.
const BLOW_AT: usize = 10;
const MENDED_AT: usize = 40;

/// Blows in a test; CLUSTER_BLOWS says otherwise.
const BLOWS: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_a_cluster_can_be_explained_though_servers_are_killed() {
    let mut cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let blows = std::env::var("CLUSTER_BLOWS").ok().map(|text| text.parse().expect("CLUSTER_BLOWS is a number"));
    let mut longest = Duration::ZERO;
    for blow in 0..blows.unwrap_or(BLOWS) {
        let hit = ChaCha8Rng::seed_from_u64(seed() + blow).random_range(0..galera::SERVERS);
        let kind = if blow % 2 == 0 { Blow::Kill } else { Blow::Stop };
        let (clock, schema) = (clock(), cluster.servers[(hit + 1) % galera::SERVERS].schema());
        mysql::init(&settings(&cluster.ports_from(hit + 1), &schema)).await.unwrap();
        let mut handles = Vec::new();
        for agent in 0..AGENTS as usize {
            handles.push(open_mysql(&settings(&cluster.ports_from(agent), &schema), &clock).await);
        }
        let direct = open_mysql(&settings(&cluster.ports_from(hit + 1), &schema), &clock).await;
        let mut began = std::time::Instant::now();
        let history = record(direct, handles, clock.clone(), 0.0, seed() + blow, |round| {
            // The round with the blow, and those in which others wait for the one that was hit.
            if (BLOW_AT + 1..MENDED_AT).contains(&round) {
                longest = longest.max(began.elapsed());
            }
            began = std::time::Instant::now();
            let server = &mut cluster.servers[hit];
            match (round, kind) {
                (BLOW_AT, Blow::Kill) => server.kill(),
                (BLOW_AT, Blow::Stop) => server.signal(Signal::STOP),
                (MENDED_AT, Blow::Kill) => server.restart(),
                (MENDED_AT, Blow::Stop) => server.signal(Signal::CONT),
                _ => {}
            }
        })
        .await;
        let name = format!("blow {blow}, {kind:?} of server {hit}");
        must_be_explained(&name, &history);
        cluster.wait_until_whole();
    }
    println!("the longest round of a blow: {longest:.1?}");
    // Each of its three steps may have been in the middle of one try, and began another.
    assert!(longest < PATIENCE * 3, "agents do not go on: {longest:?}");
}
