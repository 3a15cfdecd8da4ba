//! Load and the table of a network: experiments that wait there, and services that it routes.

use super::load::{Server, kept};
use crate::network::process::{Running, json, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Within this a change in the table is acted on.
const ACTED_ON_WITHIN: Duration = Duration::from_secs(1);

/// A network that has ended; its table is a file.
pub fn network() -> Place {
    let place = Place::new();
    place.configuration("agents", &[]);
    let made = run(place.path(), &["demo", "--limit", "1 ms", "--data", "data"]);
    assert_eq!(made.code, Some(3), "it does not converge in a millisecond: {made:?}");
    place
}

fn file(place: &Place, hosts: &str, rest: &str) -> PathBuf {
    let path = place.path().join("load.toml");
    let service = format!("[[service]]\nname = \"shop\"\nhosts = {hosts}\n[[client]]\nservice = \"shop\"\n");
    std::fs::write(&path, format!("name = \"evening\"\nduration = \"1 h\"\n{service}{rest}\n")).expect("it is written");
    path
}

/// `agent load` with the network's table.
pub fn load<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--data", "data", "load"], arguments].concat()
}

fn show(place: &Place, id: &str) -> Value {
    json(place.path(), &load(&["show", id, "--json"]))
}

fn wait_for(place: &Place, id: &str, state: &str) {
    wait_until(&format!("experiment {id} is {state}"), PATIENCE, || show(place, id)["state"] == state);
}

#[test]
fn an_experiment_waits_until_a_daemon_runs_it() {
    let (place, server) = (network(), Server::start(true));
    std::fs::write(place.path().join("gaps.csv"), "0.01\n".repeat(30)).expect("it is written");
    let replay = file(&place, &format!("[\"{}\"]", server.address), "gaps = { replay = \"gaps.csv\" }");
    let queued = succeed(place.path(), &load(&["queue", text(&replay), "--key", "nightly"]));
    assert_eq!(queued, "experiment 1 `evening` is queued\n");
    assert_eq!(succeed(place.path(), &load(&["queue", text(&replay), "--key", "nightly"])), queued, "the same one");
    // What was queued is run, whatever has become of the files.
    std::fs::remove_file(place.path().join("gaps.csv")).expect("it is removed");
    file(&place, "[\"127.0.0.1:1\"]", "rate = 1");
    assert_eq!(show(&place, "1")["state"], "queued");
    assert_eq!(server.times().len(), 0);

    let told = succeed(place.path(), &load(&["daemon", "--until-idle", "--output", "experiments"]));
    assert!(told.starts_with("experiment 1 `evening` begins\nexperiment 1 has finished\n"), "{told}");
    assert!(told.contains("30 requests meant, 30 sent, 30 answered; 0 errors"), "{told}");
    assert_eq!(server.times().len(), 30);
    let shown = show(&place, "1");
    assert_eq!((&shown["state"], &shown["begun"], &shown["reason"]), (&json!("finished"), &json!(1), &Value::Null));
    let summary = &shown["summary"];
    assert_eq!((&summary["intended"], &summary["done"], &summary["errors"]), (&json!(30), &json!(30), &json!({})));
    assert_eq!(summary["services"][0]["service"], "shop");
    assert!(shown["queued_by"].as_str().is_some_and(|by| by.contains('@')), "{shown:#}");
    assert_eq!(kept(&place.path().join("experiments/1.db"), "answered"), 30);

    let refused = run(place.path(), &load(&["cancel", "1"]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("experiment 1 has finished already"), "{}", refused.err);
}

#[test]
fn what_cannot_be_run_fails_and_the_next_one_has_its_turn() {
    let (place, server) = (network(), Server::start(true));
    let elsewhere = file(&place, "[\"example.org:80\"]", "rate = 1");
    let refused = run(place.path(), &load(&["queue", text(&elsewhere)]));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("`example.org:80` is another machine"), "{}", refused.err);
    succeed(place.path(), &load(&["queue", text(&elsewhere), "--allow", "example.org"]));
    let unrouted = file(&place, "\"table\"", "rate = 1");
    succeed(place.path(), &load(&["queue", text(&unrouted)]));
    let hosts = format!("[\"{}\"]", server.address);
    let fine = file(&place, &hosts, "profile = { ticks = [3], interval = \"1 s\" }");
    succeed(place.path(), &load(&["queue", text(&fine)]));
    let ran = run(place.path(), &load(&["daemon", "--until-idle"]));
    assert_eq!(ran.code, Some(1), "one has failed: {ran:?}");
    let reason = |id: &str| {
        let shown = show(&place, id);
        assert_eq!(shown["state"], "failed", "{shown:#}");
        shown["reason"].as_str().expect("a reason").to_owned()
    };
    assert!(
        reason("1").contains("`example.org:80` is another machine"),
        "it is the daemon that decides: {}",
        reason("1")
    );
    assert!(reason("2").contains("service `shop` has no hosts in the table"), "{}", reason("2"));
    assert_eq!(show(&place, "3")["state"], "finished");
    assert_eq!(server.times().len(), 3);
}

