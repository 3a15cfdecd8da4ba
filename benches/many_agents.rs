//! How long a decision takes when 32 agents share one MariaDB: from the violation that an agent sees to its event in the table.
//!
//! ```text
//! cargo bench --bench many_agents                       32 agents on as many nodes, for 60 s; needs mariadbd
//! cargo bench --bench many_agents -- [AGENTS [SECONDS]]
//! ```
//!
//! Each agent is a process that runs a job about every half second and never meets its goal, so that every job ends in a
//! decision: in nine of ten cases to do nothing, which is an event too, else one that is chosen at random. All share this
//! machine with the server, so the figures are upper bounds.

mod asked;
#[path = "../tests/network/mod.rs"]
mod network;

use agent::app::training_file::TrainingFile;
use agent::data::blood_tests::BloodTests;
use asked::{Asked, asked};
use network::mariadb::MariaDb;
use network::process::Running;
use network::{Place, comes_true, text};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// As `NETWORK_FILE` says.
const SCALE: u32 = 50;
/// Of the data set, at this scale.
const RECORDS: u64 = 200;
/// Until every agent has run its first job.
const WARM_UP: Duration = Duration::from_secs(120);
/// What a user of one of these agents is promised.
const AIM_MS: f64 = 100.0;
/// As a server should be run.
const DURABLE: [&str; 3] =
    ["--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1", "--innodb-buffer-pool-size=128M"];

fn main() {
    let numbers: Vec<u32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let number = |index: usize, otherwise| numbers.get(index).copied().unwrap_or(otherwise);
    let (agents, seconds) = match asked("many_agents") {
        Asked::Everything => (number(0, 32), number(1, 60)),
        Asked::AMoment => (3, 5),
        Asked::Nothing => return,
    };
    let server = match MariaDb::start(&DURABLE) {
        Ok(server) => server,
        Err(missing) => return println!("SKIPPED: {missing}"),
    };
    let table = Table { schema: server.schema(), server };
    let place = Place::new();
    configure(place.path(), agents);
    let address = table.server.url(&table.schema);
    table.prepare(&place, &address);

    let mut running: Vec<Running> = (1..=agents).map(|agent| start(&place, &address, agent)).collect();
    let all_run =
        comes_true(WARM_UP, || table.ask("select count(distinct agent) from measurements") == [agents.to_string()]);
    assert!(all_run, "not every agent has run a job within {WARM_UP:?}\n{}", troubles(&running));
    let before = table.counted();
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let counted = table.counted().since(&before, began.elapsed());
    println!("{agents} agents, {seconds} s: {counted}");
    let decisions = table.report(before.last_event);
    println!("{}", troubles(&running));
    assert!(decisions > 0, "nothing was decided, so nothing was measured");
    running.iter_mut().for_each(Running::kill);
}

/// The configuration and training files of as many agents, each on a node of its own.
fn configure(place: &Path, agents: u32) {
    let (config, training) = (place.join("config"), place.join("training"));
    for directory in [&config, &training] {
        fs::create_dir(directory).expect("a directory");
    }
    fs::write(config.join("network.toml"), network_file(agents)).expect("the network's file");
    for agent in 1..=agents {
        fs::write(config.join(format!("{agent}.toml")), AGENT_FILE).expect("an agent's file");
        let file = training.join(format!("agent-{agent}.json"));
        fs::write(file, training_file(agent, agents)).expect("a training file");
    }
}

fn network_file(nodes: u32) -> String {
    let mut file = NETWORK_FILE.to_owned();
    for node in 1..=nodes {
        _ = write!(file, "\n[[node]]\nid = {node}\nname = \"node-{node}\"\navailability = \"95 %\"\n");
        for other in node + 1..=nodes {
            _ = write!(file, "\n[[link]]\nbetween = [{node}, {other}]\nlatency = \"1000 ms\"\njitter = \"7 ms\"\n");
        }
    }
    file
}

const NETWORK_FILE: &str = r#"knowledge = "sqlite:network.db" # AGENT_KNOWLEDGE says where it really is
time_scale = 50
emulator = "embedded"

[data_set]
name = "blood_tests"
object_key = "blood_tests.json"
generate_records = 10_000
first_node = 1

[feedback]
window = "210 s"
threshold = 0.3
grace = "60 s"

[learning]
learning_rate = 0.5
exploration = 0.1
penalty = 0.33
max_copies = 2

[rhythm]
job_gap = "20 s"
job_gap_deviation = "2 s"
heartbeat = "10 s"
lease = "300 s"
drain = "60 s"
probes = 1
"#;

/// `fixed` answers every violation with an event, even when that is to do nothing.
const AGENT_FILE: &str = r#"goal = "availability >= 99 %"
policy = "fixed"

[job]
kind = "aggregate"
expression = "avg(cholesterol)"
request_size = "400 MB"

[rho]
response_time = "40 s"
execution_time = "15 s"
throughput = "3000 records/s"
network_latency = "2000 ms"
availability = "25 %"
data_consistency = 0.5

[cost]
move = 1.5
copy = 1.8
change_reference = 1.0
evict = 0.5
"#;

