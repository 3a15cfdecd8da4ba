//! Load: experiments that wait for a daemon, and where services are routed.

use super::{BASE, request_key, tag, tagged};
use crate::api::extract::{IfMatch, Json, Path, Query};
use crate::api::listing::{Latest, Listing, Page};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{
    Changed, LoadCheck, LoadDraft, LoadExperiment, LoadExperimentDetail, LoadHostSelection, LoadRoute, LoadRouteChange,
    LoadSubmission,
};
use crate::api::{Api, Shared};
use crate::app::batch::new_key;
use crate::app::load::drafts::Draft;
use crate::app::load::experiments::{self, machine};
use crate::knowledge::KnowledgeError;
use agent_core::config::{Invalid, quantity};
use agent_load::balancer::{BalancerKind, Host, Record};
use agent_load::register::Scope;
use agent_load::register::experiment::{Experiment, ExperimentId, State as ExperimentState};
use agent_load::register::routing::{Entry, Reroute};
use agent_load::specification::Design;
use agent_load::steering::Change;
use agent_load::table::{LISTED_MAX, LoadTable, carry_out, find};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;

/// Experiments of load, the latest first; of more than 10,000 the latest.
#[utoipa::path(get, path = "/load/experiments", operation_id = "list_load_experiments", tag = "load", params(Latest),
    responses((status = OK, body = Page<LoadExperiment>)))]
pub async fn list(
    State(api): Shared,
    Query(asked): Query<Latest>,
) -> Result<axum::Json<Page<LoadExperiment>>, Problem> {
    let (limit, before, state) = asked.read::<ExperimentState>()?;
    let before = before.map(ExperimentId);
    let read = if before.is_some() { LISTED_MAX } else { limit + 1 };
    let found = experiments::list(api.load(), state.as_slice(), read).await?;
    let rest = found.into_iter().filter(|experiment| before.is_none_or(|before| experiment.id < before));
    let item = |experiment: Experiment| (experiment.id.0, LoadExperiment::new(experiment, api.scale));
    Ok(axum::Json(Page::cut(rest.take(limit + 1).map(item).collect(), limit)))
}

/// Queues a load: a daemon (`agent load daemon`) runs it. It is checked before; all that is wrong with it is said at once.
#[utoipa::path(post, path = "/load/experiments", operation_id = "queue_load_experiment", tag = "load",
    request_body = LoadSubmission, responses((status = CREATED, body = LoadExperiment)))]
pub async fn queue(State(api): Shared, Json(wanted): Json<LoadSubmission>) -> Result<Response, Problem> {
    api.require_load()?;
    let LoadSubmission { file, text, recordings, allow, on, key } = wanted;
    let key = request_key(key)?;
    let not_meant =
        |Invalid { problem, help }| Problem::new(ErrorCode::Invalid, format!("on: {problem}")).with_help(help);
    let on = on.map(LoadHostSelection::read).transpose().map_err(not_meant)?;
    let draft = Draft { file, text, recordings };
    let experiment = api.checked(move || draft.experiment(&allow, on, key, asker())).await??;
    let queued = experiments::queue(api.load(), experiment).await?;
    let location = format!("{BASE}/load/experiments/{}", queued.id);
    let queued = axum::Json(LoadExperiment::new(queued, api.scale));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], queued).into_response())
}

/// An experiment, its file, and what it came to.
#[utoipa::path(get, path = "/load/experiments/{experiment}", operation_id = "show_load_experiment", tag = "load",
    params(("experiment" = i64, Path)), responses((status = OK, body = LoadExperimentDetail)))]
pub async fn show(State(api): Shared, Path(id): Path<i64>) -> Result<axum::Json<LoadExperimentDetail>, Problem> {
    let experiment = api.experiment(id).await?;
    let files = api.load().files(experiment.id).await?;
    Ok(axum::Json(LoadExperimentDetail::new(experiment, files, api.scale)))
}

/// Calls an experiment off: what waits never runs, what runs is stopped within a second.
#[utoipa::path(post, path = "/load/experiments/{experiment}/cancel", operation_id = "cancel_load_experiment",
    tag = "load", params(("experiment" = i64, Path)), responses((status = OK, body = LoadExperiment)))]
