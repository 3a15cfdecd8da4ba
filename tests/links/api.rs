//! The embedded emulator answers as toxiproxy does.

use crate::support::{Api, connect, echo, exchange, read_to_end};
use agent_emulator::Metrics;
use proptest::prelude::*;
use serde_json::{Value, json};

fn error(status: u16, error: &str) -> (u16, Value) {
    (status, json!({"error": error, "status": status}))
}

fn proxy(name: &str) -> Value {
    json!({"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"})
}

/// The words before the colon are toxiproxy's, those behind it our own.
fn kind_of_error((status, body): &(u16, Value)) -> (u16, String) {
    assert_eq!(body["status"], *status, "{body}");
    (*status, body["error"].as_str().unwrap().split(':').next().unwrap().to_owned())
}

#[tokio::test]
async fn the_version_is_toxiproxys_api() {
    let (status, body) = Api::start().await.get("/version").await;
    assert_eq!((status, &body["version"]), (200, &json!("2.12.0")));
}

#[tokio::test]
async fn a_proxy_is_created_shown_listed_and_deleted() {
    let api = Api::start().await;
    let (status, created) = api.send("POST", "/proxies", proxy("a")).await;
    let listen = created["listen"].as_str().unwrap().to_owned();
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"), "{listen}");
    let expected = json!({"name": "a", "listen": listen, "upstream": "127.0.0.1:9", "enabled": true, "toxics": []});
    assert_eq!((status, &created), (201, &expected));
    assert_eq!(api.get("/proxies/a").await, (200, expected.clone()));
    assert_eq!(api.get("/proxies").await, (200, json!({ "a": expected })));
    assert_eq!(api.send_text("DELETE", "/proxies/a", None).await, (204, Value::Null));
    assert_eq!(api.get("/proxies").await, (200, json!({})));
    assert_eq!(api.get("/proxies/a").await, error(404, "proxy not found"));
    assert_eq!(api.send_text("DELETE", "/proxies/a", None).await, error(404, "proxy not found"));
}

#[tokio::test]
async fn proxies_that_cannot_be_are_refused() {
    let api = Api::start().await;
    api.send("POST", "/proxies", proxy("taken")).await;
    let busy = api.get("/proxies/taken").await.1["listen"].clone();
    for (body, expected) in [
        (proxy("taken"), (409, "proxy already exists")),
        (json!({"upstream": "127.0.0.1:9"}), (400, "missing required field")),
        (json!({"name": "", "upstream": "127.0.0.1:9"}), (400, "missing required field")),
        (json!({"name": "a"}), (400, "missing required field")),
        (json!({"name": 5, "upstream": "127.0.0.1:9"}), (400, "bad request body")),
        (json!([]), (400, "bad request body")),
        (json!(null), (400, "missing required field")),
    ] {
        let answer = api.send("POST", "/proxies", body.clone()).await;
        assert_eq!(kind_of_error(&answer), (expected.0, expected.1.to_owned()), "{body}");
    }
    for (listen, why) in [
        (busy.as_str().unwrap(), format!("listen tcp {}: bind: address already in use", busy.as_str().unwrap())),
        ("192.0.2.1:9", "listen tcp 192.0.2.1:9: bind: cannot assign requested address".to_owned()),
        ("nonsense", "listen tcp: address nonsense: missing port in address".to_owned()),
        ("a:b:9", "listen tcp: address a:b:9: too many colons in address".to_owned()),
        ("127.0.0.1:99999", "listen tcp: address 99999: invalid port".to_owned()),
        ("nobody.invalid:9", "listen tcp: lookup nobody.invalid: no such host".to_owned()),
    ] {
        let answer = api.send("POST", "/proxies", json!({"name": "a", "upstream": "x:1", "listen": listen})).await;
        assert_eq!(answer, error(500, &why), "clients take 400 for a mistake in what they wrote");
    }
    assert_eq!(kind_of_error(&api.send_text("POST", "/proxies", Some("{".into())).await).1, "bad request body");
    assert_eq!(kind_of_error(&api.send_text("POST", "/proxies", None).await).1, "bad request body");
    assert_eq!(api.get("/proxies").await.1.as_object().unwrap().len(), 1, "nothing of it was created");
}

