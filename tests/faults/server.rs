//! A MariaDB server as the shared table, each agent's way to it through a proxy of its own; and a copy of its tables for the
//! checkers, who read one kind of SQL.

use super::network::audit::Audit;
use super::network::mariadb::MariaDb;
use super::network::process::Running;
use super::network::{PATIENCE, wait_until};
use super::schedule::{AGENTS, Cut, Way};
use super::table::Looked;
use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Opts, Row, Value};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

/// Whatever was acknowledged survives a kill.
const DURABLE: [&str; 2] = ["--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1"];
/// Looking takes moments, or the server is away.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// What `Audit` reads.
const TABLES: [&str; 14] = [
    "nodes",
    "links",
    "data_sets",
    "replicas",
    "agents",
    "reference_replicas",
    "events",
    "claims",
    "feedback",
    "counters",
    "measurements",
    "audit_closings",
    "audit_counters",
    "audit_reopenings",
];

/// The same as `audit::TRIGGERS`. Variables, because `insert ... select` would lock the agents' rows.
const TRIGGERS: [&str; 6] = [
    "create table audit_closings (seq bigint auto_increment primary key, event bigint, action varchar(64),
        outcome varchar(64), feedback_sum double, answered bigint, others bigint)",
    "create table audit_counters (seq bigint auto_increment primary key, action varchar(64), value bigint)",
    "create table audit_reopenings (event bigint)",
    "create trigger audit_closing after update on events for each row begin
        declare answered bigint;
        declare others bigint;
        if old.state = 'open' and new.state = 'closed' then
            select count(*) into answered from feedback where event = new.id;
            select count(*) into others from agents where id <> new.agent;
            insert into audit_closings (event, action, outcome, feedback_sum, answered, others)
                values (new.id, new.action, new.outcome, new.feedback_sum, answered, others);
        elseif old.state = 'closed' and new.state <> 'closed' then
            insert into audit_reopenings values (new.id);
        end if;
    end",
    "create trigger audit_counter_set after insert on counters for each row
        insert into audit_counters (action, value) values (new.action, new.value)",
    "create trigger audit_counter_changed after update on counters for each row
        insert into audit_counters (action, value) values (new.action, new.value)",
];

pub struct Server {
    server: MariaDb,
    schema: String,
    proxies: Proxies,
    data: PathBuf,
    runtime: Handle,
}

impl Server {
    pub fn start(place: &Path, data: &Path, runtime: &Handle) -> Result<Self, String> {
        let server = MariaDb::start(&DURABLE)?;
        let schema = server.schema();
        let address = server.url(&schema);
        let mut init = Running::start_with(&[("AGENT_KNOWLEDGE", &address)], place, "init", &["db", "init"]);
        assert_eq!(init.ends_within(PATIENCE), Some(0), "{}", init.errors());
        let proxies = Proxies::start(place, server.port());
        Ok(Self { server, schema, proxies, data: data.to_owned(), runtime: runtime.clone() })
    }

    pub fn address_for(&self, agent: u32) -> String {
        let to = |port: u16| format!("@127.0.0.1:{port}/");
        self.server.url(&self.schema).replace(&to(self.server.port()), &to(self.proxies.ports[&agent]))
    }

    pub fn kill(&mut self) {
        self.server.kill();
    }

    pub fn restart(&mut self) {
        self.server.restart();
    }

    pub fn cut(&self, agent: u32, way: Way, how: Cut) {
        let (kind, timeout) = match how {
            Cut::Reset { after_ms } => ("reset_peer", after_ms),
            Cut::Silence => ("timeout", 0),
        };
        let (stream, name) = (stream(way), toxic(way, how));
        let body = format!(
            r#"{{"name": "{name}", "type": "{kind}", "stream": "{stream}", "attributes": {{"timeout": {timeout}}}}}"#
        );
        self.proxies.ask("POST", &format!("/proxies/table-{agent}/toxics"), &body);
    }

    pub fn mend(&self, agent: u32, way: Way, how: Cut) {
        self.proxies.ask("DELETE", &format!("/proxies/table-{agent}/toxics/{}", toxic(way, how)), "");
    }

    pub fn watch(&self) {
        wait_until("the tables are made", PATIENCE, || {
            self.rows::<i64>("select count(*) from schema_version").is_ok_and(|count| count[0] > 0)
        });
        for statement in TRIGGERS {
            self.ask(async |connection| connection.query_drop(statement).await).expect("triggers can be made");
        }
    }

