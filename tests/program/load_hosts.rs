//! Load hosts, which join the table of a network and make load for whoever asks.

use super::load::Server;
use super::load_table::{load, network};
use crate::network::mariadb::{self, PASSWORD, USER};
use crate::network::process::{Running, json, run, run_with};
use crate::network::{PATIENCE, Place, text, wait_until};
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Whoever is not heard of for so long counts as gone.
const LEASE: Duration = Duration::from_secs(9);

/// Whoever has it sent and is not heard of for so long has lost it.
const LEASE_OF_AN_EXPERIMENT: Duration = Duration::from_secs(15);

fn host(place: &Place, name: &str, more: &[&str]) -> Running {
    Running::start(place.path(), name, &load(&[&["host", name], more].concat()))
}

/// Hosts that are there.
fn hosts(place: &Place, names: &[&str]) -> Vec<Running> {
    let running: Vec<Running> = names.iter().map(|name| host(place, name, &["--label", "zone=A"])).collect();
    wait_until("they have joined", PATIENCE, || there(place) == names);
    running
}

fn there(place: &Place) -> Vec<String> {
    let listed = json(place.path(), &load(&["hosts", "--json"]));
    let name = |host: &Value| host["name"].as_str().expect("a name").to_owned();
    listed.as_array().expect("a list").iter().map(name).collect()
}

/// Shares that all of them send.
fn shares(place: &Place) -> u64 {
    let listed = json(place.path(), &load(&["hosts", "--json"]));
    listed.as_array().expect("a list").iter().filter_map(|host| host["busy"]["shares"].as_u64()).sum()
}

fn file(place: &Place, server: &Server, client: &str) -> PathBuf {
    let path = place.path().join("load.toml");
    let service = format!("name = \"evening\"\n[[service]]\nname = \"shop\"\nhosts = [\"{}\"]\n", server.address);
    std::fs::write(&path, format!("{service}[[client]]\nservice = \"shop\"\n{client}\n")).expect("it is written");
    path
}

#[test]
fn load_hosts_send_together_exactly_what_one_would() {
    let (place, server) = (network(), Server::start(true));
    let none = run(place.path(), &load(&["run", text(&file(&place, &server, "rate = 1")), "--hosts", "pico.*"]));
    assert_eq!(none.code, Some(2), "a load without an end: {none:?}");
    let client =
        "count = 2\nprofile = { ticks = [20, 31], interval = \"1 s\" }\n[client.request]\npath = \"/{client}/{n}\"";
    let load_file = file(&place, &server, client);
    let none = run(place.path(), &load(&["run", text(&load_file), "--hosts", "pico.*"]));
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("no load host matches `pico.*`"), "{}", none.err);
    assert!(none.err.contains("`agent load host NAME` makes one"), "{}", none.err);

    let kept = ["--output", "kept"];
    let mut running = [host(&place, "pico1", &kept), host(&place, "pico2", &[]), host(&place, "other", &[])];
    wait_until("they have joined", PATIENCE, || there(&place) == ["other", "pico1", "pico2"]);
    let all = ["run", text(&load_file), "--hosts", "pico.*", "--json", "--output", "all.db"];
    let outcome = json(place.path(), &load(&all));
    assert_eq!((&outcome["intended"], &outcome["done"], &outcome["errors"]), (&json!(102), &json!(102), &json!({})));
    let shares = outcome["load_hosts"].as_array().expect("a list");
    let sent = |share: &Value| (share["load_host"].as_str().expect("a name").to_owned(), share["sent"].clone());
    let sent: Vec<_> = shares.iter().map(sent).collect();
    assert_eq!(sent, [("pico1".to_owned(), json!(51)), ("pico2".to_owned(), json!(51))]);
    assert_eq!(outcome["services"][0]["hosts"][0]["intended"], 102, "of the server: {outcome:#}");
    let ticks: Vec<&Value> =
        outcome["services"][0]["ticks"].as_array().expect("ticks").iter().map(|tick| &tick["intended"]).collect();
    assert_eq!(ticks, [&json!(40), &json!(62)]);
    let mut expected: Vec<String> =
        (1..=2).flat_map(|client| (1..=51).map(move |n| format!("GET /{client}/{n} HTTP/1.1"))).collect();
    expected.sort();
    assert_eq!(server.asked(), expected, "each request once");
    let shown = json(place.path(), &load(&["show", "2", "--json"]));
    assert_eq!((&shown["state"], &shown["on"]["pattern"]), (&json!("finished"), &json!("pico.*")), "{shown:#}");
    assert_eq!(super::load::kept(&place.path().join("kept/2.db"), "answered"), 51);
    // Whoever has it sent keeps what came of it, and what the hosts did; their requests each keeps itself.
    let all = Connection::open(place.path().join("all.db")).expect("it is a database");
    let sql = "select experiment, json_extract(figures, '$.done'), (select count(*) from traces), \
               (select group_concat(host) from (select host from host_info order by host)), \
               (select count(distinct host) from telemetry where at_us between began_us and ended_us) from load_runs";
    let said: (i64, i64, i64, String, i64) = all
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .expect("one run");
    assert_eq!(said, (2, 102, 0, "pico1,pico2".to_owned(), 2));

    // What a host must not send it refuses, and the others do not go on.
    let elsewhere = place.path().join("elsewhere.toml");
    let toml = std::fs::read_to_string(&load_file).expect("it is there");
    std::fs::write(&elsewhere, toml.replace(&server.address.to_string(), "example.org:80")).expect("it is written");
    let refused = run(place.path(), &load(&["run", text(&elsewhere), "--hosts", "pico.*", "--allow", "example.org"]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("`example.org:80` is another machine"), "{}", refused.err);
    for host in &mut running {
        host.signal(Signal::INT);
        assert_eq!(host.ends_within(PATIENCE), Some(0), "{}", host.errors());
    }
    assert_eq!(there(&place).len(), 0, "they have left");
}

