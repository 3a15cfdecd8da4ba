//! A simulation that is watched: how fast it goes on.

use crate::api::extract::Json;
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{PaceChange, SimulationStep, SimulationView};
use crate::api::{Api, Shared};
use crate::app::pace::{FASTEST, Pace};
use axum::extract::State;

/// How the simulation stands. Only of `agent simulate --serve`.
#[utoipa::path(get, path = "/simulation", operation_id = "show_simulation", tag = "simulation",
    responses((status = OK, body = SimulationView)))]
pub async fn show(State(api): Shared) -> Result<axum::Json<SimulationView>, Problem> {
    Ok(axum::Json(SimulationView::new(&pace(&api)?.standing())))
}

/// Goes on faster or more slowly, pauses, or goes on again.
#[utoipa::path(patch, path = "/simulation", operation_id = "change_simulation", tag = "simulation",
    request_body = PaceChange, responses((status = OK, body = SimulationView)), security(("token" = [])))]
pub async fn change(State(api): Shared, Json(wanted): Json<PaceChange>) -> Result<axum::Json<SimulationView>, Problem> {
    let pace = pace(&api)?;
    if let Some(speed) = wanted.speed.filter(|speed| !(*speed > 0.0 && *speed <= FASTEST)) {
        let what = format!("speed: {speed} is not above 0 and at most {FASTEST}");
        return Err(Problem::new(ErrorCode::Invalid, what).with_help("pause it to stop it"));
    }
    pace.set(wanted.speed, wanted.paused);
    Ok(axum::Json(SimulationView::new(&pace.standing())))
}

/// Pauses the simulation and lets it go on until something has happened.
#[utoipa::path(post, path = "/simulation/steps", operation_id = "step_simulation", tag = "simulation",
    request_body = SimulationStep, responses((status = OK, body = SimulationView)), security(("token" = [])))]
pub async fn step(
    State(api): Shared,
    Json(wanted): Json<SimulationStep>,
) -> Result<axum::Json<SimulationView>, Problem> {
    let pace = pace(&api)?;
    if !pace.step(wanted.step()?) {
        return Err(Problem::new(ErrorCode::TooMany, "too many steps wait to be made"));
    }
    Ok(axum::Json(SimulationView::new(&pace.standing())))
}

fn pace(api: &Api) -> Result<&Pace, Problem> {
    let what = "this network is no simulation: its time goes on by itself";
    api.simulation.as_deref().ok_or_else(|| Problem::new(ErrorCode::NotFound, what))
}
