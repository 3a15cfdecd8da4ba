//! `agent`: self-adaptive placement of data in a cloud-to-edge network, one process for each node and no controller.
//!
//! What is decided, known and simulated is in [`agent_core`], experiments and reports in [`agent_laboratory`], links with
//! latency in [`agent_emulator`]. Here is what touches the world. The modules in reading order; `ARCHITECTURE.md` has the map
//! and the invariants (I-1 ...) that comments cite.

// actix shells around the machines of the core.
pub mod actors;
// What the command line asks and does, over HTTP; the page; metrics.
pub mod api;
// Wiring: settings to technologies to actors, and what each command does.
pub mod app;
// The commands' arguments and their printing.
pub mod cli;
// Data sets to try things with.
pub mod data;
// The user's data-consuming job.
pub mod jobs;
// The shared table's technologies.
pub mod knowledge;
// The way from an agent to a node: latency injected and measured.
pub mod links;
// The node of an agent as a member of its network.
pub mod membership;
// The S3 endpoint for applications.
pub mod s3_endpoint;
// Serving HTTP within bounds.
pub mod http_server;
// Files that only this user may read.
pub mod private_file;
// Decisions from outside: the uniform interface of self-adaptive exemplars.
pub mod upisas;
// The nodes' object stores, and moving bytes between them.
pub mod storage;
// The node of an agent as a worker, which runs tasks of batch jobs.
pub mod worker;
