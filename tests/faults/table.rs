//! The shared table as its operator has it: taken away, brought back, cut off from single agents, and looked at with a
//! client that is not the agents'.

use super::network::PATIENCE;
use super::network::audit::Audit;
use super::schedule::{Cut, Way};
use super::server::Server;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

pub enum Table {
    Sqlite(Sqlite),
    MariaDb(Box<Server>),
}

/// A file; whoever takes it away locks it.
pub struct Sqlite {
    data: PathBuf,
    locked: Option<Connection>,
}

/// An error of looking: the table is away.
pub type Looked<T> = Result<T, String>;

impl Table {
    pub fn sqlite(data: &Path) -> Self {
        Table::Sqlite(Sqlite { data: data.to_owned(), locked: None })
    }

    /// `Err`: what is missing on this machine.
    pub fn mariadb(place: &Path, data: &Path, runtime: &Handle) -> Result<Self, String> {
        Ok(Table::MariaDb(Box::new(Server::start(place, data, runtime)?)))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Table::Sqlite(_) => "sqlite",
            Table::MariaDb(_) => "mariadb",
        }
    }

    /// What an agent is told about the table, besides the configuration.
    pub fn address_for(&self, agent: u32) -> Option<String> {
        match self {
            Table::Sqlite(_) => None,
            Table::MariaDb(server) => Some(server.address_for(agent)),
        }
    }

    /// Waits for the tables that an agent is making, and has every closing and every move of a counter written down.
    pub fn watch(&self) {
        match self {
            Table::Sqlite(sqlite) => drop(Audit::of_new(&sqlite.data)),
            Table::MariaDb(server) => server.watch(),
        }
    }

    /// All tables as they are at one moment.
    pub fn look(&self) -> Looked<Audit> {
        match self {
            Table::Sqlite(sqlite) => Audit::open(&sqlite.data).ok_or_else(|| "there is no table yet".to_owned()),
            Table::MariaDb(server) => server.mirror(),
        }
    }

    /// Who has claimed an action and not ended it, and its kind.
    pub fn running_actions(&self) -> Looked<Vec<(u32, String)>> {
        const SQL: &str = "select agent, action_type from events where outcome = 'running'";
        match self {
            Table::Sqlite(_) => Ok(self.look()?.rows(SQL, |row| Ok((row.get(0)?, row.get(1)?)))),
            Table::MariaDb(server) => server.rows(SQL),
        }
    }

    pub fn take_away(&mut self) {
        match self {
            Table::Sqlite(sqlite) => {
                let file = Connection::open(sqlite.data.join("network.db")).expect("the table is there");
                file.busy_timeout(PATIENCE).expect("a time-out can be set");
                file.execute_batch("begin exclusive").expect("nobody holds it for long");
                sqlite.locked = Some(file);
            }
            Table::MariaDb(server) => server.kill(),
        }
    }

    pub fn bring_back(&mut self) {
        match self {
            Table::Sqlite(sqlite) => sqlite.locked = None,
            Table::MariaDb(server) => server.restart(),
        }
    }

    /// Whether agents reach it from other machines: through something that can be cut, with clocks of their own.
    pub fn is_remote(&self) -> bool {
        matches!(self, Table::MariaDb(_))
    }

    pub fn cut(&self, agent: u32, way: Way, how: Cut) {
        if let Table::MariaDb(server) = self {
            server.cut(agent, way, how);
        }
    }

    pub fn mend(&self, agent: u32, way: Way, how: Cut) {
        if let Table::MariaDb(server) = self {
            server.mend(agent, way, how);
        }
    }
}