pub async fn cancel(State(api): Shared, Path(id): Path<i64>) -> Result<axum::Json<LoadExperiment>, Problem> {
    let experiment = api.experiment(id).await?;
    experiments::cancel(api.load(), experiment.id, asker()).await?;
    Ok(axum::Json(LoadExperiment::new(api.experiment(id).await?, api.scale)))
}

/// What a load would send: the rate of each tick, and how many requests; or all that is wrong with it. Nothing is queued.
#[utoipa::path(post, path = "/load/checks", operation_id = "check_load", tag = "load", request_body = LoadDraft,
    responses((status = OK, body = LoadCheck)))]
pub async fn check(State(api): Shared, Json(wanted): Json<LoadDraft>) -> Result<axum::Json<LoadCheck>, Problem> {
    let LoadDraft { file, text, design, recordings, allow } = wanted;
    let text = match (text, design) {
        (Some(text), None) => text,
        (None, Some(design)) => Design::from(design).text(),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::new(ErrorCode::Invalid, "text, design: send one of them"));
        }
    };
    let draft = Draft { file, text, recordings };
    Ok(axum::Json(api.checked(move || LoadCheck::of(draft, &allow)).await?))
}

/// Where services are routed that are, by name.
#[utoipa::path(get, path = "/load/routes", operation_id = "list_load_routes", tag = "load", params(Listing),
    responses((status = OK, body = Page<LoadRoute>)))]
pub async fn routes(
    State(api): Shared,
    Query(listing): Query<Listing>,
) -> Result<axum::Json<Page<LoadRoute>>, Problem> {
    let entries = api.load().look(Scope::of_all_services()).await?.entries;
    let routed = entries.into_iter().filter(|(_, entry)| entry.is_routed());
    let routes: BTreeMap<String, LoadRoute> =
        routed.map(|(service, entry)| (service, LoadRoute::new(entry, api.scale))).collect();
    Ok(axum::Json(listing.of(routes)?))
}

/// Where a service is routed. Its `ETag` is for `If-Match`.
#[utoipa::path(get, path = "/load/routes/{service}", operation_id = "show_load_route", tag = "load",
    params(("service" = String, Path)), responses((status = OK, body = LoadRoute)))]
pub async fn route(State(api): Shared, Path(service): Path<String>) -> Result<Response, Problem> {
    let entry = api.entry(&service).await?.filter(Entry::is_routed).ok_or_else(|| not_routed(&service))?;
    Ok(api.routed(entry))
}

/// Routes a service to these hosts alone. Load that follows its route acts on it within a second.
#[utoipa::path(put, path = "/load/routes/{service}", operation_id = "set_load_route", tag = "load",
    params(("service" = String, Path),
        ("If-Match" = Option<String>, Header, description = "Change it only if it is still so")),
    request_body = LoadRouteChange, responses((status = OK, body = LoadRoute)))]
pub async fn set_route(
    State(api): Shared,
    Path(service): Path<String>,
    expected: IfMatch,
    Json(wanted): Json<LoadRouteChange>,
) -> Result<Response, Problem> {
    api.require_load()?;
    let invalid = |what: String| Problem::new(ErrorCode::Invalid, what);
    let service = quantity::name(&service)
        .map_err(|wrong| invalid(format!("service: {}", wrong.problem)).with_help(wrong.help))?;
    let balancer = wanted.balancer.as_deref().map(str::parse::<BalancerKind>).transpose();
    let balancer = balancer.map_err(|unknown| invalid(format!("balancer: {unknown}")))?;
    let hosts: Vec<Host> = wanted.hosts.into_iter().map(Host::from).collect();
    Record::new(service.clone(), hosts.clone(), 0).map_err(|wrong| {
        invalid(format!("{}: {}", wrong.place, wrong.invalid.problem)).with_help(wrong.invalid.help)
    })?;
    let entry = api.reroute(&service, Change::Set(hosts), balancer, &expected).await?;
    Ok(api.routed(entry))
}

