//! What one load host is asked to do, and what it did: alike for the host of this process and for those that are asked by the table.

use super::answer::{ClientAnswer, Info};
use super::experiment::Mark;
use agent_arrivals::Within;
use serde::{Deserialize, Serialize};

/// What a verb is to one host that it is for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    Spawn {
        service: String,
        clients: u32,
        within_ticks: Within,
    },
    /// In requests/s, of all clients of the service together; 0 pauses them.
    Rate {
        service: String,
        rate: f64,
    },
    Request {
        service: String,
        requests: u32,
    },
    Close {
        service: String,
    },
    /// Whether requests are kept one by one, from now on.
    Traces {
        are_kept: bool,
    },
    Mark(Mark),
    Clients,
    Info,
    Ping,
}

/// What a host did.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// So many clients the service has there now.
    Spawned {
        of: usize,
    },
    /// Of so many clients.
    Rated {
        clients: usize,
    },
    Requested,
    Closed {
        clients: usize,
    },
    Traced,
    Marked {
        /// Which goes on, or ended with it.
        experiment: String,
    },
    Clients(Vec<ClientAnswer>),
    Info(Info),
    Pong {
        after_ms: f64,
    },
}

impl Did {
    /// That the service has, had, or that are closed.
    pub(super) fn clients(&self) -> usize {
        match self {
            Self::Spawned { of: clients } | Self::Rated { clients } | Self::Closed { clients } => *clients,
            Self::Requested
            | Self::Traced
            | Self::Marked { .. }
            | Self::Clients(_)
            | Self::Info(_)
            | Self::Pong { .. } => 0,
        }
    }

    /// The experiment of a mark.
    pub(super) fn experiment(&self) -> Option<&str> {
        let Self::Marked { experiment } = self else { return None };
        Some(experiment)
    }

    pub(super) fn listed(self) -> Vec<ClientAnswer> {
        let Self::Clients(clients) = self else { return Vec::new() };
        clients
    }

    pub(super) fn info(self) -> Option<Info> {
        let Self::Info(info) = self else { return None };
        Some(info)
    }

    /// After so many milliseconds.
    pub(super) fn pong(self) -> Option<f64> {
        let Self::Pong { after_ms } = self else { return None };
        Some(after_ms)
    }
}
