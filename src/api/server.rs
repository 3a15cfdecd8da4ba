//! Where the API listens, and all that it serves there.

use super::access::{Doors, Tokens, guard};
use super::hub::Hub;
use super::intake::{Intake, take_in};
use super::metrics::{self, Meter};
use super::problem::{ErrorCode, Problem};
use super::tls::Certificate;
use super::{Api, access, page, routes};
use crate::app::pace::Pace;
use crate::app::surroundings::Surroundings;
use crate::http_server::{Bounds, HttpServer, Listener};
use agent_core::domain::ids::AgentId;
use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use utoipa_swagger_ui::SwaggerUi;

const BOUNDS: Bounds = Bounds { connections: 2048, head_within: Duration::from_secs(30), head_at_most: 32 << 10 };

/// The document that describes the API, and the pages that show it.
pub const DOCUMENT: &str = "/api/v1/openapi.json";
pub const DOCUMENTATION: &str = "/api/docs";

/// Whose server it is.
pub struct Of {
    pub surroundings: Surroundings,
    /// Those that this process runs.
    pub agents: Vec<AgentId>,
    /// The folder that agents may be added to; `None`: the built-in configuration.
    pub configuration: Option<PathBuf>,
    /// Of a simulation.
    pub pace: Option<Arc<Pace>>,
}

/// How the API is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub certificate: Option<Certificate>,
    /// Off loopback without TLS: who listens in on the network sees the tokens.
    pub plain: bool,
}

/// Listens and serves until the server is shut down.
pub fn start(of: Of, options: &Options) -> anyhow::Result<HttpServer> {
    let Of { surroundings, agents, configuration, pace } = of;
    let Options { listen, certificate, plain } = options;
    if !listen.ip().is_loopback() && certificate.is_none() && !plain {
        bail!(
            "the API on {listen}: others could read the tokens on the way; name a certificate (--api-certificate, --api-key), \
             or say --api-plain where something else encrypts it"
        );
    }
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    let listener = Listener::bind(*listen).with_context(|| {
        format!("the API cannot listen on {listen}; stop who does, or choose another address (--api)")
    })?;
    let scale = surroundings.data.time_scale().unwrap_or(surroundings.network().time_scale);
    let hub = Arc::new(Hub::new(surroundings.knowledge.clone(), scale));
    let services = surroundings.services.clone();
    let api = Arc::new(Api {
        scale,
        agents,
        configuration,
        simulation: pace,
        doors: Doors::new(Tokens::load(&surroundings.data)?, listener.address()),
        intake: Intake::default(),
        hub: hub.clone(),
        jobs: Mutex::default(),
        timeline: Mutex::default(),
        meter: Meter::new(),
        writing: Mutex::default(),
        planning: Semaphore::new(1),
        checking: Arc::new(Semaphore::new(1)),
        stopping: listener.stopping(),
        surroundings,
    });
    let looking = AbortOnDropHandle::new(services.spawn(async move { hub.run().await }));
    let service = TowerToHyperService::new(router(api));
    Ok(listener.serve("API", service, tls, BOUNDS, &services)?.keeping(looking))
}

fn router(api: Arc<Api>) -> Router {
    let (routes, document) = routes::routes();
    let documentation: Router<Arc<Api>> =
        SwaggerUi::new(DOCUMENTATION).external_url_unchecked(DOCUMENT, document).into();
    routes
        .merge(metrics::routes())
        .merge(page::routes())
        .merge(documentation)
        .fallback(async |request: Request| {
            Problem::new(ErrorCode::NotFound, format!("there is nothing at {}", request.uri().path()))
                .with_help(format!("{DOCUMENTATION}/ shows what there is"))
        })
        .method_not_allowed_fallback(async |request: Request| {
            let what = format!("{} {} cannot be done", request.method(), request.uri().path());
            Problem::new(ErrorCode::MethodNotAllowed, what)
        })
        .layer(middleware::from_fn_with_state(api.clone(), take_in))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .layer(middleware::from_fn_with_state(api.clone(), metrics::count))
        .layer(middleware::from_fn(protect))
        .with_state(api)
}

/// What a browser may do with an answer: nothing but show it, with what came from here.
async fn protect(request: Request, next: Next) -> Response {
    const OWN: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                       base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    // What draws the documentation styles its elements one by one.
    const DOCUMENTATION_S: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                                   img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
                                   frame-ancestors 'none'";
    let policy = if access::is_documentation(request.uri().path()) { DOCUMENTATION_S } else { OWN };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let embedding = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(embedding, HeaderValue::from_static("same-origin"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
