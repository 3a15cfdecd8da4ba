//! An agent whose machine is gone in the middle of a transaction, and nobody tells the server: what it had locked must be free
//! again soon, or nobody could act any more.

use super::network::mariadb::{MariaDb, PASSWORD, USER};
use agent::knowledge::mysql::{Host, MysqlKnowledge, MysqlSettings, Tls, init, server_time};
use agent::knowledge::{Claimed, Knowledge};
use agent_core::clock::{SystemClock, TimeScale};
use agent_core::domain::action::Action;
use agent_core::domain::ids::{AgentId, DataSetName, Life, NodeId};
use agent_core::domain::placement::{DataSet, Identity, Link, Node, NodeState, Plan, Registration};
use agent_core::domain::units::Percent;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

const MINUTE: Duration = Duration::from_secs(60);

/// The port of a way to a server that ends at the first commit: neither side hears anything any more.
async fn way_that_ends(server: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, server));
        }
    });
    port
}

async fn carry(client: TcpStream, server: u16) {
    let server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server runs");
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
    let mut asked = [0; 65_536];
    while let Ok(length @ 1..) = from_client.read(&mut asked).await {
        if asked[..length].ends_with(b"\x03commit") {
            // Open for as long as the test runs.
            std::future::pending::<()>().await;
        }
        if to_server.write_all(&asked[..length]).await.is_err() {
            return;
        }
    }
}

async fn open(server: &MariaDb, port: u16, patience: Duration) -> MysqlKnowledge {
    let settings = MysqlSettings {
        hosts: vec![Host { name: "127.0.0.1".to_owned(), port }],
        user: USER.to_owned(),
        password: Some(PASSWORD.to_owned()),
        schema: "vanished".to_owned(),
        tls: Tls::Off,
        patience,
    };
    if port == server.port() {
        init(&settings).await.expect("an empty schema");
    }
    let time = server_time(Arc::new(SystemClock::new(TimeScale::REAL)));
    MysqlKnowledge::open(&settings, time, Handle::current()).await.expect("it was prepared")
}

fn blood() -> DataSetName {
    "blood".into()
}

/// Two nodes, and an agent and the data on the first.
async fn populate(knowledge: &MysqlKnowledge) {
    let node = |id: u32| Node {
        id: NodeId(id),
        name: format!("node-{id}"),
        store_url: None,
        availability: Percent::new(95.0).expect("a percentage").into(),
        capacity_bytes: None,
        state: NodeState::Declared,
        heartbeat_at: None,
        labels: Default::default(),
        store: Default::default(),
        contact: Default::default(),
    };
    let link = |from, to| Link { from: NodeId(from), to: NodeId(to), latency_ms: 1.0, jitter_ms: 0.0 };
    knowledge.register_network(&[node(1), node(2)], &[link(1, 2), link(2, 1)]).await.expect("a network");
    let data_set = DataSet {
        name: blood(),
        object_key: "blood".to_owned(),
        bytes: 1,
        records: 1,
        sha256: "0".repeat(64),
        versions: Default::default(),
        guard: Default::default(),
    };
    assert!(
        knowledge
            .register_data_set(&data_set, NodeId(1), "blood/first", &Default::default())
            .await
            .expect("a data set")
    );
    let (goal, policy) = ("availability >= 0 %".to_owned(), "fixed".to_owned());
    let registration =
        Registration { agent: AgentId(1), node: NodeId(1), goal, policy, may_run_on: Default::default() };
    let identity = Identity { life: Life("first".to_owned()), ended: Vec::new(), silence: MINUTE };
    knowledge.register_agent(&registration, &[blood()], &identity).await.expect("an agent");
}

async fn plan(knowledge: &MysqlKnowledge, key: &str) -> Plan {
    let snapshot = knowledge.snapshot(&blood()).await.expect("an answer").expect("it is there");
    let replica = snapshot.placement.reference(AgentId(1)).expect("it has one");
    Plan {
        key: key.to_owned(),
        agent: AgentId(1),
        data_set: blood(),
        reference: replica.id,
        action: Action::Copy { from: NodeId(1), to: NodeId(2) },
        explored: false,
        expected: [(replica.id, replica.generation)].into(),
        generation: None,
        detail: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_vanished_agent_had_locked_is_free_soon() {
    let server = match MariaDb::start(&[]) {
        Ok(server) => server,
        Err(missing) => return println!("SKIPPED: {missing}"),
    };
    let near = open(&server, server.port(), Duration::from_secs(10)).await;
    populate(&near).await;
    let far = open(&server, way_that_ends(server.port()).await, Duration::from_secs(1)).await;
    let far_away = far.claim(&plan(&near, "far").await, MINUTE, MINUTE).await;
    assert!(far_away.is_err(), "{far_away:?}");

    let claimed = near.claim(&plan(&near, "near").await, MINUTE, MINUTE).await;
    assert!(matches!(claimed, Ok(Claimed::Granted(_))), "{claimed:?}");
}
