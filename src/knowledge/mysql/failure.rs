//! What an error of the server or the connection says about what became of a write.

use crate::knowledge::KnowledgeError;
use agent_core::knowledge::requests::Refused;
use agent_core::knowledge::rules::Rejection;
use mysql_async::{DriverError, Error, IoError};
use std::io;
use std::time::Duration;

/// What was sent last; it decides what a silence afterwards can mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// Questions, or parts of a transaction: the server rolls back what is not committed.
    Revocable,
    /// A commit, or a statement that commits itself.
    Commit,
}

/// Why an attempt did not end well, before it is said with the operation's name and the server's address.
#[derive(Debug)]
pub(super) enum Failure {
    Rejected(Rejection),
    /// What the decision was based on had changed when it was to be written; rolled back.
    Overtaken,
    /// The server ended the transaction before its commit was sent.
    TransactionEnded,
    Database(Error, Sent),
    /// No answer within this time.
    Silent(Duration, Sent),
    /// The server is not to be asked, for this reason.
    Unfit(String),
    /// None of several servers answers: why each of them does not, and whether only a person can do something about it.
    Nowhere {
        reasons: Vec<String>,
        is_unusable: bool,
    },
    /// The runtime of this process ended before the operation did.
    ShuttingDown,
}

/// What may be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Certainly not executed, and likely to succeed soon.
    TryAgain,
    /// Certainly not executed.
    NotExecuted,
    /// Perhaps executed: to be read back, never to be repeated blindly.
    Uncertain,
    /// Certainly not executed, and of no use until a person acts.
    Unusable,
}

impl From<Refused> for Failure {
    fn from(Refused(why): Refused) -> Self {
        Failure::Rejected(Rejection::Refused(why))
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Failure::Rejected(rejection)
    }
}

impl Failure {
    pub(super) fn fate(&self) -> Fate {
        match self {
            Failure::Rejected(_) => Fate::NotExecuted,
            Failure::Overtaken | Failure::TransactionEnded => Fate::TryAgain,
            Failure::Unfit(_) | Failure::Nowhere { is_unusable: true, .. } => Fate::Unusable,
            Failure::Nowhere { is_unusable: false, .. } => Fate::TryAgain,
            Failure::Database(error, sent) => fate(error, *sent),
            // It waited long enough.
            Failure::Silent(_, Sent::Revocable) => Fate::NotExecuted,
            Failure::Silent(_, Sent::Commit) | Failure::ShuttingDown => Fate::Uncertain,
        }
    }

    /// Whether the connection can be used for something else, after a rollback.
    pub(super) fn leaves_connection(&self) -> bool {
        match self {
            Failure::Rejected(_) | Failure::Overtaken | Failure::TransactionEnded => true,
            Failure::Database(error, _) => !error.is_fatal() && !self.is_absence(),
            Failure::Unfit(_) | Failure::Nowhere { .. } | Failure::Silent(..) | Failure::ShuttingDown => false,
        }
    }

