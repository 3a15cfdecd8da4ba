//! How a host is chosen for a request.

use super::request::Template;
use std::sync::Arc;
use std::time::Duration;

/// Where a request goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// `host:port`.
    pub host: Arc<str>,
    /// Its place in what chose it; given back by [`Route::ended`].
    pub index: usize,
}

/// Chooses a host for each request of a service, and hears when the request ended.
pub trait Route: Send + Sync {
    /// `None`: there is no host at the moment; the request counts as unreachable.
    fn choose(&self) -> Option<Target>;

    /// Once for each target that was chosen, however its request ended; `took` counts from the choice.
    fn ended(&self, target: &Target, took: Duration);

    /// What is sent to a target that was chosen, where that differs from host to host. `None`: the same to all.
    fn template(&self, _target: &Target) -> Option<Arc<Template>> {
        None
    }
}
