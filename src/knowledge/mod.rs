//! The technologies of the shared table, and what they have in common. The trait, the table in memory and the rules that all
//! share are in the core: [`agent_core::knowledge`].

#[cfg(test)]
mod interleavings;
pub mod mysql;
pub mod sqlite;

pub use agent_core::knowledge::*;
