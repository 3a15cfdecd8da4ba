//! One member: a machine that is told what happened and when, and answers with what is to be done.
//!
//! | file | what is there |
//! |---|---|
//! | `interface` | what it is told, and what it wants done |
//! | `own` | the own record, and when it is issued again |
//! | `knowledge` | the records that are held, and where two members differ |
//! | `exchange` | push-pull anti-entropy |
//! | `accept` | what may be believed of a record |
//! | `probing` | who answers: pings, also by way of others |
//! | `suspicion` | who does not, what others say of it, and death |
//! | `rumours` | how that spreads |
//! | `answering` | what anybody may ask |
//! | `links`, `availability`, `counters`, `view` | what is measured and shown |

mod accept;
mod answering;
pub(crate) mod availability;
pub(crate) mod counters;
mod exchange;
mod interface;
mod knowledge;
pub(crate) mod links;
mod own;
mod probing;
mod rumours;
mod suspicion;
pub(crate) mod view;

pub(crate) use answering::{question, question_for_page};
pub use availability::Availabilities;
pub use counters::{Counters, Dropped};
pub use interface::{Effect, Event, Input, Tuning};
pub use links::{Link, MAX_MEASURED};
pub use view::{MemberSeen, View};

use crate::identity::{Identity, NodeId, PublicKey};
use crate::message::{DatagramError, Envelope, LIST_BYTES, Message, RUMOUR_BYTES, Rumour, Standing};
use crate::record::{Own, Signed};
use crate::settings::{Adapt, MAX_FAN_OUT, Settings};
use crate::time::Time;
use answering::Fetch;
use exchange::Exchange;
use knowledge::Knowledge;
use links::Links;
use probing::{Late, Probe, RelayFor};
use rand::RngExt as _;
use rumours::Rumours;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use suspicion::Suspicion;

/// Shorter intervals are not kept.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// Once in this many intervals somebody believed dead, and a seed, is asked besides.
const EXTRA_ASKED_ONCE_IN: u32 = 8;
/// Addresses whose bytes are counted in an interval; others wait for the next.
const MAX_SERVED: usize = 4_096;
/// Nodes whose removal is remembered.
const MAX_REMOVED: usize = 1_024;

/// One call's time and chance, and what comes of it.
pub(crate) struct Turn<'a> {
    pub now: Time,
    pub rng: &'a mut crate::Rng,
    pub effects: Vec<Effect>,
}

impl Turn<'_> {
    fn tell(&mut self, event: Event) {
        self.effects.push(Effect::Tell(event));
    }
}

/// A member of the network. See [`Member::handle`].
#[derive(Debug)]
pub struct Member {
    settings: Settings,
    identity: Identity,
    own: Own,
    observed: Own,
    version: u64,
    refutation: u32,
    issued: Time,
    has_left: bool,
    knowledge: Knowledge,
    keys: Arc<BTreeMap<NodeId, PublicKey>>,
    refused: BTreeMap<(NodeId, PublicKey), (u64, u64)>,
    removed: BTreeMap<NodeId, u64>,
    seeds: Arc<[SocketAddr]>,
    exchanges: BTreeMap<u32, Exchange>,
    served: BTreeMap<SocketAddr, usize>,
    secret: u64,
    probes: BTreeMap<NodeId, Probe>,
    late: BTreeMap<u64, Late>,
    relays: BTreeMap<u64, RelayFor>,
    next_probed: usize,
    health: u32,
    suspicions: BTreeMap<NodeId, Suspicion>,
    rumours: Rumours,
    fetches: BTreeMap<u64, Fetch>,
    links: Links,
    availability: Option<Availabilities>,
    counters: Counters,
    next_peer: Time,
    next_round: Time,
}

