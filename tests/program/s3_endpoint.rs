//! Applications that read by S3 while people and agents move what they read: nothing of it is seen by any client, whoever is killed.

use crate::network::audit::Audit;
use crate::network::edits::{CALM, Edit};
use crate::network::process::{Running, run_with, succeed};
use crate::network::{PATIENCE, Place, repository, sha256, text, wait_until};
use agent::storage::credentials::kept::{Form, Kept};
use agent::storage::s3::{Attempts, S3Settings, S3Store};
use agent::storage::{Content, ObjectStore};
use futures::TryStreamExt as _;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const BUCKET: &str = "blood_tests";
const KEY: &str = "blood_tests.json";
/// What is read at a time, and by how many at once.
const READ_BYTES: u64 = 4096;
const READERS: u64 = 8;
const READS_AT_LEAST: u64 = 10_000;
/// Moves, copies and evicts of what agent 1 reads, which end where they began; fifty times.
const ACTIONS: [&str; 4] = ["M3_1", "C1_2", "E2", "M1_3"];
const ROUNDS: usize = 50;
/// How often each client of somebody else's reads meanwhile.
const CLIENT_ROUNDS: &str = "10";

/// Small, and so calm that nobody acts but people.
const EDITS: [Edit; 2] = [
    ("network.toml", "generate_records = 553_729", "generate_records = 20_000"),
    ("network.toml", "job_gap = \"15 s\"", "job_gap = \"30 s\""),
];

/// The same of an object that its owner goes on writing.
const WRITTEN: [Edit; 2] = [("network.toml", "generate_records = 553_729", "origin = \"fixed\""), EDITS[1]];

/// Three agents, of which the first serves.
struct Network {
    place: Place,
    config: PathBuf,
    agents: BTreeMap<u32, Running>,
    endpoint: String,
    audit: Audit,
}

impl Network {
    fn start() -> Self {
        Self::serving(Place::new(), &EDITS, "")
    }

