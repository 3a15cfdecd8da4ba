//! Who waits for whom when several agents say something at once.

use super::*;
use agent_core::domain::ids::NodeId;
use agent_core::knowledge::contract::asks::{question, said};
use agent_core::knowledge::contract::data_set;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use std::future::Future;
use tokio::task::JoinHandle;

/// A table on a server of its own, where nobody else's locks are counted, and a session that takes some.
struct Locked {
    server: MariaDb,
    table: Arc<Table>,
    session: Conn,
}

impl Locked {
    async fn new() -> std::result::Result<Self, String> {
        let server = MariaDb::start(&[])?;
        let settings = settings(&server, &server.schema());
        init(&settings).await.unwrap();
        let clock = agent_core::knowledge::contract::clock();
        let table = Table::new(open(&settings, &clock).await.unwrap(), clock, ()).three_agents().await;
        let options = OptsBuilder::default().tcp_port(server.port()).user(Some(settings.user.clone()));
        let options = options.ip_or_hostname("127.0.0.1").pass(settings.password.clone()).prefer_socket(false);
        let session = Conn::new(options.db_name(Some(settings.schema))).await.unwrap();
        Ok(Self { server, table: Arc::new(table), session })
    }

    async fn ask(&self, key: &str) -> AskId {
        self.table.knowledge.ask(&question(key)).await.unwrap()
    }

    /// What the session does it keeps locked, until it commits.
    async fn lock(&mut self, sql: impl AsRef<str>) {
        self.session.query_drop(sql.as_ref()).await.unwrap();
    }

    /// Begins something that will wait for a lock.
    async fn waits<T, F>(&self, work: impl FnOnce(Arc<Table>) -> F) -> JoinHandle<Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let before = self.lock_waits();
        let waiting = tokio::spawn(work(Arc::clone(&self.table)));
        while self.lock_waits() == before {
            assert!(!waiting.is_finished(), "it does not wait");
            tokio::task::yield_now().await;
        }
        waiting
    }

    /// How often anybody has had to wait so far.
    fn lock_waits(&self) -> u64 {
        let counted = self.server.execute("show global status like 'Innodb_row_lock_waits'");
        counted[0].rsplit_once('\t').unwrap().1.parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_held_up_in_saying_something_holds_nobody_up() {
    let mut locked = bench!(Locked::new().await);
    let (first, second, third) = (locked.ask("first").await, locked.ask("second").await, locked.ask("third").await);
    locked.lock("begin").await;
    locked.lock(format!("insert into replies values ({first}, 2, 1, 0, '')")).await;
    locked.lock(format!("update asks set closed = closed where id = {second}")).await;
    locked.lock("insert into asks values (900, 'fourth', 'urine', 1, 1, null, 0, 1, 0, 0)").await;
    let reply = locked.waits(|table| async move { table.knowledge.reply(first, AgentId(2), &said()).await }).await;
    let close = locked.waits(|table| async move { table.knowledge.close_ask(second).await }).await;
    let ask = locked.waits(|table| async move { table.knowledge.ask(&question("fourth")).await }).await;

    let waits = locked.lock_waits();
    let knowledge = Arc::clone(&locked.table.knowledge);
    assert!(knowledge.reply(first, AgentId(3), &said()).await.unwrap());
    knowledge.close_ask(third).await.unwrap();
    locked.ask("fifth").await;
    assert_eq!(locked.lock_waits(), waits);

    locked.lock("rollback").await;
    assert!(reply.await.unwrap().unwrap());
    close.await.unwrap().unwrap();
    ask.await.unwrap().unwrap();
    let asked = knowledge.conversation(&data_set(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(asked.iter().map(|ask| ask.closed).collect::<Vec<_>>(), [false, true, true, false, false]);
    assert_eq!(asked[0].replies.keys().collect::<Vec<_>>(), [&AgentId(2), &AgentId(3)]);
    let pulse = knowledge.pulse(&data_set(), NodeId(1)).await.unwrap().unwrap();
    assert_eq!(pulse.said, 9, "five questions, two of them closed, and two replies");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_waits_for_the_end_of_its_question_is_not_taken() {
    let mut locked = bench!(Locked::new().await);
    let ask = locked.ask("key").await;
    locked.lock("begin").await;
    locked.lock("update data_sets set revision = revision + 1").await;
    let close = locked.waits(|table| async move { table.knowledge.close_ask(ask).await }).await;
    let reply = locked.waits(|table| async move { table.knowledge.reply(ask, AgentId(2), &said()).await }).await;
    locked.lock("commit").await;
    close.await.unwrap().unwrap();
    assert!(!reply.await.unwrap().unwrap());
    let asked = locked.table.knowledge.conversation(&data_set(), Duration::from_secs(60)).await.unwrap();
    assert!(asked[0].closed && asked[0].replies.is_empty(), "{asked:?}");
}