    /// Whether there is no server that could be asked again at once.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            Failure::Database(Error::Server(error), _) => GOING_OR_AWAY.contains(&error.code),
            Failure::Database(Error::Io(_) | Error::Driver(_) | Error::Other(_), _) => true,
            Failure::Nowhere { .. } => true,
            _ => false,
        }
    }

    /// Whether nothing was carried out, and another server of the same cluster may do better.
    pub(super) fn is_of_this_server(&self) -> bool {
        match self {
            Failure::Silent(_, Sent::Revocable) => true,
            _ => matches!(self.fate(), Fate::TryAgain | Fate::Unusable) && (self.is_absence() || self.is_unusable()),
        }
    }

    /// Whether the server said exactly this.
    pub(super) fn is_about(&self, code: u16) -> bool {
        matches!(self, Failure::Database(Error::Server(error), _) if error.code == code)
    }

    /// Whether others did the same at once and were faster.
    pub(super) fn is_race(&self) -> bool {
        self.fate() == Fate::TryAgain && !self.is_absence()
    }

    pub(super) fn is_unusable(&self) -> bool {
        self.fate() == Fate::Unusable
    }

    pub(super) fn during(self, operation: &'static str, address: &str) -> KnowledgeError {
        let fate = self.fate();
        let reason = match self {
            Failure::Rejected(rejection) => return rejection.during(operation),
            other => other.reason(),
        };
        match fate {
            Fate::TryAgain | Fate::NotExecuted => {
                KnowledgeError::NotExecuted { operation, reason: format!("{address}: {reason}") }
            }
            Fate::Uncertain => KnowledgeError::Uncertain { operation, reason: format!("{address}: {reason}") },
            Fate::Unusable => KnowledgeError::Unusable { address: address.to_owned(), reason },
        }
    }

    /// What went wrong, and what to do about it.
    pub(super) fn reason(&self) -> String {
        match self {
            Failure::Rejected(rejection) => rejection.to_string(),
            Failure::Overtaken => "others changed the same rows again and again; it will be tried later".to_owned(),
            Failure::TransactionEnded => "the server ended the transaction itself, again and again (its answers are without \
                                          SERVER_STATUS_IN_TRANS); do several servers of a cluster take the same writes, or \
                                          does a proxy stand between?"
                .to_owned(),
            Failure::Database(error, _) => describe(error),
            Failure::Unfit(why) => why.clone(),
            Failure::Nowhere { reasons, .. } => reasons.join("; "),
            Failure::Silent(limit, _) => {
                format!("no answer within {} s; is the server up, and the network between?", limit.as_secs_f64())
            }
            Failure::ShuttingDown => "this process is shutting down".to_owned(),
        }
    }
}

/// The server ends, somebody ended the connection, or a member of a cluster is without the others.
const GOING_OR_AWAY: [u16; 5] = [1047, 1053, 1077, 1079, 1927];

fn fate(error: &Error, sent: Sent) -> Fate {
    match error {
        Error::Driver(error) => of_driver(error, sent),
        Error::Io(IoError::Io(error)) if is_about_certificate(error) => match sent {
            Sent::Revocable => Fate::Unusable,
            Sent::Commit => Fate::Uncertain,
        },
        Error::Io(IoError::Io(_)) | Error::Other(_) => lost(sent),
        // Of the files and names that a connection is to be made with.
        Error::Io(IoError::Tls(_)) => match sent {
            Sent::Revocable => Fate::Unusable,
            Sent::Commit => Fate::Uncertain,
        },
        Error::Server(error) => of_server(error.code, sent),
        Error::Url(_) => Fate::Unusable,
    }
}

