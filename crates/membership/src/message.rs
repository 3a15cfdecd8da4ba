//! What members say to each other, and its bytes.
//!
//! A datagram is `am`, the protocol's version, the network's eight bytes, and then the sender with one [`Message`] in
//! postcard's encoding; nothing may follow. Each datagram is whole in itself. On a stream the same bytes stand behind
//! their length (two bytes, little-endian).

use crate::identity::{NetworkId, NodeId};
use crate::record::{Signed, as_bytes};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;

/// Of a datagram: below the MTU of what is in use, tunnels included.
pub const MAX_DATAGRAM_BYTES: usize = 1_400;
/// This protocol's version: others are dropped and counted.
pub const PROTOCOL_VERSION: u8 = 1;
/// `am`, the version, the network.
const HEADER_BYTES: usize = 11;
/// Of the sender and of what stands around a message's list.
const FRAME_BYTES: usize = 48;
/// For lists in a message.
pub(crate) const LIST_BYTES: usize = MAX_DATAGRAM_BYTES - HEADER_BYTES - FRAME_BYTES;
/// Rumours in one datagram.
pub const MAX_RUMOURS: usize = 6;
/// No rumour is longer: four numbers of five bytes, one of ten, a flag.
pub(crate) const RUMOUR_BYTES: usize = 31;

/// That somebody does not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rumour {
    /// Who does not.
    pub about: NodeId,
    /// Of the record that the accuser held.
    pub incarnation: u64,
    /// Of the same.
    pub refutation: u32,
    /// Whom it did not answer.
    pub accuser: NodeId,
    /// How long it has been suspected.
    pub age_ms: u32,
    /// It is no longer a suspicion.
    pub is_dead: bool,
}

/// A record on its way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Carried {
    /// How long ago it was issued, as far as the sender knows.
    pub age_ms: u64,
    /// The record.
    #[serde(with = "as_bytes")]
    pub record: Arc<Signed>,
}

/// What a node knows of another, as short as it can be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Who.
    pub node: NodeId,
    /// Of the record that is known.
    pub incarnation: u64,
    /// Of the same.
    pub version: u64,
}

/// All that a node knows in a range of positions: what is missing there, it does not know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// First position.
    pub first: u32,
    /// Last position, which belongs to it.
    pub last: u32,
    /// In the order of positions.
    pub entries: Vec<Entry>,
}

/// How a member stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Standing {
    /// Answers.
    Alive,
    /// Did not answer somebody, and may still say that it lives.
    Suspect,
    /// Answered nobody for too long.
    Dead,
    /// Said that it goes.
    Left,
}

impl Standing {
    /// All that there are.
    pub const ALL: [Standing; 4] = [Standing::Alive, Standing::Suspect, Standing::Dead, Standing::Left];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Alive => "alive",
            Standing::Suspect => "suspect",
            Standing::Dead => "dead",
            Standing::Left => "left",
        }
    }

    /// Whether it takes part, as far as is known: who is suspected may still say that it lives.
    pub fn lives(self) -> bool {
        match self {
            Standing::Alive | Standing::Suspect => true,
            Standing::Dead | Standing::Left => false,
        }
    }
}

/// A member in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Who.
    pub node: NodeId,
    /// As the one who answers sees it.
    pub standing: Standing,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Of the newest record.
    pub incarnation: u64,
    /// Of the same.
    pub version: u64,
    /// Of the same.
    pub age_ms: u64,
    /// For people.
    pub name: String,
}

