//! `agent calibrate` and `agent compare` as a user runs them, on tables that are written here, row by row, from simulated runs of
//! a known physics.

use crate::network::process::{Finished, json, run};
use crate::network::{Place, repository, text};
use agent::knowledge::sqlite::SqliteKnowledge;
use agent_core::config::Vocabulary;
use agent_core::config::scenario::{self, Physics, Scenario, Transfer};
use agent_core::domain::event::Event;
use agent_core::domain::measurement::Measurement;
use agent_core::domain::metric::Metric;
use agent_core::domain::time::Timestamp;
use agent_core::mape::notice::Notice;
use agent_core::sim::{self, Options, Told};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const VOCABULARY: Vocabulary = Vocabulary { policies: &["cooperative", "fixed", "reference"], expression: |_| Ok(()) };

fn fixture(name: &str) -> PathBuf {
    repository().join(format!("fixtures/scenarios/{name}.toml"))
}

fn read(path: &Path) -> Scenario {
    scenario::load(path, &VOCABULARY).unwrap_or_else(|error| panic!("error: {error}"))
}

/// Simulates, and writes what happened as the agents would have: a table that nothing but its numbers tells from a real one's.
fn table(path: &Path, scenario: &Scenario, policy: &str, seed: u64) {
    let mut jobs: Vec<(Measurement, bool)> = Vec::new();
    let mut tell = |_: Timestamp, told: &Told| {
        if let Told::Notice(Notice::Job { measurement, satisfied, .. }) = told {
            jobs.push((measurement.clone(), *satisfied));
        }
    };
    let lasts = Duration::from_secs(3600);
    let options = Options { policy: Some(policy.to_owned()), seed, lasts, until_converged: true };
    let outcome = sim::run(scenario, &options, Some(&mut tell), |_| {}).expect("no invariant is broken");
    SqliteKnowledge::open(path, Arc::new(agent_core::clock::VirtualClock::default())).expect("a new table");
    let table = Connection::open(path).expect("a file");
    let write = |sql: &str, values: &[&dyn rusqlite::ToSql]| _ = table.execute(sql, values).expect(sql);
    table.execute_batch("begin").expect("a transaction");
    for node in outcome.snapshot().nodes.values() {
        let (id, available) = (node.id.0, node.availability.value());
        write(
            "insert into nodes (id, name, availability_percent, state) values (?, ?, ?, 'stopped')",
            params![id, node.name, available],
        );
    }
    for link in outcome.snapshot().links.iter() {
        let (from, to) = (link.from.0, link.to.0);
        write("insert into links values (?, ?, ?, ?)", params![from, to, link.latency_ms, link.jitter_ms]);
    }
    let data_set = &outcome.snapshot().data_set;
    let (bytes, records) = (data_set.bytes as i64, data_set.records as i64);
    write(
        "insert into data_sets (name, object_key, bytes, records, sha256) values (?, 'key', ?, ?, ?)",
        params![data_set.name.0, bytes, records, data_set.sha256],
    );
    for peer in outcome.snapshot().agents.values() {
        let it = &peer.registration;
        let values = params![it.agent.0, it.node.0, it.goal, it.policy];
        write(
            "insert into agents (id, node, goal, policy, state, converged) values (?, ?, ?, ?, 'stopped', 1)",
            values,
        );
        write("insert into readers (agent, data_set) values (?, ?)", params![it.agent.0, data_set.name.0]);
    }
    jobs.iter().for_each(|(job, satisfied)| write_job(&table, job, *satisfied));
    outcome.events.iter().for_each(|event| write_event(&table, event));
    table.execute_batch("commit").expect("it is written");
}

