//! The own record, and when it is issued again.

use super::knowledge::Held;
use super::{Member, Turn};
use crate::message::{Message, Standing};
use crate::record::{Intent, LinkSeen, MAX_LINKS, Own, Record, Signed};
use crate::time::micros;
use rand::RngExt as _;
use std::sync::Arc;
use std::time::Duration;

/// Whoever asks for a fresh record gets a new one at most this often.
const FRESH_AT_MOST_EACH: Duration = Duration::from_secs(1);
/// Peers that are told of a leave at once, for each of the fan-out.
const TOLD_OF_LEAVING: u32 = 2;

impl Member {
    /// Signs what is observed, as the next version.
    pub(super) fn issue(&mut self, turn: &mut Turn) {
        self.version += 1;
        self.own = self.observed.clone();
        self.own.links = self.links_told();
        if self.has_left {
            self.own.intent = Intent::Left;
        }
        let record = Record {
            node: self.identity.node,
            incarnation: self.identity.incarnation,
            version: self.version,
            refutation: self.refutation,
            at: turn.now,
            address: self.settings.address,
            key: self.identity.public_key(),
            own: self.own.clone(),
        };
        let record = Arc::new(Signed::issue(&self.identity, self.settings.network, record));
        let standing = if self.has_left { Standing::Left } else { Standing::Alive };
        self.knowledge.put(Held { record, issued: turn.now, standing }, true, turn.rng);
        self.issued = turn.now;
    }

    /// Each round: if something matters that others do not know yet, or the latest issue is too long ago.
    pub(super) fn issue_if_due(&mut self, turn: &mut Turn) {
        let latest = self.settings.interval * self.settings.reissue_intervals.max(1);
        // Spread, so that those who started together do not stay together.
        let is_late = turn.now.since(self.issued) + self.settings.interval.mul_f64(turn.rng.random()) >= latest;
        let links = self.links_told();
        let observed = Own { links, intent: self.own.intent, ..self.observed.clone() };
        let is_other = self.observed.intent != self.own.intent && !self.has_left;
        if is_late || is_other || observed.differs_enough(&self.own) {
            self.issue(turn);
        }
    }

    /// Who asks for a fresh record of this node gets one, within a bound.
    pub(super) fn issue_if_older_than(&mut self, age: Duration, turn: &mut Turn) {
        let old = turn.now.since(self.issued);
        if old > age && old >= self.settings.interval.min(FRESH_AT_MOST_EACH) {
            self.issue(turn);
        }
    }

    pub(super) fn observe(&mut self, own: Own, turn: &mut Turn) {
        let is_urgent = own.intent != self.observed.intent;
        self.observed = own;
        if is_urgent {
            self.issue(turn);
        }
    }

    pub(super) fn leave(&mut self, turn: &mut Turn) {
        self.has_left = true;
        self.issue(turn);
        let Some(mine) = self.knowledge.get(self.identity.node).map(|held| held.carried(turn.now)) else { return };
        for _ in 0..self.settings.fan_out * TOLD_OF_LEAVING {
            if let Some((_, to)) = self.somebody_alive(turn) {
                self.send(to, Message::Records { exchange: 0, records: vec![mine.clone()] }, turn);
            }
        }
    }

    /// What was measured here, with the rates that the owner saw; then what only the owner knows.
    fn links_told(&self) -> Vec<LinkSeen> {
        let seen = &self.observed.links;
        let rate = |peer| seen.iter().find(|link| link.peer == peer).and_then(|link| link.bytes_per_s);
        let measured = self.links.latest(MAX_LINKS).into_iter().map(|(peer, link)| LinkSeen {
            peer,
            round_trip_us: u32::try_from(micros(link.round_trip)).unwrap_or(u32::MAX),
            loss_permille: (link.loss * 1000.0).clamp(0.0, 1000.0) as u16,
            bytes_per_s: rate(peer),
        });
        let mut links: Vec<_> = measured.collect();
        let others = seen.iter().filter(|link| links.iter().all(|told| told.peer != link.peer));
        let others: Vec<_> = others.copied().collect();
        links.extend(others);
        links.truncate(MAX_LINKS);
        links
    }
}
