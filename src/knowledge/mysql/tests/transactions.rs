//! Transactions of several agents in each other's way, that the server ends itself, or that nobody waits for any more.

use super::*;
use crate::knowledge::KnowledgeError;
use agent_core::knowledge::contract::{DRAIN, SILENCE, blood, node};
use mysql_async::prelude::Queryable as _;
use std::sync::atomic::{AtomicU32, Ordering};

/// More than the races that are lost in a row by chance.
const ROUNDS: u32 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_registration_and_a_leaving_at_once_one_is_refused() {
    let bench = bench!(Bench::new().await);
    let (one, other) = (bench.table().await, bench.table().await);
    let nodes: Vec<_> = (1..=ROUNDS).map(|id| node(id, 90.0)).collect();
    one.knowledge.register_network(&nodes, &[]).await.unwrap();
    for round in 1..=ROUNDS {
        let data_set = DataSet { name: round.to_string().as_str().into(), ..blood() };
        let unseen = agent_core::domain::validators::Validators::default();
        let (registered, left) = tokio::join!(
            one.knowledge.register_data_set(&data_set, NodeId(round), "key", &unseen),
            other.knowledge.leave_node(NodeId(round), SILENCE, DRAIN),
        );
        match (registered, left) {
            (Ok(true), Err(KnowledgeError::Rejected { .. })) => {}
            (Err(KnowledgeError::Rejected { .. }), Ok(held)) => assert_eq!(held, [], "round {round}"),
            both => panic!("round {round}: {both:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_leaves_the_nodes_row_as_it_is() {
    let bench = bench!(Bench::new().await);
    let table = bench.table().await;
    table.knowledge.register_network(&[node(1, 90.0), node(2, 90.0)], &[]).await.unwrap();
    bench.edit("update nodes set heartbeat_at = 7 where id = 2");
    let before = table.knowledge.nodes().await.unwrap();
    for id in [1, 2] {
        let data_set = DataSet { name: id.to_string().as_str().into(), ..blood() };
        assert!(table.knowledge.register_data_set(&data_set, NodeId(id), "key", &Default::default()).await.unwrap());
    }
    assert_eq!(table.knowledge.nodes().await.unwrap(), before);
}

/// What becomes of an operation's first transaction between its two writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The server ends it and says so nowhere but in its status.
    Quiet,
    /// Somebody ends the connection.
    Kill,
}

/// Adds 1 to both counters, one after the other; the second time unharmed.
async fn add(tables: &mut Tables, (end, tries): &(End, Arc<AtomicU32>)) -> std::result::Result<(), Failure> {
    tables.begin().await?;
    tables.execute("update counters set value = value + 1 where action = 'M1_2'", Vec::new()).await?;
    if tries.fetch_add(1, Ordering::SeqCst) == 0 {
        let ended = match end {
            End::Quiet => tables.connection.query_drop("rollback").await,
            End::Kill => tables.connection.query_drop("kill connection_id()").await,
        };
        assert_eq!(ended.is_ok(), *end == End::Quiet);
    }
    tables.execute("update counters set value = value + 1 where action = 'M2_1'", Vec::new()).await?;
    tables.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_the_server_ended_is_begun_again() {
    let bench = bench!(Bench::new().await);
    let knowledge = bench.open(&agent_core::knowledge::contract::clock()).await;
    bench.edit("insert into counters values ('blood', 'M1_2', 0, 0), ('blood', 'M2_1', 0, 0)");
    let check = async |end: End, expected: [&str; 2]| {
        let tries = Arc::new(AtomicU32::new(0));
        knowledge.run("add", (end, tries.clone()), |tables, arguments| Box::pin(add(tables, arguments))).await.unwrap();
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        assert_eq!(bench.edit("select value from counters order by action"), expected);
    };
    // The second statement is not prepared yet: it is not carried out outside of its transaction.
    check(End::Quiet, ["1", "1"]).await;
    check(End::Kill, ["2", "2"]).await;
    // On that new connection both are prepared by now. A server that ends a transaction tells the next statement; here nobody
    // does, so it commits itself, which is noticed by its answer.
    check(End::Quiet, ["3", "4"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_always_ends_is_given_up_in_time() {
    let bench = bench!(Bench::new().await);
    let settings = MysqlSettings { patience: Duration::from_secs(1), ..bench.settings() };
    let knowledge = open(&settings, &agent_core::knowledge::contract::clock()).await.unwrap();
    let tries = Arc::new(AtomicU32::new(0));
    let done = knowledge.run("end", tries.clone(), |tables, tries| {
        Box::pin(async move {
            tries.fetch_add(1, Ordering::SeqCst);
            tables.begin().await?;
            tables.connection.query_drop("rollback").await.unwrap();
            tables.execute("update counters set value = 1", Vec::new()).await
        })
    });
    let error = done.await.unwrap_err();
    assert!(matches!(error, KnowledgeError::NotExecuted { operation: "end", .. }), "{error:?}");
    assert!(error.to_string().contains("the server ended the transaction itself"), "{error}");
    assert!(tries.load(Ordering::SeqCst) > 3, "{tries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_was_given_up_ends_at_the_server() {
    let bench = bench!(Bench::new().await);
    bench.table().await.three_agents().await;
    let settings = MysqlSettings { patience: Duration::from_secs(2), ..bench.settings() };
    let knowledge = open(&settings, &agent_core::knowledge::contract::clock()).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(500);
    let slow: Work<(), u64> = |tables, ()| {
        Box::pin(async {
            tables.begin().await?;
            tables.execute("update data_sets set revision = revision + 1 + sleep(600)", Vec::new()).await
        })
    };
    let (at, member) = knowledge.server.members.next(&Default::default()).unwrap();
    let given_up = knowledge.server.attempt(at, member, soon, &(), slow).await;
    assert!(matches!(given_up, Err(Failure::Silent(..))), "{given_up:?}");
    // Its row is free again long before the statement would have come to its end.
    let began = Instant::now();
    bench.edit("set innodb_lock_wait_timeout = 30; update data_sets set revision = revision + 1");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_agents_as_the_document_says_fit_on_a_server() {
    const AGENTS: usize = 32;
    // As many connections as a server allows by default.
    let server = bench!(MariaDb::start(&["--max-connections=151"]));
    let settings = settings(&server, &server.schema());
    init(&settings).await.unwrap();
    let clock = agent_core::knowledge::contract::clock();
    let agents = futures::future::join_all((0..AGENTS).map(|_| open(&settings, &clock))).await;
    let agents: Vec<_> = agents.into_iter().map(|opened| opened.unwrap()).collect();
    let all = agents.iter().flat_map(|agent| (0..8).map(|_| agent.nodes()));
    for answer in futures::future::join_all(all).await {
        answer.unwrap();
    }
    let most = server.execute("show global status like 'Max_used_connections'").concat();
    let most: usize = most.rsplit('\t').next().unwrap().parse().unwrap();
    // One is whoever looks.
    assert!(most <= AGENTS * connect::CONNECTIONS + 1, "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_too_many_connections_is_told_as_such_and_waited_for() {
    // The fewest that it can be told.
    let server = bench!(MariaDb::start(&["--max-connections=10"]));
    let settings = settings(&server, &server.schema());
    init(&settings).await.unwrap();
    let clock = agent_core::knowledge::contract::clock();
    let mut taken = Vec::new();
    // And one more for an administrator, as which this one counts.
    while taken.len() < 11 {
        taken.push(mysql_async::Conn::new(settings.options_to_administer(0)).await.unwrap());
    }
    let hasty = MysqlSettings { patience: Duration::from_secs(1), ..settings.clone() };
    let refused = open(&hasty, &clock).await.err().expect("there is no connection left").to_string();
    let advice = format!("raise max_connections on the server: each agent holds up to {}", connect::CONNECTIONS);
    assert!(refused.contains("Too many connections (error 1040); ") && refused.contains(&advice), "{refused}");
    let opened = tokio::spawn(async move { open(&settings, &clock).await });
    drop(taken);
    opened.await.unwrap().unwrap();
}