#[tokio::test]
async fn what_an_update_does_not_name_stays() {
    let api = Api::start().await;
    api.send("POST", "/proxies", proxy("a")).await;
    let before = api.get("/proxies/a").await.1;
    for method in ["POST", "PATCH"] {
        assert_eq!(api.send(method, "/proxies/a", json!({})).await, (200, before.clone()));
    }
    let mut expected = before.clone();
    expected["upstream"] = json!("127.0.0.1:10");
    assert_eq!(api.send("PATCH", "/proxies/a", json!({"upstream": "127.0.0.1:10"})).await, (200, expected.clone()));
    expected["enabled"] = json!(false);
    assert_eq!(api.send("POST", "/proxies/a", json!({"enabled": false})).await, (200, expected.clone()));
    expected["enabled"] = json!(true);
    assert_eq!(api.send("POST", "/proxies/a", json!({"enabled": true})).await, (200, expected.clone()));
    let refused = api.send("POST", "/proxies/a", json!({"listen": "nonsense"})).await;
    assert_eq!(refused, error(500, "address nonsense: missing port in address"));
    assert_eq!(api.get("/proxies/a").await.1, expected, "a refused update changes nothing");
    assert_eq!(api.send("POST", "/proxies/a", Value::Null).await, (200, expected));
    for body in ["{}", "{"] {
        let answer = api.send_text("POST", "/proxies/b", Some(body.to_owned())).await;
        assert_eq!(answer, error(404, "proxy not found"), "whatever is to be changed");
    }
}

#[tokio::test]
async fn a_toxic_has_defaults_and_is_updated_in_part() {
    let api = Api::start().await;
    api.send("POST", "/proxies", proxy("a")).await;
    let toxics = "/proxies/a/toxics";
    let mut toxic = json!({
        "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1,
        "attributes": {"latency": 20, "jitter": 0}
    });
    let created = api.send("POST", toxics, json!({"type": "latency", "attributes": {"latency": 20}})).await;
    assert_eq!(created, (200, toxic.clone()));
    assert_eq!(api.get("/proxies/a/toxics/latency_downstream").await, (200, toxic.clone()));
    assert_eq!(api.get("/proxies/a").await.1["toxics"], json!([toxic]));

    let one = "/proxies/a/toxics/latency_downstream";
    toxic["attributes"]["jitter"] = json!(5);
    assert_eq!(api.send("PATCH", one, json!({"attributes": {"jitter": 5}})).await, (200, toxic.clone()));
    toxic["toxicity"] = json!(0.5);
    assert_eq!(api.send("POST", one, json!({"toxicity": 0.5, "name": "other"})).await, (200, toxic.clone()));
    toxic["toxicity"] = json!(0.1);
    let precise = json!({"toxicity": 0.100_000_001, "type": 5});
    assert_eq!(api.send("POST", one, precise).await, (200, toxic.clone()), "as much of it as 32 bits hold");

    let up = json!({"type": "limit_data", "stream": "UPSTREAM", "name": "few", "toxicity": 0.1});
    let up_expected = json!({
        "name": "few", "type": "limit_data", "stream": "upstream", "toxicity": 0.1, "attributes": {"bytes": 0}
    });
    assert_eq!(api.send("POST", toxics, up).await, (200, up_expected.clone()));
    assert_eq!(api.get(toxics).await, (200, json!([up_expected, toxic])), "upstream first");
    assert_eq!(api.send_text("DELETE", one, None).await, (204, Value::Null));
    assert_eq!(api.get(one).await, error(404, "toxic not found"));
    assert_eq!(api.send_text("DELETE", one, None).await, error(404, "toxic not found"));
    assert_eq!(api.send("POST", one, json!({})).await, error(404, "toxic not found"));
}

