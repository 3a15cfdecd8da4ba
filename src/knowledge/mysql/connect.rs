//! Which servers, and how connections to them are made.

use super::members::CLOCKS_DIFFER;
use futures::FutureExt as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts, OptsBuilder, PoolConstraints, PoolOpts, SslOpts};
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An agent's monitor, planner, executor and watchdog ask at the same time at most; what else it asks waits for one of them to
/// be free again, which takes milliseconds. A demo's agents share them. 32 agents fit into the 151 connections that a server
/// allows by default.
pub(super) const CONNECTIONS: usize = 4;

/// Distinct statements of this technology are fewer, except for lists of different lengths.
const CACHED_STATEMENTS: usize = 100;

/// After so many patiences in silence the server ends a session: its machine may have vanished in the middle of a transaction,
/// whose locks nobody else would ever get. One that was idle is opened again.
const SILENCE: u32 = 2;

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Or its address.
    pub name: String,
    pub port: u16,
}

/// A schema on a server, or on all servers of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlSettings {
    /// At least one. The first that answers is asked; when it is away, the next.
    pub hosts: Vec<Host>,
    pub user: String,
    pub password: Option<String>,
    pub schema: String,
    pub tls: Tls,
    /// How long an operation may take, all tries together.
    pub patience: Duration,
}

/// How the connection is protected. There is no way to leave the certificate unchecked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tls {
    Off,
    /// Certificate and host name are checked against Mozilla's authorities, or the ones in a PEM file alone.
    On {
        authority: Option<PathBuf>,
    },
}

impl MysqlSettings {
    /// Of the connections to a host that agents share. Each takes a reading of its server when it is new.
    pub(super) fn options(&self, at: usize, prepared: &PreparedStatements, readings: &Arc<Readings>) -> Opts {
        // A connection is given back clean: transactions are ended, and nothing else is left in a session.
        let constraints = PoolConstraints::new(CONNECTIONS, CONNECTIONS).expect("not more than itself");
        let pool = PoolOpts::default().with_constraints(constraints).with_reset_connection(false);
        let (prepared, readings, host) = (prepared.clone(), readings.clone(), self.hosts[at].clone());
        self.builder(at)
            .db_name(Some(&self.schema))
            .setup([self.setup(), vec![self.bound()]].concat())
            .pool_opts(pool)
            .after_connect(move |connection| {
                prepared.forget(connection.id());
                let (readings, host) = (readings.clone(), host.clone());
                async move { readings.take(at, host, connection).await }.boxed()
            })
            .into()
    }

    /// Of a connection that makes or looks at the tables, which may take longer than any question of an agent.
    pub(super) fn options_to_administer(&self, at: usize) -> Opts {
        self.builder(at).db_name(Some(&self.schema)).after_connect(|connection| read_latest(connection).boxed()).into()
    }

    /// Connected to no schema: it may have to be made.
    pub(super) fn options_without_schema(&self, at: usize) -> Opts {
        self.builder(at).into()
    }

    /// The same, for a reading of the server.
    pub(super) fn options_to_look(&self, at: usize, readings: &Arc<Readings>) -> Opts {
        let (readings, host) = (readings.clone(), self.hosts[at].clone());
        self.builder(at)
            .after_connect(move |connection| {
                let (readings, host) = (readings.clone(), host.clone());
                async move { readings.take(at, host, connection).await }.boxed()
            })
            .into()
    }

    /// Every session's own, whatever the server's defaults: strict about values, waiting for a lock much shorter than an
    /// operation may take, and seeing what others have committed when a statement begins.
    fn setup(&self) -> Vec<String> {
        let lock_wait_s = (self.patience.as_secs() / 3).max(1);
        let silence_s = (self.patience * SILENCE).as_secs().max(1);
        vec![
            format!("set session sql_mode = 'STRICT_ALL_TABLES', session innodb_lock_wait_timeout = {lock_wait_s}"),
            format!("set session wait_timeout = {silence_s}"),
            "set session transaction isolation level read committed".to_owned(),
        ]
    }

    /// A statement that nobody waits for any more goes on at the server and keeps its locks: there it ends by itself. MariaDB
    /// bounds every statement, MySQL those that read; one that writes waits there for a lock no longer than `setup` says.
    /// Written so that each server takes the other's part for a comment.
    fn bound(&self) -> String {
        let bound = self.patience / 2;
        format!(
            "set session autocommit = 1 /*M! , session max_statement_time = {} */ \
             /*!80000 , session max_execution_time = {} */",
            bound.as_secs_f64(),
            bound.as_millis(),
        )
    }

    fn builder(&self, at: usize) -> OptsBuilder {
        let Host { name, port } = &self.hosts[at];
        OptsBuilder::default()
            .ip_or_hostname(name)
            .tcp_port(*port)
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .ssl_opts(self.tls.options())
            // A server on this machine is not asked for a socket that could be another server's.
            .prefer_socket(false)
            // An update that finds a row and changes nothing has found it.
            .client_found_rows(true)
            // Accounts of PAM or LDAP want the password itself: never on a wire that others can read.
            .enable_cleartext_plugin(self.tls != Tls::Off)
            .stmt_cache_size(CACHED_STATEMENTS)
            .setup(self.setup())
    }
}

/// Refused by name or password.
const ACCESS_DENIED: u16 = 1045;

/// Logins before a refusal is believed. Of an account of `ed25519`, one in 256 is refused whose password is right: where the
/// server's challenge ends in a zero byte, the driver (mysql_common 0.37) takes that for a terminator and signs the rest.
const LOGINS: u32 = 4;

