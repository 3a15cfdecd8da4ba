//! How many decisions a server carries, and how many a cluster of three: every agent has a data set of its own, looks at the table,
//! claims an action and commits it, over and over.
//!
//! `TABLE_AGENTS=1000 TABLE_SECONDS=30 cargo test --test table carried -- --nocapture --test-threads 1` measures it, `TABLE_AT_ONCE=64`
//! with so many decisions under way; figures in `docs/performance.md`.

use crate::galera;
use crate::mariadb;
use crate::servers::{number, open, plan, settings};
use agent::knowledge::mysql::{self, MysqlKnowledge, MysqlSettings};
use agent_core::clock::VirtualClock;
use agent_core::domain::ids::{DataSetName, EventId, NodeId};
use agent_core::domain::placement::{DataSet, Registration};
use agent_core::knowledge::contract::{DRAIN, LEASE, WINDOW, blood, clock, identity, link, node, registration};
use agent_core::knowledge::{Claimed, Committed, Knowledge as _};
use futures::future::join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Decisions under way at once; each agent's own come one after the other.
const AT_ONCE: u32 = 16;
const NODES: [u32; 2] = [1, 2];

fn data_set(agent: u32) -> DataSetName {
    format!("of-{agent}").as_str().into()
}

struct Bench {
    clock: Arc<VirtualClock>,
    schema: String,
    /// Of the servers; each worker begins with another one.
    ports: Vec<u16>,
    agents: u32,
    at_once: u32,
}

impl Bench {
    fn settings(&self, first: u32) -> MysqlSettings {
        let mut ports = self.ports.clone();
        ports.rotate_left(first as usize % self.ports.len());
        settings(&ports, &self.schema)
    }

    async fn open(&self, first: u32) -> MysqlKnowledge {
        open(&self.settings(first), &self.clock).await.unwrap()
    }

    async fn prepare(&self) {
        mysql::init(&self.settings(0)).await.unwrap();
        let table = self.open(0).await;
        table.register_network(&NODES.map(|id| node(id, 90.0)), &[link(1, 2, 9.0), link(2, 1, 9.0)]).await.unwrap();
        for agent in 1..=self.agents {
            let own = DataSet { name: data_set(agent), ..blood() };
            let key = format!("of-{agent}");
            assert!(table.register_data_set(&own, NodeId(1), &key, &Default::default()).await.unwrap());
            let registration = Registration { node: NodeId(1), ..registration(agent) };
            table.register_agent(&registration, std::slice::from_ref(&own.name), &identity()).await.unwrap();
        }
    }

    /// Of each agent that is this worker's, in turn, until the time is over; how many decisions.
    async fn work(&self, worker: u32, lasts: Duration) -> u32 {
        let table = self.open(worker).await;
        let (began, mut done) = (Instant::now(), 0);
        for agent in (1 + worker..=self.agents).step_by(self.at_once as usize).cycle() {
            decide(&table, agent, done).await;
            done += 1;
            if began.elapsed() >= lasts {
                break;
            }
        }
        done
    }
}

/// Moves the agent's data to the other node.
async fn decide(table: &MysqlKnowledge, agent: u32, number: u32) {
    let name = data_set(agent);
    let seen = table.snapshot(&name).await.unwrap().unwrap();
    let from = seen.placement.present().next().unwrap().node.0;
    let action = format!("M{from}_{}", 3 - from).parse().unwrap();
    let plan = plan(&seen, agent, action, number).expect("it is there");
    let Claimed::Granted(claim) = table.claim(&plan, LEASE, WINDOW).await.unwrap() else {
        panic!("{name}: nobody else wants it, and it is refused")
    };
    match table.commit(claim.event, &Default::default(), DRAIN).await.unwrap() {
        Committed::Done { leftover } => {
            if let Some(leftover) = leftover {
                table.removed(leftover.id).await.unwrap();
            }
        }
        Committed::Refused(why) => panic!("{name}: {why}"),
    }
}

async fn carried(what: &str, ports: Vec<u16>, schema: String) {
    let at_once = number("TABLE_AT_ONCE", AT_ONCE);
    let (agents, seconds) = (number("TABLE_AGENTS", at_once), number("TABLE_SECONDS", 0));
    let bench = Bench { clock: clock(), schema, ports, agents, at_once };
    bench.prepare().await;
    let (began, lasts) = (Instant::now(), Duration::from_secs(seconds.into()));
    let workers = 0..at_once.min(agents);
    let done: u32 = join_all(workers.map(|worker| bench.work(worker, lasts))).await.into_iter().sum();
    println!(
        "{what}, {agents} agents, {at_once} at once: {:.0} decisions/s",
        f64::from(done) / began.elapsed().as_secs_f64()
    );
    let events = bench.open(0).await.events(EventId(0), usize::MAX / 2).await.unwrap();
    assert_eq!(events.len(), done as usize, "each is one event, on every server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_is_carried_by_one_server() {
    match mariadb::shared() {
        Ok(server) => carried("one server", vec![server.port()], server.schema()).await,
        Err(why) => println!("SKIPPED: {why}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_is_carried_by_a_cluster() {
    match galera::shared() {
        Ok(cluster) => carried("three servers", cluster.ports(), cluster.servers[0].schema()).await,
        Err(why) => println!("SKIPPED: {why}"),
    }
}