impl Member {
    /// A member that knows nobody yet. `own` is what its first record says.
    pub fn new(settings: Settings, identity: Identity, own: Own, now: Time, rng: &mut crate::Rng) -> Self {
        let mut member = Self {
            availability: settings.availability_window.map(Availabilities::new),
            settings,
            identity,
            own: own.clone(),
            observed: own,
            version: 0,
            refutation: 0,
            issued: now,
            has_left: false,
            knowledge: Knowledge::new(),
            keys: Arc::default(),
            refused: BTreeMap::new(),
            removed: BTreeMap::new(),
            seeds: Arc::from([]),
            exchanges: BTreeMap::new(),
            served: BTreeMap::new(),
            secret: rng.random(),
            probes: BTreeMap::new(),
            late: BTreeMap::new(),
            relays: BTreeMap::new(),
            next_probed: 0,
            health: 0,
            suspicions: BTreeMap::new(),
            rumours: Rumours::default(),
            fetches: BTreeMap::new(),
            links: Links::default(),
            counters: Counters::default(),
            next_peer: now,
            next_round: now,
        };
        member.tune(Tuning {
            interval: Some(member.settings.interval),
            fan_out: Some(member.settings.fan_out),
            adapt: None,
        });
        let mut turn = Turn { now, rng, effects: Vec::new() };
        member.issue(&mut turn);
        // Members that start together do not speak together.
        member.next_peer = now + member.between_peers().mul_f64(turn.rng.random());
        member.next_round = now + member.settings.interval.mul_f64(turn.rng.random());
        member
    }

    /// Takes something in. Never fails: whatever anybody sends is answered, dropped, or counted.
    pub fn handle(&mut self, input: Input, now: Time, rng: &mut crate::Rng) -> Vec<Effect> {
        let mut turn = Turn { now, rng, effects: Vec::new() };
        match input {
            Input::Datagram { from, bytes } => match Envelope::decode(self.settings.network, &bytes) {
                Ok(envelope) => self.received(from, envelope, bytes.len(), &mut turn),
                Err(error) => self.undecodable(error),
            },
            Input::Received { from, envelope } => {
                let bytes = envelope.encoded_len();
                self.received(from, envelope, bytes, &mut turn);
            }
            Input::StreamOpened { stream, envelope } => self.stream_opened(stream, envelope, &mut turn),
            Input::Tick => self.tick(&mut turn),
            Input::Observed(own) => self.observe(*own, &mut turn),
            Input::Seeds(seeds) => {
                let mut sorted = seeds.to_vec();
                sorted.sort_unstable();
                self.seeds = if sorted == *seeds { seeds } else { sorted.into() };
            }
            Input::Keys(keys) => self.keys_told(keys, &mut turn),
            Input::Removed(node) => self.remove(node, &mut turn),
            Input::Tune(tuning) => self.tune(tuning),
            Input::Leave => self.leave(&mut turn),
        }
        self.count_sent(&turn.effects);
        turn.effects
    }

