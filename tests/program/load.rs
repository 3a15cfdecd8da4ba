//! `agent load`: what is sent, what is said of it, what is kept, and what stops it.

use crate::network::process::{Finished, Running, run, succeed};
use crate::network::{PATIENCE, Place, text, wait_until};
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

/// Answers everything, or nothing at all; keeps what it was asked.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Server {
    pub fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (address, asked) = (listener.local_addr().expect("an address"), Arc::<Mutex<Vec<_>>>::default());
        let seen = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let seen = seen.clone();
                thread::spawn(move || serve(&stream, answers, &seen));
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<String> {
        let mut asked: Vec<String> =
            self.asked.lock().expect("nobody panics with it").iter().map(|(_, it)| it.clone()).collect();
        asked.sort();
        asked
    }

    /// When each request came.
    pub fn times(&self) -> Vec<Instant> {
        self.asked.lock().expect("nobody panics with it").iter().map(|(at, _)| *at).collect()
    }
}

fn serve(stream: &TcpStream, answers: bool, seen: &Mutex<Vec<(Instant, String)>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
        seen.lock().expect("nobody panics with it").push((Instant::now(), request));
        if answers {
            let mut out = stream;
            if out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}

/// The file of a load to this server, its one client as written.
fn file(place: &Place, server: &Server, client: &str) -> PathBuf {
    let path = place.path().join("load.toml");
    let service = format!("name = \"try\"\n[[service]]\nname = \"web\"\nhosts = [\"{}\"]\n", server.address);
    std::fs::write(&path, format!("{service}[[client]]\nservice = \"web\"\n{client}\n")).expect("it is written");
    path
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

/// Rows of the traces in a file, by outcome.
pub fn kept(file: &Path, outcome: &str) -> i64 {
    let sql = "select count(*) from traces where outcome = ?";
    let database = Connection::open(file).expect("it is a database");
    database.query_row(sql, [outcome], |row| row.get(0)).unwrap_or_default()
}

#[test]
fn a_load_is_sent_as_its_file_says_and_every_request_is_kept() {
    let (place, server) = (Place::new(), Server::start(true));
    let client = "profile = { ticks = [100, 0, 200], interval = \"100 ms\" }\nrequest = { path = \"/items/{n}\" }";
    let file = file(&place, &server, client);
    let checked = succeed(place.path(), &["load", "check", text(&file)]);
    assert!(checked.contains("client of web: 1 x GET /items/{n}; 30 requests"), "{checked}");

    let output = place.path().join("load.db");
    let ran = run(place.path(), &["load", "run", text(&file), "--json", "--output", text(&output)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let figures = json(&ran);
    for (field, expected) in [("intended", 30), ("sent", 30), ("done", 30), ("dropped", 0), ("traces_missed", 0)] {
        assert_eq!(figures[field], expected, "{field}: {figures:#}");
    }
    assert_eq!(figures["errors"], serde_json::json!({}));
    let ticks: Vec<_> = figures["services"][0]["ticks"].as_array().expect("a list").iter().collect();
    assert_eq!(ticks.iter().map(|tick| tick["intended"].as_u64()).collect::<Vec<_>>(), [Some(10), Some(20)]);
    let mut expected: Vec<String> = (1..=30).map(|number| format!("GET /items/{number} HTTP/1.1")).collect();
    expected.sort();
    assert_eq!(server.asked(), expected);

    assert_eq!(kept(&output, "answered"), 30);
    let database = Connection::open(&output).expect("it is a database");
    let said = "select state, json_extract(figures, '$.done') from load_runs";
    let said: (String, i64) = database.query_row(said, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("a run");
    assert_eq!(said, ("finished".to_owned(), 30));
    // A second run is added, and the page draws both.
    let parquet = place.path().join("tables");
    let again = ["load", "run", text(&file), "--output", text(&output), "--parquet", text(&parquet)];
    let told = succeed(place.path(), &again);
    assert!(told.contains("30 requests meant, 30 sent, 30 answered; 0 errors"), "{told}");
    assert_eq!(kept(&output, "answered"), 60);
    assert!(parquet.join("traces.parquet").is_file() && parquet.join("load_runs.parquet").is_file());
    let page = place.path().join("load.html");
    succeed(place.path(), &["report", text(&output), "--output", text(&page)]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("try") && page.contains("web"), "{page}");
    assert!(!page.contains("written by another version"), "the page reads what a run says of itself:\n{page}");
}

#[test]
fn the_nearest_host_is_one_that_is_there() {
    let (place, server) = (Place::new(), Server::start(true));
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let path = place.path().join("near.toml");
    let hosts = format!("hosts = [\"{gone}\", \"{}\"]", server.address);
    let service = format!("name = \"near\"\n[[service]]\nname = \"web\"\n{hosts}\nbalancer = \"nearest-below\"\n");
    let client = "[[client]]\nservice = \"web\"\nprofile = { ticks = [20], interval = \"3 s\" }\n";
    let run_with = |threshold: &str| {
        std::fs::write(&path, format!("{service}cpu_threshold = {threshold}\n{client}")).expect("it is written");
        json(&run(place.path(), &["load", "run", text(&path), "--json"]))
    };
    let figures = run_with("1.0");
    assert_eq!((&figures["done"], &figures["errors"]), (&60.into(), &serde_json::json!({})), "{figures:#}");
    assert_eq!(server.times().len(), 60);
    // This machine is busier than that: the nearest is taken, and both are passed over for each request once that is known.
    let is_over = Arc::new(AtomicBool::new(false));
    let until = is_over.clone();
    let busy = thread::spawn(move || while !until.load(Ordering::Relaxed) {});
    let figures = run_with("0.01");
    is_over.store(true, Ordering::Relaxed);
    busy.join().expect("it ends");
    let passed_over = figures["passed_over"].as_u64();
    assert!(figures["done"] == 60 && passed_over.is_some_and(|times| (40..=120).contains(&times)), "{figures:#}");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_sent() {
    let (place, server) = (Place::new(), Server::start(true));
    let check = |client: &str, parts: &[&str]| {
        let file = file(&place, &server, client);
        let refused = run(place.path(), &["load", "run", text(&file)]);
        assert_eq!(refused.code, Some(2), "{client}: {refused:?}");
        parts.iter().for_each(|part| assert!(refused.err.contains(part), "{part}: {}", refused.err));
    };
    check("rate = 10", &["load.toml: client 1: duration: is missing", "duration = \"60 s\""]);
    check("rate = -1\nin_flight = 0", &["client 1: rate: -1 is out of range", "client 1: in_flight:"]);
    check("profile = { ticks = [1, -2], interval = \"1 s\" }", &["ticks[1]", "-2 is out of range"]);
    check("gaps = { replay = \"gone.csv\" }", &["`gone.csv` cannot be read"]);
    std::fs::write(place.path().join("gaps.csv"), "0.1\n".repeat(69_999) + "rubbish\n").expect("it is written");
    check("gaps = { replay = \"gaps.csv\" }", &["70000", "rubbish"]);
    check("rates = 1", &["rates"]);

    let elsewhere = "name = \"try\"\nduration = \"1 s\"\n[[service]]\nname = \"web\"\nhosts = [\"example.org:80\"]\n[[client]]\nservice = \"web\"\nrate = 1\n";
    let file = place.path().join("elsewhere.toml");
    std::fs::write(&file, elsewhere).expect("it is written");
    let refused = run(place.path(), &["load", "run", text(&file)]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("`example.org:80` is another machine"), "{}", refused.err);
    assert!(refused.err.contains("--allow example.org:80"), "{}", refused.err);
    succeed(place.path(), &["load", "check", text(&file), "--allow", "example.org"]);
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[test]
fn a_load_that_was_not_as_intended_says_so_first_and_fails_where_that_is_asked() {
    let (place, server) = (Place::new(), Server::start(false));
    let client = "profile = { ticks = [100], interval = \"100 ms\" }\nin_flight = 3\ntimeout = \"300 ms\"";
    let file = file(&place, &server, client);
    let run = |more: &[&str]| run(place.path(), &[&["load", "run", text(&file)], more].concat());
    let told = run(&[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.starts_with("NOT AS INTENDED: of 10 intended requests 7 were dropped"), "{}", told.out);
    assert!(
        told.out.contains("errors of web: timed_out 3, dropped 7") || told.out.contains("dropped 7, timed_out 3"),
        "{}",
        told.out
    );
    assert_eq!(run(&["--strict"]).code, Some(1));
}

#[test]
fn a_run_that_is_stopped_tells_what_it_came_to_and_one_that_is_killed_keeps_it() {
    let (place, server) = (Place::new(), Server::start(true));
    let client = "rate = 200";
    let file = file(&place, &server, client);
    let endless = std::fs::read_to_string(&file).expect("a file").replacen("name", "duration = \"1 h\"\nname", 1);
    std::fs::write(&file, endless).expect("it is written");
    let output = place.path().join("load.db");
    let arguments = ["load", "run", text(&file), "--output", text(&output)];

    let mut stopped = Running::start(place.path(), "stopped", &arguments);
    wait_until("requests are kept", PATIENCE, || output.exists() && kept(&output, "answered") >= 20);
    stopped.signal(Signal::INT);
    assert_eq!(stopped.ends_within(PATIENCE), Some(130), "{}", stopped.errors());
    assert!(stopped.output().contains("try, seed 1, stopped before its end: "), "{}", stopped.output());

    let mut killed = Running::start(place.path(), "killed", &arguments);
    let before = kept(&output, "answered");
    wait_until("requests are kept", PATIENCE, || kept(&output, "answered") >= before + 20);
    let second = run(place.path(), &arguments);
    assert!(second.err.contains("another process is writing to it"), "{}", second.err);
    killed.kill();
    let database = Connection::open(&output).expect("it is a database");
    let mut states = database.prepare("select state from load_runs order by id").expect("a table");
    let states: Vec<String> = states.query_map([], |row| row.get(0)).expect("rows").map_while(Result::ok).collect();
    assert_eq!(states, ["cancelled", "running"]);
    let page = place.path().join("load.html");
    succeed(place.path(), &["report", text(&output), "--output", text(&page)]);
}
