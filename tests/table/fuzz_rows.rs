//! Arbitrary values in arbitrary columns of the shared table, whose types nobody enforces any more: every look at the table
//! succeeds, every write is done or refused, and nothing panics.
//!
//! `PROPTEST_CASES=10000 cargo test --test fuzz_rows` looks for longer.

use agent::knowledge::sqlite::SqliteKnowledge;
use agent::knowledge::{Claimed, ClosingRule, Knowledge, KnowledgeError};
use agent_core::clock::VirtualClock;
use agent_core::domain::ask::{Question, Reply};
use agent_core::domain::ids::{AgentId, AskId, DataSetName, EventId, Life, NodeId};
use agent_core::domain::invariants;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::{Metric, Metrics};
use agent_core::domain::placement::{DataSet, Identity, Link, Node, NodeState, Plan, Registration};
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::Percent;
use agent_core::knowledge::contract::CONVERGED;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How many cases a run of all tests has.
const CASES: u32 = 48;
const NOW: Timestamp = Timestamp(1_000_000_000);
const WINDOW: Duration = Duration::from_secs(210);
const LEASE: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(90);
const RULE: ClosingRule = ClosingRule { threshold: 0.3, grace: Duration::from_secs(30), silence: SILENCE };

/// Tables and their columns.
const COLUMNS: [(&str, &[&str]); 18] = [
    ("nodes", &["id", "name", "store_url", "availability_percent", "capacity_bytes", "state", "heartbeat_at"]),
    ("links", &["from_node", "to_node", "latency_ms", "jitter_ms"]),
    ("data_sets", &["name", "object_key", "bytes", "records", "sha256", "generation", "said"]),
    ("replicas", &["id", "data_set", "node", "object_key", "state", "generation", "lease_holder", "lease_until"]),
    ("agents", &["id", "node", "goal", "policy", "state", "life", "heartbeat_at", "converged"]),
    ("reference_replicas", &["agent", "data_set", "replica", "generation"]),
    (
        "events",
        &[
            "id",
            "idempotency_key",
            "agent",
            "data_set",
            "replica",
            "action",
            "action_type",
            "explored",
            "posted_at_ms",
            "closes_at_ms",
            "state",
            "outcome",
            "ended_at_ms",
            "feedback_sum",
            "detail",
        ],
    ),
    (
        "claims",
        &["event", "role", "replica", "node", "object_key", "state", "generation", "lease_holder", "lease_until"],
    ),
    ("feedback", &["event", "agent", "p", "left_at_ms"]),
    ("readers", &["agent", "data_set"]),
    ("counters", &["data_set", "action", "value", "changed_at_ms"]),
    ("measurements", &["id", "agent", "data_set", "replica", "node", "at_ms", "response_time_s", "satisfied", "job"]),
    ("impacts", &["agent", "action", "metric", "value", "samples"]),
    (
        "asks",
        &[
            "id",
            "idempotency_key",
            "data_set",
            "agent",
            "generation",
            "action",
            "afresh",
            "level",
            "posted_at_ms",
            "closed",
        ],
    ),
    ("ask_nodes", &["ask", "node"]),
    ("replies", &["ask", "agent", "level", "said", "nodes"]),
    ("named_nodes", &["ask", "agent", "node"]),
    ("forecasts", &["ask", "agent", "node", "replicas", "level_change"]),
];

fn data_set() -> DataSetName {
    "blood".into()
}

fn open(path: &Path) -> SqliteKnowledge {
    SqliteKnowledge::open(path, Arc::new(VirtualClock::at(NOW))).expect("the file opens")
}

/// A table with something in each of its parts, in a file whose columns take any value.
fn prepare(runtime: &Runtime, path: &Path) {
    let knowledge = open(path);
    runtime.block_on(fill(&knowledge));
    drop(knowledge);
    let connection = Connection::open(path).expect("the file opens");
    connection
        .execute_batch(
            "pragma writable_schema = on;
             update sqlite_master set sql = replace(replace(replace(sql, 'strict, without rowid', 'without rowid'),
                 ') strict', ')'), ' not null', '') where type = 'table' and name not like 'sqlite_%';
             pragma writable_schema = reset; pragma wal_checkpoint(truncate); pragma journal_mode = delete",
        )
        .expect("the schema can be loosened");
}

