//! The embedded emulator answers as toxiproxy does.

mod links_support;

use links_support::{Api, connect, echo, exchange, read_to_end};
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
        (json!({"name": "a", "upstream": "x:1", "listen": "nonsense"}), (400, "cannot listen on \"nonsense\"")),
    ] {
        let answer = api.send("POST", "/proxies", body.clone()).await;
        assert_eq!(kind_of_error(&answer), (expected.0, expected.1.to_owned()), "{body}");
    }
    let answer = api.send("POST", "/proxies", json!({"name": "a", "upstream": "x:1", "listen": busy})).await;
    assert_eq!(answer.0, 400, "{answer:?}");
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
    assert_eq!(api.send("POST", "/proxies/a", json!({"listen": "nonsense"})).await.0, 400);
    assert_eq!(api.get("/proxies/a").await.1, expected, "a refused update changes nothing");
    assert_eq!(api.send("POST", "/proxies/b", json!({})).await, error(404, "proxy not found"));
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
    toxic["attributes"]["latency"] = json!(0.25);
    assert_eq!(api.send("POST", one, json!({"attributes": {"latency": 0.25}})).await, (200, toxic.clone()));

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
        (with("slicer", json!({"average_size": 0})), (400, "bad request body")),
        (with("slicer", json!({"average_size": 10, "size_variation": 11})), (400, "bad request body")),
        (with("slicer", json!({"average_size": 10, "size_variation": -1})), (400, "bad request body")),
    ] {
        let answer = api.send("POST", "/proxies/a/toxics", body.clone()).await;
        assert_eq!(kind_of_error(&answer), (expected.0, expected.1.to_owned()), "{body}");
    }
    let answer = api.send("POST", "/proxies/b/toxics", with("latency", json!({}))).await;
    assert_eq!(answer, error(404, "proxy not found"));
    let refused = api.send("POST", "/proxies/a/toxics/taken", json!({"attributes": {"timeout": []}})).await;
    assert_eq!(kind_of_error(&refused).0, 400);
    assert_eq!(api.get("/proxies/a/toxics").await.1.as_array().unwrap().len(), 1, "nothing of it was created");
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
        (json!([proxy("c"), proxy("c")]), "bad request body: duplicate proxy name \"c\""),
    ] {
        assert_eq!(api.send("POST", "/populate", list).await, error(400, why));
    }
    assert_eq!(kind_of_error(&api.send("POST", "/populate", json!({})).await).1, "bad request body");
    assert_eq!(api.get("/proxies/c").await.0, 404, "nothing of it was created");
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
            "slow_close"
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
