//! `agent`: self-adaptive placement of data in a cloud-to-edge network, one process for each node and no controller.
//!
//! The modules in reading order; `ARCHITECTURE.md` has the map and the invariants (I-1 ...) that comments cite.

// actix shells around `mape`.
pub mod actors;
// Wiring: settings to technologies to actors, and what each command does.
pub mod app;
// True to reality: physics fitted to real runs, and real runs compared with simulated ones.
pub mod calibration;
// The commands' arguments and their printing.
pub mod cli;
// Scenario time, and the only place that knows its scale.
pub mod clock;
// From files as written to settings as meant.
pub mod config;
// Data sets to try things with.
pub mod data;
// Nouns: ids, units, metrics, goals, placement, actions, impacts, events. Pure and total.
pub mod domain;
// Many runs of the simulator, and what each came to.
pub mod experiments;
// The user's data-consuming job.
pub mod jobs;
// The shared table: what all agents know together.
pub mod knowledge;
// The way from an agent to a node: latency injected and measured.
pub mod links;
// Verbs: monitor, planner with its policies, executor, learner. Sans-IO state machines that return effects.
pub mod mape;
// Pages about what was measured: from data to HTML and CSV.
pub mod report;
// An experiment's file: its tables, written and read.
pub mod results;
// The discrete-event simulator: the machines of `mape` in virtual time.
pub mod sim;
// The nodes' object stores, and moving bytes between them.
pub mod storage;
