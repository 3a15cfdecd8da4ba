//! What can be written about load.

use agent_load::balancer::BalancerKind;
use agent_load::register::experiment::{ExperimentId, State};
use agent_load::steering::{Pattern, Selection, label};
use clap::{ArgGroup, Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
#[command(after_help = "\
Examples:
  agent load check evening.toml          what it would send, and when
  agent load run evening.toml
  agent load run evening.toml --output evening.db && agent report evening.db
  agent load queue evening.toml          it waits in the network's table until a daemon runs it
  agent load daemon                      runs what waits
  agent load host pico1 --label zone=A   makes load for whoever asks; `agent load hosts` lists such hosts
  agent load run evening.toml --hosts 'pico.*'
                                         they send it, each its share
  agent load route set shop 127.0.0.1:8080 1
                                         where services go whose file says `hosts = \"table\"`

`agent shell` steers load by hand while it runs.

docs/load.md shows a load's file. Load goes to this machine alone, unless --allow names a host.")]
pub enum Load {
    /// Send what a file says, and say what the requests took, counted from when they were meant to start
    Run(Run),
    /// Say what a file would send
    Check(Check),
    /// Let the load of a file wait in the network's table until a daemon runs it: it is an experiment
    Queue(Queue),
    /// List experiments, the latest first
    List(List),
    /// Show an experiment, and what it came to
    #[command(after_help = "Example:\n  agent load show 7")]
    Show(OfExperiment),
    /// Call experiments off: what waits never runs, what runs is stopped within a second
    Cancel(Cancel),
    /// Run the experiments that wait, one after another, the oldest first, until Ctrl-C
    Daemon(Daemon),
    /// Make load for whoever asks by the network's table, until Ctrl-C
    Host(Host),
    /// List the load hosts that are there
    Hosts(Hosts),
    /// Say where the requests of services go whose file says `hosts = "table"`, while load runs too
    #[command(subcommand)]
    Route(Route),
    /// Write what a file of --output keeps as Parquet, or into a MySQL or MariaDB schema
    Export(Export),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load export evening.db --parquet evening/
  agent load export evening.db --mysql mysql://lab@db.example.org/results

The schema has to be there; its tables begin with `load_` and are made. A run that is there already is replaced. The password stands in
AGENT_DATABASE_PASSWORD.")]
#[command(group(ArgGroup::new("where").required(true).multiple(true).args(["parquet", "mysql"])))]
pub struct Export {
    /// That requests were kept in
    pub file: PathBuf,
    /// Writes its tables into this folder
    #[arg(long, value_name = "FOLDER")]
    pub parquet: Option<PathBuf>,
    /// Copies its tables into this schema: mysql://USER@HOST:PORT/SCHEMA
    // Read later: an error must not repeat what may hold a password.
    #[arg(long, value_name = "URL")]
    pub mysql: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
#[command(after_help = "\
Examples:
  agent load route set shop 127.0.0.1:8080,127.0.0.1:8081 1,4
  agent load route append shop 127.0.0.1:8082 5
  agent load route remove shop 127.0.0.1:8080
  agent load route list

Load that runs acts on a change within a second, and no request fails by it. `agent shell --table` has the same verbs, as `rtbl`.")]
pub enum Route {
    /// Route a service to these hosts alone
    #[command(after_help = "\
Examples:
  agent load route set shop 127.0.0.1:8080 1
  agent load route set shop 127.0.0.1:8080,127.0.0.1:8081 1,4 --balancer least-outstanding
  agent load route set shop 127.0.0.1:8081 1 --revision 7     only if nobody has changed it since revision 7")]
    Set(Rerouted),
    /// Route a service to these hosts too
    #[command(after_help = "Example:\n  agent load route append shop 127.0.0.1:8082 5")]
    Append(Rerouted),
    /// Route a service to these hosts no more
    #[command(after_help = "Example:\n  agent load route remove shop 127.0.0.1:8080,127.0.0.1:8081")]
    Remove(Removed),
    /// Route a service nowhere: its requests are counted as errors until it is set again
    #[command(after_help = "Example:\n  agent load route unset shop")]
    Unset(Unset),
    /// List the services that are routed
    #[command(after_help = "Example:\n  agent load route list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say where a service is routed, and who said so
    #[command(after_help = "Example:\n  agent load route info shop")]
    Info {
        service: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Route no service any more
    #[command(after_help = "Example:\n  agent load route flush")]
    Flush {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub struct Rerouted {
    pub service: String,
    /// `HOST:PORT`, several with commas between them
    pub hosts: String,
    /// How much each takes beside the others, with commas between them
    pub weights: String,
    /// How the next host is chosen [default: as before; of a new service `weighted-round-robin`]
    #[arg(long, value_name = "KIND")]
    pub balancer: Option<BalancerKind>,
    #[command(flatten)]
    pub of: OfRevision,
}

#[derive(Args, Debug)]
pub struct Removed {
    pub service: String,
    /// `HOST:PORT`, several with commas between them
    pub hosts: String,
    #[command(flatten)]
    pub of: OfRevision,
}

#[derive(Args, Debug)]
pub struct Unset {
    pub service: String,
    #[command(flatten)]
    pub of: OfRevision,
}

#[derive(Args, Debug)]
pub struct OfRevision {
    /// Only if the record is of this revision; 0: only if the service never had one
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load queue evening.toml
  agent load queue evening.toml --key nightly-2026-11-29   queued twice, it is one experiment
  agent load queue evening.toml --hosts 'pico.*'           the load hosts send it that are there then

The file and the recordings that it names are kept in the table. It is checked as `agent load run` checks it; whether it may be sent where
it says, the daemon that runs it decides once more.")]
pub struct Queue {
    /// What is sent where and when: TOML
    pub file: PathBuf,
    /// A host other than this machine that it may say (more than once)
    #[arg(long, value_name = "HOST")]
    pub allow: Vec<String>,
    /// Queued again with the same key, it is the same experiment
    #[arg(long)]
    pub key: Option<String>,
    #[command(flatten)]
    pub on: OnHosts,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The load hosts that send it.
#[derive(Args, Debug)]
pub struct OnHosts {
    /// The load hosts send it whose whole name matches this regular expression, each its share
    #[arg(long, value_name = "PATTERN")]
    pub hosts: Option<Pattern>,
    /// Only hosts with this label (more than once)
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, requires = "hosts")]
    pub label: Vec<(String, String)>,
}

impl OnHosts {
    /// `None`: whoever runs it sends it.
    pub fn selection(&self) -> Option<Selection> {
        let pattern = self.hosts.clone()?;
        Some(Selection { pattern, labels: self.label.iter().cloned().collect() })
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load host pico1
  agent load host pico1 --label zone=A --label tier=edge
  agent load host pico1 --allow shop.example.org   another machine, that is yours and bears it
  agent load host pico1 --output experiments       keeps every request of its share of experiment 7 in experiments/7.db

It joins the network's table by its name. Who shares that table may ask it for load: `agent shell --table` steers it, and
`agent load run --hosts` has it send a share. Where its load may go, its own --allow says. When it is killed it counts as gone 9 s later, and
its share is told as missing. When it cannot reach the table for 7 s it sends nothing any more, and joins anew as soon as it can.")]
pub struct Host {
    /// As others call it; no two are called alike [default: the machine's name]
    pub name: Option<String>,
    /// What others may choose it by (more than once)
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub label: Vec<(String, String)>,
    /// A host other than this machine that may be sent to (more than once)
    #[arg(long, value_name = "HOST")]
    pub allow: Vec<String>,
    /// Clients are dealt out to so many threads
    #[arg(long, default_value = "1")]
    pub threads: NonZeroUsize,
    /// Keeps every request of its share of experiment ID in the file ID.db of this folder, an SQLite database
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Print JSON: what happens, each in a line of its own
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load hosts
  agent load hosts 'pico[0-9]' --label zone=A")]
pub struct Hosts {
    /// A regular expression for the whole name
    #[arg(default_value = ".*")]
    pub pattern: Pattern,
    /// Only hosts with this label (more than once)
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub label: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load list
  agent load list --state running --state queued --json")]
pub struct List {
    /// Only experiments in this state: queued, running, finished, failed, cancelled
    #[arg(long)]
    pub state: Vec<State>,
    /// At most so many
    #[arg(long, default_value = "50")]
    pub limit: NonZeroUsize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct OfExperiment {
    pub experiment: ExperimentId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  agent load cancel 7 8")]
pub struct Cancel {
    #[arg(required = true)]
    pub experiments: Vec<ExperimentId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load daemon
  agent load daemon --output experiments        keeps every request of experiment 7 in experiments/7.db
  agent load daemon --until-idle                ends when nothing waits any more
  agent load daemon --allow shop.example.org    another machine, that is yours and bears it

Several daemons may run: each experiment is run by one. Ctrl-C gives back what it holds, and another begins that anew; so does the end of a
daemon that was killed, 15 s after it was last heard of.

Exit code 1: an experiment failed.")]
pub struct Daemon {
    /// A host other than this machine that may be sent to (more than once)
    #[arg(long, value_name = "HOST")]
    pub allow: Vec<String>,
    /// Clients are dealt out to so many threads
    #[arg(long, default_value = "1")]
    pub threads: NonZeroUsize,
    /// Keeps every request of experiment ID in the file ID.db of this folder, an SQLite database
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// End when nothing waits any more
    #[arg(long)]
    pub until_idle: bool,
    /// Print JSON: what happens, each in a line of its own
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent load run evening.toml
  agent load run evening.toml --allow shop.example.org   another machine, that is yours and bears it
  agent load run evening.toml --strict                   fails when the load was less than intended
  agent load run evening.toml --output evening.db        keeps every request; `agent report evening.db` draws them
  agent load run evening.toml --output evening.db --parquet evening/
  agent load run evening.toml --output evening.db --agents
                                                         and what the network's agents do meanwhile
  agent load run evening.toml --hosts 'pico[0-9]'        the load hosts of the network's table send it, each its share

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
    /// Adds the run, every request of it and what this machine did meanwhile to this file, an SQLite database; with --hosts what the
    /// hosts did, whose own --output keeps their requests
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Writes the tables of that file into this folder, as Parquet
    #[arg(long, value_name = "FOLDER", requires = "output")]
    pub parquet: Option<PathBuf>,
    /// Copies them into a schema of a MySQL or MariaDB server; `agent load export` does so later
    #[arg(long, value_name = "URL", requires = "output")]
    pub mysql: Option<String>,
    /// Keeps there, too, what the agents of the network's table decide and measure meanwhile; always so when the load uses that table
    #[arg(long, requires = "output")]
    pub agents: bool,
    #[command(flatten)]
    pub on: OnHosts,
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
