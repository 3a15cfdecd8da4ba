//! What a run is given.

use super::request::Template;
use super::route::Route;
use agent_arrivals::Arrival;
use std::sync::Arc;
use std::time::Duration;

/// Clients, and the threads they share.
pub struct Load {
    pub clients: Vec<Client>,
    /// When the run is stopped, what is in flight has so long to end.
    pub grace: Duration,
    /// Clients are dealt out to so many threads of the system; never more than there are clients, at least one.
    pub threads: usize,
}

/// One source of requests.
pub struct Client {
    /// As `{client}` and traces call it.
    pub id: u32,
    pub service: Arc<str>,
    /// When requests are meant to start, from the run's start; times that do not decrease.
    pub plan: Box<dyn Iterator<Item = Arrival> + Send>,
    pub template: Arc<Template>,
    pub route: Arc<dyn Route>,
    pub bounds: Bounds,
    pub numbers: Numbers,
    /// Of the random variables in its requests.
    pub seed: u64,
}

/// How a client's requests are numbered: where several hosts send some of them each, all together are numbered as one host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    pub first: u64,
    pub step: u64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { first: 1, step: 1 }
    }
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// More of its requests are not in flight; those whose time comes meanwhile are dropped.
    pub in_flight: usize,
    /// What is sent later than this after its time counts as late.
    pub late_after: Duration,
    /// A request that took longer is given up; counted from when it was begun, its connection included.
    pub timeout: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { in_flight: 1_000, late_after: Duration::from_millis(10), timeout: Duration::from_secs(10) }
    }
}
