//! True to reality: what real runs say of a scenario's physics, and whether simulated runs go as real ones.
//!
//! Reading order: `record` (a run, as its tables tell it), `sample`, `fit` (a time by latency), `physics` (all of them, with what
//! is doubtful), `course` (what a run took until it had converged), `rank_sum` (the test), `comparison`.

mod comparison;
mod course;
mod fit;
mod physics;
mod rank_sum;
mod record;
mod sample;

pub use comparison::{ALPHA, Compared, Comparison, LEAST_RUNS, Measure, Side};
pub use course::{Course, course};
pub use fit::{Bias, Fit};
pub use physics::{Calibration, LinkFit, calibrate};
pub use rank_sum::{RankSum, rank_sum};
pub use record::Record;
pub use sample::Sample;
