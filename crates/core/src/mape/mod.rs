//! The loop's decisions: monitor, plan, execute, learn. Each file is a state machine without I/O:
//! `handle(input) -> effects`; [`control_loop`] joins them. Actors perform the effects on the real world, a simulator on a
//! virtual one.

pub mod backoff;
pub mod chance;
mod combination;
pub mod control_loop;
pub mod cooperative;
pub mod executor;
pub mod findings;
pub mod learner;
pub mod leftovers;
pub mod monitor;
pub mod notice;
pub mod planner;
pub mod prediction;
pub mod unexpected;

#[doc(hidden)]
pub mod scene;