/// What members say to each other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// Begins an exchange: what the sender knows, as hashes of `hashes.len()` ranges of positions (a power of two).
    Syn {
        /// Of the sender's choice; comes back in answers.
        exchange: u32,
        /// What [`Message::Cookie`] said, or 0.
        cookie: u64,
        /// Of what is known in each range.
        hashes: Vec<u32>,
        /// Who does not answer.
        rumours: Vec<Rumour>,
    },
    /// To a stranger's [`Message::Syn`], instead of an answer that may be longer: say it again with this.
    Cookie {
        /// Which was asked.
        exchange: u32,
        /// Depends on the stranger's address.
        cookie: u64,
    },
    /// Both know the same.
    Same {
        /// Which was asked.
        exchange: u32,
        /// Who does not answer.
        rumours: Vec<Rumour>,
    },
    /// What is known in ranges whose hashes differ.
    Digest {
        /// Which was asked.
        exchange: u32,
        /// Some of the ranges, or parts of them.
        segments: Vec<Segment>,
        /// Who does not answer.
        rumours: Vec<Rumour>,
    },
    /// Asks for records.
    Want {
        /// Which exchange needs them.
        exchange: u32,
        /// Whose.
        nodes: Vec<NodeId>,
    },
    /// Records that the other lacks.
    Records {
        /// Which exchange needed them.
        exchange: u32,
        /// They.
        records: Vec<Carried>,
    },
    /// Are you there?
    Ping {
        /// Comes back.
        nonce: u64,
        /// Who is meant.
        target: NodeId,
        /// Who does not answer; first of all the target, if it is one of them.
        rumours: Vec<Rumour>,
    },
    /// I am.
    Ack {
        /// As asked.
        nonce: u64,
        /// The answerer's clock.
        clock: Time,
        /// Who does not answer.
        rumours: Vec<Rumour>,
    },
    /// Ask for me whether it is there.
    Relay {
        /// Comes back.
        nonce: u64,
        /// Who is meant.
        target: NodeId,
    },
    /// What came of [`Message::Relay`].
    Relayed {
        /// As asked.
        nonce: u64,
        /// It answered; or not yet.
        is_alive: bool,
    },
    /// First contact, on a stream: the newcomer, who wants all that is known.
    Join {
        /// The newcomer's own.
        record: Carried,
    },
    /// What do you hold of a node?
    Ask {
        /// Comes back.
        nonce: u64,
        /// Of whom.
        node: NodeId,
        /// What is older is of no use.
        within_ms: Option<u64>,
        /// Makes the question as long as the longest answer.
        padding: Vec<u8>,
    },
    /// To [`Message::Ask`].
    Answer {
        /// As asked.
        nonce: u64,
        /// None if nothing is known.
        held: Option<Carried>,
    },
    /// Whom do you know?
    List {
        /// Comes back.
        nonce: u64,
        /// The last node of the page before.
        after: Option<NodeId>,
        /// Makes the question as long as the longest answer.
        padding: Vec<u8>,
    },
    /// To [`Message::List`].
    Page {
        /// As asked.
        nonce: u64,
        /// In the order of their numbers.
        members: Vec<Listed>,
        /// There are more.
        is_more: bool,
    },
}

/// A message and who says that it sent it: nothing proves it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// None of somebody who only asks.
    pub sender: Option<NodeId>,
    /// What is said.
    pub message: Message,
}

/// Why bytes are no datagram of ours. Nothing was changed.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum DatagramError {
    /// Too long, too short, or no encoding of a message.
    #[error("the bytes are no message")]
    Malformed,
    /// Another version of the protocol.
    #[error("protocol version {0}; this one speaks {PROTOCOL_VERSION}")]
    Version(u8),
    /// For another network.
    #[error("a message for another network")]
    Network,
}

impl Envelope {
    /// Its bytes.
    pub fn encode(&self, network: NetworkId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(b"am");
        bytes.push(PROTOCOL_VERSION);
        bytes.extend_from_slice(&network.0);
        // Encoding into memory cannot fail; what could is dropped by every receiver.
        postcard::to_extend(self, bytes).unwrap_or_default()
    }

    /// How many bytes [`Envelope::encode`] makes.
    pub fn encoded_len(&self) -> usize {
        HEADER_BYTES + encoded_len(self)
    }

    /// Reads a datagram.
    pub fn decode(network: NetworkId, bytes: &[u8]) -> Result<Self, DatagramError> {
        if !(HEADER_BYTES..=MAX_DATAGRAM_BYTES).contains(&bytes.len()) || &bytes[..2] != b"am" {
            return Err(DatagramError::Malformed);
        }
        if bytes[2] != PROTOCOL_VERSION {
            return Err(DatagramError::Version(bytes[2]));
        }
        if bytes[3..HEADER_BYTES] != network.0 {
            return Err(DatagramError::Network);
        }
        match postcard::take_from_bytes(&bytes[HEADER_BYTES..]) {
            Ok((envelope, [])) => Ok(envelope),
            Ok(_) | Err(_) => Err(DatagramError::Malformed),
        }
    }
}

