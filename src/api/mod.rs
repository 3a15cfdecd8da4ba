//! The API: what the command line asks and does, over HTTP. Both are shells around the same functions of `app`.
//!
//! ```text
//! server    where it listens, TLS         access   who may            problem  what went wrong
//! routes/   one file for each resource    wire/    what is said       listing  lists, page by page
//! intake    bodies, limits, repetitions   hub      events as they come
//! metrics   for Prometheus, and health    page/    for people, in a browser
//! view      the network as it is          past     as it was           timeline  how jobs went over time
//! ```

pub mod access;
mod extract;
mod hub;
mod intake;
mod listing;
mod metrics;
mod page;
mod past;
pub mod problem;
mod routes;
pub mod server;
mod timeline;
pub mod tls;
mod view;
mod wire;

use crate::app::pace::Pace;
use crate::app::status::JobCounter;
use crate::app::surroundings::Surroundings;
use access::Doors;
use agent_core::clock::TimeScale;
use agent_core::domain::ids::AgentId;
use axum::extract::State;
use hub::Hub;
use intake::Intake;
use metrics::Meter;
use std::path::PathBuf;
use std::sync::Arc;
use timeline::Timeline;
use tokio::sync::{Mutex, Semaphore, watch};

/// What a server of the API is about, and what it remembers.
pub struct Api {
    surroundings: Surroundings,
    scale: TimeScale,
    /// Those that this process runs.
    agents: Vec<AgentId>,
    /// The folder of the configuration; `None`: the built-in one.
    configuration: Option<PathBuf>,
    /// How fast it goes on, where it is one that is watched.
    simulation: Option<Arc<Pace>>,
    doors: Doors,
    intake: Intake,
    hub: Arc<Hub>,
    jobs: Mutex<JobCounter>,
    timeline: Mutex<Timeline>,
    meter: Meter,
    /// Held by who looks at something and then changes it: of two writers here, one sees what the other did.
    writing: Mutex<()>,
    /// Plans are simulated one at a time: each takes a core.
    planning: Semaphore,
    /// Loads are checked one at a time, too.
    checking: Arc<Semaphore>,
    /// `true`: the server is told to stop.
    stopping: watch::Receiver<bool>,
}

type Shared = State<Arc<Api>>;
