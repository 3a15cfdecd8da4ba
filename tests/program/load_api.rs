//! Load over the API: experiments that are queued, run by a daemon and called off; what would be sent; and routes.

use super::api::{Answer, Demo};
use super::load::Server;
use crate::network::process::{Running, run, succeed};
use crate::network::{PATIENCE, text, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

const EXPERIMENTS: &str = "/api/v1/load/experiments";

/// The file of a load to these hosts.
fn file(hosts: &str, client: &str) -> String {
    format!(
        "name = \"evening\"\n[[service]]\nname = \"shop\"\nhosts = {hosts}\n[[client]]\nservice = \"shop\"\n{client}\n"
    )
}

fn shown(demo: &Demo, id: i64) -> Value {
    demo.get(&format!("{EXPERIMENTS}/{id}")).json()
}

fn wait_for(demo: &Demo, id: i64, state: &str) {
    wait_until(&format!("experiment {id} is {state}"), PATIENCE, || shown(demo, id)["state"] == state);
}

#[test]
fn what_is_queued_over_the_api_a_daemon_runs() {
    let (demo, server) = (Demo::start(), Server::start(true));
    let data = demo.place.data();
    let hosts = format!("[\"{}\"]", server.address);
    let replay = file(&hosts, "gaps = { replay = \"gaps.csv\" }");
    let wanted = json!({"text": replay, "recordings": {"gaps.csv": "0.01\n".repeat(30)}, "key": "nightly"});
    let nobody = demo.ask("POST", EXPERIMENTS, &[("Content-Type", "application/json")], &wanted.to_string());
    assert_eq!(nobody.status, 401, "{nobody:?}");
    let queued = demo.write("POST", EXPERIMENTS, &[], &wanted);
    assert_eq!((queued.status, queued.header("location")), (201, Some("/api/v1/load/experiments/1")), "{queued:?}");
    assert_eq!((&queued.json()["state"], &queued.json()["name"]), (&json!("queued"), &json!("evening")));
    let again = demo.write("POST", EXPERIMENTS, &[], &wanted);
    assert_eq!(again.json()["id"], 1, "the same one");
    let once = [("Idempotency-Key", "once")];
    let endless = json!({"text": format!("duration = \"1 h\"\n{}", file(&hosts, "rate = 50"))});
    for replayed in [None, Some("true")] {
        let answer = demo.write("POST", EXPERIMENTS, &once, &endless);
        assert_eq!((answer.json()["id"].as_i64(), answer.header("idempotency-replayed")), (Some(2), replayed));
    }
    assert_eq!(demo.write("POST", EXPERIMENTS, &[], &endless).json()["id"], 3);

    // What waits is called off at once, and again without an error.
    for _ in 0..2 {
        let cancelled = demo.write("POST", &format!("{EXPERIMENTS}/3/cancel"), &[], &json!({}));
        assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    }
    let mut daemon = Running::start(demo.place.path(), "daemon", &["load", "daemon", "--data", text(&data)]);
    wait_for(&demo, 1, "finished");
    let first = shown(&demo, 1);
    assert_eq!((&first["summary"]["intended"], &first["summary"]["errors"]), (&json!(30), &json!({})), "{first:#}");
    assert_eq!((&first["text"], first["recordings"]["gaps.csv"].as_str().map(str::len)), (&json!(replay), Some(150)));
    assert!(first["queued_by"].as_str().is_some_and(|by| by.starts_with("api@")), "{first:#}");
    let over = demo.write("POST", &format!("{EXPERIMENTS}/1/cancel"), &[], &json!({}));
    assert_eq!(over.status, 409, "{over:?}");

    // What runs is stopped.
    wait_until("requests come", PATIENCE, || server.times().len() > 40);
    let stopped = demo.ask("POST", &format!("{EXPERIMENTS}/2/cancel"), &[("Authorization", &bearer(&demo))], "");
    assert_eq!(stopped.status, 200, "it needs no body: {stopped:?}");
    wait_for(&demo, 2, "cancelled");
    assert!(shown(&demo, 2)["summary"]["done"].as_u64().is_some_and(|done| done > 10));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ends_within(PATIENCE), Some(0), "{}", daemon.errors());

    // Load hosts send what is queued for them.
    let _host = Running::start(
        demo.place.path(),
        "host",
        &["load", "host", "pico1", "--label", "zone=A", "--data", text(&data)],
    );
    let shared = json!({"text": file(&hosts, "profile = { ticks = [20], interval = \"1 s\" }"),
        "on": {"pattern": "pico.*", "labels": {"zone": "A"}}});
    assert_eq!(demo.write("POST", EXPERIMENTS, &[], &shared).json()["id"], 4);
    let nobody = json!({"text": file(&hosts, "rate = 1"), "on": {"pattern": "pico["}});
    assert_eq!(demo.write("POST", EXPERIMENTS, &[], &nobody).status, 422);
    let listed = || demo.write("POST", "/api/v1/load/verbs", &[], &json!({"verb": "hosts"})).json().to_string();
    wait_until("the host has joined", PATIENCE, || listed().contains("pico1"));
    let idle = ["load", "daemon", "--until-idle", "--data", text(&data)];
    assert_eq!(run(demo.place.path(), &idle).code, Some(0));
    let sent = shown(&demo, 4);
    assert_eq!(
        (&sent["summary"]["load_hosts"][0]["sent"], &sent["on"]["pattern"]),
        (&json!(20), &json!("pico.*")),
        "{sent:#}"
    );

    let ids = |answer: Answer| -> Vec<i64> {
        let items = answer.json()["items"].as_array().expect("a list").clone();
        items.iter().filter_map(|item| item["id"].as_i64()).collect()
    };
    assert_eq!(ids(demo.get(EXPERIMENTS)), [4, 3, 2, 1]);
    assert_eq!(ids(demo.get(&format!("{EXPERIMENTS}?state=cancelled"))), [3, 2]);
    let page = demo.get(&format!("{EXPERIMENTS}?limit=2"));
    let next = page.json()["next"].as_str().expect("a cursor").to_owned();
    assert_eq!((ids(page), ids(demo.get(&format!("{EXPERIMENTS}?limit=2&cursor={next}")))), (vec![4, 3], vec![2, 1]));
}