#[test]
fn the_share_of_a_host_that_is_killed_is_missing_and_said_to_be() {
    let (place, server) = (network(), Server::start(true));
    let mut running = hosts(&place, &["pico1", "pico2"]);
    let long = file(&place, &server, "profile = { ticks = [50, 50], interval = \"8 s\" }");
    let mut sending =
        Running::start(place.path(), "run", &load(&["run", text(&long), "--hosts", "pico.*", "--strict"]));
    wait_until("requests come", PATIENCE, || server.times().len() > 20);
    running[1].kill();
    let killed = Instant::now();
    wait_until("it is gone", PATIENCE, || there(&place) == ["pico1"]);
    assert!(killed.elapsed() < LEASE + Duration::from_secs(5), "{:?}", killed.elapsed());
    assert_eq!(sending.ends_within(PATIENCE), Some(1), "{}", sending.errors());
    let said = sending.output();
    assert!(said.contains("MISSING: what 1 of 2 load hosts sent, which are gone: pico2"), "{said}");
    assert!(said.contains("load host pico1: 400 requests meant, 400 sent"), "its share and no more: {said}");
    let summary = json(place.path(), &load(&["show", "1", "--json"]));
    assert_eq!(summary["summary"]["load_hosts"][1], json!({ "load_host": "pico2" }), "{summary:#}");
    // The next one by the name does nothing of it.
    let _next = host(&place, "pico2", &[]);
    wait_until("it has joined", PATIENCE, || there(&place) == ["pico1", "pico2"]);
    let shells_own = run(place.path(), &load(&["host", "here"]));
    assert_eq!(shells_own.code, Some(2), "{shells_own:?}");
    assert!(shells_own.err.contains("so each `agent shell` calls"), "{}", shells_own.err);
    let twice = run(place.path(), &load(&["host", "pico2"]));
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert!(twice.err.contains("load host `pico2` is there already"), "{}", twice.err);
}

