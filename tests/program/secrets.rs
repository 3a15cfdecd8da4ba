//! Passwords and keys appear nowhere: not in what agents print at the highest level of diagnostics, not in their errors,
//! documents, arguments or files, whether all is well or everything is wrong.

use crate::network::fake_store::{FakeStore, Mood};
use crate::network::process::{Finished, Running, run, run_with};
use crate::network::secrets::Secrets;
use crate::network::{PATIENCE, Place, sha256, text, wait_until};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const SECRET: &str = "recognisable-secret/key+1";
const TOKEN: &str = "recognisable-session-token";
const PASSWORD: &str = "recognisable-password";

const EVERYTHING: [(&str, &str); 5] = [
    ("AGENT_LOG", "trace"),
    ("AWS_ACCESS_KEY_ID", "AKID"),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
    ("AWS_SESSION_TOKEN", TOKEN),
    ("AGENT_DATABASE_PASSWORD", PASSWORD),
];

fn secrets() -> Secrets {
    Secrets::new([SECRET, TOKEN, PASSWORD])
}

fn nothing() -> Vec<String> {
    Vec::new()
}

/// Node 1 is somebody else's store and holds the data; agent 2 wants it at home, and its job shows its environment and fails
/// as long as the file `fail` exists.
fn configuration(place: &Place, store: &FakeStore) {
    let foreign = format!(
        "name = \"cloud\"\nstore = {{ kind = \"s3\", endpoint = \"{}\", bucket = \"theirs\" }}",
        store.endpoint()
    );
    let program = place.path().join("job.sh");
    let result = r#"{\"records\": 500, \"execution_time_s\": 0.1, \"result\": \"$AWS_SECRET_ACCESS_KEY\"}"#;
    let script = format!(
        "#!/bin/sh\nenv\nenv | grep SECRET\ntest -e {} && exit 1\necho \"{result}\"\n",
        text(&place.path().join("fail"))
    );
    fs::write(&program, script).expect("a script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let command = format!("kind = \"command\"\nprogram = \"{}\"\ntime_limit = \"10 min\"\n", text(&program));
    let directory = place.configuration(
        "agents",
        &[
            ("network.toml", "generate_records = 553_729\n", ""),
            ("network.toml", "first_node = 3", "first_node = 1"),
            ("network.toml", "exploration = 0.1", "exploration = 0"),
            ("network.toml", "name = \"cloud\"", &foreign),
            ("1.toml", "response_time <= 35 s and availability >= 95 %", "availability >= 0 %"),
            ("2.toml", "throughput >= 30000 records/s and availability >= 80 %", "network_latency <= 100 ms"),
            ("2.toml", "kind = \"aggregate\"\n", &command),
            ("2.toml", "expression = \"avg(cholesterol)\"\n", ""),
        ],
    );
    fs::remove_file(directory.join("3.toml")).expect("it was there");
}

/// Agent 2's job is not the one that it was trained with.
fn trained_with_its_program(place: &Place) {
    let file = place.training().join("agent-2.json");
    let trained = fs::read_to_string(&file).expect("a training file");
    fs::write(file, trained.replace("avg(cholesterol)", text(&place.path().join("job.sh")))).expect("a file");
}

fn start(place: &Place, agent: u32) -> Running {
    let (id, training) = (agent.to_string(), place.training());
    let arguments = ["run", "--id", &id, "--data", "data", "--training", text(&training)];
    Running::start_with(&EVERYTHING, place.path(), &format!("agent-{agent}"), &arguments)
}

