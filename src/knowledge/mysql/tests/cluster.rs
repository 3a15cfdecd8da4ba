//! On a Galera cluster of three servers: the contract with every question at another server than the one before, servers that are
//! away or not fit to be asked, and tables that several make at once.

use super::faults::{Commits, Wire};
use super::galera::{self, Cluster};
use super::*;
use crate::knowledge::{Claimed, KnowledgeError};
use agent_core::knowledge::contract::{LEASE, WINDOW, data_set};
use mariadb::PASSWORD;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An empty schema on all servers.
struct Bench {
    cluster: &'static Cluster,
    schema: String,
}

impl Bench {
    fn without_tables() -> std::result::Result<Self, String> {
        let cluster = galera::shared()?;
        // The contract counts rows from 1 on. Ids that several servers give at once it leaves to `tests/table`.
        for server in &cluster.servers {
            server.execute(
                "set global wsrep_auto_increment_control = off; set global auto_increment_increment = 1; \
                 set global auto_increment_offset = 1",
            );
        }
        Ok(Self { cluster, schema: cluster.servers[0].schema() })
    }

    async fn new() -> std::result::Result<Self, String> {
        let bench = Self::without_tables()?;
        init(&bench.settings_from(0)).await.unwrap();
        Ok(bench)
    }

    fn settings_from(&self, first: usize) -> MysqlSettings {
        MysqlSettings {
            hosts: local(self.cluster.ports_from(first)),
            ..settings(&self.cluster.servers[0], &self.schema)
        }
    }
}

/// Each answer moves on to the next server.
async fn everywhere(clock: Arc<VirtualClock>) -> std::result::Result<Table, String> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let bench = Bench::new().await?;
    let server: Arc<OnceLock<std::sync::Weak<Server>>> = Arc::default();
    let time: Time = Arc::new({
        let (server, clock) = (server.clone(), clock.clone());
        move |_| {
            if let Some(server) = server.get().and_then(std::sync::Weak::upgrade) {
                server.members.ask(NEXT.fetch_add(1, Ordering::Relaxed) % galera::SERVERS, "");
            }
            clock.now()
        }
    });
    let knowledge = MysqlKnowledge::open(&bench.settings_from(0), time, Handle::current()).await.unwrap();
    server.set(Arc::downgrade(&knowledge.server)).expect("once");
    Ok(Table::new(knowledge, clock, ()))
}