/// What `connect` comes to; once more with the next challenge, when the server refuses the account.
pub(super) async fn log_in<F: Future<Output = Result<Conn, Error>>>(connect: impl Fn() -> F) -> Result<Conn, Error> {
    for _ in 1..LOGINS {
        match connect().await {
            Err(Error::Server(refused)) if refused.code == ACCESS_DENIED => {}
            connected => return connected,
        }
    }
    connect().await
}

/// In a cluster, a question begins when the member that is asked has carried out what any other had committed by then: whoever
/// was told of a write, or made it at another member, finds it. So does a transaction; within one nothing more is waited for,
/// because what is overtaken there is refused at its commit. Of servers that are no members nothing is known of this.
async fn read_latest(connection: &mut Conn) -> Result<(), Error> {
    let is_member: Option<(String, String)> = connection.query_first("show variables like 'wsrep_on'").await?;
    if is_member.is_some_and(|(_, value)| value == "ON") {
        connection.query_drop("set session wsrep_sync_wait = 1").await?;
    }
    Ok(())
}

/// What a server said of itself when a connection to it was new.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    pub host: Host,
    /// Its clock when ours, which is set by nobody, stood at zero.
    pub clock: Duration,
    /// So much more or less.
    pub within: Duration,
    /// The name of the state that all members of its cluster share. Absent: it is none.
    pub cluster: Option<String>,
}

impl Reading {
    pub(super) fn distance(&self, other: &Self) -> Duration {
        self.clock.abs_diff(other.clock)
    }

    pub(super) fn differs_from(&self, other: &Self) -> bool {
        self.distance(other) > CLOCKS_DIFFER + self.within + other.within
    }
}

/// The last reading of each host.
pub(super) struct Readings {
    zero: Instant,
    last: Mutex<Vec<Option<Reading>>>,
}

impl Readings {
    pub(super) fn new(hosts: usize) -> Self {
        Self { zero: Instant::now(), last: Mutex::new(vec![None; hosts]) }
    }

    pub(super) fn all(&self) -> Vec<Option<Reading>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn take(&self, at: usize, host: Host, connection: &mut Conn) -> Result<(), Error> {
        // A single server is asked what it is, and not what time: it has the only clock.
        if self.all().len() > 1 {
            let sql = "show status like 'wsrep_cluster_state_uuid'";
            let state: Option<(String, String)> = connection.query_first(sql).await?;
            let began = self.zero.elapsed();
            let sql = "select timestampdiff(microsecond, '1970-01-01 00:00:00', utc_timestamp(6))";
            let clock: Option<u64> = connection.query_first(sql).await?;
            let within = (self.zero.elapsed() - began) / 2;
            let clock = Duration::from_micros(clock.unwrap_or_default()).saturating_sub(began + within);
            let cluster = state.map(|(_, state)| state).filter(|state| !state.is_empty());
            let reading = Reading { host, clock, within, cluster };
            self.last.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(reading);
        }
        read_latest(connection).await
    }
}

/// Which statements each connection in the pool has prepared. The driver keeps them too, but does not tell.
#[derive(Clone, Default)]
pub(super) struct PreparedStatements(Arc<Mutex<HashMap<u32, Statements>>>);

impl PreparedStatements {
    /// A connection is taken out of the pool.
    pub(super) fn take(&self, connection: u32) -> Statements {
        self.all().remove(&connection).unwrap_or_default()
    }

    /// It goes back.
    pub(super) fn put_back(&self, connection: u32, statements: Statements) {
        let mut all = self.all();
        // Some of them ended while they lay in the pool.
        if all.len() >= CONNECTIONS {
            all.clear();
        }
        all.insert(connection, statements);
    }

    /// A connection is new: one of the same number was another server's, or the same server's before it was started again.
    fn forget(&self, connection: u32) {
        self.all().remove(&connection);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u32, Statements>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Statements that a connection has prepared for certain.
#[derive(Default)]
pub(super) struct Statements(HashSet<String>);

impl Statements {
    /// Notes one that is prepared now; whether it is new, or may be.
    pub(super) fn note(&mut self, sql: &str) -> bool {
        if self.0.contains(sql) {
            return false;
        }
        // The driver closes the one that was used least lately when there are too many: none of these, as long as they are fewer.
        if self.0.len() >= CACHED_STATEMENTS {
            self.0.clear();
        }
        self.0.insert(sql.to_owned())
    }
}

impl Tls {
    fn options(&self) -> Option<SslOpts> {
        match self {
            Tls::Off => None,
            Tls::On { authority: None } => Some(SslOpts::default()),
            Tls::On { authority: Some(file) } => {
                Some(SslOpts::default().with_root_certs(vec![file.clone().into()]).with_disable_built_in_roots(true))
            }
        }
    }
}

/// As a URL without the password.
impl Display for MysqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        write!(f, "mysql://{}@{hosts}/{}", self.user, self.schema)
    }
}

/// As in a URL.
impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

impl fmt::Debug for MysqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlSettings")
            .field("address", &self.to_string())
            .field("password", &self.password.as_ref().map(|_| "..."))
            .field("tls", &self.tls)
            .field("patience", &self.patience)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::ServerError;
    use std::cell::Cell;

    #[tokio::test]
    async fn only_a_refused_account_is_heard_again() {
        for (code, expected) in [(ACCESS_DENIED, LOGINS), (1049, 1)] {
            let logins = Cell::new(0);
            let refusal = log_in(async || {
                logins.set(logins.get() + 1);
                Err(Error::Server(ServerError { code, message: String::new(), state: String::new() }))
            });
            assert!(matches!(refusal.await, Err(Error::Server(refused)) if refused.code == code));
            assert_eq!(logins.get(), expected, "{code}");
        }
    }
}
