//! What can be written about load.

use clap::{Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
#[command(after_help = "\
Examples:
  agent load check evening.toml          what it would send, and when
  agent load run evening.toml
  agent load run evening.toml --output evening.db && agent report evening.db

`agent shell` steers load by hand while it runs.

docs/load.md shows a load's file. Load goes to this machine alone, unless --allow names a host.")]
pub enum Load {
    /// Send what a file says, and say what the requests took, counted from when they were meant to start
    Run(Run),
    /// Say what a file would send
    Check(Check),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load run evening.toml
  agent load run evening.toml --allow shop.example.org   another machine, that is yours and bears it
  agent load run evening.toml --strict                   fails when the load was less than intended
  agent load run evening.toml --output evening.db        keeps every request; `agent report evening.db` draws them
  agent load run evening.toml --output evening.db --parquet evening/

Ctrl-C ends it before its time, with the figures up to then. A thread spends its core on waiting for the next moment when requests
are close together; on a machine that also serves them, leave it a core.")]
pub struct Run {
    /// What is sent where and when: TOML
    pub file: PathBuf,
    /// A host other than this machine that may be sent to (more than once)
    #[arg(long, value_name = "HOST")]
    pub allow: Vec<String>,
    /// Clients are dealt out to so many threads
    #[arg(long, default_value = "1")]
    pub threads: NonZeroUsize,
    /// Exit code 1 when requests were late or dropped
    #[arg(long)]
    pub strict: bool,
    /// Adds the run and every request of it to this file, an SQLite database
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Writes the tables of that file into this folder, as Parquet
    #[arg(long, value_name = "FOLDER", requires = "output")]
    pub parquet: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  agent load check evening.toml")]
pub struct Check {
    /// What would be sent where and when: TOML
    pub file: PathBuf,
    /// A host other than this machine that may be sent to (more than once)
    #[arg(long, value_name = "HOST")]
    pub allow: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
