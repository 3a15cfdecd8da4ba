//! What a node says of itself, and the signature that lets anybody pass it on.
//!
//! On the wire a record is 64 bytes of signature and then the body. What is signed is [`DOMAIN`], the network, and
//! the body's very bytes: nobody encodes again what somebody else has signed.

use crate::identity::{Identity, NetworkId, NodeId, PublicKey, SIGNATURE_BYTES};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::OnceLock;
use thiserror::Error;

/// Of a whole record as it travels, signature included. One always fits a datagram.
pub const MAX_RECORD_BYTES: usize = 1_200;
/// Of a name of a node, a label's key, or its value.
pub const MAX_NAME_BYTES: usize = 64;
/// Of a store's URL, or of a data set's name.
pub const MAX_URL_BYTES: usize = 256;
/// Of each of the lists in a record.
pub const MAX_LIST: usize = 32;
/// Of the links that a record tells, most recently measured first.
pub const MAX_LINKS: usize = 16;
/// Nothing else that is signed with these keys begins like this.
const DOMAIN: &[u8] = b"agent membership record 1\0";

/// What the node's owner wants of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Intent {
    /// Gives and takes work.
    #[default]
    Running,
    /// Still there, and wants nothing new.
    Draining,
    /// Has gone on purpose: its silence is no failure.
    Left,
}

/// A replica that the node holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReplicaSeen {
    /// Name of the data set.
    pub data_set: String,
    /// Which version of it.
    pub version: u64,
    /// Generation of the placement that says so.
    pub generation: u64,
}

/// What a node measured of its way to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkSeen {
    /// The other end.
    pub peer: NodeId,
    /// Smoothed round trip.
    pub round_trip_us: u32,
    /// Share of datagrams lost on one way, in 1/1000.
    pub loss_permille: u16,
    /// Bytes for each second in the latest transfers, if there were any.
    pub bytes_per_s: Option<u64>,
}

/// A label: a word and what it says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Label {
    /// The word.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// What a node can say of itself; its owner measures it and hands it in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Own {
    /// For people.
    pub name: String,
    /// Where its objects are.
    pub store_url: Option<String>,
    /// Logical processors.
    pub cores: u16,
    /// Bytes of memory.
    pub memory_total: u64,
    /// Bytes of memory that are free.
    pub memory_free: u64,
    /// Bytes that are free where its objects lie.
    pub disk_free: u64,
    /// Processor time in use, in 1/1000 of all cores.
    pub cpu_permille: u16,
    /// Bytes sent and received in a second.
    pub network_bytes_per_s: u64,
    /// The system's load average over a minute, in 1/100.
    pub load_percent: u32,
    /// What it wants of others.
    pub intent: Intent,
    /// What it holds, at most [`MAX_LIST`], the most important first.
    pub replicas: Vec<ReplicaSeen>,
    /// At most [`MAX_LIST`], the most important first.
    pub labels: Vec<Label>,
    /// At most [`MAX_LINKS`], the most recently measured first. A member adds those that it measured itself.
    pub links: Vec<LinkSeen>,
}

/// Changes below these shares are noise.
const MATTERS: f64 = 0.1;
/// Of all cores.
const MATTERS_CPU_PERMILLE: u16 = 100;
/// A link's round trip.
const MATTERS_ROUND_TRIP: f64 = 0.5;
/// Round trips that are apart by less are the same.
const SAME_ROUND_TRIP_US: u32 = 5_000;

impl Own {
    /// Whether others should hear of the change at once: another name, store, intent, label or replica; a tenth of the
    /// processors, of memory, of disk or of traffic; half of a round trip. What is less waits for the next regular
    /// issue.
    pub fn differs_enough(&self, earlier: &Own) -> bool {
        let words = |own: &Own| (own.name.clone(), own.store_url.clone(), own.cores, own.intent);
        words(self) != words(earlier)
            || self.labels != earlier.labels
            || self.replicas != earlier.replicas
            || self.cpu_permille.abs_diff(earlier.cpu_permille) >= MATTERS_CPU_PERMILLE
            || changed(self.memory_free, earlier.memory_free, self.memory_total)
            || changed(self.disk_free, earlier.disk_free, earlier.disk_free)
            || changed(self.network_bytes_per_s, earlier.network_bytes_per_s, earlier.network_bytes_per_s.max(1 << 20))
            || self.links.iter().any(|link| link.differs_enough(&earlier.links))
    }

