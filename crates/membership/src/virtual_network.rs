//! A network in virtual time: any number of members, with delay, loss, stops, restarts and partitions. The same seed
//! gives the same network.

use crate::identity::{Identity, NetworkId, NodeId};
use crate::measure::{NodeNow, Recorder};
use crate::member::{Effect, Event, Input, Member, View};
use crate::message::Envelope;
use crate::record::Own;
use crate::settings::Settings;
use crate::shared_records::SharedRecords;
use crate::time::Time;
use rand::{RngExt as _, SeedableRng as _};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// All nodes' port.
const PORT: u16 = 7946;
/// The first node is one above: addresses are 10.0.0.1 and on.
const BASE: u32 = 10 << 24;
/// When a network begins: far enough from nothing for clocks that are behind.
pub const BEGINNING: Time = Time::from_secs(1_800_000_000);
/// Events that are kept until they are taken; later ones are lost. Thousands of nodes that find each other tell millions.
const MAX_EVENTS: usize = 1 << 20;
/// A stream's first answer takes this many one-way delays: the handshake, the question, the answer.
const STREAM_DELAYS: u32 = 4;

/// How messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// As bytes, encoded and decoded again.
    Encoded,
    /// As they are: for thousands of nodes. Their bytes are counted alike.
    Shared,
}

/// What a virtual network is like.
#[derive(Clone, Debug)]
pub struct VirtualSettings {
    /// Numbers from 1.
    pub nodes: u32,
    /// All chance comes from it.
    pub seed: u64,
    /// Share of datagrams that is lost, 0 to 1.
    pub loss: f64,
    /// One way; each datagram takes between this and twice this.
    pub delay: Duration,
    /// How messages travel.
    pub wire: Wire,
    /// How every member behaves; address and network are set here.
    pub member: Settings,
}

impl VirtualSettings {
    /// No loss, a delay of 1 ms to 2 ms, bytes on the wire, and members with defaults.
    pub fn new(nodes: u32, seed: u64) -> Self {
        let mut member = Settings::new(NetworkId::named("virtual"), address(NodeId(1)));
        member.shared_records = Some(Arc::new(SharedRecords::default()));
        Self { nodes, seed, loss: 0.0, delay: Duration::from_millis(1), wire: Wire::Encoded, member }
    }
}

/// Where a node is reached.
pub fn address(node: NodeId) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from_bits(BASE.wrapping_add(node.0)), PORT))
}

fn node_at(address: SocketAddr) -> Option<NodeId> {
    match address {
        SocketAddr::V4(address) if address.port() == PORT => Some(NodeId(address.ip().to_bits().wrapping_sub(BASE))),
        SocketAddr::V4(_) | SocketAddr::V6(_) => None,
    }
}

#[derive(Debug)]
enum Packet {
    Bytes(Vec<u8>),
    Shared(Envelope),
}

#[derive(Debug)]
enum Happening {
    Arrives { from: SocketAddr, to: SocketAddr, packet: Packet },
    StreamOpens { from: SocketAddr, to: SocketAddr, envelope: Envelope },
    StreamAnswers { from: SocketAddr, to: SocketAddr, envelope: Envelope },
    Wakes { index: usize },
}

#[derive(Debug)]
struct Scheduled {
    at: Time,
    number: u64,
    happening: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A node of a virtual network.
#[derive(Debug)]
struct Node {
    member: Option<Member>,
    incarnation: u64,
    wakes: Time,
    /// By how many microseconds its clock is ahead.
    clock_ahead_us: i64,
    /// Share of datagrams lost on its way in and on its way out, besides the network's.
    loss: f64,
    /// What everything that it receives waits.
    slowness: Duration,
    group: u32,
    streams: BTreeMap<u64, SocketAddr>,
}

/// A network in virtual time.
#[derive(Debug)]
pub struct VirtualNetwork {
    settings: VirtualSettings,
    now: Time,
    rng: crate::Rng,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    streams: u64,
    events: Vec<(Time, NodeId, Event)>,
    outside: Vec<(Time, SocketAddr, Envelope)>,
    seeds: Arc<[SocketAddr]>,
}

impl VirtualNetwork {
    /// All nodes are up and know everybody's address, and nobody's record.
    pub fn new(settings: VirtualSettings) -> Self {
        let mut network = Self::empty(settings);
        network.seeds = (1..=network.settings.nodes).map(|node| address(NodeId(node))).collect();
        (1..=network.settings.nodes).for_each(|node| network.start(NodeId(node)));
        network
    }

