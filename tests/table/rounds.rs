//! Many at once, each at a server of a cluster of its own, on connections that are new: of claims one is granted, copies do not
//! get into each other's way, the last replica stays, and a window closes once.
//!
//! `CLUSTER_ROUNDS=2000 cargo test --test table rounds -- --nocapture` plays more rounds.

use crate::galera::{self, SERVERS};
use crate::servers::{number, open, plan, settings};
use agent::knowledge::mysql::{self, MysqlKnowledge, MysqlSettings};
use agent_core::clock::VirtualClock;
use agent_core::domain::ids::{AgentId, DataSetName, NodeId};
use agent_core::domain::invariants;
use agent_core::domain::placement::DataSet;
use agent_core::knowledge::contract::{
    DRAIN, LEASE, SILENCE, WINDOW, blood, clock, identity, link, node, registration,
};
use agent_core::knowledge::{Claimed, ClosingRule, Committed, Knowledge as _};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 15;
const AGENTS: [u32; SERVERS] = [1, 2, 3];
const RULE: ClosingRule = ClosingRule { threshold: 0.3, grace: Duration::ZERO, silence: SILENCE };

struct Bench {
    clock: Arc<VirtualClock>,
    schema: String,
}

/// What is counted over all rounds.
#[derive(Default, Debug)]
struct Tally {
    granted_moves: u32,
    copies: u32,
    evictions: u32,
    counter_moves: u32,
}

impl Bench {
    fn settings(&self, first: usize) -> MysqlSettings {
        settings(&galera::shared().expect("it runs").ports_from(first), &self.schema)
    }

    async fn open(&self, first: usize) -> MysqlKnowledge {
        open(&self.settings(first), &self.clock).await.unwrap()
    }

    /// Each agent's own, at its own server.
    async fn open_all(&self) -> Vec<MysqlKnowledge> {
        join_all((0..SERVERS).map(|first| self.open(first))).await
    }

    async fn prepare(&self) {
        mysql::init(&self.settings(0)).await.unwrap();
        let table = self.open(0).await;
        let links: Vec<_> =
            [(1, 2), (2, 3), (1, 3)].iter().flat_map(|(a, b)| [link(*a, *b, 9.0), link(*b, *a, 9.0)]).collect();
        table.register_network(&AGENTS.map(|id| node(id, 90.0)), &links).await.unwrap();
    }

    async fn round(&self, round: u32, tally: &mut Tally) {
        let data_set = DataSet { name: format!("round-{round}").as_str().into(), ..blood() };
        let tables = self.open_all().await;
        let name = &data_set.name;
        assert!(tables[0].register_data_set(&data_set, NodeId(1), "first", &Default::default()).await.unwrap());
        for (table, agent) in tables.iter().zip(AGENTS) {
            table.register_agent(&registration(agent), std::slice::from_ref(name), &identity()).await.unwrap();
        }
        self.move_at_once(name, tally).await;
        self.close_at_once(name, tally).await;
        self.copy_at_once(name, tally).await;
        self.evict_at_once(name, tally).await;
    }

    /// All of them want the only replica, each at its own node or its neighbour's.
    async fn move_at_once(&self, name: &DataSetName, tally: &mut Tally) {
        let granted = self.act_at_once(name, ["M1_2", "M1_3", "M1_2"]).await;
        assert_eq!(granted, 1, "{name}: of moves at once exactly one is granted");
        tally.granted_moves += 1;
    }

    async fn close_at_once(&self, name: &DataSetName, tally: &mut Tally) {
        let tables = self.open_all().await;
        let snapshot = tables[0].snapshot(name).await.unwrap().unwrap();
        let open: Vec<_> = snapshot.open_events.iter().map(|event| event.id).collect();
        let left =
            AGENTS.iter().zip(&tables).map(|(agent, table)| table.leave_feedback(AgentId(*agent), &open, WINDOW));
        for answer in join_all(left).await {
            answer.unwrap();
        }
        self.clock.advance(WINDOW + Duration::from_secs(1));
        let before = counters(&tables[1], name).await;
        let closed = join_all(AGENTS.iter().zip(&tables).map(|(agent, table)| table.close_due(AgentId(*agent), RULE)));
        let mut closed: Vec<_> = closed.await.into_iter().flat_map(|closed| closed.unwrap()).collect();
        // Windows of the round before are over, too.
        closed.retain(|closed| open.contains(&closed.event));
        assert_eq!(closed.len(), open.len(), "a window is closed twice, or not: {closed:?}");
        let moved = closed.iter().filter(|closed| closed.counter_after != closed.counter_before).count();
        assert_eq!(
            counters(&tables[2], name).await,
            before + moved as u64,
            "a counter was moved twice, or not: {closed:?}"
        );
        tally.counter_moves += moved as u32;
    }