/// A handshake that failed: the TLS library says so in this kind.
fn is_about_certificate(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// The connection broke.
fn lost(sent: Sent) -> Fate {
    match sent {
        Sent::Revocable => Fate::TryAgain,
        Sent::Commit => Fate::Uncertain,
    }
}

fn of_driver(error: &DriverError, sent: Sent) -> Fate {
    match error {
        DriverError::ConnectionClosed
        | DriverError::PoolDisconnected
        | DriverError::PacketOutOfOrder
        | DriverError::UnexpectedPacket { .. }
        | DriverError::PacketTooLarge
        | DriverError::BadCompressedPacketHeader => lost(sent),
        // Met while connecting.
        DriverError::CantParseServerVersion { .. }
        | DriverError::UnknownAuthPlugin { .. }
        | DriverError::NamedPipesDisabled
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::NoKeyFound
        | DriverError::NoClientSslFlagFromServer
        | DriverError::CleartextPluginDisabled
        | DriverError::InvalidParsecSalt => Fate::Unusable,
        // Met before anything is sent.
        DriverError::Params(_)
        | DriverError::MixedParams
        | DriverError::NestedTransaction
        | DriverError::ReadOnlyTransNotSupported
        | DriverError::StmtParamsMismatch { .. }
        | DriverError::StmtParamsNumberExceedsLimit { .. }
        | DriverError::BulkExecute(_) => Fate::NotExecuted,
        // Met in an answer, which a write that commits itself was the cause of.
        DriverError::FromValue { .. } | DriverError::FromRow { .. } | DriverError::LocalInfile(_) => match sent {
            Sent::Revocable => Fate::NotExecuted,
            Sent::Commit => Fate::Uncertain,
        },
    }
}

/// By the codes of MySQL, MariaDB, Galera, group replication, Vitess and TiDB.
fn of_server(code: u16, sent: Sent) -> Fate {
    match code {
        // Deadlock, lock timeout, a row or key that somebody else was faster with: rolled back, says the server.
        1020 | 1062 | 1205 | 1213 | 3101 | 8002 | 8022 | 8028 | 9007 => Fate::TryAgain,
        // Too many connections.
        1040 | 1203 | 1226 => Fate::TryAgain,
        // The host, user or password is refused; a right, the schema or a table is missing.
        1044 | 1045 | 1049 | 1129 | 1130 | 1142 | 1143 | 1146 | 1227 | 1251 | 1275 | 1524 | 1665 | 1698 | 1820
        | 1862 | 3118 | 3159 | 4151 => Fate::Unusable,
        // Statements and values that are refused before anything is written; read-only servers; full disks.
        1021 | 1048 | 1054 | 1064 | 1114 | 1153 | 1264 | 1265 | 1290 | 1364 | 1366 | 1406 | 1792 | 1836 => {
            Fate::NotExecuted
        }
        code if GOING_OR_AWAY.contains(&code) => lost(sent),
        // Somebody ended the statement, or its time was over.
        1317 | 1969 | 3024 => lost(sent),
        // Of all others nothing is known: they count as harmless only where nothing was committed.
        _ => match sent {
            Sent::Revocable => Fate::NotExecuted,
            Sent::Commit => Fate::Uncertain,
        },
    }
}

fn describe(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("{} (error {}){}", error.message, error.code, advice(error.code)),
        Error::Io(IoError::Io(error)) if is_about_certificate(error) => {
            format!(
                "TLS: {error}; its certificate must name the URL's host, and be signed by an authority in `ca=FILE`"
            )
        }
        Error::Io(IoError::Io(error)) => error.to_string(),
        Error::Io(IoError::Tls(error)) => format!("TLS: {error}; look at the file behind `ca=`"),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            "the server has no TLS; set it up there, or take `tls=true` from the URL".to_owned()
        }
        Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            format!("the account's authentication plugin `{name}` is none that this program speaks; {PLUGINS}")
        }
        Error::Driver(DriverError::MysqlOldPasswordDisabled) => {
            format!("the account's authentication plugin `mysql_old_password` protects no password; {PLUGINS}")
        }
        Error::Driver(DriverError::CleartextPluginDisabled) => {
            "the account's authentication plugin `mysql_clear_password` wants the password itself, which is sent with TLS \
             alone: set it up on the server, and add `?tls=true` to the URL"
                .to_owned()
        }
        Error::Driver(DriverError::UnexpectedPacket { .. }) => {
            "an answer that was not expected; of an account with several authentication plugins the first of them has to \
             accept the password"
                .to_owned()
        }
        Error::Driver(error) => error.to_string(),
        Error::Other(error) => error.to_string(),
        Error::Url(error) => error.to_string(),
    }
}

/// What to do about an account with any other.
const PLUGINS: &str = "give the account one of those in docs/database.md, for example with `alter user ... identified via \
                       mysql_native_password using password('...')`";