#[test]
fn hosts_send_nothing_any_more_when_nobody_has_it_sent() {
    let (place, server) = (network(), Server::start(true));
    let _running = hosts(&place, &["pico1", "pico2"]);
    let endless = file(&place, &server, "profile = { ticks = [100], interval = \"1 h\" }");
    let start = || {
        let before = server.times().len();
        let sending = Running::start(place.path(), "run", &load(&["run", text(&endless), "--hosts", ".*", "--json"]));
        wait_until("requests come", PATIENCE, || server.times().len() > before + 50);
        sending
    };
    let mut stopped = start();
    stopped.signal(Signal::INT);
    assert_eq!(stopped.ends_within(PATIENCE), Some(130), "{}", stopped.errors());
    let outcome: Value = serde_json::from_str(&stopped.output()).expect("one document");
    let done = outcome["done"].as_u64().expect("a count");
    assert!(done > 50 && outcome["load_hosts"][1]["sent"].as_u64().is_some_and(|sent| sent > 20), "{outcome:#}");
    assert_eq!(usize::try_from(done).expect("it is small"), server.times().len());

    wait_until("they are free", PATIENCE, || shares(&place) == 0);
    start().kill();
    let killed = Instant::now();
    wait_until("they send it", PATIENCE, || shares(&place) == 2);
    wait_until("they end", PATIENCE, || shares(&place) == 0);
    let last = server.times().into_iter().max().expect("there were some");
    assert!(last < killed + LEASE_OF_AN_EXPERIMENT + Duration::from_secs(5), "{:?} later", last - killed);
    assert_eq!(there(&place), ["pico1", "pico2"], "they wait for the next one");
}

#[test]
fn a_shell_steers_hosts_that_joined() {
    let (place, server) = (network(), Server::start(true));
    let _running = hosts(&place, &["pico1", "pico2"]);
    let script = |verbs: &str| {
        let script = place.path().join("evening.load");
        std::fs::write(&script, verbs).expect("it is written");
        script
    };
    let shell = |verbs: &str| {
        let file = script(verbs);
        run(place.path(), &["--data", "data", "shell", "--table", "--source", text(&file)])
    };
    let said = shell(&format!("rtbl set shop {} 1\nspawn 'pico.*' shop 4\nrps pico.* shop 50\n", server.address));
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("shop: 4 clients more, 4 in all"), "{}", said.out);
    assert!(said.out.contains("shop: 50 requests/s from each of 2 hosts, by 4 clients together"), "{}", said.out);
    // The shell is gone, and they go on.
    let before = server.times().len();
    wait_until("requests come", PATIENCE, || server.times().len() > before + 100);
    let listed = shell("clients pico1\nspawn here shop\nhosts --label zone=A\nrps pico2|here shop 0\nrps .* bank 1\n");
    assert_eq!(listed.code, Some(1), "{listed:?}");
    assert_eq!(listed.out.matches("pico1        shop").count(), 2, "{}", listed.out);
    assert!(listed.out.contains("pico2 (zone=A): 2 clients"), "{}", listed.out);
    assert!(listed.out.contains("shop: 0 requests/s from each of 2 hosts, by 3 clients together"), "{}", listed.out);
    assert!(listed.err.contains("service `bank` has no clients"), "{}", listed.err);
    let closed = shell("close pico.* shop\ninfo\nping\n");
    assert_eq!(closed.code, Some(0), "{closed:?}");
    assert!(closed.out.contains("shop: 4 clients closed"), "{}", closed.out);
    assert!(closed.out.contains("load host pico2 (zone=A), for "), "{}", closed.out);
    assert!(closed.out.contains("pico1 answers after "), "{}", closed.out);
    let nobody = shell("spawn nano.* shop\n");
    assert!(nobody.err.contains("no load host matches `nano.*`"), "{}", nobody.err);
}

