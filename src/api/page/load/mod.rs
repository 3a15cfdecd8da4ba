//! The page of load: experiments that wait, run or are over, and a designer for the next one.

mod designer;
mod experiments;

use super::{LOAD, closed, document};
use crate::api::extract::Query;
use crate::api::problem::Problem;
use crate::api::{Api, Shared};
use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use maud::html;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub const SCRIPT: &str = include_str!("load.js");

/// What is looked at: it stands in the page's address.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Looking {
    /// An experiment with its file and what it came to.
    pub experiment: Option<i64>,
}

impl Looking {
    fn at(experiment: Option<i64>) -> String {
        match experiment {
            Some(id) => format!("{}?experiment={id}", LOAD.address),
            None => format!("{}?", LOAD.address),
        }
    }
}

pub fn routes() -> Router<Arc<Api>> {
    Router::new().route(LOAD.address, get(frame)).route("/page/load", get(parts))
}

/// The page. The designer says nothing of the network; the rest needs a token off this machine.
async fn frame(State(api): Shared, Query(looking): Query<Looking>) -> Result<Html<String>, Problem> {
    let experiments = match api.doors.is_loopback {
        true => experiments::experiments(&api, &looking).await?,
        false => closed(),
    };
    Ok(document(
        &api,
        &LOAD,
        html! {
            div #experiments { (experiments) }
            (designer::designer())
            p #told role="status" {}
        },
    ))
}

async fn parts(State(api): Shared, Query(looking): Query<Looking>) -> Result<Html<String>, Problem> {
    Ok(Html(experiments::experiments(&api, &looking).await?.into_string()))
}
