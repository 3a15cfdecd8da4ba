//! What may be believed of a record.
//!
//! A record replaces what is held if it is later (incarnation, then version), signed with the key that it names, and
//! that key is the node's: the one that the shared table tells, or else the one that was seen first. Cheap questions
//! come first: a signature is verified only of what would be news.

use super::knowledge::Held;
use super::{Event, MAX_REMOVED, Member, Turn};
use crate::identity::{NodeId, PublicKey};
use crate::message::{Carried, Entry, Message, Standing};
use crate::record::{Intent, Record};
use crate::time::Time;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Refused pairs of node and key that are remembered; what was refused is not asked for again.
const MAX_REFUSED: usize = 1_024;

impl Member {
    /// Takes in a record that came from an address, if it is news and may be believed.
    pub(super) fn accept(&mut self, carried: Carried, from: SocketAddr, turn: &mut Turn) {
        let record = carried.record.record();
        let (node, order) = (record.node, record.order());
        if node == self.identity.node {
            return self.heard_of_itself(&carried, turn);
        }
        let held = self.knowledge.get(node).map(|held| (held.record.record().order(), held.record.record().key));
        if !self.is_the_nodes_key(node, record.key, held.map(|(_, key)| key)) {
            return self.refuse(&carried, from, turn);
        }
        let age = Duration::from_millis(carried.age_ms);
        match held {
            Some((known, _)) if known == order => self.counters.dropped.known += 1,
            Some((known, _)) if known > order => self.counters.dropped.older += 1,
            _ if age > self.settings.forget_after || self.is_removed(record) => self.counters.dropped.too_old += 1,
            None if self.knowledge.len() >= self.settings.max_members => self.counters.dropped.no_room += 1,
            _ => self.verify_and_put(carried, age, turn),
        }
    }

    fn verify_and_put(&mut self, carried: Carried, age: Duration, turn: &mut Turn) {
        let record = match &self.settings.shared_records {
            Some(shared) => shared.shared(carried.record),
            None => carried.record,
        };
        self.counters.verified += 1;
        if !record.is_genuine(self.settings.network) {
            self.counters.dropped.forged += 1;
            return;
        }
        let said = record.record();
        let (node, intent) = (said.node, said.own.intent);
        let issued = turn.now - age;
        let before = self.knowledge.get(node).cloned();
        let standing = match (&before, intent) {
            (_, Intent::Left) => Standing::Left,
            (None, Intent::Running | Intent::Draining) => Standing::Alive,
            (Some(before), Intent::Running | Intent::Draining) => self.standing_after(before, said, issued),
        };
        match &before {
            None => self.counters.new_entries += 1,
            Some(before) => {
                self.counters.fresh_entries += 1;
                let lived_on = standing == Standing::Alive && before.record.record().incarnation == said.incarnation;
                self.counters.falsely_suspected += u64::from(lived_on && before.standing == Standing::Suspect);
                self.counters.false_deaths += u64::from(lived_on && before.standing == Standing::Dead);
            }
        }
        let held = Held { record, issued, standing: before.as_ref().map_or(standing, |before| before.standing) };
        self.knowledge.put(held.clone(), false, turn.rng);
        self.tell_of(before.as_ref(), &held, turn);
        if before.is_none() {
            self.turned(node, standing == Standing::Alive, turn.now);
        } else {
            self.stands(node, standing, turn);
        }
    }

    /// Whether a newer record is a sign of life: of a later start, said against a suspicion, or issued after it began.
    fn standing_after(&self, before: &Held, said: &Record, issued: Time) -> Standing {
        let earlier = before.record.record();
        let is_refuted = (said.incarnation, said.refutation) > (earlier.incarnation, earlier.refutation);
        let is_later = self.suspicions.get(&said.node).is_some_and(|suspicion| issued > suspicion.since);
        match before.standing {
            Standing::Alive => Standing::Alive,
            Standing::Suspect | Standing::Dead if is_refuted || is_later => Standing::Alive,
            // Who left and speaks again has started again, or thought better of it.
            Standing::Left => Standing::Alive,
            Standing::Suspect | Standing::Dead => before.standing,
        }
    }

    fn tell_of(&self, before: Option<&Held>, held: &Held, turn: &mut Turn) {
        let record = held.record.record();
        let Some(earlier) = before.map(|before| before.record.record()) else {
            return turn.tell(Event::Joined(record.node));
        };
        if record.incarnation > earlier.incarnation {
            turn.tell(Event::Restarted(record.node));
        }
        if record.address != earlier.address {
            turn.tell(Event::Moved(record.node));
        }
    }

