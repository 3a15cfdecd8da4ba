//! What the agents would do from here, doing it, and why something is not done.

use crate::api::extract::{Json, Query};
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{Changed, Plan, PlanRequest, WhatIf, WhyNot};
use crate::api::{Api, Shared};
use crate::app::catalogue::Catalogue;
use crate::app::{Existing, from_table, plan, why_not};
use agent_core::domain::action::Labelled;
use agent_core::domain::ids::AgentId;
use agent_core::mape::planner::POLICIES;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;

/// What the agents would do now, found out in a simulation that begins where the network is. Nothing is done.
#[utoipa::path(post, path = "/plans", operation_id = "make_plan", tag = "actions", request_body = PlanRequest,
    responses((status = OK, body = Plan)))]
pub async fn make(State(api): Shared, Json(wanted): Json<PlanRequest>) -> Result<axum::Json<Plan>, Problem> {
    Ok(axum::Json(Plan::from(&planned(&api, wanted).await?)))
}

/// The same, and then it is done, step by step; ends at the first that cannot be done.
#[utoipa::path(post, path = "/plans/apply", operation_id = "apply_plan", tag = "actions", request_body = PlanRequest,
    responses((status = OK, body = Changed), (status = ACCEPTED, body = Changed, description = "It is under way")))]
pub async fn apply(
    State(api): Shared,
    Json(wanted): Json<PlanRequest>,
) -> Result<(StatusCode, axum::Json<Changed>), Problem> {
    if !wanted.changes.is_empty() {
        let what = "changes: what is only supposed cannot be carried out";
        return Err(Problem::new(ErrorCode::Invalid, what).with_help("make the changes, and plan again"));
    }
    let planned = planned(&api, wanted).await?;
    let steps: Vec<String> = planned.steps.iter().map(|step| step.action.to_string()).collect();
    if steps.is_empty() {
        return Ok((StatusCode::OK, axum::Json(Changed::done("nothing would be done"))));
    }
    let surroundings = api.surroundings.clone();
    let work = async move { plan::apply(&surroundings, &planned, |_| {}).await };
    api.carry_out(format!("done: {}", steps.join(", ")), work).await
}

async fn planned(api: &Arc<Api>, wanted: PlanRequest) -> Result<plan::Plan, Problem> {
    const FARTHEST_S: f64 = 86400.0;
    let ahead = wanted.ahead_s.unwrap_or(3600.0);
    if !(ahead > 0.0 && ahead <= FARTHEST_S) {
        return Err(Problem::new(ErrorCode::Invalid, format!("ahead_s: {ahead} is not within 0 and {FARTHEST_S}")));
    }
    let seed = u32::try_from(wanted.seed.unwrap_or(1));
    let seed = seed.map_err(|_| Problem::new(ErrorCode::Invalid, format!("seed: it is at most {}", u32::MAX)))?;
    if let Some(policy) = wanted.policy.as_ref().filter(|policy| !POLICIES.contains(&policy.as_str())) {
        let what = format!("policy: there is no `{}`", policy.escape_debug());
        return Err(Problem::new(ErrorCode::Invalid, what).with_help(format!("policies are {}", POLICIES.join(", "))));
    }
    let edits = wanted.changes.iter().map(WhatIf::edit).collect::<Result<Vec<_>, _>>()?;
    let Ok(_one_at_a_time) = api.planning.acquire().await else {
        return Err(Problem::new(ErrorCode::Unavailable, "the server ends"));
    };
    let surroundings = &api.surroundings;
    let existing = Existing {
        knowledge: surroundings.knowledge.clone(),
        batch: surroundings.batch.clone(),
        load: surroundings.load.clone(),
        clock: surroundings.clock.clone(),
        scale: api.scale,
        place: surroundings.table(),
    };
    let from = from_table::read(&existing, &surroundings.settings, None).await?;
    let simulated = tokio::task::spawn_blocking(move || {
        plan::make(&from, wanted.policy.as_deref(), seed.into(), Duration::from_secs_f64(ahead), edits)
    });
    let made = simulated.await.map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
    Ok(made?)
}

/// Which action is not done.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NotDone {
    /// `C1_2`, or `DATA_SET:C1_2` where there are several data sets.
    action: String,
    /// By this agent; absent: the first that reads the replica.
    agent: Option<u32>,
}

/// Why an action is not done now.
#[utoipa::path(get, path = "/why-not", operation_id = "why_not", tag = "actions", params(NotDone),
    responses((status = OK, body = WhyNot)))]
pub async fn why_not(State(api): Shared, Query(asked): Query<NotDone>) -> Result<axum::Json<WhyNot>, Problem> {
    let action: Labelled = asked.action.parse().map_err(|_| super::actions::no_action(&asked.action))?;
    let catalogue = Catalogue::load(api.knowledge()).await?;
    let agent = asked.agent.map(AgentId);
    let why = why_not::why_not(api.knowledge(), &catalogue.snapshots, action, agent).await?;
    Ok(axum::Json(why.into()))
}
