//! What a member counted since its start.

use serde::Serialize;

/// Datagrams and records that were of no use, by why.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Dropped {
    /// No message.
    pub malformed: u64,
    /// For another network.
    pub other_network: u64,
    /// Of another version of the protocol.
    pub other_version: u64,
    /// From somebody who may not ask this, or was not asked.
    pub stranger: u64,
    /// Records whose signature is wrong.
    pub forged: u64,
    /// Records of a known node with another key, or of an unknown one where keys must be told.
    pub other_key: u64,
    /// Records older than what is held.
    pub older: u64,
    /// Records that are held already.
    pub known: u64,
    /// Records of nodes that should be forgotten.
    pub too_old: u64,
    /// Whatever a bound had no room for.
    pub no_room: u64,
}

/// What a member counted since its start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Counters {
    /// Intervals that passed.
    pub rounds: u64,
    /// Messages sent, streams' included.
    pub sent: u64,
    /// Their bytes, without those of UDP, TCP and IP.
    pub sent_bytes: u64,
    /// Messages received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// What was of no use.
    pub dropped: Dropped,
    /// Exchanges begun.
    pub exchanges: u64,
    /// Of those, without an answer.
    pub exchanges_unanswered: u64,
    /// Of those, in which both knew the same.
    pub exchanges_same: u64,
    /// Records of nodes that had not been known.
    pub new_entries: u64,
    /// Records newer than what was held.
    pub fresh_entries: u64,
    /// Signatures verified.
    pub verified: u64,
    /// Nodes probed.
    pub probes: u64,
    /// Of those, without an answer by any way.
    pub probes_unanswered: u64,
    /// Suspicions of this member's own.
    pub suspected: u64,
    /// Suspicions of anybody that turned out wrong: the node lived on in the same incarnation.
    pub falsely_suspected: u64,
    /// Nodes that were found dead.
    pub deaths: u64,
    /// Of those, that lived on in the same incarnation.
    pub false_deaths: u64,
    /// How often this member had to say that it lives.
    pub refutations: u64,
}
