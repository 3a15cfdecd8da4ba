//! Applications: shown, added, and asked for something else.

use super::{tag, tagged};
use crate::api::Shared;
use crate::api::extract::{IfMatch, Json, Path, Query};
use crate::api::listing::{Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Agent, AgentAddition, AgentChange};
use crate::app::{applications, change};
use agent_core::config::NewAgent;
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::placement::Override;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// All registered agents.
#[utoipa::path(get, path = "/agents", operation_id = "list_agents", tag = "agents", params(Listing),
    responses((status = OK, body = Page<Agent>)))]
pub async fn list(State(api): Shared, Query(listing): Query<Listing>) -> Result<axum::Json<Page<Agent>>, Problem> {
    Ok(axum::Json(listing.of(api.view().await?.agents)?))
}

/// One agent. Its `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/agents/{id}", operation_id = "show_agent", tag = "agents", params(("id" = u32, Path)),
    responses((status = OK, body = Agent)))]
pub async fn show(State(api): Shared, Path(id): Path<u32>) -> Result<Response, Problem> {
    Ok(answer(api.view().await?.require_agent(id)?))
}

fn answer(agent: &Agent) -> Response {
    tagged(tag_of(agent), agent)
}

/// Of what can be changed about it.
fn tag_of(agent: &Agent) -> String {
    tag(&(agent.id, &agent.goal_override, &agent.policy_override))
}

/// Goal and policy of an application, in place of its configuration; what is not named stays. It acts from the next job on, and lasts
/// until it is taken back.
#[utoipa::path(patch, path = "/agents/{id}", operation_id = "change_agent", tag = "agents",
    params(("id" = u32, Path), ("If-Match" = Option<String>, Header, description = "Change it only if it is still so")),
    request_body = AgentChange, responses((status = OK, body = Agent)))]
pub async fn change(
    State(api): Shared,
    Path(id): Path<u32>,
    expected: IfMatch,
    Json(wanted): Json<AgentChange>,
) -> Result<Response, Problem> {
    let AgentChange { goal, policy } = wanted;
    let _one_at_a_time = api.writing.lock().await;
    let view = api.view().await?;
    let agent = view.require_agent(id)?;
    expected.check(&tag_of(agent), &format!("agent {id}"), agent)?;
    let settings = &api.surroundings.settings;
    let stated = goal.map(Override::Goal).into_iter().chain(policy.map(Override::Policy));
    let stated: Vec<Override> = stated.collect();
    for stated in &stated {
        change::sound(settings, AgentId(id), stated).map_err(|why| Problem::new(ErrorCode::Invalid, why))?;
    }
    for stated in stated {
        change::overriding(api.knowledge(), settings, AgentId(id), stated).await?;
    }
    Ok(answer(api.view().await?.require_agent(id)?))
}

/// Adds an application: its configuration, written beside the others, and its registration. `agent run --id ID` runs it.
#[utoipa::path(post, path = "/agents", operation_id = "add_agent", tag = "agents", request_body = AgentAddition,
    responses((status = CREATED, body = Agent)))]
pub async fn add(State(api): Shared, Json(wanted): Json<AgentAddition>) -> Result<Response, Problem> {
    let Some(directory) = &api.configuration else {
        let what = "the built-in configuration cannot be added to";
        return Err(Problem::new(ErrorCode::Refused, what).with_help("start the server with a --config of your own"));
    };
    let AgentAddition { id, goal, node, like, policy } = wanted;
    let first = api.surroundings.settings.agents.keys().next().copied();
    let like = like.map(AgentId).or(first).unwrap_or(AgentId(id));
    let wanted = NewAgent { id: AgentId(id), goal, node: node.map(NodeId), policy, like };
    let _one_at_a_time = api.writing.lock().await;
    applications::add(api.knowledge(), &api.surroundings.settings, directory, &wanted).await?;
    let view = api.view().await?;
    let location = format!("{}/agents/{id}", super::BASE);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(view.require_agent(id)?)).into_response())
}
