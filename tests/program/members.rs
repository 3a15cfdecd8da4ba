//! Nodes that find each other: agents as processes, one of them killed, one that pretends, and questions to any of them.

use crate::network::audit::Audit;
use crate::network::mariadb::{MariaDb, PASSWORD, USER, free_ports};
use crate::network::process::{Finished, Running, run};
use crate::network::{PATIENCE, Place, text, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};

struct Network {
    place: Place,
    config: PathBuf,
}

impl Network {
    fn new(edits: &[(&str, &str, &str)]) -> Self {
        let place = Place::new();
        let table = format!("sqlite:{}", text(&place.data().join("network.db")));
        let edits: Vec<_> = edits.iter().copied().chain([("network.toml", "sqlite:network.db", &*table)]).collect();
        let config = place.configuration("agents", &edits);
        Self { place, config }
    }

    fn start_in(&self, data: &Path, agent: u32) -> Running {
        let (id, training) = (agent.to_string(), self.place.training());
        let line =
            ["run", "--id", &id, "--training", text(&training), "--config", text(&self.config), "--data", text(data)];
        Running::start(self.place.path(), &format!("agent-{agent}"), &line)
    }

    fn start(&self, agent: u32) -> Running {
        self.start_in(&self.place.data(), agent)
    }

    fn ask(&self, arguments: &[&str]) -> Finished {
        let data = self.place.data();
        run(self.place.path(), &[arguments, &["--config", text(&self.config), "--data", text(&data)]].concat())
    }

    fn document(&self, arguments: &[&str]) -> Option<Value> {
        let finished = self.ask(arguments);
        (finished.code == Some(0)).then(|| serde_json::from_str(&finished.out).expect("JSON"))
    }

    /// Also when something is not well.
    fn status(&self) -> Value {
        serde_json::from_str(&self.ask(&["status", "--json"]).out).expect("JSON")
    }

    /// How each node stands, as a member on this machine sees them: `1 alive, 2 dead`.
    fn standing(&self) -> String {
        let Some(Value::Array(members)) = self.document(&["members", "--json"]) else {
            return "nobody answers".to_owned();
        };
        let each =
            members.iter().map(|member| format!("{} {}", member["node"], member["standing"].as_str().expect("a word")));
        each.collect::<Vec<_>>().join(", ")
    }

    fn stand(&self, expected: &str) {
        let mut last = String::new();
        let limit = PATIENCE;
        let holds = crate::network::comes_true(limit, || {
            last = self.standing();
            last == expected
        });
        assert!(holds, "expected {expected}, and it is {last}");
    }
}

#[test]
fn nodes_find_each_other_and_anybody_can_be_asked_about_anybody() {
    let network = Network::new(&[]);
    let mut agents = [1, 2, 3].map(|agent| network.start(agent));
    network.stand("1 alive, 2 alive, 3 alive");
    let audit = Audit::of_new(&network.place.data());

    let answer = network.document(&["query", "2", "--quorum", "2", "--json"]).expect("an answer");
    assert_eq!((&answer["node"], &answer["name"], &answer["incarnation"]), (&2.into(), &"fog".into(), &1.into()));
    assert!(answer["agreed"].as_array().is_some_and(|agreed| agreed.len() >= 2), "{answer}");
    let cores = network.ask(&["query", "2", "--quorum", "1", "--metric", "cores"]).out;
    assert!(cores.trim().parse::<u32>().is_ok_and(|cores| cores > 0), "{cores}");

    // Nobody has heard of node 9: an honest failure, with what was seen.
    let nobody = network.ask(&["query", "9", "--quorum", "2", "--deadline", "300ms"]);
    assert_eq!((nobody.code, nobody.out.as_str()), (Some(1), ""));
    let (all, some) = ("0 of 2 hold a record of node 9", "knows nothing of it");
    assert!(nobody.err.contains(all) && nobody.err.contains(some) && nobody.err.contains("help:"), "{}", nobody.err);

    // Who goes in order is not taken for dead.
    agents[1].signal(Signal::INT);
    assert_eq!(agents[1].ends_within(PATIENCE), Some(0), "{}", agents[1].errors());
    network.stand("1 alive, 2 left, 3 alive");
    agents[1] = network.start(2);
    network.stand("1 alive, 2 alive, 3 alive");

    agents[2].kill();
    network.stand("1 alive, 2 alive, 3 dead");
    wait_until("people are told", PATIENCE, || agents[0].output().contains("peer      node 3 answers nobody any more"));
    agents[2] = network.start(3);
    network.stand("1 alive, 2 alive, 3 alive");
    let again = || network.document(&["query", "3", "--quorum", "2", "--json"]);
    wait_until("the new start is known", PATIENCE, || again().is_some_and(|answer| answer["incarnation"] == 2));

    // A declared availability stands; what was measured stands beside it, in the table and in what is shown.
    let measured = "select count(*) from nodes where measured_availability_percent between 0 and 100";
    wait_until("availability is measured", PATIENCE, || audit.count(measured) == 3);
    let status = network.status();
    let node = &status["nodes"][1];
    assert_eq!((&node["availability"], &node["availability_basis"]), (&80.0.into(), &"declared".into()));
    assert!(node["measured_availability"].as_f64().is_some_and(|percent| percent > 0.0), "{node}");
    // Latency is injected here: members do not see it.
    assert_eq!(audit.count("select count(*) from measured_links"), 0);
}

