//! Data that its owner goes on writing while it is read: every result is of one version, all replicas follow, and a refresh that is
//! killed half-way leaves nothing behind.

use crate::network::audit::Audit;
use crate::network::edits::{CALM, Edit};
use crate::network::process::{Running, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use agent_core::domain::manifest::{Digest, Entry, Manifest, Selection};
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::PathBuf;

const OBJECTS: usize = 60;
/// Of each object: long enough for a refresh that a kill can hit.
const PADDING: usize = 60_000;

const WRITTEN: [Edit; 4] = [
    ("network.toml", "object_key = \"blood_tests.json\"", "prefix = \"blood/\"\norigin = \"fixed\""),
    ("network.toml", "generate_records = 553_729", ""),
    ("network.toml", "lease = \"300 s\"", "lease = \"3000 s\""),
    ("network.toml", "probes = 5", "probes = 5\nwatch = \"never\""),
];
const WATCHED: Edit = ("network.toml", "watch = \"never\"", "watch = \"2 s\"");

fn below(index: usize) -> String {
    format!("{index:03}.json")
}

/// Every record of a version says which one it is of: a mean that is no whole number is of a mixture.
fn content(version: u64) -> Vec<u8> {
    format!("[{{\"cholesterol\": {version}, \"note\": \"{}\"}}]", "x".repeat(PADDING)).into_bytes()
}

/// Of the first version, whose number is 1.
fn manifest_sha256() -> String {
    let content = content(1);
    let sha256 = Digest(Sha256::digest(&content).into());
    let entry = |index| Entry { key: below(index).into(), bytes: content.len() as u64, sha256, etag: None };
    let manifest = Manifest::new(1, Selection::default(), (0..OBJECTS).map(entry).collect());
    manifest.expect("a set").sha256().to_string()
}

struct Network {
    place: Place,
}

impl Network {
    fn new(more: &[Edit]) -> Self {
        let place = Place::new();
        place.configuration("agents", &[&WRITTEN[..], &CALM, more].concat());
        place.trained_on(&manifest_sha256());
        let network = Self { place };
        network.write(1);
        network
    }

    fn bucket(&self, node: u32) -> PathBuf {
        self.place.data().join("nodes").join(node.to_string()).join("objects/agent")
    }

    /// The owner replaces one object after the other.
    fn write(&self, version: u64) {
        let folder = self.bucket(3).join("blood");
        fs::create_dir_all(&folder).expect("folders");
        for index in 0..OBJECTS {
            // As a store does it: nobody sees half an object.
            let (unfinished, object) = (self.place.path().join("unfinished"), folder.join(below(index)));
            fs::write(&unfinished, content(version)).expect("an object");
            fs::rename(&unfinished, object).expect("an object");
        }
    }

    fn agent(&self, id: &str) -> Running {
        let (config, data, training) = (self.place.path().join("agents"), self.place.data(), self.place.training());
        let common = ["--config", text(&config), "--data", text(&data), "--training", text(&training)];
        let command = ["run", "--id", id, "--policy", "none"];
        Running::start(self.place.path(), &format!("agent-{id}"), &[&command[..], &common].concat())
    }

    fn command(&self, command: &[&str]) -> String {
        let (config, data) = (self.place.path().join("agents"), self.place.data());
        succeed(self.place.path(), &[command, &["--config", text(&config), "--data", text(&data)]].concat())
    }

    fn status(&self) -> serde_json::Value {
        // Whoever reads in the middle of the writing fails, and status says so with its exit code.
        let status = run(self.place.path(), &["status", "--json", "--data", text(&self.place.data())]);
        serde_json::from_str(&status.out).unwrap_or_else(|error| panic!("{error}: {status:?}"))
    }

    /// Whether every replica holds this version.
    fn have_followed(&self, version: u64) -> bool {
        let status = self.status();
        let replicas = status["replicas"].as_array().expect("replicas");
        let present = replicas.iter().filter(|row| row["state"] == "present");
        status["version"] == version
            && present.clone().count() == 2
            && present.clone().all(|row| row.get("behind").is_none())
    }
}

fn wait_for_line(agent: &mut Running, part: &str) {
    wait_until(&format!("a line with {part}"), PATIENCE, || {
        assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
        agent.output().contains(part)
    });
}

/// The results of an agent's jobs so far.
fn results(agent: &Running) -> Vec<f64> {
    let results = |line: &str| line.split("  result ").nth(1)?.split_whitespace().next()?.parse().ok();
    agent.output().lines().filter_map(results).collect()
}

fn stop(agents: [Running; 2]) {
    for mut running in agents {
        running.signal(Signal::TERM);
        assert_eq!(running.ends_within(PATIENCE), Some(0), "{}", running.errors());
    }
}

#[test]
fn every_result_is_of_one_version_and_all_replicas_follow() {
    let network = Network::new(&[]);
    let mut third = network.agent("3");
    wait_for_line(&mut third, "result 1");
    let mut first = network.agent("1");
    wait_for_line(&mut first, "result 1");
    network.command(&["act", "C3_1", "--agent", "1"]);
    for version in 2..=5 {
        network.write(version);
        let committed = network.command(&["data", "commit", "blood_tests"]);
        assert!(committed.contains(&format!("version {version} of data set blood_tests")), "{committed}");
        for agent in [&mut first, &mut third] {
            wait_for_line(agent, &format!("result {version}"));
        }
        wait_until("all replicas have followed", PATIENCE, || network.have_followed(version));
    }
    for agent in [&first, &third] {
        let results = results(agent);
        assert!(results.iter().all(|result| result.fract() == 0.0), "of a mixture: {results:?}");
        assert!(results.is_sorted(), "an older version after a newer one: {results:?}");
    }
    let scrubbed = network.command(&["data", "scrub", "blood_tests", "--rate", "1 GB/s"]);
    assert_eq!(scrubbed.matches("intact").count(), 2, "{scrubbed}");
    stop([first, third]);
}

#[test]
fn what_is_written_is_noticed_and_a_refresh_that_is_killed_is_made_again() {
    let network = Network::new(&[WATCHED]);
    let mut third = network.agent("3");
    wait_for_line(&mut third, "result 1");
    let mut first = network.agent("1");
    wait_for_line(&mut first, "result 1");
    network.command(&["act", "C3_1", "--agent", "1"]);
    let audit = Audit::open(&network.place.data()).expect("the table is there");
    network.write(2);
    wait_for_line(&mut third, "version 2 of data set blood_tests at node 3: of its objects 60 changed");
    wait_until("the refresh has begun", PATIENCE, || audit.replicas().iter().any(|row| row.state == "copying"));
    first.kill();
    let mut first = network.agent("1");
    wait_until("all replicas have followed", PATIENCE, || network.have_followed(2));
    wait_for_line(&mut first, "result 2");
    let is_clean = || audit.replicas().iter().all(|row| row.state == "present");
    wait_until("the former version is deleted", PATIENCE, is_clean);
    let folders = fs::read_dir(network.bucket(1).join("blood.manifest.ndjson.replicas")).expect("a folder");
    let kept = folders.filter(|folder| {
        let folder = folder.as_ref().expect("a folder").path();
        walk(&folder).iter().any(|path| path.is_file())
    });
    assert_eq!(kept.count(), 1, "one version is left");
    stop([first, third]);
}

fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}