async fn fill(knowledge: &SqliteKnowledge) {
    let node = |id| Node {
        id: NodeId(id),
        name: format!("node-{id}"),
        store_url: Some(format!("http://127.0.0.1:{id}")),
        availability: Percent::new(90.0).unwrap().into(),
        capacity_bytes: Some(1000),
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    let link = |from, to| Link { from: NodeId(from), to: NodeId(to), latency_ms: 100.0, jitter_ms: 1.0 };
    let links = [link(1, 2), link(2, 1), link(1, 3), link(3, 1), link(2, 3), link(3, 2)];
    knowledge.register_network(&[1, 2, 3].map(node), &links).await.unwrap();
    let blood = DataSet {
        name: data_set(),
        object_key: "blood.json".to_owned(),
        bytes: 100,
        records: 10,
        sha256: "0".repeat(64),
        versions: Default::default(),
        guard: Default::default(),
    };
    knowledge.register_data_set(&blood, NodeId(3), "blood.json", &Default::default()).await.unwrap();
    for agent in 1..=3 {
        register(knowledge, agent).await.unwrap();
    }
    let moved = act(knowledge, "M3_1").await.unwrap().expect("it is granted");
    knowledge.commit(moved, &Default::default(), Duration::ZERO).await.unwrap();
    knowledge.leave_feedback(AgentId(2), &[moved], WINDOW).await.unwrap();
    knowledge.close_due(AgentId(1), RULE).await.unwrap();
    act(knowledge, "C1_2").await.unwrap().expect("it is granted");
    record(knowledge).await.unwrap();
    let learned = Metrics::default().with(Metric::Availability, 0.5);
    knowledge.learn(AgentId(1), "M1_2", &learned).await.unwrap();
    let asked = ask(knowledge, "first").await.unwrap();
    assert!(reply(knowledge, asked).await.unwrap());
    knowledge.seed_counters(&data_set(), &BTreeMap::from([("M1_2".parse().unwrap(), counter())])).await.unwrap();
}

fn counter() -> agent::knowledge::Counter {
    agent::knowledge::Counter { value: 2, changed_at: NOW }
}

fn life() -> Life {
    Life("life".to_owned())
}

async fn register(knowledge: &SqliteKnowledge, agent: u32) -> Result<(), KnowledgeError> {
    let (agent, node) = (AgentId(agent), NodeId(agent));
    let registration = Registration {
        agent,
        node,
        goal: "availability >= 1 %".to_owned(),
        policy: "fixed".to_owned(),
        may_run_on: Default::default(),
    };
    let identity = Identity { life: life(), ended: Vec::new(), silence: SILENCE };
    knowledge.register_agent(&registration, &[data_set()], &identity).await.map(|_| ())
}

/// Claims an action on the placement as it is; the event when it is granted.
async fn act(knowledge: &SqliteKnowledge, label: &str) -> Result<Option<EventId>, KnowledgeError> {
    let Some(snapshot) = knowledge.snapshot(&data_set()).await? else { return Ok(None) };
    let action = label.parse().unwrap();
    let subject = agent_core::domain::saga::subject(&snapshot.placement, action);
    let Some(reference) = snapshot.placement.reference(AgentId(1)) else { return Ok(None) };
    let plan = Plan {
        key: format!("key-{label}"),
        agent: AgentId(1),
        data_set: data_set(),
        reference: reference.id,
        action,
        explored: false,
        expected: subject.map(|replica| (replica.id, replica.generation)).into_iter().collect(),
        generation: None,
        detail: "{}".to_owned(),
    };
    match knowledge.claim(&plan, LEASE, WINDOW).await? {
        Claimed::Granted(claim) => Ok(Some(claim.event)),
        Claimed::Lost(_) => Ok(None),
    }
}

async fn ask(knowledge: &SqliteKnowledge, key: &str) -> Result<AskId, KnowledgeError> {
    let question = Question {
        key: key.to_owned(),
        agent: AgentId(1),
        data_set: data_set(),
        generation: 1,
        nodes: [NodeId(2)].into(),
        action: Some("C1_2".parse().unwrap()),
        afresh: false,
        level: 0.5,
    };
    knowledge.ask(&question).await
}

async fn reply(knowledge: &SqliteKnowledge, asked: AskId) -> Result<bool, KnowledgeError> {
    let forecasts = [((NodeId(2), None), 0.5), ((NodeId(2), Some(1)), -0.5)].into();
    let reply = Reply { level: 0.5, nodes: [NodeId(2)].into(), forecasts, said: 1, named: [NodeId(3)].into() };
    knowledge.reply(asked, AgentId(2), &reply).await
}

async fn record(knowledge: &SqliteKnowledge) -> Result<(), KnowledgeError> {
    let measurement = Measurement {
        agent: AgentId(1),
        data_set: data_set(),
        replica: agent_core::domain::ids::ReplicaId(1),
        node: NodeId(1),
        at: NOW,
        metrics: Metrics::default().with(Metric::ResponseTime, 30.0),
        ran_at: None,
        emulated_latency_ms: None,
        traffic: None,
        parts: Vec::new(),
        job: "job".to_owned(),
        failure: None,
        result: None,
    };
    knowledge.record(&measurement, true).await
}

/// Everything that looks.
async fn look(knowledge: &SqliteKnowledge) -> Result<(), KnowledgeError> {
    if let Some(snapshot) = knowledge.snapshot(&data_set()).await? {
        let _broken = invariants::check(&data_set(), &snapshot.placement);
        for node in snapshot.nodes.keys() {
            let _room = snapshot.has_room(*node);
        }
        for agent in snapshot.agents.keys() {
            let _alive = snapshot.is_alive(*agent, WINDOW);
        }
    }
    knowledge.nodes().await?;
    knowledge.data_sets().await?;
    knowledge.counters(&data_set()).await?;
    knowledge.impacts(AgentId(1)).await?;
    for event in knowledge.events(EventId(0), 100).await? {
        knowledge.feedback(event.id).await?;
    }
    knowledge.event(EventId(1)).await?;
    knowledge.event_by_key("key-M3_1").await?;
    knowledge.measurements(0, 100).await?;
    knowledge.unfinished(AgentId(1), true).await?;
    let _pulse = knowledge.pulse(&data_set(), NodeId(1)).await?;
    for ask in knowledge.conversation(&data_set(), WINDOW).await? {
        let _nodes = ask.all_nodes();
    }
    Ok(())
}

/// Everything that writes. A refusal is an answer.
async fn write(knowledge: &SqliteKnowledge) -> Result<(), KnowledgeError> {
    let answers = [
        knowledge.heartbeat(AgentId(1), &life(), CONVERGED).await.err(),
        register(knowledge, 1).await.err(),
        act(knowledge, "C1_3").await.err(),
        act(knowledge, "E2").await.err(),
        knowledge.renew(EventId(2), LEASE).await.err(),
        knowledge.commit(EventId(2), &Default::default(), Duration::ZERO).await.err(),
        knowledge.abort(EventId(2), agent_core::domain::event::Outcome::Aborted, "why").await.err(),
        knowledge.leave_feedback(AgentId(3), &[EventId(1), EventId(2)], WINDOW).await.err(),
        knowledge.close_due(AgentId(1), RULE).await.err(),
        record(knowledge).await.err(),
        reply(knowledge, AskId(1)).await.err(),
        ask(knowledge, "first").await.err(),
        ask(knowledge, "second").await.err(),
        knowledge.close_ask(AskId(1)).await.err(),
        knowledge.set_latency(NodeId(1), NodeId(2), Some(5.0)).await.err(),
        knowledge.leave_node(NodeId(3), SILENCE, Duration::ZERO).await.err(),
        knowledge.remove_node(NodeId(3)).await.err(),
        knowledge.sign_off(AgentId(1), &life()).await.err(),
    ];
    let unexpected =
        |error: &KnowledgeError| !matches!(error, KnowledgeError::Rejected { .. } | KnowledgeError::NotExecuted { .. });
    match answers.into_iter().flatten().find(unexpected) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "flying",
        "present",
        "removing",
        "running",
        "open",
        "done",
        "M1_2",
        "M1_99",
        "XYZ",
        "NA",
        "source",
        "blood",
        "1",
        "-1",
        "1e300",
        "NaN",
        "\u{1b}[2J",
        "'; drop table nodes; --",
        "http://u:p@h:1",
        "{\"failure\": 1}",
    ];
    prop_oneof![
        Just(Value::Null),
        select(vec![0, 1, 2, 3, 77, -1, i64::MAX, i64::MIN, NOW.0, 253_402_300_799_000, 1 << 40])
            .prop_map(Value::Integer),
        any::<i64>().prop_map(Value::Integer),
        select(vec![0.5, -0.0, -1.0, 1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, 250.0]).prop_map(Value::Real),
        select(texts.to_vec()).prop_map(|text| Value::Text(text.to_owned())),
        any::<String>().prop_map(Value::Text),
        (60usize..3000).prop_map(|length| Value::Text("x".repeat(length))),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
    ]
}

