//! What a user is told when something is wrong that no script can bring about; and that a running agent outlives what fails
//! around it.

use crate::network::audit::Audit;
use crate::network::fake_store::{FakeStore, Mood};
use crate::network::process::{Finished, Running, run};
use crate::network::{PATIENCE, Place, comes_true, sha256, text, wait_until};
use rusqlite::Connection;
use rustix::process::Signal;
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

/// A place with the shipped configuration in `agents` and the shipped training files in `training`.
fn place() -> Place {
    let place = Place::new();
    place.configuration("agents", &[]);
    let training = place.path().join("training");
    fs::create_dir(&training).expect("a directory");
    for agent in [1, 2, 3] {
        let file = format!("agent-{agent}.json");
        fs::copy(place.training().join(&file), training.join(&file)).expect("a copy");
    }
    place
}

/// Replaces a text that must be in a file.
fn edit(place: &Place, file: &str, from: &str, to: &str) {
    let path = place.path().join(file);
    let text = fs::read_to_string(&path).expect("a text");
    assert!(text.contains(from), "{file}: there is no `{from}`");
    fs::write(path, text.replace(from, to)).expect("a file");
}

/// Breaks something in a fresh place and runs a command there: its exit code and the whole of what it says on standard error.
/// `PLACE` stands for the place's path.
fn check(arguments: &[&str], break_it: impl FnOnce(&Place), code: i32, message: &str) {
    let place = place();
    break_it(&place);
    let Finished { code: found, out, err } = run(place.path(), arguments);
    let err = err.replace(text(place.path()), "PLACE");
    let command = arguments.join(" ");
    assert_eq!((found, err.as_str(), out.as_str()), (Some(code), message, ""), "agent {command}");
}

const RUN: [&str; 5] = ["run", "--id", "1", "--data", "data"];

#[test]
fn an_agent_that_was_added_and_not_trained_does_not_keep_the_others_from_a_demo() {
    let place = place();
    fs::copy(place.path().join("agents/3.toml"), place.path().join("agents/4.toml")).expect("a copy");
    edit(&place, "agents/4.toml", "goal =", "node = 3\ngoal =");
    let demo = ["demo", "--data", "data", "--limit", "1 s"];
    let here = run(place.path(), &demo);
    assert_eq!(here.code, Some(3), "{here:?}");
    assert!(here.err.contains("# agent 4 takes no part: agent 4 has not been trained"), "{here:?}");
    let named = run(place.path(), &[&demo[..], &["--config", "agents"]].concat());
    assert_eq!(named.code, Some(1), "{named:?}");
}

#[test]
fn databases_of_others_are_left_alone() {
    let database = |place: &Place, sql: &str| {
        fs::create_dir(place.data()).expect("a directory");
        Connection::open(place.data().join("network.db")).expect("a database").execute_batch(sql).expect("SQL");
    };
    let newer = "pragma application_id = 0x61676e74;
        create table schema_version (version integer primary key, applied_at_ms integer);
        insert into schema_version values (99, 0)";
    let not_a_database = |place: &Place| {
        fs::create_dir(place.data()).expect("a directory");
        fs::write(place.data().join("network.db"), "a diary ".repeat(100)).expect("a file");
    };
    for command in [&RUN[..], &["status", "--data", "data"]] {
        check(
            command,
            |place| database(place, newer),
            1,
            "error: data/network.db: schema version 99 is newer than 17, the newest this binary knows; use the newer `agent`\n",
        );
        check(
            command,
            |place| database(place, "create table diary (day text)"),
            1,
            "error: data/network.db: this is an SQLite file of another program; name another file\n",
        );
        check(
            command,
            not_a_database,
            1,
            "error: data/network.db: file is not a database; it is no SQLite file, or damaged: name another file\n",
        );
    }
}

