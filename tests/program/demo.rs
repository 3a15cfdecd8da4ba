//! `agent demo` as a user runs it: what it says at its end is true, and it ends when it is told to.

use crate::network::audit::Audit;
use crate::network::process::{Running, run, run_within, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use agent::storage::ObjectStore as _;
use agent::storage::embedded::{EmbeddedSettings, EmbeddedStore};
use agent::storage::s3::{S3Settings, S3Store};
use agent::storage::transfer::{Expected, verify};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;

/// Four hours of the scenario at the shipped scale, and what starting and ending takes.
const FOUR_HOURS: Duration = Duration::from_secs(4 * 3600 / 50 + 60);

/// One demo at a time: two would measure each other's load.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // The demo of a test that failed was killed when it was dropped.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::test]
async fn the_fixed_policy_converges_and_its_summary_is_true() {
    converges("fixed", 11).await;
}

#[tokio::test]
async fn the_reference_policy_converges_and_its_summary_is_true() {
    converges("reference", 12).await;
}

/// Those of node 1 are awake for half an hour, then those of node 2.
#[tokio::test]
async fn data_follows_the_users_of_services() {
    let turn = alone();
    let place = Place::new();
    let data = place.data();
    let mut demo =
        Running::start(place.path(), "demo", &["demo", "--live", "--json", "--data", text(&data), "--limit", "35min"]);
    let code = demo.ends_within(FOUR_HOURS);
    drop(turn);
    let summary: Value = serde_json::from_str(&demo.output()).expect("one JSON document and nothing else");
    assert_eq!((code, demo.errors().as_str()), (Some(0), ""), "{summary:#}");
    let actions = summary["actions"].as_array().expect("a list");
    let of = |agent: u32, label: &str| actions.iter().any(|it| it["agent"] == agent && it["action"] == label);
    assert!(of(1, "M3_1") && of(2, "M1_2"), "{summary:#}");
    let measured = Audit::open(&data).expect("the table is there");
    let tails = "select count(*) from measurements where response_time_p95_s >= response_time_s * 0.5
        and response_time_p99_s >= response_time_p95_s and error_rate_percent = 0 and throughput_records_per_s > 10";
    assert!(measured.count(tails) > 10, "{summary:#}");
    assert_eq!(measured.count("select count(*) from measurements where agent = 3"), 0, "who sleeps measures nothing");
}

async fn converges(policy: &str, seed: u64) {
    let turn = alone();
    let place = Place::new();
    let (data, seed_text) = (place.data(), seed.to_string());
    let arguments =
        ["demo", "--seed", &seed_text, "--policy", policy, "--json", "--data", text(&data), "--limit", "4h"];
    let mut demo = Running::start(place.path(), "demo", &arguments);
    let audit = Audit::of_new(&data);
    let code = demo.ends_within(FOUR_HOURS);
    drop(turn);
    let summary: Value = serde_json::from_str(&demo.output()).expect("one JSON document and nothing else");
    assert_eq!((code, demo.errors().as_str()), (Some(0), ""), "{summary:#}");

    assert_eq!(summary["converged"], true);
    assert_eq!(summary["seed"], seed);
    assert_eq!(summary["policy"], policy);
    assert_eq!(summary["references"]["1"], 1, "{summary:#}");
    assert_eq!(summary["references"]["2"], 2, "{summary:#}");
    let (scenario, real) = (summary["scenario_seconds"].as_f64(), summary["real_seconds"].as_f64());
    let (scenario, real) = (scenario.expect("a number"), real.expect("a number"));
    assert!((scenario / real - 50.0).abs() < 1.0, "{scenario} s of the scenario in {real} s");

    let actions = summary["actions"].as_array().expect("a list");
    assert!(
        !actions.is_empty() && actions.iter().all(|action| action["internal"].is_f64() && action["global"].is_f64())
    );
    assert_eq!(counted_again(&audit, &summary), summary, "the summary says something else than the tables");
    assert_eq!(audit.broken(), Vec::<String>::new());
    assert_eq!(audit.orphans(), Vec::<String>::new());
    assert_eq!(audit.count("select count(*) from events where outcome = 'running'"), 0);
    let goals_met = "select count(*) from measurements m where satisfied and id =
        (select max(id) from measurements where agent = m.agent)";
    assert_eq!(audit.count(goals_met), 3);
    stores_hold_the_replicas(&audit, &data).await;
}

/// The summary's document from the tables alone; what only the run can know is taken over from `claimed`.
fn counted_again(audit: &Audit, claimed: &Value) -> Value {
    let bytes = audit.content().bytes;
    let jobs =
        "select agent, sum(failure is null), sum(failure is null and satisfied = 0), (select count(*) from events e
            where e.agent = m.agent and e.outcome = 'done' and e.action_type <> 'nothing'), sum(failure is not null)
        from measurements m group by agent order by agent";
    let agents = audit.rows(jobs, |row| {
        let count = |column| row.get::<_, i64>(column);
        let actions = count(3)?;
        Ok(json!({
            "id": count(0)?, "jobs": count(1)?, "violated": count(2)?, "failed": count(4)?, "actions": actions,
        }))
    });
    // Added up in the order in which it was left, as the agents do: `sum` would differ in the last bit.
    let left = "select event, p from feedback order by rowid";
    let mut feedback = BTreeMap::<i64, f64>::new();
    for (event, p) in audit.rows(left, |row| Ok((row.get(0)?, row.get::<_, f64>(1)?))) {
        *feedback.entry(event).or_default() += p;
    }
    let acted =
        "select id, agent, action, explored, outcome, detail, posted_at_ms - (select min(posted_at_ms) from events),
            exists (select 1 from claims where event = e.id and role = 'destination')
        from events e where action_type <> 'nothing' order by id";
    let sum = |event: i64| feedback.get(&event).copied().unwrap_or(0.0);
    let actions = audit.rows(acted, |row| {
        let (action, outcome) = (row.get::<_, String>(2)?, row.get::<_, String>(4)?);
        let decision: Value = serde_json::from_str(&row.get::<_, String>(5)?).expect("a decision is JSON");
        let travelled = outcome == "done" && row.get::<_, bool>(7)?;
        let scored = decision["scored"].as_array().expect("the candidates");
        let chosen = scored.iter().find(|one| one["action"] == action.as_str()).expect("the chosen one is a candidate");
        let score = |part| chosen.pointer(&format!("/verdict/feasible/{part}")).cloned().unwrap_or(Value::Null);
        Ok(json!({
            "event": row.get::<_, i64>(0)?, "agent": row.get::<_, i64>(1)?, "action": action,
            "explored": row.get::<_, bool>(3)?, "feedback": sum(row.get(0)?), "outcome": outcome,
            "internal": score("internal"), "global": score("global"), "because": decision["violated"],
            "at_seconds": row.get::<_, i64>(6)? as f64 / 1e3, "bytes": if travelled { bytes } else { 0 },
        }))
    });
    let present = audit.replicas().into_iter().filter(|replica| replica.state == "present");
    let mut replicas: Vec<u32> = present.map(|replica| replica.node).collect();
    replicas.sort_unstable();
    let references: BTreeMap<String, u32> =
        audit.references().into_iter().map(|(agent, node)| (agent.to_string(), node)).collect();
    let bytes_moved: u64 = actions.iter().filter_map(|action| action["bytes"].as_u64()).sum();
    // Written and read as the claimed ones were: reading a number may differ in its last bit.
    let actions: Value = serde_json::from_str(&Value::Array(actions).to_string()).expect("a list");
    json!({
        "converged": claimed["converged"], "seed": claimed["seed"], "policy": claimed["policy"],
        "scenario_seconds": claimed["scenario_seconds"], "real_seconds": claimed["real_seconds"],
        "replicas": replicas, "references": references, "agents": agents,
        "bytes_moved": bytes_moved, "counters": audit.counters(), "actions": actions,
    })
}

