//! The schema: whose tables are in it, making and migrating them, and what can be wrong with a server.

use super::connect::{MysqlSettings, log_in};
use super::failure::{Failure, Sent};
use super::members::{self, Away, CLOCKS_DIFFER, Members};
use super::tables::{Result, Tables};
use crate::knowledge::KnowledgeError;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Migration N lies at N - 1. Files that were released never change; a new one is added. Each can be repeated, for the server
/// does not take back what it made when it is interrupted: only its last statement may fail then, with one of [`EXISTS`].
const MIGRATIONS: [&str; 23] = [
    include_str!("001_tables.sql"),
    include_str!("002_asks.sql"),
    include_str!("003_stores.sql"),
    include_str!("004_sound_replicas.sql"),
    include_str!("005_results.sql"),
    include_str!("006_unexpected_inputs.sql"),
    include_str!("007_several_data_sets.sql"),
    include_str!("008_counters_of_data_sets.sql"),
    include_str!("009_constraints.sql"),
    include_str!("010_labels.sql"),
    include_str!("011_versions.sql"),
    include_str!("012_outdated_replicas.sql"),
    include_str!("013_staleness.sql"),
    include_str!("014_prices.sql"),
    include_str!("015_job_parts.sql"),
    include_str!("016_membership.sql"),
    include_str!("017_events_by_agent.sql"),
    include_str!("018_batch.sql"),
    include_str!("019_work.sql"),
    include_str!("020_requests.sql"),
    include_str!("021_load.sql"),
    include_str!("022_load_hosts.sql"),
    include_str!("023_overrides.sql"),
];

/// The comment of every table of ours. By it tables of other programs are known, and left alone.
const MARK: &str = "agent";

/// Everything that a run needs a right to: rows of all tables.
const TABLES: [&str; 39] = [
    "nodes",
    "links",
    "measured_links",
    "former_environment",
    "data_sets",
    "replicas",
    "agents",
    "readers",
    "reference_replicas",
    "events",
    "claims",
    "feedback",
    "counters",
    "measurements",
    "impacts",
    "removed_nodes",
    "asks",
    "ask_nodes",
    "replies",
    "named_nodes",
    "forecasts",
    "uploads",
    "prices",
    "charges",
    "billing",
    "batch_settings",
    "batch_workers",
    "batch_jobs",
    "batch_tasks",
    "batch_changes",
    "batch_utilisation",
    "load_settings",
    "load_experiments",
    "load_files",
    "load_routes",
    "load_hosts",
    "load_orders",
    "load_answers",
    "schema_version",
];

/// When others make or change the same tables at this moment.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

const UNKNOWN_SCHEMA: u16 = 1049;
/// A column of this name, a key of this name.
const EXISTS: [u16; 2] = [1060, 1061];
const INTERRUPTED: u16 = 1317;

/// Whose tables a schema holds.
#[derive(Debug)]
pub(super) struct Inspection {
    /// The version of ours; absent before the first `init` has ended.
    version: Option<i64>,
    foreign: Vec<String>,
}

/// What `init` or `migrate` did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Prepared {
    /// Absent: there was none.
    pub from_version: Option<i64>,
    pub to_version: i64,
}

/// Something that was looked at, and whether it is as it should be.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    pub what: &'static str,
    pub is_well: bool,
    pub detail: String,
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Makes the schema, where the user may, and the tables. Nothing is changed in a schema that holds tables of others.
pub async fn init(settings: &MysqlSettings) -> std::result::Result<Prepared, KnowledgeError> {
    with_patience(settings, "db init", Sent::Commit, async || {
        let made = create_schema(settings).await;
        let mut connection = match (connect(settings).await, made) {
            // There is none, and why it was not made is what has to be told.
            (Err(missing), Err(error)) if missing.is_about(UNKNOWN_SCHEMA) => return Err(error),
            // Whoever may not make schemas has one that was made for him.
            (connection, _) => connection?,
        };
        let found = inspect(&mut connection).await?;
        if let (None, [first, ..]) = (found.version, found.foreign.as_slice()) {
            let named = if found.foreign.len() > 1 { found.foreign.join(", ") } else { first.clone() };
            return Ok(Err(foreign(settings, &named)));
        }
        apply(&mut connection, settings, found).await
    })
    .await
}

