//! Nodes and the links between them.

use crate::app::status::NodeStatus;
use agent_core::domain::placement;
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
    pub availability_percent: f64,
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
    pub latency_ms: f64,
    pub jitter_ms: f64,
}

impl From<&placement::Link> for Link {
    fn from(link: &placement::Link) -> Self {
        let placement::Link { from, to, latency_ms, jitter_ms } = *link;
        Self { from: from.0, to: to.0, latency_ms, jitter_ms }
    }
}
