//! `agent init`: files that pass `agent check`, from flags and at a terminal; a network of one's own that trains and runs; and the
//! shortest configuration, as its document shows it.

use crate::network::audit::Audit;
use crate::network::process::{Finished, Running, json, run, succeed};
use crate::network::{PATIENCE, Place, comes_true, repository, text, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A command that is refused: code 2, nothing on standard output.
fn refused(directory: &Path, arguments: &[&str]) -> String {
    let Finished { code, out, err } = run(directory, arguments);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    err
}

const ALL_THAT_IS_NEEDED: [&str; 8] = [
    "--nodes",
    "2",
    "--object-key",
    "blood.json",
    "--expression",
    "avg(cholesterol)",
    "--goal",
    "response_time <= 60 s and availability >= 90 %",
];

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn flags_make_files_that_pass_a_check() {
    let place = Place::new();
    let own = ["init", "mine", "--store", "2=https://s3.example.org/b?region=eu", "--link", "2-1=20ms", "--json"];
    let done = json(place.path(), &[&own[..], &ALL_THAT_IS_NEEDED].concat());
    let files = ["mine/1.toml", "mine/2.toml", "mine/network.toml"];
    assert_eq!((done["files"].clone(), done["warnings"].clone()), (files.into(), Value::Array(Vec::new())));
    assert_eq!(done["next"][0]["command"], "agent check --online --config mine");
    assert_eq!(entries(&place.path().join("mine")), ["1.toml", "2.toml", "network.toml"]);
    for file in files {
        let mode = fs::metadata(place.path().join(file)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o022, 0, "{file} can be written by others");
    }
    let checked = json(place.path(), &["check", "--config", "mine", "--json"]);
    assert_eq!((&checked["emulator"], &checked["time_scale"]), (&"none".into(), &1.into()));
    assert_eq!(checked["links"][0]["latency_ms"], 20.0);
    assert_eq!(checked["agents"][1]["rho"]["response_time"], 30.0);
    let defaults = checked["defaults"].as_array().expect("a list");
    assert!(defaults.iter().any(|one| one["table"] == "rho" && one["key"] == "response_time"), "{defaults:?}");
}

#[test]
fn what_is_there_is_kept_unless_it_is_to_be_replaced() {
    let place = Place::new();
    let init = |more: &[&str]| run(place.path(), &[&["init", "mine"], &ALL_THAT_IS_NEEDED[..], more].concat());
    let mine = place.path().join("mine");
    // A folder with something else in it is no configuration.
    fs::create_dir(&mine).expect("a directory");
    fs::write(mine.join("ca.pem"), "theirs").expect("a file");
    assert_eq!(init(&[]).code, Some(0));
    let before = fs::read_to_string(mine.join("network.toml")).expect("a file");
    fs::write(mine.join("3.toml"), "of a node that is not there").expect("a file");
    let kept = init(&["--data-set", "other"]);
    assert_eq!(kept.code, Some(2));
    assert!(kept.err.starts_with("error: mine/1.toml: is there already; "), "{}", kept.err);
    assert_eq!(fs::read_to_string(mine.join("network.toml")).expect("a file"), before);
    assert_eq!(init(&["--data-set", "other", "--force"]).code, Some(0));
    assert_eq!(entries(&mine), ["1.toml", "2.toml", "ca.pem", "network.toml"]);
    assert_eq!(entries(place.path()).iter().filter(|name| name.starts_with('.')).count(), 0);
    assert!(fs::read_to_string(mine.join("network.toml")).expect("a file").contains("name = \"other\""));
}

#[test]
fn what_cannot_be_used_leaves_nothing() {
    let place = Place::new();
    let missing = refused(place.path(), &["init", "mine"]);
    for flag in ["--nodes", "--object-key", "--prefix", "--expression", "--program", "--application", "--goal"] {
        assert!(missing.contains(flag), "{flag}: {missing}");
    }
    let with = |more: &[&'static str]| [&["init", "mine"], &ALL_THAT_IS_NEEDED[..], more].concat();
    for (more, said) in [
        (["--first-node", "3"], "--first-node: there is no node 3"),
        (["--profile", "1=plant"], "the store of node 1 is embedded"),
        (["--knowledge", "mysql://agent:hush@db/agent"], "has a password"),
        (["--link", "1-1=20"], "leads from node 1 to itself"),
        (["--goal", "happiness > 3"], "unknown metric `happiness`"),
    ] {
        let err = refused(place.path(), &with(&more));
        assert!(err.contains(said), "{more:?}: {err}");
    }
    fs::write(place.path().join("file"), "no folder").expect("a file");
    let below = run(place.path(), &[&["init", "file/mine"], &ALL_THAT_IS_NEEDED[..]].concat());
    assert_eq!(below.code, Some(1));
    assert!(below.err.contains("file/mine: cannot be "), "{}", below.err);
    assert!(entries(place.path()).iter().all(|name| name == "file" || name.starts_with("command.")));
}

/// Two agents on one machine, from nothing: the data is made, the job is measured at both nodes, and runs on both.
#[test]
fn a_network_of_ones_own_trains_and_runs() {
    let place = Place::new();
    let own = ["init", "agents", "--generate-records", "2000"];
    succeed(place.path(), &[&own[..], &ALL_THAT_IS_NEEDED].concat());
    // As it was written, but for somebody who does not like to wait.
    let network = place.path().join("agents/network.toml");
    let written = fs::read_to_string(&network).expect("a file");
    let hurried = format!("{written}\n[rhythm]\njob_gap = \"50 ms\"\njob_gap_deviation = \"0 s\"\n");
    fs::write(&network, hurried).expect("a file");
    succeed(place.path(), &["train", "--iterations", "1", "--data", "data"]);
    let checked = succeed(place.path(), &["check"]);
    assert!(checked.contains("agent 1  trained at nodes 1, 2\n  agent 2  trained at nodes 1, 2\n"), "{checked}");
    let mut agents = ["1", "2"].map(|id| {
        Running::start(place.path(), &format!("agent-{id}"), &["run", "--id", id, "--data", "data", "--seed", "1"])
    });
    let audit = Audit::of_new(&place.data());
    let both = "select count(distinct agent) from measurements";
    wait_until("both agents run a job", PATIENCE, || audit.count(both) == 2);
    for agent in &mut agents {
        agent.signal(Signal::TERM);
        assert_eq!(agent.ends_within(PATIENCE), Some(0), "{}", agent.errors());
    }
    assert_eq!(audit.broken(), Vec::<String>::new());
}

/// A terminal with `agent init` in it; killed when dropped.
struct Terminal {
    script: Child,
}

impl Terminal {
    /// `None` without `script`, which makes terminals.
    fn open(directory: &Path) -> Option<Self> {
        let init = format!("{} init mine", env!("CARGO_BIN_EXE_agent"));
        let script = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", &init, "/dev/null"])
            .current_dir(directory)
            .env_remove("AGENT_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        match script {
            Ok(script) => Some(Self { script }),
            Err(error) => {
                println!("SKIPPED: `script` cannot be started: {error}");
                None
            }
        }
    }

    fn types(&mut self, text: &str) {
        self.script.stdin.as_mut().expect("a pipe").write_all(text.as_bytes()).expect("a terminal");
    }

    /// Reads until this is shown.
    fn shows(&mut self, expected: &str) -> String {
        let (mut shown, mut byte) = (Vec::new(), [0]);
        let out = self.script.stdout.as_mut().expect("a pipe");
        while !String::from_utf8_lossy(&shown).contains(expected) {
            let read = out.read(&mut byte).expect("what is shown");
            assert_eq!(read, 1, "`{expected}` is not in {}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn ends(&mut self) -> Option<i32> {
        let mut status = None;
        let ended = comes_true(PATIENCE, || {
            status = self.script.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        assert!(ended, "it has not ended");
        status.and_then(|status| status.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _gone = self.script.kill();
        let _gone = self.script.wait();
    }
}

#[test]
fn a_person_is_asked_and_a_wrong_answer_is_asked_for_again() {
    let place = Place::new();
    let Some(mut terminal) = Terminal::open(place.path()) else { return };
    for (question, answer) in [
        ("How many nodes are there? [2]: ", "none"),
        ("`none` is not a whole number; it lies between 1 and 1000\r\nHow many nodes are there? [2]: ", "1"),
        ("What is node 1 called? [node-1]: ", "plant"),
        ("Node 1's store", "http://10.0.0.4:9000/data"),
        ("Credentials of node 1's store", ""),
        ("is node 1 up? [100 %]: ", "97 %"),
        ("The shared table", ""),
        ("The data", "scans/2026/"),
        ("What is the data set called? [2026]: ", "scans"),
        ("On which node does it lie? [1]: ", ""),
        ("The job", "command"),
        ("Which program does it run", "python3 'my job.py'"),
        ("What does agent 1's user want? [response_time <= 10 s]: ", "response_time <= 5 min"),
    ] {
        terminal.shows(question);
        terminal.types(&format!("{answer}\n"));
    }
    terminal.shows("agent run --id 1 --config mine\r\n");
    assert_eq!(terminal.ends(), Some(0));
    let checked = json(place.path(), &["check", "--config", "mine", "--json"]);
    assert_eq!(checked["nodes"][0]["store"], "http://10.0.0.4:9000/data (us-east-1), credentials from the environment");
    assert_eq!((&checked["nodes"][0]["name"], &checked["nodes"][0]["availability"]), (&"plant".into(), &97.0.into()));
    assert_eq!(checked["data_set"]["prefix"], "scans/2026/");
    assert_eq!(checked["agents"][0]["job"], "python3 my job.py");
}

#[test]
fn who_stops_answering_leaves_nothing() {
    // Ctrl-C, and the end of the input.
    for (typed, code) in [("\u{3}", 130), ("\u{4}", 130)] {
        let place = Place::new();
        let Some(mut terminal) = Terminal::open(place.path()) else { return };
        terminal.shows("How many nodes are there? [2]: ");
        terminal.types("\n");
        terminal.shows("What is node 1 called? [node-1]: ");
        terminal.types(typed);
        assert_eq!(terminal.ends(), Some(code), "{typed:?}");
        assert_eq!(entries(place.path()), Vec::<String>::new());
    }
}

/// The files that the document begins with: a name in backquotes and a colon, and below it what it holds.
fn shortest() -> Vec<(String, String)> {
    let document = fs::read_to_string(repository().join("docs/configuration.md")).expect("the document");
    let beginning = document.split("A configuration is a folder:").next().expect("a beginning");
    let mut blocks = beginning.split("```");
    let mut files = Vec::new();
    while let (Some(before), Some(block)) = (blocks.next(), blocks.next()) {
        let name = before.split('`').rfind(|word| word.ends_with(".toml")).expect("a block has a file's name");
        files.push((name.to_owned(), block.strip_prefix("toml\n").expect("it is TOML").to_owned()));
    }
    files
}

#[test]
fn the_document_begins_with_the_shortest_useful_configuration() {
    let (place, files) = (Place::new(), shortest());
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["network.toml", "1.toml", "2.toml"]);
    let lines: usize = files.iter().map(|(_, text)| text.lines().count()).sum();
    assert!(lines < 25, "{lines} lines");
    let directory = place.path().join("shortest");
    fs::create_dir(&directory).expect("a directory");
    files.iter().for_each(|(name, text)| fs::write(directory.join(name), text).expect("a file"));
    let checked = json(place.path(), &["check", "--config", text(&directory), "--json"]);
    assert_eq!(checked["emulator"], "none");
    assert_eq!(checked["nodes"].as_array().map(Vec::len), Some(2));
    assert_eq!(checked["agents"].as_array().map(Vec::len), Some(2));
    assert_eq!(checked["warnings"], Value::Array(Vec::new()));
}
