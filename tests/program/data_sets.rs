//! Two data sets in one network, as a user has them: placed for their readers by one demo, looked at, acted on, forgotten and brought
//! back; and read together by one job.

use crate::network::process::{Running, json, run, run_within, succeed};
use crate::network::{PATIENCE, Place, repository, text, wait_until};
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json as document};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Training at every node, and half an hour of the scenario.
const LIMIT: Duration = Duration::from_secs(400);

/// `edit`: a file of the configuration by its name, as it is to be instead.
fn place(edit: impl Fn(&str, String) -> String) -> Place {
    let place = Place::new();
    let (from, to) = (repository().join("fixtures/configurations/valid/two_data_sets"), place.path().join("agents"));
    fs::create_dir(&to).expect("a directory");
    for entry in fs::read_dir(from).expect("the fixture") {
        let file = entry.expect("an entry").path();
        let text = fs::read_to_string(&file).expect("a text");
        // Four times as fast: it is trained at every node first.
        let text = text.replace("time_scale = 50", "time_scale = 200");
        let name = file.file_name().expect("a name").to_str().expect("it is plain");
        fs::write(to.join(name), edit(name, text)).expect("a copy");
    }
    place
}

/// Of a store of the data directory.
fn object(data: &Path, node: u64, key: &str) -> bool {
    data.join("nodes").join(node.to_string()).join("objects/agent").join(key).is_file()
}

#[test]
fn each_data_set_is_placed_for_its_readers_and_can_go_and_come_back() {
    let place = place(|_, text| text);
    let (here, data) = (place.path(), place.data());
    let on = |arguments: &[&'static str]| -> Vec<&str> { [arguments, &["--data", text(&data)]].concat() };
    let demo = on(&["demo", "--train", "--seed", "3", "--limit", "30m", "--json"]);
    let ended = run_within(LIMIT, here, &demo);
    let summary: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.err));
    // Whether jobs meet their goals at this pace depends on the machine; where the data lies does not.
    assert!(matches!(ended.code, Some(0 | 3)), "{summary:#}");
    // Agent 4 lives on node 2, and asks for urine tests within 100 ms.
    assert_eq!(summary["references"]["4"], 2, "{summary:#}");
    assert!(summary["data_sets"]["urine_tests"].as_array().expect("a list").contains(&document!(2)), "{summary:#}");
    let actions = summary["actions"].as_array().expect("a list");
    let of_urine = |action: &&Value| action["action"].as_str().is_some_and(|label| label.starts_with("urine_tests:"));
    assert!(actions.iter().filter(of_urine).all(|action| action["agent"] == 4), "{summary:#}");

    // Its exit code says whether goals are met.
    let looked = || -> Value { serde_json::from_str(&run(here, &on(&["status", "--json"])).out).expect("JSON") };
    let status = looked();
    let readers = |index: usize| {
        let agents = status["data_sets"][index]["agents"].as_array().expect("a list");
        agents.iter().map(|agent| agent["agent"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!((readers(0), readers(1)), (vec![1, 2, 3], vec![4]), "{status:#}");
    let shown = run(here, &on(&["status"])).out;
    assert!(shown.contains("\ndata set blood_tests") && shown.contains("\ndata set urine_tests"), "{shown}");
    assert_eq!(shown.matches("latency to others").count(), 1, "nodes are shown once:\n{shown}");
    assert!(succeed(here, &on(&["events"])).contains("urine_tests:"));

    // An agent acts on what it reads.
    let refused = run(here, &on(&["act", "blood_tests:CR1", "--agent", "4"]));
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("agent 4 reads data set urine_tests, not blood_tests"), "{}", refused.err);

    // All have stopped: it can go, and its objects stay.
    let removed = json(here, &on(&["remove-data-set", "urine_tests", "--json"]));
    let left = removed["left"].as_array().expect("a list").clone();
    assert!(!left.is_empty());
    for row in &left {
        let (node, key) = (row["node"].as_u64().expect("a number"), row["object_key"].as_str().expect("a key"));
        assert!(object(&data, node, key), "{row} is gone");
    }
    assert_eq!(looked()["data_set"], "blood_tests", "one data set is shown as such");
    let again = run(here, &on(&["remove-data-set", "urine_tests"]));
    let known = "error: data set urine_tests is not in the catalogue; it holds blood_tests\n";
    assert_eq!((again.code, again.err.as_str()), (Some(1), known));

    // It comes back as it is configured, as soon as its first node has a store.
    let mut store = Running::start(here, "store", &on(&["store", "--node", "1"]));
    wait_until("the store serves", PATIENCE, || !store.output().is_empty());
    let added = json(here, &on(&["add-data-set", "urine_tests", "--json"]));
    assert_eq!((&added["replicas"], &added["readers"]), (&document!([1]), &document!([])), "{added:#}");
    let twice = run(here, &on(&["add-data-set", "urine_tests"]));
    assert_eq!(
        (twice.code, twice.err.as_str()),
        (Some(1), "error: data set urine_tests is in the catalogue already\n")
    );
    let taken = ["add-data-set", "more", "--object-key", "urine_tests.json.replicas/x", "--first-node", "1"];
    let overlapping = run(here, &on(&taken));
    assert!(
        overlapping.err.contains("overlaps with `urine_tests.json` of data set urine_tests"),
        "{}",
        overlapping.err
    );
    let listed = json(here, &on(&["data", "list", "--json"]));
    let names: Vec<&str> = listed.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["blood_tests", "urine_tests"]);
    store.signal(Signal::TERM);
    assert_eq!(store.ends_within(PATIENCE), Some(0));
}

