//! The loop's decisions: monitor, plan, execute, learn. Each file is a state machine without I/O:
//! `handle(input) -> effects`. Actors perform the effects on the real world, a simulator on a virtual one.

pub mod backoff;
pub mod chance;
pub mod cooperative;
pub mod executor;
pub mod learner;
pub mod leftovers;
pub mod monitor;
pub mod notice;
pub mod planner;
pub mod prediction;

#[cfg(any(test, feature = "testing"))]
pub mod scene;
