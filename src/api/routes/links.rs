//! Links: shown and changed.

use super::{tag, tagged};
use crate::api::extract::{IfMatch, Json, Path, Query};
use crate::api::listing::{Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Link, LinkChange};
use crate::api::{Api, Shared};
use crate::app::catalogue::Catalogue;
use crate::app::change;
use agent_core::domain::environment::Links;
use agent_core::domain::ids::NodeId;
use axum::extract::State;
use axum::response::Response;
use std::collections::BTreeMap;

/// All links, one direction each.
#[utoipa::path(get, path = "/links", operation_id = "list_links", tag = "network", params(Listing),
    responses((status = OK, body = Page<Link>)))]
pub async fn list(State(api): Shared, Query(listing): Query<Listing>) -> Result<axum::Json<Page<Link>>, Problem> {
    Ok(axum::Json(listing.of(links(&api).await?)?))
}

async fn links(api: &Api) -> Result<BTreeMap<(u32, u32), Link>, Problem> {
    let catalogue = Catalogue::load(api.knowledge()).await?;
    // Every snapshot knows the same links.
    let links = catalogue.snapshots.first().into_iter().flat_map(Link::of);
    Ok(links.map(|link| ((link.from, link.to), link)).collect())
}

async fn find(api: &Api, from: u32, to: u32) -> Result<Link, Problem> {
    let mut all = links(api).await?;
    let known: Vec<String> = all.keys().map(|(from, to)| format!("{from}/{to}")).collect();
    all.remove(&(from, to)).ok_or_else(|| Problem::unknown("link", format!("{from}/{to}"), known))
}

/// The way from one node to another. Its `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/links/{from}/{to}", operation_id = "show_link", tag = "network",
    params(("from" = u32, Path), ("to" = u32, Path)), responses((status = OK, body = Link)))]
pub async fn show(State(api): Shared, Path((from, to)): Path<(u32, u32)>) -> Result<Response, Problem> {
    Ok(answer(&find(&api, from, to).await?))
}

fn answer(link: &Link) -> Response {
    tagged(tag_of(link), link)
}

/// Of what can be changed about it: what is measured goes on changing.
fn tag_of(link: &Link) -> String {
    tag(&(link.from, link.to, link.declared.then_some(link.latency_ms), link.jitter_ms))
}

/// The latency of a link. It acts from the next job on.
#[utoipa::path(patch, path = "/links/{from}/{to}", operation_id = "change_link", tag = "network",
    params(("from" = u32, Path), ("to" = u32, Path),
        ("If-Match" = Option<String>, Header, description = "Change it only if it is still so")),
    request_body = LinkChange, responses((status = OK, body = Link)))]
pub async fn change(
    State(api): Shared,
    Path((from, to)): Path<(u32, u32)>,
    expected: IfMatch,
    Json(wanted): Json<LinkChange>,
) -> Result<Response, Problem> {
    let LinkChange { latency_ms, both_directions } = wanted;
    if let Some(latency_ms) = latency_ms.filter(|latency_ms| !(0.0..=1e9).contains(latency_ms)) {
        return Err(Problem::new(ErrorCode::Invalid, format!("latency_ms: {latency_ms} is not within 0 and 10^9")));
    }
    if latency_ms.is_none() && api.surroundings.network().links_are() == Links::Injected {
        let why = "latency_ms: this network's latency is injected; nobody measures it";
        return Err(Problem::new(ErrorCode::Invalid, why));
    }
    let _one_at_a_time = api.writing.lock().await;
    let link = find(&api, from, to).await?;
    expected.check(&tag_of(&link), &format!("link {from}/{to}"), &link)?;
    change::latency(api.knowledge(), (NodeId(from), NodeId(to)), latency_ms, both_directions).await?;
    Ok(answer(&find(&api, from, to).await?))
}