fn advice(code: u16) -> &'static str {
    match code {
        1044 | 1045 | 1698 => "; check the user and AGENT_DATABASE_PASSWORD, and what docs/database.md grants",
        1040 => {
            "; raise max_connections on the server: each agent holds up to 4 connections, see docs/database.md for how many \
             are needed"
        }
        1203 | 1226 => {
            "; raise max_user_connections, or the account's own limits: each agent holds up to 4 connections"
        }
        1251 | 1275 | 1524 => "; give the account an authentication plugin that docs/database.md names",
        1820 | 1862 => "; the account's password has expired: set another one there and in AGENT_DATABASE_PASSWORD",
        3118 | 4151 => "; unlock it with `alter user ... account unlock`",
        3159 => "; add `?tls=true` to the URL",
        1142 | 1143 | 1227 => "; grant what docs/database.md shows",
        1049 => "; `agent db init URL` makes the schema",
        1146 => "; `agent db init URL` makes the tables",
        1205 => "; another program holds the row: end its transaction, or wait",
        1021 | 1114 => "; make room on its disk",
        1290 | 1792 | 1836 => "; name the server that takes writes",
        1665 => "; set binlog_format = ROW",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::ServerError;

    fn server(code: u16) -> Error {
        Error::Server(ServerError { code, message: "said".to_owned(), state: "HY000".to_owned() })
    }

    fn broken() -> Error {
        Error::Io(IoError::Io(io::Error::from(io::ErrorKind::ConnectionReset)))
    }

    #[test]
    fn a_broken_connection_is_uncertain_only_after_a_commit_was_sent() {
        let closed = || Error::Driver(DriverError::ConnectionClosed);
        for error in [broken, closed, || server(1047), || server(1053), || server(1927), || server(1969)] {
            assert_eq!(fate(&error(), Sent::Revocable), Fate::TryAgain, "{}", error());
            assert_eq!(fate(&error(), Sent::Commit), Fate::Uncertain, "{}", error());
        }
    }

    #[test]
    fn what_the_server_rolled_back_is_certain_also_after_a_commit_was_sent() {
        let check = |codes: &[u16], expected| {
            for (code, sent) in codes.iter().flat_map(|code| [(*code, Sent::Revocable), (*code, Sent::Commit)]) {
                assert_eq!(fate(&server(code), sent), expected, "error {code}, {sent:?}");
            }
        };
        check(&[1205, 1213, 1062, 1020, 9007, 3101, 1040], Fate::TryAgain);
        check(&[1045, 1049, 1142, 1146, 1275, 1862], Fate::Unusable);
        check(&[1114, 1290, 1406], Fate::NotExecuted);
    }

    #[test]
    fn of_an_unknown_error_the_worst_is_assumed() {
        for code in [1180, 8501, 65_000] {
            assert_eq!(fate(&server(code), Sent::Revocable), Fate::NotExecuted);
            assert_eq!(fate(&server(code), Sent::Commit), Fate::Uncertain);
        }
    }

    #[test]
    fn who_is_away_is_told_from_who_is_busy() {
        let absent = |error| Failure::Database(error, Sent::Revocable).is_absence();
        assert!(absent(broken()) && absent(server(1047)) && absent(server(1053)));
        assert!(!absent(server(1040)) && !absent(server(1213)) && !Failure::TransactionEnded.is_absence());
    }

    #[test]
    fn silence_is_uncertain_only_after_a_commit_was_sent() {
        let silent = |sent| Failure::Silent(Duration::from_secs(10), sent).during("claim", "mysql://u@h/s");
        let expected = "claim: not carried out: mysql://u@h/s: no answer within 10 s; is the server up, and the network \
                        between?";
        assert_eq!(silent(Sent::Revocable).to_string(), expected);
        assert!(matches!(silent(Sent::Commit), KnowledgeError::Uncertain { operation: "claim", .. }));
    }

    #[test]
    fn what_a_person_must_do_is_said() {
        let said = |error| Failure::Database(error, Sent::Revocable).during("snapshot", "mysql://u@h/s").to_string();
        assert_eq!(said(server(1146)), "mysql://u@h/s: said (error 1146); `agent db init URL` makes the tables");
        let no_tls = said(Error::Driver(DriverError::NoClientSslFlagFromServer));
        assert_eq!(no_tls, "mysql://u@h/s: the server has no TLS; set it up there, or take `tls=true` from the URL");
        assert_eq!(said(broken()), "snapshot: not carried out: mysql://u@h/s: connection reset");
        for code in [1040, 1203] {
            let holds = format!("each agent holds up to {} connections", super::super::connect::CONNECTIONS);
            assert!(said(server(code)).contains(&holds), "{}", said(server(code)));
        }
        let plugin = said(Error::Driver(DriverError::UnknownAuthPlugin { name: "sha256_password".to_owned() }));
        assert!(plugin.contains("plugin `sha256_password` is none that this program speaks; give the"), "{plugin}");
        assert!(said(Error::Driver(DriverError::CleartextPluginDisabled)).ends_with("add `?tls=true` to the URL"));
    }
}
