//! The way from an agent to a node's store: latency injected by an emulator (`toxiproxy` is the client of its HTTP API,
//! `agent_emulator` a server of it), latency measured by `probe`.

// The latency of a link as measured on it.
pub mod probe;
// A client of toxiproxy's HTTP API.
pub mod toxiproxy;

use agent_core::domain::ids::{AgentId, NodeId};
use async_trait::async_trait;
use std::time::Duration;

/// Why a link is not as it should be; names the emulator's address and the link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Away, or it does not answer in time: the same call may succeed later.
    #[error("{address}: {operation}: {reason}; is the emulator running?")]
    Unavailable { address: String, operation: String, reason: String },
    /// It answered with an error.
    #[error("{address}: {operation}: {status}: {reason}")]
    Refused { address: String, operation: String, status: u16, reason: String },
    /// Somebody has switched the link off: agents never do, so it is meant, and stays until it is switched on again.
    #[error("{address}: {link} is switched off; enable it there to join the two again")]
    SwitchedOff { address: String, link: String },
}

pub type Result<T> = std::result::Result<T, LinkError>;

/// The links of one agent, as an emulator offers them. Latencies here are real time on the wire: whoever calls converts with
/// [`agent_core::clock::Clock::apply`] and [`agent_core::clock::Clock::record`].
#[async_trait]
pub trait Links: Send + Sync {
    /// Makes sure that the link (named `agent<N>-node<M>`) exists and leads to `upstream`, a `host:port` as the *emulator* sees
    /// it: it resolves the name, at each connection. Returns the link's own `host:port`, as the *agent* sees it. Idempotent;
    /// repairs what a restarted emulator forgot.
    async fn open(&self, agent: AgentId, node: NodeId, upstream: &str) -> Result<String>;

    /// Sets the link's latency in the direction of the answers. Changes nothing else about the link.
    async fn set_latency(&self, agent: AgentId, node: NodeId, latency: Duration) -> Result<()>;

    /// The latency that the emulator states; zero when none is injected.
    async fn latency(&self, agent: AgentId, node: NodeId) -> Result<Duration>;

    /// Whether there is such a link, on or off; an error when the emulator does not answer as one.
    async fn has(&self, agent: AgentId, node: NodeId) -> Result<bool>;

    /// Removes this agent's link.
    async fn close(&self, agent: AgentId, node: NodeId) -> Result<()>;
}
