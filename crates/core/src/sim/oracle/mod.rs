//! The oracle: the best placement, from all that the simulator knows and no agent can.
//!
//! Reading order: `truth` (what a job really comes to, on `normal`), `windows` (what the requests to a service do), `problem` (that for all agents and nodes), `route` (the
//! cheapest way to a set of nodes), `search` (the best set: `local`, then `exact`), `work` (where jobs run, besides), `elsewhere` (jobs over several data sets), `standing` (how good a placement is). All of
//! it is pure. `../clairvoyant.rs` applies it.

mod elsewhere;
mod exact;
mod local;
mod normal;
mod problem;
mod route;
mod search;
mod standing;
mod truth;
mod windows;
mod work;

#[cfg(test)]
mod brute;

pub use elsewhere::{Solved, solve};
pub use problem::Problem;
pub use search::{Best, Found, Step};
pub use standing::Standing;
