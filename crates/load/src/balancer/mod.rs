//! Routing: which host of a service the next request goes to.
//!
//! A [`Record`] says what hosts a service has and how much each of them takes. A [`Balancer`] follows one record, in one of
//! four ways ([`BalancerKind`]), and may be given a newer one at any time. Nothing here waits, listens or looks at a clock:
//! it is told what happens and answers.

mod address;
mod follow;
mod kind;
mod least_outstanding;
mod nearest_below;
pub mod offloading;
mod record;
mod seat;
mod shared;
mod weighted_random;
mod weighted_round_robin;

pub use address::Address;
pub use follow::Balancer;
pub use kind::{BalancerKind, UnknownBalancer};
pub use nearest_below::CPU_THRESHOLD;
pub use record::{HOSTS_MAX, Host, Record, Unroutable, WEIGHT_MAX};
pub use seat::Condition;
pub use shared::SharedBalancer;