fn write_job(table: &Connection, job: &Measurement, satisfied: bool) {
    let metric = |metric| job.metrics.get(metric);
    let sql = "insert into measurements (agent, data_set, replica, node, at_ms, response_time_s, execution_time_s,
            throughput_records_per_s, network_latency_ms, availability_percent, data_consistency, satisfied, job)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        job.agent.0,
        job.data_set.0,
        job.replica.0,
        job.node.0,
        job.at.0,
        metric(Metric::ResponseTime),
        metric(Metric::ExecutionTime),
        metric(Metric::Throughput),
        metric(Metric::NetworkLatency),
        metric(Metric::Availability),
        metric(Metric::DataConsistency),
        satisfied,
        job.job,
    ];
    table.execute(sql, values).expect("a measurement");
}

fn write_event(table: &Connection, event: &Event) {
    let sql =
        "insert into events (id, idempotency_key, agent, data_set, replica, action, action_type, from_node, to_node,
            explored, posted_at_ms, closes_at_ms, state, outcome, ended_at_ms, feedback_sum, detail)
        values (?1, ?1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let values = params![
        event.id.0,
        event.agent.0,
        event.data_set.0,
        event.replica.0,
        event.action.to_string(),
        event.action.kind().name(),
        event.action.from_node().map(|node| node.0),
        event.action.to_node().map(|node| node.0),
        event.explored,
        event.posted_at.0,
        event.closes_at.0,
        event.window.name(),
        event.outcome.name(),
        event.ended_at.map(|at| at.0),
        event.feedback_sum,
        event.detail,
    ];
    table.execute(sql, values).expect("an event");
}

/// Tables of runs with these seeds.
fn tables(place: &Place, scenario: &Scenario, policy: &str, seeds: std::ops::RangeInclusive<u64>) -> Vec<String> {
    let path = |seed| place.path().join(format!("{policy}-{seed}.db"));
    seeds.map(|seed| (table(&path(seed), scenario, policy, seed), text(&path(seed)).to_owned()).1).collect()
}

fn agent(place: &Place, command: &str, runs: &[String], rest: &[&str]) -> Finished {
    let arguments: Vec<&str> = std::iter::once(command).chain(runs.iter().map(String::as_str)).collect();
    run(place.path(), &[&arguments, rest].concat())
}

