//! What a balancer remembers of a host that it sends requests to.

use super::record::Host;
use std::sync::Arc;

/// How a host is, as seen from where the load is made.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Condition {
    /// Of the way to it \[ms\].
    pub latency_ms: f64,
    /// The share of its CPU that is in use, 0 to 1.
    pub cpu: f64,
}

/// Only hosts that take requests have one: their weight is above 0.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub address: Arc<str>,
    /// Of its host among all in the record.
    pub index: usize,
    pub weight: f64,
    /// Requests that were sent to it and have not ended.
    pub outstanding: u64,
    /// Requests that it is owed by its weight; below 0 when it is ahead.
    pub credit: f64,
    pub condition: Option<Condition>,
}

impl Seat {
    /// Of a host of which nothing is known yet.
    pub fn new(index: usize, host: &Host) -> Self {
        let address = host.address.as_str().into();
        Self { address, index, weight: host.weight, outstanding: 0, credit: 0.0, condition: None }
    }
}

/// Seats of these weights, for tests.
#[cfg(test)]
pub(super) fn seats(weights: &[f64]) -> Vec<Seat> {
    let host = |index: usize, weight: &f64| Seat::new(index, &Host::new(format!("h{}:80", index + 1), *weight));
    weights.iter().enumerate().map(|(index, weight)| host(index, weight)).collect()
}
