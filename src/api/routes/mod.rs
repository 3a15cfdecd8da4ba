//! What can be asked for below `/api/v1`: one file for each resource, and the document that describes all of them.

mod actions;
mod agents;
mod batch;
mod data_sets;
pub mod events;
mod links;
mod load;
mod load_verbs;
mod members;
mod network;
mod nodes;
mod plans;
mod prices;
mod records;
mod simulation;
mod stream;

use super::Api;
use super::listing::Sort;
use super::problem::{CONTENT_TYPE, ErrorCode, Problem, ProblemDocument};
use crate::app::batch::new_key;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub const BASE: &str = "/api/v1";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "agent",
        description = "A network of agents that place data: what it looks like, what was done and why, and what is to change. \
                       Reading is free on the machine itself; everything else needs a token (`agent token`)."
    ),
    components(schemas(ProblemDocument, Sort)),
    security((), ("token" = []))
)]
struct Described;

/// All routes, and what they are.
pub fn routes() -> (axum::Router<Arc<Api>>, Value) {
    let api = OpenApiRouter::new()
        .routes(routes!(network::network))
        .routes(routes!(network::policies))
        .routes(routes!(network::database))
        .routes(routes!(nodes::list, nodes::add))
        .routes(routes!(nodes::show, nodes::change, nodes::remove))
        .routes(routes!(links::list))
        .routes(routes!(links::show, links::change))
        .routes(routes!(members::list))
        .routes(routes!(members::tune))
        .routes(routes!(data_sets::list))
        .routes(routes!(data_sets::show))
        .routes(routes!(data_sets::constrain))
        .routes(routes!(data_sets::replicas))
        .routes(routes!(data_sets::pause))
        .routes(routes!(data_sets::resume))
        .routes(routes!(agents::list, agents::add))
        .routes(routes!(agents::show, agents::change))
        .routes(routes!(events::list))
        .routes(routes!(stream::stream))
        .routes(routes!(events::show))
        .routes(routes!(records::measurements))
        .routes(routes!(records::asks))
        .routes(routes!(records::counters))
        .routes(routes!(plans::make))
        .routes(routes!(plans::apply))
        .routes(routes!(plans::why_not))
        .routes(routes!(actions::act))
        .routes(routes!(prices::budget))
        .routes(routes!(prices::storage))
        .routes(routes!(prices::egress))
        .routes(routes!(batch::list, batch::submit))
        .routes(routes!(batch::show))
        .routes(routes!(batch::history))
        .routes(routes!(batch::why))
        .routes(routes!(batch::cancel))
        .routes(routes!(batch::resize))
        .routes(routes!(batch::checkpoint))
        .routes(routes!(batch::strategy, batch::use_strategy))
        .routes(routes!(batch::workers))
        .routes(routes!(batch::change_worker))
        .routes(routes!(load::list, load::queue))
        .routes(routes!(load::show))
        .routes(routes!(load::cancel))
        .routes(routes!(load::check))
        .routes(routes!(load::routes))
        .routes(routes!(load_verbs::perform))
        .routes(routes!(load::route, load::set_route, load::unset_route))
        .routes(routes!(simulation::show, simulation::change))
        .routes(routes!(simulation::step));
    let (router, mut document) = OpenApiRouter::with_openapi(Described::openapi()).nest(BASE, api).split_for_parts();
    describe_refusals(&mut document);
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    widen(&mut document);
    (router, document)
}

/// Numbers without a sign are described as if they had one, which takes half of them away.
fn widen(part: &mut Value) {
    match part {
        Value::Object(members) => {
            if members.get("format") == Some(&json!("int32")) && members.get("minimum").is_some_and(Value::is_number) {
                members.insert("format".to_owned(), json!("int64"));
                members.entry("maximum").or_insert_with(|| json!(u32::MAX));
            }
            members.values_mut().for_each(widen);
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every operation may be refused, and says so alike; and every write needs a token.
fn describe_refusals(document: &mut OpenApi) {
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("token", token);
    let problem = || {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(ProblemDocument::name()))).build();
        ResponseBuilder::new()
            .description("What is wrong, where, and what to do (RFC 9457)")
            .content(CONTENT_TYPE, content)
            .build()
    };
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten();
        for operation in operations {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
}

/// Of a write that is done once, however often it is sent; a new one where none is.
fn request_key(sent: Option<String>) -> Result<String, Problem> {
    match sent {
        Some(key) if (1..=255).contains(&key.len()) => Ok(key),
        Some(_) => Err(Problem::new(ErrorCode::Invalid, "key: it is 1 to 255 bytes long")),
        None => Ok(new_key()),
    }
}

/// Names a state of something that can be changed: two that differ have different ones.
fn tag(state: &impl Serialize) -> String {
    let text = serde_json::to_vec(state).unwrap_or_default();
    let digest: [u8; 32] = Sha256::digest(&text).into();
    format!("\"{}\"", hex::encode(&digest[..12]))
}

/// Something that can be changed, with the name of its state.
fn tagged(tag: String, state: &impl Serialize) -> Response {
    ([(header::ETAG, tag)], axum::Json(state)).into_response()
}
