//! What can be written on the command line.

use super::api_arguments::ApiArguments;
use super::calibrate_arguments::{Calibrate, Compare};
use super::commands::report::Report;
use super::constraint_arguments::{NotDone, Pause, Plan, Resume, SetConstraints, SetLabels};
use super::init_arguments::Init;
use super::node_arguments::{AddAgent, AddNode, RemoveNode, Store};
use super::policies;
use super::price_arguments::{SetBudget, SetEgressPrice, SetStoragePrice};
use agent_core::clock::TimeScale;
use agent_core::config::{Invalid, quantity};
use agent_core::domain::action::Labelled;
use agent_core::domain::ids::{AgentId, EventId, NodeId};
use agent_core::domain::units::Percent;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Self-adaptive data placement: every node runs one agent, which moves, copies, re-references or drops copies of the data
/// until its user's goal holds.
#[derive(Parser, Debug)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  agent demo                        the three-node network in one process, until it has converged
  agent run --id 1                  one agent of it, as a process of its own (likewise 2 and 3, in other terminals)
  agent status                      what the network looks like now
  agent set latency 1 2 '200 ms'    change it while it runs
  agent add-node --random           a node more
  agent init my-network             the configuration of a network of your own"
)]
pub struct Arguments {
    /// Where the configuration lies (network.toml, 1.toml, ...) [default: agents/ if it is there, else built in]
    #[arg(long, global = true, value_name = "DIR")]
    pub config: Option<PathBuf>,

    /// Where the data lies [default: agent-data/run, agent-data/demo]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// How lines are written: for people or for machines
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORM")]
    pub log: Log,

    #[command(subcommand)]
    pub command: Command,
}

