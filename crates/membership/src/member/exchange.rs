//! Push-pull anti-entropy: two members find out where they differ, and move what one of them lacks.
//!
//! ```text
//! asks                                       answers (keeps nothing)
//!   Syn: hashes of ranges          ------>
//!                                  <------     Same, or Digest: all entries of ranges that differ
//!   Records that it lacks, Want    ------>
//!                                  <------     Records
//! ```
//!
//! Whoever asks repeats what is not answered. A stranger's Syn is answered with a cookie that only its address can
//! send back.

use super::{Effect, MAX_SERVED, Member, Turn};
use crate::identity::{NodeId, SIGNATURE_BYTES};
use crate::message::{Carried, Entry, LIST_BYTES, Message, Segment, Standing, encoded_len, packed};
use crate::time::Time;
use rand::RngExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Times that a Syn is sent before the peer is taken for silent.
const SYN_TRIES: u32 = 3;
/// Times that the same records are asked for.
const WANT_TRIES: u32 = 3;
/// Exchanges that are open at once.
const MAX_EXCHANGES: usize = 256;
/// What a record comes to, when nobody knows yet.
const USUAL_RECORD_BYTES: usize = 400;
/// Most entries of a digest, for each byte of the bound of an exchange.
const BYTES_FOR_EACH_ENTRY: usize = 8;
/// Exchanges that an address may begin in an interval and still be served in full.
const SERVED_EXCHANGES: usize = 8;
/// Times that somebody is drawn before all are looked through.
const DRAWS: u32 = 16;

/// An exchange that this member began.
#[derive(Debug)]
pub(super) struct Exchange {
    peer: Option<NodeId>,
    address: SocketAddr,
    cookie: u64,
    is_answered: bool,
    tries: u32,
    pub next_at: Time,
    /// Asked for and not come yet.
    missing: BTreeMap<NodeId, (u64, u64)>,
    /// Sent already, if a digest may come twice.
    pushed: BTreeSet<NodeId>,
    push_bytes: usize,
    want_bytes: usize,
}

impl Member {
    pub(super) fn exchange_with_somebody(&mut self, turn: &mut Turn) {
        if self.has_left {
            return;
        }
        // Addresses of whom nothing is known yet are as likely as members.
        let others = self.knowledge.alive().saturating_sub(1);
        let unmet = self.seeds.len().saturating_sub(others);
        if unmet > 0 && turn.rng.random_range(0..unmet + others) >= others {
            return self.exchange_with_a_seed(turn);
        }
        if let Some((peer, address)) = self.somebody_alive(turn) {
            self.begin(Some(peer), address, turn);
        }
    }

    pub(super) fn exchange_with_a_seed(&mut self, turn: &mut Turn) {
        if self.seeds.is_empty() || self.has_left {
            return;
        }
        let address = self.seeds[turn.rng.random_range(0..self.seeds.len())];
        if address == self.settings.address {
            return;
        }
        if self.knowledge.len() == 1 && self.exchanges.values().all(|exchange| exchange.address != address) {
            let Some(mine) = self.knowledge.get(self.identity.node) else { return };
            let envelope = self.envelope(Message::Join { record: mine.carried(turn.now) });
            turn.effects.push(Effect::Stream { to: address, envelope });
        }
        self.begin(None, address, turn);
    }

    /// So that a healed partition, and a node that comes back, are found.
    pub(super) fn exchange_with_the_dead(&mut self, turn: &mut Turn) {
        if self.knowledge.alive() == self.knowledge.len() || self.has_left {
            return;
        }
        if let Some((peer, address)) = self.somebody(turn, |standing| standing == Standing::Dead) {
            self.begin(Some(peer), address, turn);
        }
    }

    pub(super) fn somebody_alive(&mut self, turn: &mut Turn) -> Option<(NodeId, SocketAddr)> {
        self.somebody(turn, |standing| standing == Standing::Alive)
    }