/// Routes a service nowhere: its requests count as unreachable until it is set again.
#[utoipa::path(delete, path = "/load/routes/{service}", operation_id = "unset_load_route", tag = "load",
    params(("service" = String, Path),
        ("If-Match" = Option<String>, Header, description = "Change it only if it is still so")),
    responses((status = OK, body = Changed)))]
pub async fn unset_route(
    State(api): Shared,
    Path(service): Path<String>,
    expected: IfMatch,
) -> Result<axum::Json<Changed>, Problem> {
    api.entry(&service).await?.filter(Entry::is_routed).ok_or_else(|| not_routed(&service))?;
    let entry = api.reroute(&service, Change::Unset, None, &expected).await?;
    Ok(axum::Json(Changed::done(format!("service {} is routed nowhere", entry.service))))
}

fn not_routed(service: &str) -> Problem {
    let problem = format!("service `{}` has no hosts", service.escape_debug());
    Problem::new(ErrorCode::NotFound, problem).with_help("GET /api/v1/load/routes lists those that have")
}

/// As others are told who asks.
pub(super) fn asker() -> String {
    format!("api@{}", machine())
}

impl Api {
    pub(in crate::api) fn load(&self) -> &dyn LoadTable {
        self.surroundings.load.as_ref()
    }

    /// Refuses what nobody would ever carry out.
    pub(super) fn require_load(&self) -> Result<(), Problem> {
        match self.simulation {
            None => Ok(()),
            Some(_) => Err(Problem::new(ErrorCode::Refused, "this network is a simulation: it makes no load")),
        }
    }

    /// One after the other, off the threads that answer: each may take a core for a while, also when nobody waits for it any more.
    async fn checked<T: Send + 'static>(&self, check: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let internal = |error: String| Problem::new(ErrorCode::Internal, format!("the load was not checked: {error}"));
        let turn = self.checking.clone().acquire_owned().await.map_err(|error| internal(error.to_string()))?;
        let in_turn = move || {
            let _turn = turn;
            check()
        };
        tokio::task::spawn_blocking(in_turn).await.map_err(|error| internal(error.to_string()))
    }

    pub(in crate::api) async fn experiment(&self, id: i64) -> Result<Experiment, Problem> {
        let found = find(self.load(), ExperimentId(id)).await?;
        let missing = || {
            let help = "GET /api/v1/load/experiments lists them";
            Problem::new(ErrorCode::NotFound, format!("there is no experiment {id}")).with_help(help)
        };
        found.ok_or_else(missing)
    }

    /// As it is kept, also where it is routed no more.
    async fn entry(&self, service: &str) -> Result<Option<Entry>, Problem> {
        Ok(self.load().look(Scope::of_services([service])).await?.entries.remove(service))
    }

    async fn reroute(
        &self,
        service: &str,
        change: Change,
        balancer: Option<BalancerKind>,
        expected: &IfMatch,
    ) -> Result<Entry, Problem> {
        let before = self.expect(service, expected).await?;
        let revision = expected.0.is_some().then_some(before.map_or(0, |entry| entry.revision));
        let reroute = Reroute { key: new_key(), service: service.to_owned(), change, balancer, revision, by: asker() };
        match carry_out(self.load(), reroute).await {
            Ok(entry) => Ok(entry),
            Err(refused @ KnowledgeError::Rejected { .. }) => {
                // Perhaps somebody was faster.
                self.expect(service, expected).await?;
                Err(refused.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What it is now, which is what was expected.
    async fn expect(&self, service: &str, expected: &IfMatch) -> Result<Option<Entry>, Problem> {
        let now = self.entry(service).await?;
        let shown = now.clone().filter(Entry::is_routed).map(|entry| LoadRoute::new(entry, self.scale));
        expected.check(&tag_of(service, now.as_ref()), &format!("the route of service {service}"), &shown)?;
        Ok(now)
    }

    fn routed(&self, entry: Entry) -> Response {
        tagged(tag_of(&entry.service, Some(&entry)), &LoadRoute::new(entry.clone(), self.scale))
    }
}

/// Of what it is at this revision.
fn tag_of(service: &str, entry: Option<&Entry>) -> String {
    tag(&(service, entry.map_or(0, |entry| entry.revision)))
}