fn bearer(demo: &Demo) -> String {
    format!("Bearer {}", demo.token)
}

#[test]
fn all_that_is_wrong_with_a_load_is_said_with_its_place_and_nothing_is_queued() {
    let demo = Demo::start();
    let refused = |wanted: &Value| -> Vec<(String, String)> {
        let answer = demo.write("POST", EXPERIMENTS, &[], wanted);
        assert_eq!(answer.status, 422, "{wanted}: {answer:?}");
        let faults = answer.json()["faults"].as_array().cloned().unwrap_or_default();
        let text = |fault: &Value, key: &str| fault[key].as_str().expect("a text").to_owned();
        faults.iter().map(|fault| (text(fault, "place"), text(fault, "problem"))).collect()
    };
    let check = |wanted: Value, expected: &[(&str, &str)]| {
        let found = refused(&wanted);
        let found: Vec<(&str, &str)> =
            found.iter().map(|(place, problem)| (place.as_str(), problem.as_str())).collect();
        assert_eq!(found, expected, "{wanted}");
    };
    let fine = file("[\"127.0.0.1:1\"]", "profile = { ticks = [1], interval = \"1 s\" }");
    check(json!({"text": "name = "}), &[("line 1, column 8", "string values must be quoted, expected literal string")]);
    let wrong = fine.replace("service = \"shop\"", "service = \"shp\"\ncount = 0").replace("127.0.0.1:1", "x");
    check(
        json!({ "text": wrong }),
        &[
            ("service 1 `shop`: host 1: address", "`x` is no address of a host"),
            ("client 1: service", "`shp` is no service of this file"),
            ("client 1: count", "0 is out of range"),
        ],
    );
    let elsewhere = fine.replace("127.0.0.1", "example.org");
    check(json!({ "text": elsewhere }), &[("service `shop`: hosts", "`example.org:1` is another machine")]);
    let recorded = file("[\"127.0.0.1:1\"]", "gaps = { replay = \"gaps.csv\" }");
    let missing = "`gaps.csv` cannot be read: it is not among the recordings that came with it";
    check(json!({ "text": recorded }), &[("client 1: gaps", missing)]);
    let other = json!({"text": fine, "recordings": {"gaps.csv": "1"}});
    check(other, &[("recordings", "the load does not name `gaps.csv`")]);
    check(json!({"text": fine, "file": "x".repeat(256)}), &[("file", "is no name of a text")]);
    check(json!({"text": fine, "key": ""}), &[]);
    check(json!({"file": "load.toml"}), &[]);
    check(json!({"text": fine, "unknown": 1}), &[]);
    assert_eq!(demo.get(EXPERIMENTS).json()["items"], json!([]));
    for path in ["/9", "/-1", "/one"] {
        assert_eq!(demo.get(&format!("{EXPERIMENTS}{path}")).status, 404, "{path}");
    }
    assert_eq!(demo.write("POST", &format!("{EXPERIMENTS}/9/cancel"), &[], &json!({})).status, 404);
    assert_eq!(demo.get(&format!("{EXPERIMENTS}?state=done")).status, 422);
    let large = json!({"text": "#".repeat(2 << 20)});
    assert_eq!(demo.write("POST", EXPERIMENTS, &[], &large).status, 413);
    let allowed = demo.write("POST", EXPERIMENTS, &[], &json!({"text": elsewhere, "allow": ["example.org"]}));
    assert_eq!(allowed.status, 201, "the daemon has its own say: {allowed:?}");
}