    /// Any other member that stands so, all alike.
    pub(super) fn somebody(&self, turn: &mut Turn, fits: impl Fn(Standing) -> bool) -> Option<(NodeId, SocketAddr)> {
        let others = self.knowledge.others();
        if others.is_empty() {
            return None;
        }
        let fitting = |node: NodeId| {
            let held = self.knowledge.get(node).filter(|held| fits(held.standing))?;
            Some((node, held.record.record().address))
        };
        let drawn = (0..DRAWS).find_map(|_| fitting(others[turn.rng.random_range(0..others.len())]));
        drawn.or_else(|| {
            let all: Vec<_> = others.iter().filter_map(|node| fitting(*node)).collect();
            (!all.is_empty()).then(|| all[turn.rng.random_range(0..all.len())])
        })
    }

    fn begin(&mut self, peer: Option<NodeId>, address: SocketAddr, turn: &mut Turn) {
        let id = turn.rng.random();
        if self.exchanges.len() >= MAX_EXCHANGES || self.exchanges.contains_key(&id) {
            self.counters.dropped.no_room += 1;
            return;
        }
        self.counters.exchanges += 1;
        let exchange = Exchange {
            peer,
            address,
            cookie: 0,
            is_answered: false,
            tries: 0,
            next_at: turn.now,
            missing: BTreeMap::new(),
            pushed: BTreeSet::new(),
            push_bytes: 0,
            want_bytes: 0,
        };
        self.exchanges.insert(id, exchange);
        self.send_syn(id, turn);
    }

