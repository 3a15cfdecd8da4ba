//! Asking a network about one of its nodes, without a leader: a machine for members and for whoever is none.
//!
//! `quorum` holders are asked, and more with every wave that passes, until `quorum` of them hold a record that is
//! genuine and not older than `within`; the newest of those is the answer. Otherwise the deadline ends it, with all
//! that was seen.

use crate::identity::{NetworkId, NodeId, PublicKey};
use crate::member::view::MemberSeen;
use crate::message::{Carried, DatagramError, Envelope, Listed, Message, Standing};
use crate::record::Signed;
use crate::time::Time;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Holders asked in the first wave, beyond the quorum; each later wave asks twice as many.
const SPARE: usize = 2;
/// Holders asked in one wave at most.
const MAX_WAVE: usize = 64;
/// Waves until the deadline, if the answers take long.
const WAVES: u32 = 16;
/// A wave does not wait longer.
const LONGEST_WAVE: Duration = Duration::from_millis(150);
/// A wave does not wait less: a round trip in one place, and what a holder takes to fetch.
const SHORTEST_WAVE: Duration = Duration::from_millis(20);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct QuerySettings {
    /// Of which network.
    pub network: NetworkId,
    /// About whom.
    pub node: NodeId,
    /// How many must hold a record that is fresh enough; at least one.
    pub quorum: usize,
    /// Older records are of no use.
    pub within: Duration,
    /// From the start.
    pub deadline: Duration,
    /// The node's key, if it is known; otherwise all who agree must hold records with the same key.
    pub key: Option<PublicKey>,
}

/// Who held what.
#[derive(Clone, PartialEq, Debug)]
pub struct Holder {
    /// Who was asked.
    pub address: SocketAddr,
    /// Who it says that it is.
    pub node: Option<NodeId>,
    /// What it held; none if it knew nothing.
    pub record: Option<Arc<Signed>>,
    /// Of the record, when it came.
    pub age: Duration,
    received: Time,
}

/// What was asked, and who agreed.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered {
    /// The newest.
    pub record: Arc<Signed>,
    /// Of it, now.
    pub age: Duration,
    /// Those with a record that was fresh enough.
    pub agreed: Vec<Holder>,
    /// Datagrams sent, over all tries.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Since the question.
    pub took: Duration,
}

/// Why there is no answer: what was seen until the deadline.
#[derive(Clone, PartialEq, Debug, Error)]
#[error(
    "{} of {quorum} hold a record of node {node} that is fresh enough; {asked} were asked, {} answered, \
     {refused} records were refused",
    self.fresh, self.seen.len()
)]
pub struct QueryFailed {
    /// About whom.
    pub node: NodeId,
    /// How many had to agree.
    pub quorum: usize,
    /// How many did.
    pub fresh: usize,
    /// Everybody who answered, with what they held.
    pub seen: Vec<Holder>,
    /// How many were asked.
    pub asked: usize,
    /// Records with a wrong signature, key or number.
    pub refused: u64,
    /// Datagrams sent, over all tries.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
}

/// What a query wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum QueryEffect {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What.
        envelope: Envelope,
    },
    /// It is over.
    Done(Box<Result<Answered, QueryFailed>>),
}

/// A question to a network. It is told of time by [`Query::tick`], and of answers by [`Query::datagram`].
#[derive(Debug)]
pub struct Query {
    settings: QuerySettings,
    nonce: u64,
    /// In a random order.
    candidates: Vec<SocketAddr>,
    next: usize,
    wave: usize,
    next_wave: Time,
    started: Time,
    holders: BTreeMap<SocketAddr, Holder>,
    sent: u64,
    received: u64,
    refused: u64,
    is_done: bool,
}

impl Query {
    /// `candidates`: where members may be found; those believed alive come first if the caller puts them into
    /// `preferred`.
    pub fn new(
        settings: QuerySettings,
        mut preferred: Vec<SocketAddr>,
        mut others: Vec<SocketAddr>,
        now: Time,
        rng: &mut crate::Rng,
    ) -> Self {
        shuffle(&mut preferred, rng);
        shuffle(&mut others, rng);
        let mut seen = std::collections::BTreeSet::new();
        let candidates = preferred.into_iter().chain(others).filter(|address| seen.insert(*address)).collect();
        let quorum = settings.quorum.max(1);
        Self {
            settings: QuerySettings { quorum, ..settings },
            nonce: rng.random(),
            candidates,
            next: 0,
            wave: quorum + SPARE,
            next_wave: now,
            started: now,
            holders: BTreeMap::new(),
            sent: 0,
            received: 0,
            refused: 0,
            is_done: false,
        }
    }