#[test]
fn a_network_keeps_its_secrets_at_every_level_of_diagnostics() {
    let records: Vec<String> = (0..500).map(|n| format!("{{\"cholesterol\": 1{}.5}}", n % 10)).collect();
    let content = format!("[{}]", records.join(",\n")).into_bytes();
    let content_hash = sha256(&content);
    let store = FakeStore::start(content);
    let place = Place::new();
    configuration(&place, &store);
    place.trained_on(&content_hash);
    trained_with_its_program(&place);
    let mut one = start(&place, 1);
    wait_until("agent 1 reads", PATIENCE, || one.output().contains("job       ok"));
    store.set(Mood::WrongContent);
    let mut two = start(&place, 2);
    wait_until("agent 2 fails to copy", PATIENCE, || two.output().contains("FAILED: source: "));
    fs::write(place.path().join("fail"), "").expect("a file");
    wait_until("agent 2's job shows its environment", PATIENCE, || two.output().contains("AWS_SECRET_ACCESS_KEY=***"));
    store.set(Mood::Failing);
    wait_until("agent 1's job fails", PATIENCE, || one.output().contains("FAILED on node 1"));

    let secrets = secrets().and_of_stores(&place.data());
    assert_eq!(secrets.len(), 4, "node 2's embedded store has a secret of its own");
    for agent in [&one, &two] {
        assert!(agent.errors().contains("DEBUG"), "{}", agent.errors());
        assert_eq!(agent.seen(&secrets), nothing());
    }
    for command in [&["status"][..], &["status", "--json"], &["events", "--json"], &["check"], &["check", "--json"]] {
        let Finished { code, out, err } =
            run_with(&EVERYTHING, PATIENCE, place.path(), &[command, &["--data", "data"]].concat());
        // Jobs fail here, so the network is not well.
        let expected = if command[0] == "status" { 4 } else { 0 };
        assert_eq!(code, Some(expected), "{command:?}: {err}");
        assert_eq!(secrets.seen_in(&format!("{command:?}"), (out + &err).as_bytes()), nothing());
    }
    for agent in [&mut one, &mut two] {
        agent.signal(Signal::TERM);
        agent.ends_within(PATIENCE);
        assert_eq!(agent.seen(&secrets), nothing());
    }
    // The database, the locks, the objects, and what all of them printed.
    assert_eq!(secrets.seen_under(place.path()), nothing());
}

/// Node 1 with a store of somebody else's and these credentials.
fn of_store(credentials: &str) -> String {
    let store = "kind = \"s3\", bucket = \"theirs\", endpoint = \"http://127.0.0.1:9\"";
    format!("name = \"cloud\"\nstore = {{ {store}, credentials = {credentials} }}")
}

/// A configuration with one text replaced, and what `agent check` says about it.
fn check(file: &str, from: &str, to: &str) -> Finished {
    let place = Place::new();
    place.configuration("agents", &[(file, from, to)]);
    run_with(&EVERYTHING, PATIENCE, place.path(), &["check", "--json"])
}

#[test]
fn mistakes_in_a_configuration_do_not_repeat_secrets() {
    let sqlite = "knowledge = \"sqlite:network.db\"";
    let emulator = "emulator = \"embedded\"";
    let name = "name = \"cloud\"";
    for (from, to) in [
        (sqlite, format!("knowledge = \"mysq://root:{PASSWORD}@host:3306/agent\"")),
        (sqlite, format!("knowledge = \"root:{PASSWORD}@host\"")),
        (sqlite, format!("knowledge = \"mysql//root:{PASSWORD}@host\"")),
        (emulator, format!("emulator = \"http://u:{PASSWORD}@host:8474\"")),
        (emulator, format!("emulator = \"u:{PASSWORD}@host:8474\"")),
        (emulator, format!("emulator = \"http://{PASSWORD}@host:8474/path\"")),
        (
            name,
            format!("{name}\nstore = {{ kind = \"s3\", bucket = \"b\", endpoint = \"http://k:{PASSWORD}@host:1\" }}"),
        ),
        (name, format!("{name}\nstore = {{ kind = \"embedded\", secret_access_kee = \"{PASSWORD}\" }}")),
        (name, format!("{name}\nstore = {{ kind = \"embedded\", secret_access_kee = {PASSWORD} }}")),
        (name, format!("{name}\nstore = {{ kind = \"embedded\", secret_access_kee = \"{PASSWORD} }}")),
        (name, of_store(&format!("\"{PASSWORD}\""))),
        (name, of_store(&format!("[\"{PASSWORD}\"]"))),
        (name, of_store(&format!("{{ access_key_id = \"k\", secret_access_key = [\"{PASSWORD}\"] }}"))),
        (name, of_store(&format!("{{ access_key_id = \"k\", secret_access_key = {PASSWORD} }}"))),
        (name, of_store(&format!("{{ access_key_id = \"k\", secret_access_kye = \"{PASSWORD}\" }}"))),
        (name, of_store(&format!("{{ profile = \"p\", secret_access_key = \"{PASSWORD}\" }}"))),
        (name, of_store(&format!("{{ session_token = \"{PASSWORD}\" }}"))),
    ] {
        let Finished { code, out, err } = check("network.toml", from, &to);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{from}: {err}");
        assert!(err.contains("error: agents/network.toml: "), "{err}");
        assert_eq!(secrets().seen_in(&to.replace(PASSWORD, "***"), err.as_bytes()), nothing());
    }
}

