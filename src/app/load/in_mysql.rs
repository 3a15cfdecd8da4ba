//! Kept load in a MySQL or MariaDB schema: the tables of its file, copied there.

use crate::app::{Failure, database};
use crate::knowledge::mysql::ResultTables;
use agent_core::config::settings::{DatabaseUrl, KnowledgeSettings};
use agent_core::config::{Invalid, knowledge};
use agent_laboratory::results::{Column, Database, DatabaseError, FileKind, Kind, Table};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Rows that are sent together: some hundred kilobytes of requests, far below what servers take at once.
const TOGETHER: usize = 1000;
/// Of these, so many may wait.
const WAITING: usize = 4;

/// A run whose rows are on their way, or whose way ended too early: it is copied anew the next time.
const COPYING: &str = "copying";

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Copied {
    pub runs: u64,
    /// With those that belong to them.
    pub rows: u64,
}

/// Where `--mysql` says. Nothing of the text is repeated: it may hold a password.
pub fn schema(text: &str) -> Result<DatabaseUrl, Failure> {
    let invalid = match knowledge(text) {
        Ok(KnowledgeSettings::Mysql(url)) => return Ok(url),
        Ok(KnowledgeSettings::Sqlite(_)) => {
            let help = "what is kept is a file of SQLite already; name a schema: mysql://USER@HOST:PORT/SCHEMA";
            Invalid::new("it is no server", help)
        }
        Err(invalid) => invalid,
    };
    Err(Failure::Configuration(format!("--mysql: {}\n  help: {}", invalid.problem, invalid.help)))
}

/// Makes the tables that are missing.
pub async fn prepare(url: &DatabaseUrl) -> anyhow::Result<()> {
    let mut server = connect(url).await?;
    for table in tables() {
        server.execute(&declaration(table), Vec::new()).await?;
    }
    Ok(server.end().await?)
}

/// Copies every run of a file. One that is there already is copied again, in place of what is there.
pub async fn copy(database: Database, url: &DatabaseUrl) -> anyhow::Result<Copied> {
    prepare(url).await?;
    let mut server = connect(url).await?;
    let (sender, mut received) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || read(&database, &sender));
    let (mut copied, mut runs) = (Copied::default(), Runs::default());
    while let Some((table, rows)) = received.recv().await {
        copied.rows += rows.len() as u64;
        match table {
            Table::LoadRuns => {
                copied.runs += rows.len() as u64;
                for row in rows {
                    runs.begin(&mut server, row).await?;
                }
            }
            table => insert(&mut server, table, runs.renumbered(rows)).await?,
        }
    }
    reading.await.context("the reader of the file has failed")??;
    runs.end(&mut server).await?;
    server.end().await?;
    Ok(copied)
}

async fn connect(url: &DatabaseUrl) -> anyhow::Result<ResultTables> {
    Ok(ResultTables::connect(&database::settings(url)).await?)
}

/// Runs first: what belongs to them is known by their numbers there.
fn tables() -> impl Iterator<Item = Table> {
    FileKind::Load.tables().iter().copied().filter(|table| *table != Table::Experiment)
}

/// So that they can stand beside the tables of a network.
fn name(table: Table) -> String {
    let name = table.name();
    if name.starts_with("load_") { name.to_owned() } else { format!("load_{name}") }
}

fn declaration(table: Table) -> String {
    let columns = table.columns();
    let mut parts: Vec<String> = match table {
        Table::LoadRuns => vec!["`id` bigint not null auto_increment primary key, key (`began_us`)".to_owned()],
        // Clusters ask for a key; nobody else does.
        _ => vec!["`n` bigint not null auto_increment primary key, key (`run`)".to_owned()],
    };
    parts.extend(columns.iter().filter(|column| column.name != "id" || table != Table::LoadRuns).map(column));
    format!("create table if not exists `{}` ({}) character set utf8mb4", name(table), parts.join(", "))
}

fn column(Column { name, kind, optional }: &Column) -> String {
    let kind = match kind {
        Kind::Integer => "bigint",
        Kind::Real => "double",
        Kind::Text => "longtext",
    };
    format!("`{name}` {kind}{}", if *optional { "" } else { " not null" })
}

