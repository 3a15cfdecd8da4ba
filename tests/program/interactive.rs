//! `agent simulate --interactive` with scripts on its standard input, and simulations of real networks.

use crate::network::process::{Finished, run, run_within, succeed};
use crate::network::{Place, repository, text};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a session to the end of its script.
fn session(directory: &Path, arguments: &[&str], script: &str) -> Finished {
    let mut child = Command::new(env!("CARGO_BIN_EXE_agent"))
        .current_dir(directory)
        .args(["simulate", "--interactive"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A session that ends early reads no more of it.
    let _unread = child.stdin.take().expect("a pipe").write_all(script.as_bytes());
    let done = child.wait_with_output().expect("the program ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Finished { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

fn published(script: &str) -> Finished {
    let (place, file) = (Place::new(), repository().join("fixtures/scenarios/published.toml"));
    session(place.path(), &["--scenario", text(&file), "--policy", "cooperative", "--seed", "7"], script)
}

/// What stands between a command and the next one.
fn answer<'t>(out: &'t str, command: &str) -> &'t str {
    let (_, rest) = out.split_once(&format!("> {command}\n")).unwrap_or_else(|| panic!("no `{command}` in {out}"));
    let end = rest.match_indices('\n').map(|(at, _)| at + 1).find(|at| is_prompt(&rest[*at..])).unwrap_or(rest.len());
    if is_prompt(rest) { "" } else { &rest[..end] }
}

/// `main, 10 min> `
fn is_prompt(text: &str) -> bool {
    let line = text.lines().next().unwrap_or("");
    line.split_once("> ")
        .is_some_and(|(before, _)| before.split_once(", ").is_some_and(|(name, _)| !name.contains(' ')))
}

#[test]
fn a_branch_is_changed_and_held_beside_its_trunk() {
    let done = published(
        "run until converged\n\
         branch worse          # goes on from here\n\
         set availability 3 50\n\
         set latency 1 2 \"200 ms\"\n\
         set goal 2 \"response_time <= 1 h\"\n\
         set policy 2 fixed\n\
         run 1 h\n\
         switch main\n\
         run 1 h\n\
         branches\n\
         compare worse\n",
    );
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
    let out = &done.out;
    assert!(out.starts_with("main, 0 ms> run until converged\n"), "{out}");
    assert_eq!(answer(out, "set availability 3 50"), "node 3 is available 50 % of the time, from the next job on\n");
    assert!(answer(out, "set latency 1 2 \"200 ms\"").starts_with("the link between nodes 1 and 2 takes 200 ms"));
    assert!(
        answer(out, "set goal 2 \"response_time <= 1 h\"").contains("world    agent 2: goal response_time <= 3600 s")
    );
    assert!(answer(out, "branches").contains("* main") && answer(out, "branches").contains("  worse"));
    let compared = answer(out, "compare worse");
    assert_eq!(compared.lines().next().map(|line| line.split_whitespace().collect()), Some(vec!["main", "worse"]));
    let at = compared.lines().find(|line| line.starts_with("at ")).expect("a row");
    let (left, right) = at[2..].trim().split_once("  ").expect("two columns");
    assert_eq!(left.trim(), right.trim(), "both have gone on for an hour");
}

#[test]
fn a_branch_without_changes_equals_its_trunk_row_by_row() {
    let done =
        published("run 17 min\nbranch twin\nrun 2 h\nsummary\nswitch main\nrun 2 h\nsummary\ncompare main twin\n");
    assert_eq!(done.code, Some(0), "{done:?}");
    let parts: Vec<&str> = done.out.split("> summary\n").collect();
    let summary =
        |part: &str| part.split("\nmain, ").next().unwrap_or("").split("\ntwin, ").next().unwrap_or("").to_owned();
    assert_eq!(summary(parts[1]), summary(parts[2]));
    assert!(summary(parts[1]).contains("placement   replicas on"), "{}", done.out);
    for row in answer(&done.out, "compare main twin").lines().skip(1) {
        let columns: Vec<&str> = row[22..].split("   ").map(str::trim).filter(|column| !column.is_empty()).collect();
        assert!(columns.len() == 2 && columns[0] == columns[1], "{row}");
    }
}

#[test]
fn a_session_comes_to_what_a_run_comes_to() {
    let (place, file) = (Place::new(), repository().join("fixtures/scenarios/storm.toml"));
    let about = ["--scenario", text(&file), "--seed", "3"];
    let expected = succeed(place.path(), &[&["simulate", "--hours", "2"], &about[..]].concat());
    let done = session(
        place.path(),
        &about,
        "run 30 min\nshow\nstep 100\nevents\nrun until action\nbranch b\nrun 1 h\nquit\n",
    );
    assert_eq!(done.code, Some(0), "{done:?}");
    // To the end of the second hour, from wherever it was.
    let done = session(place.path(), &about, "run 30 min\nshow\nevents --limit 2\nrun 90 min\nsummary\n");
    assert_eq!(answer(&done.out, "summary"), expected);
}

#[test]
fn what_is_shown_is_what_a_real_network_shows() {
    let done = published(
        "run 10 min\nshow\nshow agent 3\ndown 2\nshow\nup 2\nrun until action within 1 min\nevents\nexplain 1\n",
    );
    assert_eq!(done.code, Some(0), "{done:?}");
    let shown = answer(&done.out, "show");
    assert!(shown.contains("node  name        state     availability") && shown.contains("replicas  node"), "{shown}");
    assert!(answer(&done.out, "show agent 3").contains("lives on node 3, policy cooperative"));
    assert!(answer(&done.out, "down 2").contains("world    node 2 down"), "{}", done.out);
    let (_, after) = done.out.split_once("> down 2\n").expect("it was asked for");
    assert!(answer(after, "show").contains("agent 2 (not running)"), "{after}");
    assert!(answer(&done.out, "up 2").contains("node 2 down: over"));
    assert!(answer(&done.out, "events").contains("event 1    agent"), "{}", done.out);
    assert!(answer(&done.out, "explain 1").contains("event 1: agent"), "{}", done.out);
}

#[test]
fn the_first_mistake_ends_a_script_and_says_what_is_right() {
    let check = |script: &str, expected: &[&str]| {
        let done = published(script);
        assert_eq!(done.code, Some(2), "{done:?}");
        for part in expected {
            assert!(done.err.contains(part), "{part} is missing: {}", done.err);
        }
    };
    check("\nstep\nfly 3\n", &["line 3: ", "fly"]);
    check("run until noon\n", &["line 1: write `run 10 min`"]);
    check("run 10 parsecs\n", &["line 1: ", "parsecs"]);
    check("set goal 1 \"speed <= 1\"\n", &["speed", "unknown metric"]);
    check("set goal 9 \"response_time <= 1 s\"\n", &["there is no agent 9"]);
    check("set policy 1 fixd\n", &["unknown policy `fixd`", "did you mean `fixed`"]);
    check("set availability 2 170\n", &["170"]);
    check("switch b\n", &["there is no branch b; branches are main"]);
    check("branch main\n", &["there is a branch main already"]);
    check("drop main\n", &["the branch that you are on"]);
    check("up 2\n", &["node 2 down: not by hand"]);
    check("down moon 1\n", &["nothing that can be down"]);
    check("explain 77\n", &["there is no event 77"]);
    check("show agent 9\n", &["agent 9 is not registered"]);
    check("set goal 1 \"open\n", &["a quotation mark has no other end"]);
}

#[test]
fn help_lists_the_commands_and_is_no_mistake() {
    let done = published("help\nhelp set\nquit\nfly\n");
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    for command in ["step", "run", "show", "set", "down", "branch", "compare", "quit"] {
        assert!(answer(&done.out, "help").contains(&format!("  {command} ")), "{command}: {}", done.out);
    }
    assert!(answer(&done.out, "help set").contains("availability"), "{}", done.out);
}

/// The files below a directory that are not a running database's own, with what they hold.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !text(&path).ends_with("-shm") && !text(&path).ends_with("-wal") {
                found.insert(text(&path).to_owned(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn a_real_network_is_asked_before_it_is_changed_and_only_read() {
    let place = Place::new();
    let data = place.data();
    let demo = run_within(
        Duration::from_secs(120),
        place.path(),
        &["demo", "--data", text(&data), "--seed", "6", "--limit", "4h"],
    );
    assert_eq!(demo.code, Some(0), "{demo:?}");
    let before = content(&data);
    let script = "show\nbranch what-if\nset availability 2 30\nrun 1 h\nswitch main\nrun 1 h\ncompare what-if\n";
    let done = session(place.path(), &["--from-table", text(&data)], script);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.err.contains("which is only read"), "{}", done.err);
    assert!(done.err.contains("# physics as fitted to "), "{}", done.err);
    assert!(done.err.contains("# no agent runs now: all are started"), "{}", done.err);
    // Where the demo ended.
    let replicas = |out: &str| out.lines().find(|line| line.starts_with("replicas  ")).map(str::to_owned);
    let status = run(place.path(), &["status", "--data", text(&data)]);
    assert!(replicas(&status.out).is_some(), "{status:?}");
    assert_eq!(replicas(answer(&done.out, "show")), replicas(&status.out));
    assert!(answer(&done.out, "compare what-if").contains("jobs violated"), "{}", done.out);

    // Its table by name, without the directory; the same by `--data`; what the table does not say from a scenario.
    let table = data.join("network.db");
    let scenario = repository().join("fixtures/scenarios/demo.toml");
    let by_name = ["simulate", "--from-table", text(&table), "--hours", "1", "--json"];
    let by_data = ["simulate", "--from-table", "--data", text(&data), "--hours", "1", "--json"];
    assert_eq!(succeed(place.path(), &by_name), succeed(place.path(), &by_data));
    let stated = run(place.path(), &[&by_name[..], &["--scenario", text(&scenario)]].concat());
    assert_eq!(stated.code, Some(0), "{stated:?}");
    assert!(stated.err.contains("are those of scenario demo"), "{}", stated.err);
    assert!(before == content(&data), "the network's own files have changed");
}

#[test]
fn a_table_that_is_not_there_is_not_made() {
    let place = Place::new();
    let missing = place.path().join("nothing/network.db");
    let done = run(place.path(), &["simulate", "--from-table", text(&missing)]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("nothing"), "{}", done.err);
    assert!(!missing.exists());
    let neither = run(place.path(), &["simulate"]);
    assert_eq!(neither.code, Some(2), "{neither:?}");
    assert!(neither.err.contains("--scenario"), "{}", neither.err);
}
