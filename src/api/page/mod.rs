//! The page.

use super::Api;
use axum::Router;
use std::sync::Arc;

pub fn routes() -> Router<Arc<Api>> {
    Router::new()
}
