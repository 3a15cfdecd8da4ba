//! What can be written about the members of a network.

use agent_core::config::quantity;
use agent_core::domain::ids::NodeId;
use clap::{Args, ValueEnum};
use std::time::Duration;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent members
  agent members --watch
  agent members --at 10.0.0.4:7946      as the node sees them that listens there
  agent members --json
  agent members --forget 3              node 3 may come with another key

Asks a member on this machine, else any that is known: no table is needed. docs/membership.md explains what is shown.")]
pub struct Members {
    /// Ask the member that listens there, HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub at: Option<String>,
    /// How long to wait for an answer
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = quantity::positive_duration::<str>)]
    pub deadline: Duration,
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Print JSON: one document, with --watch one on each line
    #[arg(long)]
    pub json: bool,
    /// Let go of a node's key, so that it may come with another one: after its key file was lost
    #[arg(long, value_name = "NODE", conflicts_with_all = ["at", "watch"])]
    pub forget: Option<NodeId>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent query 3
  agent query 3 --quorum 5 --within 5s --deadline 2s
  agent query 3 --metric cpu
  agent query 3 --at 10.0.0.4:7946 --json

The answer is what at least QUORUM members hold, none of it older than WITHIN, signed by the node
itself. Otherwise it says what was seen, and the exit code is 1.")]
pub struct Query {
    /// The node that is asked about
    pub node: NodeId,
    /// How many members must hold it
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub quorum: u16,
    /// How old it may be
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = quantity::positive_duration::<str>)]
    pub within: Duration,
    /// How long others are asked
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = quantity::positive_duration::<str>)]
    pub deadline: Duration,
    /// Print only this
    #[arg(long, value_enum)]
    pub metric: Option<Metric>,
    /// Ask first who listens there, HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub at: Option<String>,
    /// Ask again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Print JSON: one document, with --watch one on each line
    #[arg(long)]
    pub json: bool,
}

/// What a node says of its machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Metric {
    /// Of all cores [%]
    Cpu,
    /// Free [bytes]
    Memory,
    /// Free where its objects lie [bytes]
    Disk,
    /// Over a minute
    Load,
    /// Sent and received [bytes/s]
    Network,
    Cores,
}
