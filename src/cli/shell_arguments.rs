//! What can be written about a shell for load.

use clap::Args;
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent shell                                  asks for verbs; `help` lists them
  agent shell --source evening.load            does what a file says, then ends
  echo 'help rps' | agent shell
  agent shell --allow shop.example.org         another machine, that is yours and bears it
  agent shell --output evening.db              keeps every request; `agent report evening.db` draws them
  agent shell --table                          `rtbl` and `exp` are about the network's table

A first load:
  rtbl set shop 127.0.0.1:8080 1               where requests of the service `shop` go
  spawn here shop 2                            two clients, which send `GET /`
  rps here shop 100                            100 requests/s together; `clients` shows what they take
  exit                                         ends it, with the figures

Verbs that are not typed at a terminal are a script: all of it is read before anything is done, and its first error ends it.

Exit code 0: done; 1: a verb of a script was refused, or is none; 130: stopped before (Ctrl-C).")]
pub struct Shell {
    /// Does the verbs of this file, one in each line, and ends
    #[arg(long, value_name = "FILE")]
    pub source: Option<PathBuf>,
    /// A host other than this machine that may be sent to (more than once)
    #[arg(long, value_name = "HOST")]
    pub allow: Vec<String>,
    /// Routing records and experiments are those of the network's table, which others share
    #[arg(long)]
    pub table: bool,
    /// Clients are dealt out to so many threads
    #[arg(long, default_value = "1")]
    pub threads: NonZeroUsize,
    /// Adds the session and every request that is sent from here to this file, an SQLite database, with the verbs that were done and
    /// what this machine did meanwhile
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print JSON: each answer in a line of its own
    #[arg(long)]
    pub json: bool,
}