/// Nothing helps, so that doing nothing is best.
fn training_file(agent: u32, nodes: u32) -> String {
    let mut impacts = BTreeMap::new();
    for from in 1..=nodes {
        for to in (1..=nodes).filter(|to| *to != from) {
            for kind in ["M", "C"] {
                impacts.insert(format!("{kind}{from}_{to}"), serde_json::json!({"availability": -0.5}));
            }
        }
    }
    let names: BTreeMap<u32, String> = (1..=nodes).map(|node| (node, format!("node-{node}"))).collect();
    let data_set = BloodTests::new(RECORDS).generate(std::io::sink()).expect("nothing is written");
    let file = serde_json::json!({
        "format": TrainingFile::FORMAT, "agent": agent, "version": "0.1.0", "trained_at": 0, "time_scale": SCALE, "seed": 1,
        "iterations": 1, "data_set": "blood_tests", "records": RECORDS, "sha256": data_set.sha256,
        "job": "avg(cholesterol)", "home": agent, "nodes": names, "runs": {}, "impacts": impacts,
    });
    file.to_string()
}

fn start(place: &Place, address: &str, agent: u32) -> Running {
    let (id, config, training) = (agent.to_string(), place.path().join("config"), place.path().join("training"));
    let data = place.data();
    let arguments = ["run", "--id", &id, "--seed", "1", "--log", "json", "--config", text(&config)];
    let arguments = [&arguments[..], &["--data", text(&data), "--training", text(&training)]].concat();
    let place = place.path();
    Running::start_with(&[("AGENT_KNOWLEDGE", address)], place, &format!("agent-{agent}"), &arguments)
}

/// What went wrong, by how often.
fn troubles(running: &[Running]) -> String {
    let mut counted = BTreeMap::<String, u32>::new();
    for agent in running {
        let said = [agent.output(), agent.errors()].concat();
        for line in
            said.lines().filter(|line| line.contains("trouble") || line.contains("FAILED") || !line.starts_with('{'))
        {
            *counted.entry(line.chars().take(200).collect()).or_default() += 1;
        }
    }
    let mut worst: Vec<_> = counted.iter().map(|(line, times)| (*times, line)).collect();
    worst.sort_unstable_by(|a, b| b.cmp(a));
    let shown = worst.iter().take(10).map(|(times, line)| format!("  {times} x {line}\n"));
    format!("troubles: {}\n{}", worst.iter().map(|(times, _)| times).sum::<u32>(), shown.collect::<String>())
}

/// The shared table, looked at with its own client.
struct Table {
    server: MariaDb,
    schema: String,
}

#[derive(Clone, Copy)]
struct Counted {
    last_event: u64,
    jobs: u64,
    questions: u64,
    deadlocks: u64,
}

impl Counted {
    fn since(&self, before: &Self, took: Duration) -> String {
        let rate = |now: u64, then: u64| (now - then) as f64 / took.as_secs_f64();
        format!(
            "{:.1} jobs/s, {:.1} decisions/s, {:.0} statements/s, {} deadlocks",
            rate(self.jobs, before.jobs),
            rate(self.last_event, before.last_event),
            rate(self.questions, before.questions),
            self.deadlocks - before.deadlocks
        )
    }
}

impl Table {
    fn prepare(&self, place: &Place, address: &str) {
        let mut init = Running::start_with(&[("AGENT_KNOWLEDGE", address)], place.path(), "init", &["db", "init"]);
        assert_eq!(init.ends_within(network::PATIENCE), Some(0), "{}", init.errors());
    }

    fn ask(&self, question: &str) -> Vec<String> {
        self.server.execute(&format!("use {}; {question}", self.schema))
    }

    fn number(&self, question: &str) -> u64 {
        self.ask(question).pop().and_then(|line| line.rsplit('\t').next()?.parse().ok()).expect("a number")
    }

    fn counted(&self) -> Counted {
        Counted {
            last_event: self.number("select coalesce(max(id), 0) from events"),
            jobs: self.number("select count(*) from measurements"),
            questions: self.number("show global status like 'Questions'"),
            deadlocks: self.number("show global status like 'Innodb_deadlocks'"),
        }
    }

    /// An agent's event follows from the last measurement that it had made before. How many there were.
    fn report(&self, after: u64) -> usize {
        let mut made = BTreeMap::<String, Vec<i64>>::new();
        for line in self.ask("select agent, at_ms from measurements order by at_ms") {
            let (agent, at) = line.split_once('\t').expect("two columns");
            made.entry(agent.to_owned()).or_default().push(at.parse().expect("a time"));
        }
        let mut took = BTreeMap::<&str, Vec<f64>>::new();
        for line in self.ask(&format!("select agent, posted_at_ms, action_type from events where id > {after}")) {
            let mut columns = line.split('\t');
            let agent = &made[columns.next().expect("an agent")];
            let posted: i64 = columns.next().and_then(|at| at.parse().ok()).expect("a time");
            let Some(seen) = agent.iter().rev().find(|at| **at <= posted) else { continue };
            let kind = if columns.next() == Some("nothing") { "nothing" } else { "action" };
            for of in [kind, "all"] {
                took.entry(of).or_default().push((posted - seen) as f64 / f64::from(SCALE));
            }
        }
        println!(
            "{:<10} {:>10} {:>8} {:>8} {:>8} {:>8}   (aim: 95 % under {AIM_MS} ms)",
            "decisions", "", "p50 ms", "p95 ms", "p99 ms", "longest"
        );
        let decisions = took.get("all").map_or(0, Vec::len);
        for (kind, mut took) in took {
            took.sort_by(f64::total_cmp);
            let share = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
            println!(
                "{kind:<10} {:>10} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
                took.len(),
                share(0.5),
                share(0.95),
                share(0.99),
                share(1.0)
            );
        }
        decisions
    }
}