/// Brings the tables up to date.
pub async fn migrate(settings: &MysqlSettings) -> std::result::Result<Prepared, KnowledgeError> {
    with_patience(settings, "db migrate", Sent::Commit, async || {
        let mut connection = connect(settings).await?;
        let found = inspect(&mut connection).await?;
        match found.version {
            Some(_) => apply(&mut connection, settings, found).await,
            None => Ok(found.require_current(&settings.to_string()).map(|()| unreachable!("it has no version"))),
        }
    })
    .await
}

/// Looks at the server, and at what this user may do there; at every server of a cluster. Changes nothing.
pub async fn check(settings: &MysqlSettings) -> std::result::Result<Vec<Finding>, KnowledgeError> {
    with_patience(settings, "db check", Sent::Revocable, async || {
        let mut connection = connect(settings).await?;
        let found = inspect(&mut connection).await?;
        if let Err(unusable) = found.require_current(&settings.to_string()) {
            return Ok(Err(unusable));
        }
        let mut findings = vec![
            version(&mut connection).await?,
            encryption(&mut connection).await?,
            rights(&mut connection).await?,
            isolation(&mut connection).await?,
            durability(&mut connection).await?,
            clock(&mut connection).await?,
        ];
        if settings.hosts.len() > 1 {
            findings.push(cluster(settings).await);
        }
        Ok(Ok(findings))
    })
    .await
}

/// Again and again where others do the same at once, at any server of a cluster: whatever is begun can be begun anew.
async fn with_patience<T, W>(
    settings: &MysqlSettings,
    operation: &'static str,
    sent: Sent,
    work: impl Fn() -> W,
) -> std::result::Result<T, KnowledgeError>
where
    W: Future<Output = Result<std::result::Result<T, KnowledgeError>>>,
{
    let deadline = Instant::now() + settings.patience;
    let silent = Failure::Silent(settings.patience, sent);
    let done = loop {
        let done = timeout_at(deadline, work()).await;
        let again = AGAIN_AFTER.mul_f64(rand::random_range(0.5..1.5));
        match done {
            Ok(Err(failure)) if is_race(&failure) && Instant::now() + again < deadline => sleep(again).await,
            Ok(done) => break done,
            Err(_) => break Err(silent),
        }
    };
    done.map_err(|failure| failure.during(operation, &settings.to_string())).flatten()
}

/// Whether others did the same at once. A cluster interrupts what works on a table that another server changes the columns of.
fn is_race(failure: &Failure) -> bool {
    failure.is_race() || failure.is_about(INTERRUPTED)
}

/// To the first server that answers.
pub(super) async fn connect(settings: &MysqlSettings) -> Result<Conn> {
    connect_to_any(settings, |at| settings.options_to_administer(at)).await
}

async fn connect_to_any(settings: &MysqlSettings, options: impl Fn(usize) -> Opts) -> Result<Conn> {
    let to_connect = members::limits(settings).to_connect;
    let mut away = Away::default();
    for (at, host) in settings.hosts.iter().enumerate() {
        let failure = match timeout(to_connect, log_in(|| Conn::new(options(at)))).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => database(error),
            Err(_) => Failure::Silent(to_connect, Sent::Revocable),
        };
        if settings.hosts.len() == 1 || failure.is_about(UNKNOWN_SCHEMA) {
            return Err(failure);
        }
        away.note(at, host, &failure);
    }
    Err(away.into_failure())
}

async fn create_schema(settings: &MysqlSettings) -> Result<()> {
    let mut connection = connect_to_any(settings, |at| settings.options_without_schema(at)).await?;
    let name = settings.schema.replace('`', "``");
    let sql = format!("create database if not exists `{name}` character set utf8mb4");
    connection.query_drop(sql).await.map_err(database)?;
    connection.disconnect().await.map_err(database)
}

async fn apply(
    connection: &mut Conn,
    settings: &MysqlSettings,
    found: Inspection,
) -> Result<std::result::Result<Prepared, KnowledgeError>> {
    if let Err(newer) = found.require_not_newer(&settings.to_string()) {
        return Ok(Err(newer));
    }
    let applied = found.version.unwrap_or(0);
    for (version, migration) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > applied) {
        match connection.query_drop(migration).await {
            // Interrupted right after its last statement, or somebody else is doing the same.
            Err(Error::Server(done)) if EXISTS.contains(&done.code) => {}
            applied => applied.map_err(writing)?,
        }
        let sql = "insert ignore into schema_version values
            (?, timestampdiff(microsecond, '1970-01-01 00:00:00', utc_timestamp(6)) div 1000)";
        connection.exec_drop(sql, (version,)).await.map_err(writing)?;
    }
    Ok(Ok(Prepared { from_version: found.version, to_version: newest() }))
}