    /// Applications also write what lies on node 3.
    fn written() -> Self {
        let place = Place::new();
        let bucket = place.data().join("nodes/3/objects/agent");
        fs::create_dir_all(&bucket).expect("folders");
        let content = format!("[{}]", [r#"{"cholesterol": 170.5}"#; 1000].join(", "));
        fs::write(bucket.join(KEY), &content).expect("an object");
        place.trained_on(&sha256(content.as_bytes()));
        Self::serving(place, &WRITTEN, "writes = true\n")
    }

    /// The first agent's endpoint has these lines more.
    fn serving(place: Place, edits: &[Edit], lines: &str) -> Self {
        let config = place.configuration("agents", &[edits, &CALM].concat());
        // A port that was free a moment ago: the agent is to come back to the same one.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let first = config.join("1.toml");
        let served = fs::read_to_string(&first).expect("a file");
        let served = served.replace("[job]", &format!("[s3]\nlisten = \"127.0.0.1:{port}\"\n{lines}\n[job]"));
        fs::write(first, served).expect("a file");
        let agents = [3, 1, 2].map(|agent| (agent, launch(&place, agent))).into();
        let audit = Audit::of_new(&place.data());
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut network = Self { place, config, agents, endpoint, audit };
        network.wait_for(1, "by S3 on");
        wait_until("every agent reads it", PATIENCE, || network.audit.references().len() == 3);
        network
    }

    fn wait_for(&mut self, agent: u32, part: &str) {
        let running = self.agents.get_mut(&agent).expect("it runs");
        wait_until(&format!("a line with {part}"), PATIENCE, || {
            assert_eq!(running.ended(), None, "{}\n{}", running.output(), running.errors());
            running.output().contains(part)
        });
    }

    fn kill(&mut self, agent: u32) {
        self.agents.remove(&agent).expect("it runs").kill();
    }

    fn start_again(&mut self, agent: u32) {
        self.agents.insert(agent, launch(&self.place, agent));
        self.wait_for(agent, "started");
    }

    fn act(&self, action: &str) {
        let data = self.place.data();
        let arguments = ["act", action, "--agent", "1", "--config", text(&self.config), "--data", text(&data)];
        succeed(self.place.path(), &arguments);
    }

    fn credentials(&self) -> PathBuf {
        self.place.data().join("agent-1.s3-credentials")
    }

    fn client(&self) -> S3Store {
        let kept = Kept { path: self.credentials(), form: Form::Profile };
        let credentials = kept.load().expect("they can be read").expect("they are there");
        // What fails once has failed.
        let attempts = Attempts { read: 1, control: 1 };
        S3Store::new(S3Settings { attempts, ..S3Settings::new(self.endpoint.as_str(), BUCKET, credentials) })
    }

    /// All that is there, as the catalogue says.
    fn content(&self, runtime: &Runtime) -> Arc<Vec<u8>> {
        let bytes = self.audit.content().bytes;
        let content = runtime.block_on(read(&self.client(), 0, bytes, bytes)).expect("it can be read");
        assert_eq!(sha256(&content), self.audit.content().sha256);
        Arc::new(content)
    }

    fn end(mut self) {
        for running in self.agents.values() {
            running.signal(Signal::TERM);
        }
        for running in self.agents.values_mut() {
            assert_eq!(running.ends_within(PATIENCE), Some(0), "{}", running.errors());
        }
        assert_eq!(self.audit.broken(), Vec::<String>::new());
    }
}

fn launch(place: &Place, agent: u32) -> Running {
    let (id, config, data, training) = (agent.to_string(), place.path().join("agents"), place.data(), place.training());
    let arguments = ["run", "--id", &id, "--policy", "none", "--config", text(&config), "--data", text(&data)];
    let arguments = [&arguments[..], &["--training", text(&training)]].concat();
    Running::start(place.path(), &format!("agent-{agent}"), &arguments)
}

async fn read(store: &S3Store, start: u64, length: u64, bytes: u64) -> agent::storage::Result<Vec<u8>> {
    let body = store.read_range(KEY, start..start + length, &Content { bytes, etag: None }).await?.bytes;
    Ok(body.try_collect::<Vec<bytes::Bytes>>().await?.concat())
}

/// Somebody who reads until he is told to stop.
struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Vec<String>>>,
}

impl Readers {
    fn start(network: &Network, content: &Arc<Vec<u8>>, runtime: &Runtime) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::default()), Arc::new(AtomicU64::default()));
        let tasks = (0..READERS).map(|reader| {
            let (client, content, stop, reads) = (network.client(), content.clone(), stop.clone(), reads.clone());
            runtime.spawn(async move {
                let (mut wrong, bytes) = (Vec::new(), content.len() as u64);
                let mut at = reader * 1_000_003;
                while !stop.load(Ordering::Relaxed) {
                    at = (at + 7_368_787) % (bytes - READ_BYTES);
                    let expected = &content[at as usize..(at + READ_BYTES) as usize];
                    match read(&client, at, READ_BYTES, bytes).await {
                        Ok(found) if found == expected => {}
                        Ok(found) => wrong.push(format!("{} other bytes at {at}", found.len())),
                        Err(error) => wrong.push(error.to_string()),
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                wrong
            })
        });
        let tasks = tasks.collect();
        Self { stop, reads, tasks }
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// What went wrong.
    fn stop(self, runtime: &Runtime) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = runtime.block_on(futures::future::join_all(self.tasks));
        ended.into_iter().flat_map(|wrong| wrong.expect("a reader panicked")).collect()
    }
}

#[test]
fn ten_thousand_reads_are_right_while_what_they_read_is_moved_two_hundred_times() {
    let network = Network::start();
    let runtime = Runtime::new().expect("threads");
    let content = network.content(&runtime);
    let readers = Readers::start(&network, &content, &runtime);
    for _ in 0..ROUNDS {
        ACTIONS.iter().for_each(|action| network.act(action));
    }
    wait_until("they have read enough", PATIENCE, || readers.reads() >= READS_AT_LEAST);
    let done = network.audit.count("select count(*) from events where outcome = 'done'");
    println!("{} reads of {READ_BYTES} bytes while {done} actions were done", readers.reads());
    assert_eq!(done as usize, ROUNDS * ACTIONS.len());
    assert_eq!(readers.stop(&runtime), Vec::<String>::new());
    network.end();
}