#[test]
fn of_two_that_call_themselves_one_node_the_second_is_refused() {
    let network = Network::new(&[]);
    let agents = [1, 2, 3].map(|agent| network.start(agent));
    network.stand("1 alive, 2 alive, 3 alive");
    let audit = Audit::of_new(&network.place.data());
    let key = || {
        let sql = "select public_key from nodes where id = 2";
        audit.table.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).expect("a row")
    };
    wait_until("node 2 is known by its key", PATIENCE, || key().is_some());
    let first = key();
    let [one, mut two, _three] = agents;
    two.kill();
    network.stand("1 alive, 2 dead, 3 alive");

    // The same agent from another data directory: it takes its turn, but its node has another key.
    let elsewhere = network.place.path().join("elsewhere");
    let pretender = network.start_in(&elsewhere, 2);
    wait_until("it is told so", PATIENCE, || pretender.output().contains("node 2 is known by another key"));
    wait_until("others refuse it", PATIENCE, || one.output().contains("calls itself node 2, with another key"));
    assert_eq!((key(), network.standing().as_str()), (first.clone(), "1 alive, 2 dead, 3 alive"));

    // A person lets go of the former key.
    let forgotten = network.ask(&["members", "--forget", "2"]);
    assert!(forgotten.out.starts_with("node 2 may come with another key"), "{} {}", forgotten.out, forgotten.err);
    network.stand("1 alive, 2 alive, 3 alive");
    assert!(key().is_some_and(|key| Some(key) != first), "{:?}", key());
}

#[test]
fn on_a_real_network_nothing_that_can_be_measured_is_declared() {
    let link = |between: &str, latency: &str| {
        format!("[[link]]\nbetween = {between}\nlatency = \"{latency}\"\njitter = \"7 ms\"\n")
    };
    let links = [link("[1, 2]", "1000 ms"), link("[1, 3]", "1500 ms"), link("[2, 3]", "1200 ms")];
    let network = Network::new(&[
        ("network.toml", "emulator = \"embedded\"", "emulator = \"none\""),
        ("network.toml", "availability = \"97 %\"\n", ""),
        ("network.toml", "availability = \"80 %\"\n", ""),
        ("network.toml", "availability = \"85 %\"\n", ""),
        ("network.toml", &links[0], ""),
        ("network.toml", &links[1], ""),
        ("network.toml", &links[2], ""),
    ]);
    let agents = [1, 2, 3].map(|agent| network.start(agent));
    let audit = Audit::of_new(&network.place.data());
    wait_until("all links are measured", PATIENCE, || audit.count("select count(*) from measured_links") == 6);
    let measured =
        "select count(*) from nodes where availability_percent is null and measured_availability_percent > 0";
    wait_until("all nodes are measured", PATIENCE, || audit.count(measured) == 3);
    let status = network.status();
    let node = &status["nodes"][0];
    assert_eq!(node["availability_basis"], "measured", "{node}");
    assert!(node["latency_ms"]["2"].as_f64().is_some_and(|ms| ms > 0.0), "{node}");
    let shown = network.ask(&["status"]).out;
    assert!(shown.contains("% measured") && shown.contains(" ms measured"), "{shown}");

    // What is declared is an override, until it is lifted.
    network.document(&["set", "availability", "2", "50", "--json"]).expect("a change");
    network.document(&["set", "latency", "1", "2", "70 ms", "--json"]).expect("a change");
    let shown = network.ask(&["status"]).out;
    assert!(shown.contains("50 %") && shown.contains("2: 70 ms (measured "), "{shown}");
    let availability = network.ask(&["set", "availability", "2", "measured"]).out;
    assert_eq!(availability, "node 2 is as available as its peers measure, from the next job on\n");
    network.ask(&["set", "latency", "1", "2", "measured"]);
    assert_eq!(audit.count("select count(*) from links"), 0);

    // Without the table the members are there all the same.
    drop(audit);
    let data = network.place.data();
    let moved = network.place.path().join("away.db");
    std::fs::rename(data.join("network.db"), &moved).expect("it can be moved");
    // On a machine that is busy an answer takes more than the second that people wait.
    let members = network.ask(&["members", "--deadline", "30s"]);
    assert_eq!(members.code, Some(0), "{}", members.err);
    assert!(members.err.contains("# without the table: "), "{}", members.err);
    assert_eq!(members.out.matches(" alive ").count(), 3, "{}", members.out);
    drop(agents);
}

