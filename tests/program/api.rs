//! The API as programs use it: over a socket, of a network that runs.

use crate::network::process::{Running, json, run, succeed};
use crate::network::{PATIENCE, Place, repository, text, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// A demo that stays, and the address of its API.
pub struct Demo {
    running: Running,
    pub place: Place,
    address: SocketAddr,
    pub token: String,
}

/// An answer: status, headers in lower case, body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Until it is whole by its length; one without a length, until the server closes. Not every server closes that says so.
fn read_answer(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 << 10]);
    while !is_whole(&bytes) {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    bytes
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let lines = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head + 4 + length)
}

/// Sends bytes and reads the answer.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the API listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    // A server that refuses early may have closed before all was sent.
    let _sent = stream.write_all(request);
    let bytes = read_answer(&mut stream);
    let text = String::from_utf8(bytes).expect("an answer is text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let lines = head.lines().map(|line| match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}\n", name.to_ascii_lowercase()),
        None => String::new(),
    });
    Answer { status, head: lines.collect(), body: body.to_owned() }
}

impl Demo {
    pub fn start() -> Self {
        Self::of(&["demo", "--stay"], "# the page and the API: http://")
    }

    /// Of a command that serves the API, and says where on standard error.
    fn of(arguments: &[&str], said: &str) -> Self {
        let place = Place::new();
        let data = place.data();
        let running = Running::start(place.path(), "demo", &[arguments, &["--data", text(&data)]].concat());
        let mut address = None;
        wait_until("the API is announced", PATIENCE, || {
            let errors = running.errors();
            let url = errors.split_once(said).map(|(_, rest)| rest);
            address = url.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
            address.is_some()
        });
        let token = succeed(place.path(), &["token", "--data", text(&data)]).trim().to_owned();
        Self { running, place, address: address.expect("it was found"), token }
    }

