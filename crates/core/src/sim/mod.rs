//! The simulator: any network of agents in virtual time, the same to the byte for the same seed, with the machines of `mape`
//! that the real agents run.
//!
//! Reading order: `simulation` (what can be done with one), `events` (what happens next), `world` (what that changes), `perform` (the
//! effects of an agent's control loop), `physics`, `faults`, `stores`, `shelf` (a data set), `writes` (its owner), `checkers`, `edit` (what people change), `state` (a network
//! that is there already); then `oracle` (the best placement) and `clairvoyant` (policies that
//! apply it). No actor, no runtime, no clock but the virtual one.

mod agent;
mod checkers;
mod clairvoyant;
mod edit;
mod events;
pub mod explore;
mod faults;
mod figures;
mod generate;
mod healing;
mod oracle;
mod perform;
mod physics;
mod requests;
mod setup;
mod shelf;
mod simulation;
mod state;
mod stores;
mod streams;
mod table;
mod trace;
mod world;
mod writes;

pub use crate::mape::control_loop::{Planning, Stopwatch};
pub use agent::{Tally, parameters, rhythm};
pub use checkers::Violated;
pub use clairvoyant::ORACLES;
pub use edit::{Edit, EditError};
pub use faults::Broken;
pub use figures::Figures;
pub use generate::expand;
pub use oracle::{Found, Standing};
pub use setup::{ALL_POLICIES, Options, Outcome, SimulationError, run, run_timed};
pub use simulation::{Simulation, Start, Until};
pub use state::{DataSetState, NetworkState};
pub use trace::{Trace, Traced, find};
pub use world::{Listener, States, Tell, Told};
