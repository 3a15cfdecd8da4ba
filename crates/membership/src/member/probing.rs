//! Who answers: pings, several in an interval, and then also by way of others (SWIM), with time measured by how well
//! this member itself hears (Lifeguard's local health).

use super::{Event, Member, Turn};
use crate::identity::NodeId;
use crate::message::Message;
use crate::time::Time;
use rand::RngExt as _;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Pings in a probe, spread over its time; three more the less this member hears.
const PINGS: u32 = 5;
const MOST_PINGS: u32 = 8;
/// With which pings others are asked for help: the third, the fifth and the seventh.
const HELP_WITH: [u32; 3] = [2, 4, 6];
/// Others that are asked each time.
const HELPERS: usize = 3;
/// Nodes that are probed at once.
const MAX_PROBES: usize = 512;
/// Probes for others at once.
const MAX_RELAYS: usize = 512;
/// Worst local health: a probe takes this many intervals more.
const WORST_HEALTH: u32 = 8;
/// The last question takes at least this many intervals.
const LAST_INTERVALS: u32 = 2;
/// A probe takes at least this many of the peer's round trips.
const ROUND_TRIPS: u32 = 3;
/// The lowest bits of a nonce tell which ping it was.
const PING_BITS: u64 = 0b111;
/// Probes that failed and may be answered yet.
const MAX_LATE: usize = 512;

/// A node that is being asked whether it is there.
#[derive(Debug)]
pub(super) struct Probe {
    nonce: u64,
    started: Time,
    sent: Vec<Time>,
    pub next_at: Time,
    helpers: BTreeSet<SocketAddr>,
    /// Whether any helper said anything.
    is_helped: bool,
    /// It is suspected already: silence now means death.
    pub is_last: bool,
}

/// The pings of a probe that failed: an answer still tells that the node is slow, not dead.
#[derive(Debug)]
pub(super) struct Late {
    node: NodeId,
    sent: Vec<Time>,
    until: Time,
}

/// Somebody whose question is passed on.
#[derive(Debug)]
pub(super) struct RelayFor {
    asker: SocketAddr,
    nonce: u64,
    target: NodeId,
    pub until: Time,
}

impl Member {
    /// Each round the next of all, in an order that is shuffled after each pass: nobody waits longer than two passes.
    pub(super) fn probe_the_next(&mut self, turn: &mut Turn) {
        if self.has_left {
            return;
        }
        for _ in 0..self.knowledge.others().len() {
            if self.next_probed >= self.knowledge.others().len() {
                self.next_probed = 0;
                self.knowledge.shuffle(turn.rng);
            }
            let node = self.knowledge.others()[self.next_probed];
            self.next_probed += 1;
            if self.lives(node) {
                return self.probe(node, turn);
            }
        }
    }

    /// Begins to probe a node, unless that is being done.
    pub(super) fn probe(&mut self, node: NodeId, turn: &mut Turn) {
        if !self.probes.contains_key(&node) && self.lives(node) {
            self.begin_probe(node, false, turn);
        }
    }

    fn lives(&self, node: NodeId) -> bool {
        self.knowledge.get(node).is_some_and(|held| held.standing.lives())
    }

    pub(super) fn begin_probe(&mut self, node: NodeId, is_last: bool, turn: &mut Turn) {
        if self.probes.len() >= MAX_PROBES && !self.probes.contains_key(&node) {
            self.counters.dropped.no_room += 1;
            return;
        }
        self.counters.probes += 1;
        let probe = Probe {
            nonce: turn.rng.random::<u64>() & !PING_BITS,
            started: turn.now,
            sent: Vec::new(),
            next_at: turn.now,
            helpers: BTreeSet::new(),
            is_helped: false,
            is_last,
        };
        self.probes.insert(node, probe);
        self.probe_on(node, turn);
    }