/// Agent 4 on node 2 averages over both data sets, and wants all that it reads within 100 ms: its latency is that of the slowest
/// link, so bringing one of them alone is worth nothing.
#[test]
fn a_job_reads_several_data_sets_and_brings_what_it_takes() {
    let both = "data_sets = [\"urine_tests\", \"blood_tests\"]";
    let place = place(|name, text| match name {
        "4.toml" => text.replace("data_set = \"urine_tests\"", both),
        _ => text,
    });
    let (here, data) = (place.path(), place.data());
    let on = |arguments: &[&'static str]| -> Vec<&str> { [arguments, &["--data", text(&data)]].concat() };
    let checked = succeed(here, &["check"]);
    assert!(checked.contains("  reads   urine_tests\n  reads   blood_tests\n"), "{checked}");
    let demo = on(&["demo", "--train", "--seed", "3", "--limit", "30m", "--json"]);
    let ended = run_within(LIMIT, here, &demo);
    let summary: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.err));
    assert!(matches!(ended.code, Some(0 | 3)), "{summary:#}");
    assert_eq!(summary["references"]["4"], document!({ "blood_tests": 2, "urine_tests": 2 }), "{summary:#}");
    let actions = summary["actions"].as_array().expect("a list").iter();
    let of_four: Vec<&str> = actions.filter(|one| one["agent"] == 4).filter_map(|one| one["action"].as_str()).collect();
    assert!(of_four.iter().any(|label| label.starts_with("urine_tests:")), "{of_four:?}");

    // It computes over all records of both, and the table has what each of them had to do with that.
    let table = Connection::open(data.join("network.db")).expect("the table");
    let latest =
        "select result, job_parts from measurements where agent = 4 and failure is null order by id desc limit 1";
    let (result, parts): (String, String) =
        table.query_row(latest, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a job of agent 4");
    let parts: Value = serde_json::from_str(&parts).expect("JSON");
    let read: Vec<_> =
        parts.as_array().expect("a list").iter().map(|part| (&part["data_set"], &part["node"])).collect();
    assert_eq!(read, [(&document!("urine_tests"), &document!(2)), (&document!("blood_tests"), &document!(2))]);
    let records = |part: usize| parts[part]["records"].as_u64().expect("a number");
    assert!(records(1) > records(0) && records(0) > 0, "{parts}");
    let averages = [0, 1].map(|part| average(&data, &parts[part]));
    let all = (averages[0] * records(0) as f64 + averages[1] * records(1) as f64) / (records(0) + records(1)) as f64;
    assert!((result.parse::<f64>().expect("a number") - all).abs() < 1e-6, "{result}, not {all}");
    let one = "select count(*) from measurements where agent = 1 and job_parts is not null";
    assert_eq!(table.query_row(one, [], |row| row.get::<_, i64>(0)), Ok(0), "who reads one has no parts");

    // A person says which data set an action is about.
    let unsaid = run(here, &on(&["act", "CR1", "--agent", "4"]));
    assert!(unsaid.err.contains("say which of them it is about, like `blood_tests:CR1`"), "{}", unsaid.err);
    let why = succeed(here, &on(&["explain", "--not", "urine_tests:M2_1", "--agent", "4"]));
    assert!(why.starts_with("urine_tests:M2_1 of agent 4"), "{why}");
    let shown = run(here, &on(&["status"])).out;
    assert!(shown.contains("agent 4"), "{shown}");
}

/// Of what a part read, computed from the object's bytes in its store.
fn average(data: &Path, part: &Value) -> f64 {
    let folder = data.join("nodes/2/objects/agent");
    let name = part["data_set"].as_str().expect("a name");
    let object = files(&folder).into_iter().find(|file| file.to_string_lossy().contains(name)).expect("a replica");
    let records: Value = serde_json::from_slice(&fs::read(object).expect("bytes")).expect("JSON");
    let values: Vec<f64> =
        records.as_array().expect("a list").iter().filter_map(|record| record["cholesterol"].as_f64()).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
