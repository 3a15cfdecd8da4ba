//! What was done, and why.

use crate::api::Shared;
use crate::api::extract::{Path, Query};
use crate::api::listing::{self, Page, Sort};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Event, EventDetail};
use crate::knowledge::{Order, Selection};
use agent_core::clock::{TimeScale, WallTime};
use agent_core::domain::ids::{AgentId, EventId};
use agent_core::domain::time::Timestamp;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which of the records that are only ever added.
#[derive(Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    pub agent: Option<u32>,
    pub data_set: Option<String>,
    /// Then or later.
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Before then.
    #[param(format = DateTime)]
    pub until: Option<String>,
    /// Items on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// By time.
    pub sort: Option<Sort>,
}

impl Records {
    /// Of events without what explains them.
    pub fn selection(&self, scale: TimeScale) -> Result<Selection, Problem> {
        let cursor = self.cursor.as_deref().map(listing::decode).transpose()?;
        let (after, before, order) = match self.sort.unwrap_or_default() {
            Sort::Ascending => (cursor, None, Order::OldestFirst),
            Sort::Descending => (None, cursor, Order::NewestFirst),
        };
        let all = Selection::default();
        Ok(Selection {
            after: after.unwrap_or(all.after),
            before: before.unwrap_or(all.before),
            agent: self.agent.map(AgentId),
            data_set: self.data_set.as_deref().map(Into::into),
            since: instant("since", self.since.as_deref(), scale)?.unwrap_or(all.since),
            until: instant("until", self.until.as_deref(), scale)?.unwrap_or(all.until),
            order,
            limit: listing::limit(self.limit)?,
            explained: false,
        })
    }
}

pub fn instant(name: &str, text: Option<&str>, scale: TimeScale) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let at: WallTime = text.parse().map_err(|_| {
        let what = format!("{name}: `{}` is no instant; write it like 2026-03-01T12:00:00Z", text.escape_debug());
        Problem::new(ErrorCode::Malformed, what)
    })?;
    Ok(Some(scale.in_the_scenario(at)))
}

/// A page of records, of which the one after the last is the next one's first.
pub fn page<T, W>(found: Vec<T>, limit: usize, id: impl Fn(&T) -> i64, wire: impl Fn(&T) -> W) -> Page<W> {
    let next = found.last().filter(|_| found.len() == limit).map(|last| listing::encode(&id(last)));
    Page { items: found.iter().map(wire).collect(), next }
}

/// What was done.
#[utoipa::path(get, path = "/events", operation_id = "list_events", tag = "events", params(Records),
    responses((status = OK, body = Page<Event>)))]
pub async fn list(State(api): Shared, Query(records): Query<Records>) -> Result<axum::Json<Page<Event>>, Problem> {
    let asked = records.selection(api.scale)?;
    let events = api.knowledge().select_events(&asked).await?;
    Ok(axum::Json(page(events, asked.limit, |event| event.id.0, |event| Event::new(event, api.scale))))
}

/// One event with the decision that it came from, and what others said.
#[utoipa::path(get, path = "/events/{id}", operation_id = "show_event", tag = "events", params(("id" = i64, Path)),
    responses((status = OK, body = EventDetail)))]
pub async fn show(State(api): Shared, Path(id): Path<i64>) -> Result<axum::Json<EventDetail>, Problem> {
    let event = api.knowledge().event(EventId(id)).await?;
    let event = event.ok_or_else(|| {
        Problem::new(ErrorCode::NotFound, format!("there is no event {id}"))
            .with_help(format!("{}/events lists those that there are", super::BASE))
    })?;
    let feedback = api.knowledge().feedback(event.id).await?;
    Ok(axum::Json(EventDetail::new(&event, &feedback, api.scale)))
}