    pub fn converged(self) -> Self {
        wait_until("the network has converged", PATIENCE, || {
            self.get("/api/v1/network").json()["converged"] == json!(true)
        });
        self
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{length}{headers}\r\n", self.address);
        exchange(self.address, [head.as_bytes(), body.as_bytes()].concat().as_slice())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    pub fn write(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let token = format!("Bearer {}", self.token);
        let own = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        self.ask(method, path, &[&own, headers].concat(), &body.to_string())
    }

    pub fn data(&self) -> String {
        text(&self.place.data()).to_owned()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

#[test]
fn what_the_command_line_shows_the_api_shows() {
    let demo = Demo::start().converged();
    let status = json(demo.place.path(), &["status", "--json", "--data", &demo.data()]);
    let nodes = demo.get("/api/v1/nodes").json();
    assert_eq!(nodes["items"].as_array().map(Vec::len), status["nodes"].as_array().map(Vec::len));
    assert_eq!(nodes["items"][2]["name"], "edge");
    let replicas = demo.get("/api/v1/replicas").json();
    let on = |list: &Value| -> Vec<Value> { list.as_array().unwrap().iter().map(|row| row["node"].clone()).collect() };
    assert_eq!(on(&replicas["items"]), on(&status["replicas"]));
    let events = json(demo.place.path(), &["events", "--json", "--data", &demo.data()]);
    let listed = demo.get("/api/v1/events").json();
    assert_eq!(listed["items"][0]["id"], events[0]["id"]);
    assert_eq!(listed["items"][0]["action"], events[0]["action"]);
    let first = demo.get(&format!("/api/v1/events/{}", events[0]["id"])).json();
    assert_eq!(first["explanation"]["policy"], "cooperative");
    // Page by page, backwards.
    let newest = demo.get("/api/v1/events?limit=1&sort=descending").json();
    let next = newest["next"].as_str().expect("there are more");
    let older = demo.get(&format!("/api/v1/events?limit=1&sort=descending&cursor={next}")).json();
    assert!(older["items"][0]["id"].as_i64() < newest["items"][0]["id"].as_i64(), "{older}");
    let jobs = demo.get("/api/v1/measurements?agent=1&limit=3").json();
    assert!(jobs["items"].as_array().unwrap().iter().all(|job| job["agent"] == 1), "{jobs}");
    assert!(demo.get("/api/v1/measurements?until=2001-01-01T00:00:00Z").json()["items"].as_array().unwrap().is_empty());
    for (path, detail, help) in [
        ("/api/v1/nodes/9", "there is no node 9", "there are 1, 2, 3"),
        ("/api/v1/agents/9", "there is no agent 9", "there are 1, 2, 3"),
        ("/api/v1/data-sets/x", "there is no data set x", "there are blood_tests"),
        ("/api/v1/links/1/9", "there is no link 1/9", "there are 1/2, 1/3, 2/1, 2/3, 3/1, 3/2"),
    ] {
        let missing = demo.get(path);
        assert_eq!((missing.status, missing.header("content-type")), (404, Some("application/problem+json")), "{path}");
        assert_eq!((&missing.json()["detail"], &missing.json()["help"]), (&json!(detail), &json!(help)), "{path}");
    }
}

#[test]
fn a_change_acts_once_and_only_on_what_it_was_meant_for() {
    let demo = Demo::start().converged();
    let known = demo.get("/api/v1/nodes/2");
    let tag = known.header("etag").expect("it can be changed").to_owned();
    let changed = demo.write("PATCH", "/api/v1/nodes/2", &[("If-Match", &tag)], &json!({"availability_percent": 75.5}));
    assert_eq!((changed.status, &changed.json()["availability_percent"]), (200, &json!(75.5)));
    let late = demo.write("PATCH", "/api/v1/nodes/2", &[("If-Match", &tag)], &json!({"availability_percent": 60}));
    assert_eq!((late.status, &late.json()["current"]["availability_percent"]), (412, &json!(75.5)));
    let status = json(demo.place.path(), &["status", "--json", "--data", &demo.data()]);
    assert_eq!(status["nodes"][1]["availability"], json!(75.5));

    let tag = demo.get("/api/v1/agents/2").header("etag").expect("it can be changed").to_owned();
    let goal = json!({"goal": "response_time <= 90 s"});
    let asked = demo.write("PATCH", "/api/v1/agents/2", &[("If-Match", &tag)], &goal);
    assert_eq!((asked.status, &asked.json()["goal_override"]), (200, &json!("response_time <= 90 s")));
    assert_eq!(demo.write("PATCH", "/api/v1/agents/2", &[("If-Match", &tag)], &goal).status, 412);

    let one_way = json!({"latency_ms": 200.0, "both_directions": false});
    assert_eq!(demo.write("PATCH", "/api/v1/links/1/2", &[], &one_way).status, 200);
    assert_eq!(demo.get("/api/v1/links/1/2").json()["latency_ms"], 200.0);
    assert_eq!(demo.get("/api/v1/links/2/1").json()["latency_ms"], 1000.0);

    // The same key: the same answer, and nothing is done again.
    let key = [("Idempotency-Key", "one")];
    let node = json!({"availability_percent": 90, "latency_ms": {"1": 500, "2": 500, "3": 500}, "name": "new"});
    let added = demo.write("POST", "/api/v1/nodes", &key, &node);
    assert_eq!((added.status, added.header("location")), (201, Some("/api/v1/nodes/4")), "{added:?}");
    let again = demo.write("POST", "/api/v1/nodes", &key, &node);
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (201, Some("true"), &added.body));
    assert_eq!(demo.get("/api/v1/nodes").json()["items"].as_array().map(Vec::len), Some(4));
    let other = demo.write("POST", "/api/v1/nodes", &key, &json!({"availability_percent": 1, "latency_ms": {}}));
    assert_eq!(other.status, 422, "{other:?}");
    let removed = demo.write("DELETE", "/api/v1/nodes/4", &[], &json!({}));
    assert_eq!((removed.status, &removed.json()["done"]), (200, &json!(true)), "{removed:?}");
    assert_eq!(demo.get("/api/v1/nodes/4").status, 404);

    let paused = demo.write("POST", "/api/v1/pause", &[], &json!({"data_set": "blood_tests"}));
    assert_eq!(paused.status, 200, "{paused:?}");
    assert_eq!(demo.get("/api/v1/data-sets/blood_tests").json()["paused"], true);
    let act = json!({"agent": 1, "action": "CR2"});
    let held = demo.write("POST", "/api/v1/actions", &[], &act);
    assert_eq!(held.status, 409, "{held:?}");
    assert_eq!(demo.write("POST", "/api/v1/resume", &[], &json!({})).status, 200);
    let read = demo.get("/api/v1/agents/1").json()["reads"][0]["node"].as_i64().expect("it reads");
    let other = if read == 1 { 2 } else { 1 };
    let acted = demo.write("POST", "/api/v1/actions", &[], &json!({"agent": 1, "action": format!("CR{other}")}));
    assert_eq!((acted.status, &acted.json()["done"]), (200, &json!(true)), "{acted:?}");

    let bounds = json!({"must": [1], "min_replicas": 1});
    let constrained = demo.write("PUT", "/api/v1/data-sets/blood_tests/constraints", &[], &bounds);
    assert_eq!(constrained.json()["constraints"], bounds, "{constrained:?}");
    let contradiction = json!({"must": [1], "max_replicas": 0});
    assert_eq!(demo.write("PUT", "/api/v1/data-sets/blood_tests/constraints", &[], &contradiction).status, 409);
    assert_eq!(demo.write("PUT", "/api/v1/budgets", &[], &json!({"budget": "5 EUR/day"})).status, 200);
    assert_eq!(
        demo.write("PUT", "/api/v1/prices/storage", &[], &json!({"node": 1, "price": "0.02 EUR/GB/month"})).status,
        200
    );
    let planned = demo.write("POST", "/api/v1/plans", &[], &json!({"ahead_s": 600}));
    assert_eq!(planned.status, 200, "{planned:?}");
    assert!(planned.json()["steps"].is_array());
    // The shipped configuration was compiled in.
    let refused = demo.write("POST", "/api/v1/agents", &[], &json!({"id": 4, "goal": "availability >= 50 %"}));
    assert_eq!(refused.status, 409, "{refused:?}");
}

#[test]
fn who_has_no_token_changes_nothing_and_other_sites_see_nothing() {
    let demo = Demo::start();
    let pause = json!({}).to_string();
    let kind = ("Content-Type", "application/json");
    let read = succeed(demo.place.path(), &["token", "--read", "--data", &demo.data()]);
    let (own, read) = (format!("Bearer {}", demo.token), format!("Bearer {}", read.trim()));
    let doors: [(&[(&str, &str)], u16); 6] = [
        (&[kind], 401),
        (&[kind, ("Authorization", "Bearer wrong")], 401),
        (&[kind, ("Authorization", "Basic YTpi")], 401),
        (&[kind, ("Authorization", &read)], 403),
        (&[kind, ("Authorization", &own), ("Origin", "http://evil.example")], 403),
        (&[kind, ("Authorization", &own)], 200),
    ];
    for (headers, expected) in doors {
        let answer = demo.ask("POST", "/api/v1/pause", headers, &pause);
        assert_eq!(answer.status, expected, "{headers:?}: {answer:?}");
        assert!(!answer.body.contains(&demo.token) && answer.header("set-cookie").is_none());
    }
    let rebound =
        exchange(demo.address, b"GET /api/v1/nodes HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(rebound.status, 403, "{rebound:?}");
    let page = demo.get("/");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    // Nobody else on the machine reads the token.
    let path = demo.place.data().join("api.token");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).expect("a token"));
    assert_eq!(mode & 0o777, 0o600);
    assert!(!demo.running.output().contains(&demo.token) && !demo.running.errors().contains(&demo.token));
}

#[test]
fn what_makes_no_sense_is_refused_in_words_and_disturbs_nobody() {
    let demo = Demo::start().converged();
    let own = format!("Bearer {}", demo.token);
    let headers = [("Authorization", own.as_str()), ("Content-Type", "application/json")];
    let nested = "[".repeat(10_000);
    let deep = format!("{{\"transfers\": {nested}");
    let nested = format!("{{\"labels\": {nested}");
    let check = |method: &str, path: &str, body: &str, expected: u16, words: &str| {
        let answer = demo.ask(method, path, &headers, body);
        assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        let problem = answer.json();
        assert_eq!(problem["status"], expected, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    };
    check("PATCH", "/api/v1/nodes/1", "{", 400, "EOF while parsing");
    check("PATCH", "/api/v1/nodes/1", &nested, 422, "expected a map");
    check("PUT", "/api/v1/data-sets/blood_tests/constraints", &deep, 400, "recursion limit");
    check("PATCH", "/api/v1/nodes/1", r#"{"availabilty_percent": 5}"#, 422, "unknown field `availabilty_percent`");
    check("PATCH", "/api/v1/nodes/1", r#"{"availability_percent": "5"}"#, 422, "availability_percent");
    check("PATCH", "/api/v1/nodes/1", r#"{"availability_percent": 101}"#, 422, "not within 0 and 100");
    check("PATCH", "/api/v1/nodes/1", "[5, null]", 422, "has to be an object");
    check(
        "PUT",
        "/api/v1/data-sets/blood_tests/constraints",
        r#"{"transfers": [null, null]}"#,
        422,
        "has to be an object",
    );
    check("PATCH", "/api/v1/nodes/9", r#"{"availability_percent": 5}"#, 404, "there is no node 9");
    check("PATCH", "/api/v1/nodes/one", "{}", 404, "one");
    check("PATCH", "/api/v1/agents/9", r#"{"policy": "fixed"}"#, 404, "there is no agent 9");
    check("PATCH", "/api/v1/agents/1", r#"{"policy": "wise"}"#, 422, "unknown policy `wise`");
    check("PATCH", "/api/v1/agents/1", r#"{"goal": "speed <= 1"}"#, 422, "unknown metric");
    check("PATCH", "/api/v1/agents/1", r#"{"goal": "error_rate <= 1 %"}"#, 422, "only the requests to a service show");
    check("POST", "/api/v1/nodes", r#"{"availability_percent": 5, "latency_ms": {"x": 1}}"#, 422, "`x` is no node");
    check("POST", "/api/v1/actions", r#"{"agent": 1, "action": "fly"}"#, 422, "`fly` is none");
    check("POST", "/api/v1/plans", r#"{"policy": "best"}"#, 422, "there is no `best`");
    check("PUT", "/api/v1/budgets", r#"{"budget": "much"}"#, 422, "budget");
    check("PUT", "/api/v1/nodes", "{}", 405, "PUT /api/v1/nodes");
    check("GET", "/api/v1/nothing", "", 404, "/api/v1/nothing");
    check("GET", "/api/v1/events?since=yesterday", "", 400, "`yesterday` is no instant");
    check("GET", "/api/v1/events?limit=0", "", 400, "limit");
    check("GET", "/api/v1/nodes?cursor=zz", "", 422, "cursor");
    let form = [("Authorization", own.as_str()), ("Content-Type", "text/plain")];
    assert_eq!(demo.ask("PATCH", "/api/v1/nodes/1", &form, "{}").status, 415);
    // A body of 100 MB is refused before it has arrived.
    let head = format!(
        "POST /api/v1/pause HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: {own}\r\nContent-Type: application/json\r\n\
         Content-Length: 100000000\r\n\r\n",
        demo.address
    );
    let large = exchange(demo.address, &[head.as_bytes(), &vec![b' '; 2 << 20]].concat());
    assert_eq!(large.status, 413, "{large:?}");
    let long = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(100_000), demo.address);
    assert!([400, 414, 431].contains(&exchange(demo.address, long.as_bytes()).status));
    assert_eq!(exchange(demo.address, b"nonsense\r\n\r\n").status, 400);
    demo.converged();
}

#[test]
fn events_come_as_they_happen_and_whoever_comes_back_misses_none() {
    let demo = Demo::start().converged();
    let listen = |last: Option<i64>| {
        let mut stream = TcpStream::connect(demo.address).expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let head = format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {}\r\n{last}\r\n", demo.address);
        stream.write_all(head.as_bytes()).expect("it is sent");
        BufReader::new(stream).lines().map_while(Result::ok)
    };
    let all = demo.get("/api/v1/events").json()["items"].as_array().map(Vec::len).unwrap_or_default();
    let ids: Vec<String> = listen(Some(0)).filter(|line| line.starts_with("id: ")).take(all).collect();
    assert_eq!(ids, (1..=all).map(|id| format!("id: {id}")).collect::<Vec<_>>());
    let mut now = listen(None);
    assert!(now.any(|line| line.starts_with("retry: ")), "it is connected");
    let read = demo.get("/api/v1/agents/1").json()["reads"][0]["node"].as_i64().expect("it reads");
    let act = json!({"agent": 1, "action": format!("CR{}", if read == 1 { 2 } else { 1 })});
    assert_eq!(demo.write("POST", "/api/v1/actions", &[], &act).status, 200);
    let posted = now.find(|line| line.starts_with("data: ") && line.contains("CR")).expect("it is told");
    assert!(posted.contains("\"agent\":1"), "{posted}");
    // An open stream keeps nobody from stopping.
    let Demo { mut running, .. } = demo;
    running.signal(Signal::INT);
    running.ends_within(PATIENCE);
    assert!(now.all(|line| !line.is_empty() || line.is_empty()), "it ends");
}

#[test]
fn a_network_that_is_over_can_be_looked_at() {
    let place = Place::new();
    let data = place.data();
    succeed(place.path(), &["demo", "--no-api", "--data", text(&data)]);
    let serve = Running::start(place.path(), "serve", &["serve", "--data", text(&data)]);
    let mut address = None;
    wait_until("it serves", PATIENCE, || {
        let output = serve.output();
        address = output.strip_prefix("http://").and_then(|rest| rest.split(' ').next()?.parse().ok());
        address.is_some()
    });
    let address: SocketAddr = address.expect("it was found");
    let get = |path: &str| {
        exchange(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())
    };
    assert_eq!(get("/api/v1/network").json()["converged"], true);
    assert!(get("/?event=1").body.contains("Event 1: agent 1 chose C3_1"));
    assert_eq!(get("/readyz").status, 200);
    // Nobody is there who could follow it.
    let asked = "Not followed so far: it pursues <code>";
    assert!(!get("/?agent=2").body.contains(asked));
    succeed(place.path(), &["set", "goal", "2", "response_time <= 90 s", "--data", text(&data)]);
    assert!(get("/?agent=2").body.contains(asked), "{}", get("/?agent=2").body);
    // Another server is told that the address is taken.
    let taken = run(place.path(), &["serve", "--data", text(&data), "--listen", &address.to_string()]);
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(taken.err.contains("cannot listen on") && taken.err.contains("choose another address"), "{}", taken.err);
    let open = run(place.path(), &["serve", "--data", text(&data), "--listen", "0.0.0.0:0"]);
    assert!(open.err.contains("--api-certificate") && open.code == Some(1), "{open:?}");
}

#[test]
fn off_this_machine_everything_needs_a_token_behind_a_certificate() {
    let place = Place::new();
    let data = place.data();
    succeed(place.path(), &["demo", "--no-api", "--data", text(&data)]);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (chain, key) = (place.path().join("chain.pem"), place.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let certificate = ["--api-certificate", text(&chain), "--api-key", text(&key)];
    let arguments = [&["serve", "--data", text(&data), "--listen", "0.0.0.0:0"], &certificate[..]].concat();
    let serve = Running::start(place.path(), "serve", &arguments);
    let mut port = None;
    wait_until("it serves", PATIENCE, || {
        let output = serve.output();
        let rest = output.strip_prefix("https://0.0.0.0:").map(str::to_owned);
        port = rest.and_then(|rest| rest.split(' ').next()?.parse::<u16>().ok());
        port.is_some()
    });
    let port = port.expect("it was found");
    let Ok(true) = Command::new("curl").arg("--version").output().map(|output| output.status.success()) else {
        eprintln!("SKIPPED: curl is not installed");
        return;
    };
    let status = |path: &str, headers: &[&str]| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", text(&chain)]);
        curl.args(headers.iter().flat_map(|header| ["-H", header]));
        let output = curl.arg(format!("https://localhost:{port}{path}")).output().expect("curl runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let read = succeed(place.path(), &["token", "--read", "--data", text(&data)]);
    let bearer = format!("Authorization: Bearer {}", read.trim());
    assert_eq!(status("/healthz", &[]), "200");
    assert_eq!(status("/api/v1/nodes", &[]), "401");
    assert_eq!(status("/metrics", &[]), "401");
    assert_eq!(status("/page/now", &[]), "401");
    assert_eq!(status("/", &[]), "200");
    assert_eq!(status("/api/v1/nodes", &[&bearer]), "200");
    assert_eq!(status("/metrics", &[&bearer]), "200");
}

/// The first of these that is on the path.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn an_independent_fuzzer_finds_no_answer_that_the_document_does_not_describe() {
    if !has("schemathesis") {
        eprintln!("SKIPPED: schemathesis is not installed (pip install schemathesis)");
        return;
    }
    let demo = Demo::start();
    // What a schema lets through is understood: it may name what is not there, be in the way of what is, or say in a text that is
    // no goal, price or cursor what no schema can describe; it is never malformed. And writes have a pace.
    let understood = r#"["2xx", "3xx", "401", "403", "404", "409", "412", "422", "428", "429", "503"]"#;
    let settings = format!("[checks]\npositive_data_acceptance.expected-statuses = {understood}\n");
    std::fs::write(demo.place.path().join("schemathesis.toml"), settings).expect("its settings");
    // The stream has no end.
    let output = Command::new("schemathesis")
        .args(["run", &format!("{}/api/v1/openapi.json", demo.url())])
        .args(["-H", &format!("Authorization: Bearer {}", demo.token)])
        .args(["--max-examples", "8", "--seed", "1", "--no-color", "--request-timeout", "30"])
        .args(["--exclude-path", "/api/v1/events/stream"])
        .current_dir(demo.place.path())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    // What it found stands between these, before pages of advice.
    let found = told.find("= FAILURES =").or_else(|| told.find("= ERRORS =")).unwrap_or_default();
    let found: String = told[found..].chars().take(6000).collect();
    assert!(output.status.success(), "{found}");
}

#[test]
fn figures_are_what_the_document_says_and_prometheus_reads_them() {
    let demo = Demo::start().converged();
    let metrics = demo.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("agent_goal_met{agent=\"1\"} 1"), "{}", metrics.body);
    let named = |text: &str, prefix: &str| -> BTreeMap<String, String> {
        let name = |line: &str| line.strip_prefix(prefix)?.split([' ', '`']).next().map(str::to_owned);
        let lines = text.lines().filter_map(|line| Some((name(line)?, line.to_owned())));
        lines.filter(|(name, _)| !name.starts_with('/')).collect()
    };
    let document = std::fs::read_to_string(repository().join("docs/metrics.md")).expect("a document");
    let (served, documented) = (named(&metrics.body, "# TYPE "), named(&document, "| `"));
    for name in served.keys() {
        assert!(documented.contains_key(name), "docs/metrics.md has no row for {name}");
    }
    for (name, row) in &documented {
        assert!(served.contains_key(name) || row.contains("absent"), "nothing serves {name}, and it is not said when");
    }
    let open = demo.ask("GET", "/metrics", &[("Accept", "application/openmetrics-text")], "");
    assert!(
        open.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")),
        "{open:?}"
    );
    assert!(open.body.ends_with("# EOF\n"));
    if !has("promtool") {
        eprintln!("SKIPPED: promtool is not installed (apt-get install prometheus)");
        return;
    }
    let file = demo.place.path().join("metrics");
    std::fs::write(&file, &metrics.body).expect("a file");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(std::fs::File::open(&file).expect("a file"));
    let checked = promtool.output().expect("promtool runs");
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn many_listen_and_each_hears_of_it() {
    let demo = Demo::start().converged();
    let mut all: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(demo.address).expect("the API listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
            let head = format!("GET /api/v1/events/stream HTTP/1.1\r\nHost: {}\r\n\r\n", demo.address);
            stream.write_all(head.as_bytes()).expect("it is sent");
            let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
            assert!(lines.any(|line| line.starts_with("retry: ")));
            lines
        })
        .collect();
    assert!(demo.get("/metrics").body.contains("agent_api_streams 200"));
    let read = demo.get("/api/v1/agents/2").json()["reads"][0]["node"].as_i64().expect("it reads");
    let act = json!({"agent": 2, "action": format!("CR{}", if read == 1 { 2 } else { 1 })});
    assert_eq!(demo.write("POST", "/api/v1/actions", &[], &act).status, 200);
    for lines in &mut all {
        assert!(lines.any(|line| line.starts_with("data: ") && line.contains("\"agent\":2")), "each hears of it");
    }
    let limit = Duration::from_secs(10);
    drop(all);
    wait_until("nobody is counted who has gone", limit, || demo.get("/metrics").body.contains("agent_api_streams 0"));
}

#[test]
fn a_simulation_is_watched_at_any_speed_and_stays_what_it_is() {
    let scenario = repository().join("fixtures/scenarios/published.toml");
    let simulate = ["simulate", "--scenario", text(&scenario), "--hours", "0.5", "--json"];
    let alone = json(Place::new().path(), &simulate);
    let mut watched = Demo::of(&[&simulate[..], &["--serve"]].concat(), "# http://");
    let standing = |watched: &Demo| watched.get("/api/v1/simulation").json();
    let pause = json!({"paused": true});
    assert_eq!(watched.write("PATCH", "/api/v1/simulation", &[], &pause).status, 200);
    assert_eq!(standing(&watched)["paused"], true);
    let nobody = watched.ask("PATCH", "/api/v1/simulation", &[("Content-Type", "application/json")], "{}");
    assert_eq!(nobody.status, 401, "who has no token changes nothing");
    for (path, body) in [
        ("/api/v1/simulation/steps", json!({"until": "job", "for_s": 1})),
        ("/api/v1/simulation/steps", json!({})),
        ("/api/v1/simulation/steps", json!({"until": "never"})),
    ] {
        assert_eq!(watched.write("POST", path, &[], &body).status, 422, "{body}");
    }
    assert_eq!(watched.write("PATCH", "/api/v1/simulation", &[], &json!({"speed": 0})).status, 422);

    assert_eq!(watched.get("/api/v1/load/experiments").json()["items"], json!([]));
    let load = json!({"text": ""});
    let answer = watched.write("POST", "/api/v1/load/experiments", &[], &load);
    assert_eq!(answer.status, 409, "nobody would ever run it: {answer:?}");

    let jobs = |watched: &Demo| watched.get("/api/v1/measurements?limit=1000").json()["items"].as_array().map(Vec::len);
    let before = jobs(&watched);
    assert_eq!(watched.write("POST", "/api/v1/simulation/steps", &[], &json!({"until": "job"})).status, 200);
    wait_until("it has made a step", PATIENCE, || jobs(&watched) == before.map(|before| before + 1));
    let now = watched.get("/api/v1/network").json()["now"].as_str().map(str::to_owned);
    assert!(now.as_deref().is_some_and(|now| now.starts_with("1970-01-01T00:")), "{now:?}");

    let fast = json!({"speed": 100_000, "paused": false});
    assert_eq!(watched.write("PATCH", "/api/v1/simulation", &[], &fast).status, 200);
    wait_until("it is at its end", PATIENCE, || standing(&watched)["ended"] == json!(true));
    assert!(watched.get("/").body.contains("Step to the"), "the page sets the pace");
    watched.running.signal(Signal::INT);
    assert_eq!(watched.running.ends_within(PATIENCE), Some(0), "{}", watched.running.errors());
    let document: Value = serde_json::from_str(&watched.running.output()).expect("a document");
    assert_eq!(document, alone, "looking on changes nothing");
}

#[test]
fn what_was_and_what_would_be_are_shown_beside_what_is() {
    let demo = Demo::start().converged();
    let events = demo.get("/api/v1/events").json();
    let first = events["items"][0]["posted_at"].as_str().expect("an instant").to_owned();
    let shown = |query: &str| demo.get(&format!("/page/now{query}")).body;
    let available = |query: &str, percent: &str| shown(query).contains(&format!("{percent} %"));
    assert_eq!(demo.write("PATCH", "/api/v1/nodes/2", &[], &json!({"availability_percent": 80.5})).status, 200);
    assert!(available("", "80.5") && !available(&format!("?until={first}"), "80.5"), "it was 80 % then");
    assert!(!shown("").contains("Replicas are on edge (3)."), "it was moved since");
    let past = shown(&format!("?until={first}"));
    assert!(past.contains("Replicas are on edge (3).") && past.contains("as it was at"), "{past}");

    let plan = |changes: Value| demo.write("POST", "/api/v1/plans", &[], &json!({"changes": changes}));
    let steps = |changes: Value| plan(changes).json()["steps"].as_array().map(Vec::len).expect("steps");
    // Not at once: at this pace a busy machine makes a job miss its goal now and then.
    wait_until("nothing is to be done", PATIENCE, || steps(json!([])) == 0);
    let down = json!([{"node": 1, "availability_percent": 20}, {"node": 2, "availability_percent": 100}]);
    wait_until("agent 1 needs a node that is up 95 % of the time", PATIENCE, || steps(down.clone()) > 0);
    assert_eq!(demo.get("/api/v1/nodes/1").json()["availability_percent"], 97.0, "nothing was changed");
    let goal = json!([{"agent": 3, "goal": "response_time <= 8 s"}]);
    wait_until("another goal is another course", PATIENCE, || steps(goal.clone()) > 0);
    assert_eq!(plan(json!([{"node": 1}])).status, 422);
    assert_eq!(plan(json!([{"agent": 1, "goal": "be quick"}])).status, 422);
    let apply = demo.write(
        "POST",
        "/api/v1/plans/apply",
        &[],
        &json!({"changes": [{"agent": 1, "goal": "availability >= 1 %"}]}),
    );
    assert_eq!(apply.status, 422, "what is supposed cannot be carried out");
}
