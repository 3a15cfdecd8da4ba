//! The routing records of the table, as people ask for them.

use super::experiments::who;
use crate::app::Failure;
use crate::app::batch::new_key;
use agent_core::config::Invalid;
use agent_load::balancer::BalancerKind;
use agent_load::register::Scope;
use agent_load::register::routing::{Entry, Flush, Reroute, unrouted};
use agent_load::steering::{Routing, parse_routing};
use agent_load::table::{LoadTable, carry_out};
use anyhow::anyhow;

/// What else can be said of a change.
#[derive(Clone, Copy, Default)]
pub struct Conditions {
    /// `None`: as before.
    pub balancer: Option<BalancerKind>,
    /// Only if the record is of this revision.
    pub revision: Option<u64>,
}

/// What was asked for.
pub enum Routed {
    /// After a change, the records as they are now.
    Entries(Vec<Entry>),
    /// These services are routed no more.
    Unrouted(Vec<String>),
}

/// Reads what is asked for as the shell's `rtbl` does.
pub fn read(what: &str, words: &[&str]) -> Result<Routing, Failure> {
    parse_routing(what, words)
        .map_err(|Invalid { problem, help }| Failure::Configuration(format!("{what}: {problem}\n  help: {help}")))
}

pub async fn route(table: &dyn LoadTable, routing: Routing, conditions: Conditions) -> anyhow::Result<Routed> {
    let Conditions { balancer, revision } = conditions;
    let entries = async |scope: Scope| anyhow::Ok(table.look(scope).await?.entries);
    Ok(match routing {
        Routing::Change { service, change } => {
            let reroute = Reroute { key: new_key(), service, change, balancer, revision, by: who() };
            let entry = carry_out(table, reroute).await?;
            match entry.is_routed() {
                true => Routed::Entries(vec![entry]),
                false => Routed::Unrouted(vec![entry.service]),
            }
        }
        Routing::Info { service } => {
            let found = entries(Scope::of_services([service.as_str()])).await?.remove(&service);
            let entry = found.filter(Entry::is_routed).ok_or_else(|| anyhow!(unrouted(&service)))?;
            Routed::Entries(vec![entry])
        }
        Routing::List => {
            let all = entries(Scope::of_all_services()).await?;
            Routed::Entries(all.into_values().filter(Entry::is_routed).collect())
        }
        Routing::Flush => Routed::Unrouted(carry_out(table, Flush { key: new_key(), by: who() }).await?),
    })
}