impl Command {
    /// The diagnostics that it asks for, as `AGENT_LOG` would; `None`: the usual ones.
    pub fn diagnostics(&self) -> Option<&'static str> {
        match self {
            Command::Aggregator(arguments) => arguments.verbosity.filter(),
            Command::Node(arguments) => arguments.verbosity.filter(),
            Command::Reader(arguments) => arguments.verbosity.filter(),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Log {
    Text,
    Json,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run the whole network in one process until every goal is met
    Demo(Demo),
    /// Write the configuration of a network of your own: asks what it is made of, or takes flags
    Init(Init),
    /// Run a scenario in virtual time: a day in a moment, the same for the same seed
    Simulate(Simulate),
    /// Compare policies: scenarios x policies x seeds x factors in virtual time, on all cores
    Experiment(Experiment),
    /// Run random worlds, and write down what fails
    Explore(super::commands::explore::Explore),
    /// Fit a scenario's physics to what real runs measured
    Calibrate(Calibrate),
    /// Compare real runs with simulated ones
    Compare(Compare),
    /// Run one agent until it is stopped (Ctrl-C)
    Run(Run),
    /// Measure the job at every node and derive what each action does
    Train(Train),
    /// Show nodes, replicas, references and agents
    Status(StatusArguments),
    /// Show who is in the network, as its nodes see each other
    Members(super::member_arguments::Members),
    /// Ask the members of the network how a node is
    Query(super::member_arguments::Query),
    /// Show what the agents did, and how others answered
    Events(Events),
    /// Show why an action was chosen, every candidate and its parts, or why one is not done
    Explain(Explain),
    /// Write a page about an experiment or a network
    Report(Report),
    /// Change the network while it runs
    #[command(subcommand)]
    Set(Set),
    /// Add nodes to a running network
    AddNode(AddNode),
    /// Remove a node from a running network, when what it holds has drained
    RemoveNode(RemoveNode),
    /// Add an application: its configuration and its registration
    AddAgent(AddAgent),
    /// Add a data set to a running network
    AddDataSet(AddDataSet),
    /// Forget a data set that nobody reads any more; its objects stay
    RemoveDataSet(RemoveDataSet),
    /// Serve the API and the page of a network, also of one that is over (Ctrl-C)
    Serve(Serve),
    /// Print the token for changes by the API
    Token(Token),
    /// Serve a node's store without an application (Ctrl-C)
    Store(Store),
    /// Validate the configuration and print what would run
    Check(Check),
    /// Prepare and check a MySQL or MariaDB schema for the shared table
    #[command(subcommand)]
    Db(Db),
    /// List data sets, make one to try things with, decide about objects that changed
    #[command(subcommand)]
    Data(Data),
    /// Hold the catalogue against the stores: is every object what it should be?
    Fsck(Fsck),
    /// Show what the agents would do now, or do it
    Plan(Plan),
    /// Hold all actions
    Pause(Pause),
    /// Let agents act again
    Resume(Resume),
    /// Run batch jobs of several tasks on the network's nodes
    #[command(subcommand)]
    Batch(super::batch_arguments::Batch),
    /// Show the nodes that take tasks, or let one take no more
    #[command(subcommand)]
    Worker(super::batch_arguments::Worker),
    /// Send requests at their intended times, and say what they took
    #[command(subcommand)]
    Load(super::load_arguments::Load),
    /// Steer load by hand while it runs: a shell, or a script of its verbs
    Shell(super::shell_arguments::Shell),
    /// Take an action yourself, in an agent's place
    Act(Act),
    /// Serve toxiproxy's HTTP API: links with latency and other toxics
    Proxy(Proxy),
    /// Take in what nodes measure of themselves (MDSMP), and answer readers (UDSMP), until Ctrl-C
    Aggregator(super::monitor_arguments::Aggregator),
    /// Tell an aggregator this machine's CPU, memory or disk, until Ctrl-C
    Node(super::monitor_arguments::Emit),
    /// Ask an aggregator: a menu, or one answer
    Reader(super::monitor_arguments::Reader),
    /// Print a script that completes this program's commands in a shell
    Completion(Completion),
    /// Print this manual as a page for `man`, or write a page for each command
    Man(Man),
    /// Watch over a program, for the agent at the other end of standard input; agents start this themselves
    #[command(hide = true)]
    Keep,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent demo --seed 7
  agent demo --policy reference --json
  agent demo --scale 20 --train --limit 2h
  agent demo --stay                 goes on for you to watch and change, until Ctrl-C
  agent demo --stay --workers       its nodes take tasks of batch jobs
  agent demo --upisas 127.0.0.1:3000   decisions come from outside, until Ctrl-C (docs/upisas.md)

Training rests on the time scale: another one needs --train.

Exit code 0: converged; 3: not converged within the limit.")]
pub struct Demo {
    /// The source of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Instead of each agent's own policy
    #[arg(long, value_parser = policies::of_agents())]
    pub policy: Option<String>,
    /// Seconds of the scenario in a real second [default: network.toml's]
    #[arg(long, value_parser = time_scale)]
    pub scale: Option<TimeScale>,
    /// Scenario time after which to give up
    #[arg(long, default_value = "1h", value_parser = quantity::positive_duration::<str>)]
    pub limit: Duration,
    /// Train first, instead of using the training files
    #[arg(long)]
    pub train: bool,
    /// Where the training files lie
    #[arg(long, value_name = "DIR")]
    pub training: Option<PathBuf>,
    /// Make the bucket of a store of kind "s3" when it is not there
    #[arg(long)]
    pub create_bucket: bool,
    /// Go on when it has converged, until Ctrl-C
    #[arg(long)]
    pub stay: bool,
    /// Applications are services whose users wander from node to node, until --limit (docs/services.md)
    #[arg(long, conflicts_with_all = ["training", "upisas"])]
    pub live: bool,
    /// Its nodes take tasks of batch jobs, each with a part of this machine (docs/batch.md)
    #[arg(long)]
    pub workers: bool,
    /// Serve the API and the page here [default: a free port of 127.0.0.1]
    #[arg(long = "api", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Serve no API
    #[arg(long, conflicts_with = "listen")]
    pub no_api: bool,
    #[command(flatten)]
    pub api: ApiArguments,
    /// Take decisions from outside: serve the uniform interface of exemplars (UPISAS) here
    #[arg(long, value_name = "ADDRESS")]
    pub upisas: Option<SocketAddr>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent simulate --scenario fixtures/scenarios/published.toml
  agent simulate --scenario fixtures/scenarios/drift.toml --policy reference --seed 7 --hours 4 --json
  agent simulate --scenario fixtures/scenarios/published.toml --policy oracle
  agent simulate --scenario fixtures/scenarios/crash.toml --hours 4 --trace run.log
  agent explain 3 --trace run.log
  agent simulate --scenario fixtures/scenarios/published.toml --interactive
  agent simulate --from-table --interactive
  agent simulate --scenario fixtures/scenarios/storm.toml --serve
  agent simulate --scenario fixtures/scenarios/drift.toml --upisas 127.0.0.1:3000 --hours 4
  agent simulate --from-table mysql://agent@db.example.org/agent --hours 2")]
pub struct Simulate {
    /// The network, its physics, and what happens to it
    #[arg(long, value_name = "FILE", required_unless_present = "from_table")]
    pub scenario: Option<PathBuf>,
    /// Begin where a real network is, by its table, which is only read: a directory, an SQLite file or mysql://...; without a
    /// value the table that `agent status` shows. What the table does not say is the scenario's, if one is named
    #[arg(long, value_name = "TABLE", num_args = 0..=1)]
    pub from_table: Option<Option<String>>,
    /// Read commands that let time pass, show, change, branch and compare; `help` lists them
    #[arg(long, conflicts_with_all = ["json", "trace", "until_converged"])]
    pub interactive: bool,
    /// Serve the page and the API here [default: a free port of 127.0.0.1]: watch it at any speed, pause, step, change it
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:0",
        conflicts_with_all = ["interactive", "trace", "until_converged", "upisas"]
    )]
    pub serve: Option<SocketAddr>,
    #[command(flatten)]
    pub api: ApiArguments,
    /// Take decisions from outside, in lockstep: serve the uniform interface of exemplars (UPISAS) here. Virtual time goes on with what
    /// is asked
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["interactive", "trace", "until_converged"])]
    pub upisas: Option<SocketAddr>,
    /// Instead of each agent's own policy
    #[arg(long, value_parser = policies::of_simulations())]
    pub policy: Option<String>,
    /// The source of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Hours of virtual time
    #[arg(long, default_value = "24", value_parser = hours)]
    pub hours: f64,
    /// End as soon as the network has converged, as a demo does
    #[arg(long)]
    pub until_converged: bool,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
    /// Write what happened, line by line
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent experiment fixtures/experiments/smoke.toml
  agent experiment fixtures/experiments/published.toml --output results/published.db --parquet results
  agent experiment fixtures/experiments/membership.toml    how soon nodes know each other
  agent experiment fixtures/experiments/offloading.toml    how many failures a threshold bears
  agent experiment my-experiment.toml --threads 4 --json

What is stored is not made again: stopped (Ctrl-C) or killed, the same command goes on. Runs of what has changed are
made again.

Exit code 0: every run is stored; 1: a run broke an invariant, or the file cannot be written; 3: stopped before.")]
pub struct Experiment {
    /// What is compared (docs/experiments.md)
    pub file: PathBuf,
    /// Where every run is stored [default: NAME.db, NAME as the experiment is called]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the same tables as Parquet files too
    #[arg(long, value_name = "DIR")]
    pub parquet: Option<PathBuf>,
    /// Runs at the same time [default: one on each core]
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Make every run again, also those that are stored
    #[arg(long)]
    pub again: bool,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent run --id 1
  agent run --id 4 --config my-network --data /var/lib/agent --train
  agent run --id 1 --log json
  agent run --id 1 --api 127.0.0.1:8080
  agent run --id 1 --worker                    its node takes tasks of batch jobs
  agent run --id 1 --upisas 127.0.0.1:3000     decisions come from outside (docs/upisas.md)")]
pub struct Run {
    /// Which agent: there is a file ID.toml
    #[arg(long)]
    pub id: AgentId,
    /// Instead of the agent's own policy
    #[arg(long, value_parser = policies::of_agents())]
    pub policy: Option<String>,
    /// The source of all chance [default: the time]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Train first, if there is no training file
    #[arg(long)]
    pub train: bool,
    /// Where the training files lie
    #[arg(long, value_name = "DIR")]
    pub training: Option<PathBuf>,
    /// Make the bucket of a store of kind "s3" when it is not there
    #[arg(long)]
    pub create_bucket: bool,
    /// Its node takes tasks of batch jobs, also where ID.toml has no `[worker]` (docs/batch.md)
    #[arg(long)]
    pub worker: bool,
    /// Serve the API and the page here [default: not]
    #[arg(long = "api", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub api: ApiArguments,
    /// Take decisions from outside: serve the uniform interface of exemplars (UPISAS) here
    #[arg(long, value_name = "ADDRESS")]
    pub upisas: Option<SocketAddr>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent serve                                  the network that ran last, on a free port of this machine
  agent serve --data agent-data/demo           a demo that is over
  agent serve --listen 127.0.0.1:8080
  agent serve --listen 0.0.0.0:8443 --api-certificate agent.pem --api-key agent.key

On this machine reading is free and changes need a token; from elsewhere everything needs one (docs/api.md).")]
pub struct Serve {
    /// Where to listen [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    #[command(flatten)]
    pub api: ApiArguments,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent token
  agent token --read --data /var/lib/agent
  curl -H \"Authorization: Bearer $(agent token)\" -H 'Content-Type: application/json' -d '{}' http://127.0.0.1:8080/api/v1/pause")]
pub struct Token {
    /// One that reads and changes nothing, for other machines
    #[arg(long)]
    pub read: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent train
  agent train --id 3 --iterations 10
  agent train --node 4              a node that was added: its runs join the training files")]
pub struct Train {
    /// Only this agent
    #[arg(long)]
    pub id: Option<AgentId>,
    /// Only this node; what is known of the others stays
    #[arg(long)]
    pub node: Option<NodeId>,
    /// Runs of the job at each node
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub iterations: u32,
    /// The source of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to write the training files [default: training, but never over the files that ship]
    #[arg(long, value_name = "DIR")]
    pub training: Option<PathBuf>,
    /// Make the bucket of a store of kind "s3" when it is not there
    #[arg(long)]
    pub create_bucket: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent check
  agent check --config my-agents --training my-training --json
  agent check --config my-agents --online

Exit code 0: all is well; 1: a store does not do what it should; 2: the configuration is wrong.")]
pub struct Check {
    /// Also write, read, list and delete a small object in each store that is not embedded
    #[arg(long)]
    pub online: bool,
    /// Where the training files lie
    #[arg(long, value_name = "DIR")]
    pub training: Option<PathBuf>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent status
  agent status --watch
  agent status --data /var/lib/agent --json

An agent or node that has missed three heartbeats without signing off is `silent since` the last one.

Exit code 4: something is not well (jobs fail, a replica is changed or damaged, somebody is silent, an
invariant is broken). A goal that is missed is no illness; with --watch the code is 0.")]
pub struct StatusArguments {
    /// Show it again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Print JSON: one document, with --watch one on each line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent events
  agent events --agent 2 --limit 10
  agent events --since '30 min' --follow        what was posted in the last half hour of the scenario, and from now on
  agent events --since 2026-03-01T12:00:00Z --json")]
pub struct Events {
    /// Only this agent's
    #[arg(long, value_name = "ID")]
    pub agent: Option<AgentId>,
    /// Only those posted since then: an instant by RFC 3339, or how long ago in the scenario
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only the last so many
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
    /// Go on showing what happens, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// Print JSON: one document, with --follow one on each line
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent events          lists the events with their numbers
  agent explain 7
  agent explain 7 --json
  agent explain 3 --trace run.log     of a simulation
  agent explain --not M3_1            what speaks against it now")]
pub struct Explain {
    /// The event's number
    #[arg(required_unless_present = "action")]
    pub event: Option<EventId>,
    #[command(flatten)]
    pub not_done: NotDone,
    /// From the trace of a simulation, instead of the table
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Print one JSON document and nothing else: the event, the decision, the feedback
    #[arg(long)]
    pub json: bool,
}

/// What people say of a node's availability; `None`: that it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Declared(pub Option<Percent>);

fn declared(text: &str) -> Result<Declared, Invalid> {
    match text {
        "measured" => Ok(Declared(None)),
        percent => quantity::percent(percent).map(|percent| Declared(Some(percent))),
    }
}

/// What people say of a link's latency; `None`: that it is measured.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredMs(pub Option<f64>);

fn declared_ms(text: &str) -> Result<DeclaredMs, Invalid> {
    match text {
        "measured" => Ok(DeclaredMs(None)),
        latency => quantity::latency_ms(latency).map(|latency_ms| DeclaredMs(Some(latency_ms))),
    }
}

#[derive(Subcommand, Debug)]
pub enum Set {
    /// A node's availability
    #[command(
        after_help = "Examples:\n  agent set availability 2 75\n  agent set availability 2 '99.5 %'\n  agent set availability 2 measured"
    )]
    Availability {
        node: NodeId,
        /// In percent, or `measured`: what its peers measure
        #[arg(value_parser = declared)]
        percent: Declared,
        #[arg(long)]
        json: bool,
    },
    /// A link's latency
    #[command(
        after_help = "Examples:\n  agent set latency 1 2 '200 ms'\n  agent set latency 1 2 1.5s --one-way\n  agent set latency 1 2 measured"
    )]
    Latency {
        from: NodeId,
        to: NodeId,
        /// In milliseconds or with a unit, or `measured`: what node FROM measures
        #[arg(value_parser = declared_ms)]
        latency: DeclaredMs,
        /// Only from FROM to TO, not back
        #[arg(long)]
        one_way: bool,
        #[arg(long)]
        json: bool,
    },
    /// What an application asks for, in place of its configuration
    #[command(
        after_help = "Examples:\n  agent set goal 2 'response_time <= 40 s and availability >= 80 %'\n  agent set goal 2 configured"
    )]
    Goal {
        agent: AgentId,
        /// As goals are written, or `configured`: that of its configuration again
        goal: String,
        #[arg(long)]
        json: bool,
    },
    /// How an agent decides, in place of its configuration
    #[command(after_help = "Examples:\n  agent set policy 2 fixed\n  agent set policy 2 configured")]
    Policy {
        agent: AgentId,
        /// As in docs/policies.md, or `configured`: the one that it was started with
        policy: String,
        #[arg(long)]
        json: bool,
    },
    /// What a node is called by in constraints
    Labels(SetLabels),
    /// What nobody may do with a data set
    Constraints(SetConstraints),
    /// What may be spent in each hour, day, week or month
    Budget(SetBudget),
    /// The price of what lies on a node
    StoragePrice(SetStoragePrice),
    /// The price of what goes from one node to another
    EgressPrice(SetEgressPrice),
}

#[derive(Subcommand, Debug)]
pub enum Db {
    /// Make the schema, if the user may, and the tables; nothing is changed in one that holds tables of others
    #[command(after_help = "\
Examples:
  agent db init mysql://root@127.0.0.1:3306/agent
  AGENT_DATABASE_PASSWORD=... agent db init 'mysql://admin@db.example.org/agent?tls=true'")]
    Init(Database),
    /// Bring the tables of an older version up to date
    #[command(after_help = "Example: agent db migrate mysql://root@127.0.0.1:3306/agent")]
    Migrate(Database),
    /// Look at version, rights, isolation, durability, clocks, and every promise of the catalogue; changes nothing
    #[command(after_help = "\
Example: agent db check mysql://agent@db.example.org:3306/agent --json

Exit code 0: all is well; 1: something is not.")]
    Check(Database),
}

#[derive(Args, Debug)]
pub struct Database {
    /// The schema, like mysql://USER@HOST:3306/SCHEMA [default: AGENT_KNOWLEDGE, else network.toml's `knowledge`]
    pub url: Option<String>,
    /// Print one JSON document and nothing else
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand, Debug)]
pub enum Data {
    /// Write the published data set of blood tests, or a part of it
    #[command(after_help = "Example: agent data generate --records 553729 --output blood_tests.json")]
    Generate {
        /// How many records; the published file has 553729
        #[arg(long, default_value_t = 553_729)]
        records: u64,
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Show every data set in the catalogue, where it lies and who reads it
    #[command(after_help = "Example: agent data list --json")]
    List {
        #[arg(long)]
        json: bool,
    },
    /// Say that you have written: what lies under your own key is the data set's next version, and the other replicas follow
    #[command(after_help = "Example: agent data commit scans")]
    Commit {
        /// The data set's name
        name: String,
        #[arg(long)]
        json: bool,
    },
    /// Read every replica and compare it with what it should be, no faster than it may
    #[command(after_help = "\
Examples:
  agent data scrub
  agent data scrub scans --rate '20 MB/s'

What is found to be changed or damaged is stated in the table, and made anew. Exit code 4 when anything is, or a store cannot be asked.
Agents do it by themselves where network.toml says how often ([rhythm] scrub).")]
    Scrub {
        /// The data set's name [default: all]
        name: Option<String>,
        /// Bytes in a second
        #[arg(long, default_value = "50 MB/s", value_parser = quantity::bytes_per_second::<str>)]
        rate: u64,
        #[arg(long)]
        json: bool,
    },
    /// Take what lies on a node now for the data set's content: all other replicas are made anew from it
    #[command(after_help = "Example: agent data accept blood_tests --node 3")]
    Accept(OnNode),
    /// Make a changed or damaged replica anew from an intact one; what was changed is left where it is
    #[command(after_help = "Example: agent data restore blood_tests --node 3")]
    Restore(OnNode),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent add-data-set images                                                       # as network.toml describes it
  agent add-data-set images --object-key images/2026.ndjson --first-node 2        # one object, as it lies there
  agent add-data-set scans --prefix scans/2026/ --first-node 2                    # all objects below it

What lies there is read as a whole, for its length and its SHA-256. Agents that are to read it name it in their N.toml (`data_set = \"images\"`)
and are started after that.")]
pub struct AddDataSet {
    /// What it is called
    pub name: String,
    /// The key of its object, where network.toml does not describe it
    #[arg(long, value_name = "KEY")]
    pub object_key: Option<String>,
    /// What the keys of its objects begin with, where it is many
    #[arg(long, conflicts_with = "object_key")]
    pub prefix: Option<String>,
    /// The node in whose store it lies
    #[arg(long, value_name = "NODE")]
    pub first_node: Option<NodeId>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example: agent remove-data-set images

Refused as long as an application that reads it runs, or an action on it is under way. No object is deleted: the command lists what
lies where.")]
pub struct RemoveDataSet {
    /// What it is called
    pub name: String,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct OnNode {
    /// The data set's name
    pub name: String,
    /// The node whose replica it is about
    #[arg(long)]
    pub node: NodeId,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent fsck                 # lengths and ETags
  agent fsck --read          # every byte
  agent fsck --dry-run       # state nothing in the table

What is found to be changed or damaged is stated in the table, so that nobody reads it any more and agents make it anew. Exit code 4
when anything is, or a store cannot be asked.")]
pub struct Fsck {
    /// Read every object and compare its SHA-256: bytes rot unseen
    #[arg(long)]
    pub read: bool,
    /// Only say what is found
    #[arg(long)]
    pub dry_run: bool,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent act M3_1 --agent 1   # move the data from node 3 to node 1
  agent act C3_2 --agent 2   # copy it, and have agent 2 read the copy
  agent act CR1 --agent 2    # have agent 2 read the replica on node 1
  agent act E2 --agent 1     # drop the replica on node 2

Where there are several data sets, an agent acts on the one that it reads; it may be named: `agent act images:M3_1 --agent 1`.

It is claimed, transferred, verified and committed as an agent's own action, and `agent explain` says that a person wanted it. The
agent's policy may decide otherwise afterwards.")]
pub struct Act {
    pub action: Labelled,
    /// In whose place
    #[arg(long)]
    pub agent: AgentId,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: agent proxy --listen 127.0.0.1:8474")]
pub struct Proxy {
    /// Where the API listens
    #[arg(long, default_value = "127.0.0.1:8474")]
    pub listen: SocketAddr,
    /// Count what the proxies carry, and show it under /metrics as Prometheus reads it
    #[arg(long)]
    pub metrics: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent completion bash > ~/.local/share/bash-completion/completions/agent
  agent completion zsh > ~/.zfunc/_agent
  agent completion fish > ~/.config/fish/completions/agent.fish")]
pub struct Completion {
    pub shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent man | man -l -
  agent man --output /usr/local/share/man/man1")]
pub struct Man {
    /// Write agent.1, agent-run.1 and so on into this folder
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

fn time_scale(text: &str) -> anyhow::Result<TimeScale> {
    Ok(quantity::time_scale(text.parse()?)?)
}

fn hours(text: &str) -> anyhow::Result<f64> {
    Ok(quantity::hours(text.parse()?)?)
}
