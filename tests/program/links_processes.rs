//! Agents as processes on links that somebody else offers: an emulator that they share, and the real network.

use crate::network::audit::Audit;
use crate::network::edits::CALM;
use crate::network::process::Running;
use crate::network::{PATIENCE, Place, text, wait_until};
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The shipped latency of the link between nodes 1 and 3, and what its jitter cannot reach.
const STATED_MS: f64 = 1500.0;
const JITTER_MS: f64 = 50.0;

/// Agents on one configuration, and what they wrote down.
struct Network {
    agents: Vec<Running>,
    audit: Audit,
    _place: Place,
}

impl Network {
    fn start(agents: &[u32], environment: &[(&str, &str)], edits: &[(&str, &str, &str)]) -> Self {
        let place = Place::new();
        let (config, data, training) = (place.configuration("agents", edits), place.data(), place.training());
        let run = |agent: &u32| {
            let id = agent.to_string();
            let arguments = ["run", "--id", &id, "--create-bucket", "--config", text(&config)];
            let arguments = [&arguments[..], &["--data", text(&data), "--training", text(&training)]].concat();
            Running::start_with(environment, place.path(), &format!("agent-{agent}"), &arguments)
        };
        let agents = agents.iter().map(run).collect();
        let audit = Audit::of_new(&data);
        Self { agents, audit, _place: place }
    }

    /// Waits until the agents' output or measurements show something; an agent that ends has something to say.
    fn wait_until(&mut self, what: &str, mut holds: impl FnMut(&Audit, &[Running]) -> bool) {
        wait_until(what, PATIENCE, || {
            for agent in &mut self.agents {
                assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
            }
            holds(&self.audit, &self.agents)
        });
    }