type Row = Vec<Value>;
/// Some rows of a table.
type Chunk = (Table, Vec<Row>);

/// Reads all tables, some rows at a time.
fn read(database: &Database, sender: &mpsc::Sender<Chunk>) -> Result<(), DatabaseError> {
    // Whoever wants no more has said why.
    let send = |table, rows: &mut Vec<Row>| _ = sender.blocking_send((table, std::mem::take(rows)));
    for table in tables() {
        let mut rows = Vec::new();
        database.json_rows(table, |row| {
            rows.push(row);
            if rows.len() == TOGETHER {
                send(table, &mut rows);
            }
        })?;
        send(table, &mut rows);
    }
    Ok(())
}

async fn insert(server: &mut ResultTables, table: Table, rows: Vec<Row>) -> anyhow::Result<()> {
    let columns: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
    Ok(server.insert(&name(table), &columns, rows).await?)
}

/// Those of the file, and their numbers in the server.
#[derive(Default)]
struct Runs {
    numbers: BTreeMap<i64, i64>,
    /// By their numbers there, what they are said to be when all of them is there.
    states: Vec<(i64, Value)>,
}

impl Runs {
    async fn begin(&mut self, server: &mut ResultTables, row: Row) -> anyhow::Result<()> {
        let named = Table::LoadRuns.columns().into_iter().map(|column| column.name).zip(row);
        let mut cells: BTreeMap<&str, Value> = named.collect();
        let here = cells.remove("id");
        let known_by = ["name", "seed", "began_us"].map(|name| cells.get(name).cloned().unwrap_or_default());
        remove(server, known_by.to_vec()).await?;
        let state = cells.insert("state", COPYING.into());
        let columns: Vec<&str> = cells.keys().copied().collect();
        let places = vec!["?"; columns.len()].join(", ");
        let sql = format!("insert into `load_runs` (`{}`) values ({places})", columns.join("`, `"));
        let there = server.add(&sql, cells.into_values().collect()).await?;
        if let Some(here) = here.and_then(|here| here.as_i64()) {
            self.numbers.insert(here, there);
        }
        self.states.extend(state.map(|state| (there, state)));
        Ok(())
    }

    /// What belongs to runs begins with the number of its run.
    fn renumbered(&self, mut rows: Vec<Row>) -> Vec<Row> {
        for run in rows.iter_mut().filter_map(|row| row.first_mut()) {
            let there = run.as_i64().and_then(|here| self.numbers.get(&here));
            *run = there.copied().into();
        }
        rows
    }

    async fn end(self, server: &mut ResultTables) -> anyhow::Result<()> {
        for (there, state) in self.states {
            server.execute("update `load_runs` set `state` = ? where `id` = ?", vec![state, there.into()]).await?;
        }
        Ok(())
    }
}

/// Of a run that was copied before, everything.
async fn remove(server: &mut ResultTables, known_by: Row) -> anyhow::Result<()> {
    let sql = "select `id` from `load_runs` where `name` = ? and `seed` = ? and `began_us` = ?";
    for there in server.numbers(sql, known_by).await? {
        for table in tables() {
            let run = if table == Table::LoadRuns { "id" } else { "run" };
            let sql = format!("delete from `{}` where `{run}` = ?", name(table));
            server.execute(&sql, vec![there.into()]).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_names_that_no_network_has_and_columns_of_any_name() {
        let names: Vec<String> = tables().map(name).collect();
        assert_eq!(
            names,
            [
                "load_runs",
                "load_traces",
                "load_host_info",
                "load_telemetry",
                "load_markers",
                "load_agent_events",
                "load_agent_measurements"
            ]
        );
        let telemetry = declaration(Table::Telemetry);
        assert!(telemetry.contains("key (`run`), `run` bigint not null, `host` longtext not null"), "{telemetry}");
        assert!(telemetry.contains("`load` double)"), "a reserved word: {telemetry}");
        assert!(!declaration(Table::LoadRuns).contains("`id` bigint not null,"));
    }
}