#[test]
fn ports_in_use_are_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    check(
        &["proxy", "--listen", &address],
        |_| {},
        1,
        &format!(
            "error: {address}: cannot listen for the emulator's API; is the port in use?: Address already in use (os error 98)\n"
        ),
    );
    let store = format!("name = \"cloud\"\nstore = {{ kind = \"embedded\", listen = \"{address}\" }}");
    check(
        &RUN,
        |place| edit(place, "agents/network.toml", "name = \"cloud\"", &store),
        1,
        &format!(
            "error: the store of node 1: cannot listen on {address}: Address already in use (os error 98); stop who does or \
             choose another address\n"
        ),
    );
}

/// Waits until an agent's output has a line with all of these parts, after what it has said before.
fn wait_for_line(agent: &mut Running, said_before: usize, parts: &[&str]) {
    wait_longer_for_line(PATIENCE, agent, said_before, parts);
}

fn wait_longer_for_line(limit: Duration, agent: &mut Running, said_before: usize, parts: &[&str]) {
    let is_there = comes_true(limit, || {
        assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
        agent.output()[said_before..].lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
    assert!(is_there, "no line with {parts:?} within {limit:?}:\n{}\n{}", agent.output(), agent.errors());
}

fn start(place: &Place, agent: u32) -> Running {
    let keys = [("AWS_ACCESS_KEY_ID", "someone"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let id = agent.to_string();
    let training = place.training();
    let arguments = ["run", "--id", &id, "--data", "data", "--training", text(&training)];
    Running::start_with(&keys, place.path(), &format!("agent-{agent}"), &arguments)
}

#[test]
fn an_emulator_that_is_away_is_survived() {
    let place = place();
    let proxy = |listen: &str| Running::start(place.path(), "proxy", &["proxy", "--listen", listen]);
    let mut emulator = proxy("127.0.0.1:0");
    let mut address = String::new();
    wait_until("the emulator listens", PATIENCE, || {
        let said = emulator.output();
        address = said.split_whitespace().find_map(|word| word.strip_suffix(';')).unwrap_or_default().to_owned();
        address.starts_with("http://")
    });
    edit(&place, "agents/network.toml", "emulator = \"embedded\"", &format!("emulator = \"{address}\""));
    let mut agent = start(&place, 3);
    wait_for_line(&mut agent, 0, &["agent 3  job       ok"]);

    emulator.kill();
    let said = agent.output().len();
    let away = format!("the link to node 3: {address}: ");
    wait_for_line(&mut agent, said, &["job       FAILED on node 3", &away, "is the emulator running?"]);

    let _again = proxy(address.trim_start_matches("http://"));
    let said = agent.output().len();
    wait_for_line(&mut agent, said, &["agent 3  job       ok"]);
}

/// Two nodes: node 1 is somebody else's store, which holds the data; agent 2 wants it at home.
fn beside(store: &FakeStore) -> Place {
    let place = place();
    edit(&place, "agents/network.toml", "generate_records = 553_729\n", "");
    edit(&place, "agents/network.toml", "first_node = 3", "first_node = 1");
    edit(&place, "agents/network.toml", "exploration = 0.1", "exploration = 0");
    let foreign = format!(
        "name = \"cloud\"\nstore = {{ kind = \"s3\", endpoint = \"{}\", bucket = \"theirs\" }}",
        store.endpoint()
    );
    edit(&place, "agents/network.toml", "name = \"cloud\"", &foreign);
    let goals = [
        ("agents/1.toml", "response_time <= 35 s and availability >= 95 %"),
        ("agents/2.toml", "throughput >= 30000 records/s and availability >= 80 %"),
    ];
    for ((file, shipped), goal) in goals.into_iter().zip(["availability >= 0 %", "network_latency <= 100 ms"]) {
        edit(&place, file, shipped, goal);
    }
    fs::remove_file(place.path().join("agents/3.toml")).expect("it was there");
    place.trained_on(&sha256(&blood_tests()));
    place
}

fn blood_tests() -> Vec<u8> {
    let records: Vec<String> = (0..500).map(|n| format!("{{\"cholesterol\": 1{}.5}}", n % 10)).collect();
    format!("[{}]", records.join(",\n")).into_bytes()
}

#[test]
fn a_store_that_lies_fails_or_hangs_is_survived() {
    let store = FakeStore::start(blood_tests());
    let place = beside(&store);
    let mut one = start(&place, 1);
    wait_for_line(&mut one, 0, &["agent 1  job       ok", "node 1"]);
    let audit = Audit::of_new(&place.data());

    store.set(Mood::WrongContent);
    let mut two = start(&place, 2);
    wait_for_line(&mut two, 0, &["agent 2  action", "FAILED: source: http://127.0.0.1:", "its SHA-256 is", "expected"]);
    assert_eq!(audit.count("select count(*) from replicas where state = 'changed'"), 1);
    let failed = audit.rows("select id from events where outcome = 'failed'", |row| row.get::<_, i64>(0)).remove(0);
    let explained = run(place.path(), &["explain", &failed.to_string(), "--data", "data"]);
    assert!(explained.out.contains("\n  outcome   failed, "), "{explained:?}");
    assert!(explained.out.contains("\n  because   source: http://127.0.0.1:"), "{explained:?}");

    for (mood, why) in
        [(Mood::Truncated, "is damaged: "), (Mood::Failing, "500"), (Mood::Hanging, "no answer within 20s")]
    {
        let said = [one.output().len(), two.output().len()];
        store.set(mood);
        for ((agent, said), name) in [&mut one, &mut two].into_iter().zip(said).zip(["agent 1", "agent 2"]) {
            wait_for_line(agent, said, &[name, "job       FAILED on node 1 (", "http://127.0.0.1:", why]);
        }
    }

    let said = [one.output().len(), two.output().len()];
    store.set(Mood::Honest);
    wait_for_line(&mut one, said[0], &["agent 1  job       ok"]);
    // What has failed again and again is tried again after hours of the scenario, by whichever of them comes to it first.
    wait_longer_for_line(PATIENCE * 3, &mut two, said[1], &["agent 2  job       ok", "node 2"]);
}

#[test]
fn an_agent_ends_in_order_while_a_store_hangs() {
    let store = FakeStore::start(blood_tests());
    let place = beside(&store);
    let mut agent = start(&place, 1);
    wait_for_line(&mut agent, 0, &["agent 1  job       ok"]);
    store.set(Mood::Hanging);
    wait_until("a job waits for the store", PATIENCE, || store.hanging() > 0);
    agent.signal(Signal::TERM);
    let code = agent.ends_within(Duration::from_secs(5));
    let said = agent.errors();
    // It tried the store when it began, and this one keeps nothing.
    let others: Vec<&str> = said.lines().filter(|line| !line.contains("the store of node 1: ")).collect();
    assert_eq!((code, others), (Some(0), Vec::new()));
}

#[test]
fn a_store_without_credentials_says_which_variables_to_set() {
    let store = FakeStore::start(blood_tests());
    let place = beside(&store);
    let training = place.training();
    let refused = run(place.path(), &[&RUN[..], &["--training", text(&training)]].concat());
    let message = "error: node 1: there are no credentials for its store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                   or AWS_PROFILE\n";
    assert_eq!((refused.code, refused.err.as_str()), (Some(1), message));
}

#[test]
fn a_store_that_is_away_at_the_start_is_named() {
    let store = FakeStore::start(blood_tests());
    store.set(Mood::Failing);
    let place = beside(&store);
    let mut agent = start(&place, 1);
    assert_eq!(agent.ends_within(PATIENCE), Some(1));
    let named = format!("\nerror: {}/theirs: looking at `blood_tests.json`: ", store.endpoint());
    assert!(agent.errors().contains(&named), "{}", agent.errors());
}
