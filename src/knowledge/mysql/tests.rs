//! On a real server; what a broken connection means is in `tests/faults.rs` beside this file.

mod accounts;
mod administration;
mod asks;
mod cluster;
mod faults;
mod load;
mod transactions;

use super::*;
use agent_core::clock::VirtualClock;
use agent_core::contract;
use agent_core::knowledge::contract::Table;

#[path = "../../../tests/network/galera.rs"]
mod galera;
#[path = "../../../tests/network/mariadb.rs"]
mod mariadb;

use mariadb::MariaDb;

/// A server, and an empty schema that agents can use.
struct Bench {
    server: &'static MariaDb,
    schema: String,
}

impl Bench {
    async fn new() -> std::result::Result<Self, String> {
        let bench = Self::without_tables()?;
        init(&bench.settings()).await.unwrap();
        Ok(bench)
    }

    fn without_tables() -> std::result::Result<Self, String> {
        let server = mariadb::shared()?;
        Ok(Self { server, schema: server.schema() })
    }

    fn settings(&self) -> MysqlSettings {
        settings(self.server, &self.schema)
    }

    async fn open(&self, clock: &Arc<VirtualClock>) -> MysqlKnowledge {
        open(&self.settings(), clock).await.unwrap()
    }

    /// A process of its own, as far as the server can see.
    async fn table(&self) -> Table {
        let clock = agent_core::knowledge::contract::clock();
        Table::new(self.open(&clock).await, clock, ())
    }

    /// As a person with an SQL client.
    fn edit(&self, sql: &str) -> Vec<String> {
        self.server.execute(&format!("use {}; {sql}", self.schema))
    }
}

fn settings(server: &MariaDb, schema: &str) -> MysqlSettings {
    MysqlSettings {
        hosts: local([server.port()]),
        user: mariadb::USER.to_owned(),
        password: Some(mariadb::PASSWORD.to_owned()),
        schema: schema.to_owned(),
        tls: Tls::Off,
        patience: Duration::from_secs(10),
    }
}

/// Servers on this machine.
fn local(ports: impl IntoIterator<Item = u16>) -> Vec<Host> {
    ports.into_iter().map(|port| Host { name: "127.0.0.1".to_owned(), port }).collect()
}

async fn open(settings: &MysqlSettings, clock: &Arc<VirtualClock>) -> Result<MysqlKnowledge> {
    let clock = clock.clone();
    MysqlKnowledge::open(settings, Arc::new(move |_| clock.now()), Handle::current()).await
}

fn message<T>(result: Result<T>) -> String {
    result.err().expect("it is refused").to_string()
}

async fn mysql(clock: Arc<VirtualClock>) -> std::result::Result<Table, String> {
    let bench = Bench::new().await?;
    Ok(Table::new(bench.open(&clock).await, clock, ()))
}

contract!(mysql);

mod batch {
    use super::*;
    use agent_batch::table::contract::Fixture;

    async fn mysql(clock: Arc<VirtualClock>) -> std::result::Result<Fixture, String> {
        let bench = Bench::new().await?;
        Ok(Fixture::new(Arc::new(bench.open(&clock).await), clock, ()))
    }

    agent_batch::contract!(mysql);
}

mod experiments {
    use super::*;
    use agent_load::table::contract::Fixture;

    async fn mysql(clock: Arc<VirtualClock>) -> std::result::Result<Fixture, String> {
        let bench = Bench::new().await?;
        Ok(Fixture::new(Arc::new(bench.open(&clock).await), clock, ()))
    }

    agent_load::contract!(mysql);
}

/// The bench, or an early end of the test.
macro_rules! bench {
    ($bench:expr) => {
        match $bench {
            Ok(bench) => bench,
            Err(why) => return println!("SKIPPED: {why}"),
        }
    };
}
use bench;
