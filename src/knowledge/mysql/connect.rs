//! Which server, and how its connections are made.

use mysql_async::{Opts, OptsBuilder, PoolConstraints, PoolOpts, SslOpts};
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

/// An agent's monitor, executor and watchdog ask at the same time at most; a demo's agents share them.
const CONNECTIONS: PoolConstraints = PoolConstraints::new(8, 8).expect("not more than itself");

/// Distinct statements of this technology are fewer, except for lists of different lengths.
const CACHED_STATEMENTS: usize = 100;

/// A schema on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlSettings {
    pub host: String,
    pub port: u16,
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
    pub(super) fn options(&self) -> Opts {
        self.builder().db_name(Some(&self.schema)).into()
    }

    /// Connected to no schema: it may have to be made.
    pub(super) fn options_without_schema(&self) -> Opts {
        self.builder().into()
    }

    /// Every session's own, whatever the server's defaults: strict about values, waiting for a lock much shorter than an
    /// operation may take, and seeing what others have committed when a statement begins.
    fn setup(&self) -> Vec<String> {
        let lock_wait_s = (self.patience.as_secs() / 3).max(1);
        vec![
            format!("set session sql_mode = 'STRICT_ALL_TABLES', session innodb_lock_wait_timeout = {lock_wait_s}"),
            "set session transaction isolation level read committed".to_owned(),
        ]
    }

    fn builder(&self) -> OptsBuilder {
        // A connection is given back clean: transactions are ended, and nothing else is left in a session.
        let pool = PoolOpts::default().with_constraints(CONNECTIONS).with_reset_connection(false);
        OptsBuilder::default()
            .ip_or_hostname(&self.host)
            .tcp_port(self.port)
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .ssl_opts(self.tls.options())
            // A server on this machine is not asked for a socket that could be another server's.
            .prefer_socket(false)
            // An update that finds a row and changes nothing has found it.
            .client_found_rows(true)
            .stmt_cache_size(CACHED_STATEMENTS)
            .setup(self.setup())
            .pool_opts(pool)
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
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "mysql://{}@{host}:{}/{}", self.user, self.port, self.schema)
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
