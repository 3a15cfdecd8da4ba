//! What a member is told, and what it wants done: all as data.

use crate::identity::{NodeId, PublicKey};
use crate::message::Envelope;
use crate::record::Own;
use crate::settings::Adapt;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a member is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram came.
    Datagram {
        /// From where.
        from: SocketAddr,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// The same, read already; also each answer on a stream that this member opened.
    Received {
        /// From where.
        from: SocketAddr,
        /// What it says.
        envelope: Envelope,
    },
    /// Somebody opened a stream and said this. [`Effect::Reply`] names the stream.
    StreamOpened {
        /// The driver's number for it.
        stream: u64,
        /// What was said first.
        envelope: Envelope,
    },
    /// Time passed: at the latest at [`crate::Member::wake_at`].
    Tick,
    /// What the owner measured of the node.
    Observed(Box<Own>),
    /// Where others may be found; replaces what was said before.
    Seeds(Arc<[SocketAddr]>),
    /// Keys as the shared table says: they win over whatever was seen first. Replaces what was said before.
    Keys(Arc<BTreeMap<NodeId, PublicKey>>),
    /// The node is no longer part of the network: its records up to now are refused.
    Removed(NodeId),
    /// Other parameters.
    Tune(Tuning),
    /// Tells the others that this member goes.
    Leave,
}

/// Parameters that can change while a member runs; what is none stays.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// As in [`crate::Settings::interval`].
    pub interval: Option<Duration>,
    /// As in [`crate::Settings::fan_out`].
    pub fan_out: Option<u32>,
    /// As in [`crate::Settings::adapt`].
    pub adapt: Option<Option<Adapt>>,
}

/// What a member wants done.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Send a datagram.
    Send {
        /// Where to.
        to: SocketAddr,
        /// What; [`Envelope::encode`] makes the bytes.
        envelope: Envelope,
    },
    /// Open a stream, send this, and hand in every answer as [`Input::Received`]. If it fails, nothing is lost.
    Stream {
        /// Where to.
        to: SocketAddr,
        /// What to say.
        envelope: Envelope,
    },
    /// Answer on a stream, and end it.
    Reply {
        /// Of [`Input::StreamOpened`].
        stream: u64,
        /// In this order.
        envelopes: Vec<Envelope>,
    },
    /// Something that the owner may want to know.
    Tell(Event),
}

/// Something that the owner may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A node that had not been known.
    Joined(NodeId),
    /// It started again.
    Restarted(NodeId),
    /// It is reached at another address.
    Moved(NodeId),
    /// It does not answer somebody.
    Suspected(NodeId),
    /// It does, after all.
    Refuted(NodeId),
    /// It answered nobody for too long.
    Died(NodeId),
    /// Dead or gone, and there again.
    Returned(NodeId),
    /// It went on purpose.
    Left(NodeId),
    /// Its record was too old to be kept.
    Forgotten(NodeId),
    /// A record of a node was refused, for its key is another than the node's. Told once for each key.
    KeyRefused {
        /// Whose number it bears.
        node: NodeId,
        /// Where it says that it is reached.
        address: SocketAddr,
    },
    /// Another node bears this member's number, with another key: one of the two needs another number.
    NumberTaken {
        /// Where the other is reached.
        address: SocketAddr,
    },
    /// Others hold a record of this member from a later start: the stored incarnation was lost. Store this one.
    IncarnationRaised(u64),
    /// The clocks are too far apart.
    ClockOff {
        /// Whose clock.
        node: NodeId,
        /// By how many microseconds it is ahead of this member's.
        ahead_us: i64,
    },
    /// The fan-out was adapted.
    FanOut(u32),
}