#[tokio::test]
async fn toxics_that_cannot_be_are_refused() {
    let api = Api::start().await;
    api.send("POST", "/proxies", proxy("a")).await;
    assert_eq!(api.send("POST", "/proxies/a/toxics", json!({"type": "timeout", "name": "taken"})).await.0, 200);
    let with = |type_name: &str, attributes: Value| json!({"type": type_name, "attributes": attributes});
    for (body, expected) in [
        (json!({"type": "latency", "name": "taken"}), (409, "toxic already exists")),
        (
            json!({"type": "latency", "stream": "sideways"}),
            (400, "stream was invalid, can be either upstream or downstream"),
        ),
        (json!({"type": "gremlins"}), (400, "invalid toxic type")),
        (json!({}), (400, "invalid toxic type")),
        (json!("latency"), (400, "bad request body")),
        (with("latency", json!({"latency": "slow"})), (400, "bad request body")),
        (with("latency", json!([20])), (400, "bad request body")),
        (with("latency", json!({"latency": 20, "jitter": i64::MAX})), (400, "bad request body")),
        (with("bandwidth", json!({"rate": -1})), (400, "bad request body")),
        (with("bandwidth", json!({"rate": 1.5})), (400, "bad request body")),
        (with("latency", json!({"latency": 100.5})), (400, "bad request body")),
        (with("latency", json!({"latency": 100.0})), (400, "bad request body")),
        (with("slicer", json!({"average_size": -1})), (400, "bad request body")),
        (with("slicer", json!({"size_variation": 1})), (400, "bad request body")),
        (with("slicer", json!({"average_size": 10, "size_variation": 11})), (400, "bad request body")),
        (with("slicer", json!({"average_size": 10, "size_variation": -1})), (400, "bad request body")),
    ] {
        let answer = api.send("POST", "/proxies/a/toxics", body.clone()).await;
        assert_eq!(kind_of_error(&answer), (expected.0, expected.1.to_owned()), "{body}");
    }
    let exponent = r#"{"type": "latency", "attributes": {"latency": 1e2}}"#;
    assert_eq!(kind_of_error(&api.send_text("POST", "/proxies/a/toxics", Some(exponent.into())).await).0, 400);
    for path in ["/proxies/b/toxics", "/proxies/b/toxics/taken"] {
        let answer = api.send("POST", path, with("latency", json!([]))).await;
        assert_eq!(answer, error(404, "proxy not found"), "whatever is to be made");
    }
    let refused = api.send("POST", "/proxies/a/toxics/taken", json!({"attributes": {"timeout": []}})).await;
    assert_eq!(kind_of_error(&refused).0, 400);
    assert_eq!(api.get("/proxies/a/toxics").await.1.as_array().unwrap().len(), 1, "nothing of it was created");
}

#[tokio::test]
async fn every_type_of_toxic_has_its_defaults() {
    let api = Api::start().await;
    api.send("POST", "/proxies", proxy("a")).await;
    for (type_name, attributes) in [
        ("bandwidth", json!({"rate": 0})),
        ("latency", json!({"latency": 0, "jitter": 0})),
        ("limit_data", json!({"bytes": 0})),
        ("noop", json!({})),
        ("reset_peer", json!({"timeout": 0})),
        ("slicer", json!({"average_size": 0, "size_variation": 0, "delay": 0})),
        ("slow_close", json!({"delay": 0})),
        ("timeout", json!({"timeout": 0})),
    ] {
        let (status, toxic) = api.send("POST", "/proxies/a/toxics", json!({ "type": type_name })).await;
        assert_eq!((status, &toxic["type"], &toxic["attributes"]), (200, &json!(type_name), &attributes));
    }
}

/// As the original's JSON library reads them.
#[tokio::test]
async fn names_count_in_any_case_and_what_follows_the_value_does_not() {
    let api = Api::start().await;
    let made = r#"{"NAME": "no", "Name": "a", "Upstream": "x:1", "eNabled": false, "Logger": {}} and more"#;
    let (status, created) = api.send_text("POST", "/proxies", Some(made.to_owned())).await;
    assert_eq!((status, &created["name"], &created["enabled"]), (201, &json!("a"), &json!(false)));
    let toxic = r#"{"TYPE": "latency", "Attributes": {"Latency": 7, "LATENCY": 8, "other": "x"}, "toxicitY": 0.5}"#;
    let (status, created) = api.send_text("POST", "/proxies/a/toxics", Some(toxic.to_owned())).await;
    assert_eq!((status, &created["attributes"]), (200, &json!({"latency": 8, "jitter": 0})));
    assert_eq!(created["toxicity"], 0.5);
    let one = "/proxies/a/toxics/latency_downstream";
    let (_, changed) = api.send("PATCH", one, json!({"attributes": {"Jitter": 3, "latency": null}})).await;
    assert_eq!(changed["attributes"], json!({"latency": 8, "jitter": 3}));
    let (_, changed) = api.send("PATCH", "/proxies/a", json!({"UPSTREAM": "x:2"})).await;
    assert_eq!(changed["upstream"], "x:2");
    let (_, populated) = api.send("POST", "/populate", json!([{"Name": "b", "uPstream": "x:3"}])).await;
    assert_eq!(populated["proxies"][0]["upstream"], "x:3");
}

