//! Data sets: shown, constrained, held; and their replicas.

use super::{tag, tagged};
use crate::api::extract::{IfMatch, Json, Path, Query};
use crate::api::listing::{Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::view::View;
use crate::api::wire::{Changed, ConstraintsChange, DataSet, PauseRequest, Replica};
use crate::api::{Api, Shared};
use crate::app::change;
use agent_core::domain::constraints::Constraints;
use agent_core::domain::ids::DataSetName;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::IntoParams;

/// All data sets.
#[utoipa::path(get, path = "/data-sets", operation_id = "list_data_sets", tag = "data", params(Listing),
    responses((status = OK, body = Page<DataSet>)))]
pub async fn list(State(api): Shared, Query(listing): Query<Listing>) -> Result<axum::Json<Page<DataSet>>, Problem> {
    let View { snapshots, statuses, .. } = api.view().await?;
    let both = snapshots.iter().zip(&statuses);
    let all: BTreeMap<String, DataSet> = both
        .map(|(snapshot, status)| (status.data_set.to_string(), DataSet::new(snapshot, status, api.scale)))
        .collect();
    Ok(axum::Json(listing.of(all)?))
}

/// One data set. Its `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/data-sets/{name}", operation_id = "show_data_set", tag = "data",
    params(("name" = String, Path)), responses((status = OK, body = DataSet)))]
pub async fn show(State(api): Shared, Path(name): Path<String>) -> Result<Response, Problem> {
    find(&api, &name).await.map(|data_set| answer(&data_set))
}

async fn find(api: &Api, name: &str) -> Result<DataSet, Problem> {
    let view = api.view().await?;
    let (snapshot, status) = view.data_set(name)?;
    Ok(DataSet::new(snapshot, status, api.scale))
}

fn answer(data_set: &DataSet) -> Response {
    tagged(tag_of(data_set), data_set)
}

/// Of what can be changed about it.
fn tag_of(data_set: &DataSet) -> String {
    tag(&(&data_set.name, &data_set.constraints, data_set.paused))
}

/// What nobody may do with a data set: all that holds from now on. Refused when nothing could meet all of it.
#[utoipa::path(put, path = "/data-sets/{name}/constraints", operation_id = "constrain_data_set", tag = "data",
    params(("name" = String, Path), ("If-Match" = Option<String>, Header, description = "Change it only if it is still so")),
    request_body = ConstraintsChange, responses((status = OK, body = DataSet)))]
pub async fn constrain(
    State(api): Shared,
    Path(name): Path<String>,
    expected: IfMatch,
    Json(wanted): Json<ConstraintsChange>,
) -> Result<Response, Problem> {
    let constraints = Constraints::try_from(&wanted);
    let constraints = constraints.map_err(|error| Problem::new(ErrorCode::Invalid, error.to_string()))?;
    let _one_at_a_time = api.writing.lock().await;
    let data_set = find(&api, &name).await?;
    expected.check(&tag_of(&data_set), &format!("data set {name}"), &data_set)?;
    change::constraints(api.knowledge(), &name.as_str().into(), |_| constraints).await?;
    Ok(answer(&find(&api, &name).await?))
}

/// Which replicas.
#[derive(Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Replicas {
    data_set: Option<String>,
    node: Option<u32>,
    /// `copying`, `present`, `removing`, `changed` or `damaged`.
    state: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// All replicas, by data set and node.
#[utoipa::path(get, path = "/replicas", operation_id = "list_replicas", tag = "data", params(Replicas),
    responses((status = OK, body = Page<Replica>)))]
pub async fn replicas(State(api): Shared, Query(asked): Query<Replicas>) -> Result<axum::Json<Page<Replica>>, Problem> {
    let view = api.view().await?;
    let all = view
        .statuses
        .iter()
        .flat_map(|status| status.replicas.iter().map(|replica| Replica::new(status, replica)).enumerate());
    let is_asked = |replica: &Replica| {
        asked.data_set.as_ref().is_none_or(|name| *name == replica.data_set)
            && asked.node.is_none_or(|node| node == replica.node)
            && asked.state.as_ref().is_none_or(|state| *state == replica.state)
    };
    // On a node there may be two rows of a data set for a while: one that is removed, one that is made.
    let all: BTreeMap<(String, u32, usize), Replica> = all
        .filter(|(_, replica)| is_asked(replica))
        .map(|(at, replica)| ((replica.data_set.clone(), replica.node, at), replica))
        .collect();
    let listing = Listing { limit: asked.limit, cursor: asked.cursor.clone(), sort: None };
    Ok(axum::Json(listing.of(all)?))
}

/// Holds all actions, on one data set or on all. Jobs go on; what is under way comes to its end.
#[utoipa::path(post, path = "/pause", operation_id = "pause", tag = "data", request_body = PauseRequest,
    responses((status = OK, body = Changed)))]
pub async fn pause(State(api): Shared, Json(wanted): Json<PauseRequest>) -> Result<axum::Json<Changed>, Problem> {
    const LONGEST_S: f64 = 365.0 * 86400.0;
    let lasts = match wanted.for_s {
        None => None,
        Some(s) if s > 0.0 && s <= LONGEST_S => Some(Duration::from_secs_f64(s)),
        Some(s) => {
            return Err(Problem::new(ErrorCode::Invalid, format!("for_s: {s} is not within 0 and {LONGEST_S}")));
        }
    };
    let named = named(&api, wanted.data_set).await?;
    let changed = change::pause(api.knowledge(), named.as_ref(), lasts).await?;
    Ok(axum::Json(Changed::done(changed)))
}

/// Lets agents act again, on one data set or on all.
#[utoipa::path(post, path = "/resume", operation_id = "resume", tag = "data", request_body = PauseRequest,
    responses((status = OK, body = Changed)))]
pub async fn resume(State(api): Shared, Json(wanted): Json<PauseRequest>) -> Result<axum::Json<Changed>, Problem> {
    if wanted.for_s.is_some() {
        return Err(Problem::new(ErrorCode::Invalid, "for_s: what is resumed stays so"));
    }
    let named = named(&api, wanted.data_set).await?;
    let changed = change::resume(api.knowledge(), named.as_ref()).await?;
    Ok(axum::Json(Changed::done(changed)))
}

/// The data set of that name, if one is named.
pub async fn named(api: &Api, name: Option<String>) -> Result<Option<DataSetName>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let known = api.knowledge().data_sets().await?;
    match known.iter().any(|known| *known.0 == *name) {
        true => Ok(Some(name.as_str().into())),
        false => Err(Problem::unknown("data set", name, known)),
    }
}
