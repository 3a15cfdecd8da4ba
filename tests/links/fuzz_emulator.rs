//! Arbitrary bytes and paths sent to the emulator's API: every answer is JSON (or empty), none is an error of the server's but
//! for an address that is none, and none takes for ever. Bodies of JSON are in `links_api.rs`.
//!
//! `PROPTEST_CASES=10000 cargo test --test fuzz_emulator` looks for longer.

use crate::support::{Api, PATIENCE, connect, echo, exchange, patiently};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PATHS: [&str; 13] = [
    "/",
    "/metrics",
    "/version",
    "/reset",
    "/proxies",
    "/proxies/link",
    "/proxies/none",
    "/populate",
    "/proxies/link/toxics",
    "/proxies/link/toxics/none",
    "/proxies/%ff",
    "/proxies/a%2fb/../c",
    "//proxies//link",
];

const BODIES: [&[u8]; 12] = [
    b"",
    b"null",
    b"[]",
    b"{\"name\":",
    b"[[[[[[[[[[[[",
    b"{\"name\":\"a\",\"upstream\":\"\xff\"}",
    b"\"\\ud800\"",
    b"{\"attributes\":{\"latency\":1e999}}",
    b"{\"Type\":\"latency\",\"ATTRIBUTES\":{\"Latency\":1},\"attributes\":null}{",
    b"{\"NAME\":\"a\",\"Upstream\":\"127.0.0.1:9\",\"listen\":\"nonsense\"}",
    b"[{\"NAME\":\"b\",\"Upstream\":\"127.0.0.1:9\"},{\"name\":\"b\",\"upstream\":\"x\",\"listen\":\":x\"}]",
    b"[null]",
];

/// One request on a connection of its own, as bytes: no client is in the way. Status and body of the answer.
async fn ask(api: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut socket = connect(api).await;
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    socket.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    patiently(socket.read_to_end(&mut answer)).await.unwrap();
    let text = String::from_utf8(answer).expect("answers are text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    (status, body.to_owned())
}

#[test]
fn every_answer_is_json() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let api = runtime.block_on(Api::start());
    runtime.block_on(async { api.link_to(echo().await).await });
    let address = api.emulator.address();
    let body =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..200), select(BODIES.to_vec()).prop_map(<[u8]>::to_vec)];
    let path =
        prop_oneof![3 => select(PATHS.to_vec()).prop_map(str::to_owned), 1 => "/[A-Za-z0-9%._~!$&'()*+,;=:@/?-]{0,40}"];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(method in select(vec!["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "BREW"]), path in path, body in body)| {
        // The link itself stays, to be tried at the end.
        prop_assume!(!(method == "DELETE" && path.contains("link")));
        let (status, answer) = runtime.block_on(ask(address, method, &path, &body));
        let is_no_address = status == 500 && answer.contains("address ");
        prop_assert!(status < 500 || is_no_address, "{method} {path}: {status} {answer}");
        let json: Result<serde_json::Value, _> = serde_json::from_str(&answer);
        prop_assert!(answer.is_empty() || json.is_ok(), "{method} {path}: {status} {answer}");
        prop_assert!(status < 400 || json.is_ok_and(|json| json["status"] == status), "{method} {path}: {status} {answer}");
    });
    runtime.block_on(async {
        let (status, link) = api.get("/proxies/link").await;
        assert_eq!(status, 200);
        let listen: SocketAddr = link["listen"].as_str().unwrap().parse().unwrap();
        let answered =
            tokio::time::timeout(PATIENCE, async { exchange(&mut connect(listen).await, "still at work").await });
        assert_eq!(answered.await.unwrap(), "still at work");
    });
}
