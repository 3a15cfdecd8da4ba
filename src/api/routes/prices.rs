//! Prices and budgets.

use crate::api::Shared;
use crate::api::extract::Json;
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{BudgetChange, Changed, EgressPriceChange, StoragePriceChange};
use crate::app::change;
use agent_core::domain::books::{Payer, Stated};
use agent_core::domain::ids::{AgentId, NodeId};
use axum::extract::State;
use std::fmt::Display;
use std::str::FromStr;

/// What may be spent, by the network or by an agent.
#[utoipa::path(put, path = "/budgets", operation_id = "set_budget", tag = "costs", request_body = BudgetChange,
    responses((status = OK, body = Changed)))]
pub async fn budget(State(api): Shared, Json(wanted): Json<BudgetChange>) -> Result<axum::Json<Changed>, Problem> {
    let payer = wanted.agent.map_or(Payer::Network, |agent| Payer::Agent(AgentId(agent)));
    let stated = Stated::Budget(payer, read("budget", wanted.budget)?);
    let changed = change::prices(api.knowledge(), &[stated]).await?;
    Ok(axum::Json(Changed::done(changed)))
}

/// What storage on a node costs.
#[utoipa::path(put, path = "/prices/storage", operation_id = "set_storage_price", tag = "costs",
    request_body = StoragePriceChange, responses((status = OK, body = Changed)))]
pub async fn storage(
    State(api): Shared,
    Json(wanted): Json<StoragePriceChange>,
) -> Result<axum::Json<Changed>, Problem> {
    let stated = Stated::Storage(NodeId(wanted.node), read("price", wanted.price)?);
    let changed = change::prices(api.knowledge(), &[stated]).await?;
    Ok(axum::Json(Changed::done(changed)))
}

/// What it costs that bytes leave a node for another one.
#[utoipa::path(put, path = "/prices/egress", operation_id = "set_egress_price", tag = "costs",
    request_body = EgressPriceChange, responses((status = OK, body = Changed)))]
pub async fn egress(State(api): Shared, Json(wanted): Json<EgressPriceChange>) -> Result<axum::Json<Changed>, Problem> {
    let EgressPriceChange { from, to, price, both_directions } = wanted;
    let price = read("price", price)?;
    let back = both_directions.then_some(Stated::Egress(NodeId(to), NodeId(from), price));
    let stated: Vec<Stated> = [Stated::Egress(NodeId(from), NodeId(to), price)].into_iter().chain(back).collect();
    let changed = change::prices(api.knowledge(), &stated).await?;
    Ok(axum::Json(Changed::done(changed)))
}

/// An amount as people write it; `None` lifts it.
fn read<T: FromStr<Err: Display>>(name: &str, text: Option<String>) -> Result<Option<T>, Problem> {
    let read = text.as_deref().map(str::parse).transpose();
    read.map_err(|error| Problem::new(ErrorCode::Invalid, format!("{name}: {error}")))
}
