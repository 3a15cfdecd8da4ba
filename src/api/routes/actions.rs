//! Actions taken by hand, and whatever else takes its time.

use crate::api::extract::Json;
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{ActionRequest, Changed};
use crate::api::{Api, Shared};
use crate::app::data;
use agent_core::domain::action::Labelled;
use agent_core::domain::ids::AgentId;
use axum::extract::State;
use axum::http::StatusCode;
use std::time::Duration;

/// What has not ended by then goes on without the request.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Takes an action, in an agent's place.
#[utoipa::path(post, path = "/actions", operation_id = "act", tag = "actions", request_body = ActionRequest,
    responses((status = OK, body = Changed), (status = ACCEPTED, body = Changed, description = "It is under way")))]
pub async fn act(
    State(api): Shared,
    Json(wanted): Json<ActionRequest>,
) -> Result<(StatusCode, axum::Json<Changed>), Problem> {
    let view = api.view().await?;
    view.require_agent(wanted.agent).map_err(Problem::into_invalid)?;
    let action = wanted.action.parse::<Labelled>().map_err(|_| no_action(&wanted.action))?;
    let data_set = wanted.data_set.as_deref().map(Into::into).or(action.data_set);
    let action = Labelled { data_set, action: action.action };
    let (surroundings, agent) = (api.surroundings.clone(), AgentId(wanted.agent));
    let what = format!("done: {action} of agent {agent}");
    api.carry_out(what, async move { data::act(&surroundings, agent, &action).await }).await
}

pub fn no_action(text: &str) -> Problem {
    let what = format!("action: `{}` is none", text.escape_debug());
    Problem::new(ErrorCode::Invalid, what).with_help("write it like M1_2, C1_2, CR2, E2")
}

impl Api {
    /// Does something that may take long. When it has not ended after a while, the answer is that it is under way; it ends with
    /// this server at the latest, and what it leaves half done is undone by whoever finds it.
    pub(super) async fn carry_out(
        &self,
        what: String,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> Result<(StatusCode, axum::Json<Changed>), Problem> {
        let mut working = self.surroundings.services.spawn(work);
        match tokio::time::timeout(ANSWERED_WITHIN, &mut working).await {
            Ok(Ok(ended)) => ended.map(|()| (StatusCode::OK, axum::Json(Changed::done(what)))).map_err(Into::into),
            Ok(Err(error)) => Err(Problem::new(ErrorCode::Internal, error.to_string())),
            Err(_) => {
                let under_way = format!("under way; when it has ended: {what}");
                self.surroundings.services.spawn(async move {
                    match working.await {
                        Ok(Ok(())) => tracing::info!(what, "a request that took long is carried out"),
                        Ok(Err(error)) => {
                            tracing::warn!(what, error = format!("{error:#}"), "a request that took long failed")
                        }
                        Err(error) => tracing::warn!(what, %error, "a request that took long failed"),
                    }
                });
                Ok((StatusCode::ACCEPTED, axum::Json(Changed { changed: under_way, done: false })))
            }
        }
    }
}
