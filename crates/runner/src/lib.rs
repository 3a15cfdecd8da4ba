//! Starts one task, a program or a container, within limits; tells how it ended, and leaves nothing behind.
//!
//! Read first: [`Launch`] (what is started), [`Runner`] and [`Running`] (what can be done), [`Limits`] (what holds of what was
//! asked for), [`Ended`]. [`process`] runs programs under a [`keeper`], [`docker`] containers.

#[doc(hidden)]
pub mod contract;
pub mod docker;
mod ended;
mod error;
pub mod keeper;
mod launch;
mod limits;
pub mod marked;
mod output;
pub mod process;
mod process_table;
mod runner;

pub use ended::Ended;
pub use error::RunnerError;
pub use launch::{Launch, Port, Protocol, Volume};
pub use limits::{Limit, Limits, Mechanism, Usage, cores_text};
pub use output::OUTPUT_MAX_BYTES;
pub use runner::{Abilities, Runner, RunnerKind, Running};
pub use rustix::process::Signal;
