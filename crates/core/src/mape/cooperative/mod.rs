//! What agents that ask each other before they act have to compute: how content one would be at a node ([`level()`]), what a set of
//! replicas is worth to all ([`Valuation`]), which set is worth most ([`plan()`]), and how much others' words count ([`Trust`]).
//! The protocol puts them together: who asks when, who answers what, and who does what of a plan.
//!
//! Reading order: `level` (how content one would be), `course` (in an environment that moves), `prospects` (anywhere) ([`Planned`]: the placement to come), `valuation` and
//! `search` (what is best for all), `peers` and `trust` (whose word counts how much), `patience` (when not to ask), `protocol`,
//! `arms` (which of its ways were taken, to be counted).

mod arms;
mod course;
mod crowd;
mod jobs;
mod level;
mod patience;
mod peers;
mod prices;
mod prospects;
pub mod protocol;
mod said;
mod search;
mod trust;
mod valuation;

pub use crate::domain::planned::Planned;
pub use arms::Arms;
pub use level::{Outcomes, chance, level};
pub use search::{Accepted, plan};
pub use trust::{Budget, Cause, Trust};
pub use valuation::{Answer, Plan, Reader, ReplicaSet, Valuation};

/// What a cost of 1, in units that cancel out (`prices`), takes away from the sum of everybody's levels: a copy (1.8) must raise
/// the satisfied share of jobs by nearly two points in all.
pub const PER_COST: f64 = 0.01;
/// What a further replica takes away: more than evicting it costs, less than two changes of reference.
pub const PER_REPLICA: f64 = 0.012;
/// By how much every accepted plan must raise the sum.
pub const MARGIN: f64 = 0.005;
/// A loss weighs so much more than a gain: an even trade is refused.
pub const LOSS_FACTOR: f64 = 1.1;
/// What returning to a set of replicas, or to a place to read, costs, times the square of how often it was left within the last
/// hour.
pub const PER_RETURN: f64 = 0.25;
/// The same where the environment has moved since: then there is reason to return, but a further replica would have saved it.
pub const PER_EXCUSED_RETURN: f64 = 0.02;
