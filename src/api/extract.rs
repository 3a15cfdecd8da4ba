//! What requests carry, read; refused with a problem document where it cannot be.

use super::problem::{ErrorCode, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A body of JSON, whole and of a bounded size: an object. What reads one would take a list for it, too, its members in the order in
/// which they are declared.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await;
        let body = body.map_err(|rejection| Problem::new(ErrorCode::TooLarge, rejection.body_text()))?;
        if body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
            return Err(Problem::new(ErrorCode::Invalid, "the body is a list; it has to be an object"));
        }
        let axum::Json(value) = axum::Json::from_request(Request::from_parts(parts, Body::from(body)), state).await?;
        Ok(Self(value))
    }
}

/// What stands behind the question mark; what is not known there is refused.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Query(value) = axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// What a path names.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// The state that a write is meant for, if it says so: the `ETag` of what was read.
pub struct IfMatch(pub Option<String>);

impl IfMatch {
    /// Refuses a write that is meant for another state than `present`, which has this tag and is shown.
    pub fn check(&self, tag: &str, what: &str, present: &impl Serialize) -> Result<(), Problem> {
        if self.0.as_deref().is_none_or(|expected| expected == tag) {
            return Ok(());
        }
        let now = serde_json::to_value(present).unwrap_or_default();
        Err(Problem::new(ErrorCode::Changed, format!("{what} has been changed")).with_current(now))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        match value.to_str() {
            Ok("*") => Ok(Self(None)),
            Ok(tag) => Ok(Self(Some(tag.to_owned()))),
            Err(_) => Err(Problem::new(ErrorCode::Malformed, "If-Match is no text")),
        }
    }
}