    /// The next job that an agent measures from now on: node, measured and stated latency [ms].
    fn next_job(&mut self, agent: u32) -> (u32, f64, Option<f64>) {
        let last = self.audit.count("select coalesce(max(id), 0) from measurements");
        let sql = format!(
            "select node, network_latency_ms, emulated_latency_ms from measurements
             where agent = {agent} and id > {last} order by id limit 1"
        );
        let mut found = Vec::new();
        self.wait_until("a job is measured", |audit, _| {
            found = audit.rows(&sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            !found.is_empty()
        });
        found.remove(0)
    }

    /// A job of agent 1 through an emulated link to node 3.
    fn expect_a_job_through_the_emulator(&mut self) {
        let (node, measured, emulated) = self.next_job(1);
        let emulated = emulated.expect("an emulator states its latency");
        assert_eq!(node, 3);
        assert!((emulated - STATED_MS).abs() < JITTER_MS, "{emulated} ms are injected");
        assert!(measured >= emulated, "{measured} ms are measured, {emulated} ms are injected");
    }

    fn expect_output(&mut self, index: usize, what: &str) {
        let before = self.agents[index].output().len();
        self.wait_until(&format!("`{what}` is said"), |_, agents| agents[index].output()[before..].contains(what));
    }
}

/// `agent proxy` at an address; port 0: a free one. With the URL of its API.
fn emulator(directory: &Path, listen: &str) -> (Running, String) {
    let running = Running::start(directory, "proxy", &["proxy", "--listen", listen]);
    let mut url = String::new();
    wait_until("the emulator listens", PATIENCE, || {
        let said = running.output();
        url = said.split_whitespace().find_map(|word| word.strip_suffix(';')).unwrap_or_default().to_owned();
        url.starts_with("http://")
    });
    (running, url)
}

/// A request to the emulator's API as anybody could send it; its whole answer.
fn ask(url: &str, method: &str, path: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(url.trim_start_matches("http://")).expect("the emulator listens");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: emulator\r\nConnection: close\r\n");
    write!(socket, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers in text");
    answer
}

#[test]
fn a_restarted_emulator_gets_its_links_again_and_keeps_what_others_do_to_it() {
    let elsewhere = Place::new();
    let (mut emulating, url) = emulator(elsewhere.path(), "127.0.0.1:0");
    let shared = ("network.toml", "emulator = \"embedded\"", &*format!("emulator = \"{url}\""));
    let mut network = Network::start(&[1, 3], &[], &[&CALM[..], &[shared]].concat());
    network.expect_a_job_through_the_emulator();

    emulating.kill();
    let (_emulating, _) = emulator(elsewhere.path(), url.trim_start_matches("http://"));
    // What it forgot, it gets with the next job; a job that was under way when it went may still fail.
    network.expect_a_job_through_the_emulator();
    let proxies = ask(&url, "GET", "/proxies", "");
    assert!(proxies.contains("\"agent1-node3\"") && proxies.contains("\"agent3-node3\""), "{proxies}");

    ask(&url, "POST", "/proxies", r#"{"name": "mine", "upstream": "127.0.0.1:9"}"#);
    ask(&url, "POST", "/proxies/agent1-node3", r#"{"enabled": false}"#);
    network.expect_output(0, "agent1-node3 is switched off");
    ask(&url, "POST", "/proxies/agent1-node3", r#"{"enabled": true}"#);
    network.expect_a_job_through_the_emulator();
    assert!(ask(&url, "GET", "/proxies/mine", "").contains("200 OK"), "what others made is left alone");
}

#[test]
fn without_an_emulator_the_real_network_is_measured_and_decided_on() {
    let none = [
        ("network.toml", "emulator = \"embedded\"", "emulator = \"none\""),
        ("network.toml", "exploration = 0.1", "exploration = 0"),
    ];
    let mut network = Network::start(&[1, 2, 3], &[], &none);
    // Agent 1 asks for a node that is up 95 % of the time: only its own is.
    network.wait_until("agent 1 has what it wants", |audit, _| {
        audit.count("select count(*) from measurements where agent = 1 and node = 1 and satisfied") > 0
    });
    network.next_job(2);
    assert_eq!(network.audit.count("select count(*) from measurements where emulated_latency_ms is not null"), 0);
    let shortest: f64 =
        network.audit.rows("select min(network_latency_ms) from measurements", |row| row.get(0)).remove(0);
    assert!(shortest > 0.0 && shortest < 1000.0, "{shortest} ms on loopback, where the shipped links take 1000");
    assert_eq!(network.audit.broken(), Vec::<String>::new());
}

/// Somebody else's S3 server, which speaks TLS only. Ended with the test.
struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Moto {
    /// Its server and its URL; `None` when it is not installed.
    fn start(certificate: &Path, key: &Path) -> Option<(Self, String)> {
        let mut command = Command::new("moto_server");
        command.args(["--host", "127.0.0.1", "--port", "0", "--ssl-cert", text(certificate), "--ssl-key", text(key)]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
        let mut said = BufReader::new(process.stderr.take()?).lines().map_while(Result::ok);
        let moto = Self(process);
        let port = said.find_map(|line| Some(line.split_once("https://127.0.0.1:")?.1.trim().to_owned()));
        // Read on, or it would wait for somebody to do so.
        std::thread::spawn(move || said.for_each(drop));
        Some((moto, format!("https://localhost:{}", port.expect("moto_server ended before it listened"))))
    }
}

#[test]
fn a_store_behind_tls_is_reached_and_measured_with_and_without_an_emulator() {
    let elsewhere = Place::new();
    let (certificate, key) = (elsewhere.path().join("certificate.pem"), elsewhere.path().join("key.pem"));
    let pair = KeyPair::generate().expect("a key");
    let signed = CertificateParams::new(vec!["localhost".to_owned()]).and_then(|params| params.self_signed(&pair));
    fs::write(&certificate, signed.expect("a certificate").pem()).expect("a file");
    fs::write(&key, pair.serialize_pem()).expect("a file");
    let Some((_moto, url)) = Moto::start(&certificate, &key) else {
        println!("SKIPPED: moto_server is not installed");
        return;
    };
    let environment =
        [("AWS_ACCESS_KEY_ID", "someone"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_CA_BUNDLE", text(&certificate))];
    let job = |emulator: &str| {
        let store =
            format!("name = \"edge\"\nstore = {{ kind = \"s3\", endpoint = \"{url}\", bucket = \"{emulator}\" }}");
        let emulator = format!("emulator = \"{emulator}\"");
        let edits =
            [("network.toml", "emulator = \"embedded\"", &*emulator), ("network.toml", "name = \"edge\"", &store)];
        Network::start(&[1, 3], &environment, &[&CALM[..], &edits].concat()).next_job(1)
    };
    let (node, measured, emulated) = job("none");
    assert_eq!((node, emulated), (3, None));
    assert!(measured > 0.0, "{measured} ms");
    let (node, measured, emulated) = job("embedded");
    let emulated = emulated.expect("an emulator states its latency");
    assert_eq!(node, 3);
    assert!(measured >= emulated && emulated > STATED_MS - JITTER_MS, "{measured} ms, {emulated} ms are injected");
}