    /// Somebody passed on a record with this member's own number.
    fn heard_of_itself(&mut self, carried: &Carried, turn: &mut Turn) {
        let record = carried.record.record();
        let is_own_key = record.key == self.identity.public_key();
        if is_own_key && record.order() <= (self.identity.incarnation, self.version) {
            self.counters.dropped.known += 1;
            return;
        }
        self.counters.verified += 1;
        if !carried.record.is_genuine(self.settings.network) {
            self.counters.dropped.forged += 1;
        } else if is_own_key {
            // An earlier life that was forgotten here, or a copy of this node: the later one must win everywhere.
            self.identity.incarnation = record.incarnation.max(self.identity.incarnation).saturating_add(1);
            self.version = 0;
            self.issue(turn);
            turn.tell(Event::IncarnationRaised(self.identity.incarnation));
        } else {
            self.counters.dropped.other_key += 1;
            if self.remember_refused(carried) {
                turn.tell(Event::NumberTaken { address: record.address });
            }
        }
    }

    fn is_the_nodes_key(&self, node: NodeId, key: PublicKey, seen: Option<PublicKey>) -> bool {
        match (self.keys.get(&node), seen) {
            (Some(told), _) => *told == key,
            (None, Some(seen)) => seen == key,
            (None, None) => self.settings.admit_unknown_keys,
        }
    }

    /// Drops a record with the wrong key; if it came from who issued it, says whose number that is.
    fn refuse(&mut self, carried: &Carried, from: SocketAddr, turn: &mut Turn) {
        self.counters.dropped.other_key += 1;
        let record = carried.record.record();
        let is_news = self.remember_refused(carried);
        if is_news {
            turn.tell(Event::KeyRefused { node: record.node, address: record.address });
        }
        if record.address == from
            && let Some(held) = self.knowledge.get(record.node)
        {
            let records = vec![held.carried(turn.now)];
            self.send(from, Message::Records { exchange: 0, records }, turn);
        }
    }

    /// True if this node and key were not refused before.
    fn remember_refused(&mut self, carried: &Carried) -> bool {
        let record = carried.record.record();
        let key = (record.node, record.key);
        let is_new = !self.refused.contains_key(&key);
        if is_new && self.refused.len() >= MAX_REFUSED {
            return false;
        }
        let order = self.refused.entry(key).or_default();
        *order = (*order).max(record.order());
        is_new
    }

    /// Whether what a peer offers was refused already.
    pub(super) fn is_refused(&self, entry: &Entry) -> bool {
        let keys = (entry.node, PublicKey([0; 32]))..=(entry.node, PublicKey([u8::MAX; 32]));
        self.refused.range(keys).any(|(_, order)| *order == (entry.incarnation, entry.version))
            || self.removed.get(&entry.node).is_some_and(|incarnation| entry.incarnation <= *incarnation)
    }

    /// What the shared table says wins: whoever is held with another key is forgotten, and what was refused may come
    /// again.
    pub(super) fn keys_told(&mut self, keys: Arc<BTreeMap<NodeId, PublicKey>>, turn: &mut Turn) {
        if self.keys == keys {
            return;
        }
        self.keys = keys;
        self.refused.clear();
        let wrong = self.knowledge.iter().map(|held| held.record.record()).filter(|record| {
            record.node != self.identity.node && !self.is_the_nodes_key(record.node, record.key, Some(record.key))
        });
        let wrong: Vec<_> = wrong.map(|record| record.node).collect();
        for node in wrong {
            self.forget(node, turn);
        }
    }

    pub(super) fn remove(&mut self, node: NodeId, turn: &mut Turn) {
        let Some(held) = self.knowledge.get(node).filter(|_| node != self.identity.node) else { return };
        let incarnation = held.record.record().incarnation;
        if self.removed.len() < MAX_REMOVED || self.removed.contains_key(&node) {
            self.removed.insert(node, incarnation);
        }
        self.forget(node, turn);
    }

    fn is_removed(&self, record: &Record) -> bool {
        self.removed.get(&record.node).is_some_and(|incarnation| record.incarnation <= *incarnation)
    }

    /// Forgets who is dead or gone and whose record is too old. All members do so at about the same time, and refuse
    /// it then.
    pub(super) fn forget_the_old(&mut self, turn: &mut Turn) {
        let (now, limit) = (turn.now, self.settings.forget_after);
        let old = self
            .knowledge
            .iter()
            .filter(|held| matches!(held.standing, Standing::Dead | Standing::Left) && now.since(held.issued) > limit);
        let old: Vec<_> =
            old.map(|held| held.record.record().node).filter(|node| *node != self.identity.node).collect();
        for node in old {
            self.forget(node, turn);
        }
    }

    fn forget(&mut self, node: NodeId, turn: &mut Turn) {
        self.knowledge.remove(node);
        self.suspicions.remove(&node);
        self.probes.remove(&node);
        self.rumours.silence(node);
        self.links.forget(node);
        if let Some(availability) = &mut self.availability {
            availability.forget(node);
        }
        turn.tell(Event::Forgotten(node));
    }
}