    pub(super) fn probes_due(&mut self, turn: &mut Turn) {
        let due: Vec<_> =
            self.probes.iter().filter(|(_, probe)| probe.next_at <= turn.now).map(|(node, _)| *node).collect();
        for node in due {
            self.probe_on(node, turn);
        }
    }

    /// The next ping of a probe, or its end.
    fn probe_on(&mut self, node: NodeId, turn: &mut Turn) {
        let Some(is_last) = self.probes.get(&node).map(|probe| probe.is_last) else { return };
        let patience = self.patience_for(node, is_last);
        let pings = if is_last { MOST_PINGS } else { (PINGS + self.health).min(MOST_PINGS) };
        let Some(address) = self.knowledge.get(node).map(|held| held.record.record().address) else {
            self.probes.remove(&node);
            return;
        };
        let Some(probe) = self.probes.get_mut(&node) else { return };
        let sent = u32::try_from(probe.sent.len()).unwrap_or(MOST_PINGS);
        if sent >= pings {
            return self.probe_failed(node, turn);
        }
        probe.sent.push(turn.now);
        probe.next_at = probe.started + patience * (sent + 1) / pings;
        let nonce = probe.nonce | u64::from(sent);
        let rumours = self.rumours_beside(0, Some(node), turn.now);
        self.send(address, Message::Ping { nonce, target: node, rumours }, turn);
        if HELP_WITH.contains(&sent) {
            self.ask_helpers(node, nonce, turn);
        }
    }

    /// How long an answer is waited for: longer the less this member hears, and as long as the peer usually takes.
    fn patience_for(&self, node: NodeId, is_last: bool) -> Duration {
        let usual = self.links.usual_round_trip(Some(node)) * ROUND_TRIPS;
        let interval = self.settings.interval;
        let least = if is_last { interval * LAST_INTERVALS } else { interval };
        least.max(interval * (1 + self.health)).max(usual).min(interval * (1 + WORST_HEALTH))
    }

    fn ask_helpers(&mut self, target: NodeId, nonce: u64, turn: &mut Turn) {
        for _ in 0..HELPERS {
            let Some((helper, address)) = self.somebody_alive(turn) else { return };
            if helper == target {
                continue;
            }
            let Some(probe) = self.probes.get_mut(&target) else { return };
            if probe.helpers.insert(address) {
                self.send(address, Message::Relay { nonce, target }, turn);
            }
        }
    }

    fn probe_failed(&mut self, node: NodeId, turn: &mut Turn) {
        let Some(probe) = self.probes.remove(&node) else { return };
        self.counters.probes_unanswered += 1;
        self.links.unanswered(node);
        if self.late.len() < MAX_LATE {
            let until = turn.now + self.settings.interval * WORST_HEALTH;
            self.late.insert(probe.nonce, Late { node, sent: probe.sent.clone(), until });
        }
        // Not one of those who were asked said anything: perhaps it is this member that hears nothing.
        if !probe.helpers.is_empty() && !probe.is_helped {
            self.hears_worse();
        }
        if probe.is_last {
            self.bury(node, turn);
        } else {
            self.suspect(node, turn);
        }
    }

    pub(super) fn hears_worse(&mut self) {
        if self.settings.local_health {
            self.health = (self.health + 1).min(WORST_HEALTH);
        }
    }

    /// Answered whoever asks, and not longer than the question.
    pub(super) fn ping(&mut self, from: SocketAddr, nonce: u64, target: NodeId, turn: &mut Turn) {
        if target != self.identity.node {
            self.counters.dropped.stranger += 1;
            return;
        }
        if !self.has_left {
            self.send(from, Message::Ack { nonce, clock: turn.now, rumours: Vec::new() }, turn);
        }
    }

