//! Nodes and applications that come and go while three agents run as processes, and processes that want to be the same agent.

use crate::network::audit::Audit;
use crate::network::process::{Finished, Running, json, run, succeed};
use crate::network::{PATIENCE, Place, comes_true, repository, text, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

struct Network {
    place: Place,
    config: PathBuf,
    training: PathBuf,
}

impl Network {
    /// A network whose table others can name, with training files of its own.
    fn new() -> Self {
        let place = Place::new();
        let table = format!("sqlite:{}", text(&place.data().join("network.db")));
        let config = place.configuration("agents", &[("network.toml", "sqlite:network.db", &table)]);
        let training = place.path().join("training");
        fs::create_dir(&training).expect("a directory");
        for entry in fs::read_dir(repository().join("training")).expect("the shipped training") {
            let file = entry.expect("an entry").path();
            fs::copy(&file, training.join(file.file_name().expect("a name"))).expect("a copy");
        }
        Self { place, config, training }
    }

    fn line<'a>(&'a self, arguments: &[&'a str], data: &'a Path) -> Vec<&'a str> {
        [arguments, &["--config", text(&self.config), "--data", text(data)]].concat()
    }

    fn start_in(&self, data: &Path, agent: u32) -> Running {
        let id = agent.to_string();
        let arguments = ["run", "--id", &id, "--training", text(&self.training)];
        Running::start(self.place.path(), &format!("agent-{agent}"), &self.line(&arguments, data))
    }

    fn start(&self, agent: u32) -> Running {
        self.start_in(&self.place.data(), agent)
    }

    fn try_to(&self, arguments: &[&str]) -> Finished {
        run(self.place.path(), &self.line(arguments, &self.place.data()))
    }

    fn does(&self, arguments: &[&str]) -> String {
        succeed(self.place.path(), &self.line(arguments, &self.place.data()))
    }

    /// The message of a command that fails with this code.
    fn refuses(&self, arguments: &[&str], code: i32) -> String {
        let finished = self.try_to(arguments);
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), ""), "{}", finished.err);
        finished.err
    }

    fn trained(&self, agent: u32) -> Value {
        let file = self.training.join(format!("agent-{agent}.json"));
        serde_json::from_str(&fs::read_to_string(file).expect("a training file")).expect("JSON")
    }
}

fn jobs(audit: &Audit, agent: u32) -> i64 {
    audit.count(&format!("select count(*) from measurements where agent = {agent}"))
}

fn runs_jobs(audit: &Audit, agent: u32) {
    let before = jobs(audit, agent);
    wait_until(&format!("agent {agent} runs a job"), PATIENCE, || jobs(audit, agent) > before);
}

#[test]
fn nodes_and_applications_come_and_go_while_agents_run() {
    let network = Network::new();
    let mut agents = [1, 2, 3].map(|agent| network.start(agent));
    let audit = Audit::of_new(&network.place.data());
    (1..=3).for_each(|agent| runs_jobs(&audit, agent));

    a_node_is_added_once(&network, &audit);
    let store = network.line(&["store", "--node", "4"], &network.place.data()).join(" ");
    let served = Running::start(network.place.path(), "store", &store.split(' ').collect::<Vec<_>>());
    wait_until("its store is served", PATIENCE, || served.output().starts_with("the store of node 4 on http://"));
    let second = network.refuses(&["store", "--node", "4"], 1);
    assert!(second.contains("another process serves the store of node 4"), "{second}");
    it_is_measured_beside_what_is_known(&network);

    // A killed process is succeeded at once: its data directory knows that it has ended.
    for (agent, process) in (1..).zip(&mut agents) {
        process.kill();
        *process = network.start(agent);
        runs_jobs(&audit, agent);
        assert!(!process.output().contains("another process"), "{}", process.output());
    }
    for node in ["1", "2", "3"] {
        network.does(&["set", "availability", node, "50"]);
    }
    let brought =
        "select count(*) from events where to_node = 4 and action_type in ('move', 'copy') and outcome = 'done'";
    wait_until("somebody brings data to node 4", PATIENCE, || audit.count(brought) > 0);

    an_application_joins(&network, &audit);

    for node in ["1", "2", "3"] {
        network.does(&["set", "availability", node, "98"]);
    }
    network.does(&["set", "availability", "4", "10"]);
    // Refused as long as it holds the only replica, or somebody acts there.
    let mut last = String::new();
    let removed = comes_true(PATIENCE, || {
        let finished = network.try_to(&["remove-node", "4"]);
        last = finished.err;
        finished.code == Some(0)
    });
    assert!(removed, "{last}");
    let left = "select count(*) from nodes, links where 4 in (nodes.id, from_node, to_node)";
    assert_eq!(audit.count(left), 0);
    assert_eq!(audit.count("select count(*) from agents where node = 4"), 0);
    (1..=3).for_each(|agent| runs_jobs(&audit, agent));
    for agent in &mut agents {
        agent.signal(Signal::TERM);
        assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
    }
    assert_eq!(audit.broken(), Vec::<String>::new());
}

