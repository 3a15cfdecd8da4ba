//! The simulator: any network of agents in virtual time, the same to the byte for the same seed, with the machines of `mape`
//! that the real agents run.
//!
//! Reading order: `events` (what happens next), `world` (what that changes), `driver` (one agent's machines), `perform` (their
//! effects), `physics`, `faults`, `stores`, `checkers`. No actor, no runtime, no clock but the virtual one.

mod agent;
mod checkers;
pub mod driver;
mod events;
mod faults;
mod generate;
mod perform;
mod physics;
mod setup;
mod stores;
mod streams;
mod table;
mod trace;
mod world;

pub use agent::Tally;
pub use checkers::Violated;
pub use generate::expand;
pub use setup::{Options, Outcome, SimulationError, run};
pub use trace::{Trace, Traced, find};
pub use world::{Tell, Told};