    pub(super) fn ack(&mut self, sender: Option<NodeId>, nonce: u64, clock: Time, turn: &mut Turn) {
        let Some(node) = sender else { return };
        if let Some(sent) = self.ping_of(node, nonce) {
            // Later pings may be on their way still; earlier ones are lost.
            let probe = self.probes.remove(&node);
            let lost = probe.map_or(0, |probe| probe.sent.iter().filter(|at| **at < sent).count());
            (0..lost).for_each(|_| self.links.unanswered(node));
            self.health = self.health.saturating_sub(1);
            return self.answered_ping(node, sent, clock, turn);
        }
        if let Some(sent) = self.late_ping_of(node, nonce) {
            self.hears_worse();
            return self.answered_ping(node, sent, clock, turn);
        }
        match self.relays.remove(&nonce).filter(|relay| relay.target == node) {
            Some(relay) => self.send(relay.asker, Message::Relayed { nonce: relay.nonce, is_alive: true }, turn),
            None => self.counters.dropped.stranger += 1,
        }
    }

    fn answered_ping(&mut self, node: NodeId, sent: Time, clock: Time, turn: &mut Turn) {
        let off = self.links.answered(node, sent, turn.now, clock, self.settings.clock_tolerance);
        if let Some(ahead_us) = off {
            turn.tell(Event::ClockOff { node, ahead_us });
        }
        self.is_alive(node, turn);
    }

    /// The same for a probe that has failed.
    fn late_ping_of(&self, node: NodeId, nonce: u64) -> Option<Time> {
        let late = self.late.get(&(nonce & !PING_BITS)).filter(|late| late.node == node)?;
        ping_at(&late.sent, nonce)
    }

    /// Answers that come later mean nothing.
    pub(super) fn forget_late_probes(&mut self, now: Time) {
        self.late.retain(|_, late| late.until > now);
    }

    /// When the ping was sent that this answers.
    fn ping_of(&self, node: NodeId, nonce: u64) -> Option<Time> {
        let probe = self.probes.get(&node).filter(|probe| probe.nonce == nonce & !PING_BITS)?;
        ping_at(&probe.sent, nonce)
    }

    /// Asked by a member about a member: nobody else can make this one send to anybody.
    pub(super) fn relay(
        &mut self,
        from: SocketAddr,
        sender: Option<NodeId>,
        nonce: u64,
        target: NodeId,
        turn: &mut Turn,
    ) {
        let Some(to) = self.knowledge.get(target).map(|held| held.record.record().address) else {
            self.counters.dropped.stranger += 1;
            return;
        };
        if !self.is_known(from, sender) || self.relays.len() >= MAX_RELAYS {
            self.counters.dropped.stranger += 1;
            return;
        }
        let own = turn.rng.random::<u64>();
        let until = turn.now + self.settings.interval / 2;
        self.relays.insert(own, RelayFor { asker: from, nonce, target, until });
        self.send(to, Message::Ping { nonce: own, target, rumours: Vec::new() }, turn);
    }

    pub(super) fn relays_due(&mut self, turn: &mut Turn) {
        let due: Vec<_> =
            self.relays.iter().filter(|(_, relay)| relay.until <= turn.now).map(|(nonce, _)| *nonce).collect();
        for nonce in due {
            let Some(relay) = self.relays.remove(&nonce) else { continue };
            self.send(relay.asker, Message::Relayed { nonce: relay.nonce, is_alive: false }, turn);
        }
    }

    pub(super) fn relayed(&mut self, from: SocketAddr, nonce: u64, is_alive: bool, turn: &mut Turn) {
        let asked = self.probes.iter_mut().find(|(_, probe)| probe.nonce == nonce & !PING_BITS);
        let Some((node, probe)) = asked.filter(|(_, probe)| probe.helpers.contains(&from)) else {
            self.counters.dropped.stranger += 1;
            return;
        };
        probe.is_helped = true;
        let node = *node;
        if is_alive {
            self.probes.remove(&node);
            self.is_alive(node, turn);
        }
    }
}

/// When that one of a probe's pings was sent.
fn ping_at(sent: &[Time], nonce: u64) -> Option<Time> {
    sent.get(usize::try_from(nonce & PING_BITS).ok()?).copied()
}
