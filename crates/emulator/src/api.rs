//! Routes and status codes. Bodies are JSON whatever their content type says; so are all errors.

use super::members::{self, Members};
use super::registry::{Refusal, Registry};
use super::toxics::Numbers;
use super::wire::{ErrorBody, Populated, ProxyInput, ProxyOutput, ToxicChange, ToxicInput, Version};
use crate::FRACTIONS_HEADER;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The toxiproxy release whose API this is; clients look at the major version.
const TOXIPROXY_VERSION: &str = "2.12.0";
/// Names each answer, as there.
const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-toxiproxy-request-id");
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    // Who does not count has nothing to show.
    let metrics = if registry.counts() { Router::new().route("/metrics", get(metrics)) } else { Router::new() };
    metrics
        .route("/version", get(version))
        .route("/reset", post(reset))
        .route("/populate", post(populate))
        .route("/proxies", get(list_proxies).post(create_proxy))
        .route("/proxies/{proxy}", proxy)
        .route("/proxies/{proxy}/toxics", get(list_toxics).post(create_toxic))
        .route("/proxies/{proxy}/toxics/{toxic}", toxic)
        .layer(middleware::from_fn(explain_errors))
        .layer(middleware::from_fn(refuse_browsers))
        .layer(middleware::from_fn(identify))
        .with_state(registry)
}

/// Gives each answer a name of its own, for logs.
async fn identify(request: Request, next: Next) -> Response {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut response = next.run(request).await;
    let id: [u8; 20] = std::array::from_fn(|_| LETTERS[rand::rng().random_range(0..LETTERS.len())]);
    if let Ok(id) = HeaderValue::from_bytes(&id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, id);
    }
    response
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

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadBody(_) | Self::MissingField(_) | Self::InvalidStream | Self::InvalidToxicType => {
                StatusCode::BAD_REQUEST
            }
            Self::ProxyNotFound | Self::ToxicNotFound => StatusCode::NOT_FOUND,
            Self::ProxyExists | Self::ToxicExists => StatusCode::CONFLICT,
            Self::CannotListen(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        error(self.status(), self.to_string())
    }
}

impl<S: Sync> FromRequestParts<S> for Numbers {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(if parts.headers.contains_key(FRACTIONS_HEADER) { Self::Fractions } else { Self::Whole })
    }
}

fn object<'a, T: TryFrom<Members<'a>, Error = String>>(body: &'a Body) -> Result<T, Refusal> {
    bytes(body).and_then(members::read::<Members>).and_then(T::try_from).map_err(Refusal::BadBody)
}

fn list(body: &Body) -> Result<Vec<ProxyInput>, Refusal> {
    let list = bytes(body).and_then(members::read::<Option<Vec<Members>>>).map_err(Refusal::BadBody)?;
    list.into_iter().flatten().map(|entry| ProxyInput::try_from(entry).map_err(Refusal::BadBody)).collect()
}

fn bytes(body: &Body) -> Result<&[u8], String> {
    body.as_deref().map_err(BytesRejection::body_text)
}

async fn version() -> Response {
    let server = concat!("agent ", env!("CARGO_PKG_VERSION"));
    Json(Version { version: TOXIPROXY_VERSION, server }).into_response()
}

async fn metrics(State(registry): Shared) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], registry.metrics().await).into_response()
}

async fn reset(State(registry): Shared) -> Answer {
    registry.reset().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What failed stands beside what was made before it.
async fn populate(State(registry): Shared, numbers: Numbers, body: Body) -> Response {
    let (proxies, done) = match list(&body) {
        Ok(inputs) => registry.populate(inputs).await,
        Err(refusal) => (Vec::new(), Err(refusal)),
    };
    let status = done.as_ref().map_or_else(Refusal::status, |()| StatusCode::CREATED);
    let failure = done.err().map(|refusal| ErrorBody { error: refusal.to_string(), status: status.as_u16() });
    let proxies: Vec<ProxyOutput> = proxies.into_iter().map(|proxy| proxy.seen(numbers)).collect();
    let proxies = Some(proxies).filter(|proxies| !proxies.is_empty());
    (status, Json(Populated { failure, proxies })).into_response()
}

async fn list_proxies(State(registry): Shared, numbers: Numbers) -> Response {
    let proxies = registry.list().await.into_iter().map(|(name, proxy)| (name, proxy.seen(numbers)));
    Json(proxies.collect::<BTreeMap<_, _>>()).into_response()
}

async fn create_proxy(State(registry): Shared, body: Body) -> Answer {
    let created = registry.create(object(&body)?).await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

async fn show_proxy(State(registry): Shared, Path(proxy): Path<String>, numbers: Numbers) -> Answer {
    Ok(Json(registry.show(&proxy).await?.seen(numbers)).into_response())
}

async fn update_proxy(State(registry): Shared, Path(proxy): Path<String>, numbers: Numbers, body: Body) -> Answer {
    registry.show(&proxy).await?;
    Ok(Json(registry.update(&proxy, object(&body)?).await?.seen(numbers)).into_response())
}

async fn delete_proxy(State(registry): Shared, Path(proxy): Path<String>) -> Answer {
    registry.delete(&proxy).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list_toxics(State(registry): Shared, Path(proxy): Path<String>, numbers: Numbers) -> Answer {
    let toxics = registry.toxics(&proxy).await?.into_iter().map(|toxic| toxic.seen(numbers));
    Ok(Json(toxics.collect::<Vec<_>>()).into_response())
}

async fn create_toxic(State(registry): Shared, Path(proxy): Path<String>, numbers: Numbers, body: Body) -> Answer {
    registry.show(&proxy).await?;
    let created = registry.create_toxic(&proxy, object::<ToxicInput>(&body)?, numbers).await?;
    Ok(Json(created.seen(numbers)).into_response())
}

async fn show_toxic(State(registry): Shared, Path((proxy, toxic)): Path<(String, String)>, numbers: Numbers) -> Answer {
    Ok(Json(registry.toxic(&proxy, &toxic).await?.seen(numbers)).into_response())
}

async fn update_toxic(
    State(registry): Shared,
    Path((proxy, toxic)): Path<(String, String)>,
    numbers: Numbers,
    body: Body,
) -> Answer {
    registry.toxic(&proxy, &toxic).await?;
    let changed = registry.update_toxic(&proxy, &toxic, object::<ToxicChange>(&body)?, numbers).await?;
    Ok(Json(changed.seen(numbers)).into_response())
}

async fn delete_toxic(State(registry): Shared, Path((proxy, toxic)): Path<(String, String)>) -> Answer {
    registry.delete_toxic(&proxy, &toxic).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
