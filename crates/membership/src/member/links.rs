//! What probes tell of the way to each peer: round trip, loss, and how far its clock is off.

use crate::identity::NodeId;
use crate::time::{Time, micros};
use std::collections::BTreeMap;
use std::time::Duration;

/// Peers of whom something measured is kept; the one not heard of for longest goes first.
pub const MAX_MEASURED: usize = 1_024;
/// The smallest round trip is that of the latest this many.
const WINDOW: usize = 8;
/// Round trips that tell what a way is like now.
const LATEST: usize = 3;
/// Peers whose median round trip is the usual one.
const TYPICAL: usize = 9;
/// Weight of a new round trip (as TCP's: RFC 6298).
const ROUND_TRIP_WEIGHT: f64 = 1.0 / 8.0;
/// Weight of a new ping in the share that was answered.
const ANSWERED_WEIGHT: f64 = 1.0 / 32.0;

/// The measured way to a peer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Link {
    /// Smoothed round trip.
    pub round_trip: Duration,
    /// The smallest of the latest eight.
    pub least_round_trip: Duration,
    /// The smallest of the latest three: what the way is like now, but for what happened once.
    pub latest_round_trip: Duration,
    /// Share of datagrams lost on one way, 0 to 1, if both ways lose alike.
    pub loss: f64,
    /// By how many microseconds the peer's clock is ahead.
    pub clock_ahead_us: i64,
    /// When it last answered.
    pub heard: Time,
}

#[derive(Debug)]
struct Measured {
    recent_us: [u64; WINDOW],
    count: usize,
    smoothed_us: f64,
    answered: f64,
    clock_ahead_us: i64,
    heard: Time,
    is_clock_off: bool,
}

impl Measured {
    /// The latest few round trips, newest first.
    fn latest(&self) -> impl Iterator<Item = u64> {
        (0..LATEST.min(self.count)).map(|back| self.recent_us[(self.count - 1 - back) % WINDOW])
    }
}

/// All measured ways.
#[derive(Default, Debug)]
pub(crate) struct Links {
    measured: BTreeMap<NodeId, Measured>,
}

impl Links {
    /// A ping was answered: `clock` is what the peer's clock said. Tells how far it is off, once, when it begins to
    /// be off by more than `tolerance`.
    pub fn answered(&mut self, peer: NodeId, sent: Time, now: Time, clock: Time, tolerance: Duration) -> Option<i64> {
        let trip_us = micros(now.since(sent));
        self.make_room(peer);
        let measured = self.measured.entry(peer).or_insert_with(|| Measured {
            recent_us: [trip_us; WINDOW],
            count: 0,
            smoothed_us: trip_us as f64,
            answered: 1.0,
            clock_ahead_us: 0,
            heard: now,
            is_clock_off: false,
        });
        measured.recent_us[measured.count % WINDOW] = trip_us;
        measured.count += 1;
        measured.smoothed_us += (trip_us as f64 - measured.smoothed_us) * ROUND_TRIP_WEIGHT;
        measured.answered += (1.0 - measured.answered) * ANSWERED_WEIGHT;
        // As NTP does: the answer was written in the middle of the round trip.
        measured.clock_ahead_us = clock.minus(sent + now.since(sent) / 2);
        measured.heard = now;
        let is_off = measured.clock_ahead_us.unsigned_abs() > micros(tolerance);
        let begins = is_off && !measured.is_clock_off;
        measured.is_clock_off = is_off;
        begins.then_some(measured.clock_ahead_us)
    }

    /// A ping was not answered.
    pub fn unanswered(&mut self, peer: NodeId) {
        if let Some(measured) = self.measured.get_mut(&peer) {
            measured.answered -= measured.answered * ANSWERED_WEIGHT;
        }
    }

    /// It answered something that is no ping.
    pub fn heard(&mut self, peer: NodeId, now: Time) {
        if let Some(measured) = self.measured.get_mut(&peer) {
            measured.heard = now;
        }
    }

    pub fn last_heard(&self, peer: NodeId) -> Option<Time> {
        self.measured.get(&peer).map(|measured| measured.heard)
    }