/// Bytes of one thing in postcard's encoding.
pub(crate) fn encoded_len<T: Serialize>(value: &T) -> usize {
    postcard::experimental::serialized_size(value).unwrap_or(usize::MAX / 2)
}

/// Puts things into as few groups as their order and a datagram allow.
pub(crate) fn packed<T: Serialize>(things: impl IntoIterator<Item = T>, limit_bytes: usize) -> Vec<Vec<T>> {
    let mut groups = Vec::new();
    let (mut group, mut bytes) = (Vec::new(), 0);
    for thing in things {
        let more = encoded_len(&thing);
        if bytes + more > limit_bytes && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += more;
        group.push(thing);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::record::{Own, Record};
    use proptest::prelude::*;

    const NETWORK: NetworkId = NetworkId(*b"network1");

    fn carried(age_ms: u64) -> Carried {
        let identity = Identity::from_seed(NodeId(3), 1, 1);
        let record = Record {
            node: identity.node,
            incarnation: 1,
            version: 2,
            refutation: 0,
            at: Time::from_secs(5),
            address: ([10, 0, 0, 3], 1).into(),
            key: identity.public_key(),
            own: Own::default(),
        };
        Carried { age_ms, record: Arc::new(Signed::issue(&identity, NETWORK, record)) }
    }

    fn check(message: Message) {
        let envelope = Envelope { sender: Some(NodeId(u32::MAX)), message };
        let bytes = envelope.encode(NETWORK);
        assert_eq!(bytes.len(), envelope.encoded_len());
        assert!(bytes.len() <= MAX_DATAGRAM_BYTES, "{} bytes", bytes.len());
        assert_eq!(Envelope::decode(NETWORK, &bytes), Ok(envelope));
        assert_eq!(Envelope::decode(NetworkId(*b"network2"), &bytes), Err(DatagramError::Network));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Envelope::decode(NETWORK, &longer), Err(DatagramError::Malformed));
    }

    #[test]
    fn the_longest_messages_fit_a_datagram_and_come_back() {
        let rumour = Rumour {
            about: NodeId(u32::MAX),
            incarnation: u64::MAX,
            refutation: u32::MAX,
            accuser: NodeId(u32::MAX),
            age_ms: u32::MAX,
            is_dead: true,
        };
        assert_eq!(encoded_len(&rumour), 31);
        check(Message::Syn {
            exchange: u32::MAX,
            cookie: u64::MAX,
            hashes: vec![u32::MAX; 256],
            rumours: vec![rumour],
        });
        check(Message::Ping { nonce: u64::MAX, target: NodeId(u32::MAX), rumours: vec![rumour; MAX_RUMOURS] });
        let nodes = packed((0..1_000).map(|node| NodeId(u32::MAX - node)), LIST_BYTES);
        nodes.into_iter().for_each(|nodes| check(Message::Want { exchange: u32::MAX, nodes }));
        for records in packed(vec![carried(u64::MAX); 30], LIST_BYTES) {
            check(Message::Records { exchange: u32::MAX, records });
        }
        check(crate::member::question(u64::MAX, NodeId(u32::MAX), Some(u64::MAX)));
        check(crate::member::question_for_page(u64::MAX, Some(NodeId(u32::MAX))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let message = Message::Want { exchange: 0, nodes: Vec::new() };
            let header = Envelope { sender: None, message }.encode(NETWORK);
            bytes.splice(0..0, header[..HEADER_BYTES].iter().copied());
            // Whatever is read is written again as it was, or in fewer bytes.
            if let Ok(envelope) = Envelope::decode(NETWORK, &bytes) {
                prop_assert!(envelope.encode(NETWORK).len() <= bytes.len());
            }
        }
    }
}