    /// From where it lies now to every other node, and one of them twice. Who was overtaken may have lost.
    async fn copy_at_once(&self, name: &DataSetName, tally: &mut Tally) {
        let from = self.present(name).await[0];
        let others: Vec<u32> = AGENTS.into_iter().filter(|node| *node != from).collect();
        let copy = |to: u32| format!("C{from}_{to}");
        let labels = [copy(others[0]), copy(others[1]), copy(others[0])];
        tally.copies += self.act_at_once(name, labels.each_ref().map(String::as_str)).await;
        let present = self.present(name).await;
        let nodes: BTreeSet<u32> = present.iter().copied().collect();
        assert!(nodes.len() == present.len() && nodes.len() > 1, "{name}: no copy is there, or one twice: {present:?}");
    }

    async fn evict_at_once(&self, name: &DataSetName, tally: &mut Tally) {
        tally.evictions += self.act_at_once(name, ["E1", "E2", "E3"]).await;
        assert!(!self.present(name).await.is_empty(), "{name}: no replica is left");
    }

    /// Every agent plans, and then claims and commits at the same time as the others; how many were granted.
    async fn act_at_once(&self, name: &DataSetName, labels: [&str; SERVERS]) -> u32 {
        let tables = self.open_all().await;
        let mut plans = Vec::new();
        for ((table, agent), label) in tables.iter().zip(AGENTS).zip(labels) {
            let seen = table.snapshot(name).await.unwrap().unwrap();
            plans.push(plan(&seen, agent, label.parse().unwrap(), 0));
        }
        let acted = tables.iter().zip(&plans).map(async |(table, plan)| {
            let Some(plan) = plan else { return 0 };
            let Claimed::Granted(claim) = table.claim(plan, LEASE, WINDOW).await.unwrap() else { return 0 };
            match table.commit(claim.event, &Default::default(), DRAIN).await.unwrap() {
                Committed::Done { leftover: Some(leftover) } => table.removed(leftover.id).await.unwrap(),
                Committed::Done { leftover: None } => {}
                Committed::Refused(_) => {
                    let outcome = agent_core::domain::event::Outcome::Aborted;
                    table.abort(claim.event, outcome, "refused").await.unwrap();
                }
            }
            1
        });
        let granted = join_all(acted).await.into_iter().sum();
        let snapshot = tables[1].snapshot(name).await.unwrap().unwrap();
        assert_eq!(invariants::check(name, &snapshot.placement), [], "{name}, after {labels:?}");
        granted
    }

    async fn present(&self, name: &DataSetName) -> Vec<u32> {
        let snapshot = self.open(2).await.snapshot(name).await.unwrap().unwrap();
        snapshot.placement.present().map(|replica| replica.node.0).collect()
    }
}

async fn counters(table: &MysqlKnowledge, name: &DataSetName) -> u64 {
    table.counters(name).await.unwrap().values().map(|counter| u64::from(counter.value)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_of_everything_at_once_keep_every_promise() {
    let cluster = match galera::shared() {
        Ok(cluster) => cluster,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let rounds = number("CLUSTER_ROUNDS", ROUNDS);
    let bench = Bench { clock: clock(), schema: cluster.servers[0].schema() };
    bench.prepare().await;
    let (began, mut tally) = (Instant::now(), Tally::default());
    for round in 1..=rounds {
        bench.round(round, &mut tally).await;
    }
    println!("{rounds} rounds in {:.0?}: {tally:?}", began.elapsed());
    assert!(tally.evictions >= rounds && tally.copies >= rounds && tally.counter_moves > 0, "{tally:?}");
}