async fn inspect(connection: &mut Conn) -> Result<Inspection> {
    let sql = "select table_name, table_comment from information_schema.tables
        where table_schema = database() order by table_name";
    let tables: Vec<(String, String)> = connection.query(sql).await.map_err(database)?;
    let (ours, foreign): (Vec<_>, Vec<_>) = tables.into_iter().partition(|(_, comment)| comment == MARK);
    let version = match ours.iter().any(|(name, _)| name == "schema_version") {
        true => connection.query_first::<Option<i64>, _>("select max(version) from schema_version").await,
        false => Ok(None),
    };
    let foreign = foreign.into_iter().map(|(name, _)| name).collect();
    Ok(Inspection { version: version.map_err(database)?.flatten(), foreign })
}

impl Tables {
    pub(super) async fn inspect(&mut self) -> Result<Inspection> {
        inspect(&mut self.connection).await
    }
}

impl Inspection {
    /// Whether agents can run on it; nothing is made or migrated on the way, for agents need no right to.
    pub(super) fn require_current(&self, address: &str) -> std::result::Result<(), KnowledgeError> {
        self.require_not_newer(address)?;
        let reason = match self.version {
            Some(version) if version == newest() => return Ok(()),
            Some(version) => format!(
                "its tables are of version {version}, this binary needs {}; stop the agents and run `agent db migrate`",
                newest()
            ),
            None if self.foreign.is_empty() => "the schema is empty; `agent db init` makes the tables".to_owned(),
            None => format!(
                "the schema holds tables of another program ({}); name another schema, and make its tables with \
                 `agent db init`",
                self.foreign.join(", ")
            ),
        };
        Err(KnowledgeError::Unusable { address: address.to_owned(), reason })
    }

    fn require_not_newer(&self, address: &str) -> std::result::Result<(), KnowledgeError> {
        match self.version.filter(|version| *version > newest()) {
            Some(found) => Err(KnowledgeError::Newer { address: address.to_owned(), found, known: newest() }),
            None => Ok(()),
        }
    }
}

fn foreign(settings: &MysqlSettings, tables: &str) -> KnowledgeError {
    let reason = format!("the schema holds tables of another program ({tables}); name an empty one");
    KnowledgeError::Unusable { address: settings.to_string(), reason }
}

fn database(error: Error) -> Failure {
    Failure::Database(error, Sent::Revocable)
}

/// Of a statement that makes or changes a table: each commits itself.
fn writing(error: Error) -> Failure {
    Failure::Database(error, Sent::Commit)
}

async fn version(connection: &mut Conn) -> Result<Finding> {
    let said: String = first(connection, "select version()").await?.unwrap_or_default();
    let oldest = if said.contains("MariaDB") { (10, 11) } else { (8, 0) };
    let mut numbers = said.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let advice = if version < oldest { "; MySQL 8.0 or MariaDB 10.11 is the oldest that is tested" } else { "" };
    Ok(Finding { what: "server", is_well: version >= oldest, detail: format!("{said}{advice}") })
}

async fn encryption(connection: &mut Conn) -> Result<Finding> {
    let cipher = variable(connection, "show session status like 'Ssl_cipher'").await?.unwrap_or_default();
    let detail = if cipher.is_empty() { "off; add `?tls=true` to the URL".to_owned() } else { cipher };
    Ok(Finding { what: "tls", is_well: true, detail })
}

/// Statements that find no row need the right all the same.
async fn rights(connection: &mut Conn) -> Result<Finding> {
    let mut missing = Vec::new();
    for table in TABLES {
        let changes = [
            ("insert", format!("insert into {table} select * from {table} where 1 = 0")),
            ("update", format!("update {table} set {column} = {column} where 1 = 0", column = first_column(table))),
            ("delete", format!("delete from {table} where 1 = 0")),
        ];
        // Agents only read what was applied.
        for (right, sql) in changes.iter().filter(|_| table != "schema_version") {
            match connection.query_drop(sql).await {
                Ok(()) => {}
                Err(Error::Server(_)) => missing.push(format!("{right} on {table}")),
                Err(error) => return Err(database(error)),
            }
        }
    }
    let detail = match missing.is_empty() {
        true => "select, insert, update and delete on all tables".to_owned(),
        false => format!("{}: not granted; docs/database.md shows the statement", missing.join(", ")),
    };
    Ok(Finding { what: "rights", is_well: missing.is_empty(), detail })
}

