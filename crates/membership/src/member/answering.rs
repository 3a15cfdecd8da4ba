//! What anybody may ask, members or not: what is held of a node, and who is known.
//!
//! The answer is never longer than the question, so that nobody can use a member against somebody else.

use super::{Member, Turn, age_of};
use crate::identity::NodeId;
use crate::message::{Carried, LIST_BYTES, Listed, Message, encoded_len};
use crate::time::Time;
use rand::RngExt as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Questions that wait for a fresher record at once.
const MAX_FETCHES: usize = 256;
/// A fresher record is waited for no longer.
const FETCH_AT_MOST: Duration = Duration::from_millis(250);

/// A question that waits for a fresher record.
#[derive(Debug)]
pub(super) struct Fetch {
    asker: SocketAddr,
    nonce: u64,
    node: NodeId,
    question_bytes: usize,
    pub until: Time,
}

impl Member {
    pub(super) fn ask(
        &mut self,
        from: SocketAddr,
        (nonce, node, within_ms): (u64, NodeId, Option<u64>),
        bytes: usize,
        turn: &mut Turn,
    ) {
        let within = within_ms.map(Duration::from_millis);
        if let Some(within) = within.filter(|_| node == self.identity.node) {
            self.issue_if_older_than(within / 2, turn);
        }
        let fetch = Fetch { asker: from, nonce, node, question_bytes: bytes, until: turn.now + FETCH_AT_MOST };
        let source = within.and_then(|within| self.where_fresher(node, within, turn.now));
        match source.filter(|_| self.fetches.len() < MAX_FETCHES) {
            None => self.answer_what_is_held(&fetch, turn),
            Some(address) => {
                let own = turn.rng.random();
                self.fetches.insert(own, fetch);
                self.send(address, question(own, node, within_ms), turn);
            }
        }
    }

    /// The node itself, if what is held is too old and it may answer.
    fn where_fresher(&self, node: NodeId, within: Duration, now: Time) -> Option<SocketAddr> {
        let held = self.knowledge.get(node).filter(|_| node != self.identity.node)?;
        let is_old = age_of(held, self.links.get(node), now) > within;
        (is_old && held.standing.lives()).then(|| held.record.record().address)
    }

    fn answer_what_is_held(&mut self, fetch: &Fetch, turn: &mut Turn) {
        let held = self.knowledge.get(fetch.node).map(|held| {
            let age = age_of(held, self.links.get(fetch.node), turn.now);
            Carried { age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX), record: Arc::clone(&held.record) }
        });
        self.send_if_no_longer(fetch.asker, Message::Answer { nonce: fetch.nonce, held }, fetch.question_bytes, turn);
    }

    fn send_if_no_longer(&mut self, to: SocketAddr, message: Message, question_bytes: usize, turn: &mut Turn) {
        if self.envelope(message.clone()).encoded_len() <= question_bytes {
            self.send(to, message, turn);
        } else {
            self.counters.dropped.stranger += 1;
        }
    }

    /// A node answered what this member asked for somebody.
    pub(super) fn answer(&mut self, from: SocketAddr, nonce: u64, held: Option<Carried>, turn: &mut Turn) {
        let Some(fetch) = self.fetches.remove(&nonce) else {
            self.counters.dropped.stranger += 1;
            return;
        };
        if let Some(carried) = held {
            self.accept(carried, from, turn);
        }
        self.answer_what_is_held(&fetch, turn);
    }

    pub(super) fn fetches_due(&mut self, turn: &mut Turn) {
        let due: Vec<_> =
            self.fetches.iter().filter(|(_, fetch)| fetch.until <= turn.now).map(|(nonce, _)| *nonce).collect();
        for nonce in due {
            let Some(fetch) = self.fetches.remove(&nonce) else { continue };
            self.answer_what_is_held(&fetch, turn);
        }
    }

    pub(super) fn list(
        &mut self,
        from: SocketAddr,
        nonce: u64,
        after: Option<NodeId>,
        question_bytes: usize,
        turn: &mut Turn,
    ) {
        let mut nodes: Vec<_> = self.knowledge.iter().map(|held| held.record.record().node).collect();
        nodes.retain(|node| after.is_none_or(|after| *node > after));
        nodes.sort_unstable();
        let mut members = Vec::new();
        let mut bytes = 0;
        for listed in nodes.iter().filter_map(|node| self.listed(*node, turn.now)) {
            bytes += encoded_len(&listed);
            if bytes > LIST_BYTES {
                break;
            }
            members.push(listed);
        }
        let is_more = members.len() < nodes.len();
        self.send_if_no_longer(from, Message::Page { nonce, members, is_more }, question_bytes, turn);
    }

    fn listed(&self, node: NodeId, now: Time) -> Option<Listed> {
        let held = self.knowledge.get(node)?;
        let record = held.record.record();
        let age = age_of(held, self.links.get(node), now);
        Some(Listed {
            node,
            standing: held.standing,
            address: record.address,
            incarnation: record.incarnation,
            version: record.version,
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            name: record.own.name.clone(),
        })
    }
}

/// The question for a node's record, as long as the longest answer.
pub(crate) fn question(nonce: u64, node: NodeId, within_ms: Option<u64>) -> Message {
    Message::Ask { nonce, node, within_ms, padding: vec![0; LIST_BYTES] }
}

/// The question for a page of members, as long as the longest answer.
pub(crate) fn question_for_page(nonce: u64, after: Option<NodeId>) -> Message {
    Message::List { nonce, after, padding: vec![0; LIST_BYTES] }
}
