//! The aggregate job on an object that becomes another one while it is read, or did so before: over HTTP, from a store that
//! honours conditional reads and from one that does not know them.

use agent::jobs::aggregate::AggregateJob;
use agent::jobs::{DataSource, Job, JobError, JobReport, S3Access};
use agent::storage::credentials::Credentials;
use agent::storage::s3::{S3Settings, S3Store};
use agent_core::domain::failure::FailureKind;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const KEY: &str = "live.ndjson";

/// A server of one object.
struct Server {
    honours_conditions: bool,
    tells_etags: bool,
    object: Vec<u8>,
    version: u32,
    /// After so many ranges the object is this one.
    later: Option<(u32, Vec<u8>)>,
    ranges: u32,
}

impl Server {
    /// It ends with the runtime.
    async fn start(self) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::new(Mutex::new(self)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    fn answer(&mut self, method: &Method, headers: &HeaderMap) -> Response {
        if let Some((_, object)) = self.later.take_if(|(ranges, _)| *ranges == self.ranges) {
            self.object = object;
            self.version += 1;
        }
        let etag = format!("\"{}\"", self.version);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if self.honours_conditions && text(header::IF_MATCH).is_some_and(|condition| condition != etag) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        let etag = [(header::ETAG, etag)].into_iter().filter(|_| self.tells_etags).collect::<Vec<_>>();
        let etag: HeaderMap = etag.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        if method == Method::HEAD {
            return ([(header::CONTENT_LENGTH, self.object.len().to_string())], etag).into_response();
        }
        self.ranges += 1;
        let (first, last) = text(header::RANGE).unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        if first >= self.object.len() {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        let last = last.min(self.object.len() - 1);
        let content_range = format!("bytes {first}-{last}/{}", self.object.len());
        let body = self.object[first..=last].to_vec();
        (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, content_range)], etag, body).into_response()
    }
}

async fn answer(State(server): State<Arc<Mutex<Server>>>, method: Method, headers: HeaderMap) -> Response {
    server.lock().unwrap().answer(&method, &headers)
}

/// Records of one price: every one as long as the next.
fn records(price: u32, count: u32) -> Vec<u8> {
    (0..count).flat_map(|id| format!("{{\"id\":{id:5},\"price\":{price:3}}}\n").into_bytes()).collect()
}

fn server(object: Vec<u8>) -> Server {
    Server { honours_conditions: true, tells_etags: true, object, version: 1, later: None, ranges: 0 }
}

/// The average price, in requests of 10 kB; the catalogue says how long the object is, and maybe its ETag.
async fn average(server: Server, bytes: usize, etag: Option<&str>) -> Result<JobReport, JobError> {
    let endpoint = server.start().await;
    let credentials =
        Credentials { access_key_id: "id".to_owned(), secret_access_key: "secret".to_owned(), session_token: None };
    let source = DataSource {
        store: Arc::new(S3Store::new(S3Settings::new(endpoint, "data", credentials))),
        access: S3Access::default(),
        data_set: "orders".to_owned(),
        object_key: KEY.to_owned(),
        etag: etag.map(str::to_owned),
        sha256: String::new(),
        bytes: bytes as u64,
        records: 0,
    };
    AggregateJob::new("avg(price)".parse().unwrap(), NonZeroU64::new(10_000).unwrap()).run(&source).await
}

#[track_caller]
fn is_changed(outcome: Result<JobReport, JobError>, what: &str) {
    match outcome {
        Ok(report) => panic!("{what}: the job is ok with {}", report.result),
        Err(error) => assert_eq!(error.kind(), FailureKind::ChangedData, "{what}: {error:?}"),
    }
}

#[tokio::test]
async fn an_object_that_stays_is_averaged() {
    for (honours_conditions, tells_etags) in [(true, true), (false, true), (false, false)] {
        let object = records(10, 2000);
        let bytes = object.len();
        let server = Server { honours_conditions, tells_etags, ..server(object) };
        let report = average(server, bytes, tells_etags.then_some("1")).await.unwrap();
        assert_eq!((report.result.as_str(), report.records), ("10", 2000));
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_between_two_ranges_is_never_averaged() {
    let before = records(10, 2000);
    for (what, after) in [
        ("as long", records(20, 2000)),
        ("longer", records(20, 4000)),
        ("longer, with the same beginning", [records(10, 2000), records(20, 2000)].concat()),
        ("shorter", records(20, 1000)),
    ] {
        for honours_conditions in [true, false] {
            for ranges in [1, 2, 4] {
                let later = Some((ranges, after.clone()));
                let server = Server { honours_conditions, later, ..server(before.clone()) };
                let what = format!("{what} after {ranges} ranges, conditions honoured: {honours_conditions}");
                is_changed(average(server, before.len(), None).await, &what);
            }
        }
    }
}

#[tokio::test]
async fn another_length_is_seen_without_etags_too() {
    let before = records(10, 2000);
    for after in [records(10, 2001), records(10, 1999)] {
        let unmarked = || Server { honours_conditions: false, tells_etags: false, ..server(before.clone()) };
        let server = Server { later: Some((3, after.clone())), ..unmarked() };
        is_changed(average(server, before.len(), None).await, "without ETags");
        is_changed(average(Server { object: after, ..unmarked() }, before.len(), None).await, "from the beginning");
    }
}

#[tokio::test]
async fn an_object_that_is_not_the_catalogues_is_never_averaged() {
    for honours_conditions in [true, false] {
        let object = records(10, 2000);
        let of = |object: &[u8]| Server { honours_conditions, ..server(object.to_vec()) };
        is_changed(average(of(&object), object.len() / 2, None).await, "longer than the catalogue says");
        is_changed(average(of(&object), object.len() * 2, None).await, "shorter than the catalogue says");
        is_changed(average(of(&object), object.len(), Some("0")).await, "another ETag than the catalogue says");
        is_changed(average(of(&object), 0, None).await, "not empty, as the catalogue says");
    }
}