/// Starts each node's store again on its directory: it serves the replicas of the catalogue, whole, and nothing else.
async fn stores_hold_the_replicas(audit: &Audit, data: &Path) {
    let content = audit.content();
    let expected = Expected { bytes: content.bytes, sha256: content.sha256 };
    for node in [1, 2, 3] {
        let settings = EmbeddedSettings::new(data.join("nodes").join(node.to_string()), "agent");
        let server = EmbeddedStore::start(settings, &Handle::current()).expect("nobody else has the directory");
        let store = S3Store::new(S3Settings::new(server.endpoint(), "agent", server.credentials().clone()));
        let listed: Vec<String> = store.list("").await.expect("a list").into_iter().map(|object| object.key).collect();
        let replicas = audit.replicas().into_iter().filter(|replica| replica.node == node);
        let named: Vec<String> = replicas.map(|replica| replica.object_key).collect();
        assert_eq!(listed, named, "node {node}");
        for key in &named {
            assert_eq!(verify(&store, key, &expected).await.expect("a whole object").bytes(), content.bytes);
        }
        server.shutdown().await;
    }
}

#[test]
fn a_limit_that_is_too_short_is_exit_code_3() {
    let _turn = alone();
    let place = Place::new();
    let ended = run_within(
        PATIENCE,
        place.path(),
        &["demo", "--json", "--data", text(&place.data()), "--policy", "fixed", "--limit", "1s"],
    );
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let summary: Value = serde_json::from_str(&ended.out).expect("one JSON document");
    assert_eq!(summary["converged"], false);
    assert_eq!(summary["actions"], json!([]));
}

