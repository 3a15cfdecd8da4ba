//! The command line as somebody meets it who has just installed it: help, completion, manual, outputs, and what is seen of an agent
//! that is gone.

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

/// The names below a command, as its help lists them.
fn commands(help: &str) -> Vec<String> {
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(""));
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_shows_an_example() {
    let place = Place::new();
    let mut without = Vec::new();
    let mut lines = vec![Vec::<String>::new()];
    while let Some(line) = lines.pop() {
        let arguments: Vec<&str> = line.iter().map(String::as_str).chain(["--help"]).collect();
        let help = succeed(&place, &arguments).out;
        let below = commands(&help);
        if below.is_empty() && !help.contains("Example") {
            without.push(line.join(" "));
        }
        lines.extend(below.into_iter().map(|name| [line.clone(), vec![name]].concat()));
    }
    assert!(without.is_empty(), "without an example: {without:?}");
}

#[test]
fn shells_and_man_find_every_command() {
    let place = Place::new();
    for (shell, part) in [("bash", "_agent()"), ("zsh", "#compdef agent"), ("fish", "complete -c agent")] {
        assert!(succeed(&place, &["completion", shell]).out.contains(part), "{shell}");
    }
    assert!(succeed(&place, &["man"]).out.contains(".TH agent 1"));
    let folder = place.path().join("man1");
    let named = succeed(&place, &["man", "--output", text(&folder)]).out;
    for page in ["agent.1", "agent-run.1", "agent-db-init.1", "agent-set-latency.1"] {
        assert!(named.contains(page) && folder.join(page).is_file(), "{page}: {named}");
    }
}

#[test]
fn a_document_on_standard_output_stands_alone() {
    let place = Place::new();
    let generated = succeed(&place, &["data", "generate", "--records", "2", "--output", "-"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&generated.out).expect("JSON").len(), 2);
    assert!(generated.err.starts_with("-: 2 records, "), "{}", generated.err);
    let scenario = crate::network::repository().join("fixtures/scenarios/published.toml");
    let simulate = ["simulate", "--scenario", text(&scenario), "--hours", "0.1", "--trace"];
    let traced = succeed(&place, &[&simulate[..], &["-"]].concat());
    assert!(traced.out.contains(" s  agent ") && !traced.out.contains("bytes moved"), "{}", traced.out);
    assert!(traced.err.contains("bytes moved"), "{}", traced.err);
    let full = run(place.path(), &["data", "generate", "--records", "2", "--output", "/dev/full"]);
    assert_eq!((full.code, full.err.contains("No space left on device")), (Some(1), true), "{full:?}");
    let refused = run(
        place.path(),
        &[
            "experiment",
            text(&crate::network::repository().join("fixtures/experiments/smoke.toml")),
            "--output",
            "/dev/null",
        ],
    );
    assert_eq!((refused.code, refused.err.contains("name a file")), (Some(2), true), "{refused:?}");
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