#[derive(Clone, Debug)]
struct Edit {
    table: Index,
    column: Index,
    row: Index,
    value: Value,
}

fn edit() -> impl Strategy<Value = Edit> {
    (any::<Index>(), any::<Index>(), any::<Index>(), value()).prop_map(|(table, column, row, value)| Edit {
        table,
        column,
        row,
        value,
    })
}

impl Edit {
    /// A value that a key refuses changes nothing.
    fn make(&self, connection: &Connection) -> String {
        let (table, columns) = COLUMNS[self.table.index(COLUMNS.len())];
        let column = columns[self.column.index(columns.len())];
        let count = format!("select count(*) from {table}");
        let rows: u32 = connection.query_row(&count, [], |row| row.get(0)).expect("a count");
        assert!(rows > 0, "{table} has a row to be changed");
        let key = columns[0];
        let sql = format!(
            "update {table} set {column} = ? where {key} is (select {key} from {table} limit 1 offset {})",
            self.row.index(rows as usize)
        );
        let changed = connection.execute(&sql, [&self.value]);
        format!("{table}.{column} = {:?} in {changed:?} rows", self.value)
    }
}

#[test]
fn no_row_makes_looking_fail_or_writing_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (original, path) = (folder.path().join("original.db"), folder.path().join("knowledge.db"));
    prepare(&runtime, &original);
    let default = ProptestConfig::default();
    // A case opens a file and writes to it a dozen times: fewer of them, unless somebody asks.
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { CASES };
    let config = ProptestConfig { cases, failure_persistence: None, ..default };
    proptest!(config, |(edits in prop::collection::vec(edit(), 1..5))| {
        for file in ["knowledge.db-wal", "knowledge.db-shm"] {
            let _none = std::fs::remove_file(folder.path().join(file));
        }
        std::fs::copy(&original, &path).unwrap();
        let connection = Connection::open(&path).unwrap();
        let made: Vec<String> = edits.iter().map(|edit| edit.make(&connection)).collect();
        drop(connection);
        let knowledge = open(&path);
        for step in 0..2 {
            let looked = runtime.block_on(look(&knowledge));
            prop_assert!(looked.is_ok(), "{looked:?} after {made:#?}, step {step}");
            let written = runtime.block_on(write(&knowledge));
            prop_assert!(written.is_ok(), "{written:?} after {made:#?}, step {step}");
        }
    });
}