#[tokio::test]
async fn every_answer_has_a_name_of_its_own() {
    let api = Api::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/version", "/proxies", "/proxies/none", "/nothing"] {
        let answer = http.get(api.emulator.url() + path).send().await.unwrap();
        let id = answer.headers()["X-Toxiproxy-Request-Id"].to_str().unwrap().to_owned();
        assert!(id.len() == 20 && id.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'v').contains(&c)), "{id}");
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn what_was_carried_is_told_to_who_asked_for_it() {
    assert_eq!(Api::start().await.get("/metrics").await, error(404, "Not Found"));
    let api = Api::started("127.0.0.1:0", Metrics::On).await;
    let upstream = echo().await;
    let link = api.link_to(upstream).await;
    api.toxic("slicer", "downstream", json!({"average_size": 2})).await;
    assert_eq!(exchange(&mut connect(link).await, "hello").await, "hello");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = async || http.get(api.emulator.url() + "/metrics").send().await.unwrap();
    let answer = metrics().await;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();
    for direction in ["downstream", "upstream"] {
        for what in ["received", "sent"] {
            let labels = format!(r#"direction="{direction}",listener="{link}",proxy="link",upstream="{upstream}""#);
            let line = format!("toxiproxy_proxy_{what}_bytes_total{{{labels}}} 5\n");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
    api.send("PATCH", "/proxies/link", json!({"upstream": "x:1"})).await;
    let text = metrics().await.text().await.unwrap();
    assert!(text.contains("upstream=\"x:1\"} 0\n") && !text.contains("} 5\n"), "another way is counted anew: {text}");
}

#[tokio::test]
async fn populate_creates_and_replaces_and_keeps_what_is_the_same() {
    let api = Api::start().await;
    let (status, body) =
        api.send("POST", "/populate", json!([proxy("a"), {"name": "b", "upstream": "x:1", "enabled": false}])).await;
    let proxies = body["proxies"].as_array().unwrap();
    assert_eq!((status, proxies.len()), (201, 2));
    assert_eq!((&proxies[0]["name"], &proxies[1]["enabled"]), (&json!("a"), &json!(false)));
    api.send("POST", "/proxies/a/toxics", json!({"type": "latency"})).await;

    let same = proxies[0].clone();
    let (_, body) = api.send("POST", "/populate", json!([same])).await;
    assert_eq!(body["proxies"][0]["toxics"].as_array().unwrap().len(), 1, "its toxics stay");
    let mut other = same.clone();
    other["upstream"] = json!("127.0.0.1:10");
    let (_, body) = api.send("POST", "/populate", json!([other])).await;
    assert_eq!((&body["proxies"][0]["upstream"], &body["proxies"][0]["toxics"]), (&json!("127.0.0.1:10"), &json!([])));

    for (list, why) in [
        (json!([proxy("c"), {"name": "d"}]), "missing required field: upstream at proxy 2"),
        (json!([{"upstream": "x:1"}]), "missing required field: name at proxy 1"),
    ] {
        let expected = json!({"error": why, "status": 400, "proxies": null});
        assert_eq!(api.send("POST", "/populate", list).await, (400, expected));
    }
    let (status, body) = api.send("POST", "/populate", json!({})).await;
    assert_eq!((status, &body["status"], &body["proxies"]), (400, &json!(400), &Value::Null), "{body}");
    assert_eq!(api.get("/proxies/c").await.0, 404, "nothing of it was created");
    for none in [json!([]), Value::Null] {
        assert_eq!(api.send("POST", "/populate", none).await, (201, json!({"proxies": null})));
    }
}

#[tokio::test]
async fn populate_stops_at_the_first_failure_and_keeps_what_it_has_made() {
    let api = Api::start().await;
    let unusable = json!({"name": "b", "listen": "nonsense", "upstream": "x:1"});
    let twice = json!({"name": "a", "upstream": "x:2", "enabled": false});
    let (status, body) = api.send("POST", "/populate", json!([proxy("a"), twice, unusable, proxy("c")])).await;
    assert_eq!((status, &body["status"]), (500, &json!(500)));
    assert_eq!(body["error"], "listen tcp: address nonsense: missing port in address");
    let names: Vec<_> = body["proxies"].as_array().unwrap().iter().map(|proxy| &proxy["name"]).collect();
    assert_eq!(names, ["a", "a"], "one after another, though it is the same");
    let there = api.get("/proxies").await.1;
    assert_eq!(there.as_object().unwrap().keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!((&there["a"]["upstream"], &there["a"]["enabled"]), (&json!("x:2"), &json!(false)));

    let replaced = json!([{"name": "a", "listen": "192.0.2.1:9", "upstream": "x:3"}]);
    assert_eq!(api.send("POST", "/populate", replaced).await.0, 500);
    assert_eq!(api.get("/proxies/a").await.1["upstream"], "x:2", "what could not be replaced stays");
}

#[tokio::test]
async fn reset_enables_all_proxies_and_removes_all_toxics() {
    let api = Api::start().await;
    api.link_to(echo().await).await;
    api.toxic("timeout", "upstream", json!({})).await;
    api.toxic("latency", "downstream", json!({"latency": 10})).await;
    api.send("POST", "/proxies/link", json!({"enabled": false})).await;
    assert_eq!(api.send_text("POST", "/reset", None).await, (204, Value::Null));
    let (_, link) = api.get("/proxies/link").await;
    assert_eq!((&link["enabled"], &link["toxics"]), (&json!(true), &json!([])));
}

#[tokio::test]
async fn whatever_else_is_asked_gets_an_error_in_json() {
    let api = Api::start().await;
    assert_eq!(api.get("/nothing").await, error(404, "Not Found"));
    assert_eq!(kind_of_error(&api.get("/proxies/%FF").await).0, 400);
    assert_eq!(kind_of_error(&api.send_text("PUT", "/proxies", None).await).0, 405);
    assert_eq!(kind_of_error(&api.send_text("GET", "/reset", None).await).0, 405);
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(4 << 20));
    assert_eq!(kind_of_error(&api.send_text("POST", "/proxies", Some(huge)).await).0, 400);
    let browser = reqwest::Client::builder().no_proxy().user_agent("Mozilla/5.0").build().unwrap();
    let answer = browser.get(api.emulator.url() + "/proxies").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
}

#[tokio::test]
async fn the_port_of_the_api_is_free_again_after_a_shutdown() {
    let api = Api::start().await;
    let link = api.link_to(echo().await).await;
    let address = api.emulator.address();
    let mut open = connect(link).await;
    exchange(&mut open, "hello").await;
    api.emulator.shutdown().await;
    assert_eq!(read_to_end(&mut open).await.0, "");
    for closed in [address, link] {
        assert!(tokio::net::TcpStream::connect(closed).await.is_err());
    }
}

/// JSON as a client may send it by mistake or malice.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["[a-z]{0,8}", "\\PC{0,8}"].prop_map(Value::from),
        proptest::sample::select(vec![
            "latency",
            "bandwidth",
            "slicer",
            "timeout",
            "limit_data",
            "reset_peer",
            "slow_close",
            "noop"
        ])
        .prop_map(Value::from),
        proptest::sample::select(vec![
            "upstream",
            "downstream",
            "127.0.0.1:0",
            ":x",
            "[::1",
            "256.0.0.1:1",
            "127.0.0.1:99999"
        ])
        .prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "name",
        "type",
        "stream",
        "toxicity",
        "attributes",
        "Attributes",
        "LATENCY",
        "Type",
        "listen",
        "upstream",
        "enabled",
        "latency",
        "jitter",
        "rate",
        "average_size",
        "size_variation",
        "delay",
        "bytes",
        "timeout",
    ]);
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..7)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Anything goes in; every answer is JSON (or empty), none is 500, and the emulator goes on working.
#[test]
fn no_body_breaks_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let api = runtime.block_on(Api::start());
    runtime.block_on(async { api.link_to(echo().await).await });
    let routes =
        ["/proxies", "/proxies/link", "/populate", "/proxies/link/toxics", "/proxies/link/toxics/timeout_upstream"];
    // Names that would have to be looked up in the DNS cost seconds where there is none.
    let resolvable = |body: &Value| body.to_string().matches("listen").count() == 0;
    proptest!(ProptestConfig::with_cases(300), |(body in any_json(), route in 0..routes.len(), patch: bool)| {
        prop_assume!(resolvable(&body) || route > 2);
        let method = if patch { "PATCH" } else { "POST" };
        let (status, answer) = runtime.block_on(api.send(method, routes[route], body.clone()));
        prop_assert!(status < 500, "{method} {} {body} gave {status} {answer}", routes[route]);
        if status >= 400 {
            prop_assert_eq!(answer["status"].as_u64(), Some(u64::from(status)));
        }
    });
    runtime.block_on(async {
        assert_eq!(api.send_text("DELETE", "/proxies/link", None).await.0, 204);
        let link = api.link_to(echo().await).await;
        assert_eq!(exchange(&mut connect(link).await, "still at work").await, "still at work");
    });
}
