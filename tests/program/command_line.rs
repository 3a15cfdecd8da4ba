//! What is seen of an agent that is gone. What one process prints by itself is in `cli-tests`.

use crate::network::audit::Audit;
use crate::network::process::{Finished, Running, run};
use crate::network::{PATIENCE, Place, text, wait_until};
use serde_json::Value;
use std::fs;

fn succeed(place: &Place, arguments: &[&str]) -> Finished {
    let finished = run(place.path(), arguments);
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished
}

/// Agent 3 alone, once it has run a job.
fn running(place: &Place) -> Running {
    let (data, training) = (place.data(), place.training());
    let arguments = ["run", "--id", "3", "--data", text(&data), "--training", text(&training)];
    let agent = Running::start(place.path(), "agent", &arguments);
    let audit = Audit::of_new(&data);
    wait_until("a job is recorded", PATIENCE, || audit.count("select count(*) from measurements") > 0);
    agent
}

#[test]
fn who_was_killed_is_silent_and_who_looks_changes_nothing() {
    let place = Place::new();
    let data = place.data();
    let mut agent = running(&place);
    let said = agent.output();
    let first = said.lines().next().unwrap_or_default();
    assert!(first.contains("Z  agent 3  started   on node 3; goal data_consistency >= 0.7"), "{first}");
    agent.kill();
    let database = data.join("network.db");
    let before = fs::read(&database).expect("the table");
    let mut status = String::new();
    wait_until("it is seen to be silent", PATIENCE, || {
        status = run(place.path(), &["status", "--data", text(&data)]).out;
        status.matches("silent since 2").count() == 4
    });
    assert!(status.contains("agent 3 (silent since 2"), "{status}");
    let shown = run(place.path(), &["status", "--json", "--data", text(&data)]);
    assert_eq!(shown.code, Some(4), "who is silent is not well: {shown:?}");
    let json: Value = serde_json::from_str(&shown.out).expect("JSON");
    for silent in [&json["agents"][0]["silent_since"], &json["nodes"][2]["silent_since"]] {
        assert!(silent.as_str().is_some_and(|at| at.ends_with('Z')), "{json:#}");
    }
    let limited = ["events", "--agent", "2", "--since", "1 d", "--limit", "1", "--json", "--data", text(&data)];
    assert_eq!(succeed(&place, &limited).out, "[]\n");
    let page = succeed(&place, &["report", text(&database), "--output", "-"]);
    assert!(page.out.starts_with("<!DOCTYPE html>") && page.err.starts_with("-: network "), "{}", page.err);
    assert_eq!(fs::read(&database).expect("the table"), before);
}

#[test]
fn a_directory_that_is_removed_ends_the_agent() {
    let place = Place::new();
    let mut agent = running(&place);
    fs::remove_dir_all(place.data()).expect("it is removed");
    assert_eq!(agent.ends_within(PATIENCE), Some(5), "{}", agent.errors());
    let said = agent.errors();
    assert_eq!(said.matches("the data directory was removed").count(), 1, "{said}");
}
