//! What can be written about batch jobs and workers.

use crate::app::batch::Target;
use agent_arrivals::profile::{Shape, UnknownShape};
use agent_batch::job::{JobId, State};
use agent_batch::placement::strategy::Strategy;
use agent_core::config::quantity;
use agent_core::domain::ids::NodeId;
use clap::{Args, Subcommand};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Subcommand, Debug)]
#[command(after_help = "\
Examples:
  agent batch submit job.toml           queued, and placed where there is room
  agent batch submit job.toml --follow  until it has ended
  agent batch why 3                     what job 3 waits for
  agent batch watch
  agent batch use priority+first-fit

A node takes tasks when its N.toml has a `[worker]`. docs/batch.md shows a job's file and says what becomes of it.")]
pub enum Batch {
    /// Queue a job
    Submit(Submit),
    /// List jobs, the latest first
    List(List),
    /// Show a job, its tasks, and what happened to them
    #[command(after_help = "Example:\n  agent batch show 12")]
    Show(OfJob),
    /// Say what a job waits for
    #[command(after_help = "Example:\n  agent batch why 12")]
    Why(OfJob),
    /// Print what a task said
    Logs(Logs),
    /// Call jobs off: what waits never starts, what runs is stopped
    Cancel(Cancel),
    /// Give tasks that run more or less, where they are
    Resize(Resize),
    /// Let tasks write down what they have come to
    Checkpoint(Checkpoint),
    /// Let tasks go on elsewhere, with what they have written down
    Migrate(Migrate),
    /// Say by which strategy jobs are placed, or show it
    Use(UseStrategy),
    /// Show jobs and workers again and again, until Ctrl-C
    Watch(Watch),
    /// Submit jobs in one of four shapes of load, until Ctrl-C
    Load(Load),
}

#[derive(Subcommand, Debug)]
#[command(after_help = "\
Examples:
  agent worker list
  agent worker drain 2     what it has goes on, nothing new comes
  agent worker resume 2")]
pub enum Worker {
    /// Show the nodes that take tasks, and what is free of them
    #[command(after_help = "Example:\n  agent worker list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a node no new tasks
    #[command(after_help = "Example:\n  agent worker drain 2     what it has goes on")]
    Drain(OfNode),
    /// Give it tasks again
    #[command(after_help = "Example:\n  agent worker resume 2")]
    Resume(OfNode),
}

#[derive(Args, Debug)]
pub struct OfNode {
    pub node: NodeId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent batch submit job.toml
  agent batch submit job.toml --follow
  agent batch submit job.toml --key nightly-2026-11-29   submitted twice, it is one job")]
pub struct Submit {
    /// What is to run: TOML
    pub file: PathBuf,
    /// Also when no worker that is there could ever take it: it waits for one
    #[arg(long)]
    pub wait: bool,
    /// Submitted again with the same key, it is the same job
    #[arg(long)]
    pub key: Option<String>,
    /// Tell what becomes of it until it has ended; exit code 1 when it is not done
    #[arg(long)]
    pub follow: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent batch list
  agent batch list --state running --state queued --json")]
pub struct List {
    /// Only jobs in this state: queued, placed, running, done, failed, cancelled
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
pub struct OfJob {
    pub job: JobId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent batch logs 12       all its tasks, each line with its task in front
  agent batch logs 12.0     the first one, as it is

All of it where the worker's data directory is at hand, else the last 4 KiB.")]
pub struct Logs {
    /// `12.0`: the first task of job 12; `12`: all of its tasks
    pub target: Target,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  agent batch cancel 12 13")]
pub struct Cancel {
    #[arg(required = true)]
    pub jobs: Vec<JobId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent batch resize 12.0 --cores 2 --memory '1 GB'
  agent batch resize 12 --memory '100 MB'      every task of job 12, or none

Less memory than a task has in use is refused, and nothing is killed.")]
pub struct Resize {
    /// Jobs or tasks: all of them, or none
    #[arg(required = true)]
    pub targets: Vec<Target>,
    /// How many cores each is to have
    #[arg(long, required_unless_present = "memory", value_parser = clap::value_parser!(u16).range(1..=8191))]
    pub cores: Option<u16>,
    /// How much memory each is to have
    #[arg(long, value_parser = quantity::positive_size::<str>)]
    pub memory: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  agent batch checkpoint 12     each of its tasks; docs/batch.md says what a task does then"
)]
pub struct Checkpoint {
    /// Jobs or tasks: all of them, or none
    #[arg(required = true)]
    pub targets: Vec<Target>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  agent batch migrate 12\n  agent batch migrate 12.0 --to 2")]
pub struct Migrate {
    /// Jobs or tasks: all of them, or none
    #[arg(required = true)]
    pub targets: Vec<Target>,
    /// Where to [default: wherever there is room]
    #[arg(long, value_name = "NODE")]
    pub to: Option<NodeId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent batch use                       the present one, and what there is
  agent batch use best-fit
  agent batch use deadline+first-fit+in-order")]
pub struct UseStrategy {
    /// Parts joined with `+` [without: the present one is shown, with what there is]
    pub strategy: Option<Strategy>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  agent batch watch")]
pub struct Watch {
    /// Print a JSON document on each line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent batch load steady 5                    5 jobs with every tick
  agent batch load bursty 0.5 --interval 2s    a burst with every tick, exponentially distributed
  agent batch load incremental 0.1 2           0.1 t + 2 jobs at t seconds
  agent batch load random 1 5 --ticks 60
  agent batch load steady 1 --job job.toml
  agent batch load --profile evening.toml      jobs/s over time, as docs/load.md writes a profile

Ticks are at their intended times, however long submitting takes.")]
pub struct Load {
    /// `steady A`, `bursty RATE`, `incremental A B` or `random LEAST MOST`
    #[arg(required_unless_present = "profile", num_args = 2..=3, allow_negative_numbers = true)]
    pub shape: Vec<String>,
    /// How many jobs come in a second, over time: TOML
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "interval", "ticks"])]
    pub profile: Option<PathBuf>,
    /// Between two ticks
    #[arg(long, default_value = "1s", value_parser = quantity::positive_duration::<str>)]
    pub interval: Duration,
    /// So many ticks [default: until Ctrl-C]
    #[arg(long)]
    pub ticks: Option<u32>,
    /// What is submitted [default: 4 tasks of 2 cores and 50 MB that do nothing for a second]
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// The source of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Load {
    pub fn shape(&self) -> Result<Shape, UnknownShape> {
        self.shape.join(" ").parse()
    }
}
