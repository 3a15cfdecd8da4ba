//! Who is in a network and how they are: signed records, gossip, failure detection and quorum reads without I/O, over
//! UDP and in virtual time.

mod identity;
pub mod measure;
mod member;
mod message;
mod query;
mod record;
mod settings;
mod shared_records;
mod time;
pub mod udp;
pub mod virtual_network;

pub use identity::{Identity, IdentityError, NetworkId, NodeId, PUBLIC_KEY_BYTES, PublicKey, SIGNATURE_BYTES};
pub use member::{
    Availabilities, Counters, Dropped, Effect, Event, Input, Link, MAX_MEASURED, Member, MemberSeen, Tuning, View,
};
pub use message::{
    Carried, DatagramError, Entry, Envelope, Listed, MAX_DATAGRAM_BYTES, MAX_RUMOURS, Message, PROTOCOL_VERSION,
    Rumour, Segment, Standing,
};
pub use query::{Answered, Holder, Listing, Query, QueryEffect, QueryFailed, QuerySettings};
pub use record::{
    Intent, Label, LinkSeen, MAX_LINKS, MAX_LIST, MAX_NAME_BYTES, MAX_RECORD_BYTES, MAX_URL_BYTES, Own, Record,
    RecordError, ReplicaSeen, Signed,
};
pub use settings::{Adapt, MAX_FAN_OUT, Settings};
pub use shared_records::SharedRecords;
pub use time::Time;

/// The random source that machines are handed: the same seed gives the same decisions.
pub type Rng = rand_chacha::ChaCha8Rng;