fn a_node_is_added_once(network: &Network, audit: &Audit) {
    let add = ["add-node", "--id", "4", "--availability", "99", "--latency", "1=200,2=300ms,3=0.4 s", "--json"];
    let added = json(network.place.path(), &network.line(&add, &network.place.data()));
    assert_eq!((&added["nodes"][0]["name"], &added["nodes"][0]["availability"]), (&"node-4".into(), &99.0.into()));
    let links = "select count(*) from links where 4 in (from_node, to_node)";
    let both_ways = "select latency_ms from links where 4 in (from_node, to_node) order by from_node + to_node";
    let latencies = audit.rows(both_ways, |row| row.get::<_, f64>(0));
    assert_eq!(latencies, [200.0, 200.0, 300.0, 300.0, 400.0, 400.0]);

    assert_eq!(network.refuses(&add, 1), "error: add nodes: there is a node 4 already, `node-4`\n");
    let half = ["add-node", "--id", "5", "--availability", "9", "--latency", "1=5,2=5"];
    assert!(network.refuses(&half, 1).starts_with("error: add nodes: a link from node 5 to node 3 is missing; "));
    let named = [&half[..], &["--name", "a\u{7}b"]].concat();
    assert!(network.refuses(&named, 2).starts_with("error: --name: `a\\u{7}b` is not a name; "));
    assert_eq!((audit.count("select count(*) from nodes"), audit.count(links)), (4, 6));

    // Drawn ones are told, the same for the same seed, and go as they came.
    let draw = ["add-node", "--random", "--count", "2", "--seed", "7"];
    let drawn = network.does(&draw);
    assert!(drawn.contains("node 5 (node-5): available ") && drawn.contains("drawn with --seed 7"), "{drawn}");
    assert_eq!(audit.count("select count(*) from links"), 6 * 5);
    for node in ["5", "6"] {
        assert!(network.does(&["remove-node", node]).ends_with(&format!("node {node} is removed\n")));
    }
    assert_eq!(network.does(&draw), drawn);
    for node in ["5", "6"] {
        network.does(&["remove-node", node]);
    }
    assert!(network.refuses(&["remove-node", "3"], 1).contains("agent 3 runs on node 3; stop it first"));
}

fn it_is_measured_beside_what_is_known(network: &Network) {
    let before = network.trained(1);
    network.does(&["train", "--node", "4", "--iterations", "1", "--training", text(&network.training)]);
    let after = network.trained(1);
    assert_eq!(after["runs"]["4"].as_array().map(Vec::len), Some(1), "{after:#}");
    assert_eq!(after["runs"]["2"], before["runs"]["2"]);
    assert_eq!(after["impacts"]["M1_2"], before["impacts"]["M1_2"]);
    for action in ["M1_4", "C4_3"] {
        assert!(after["impacts"][action].is_object(), "{after:#}");
    }
}

fn an_application_joins(network: &Network, audit: &Audit) {
    let goal = "network_latency <= 5000 ms";
    let nowhere = network.refuses(&["add-agent", "--id", "9", "--goal", goal], 2);
    assert!(nowhere.contains("agent 9 is to live on node 9, which the network does not have"), "{nowhere}");
    assert!(!network.config.join("9.toml").exists());
    let wrong = network.refuses(&["add-agent", "--id", "4", "--goal", "latency <= 5 ms"], 2);
    assert!(wrong.contains("4.toml: goal: unknown metric `latency`"), "{wrong}");
    network.does(&["add-agent", "--id", "4", "--goal", goal, "--like", "2"]);
    assert!(network.refuses(&["add-agent", "--id", "4", "--goal", goal], 2).contains("4.toml: is there already"));
    assert_eq!(audit.count("select count(*) from agents where id = 4 and heartbeat_at is null"), 1);

    network.does(&["train", "--id", "4", "--iterations", "1", "--training", text(&network.training)]);
    let mut fourth = network.start(4);
    runs_jobs(audit, 4);
    assert!(network.does(&["status"]).contains("agent 4  goal met"));
    assert!(network.refuses(&["remove-node", "4"], 1).contains("agent 4 runs on node 4; stop it first"));
    fourth.signal(Signal::TERM);
    assert_eq!(fourth.ends_within(PATIENCE), Some(0), "{}", fourth.errors());
}

#[test]
fn an_agent_is_one_process_wherever_it_runs() {
    let network = Network::new();
    let mut first = network.start(3);
    let audit = Audit::of_new(&network.place.data());
    runs_jobs(&audit, 3);
    let store = || audit.rows("select store_url from nodes where id = 3", |row| row.get::<_, String>(0));
    let before = store();

    let elsewhere = network.place.path().join("elsewhere");
    let mut second = network.start_in(&elsewhere, 3);
    assert_eq!(second.ends_within(PATIENCE), Some(1), "{}", second.output());
    assert!(second.errors().starts_with("error: agent 3 runs in another process, with another data directory"));
    assert_eq!(store(), before);

    // One that is suspended for longer than the silence has lost the agent when it wakes up.
    first.signal(Signal::STOP);
    let second = network.start_in(&elsewhere, 3);
    let registered = "select count(*) from agents where id = 3 and life not in (select substr(job, 1, length(life)) \
                      from measurements)";
    wait_until("the second process is the agent", PATIENCE, || audit.count(registered) == 1);
    first.signal(Signal::CONT);
    assert_eq!(first.ends_within(PATIENCE), Some(1), "{}", first.output());
    assert!(first.errors().contains("error: another process is agent 3 now"), "{}", first.errors());
    drop(second);
}