    /// Cuts what is too long, and takes out what would disturb a terminal or a log.
    fn bounded(mut self) -> Self {
        self.name = tidy(&self.name, MAX_NAME_BYTES);
        self.store_url = self.store_url.map(|url| tidy(&url, MAX_URL_BYTES));
        self.replicas.truncate(MAX_LIST);
        self.labels.truncate(MAX_LIST);
        self.links.truncate(MAX_LINKS);
        for replica in &mut self.replicas {
            replica.data_set = tidy(&replica.data_set, MAX_URL_BYTES);
        }
        for label in &mut self.labels {
            label.key = tidy(&label.key, MAX_NAME_BYTES);
            label.value = tidy(&label.value, MAX_NAME_BYTES);
        }
        self
    }

    /// Drops the least important thing that is left: links from the last, then labels, then replicas.
    fn cut(&mut self) -> bool {
        self.links.pop().is_some() || self.labels.pop().is_some() || self.replicas.pop().is_some()
    }
}

impl LinkSeen {
    fn differs_enough(&self, earlier: &[LinkSeen]) -> bool {
        earlier.iter().find(|link| link.peer == self.peer).is_some_and(|before| {
            let apart = self.round_trip_us.abs_diff(before.round_trip_us);
            apart > SAME_ROUND_TRIP_US && f64::from(apart) > MATTERS_ROUND_TRIP * f64::from(before.round_trip_us)
        })
    }
}

fn changed(now: u64, before: u64, whole: u64) -> bool {
    now.abs_diff(before) as f64 > MATTERS * whole as f64
}

/// `text` without control characters, and cut at a character's end.
fn tidy(text: &str, bytes: usize) -> String {
    let mut tidied = String::with_capacity(text.len().min(bytes));
    for character in text.chars() {
        let shown = if is_disturbing(character) { char::REPLACEMENT_CHARACTER } else { character };
        if tidied.len() + shown.len_utf8() > bytes {
            break;
        }
        tidied.push(shown);
    }
    tidied
}

/// Control characters, and those that turn the direction of what follows.
fn is_disturbing(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What a node said of itself at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Who.
    pub node: NodeId,
    /// Rises with every start.
    pub incarnation: u64,
    /// Rises with every issue in an incarnation.
    pub version: u64,
    /// How often, in this incarnation, it had to say that it is alive although others thought otherwise.
    pub refutation: u32,
    /// When, by the node's own clock.
    pub at: Time,
    /// Where it is reached, by datagrams and by streams.
    pub address: SocketAddr,
    /// What the signature is verified with.
    pub key: PublicKey,
    /// The rest.
    pub own: Own,
}

impl Record {
    /// Which of two records of a node wins: the later incarnation, then the later version.
    pub fn order(&self) -> (u64, u64) {
        (self.incarnation, self.version)
    }
}

/// Why bytes are no record. Nothing was changed.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum RecordError {
    /// Too many bytes, or none for a signature.
    #[error("a record of {bytes} bytes; one has between {SIGNATURE_BYTES} and {MAX_RECORD_BYTES}")]
    Size {
        /// How many there were.
        bytes: usize,
    },
    /// Not the encoding of one, or more in a list than may be.
    #[error("the bytes are no record of this protocol's version")]
    Malformed,
}

/// A record with its signature, as it travels.
#[derive(Debug)]
pub struct Signed {
    record: Record,
    wire: Box<[u8]>,
    /// What verifying came to, so that it is paid once for each copy in memory.
    is_genuine: OnceLock<(NetworkId, bool)>,
}

impl PartialEq for Signed {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for Signed {}

impl Signed {
    /// Signs what `identity` says. What does not fit is cut: links from the last, then labels, then replicas.
    pub fn issue(identity: &Identity, network: NetworkId, mut record: Record) -> Self {
        record.own = record.own.bounded();
        let body = loop {
            let body = postcard::to_allocvec(&record).unwrap_or_default();
            if SIGNATURE_BYTES + body.len() <= MAX_RECORD_BYTES || !record.own.cut() {
                break body;
            }
        };
        let mut wire = identity.sign(&what_is_signed(network, &body)).to_vec();
        wire.extend_from_slice(&body);
        Self { record, wire: wire.into(), is_genuine: OnceLock::from((network, true)) }
    }

    /// Reads one that came from elsewhere; whether it is genuine is another question.
    pub fn parse(wire: &[u8]) -> Result<Self, RecordError> {
        if !(SIGNATURE_BYTES..=MAX_RECORD_BYTES).contains(&wire.len()) {
            return Err(RecordError::Size { bytes: wire.len() });
        }
        let (mut record, rest) =
            postcard::take_from_bytes::<Record>(&wire[SIGNATURE_BYTES..]).map_err(|_| RecordError::Malformed)?;
        let lists = [record.own.replicas.len(), record.own.labels.len()];
        if !rest.is_empty() || lists.iter().any(|length| *length > MAX_LIST) || record.own.links.len() > MAX_LINKS {
            return Err(RecordError::Malformed);
        }
        record.own = record.own.bounded();
        Ok(Self { record, wire: wire.into(), is_genuine: OnceLock::new() })
    }

