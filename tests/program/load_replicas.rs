//! A data set as a service: load goes to the stores that hold its replicas, wherever agents bring them.

use super::load_table::load;
use crate::network::process::{Running, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Of what reads; nothing while the file is not there yet.
fn texts(file: &Path, sql: &str) -> Vec<String> {
    let Ok(database) = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY) else { return Vec::new() };
    // Others are writing to it.
    database.busy_timeout(PATIENCE).expect("it can wait");
    let Ok(mut statement) = database.prepare(sql) else { return Vec::new() };
    statement.query_map([], |row| row.get(0)).expect("it is read").map_while(Result::ok).collect()
}

/// Three nodes whose agents do nothing by themselves. What is left behind stays readable for a minute.
fn network() -> (Place, Running) {
    let place = Place::new();
    let edit = |from, to| ("network.toml", from, to);
    place.configuration("agents", &[edit("drain = \"60 s\"", "drain = \"3000 s\"")]);
    let demo = Running::start(place.path(), "demo", &["demo", "--stay", "--policy", "none", "--data", "data"]);
    let status = || run(place.path(), &["--data", "data", "status", "--json"]).out;
    wait_until("the network runs", PATIENCE, || status().contains("\"jobs\""));
    (place, demo)
}

/// `HOST:PORT` of a node's store.
fn store(place: &Place, node: u32) -> String {
    let sql = format!("select store_url from nodes where id = {node} and store_url is not null");
    let known = || texts(&place.data().join("network.db"), &sql).pop();
    wait_until("it has a store", PATIENCE, || known().is_some());
    let url = known().expect("it stays");
    let address = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    address.expect("a URL of a store").to_owned()
}

fn file(place: &Place, services: &str) -> PathBuf {
    let path = place.path().join("load.toml");
    let client = |service| {
        let of = "rate = 40\n[client.request]\nheaders = { Range = \"bytes=0-1023\" }";
        format!("[[client]]\nservice = \"{service}\"\n{of}\n")
    };
    let text =
        format!("name = \"reads\"\nduration = \"1 h\"\n{services}{}{}", client("replicas"), client("of_agent_2"));
    std::fs::write(&path, text).expect("it is written");
    path
}

const SERVICES: &str = "[[service]]\nname = \"replicas\"\ndata_set = \"blood_tests\"\n\
     [[service]]\nname = \"of_agent_2\"\ndata_set = \"blood_tests\"\nagent = 2\n";

#[test]
fn load_follows_the_replicas_of_a_data_set_and_what_an_agent_refers_to() {
    let (place, _demo) = network();
    let stores = [1, 2, 3].map(|node| store(&place, node));
    let output = place.path().join("reads.db");
    let load_file = file(&place, SERVICES);
    let mut sending = Running::start(place.path(), "run", &load(&["run", text(&load_file), "--output", text(&output)]));
    // Hosts of the latest requests.
    let go_to = |service: &str, nodes: &[usize]| {
        let sql = format!(
            "select host from (select host, sequence from traces where service = '{service}' order by sequence desc limit 12)"
        );
        let hosts: BTreeSet<String> = texts(&output, &sql).into_iter().collect();
        hosts == nodes.iter().map(|node| stores[node - 1].clone()).collect()
    };
    wait_until("all go to the only replica", PATIENCE, || go_to("replicas", &[3]) && go_to("of_agent_2", &[3]));
    let act = |action: &str, agent: &str| {
        succeed(place.path(), &["--data", "data", "act", action, "--agent", agent]);
    };
    act("C3_2", "2");
    wait_until("both replicas take requests", PATIENCE, || go_to("replicas", &[2, 3]));
    wait_until("what agent 2 refers to has changed", PATIENCE, || go_to("of_agent_2", &[2]));
    act("M3_1", "3");
    wait_until("one has moved", PATIENCE, || go_to("replicas", &[1, 2]));
    assert!(go_to("of_agent_2", &[2]));
    sending.signal(Signal::INT);
    assert_eq!(sending.ends_within(PATIENCE), Some(130), "{}", sending.errors());

    let wrong = texts(&output, "select outcome || ' ' || coalesce(host, '-') from traces where status is not 206");
    let unfinished = |outcome: &&String| !outcome.starts_with("unfinished");
    assert_eq!(wrong.iter().filter(unfinished).collect::<Vec<_>>(), Vec::<&String>::new());
    let marked = texts(&output, "select name || ': ' || value from markers where kind = 'route' order by sequence");
    let [first, second, third] = &stores;
    let mut both = [second.as_str(), third.as_str()];
    both.sort_unstable();
    let mut after = [first.as_str(), second.as_str()];
    after.sort_unstable();
    let expected = [
        format!("replicas: {}, revision 2", both.join(", ")),
        format!("of_agent_2: {second}, revision 2"),
        format!("replicas: {}, revision 3", after.join(", ")),
    ];
    assert_eq!(marked.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>());
    // What agents did stands beside it.
    let events = texts(&output, "select action from agent_events order by id");
    assert_eq!(events, ["C3_2", "M3_1"]);
}

#[test]
fn what_is_no_data_set_to_be_read_is_said_before_anything_is_sent() {
    let (place, _demo) = network();
    let refused = |services: &str| {
        let finished = run(place.path(), &load(&["run", text(&file(&place, services))]));
        assert_eq!(finished.code, Some(2), "{finished:?}");
        finished.err
    };
    let other = refused(&SERVICES.replace("blood_tests", "urine_tests"));
    assert!(other.contains("service `replicas`: the network has no data set `urine_tests`"), "{other}");
    let nobody = refused(&SERVICES.replace("agent = 2", "agent = 9"));
    assert!(nobody.contains("service `of_agent_2`: agent 9 refers to no replica of `blood_tests`"), "{nobody}");
    let many = place.path().join("load.toml");
    let named = std::fs::read_to_string(file(&place, SERVICES)).expect("it is there");
    std::fs::write(&many, named.replace("headers =", "object = \"a.json\"\nheaders =")).expect("it is written");
    let one = run(place.path(), &load(&["run", text(&many)]));
    assert!(one.err.contains("service `replicas`: `blood_tests` is one object"), "{}", one.err);
    let checked = succeed(place.path(), &["load", "check", text(&file(&place, SERVICES))]);
    assert!(checked.contains("service replicas: the replicas of blood_tests, as the network's catalogue says"));
    assert!(checked.contains("service of_agent_2: the replica of blood_tests that agent 2 refers to"), "{checked}");
}
