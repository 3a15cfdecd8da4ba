//! What an aggregator offers over HTTP: only `GET`, JSON and Prometheus' text.

use crate::exposition::{CONTENT_TYPE, exposition};
use crate::view::View;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;

const INDEX: &str = "\
An aggregator of MDSMP. GET only:
  /emitters         every emitter with the newest value of each metric and its time (JSON)
  /emitters/HOST    one emitter with up to ten values of each metric, the newest first (JSON)
  /metrics          the newest values, their ages and what was refused (Prometheus)
";

/// What a request that found nothing is told.
#[derive(Serialize)]
struct Problem {
    error: String,
    help: &'static str,
}

type Source = Arc<dyn Fn() -> View + Send + Sync>;

/// Serves what `view` gives when it is asked. The bounds of connections are those of the server that it is mounted in.
pub fn routes(view: impl Fn() -> View + Send + Sync + 'static) -> Router {
    let source: Source = Arc::new(view);
    Router::new()
        .route("/", get(async || INDEX))
        .route("/emitters", get(async |State(view): State<Source>| Json(view().newest())))
        .route("/emitters/{host}", get(emitter))
        .route("/metrics", get(metrics))
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing here".to_owned()))
        .method_not_allowed_fallback(async || {
            problem(StatusCode::METHOD_NOT_ALLOWED, "an aggregator is only read".to_owned())
        })
        .with_state(source)
}

async fn emitter(State(view): State<Source>, Path(host): Path<String>) -> Response {
    match view().emitter(&host) {
        Some(emitter) => Json(emitter).into_response(),
        None => problem(StatusCode::NOT_FOUND, format!("there is no emitter {host:?}")),
    }
}

async fn metrics(State(view): State<Source>) -> Response {
    match exposition(&view()) {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written".to_owned())
        }
    }
}

fn problem(status: StatusCode, error: String) -> Response {
    (status, Json(Problem { error, help: "GET / lists what there is" })).into_response()
}
