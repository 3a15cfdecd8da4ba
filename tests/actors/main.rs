//! Agents without a command line: their actors, on stores and tables that a test holds in its hands.

mod link_probes;
mod links_outage;
#[path = "../network/mod.rs"]
mod network;
mod replay;
mod saga_fault_points;
mod storage_survives_kill;
