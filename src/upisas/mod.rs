//! The uniform interface of self-adaptive exemplars (UPISAS): strategies that are written elsewhere watch the network and decide for
//! agents whose policy is `external`.
//!
//! ```text
//! contract    what is said, and the schemas that it keeps to
//! live        agents that run: their time goes on by itself
//! lockstep    a simulation: its time goes on when it is watched or told something
//! ```
//!
//! What the interface's client does is taken as it is: it knows no token, reads no answer of `execute`, and takes any status but 404
//! for success. So what is refused is shown where it looks: in `last_adaptation` of `monitor`.

pub mod contract;
pub mod live;
pub mod lockstep;

use crate::api::access::refuse_other_pages;
use crate::api::problem::{ErrorCode, Problem};
use crate::http_server::{Bounds, HttpServer, Listener};
use agent_core::domain::action::Labelled;
use agent_core::domain::adaptation::{Adaptation, Order};
use agent_core::domain::ids::AgentId;
use agent_core::domain::impact::Impacts;
use anyhow::anyhow;
use async_trait::async_trait;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use contract::{Base, Contract, NOTHING, Observed};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

const BOUNDS: Bounds = Bounds { connections: 256, head_within: Duration::from_secs(30), head_at_most: 32 << 10 };
const BODY_AT_MOST: usize = 1 << 20;

/// What an agent can be ordered to do, and what it expects of that where it knows something.
pub type AgentOptions = BTreeMap<Labelled, Option<Impacts>>;

/// A network, as somebody outside watches and drives it.
#[async_trait]
pub trait Exemplar: Send + Sync {
    /// How it is; in lockstep, after the next job.
    async fn observe(&self, base: Base) -> anyhow::Result<Observed>;

    /// Of the agents that run here.
    async fn options(&self, agents: &[AgentId]) -> anyhow::Result<BTreeMap<AgentId, AgentOptions>>;

    /// In lockstep, until what is ordered has come to its end. What an agent did not even hear is returned with the reason.
    async fn execute(&self, orders: BTreeMap<AgentId, Order>) -> anyhow::Result<BTreeMap<AgentId, String>>;
}

struct Interface {
    contract: Contract,
    exemplar: Arc<dyn Exemplar>,
    /// Orders so far.
    orders: AtomicU64,
    /// The latest order of each agent that it has not heard.
    unheard: Mutex<BTreeMap<AgentId, Adaptation>>,
    is_loopback: bool,
}

type Shared = State<Arc<Interface>>;

/// Listens; to be done before there is anything to serve, so that an address in use is said at once.
pub fn listen(address: SocketAddr) -> anyhow::Result<Listener> {
    Listener::bind(address).map_err(|error| {
        anyhow!("UPISAS cannot listen on {address}: {error}; stop who does, or choose another address (--upisas)")
    })
}

/// Serves until the server is shut down.
pub fn serve(
    listener: Listener,
    contract: Contract,
    exemplar: Arc<dyn Exemplar>,
    runtime: &Handle,
) -> anyhow::Result<HttpServer> {
    let interface = Arc::new(Interface {
        contract,
        exemplar,
        orders: AtomicU64::new(0),
        unheard: Mutex::default(),
        is_loopback: listener.address().ip().is_loopback(),
    });
    Ok(listener.serve("UPISAS", TowerToHyperService::new(router(interface)), None, BOUNDS, runtime)?)
}

fn router(interface: Arc<Interface>) -> Router {
    let base = Router::new()
        .route("/", get(index))
        .route("/monitor", get(monitor))
        .route("/monitor_schema", get(monitor_schema))
        .route("/execute", put(execute))
        .route("/execute_schema", get(execute_schema))
        .route("/adaptation_options", get(adaptation_options))
        .route("/adaptation_options_schema", get(adaptation_options_schema));
    Router::new()
        .route("/", get(index))
        .nest("/network", base.clone())
        .route("/network/", get(index))
        .nest("/agents/{agent}", base)
        .fallback(async |request: Request| {
            let what = format!("there is nothing at {}", request.uri().path());
            Problem::new(ErrorCode::NotFound, what).with_help("the bases are /network and /agents/N")
        })
        .layer(DefaultBodyLimit::max(BODY_AT_MOST))
        .layer(middleware::from_fn_with_state(interface.clone(), guard))
        .with_state(interface)
}