    /// What it says.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// As it travels.
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Whether the key that it names has signed it for this network. Whether that is the node's key is another
    /// question.
    pub fn is_genuine(&self, network: NetworkId) -> bool {
        let (asked, genuine) = *self.is_genuine.get_or_init(|| (network, self.verify(network)));
        if asked == network { genuine } else { self.verify(network) }
    }

    fn verify(&self, network: NetworkId) -> bool {
        let (signature, body) = self.wire.split_at(SIGNATURE_BYTES);
        self.record.key.has_signed(&what_is_signed(network, body), signature)
    }
}

fn what_is_signed(network: NetworkId, body: &[u8]) -> Vec<u8> {
    [DOMAIN, &network.0, body].concat()
}

/// For fields that hold a shared record: its bytes.
pub(crate) mod as_bytes {
    use super::Signed;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};
    use std::fmt;
    use std::sync::Arc;

    pub(crate) fn serialize<S: Serializer>(record: &Arc<Signed>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(record.wire())
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Arc<Signed>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a signed record")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Signed::parse(bytes).map(Arc::new).map_err(E::custom)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Signed>, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId(*b"network1");

    fn record(own: Own) -> (Identity, Record) {
        let identity = Identity::from_seed(NodeId(7), 2, 1);
        let record = Record {
            node: identity.node,
            incarnation: 2,
            version: 5,
            refutation: 0,
            at: Time::from_secs(100),
            address: ([10, 0, 0, 7], 7946).into(),
            key: identity.public_key(),
            own,
        };
        (identity, record)
    }

    #[test]
    fn what_was_issued_is_read_and_genuine_in_its_network_alone() {
        let (identity, record) = record(Own { name: "edge".to_owned(), ..Own::default() });
        let issued = Signed::issue(&identity, NETWORK, record.clone());
        let read = Signed::parse(issued.wire()).expect("a record");
        assert_eq!(read.record(), &record);
        assert!(read.is_genuine(NETWORK));
        assert!(!read.is_genuine(NetworkId(*b"network2")));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (identity, record) = record(Own::default());
        let issued = Signed::issue(&identity, NETWORK, record);
        for place in 0..issued.wire().len() {
            let mut altered = issued.wire().to_vec();
            altered[place] ^= 1;
            assert!(!Signed::parse(&altered).is_ok_and(|read| read.is_genuine(NETWORK)), "byte {place}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_links_first() {
        let replica = |index: u64| ReplicaSeen { data_set: format!("set-{index}"), version: index, generation: 9 };
        let own = Own {
            labels: (0..40).map(|index| Label { key: format!("{index:040}"), value: "v".to_owned() }).collect(),
            replicas: (0..10).map(replica).collect(),
            links: vec![LinkSeen { peer: NodeId(1), round_trip_us: 1, loss_permille: 0, bytes_per_s: None }; 20],
            ..Own::default()
        };
        let (identity, record) = record(own);
        let issued = Signed::issue(&identity, NETWORK, record);
        let own = &issued.record().own;
        assert!(issued.wire().len() <= MAX_RECORD_BYTES, "{}", issued.wire().len());
        assert_eq!((own.links.len(), own.replicas.len()), (0, 10));
        assert!((15..32).contains(&own.labels.len()), "{}", own.labels.len());
        assert_eq!(Signed::parse(issued.wire()).expect("a record").record(), issued.record());
    }

    #[test]
    fn what_disturbs_a_terminal_is_taken_out() {
        assert_eq!(tidy("a\u{1b}[31mb\nc\u{202e}", 64), "a\u{fffd}[31mb\u{fffd}c\u{fffd}");
        assert_eq!(tidy("aäö", 3), "aä");
    }

    #[test]
    fn small_changes_wait() {
        let before = Own { cpu_permille: 100, memory_total: 1000, memory_free: 500, ..Own::default() };
        let check = |now: Own, expected: bool| assert_eq!(now.differs_enough(&before), expected, "{now:?}");
        check(Own { cpu_permille: 199, memory_free: 401, ..before.clone() }, false);
        check(Own { cpu_permille: 200, ..before.clone() }, true);
        check(Own { memory_free: 399, ..before.clone() }, true);
        check(Own { intent: Intent::Draining, ..before.clone() }, true);
    }
}
