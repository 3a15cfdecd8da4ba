//! Nodes: shown, added, changed, removed.

use super::{tag, tagged};
use crate::api::Shared;
use crate::api::extract::{IfMatch, Json, Path, Query};
use crate::api::listing::{Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Changed, Node, NodeAddition, NodeChange};
use crate::app::change;
use crate::app::nodes::{self, Described, Objects, Present};
use agent_core::domain::environment::{Availability, Links};
use agent_core::domain::ids::NodeId;
use agent_core::domain::labels;
use agent_core::domain::store_url::StoreUrl;
use agent_core::domain::units::Percent;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::BTreeMap;
use utoipa::IntoParams;

/// All nodes.
#[utoipa::path(get, path = "/nodes", operation_id = "list_nodes", tag = "network", params(Listing),
    responses((status = OK, body = Page<Node>)))]
pub async fn list(State(api): Shared, Query(listing): Query<Listing>) -> Result<axum::Json<Page<Node>>, Problem> {
    Ok(axum::Json(listing.of(api.view().await?.nodes)?))
}

/// One node. Its `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/nodes/{id}", operation_id = "show_node", tag = "network", params(("id" = u32, Path)),
    responses((status = OK, body = Node)))]
pub async fn show(State(api): Shared, Path(id): Path<u32>) -> Result<Response, Problem> {
    Ok(answer(api.view().await?.require_node(id)?))
}

fn answer(node: &Node) -> Response {
    tagged(tag_of(node), node)
}

/// Of what can be changed about it.
fn tag_of(node: &Node) -> String {
    tag(&(node.id, node.availability_percent, &node.availability_basis, &node.labels, node.state == "leaving"))
}

/// Availability and labels of a node; what is not named stays. It acts from the next job on.
#[utoipa::path(patch, path = "/nodes/{id}", operation_id = "change_node", tag = "network",
    params(("id" = u32, Path), ("If-Match" = Option<String>, Header, description = "Change it only if it is still so")),
    request_body = NodeChange, responses((status = OK, body = Node)))]
pub async fn change(
    State(api): Shared,
    Path(id): Path<u32>,
    expected: IfMatch,
    Json(wanted): Json<NodeChange>,
) -> Result<Response, Problem> {
    let availability = wanted.availability_percent.map(|said| said.map(percent).transpose()).transpose()?;
    if let Some(labels) = &wanted.labels {
        check(labels)?;
    }
    if availability == Some(None) && api.surroundings.network().links_are() == Links::Injected {
        let why = "availability_percent: this network's is declared; nobody measures it";
        return Err(Problem::new(ErrorCode::Invalid, why));
    }
    let _one_at_a_time = api.writing.lock().await;
    let view = api.view().await?;
    let node = view.require_node(id)?;
    expected.check(&tag_of(node), &format!("node {id}"), node)?;
    if let Some(availability) = availability {
        change::availability(api.knowledge(), NodeId(id), availability).await?;
    }
    if let Some(labels) = wanted.labels {
        change::labels(api.knowledge(), NodeId(id), labels).await?;
    }
    Ok(answer(api.view().await?.require_node(id)?))
}

fn percent(value: f64) -> Result<Percent, Problem> {
    Percent::new(value).ok_or_else(|| {
        Problem::new(ErrorCode::Invalid, format!("availability_percent: {value} is not within 0 and 100"))
    })
}

fn check(labels: &BTreeMap<String, String>) -> Result<(), Problem> {
    for word in labels.iter().flat_map(|(name, value)| [name, value]) {
        labels::word(word).map_err(|error| Problem::new(ErrorCode::Invalid, format!("labels: {error}")))?;
    }
    Ok(())
}

/// Adds a node with its links to all others. `agent store --node ID` serves its store.
#[utoipa::path(post, path = "/nodes", operation_id = "add_node", tag = "network", request_body = NodeAddition,
    responses((status = CREATED, body = Node)))]
pub async fn add(State(api): Shared, Json(wanted): Json<NodeAddition>) -> Result<Response, Problem> {
    let described = described(wanted)?;
    let _one_at_a_time = api.writing.lock().await;
    let present = Present::load(api.knowledge()).await?;
    let newcomers = nodes::described(&present, &described);
    let are = api.surroundings.network().links_are();
    if are == Links::Injected && described.availability == Availability::default() {
        return Err(Problem::new(ErrorCode::Invalid, "availability_percent: this network's is declared, not measured"));
    }
    api.knowledge().add_nodes(&newcomers.nodes, &newcomers.links, are).await?;
    let id = newcomers.nodes.first().map_or(0, |node| node.id.0);
    let view = api.view().await?;
    let node = view.require_node(id)?;
    let location = format!("{}/nodes/{id}", super::BASE);
    Ok((StatusCode::CREATED, [(header::LOCATION, location), (header::ETAG, tag_of(node))], axum::Json(node))
        .into_response())
}

fn described(wanted: NodeAddition) -> Result<Described, Problem> {
    let invalid = |what: String| Problem::new(ErrorCode::Invalid, what);
    check(&wanted.labels)?;
    if wanted.id == Some(0) {
        return Err(invalid("id: nodes have numbers from 1".to_owned()));
    }
    let name = wanted.name.as_deref().map(agent_core::config::quantity::name).transpose();
    let mut latency_ms = BTreeMap::new();
    for (node, latency) in wanted.latency_ms {
        let node = node.parse().map_err(|_| invalid(format!("latency_ms: `{}` is no node", node.escape_debug())))?;
        latency_ms.insert(NodeId(node), latency);
    }
    Ok(Described {
        id: wanted.id.map(NodeId),
        name: name.map_err(|error| invalid(format!("name: {}; {}", error.problem, error.help)))?,
        availability: wanted.availability_percent.map(percent).transpose()?.map(Availability::from).unwrap_or_default(),
        latency_ms,
        jitter_ms: wanted.jitter_ms.unwrap_or_default(),
        capacity_bytes: wanted.capacity_bytes,
        labels: wanted.labels,
        store: wanted
            .store_url
            .map(|url| url.parse::<StoreUrl>())
            .transpose()
            .map_err(|error| invalid(format!("store_url: {error}")))?,
    })
}

/// How a node goes.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Removal {
    /// Its store is gone for good: its objects are not deleted.
    lost: bool,
}

/// Removes a node: nothing is brought there any more, what it holds drains, then it is gone. Refused while it holds the only
/// replica of a data set, an application runs on it, or an action is under way there.
#[utoipa::path(delete, path = "/nodes/{id}", operation_id = "remove_node", tag = "network",
    params(("id" = u32, Path), Removal),
    responses((status = OK, body = Changed), (status = ACCEPTED, body = Changed, description = "It is leaving")))]
pub async fn remove(
    State(api): Shared,
    Path(id): Path<u32>,
    Query(removal): Query<Removal>,
) -> Result<(StatusCode, axum::Json<Changed>), Problem> {
    api.view().await?.require_node(id)?;
    let objects = if removal.lost { Objects::Lost } else { Objects::Delete };
    let surroundings = api.surroundings.clone();
    let work = async move { nodes::remove(&surroundings, NodeId(id), objects, |_| {}).await };
    api.carry_out(format!("node {id} is removed"), work).await
}