/// Anybody may who reaches it, but no page that a browser shows.
async fn guard(State(interface): Shared, request: Request, next: Next) -> Response {
    match refuse_other_pages(interface.is_loopback, request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Which of the bases a path names.
type Named = Option<Path<String>>;

impl Interface {
    fn base(&self, named: Named) -> Result<Base, Problem> {
        let Some(Path(name)) = named else { return Ok(Base::Network) };
        let known = self.contract.agents();
        match name.parse().ok().filter(|agent| known.contains(agent)) {
            Some(agent) => Ok(Base::Agent(agent)),
            None => Err(Problem::unknown("agent", name.escape_debug(), known)),
        }
    }

    async fn observe(&self, base: Base) -> Result<Value, Problem> {
        let mut observed = self.exemplar.observe(base).await?;
        let unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        for (agent, adaptation) in unheard.iter() {
            let latest = observed.adaptations.get(agent).map(|heard| heard.id);
            if latest.is_none_or(|latest| latest < adaptation.id) {
                observed.adaptations.insert(*agent, adaptation.clone());
            }
        }
        Ok(self.contract.monitor(base, &observed))
    }

    /// Gives the agents what was written; what they do not hear is remembered.
    async fn execute(&self, base: Base, body: &[u8]) -> Result<Value, Problem> {
        let agents = self.contract.of(base);
        let written = match self.contract.read(base, body) {
            Ok(written) => written,
            Err(problem) => {
                agents.iter().for_each(|agent| self.refuse(*agent, &self.order(""), problem.detail()));
                return Err(problem);
            }
        };
        let wanted = written.into_iter().filter(|(_, action)| action != NOTHING);
        let orders: BTreeMap<AgentId, Order> = wanted.map(|(agent, action)| (agent, self.order(&action))).collect();
        let ids: BTreeMap<String, u64> =
            orders.iter().map(|(agent, order)| (contract::key(*agent), order.id)).collect();
        let refused = match self.exemplar.execute(orders.clone()).await {
            Ok(refused) => refused,
            Err(error) => orders.keys().map(|agent| (*agent, format!("{error:#}"))).collect(),
        };
        refused.iter().for_each(|(agent, why)| self.refuse(*agent, &orders[agent], why));
        Ok(json!({ "adaptations": ids }))
    }

    fn order(&self, action: &str) -> Order {
        Order { id: self.orders.fetch_add(1, Ordering::Relaxed) + 1, action: action.to_owned() }
    }

    fn refuse(&self, agent: AgentId, order: &Order, why: &str) {
        let refused = order.clone().refused(why);
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner).insert(agent, refused);
    }
}

/// A client waits for this before it begins.
async fn index(State(interface): Shared) -> Json<Value> {
    let agents = interface.contract.agents().into_iter().map(|agent| format!("/agents/{agent}"));
    let bases: Vec<String> = agents.chain(["/network".to_owned()]).collect();
    Json(json!({ "bases": bases }))
}

async fn monitor(State(interface): Shared, named: Named) -> Result<Json<Value>, Problem> {
    let base = interface.base(named)?;
    interface.observe(base).await.map(Json)
}

async fn monitor_schema(State(interface): Shared, named: Named) -> Result<Json<Value>, Problem> {
    Ok(Json(interface.contract.monitor_schema(interface.base(named)?)))
}

async fn execute(State(interface): Shared, named: Named, body: Bytes) -> Result<Json<Value>, Problem> {
    let base = interface.base(named)?;
    interface.execute(base, &body).await.map(Json)
}

async fn execute_schema(State(interface): Shared, named: Named) -> Result<Json<Value>, Problem> {
    Ok(Json(interface.contract.execute_schema(interface.base(named)?)))
}

async fn adaptation_options(State(interface): Shared, named: Named) -> Result<Json<Value>, Problem> {
    let base = interface.base(named)?;
    let options = interface.exemplar.options(&interface.contract.of(base)).await?;
    Ok(Json(interface.contract.options(base, &options)))
}

async fn adaptation_options_schema(State(interface): Shared, named: Named) -> Result<Json<Value>, Problem> {
    Ok(Json(interface.contract.options_schema(interface.base(named)?)))
}