    /// All nodes are down; whoever starts knows the addresses of `seeds`.
    pub fn with_seeds(settings: VirtualSettings, seeds: &[NodeId]) -> Self {
        let mut network = Self::empty(settings);
        network.seeds = seeds.iter().map(|node| address(*node)).collect();
        network
    }

    fn empty(mut settings: VirtualSettings) -> Self {
        if settings.wire == Wire::Shared {
            // What is passed on as it is has one copy anyway.
            settings.member.shared_records = None;
        }
        let node = || Node {
            member: None,
            incarnation: 0,
            wakes: Time::NEVER,
            clock_ahead_us: 0,
            loss: 0.0,
            slowness: Duration::ZERO,
            group: 0,
            streams: BTreeMap::new(),
        };
        Self {
            now: BEGINNING,
            rng: crate::Rng::seed_from_u64(settings.seed),
            nodes: (0..settings.nodes).map(|_| node()).collect(),
            queue: BinaryHeap::new(),
            scheduled: 0,
            streams: 0,
            events: Vec::new(),
            outside: Vec::new(),
            seeds: Arc::from([]),
            settings,
        }
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How long it has been running, in intervals.
    pub fn rounds(&self) -> f64 {
        self.now.since(BEGINNING).as_secs_f64() / self.settings.member.interval.as_secs_f64()
    }

    /// Starts a node, in its next incarnation. One that runs is stopped first.
    pub fn start(&mut self, node: NodeId) {
        self.stop(node);
        let Some(index) = self.index(node) else { return };
        self.nodes[index].incarnation += 1;
        let identity = Identity::from_seed(node, self.nodes[index].incarnation, self.settings.seed);
        self.start_as(node, identity);
    }

    /// Starts a node with an identity of the caller's choice.
    pub fn start_as(&mut self, node: NodeId, identity: Identity) {
        let Some(index) = self.index(node) else { return };
        let settings = Settings { address: address(node), ..self.settings.member.clone() };
        let own = Own {
            name: format!("node-{}", node.0),
            store_url: Some(format!("http://{}:9000/data", address(node).ip())),
            cores: 8,
            memory_total: 32 << 30,
            memory_free: 20 << 30,
            disk_free: 500 << 30,
            ..Own::default()
        };
        let clock = self.clock(index);
        let mut member = Member::new(settings, identity, own, clock, &mut self.rng);
        member.handle(Input::Seeds(Arc::clone(&self.seeds)), clock, &mut self.rng);
        self.nodes[index].member = Some(member);
        self.nodes[index].wakes = Time::NEVER;
        self.schedule_wake(index);
    }

    /// Stops a node without a word.
    pub fn stop(&mut self, node: NodeId) {
        if let Some(index) = self.index(node) {
            self.nodes[index].member = None;
            self.nodes[index].streams.clear();
        }
    }

    /// Datagrams pass only between nodes of the same group; all are in group 0 at first.
    pub fn put_in_group(&mut self, node: NodeId, group: u32) {
        self.change(node, |node| node.group = group);
    }

    /// What is lost on a node's way in, and on its way out, besides the network's loss.
    pub fn set_loss_of(&mut self, node: NodeId, loss: f64) {
        self.change(node, |node| node.loss = loss);
    }

    /// Everything that a node receives waits so long.
    pub fn set_slowness_of(&mut self, node: NodeId, slowness: Duration) {
        self.change(node, |node| node.slowness = slowness);
    }

    /// A node's clock is ahead by so many microseconds. To be said before it starts.
    pub fn set_clock_of(&mut self, node: NodeId, ahead_us: i64) {
        self.change(node, |node| node.clock_ahead_us = ahead_us);
    }

    /// Share of datagrams that is lost from now on.
    pub fn set_loss(&mut self, loss: f64) {
        self.settings.loss = loss;
    }

    fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Node)) {
        if let Some(index) = self.index(node) {
            change(&mut self.nodes[index]);
        }
    }