#[test]
fn an_experiment_survives_its_daemons_and_ends_when_it_is_cancelled() {
    let (place, server) = (network(), Server::start(true));
    let endless = file(&place, &format!("[\"{}\"]", server.address), "rate = 100");
    succeed(place.path(), &load(&["queue", text(&endless)]));
    let daemon = |name: &str| {
        let before = server.times().len();
        let running = Running::start(place.path(), name, &load(&["daemon"]));
        wait_until("requests come", PATIENCE, || server.times().len() > before + 10);
        running
    };

    let mut stopped = daemon("stopped");
    let shown = show(&place, "1");
    assert_eq!((&shown["state"], &shown["begun"]), (&json!("running"), &json!(1)), "{shown:#}");
    stopped.signal(Signal::INT);
    assert_eq!(stopped.ends_within(PATIENCE), Some(0), "{}", stopped.errors());
    assert!(stopped.output().contains("experiment 1 is given back: it waits for another"), "{}", stopped.output());
    assert_eq!(show(&place, "1")["state"], "queued");

    let mut killed = daemon("killed");
    killed.kill();
    assert_eq!(show(&place, "1")["state"], "running", "nobody knows yet");
    let mut third = daemon("third");
    let shown = show(&place, "1");
    assert_eq!(
        (&shown["state"], &shown["begun"], &shown["lost"]),
        (&json!("running"), &json!(3), &json!(1)),
        "{shown:#}"
    );
    assert!(shown["reason"].as_str().is_some_and(|why| why.starts_with("begun anew: ")), "{shown:#}");
    assert!(third.output().contains("experiment 1 `evening` begins anew, for the 3. time"), "{}", third.output());

    let said = succeed(place.path(), &load(&["cancel", "1"]));
    let cancelled = Instant::now();
    assert_eq!(said, "experiment 1 is being stopped\n");
    wait_for(&place, "1", "cancelled");
    let last = server.times().into_iter().max().expect("there were some");
    assert!(last < cancelled + ACTED_ON_WITHIN, "{:?} later", last - cancelled);
    let shown = show(&place, "1");
    assert!(shown["summary"]["done"].as_u64().is_some_and(|done| done > 10), "what it came to: {shown:#}");
    third.signal(Signal::TERM);
    assert_eq!(third.ends_within(PATIENCE), Some(0), "{}", third.errors());
}

#[test]
fn load_goes_where_the_table_routes_it_within_a_second_and_without_an_error() {
    let (place, first, second) = (network(), Server::start(true), Server::start(true));
    let address = |server: &Server| server.address.to_string();
    let route = |arguments: &[&str]| succeed(place.path(), &load(&[&["route"], arguments].concat()));
    let file = file(&place, "\"table\"", "rate = 200\ncount = 2");
    let missing = run(place.path(), &load(&["run", text(&file)]));
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.err.contains("agent load route set shop 127.0.0.1:8080 1"), "{}", missing.err);

    route(&["set", "shop", &address(&first), "1"]);
    let mut running = Running::start(place.path(), "run", &load(&["run", text(&file), "--json"]));
    wait_until("requests come", PATIENCE, || first.times().len() > 100);
    assert_eq!(second.times().len(), 0);
    let said = route(&["set", "shop", &address(&second), "1"]);
    let changed = Instant::now();
    assert_eq!(said, format!("shop: {}; weighted-round-robin; revision 2\n", second.address));
    wait_until("requests go on", PATIENCE, || second.times().len() > 400);
    let last = first.times().into_iter().max().expect("there were some");
    assert!(last < changed + ACTED_ON_WITHIN, "{:?} later", last.saturating_duration_since(changed));

    // What it must not be sent to it does not follow.
    route(&["append", "shop", "example.org:80", "1"]);
    wait_until("it says so", PATIENCE, || running.errors().contains("so that revision 3 is not followed"));
    // Without its table it goes on.
    std::fs::rename(place.path().join("data"), place.path().join("away")).expect("it is moved");
    wait_until("it says so", PATIENCE, || running.errors().contains("the table is away"));
    let before = second.times().len();
    wait_until("requests go on", PATIENCE, || second.times().len() > before + 400);
    std::fs::rename(place.path().join("away"), place.path().join("data")).expect("it is moved back");
    wait_until("it says so", PATIENCE, || running.errors().contains("the table is there again"));
    assert_eq!(running.errors().matches("the table is away").count(), 1, "{}", running.errors());
    let before = first.times().len();
    route(&["set", "shop", &address(&first), "1"]);
    wait_until("it is followed again", PATIENCE, || first.times().len() > before + 10);

    running.signal(Signal::INT);
    assert_eq!(running.ends_within(PATIENCE), Some(130), "{}", running.errors());
    let figures: Value = serde_json::from_str(&running.output()).expect("one document");
    assert_eq!(figures["errors"], json!({}), "{}", running.output());
    assert_eq!(figures["dropped"], 0);
}

#[test]
fn a_shell_changes_and_follows_what_the_table_says() {
    let (place, first, second) = (network(), Server::start(true), Server::start(true));
    let script = place.path().join("evening.load");
    let verbs = format!("rtbl set shop {} 1\nspawn here shop\nrps here shop 100\nsleep 600\n", first.address);
    std::fs::write(&script, verbs).expect("it is written");
    let arguments = ["--data", "data", "shell", "--table", "--json", "--source", text(&script)];
    let mut shell = Running::start(place.path(), "shell", &arguments);
    wait_until("requests come", PATIENCE, || first.times().len() > 20);
    let shown = json(place.path(), &load(&["route", "info", "shop", "--json"]));
    assert_eq!(
        (&shown[0]["revision"], &shown[0]["hosts"][0]["address"]),
        (&json!(1), &json!(first.address.to_string()))
    );
    succeed(place.path(), &load(&["route", "set", "shop", &second.address.to_string(), "1"]));
    let changed = Instant::now();
    wait_until("requests go on", PATIENCE, || second.times().len() > 200);
    let last = first.times().into_iter().max().expect("there were some");
    assert!(last < changed + ACTED_ON_WITHIN, "{:?} later", last.saturating_duration_since(changed));
    shell.signal(Signal::INT);
    assert_eq!(shell.ends_within(PATIENCE), Some(130), "{}", shell.errors());
    let output = shell.output();
    let ended: Value = serde_json::from_str(output.lines().last().expect("a line")).expect("a document");
    assert_eq!(ended["ended"]["errors"], json!({}), "{output}");
}
