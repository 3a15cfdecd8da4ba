//! Agents whose stores are not their own: made on request, behind HTTPS and a link with latency, on other machines.

use crate::network::audit::Audit;
use crate::network::process::Running;
use crate::network::secrets::Secrets;
use crate::network::{PATIENCE, Place, text, wait_until};
use agent::storage::embedded::{Durability, EmbeddedSettings, EmbeddedStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::runtime::Runtime;

/// A tenth of the shipped data set, so that no test waits for bytes.
const FEW: (&str, &str, &str) = ("network.toml", "generate_records = 553_729", "generate_records = 55_373");
const FIRST_ON_NODE_1: (&str, &str, &str) = ("network.toml", "first_node = 3", "first_node = 1");

fn start(place: &Place, agent: u32, data: &str, environment: &[(&str, &str)], more: &[&str]) -> Running {
    let (id, training) = (agent.to_string(), place.training());
    // One that reads where the data lies before it moves it.
    let who = ["run", "--id", &id, "--policy", "fixed", "--config", "agents"];
    let arguments = [&who[..], &["--data", data, "--training", text(&training)]].concat();
    Running::start_with(environment, place.path(), &format!("agent-{agent}"), &[&arguments, more].concat())
}

/// Waits until an agent's output has a line with all of these parts.
fn wait_for_line(agent: &mut Running, parts: &[&str]) {
    wait_until(&format!("a line with {parts:?}"), PATIENCE, || {
        assert_eq!(agent.ended(), None, "{}\n{}", agent.output(), agent.errors());
        agent.output().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
}

/// A job that read the replica on a node, whether its user is content with it or not.
fn wait_for_job_on(agent: &mut Running, node: u32) {
    wait_for_line(agent, &["  job  ", &format!("node {node}  response ")]);
}

#[test]
fn a_bucket_is_made_only_when_that_is_asked_for() {
    let runtime = Runtime::new().expect("threads");
    let objects = tempfile::tempdir().expect("a directory");
    let settings =
        EmbeddedSettings { durability: Durability::Kill, ..EmbeddedSettings::new(objects.path(), "another") };
    let server = EmbeddedStore::start(settings, runtime.handle()).expect("it listens");
    let node = format!(
        "name = \"cloud\"\nstore = {{ kind = \"s3\", endpoint = \"{}\", bucket = \"missing\", credentials = {{ \
         access_key_id = \"{}\", secret_access_key = \"{}\" }} }}",
        server.endpoint(),
        server.credentials().access_key_id,
        server.credentials().secret_access_key
    );
    let place = Place::new();
    place.configuration("agents", &[FEW, FIRST_ON_NODE_1, ("network.toml", "name = \"cloud\"", &node)]);

    let mut refused = start(&place, 1, "data", &[], &[]);
    assert_eq!(refused.ends_within(PATIENCE), Some(1));
    let message = format!(
        "\nerror: the store of node 1: {}/missing: the bucket `missing` does not exist; create it, correct its name, or \
         start with --create-bucket\n",
        server.endpoint()
    );
    assert!(refused.errors().contains(&message), "{}", refused.errors());
    assert!(refused.errors().contains("holds a password or key, and others may read it"), "{}", refused.errors());
    assert!(!objects.path().join("objects/missing").exists(), "nothing was made");

    let mut agent = start(&place, 1, "data", &[], &["--create-bucket"]);
    wait_for_job_on(&mut agent, 1);
    assert!(objects.path().join("objects/missing/blood_tests.json.replicas/first/blood_tests.json").is_file());
    for said in [agent.output(), agent.errors(), refused.errors()] {
        assert!(!said.contains(&server.credentials().secret_access_key), "{said}");
    }
}

/// `agent check --online` on a store of another's server; its exit code and what it says.
fn check_online(place: &Place, keys: [&str; 2]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(["check", "--online", "--config", "agents"]).current_dir(place.path());
    command.env("AWS_ACCESS_KEY_ID", keys[0]).env("AWS_SECRET_ACCESS_KEY", keys[1]).env("AWS_CONFIG_FILE", "/dev/null");
    let output = command.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").output().expect("it runs");
    let [said, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    (output.status.code(), said, errors)
}

#[test]
fn stores_are_tried_by_hand_step_by_step() {
    let runtime = Runtime::new().expect("threads");
    let objects = tempfile::tempdir().expect("a directory");
    let settings = EmbeddedSettings { durability: Durability::Kill, ..EmbeddedSettings::new(objects.path(), "data") };
    let server = EmbeddedStore::start(settings, runtime.handle()).expect("it listens");
    let node = |bucket: &str| {
        let store = format!("kind = \"s3\", endpoint = \"{}\", bucket = \"{bucket}\"", server.endpoint());
        format!("name = \"cloud\"\nstore = {{ {store} }}")
    };
    let keys = [server.credentials().access_key_id.as_str(), server.credentials().secret_access_key.as_str()];
    let place = Place::new();
    place.configuration("agents", &[("network.toml", "name = \"cloud\"", &node("data"))]);

    let (code, said, errors) = check_online(&place, keys);
    assert_eq!(code, Some(0), "{said}{errors}");
    for step in ["bucket", "put", "get", "list", "delete"] {
        assert!(said.contains(&format!("\nnode 1      {step:<8}ok\n")), "{step}: {said}");
    }
    let (code, said, _) = check_online(&place, [keys[0], "another"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("\nnode 1      bucket  FAILED: "), "{said}");
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
    // What no store could be shown is found without asking any.
    let (code, _, errors) = check_online(&place, [keys[0], "hu\nsh"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("AWS_SECRET_ACCESS_KEY has a blank or a line end in it (character 3)"), "{errors}");
    assert!(!errors.contains("hu\nsh"), "{errors}");
}

/// Two data directories stand for two machines: only the table and the variables are shared.
#[test]
fn agents_on_several_machines_use_each_others_embedded_stores() {
    let place = Place::new();
    let table = format!("knowledge = \"sqlite:{}\"", text(&place.path().join("one/network.db")));
    let node = "name = \"cloud\"\nstore = { listen = \"0.0.0.0:PORT\" }";
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let node = node.replace("PORT", &port.to_string());
    let edits = [
        FEW,
        FIRST_ON_NODE_1,
        ("network.toml", "knowledge = \"sqlite:network.db\"", table.as_str()),
        ("network.toml", "name = \"cloud\"", node.as_str()),
    ];
    place.configuration("agents", &edits);
    let advertised = format!("http://localhost:{port}");
    let keys = [
        ("AGENT_LOG", "trace"),
        ("AGENT_STORE_ACCESS_KEY_ID", "shared"),
        ("AGENT_STORE_SECRET_ACCESS_KEY", "recognisable-secret"),
    ];
    let with_address = [&keys[..], &[("AGENT_STORE_ADVERTISE", advertised.as_str())]].concat();

    let mut unreachable = start(&place, 1, "one", &keys, &[]);
    assert_eq!(unreachable.ends_within(PATIENCE), Some(1));
    assert!(unreachable.errors().contains("which is no address that others can reach"), "{}", unreachable.errors());

    let mut one = start(&place, 1, "one", &with_address, &[]);
    wait_for_job_on(&mut one, 1);
    let stated = Audit::open(&place.path().join("one")).expect("the table is there");
    let urls = stated.rows("select store_url from nodes where id = 1", |row| row.get::<_, String>(0));
    assert_eq!(urls, [format!("{advertised}/agent")]);

    let mut without_keys = start(&place, 2, "two", &[], &[]);
    wait_for_line(
        &mut without_keys,
        &["job       FAILED", "node 1: there are no credentials for its store: set AGENT_STORE_"],
    );
    without_keys.kill();
    let mut two = start(&place, 2, "two", &keys, &[]);
    wait_for_job_on(&mut two, 1);
    assert_eq!(Secrets::new(["recognisable-secret"]).seen_under(place.path()), Vec::<String>::new());
}

/// A server that is not ours, ended with the test; `None`, and said so, when it is not installed.
struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Moto {
    /// Behind TLS, with a certificate from `directory`; its `https://HOST:PORT`.
    fn start(directory: &Path) -> Option<(Self, String)> {
        let [certificate, key] = ["server.pem", "server.key"].map(|file| directory.join(file));
        let mut command = Command::new("moto_server");
        command.args(["--host", "127.0.0.1", "--port", "0", "-s"]).arg("-c").arg(certificate).arg("-k").arg(key);
        let Ok(mut process) = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            println!("SKIPPED: moto_server is not installed");
            return None;
        };
        let mut said = BufReader::new(process.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let moto = Self(process);
        let url = said.find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()));
        std::thread::spawn(move || said.for_each(drop));
        Some((moto, url.expect("moto_server ended before it listened")))
    }
}

/// `ca.pem`, and what it signed for 127.0.0.1.
fn make_certificates(directory: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("it signs");
    let key = KeyPair::generate().expect("a key");
    let names = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let certificate = names.signed_by(&key, &authority).expect("it signs");
    for (file, content) in
        [("ca.pem", authority.pem()), ("server.pem", certificate.pem()), ("server.key", key.serialize_pem())]
    {
        fs::write(directory.join(file), content).expect("a file");
    }
}

#[test]
fn a_store_behind_https_is_used_through_links_with_latency() {
    let place = Place::new();
    make_certificates(place.path());
    let Some((_moto, endpoint)) = Moto::start(place.path()) else { return };
    let node = format!(
        "name = \"cloud\"\nstore = {{ kind = \"s3\", endpoint = \"{endpoint}\", bucket = \"data\", ca = \"ca.pem\", \
         credentials = {{ profile = \"moto\" }} }}"
    );
    let no_chance = ("network.toml", "exploration = 0.1", "exploration = 0");
    place.configuration("agents", &[FEW, FIRST_ON_NODE_1, no_chance, ("network.toml", "name = \"cloud\"", &node)]);
    let profiles = "[moto]\naws_access_key_id = any\naws_secret_access_key = thing\n";
    fs::write(place.path().join("profiles"), profiles).expect("a file");
    let environment = [("AWS_SHARED_CREDENTIALS_FILE", "profiles")];

    let mut one = start(&place, 1, "data", &environment, &["--create-bucket"]);
    wait_for_job_on(&mut one, 1);
    // Agent 2 is a second away, and takes the data to its own store.
    let mut two = start(&place, 2, "data", &environment, &[]);
    wait_for_job_on(&mut two, 1);
    wait_for_line(&mut two, &["agent 2  action", "  done"]);
    wait_for_job_on(&mut two, 2);
}
