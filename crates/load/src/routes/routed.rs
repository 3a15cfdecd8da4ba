//! A service that has a record at the moment, or has none.

use crate::balancer::{Balancer, BalancerKind, Record, SharedBalancer};
use crate::generator::{Route, Target};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where the requests of a service go at the moment. Whoever holds it follows it through all changes.
pub struct Routed {
    /// Keeps what is outstanding while there is no record.
    balancer: SharedBalancer,
    is_routed: AtomicBool,
}

impl Routed {
    /// `seed`: of what the balancer draws.
    pub fn new(kind: BalancerKind, record: Record, seed: u64) -> Self {
        Self::by(Balancer::new(kind, record, seed))
    }

    pub fn by(balancer: Balancer) -> Self {
        Self { balancer: SharedBalancer::new(balancer), is_routed: AtomicBool::new(true) }
    }

    /// Requests that begin from now on follow it, if it is newer than the one before.
    pub fn follow(&self, kind: BalancerKind, record: Record) {
        let mut balancer = self.balancer.lock();
        if balancer.change(record) {
            balancer.change_kind(kind);
        }
        drop(balancer);
        self.is_routed.store(true, Ordering::Release);
    }

    /// Requests that begin from now on go nowhere.
    pub fn unset(&self) {
        self.is_routed.store(false, Ordering::Release);
    }

    pub fn is_routed(&self) -> bool {
        self.is_routed.load(Ordering::Acquire)
    }

    /// Who chooses, also while it is routed nowhere.
    pub fn balancer(&self) -> &SharedBalancer {
        &self.balancer
    }

    /// `None`: it is routed nowhere.
    pub fn record(&self) -> Option<Record> {
        self.is_routed().then(|| self.balancer.lock().record().clone())
    }
}

impl Route for Routed {
    fn choose(&self) -> Option<Target> {
        self.is_routed().then(|| self.balancer.choose()).flatten()
    }

    fn ended(&self, target: &Target, took: Duration) {
        self.balancer.ended(target, took);
    }
}
