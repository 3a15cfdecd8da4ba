//! How many statements an operation takes, and many agents at once.

use super::*;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::knowledge::contract::asks::{question, said};
use agent_core::knowledge::contract::{
    CONVERGED, LEASE, RULE, WINDOW, blood, data_set, identity, link, node, registration,
};
use std::fmt::Write as _;

/// Agents of one network that do everything at the same time.
const AGENTS: u32 = 32;

fn measurement(table: &Table, agent: u32) -> Measurement {
    Measurement {
        agent: AgentId(agent),
        data_set: data_set(),
        replica: ReplicaId(1),
        node: NodeId(3),
        at: table.now(),
        metrics: Metrics::default().with(Metric::ResponseTime, 36.5),
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        job: format!("{agent}-1"),
        failure: None,
        result: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_as_few_as_the_document_says() {
    // A server of its own: others must not ask it anything meanwhile.
    let server = bench!(MariaDb::start(&[]));
    let settings = settings(&server, &server.schema());
    init(&settings).await.unwrap();
    let clock = agent_core::knowledge::contract::clock();
    let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
    // One connection, which has made its acquaintance.
    table.snapshot().await;
    let mut asked = statements(&server);
    // The question for the count is one too.
    let mut count = || {
        let now = statements(&server);
        let since = now - asked - (server_overhead());
        asked = now;
        since
    };
    let knowledge = &table.knowledge;
    let mut document = String::new();
    let mut note = |what: &str, statements: u64| {
        writeln!(document, "| {what} | {statements} |").unwrap();
        statements
    };

    table.snapshot().await;
    let loading = note("loading the table (`snapshot`)", count());
    knowledge.record(&measurement(&table, 1), true).await.unwrap();
    let recording = note("recording a measurement", count());
    assert!(note("**a job without violation**", loading + recording) <= 4);

    let plan = table.plan(1, "M3_1").await;
    count();
    let claim = table.try_claim(&plan).await.unwrap();
    let claiming = note("claiming a move", count());
    assert!(knowledge.renew(claim.event, LEASE).await.unwrap());
    note("renewing its leases, once in a third of a lease", count());
    let leftover = table.commit(claim.event).await.unwrap();
    let committing = note("committing it, its three readers taken along", count());
    knowledge.removed(leftover.id).await.unwrap();
    let removing = note("removing what it left behind", count());
    assert!(note("**a whole action**", claiming + committing + removing) <= 20);

    knowledge.leave_feedback(AgentId(2), &[claim.event], WINDOW).await.unwrap();
    note("leaving feedback on an event", count());
    table.advance(300);
    count();
    knowledge.close_due(AgentId(1), RULE).await.unwrap();
    note("closing its window, which moves a counter", count());
    knowledge.close_due(AgentId(1), RULE).await.unwrap();
    note("looking for windows that are due, in vain", count());
    assert!(knowledge.heartbeat(AgentId(1), &identity().life, CONVERGED).await.unwrap());
    note("a heartbeat", count());
    knowledge.unfinished(AgentId(1), false).await.unwrap();
    note("looking for what others left unfinished", count());

    knowledge.pulse(&data_set(), NodeId(1)).await.unwrap();
    assert_eq!(note("asking what is new (`pulse`), twice a second", count()), 1);
    let ask = knowledge.ask(&question("key")).await.unwrap();
    note("asking the other agents", count());
    assert!(knowledge.reply(ask, AgentId(2), &said()).await.unwrap());
    note("replying to a question", count());
    knowledge.conversation(&data_set(), WINDOW).await.unwrap();
    assert!(note("reading questions and replies", count()) <= 2);
    knowledge.close_ask(ask).await.unwrap();
    note("ending a question", count());

    let page = include_str!("../../../../docs/database.md");
    assert!(page.contains(&document), "docs/database.md does not say:\n{document}");
}

/// How many statements clients have sent. Apart from looks whether a transaction still is one: a connection that is new to a
/// statement asks so once, and which connection is free is chance.
fn statements(server: &MariaDb) -> u64 {
    let lines = server.execute("show global status where variable_name in ('Com_do', 'Questions')");
    let count = |line: &String| line.rsplit('\t').next().and_then(|count| count.parse::<u64>().ok());
    let counts: Vec<u64> = lines.iter().filter_map(count).collect();
    counts[1] - counts[0]
}

/// What asking for the count adds to it: the client's question, and what it says at its start.
fn server_overhead() -> u64 {
    2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_agents_at_once_come_to_no_deadlock() {
    let bench = bench!(Bench::new().await);
    let deadlocks = || bench.server.execute("show global status like 'Innodb_deadlocks'");
    let before = deadlocks();
    let first = bench.table().await;
    let nodes: Vec<_> = (1..=AGENTS).map(|id| node(id, 90.0)).collect();
    let links: Vec<_> = (2..=AGENTS).flat_map(|id| [link(1, id, 10.0), link(id, 1, 10.0)]).collect();
    first.knowledge.register_network(&nodes, &links).await.unwrap();
    first.knowledge.register_data_set(&blood(), NodeId(1), "blood.json", &Default::default()).await.unwrap();
    let first = Arc::new(first);
    let each = |id: u32, table: Arc<Table>| async move {
        table.register(&registration(id)).await;
        table.knowledge.record(&measurement(&table, id), false).await.unwrap();
        // A destination of its own for each: all of them compete for the one source, and leave it to each other.
        let event = loop {
            let plan = table.plan(id, &format!("C1_{id}")).await;
            let plan = Plan { key: format!("{id}-{}", plan.key), ..plan };
            match table.try_claim(&plan).await {
                Ok(claim) => break claim.event,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        table.commit(event).await;
        let pulse = table.knowledge.pulse(&data_set(), NodeId(id)).await.unwrap();
        let asked = Question { key: id.to_string(), agent: AgentId(id), ..question("key") };
        let ask = table.knowledge.ask(&asked).await.unwrap();
        // Everybody answers everybody, some to a question that is just being closed.
        for asked in table.knowledge.conversation(&data_set(), WINDOW).await.unwrap() {
            table.knowledge.reply(asked.id, AgentId(id), &said()).await.unwrap();
        }
        table.knowledge.close_ask(ask).await.unwrap();
        assert_ne!(table.knowledge.pulse(&data_set(), NodeId(id)).await.unwrap(), pulse);
        let open: Vec<EventId> = table.snapshot().await.open_events.iter().map(|event| event.id).collect();
        table.knowledge.leave_feedback(AgentId(id), &open, WINDOW).await.unwrap();
        assert!(table.knowledge.heartbeat(AgentId(id), &identity().life, CONVERGED).await.unwrap());
        table.knowledge.close_due(AgentId(id), RULE).await.unwrap();
    };
    let agents = (2..=AGENTS).map(|id| tokio::spawn(each(id, Arc::clone(&first))));
    for agent in agents.collect::<Vec<_>>() {
        agent.await.unwrap();
    }
    let snapshot = first.snapshot().await;
    assert_eq!(snapshot.placement.present().count(), AGENTS as usize);
    assert_eq!(agent_core::domain::invariants::check(&data_set(), &snapshot.placement), []);
    for event in &snapshot.open_events {
        let left: f64 = first.knowledge.feedback(event.id).await.unwrap().iter().map(|feedback| feedback.p).sum();
        assert!((left - event.feedback_sum).abs() < 1e-9, "event {}", event.id);
    }
    assert_eq!(deadlocks(), before);
}
