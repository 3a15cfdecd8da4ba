//! What agents decide and what they know together, and the simulator that runs them in virtual time. No runtime, no database,
//! no network: whoever embeds it performs the effects.

#![forbid(unsafe_code)]
// A new variant of one of our enums has to be thought of wherever there is a choice; tests pick what they look at.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

// Scenario time, and the only place that knows its scale.
pub mod clock;
// From files as written to settings as meant.
pub mod config;
// Nouns: ids, units, metrics, goals, placement, actions, impacts, events. Pure and total.
pub mod domain;
// The shared table: what all agents know together, its rules, and the table in memory.
pub mod knowledge;
// Verbs: monitor, planner with its policies, executor, learner. Sans-IO state machines that return effects.
pub mod mape;
// The discrete-event simulator: the machines of `mape` in virtual time.
pub mod sim;