#[test]
fn what_is_steered_on_a_host_is_kept_there_with_marks_and_rows_can_be_left_out() {
    let (place, server) = (network(), Server::start(true));
    let mut running = host(&place, "pico1", &["--output", "kept"]);
    let _other = host(&place, "pico2", &[]);
    wait_until("they have joined", PATIENCE, || there(&place) == ["pico1", "pico2"]);
    let script = place.path().join("evening.load");
    let shell = |verbs: &str| {
        std::fs::write(&script, verbs).expect("it is written");
        run(place.path(), &["--data", "data", "shell", "--table", "--source", text(&script)])
    };
    let begun = shell(&format!(
        "rtbl set shop {} 1\nexp start evening\nspawn pico1 shop\nrequest pico1 shop 7\ninfo\n",
        server.address
    ));
    assert_eq!(begun.code, Some(0), "{begun:?}");
    assert_eq!(begun.out.matches("experiment evening").count(), 3, "at every host: {}", begun.out);
    wait_until("they have come", PATIENCE, || server.times().len() == 7);
    let off = shell("traces pico1 off\nexp event peak 6\nrequest pico1 shop 11\n");
    // The shell's own host, which is new, has no experiment.
    assert!(off.out.contains("requests are not kept from now on, at 1 load host"), "{off:?}");
    assert!(off.out.contains("evening: peak 6") && off.out.contains("here does not: no experiment goes on"), "{off:?}");
    wait_until("they have come, too", PATIENCE, || server.times().len() == 18);
    let nowhere = shell("traces pico2 off\n");
    assert!(nowhere.err.contains("requests are not kept there one by one"), "{nowhere:?}");
    let on = shell("traces pico1 on\nclose pico1 shop\nexp stop\n");
    assert!(on.out.contains("each request is kept from now on, at 1 load host"), "{on:?}");
    running.signal(Signal::TERM);
    assert_eq!(running.ends_within(PATIENCE), Some(0), "{}", running.errors());
    let kept = Connection::open(place.path().join("kept/steered-pico1.db")).expect("it is a database");
    let requests: i64 = kept.query_row("select count(*) from traces", [], |row| row.get(0)).expect("it counts");
    assert_eq!(requests, 7, "of 18");
    let mut marked = kept
        .prepare("select kind || ' ' || name || coalesce(' ' || value, '') from markers order by sequence")
        .expect("it makes sense");
    let marked: Vec<String> =
        marked.query_map([], |row| row.get(0)).expect("it is read").map_while(Result::ok).collect();
    let expected = [
        "experiment evening begins",
        "verb spawn pico1 shop 1",
        "verb request pico1 shop 7",
        "verb traces pico1 off",
        "event peak 6",
        "verb request pico1 shop 11",
        "verb traces pico1 on",
        "verb close pico1 shop",
        "experiment evening ends",
    ];
    assert_eq!(marked, expected);
    let state: String = kept.query_row("select state from load_runs", [], |row| row.get(0)).expect("one run");
    assert_eq!(state, "finished");
}

