//! The network as a whole.

use crate::api::Shared;
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Network, Policy};
use crate::app::database;
use agent_core::config::settings::KnowledgeSettings;
use agent_core::mape::planner::POLICIES;
use axum::extract::State;
use serde_json::Value;
use std::collections::BTreeSet;

/// The network at a glance.
#[utoipa::path(get, path = "/network", operation_id = "show_network", tag = "network",
    responses((status = OK, body = Network)))]
pub async fn network(State(api): Shared) -> Result<axum::Json<Network>, Problem> {
    let view = api.view().await?;
    let statuses = &view.statuses;
    let met = |wanted: bool| view.agents.values().filter(|agent| agent.goal_met == Some(wanted)).count();
    // Nodes and agents are those of all data sets.
    let unhealthy: BTreeSet<&String> = statuses.iter().flat_map(|status| &status.unhealthy).collect();
    let costs = statuses.iter().find_map(|status| status.costs.as_ref());
    Ok(axum::Json(Network {
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        table: api.surroundings.table(),
        now: api.now().to_string(),
        time_scale: api.scale.factor(),
        converged: !statuses.is_empty() && statuses.iter().all(|status| status.converged),
        healthy: statuses.iter().all(|status| status.is_healthy()),
        unhealthy: unhealthy.into_iter().cloned().collect(),
        broken: statuses.iter().flat_map(|status| status.broken.clone()).collect(),
        nodes: view.nodes.len(),
        agents: view.agents.len(),
        goals_met: met(true),
        goals_missed: met(false),
        data_sets: statuses.iter().map(|status| status.data_set.to_string()).collect(),
        costs: costs.and_then(|costs| serde_json::to_value(costs).ok()),
    }))
}

/// The policies that agents can follow.
#[utoipa::path(get, path = "/policies", operation_id = "list_policies", tag = "network",
    responses((status = OK, body = [Policy])))]
pub async fn policies(State(api): Shared) -> Result<axum::Json<Vec<Policy>>, Problem> {
    let view = api.view().await?;
    let policy = |name: &&str| Policy {
        name: (*name).to_owned(),
        agents: view.agents.values().filter(|agent| agent.policy == *name).count(),
    };
    Ok(axum::Json(POLICIES.iter().map(policy).collect()))
}

/// What an examination of the shared table's server and schema finds. Only of a table in a server.
#[utoipa::path(get, path = "/database", operation_id = "check_database", tag = "network",
    responses((status = OK, body = Object)))]
pub async fn database(State(api): Shared) -> Result<axum::Json<Value>, Problem> {
    let table = &api.surroundings.network().knowledge;
    match table {
        KnowledgeSettings::Sqlite(_) => {
            Err(Problem::new(ErrorCode::Refused, "the shared table is a file; there is no server to examine"))
        }
        KnowledgeSettings::Mysql(_) => {
            let report = database::check(table, &api.surroundings.clock, &api.surroundings.services).await?;
            Ok(axum::Json(serde_json::to_value(report).unwrap_or_default()))
        }
    }
}
