//! When things come: requests of a load, jobs of a stream, the pauses between an application's jobs.
//!
//! ```text
//! gaps/     distributions of the time between two arrivals      plan/     the intended times, one after another
//! replay/   recorded gaps or times, from a list or a CSV        duration  `10 s` as people write it
//! profile/  rates over time: ticks, lines, curves, shapes       invalid   what is refused, why, and what to do
//! ```
//!
//! Nothing here waits, reads a clock or opens a file. A [`Plan`] says when something is meant to come, counted from a
//! start that its user chooses; the same seed says the same times.

pub mod duration;
pub mod gaps;
mod invalid;
pub mod plan;
pub mod profile;
pub mod replay;

pub use gaps::Gaps;
pub use invalid::Invalid;
pub use plan::{Arrival, Plan, Within};
pub use profile::Profile;
pub use replay::{Replay, ReplayError};

/// The most that may come in one second. Above, neighbours are less than 100 ns apart, which nothing that waits can tell.
pub const RATE_MAX: f64 = 10_000_000.0;