#[test]
fn agents_join_while_the_table_is_away_and_begin_when_it_is_there() {
    let mut server = match MariaDb::start(&[]) {
        Ok(server) => server,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let schema = server.schema();
    let address = format!("mysql://{USER}@127.0.0.1:{}/{schema}", server.port());
    let environment = [("AGENT_KNOWLEDGE", address.as_str()), ("AGENT_DATABASE_PASSWORD", PASSWORD)];
    let place = Place::new();
    let ports: [u16; 2] = free_ports();
    let configuration = |name: &str, own: u16, other: u16| {
        let listen =
            format!("[membership]\nlisten = \"127.0.0.1:{own}\"\njoin = [\"127.0.0.1:{other}\"]\n\n[feedback]");
        place.configuration(name, &[("network.toml", "[feedback]", &listen)])
    };
    let configurations = [configuration("one", ports[0], ports[1]), configuration("three", ports[1], ports[0])];
    let start = |name: &str, arguments: &[&str], config: &Path| {
        let data = place.path().join(format!("data-{name}"));
        let line = [arguments, &["--config", text(config), "--data", text(&data)]].concat();
        Running::start_with(&environment, place.path(), name, &line)
    };
    let training = place.training();
    let run =
        |name: &str, id: &str, config: &Path| start(name, &["run", "--id", id, "--training", text(&training)], config);
    let mut made = start("db", &["db", "init"], &configurations[0]);
    assert_eq!(made.ends_within(PATIENCE), Some(0), "{}", made.errors());
    server.kill();

    let (one, mut three) = (run("one", "1", &configurations[0]), run("three", "3", &configurations[1]));
    let waits = "the agent begins when the table is there";
    wait_until("agent 1 waits", PATIENCE, || one.output().contains(waits));
    let sees = |expected: &str| {
        let at = format!("127.0.0.1:{}", ports[0]);
        let mut asked = start("members", &["members", "--json", "--at", &at], &configurations[0]);
        asked.ends_within(PATIENCE);
        let members: Vec<Value> = serde_json::from_str(&asked.output()).unwrap_or_default();
        let each =
            members.iter().map(|member| format!("{} {}", member["node"], member["standing"].as_str().expect("a word")));
        each.collect::<Vec<_>>().join(", ") == expected
    };
    wait_until("they know each other", PATIENCE, || sees("1 alive, 3 alive"));

    server.restart();
    let count = |sql: &str| server.execute(&format!("use {schema}; {sql}"))[0].parse::<i64>().expect("a number");
    let jobs = |agent: u32| count(&format!("select count(*) from measurements where agent = {agent}"));
    wait_until("both run jobs", PATIENCE, || jobs(1) > 0 && jobs(3) > 0);
    wait_until("both are introduced", PATIENCE, || {
        count("select count(*) from nodes where public_key is not null") == 2
    });

    // Away again, while a node dies: the others know, and nothing that was measured is lost.
    let before = jobs(1);
    server.kill();
    three.kill();
    wait_until("node 3 is dead to node 1", PATIENCE, || sees("1 alive, 3 dead"));
    server.restart();
    let jobs = |agent: u32| {
        let counted = server.execute(&format!("select count(*) from {schema}.measurements where agent = {agent}"));
        counted[0].parse::<i64>().expect("a number")
    };
    wait_until("agent 1 goes on", PATIENCE, || jobs(1) > before);
    let _three = run("three", "3", &configurations[1]);
    wait_until("node 3 is back", PATIENCE, || sees("1 alive, 3 alive"));
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let network = Network::new(&[]);
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let finished = network.ask(arguments);
        assert_eq!((finished.code, finished.out.as_str()), (Some(code), ""), "{arguments:?}: {}", finished.err);
        assert!(finished.err.contains(expected), "{arguments:?}: {}", finished.err);
    };
    std::fs::create_dir(network.place.data()).expect("a directory");
    check(
        &["members"],
        1,
        "no member of the network is known here; start an agent, or say where one listens with --at",
    );
    check(&["members", "--at", "nowhere"], 2, "--at nowhere: write it like `10.0.0.4:7946`");
    check(&["members", "--at", "127.0.0.1:9", "--deadline", "200ms"], 1, "none of 1 members answers (127.0.0.1:9)");
    check(&["query", "2", "--quorum", "0"], 2, "--quorum");
    check(&["query", "2", "--within", "long"], 2, "--within");
}
