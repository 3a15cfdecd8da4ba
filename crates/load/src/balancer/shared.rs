//! A balancer for all threads that send to one service.

use super::follow::Balancer;
use crate::generator::{Route, Target};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Chooses for each request of a run, while others change the record and tell how hosts are.
pub struct SharedBalancer(Mutex<Balancer>);

impl SharedBalancer {
    pub fn new(balancer: Balancer) -> Self {
        Self(Mutex::new(balancer))
    }

    /// For a change, an observation or a question; short, since requests wait for it.
    pub fn lock(&self) -> MutexGuard<'_, Balancer> {
        // Nothing in it panics. Whoever did while holding it left it such that the next choice is again a host of the record.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route for SharedBalancer {
    fn choose(&self) -> Option<Target> {
        Some(self.lock().choose())
    }

    /// By the host's name: the record, and with it all indices, may have changed since the choice.
    fn ended(&self, target: &Target, _took: Duration) {
        self.lock().ended(&target.host);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BalancerKind, Host, Record};
    use super::*;

    fn record(addresses: &[&str], revision: u64) -> Record {
        let hosts = addresses.iter().map(|address| Host::new(*address, 1.0)).collect();
        Record::new("shop", hosts, revision).unwrap()
    }

    #[test]
    fn a_request_that_ends_after_a_change_is_counted_where_it_went() {
        let shared =
            SharedBalancer::new(Balancer::new(BalancerKind::LeastOutstanding, record(&["a:80", "b:80"], 1), 1));
        let first = shared.choose().unwrap();
        assert_eq!((&*first.host, first.index), ("a:80", 0));
        assert!(shared.lock().change(record(&["b:80", "c:80", "a:80"], 2)));
        assert_eq!(shared.lock().outstanding("a:80"), 1);
        shared.ended(&first, Duration::ZERO);
        assert_eq!(["a:80", "b:80"].map(|host| shared.lock().outstanding(host)), [0, 0]);
    }
}