    fn send_syn(&mut self, id: u32, turn: &mut Turn) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.tries += 1;
        let (peer, to, cookie) = (exchange.peer, exchange.address, exchange.cookie);
        let next_at = turn.now + self.retry_after(peer);
        self.exchanges.entry(id).and_modify(|exchange| exchange.next_at = next_at);
        let hashes = self.knowledge.hashes();
        let rumours = self.rumours_beside(encoded_len(&hashes), peer, turn.now);
        self.send(to, Message::Syn { exchange: id, cookie, hashes, rumours }, turn);
    }

    pub(super) fn syn(
        &mut self,
        from: SocketAddr,
        sender: Option<NodeId>,
        (exchange, cookie): (u32, u64),
        theirs: &[u32],
        turn: &mut Turn,
    ) {
        if !self.is_known(from, sender) && cookie != self.cookie_of(from) {
            let cookie = self.cookie_of(from);
            return self.send(from, Message::Cookie { exchange, cookie }, turn);
        }
        let limit = self.settings.exchange_bytes / BYTES_FOR_EACH_ENTRY;
        let Some(segments) = self.knowledge.segments(theirs, limit, turn.rng) else {
            self.counters.dropped.malformed += 1;
            return;
        };
        if segments.is_empty() {
            let rumours = self.rumours_beside(0, sender, turn.now);
            return self.send(from, Message::Same { exchange, rumours }, turn);
        }
        for segments in split(segments) {
            let rumours = self.rumours_beside(encoded_len(&segments), sender, turn.now);
            self.send(from, Message::Digest { exchange, segments, rumours }, turn);
        }
    }

    /// Only who receives at that address can know it.
    fn cookie_of(&self, address: SocketAddr) -> u64 {
        let seen = format!("{} {address}", self.secret);
        let digest = ring::digest::digest(&ring::digest::SHA256, seen.as_bytes());
        let first = digest.as_ref().iter().take(8);
        first.fold(0, |cookie, byte| (cookie << 8) | u64::from(*byte)).max(1)
    }

    pub(super) fn cookie(&mut self, from: SocketAddr, id: u32, cookie: u64, turn: &mut Turn) {
        match self.exchanges.get_mut(&id).filter(|exchange| exchange.address == from && exchange.cookie == 0) {
            Some(exchange) => {
                exchange.cookie = cookie;
                self.send_syn(id, turn);
            }
            None => self.counters.dropped.stranger += 1,
        }
    }

    /// The peer answered an exchange: that is also a sign of life.
    fn answered(&mut self, from: SocketAddr, sender: Option<NodeId>, id: u32, turn: &mut Turn) -> bool {
        let Some(exchange) = self.exchanges.get_mut(&id).filter(|exchange| exchange.address == from) else {
            self.counters.dropped.stranger += 1;
            return false;
        };
        exchange.is_answered = true;
        let peer = exchange.peer;
        if let Some(peer) = peer.filter(|_| peer == sender) {
            self.links.heard(peer, turn.now);
            self.is_alive(peer, turn);
        }
        true
    }

    pub(super) fn same(&mut self, from: SocketAddr, sender: Option<NodeId>, id: u32, turn: &mut Turn) {
        if self.answered(from, sender, id, turn) {
            self.counters.exchanges_same += 1;
            self.exchanges.remove(&id);
        }
    }

    pub(super) fn digest(
        &mut self,
        from: SocketAddr,
        sender: Option<NodeId>,
        id: u32,
        segments: &[Segment],
        turn: &mut Turn,
    ) {
        if !self.answered(from, sender, id, turn) {
            return;
        }
        let (mut wanted, mut lacked) = (Vec::new(), Vec::new());
        for difference in segments.iter().map(|segment| self.knowledge.compare(segment)) {
            wanted.extend(difference.wanted);
            lacked.extend(difference.lacked);
        }
        self.push(id, lacked, turn);
        self.ask_for(id, wanted, turn);
    }

    /// Sends what the peer lacks, what was issued first before the rest, up to the bound of the exchange.
    fn push(&mut self, id: u32, mut lacked: Vec<NodeId>, turn: &mut Turn) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let (to, may_repeat) = (exchange.address, exchange.tries > 1);
        lacked.sort_by_key(|node| self.knowledge.get(*node).map(|held| held.issued));
        let mut records = Vec::new();
        for node in lacked {
            let Some(held) = self.knowledge.get(node) else { continue };
            let bytes = held.record.wire().len();
            if exchange.push_bytes + bytes > self.settings.exchange_bytes {
                break;
            }
            if may_repeat && !exchange.pushed.insert(node) {
                continue;
            }
            exchange.push_bytes += bytes;
            records.push(held.carried(turn.now));
        }
        for records in packed(records, LIST_BYTES) {
            self.send(to, Message::Records { exchange: id, records }, turn);
        }
    }

    /// Asks for what the peer has newer: unknown nodes first, then those whose record here is oldest, so that none
    /// starves.
    fn ask_for(&mut self, id: u32, wanted: Vec<Entry>, turn: &mut Turn) {
        let asked_elsewhere = |entry: &Entry| {
            let order = (entry.incarnation, entry.version);
            self.exchanges
                .values()
                .any(|exchange| exchange.missing.get(&entry.node).is_some_and(|asked| *asked >= order))
        };
        let of_use = |entry: &Entry| !asked_elsewhere(entry) && !self.is_refused(entry);
        let mut wanted: Vec<_> = wanted.into_iter().filter(of_use).collect();
        wanted.sort_by_key(|entry| self.knowledge.get(entry.node).map(|held| held.issued));
        let usual_bytes = |node| self.knowledge.get(node).map_or(USUAL_RECORD_BYTES, |held| held.record.wire().len());
        let next_at = turn.now + self.retry_after(self.exchanges.get(&id).and_then(|exchange| exchange.peer));
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let mut nodes = Vec::new();
        for entry in wanted {
            exchange.want_bytes += usual_bytes(entry.node);
            if exchange.want_bytes > self.settings.exchange_bytes {
                break;
            }
            exchange.missing.insert(entry.node, (entry.incarnation, entry.version));
            nodes.push(entry.node);
        }
        exchange.tries = 1;
        exchange.next_at = next_at;
        let to = exchange.address;
        self.send_want(id, to, nodes, turn);
    }

    fn send_want(&self, exchange: u32, to: SocketAddr, nodes: Vec<NodeId>, turn: &mut Turn) {
        for nodes in packed(nodes, LIST_BYTES) {
            self.send(to, Message::Want { exchange, nodes }, turn);
        }
    }

    pub(super) fn want(
        &mut self,
        from: SocketAddr,
        sender: Option<NodeId>,
        exchange: u32,
        nodes: &[NodeId],
        turn: &mut Turn,
    ) {
        // A stranger that was given a cookie has sent its record by now, unless the datagram was lost.
        let has_room = self.served.len() < MAX_SERVED || self.served.contains_key(&from);
        if !self.is_known(from, sender) || !has_room {
            self.counters.dropped.stranger += 1;
            return;
        }
        let limit = self.settings.exchange_bytes.saturating_mul(SERVED_EXCHANGES);
        let served = self.served.entry(from).or_default();
        let mut records = Vec::new();
        for held in nodes.iter().filter_map(|node| self.knowledge.get(*node)) {
            *served += held.record.wire().len() + SIGNATURE_BYTES;
            if *served > limit {
                self.counters.dropped.no_room += 1;
                break;
            }
            records.push(held.carried(turn.now));
        }
        for records in packed(records, LIST_BYTES) {
            self.send(from, Message::Records { exchange, records }, turn);
        }
    }

    pub(super) fn records(&mut self, from: SocketAddr, id: u32, records: Vec<Carried>, turn: &mut Turn) {
        for carried in records {
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                exchange.missing.remove(&carried.record.record().node);
            }
            self.accept(carried, from, turn);
        }
    }

    pub(super) fn exchanges_due(&mut self, turn: &mut Turn) {
        let due = self.exchanges.iter().filter(|(_, exchange)| exchange.next_at <= turn.now);
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        for id in due {
            let Some(exchange) = self.exchanges.get_mut(&id) else { continue };
            let (peer, to) = (exchange.peer, exchange.address);
            if !exchange.is_answered {
                if exchange.tries < SYN_TRIES {
                    self.send_syn(id, turn);
                    continue;
                }
                self.exchanges.remove(&id);
                self.counters.exchanges_unanswered += 1;
                peer.into_iter().for_each(|peer| self.probe(peer, turn));
            } else if exchange.missing.is_empty() || exchange.tries >= WANT_TRIES {
                self.exchanges.remove(&id);
            } else {
                exchange.tries += 1;
                let nodes = exchange.missing.keys().copied().collect();
                let next_at = turn.now + self.retry_after(peer);
                self.exchanges.entry(id).and_modify(|exchange| exchange.next_at = next_at);
                self.send_want(id, to, nodes, turn);
            }
        }
    }
}

