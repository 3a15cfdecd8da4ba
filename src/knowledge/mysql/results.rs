//! Tables that are not the agents': results that somebody wants in a server, many rows at a time.

use super::connect::MysqlSettings;
use super::failure::{Failure, Sent};
use super::schema::connect;
use crate::knowledge::Result;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Params, Value};
use serde_json::Value as Json;

/// As errors name it.
const OPERATION: &str = "store results";

/// A session at the first server that answers. Each statement commits itself.
pub struct ResultTables {
    connection: Conn,
    address: String,
}

impl ResultTables {
    /// # Errors
    /// No server answers, or it has no such schema.
    pub async fn connect(settings: &MysqlSettings) -> Result<Self> {
        let address = settings.to_string();
        let connection = connect(settings).await.map_err(|failure| failure.during(OPERATION, &address))?;
        Ok(Self { connection, address })
    }

    /// # Errors
    /// The server does not do it.
    pub async fn execute(&mut self, sql: &str, values: Vec<Json>) -> Result<()> {
        let done = self.connection.exec_drop(sql, parameters(values)).await;
        done.map_err(|error| self.failed(error))
    }

    /// The number of the row that is added.
    ///
    /// # Errors
    /// The server does not do it.
    pub async fn add(&mut self, sql: &str, values: Vec<Json>) -> Result<i64> {
        self.execute(sql, values).await?;
        Ok(self.connection.last_insert_id().and_then(|id| i64::try_from(id).ok()).unwrap_or_default())
    }

    /// What the first column of each row holds.
    ///
    /// # Errors
    /// The server does not do it.
    pub async fn numbers(&mut self, sql: &str, values: Vec<Json>) -> Result<Vec<i64>> {
        let read = self.connection.exec(sql, parameters(values)).await;
        read.map_err(|error| self.failed(error))
    }

    /// All of them together; each has a value for each column.
    ///
    /// # Errors
    /// The server takes none of them.
    pub async fn insert(&mut self, table: &str, columns: &[&str], rows: Vec<Vec<Json>>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let sql =
            format!("insert into `{table}` (`{}`) values {}", columns.join("`, `"), vec![row; rows.len()].join(", "));
        self.execute(&sql, rows.into_iter().flatten().collect()).await
    }

    /// # Errors
    /// The server has gone meanwhile.
    pub async fn end(self) -> Result<()> {
        let Self { connection, address } = self;
        let ended = connection.disconnect().await;
        ended.map_err(|error| Failure::Database(error, Sent::Commit).during(OPERATION, &address))
    }

    fn failed(&self, error: mysql_async::Error) -> crate::knowledge::KnowledgeError {
        Failure::Database(error, Sent::Commit).during(OPERATION, &self.address)
    }
}

fn parameters(values: Vec<Json>) -> Params {
    if values.is_empty() { Params::Empty } else { Params::Positional(values.into_iter().map(value).collect()) }
}

/// Null, numbers and texts as such, everything else as the JSON that it is.
fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::NULL,
        Json::String(text) => Value::Bytes(text.into_bytes()),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Value::Int(integer),
            (None, Some(integer)) => Value::UInt(integer),
            (None, None) => number.as_f64().map_or(Value::NULL, Value::Double),
        },
        json @ (Json::Bool(_) | Json::Array(_) | Json::Object(_)) => Value::Bytes(json.to_string().into_bytes()),
    }
}
