//! Agents as processes of their own on one data directory, and the commands that look at them and change their network.

use crate::network::audit::Audit;
use crate::network::process::{Running, json, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Four hours of the scenario at the shipped scale.
const FOUR_HOURS: Duration = Duration::from_secs(4 * 3600 / 50);
/// What is promised from the signal to the end.
const IN_ORDER: Duration = Duration::from_secs(5);

/// Command lines about one network.
struct Network {
    place: Place,
    config: String,
    data: String,
}

impl Network {
    fn new(edits: &[(&str, &str, &str)]) -> Self {
        let place = Place::new();
        let (config, data) = (text(&place.configuration("agents", edits)).to_owned(), text(&place.data()).to_owned());
        Self { place, config, data }
    }

    fn line<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [arguments, &["--config", &self.config, "--data", &self.data]].concat()
    }

    fn start(&self, agent: u32) -> Running {
        let (id, training) = (agent.to_string(), self.place.training());
        let arguments = ["run", "--id", &id, "--training", text(&training)];
        Running::start(self.place.path(), &format!("agent-{agent}"), &self.line(&arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json(self.place.path(), &self.line(arguments))
    }

    /// What `agent status` says, well or not: its exit code agrees.
    fn status(&self) -> Value {
        let finished = run(self.place.path(), &self.line(&["status", "--json"]));
        let status: Value = serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
        let is_healthy = ["unhealthy", "broken"].iter().all(|what| list(&status[what]).is_empty());
        assert_eq!(finished.code, Some(if is_healthy { 0 } else { 4 }), "{status:#}");
        status
    }

    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        succeed(self.place.path(), &self.line(arguments)).lines().map(str::to_owned).collect()
    }
}

#[test]
fn three_processes_converge_outlive_one_of_them_and_end_in_order() {
    let network = Network::new(&[]);
    let mut agents = [1, 2, 3].map(|agent| network.start(agent));
    let audit = Audit::of_new(&network.place.data());
    wait_until("the agents have registered", PATIENCE, || audit.count("select count(*) from agents") == 3);
    let mut status = Value::Null;
    wait_until("all goals are met", FOUR_HOURS, || {
        for agent in &mut agents {
            assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
        }
        status = network.status();
        status["converged"] == true
    });
    for agent in list(&status["agents"]) {
        assert_eq!((&agent["alive"], &agent["goal_met"]), (&Value::Bool(true), &Value::Bool(true)), "{status:#}");
    }
    assert_eq!(status["broken"], Value::Array(Vec::new()));

    looking_tells_what_happened(&network, &audit);
    changing_is_written_down(&network, &audit);
    a_second_process_is_refused(&network, &agents[1]);

    let [one, two, mut three] = agents;
    three.kill();
    let jobs = |agent| audit.count(&format!("select count(*) from measurements where agent = {agent}"));
    let before = [jobs(1), jobs(2)];
    wait_until("the others go on", PATIENCE, || jobs(1) > before[0] + 3 && jobs(2) > before[1] + 3);
    let alive = |status: Value| list(&status["agents"]).iter().map(|agent| agent["alive"] == true).collect::<Vec<_>>();
    wait_until("the dead one is missed", PATIENCE, || {
        status = network.status();
        alive(status.clone()) == [true, true, false]
    });
    let unhealthy = status["unhealthy"].to_string();
    for who in ["node 3 is silent since ", "agent 3 is silent since "] {
        assert!(unhealthy.contains(who), "{unhealthy}");
    }

    for mut agent in [one, two] {
        agent.signal(Signal::TERM);
        let code = agent.ends_within(IN_ORDER);
        assert_eq!((code, agent.errors().as_str()), (Some(0), ""), "{}", agent.output());
    }
    assert_eq!(alive(network.status()), [false, false, false]);
    assert_eq!(audit.broken(), Vec::<String>::new());
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn looking_tells_what_happened(network: &Network, audit: &Audit) {
    let status = network.lines(&["status"]).join("\n");
    for part in ["data set blood_tests", "replicas  node", "agent 1  ", "agent 3  ", "converged"] {
        assert!(status.contains(part), "there is no `{part}`:\n{status}");
    }

    let moved = "select id, agent, action, outcome from events where action_type = 'move' order by id limit 1";
    let (id, agent, action, outcome): (i64, u32, String, String) =
        audit.rows(moved, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).remove(0);
    let line = format!("event {id:<4} agent {agent}  {action:<5} {outcome:<8} window ");
    let events = network.lines(&["events"]);
    assert!(events.iter().any(|event| event.contains(&line)), "{events:#?}");
    let events = network.json(&["events", "--json"]);
    let event = list(&events).iter().find(|event| event["id"] == id).expect("it is among them");
    assert_eq!((&event["agent"], &event["action"]), (&Value::from(agent), &Value::from(action.as_str())));
    assert!(
        event["detail"].is_object() && event["posted_at"].as_str().is_some_and(|at| at.ends_with('Z')),
        "{event:#}"
    );

    let explained = network.lines(&["explain", &id.to_string()]);
    assert!(explained[0].starts_with(&format!("event {id}: agent {agent} chose {action} (move the data from node ")));
    for part in ["  policy    cooperative", "  plan      replicas on "] {
        assert!(explained.iter().any(|line| line.starts_with(part)), "no line `{part}`: {explained:#?}");
    }
    let explained = network.json(&["explain", &id.to_string(), "--json"]);
    assert_eq!(explained[0]["id"], id);
    assert_eq!(explained[1]["chosen"]["action"], action);
    assert!(explained[2].is_array(), "the feedback: {explained:#}");
    let unknown = run(network.place.path(), &network.line(&["explain", "9999"]));
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.starts_with("error: there is no event 9999; `agent events --"), "{}", unknown.err);

    let mut follow = Running::start(network.place.path(), "follow", &network.line(&["events", "--follow", "--json"]));
    wait_until("events are followed", PATIENCE, || follow.output().lines().count() >= list(&events).len());
    follow.signal(Signal::INT);
    assert_eq!(follow.ends_within(IN_ORDER), Some(0), "{}", follow.errors());
    let first: Value = serde_json::from_str(follow.output().lines().next().expect("a line")).expect("JSON lines");
    assert_eq!(first["id"], events[0]["id"]);

    let check = network.json(&["check", "--json"]);
    assert!(check.is_object(), "{check:#}");
    assert!(network.lines(&["check"]).iter().any(|line| line.starts_with("agent 1 on node 1")));
}

fn changing_is_written_down(network: &Network, audit: &Audit) {
    let latency = |from, to| {
        let sql = format!("select latency_ms from links where from_node = {from} and to_node = {to}");
        audit.rows(&sql, |row| row.get::<_, f64>(0)).remove(0)
    };
    let changed = network.json(&["set", "latency", "2", "3", "1.1 s", "--one-way", "--json"]);
    let expected = serde_json::json!({"latency": {"from": 2, "to": 3, "latency_ms": 1100.0, "both_directions": false}});
    assert_eq!(changed, expected);
    assert_eq!((latency(2, 3), latency(3, 2)), (1100.0, 1200.0));
    network.json(&["set", "latency", "2", "3", "1300 ms", "--json"]);
    assert_eq!((latency(2, 3), latency(3, 2)), (1300.0, 1300.0));

    let changed = network.json(&["set", "availability", "2", "81", "--json"]);
    assert_eq!(changed, serde_json::json!({"availability": {"node": 2, "percent": 81.0}}));
    // It acts from the next job on.
    let seen = "select count(*) from measurements where node = 2 and availability_percent = 81";
    wait_until("a job on node 2 sees it", PATIENCE, || audit.count(seen) > 0);

    let unknown = run(network.place.path(), &network.line(&["set", "availability", "9", "81"]));
    assert_eq!((unknown.code, unknown.err.as_str()), (Some(1), "error: set availability: node 9 is not registered\n"));
}

fn a_second_process_is_refused(network: &Network, holder: &Running) {
    let mut second = network.start(2);
    assert_eq!(second.ends_within(PATIENCE), Some(1));
    let message = format!(
        "error: {}/agent-2.lock: agent 2 already runs here (process {}); stop it first\n",
        network.data,
        holder.id()
    );
    assert_eq!(second.errors(), message);
}

#[test]
fn an_agent_that_is_not_configured_is_refused() {
    let network = Network::new(&[]);
    let refused = run(network.place.path(), &network.line(&["run", "--id", "9"]));
    assert_eq!(refused.code, Some(2));
    assert_eq!(refused.err, "error: --id 9: there is no 9.toml; agents are 1, 2, 3\n");
    assert!(!network.place.data().exists(), "nothing was started");
}

#[test]
fn an_untrained_agent_names_the_command_that_trains_it() {
    // Another link: what was trained for the shipped environment says nothing about this one.
    let network = Network::new(&[("network.toml", "latency = \"1000 ms\"", "latency = \"900 ms\"")]);
    let nothing = network.place.path().join("nothing");
    fs::create_dir(&nothing).expect("a directory");
    let arguments = ["run", "--id", "1", "--training", text(&nothing)];
    let refused = run(network.place.path(), &network.line(&arguments));
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.starts_with("error: agent 1 has not been trained"), "{}", refused.err);
    let command = format!("--training {}` first, or add --train", text(&nothing));
    assert!(refused.err.contains("run `agent train --id 1 --") && refused.err.contains(&command), "{}", refused.err);
}