/// Segments in groups that fit a datagram; one that does not fit is cut in two, each whole in itself.
fn split(segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    /// Two positions and a length.
    const SEGMENT_BYTES: usize = 13;
    let mut groups = vec![Vec::new()];
    let mut bytes = 0;
    for Segment { mut first, last, entries } in segments {
        let mut part = Vec::new();
        bytes += SEGMENT_BYTES;
        for entry in entries {
            let more = encoded_len(&entry);
            if bytes + more > LIST_BYTES {
                let next = super::knowledge::position(entry.node);
                if first < next {
                    push_part(&mut groups, Segment { first, last: next - 1, entries: std::mem::take(&mut part) });
                }
                groups.push(Vec::new());
                first = next;
                bytes = SEGMENT_BYTES;
            }
            bytes += more;
            part.push(entry);
        }
        push_part(&mut groups, Segment { first, last, entries: part });
        if bytes + SEGMENT_BYTES > LIST_BYTES {
            groups.push(Vec::new());
            bytes = 0;
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn push_part(groups: &mut [Vec<Segment>], part: Segment) {
    if let Some(group) = groups.last_mut() {
        group.push(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::knowledge::position;

    #[test]
    fn a_digest_that_is_too_long_is_cut_into_whole_parts() {
        let mut nodes: Vec<_> = (0..1_000).map(NodeId).collect();
        nodes.sort_by_key(|node| position(*node));
        let entries = nodes.iter().map(|node| Entry { node: *node, incarnation: 300, version: 70_000 });
        let whole = Segment { first: 0, last: u32::MAX, entries: entries.collect() };
        let groups = split(vec![whole.clone()]);
        assert!(groups.len() > 5 && groups.iter().all(|group| encoded_len(group) <= LIST_BYTES));
        let parts: Vec<_> = groups.into_iter().flatten().collect();
        assert_eq!((parts[0].first, parts[parts.len() - 1].last), (0, u32::MAX));
        assert!(parts.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
        assert_eq!(parts.into_iter().flat_map(|part| part.entries).collect::<Vec<_>>(), whole.entries);
    }
}