    pub fn rows<T: FromRow + Send + 'static>(&self, sql: &str) -> Looked<Vec<T>> {
        self.ask(async |connection| connection.query(sql).await)
    }

    /// All tables of one moment in a SQLite database in memory.
    pub fn mirror(&self) -> Looked<Audit> {
        let tables = self.ask(async |connection| {
            connection.query_drop("start transaction with consistent snapshot, read only").await?;
            let mut tables = Vec::new();
            for table in TABLES {
                // Prepared, so that numbers arrive as numbers.
                let all = connection.prep(format!("select * from {table}")).await?;
                let names = all.columns().iter().map(|column| format!("\"{}\"", column.name_str())).collect::<Vec<_>>();
                let rows: Vec<Row> = connection.exec(&all, ()).await?;
                tables.push((table, names, rows));
            }
            Ok(tables)
        })?;
        let copy = Connection::open_in_memory().expect("memory");
        for (table, names, rows) in tables {
            copy.execute_batch(&format!("create table {table} ({})", names.join(", "))).expect("a copy of a table");
            let insert = format!("insert into {table} values ({})", vec!["?"; names.len()].join(", "));
            for row in rows {
                let values = rusqlite::params_from_iter(row.unwrap().into_iter().map(copied));
                copy.execute(&insert, values).expect("a copy of a row");
            }
        }
        Ok(Audit::of(copy, &self.data))
    }

    /// On a connection of its own, straight to the server.
    fn ask<T>(&self, question: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<T>) -> Looked<T> {
        let options = Opts::from_url(&self.server.url(&self.schema)).expect("a URL that agents understand too");
        let answer = async {
            let mut connection = Conn::new(options).await?;
            let answer = question(&mut connection).await?;
            connection.disconnect().await?;
            Ok::<T, mysql_async::Error>(answer)
        };
        let answer = self.runtime.block_on(async { tokio::time::timeout(LOOK_WITHIN, answer).await });
        answer.map_err(|_| "the table does not answer".to_owned())?.map_err(|error| error.to_string())
    }
}

fn copied(value: Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Copied;
    match value {
        Value::NULL => Copied::Null,
        Value::Bytes(text) => Copied::Text(String::from_utf8_lossy(&text).into_owned()),
        Value::Int(number) => Copied::Integer(number),
        Value::UInt(number) => Copied::Integer(number.cast_signed()),
        Value::Float(number) => Copied::Real(number.into()),
        Value::Double(number) => Copied::Real(number),
        Value::Date(..) | Value::Time(..) => Copied::Text(value.as_sql(false)),
    }
}

fn stream(way: Way) -> &'static str {
    match way {
        Way::ToTable => "upstream",
        Way::FromTable => "downstream",
    }
}

/// Several toxics of a proxy at a time need names of their own.
fn toxic(way: Way, how: Cut) -> String {
    match how {
        Cut::Reset { after_ms } => format!("reset-{after_ms}-{}", stream(way)),
        Cut::Silence => format!("silence-{}", stream(way)),
    }
}

/// `agent proxy` with a proxy for each agent.
struct Proxies {
    _emulator: Running,
    api: String,
    ports: BTreeMap<u32, u16>,
}

impl Proxies {
    fn start(place: &Path, port: u16) -> Self {
        let emulator = Running::start(place, "proxy", &["proxy", "--listen", "127.0.0.1:0"]);
        wait_until("the emulator says where it listens", PATIENCE, || emulator.output().contains("; "));
        let said = emulator.output();
        let api = said.split("http://").nth(1).and_then(|rest| rest.split(';').next()).expect("an address").to_owned();
        let mut proxies = Self { _emulator: emulator, api, ports: BTreeMap::new() };
        for agent in AGENTS {
            let body = format!(r#"{{"name": "table-{agent}", "upstream": "127.0.0.1:{port}"}}"#);
            let made: serde_json::Value = serde_json::from_str(&proxies.ask("POST", "/proxies", &body)).expect("JSON");
            let listens = made["listen"].as_str().and_then(|listens| listens.rsplit(':').next()?.parse().ok());
            proxies.ports.insert(agent, listens.expect("a port"));
        }
        proxies
    }

    /// The body of the answer, which must be a success.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.api).expect("the emulator runs");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: emulator\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the emulator listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the emulator answers");
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {path}: {answer}");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}