    /// When [`Input::Tick`] is due at the latest.
    pub fn wake_at(&self) -> Time {
        let exchanges = self.exchanges.values().map(|exchange| exchange.next_at);
        let probes = self.probes.values().map(|probe| probe.next_at);
        let relays = self.relays.values().map(|relay| relay.until);
        let fetches = self.fetches.values().map(|fetch| fetch.until);
        let suspicions =
            self.suspicions.values().filter(|suspicion| !suspicion.is_tried).map(|suspicion| suspicion.due);
        let own = [self.next_peer, self.next_round];
        own.into_iter()
            .chain(exchanges)
            .chain(probes)
            .chain(relays)
            .chain(fetches)
            .chain(suspicions)
            .min()
            .unwrap_or(Time::NEVER)
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Which node this is.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// As it is now; it can be tuned, and may adapt.
    pub fn fan_out(&self) -> u32 {
        self.settings.fan_out
    }

    fn tick(&mut self, turn: &mut Turn) {
        if turn.now >= self.next_peer {
            self.next_peer = self.next_peer.max(turn.now - self.between_peers()) + self.between_peers();
            self.exchange_with_somebody(turn);
        }
        if turn.now >= self.next_round {
            self.next_round = self.next_round.max(turn.now - self.settings.interval) + self.settings.interval;
            self.round(turn);
        }
        self.exchanges_due(turn);
        self.probes_due(turn);
        self.relays_due(turn);
        self.fetches_due(turn);
        self.suspicions_due(turn);
    }

    fn round(&mut self, turn: &mut Turn) {
        self.counters.rounds += 1;
        self.served.clear();
        self.forget_late_probes(turn.now);
        self.probe_the_next(turn);
        self.issue_if_due(turn);
        if self.counters.rounds.is_multiple_of(u64::from(self.settings.reissue_intervals.max(1))) {
            self.forget_the_old(turn);
            self.adapt(turn);
        }
        if turn.rng.random_range(0..EXTRA_ASKED_ONCE_IN) == 0 {
            self.exchange_with_the_dead(turn);
        }
        if turn.rng.random_range(0..EXTRA_ASKED_ONCE_IN) == 0 {
            self.exchange_with_a_seed(turn);
        }
    }

    fn received(&mut self, from: SocketAddr, envelope: Envelope, bytes: usize, turn: &mut Turn) {
        self.counters.received += 1;
        self.counters.received_bytes += bytes as u64;
        let sender = envelope.sender;
        match envelope.message {
            Message::Syn { exchange, cookie, hashes, rumours } => {
                self.syn(from, sender, (exchange, cookie), &hashes, turn);
                self.hear_all(&rumours, from, sender, turn);
            }
            Message::Cookie { exchange, cookie } => self.cookie(from, exchange, cookie, turn),
            Message::Same { exchange, rumours } => {
                self.same(from, sender, exchange, turn);
                self.hear_all(&rumours, from, sender, turn);
            }
            Message::Digest { exchange, segments, rumours } => {
                self.digest(from, sender, exchange, &segments, turn);
                self.hear_all(&rumours, from, sender, turn);
            }
            Message::Want { exchange, nodes } => self.want(from, sender, exchange, &nodes, turn),
            Message::Records { exchange, records } => self.records(from, exchange, records, turn),
            Message::Ping { nonce, target, rumours } => {
                self.ping(from, nonce, target, turn);
                self.hear_all(&rumours, from, sender, turn);
            }
            Message::Ack { nonce, clock, rumours } => {
                self.ack(sender, nonce, clock, turn);
                self.hear_all(&rumours, from, sender, turn);
            }
            Message::Relay { nonce, target } => self.relay(from, sender, nonce, target, turn),
            Message::Relayed { nonce, is_alive } => self.relayed(from, nonce, is_alive, turn),
            // Only streams carry it.
            Message::Join { .. } => self.counters.dropped.stranger += 1,
            Message::Ask { nonce, node, within_ms, .. } => self.ask(from, (nonce, node, within_ms), bytes, turn),
            Message::Answer { nonce, held } => self.answer(from, nonce, held, turn),
            Message::List { nonce, after, .. } => self.list(from, nonce, after, bytes, turn),
            // Nobody was asked: a member has no use for one.
            Message::Page { .. } => self.counters.dropped.stranger += 1,
        }
    }

    fn stream_opened(&mut self, stream: u64, envelope: Envelope, turn: &mut Turn) {
        self.counters.received += 1;
        self.counters.received_bytes += envelope.encoded_len() as u64;
        let Message::Join { record } = envelope.message else {
            self.counters.dropped.stranger += 1;
            return turn.effects.push(Effect::Reply { stream, envelopes: Vec::new() });
        };
        let all: Vec<_> = self.knowledge.iter().map(|held| held.carried(turn.now)).collect();
        let groups = crate::message::packed(all, LIST_BYTES);
        let envelopes =
            groups.into_iter().map(|records| self.envelope(Message::Records { exchange: 0, records })).collect();
        let from = record.record.record().address;
        self.accept(record, from, turn);
        turn.effects.push(Effect::Reply { stream, envelopes });
    }

    fn undecodable(&mut self, error: DatagramError) {
        self.counters.received += 1;
        match error {
            DatagramError::Malformed => self.counters.dropped.malformed += 1,
            DatagramError::Version(_) => self.counters.dropped.other_version += 1,
            DatagramError::Network => self.counters.dropped.other_network += 1,
        }
    }

    /// Whether longer answers may go there: a seed, or the address in the record of the member that it says it is.
    fn is_known(&self, from: SocketAddr, sender: Option<NodeId>) -> bool {
        sender.and_then(|node| self.knowledge.get(node)).is_some_and(|held| held.record.record().address == from)
            || self.seeds.binary_search(&from).is_ok()
    }

    fn tune(&mut self, tuning: Tuning) {
        if let Some(interval) = tuning.interval {
            self.settings.interval = interval.max(LEAST_INTERVAL);
        }
        if let Some(fan_out) = tuning.fan_out {
            self.settings.fan_out = fan_out.clamp(1, MAX_FAN_OUT);
        }
        if let Some(adapt) = tuning.adapt {
            self.settings.adapt = adapt;
        }
    }

    /// Follows the 95th percentile of ages with the fan-out, one step at a time.
    fn adapt(&mut self, turn: &mut Turn) {
        let Some(Adapt { target_age, least, most }) = self.settings.adapt else { return };
        let alive = self.knowledge.iter().filter(|held| held.standing == Standing::Alive);
        let mut ages: Vec<_> = alive.map(|held| turn.now.since(held.issued)).collect();
        let at = ages.len().saturating_sub(1) * 95 / 100;
        if ages.is_empty() {
            return;
        }
        let (_, age, _) = ages.select_nth_unstable(at);
        let before = self.settings.fan_out;
        let wanted = if *age > target_age {
            before + 1
        } else if *age < target_age / 2 {
            before.saturating_sub(1)
        } else {
            before
        };
        self.settings.fan_out = wanted.clamp(least.max(1), most.clamp(least.max(1), MAX_FAN_OUT));
        if self.settings.fan_out != before {
            turn.tell(Event::FanOut(self.settings.fan_out));
        }
    }

    fn between_peers(&self) -> Duration {
        self.settings.interval / self.settings.fan_out
    }

    /// How long an answer is waited for before the question is said again.
    fn retry_after(&self, peer: Option<NodeId>) -> Duration {
        (self.links.usual_round_trip(peer) * 2).clamp(self.settings.interval / 5, self.settings.interval)
    }

    fn envelope(&self, message: Message) -> Envelope {
        Envelope { sender: Some(self.identity.node), message }
    }

    fn send(&self, to: SocketAddr, message: Message, turn: &mut Turn) {
        turn.effects.push(Effect::Send { to, envelope: self.envelope(message) });
    }

    /// Rumours for a message whose list already takes `bytes`.
    fn rumours_beside(&mut self, bytes: usize, first: Option<NodeId>, now: Time) -> Vec<Rumour> {
        let room = LIST_BYTES.saturating_sub(bytes) / RUMOUR_BYTES;
        self.rumours.take(self.knowledge.len(), room, first, now)
    }

    fn count_sent(&mut self, effects: &[Effect]) {
        for effect in effects {
            let envelopes = match effect {
                Effect::Send { envelope, .. } | Effect::Stream { envelope, .. } => std::slice::from_ref(envelope),
                Effect::Reply { envelopes, .. } => envelopes,
                Effect::Tell(_) => continue,
            };
            self.counters.sent += envelopes.len() as u64;
            self.counters.sent_bytes += envelopes.iter().map(|envelope| envelope.encoded_len() as u64).sum::<u64>();
        }
    }
}

/// A record that is known, and its age for who is asked about it.
fn age_of(held: &knowledge::Held, link: Option<Link>, now: Time) -> Duration {
    let record: &Signed = &held.record;
    // What its own clock says bounds how fresh it may be; how far that clock is off was measured, or is taken for
    // nothing.
    let at = record.record().at.moved(link.map_or(0, |link| link.clock_ahead_us).saturating_neg());
    now.since(held.issued).max(now.since(at))
}