    /// Candidates for a member: those that it believes alive, and the others.
    pub fn candidates(seen: &[MemberSeen]) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let (alive, others): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.standing == Standing::Alive);
        let addresses = |seen: Vec<&MemberSeen>| seen.iter().map(|seen| seen.record.record().address).collect();
        (addresses(alive), addresses(others))
    }

    /// When [`Query::tick`] is due at the latest.
    pub fn wake_at(&self) -> Time {
        self.next_wave.min(self.ends_at())
    }

    fn ends_at(&self) -> Time {
        self.started + self.settings.deadline
    }

    /// Time passed. The first tick asks the first wave.
    pub fn tick(&mut self, now: Time) -> Vec<QueryEffect> {
        if self.is_done {
            return Vec::new();
        }
        if now >= self.ends_at() {
            return vec![self.fail(now)];
        }
        if now < self.next_wave {
            return Vec::new();
        }
        let pause = (self.settings.deadline / WAVES).clamp(SHORTEST_WAVE, LONGEST_WAVE);
        self.next_wave = now + pause;
        let asked = self.next_candidates(now);
        self.wave = (self.wave * 2).min(MAX_WAVE);
        self.sent += asked.len() as u64;
        let within_ms = Some(u64::try_from(self.settings.within.as_millis()).unwrap_or(u64::MAX));
        let message = crate::member::question(self.nonce, self.settings.node, within_ms);
        let envelope = Envelope { sender: None, message };
        asked.into_iter().map(|to| QueryEffect::Send { to, envelope: envelope.clone() }).collect()
    }

    /// The next in turn that did not answer with something fresh; after the last the first again.
    fn next_candidates(&mut self, now: Time) -> Vec<SocketAddr> {
        let mut asked = Vec::new();
        for _ in 0..self.candidates.len() {
            if asked.len() == self.wave {
                break;
            }
            let candidate = self.candidates[self.next % self.candidates.len()];
            self.next += 1;
            let is_fresh = self.holders.get(&candidate).is_some_and(|holder| self.is_fresh(holder, now));
            if !is_fresh {
                asked.push(candidate);
            }
        }
        asked
    }

    /// A datagram came. What is no answer to this question is counted and dropped.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Time) -> Vec<QueryEffect> {
        match Envelope::decode(self.settings.network, bytes) {
            Ok(envelope) => self.answer(from, envelope, now),
            Err(DatagramError::Malformed | DatagramError::Version(_) | DatagramError::Network) => Vec::new(),
        }
    }

    /// The same, read already.
    pub fn answer(&mut self, from: SocketAddr, envelope: Envelope, now: Time) -> Vec<QueryEffect> {
        let Message::Answer { nonce, held } = envelope.message else { return Vec::new() };
        let was_asked = self.candidates.iter().take(self.next).any(|candidate| *candidate == from);
        if self.is_done || nonce != self.nonce || !was_asked {
            return Vec::new();
        }
        self.received += 1;
        let Some(holder) = self.holder(from, envelope.sender, held, now) else {
            self.refused += 1;
            return Vec::new();
        };
        let is_better = self.holders.get(&from).is_none_or(|before| holder.age <= self.age(before, now));
        if is_better {
            self.holders.insert(from, holder);
        }
        self.decide(now)
    }

    fn holder(&self, address: SocketAddr, node: Option<NodeId>, held: Option<Carried>, now: Time) -> Option<Holder> {
        let Some(Carried { age_ms, record }) = held else {
            return Some(Holder { address, node, record: None, age: Duration::MAX, received: now });
        };
        let said = record.record();
        let is_its_key = self.settings.key.is_none_or(|key| key == said.key);
        if said.node != self.settings.node || !is_its_key || !record.is_genuine(self.settings.network) {
            return None;
        }
        // Whoever replays an old record says that it is young; what the node itself signed says when it was.
        let age = Duration::from_millis(age_ms).max(now.since(said.at));
        Some(Holder { address, node, record: Some(record), age, received: now })
    }

    fn age(&self, holder: &Holder, now: Time) -> Duration {
        holder.age.saturating_add(now.since(holder.received))
    }

    fn is_fresh(&self, holder: &Holder, now: Time) -> bool {
        holder.record.is_some() && self.age(holder, now) <= self.settings.within
    }

    fn fresh(&self, now: Time) -> BTreeMap<PublicKey, Vec<&Holder>> {
        let mut by_key: BTreeMap<PublicKey, Vec<&Holder>> = BTreeMap::new();
        for holder in self.holders.values().filter(|holder| self.is_fresh(holder, now)) {
            holder.record.iter().for_each(|record| by_key.entry(record.record().key).or_default().push(holder));
        }
        by_key
    }

    fn decide(&mut self, now: Time) -> Vec<QueryEffect> {
        let by_key = self.fresh(now);
        let mut agreed: Vec<_> = by_key.values().filter(|holders| holders.len() >= self.settings.quorum).collect();
        // Two keys with a quorum each are two nodes with one number: nobody can say which is meant.
        let (Some(holders), true) = (agreed.pop(), agreed.is_empty()) else { return Vec::new() };
        let newest = holders.iter().max_by_key(|holder| {
            let order = holder.record.as_ref().map(|record| record.record().order());
            (order, std::cmp::Reverse(self.age(holder, now)))
        });
        let Some((record, age)) = newest.and_then(|holder| Some((holder.record.clone()?, self.age(holder, now))))
        else {
            return Vec::new();
        };
        let agreed = holders.iter().map(|holder| (*holder).clone()).collect();
        let (sent, received, took) = (self.sent, self.received, now.since(self.started));
        self.is_done = true;
        vec![QueryEffect::Done(Box::new(Ok(Answered { record, age, agreed, sent, received, took })))]
    }

    fn fail(&mut self, now: Time) -> QueryEffect {
        self.is_done = true;
        let fresh = self.fresh(now).values().map(Vec::len).max().unwrap_or(0);
        QueryEffect::Done(Box::new(Err(QueryFailed {
            node: self.settings.node,
            quorum: self.settings.quorum,
            fresh,
            seen: self.holders.values().cloned().collect(),
            asked: self.next.min(self.candidates.len()),
            refused: self.refused,
            sent: self.sent,
            received: self.received,
        })))
    }
}