fn succeeds(place: &Place, command: &str, runs: &[String], rest: &[&str]) -> Value {
    let done = agent(place, command, runs, &[rest, &["--json"]].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    serde_json::from_str(&done.out).expect("one JSON document")
}

/// As published, but every part of the physics is another than what is assumed where nothing is known.
fn known() -> Scenario {
    let mut scenario = read(&fixture("published"));
    scenario.physics.rules = scenario::Rules::Agents;
    scenario.physics.transfer = Transfer::Takes(Duration::from_secs(12));
    scenario.physics.poll = Duration::from_millis(1500);
    scenario.physics.execution_time.deviation = Duration::from_millis(300);
    scenario
}

/// `found` within four standard errors of what is true.
fn within(found: &Value, truth: f64) {
    let (mean, error) = (found["mean"].as_f64().expect("a mean"), found["deviation"].as_f64().expect("an error"));
    assert!((mean - truth).abs() < 4.0 * error && error < 0.01 * truth, "{mean} +- {error} instead of {truth}");
}

#[test]
fn a_known_physics_is_recovered_and_simulated() {
    let place = Place::new();
    let truth = known();
    let runs = tables(&place, &truth, "fixed", 1..=8);
    let output = place.path().join("measured.toml");
    let training = place.training();
    let found = succeeds(&place, "calibrate", &runs, &["--output", text(&output), "--training", text(&training)]);

    within(&found["response_time"]["base"], 10.0);
    within(&found["response_time"]["per_second_of_latency"], 29.4);
    within(&found["execution_time"]["base"], 4.0);
    within(&found["execution_time"]["per_second_of_latency"], 22.0);
    let jobs = found["response_time"]["n"].as_u64().expect("jobs") as f64;
    for (line, truth) in [("response_time", 0.5), ("execution_time", 0.3)] {
        let deviation = found[line]["deviation"].as_f64().expect("a deviation");
        assert!(
            (deviation - truth).abs() < 4.0 * truth / (2.0 * jobs).sqrt(),
            "{line}: {deviation} instead of {truth}"
        );
        assert!(found[line]["r2"].as_f64().expect("a share") > 0.99, "{found:#}");
    }
    assert_eq!((&found["transfer"]["mean"], &found["transfer"]["deviation"]), (&json!(12.0), &json!(0.0)));
    assert_eq!((&found["poll"]["least"], &found["poll"]["largest"]), (&json!(1.5), &json!(1.5)));
    assert_eq!((&found["records"], &found["bytes"]), (&json!(553_729), &json!(322_085_706)));
    assert_eq!(found["doubts"], json!([]));

    let written = read(&output);
    let Physics { poll, transfer, .. } = &written.physics;
    assert_eq!((poll, transfer), (&Duration::from_millis(1500), &Transfer::Takes(Duration::from_secs(12))));
    assert_eq!(written.network.nodes, truth.network.nodes);
    let first_nodes = |scenario: &Scenario| scenario.network.first_nodes();
    assert_eq!(first_nodes(&written), first_nodes(&truth));
    for (found, truth) in written.network.links.iter().zip(&truth.network.links) {
        assert_eq!((found.from, found.to), (truth.from, truth.to));
        assert!((found.latency_ms - truth.latency_ms).abs() < 10.0, "{found:?} instead of {truth:?}");
    }
    let goals = |scenario: &Scenario| scenario.agents.values().map(|agent| agent.goal.clone()).collect::<Vec<_>>();
    assert_eq!(goals(&written), goals(&truth));
    assert_eq!(written.impacts.len(), 3);
    let summary = json(place.path(), &["simulate", "--scenario", text(&output), "--until-converged", "--json"]);
    assert_eq!(summary["converged"], true, "{summary:#}");
}

#[test]
fn another_scenario_takes_the_measured_physics_over() {
    let place = Place::new();
    let runs = tables(&place, &known(), "fixed", 1..=2);
    for name in ["drift", "published"] {
        fs::copy(fixture(name), place.path().join(format!("{name}.toml"))).expect("a copy");
    }
    let (drift, output) = (place.path().join("drift.toml"), place.path().join("here.toml"));
    let done = agent(&place, "calibrate", &runs, &["--scenario", text(&drift), "--output", text(&output)]);
    assert_eq!(done.code, Some(0), "{done:?}");
    for line in ["response time", "transfer         12.00 s", "poll             1.50 s", "link 1-2", "scenario  "] {
        assert!(done.out.contains(line), "{}", done.out);
    }
    assert!(fs::read_to_string(&output).expect("a file").contains("\nbase = \"drift.toml\"\n"));
    let (base, written) = (read(&drift), read(&output));
    assert_eq!((&written.changes, &written.agents, &written.impacts), (&base.changes, &base.agents, &base.impacts));
    assert_eq!(written.physics.transfer, Transfer::Takes(Duration::from_secs(12)));

    let same = agent(&place, "calibrate", &runs, &["--scenario", text(&drift), "--output", text(&drift)]);
    assert_eq!(same.code, Some(2));
    assert!(same.err.contains("would replace the scenario that it builds on"), "{}", same.err);
}

#[test]
fn runs_agree_with_their_own_scenario_and_differ_from_another() {
    let place = Place::new();
    let truth = known();
    let runs = tables(&place, &truth, "fixed", 1001..=1012);
    let same = place.path().join("same.toml");
    let written = succeeds(&place, "calibrate", &runs, &["--output", text(&same)]);
    assert_eq!(written["runs"], 12);
    let compared = succeeds(&place, "compare", &runs, &["--scenario", text(&same), "--seeds", "1..40"]);
    assert_eq!(
        (&compared["agrees"], &compared["real"], &compared["simulated"]),
        (&json!(true), &json!(12), &json!(40))
    );
    assert_eq!(compared["policy"], "fixed");
    let measures = compared["measures"].as_array().expect("a list");
    assert_eq!(measures.len(), 3);
    for measure in measures {
        let (low, high) = (&measure["real"]["interval"][0], &measure["real"]["interval"][1]);
        let (mean, p) = (&measure["real"]["mean"], measure["test"]["p"].as_f64().expect("a chance"));
        assert!(low.as_f64() < mean.as_f64() && mean.as_f64() < high.as_f64() && p >= 0.05, "{measure:#}");
    }

    // With pauses ten times as long everybody takes far longer.
    let other = place.path().join("other.toml");
    let slow = fs::read_to_string(&same).expect("a file").replace("job_gap = \"15 s\"", "job_gap = \"150 s\"");
    fs::write(&other, slow).expect("a file");
    let differs = agent(&place, "compare", &runs, &["--scenario", text(&other), "--seeds", "1..40"]);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(
        differs.out.contains("DIFFER\n") && differs.out.contains("more seconds are simulated than are real"),
        "{differs:?}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = Place::new();
    let published = fixture("published");
    let runs = [tables(&place, &known(), "fixed", 1..=2), tables(&place, &known(), "reference", 1..=1)].concat();
    let check = |runs: &[String], rest: &[&str], expected: &str| {
        let refused = agent(&place, "compare", runs, &[&["--scenario", text(&published)], rest].concat());
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        assert_eq!(refused.err, format!("error: {expected}\n"));
    };
    check(&runs, &[], "the agents of these runs ran fixed, reference; compare the runs of one policy at a time");
    check(&runs[..2], &["--policy", "reference"], "--policy reference: the agents of these runs ran fixed");
    let few = "2 real and 3 simulated runs are too few to compare; at least 8 of each are";
    check(&runs[..2], &["--seeds", "1..3"], few);
    let other = fixture("conflict_10");
    let refused = agent(&place, "compare", &runs[..2], &["--scenario", text(&other)]);
    assert!(refused.err.contains("a real run 1, 2, 3; they are not of one network"), "{refused:?}");
}

#[test]
fn tables_that_cannot_be_used_are_named_with_what_to_do() {
    let place = Place::new();
    let path = |name: &str| text(&place.path().join(name)).to_owned();
    let check = |places: &[String], expected: &str| {
        let refused = agent(&place, "calibrate", places, &[]);
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
        let last = places.last().expect("a place");
        assert!(refused.err.starts_with(&format!("error: {last}: {expected}")), "{}", refused.err);
    };
    let none = "there is no such table; name the network.db of a run, or the directory of a demo\n";
    check(&[path("missing.db")], none);
    let folder = agent(&place, "calibrate", &[text(place.path()).to_owned()], &[]);
    assert!(folder.err.ends_with(&format!("/network.db: {none}")), "{folder:?}");
    assert!(!place.path().join("missing.db").exists(), "it was made");

    fs::write(
        path("text.db"),
        "no table at all, but longer than a header has to be for SQLite to look at it".repeat(9),
    )
    .unwrap();
    check(&[path("text.db")], "file is not a database; it is no SQLite file");
    Connection::open(path("other.db")).unwrap().execute_batch("create table t (x)").unwrap();
    check(&[path("other.db")], "this is an SQLite file of another program");
    SqliteKnowledge::open(Path::new(&path("empty.db")), Arc::new(agent_core::clock::VirtualClock::default())).unwrap();
    check(&[path("empty.db")], "its table holds 0 data sets, and a run has one; did the run begin?\n");

    let idle = tables(&place, &known(), "fixed", 1..=1);
    Connection::open(&idle[0]).unwrap().execute("delete from measurements", []).unwrap();
    check(&idle, "no job was measured in this run; let it run for a while\n");
    let (one, mut near) = (tables(&place, &known(), "fixed", 2..=2), known());
    near.network.links.iter_mut().for_each(|link| link.latency_ms = 5.0);
    let other = tables(&place, &near, "fixed", 3..=3);
    check(&[one[0].clone(), other[0].clone()], "the links have other latencies than in ");

    let url = agent(&place, "calibrate", &["mysql://user:secret@/agent".to_owned()], &[]);
    assert_eq!(url.code, Some(2));
    assert!(url.err.contains("names no host") && !url.err.contains("secret"), "{}", url.err);
}
