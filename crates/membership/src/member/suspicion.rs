//! Who does not answer, what others say of it, and death.
//!
//! A suspicion ends with any sign of life: an answer, a record of a later start, one that refutes, or one that was
//! issued after the suspicion began. Otherwise it lasts a time that grows with the logarithm of the number of members
//! and is shorter the more members accuse independently; then this member asks once more itself. Nobody is buried on
//! hearsay: what others say can only make that last question come sooner.

use super::{Event, Member, Turn};
use crate::identity::NodeId;
use crate::message::{Rumour, Standing};
use crate::time::Time;
use rand::RngExt as _;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Accusers besides the first that shorten a suspicion to the least (Lifeguard's K).
const CONFIRMATIONS: usize = 3;
/// Least intervals of a suspicion for each power of ten in the number of members (Lifeguard's alpha, less what the last
/// question takes).
const LEAST_INTERVALS: f64 = 1.6;
/// How many times longer it is without confirmation (Lifeguard's beta).
const UNCONFIRMED: f64 = 4.0;

/// A node that does not answer somebody.
#[derive(Debug)]
pub(super) struct Suspicion {
    pub since: Time,
    accusers: BTreeSet<NodeId>,
    /// When it is asked for the last time.
    pub due: Time,
    /// That has begun.
    pub is_tried: bool,
}

impl Member {
    /// This member had no answer.
    pub(super) fn suspect(&mut self, node: NodeId, turn: &mut Turn) {
        let Some(rumour) = self.rumour(node, false) else { return };
        self.counters.suspected += 1;
        self.accuse(rumour, turn.now, turn);
    }

    /// What this member itself says of a node.
    fn rumour(&self, about: NodeId, is_dead: bool) -> Option<Rumour> {
        let record = self.knowledge.get(about)?.record.record();
        let (incarnation, refutation, accuser) = (record.incarnation, record.refutation, self.identity.node);
        Some(Rumour { about, incarnation, refutation, accuser, age_ms: 0, is_dead })
    }

    pub(super) fn hear_all(&mut self, rumours: &[Rumour], from: SocketAddr, sender: Option<NodeId>, turn: &mut Turn) {
        // A stranger's word would cost three pings to everybody.
        if !rumours.is_empty() && self.is_known(from, sender) {
            rumours.iter().for_each(|rumour| self.hear(*rumour, turn));
        }
    }

    fn hear(&mut self, rumour: Rumour, turn: &mut Turn) {
        if rumour.about == self.identity.node {
            return self.refute(rumour, turn);
        }
        let Some(held) = self.knowledge.get(rumour.about) else { return };
        let record = held.record.record();
        let is_of_this_record = (rumour.incarnation, rumour.refutation) == (record.incarnation, record.refutation);
        let since = turn.now - Duration::from_millis(u64::from(rumour.age_ms)).min(self.longest_suspicion() * 2);
        let is_disproved = self.links.last_heard(rumour.about).is_some_and(|heard| heard > since);
        if is_of_this_record && !is_disproved && held.standing.lives() {
            self.accuse(rumour, since, turn);
        }
    }

    fn accuse(&mut self, rumour: Rumour, since: Time, turn: &mut Turn) {
        let node = rumour.about;
        let is_new = !self.suspicions.contains_key(&node);
        let suspicion = self.suspicions.entry(node).or_insert_with(|| Suspicion {
            since,
            accusers: BTreeSet::new(),
            due: Time::NEVER,
            is_tried: false,
        });
        suspicion.since = suspicion.since.min(since);
        let is_news = suspicion.accusers.len() <= CONFIRMATIONS && suspicion.accusers.insert(rumour.accuser);
        let (accusers, since) = (suspicion.accusers.len(), suspicion.since);
        // Members do not all ask at once.
        let jitter = self.settings.interval.mul_f64(turn.rng.random::<f64>() / 4.0);
        let lasts = if rumour.is_dead { Duration::ZERO } else { self.suspicion_lasts(accusers) };
        if let Some(suspicion) = self.suspicions.get_mut(&node) {
            suspicion.due = suspicion.due.min((since + lasts).max(turn.now) + jitter);
        }
        if is_news || rumour.is_dead {
            self.rumours.spread(rumour, since);
        }
        if is_new {
            self.stands(node, Standing::Suspect, turn);
        }
    }

    /// From the longest, without confirmation, to the least with all (Lifeguard's formula).
    fn suspicion_lasts(&self, accusers: usize) -> Duration {
        let confirmed = accusers.saturating_sub(1) as f64;
        let enough = CONFIRMATIONS.min(self.knowledge.alive().saturating_sub(3)) as f64;
        let share = if enough == 0.0 { 1.0 } else { ((confirmed + 1.0).ln() / (enough + 1.0).ln()).min(1.0) };
        let longest = self.longest_suspicion();
        longest - longest.mul_f64((1.0 - 1.0 / UNCONFIRMED) * share)
    }

    fn longest_suspicion(&self) -> Duration {
        let members = self.knowledge.alive().max(10) as f64;
        self.settings.interval.mul_f64(UNCONFIRMED * LEAST_INTERVALS * members.log10())
    }

    pub(super) fn suspicions_due(&mut self, turn: &mut Turn) {
        let due = self.suspicions.iter().filter(|(_, suspicion)| suspicion.due <= turn.now && !suspicion.is_tried);
        let due: Vec<_> = due.map(|(node, _)| *node).collect();
        for node in due {
            self.begin_probe(node, true, turn);
            match self.suspicions.get_mut(&node) {
                Some(suspicion) if self.probes.contains_key(&node) => suspicion.is_tried = true,
                // No room now: in a while again.
                Some(suspicion) => suspicion.due = turn.now + self.settings.interval,
                None => {}
            }
        }
    }

    /// The last question was not answered.
    pub(super) fn bury(&mut self, node: NodeId, turn: &mut Turn) {
        let Some(rumour) = self.rumour(node, true) else { return };
        let Some(since) = self.suspicions.get(&node).map(|suspicion| suspicion.since) else { return };
        self.rumours.silence(node);
        self.rumours.spread(rumour, since);
        self.counters.deaths += 1;
        self.stands(node, Standing::Dead, turn);
    }

    /// A sign of life.
    pub(super) fn is_alive(&mut self, node: NodeId, turn: &mut Turn) {
        match self.knowledge.get(node).map(|held| held.standing) {
            Some(Standing::Suspect) => {
                self.counters.falsely_suspected += 1;
                self.stands(node, Standing::Alive, turn);
            }
            Some(Standing::Dead) => {
                self.counters.false_deaths += 1;
                self.stands(node, Standing::Alive, turn);
            }
            Some(Standing::Alive | Standing::Left) | None => {}
        }
    }

    /// Somebody had no answer from this member: it says that it lives.
    fn refute(&mut self, rumour: Rumour, turn: &mut Turn) {
        let is_of_this_life = (rumour.incarnation, rumour.refutation) == (self.identity.incarnation, self.refutation);
        if !is_of_this_life || self.has_left {
            return;
        }
        self.counters.refutations += 1;
        self.refutation += 1;
        self.hears_worse();
        self.issue(turn);
    }

    /// A node's standing as it is from now on, and all that follows from it.
    pub(super) fn stands(&mut self, node: NodeId, standing: Standing, turn: &mut Turn) {
        let Some(before) = self.knowledge.get(node).map(|held| held.standing) else { return };
        if before == standing {
            return;
        }
        self.knowledge.set_standing(node, standing);
        self.turned(node, standing.lives(), turn.now);
        match standing {
            Standing::Alive | Standing::Left => {
                self.suspicions.remove(&node);
                self.probes.remove(&node);
                self.rumours.silence(node);
            }
            // Kept for when it began: later records are a sign of life.
            Standing::Suspect | Standing::Dead => {}
        }
        turn.tell(match (before, standing) {
            (Standing::Dead | Standing::Left, Standing::Alive) => Event::Returned(node),
            (Standing::Alive | Standing::Suspect, Standing::Alive) => Event::Refuted(node),
            (_, Standing::Suspect) => Event::Suspected(node),
            (_, Standing::Dead) => Event::Died(node),
            (_, Standing::Left) => Event::Left(node),
        });
    }

    pub(super) fn turned(&mut self, node: NodeId, is_alive: bool, now: Time) {
        if let Some(availability) = &mut self.availability {
            availability.turned(node, is_alive, now);
        }
    }
}