    pub fn get(&self, peer: NodeId) -> Option<Link> {
        let measured = self.measured.get(&peer)?;
        Some(Link {
            round_trip: Duration::from_micros(measured.smoothed_us as u64),
            least_round_trip: Duration::from_micros(measured.recent_us.iter().copied().min().unwrap_or_default()),
            latest_round_trip: Duration::from_micros(measured.latest().min().unwrap_or_default()),
            loss: 1.0 - measured.answered.sqrt(),
            clock_ahead_us: measured.clock_ahead_us,
            heard: measured.heard,
        })
    }

    /// The most recently heard of, at most `count`.
    pub fn latest(&self, count: usize) -> Vec<(NodeId, Link)> {
        let mut peers: Vec<_> = self.measured.iter().map(|(peer, measured)| (measured.heard, *peer)).collect();
        peers.sort_unstable_by(|one, other| other.cmp(one));
        peers.into_iter().take(count).filter_map(|(_, peer)| self.get(peer).map(|link| (peer, link))).collect()
    }

    /// What a round trip to a peer takes: as measured, and not less than the median of those heard of latest, for
    /// whoever is slow itself sees all peers late.
    pub fn usual_round_trip(&self, peer: Option<NodeId>) -> Duration {
        let mut latest: Vec<_> = self.latest(TYPICAL).into_iter().map(|(_, link)| link.round_trip).collect();
        latest.sort_unstable();
        let typical = latest.get(latest.len() / 2).copied().unwrap_or_default();
        peer.and_then(|peer| self.get(peer)).map_or(typical, |link| link.round_trip.max(typical))
    }

    pub fn forget(&mut self, peer: NodeId) {
        self.measured.remove(&peer);
    }

    fn make_room(&mut self, peer: NodeId) {
        if self.measured.len() >= MAX_MEASURED && !self.measured.contains_key(&peer) {
            let oldest = self.measured.iter().min_by_key(|(_, measured)| measured.heard).map(|(peer, _)| *peer);
            oldest.map(|oldest| self.measured.remove(&oldest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId(3);
    const TOLERANCE: Duration = Duration::from_secs(300);

    #[test]
    fn the_clock_is_told_once_and_again_after_it_was_right() {
        let mut links = Links::default();
        let mut answer = |ahead: i64| {
            let sent = Time::from_secs(10_000);
            let now = sent + Duration::from_millis(20);
            links.answered(PEER, sent, now, (sent + Duration::from_millis(10)).moved(ahead), TOLERANCE)
        };
        assert_eq!(answer(299_000_000), None);
        assert_eq!(answer(-301_000_000), Some(-301_000_000));
        assert_eq!(answer(-301_000_000), None);
        assert_eq!(answer(0), None);
        assert_eq!(answer(400_000_000), Some(400_000_000));
    }

    #[test]
    fn a_way_that_has_become_longer_is_noticed_at_the_third_answer() {
        let mut links = Links::default();
        let mut answer = |milliseconds: u64| {
            let sent = Time::from_secs(1);
            links.answered(PEER, sent, sent + Duration::from_millis(milliseconds), sent, TOLERANCE);
            let link = links.get(PEER).expect("it was measured");
            (link.latest_round_trip.as_millis(), link.least_round_trip.as_millis())
        };
        let found = [20, 80, 20, 80, 80, 80].map(&mut answer);
        assert_eq!(found, [(20, 20), (20, 20), (20, 20), (20, 20), (20, 20), (80, 20)]);
    }

    #[test]
    fn loss_is_that_of_one_way() {
        let mut links = Links::default();
        let now = Time::from_secs(1);
        for ping in 0..3_000 {
            // Of 25 round trips 16 are whole: 0.8 each way.
            if ping * 16 % 25 < 16 {
                links.answered(PEER, now, now + Duration::from_millis(4), now, TOLERANCE);
            } else {
                links.unanswered(PEER);
            }
        }
        let link = links.get(PEER).expect("measured");
        assert!((link.loss - 0.2).abs() < 0.02, "{}", link.loss);
        assert_eq!(link.least_round_trip, Duration::from_millis(4));
    }

    #[test]
    fn what_is_measured_is_bounded() {
        let mut links = Links::default();
        for peer in 0..2 * MAX_MEASURED as u32 {
            let now = Time(u64::from(peer));
            links.answered(NodeId(peer), now, now, now, TOLERANCE);
        }
        assert_eq!(links.measured.len(), MAX_MEASURED);
        assert_eq!(links.latest(1)[0].0, NodeId(2 * MAX_MEASURED as u32 - 1));
    }
}
