//! A data set that is all objects below a prefix, from processes that are killed: what has arrived stays, what is dropped is deleted to
//! the object, and what is somebody else's is left alone.

use crate::network::audit::Audit;
use crate::network::edits::{CALM, Edit};
use crate::network::process::{Running, json, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use agent_core::domain::manifest::{Digest, Entry, Manifest, Selection};
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const OBJECTS: usize = 400;
/// Of each object: long enough for a transfer that a kill can hit.
const PADDING: usize = 60_000;
/// So many must have arrived, and so many be missing, when it is hit.
const HIT_AFTER: usize = 25;

const PREFIX: [Edit; 3] = [
    ("network.toml", "object_key = \"blood_tests.json\"", "prefix = \"blood/2026/\"\nexclude = [\"**/*.tmp\"]"),
    ("network.toml", "generate_records = 553_729", ""),
    // A minute on the clock: nobody undoes what was killed before its agent is back.
    ("network.toml", "lease = \"300 s\"", "lease = \"3000 s\""),
];

fn below(index: usize) -> String {
    format!("{:02}/{index:03}.json", index % 12)
}

/// Some are arrays and some are lines, as users have them.
fn content(index: usize) -> Vec<u8> {
    let record = format!("{{\"cholesterol\": {index}, \"note\": \"{}\"}}", "x".repeat(PADDING));
    if index.is_multiple_of(2) { format!("[{record}]").into_bytes() } else { format!("{record}\n").into_bytes() }
}

/// What the training files have to name: computed without a store.
fn manifest_sha256() -> String {
    let entry = |index| {
        let content = content(index);
        let sha256 = Digest(Sha256::digest(&content).into());
        Entry { key: below(index).into(), bytes: content.len() as u64, sha256, etag: None }
    };
    let selection = Selection { include: Vec::new(), exclude: vec!["**/*.tmp".to_owned()] };
    Manifest::new(1, selection, (0..OBJECTS).map(entry).collect()).expect("a set").sha256().to_string()
}

/// The files below a folder, by their path in it.
fn files(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let key = path.strip_prefix(folder).expect("it is below").to_str().expect("a text").to_owned();
                    found.insert(key, path);
                }
            }
        }
    }
    found
}

struct Network {
    place: Place,
}

impl Network {
    fn new() -> Self {
        let place = Place::new();
        place.configuration("agents", &[&PREFIX[..], &CALM].concat());
        place.trained_on(&manifest_sha256());
        let network = Self { place };
        for index in 0..OBJECTS {
            network.put(3, &format!("blood/2026/{}", below(index)), &content(index));
        }
        network
    }

    fn bucket(&self, node: u32) -> PathBuf {
        self.place.data().join("nodes").join(node.to_string()).join("objects/agent")
    }

    fn put(&self, node: u32, key: &str, content: &[u8]) {
        let path = self.bucket(node).join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, content).expect("an object");
    }

    fn start(&self, name: &str, command: &[&str]) -> Running {
        let (config, data, training) = (self.place.path().join("agents"), self.place.data(), self.place.training());
        let trained = ["--training", text(&training)];
        let common = ["--config", text(&config), "--data", text(&data)];
        let more: &[&str] = if command[0] == "run" { &trained } else { &[] };
        Running::start(self.place.path(), name, &[command, &common, more].concat())
    }

    fn agent(&self, id: &str) -> Running {
        self.start(&format!("agent-{id}"), &["run", "--id", id, "--policy", "fixed"])
    }

    fn command(&self, command: &[&str]) -> String {
        let (config, data) = (self.place.path().join("agents"), self.place.data());
        succeed(self.place.path(), &[command, &["--config", text(&config), "--data", text(&data)]].concat())
    }

    /// The folder with the objects of the present replica on a node.
    fn replica(&self, audit: &Audit, node: u32) -> Option<PathBuf> {
        let present = audit.replicas().into_iter().find(|row| row.node == node && row.state == "present")?;
        let stem = present.object_key.strip_suffix(".manifest.ndjson").expect("the key of a manifest").to_owned();
        Some(self.bucket(node).join(stem))
    }
}

fn wait_for_line(agent: &mut Running, part: &str) {
    wait_until(&format!("a line with {part}"), PATIENCE, || {
        assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
        agent.output().contains(part)
    });
}

fn is_whole(folder: &Path) -> bool {
    let found = files(folder);
    let is_it = |index: usize| found.get(&below(index)).and_then(|path| fs::read(path).ok()) == Some(content(index));
    (0..OBJECTS).all(is_it)
}

