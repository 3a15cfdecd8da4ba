//! The explorer: random worlds of everything that a scenario can say, run with the checkers after every event and judged when
//! their troubles are over; what fails is made as small as it fails still.
//!
//! Reading order: `world` (a world from a seed and a number), `judge` (what it came to), `coverage` (what was seen on the way),
//! `shrink` (the smallest world that fails alike). All of it is pure: threads, clocks and files are the caller's.

mod coverage;
mod judge;
mod shrink;
mod world;

pub use coverage::Coverage;
pub use judge::{Failure, judge};
pub use shrink::shrink;
pub use world::{RandomWorld, make};
