//! Nodes and the links between them.

use crate::app::status::NodeStatus;
use agent_core::domain::environment::MeasuredLink;
use agent_core::domain::placement;
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::units::Percent;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct Node {
    pub id: u32,
    pub name: String,
    /// `declared`, `running`, `stopped` or `leaving`.
    pub state: String,
    /// When its agent missed its heartbeats.
    #[schema(format = DateTime)]
    pub silent_since: Option<String>,
    /// What is in force.
    pub availability_percent: f64,
    /// `declared`, `measured` or `assumed`.
    pub availability_basis: String,
    /// The share of time in which its peers saw it alive; absent: nobody has looked yet.
    pub measured_availability_percent: Option<f64>,
    /// Where it listens for its peers.
    pub gossip_address: Option<String>,
    pub stored_bytes: u64,
    /// Absent: no limit.
    pub capacity_bytes: Option<u64>,
    pub labels: BTreeMap<String, String>,
    /// Where its store listens; absent before its agent was started.
    pub store_url: Option<String>,
    /// Whether the store deletes; absent: not known yet.
    pub store_deletes: Option<bool>,
    pub store_remarks: Option<String>,
}

impl Node {
    pub fn new(status: &NodeStatus) -> Self {
        let silent_since = status.silent_since.map(|at| at.to_string());
        Self { silent_since, ..Self::of(&status.node, status.stored_bytes) }
    }

    /// Of a network without any data set.
    pub fn of(node: &placement::Node, stored_bytes: u64) -> Self {
        Self {
            id: node.id.0,
            name: node.name.clone(),
            state: node.state.name().to_owned(),
            silent_since: None,
            availability_percent: node.availability.value(),
            availability_basis: node.availability.basis().name().to_owned(),
            measured_availability_percent: node.availability.measured.map(Percent::value),
            gossip_address: node.contact.address.clone(),
            stored_bytes,
            capacity_bytes: node.capacity_bytes,
            labels: node.labels.clone(),
            store_url: node.store_url.clone(),
            store_deletes: node.store.deletes,
            store_remarks: node.store.remarks.clone(),
        }
    }
}

/// One direction.
#[derive(Serialize, ToSchema)]
pub struct Link {
    pub from: u32,
    pub to: u32,
    /// What is in force.
    pub latency_ms: f64,
    pub jitter_ms: f64,
    /// Whether people declare it; else it is what was measured.
    pub declared: bool,
    /// What the node at its beginning measured; absent: nothing.
    pub measured: Option<Seen>,
}

/// What was measured of a link.
#[derive(Serialize, ToSchema)]
pub struct Seen {
    pub latency_ms: f64,
    pub loss_percent: f64,
    /// Of transfers; absent: there was none.
    pub bytes_per_s: Option<f64>,
}

impl Link {
    pub fn declared(link: &placement::Link, measured: Option<&MeasuredLink>) -> Self {
        let placement::Link { from, to, latency_ms, jitter_ms } = *link;
        Self { from: from.0, to: to.0, latency_ms, jitter_ms, declared: true, measured: measured.map(Seen::from) }
    }

    pub fn measured(link: &MeasuredLink) -> Self {
        Self { declared: false, ..Self::declared(&link.into(), Some(link)) }
    }

    /// All that are known of a network, by their ends.
    pub fn of(snapshot: &Snapshot) -> impl Iterator<Item = Self> + '_ {
        let declared =
            snapshot.links.iter().map(|link| Self::declared(link, snapshot.measured.get(link.from, link.to)));
        let beside = snapshot.measured.iter().filter(|link| snapshot.links.get(link.from, link.to).is_none());
        declared.chain(beside.map(Self::measured))
    }
}

impl From<&MeasuredLink> for Seen {
    fn from(link: &MeasuredLink) -> Self {
        let MeasuredLink { latency_ms, loss_percent, bytes_per_s, .. } = *link;
        Self { latency_ms, loss_percent, bytes_per_s }
    }
}