fn first_column(table: &str) -> &'static str {
    match table {
        "links" | "measured_links" => "from_node",
        "data_sets" => "name",
        "readers" | "reference_replicas" => "agent",
        "claims" | "feedback" => "event",
        "ask_nodes" | "replies" | "named_nodes" | "forecasts" => "ask",
        "counters" => "action",
        "impacts" | "charges" | "billing" => "agent",
        "prices" => "what",
        "batch_workers" | "batch_utilisation" => "node",
        "batch_tasks" => "job",
        "load_files" => "experiment",
        "load_routes" => "service",
        "load_hosts" => "name",
        "load_answers" => "order_id",
        _ => "id",
    }
}

/// Of our own sessions; and whether the server's binary log bears it.
async fn isolation(connection: &mut Conn) -> Result<Finding> {
    let level = variable(connection, "show variables where variable_name in ('transaction_isolation', 'tx_isolation')");
    let level = level.await?.unwrap_or_default();
    let is_logged = variable(connection, "show variables like 'log_bin'").await?.is_some_and(|value| value == "ON");
    let format = variable(connection, "show variables like 'binlog_format'").await?.unwrap_or_default();
    let bears = !is_logged || format != "STATEMENT";
    let advice = if bears { "" } else { "; binlog_format = STATEMENT does not allow it: set ROW" };
    let is_well = level != "READ-UNCOMMITTED" && bears;
    Ok(Finding { what: "isolation", is_well, detail: format!("{}{advice}", level.to_lowercase()) })
}

/// A deletion of an object relies on the commit before it.
async fn durability(connection: &mut Conn) -> Result<Finding> {
    let flush = variable(connection, "show variables like 'innodb_flush_log_at_trx_commit'").await?;
    Ok(match flush.as_deref() {
        Some("1") => Finding { what: "durability", is_well: true, detail: "commits survive a power cut".to_owned() },
        Some(other) => Finding {
            what: "durability",
            is_well: false,
            detail: format!(
                "innodb_flush_log_at_trx_commit = {other}: a power cut of the server's machine may take back commits \
                 after which objects were deleted; set 1"
            ),
        },
        None => Finding { what: "durability", is_well: true, detail: "the server does not say".to_owned() },
    })
}

async fn clock(connection: &mut Conn) -> Result<Finding> {
    let here = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let before = here();
    let sql = "select timestampdiff(microsecond, '1970-01-01 00:00:00', utc_timestamp(6))";
    let server = Duration::from_micros(first(connection, sql).await?.unwrap_or_default());
    // In the middle of the question and its answer.
    let middle = before + here().saturating_sub(before) / 2;
    let difference = server.abs_diff(middle);
    let side = if server > middle { "ahead of" } else { "behind" };
    let is_well = difference <= CLOCKS_DIFFER;
    let advice = if is_well { "" } else { "; keep both with NTP" };
    let detail = format!("the server's is {} ms {side} this machine's{advice}", difference.as_millis());
    Ok(Finding { what: "clock", is_well, detail })
}

/// Whether all servers answer, are members of one cluster, and have one time.
async fn cluster(settings: &MysqlSettings) -> Finding {
    let members = Members::new(settings);
    let silent = members.look_at_all().await;
    let unfit = members.unfit();
    let is_well = silent.is_empty() && unfit.is_empty();
    let detail = match is_well {
        true => format!("{} servers of one, whose clocks agree", settings.hosts.len()),
        false => [silent, unfit].concat().join("; "),
    };
    Finding { what: "cluster", is_well, detail }
}

async fn first<T: mysql_async::prelude::FromValue + Send + 'static>(
    connection: &mut Conn,
    sql: &str,
) -> Result<Option<T>> {
    connection.query_first::<T, _>(sql).await.map_err(database)
}

/// The value in an answer of names and values.
async fn variable(connection: &mut Conn, sql: &str) -> Result<Option<String>> {
    let row: Option<(String, String)> = connection.query_first(sql).await.map_err(database)?;
    Ok(row.map(|(_, value)| value))
}
