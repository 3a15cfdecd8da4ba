//! Many runs of the simulator, what each came to, pages about them, and physics fitted to real runs.

#![forbid(unsafe_code)]

// True to reality: physics fitted to real runs, and real runs compared with simulated ones.
pub mod calibration;
// Many runs of the simulator, and what each came to.
pub mod experiments;
// Pages about what was measured: from data to HTML and CSV.
pub mod report;
// An experiment's file: its tables, written and read.
pub mod results;