    /// A node that runs.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.nodes.get(self.index(node)?)?.member.as_ref()
    }

    /// All that a node sees, if it runs.
    pub fn view(&mut self, node: NodeId) -> Option<View> {
        let index = self.index(node)?;
        let clock = self.clock(index);
        self.nodes[index].member.as_mut().map(|member| member.view(clock))
    }

    /// All nodes that run.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.nodes.iter().filter_map(|node| node.member.as_ref())
    }

    /// What members told since it was last taken, with when and who; the first million.
    pub fn take_events(&mut self) -> Vec<(Time, NodeId, Event)> {
        std::mem::take(&mut self.events)
    }

    /// What was sent to addresses that are no node's, since it was last taken.
    pub fn take_outside(&mut self) -> Vec<(Time, SocketAddr, Envelope)> {
        std::mem::take(&mut self.outside)
    }

    /// Something that no member did: a datagram from anywhere, which is delayed and may be lost as any.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.carry(from, to, Packet::Bytes(bytes));
    }

    /// Tells a member something.
    pub fn tell(&mut self, node: NodeId, input: Input) {
        if let Some(index) = self.index(node) {
            self.handle(index, input);
        }
    }

    /// Whether every member that runs knows all nodes.
    pub fn all_know_all(&self) -> bool {
        self.members().all(|member| member.known() >= self.nodes.len())
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.queue.peek().is_some_and(|Reverse(next)| next.at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Lets time pass until it is so, at most `limit`; whether it is. Asked 20 times in an interval.
    pub fn run_until(&mut self, limit: Duration, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let (until, step) = (self.now + limit, self.settings.member.interval / 20);
        while !is_so(self) {
            if self.now >= until {
                return false;
            }
            self.run_for(step);
        }
        true
    }

    /// Lets rounds pass, and records what each node did in each.
    pub fn record(&mut self, rounds: u32, recorder: &mut Recorder) {
        for _ in 0..rounds {
            self.run_for(self.settings.member.interval);
            let clocks: Vec<_> = (0..self.nodes.len()).map(|index| self.clock(index)).collect();
            let up = self.nodes.iter().zip(clocks).filter_map(|(node, clock)| Some((node.member.as_ref()?, clock)));
            recorder.round(up.map(|(member, clock)| NodeNow {
                node: member.node(),
                counters: member.counters(),
                known: member.known(),
                stored_bytes: member.record_bytes(),
                ages: member.ages(clock),
            }));
        }
    }

    fn step(&mut self) {
        let Some(Reverse(Scheduled { at, happening, .. })) = self.queue.pop() else { return };
        self.now = at;
        match happening {
            Happening::Wakes { index } => {
                if self.nodes[index].wakes <= at {
                    self.nodes[index].wakes = Time::NEVER;
                    self.handle(index, Input::Tick);
                }
            }
            Happening::Arrives { from, to, packet } => {
                let Some(index) = node_at(to).and_then(|node| self.index(node)) else { return };
                self.handle(
                    index,
                    match packet {
                        Packet::Bytes(bytes) => Input::Datagram { from, bytes },
                        Packet::Shared(envelope) => Input::Received { from, envelope },
                    },
                );
            }
            Happening::StreamOpens { from, to, envelope } => {
                let Some(index) = node_at(to).and_then(|node| self.index(node)) else { return };
                if self.nodes[index].member.is_some() {
                    self.streams += 1;
                    self.nodes[index].streams.insert(self.streams, from);
                    self.handle(index, Input::StreamOpened { stream: self.streams, envelope });
                }
            }
            Happening::StreamAnswers { from, to, envelope } => {
                let Some(index) = node_at(to).and_then(|node| self.index(node)) else { return };
                self.handle(index, Input::Received { from, envelope });
            }
        }
    }

    fn handle(&mut self, index: usize, input: Input) {
        let clock = self.clock(index);
        let Some(member) = &mut self.nodes[index].member else { return };
        let effects = member.handle(input, clock, &mut self.rng);
        let node = member.node();
        let from = address(NodeId(u32::try_from(index + 1).unwrap_or(u32::MAX)));
        for effect in effects {
            match effect {
                Effect::Send { to, envelope } => self.carry_envelope(from, to, envelope),
                Effect::Stream { to, envelope } => {
                    if self.passes(from, to) {
                        let at = self.now + self.settings.delay * (STREAM_DELAYS - 1);
                        self.schedule(at, Happening::StreamOpens { from, to, envelope });
                    }
                }
                Effect::Reply { stream, envelopes } => {
                    let Some(to) = self.nodes[index].streams.remove(&stream) else { continue };
                    let at = self.now + self.settings.delay;
                    envelopes.into_iter().for_each(|envelope| {
                        self.schedule(at, Happening::StreamAnswers { from, to, envelope });
                    });
                }
                Effect::Tell(event) if self.events.len() < MAX_EVENTS => self.events.push((self.now, node, event)),
                Effect::Tell(_) => {}
            }
        }
        self.schedule_wake(index);
    }

    fn carry_envelope(&mut self, from: SocketAddr, to: SocketAddr, envelope: Envelope) {
        if node_at(to).and_then(|node| self.index(node)).is_none() {
            return self.outside.push((self.now, to, envelope));
        }
        let packet = match self.settings.wire {
            Wire::Encoded => Packet::Bytes(envelope.encode(self.settings.member.network)),
            Wire::Shared => Packet::Shared(envelope),
        };
        self.carry(from, to, packet);
    }

    fn carry(&mut self, from: SocketAddr, to: SocketAddr, packet: Packet) {
        let ends = [from, to].map(|address| node_at(address).and_then(|node| self.index(node)));
        let kept = |loss: f64| 1.0 - loss;
        let whole =
            ends.iter().flatten().fold(kept(self.settings.loss), |whole, index| whole * kept(self.nodes[*index].loss));
        if !self.passes(from, to) || (whole < 1.0 && !self.rng.random_bool(whole.clamp(0.0, 1.0))) {
            return;
        }
        let slowness = ends[1].map_or(Duration::ZERO, |index| self.nodes[index].slowness);
        let delay = self.settings.delay.mul_f64(1.0 + self.rng.random::<f64>()) + slowness;
        self.schedule(self.now + delay, Happening::Arrives { from, to, packet });
    }

    fn passes(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let group = |address| node_at(address).and_then(|node| self.index(node)).map(|index| self.nodes[index].group);
        match (group(from), group(to)) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        }
    }

    fn schedule_wake(&mut self, index: usize) {
        let Some(member) = &self.nodes[index].member else { return };
        let at = member.wake_at().moved(self.nodes[index].clock_ahead_us.saturating_neg()).max(self.now);
        if at < self.nodes[index].wakes {
            self.nodes[index].wakes = at;
            self.schedule(at, Happening::Wakes { index });
        }
    }

    fn schedule(&mut self, at: Time, happening: Happening) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled { at, number: self.scheduled, happening }));
    }

    fn clock(&self, index: usize) -> Time {
        self.now.moved(self.nodes[index].clock_ahead_us)
    }

    fn index(&self, node: NodeId) -> Option<usize> {
        let index = usize::try_from(node.0.checked_sub(1)?).ok()?;
        (index < self.nodes.len()).then_some(index)
    }
}
