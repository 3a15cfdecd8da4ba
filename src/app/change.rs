//! Changing the environment while it runs: what is written here acts from the next job on.

use crate::knowledge::Knowledge;
use agent_core::domain::ids::NodeId;
use agent_core::domain::units::Percent;
use serde::Serialize;

/// What was changed, for printing.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Availability { node: NodeId, percent: f64 },
    Latency { from: NodeId, to: NodeId, latency_ms: f64, both_directions: bool },
}

pub async fn availability(
    knowledge: &dyn Knowledge,
    node: NodeId,
    availability: Percent,
) -> crate::knowledge::Result<Changed> {
    knowledge.set_availability(node, availability).await?;
    Ok(Changed::Availability { node, percent: availability.value() })
}

pub async fn latency(
    knowledge: &dyn Knowledge,
    (from, to): (NodeId, NodeId),
    latency_ms: f64,
    both_directions: bool,
) -> crate::knowledge::Result<Changed> {
    knowledge.set_latency(from, to, latency_ms).await?;
    if both_directions {
        knowledge.set_latency(to, from, latency_ms).await?;
    }
    Ok(Changed::Latency { from, to, latency_ms, both_directions })
}