#[test]
fn a_set_is_moved_through_a_kill_and_dropped_to_the_object() {
    let network = Network::new();
    network.put(3, "blood/2026/stranger.tmp", b"mine");
    let mut third = network.agent("3");
    // The mean of 0, 1, ... 399, whatever the objects look like.
    wait_for_line(&mut third, "result 199.5");
    let mut first = network.agent("1");
    wait_for_line(&mut first, "result 199.5");
    let audit = Audit::open(&network.place.data()).expect("the table is there");
    assert_eq!(audit.content().sha256, manifest_sha256());
    network.put(3, "blood/2026/later.json", b"[]");

    // Killed in the middle of a transfer: the command, and the agent in whose place it acts.
    let mut act = network.start("act", &["act", "M3_1", "--agent", "1"]);
    let copies = network.bucket(1).join("blood/2026.manifest.ndjson.replicas");
    let arrived = || -> BTreeMap<String, u64> {
        let found = files(&copies).into_iter().filter(|(key, _)| key.ends_with(".json"));
        found.filter_map(|(key, path)| Some((key, fs::metadata(path).ok()?.ino()))).collect()
    };
    wait_until("some objects have arrived", PATIENCE, || arrived().len() >= HIT_AFTER);
    act.kill();
    first.kill();
    let before = arrived();
    assert!(before.len() < OBJECTS, "the transfer was over before it could be killed");
    assert_eq!(files(&copies).keys().filter(|key| key.ends_with(".manifest.ndjson")).count(), 0, "no manifest yet");

    let mut first = network.agent("1");
    wait_for_line(&mut first, "goes on");
    wait_until("the replica is on node 1", PATIENCE, || network.replica(&audit, 1).is_some());
    let moved = network.replica(&audit, 1).expect("it is there");
    assert!(is_whole(&moved));
    let after = arrived();
    let again = before.iter().filter(|(key, inode)| after.get(*key) != Some(*inode)).count();
    // What was being written when it was killed was not there yet; what was there stays as it is.
    assert_eq!(again, 0, "{again} of {} objects travelled again", before.len());

    // What the move leaves behind goes, and nothing else.
    let left = network.bucket(3).join("blood/2026");
    wait_until("the objects are deleted on node 3", PATIENCE, || audit.replicas().len() == 1);
    assert_eq!(files(&left).keys().collect::<Vec<_>>(), ["later.json", "stranger.tmp"]);
    assert!(!network.bucket(3).join("blood/2026.manifest.ndjson").exists());

    // A copy, with a stranger in it, is dropped.
    network.command(&["act", "C1_3", "--agent", "3"]);
    let copy = network.replica(&audit, 3).expect("it is there");
    assert!(is_whole(&copy));
    fs::write(copy.join("stranger"), "mine").expect("an object");
    let (config, data) = (network.place.path().join("agents"), network.place.data());
    let fsck = ["fsck", "--read", "--json", "--config", text(&config), "--data", text(&data)];
    let checked = json(network.place.path(), &fsck);
    let verdicts =
        |verdict: &str| checked.as_array().expect("a list").iter().filter(|row| row["verdict"] == verdict).count();
    assert_eq!((verdicts("intact"), verdicts("stranger"), verdicts("damaged")), (2, 1, 0), "{checked}");
    network.command(&["act", "E3", "--agent", "1"]);
    wait_until("the copy is deleted", PATIENCE, || audit.replicas().len() == 1);
    assert_eq!(files(&copy).keys().collect::<Vec<_>>(), ["stranger"]);
    assert!(is_whole(&moved));
    for running in [&mut first, &mut third] {
        running.signal(Signal::TERM);
        assert_eq!(running.ends_within(PATIENCE), Some(0), "{}", running.errors());
    }
}

#[test]
fn what_was_written_is_committed_and_the_other_replica_follows() {
    let network = Network::new();
    let mut third = network.agent("3");
    wait_for_line(&mut third, "result 199.5");
    let mut first = network.agent("1");
    wait_for_line(&mut first, "result 199.5");
    let audit = Audit::open(&network.place.data()).expect("the table is there");
    network.command(&["act", "C3_1", "--agent", "1"]);
    let former = network.replica(&audit, 1).expect("it is there");
    let unchanged = network.command(&["data", "commit", "blood_tests"]);
    assert!(unchanged.contains("there is nothing new"), "{unchanged}");

    // One object is replaced, one comes, one goes.
    network.put(3, &format!("blood/2026/{}", below(7)), b"{\"cholesterol\": 1007}");
    network.put(3, "blood/2026/07/new.json", b"[{\"cholesterol\": 500}]");
    fs::remove_file(network.bucket(3).join("blood/2026").join(below(8))).expect("an object");
    let committed = network.command(&["data", "commit", "blood_tests"]);
    assert!(committed.contains("node 1 holds a former version"), "{committed}");
    let before = manifest_sha256();
    assert_ne!(audit.content().sha256, before);
    let is_next = || network.replica(&audit, 1).filter(|folder| *folder != former);
    wait_until("the replica on node 1 is the next version", PATIENCE, || is_next().is_some());
    let (mine, theirs) = (files(&network.bucket(3).join("blood/2026")), files(&is_next().expect("it is there")));
    let contents = |files: &BTreeMap<String, PathBuf>| -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(key, path)| (key.clone(), fs::read(path).expect("an object"))).collect()
    };
    assert_eq!(contents(&mine), contents(&theirs));
    assert_eq!(theirs.len(), OBJECTS);
    let scrubbed = network.command(&["data", "scrub", "blood_tests", "--rate", "1 GB/s"]);
    assert_eq!(scrubbed.matches("intact").count(), 2, "{scrubbed}");
    for running in [&mut first, &mut third] {
        running.signal(Signal::TERM);
        assert_eq!(running.ends_within(PATIENCE), Some(0), "{}", running.errors());
    }
}

#[test]
fn bad_prefixes_are_told_before_anything_starts() {
    let place = Place::new();
    let edits = [(PREFIX[0].0, PREFIX[0].1, "prefix = \"\""), PREFIX[1]];
    let config = place.configuration("agents", &edits);
    let refused = run(place.path(), &["check", "--config", text(&config)]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("data_set.prefix: `` would be the whole bucket"), "{}", refused.err);
}