fn shuffle(addresses: &mut [SocketAddr], rng: &mut crate::Rng) {
    for index in (1..addresses.len()).rev() {
        addresses.swap(index, rng.random_range(0..=index));
    }
}

/// Times that a page is asked for before another member is.
const PAGE_TRIES: u32 = 3;
/// Pages of one list: more than the largest network has.
const MAX_PAGES: u32 = 20_000;

/// All members as one of them sees them, page by page, for somebody who is none.
#[derive(Debug)]
pub struct Listing {
    network: NetworkId,
    /// Asked one after another until one answers.
    candidates: Vec<SocketAddr>,
    at: usize,
    tries: u32,
    pages: u32,
    nonce: u64,
    next_at: Time,
    ends_at: Time,
    retry: Duration,
    members: Vec<Listed>,
    /// The list is whole.
    pub is_whole: bool,
}

impl Listing {
    /// Asks `candidates` in their order, each three times; ends after `deadline`.
    pub fn new(
        network: NetworkId,
        candidates: Vec<SocketAddr>,
        deadline: Duration,
        now: Time,
        rng: &mut crate::Rng,
    ) -> Self {
        let (at, tries, pages, nonce) = (0, 0, 0, rng.random());
        let retry = (deadline / WAVES).clamp(SHORTEST_WAVE, LONGEST_WAVE);
        let (next_at, ends_at, members) = (now, now + deadline, Vec::new());
        Self { network, candidates, at, tries, pages, nonce, next_at, ends_at, retry, members, is_whole: false }
    }

    /// What came until now, in the order of the nodes' numbers.
    pub fn members(&self) -> &[Listed] {
        &self.members
    }

    /// Nothing more will come: the list is whole, nobody answers, or it took too long.
    pub fn is_over(&self, now: Time) -> bool {
        self.is_whole || self.at >= self.candidates.len() || now >= self.ends_at
    }

    /// When [`Listing::tick`] is due at the latest.
    pub fn wake_at(&self) -> Time {
        self.next_at.min(self.ends_at)
    }

    /// Time passed: the question to send now, if there is one.
    pub fn tick(&mut self, now: Time) -> Option<(SocketAddr, Envelope)> {
        if now < self.next_at || self.is_over(now) {
            return None;
        }
        if self.tries >= PAGE_TRIES {
            // Another member sees others: its list is a new one.
            (self.at, self.tries, self.members) = (self.at + 1, 0, Vec::new());
        }
        self.ask(now)
    }

    fn ask(&mut self, now: Time) -> Option<(SocketAddr, Envelope)> {
        let to = *self.candidates.get(self.at)?;
        self.tries += 1;
        self.next_at = now + self.retry;
        let after = self.members.last().map(|listed| listed.node);
        let message = crate::member::question_for_page(self.nonce, after);
        Some((to, Envelope { sender: None, message }))
    }

    /// A datagram came: the next question, if there is one.
    pub fn datagram(&mut self, from: SocketAddr, bytes: &[u8], now: Time) -> Option<(SocketAddr, Envelope)> {
        let Message::Page { nonce, members, is_more } = Envelope::decode(self.network, bytes).ok()?.message else {
            return None;
        };
        let last = self.members.last().map(|listed| listed.node);
        // A page that was sent twice brings nothing new.
        let is_next = members.first().is_none_or(|first| last.is_none_or(|last| first.node > last));
        if self.candidates.get(self.at) != Some(&from) || nonce != self.nonce || !is_next || self.pages >= MAX_PAGES {
            return None;
        }
        self.pages += 1;
        self.is_whole = !is_more || members.is_empty();
        self.members.extend(members);
        self.tries = 0;
        if self.is_over(now) { None } else { self.ask(now) }
    }
}
