//! A balancer follows a routing record while it changes.

use super::kind::BalancerKind;
use super::nearest_below::{self, CPU_THRESHOLD};
use super::record::{Host, Record};
use super::seat::{Condition, Seat};
use super::{least_outstanding, weighted_random, weighted_round_robin};
use crate::generator::Target;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Chooses a host for each request of one service, and is told when requests end.
pub struct Balancer {
    kind: BalancerKind,
    record: Record,
    /// Never empty: of a record's hosts at least one takes requests.
    seats: Vec<Seat>,
    /// Requests that have not ended, at hosts that get no further ones. Whoever comes back is as busy as it is.
    leaving: BTreeMap<Arc<str>, u64>,
    rng: ChaCha8Rng,
    cpu_threshold: f64,
    violations: u64,
}

impl Balancer {
    /// The same `seed`, record and course of requests make the same choices.
    pub fn new(kind: BalancerKind, record: Record, seed: u64) -> Self {
        let seats = seats(&record, Seat::new);
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (leaving, cpu_threshold, violations) = (BTreeMap::new(), CPU_THRESHOLD, 0);
        Self { kind, record, seats, leaving, rng, cpu_threshold, violations }
    }

    /// For [`BalancerKind::NearestBelow`], instead of [`CPU_THRESHOLD`]: a share of the CPU, 0 to 1.
    pub fn with_cpu_threshold(self, cpu_threshold: f64) -> Self {
        Self { cpu_threshold, ..self }
    }

    /// Where the next request goes. It counts as outstanding there until [`Self::ended`]. Its place is that of the host in the record
    /// that is followed now.
    pub fn choose(&mut self) -> Target {
        let position = match self.kind {
            BalancerKind::WeightedRandom => weighted_random::pick(&self.seats, &mut self.rng),
            BalancerKind::WeightedRoundRobin => weighted_round_robin::pick(&mut self.seats),
            BalancerKind::LeastOutstanding => least_outstanding::pick(&self.seats),
            BalancerKind::NearestBelow => {
                let pick = nearest_below::pick(&self.seats, self.cpu_threshold);
                self.violations += pick.passed_over;
                pick.position
            }
        };
        let seat = &mut self.seats[position];
        seat.outstanding += 1;
        Target { host: Arc::clone(&seat.address), index: seat.index }
    }

    /// A request that went to this address has ended, in whatever way. Of an address where none is outstanding it means
    /// nothing.
    pub fn ended(&mut self, address: &str) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| *seat.address == *address) {
            seat.outstanding = seat.outstanding.saturating_sub(1);
        } else if let Some(outstanding) = self.leaving.get_mut(address) {
            *outstanding -= 1;
            if *outstanding == 0 {
                self.leaving.remove(address);
            }
        }
    }

    /// Follows another record from the next choice on. Hosts that stay keep what is outstanding, whose turn it is and their
    /// condition.
    ///
    /// `false`: it is of another service or no newer than the one that is followed, which it is to go on following.
    pub fn change(&mut self, record: Record) -> bool {
        if record.service() != self.record.service() || record.revision() <= self.record.revision() {
            return false;
        }
        let mut before: BTreeMap<Arc<str>, Seat> =
            std::mem::take(&mut self.seats).into_iter().map(|seat| (Arc::clone(&seat.address), seat)).collect();
        self.seats = seats(&record, |index, host| match before.remove(host.address.as_str()) {
            Some(seat) => Seat { index, weight: host.weight, ..seat },
            None => {
                let outstanding = self.leaving.remove(host.address.as_str()).unwrap_or(0);
                Seat { outstanding, ..Seat::new(index, host) }
            }
        });
        let left = before.into_iter().map(|(address, seat)| (address, seat.outstanding));
        self.leaving.extend(left.filter(|(_, outstanding)| *outstanding > 0));
        self.record = record;
        true
    }

    /// Chooses in this way from the next choice on.
    pub fn change_kind(&mut self, kind: BalancerKind) {
        self.kind = kind;
    }

    /// What is known of a host now; of one that gets no requests it means nothing.
    pub fn observe(&mut self, address: &str, condition: Condition) {
        if let Some(seat) = self.seats.iter_mut().find(|seat| *seat.address == *address) {
            seat.condition = Some(condition);
        }
    }

    pub fn kind(&self) -> BalancerKind {
        self.kind
    }

    /// The one that is followed.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Requests that went to this address and have not ended.
    pub fn outstanding(&self, address: &str) -> u64 {
        let seat = self.seats.iter().find(|seat| *seat.address == *address);
        seat.map(|seat| seat.outstanding).or_else(|| self.leaving.get(address).copied()).unwrap_or(0)
    }

    /// How often a host was passed over because its CPU was not below the threshold.
    pub fn violations(&self) -> u64 {
        self.violations
    }
}

/// Of the hosts that take requests, in the record's order.
fn seats(record: &Record, mut seat: impl FnMut(usize, &Host) -> Seat) -> Vec<Seat> {
    let hosts = record.hosts().iter().enumerate().filter(|(_, host)| host.weight > 0.0);
    hosts.map(|(index, host)| seat(index, host)).collect()
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
