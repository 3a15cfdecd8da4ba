//! Where the requests of services go: as this process alone says, or as a table that others share.

use super::answer::Answer;
use super::refused::Refused;
use super::routes::{Routes, unknown};
use super::shared::OnTable;
use crate::routes::{News, Routed};
use crate::steering::Routing;
use agent_core::config::Invalid;
use std::sync::Arc;

pub enum RoutingTable {
    Own(Routes),
    Shared(OnTable),
}

impl RoutingTable {
    /// What requests of this service follow.
    pub(super) async fn of(&self, service: &str) -> Result<Arc<Routed>, Refused> {
        match self {
            Self::Own(routes) => Ok(Arc::clone(routes.of(service).ok_or_else(|| unknown(service))?)),
            Self::Shared(table) => table.of(service).await,
        }
    }

    /// The services that have a record, as far as it is known here.
    pub fn services(&self) -> Vec<String> {
        match self {
            Self::Own(routes) => routes.records().map(|record| record.service().to_owned()).collect(),
            Self::Shared(table) => table.services(),
        }
    }

    /// What others changed of services that are followed, since this was asked last.
    pub fn news(&self) -> Vec<News> {
        match self {
            Self::Own(_) => Vec::new(),
            Self::Shared(table) => table.news(),
        }
    }

    pub(super) async fn perform(&mut self, routing: &Routing) -> Result<Answer, Refused> {
        match self {
            Self::Own(routes) => Ok(own(routes, routing)?),
            Self::Shared(table) => table.route(routing).await,
        }
    }
}

fn own(routes: &mut Routes, routing: &Routing) -> Result<Answer, Invalid> {
    match routing {
        Routing::Change { service, change } => Ok(match routes.change(service, change)? {
            Some(record) => Answer::Routed(Vec::from([record])),
            None => Answer::Unrouted(Vec::from([service.clone()])),
        }),
        Routing::Info { service } => {
            let record = routes.record(service).ok_or_else(|| unknown(service))?;
            Ok(Answer::Routed(Vec::from([record])))
        }
        Routing::List => Ok(Answer::Routed(routes.records().collect())),
        Routing::Flush => Ok(Answer::Unrouted(routes.flush())),
    }
}
