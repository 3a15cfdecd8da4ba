use super::*;
use crate::clock::VirtualClock;
use crate::knowledge::contract::{Table, contract};

#[path = "../../../tests/network/mariadb.rs"]
mod mariadb;

fn settings(server: &mariadb::MariaDb, schema: &str) -> MysqlSettings {
    MysqlSettings {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        user: mariadb::USER.to_owned(),
        password: Some(mariadb::PASSWORD.to_owned()),
        schema: schema.to_owned(),
        tls: Tls::Off,
        patience: Duration::from_secs(10),
    }
}

fn virtual_time(clock: &Arc<VirtualClock>) -> Time {
    let clock = clock.clone();
    Arc::new(move |_| clock.now())
}

async fn mysql(clock: Arc<VirtualClock>) -> std::result::Result<Table, String> {
    let server = mariadb::shared()?;
    let settings = settings(server, &server.schema());
    init(&settings).await.unwrap();
    let knowledge = MysqlKnowledge::open(&settings, virtual_time(&clock), Handle::current()).await.unwrap();
    Ok(Table::new(knowledge, clock, ()))
}

contract!(mysql);