mod contract {
    use super::everywhere;
    agent_core::contract!(everywhere);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_init_at_once_at_several_servers() {
    for _ in 0..3 {
        let bench = bench!(Bench::without_tables());
        let settings: Vec<_> = (0..galera::SERVERS).map(|first| bench.settings_from(first)).collect();
        let prepared = futures::future::join_all(settings.iter().map(init)).await;
        assert!(prepared.iter().all(|done| matches!(done, Ok(Prepared { to_version: 23, .. }))), "{prepared:?}");
        // Whoever looks elsewhere sees it at once.
        let other = check(&bench.settings_from(2)).await.unwrap();
        let cluster = other.iter().find(|finding| finding.what == "cluster").unwrap();
        assert!(cluster.is_well && cluster.detail == "3 servers of one, whose clocks agree", "{cluster:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_server_is_silent_the_next_is_asked() {
    let bench = bench!(Bench::new().await);
    let clock = agent_core::knowledge::contract::clock();
    let wire = Wire::to(bench.cluster.servers[0].port()).await;
    let [_, second, third] = bench.cluster.ports()[..] else { unreachable!("three servers") };
    let settings = MysqlSettings { hosts: local([wire.port, second, third]), ..bench.settings_from(0) };
    let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
    let before = table.snapshot().await;
    wire.be_silent();
    let began = Instant::now();
    assert_eq!(table.snapshot().await, before);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // It is not tried again each time.
    let began = Instant::now();
    assert_eq!(table.snapshot().await, before);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_read_back_at_the_next_server() {
    let bench = bench!(Bench::new().await);
    let clock = agent_core::knowledge::contract::clock();
    let wire = Wire::to(bench.cluster.servers[0].port()).await;
    let settings =
        MysqlSettings { hosts: local([wire.port, bench.cluster.servers[1].port()]), ..bench.settings_from(0) };
    let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
    let plan = table.plan(1, "M3_1").await;
    wire.commits(Commits::CutAfter);
    let error = table.knowledge.claim(&plan, LEASE, WINDOW).await.unwrap_err();
    assert!(matches!(error, KnowledgeError::Uncertain { operation: "claim", .. }), "{error}");
    let granted = table.knowledge.claim(&plan, LEASE, WINDOW).await.unwrap();
    assert!(matches!(granted, Claimed::Granted(_)), "{granted:?}");
    assert_eq!(table.snapshot().await.open_events.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_servers_that_are_all_away_each_is_named_with_its_reason() {
    let bench = bench!(Bench::new().await);
    let wires = [Wire::to(bench.cluster.servers[0].port()).await, Wire::to(bench.cluster.servers[1].port()).await];
    let patience = Duration::from_secs(2);
    let settings =
        MysqlSettings { hosts: local(wires.iter().map(|wire| wire.port)), patience, ..bench.settings_from(0) };
    let clock = agent_core::knowledge::contract::clock();
    let knowledge = open(&settings, &clock).await.unwrap();
    wires.iter().for_each(Wire::be_silent);
    let error = knowledge.snapshot(&data_set()).await.unwrap_err();
    assert!(matches!(error, KnowledgeError::NotExecuted { .. }), "{error:?}");
    let [a, b] = wires.map(|wire| wire.port);
    let address = format!("mysql://agent@127.0.0.1:{a},127.0.0.1:{b}/{}", bench.schema);
    // How long it was waited depends on whether there was a connection already.
    let expected = format!("snapshot: not carried out: {address}: 127.0.0.1:{a}: no answer within ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let refusing = |port| Host { name: "127.0.0.1".to_owned(), port };
    let settings = MysqlSettings { hosts: vec![refusing(1), refusing(2)], ..settings };
    for error in [open(&settings, &clock).await.err(), check(&settings).await.err(), init(&settings).await.err()] {
        let said = error.expect("nobody listens there").to_string();
        assert!(said.contains(": 127.0.0.1:1: ") && said.contains("; 127.0.0.1:2: "), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_clock_is_wrong_is_not_asked() {
    let bench = bench!(Bench::new().await);
    // Its sessions' clocks, for everybody but administrators.
    let [first, _, third] = &bench.cluster.servers[..] else { unreachable!("three servers") };
    let user = format!("user_{}", bench.schema);
    first.execute(&format!(
        "create user '{user}'@'%' identified by '{PASSWORD}'; grant all on `{}`.* to '{user}'@'%'",
        bench.schema
    ));
    // A server takes part in what others committed a moment later, unless it is asked to wait for that.
    bench.cluster.servers.iter().for_each(|server| {
        server.execute("set session wsrep_sync_wait = 7; select count(*) from mysql.global_priv");
    });
    third.execute("set global init_connect = 'set timestamp = unix_timestamp(now(6)) + 180'");
    let settings = |from| MysqlSettings { user: user.clone(), ..bench.settings_from(from) };
    let clock = agent_core::knowledge::contract::clock();
    let knowledge = open(&settings(2), &clock).await.unwrap();
    knowledge.nodes().await.unwrap();
    assert_eq!(knowledge.server.members.next(&Default::default()).unwrap().0, 1, "the one after it");
    let findings = check(&settings(0)).await.unwrap();
    let cluster = findings.iter().find(|finding| finding.what == "cluster").unwrap();
    assert!(!cluster.is_well && cluster.detail.contains(" s ahead of that of 127.0.0.1:"), "{cluster:?}");
    // Of two alone nobody can tell which is right.
    let two = MysqlSettings { hosts: settings(1).hosts[..2].to_vec(), ..settings(1) };
    let refused = open(&two, &clock).await.err().expect("their clocks differ");
    third.execute("set global init_connect = ''");
    assert!(matches!(refused, KnowledgeError::Unusable { .. }), "{refused:?}");
    assert!(
        refused.to_string().contains(" s behind that of ") && refused.to_string().contains("with NTP"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_no_cluster_are_not_taken_for_one() {
    let (one, other) = (bench!(mariadb::shared()), bench!(MariaDb::start(&[])));
    let settings = MysqlSettings { hosts: local([one.port(), other.port()]), ..settings(one, &one.schema()) };
    init(&settings).await.unwrap();
    let refused = message(open(&settings, &agent_core::knowledge::contract::clock()).await);
    assert!(
        refused.contains(": it is no member of a Galera cluster; name several hosts of one cluster only"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_sees_what_was_committed_at_another_server() {
    let bench = bench!(Bench::new().await);
    let clock = agent_core::knowledge::contract::clock();
    let one = Table::new(open(&bench.settings_from(0), &clock).await.unwrap(), clock.clone(), ()).three_agents().await;
    let other = Table::new(open(&bench.settings_from(1), &clock).await.unwrap(), clock, ());
    for round in 0..100 {
        one.knowledge.set_availability(NodeId(1), Percent::new(f64::from(round))).await.unwrap();
        assert_eq!(other.snapshot().await.nodes[&NodeId(1)].availability.value(), f64::from(round));
    }
}
