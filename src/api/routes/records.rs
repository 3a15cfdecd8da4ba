//! What is recorded beside events: jobs, questions and answers, counters.

use super::data_sets::named;
use super::events::{Records, page};
use crate::api::Shared;
use crate::api::extract::Query;
use crate::api::listing::{Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Ask, Counter, Measurement};
use axum::extract::State;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::IntoParams;

/// Every job that was measured or has failed.
#[utoipa::path(get, path = "/measurements", operation_id = "list_measurements", tag = "agents", params(Records),
    responses((status = OK, body = Page<Measurement>)))]
pub async fn measurements(
    State(api): Shared,
    Query(records): Query<Records>,
) -> Result<axum::Json<Page<Measurement>>, Problem> {
    let asked = records.selection(api.scale)?;
    let found = api.knowledge().select_measurements(&asked).await?;
    Ok(axum::Json(page(found, asked.limit, |row| row.id, |row| Measurement::recorded(row, api.scale))))
}

/// Which questions.
#[derive(Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Asked {
    /// Absent: about every data set.
    data_set: Option<String>,
    /// Posted within so much scenario time; older than a day they may be forgotten.
    #[param(exclusive_minimum = 0.0, maximum = 86400.0, default = 3600.0)]
    within_s: Option<f64>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// What agents asked each other, and were answered.
#[utoipa::path(get, path = "/asks", operation_id = "list_asks", tag = "events", params(Asked),
    responses((status = OK, body = Page<Ask>)))]
pub async fn asks(State(api): Shared, Query(asked): Query<Asked>) -> Result<axum::Json<Page<Ask>>, Problem> {
    const DAY_S: f64 = 86400.0;
    let within = asked.within_s.unwrap_or(3600.0);
    if !(within > 0.0 && within <= DAY_S) {
        return Err(Problem::new(ErrorCode::Malformed, format!("within_s: {within} is not within 0 and {DAY_S}")));
    }
    let names = match named(&api, asked.data_set).await? {
        Some(name) => vec![name],
        None => api.knowledge().data_sets().await?,
    };
    let mut all = BTreeMap::new();
    for name in &names {
        let conversation = api.knowledge().conversation(name, Duration::from_secs_f64(within)).await?;
        all.extend(conversation.iter().map(|ask| (ask.id.0, Ask::new(ask, name, api.scale))));
    }
    let listing = Listing { limit: asked.limit, cursor: asked.cursor, sort: None };
    Ok(axum::Json(listing.of(all)?))
}

/// What others' answers to actions have added up to.
#[utoipa::path(get, path = "/counters", operation_id = "list_counters", tag = "events", params(Listing),
    responses((status = OK, body = Page<Counter>)))]
pub async fn counters(
    State(api): Shared,
    Query(listing): Query<Listing>,
) -> Result<axum::Json<Page<Counter>>, Problem> {
    let mut all = BTreeMap::new();
    for name in api.knowledge().data_sets().await? {
        for (action, counter) in api.knowledge().counters(&name).await? {
            let key = (name.to_string(), action.to_string());
            all.insert(key, Counter::new(&name, action, counter, api.scale));
        }
    }
    Ok(axum::Json(listing.of(all)?))
}
