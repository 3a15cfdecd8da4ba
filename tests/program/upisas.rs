//! Decisions from outside: the uniform interface of exemplars, as its clients use it.

use crate::api::{Answer, exchange};
use crate::network::mariadb::free_ports;
use crate::network::process::{Running, json, run};
use crate::network::{PATIENCE, Place, repository, text, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

struct Interface {
    running: Running,
    place: Place,
    address: SocketAddr,
}

impl Interface {
    fn start(arguments: &[&str]) -> Self {
        let place = Place::new();
        let data = place.data();
        let served = ["--upisas", "127.0.0.1:0", "--data", text(&data)];
        let running = Running::start(place.path(), "upisas", &[arguments, &served[..]].concat());
        let mut address = None;
        wait_until("the interface is announced", PATIENCE, || {
            let errors = running.errors();
            let url = errors.split_once("# UPISAS: http://").map(|(_, rest)| rest);
            address = url.and_then(|rest| rest.split('/').next()?.parse().ok());
            address.is_some()
        });
        Self { running, place, address: address.expect("it was found") }
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let (length, address) = (body.len(), self.address);
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n");
        exchange(address, format!("{head}{headers}\r\n{body}").as_bytes())
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    fn put(&self, path: &str, body: &Value) -> u16 {
        self.ask("PUT", path, "Content-Type: application/json\r\n", &body.to_string()).status
    }

    fn last_adaptation(&self, agent: u32) -> Value {
        self.get(&format!("/agents/{agent}/monitor"))["last_adaptation"].clone()
    }
}

#[test]
fn agents_that_run_do_what_they_are_ordered_and_say_what_became_of_it() {
    let mut demo = Interface::start(&["demo", "--no-api"]);
    wait_until("agent 1 has run a job", PATIENCE, || demo.get("/agents/1/monitor")["jobs"] != json!(0));
    let monitored = demo.get("/agents/1/monitor");
    assert_eq!((&monitored["reference"], &monitored["replicas"]), (&json!(3), &json!([3])));
    assert!(monitored["response_time_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{monitored}");
    assert_eq!(monitored["last_adaptation"]["status"], Value::Null);
    let options = demo.get("/agents/1/adaptation_options");
    assert_eq!(options["action"]["values"], json!(["NA", "M3_1", "M3_2", "C3_1", "C3_2"]));
    assert!(options["action"]["impacts"]["C3_1"]["response_time"].as_f64().is_some_and(|impact| impact > 0.0));

    // What is refused is seen where the client looks.
    assert_eq!(demo.put("/agents/1/execute", &json!({ "action": "CR2" })), 200);
    wait_until("it is refused", PATIENCE, || demo.last_adaptation(1)["status"] == json!("refused"));
    assert_eq!(demo.last_adaptation(1)["reason"], "it is none of what agent 1 can do now");
    assert_eq!(demo.put("/agents/1/execute", &json!({ "actoin": "NA" })), 422);
    let last = demo.last_adaptation(1);
    assert_eq!((&last["status"], &last["reason"]), (&json!("refused"), &json!("`actoin`: there is no such key")));

    assert_eq!(demo.put("/network/execute", &json!({ "agent_1": "C3_1", "agent_2": "NA", "agent_3": "NA" })), 200);
    wait_until("it is done", PATIENCE, || demo.last_adaptation(1)["status"] == json!("done"));
    let network = demo.get("/network/monitor");
    assert_eq!(network["placement"]["blood_tests"]["replicas"], json!([1, 3]));
    assert_eq!(network["placement"]["blood_tests"]["references"], json!({ "agent_1": 1, "agent_2": 3, "agent_3": 3 }));
    assert_eq!(network["agent_2"]["last_adaptation"]["id"], Value::Null, "nothing is not ordered");

    let data = demo.place.data();
    let events = json(demo.place.path(), &["events", "--json", "--data", text(&data)]);
    assert_eq!(events.as_array().map(Vec::len), Some(1), "nobody did anything else: {events}");
    let explained = run(demo.place.path(), &["explain", "1", "--data", text(&data)]);
    assert!(explained.out.contains("because   it was ordered from outside"), "{explained:?}");
    assert!(explained.out.contains("policy    external"), "{explained:?}");

    demo.running.signal(Signal::INT);
    assert!(demo.running.ends_within(Duration::from_secs(10)).is_some());
}

#[test]
fn strangers_and_nonsense_are_refused() {
    let scenario = repository().join("fixtures/scenarios/published.toml");
    let mut simulated = Interface::start(&["simulate", "--scenario", text(&scenario), "--hours", "1"]);
    let status =
        |method: &str, path: &str, headers: &str, body: &str| simulated.ask(method, path, headers, body).status;
    assert_eq!(status("GET", "/", "", ""), 200);
    assert_eq!(status("GET", "/network/", "", ""), 200);
    for path in ["/monitor", "/agents/9/monitor", "/agents/x/monitor", "/agents/1/moniter", "/nodes/1/monitor"] {
        assert_eq!(status("GET", path, "", ""), 404, "{path}");
    }
    assert_eq!(status("POST", "/network/execute", "", "{}"), 405);
    assert_eq!(status("PUT", "/network/execute", "Origin: http://example.org\r\n", "{}"), 403);
    assert_eq!(status("PUT", "/network/execute", "", "{"), 400);
    assert_eq!(status("PUT", "/network/execute", "", &format!("{}1", "[".repeat(10_000))), 400);
    assert_eq!(status("PUT", "/network/execute", "", &"x".repeat(2 << 20)), 413);
    let name = format!("GET / HTTP/1.1\r\nHost: example.org:{}\r\nConnection: close\r\n\r\n", simulated.address.port());
    assert_eq!(exchange(simulated.address, name.as_bytes()).status, 403);

    let taken = simulated.address.to_string();
    let arguments = ["simulate", "--scenario", text(&scenario), "--upisas", &taken];
    let refused = run(simulated.place.path(), &arguments);
    assert!(refused.err.contains("UPISAS cannot listen on 127.0.0.1:"), "{refused:?}");
    let other = run(simulated.place.path(), &[&arguments[..], &["--policy", "fixed"]].concat());
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.err.contains("agents whose policy is `fixed` decide for themselves"), "{other:?}");

    // What it came to until then is said.
    simulated.running.signal(Signal::INT);
    assert_eq!(simulated.running.ends_within(Duration::from_secs(10)), Some(0), "{}", simulated.running.errors());
    assert!(simulated.running.output().contains("policy external"), "{}", simulated.running.output());
}

#[test]
fn a_simulation_goes_on_with_what_is_asked() {
    let scenario = repository().join("fixtures/scenarios/published.toml");
    let mut simulated = Interface::start(&["simulate", "--scenario", text(&scenario), "--hours", "0.5", "--json"]);
    let time = |monitored: &Value| monitored["time_s"].as_f64().expect("a number");
    let first = simulated.get("/agents/2/monitor");
    assert_eq!(first["jobs"], 1);
    let options = simulated.get("/agents/2/adaptation_options");
    assert_eq!(simulated.get("/agents/2/adaptation_options"), options, "asking takes no time");
    let second = simulated.get("/agents/2/monitor");
    assert_eq!(second["jobs"], 2);
    assert!(time(&second) > time(&first));
    let all = |network: &Value| (1..=3).map(|id| network[format!("agent_{id}")]["jobs"].as_u64().unwrap()).sum::<u64>();
    let network = simulated.get("/network/monitor");
    assert_eq!(all(&simulated.get("/network/monitor")), all(&network) + 1, "one job");

    assert_eq!(simulated.put("/agents/2/execute", &json!({ "action": "C3_2" })), 200);
    let after = simulated.get("/agents/2/monitor");
    assert_eq!((&after["last_adaptation"]["status"], &after["reference"]), (&json!("done"), &json!(2)), "{after}");
    let mut seconds = time(&after);
    while seconds < 1800.0 {
        seconds = time(&simulated.get("/agents/2/monitor"));
    }
    assert_eq!(simulated.running.ends_within(PATIENCE), Some(0), "{}", simulated.running.errors());
    let document: Value = serde_json::from_str(&simulated.running.output()).expect("a document");
    assert_eq!(document["policy"], "external");
    assert_eq!(document["scenario_seconds"], 1800.0, "{document}");
}

/// What the two strategies come to in lockstep, by the client that stands in for the published one.
#[test]
fn strategies_in_python_decide_by_the_clients_rules() {
    let needs = Command::new("python3").args(["-c", "import requests, jsonschema"]).output();
    if !needs.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: python3 with requests and jsonschema is not installed (pip install requests jsonschema)");
        return;
    }
    let scenario = repository().join("fixtures/scenarios/published.toml");
    let place = Place::new();
    let none =
        json(place.path(), &["simulate", "--scenario", text(&scenario), "--hours", "1", "--policy", "none", "--json"]);
    let violated =
        |agents: &Value| agents.as_array().unwrap().iter().map(|one| one["violated"].as_u64().unwrap()).sum::<u64>();
    let by_nobody = violated(&none["agents"]);
    let [port] = free_ports::<1>();
    let figures = || {
        let ran = Command::new("python3")
            .arg(repository().join("upisas/run.py"))
            .args([text(&scenario), "--seeds", "1", "--hours", "1", "--port", &port.to_string()])
            .args(["--binary", env!("CARGO_BIN_EXE_agent")])
            .env("PYTHONPATH", repository().join("tests/program/upisas"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("python runs");
        let output = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{output}{}", String::from_utf8_lossy(&ran.stderr));
        output
    };
    let output = figures();
    for strategy in ["reactive", "planning"] {
        let line = output.lines().find(|line| line.contains(strategy)).unwrap_or_else(|| panic!("{output}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, "violated", violated, "actions", actions] = words.as_slice() else { panic!("{line}") };
        let (violated, actions): (f64, f64) = (violated.parse().unwrap(), actions.parse().unwrap());
        assert!(violated * 4.0 < by_nobody as f64 && actions >= 1.0, "{line}; by nobody {by_nobody}");
    }
    assert_eq!(figures(), output, "the same strategy makes the same run");
}
