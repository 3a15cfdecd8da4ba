//! Commands that are stopped before they are done, by a signal or because nobody reads on: how they end, and what they keep.

use crate::network::process::Running;
use crate::network::{PATIENCE, Place, text, wait_until};
use rustix::process::Signal;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// What is promised from a signal to the end.
const IN_ORDER: Duration = Duration::from_secs(5);

/// A program that never ends, and says that it has begun.
const ENDLESS: &str = "#!/bin/sh\necho > begun\nsleep 1000\n";

#[test]
fn a_training_that_is_stopped_keeps_what_is_finished_and_says_so() {
    let place = Place::new();
    let (file, aggregate, command) = place.job("2.toml", ENDLESS);
    let config = place.configuration("agents", &[(file, aggregate, &command)]);
    let (data, training) = (place.data(), place.path().join("training"));
    let arguments = ["train", "--iterations", "1", "--config", text(&config), "--data", text(&data)];
    let arguments = [&arguments[..], &["--training", text(&training)]].concat();
    let mut train = Running::start(place.path(), "train", &arguments);
    wait_until("agent 2 is trained", PATIENCE, || {
        assert_eq!(train.ended(), None, "{}\n{}", train.output(), train.errors());
        place.path().join("begun").exists()
    });
    train.signal(Signal::TERM);
    assert_eq!(train.ends_within(IN_ORDER), Some(130), "{}\n{}", train.output(), train.errors());
    assert_eq!(train.output(), format!("{}\n", training.join("agent-1.json").display()));
    assert!(training.join("agent-1.json").exists() && !training.join("agent-2.json").exists());

    let errors = train.errors();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines[0], "# training: 0 of 9 runs done, agent 1 at node 1");
    assert_eq!(*lines.last().unwrap(), "stopped; written is what was finished: agent 1");
    assert!(lines[1..lines.len() - 1].iter().all(|line| line.starts_with("# training: ")), "{errors}");
    assert!(!errors.contains(['\r', '\u{1b}']), "{errors:?}");
}

/// Runs a command whose reader goes after so many lines; what it printed as errors, and how it ended.
fn read_only(lines: usize, directory: &Path, arguments: &[&str]) -> (String, ExitStatus) {
    let errors = directory.join("errors");
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(arguments).current_dir(directory).env_remove("AGENT_LOG").stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(File::create(&errors).unwrap()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..lines {
        output.read_line(&mut String::new()).unwrap();
    }
    drop(output);
    let mut status = None;
    wait_until("it ends", PATIENCE, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    (fs::read_to_string(&errors).unwrap(), status.unwrap())
}

#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let place = Place::new();
    let data = place.data();
    let about = ["--data", text(&data)];
    let check = |lines: usize, arguments: &[&str]| {
        let (errors, status) = read_only(lines, place.path(), &[arguments, &about].concat());
        assert_eq!((errors.as_str(), status.code()), ("", Some(0)), "agent {}", arguments.join(" "));
    };
    let training = place.training();
    check(3, &["demo", "--no-api", "--training", text(&training)]);
    for arguments in [&["status"][..], &["status", "--json"], &["events"], &["events", "--json"], &["check", "--json"]]
    {
        check(0, arguments);
    }
    check(0, &["proxy", "--listen", "127.0.0.1:0"]);
    check(0, &["data", "generate", "--records", "10", "--output", "generated.json"]);
    check(0, &["--help"]);
    check(0, &["run", "--help"]);
}

#[test]
fn an_agent_whose_lines_nobody_reads_ends_in_order() {
    let place = Place::new();
    let (data, training) = (place.data(), place.training());
    let arguments = ["run", "--id", "3", "--data", text(&data), "--training", text(&training)];
    let (errors, status) = read_only(1, place.path(), &arguments);
    assert_eq!((errors.as_str(), status.code()), ("", Some(0)));
    let again = [&arguments[..], &["--log", "json"]].concat();
    let (errors, status) = read_only(1, place.path(), &again);
    assert_eq!((errors.as_str(), status.code()), ("", Some(0)), "nothing holds its place");
}