#[test]
fn ctrl_c_ends_it_in_order() {
    let _turn = alone();
    let place = Place::new();
    let data = place.data();
    let arguments = ["demo", "--data", text(&data)];
    let mut demo = Running::start(place.path(), "demo", &arguments);
    let audit = Audit::of_new(&data);
    wait_until("jobs run", PATIENCE, || audit.count("select count(*) from measurements") > 3);
    demo.signal(Signal::INT);
    assert_eq!(demo.ends_within(Duration::from_secs(5)), Some(130), "{}", demo.errors());
    let errors = demo.errors();
    let (served, stopped) = errors.split_once('\n').expect("two lines");
    assert!(served.starts_with("# the page and the API: http://127.0.0.1:"), "{errors}");
    assert_eq!(stopped, "stopped before the network had converged\n");
    assert!(demo.output().lines().all(|line| line.contains("Z  agent ")), "{}", demo.output());
    assert_eq!(processes_about(&data), Vec::<String>::new());
    assert_eq!(audit.broken(), Vec::<String>::new());
    assert_eq!(audit.orphans(), Vec::<String>::new());
    assert_eq!(audit.count("select count(*) from events where outcome = 'running'"), 0);

    // Nothing is held any more: the next one starts in the same place.
    let again = run(place.path(), &["demo", "--data", text(&data), "--limit", "1s", "--json"]);
    assert_eq!(again.code, Some(3), "{again:?}");
}

/// The command lines that name a path.
fn processes_about(path: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("this is Linux").map_while(Result::ok);
    let command_lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    command_lines.filter(|line| line.contains(text(path))).collect()
}

#[test]
fn a_directory_with_something_else_is_left_alone() {
    let place = Place::new();
    let data = place.data();
    fs::create_dir(&data).expect("a directory");
    fs::write(data.join("thesis.tex"), "precious").expect("a file");
    let refused = run(place.path(), &["demo", "--data", text(&data)]);
    let message = format!(
        "error: {}: this directory holds something else than a demo; choose another with --data\n",
        text(&data)
    );
    assert_eq!((refused.code, refused.out.as_str(), refused.err.as_str()), (Some(1), "", message.as_str()));
    let left: Vec<_> =
        fs::read_dir(&data).expect("it is there").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["thesis.tex"]);
}

#[test]
fn what_is_set_while_it_runs_acts_from_the_next_job_on() {
    let _turn = alone();
    let place = Place::new();
    let (data, training) = (place.data(), place.training());
    // Without exploration the first action moves the one replica to node 1 or 2, and the other one's agent reads it there.
    let config = place.configuration("agents", &[("network.toml", "exploration = 0.1", "exploration = 0")]);
    let about = ["--config", text(&config), "--data", text(&data)];
    let arguments = [&["demo", "--limit", "4h", "--training", text(&training)], &about[..]].concat();
    let _demo = Running::start(place.path(), "demo", &arguments);
    let audit = Audit::of_new(&data);
    wait_until("the links are in the table", PATIENCE, || audit.count("select count(*) from links") == 6);

    let said = succeed(place.path(), &[&["set", "latency", "1", "2", "200 ms"], &about[..]].concat());
    assert_eq!(said, "the link between nodes 1 and 2 takes 200 ms, in both directions, from the next job on\n");
    let set_at = scenario_now();

    let on_the_link = format!(
        "select emulated_latency_ms, network_latency_ms from measurements where at_ms - response_time_s * 1000 > {set_at}
            and ((agent = 1 and node = 2) or (agent = 2 and node = 1)) order by id limit 1"
    );
    let mut seen = Vec::new();
    wait_until("a job runs over the link", FOUR_HOURS, || {
        seen = audit.rows(&on_the_link, |row| Ok((row.get::<_, f64>(0)?, row.get::<_, f64>(1)?)));
        !seen.is_empty()
    });
    // Jitter is 7 ms; what is measured comes on top of what is injected. It was 1000 ms before.
    let (emulated, measured) = seen[0];
    assert!((emulated - 200.0).abs() < 50.0, "{emulated} ms are emulated");
    assert!(measured > emulated - 1.0 && measured < 900.0, "{measured} ms are measured, {emulated} ms emulated");
}

/// Milliseconds of the scenario at the shipped scale.
fn scenario_now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_millis() * 50
}