#[test]
fn what_is_kept_is_copied_into_mariadb() {
    let server = match mariadb::shared() {
        Ok(server) => server,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let (place, asked) = (Place::new(), Server::start(true));
    let schema = server.schema();
    let rows = |sql: &str| server.execute(&format!("use `{schema}`; {sql}"));
    let url = format!("mysql://{USER}@127.0.0.1:{}/{schema}", server.port());
    let environment = [("AGENT_DATABASE_PASSWORD", PASSWORD)];
    let agent = |arguments: &[&str]| run_with(&environment, PATIENCE, place.path(), arguments);
    let load_file = file(&place, &asked, "profile = { ticks = [20, 20], interval = \"1 s\" }");
    let sent = agent(&["load", "run", text(&load_file), "--output", "kept.db", "--mysql", &url]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let counted = "select count(*), count(distinct sequence), sum(outcome = 'answered' and status = 200), min(host) from load_traces";
    let expected = format!("40\t40\t40\t{}", asked.address);
    assert_eq!(rows(counted), [expected.as_str()]);
    assert_eq!(rows("select name, state, json_value(figures, '$.done') from load_runs"), ["evening\tfinished\t40"]);
    assert_eq!(rows("select count(*) from load_telemetry where `load` >= 0 or `load` is null").len(), 1);
    // Again, and then with another run: what is there is replaced, and not twice there.
    let again = agent(&["load", "export", "kept.db", "--mysql", &url, "--parquet", "tables"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.contains("1 run, ") && again.out.contains(&format!("are in {url}")), "{again:?}");
    assert!(place.path().join("tables/traces.parquet").is_file());
    assert_eq!(rows(counted), [expected.as_str()]);
    assert_eq!(agent(&["load", "run", text(&load_file), "--output", "kept.db"]).code, Some(0));
    assert_eq!(agent(&["load", "export", "kept.db", "--mysql", &url]).code, Some(0));
    assert_eq!(rows("select count(*), count(distinct run) from load_traces"), ["80\t2"]);
    assert_eq!(
        rows("select count(*) from load_traces where run not in (select id from load_runs where state = 'finished')"),
        ["0"]
    );

    let before = asked.times().len();
    let nowhere = agent(&["load", "run", text(&load_file), "--output", "other.db", "--mysql", &format!("{url}_not")]);
    assert_ne!(nowhere.code, Some(0), "{nowhere:?}");
    assert_eq!(asked.times().len(), before, "it is said before anything is sent");
    assert!(!nowhere.err.contains(PASSWORD), "{}", nowhere.err);
    let missing = agent(&["load", "export", "missing.db", "--mysql", &url]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.err.contains("missing.db: there is no such file"), "{}", missing.err);
}

#[test]
fn hosts_and_daemons_share_a_table_in_mariadb() {
    let server = match mariadb::shared() {
        Ok(server) => server,
        Err(why) => return println!("SKIPPED: {why}"),
    };
    let (place, asked) = (Place::new(), Server::start(true));
    let address = format!("mysql://{USER}@127.0.0.1:{}/{}", server.port(), server.schema());
    let environment = [("AGENT_KNOWLEDGE", address.as_str()), ("AGENT_DATABASE_PASSWORD", PASSWORD)];
    let agent = |arguments: &[&str]| run_with(&environment, PATIENCE, place.path(), arguments);
    assert_eq!(agent(&["db", "init"]).code, Some(0));
    let start = |name: &str, arguments: &[&str]| Running::start_with(&environment, place.path(), name, arguments);
    let _hosts = ["pico1", "pico2"].map(|name| start(name, &["load", "host", name]));
    let listed = || agent(&["load", "hosts"]).out;
    wait_until("they have joined", PATIENCE, || listed().contains("pico1") && listed().contains("pico2"));
    let load_file = file(&place, &asked, "profile = { ticks = [20, 20], interval = \"1 s\" }");
    for on_hosts in [false, true, false, true] {
        let on: &[&str] = if on_hosts { &["--hosts", "pico.*"] } else { &[] };
        let queued = agent(&[&["load", "queue", text(&load_file)], on].concat());
        assert_eq!(queued.code, Some(0), "{queued:?}");
    }
    let mut daemons = ["one", "two"].map(|name| start(name, &["load", "daemon", "--until-idle", "--output", name]));
    for daemon in &mut daemons {
        assert_eq!(daemon.ends_within(PATIENCE), Some(0), "{}\n{}", daemon.output(), daemon.errors());
    }
    for id in 1..=4 {
        let shown: Value =
            serde_json::from_str(&agent(&["load", "show", &id.to_string(), "--json"]).out).expect("JSON");
        assert_eq!((&shown["state"], &shown["begun"]), (&json!("finished"), &json!(1)), "{shown:#}");
        assert_eq!((&shown["summary"]["done"], &shown["summary"]["errors"]), (&json!(40), &json!({})), "{shown:#}");
        let shares = shown["summary"]["load_hosts"].as_array().map_or(0, Vec::len);
        assert_eq!(shares, if id % 2 == 0 { 2 } else { 0 }, "{shown:#}");
        let kept = ["one", "two"].map(|daemon| place.path().join(format!("{daemon}/{id}.db")).is_file());
        assert_eq!(kept.iter().filter(|is_there| **is_there).count(), 1, "one of them ran it: {kept:?}");
    }
    assert_eq!(asked.times().len(), 160);
}
