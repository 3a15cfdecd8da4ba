//! What a member is told once, and what may be tuned while it runs.

use crate::identity::NetworkId;
use crate::shared_records::SharedRecords;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Most peers that are asked in an interval.
pub const MAX_FAN_OUT: u32 = 16;

/// How a member behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Datagrams and records of others are dropped.
    pub network: NetworkId,
    /// Where others reach this member: it stands in its record.
    pub address: SocketAddr,
    /// Between two rounds of exchanges. Everything else is measured in it.
    pub interval: Duration,
    /// Peers asked in each interval: 1 to [`MAX_FAN_OUT`].
    pub fan_out: u32,
    /// Whether the fan-out follows the age of what is known.
    pub adapt: Option<Adapt>,
    /// The own record is issued again after this many intervals at the latest.
    pub reissue_intervals: u32,
    /// Bytes of records, in each direction, that one exchange moves by datagrams; the rest waits for the next.
    pub exchange_bytes: usize,
    /// A dead or parted node's record is kept for this long after it was issued.
    pub forget_after: Duration,
    /// Members that are known at once: the network's largest size.
    pub max_members: usize,
    /// Clocks that are apart by more are told.
    pub clock_tolerance: Duration,
    /// Availability is the share of this window; none: it is not counted.
    pub availability_window: Option<Duration>,
    /// Whether a member that hears little believes itself less (Lifeguard).
    pub local_health: bool,
    /// Whether a node may join whose key nobody told ([`crate::Input::Keys`]).
    pub admit_unknown_keys: bool,
    /// Members of one process may share it, so that each record is kept and verified once.
    pub shared_records: Option<Arc<SharedRecords>>,
}

/// The fan-out rises while the 95th percentile of ages is above the target, and falls while it is below half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adapt {
    /// Of the 95th percentile, over nodes, of the age of what is known.
    pub target_age: Duration,
    /// Not below.
    pub least: u32,
    /// Not above.
    pub most: u32,
}

impl Settings {
    /// The defaults: an interval of 1 s, fan-out 3, 128 KiB for an exchange, 20,000 members.
    pub fn new(network: NetworkId, address: SocketAddr) -> Self {
        Self {
            network,
            address,
            interval: Duration::from_secs(1),
            fan_out: 3,
            adapt: None,
            reissue_intervals: 10,
            exchange_bytes: 128 << 10,
            forget_after: Duration::from_secs(3600),
            max_members: 20_000,
            clock_tolerance: Duration::from_secs(300),
            availability_window: Some(Duration::from_secs(24 * 3600)),
            local_health: true,
            admit_unknown_keys: true,
            shared_records: None,
        }
    }
}