#[test]
fn a_check_says_what_would_be_sent_and_queues_nothing() {
    let demo = Demo::start();
    let checked = |wanted: &Value| {
        let answer = demo.write("POST", "/api/v1/load/checks", &[], wanted);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let design = json!({"name": "evening", "seed": 7, "service": "shop", "hosts": ["127.0.0.1:8080"], "method": "GET",
        "path": "/", "clients": 2, "within_ticks": "constant", "kind": "linear", "max_per_s": 4.0,
        "points": [[0.0, 0.0], [1.0, 1.0]], "interval": "1 s", "over": "3 s"});
    let of_design = checked(&json!({ "design": design }));
    assert_eq!((&of_design["faults"], &of_design["design"]), (&json!([]), &design));
    let client = &of_design["forecast"]["clients"][0];
    assert_eq!((&client["rates_per_s"], &client["requests"]), (&json!([0.0, 2.0, 4.0]), &json!(12)));
    assert_eq!(of_design["forecast"]["services"][0], json!({"service": "shop", "requests": 12}));
    assert_eq!(checked(&json!({"text": of_design["text"]})), of_design, "its file says the same");

    let more = file("\"table\"", "gaps = { distribution = \"constant\", value = 0.5 }");
    let more = checked(&json!({"text": format!("duration = \"2 s\"\n{more}")}));
    assert_eq!((&more["design"], &more["forecast"]["requests"]), (&Value::Null, &json!(4)));
    assert_eq!(more["forecast"]["clients"][0]["interval_s"], Value::Null);
    let wrong = checked(&json!({"text": of_design["text"].as_str().unwrap().replace("max = 4", "max = -4")}));
    assert_eq!((&wrong["forecast"], &wrong["faults"][0]["place"]), (&Value::Null, &json!("client 1: profile")));
    for neither in [json!({}), json!({"text": "", "design": design}), json!({"design": ["evening"]})] {
        assert_eq!(demo.write("POST", "/api/v1/load/checks", &[], &neither).status, 422, "{neither}");
    }
    // An answer that is too long to be remembered is given all the same.
    let ticks = vec!["0.123456789"; 9_000].join(", ");
    let long = file("\"table\"", &format!("profile = {{ ticks = [{ticks}], interval = \"1 s\" }}"));
    let once = [("Idempotency-Key", "long")];
    assert_eq!(demo.write("POST", "/api/v1/load/checks", &once, &json!({ "text": long })).status, 200);
    assert_eq!(demo.get(EXPERIMENTS).json()["items"], json!([]));
}

#[test]
fn a_route_is_changed_as_it_was_seen_or_not_at_all() {
    let demo = Demo::start();
    let (routes, shop) = ("/api/v1/load/routes", "/api/v1/load/routes/shop");
    assert_eq!(demo.get(shop).status, 404);
    assert_eq!(demo.write("DELETE", shop, &[], &json!({})).status, 404);
    let hosts = json!({"hosts": [{"address": "127.0.0.1:1"}, {"address": "127.0.0.1:2", "weight": 4}]});
    let set = demo.write("PUT", shop, &[], &hosts);
    let first = set.header("etag").expect("a tag").to_owned();
    assert_eq!(
        (set.status, &set.json()["revision"], &set.json()["balancer"]),
        (200, &json!(1), &json!("weighted-round-robin"))
    );
    assert_eq!(demo.get(shop).header("etag"), Some(first.as_str()));
    let told = succeed(demo.place.path(), &["load", "route", "info", "shop", "--data", &demo.data()]);
    assert!(told.contains("127.0.0.1:2 (weight 4)") && told.contains("api@"), "{told}");

    let other = json!({"hosts": [{"address": "127.0.0.1:3"}], "balancer": "least-outstanding"});
    let changed = demo.write("PUT", shop, &[("If-Match", &first)], &other);
    assert_eq!((changed.status, &changed.json()["revision"]), (200, &json!(2)), "{changed:?}");
    for (method, body) in [("PUT", &hosts), ("DELETE", &json!({}))] {
        let late = demo.write(method, shop, &[("If-Match", &first)], body);
        assert_eq!((late.status, &late.json()["current"]["revision"]), (412, &json!(2)), "{late:?}");
    }
    assert_eq!(demo.write("PUT", &format!("{routes}/bank"), &[("If-Match", "\"x\"")], &hosts).status, 412);
    assert_eq!(demo.get(routes).json()["items"].as_array().map(Vec::len), Some(1));

    let check = |service: &str, body: Value, words: &str| {
        let answer = demo.write("PUT", &format!("{routes}/{service}"), &[], &body);
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{answer:?}");
    };
    check("shop", json!({"hosts": []}), "hosts: there are none");
    check("shop", json!({"hosts": [{"address": "x"}]}), "host 1: address: `x` is no address");
    check("shop", json!({"hosts": [{"address": "a:1", "weight": -1}]}), "host 1: weight: -1 is no weight");
    check("shop", json!({"hosts": [["a:1", 1]]}), "expected a map");
    check("shop", json!({"hosts": [{"address": "a:1"}], "balancer": "best"}), "balancer: `best` is no balancer");
    check("a%20b", hosts.clone(), "service: `a b` is not a name");

    assert_eq!(demo.write("DELETE", shop, &[], &json!({})).status, 200);
    assert_eq!((demo.get(shop).status, demo.get(routes).json()["items"].clone()), (404, json!([])));
    assert_eq!(demo.write("PUT", shop, &[], &hosts).json()["revision"], 4, "a revision never comes again");
}

#[test]
fn load_hosts_are_steered_over_the_api() {
    let (demo, server) = (Demo::start(), Server::start(true));
    let data = demo.place.data();
    let host = ["--data", text(&data), "load", "host", "pico1", "--label", "zone=A"];
    let _host = Running::start(demo.place.path(), "host", &host);
    let verb = |line: &str| demo.write("POST", "/api/v1/load/verbs", &[], &json!({ "verb": line }));
    wait_until("it has joined", PATIENCE, || verb("hosts").json()["answer"]["hosts"][0]["host"] == "pico1");
    let routed = verb(&format!("rtbl set shop {} 1", server.address));
    assert_eq!(routed.status, 200, "{routed:?}");
    let spawned = verb("spawn --label zone=A .* shop 2");
    assert_eq!(spawned.json()["lines"], json!(["shop: 2 clients more, 2 in all; `rps` lets them send"]));
    assert_eq!(verb("rps pico1 shop 100").json()["answer"]["rate"]["clients"], 2);
    wait_until("requests come", PATIENCE, || server.times().len() > 50);
    assert_eq!(verb("clients").json()["answer"]["clients"][1]["host"], "pico1");
    assert_eq!(verb("close pico1 shop").json()["answer"]["closed"]["clients"], 2);
    // What is marked is the host's to keep: each request is a session of its own.
    let marked = |line: &str| verb(line).json()["answer"]["marked"].clone();
    assert_eq!(marked("exp start evening")["moment"], "start");
    let peak = marked("exp event peak 6");
    assert_eq!((&peak["experiment"], &peak["name"], &peak["value"]), (&json!("evening"), &json!("peak"), &json!("6")));
    assert_eq!(verb("info").json()["answer"]["info"]["experiment"], "evening");
    assert_eq!(marked("exp stop")["moment"], "stop");

    let refused = |line: &str, status: u16, part: &str| {
        let answer = verb(line);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == status && detail.contains(part), "{line}: {answer:?}");
    };
    refused("close pico1 shop", 409, "service `shop` has no clients");
    refused("spawn nano.* shop", 409, "no load host matches `nano.*`");
    refused("rtbl set shop example.org:80 1", 409, "`example.org:80` is another machine");
    refused("exp event peak", 409, "no experiment goes on");
    refused("traces pico1 off", 409, "requests are not kept there one by one");
    refused("spwan .* shop", 422, "spwan");
    refused("source /etc/passwd", 422, "has no place here");
    refused("sleep 600", 422, "has no place here");
    refused("", 422, "it is empty");
    let nobody =
        demo.ask("POST", "/api/v1/load/verbs", &[("Content-Type", "application/json")], "{\"verb\": \"ping\"}");
    assert_eq!(nobody.status, 401, "{nobody:?}");
}
