//! Routes and status codes. Bodies are JSON whatever their content type says; so are all errors.

use super::registry::{Refusal, Registry};
use super::wire::{ErrorBody, Populated, ProxyInput, ToxicInput, Version};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The toxiproxy release whose API this is; clients look at the major version.
const TOXIPROXY_VERSION: &str = "2.12.0";

type Shared = State<Arc<Registry>>;
type Body = Result<Bytes, BytesRejection>;
type Answer = Result<Response, Refusal>;

/// Serves until `stopped` is ready or its sender gone, then finishes the requests under way.
pub async fn serve(listener: TcpListener, registry: Arc<Registry>, stopped: oneshot::Receiver<()>) {
    let listener = listener.tap_io(|connection| {
        connection.set_nodelay(true).unwrap_or_else(|error| tracing::debug!(%error, "client is gone already"));
    });
    let stop = async { stopped.await.unwrap_or(()) };
    if let Err(error) = axum::serve(listener, routes(registry)).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the emulator's API has failed");
    }
}

fn routes(registry: Arc<Registry>) -> Router {
    let proxy = get(show_proxy).post(update_proxy).patch(update_proxy).delete(delete_proxy);
    let toxic = get(show_toxic).post(update_toxic).patch(update_toxic).delete(delete_toxic);
    Router::new()
        .route("/version", get(version))
        .route("/reset", post(reset))
        .route("/populate", post(populate))
        .route("/proxies", get(list_proxies).post(create_proxy))
        .route("/proxies/{proxy}", proxy)
        .route("/proxies/{proxy}/toxics", get(list_toxics).post(create_toxic))
        .route("/proxies/{proxy}/toxics/{toxic}", toxic)
        .layer(middleware::from_fn(explain_errors))
        .layer(middleware::from_fn(refuse_browsers))
        .with_state(registry)
}

/// A page in a browser must not be able to reconfigure an emulator on its user's machine.
async fn refuse_browsers(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT);
    if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return error(StatusCode::FORBIDDEN, "User agent not allowed".to_owned());
    }
    next.run(request).await
}

/// Routes and methods that do not exist, and paths that are no text, get an error in JSON too.
async fn explain_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json && (status.is_client_error() || status.is_server_error()) {
        return error(status, status.canonical_reason().unwrap_or("error").to_owned());
    }
    response
}

fn error(status: StatusCode, error: String) -> Response {
    (status, Json(ErrorBody { error, status: status.as_u16() })).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadBody(_)
            | Self::MissingField(_)
            | Self::BadListen { .. }
            | Self::InvalidStream
            | Self::InvalidToxicType => StatusCode::BAD_REQUEST,
            Self::ProxyNotFound | Self::ToxicNotFound => StatusCode::NOT_FOUND,
            Self::ProxyExists | Self::ToxicExists => StatusCode::CONFLICT,
        };
        error(status, self.to_string())
    }
}

fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let body = body.map_err(|rejected| Refusal::BadBody(rejected.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| Refusal::BadBody(error.to_string()))
}

async fn version() -> Response {
    let server = concat!("agent ", env!("CARGO_PKG_VERSION"));
    Json(Version { version: TOXIPROXY_VERSION, server }).into_response()
}

async fn reset(State(registry): Shared) -> Answer {
    registry.reset().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn populate(State(registry): Shared, body: Body) -> Answer {
    let proxies = registry.populate(parse(body)?).await?;
    Ok((StatusCode::CREATED, Json(Populated { proxies })).into_response())
}

async fn list_proxies(State(registry): Shared) -> Response {
    Json(registry.list().await).into_response()
}

async fn create_proxy(State(registry): Shared, body: Body) -> Answer {
    let created = registry.create(parse::<ProxyInput>(body)?).await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

async fn show_proxy(State(registry): Shared, Path(proxy): Path<String>) -> Answer {
    Ok(Json(registry.show(&proxy).await?).into_response())
}

async fn update_proxy(State(registry): Shared, Path(proxy): Path<String>, body: Body) -> Answer {
    Ok(Json(registry.update(&proxy, parse(body)?).await?).into_response())
}

async fn delete_proxy(State(registry): Shared, Path(proxy): Path<String>) -> Answer {
    registry.delete(&proxy).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list_toxics(State(registry): Shared, Path(proxy): Path<String>) -> Answer {
    Ok(Json(registry.toxics(&proxy).await?).into_response())
}

async fn create_toxic(State(registry): Shared, Path(proxy): Path<String>, body: Body) -> Answer {
    Ok(Json(registry.create_toxic(&proxy, parse::<ToxicInput>(body)?).await?).into_response())
}

async fn show_toxic(State(registry): Shared, Path((proxy, toxic)): Path<(String, String)>) -> Answer {
    Ok(Json(registry.toxic(&proxy, &toxic).await?).into_response())
}

async fn update_toxic(State(registry): Shared, Path((proxy, toxic)): Path<(String, String)>, body: Body) -> Answer {
    Ok(Json(registry.update_toxic(&proxy, &toxic, parse(body)?).await?).into_response())
}

async fn delete_toxic(State(registry): Shared, Path((proxy, toxic)): Path<(String, String)>) -> Answer {
    registry.delete_toxic(&proxy, &toxic).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