#[test]
fn who_serves_can_be_killed_and_comes_back_to_the_same_port() {
    let mut network = Network::start();
    let runtime = Runtime::new().expect("threads");
    let content = network.content(&runtime);
    let client = network.client();
    network.kill(1);
    let bytes = content.len() as u64;
    assert!(runtime.block_on(read(&client, 0, 10, bytes)).is_err(), "nobody listens");
    network.start_again(1);
    network.wait_for(1, "by S3 on");
    assert_eq!(runtime.block_on(read(&client, 0, bytes, bytes)).expect("it is served again"), *content);

    // The address is taken: said, with what to do, before anything is done.
    let listen = network.endpoint.trim_start_matches("http://").to_owned();
    let second = network.config.join("2.toml");
    let taken = fs::read_to_string(&second).expect("a file");
    fs::write(&second, taken.replace("[job]", &format!("[s3]\nlisten = \"{listen}\"\n\n[job]"))).expect("a file");
    network.kill(2);
    let mut refused = launch(&network.place, 2);
    let code = refused.ends_within(PATIENCE);
    let said = format!(
        "error: the S3 endpoint of agent 2: cannot listen on {listen}: Address already in use (os error 98); stop who does, or \
         write another address into `[s3]` of 2.toml\n"
    );
    assert_eq!((code, refused.errors().contains(&said)), (Some(1), true), "{}", refused.errors());
    fs::write(&second, taken).expect("a file");

    // Whoever keeps the replica that is read can be killed, too, as long as there is another one.
    network.start_again(2);
    network.act("C3_2");
    let readers = Readers::start(&network, &content, &runtime);
    wait_until("they read", PATIENCE, || readers.reads() >= 100);
    network.kill(2);
    let before = readers.reads();
    wait_until("they go on", PATIENCE, || readers.reads() >= before + 500);
    network.start_again(2);
    let before = readers.reads();
    wait_until("they still do", PATIENCE, || readers.reads() >= before + 500);
    assert_eq!(readers.stop(&runtime), Vec::<String>::new());
    network.end();
}

#[test]
fn a_load_reads_by_s3_while_replicas_come_and_go() {
    let network = Network::start();
    let place = network.place.path();
    let file = place.join("reads.toml");
    let host = network.endpoint.trim_start_matches("http://");
    let client = "[[client]]\nservice = \"data\"\nprofile = { ticks = [20], interval = \"5 s\" }\n[client.request]\n";
    let request =
        format!("s3 = {{ bucket = \"{BUCKET}\", key = \"{KEY}\" }}\nheaders = {{ Range = \"bytes=0-4095\" }}\n");
    let service = format!("name = \"reads\"\n[[service]]\nname = \"data\"\nhosts = [\"{host}\"]\n");
    fs::write(&file, format!("{service}{client}{request}")).expect("it is written");
    let load = ["load", "run", text(&file), "--json"];
    let nobody =
        run_with(&[("AWS_CONFIG_FILE", "/none"), ("AWS_SHARED_CREDENTIALS_FILE", "/none")], PATIENCE, place, &load);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    assert!(nobody.err.contains("export AWS_SHARED_CREDENTIALS_FILE="), "{}", nobody.err);

    let credentials = network.credentials();
    let environment = [("AWS_SHARED_CREDENTIALS_FILE", text(&credentials))];
    let mut running = Running::start_with(&environment, place, "load", &load);
    ACTIONS.iter().for_each(|action| network.act(action));
    assert_eq!(running.ends_within(PATIENCE), Some(0), "{}", running.errors());
    let figures: Value = serde_json::from_str(&running.output()).expect("one document");
    assert_eq!((&figures["intended"], &figures["done"], &figures["errors"]), (&json!(100), &json!(100), &json!({})));
    network.end();
}

#[test]
fn any_client_reads_while_replicas_come_and_go() {
    let network = Network::start();
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("SKIPPED: python3 is not installed");
        return;
    }
    let script = repository().join("tests/program/s3_clients.py");
    let content = network.audit.content();
    let mut clients = Command::new("python3")
        .args([text(&script), &network.endpoint, BUCKET, KEY, &content.sha256, CLIENT_ROUNDS])
        .env("AWS_SHARED_CREDENTIALS_FILE", network.credentials())
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_PROFILE")
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    while clients.try_wait().expect("it can be waited for").is_none() {
        ACTIONS.iter().for_each(|action| network.act(action));
    }
    let ended = clients.wait_with_output().expect("its output");
    print!("{}", String::from_utf8_lossy(&ended.stdout));
    assert!(ended.status.success(), "a client saw something");
    network.end();
}

#[test]
fn any_client_writes_what_its_owner_goes_on_writing() {
    let network = Network::written();
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("SKIPPED: python3 is not installed");
        return;
    }
    let script = repository().join("tests/program/s3_writers.py");
    let ended = Command::new("python3")
        .args([text(&script), &network.endpoint, BUCKET, KEY])
        .env("AWS_SHARED_CREDENTIALS_FILE", network.credentials())
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_PROFILE")
        .output()
        .expect("python3 starts");
    let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{told}");
    if told.contains("boto3: right") {
        // What came last is a version that everybody is told of.
        let newest = "select count(*) from data_sets where version >= 2 and written_at is not null";
        wait_until("it is announced", PATIENCE, || network.audit.count(newest) == 1);
    }
    network.end();
}
