//! Experiments, routing records and load hosts as rows of an SQL database, alike for all of them: columns are what is looked for, and a document
//! says everything.

use super::{LISTED_MAX, Listing};
use crate::register::Settings;
use crate::register::experiment::{Experiment, ExperimentId};
use crate::register::hosts::LoadHost;
use crate::register::orders::{ANSWER_MAX, Order, OrderId};
use crate::register::queue::FILES_MAX;
use crate::register::routing::Entry;
use agent_core::knowledge::quarantine::{Field, Fields, Table};
use agent_core::knowledge::requests::read_document;

pub const SETTINGS: Table = Table { name: "load_settings", key: &["id"] };
pub const EXPERIMENTS: Table = Table { name: "load_experiments", key: &["id"] };
pub const FILES: Table = Table { name: "load_files", key: &["experiment", "name"] };
pub const HOSTS: Table = Table { name: "load_hosts", key: &["name"] };
pub const ORDERS: Table = Table { name: "load_orders", key: &["id"] };
pub const ANSWERS: Table = Table { name: "load_answers", key: &["order_id"] };
pub const ROUTES: Table = Table { name: "load_routes", key: &["service"] };

/// Experiments in these states are not over, as a list in SQL.
pub const LIVE: &str = "('queued', 'running')";

/// Of keys and names \[bytes\].
const NAME_MAX: usize = 255;

pub fn settings(row: &mut Fields<'_>) -> Field<Settings> {
    read_document(row)
}

pub fn experiment(row: &mut Fields<'_>) -> Field<Experiment> {
    let (id, state) = (ExperimentId(row.countable("id")?), row.parsed("state")?);
    Ok(Experiment { id, state, key: row.exact("request_key", NAME_MAX)?, ..read_document(row)? })
}

/// Its name and its text.
pub fn file(row: &mut Fields<'_>) -> Field<(String, String)> {
    Ok((row.exact("name", NAME_MAX)?, row.exact("content", FILES_MAX)?))
}

pub fn entry(row: &mut Fields<'_>) -> Field<Entry> {
    let (service, revision) = (row.exact("service", NAME_MAX)?, row.amount("revision")?);
    let entry = Entry { service, revision, ..read_document(row)? };
    match entry.is_routed() && entry.record().is_none() {
        true => row.leave_out("document", "its hosts make no record"),
        false => Ok(entry),
    }
}

pub fn host(row: &mut Fields<'_>) -> Field<LoadHost> {
    Ok(LoadHost { name: row.exact("name", NAME_MAX)?, ..read_document(row)? })
}

pub fn order(row: &mut Fields<'_>) -> Field<Order> {
    let (id, host) = (OrderId(row.countable("id")?), row.exact("host", NAME_MAX)?);
    Ok(Order { id, host, ..read_document(row)? })
}

pub fn answer(row: &mut Fields<'_>) -> Field<String> {
    row.exact("content", ANSWER_MAX)
}

impl Listing {
    /// What stands behind a `select` of experiments. Nothing in it was written by a person.
    pub fn rest(&self) -> String {
        let states: Vec<String> = self.states.iter().map(|state| format!("'{}'", state.name())).collect();
        let states = if states.is_empty() { "true".to_owned() } else { format!("state in ({})", states.join(", ")) };
        format!("where {states} order by id desc limit {}", self.limit.min(LISTED_MAX))
    }
}
