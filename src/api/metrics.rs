//! What an operator watches and is woken by: `/metrics` for Prometheus, `/healthz` and `/readyz`.
//!
//! Figures come from the shared table, so every agent shows the whole network, and a restart forgets none. Times of jobs, links and
//! staleness are the scenario's, which on a real network is the clock's.

mod figures;
mod process;
mod reads;
mod seen;

use super::problem::{ErrorCode, Problem};
use super::{Api, Shared};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use seen::Seen;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is counted from one look to the next.
pub struct Meter {
    seen: Mutex<Seen>,
    requests: Family<figures::Answered, Counter>,
    decisions: figures::Decisions,
}

impl Meter {
    pub fn new() -> Self {
        Self { seen: Mutex::default(), requests: Family::default(), decisions: figures::decisions() }
    }
}

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

/// Counts an answer by its route, not by its path: paths have no end.
pub async fn count(State(api): Shared, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().as_str().to_owned();
    let response = next.run(request).await;
    let answered = figures::Answered { route, method, status: response.status().as_u16() };
    api.meter.requests.get_or_create(&answered).inc();
    response
}

/// The process lives.
async fn healthz() -> &'static str {
    "alive\n"
}

/// It can do what it is for: the table answers, this process's agents are registered, and their stores listen.
async fn readyz(State(api): Shared) -> Result<&'static str, Problem> {
    let missing = missing(&api).await;
    match missing.is_empty() {
        true => Ok("ready\n"),
        false => Err(Problem::new(ErrorCode::Unavailable, missing.join("; "))),
    }
}

async fn missing(api: &Api) -> Vec<String> {
    let view = match api.view().await {
        Ok(view) => view,
        Err(problem) => return vec![format!("the shared table: {}", problem.detail())],
    };
    let mut missing = Vec::new();
    if view.statuses.is_empty() {
        missing.push("there is no data set yet".to_owned());
    }
    for id in &api.agents {
        match view.agents.get(&id.0) {
            None => missing.push(format!("agent {id} is not registered yet")),
            Some(agent) if !agent.alive => missing.push(format!("agent {id} is not heard of")),
            Some(agent) => {
                let has_store = view.nodes.get(&agent.node).is_some_and(|node| node.store_url.is_some());
                if !has_store {
                    missing.push(format!("node {} has no store yet", agent.node));
                }
            }
        }
    }
    missing
}

/// All figures, in the form that is asked for: OpenMetrics, or Prometheus' own.
async fn metrics(State(api): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let registry = registry(&api).await;
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut written = String::new();
    let failed = |error: fmt::Error| Problem::new(ErrorCode::Internal, error.to_string());
    let kind = match accepted.contains("application/openmetrics-text") {
        true => text::encode(&mut written, &registry).map(|()| OPEN_METRICS),
        false => prometheus_text::encode(&mut written, &registry).map(|()| prometheus_text::CONTENT_TYPE),
    };
    Ok(([(header::CONTENT_TYPE, kind.map_err(failed)?)], written).into_response())
}

/// Of this moment. A table that does not answer is a figure, too.
async fn registry(api: &Api) -> Registry {
    let mut registry = Registry::default();
    process::register(&mut registry);
    registry.register(
        "agent_api_requests",
        "Answers of this server, by route, method and status",
        api.meter.requests.clone(),
    );
    figures::register_one(
        &mut registry,
        "agent_api_streams",
        "Event streams that are open",
        api.hub.listeners() as f64,
    );
    figures::register_members(&mut registry, &api.surroundings.switchboard);
    figures::register_deciding(&mut registry, &api.surroundings.switchboard, &api.meter.decisions);
    reads::register(&mut registry, api.surroundings.switchboard.reads());
    if let Some(connections) = &api.surroundings.connections {
        let help = "Connections that this process's emulator carries";
        figures::register_one(&mut registry, "agent_emulator_connections", help, connections.count() as f64);
    }
    let mut seen = api.meter.seen.lock().await;
    let looked = async {
        let view = api.view().await?;
        seen.look(api.knowledge(), &view).await?;
        Ok::<_, Problem>(view)
    };
    let view = looked.await;
    let reachable = if view.is_ok() { 1.0 } else { 0.0 };
    figures::register_one(&mut registry, "agent_table_reachable", "Whether the shared table answers", reachable);
    if let Ok(view) = view {
        figures::register(&mut registry, &view);
    }
    // What was seen before is still true.
    seen.register(&mut registry);
    registry
}
