//! Stores that have too much to do, that break, or that are old: what is sent again, and how often.

use super::super::*;
use super::{LyingStore, Reply, Then, error, reply};
use crate::storage::contract;
use futures::future::join_all;

/// A store that replies so until it has had so many requests, and as it should from then on.
async fn recovers_after(failures: usize, bad: Reply) -> LyingStore {
    let limit = Timeouts::default().response;
    LyingStore::answering(limit, Attempts::default(), move |request, number| match number <= failures {
        true => bad.clone(),
        false if request.starts_with("GET") => {
            reply("206 Partial Content", "content-length: 1\r\ncontent-range: bytes 5-5/9\r\n", "x")
        }
        false => reply("200 OK", "content-length: 0\r\n", ""),
    })
    .await
}

fn overloaded() -> Vec<Reply> {
    vec![
        error("503 Service Unavailable", "SlowDown", "busy"),
        error("500 Internal Server Error", "InternalError", "oh"),
        error("429 Too Many Requests", "Whatever", "busy"),
        reply("502 Bad Gateway", "content-length: 5\r\n", "proxy"),
        Reply { text: String::new(), then: Then::Reset },
    ]
}

#[tokio::test]
async fn overload_is_waited_out() {
    let survived = overloaded().into_iter().map(|bad| async move {
        let store = recovers_after(2, bad.clone()).await;
        store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap();
        assert_eq!(store.requests(), 3, "{}", bad.text);
        let store = recovers_after(2, bad.clone()).await;
        assert_eq!(contract::read_of(&store.client, "a", 5..6, &Content { bytes: 9, etag: None }).await.unwrap(), b"x");
        assert_eq!(store.requests(), 3, "{}", bad.text);
    });
    join_all(survived).await;
}

#[tokio::test]
async fn nobody_is_asked_for_ever() {
    let tried = overloaded().into_iter().map(|bad| async move {
        let store = recovers_after(usize::MAX, bad.clone()).await;
        store.client.list("").await.unwrap_err();
        assert_eq!(store.requests(), 5, "{}", bad.text);
        contract::read_of(&store.client, "a", 5..6, &Content { bytes: 9, etag: None }).await.unwrap_err();
        assert_eq!(store.requests(), 5 + 3, "{}", bad.text);
    });
    join_all(tried).await;
}

#[tokio::test]
async fn a_refusal_is_final() {
    for refusal in [error("403 Forbidden", "AccessDenied", "no"), error("409 Conflict", "OperationAborted", "no")] {
        let store = recovers_after(1, refusal).await;
        store.client.list("").await.unwrap_err();
        assert_eq!(store.requests(), 1);
    }
}

/// An old store knows nothing of checksums: it is asked once, and from then on spared.
#[tokio::test]
async fn a_store_without_checksums_is_written_to_without() {
    let knows_no_checksums = |request: &str, _| match request.contains("x-amz-checksum-") {
        true => error("501 Not Implemented", "NotImplemented", "a header implies what is not there"),
        false => reply("200 OK", "content-length: 0\r\n", ""),
    };
    let store = LyingStore::answering(Timeouts::default().response, super::IMPATIENT, knows_no_checksums).await;
    for requests in [2, 3] {
        store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap();
        assert_eq!(store.requests(), requests);
    }
    let requests = store.requests.lock().unwrap();
    assert!(!requests.last().unwrap().contains("checksum"), "{requests:?}");
}

#[tokio::test]
async fn another_refusal_of_a_write_does_not_give_checksums_up() {
    let store = LyingStore::start(error("400 Bad Request", "InvalidArgument", "not that key")).await;
    let refused = store.client.write("a", 3, contract::body(b"abc", 3)).await.unwrap_err();
    assert!(refused.to_string().ends_with("writing `a`: 400 InvalidArgument not that key"), "{refused}");
    assert!(store.client.abilities.checksums.is_there());
}

/// The store has done it and its answer was lost: the next attempt hears that there is no such upload.
#[tokio::test]
async fn a_finished_upload_whose_answer_was_lost_is_finished() {
    const BYTES: usize = 9 * 1024 * 1024;
    let lossy = |request: &str, _| {
        let created = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";
        match request.split(' ').next().unwrap() {
            "POST" if request.contains("?uploads") => {
                reply("200 OK", &format!("content-length: {}\r\n", created.len()), created)
            }
            "POST" => error("404 Not Found", "NoSuchUpload", "gone"),
            "HEAD" => reply("200 OK", &format!("content-length: {BYTES}\r\n"), ""),
            _ => reply("200 OK", "etag: \"1\"\r\ncontent-length: 0\r\n", ""),
        }
    };
    let store = LyingStore::answering(Timeouts::default().response, super::IMPATIENT, lossy).await;
    contract::put(&store.client, "a", &contract::pattern(BYTES)).await;
    let requests = store.requests.lock().unwrap();
    assert!(!requests.iter().any(|request| request.starts_with("DELETE")), "{requests:?}");
}