#[test]
fn a_configuration_with_secrets_is_described_without_them() {
    let credentials =
        format!("{{ access_key_id = \"k\", secret_access_key = \"{PASSWORD}\", session_token = \"{TOKEN}\" }}");
    let Finished { code, out, err } = check("network.toml", "name = \"cloud\"", &of_store(&credentials));
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(secrets().seen_in("the description", (out + &err).as_bytes()), nothing());
    assert!(err.contains("run `chmod 600 agents/network.toml`"), "{err}");
}

#[test]
fn credentials_that_cannot_be_read_are_not_repeated() {
    let place = Place::new();
    place.configuration("agents", &[]);
    let store = place.data().join("nodes/1");
    fs::create_dir_all(&store).expect("a directory");
    let file = store.join("credentials.json");
    for content in [format!("\"{SECRET}\""), format!("{{\"access_key_id\": 1, \"secret_access_key\": \"{SECRET}")] {
        fs::write(&file, content).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        let training = place.training();
        let arguments = ["run", "--id", "1", "--data", "data", "--training", text(&training)];
        let Finished { code, out, err } = run(place.path(), &arguments);
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("these are no credentials: line 1, column "), "{err}");
        assert_eq!(secrets().seen_in("its error", (out + &err).as_bytes()), nothing());
    }
}

#[test]
fn a_secret_without_its_key_is_not_repeated() {
    let store = FakeStore::start(Vec::new());
    let place = Place::new();
    configuration(&place, &store);
    let training = place.training();
    let arguments = ["run", "--id", "1", "--data", "data", "--training", text(&training)];
    let only_secret = [("AWS_SECRET_ACCESS_KEY", SECRET)];
    let Finished { code, out, err } = run_with(&only_secret, PATIENCE, place.path(), &arguments);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert_eq!(secrets().seen_in("its error", err.as_bytes()), nothing());
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_warned_of_once() {
    let warned = |mode: u32, to: &str| {
        let place = Place::new();
        let directory = place.configuration("agents", &[("network.toml", "knowledge = \"sqlite:network.db\"", to)]);
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(directory.join("network.toml"), mode).expect("it is ours");
        let Finished { err, .. } = run(place.path(), &["check"]);
        assert_eq!(secrets().seen_in("its error", err.as_bytes()), nothing());
        err.matches("run `chmod 600 agents/network.toml`").count()
    };
    let secret = format!("knowledge = \"mysql://root:{PASSWORD}@127.0.0.1:3306/agent\"");
    assert_eq!(warned(0o644, &secret), 1);
    assert_eq!(warned(0o640, &secret), 1);
    assert_eq!(warned(0o600, &secret), 0);
    assert_eq!(warned(0o644, "knowledge = \"sqlite:network.db\""), 0);
}
